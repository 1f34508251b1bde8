"""Weights that are quantized in blocks, against numpy: as MatMulNBits, GatherBlockQuantized and DequantizeLinear have them."""
import re

import numpy as np
import pytest
import tenon as package
from conftest import compile_model, reference, skip_unless_runs, tenon
from onnx import TensorProto, helper, numpy_helper
from tenon._interpreter import Interpreter

# Vectors of 64 bytes, and of 32.
CPUS = pytest.mark.parametrize("cpu", ["x86-64-v4", "x86-64-v3"])
ROWS = [1, 2, 3, 8, 9, 40, 100]
# N and K that are no multiples of anything, a K smaller than a block, more than one block of K in a panel.
SHAPES = [(33, 40), (64, 64), (1, 7), (100, 300), (70, 777)]
FORMS = ["none", "packed", "float", "uniform"]
TYPES = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.float16): TensorProto.FLOAT16}


class Weight:
    """Random values in blocks: what MatMulNBits reads, and as floats."""

    def __init__(self, rng, n, k, bits, block, zero, dtype=np.float32, exact_scales=False):
        self.n, self.k, self.bits, self.block = n, k, bits, block
        self.blocks = -(-k // block)
        self.q = rng.integers(0, 2 ** bits, (n, self.blocks * block), np.uint8)
        self.scale = (rng.random((n, self.blocks)) * 0.1 + 0.01).astype(np.float16 if exact_scales else dtype).astype(dtype)
        shape = (n, self.blocks)
        self.zero, self.zero_input = np.full(shape, 2 ** (bits - 1)), None
        if zero == "float":
            self.zero_input = self.zero = (rng.random(shape) * 2 ** bits).astype(dtype)
        elif zero != "none":
            self.zero = rng.integers(0, 2 ** bits, shape if zero == "packed" else (), np.uint8) + np.zeros(shape, np.uint8)
            self.zero_input = self.pack(self.zero)
        spread = [np.repeat(x.astype(np.float32), block, 1) for x in (self.zero, self.scale)]
        self.values = ((self.q - spread[0]) * spread[1])[:, :k]

    def pack(self, rows):
        if self.bits == 8:
            return rows
        rows = np.pad(rows, ((0, 0), (0, rows.shape[1] % 2)))
        return rows[:, ::2] | rows[:, 1::2] << 4

    def packed(self):
        return self.pack(self.q).reshape(self.n, self.blocks, -1)

    def node(self, inputs, output, bias=None):
        """A MatMulNBits, and its initializers."""
        names = [f"{output}_{name}" for name in ("q", "s", "z", "g", "b")]
        arrays = [self.packed(), self.scale, self.zero_input, None, bias]
        names = ["" if array is None else name for name, array in zip(names, arrays)]
        node = helper.make_node("MatMulNBits", [inputs, *names], [output], domain="com.microsoft", name=output,
                                bits=self.bits, block_size=self.block, K=self.k, N=self.n)
        return node, [numpy_helper.from_array(array, name) for name, array in zip(names, arrays) if array is not None]


def save(folder, nodes, inputs, outputs, initializers):
    """`inputs` and `outputs` are names with a type and dimensions, or with a type."""
    def info(name, kind, dims=None):
        return helper.make_tensor_value_info(name, kind, dims)
    graph = helper.make_graph(nodes, "g", [info(*x) for x in inputs], [info(*x) for x in outputs], initializers)
    model = helper.make_model(graph, ir_version=10, opset_imports=[
        helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)])
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    return folder / "model.onnx"


def check_close(found, wanted, scale=1e-5):
    """Sums in another order: relative to how large their terms are."""
    np.testing.assert_allclose(found, wanted, rtol=0, atol=scale * max(1, np.abs(wanted).max()))


