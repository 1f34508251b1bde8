"""If and Loop with graphs of their own that read values from around them."""
import numpy as np
from onnx import TensorProto, helper

from .growing import to_tensor
from .nodes import BOOL, F32, FLOATS, I64, Refused, is_float, proto_type, type_info


class Body:
    """The nodes of a graph inside a node: elementwise ones of one shape."""

    def __init__(self, g, prefix):
        self.g, self.prefix, self.nodes, self.constants = g, prefix, [], []

    def add(self, op, *inputs, **attributes):
        name = f"{self.prefix}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], name=name, **attributes))
        return name

    def constant(self, array):
        name = f"{self.prefix}_c{len(self.constants)}"
        self.constants.append(to_tensor(array, name))
        return name

    def step(self, value, dtype, others):
        """`value` and another one, or a function of it; as large as before."""
        if is_float(dtype) and self.g.chance(0.5):
            return self.add(self.g.pick(["Tanh", "Sigmoid", "Relu", "Neg", "Abs"]), value)
        other = self.g.pick(others) if others and self.g.chance(0.6) else self.constant(self.g.draw([], dtype, 1, 2))
        return self.add(self.g.pick(["Add", "Sub", "Max", "Min"] if self.g.chance(0.7) else ["Mul"]), value, other)

    def graph(self, inputs, outputs):
        return helper.make_graph(self.nodes, self.prefix, inputs, outputs, self.constants)


def prefix(g):
    return f"b{len(g.types)}"


def condition(g):
    """One truth value: an input, of a reduction, or of a comparison with a size."""
    if g.chance(0.4):
        return g.add_input(BOOL, g.pick([[], [1]]))
    kind = g.pick(["value", "size"])
    if kind == "size":
        source = g.choose(rank=(1, 2, 3, 4))
        size = g.add("Gather", [g.add("Shape", [source]), g.constant(np.int64(0))], axis=0)
        return g.add("Greater", [size, g.constant(np.int64(3))])
    source = g.choose([F32], rank=(1, 2, 3))
    return g.add("Greater", [g.add("ReduceSum", [source], keepdims=0), g.constant(np.float32(0))])


def branch(g):
    """If on values of one shape, one of which may be handed on as it is."""
    value = g.choose(FLOATS + [I64])
    dtype, alike = g.types[value], g.alike(value)
    decision = condition(g)
    bodies = []
    for side in ("then", "else"):
        body = Body(g, prefix(g) + side)
        result = value
        for _ in range(g.number(1, 3)):
            result = body.step(result, dtype, alike)
        results = [result]
        if len(bodies) == 0:
            second = g.pick(["value", "twice"])
        results.append(body.add("Identity", g.pick(alike)) if second == "value" else body.add("Add", result, result))
        bodies.append(body.graph([], [type_info(r, dtype, [None] * g.rank(value)) for r in results]))
    g.add("If", [decision], outputs=2, then_branch=bodies[0], else_branch=bodies[1])


def loop(g):
    """A Loop over a carried value, with a counter, and now and then what it was in each turn."""
    value = g.choose(FLOATS + [I64])
    dtype, alike = g.types[value], g.alike(value)
    body = Body(g, prefix(g))
    name = body.prefix
    rank = g.rank(value)
    inputs = [type_info(f"{name}_i", I64, []), type_info(f"{name}_go", BOOL, []),
              type_info(f"{name}_v", dtype, [None] * rank)]
    result = f"{name}_v"
    for _ in range(g.number(1, 3)):
        result = body.step(result, dtype, alike)
    if g.chance(0.3):
        count = body.add("Cast", f"{name}_i", to=proto_type(dtype))
        result = body.add("Add", result, count)
    if result == f"{name}_v":
        result = body.add("Identity", result)
    start = "" if g.chance(0.2) else g.constant(np.bool_(True)) if g.chance(0.7) else g.add_input(BOOL, [])
    early = g.chance(0.3)
    go = body.add("Less", f"{name}_i", body.constant(np.int64(g.number(0, 3)))) if early \
        else body.add("Identity", f"{name}_go")
    outputs = [type_info(go, BOOL, []), type_info(result, dtype, [None] * rank)]
    collected = g.chance(0.4)
    if collected:
        outputs.append(type_info(body.add("Neg" if dtype != BOOL else "Identity", result), dtype, [None] * rank))
    trips = g.pick([0 if g.chance(0.2) else 1, 2, 3, 4])
    # A value that grows in each turn may leave the range of 16 bits, so there are few.
    trip = g.constant(np.int64(trips)) if g.chance(0.6) else g.add_input(np.int64, [], 0, 3)
    g.add("Loop", [trip, start, value], outputs=2 if collected else 1,
          body=body.graph(inputs, outputs))


OPERATORS = [(branch, 2), (loop, 2)]
