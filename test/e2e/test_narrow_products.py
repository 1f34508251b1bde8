"""Products that the machine computes narrow: bytes into i32, exactly, and bf16 into f32."""
import ml_dtypes
import numpy as np
import pytest
import tenon as package
from conftest import compile_model, skip_unless_runs, tenon
from tenon._interpreter import Interpreter

BF16 = np.dtype(ml_dtypes.bfloat16)
TYPES = {np.dtype(np.uint8): "ui8", np.dtype(np.int8): "i8", np.dtype(np.int32): "i32", np.dtype(np.float32): "f32",
         np.dtype(np.float16): "f16", BF16: "bf16"}
# One with dots, as far as this machine has them, one of 64 bytes without, and one of 32.
CPUS = pytest.mark.parametrize("cpu", ["native", "x86-64-v4", "x86-64-v3"])
# M is read when it runs. K of no, of some and of whole groups, and more than a block of them.
SHAPES = [(1, 1), (2, 33), (5, 31), (8, 64), (67, 100), (300, 32), (1030, 40)]
ROWS = [1, 7, 8, 65, 130]


def text(shape, dtype):
    return "tensor<" + "".join(f"{'?' if size == 'm' else size}x" for size in shape) + TYPES[np.dtype(dtype)] + ">"


class Graph:
    """A module that simplify might have written, of inputs whose dimension "m" is open."""

    def __init__(self, folder):
        self.folder, self.lines, self.arguments, self.results, self.values = folder, [], [], [], []
        self.data = b""

    def input(self, name, shape, dtype):
        dims = ", ".join(f'"{size}"' if size == "m" else str(size) for size in shape)
        self.arguments.append(f'%{name}: {text(shape, dtype)} {{tenon.name = "{name}", tenon.dims = [{dims}]}}')
        return f"%{name}", text(shape, dtype)

    def weight(self, array):
        name, kind = f"%w{len(self.data)}", text(array.shape, array.dtype)
        self.lines.append(f'{name} = graph.weight "{name[1:]}" from "{self.folder}/weights.bin" at {len(self.data)} : {kind}')
        self.data += array.tobytes() + bytes(-array.nbytes % 64)
        return name, kind

    def op(self, line, shape, dtype):
        name = f"%v{len(self.lines)}"
        self.lines.append(f'{name} = {line} -> {text(shape, dtype)}')
        return name, text(shape, dtype)

    def matmul(self, lhs, rhs, shape, dtype, flags=""):
        return self.op(f'graph.matmul {flags} {lhs[0]}, {rhs[0]} {{tenon.id = "n{len(self.lines)}"}} : {lhs[1]}, {rhs[1]}',
                       shape, dtype)

    def output(self, value):
        self.values.append(value)

    def write(self):
        (self.folder / "weights.bin").write_bytes(self.data)
        results = ", ".join(f'{kind} {{tenon.name = "y{i}"}}' for i, (_, kind) in enumerate(self.values))
        lines = "\n    ".join(['%m = graph.symbol "m" range 0 to 512', *self.lines])
        names, kinds = (", ".join(part) for part in zip(*self.values))
        (self.folder / "model.mlir").write_text(f"""module attributes {{tenon.phase = "compress"}} {{
  func.func @main({", ".join(self.arguments)}) -> ({results}) {{
    {lines}
    return {names} : {kinds}
  }}
}}
""")
        return self.folder / "model.mlir"

    def run(self, cpu, feeds):
        skip_unless_runs(cpu)
        artifact = compile_model(self.write(), self.folder / "model.so", "--cpu", cpu)
        session = package.Session(artifact, threads=2)
        return [session.run(feed) for feed in feeds]


def integers(rng, shape, dtype):
    """The extremes among them, so that sums of 16 bits would overflow."""
    limits = np.iinfo(dtype)
    values = rng.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    return np.where(rng.random(shape) < 0.3, rng.choice([limits.min, limits.max], shape), values).astype(dtype)


def exact(lhs, rhs):
    return np.matmul(lhs.astype(np.int64), rhs.astype(np.int64)).astype(np.int32)


