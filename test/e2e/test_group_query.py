"""GroupQueryAttention of com.microsoft against onnxruntime: sequences of different lengths in one batch, padding behind
prompts, caches that are longer than what they hold."""
import numpy as np
import onnx
import pytest
from conftest import compile_model, reference
from onnx import TensorProto, helper, numpy_helper

import tenon

HEADS, KV_HEADS, SIZE, ROWS = 4, 2, 16, 40
RNG = np.random.default_rng(0)


def floats(*shape, dtype=np.float32):
    return RNG.standard_normal(shape).astype(dtype)


def save(path, packed=False, past=True, rotated=0, positions=False, counts=False, dtype=np.float32, **attributes):
    """One node; `rotated` elements of each head are rotated."""
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    widths = {"q": (HEADS + 2 * KV_HEADS if packed else HEADS) * SIZE}
    if not packed:
        widths.update(k=KV_HEADS * SIZE, v=KV_HEADS * SIZE)
    inputs = [helper.make_tensor_value_info(name, kind, ["b", "s", width]) for name, width in widths.items()]
    names = ["q", "", ""] if packed else ["q", "k", "v"]
    if past:
        # As exporters do, without the size of a head.
        inputs += [helper.make_tensor_value_info(name, kind, ["b", KV_HEADS, "past", "head"])
                   for name in ("past_k", "past_v")]
    names += ["past_k", "past_v"] if past else ["", ""]
    inputs += [helper.make_tensor_value_info("last", TensorProto.INT32, ["b"]),
               helper.make_tensor_value_info("total", TensorProto.INT32, [1])]
    names += ["last", "total"] + (["cos", "sin"] if rotated else ["", ""])
    names += ["positions"] if positions else [""]
    if positions:
        inputs.append(helper.make_tensor_value_info("positions", TensorProto.INT64, ["b", "s"]))
    if counts:
        inputs.append(helper.make_tensor_value_info("counts", TensorProto.INT32, ["b"]))
        names += [""] * 6 + ["counts"]
    angles = np.arange(ROWS)[:, None] / 10.0 ** np.arange(rotated // 2)
    tables = [numpy_helper.from_array(table(angles).astype(dtype), name)
              for name, table in (("cos", np.cos), ("sin", np.sin)) if rotated]
    node = helper.make_node("GroupQueryAttention", names, ["y", "present_k", "present_v"], domain="com.microsoft",
                            num_heads=HEADS, kv_num_heads=KV_HEADS, do_rotary=int(rotated > 0), name="node",
                            **attributes)
    graph = helper.make_graph([node], "g", inputs, [helper.make_empty_tensor_value_info(name) for name in node.output],
                              tables)
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[
        helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]), path)
    return path


class Case:
    """Rows of `queries` tokens, padding included, that have `lengths` tokens with these; the cache that comes has
    room for `past`, the longest row ends at `total`."""

    def __init__(self, queries, lengths, past, total=None, counts=None):
        self.queries, self.lengths, self.past = queries, lengths, past
        self.total = max(lengths) if total is None else total
        self.counts = counts or [min(queries, length) for length in lengths]

    def feed(self, model, dtype):
        batch = len(self.lengths)
        made = {"last": np.array(self.lengths, np.int32) - 1, "total": np.array([self.total], np.int32),
                "counts": np.array(self.counts, np.int32),
                "positions": np.array([np.arange(self.queries) + length - count for length, count
                                       in zip(self.lengths, self.counts)])}
        sizes = {"b": batch, "s": self.queries, "past": self.past, "head": SIZE}
        feed = {}
        for value in onnx.load(model).graph.input:
            shape = [sizes.get(dim.dim_param, dim.dim_value) for dim in value.type.tensor_type.shape.dim]
            feed[value.name] = made[value.name] if value.name in made else floats(*shape, dtype=dtype)
        return feed


