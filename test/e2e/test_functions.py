"""Elementwise functions and small operators of ONNX against numpy or onnx's own evaluator."""
import numpy as np
import onnx
import pytest
import tenon as package
from conftest import compile_model, tenon
from onnx import TensorProto, helper
from test_indexing import check, floats, ints, save

NUMPY = {"Acos": np.arccos, "Acosh": np.arccosh, "Asin": np.arcsin, "Asinh": np.arcsinh, "Atan": np.arctan,
         "Atanh": np.arctanh, "Cosh": np.cosh, "Sinh": np.sinh, "Tan": np.tan}


def run(folder, op, inputs, constants={}, opset=22, outputs=1, **attributes):
    model = save(folder / "model.onnx", op, inputs, constants, opset, outputs, **attributes)
    return package.Session(compile_model(model, folder / "model.so")).run(inputs)


def refused(folder, op, inputs, constants={}, opset=22, outputs=1, **attributes):
    model = save(folder / "model.onnx", op, inputs, constants, opset, outputs, fixed=True, **attributes)
    result = tenon("compile", model, "-o", folder / "model.so")
    assert result.returncode in (1, 3)
    return result.stderr


@pytest.mark.parametrize("op", NUMPY)
def test_functions_over_all_of_f32(tmp_path, op):
    """Numbers of every magnitude, those around 1, and what is no number."""
    bits = np.random.default_rng(0).integers(0, 1 << 32, 100_000, dtype=np.uint32)
    x = np.concatenate([bits.view(np.float32), np.linspace(-12, 12, 100_001, dtype=np.float32),
                        np.linspace(-1.01, 1.01, 10_001, dtype=np.float32), 1 + np.float32(2.0) ** -np.arange(24),
                        np.float32([0, -0.0, 1, -1, 0.5, -0.5, np.inf, -np.inf, np.nan, 88.9, -88.9, 89.4, 90])])
    if op == "Tan":
        x = x[~(np.abs(x) > 1e6)]  # Sin and Cos hold up to there
    with np.errstate(all="ignore"):
        wanted = NUMPY[op](x.astype(np.float64))
        wanted = np.where(np.abs(wanted) > np.finfo(np.float32).max, np.copysign(np.inf, wanted), wanted)
    found, = run(tmp_path, op, {"x": x.astype(np.float32)})
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-38)
    # The sign of a zero, too.
    if op not in ("Acos", "Acosh", "Cosh", "Tan"):
        np.testing.assert_array_equal(np.signbit(found[x == 0]), np.signbit(x[x == 0]))


def test_functions_of_16_bits_are_computed_in_f32(tmp_path):
    x = np.linspace(-1, 1, 999).astype(np.float16)
    found, = run(tmp_path, "Asin", {"x": x})
    np.testing.assert_array_equal(found, np.arcsin(x.astype(np.float32)).astype(np.float16))


def test_functions_of_f64_are_refused(tmp_path):
    message = refused(tmp_path, "Sinh", {"x": np.zeros(3)})
    assert "node 'node' (Sinh): is computed in f32, so an operand of f64 is unsupported" in message


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_round(tmp_path, kind):
    x = np.array([0.5, 1.5, 2.5, -0.5, -1.5, 0.49999997, 2.0 ** 24 + 1, 1e30, -7.3, np.inf, -np.inf, np.nan, 0]).astype(kind)
    found, = run(tmp_path, "Round", {"x": x})
    np.testing.assert_array_equal(found, np.rint(x))


@pytest.mark.parametrize("opset", [1, 6, 17])
def test_not_has_never_changed(tmp_path, opset):
    found, = run(tmp_path, "Not", {"x": np.array([True, False])}, opset=opset)
    np.testing.assert_array_equal(found, [False, True])


def test_others_need_opset_7(tmp_path):
    assert "(And, ai.onnx, opset 6): unsupported opset" in refused(
        tmp_path, "And", {"x": np.zeros(2, bool), "y": np.zeros(2, bool)}, opset=6)


TYPES = [np.float32, np.int32, np.uint32, np.float64, np.int64, np.float16, np.int16, np.uint16, np.int8, np.uint8, np.bool_]


