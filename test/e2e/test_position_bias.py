"""Decoders whose scores have a bias of positions (ALiBi), exported by test/e2e/models/export.py: compiled with
--decoder they give the tokens that onnxruntime gives where its caches are fed back."""
import pathlib

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import tenon as package
from conftest import compile_model, tenon
from test_decoders import Decoder, Reference, assert_same, continue_greedily, make_prompt, refuse, save_separate
from tenon._interpreter import Interpreter

MODELS = pathlib.Path(__file__).parent / "models"
TOLERANCE = 1e-4


@pytest.fixture(scope="module", params=["bloom-ts17", "bloom-dynamo20", "mpt-ts17"])
def compiled(request, tmp_path_factory):
    model = MODELS / f"{request.param}.onnx"
    return model, compile_model(model, tmp_path_factory.mktemp(request.param) / "model.so", "--decoder")


def test_gives_the_tokens_of_onnxruntime(compiled):
    model, artifact = compiled
    prompt = make_prompt(8)
    tokens, gaps = continue_greedily(model, prompt)
    decoder, found, start = Decoder(artifact), [], 0
    for fed in [prompt] + [[token] for token in tokens[:-1]]:
        found.append(int(decoder.step([fed], [0], [start])[0, 0].argmax()))
        start += len(fed)
    assert_same(found, tokens, gaps, TOLERANCE)


def test_sequences_do_not_disturb_each_other(compiled):
    """Three of different lengths, in slots and rows of any order, each as if alone."""
    model, artifact = compiled
    steps, slots = 9, [3, 0, 2]
    prompts = [make_prompt(length, seed) for seed, length in enumerate((8, 3, 30))]
    wanted = [continue_greedily(model, prompt, steps) for prompt in prompts]
    decoder = Decoder(artifact, slots=4)
    found = [[int(decoder.step([prompt], [slot], [0]).argmax())] for prompt, slot in zip(prompts, slots)]
    for step in range(1, steps):
        rows = [[0, 1, 2], [2, 0, 1], [1, 2, 0]][step % 3]
        logits = decoder.step([[wanted[row][0][step - 1]] for row in rows], [slots[row] for row in rows],
                              [len(prompts[row]) + step - 1 for row in rows])
        for row, line in zip(rows, logits):
            found[row].append(int(line[0].argmax()))
    for tokens, (known, gaps) in zip(found, wanted):
        assert_same(tokens, known, gaps, TOLERANCE)


def test_chunks_of_a_prompt_give_the_same(compiled):
    """Several tokens at once, as prompts and drafts are fed, at different places of two sequences."""
    _, artifact = compiled
    prompts = [make_prompt(20, 1), make_prompt(14, 2)]
    decoder = Decoder(artifact, slots=2)
    whole = [decoder.step([prompt], [slot], [0], range(len(prompt)))[0] for slot, prompt in enumerate(prompts)]
    again = decoder.step([prompts[0][11:15], prompts[1][3:7]], [0, 1], [11, 3], range(4))
    np.testing.assert_allclose(again[0], whole[0][11:15], atol=TOLERANCE, rtol=TOLERANCE)
    np.testing.assert_allclose(again[1], whole[1][3:7], atol=TOLERANCE, rtol=TOLERANCE)


def test_drafts_and_batches_change_no_token(compiled):
    model, artifact = compiled
    prompts = [make_prompt(4, 1) * 3, make_prompt(5, 2)]
    wanted = [continue_greedily(model, prompt, 30) for prompt in prompts]
    generator = package.Generator(artifact, 64, sequences=2, threads=2)
    for sequence, prompt in enumerate(prompts):
        generator.set_options(sequence, max_tokens=30, speculate=4)
        generator.set_prompt(prompt, sequence)
    generator.run()
    assert generator.statistics.drafted > 0
    for sequence, (prompt, (tokens, gaps)) in enumerate(zip(prompts, wanted)):
        assert_same(generator.tokens(sequence)[len(prompt):], tokens, gaps, TOLERANCE)


def test_a_sliding_window_goes_on(compiled):
    """What is left of the text is fed again, from position 0."""
    _, artifact = compiled
    generator = package.Generator(artifact, 24)
    generator.set_options(max_tokens=30, sliding_window=True)
    generator.set_prompt(make_prompt(20))
    text = list(make_prompt(20)) + list(generator.generate())
    last = generator.tokens()
    assert len(text) == 50 and text[-len(last) + 4:] == last[4:]
    fresh = package.Generator(artifact, 24)
    assert list(fresh.generate(last[:-1], max_tokens=1)) == last[-1:]


@pytest.mark.parametrize("kind", ["f16", "int8"])
def test_caches_of_another_type(compiled, tmp_path, kind):
    model, artifact = compiled
    narrow = compile_model(model, tmp_path / "model.so", "--decoder", "--kv-cache", kind)
    prompt = make_prompt(40)
    wanted, found = (Decoder(one).step([prompt], [0], [0], range(40)) for one in (artifact, narrow))
    assert 0 < np.abs(found - wanted).max() < (0.02 if kind == "f16" else 0.4)


