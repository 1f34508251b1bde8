"""Sizes, bounds and counts that a small input of integers holds: known when a run
starts. Against onnxruntime, and what no run may do."""
import subprocess

import numpy as np
import onnx
import pytest
from conftest import BUILD, compile_model, reference
from onnx import TensorProto, helper

import tenon

NODE = helper.make_node
X = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


def constant(name, values, kind=np.int64):
    return onnx.numpy_helper.from_array(np.asarray(values, kind), name)


def build(folder, nodes, inputs, constants=(), opset=20):
    """`inputs` are names and sizes; one that begins with "n" holds integers."""
    values = [helper.make_tensor_value_info(
        name, TensorProto.INT64 if name.startswith("n") else TensorProto.FLOAT, sizes) for name, sizes in inputs.items()]
    graph = helper.make_graph(nodes, "g", values, [helper.make_tensor_value_info("y", 0, None)], constants)
    graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT
    for node in nodes:
        if node.op_type in ("Range", "OneHot"):
            graph.output[0].type.tensor_type.elem_type = TensorProto.INT64
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    onnx.save(model, folder / "model.onnx")
    return folder / "model.onnx"


# Nodes, sizes of the inputs, constants, and what the inputs that begin with "n" hold in one run after the other.
CASES = {
    "reshape": ([NODE("Reshape", ["x", "n"], ["y"])], {"x": ["b", 3, 4], "n": [3]}, [],
                [[2, 3, 4], [4, 3, 2], [-1, 2, 3], [0, -1, 2], [1, 0, -1], [0, 0, 0]]),
    "reshape_allow_zero": ([NODE("Reshape", ["x", "n"], ["y"], allowzero=1)], {"x": ["b", 3, 4], "n": [2]}, [],
                           [[6, 4], [-1, 8], [1, 24]]),
    "expand": ([NODE("Expand", ["x", "n"], ["e"]), NODE("Neg", ["e"], ["y"])], {"x": [2, 1, 4], "n": [3]}, [],
               [[2, 3, 4], [1, 5, 1], [2, 0, 4], [1, 1, 1]]),
    "expand_rank": ([NODE("Expand", ["x", "n"], ["y"])], {"x": [4], "n": [2]}, [], [[3, 4], [1, 1], [0, 4]]),
    "slice": ([NODE("Slice", ["x", "n0", "n1", "axes"], ["y"])], {"x": ["b", "s", 4], "n0": [2], "n1": [2]},
              [constant("axes", [1, 2])],
              [[[0, 0], [3, 4]], [[1, -3], [1 << 62, -1]], [[-2, 1], [2**63 - 1, 100]], [[2, 3], [1, 2]],
               [[-(2**63) + 1, 0], [-1, -100]]]),
    "slice_back": ([NODE("Slice", ["x", "n0", "n1", "axes", "steps"], ["y"])], {"x": [2, 3, 4], "n0": [1], "n1": [1]},
                   [constant("axes", [2]), constant("steps", [-2])],
                   [[[3], [-100]], [[-1], [0]], [[1 << 62], [1]], [[0], [3]]]),
    "range": ([NODE("Range", ["n0", "n1", "step"], ["y"])], {"n0": [], "n1": []}, [constant("step", 3)],
              [[0, 10], [-5, 5], [4, 4], [7, 2], [100, 101]]),
    "tile": ([NODE("Tile", ["x", "n"], ["y"])], {"x": ["b", 3, 4], "n": [3]}, [], [[1, 1, 1], [2, 0, 1], [1, 2, 3]]),
    "fill": ([NODE("ConstantOfShape", ["n"], ["c"], value=constant("v", [7], np.float32)),
              NODE("Add", ["c", "x"], ["y"])], {"x": ["b", 3, 4], "n": [3]}, [], [[2, 3, 4]]),
    "split": ([NODE("Split", ["x", "n"], ["a", "c"], axis=1), NODE("Concat", ["c", "a"], ["y"], axis=1)],
              {"x": ["b", "s", 4], "n": [2]}, [], [[1, 2], [3, 0], [0, 3]]),
    "top_k": ([NODE("TopK", ["x", "n"], ["y", "i"])], {"x": ["b", "s", 4], "n": [1]}, [], [[1], [4], [0]]),
    "one_hot": ([NODE("OneHot", ["ids", "n", "values"], ["y"])], {"n": []},
                [constant("ids", [[0, 2], [-1, 1]]), constant("values", [0, 5])], [3, 8]),
    "pad": ([NODE("Pad", ["x", "n"], ["y"])], {"x": ["b", "s", 4], "n": [6]}, [],
            [[0, 1, 2, 0, 0, 3], [0] * 6, [0, -1, -1, 0, 2, 0]]),
    "reduce": ([NODE("ReduceSum", ["x", "n"], ["y"])], {"x": ["b", "s", 4], "n": [2]}, [],
               [[0, 1], [1, 2], [-1, 0], [-2, 2]]),
    "reduce_away": ([NODE("ReduceMax", ["x", "n"], ["y"], keepdims=0)], {"x": ["b", "s", 4], "n": [1]}, [],
                    [[0], [1], [2], [-1], [-3]]),
    "reduce_all": ([NODE("ReduceLogSumExp", ["x", "n"], ["y"], keepdims=0)], {"x": ["b", "s", 4], "n": [3]}, [],
                   [[0, 1, 2], [2, -3, 1]]),
    "reduce_none": ([NODE("ReduceMean", ["x", "n"], ["y"], noop_with_empty_axes=1)], {"x": ["b", "s", 4], "n": [0]}, [],
                    [[]]),
    "squeeze": ([NODE("Squeeze", ["x", "n"], ["y"])], {"x": ["b", 1, "s", 1], "n": [2]}, [], [[1, 3], [-1, 1], [-1, -3]]),
    "unsqueeze": ([NODE("Unsqueeze", ["x", "n"], ["y"])], {"x": ["b", "s"], "n": [2]}, [],
                  [[0, 1], [1, 3], [3, 0], [-1, -2], [2, -4]]),
    "slice_axes": ([NODE("Slice", ["x", "from", "to", "n"], ["y"])], {"x": ["b", "s", 4], "n": [2]},
                   [constant("from", [1, -2]), constant("to", [1 << 62, -1])], [[0, 2], [2, 1], [-1, 0], [-2, -1]]),
    "slice_steps": ([NODE("Slice", ["x", "n0", "to", "axes", "n1"], ["y"])], {"x": ["b", "s", 4], "n0": [2], "n1": [2]},
                    [constant("to", [0, -3]), constant("axes", [1, 2])],
                    [[[2, 0], [-1, 1]], [[100, -1], [-2, -1]], [[0, 0], [1, 3]], [[-1, 3], [-1, -2]]]),
    "pad_axes": ([NODE("Pad", ["x", "n0", "", "n1"], ["y"])], {"x": ["b", "s", 4], "n0": [4], "n1": [2]}, [],
                 [[[1, 2, 0, 1], [0, 2]], [[0, 1, 2, -1], [-1, 1]]]),
    "range_delta": ([NODE("Range", ["n0", "n1", "n2"], ["y"])], {"n0": [], "n1": [], "n2": []}, [],
                    [[0, 10, 3], [10, -1, -4], [3, 3, 1], [0, 5, -1], [4, 0, -4]]),
    "range_back": ([NODE("Range", ["n", "stop", "back"], ["y"])], {"n": []}, [constant("stop", 0), constant("back", -2)],
                   [5, 6, 0]),
    # Arithmetic that exporters put between: half of n, or all of it.
    "computed": ([NODE("Equal", ["n", "minus"], ["all"]), NODE("Div", ["n", "two"], ["half"]),
                  NODE("Max", ["half", "one"], ["some"]), NODE("Where", ["all", "four", "some"], ["size"]),
                  NODE("Concat", ["size", "one"], ["shape"], axis=0), NODE("Expand", ["x", "shape"], ["y"])],
                 {"x": [1, 4], "n": [1]},
                 [constant("minus", [-1]), constant("two", [1]), constant("one", [1]), constant("four", [4])],
                 [[-1], [5], [0]]),
}


