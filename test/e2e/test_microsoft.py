"""Operators of domain com.microsoft on floats, against onnxruntime where its CPU has them, else against numpy: sizes
that vary, odd ones and 0 among them."""
import numpy as np
import onnx
import pytest
from conftest import compile_model, reference
from onnx import helper

import tenon

RNG = np.random.default_rng(0)
HEADS = 2


def floats(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def half(*shape):
    return floats(*shape).astype(np.float16)


def below(bound):
    return lambda *shape: RNG.integers(0, bound, shape).astype(np.int32)


def some(*shape):
    """A mask, 1 for keys to see. Each row sees one: what a row is that sees none is a matter of rounding."""
    mask = (RNG.random(shape) < 0.7).astype(np.int32)
    mask[..., :1] = 1
    return mask


class Input:
    """An operand whose sizes are numbers or names."""
    def __init__(self, *sizes, make=floats):
        self.sizes, self.make = sizes, make

    def array(self, known):
        return self.make(*(known.get(size, size) for size in self.sizes))


class Length(Input):
    """An operand that holds a size."""
    def __init__(self, name):
        super().__init__()
        self.name = name

    def array(self, known):
        return np.array(known[self.name])


def save(path, op, operands, known, outputs, fixed, attributes):
    feed = {name: value.array(known) for name, value in operands.items() if isinstance(value, Input)}
    inputs = [helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype),
                                            value.shape if fixed else operands[name].sizes)
              for name, value in feed.items()]
    constants = [onnx.numpy_helper.from_array(value, name)
                 for name, value in operands.items() if isinstance(value, np.ndarray)]
    results = [f"y{i}" if i in outputs else "" for i in range(max(outputs) + 1)]
    node = helper.make_node(op, [name if value is not None else "" for name, value in operands.items()], results,
                            name="node", domain="com.microsoft", **attributes)
    # Tenon looks at no types of results, and onnxruntime infers them.
    graph = helper.make_graph([node], "g", inputs, [onnx.ValueInfoProto(name=name) for name in results if name],
                              constants)
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[
        helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]), path)
    return path


SIZES = [{"b": b, "s": s} for b, s in ((2, 5), (1, 1), (3, 8), (0, 4), (2, 0))]
NOT_EMPTY = SIZES[:3]


def check(folder, op, operands, sizes=SIZES, outputs=(0,), wanted=None, tolerance=1e-5, fixed=False, **attributes):
    """`operands` are of type Input, arrays, which become constants, or None, in order. Compiles one model and runs it
    on all `sizes`, or if they are fixed on the first; `wanted` computes what onnxruntime does not."""
    model = save(folder / "model.onnx", op, operands, sizes[0], outputs, fixed, attributes)
    session = tenon.Session(compile_model(model, folder / "model.so"), threads=2, check_memory=True)
    for known in sizes[:1] if fixed else sizes:
        feed = {name: value.array(known) for name, value in operands.items() if isinstance(value, Input)}
        expected = wanted(**{**operands, **feed}) if wanted else reference(model, feed)
        found = session.run(feed)
        assert len(found) == len(expected)
        for got, want in zip(found, expected):
            assert got.dtype == want.dtype and got.shape == want.shape
            np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance, err_msg=str(known))


X, W, B = Input("b", "s", 6), floats(6, 24), floats(24)
MASKS = {
    "none": None,
    "ends": Input("b", make=lambda *shape: 1 + below(5)(*shape)),
    "keys": Input("b", "s", make=some),
    "rows": Input("b", "s", "s", make=some),
}


@pytest.mark.parametrize("causal", [0, 1])
@pytest.mark.parametrize("mask", MASKS)
def test_attention(tmp_path, mask, causal):
    check(tmp_path, "Attention", {"x": X, "w": W, "bias": B, "mask": MASKS[mask]}, num_heads=HEADS,
          unidirectional=causal)


def test_attention_between_starts_and_ends(tmp_path):
    def spans(size):
        return np.int32([4, 5, 1, 2] if size == 4 else [3, 5, 0, 3, 8, 0, 5, 10])
    for size in (4, 8):
        check(tmp_path, "Attention", {"x": Input(2, 5, 6), "w": W, "bias": B, "mask": Input(size, make=spans)},
              num_heads=HEADS, fixed=True)