@CPUS
def test_bytes_by_weights(tmp_path, cpu):
    rng, graph, weights, feeds = np.random.default_rng(0), Graph(tmp_path), [], []
    for i, (k, n) in enumerate(SHAPES):
        transposed = i % 2 == 1
        w = integers(rng, (n, k) if transposed else (k, n), np.int8)
        weights.append(w.T if transposed else w)
        a = graph.input(f"a{i}", (2, "m", k), np.uint8)
        graph.output(graph.matmul(a, graph.weight(w), (2, "m", n), np.int32, "transpose_rhs" if transposed else ""))
    for m in ROWS:
        feeds.append({f"a{i}": integers(rng, (2, m, k), np.uint8) for i, (k, _) in enumerate(SHAPES)})
    for feed, found in zip(feeds, graph.run(cpu, feeds)):
        for i, w in enumerate(weights):
            np.testing.assert_array_equal(found[i], exact(feed[f"a{i}"], w))


@CPUS
def test_bytes_by_bytes(tmp_path, cpu):
    """No weights: every transposition, and leading sizes that broadcast."""
    rng, graph, wanted, feeds = np.random.default_rng(1), Graph(tmp_path), [], []
    cases = [(i, k, n, left, right) for i, (k, n) in enumerate(SHAPES) for left in (0, 1) for right in (0, 1)]
    for i, k, n, left, right in cases:
        lead = ((2, 3), (2, 1), ()) if i % 2 else ((3,), (), (1,))
        name = f"{i}{left}{right}"
        a = graph.input("a" + name, (*lead[0], k, "m") if left else (*lead[0], "m", k), np.uint8)
        b = graph.input("b" + name, (*lead[1], n, k) if right else (*lead[1], k, n), np.int8)
        flags = " ".join(["transpose_lhs"] * left + ["transpose_rhs"] * right)
        graph.output(graph.matmul(a, b, (*lead[0], "m", n), np.int32, flags))
    for m in ROWS:
        feed, want = {}, []
        for i, k, n, left, right in cases:
            lead = ((2, 3), (2, 1)) if i % 2 else ((3,), ())
            a, b = integers(rng, (*lead[0], m, k), np.uint8), integers(rng, (*lead[1], k, n), np.int8)
            want.append(exact(a, b))
            feed[f"a{i}{left}{right}"] = np.ascontiguousarray(a.swapaxes(-1, -2)) if left else a
            feed[f"b{i}{left}{right}"] = np.ascontiguousarray(b.swapaxes(-1, -2)) if right else b
        feeds.append(feed)
        wanted.append(want)
    for want, found in zip(wanted, graph.run(cpu, feeds)):
        for one, other in zip(want, found):
            np.testing.assert_array_equal(other, one)


@CPUS
def test_bytes_of_open_depth(tmp_path, cpu):
    """K is known only when it runs."""
    rng, graph = np.random.default_rng(2), Graph(tmp_path)
    a, b = graph.input("a", (5, "m"), np.uint8), graph.input("b", (37, "m"), np.int8)
    graph.output(graph.matmul(a, b, (5, 37), np.int32, "transpose_rhs"))
    feeds = [{"a": integers(rng, (5, k), np.uint8), "b": integers(rng, (37, k), np.int8)} for k in (0, 1, 4, 63, 510)]
    for feed, (found,) in zip(feeds, graph.run(cpu, feeds)):
        np.testing.assert_array_equal(found, exact(feed["a"], feed["b"].T))


