"""What the ops of the graph dialect compute, on numpy arrays.

Each function gets the interpreter, the op and its operands' values. Tensors of 16
bits are computed in f32 and rounded once, as the compiler does.
"""
import math

import numpy as np

from ._mlir import ShapedType

OPS = {}
DYNAMIC = -2**63  # a size that is an operand


def op(*names):
    def register(function):
        for name in names:
            OPS[name] = function
        return function
    return register


def wide(array):
    """As f32 where the type has less than 32 bits of float."""
    small = array.dtype.kind in "fV" and array.dtype.itemsize < 4
    return array.astype(np.float32) if small else array


def result_type(op, number=0):
    return ShapedType(op.result_types[number])


def to(op, array, number=0):
    return np.asarray(array).astype(result_type(op, number).dtype)


def _elementwise(name, function):
    def run(interpreter, op, operands, values):
        return to(op, function(*(wide(np.asarray(x)) for x in operands)))
    OPS["graph." + name] = run


_erf = np.frompyfunc(math.erf, 1, 1)


def erf(x):
    return np.asarray(_erf(x.astype(np.float64)), np.float64)


def divide(a, b):
    if a.dtype.kind == "f":
        return a / b
    a, b = np.broadcast_arrays(a, b)
    safe = np.where(b == 0, 1, b)
    quotient = a // safe
    quotient = quotient + ((quotient < 0) & (quotient * safe != a))
    return np.where(b == 0, 0, quotient).astype(a.dtype)


def shift(a, b, left):
    bits = a.dtype.itemsize * 8
    outside = (b >= bits) | (b < 0)
    inside = np.where(outside, 0, b).astype(a.dtype)
    shifted = np.left_shift(a, inside) if left else np.right_shift(a, inside)
    far = np.zeros_like(a) if left else np.where(a < 0, -1, 0)
    return np.where(outside, far, shifted).astype(a.dtype)


def gelu(x, tanh):
    x = x.astype(np.float64)
    if tanh:
        return x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return x / 2 * (1 + erf(x / math.sqrt(2)))


for _name, _function in {
        "abs": np.abs, "neg": np.negative, "exp": np.exp, "log": np.log,
        "sqrt": np.sqrt, "reciprocal": lambda x: 1 / x, "sin": np.sin, "cos": np.cos,
        "tanh": np.tanh, "erf": erf, "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
        "relu": lambda x: np.maximum(x, 0), "floor": np.floor, "ceil": np.ceil,
        "round": np.rint,
        "not": np.invert, "is_nan": np.isnan, "add": np.add,
        "sub": np.subtract, "mul": np.multiply, "div": divide, "pow": np.power,
        "max": np.maximum, "min": np.minimum, "equal": np.equal, "less": np.less,
        "less_equal": np.less_equal, "greater": np.greater,
        "greater_equal": np.greater_equal, "and": np.bitwise_and,
        "or": np.bitwise_or, "xor": np.bitwise_xor,
        "shift_left": lambda a, b: shift(a, b, True),
        "shift_right": lambda a, b: shift(a, b, False),
        "where": np.where}.items():
    _elementwise(_name, _function)


@op("graph.gelu")
def _(run, op, operands, values):
    return to(op, gelu(wide(operands[0]), op.has("tanh_approximation")))


@op("graph.cast")
def _(run, op, operands, values):
    dtype = result_type(op).dtype
    array = wide(operands[0])
    return array != 0 if dtype == bool else array.astype(dtype)


@op("graph.quantize")
def _(run, op, operands, values):
    array, scale, *zero = operands
    limits = np.iinfo(result_type(op).dtype)
    rounded = np.rint(array / scale) + (zero[0].astype(np.float32) if zero else 0)
    return to(op, np.clip(np.where(np.isnan(rounded), limits.min, rounded), limits.min, limits.max))


@op("graph.dequantize")
def _(run, op, operands, values):
    array, scale, *zero = operands
    array = array.astype(np.int32)
    return to(op, (array - zero[0].astype(np.int32) if zero else array).astype(np.float32) * scale)


