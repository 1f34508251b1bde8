"""ONNX operators that look up, write, order and rearrange by index, against onnx's own evaluator: sizes that vary, 0 and
1 among them, negative indices, and every opset that says something else."""
import numpy as np
import onnx
import pytest
from conftest import compile_model, tenon
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

RNG = np.random.default_rng(0)


def floats(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def ints(low, high, *shape):
    return RNG.integers(low, high, shape)


def save(path, op, inputs, constants, opset, outputs=1, fixed=False, **attributes):
    """A model of one node. `inputs` and `constants` are arrays by name, in the order of the operands; an input's sizes
    are symbols unless `fixed`, a constant of None an operand left out."""
    operands = [*inputs, *(name if value is not None else "" for name, value in constants.items())]
    results = [f"y{number}" for number in range(outputs)]
    node = helper.make_node(op, operands, results, name="node", **attributes)

    def info(name, value):
        kind = helper.np_dtype_to_tensor_dtype(value.dtype)
        sizes = value.shape if fixed else [f"{name}_{dim}" for dim in range(value.ndim)]
        return helper.make_tensor_value_info(name, kind, sizes)

    graph = helper.make_graph([node], "g", [info(name, value) for name, value in inputs.items()],
                              [helper.make_empty_tensor_value_info(name) for name in results],
                              [onnx.numpy_helper.from_array(np.asarray(value), name)
                               for name, value in constants.items() if value is not None])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), path)
    return path


def check(folder, op, feeds, constants={}, opset=17, outputs=1, wanted=None, fixed=False, **attributes):
    """Compiles the model once and runs it on each of `feeds`. `wanted` computes what the evaluator does not."""
    import tenon as package
    model = save(folder / "model.onnx", op, feeds[0], constants, opset, outputs, fixed, **attributes)
    artifact = compile_model(model, folder / "model.so")
    evaluator = None if wanted else ReferenceEvaluator(onnx.load(model))
    for feed in feeds:
        expected = wanted(**feed) if wanted else evaluator.run(None, feed)
        for threads in (1, 2):
            found = package.Session(artifact, threads=threads).run(feed)
            assert len(found) == len(expected)
            for got, want in zip(found, expected):
                want = np.asarray(want)
                assert got.dtype == want.dtype and got.shape == want.shape
                np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


SHAPES = [(2, 3, 5), (1, 1, 1), (3, 1, 7), (1, 6, 2), (0, 3, 2), (2, 0, 3), (2, 3, 0)]


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("exclusive, reverse", [(0, 0), (1, 0), (0, 1), (1, 1)])
@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int64, np.int32])
def test_cumsum(tmp_path, axis, exclusive, reverse, kind):
    feeds = [{"x": (10 * floats(*shape)).astype(kind)} for shape in SHAPES]
    check(tmp_path, "CumSum", feeds, {"axis": np.int64(axis)}, 14, exclusive=exclusive, reverse=reverse)


def test_cumsum_along_an_axis_known_when_it_runs(tmp_path):
    feeds = [{"x": floats(*shape), "axis": np.array(axis, np.int32)} for shape in SHAPES for axis in (-3, -2, -1, 0, 1, 2)]
    check(tmp_path, "CumSum", feeds, opset=11)


def picked(x, i, axis):
    result = np.empty(i.shape, x.dtype)
    for place in np.ndindex(*i.shape):
        source = list(place)
        source[axis] = i[place]
        result[place] = x[tuple(source)]
    return [result]


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("count", [0, 1, 4])
def test_gather_elements(tmp_path, axis, count):
    feeds = []
    for shape in [(2, 3, 5), (1, 1, 1), (3, 1, 7)]:
        rows = list(shape)
        rows[axis] = count
        feeds.append({"x": floats(*shape), "i": ints(-shape[axis], shape[axis], *rows)})
        # Fewer lines than the input has.
        feeds.append({"x": floats(*shape), "i": feeds[-1]["i"][:1, :1, :1]})
    # The evaluator takes no fewer lines.
    check(tmp_path, "GatherElements", feeds, opset=13, axis=axis, wanted=lambda x, i: picked(x, i, axis))


