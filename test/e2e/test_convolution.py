"""Convolution and pooling against onnxruntime: one to three dimensions, sizes that vary, every attribute."""
import numpy as np
import onnx
import pytest
from conftest import compile_model, reference
from onnx import helper
from test_indexing import check, floats

import tenon


def check_against_ort(folder, op, feeds, constants={}, opset=21, **options):
    def wanted(**feed):
        model = onnx.load(folder / "model.onnx")
        for output in model.graph.output[1:]:
            output.type.tensor_type.elem_type = onnx.TensorProto.INT64
        kind = onnx.helper.np_dtype_to_tensor_dtype(next(iter(feed.values())).dtype)
        model.graph.output[0].type.tensor_type.elem_type = kind
        onnx.save(model, folder / "typed.onnx")
        return reference(folder / "typed.onnx", feed)
    check(folder, op, feeds, constants, opset, wanted=wanted, **options)


def images(channels, *sizes):
    return [{"x": floats(batch, channels, *size)} for batch, *size in sizes]


# The input's channels and sizes with batch, the weights' sizes, attributes.
CONVOLUTIONS = {
    "line": (3, [(1, 9), (2, 40)], (5, 3, 3), {}),
    "line_stride": (3, [(1, 9), (2, 41)], (5, 3, 3), {"strides": [2], "pads": [1, 1]}),
    "plane": (3, [(1, 7, 9), (2, 20, 35)], (4, 3, 3, 2), {"pads": [1, 0, 2, 1]}),
    "patches": (3, [(1, 8, 12), (2, 33, 19)], (40, 3, 4, 4), {"strides": [4, 4]}),
    "pointwise": (6, [(1, 1, 1), (2, 5, 40)], (33, 6, 1, 1), {}),
    "pointwise_stride": (6, [(1, 1, 1), (2, 5, 40)], (33, 6, 1, 1), {"strides": [2, 3]}),
    "dilated": (2, [(1, 9, 9), (1, 12, 30)], (3, 2, 3, 3), {"dilations": [2, 3], "strides": [1, 2]}),
    "groups": (6, [(1, 5, 5), (2, 6, 21)], (9, 2, 3, 3), {"group": 3, "pads": [1, 1, 1, 1]}),
    "depthwise": (5, [(1, 5, 5), (2, 6, 37)], (5, 1, 3, 3), {"group": 5, "pads": [1, 1, 1, 1]}),
    "depthwise_stride": (5, [(1, 5, 5), (2, 6, 37)], (5, 1, 3, 3), {"group": 5, "strides": [2, 2]}),
    "depthwise_multiple": (4, [(1, 9), (2, 50)], (12, 1, 5), {"group": 4, "pads": [4, 0]}),
    "volume": (2, [(1, 4, 5, 6), (2, 3, 3, 20)], (3, 2, 2, 3, 2), {"strides": [2, 1, 1], "pads": [0, 1, 0, 1, 0, 1]}),
    "same_upper": (2, [(1, 7, 8), (1, 20, 21)], (3, 2, 3, 4), {"auto_pad": "SAME_UPPER", "strides": [2, 3]}),
    "same_lower": (2, [(1, 7, 8), (1, 20, 21)], (3, 2, 2, 4), {"auto_pad": "SAME_LOWER"}),
    "valid": (2, [(1, 7, 8)], (3, 2, 3, 4), {"auto_pad": "VALID"}),
}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_conv(tmp_path, name, bias):
    channels, sizes, weights, attributes = CONVOLUTIONS[name]
    constants = {"w": floats(*weights) / 8} | ({"b": floats(weights[0])} if bias else {})
    check_against_ort(tmp_path, "Conv", images(channels, *sizes), constants, **attributes)


@pytest.mark.parametrize("name", ["plane", "groups", "depthwise"])
def test_conv_with_weights_as_input(tmp_path, name):
    channels, (size, *_), weights, attributes = CONVOLUTIONS[name]
    feeds = [{**feed, "w": floats(*weights), "b": floats(weights[0])} for feed in images(channels, size)]
    check_against_ort(tmp_path, "Conv", feeds, fixed=True, kernel_shape=weights[2:], **attributes)


def test_conv_of_nothing(tmp_path):
    def wanted(x):
        return [np.zeros((x.shape[0], 4, max(x.shape[2] - 2, 0)), np.float32)]
    feeds = [{"x": floats(0, 3, 9)}, {"x": floats(2, 3, 2)}, {"x": floats(1, 3, 0)}]
    check(tmp_path, "Conv", feeds, {"w": floats(4, 3, 3)}, wanted=wanted)


