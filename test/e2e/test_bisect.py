"""`tenon check --bisect`: the node and the phase that make a number wrong."""
import math
import sys

import numpy as np
import onnx
import pytest
from conftest import BUILD, tenon
from onnx import TensorProto, helper, numpy_helper

PYTHON = ["--python", sys.executable]
PHASES = ["import", "simplify", "compress", "fuse", "schedule", "plan", "emit"]


def fault(phase, which="fault-swap-difference"):
    return ["--", f"--load-pass-plugin={BUILD / 'lib/tenon-faults.so'}", "--before", f"{phase}={which}"]


def save(folder, nodes, element=TensorProto.FLOAT, domain=""):
    """A model of these nodes, from x and w to y, and a data set of three rows."""
    random, dtype = np.random.default_rng(0), helper.tensor_dtype_to_np_dtype(element)
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", element, ["rows", 4])],
        [helper.make_empty_tensor_value_info("y")],
        [numpy_helper.from_array(random.standard_normal((4, 4)).astype(dtype), "w")])
    opsets = [helper.make_opsetid("", 17)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), folder / "model.onnx")
    (folder / "data").mkdir()
    put(folder / "data/input_0.pb", random.standard_normal((3, 4)).astype(dtype))
    return folder / "model.onnx"


def put(path, array):
    path.write_bytes(numpy_helper.from_array(array).SerializeToString())


def node(kind, inputs, output, name, **attributes):
    return helper.make_node(kind, inputs, [output], name=name, **attributes)


NODES = [node("MatMul", ["x", "w"], "p", "product"), node("Tanh", ["p"], "t", "tanh"),
         node("Sub", ["x", "t"], "d", "difference"), node("Exp", ["d"], "e", "power"),
         node("Softmax", ["e"], "y", "probabilities", axis=-1)]


@pytest.fixture
def model(tmp_path):
    return save(tmp_path, NODES)


def bisect(model, *options):
    return tenon("check", "--bisect", model, *PYTHON, "--data-set", model.parent / "data", *options)


def test_a_right_model_agrees(model):
    result = bisect(model)
    assert result.returncode == 0, result.stderr
    assert "all 1 outputs agree with the reference within 0.0001 + 0.0001 * |reference|" in result.stdout


@pytest.mark.parametrize("phase", PHASES[1:])
def test_names_the_node_and_the_phase(model, phase):
    result = bisect(model, *fault(phase))
    assert result.returncode == 1, result.stderr
    assert "first node whose value differs: 'difference' (Sub), value 'd'" in result.stdout
    assert "input 't' agrees" in result.stdout
    assert "by itself, on the reference's inputs, the node is wrong too" in result.stdout
    assert f"phase '{phase}' makes it differ" in result.stdout
    # Right up to the phase before.
    table = result.stdout.split("executed\n")[1].splitlines()
    for line, name in zip(table, PHASES[:PHASES.index(phase)]):
        assert line.split()[0] == name and "wrong" not in line


def test_says_what_is_around_the_worst_element(model):
    result = bisect(model, *fault("compress"))
    lines = result.stdout.splitlines()
    at = next(i for i, line in enumerate(lines) if "first node" in line)
    expected, got = (list(map(float, line.split()[1:])) for line in lines[at + 2:at + 4])
    assert len(got) >= 3 and np.allclose(got, np.negative(expected))


def test_names_the_first_op_of_the_phase(model):
    assert "first at  graph.sub of 'difference'" in bisect(model, *fault("compress")).stdout
    assert "first at  kernel.region matmul_tanh_sub_exp of 'power'" in bisect(model, *fault("schedule")).stdout
    assert "first at  plan.launch @matmul_tanh_sub_exp_0__power of 'power'" in bisect(model, *fault("plan")).stdout


def test_an_error_that_needs_several_nodes(model):
    """It is gone where all values are kept."""
    result = bisect(model, *fault("schedule", "fault-swap-fused-difference"))
    assert result.returncode == 1, result.stderr
    assert "no single node: where the values of all nodes are kept, all agree" in result.stdout
    # Not fused with tanh before it, the difference is fused with the power behind.
    assert "the model up to node 'difference' (Sub) is the shortest that is wrong: value 'd'" in result.stdout
    assert "phase 'schedule' makes it differ" in result.stdout