@CPUS
@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("block", [16, 32, 64, 128, 256])
def test_products(tmp_path, cpu, bits, block):
    skip_unless_runs(cpu)
    rng, nodes, inputs, initializers, weights = np.random.default_rng(block + bits), [], [], [], {}
    for i, (n, k) in enumerate(SHAPES):
        for zero in FORMS:
            if (bits, zero) == (8, "float") and i > 1:
                continue
            name = f"y{i}{zero}"
            weights[name] = Weight(rng, n, k, bits, block, zero, exact_scales=i % 2 == 0)
            node, arrays = weights[name].node(f"x{i}", name)
            nodes.append(node)
            initializers += arrays
        inputs.append((f"x{i}", TensorProto.FLOAT, ["m", k]))
    model = save(tmp_path, nodes, inputs, [(name, TensorProto.FLOAT) for name in weights], initializers)
    session = package.Session(compile_model(model, tmp_path / "model.so", "--cpu", cpu), threads=2, check_memory=True)
    for m in ROWS:
        feed = {f"x{i}": rng.standard_normal((m, k), np.float32) for i, (_, k) in enumerate(SHAPES)}
        for (name, weight), found in zip(weights.items(), session.run(feed)):
            check_close(found, feed["x" + name[1]] @ weight.values.T)


def test_against_onnxruntime(tmp_path):
    """Which half of a byte comes first, and what no zero point means."""
    rng, nodes, initializers, outputs = np.random.default_rng(1), [], [], []
    for bits in (4, 8):
        for zero in FORMS[:4 if bits == 4 else 2]:
            node, arrays = Weight(rng, 10, 40, bits, 16, zero).node("x", f"y{bits}{zero}")
            nodes.append(node)
            outputs.append((node.name, TensorProto.FLOAT))
            initializers += arrays
    model = save(tmp_path, nodes, [("x", TensorProto.FLOAT, ["b", "m", 40])], outputs, initializers)
    session = package.Session(compile_model(model, tmp_path / "model.so"))
    feed = {"x": rng.standard_normal((2, 3, 40), np.float32)}
    for found, wanted in zip(session.run(feed), reference(model, feed), strict=True):
        check_close(found, wanted)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_epilogues(tmp_path, dtype):
    """Bias, activation and residual join the product."""
    rng, kind = np.random.default_rng(2), TYPES[np.dtype(dtype)]
    weight, bias = Weight(rng, 45, 96, 4, 32, "packed", dtype), rng.standard_normal(45).astype(dtype)
    node, initializers = weight.node("x", "p", bias)
    nodes = [node, helper.make_node("Relu", ["p"], ["r"]), helper.make_node("Add", ["r", "residual"], ["y"])]
    model = save(tmp_path, nodes, [("x", kind, ["m", 96]), ("residual", kind, ["m", 45])], [("y", kind)], initializers)
    session = package.Session(compile_model(model, tmp_path / "model.so"), threads=2)
    # Not to standard output: the weights that it refers to lie beside it.
    fused = compile_model(model, tmp_path / "fuse.mlir", "--stop-after", "fuse").read_text()
    assert fused.count("kernel.region") == 1, fused
    for m in (1, 5, 70):
        x, residual = (rng.standard_normal((m, size)).astype(dtype) for size in (96, 45))
        wanted = np.maximum(x.astype(np.float32) @ weight.values.T + bias.astype(np.float32), 0) + residual
        found, = session.run({"x": x, "residual": residual})
        assert found.dtype == dtype
        check_close(found.astype(np.float32), wanted, 1e-5 if dtype == np.float32 else 2e-3)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("kind", ["INT4", "UINT4", "INT8", "UINT8"])
