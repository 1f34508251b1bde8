"""Floats of 8 and 4 bits, integers of 4 and 2 bits: what casts to and from them, against ml_dtypes."""
import ml_dtypes
import numpy as np
import onnx
import pytest
import tenon as package
from conftest import compile_model
from onnx import TensorProto, helper
from test_functions import refused, run
from test_indexing import floats, ints

FLOATS = [ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e4m3fnuz, ml_dtypes.float8_e5m2, ml_dtypes.float8_e5m2fnuz,
          ml_dtypes.float4_e2m1fn]
INTEGERS = [ml_dtypes.int4, ml_dtypes.uint4, ml_dtypes.int2, ml_dtypes.uint2]


def number(kind):
    return helper.np_dtype_to_tensor_dtype(np.dtype(kind))


def all_codes(kind):
    """Every value, of integers whatever the unused bits of its byte are."""
    return np.arange(16 if kind is ml_dtypes.float4_e2m1fn else 256, dtype=np.uint8).view(kind)


def close_to(kind):
    """Every value, those between two, and those next to them."""
    values = np.unique(np.nan_to_num(all_codes(kind).astype(np.float32), posinf=0, neginf=0))
    between = (values[1:] + values[:-1]) / 2
    all_of = np.concatenate([values, between, np.float32([1e9, -1e9, 1e-30, -0.0, np.inf, -np.inf, np.nan])])
    return np.concatenate([np.nextafter(all_of, np.float32(to)) for to in (-np.inf, np.inf)] + [all_of])


@pytest.mark.parametrize("kind", FLOATS + INTEGERS)
@pytest.mark.parametrize("to", [np.float32, np.float16, np.float64, ml_dtypes.bfloat16, np.int8, np.uint8, np.int64, np.bool_])
def test_casts_from(tmp_path, kind, to):
    x = all_codes(kind)
    if not np.issubdtype(to, np.floating) and kind in FLOATS and to is not ml_dtypes.bfloat16:
        x = x[np.isfinite(x.astype(np.float32)) & ((x.astype(np.float32) >= 0) | (to != np.uint8)) & (np.abs(x.astype(np.float32)) < 128)]
    found, = run(tmp_path, "Cast", {"x": x}, opset=25, to=number(to))
    assert found.dtype == to
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(found.astype(np.float64), x.astype(np.float32).astype(to).astype(np.float64))


@pytest.mark.parametrize("kind", FLOATS)
@pytest.mark.parametrize("saturate", [0, 1])
def test_casts_to_floats(tmp_path, kind, saturate):
    x = close_to(kind)
    wanted = x
    if saturate:
        wanted = np.clip(x, -float(ml_dtypes.finfo(kind).max), float(ml_dtypes.finfo(kind).max))
    found, = run(tmp_path, "Cast", {"x": x}, opset=25, to=number(kind), saturate=saturate)
    assert found.dtype == kind
    np.testing.assert_array_equal(found.astype(np.float32), wanted.astype(kind).astype(np.float32))
    np.testing.assert_array_equal(np.signbit(found.astype(np.float32)[~np.isnan(wanted)]),
                                  np.signbit(wanted.astype(kind).astype(np.float32)[~np.isnan(wanted)]))


@pytest.mark.parametrize("kind", FLOATS)
@pytest.mark.parametrize("source", [np.float16, ml_dtypes.bfloat16, np.int32, np.uint8, ml_dtypes.float8_e5m2])
def test_casts_to_floats_from_others(tmp_path, kind, source):
    x = np.clip(np.nan_to_num(close_to(kind), posinf=1e9, neginf=-1e9), 0 if source is np.uint8 else -100, 100).astype(source)
    found, = run(tmp_path, "Cast", {"x": x}, opset=25, to=number(kind))
    largest = float(ml_dtypes.finfo(kind).max)
    wanted = np.clip(x.astype(np.float64), -largest, largest).astype(kind)
    np.testing.assert_array_equal(found.astype(np.float32), wanted.astype(np.float32))


@pytest.mark.parametrize("kind", FLOATS)
def test_casts_from_f64_round_once(tmp_path, kind):
    """Numbers so close to the middle of two that an f32 would not tell."""
    values = np.unique(all_codes(kind).astype(np.float64))
    values = values[np.isfinite(values)]
    middle = (values[1:] + values[:-1]) / 2
    for factor, wanted in ((1 + 2.0 ** -40, np.where(middle > 0, values[1:], values[:-1])),
                           (1 - 2.0 ** -40, np.where(middle > 0, values[:-1], values[1:]))):
        found, = run(tmp_path, "Cast", {"x": middle * factor}, opset=25, to=number(kind))
        np.testing.assert_array_equal(found.astype(np.float64), wanted)