@pytest.mark.parametrize("kind", [np.float16, np.uint8])
def test_other_types(tmp_path, kind):
    """What is compared or combined in f32, or without a sign."""
    x = ints(0, 200, 3, 9).astype(kind)
    if kind == np.float16:
        check(tmp_path, "CumSum", [{"x": x}], {"axis": np.int64(1)}, 14,
              wanted=lambda x: [np.cumsum(x.astype(np.float32), 1).astype(kind)])
    largest = (-x.astype(np.int64)).argsort(1, kind="stable")[:, :4]
    check(tmp_path, "TopK", [{"x": x}], {"k": np.array([4])}, 11, 2,
          wanted=lambda x: [np.take_along_axis(x, largest, 1), largest])
    feed = {"x": x, "i": ints(-3, 3, 2, 9), "u": ints(0, 200, 2, 9).astype(kind)}
    check(tmp_path, "ScatterElements", [feed], opset=18, reduction="max",
          wanted=lambda x, i, u: scattered(x, i, u, 0, max))
    check(tmp_path, "Pad", [{"x": x}], {"pads": np.array([1, 2, 0, 1])}, 21, mode="edge",
          wanted=lambda x: padded(x, (1, 2, 0, 1), "edge"))


def test_gather_elements_of_bools_by_int32(tmp_path):
    check(tmp_path, "GatherElements", [{"x": ints(0, 2, 3, 4).astype(bool), "i": ints(-4, 4, 3, 2).astype(np.int32)}],
          opset=11, axis=1)


@pytest.mark.parametrize("batch_dims, index_shape", [(0, (4, 1)), (0, (2, 3, 2)), (0, (5, 3)), (1, (2, 1)), (1, (2, 6, 2)),
                                                     (0, (0, 2))])
def test_gather_nd(tmp_path, batch_dims, index_shape):
    # All sizes are 2, so that one bound fits all of a tuple.
    check(tmp_path, "GatherND", [{"x": floats(2, 2, 2)}], {"i": ints(-2, 2, *index_shape)}, 13, batch_dims=batch_dims)


def scattered(x, i, u, axis, combine):
    result = x.copy()
    for place in np.ndindex(*i.shape):
        target = list(place)
        target[axis] = i[place]
        result[tuple(target)] = combine(result[tuple(target)], u[place])
    return [result]


COMBINE = {"none": lambda old, new: new, "add": lambda old, new: old + new, "mul": lambda old, new: old * new,
           "max": max, "min": min}


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("reduction", COMBINE)
def test_scatter_elements(tmp_path, axis, reduction):
    feeds = []
    for shape in [(2, 3, 5), (1, 1, 1), (3, 1, 7)]:
        for count in (0, 1, 9):
            rows = list(shape)
            rows[axis] = count
            feeds.append({"x": floats(*shape), "i": ints(-shape[axis], shape[axis], *rows), "u": floats(*rows)})
        last = feeds[-1]
        feeds.append({"x": last["x"], "i": last["i"][:1, :1, :1], "u": last["u"][:1, :1, :1]})
    # Nothing to write to.
    feeds.append({"x": floats(0, 3, 0), "i": ints(0, 1, 0, 0, 0), "u": floats(0, 0, 0)})
    check(tmp_path, "ScatterElements", feeds, opset=18, axis=axis, reduction=reduction,
          wanted=lambda x, i, u: scattered(x, i, u, axis, COMBINE[reduction]))


@pytest.mark.parametrize("shape", [(2, 2, 4), (2, 3, 3), (0, 2, 4), (4, 3, 4)])
def test_scatter_elements_of_some_lines(tmp_path, shape):
    feed = {"x": floats(5, 3, 4), "i": ints(-5, 5, *shape), "u": floats(*shape)}
    check(tmp_path, "ScatterElements", [feed], opset=18, fixed=True, reduction="add",
          wanted=lambda x, i, u: scattered(x, i, u, 0, COMBINE["add"]))


@pytest.mark.parametrize("op, opset", [("Scatter", 9), ("Scatter", 10), ("ScatterElements", 11), ("ScatterElements", 13),
                                       ("ScatterElements", 16)])