@pytest.mark.parametrize("from_type", TYPES)
def test_bit_cast(tmp_path, from_type):
    size = np.dtype(from_type).itemsize
    x = ints(0, 2, 64).astype(np.bool_) if from_type is np.bool_ else ints(0, 256, 8 * size).astype(np.uint8).view(from_type)
    for to_type in TYPES:
        if np.dtype(to_type).itemsize != size or to_type is np.bool_ and from_type is not np.bool_:
            continue
        found, = run(tmp_path, "BitCast", {"x": x}, opset=26, to=helper.np_dtype_to_tensor_dtype(np.dtype(to_type)))
        assert found.dtype == to_type
        np.testing.assert_array_equal(found.view(np.uint8), x.view(np.uint8))


def test_bit_cast_of_bf16(tmp_path):
    import ml_dtypes
    x = np.arange(1 << 16, dtype=np.uint16)
    found, = run(tmp_path, "BitCast", {"x": x}, opset=26, to=TensorProto.BFLOAT16)
    assert found.dtype == ml_dtypes.bfloat16
    np.testing.assert_array_equal(found.view(np.uint16), x)
    found, = run(tmp_path, "BitCast", {"x": found}, opset=26, to=TensorProto.INT16)
    np.testing.assert_array_equal(found, x.view(np.int16))


def test_bit_cast_is_refused(tmp_path):
    assert "takes the bits of 'f32' as 'i64', but their widths differ" in refused(
        tmp_path, "BitCast", {"x": floats(3)}, opset=26, to=TensorProto.INT64)
    assert "takes bits as element type FLOAT8E8M0, which is unsupported" in refused(
        tmp_path, "BitCast", {"x": np.zeros(3, np.int8)}, opset=26, to=TensorProto.FLOAT8E8M0)


SHAPES = [(2, 3, 5), (1, 6, 2), (0, 3, 2), (2, 0, 3)]


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("exclusive, reverse", [(0, 0), (1, 0), (0, 1), (1, 1)])
@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int64, np.uint32])
def test_cumprod(tmp_path, axis, exclusive, reverse, kind):
    def wanted(x):
        y = np.flip(x, axis) if reverse else x
        y = np.cumprod(y, axis, dtype=kind)
        if exclusive:
            y = np.concatenate([np.ones_like(y.take([0], axis) if y.shape[axis] else y),
                                y.take(range(y.shape[axis] - 1), axis)], axis)
        return [np.flip(y, axis) if reverse else y]
    feeds = [{"x": (3 * np.abs(floats(*shape)) + 1).astype(kind)} for shape in SHAPES]
    check(tmp_path, "CumProd", feeds, {"axis": np.int64(axis)}, 26, wanted=wanted, exclusive=exclusive, reverse=reverse)


@pytest.mark.parametrize("k", [0, 1, -2])
@pytest.mark.parametrize("dtype", [None, np.float64, np.int32, np.bool_])
def test_eye_like(tmp_path, k, dtype):
    feeds = [{"x": ints(0, 9, *shape).astype(np.int64)} for shape in [(3, 4), (4, 3), (1, 1), (0, 2)]]
    attributes = {"k": k}
    if dtype:
        attributes["dtype"] = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    check(tmp_path, "EyeLike", feeds, opset=22, wanted=lambda x: [np.eye(*x.shape, k=k, dtype=dtype or x.dtype)], **attributes)


def test_eye_like_is_refused(tmp_path):
    assert "(EyeLike): needs a rank of 2, but has 'tensor<3xf32>'" in refused(tmp_path, "EyeLike", {"x": floats(3)})
    assert "gives element type STRING, which is unsupported" in refused(
        tmp_path, "EyeLike", {"x": floats(3, 3)}, dtype=TensorProto.STRING)


@pytest.mark.parametrize("opset, kind", [(7, np.float32), (10, np.bool_), (22, np.bool_)])
def test_dropout_keeps_all(tmp_path, opset, kind):
    x = floats(2, 3)
    found, mask = run(tmp_path, "Dropout", {"x": x}, opset=opset, outputs=2)
    np.testing.assert_array_equal(found, x)
    assert mask.dtype == kind and mask.shape == x.shape and mask.all()


@pytest.mark.parametrize("time", [0, 1])
@pytest.mark.parametrize("rank", [2, 3])
def test_reverse_sequence(tmp_path, time, rank):
    feeds = []
    for shape in [(4, 3, 2), (1, 1, 1), (5, 5, 0), (0, 3, 2)]:
        x = floats(*shape[:rank])
        lengths = ints(0, x.shape[time] + 1, x.shape[1 - time])
        feeds.append({"x": x, "lengths": np.asarray(lengths, np.int64)})

    def wanted(x, lengths):
        y = x.copy()
        for batch, length in enumerate(lengths):
            for step in range(length):
                place, source = ((step, batch), (length - 1 - step, batch)) if time == 0 else ((batch, step), (batch, length - 1 - step))
                y[place] = x[source]
        return [y]
    check(tmp_path, "ReverseSequence", feeds, wanted=wanted, time_axis=time, batch_axis=1 - time)


