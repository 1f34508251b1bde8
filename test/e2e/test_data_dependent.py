"""Values whose sizes the model computes while it runs, against onnxruntime."""
import numpy as np
import onnx
import pytest
from conftest import compile_model, reference, tenon
from onnx import TensorProto, helper

F, I, B = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
node = helper.make_node


def info(name, kind, shape=None):
    return helper.make_tensor_value_info(name, kind, shape)


def save(path, nodes, inputs, outputs, initializers=()):
    graph = helper.make_graph(nodes, "g", inputs, outputs,
                              [onnx.numpy_helper.from_array(np.asarray(v), k) for k, v in dict(initializers).items()])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def check(model, folder, *feeds):
    """Runs the model on each feed in one session, poisoned and not."""
    import tenon as package
    artifact = compile_model(model, folder / "model.so", "--dump-phases", folder / "dump")
    for options in ({"threads": 1, "check_memory": True}, {"threads": 2}):
        session = package.Session(artifact, **options)
        for feed in feeds:
            for found, expected in zip(session.run(feed), reference(model, feed), strict=True):
                assert found.shape == expected.shape and found.dtype == expected.dtype
                np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def check_phases(folder):
    """What each phase wrote for `check` can be compiled on from there."""
    whole = (folder / "model.so").read_bytes()
    for dump in sorted((folder / "dump").glob("*.mlir")):
        assert compile_model(dump, folder / "part.so").read_bytes() == whole, dump.name


def sparse(shape, share, kind=np.float32, seed=0):
    """An array of which about this share is not zero."""
    random = np.random.default_rng(seed)
    return ((random.random(shape) < share) * random.integers(1, 9, shape)).astype(kind)


@pytest.mark.parametrize("kind, dtype", [(F, np.float32), (B, bool), (TensorProto.UINT8, np.uint8)])
def test_nonzero_of_any_share(tmp_path, kind, dtype):
    model = save(tmp_path / "m.onnx", [node("NonZero", ["x"], ["z"]), node("Transpose", ["z"], ["y"], perm=[1, 0])],
                 [info("x", kind, ["n", 3, "m"])], [info("y", I), info("z", I)])
    check(model, tmp_path, *({"x": sparse((n, 3, m), share, dtype, n)}
                             for n, m in ((5, 4), (0, 4), (300, 7)) for share in (0.4, 0, 1)))


def test_nonzero_of_one_dimension_and_of_a_scalar(tmp_path):
    model = save(tmp_path / "m.onnx", [node("NonZero", ["x"], ["y"]), node("NonZero", ["s"], ["z"])],
                 [info("x", F, ["n"]), info("s", F, [])], [info("y", I), info("z", I)])
    artifact = compile_model(model, tmp_path / "m.so")
    import tenon as package
    session = package.Session(artifact)
    for scalar, x in ((0, [0, 2, 0]), (-1, [np.nan, -0.0, 1]), (3, [])):
        y, z = session.run({"x": np.array(x, np.float32), "s": np.array(scalar, np.float32)})
        np.testing.assert_array_equal(y, np.array(np.nonzero(x)))
        assert z.shape == (0, int(scalar != 0))  # ONNX, not numpy: a scalar has no coordinates


def test_chained_counts_and_shapes_of_counts(tmp_path):
    model = save(tmp_path / "m.onnx", [
        node("NonZero", ["x"], ["p"]),
        node("Transpose", ["p"], ["t"], perm=[1, 0]), node("GatherND", ["x", "t"], ["v"]),
        node("Greater", ["v", "four"], ["g"]), node("NonZero", ["g"], ["q"]),
        node("Squeeze", ["q", "first"], ["r"]), node("Gather", ["v", "r"], ["large"]),
        node("Shape", ["v"], ["s"]), node("ConstantOfShape", ["s"], ["none"]),
        node("Concat", ["none", "large"], ["both"], axis=0), node("Slice", ["both", "two", "last"], ["part"]),
        node("ReduceSum", ["v"], ["sum"], keepdims=0), node("Reshape", ["t", "flat"], ["line"])],
        [info("x", F, ["n", "m"])],
        [info("large", F), info("part", F), info("sum", F), info("line", I), info("s", I)],
        {"four": np.float32(4), "first": [0], "two": [2], "last": [-1], "flat": [-1]})
    check(model, tmp_path, *({"x": sparse((6, 9), share, seed=3)} for share in (0.5, 0, 1, 0.1)))
    check_phases(tmp_path)


