"""Gather and scatter in all forms, one-hot rows, and results of sizes that data decides."""
import numpy as np

from .growing import SIZES
from .nodes import BOOL, F32, FLOATS, I64, INTEGERS, Refused, is_float

ANY = FLOATS + INTEGERS + [BOOL]


def indices(g, shape, least, unique=False):
    """Indices of a dimension of at least this size; a constant or an input."""
    kind = g.pick([np.int64, np.int64, np.int32])
    if least == 0:
        raise Refused
    low = -least if g.chance(0.4) else 0
    if g.chance(0.3) and not unique:
        return g.add_input(kind, list(shape), low, least - 1)
    if any(not isinstance(size, int) for size in shape):
        raise Refused
    if unique:
        values = g.random.permutation(least)[:shape[0]]
        return g.constant((values - least if low else values).astype(kind))
    return g.constant(g.random.integers(low, least, shape).astype(kind))


def small_shape(g):
    return [g.pick([1, 2, 3, 5, 0 if g.chance(0.1) else 2]) for _ in range(g.number(0, 2))]


def gather(g):
    source = g.choose(ANY, rank=(1, 2, 3, 4))
    axis = g.axis(source)
    least = min(shape[axis] for shape in g.shapes(source))
    shape = [g.pick(["a", 3])] if g.chance(0.2) else small_shape(g)
    g.add("Gather", [source, indices(g, shape, least)], axis=axis)


def embedding(g):
    """Rows of a table by ids, plus rows by position."""
    width = g.pick(SIZES)
    table = g.constant(g.draw([g.pick([3, 17, 33]), width], g.float))
    ids = g.add_input(np.int64, [g.pick([1, 2, "a"]), g.pick(["b", "c", 5])], 0, g.runs[0][table].shape[0] - 1)
    g.add("Gather", [table, ids], axis=0)


def gather_elements(g):
    source = g.choose(ANY, rank=(1, 2, 3))
    axis = g.axis(source)
    least = [min(sizes) for sizes in zip(*g.shapes(source))]
    shape = [g.number(min(1, size), size) for size in least]
    shape[axis] = g.pick([1, 2, 5])
    g.add("GatherElements", [source, indices(g, shape, least[axis])], axis=axis)


def gather_nd(g):
    source = g.choose(ANY, rank=(1, 2, 3, 4))
    least = [min(sizes) for sizes in zip(*g.shapes(source))]
    batch = g.number(0, g.rank(source) - 1) if g.chance(0.3) else 0
    depth = g.number(1, g.rank(source) - batch)
    if 0 in least:
        raise Refused
    shape = [g.size(source, i) for i in range(batch)] + small_shape(g) + [depth]
    values = np.stack([g.random.integers(-s if g.chance(0.3) else 0, s, shape[:-1]) for s in least[batch:batch + depth]], -1)
    g.add("GatherND", [source, g.constant(values.astype(np.int64))], batch_dims=batch)


def reduction(g, dtype, op):
    kinds = ["none", "none"]
    if dtype != BOOL:
        kinds += ["add", "mul"] if g.opset >= 16 else []
        kinds += ["max", "min"] if g.opset >= 18 else []
    return g.pick(kinds)


def scatter_elements(g):
    source = g.choose(ANY, rank=(1, 2, 3))
    axis = g.axis(source)
    least = [min(sizes) for sizes in zip(*g.shapes(source))]
    kind = reduction(g, g.types[source], "ScatterElements")
    if 0 in least:
        raise Refused
    if kind == "none":
        # ONNX leaves open which of two updates of one element stays.
        shape = [g.number(1, size) for size in least]
        places = np.stack([g.random.permutation(least[axis]) for _ in range(int(np.prod(shape)) // shape[axis])])
        others = [s for i, s in enumerate(shape) if i != axis % len(shape)]
        values = np.moveaxis(places[:, :shape[axis]].reshape([*others, shape[axis]]), -1, axis % len(shape))
        where = g.constant(values.astype(np.int64))
    else:
        shape = [g.number(1, size) for size in least]
        shape[axis] = g.pick([1, 2, 5])
        where = indices(g, shape, least[axis])
    attributes = {} if kind == "none" else {"reduction": kind}
    g.add("ScatterElements", [source, where, g.operand(shape, g.types[source])], axis=axis, **attributes)


def scatter_nd(g):
    source = g.choose(ANY, rank=(1, 2, 3))
    least = [min(sizes) for sizes in zip(*g.shapes(source))]
    depth = g.number(1, g.rank(source))
    kind = reduction(g, g.types[source], "ScatterND")
    if 0 in least:
        raise Refused
    places = int(np.prod(least[:depth]))
    count = g.number(1, min(places, 4))
    flat = g.random.permutation(places)[:count] if kind == "none" else g.random.integers(0, places, count)
    values = np.stack(np.unravel_index(flat, least[:depth]), -1).astype(np.int64)
    updates = [count] + [g.dim(source, i) for i in range(depth, g.rank(source))]
    attributes = {} if kind == "none" else {"reduction": kind}
    g.add("ScatterND", [source, g.constant(values), g.operand(updates, g.types[source])], **attributes)


def one_hot(g):
    source = g.choose(INTEGERS + FLOATS[:1], rank=(0, 1, 2))
    if is_float(g.types[source]):
        source = g.add("Cast", [source], to=7)
    off, on = g.draw([2], g.pick([F32, I64, F32]))
    values = g.constant(np.stack([off, on]))
    depth = g.constant(np.array(g.pick([1, 3, 8]), np.int64))
    g.add("OneHot", [source, depth if g.chance(0.5) else g.integers(4), values],
          axis=g.number(-g.rank(source) - 1, g.rank(source)))


def nonzero(g):
    source = g.choose_for("NonZero", rank=(1, 2, 3))
    if is_float(g.types[source]):
        source = g.add("Greater", [source, g.constant(g.draw([], g.types[source]))])
    found = g.add("NonZero", [source], varies=1)
    if g.chance(0.5):
        data = g.choose(ANY, fits=lambda n: g.rank(n) == g.rank(source) and g.shapes(n) == g.shapes(source))
        g.add("GatherND", [data, g.add("Transpose", [found], perm=[1, 0])])


def compress(g):
    source = g.choose(ANY, rank=(1, 2, 3))
    if g.chance(0.3):
        g.add("Compress", [source, g.add_input(BOOL, [g.number(0, 5)])], varies=0)
        return
    axis = g.axis(source)
    condition = g.add_input(BOOL, [g.dim(source, axis) if g.chance(0.7) else 1])
    g.add("Compress", [source, condition], varies=axis, axis=axis)


def unique(g):
    source = g.choose_for("Unique", rank=(1, 2, 3))
    count = g.number(1, 4)
    attributes = {"axis": 0} if g.rank(source) == 1 and g.chance(0.3) else {}
    g.add("Unique", [source], outputs=count, varies=0, sorted=g.number(0, 1), **attributes)


OPERATORS = [(gather, 4), (embedding, 1), (gather_elements, 2), (gather_nd, 2), (scatter_elements, 2), (scatter_nd, 2),
             (one_hot, 1.5), (nonzero, 1), (compress, 1.5), (unique, 1)]
