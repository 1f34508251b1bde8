"""The bytes of an artifact depend on the model and the options alone: not on the
phase that a compilation goes on from, nor on the processor that compiles."""
import shutil
import subprocess

import pytest
from conftest import BUILD, MODELS, compile_model

PHASES = ["1-import", "2-simplify", "3-compress", "4-fuse", "5-schedule", "6-plan"]
# An encoder, a decoder with its past, and one whose attention is a single node; of the corpus beside the project.
TINY = ["bert-dynamo20-sdpa", "llama-past-ts17", "decoder-standard24"]


def model_of(name, request):
    if name == "minilm":
        return request.getfixturevalue("minilm") / "model.onnx"
    if not MODELS.exists():
        pytest.skip("needs the corpus of models beside the project")
    return MODELS / "tiny" / name / "model.onnx"


@pytest.mark.parametrize("name", ["minilm", *TINY])
def test_going_on_from_each_dump_gives_identical_bytes(name, request, tmp_path):
    whole = compile_model(model_of(name, request), tmp_path / "whole.so", "--dump-phases", tmp_path / "dump").read_bytes()
    dumps = sorted((tmp_path / "dump").glob("*.mlir"))
    assert [dump.stem for dump in dumps] == PHASES
    for dump in dumps:
        assert compile_model(dump, tmp_path / "part.so").read_bytes() == whole, dump.name


def others():
    """(model, emulated processor, target); all but one take too long for every run."""
    for target in ("x86-64-v3", "x86-64-v4"):
        for emulated in ("Nehalem", "Skylake-Server"):
            for name in TINY:
                first = (name, emulated, target) == (TINY[0], "Nehalem", "x86-64-v3")
                yield pytest.param(name, emulated, target, marks=[] if first else pytest.mark.full)


@pytest.mark.parametrize("name, emulated, target", list(others()))
def test_compiling_on_another_processor_gives_identical_bytes(name, emulated, target, request, tmp_path):
    emulator = shutil.which("qemu-x86_64")
    if not emulator:
        pytest.skip("needs qemu-x86_64, of Debian's package qemu-user")
    model = model_of(name, request)
    here = compile_model(model, tmp_path / "here.so", "--cpu", target).read_bytes()
    there = subprocess.run([emulator, "-cpu", emulated, BUILD / "bin/tenon", "compile", model, "-o",
                            tmp_path / "there.so", "--quiet", "--cpu", target], capture_output=True, text=True)
    # The emulator itself warns of features that it lacks.
    assert there.returncode == 0, there.stderr
    assert (tmp_path / "there.so").read_bytes() == here