@op("graph.dequantize_blocks")
def _(run, op, operands, values):
    array, scale, *zero = operands
    if op["bits"] == 4:
        array = np.stack([array & 15, array >> 4], -1).reshape(len(array), -1)
    columns = result_type(op).shape[1]
    def spread(x):
        x = wide(x).astype(np.float32)
        return np.repeat(x, op["block"], 1)[:, :columns] if x.ndim else x
    array = array[:, :columns].astype(np.float32)
    return to(op, (array - spread(zero[0]) if zero else array) * spread(scale))


@op("graph.mod")
def _(run, op, operands, values):
    a, b = np.broadcast_arrays(*map(wide, operands))
    remainder = np.fmod if op.has("truncated") else np.mod
    if a.dtype.kind == "f":
        return to(op, remainder(a, b))
    return to(op, np.where(b == 0, 0, remainder(a, np.where(b == 0, 1, b))))


@op("graph.constant", "kernel.constant")
def _(run, op, operands, values):
    return np.asarray(op["value"])


def read_weight(run, op, kind):
    """The tensor of this type that lies in the op's file."""
    count = int(np.prod(kind.shape))
    array = np.fromfile(run.folder / op["file"], kind.dtype, count, offset=op["offset"])
    return array.reshape(kind.shape)


@op("graph.weight")
def _(run, op, operands, values):
    return read_weight(run, op, result_type(op))


@op("graph.symbol", "kernel.symbol")
def _(run, op, operands, values):
    # One that no input names is used by nothing.
    return run.symbols.get(op["name"], 0)


@op("graph.assume_equal", "kernel.assume_equal")
def _(run, op, operands, values):
    return []


@op("graph.dim")
def _(run, op, operands, values):
    return operands[0].shape[op["dim"]]


@op("graph.extract")
def _(run, op, operands, values):
    return int(operands[0].reshape(-1)[op["position"]])


@op("graph.read", "kernel.read")
def _(run, op, operands, values):
    return operands[0].reshape(-1)[0]


@op("graph.count", "kernel.count")
def _(run, op, operands, values):
    return int(operands[0].reshape(-1)[0])


@op("graph.from_indices")
def _(run, op, operands, values):
    kind = result_type(op)
    return np.array(operands, kind.dtype).reshape(kind.shape)


def mixed(static, dynamic):
    """Static sizes with the operands in their places."""
    dynamic = iter(dynamic)
    return [int(next(dynamic)) if size == DYNAMIC else size for size in static]


@op("graph.reshape")
def _(run, op, operands, values):
    array, sizes = operands[0], mixed(op["static_sizes"], operands[1:])
    if not op.has("allow_zero"):
        sizes = [array.shape[i] if size == 0 else size for i, size in enumerate(sizes)]
    return array.reshape(sizes)


@op("graph.broadcast")
def _(run, op, operands, values):
    sizes = mixed(op["static_sizes"], operands[1:])
    return np.broadcast_to(operands[0], np.broadcast_shapes(operands[0].shape, tuple(sizes)))


@op("graph.iota")
def _(run, op, operands, values):
    start, size = map(int, operands)
    return to(op, start + op["step"] * np.arange(max(size, 0)))


@op("graph.transpose")
def _(run, op, operands, values):
    return operands[0].transpose(op["permutation"])


@op("graph.concat")
def _(run, op, operands, values):
    return np.concatenate(operands, op["axis"])


def segments(op, operands):
    """Operands in the groups that the op declares."""
    groups, at = [], 0
    for size in op["operandSegmentSizes"]:
        groups.append(operands[at:at + size])
        at += size
    return groups


@op("graph.slice")
def _(run, op, operands, values):
    (array,), starts, ends = segments(op, operands)
    bounds = zip(mixed(op["static_starts"], starts), mixed(op["static_ends"], ends),
                 op["steps"])
    for axis, (start, end, step) in enumerate(bounds):
        size = array.shape[axis]
        start, end = (b + size if b < 0 else b for b in (start, end))
        low, high = (0, size) if step > 0 else (-1, size - 1)
        start, end = max(start, max(low, 0) if step < 0 else low), max(end, low)
        array = np.take(array, np.arange(min(start, high), min(end, high), step), axis)
    return array


