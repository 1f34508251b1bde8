"""ONNX If and Loop, against onnxruntime (onnx's own evaluator runs no Loop without a condition)."""
import numpy as np
import onnx
import pytest
from conftest import compile_model, reference, tenon
from onnx import TensorProto, helper

F, I, B = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


def info(name, kind, shape):
    return helper.make_tensor_value_info(name, kind, shape)


def save(path, nodes, inputs, outputs, initializers=()):
    graph = helper.make_graph(nodes, "g", inputs, outputs, list(initializers))
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def check(model, folder, *feeds):
    """Runs the model compiled, with one and with two threads, and by onnxruntime."""
    import tenon as package
    artifact = compile_model(model, folder / "model.so", "--dump-phases", folder / "dump")
    for feed in feeds:
        want = reference(model, feed)
        for threads in (1, 2):
            got = package.Session(artifact, threads=threads).run(feed)
            for found, expected in zip(got, want):
                np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    whole = artifact.read_bytes()
    for dump in sorted((folder / "dump").glob("*.mlir")):
        assert compile_model(dump, folder / "part.so").read_bytes() == whole, dump.name


def floats(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def constant(name, values):
    return onnx.numpy_helper.from_array(np.asarray(values), name)


def test_if_with_captured_values_and_sizes(tmp_path):
    weight = constant("w", floats(8, 300))
    then = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["p"]), helper.make_node("Relu", ["p"], ["a"])],
                             "then", [], [info("a", F, None)])
    other = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["q"]), helper.make_node("Neg", ["q"], ["b"])],
                              "else", [], [info("b", F, None)])
    model = save(tmp_path / "if.onnx",
                 [helper.make_node("If", ["c"], ["r"], then_branch=then, else_branch=other, name="choice"),
                  helper.make_node("Add", ["r", "r"], ["y"])],
                 [info("c", B, []), info("x", F, ["n", 8])], [info("y", F, ["n", 300])], [weight])
    check(model, tmp_path, *({"c": np.array(c), "x": floats(n, 8, seed=n)} for c in (True, False) for n in (1, 7, 130)))


def test_nested_if(tmp_path):
    def branch(value, name):
        return helper.make_graph([helper.make_node("Mul", ["x", value], [name])], name, [], [info(name, F, None)])
    inner = helper.make_graph([helper.make_node("If", ["d"], ["i"], then_branch=branch("two", "t2"),
                                                else_branch=branch("three", "t3"))], "inner", [], [info("i", F, None)])
    model = save(tmp_path / "nested.onnx",
                 [helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=branch("five", "t5"))],
                 [info("c", B, []), info("d", B, []), info("x", F, ["n"])], [info("y", F, ["n"])],
                 [constant(name, np.float32(value)) for name, value in (("two", 2), ("three", 3), ("five", 5))])
    check(model, tmp_path, *({"c": np.array(c), "d": np.array(d), "x": floats(5)}
                             for c in (True, False) for d in (True, False)))


def test_branches_that_only_choose(tmp_path):
    # Canonicalization makes one condition of two, and selects of branches without ops.
    def branch(op, value, name):
        return helper.make_graph([helper.make_node(op, [value], [name])], name, [], [info(name, F, None)])
    inner = helper.make_graph([helper.make_node("If", ["d"], ["i"], then_branch=branch("Neg", "x", "t1"),
                                                else_branch=branch("Identity", "x", "e1"))], "inner", [], [info("i", F, None)])
    model = save(tmp_path / "choose.onnx",
                 [helper.make_node("If", ["d"], ["w"], then_branch=branch("Identity", "w1", "t2"),
                                   else_branch=branch("Identity", "w2", "e2")),
                  helper.make_node("If", ["c"], ["v"], then_branch=inner, else_branch=branch("Identity", "x", "e3")),
                  helper.make_node("MatMul", ["v", "w"], ["y"])],
                 [info("c", B, []), info("d", B, []), info("x", F, ["n", 64])], [info("y", F, ["n", 96])],
                 [constant("w1", floats(64, 96)), constant("w2", floats(64, 96, seed=1))])
    check(model, tmp_path, *({"c": np.array(c), "d": np.array(d), "x": floats(5, 64)}
                             for c in (True, False) for d in (True, False)))


