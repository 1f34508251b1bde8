"""Quantized operators, bit for bit as onnxruntime computes them, where it does."""
import ml_dtypes
import numpy as np
import onnx
import pytest
import tenon as package
from conftest import compile_model, reference
from onnx import TensorProto, helper
from test_functions import refused, run
from test_indexing import check, floats, ints, save

INTEGERS = [np.uint8, np.int8, np.uint16, np.int16]


def same(folder, op, inputs, constants={}, opset=21, outputs=1, **attributes):
    """Compares with onnxruntime."""
    model = save(folder / "model.onnx", op, inputs, constants, opset, outputs, **attributes)
    untyped = onnx.load(model)
    for output in untyped.graph.output:
        output.ClearField("type")
    onnx.save(untyped, model)
    wanted = reference(model, inputs)
    found = package.Session(compile_model(model, folder / "model.so")).run(inputs)
    for got, want in zip(found, wanted, strict=True):
        assert got.dtype == want.dtype and got.shape == want.shape
        np.testing.assert_array_equal(got, want)


def integers(kind, *shape):
    limits = np.iinfo(kind)
    return ints(limits.min, limits.max + 1, *shape).astype(kind)


def hard(*shape):
    """Halves, what is out of range, and what is no number among others."""
    x = floats(*shape) * 300
    special = np.float32([0.5, 1.5, 2.5, -0.5, -1.5, 1e9, -1e9, 1e38, np.inf, -np.inf, 0, -0.0])
    x.flat[:len(special)] = special[:x.size]
    return x


@pytest.mark.parametrize("kind", INTEGERS)
@pytest.mark.parametrize("zero", [False, True])
def test_quantize_and_dequantize_a_tensor(tmp_path, kind, zero):
    for scale in np.float32([1, 0.37, 2.0 ** -20]):
        constants = {"scale": scale, "zero": integers(kind)} if zero else {"scale": scale}
        if zero or kind is np.uint8:
            same(tmp_path, "QuantizeLinear", {"x": hard(7, 33)}, constants)
        same(tmp_path, "DequantizeLinear", {"x": integers(kind, 5, 33)}, constants)


@pytest.mark.parametrize("kind", INTEGERS)
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_quantize_and_dequantize_along_an_axis(tmp_path, kind, axis):
    size = (3, 5, 4)[axis]
    scale, zero = np.abs(floats(size)) + np.float32(0.1), integers(kind, size)
    same(tmp_path, "QuantizeLinear", {"x": hard(3, 5, 4), "scale": scale, "zero": zero}, axis=axis)
    same(tmp_path, "DequantizeLinear", {"x": integers(kind, 3, 5, 4)}, {"scale": scale, "zero": zero}, axis=axis)


