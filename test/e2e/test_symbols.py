"""What a profiler or a debugger shows of an artifact: symbols that name ONNX nodes."""
import json
import re
import subprocess

import numpy as np
import onnx
import pytest
from conftest import compile_model, tenon
from onnx import TensorProto, helper, numpy_helper


def symbols(artifact):
    result = subprocess.run(["llvm-nm-22", artifact], capture_output=True, text=True, check=True)
    return [line.split()[2] for line in result.stdout.splitlines() if line.split()[1] in "tT"]


@pytest.fixture(scope="module")
def artifact(minilm, tmp_path_factory):
    return compile_model(minilm / "model.onnx", tmp_path_factory.mktemp("symbols") / "minilm.so")


def test_every_kernel_names_its_first_node_and_how_many_more(artifact):
    launches = json.loads(tenon("plan", artifact, "--json").stdout)["launches"]
    by_kernel = {}
    for launch in launches:
        by_kernel.setdefault(launch["kernel"], []).append(launch["nodes"].split(","))
    found = symbols(artifact)
    assert len(set(found)) == len(found)
    for kernel, nodes in by_kernel.items():
        symbol, = (name for name in found if name.startswith(kernel + "__"))
        more = f"__and_{len(nodes) - 1}_more" if len(nodes) > 1 else ""
        node = re.sub("[^A-Za-z0-9]+", "_", nodes[0][-1]).strip("_")[-64:].lstrip("_")
        assert symbol == f"{kernel}__{node}{more}"
        assert len(symbol) <= 160
    assert len(found) == len(by_kernel) + 2  # tenon_run and tenon_sizes


def test_names_are_the_same_every_time(minilm, artifact, tmp_path):
    again = compile_model(minilm / "model.onnx", tmp_path / "again.so")
    assert again.read_bytes() == artifact.read_bytes()


def test_names_of_any_kind_are_bounded(tmp_path):
    """Hundreds of ops in one region, a name of other characters alone, names that look alike."""
    chain = [helper.make_node("Tanh" if i % 2 else "Neg", [f"v{i}"], [f"v{i + 1}"], "/b" + "/long" * i)
             for i in range(100)]
    nodes = chain + [helper.make_node("Softmax", ["v100"], ["s"], "\u4e2d\u6587", axis=-1),
                     helper.make_node("MatMul", ["s", "w"], ["p"], "a.b"),
                     helper.make_node("Softmax", ["p"], ["y"], "a/b", axis=-2)]
    weight = numpy_helper.from_array(np.ones((8, 8), np.float32), "w")
    info = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, "g", [info("v0", TensorProto.FLOAT, ["n", 8])],
                              [info("y", TensorProto.FLOAT, ["n", 8])], [weight])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    found = symbols(compile_model(tmp_path / "m.onnx", tmp_path / "m.so"))
    assert len(set(found)) == len(found) >= 5
    assert all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) and len(name) <= 160 for name in found)
    assert any(re.fullmatch(r"matmul_\d+__a_b", name) for name in found)
    assert any(re.fullmatch(r"softmax_\d+", name) for name in found)
