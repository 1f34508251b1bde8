"""What the tool and the runtime do with files and machines that they cannot use."""
import os
import pathlib
import resource
import shutil
import signal
import subprocess

import numpy as np
import onnx
import pytest
from conftest import BUILD, compile_model, tenon
from onnx import TensorProto, helper, numpy_helper

import tenon as package

FAKE = pathlib.Path(os.environ["TENON_TEST_ARTIFACTS"]) / "fake.so"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """y = (x . 1) . 1 through eight thousand columns."""
    path = tmp_path_factory.mktemp("refusals") / "model.onnx"
    weights = [numpy_helper.from_array(np.ones(shape, np.float32), name)
               for name, shape in (("u", (1, 8192)), ("w", (8192, 2)))]
    nodes = [helper.make_node("ReduceSum", ["x"], ["sum"], keepdims=1, axes=[1]),
             helper.make_node("MatMul", ["sum", "u"], ["wide"]), helper.make_node("MatMul", ["wide", "w"], ["y"])]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["b", "n"])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["b", 2])], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 12)], ir_version=8), path)
    return path


def emulated(processor, *command):
    emulator = shutil.which("qemu-x86_64")
    if not emulator:
        pytest.skip("there is no qemu-x86_64 (package qemu-user)")
    return subprocess.run([emulator, "-cpu", processor, *map(str, command)], capture_output=True, text=True)


LACKS = "needs a processor with features that this one lacks (movbe, lzcnt, bmi, bmi2, avx, fma, f16c, avx2)"


def test_a_processor_without_what_the_code_needs(model, tmp_path):
    artifact = compile_model(model, tmp_path / "model.so", "--cpu=x86-64-v3")
    result = emulated("Nehalem", BUILD / "bin/tenon", "run", artifact, "--shape", "b=1,n=1")
    assert result.returncode == 1 and LACKS in result.stderr, result.stderr
    result = emulated("Haswell", BUILD / "bin/tenon", "run", artifact, "--shape", "b=1,n=1")
    assert "y: f32[1, 2]" in result.stdout, result.stderr


def test_a_program_on_a_processor_without_what_it_needs(model, tmp_path):
    program = compile_model(model, tmp_path / "program", "--emit=exe", "--cpu=x86-64-v3")
    result = emulated("Nehalem", program, "run", "--shape", "b=1,n=1")
    assert result.returncode == 1 and LACKS in result.stderr, result.stderr


def test_a_program_says_what_is_wrong(model, tmp_path):
    program = compile_model(model, tmp_path / "program", "--emit=exe")
    for arguments, code, message in ((["--threads", "100000"], 1, "threads must be from 0 to 4096"),
                                     (["--shape", "z=1"], 1, "the model has no symbol 'z'"),
                                     (["--bogus"], 2, "unknown option '--bogus'")):
        result = subprocess.run([program, "run", *arguments], capture_output=True, text=True)
        assert result.returncode == code and message in result.stderr, result.stderr
    content = bytearray(program.read_bytes())
    content[content.index(b"symbol b ")] = ord("S")
    program.unlink()  # a program that runs cannot be written to
    program.write_bytes(content)
    program.chmod(0o755)
    result = subprocess.run([program, "run"], capture_output=True, text=True)
    assert result.returncode == 1 and "is damaged" in result.stderr, result.stderr


def test_sizes_that_wrap_around(model, tmp_path):
    """Without elements an input may have any size; the scratch memory of this one has 2^65 bytes."""
    session = package.Session(compile_model(model, tmp_path / "model.so"), threads=1)
    for rows in (2**50, 2**58):
        with pytest.raises(package.Error, match="is too large|are too large|out of memory"):
            session.run({"x": np.empty((rows, 0), np.float32)})
    assert session.run({"x": np.ones((40000, 1), np.float32)})[0][-1, 0] == 8192


@pytest.mark.parametrize("threads", [-1, 100000, 2**32 + 1])
def test_numbers_of_threads(threads):
    with pytest.raises(package.Error, match=f"threads must be from 0 to 4096, is {threads}"):
        package.Session(FAKE, threads=threads)


@pytest.mark.parametrize("threads, message", [
    ("-1", "option '--threads' needs a number, not '-1'"), ("100000", "threads must be from 0 to 4096, is 100000"),
    ("4294967297", "threads must be from 0 to 4096")])
def test_numbers_of_threads_in_words(threads, message):
    result = tenon("run", FAKE, "--threads", threads)
    assert result.returncode in (1, 2) and message in result.stderr


def data_set(folder, **files):
    """input_0 and input_1 of the fake artifact as they should be, but for `files`."""
    arrays = {"x": np.ones((2, 4), np.float32), "the mask": np.ones(2, np.int64)}
    for number, (name, array) in enumerate(arrays.items()):
        content = numpy_helper.from_array(array, name).SerializeToString()
        content = files.get(f"input_{number}", content)
        if content is not None:
            (folder / f"input_{number}.pb").write_bytes(content)
    return folder


def proto(**fields):
    return TensorProto(**fields).SerializeToString()


X = numpy_helper.from_array(np.ones((2, 4), np.float32), "x").SerializeToString()


