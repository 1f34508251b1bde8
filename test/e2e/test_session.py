"""The Python session on an artifact written by hand: y = (x . W) * mask."""
import os
import pathlib
import stat
import sys
import threading

import numpy as np
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "python"))
import tenon

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

    class Foreign:
        """Any array that is not numpy's."""

        def __dlpack__(self, **options):
            return given["x"].__dlpack__(**options)

        def __dlpack_device__(self):
            return given["x"].__dlpack_device__()

    for x in (np.asfortranarray(given["x"]), given["x"].tolist(), Foreign()):
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
    with pytest.raises(tenon.Error, match="version 99.*version 1"):
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
        "compile", "m.onnx", "-o", str(output), "--dim=batch=1"]
    with pytest.raises(tenon.Error, match="node n: no"):
        tenon.compile("bad.onnx", output)