def test_attention_without_bias_of_other_widths(tmp_path):
    check(tmp_path, "Attention", {"x": X, "w": floats(6, 28)}, num_heads=HEADS, qkv_hidden_sizes=[8, 8, 12], scale=0.3)


PAST = [{"b": b, "s": s, "p": p, "t": s + p} for b, s, p in ((2, 3, 4), (1, 1, 6), (2, 5, 0), (0, 1, 2))]


@pytest.mark.parametrize("causal", [0, 1])
def test_attention_with_past(tmp_path, causal):
    check(tmp_path, "Attention", {"x": X, "w": W, "bias": B, "mask": Input("b", "t", make=some),
                                  "past": Input(2, "b", HEADS, "p", 4)},
          PAST, outputs=(0, 1), num_heads=HEADS, unidirectional=causal, mask_filter_value=-3e4)


def test_attention_with_a_bias_of_its_scores(tmp_path):
    check(tmp_path, "Attention", {"x": X, "w": W, "bias": B, "mask": MASKS["keys"], "past": None,
                                  "add": Input("b", 1, "s", "s")}, outputs=(0, 1), num_heads=HEADS)


def test_attention_with_the_mask_of_a_window(tmp_path):
    """Of rank 4, which onnxruntime has on GPUs only: rows and columns of the longest sequence."""
    def wanted(x, w, bias, mask, past):
        queries, keys, values = np.split(x @ w + bias, 3, axis=-1)
        heads = [part.reshape(*x.shape[:2], HEADS, 4).swapaxes(1, 2) for part in (queries, keys, values)]
        keys, values = (np.concatenate([past[i], heads[1 + i]], axis=2) for i in (0, 1))
        total, before = keys.shape[2], past.shape[3]
        scores = heads[0] @ keys.swapaxes(-1, -2) / 2
        scores += np.where(mask[:, :, before:total, :total] > 0, 0, np.float32(-10000))
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        result = weights / weights.sum(-1, keepdims=True) @ values
        return [result.swapaxes(1, 2).reshape(*x.shape[:2], 8)]
    check(tmp_path, "Attention", {"x": X, "w": W, "bias": B, "mask": Input("b", 1, 9, 9, make=some),
                                  "past": Input(2, "b", HEADS, "p", 4)}, PAST[:3], num_heads=HEADS, wanted=wanted)


CROSS = [{"b": b, "s": s, "k": k} for b, s, k in ((2, 3, 5), (1, 1, 7), (3, 6, 1), (0, 2, 3), (2, 0, 3))]
Q, K, V = Input("b", "s", 8), Input("b", "k", 8), Input("b", "k", 12)


@pytest.mark.parametrize("mask", [None, Input("b", make=lambda *shape: 1 + below(7)(*shape)),
                                  Input("b", "k", make=some), Input("b", "s", "k", make=some)])
def test_multi_head_attention(tmp_path, mask):
    check(tmp_path, "MultiHeadAttention", {"q": Q, "k": K, "v": V, "bias": floats(28), "mask": mask,
                                           "add": Input(1, HEADS, "s", "k")}, CROSS, num_heads=HEADS)


def test_multi_head_attention_unidirectional(tmp_path):
    q = Input("b", "s", 8)
    check(tmp_path, "MultiHeadAttention", {"q": q, "k": q, "v": q}, num_heads=HEADS, unidirectional=1)


@pytest.mark.parametrize("causal", [0, 1])
def test_multi_head_attention_with_past(tmp_path, causal):
    q, past = Input("b", "s", 8), Input("b", HEADS, "p", 4)
    check(tmp_path, "MultiHeadAttention",
          {"q": q, "k": q, "v": q, "bias": floats(24), "mask": Input("b", "t", make=some), "add": Input(1, 1, "s", "t"),
           "past_key": past, "past_value": past}, PAST, outputs=(0, 1, 2), num_heads=HEADS, unidirectional=causal)


def test_multi_head_attention_of_keys_apart(tmp_path):
    """Keys and values of another layer, whose heads are apart already: no bias is added."""
    keys = Input("b", HEADS, "k", 4)
    check(tmp_path, "MultiHeadAttention", {"q": Q, "k": keys, "v": keys, "bias": floats(24)}, CROSS, num_heads=HEADS)


