"""What ops compute in a module that schedule or plan wrote: loops over memory and
vectors, and the program of a plan.

A memref is a numpy array, row-major without gaps; what nothing has written yet is
NaN, and a slice of the arena lies where the plan puts it.
"""
import ctypes

import numpy as np

from ._graph_ops import OPS, op, read_weight, segments
from ._kernel_ops import result_dtype, weight
from ._mlir import ShapedType, element_dtype


def undefined(shape, dtype):
    return np.frombuffer(bytearray(b"\xff" * (int(np.prod(shape)) * dtype.itemsize)),
                         dtype).reshape(shape)


def sized(kind, sizes):
    sizes = iter(sizes)
    return tuple(int(next(sizes)) if size is None else size for size in kind.shape)


def run_scheduled(run, op, operands):
    """A kernel.region after schedule: results are memory that its body writes."""
    inputs, indices, sizes, (grid,) = segments(op, operands)
    sizes = iter(sizes)
    kinds = map(ShapedType, op.result_types)
    outputs = [undefined(sized(kind, sizes), kind.dtype) for kind in kinds]
    inputs = [np.asarray(x, order="C") for x in inputs]
    for output, updated in zip(outputs, op["updates"] if op.has("updates") else ()):
        if updated >= 0:
            output[...] = inputs[updated]
    run.region(op.regions[0], [*inputs, *outputs, *indices, 0, grid], {})
    return outputs


@op("memref.dim")
def _(run, op, operands, values):
    return operands[0].shape[int(operands[1])]


@op("memref.load")
def _(run, op, operands, values):
    return operands[0][tuple(map(int, operands[1:]))]


@op("memref.store")
def _(run, op, operands, values):
    operands[1][tuple(map(int, operands[2:]))] = operands[0]
    return []


@op("memref.prefetch")
def _(run, op, operands, values):
    return []


@op("memref.alloca", "memref.alloc")
def _(run, op, operands, values):
    kind = ShapedType(op.result_types[0])
    return undefined(sized(kind, operands), kind.dtype)


@op("memref.collapse_shape")
def _(run, op, operands, values):
    return operands[0].reshape([int(np.prod([operands[0].shape[i] for i in group]))
                                for group in op["reassociation"]])


@op("memref.reinterpret_cast")
def _(run, op, operands, values):
    kind = ShapedType(op.result_types[0])
    array, _, sizes, _ = segments(op, operands)
    return array[0].reshape(sized(kind, sizes))


@op("memref.extract_aligned_pointer_as_index")
def _(run, op, operands, values):
    return operands[0].ctypes.data


@op("llvm.inttoptr")
def _(run, op, operands, values):
    return int(operands[0])


@op("llvm.intr.masked.load")
def _(run, op, operands, values):
    address, mask, otherwise = operands
    output = np.array(otherwise)
    size = output.dtype.itemsize
    for lane in np.flatnonzero(mask):
        data = ctypes.string_at(address + int(lane) * size, size)
        output[lane] = np.frombuffer(data, output.dtype)[0]
    return output


def _at(array, indices):
    """The number of an element in memory."""
    place = 0
    for size, index in zip(array.shape, indices):
        place = place * size + int(index)
    return place


def _lanes(array, indices, count, mask):
    """Numbers of the elements of a vector in memory; only those of the mask may lie
    outside of it."""
    places = _at(array, indices) + np.arange(count)
    inside = mask if mask is not None else np.ones(count, bool)
    if (places[inside] < 0).any() or (places[inside] >= array.size).any():
        raise IndexError(f"a vector lies outside of a buffer with {array.size} elements")
    return places[inside], inside


@op("vector.load")
def _(run, op, operands, values):
    array, *indices = operands
    count = ShapedType(op.result_types[0]).shape[0]
    places, _ = _lanes(array, indices, count, None)
    return array.reshape(-1)[places]


@op("vector.store")
def _(run, op, operands, values):
    vector, array, *indices = operands
    places, _ = _lanes(array, indices, vector.size, None)
    array.reshape(-1)[places] = vector
    return []


@op("vector.maskedload")
def _(run, op, operands, values):
    array, *indices, mask, otherwise = operands
    places, inside = _lanes(array, indices, mask.size, mask)
    output = np.array(otherwise)
    output[inside] = array.reshape(-1)[places]
    return output


@op("vector.maskedstore")
def _(run, op, operands, values):
    array, *indices, mask, vector = operands
    places, inside = _lanes(array, indices, mask.size, mask)
    array.reshape(-1)[places] = vector[inside]
    return []


@op("vector.broadcast")
def _(run, op, operands, values):
    return np.broadcast_to(operands[0], ShapedType(op.result_types[0]).shape)


@op("vector.fma")
def _(run, op, operands, values):
    return operands[0] * operands[1] + operands[2]


@op("kernel.dot")
def _(run, op, operands, values):
    acc, lhs, rhs = (np.ascontiguousarray(x) for x in operands)
    kinds = ("bf16", "bf16") if op["kind"] == 0 else ("ui8", "i8")  # u8s8, u4s8
    lhs, rhs = (x.view(element_dtype(kind)).reshape(acc.size, -1).astype(acc.dtype)
                for x, kind in zip((lhs, rhs), kinds))
    return acc + (lhs * rhs).sum(1, acc.dtype)


