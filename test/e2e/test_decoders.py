"""Decoders that keep their caches: every model of the corpus with a past gives, compiled with --decoder, the tokens
that onnxruntime gives where its caches are fed back."""
import json
import pathlib

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import tenon as package
from conftest import MODELS, tenon
from test_tiny_models import MODEL_FOLDERS, OPTIONS, PASSING

STEPS, CAPACITY = 40, 64
# onnxruntime's CPU has no kernels of bf16.
WITHOUT_REFERENCE = {"llama-genai-bf16-cuda"}
# What onnxruntime quantizes by the range of all tokens of a step depends on who is beside.
BY_RANGE = {"gpt2-past-dynint8"}
FOLDERS = [folder for folder in MODEL_FOLDERS if folder.name in PASSING - WITHOUT_REFERENCE
           and ("-past-" in folder.name or "-genai-" in folder.name or folder.name.startswith("decoder-"))]


class Decoder:
    """A session and its caches."""

    def __init__(self, artifact, slots=1, capacity=CAPACITY):
        self.session = package.Session(artifact, threads=2)
        sizes = {"slots": slots, "capacity": capacity}
        self.caches = {value.name: np.full([sizes.get(size, size) for size in value.shape], np.nan, value.dtype)
                       for value in self.session.inputs if "capacity" in value.shape}
        self.ids, = (value for value in self.session.inputs if len(value.shape) == 2)

    def step(self, ids, slots, starts, rows=None):
        """Logits of `rows` of the new tokens, of the last one without."""
        ids = np.array(ids, self.ids.dtype)
        rows = [ids.shape[1] - 1] if rows is None else rows
        numbers = {"slots": slots, "starts": starts, "rows": rows, "context": [max(1, max(starts) + ids.shape[1])]}
        logits, = self.session.run({self.ids.name: ids, **self.caches,
                                    **{name: np.array(value, np.int64) for name, value in numbers.items()}})
        return logits


class Reference:
    """The same tokens through onnxruntime, one sequence, whose past is fed back."""

    def __init__(self, model):
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        self.session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        types = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(int64)": np.int64,
                 "tensor(int32)": np.int32}
        self.inputs = {value.name: (value.shape, types[value.type]) for value in self.session.get_inputs()}
        sizes = {"kv_cache_dim": 16}
        # A past has a size before the last that is no number.
        self.past = {name: np.zeros([sizes.get(size, size if isinstance(size, int) else 0 if i == len(shape) - 2 else 1)
                                     for i, size in enumerate(shape)], dtype)
                     for name, (shape, dtype) in self.inputs.items() if len(shape) > 2}
        self.length = 0

    def step(self, ids):
        """Logits of the last of these tokens."""
        total = self.length + len(ids)
        made = {"attention_mask": np.ones((1, total)), "position_ids": np.arange(self.length, total)[None]}
        feed = {name: self.past[name] if name in self.past else made.get(name, np.array([ids])).astype(dtype)
                for name, (_, dtype) in self.inputs.items()}
        logits, *present = self.session.run(None, feed)
        self.past = dict(zip(self.past, present))
        self.length = total
        return logits[0, -1].astype(np.float64)


def make_prompt(length, seed=0):
    return np.random.default_rng(seed).integers(1, 60, length).tolist()


def continue_greedily(model, prompt, steps=STEPS):
    """Tokens, and by how much each is ahead of the next best."""
    decoder, tokens, gaps = Reference(model), [], []
    for step in range(steps):
        logits = decoder.step(prompt if step == 0 else tokens[-1:])
        second, first = np.sort(logits)[-2:]
        tokens.append(int(logits.argmax()))
        gaps.append(first - second)
    return tokens, gaps


def assert_same(found, tokens, gaps, tolerance):
    """Where two logits are within rounding either is right, and the reference's goes on."""
    for step, (token, wanted, gap) in enumerate(zip(found, tokens, gaps, strict=True)):
        assert token == wanted or gap <= 2 * tolerance, f"step {step}: {found} for {tokens}"


@pytest.fixture(scope="module", params=FOLDERS, ids=lambda folder: folder.name)
def compiled(request, tmp_path_factory):
    artifact = tmp_path_factory.mktemp(request.param.name) / "model.so"
    result = tenon("compile", request.param / "model.onnx", "-o", artifact, "--quiet", "--decoder",
                   *OPTIONS.get(request.param.name, []))
    assert result.returncode == 0, result.stderr
    return request.param, artifact, json.loads((request.param / "meta.json").read_text())["tolerance"]


