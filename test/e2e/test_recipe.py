"""Compression by a recipe, against onnxruntime on weights changed in the same way."""
import json
import re

import numpy as np
import onnx
import pytest
from conftest import compile_model, encoder_inputs, reference, tenon

INT8 = [{"node": "*/dense/MatMul", "weights": "int8"}, {"node": "*/self/*/MatMul", "weights": "int8"}]
NARROW = [{"node": "*/intermediate/dense/MatMul", "width": 1152},
          {"node": "*layer.3/intermediate/dense/MatMul", "width": 768}]


def write_recipe(folder, nodes, **others):
    path = folder / "recipe.json"
    path.write_text(json.dumps({"tenon_recipe": 1, "nodes": nodes, **others}))
    return path


class Weights:
    """The weights of a model, to be changed and saved again."""

    def __init__(self, path):
        self.model = onnx.load(path)
        self.tensors = {tensor.name: tensor for tensor in self.model.graph.initializer}

    def of(self, node):
        """The name of the weight that the product `node` reads."""
        found = next(n for n in self.model.graph.node if n.name == node)
        return next(name for name in found.input if name in self.tensors)

    def get(self, name):
        return onnx.numpy_helper.to_array(self.tensors[name])

    def set(self, name, values):
        self.tensors[name].CopyFrom(onnx.numpy_helper.from_array(np.ascontiguousarray(values), name))

    def quantize(self, node):
        values = self.get(self.of(node))
        scale = np.abs(values).max(0) / np.float32(127)
        self.set(self.of(node), (np.rint(values / scale).clip(-127, 127) * scale).astype(np.float32))

    def narrow(self, layer, width):
        up, down = (self.of(f"{layer}/{part}/dense/MatMul") for part in ("intermediate", "output"))
        bias = next(name for name in self.tensors if name.endswith("intermediate.dense.bias")
                    and layer.split("/")[-1] + "." in name)
        strength = (self.get(up).astype(float) ** 2).sum(0) * (self.get(down).astype(float) ** 2).sum(1)
        keep = np.sort(np.argsort(-strength, kind="stable")[:width])
        self.set(up, self.get(up)[:, keep])
        self.set(down, self.get(down)[keep])
        self.set(bias, self.get(bias)[keep])

    def save(self, path):
        onnx.save(self.model, path, save_as_external_data=True, location=path.name + ".data")
        return path


def layers():
    return [f"/model/encoder/layer.{i}" for i in range(6)]


def quantize_all(weights):
    for layer in layers():
        for part in ("attention/self/query", "attention/self/key", "attention/self/value",
                     "attention/output/dense", "intermediate/dense", "output/dense"):
            weights.quantize(f"{layer}/{part}/MatMul")


def narrow_all(weights):
    for i, layer in enumerate(layers()):
        weights.narrow(layer, 768 if i == 3 else 1152)


@pytest.mark.parametrize("nodes, changes", [(INT8, [quantize_all]), (NARROW, [narrow_all]),
                                            (INT8 + NARROW, [narrow_all, quantize_all])],
                         ids=["int8", "narrow", "both"])
@pytest.mark.parametrize("cpu", ["native", "x86-64-v3"])
def test_matches_onnxruntime_on_changed_weights(minilm, tmp_path, nodes, changes, cpu):
    import tenon as package
    artifact = compile_model(minilm / "model.onnx", tmp_path / "minilm.so", "--cpu", cpu,
                             "--recipe", write_recipe(tmp_path, nodes))
    weights = Weights(minilm / "model.onnx")
    for change in changes:
        change(weights)
    changed = weights.save(tmp_path / "changed.onnx")
    session = package.Session(artifact, threads=2)
    for batch, sequence in [(1, 1), (2, 17), (1, 128)]:
        inputs = encoder_inputs(batch, sequence)
        want, = reference(changed, inputs)
        got, = session.run(inputs)
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-4)
    # An artifact holds what was derived; nothing is left beside it.
    assert not list(tmp_path.glob("minilm.so.derived*"))


def test_int8_keeps_the_embeddings(minilm, tmp_path):
    import tenon as package
    exact = package.Session(compile_model(minilm / "model.onnx", tmp_path / "f32.so"))
    int8 = package.Session(compile_model(minilm / "model.onnx", tmp_path / "int8.so",
                                         "--recipe", write_recipe(tmp_path, INT8)))
    inputs = encoder_inputs(4, 40)
    mask = inputs["attention_mask"][:, :, None]
    means = [(session.run(inputs)[0] * mask).sum(1) for session in (exact, int8)]
    cosine = (means[0] * means[1]).sum(1) / np.linalg.norm(means[0], axis=1) / np.linalg.norm(means[1], axis=1)
    assert cosine.min() > 0.99
    sizes = [(tmp_path / f"{name}.so").stat().st_size for name in ("f32", "int8")]
    # 10.6 of 22.6 million parameters take a byte instead of four.
    assert sizes[1] < sizes[0] - 30e6


