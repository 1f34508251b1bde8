"""LSTM, GRU and RNN, and losses."""
import numpy as np

from .nodes import F32, Refused


def recurrent(g):
    op, gates = g.pick([("LSTM", 4), ("GRU", 3), ("RNN", 1)])
    length, batch, width, hidden = g.pick([1, 2, 5, "a"]), g.pick([1, 2, 3, "b"]), g.pick([1, 3, 8]), g.pick([1, 4, 7])
    inputs = [g.add_input(F32, [length, batch, width]), g.constant(g.draw([1, gates * hidden, width], F32, -1, 1)),
              g.constant(g.draw([1, gates * hidden, hidden], F32, -1, 1))]
    if g.chance(0.6):
        inputs.append(g.constant(g.draw([1, 2 * gates * hidden], F32, -1, 1)))
    # The evaluator knows neither other directions nor sequences that end early.
    attributes = {"linear_before_reset": g.number(0, 1)} if op == "GRU" else {}
    g.add(op, inputs, outputs=2, hidden_size=hidden, **attributes)


def loss(g):
    scores = g.choose([F32], rank=(2, 3))
    classes = g.size(scores, 1)
    labels = g.add_input(np.int64, [dim for axis, dim in enumerate(g.dims(scores)) if axis != 1], 0, classes - 1)
    inputs = [scores, labels]
    if g.chance(0.4):
        inputs.append(g.constant(g.draw([classes], F32, 0.5, 2)))
    op = g.pick(["SoftmaxCrossEntropyLoss", "NegativeLogLikelihoodLoss"])
    g.add(op, inputs, reduction=g.pick(["none", "sum", "mean"]))


OPERATORS = [(recurrent, 1), (loss, 0.7)]