def test_scatter_elements_of_old_opsets(tmp_path, op, opset):
    check(tmp_path, op, [{"x": ints(0, 9, 4, 3), "i": ints(0, 4, 2, 3), "u": ints(0, 9, 2, 3)}], opset=opset,
          wanted=lambda x, i, u: scattered(x, i, u, 0, COMBINE["none"]))


@pytest.mark.parametrize("tuple_size", [1, 2, 3])
@pytest.mark.parametrize("reduction", COMBINE)
@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_scatter_nd(tmp_path, tuple_size, reduction, kind):
    import tenon as package
    sizes = ["a", "b", "c"]
    graph = helper.make_graph(
        [helper.make_node("ScatterND", ["x", "i", "u"], ["y"], name="node", reduction=reduction)], "g",
        [helper.make_tensor_value_info("x", helper.np_dtype_to_tensor_dtype(np.dtype(kind)), sizes),
         helper.make_tensor_value_info("i", TensorProto.INT64, ["m", "n", tuple_size]),
         helper.make_tensor_value_info("u", helper.np_dtype_to_tensor_dtype(np.dtype(kind)), ["m", "n", *sizes[tuple_size:]])],
        [helper.make_tensor_value_info("y", helper.np_dtype_to_tensor_dtype(np.dtype(kind)), sizes)])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), tmp_path / "model.onnx")
    artifact = compile_model(tmp_path / "model.onnx", tmp_path / "model.so")
    for shape in [(2, 3, 5), (1, 1, 1), (4, 1, 3)]:
        for count in [(0, 2), (1, 1), (2, 5)]:
            x = (10 * floats(*shape)).astype(kind)
            i = np.stack([ints(-size, size, *count) for size in shape[:tuple_size]], -1)
            u = (10 * floats(*count, *shape[tuple_size:])).astype(kind)
            expected = x.copy()
            for place in np.ndindex(*count):
                target = tuple(i[place])
                old, new = expected[target], u[place]
                expected[target] = {"none": new, "add": old + new, "mul": old * new, "max": np.maximum(old, new),
                                    "min": np.minimum(old, new)}[reduction]
            for threads in (1, 2):
                found, = package.Session(artifact, threads=threads).run({"x": x, "i": i, "u": u})
                np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_indices_out_of_bounds_are_not_written(tmp_path):
    import tenon as package
    with pytest.raises(package.Error, match="node 'node' uses index 9 of a dimension of size 4"):
        check(tmp_path, "ScatterElements", [{"x": floats(4, 3), "i": np.array([[9, -4, 0]]), "u": floats(1, 3)}],
              opset=18, wanted=lambda x, i, u: x)


def test_indices_out_of_bounds_are_not_read(tmp_path):
    import tenon as package
    with pytest.raises(package.Error, match="node 'node' uses index -9 of a dimension of size 4"):
        check(tmp_path, "GatherElements", [{"x": floats(4, 3), "i": np.array([[0, -9, 0]])}], opset=13,
              wanted=lambda x, i: x)


@pytest.mark.parametrize("op", ["ArgMax", "ArgMin"])
@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("last", [0, 1])
def test_arg(tmp_path, op, axis, keepdims, last):
    # Few values, so that several are equal.
    feeds = [{"x": ints(-2, 3, *shape).astype(np.float32)} for shape in SHAPES if shape[axis] != 0]
    check(tmp_path, op, feeds, opset=13, axis=axis, keepdims=keepdims, select_last_index=last)


@pytest.mark.parametrize("op", ["ArgMax", "ArgMin"])
@pytest.mark.parametrize("kind", [np.int32, np.int64, np.int8])
def test_arg_of_integers(tmp_path, op, kind):
    check(tmp_path, op, [{"x": ints(-100, 100, 5, 9).astype(kind)}], opset=11, axis=1)