def test_gives_the_tokens_of_onnxruntime(compiled):
    folder, artifact, tolerance = compiled
    prompt = make_prompt(8)
    tokens, gaps = continue_greedily(folder / "model.onnx", prompt)
    decoder, found, start = Decoder(artifact), [], 0
    for fed in [prompt] + [[token] for token in tokens[:-1]]:
        logits = decoder.step([fed], [0], [start])
        assert np.isfinite(logits).all()
        found.append(int(logits[0, 0].argmax()))
        start += len(fed)
    assert_same(found, tokens, gaps, tolerance)


def test_sequences_do_not_disturb_each_other(compiled):
    """Three of different lengths, in slots and rows of any order, each as if alone."""
    folder, artifact, tolerance = compiled
    if folder.name in BY_RANGE:
        pytest.skip("its activations are quantized by the range of all rows")
    steps, slots = 9, [3, 0, 2]
    prompts = [make_prompt(length, seed) for seed, length in enumerate((8, 3, 13))]
    wanted = [continue_greedily(folder / "model.onnx", prompt, steps) for prompt in prompts]
    decoder = Decoder(artifact, slots=4)
    found = [[int(decoder.step([prompt], [slot], [0]).argmax())] for prompt, slot in zip(prompts, slots)]
    for step in range(1, steps):
        # One is alone at the end.
        rows = [[0, 1, 2], [2, 0, 1], [1, 2, 0]][step % 3] if step < steps - 2 else [1]
        logits = decoder.step([[wanted[row][0][step - 1]] for row in rows], [slots[row] for row in rows],
                              [len(prompts[row]) + step - 1 for row in rows])
        for row, line in zip(rows, logits):
            found[row].append(int(line[0].argmax()))
    for tokens, (known, gaps) in zip(found, wanted):
        count = len(tokens)
        assert_same(tokens, known[:count], gaps[:count], tolerance)


def test_chooses_rows_and_goes_back(compiled):
    """Logits of several new tokens at once, at different places; what was there before is overwritten."""
    folder, artifact, tolerance = compiled
    if folder.name in BY_RANGE:
        pytest.skip("its activations are quantized by the range of all tokens that a step has")
    prompts = [make_prompt(8, 1), make_prompt(5, 2)]
    decoder = Decoder(artifact, slots=2)
    whole = [decoder.step([prompt], [slot], [0], range(len(prompt)))[0] for slot, prompt in enumerate(prompts)]
    again = decoder.step([prompts[0][4:7], prompts[1][1:4]], [0, 1], [4, 1], [0, 2])
    np.testing.assert_allclose(again[0], whole[0][[4, 6]], atol=tolerance, rtol=tolerance)
    np.testing.assert_allclose(again[1], whole[1][[1, 3]], atol=tolerance, rtol=tolerance)


def test_a_place_outside_a_cache_is_an_error(compiled):
    _, artifact, _ = compiled
    decoder = Decoder(artifact, slots=2, capacity=9)
    decoder.step([make_prompt(8)], [0], [0])
    for ids, slot, start in (([3, 4], 0, 8), ([3], 2, 0), ([3], 0, 9), ([3], -1, 0), ([3, 4], 0, -1)):
        with pytest.raises(package.Error, match=r"uses index -?\d+ of a dimension of size \d+"):
            decoder.step([ids], [slot], [start])
    assert np.isfinite(decoder.step([[3]], [0], [8])).all()


def refuse(model, folder):
    onnx.save(model, folder / "model.onnx") if not isinstance(model, pathlib.Path) else None
    result = tenon("compile", model if isinstance(model, pathlib.Path) else folder / "model.onnx", "-o",
                   folder / "model.so", "--quiet", "--decoder")
    assert result.returncode == 1 and not (folder / "model.so").exists(), result.stderr
    return result.stderr


def load(name):
    path = MODELS / "tiny" / name / "model.onnx"
    if not path.exists():
        pytest.skip("needs the corpus of models beside the project")
    return onnx.load(path)


def test_an_encoder_is_refused(tmp_path):
    assert "is no decoder with a cache: no input has the shape batch×heads×past×size" in refuse(
        load("bert-ts17-sdpa"), tmp_path)


def test_an_unknown_input_is_refused(tmp_path):
    model = load("llama-past-dynamo20")
    model.graph.input.append(helper.make_tensor_value_info("bias", TensorProto.FLOAT, [160]))
    logits = model.graph.output[0].name
    for node in model.graph.node:
        node.output[:] = ["plain" if name == logits else name for name in node.output]
    model.graph.node.append(helper.make_node("Add", ["plain", "bias"], [logits]))
    assert ("input 'bias' is none of tokens, positions, mask or caches, which are all that a decoder has"
            in refuse(model, tmp_path))


