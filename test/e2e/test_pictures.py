"""`tenon info --graph` and `tenon plan --memory`: what the pictures show is what is true."""
import json
import os
import pathlib
import re
import subprocess
import xml.etree.ElementTree as xml

import numpy as np
import onnx
import pytest
from conftest import BUILD, compile_model, tenon
from onnx import TensorProto, helper, numpy_helper

SVG = "{http://www.w3.org/2000/svg}"
F = TensorProto.FLOAT
SHAPE = ("--shape", "batch=2,sequence=48")
FAKE = pathlib.Path(os.environ["TENON_TEST_ARTIFACTS"]) / "fake.so"


def save(path, nodes, inputs, outputs, initializers=()):
    graph = helper.make_graph(nodes, "g", inputs, outputs, list(initializers))
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def info(name, kind, shape):
    return helper.make_tensor_value_info(name, kind, shape)


def groups(path, kind):
    """(title, element) of each group of that kind."""
    root = xml.parse(path).getroot()
    assert root.tag == SVG + "svg" and root.find(SVG + "title") is not None
    return [(group.find(SVG + "title").text, group) for group in root.iter(SVG + "g") if group.get("class") == kind]


def texts(element):
    return [text.text for text in element.iter(SVG + "text")]


def draw(command, option, artifact, path, *arguments):
    result = tenon(command, artifact, option, path, *arguments)
    assert result.returncode == 0, result.stderr
    return path


@pytest.fixture(scope="module")
def artifact(minilm, tmp_path_factory):
    return compile_model(minilm / "model.onnx", tmp_path_factory.mktemp("pictures") / "minilm.so")


def test_graph_of_an_encoder(artifact, tmp_path):
    path = draw("info", "--graph", artifact, tmp_path / "graph.svg", *SHAPE)
    plan = json.loads(tenon("plan", artifact, *SHAPE, "--json").stdout)
    launches = groups(path, "launch")
    assert len(launches) == len(plan["launches"])
    for number, ((title, group), launch) in enumerate(zip(launches, plan["launches"])):
        first, *nodes = title.split("\n")
        assert re.fullmatch(rf"#{number} {launch['kernel']} on [\w-]+", first)
        assert nodes == launch["nodes"].split(",")
        assert texts(group)[0].startswith(f"#{number} {launch['kernel']}: {launch['flops'] * 1e-6:.3f} MFLOP")
    # Tensors have the sizes of this shape, weights their names.
    title, product = next(entry for entry in launches if "layer.0/attention/self/query/MatMul" in entry[0])
    assert "writes f32 [2, 48, 384], 147.5 kB" in texts(product)
    assert "weight f32 [384], 1.5 kB model.encoder.layer.0.attention.self.query.bias" in texts(product)
    assert [texts(group) for _, group in groups(path, "input")] == [
        [f"input {name}", "i64 [2, 48], 768 bytes"] for name in ("token_type_ids", "input_ids", "attention_mask")]
    assert [texts(group) for _, group in groups(path, "output")] == [
        ["output last_hidden_state", "f32 [2, 48, 384], 147.5 kB"]]


def test_edges_go_from_what_writes_to_what_reads(artifact, tmp_path):
    path = draw("info", "--graph", artifact, tmp_path / "graph.svg", *SHAPE)
    nodes = {int(title[1:].split()[0]): title for title, _ in groups(path, "launch")}

    def launch(line):
        found = re.search(r"#(\d+) ", line)
        return int(found[1]) if found else None

    read_by, written = {}, set()
    for title, group in groups(path, "edge"):
        tensor, *ends = title.split("\n")
        assert re.match(r"(f32|i64|i1) \[", tensor) and group.find(SVG + "polyline") is not None
        writer, = (end for end in ends if end.startswith("from "))
        readers = [launch(end) for end in ends if end.startswith("to #")]
        if launch(writer) is not None:
            written.add(launch(writer))
            assert all(launch(writer) < reader for reader in readers)
        for reader in readers:
            read_by.setdefault(reader, set()).add(launch(writer))
    assert written == set(nodes)  # somebody needs every result
    # What attention reads is made by the three products before it.
    attention = next(number for number, title in nodes.items() if "layer.3/attention/self/MatMul" in title)
    writers = " ".join(nodes[number] for number in read_by[attention] if number is not None)
    assert all(f"layer.3/attention/self/{name}/MatMul" in writers for name in ("query", "key", "value"))


def rectangles(path):
    """(name, bytes, offset, first column, column behind the last, rectangle) of each slice."""
    found = []
    for title, group in groups(path, "slice"):
        name, size, offset = re.match(r"(.*)\n(\d+) bytes at offset (\d+), from .* to ", title).groups()
        box = {key: float(value) for key, value in group.find(SVG + "rect").items() if key != "class"}
        found.append((name, int(size), int(offset), box["x"], box["x"] + box["width"], box))
    return found