@op("kernel.multiply_tiles")
def _(run, op, operands, values):
    def elements(matrix, rows, columns):
        memory, offset, row = matrix
        return memory, int(offset) + int(row) * np.arange(rows)[:, None] + np.arange(columns)

    lhs, rhs, acc = operands[0:3], operands[3:6], operands[6:9]
    group, kinds = (2, ("bf16", "bf16")) if op["kind"] == 0 else (4, ("ui8", "i8"))
    rows, groups, columns = op["rows"], 16 * int(operands[-1]), 32
    parts = op["split"] if op.has("split") else 1

    def read(matrix, kind, *shape):
        memory, at = elements(matrix, *shape)
        return memory[at].view(element_dtype(kind)).astype(acc[0].dtype)

    left = read(lhs, kinds[0], rows, parts * groups * group).reshape(rows, -1, parts, 16, group)
    right = read(rhs, kinds[1], parts * groups, columns * group)
    right = right.reshape(-1, parts, 16, columns, group)
    sums, at = elements(acc, rows, columns)
    product = sum(np.einsum("rsgi,sgci->rc", left[:, :, i], right[:, j])
                  for i in range(parts) for j in range(parts) if i + j <= 2)
    sums[at] = sums[at] + product if op.has("accumulate") else product
    return []


@op("vector.create_mask")
def _(run, op, operands, values):
    return np.arange(ShapedType(op.result_types[0]).shape[0]) < operands[0]


@op("vector.constant_mask")
def _(run, op, operands, values):
    return np.arange(ShapedType(op.result_types[0]).shape[0]) < op["mask_dim_sizes"][0]


@op("vector.extract_strided_slice")
def _(run, op, operands, values):
    # Vectors have one dimension here.
    (offset,), (size,), (stride,) = op["offsets"], op["sizes"], op["strides"]
    return operands[0][offset:offset + size * stride:stride]


@op("vector.shuffle")
def _(run, op, operands, values):
    return np.concatenate(operands)[op["mask"]]


@op("vector.extract")
def _(run, op, operands, values):
    dynamic = iter(operands[1:])
    return operands[0][tuple(int(next(dynamic)) if i == -2**63 else i
                             for i in op["static_position"])]


@op("vector.from_elements")
def _(run, op, operands, values):
    return np.array(operands, result_dtype(op))


@op("vector.bitcast")
def _(run, op, operands, values):
    return np.ascontiguousarray(operands[0]).view(result_dtype(op))


@op("vector.reduction")
def _(run, op, operands, values):
    kind = op["kind"].split("<")[1].rstrip(">")
    vector, *start = operands
    combine = {"add": np.add, "mul": np.multiply, "maximumf": np.maximum,
               "minimumf": np.minimum, "maxnumf": np.fmax, "minnumf": np.fmin,
               "maxsi": np.maximum, "minsi": np.minimum, "and": np.bitwise_and,
               "or": np.bitwise_or, "xor": np.bitwise_xor}[kind]
    result = combine.reduce(vector)
    return combine(result, start[0]) if start else result


@op("plan.symbol")
def _(run, op, operands, values):
    return run.symbols.get(op["name"], 0)


@op("plan.assume_equal", "plan.output")
def _(run, op, operands, values):
    return []


@op("plan.constant")
def _(run, op, operands, values):
    return np.asarray(op["value"], order="C")


@op("plan.weight")
def _(run, op, operands, values):
    layout = ("rows", "panel32", "panel32x2", "panel32x4", "panel32x8").index(op["layout"])
    array = read_weight(run, op, ShapedType(op["source"]))
    return np.asarray(weight(op, array, layout), order="C")


@op("plan.index_error")
def _(run, op, operands, values):
    return np.zeros(2, np.int64)


@op("plan.view")
def _(run, op, operands, values):
    shape = sized(ShapedType(op.result_types[0]), operands[1:])
    return operands[0].reshape(-1)[:int(np.prod(shape))].reshape(shape)


@op("plan.copy")
def _(run, op, operands, values):
    operands[1].reshape(-1)[:] = operands[0].reshape(-1)
    return []


@op("plan.read")
def _(run, op, operands, values):
    return operands[0].reshape(-1)[0]


@op("plan.alloc")
def _(run, op, operands, values):
    kind = ShapedType(op.result_types[0])
    shape = sized(kind, operands)
    if not op.has("id"):
        return undefined(shape, kind.dtype)
    start, end = run.slices[op["id"]]
    return run.arena[start:end].view(kind.dtype).reshape(shape)


@op("plan.launch")
def _(run, op, operands, values):
    (grid,), buffers, indices = segments(op, operands)
    kernel = run.functions[op["kernel"].lstrip("@")]
    run.region(kernel.regions[0], [*buffers, *indices, 0, grid], {})
    return []


def place_slices(run, function, values):
    """Gives each slice of the arena its place, as the compiled program does before
    it runs; sizes are computed from symbols alone."""
    sizes = {}

    def visit(blocks):
        for inner in (op for block in blocks for op in block.ops):
            known = all(name in values for name in inner.operands)
            if inner.name.startswith("arith.") or inner.name == "plan.symbol":
                if known:
                    results = run.op(inner, [values[n] for n in inner.operands], values)
                    values.update(zip(inner.results, results))
            elif inner.name == "plan.alloc" and inner.has("id"):
                kind = ShapedType(inner.result_types[0])
                shape = sized(kind, [values[n] for n in inner.operands])
                sizes[inner["id"]] = inner["below"], int(np.prod(shape)) * kind.dtype.itemsize
            for region in inner.regions:
                visit(region)
    visit(function.regions[0])
    run.slices = {}
    for number, (below, size) in sorted(sizes.items()):
        start = max([-(-run.slices[b][1] // 64) * 64 for b in below], default=0)
        run.slices[number] = start, start + size
    total = max([end for _, end in run.slices.values()], default=0)
    run.arena = np.full(total, 0xff, np.uint8)
