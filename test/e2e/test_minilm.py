"""all-MiniLM-L6-v2 with its published weights: one artifact, every size."""
import subprocess

import numpy as np
import pytest

from conftest import MODELS, compile_model, encoder_inputs, reference

SIZES = [(1, 1), (1, 2), (1, 7), (1, 16), (1, 128), (1, 512), (2, 31), (3, 64), (4, 100), (7, 33), (8, 128), (16, 17),
         (32, 128)]


@pytest.fixture(scope="module")
def session(minilm, tmp_path_factory):
    import tenon
    artifact = compile_model(minilm / "model.onnx", tmp_path_factory.mktemp("minilm") / "minilm.so")
    return tenon.Session(artifact, threads=2)


@pytest.mark.parametrize("batch, sequence", SIZES)
def test_matches_onnxruntime(session, minilm, batch, sequence):
    inputs = encoder_inputs(batch, sequence)
    want, = reference(minilm / "model.onnx", inputs)
    got, = session.run(inputs)
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-4)


def test_matches_pytorch(session):
    file = MODELS / "text/minilm.sentences.npz"
    if not file.exists():
        pytest.skip("the PyTorch results lie outside the project")
    data = np.load(file)
    got, = session.run({name: data[name] for name in ("input_ids", "attention_mask", "token_type_ids")})
    # Padded positions have no meaning, but PyTorch computes them as well.
    keep = data["attention_mask"].astype(bool)
    np.testing.assert_allclose(got[keep], data["last_hidden_state"][keep], rtol=0, atol=1e-4)


def test_compiling_twice_gives_identical_bytes(minilm, tmp_path):
    first = compile_model(minilm / "model.onnx", tmp_path / "a.so").read_bytes()
    assert first == compile_model(minilm / "model.onnx", tmp_path / "b.so").read_bytes()


def test_going_on_from_each_dump_gives_identical_bytes(minilm, tmp_path):
    whole = compile_model(minilm / "model.onnx", tmp_path / "whole.so",
                          "--dump-phases", tmp_path / "dump").read_bytes()
    dumps = sorted((tmp_path / "dump").glob("*.mlir"))
    assert [d.stem for d in dumps] == ["1-import", "2-simplify", "3-compress", "4-fuse", "5-schedule", "6-plan"]
    for dump in dumps:
        assert compile_model(dump, tmp_path / "part.so").read_bytes() == whole, dump.name


def test_program_matches_onnxruntime(minilm, tmp_path):
    import onnx
    program = compile_model(minilm / "model.onnx", tmp_path / "minilm", "--emit=exe")
    for batch, sequence in SIZES:
        inputs = encoder_inputs(batch, sequence)
        folder = tmp_path / f"{batch}x{sequence}"
        folder.mkdir()
        names = ("input_ids", "attention_mask", "token_type_ids")
        for number, name in enumerate(names):
            tensor = onnx.numpy_helper.from_array(inputs[name])
            (folder / f"input_{number}.pb").write_bytes(tensor.SerializeToString())
        want = onnx.numpy_helper.from_array(reference(minilm / "model.onnx", inputs)[0])
        (folder / "output_0.pb").write_bytes(want.SerializeToString())
        result = subprocess.run([program, "run", "--data-set", folder, "--check", "--atol", "1e-4",
                                 "--rtol", "0"], capture_output=True, text=True)
        assert result.returncode == 0, result.stdout + result.stderr
