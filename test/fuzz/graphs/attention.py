"""Attention in its forms, rotary embeddings, and what com.microsoft adds to ONNX."""
import numpy as np

from .growing import MICROSOFT, SIZES
from .nodes import BOOL, F16, F32, I64, Refused, allowed, is_float


def lengths(g):
    batch = g.pick([1, 2, "a"])
    return batch, g.pick([1, 3, 5, 17, "b"]), g.pick([1, 4, 7, 33, "c"])


def attention(g):
    if g.opset < 23:
        raise Refused
    dtype = g.float if is_float(g.float) else F32
    batch, queries, keys = lengths(g)
    heads, shared = g.pick([(1, 1), (2, 2), (4, 2), (3, 1)])
    size, value_size = g.pick([(4, 4), (8, 8), (5, 5), (8, 3), (16, 16)])
    causal = g.number(0, 1)
    # Where a size is not known, code for causal attention is for as many queries as keys.
    if g.chance(0.4) or (causal and not (isinstance(queries, int) and isinstance(keys, int))):
        keys = queries
    flat = g.chance(0.4)

    def operand(count, length, width):
        return g.add_input(dtype, [batch, length, count * width] if flat else [batch, count, length, width])

    inputs = [operand(heads, queries, size), operand(shared, keys, size), operand(shared, keys, value_size)]
    attributes = {"is_causal": causal}
    if flat:
        attributes.update(q_num_heads=heads, kv_num_heads=shared)
    if g.chance(0.3):
        attributes["scale"] = 0.5
    if g.chance(0.2):
        attributes["softcap"] = 2.0
    past = g.chance(0.2)
    outputs = 1
    if g.chance(0.5) and not past:
        shape = g.pick([[queries, keys], [1, 1, queries, keys], [batch, 1, queries, keys], [batch, heads, queries, keys],
                        [1, keys]])
        if g.chance(0.4):
            # Each query sees its first key, so that no row is hidden.
            mask = g.add("Or", [g.add_input(BOOL, shape), first_key(g, keys)])
        else:
            mask = g.add_input(dtype, shape)
        inputs.append(mask)
    if past:
        before = g.pick([0 if g.chance(0.1) else 2, 3, "c"])
        inputs += [""] if len(inputs) == 3 else []
        inputs += [g.add_input(dtype, [batch, shared, before, size]), g.add_input(dtype, [batch, shared, before, value_size])]
        outputs = 3
    g.add("Attention", inputs, outputs=outputs, **attributes)


def first_key(g, keys):
    """True for the first of the keys."""
    if isinstance(keys, int):
        return g.constant(np.arange(keys) == 0)
    like = g.add_input(np.float32, [keys])
    size = g.add("Gather", [g.add("Shape", [like]), g.constant(np.int64(0))], axis=0)
    positions = g.add("Range", [g.constant(np.int64(0)), size, g.constant(np.int64(1))])
    return g.add("Equal", [positions, g.constant(np.int64(0))])


def decomposed_attention(g):
    """softmax(q k^T * s + mask) v, as exporters write it, for fusion to find."""
    dtype = g.float
    batch, queries, keys = lengths(g)
    heads, size = g.pick([(2, 4), (1, 8), (3, 5)])
    query = g.add_input(dtype, [batch, heads, queries, size])
    key = g.add_input(dtype, [batch, heads, keys, size])
    value = g.add_input(dtype, [batch, heads, keys, size])
    if g.chance(0.5):
        query = g.add("Mul", [query, g.constant(0.5, dtype)])
    scores = g.add("MatMul", [query, g.add("Transpose", [key], perm=[0, 1, 3, 2])])
    kind = g.pick(["none", "div", "mul"])
    if kind != "none":
        scores = g.add(kind.capitalize(), [scores, g.constant(2.0, dtype)])
    if g.chance(0.5):
        mask = g.add_input(dtype, g.pick([[batch, 1, 1, keys], [queries, keys], [batch, heads, queries, keys], [1, 1, 1, keys]]))
        scores = g.add("Add", [scores, mask])
    weights = g.add("Softmax", [scores], axis=-1)
    result = g.add("MatMul", [weights, value])
    g.add("Transpose", [result], perm=[0, 2, 1, 3])
    if g.chance(0.2):
        g.add("Neg", [weights])  # who asks for the scores gets them


def rotary(g):
    if g.opset < 23:
        raise Refused
    dtype = g.float if g.float in allowed("RotaryEmbedding", g.opset) else F32
    batch, length, _ = lengths(g)
    heads, size = g.pick([(1, 4), (2, 8), (3, 6), (2, 16)])
    part = g.pick([0, 0, 4])
    flat = g.chance(0.4)
    source = g.add_input(dtype, [batch, length, heads * size] if flat else [batch, heads, length, size])
    attributes = {"interleaved": g.number(0, 1)}
    if part:
        attributes["rotary_embedding_dim"] = part
    if flat:
        attributes["num_heads"] = heads
    half = (part or size) // 2
    if part and flat is False:
        attributes["num_heads"] = heads
    if g.chance(0.5):
        tables = [g.operand([34, half], dtype, -1, 1) for _ in range(2)]
        g.add("RotaryEmbedding", [source, *tables, g.add_input(np.int64, [batch, length], 0, 33)], **attributes)
    else:
        tables = [g.operand([batch, length, half], dtype, -1, 1) for _ in range(2)]
        g.add("RotaryEmbedding", [source, *tables], **attributes)


def microsoft(g):
    op = g.pick(["SkipLayerNormalization", "SkipSimplifiedLayerNormalization", "BiasGelu", "FastGelu", "Gelu",
                 "MultiHeadAttention"])
    if op == "MultiHeadAttention":
        batch, queries, keys = lengths(g)
        heads, size = g.pick([(1, 4), (2, 8), (3, 5)])
        inputs = [g.add_input(F32, [batch, length, heads * size]) for length in (queries, keys, keys)]
        if g.chance(0.5):
            inputs.append(g.constant(g.draw([3 * heads * size], F32)))
        g.add(op, inputs, domain=MICROSOFT, num_heads=heads)
        return
    source = g.choose([F32], rank=(2, 3) if "Skip" in op else (1, 2, 3, 4), fits=lambda n: isinstance(g.dim(n, -1), int)
                      and g.everything(n, np.size))
    width = g.size(source, -1)
    if "Skip" in op:
        if g.rank(source) != 3:
            raise Refused
        inputs = [source, g.pick(g.alike(source)), g.operand([width], F32)]
        if op == "SkipLayerNormalization" and g.chance(0.7):
            inputs.append(g.operand([width], F32))
        g.add(op, inputs, domain=MICROSOFT, epsilon=1e-5)
    elif op == "Gelu":
        g.add(op, [source], domain=MICROSOFT)
    else:
        g.add(op, [source, g.operand([width], F32)], domain=MICROSOFT)


OPERATORS = [(attention, 4), (decomposed_attention, 2), (rotary, 2), (microsoft, 2)]
