"""Decoders of the corpus on a past that they made themselves: a padded prompt,
then new tokens, against onnxruntime without optimisations and against itself."""
import json

import numpy as np
import pytest

import tenon as runtime
from conftest import MODELS, compile_model, reference, tenon
from test_tiny_models import MODEL_FOLDERS, OPTIONS, PASSING

PADDING, PROMPT = 3, 8
DECODERS = [folder for folder in MODEL_FOLDERS if folder.name in PASSING and "-past-" in folder.name]


def step(session, ids, mask, past):
    """Inputs for the last tokens of `ids`, of which `past` holds the others."""
    new = ids.shape[1] - past[0].shape[2]
    positions = np.maximum(np.cumsum(mask, 1) - 1, 0)[:, -new:]
    names = [value.name for value in session.inputs if value.name.startswith("past")]
    return {"input_ids": ids[:, -new:], "attention_mask": mask, "position_ids": positions, **dict(zip(names, past))}


@pytest.fixture(scope="module", params=DECODERS, ids=lambda folder: folder.name)
def decoder(request, tmp_path_factory):
    model = request.param / "model.onnx"
    artifact = tmp_path_factory.mktemp(request.param.name) / "model.so"
    session = runtime.Session(compile_model(model, artifact, *OPTIONS.get(request.param.name, [])), threads=1)
    narrow = any(value.dtype.itemsize == 2 for value in session.inputs)
    # An activation near a half may be rounded to the other side.
    is_rounded = narrow or request.param.name in OPTIONS
    tolerance = json.loads((request.param / "meta.json").read_text())["tolerance"] if is_rounded else 1e-4
    return model, session, tolerance


@pytest.fixture
def tokens():
    """Two prompts with five tokens behind each; the first prompt is padded in front."""
    ids = np.random.default_rng(7).integers(3, 60, (2, PROMPT + 5))
    mask = np.ones_like(ids)
    mask[0, :PADDING] = 0
    return ids, mask


def empty_past(session, batch):
    return [np.zeros((batch, value.shape[1], 0, value.shape[3]), value.dtype)
            for value in session.inputs if value.name.startswith("past")]


def test_agrees_with_onnxruntime(decoder, tokens):
    model, session, tolerance = decoder
    ids, mask = tokens
    past = empty_past(session, 2)
    for length in (PROMPT, PROMPT + 1, PROMPT + 5):
        inputs = step(session, ids[:, :length], mask[:, :length], past)
        found, expected = session.run(inputs), reference(model, inputs)
        # What a row of padding computes is read by nobody; it must not spread.
        real = mask[:, length - inputs["input_ids"].shape[1]:length] == 1
        np.testing.assert_allclose(found[0][real], expected[0][real], atol=tolerance, rtol=tolerance)
        past = found[1:]


def test_one_by_one_agrees_with_all_at_once(decoder, tokens):
    model, session, tolerance = decoder
    if "dynint8" in str(model):
        pytest.skip("its activations are quantized by the range of all tokens that a step has")
    ids, mask = tokens
    whole = session.run(step(session, ids, mask, empty_past(session, 2)))[0]
    past = empty_past(session, 2)
    for length in range(PROMPT, ids.shape[1] + 1):
        logits, *past = session.run(step(session, ids[:, :length], mask[:, :length], past))
        np.testing.assert_allclose(logits[:, -1], whole[:, length - 1], atol=tolerance, rtol=tolerance)


# Nothing may be quantized between the products of graph.attention but scores
# and their softmax, to 8 bits: these are written out.
WRITTEN_OUT = {"bert-qdq-a16w8", "bert-qdq-int8", "bert-qdq-int8-dynamo23", "bert-qdq-int8-s8s8-pertensor",
               "bert-qoperator-int8"}


@pytest.mark.parametrize("folder", [folder for folder in MODEL_FOLDERS if folder.name in PASSING - WRITTEN_OUT],
                         ids=lambda folder: folder.name)
def test_every_attention_is_recognised(folder, tmp_path):
    module = tmp_path / "model.mlir"
    compiled = tenon("compile", folder / "model.onnx", "-o", module, "--stop-after", "simplify", "--quiet",
                     "--cpu", "znver4")
    assert compiled.returncode == 0, compiled.stderr
    text = module.read_text()
    assert "graph.attention" in text
    assert "graph.softmax" not in text
    # Nor is the rotation of halves or a repeated head written out.
    assert "graph.neg" not in text
    if "-past-" in folder.name and "graph.sin" in text:
        assert "graph.rotary" in text


def test_refuses_a_mask_of_another_length(decoder, tokens):
    _, session, _ = decoder
    ids, mask = tokens
    inputs = step(session, ids[:, :PROMPT], mask[:, :PROMPT], empty_past(session, 2))
    for length in (PROMPT - 1, PROMPT + 1):
        with pytest.raises(runtime.Error, match=r"the model assumes .* \(node '.*'\), which is false for "):
            session.run({**inputs, "attention_mask": mask[:, :length]})