def test_multi_head_attention_of_packed_operands(tmp_path):
    """As onnxruntime computes it of what is not packed."""
    bias = floats(24)
    def unpacked(q, k, v):
        flat = [part.reshape(*part.shape[:2], 8) for part in (q, k, v)]
        operands = {"q": Input(*flat[0].shape), "k": Input(*flat[1].shape), "v": Input(*flat[2].shape), "bias": bias}
        path = save(tmp_path / "unpacked.onnx", "MultiHeadAttention", operands, {}, (0,), True, {"num_heads": HEADS})
        return reference(path, dict(zip("qkv", flat)))
    check(tmp_path, "MultiHeadAttention", {"q": Input("b", "s", HEADS, 3, 4), "k": None, "v": None, "bias": bias},
          wanted=lambda q, **_: unpacked(*(q[:, :, :, i] for i in range(3))), num_heads=HEADS)
    check(tmp_path, "MultiHeadAttention", {"q": Q, "k": Input("b", "k", HEADS, 2, 4), "v": None, "bias": bias}, CROSS,
          wanted=lambda q, k, **_: unpacked(q, k[:, :, :, 0], k[:, :, :, 1]), num_heads=HEADS)


def test_attention_of_halves(tmp_path):
    """Which onnxruntime's CPU has not: computed in f32, stored in f16."""
    x, w, bias = half(2, 5, 6), half(6, 24), half(24)
    operands = {"x": Input(2, 5, 6), "w": w.astype(np.float32), "bias": bias.astype(np.float32),
                "mask": Input(2, 5, make=some)}
    path = save(tmp_path / "wide.onnx", "Attention", operands, {}, (0,), True, {"num_heads": HEADS})
    check(tmp_path, "Attention", {"x": Input("b", "s", 6, make=half), "w": w, "bias": bias,
                                  "mask": Input("b", "s", make=some)}, SIZES[:1], num_heads=HEADS, tolerance=2e-2,
          wanted=lambda x, mask, **_: [reference(path, {"x": x.astype(np.float32), "mask": mask})[0].astype(np.float16)])


def tiny(*shape):
    """So small that the default of epsilon shows."""
    return floats(*shape) * np.float32(1e-2)


@pytest.mark.parametrize("op", ["SkipLayerNormalization", "SkipSimplifiedLayerNormalization"])
def test_skip_norm(tmp_path, op):
    rest = {"shift": floats(8)} if op == "SkipLayerNormalization" else {}
    x = Input("b", "s", 8, make=tiny)
    for skip in (x, Input(1, "s", 8, make=tiny)):
        check(tmp_path, op, {"x": x, "skip": skip, "scale": floats(8)}, tolerance=1e-4)
    check(tmp_path, op, {"x": x, "skip": Input("s", 8), "scale": floats(8), **rest, "bias": floats(8)}, outputs=(0, 3),
          tolerance=1e-4, epsilon=1e-6)


def test_skip_norm_of_rank_2(tmp_path):
    rows = Input("s", 7)
    check(tmp_path, "SkipLayerNormalization", {"x": rows, "skip": rows, "scale": floats(7)}, tolerance=1e-4)


@pytest.mark.parametrize("outputs, positions", [
    ((0,), None), ((0, 1), Input("b", "s", make=below(9))), ((0, 1, 2), Input(1, "s", make=below(9)))])
def test_embed_norm(tmp_path, outputs, positions):
    ids, mask = Input("b", "s", make=below(11)), Input("b", "s", make=below(3))
    tables = {"words": floats(11, 8), "places": floats(9, 8)}
    norm = {"scale": floats(8), "shift": floats(8)}
    check(tmp_path, "EmbedLayerNormalization", {"ids": ids, "kinds": Input("b", "s", make=below(2)), **tables,
                                                "segments": floats(2, 8), **norm, "mask": mask, "at": positions},
          outputs=outputs, tolerance=1e-4, mask_index_type=int(1 in outputs))
    if 1 in outputs:
        check(tmp_path, "EmbedLayerNormalization", {"ids": ids, "kinds": None, **tables, "segments": None, **norm,
                                                    "mask": None, "at": positions}, outputs=outputs, tolerance=1e-4)


@pytest.mark.parametrize("op", ["Gelu", "QuickGelu", "FastGelu", "BiasGelu"])
def test_gelu(tmp_path, op):
    x = Input("b", "s", 7)
    if op != "BiasGelu":
        check(tmp_path, op, {"x": x})
    if op in ("BiasGelu", "FastGelu"):
        check(tmp_path, op, {"x": x, "bias": floats(7)})
    if op == "QuickGelu":
        check(tmp_path, op, {"x": x}, alpha=0.7)


