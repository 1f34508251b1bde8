"""If and Loop, whose bodies are nodes like those around them.

ONNX's evaluator is not asked: it turns a Loop without a condition not once, and joins
what the turns collect along its rows instead of stacking it.
"""
import numpy as np
from onnx import numpy_helper

from .refusal import Refused
from .specified import attribute

MOST_TURNS = 20


class Body:
    def __init__(self, graph, types, make_node):
        """`types` are those of all names that the graph may read; `make_node` makes one of a proto and types."""
        self.inputs = [value.name for value in graph.input]
        self.outputs = [value.name for value in graph.output]
        self.constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        types = {**types, **{name: array.dtype for name, array in self.constants.items()}}
        self.nodes = []
        for proto in graph.node:
            node = make_node(proto, types)
            self.nodes.append(node)
            types.update(zip(proto.output, node.types))
        self.types = [types[name] for name in self.outputs]

    def run(self, values, run_node):
        values = {**values, **self.constants}
        for node in self.nodes:
            results = run_node(node, {name: values[name] for name in node.reads})
            values.update(zip(node.proto.output, results))
        return [values[name] for name in self.outputs]


def run_if(node, feeds, run_node):
    chosen = "then_branch" if feeds[node.proto.input[0]] else "else_branch"
    return node.bodies[chosen].run(feeds, run_node)


def run_loop(node, feeds, run_node):
    body, names = node.bodies["body"], node.proto.input
    trips, go = (feeds[name] if name else None for name in names[:2])
    carried = [feeds[name] for name in names[2:]]
    collected = [[] for _ in body.outputs[1 + len(carried):]]
    turn = 0
    while (trips is None or turn < trips) and (go is None or go):
        if turn == MOST_TURNS:
            raise Refused
        state = dict(zip(body.inputs, [np.array(turn, np.int64), np.array(True), *carried]))
        results = body.run({**feeds, **state}, run_node)
        go = None if go is None else results[0]
        carried = results[1:1 + len(carried)]
        for values, value in zip(collected, results[1 + len(carried):]):
            values.append(value)
        turn += 1
    if not turn and collected:
        raise Refused  # nothing says what its sizes are
    return carried + [np.stack(values) for values in collected]


def make_bodies(proto, types, make_node):
    """The bodies of a node by the names of its attributes, and the types of its results."""
    if proto.op_type == "If":
        bodies = {name: Body(attribute(proto, name), types, make_node) for name in ("then_branch", "else_branch")}
        return bodies, bodies["then_branch"].types
    graph = attribute(proto, "body")
    own = [np.dtype(np.int64), np.dtype(np.bool_), *[types[name] for name in proto.input[2:]]]
    bodies = {"body": Body(graph, {**types, **dict(zip([i.name for i in graph.input], own))}, make_node)}
    return bodies, bodies["body"].types[1:]


CONTROL = {"If": run_if, "Loop": run_loop}
