"""Tensors of f64: computed in f64, by ops that have kernels for it."""
import numpy as np
import pytest
from test_functions import refused, run
from test_indexing import check, floats

RNG = np.random.default_rng(0)


def doubles(*shape):
    return RNG.standard_normal(shape)


def exact(folder, op, inputs, wanted, rtol=1e-14, **options):
    found, = run(folder, op, inputs, **options)
    assert found.dtype == np.asarray(wanted).dtype and found.shape == np.shape(wanted)
    np.testing.assert_allclose(found, wanted, rtol=rtol)


@pytest.mark.parametrize("op, function", [("Abs", np.abs), ("Neg", np.negative), ("Floor", np.floor), ("Ceil", np.ceil),
                                          ("Reciprocal", np.reciprocal), ("Relu", lambda x: np.maximum(x, 0)),
                                          ("Sign", np.sign), ("IsNaN", np.isnan), ("Exp", np.exp),
                                          ("Sigmoid", lambda x: 1 / (1 + np.exp(-x)))])
def test_unary(tmp_path, op, function):
    x = doubles(3, 17)
    exact(tmp_path, op, {"x": x}, function(x))


@pytest.mark.parametrize("op, function", [("Add", np.add), ("Sub", np.subtract), ("Mul", np.multiply), ("Div", np.divide),
                                          ("Max", np.maximum), ("Min", np.minimum), ("Less", np.less),
                                          ("Equal", np.equal), ("GreaterOrEqual", np.greater_equal)])
def test_binary(tmp_path, op, function):
    x, y = doubles(3, 17), doubles(17)
    exact(tmp_path, op, {"x": x, "y": y}, function(x, y))


def test_exp_and_log(tmp_path):
    x = np.concatenate([np.linspace(-750, 720, 30_001), np.linspace(-1e-3, 1e-3, 999), [0, np.inf, -np.inf, np.nan]])
    with np.errstate(all="ignore"):
        wanted = np.exp(x)
        found, = run(tmp_path, "Exp", {"x": x})
        np.testing.assert_allclose(found, wanted, rtol=1e-15, atol=5e-324)
        x = np.concatenate([np.exp(np.linspace(-745, 709, 30_001)), np.linspace(0.5, 2, 9999), [0, -1, 1, np.inf, -np.inf, np.nan]])
        found, = run(tmp_path, "Log", {"x": x})
        np.testing.assert_allclose(found, np.log(x), rtol=1e-15)
        x, y = np.exp(doubles(2000) * 5), doubles(2000) * 5
        found, = run(tmp_path, "Pow", {"x": x, "y": y}, opset=15)
        np.testing.assert_allclose(found, np.power(x, y), rtol=1e-13)


@pytest.mark.parametrize("op, function", [("ReduceSum", np.sum), ("ReduceMean", np.mean), ("ReduceMax", np.max),
                                          ("ReduceMin", np.min), ("ReduceProd", np.prod)])
@pytest.mark.parametrize("axis", [0, 1])
def test_reductions(tmp_path, op, function, axis):
    feeds = [{"x": doubles(*shape)} for shape in [(3, 40), (1, 1), (5, 2)]]
    check(tmp_path, op, feeds, {"axes": np.int64([axis])}, 18, wanted=lambda x: [function(x, axis, keepdims=True)])


def test_log_sum_exp(tmp_path):
    x = doubles(3, 9) * 300
    high = x.max(1, keepdims=True)
    exact(tmp_path, "ReduceLogSumExp", {"x": x}, np.log(np.exp(x - high).sum(1, keepdims=True)) + high,
          constants={"axes": np.int64([1])}, opset=18)


def test_layer_norm_written_out(tmp_path):
    import onnx
    import tenon as package
    from conftest import compile_model
    from onnx import TensorProto, helper
    nodes = [helper.make_node("ReduceMean", ["x"], ["mean"], axes=[-1]), helper.make_node("Sub", ["x", "mean"], ["d"]),
             helper.make_node("Mul", ["d", "d"], ["square"]), helper.make_node("ReduceMean", ["square"], ["v"], axes=[-1]),
             helper.make_node("Add", ["v", "e"], ["s"]), helper.make_node("Sqrt", ["s"], ["root"]),
             helper.make_node("Div", ["d", "root"], ["y"])]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.DOUBLE, ["n", 24])],
                              [helper.make_tensor_value_info("y", TensorProto.DOUBLE, ["n", 24])],
                              [onnx.numpy_helper.from_array(np.float64(1e-12), "e")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "model.onnx")
    x = doubles(5, 24)
    found, = package.Session(compile_model(tmp_path / "model.onnx", tmp_path / "model.so")).run({"x": x})
    d = x - x.mean(-1, keepdims=True)
    np.testing.assert_allclose(found, d / np.sqrt((d * d).mean(-1, keepdims=True) + 1e-12), rtol=1e-12)


@pytest.mark.parametrize("cpu", [(), ("--cpu", "x86-64-v3")], ids=["host", "v3"])
def test_products(tmp_path, cpu):
    import tenon as package
    from conftest import compile_model
    from test_indexing import save
    for shape, other in [((5, 70), (70, 37)), ((2, 3, 8), (8, 33)), ((3, 4, 130), (3, 130, 5)), ((1, 1), (1, 1)), ((2, 0), (0, 3))]:
        inputs = {"a": doubles(*shape), "b": doubles(*other)}
        for constant in (False, True):
            model = save(tmp_path / "model.onnx", "MatMul", {"a": inputs["a"]} if constant else inputs,
                         {"b": inputs["b"]} if constant else {}, 13)
            found, = package.Session(compile_model(model, tmp_path / "model.so", *cpu)).run(
                {"a": inputs["a"]} if constant else inputs)
            np.testing.assert_allclose(found, inputs["a"] @ inputs["b"], rtol=1e-12, atol=1e-12)


def test_gemm(tmp_path):
    a, b, c = doubles(9, 5), doubles(9, 7), doubles(7)
    exact(tmp_path, "Gemm", {"a": a, "b": b, "c": c}, 0.5 * a.T @ b + 2 * c, rtol=1e-11, opset=13, transA=1, alpha=0.5, beta=2.0)


def test_top_k(tmp_path):
    x = doubles(4, 9)
    values, indices = run(tmp_path, "TopK", {"x": x}, {"k": np.int64([3])}, 11, outputs=2)
    np.testing.assert_array_equal(values, -np.sort(-x, axis=1)[:, :3])
    np.testing.assert_array_equal(indices, np.argsort(-x, axis=1)[:, :3])


@pytest.mark.parametrize("op", ["Softmax", "Tanh", "Erf", "Sin", "Cos"])
def test_what_has_no_kernel_is_refused(tmp_path, op):
    message = refused(tmp_path, op, {"x": doubles(3, 4)}, opset=13)
    assert f"node 'node': computes 'graph.{op.lower()}' in f64, for which there is no kernel" in message
