"""Operators of domain com.microsoft on integers of 8 bits, against onnxruntime. It computes some of them in other steps,
with tables or fixed point, so that a quantized result may differ by one."""
import numpy as np
import pytest
from conftest import compile_model, reference
from conftest import tenon as compile_tool
from test_microsoft import Input, save, some

import tenon

RNG = np.random.default_rng(3)
SIZES = [{"b": b, "s": s} for b, s in ((2, 5), (1, 1), (3, 8))]
KINDS = [np.uint8, np.int8]


def integers(kind):
    limits = np.iinfo(kind)
    return lambda *shape: RNG.integers(limits.min, limits.max + 1, shape).astype(kind)


def floats(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def scale(*shape):
    return (np.abs(RNG.standard_normal(shape)) * 0.02 + 0.01).astype(np.float32)


def arrays(operands):
    return {name: value if value is None or isinstance(value, Input) else np.asarray(value)
            for name, value in operands.items()}


def check(folder, op, operands, sizes=SIZES, steps=0, tolerance=1e-5, outputs=(0,), fixed=False, **attributes):
    """Integers may differ by `steps`."""
    operands = arrays(operands)
    model = save(folder / "model.onnx", op, operands, sizes[0], outputs, fixed, attributes)
    session = tenon.Session(compile_model(model, folder / "model.so"), threads=2, check_memory=True)
    for known in sizes[:1] if fixed else sizes:
        feed = {name: value.array(known) for name, value in operands.items() if isinstance(value, Input)}
        for got, want in zip(session.run(feed), reference(model, feed), strict=True):
            assert got.dtype == want.dtype and got.shape == want.shape
            if got.dtype.kind == "f":
                np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance, err_msg=str(known))
            else:
                assert np.abs(got.astype(int) - want.astype(int)).max(initial=0) <= steps


def quantized(name, kind, *shape):
    """A tensor, its scale and its zero point."""
    make = integers(kind)
    return {name: Input(*shape, make=make), f"{name}s": scale(), f"{name}z": make()}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_dynamic_quantize_matmul(tmp_path, kind, zero, bias):
    make = integers(kind)
    for per in ((), (33,)):
        check(tmp_path, "DynamicQuantizeMatMul", {
            "a": Input("b", "s", 40, make=floats), "b": make(40, 33), "bs": scale(*per), "bz": make(*per) if zero else None,
            "bias": floats(33) if bias else None}, tolerance=1e-4)


@pytest.mark.parametrize("left", KINDS)
@pytest.mark.parametrize("right", KINDS)
def test_matmul_integer_to_float(tmp_path, left, right):
    if left is np.int8 and right is np.uint8:
        left = np.uint8  # which onnxruntime does not have
    for zeros in (False, True):
        for per in ((), (33,)):
            check(tmp_path, "MatMulIntegerToFloat", {
                "a": Input("b", "s", 40, make=integers(left)), "b": integers(right)(40, 33), "as": scale(), "bs": scale(*per),
                "az": integers(left)() if zeros else None, "bz": integers(right)(*per) if zeros else None,
                "bias": floats(33) if zeros else None}, tolerance=1e-4)


@pytest.mark.parametrize("right", KINDS)
@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("causal", [0, 1])
def test_qattention(tmp_path, right, mask, causal):
    for per in ((), (24,)):
        check(tmp_path, "QAttention", {
            "x": Input("b", "s", 6, make=integers(np.uint8)), "w": integers(right)(6, 24), "bias": floats(24), "xs": scale(),
            "ws": scale(*per), "mask": Input("b", "s", make=some) if mask else None, "xz": integers(np.uint8)(),
            "wz": integers(right)()}, num_heads=2, unidirectional=causal, tolerance=1e-4)


def test_qattention_with_past(tmp_path):
    sizes = [{"b": b, "s": s, "p": p, "t": s + p} for b, s, p in ((2, 3, 4), (1, 1, 6))]
    check(tmp_path, "QAttention", {
        "x": Input("b", "s", 6, make=integers(np.uint8)), "w": integers(np.int8)(6, 24), "bias": floats(24), "xs": scale(),
        "ws": scale(), "mask": Input("b", "t", make=some), "xz": integers(np.uint8)(), "wz": integers(np.int8)(),
        "past": Input(2, "b", 2, "p", 4, make=floats)}, sizes, outputs=(0, 1), num_heads=2, unidirectional=1, tolerance=1e-4)