def test_a_choice_inside_a_loop(tmp_path):
    def choose(value):
        return helper.make_graph([helper.make_node("Identity", [value], [f"{value}_"])], value, [], [info(f"{value}_", F, None)])
    body = loop_body([helper.make_node("Equal", ["i", "two"], ["is_two"]), helper.make_node("Neg", ["v"], ["minus"]),
                      helper.make_node("Abs", ["v"], ["plus"]),
                      helper.make_node("If", ["is_two"], ["s"], then_branch=choose("minus"), else_branch=choose("plus")),
                      helper.make_node("Add", ["s", "x"], ["v_next"])], "v", ["n"])
    model = save(tmp_path / "choice.onnx", [helper.make_node("Loop", ["trips", "", "x"], ["y"], body=body)],
                 [info("trips", I, []), info("x", F, ["n"])], [info("y", F, ["n"])], [constant("two", np.int64(2))])
    check(model, tmp_path, *({"trips": np.array(t), "x": floats(5)} for t in (0, 2, 3, 5)))


def test_profile_sums_the_launches_of_a_loop(tmp_path):
    import tenon as package
    body = loop_body([helper.make_node("Tanh", ["v"], ["v_next"])], "v", ["n"])
    model = save(tmp_path / "loop.onnx",
                 [helper.make_node("Loop", ["trips", "", "x"], ["u"], body=body, name="l"),
                  helper.make_node("Exp", ["u"], ["y"], name="last")],
                 [info("trips", I, []), info("x", F, ["n"])], [info("y", F, ["n"])])
    session = package.Session(compile_model(model, tmp_path / "model.so"), profile=True)
    session.run({"trips": np.array(5), "x": floats(3)})
    calls = {node: launch.calls for launch in session.profile for node in launch.nodes}
    assert [number for node, number in calls.items() if node.startswith("l/Tanh")] == [5]
    assert calls["last"] == 1


def test_if_on_a_constant_disappears(tmp_path):
    branches = {f"{name}_branch": helper.make_graph([helper.make_node(op, ["x"], [op])], name, [], [info(op, F, None)])
                for name, op in (("then", "Relu"), ("else", "Neg"))}
    model = save(tmp_path / "known.onnx", [helper.make_node("If", ["c"], ["y"], **branches)], [info("x", F, ["n"])],
                 [info("y", F, ["n"])], [constant("c", True)])
    check(model, tmp_path, {"x": floats(9)})
    assert "scf.if" not in (tmp_path / "dump/2-simplify.mlir").read_text()


def loop_body(nodes, carried, shape, extra=()):
    """A body that hands its condition on."""
    return helper.make_graph([helper.make_node("Identity", ["go"], ["go_on"])] + nodes, "body",
                             [info("i", I, []), info("go", B, []), info(carried, F, shape)],
                             [info("go_on", B, []), info(f"{carried}_next", F, shape), *extra])


@pytest.mark.parametrize("constant_trips", [True, False])
def test_loop_multiplies_by_a_captured_weight(tmp_path, constant_trips):
    # v <- relu(v w) + i, a product in every iteration
    body = loop_body([helper.make_node("MatMul", ["v", "w"], ["p"]), helper.make_node("Relu", ["p"], ["q"]),
                      helper.make_node("Cast", ["i"], ["f"], to=F), helper.make_node("Add", ["q", "f"], ["v_next"])],
                     "v", ["n", 16])
    inputs = [info("x", F, ["n", 16])] + ([] if constant_trips else [info("trips", I, [])])
    weights = [constant("w", floats(16, 16) / 4)] + ([constant("trips", np.int64(5))] if constant_trips else [])
    model = save(tmp_path / "loop.onnx", [helper.make_node("Loop", ["trips", "", "x"], ["y"], body=body)], inputs,
                 [info("y", F, ["n", 16])], weights)
    feeds = [{"x": floats(n, 16)} for n in (1, 33)]
    if not constant_trips:
        feeds = [dict(feed, trips=np.array(trips)) for feed in feeds for trips in (0, 1, 6)]
    check(model, tmp_path, *feeds)


