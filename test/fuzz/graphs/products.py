"""Products: MatMul, Gemm, Einsum, on weights, inputs and results."""
import numpy as np

from .growing import SIZES
from .nodes import F32, FLOATS, I64, Refused, allowed, is_float


def matmul(g):
    lhs = g.choose_for("MatMul", rank=(1, 2, 3, 4))
    dtype = g.types[lhs]
    kind = g.pick(["weight", "weight", "gram", "batched", "vector", "left"])
    if kind == "gram":
        if g.rank(lhs) < 2:
            raise Refused
        other = g.pick([n for n in g.alike(lhs)])
        perm = list(range(g.rank(lhs)))
        perm[-2:] = perm[:-3:-1]
        transposed = g.add("Transpose", [other], perm=perm)
        g.add("MatMul", [lhs, transposed] if g.chance(0.6) else [transposed, lhs])
        return
    inner = g.dim(lhs, -1)
    columns = g.pick(SIZES + [40, 65, 130, "a"])
    if kind == "left":
        if g.rank(lhs) < 2:
            raise Refused
        rows = g.pick(SIZES + ["b"])
        g.add("MatMul", [g.operand([rows, g.dim(lhs, -2)], dtype, -1, 1), lhs])
    elif kind == "vector":
        g.add("MatMul", [lhs, g.operand([inner], dtype, -1, 1)])
    elif kind == "batched" and g.rank(lhs) >= 3:
        batch = [d if g.chance(0.7) else 1 for d in g.dims(lhs)[:-2]]
        g.add("MatMul", [lhs, g.operand([*batch, inner, columns], dtype, -1, 1)])
    else:
        result = g.add("MatMul", [lhs, g.operand([inner, columns], dtype, -1, 1)])
        if g.chance(0.4):
            result = g.add("Add", [result, g.operand([columns], dtype)])
        if g.chance(0.3) and is_float(dtype):
            g.add(g.pick(["Relu", "Tanh", "Sigmoid", "Gelu" if g.opset >= 20 else "Relu"]), [result])


def gemm(g):
    lhs = g.choose_for("Gemm", rank=(2,))
    dtype = g.types[lhs]
    transposed, other = g.number(0, 1), g.number(0, 1)
    inner, rows = g.dims(lhs)[::1 if transposed else -1]
    columns = g.pick(SIZES)
    inputs = [lhs, g.operand([columns, inner] if other else [inner, columns], dtype)]
    if g.chance(0.7):
        inputs.append(g.operand(g.pick([[columns], [1, columns], [rows, columns], [rows, 1], [1], []]), dtype))
    attributes = {"alpha": g.pick([0.5, 1.0, 2.0]), "beta": g.pick([1.0, 0.25])} if is_float(dtype) else {}
    g.add("Gemm", inputs, transA=transposed, transB=other, **attributes)


def einsum(g):
    lhs = g.choose_for("Einsum", rank=(1, 2, 3))
    dtype, dims = g.types[lhs], g.dims(lhs)
    letters = "ijk"[:len(dims)]
    form = g.pick(["sum", "permute", "product", "trace", "outer", "shared", "ellipsis"])
    if form == "sum":
        keep = "".join(c for c in letters if g.chance(0.5))
        g.add("Einsum", [lhs], equation=f"{letters}->{keep}")
    elif form == "permute":
        order = "".join(letters[i] for i in g.random.permutation(len(letters)))
        g.add("Einsum", [lhs], equation=f"{letters}->{order}")
    elif form == "trace":
        if len(dims) < 2 or dims[0] != dims[1]:
            raise Refused
        g.add("Einsum", [lhs], equation=g.pick(["ii->i", "ii->", "ii"]) if len(dims) == 2 else "iik->ik")
    elif form == "outer":
        g.add("Einsum", [lhs, g.operand([g.pick(SIZES[:6])], dtype)], equation=f"{letters},z->{letters}z")
    elif form == "shared":
        other = g.pick(g.alike(lhs))
        keep = "".join(c for c in letters if g.chance(0.5))
        g.add("Einsum", [lhs, other], equation=f"{letters}, {letters} -> {keep}")
    elif form == "ellipsis":
        g.add("Einsum", [lhs, g.operand([dims[-1], g.pick(SIZES)], dtype)], equation="...i,ij->...j")
    else:
        inner = g.number(0, len(dims) - 1)
        rest = letters.replace(letters[inner], "")
        kept = "".join(c for c in rest if g.chance(0.8))
        g.add("Einsum", [lhs, g.operand([g.pick(SIZES), dims[inner]], dtype)],
              equation=f"{letters},z{letters[inner]}->{g.pick([kept + 'z', 'z' + kept])}")


OPERATORS = [(matmul, 8), (gemm, 3), (einsum, 3)]