def test_experts(tmp_path):
    """Rows to experts by a router's mask, as torch exports a mixture of experts."""
    random = np.random.default_rng(1)
    nodes, weights = [node("TopK", ["scores", "two"], ["best", "which"])], {"two": [2], "row": [0], "column": [1]}
    last = "zeros"
    nodes += [node("Mul", ["x", "zero"], ["zeros"])]
    weights["zero"] = np.float32(0)
    for expert in range(3):
        def name(text):
            return f"{text}{expert}"
        weights[name("e")] = np.int64(expert)
        weights[name("w")] = random.standard_normal((16, 16)).astype(np.float32)
        nodes += [node("Equal", ["which", name("e")], [name("mask")]), node("NonZero", [name("mask")], [name("nz")]),
                  node("Gather", [name("nz"), "row0"], [name("token")]), node("Gather", [name("nz"), "row1"], [name("slot")]),
                  node("Gather", ["x", name("token")], [name("rows")]), node("MatMul", [name("rows"), name("w")], [name("h")]),
                  node("Relu", [name("h")], [name("act")]),
                  node("Transpose", [name("nz")], [name("pairs")], perm=[1, 0]),
                  node("GatherND", ["best", name("pairs")], [name("gate")]),
                  node("Unsqueeze", [name("gate"), "column"], [name("gates")]),
                  node("Mul", [name("act"), name("gates")], [name("part")]),
                  node("Unsqueeze", [name("token"), "column"], [name("at")]),
                  node("ScatterND", [last, name("at"), name("part")], [name("sum")], reduction="add")]
        last = name("sum")
    weights |= {"row0": np.int64(0), "row1": np.int64(1)}
    model = save(tmp_path / "m.onnx", nodes, [info("x", F, ["n", 16]), info("scores", F, ["n", 3])],
                 [info(last, F)], weights)
    feeds = [{"x": random.standard_normal((n, 16)).astype(np.float32),
              "scores": random.standard_normal((n, 3)).astype(np.float32)} for n in (7, 40, 1)]
    feeds[1]["scores"][:, 1] = -9  # nobody asks expert 1
    check(model, tmp_path, *feeds)


@pytest.mark.parametrize("axis", [None, 0, -1])
def test_compress(tmp_path, axis):
    attributes = {} if axis is None else {"axis": axis}
    model = save(tmp_path / "m.onnx", [node("Compress", ["x", "c"], ["y"], **attributes)],
                 [info("x", F, ["n", 5]), info("c", B, ["k"])], [info("y", F)])
    x = np.arange(20, dtype=np.float32).reshape(4, 5)
    check(model, tmp_path, *({"x": x, "c": np.array(c, bool)} for c in ([0, 1, 1, 0], [1, 1, 1], [0, 0], [])))


@pytest.mark.parametrize("is_sorted, kind, dtype", [(0, F, np.float32), (1, I, np.int64)])
def test_unique(tmp_path, is_sorted, kind, dtype):
    model = save(tmp_path / "m.onnx", [node("Unique", ["x"], ["y", "first", "inverse", "counts"], sorted=is_sorted)],
                 [info("x", kind, ["n", 4])], [info("y", kind), info("first", I), info("inverse", I), info("counts", I)])
    random = np.random.default_rng(5)
    check(model, tmp_path, *({"x": random.integers(-high, high + 1, (n, 4)).astype(dtype)}
                             for n, high in ((3, 3), (1, 0), (20, 5), (6, 100))))


