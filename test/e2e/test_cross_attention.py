"""Decoders of encoder-decoders, exported by test/e2e/models/export.py: T5, BART and Whisper, with the keys and values
of what was encoded as inputs, or with the encoder's states. Compiled with --decoder they give the tokens that
onnxruntime gives where its caches are fed back, and are given what an encoder gave once for each sequence."""
import pathlib

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import tenon as package
from conftest import compile_model, tenon
from test_decoders import STEPS, assert_same, make_prompt, refuse
from tenon._interpreter import Interpreter

MODELS = pathlib.Path(__file__).parent / "models"
NAMES = ["t5-past-ts17", "t5-past-dynamo23", "t5-states-dynamo20", "bart-past-dynamo20", "bart-states-ts17",
         "whisper-past-ts17", "whisper-states-dynamo23"]
TOLERANCE = 1e-4
HEADS, HEAD, WIDTH = 4, 8, 32


def encode(model, length, seed):
    """What an encoder may have given: the inputs that a sequence keeps."""
    random = np.random.default_rng(seed)
    shapes = {"encoder_hidden_states": (1, length, WIDTH)} if "states" in model.stem else {
        f"past_key_values.{layer}.encoder.{part}": (1, HEADS, length, HEAD)
        for layer in range(2) for part in ("key", "value")}
    return {name: random.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


def continue_greedily(model, encoded, prompt, steps=STEPS):
    """Tokens by onnxruntime, and by how much each is ahead of the next best."""
    import onnxruntime
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    length = next(iter(encoded.values())).shape[-2]
    past = {name: np.zeros((1, HEADS, 0, HEAD), np.float32) for name in names
            if name.startswith("past") and name not in encoded}
    tokens, gaps = [], []
    for step in range(steps):
        feed = {"input_ids": np.array([prompt if step == 0 else tokens[-1:]]), **past, **encoded}
        if "encoder_attention_mask" in names:
            feed["encoder_attention_mask"] = np.ones((1, length), np.int64)
        logits, *present = session.run(None, feed)
        past = dict(zip(past, present))
        second, first = np.sort(logits[0, -1])[-2:]
        tokens.append(int(logits[0, -1].argmax()))
        gaps.append(first - second)
    return tokens, gaps


@pytest.fixture(scope="module", params=NAMES)
def compiled(request, tmp_path_factory):
    model = MODELS / f"{request.param}.onnx"
    return model, compile_model(model, tmp_path_factory.mktemp(request.param) / "model.so", "--decoder")


def test_gives_the_tokens_of_onnxruntime(compiled):
    model, artifact = compiled
    encoded, prompt = encode(model, 9, 1), make_prompt(3)
    generator = package.Generator(artifact, 64, threads=2)
    for name, array in encoded.items():
        generator.set_input(name, array)
    assert_same(list(generator.generate(prompt, max_tokens=STEPS)), *continue_greedily(model, encoded, prompt), TOLERANCE)


def test_sequences_have_encoded_texts_of_different_lengths(compiled):
    """In one batch, with prompts of different lengths and drafts. The longest comes last."""
    model, artifact = compiled
    lengths = (7, 2, 70)
    encoded = [encode(model, length, seed) for seed, length in enumerate(lengths)]
    prompts = [make_prompt(length, seed) for seed, length in enumerate((5, 1, 9))]
    generator = package.Generator(artifact, 64, sequences=3, threads=2)
    for sequence in (1, 0, 2):
        generator.set_options(sequence, max_tokens=12, speculate=3 if sequence == 0 else 0)
        for name, array in encoded[sequence].items():
            generator.set_input(name, array, sequence)
        generator.set_prompt(prompts[sequence], sequence)
    generator.run()
    for sequence, prompt in enumerate(prompts):
        wanted = continue_greedily(model, encoded[sequence], prompt, 12)
        assert_same(generator.tokens(sequence)[len(prompt):], *wanted, TOLERANCE)


def test_another_encoded_text_starts_anew(compiled):
    """The same prompt is computed again, with what is encoded now alone."""
    model, artifact = compiled
    prompt = make_prompt(4)
    generator = package.Generator(artifact, 64)
    for seed, length in enumerate((11, 5)):
        encoded = encode(model, length, seed)
        for name, array in encoded.items():
            generator.set_input(name, array)
        found = list(generator.generate(prompt, max_tokens=8))
        assert_same(found, *continue_greedily(model, encoded, prompt, 8), TOLERANCE)


def test_tenon_generate_reads_what_was_encoded(compiled, tmp_path):
    model, artifact = compiled
    encoded, prompt = encode(model, 6, 3), make_prompt(3)
    inputs = []
    for number, (name, array) in enumerate(encoded.items()):
        np.save(tmp_path / f"{number}.npy", array)
        inputs += ["--input", f"{name}={tmp_path / str(number)}.npy"]
    ids = ",".join(map(str, prompt))
    result = tenon("generate", artifact, "--ids", ids, "--max-tokens", "10", *inputs)
    assert result.returncode == 0, result.stderr
    found = [int(word) for word in result.stdout.splitlines()[0].split()]
    assert_same(found, *continue_greedily(model, encoded, prompt, 10), TOLERANCE)
    result = tenon("generate", artifact, "--ids", ids, "--max-tokens", "10", *inputs[2:])
    assert result.returncode == 1
    assert f"sequence 0 has no input '{next(iter(encoded))}', which an encoder gives" in result.stderr


def test_phases_agree(compiled, tmp_path):
    model, _ = compiled
    result = tenon("compile", model, "-o", tmp_path / "plan.mlir", "--stop-after", "plan", "--dump-phases", tmp_path,
                   "--quiet", "--decoder")
    assert result.returncode == 0, result.stderr
    encoded, prompt = [encode(model, length, seed) for seed, length in enumerate((6, 4))], make_prompt(3)
    kept = {name: np.zeros((3, *array.shape[1:]), np.float32) for name, array in encoded[0].items()}
    for slot, own in ((2, encoded[0]), (0, encoded[1])):
        for name, array in own.items():
            kept[name][slot][..., :array.shape[-2], :] = array[0]
    caches = [f"past_key_values.{layer}.{'' if 'states' in model.stem else 'decoder.'}{part}" for layer in range(2)
              for part in ("key", "value")]
    step = {"input_ids": [prompt, prompt], "slots": [2, 0], "starts": [0, 0], "rows": [2], "context": [3],
            "lengths": [6, 4], **kept, **{name: np.zeros((3, HEADS, 5, HEAD), np.float32) for name in caches}}
    results = [Interpreter(tmp_path / f"{phase}.mlir").run({name: np.array(value) for name, value in step.items()})
               for phase in ("2-simplify", "4-fuse", "5-schedule", "6-plan")]
    first = results[0]["logits"]
    for row, own in enumerate(encoded):
        assert int(first[row, 0].argmax()) == continue_greedily(model, own, prompt, 1)[0][0]
    for other in results[1:]:
        np.testing.assert_allclose(other["logits"], first, atol=TOLERANCE)


def test_distances_of_many_keys(tmp_path):
    """T5 has no longest text: more keys than one part of them, in prompts and single tokens."""
    model = MODELS / "t5-past-dynamo23.onnx"
    artifact = compile_model(model, tmp_path / "model.so", "--decoder")
    encoded, prompt = encode(model, 150, 4), make_prompt(300)
    generator = package.Generator(artifact, 400, threads=2)
    for name, array in encoded.items():
        generator.set_input(name, array)
    assert_same(list(generator.generate(prompt, max_tokens=6)), *continue_greedily(model, encoded, prompt, 6), 1e-3)


def test_a_context_that_is_too_small_reads_nothing_outside(tmp_path):
    """Who runs a session without a decoder may say anything."""
    artifact = compile_model(MODELS / "t5-states-dynamo20.onnx", tmp_path / "model.so", "--decoder")
    session = package.Session(artifact, check_memory=True)
    sizes = {"slots": 1, "capacity": 300, "encoder_sequence": 2}
    feed = {value.name: np.ones([sizes.get(size, size) for size in value.shape], np.float32)
            for value in session.inputs if len(value.shape) > 2}
    for start, count, context in ((200, 1, 1), (200, 1, 70), (150, 100, 3), (150, 100, 100)):
        feed.update({name: np.array(value, np.int64) for name, value in {
            "input_ids": [[3] * count], "slots": [0], "starts": [start], "rows": [0], "context": [context],
            "lengths": [9]}.items()})
        logits, = session.run(feed)
        assert np.isfinite(logits).all()


def test_what_was_encoded_is_not_gathered(tmp_path):
    """Attention reads keys and values where they lie."""
    text = compile_model(MODELS / "whisper-past-ts17.onnx", tmp_path / "description", "--decoder", "--emit",
                         "description").read_text()
    records = [line.split() for line in text.splitlines()]
    assert sum(record[0] == "kept" for record in records) == 4
    assert not [record for record in records if record[0] == "slice" and "slots" in " ".join(record)]


def test_wrong_inputs_are_errors(tmp_path):
    model = MODELS / "bart-past-dynamo20.onnx"
    generator = package.Generator(compile_model(model, tmp_path / "model.so", "--decoder"), 16, sequences=2)
    encoded = encode(model, 5, 0)
    name, array = next(iter(encoded.items()))
    for wrong, message in (
            ((name, array, 2), "there is no sequence 2: the decoder has 2"),
            (("states", array), "the decoder has no input 'states' that a sequence keeps"),
            (("input_ids", np.ones((1, 3), np.int64)), "the decoder has no input 'input_ids' that a sequence keeps"),
            ((name, array.astype(np.float64)), f"input '{name}' must be float32, is float64"),
            ((name, array[0]), f"input '{name}' of a sequence must have size 1 in dimension 0, has 4"),
            ((name, array[:, :, 0]), f"input '{name}' must have 4 dimensions, has 3"),
            ((name, array[:, :3]), f"input '{name}' must have size 4 in dimension 1, has 3"),
            ((name, array[:, :, :0]), f"input '{name}' has length 0, but a sequence needs 1 or more"),
            ((name, np.zeros([1] * 20, np.float32)), f"input '{name}' has 20 dimensions, too many")):
        with pytest.raises(package.Error, match=message):
            generator.set_input(*wrong)
    generator.set_prompt([3, 4])
    with pytest.raises(package.Error, match=f"sequence 0 has no input '{name}', which an encoder gives"):
        generator.run()
    for other, value in encoded.items():
        generator.set_input(other, value[:, :, :4] if other == name else value)
    with pytest.raises(package.Error, match="of length 5, but 'past_key_values.0.encoder.key' of length 4"):
        generator.run()
    generator.set_input(name, array)
    generator.set_options(max_tokens=3)
    generator.run()
    assert len(generator.tokens()) == 5


def test_a_fixed_length(tmp_path):
    """Whisper's encoder always gives the same number of states."""
    model = onnx.load(MODELS / "whisper-past-ts17.onnx")
    for value in model.graph.input:
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param == "encoder_sequence":
                dim.dim_value = 12
    path = tmp_path / "whisper-past.onnx"
    onnx.save(model, path)
    artifact = compile_model(path, tmp_path / "model.so", "--decoder")
    generator = package.Generator(artifact, 64, sequences=2)
    prompt = make_prompt(4)
    encoded = [encode(path, 12, seed) for seed in range(2)]
    for sequence, own in enumerate(encoded):
        generator.set_options(sequence, max_tokens=6)
        for name, array in own.items():
            generator.set_input(name, array, sequence)
        generator.set_prompt(prompt, sequence)
    generator.run()
    for sequence, own in enumerate(encoded):
        assert_same(generator.tokens(sequence)[4:], *continue_greedily(path, own, prompt, 6), TOLERANCE)
    with pytest.raises(package.Error, match="must have size 12 in dimension 2, has 5"):
        generator.set_input(next(iter(encoded[0])), encode(path, 5, 0)[next(iter(encoded[0]))])


def add_to_logits(model, node):
    """The model with what the node gives, as 'more', added to its logits."""
    logits = model.graph.output[0].name
    for other in model.graph.node:
        other.output[:] = ["plain" if name == logits else name for name in other.output]
    model.graph.node.extend([node, helper.make_node("Add", ["plain", "more"], [logits])])
    return model


def test_a_sum_over_all_that_was_encoded_is_refused(tmp_path):
    model = add_to_logits(onnx.load(MODELS / "bart-states-ts17.onnx"),
                          helper.make_node("ReduceSum", ["encoder_hidden_states"], ["more"], keepdims=0))
    assert ("computes from all of 'encoder_hidden_states' together, of which sequences have different lengths"
            in refuse(model, tmp_path))


def test_a_length_that_is_computed_with_is_refused(tmp_path):
    model = onnx.load(MODELS / "bart-states-ts17.onnx")
    model.graph.node.append(helper.make_node("Shape", ["encoder_hidden_states"], ["shape"], start=1, end=2))
    model = add_to_logits(model, helper.make_node("Cast", ["shape"], ["more"], to=TensorProto.FLOAT))
    assert ("computes with the length of 'encoder_hidden_states', of which sequences have different"
            in refuse(model, tmp_path))