def sorted_along(x, k, axis, largest):
    order = np.argsort(-x if largest else x, axis=axis, kind="stable").take(np.arange(k), axis=axis)
    return [np.take_along_axis(x, order, axis), order]


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("largest", [0, 1])
@pytest.mark.parametrize("k", [0, 1, 3])
def test_top_k(tmp_path, axis, largest, k):
    shapes = [(4, 3, 5), (3, 3, 3), (3, 4, 17)] + ([(1, 1, 1), (1, 6, 2)] if k < 2 else [])
    feeds = [{"x": ints(-3, 4, *shape).astype(np.float32)} for shape in shapes]
    check(tmp_path, "TopK", feeds, {"k": np.array([k])}, 11, outputs=2, axis=axis, largest=largest,
          wanted=lambda x: sorted_along(x, k, axis, largest))


@pytest.mark.parametrize("largest", [0, 1])
def test_top_k_sorts_all_and_nan_is_the_largest(tmp_path, largest):
    x = np.array([[3, np.nan, -np.inf, np.inf, 1, np.nan, 1]], np.float32)
    order = [[1, 5, 3, 0, 4, 6, 2]] if largest else [[2, 4, 6, 0, 3, 1, 5]]
    check(tmp_path, "TopK", [{"x": x}], {"k": np.array([7])}, 11, outputs=2, largest=largest,
          wanted=lambda x: [np.take_along_axis(x, np.array(order), 1), np.array(order)])


def test_top_k_of_too_few_is_an_error(tmp_path):
    import tenon as package
    model = save(tmp_path / "model.onnx", "TopK", {"x": floats(2, 3)}, {"k": np.array([4])}, 11, 2)
    session = package.Session(compile_model(model, tmp_path / "model.so"))
    assert session.run({"x": floats(2, 4)})[1].shape == (2, 4)
    with pytest.raises(package.Error):
        session.run({"x": floats(2, 3)})


@pytest.mark.parametrize("opset", [7, 9])
def test_top_k_of_old_opsets(tmp_path, opset):
    check(tmp_path, "TopK", [{"x": floats(3, 8)}], opset=opset, outputs=2, k=3,
          wanted=lambda x: sorted_along(x, 3, 1, True))


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
@pytest.mark.parametrize("kind", [np.int64, np.int32, np.float32])
def test_one_hot(tmp_path, axis, kind):
    def hot(i):
        index = i.astype(np.int64)
        index = np.expand_dims(np.where(index < 0, index + 6, index), axis if axis >= 0 else i.ndim)
        along = [1] * (i.ndim + 1)
        along[axis] = 6
        return [np.where(index == np.arange(6).reshape(along), np.float32(5), np.float32(2))]
    # 8 and -8 are out of range: nothing is hot.
    feeds = [{"i": ints(-8, 9, *shape).astype(kind)} for shape in [(3, 4), (1, 1), (0, 2), (5, 0)]]
    check(tmp_path, "OneHot", feeds, {"depth": np.int64(6), "values": np.array([2, 5], np.float32)}, 11, axis=axis,
          wanted=hot)


def test_one_hot_before_negative_indices_were(tmp_path):
    check(tmp_path, "OneHot", [{"i": np.array([-1, 0, 2, 3])}],
          {"depth": np.float32(3), "values": np.array([0, 1], np.int64)}, 9,
          wanted=lambda i: [(i[:, None] == np.arange(3)).astype(np.int64)])


@pytest.mark.parametrize("upper", [0, 1])
@pytest.mark.parametrize("k", [None, 0, 2, -2, 9, -9])
@pytest.mark.parametrize("is_constant", [True, False])
def test_trilu(tmp_path, upper, k, is_constant):
    feeds = [{"x": floats(*shape)} for shape in SHAPES]
    if k is not None and not is_constant:
        feeds = [dict(feed, k=np.array(k)) for feed in feeds]
    triangle = np.triu if upper else np.tril
    check(tmp_path, "Trilu", feeds, {"k": np.int64(k)} if k is not None and is_constant else {}, 14, upper=upper,
          wanted=lambda x, **_: [triangle(x, k or 0)])


@pytest.mark.parametrize("repeats", [(1, 1, 1), (2, 1, 3), (1, 0, 2), (1, 100, 1)])
def test_tile(tmp_path, repeats):
    check(tmp_path, "Tile", [{"x": floats(*shape)} for shape in SHAPES], {"repeats": np.array(repeats)}, 13)


