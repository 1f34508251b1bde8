"""Decoders that keep their caches: every model of the corpus with a past gives, compiled with --decoder, the tokens
that onnxruntime gives where its caches are fed back."""
import json
import pathlib

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import tenon as package
from tenon._graph_ops import from_bytes, to_bytes
from tenon._interpreter import Interpreter
from tenon._mlir import ShapedType
from conftest import MODELS, compile_model, tenon
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

    def __init__(self, artifact, slots=1, capacity=CAPACITY, threads=2):
        self.session = package.Session(artifact, threads=threads)
        sizes = {"slots": slots, "capacity": capacity}
        # A scale of which all bytes are -1 is a NaN, too.
        self.caches = {value.name: np.full([sizes.get(size, size) for size in value.shape],
                                           -1 if value.dtype == np.int8 else np.nan, value.dtype)
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
    assert ("input 'bias' is none of tokens, positions, mask, caches or what an encoder gives, which are all that a decoder has"
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


def separate_weights(size):
    """Of save_separate with two heads of this size."""
    random, width = np.random.default_rng(3), 2 * size
    sizes = {"table": (50, width), **{name: (width, width) for name in "qkv"}, "head": (width, 50)}
    return {name: random.standard_normal(shape).astype(np.float32) / np.sqrt(np.float32(shape[0] / 16))
            for name, shape in sizes.items()}


def save_separate(path, mask, size=8):
    """A layer of MultiHeadAttention of com.microsoft with a past, and a mask of what is no padding."""
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
                     *(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 2, "past", size])
                       for name in ("past.key", "past.value"))],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", "sequence", 50]),
         *(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 2, "total", size])
           for name in ("present.key", "present.value"))],
        [numpy_helper.from_array(array, name) for name, array in separate_weights(size).items()])
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


def dtype_of(kind):
    return ShapedType(f"tensor<1x{kind}>").dtype


def store(rows, kind):
    """What a cache of this type holds of keys or values, as f32."""
    if kind == "int8":
        return from_bytes(to_bytes(rows))
    return rows.astype({"f32": np.float32, "f16": np.float16, "bf16": dtype_of("bf16")}[kind]).astype(np.float32)


def attend(ids, kind, size):
    """Logits of every token of one sequence of save_separate."""
    weights = separate_weights(size)
    x = weights["table"][ids]
    heads = [(x @ weights[name]).reshape(len(ids), 2, size).swapaxes(0, 1) for name in "qkv"]
    q, k, v = heads[0], *(store(part, kind) for part in heads[1:])
    scores = q @ k.swapaxes(1, 2) / np.sqrt(np.float32(size))
    scores = np.where(np.tri(len(ids), dtype=bool), scores, -np.inf)
    scores = np.exp(scores - scores.max(-1, keepdims=True))
    attention = scores / scores.sum(-1, keepdims=True) @ v
    return (x + attention.swapaxes(0, 1).reshape(x.shape)) @ weights["head"]


@pytest.mark.parametrize("cpu", ["native", "x86-64-v3"])
@pytest.mark.parametrize("kind, size", [("f32", 32), ("f16", 32), ("bf16", 32), ("int8", 32), ("int8", 64), ("f16", 8),
                                        ("int8", 8), ("int8", 20)])
def test_caches_of_another_type(tmp_path, kind, size, cpu):
    """Prompts and single tokens, with more keys than one part of them, are what such a cache gives."""
    model = save_separate(tmp_path / "model.onnx", False, size)
    artifact = compile_model(model, tmp_path / "model.so", "--decoder", "--kv-cache", kind, "--cpu", cpu)
    ids = np.random.default_rng(5).integers(0, 50, 300)
    wanted = attend(ids, kind, size)
    decoder = Decoder(artifact, slots=2, capacity=301)
    dtype = np.int8 if kind == "int8" else dtype_of(kind)
    row = size + 4 if kind == "int8" else size
    assert all(cache.dtype == dtype and cache.shape == (2, 2, 301, row) for cache in decoder.caches.values())
    found = [decoder.step([ids[:90]], [1], [0], range(90))[0]]
    found += [decoder.step([ids[start:start + 1]], [1], [start])[0] for start in range(90, 140)]
    found += [decoder.step([ids[140:280]], [1], [140], range(140))[0]]
    found += [decoder.step([ids[start:start + 1]], [1], [start])[0] for start in range(280, 300)]
    # An element near the middle of two bytes may become either.
    tolerance = 0.05 if kind == "int8" else 2e-3 if kind == "bf16" else 1e-3
    difference = np.abs(np.concatenate(found) - wanted)
    assert difference.max() < tolerance and difference.mean() < 1e-3


