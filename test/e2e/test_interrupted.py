"""Compiling where the machine or the user puts an end to it: one message, and no file that is not whole."""
import ctypes
import json
import os
import resource
import signal
import subprocess
import time

import numpy as np
import onnx
import pytest
from conftest import BUILD, tenon
from onnx import TensorProto, helper, numpy_helper


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """y = softmax(x . w) . w ten times over, enough to be interrupted in."""
    path = tmp_path_factory.mktemp("interrupted") / "model.onnx"
    nodes, last = [], "x"
    for i in range(10):
        nodes += [helper.make_node("MatMul", [last, "w"], [f"p{i}"], name=f"product{i}"),
                  helper.make_node("Softmax", [f"p{i}"], [f"s{i}"])]
        last = f"s{i}"
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 256])],
                              [helper.make_tensor_value_info(last, TensorProto.FLOAT, ["n", 256])],
                              [numpy_helper.from_array(np.ones((256, 256), np.float32), "w")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def limited(limit, *arguments):
    """Runs the tool in a process that `limit` prepares."""
    return subprocess.run([BUILD / "bin/tenon", *map(str, arguments)], capture_output=True, text=True, preexec_fn=limit)


def failed(folder, result, message):
    assert result.returncode == 1, result.stderr
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1, result.stderr
    assert message in result.stderr and not list(folder.iterdir()), result.stderr


def file_size(size):
    """As a disk that becomes full."""
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    return limit


@pytest.mark.parametrize("size, options", [
    (10, ["--emit=so"]), (10, ["--emit=exe"]), (100_000, ["--emit=so"]), (100_000, ["--emit=obj"]), (10, ["--emit=header"]),
    (10, ["--emit=llvm"]), (10, ["--stop-after=import"]), (10, ["--target=nvidia", "--emit=ptx"])],
    ids=lambda value: "".join(value) if isinstance(value, list) else str(value))
def test_disks_that_are_full(tmp_path, model, size, options):
    result = limited(file_size(size), "compile", model, "-o", tmp_path / "model.so", "--quiet", *options)
    failed(tmp_path, result, f"cannot write '{tmp_path}/model.so")
    assert "File too large" in result.stderr


def test_linkers_that_fail(tmp_path, model):
    """What the linker says is part of the message."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "bin").mkdir()
    (tmp_path / "out").mkdir()
    for name in ("bin/tenon", "lib/tenon-program.o"):
        (tmp_path / name).write_bytes((BUILD / name).read_bytes() if name.startswith("bin") else b"no object")
    (tmp_path / "bin/tenon").chmod(0o755)
    result = subprocess.run([tmp_path / "bin/tenon", "compile", model, "-o", tmp_path / "out/model", "--emit=exe", "--quiet"],
                            capture_output=True, text=True)
    assert result.returncode == 1 and result.stderr.startswith(f"error: {model}: cannot be linked: '"), result.stderr
    assert "' returned 1: " in result.stderr and "tenon-program.o:1: unknown directive: no" in result.stderr
    assert not list((tmp_path / "out").iterdir())


def test_output_that_is_full(model):
    with open("/dev/full", "w") as full:
        result = subprocess.run([BUILD / "bin/tenon", "compile", model, "-o", "-", "--stop-after=import", "--quiet"],
                                stdout=full, stderr=subprocess.PIPE, text=True)
    assert result.returncode == 1 and result.stderr == "error: cannot write '-': No space left on device\n"


def test_reports_that_cannot_be_written(tmp_path, model):
    result = tenon("compile", model, "-o", tmp_path / "model.so", "--report", "/dev/full", "--quiet")
    assert result.returncode == 1 and result.stderr == "error: cannot write /dev/full: No space left on device\n"


def no_privileges():
    """What a superuser may do to files of others."""
    ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)  # PR_CAPBSET_DROP, CAP_DAC_OVERRIDE


def test_folders_that_cannot_be_written(tmp_path, model):
    (tmp_path / "none").mkdir(mode=0o555)
    result = limited(no_privileges, "compile", model, "-o", tmp_path / "none/model.so")
    failed(tmp_path / "none", result, f"-o {tmp_path}/none/model.so: cannot write there: Permission denied")
    result = tenon("compile", model, "-o", tmp_path / "nowhere/model.so")
    assert result.stderr == f"error: -o {tmp_path}/nowhere/model.so: cannot write there: No such file or directory\n"


@pytest.mark.parametrize("output", ["/dev/null", "."])
def test_outputs_that_are_no_files(model, output):
    """A device would be replaced by the artifact."""
    result = tenon("compile", model, "-o", output)
    assert result.returncode == 1 and result.stderr == f"error: -o {output}: is there and not a file\n"


def test_binaries_to_standard_output(tmp_path, model):
    result = tenon("compile", model, "-o", "-")
    assert result.returncode == 1 and result.stderr == "error: -o -: what --emit so writes is no text\n"
    result = subprocess.run([BUILD / "bin/tenon", "compile", model, "-o", "-", "--emit=llvm", "--quiet"], cwd=tmp_path,
                            capture_output=True, text=True)
    assert "define" in result.stdout and not list(tmp_path.iterdir())


def test_memory_that_ends(tmp_path):
    """A model of 128 MB that is no payload, where that and a copy are more than there is."""
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g",
                              [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])], doc_string=" " * (1 << 27))
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    (tmp_path / "out").mkdir()
    size = 560 << 20
    result = limited(lambda: resource.setrlimit(resource.RLIMIT_AS, (size, size)), "compile", path, "-o",
                     tmp_path / "out/model.so", "--quiet")
    failed(tmp_path / "out", result, "error: out of memory\n")


def signalled(folder, number, moment, *options, action=signal.SIG_DFL, environment={}):
    """Sends a signal at a moment: after seconds, or when there is a file whose name has this in it. What the caller
    does with the signal is inherited."""
    process = subprocess.Popen([BUILD / "bin/tenon", *map(str, options)], stderr=subprocess.PIPE, stdout=subprocess.PIPE,
                               text=True, env={**os.environ, **environment},
                               preexec_fn=lambda: signal.signal(number, action))
    if isinstance(moment, str):
        while process.poll() is None and not any(moment in path.name for path in folder.rglob("*")):
            time.sleep(0.0005)
    else:
        time.sleep(moment)
    process.send_signal(number)
    return process.communicate()[1], process.returncode


def ended(folder, number, moment, *options, environment={}):
    assert signalled(folder, number, moment, *options, environment=environment) == ("", -number)
    time.sleep(0.1)  # for a linker that goes on
    assert not list(folder.iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_signals_that_the_caller_ignores(tmp_path, model, number):
    """As for nohup and for jobs in the background of a script."""
    assert signalled(tmp_path, number, ".a.", "compile", model, "-o", tmp_path / "model.so", "--quiet",
                     action=signal.SIG_IGN) == ("", 0)
    assert (tmp_path / "model.so").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment, options", [(0.05, []), ("model.so.", []), (".a.", []), (".a.", ["--emit=exe"]),
                                             (".weights", ["--emit=obj"])], ids=lambda value: str(value))
def test_signals(tmp_path, model, number, moment, options):
    ended(tmp_path, number, moment, "compile", model, "-o", tmp_path / "model.so", "--quiet", *options)


def test_signals_while_weights_are_compressed(tmp_path, model):
    (model.parent / "recipe.json").write_text(json.dumps({"tenon_recipe": 1, "nodes": [{"node": "product*", "weights": "int8"}]}))
    ended(tmp_path, signal.SIGTERM, ".derived.", "compile", model, "-o", tmp_path / "model.so", "--quiet",
          "--recipe", model.parent / "recipe.json")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", [0.1, "model.so"])
def test_signals_while_a_model_is_compiled_to_be_run(tmp_path, model, number, moment):
    ended(tmp_path, number, moment, "run", model, "--shape", "n=1", environment={"TMPDIR": str(tmp_path)})
