"""The wheel: runs artifacts where there is neither LLVM nor a checkout."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import venv

import numpy as np
import onnx
import pytest
from conftest import ROOT, compile_model

SCRIPT = """
import pathlib, sys
import numpy as np
import tenon
session = tenon.InferenceSession(sys.argv[1])
print(session.run(["y"], {"x": np.ones((1, 2), np.float32)})[0].tolist())
print(pathlib.Path(tenon.__file__).parent)
mapped = pathlib.Path("/proc/self/maps").read_text()
assert "_runtime.abi3.so" in mapped and "LLVM" not in mapped and "MLIR" not in mapped, mapped
try:
    tenon.compile("m.onnx")
except tenon.Error as error:
    print(error)
"""


def test_lists_the_sources_of_the_runtime():
    """The build of the wheel has a list of its own."""
    cmake = (ROOT / "lib/Runtime/CMakeLists.txt").read_text()
    wanted = re.findall(r"\w+\.cpp", cmake[:cmake.index(")\nset_target")])
    listed = re.findall(r'"lib/Runtime/(\w+\.cpp)"', (ROOT / "pyproject.toml").read_text())
    assert listed == wanted


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy, since setuptools writes beside what it reads."""
    folder = tmp_path_factory.mktemp("wheel")
    for part in ("pyproject.toml", "MANIFEST.in", "LICENSE", "python", "include/tenon-c", "lib/Runtime"):
        (folder / "source" / part).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copy(ROOT / part, folder / "source" / part)
    environment = dict(os.environ)
    if shutil.which("ccache"):
        environment.update(CC="ccache cc", CXX="ccache c++")
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--disable-pip-version-check", "--no-deps", "-w", folder]
    try:  # what the build needs may be here already; else pip fetches it
        import setuptools
        if int(setuptools.__version__.split(".")[0]) >= 77:
            command.append("--no-build-isolation")
    except ImportError:
        pass
    built = subprocess.run([*command, folder / "source"], env=environment, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    return next(folder.glob("*.whl"))


def test_runs_an_artifact_without_llvm(wheel, tmp_path):
    assert "-cp39-abi3-linux" in wheel.name
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Mul", ["x", "w"], ["y"])], "g",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 2])],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["n", 2])],
        [onnx.numpy_helper.from_array(np.float32([2, 3]), "w")])
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)]), tmp_path / "m.onnx")
    artifact = compile_model(tmp_path / "m.onnx", tmp_path / "m.so")

    environment = tmp_path / "venv"
    venv.create(environment)
    python = environment / "bin/python"
    site = next(environment.glob("lib/python*/site-packages"))
    for package in pathlib.Path(np.__file__).parents[1].glob("numpy*"):
        (site / package.name).symlink_to(package)
    subprocess.run([sys.executable, "-m", "pip", "--python", python, "install", "-q", "--disable-pip-version-check",
                    "--no-deps", "--no-index", wheel], check=True)
    run = subprocess.run([python, "-c", SCRIPT, artifact], env={"PATH": "/usr/bin"}, cwd=tmp_path,
                         capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    result, place, message = run.stdout.splitlines()
    assert result == "[[2.0, 3.0]]" and pathlib.Path(place) == site / "tenon"
    assert message.startswith("compiling needs the program 'tenon', which is not in this package")
