"""What Tenon says before anything runs: sizes, work, memory, time."""
import json
import re

import onnx
import pytest
from conftest import compile_model, tenon


@pytest.fixture(scope="module")
def artifact(minilm, tmp_path_factory):
    return compile_model(minilm / "model.onnx", tmp_path_factory.mktemp("foresight") / "minilm.so",
                         "--dim", "sequence~128")


def matmul_flops(model, batch, sequence):
    """Counted from the ONNX graph alone, with onnx's own shape inference."""
    graph = onnx.load(model, load_external_data=False)
    sizes = {"batch": batch, "sequence": sequence}
    for value in graph.graph.input:
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.dim_value = sizes[dim.dim_param]
    inferred = onnx.shape_inference.infer_shapes(graph, data_prop=True)
    weights = {tensor.name: list(tensor.dims) for tensor in graph.graph.initializer}
    hidden = weights["model.embeddings.word_embeddings.weight"][1]
    heads_times_size = hidden
    total = 0
    for node in inferred.graph.node:
        if node.op_type != "MatMul":
            continue
        weight = next((weights[name] for name in node.input if name in weights), None)
        if weight:
            total += 2 * batch * sequence * weight[0] * weight[1]
        else:  # scores, or their product with the values: all heads together
            total += 2 * batch * sequence * sequence * heads_times_size
    return total


@pytest.mark.parametrize("batch, sequence", [(1, 128), (3, 17)])
def test_flops_of_products_are_exact(minilm, artifact, batch, sequence):
    result = tenon("plan", artifact, "--shape", f"batch={batch},sequence={sequence}", "--json")
    assert result.returncode == 0, result.stderr
    plan = json.loads(result.stdout)
    tokens = batch * sequence
    products = 0
    for launch in plan["launches"]:
        if "matmul" in launch["kernel"]:
            # An epilogue works on each element of the result: bias, residual, GELU.
            columns = 1536 if "gelu" in launch["kernel"] else 384
            each = {"matmul_add": 1, "matmul_add_add": 2, "matmul_add_gelu": 6}[launch["kernel"].rsplit("_", 1)[0]]
            products += launch["flops"] - each * tokens * columns
        elif "attention" in launch["kernel"]:
            products += launch["flops"] - 5 * batch * 12 * sequence * sequence
    assert products == matmul_flops(minilm / "model.onnx", batch, sequence)


def test_info_of_model_and_artifact_agree(minilm, artifact):
    shape = ("--shape", "batch=2,sequence=64", "--json")
    of_artifact = json.loads(tenon("info", artifact, *shape).stdout)
    of_model = json.loads(tenon("info", minilm / "model.onnx", *shape).stdout)
    for key in ("inputs", "outputs", "weight_bytes", "flops", "arena_bytes", "launches"):
        assert of_artifact[key] == of_model[key], key
    hints = {symbol["name"]: symbol["hint"] for symbol in of_artifact["symbols"]}
    assert hints == {"batch": -1, "sequence": 128}


