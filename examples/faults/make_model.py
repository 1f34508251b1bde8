"""make_model.py FOLDER: writes a small model and a data set for it, to plant faults in.

A block of x - tanh(x·W), a layer norm, and a feed-forward layer; ONNX opset 17.
"""
import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

folder = pathlib.Path(sys.argv[1])
(folder / "test_data_set_0").mkdir(parents=True, exist_ok=True)
random = np.random.default_rng(0)
nodes, weights = [], []


def weight(name, *shape):
    values = random.standard_normal(shape) / np.sqrt(shape[0])
    weights.append(numpy_helper.from_array(values.astype(np.float32), name))
    return name


def node(kind, inputs, name, **attributes):
    nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
    return name


x = "x"
for block in ("first",):
    mixed = node("Tanh", [node("MatMul", [x, weight(f"{block}.w", 16, 16)], f"{block}/mix")],
                 f"{block}/tanh")
    rest = node("Sub", [x, mixed], f"{block}/rest")
    scale, bias = weight(f"{block}.scale", 16), weight(f"{block}.bias", 16)
    normal = node("LayerNormalization", [rest, scale, bias], f"{block}/norm", axis=-1)
    wide = node("Relu", [node("MatMul", [normal, weight(f"{block}.up", 16, 32)], f"{block}/up")],
                f"{block}/relu")
    x = node("Add", [rest, node("MatMul", [wide, weight(f"{block}.down", 32, 16)],
                                f"{block}/down")], f"{block}/sum")
node("Softmax", [x], "y", axis=-1)

graph = helper.make_graph(
    nodes, "blocks", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", 16])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", 16])], weights)
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
          folder / "model.onnx")
given = numpy_helper.from_array(random.standard_normal((5, 16)).astype(np.float32), "x")
(folder / "test_data_set_0/input_0.pb").write_bytes(given.SerializeToString())
