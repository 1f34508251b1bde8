"""Compiles by running the program `tenon`."""
import json
import os
import pathlib
import shutil
import subprocess

from ._error import Error

# What the program ends with when all that is wrong is not supported.
UNSUPPORTED = 3


def find_compiler():
    """The program: TENON_COMPILER, beside the package, in a build, on PATH."""
    if "TENON_COMPILER" in os.environ:
        named = os.environ["TENON_COMPILER"]
        found = shutil.which(named)
        if not found:
            raise Error(f"cannot run the compiler: TENON_COMPILER names "
                        f"{named!r}, which is no program")
        return found
    here = pathlib.Path(__file__).resolve().parent
    places = [here / "tenon"]
    places += [here.parents[1] / "build" / p / "bin/tenon" for p in ("release", "dev")]
    places += [parent / "bin/tenon" for parent in here.parents]  # cmake --install
    found = next((str(p) for p in places if os.access(p, os.X_OK) and p.is_file()),
                 None) or shutil.which("tenon")
    if not found:
        raise Error("compiling needs the program 'tenon', which is not in this "
                    "package: it runs what was compiled. Build Tenon and put "
                    "its bin/tenon on PATH, or let TENON_COMPILER name it")
    return found


def compile(path, output=None, dims=None, recipe=None, decoder=False, weights_from=None,
            weight_names=None):
    """Compiles an ONNX model and returns the path of the artifact.

    `output` is where the artifact goes: beside the model with the suffix .so
    when it is None. `dims` fixes symbols: {"batch": 1}. `recipe` is the path of
    a recipe: what to store in int8 or narrow, node by node. `decoder` is for
    language models with a cache, which Generator then runs. `weights_from` is
    the path of a safetensors or GGUF file, or a list of such, to take weights
    from, and `weight_names` that of JSON which says what weights are called in
    there: docs/guides/weights-from-files.md. Raises Error, with `unsupported` set where Tenon has no code for some of the nodes.
    """
    output = str(output or pathlib.Path(path).with_suffix(".so"))
    command = [find_compiler(), "compile", str(path), "-o", output, "--quiet"]
    for name, size in (dims or {}).items():
        command.append(f"--dim={name}={size}")
    if recipe:
        command.append(f"--recipe={recipe}")
    if decoder:
        command.append("--decoder")
    if isinstance(weights_from, (str, os.PathLike)):
        weights_from = [weights_from]
    for file in weights_from or []:
        command.append(f"--weights-from={os.fspath(file)}")
    if weight_names:
        command.append(f"--weight-names={os.fspath(weight_names)}")
    _run(command)
    return output


def compile_with(path, output, options):
    """Compiles with these options of `tenon compile`. Raises Error."""
    _run([find_compiler(), "compile", str(path), "-o", str(output), "--quiet", *options])


def info(path, sizes=None):
    """What `tenon info --json` says of a model or an artifact, as a dictionary.

    `sizes` are those to evaluate it at: {"batch": 1}; runs nothing.
    """
    command = [find_compiler(), "info", str(path), "--json"]
    if sizes:
        command.append("--shape=" + ",".join(f"{n}={s}" for n, s in sizes.items()))
    return json.loads(_run(command))


def _run(command):
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError as error:
        raise Error(f"cannot run the compiler: {error}") from None
    if done.returncode:
        message = done.stderr.strip()
        if done.returncode < 0:
            message = f"the compiler crashed\n{message}"
        raise Error(message or f"the compiler ended with {done.returncode}",
                    unsupported=done.returncode == UNSUPPORTED)
    return done.stdout