@pytest.mark.parametrize("with_zero", [False, True])
def test_dequantize_linear(tmp_path, transposed, kind, with_zero):
    """Along either dimension, with K of whole and of cut blocks."""
    rng, nodes, initializers, wanted = np.random.default_rng(3), [], [], {}
    bits, signed = int(kind[-1]), kind.startswith("I")
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if signed else (0, 2 ** bits)
    for name, (k, n) in {"a": (64, 40), "b": (40, 33)}.items():
        blocks = -(-k // 32)
        q = rng.integers(low, high, (k, n))
        z = rng.integers(low, high, (blocks, n)) if with_zero else np.zeros((blocks, n), int)
        s = (rng.random((blocks, n)) + 0.1).astype(np.float32)
        wanted[name] = ((q - np.repeat(z, 32, 0)[:k]) * np.repeat(s, 32, 0)[:k]).astype(np.float32)
        turn = (lambda x: x.T) if transposed else (lambda x: x)
        for suffix, array in (("q", q), ("z", z)):
            array = np.ascontiguousarray(turn(array))
            initializers.append(helper.make_tensor(name + suffix, getattr(TensorProto, kind), array.shape, array.ravel().tolist()))
        initializers.append(numpy_helper.from_array(np.ascontiguousarray(turn(s)), name + "s"))
        nodes.append(helper.make_node("DequantizeLinear", [name + "q", name + "s"] + [name + "z"] * with_zero, [name + "w"],
                                      axis=1 if transposed else 0, block_size=32))
        nodes.append(helper.make_node("Gemm", [name, name + "w"], [name + "y"], transB=int(transposed)))
    model = save(tmp_path, nodes, [(name, TensorProto.FLOAT, ["m", len(w)]) for name, w in wanted.items()],
                 [(name + "y", TensorProto.FLOAT) for name in wanted], initializers)
    artifact = compile_model(model, tmp_path / "model.so")
    # The weights stay narrow: with their scales and zero points they are at most half of what they are in f32.
    assert artifact_weights(artifact) < sum(w.size for w in wanted.values()) * (2 if bits == 8 else 1.5) + 3000
    session = package.Session(artifact, threads=2)
    for m in (1, 3, 50):
        feed = {name: rng.standard_normal((m, len(w)), np.float32) for name, w in wanted.items()}
        for found, (name, w) in zip(session.run(feed), wanted.items()):
            check_close(found, feed[name] @ w)


def artifact_weights(artifact):
    """Bytes of weights."""
    line, = (line for line in tenon("info", artifact).stdout.splitlines() if line.startswith("weights: "))
    return float(line.split()[1]) * 1e6


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("zero", FORMS[:2])
def test_tied_embeddings(tmp_path, bits, zero):
    """A table that tokens are looked up in and that the output is multiplied by lies in the artifact once."""
    rng, weight = np.random.default_rng(4), Weight(np.random.default_rng(5), 90, 96, bits, 32, zero)
    node, initializers = weight.node("h", "logits")
    shape = numpy_helper.from_array(np.array([90, 96 * bits // 8]), "shape")
    nodes = [helper.make_node("Reshape", ["logits_q", "shape"], ["table"]),
             helper.make_node("GatherBlockQuantized", ["table", "ids", "logits_s"] + ["logits_z"] * (zero != "none"), ["h"],
                              domain="com.microsoft", bits=bits, block_size=32, gather_axis=0, quantize_axis=1), node]
    model = save(tmp_path, nodes, [("ids", TensorProto.INT64, ["b", "s"])],
                 [("h", TensorProto.FLOAT), ("logits", TensorProto.FLOAT)], [*initializers, shape])
    artifact = compile_model(model, tmp_path / "model.so")
    # Of 96 rows, since panels are of 32: values, scales of at most 4 bytes, zero points; given in KB.
    assert artifact_weights(artifact) <= 96 * (96 * bits // 8 + 3 * 4 + 3) + 600
    session = package.Session(artifact, threads=2)
    ids = rng.integers(-90, 90, (2, 7))
    found = session.run({"ids": ids})
    np.testing.assert_array_equal(found[0], weight.values[ids])
    check_close(found[1], weight.values[ids] @ weight.values.T)
    with pytest.raises(package.Error, match="90"):
        session.run({"ids": np.array([[90]])})


def test_every_phase_is_executed(tmp_path):
    """What the interpreter computes of each dump."""
    rng, weight = np.random.default_rng(6), Weight(np.random.default_rng(7), 40, 48, 4, 16, "packed")
    other = Weight(np.random.default_rng(8), 33, 40, 8, 32, "float")
    nodes, initializers = zip(weight.node("x", "y"), other.node("y", "z"))
    model = save(tmp_path, list(nodes), [("x", TensorProto.FLOAT, ["m", 48])], [("z", TensorProto.FLOAT)], sum(initializers, []))
    result = tenon("compile", model, "-o", tmp_path / "m.so", "--quiet", "--cpu", "x86-64-v3", "--dump-phases", tmp_path / "dump")
    assert result.returncode == 0, result.stderr
    for m in (2, 9):
        x = rng.standard_normal((m, 48), np.float32)
        wanted = x @ weight.values.T @ other.values.T
        for dump in sorted((tmp_path / "dump").glob("[1-6]-*.mlir")):
            check_close(Interpreter(dump).run({"x": x})["z"], wanted)


@pytest.mark.parametrize("change, message", [
    (dict(bits=2), "bits is 2, but only 4 and 8 are supported"),
    (dict(block_size=8), "block_size is 8, but only powers of two from 16 to 256 are supported"),
    (dict(block_size=48), "block_size is 48, but only powers of two from 16 to 256 are supported"),
    (dict(N=9), "needs 9 times 32 elements of operand 1, but has 'tensor<10x2x16xui8>'"),
    (dict(K=33), "whose last dimension is K, 33, and N of at least 1, but has 'tensor<?x64xf32>' and N 10"),
    (dict(weight_prepacked=1), "has weights in the order of another runtime (weight_prepacked), which is unsupported"),
], ids=lambda x: next(iter(x)) if isinstance(x, dict) else "")
def test_refusals(tmp_path, change, message):
    node, initializers = Weight(np.random.default_rng(9), 10, 64, 4, 32, "none").node("x", "y")
    for name, value in change.items():
        for attribute in [a for a in node.attribute if a.name == name]:
            node.attribute.remove(attribute)
        node.attribute.append(helper.make_attribute(name, value))
    model = save(tmp_path, [node], [("x", TensorProto.FLOAT, ["m", 64])], [("y", TensorProto.FLOAT)], initializers)
    result = tenon("compile", model, "-o", tmp_path / "model.so", "--quiet")
    assert result.returncode != 0 and f"node 'y' (MatMulNBits): " in result.stderr and message in result.stderr, result.stderr


def test_order_of_rows_is_refused(tmp_path):
    node, initializers = Weight(np.random.default_rng(9), 10, 64, 4, 32, "none").node("x", "y")
    node.input[4] = "order"
    initializers.append(numpy_helper.from_array(np.zeros(64, np.int32), "order"))
    model = save(tmp_path, [node], [("x", TensorProto.FLOAT, ["m", 64])], [("y", TensorProto.FLOAT)], initializers)
    result = tenon("compile", model, "-o", tmp_path / "model.so", "--quiet")
    assert result.returncode == 3 and "has g_idx, an order of its own for the rows" in result.stderr


def relative_error(found, wanted):
    return np.linalg.norm(found - wanted) / np.linalg.norm(wanted)


def away_from_halves(x):
    """Elements that no rounding of the scale can put on the other side of a half."""
    depth = x.shape[-1]
    units = np.pad(x, ((0, 0), (0, -depth % 32))).reshape(len(x), -1, 32)
    step = np.abs(units).max(-1, keepdims=True) / 127
    steps = units / step
    near = np.abs(steps - np.floor(steps) - 0.5) < 0.01
    return np.where(near, (np.floor(steps) + 0.25) * step, units).reshape(len(x), -1)[:, :depth].astype(np.float32)


def rounded(x):
    """Rows whose every 32 elements are the largest over 127 times integers."""
    depth = x.shape[-1]
    units = np.pad(x, ((0, 0), (0, -depth % 32))).reshape(len(x), -1, 32)
    scale = np.abs(units).max(-1, keepdims=True) / 127
    return (np.rint(units / np.where(scale == 0, 1, scale)) * scale).reshape(len(x), -1)[:, :depth]


@CPUS
@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("block", [16, 32, 128])
def test_rounded_activations(tmp_path, cpu, bits, block):
    """As the sums of integers that numpy makes of the same bytes; off unless it is asked for."""
    skip_unless_runs(cpu)
    rng, nodes, inputs, initializers, weights = np.random.default_rng(block + bits), [], [], [], {}
    for i, (n, k) in enumerate(SHAPES):
        for zero in FORMS:
            if (bits, zero) != (8, "float"):
                name = f"y{i}{zero}"
                weights[name] = Weight(rng, n, k, bits, block, zero)
                node, arrays = weights[name].node(f"x{i}", name)
                nodes.append(node)
                initializers += arrays
        inputs.append((f"x{i}", TensorProto.FLOAT, ["m", k]))
    model = save(tmp_path, nodes, inputs, [(name, TensorProto.FLOAT) for name in weights], initializers)
    result = tenon("compile", model, "-o", tmp_path / "model.so", "--cpu", cpu, "--activations", "int8")
    assert result.returncode == 0, result.stderr
    assert f"{len(nodes)} of {len(nodes)} products: activations rounded to 8 bits in groups of 32" in result.stderr
    session = package.Session(tmp_path / "model.so", threads=2, check_memory=True)
    for m in ROWS:
        feed = {f"x{i}": away_from_halves(rng.standard_normal((m, k), np.float32)) for i, (_, k) in enumerate(SHAPES)}
        feed["x0"][0] = 0
        for (name, weight), found in zip(weights.items(), session.run(feed)):
            x = feed["x" + name[1]]
            check_close(found, rounded(x) @ weight.values.T)
            assert m < 8 or relative_error(found, x @ weight.values.T) > 1e-3


def to_bf16(x):
    """The nearest bf16, halves to the even one."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    return ((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000).view(np.float32)


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("block", [16, 32, 128])
def test_activations_for_matrix_registers(tmp_path, bits, block):
    """Many rows, and weights, become bf16; few rows become bytes as on other machines."""
    skip_unless_runs("sapphirerapids-amx")
    rng, nodes, inputs, initializers, weights = np.random.default_rng(block + bits), [], [], [], {}
    shapes = [*SHAPES, (64, 576), (96, 1536)]
    for i, (n, k) in enumerate(shapes):
        for zero in ("none", "packed"):
            name = f"y{i}{zero}"
            weights[name] = Weight(rng, n, k, bits, block, zero)
            node, arrays = weights[name].node(f"x{i}", name)
            nodes.append(node)
            initializers += arrays
        inputs.append((f"x{i}", TensorProto.FLOAT, ["m", k]))
    model = save(tmp_path, nodes, inputs, [(name, TensorProto.FLOAT) for name in weights], initializers)
    artifact = compile_model(model, tmp_path / "model.so", "--cpu", "sapphirerapids-amx", "--activations", "int8")
    session = package.Session(artifact, threads=2, check_memory=True)
    for m in [*ROWS, 300]:
        feed = {f"x{i}": away_from_halves(rng.standard_normal((m, k), np.float32)) for i, (_, k) in enumerate(shapes)}
        for (name, weight), found in zip(weights.items(), session.run(feed)):
            x = feed["x" + name[1]]
            wanted = rounded(x) @ weight.values.T if m <= 8 else to_bf16(x) @ to_bf16(weight.values).T
            check_close(found, wanted)


def test_rounded_activations_of_a_node(tmp_path):
    """A recipe says of which, and what cannot be is said."""
    rng, weight = np.random.default_rng(1), Weight(np.random.default_rng(2), 33, 64, 4, 32, "packed")
    nodes, initializers = [], []
    for name in ("one", "other"):
        node, arrays = weight.node("x", name)
        nodes.append(node)
        initializers += arrays
    plain = rng.standard_normal((64, 32), np.float32)
    nodes.append(helper.make_node("MatMul", ["x", "w"], ["plain"], name="plain"))
    initializers.append(numpy_helper.from_array(plain, "w"))
    outputs = ("one", "other", "plain")
    model = save(tmp_path, nodes, [("x", TensorProto.FLOAT, ["m", 64])], [(name, TensorProto.FLOAT) for name in outputs], initializers)
    (tmp_path / "recipe.json").write_text(
        '{"tenon_recipe": 1, "nodes": [{"node": "one", "activations": "int8"}, {"node": "plain", "activations": "int8"}]}')
    result = tenon("compile", model, "-o", tmp_path / "model.so", "--recipe", tmp_path / "recipe.json")
    assert "1 of 2 products: activations rounded to 8 bits in groups of 32" in result.stderr
    assert "1 of 2 products: activations stay, since it has no weights that are quantized in blocks: 'plain'" in result.stderr
    x = rng.standard_normal((3, 64), np.float32)
    one, other, product = package.Session(tmp_path / "model.so").run({"x": x})
    check_close(one, rounded(x) @ weight.values.T, 1e-3)
    check_close(other, x @ weight.values.T)
    check_close(product, x @ plain)


def quantized(w, bits, group, importance=1):
    """The least squared error, times importance: of 8 bits with the whole range, of 4 bits with any zero point and many scales."""
    k, n = w.shape
    padded = np.pad(w, ((0, -k % group), (0, 0))).T.reshape(n, -1, group)
    counts = np.pad(np.broadcast_to(importance, k), (0, -k % group)).reshape(-1, group)
    low, high = np.minimum(padded.min(-1, keepdims=True), 0), np.maximum(padded.max(-1, keepdims=True), 0)

    def errors(scale, zero, limits):
        return np.sum(((np.clip(np.rint(padded / scale) + zero, *limits) - zero) * scale - padded) ** 2 * counts, -1)
    if bits == 8:
        return errors(np.maximum(np.maximum(-low, high) / 127, 1e-8), 0, (-127, 127)).sum()
    scale = np.maximum((high - low) / 15, 1e-8)
    return np.min([errors(scale * part, zero, (0, 15)) for zero in range(16) for part in np.arange(.5, 1.3, .01)], 0).sum()


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("options, bits, group", [
    (["--weights", "int4"], 4, 32), (["--weights", "int4", "--group", "64"], 4, 64), (["--weights", "int8", "--group", "32"], 8, 32)])
def test_own_quantizer(tmp_path, dtype, options, bits, group):
    """As good as a finer search, of 8 bits than the whole range, and nothing but the weights of products changes."""
    rng, kind = np.random.default_rng(3), TYPES[np.dtype(dtype)]
    w = (rng.standard_normal((100, 80)) * rng.random(80)).astype(dtype)
    head = rng.standard_normal((80, 40)).astype(dtype)
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"], name="first"), helper.make_node("Relu", ["h"], ["r"]),
             helper.make_node("MatMul", ["r", "head"], ["y"], name="head")]
    model = save(tmp_path, nodes, [("x", kind, ["m", 100])], [("h", kind), ("y", kind)],
                 [numpy_helper.from_array(w, "w"), numpy_helper.from_array(head, "head")])
    # What is an output stays exact; here the first product is one, so that its weights can be seen.
    nodes[1].input[0] = "h"
    result = tenon("compile", model, "-o", tmp_path / "model.so", *options, "--quantize-head")
    assert result.returncode == 0, result.stderr
    assert f"weights in int{bits} in groups of {group}: 100x80" in result.stderr
    identity = np.eye(100, dtype=dtype)
    found = package.Session(tmp_path / "model.so").run({"x": identity})[0].astype(np.float64)
    error = np.sum((found - w.astype(np.float64)) ** 2)
    assert 0 < error <= quantized(w.astype(np.float64), bits, group) * 1.02
    without = tenon("compile", model, "-o", tmp_path / "other.so", *options)
    assert without.returncode == 0 and "weights in int" not in without.stderr


@pytest.mark.parametrize("bits", [4, 8])
def test_importance(tmp_path, bits):
    """What the module says of channels, for which no option is needed, decides where errors go."""
    rng = np.random.default_rng(5)
    w = rng.standard_normal((80, 48)).astype(np.float32)
    importance = np.exp(rng.normal(0, 2, 80)).astype(np.float32)
    model = save(tmp_path, [helper.make_node("MatMul", ["x", "w"], ["y"])], [("x", TensorProto.FLOAT, ["m", 80])],
                 [("y", TensorProto.FLOAT)], [numpy_helper.from_array(w, "w")])
    chosen = f'tenon.weights = "int{bits}", tenon.group = 32 : i64'
    errors = []
    for extra in ("", f", tenon.importance = array<f32: {', '.join(repr(float(i)) for i in importance)}>"):
        result = tenon("compile", model, "--stop-after", "simplify", "-o", tmp_path / "model.mlir")
        assert result.returncode == 0, result.stderr
        text = (tmp_path / "model.mlir").read_text()
        (tmp_path / "model.mlir").write_text(re.sub(r"(graph.matmul [^{\n]*{)", rf"\1{chosen}{extra}, ", text, count=1))
        result = tenon("compile", tmp_path / "model.mlir", "-o", tmp_path / "model.so")
        assert result.returncode == 0 and f"weights in int{bits}" in result.stderr, result.stderr
        found, = package.Session(tmp_path / "model.so").run({"x": np.eye(80, dtype=np.float32)})
        errors.append((found - w).astype(np.float64) ** 2)
    assert importance @ errors[1].sum(1) < 0.9 * (importance @ errors[0].sum(1))
    assert errors[1].sum() > errors[0].sum()
    if bits == 4:
        assert importance @ errors[1].sum(1) <= 1.03 * quantized(w, bits, 32, importance)


def test_quantized_head_and_table(tmp_path):
    """Tied embeddings are quantized with the product, if that is chosen."""
    rng = np.random.default_rng(4)
    table, w = rng.standard_normal((70, 64)).astype(np.float32), rng.standard_normal((64, 64)).astype(np.float32)
    nodes = [helper.make_node("Gather", ["table", "ids"], ["e"]), helper.make_node("MatMul", ["e", "w"], ["h"], name="inner"),
             helper.make_node("Transpose", ["table"], ["t"], perm=[1, 0]), helper.make_node("MatMul", ["h", "t"], ["y"], name="head")]
    model = save(tmp_path, nodes, [("ids", TensorProto.INT64, ["n"])], [("y", TensorProto.FLOAT)],
                 [numpy_helper.from_array(table, "table"), numpy_helper.from_array(w, "w")])
    ids = rng.integers(0, 70, 9)
    exact = table[ids] @ w @ table.T
    errors, sizes = [], []
    for options in ([], ["--quantize-head"]):
        result = tenon("compile", model, "-o", tmp_path / "model.so", "--weights", "int8", "--group", "32", *options)
        assert result.returncode == 0 and result.stderr.count("weights in int8") == 1 + len(options), result.stderr
        found, = package.Session(tmp_path / "model.so").run({"ids": ids})
        errors.append(relative_error(found, exact))
        sizes.append(artifact_weights(tmp_path / "model.so"))
    assert 1e-4 < errors[0] < errors[1] < 3e-2 and sizes[1] < 0.6 * sizes[0]


@pytest.mark.parametrize("options, message", [
    (["--weights", "int3"], "--weights int3: expected int4 or int8"),
    (["--group", "32"], "--group: needs --weights int4 or int8"),
    (["--quantize-head"], "--quantize-head: needs --weights int4 or int8"),
    (["--weights", "int4", "--group", "24"], "--group 24: expected a power of two from 16 to 256"),
    (["--activations", "int4"], "--activations int4: expected int8 or f32"),
], ids=lambda x: x[0] if isinstance(x, list) else "")
def test_options_that_are_wrong(tmp_path, options, message):
    result = tenon("compile", "model.onnx", "-o", tmp_path / "model.so", *options)
    assert result.returncode == 1 and message in result.stderr
