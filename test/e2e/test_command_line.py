"""What the tool says of arguments that it cannot use: one line, and no file."""
import os
import pathlib

import numpy as np
import pytest
from conftest import tenon
from onnx import parser

MODEL = """<ir_version: 8, opset_import: ["" : 17]>
g (float[n,m] x) => (float[n,m] y) { y = Relu(x) }"""
FORM = "expected NAME=N, NAME=A..B or NAME~N"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("command_line") / "model.onnx"
    path.write_bytes(parser.parse_model(MODEL).SerializeToString())
    return path


def refused(folder, model, message, *options):
    result = tenon("compile", model, "-o", folder / "model.so", "--quiet", *options)
    assert result.returncode == 1 and result.stderr.startswith("error: ") and result.stderr.count("\n") == 1, result.stderr
    assert message in result.stderr and not list(folder.iterdir()), result.stderr


@pytest.mark.parametrize("dims, message", [
    (["z=3"], "model.onnx: --dim names 'z', but the model has the sizes n, m"),
    (["n=1", "m=1", "z=3"], "model.onnx: --dim names 'z', but the model has no sizes that are not fixed"),
    (["n=2", "n=3"], "model.onnx: --dim fixes 'n' and says more of it"),
    (["n=5..2"], "model.onnx: --dim leaves 'n' the empty range 5..2"),
    (["n"], "--dim n: " + FORM), (["n="], "--dim n=: " + FORM), (["=3"], "--dim =3: " + FORM), (["n=-1"], "--dim n=-1: " + FORM),
    (["n=1.."], "--dim n=1..: " + FORM), (["n=1.5"], "--dim n=1.5: " + FORM), (["n~-3"], "--dim n~-3: " + FORM),
    (["n=99999999999999999999"], "--dim n=99999999999999999999: " + FORM),
    (["n=1..8", "n~100"], "model.onnx: --dim wants 'n' to be fast at 100, outside of its range 1..8"),
], ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_sizes(tmp_path, model, dims, message):
    refused(tmp_path, model, message, *(word for dim in dims for word in ("--dim", dim)))


def test_sizes_of_a_module(tmp_path, model):
    """A phase's module has had its sizes from the model; they were ignored."""
    phase = model.parent / "1-import.mlir"
    assert tenon("compile", model, "-o", phase, "--stop-after=import", "--quiet").returncode == 0
    refused(tmp_path, phase, f"--dim n=2: sizes are given with an ONNX model, {phase} has its own", "--dim", "n=2")
    result = tenon("compile", phase, "-o", tmp_path / "model.so", "--quiet")
    assert result.returncode == 0 and (tmp_path / "model.so").exists(), result.stderr


@pytest.mark.parametrize("options, message", [
    (["--emit=foo"], "--emit foo: target cpu writes one of so, exe"), (["--stop-after=foo"], "--stop-after foo: there is no such phase"),
    (["--target=foo"], "--target foo: there is no target 'foo'; there are cpu"),
    (["--cpu=foo"], "--cpu foo: there is no target 'foo'; there are x86-64-v3"),
    (["--target=nvidia", "--cpu=x86-64-v3"], "--cpu x86-64-v3: is for target cpu, not nvidia"),
    (["--kv-cache=int4", "--decoder"], "--kv-cache int4: expected f32, f16, bf16 or int8"),
    (["--kv-cache=int8"], "--kv-cache int8: needs --decoder"),
    (["--recipe=/none"], "recipe '/none': No such file or directory"),
    (["--remarks=/none/x"], "cannot write /none/x"), (["--dump-phases=/dev/null/x"], "cannot create /dev/null/x: Not a directory"),
    (["--before=foo"], "--before foo: expected PHASE=PIPELINE"), (["--before=foo=cse"], "--before foo=cse: there is no such phase"),
    (["--load-pass-plugin=/none"], "--load-pass-plugin /none: Could not load library '/none'"),
    (["--load-dialect-plugin=/none"], "--load-dialect-plugin /none: Could not load library '/none'"),
], ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_options(tmp_path, model, options, message):
    refused(tmp_path, model, message, *options)


@pytest.mark.parametrize("arguments, message", [
    ([], "for the -o option: must be specified at least once!"), (["-o", ""], "error: -o: expected the name of a file"),
    (["-o", "model.so", "--bogus"], "Unknown command line argument '--bogus'"), (["-o", "model.so", "more"], "Too many positional arguments"),
], ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_words(model, arguments, message):
    result = tenon("compile", model, *arguments)
    assert result.returncode == 1 and message in result.stderr, result.stderr


FAKE = pathlib.Path(os.environ["TENON_TEST_ARTIFACTS"]) / "fake.so"


@pytest.mark.parametrize("command", ["run", "bench", "profile", "info", "plan"])
@pytest.mark.parametrize("arguments, code, message", [
    ([], 2, "no artifact is given"), (["/none"], 1, "cannot open artifact '/none': No such file or directory"),
    (["/none.onnx"], 1, "cannot read /none.onnx: No such file or directory"),
    ([FAKE, "more"], 2, "unexpected argument 'more'"), ([FAKE, "--bogus"], 2, "unknown option '--bogus'"),
    ([FAKE, "--shape"], 2, "option '--shape' needs a value"), ([FAKE, "--shape", "batch"], 2, "option '--shape' needs NAME=VALUE, not 'batch'"),
    ([FAKE, "--shape", "batch=x"], 2, "option '--shape' needs a number, not 'x'"),
    ([FAKE, "--shape", "batch=-1"], 2, "option '--shape' needs a number, not '-1'"),
    ([FAKE, "--shape", "z=1"], 1, "the model has no symbol 'z', it has 'batch'"),
], ids=lambda value: " ".join(pathlib.Path(word).name for word in value) if isinstance(value, list) else "")
def test_artifacts_and_sizes(command, arguments, code, message):
    result = tenon(command, *arguments)
    assert result.returncode == code and result.stderr == f"error: {message}\n", result.stderr


@pytest.mark.parametrize("arguments, code, message", [
    ([], 2, "no artifact is given"), ([FAKE], 2, "generate needs --ids"), ([FAKE, "--bogus"], 2, "unknown option '--bogus'"),
    ([FAKE, "more", "--ids", "1"], 2, "unexpected argument 'more'"), ([FAKE, "--ids"], 2, "option '--ids' needs a value"),
    (["/none", "--ids", "1"], 1, "cannot open artifact '/none': No such file or directory"),
    ([FAKE, "--ids", "/none.npy"], 1, "cannot read '/none.npy': No such file or directory"),
    ([FAKE, "--ids", "1,x"], 1, "cannot read '1,x': No such file or directory"),
    ([FAKE, "--ids", "1", "--stop", "a"], 2, "option '--stop' needs N,N,..., not 'a'"),
    ([FAKE, "--ids", "1", "--temperature", "x"], 2, "option '--temperature' needs a number, not 'x'"),
    ([FAKE, "--ids", "1", "--max-tokens", "-1"], 2, "option '--max-tokens' needs a number, not '-1'"),
    ([FAKE, "--ids", "1", "--max-tokens", "0"], 1, "without a number of --max-tokens, --capacity must be given"),
    ([FAKE, "--ids", "1", "--perplexity"], 2, "option '--perplexity' belongs to evaluate, not to generate"),
], ids=lambda value: " ".join(pathlib.Path(word).name for word in value) if isinstance(value, list) else "")
def test_generate(arguments, code, message):
    result = tenon("generate", *arguments)
    assert result.returncode == code and result.stderr == f"error: {message}\n", result.stderr


@pytest.mark.parametrize("content, message", [
    (b"1 2 three", "'{}' has 'three' where an id was expected"),
    (np.zeros(3, np.float32), "'{}' has elements of type f32, ids are integers"),
], ids=["text", "floats"])
@pytest.mark.parametrize("command", [["generate"], ["evaluate", "--perplexity"]], ids=lambda command: command[0])
def test_ids(tmp_path, command, content, message):
    path = tmp_path / ("ids.txt" if isinstance(content, bytes) else "ids.npy")
    path.write_bytes(content) if isinstance(content, bytes) else np.save(path, content)
    result = tenon(*command, FAKE, "--ids", path)
    assert result.returncode == 1 and result.stderr == f"error: {message.format(path)}\n", result.stderr


@pytest.mark.parametrize("arguments, code, message", [
    ([FAKE, "--perplexity"], 2, "evaluate needs --ids"), ([FAKE, "--ids", "1"], 2, "evaluate needs what to find: --perplexity"),
    ([FAKE, "--ids", "1,2,3", "--perplexity"], 1, "'1,2,3' has 3 tokens, too few for 16 windows of 512"),
    ([FAKE, "--ids", "1,2,3", "--perplexity", "--window", "1"], 1, "a window must have 2 tokens or more, not 1"),
    ([FAKE, "--ids", "1,2,3", "--perplexity", "--windows", "0"], 1, "there must be a window"),
    ([FAKE, "--ids", "1", "--perplexity", "--top-k", "3"], 2, "option '--top-k' belongs to generate, not to evaluate"),
], ids=lambda value: " ".join(pathlib.Path(word).name for word in value) if isinstance(value, list) else "")
def test_evaluate(arguments, code, message):
    result = tenon("evaluate", *arguments)
    assert result.returncode == code and result.stderr == f"error: {message}\n", result.stderr


@pytest.mark.parametrize("command", ["generate", "evaluate"])
def test_what_is_no_decoder(command):
    """A model without caches compiles and runs, but goes on with nothing."""
    more = ["--perplexity", "--window", "2", "--windows", "1"] if command == "evaluate" else []
    result = tenon(command, FAKE, "--ids", "1,2", *more)
    assert result.returncode == 1 and result.stderr.startswith("error: ") and "decoder" in result.stderr, result.stderr


@pytest.mark.parametrize("arguments, code, message", [
    (["run", FAKE, "--ids", "1"], 2, "option '--ids' belongs to generate and evaluate, not to run"),
    (["run", FAKE, "--input", "x"], 2, "option '--input' needs NAME=VALUE, not 'x'"),
    (["run", FAKE, "--input", "z=/none.npy"], 1, "the model has no input 'z', it has 'x', 'the mask'"),
    (["run", FAKE, "--input", "x=/none.npy"], 1, "cannot read '/none.npy': No such file or directory"),
    (["run", FAKE, "--shape", "batch=99999999999999999999"], 1, "input 'x' is too large"),
    (["run", FAKE, "--atol", "x"], 2, "option '--atol' needs a number, not 'x'"),
    (["bench", FAKE, "--seconds", "-1"], 2, "option '--seconds' needs a number, not '-1'"),
    (["profile", FAKE, "--trace"], 2, "option '--trace' needs a value"),
], ids=lambda value: " ".join(map(str, value[::2])).replace("/", "") if isinstance(value, list) else "")
def test_options_of_one_command(arguments, code, message):
    result = tenon(*arguments)
    assert result.returncode == code and result.stderr == f"error: {message}\n", result.stderr


def test_subcommands():
    result = tenon("foo")
    assert result.returncode == 1 and result.stderr.startswith("tenon: there is no subcommand 'foo'\n")