@pytest.mark.parametrize("kind", INTEGERS)
@pytest.mark.parametrize("source", [np.float32, np.int32, np.uint8, np.int64])
def test_casts_to_integers(tmp_path, kind, source):
    limits = ml_dtypes.iinfo(kind)
    x = np.arange(max(int(limits.min), 0 if source is np.uint8 else -99), int(limits.max) + 1).astype(source)
    found, = run(tmp_path, "Cast", {"x": x}, opset=25, to=number(kind))
    assert found.dtype == kind
    np.testing.assert_array_equal(found.astype(np.int32), x.astype(np.int32))
    # What is out of range keeps its low bits.
    x = np.array([0, 17, 18, 100, 127]).astype(source)
    found, = run(tmp_path, "Cast", {"x": x}, opset=25, to=number(kind))
    np.testing.assert_array_equal(found.view(np.uint8), x.astype(np.uint8) % (1 << (4 if "4" in np.dtype(kind).name else 2)))


@pytest.mark.parametrize("kind", FLOATS + INTEGERS)
def test_what_is_moved_stays(tmp_path, kind):
    x = ints(0, 4, 3, 5).astype(np.float32).astype(kind)
    found, = run(tmp_path, "Transpose", {"x": x}, opset=25)
    assert found.dtype == kind
    np.testing.assert_array_equal(found.astype(np.float32), x.T.astype(np.float32))
    found, = run(tmp_path, "Gather", {"x": x, "i": np.int64([2, 0])}, opset=25)
    np.testing.assert_array_equal(found.astype(np.float32), x[[2, 0]].astype(np.float32))


@pytest.mark.parametrize("kind", FLOATS + INTEGERS)
@pytest.mark.parametrize("count", [1, 7, 5000])
def test_what_lies_in_the_model(tmp_path, kind, count):
    """Below 8 bits elements are packed there."""
    w = ints(-2 if np.dtype(kind).kind != "u" and "uint" not in np.dtype(kind).name else 0, 2, count).astype(np.float32).astype(kind)
    graph = helper.make_graph([helper.make_node("Cast", ["w"], ["c"], to=TensorProto.FLOAT), helper.make_node("Add", ["c", "x"], ["y"])],
                              "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [])],
                              [helper.make_empty_tensor_value_info("y")], [onnx.numpy_helper.from_array(w, "w")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 25)], ir_version=12), tmp_path / "model.onnx")
    found, = package.Session(compile_model(tmp_path / "model.onnx", tmp_path / "model.so")).run({"x": np.float32(0)})
    np.testing.assert_array_equal(found, w.astype(np.float32))


@pytest.mark.parametrize("kind", FLOATS[:4])
def test_quantizes_to_floats(tmp_path, kind):
    x, scale = floats(40) * 300, np.float32(0.5)
    largest = float(ml_dtypes.finfo(kind).max)
    found, = run(tmp_path, "QuantizeLinear", {"x": x}, {"s": scale}, 23, output_dtype=number(kind))
    wanted = np.clip(x / scale, -largest, largest).astype(kind)
    np.testing.assert_array_equal(found.astype(np.float32), wanted.astype(np.float32))
    found, = run(tmp_path, "DequantizeLinear", {"x": wanted}, {"s": scale}, 23)
    np.testing.assert_array_equal(found, wanted.astype(np.float32) * scale)


@pytest.mark.parametrize("kind", INTEGERS)
def test_quantizes_to_few_bits(tmp_path, kind):
    limits = ml_dtypes.iinfo(kind)
    x, scale, zero = floats(5, 40) * 10, np.abs(floats(5)) + np.float32(0.5), np.ones(5, np.int32).astype(kind)
    found, = run(tmp_path, "QuantizeLinear", {"x": x}, {"s": scale, "z": zero}, 25, axis=0)
    wanted = np.clip(np.rint(x / scale[:, None]) + 1, int(limits.min), int(limits.max)).astype(np.int32)
    assert found.dtype == kind
    np.testing.assert_array_equal(found.astype(np.int32), wanted)
    found, = run(tmp_path, "DequantizeLinear", {"x": wanted.astype(kind)}, {"s": scale, "z": zero}, 25, axis=0)
    np.testing.assert_array_equal(found, (wanted - 1).astype(np.float32) * scale[:, None])


def test_constant_of_shape_is_refused(tmp_path):
    value = onnx.numpy_helper.from_array(np.ones(1, ml_dtypes.int4), "value")
    assert "(ConstantOfShape): a value of element type 'i4' is unsupported" in refused(
        tmp_path, "ConstantOfShape", {}, {"sizes": np.int64([2])}, opset=25, value=value)


def test_computing_is_refused(tmp_path):
    x = np.ones(3, ml_dtypes.float8_e5m2)
    assert "node 'node': computes in 'f8E5M2', which can only be cast and moved" in refused(
        tmp_path, "Add", {"x": x, "y": x}, opset=25)
    assert "node 'node': computes in 'i4', which can only be cast and moved" in refused(
        tmp_path, "Equal", {"x": np.ones(3, ml_dtypes.int4), "y": np.ones(3, ml_dtypes.int4)}, opset=25)