CASES = {
    "prompts": Case(6, [6, 3, 1], 0),
    "a prompt alone": Case(5, [5], 0),
    "a token each": Case(1, [9, 4, 6], 8, total=9),
    "a token each in longer caches": Case(1, [9, 4, 1], 12),
    "more of a prompt": Case(4, [11], 7),
    "more of a prompt in a longer cache": Case(3, [11], 20),
}
CHUNKS = {
    "chunks": Case(5, [9, 5, 7], 12, total=12, counts=[5, 2, 3]),
    "one has nothing new": Case(4, [6, 5], 12, total=12, counts=[0, 4]),
}


def agree(folder, cases, dtype=np.float32, tolerance=2e-5, **form):
    """Where rows are padding, and behind what caches hold, results are not specified."""
    model = save(folder / "model.onnx", dtype=dtype, **form)
    session = tenon.Session(compile_model(model, folder / "model.so"), threads=2)
    for name, case in cases.items():
        feed = case.feed(model, dtype)
        found, expected = session.run(feed), reference(model, feed)
        for got, want in zip(found, expected):
            assert got.dtype == want.dtype and got.shape == want.shape, name
        for row, (length, count) in enumerate(zip(case.lengths, case.counts)):
            for result, (got, want) in enumerate(zip(found, expected)):
                got, want = ((x[row, :count] if result == 0 else x[row, :, :length]) for x in (got, want))
                np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance,
                                           err_msg=f"{name}, row {row}, result {result}")


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("rotation", [{}, {"rotated": 16}, {"rotated": 16, "rotary_interleaved": 1}], ids=str)
def test_lengths(tmp_path, packed, rotation):
    agree(tmp_path, CASES, packed=packed, **rotation)


@pytest.mark.parametrize("attributes", [{"local_window_size": 1}, {"local_window_size": 4}, {"softcap": 2.0},
                                        {"scale": 0.7}, {"local_window_size": 3, "softcap": 5.0, "rotated": 16}],
                         ids=str)
def test_attributes(tmp_path, attributes):
    agree(tmp_path, CASES, **attributes)


def test_positions_that_are_given(tmp_path):
    agree(tmp_path, CASES, rotated=16, positions=True)


def test_chunks_of_prompts(tmp_path):
    agree(tmp_path, CHUNKS, rotated=16, counts=True)


def test_without_a_past(tmp_path):
    agree(tmp_path, {"prompts": CASES["prompts"], "alone": CASES["a prompt alone"]}, past=False, rotated=16)


def test_half_precision(tmp_path):
    agree(tmp_path, CASES, dtype=np.float16, tolerance=4e-3, packed=True, rotated=16, local_window_size=5)


def test_norms_of_heads(tmp_path):
    """onnxruntime's CPU has none: against itself with the norm in front."""
    model = onnx.load(save(tmp_path / "plain.onnx", rotated=16))
    node, = model.graph.node
    scales = {"q_norm": floats(SIZE), "k_norm": floats(SIZE)}
    node.input.extend([""] * (14 - len(node.input)) + list(scales))
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in scales.items())
    onnx.save(model, tmp_path / "normed.onnx")
    normed = tenon.Session(compile_model(tmp_path / "normed.onnx", tmp_path / "normed.so"))
    plain = tenon.Session(compile_model(tmp_path / "plain.onnx", tmp_path / "plain.so"))
    feed = CASES["a token each"].feed(tmp_path / "plain.onnx", np.float32)
    by_hand = dict(feed)
    for name, scale in zip("qk", scales.values()):
        heads = feed[name].reshape(*feed[name].shape[:2], -1, SIZE)
        heads = heads / np.sqrt((heads ** 2).mean(-1, keepdims=True) + 1e-6) * scale
        by_hand[name] = heads.reshape(feed[name].shape).astype(np.float32)
    for got, want in zip(normed.run(feed), plain.run(by_hand)):
        np.testing.assert_allclose(got, want, rtol=2e-5, atol=2e-5)


def test_a_length_that_no_cache_has_room_for(tmp_path):
    model = save(tmp_path / "model.onnx")
    session = tenon.Session(compile_model(model, tmp_path / "model.so"))
    feed = CASES["a token each"].feed(model, np.float32)
    with pytest.raises(tenon.Error, match=r"uses index -?\d+ of a dimension of size \d+"):
        session.run({**feed, "last": np.array([8, 30, 5], np.int32)})