def test_loop_without_trips_disappears(tmp_path):
    body = loop_body([helper.make_node("Neg", ["v"], ["v_next"])], "v", ["n"])
    model = save(tmp_path / "none.onnx", [helper.make_node("Loop", ["trips", "", "x"], ["y"], body=body)],
                 [info("x", F, ["n"])], [info("y", F, ["n"])], [constant("trips", np.int64(0))])
    check(model, tmp_path, {"x": floats(3)})
    assert "scf.while" not in (tmp_path / "dump/2-simplify.mlir").read_text()


def test_loop_ends_by_its_condition(tmp_path):
    # Doubles until the sum reaches a bound.
    body = helper.make_graph([helper.make_node("Add", ["v", "v"], ["v_next"]),
                              helper.make_node("ReduceSum", ["v_next"], ["sum"], keepdims=0),
                              helper.make_node("Less", ["sum", "bound"], ["go_on"])], "body",
                             [info("i", I, []), info("go", B, []), info("v", F, ["n"])],
                             [info("go_on", B, []), info("v_next", F, ["n"])])
    model = save(tmp_path / "while.onnx", [helper.make_node("Loop", ["", "start", "x"], ["y"], body=body)],
                 [info("start", B, []), info("x", F, ["n"]), info("bound", F, [])], [info("y", F, ["n"])])
    check(model, tmp_path, *({"start": np.array(start), "x": np.ones(4, np.float32), "bound": np.array(bound, np.float32)}
                             for start, bound in ((True, 100), (True, 1), (False, 100))))


def test_carried_values_change_places(tmp_path):
    body = helper.make_graph([helper.make_node("Identity", ["go"], ["go_on"]),
                              helper.make_node("Identity", ["b"], ["a_next"]),
                              helper.make_node("Identity", ["a"], ["b_next"])], "body",
                             [info("i", I, []), info("go", B, []), info("a", F, ["n"]), info("b", F, ["n"])],
                             [info("go_on", B, []), info("a_next", F, ["n"]), info("b_next", F, ["n"])])
    model = save(tmp_path / "swap.onnx", [helper.make_node("Loop", ["trips", "", "x", "z"], ["p", "q"], body=body)],
                 [info("trips", I, []), info("x", F, ["n"]), info("z", F, ["n"])],
                 [info("p", F, ["n"]), info("q", F, ["n"])])
    check(model, tmp_path, *({"trips": np.array(t), "x": floats(6), "z": floats(6, seed=1)} for t in (0, 1, 2, 3)))


def test_if_inside_a_loop(tmp_path):
    # Adds in even iterations, doubles in odd ones.
    then = helper.make_graph([helper.make_node("Add", ["v", "x"], ["t"])], "then", [], [info("t", F, None)])
    other = helper.make_graph([helper.make_node("Add", ["v", "v"], ["e"])], "else", [], [info("e", F, None)])
    body = loop_body([helper.make_node("Div", ["i", "two"], ["half"]), helper.make_node("Mul", ["half", "two"], ["even"]),
                      helper.make_node("Equal", ["even", "i"], ["is_even"]),
                      helper.make_node("If", ["is_even"], ["v_next"], then_branch=then, else_branch=other)], "v", ["n"])
    model = save(tmp_path / "both.onnx", [helper.make_node("Loop", ["trips", "", "x"], ["y"], body=body)],
                 [info("trips", I, []), info("x", F, ["n"])], [info("y", F, ["n"])], [constant("two", np.int64(2))])
    check(model, tmp_path, *({"trips": np.array(t), "x": floats(3)} for t in (0, 1, 4, 5)))


