"""Artifacts for NVIDIA's GPUs, run without one: a stand-in for the CUDA driver
that interprets PTX, kept beside the project, takes the place of libcuda.so.1."""
import os
import re
import shutil
import subprocess

import numpy as np
import onnx
import pytest
from conftest import BUILD, MODELS, ROOT, compile_model, encoder_inputs, reference, tenon
from onnx import helper, numpy_helper

GPU = ROOT.parent / "shared" / "gpu"
PTXAS = shutil.which("ptxas") or shutil.which("ptxas", path="/usr/local/cuda/bin")
# An encoder, a decoder with a cache, one with grouped heads and rotary
# embeddings, an encoder of the other exporter, one that sums along lines, one
# with a sliding window and one with a soft cap.
TINY = ["bert-ts17-sdpa", "gpt2-past-ts17", "llama-past-dynamo23", "distilbert-dynamo20", "roberta-ts17",
        "mistral-past-dynamo23", "decoder-standard23-softcap"]

needs_driver = pytest.mark.skipif(not (GPU / "runtime/fakecuda.cpp").exists(),
                                  reason=f"no stand-in for the CUDA driver: {GPU} is not there")
needs_models = pytest.mark.skipif(not (MODELS / "tiny").exists(),
                                  reason=f"no tiny models: {MODELS / 'tiny'} is not there")


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    """An environment in which libcuda.so.1 is the stand-in."""
    folder = tmp_path_factory.mktemp("driver")
    subprocess.run(["g++", "-std=c++17", "-O2", "-w", "-fPIC", "-shared", "-fvisibility=hidden",
                    GPU / "runtime/fakecuda.cpp", GPU / "ptxemu/ptxemu.cpp", "-o", folder / "libcuda.so.1"], check=True)
    return {**os.environ, "LD_LIBRARY_PATH": str(folder)}


def run(environment, *command):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, env=environment)


@needs_driver
@needs_models
@pytest.mark.parametrize("name", TINY)
def test_tiny_model_in_the_interpreter(name, driver, tmp_path):
    folder = MODELS / "tiny" / name
    artifact = compile_model(folder / "model.onnx", tmp_path / "model.so", "--target=nvidia")
    # The data sets have different sizes.
    for data_set in sorted(folder.glob("test_data_set_*"))[:2]:
        done = run(driver, BUILD / "bin/tenon", "run", artifact, "--data-set", data_set, "--check", "--atol", "5e-4",
                   "--rtol", "5e-4")
        assert done.returncode == 0, f"{data_set.name}: {done.stdout}{done.stderr}"


@pytest.mark.full
@needs_driver
def test_minilm_in_the_interpreter(minilm, driver, tmp_path):
    """With its published weights, whose products are split into halves of bf16."""
    artifact = compile_model(minilm / "model.onnx", tmp_path / "minilm.so", "--target=nvidia")
    inputs = encoder_inputs(1, 8)
    arguments = []
    for name, array in inputs.items():
        np.save(tmp_path / f"{name}.npy", array)
        arguments += ["--input", f"{name}={tmp_path / name}.npy"]
    done = run(driver, BUILD / "bin/tenon", "run", artifact, *arguments, "--output", tmp_path)
    assert done.returncode == 0, done.stderr
    wanted, = reference(minilm / "model.onnx", inputs)
    found = numpy_helper.to_array(onnx.load_tensor(tmp_path / "output_0.pb"))
    assert np.abs(found - wanted).max() <= 2e-5 * np.abs(wanted).max()


def products(folder):
    """y = gelu(x w + b) and z = x xᵀ, of sizes that fill no tile; w is packed."""
    rng = np.random.default_rng(0)
    weights = {"w": rng.standard_normal((50, 77)), "b": rng.standard_normal(77)}
    nodes = [helper.make_node("MatMul", ["x", "w"], ["xw"]), helper.make_node("Add", ["xw", "b"], ["h"]),
             helper.make_node("Gelu", ["h"], ["y"]), helper.make_node("Transpose", ["x"], ["t"], perm=[0, 2, 1]),
             helper.make_node("MatMul", ["x", "t"], ["z"])]
    value = lambda name, shape: helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
    graph = helper.make_graph(nodes, "products", [value("x", ["b", "n", 50])],
                              [value("y", ["b", "n", 77]), value("z", ["b", "n", "n"])],
                              [numpy_helper.from_array(array.astype(np.float32), name) for name, array in weights.items()])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]), folder / "products.onnx")
    return folder / "products.onnx"