@pytest.mark.parametrize("name", CASES)
def test_as_onnxruntime(name, tmp_path):
    nodes, inputs, constants, runs = CASES[name]
    path = build(tmp_path, nodes, inputs, constants)
    session = tenon.Session(compile_model(path, tmp_path / "model.so"), threads=2)
    names = [key for key in inputs if key.startswith("n")]
    shape = [{"b": 2, "s": 3}.get(size, size) for size in inputs.get("x", [])]
    x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    for held in runs:
        feed = {"x": x} if "x" in inputs else {}
        feed |= {key: np.asarray(value, np.int64) for key, value in zip(names, held if len(names) > 1 else [held])}
        wanted = reference(path, feed)
        found, = session.run(feed)
        np.testing.assert_array_equal(found, wanted[0], err_msg=str(held))


def test_reads_what_the_memory_holds_when_it_runs(tmp_path):
    path = build(tmp_path, [NODE("Reshape", ["x", "n"], ["y"])], {"x": [2, 3, 4], "n": [2]})
    session = tenon.Session(compile_model(path, tmp_path / "model.so"))
    sizes = np.array([4, 6])
    for rows in (4, 8, 24):
        sizes[:] = rows, -1
        assert session.run({"x": X, "n": sizes})[0].shape == (rows, 24 // rows)


@pytest.mark.parametrize("nodes, inputs, held, message", [
    ([NODE("Reshape", ["x", "n"], ["y"], name="r")], {"x": [2, 3, 4], "n": [2]}, [5, 5], "node 'r'"),
    ([NODE("Reshape", ["x", "n"], ["y"], name="r")], {"x": [2, 3, 4], "n": [2]}, [-1, -1], "node 'r'"),
    ([NODE("Reshape", ["x", "n"], ["y"], name="r")], {"x": [2, 3, 4], "n": [2]}, [-2, -12], "node 'r'"),
    ([NODE("Expand", ["x", "n"], ["y"], name="e")], {"x": [2, 3, 4], "n": [3]}, [2, 2, 4], "node 'e'"),
    ([NODE("ConstantOfShape", ["n"], ["y"], name="c")], {"n": [2]}, [-1, -1], "node 'c'"),
    ([NODE("Tile", ["x", "n"], ["y"], name="t")], {"x": [2, 3, 4], "n": [3]}, [1, -1, -1], "node 't'"),
    ([NODE("TopK", ["x", "n"], ["y", ""], name="k")], {"x": [2, 3, 4], "n": [1]}, [5], "node 'k'"),
    ([NODE("ReduceSum", ["x", "n"], ["y"], name="r")], {"x": [2, 3, 4], "n": [1]}, [3], "node 'r'"),
    ([NODE("ReduceSum", ["x", "n"], ["y"], name="r")], {"x": [2, 3, 4], "n": [2]}, [1, -2], "node 'r'"),
    ([NODE("Squeeze", ["x", "n"], ["y"], name="s")], {"x": [2, 3, 4], "n": [1]}, [1], "node 's'"),
    ([NODE("Unsqueeze", ["x", "n"], ["y"], name="u")], {"x": [2, 3, 4], "n": [1]}, [4], "node 'u'"),
    ([NODE("Slice", ["x", "zeros", "ends", "", "n"], ["y"], name="s")], {"x": [2, 3, 4], "n": [1]}, [0], "node 's'"),
    # 2 to the 64th elements, which would be none.
    ([NODE("ConstantOfShape", ["n"], ["c"]), NODE("ReduceSum", ["c", "all"], ["y"])], {"n": [2]}, [1 << 32, 1 << 32],
     "too large"),
    ([NODE("ConstantOfShape", ["n"], ["y"])], {"n": [2]}, [1 << 32, 1 << 32], "too large"),
    ([NODE("ConstantOfShape", ["n"], ["y"])], {"n": [2]}, [1 << 50, 1],
     r"element 0 of input 'n' must be from -\d+ to \d+, is 1125899906842624"),
])
def test_what_no_tensor_has_is_refused(nodes, inputs, held, message, tmp_path):
    path = build(tmp_path, nodes, inputs, [constant("all", [0, 1]), constant("zeros", [0]), constant("ends", [2])])
    session = tenon.Session(compile_model(path, tmp_path / "model.so"))
    feed = {"n": np.asarray(held, np.int64)} | ({"x": X} if "x" in inputs else {})
    with pytest.raises(tenon.Error, match=message):
        session.run(feed)


def test_tools_take_elements_as_symbols(tmp_path):
    path = build(tmp_path, [NODE("Expand", ["x", "n"], ["e"]), NODE("Exp", ["e"], ["y"])], {"x": [4], "n": [2]})
    artifact = compile_model(path, tmp_path / "model.so")
    def run(*words):
        done = subprocess.run([BUILD / "bin/tenon", *map(str, words)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout
    assert "[n[0], 4]" in run("info", artifact)
    run("bench", artifact, "--shape", "n[0]=300,n[1]=4", "--seconds", "0.01")


def test_plain_integers_are_not_limited(tmp_path):
    """An input that could hold sizes, but does not: any number is fine."""
    nodes = [NODE("Add", ["n", "n"], ["s"]), NODE("Cast", ["s"], ["y"], to=TensorProto.FLOAT)]
    path = build(tmp_path, nodes, {"n": [2]})
    session = tenon.Session(compile_model(path, tmp_path / "model.so"))
    np.testing.assert_array_equal(session.run({"n": np.array([1 << 61, -5])})[0], np.float32([2.0**62, -10]))


def test_last_of_equal_parts_of_a_size_that_is_computed(tmp_path):
    """Split into parts that are not equal, of a dimension whose size is known though its type does not say so."""
    nodes = [NODE("Shape", ["x"], ["s"]), NODE("Slice", ["s", "zero", "one"], ["b"]), NODE("Concat", ["b", "rest"], ["r"], axis=0),
             NODE("Reshape", ["x", "r"], ["z"]), NODE("Split", ["z"], ["p", "y"], axis=-1, num_outputs=2)]
    model = build(tmp_path, nodes, {"x": ["m", 3, 1]}, [constant("zero", [0]), constant("one", [1]), constant("rest", [-1])])
    session = tenon.Session(compile_model(model, tmp_path / "model.so"), check_memory=True)
    for m in (1, 4):
        x = np.random.default_rng(m).standard_normal((m, 3, 1), np.float32)
        np.testing.assert_array_equal(session.run({"x": x})[0], x[:, 2:, 0])