def test_shape_arithmetic_inside_a_loop(tmp_path):
    body = loop_body([helper.make_node("Shape", ["v"], ["s"]), helper.make_node("Gather", ["s", "first"], ["b"]),
                      helper.make_node("Concat", ["b", "rest"], ["to"], axis=0),
                      helper.make_node("Reshape", ["v", "to"], ["r"]), helper.make_node("MatMul", ["r", "w"], ["p"]),
                      helper.make_node("Reshape", ["p", "s"], ["q"]), helper.make_node("Tanh", ["q"], ["v_next"])],
                     "v", None)
    model = save(tmp_path / "shapes.onnx", [helper.make_node("Loop", ["trips", "", "x"], ["y"], body=body)],
                 [info("trips", I, []), info("x", F, ["b", "s", 4])], [info("y", F, ["b", "s", 4])],
                 [constant("first", np.array([0])), constant("rest", np.array([-1, 4])), constant("w", floats(4, 4))])
    check(model, tmp_path, *({"trips": np.array(t), "x": floats(2, 3, 4)} for t in (0, 3)))


def test_values_that_change_their_size_are_refused(tmp_path):
    body = loop_body([helper.make_node("Concat", ["v", "x"], ["v_next"], axis=0)], "v", None)
    model = save(tmp_path / "grow.onnx", [helper.make_node("Loop", ["trips", "", "x"], ["y"], body=body, name="l")],
                 [info("trips", I, []), info("x", F, ["n"])], [info("y", F, ["m"])])
    result = tenon("compile", model, "-o", tmp_path / "grow.so")
    assert result.returncode == 3 and not (tmp_path / "grow.so").exists()
    assert "node 'l': carries a tensor of type 'tensor<?xf32>' whose sizes depend on data or differ" in result.stderr

    then = helper.make_graph([helper.make_node("Concat", ["x", "x"], ["a"], axis=0)], "then", [], [info("a", F, None)])
    other = helper.make_graph([helper.make_node("Neg", ["x"], ["b"])], "else", [], [info("b", F, None)])
    model = save(tmp_path / "differ.onnx", [helper.make_node("If", ["c"], ["y"], then_branch=then, else_branch=other,
                                                             name="choice")],
                 [info("c", B, []), info("x", F, ["n"])], [info("y", F, ["m"])])
    result = tenon("compile", model, "-o", tmp_path / "differ.so")
    assert result.returncode == 3
    assert "node 'choice': gives a tensor of type 'tensor<?xf32>' whose sizes depend on data or differ" in result.stderr


def scan_body(shape=("n",)):
    """Halves v and adds the iteration; scans v before that and the iteration."""
    return helper.make_graph([helper.make_node("Identity", ["go"], ["go_on"]),
                              helper.make_node("Mul", ["v", "half"], ["h"]),
                              helper.make_node("Cast", ["i"], ["f"], to=F), helper.make_node("Add", ["h", "f"], ["v_next"]),
                              helper.make_node("Abs", ["v"], ["row"]), helper.make_node("Identity", ["i"], ["number"])],
                             "body", [info("i", I, []), info("go", B, []), info("v", F, shape)],
                             [info("go_on", B, []), info("v_next", F, shape), info("row", F, shape), info("number", I, [])])


SCANNED = [info("y", F, ["n"]), info("rows", F, ["t", "n"]), info("numbers", I, ["t"])]


@pytest.mark.parametrize("trips", [0, 1, 4])
def test_scan_outputs_with_constant_trips(tmp_path, trips):
    import tenon as package
    model = save(tmp_path / "scan.onnx",
                 [helper.make_node("Loop", ["trips", "", "x"], ["y", "rows", "numbers"], body=scan_body())],
                 [info("x", F, ["n"])], SCANNED, [constant("trips", np.int64(trips)), constant("half", np.float32(.5))])
    if trips:
        return check(model, tmp_path, *({"x": floats(n)} for n in (1, 70)))
    # onnxruntime gives (0, 0) here, though each of the no rows would be as long as x.
    artifact = compile_model(model, tmp_path / "scan.so")
    y, rows, numbers = package.Session(artifact).run({"x": floats(5)})
    np.testing.assert_array_equal(y, floats(5))
    assert rows.shape == (0, 5) and numbers.shape == (0,)


