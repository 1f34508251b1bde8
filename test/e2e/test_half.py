"""Tensors of f16 and bf16: stored as such, computed in f32, rounded where a kernel writes them."""
import ml_dtypes
import numpy as np
import onnx
import pytest
from conftest import MODELS, compile_model, tenon
from onnx import TensorProto, helper

F16, BF16, F32, F64 = TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.FLOAT, TensorProto.DOUBLE
NUMPY = {F16: np.dtype(np.float16), BF16: np.dtype(ml_dtypes.bfloat16), F32: np.dtype(np.float32),
         F64: np.dtype(np.float64), TensorProto.INT8: np.dtype(np.int8), TensorProto.INT32: np.dtype(np.int32),
         TensorProto.INT64: np.dtype(np.int64), TensorProto.BOOL: np.dtype(np.bool_)}
HALVES = pytest.mark.parametrize("half", (F16, BF16), ids=("f16", "bf16"))
CPUS = pytest.mark.parametrize("cpu", ((), ("--cpu", "x86-64-v3")), ids=("host", "v3"))
# Half a unit in the last place, relative.
ROUNDING = {F16: 2.0 ** -11, BF16: 2.0 ** -8}


def info(name, kind, shape):
    return helper.make_tensor_value_info(name, kind, shape)


def weight(name, array, kind):
    return helper.make_tensor(name, kind, array.shape, array.astype(NUMPY[kind]).tobytes(), raw=True)


def save(folder, nodes, inputs, outputs, initializers=(), opset=23):
    graph = helper.make_graph(nodes, "g", inputs, outputs, list(initializers))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    onnx.save(model, folder / "model.onnx")
    return folder / "model.onnx"


def run(folder, cpu, feed):
    import tenon as package
    artifact = compile_model(folder / "model.onnx", folder / "model.so", *cpu)
    return package.Session(artifact, threads=2).run(feed)


def random(shape, kind, seed=0, scale=1.0):
    return (np.random.default_rng(seed).standard_normal(shape) * scale).astype(NUMPY[kind])


def expect_rounded(found, exact, half, slack=1e-6):
    """`found` is `exact` rounded once to 16 bits, but for errors of f32."""
    exact = np.asarray(exact, np.float64)
    assert found.dtype == NUMPY[half] and found.shape == exact.shape
    difference = np.abs(found.astype(np.float64) - exact)
    assert (difference <= np.abs(exact) * (ROUNDING[half] + slack) + slack).all(), difference.max()


def all_values(kind):
    """Every value of a type of 16 bits or less; of the others those next to where rounding to 16 bits changes."""
    bits = np.arange(1 << 16, dtype=np.uint16)
    if kind in (F16, BF16):
        return bits.view(NUMPY[kind])
    rng = np.random.default_rng(1)
    if kind in (F32, F64):
        with np.errstate(all="ignore"):
            halves = np.concatenate([bits.view(np.float16).astype(NUMPY[kind]),
                                     bits.view(ml_dtypes.bfloat16).astype(NUMPY[kind])])
            # Half a unit of each, which is a tie, and its neighbours.
            ties = np.concatenate([halves * (1 + 2.0 ** -11), halves * (1 + 2.0 ** -8)]).astype(NUMPY[kind])
            return np.concatenate([halves, ties, np.nextafter(ties, NUMPY[kind].type(np.inf)),
                                   np.nextafter(ties, NUMPY[kind].type(-np.inf)),
                                   rng.integers(0, 1 << 32, 9999, dtype=np.uint32).view(np.float32).astype(NUMPY[kind])])
    if kind == TensorProto.BOOL:
        return np.array([True, False, True])
    limits = np.iinfo(NUMPY[kind])
    wide = rng.integers(limits.min, limits.max, 999, dtype=NUMPY[kind], endpoint=True)
    near = np.clip(np.arange(-70000, 70000), limits.min, limits.max).astype(NUMPY[kind])
    return np.concatenate([wide, near])