@pytest.mark.parametrize("trans_a", [0, 1])
@pytest.mark.parametrize("trans_b", [0, 1])
@pytest.mark.parametrize("result", ["float", "u8"])
def test_qgemm(tmp_path, trans_a, trans_b, result):
    for right in KINDS:
        for per in ((), (33,)):
            operands = {
                "a": Input(*((40, "s") if trans_a else ("s", 40)), make=integers(np.uint8)), "as": scale(),
                "az": integers(np.uint8)(), "b": integers(right)(*((33, 40) if trans_b else (40, 33))), "bs": scale(*per),
                "bz": np.full(per, 7, right), "c": RNG.integers(-5000, 5000, 33).astype(np.int32)}
            if result == "u8":
                operands |= {"ys": np.float32(0.4), "yz": np.uint8(100)}
            check(tmp_path, "QGemm", operands, transA=trans_a, transB=trans_b, alpha=0.7, tolerance=1e-4, steps=1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("op", ["QLinearAdd", "QLinearMul"])
def test_qlinear_binary(tmp_path, op, kind):
    for shape in (("b", "s", 37), (37,), (1,), ()):
        check(tmp_path, op, {**quantized("a", kind, "b", "s", 37), **quantized("b", kind, *shape),
                             "ys": np.float32(0.03), "yz": integers(kind)()}, steps=1)


def test_without_zero_points(tmp_path):
    """They are 0, and the result has the type of the operands; onnxruntime refuses to load it."""
    operands = arrays({"a": integers(np.int8)(5), "as": np.float32(0.5), "az": None, "b": integers(np.int8)(5),
                       "bs": np.float32(0.25), "bz": None, "ys": np.float32(1)})
    model = save(tmp_path / "model.onnx", "QLinearAdd", operands, {}, (0,), True, {})
    found, = tenon.Session(compile_model(model, tmp_path / "model.so")).run({})
    wanted = np.rint(operands["a"].astype(np.float32) / 2 + operands["b"].astype(np.float32) / 4)
    np.testing.assert_array_equal(found, np.clip(wanted, -128, 127).astype(np.int8))


@pytest.mark.parametrize("kind", KINDS)
def test_qlinear_functions(tmp_path, kind):
    result = {"ys": np.float32(1 / 256), "yz": np.asarray(np.iinfo(kind).min, kind)}
    x = quantized("x", kind, "b", "s", 37)
    check(tmp_path, "QLinearSigmoid", {**x, **result}, steps=1)
    check(tmp_path, "QLinearLeakyRelu", {**x, "ys": np.float32(0.03), "yz": np.asarray(3, kind)}, steps=1, alpha=0.2)
    check(tmp_path, "QLinearSoftmax", {**x, **result}, steps=1, opset=13, axis=-1)
    check(tmp_path, "QLinearSoftmax", {**x, **result}, steps=1, opset=12, axis=2)


@pytest.mark.parametrize("width", [2048, 2049, 5000])
def test_softmax_of_long_rows(tmp_path, width):
    """Whose powers do not lie on the stack, or just do; onnxruntime aborts at such."""
    operands = arrays({"x": Input("s", width, make=integers(np.uint8)), "xs": np.float32(0.05), "xz": np.uint8(9),
                       "ys": np.float32(1e-4), "yz": np.uint8(3)})
    model = save(tmp_path / "model.onnx", "QLinearSoftmax", operands, {"s": 3}, (0,), False, {"opset": 13, "axis": -1})
    x = operands["x"].array({"s": 3})
    found, = tenon.Session(compile_model(model, tmp_path / "model.so")).run({"x": x})
    powers = np.exp((x.astype(float) - x.max(-1, keepdims=True)) * 0.05)
    wanted = np.clip(np.rint(powers / powers.sum(-1, keepdims=True) / 1e-4) + 3, 0, 255)
    assert np.abs(found - wanted).max() <= 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("last", [0, 1])
def test_qlinear_global_average_pool(tmp_path, kind, last):
    check(tmp_path, "QLinearGlobalAveragePool", {**quantized("x", kind, "b", 5, 6, 7), "ys": scale(), "yz": integers(kind)()},
          steps=1, channels_last=last)


@pytest.mark.parametrize("kind", KINDS)
def test_qlinear_concat_and_where(tmp_path, kind):
    result = {"ys": np.float32(0.02), "yz": integers(kind)()}
    check(tmp_path, "QLinearConcat", {**result, **quantized("a", kind, "b", "s", 5), **quantized("b", kind, "b", "s", 7)},
          steps=1, axis=2)
    condition = Input("b", "s", 1, make=lambda *shape: RNG.random(shape) < 0.5)
    check(tmp_path, "QLinearWhere", {"c": condition, **quantized("a", kind, "b", "s", 5), **quantized("b", kind, 5), **result},
          steps=1)


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.uint16, np.int16])
def test_quantize_and_dequantize(tmp_path, kind):
    for per, attributes in (((), {}), ((6,), {"axis": 2})):
        zero = integers(kind)(*per)
        check(tmp_path, "QuantizeLinear", {"x": Input("b", "s", 6, make=floats), "s": scale(*per), "z": zero}, **attributes)
        check(tmp_path, "DequantizeLinear", {"x": Input("b", "s", 6, make=integers(kind)), "s": scale(*per), "z": zero},
              **attributes)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("segments", [False, True])