def test_a_bias_of_multi_head_attention(tmp_path):
    """An operand of the operator, for all queries and keys of the step."""
    model = onnx.load(save_separate(tmp_path / "model.onnx", False))
    slopes = np.array([0.5, 0.125], np.float32).reshape(1, 2, 1, 1)
    for name, array in (("slopes", slopes), ("zero", np.int64(0)), ("one", np.int64(1)), ("heads", np.array([1, 2]))):
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))
    attention, = (node for node in model.graph.node if node.op_type == "MultiHeadAttention")
    attention.input[5] = "bias"
    made = [helper.make_node("Shape", ["attention_mask"], ["keys"], start=1, end=2),
            helper.make_node("Shape", ["input_ids"], ["queries"], start=1, end=2),
            helper.make_node("Squeeze", ["keys"], ["count"]),
            helper.make_node("Range", ["zero", "count", "one"], ["positions"]),
            helper.make_node("Cast", ["positions"], ["numbers"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["slopes", "numbers"], ["row"]),
            helper.make_node("Concat", ["heads", "queries", "keys"], ["sizes"], axis=0),
            helper.make_node("Expand", ["row", "sizes"], ["bias"])]
    nodes = made + list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(model, tmp_path / "biased.onnx")
    artifact = compile_model(tmp_path / "biased.onnx", tmp_path / "model.so", "--decoder")
    prompt = [token % 50 for token in make_prompt(8, 5)]
    tokens, gaps = continue_greedily(tmp_path / "biased.onnx", prompt, 12)
    plain, biased = (Reference(tmp_path / f"{name}.onnx").step(prompt) for name in ("model", "biased"))
    assert np.abs(plain - biased).max() > 0.1
    decoder, found, start = Decoder(artifact), [], 0
    for fed in [prompt] + [[token] for token in tokens[:-1]]:
        found.append(int(decoder.step([fed], [0], [start])[0, 0].argmax()))
        start += len(fed)
    assert_same(found, tokens, gaps, TOLERANCE)


def test_many_keys_are_split(tmp_path):
    """BLOOM has no longest text: more keys than one part of them, and than a block."""
    model = MODELS / "bloom-ts17.onnx"
    artifact = compile_model(model, tmp_path / "model.so", "--decoder")
    prompt = make_prompt(300)
    tokens, gaps = continue_greedily(model, prompt, 6)
    decoder, found, start = Decoder(artifact, capacity=400), [], 0
    for fed in [prompt] + [[token] for token in tokens[:-1]]:
        found.append(int(decoder.step([fed], [0], [start])[0, 0].argmax()))
        start += len(fed)
    assert_same(found, tokens, gaps, 1e-3)


def test_the_end_of_a_table_is_an_error(tmp_path):
    """MPT's biases are a table of 64 places."""
    artifact = compile_model(MODELS / "mpt-ts17.onnx", tmp_path / "model.so", "--decoder")
    decoder = Decoder(artifact, capacity=80)
    assert np.isfinite(decoder.step([make_prompt(64)], [0], [0])).all()
    with pytest.raises(package.Error, match=r"the model assumes .* == context .* which is false for .*context = 65"):
        decoder.step([[3]], [0], [64])


@pytest.mark.parametrize("name", ["bloom-dynamo20", "mpt-ts17"])
def test_phases_agree(tmp_path, name):
    model = MODELS / f"{name}.onnx"
    result = tenon("compile", model, "-o", tmp_path / "plan.mlir", "--stop-after", "plan", "--dump-phases", tmp_path,
                   "--quiet", "--decoder")
    assert result.returncode == 0, result.stderr
    ids = np.array([make_prompt(5)])
    step = {"input_ids": ids, "slots": [0], "starts": [0], "rows": [4], "context": [5],
            **{f"past_key_values.{layer}.{part}": np.zeros((1, 4, 7, 8), np.float32)
               for layer in range(2) for part in ("key", "value")}}
    wanted, _ = continue_greedily(model, ids[0].tolist(), 1)
    results = [Interpreter(tmp_path / f"{phase}.mlir").run({name: np.array(value) for name, value in step.items()})
               for phase in ("2-simplify", "4-fuse", "5-schedule", "6-plan")]
    first = results[0]["logits"]
    assert int(first.argmax()) == wanted[0]
    for other in results[1:]:
        np.testing.assert_allclose(other["logits"], first, atol=TOLERANCE)


def test_a_table_with_other_steps_is_refused(tmp_path):
    """It says by distance from the last key, where rows of a step have several last keys."""
    model = onnx.load(MODELS / "mpt-ts17.onnx")
    tables = [attribute.t for node in model.graph.node if node.op_type == "Constant"
              for attribute in node.attribute if list(attribute.t.dims) == [4, 1, 64]]
    tables += [tensor for tensor in model.graph.initializer if list(tensor.dims) == [4, 1, 64]]
    assert tables
    for table in tables:
        curve = np.sqrt(np.abs(numpy_helper.to_array(table)))
        table.CopyFrom(numpy_helper.from_array(-curve, table.name))
    assert ("has a mask that is not known to depend on the key alone, or its distance from the query, beside showing "
            "each query the keys before it, which a decoder needs" in refuse(model, tmp_path))