def test_scan_outputs_with_as_many_trips_as_an_input_has_rows(tmp_path):
    # What exporters write for a loop over the rows of a tensor.
    body = helper.make_graph([helper.make_node("Identity", ["go"], ["go_on"]),
                              helper.make_node("Gather", ["x", "i"], ["r"], axis=0),
                              helper.make_node("Add", ["v", "r"], ["v_next"]), helper.make_node("Identity", ["v_next"], ["row"])],
                             "body", [info("i", I, []), info("go", B, []), info("v", F, ["k"])],
                             [info("go_on", B, []), info("v_next", F, ["k"]), info("row", F, ["k"])])
    model = save(tmp_path / "rows.onnx",
                 [helper.make_node("Shape", ["x"], ["s"], start=0, end=1), helper.make_node("Squeeze", ["s"], ["trips"]),
                  helper.make_node("Loop", ["trips", "yes", "v0"], ["y", "sums"], body=body)],
                 [info("x", F, ["n", "k"]), info("v0", F, ["k"])], [info("y", F, ["k"]), info("sums", F, ["n", "k"])],
                 [constant("yes", True)])
    check(model, tmp_path, *({"x": floats(n, 3), "v0": floats(3)} for n in (1, 5)))


def test_scan_outputs_of_a_trip_count_that_an_input_holds(tmp_path):
    model = save(tmp_path / "scan.onnx",
                 [helper.make_node("Loop", ["trips", "", "x"], ["y", "rows", "numbers"], body=scan_body(), name="l")],
                 [info("trips", I, []), info("x", F, ["n"])], SCANNED, [constant("half", np.float32(.5))])
    check(model, tmp_path, *({"trips": np.array(trips), "x": floats(n)} for trips, n in ((3, 4), (1, 2), (20, 3))))
    # Of a loop that does not run onnxruntime makes scan outputs without columns.
    import tenon as package
    session = package.Session(tmp_path / "model.so")
    for trips in (0, -1):
        y, rows, numbers = session.run({"trips": np.array(trips), "x": floats(3)})
        np.testing.assert_array_equal(y, floats(3))
        assert rows.shape == (0, 3) and numbers.shape == (0,)


def test_what_is_unsupported_is_said(tmp_path):
    # The number of rows would be known only when the model or the loop runs.
    model = save(tmp_path / "scan.onnx",
                 [helper.make_node("Cast", ["count"], ["trips"], to=I),
                  helper.make_node("Loop", ["trips", "", "x"], ["y", "rows", "numbers"], body=scan_body(), name="l")],
                 [info("count", F, []), info("x", F, ["n"])], SCANNED, [constant("half", np.float32(.5))])
    result = tenon("compile", model, "-o", tmp_path / "scan.so")
    assert result.returncode == 3 and not (tmp_path / "scan.so").exists()
    assert "node 'l': carries a tensor of type 'tensor<?x?xf32>' whose sizes depend on data" in result.stderr

    model = save(tmp_path / "until.onnx",
                 [helper.make_node("Loop", ["", "go", "x"], ["y", "rows", "numbers"], body=scan_body(), name="l")],
                 [info("go", B, []), info("x", F, ["n"])], SCANNED, [constant("half", np.float32(.5))])
    result = tenon("check", model)
    assert result.returncode == 3
    assert "node 'l' (Loop): has scan outputs, which need a trip count" in result.stdout

    endless = loop_body([helper.make_node("Neg", ["v"], ["v_next"])], "v", ["n"])
    model = save(tmp_path / "endless.onnx", [helper.make_node("Loop", ["", "", "x"], ["y"], body=endless, name="l")],
                 [info("x", F, ["n"])], [info("y", F, ["n"])])
    result = tenon("check", model)
    assert result.returncode == 1
    assert "never ends" in result.stdout