def test_bias_add(tmp_path):
    x, bias = Input("b", "s", 7), floats(7)
    check(tmp_path, "BiasAdd", {"x": x, "bias": bias, "skip": x}, wanted=lambda x, bias, skip: [x + bias + skip])


def gelu(x):
    import math
    return (x * (1 + np.vectorize(math.erf, otypes=[float])(x / np.sqrt(2))) / 2).astype(np.float32)


def test_bias_split_gelu(tmp_path):
    def wanted(x, bias):
        left, right = np.split(x + bias, 2, axis=-1)
        return [left * gelu(right)]
    check(tmp_path, "BiasSplitGelu", {"x": Input("b", "s", 6), "bias": floats(6)}, wanted=wanted)
    check(tmp_path, "BiasSplitGelu", {"x": Input("b", 3, "s"), "bias": Input("s")}, [{"b": 2, "s": 4}, {"b": 1, "s": 8}],
          wanted=wanted)


def shaped(shape, transposed, moved):
    """Sizes that an operand has if the product is to see `shape`."""
    shape = list(shape)
    if transposed:
        shape[-2:] = shape[:-3:-1]
    if moved:
        shape = [shape[-2], *shape[:-2], shape[-1]]
    return shape


@pytest.mark.parametrize("moved, transposed", [
    ((0, 0), (0, 0)), ((0, 0), (1, 1)), ((1, 0), (0, 1)), ((1, 0), (1, 0)), ((0, 1), (0, 1)), ((0, 1), (0, 0)),
    ((1, 1), (1, 1))])
def test_fused_matmul(tmp_path, moved, transposed):
    check(tmp_path, "FusedMatMul", {"x": Input(*shaped(("b", 3, "s", 7), transposed[0], moved[0])),
                                    "z": Input(*shaped(("b", 3, 7, 5), transposed[1], moved[1]))}, alpha=0.25,
          transA=transposed[0], transB=transposed[1], transBatchA=moved[0], transBatchB=moved[1])


def test_transpose_matmul(tmp_path):
    check(tmp_path, "TransposeMatMul", {"x": X, "z": Input("b", 5, 6)}, transB=1)


def test_fused_matmul_of_vectors(tmp_path):
    """Which are not transposed."""
    check(tmp_path, "FusedMatMul", {"x": Input(7), "z": Input("b", 7, "s")}, transA=1, alpha=2.0)
    check(tmp_path, "FusedMatMul", {"x": Input(7), "z": Input("b", "s", 7)}, transB=1)
    check(tmp_path, "FusedMatMul", {"x": Input("b", "s", 7), "z": Input(7)}, transB=1)


ACTIVATIONS = {"Relu": 0, "Tanh": 0, "Sigmoid": 0, "LeakyRelu": 1, "HardSigmoid": 2}


@pytest.mark.parametrize("name", [*ACTIVATIONS, "Elu", "Softplus", "Softsign", "ThresholdedRelu"])
def test_fused_gemm(tmp_path, name):
    check(tmp_path, "FusedGemm", {"x": Input("s", 7), "z": floats(5, 7), "c": floats(5)}, transB=1, alpha=0.5, beta=2.0,
          activation=name, activation_alpha=0.3, activation_beta=0.4)


@pytest.mark.parametrize("name", [*ACTIVATIONS, "Clip", "HardSwish"])
def test_fused_conv(tmp_path, name):
    count = {**ACTIVATIONS, "Clip": 2, "HardSwish": 0}[name]
    parameters = {"activation_params": [-0.3, 0.4][2 - count:] if name != "LeakyRelu" else [0.2]} if count else {}
    x, kernel = Input("b", 3, "s", 7), floats(4, 3, 3, 3)
    rest = {"bias": floats(4)} if count == 0 else {"bias": None, "sum": Input("b", 4, "s", 7)}
    check(tmp_path, "FusedConv", {"x": x, "w": kernel, **rest}, NOT_EMPTY, activation=name, pads=[1] * 4,
          tolerance=1e-4, **parameters)


def as_conv(x, w, **attributes):
    node = helper.make_node("Conv", ["x", "w"], ["y"], **attributes)
    from onnx.reference import ReferenceEvaluator
    return ReferenceEvaluator(node).run(None, {"x": x, "w": w})[0]