@op("graph.pad")
def _(run, op, operands, values):
    (array,), value, lows, highs = segments(op, operands)
    widths = list(zip(mixed(op["static_lows"], lows), mixed(op["static_highs"], highs)))
    added = [(max(low, 0), max(high, 0)) for low, high in widths]
    kind = ("constant", "reflect", "edge", "wrap")[op["kind"]]
    more = {"constant_values": value[0] if value else 0} if kind == "constant" else {}
    padded = np.pad(array, added, kind, **more)
    return padded[tuple(slice(max(-low, 0), size - max(-high, 0))
                        for (low, high), size in zip(widths, padded.shape))]


def _positive(indices, size):
    indices = np.where(indices < 0, indices + size, indices)
    if indices.size and not ((indices >= 0) & (indices < size)).all():
        raise IndexError(f"an index is out of range for size {size}")
    return indices


@op("graph.gather")
def _(run, op, operands, values):
    array, indices = operands
    return np.take(array, _positive(indices, array.shape[op["axis"]]), op["axis"])


@op("graph.gather_nd")
def _(run, op, operands, values):
    array, indices, shared = *operands, op["batch_dims"]
    depth = indices.shape[-1]
    batch = np.ogrid[tuple(map(slice, indices.shape[:shared]))] if shared else []
    lead = [b.reshape(b.shape + (1,) * (indices.ndim - 1 - shared)) for b in batch]
    tuples = [_positive(indices[..., i], array.shape[shared + i]) for i in range(depth)]
    return array[tuple(lead + tuples)] if lead or tuples else array


def _places(array, indices, axis):
    """Where the elements of `indices` point to, as an index of `array`."""
    places = list(np.indices(indices.shape, sparse=True))
    places[axis] = _positive(indices, array.shape[axis])
    return tuple(places)


@op("graph.gather_elements")
def _(run, op, operands, values):
    return operands[0][_places(*operands, op["axis"])]


def _update(op, array, places, updates):
    output = np.array(array)
    combine = [None, np.add, np.multiply, np.maximum, np.minimum][op["kind"]]
    if combine is None:
        output[places] = updates
    else:
        wider = wide(output)
        combine.at(wider, places, wide(updates))
        output = wider.astype(array.dtype)
    return output


@op("graph.scatter_elements")
def _(run, op, operands, values):
    array, indices, updates = operands
    return _update(op, array, _places(array, indices, op["axis"]), updates)


@op("graph.scatter_nd")
def _(run, op, operands, values):
    array, indices, updates = operands
    places = tuple(_positive(indices[..., i], array.shape[i])
                   for i in range(indices.shape[-1]))
    return _update(op, array, places, updates)


def identity(dtype, lowest):
    """What changes no maximum, or no minimum."""
    if dtype.kind == "b":
        return not lowest
    if dtype.kind == "f":
        return -np.inf if lowest else np.inf
    return np.iinfo(dtype).min if lowest else np.iinfo(dtype).max


@op("graph.reduce")
def _(run, op, operands, values):
    array, axes = wide(operands[0]), tuple(op["axes"])
    if op["kind"] in (0, 1, 4) and array.dtype.kind == "f":
        array = array.astype(np.float64)
    keep = {"axis": axes, "keepdims": True}
    if op["kind"] == 0:
        result = array.sum(**keep)
    elif op["kind"] == 1:
        count = np.prod([array.shape[a] for a in axes])
        total = array.sum(**keep)
        result = total / count if array.dtype.kind == "f" else divide(total, np.array(count))
    elif op["kind"] == 2:
        result = array.max(initial=identity(array.dtype, True), **keep)
    elif op["kind"] == 3:
        result = array.min(initial=identity(array.dtype, False), **keep)
    else:
        result = array.prod(**keep)
    return to(op, result)


@op("graph.cumulative_sum", "graph.cumulative_product")
def _(run, op, operands, values):
    combine = np.add if op.name.endswith("sum") else np.multiply
    array, axis = wide(operands[0]), op["axis"]
    if op.has("reverse"):
        array = np.flip(array, axis)
    if op.has("exclusive"):
        first = np.full_like(array.take([0], axis), combine.identity) if array.shape[axis] else array
        array = np.concatenate([first, array], axis).take(range(array.shape[axis]), axis)
    total = combine.accumulate(array, axis, dtype=array.dtype)
    return to(op, np.flip(total, axis) if op.has("reverse") else total)


@op("graph.bitcast")
def _(run, op, operands, values):
    return np.ascontiguousarray(operands[0]).view(result_type(op).dtype)


