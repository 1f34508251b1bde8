"""A few of the random graphs of test/fuzz, and what they found."""
import sys

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import tenon as runtime
from conftest import BUILD, ROOT, compile_model

sys.path.insert(0, str(ROOT / "test/fuzz"))
import fuzz_graphs  # noqa: E402


@pytest.mark.parametrize("seed", range(25))
def test_random_graph(seed):
    verdict, text, _ = fuzz_graphs.run_seed(seed, BUILD / "bin/tenon")
    assert verdict in ("same", "explained"), text


def run(tmp_path, nodes, inputs, dims, constants=()):
    """Compiles a graph whose last result is its output, and runs it."""
    kinds = {name: helper.np_dtype_to_tensor_dtype(value.dtype) for name, value in inputs.items()}
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info(name, kinds[name], dims[name]) for name in inputs],
        [helper.make_empty_tensor_value_info(nodes[-1].output[0])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10),
              tmp_path / "model.onnx")
    session = runtime.Session(compile_model(tmp_path / "model.onnx", tmp_path / "model.so"))
    return session.run(inputs)[0]


def test_product_of_no_rows(tmp_path):
    x = np.zeros((4, 3, 0, 5), np.float32)
    y = run(tmp_path, [helper.make_node("MatMul", ["x", "w"], ["y"])], {"x": x}, {"x": [4, "a", 0, 5]},
            [("w", np.ones((5, 40), np.float32))])
    assert y.shape == (4, 3, 0, 40)


def test_shape_without_elements(tmp_path):
    x = np.zeros((3, 4), np.float32)
    y = run(tmp_path, [helper.make_node("Shape", ["x"], ["y"], start=2, end=1)], {"x": x}, {"x": [3, 4]})
    assert y.shape == (0,) and y.dtype == np.int64


def test_bits_that_are_not_all_set(tmp_path):
    x = np.array([4, 7], np.int64)
    found = run(tmp_path, [helper.make_node("BitwiseAnd", ["x", "one"], ["y"])], {"x": x}, {"x": ["a"]}, [("one", np.int64([1]))])
    np.testing.assert_array_equal(found, [0, 1])


def test_regions_that_read_nothing(tmp_path):
    nodes = [helper.make_node("Shape", ["x"], ["s"]), helper.make_node("Cast", ["s"], ["f"], to=1),
             helper.make_node("Clip", ["f", "low", "high"], ["c"]), helper.make_node("Clip", ["c", "low", "high"], ["d"]),
             helper.make_node("MatMul", ["d", "w"], ["y"])]
    found = run(tmp_path, nodes, {"x": np.zeros(8, np.float32)}, {"x": [8]},
                [("low", np.float32(-1)), ("high", np.float32(1.5)), ("w", np.ones((1, 7), np.float32))])
    np.testing.assert_array_equal(found, np.full(7, 1.5, np.float32))


@pytest.mark.parametrize("dim", [3, "a"])
def test_backwards_from_before_the_first_element(tmp_path, dim):
    """ONNX clamps such a start to the first element, whether the size is known or not."""
    constants = [(name, np.int64([value])) for name, value in (("start", -5), ("end", -2**31), ("axis", 0), ("step", -2))]
    found = run(tmp_path, [helper.make_node("Slice", ["x", "start", "end", "axis", "step"], ["y"])],
                {"x": np.float32([7, 8, 9])}, {"x": [dim]}, constants)
    np.testing.assert_array_equal(found, np.float32([7]))


def test_sum_of_a_symbol_and_a_known_size(tmp_path):
    x, y = np.arange(5, dtype=np.float32), np.ones(5, np.float32)
    found = run(tmp_path, [helper.make_node("Add", ["x", "y"], ["z"])], {"x": x, "y": y}, {"x": ["a"], "y": [5]})
    np.testing.assert_array_equal(found, x + y)


