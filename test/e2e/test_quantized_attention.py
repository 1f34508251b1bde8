"""Attention of bytes: products are exact, weights are rounded to 1/255 of the largest of their row."""
import numpy as np
import onnx
import pytest
from conftest import compile_model, reference, skip_unless_runs, tenon
from onnx import TensorProto, helper
from test_narrow_products import CPUS, Graph, integers

import tenon as package
from tenon._interpreter import Interpreter

LOWEST = np.finfo(np.float32).min
# Zero points of query, key and value; steps of scores and values; the scores' quantizer, by 6 / 413 of the step: no ties.
FEW = np.array([119, -3, 7, 0.02 * 0.03, 0.05], np.float32)
ALL = np.array([119, -3, 7, 0.02 * 0.03, 0.05, 0.0413, -140, 115], np.float32)


def attend(q, k, v, parameters, scale, mask=None, hidden=None):
    """The result, and the weights before they are rounded."""
    zq, zk, zv, step, value_step, *rounding = parameters.astype(np.float64)
    k, v = (x.repeat(q.shape[1] // x.shape[1], 1) for x in (k, v))
    scores = np.matmul(q.astype(np.int64) - int(zq), (k.astype(np.int64) - int(zk)).swapaxes(2, 3)) * step
    if rounding:
        scores = np.clip(np.rint(scores / rounding[0]), *rounding[1:]) * rounding[0]
    scores = scores * scale
    if mask is not None:
        scores = (scores + mask).astype(np.float32).astype(np.float64) if (mask <= LOWEST).any() else scores + mask
    if hidden is not None:
        scores = np.where(hidden, -np.inf, scores)
    with np.errstate(invalid="ignore"):
        power = np.nan_to_num(np.exp(scores - scores.max(-1, keepdims=True)))
        rounded = np.rint(255 * power)
        weights = np.nan_to_num(rounded / rounded.sum(-1, keepdims=True))
    return np.matmul(weights, v.astype(np.int64) - int(zv)) * value_step, power


def build(folder, parameters, heads, kv_heads, keys, head, size, scale, order=(0, 1, 2, 3), mask=None, flags=""):
    graph = Graph(folder)
    parts = []
    for name, rows, width, count, kind in (("q", "m", head, heads, np.uint8), ("k", keys, head, kv_heads, np.int8),
                                           ("v", keys, size, kv_heads, np.int8)):
        shape = (2, count, rows, width)
        value = graph.input(name, [shape[i] for i in order], kind)
        if order != (0, 1, 2, 3):
            value = graph.op(f"graph.transpose {value[0]} [{', '.join(str(i) for i in np.argsort(order))}] : {value[1]}",
                             shape, kind)
        parts.append(value)
    if mask is not None:
        parts.append(graph.input("mask", mask, np.float32))
    numbers = graph.input("p", parameters.shape, np.float32)
    names = ", ".join(name for name, _ in parts[:3]) + (f" mask {parts[3][0]}" if mask else "")
    kinds = ", ".join(kind for _, kind in [*parts, numbers])
    graph.output(graph.op(f'graph.attention {flags} {names} quantized {numbers[0]} scale {scale:e} '
                          f'{{tenon.id = "n"}} : ({kinds})', (2, heads, "m", size), np.float32))
    return graph


def check(found, wanted, power, v, parameters):
    """Where rounding is not close to a tie all is equal but for sums in f32; elsewhere a weight is off by one."""
    largest = np.abs(v.astype(np.int64) - int(parameters[2])).max() * parameters[4]
    ties = np.abs(255 * power % 1 - 0.5) < 1e-3
    off = (ties.sum(-1, keepdims=True) / (255 * power.sum(-1, keepdims=True).clip(1)) * 2 + 3e-6) * largest
    assert found.shape == wanted.shape
    assert (np.abs(found - wanted) <= off).all()


@CPUS
@pytest.mark.parametrize("head, size, parameters, order", [
    (32, 32, ALL, (0, 2, 1, 3)), (64, 64, ALL, (0, 2, 1, 3)), (64, 64, FEW, (0, 1, 2, 3)), (12, 33, ALL, (0, 1, 2, 3)),
    (80, 24, FEW, (0, 1, 3, 2)), (5, 40, ALL, (0, 3, 2, 1))])
def test_one_block(tmp_path, cpu, head, size, parameters, order):
    """Heads of any size, stored in any order, and rows and keys that fill no block."""
    rng = np.random.default_rng(0)
    for keys in (128, 53):
        graph = build(tmp_path, parameters, 4, 2, keys, head, size, 0.125, order)
        feeds = [{"q": integers(rng, (2, 4, m, head), np.uint8), "k": integers(rng, (2, 2, keys, head), np.int8),
                  "v": integers(rng, (2, 2, keys, size), np.int8)} for m in (1, 7, 16, 67)]
        stored = [{**{name: np.ascontiguousarray(x.transpose(order)) for name, x in feed.items()}, "p": parameters}
                  for feed in feeds]
        for feed, (found,) in zip(feeds, graph.run(cpu, stored)):
            check(found, *attend(**feed, parameters=parameters, scale=0.125), feed["v"], parameters)


@CPUS
def test_scores_are_exact(tmp_path, cpu):
    """A weight is half that of a score one larger, and values show weights: none is off by one."""
    rng, keys, head = np.random.default_rng(1), 32, 64
    parameters = np.array([131, 77, 0, 1, 1], np.float32)
    graph = build(tmp_path, parameters, 1, 1, keys, head, keys, np.log(2))
    feeds = []
    for m in (1, 40):
        q, k = np.full((2, 1, m, head), 255, np.uint8), np.full((2, 1, keys, head), -128, np.int8)
        q[..., :8] = rng.integers(0, 3, (2, 1, m, 8))
        k[..., :8] = rng.integers(-2, 2, (2, 1, keys, 8))
        feeds.append({"q": q, "k": k, "v": np.tile(np.eye(keys, dtype=np.int8), (2, 1, 1, 1)), "p": parameters})
    for feed, (found,) in zip(feeds, graph.run(cpu, feeds)):
        scores = np.matmul(feed["q"].astype(int) - 131, (feed["k"].astype(int) - 77).swapaxes(2, 3))
        rounded = np.rint(255 * 2.0 ** (scores - scores.max(-1, keepdims=True)))
        np.testing.assert_allclose(found, rounded / rounded.sum(-1, keepdims=True), rtol=1e-6)


@CPUS
@pytest.mark.parametrize("keys", [129, 300, 513])
def test_several_blocks(tmp_path, cpu, keys):
    """Weights are rounded to 1/255 of the largest so far, which grows."""
    rng = np.random.default_rng(2)
    graph = build(tmp_path, ALL, 2, 2, keys, 32, 32, 0.5)
    k = integers(rng, (2, 2, keys, 32), np.int8) // 4
    k[:, :, :, :6] += (np.arange(keys) * 60 // keys).astype(np.int8)[:, None]
    feed = {"q": integers(rng, (2, 2, 65, 32), np.uint8), "k": k, "v": integers(rng, (2, 2, keys, 32), np.int8), "p": ALL}
    (found,), = graph.run(cpu, [feed])
    wanted, power = attend(feed["q"], feed["k"], feed["v"], ALL, 0.5)
    largest = np.abs(feed["v"].astype(int) - 7).max() * ALL[4]
    error = np.abs(found - wanted)
    # Each weight is at most half a step off, and so is their sum.
    assert (error <= keys / 255 / power.sum(-1, keepdims=True) * largest + 1e-5).all()
    exact = np.matmul(power / power.sum(-1, keepdims=True), feed["v"].astype(int) - 7) * ALL[4]
    assert np.linalg.norm(found - exact) <= 1.1 * np.linalg.norm(wanted - exact) + 1e-3


@CPUS
@pytest.mark.parametrize("keys", [20, 200])
@pytest.mark.parametrize("flags", ["", "causal", "causal zero_if_masked"])
def test_masks(tmp_path, cpu, keys, flags):
    """Padding, all of a row by the lowest float, which is a mean, and by -inf; keys in front of all queries."""
    rng, rows = np.random.default_rng(3), 30
    graph = build(tmp_path, ALL, 2, 2, keys, 32, 32, 0.5, mask=(2, 1, "m", keys), flags=flags)
    mask = np.where(rng.random((2, 1, rows, keys)) < 0.3, LOWEST, 0).astype(np.float32)
    mask[0, 0, 3], mask[0, 0, 4], mask[1, :, :, 13:] = LOWEST, -np.inf, -np.inf
    feed = {"q": integers(rng, (2, 2, rows, 32), np.uint8), "k": integers(rng, (2, 2, keys, 32), np.int8),
            "v": integers(rng, (2, 2, keys, 32), np.int8), "mask": mask, "p": ALL}
    (found,), = graph.run(cpu, [feed])
    hidden = np.arange(keys) > np.arange(rows)[:, None] + keys - rows if "causal" in flags else None
    wanted, power = attend(feed["q"], feed["k"], feed["v"], ALL, 0.5, mask, hidden)
    empty = ~power.any(-1, keepdims=True)
    assert empty.any() and not empty.all()
    expected = 0 if "zero" in flags else np.nan
    np.testing.assert_array_equal(np.where(empty, found, expected), np.full(found.shape, expected))
    seen = np.where(empty, 0, found)
    if keys <= 128:
        check(seen, wanted, power, feed["v"], ALL)
    else:
        assert np.abs(seen - wanted).max() <= 0.02 * np.abs(wanted).max()


@pytest.mark.parametrize("cpu", ["znver4", "alderlake", "x86-64-v3", "sapphirerapids-amx"])
def test_every_phase_computes_the_same(tmp_path, cpu):
    rng = np.random.default_rng(4)
    graph = build(tmp_path, ALL, 2, 1, 9, 12, 8, 0.25, (0, 2, 1, 3))
    feed = {"q": integers(rng, (2, 3, 2, 12), np.uint8), "k": integers(rng, (2, 9, 1, 12), np.int8),
            "v": integers(rng, (2, 9, 1, 8), np.int8), "p": ALL}
    result = tenon("compile", graph.write(), "-o", tmp_path / "plan.mlir", "--stop-after", "plan", "--dump-phases",
                   tmp_path, "--quiet", "--cpu", cpu)
    assert result.returncode == 0, result.stderr
    wanted, power = attend(*(feed[name].transpose(0, 2, 1, 3) for name in "qkv"), ALL, 0.25)
    for phase in ("model", "4-fuse", "5-schedule", "6-plan"):
        found = Interpreter(tmp_path / f"{phase}.mlir").run(feed)["y0"]
        check(found, wanted, power, feed["v"], ALL)


# What quantizers a model has around its products, and whether attention is one of bytes then.
ALIKE = dict(kinds=(np.uint8, np.uint8, np.uint8), weights=np.uint8, scores=np.uint8, scale="scores", mask=None)


def write(path, keys, head, kinds, weights, scores, scale, mask):
    """Q and DQ around both products, as onnxruntime's static quantizer writes them."""
    nodes, constants = [], {}

    def add(kind, inputs, **attributes):
        name = f"v{len(nodes)}"
        nodes.append(helper.make_node(kind, inputs, [name], name=f"n{len(nodes)}", **attributes))
        return name

    def constant(value, dtype):
        name = f"c{len(constants)}"
        constants[name] = np.asarray(value, dtype)
        return name

    def rounded(value, step, zero, dtype):
        if dtype is None:
            return value
        parameters = [constant(step, np.float32), constant(zero, dtype)]
        return add("DequantizeLinear", [add("QuantizeLinear", [value, *parameters]), *parameters])

    sides = []
    for name, kind, zero in zip("qkv", kinds, (119, 125, 135)):
        heads = add("Transpose", [name], perm=[0, 2, 3, 1] if name == "k" else [0, 2, 1, 3])
        sides.append(rounded(heads, 0.02, zero - (128 if kind == np.int8 else 0), kind))
    factor = constant(0.3, np.float32)
    if scale == "query":
        sides[0] = add("Mul", [sides[0], factor])
    value = rounded(add("MatMul", sides[:2]), 0.0973, 7, scores)
    if scale == "scores":
        value = add("Mul", [value, factor])
    if mask:
        value = add("Add", [value, "mask"])
    value = add("Softmax", [value], axis=-1)
    largest = {np.uint8: 255, np.int8: 127, np.uint16: 65535, None: 1}[weights]
    value = rounded(value, 1 / largest, 0, weights)
    nodes.append(helper.make_node("MatMul", [value, sides[2]], ["y"], name="last"))
    inputs = [(name, ["batch", "rows" if name == "q" else keys, 2, head]) for name in "qkv"]
    if mask:
        inputs.append(("mask", ["batch", 1, 1, keys]))
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info(name, TensorProto.FLOAT, sizes) for name, sizes in inputs],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
                              [onnx.numpy_helper.from_array(x, name) for name, x in constants.items()])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), path)
    return path


