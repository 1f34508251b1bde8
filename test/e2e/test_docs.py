"""The examples of docs/python.md, in order, as one program."""
import re

import numpy as np
import onnx
from conftest import ROOT

BLOCKS = re.findall(r"^```python ?(\w*)\n(.*?)^```$", (ROOT / "docs/python.md").read_text(), re.M | re.S)


def test_examples_run(tmp_path, monkeypatch, capsys):
    info, types = onnx.helper.make_tensor_value_info, onnx.TensorProto
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMul", ["x", "w"], ["y"])], "g", [info("x", types.FLOAT, ["batch", 4])],
        [info("y", types.FLOAT, ["batch", 3])], [onnx.numpy_helper.from_array(np.ones((4, 3), np.float32), "w")])
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)]), tmp_path / "model.onnx")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TENON_CACHE", str(tmp_path / "cache"))
    scope = {}
    assert len(BLOCKS) >= 7
    for needs, code in BLOCKS:
        try:
            __import__(needs or "numpy")
        except ImportError:
            continue
        exec(compile(code, f"docs/python.md: {code[:40]}", "exec"), scope)
        # A line that prints says behind it what.
        printed = capsys.readouterr().out.split("\n")[:-1]
        assert printed == re.findall(r"^ *print\(.*\)\s+# (.*)$", code, re.M)
