"""What `tenon compile --emit` writes, used as its readers use it."""
import os
import subprocess

import numpy as np
import onnx
import pytest
import tenon as package
from conftest import BUILD, ROOT, compile_model, tenon

INCLUDE = ROOT / "include"
CALLER = """
#include "net.h"
#include <stdio.h>
int main(int argc, char **argv) {
  tn_module *module;
  tn_session *session;
  const float *y;
  int64_t dims[2];
  float x[10];
  for (int i = 0; i < 10; ++i) x[i] = i;
  if (tn_module_load(argv[1], &module) || tn_session_create(module, NULL, &session) ||
      net_set_x(session, x, 2, 5) || tn_session_run(session) || net_get_y(session, &y, dims)) {
    puts(tn_last_error());
    return argc;
  }
  printf("%d inputs, %d outputs:", NET_INPUT_COUNT, NET_OUTPUT_COUNT);
  for (int i = 0; i < dims[0] * dims[1]; ++i)
    if (i % dims[1] < 3) printf(" %.0f", y[i]);
  tn_session_release(session);
  tn_module_release(module);
  return 0;
}
"""
# Columns 0 to 2 of [[0..4], [5..9]] times [[0, 1, 2, 0...], [3, 4, 5, 0...], ...]
RESULT = "90 100 110 240 275 310"


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    """y = x w for a weight that is mostly zeros."""
    folder = tmp_path_factory.mktemp("emit")
    # Large enough to be a weight: small ones become constants of the code.
    values = np.zeros((5, 300), np.float32)
    values[:, :3] = np.arange(15).reshape(5, 3)
    weight = onnx.numpy_helper.from_array(values, "w")
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMul", ["x", "w"], ["y"])], "net",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["rows", 5])],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["rows", 300])], [weight])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])
    onnx.save(model, folder / "net.onnx")
    return folder / "net.onnx"


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build_caller(folder, net):
    compile_model(net, folder / "net.h", "--emit=header")
    (folder / "caller.c").write_text(CALLER)
    run("cc", "-Wall", "-Werror", f"-I{INCLUDE}", folder / "caller.c", "-o", folder / "caller",
        f"-L{BUILD}/lib", "-ltenon-runtime", f"-Wl,-rpath,{BUILD}/lib")
    return folder / "caller"


def test_header_calls_the_artifact(net, tmp_path):
    artifact = compile_model(net, tmp_path / "net.so")
    caller = build_caller(tmp_path, net)
    assert run(caller, artifact) == f"1 inputs, 1 outputs: {RESULT}"


@pytest.mark.parametrize("kind,language", [("obj", "none"), ("asm", "assembler")])
def test_object_and_assembly_link_to_an_artifact(net, tmp_path, kind, language):
    compile_model(net, tmp_path / f"net.{kind}", f"--emit={kind}")
    run("cc", "-shared", "-x", language, tmp_path / f"net.{kind}", "-o", tmp_path / "net.so")
    caller = build_caller(tmp_path, net)
    # The weights are looked for beside the artifact, under its name.
    missing = subprocess.run([caller, tmp_path / "net.so"], capture_output=True, text=True)
    assert "net.so.weights" in missing.stdout
    os.rename(tmp_path / f"net.{kind}.weights", tmp_path / "net.so.weights")
    assert run(caller, tmp_path / "net.so") == f"1 inputs, 1 outputs: {RESULT}"


def test_program_runs_without_tenon(net, tmp_path):
    program = compile_model(net, tmp_path / "net", "--emit=exe")
    np.save(tmp_path / "x.npy", np.arange(10, dtype=np.float32).reshape(2, 5))
    run(program, "run", "--input", f"x={tmp_path}/x.npy", "--output", tmp_path / "out")
    output = onnx.TensorProto()
    output.ParseFromString((tmp_path / "out/output_0.pb").read_bytes())
    found = onnx.numpy_helper.to_array(output)[:, :3]
    assert " ".join(f"{value:.0f}" for value in found.flat) == RESULT
    assert "median" in run(program, "bench", "--shape", "rows=2", "--seconds", "0.1")
    assert "matmul" in run(program, "profile", "--shape", "rows=2")
    needed = run("readelf", "-d", program)
    assert "libstdc++" not in needed and "libLLVM" not in needed


@pytest.mark.parametrize("kind,word", [("llvm", "define"), ("mlir", "llvm.func")])
def test_text_kinds(net, tmp_path, kind, word):
    text = compile_model(net, tmp_path / "net.txt", f"--emit={kind}").read_text()
    assert f"{word}" in text and "tenon_run" in text


def test_unknown_kind_is_refused_with_the_list(net, tmp_path):
    result = tenon("compile", net, "-o", tmp_path / "net.so", "--emit=dll")
    assert result.returncode == 1
    assert "--emit dll: target cpu writes one of so, exe, header" in result.stderr


def test_failure_leaves_no_file(net, tmp_path):
    result = tenon("compile", net, "-o", tmp_path / "none/net.so")
    assert result.returncode == 1 and "none/net.so: cannot write there" in result.stderr
    # A file may have 1 KiB: neither code nor weights fit.
    for kind in ("so", "exe", "obj", "llvm"):
        command = f"ulimit -f 1; {BUILD}/bin/tenon compile {net} -o {tmp_path}/net.{kind} --emit={kind}"
        result = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
        assert result.returncode == 1, kind
        assert "error" in result.stderr
    assert os.listdir(tmp_path) == []


def test_a_model_compiled_on_the_way_leaves_no_file(net, tmp_path):
    for command in (["bench", "--shape", "rows=2", "--seconds", "0.01"], ["info"]):
        run("env", f"TMPDIR={tmp_path}", BUILD / "bin/tenon", command[0], net, *command[1:])
    # One that is killed while it runs leaves nothing either.
    given = tmp_path / "inputs"
    given.mkdir()
    (given / "input_0.pb").write_bytes(onnx.numpy_helper.from_array(np.ones((2, 5), np.float32)).SerializeToString())
    worker = subprocess.Popen([BUILD / "bin/tenon", "bench", net, given, "--worker"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(tmp_path)})
    while worker.stdout.readline() != "ready\n":
        assert worker.poll() is None
    with open(f"/proc/{worker.pid}/maps") as maps:
        assert "LLVM" not in maps.read()
    worker.kill()
    worker.wait()
    assert os.listdir(tmp_path) == ["inputs"]


def test_artifact_in_the_place_of_a_loaded_one(tmp_path):
    """A model that is compiled again while a session of the first artifact lives."""
    def scaled(factor):
        x = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n"])
        y = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["n"])
        graph = onnx.helper.make_graph([onnx.helper.make_node("Mul", ["x", "f"], ["y"])], "g", [x], [y],
                                       [onnx.helper.make_tensor("f", onnx.TensorProto.FLOAT, [], [factor])])
        onnx.save(onnx.helper.make_model(graph, ir_version=10, opset_imports=[onnx.helper.make_opsetid("", 21)]),
                  tmp_path / "model.onnx")
        return package.Session(compile_model(tmp_path / "model.onnx", tmp_path / "model.so"))

    sessions = [scaled(factor) for factor in (2.0, 3.0, 5.0)]
    x = np.arange(4, dtype=np.float32)
    for session, factor in zip(sessions, (2, 3, 5)):
        np.testing.assert_array_equal(session.run({"x": x})[0], factor * x)