def expected_cast(values, kind):
    if kind == BF16 and values.dtype == np.float64:
        # ml_dtypes rounds to f32 first. Rounding to odd in between loses nothing.
        single = values.astype(np.float32)
        inexact = (single != values) & ~np.isnan(values) & (single.view(np.uint32) % 2 == 0)
        away = np.abs(single.astype(np.float64)) > np.abs(values)
        bits = single.view(np.uint32) + np.where(inexact, np.where(away, -1, 1), 0).astype(np.int64)
        values = bits.astype(np.uint32).view(np.float32)
    elif kind == BF16:
        values = values.astype(np.float32)
    return values.astype(NUMPY[kind])


@CPUS
@HALVES
def test_casts_of_all_values(half, cpu, tmp_path):
    others = [kind for kind in NUMPY if kind != half]
    nodes, inputs, outputs, feed, expected = [], [], [], {}, []
    for kind in others:
        for source, target in ((half, kind), (kind, half)):
            name = f"from{source}to{target}"
            nodes.append(helper.make_node("Cast", [f"x{name}"], [f"y{name}"], to=target))
            inputs.append(info(f"x{name}", source, [f"n{name}"]))
            outputs.append(info(f"y{name}", target, [f"n{name}"]))
            values = all_values(source)
            if np.issubdtype(NUMPY[target], np.integer):
                # Beyond the type's range ONNX leaves the result open.
                limits = np.iinfo(NUMPY[target])
                with np.errstate(all="ignore"):
                    wide = values.astype(np.float64)
                values = values[(wide > limits.min) & (wide < limits.max)]
            feed[f"x{name}"] = values
            with np.errstate(all="ignore"):
                expected.append(expected_cast(values, target))
    save(tmp_path, nodes, inputs, outputs)
    for found, want, output in zip(run(tmp_path, cpu, feed), expected, outputs):
        assert found.dtype == want.dtype, output.name
        nan = np.zeros(want.shape, bool)
        if want.dtype.kind not in "ib":
            nan = np.isnan(want)
            np.testing.assert_array_equal(np.isnan(found), nan, output.name)
        # As bytes, so that -0 is not 0.
        different = found[~nan].view(np.uint8) != want[~nan].view(np.uint8)
        assert not different.any(), (output.name, found[~nan], want[~nan])


@CPUS
@HALVES
def test_a_chain_is_rounded_once(half, cpu, tmp_path):
    x, y, z = (random(shape, half, seed) for seed, shape in enumerate(((3, 1, 37), (5, 37), (1,))))
    save(tmp_path, [helper.make_node("Mul", ["x", "y"], ["p"]), helper.make_node("Add", ["p", "z"], ["s"]),
                    helper.make_node("Tanh", ["s"], ["r"])],
         [info("x", half, ["a", 1, "n"]), info("y", half, ["b", "n"]), info("z", half, [1])],
         [info("r", half, None)])
    wide = x.astype(np.float64) * y.astype(np.float64) + z.astype(np.float64)
    [found] = run(tmp_path, cpu, {"x": x, "y": y, "z": z})
    expect_rounded(found, np.tanh(wide), half)


@HALVES
def test_a_cast_of_the_model_rounds(half, tmp_path):
    x = random((70,), F32)
    save(tmp_path, [helper.make_node("Mul", ["x", "x"], ["p"]), helper.make_node("Cast", ["p"], ["h"], to=half),
                    helper.make_node("Cast", ["h"], ["w"], to=F32), helper.make_node("Sub", ["p", "w"], ["r"])],
         [info("x", F32, ["n"])], [info("r", F32, ["n"])])
    [found] = run(tmp_path, (), {"x": x})
    np.testing.assert_array_equal(found, x * x - (x * x).astype(NUMPY[half]).astype(np.float32))