def test_arena_of_info_is_that_of_a_session(artifact):
    import numpy as np
    import tenon as package
    from conftest import encoder_inputs
    info = json.loads(tenon("info", artifact, "--shape", "batch=3,sequence=50", "--json").stdout)
    assert info["arena_bytes"] == info["arena_lower_bound"]
    session = package.Session(artifact)
    output, = session.run(encoder_inputs(3, 50))
    assert np.prod(output.shape) * 4 == 3 * 50 * 384 * 4
    # A session holds whole pages.
    assert session.arena_bytes == -(-info["arena_bytes"] // 4096) * 4096


def test_prediction_is_printed_before_the_measurement(artifact):
    result = tenon("bench", artifact, "--predict", "--shape", "batch=1,sequence=16", "--seconds", "0.2")
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert re.fullmatch(r"predicted [\d.]+ ms from the facts of [\w-]+", lines[0])
    assert lines[1].startswith("median")
    assert re.fullmatch(r"predicted [\d.]+ ms, measured [\d.]+ ms, ratio [\d.]+", lines[-1])
    assert "% of the peak" in lines[2]


def test_text_reports(artifact):
    info = tenon("info", artifact, "--shape", "batch=1,sequence=128").stdout
    assert "last_hidden_state                f32   [batch, sequence, 384]" in info
    assert "gap 0.00 %" in info
    assert "batch*sequence*sequence" in info
    plan = tenon("plan", artifact, "--threads", "2").stdout
    assert "batch=1, sequence=128, 2 threads, facts of " in plan
    assert "layer.5/output/dense/MatMul" in plan
    profile = tenon("profile", artifact, "--shape", "sequence=16", "--seconds", "0.2").stdout
    assert "of limit" in profile and "between launches" in profile
    assert re.match(r"limits of \d+ threads?: f32 [\d.]+.* GOP/s, memory [\d.]+, L2 [\d.]+ GB/s.*, measured now\n", profile)
    kinds = re.findall(r"(\d+)  (products|attention|norms|elementwise|moves)$", profile, re.M)
    assert dict((kind, int(count)) for count, kind in kinds) == {
        "products": 36, "attention": 6, "norms": 13, "elementwise": 1, "moves": 8}


def test_layers_before_and_after_fusion(artifact):
    shape = ("--shape", "batch=2,sequence=48")
    info = json.loads(tenon("info", artifact, *shape, "--json").stdout)
    layers = info["layers"]
    assert [layer["layer"] for layer in layers] == [""] + [f"/model/encoder/layer.{i}" for i in range(6)]
    assert sum(layer["launches"] for layer in layers) == sum(info["launches"].values())
    assert sum(layer["bytes"] for layer in layers) == info["compulsory_bytes"]
    assert all(layer == {**layers[1], "layer": layer["layer"]} for layer in layers[2:])
    for layer in layers:
        assert layer["launches"] < layer["launches_before"] and layer["bytes"] < layer["bytes_before"]
    # Each product reads its weights and writes its result for the bias to be added.
    tokens, hidden = 2 * 48, 384
    assert layers[1]["bytes_before"] - layers[1]["bytes"] > 2 * 4 * 6 * tokens * hidden
    text = tenon("info", artifact, *shape).stdout
    assert "before fusion, with a launch for each operation, and after" in text
    assert re.search(rf"^  all +{sum(l['launches_before'] for l in layers)} ", text, re.M)


def test_products_are_priced_by_what_they_multiply(minilm, tmp_path):
    shape = ("--shape", "batch=1,sequence=128", "--threads", "1", "--json")

    def plan_for(cpu, *options):
        path = compile_model(minilm / "model.onnx", tmp_path / "model.so", "--cpu", cpu, *options)
        return json.loads(tenon("plan", path, *shape).stdout)

    def products(plan):
        return [launch for launch in plan["launches"] if launch["kind"] == "product"]

    single, half = plan_for("znver5"), plan_for("znver5", "--precision", "bf16")
    assert all(launch["bf16_flops"] == launch["int8_ops"] == 0 for launch in single["launches"])
    assert all(launch["bound_by"] == "f32" for launch in products(single))
    assert all(launch["bf16_flops"] > 0.97 * launch["flops"] and launch["bound_by"] == "bf16"
               for launch in products(half))
    ratio = sum(l["predicted_us"] for l in products(single)) / sum(l["predicted_us"] for l in products(half))
    assert 1.7 < ratio < 2
    # Where bf16 is no faster, weights alone are rounded, and products are of f32.
    widened = plan_for("sapphirerapids", "--precision", "bf16")
    assert all(launch["bf16_flops"] == 0 for launch in widened["launches"])


def test_limits_of_a_facts_file(minilm, tmp_path):
    native = next(line for line in tenon("target").stdout.splitlines() if line.endswith("native")).split()[0]
    facts = json.loads(tenon("target", native).stdout)
    facts.update(name="here", f32_gflops=123.5)
    (tmp_path / "here.json").write_text(json.dumps(facts))
    path = compile_model(minilm / "model.onnx", tmp_path / "model.so", "--cpu", tmp_path / "here.json")
    profile = tenon("profile", path, "--shape", "batch=1,sequence=8", "--seconds", "0.1", "--threads", "1").stdout
    assert profile.startswith("limits of 1 thread: f32 123.5")
    assert profile.splitlines()[0].endswith("from the facts file that it was compiled for, here")


def test_facts_from_a_file(minilm, tmp_path):
    facts = json.loads(tenon("target", "x86-64-v3").stdout)
    facts.update(name="slow", f32_gflops=0.5, read_gbs=0.5, read_gbs_all=0.5)
    (tmp_path / "slow.json").write_text(json.dumps(facts))
    options = ("--cpu", tmp_path / "slow.json")
    slow = compile_model(minilm / "model.onnx", tmp_path / "slow.so", *options)
    plan = json.loads(tenon("plan", slow, "--shape", "batch=1,sequence=16", "--json", "--threads", "1").stdout)
    assert plan["predicted_us"] > 1e6 * plan["flops"] / 0.5e9
    facts["registers"] = "many"
    (tmp_path / "slow.json").write_text(json.dumps(facts))
    result = tenon("compile", minilm / "model.onnx", "-o", tmp_path / "x.so", *options)
    assert result.returncode == 1
    assert 'needs a positive integer "registers"' in result.stderr


def test_measured_dot_products_are_those_that_the_machine_has(tmp_path):
    native = next(line for line in tenon("target").stdout.splitlines() if line.endswith("native")).split()[0]
    known = json.loads(tenon("target", native).stdout)
    result = tenon("target", "--measure", "-o", tmp_path / "here.json")
    assert result.returncode == 0 and "measuring: dot products of one core" in result.stderr
    measured = json.loads((tmp_path / "here.json").read_text())
    assert measured["cpu"] == known["cpu"]
    for fact in ("bf16_gflops", "int8_gops"):
        assert (measured[fact] > 0) == (known[fact] > 0)
    # Four times as many in one instruction; on no machine is it half as fast.
    assert measured["int8_gops"] == 0 or measured["int8_gops"] > 1.5 * measured["f32_gflops"]
    assert json.loads(tenon("target", tmp_path / "here.json").stdout) == measured


def test_report_of_a_compilation(minilm, tmp_path):
    artifact, file = tmp_path / "minilm.so", tmp_path / "report.json"
    compile_model(minilm / "model.onnx", artifact, "--report", file)
    report = json.loads(file.read_text())
    assert [phase["phase"] for phase in report["phases"]] == [
        "import", "simplify", "compress", "fuse", "schedule", "plan", "emit"]
    assert all(phase["cpu_seconds"] >= 0 and phase["peak_bytes"] > 1e7 for phase in report["phases"])
    assert sum(phase["cpu_seconds"] for phase in report["phases"]) > 0.05
    assert report["file_bytes"] == artifact.stat().st_size
    info = json.loads(tenon("info", artifact, "--json").stdout)
    assert report["launches"] == sum(info["launches"].values())
    assert report["weight_bytes"] == info["weight_bytes"]
    assert 0 < report["kernels"] < report["launches"]
    assert report["arena_bytes"] == report["arena_lower_bound"] > 0


def test_bad_arguments(artifact, tmp_path):
    result = tenon("info", artifact, "--shape", "width=3")
    assert result.returncode == 1 and "no symbol 'width', it has 'batch', 'sequence'" in result.stderr
    (tmp_path / "text").write_text("no description at all\n")
    assert "no launch" not in tenon("info", tmp_path / "text").stdout
    assert tenon("plan", tmp_path / "none.so").returncode == 1
    result = tenon("target", "z80")
    assert result.returncode == 1 and "there are x86-64-v3, alderlake, x86-64-v4" in result.stderr