@needs_driver
def test_products_are_as_exact_as_halves_allow(driver, tmp_path):
    model = products(tmp_path)
    artifact = compile_model(model, tmp_path / "products.so", "--target=nvidia")
    for batch, rows in [(1, 1), (2, 37)]:
        # Far beyond the range of f16.
        x = np.random.default_rng(rows).standard_normal((batch, rows, 50)).astype(np.float32) * np.float32(1e6)
        np.save(tmp_path / "x.npy", x)
        done = run(driver, BUILD / "bin/tenon", "run", artifact, "--input", f"x={tmp_path / 'x.npy'}", "--output",
                   tmp_path)
        assert done.returncode == 0, done.stderr
        for number, wanted in enumerate(reference(model, {"x": x})):
            found = numpy_helper.to_array(onnx.load_tensor(tmp_path / f"output_{number}.pb"))
            assert np.abs(found - wanted).max() <= 3e-5 * np.abs(wanted).max(), number


@needs_driver
def test_profile_times_launches(driver, tmp_path):
    artifact = compile_model(products(tmp_path), tmp_path / "products.so", "--target=nvidia")
    done = run(driver, BUILD / "bin/tenon", "profile", artifact, "--shape", "b=1,n=5", "--seconds", "0.1")
    assert done.returncode == 0, done.stderr
    assert "matmul" in done.stdout


def test_says_what_was_tried_without_a_driver(tmp_path):
    artifact = compile_model(products(tmp_path), tmp_path / "products.so", "--target=nvidia")
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "libcuda.so.1").write_text("no library")  # before a driver that may be there
    done = run({**os.environ, "LD_LIBRARY_PATH": str(empty)}, BUILD / "bin/tenon", "bench", artifact, "--shape",
               "b=1,n=5")
    assert done.returncode != 0
    assert "runs on an NVIDIA GPU, but the CUDA driver cannot be opened: tried 'libcuda.so.1'" in done.stderr
    # What needs none of its code works.
    assert run(os.environ, BUILD / "bin/tenon", "info", artifact).returncode == 0


def test_compiles_to_equal_bytes(tmp_path):
    model = products(tmp_path)
    first, second = (compile_model(model, tmp_path / name, "--target=nvidia") for name in ("1.so", "2.so"))
    assert first.read_bytes() == second.read_bytes()


def test_cpu_names_are_for_the_cpu(tmp_path):
    result = tenon("compile", products(tmp_path), "-o", tmp_path / "x.so", "--target=nvidia", "--cpu=x86-64-v3")
    assert result.returncode == 1 and "--cpu x86-64-v3: is for target cpu, not nvidia" in result.stderr


@pytest.mark.skipif(not PTXAS, reason="no ptxas in the path")
@needs_models
@pytest.mark.parametrize("name", TINY)
def test_ptxas_takes_the_code_without_spills(name, tmp_path, record_property):
    ptx = compile_model(MODELS / "tiny" / name / "model.onnx", tmp_path / "model.ptx", "--target=nvidia", "--emit=ptx")
    done = subprocess.run([PTXAS, "-arch=sm_80", "-v", ptx, "-o", tmp_path / "model.cubin"], capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr
    kernels = re.findall(r"entry function '(\w+)'.*?(\d+) bytes spill stores.*?Used (\d+) registers", done.stderr, re.S)
    assert len(kernels) == ptx.read_text().count(".entry")
    for kernel, spilled, registers in kernels:
        record_property(kernel, f"{registers} registers, {spilled} bytes spilled")
        print(f"{kernel}: {registers} registers, {spilled} bytes spilled")
        assert int(spilled) == 0, kernel