@HALVES
def test_products_beyond_the_range_stay_finite_inside_a_kernel(half, tmp_path):
    # 60000 · 60000 is infinite in f16 and its quotient is not.
    x = np.full(19, 60000).astype(NUMPY[half])
    save(tmp_path, [helper.make_node("Mul", ["x", "x"], ["p"]), helper.make_node("Div", ["p", "x"], ["r"])],
         [info("x", half, ["n"])], [info("r", half, ["n"])])
    [found] = run(tmp_path, (), {"x": x})
    np.testing.assert_array_equal(found, x)


@pytest.mark.parametrize("raw", (False, True), ids=("typed", "raw"))
@pytest.mark.parametrize("kind", (F16, BF16, F64), ids=("f16", "bf16", "f64"))
def test_constants(kind, raw, tmp_path):
    c = np.array([[0.1, -3, np.inf, 2.0 ** -24, 65504]]).astype(NUMPY[kind])
    tensor = weight("", c, kind) if raw else helper.make_tensor("", kind, c.shape, c.astype(np.float64).ravel())
    save(tmp_path, [helper.make_node("Constant", [], ["c"], value=tensor),
                    helper.make_node("Expand", ["c", "shape"], ["e"]), helper.make_node("Cast", ["c"], ["w"], to=F32),
                    helper.make_node("Add", ["x", "w"], ["s"])],
         [info("x", F32, ["n", 5])], [info("e", kind, [3, 5]), info("s", F32, ["n", 5])],
         [helper.make_tensor("shape", TensorProto.INT64, [2], [3, 5])])
    x = random((2, 5), F32)
    expanded, total = run(tmp_path, (), {"x": x})
    np.testing.assert_array_equal(expanded, np.broadcast_to(c, (3, 5)))
    np.testing.assert_array_equal(total, x + c.astype(np.float32))


@CPUS
@HALVES
@pytest.mark.parametrize("rows, depth, columns", [(1, 3, 1), (5, 130, 33), (70, 257, 100), (0, 4, 4)])
def test_products(half, cpu, rows, depth, columns, tmp_path):
    x, w, c = random((2, rows, depth), half, 1), random((depth, columns), half, 2), random((columns,), half, 3)
    nodes = [helper.make_node("MatMul", ["x", "w"], ["p"]), helper.make_node("Add", ["p", "c"], ["s"]),
             helper.make_node("Relu", ["s"], ["packed"]), helper.make_node("MatMul", ["x", "v"], ["dynamic"]),
             helper.make_node("Gemm", ["u", "t"], ["swapped"], transA=1, transB=1)]
    save(tmp_path, nodes,
         [info("x", half, [2, "m", depth]), info("v", half, ["k", "n"]), info("u", half, ["k", "m"]),
          info("t", half, ["n", "k"])],
         [info("packed", half, None), info("dynamic", half, None), info("swapped", half, None)],
         [weight("w", w, half), weight("c", c, half)])
    feed = {"x": x, "v": w, "u": np.ascontiguousarray(x[0].T), "t": np.ascontiguousarray(w.T)}
    packed, dynamic, swapped = run(tmp_path, cpu, feed)
    product = x.astype(np.float64) @ w.astype(np.float64)
    slack = 1e-6 * max(depth, 1)
    expect_rounded(packed, np.maximum(product + c.astype(np.float64), 0), half, slack)
    expect_rounded(dynamic, product, half, slack)
    expect_rounded(swapped, product[0], half, slack)


