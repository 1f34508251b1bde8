"""The Python session on an artifact written by hand: y = (x . W) * mask."""
import collections
import os
import pathlib
import stat
import sys
import threading

import numpy as np
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "python"))
import tenon
from tenon import _dlpack

ARTIFACTS = pathlib.Path(os.environ["TENON_TEST_ARTIFACTS"])
W = np.arange(16, dtype=np.float32).reshape(4, 4)


@pytest.fixture
def session():
    return tenon.Session(ARTIFACTS / "fake.so", threads=2, profile=True)


def inputs(batch):
    x = np.arange(batch * 4, dtype=np.float32).reshape(batch, 4)
    return {"x": x, "the mask": np.arange(batch) % 3}


def expected(given):
    return given["x"] @ W * given["the mask"][:, None].astype(np.float32)


def test_describes_inputs_and_outputs(session):
    assert session.inputs[0] == ("x", np.float32, ("batch", 4))
    assert session.inputs[1] == ("the mask", np.int64, ("batch",))
    assert session.outputs[0] == ("y", np.float32, ("batch", 4))
    assert session.outputs[1] == ("rows", np.int64, ())


@pytest.mark.parametrize("batch", [0, 1, 5, 300])
def test_computes_for_any_size(session, batch):
    given = inputs(batch)
    y, rows = session.run(given)
    np.testing.assert_allclose(y, expected(given))
    assert rows.shape == () and rows == batch


def test_outputs_outlive_the_next_run_and_the_session(session):
    first = inputs(4)
    y, _ = session.run(first)
    session.run(inputs(300))
    del session
    np.testing.assert_allclose(y, expected(first))


def test_takes_strided_arrays_lists_and_dlpack(session):
    given = inputs(6)
    assert session.run([np.empty((0, 4), np.float32), []])[1] == 0
    for x in (np.asfortranarray(given["x"]), given["x"].tolist(), Foreign(given["x"].T.copy().T)):
        y, _ = session.run([x, given["the mask"]])
        np.testing.assert_allclose(np.from_dlpack(y), expected(given))


@pytest.mark.parametrize("change, message", [
    ({"x": np.zeros((2, 4))}, "input 'x' must be float32, is float64"),
    ({"x": np.zeros((2, 5), np.float32)}, "must have size 4 in dimension 1, has 5"),
    ({"x": np.zeros(4, np.float32)}, "must have 2 dimensions, has 1"),
    ({"x": np.zeros((3, 4), np.float32)}, "'batch' is 2 in dimension 0"),
    ({"z": 1}, "no input 'z'"),
])
def test_says_what_does_not_fit(session, change, message):
    with pytest.raises(tenon.Error, match=message):
        session.run({**inputs(2), **change})


def test_says_what_is_missing(session):
    with pytest.raises(tenon.Error, match="'the mask' is not set"):
        session.run({"x": inputs(2)["x"]})
    with pytest.raises(tenon.Error, match="has 2 inputs, 1 are given"):
        session.run([inputs(2)["x"]])


def test_refuses_artifacts_that_it_cannot_load():
    with pytest.raises(tenon.Error, match="none.so"):
        tenon.Session(ARTIFACTS / "none.so")
    with pytest.raises(tenon.Error, match="version 99.*version 6"):
        tenon.Session(ARTIFACTS / "fake-newer.so")


def test_times_launches(session):
    session.run(inputs(64))
    assert [launch.calls for launch in session.profile] == [1, 1]
    assert session.profile[1].nodes == ["layer/mul", "layer/cast"]


