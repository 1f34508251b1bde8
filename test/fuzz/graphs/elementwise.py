"""Elementwise operators over all types, comparisons, casts and bits."""
import numpy as np

from .nodes import BF16, BOOL, F16, F32, F64, FLOATS, I64, INTEGERS, Refused, allowed, is_float, proto_type

UNARY = ["Abs", "Ceil", "Cos", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Mish", "Neg",
         "Relu", "Round", "Selu", "Sigmoid", "Sign", "Sin", "Softplus", "Softsign", "Tanh", "Elu", "Celu", "Atan", "Asinh",
         "ThresholdedRelu", "Identity", "Swish", "Sinh", "Cosh", "Shrink", "IsNaN", "IsInf", "BitwiseNot", "Not"]
BINARY = ["Add", "Sub", "Mul", "Div", "Max", "Min", "PRelu", "Mod", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "And", "Or",
          "Xor"]
COMPARE = ["Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"]


def unary(g):
    op = g.pick(UNARY)
    source = g.choose_for(op)
    attributes = {}
    if op in ("Elu", "Celu", "ThresholdedRelu", "LeakyRelu", "Swish") and g.chance(0.5):
        attributes["alpha"] = float(g.pick([0.5, 1.5, 0.01]))
    if op == "Gelu":
        attributes["approximate"] = g.pick(["none", "tanh"])
    if op == "Shrink":
        # Of integers, which ONNX casts both to but the evaluator does not, they have no fractions.
        attributes.update(zip(("lambd", "bias"), (0.75, 0.25) if is_float(g.types[source]) else (2.0, 1.0)))
    g.add(op, [source], **attributes)


def binary(g):
    op = g.pick(BINARY)
    lhs = g.choose_for(op)
    attributes = {"fmod": 1} if op == "Mod" and (is_float(g.types[lhs]) or g.chance(0.4)) else {}
    rhs = g.partner(lhs)
    if op in ("Div", "Mod"):
        rhs = nonzero(g, rhs)
    # A slope is broadcast to the input, never the other way round.
    if op != "PRelu" and g.chance(0.4):
        lhs, rhs = (lhs, rhs) if op in ("Div", "Mod") else (rhs, lhs)
    g.add(op, [lhs, rhs], **attributes)


def nonzero(g, name):
    """`name`, or what keeps its distance from 0."""
    if g.everything(name, lambda value: np.all(np.abs(value.astype(F64)) > 0.1)):
        return name
    if g.types[name].kind == "u":
        return g.add("Max", [name, g.constant(g.types[name].type(1))])
    if is_float(g.types[name]):
        return g.add("Add", [g.add("Abs", [name]), g.constant(0.5, g.types[name])])
    return g.add("Add", [g.add("Mul", [g.add("Abs", [name]), g.constant(2, g.types[name])]),
                         g.constant(1, g.types[name])])


def bounded(g):
    """Functions of a domain: their operands are brought into it first."""
    op = g.pick(["Sqrt", "Log", "Reciprocal", "Acos", "Asin", "Atanh", "Acosh", "Tan"])
    source = g.choose_float(op)
    dtype = g.types[source]
    if op in ("Acos", "Asin", "Atanh", "Tan"):
        source = g.add("Mul", [g.add("Softsign", [source]), g.constant(0.9, dtype)])
    else:
        source = g.add("Add", [g.add("Abs", [source]), g.constant(1.25 if op == "Acosh" else 0.5, dtype)])
    g.add(op, [source])


def variadic(g):
    op = g.pick(["Max", "Min", "Sum", "Mean"])
    first = g.choose_for(op)
    g.add(op, [first] + [g.partner(first) for _ in range(g.number(0, 2))])


def compare(g):
    op = g.pick(COMPARE)
    lhs = g.choose_for(op)
    g.add(op, [lhs, g.partner(lhs)])


def where(g):
    first = g.choose()
    second = g.partner(first)
    condition = g.choose([BOOL], fits=lambda n: g.broadcasts(n, first) or g.broadcasts(first, n))
    g.add("Where", [condition, *([first, second] if g.chance(0.5) else [second, first])])


def clip(g):
    source = g.choose_for("Clip")
    low, high = (g.constant(value, g.types[source]) for value in (0 if g.types[source].kind == "u" else -1, 2))
    inputs = [source, "" if g.chance(0.2) else low, high]
    g.add("Clip", inputs if g.chance(0.8) else inputs[:2] if inputs[1] else inputs)


def power(g):
    source = g.choose_for("Pow")
    exponent = g.constant(g.pick([2, 3, 2, 1, 0]), g.types[source])
    if is_float(g.types[source]) and g.chance(0.5):
        source = g.add("Add", [g.add("Abs", [source]), g.constant(0.25, g.types[source])])
        exponent = g.constant(g.pick([0.5, -0.5, -1, 1.5, 2.25]), g.types[source])
    g.add("Pow", [source, exponent])


def shift(g):
    source = g.choose_for("BitShift")
    amount = g.constant(g.draw([], g.types[source], 0, 5))
    g.add("BitShift", [source, amount], direction=g.pick(["LEFT", "RIGHT"]))


def cast(g):
    source = g.choose(FLOATS + INTEGERS + [BOOL])
    to = g.pick(FLOATS + INTEGERS + [BOOL])
    if g.types[source] == to and g.chance(0.8):
        raise Refused
    if g.chance(0.15) and g.opset >= 15:
        g.add("CastLike", [source, g.constant(1, to)])
        return
    g.add("Cast", [source], to=proto_type(to))


def bit_cast(g):
    source = g.choose(FLOATS + INTEGERS)
    if is_float(g.types[source]) and source not in g.inputs:
        raise Refused  # of a rounded number each bit may differ
    kinds = [t for t in FLOATS + INTEGERS if t.itemsize == g.types[source].itemsize and not is_float(t)]
    g.add("BitCast", [source], to=proto_type(g.pick(kinds)))


def chain(g):
    """Elementwise nodes in a row of which the first has several readers."""
    first = g.choose_float()
    value = g.add(g.pick(["Tanh", "Sigmoid", "Relu", "Neg"]), [first])
    other = g.add("Mul", [value, g.partner(value)])
    if g.shapes(other) != g.shapes(value):
        raise Refused
    total = g.add("Add", [other, value])
    g.add("Sub", [total, first])


OPERATORS = [(unary, 10), (binary, 9), (bounded, 2), (variadic, 2), (compare, 3), (where, 3), (clip, 1), (power, 1),
             (shift, 1), (cast, 4), (bit_cast, 0.5), (chain, 2)]
