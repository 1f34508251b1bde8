"""tenon.backend, the interface of ONNX, and ONNX's own cases on it."""
import pathlib
import unittest

import numpy as np
import onnx
import onnx.backend.test
import pytest
import tenon
from onnx import helper
from onnx.backend.test.runner import BackendIsNotSupposedToImplementIt
from tenon import backend

# ONNX's cases that pass today; one that joins them is added here, so that one
# which stops passing is noticed.
PASSING = (pathlib.Path(__file__).parent / "onnx_passing.txt").read_text().split()


def info(name):
    return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ("n", 2))


def model(nodes, opset=17):
    return helper.make_model(helper.make_graph(nodes, "g", [info("x")], [info("y")]),
                             opset_imports=[helper.make_opsetid("", opset)])


X = np.float32([[1, -2]])
GOOD = model([helper.make_node("Relu", ["x"], ["y"])])


def test_prepares_once_and_runs_often():
    prepared = backend.prepare(GOOD, threads=1)
    for inputs in ([X], X, {"x": X}):
        y, = prepared.run(inputs)
        np.testing.assert_array_equal(y, [[1, 0]])
    np.testing.assert_array_equal(backend.run_model(GOOD, [X * -1], "CPU:0"), [[[0, 2]]])


def test_runs_a_node():
    relu = helper.make_node("Relu", ["x"], ["y"])
    np.testing.assert_array_equal(backend.run_node(relu, [X]), [[[1, 0]]])
    np.testing.assert_array_equal(backend.run_node(relu, [X], opset_version=13), [[[1, 0]]])
    cast = helper.make_node("Cast", ["x"], ["y"], to=onnx.TensorProto.INT64)
    y, = backend.run_node(cast, [X], outputs_info=[(np.int64, (1, 2))])
    assert y.dtype == np.int64 and y.tolist() == [[1, -2]]


def test_supports_the_cpu_alone():
    assert backend.supports_device("CPU") and backend.supports_device("CPU:0")
    assert not backend.supports_device("CUDA")
    with pytest.raises(tenon.Error, match="for device 'CUDA:0', only for 'CPU'"):
        backend.prepare(GOOD, "CUDA:0")


def test_lists_the_nodes_that_are_missing():
    bad = model([helper.make_node("Det", ["x"], ["a"], name="first"),
                 helper.make_node("Relu", ["a"], ["b"], name="fine"),
                 helper.make_node("Bernoulli", ["b"], ["y"], name="second")])
    with pytest.raises(BackendIsNotSupposedToImplementIt) as caught:
        backend.prepare(bad)
    lines = str(caught.value).splitlines()
    assert len(lines) == 2
    assert "node 'first' (Det, ai.onnx, opset 17): unsupported" in lines[0]
    assert "node 'second' (Bernoulli, ai.onnx, opset 17): unsupported" in lines[1]


def test_models_that_are_wrong_are_not_unsupported(monkeypatch):
    with pytest.raises(onnx.checker.ValidationError):
        backend.prepare(model([helper.make_node("Relu", ["nothing"], ["y"])]))
    monkeypatch.setenv("TENON_COMPILER", "/none/tenon")
    with pytest.raises(tenon.Error, match="TENON_COMPILER"):
        backend.prepare(GOOD)


def run_cases(include):
    """Runs the cases of ONNX for the CPU whose names match. What ran, what was
    refused, and what failed, as dictionaries from name to reason."""

    class Recorder:
        supports_device = staticmethod(backend.supports_device)

        @staticmethod
        def prepare(given, device, **options):
            try:
                return backend.prepare(given, device, threads=1, **options)
            except BackendIsNotSupposedToImplementIt as error:
                # ONNX would count the case as passed.
                raise unittest.SkipTest(f"refused: {error}") from None

    result = unittest.TestResult()
    ran = {}
    for case in onnx.backend.test.BackendTest(Recorder).include(include).test_cases.values():
        if "RealModel" not in case.__name__:  # pictures, and they are downloaded
            suite = unittest.defaultTestLoader.loadTestsFromTestCase(case)
            ran.update({test.id().split(".")[-1]: "" for test in suite})
            suite.run(result)
    reasons = {test.id().split(".")[-1]: reason for test, reason in result.skipped}
    failed = {test.id().split(".")[-1]: reason for test, reason in result.failures + result.errors}
    refused = {name: reason for name, reason in reasons.items() if reason.startswith("refused")}
    return ran.keys() - reasons.keys() - failed.keys(), refused, failed


def test_passes_some_cases_of_onnx():
    names = ["add_bcast", "softmax_axis_1", "attention_4d", "gather_1", "matmul_4d", "det_2d"]
    passed, refused, failed = run_cases(f"^test_({'|'.join(names)})_cpu$")
    assert passed == {f"test_{name}_cpu" for name in names[:-1]} and not failed
    assert list(refused) == ["test_det_2d_cpu"]
    assert "(Det, ai.onnx" in refused["test_det_2d_cpu"]


@pytest.mark.full
def test_passes_the_cases_of_onnx_that_are_listed():
    passed, refused, failed = run_cases("_cpu$")
    listed = {f"{name}_cpu" for name in PASSING}
    lost = {name: {**refused, **failed}.get(name, "no such case") for name in listed - passed}
    assert not lost
    # Of the rest none may compute something else. One expects that every step is rounded to f16, where fused attention
    # computes in f32: 2 of its 192 elements differ by one rounding.
    rounded = {"test_attention_4d_causal_fp16_expanded_cpu"}
    wrong = {name: reason for name, reason in failed.items() if "AssertionError" in reason and name not in rounded}
    assert not wrong
    print(len(passed), "passed,", len(refused), "refused,", len(failed), "failed to compile")
