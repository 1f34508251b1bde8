"""`tenon compile --remarks` and the schedules of a recipe: what was decided for a region and why,
and deciding it oneself."""
import json
import re

import numpy as np
import onnx
import pytest
from conftest import MODELS, compile_model, tenon
from onnx import TensorProto, helper, numpy_helper
from tenon import Session


@pytest.fixture
def model(tmp_path):
    weight = np.random.default_rng(0).standard_normal((40, 70)).astype(np.float32)
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["p"], "product"), helper.make_node("Relu", ["p"], ["r"], "relu"),
         helper.make_node("Softmax", ["r"], ["s"], "softmax", axis=-1),
         helper.make_node("Add", ["s", "r"], ["a"], "sum"),
         helper.make_node("Cast", ["a"], ["y"], "cast", to=TensorProto.INT64)],
        "g", [info("x", TensorProto.FLOAT, ["rows", 40])],
        [info("y", TensorProto.INT64, None), info("r", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(weight, "w")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
              tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


def remarks(path):
    """(kind, name, node, the other entries) of each remark."""
    found = []
    for text in path.read_text().split("--- !")[1:]:
        entry = {key: value.strip("'") for key, value in re.findall(r"^(?:  - )?(\w+): +(.*?)$", text, re.M)}
        found.append((text.split()[0], entry["Name"], entry["Function"], entry))
    return found


def test_says_what_was_fused_and_what_was_not(model):
    path = model.with_name("r.yaml")
    compile_model(model, model.with_name("m.so"), "--remarks", path)
    found = remarks(path)
    fused = [entry for kind, name, node, entry in found if name == "Fused" and node == "relu"]
    assert fused == [fused[0]] and fused[0]["Remark"] == "as the epilogue of a product"
    assert (fused[0]["Producer"], fused[0]["Consumer"]) == ("matmul", "relu")
    # The result of relu is an output too, and the softmax is no elementwise op.
    obstacles = {(node, entry["Producer"]): entry["Remark"] for kind, name, node, entry in found
                 if (kind, name) == ("Missed", "NotFused")}
    assert obstacles[("softmax", "matmul_relu")] == "it is read more than once"
    assert obstacles[("cast", "softmax")] == "the producer takes no epilogue"


def test_says_how_each_region_is_scheduled(model):
    path = model.with_name("r.yaml")
    compile_model(model, model.with_name("m.so"), "--remarks", path, "--cpu", "x86-64-v3")
    found = remarks(path)
    scheduled = {node: entry for kind, name, node, entry in found if name == "Scheduled"}
    assert scheduled["relu"]["Family"] == "contract" and scheduled["relu"]["Lanes"] == "8"
    assert scheduled["softmax"]["Family"] == "row" and scheduled["softmax"]["Lanes"] == "8"
    assert scheduled["cast"]["Family"] == "loops" and scheduled["cast"]["Lanes"] == "1"
    reason, = [entry["Remark"] for kind, name, node, entry in found if name == "NotVectorized" and node == "cast"]
    assert reason == "an operand or the result has more than 32 bits or one"


def test_says_what_was_recognised_and_what_was_not(tmp_path):
    model = MODELS / "tiny" / "gpt2-past-ts17" / "model.onnx"
    compile_model(model, tmp_path / "m.so", "--remarks", tmp_path / "r.yaml")
    found = [(kind, node, entry) for kind, name, node, entry in remarks(tmp_path / "r.yaml") if "ecognized" in name]
    recognized = {(node, entry["Form"]) for kind, node, entry in found if kind == "Passed"}
    for layer in "01":
        assert (f"/model/transformer/h.{layer}/attn/MatMul_1", "attention") in recognized
        assert (f"/model/transformer/h.{layer}/mlp/act/Mul_3", "gelu") in recognized
    # The exporter hides later keys by the lowest number and not by minus infinity.
    missed = {(node, entry["Form"]): entry["Remark"] for kind, node, entry in found if kind == "Missed"}
    assert set(missed) == {(f"/model/transformer/h.{layer}/attn/MatMul_1", "causal mask") for layer in "01"}
    assert all(reason.startswith("it adds a number that is not minus infinity") for reason in missed.values())


def test_remarks_change_nothing(tmp_path):
    model = MODELS / "tiny" / "gpt2-past-ts17" / "model.onnx"
    plain = compile_model(model, tmp_path / "plain.so")
    told = compile_model(model, tmp_path / "told.so", "--remarks", tmp_path / "r.yaml")
    assert plain.read_bytes() == told.read_bytes()


def test_a_vectorised_loop_has_no_obstacle(model):
    path = model.with_name("r.yaml")
    compile_model(model, model.with_name("m.so"), "--remarks", path)
    assert not [r for r in remarks(path) if r[1] == "NotVectorized" and r[2] in ("relu", "softmax")]


def test_remarks_that_cannot_be_written_are_an_error(model):
    result = tenon("compile", model, "-o", model.with_name("m.so"), "--remarks", model.parent / "none/r.yaml")
    assert result.returncode == 1
    assert "cannot write" in result.stderr and "none/r.yaml" in result.stderr


def compile_scheduled(model, schedules, *options):
    path = model.with_name("s.json")
    nodes = [{"node": node, "schedule": schedule} for node, schedule in schedules.items()]
    path.write_text(json.dumps({"tenon_recipe": 1, "nodes": nodes}))
    return tenon("compile", model, "-o", model.with_name("m.so"), "--recipe", path, "--quiet", *options)


@pytest.mark.parametrize("tile", [[6, 1], [30, 3], [510, 16]])
def test_a_tile_is_what_was_wanted_and_computes_the_same(model, tile):
    plain = Session(compile_model(model, model.with_name("plain.so"), "--cpu", "x86-64-v3"))
    yaml = model.with_name("r.yaml")
    result = compile_scheduled(model, {"relu": {"family": "contract", "tile": tile}}, "--remarks", yaml,
                               "--cpu", "x86-64-v3")
    assert result.returncode == 0, result.stderr
    entry, = [entry for kind, name, node, entry in remarks(yaml) if name == "Scheduled" and node == "relu"]
    assert json.loads(entry["Tile"]) == tile
    for rows in (0, 1, 5, 37):
        x = np.random.default_rng(rows).standard_normal((rows, 40)).astype(np.float32)
        expected, found = (session.run({"x": x})[1] for session in (plain, Session(model.with_name("m.so"))))
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_a_schedule_stands_in_the_text_too(model):
    """What the file asks for is an attribute of the region, and may be written there by hand."""
    dump = model.parent / "phases"
    compile_model(model, model.with_name("m.so"), "--dump-phases", dump)
    text, count = re.subn(r'(tenon\.id = "relu")', r'\1, tenon.schedule = #kernel.schedule<"loops", tile = [], '
                          r'vector = 0>', (dump / "4-fuse.mlir").read_text())
    assert count == 1
    (dump / "4-fuse.mlir").write_text(text)
    result = tenon("compile", dump / "4-fuse.mlir", "-o", model.with_name("n.so"), "--quiet")
    assert result.returncode == 1
    assert "is wanted in kernel family 'loops', which does not take it" in result.stderr


@pytest.mark.parametrize("schedules, message", [
    ({"relu": {"family": "row"}}, "is wanted in kernel family 'row', which does not take it"),
    ({"relu": {"tile": [1, 1]}}, "is wanted with tile [1, 1], but kernel family 'contract' needs rows, a multiple of"),
    ({"relu": {"tile": [8]}}, "but kernel family 'contract' needs rows"),
    ({"softmax": {"tile": [7]}}, "is wanted with tile [7], but kernel family 'row' gives it [1]"),
    ({"product": {"family": "contract"}}, "no region computes node 'product'"),
    ({"none*": {"family": "contract"}}, "no region computes node 'none*'; after phase fuse"),
    ({"[": {"family": "contract"}}, "recipe: '[' is no pattern"),
    ({"relu": {"width": 3}}, "node 'relu': \"schedule\" needs an object with \"family\", a string, \"tile\", an array of "
                             "integers, or both, found {\"width\":3}"),
    ({"relu": {"tile": ["a"]}}, "node 'relu': \"schedule\" needs an object with"),
    ({"relu": {}}, "node 'relu': \"schedule\" needs an object with"), ({"relu": [8, 1]}, "found [8,1]")])
def test_what_cannot_be_done_is_refused(model, schedules, message):
    result = compile_scheduled(model, schedules)
    assert result.returncode == 1
    assert message in result.stderr
    assert not model.with_name("m.so").exists()


@pytest.mark.parametrize("node", ["relu", "r?lu", "*el*"])
def test_the_recipe_that_is_written_has_the_schedules_by_node(model, node):
    schedule = {"family": "contract", "tile": [16, 1]}
    assert compile_scheduled(model, {node: {"tile": [8, 2]}, "relu": schedule}, "--cpu", "x86-64-v4").returncode == 0
    used = json.loads(model.with_name("m.so.recipe.json").read_text())
    assert used["nodes"] == [{"node": "relu", "schedule": schedule}]
    again = compile_model(model, model.with_name("again.so"), "--recipe", model.with_name("m.so.recipe.json"))
    assert again.read_bytes() == model.with_name("m.so").read_bytes()
    assert (again.with_name("again.so.recipe.json").read_text() == model.with_name("m.so.recipe.json").read_text())


def test_a_node_may_have_a_schedule_beside_what_is_stored(model):
    """The product is what weights are decided for, and the region's last node what is scheduled."""
    path = model.with_name("both.json")
    nodes = [{"node": "product", "weights": "int8"}, {"node": "relu", "schedule": {"tile": [8, 1]}}]
    path.write_text(json.dumps({"tenon_recipe": 1, "target": "x86-64-v4", "nodes": nodes}))
    compile_model(model, model.with_name("m.so"), "--recipe", path)
    assert json.loads(model.with_name("m.so.recipe.json").read_text())["nodes"] == nodes


def test_without_schedules_the_recipe_has_none(model):
    compile_model(model, model.with_name("m.so"))
    assert json.loads(model.with_name("m.so.recipe.json").read_text())["nodes"] == []


def test_a_schedule_goes_on_from_text(model):
    dump = model.parent / "phases"
    # Rows for tiles of 6 and of 8.
    schedule = {"relu": {"family": "contract", "tile": [24, 1]}}
    assert compile_scheduled(model, schedule, "--dump-phases", dump).returncode == 0
    path = model.with_name("s.json")
    again = compile_model(dump / "4-fuse.mlir", model.with_name("again.so"), "--recipe", path)
    assert again.with_name("again.so.recipe.json").read_text() == model.with_name("m.so.recipe.json").read_text()
