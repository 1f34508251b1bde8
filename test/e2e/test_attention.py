"""Attention over heads that the fused kernels take, and over others."""
import numpy as np
import onnx
import pytest
from conftest import compile_model, reference, tenon
from onnx import TensorProto, helper

import tenon as package


def save(path, nodes, inputs, initializers=(), opset=23):
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info(name, TensorProto.FLOAT, sizes)
                                           for name, sizes in inputs],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
                              [onnx.numpy_helper.from_array(np.asarray(v), k) for k, v in dict(initializers).items()])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10), path)
    return path


def made_of(form):
    """Nodes and constants for scores of 0.1 times the products."""
    if form == "node":
        return [helper.make_node("Attention", ["q", "k", "v"], ["y"], name="node", scale=0.1)], {}
    return [helper.make_node("Transpose", ["k"], ["t"], perm=[0, 1, 3, 2]),
            helper.make_node("MatMul", ["q", "t"], ["products"]),
            helper.make_node("Mul", ["products", "scale"], ["scores"]),
            helper.make_node("Softmax", ["scores"], ["shares"], axis=-1),
            helper.make_node("MatMul", ["shares", "v"], ["y"], name="node")], {"scale": np.float32(0.1)}


@pytest.mark.parametrize("size, declared, is_fused", [(512, 512, True), (513, 513, False), (40, "head", False)])
@pytest.mark.parametrize("form", ["node", "written out"])
def test_heads_of_any_size(tmp_path, size, declared, is_fused, form):
    """Where no kernel takes the heads, the products and the softmax run by themselves."""
    random = np.random.default_rng(0)
    feed = {name: random.standard_normal((2, 3, rows, size), np.float32)
            for name, rows in (("q", 7), ("k", 5), ("v", 5))}
    nodes, constants = made_of(form)
    model = save(tmp_path / "m.onnx", nodes,
                 [(name, ["batch", 3, rows, declared]) for name, rows in (("q", "rows"), ("k", "keys"), ("v", "keys"))],
                 constants)
    artifact = compile_model(model, tmp_path / "m.so")
    found, = package.Session(artifact, threads=2).run(feed)
    np.testing.assert_allclose(found, reference(model, feed)[0], rtol=0, atol=2e-5)
    assert ("  attention" in tenon("info", artifact).stdout) == is_fused


@pytest.mark.parametrize("name, shape", [("v", (5,)), ("v", (5, 8)), ("v", (1, 3, 5, 8)), ("q", (1, 3, 7, 8)),
                                         ("q", (7, 8))])
def test_what_is_repeated(tmp_path, name, shape):
    """For all heads, or for the whole batch: the products do it, attention does not."""
    random = np.random.default_rng(0)
    shapes = {"q": (2, 3, 7, 8), "k": (2, 3, 5, 8), "v": (2, 3, 5, 8)} | {name: shape}
    feed = {key: random.standard_normal(sizes, np.float32) for key, sizes in shapes.items()}
    nodes, constants = made_of("written out")
    declared = {key: ["batch", 3, f"rows of {key}", 8] for key in "qkv"} | {name: list(shape)}
    declared["v"][-2:] = ["rows of k", 8] if name != "v" else declared["v"][-2:]
    model = save(tmp_path / "m.onnx", nodes, list(declared.items()), constants)
    found, = package.Session(compile_model(model, tmp_path / "m.so"), threads=2).run(feed)
    np.testing.assert_allclose(found, reference(model, feed)[0], rtol=0, atol=2e-5)


