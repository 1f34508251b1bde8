"""Quantizing and what multiplies integers."""
import numpy as np

from .growing import SIZES
from .nodes import F32, Refused

BYTES = [np.dtype(np.uint8), np.dtype(np.int8)]
WORDS = [np.dtype(np.uint16), np.dtype(np.int16)]


def parameters(g, dtype, axis_size=None):
    shape = [] if axis_size is None else [axis_size]
    scale = g.constant(np.asarray(g.random.uniform(0.02, 0.2, shape), np.float32))
    zero = g.constant(g.draw(shape, dtype, 100, 140) if dtype == BYTES[0] else g.draw(shape, dtype, -5, 5))
    return scale, zero


def quantize(g):
    source = g.choose([F32], rank=(0, 1, 2, 3, 4))
    dtype = g.pick(BYTES * 3 + WORDS if g.opset >= 21 else BYTES)
    attributes, size = {}, None
    if g.rank(source) and g.chance(0.3):
        axis = g.axis(source)
        attributes, size = {"axis": axis}, g.size(source, axis)
    scale, zero = parameters(g, dtype, size)
    result = g.add("QuantizeLinear", [source, scale, zero] if g.chance(0.8) or dtype != BYTES[0]
                   else [source, scale], **attributes)
    if g.chance(0.6):
        g.add("DequantizeLinear", [result, scale, zero] if g.types[result] == dtype else [result, scale], **attributes)


def dequantize(g):
    source = g.choose(BYTES + (WORDS if g.opset >= 21 else []))
    attributes, size = {}, None
    if g.rank(source) and g.chance(0.3):
        axis = g.axis(source)
        attributes, size = {"axis": axis}, g.size(source, axis)
    scale, zero = parameters(g, g.types[source], size)
    g.add("DequantizeLinear", [source, scale, zero] if g.chance(0.7) else [source, scale], **attributes)


def dynamic(g):
    source = g.choose([F32], fits=lambda n: g.everything(n, np.size))
    outputs = g.add("DynamicQuantizeLinear", [source], outputs=3)
    if g.rank(source) >= 2 and g.chance(0.6):
        weight = g.constant(g.draw([g.size(source, -1), g.pick(SIZES)], g.pick(BYTES), -100, 100))
        g.add("MatMulInteger", [outputs[0], weight, outputs[2]])


def matmul_integer(g):
    dims = [g.pick([1, 2, 5, "a"]), g.pick(SIZES)]
    lhs = g.add_input(g.pick(BYTES), dims, -128 if g.chance(0.5) else 0, 127)
    rhs_type = g.pick(BYTES)
    inputs = [lhs, g.operand([dims[1], g.pick(SIZES)], rhs_type, -128, 127)]
    if g.chance(0.5):
        inputs.append(g.constant(g.draw([], g.types[lhs], -5, 5)))
        if g.chance(0.5):
            inputs.append(g.constant(g.draw(g.pick([[], [g.size(inputs[1], 1)]]), rhs_type, -5, 5)))
    g.add("MatMulInteger", inputs)


def quantized_product(g):
    dims = [g.pick([1, 2, 5, "a"]), g.pick(SIZES)]
    left, right = g.pick(BYTES), g.pick(BYTES)
    lhs, rhs = g.add_input(left, dims, 0, 127), g.constant(g.draw([dims[1], g.pick(SIZES)], right, -100, 100))
    inputs = [lhs, *parameters(g, left), rhs, *parameters(g, right), *parameters(g, left)]
    g.add("QLinearMatMul", inputs)


def weight_only(g):
    """A product with weights that are stored as integers."""
    source = g.choose([F32], rank=(2, 3))
    inner, columns = g.size(source, -1), g.pick(SIZES)
    dtype = g.pick(BYTES)
    per_column = g.chance(0.5)
    scale, zero = parameters(g, dtype, columns if per_column else None)
    weight = g.constant(g.draw([inner, columns], dtype, -127, 127))
    wide = g.add("DequantizeLinear", [weight, scale, zero] if g.chance(0.5) else [weight, scale],
                 **({"axis": 1} if per_column else {}))
    g.add("MatMul", [source, wide])


def between_quantizers(g):
    """A product of what is dequantized on both sides, perhaps quantized again."""
    dims = [g.pick([1, 2, 5, "a"]), g.pick(SIZES)]
    left, right = g.pick(BYTES), g.pick(BYTES)
    lhs = g.add_input(left, dims, 0, 127)
    columns = g.pick(SIZES)
    per_column = g.chance(0.5)
    scale, zero = parameters(g, right, columns if per_column else None)
    weight = g.constant(g.draw([dims[1], columns], right, -127, 127))
    operands = [g.add("DequantizeLinear", [lhs, *parameters(g, left)][:g.pick([2, 3])]),
                g.add("DequantizeLinear", [weight, scale, zero] if g.chance(0.5) else [weight, scale],
                      **({"axis": 1} if per_column else {}))]
    if g.chance(0.3):
        operands[1] = g.add("Transpose", [g.add("Transpose", [operands[1]], perm=[1, 0])], perm=[1, 0])
    g.add("MatMul", operands)


OPERATORS = [(quantize, 2), (dequantize, 1.5), (dynamic, 1), (matmul_integer, 1.5), (weight_only, 1.5),
             (quantized_product, 0.7), (between_quantizers, 1.5)]
