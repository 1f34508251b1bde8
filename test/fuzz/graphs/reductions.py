"""Reductions, running sums, softmax, norms, and what orders: TopK, ArgMax."""
import numpy as np

from .nodes import BOOL, F16, F32, F64, FLOATS, I64, INTEGERS, Refused, is_float

REDUCE = ["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2", "ReduceSumSquare",
          "ReduceLogSumExp", "ReduceProd", "ReduceLogSum"]


def reduce(g):
    op = g.pick(REDUCE)
    source = g.choose_for(op)
    rank = g.rank(source)
    if op == "ReduceLogSum":
        source = g.add("Add", [g.add("Abs", [source]), g.constant(1, g.types[source])])
    axes = sorted({g.number(0, rank - 1) for _ in range(g.number(1, 3))}) if rank else []
    axes = [axis - rank if g.chance(0.3) else axis for axis in axes]
    attributes = {"keepdims": g.number(0, 1)}
    inputs = [source]
    if not axes or g.chance(0.1):
        if g.chance(0.3) and (g.opset >= 18 or op == "ReduceSum"):
            attributes["noop_with_empty_axes"] = 1
    elif g.opset >= 18 or (op == "ReduceSum" and g.opset >= 13):
        inputs.append(g.integers(*axes))
    else:
        attributes["axes"] = axes
    # No element of a sum of magnitudes is near 0 by cancelling.
    g.add(op, inputs, **attributes)


def rows(g):
    op = g.pick(["Softmax", "Softmax", "LogSoftmax", "LpNormalization", "Hardmax"])
    source = g.choose_for(op, rank=(1, 2, 3, 4))
    attributes = {"p": g.pick([1, 2])} if op == "LpNormalization" else {}
    g.add(op, [source], axis=g.axis(source), **attributes)


def layer_norm(g):
    op = g.pick(["LayerNormalization", "LayerNormalization", "RMSNormalization"])
    source = g.choose_float(op, rank=(1, 2, 3, 4))
    axis = g.pick([-1, -1, -1, g.axis(source)])
    dims = g.dims(source)[axis:] if axis < 0 else g.dims(source)[axis:]
    inputs = [source, g.operand(dims, g.types[source])]
    if op == "LayerNormalization" and g.chance(0.7):
        inputs.append(g.operand(dims, g.types[source]))
    g.add(op, inputs, axis=axis, epsilon=g.pick([1e-5, 1e-3, 1e-12]))


def residual_norm(g):
    """x + y, and its norm, both read later."""
    source = g.choose_float("LayerNormalization", rank=(2, 3))
    total = g.add("Add", [source, g.partner(source)])
    weight = g.operand([g.dim(total, -1)], g.types[total])
    normed = g.add("LayerNormalization", [total, weight], axis=-1)
    if g.chance(0.6):
        g.add("Add", [normed, total])


def channel_norm(g):
    op = g.pick(["InstanceNormalization", "GroupNormalization", "BatchNormalization", "LRN", "MeanVarianceNormalization"])
    source = g.choose_float(op, rank=(3, 4) if op != "MeanVarianceNormalization" else (4,))
    dtype = g.types[source]
    if op == "LRN":
        g.add(op, [source], size=g.pick([1, 3, 5]), alpha=0.01, beta=0.75, bias=1.5)
        return
    if op == "MeanVarianceNormalization":
        g.add(op, [source], axes=g.pick([[0, 2, 3], [1], [2, 3]]))
        return
    channels = g.size(source, 1)
    scale, bias = g.operand([channels], dtype), g.operand([channels], dtype)
    if op == "BatchNormalization":
        g.add(op, [source, scale, bias, g.operand([channels], dtype),
                   g.constant(g.draw([channels], dtype, 0.5, 2))], epsilon=1e-3)
    elif op == "InstanceNormalization":
        g.add(op, [source, scale, bias], epsilon=1e-3)
    else:
        if g.opset < 21:
            raise Refused  # scales of groups, and deprecated for that
        groups = g.pick([n for n in range(1, channels + 1) if channels % n == 0])
        g.add(op, [source, scale, bias], num_groups=groups, epsilon=1e-3)


def cumulative(g):
    op = g.pick(["CumSum", "CumSum", "CumProd"])
    source = g.choose_for(op, rank=(1, 2, 3, 4))
    axis = g.constant(np.array(g.axis(source), np.int64 if g.chance(0.7) else np.int32))
    g.add(op, [source, axis], exclusive=g.number(0, 1), reverse=g.number(0, 1))


def arg(g):
    op = g.pick(["ArgMax", "ArgMin"])
    source = g.choose_for(op, rank=(1, 2, 3, 4))
    g.add(op, [source], axis=g.axis(source), keepdims=g.number(0, 1), select_last_index=g.number(0, 1))


def top_k(g):
    source = g.choose_for("TopK", rank=(1, 2, 3))
    axis = g.axis(source)
    smallest = min(shape[axis] for shape in g.shapes(source))
    count = g.integers(g.number(0 if g.chance(0.1) else min(1, smallest), smallest))
    g.add("TopK", [source, count], outputs=2, axis=axis, largest=g.number(0, 1), sorted=1)


OPERATORS = [(reduce, 7), (rows, 4), (layer_norm, 3), (residual_norm, 2), (channel_norm, 1.5), (cumulative, 2), (arg, 2),
             (top_k, 2)]