@pytest.mark.parametrize("cpu", ["native", "x86-64-v3"])
@pytest.mark.parametrize("growth", [0.02, 0.5], ids=["slowly", "fast"])
@pytest.mark.parametrize("mask, scale", [(None, 0.25), (None, -0.25), ("left", 0.25), ("all", 0.25)])
def test_rows_whose_largest_score_grows(tmp_path, cpu, growth, mask, scale):
    """Sums keep an earlier block's base, or are rescaled; a row of which the lowest float hides all is a mean."""
    random, keys = np.random.default_rng(1), 300
    feed = {name: random.standard_normal((2, 2, rows, 32), np.float32)
            for name, rows in (("q", 70), ("k", keys), ("v", keys))}
    # Along the direction that all queries share.
    feed["q"] += np.sign(scale) * 2
    feed["k"] += np.float32(growth * 0.02) * np.arange(keys, dtype=np.float32)[:, None]
    bias = np.zeros((2, 1, 70, keys), np.float32)
    if mask == "left":
        bias[1, :, :, :130] = np.finfo(np.float32).min
    elif mask == "all":
        bias[1, :, 3] = np.finfo(np.float32).min
    inputs = [(name, [2, 2, "rows" if name == "q" else "keys", 32]) for name in "qkv"]
    if mask:
        feed["m"] = bias
        inputs.append(("m", [2, 1, "rows", "keys"]))
    model = save(tmp_path / "m.onnx", [helper.make_node("Attention", [name for name, _ in inputs], ["y"], name="node",
                                                      scale=scale)], inputs)
    found, = package.Session(compile_model(model, tmp_path / "m.so", "--cpu", cpu), threads=2).run(feed)
    q, k, v = (feed[name].astype(np.float64) for name in "qkv")
    scores = (q @ k.swapaxes(2, 3)).astype(np.float32).astype(np.float64) * np.float32(scale)
    scores = (scores.astype(np.float32) + bias).astype(np.float64)
    power = np.exp(scores - scores.max(-1, keepdims=True))
    np.testing.assert_allclose(found, power / power.sum(-1, keepdims=True) @ v, rtol=0, atol=2e-5)


def packed(form):
    """Nodes that take heads of 16 out of x, where queries, keys and values lie beside each other."""
    node = helper.make_node
    shape = {"by parts": [0, 0, 3, 4, 16], "by heads": [0, 0, 4, 48], "split": [0, 0, 4, 16]}[form]
    constants = {"shape": np.array(shape), "thirds": np.array([64] * 3)}
    if form == "by parts":  # as vision transformers do
        nodes = [node("Reshape", ["x", "shape"], ["five"]),
                 node("Transpose", ["five"], ["parts"], perm=[2, 0, 3, 1, 4])]
        for name, place in (("q", 0), ("k", 1), ("v", -1)):
            constants[f"i{name}"] = np.array(place)
            nodes.append(node("Gather", ["parts", f"i{name}"], [name], axis=0))
    elif form == "by heads":  # as GPT-NeoX does
        constants["thirds"] = np.array([16] * 3)
        nodes = [node("Reshape", ["x", "shape"], ["four"]), node("Transpose", ["four"], ["heads"], perm=[0, 2, 1, 3]),
                 node("Split", ["heads", "thirds"], ["q", "k", "v"], axis=-1)]
    else:  # as GPT-2 does
        nodes = [node("Split", ["x", "thirds"], ["sq", "sk", "sv"], axis=-1)]
        for name in "qkv":
            nodes += [node("Reshape", [f"s{name}", "shape"], [f"r{name}"]),
                      node("Transpose", [f"r{name}"], [name], perm=[0, 2, 1, 3])]
    return [*nodes, node("Attention", ["q", "k", "v"], ["y"], name="attention", is_causal=1)], constants


@pytest.mark.parametrize("sequence", [1, 70])
@pytest.mark.parametrize("form", ["by parts", "by heads", "split"])
def test_packed_operands_are_read_in_place(tmp_path, form, sequence):
    feed = {"x": np.random.default_rng(2).standard_normal((3, sequence, 192), np.float32)}
    nodes, constants = packed(form)
    model = save(tmp_path / "m.onnx", nodes, [("x", ["batch", "sequence", 192])], constants)
    artifact = compile_model(model, tmp_path / "m.so")
    found, = package.Session(artifact, threads=2).run(feed)
    np.testing.assert_allclose(found, reference(model, feed)[0], rtol=0, atol=2e-5)
    assert "launches: 1\n" in tenon("info", artifact).stdout
