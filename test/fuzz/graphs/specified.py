"""Forms that ONNX's reference evaluator (1.23.2) gets wrong, as ONNX specifies them.

Each function says what is wrong. It takes the node, and the values by the names that
the node reads, and returns the results; or Refused where it leaves the node to nobody.
"""
import numpy as np
import onnx
from onnx import helper
from onnx.reference import ReferenceEvaluator

from .refusal import Refused


def operand(proto, feeds, index):
    name = proto.input[index] if index < len(proto.input) else ""
    return feeds[name] if name else None


def attribute(proto, name, otherwise=None):
    return next((helper.get_attribute_value(a) for a in proto.attribute if a.name == name), otherwise)


def global_max_pool(node, feeds):
    """The evaluator reduces the last two dimensions whatever the rank; ONNX, all behind the channels."""
    value = operand(node.proto, feeds, 0)
    return [value.max(axis=tuple(range(2, value.ndim)), keepdims=True)]


def lp_normalization(node, feeds):
    """The evaluator sums powers of the elements for p = 1, not of their magnitudes."""
    value, axis, p = operand(node.proto, feeds, 0), attribute(node.proto, "axis", -1), attribute(node.proto, "p", 2)
    norm = (np.abs(value)**p).sum(axis=axis, keepdims=True)**(1 / p)
    return [np.where(norm == 0, 0, value / norm)]


def unique(node, feeds):
    """With sorted=0 the evaluator sorts if there is one result, and takes rows of what ONNX flattens."""
    value, axis = operand(node.proto, feeds, 0), attribute(node.proto, "axis")
    if axis is None:
        value, axis = value.reshape(-1), 0
    found, first, inverse, counts = np.unique(value, True, True, True, axis=axis)
    if not attribute(node.proto, "sorted", 1):
        order = np.argsort(first)
        found, first, counts = np.take(found, order, axis), first[order], counts[order]
        inverse = np.argsort(order)[inverse.reshape(-1)]
    return [found, first, inverse.reshape(-1), counts][:len(node.proto.output)]


def attention(node, feeds):
    """Of a mask with one row for all queries and is_causal the evaluator makes the mask of the first query."""
    mask = operand(node.proto, feeds, 3)
    if mask is not None and attribute(node.proto, "is_causal", 0) and mask.shape[-2:-1] != (1,) or mask is None:
        return node.evaluator.run(None, feeds)
    query = operand(node.proto, feeds, 0)
    name = node.proto.input[3]
    rows = np.broadcast_to(mask, (*mask.shape[:-2], query.shape[-2], mask.shape[-1]))
    return node.evaluator.run(None, {**feeds, name: rows})


def one_hot(node, feeds):
    """The evaluator adds the difference of the two values to one of them, which rounds."""
    places, depth, values = (operand(node.proto, feeds, i) for i in range(3))
    depth = int(depth.reshape(()))
    axis = attribute(node.proto, "axis", -1) % (places.ndim + 1)
    hot = np.arange(depth).reshape(-1, *[1] * (places.ndim - axis)) == np.expand_dims(
        np.where(places < 0, places.astype(np.int64) + depth, places.astype(np.int64)), axis)
    return [np.where(hot, values[1], values[0])]


def hard_swish(node, feeds):
    """Of doubles too the evaluator takes the float next to 1/6."""
    value = operand(node.proto, feeds, 0)
    return [value * np.clip(value / 6 + 0.5, 0, 1)]