def test_unsigned_integers(tmp_path):
    x = np.array([0, 1, 200, 255], np.uint8)
    nodes = [helper.make_node("Div", ["x", "three"], ["third"]), helper.make_node("Mod", ["x", "three"], ["rest"]),
             helper.make_node("Max", ["third", "rest"], ["largest"]), helper.make_node("Cast", ["largest"], ["y"], to=1)]
    found = run(tmp_path, nodes, {"x": x}, {"x": ["a"]}, [("three", np.uint8(3))])
    np.testing.assert_array_equal(found, np.maximum(x // 3, x % 3).astype(np.float32))


@pytest.mark.parametrize("op", ["Div", "Mod"])
def test_division_of_integers_never_traps(tmp_path, op):
    x = np.array([7, -7, -2**63, -2**63, 5], np.int64)
    y = np.array([0, 0, -1, 2, -3], np.int64)
    found = run(tmp_path, [helper.make_node(op, ["x", "y"], ["z"])], {"x": x, "y": y}, {"x": ["a"], "y": ["a"]})
    wanted = [0, 0, -2**63, -2**62, -1] if op == "Div" else [0, 0, 0, 0, -1]
    np.testing.assert_array_equal(found, wanted)


def test_result_seen_with_other_sizes(tmp_path):
    """As many dimensions as before, so only the sizes say how far apart its rows are."""
    x, to = np.arange(12, dtype=np.float32).reshape(6, 2), np.array([3, -1], np.int64)
    nodes = [helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0]), helper.make_node("Reshape", ["t", "to"], ["y"])]
    found = run(tmp_path, nodes, {"x": x, "to": to}, {"x": ["a", "b"], "to": [2]})
    np.testing.assert_array_equal(found, x.T.reshape(3, 4))


@pytest.mark.parametrize("op, wanted", [("ReduceL2", [5, 2]), ("ReduceLogSum", [1, 1]), ("ReduceLogSumExp", [4, 2])])
def test_reductions_of_integers_that_are_functions(tmp_path, op, wanted):
    x = np.array([[3, 4], [2, 2]], np.int64)
    found = run(tmp_path, [helper.make_node(op, ["x", "axes"], ["y"], keepdims=0)], {"x": x}, {"x": ["a", 2]},
                [("axes", np.int64([1]))])
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("op, function", [("ReduceLogSum", np.log), ("ReduceSumSquare", np.square), ("ReduceL2", np.abs),
                                          ("ReduceL1", np.abs), ("ReduceSum", np.copy), ("ReduceLogSumExp", np.copy)])
def test_reductions_over_no_axes(tmp_path, op, function):
    """ONNX: nothing is combined, but what else the operator does is done."""
    x = np.float32([[0.5, 2], [3, 4]]) * (-1 if function is np.abs else 1)
    found = run(tmp_path, [helper.make_node(op, ["x"], ["y"], keepdims=0, noop_with_empty_axes=1)], {"x": x}, {"x": ["a", 2]})
    np.testing.assert_allclose(found, function(x), rtol=1e-6)


def test_several_ops_of_16_bits_round_once(tmp_path):
    """The logarithm of a sum is larger than what is left of it, and squares overflow."""
    x = np.random.default_rng(0).uniform(-3, 3, (40, 33)).astype(np.float16)
    wide = x.astype(np.float64)
    found = run(tmp_path, [helper.make_node("LogSoftmax", ["x"], ["y"])], {"x": x}, {"x": ["a", 33]})
    wanted = wide - np.log(np.exp(wide).sum(-1, keepdims=True))
    assert (np.abs(found - wanted) <= np.spacing(np.abs(wanted).astype(np.float16)).astype(np.float64) * 0.51).all()
    large = np.full((3, 4), 300, np.float16)
    found = run(tmp_path, [helper.make_node("ReduceL2", ["x"], ["y"], keepdims=0)], {"x": large}, {"x": ["a", 4]})
    assert found == np.float16(300 * np.sqrt(12))


def test_products_of_a_transposed_convolution_are_not_rounded(tmp_path):
    x, w = np.float16([[[1 + 2**-10, 1]]]), np.float16([[[-1 - 2**-9, 1 + 2**-10]]])
    found = run(tmp_path, [helper.make_node("ConvTranspose", ["x", "w"], ["y"])], {"x": x}, {"x": ["a", 1, "b"]}, [("w", w)])
    wide = np.convolve(x[0, 0].astype(np.float64), w[0, 0].astype(np.float64))
    np.testing.assert_array_equal(found[0, 0], wide.astype(np.float16))