def test_counts_around_and_inside_a_branch(tmp_path):
    def branch(name, nodes):
        return helper.make_graph(nodes, name, [], [info(name, F)])
    then = branch("a", [node("Mul", ["v", "v"], ["a"])])
    other = branch("b", [node("Neg", ["v"], ["b"])])
    inner = branch("d", [node("NonZero", ["x"], ["q"]), node("Cast", ["q"], ["f"], to=F),
                         node("ReduceSum", ["f"], ["d"], keepdims=0)])
    outer = branch("e", [node("ReduceSum", ["x"], ["e"], keepdims=0)])
    model = save(tmp_path / "m.onnx", [
        node("NonZero", ["x"], ["p"]), node("Squeeze", ["p", "first"], ["i"]), node("Gather", ["x", "i"], ["v"]),
        node("If", ["c"], ["y"], then_branch=then, else_branch=other), node("Add", ["y", "y"], ["twice"]),
        node("If", ["c"], ["z"], then_branch=inner, else_branch=outer)],
        [info("x", F, ["n"]), info("c", B, [])], [info("twice", F), info("z", F)], {"first": [0]})
    check(model, tmp_path, *({"x": sparse(n, share, seed=n), "c": np.array(c)}
                             for n in (9, 40) for share in (0.5, 0, 1) for c in (True, False)))
    check_phases(tmp_path)


def test_counts_inside_a_loop(tmp_path):
    """In each iteration other elements are left, and the count is another."""
    body = helper.make_graph([
        node("Cast", ["i"], ["f"], to=F), node("Greater", ["x", "f"], ["g"]), node("NonZero", ["g"], ["p"]),
        node("Squeeze", ["p", "first"], ["r"]), node("Gather", ["x", "r"], ["v"]),
        node("ReduceSum", ["v"], ["s"], keepdims=0), node("Add", ["total", "s"], ["next"]),
        node("Identity", ["k"], ["keep"])], "body",
        [info("i", I, []), info("k", B, []), info("total", F, [])], [info("keep", B, []), info("next", F, [])])
    model = save(tmp_path / "m.onnx", [node("Loop", ["trips", "", "zero"], ["y"], body=body)],
                 [info("x", F, ["n"]), info("trips", I, [])], [info("y", F)],
                 {"zero": np.float32(0), "first": [0]})
    check(model, tmp_path, *({"x": sparse(20, 0.7, seed=2), "trips": np.array(t)} for t in (0, 1, 5, 12)))
    check_phases(tmp_path)


def test_scan_outputs_of_a_loop_that_ends_early(tmp_path):
    body = helper.make_graph([
        node("Mul", ["v", "two"], ["next"]), node("ReduceSum", ["next"], ["s"], keepdims=0),
        node("Less", ["s", "limit"], ["keep"]), node("Identity", ["next"], ["row"])], "body",
        [info("i", I, []), info("k", B, []), info("v", F, ["n"])],
        [info("keep", B, []), info("next", F, ["n"]), info("row", F, ["n"]), info("s", F, [])])
    model = save(tmp_path / "m.onnx", [
        node("Loop", ["trips", "go", "x"], ["y", "rows", "sums"], body=body), node("ReduceSum", ["rows", "first"], ["all"])],
        [info("x", F, ["n"]), info("trips", I, []), info("go", B, []), info("limit", F, [])],
        [info("y", F), info("rows", F), info("sums", F), info("all", F)], {"two": np.float32(2), "first": [0]})
    x = np.array([1, 2, 3], np.float32)
    check(model, tmp_path, *({"x": x, "trips": np.array(trips), "go": np.array(True), "limit": np.array(limit, np.float32)}
                             for trips, limit in ((5, 40), (5, 1e9), (3, 0), (1, 7), (9, 100))))
    import tenon as package
    found = package.Session(tmp_path / "model.so").run(
        {"x": x, "trips": np.array(4), "go": np.array(False), "limit": np.array(9, np.float32)})
    np.testing.assert_array_equal(found[0], x)  # of no iteration onnxruntime makes scan outputs without columns
    assert found[1].shape == (0, 3) and found[2].shape == (0,) and not found[3].any()


