"""What ops compute in a module that fuse wrote: regions of the kernel dialect, and
inside them linalg, tensor, arith, math and scf.

A linalg.generic runs all its elements at once: in its body every value is an array
over the domain of its loops.
"""
import functools
import itertools
import re

import numpy as np

from ._graph_ops import (OPS as GRAPH_OPS, append, attention, divide, erf, matmul,
                         mixed, norm, op as _register, read_weight, result_type, segments, softmax, to,
                         wide)
from ._mlir import ShapedType, element_dtype

OPS = GRAPH_OPS
op = _register


@op("kernel.region")
def _(run, op, operands, values):
    if op.has("schedule"):
        from ._loop_ops import run_scheduled
        return run_scheduled(run, op, operands)
    inputs, indices, _, _ = segments(op, operands)
    return run.region(op.regions[0], inputs + indices, {})


@op("kernel.view")
def _(run, op, operands, values):
    sizes = iter(operands[1:])
    return operands[0].reshape([int(next(sizes)) if size is None else size
                                for size in result_type(op).shape])


@op("kernel.weight")
def _(run, op, operands, values):
    return weight(op, read_weight(run, op, ShapedType(op["source"])), op["layout"])


def weight(op, array, layout):
    """A weight as it lies in the artifact: in rows (0) or panels of 32 columns, in
    which 1, 2 or 4 rows lie together; or 8 of elements of four bits."""
    array = to(op, array)
    if layout == 4:
        return halves(op, array)
    if op.has("transposed"):
        array = array.swapaxes(-1, -2)
    if layout == 0:
        return array.reshape(result_type(op).shape)
    group = (1, 2, 4)[layout - 1]
    depth, width = (-(-size // step) * step for size, step in zip(array.shape, (group, 32)))
    panels = np.zeros((depth, width), array.dtype)
    panels[:array.shape[0], :array.shape[1]] = array
    panels = panels.reshape(depth // group, group, -1, 32).transpose(2, 0, 3, 1)
    return panels.reshape(result_type(op).shape)


def halves(op, array):
    """Bytes of two elements each, along the rows of `array`: in panels of 32 of these
    rows, with elements k and k + 16 of each 32 in one byte."""
    array = array.view(np.uint8)
    array = np.stack([array & 15, array >> 4], -1).reshape(len(array), -1)
    width, depth = (-(-size // 32) * 32 for size in array.shape)
    panels = np.zeros((width, depth), np.uint8)
    panels[:array.shape[0], :array.shape[1]] = array
    panels = panels.reshape(width // 32, 32, depth // 32, 2, 4, 4)
    panels = (panels[:, :, :, 0] | panels[:, :, :, 1] << 4).transpose(0, 2, 3, 1, 4)
    return np.ascontiguousarray(panels).view(np.int8).reshape(result_type(op).shape)


def block_weights(op, panels, depth, columns, scale, zero=None):
    """Columns x depth of what lies in panels and is quantized in blocks."""
    panels = np.ascontiguousarray(panels).view(np.uint8)
    if op["bits"] == 4:
        panels = panels.reshape(len(panels), -1, 4, 32, 4)
        panels = np.stack([panels & 15, panels >> 4], 2).transpose(0, 4, 1, 2, 3, 5)
    else:
        panels = panels.transpose(0, 2, 1, 3)
    weights = panels.reshape(panels.shape[0] * 32, -1)[:columns, :depth].astype(np.float32)
    def spread(x):
        x = x.view(np.uint8) if x.dtype == np.int8 else wide(x)
        x = x.astype(np.float32).transpose(0, 2, 1).reshape(-1, x.shape[1])
        return np.repeat(x, op["block"], 1)[:columns, :depth]
    offset = spread(zero) if zero is not None else op["offset"] if op.has("offset") else 0
    return (weights - np.float32(offset)) * spread(scale)


def round_rows(array):
    """Each 32 elements of a row as multiples of the largest divided by 127."""
    depth = array.shape[-1]
    units = np.zeros((*array.shape[:-1], -(-depth // 32) * 32), np.float32)
    units[..., :depth] = array
    units = units.reshape(*array.shape[:-1], -1, 32)
    largest = np.abs(units).max(-1, keepdims=True)
    factor = np.float32(127) / np.where(largest == 0, np.float32(1), largest)
    rounded = np.rint(units * factor) * (largest * np.float32(1 / 127))
    return rounded.reshape(*array.shape[:-1], -1)[..., :depth]


@op("kernel.index_error")
def _(run, op, operands, values):
    return np.zeros(2, np.int64)


@op("kernel.check_index")
def _(run, op, operands, values):
    position, size, _ = operands
    position = np.where(np.less(position, 0), np.add(position, size), position)
    if "branch" not in values and not (
            np.greater_equal(position, 0) & np.less(position, size)).all():
        raise IndexError(f"an index is out of range for size {size}")
    return position


@op("kernel.contract")
def _(run, op, operands, values):
    lhs, rhs, *parameters = operands
    if parameters:
        depth = lhs.shape[-2 if op.has("transpose_lhs") else -1]
        lhs = round_rows(wide(lhs)) if op.has("quantize_lhs") else lhs
        rhs = block_weights(op, rhs, depth, result_type(op).shape[-1], *parameters).T
    elif op.has("packed"):
        panels = rhs.reshape(*rhs.shape[:3], -1)
        rhs = panels.transpose(1, 3, 0, 2).reshape(panels.shape[1] * panels.shape[3], -1)
        depth = lhs.shape[-2 if op.has("transpose_lhs") else -1]
        rhs = rhs[:depth, :result_type(op).shape[-1]]
    if lhs.dtype == np.int8 and result_type(op).dtype == np.int32:
        lhs = lhs.view(np.uint8)
    return to(op, matmul(op, lhs, rhs))


@op("kernel.attention")
def _(run, op, operands, values):
    query, key, value, mask, starts, slots, _, parameters = segments(op, operands)
    parts = [part.transpose(op[name + "_layout"])
             for (part,), name in zip((query, key, value), ("query", "key", "value"))]
    if parameters:
        parts[0] = parts[0].view(np.uint8)
    output = attention(op, *parts, mask, starts, slots, parameters)
    return to(op, output.transpose(np.argsort(op["output_layout"])))


@op("kernel.append")
def _(run, op, operands, values):
    new, _, _, cache, starts, *slots, _ = operands
    return append(new.transpose(op["layout"]), cache, starts, slots[0] if slots else None)


@op("kernel.softmax")
def _(run, op, operands, values):
    return to(op, softmax(wide(operands[0]), -1))


@op("kernel.norm")
def _(run, op, operands, values):
    (array,), scale, bias = segments(op, operands)
    return to(op, norm(wide(array), scale, bias, -1, op["epsilon"], op.has("rms")))


@op("kernel.lines")
def _(run, op, operands, values):
    output, axis = np.array(operands[0]), op["axis"]
    others = [range(n) for i, n in enumerate(output.shape) if i != axis]
    for coordinates in itertools.product(*others):
        place = list(coordinates)
        place.insert(axis, slice(None))
        line = output[tuple(place)].copy()
        output[tuple(place)] = run.region(op.regions[0], [*coordinates, line], values)[0]
    return output


@op("linalg.fill")
def _(run, op, operands, values):
    return np.full_like(operands[1], operands[0])


class _Map:
    """affine_map<(d0, d1) -> (d0, d1 floordiv 2)>"""

    def __init__(self, text):
        self.results = [r.strip() for r in re.search(r"->\s*\((.*)\)>$", text)[1].split(",")
                        if r.strip()]
        self.code = [compile(r.replace("floordiv", "//").replace("mod", "%"), text, "eval")
                     for r in self.results]

    def at(self, dims):
        return tuple(eval(code, {"d%d" % i: d for i, d in enumerate(dims)})
                     for code in self.code)


@op("linalg.generic")
def _(run, op, operands, values):
    inputs, outputs = segments(op, operands)
    maps = [_Map(text) for text in op["indexing_maps"]]
    loops = ["reduction" in kind for kind in op["iterator_types"]]
    sizes = [None] * len(loops)
    for array, map in zip(operands, maps):
        for size, result in zip(np.shape(array), map.results):
            if re.fullmatch(r"d\d+", result):
                sizes[int(result[1:])] = size
    # Loops that reduce run one after the other, all others at once.
    apart = [range(size) if reduces else (None,) for size, reduces in zip(sizes, loops)]
    grid = np.ogrid[tuple(slice(1 if reduces else size) for size, reduces in
                          zip(sizes, loops))] if sizes else []
    domain = tuple(1 if reduces else size for size, reduces in zip(sizes, loops))
    outputs = [np.array(x) for x in outputs]
    for step in itertools.product(*apart):
        dims = [g if s is None else s for g, s in zip(grid, step)]
        places = [np.broadcast_arrays(*map.at(dims), np.empty(domain))[:-1] for map in maps]
        arguments = [np.broadcast_to(np.asarray(array)[tuple(place)], domain)
                     for array, place in zip([*inputs, *outputs], places)]
        inner = dict(values, **{"linalg.index": dims})
        results = run.region(op.regions[0], arguments, inner)
        for output, place, result in zip(outputs, places[len(inputs):], results):
            output[tuple(place)] = result
    return outputs


@op("linalg.index")
def _(run, op, operands, values):
    return values["linalg.index"][op["dim"]]


@op("tensor.empty")
def _(run, op, operands, values):
    sizes, kind = iter(operands), result_type(op)
    return np.zeros([int(next(sizes)) if s is None else s for s in kind.shape], kind.dtype)


@op("tensor.dim")
def _(run, op, operands, values):
    return operands[0].shape[int(operands[1])]


@op("tensor.cast")
def _(run, op, operands, values):
    return operands[0]


@op("tensor.extract_slice")
def _(run, op, operands, values):
    (array,), *dynamic = segments(op, operands)
    bounds = [mixed(op["static_" + name], given)
              for name, given in zip(("offsets", "sizes", "strides"), dynamic)]
    return array[tuple(slice(offset, offset + size * stride, stride)
                       for offset, size, stride in zip(*bounds))]


@op("tensor.extract")
def _(run, op, operands, values):
    array, *places = operands
    if "branch" in values:
        if not array.size:
            return np.zeros((), array.dtype)
        places = [np.clip(p, 0, size - 1) for p, size in zip(places, array.shape)]
    return array[tuple(places)]


@op("tensor.insert")
def _(run, op, operands, values):
    # Of a line only the latest form is used, so it may change in place.
    operands[1][tuple(operands[2:])] = operands[0]
    return operands[1]


@op("scf.if")
def _(run, op, operands, values):
    condition = operands[0]
    if np.ndim(condition) and np.size(condition) != 1:
        # Both branches run on all elements, and read anything where they are not
        # taken.
        inner = dict(values, branch=True)
        both = [run.region(region, [], inner) for region in op.regions]
        return [np.where(condition, a, b) for a, b in zip(*both)]
    region = op.regions[0 if np.all(condition) else 1]
    return run.region(region, [], values) if region else []


@op("scf.for")
def _(run, op, operands, values):
    low, high, step, *carried = operands
    for i in range(int(low), int(high), int(step)):
        carried = run.region(op.regions[0], [i, *carried], values)
    return carried


@op("scf.while")
def _(run, op, operands, values):
    carried = operands
    while True:
        go_on, *carried = run.region(op.regions[0], carried, values)
        if not go_on:
            return carried
        carried = run.region(op.regions[1], carried, values)


@functools.lru_cache(maxsize=None)
def _dtype_of(text):
    return ShapedType(text).dtype if "<" in text else element_dtype(text)


def result_dtype(op):
    return _dtype_of(op.result_types[0])


@op("arith.constant")
def _(run, op, operands, values):
    value = op["value"]
    if isinstance(value, np.ndarray):
        return value
    return result_dtype(op).type(value)


def _unsigned(x):
    x = np.asarray(x)
    return x.view(f"u{x.dtype.itemsize}") if x.dtype.kind == "i" else x


def _scalars(names):
    """Ops whose result has the type of the IR, whatever numpy makes of it."""
    for name, function in names.items():
        def run(interpreter, op, operands, values, function=function):
            return np.asarray(function(*map(np.asarray, operands))).astype(result_dtype(op))
        OPS[name] = run


def _divide_up(a, b):
    return -((-a) // b)


_scalars({
    "arith.addf": np.add, "arith.subf": np.subtract, "arith.mulf": np.multiply,
    "arith.divf": np.divide, "arith.negf": np.negative, "arith.remf": np.fmod,
    "arith.maximumf": np.maximum, "arith.minimumf": np.minimum,
    "arith.maxnumf": np.fmax, "arith.minnumf": np.fmin,
    "arith.addi": np.add, "arith.subi": np.subtract, "arith.muli": np.multiply,
    "arith.divsi": divide, "arith.remsi": lambda a, b: np.fmod(a, np.where(b == 0, 1, b)),
    "arith.divui": lambda a, b: divide(_unsigned(a), _unsigned(b)),
    "arith.remui": lambda a, b: np.mod(_unsigned(a), np.where(b == 0, 1, _unsigned(b))),
    "arith.floordivsi": np.floor_divide, "arith.ceildivsi": _divide_up,
    "arith.maxsi": np.maximum, "arith.minsi": np.minimum,
    "arith.maxui": lambda a, b: np.maximum(_unsigned(a), _unsigned(b)),
    "arith.minui": lambda a, b: np.minimum(_unsigned(a), _unsigned(b)),
    "arith.andi": np.bitwise_and, "arith.ori": np.bitwise_or, "arith.xori": np.bitwise_xor,
    "arith.shli": np.left_shift, "arith.shrsi": np.right_shift,
    "arith.shrui": lambda a, b: np.right_shift(_unsigned(a), _unsigned(b)),
    "arith.select": np.where, "arith.index_cast": lambda x: x,
    "arith.index_castui": _unsigned, "arith.extf": lambda x: x, "arith.truncf": lambda x: x,
    "arith.extsi": lambda x: -x.astype(np.int64) if x.dtype == bool else x,
    "arith.extui": _unsigned, "arith.sitofp": lambda x: x, "arith.uitofp": _unsigned,
    "arith.fptosi": np.trunc, "math.absf": np.abs, "math.absi": np.abs, "math.exp": np.exp,
    "math.exp2": np.exp2, "math.log": np.log, "math.sqrt": np.sqrt,
    "math.rsqrt": lambda x: 1 / np.sqrt(x), "math.sin": np.sin, "math.cos": np.cos,
    "math.tanh": np.tanh, "math.erf": erf, "math.floor": np.floor, "math.ceil": np.ceil,
    "math.powf": np.power, "math.fma": lambda a, b, c: a * b + c,
    "math.trunc": np.trunc, "math.roundeven": np.rint,
})


@op("arith.trunci")
def _(run, op, operands, values):
    x, dtype = np.asarray(operands[0]), result_dtype(op)
    return (x & 1).astype(bool) if dtype == bool else x.astype(dtype)


@op("arith.fptoui")
def _(run, op, operands, values):
    dtype = result_dtype(op)
    return np.trunc(operands[0]).astype(f"u{dtype.itemsize}").view(dtype)


@op("arith.bitcast")
def _(run, op, operands, values):
    return np.asarray(operands[0]).view(result_dtype(op))


@op("arith.cmpi")
def _(run, op, operands, values):
    a, b = map(np.asarray, operands)
    if op["predicate"] >= 6:
        a, b = _unsigned(a), _unsigned(b)
    return (np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal,
            np.less, np.less_equal, np.greater, np.greater_equal)[op["predicate"]](a, b)


@op("arith.cmpf")
def _(run, op, operands, values):
    a, b = map(np.asarray, operands)
    neither = np.isnan(a) | np.isnan(b)
    number = op["predicate"]
    if number in (0, 15):
        return np.full(np.shape(neither), number == 15)
    if number in (7, 14):
        return neither if number == 14 else ~neither
    compare = (np.equal, np.greater, np.greater_equal, np.less, np.less_equal,
               np.not_equal)[number - 1 if number < 7 else number - 8]
    return compare(a, b) & ~neither if number < 7 else compare(a, b) | neither