@CPUS
@pytest.mark.parametrize("n", [64, 45])
def test_epilogues_of_bytes(tmp_path, cpu, n):
    """Scales of columns, correction of rows and columns, and results of every width."""
    rng, graph, k = np.random.default_rng(3), Graph(tmp_path), 70
    w, scale = integers(rng, (k, n), np.int8), rng.random(n, np.float32)
    column = rng.integers(-999, 999, n, np.int32)
    a, rows = graph.input("a", ("m", k), np.uint8), graph.input("rows", ("m", 1), np.int32)
    weight = graph.weight(w)
    product = graph.matmul(a, weight, ("m", n), np.int32)
    shape = ("m", n)
    sub = graph.op(f"graph.sub {product[0]}, {rows[0]} : {product[1]}, {rows[1]}", shape, np.int32)
    c = graph.weight(column)
    total = graph.op(f"graph.add {sub[0]}, {c[0]} : {sub[1]}, {c[1]}", shape, np.int32)
    single = graph.op(f"graph.cast {total[0]} : {total[1]}", shape, np.float32)
    s = graph.weight(scale)
    scaled = graph.op(f"graph.mul {single[0]}, {s[0]} : {single[1]}, {s[1]}", shape, np.float32)
    graph.output(scaled)
    for dtype in (np.int8, np.uint8, BF16):
        again = graph.matmul(graph.input(f"a{TYPES[np.dtype(dtype)]}", ("m", k), np.uint8), weight, shape, np.int32)
        single = graph.op(f"graph.cast {again[0]} : {again[1]}", shape, np.float32)
        small = graph.op(f"graph.mul {single[0]}, {s[0]} : {single[1]}, {s[1]}", shape, np.float32)
        if dtype is not BF16:
            low, high = (f"%{x}{TYPES[np.dtype(dtype)]}" for x in ("low", "high"))
            limits = np.iinfo(dtype)
            for name, value in ((low, limits.min), (high, limits.max)):
                graph.lines.append(f"{name} = graph.constant dense<{float(value)}> : tensor<f32>")
            small = graph.op(f"graph.max {small[0]}, {low} : {small[1]}, tensor<f32>", shape, np.float32)
            small = graph.op(f"graph.min {small[0]}, {high} : {small[1]}, tensor<f32>", shape, np.float32)
        graph.output(graph.op(f"graph.cast {small[0]} : {small[1]}", shape, dtype))
    names = ["a", "ai8", "aui8", "abf16"]
    feeds = [{"rows": rng.integers(-999, 999, (m, 1), np.int32), **{x: integers(rng, (m, k), np.uint8) for x in names}}
             for m in ROWS]
    for feed, found in zip(feeds, graph.run(cpu, feeds)):
        sums = [exact(feed[x], w) for x in names]
        np.testing.assert_array_equal(found[0], (sums[0] - feed["rows"] + column).astype(np.float32) * scale)
        for dtype, total, got in zip((np.int8, np.uint8), sums[1:], found[1:]):
            limits = np.iinfo(dtype)
            want = np.clip(total.astype(np.float32) * scale, limits.min, limits.max).astype(dtype)
            np.testing.assert_array_equal(got, want)
        np.testing.assert_array_equal(found[3], (sums[3].astype(np.float32) * scale).astype(BF16))


def close(found, lhs, rhs, rounding=0.0):
    """Within what sums in f32 may be off, and one rounding of the result."""
    lhs, rhs = lhs.astype(np.float64), rhs.astype(np.float64)
    wanted, size = np.matmul(lhs, rhs), np.matmul(np.abs(lhs), np.abs(rhs))
    assert found.shape == wanted.shape
    assert (np.abs(found.astype(np.float64) - wanted) <= size * 2.0 ** -18 + np.abs(wanted) * rounding).all()


def normal(rng, shape, dtype=BF16):
    return rng.standard_normal(shape, np.float32).astype(dtype)


