"""Sizes that break a rule of an op, in models that leave them to the run: refused
there with the node and the sizes, never read from beside a tensor."""
import numpy as np
import onnx
import pytest
from conftest import compile_model
from onnx import helper

import tenon


def f(*shape):
    return np.ones(shape, np.float32)


def i(*shape):
    return np.zeros(shape, np.int64)


MS = "com.microsoft"
# op, opset, operands of wrong sizes, of right ones, attributes
CASES = [
    ("MatMul", 13, [f(3, 4), f(5, 2)], [f(3, 4), f(4, 2)], {}),
    ("MatMul", 13, [f(2, 3, 4), f(3, 4, 2)], [f(2, 3, 4), f(2, 4, 2)], {}),
    ("Gemm", 13, [f(3, 4), f(4, 2), f(3, 3)], [f(3, 4), f(4, 2), f(3, 2)], {}),
    ("Gemm", 13, [f(3, 4), f(4, 2), f(5)], [f(3, 4), f(4, 2), f(2)], {}),
    ("Add", 14, [f(3, 4), f(3, 5)], [f(3, 4), f(3, 4)], {}),
    ("Where", 16, [f(3, 4) > 0, f(3, 4), f(2, 4)], [f(3, 4) > 0, f(3, 4), f(3, 4)], {}),
    ("Concat", 13, [f(3, 4), f(3, 5)], [f(3, 4), f(2, 4)], {"axis": 0}),
    ("GatherElements", 13, [f(3, 4), i(3, 5)], [f(3, 4), i(9, 2)], {"axis": 0}),
    ("ScatterElements", 18, [f(3, 4), i(2, 4), f(2, 3)], [f(3, 4), i(1, 4), f(1, 4)], {"axis": 0}),
    ("ScatterElements", 18, [f(3, 4), i(1, 5), f(1, 5)], [f(3, 4), i(1, 2), f(1, 2)], {"axis": 0}),
    ("LayerNormalization", 17, [f(3, 4), f(3)], [f(3, 4), f(4)], {}),
    ("LayerNormalization", 17, [f(3, 4), f(4), f(3)], [f(3, 4), f(4), f(4)], {}),
    ("RMSNormalization", 23, [f(3, 4), f(3)], [f(3, 4), f(4)], {}),
    ("BatchNormalization", 15, [f(3, 4, 5), f(3), f(4), f(4), f(4)], [f(3, 4, 5), f(4), f(4), f(4), f(4)], {}),
    ("PRelu", 16, [f(3, 4), f(5)], [f(3, 4), f(4)], {}),
    ("Einsum", 12, [f(3, 4), f(5, 6)], [f(3, 4), f(4, 6)], {"equation": "ij,jk->ik"}),
    ("Einsum", 12, [f(3, 4)], [f(3, 3)], {"equation": "ii->i"}),
    ("DepthToSpace", 13, [f(1, 6, 2, 2)], [f(1, 8, 2, 2)], {"blocksize": 2}),
    ("SpaceToDepth", 13, [f(1, 6, 3, 2)], [f(1, 6, 4, 2)], {"blocksize": 2}),
    ("Attention", 23, [f(1, 2, 3, 4), f(1, 2, 5, 4), f(1, 2, 6, 4)], [f(1, 2, 3, 4), f(1, 2, 5, 4), f(1, 2, 5, 4)],
     {"scale": 1.0}),
    ("Attention", 23, [f(1, 2, 3, 4), f(1, 2, 5, 4), f(1, 2, 5, 4), f(3, 6)],
     [f(1, 2, 3, 4), f(1, 2, 5, 4), f(1, 2, 5, 4), f(3, 5)], {"scale": 1.0}),
    ("RotaryEmbedding", 23, [f(1, 2, 3, 4), f(1, 3, 1), f(1, 3, 1)], [f(1, 2, 3, 4), f(1, 3, 2), f(1, 3, 2)], {}),
    ("RotaryEmbedding", 23, [f(1, 2, 3, 4), f(5, 2), f(5, 2), i(1, 2)], [f(1, 2, 3, 4), f(5, 2), f(5, 2), i(1, 3)], {}),
    ("LSTM", 14, [f(5, 2, 4), f(1, 12, 4), f(1, 11, 3)], [f(5, 2, 4), f(1, 12, 4), f(1, 12, 3)], {"hidden_size": 3}),
    ("LSTM", 14, [f(5, 2, 4), f(1, 12, 4), f(1, 12, 3), f(1, 20)], [f(5, 2, 4), f(1, 12, 4), f(1, 12, 3), f(1, 24)],
     {"hidden_size": 3}),
    ("GRU", 14, [f(5, 2, 4), f(1, 9, 4), f(1, 9, 2)], [f(5, 2, 4), f(1, 9, 4), f(1, 9, 3)], {"hidden_size": 3}),
    ("Split", 13, [f(5, 4)], [f(6, 4)], {"axis": 0}),
    ("Split", 13, [f(5, 4), np.array([3, 3])], [f(5, 4), np.array([3, 2])], {"axis": 0}),
    ("CumSum", 14, [f(3, 4), np.array(2)], [f(3, 4), np.array(-2)], {}),
    ("GridSample", 20, [f(1, 2, 3, 3), f(1, 4, 4, 3)], [f(1, 2, 3, 3), f(1, 4, 4, 2)], {}),
    ("DequantizeLinear", 13, [f(3, 4).astype(np.uint8), f(4), f(5).astype(np.uint8)],
     [f(3, 4).astype(np.uint8), f(4), f(4).astype(np.uint8)], {"axis": 1}),
    ("ReverseSequence", 10, [f(3, 4), i(5) + 1], [f(3, 4), i(4) + 1], {}),
    ("TensorScatter", 24, [f(1, 2, 5, 4), f(1, 2, 2, 3)], [f(1, 2, 5, 4), f(1, 2, 2, 4)], {}),
    ("SkipLayerNormalization", 1, [f(1, 3, 4), f(1, 3, 4), f(3)], [f(1, 3, 4), f(1, 3, 4), f(4)], {"domain": MS}),
    ("SkipLayerNormalization", 1, [f(1, 3, 4), f(1, 2, 4), f(4)], [f(1, 3, 4), f(1, 3, 4), f(4)], {"domain": MS}),
]


