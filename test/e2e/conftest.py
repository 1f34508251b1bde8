"""Where the tools are, and how a test compiles a model and runs it."""
import fcntl
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("TENON_BUILD", ROOT / "build/release"))
MODELS = ROOT.parent / "shared" / "models"
PROCESSOR = pathlib.Path("/proc/cpuinfo").read_text()

sys.path.insert(0, str(ROOT / "python"))
os.environ.setdefault("TENON_RUNTIME", str(BUILD / "lib"))
os.environ.setdefault("TENON_TEST_ARTIFACTS", str(BUILD / "test/unit/Runtime"))
os.environ.setdefault("TENON_CACHE", str(BUILD / "test/cache"))
os.environ.setdefault("TENON_COMPILER", str(BUILD / "bin/tenon"))


def pytest_addoption(parser):
    parser.addoption("--full", action="store_true", help="also what takes long: tests marked full, and only these")


def pytest_configure(config):
    config.addinivalue_line("markers", "full: takes long, runs with --full only")


def pytest_collection_modifyitems(config, items):
    wanted = [item for item in items if bool(item.get_closest_marker("full")) == config.getoption("--full")]
    config.hook.pytest_deselected(items=[item for item in items if item not in wanted])
    items[:] = wanted


def tenon(*arguments):
    """Runs the tool and returns the finished process, output as text."""
    return subprocess.run([BUILD / "bin/tenon", *map(str, arguments)],
                          capture_output=True, text=True)


def skip_unless_runs(cpu):
    """Skips a test that runs code for a processor which this machine's is not."""
    needed = {"x86-64-v4": ["avx512bw"], "znver4": ["avx512_bf16", "sse4a"], "znver5": ["avx512_bf16", "sse4a"],
              "sapphirerapids": ["avx512_bf16"], "sapphirerapids-amx": ["amx_int8", "amx_bf16"]}.get(cpu, [])
    for feature in needed:
        if feature not in PROCESSOR:
            pytest.skip(f"runs code for {cpu}, and this processor lacks {feature}")


def compile_model(model, artifact, *options):
    result = tenon("compile", model, "-o", artifact, "--quiet", *options)
    assert result.returncode == 0, result.stderr
    return artifact


def has_signed_product(model):
    """Whether the model multiplies bytes of which the second ones are signed."""
    import onnx
    graph = onnx.load(model, load_external_data=False).graph
    signed = {x.name for x in graph.initializer if x.data_type == onnx.TensorProto.INT8}
    signed |= {x.name for x in graph.input if x.type.tensor_type.elem_type == onnx.TensorProto.INT8}
    products = {"MatMulInteger", "QLinearMatMul", "DynamicQuantizeMatMul", "MatMulIntegerToFloat", "QAttention", "QGemm"}
    return any(node.op_type in products and signed & set(node.input) for node in graph.node)


def reference(model, inputs):
    """What onnxruntime computes without optimisations."""
    import onnxruntime
    if "vnni" not in PROCESSOR and has_signed_product(model):
        pytest.skip("onnxruntime's products with signed bytes saturate on a processor without VNNI")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    return session.run(None, inputs)


@pytest.fixture(scope="session")
def minilm(tmp_path_factory):
    """Folder of all-MiniLM-L6-v2 with its published weights, made if needed."""
    folder = ROOT / "build/minilm"
    with open(ROOT / "build/minilm.lock", "w") as lock:  # Several processes may run tests.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "model.onnx").exists():
            subprocess.run(["bash", "-c", ". scripts/setup.sh; . scripts/minilm_model.sh; minilm_model"],
                           cwd=ROOT, check=True)
    return folder


def encoder_inputs(batch, sequence, seed=0):
    """Ids, a mask with a padded tail in every second row, and segment zeros."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, 30000, (batch, sequence)).astype(np.int64)
    mask = np.ones((batch, sequence), np.int64)
    for row in range(1, batch, 2):
        mask[row, max(1, sequence - 1 - row % sequence):] = 0
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