@CPUS
def test_bf16_by_weights(tmp_path, cpu):
    """Those of the model, and those of f32 and f16 that a cast rounds."""
    rng, graph, weights = np.random.default_rng(4), Graph(tmp_path), []
    for i, (k, n) in enumerate(SHAPES):
        transposed = i % 2 == 1
        w = normal(rng, (n, k) if transposed else (k, n), (BF16, np.float32, np.float16)[i % 3])
        value = graph.weight(w)
        if w.dtype != BF16:
            value = graph.op(f"graph.cast {value[0]} : {value[1]}", w.shape, BF16)
            w = w.astype(BF16)
        weights.append(w.T if transposed else w)
        a = graph.input(f"a{i}", (2, "m", k), BF16)
        for dtype in (np.float32, BF16):
            graph.output(graph.matmul(a, value, (2, "m", n), dtype, "transpose_rhs" if transposed else ""))
    feeds = [{f"a{i}": normal(rng, (2, m, k)) for i, (k, _) in enumerate(SHAPES)} for m in ROWS]
    for feed, found in zip(feeds, graph.run(cpu, feeds)):
        for i, w in enumerate(weights):
            close(found[2 * i], feed[f"a{i}"], w)
            close(found[2 * i + 1], feed[f"a{i}"], w, 2.0 ** -8)


@CPUS
def test_bf16_by_bf16(tmp_path, cpu):
    rng, graph, operands, feeds = np.random.default_rng(5), Graph(tmp_path), [], []
    cases = [(k, n, left, right) for k, n in SHAPES for left in (0, 1) for right in (0, 1)]
    for i, (k, n, left, right) in enumerate(cases):
        a = graph.input(f"a{i}", (3, k, "m") if left else (3, "m", k), BF16)
        b = graph.input(f"b{i}", (n, k) if right else (k, n), BF16)
        flags = " ".join(["transpose_lhs"] * left + ["transpose_rhs"] * right)
        graph.output(graph.matmul(a, b, (3, "m", n), np.float32, flags))
    for m in ROWS:
        feed, pairs = {}, []
        for i, (k, n, left, right) in enumerate(cases):
            a, b = normal(rng, (3, m, k)), normal(rng, (k, n))
            pairs.append((a, b))
            feed[f"a{i}"] = np.ascontiguousarray(a.swapaxes(-1, -2)) if left else a
            feed[f"b{i}"] = np.ascontiguousarray(b.T) if right else b
        feeds.append(feed)
        operands.append(pairs)
    for pairs, found in zip(operands, graph.run(cpu, feeds)):
        for (a, b), product in zip(pairs, found):
            close(product, a, b)


def test_bf16_of_weights_and_others_of_one_model(tmp_path):
    """A weight of bf16 that products of bf16 and of f32 read lies in rows."""
    rng, graph, w = np.random.default_rng(6), Graph(tmp_path), normal(np.random.default_rng(6), (37, 41))
    value = graph.weight(w)
    graph.output(graph.matmul(graph.input("a", ("m", 37), BF16), value, ("m", 41), np.float32))
    graph.output(graph.matmul(graph.input("b", ("m", 37), np.float32), value, ("m", 41), np.float32))
    feed = {"a": normal(rng, (9, 37)), "b": normal(rng, (9, 37), np.float32)}
    (one, other), = graph.run("native", [feed])
    close(one, feed["a"], w)
    close(other, feed["b"], w)


@pytest.mark.parametrize("cpu", ["znver5", "x86-64-v3"])
def test_every_phase_computes_the_same(tmp_path, cpu):
    """The interpreter shares nothing with the compiler but the text."""
    rng, graph = np.random.default_rng(7), Graph(tmp_path)
    w, v = integers(rng, (11, 35), np.int8), normal(rng, (35, 11), np.float32)
    graph.output(graph.matmul(graph.input("a", ("m", 11), np.uint8), graph.weight(w), ("m", 35), np.int32))
    graph.output(graph.matmul(graph.input("b", ("m", 11), np.uint8), graph.input("c", (33, 11), np.int8),
                              ("m", 33), np.int32, "transpose_rhs"))
    weight = graph.weight(v)
    rounded = graph.op(f"graph.cast {weight[0]} : {weight[1]}", v.shape, BF16)
    graph.output(graph.matmul(graph.input("x", ("m", 11), BF16), rounded, ("m", 35), np.float32, "transpose_rhs"))
    graph.output(graph.matmul(graph.input("y", ("m", 11), BF16), graph.input("z", (11, 33), BF16), ("m", 33), np.float32))
    feed = {"a": integers(rng, (9, 11), np.uint8), "b": integers(rng, (9, 11), np.uint8),
            "c": integers(rng, (33, 11), np.int8), "x": normal(rng, (9, 11)), "y": normal(rng, (9, 11)),
            "z": normal(rng, (11, 33))}
    result = tenon("compile", graph.write(), "-o", tmp_path / "plan.mlir", "--stop-after", "plan", "--dump-phases",
                   tmp_path, "--quiet", "--cpu", cpu)
    assert result.returncode == 0, result.stderr
    texts = {phase: (tmp_path / f"{phase}.mlir").read_text() for phase in ("4-fuse", "5-schedule", "6-plan")}
    assert "kernel.dot u8s8" in texts["6-plan"] and ("kernel.dot bf16" in texts["6-plan"]) == (cpu == "znver5")
    for phase in texts:
        found = Interpreter(tmp_path / f"{phase}.mlir").run(feed)
        np.testing.assert_array_equal(found["y0"], exact(feed["a"], w), phase)
        np.testing.assert_array_equal(found["y1"], exact(feed["b"], feed["c"].T), phase)
        close(found["y2"], feed["x"], v.astype(BF16).T)
        close(found["y3"], feed["y"], feed["z"])