def test_qembed_layer_norm(tmp_path, kind, segments):
    def ids(bound):
        return lambda *shape: RNG.integers(0, bound, shape).astype(np.int32)
    make = integers(kind)
    tables = {"words": make(20, 48), "places": make(9, 48), "segment": make(2, 48) if segments else None, "gamma": make(48),
              "beta": make(48)}
    operands = {"ids": Input("b", "s", make=ids(20)), "segments": Input("b", "s", make=ids(2)) if segments else None, **tables,
                "mask": Input("b", "s", make=some)}
    operands |= {f"{name}_scale": None if table is None else scale() for name, table in tables.items()}
    operands |= {f"{name}_zero": None if table is None else make() for name, table in tables.items()}
    check(tmp_path, "QEmbedLayerNormalization", operands, outputs=(0, 1), tolerance=1e-4)


def test_quantized_operators_are_refused(tmp_path):
    def message(op, *inputs, **attributes):
        operands = arrays({f"x{i}": value for i, value in enumerate(inputs)})
        model = save(tmp_path / "model.onnx", op, operands, {}, (0,), True, attributes)
        result = compile_tool("compile", model, "-o", tmp_path / "model.so")
        assert result.returncode in (1, 3) and "node 'node'" in result.stderr
        return result.stderr
    byte, one, scales = np.zeros((2, 2), np.uint8), np.float32(1), np.ones(2, np.float32)
    zero = np.uint8(0)
    assert "needs an input of f32, but has 'tensor<2x2xui8>'" in message("DynamicQuantizeMatMul", byte, byte, one)
    assert "needs one scale of the left operand and one of each column of the right one, but has 'tensor<2xf32>' and " \
        "'tensor<f32>'" in message("MatMulIntegerToFloat", byte, byte, scales, one)
    assert "multiplies integers of 8 bits, but has 'tensor<2xf32>'" in message("MatMulIntegerToFloat", byte, scales, one, one)
    assert "needs one scale and zero point for operand 0, but has 'tensor<2xf32>'" in message(
        "QLinearSigmoid", byte, scales, zero, one, zero)
    assert "needs one scale and zero point of its result, but has 'tensor<2xf32>'" in message(
        "QLinearSigmoid", byte, one, zero, scales, zero)
    assert "has no operand 3" in message("QLinearSigmoid", byte, one, zero)
    assert "has no operand 6" in message("QLinearAdd", byte, one, zero, byte, one, zero)
    assert "needs a scale and a zero point of its result, or neither" in message(
        "QGemm", byte, one, zero, byte, one, zero, np.zeros(2, np.int32), one)
    assert "needs attribute 'opset'" in message("QLinearSoftmax", byte, one, zero, one, zero)
    assert "needs an input of rank 3 or more, but has 'tensor<2x2xui8>'" in message(
        "QLinearGlobalAveragePool", byte, one, zero, one, zero)
    assert "needs each tensor with its scale and zero point, but has 6 operands" in message(
        "QLinearConcat", one, zero, byte, one, zero, byte, axis=0)
    assert "cannot quantize to integers of type 'i64'" in message(
        "QLinearSigmoid", np.zeros((2, 2), np.int64), one, np.int64(0), one, np.int64(0))