def test_another_mask_is_refused(tmp_path):
    model = load("llama-past-ts17")
    compare, = (node for node in model.graph.node if node.op_type == "LessOrEqual")
    compare.op_type = "GreaterOrEqual"
    assert ("has a mask that is not known to show each query the keys before it alone, which a decoder needs"
            in refuse(model, tmp_path))


def test_a_cache_that_is_read_otherwise_is_refused(tmp_path):
    model = load("llama-past-dynamo20")
    model.graph.node.append(helper.make_node("ReduceSum", ["past_key_values.0.key"], ["sum"], keepdims=0))
    logits = model.graph.output[0].name
    for node in model.graph.node:
        node.output[:] = ["plain" if name == logits else name for name in node.output]
    model.graph.node.append(helper.make_node("Add", ["plain", "sum"], [logits]))
    assert ("input 'past_key_values.0.key' is no cache of a decoder: what is new must be appended to it, and nothing "
            "else may read it" in refuse(model, tmp_path))


def save_packed(path):
    """A layer of Attention of com.microsoft, whose past is keys and values in one tensor."""
    random = np.random.default_rng(3)
    weights = {"table": (50, 16), "w": (16, 48), "b": (48,), "head": (16, 50)}
    nodes = [helper.make_node("Gather", ["table", "input_ids"], ["x"]),
             helper.make_node("Attention", ["x", "w", "b", "", "past_0"], ["a", "present_0"], domain="com.microsoft",
                              num_heads=2, unidirectional=1),
             helper.make_node("Add", ["x", "a"], ["sum"]), helper.make_node("MatMul", ["sum", "head"], ["logits"])]
    past = [2, "batch", 2, "past", 8]
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "sequence"]),
                     helper.make_tensor_value_info("past_0", TensorProto.FLOAT, past)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", "sequence", 50]),
         helper.make_tensor_value_info("present_0", TensorProto.FLOAT, [2, "batch", 2, "total", 8])],
        [numpy_helper.from_array(random.standard_normal(shape).astype(np.float32), name)
         for name, shape in weights.items()])
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[
        helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]), path)
    return path


def save_separate(path, mask):
    """A layer of MultiHeadAttention of com.microsoft with a past, and a mask of what is no padding."""
    random = np.random.default_rng(3)
    weights = {"table": (50, 16), "q": (16, 16), "k": (16, 16), "v": (16, 16), "head": (16, 50)}
    nodes = [helper.make_node("Gather", ["table", "input_ids"], ["x"]),
             *(helper.make_node("MatMul", ["x", name], [name + "x"]) for name in "qkv"),
             helper.make_node("Cast", ["attention_mask"], ["seen"], to=TensorProto.INT32),
             helper.make_node("MultiHeadAttention", ["qx", "kx", "vx", "", "seen" if mask else "", "", "past.key",
                                                     "past.value"], ["a", "present.key", "present.value"],
                              domain="com.microsoft", num_heads=2, unidirectional=1),
             helper.make_node("Add", ["x", "a"], ["sum"]), helper.make_node("MatMul", ["sum", "head"], ["logits"])]
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "sequence"]),
                     helper.make_tensor_value_info("attention_mask", TensorProto.INT64, ["batch", "total"]),
                     *(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 2, "past", 8])
                       for name in ("past.key", "past.value"))],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", "sequence", 50]),
         *(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 2, "total", 8])
           for name in ("present.key", "present.value"))],
        [numpy_helper.from_array(random.standard_normal(shape).astype(np.float32), name)
         for name, shape in weights.items()])
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[
        helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]), path)
    return path


@pytest.mark.parametrize("save", [save_packed, lambda path: save_separate(path, False),
                                  lambda path: save_separate(path, True)], ids=["packed", "separate", "masked"])
def test_other_operators_with_a_past(tmp_path, save):
    model = save(tmp_path / "model.onnx")
    result = tenon("compile", model, "-o", tmp_path / "model.so", "--quiet", "--decoder")
    assert result.returncode == 0, result.stderr
    prompt = make_prompt(8, 5)
    prompt = [token % 50 for token in prompt]
    tokens, gaps = continue_greedily(model, prompt, 12)
    decoder, found, start = Decoder(tmp_path / "model.so"), [], 0
    for fed in [prompt] + [[token] for token in tokens[:-1]]:
        found.append(int(decoder.step([fed], [0], [start])[0, 0].argmax()))
        start += len(fed)
    assert_same(found, tokens, gaps, 1e-4)