def pool(node, feeds):
    """The evaluator takes pads in another order, and pads of one or three dimensions for none."""
    proto, value = node.proto, operand(node.proto, feeds, 0)
    kernel, rank, auto = attribute(proto, "kernel_shape"), value.ndim - 2, attribute(proto, "auto_pad", b"NOTSET").decode()
    strides, dilations = (attribute(proto, name) or [1] * rank for name in ("strides", "dilations"))
    pads = attribute(proto, "pads") or [0] * 2 * rank
    starts = []
    for i, (size, stride) in enumerate(zip(value.shape[2:], strides)):
        reach = (kernel[i] - 1) * dilations[i] + 1
        if auto.startswith("SAME"):
            count = -(-size // stride)
            low = max((count - 1) * stride + reach - size, 0)
            low = (low + (auto == "SAME_LOWER")) // 2
        else:
            low, span = pads[i], size + pads[i] + pads[i + rank] - reach
            count = (-(-span // stride) if attribute(proto, "ceil_mode", 0) else span // stride) + 1
            # A window that starts behind the elements is none.
            count -= (count - 1) * stride >= size + low
        starts.append([at * stride - low for at in range(count)])
    result = np.zeros((*value.shape[:2], *map(len, starts)), value.dtype)
    for place in np.ndindex(*result.shape[2:]):
        inside, padded = [], 1
        for i, at in enumerate(place):
            places = starts[i][at] + np.arange(kernel[i]) * dilations[i]
            inside.append(places[(places >= 0) & (places < value.shape[i + 2])])
            padded *= int(np.sum((places >= -pads[i]) & (places < value.shape[i + 2] + pads[i + rank])))
        window = value[np.ix_(range(value.shape[0]), range(value.shape[1]), *inside)].reshape(*value.shape[:2], -1)
        if not window.shape[2]:
            raise Refused  # nothing but padding
        if proto.op_type == "MaxPool":
            found = window.max(-1)
        elif proto.op_type == "AveragePool":
            found = window.sum(-1) / (padded if attribute(proto, "count_include_pad", 0) else window.shape[2])
        else:
            p = attribute(proto, "p", 2)
            found = (np.abs(window)**p).sum(-1)**(1 / p)
        result[(..., *place)] = found
    return [result]


def local_response(node, feeds):
    """The evaluator counts channels by the size of the batch."""
    value, proto = operand(node.proto, feeds, 0), node.proto
    size, bias = attribute(proto, "size"), attribute(proto, "bias", 1.0)
    alpha, beta = attribute(proto, "alpha", 1e-4), attribute(proto, "beta", 0.75)
    squares = np.stack([np.sum(value[:, max(0, c - (size - 1) // 2):c + size // 2 + 1]**2, axis=1)
                        for c in range(value.shape[1])], 1)
    return [value / (bias + alpha / size * squares)**beta]


def transposed_convolution(node, feeds):
    """Of several groups the evaluator adds the first one's bias to all, and places one map of each."""
    value, weights, bias = (operand(node.proto, feeds, i) for i in range(3))
    groups = attribute(node.proto, "group", 1)
    if groups == 1:
        return node.evaluator.run(None, feeds)
    if node.body is None:
        proto = onnx.NodeProto()
        proto.CopyFrom(node.proto)
        del proto.input[2:]
        next(a for a in proto.attribute if a.name == "group").i = 1
        values = [helper.make_tensor_value_info(n, 11, None) for n in (*proto.input, *proto.output)]
        node.body = ReferenceEvaluator(helper.make_model(helper.make_graph([proto], "group", values[:2], values[2:]),
                                                         opset_imports=node.opsets))
    parts = [node.body.run(None, dict(zip(node.proto.input, part)))[0]
             for part in zip(np.split(value, groups, 1), np.split(weights, groups, 0))]
    result = np.concatenate(parts, 1)
    return [result if bias is None else result + bias.reshape(-1, *[1] * (value.ndim - 2))]


SPECIFIED = {"MaxPool": pool, "AveragePool": pool, "LpPool": pool, "LRN": local_response, "HardSwish": hard_swish, "OneHot": one_hot,
             "ConvTranspose": transposed_convolution,
             "GlobalMaxPool": global_max_pool, "LpNormalization": lp_normalization, "Unique": unique,
             "Attention": attention}
# What the evaluator knows from a later opset on only, with the same meaning; in BatchNormalization of older
# ones it updates the mean, as in training.
RENEWED = {"QuantizeLinear": 19, "DequantizeLinear": 19, "BatchNormalization": 15}