def test_a_loop_without_condition_ignores_that_of_its_body(tmp_path):
    body = helper.make_graph(
        [helper.make_node("Less", ["i", "one"], ["go_on"]), helper.make_node("Add", ["v", "v"], ["twice"]),
         helper.make_node("Identity", ["twice"], ["row"])], "body",
        [helper.make_tensor_value_info("i", 7, []), helper.make_tensor_value_info("go", 9, []),
         helper.make_tensor_value_info("v", 1, ["a"])],
        [helper.make_tensor_value_info("go_on", 9, []), helper.make_tensor_value_info("twice", 1, ["a"]),
         helper.make_tensor_value_info("row", 1, ["a"])])
    found = run(tmp_path, [helper.make_node("Loop", ["trips", "", "x"], ["last", "y"], body=body),
                           helper.make_node("Identity", ["y"], ["z"])],
                {"x": np.float32([1, 3])}, {"x": ["a"]}, [("trips", np.int64(4)), ("one", np.int64(1))])
    np.testing.assert_array_equal(found, np.outer([2, 4, 8, 16], np.float32([1, 3])))


def test_shrink_of_unsigned_integers(tmp_path):
    x = np.uint8([0, 1, 2, 3, 255])
    found = run(tmp_path, [helper.make_node("Shrink", ["x"], ["y"], lambd=2.0, bias=1.0)], {"x": x}, {"x": ["a"]})
    np.testing.assert_array_equal(found, [0, 0, 0, 2, 254])


def test_gemm_with_a_factor_of_no_third_matrix(tmp_path):
    x, w = np.float32([[1, 2]]), np.float32([[3], [4]])
    found = run(tmp_path, [helper.make_node("Gemm", ["x", "w"], ["y"], beta=0.25)], {"x": x}, {"x": ["a", 2]}, [("w", w)])
    np.testing.assert_array_equal(found, x @ w)


def test_log_softmax_of_large_elements(tmp_path):
    """The logarithm is not lost in the last digits of the largest."""
    x = np.float32(2**20) + np.float32([[0, 1, 2, 3]])
    found = run(tmp_path, [helper.make_node("LogSoftmax", ["x"], ["y"])], {"x": x}, {"x": ["a", 4]})
    wide = np.arange(4) - np.log(np.exp(np.arange(4)).sum())
    np.testing.assert_allclose(found[0], wide, rtol=1e-6)


@pytest.mark.parametrize("op", ["BatchNormalization", "LpNormalization", "LRN", "MeanVarianceNormalization"])
def test_norms_of_16_bits_round_once(tmp_path, op):
    random = np.random.default_rng(1)
    x, parts = random.uniform(-3, 3, (3, 4, 5, 6)).astype(np.float16), random.uniform(0.5, 2, (4, 4)).astype(np.float16)
    wide = x.astype(np.float64)
    constants, attributes = [], {}
    if op == "BatchNormalization":
        constants = list(zip("sbmv", parts))
        s, b, m, v = parts.astype(np.float64)[:, :, None, None]
        wanted = (wide - m) / np.sqrt(v + np.float32(1e-5)) * s + b
    elif op == "LRN":
        attributes = {"size": 1, "alpha": 0.5, "bias": 2.0}
        wanted = wide / (2 + 0.5 * wide**2)**0.75
    elif op == "LpNormalization":
        wanted = wide / np.sqrt((wide**2).sum(-1, keepdims=True))
    else:
        centred = wide - wide.mean((0, 2, 3), keepdims=True)
        wanted = centred / np.sqrt((centred**2).mean((0, 2, 3), keepdims=True))
    found = run(tmp_path, [helper.make_node(op, ["x", *[name for name, _ in constants]], ["y"], **attributes)], {"x": x},
                {"x": ["a", 4, 5, "b"]}, constants)
    assert (np.abs(found - wanted) <= np.spacing(np.abs(wanted).astype(np.float16)).astype(np.float64) * 0.51).all()