def _windows(array, op, kernel):
    """A view of `array` as graph.window shows it."""
    spatial = array.ndim - len(kernel)
    spans = [(size - 1) * step + 1 for size, step in zip(kernel, op["dilations"])]
    if any(size < span for size, span in zip(array.shape[spatial:], spans)):
        return None
    axes = tuple(range(spatial, array.ndim))
    view = np.lib.stride_tricks.sliding_window_view(array, spans, axes, writeable=True)
    steps = [slice(None)] * spatial + [slice(None, None, step) for step in op["strides"]]
    return view[tuple(steps + [slice(None, None, step) for step in op["dilations"]])]


@op("graph.window")
def _(run, op, operands, values):
    view = _windows(operands[0], op, op["kernel"])
    if view is None:
        known = result_type(op).shape
        return np.zeros([0 if size is None else size for size in known], operands[0].dtype)
    return view.copy()


@op("graph.overlap_add")
def _(run, op, operands, values):
    (array, *sizes), spatial = operands, len(op["strides"])
    kernel = array.shape[array.ndim - spatial:]
    lead = array.shape[:array.ndim - 2 * spatial]
    whole = np.zeros(lead + tuple(mixed(op["static_sizes"], sizes)), wide(array).dtype)
    view = _windows(whole, op, kernel)
    if view is not None:
        for place in np.ndindex(kernel):
            view[(...,) + place] += array[(...,) + place]
    return to(op, whole)


@op("graph.top_k")
def _(run, op, operands, values):
    k, array, axis = int(operands[0]), wide(operands[1]), op["axis"]
    size = array.shape[axis]
    # A stable order of the elements, or of those from the last on, and NaN last.
    backward = op.has("smallest") == op.has("prefer_last")
    order = np.argsort(np.flip(array, axis) if backward else array, axis, kind="stable")
    if backward:
        order = size - 1 - order
    if not op.has("smallest"):
        order = np.flip(order, axis)
    return to(op, np.take(order, np.arange(k), axis))


def softmax(x, axis):
    x = x.astype(np.float64)
    if not x.size:
        return x
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


@op("graph.softmax")
def _(run, op, operands, values):
    return to(op, softmax(operands[0], op["axis"]))


def norm(x, scale, bias, axes, epsilon, rms):
    x = x.astype(np.float64)
    if not rms:
        x = x - x.mean(axes, keepdims=True)
    x = x / np.sqrt((x * x).mean(axes, keepdims=True) + float(epsilon))
    x = x * scale[0].astype(np.float64) if scale else x
    return x + bias[0].astype(np.float64) if bias else x


@op("graph.norm")
def _(run, op, operands, values):
    (array,), scale, bias = segments(op, operands)
    axes = tuple(range(op["axis"], array.ndim))
    return to(op, norm(array, scale, bias, axes, op["epsilon"], op.has("rms")))


@op("graph.rotary")
def _(run, op, operands, values):
    x, cosine, sine = map(wide, operands)
    if cosine.ndim == 3:
        cosine, sine = cosine[:, None], sine[:, None]
    half = x.shape[-1] // 2
    if op.has("interleaved"):
        a, b = x[..., 0::2], x[..., 1::2]
    else:
        a, b = x[..., :half], x[..., half:]
    first, second = a * cosine - b * sine, a * sine + b * cosine
    if op.has("interleaved"):
        return to(op, np.stack([first, second], -1).reshape(x.shape))
    return to(op, np.concatenate([first, second], -1))


def matmul(op, lhs, rhs):
    if result_type(op).dtype.kind in "fV":
        lhs, rhs = wide(lhs), wide(rhs)
        dtype = np.result_type(lhs, np.float32)
    else:
        dtype = result_type(op).dtype
    lhs, rhs = lhs.astype(dtype), rhs.astype(dtype)
    if op.has("transpose_lhs"):
        lhs = lhs.swapaxes(-1, -2)
    if op.has("transpose_rhs"):
        rhs = rhs.swapaxes(-1, -2)
    return np.matmul(lhs, rhs)


@op("graph.matmul")
def _(run, op, operands, values):
    return to(op, matmul(op, *operands))


