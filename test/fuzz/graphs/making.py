"""One graph for each seed, from all families."""
import numpy as np

from . import attention, control, elementwise, indexing, movement, products, quantization, recurrent, reductions, spatial
from .growing import Graph
from .nodes import BOOL, FLOATS, INTEGERS, Refused

# How often a family is asked, however many operators it has.
FAMILIES = [(elementwise, 26), (products, 12), (reductions, 18), (movement, 22), (indexing, 12), (spatial, 5), (control, 4),
            (attention, 5), (quantization, 5), (recurrent, 1.5)]


def weighted(random, options):
    weights = np.array([weight for _, weight in options], float)
    return options[int(random.choice(len(options), p=weights / weights.sum()))][0]


def make_graph(seed):
    g = Graph(seed)
    while len(g.inputs) < 2:
        try:
            g.add_input(g.float)
        except Refused:
            continue
    for _ in range(g.number(0, 2)):
        try:
            g.add_input(g.pick(INTEGERS + [BOOL, BOOL] + FLOATS))
        except Refused:
            continue
    wanted = g.number(2, 13)
    for _ in range(wanted * 8):
        try:
            weighted(g.random, weighted(g.random, FAMILIES).OPERATORS)(g)
        except Refused:
            continue
        if len(g.nodes) >= wanted:
            break
    return g