@pytest.mark.parametrize("change, cpu, fires", [
    ({}, "znver4", True), ({"scores": None}, "znver4", True), ({"mask": True}, "znver4", True),
    ({"kinds": (np.int8,) * 3, "weights": np.int8, "scores": np.int8}, "znver4", True),
    ({"kinds": (np.int8, np.uint8, np.int8)}, "znver4", True), ({"scores": np.uint16}, "znver4", True),
    ({"weights": None}, "znver4", False), ({"weights": np.uint16}, "znver4", False),
    ({"kinds": (np.uint8, np.uint16, np.uint8)}, "znver4", False), ({"scale": "query"}, "znver4", False),
    # There bytes are no faster than floats.
    ({}, "x86-64-v4", False), ({}, "x86-64-v3", False)],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, dict) else str(value))
def test_models_between_quantizers(tmp_path, change, cpu, fires):
    """Within what two roundings of weights can differ of onnxruntime, and nearer to what weights of floats give."""
    keys, head = 45, 32
    forms = {**ALIKE, **change}
    model = write(tmp_path / "m.onnx", keys, head, **forms)
    module = tmp_path / "m.mlir"
    compile_model(model, module, "--stop-after", "simplify", "--cpu", cpu)
    assert ("graph.attention" in module.read_text() and "quantized" in module.read_text()) == fires
    skip_unless_runs(cpu)
    rng = np.random.default_rng(5)
    feed = {name: rng.standard_normal((2, 21 if name == "q" else keys, 2, head), np.float32) for name in "qkv"}
    if forms["mask"]:
        feed["mask"] = np.zeros((2, 1, 1, keys), np.float32)
        feed["mask"][1, ..., 30:] = -np.inf
    found, = package.Session(compile_model(model, tmp_path / "m.so", "--cpu", cpu)).run(feed)
    wanted, = reference(model, feed)
    floats, = reference(write(tmp_path / "f.onnx", keys, head, **{**forms, "weights": None}), feed)
    step = {np.uint8: 1 / 255, np.int8: 1 / 127}.get(forms["weights"], 0)
    sums = np.abs(feed["v"]).sum(1)[:, :, None].clip(None, 300)
    assert (np.abs(found - wanted) <= 1.2 * step * sums + 1e-4).all()
    if fires:
        assert np.linalg.norm(found - floats) < np.linalg.norm(wanted - floats)