@pytest.mark.parametrize("shape", ["batch=1,sequence=128", "batch=3,sequence=17"])
def test_memory_map_of_an_encoder(artifact, tmp_path, shape):
    path = draw("plan", "--memory", artifact, tmp_path / "memory.svg", "--shape", shape)
    found = rectangles(path)
    said = json.loads(tenon("info", artifact, "--json", "--shape", shape).stdout)
    head = " ".join(texts(xml.parse(path).getroot())[:3])
    assert f"high-water mark {said['arena_bytes']} bytes, lower bound {said['arena_lower_bound']} bytes" in head
    assert f"{len(found)} buffers" in head
    assert max(offset + -(-size // 64) * 64 for _, size, offset, *_ in found) == said["arena_bytes"]
    marks = [title for title, _ in groups(path, "lines")]
    assert f"lower bound {said['arena_lower_bound']} bytes" in marks
    assert f"high-water mark {said['arena_bytes']} bytes" in marks
    assert any("layer.2/attention/self/query/Add" in name for name, *_ in found)
    # Launches of a section share a column.
    columns = [title for title, _ in groups(path, "column")]
    launches = [line for title in columns for line in title.split("\n") if re.fullmatch(r"launch \d+", line)]
    assert len(launches) == len(set(launches)) == sum(said["launches"].values())
    assert any(all(f"/{name}/MatMul" in title for name in ("query", "key", "value")) for title in columns)


def test_what_is_alive_together_lies_apart(artifact, tmp_path):
    found = rectangles(draw("plan", "--memory", artifact, tmp_path / "memory.svg"))
    together = 0
    for i, (name, size, offset, begin, end, box) in enumerate(found):
        for other, other_size, other_offset, other_begin, other_end, other_box in found[:i]:
            if begin < other_end - 0.2 and other_begin < end - 0.2:
                together += 1
                assert offset + size <= other_offset or other_offset + other_size <= offset, (name, other)
                # The drawing says the same, but for rounding.
                assert box["y"] + box["height"] <= other_box["y"] + 0.2 or \
                    other_box["y"] + other_box["height"] <= box["y"] + 0.2, (name, other)
    assert together > len(found)


def test_pictures_are_the_same_every_time(artifact, tmp_path):
    for command, option in (("info", "--graph"), ("plan", "--memory")):
        first, second = (draw(command, option, artifact, tmp_path / name).read_bytes() for name in "12")
        assert first == second


def test_names_are_escaped(tmp_path):
    name = 'a<b>&"c\x01\u00e9' + "long" * 60
    model = save(tmp_path / "m.onnx", [helper.make_node("Exp", [name], ["t"], "<&>"),
                                       helper.make_node("Softmax", ["t"], ["y<"], 'end"', axis=-1)],
                 [info(name, F, ["n", 4])], [info("y<", F, ["n", 4])])
    artifact = compile_model(model, tmp_path / "m.so")
    graph = draw("info", "--graph", artifact, tmp_path / "g.svg", "--shape", "n=3")
    (title, group), = groups(graph, "input")
    assert title == "f32 [3, 4], 48 bytes " + name.replace("\x01", "\ufffd")
    assert texts(group)[0].startswith('input a<b>&"c\ufffd\u00e9long') and "\u2026" in texts(group)[0]
    assert {line for title, _ in groups(graph, "launch") for line in title.split("\n")[1:]} == {"<&>", 'end"'}
    memory = draw("plan", "--memory", artifact, tmp_path / "m.svg")
    assert [name for name, *_ in rectangles(memory)] == ["<&>"]


def test_both_sides_of_a_branch_and_what_decides(tmp_path):
    def branch(op, name):
        return helper.make_graph([helper.make_node(op, ["x"], [name], name)], name, [], [info(name, F, None)])
    model = save(tmp_path / "m.onnx",
                 [helper.make_node("If", ["c"], ["r"], "choice", then_branch=branch("Exp", "up"),
                                   else_branch=branch("Neg", "down")),
                  helper.make_node("Softmax", ["r"], ["y"], "end", axis=-1)],
                 [info("c", TensorProto.BOOL, []), info("x", F, ["n", 300])], [info("y", F, ["n", 300])])
    compile_model(model, tmp_path / "m.so")
    path = draw("info", "--graph", tmp_path / "m.so", tmp_path / "g.svg", "--shape", "n=2")
    read, = groups(path, "read")
    assert texts(read[1]) == ["the host reads i1 [], 1 byte"]
    assert {title for title, _ in groups(path, "copy")} <= {"copy f32 [2, 300], 2.4 kB"}
    into = [title for title, _ in groups(path, "edge") if "softmax" in title.split("\nto ")[-1]]
    assert len(into) == 1 and into[0].count("\nfrom ") == 2
    draw("plan", "--memory", tmp_path / "m.so", tmp_path / "m.svg")
    assert rectangles(tmp_path / "m.svg")


def test_a_copy_on_a_device_is_a_launch(tmp_path):
    model = save(tmp_path / "m.onnx", [helper.make_node("Exp", ["x"], ["y"], "up")], [info("x", F, ["n", 300])],
                 [info("y", F, ["n", 300]), info("x", F, ["n", 300])])
    artifact = compile_model(model, tmp_path / "m.so", "--target=nvidia")
    path = draw("info", "--graph", artifact, tmp_path / "g.svg", "--shape", "n=2")
    assert [texts(group)[0].split(":")[0] for _, group in groups(path, "launch")] == ["#0 exp_0", "#1 copy"]
    assert [re.findall(r"to (#\d|output \w)", title) for title, _ in groups(path, "edge")
            if "from input x" in title] == [["#0", "#1"]]


def test_a_model_and_a_program_are_drawn_too(tmp_path):
    weight = numpy_helper.from_array(np.ones((8, 8), np.float32), "w")
    model = save(tmp_path / "m.onnx", [helper.make_node("MatMul", ["x", "w"], ["p"], "product"),
                                       helper.make_node("Softmax", ["p"], ["y"], "end", axis=-1)],
                 [info("x", F, ["n", 8])], [info("y", F, ["n", 8])], [weight])
    program = compile_model(model, tmp_path / "program", "--emit=exe")
    subprocess.run([program, "info", "--graph", tmp_path / "1.svg"], check=True, capture_output=True)
    subprocess.run([program, "plan", "--memory", tmp_path / "1m.svg"], check=True, capture_output=True)
    draw("info", "--graph", model, tmp_path / "2.svg")
    draw("plan", "--memory", model, tmp_path / "2m.svg")
    for name in ("1.svg", "1m.svg"):
        assert (tmp_path / name).read_bytes() == (tmp_path / name.replace("1", "2")).read_bytes()


def test_what_cannot_be_drawn_is_refused(artifact, tmp_path):
    for command, option, other in (("info", "--graph", "plan"), ("plan", "--memory", "info")):
        result = tenon(command, artifact, option, tmp_path / "none/p.svg")
        assert result.returncode == 1 and f"error: cannot write '{tmp_path}/none/p.svg'" in result.stderr
        result = tenon(other, artifact, option, tmp_path / "p.svg")
        assert result.returncode == 2
        assert f"option '{option}' belongs to {command}, not to {other}" in result.stderr
        # A disk that is full leaves no part of a picture.
        result = subprocess.run(["bash", "-c", f'ulimit -f 1; exec "$@"', "-", BUILD / "bin/tenon", command, artifact,
                                 option, tmp_path / "p.svg"], capture_output=True, text=True)
        assert result.returncode == 1 and f"cannot write '{tmp_path}/p.svg'" in result.stderr
        assert not (tmp_path / "p.svg").exists()
    old = tmp_path / "old"
    old.write_text("symbol n 1 9 -1\nlaunch 0 relu_0 relu\nslice 0 3 3 4*n\n")
    result = tenon("info", old, "--graph", tmp_path / "p.svg")
    assert result.returncode == 1
    assert "does not say what launch 0 reads and writes and when, so no graph can be drawn" in result.stderr
    result = tenon("plan", old, "--memory", tmp_path / "p.svg")
    assert result.returncode == 1
    assert "does not say when launch 0 runs, so its memory cannot be drawn; compile the model again" in result.stderr
    old.write_text("launch 0 relu_0 relu\n")
    result = tenon("plan", old, "--memory", tmp_path / "p.svg")
    assert result.returncode == 1 and "has no launch or nothing in its arena" in result.stderr
    assert not (tmp_path / "p.svg").exists()


def test_roofline_of_an_encoder(artifact, tmp_path):
    path = tmp_path / "roofline.svg"
    result = tenon("bench", artifact, "--roofline", path, "--seconds", "0.2", "--threads", "1", *SHAPE)
    assert result.returncode == 0, result.stderr
    root = xml.parse(path).getroot()
    title = root.find(SVG + "title").text
    assert re.fullmatch(r"minilm\.so, batch=2, sequence=48, 1 thread, \d{4}-\d\d-\d\d", title)
    kernels = {launch["kernel"] for launch in json.loads(tenon("plan", artifact, *SHAPE, "--json").stdout)["launches"]
               if launch["flops"]}
    drawn = [name for kind in ("product", "attention", "norm", "elementwise") for name, group in groups(path, "point " + kind)
             if "\n" in name]
    assert {name.split("\n")[0] for name in drawn} == kernels
    assert all(re.fullmatch(r"\d+ launches, [\d.]+ us, [\d.e+]+ [MGT]OP/s, \d+ % of what \w+ allows", name.split("\n")[1])
               for name in drawn)
    roofs = {name for name, _ in groups(path, "lines")}
    assert {"axes", "memory", "f32"} <= roofs
    # All of the picture is on the page.
    width, height = float(root.get("width")), float(root.get("height"))
    for circle in root.iter(SVG + "circle"):
        assert 0 < float(circle.get("cx")) < width and 0 < float(circle.get("cy")) < height


def test_roofline_of_what_has_no_machine(tmp_path):
    result = tenon("bench", FAKE, "--roofline", tmp_path / "roofline.svg", "--shape", "batch=1")
    assert result.returncode == 1 and "no roofline drawn" in result.stderr
    assert not (tmp_path / "roofline.svg").exists()


def test_roofline_belongs_to_bench(artifact, tmp_path):
    result = tenon("profile", artifact, "--roofline", tmp_path / "roofline.svg")
    assert result.returncode == 2 and "option '--roofline' belongs to bench, not to profile" in result.stderr