@CPUS
@HALVES
def test_rows_are_summed_in_f32(half, cpu, tmp_path):
    x, g, c = random((3, 5, 37), half, 4, 3.0), random((37,), half, 5), random((37,), half, 6)
    ones = np.ones((2, 4099), NUMPY[half])
    nodes = [helper.make_node("Softmax", ["x"], ["softmax"], axis=-1),
             helper.make_node("Softmax", ["x"], ["inner"], axis=1),
             helper.make_node("LayerNormalization", ["x", "g", "c"], ["norm"], axis=-1, epsilon=1e-5),
             helper.make_node("ReduceMean", ["x", "axes"], ["mean"], keepdims=1),
             helper.make_node("ReduceMax", ["x", "axes"], ["max"], keepdims=0),
             helper.make_node("ReduceSum", ["ones", "axes"], ["sum"], keepdims=0)]
    names = ("softmax", "inner", "norm", "mean", "max", "sum")
    save(tmp_path, nodes, [info("x", half, ["a", "b", 37]), info("ones", half, ["r", 4099])],
         [info(name, half, None) for name in names],
         [weight("g", g, half), weight("c", c, half), helper.make_tensor("axes", TensorProto.INT64, [1], [-1])])
    softmax, inner, norm, mean, most, total = run(tmp_path, cpu, {"x": x, "ones": ones})
    wide = x.astype(np.float64)
    for found, axis in ((softmax, -1), (inner, 1)):
        power = np.exp(wide - wide.max(axis, keepdims=True))
        expect_rounded(found, power / power.sum(axis, keepdims=True), half, 2e-6)
    centred = wide - wide.mean(-1, keepdims=True)
    normalised = centred / np.sqrt((centred ** 2).mean(-1, keepdims=True) + 1e-5)
    expect_rounded(norm, normalised * g.astype(np.float64) + c.astype(np.float64), half, 2e-6)
    expect_rounded(mean, wide.mean(-1, keepdims=True), half)
    np.testing.assert_array_equal(most, x.max(-1))
    np.testing.assert_array_equal(total, np.full(2, 4099).astype(NUMPY[half]))


@HALVES
def test_norms_round_once(half, tmp_path):
    """Over several dimensions with a scale of one of them, and with a scale wider than the input."""
    x, g, c = random((3, 5, 37), half, 4, 3.0), random((37,), half, 5), random((5, 1), half, 6)
    wide_scale = np.random.default_rng(7).standard_normal(37).astype(np.float32)
    nodes = [helper.make_node("LayerNormalization", ["x", "g", "c"], ["norm", "mean", "inverse"], axis=1, epsilon=1e-5),
             helper.make_node("LayerNormalization", ["x", "g"], ["unread", "mean16"], axis=1, stash_type=BF16),
             helper.make_node("RMSNormalization", ["x", "w"], ["rms"], axis=-1, epsilon=1e-5)]
    types = {"norm": half, "mean": F32, "inverse": F32, "mean16": BF16, "rms": F32}
    save(tmp_path, nodes, [info("x", half, ["b", 5, 37])], [info(name, kind, None) for name, kind in types.items()],
         [weight("g", g, half), weight("c", c, half), weight("w", wide_scale, F32)])
    norm, mean, inverse, mean16, rms = run(tmp_path, (), {"x": x})
    wide = x.astype(np.float64)
    average = wide.mean((1, 2), keepdims=True)
    deviation = np.sqrt(((wide - average) ** 2).mean((1, 2), keepdims=True) + 1e-5)
    expect_rounded(norm, (wide - average) / deviation * g.astype(np.float64) + c.astype(np.float64), half, 2e-6)
    np.testing.assert_allclose(mean, average, 1e-6, 1e-6)
    np.testing.assert_allclose(inverse, 1 / deviation, 1e-6)
    expect_rounded(mean16, average, BF16)
    np.testing.assert_allclose(rms, wide / np.sqrt((wide ** 2).mean(-1, keepdims=True) + 1e-5) * wide_scale, 2e-6, 1e-6)