@pytest.mark.parametrize("content, message", [
    (X[:-5], "input_0.pb' is no TensorProto: it ends or changes in the middle of a field"),
    (b"", "input_0.pb' has ONNX element type 0, which the runtime does not know"),
    (b"\xff" * 30, "input_0.pb' is no TensorProto"),
    (b"\x08\x02\x10\x08", "input_0.pb' has ONNX element type 8"),
    (proto(dims=[2, 4], data_type=11, raw_data=bytes(64), name="x"), "input 'x' must be f32, is f64"),
    (proto(dims=[8], data_type=1, raw_data=bytes(32), name="x"), "input 'x' must have 2 dimensions, has 1"),
    (proto(dims=[1] * 17, data_type=1, raw_data=bytes(4), name="x"), "has 17 dimensions, at most 16 are possible"),
    (proto(dims=[2, 4], data_type=1, raw_data=bytes(31), name="x"),
     "input_0.pb' has 31 bytes of data, its dimensions need 32"),
    (proto(dims=[2**62, 4], data_type=1, raw_data=bytes(32), name="x"), "input_0.pb' has a size of 4"),
    (proto(dims=[2**40, 4], data_type=1, raw_data=bytes(32), name="x"), "its dimensions need 17592186044416"),
    (proto(dims=[-2, 4], data_type=1, raw_data=bytes(32), name="x"), "input_0.pb' has a size of -2"),
    (proto(dims=[2, 4], data_type=1, data_location=1, name="x"), "keeps its data in another file"),
    (proto(dims=[3, 4], data_type=1, raw_data=bytes(48), name="x"), "'batch' is 2 in dimension 0 of input 'the mask'"),
    (None, "input 'x' is not set"),
], ids=lambda value: value[:30] if isinstance(value, str) else "")
def test_data_sets(tmp_path, content, message):
    result = tenon("run", FAKE, "--data-set", data_set(tmp_path, input_0=content))
    assert result.returncode == 1 and message in result.stderr, result.stderr


def test_data_sets_that_are_not_there(tmp_path):
    result = tenon("run", FAKE, "--data-set", tmp_path / "none")
    assert result.returncode == 1 and "there is no data set" in result.stderr
    (data_set(tmp_path) / "input_2.pb").write_bytes(X.replace(b"x", b"z"))
    result = tenon("run", FAKE, "--data-set", tmp_path)
    assert "input_2.pb' is for input 2, the model has 2" in result.stderr
    (tmp_path / "input_2.pb").unlink()
    (tmp_path / "input_1.pb").unlink()
    (tmp_path / "input_1.pb").mkdir()
    result = tenon("run", FAKE, "--data-set", tmp_path)
    assert "input_1.pb': it is not a file" in result.stderr


@pytest.mark.parametrize("content, message", [
    (b"\x93NUMPY\x01\x00\x76\x00{'descr':", "is truncated"),
    (b"\x93NUMPY\x01\x00\x0a\x00{'descr':}", "has element type ''"),
    (b"\x93NUMPY\x01\x00\x40\x00{'descr': '<i8', 'fortran_order': False, 'shape': 82,)" + b" " * 20, "has no list of sizes"),
    (b"\x93NUMPY\x01\x00\x47\x00{'descr': '<i8', 'fortran_order': False, 'shape': (9" + b"9" * 18 + b",)}", "is too large"),
])
def test_arrays(tmp_path, content, message):
    (tmp_path / "mask.npy").write_bytes(content)
    result = tenon("run", FAKE, "--data-set", data_set(tmp_path), "--input", f"the mask={tmp_path / 'mask.npy'}")
    assert result.returncode == 1 and f"mask.npy' {message}" in result.stderr, result.stderr


def limited(bytes, *arguments):
    """Runs the tool where files may have so many bytes, as on a disk that becomes full."""
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (bytes, bytes))
    return subprocess.run([BUILD / "bin/tenon", *map(str, arguments)], capture_output=True, text=True,
                          preexec_fn=limit, restore_signals=False)


def test_outputs_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    result = tenon("run", FAKE, "--output", tmp_path / "file/folder")
    assert result.returncode == 1 and "output_0.pb': Not a directory" in result.stderr
    (tmp_path / "full").mkdir()
    (tmp_path / "full/output_0.pb").symlink_to("/dev/full")
    result = tenon("run", FAKE, "--output", tmp_path / "full")
    assert result.returncode == 1 and "output_0.pb': No space left on device" in result.stderr
    result = limited(10, "run", FAKE, "--output", tmp_path / "small")
    assert result.returncode == 1 and "output_0.pb': File too large" in result.stderr
    assert not list((tmp_path / "small").iterdir())


def test_artifacts_that_are_none(tmp_path):
    (tmp_path / "text").write_text("text " * 100)
    for path, message in ((tmp_path, "is not a file"), (tmp_path / "text", "is not an artifact: not a 64-bit little-endian ELF file"),
                          (tmp_path / "none", "cannot open artifact"), ("/bin/true", "has no ELF note named 'Tenon'")):
        result = tenon("run", path)
        assert result.returncode == 1 and message in result.stderr, result.stderr