@pytest.mark.parametrize("kind", [np.float16])
def test_conv_of_half_precision(tmp_path, kind):
    weights, bias = (floats(8, 4, 3, 3) / 6).astype(kind), floats(8).astype(kind)
    x = floats(1, 4, 9, 20).astype(kind)
    from test_indexing import save
    save(tmp_path / "model.onnx", "Conv", {"x": x}, {"w": weights, "b": bias}, 21, pads=[1, 1, 1, 1])
    got, = tenon.Session(compile_model(tmp_path / "model.onnx", tmp_path / "model.so")).run({"x": x})
    save(tmp_path / "wide.onnx", "Conv", {"x": x.astype(np.float32)},
         {"w": weights.astype(np.float32), "b": bias.astype(np.float32)}, 21, pads=[1, 1, 1, 1])
    want, = reference(tmp_path / "wide.onnx", {"x": x.astype(np.float32)})
    assert got.dtype == kind
    np.testing.assert_allclose(got.astype(np.float32), want, rtol=2e-3, atol=2e-3)


def test_conv_integer(tmp_path):
    x = np.random.default_rng(1).integers(0, 255, (1, 3, 6, 7), np.uint8)
    w = np.random.default_rng(2).integers(-128, 127, (4, 3, 3, 3), np.int8)
    zeros = {"xz": np.uint8(7), "wz": np.int8(-3)}
    def wanted(x):
        from onnx.reference.ops.op_conv import _conv_implementation
        return [_conv_implementation((x.astype(np.int32) - 7), w.astype(np.int32) + 3, None, None, None, 1, None,
                                     [1, 1, 1, 1], None).astype(np.int32)]
    check(tmp_path, "ConvInteger", [{"x": x}], {"w": w, **zeros}, pads=[1, 1, 1, 1], wanted=wanted)


TRANSPOSED = {
    "line": (3, [(1, 5), (2, 33)], (3, 4, 3), {}),
    "stride": (3, [(1, 5, 4), (2, 7, 20)], (3, 4, 3, 2), {"strides": [3, 2]}),
    "pads": (3, [(1, 5, 4)], (3, 4, 3, 3), {"strides": [2, 2], "pads": [1, 0, 1, 2], "output_padding": [1, 1]}),
    "groups": (4, [(1, 5, 4)], (4, 3, 3, 3), {"group": 2, "strides": [2, 1]}),
    "dilated": (2, [(1, 5, 4)], (2, 3, 2, 2), {"dilations": [2, 3]}),
    "shape": (2, [(1, 5, 4)], (2, 3, 3, 3), {"strides": [3, 2], "output_shape": [16, 9]}),
    "volume": (2, [(1, 2, 3, 4)], (2, 3, 2, 2, 2), {"strides": [2, 2, 2]}),
    "same_upper": (2, [(1, 5, 4)], (2, 3, 3, 3), {"strides": [2, 2], "auto_pad": "SAME_UPPER"}),
}


@pytest.mark.parametrize("name", TRANSPOSED)
def test_conv_transpose(tmp_path, name):
    channels, sizes, weights, attributes = TRANSPOSED[name]
    outputs = weights[1] * attributes.get("group", 1)
    check_against_ort(tmp_path, "ConvTranspose", images(channels, *sizes),
                      {"w": floats(*weights), "b": floats(outputs)}, **attributes)


POOLS = {
    "line": ([(1, 9), (2, 40)], {"kernel_shape": [3]}),
    "plane": ([(1, 7, 9), (2, 20, 35)], {"kernel_shape": [3, 2], "pads": [1, 0, 1, 1]}),
    "stride": ([(1, 8, 8), (2, 20, 35)], {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}),
    "ceil": ([(1, 8, 8), (2, 20, 35)], {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}),
    "ceil_pads": ([(1, 8, 7), (2, 20, 35)],
                  {"kernel_shape": [2, 3], "strides": [3, 2], "pads": [1, 1, 1, 1], "ceil_mode": 1}),
    "dilated": ([(1, 8, 9)], {"kernel_shape": [2, 3], "dilations": [3, 2]}),
    "volume": ([(1, 4, 5, 6)], {"kernel_shape": [2, 3, 2], "strides": [2, 1, 1]}),
    "same_upper": ([(1, 8, 9), (1, 11, 20)], {"kernel_shape": [2, 3], "strides": [2, 2], "auto_pad": "SAME_UPPER"}),
    "same_lower": ([(1, 8, 9)], {"kernel_shape": [2, 4], "auto_pad": "SAME_LOWER"}),
}


