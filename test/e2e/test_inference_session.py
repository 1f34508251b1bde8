"""InferenceSession, the interface of onnxruntime, and the cache behind it."""
import pathlib
import threading

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import tenon

TYPES = ["FLOAT", "UINT8", "INT8", "UINT16", "INT16", "INT32", "INT64", "BOOL", "FLOAT16", "DOUBLE", "UINT32",
         "UINT64", "BFLOAT16"]


def save(path, nodes, inputs, outputs, initializers=()):
    graph = helper.make_graph(nodes, "g", inputs, outputs, list(initializers))
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), path)
    return path


def tensor(name, kind, shape):
    return helper.make_tensor_value_info(name, getattr(TensorProto, kind), shape)


def scale(path, factor):
    """y = factor * x"""
    return save(path, [helper.make_node("Mul", ["x", "w"], ["y"], name="scale")], [tensor("x", "FLOAT", ["n", 2])],
                [tensor("y", "FLOAT", ["n", 2])], [onnx.numpy_helper.from_array(np.float32([factor] * 2), "w")])


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TENON_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def artifacts(cache):
    """How many there are; nothing else is in the folder but compiled kernels."""
    files = [path for path in cache.iterdir() if path.name != "kernels"]
    assert all(path.suffix == ".so" for path in files)
    return len(files)


def of_ones(session):
    return session.run(None, {"x": np.ones((3, 2), np.float32)})[0].tolist()


def test_is_what_onnxruntime_is(tmp_path, cache):
    nodes = [helper.make_node("Add", ["a", "b"], ["sum"]), helper.make_node("Relu", ["sum"], ["positive"]),
             helper.make_node("Cast", ["positive"], ["whole"], to=TensorProto.INT64)]
    model = save(tmp_path / "m.onnx", nodes, [tensor("a", "FLOAT", ["n", 2]), tensor("b", "FLOAT", [2])],
                 [tensor("positive", "FLOAT", ["n", 2]), tensor("whole", "INT64", ["n", 2])])
    import onnxruntime
    theirs = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    feed = {"a": np.float32([[1, -2], [3, 4]]), "b": np.float32([1, 1])}
    for given in (model, str(model), model.read_bytes()):
        ours = tenon.InferenceSession(given)
        for mine, other in zip(ours.get_inputs() + ours.get_outputs(), theirs.get_inputs() + theirs.get_outputs()):
            assert (mine.name, mine.type, mine.shape) == (other.name, other.type, other.shape)
        for names in (None, [], ["positive", "whole"], ["whole"], ["whole", "positive"]):
            found, expected = ours.run(names, feed), theirs.run(names, feed)
            assert len(found) == len(expected)
            for mine, other in zip(found, expected):
                assert mine.dtype == other.dtype
                np.testing.assert_array_equal(mine, other)


def test_every_element_type(tmp_path, cache):
    model = save(tmp_path / "m.onnx", [helper.make_node("Identity", [f"x{t}"], [f"y{t}"]) for t in TYPES],
                 [tensor(f"x{t}", t, ["n"]) for t in TYPES], [tensor(f"y{t}", t, ["n"]) for t in TYPES])
    session = tenon.InferenceSession(model)
    names = [value.type.removeprefix("tensor(").rstrip(")").upper() for value in session.get_inputs()]
    assert names == TYPES
    feed = {f"x{t}": np.array([0, 1, 1], helper.tensor_dtype_to_np_dtype(getattr(TensorProto, t))) for t in TYPES}
    assert feed["xBFLOAT16"].dtype == ml_dtypes.bfloat16
    for given, found in zip(feed.values(), session.run(None, feed)):
        assert found.dtype == given.dtype
        np.testing.assert_array_equal(found, given)


