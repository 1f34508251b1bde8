"""`tenon compile`: passes of plugins, and what is left of a pass that fails."""
import re
import subprocess
import sys

import onnx
import pytest
from conftest import BUILD, ROOT, tenon
from onnx import TensorProto, helper

FAULTS = f"--load-pass-plugin={BUILD / 'lib/tenon-faults.so'}"


@pytest.fixture
def model(tmp_path):
    info = helper.make_tensor_value_info
    graph = helper.make_graph([helper.make_node("Sub", ["a", "b"], ["y"], "difference")], "g",
                              [info("a", TensorProto.FLOAT, ["n"]), info("b", TensorProto.FLOAT, ["n"])],
                              [info("y", TensorProto.FLOAT, ["n"])])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


def compile(model, *options):
    return tenon("compile", model, "-o", model.with_name("model.so"), *options)


@pytest.mark.parametrize("phase", ["simplify", "compress", "fuse", "schedule", "plan", "emit"])
def test_runs_passes_before_each_phase(model, phase):
    result = compile(model, "--quiet", FAULTS, "--before", f"{phase}=fault-swap-difference")
    assert result.returncode == 0, result.stderr
    assert not model.with_name("model.so.reproducer.mlir").exists()


def test_the_passes_are_in_the_dump(model):
    def dumped(phase):
        assert compile(model, "--quiet", FAULTS, "--dump-phases", model.parent / phase,
                       "--before", f"{phase}=fault-swap-difference").returncode == 0
        return (model.parent / phase / "2-simplify.mlir").read_text()
    assert "graph.sub %arg1, %arg0" in dumped("simplify")
    assert "graph.sub %arg0, %arg1" in dumped("compress")


@pytest.mark.parametrize("options, message", [
    (["--before", "simplify"], "--before simplify: expected PHASE=PIPELINE"),
    (["--before", "nothing=cse"], "--before nothing=cse: there is no such phase"),
    (["--before", "fuse=no-pass"], "'no-pass' does not refer to a registered pass or pass pipeline"),
    (["--load-pass-plugin", "none.so"], "--load-pass-plugin none.so: Could not load library"),
    (["--load-dialect-plugin", "none.so"], "--load-dialect-plugin none.so: Could not load library")])
def test_what_cannot_be_loaded_or_run_is_said(model, options, message):
    result = compile(model, *options)
    assert result.returncode == 1
    assert message in result.stderr
    assert not model.with_name("model.so").exists()


def again(model):
    """Runs the reproducer."""
    import subprocess
    return subprocess.run([BUILD / "bin/tenon-opt", "--run-reproducer", FAULTS,
                           model.with_name("model.so.reproducer.mlir")], capture_output=True, text=True)


def test_a_pass_that_fails_leaves_a_reproducer(model):
    result = compile(model, FAULTS, "--before", "fuse=fault-fail")
    assert result.returncode == 1
    assert "is refused on purpose" in result.stderr
    assert "model.so.reproducer.mlir runs the passes of phase 'fuse' again on the same module" in result.stderr
    assert not model.with_name("model.so").exists()
    assert "is refused on purpose" in again(model).stderr


def test_a_pass_that_crashes_is_an_error_and_leaves_a_reproducer(model):
    result = compile(model, FAULTS, "--before", "plan=fault-crash")
    assert result.returncode == 1
    assert "error: a pass of phase 'plan' crashed, or failed without a message" in result.stderr
    assert again(model).returncode < 0


def test_a_compilation_that_succeeds_takes_an_old_reproducer_away(model):
    compile(model, FAULTS, "--before", "fuse=fault-fail")
    assert model.with_name("model.so.reproducer.mlir").exists()
    assert compile(model).returncode == 0
    assert not model.with_name("model.so.reproducer.mlir").exists()


def test_a_reproducer_goes_where_it_is_wanted_or_nowhere(model):
    compile(model, FAULTS, "--before", "fuse=fault-fail", "--reproducer", model.with_name("r.mlir"))
    assert "fault-fail" in model.with_name("r.mlir").read_text()
    result = compile(model, FAULTS, "--before", "fuse=fault-fail", "--reproducer=")
    assert result.returncode == 1
    assert "run-reproducer" not in result.stderr
    assert not model.with_name("model.so.reproducer.mlir").exists()


def test_times_each_pass(model):
    result = compile(model, "--quiet", "--mlir-timing")
    assert result.returncode == 0
    assert "FuseRegionsPass" in result.stderr and "Total Execution Time" in result.stderr
    # Emit is a sequence of steps, of which the first has passes too.
    names = re.findall(r"%\)  +([A-Za-z][^%]*)$", result.stderr, re.M)
    steps = ["emit", "lower", "ConvertPlanToLLVMPass", "translate to LLVM IR", "generate code", "link",
             "weights"]
    assert [name for name in names if name in steps] == steps


def test_a_script_makes_tables_of_where_time_goes(model):
    script = [sys.executable, ROOT / "scripts/compile_time.py", "--runs", "1", "--least", "0"]
    printed = subprocess.run([*script, model], check=True, capture_output=True, text=True).stdout
    phases = re.findall(r"^\| (\w+) \| [\d.]+ \| \d+ % \| \d+ \|$", printed, re.M)
    assert phases == ["import", "simplify", "compress", "fuse", "schedule", "plan", "emit"]
    shares = re.findall(r"^\| (\w+) \| (.+) \| ([\d.]+) % \|$", printed, re.M)
    assert {("schedule", "SimplifyBodiesPass"), ("emit", "generate code")} <= {row[:2] for row in shares}
    assert abs(sum(float(share) for _, _, share in shares) - 100) < 3
    result = subprocess.run([*script, model.with_name("none.onnx")], capture_output=True, text=True)
    assert result.returncode == 1 and "none.onnx" in result.stderr
