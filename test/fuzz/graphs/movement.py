"""What moves elements or changes shapes: Reshape to Pad, and sizes computed from shapes."""
import numpy as np

from .growing import SIZES
from .nodes import BOOL, F32, FLOATS, I64, INTEGERS, Refused, allowed, is_float

ANY = FLOATS + INTEGERS + [BOOL]


def transpose(g):
    source = g.choose(ANY, rank=(1, 2, 3, 4))
    g.add("Transpose", [source], perm=[int(i) for i in g.random.permutation(g.rank(source))])


def reshape(g):
    source = g.choose(ANY, rank=(1, 2, 3, 4))
    dims = g.dims(source)
    kind = g.pick(["flatten", "copy", "split", "merge", "add"])
    if kind == "flatten":
        sizes = [-1]
    elif kind == "copy":
        sizes = [0] * (len(dims) - 1) + [-1]
    elif kind == "merge":
        sizes = [0] * (len(dims) - 2) + [-1]
    elif kind == "add":
        sizes = [0] * len(dims) + [1]
    else:
        size = g.size(source, -1)
        part = g.pick([n for n in range(1, size + 1) if size % n == 0])
        sizes = [0] * (len(dims) - 1) + g.pick([[part, size // part], [-1, part]])
    g.add("Reshape", [source, g.integers(*sizes)])


def heads(g):
    """[…, n * d] as heads and back, as attention does."""
    source = g.choose_float(rank=(3,))
    size = g.size(source, 2)
    part = g.pick([n for n in range(1, size + 1) if size % n == 0])
    split = g.add("Reshape", [source, g.integers(0, 0, part, -1)])
    moved = g.add("Transpose", [split], perm=[0, 2, 1, 3])
    if g.chance(0.6):
        back = g.add("Transpose", [moved], perm=[0, 2, 1, 3])
        g.add("Reshape", [back, g.integers(0, 0, size)])


def flatten(g):
    source = g.choose_for("Flatten")
    g.add("Flatten", [source], axis=g.number(-g.rank(source), g.rank(source)))


def unsqueeze(g):
    source = g.choose(ANY, rank=(0, 1, 2, 3))
    count = g.number(1, 2)
    axes = [int(a) for a in g.random.permutation(g.rank(source) + count)[:count]]
    axes = [axis - g.rank(source) - count if g.chance(0.3) else axis for axis in axes]
    result = g.add("Unsqueeze", [source, g.integers(*axes)])
    if g.chance(0.3):
        g.add("Squeeze", [result, g.integers(axes[0])])


def squeeze(g):
    source = g.choose(ANY, fits=lambda n: 1 in g.dims(n))
    ones = [axis for axis, dim in enumerate(g.dims(source)) if dim == 1]
    if g.chance(0.1) and None not in g.dims(source) and not any(
            isinstance(dim, str) for dim in g.dims(source)):
        g.add("Squeeze", [source])
    else:
        g.add("Squeeze", [source, g.integers(*ones[:g.number(1, len(ones))])])


def concat(g):
    first = g.choose(ANY, rank=(1, 2, 3, 4))
    axis = g.axis(first)
    rest = [(i, sizes) for i, sizes in enumerate(zip(*g.shapes(first))) if i != axis % g.rank(first)]
    fitting = [n for n in [*g.inputs, *g.results] if g.types[n] == g.types[first] and g.rank(n) == g.rank(first)
               and all(tuple(s[i] for s in g.shapes(n)) == sizes for i, sizes in rest)]
    inputs = [g.pick(fitting) for _ in range(g.number(0, 2))]
    if g.chance(0.4):
        dims = g.dims(first)
        dims[axis] = g.pick(SIZES[:5])
        inputs.append(g.operand(dims, g.types[first]))
    inputs.insert(g.number(0, len(inputs)), first)
    g.add("Concat", inputs, axis=axis)


def slice_(g):
    source = g.choose(ANY, rank=(1, 2, 3, 4))
    axes = sorted({g.number(0, g.rank(source) - 1) for _ in range(g.number(1, 2))})
    starts, ends, steps = [], [], []
    for axis in axes:
        step = g.pick([1, 1, 1, 1, 2, 3, -1, -2])
        start, end = (g.number(-6, 8) for _ in range(2))
        if g.chance(0.3):
            end = 2**63 - 1 if step > 0 else -2**63
        if step > 0 and g.chance(0.3):
            start = 0
        # Clamped to the first element by ONNX, beyond it for the evaluator, which follows numpy.
        if step < 0 and any(start < -shape[axis] for shape in g.shapes(source)):
            raise Refused
        starts.append(start), ends.append(end), steps.append(step)
    if g.chance(0.3):
        axes = [axis - g.rank(source) for axis in axes]
    kind = np.int64 if any(abs(e) > 2**31 - 1 for e in ends) or g.chance(0.7) else np.int32
    inputs = [source] + [g.constant(np.array(x, kind)) for x in (starts, ends, axes, steps)]
    g.add("Slice", inputs[:4] if steps == [1] * len(steps) and g.chance(0.5) else inputs)


def split(g):
    source = g.choose(ANY, rank=(1, 2, 3, 4))
    axis = g.axis(source)
    if g.opset >= 18 and g.chance(0.3):
        parts = g.number(1, 4)
        if any(shape[axis] < parts for shape in g.shapes(source)):
            raise Refused
        g.add("Split", [source], outputs=parts, axis=axis, num_outputs=parts)
        return
    size = g.size(source, axis)
    first = g.number(0, size)
    second = g.number(0, size - first)
    g.add("Split", [source, g.integers(first, second, size - first - second)], outputs=3, axis=axis)


def pad(g):
    mode = g.pick(["constant", "constant", "edge", "reflect", "wrap"])
    if mode == "wrap" and g.opset < 19:
        raise Refused
    source = g.choose_for("Pad", rank=(1, 2, 3, 4))
    least = [min(sizes) for sizes in zip(*g.shapes(source))]
    if mode == "constant":
        before, after = ([g.number(-1 if size > 3 else 0, 2) for size in least] for _ in range(2))
    else:
        most = [0 if size == 0 else {"edge": 2, "wrap": size}.get(mode, size - 1) for size in least]
        before, after = ([g.number(0, min(size, 3)) for size in most] for _ in range(2))
    inputs = [source, g.integers(*before, *after)]
    if mode == "constant" and g.chance(0.6):
        inputs.append(g.constant(g.draw([], g.types[source])))
    g.add("Pad", inputs, mode=mode)


def tile(g):
    source = g.choose(ANY, rank=(0, 1, 2, 3))
    g.add("Tile", [source, g.integers(*[g.pick([1, 1, 2, 3, 0 if g.chance(0.1) else 1]) for _ in range(g.rank(source))])])


def expand(g):
    source = g.choose(ANY, rank=(0, 1, 2, 3))
    shape = [g.pick([2, 3, 1]) if dim == 1 else 1 for dim in g.dims(source)]
    shape = [dim if isinstance(dim, int) and dim != 1 and g.chance(0.5) else size
             for dim, size in zip(g.dims(source), shape)]
    if g.chance(0.5):
        shape = [g.pick([1, 2, 3])] + shape
    g.add("Expand", [source, g.integers(*shape)])


def expand_to(g):
    """Expand to the shape of another value."""
    larger = g.choose()
    source = g.choose(ANY, fits=lambda n: g.broadcasts(n, larger))
    g.add("Expand", [source, g.add("Shape", [larger])])


def shape_arithmetic(g):
    """Reshape by sizes that the graph computes from another value's shape."""
    source = g.choose(ANY, rank=(2, 3, 4))
    kind = g.pick(["first", "gather", "product"])
    shape = g.add("Shape", [source])
    if kind == "first":
        first = g.add("Slice", [shape, g.integers(0), g.integers(1)])
        sizes = g.add("Concat", [first, g.integers(-1)], axis=0)
    elif kind == "gather":
        last = g.add("Gather", [shape, g.constant(np.int64(-1))], axis=0)
        sizes = g.add("Concat", [g.integers(-1), g.add("Unsqueeze", [last, g.integers(0)])], axis=0)
    else:
        first, second = (g.add("Gather", [shape, g.integers(i)], axis=0) for i in (0, 1))
        rest = [g.add("Gather", [shape, g.integers(i)], axis=0) for i in range(2, g.rank(source))]
        sizes = g.add("Concat", [g.add("Mul", [first, second]), *rest], axis=0)
    g.add("Reshape", [source, sizes])


def range_of(g):
    """Positions of a dimension, and what is made of them."""
    if g.chance(0.4):
        kind = g.pick([np.int64, np.int32, np.float32, np.int16, np.float64])
        start, limit, delta = g.number(-5, 5), g.number(-5, 12), g.pick([1, 2, -1, 3])
        g.add("Range", [g.constant(kind(x)) for x in (start, limit, delta)])
        return
    source = g.choose(rank=(1, 2, 3, 4))
    size = g.add("Gather", [g.add("Shape", [source]), g.constant(np.int64(g.axis(source)))], axis=0)
    positions = g.add("Range", [g.constant(np.int64(0)), size, g.constant(np.int64(1))])
    if g.chance(0.5):
        column = g.add("Unsqueeze", [positions, g.integers(1)])
        g.add(g.pick(["LessOrEqual", "Greater"]), [positions, column])


def filled(g):
    source = g.choose()
    dtype = g.pick([F32, I64, BOOL, *FLOATS])
    value = g.draw([1], dtype)
    from .growing import to_tensor
    g.add("ConstantOfShape", [g.add("Shape", [source])], value=to_tensor(value, "value"))


def trilu(g):
    source = g.choose_for("Trilu", rank=(2, 3, 4))
    inputs = [source] if g.chance(0.3) else [source, g.constant(np.int64(g.number(-3, 3)))]
    g.add("Trilu", inputs, upper=g.number(0, 1))


def eye(g):
    source = g.choose_for("EyeLike", rank=(2,))
    g.add("EyeLike", [source], k=g.number(-2, 2), dtype=1)


def block(g):
    op = g.pick(["DepthToSpace", "SpaceToDepth"])
    dims = [g.pick([1, 2, "a"]), 4 * g.number(1, 2), 2 * g.number(1, 3), 2 * g.number(1, 3)]
    source = g.operand(dims, g.pick([t for t in allowed(op, g.opset) if is_float(t)]))
    attributes = {"mode": g.pick(["DCR", "CRD"])} if op == "DepthToSpace" else {}
    g.add(op, [source], blocksize=2, **attributes)


def center(g):
    source = g.choose(FLOATS, rank=(2, 3))
    g.add("CenterCropPad", [source, g.integers(g.number(1, 9))], axes=[g.axis(source)])


def reverse(g):
    source = g.choose(ANY, rank=(2, 3, 4))
    batch, time = (0, 1) if g.chance(0.5) else (1, 0)
    count = g.size(source, batch)
    least = min(shape[time] for shape in g.shapes(source))
    lengths = g.constant(g.draw([count], np.int64, 0 if least == 0 else 1, least))
    g.add("ReverseSequence", [source, lengths], batch_axis=batch, time_axis=time)


OPERATORS = [(transpose, 4), (reshape, 4), (heads, 2), (flatten, 1), (unsqueeze, 2), (squeeze, 2), (concat, 4),
             (slice_, 5), (split, 2), (pad, 3), (tile, 2), (expand, 2), (expand_to, 1), (shape_arithmetic, 2), (range_of, 2),
             (filled, 1), (trilu, 2), (eye, 0.5), (block, 0.5), (center, 0.5), (reverse, 0.5)]
