"""Tensors without elements: a batch, a sequence or a past of size 0, one model for
each family of ops, against numpy or onnxruntime."""
import numpy as np
import onnx
import pytest
from conftest import compile_model, reference
from onnx import TensorProto, helper

import tenon

F, I, B = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
NODE = helper.make_node


def weight(name, *shape):
    values = np.random.default_rng(len(name)).standard_normal(shape).astype(np.float32)
    return onnx.numpy_helper.from_array(values, name)


def constant(name, values):
    return onnx.numpy_helper.from_array(np.asarray(values, np.int64), name)


# What a model computes: nodes that end in "y", the sizes of its inputs by symbol,
# and constants. An input that begins with "i" holds integers.
FAMILIES = {
    "elementwise": ([NODE("Mul", ["x", "w"], ["m"]), NODE("Add", ["m", "z"], ["a"]), NODE("Gelu", ["a"], ["y"])],
                    {"x": ["b", "s", 8], "z": ["b", 1, 8]}, [weight("w", 8)]),
    "comparison": ([NODE("Less", ["x", "z"], ["c"]), NODE("Where", ["c", "x", "z"], ["y"])],
                   {"x": ["b", "s"], "z": ["b", "s"]}, []),
    "reshape": ([NODE("Reshape", ["x", "heads"], ["r"]), NODE("Transpose", ["r"], ["y"], perm=[0, 2, 1, 3])],
                {"x": ["b", "s", 8]}, [constant("heads", [0, 0, 2, 4])]),
    "concat": ([NODE("Concat", ["x", "z"], ["y"], axis=1)], {"x": ["b", "p", 4], "z": ["b", "s", 4]}, []),
    "slice": ([NODE("Slice", ["x", "from", "to", "axes"], ["y"])], {"x": ["b", "s", 4]},
              [constant("from", [-2]), constant("to", [1 << 62]), constant("axes", [1])]),
    "slice_from_end": ([NODE("Shape", ["z"], ["n"], start=1, end=2), NODE("Neg", ["n"], ["from"]),
                        NODE("Slice", ["x", "from", "to", "axes"], ["y"])], {"x": ["b", "p", 4], "z": ["b", "s"]},
                       [constant("to", [1 << 62]), constant("axes", [1])]),
    "expand": ([NODE("Shape", ["x"], ["shape"]), NODE("Expand", ["row", "shape"], ["e"]),
                NODE("Add", ["e", "x"], ["y"])], {"x": ["b", "s", 4]}, [weight("row", 4)]),
    "gather": ([NODE("Gather", ["w", "ids"], ["y"])], {"ids": ["b", "s"]}, [weight("w", 16, 4)]),
    "gather_nd": ([NODE("GatherND", ["w", "ids"], ["y"])], {"ids": ["b", "s", 1]}, [weight("w", 16, 4)]),
    "matmul_weight": ([NODE("MatMul", ["x", "w"], ["m"]), NODE("Add", ["m", "bias"], ["a"]), NODE("Relu", ["a"], ["y"])],
                      {"x": ["b", "s", 8]}, [weight("w", 8, 32), weight("bias", 32)]),
    "matmul": ([NODE("MatMul", ["x", "z"], ["y"])], {"x": ["b", "s", "p"], "z": ["b", "p", 4]}, []),
    "softmax": ([NODE("Softmax", ["x"], ["y"], axis=-1)], {"x": ["b", "s", "p"]}, []),
    "softmax_inner": ([NODE("Softmax", ["x"], ["y"], axis=1)], {"x": ["b", "s", 4]}, []),
    "norm": ([NODE("LayerNormalization", ["x", "scale", "bias"], ["y"])], {"x": ["b", "s", 8]},
             [weight("scale", 8), weight("bias", 8)]),
    "reduce_sum": ([NODE("ReduceSum", ["x", "axes"], ["y"])], {"x": ["b", "s", 4]}, [constant("axes", [1])]),
    "reduce_row": ([NODE("ReduceMean", ["x", "axes"], ["y"])], {"x": ["b", "s", 4]}, [constant("axes", [-1])]),
    "attention": ([NODE("Transpose", ["k"], ["t"], perm=[0, 1, 3, 2]), NODE("MatMul", ["q", "t"], ["scores"]),
                   NODE("Softmax", ["scores"], ["p"], axis=-1), NODE("MatMul", ["p", "v"], ["y"])],
                  {"q": ["b", 2, "s", 8], "k": ["b", 2, "p", 8], "v": ["b", 2, "p", 8]}, []),
    "cache": ([NODE("Concat", ["past", "k"], ["keys"], axis=2), NODE("Transpose", ["keys"], ["t"], perm=[0, 1, 3, 2]),
               NODE("MatMul", ["q", "t"], ["scores"]), NODE("Softmax", ["scores"], ["w"], axis=-1),
               NODE("MatMul", ["w", "keys"], ["y"])],
              {"q": ["b", 2, "s", 8], "k": ["b", 2, "s", 8], "past": ["b", 2, "p", 8]}, []),
}
SIZES = [{"b": b, "s": s, "p": p} for b, s, p in ((0, 3, 2), (2, 0, 3), (2, 3, 0), (2, 0, 0), (0, 0, 0), (2, 3, 5))]


@pytest.fixture(scope="module", params=FAMILIES)
def family(request, tmp_path_factory):
    nodes, inputs, constants = FAMILIES[request.param]
    graph = helper.make_graph(
        nodes, request.param,
        [helper.make_tensor_value_info(name, I if name[0] == "i" else F, dims) for name, dims in inputs.items()],
        [helper.make_empty_tensor_value_info("y")], constants)
    folder = tmp_path_factory.mktemp(request.param)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9),
              folder / "model.onnx")
    artifact = compile_model(folder / "model.onnx", folder / "model.so")
    return folder / "model.onnx", inputs, tenon.Session(artifact, threads=2, check_memory=True)


@pytest.mark.parametrize("sizes", SIZES, ids=lambda sizes: "-".join(f"{n}{s}" for n, s in sizes.items()))
def test_family(family, sizes):
    model, inputs, session = family
    rng = np.random.default_rng(1)
    feed = {}
    for name, dims in inputs.items():
        shape = [sizes.get(dim, dim) for dim in dims]
        feed[name] = (rng.integers(0, 16, shape) if name[0] == "i" else
                      rng.standard_normal(shape).astype(np.float32))
    want, = reference(model, feed)
    got, = session.run(feed)
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