@HALVES
@pytest.mark.parametrize("equation", ["ijk,zk->zi", "ij,jk,kl->il", "ijk->i"])
def test_einsum_rounds_once(half, equation, tmp_path):
    shapes = [[dict(i=9, j=33, k=21, l=5, z=7)[letter] for letter in part] for part in equation.split("->")[0].split(",")]
    feeds = {f"x{n}": random(shape, half, n) for n, shape in enumerate(shapes)}
    save(tmp_path, [helper.make_node("Einsum", list(feeds), ["y"], equation=equation)],
         [info(name, half, value.shape) for name, value in feeds.items()], [info("y", half, None)])
    found, = run(tmp_path, (), feeds)
    expect_rounded(found, np.einsum(equation, *(value.astype(np.float64) for value in feeds.values())), half, 1e-4)


@HALVES
def test_powers_of_pools_are_f32(half, tmp_path):
    """Squares that f16 cannot hold, and others that it would take for 0."""
    x = random((2, 3, 4, 11), half, 9)
    x[0], x[1] = x[0] * NUMPY[half].type(500), x[1] * NUMPY[half].type(1e-4)
    save(tmp_path, [helper.make_node("LpPool", ["x"], ["pool"], kernel_shape=[2, 2]),
                    helper.make_node("GlobalLpPool", ["x"], ["all"])],
         [info("x", half, x.shape)], [info("pool", half, None), info("all", half, None)])
    pool, everything = run(tmp_path, (), {"x": x})
    squares = x.astype(np.float64) ** 2
    windows = np.lib.stride_tricks.sliding_window_view(squares, (2, 2), axis=(2, 3))
    expect_rounded(pool, np.sqrt(windows.sum((4, 5))), half, 2e-7)
    expect_rounded(everything, np.sqrt(squares.sum((2, 3), keepdims=True)), half, 2e-7)


@HALVES
def test_lines_are_computed_in_f32(half, tmp_path):
    ones, x, v = np.ones((2, 4099), NUMPY[half]), random((3, 37), half, 7), random((3, 5), half, 8)
    x[1, 3] = np.nan
    i = np.array([[0, 0, 36, -1, 7]] * 3)
    save(tmp_path, [helper.make_node("CumSum", ["ones", "axis"], ["sums"]),
                    helper.make_node("ScatterElements", ["x", "i", "v"], ["added"], axis=1, reduction="add"),
                    helper.make_node("TopK", ["x", "k"], ["most", "where"])],
         [info("ones", half, ["r", 4099]), info("x", half, ["n", 37]), info("i", TensorProto.INT64, ["n", 5]),
          info("v", half, ["n", 5])],
         [info("sums", half, None), info("added", half, None), info("most", half, None),
          info("where", TensorProto.INT64, None)],
         [helper.make_tensor("axis", TensorProto.INT64, [], [1]), helper.make_tensor("k", TensorProto.INT64, [1], [4])])
    sums, added, most, where = run(tmp_path, (), {"ones": ones, "x": x, "i": i, "v": v})
    np.testing.assert_array_equal(sums, np.arange(1, 4100, dtype=np.float32).astype(NUMPY[half])[None].repeat(2, 0))
    wanted = x.copy()
    for row in range(3):
        for at, value in zip(i[row], v[row]):
            # Each update is rounded as it is written.
            wanted[row, at] = NUMPY[half].type(np.float32(wanted[row, at]) + np.float32(value))
    np.testing.assert_array_equal(added.astype(np.float32), wanted.astype(np.float32))
    order = np.argsort(-np.where(np.isnan(x), np.inf, x.astype(np.float64)), axis=1, kind="stable")[:, :4]
    np.testing.assert_array_equal(where, order)
    np.testing.assert_array_equal(most.astype(np.float32), np.take_along_axis(x, order, 1).astype(np.float32))


