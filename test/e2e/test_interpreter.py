"""The interpreter that `tenon check --bisect` compares phases with."""
import json
import re

import numpy as np
import onnx
import pytest
from conftest import MODELS, reference, tenon
from onnx import TensorProto, helper, numpy_helper
from tenon._interpreter import Interpreter
from tenon._mlir import parse
from tenon.bisect import Tolerance

PHASES = ["1-import", "2-simplify", "3-compress", "4-fuse", "5-schedule", "6-plan"]
TINY = (__import__("pathlib").Path(__file__).parent / "tiny_passing.txt").read_text().split()
TINY = [name for name in TINY if (MODELS / "tiny" / name).exists()]


def dump(model, folder, *options):
    result = tenon("compile", model, "-o", folder / "plan.mlir", "--stop-after", "plan", "--dump-phases", folder,
                   "--quiet", *options)
    assert result.returncode == 0, result.stderr
    return folder


def arrays(folder, kind, names):
    return {name: numpy_helper.to_array(onnx.load_tensor(str(folder / f"{kind}_{i}.pb")))
            for i, name in enumerate(names)}


def agree_on(name, folder):
    model = MODELS / "tiny" / name
    dump(model / "model.onnx", folder)
    tolerance = json.loads((model / "meta.json").read_text()).get("tolerance", 1e-4)
    for phase in PHASES:
        module = Interpreter(folder / f"{phase}.mlir")
        data = max(model.glob("test_data_set_*"))
        found = module.run(arrays(data, "input", module.inputs))
        for output, expected in arrays(data, "output", module.outputs).items():
            difference = Tolerance(tolerance, tolerance).compare(expected, found[output])
            assert not difference, f"{phase}, {output}: {difference}"


@pytest.mark.parametrize("name", TINY[::8])
def test_every_phase_of_a_tiny_model_gives_its_outputs(name, tmp_path):
    agree_on(name, tmp_path)


@pytest.mark.full
@pytest.mark.parametrize("name", TINY)
def test_every_phase_of_every_tiny_model_gives_its_outputs(name, tmp_path):
    agree_on(name, tmp_path)


def evaluate(tmp_path, nodes, inputs, weights=(), opset=23):
    """Each phase's outputs and those of the reference evaluator."""
    from onnx.reference import ReferenceEvaluator
    infos = [helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype),
                                           [f"{name}{i}" for i in range(array.ndim)])
             for name, array in inputs.items()]
    outputs = [name for node in nodes for name in node.output]
    values = ReferenceEvaluator(helper.make_model(
        helper.make_graph(nodes, "g", infos, [helper.make_empty_tensor_value_info(o) for o in outputs],
                          [numpy_helper.from_array(w, n) for n, w in weights]),
        opset_imports=[helper.make_opsetid("", opset)])).run(None, inputs)
    graph = helper.make_graph(nodes, "g", infos, [helper.make_tensor_value_info(
        name, helper.np_dtype_to_tensor_dtype(value.dtype), None) for name, value in zip(outputs, values)],
        [numpy_helper.from_array(w, n) for n, w in weights])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10),
              tmp_path / "model.onnx")
    dump(tmp_path / "model.onnx", tmp_path)
    for phase in PHASES:
        found = Interpreter(tmp_path / f"{phase}.mlir").run(inputs)
        for name, value in zip(outputs, values):
            difference = Tolerance(1e-5, 1e-5).compare(value, found[name])
            assert not difference, f"{phase}, {name}: {difference}"


def test_rows_and_reductions(tmp_path):
    x = np.random.default_rng(0).standard_normal((3, 5, 37)).astype(np.float32)
    evaluate(tmp_path, [helper.make_node("Softmax", ["x"], ["a"], axis=-1),
                        helper.make_node("ReduceMax", ["x"], ["b"], keepdims=0),
                        helper.make_node("CumSum", ["x", "axis"], ["c"], exclusive=1, reverse=1),
                        helper.make_node("ArgMax", ["x"], ["d"], axis=1, select_last_index=1),
                        helper.make_node("Gelu", ["x"], ["e"])],
             {"x": x}, [("axis", np.array(1, np.int64))])


def test_indexing_and_moving(tmp_path):
    x = np.arange(60, dtype=np.float32).reshape(3, 20)
    evaluate(tmp_path, [helper.make_node("Gather", ["x", "i"], ["a"], axis=1),
                        helper.make_node("Slice", ["x", "from", "to", "axes", "steps"], ["b"]),
                        helper.make_node("Pad", ["x", "pads"], ["c"], mode="reflect"),
                        helper.make_node("Concat", ["x", "b"], ["d"], axis=1)],
             {"x": x}, [("i", np.array([-1, 3, 0], np.int64)), ("from", np.array([-1], np.int64)),
                        ("to", np.array([-100], np.int64)), ("axes", np.array([1], np.int64)),
                        ("steps", np.array([-3], np.int64)), ("pads", np.array([0, 2, 1, 3], np.int64))])


