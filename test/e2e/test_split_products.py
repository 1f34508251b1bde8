"""Products of f32 and f16 in matrix registers of bf16: no less exact than multiply-adds, also of what has no parts."""
import json

import numpy as np
import onnx
import pytest
import tenon as package
from conftest import compile_model, skip_unless_runs, tenon
from onnx import helper, numpy_helper
from tenon._interpreter import Interpreter

CPU = "sapphirerapids-amx"
# K of less than a step, of whole steps and not, of one part of the sum and of more; N of no whole panels, and of many.
SHAPES = [(32, 64), (33, 65), (70, 50), (768, 96), (800, 40), (1537, 33), (96, 1100), (1600, 600)]
# From where rows are split, in blocks of 16 and 32, and in more than one tile of them.
ROWS = [1, 24, 25, 32, 47, 49, 255, 281, 600]


def save(folder, shapes, rng, weights=None, dtype=np.float32):
    """y = max(x · w + b, 0) for each shape."""
    nodes, inputs, outputs, initializers, arrays = [], [], [], [], []
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    for i, (k, n) in enumerate(shapes):
        w = rng.standard_normal((k, n), np.float32).astype(dtype) if weights is None else weights
        b = rng.standard_normal(n, np.float32).astype(dtype)
        nodes += [helper.make_node("MatMul", [f"x{i}", f"w{i}"], [f"p{i}"], f"product{i}"),
                  helper.make_node("Add", [f"p{i}", f"b{i}"], [f"s{i}"], f"add{i}"),
                  helper.make_node("Relu", [f"s{i}"], [f"y{i}"], f"relu{i}")]
        inputs.append(helper.make_tensor_value_info(f"x{i}", kind, ["m", k]))
        outputs.append(helper.make_tensor_value_info(f"y{i}", kind, ["m", n]))
        initializers += [numpy_helper.from_array(w, f"w{i}"), numpy_helper.from_array(b, f"b{i}")]
        arrays.append((w, b))
    graph = helper.make_graph(nodes, "g", inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / "model.onnx")
    return folder / "model.onnx", arrays


def exact(x, w, b):
    return np.maximum(x.astype(np.float64) @ w.astype(np.float64) + b, 0)


def error_of(found, wanted):
    return np.sqrt(np.mean((found - wanted) ** 2))


@pytest.mark.parametrize("dtype, tile", [(np.float32, None), (np.float32, (40, 3)), (np.float32, (512, 40)),
                                         (np.float16, None), (np.float16, (512, 40))])
def test_no_less_exact_than_multiply_adds(tmp_path, dtype, tile):
    """Root mean square of the errors. Rows are no less exact with others than alone."""
    skip_unless_runs(CPU)
    rng = np.random.default_rng(0)
    model, weights = save(tmp_path, SHAPES, rng, dtype=dtype)
    options = []
    if tile:
        nodes = [{"node": f"relu{i}", "schedule": {"family": "contract", "tile": tile}} for i in range(len(SHAPES))]
        (tmp_path / "recipe.json").write_text(json.dumps({"tenon_recipe": 1, "nodes": nodes}))
        options = ["--recipe", tmp_path / "recipe.json"]
    split = package.Session(compile_model(model, tmp_path / "split.so", "--cpu", CPU, *options), threads=2,
                            check_memory=True)
    added = package.Session(compile_model(model, tmp_path / "added.so", "--cpu", "x86-64-v4"), threads=2)
    for m in ROWS:
        feed = {f"x{i}": rng.standard_normal((m, k), np.float32).astype(dtype) for i, (k, _) in enumerate(SHAPES)}
        for i, (one, other) in enumerate(zip(split.run(feed), added.run(feed))):
            wanted = exact(feed[f"x{i}"], *weights[i])
            assert error_of(one, wanted) <= 1.1 * error_of(other, wanted), (m, SHAPES[i])


def test_what_has_no_parts(tmp_path):
    """Infinities, NaN and the largest floats give what multiply-adds give, and only in their rows."""
    skip_unless_runs(CPU)
    rng = np.random.default_rng(1)
    for k, n in ((64, 96), (1600, 40)):
        model, [(w, b)] = save(tmp_path, [(k, n)], rng)
        session = package.Session(compile_model(model, tmp_path / "model.so", "--cpu", CPU))
        x = rng.standard_normal((100, k), np.float32)
        x[3, 5], x[40, 7], x[41, 0], x[99, k - 1] = np.inf, -np.inf, np.nan, np.finfo(np.float32).max
        x[50], x[60] = 0, 1e-41
        [found] = session.run({"x0": x})
        with np.errstate(all="ignore"):
            wanted = exact(x, w, b).astype(np.float32)
        for row in (3, 40, 99):
            # Relu makes zero of minus infinity.
            np.testing.assert_array_equal(np.isinf(found[row]), np.isinf(wanted[row]))
        assert np.isnan(found[41]).all()
        usual = [row for row in range(100) if row not in (3, 40, 41, 99)]
        np.testing.assert_allclose(found[usual], wanted[usual], rtol=1e-5, atol=1e-4)


def test_weights_that_are_not_finite(tmp_path):
    skip_unless_runs(CPU)
    rng = np.random.default_rng(2)
    w = rng.standard_normal((64, 96), np.float32)
    w[5, 17], w[6, 80] = np.inf, np.nan
    model, [(_, b)] = save(tmp_path, [(64, 96)], rng, w)
    x = np.abs(rng.standard_normal((70, 64), np.float32))
    [found] = package.Session(compile_model(model, tmp_path / "model.so", "--cpu", CPU)).run({"x0": x})
    assert np.isposinf(found[:, 17]).all() and np.isnan(found[:, 80]).all()
    rest = np.delete(np.arange(96), [17, 80])
    np.testing.assert_allclose(found[:, rest], exact(x, w[:, rest], b[rest]), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("dtype, parts, tolerance", [(np.float32, 3, 1e-6), (np.float16, 2, 1e-3)])
def test_alike_in_all_phases(tmp_path, dtype, parts, tolerance):
    """Where they are and where they are not: a machine without matrix registers, and the same in the interpreter."""
    rng = np.random.default_rng(3)
    model, weights = save(tmp_path, [(71, 50), (800, 40)], rng, dtype=dtype)
    feed = {f"x{i}": rng.standard_normal((41, len(w)), np.float32).astype(dtype) for i, (w, _) in enumerate(weights)}
    for cpu, splits in ((CPU, True), ("sapphirerapids", False)):
        result = tenon("compile", model, "-o", tmp_path / "plan.mlir", "--stop-after", "plan", "--quiet", "--cpu", cpu)
        assert result.returncode == 0, result.stderr
        assert (f"kernel.multiply_tiles bf16 split {parts} " in (tmp_path / "plan.mlir").read_text()) == splits
        found = Interpreter(tmp_path / "plan.mlir").run(feed)
        for i, (w, b) in enumerate(weights):
            wanted = exact(feed[f"x{i}"], w, b)
            assert np.abs(found[f"y{i}"] - wanted).max() <= tolerance * np.abs(wanted).max()