def test_external_data_travels_with_the_parts(model):
    onnx.save(onnx.load(model), model, save_as_external_data=True, location="w.bin", size_threshold=0)
    assert "first node whose value differs: 'difference' (Sub)" in bisect(model, *fault("fuse")).stdout


def test_a_tolerance_for_half_precision(tmp_path):
    model = save(tmp_path, NODES, TensorProto.FLOAT16)
    assert bisect(model, "--atol", "0.01", "--rtol", "0.01").returncode == 0
    assert "'difference'" in bisect(model, "--atol", "0.01", "--rtol", "0.01", *fault("fuse")).stdout


def test_without_the_reference_the_data_set_is_one(tmp_path):
    model = save(tmp_path, [node("MatMul", ["x", "w"], "p", "product"), node("Sub", ["x", "p"], "d", "difference"),
                            node("Gelu", ["d"], "y", "gelu", domain="com.microsoft")],
                 domain="com.microsoft")
    w = numpy_helper.to_array(onnx.load(model).graph.initializer[0])
    x = numpy_helper.to_array(onnx.load_tensor(str(tmp_path / "data/input_0.pb")))
    d = x - x @ w
    gelu = np.vectorize(lambda v: v / 2 * (1 + math.erf(v / math.sqrt(2))))
    put(tmp_path / "data/output_0.pb", gelu(d).astype(np.float32))
    result = bisect(model)
    assert result.returncode == 0, result.stderr
    assert "so the outputs are compared with the data set's, and no node can be named" in result.stderr
    result = bisect(model, *fault("fuse"))
    assert result.returncode == 1
    assert "first node" not in result.stdout
    assert "phase 'fuse' makes it differ" in result.stdout


def test_a_module_is_compared_with_itself(model):
    dump = model.parent / "phases"
    assert tenon("compile", model, "-o", model.with_name("m.so"), "--dump-phases", dump, "--quiet").returncode == 0
    for name in ("1-import", "2-simplify", "4-fuse", "5-schedule", "6-plan"):
        result = tenon("check", "--bisect", dump / f"{name}.mlir", *PYTHON)
        assert result.returncode == 0, result.stdout + result.stderr
    result = tenon("check", "--bisect", dump / "2-simplify.mlir", *PYTHON, *fault("schedule"))
    assert result.returncode == 1
    assert "phase 'schedule' makes it differ" in result.stdout


def test_what_it_needs_is_said(model, tmp_path, monkeypatch):
    def fails(message, *options, given=model):
        result = tenon("check", "--bisect", given, *options)
        assert result.returncode != 0 and message in result.stderr, result.stderr
    fails("needs --data-set DIR, a folder with input_0.pb", *PYTHON)
    fails("input_0.pb is missing: it has the values of input 'x'", *PYTHON, "--data-set", tmp_path)
    fails("cannot find 'no-python'", "--python", "no-python")
    fails("cannot read", *PYTHON, "--data-set", tmp_path, given=tmp_path / "none.onnx")
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "onnx.py").write_text("raise ImportError('No module named onnx')")
    monkeypatch.setenv("PYTHONPATH", str(hidden))
    fails("needs the Python package onnx for models and data sets (No module named onnx)", *PYTHON, "--data-set",
          model.parent / "data")
    (hidden / "numpy.py").write_text("raise ImportError('No module named numpy')")
    fails("needs the Python package numpy (No module named numpy)", *PYTHON)


def test_options_of_compile_need_bisect(model):
    result = tenon("check", model, "--", "--quiet")
    assert result.returncode == 1
    assert "check takes options of tenon compile, behind --, only with --bisect" in result.stderr


def test_an_option_that_compile_refuses_is_an_error(model):
    result = bisect(model, "--", "--before", "fuse")
    assert result.returncode == 2
    assert "--before fuse: expected PHASE=PIPELINE" in result.stderr