def test_integers_and_comparisons(tmp_path):
    a, b = np.array([[7, -7, 5]], np.int64), np.array([[2, 2, -3]], np.int64)
    evaluate(tmp_path, [helper.make_node("Div", ["a", "b"], ["c"]), helper.make_node("Mod", ["a", "b"], ["d"]),
                        helper.make_node("Less", ["a", "b"], ["e"]), helper.make_node("Where", ["e", "a", "b"], ["f"]),
                        helper.make_node("Cast", ["a"], ["g"], to=TensorProto.FLOAT)], {"a": a, "b": b})


def test_windows(tmp_path):
    x = np.random.default_rng(0).standard_normal((2, 3, 7, 6)).astype(np.float32)
    w = np.random.default_rng(1).standard_normal((3, 4, 3, 2)).astype(np.float32)
    evaluate(tmp_path, [helper.make_node("MaxPool", ["x"], ["a"], kernel_shape=[2, 3], strides=[2, 1], dilations=[2, 1]),
                        helper.make_node("AveragePool", ["x"], ["b"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
                        helper.make_node("ConvTranspose", ["x", "w"], ["c"], strides=[2, 3])], {"x": x}, [("w", w)])


def test_what_quantization_and_products_need(tmp_path):
    x = np.array([[0.5, 1.5, -2.5], [3.25, -0.75, 2]], np.float32)
    evaluate(tmp_path, [helper.make_node("Round", ["x"], ["a"]),
                        helper.make_node("CumProd", ["x", "axis"], ["b"], exclusive=1, reverse=1),
                        helper.make_node("CumProd", ["x", "axis"], ["c"]),
                        helper.make_node("BitCast", ["x"], ["d"], to=TensorProto.INT32),
                        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["e"])],
             {"x": x}, [("axis", np.array(1, np.int64)), ("scale", np.array(0.25, np.float32)),
                        ("zero", np.array(7, np.uint8))], opset=26)


def test_a_step_of_a_decoder(tmp_path):
    """Two rows at different places of caches that hold anything behind, through a window and a soft cap."""
    from test_group_query import save
    random, heads = np.random.default_rng(0), {"q": 64, "k": 32, "v": 32}
    dump(save(tmp_path / "model.onnx", rotated=16, local_window_size=3, softcap=2.0), tmp_path)
    inputs = {name: random.standard_normal((2, 1, width)).astype(np.float32) for name, width in heads.items()}
    inputs.update({name: random.standard_normal((2, 2, 8, 16)).astype(np.float32) for name in ("past_k", "past_v")})
    inputs.update(last=np.array([5, 2], np.int32), total=np.array([8], np.int32))
    expected = reference(tmp_path / "model.onnx", inputs)
    for phase in PHASES:
        found = Interpreter(tmp_path / f"{phase}.mlir").run(inputs)
        np.testing.assert_allclose(found["y"], expected[0], rtol=2e-5, atol=2e-5, err_msg=phase)
        for name, want in zip(("present_k", "present_v"), expected[1:]):
            for row, length in enumerate((6, 3)):
                np.testing.assert_allclose(found[name][row, :, :length], want[row, :, :length], rtol=2e-5, atol=2e-5,
                                           err_msg=phase)


def test_a_place_outside_a_cache_is_noticed(tmp_path):
    (tmp_path / "m.mlir").write_text("""func.func @main(%x: tensor<1x1x2x4xf32> {tenon.name = "x", tenon.dims = [1, 1, 2, 4]},
        %c: tensor<2x1x3x4xf32> {tenon.name = "c", tenon.dims = [2, 1, 3, 4]}, %i: tensor<1xi64> {tenon.name = "i", tenon.dims = [1]},
        %s: tensor<1xi64> {tenon.name = "s", tenon.dims = [1]}) -> tensor<2x1x3x4xf32> {
      %0 = graph.append %x into %c at %i in %s : (tensor<1x1x2x4xf32>, tensor<2x1x3x4xf32>, tensor<1xi64>, tensor<1xi64>) -> tensor<2x1x3x4xf32>
      return %0 : tensor<2x1x3x4xf32>
    }""")
    run = Interpreter(tmp_path / "m.mlir").run
    inputs = {"x": np.ones((1, 1, 2, 4), np.float32), "c": np.zeros((2, 1, 3, 4), np.float32)}
    place = lambda start, slot: {**inputs, "i": np.array([start]), "s": np.array([slot])}
    np.testing.assert_array_equal(run(place(1, 1))["0"].any((1, 3)), [[False] * 3, [False, True, True]])
    for start, slot in ((2, 0), (-1, 0), (0, 2), (0, -1)):
        with pytest.raises(IndexError, match="of a cache of"):
            run(place(start, slot))


def test_empty_tensors(tmp_path):
    x = np.zeros((0, 4), np.float32)
    evaluate(tmp_path, [helper.make_node("MatMul", ["x", "w"], ["a"]), helper.make_node("Exp", ["a"], ["b"])],
             {"x": x}, [("w", np.ones((4, 3), np.float32))])


def test_two_slices_of_the_arena_that_overlap_are_noticed(tmp_path):
    """The module of a plan is executed with its places, not with those it needs."""
    graph = helper.make_graph(
        [helper.make_node("Softmax", ["x"], ["a"], axis=0), helper.make_node("Softmax", ["x"], ["b"], axis=1),
         helper.make_node("MatMul", ["a", "b"], ["y"])], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 8])],
        [helper.make_empty_tensor_value_info("y")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    model.graph.node[2].input[1] = "t"
    model.graph.node.insert(2, helper.make_node("Transpose", ["b"], ["t"]))
    onnx.save(model, tmp_path / "model.onnx")
    plan = dump(tmp_path / "model.onnx", tmp_path) / "6-plan.mlir"
    inputs = {"x": np.random.default_rng(0).standard_normal((6, 8)).astype(np.float32)}
    right = Interpreter(plan).run(inputs)["y"]
    text, count = re.subn(r"below \[\d[\d, ]*\]", "below []", plan.read_text())
    assert count
    plan.write_text(text)
    assert not np.allclose(Interpreter(plan).run(inputs)["y"], right)


def test_reads_the_generic_form():
    op, = parse('''#map = affine_map<(d0) -> (d0)>
"builtin.module"() ({
  %0:2 = "test.op"() <{a = #map, b = array<i64: 1, -2>, c = dense<"0x0000803F00000040"> : tensor<2xf32>}> {
    "quoted.name" = "say \\22hi\\22", flag, list = [1 : i32, [true], 0xFF800000 : f32], type = tensor<?x4xf32>,
    splat = dense<1> : tensor<2x2xi8>, packed = dense<"0x05"> : tensor<3xi1>} : () -> (tensor<f32>, index)
  "test.use"(%0#1, %0#0) : (index, tensor<f32>) -> ()
}) : () -> ()''').regions[0][0].ops[:1]
    assert op.results == ["%0#0", "%0#1"]
    assert op["a"] == "affine_map<(d0) -> (d0)>" and op["b"] == [1, -2]
    assert op["c"].tolist() == [1, 2] and op["packed"].tolist() == [True, False, True]
    assert op["quoted.name"] == 'say "hi"' and op["flag"] is True
    assert op["list"][:2] == [1, [True]] and np.isneginf(op["list"][2])
    assert op["type"] == "tensor<?x4xf32>" and op["splat"].shape == (2, 2)


def test_what_is_no_module_is_refused(tmp_path):
    from tenon import Error
    (tmp_path / "m.mlir").write_text("func.func @other() { return }")
    with pytest.raises(Error, match="has no function @main"):
        Interpreter(tmp_path / "m.mlir")
    (tmp_path / "m.mlir").write_text("nonsense")
    with pytest.raises(Error, match="custom op 'nonsense' is unknown"):
        Interpreter(tmp_path / "m.mlir")


def test_an_op_that_it_lacks_is_named(tmp_path):
    from tenon import Error
    (tmp_path / "m.mlir").write_text('func.func @main(%x: tensor<4xf32> {tenon.name = "x", tenon.dims = [4]}) '
                                     '-> tensor<4xf32> { %0 = gpu.thread_id x\n return %x : tensor<4xf32> }')
    with pytest.raises(Error, match="the interpreter has no gpu.thread_id"):
        Interpreter(tmp_path / "m.mlir").run({"x": np.zeros(4, np.float32)})


def test_an_input_of_another_type_is_refused(tmp_path):
    from tenon import Error
    (tmp_path / "m.mlir").write_text('func.func @main(%x: tensor<?xf32> {tenon.name = "x", tenon.dims = ["n"]}) '
                                     '-> tensor<?xf32> { return %x : tensor<?xf32> }')
    module = Interpreter(tmp_path / "m.mlir")
    with pytest.raises(Error, match="input 'x' is not set"):
        module.run({})
    with pytest.raises(Error, match="input 'x' must be f32 with 1 dimensions, is float64 with 1"):
        module.run({"x": np.zeros(3)})


def test_a_size_that_an_input_holds(tmp_path):
    x, shape = np.arange(24, dtype=np.float32).reshape(4, 6), np.array([3, -1], np.int64)
    graph = helper.make_graph(
        [helper.make_node("Reshape", ["x", "n"], ["r"]), helper.make_node("Exp", ["r"], ["y"])], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["a", 6]),
         helper.make_tensor_value_info("n", TensorProto.INT64, [2])],
        [helper.make_empty_tensor_value_info("y")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9),
              tmp_path / "model.onnx")
    dump(tmp_path / "model.onnx", tmp_path)
    for phase in PHASES:
        found = Interpreter(tmp_path / f"{phase}.mlir").run({"x": x, "n": shape})["y"]
        np.testing.assert_allclose(found, np.exp(x).reshape(3, 8), rtol=1e-6, err_msg=phase)