def test_tile_by_a_size(tmp_path):
    import tenon as package
    nodes = [helper.make_node("Shape", ["z"], ["n"]), helper.make_node("Tile", ["x", "n"], ["y"])]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["a", "b"]),
                                           helper.make_tensor_value_info("z", TensorProto.FLOAT, ["c", "d"])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["e", "f"])])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "tile.onnx")
    session = package.Session(compile_model(tmp_path / "tile.onnx", tmp_path / "model.so"))
    for shape, repeats in [((2, 3), (1, 4)), ((1, 5), (3, 0)), ((0, 2), (2, 2))]:
        x = floats(*shape)
        np.testing.assert_array_equal(session.run({"x": x, "z": floats(*repeats)})[0], np.tile(x, repeats))


def padded(x, pads, mode, value=0):
    rank = x.ndim
    keep = tuple(slice(max(0, -pads[dim]), x.shape[dim] - max(0, -pads[rank + dim])) for dim in range(rank))
    widths = [(max(0, pads[dim]), max(0, pads[rank + dim])) for dim in range(rank)]
    return [np.pad(x[keep], widths, mode, **({"constant_values": value} if mode == "constant" else {}))]


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge", "wrap"])
@pytest.mark.parametrize("pads", [(0, 0, 0, 0, 0, 0), (0, 1, 2, 0, 0, 1), (3, 0, 0, 9, 0, 0), (0, 1, 30, 2, 0, 17)])
def test_pad(tmp_path, mode, pads):
    shapes = SHAPES if mode == "constant" else [shape for shape in SHAPES if 0 not in shape]
    check(tmp_path, "Pad", [{"x": floats(*shape)} for shape in shapes], {"pads": np.array(pads)}, 19, mode=mode,
          wanted=lambda x: padded(x, pads, mode))


def test_pad_takes_elements_off(tmp_path):
    pads = (0, -1, 2, 1, -1, -3)
    check(tmp_path, "Pad", [{"x": floats(2, 4, 5)}, {"x": floats(0, 3, 4)}],
          {"pads": np.array(pads), "value": np.float32(7)}, 13, wanted=lambda x: padded(x, pads, "constant", 7))


def test_pad_along_axes_with_a_value(tmp_path):
    check(tmp_path, "Pad", [{"x": ints(0, 9, 2, 3, 4)}],
          {"pads": np.array([1, 2, 3, 4]), "value": np.int64(-5), "axes": np.array([-1, 0])}, 18,
          wanted=lambda x: padded(x, (2, 0, 1, 4, 0, 3), "constant", -5))
    check(tmp_path, "Pad", [{"x": floats(2, 3, 4)}],
          {"pads": np.array([1, 2]), "value": None, "axes": np.array([1])}, 21, mode="edge",
          wanted=lambda x: padded(x, (0, 1, 0, 0, 2, 0), "edge"))


@pytest.mark.parametrize("opset", [7, 10])
def test_pad_of_old_opsets(tmp_path, opset):
    check(tmp_path, "Pad", [{"x": floats(2, 3)}], opset=opset, pads=[0, 1, 2, 0], value=1.5,
          wanted=lambda x: padded(x, (0, 1, 2, 0), "constant", 1.5))


@pytest.mark.parametrize("op, operand, problem", [
    ("TopK", [1], ": needs a size that depends on data: element 0 of a tensor of type 'tensor<1xi64>'"),
    ("Pad", [4], ": needs a size that depends on data"),
])
def test_sizes_that_kernels_compute_are_refused(tmp_path, op, operand, problem):
    # What an input of integers holds is known before a run, what is cast from floats is not.
    nodes = [helper.make_node("Cast", ["given"], ["sizes"], to=TensorProto.INT64),
             helper.make_node(op, ["x", "sizes"], ["y", "i"][:2 if op == "TopK" else 1], name="node")]
    given = [("x", [2, 3]), ("given", operand)]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info(name, TensorProto.FLOAT, sizes)
                                           for name, sizes in given],
                              [helper.make_empty_tensor_value_info("y")])
    model = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), model)
    result = tenon("check", model)
    assert result.returncode == 3
    assert f"node 'node'{problem}" in result.stdout