def test_reverse_sequence_is_refused(tmp_path):
    lengths = np.zeros(3, np.int64)
    assert "has time_axis 0 and batch_axis 0 for 'tensor<2x3xf32>', but they must be 0 and 1 or 1 and 0" in refused(
        tmp_path, "ReverseSequence", {"x": floats(2, 3), "lengths": lengths}, time_axis=0, batch_axis=0)
    assert "needs a length for each sequence, but has 'tensor<1x3xi64>'" in refused(
        tmp_path, "ReverseSequence", {"x": floats(2, 3), "lengths": lengths[None]})


@pytest.mark.parametrize("alpha", [1.0, 1.702])
def test_swiglu(tmp_path, alpha):
    feeds = [{"a": floats(*shape), "b": floats(*shape)} for shape in SHAPES]
    check(tmp_path, "SwiGLU", feeds, opset=28, wanted=lambda a, b: [a / (1 + np.exp(-alpha * a)) * b], alpha=alpha)


def test_swiglu_does_not_broadcast(tmp_path):
    assert "needs operands of one shape, but has 'tensor<2x3xf32>' and 'tensor<3xf32>'" in refused(
        tmp_path, "SwiGLU", {"a": floats(2, 3), "b": floats(3)}, opset=28)


@pytest.mark.parametrize("mode", ["linear", "circular"])
@pytest.mark.parametrize("axis", [-2, 1])
def test_tensor_scatter(tmp_path, mode, axis):
    feeds = []
    for length, size in [(3, 7), (1, 7), (7, 7), (0, 4)]:
        cache, update = [2, 3, 3, 2], [2, 3, 3, 2]
        cache[axis], update[axis] = size, length
        start = ints(0, size if mode == "circular" else size - length + 1, 2)
        feeds.append({"cache": floats(*cache), "update": floats(*update), "start": np.asarray(start, np.int64)})

    def wanted(cache, update, start):
        y = cache.copy()
        for place in np.ndindex(*update.shape):
            to = list(place)
            to[axis] = (to[axis] + start[place[0]]) % cache.shape[axis]
            y[tuple(to)] = update[place]
        return [y]
    check(tmp_path, "TensorScatter", feeds, opset=24, wanted=wanted, mode=mode, axis=axis)


def test_tensor_scatter_from_the_start(tmp_path):
    cache, update = floats(2, 5, 3), floats(2, 2, 3)
    found, = run(tmp_path, "TensorScatter", {"cache": cache, "update": update}, opset=24)
    np.testing.assert_array_equal(found, np.concatenate([update, cache[:, 2:]], 1))


def test_tensor_scatter_is_refused(tmp_path):
    inputs = {"cache": floats(2, 5, 3), "update": floats(2, 2, 3)}
    assert "mode must be linear or circular, but is up" in refused(tmp_path, "TensorScatter", inputs, opset=24, mode="up")
    assert "and an axis behind the batch, but has 'tensor<2x2x3xf32>' and axis 0" in refused(
        tmp_path, "TensorScatter", inputs, opset=24, axis=0)
    inputs["start"] = np.zeros((2, 1), np.int64)
    assert "needs one write index for each batch, but has 'tensor<2x1xi64>'" in refused(
        tmp_path, "TensorScatter", inputs, opset=24)


def run_constant(folder, op, constants, opset, **attributes):
    """Of an op whose operands are all constants; the model's input is added to its result."""
    names = list(constants)
    nodes = [helper.make_node(op, names, ["made"], name="node", **attributes), helper.make_node("Add", ["made", "x"], ["y"])]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [])],
                              [helper.make_empty_tensor_value_info("y")],
                              [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10), folder / "model.onnx")
    return folder / "model.onnx"


@pytest.mark.parametrize("periodic", [0, 1])
@pytest.mark.parametrize("op", ["HannWindow", "HammingWindow", "BlackmanWindow"])
def test_windows(tmp_path, op, periodic):
    model = run_constant(tmp_path, op, {"size": np.int64(400)}, 17, periodic=periodic)
    found, = package.Session(compile_model(model, tmp_path / "model.so")).run({"x": np.float32(0)})
    angle = 2 * np.pi * np.arange(400) / (400 if periodic else 399)
    first, second, third = {"HannWindow": (0.5, 0.5, 0), "HammingWindow": (25 / 46, 21 / 46, 0),
                            "BlackmanWindow": (0.42, 0.5, 0.08)}[op]
    np.testing.assert_allclose(found, first - second * np.cos(angle) + third * np.cos(2 * angle), atol=5e-7)


