"""Two dynamic sizes that broadcast: see docs/decisions/0008."""
import numpy as np
import onnx
import pytest
from conftest import compile_model
from onnx import TensorProto, helper

import tenon


@pytest.fixture
def model(tmp_path):
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "y"], ["z"], name="layer/sum")], "g",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", size]) for name, size in (("x", "a"), ("y", "b"))],
        [helper.make_empty_tensor_value_info("z")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9),
              tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


def feed(a, b):
    return {"x": np.ones((2, a), np.float32), "y": np.full((2, b), 2, np.float32)}


def test_equal_sizes_run_and_others_are_refused(model, tmp_path):
    session = tenon.Session(compile_model(model, tmp_path / "model.so"), threads=1)
    np.testing.assert_array_equal(session.run(feed(3, 3))[0], np.full((2, 3), 3))
    for a, b in ((3, 1), (1, 3), (3, 2)):
        with pytest.raises(tenon.Error, match=r"the model assumes a == b \(node 'layer/sum'\), which is false for "
                                              f"n = 2, a = {a}, b = {b}"):
            session.run(feed(a, b))


def test_a_size_that_is_compiled_as_1_broadcasts(model, tmp_path):
    session = tenon.Session(compile_model(model, tmp_path / "model.so", "--dim", "b=1"), threads=1)
    for a in (0, 1, 3):
        np.testing.assert_array_equal(session.run(feed(a, 1))[0], np.full((2, a), 3))