@pytest.mark.parametrize("group", [1, 4])
def test_nhwc_conv(tmp_path, group):
    def wanted(x, w, bias):
        y = as_conv(x.transpose(0, 3, 1, 2), w.transpose(0, 3, 1, 2), group=group, strides=[2, 1], pads=[1, 0, 1, 2])
        return [y.transpose(0, 2, 3, 1) + bias]
    check(tmp_path, "NhwcConv", {"x": Input("b", "s", 7, 4), "w": floats(8, 3, 3, 4 // group), "bias": floats(8)},
          NOT_EMPTY, wanted=wanted, group=group, strides=[2, 1], pads=[1, 0, 1, 2], tolerance=1e-4)


def group_norm(x, scale, shift, activation):
    groups = x.reshape(x.shape[0], -1, 3, x.shape[-1] // 3).astype(np.float64)
    mean, variance = groups.mean((1, 3), keepdims=True), groups.var((1, 3), keepdims=True)
    y = ((groups - mean) / np.sqrt(variance + 1e-5)).reshape(x.shape) * scale + shift
    return (y / (1 + np.exp(-y)) if activation else y).astype(x.dtype)


@pytest.mark.parametrize("activation", [0, 1])
def test_group_norm(tmp_path, activation):
    scale, shift = floats(6), floats(6)
    x = Input("b", "s", 3, 6)
    check(tmp_path, "GroupNorm", {"x": x, "scale": scale, "shift": shift}, NOT_EMPTY, groups=3, activation=activation,
          wanted=lambda x, **_: [group_norm(x, scale, shift, activation)], tolerance=1e-4)
    check(tmp_path, "GroupNorm", {"x": Input("b", "s", 3, 6, make=half), "scale": scale, "shift": shift}, NOT_EMPTY,
          wanted=lambda x, **_: [group_norm(x, scale, shift, activation)], groups=3, activation=activation,
          tolerance=1e-2)
    check(tmp_path, "GroupNorm", {"x": Input("b", 6, 3, "s"), "scale": scale, "shift": shift}, NOT_EMPTY,
          wanted=lambda x, **_: [group_norm(x.transpose(0, 2, 3, 1), scale, shift, activation).transpose(0, 3, 1, 2)],
          groups=3, activation=activation, channels_last=0, tolerance=1e-4)


@pytest.mark.parametrize("skip", [("b", "s", 3, 6), ("b", 1, 1, 6), ("b", 6)])
def test_skip_group_norm(tmp_path, skip):
    def wanted(x, scale, shift, skip, bias):
        total = x + (skip if skip.ndim == 4 else skip[:, None, None]) + bias
        return [group_norm(total, scale, shift, 1), total]
    check(tmp_path, "SkipGroupNorm", {"x": Input("b", "s", 3, 6), "scale": floats(6), "shift": floats(6),
                                      "skip": Input(*skip), "bias": floats(6)}, NOT_EMPTY, outputs=(0, 1),
          wanted=wanted, groups=3, activation=1, tolerance=1e-4)


CACHES = {"cosine": floats(20, 4), "sine": floats(20, 4)}


@pytest.mark.parametrize("interleaved, positions", [(0, ("b", "s")), (1, (1,))])
def test_rotary_embedding(tmp_path, interleaved, positions):
    at = Input(*positions, make=lambda *shape: RNG.integers(0, 12, shape))
    check(tmp_path, "RotaryEmbedding", {"x": Input("b", "s", 24), "at": at, **CACHES}, interleaved=interleaved)
    check(tmp_path, "RotaryEmbedding", {"x": Input("b", HEADS, "s", 8), "at": at, **CACHES}, interleaved=interleaved)
    check(tmp_path, "RotaryEmbedding", {"x": Input("b", "s", 24), "at": at, **CACHES}, interleaved=interleaved,
          num_heads=2, rotary_embedding_dim=8)


@pytest.mark.parametrize("bidirectional", [0, 1])
def test_relative_position_bias(tmp_path, bidirectional):
    """As T5 does (arXiv:1910.10683), of a table whose memory has the heads first."""
    def wanted(table, queries, keys):
        distance = np.arange(keys)[None] - np.arange(queries)[:, None]
        buckets, bucket = table.shape[0], 0
        if bidirectional:
            buckets //= 2
            bucket = (distance > 0) * buckets
            distance = np.abs(distance)
        else:
            distance = -np.minimum(distance, 0)
        exact = buckets // 2
        large = exact + (np.log(np.maximum(distance, 1) / np.float32(exact)) / np.log(np.float32(30 / exact))
                         * (buckets - exact)).astype(np.int64)
        bucket = bucket + np.where(distance < exact, distance, np.minimum(large, buckets - 1))
        return [table.reshape(table.shape[::-1])[:, bucket][None]]
    check(tmp_path, "RelativePositionBias",
          {"table": floats(16, 3), "queries": Length("b"), "keys": Length("s")},
          [{"b": 50, "s": 50}, {"b": 1, "s": 40}, {"b": 7, "s": 3}], wanted=wanted, max_distance=30,
          is_bidirectional=bidirectional)


def test_gated_relative_position_bias(tmp_path):
    def wanted(query, bias, relative, w, b, a):
        rows = (query + bias).reshape(*query.shape[:2], HEADS, 4).swapaxes(1, 2) @ w + b
        gates = 1 / (1 + np.exp(-rows.reshape(*rows.shape[:3], 2, 3).sum(-1)))
        return [(gates[..., :1] * (gates[..., 1:] * a - 1) + 2) * relative]
    check(tmp_path, "GatedRelativePositionBias",
          {"query": Input("b", "s", 8), "bias": floats(8), "relative": Input(1, HEADS, "s", "s"), "w": floats(4, 6),
           "b": floats(6), "a": floats(1, HEADS, 1, 1)}, wanted=wanted, num_heads=HEADS)


@pytest.mark.parametrize("activation, k, normalize", [
    ("relu", 1, 0), ("silu", 3, 1), ("gelu", 3, 0), ("identity", 1, 1), ("swiglu", 2, 1)])
def test_experts(tmp_path, activation, k, normalize):
    width = 10 if activation == "swiglu" else 5
    more = {"swiglu_fusion": 1, "activation_alpha": 1.5, "activation_beta": 0.5, "swiglu_limit": 1.0} if width == 10 else {}
    experts = {"w1": floats(4, width, 6), "b1": floats(4, width), "w2": floats(4, 6, 5)}
    check(tmp_path, "MoE", {"x": Input("s", 6), "router": Input("s", 4), **experts, "b2": floats(4, 6)}, NOT_EMPTY, k=k,
          activation_type=activation, normalize_routing_weights=normalize, tolerance=1e-4, **more)


def test_experts_of_sequences(tmp_path):
    check(tmp_path, "MoE", {"x": Input(2, 5, 6), "router": Input(10, 4), "w1": floats(4, 5, 6), "b1": None,
                            "w2": floats(4, 6, 5)}, k=2, fixed=True, tolerance=1e-4)


def test_others(tmp_path):
    check(tmp_path, "CDist", {"x": Input("b", 7), "z": Input("s", 7)}, metric="euclidean", tolerance=1e-4)
    check(tmp_path, "CDist", {"x": Input("b", 7), "z": Input("s", 7)}, metric="sqeuclidean", tolerance=1e-4)
    for axis in (0, 1, -1):
        check(tmp_path, "ExpandDims", {"x": Input("b", "s"), "axis": np.array(axis, np.int32)})
    for upper in (0, 1):
        check(tmp_path, "Trilu", {"x": Input("b", "s", 4), "k": np.array(1)}, upper=upper)
    check(tmp_path, "Unique", {"x": Input("s", make=lambda n: RNG.integers(0, 4, n).astype(np.float32))}, NOT_EMPTY,
          outputs=(0, 1, 2))
    check(tmp_path, "GridSample", {"x": Input("b", 2, "s", 3), "grid": Input("b", 4, 5, 2)}, NOT_EMPTY,
          mode="bilinear", align_corners=1, tolerance=1e-4)


def test_unidirectional_needs_as_many_queries_as_keys(tmp_path):
    """Of fewer queries onnxruntime hides nothing from the last and counts the others from the first key."""
    operands = {"q": Q, "k": K, "v": K}
    model = save(tmp_path / "model.onnx", "MultiHeadAttention", operands, CROSS[0], (0,), False,
                 {"num_heads": HEADS, "unidirectional": 1})
    session = tenon.Session(compile_model(model, tmp_path / "model.so"))
    feed = {name: value.array({"b": 1, "s": 3, "k": 5}) for name, value in operands.items()}
    with pytest.raises(tenon.Error, match="node 'node'"):
        session.run(feed)