def test_opens_artifacts_and_says_what_it_does_not(tmp_path, cache):
    model = scale(tmp_path / "m.onnx", 2)
    artifact = tenon.compile(model)
    session = tenon.InferenceSession(artifact, threads=1)
    assert of_ones(session) == [[2, 2]] * 3
    assert artifacts(cache) == 0
    with pytest.raises(tenon.Error, match="no output 'z', it has 'y'"):
        session.run(["z"], {})
    with pytest.raises(tenon.Error, match="opened by its path"):
        tenon.InferenceSession(pathlib.Path(artifact).read_bytes())
    with pytest.raises(tenon.Error, match="m.so is compiled already"):
        tenon.InferenceSession(artifact, dims={"n": 1})
    with pytest.raises(tenon.Error, match="cannot read the model: .*none.onnx"):
        tenon.InferenceSession(tmp_path / "none.onnx")
    with pytest.raises(tenon.Error, match="cannot compile into the cache: .*none.json"):
        tenon.InferenceSession(model, recipe=tmp_path / "none.json")


def test_compiles_what_is_new_and_only_that(tmp_path, cache, monkeypatch):
    compiled = []
    original = tenon._cache.compile
    monkeypatch.setattr(tenon._cache, "compile", lambda *a: compiled.append(a) or original(*a))
    model = scale(tmp_path / "m.onnx", 2)

    def is_new(**options):
        before = len(compiled)
        of_ones(tenon.InferenceSession(model, **options))
        return len(compiled) > before

    assert is_new() and not is_new()
    scale(tmp_path / "m.onnx", 3)
    assert is_new() and not is_new()
    scale(tmp_path / "m.onnx", 2)
    assert not is_new()
    assert is_new(dims={"n": 3}) and not is_new(dims={"n": 3})
    (tmp_path / "recipe.json").write_bytes(pathlib.Path(tenon.compile(model) + ".recipe.json").read_bytes())
    assert is_new(recipe=tmp_path / "recipe.json") and not is_new(recipe=tmp_path / "recipe.json")
    # Another compiler: the same behind a script.
    script = tmp_path / "tenon"
    script.write_text(f'#!/bin/sh\nexec {tenon._compiler.find_compiler()} "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("TENON_COMPILER", str(script))
    assert is_new() and not is_new()
    assert artifacts(cache) == len(compiled)


def test_external_data_is_part_of_the_model(tmp_path, cache):
    graph = onnx.load(scale(tmp_path / "m.onnx", 2))
    onnx.save(graph, tmp_path / "m.onnx", save_as_external_data=True, location="w" * 200, size_threshold=0)
    assert of_ones(tenon.InferenceSession(tmp_path / "m.onnx")) == [[2, 2]] * 3
    (tmp_path / ("w" * 200)).write_bytes(np.float32([5, 6]).tobytes())
    assert of_ones(tenon.InferenceSession(tmp_path / "m.onnx")) == [[5, 6]] * 3
    (tmp_path / ("w" * 200)).unlink()
    with pytest.raises(tenon.Error, match="www"):
        tenon.InferenceSession(tmp_path / "m.onnx")


def test_a_failed_compilation_leaves_nothing(tmp_path, cache):
    model = save(tmp_path / "m.onnx", [helper.make_node("Det", ["x"], ["y"], name="det")],
                 [tensor("x", "FLOAT", [1, 2, 2])], [tensor("y", "FLOAT", None)])
    with pytest.raises(tenon.Error, match=r"^error: node 'det' \(Det, ai.onnx, opset 21\)") as caught:
        tenon.InferenceSession(model)
    assert caught.value.unsupported
    model.write_bytes(b"not a model")
    with pytest.raises(tenon.Error) as caught:
        tenon.InferenceSession(model)
    assert not caught.value.unsupported
    assert artifacts(cache) == 0


def test_says_where_it_cannot_write(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TENON_CACHE", str(tmp_path / "file"))
    with pytest.raises(tenon.Error, match="cannot compile into the cache: .*file"):
        tenon.InferenceSession(scale(tmp_path / "m.onnx", 2))


def test_many_compile_the_same_at_once(tmp_path, cache):
    model, found = scale(tmp_path / "m.onnx", 2), []
    threads = [threading.Thread(target=lambda: found.append(of_ones(tenon.InferenceSession(model)))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[[2, 2]] * 3] * 4
    assert artifacts(cache) == 1
