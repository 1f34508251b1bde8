"""`tenon compile --tune`: what it finds is a recipe, which compiles to the same again. What is found depends on the
clock, so tests ask only what holds for any of it."""
import json
import re
import signal

import numpy as np
import onnx
import pytest
from conftest import MODELS, compile_model, tenon
from onnx import TensorProto, helper, numpy_helper
from tenon import Session
from test_interrupted import ended

HINTS = ["--dim", "rows~16"]


def save(path, nodes, outputs):
    random = np.random.default_rng(0)
    weights = [numpy_helper.from_array(random.standard_normal((256, 256)).astype(np.float32), name) for name in ("w", "v")]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", 256])],
                              [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.fixture
def model(tmp_path):
    """Three products: two of one kernel, whose names would be patterns, and one of its own."""
    (tmp_path / "model").mkdir()
    return save(tmp_path / "model/model.onnx", [
        helper.make_node("MatMul", ["x", "w"], ["p"], "layer[0]/*"), helper.make_node("MatMul", ["p", "v"], ["q"], "layer[1]/*"),
        helper.make_node("MatMul", ["q", "w"], ["r"], "last"), helper.make_node("Relu", ["r"], ["y"], "relu")], ["y"])


@pytest.fixture
def out(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def test_the_recipe_says_what_was_found_and_gives_the_same(model, out):
    result = tenon("compile", model, "-o", out / "tuned.so", *HINTS, "--tune", "0.5")
    assert result.returncode == 0, result.stderr
    assert re.search(r"^tune +1 of \d+: \[\d+, \d+\].*; best so far for \d of 2 kernels", result.stderr, re.M)
    recipe = json.loads((out / "tuned.so.recipe.json").read_text())
    found = {entry["node"]: entry["schedule"] for entry in recipe["nodes"]}
    assert set(found) <= {"layer[0]/*", "layer[1]/*", "relu"}
    for schedule in found.values():
        assert schedule["family"] == "contract" and len(schedule["tile"]) == 2
    # The first two are one kernel, so that they have one schedule.
    assert found.get("layer[0]/*") == found.get("layer[1]/*")
    if found:
        assert re.search(r"^tune +the model: [\d.]+ to [\d.]+ ms \([\d.]+ % less\)$", result.stderr, re.M)
    else:
        assert "no other tile is faster" in result.stderr or "; all stays as by default" in result.stderr
    again = compile_model(model, out / "again.so", "--recipe", out / "tuned.so.recipe.json")
    assert again.read_bytes() == (out / "tuned.so").read_bytes()
    assert (out / "again.so.recipe.json").read_text() == (out / "tuned.so.recipe.json").read_text()
    plain = compile_model(model, out / "plain.so", *HINTS)
    assert bool(found) == (plain.read_bytes() != again.read_bytes())
    for rows in (0, 1, 16, 37):
        x = np.random.default_rng(rows).standard_normal((rows, 256)).astype(np.float32)
        (expected,), (got,) = (Session(path).run({"x": x}) for path in (plain, again))
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-2)


def test_what_a_recipe_says_stays_beside_it(model, out):
    """Weights are stored as it says, and a tile of its own is what others are measured against."""
    path = model.with_name("recipe.json")
    nodes = [{"node": "last", "weights": "int8"}, {"node": "relu", "schedule": {"tile": [6, 4]}}]
    path.write_text(json.dumps({"tenon_recipe": 1, "sizes": ["rows~16"], "target": "x86-64-v3", "nodes": nodes}))
    result = tenon("compile", model, "-o", out / "tuned.so", "--recipe", path, "--tune", "0.1")
    assert result.returncode == 0, result.stderr
    recipe = json.loads((out / "tuned.so.recipe.json").read_text())
    assert recipe["nodes"][0] == nodes[0] and recipe["target"] == "x86-64-v3"
    relu, = [entry["schedule"] for entry in recipe["nodes"] if entry["node"] == "relu"]
    assert relu == nodes[1]["schedule"] or relu["family"] == "contract" and relu["tile"] != [6, 4]
    assert sorted(path.name for path in out.iterdir()) == ["tuned.so", "tuned.so.recipe.json"]


def test_programs_too(model, out):
    result = tenon("compile", model, "-o", out / "program", *HINTS, "--tune", "0.1", "--emit", "exe", "--quiet")
    assert result.returncode == 0 and result.stderr == ""
    assert (out / "program").read_bytes()[:4] == b"\x7fELF"


def test_models_without_products(tmp_path, out):
    path = save(tmp_path / "relu.onnx", [helper.make_node("Relu", ["x"], ["y"], "relu")], ["y"])
    result = tenon("compile", path, "-o", out / "m.so", *HINTS, "--tune", "1")
    assert result.returncode == 0 and "no kernel of this model has tiles to choose from" in result.stderr
    assert json.loads((out / "m.so.recipe.json").read_text())["nodes"] == []


def test_without_it_nothing_is_measured(model, out):
    result = tenon("compile", model, "-o", out / "m.so", *HINTS)
    assert "tune" not in result.stderr
    assert json.loads((out / "m.so.recipe.json").read_text())["nodes"] == []


@pytest.mark.parametrize("options, message", [
    (["--tune", "0"], "expected seconds, more than 0"), (["--tune", "-1"], "expected seconds, more than 0"),
    (["--tune", "1", "--emit", "obj"], "runs what is compiled, which --emit obj does not give"),
    (["--tune", "1", "--stop-after", "plan"], "runs what is compiled, which --stop-after plan is not"),
    (["--tune", "1", "--target", "nvidia"], "target nvidia has no tiles to choose"),
    (["--tune", "1"], "measures at the sizes to be fast at, so it needs --dim rows~N")],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_what_cannot_be_measured(model, out, options, message):
    result = tenon("compile", model, "-o", out / "m.so", *options)
    assert result.returncode == 1 and result.stderr == f"error: --tune: {message}\n"
    assert not list(out.iterdir())


def test_machines_that_are_not_this(model, out):
    facts = json.loads(tenon("target", "x86-64-v4").stdout)
    path = model.with_name("other.json")
    path.write_text(json.dumps({**facts, "name": "other", "cpu": "diamondrapids"}))
    result = tenon("compile", model, "-o", out / "m.so", *HINTS, "--tune", "1", "--cpu", path)
    assert result.returncode == 1 and result.stderr == "error: --tune: this machine cannot run code for other\n"


def test_text_of_an_earlier_phase(model, out):
    compile_model(model, out / "fuse.mlir", "--stop-after", "fuse")
    result = tenon("compile", out / "fuse.mlir", "-o", out / "m.so", "--tune", "1")
    assert result.returncode == 1
    assert result.stderr == f"error: --tune: begins with an ONNX model, not with {out}/fuse.mlir\n"


def test_what_is_wrong_with_the_model_is_said_once(tmp_path, out):
    path = save(tmp_path / "bad.onnx", [helper.make_node("Nothing", ["x"], ["y"], "node")], ["y"])
    plain = tenon("compile", path, "-o", out / "m.so", "--quiet")
    tuned = tenon("compile", path, "-o", out / "m.so", "--quiet", "--tune", "1")
    assert (tuned.returncode, tuned.stderr) == (plain.returncode, plain.stderr) and plain.returncode == 3
    assert not list(out.iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", [0.05, "4-fuse.mlir", "other.so"])
def test_signals(model, out, number, moment):
    ended(out, number, moment, "compile", model, "-o", out / "m.so", *HINTS, "--tune", "30", "--quiet",
          environment={"TMPDIR": str(out)})