def test_what_is_refused(tmp_path):
    for kinds in ((np.int8, np.int8), (np.uint8, np.uint8), (np.int8, np.uint8)):
        graph = Graph(tmp_path)
        a, b = graph.input("a", ("m", 4), kinds[0]), graph.input("b", (4, 4), kinds[1])
        graph.output(graph.matmul(a, b, ("m", 4), np.int32))
        result = tenon("compile", graph.write(), "-o", tmp_path / "x.so")
        assert result.returncode == 1
        assert "into i32, which only ui8 by i8 become" in result.stderr


@CPUS
@pytest.mark.parametrize("head, transposed, chosen", [(64, False, False), (64, True, False), (34, False, False),
                                                      (33, True, False), (64, True, True), (34, True, True)])
def test_attention_of_bf16(tmp_path, cpu, head, transposed, chosen):
    """Scores by pairs along the head; heads in front of the sequence, or behind it as models have them.

    Weights are rounded where that was chosen, and add up to one as they are rounded."""
    rng, graph, keys = np.random.default_rng(8), Graph(tmp_path), 77
    order = (0, 2, 1, 3) if transposed else (0, 1, 2, 3)
    parts = []
    for name, size in (("q", "m"), ("k", keys), ("v", keys)):
        shape = (2, 4 if name == "q" else 2, size, head)
        value = graph.input(name, [shape[i] for i in order], BF16)
        if transposed:
            value = graph.op(f"graph.transpose {value[0]} [0, 2, 1, 3] : {value[1]}", shape, BF16)
        parts.append(value)
    kinds = ", ".join(kind for _, kind in parts)
    names = ", ".join(name for name, _ in parts)
    rounded = "round_weights " if chosen else ""
    graph.output(graph.op(f'graph.attention {rounded}{names} scale 1.250000e-01 {{tenon.id = "n"}} : ({kinds})',
                          (2, 4, "m", head), BF16))
    feeds = [{"q": normal(rng, (2, 4, m, head)), "k": normal(rng, (2, 2, keys, head)), "v": normal(rng, (2, 2, keys, head))}
             for m in (1, 3, 7, 65)]
    stored = [{name: np.ascontiguousarray(x.transpose(order)) for name, x in feed.items()} for feed in feeds]
    for feed, (found,) in zip(feeds, graph.run(cpu, stored)):
        q, k, v = (feed[name].astype(np.float64).repeat(4 // feed[name].shape[1], 1) for name in "qkv")
        power = np.exp(q @ k.swapaxes(2, 3) / 8)
        share = power / power.sum(-1, keepdims=True)
        wanted = share @ v
        rounding = 2.0 ** -8 * (share @ np.abs(v)) if chosen else 0
        assert (np.abs(found.astype(np.float64) - wanted)
                <= np.abs(wanted) * (2.0 ** -8 + 5e-6) + 5e-6 + rounding).all()
