"""Indices that are out of range: the run fails and says which node read which index."""
import numpy as np
import onnx
import pytest
from conftest import compile_model, reference
from onnx import TensorProto, helper

import tenon

TABLE = onnx.numpy_helper.from_array(np.arange(40, dtype=np.float32).reshape(10, 4), "table")


def session(folder, nodes, inputs, threads=2):
    graph = helper.make_graph(nodes, "g", inputs, [helper.make_empty_tensor_value_info("y")], [TABLE])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9),
              folder / "model.onnx")
    return tenon.Session(compile_model(folder / "model.onnx", folder / "model.so"), threads=threads)


@pytest.fixture(params=[TensorProto.INT64, TensorProto.INT32], ids=["i64", "i32"])
def gather(request, tmp_path):
    nodes = [helper.make_node("Gather", ["table", "ids"], ["rows"], name="layer/gather"),
             helper.make_node("Mul", ["rows", "rows"], ["y"], name="layer/mul")]
    kind = helper.tensor_dtype_to_np_dtype(request.param)
    return session(tmp_path, nodes, [helper.make_tensor_value_info("ids", request.param, ["b", "s"])]), kind


@pytest.mark.parametrize("bad", [10, -11, 1 << 30, -(1 << 31)])
def test_index_out_of_range(gather, bad):
    model, kind = gather
    ids = np.zeros((3, 5), kind)
    ids[2, 3] = bad
    with pytest.raises(tenon.Error, match=f"node 'layer/gather' uses index {bad} of a dimension of size 10, "
                                          "whose indices are from -10 to 9"):
        model.run({"ids": ids})
    # The next run is another one.
    assert model.run({"ids": np.zeros((3, 5), kind)})[0].shape == (3, 5, 4)


def test_every_index_in_range(gather, tmp_path):
    model, kind = gather
    ids = np.arange(-10, 10).astype(kind).reshape(4, 5)
    want, = reference(tmp_path / "model.onnx", {"ids": ids})
    np.testing.assert_array_equal(model.run({"ids": ids})[0], want)


def test_the_node_is_named_where_two_look_up(tmp_path):
    nodes = [helper.make_node("Gather", ["table", "ids"], ["a"], name="first"),
             helper.make_node("Gather", ["table", "more"], ["b"], name="second"),
             helper.make_node("Add", ["a", "b"], ["y"], name="sum")]
    kinds = [helper.make_tensor_value_info(name, TensorProto.INT64, ["n"]) for name in ("ids", "more")]
    model = session(tmp_path, nodes, kinds)
    good, bad = np.array([1, -1]), np.array([1, 99])
    for feed, node in (({"ids": good, "more": bad}, "second"), ({"ids": bad, "more": good}, "first")):
        with pytest.raises(tenon.Error, match=f"node '{node}' uses index 99"):
            model.run(feed)


def test_tuples(tmp_path):
    nodes = [helper.make_node("GatherND", ["table", "ids"], ["y"], name="pick")]
    model = session(tmp_path, nodes, [helper.make_tensor_value_info("ids", TensorProto.INT64, ["n", 2])])
    np.testing.assert_array_equal(model.run({"ids": np.array([[9, 3], [-10, -4]])})[0], [39, 0])
    with pytest.raises(tenon.Error, match="node 'pick' uses index 4 of a dimension of size 4"):
        model.run({"ids": np.array([[9, 3], [0, 4]])})


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("axis", [0, 1])
def test_writes_along_an_axis(tmp_path, axis, threads):
    """Both kernels of lines: one at a time along the last axis, many abreast along another."""
    nodes = [helper.make_node("ScatterElements", ["table", "ids", "u"], ["y"], name="put", axis=axis)]
    model = session(tmp_path, nodes, [helper.make_tensor_value_info("ids", TensorProto.INT64, ["n", "m"]),
                                      helper.make_tensor_value_info("u", TensorProto.FLOAT, ["n", "m"])], threads)
    size = (10, 4)[axis]
    ids, u = np.full((2, 3), -size), np.arange(6, dtype=np.float32).reshape(2, 3)
    ids[1] = size - 1
    want, = reference(tmp_path / "model.onnx", {"ids": ids, "u": u})
    np.testing.assert_array_equal(model.run({"ids": ids, "u": u})[0], want)
    for bad in (size, -size - 1, 1 << 40):
        ids[1, 2] = bad
        with pytest.raises(tenon.Error, match=f"node 'put' uses index {bad} of a dimension of size {size}, "
                                              f"whose indices are from {-size} to {size - 1}"):
            model.run({"ids": ids, "u": u})


def test_writes_of_tuples(tmp_path):
    nodes = [helper.make_node("ScatterND", ["table", "ids", "u"], ["y"], name="put")]
    model = session(tmp_path, nodes, [helper.make_tensor_value_info("ids", TensorProto.INT64, ["n", 2]),
                                      helper.make_tensor_value_info("u", TensorProto.FLOAT, ["n"])])
    u = np.array([7, 8], np.float32)
    good = {"ids": np.array([[9, 3], [-10, -4]]), "u": u}
    np.testing.assert_array_equal(model.run(good)[0], reference(tmp_path / "model.onnx", good)[0])
    # The flat index of the second, 3 * 4 + 4, is one of the table.
    for bad, message in (([10, 0], "index 10 of a dimension of size 10"), ([3, 4], "index 4 of a dimension of size 4"),
                         ([-11, 0], "index -11 of a dimension of size 10")):
        with pytest.raises(tenon.Error, match="node 'put' uses " + message):
            model.run({"ids": np.array([[0, 0], bad]), "u": u})


def test_a_table_of_the_size_of_an_input(tmp_path):
    nodes = [helper.make_node("Gather", ["x", "ids"], ["y"], name="look", axis=1)]
    model = session(tmp_path, nodes, [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["b", "n"]),
                                      helper.make_tensor_value_info("ids", TensorProto.INT64, ["k"])])
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(model.run({"x": x, "ids": np.array([-1, 0])})[0], x[:, [-1, 0]])
    for n in (0, 2):
        with pytest.raises(tenon.Error, match=f"index 2 of a dimension of size {n}"):
            model.run({"x": x[:, :n], "ids": np.array([2])})
