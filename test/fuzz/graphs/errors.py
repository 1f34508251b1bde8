"""How far rounding may move the results of a graph: the error model.

Each node of a graph is taken to give its exact result for the operands it gets,
with an error of its own, where u is the roundoff of the type it computes in
(float for 16-bit types, docs/decisions/0007) and v that of its results:

- nodes that move, select or compare: none;
- an operation or function of one element: 4 u |result| + v |result|, and the
  smallest number of the type, as small results underflow;
- formulas of several (Gelu, Elu, …), which cancel: 4 v of the largest of operand,
  result and 1, since their constants are of that size and of the operand's type;
- sums of n terms (products, reductions, convolutions, pooling): n u times the
  sum of the terms' magnitudes, which is the node on the magnitudes of its
  operands; a convolution of 16 bits is rounded before its bias is added, too, and what
  scatters adds to an element of 16 bits, each time: n v;
- Resize: also places are computed in float, so 4 u times a dimension's size of
  the largest element;
- rows (softmax, norms, attention, recurrences): what the result changes by when
  operands change by n u of themselves, plus (n + 4) u of the result and, where it
  is a logarithm or made from states that are near 1, of 1; with v for attention with a soft cap, which keeps scores of 16
  bits, and for norms of groups and instances, where ONNX's functions round what
  is normalised before it is scaled.

`spread` evaluates the graph with errors of these sizes and random signs. What
results move by in these runs is what rounding may do to them; an element of any
type that never moved must be equal but for its own rounding.
"""
import numpy as np

from .bodies import CONTROL
from .nodes import BF16, F16, F32, F64, ROUNDOFF, Refused, attribute, is_float

SUMS = {"MatMul", "Gemm", "Conv", "ConvTranspose", "ReduceSum", "ReduceMean", "ReduceL1", "ReduceL2", "ReduceSumSquare",
        "ReduceProd", "CumSum", "CumProd", "Einsum", "AveragePool", "GlobalAveragePool", "LpPool", "GlobalLpPool", "Sum",
        "Mean", "ScatterElements", "ScatterND", "TensorScatter", "Col2Im"}
ROWS = {"Softmax", "LogSoftmax", "LpNormalization", "LayerNormalization", "RMSNormalization", "GroupNormalization",
        "InstanceNormalization", "BatchNormalization", "MeanVarianceNormalization", "LRN", "ReduceLogSum",
        "ReduceLogSumExp", "Attention", "MultiHeadAttention", "SkipLayerNormalization", "RotaryEmbedding",
        "SkipSimplifiedLayerNormalization", "LSTM", "GRU", "RNN", "LinearAttention", "CausalConvWithState",
        "SoftmaxCrossEntropyLoss", "NegativeLogLikelihoodLoss", "EmbedLayerNormalization"}
OF_ONE = {"LogSoftmax", "ReduceLogSum", "ReduceLogSumExp", "SoftmaxCrossEntropyLoss", "LSTM", "GRU", "RNN"}
COMPOSED = {"Gelu", "FastGelu", "BiasGelu", "Mish", "Softplus", "Softsign", "HardSwish", "Swish", "Selu", "Elu", "Celu",
            "HardSigmoid", "Sinh", "Cosh", "Tan", "Asin", "Acos", "Atan", "Asinh", "Acosh", "Atanh", "Log", "Sin", "Cos",
            "Mod", "Pow", "DequantizeLinear", "Shrink", "SwiGLU", "Erf", "Tanh", "Sigmoid"}