@pytest.mark.parametrize("kind", INTEGERS)
@pytest.mark.parametrize("axis, block", [(0, 2), (1, 3), (2, 4), (-1, 3)])
def test_quantize_and_dequantize_by_blocks(tmp_path, kind, axis, block):
    shape = [4, 6, 8]
    shape[axis] = -(-shape[axis] // block)
    scale, zero = np.abs(floats(*shape)) + np.float32(0.1), integers(kind, *shape)
    same(tmp_path, "QuantizeLinear", {"x": hard(4, 6, 8)}, {"scale": scale, "zero": zero}, axis=axis, block_size=block)
    same(tmp_path, "DequantizeLinear", {"x": integers(kind, 4, 6, 8)}, {"scale": scale, "zero": zero}, axis=axis,
         block_size=block)


def test_sizes_that_vary(tmp_path):
    feeds = [{"x": integers(np.int8, *shape), "scale": np.abs(floats(-(-shape[0] // 2), shape[1]))}
             for shape in [(4, 3), (5, 2), (1, 1), (0, 3)]]
    check(tmp_path, "DequantizeLinear", feeds, opset=21, axis=0, block_size=2,
          wanted=lambda x, scale: [x * np.repeat(scale, 2, 0)[:len(x)]])


def test_nan_becomes_the_smallest(tmp_path):
    found, = run(tmp_path, "QuantizeLinear", {"x": np.float32([np.nan, 1])}, {"s": np.float32(1), "z": np.int8(3)}, 21)
    np.testing.assert_array_equal(found, np.int8([-128, 4]))


def test_dequantize_i32(tmp_path):
    x = np.concatenate([integers(np.int32, 30), np.int32([2**24 + 1, -2**31, 2**31 - 1])])
    same(tmp_path, "DequantizeLinear", {"x": x}, {"scale": np.float32(0.3)})


@pytest.mark.parametrize("half", [np.float16, ml_dtypes.bfloat16])
def test_scales_of_16_bits(tmp_path, half):
    """The type of the scale is that of the quotient and of the product."""
    x, scale = (floats(40) * 9).astype(half), np.asarray(0.37).astype(half)
    found, = run(tmp_path, "QuantizeLinear", {"x": x}, {"s": scale, "z": np.int8(3)}, 21)
    quotient = (x.astype(np.float32) / scale.astype(np.float32)).astype(half).astype(np.float32)
    np.testing.assert_array_equal(found, np.clip(np.rint(quotient) + 3, -128, 127).astype(np.int8))
    found, = run(tmp_path, "QuantizeLinear", {"x": x}, {"s": scale, "z": np.int8(3)}, 23, precision=TensorProto.FLOAT)
    quotient = x.astype(np.float32) / scale.astype(np.float32)
    np.testing.assert_array_equal(found, np.clip(np.rint(quotient) + 3, -128, 127).astype(np.int8))
    found, = run(tmp_path, "DequantizeLinear", {"x": integers(np.int8, 40)}, {"s": scale}, 21)
    assert found.dtype == half


def test_type_of_the_result(tmp_path):
    found, = run(tmp_path, "QuantizeLinear", {"x": np.float32([-3, 1e6])}, {"s": np.float32(1)}, 21,
                 output_dtype=TensorProto.INT16)
    assert found.dtype == np.int16 and found.tolist() == [-3, 32767]
    found, = run(tmp_path, "DequantizeLinear", {"x": np.int8([-3, 5])}, {"s": np.float32(0.5)}, 23,
                 output_dtype=TensorProto.FLOAT16)
    assert found.dtype == np.float16 and found.tolist() == [-1.5, 2.5]


def test_dynamic_quantize(tmp_path):
    for x in (floats(3, 50), np.abs(floats(7)), -np.abs(floats(2, 2)), np.zeros((4, 5), np.float32), np.float32([3e38, -3e38])):
        same(tmp_path, "DynamicQuantizeLinear", {"x": x}, opset=11, outputs=3)


@pytest.mark.parametrize("left", [np.uint8, np.int8])
@pytest.mark.parametrize("right", [np.uint8, np.int8])
def test_matmul_integer(tmp_path, left, right):
    if left is np.int8 and right is np.uint8:
        left = np.uint8  # which onnxruntime does not have
    for shape, other in [((5, 70), (70, 37)), ((2, 3, 4, 8), (8, 5)), ((3, 4, 8), (3, 8, 33)), ((1, 1), (1, 1)), ((0, 3), (3, 2))]:
        inputs = {"a": integers(left, *shape), "b": integers(right, *other)}
        same(tmp_path, "MatMulInteger", inputs, opset=10)
        same(tmp_path, "MatMulInteger", {**inputs, "az": integers(left), "bz": integers(right)}, opset=10)
        if len(other) == 2:
            same(tmp_path, "MatMulInteger", {**inputs, "az": integers(left), "bz": integers(right, other[-1])}, opset=10)


@pytest.mark.parametrize("left", [np.uint8, np.int8])
@pytest.mark.parametrize("right", [np.uint8, np.int8])
@pytest.mark.parametrize("zeros", ["none", "constant", "columns", "of the run"])
def test_matmul_integer_by_weights(tmp_path, left, right, zeros):
    """Of more than 1 KiB, so that sums of their columns are made of what files hold, and those sums as well."""
    if left is np.int8 and right is np.uint8:
        left = np.uint8
    weight = {"b": integers(right, 70, 300)}
    inputs, constants = {"a": integers(left, 3, 5, 70)}, dict(weight)
    zero = {"az": integers(left), "bz": integers(right, 300) if zeros == "columns" else integers(right)}
    if zeros == "of the run":
        model = save(tmp_path / "model.onnx", "MatMulInteger", {**inputs, **weight, **zero}, {}, 10)
        graph = onnx.load(model)
        graph.graph.initializer.append(onnx.numpy_helper.from_array(weight["b"], "b"))
        del graph.graph.input[1]
        for output in graph.graph.output:
            output.ClearField("type")
        onnx.save(graph, model)
        inputs |= zero
        found, = package.Session(compile_model(model, tmp_path / "model.so")).run(inputs)
        np.testing.assert_array_equal(found, reference(model, inputs)[0])
        return
    same(tmp_path, "MatMulInteger", inputs, constants | (zero if zeros != "none" else {}), opset=10)


def test_integers_wrap(tmp_path):
    """A sum beyond 31 bits: products of 255 and 127 for 70000 elements."""
    a, b = np.full((2, 70000), 255, np.uint8), np.full((70000, 3), 127, np.int8)
    found, = run(tmp_path, "MatMulInteger", {"a": a, "b": b}, opset=10)
    np.testing.assert_array_equal(found, (a.astype(np.int64) @ b.astype(np.int64)).astype(np.int32))


@pytest.mark.parametrize("kind", [np.uint8, np.int8])
@pytest.mark.parametrize("weight_kind", [np.uint8, np.int8])
@pytest.mark.parametrize("transposed", [0, 1])
def test_products_between_quantizers(tmp_path, kind, weight_kind, transposed):
    """Q, DQ, Gemm with DQ of weight and bias, Q: within a step of what floats give, and most are equal."""
    rng = np.random.default_rng(4)
    size = (50, 70) if transposed else (70, 50)
    constants = {
        "s": np.float32(0.02), "z": np.asarray(rng.integers(0, 100), kind), "w": integers(weight_kind, *size),
        "ws": (rng.random(50) * 0.01 + 0.01).astype(np.float32), "wz": rng.integers(0, 9, 50).astype(weight_kind),
        "b": rng.integers(-9999, 9999, 50).astype(np.int32), "bs": np.float32(0.0003),
        "ys": np.float32(0.3), "yz": np.asarray(90, kind)}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["xq"]), helper.make_node("DequantizeLinear", ["xq", "s", "z"], ["xd"]),
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wd"], axis=0 if transposed else 1),
        helper.make_node("DequantizeLinear", ["b", "bs"], ["bd"]),
        helper.make_node("Gemm", ["xd", "wd", "bd"], ["g"], name="gemm", transB=transposed),
        helper.make_node("QuantizeLinear", ["g", "ys", "yz"], ["y"])]
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", 70])], [onnx.ValueInfoProto(name="y")],
        [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()])
    model = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=8), model)
    artifact = compile_model(model, tmp_path / "model.so", "--remarks", tmp_path / "r.yaml")
    remarks = (tmp_path / "r.yaml").read_text()
    assert "product of integers" in remarks and "NotRecognized" not in remarks
    session = package.Session(artifact)
    for rows in (1, 9, 33):
        inputs = {"x": (rng.standard_normal((rows, 70))).astype(np.float32)}
        found, = session.run(inputs)
        wanted, = reference(model, inputs)
        steps = np.abs(found.astype(int) - wanted.astype(int))
        assert found.dtype == wanted.dtype and steps.max() <= 1 and steps.mean() < 0.02