def dims(op, name, value):
    """Symbols, but for the length of a list of sizes and the size of a head."""
    symbols = [f"{name}_{dim}" for dim in range(value.ndim)]
    if op == "Split" and name == "x1":
        return value.shape
    return symbols[:3] + [4] if op == "Attention" and value.ndim == 4 else symbols


@pytest.mark.parametrize("op, opset, wrong, right, attributes", CASES,
                         ids=[f"{case[0]}-{n}" for n, case in enumerate(CASES)])
def test_sizes_that_break_a_rule_are_refused(tmp_path, op, opset, wrong, right, attributes):
    names = [f"x{k}" for k in range(len(wrong))]
    inputs = [helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), dims(op, name, value))
              for name, value in zip(names, wrong)]
    results = ["y", "z"][:2 if op == "Split" else 1]
    node = helper.make_node(op, names, results, name="node", **attributes)
    graph = helper.make_graph([node], "g", inputs,
                              [helper.make_tensor_value_info(result, onnx.TensorProto.FLOAT, None)
                               for result in results])
    domain = attributes.get("domain", "")
    opsets = [helper.make_opsetid("", 17 if domain else opset)] + [helper.make_opsetid(MS, 1)] * bool(domain)
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), tmp_path / "m.onnx")
    session = tenon.Session(compile_model(tmp_path / "m.onnx", tmp_path / "m.so"), threads=1, check_memory=True)
    with pytest.raises(tenon.Error, match=r"the model assumes .* \(node 'node'\), which is false for"):
        session.run(dict(zip(names, wrong)))
    session.run(dict(zip(names, right)))