@pytest.mark.parametrize("cpu", ["native", "x86-64-v3"])
def test_bf16_is_close_and_smaller(minilm, tmp_path, cpu):
    """On a machine without fast products of bf16 only weights are rounded."""
    import tenon as package
    model = minilm / "model.onnx"
    exact = package.Session(compile_model(model, tmp_path / "f32.so", "--cpu", cpu))
    artifact = compile_model(model, tmp_path / "bf16.so", "--cpu", cpu, "--precision", "bf16")
    inputs = encoder_inputs(4, 40)
    want, got = (session.run(inputs)[0] for session in (exact, package.Session(artifact)))
    error = np.linalg.norm(got - want) / np.linalg.norm(want)
    assert 1e-4 < error < 3e-2
    # 10.6 of 22.6 million parameters take two bytes instead of four.
    assert artifact.stat().st_size < (tmp_path / "f32.so").stat().st_size - 20e6
    nodes = json.loads((tmp_path / "bf16.so.recipe.json").read_text())["nodes"]
    assert {"node": "/model/encoder/layer.3/intermediate/dense/MatMul", "precision": "bf16"} in nodes


def test_one_node_may_stay_in_f32(minilm, tmp_path):
    dump = tmp_path / "compress.mlir"
    compile_model(minilm / "model.onnx", dump, "--precision", "bf16", "--stop-after", "compress", "--cpu", "znver4",
                  "--recipe", write_recipe(tmp_path, [{"node": "*/layer.3/output/dense/MatMul", "precision": "f32"}]))
    products = [line for line in dump.read_text().splitlines() if "graph.matmul" in line]
    exact = [line for line in products if "bf16>" not in line]
    assert len(exact) == 1 and "layer.3/output" in exact[0] and len(products) == 36


def test_says_what_a_lower_precision_changes(minilm, tmp_path):
    import onnx
    import tenon as package
    model, data = minilm / "model.onnx", tmp_path / "data"
    data.mkdir()
    inputs = encoder_inputs(2, 24)
    for number, (name, value) in enumerate(inputs.items()):
        onnx.save_tensor(onnx.numpy_helper.from_array(value, name), data / f"input_{number}.pb")
    exact = package.Session(compile_model(model, tmp_path / "f32.so"))
    done = tenon("compile", model, "-o", tmp_path / "bf16.so", "--precision", "bf16", "--data-set", data)
    assert done.returncode == 0, done.stderr
    heading, columns, line = done.stdout.splitlines()
    assert heading == f"against f32, on '{data}'" and columns.split()[0] == "output"
    want, got = (session.run(inputs)[0].astype(np.float64) for session in (exact, package.Session(tmp_path / "bf16.so")))
    error = np.abs(got - want)
    name, *found = line.split()
    assert name == "last_hidden_state"
    np.testing.assert_allclose([float(number) for number in found], [
        error.max(), error.mean(), error.max() / np.abs(want).max(), error.mean() / np.abs(want).mean()], rtol=0.01)
    # One line for what was lowered, and one for each reason why not.
    notes = [line for line in done.stderr.splitlines() if "products: " in line]
    counts = [int(re.search(r"(\d+) of 42 products: ", note).group(1)) for note in notes]
    assert sum(counts) == 42 and " in bf16, " in notes[0]
    # Attention has no weights to halve where bf16 is no faster.
    assert len(notes) == 1 or (counts == [36, 6] and "stays in f32: bf16 is no faster" in notes[1])
    # Nothing is asked for, and nothing is said.
    assert "products: " not in tenon("compile", model, "-o", tmp_path / "f32.so").stderr


def test_a_data_set_needs_something_to_compare(minilm, tmp_path):
    model, data = minilm / "model.onnx", tmp_path / "data"
    out = ("-o", tmp_path / "m.so", "--data-set", data)

    def refused(*arguments):
        done = tenon("compile", *arguments)
        assert done.returncode == 1 and not done.stdout and not (tmp_path / "m.so").exists()
        assert len(done.stderr.splitlines()) == 1
        return done.stderr

    assert "nothing to compare, since neither --precision nor the recipe asks for bf16" in refused(model, *out)
    assert "there is no input_0.pb" in refused(model, *out, "--precision", "bf16")
    assert "needs an artifact that can be run" in refused(model, *out, "--precision", "bf16", "--emit", "obj")
    assert "needs an ONNX model" in refused(tmp_path / "4-fuse.mlir", *out, "--precision", "bf16")