@CPUS
@HALVES
@pytest.mark.parametrize("queries, keys, head", [(1, 70, 64), (5, 5, 12), (67, 130, 33)])
def test_attention(half, cpu, queries, keys, head, tmp_path):
    q, k, v = random((2, 4, queries, head), half, 1), random((2, 2, keys, head), half, 2), random((2, 2, keys, head), half, 3)
    mask = np.where(np.random.default_rng(4).random((2, 1, queries, keys)) < 0.3, -np.inf, 0.5).astype(NUMPY[half])
    mask[..., 0] = 0
    save(tmp_path, [helper.make_node("Attention", ["q", "k", "v", "mask"], ["y"])],
         [info("q", half, ["b", 4, "s", head]), info("k", half, ["b", 2, keys, head]), info("v", half, ["b", 2, keys, head]),
          info("mask", half, ["b", 1, "s", keys])], [info("y", half, ["b", 4, "s", head])])
    [found] = run(tmp_path, cpu, {"q": q, "k": k, "v": v, "mask": mask})
    wide_q, wide_k, wide_v = (np.asarray(part, np.float64) for part in (q, k.repeat(2, 1), v.repeat(2, 1)))
    scores = wide_q @ wide_k.swapaxes(2, 3) / np.sqrt(head) + mask.astype(np.float64)
    power = np.exp(scores - scores.max(-1, keepdims=True))
    expect_rounded(found, power / power.sum(-1, keepdims=True) @ wide_v, half, 5e-6)


@HALVES
def test_weights_keep_their_width(half, tmp_path):
    """Stored in 16 bits and cast to f32 by the model: a product and a look-up read them as they are."""
    table, w = random((300, 64), half, 1), random((64, 100), half, 2)
    save(tmp_path, [helper.make_node("Cast", ["table"], ["wide_table"], to=F32),
                    helper.make_node("Gather", ["wide_table", "ids"], ["x"]),
                    helper.make_node("Cast", ["w"], ["wide_w"], to=F32), helper.make_node("MatMul", ["x", "wide_w"], ["y"])],
         [info("ids", TensorProto.INT64, ["n"])], [info("y", F32, ["n", 100])],
         [weight("table", table, half), weight("w", w, half)])
    model = onnx.load(tmp_path / "model.onnx")
    onnx.save(model, tmp_path / "model.onnx", save_as_external_data=True, location="model.onnx.data", size_threshold=0)
    ids = np.array([3, 299, 0, 7])
    [found] = run(tmp_path, (), {"ids": ids})
    np.testing.assert_allclose(found, table.astype(np.float32)[ids] @ w.astype(np.float32), rtol=1e-5, atol=1e-5)
    text = tenon("compile", tmp_path / "model.onnx", "--stop-after", "plan", "-o", "-").stdout
    kind = "f16" if half == F16 else "bf16"
    assert f"memref<4x64x32x{kind}>" in text and f"memref<300x64x{kind}>" in text
    assert "memref<300x64xf32>" not in text and "x64x32xf32>" not in text


def test_nvidia_has_no_kernels_of_16_bits(tmp_path):
    model = save(tmp_path, [helper.make_node("Neg", ["x"], ["y"], name="minus")], [info("x", F16, ["n"])],
                 [info("y", F16, ["n"])])
    result = tenon("compile", model, "-o", tmp_path / "model.so", "--target", "nvidia")
    assert result.returncode == 3
    assert "minus" in result.stderr and "computes in 'f16', which target nvidia has no kernels for" in result.stderr


@pytest.mark.parametrize("name", ["bert-dynamo18-fp16", "bert-dynamo23-bf16", "llama-past-dynamo18-fp16"])
def test_tiny_models_without_avx512(name, tmp_path):
    import json
    folder = MODELS / "tiny" / name
    if not folder.exists():
        pytest.skip(f"there is no {folder}")
    tolerance = json.loads((folder / "meta.json").read_text())["tolerance"]
    compile_model(folder / "model.onnx", tmp_path / "model.so", "--cpu", "x86-64-v3")
    for data_set in sorted(folder.glob("test_data_set_*")):
        check = tenon("run", tmp_path / "model.so", "--data-set", data_set, "--check", "--atol", tolerance, "--rtol",
                      tolerance)
        assert check.returncode == 0, f"{data_set.name}: {check.stdout}{check.stderr}"
