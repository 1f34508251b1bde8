"""Models that are damaged, break a rule of ONNX or ask for what there is not: each is refused with a message that
names what is wrong, and leaves nothing behind."""
import os
import pathlib

import numpy as np
import onnx
import pytest
from conftest import tenon
from onnx import TensorProto, helper, numpy_helper, parser


def parse(graph, opsets='"" : 17', functions=""):
    return parser.parse_model(f"<ir_version: 10, opset_import: [{opsets}]>\n{graph}\n{functions}")


def compile_in(folder, model, *options):
    """Compiles a model, its bytes or its path, to a folder of its own."""
    path = folder / "model.onnx"
    if isinstance(model, (str, pathlib.Path)):
        path = model
    else:
        path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    (folder / "out").mkdir(exist_ok=True)
    return tenon("compile", path, "-o", folder / "out/model.so", "--quiet", *options)


def refused(folder, model, message, *options, code=1):
    result = compile_in(folder, model, *options)
    assert result.returncode == code, result.stderr
    assert result.stderr.count("\n") == 1 and result.stderr.startswith("error: "), result.stderr
    assert message in result.stderr, result.stderr
    assert not list((folder / "out").iterdir())


def taken(folder, model):
    result = compile_in(folder, model)
    assert result.returncode == 0, result.stderr
    return result.stderr


RELU = parse("g (float[2,3] x) => (float[2,3] y) { [a] y = Relu(x) }")
WEIGHT = numpy_helper.from_array(np.ones((30, 30), np.float32), "w")


def multiplied(tensor):
    """y = x . w"""
    model = parse("g (float[n,30] x) => (float[n,30] y) { [a] y = MatMul(x, w) }")
    model.graph.initializer.append(tensor)
    return model


def field(number, content):
    """A field of bytes as protobuf writes it."""
    size, varint = len(content), b""
    while size >= 128:
        varint, size = varint + bytes([size % 128 + 128]), size // 128
    return bytes([number << 3 | 2]) + varint + bytes([size]) + content


def nested(depth):
    """The bytes of a model with If in If in If; Python's protobuf would not make it."""
    def branch(node):
        return field(1, node) + helper.make_graph([], "g", [], [helper.make_empty_tensor_value_info("y")]).SerializeToString()
    node = helper.make_node("Relu", ["x"], ["y"]).SerializeToString()
    other = branch(helper.make_node("Neg", ["x"], ["y"]).SerializeToString())
    for level in range(depth):
        graphs = (("then_branch", branch(node)), ("else_branch", other))
        node = helper.make_node("If", ["c"], ["y"]).SerializeToString() + b"".join(
            field(5, onnx.AttributeProto(name=name, type="GRAPH").SerializeToString() + field(6, graph))
            for name, graph in graphs)
    model = parse("g (float[2] x, bool c) => (float[2] y) { }")
    return model.SerializeToString() + field(7, field(1, node))


WHOLE = multiplied(WEIGHT).SerializeToString()