def test_precision_must_be_known(minilm, tmp_path):
    done = tenon("compile", minilm / "model.onnx", "-o", tmp_path / "m.so", "--precision", "f16")
    assert done.returncode == 1 and "--precision f16: expected f32 or bf16" in done.stderr


def test_the_recipe_written_gives_identical_bytes(minilm, tmp_path):
    first = compile_model(minilm / "model.onnx", tmp_path / "first.so", "--dim", "sequence~64",
                          "--recipe", write_recipe(tmp_path, INT8 + NARROW))
    written = tmp_path / "first.so.recipe.json"
    again = compile_model(minilm / "model.onnx", tmp_path / "again.so", "--recipe", written)
    assert again.read_bytes() == first.read_bytes()
    assert (tmp_path / "again.so.recipe.json").read_bytes() == written.read_bytes()
    recipe = json.loads(written.read_text())
    assert recipe["sizes"] == ["sequence~64"]
    assert {"node": "/model/encoder/layer.3/intermediate/dense/MatMul", "weights": "int8", "width": 768} \
        in recipe["nodes"]


def test_dumps_hold_the_recipe(minilm, tmp_path):
    whole = compile_model(minilm / "model.onnx", tmp_path / "whole.so", "--dump-phases", tmp_path / "dump",
                          "--recipe", write_recipe(tmp_path, INT8 + NARROW)).read_bytes()
    for name in ("3-compress", "4-fuse", "6-plan"):
        part = compile_model(tmp_path / f"dump/{name}.mlir", tmp_path / "part.so")
        assert part.read_bytes() == whole, name
        assert (tmp_path / "part.so.recipe.json").read_bytes() == (tmp_path / "whole.so.recipe.json").read_bytes()


@pytest.mark.parametrize("nodes, message", [
    ([{"node": "a", "precision": "f16"}], '"precision" needs "f32" or "bf16", found "f16"'),
    ([{"node": "*/dense/MatMul", "weights": "int3"}], '"weights" needs "f32", "int8" or "int4", found "int3"'),
    ([{"node": "a", "width": 100}], '"width" needs a positive multiple of 32, found 100'),
    ([{"node": "a", "colour": 1}], 'unknown key "colour", expected weights, group, width, precision, activations or schedule'),
    ([{"node": "a", "weights": "int4", "group": 24}], '"group" needs a power of two from 16 to 256, found 24'),
    ([{"node": "a", "group": 32}], "node 'a': \"group\" needs \"weights\" of \"int8\" or \"int4\""),
    ([{"node": "a", "activations": "int4"}], '"activations" needs "f32" or "int8", found "int4"'),
    ([{"weights": "int8"}], 'needs a string "node"'),
    ([{"node": "[", "weights": "int8"}], "recipe: '[' is no pattern: "),
    ([{"node": "*/nothing", "weights": "int8"}], "node '*/nothing' fits none of the model's"),
    ([{"node": "*/intermediate/dense/MatMul", "width": 2048}], "cannot be narrowed to 2048 columns: it has 1536"),
    ([{"node": "*layer.0*/query/MatMul", "width": 128}], "cannot be narrowed:"),
])
def test_bad_recipes(minilm, tmp_path, nodes, message):
    result = tenon("compile", minilm / "model.onnx", "-o", tmp_path / "x.so", "--recipe",
                   write_recipe(tmp_path, nodes))
    assert result.returncode == 1
    assert message in result.stderr
    assert not list(tmp_path.glob("x.so*"))


def test_a_file_that_is_no_recipe(minilm, tmp_path):
    for text, message in (("{", "recipe '"), ("{}", '"tenon_recipe": 1'),
                          ('{"tenon_recipe": 1, "sizes": 3}', '"sizes" needs an array'),
                          ('{"tenon_recipe": 1, "kv_cache": "int4"}', '"kv_cache" needs "f32", "f16", "bf16" or "int8"'),
                          ('{"tenon_recipe": 1, "kv_cache": "int8"}', '--kv-cache int8: needs --decoder'),
                          ('{"tenon_recipe": 1, "speed": 3}', 'unknown key "speed", expected target, sizes, decoder, kv_cache or nodes')):
        (tmp_path / "recipe.json").write_text(text)
        result = tenon("compile", minilm / "model.onnx", "-o", tmp_path / "x.so", "--recipe", tmp_path / "recipe.json")
        assert result.returncode == 1 and message in result.stderr, result.stderr
    result = tenon("compile", minilm / "model.onnx", "-o", tmp_path / "x.so", "--recipe", tmp_path / "none.json")
    assert result.returncode == 1 and "none.json" in result.stderr