def test_runs_in_many_threads(session):
    given, wrong = inputs(50), []

    def body():
        for _ in range(100):
            y, _ = session.run(given)
            if not np.array_equal(y, expected(given)):
                wrong.append(y)

    threads = [threading.Thread(target=body) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_compiled_model_runs_in_many_threads(tmp_path, monkeypatch):
    """What the compiler wrote on one module: sessions come, run and go side by side."""
    onnx = pytest.importorskip("onnx")
    try:
        tenon._compiler.find_compiler()
    except tenon.Error as error:
        pytest.skip(str(error))
    monkeypatch.delenv("LD_PRELOAD", raising=False)  # a sanitizer's is for this process only
    weight = np.arange(64 * 64, dtype=np.float32).reshape(64, 64) % 7
    nodes = [onnx.helper.make_node("MatMul", ["x", "w"], ["product"]), onnx.helper.make_node("Relu", ["product"], ["y"])]
    graph = onnx.helper.make_graph(
        nodes, "g", [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 64])],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["n", 64])],
        [onnx.numpy_helper.from_array(weight, "w")])
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)]), tmp_path / "m.onnx")
    module = tenon.Module(tenon.compile(tmp_path / "m.onnx", tmp_path / "m.so"))
    wrong = []

    def body(threads):
        for n in range(1, 40):
            session = tenon.Session(module, threads=threads)
            x = np.full((n, 64), threads - 2, np.float32)
            if not np.array_equal(session.run([x])[0], np.maximum(x @ weight, 0)):
                wrong.append(n)

    threads = [threading.Thread(target=body, args=(count,)) for count in (1, 2, 3, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_two_sessions_run_at_the_same_time():
    """A run of this artifact ends when a second one has begun, or after 10 s."""
    module, given, rows = tenon.Module(ARTIFACTS / "fake-meeting.so"), inputs(2), []
    threads = [threading.Thread(target=lambda: rows.append(
        tenon.Session(module, threads=1).run(given)[1])) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert rows == [2, 2]


def test_writes_to_arrays_of_the_caller(session):
    given = inputs(3)
    y = np.full((3, 4), np.nan, np.float32)
    results = session.run(given, {"y": y})
    assert results[0] is y and results[1] == 3
    np.testing.assert_allclose(y, expected(given))
    session.run(inputs(3))  # the array is the caller's again
    np.testing.assert_allclose(y, expected(given))


class Foreign:
    """An array that is not numpy's, and what became of it."""

    def __init__(self, array, device=1, **edits):
        self.array, self.device, self.edits = array, device, edits

    def __dlpack_device__(self):
        return self.device, 0

    def __dlpack__(self, **options):
        capsule = self.array.__dlpack__(**options)
        form = _dlpack._Versioned if options else _dlpack._Managed
        tensor = form.from_address(_dlpack._get_pointer(capsule, form.names[0])).tensor
        for name, value in self.edits.items():
            setattr(tensor, name, value)
        return capsule


class Old(Foreign):
    """One from before DLPack 1.0."""

    def __dlpack__(self):
        return super().__dlpack__()


def read_only(array):
    array.flags.writeable = False
    return array


@pytest.mark.parametrize("kind", [Foreign, Old])
def test_uses_the_memory_of_dlpack_tensors(session, kind):
    given, y = inputs(3), np.empty((3, 4), np.float32)
    results = session.run([kind(given["x"]), kind(given["the mask"])], {"y": kind(y)})
    assert isinstance(results[0], kind)
    np.testing.assert_allclose(y, expected(given))


def test_gives_the_memory_of_dlpack_tensors_back():
    memory = np.arange(6, dtype=np.float32)
    before = sys.getrefcount(memory)
    for kind in (Foreign, Old):
        array = _dlpack.from_dlpack(kind(memory), None)[1:]
        assert sys.getrefcount(memory) > before
        assert np.shares_memory(array, memory) and array.flags.writeable
        del array
        assert sys.getrefcount(memory) == before
    # A capsule that is refused goes back too.
    with pytest.raises(tenon.Error, match="type 5 with 32 bits"):
        _dlpack.from_dlpack(Foreign(memory, code=5), None)
    assert sys.getrefcount(memory) == before


@pytest.mark.parametrize("array", [
    np.arange(24, dtype=np.int16).reshape(2, 3, 4)[:, ::2, ::-1], np.array(3.0),
    np.zeros((0, 3), np.uint8), np.array([True, False]), np.arange(3, dtype=np.float16),
    read_only(np.arange(3, dtype=np.uint64))], ids=lambda a: f"{a.dtype}{a.shape}")
def test_sees_what_the_producer_has(array):
    seen = _dlpack.from_dlpack(Foreign(array), None)
    assert seen.dtype == array.dtype and seen.shape == array.shape
    assert seen.flags.writeable == array.flags.writeable or not array.size
    np.testing.assert_array_equal(seen, array)


def test_sees_bfloat16():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    array = np.array([1.5, -2], ml_dtypes.bfloat16)
    seen = _dlpack.from_dlpack(Foreign(array.view(np.uint16), code=4), array.dtype)
    assert seen.dtype == array.dtype and (seen == array).all()


def test_reads_memory_that_is_read_only(session):
    given = inputs(3)
    want = expected(given)
    y, _ = session.run([Foreign(read_only(given["x"])), read_only(given["the mask"])])
    np.testing.assert_allclose(y, want)


def test_reads_memory_that_is_not_aligned(session):
    given = inputs(3)
    x = np.frombuffer(b"." + given["x"].tobytes(), np.uint8)[1:].view(np.float32).reshape(3, 4)
    assert not x.flags.aligned
    np.testing.assert_allclose(session.run([x, given["the mask"]])[0], expected(given))


def test_takes_any_mapping(session):
    given = collections.UserDict(inputs(2))
    np.testing.assert_allclose(session.run(given)[0], expected(given))


@pytest.mark.parametrize("mask, message", [
    ([1.5, 2], "input 'the mask' cannot be made int64: it has fractions"),
    ([2**70, 0], "input 'the mask' cannot be made int64: "),
    ([[1], [2, 3]], "input 'the mask' cannot be made int64: "),
])
def test_lists_are_not_cut_down(session, mask, message):
    with pytest.raises(tenon.Error, match=message):
        session.run([inputs(2)["x"], mask])


@pytest.mark.parametrize("x, message", [
    (Foreign(np.zeros((3, 4), np.float32), device=2),
     "input 'x' lies on device 0 of DLPack type 2, must lie in the memory of the CPU"),
    (Foreign(np.zeros((3, 4), np.float32), code=5, bits=64), "input 'x' has elements of DLPack type 5"),
    (Foreign(np.zeros((3, 4), np.float64)), "input 'x' must be float32, is float64"),
    (object(), "input 'x' must be float32, is object"),
    (Old(read_only(np.zeros((3, 4), np.float32))), "input 'x' is no array: .*readonly"),
], ids=["device", "complex", "f64", "object", "no-export"])
def test_refuses_inputs(session, x, message):
    with pytest.raises(tenon.Error, match=message):
        session.run([x, inputs(3)["the mask"]])


@pytest.mark.parametrize("y, message", [
    (np.empty((4, 3), np.float32), r"must be float32 \(3, 4\), is float32 \(4, 3\)"),
    (np.empty((3, 4), np.float64), r"must be float32 \(3, 4\), is float64 \(3, 4\)"),
    (np.empty((3, 8), np.float32)[:, ::2], "must be aligned and row-major without gaps"),
    (Foreign(read_only(np.empty((3, 4), np.float32))), "is read-only"),
    (Old(read_only(np.empty((3, 4), np.float32))), "cannot be written to"),
    ([[0] * 4] * 3, "must be numpy's or speak DLPack"),
], ids=["shape", "type", "strided", "read-only", "read-only-old", "list"])
def test_refuses_arrays_for_outputs(session, y, message):
    with pytest.raises(tenon.Error, match="the array for output 'y' " + message):
        session.run(inputs(3), {"y": y})


def test_refuses_outputs_over_inputs(session):
    given = inputs(3)
    with pytest.raises(tenon.Error, match="'y' overlaps"):
        session.run(given, {"y": given["x"]})
    with pytest.raises(tenon.Error, match="no output 'z', it has 'y', 'rows'"):
        session.run(given, {"z": given["x"]})


def test_takes_tensors_of_torch(session):
    torch = pytest.importorskip("torch")
    given = inputs(3)
    x, y = torch.from_dlpack(given["x"]), torch.empty(3, 4)
    results = session.run([x, torch.from_dlpack(given["the mask"])], {"y": y})
    assert results[0] is y
    np.testing.assert_allclose(np.from_dlpack(y), expected(given))
    rows = torch.from_dlpack(session.run(given)[1])
    assert rows.item() == 3
    with pytest.raises(tenon.Error, match="input 'x' is no array.*requires? grad"):
        session.run([x.clone().requires_grad_(), given["the mask"]])
    bfloat16 = torch.tensor([1.5, -2], dtype=torch.bfloat16)
    assert list(_dlpack.from_dlpack(bfloat16, np.uint16)) == [0x3fc0, 0xc000]


def test_takes_arrays_of_jax(session):
    jax = pytest.importorskip("jax")
    given = inputs(3)
    result, _ = session.run([jax.numpy.asarray(given["x"]), given["the mask"]])
    np.testing.assert_allclose(jax.numpy.from_dlpack(result), expected(given))
    bfloat16 = jax.numpy.asarray([1.5, -2], jax.numpy.bfloat16)
    assert list(_dlpack.from_dlpack(bfloat16, np.uint16)) == [0x3fc0, 0xc000]


def test_compile_passes_arguments_and_messages(tmp_path, monkeypatch):
    compiler = tmp_path / "compiler"
    compiler.write_text('#!/bin/sh\necho "$@" > "$4"\n'
                        '[ "$2" = bad.onnx ] && echo "node n: no" >&2 && exit 1\n'
                        'exit 0\n')
    compiler.chmod(compiler.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("TENON_COMPILER", str(compiler))
    output = tmp_path / "m.so"
    assert tenon.compile("m.onnx", output, dims={"batch": 1}) == str(output)
    assert output.read_text().split() == [
        "compile", "m.onnx", "-o", str(output), "--quiet", "--dim=batch=1"]
    with pytest.raises(tenon.Error, match="node n: no"):
        tenon.compile("bad.onnx", output)


def test_says_that_there_is_no_compiler(tmp_path, monkeypatch):
    monkeypatch.delenv("TENON_COMPILER", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(tenon._compiler, "__file__", str(tmp_path / "a/b/_compiler.py"))
    with pytest.raises(tenon.Error, match="needs the program 'tenon', which is not in this package"):
        tenon.compile("m.onnx")
    monkeypatch.setenv("TENON_COMPILER", "/none/tenon")
    with pytest.raises(tenon.Error, match="TENON_COMPILER names '/none/tenon'"):
        tenon.compile("m.onnx")