def test_sizes_that_must_agree_are_checked_when_they_are_counted(tmp_path):
    import tenon as package
    model = save(tmp_path / "m.onnx", [
        node("NonZero", ["x"], ["p"]), node("Cast", ["p"], ["f"], to=F), node("Add", ["f", "w"], ["y"], name="sum")],
        [info("x", F, ["n"]), info("w", F, ["k"])], [info("y", F)])
    session = package.Session(compile_model(model, tmp_path / "m.so"), check_memory=True)
    good = {"x": np.array([0, 1, 2, 0], np.float32), "w": np.array([5, 6], np.float32)}
    np.testing.assert_array_equal(session.run(good)[0], [[6, 8]])
    with pytest.raises(package.Error, match=r"assumes.*node 'sum'.*false for 3 and 2"):
        session.run({**good, "x": np.array([1, 1, 2, 0], np.float32)})
    np.testing.assert_array_equal(session.run(good)[0], [[6, 8]])


def test_outputs_of_the_caller_and_the_description(tmp_path):
    import tenon as package
    model = save(tmp_path / "m.onnx", [node("NonZero", ["x"], ["y"])], [info("x", F, ["n", 4])], [info("y", I)])
    artifact = compile_model(model, tmp_path / "m.so")
    session = package.Session(artifact)
    assert session.outputs[0].shape == (2, None)
    x = sparse((3, 4), 0.5)
    memory = np.full((2, 12), -7)
    y, = session.run({"x": x}, {"y": memory})
    np.testing.assert_array_equal(y, np.array(np.nonzero(x)))
    assert np.shares_memory(y, memory)
    with pytest.raises(package.Error, match=r"must be int64 \(2, 12\), is int64 \(2, 3\)"):
        session.run({"x": x}, {"y": np.zeros((2, 3), np.int64)})
    assert "[2, up to 4*n]" in tenon("info", artifact).stdout
    found = package.InferenceSession(str(artifact)).run(None, {"x": x})[0]
    np.testing.assert_array_equal(found, y)


def test_interpreter_runs_every_phase(tmp_path):
    from tenon._interpreter import Interpreter
    model = save(tmp_path / "m.onnx", [
        node("NonZero", ["x"], ["p"]), node("Transpose", ["p"], ["t"], perm=[1, 0]),
        node("GatherND", ["x", "t"], ["v"]), node("Mul", ["v", "v"], ["y"])],
        [info("x", F, ["n", 3])], [info("y", F), info("p", I)])
    compile_model(model, tmp_path / "m.so", "--dump-phases", tmp_path / "dump")
    x = sparse((2, 3), 0.6)
    for dump in sorted((tmp_path / "dump").glob("*.mlir")):
        found = Interpreter(dump).run({"x": x})
        for name, expected in zip(("y", "p"), reference(model, {"x": x})):
            np.testing.assert_array_equal(found[name], expected, err_msg=dump.name)


def test_refuses_what_has_no_bound(tmp_path):
    for name, nodes in {
        "size": [node("NonZero", ["x"], ["p"]), node("ReduceMax", ["p"], ["k"]), node("ConstantOfShape", ["k"], ["y"])],
        "grows": [node("If", ["c"], ["y"],
                       then_branch=helper.make_graph([node("NonZero", ["x"], ["p"]), node("Transpose", ["p"], ["a"])],
                                                     "a", [], [info("a", I)]),
                       else_branch=helper.make_graph([node("Identity", ["e"], ["b"])], "b", [], [info("b", I)]))],
    }.items():
        inputs = [info("x", F, ["n"]), info("c", B, []), info("e", I, ["n", 1])]
        model = save(tmp_path / f"{name}.onnx", nodes, inputs, [info("y", F if name == "size" else I)])
        done = tenon("compile", model, "-o", tmp_path / "m.so")
        assert done.returncode != 0
        assert "depend" in done.stderr, done.stderr