EXACT = {"Abs", "Neg", "Ceil", "Floor", "Round", "Sign", "Relu", "Max", "Min", "Clip", "Where", "Identity", "Cast", "Not",
         "Concat", "Slice", "Split", "Gather", "GatherElements", "GatherND", "Pad", "Tile", "Expand", "Reshape", "Flatten",
         "Transpose", "Squeeze", "Unsqueeze", "Trilu", "TopK", "MaxPool", "GlobalMaxPool", "Compress", "Unique",
         "ReduceMax", "ReduceMin", "Hardmax", "OneHot", "ReverseSequence", "DepthToSpace", "SpaceToDepth", "CastLike",
         "BitCast", "Shape", "Size", "Dropout", "CenterCropPad", "Scatter", "EyeLike", "ConstantOfShape", "Range"}
SAMPLES, MORE_SAMPLES, SAFETY = 2, 60, 2.0


def computed_in(dtype):
    return ROUNDOFF[F64] if dtype == F64 else ROUNDOFF[F32]


def terms(node, feeds, results):
    """How many numbers go into one element of the result, at most."""
    sizes = [feeds[n].size for n in node.reads]
    return max(2, max(sizes) // max(1, min(r.size for r in results) // 4), max(
        [d for n in node.reads for d in feeds[n].shape], default=1))


def magnitude(value, shape):
    """The operand's, for each element of a result, or its largest."""
    value = np.abs(value.astype(F64))
    try:
        return np.broadcast_to(value, shape)
    except ValueError:
        return float(np.max(value, initial=0))


def mean_errors(node, feeds, u):
    """What a rounded mean moves each element of a LayerNormalization by.

    Errors of the operands do not show it where an element is as far from the mean as one can be: all others equal.
    """
    value = feeds[node.proto.input[0]].astype(F64)
    axes = tuple(range(attribute(node.proto, "axis", -1) % value.ndim, value.ndim))
    if value.size == 0:
        return value
    deviation = np.sqrt(value.var(axes, keepdims=True) + attribute(node.proto, "epsilon", 1e-5))
    scale = np.max(np.abs(feeds[node.proto.input[1]].astype(F64)), initial=0)
    return u * np.max(np.abs(value), axes, keepdims=True, initial=0) / deviation * scale


def local_errors(node, feeds, results, random):
    """The sizes of the node's own errors, one array for each result."""
    op = node.proto.op_type
    floats = [t if is_float(t) else None for t in node.types]
    if op in EXACT or not any(floats):
        return [0.0 for _ in results]
    u = max((computed_in(t) for t in floats if t), default=0.0)
    count = terms(node, feeds, results)
    with np.errstate(all="ignore"):
        own = [ROUNDOFF[t] * np.abs(r) + smallest(t) * ((r != 0) | (op in SUMS | ROWS)) if t and t != F64 else 0.0 for t, r in zip(floats, results)]
        if op == "Conv" and len(node.proto.input) > 2:
            bias = float(np.max(np.abs(feeds[node.proto.input[2]].astype(F64)), initial=0))
            own = [o + ROUNDOFF[t] * (np.abs(r) + bias) if t in (F16, BF16) else o for o, r, t in zip(own, results, floats)]
        if op.startswith("Scatter"):
            u = max(ROUNDOFF[t] for t in floats if t)
            count = max(feeds[node.proto.input[1]].shape, default=1)
        if op in SUMS:
            magnitudes = {n: np.abs(v) if is_float(v.dtype) else v for n, v in feeds.items()}
            return [o + count * u * np.abs(m) if t else 0.0
                    for o, m, t in zip(own, node.exact(magnitudes), floats)]
        if op in ROWS:
            if op in ("GroupNormalization", "InstanceNormalization") or any(
                    a.name == "softcap" for a in node.proto.attribute):
                u = max(ROUNDOFF[t] for t in floats if t)
            shaken = {n: (v.astype(F64) * (1 + count * u * random.choice([-1, 1], v.shape))).astype(
                v.dtype if v.dtype in (F32, F64) else F32) if is_float(v.dtype) else v for n, v in feeds.items()}
            if node.native or node.proto.domain:
                shaken = {n: v.astype(feeds[n].dtype) for n, v in shaken.items()}
            moved = [np.abs(m.astype(F64) - r) for m, r in zip(node.exact(shaken), results)]
            if op == "LayerNormalization":
                moved[0] = moved[0] + mean_errors(node, feeds, u)
            return [o + (count + 4) * u * (np.abs(r) + (op in OF_ONE)) + m if t else 0.0
                    for o, m, r, t in zip(own, moved, results, floats)]
        if op == "Resize":
            value = feeds[node.reads[0]]
            largest = 4 * max(value.shape) * float(np.max(np.abs(value.astype(F64)), initial=0))
            return [o + u * largest for o in own]
        scale = [np.abs(r) for r in results]
        if op in COMPOSED:
            u = max(ROUNDOFF[t] for t in floats if t)
            for name in node.reads:
                if is_float(feeds[name].dtype):
                    scale = [np.maximum(np.maximum(s, 1), magnitude(feeds[name], r.shape))
                             for s, r in zip(scale, results)]
        return [o + 4 * u * s if t else 0.0 for o, s, t in zip(own, scale, floats)]