def test_windows_are_refused(tmp_path):
    model = run_constant(tmp_path, "HannWindow", {"size": np.int64([4, 5])}, 17)
    assert "needs one size, but has 2" in tenon("compile", model, "-o", tmp_path / "model.so").stderr
    model = run_constant(tmp_path, "HannWindow", {"size": np.int64(4)}, 17, output_datatype=8)
    assert "(HannWindow): gives element type STRING, which is unsupported" in tenon(
        "compile", model, "-o", tmp_path / "model.so").stderr


@pytest.mark.parametrize("align", [0, 1])
@pytest.mark.parametrize("size", [(2, 3, 4, 6), (1, 3, 2, 4, 5)])
def test_affine_grid(tmp_path, align, size):
    from onnx.reference import ReferenceEvaluator
    dims = len(size) - 2
    model = run_constant(tmp_path, "AffineGrid", {"theta": floats(size[0], dims, dims + 1), "size": np.int64(size)}, 20,
                         align_corners=align)
    wanted, = ReferenceEvaluator(onnx.load(model)).run(None, {"x": np.float32(0)})
    found, = package.Session(compile_model(model, tmp_path / "model.so")).run({"x": np.float32(0)})
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("bounds", [(0, 1, 0.1), (1.5, -4, -0.5), (0, 3, 1), (2, 2, 1), (5, 1, 1)])
def test_range_of_floats(tmp_path, kind, bounds):
    names = ["start", "limit", "delta"]
    nodes = [helper.make_node("Range", names, ["r"], name="node"), helper.make_node("Add", ["r", "x"], ["y"])]
    number = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", number, [])],
                              [helper.make_empty_tensor_value_info("y")],
                              [onnx.numpy_helper.from_array(np.asarray(value, kind), name) for name, value in zip(names, bounds)])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=8), tmp_path / "model.onnx")
    found, = package.Session(compile_model(tmp_path / "model.onnx", tmp_path / "model.so")).run({"x": np.asarray(0, kind)})
    start, limit, delta = (float(np.asarray(bound, kind)) for bound in bounds)
    wanted = (start + np.arange(max(np.ceil((limit - start) / delta), 0)) * delta).astype(kind)
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol={np.float16: 1e-3, np.float32: 1e-6, np.float64: 1e-15}[kind])


def test_range_of_floats_is_refused(tmp_path):
    one = np.float32(1)
    assert "operand 2 must be a scalar of 'f32', but has type 'tensor<1xf32>'" in refused(
        tmp_path, "Range", {}, {"a": one, "b": one, "c": np.float32([1])}, opset=11)
    assert "goes from 1.000000e+00 to 1.000000e+00 in steps of 0.000000e+00" in refused(
        tmp_path, "Range", {}, {"a": one, "b": one, "c": np.float32(0)}, opset=11)


def test_affine_grid_is_refused(tmp_path):
    model = run_constant(tmp_path, "AffineGrid", {"theta": floats(2, 3, 4), "size": np.int64([2, 3, 4, 6])}, 20)
    assert "needs 4 sizes and matrices of 2×3 or 5 sizes and matrices of 3×4, but has 4 and 'tensor<2x3x4xf32>'" in tenon(
        "compile", model, "-o", tmp_path / "model.so").stderr


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("fmod", [0, 1])
def test_mod_of_floats_is_exact(tmp_path, kind, fmod):
    rng = np.random.default_rng(3)
    x = np.concatenate([rng.standard_normal(2000) * 10.0 ** rng.integers(-3, 4, 2000), [7.5, -7.5, 0, 5, -5, np.inf, 3, -3]])
    y = np.concatenate([rng.standard_normal(2000), [2.5, 2.5, 3, np.inf, np.inf, 2, np.nan, np.inf]])
    x, y = x.astype(kind), y.astype(kind)
    with np.errstate(all="ignore"):
        wanted = (np.fmod if fmod else np.mod)(x.astype(np.float64), y.astype(np.float64)).astype(kind)
    found, = run(tmp_path, "Mod", {"x": x, "y": y}, opset=13, fmod=fmod)
    np.testing.assert_array_equal(found, wanted)