def test_results_do_not_depend_on_threads_or_neighbours(tmp_path):
    """Keys are split by sizes alone, and a longer neighbour adds parts without keys."""
    artifact = compile_model(save_separate(tmp_path / "model.onnx", False, 32), tmp_path / "model.so", "--decoder")
    ids = np.random.default_rng(5).integers(0, 50, (2, 700))
    results = []
    for threads in (1, 2, 3):
        decoder = Decoder(artifact, slots=2, capacity=700, threads=threads)
        decoder.step([ids[0, :200]], [0], [0])
        decoder.step([ids[1, :690]], [1], [0])
        alone = decoder.step([ids[0, 200:201]], [0], [200])[0]
        both = decoder.step([ids[0, 200:201], ids[1, 690:691]], [0, 1], [200, 690])
        np.testing.assert_array_equal(both[0], alone)
        results.append(both)
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])


@pytest.mark.parametrize("kind", ["f16", "int8"])
def test_phases_agree_on_narrow_caches(tmp_path, kind):
    model = save_separate(tmp_path / "model.onnx", False)
    result = tenon("compile", model, "-o", tmp_path / "plan.mlir", "--stop-after", "plan", "--dump-phases", tmp_path,
                   "--quiet", "--decoder", "--kv-cache", kind)
    assert result.returncode == 0, result.stderr
    dtype, size = (np.int8, 12) if kind == "int8" else (np.float16, 8)
    ids = np.array([[3, 7, 20, 9]])
    step = {"input_ids": ids, "slots": [0], "starts": [0], "rows": [3], "context": [4],
            **{f"past.{name}": np.zeros((1, 2, 6, size), dtype) for name in ("key", "value")}}
    for phase in ("2-simplify", "4-fuse", "5-schedule", "6-plan"):
        found, = Interpreter(tmp_path / f"{phase}.mlir").run({name: np.array(value) for name, value in step.items()}).values()
        np.testing.assert_allclose(found[0, 0], attend(ids[0], kind, 8)[3], atol=0.05, err_msg=phase)


def test_a_recipe_says_what_caches_are_stored_in(tmp_path):
    model = save_separate(tmp_path / "model.onnx", False)
    (tmp_path / "recipe.json").write_text(json.dumps({"tenon_recipe": 1, "decoder": True, "kv_cache": "int8"}))
    first = compile_model(model, tmp_path / "a.so", "--recipe", tmp_path / "recipe.json")
    again = compile_model(model, tmp_path / "b.so", "--recipe", tmp_path / "a.so.recipe.json")
    assert json.loads((tmp_path / "a.so.recipe.json").read_text())["kv_cache"] == "int8"
    assert first.read_bytes() == again.read_bytes()
    # What is given beside a recipe overrides it.
    other = compile_model(model, tmp_path / "c.so", "--recipe", tmp_path / "recipe.json", "--kv-cache", "f16")
    assert {value.dtype for value in Decoder(other).session.inputs} >= {np.dtype(np.float16)}


def test_info_counts_caches(tmp_path):
    model = save_separate(tmp_path / "model.onnx", False)
    shape = ["--shape", "slots=3,capacity=100,batch=1,sequence=1,rows=1,context=50"]
    for kind, row in (("f32", 32), ("f16", 16), ("int8", 12)):
        artifact = compile_model(model, tmp_path / f"{kind}.so", "--decoder", "--kv-cache", kind)
        said = json.loads(tenon("info", artifact, "--json", *shape).stdout)
        assert said["cache_bytes"] == 2 * 3 * 2 * 100 * row
        text = tenon("info", artifact, *shape).stdout
        assert f"caches                           {said['cache_bytes']} bytes" in text
        total = said["weight_bytes"] + said["cache_bytes"] + said["arena_bytes"]
        assert f"weights, caches and arena        {total * 1e-6:.3f} MB" in text
    plain = compile_model(model, tmp_path / "plain.so")
    assert "caches" not in tenon("info", plain).stdout


def test_a_step_copies_no_cache(tmp_path):
    """Nothing is copied between launches, and no memory of a run grows with the capacity."""
    model = save_separate(tmp_path / "model.onnx", False)
    for kind in ("f32", "int8"):
        text = compile_model(model, tmp_path / "description", "--decoder", "--kv-cache", kind, "--emit",
                             "description").read_text()
        records = [line.split() for line in text.splitlines()]
        assert sum(record[0] == "state" for record in records) == 2
        assert not [record for record in records if record[0] == "copy"]
        slices = [record for record in records if record[0] == "slice"]
        assert slices and not [record for record in slices if "capacity" in " ".join(record) or "slots" in " ".join(record)]
