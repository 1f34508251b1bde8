"""The tiny models of the corpus beside the project: every data set, or a
refusal that lists what is missing."""
import json

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import tenon as package
from conftest import MODELS, compile_model, tenon

MODEL_FOLDERS = sorted((MODELS / "tiny").glob("*/")) if (MODELS / "tiny").exists() else []
# Models that compile and pass today; a model that joins them is added here, so
# that one which stops passing is noticed.
PASSING = set((__import__("pathlib").Path(__file__).parent / "tiny_passing.txt").read_text().split())

# accuracy_level 4 lets onnxruntime, which is the reference, quantize activations.
OPTIONS = {name: ["--activations", "int8"] for name in ("llama-past-nbits4-accuracy4", "smollm-genai-int4")}


# Made for GPUs in 16 bits; the data sets are of f32, as their reference computed.
NARROWER_THAN_DATA = {"llama-genai-fp16-cuda", "llama-genai-bf16-cuda"}


def read_tensor(path):
    return numpy_helper.to_array(onnx.load_tensor(path))


@pytest.mark.parametrize("folder", [folder for folder in MODEL_FOLDERS if folder.name in NARROWER_THAN_DATA],
                         ids=lambda f: f.name)
def test_passes_on_rounded_data(folder, tmp_path):
    session = package.Session(compile_model(folder / "model.onnx", tmp_path / "model.so"))
    tolerance = json.loads((folder / "meta.json").read_text())["tolerance"]
    for data_set in sorted(folder.glob("test_data_set_*")):
        feed = {value.name: read_tensor(data_set / f"input_{i}.pb").astype(value.dtype)
                for i, value in enumerate(session.inputs)}
        for i, found in enumerate(session.run(feed)):
            np.testing.assert_allclose(np.asarray(found, np.float32), read_tensor(data_set / f"output_{i}.pb"),
                                       rtol=tolerance, atol=tolerance, err_msg=f"{data_set.name}, output {i}")


@pytest.mark.parametrize("folder", [folder for folder in MODEL_FOLDERS if folder.name not in NARROWER_THAN_DATA],
                         ids=lambda f: f.name)
def test_passes_or_is_refused(folder, tmp_path):
    result = tenon("compile", folder / "model.onnx", "-o", tmp_path / "model.so", "--quiet",
                   *OPTIONS.get(folder.name, []))
    if folder.name not in PASSING:
        # 3: refused because something is unsupported, with the node named.
        assert result.returncode == 3, result.stderr
        assert "node '" in result.stderr
        assert not (tmp_path / "model.so").exists()
        return
    assert result.returncode == 0, result.stderr
    tolerance = json.loads((folder / "meta.json").read_text()).get("tolerance", 1e-4)
    for data_set in sorted(folder.glob("test_data_set_*")):
        check = tenon("run", tmp_path / "model.so", "--data-set", data_set, "--check", "--check-memory", "--atol",
                      tolerance, "--rtol", tolerance)
        assert check.returncode == 0, f"{data_set.name}: {check.stdout}{check.stderr}"
