"""`tenon check`: all problems of a model at once."""
import json

import numpy as np
import onnx
from conftest import tenon


def save(folder, nodes, initializers=(), opset=17):
    graph = onnx.helper.make_graph(
        nodes, "g", [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 4])],
        [onnx.helper.make_empty_tensor_value_info("y")], list(initializers))
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)])
    onnx.save(model, folder / "model.onnx")
    return folder / "model.onnx"


def node(kind, inputs, outputs, name, **attributes):
    return onnx.helper.make_node(kind, inputs, outputs, name=name, **attributes)


def test_a_good_model_has_no_problems(tmp_path):
    model = save(tmp_path, [node("Relu", ["x"], ["y"], "r")])
    result = tenon("check", model)
    assert result.returncode == 0
    assert "everything is supported" in result.stdout


def test_lists_every_unsupported_node(tmp_path):
    model = save(tmp_path, [node("Det", ["x"], ["a"], "first"), node("Relu", ["a"], ["b"], "fine"),
                            node("Bernoulli", ["b"], ["y"], "second")])
    result = tenon("check", model, "--json")
    assert result.returncode == 3
    report = json.loads(result.stdout)
    assert report["status"] == "unsupported"
    messages = [problem["message"] for problem in report["problems"]]
    assert len(messages) == 2
    assert "'first' (Det, ai.onnx, opset 17)" in messages[0]
    assert "'second' (Bernoulli, ai.onnx, opset 17)" in messages[1]


def test_a_type_without_kernels_is_unsupported(tmp_path):
    model = save(tmp_path, [node("Cast", ["x"], ["a"], "widen", to=onnx.TensorProto.DOUBLE),
                            node("Tanh", ["a"], ["y"], "in64")])
    result = tenon("check", model)
    assert result.returncode == 3
    assert "node 'in64': computes 'graph.tanh' in f64, for which there is no kernel" in result.stdout


def test_a_contradiction_is_an_error_beside_what_is_unsupported(tmp_path):
    weight = onnx.numpy_helper.from_array(np.zeros((5, 3), np.float32), "w")
    model = save(tmp_path, [node("MatMul", ["x", "w"], ["a"], "product"), node("Det", ["x"], ["y"], "unknown")],
                 [weight])
    result = tenon("check", model)
    assert result.returncode == 1
    assert "product" in result.stdout and "unknown" in result.stdout
    assert "2 problems" in result.stdout


def test_missing_external_data_is_named(tmp_path):
    weight = onnx.numpy_helper.from_array(np.zeros((4, 300), np.float32), "w")
    model = save(tmp_path, [node("MatMul", ["x", "w"], ["y"], "product")], [weight])
    onnx.save(onnx.load(model), model, save_as_external_data=True, location="gone.data", size_threshold=0)
    (tmp_path / "gone.data").unlink()
    result = tenon("check", model)
    assert result.returncode == 1
    assert "'w'" in result.stdout and "gone.data" in result.stdout


def test_no_model_at_all(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"not a model")
    assert tenon("check", tmp_path / "model.onnx").returncode == 1
    assert "cannot read" in tenon("check", tmp_path / "none.onnx").stdout
