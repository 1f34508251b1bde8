"""Compiling again finds the kernels of earlier compilations."""
import json

import numpy as np
import onnx
from conftest import compile_model


def report(model, artifact, cache, *options):
    file = artifact.with_suffix(".json")
    compile_model(model, artifact, f"--kernel-cache={cache}", f"--report={file}", *options)
    made = json.loads(file.read_text())
    return made["kernels"], made["cached_kernels"]


def model(folder, product="product"):
    """A product and a softmax, the one called `product`."""
    weight = onnx.numpy_helper.from_array(np.ones((24, 40), "f4"), "weight")
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMul", ["x", "weight"], ["y"], name=product),
         onnx.helper.make_node("Softmax", ["y"], ["z"], name="softmax")], "g",
        [value("x", onnx.TensorProto.FLOAT, ["rows", 24])], [value("z", onnx.TensorProto.FLOAT, ["rows", 40])], [weight])
    path = folder / f"{product}.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_a_second_compilation_makes_no_kernel(tmp_path):
    cache = tmp_path / "cache"
    net = model(tmp_path)
    kernels, cached = report(net, tmp_path / "first.so", cache)
    assert kernels > 0 and cached == 0
    assert report(net, tmp_path / "second.so", cache) == (kernels, kernels)
    assert report(net, tmp_path / "without.so", "") == (kernels, 0)
    artifacts = [(tmp_path / f"{name}.so").read_bytes() for name in ("first", "second", "without")]
    assert artifacts[0] == artifacts[1] == artifacts[2]


def test_kernels_of_other_models_are_found_and_those_of_other_processors_not(tmp_path):
    cache = tmp_path / "cache"
    kernels, _ = report(model(tmp_path), tmp_path / "a.so", cache, "--cpu=x86-64-v3")
    assert report(model(tmp_path, "other"), tmp_path / "b.so", cache, "--cpu=x86-64-v3") == (kernels, kernels)
    assert report(model(tmp_path), tmp_path / "c.so", cache, "--cpu=x86-64-v4")[1] == 0