def product(a, b, az, bz):
    return [np.matmul(a.astype(np.int32) - az.astype(np.int32), b.astype(np.int32) - bz.astype(np.int32))]


def test_matmul_integer_by_rows_and_of_vectors(tmp_path):
    a, b = integers(np.uint8, 4, 6), integers(np.int8, 6, 3)
    check(tmp_path, "MatMulInteger", [{"a": a, "b": b, "az": integers(np.uint8, 4), "bz": integers(np.int8, 3)}], opset=10,
          wanted=lambda a, b, az, bz: product(a, b, az[:, None], bz))
    check(tmp_path, "MatMulInteger", [{"a": a[0], "b": b, "az": np.uint8(7), "bz": np.int8(-3)}], opset=10, wanted=product)


@pytest.mark.parametrize("right", [np.uint8, np.int8])
@pytest.mark.parametrize("columns", [False, True])
def test_qlinear_matmul(tmp_path, right, columns):
    for shape, other in [((5, 70), (70, 37)), ((2, 4, 8), (8, 5)), ((2, 4, 8), (2, 8, 3))]:
        if columns and len(other) > 2:
            continue
        per = (other[-1],) if columns else ()
        # For columns the parameters must be constants in onnxruntime.
        constants = {"as": np.float32(0.03), "az": integers(np.uint8), "b": integers(right, *other),
                     "bs": np.abs(floats(*per) * 0.01 + 0.02).astype(np.float32), "bz": np.full(per, 3, right),
                     "ys": np.float32(0.7), "yz": integers(np.uint8)}
        same(tmp_path, "QLinearMatMul", {"a": integers(np.uint8, *shape)}, constants, opset=21)


def test_quantization_is_refused(tmp_path):
    def message(op, *inputs, opset=23, **attributes):
        return refused(tmp_path, op, {f"x{i}": value for i, value in enumerate(inputs)}, opset=opset, **attributes)
    x, one = floats(2, 3), np.float32(1)
    assert "has blocks of 0 and a parameter of type 'tensor<2x3xf32>' for 'tensor<2x3xf32>'" in message("QuantizeLinear", x, x)
    assert "has axis 2 for a tensor of rank 2" in message("QuantizeLinear", x, floats(3), axis=2)
    other = "quantizes to another type than integers of up to 16 bits or floats of up to 8: "
    assert other + "FLOAT8E8M0" in message("QuantizeLinear", x, one, output_dtype=TensorProto.FLOAT8E8M0)
    assert other + "'i32'" in message("QuantizeLinear", x, one, np.int32(0))
    assert "output_dtype is INT8, but the zero point has type 'tensor<ui8>'" in message(
        "QuantizeLinear", x, one, np.uint8(0), output_dtype=TensorProto.INT8)
    assert "divides in another type than f32, f16 or bf16" in message("QuantizeLinear", x, np.float64(1))
    assert "needs integers of up to 32 bits or floats of up to 8, but has 'tensor<2x3xf32>'" in message("DequantizeLinear", x, one)
    assert "dequantizes to another type than f32, f16 or bf16" in message("DequantizeLinear", np.zeros(3, np.int8), np.float64(1))
    assert "needs an input of f32, but has 'tensor<2x3xf16>'" in message(
        "DynamicQuantizeLinear", x.astype(np.float16), opset=11, outputs=3)
    assert "multiplies integers of 8 bits, but has 'tensor<2x3xf32>'" in message("MatMulInteger", x, x, opset=10)
    byte = np.zeros((2, 2), np.uint8)
    assert "needs a zero point of 8 bits, but has 'tensor<i32>'" in message(
        "QLinearMatMul", byte, one, np.uint8(0), byte, one, np.uint8(0), one, np.int32(0), opset=21)