def attention(op, query, key, value, mask, starts=(), slots=(), parameters=()):
    """All of batch×heads×sequence×size; with starts keys and values are caches, with parameters all are bytes."""
    rows = query.shape[2]
    if starts:
        if slots:
            key, value = (x[slots[0]] for x in (key, value))
        first = starts[0].reshape(-1, 1, 1, 1)
    else:
        first = np.full((1, 1, 1, 1), key.shape[2] - rows)
    if parameters:
        zeros = parameters[0][:3].astype(np.int32)
        query, key, value = (x.astype(np.int32) - zero for x, zero in zip((query, key, value), zeros))
    else:
        key, value = (from_bytes(x) if x.dtype == np.int8 else x for x in (key, value))
    groups = query.shape[1] // key.shape[1]
    key, value = (np.repeat(wide(x), groups, 1) for x in (key, value))
    scores = np.matmul(wide(query), key.swapaxes(-1, -2))
    if parameters:
        scores, value = scores * parameters[0][3], value * parameters[0][4]
        if len(parameters[0]) == 8:
            step, low, high = parameters[0][5:]
            scores = np.clip(np.rint(scores / step), low, high) * step
    scores = scores * op["scale"]
    if op.has("softcap"):
        scores = np.tanh(scores / op["softcap"]) * op["softcap"]
    columns, last = np.arange(key.shape[2]), first + np.arange(rows)[:, None]
    hidden = np.zeros(scores.shape, bool)
    if op.has("causal"):
        hidden |= columns > last
    elif starts:
        hidden |= columns >= first
    if op.has("window"):
        hidden |= columns <= last - op["window"]
    if mask and starts:  # has no element for what is not seen
        length = mask[0].shape[-1]
        at = length - 1 - (last - columns) if op.has("relative") else columns
        mask = [np.take_along_axis(np.broadcast_to(mask[0], scores.shape[:3] + (length,)),
                                   np.broadcast_to(np.clip(at, 0, length - 1), scores.shape), -1)]
    if mask and mask[0].dtype == bool:
        hidden |= ~mask[0]
    elif mask:
        scores = scores + wide(mask[0])
    scores = np.where(hidden, -np.inf, scores)
    if not key.shape[2]:
        return np.zeros(scores.shape[:-1] + value.shape[-1:], np.float32)
    weights = softmax(scores, -1)
    if parameters:
        weights = np.rint(255 * weights / weights.max(-1, keepdims=True))
        weights = weights / weights.sum(-1, keepdims=True)
    if op.has("zero_if_masked"):
        weights = np.where(np.isneginf(scores).all(-1, keepdims=True), 0, weights)
    # What lies behind in a cache may be anything.
    visible = np.broadcast_to(~hidden, weights.shape).any((1, 2))[:, None, :, None]
    return np.matmul(weights, np.where(visible, value, 0) if starts else value)


@op("graph.attention")
def _(run, op, operands, values):
    (query,), (key,), (value,), mask, starts, slots, _, parameters = segments(op, operands)
    return to(op, attention(op, query, key, value, mask, starts, slots, parameters))


def to_bytes(rows):
    """What a cache of i8 holds: each row as integers, and behind them what these are multiples of."""
    amax = np.abs(rows).max(-1, keepdims=True)
    with np.errstate(all="ignore"):
        factor = np.where(amax > np.float32(2**-100), np.float32(127) / amax, np.float32(0))
        integers = np.rint(rows * factor).astype(np.int8)
    return np.concatenate([integers, (amax / np.float32(127)).view(np.int8)], -1)


def from_bytes(cache):
    scales = np.ascontiguousarray(cache[..., -4:]).view(np.float32)
    return cache[..., :-4].astype(np.float32) * scales


def append(new, cache, starts, slots):
    """New is batch×heads×sequence×size, the cache slots×heads×capacity×size."""
    result = np.array(cache)
    if cache.dtype == np.int8:
        new = to_bytes(wide(new))
    for row, start in enumerate(starts):
        slot, end = slots[row] if slots is not None else row, start + new.shape[2]
        if not (0 <= slot < len(cache) and 0 <= start and end <= cache.shape[2]):
            raise IndexError(f"row {row} goes to positions {start} to {end} of slot {slot} "
                             f"of a cache of {cache.shape}")
        result[slot, :, start:end] = new[row]
    return result


@op("graph.append")
def _(run, op, operands, values):
    new, cache, starts, *slots = operands
    return append(new, cache, starts, slots[0] if slots else None)