@pytest.mark.parametrize("content, message", [
    (b"", "is no ONNX model: it is empty"),
    (WHOLE[:-10], "is no ONNX model: it ends or changes in the middle of a field"),
    (WHOLE[:len(WHOLE) // 2], "is no ONNX model: it ends or changes in the middle of a field"),
    (b"\xff" * 1000, "is no ONNX model: it ends or changes in the middle of a field"),
    (b"not a model\n", "is no ONNX model: it ends or changes in the middle of a field"),
    (b"\x08\x08\x42\x00", "is no ONNX model: it has no graph"),
    # A field of an opset import that has no end.
    (b"\x08\x08\x42\x02\x0a\x7f" + WHOLE, "is no ONNX model: a message in it is damaged"),
    (nested(40), "is no ONNX model: it is nested too deep"),
], ids=["empty", "truncated", "half", "bytes", "text", "graph", "message", "deep"])
def test_files_that_are_no_model(tmp_path, content, message):
    refused(tmp_path, content, message)


def test_deep_nesting_that_protobuf_can_hold(tmp_path):
    taken(tmp_path, nested(30))


def test_paths_that_are_no_file(tmp_path):
    (tmp_path / "model.onnx").mkdir()
    refused(tmp_path, tmp_path / "model.onnx", f"cannot read {tmp_path}/model.onnx: Is a directory")
    refused(tmp_path, tmp_path / "none.onnx", f"cannot read {tmp_path}/none.onnx: No such file or directory")


def external(**entries):
    """WEIGHT with its data in another file."""
    tensor = TensorProto(name="w", dims=[30, 30], data_type=1, data_location=TensorProto.EXTERNAL)
    for key, value in {"location": "w.data", **entries}.items():
        if value is not None:
            tensor.external_data.add(key=key, value=str(value))
    return multiplied(tensor)


DATA = WEIGHT.raw_data
BELOW = ", which must be a path below the model's folder"


@pytest.mark.parametrize("entries, message", [
    ({"location": "none.data"}, "tensor 'w': cannot read external data {}/none.data: No such file or directory"),
    ({"location": None}, "tensor 'w': external data lies in ''" + BELOW),
    ({"location": "../w.data"}, "tensor 'w': external data lies in '../w.data'" + BELOW),
    ({"location": "here/../../w.data"}, "tensor 'w': external data lies in 'here/../../w.data'" + BELOW),
    ({"location": "/etc/passwd"}, "tensor 'w': external data lies in '/etc/passwd'" + BELOW),
    ({"location": "out"}, "tensor 'w': cannot read external data {}/out: it is not a file"),
    ({"offset": 1}, "tensor 'w': external data needs 3600 bytes at 1, but {}/w.data has 3600"),
    ({"offset": 2**63}, "tensor 'w': external data needs 3600 bytes at 9223372036854775808, but {}/w.data has 3600"),
    ({"offset": -4}, "tensor 'w': external data has offset '-4', which is no number of bytes"),
    ({"offset": 2**64}, "tensor 'w': external data has offset '18446744073709551616', which is no number of bytes"),
    ({"offset": "0x10"}, "tensor 'w': external data has offset '0x10', which is no number of bytes"),
    ({"length": -3600}, "tensor 'w': external data has length '-3600', which is no number of bytes"),
    ({"length": 3596}, "tensor 'w': external data has 3596 bytes, but the tensor has 3600"),
], ids=lambda value: str(value)[:30] if isinstance(value, dict) else "")
def test_external_data(tmp_path, entries, message):
    (tmp_path / "w.data").write_bytes(DATA)
    refused(tmp_path, external(**entries), message.format(tmp_path))


def test_external_data_that_becomes_shorter(tmp_path):
    """A file that is cut off between import and emit; the module of a phase stands for the time between."""
    (tmp_path / "w.data").write_bytes(DATA)
    (tmp_path / "model.onnx").write_bytes(external().SerializeToString())
    phase = tmp_path / "6-plan.mlir"
    assert tenon("compile", tmp_path / "model.onnx", "-o", phase, "--stop-after=plan", "--quiet").returncode == 0
    (tmp_path / "w.data").write_bytes(DATA[:-4])
    refused(tmp_path, phase, "w.data")


@pytest.mark.parametrize("link", ["file", "folder"])
def test_external_data_behind_links(tmp_path, link):
    """A link must not lead out of the model's folder."""
    inside, outside = tmp_path / "model", tmp_path / "secret"
    inside.mkdir()
    outside.mkdir()
    (outside / "w.data").write_bytes(DATA)
    (inside / "there").symlink_to(outside / "w.data" if link == "file" else outside)
    location = "there" if link == "file" else "there/w.data"
    refused(inside, external(location=location),
            f"tensor 'w': external data {inside}/{location} is a link out of the model's folder")


def test_links_that_stores_of_models_make(tmp_path):
    """Names in one folder, all files of all models in another."""
    (tmp_path / "blobs").mkdir()
    (tmp_path / "snapshot").mkdir()
    (tmp_path / "blobs/1").write_bytes(external().SerializeToString())
    (tmp_path / "blobs/2").write_bytes(DATA)
    (tmp_path / "snapshot/model.onnx").symlink_to("../blobs/1")
    (tmp_path / "snapshot/w.data").symlink_to("../blobs/2")
    result = compile_in(tmp_path, tmp_path / "snapshot/model.onnx")
    assert result.returncode == 0, result.stderr


def test_links_inside_of_the_folder(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/1").write_bytes(DATA)
    (tmp_path / "w.data").symlink_to("data/1")
    taken(tmp_path, external())


# Models in ONNX's own notation: graph, what is said of it, and opsets and functions if they matter.
GRAPHS = {
    # Names, and the order of nodes.
    "self": ("g (float[2] x) => (float[2] y) { [a] y = Add(x, y) }", "node 'a' (Add): reads its own result 'y'"),
    "cycle": ("g (float[2] x) => (float[2] y) { [a] p = Add(x, q) [b] q = Relu(p) [c] y = Relu(q) }",
              "node 'a' (Add): reads value 'q', which is computed only later; nodes must be in an order without cycles"),
    "order": ("g (float[2] x) => (float[2] y) { [a] y = Relu(p) [b] p = Neg(x) }",
              "node 'a' (Relu): reads value 'p', which is computed only later"),
    "missing": ("g (float[2] x) => (float[2] y) { [a] y = Add(x, z) }", "node 'a' (Add): reads value 'z', which nothing computes"),
    "output": ("g (float[2] x) => (float[2] z) { [a] y = Relu(x) }", "model.onnx: the model gives value 'z', which nothing computes"),
    "results": ("g (float[2] x) => (float[2] y) { [a] y = Relu(x) [b] y = Neg(x) }",
                "node 'b' (Neg): gives value 'y', which is already the result of node 'a'"),
    "twice": ("g (float[2,2] x) => (float[2,1] y) { [a] y, y = Split<axis = 1>(x) }",
              "node 'a' (Split): gives value 'y', which is already the result of node 'a'"),
    "result and input": ("g (float[2] x) => (float[2] x) { [a] x = Relu(p) }",
                         "node 'a' (Relu): gives value 'x', which is already an input"),
    "result and initializer": ("g (float[2] x) => (float[2] w) <float[2] w = {1, 2}> { [a] w = Relu(x) }",
                               "node 'a' (Relu): gives value 'w', which is already an initializer"),
    "inputs": ("g (float[2] x, float[3] x) => (float[2] y) { [a] y = Relu(x) }", "model.onnx: input 'x': comes twice"),
    "functions": ("g (float[2] x) => (float[2] y) { y = local.f(x) }", "model.onnx: function 'f' of local comes twice",
                  '"" : 17, "local" : 1', "".join('<domain: "local", opset_import: ["" : 17]> f (a) => (b) { b = %s(a) }\n' % op
                                                  for op in ("Relu", "Neg"))),
    # Graphs in nodes.
    "inner missing": ("g (bool c, float[2] x) => (float[2] y) { [i] y = If(c) <then_branch = t () => (float[2] p) "
                      "{ [n] p = Relu(z) }, else_branch = e () => (float[2] q) { q = Neg(x) }> }",
                      "node 'i/n' (Relu): reads value 'z', which nothing computes"),
    "inner output": ("g (bool c, float[2] x) => (float[2] y) { [i] y = If(c) <then_branch = t () => (float[2] z) "
                     "{ p = Relu(x) }, else_branch = e () => (float[2] q) { q = Neg(x) }> }",
                     "node 'i': its graph gives value 'z', which nothing computes"),
    "captured later": ("g (bool c, float[2] x) => (float[2] y) { [i] y = If(c) <then_branch = t () => (float[2] p) "
                       "{ [n] p = Relu(z) }, else_branch = e () => (float[2] q) { q = Neg(x) }> z = Neg(x) }",
                       "node 'i/n' (Relu): reads value 'z', which is computed only later"),
    "captured itself": ("g (bool c, float[2] x) => (float[2] y) { [i] y = If(c) <then_branch = t () => (float[2] p) "
                        "{ [n] p = Relu(y) }, else_branch = e () => (float[2] q) { q = Neg(x) }> }",
                        "node 'i/n' (Relu): reads value 'y', which is computed only later"),
    "from inside": ("g (bool c, float[2] x) => (float[2] z) { y = If(c) <then_branch = t () => (float[2] p) "
                    "{ p = Relu(x) }, else_branch = e () => (float[2] q) { q = Neg(x) }> [k] z = Add(y, p) }",
                    "node 'k' (Add): reads value 'p', which nothing computes"),
    "inner results": ("g (bool c, float[2] x) => (float[2] y) { [i] y = If(c) <then_branch = t () => (float[2] p) "
                      "{ p = Relu(x) [n] p = Neg(x) }, else_branch = e () => (float[2] q) { q = Neg(x) }> }",
                      "node 'i/n' (Neg): gives value 'p', which is already the result of node 'i/Relu_1'"),
    "inner input": ("g (int64 n, float[2] x) => (float[2] y) { [l] y = Loop(n, , x) <body = b (int64 i, bool k, float[2] v) "
                    "=> (bool k, float[2] v) { [m] v = Neg(x) }> }", "node 'l/m' (Neg): gives value 'v', which is already an input"),
    "branches": ("g (bool c, float[2] x) => (float[2] z) { [i] y, z = If(c) <then_branch = t () => (float[2] p) "
                 "{ p = Relu(x) }, else_branch = e () => (float[2] q) { q = Neg(x) }> }",
                 "node 'i' (If): has 2 results, but gives 1"),
    # Operators, domains, opsets.
    "operator": ("g (float[2] x) => (float[2] y) { [a] y = Mystery(x) }", "node 'a' (Mystery, ai.onnx, opset 17): unsupported operator"),
    "domain": ("g (float[2] x) => (float[2] y) { [a] y = other.Relu(x) }", "node 'a' (Relu, other, opset 1): unsupported operator",
               '"" : 17, "other" : 1'),
    "no domain": ("g (float[2] x) => (float[2] y) { [a] y = com.microsoft.FastGelu(x) }",
                  "node 'a' (FastGelu): is of domain com.microsoft, of which no opset is imported"),
    "no opset": ("g (float[2] x) => (float[2] y) { [a] y = Relu(x) }",
                 "node 'a' (Relu): is of domain ai.onnx, of which no opset is imported", '"com.microsoft" : 1'),
    "opset 0": ("g (float[2] x) => (float[2] y) { y = Relu(x) }", "imports opset 0 of ai.onnx, which must be at least 1", '"" : 0'),
    "opset 6": ("g (float[2] x) => (float[2] y) { [a] y = Relu(x) }", "node 'a' (Relu, ai.onnx, opset 6): unsupported opset", '"" : 6'),
    "opset 9999": ("g (float[2] x) => (float[2] y) { y = Relu(x) }",
                   "imports opset 9999 of ai.onnx, but the newest that Tenon knows is 28", '"" : 9999'),
    "opsets": ("g (float[2] x) => (float[2] y) { y = Relu(x) }", "imports opsets 13 and 17 of ai.onnx", '"" : 13, "ai.onnx" : 17'),
    "opset of a function": ("g (float[2] x) => (float[2] y) { y = local.f(x) }", "function 'f' imports opset 99 of ai.onnx, but the newest that Tenon knows is 28",
                            '"" : 17, "local" : 1', '<domain: "local", opset_import: ["" : 99]> f (a) => (b) { b = Relu(a) }'),
    # Attributes, operands, results.
    "attribute's type": ("g (float[2] x) => (float[2] y) { [a] y = Softmax<axis = \"one\">(x) }",
                         "node 'a' (Softmax): attribute 'axis' must be INT, but is STRING"),
    "list": ("g (float[2,3] x) => (float[3,2] y) { [a] y = Transpose<perm = 1>(x) }",
             "node 'a' (Transpose): attribute 'perm' must be INTS, but is INT"),
    "tensor": ("g (int64[1] n) => (float[k] y) { [a] y = ConstantOfShape<value = 1.5>(n) }",
               "node 'a' (ConstantOfShape): attribute 'value' must be TENSOR, but is FLOAT"),
    "number": ("g (float[2] x) => (float[2] y) { [a] y = LeakyRelu<alpha = 1>(x) }",
               "node 'a' (LeakyRelu): attribute 'alpha' must be FLOAT, but is INT"),
    "branch": ("g (bool c, float[2] x) => (float[2] y) { [i] y = If<then_branch = 1>(c) }",
               "node 'i' (If): needs one condition, then_branch and else_branch"),
    "axis": ("g (float[2] x) => (float[4] y) { [a] y = Concat(x, x) }", "node 'a' (Concat): needs attribute 'axis'"),
    "to": ("g (float[2] x) => (float[2] y) { [a] y = Cast(x) }", "node 'a' (Cast): needs attribute 'to'"),
    "to what": ("g (float[2] x) => (float[2] y) { [a] y = Cast<to = 999>(x) }", "node 'a' (Cast): casts to element type 999, which is unsupported"),
    "value": ("g () => (float[2] y) { [a] y = Constant() }", "node 'a' (Constant): needs attribute 'value'"),
    "equation": ("g (float[2] x) => (float[2] y) { [a] y = Einsum(x) }", "node 'a' (Einsum): needs attribute 'equation'"),
    "blocksize": ("g (float[1,4,2,2] x) => (float[1,1,4,4] y) { [a] y = DepthToSpace(x) }",
                  "node 'a' (DepthToSpace): needs an input of rank 4, a positive blocksize"),
    "kernel": ("g (float[1,1,4,4] x) => (float[1,1,3,3] y) { [a] y = MaxPool(x) }",
               "node 'a' (MaxPool): needs a kernel of 2 positive sizes, but has []"),
    "unknown attribute": ("g (float[2] x) => (float[2] y) { [a] y = Relu<slope = 2.0>(x) }",
                          "node 'a' (Relu): attribute 'slope' is unsupported"),
    "no operand": ("g (float[2] x) => (float[2] y) { [a] y = Add(x) }", "node 'a' (Add): has no operand 1, but needs 2"),
    "omitted operand": ("g (float[2] x) => (float[2] y) { [a] y = Add(, x) }", "node 'a' (Add): has no operand 0, but needs 2"),
    "operands": ("g (float[2] x) => (float[2] y) { [a] y = Relu(x, x) }", "node 'a' (Relu): has 2 operands, but takes 1"),
    "operands of Gemm": ("g (float[2,2] x) => (float[2,2] y) { [a] y = Gemm(x, x, x, x) }", "node 'a' (Gemm): has 4 operands, but takes 3"),
    "operands of a function": ("g (float[2] x) => (float[2] y) { [a] y = local.f(x, x) }",
                               "node 'a' (f): has 2 operands, but the function takes 1",
                               '"" : 17, "local" : 1', '<domain: "local", opset_import: ["" : 17]> f (a) => (b) { b = Relu(a) }'),
    "results of a node": ("g (float[2] x) => (float[2] z) { [a] y, z = Relu(x) }",
                          "node 'a' (Relu): has no result 1, which the model uses"),
    "results of a function": ("g (float[2] x) => (float[2] z) { [a] y, z = local.f(x) }", "node 'a' (f): has 2 results, but gives 1",
                              '"" : 17, "local" : 1', '<domain: "local", opset_import: ["" : 17]> f (a) => (b) { b = Relu(a) }'),
    # Types and sizes.
    "types": ("g (float[2] x, int64[2] i) => (float[2] y) { [a] y = Add(x, i) }",
              "node 'a': 'graph.add' op rhs has element type 'i64', but must have 'f32'"),
    "sizes": ("g (float[2] x, float[3] z) => (float[2] y) { [a] y = Add(x, z) }",
              "node 'a' (Add): cannot broadcast operand of type 'tensor<3xf32>' with the operands before it"),
    "strings": ("g (string[2] x) => (string[2] y) { [a] y = Identity(x) }", "input 'x': unsupported element type STRING"),
    "declared size": ("g (float[2] x) => (float[3] y) { [a] y = Relu(x) }",
                      "node 'a' (Relu): result 'y' is declared as 'tensor<3xf32>', but is 'tensor<2xf32>'"),
    "declared rank": ("g (float[2] x) => (float[n,m] y) { [a] y = Relu(x) }",
                      "node 'a' (Relu): result 'y' is declared as 'tensor<?x?xf32>', but is 'tensor<2xf32>'"),
    "declared type": ("g (float[2] x) => (int64[2] y) { [a] y = Relu(x) }",
                      "node 'a' (Relu): result 'y' is declared as 'tensor<2xi64>', but is 'tensor<2xf32>'"),
    "declared inside": ("g (float[2] x) => (float[2] y) <int64[2] p> { [a] p = Relu(x) y = Neg(p) }",
                        "node 'a' (Relu): result 'p' is declared as 'tensor<2xi64>', but is 'tensor<2xf32>'"),
    "negative size": ("g (float[2,n] x) => (float[n] y) { y = Relu(x) }", "input 'x': has size -1 in dimension 1, which must be at least 0"),
    "enormous input": ("g (float[4611686018427387904,4] x) => (float[n,4] y) { y = Relu(x) }",
                       "input 'x': is a 'tensor<4611686018427387904x4xf32>', which no memory could hold"),
    "enormous result": ("g (float[1] x) => (float[n,m] y) <int64[2] n = {1099511627776, 1099511627776}> { [a] y = Expand(x, n) }",
                        "node 'a': gives a 'tensor<1099511627776x1099511627776xf32>', which no memory could hold"),
    "sizes below zero": ("g (float[1] x) => (float[n] y) <int64[1] n = {-5}> { [a] y = ConstantOfShape(n) }",
                         "node 'a' (ConstantOfShape): has size -5, but must have at least 0"),
}


def edited(name, model):
    """What the notation has no words for."""
    if name == "negative size":
        model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = -1
    return model


@pytest.mark.parametrize("name", GRAPHS)
def test_graphs(tmp_path, name):
    graph, message, *more = GRAPHS[name]
    refused(tmp_path, edited(name, parse(graph, *more)), message, code=3 if "unsupported" in message or "newest" in message else 1)


def initialized(count=1, **fields):
    """y = x + w, w a tensor of `fields`."""
    model = parse("g (float[n] x) => (float[n] y) { [a] y = Add(x, w) }")
    for _ in range(count):
        model.graph.initializer.add(name="w", **fields)
    return model


@pytest.mark.parametrize("model, message", [
    (initialized(dims=[3], data_type=1, raw_data=bytes(8)), "tensor 'w': has 8 bytes, but its type 'tensor<3xf32>' needs 12"),
    (initialized(dims=[3], data_type=1, raw_data=bytes(16)), "tensor 'w': has 16 bytes, but its type 'tensor<3xf32>' needs 12"),
    (initialized(dims=[900], data_type=1, raw_data=bytes(4000)),
     "tensor 'w': external data has 4000 bytes, but the tensor has 3600"),
    (initialized(dims=[3], data_type=1, float_data=[1, 2]), "tensor 'w': has 8 bytes, but its type 'tensor<3xf32>' needs 12"),
    (initialized(dims=[3], data_type=1, int64_data=[1, 2, 3]), "tensor 'w': has 0 bytes, but its type 'tensor<3xf32>' needs 12"),
    (initialized(dims=[3], data_type=1), "tensor 'w': has 0 bytes, but its type 'tensor<3xf32>' needs 12"),
    (initialized(dims=[-3], data_type=1), "tensor 'w': has a size of -3"),
    (initialized(dims=[2**62, 4], data_type=1), "tensor 'w': has a size of 4"),
    (initialized(dims=[2**50], data_type=1), "tensor 'w': has 0 bytes, but its type 'tensor<1125899906842624xf32>' needs 4503599627370496"),
    (initialized(dims=[2], data_type=8, string_data=[b"a", b"b"]), "tensor 'w': unsupported element type STRING"),
    (initialized(dims=[2], data_type=99), "tensor 'w': unsupported element type 99"),
    (initialized(2, dims=[1], data_type=1, float_data=[1]), "tensor 'w': comes twice among the initializers"),
], ids=["short", "long", "large", "few", "field", "nothing", "negative", "wraps", "enormous", "strings", "type", "twice"])
def test_initializers(tmp_path, model, message):
    refused(tmp_path, model, message, code=3 if "unsupported" in message else 1)


def listed(folder, model):
    """The nodes that are refused, all for what Tenon does not have."""
    result = compile_in(folder, model)
    assert result.returncode == 3 and not list((folder / "out").iterdir()), result.stderr
    lines = result.stderr.splitlines()
    assert all(line.startswith("error: node '") and "unsupported" in line for line in lines), result.stderr
    return [line.split("'")[1] for line in lines]


def test_everything_unsupported_is_listed_at_once(tmp_path):
    """In the order of the model, and not what only depends on it."""
    nodes = " ".join(f"[n{i}] y{i} = {'Mystery' if i % 3 else 'Relu'}({f'y{i - 1}' if i else 'x'})" for i in range(30))
    model = parse("g (float[2] x) => (float[2] y29) { %s }" % nodes)
    assert listed(tmp_path, model) == [f"n{i}" for i in range(30) if i % 3]


def test_sizes_between_nodes_are_not_relied_on(tmp_path):
    """Exporters write wrong ones; the model says what it computes without them."""
    text = "g (float[2] x) => (float[2] y) <float[5] p> { [a] p = Relu(x) y = Neg(p) }"
    (tmp_path / "model.onnx").write_bytes(parse(text).SerializeToString())
    result = tenon("compile", tmp_path / "model.onnx", "-o", tmp_path / "model.so")
    assert result.returncode == 0
    assert "warning: node 'a' (Relu): result 'p' is declared as 'tensor<5xf32>', but is 'tensor<2xf32>'" in result.stderr


@pytest.mark.parametrize("model", [
    parse("g (float[2] x) => (float[2] y) { y = Relu(x) }", '"" : 28, "ai.onnx.ml" : 99, "other" : 3'),
    parse("g (float[2] x) => (float[2] y) { y = Relu(x) }", '"" : 17, "ai.onnx" : 17'),
    # A name may come again in a graph inside, or in a function.
    parse("g (bool c, float[2] x) => (float[2] z) { y = Relu(x) z = If(c) <then_branch = t () => (float[2] y) "
          "{ y = Relu(x) }, else_branch = e () => (float[2] y) { y = Neg(x) }> }"),
    parse("g (float[2] x) => (float[2] y) { y = local.f(x) }", '"" : 17, "local" : 1',
          '<domain: "local", opset_import: ["" : 17]> f (x) => (y) { y = Relu(x) }'),
    # An operand or result that is left out, and one that nobody reads.
    parse("g (float[2,3] x) => (float[2,3] y) { y, m = Dropout(x, , ) }"),
    # The default of an input.
    parse("g (float[2] x, float[2] w) => (float[2] y) <float[2] w = {1, 2}> { y = Add(x, w) }"),
    parse("g (float[0,4611686018427387904] x) => (float[0,4611686018427387904] y) { y = Relu(x) }"),
], ids=["opsets", "alias", "inner", "function", "omitted", "default", "empty"])
def test_models_that_are_good(tmp_path, model):
    assert taken(tmp_path, model) == ""