@pytest.mark.parametrize("op, attributes", [("MaxPool", {}), ("AveragePool", {}),
                                            ("AveragePool", {"count_include_pad": 1}), ("LpPool", {"p": 2}),
                                            ("LpPool", {"p": 3})])
@pytest.mark.parametrize("name", POOLS)
def test_pool(tmp_path, name, op, attributes):
    sizes, windows = POOLS[name]
    check_against_ort(tmp_path, op, images(3, *sizes), **windows, **attributes)


@pytest.mark.parametrize("name", ["line", "plane", "stride", "ceil_pads", "dilated", "volume"])
@pytest.mark.parametrize("order", [0, 1])
def test_max_pool_indices(tmp_path, name, order):
    sizes, windows = POOLS[name]
    check_against_ort(tmp_path, "MaxPool", images(3, *sizes), outputs=2, storage_order=order, **windows)


@pytest.mark.parametrize("kind", [np.int8, np.uint8])
def test_max_pool_of_bytes(tmp_path, kind):
    bounds = np.iinfo(kind)
    values = np.random.default_rng(3).integers(bounds.min, bounds.max + 1, (2, 3, 9, 8)).astype(kind)
    values[0, 0, :3] = bounds.min
    check_against_ort(tmp_path, "MaxPool", [{"x": values}], kernel_shape=[3, 2], pads=[1, 1, 1, 0], strides=[2, 1])


def test_max_pool_indices_of_bytes_name_no_pad(tmp_path):
    x = np.zeros((1, 1, 3, 3), np.uint8)
    def wanted(x):
        places = np.array([[[[0, 0, 1], [0, 0, 1], [3, 3, 4]]]], np.int64)
        return [np.zeros_like(x), places]
    check(tmp_path, "MaxPool", [{"x": x}], outputs=2, kernel_shape=[2, 2], pads=[1, 1, 0, 0], wanted=wanted)


@pytest.mark.parametrize("op, attributes", [("GlobalAveragePool", {}), ("GlobalMaxPool", {}),
                                            ("GlobalLpPool", {"p": 1}), ("GlobalLpPool", {"p": 2})])
def test_global_pool(tmp_path, op, attributes):
    for size in ([2, 9], [1, 5, 7], [2, 3, 4, 5]):
        check_against_ort(tmp_path, op, images(3, size), **attributes)


@pytest.mark.parametrize("size", [1, 3, 5])
def test_local_response_normalization(tmp_path, size):
    # onnx's own evaluator computes as many channels as there are batches.
    check_against_ort(tmp_path, "LRN", images(5, (1, 3, 4), (2, 1, 9)), size=size, alpha=0.3, beta=0.5, bias=2.0)


def test_stem_of_a_transformer(tmp_path):
    """A convolution whose places become rows: its weights lie in panels, and nothing is transposed but windows."""
    w, b, v = floats(48, 3, 4, 4) / 7, floats(48), floats(48, 8)
    nodes = [helper.make_node("Conv", ["x", "w", "b"], ["c"], strides=[4, 4]),
             helper.make_node("Reshape", ["c", "flat"], ["f"]),
             helper.make_node("Transpose", ["f"], ["t"], perm=[0, 2, 1]),
             helper.make_node("MatMul", ["t", "v"], ["y"])]
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", 1, ["n", 3, "h", "w_"])],
        [helper.make_tensor_value_info("y", 1, ["n", "s", 8])],
        [onnx.numpy_helper.from_array(value, name) for name, value in
         {"w": w, "b": b, "v": v, "flat": np.int64([0, 48, -1])}.items()])
    model = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=8), model)
    session = tenon.Session(compile_model(model, tmp_path / "model.so"))
    for size in ((1, 3, 8, 12), (3, 3, 17, 21)):
        x = floats(*size)
        want, = reference(model, {"x": x})
        got, = session.run({"x": x})
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("state", [True, False])
@pytest.mark.parametrize("activation", ["none", "silu"])
def test_causal_conv_with_state(tmp_path, state, activation):
    feeds = [{"x": floats(batch, 4, length), "w": floats(4, 1, 3), "b": floats(4)} |
             ({"s": floats(batch, 4, 2)} if state else {}) for batch, length in ((2, 5), (1, 1))]
    for feed in feeds:
        check(tmp_path, "CausalConvWithState", [feed], opset=27, outputs=2, fixed=True, activation=activation)