def run_noisy(node, feeds, random):
    """The node's results with errors of random signs."""
    if node.bodies:
        return CONTROL[node.proto.op_type](node, feeds, lambda inner, values: run_noisy(inner, values, random))
    exact = [r.astype(F64) if is_float(t) else r for r, t in zip(node.exact(feeds), node.types)]
    errors = local_errors(node, feeds, exact, random)
    with np.errstate(all="ignore"):
        return node.rounded([r + e * random.choice([-1.0, 1.0], r.shape) if is_float(t) else r
                             for r, e, t in zip(exact, errors, node.types)])


def evaluate(nodes, values, random):
    """All values of the graph, with random errors."""
    values = dict(values)
    for node in nodes:
        values.update(zip(node.proto.output, run_noisy(node, {n: values[n] for n in node.reads}, random)))
    return values


class Spread:
    """What the outputs of one run may be."""

    def __init__(self, nodes, inputs, outputs, wanted, seed):
        self.nodes, self.inputs, self.outputs, self.wanted = nodes, inputs, outputs, wanted
        self.random = np.random.default_rng([seed, 1])
        self.moved = [np.zeros(w.shape) for w in wanted]
        self.failed = False

    def sample(self, count):
        for _ in range(count):
            try:
                values = evaluate(self.nodes, self.inputs, self.random)
            except Refused:
                self.failed = True  # an error of rounding made an operand unfit
                return
            for i, name in enumerate(self.outputs):
                again, wanted = values[name], self.wanted[i]
                if again.shape != wanted.shape:
                    self.moved[i] = np.full(wanted.shape, np.inf)
                    self.failed = True
                    continue
                with np.errstate(all="ignore"):
                    distance = np.abs(again.astype(F64) - wanted.astype(F64))
                    distance = np.where(same(again, wanted), 0, np.where(np.isnan(distance), np.inf, distance))
                self.moved[i] = np.maximum(self.moved[i], distance)


def same(found, wanted):
    """Equal, or both NaN."""
    with np.errstate(all="ignore"):
        return (found == wanted) | ((found != found) & (wanted != wanted))


def beyond(found, wanted, moved):
    """Which elements differ by more than rounding may do."""
    equal = same(found, wanted)
    if not is_float(wanted.dtype):
        return ~equal & (moved == 0)
    with np.errstate(all="ignore"):
        distance = np.abs(found.astype(F64) - wanted.astype(F64))
        rounding = 2 * ROUNDOFF[wanted.dtype] * np.abs(wanted.astype(F64)) + smallest(wanted.dtype)
        return ~equal & ~(distance <= SAFETY * moved + rounding)


def smallest(dtype):
    """The least number of the type; of those computed in float or wider, the least that is not flushed to 0."""
    return {F64: 2.3e-308, F32: 1.2e-38, BF16: 1.2e-38, F16: 6e-8}[dtype]