def scan(folder, inputs, body, carried, elements, results, **attributes):
    """A model of one Scan. `body` makes values "c0", … and "r0", … of "s0", … and "e0", …"""
    states, items = [f"s{i}" for i in range(carried)], [f"e{i}" for i in range(elements)]
    graph = helper.make_graph(body, "body", [info(name, F, None) for name in states + items],
                              [info(name, F, None) for name in [f"c{i}" for i in range(carried)]
                               + [f"r{i}" for i in range(results)]])
    outputs = [f"y{i}" for i in range(carried + results)]
    node = helper.make_node("Scan", [name for name, _ in inputs][:carried + elements], outputs, body=graph, name="scan",
                            num_scan_inputs=elements, **attributes)
    return save(folder / "scan.onnx", [node], [info(name, F, shape) for name, shape in inputs],
                [onnx.ValueInfoProto(name=name) for name in outputs])


NODE = helper.make_node


@pytest.mark.parametrize("direction", [0, 1])
def test_scan_of_a_recurrence(tmp_path, direction):
    """A decaying sum, of which every step is a result, along a sequence of any length."""
    model = scan(tmp_path, [("start", ["b", 5]), ("x", ["s", "b", 5]), ("decay", [5])],
                 [NODE("Mul", ["s0", "decay"], ["d"]), NODE("Add", ["d", "e0"], ["c0"]), NODE("Tanh", ["c0"], ["r0"])],
                 1, 1, 1, scan_input_directions=[direction], scan_output_directions=[direction])
    check(model, tmp_path, *({"start": floats(b, 5), "x": floats(s, b, 5, seed=s), "decay": floats(5, seed=9)}
                             for s, b in ((4, 2), (1, 3))))
    import tenon as package
    last, steps = package.Session(tmp_path / "model.so").run(
        {"start": floats(2, 5), "x": floats(0, 2, 5), "decay": floats(5)})  # which onnxruntime does not
    np.testing.assert_array_equal(last, floats(2, 5))
    assert steps.shape == (0, 2, 5)


def test_scan_along_other_axes(tmp_path):
    """Two sequences, one of them backwards; without anything carried."""
    model = scan(tmp_path, [("x", ["b", "s", 4]), ("z", ["b", 4, "s"])],
                 [NODE("Sub", ["e0", "e1"], ["r0"]), NODE("Mul", ["e0", "e1"], ["r1"])], 0, 2, 2,
                 scan_input_axes=[1, -1], scan_input_directions=[0, 1], scan_output_axes=[1, -1],
                 scan_output_directions=[0, 1])
    check(model, tmp_path, *({"x": floats(b, s, 4), "z": floats(b, 4, s, seed=1)} for b, s in ((2, 3), (1, 6))))


def test_scan_of_sequences_of_other_lengths_ends_the_run(tmp_path):
    import tenon as package
    model = scan(tmp_path, [("x", ["s", 4]), ("z", ["t", 4])], [NODE("Add", ["e0", "e1"], ["r0"])], 0, 2, 1)
    session = package.Session(compile_model(model, tmp_path / "model.so"))
    with pytest.raises(package.Error, match="node 'scan'"):
        session.run({"x": floats(3, 4), "z": floats(2, 4)})


@pytest.mark.parametrize("rank", ["known", "symbolic"])
def test_if_that_sizes_decide(tmp_path, rank):
    """As exporters write squeeze: the branches give other ranks, and only one of them is there."""
    then = helper.make_graph([NODE("Squeeze", ["x", "axis"], ["a"])], "then", [], [info("a", F, None)])
    other = helper.make_graph([NODE("Identity", ["x"], ["b"])], "else", [], [info("b", F, None)])
    nodes = [NODE("Shape", ["x"], ["shape"]), NODE("Gather", ["shape", "axis"], ["size"]),
             NODE("Equal", ["size", "one"], ["c"]), NODE("If", ["c"], ["y"], then_branch=then, else_branch=other)]
    sizes = [1, 3] if rank == "known" else ["n", 3]
    model = save(tmp_path / "if.onnx", nodes, [info("x", F, ["b", *sizes])], [onnx.ValueInfoProto(name="y")],
                 [constant("axis", [1]), constant("one", [1])])
    if rank == "known":
        check(model, tmp_path, {"x": floats(2, 1, 3)})
    else:
        refused = tenon("compile", model, "-o", tmp_path / "model.so")
        assert refused.returncode != 0 and "in one branch" in refused.stderr
