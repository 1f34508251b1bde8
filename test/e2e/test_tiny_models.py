"""The tiny models of the corpus beside the project: every data set, or a
refusal that lists what is missing."""
import json

import pytest

from conftest import MODELS, compile_model, tenon

MODEL_FOLDERS = sorted((MODELS / "tiny").glob("*/")) if (MODELS / "tiny").exists() else []
# Models that compile and pass today; a model that joins them is added here, so
# that one which stops passing is noticed.
PASSING = set((__import__("pathlib").Path(__file__).parent / "tiny_passing.txt").read_text().split())

# accuracy_level 4 lets onnxruntime, which is the reference, quantize activations.
OPTIONS = {"smollm-genai-int4": ["--activations", "int8"]}


@pytest.mark.parametrize("folder", MODEL_FOLDERS, ids=lambda f: f.name)
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
