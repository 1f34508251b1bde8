"""LSTM, GRU and RNN against onnxruntime: directions, lengths, sizes that vary."""
import numpy as np
import onnx
import pytest
import tenon as package
from conftest import compile_model, reference
from onnx import TensorProto, helper
from test_functions import refused

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
RNG = np.random.default_rng(1)


def floats(*shape):
    return (RNG.standard_normal(shape) * 0.4).astype(np.float32)


def check(folder, op, steps=5, batch=3, size=4, hidden=6, direction="forward", bias=False, lengths=None, initial=False,
          peephole=False, outputs=None, varies=False, **attributes):
    """Against onnxruntime. With `varies` the sizes of the inputs are symbols, and a second size is run, too."""
    directions, gates = (2 if direction == "bidirectional" else 1), GATES[op]
    states = 2 if op == "LSTM" else 1
    constants = {"W": floats(directions, gates * hidden, size), "R": floats(directions, gates * hidden, hidden)}
    if bias:
        constants["B"] = floats(directions, 2 * gates * hidden)
    if peephole:
        constants["P"] = floats(directions, 3 * hidden)
    batch_first = attributes.get("layout", 0)

    def feed(steps, batch, lengths):
        result = {"X": floats(*((batch, steps) if batch_first else (steps, batch)), size)}
        if lengths is not None:
            result["lengths"] = np.int32(lengths)
        for state in ("h", "c")[:states] if initial else ():
            result[state] = floats(*((batch, directions) if batch_first else (directions, batch)), hidden)
        return result

    feeds = [feed(steps, batch, lengths)]
    if varies:
        feeds += [feed(1, 1, [1] if lengths else None), feed(7, 2, [7, 3] if lengths else None)]
    operands = ["X", "W", "R", "B" if bias else "", "lengths" if lengths else "", "h" if initial else "",
                "c" if initial and states == 2 else "", "P" if peephole else ""][:8 if op == "LSTM" else 6]
    names = ["Y", "Y_h", "Y_c"][:1 + states]
    results = [name if outputs is None or name in outputs else "" for name in names]
    node = helper.make_node(op, operands, results, name="node", hidden_size=hidden, direction=direction, **attributes)

    def info(name, value):
        sizes = list(value.shape)
        if varies:
            symbols = {"X": ["batch", "steps"] if batch_first else ["steps", "batch"], "lengths": ["n"]}
            symbols = symbols.get(name, ["m", directions] if batch_first else [directions, "m"])
            sizes[:len(symbols)] = symbols
        return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), sizes)

    graph = helper.make_graph([node], "g", [info(name, value) for name, value in feeds[0].items()],
                              [helper.make_empty_tensor_value_info(name) for name in results if name],
                              [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8), folder / "model.onnx")
    artifact = compile_model(folder / "model.onnx", folder / "model.so")
    for inputs in feeds:
        for got, want in zip(package.Session(artifact).run(inputs), reference(folder / "model.onnx", inputs), strict=True):
            assert got.shape == want.shape
            np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


OPS = pytest.mark.parametrize("op", GATES)


@OPS
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("bias, initial", [(False, False), (True, True)])
@pytest.mark.parametrize("lengths", [None, [5, 2, 1]])
def test_directions(tmp_path, op, direction, bias, initial, lengths):
    check(tmp_path, op, direction=direction, bias=bias, initial=initial, lengths=lengths)


@OPS
def test_sizes_that_vary(tmp_path, op):
    check(tmp_path, op, direction="bidirectional", bias=True, initial=True, lengths=[5, 2, 1], varies=True)
    check(tmp_path, op, varies=True)


@OPS
def test_clip_and_other_activations(tmp_path, op):
    names = {"LSTM": ["Sigmoid", "Relu", "Tanh"], "GRU": ["Sigmoid", "Relu"], "RNN": ["Relu"]}[op]
    check(tmp_path, op, activations=names)
    check(tmp_path, op, bias=True, clip=0.2)


def test_reset_before_or_behind_the_product(tmp_path):
    check(tmp_path, "GRU", bias=True, linear_before_reset=1)
    check(tmp_path, "GRU", direction="bidirectional", linear_before_reset=1)


def test_peepholes(tmp_path):
    check(tmp_path, "LSTM", bias=True, initial=True, peephole=True)


def test_the_last_state_alone(tmp_path):
    check(tmp_path, "LSTM", outputs=["Y_h"])
    check(tmp_path, "GRU", outputs=["Y_h"], direction="reverse")


def test_is_refused(tmp_path):
    x, w, r = floats(5, 3, 4), floats(1, 6, 4), floats(1, 6, 6)

    def message(*inputs, op="RNN", **attributes):
        return refused(tmp_path, op, {f"x{i}": value for i, value in enumerate(inputs)}, opset=14, **attributes)
    assert "needs an input and weights of rank 3, but has 'tensor<3x4xf32>'" in message(x[0], w, r)
    assert "direction must be forward, reverse or bidirectional, but is up" in message(x, w, r, direction="up")
    assert "needs weights of 2 directions and 1 gates of a hidden size of 6, but has 'tensor<1x6x4xf32>'" in message(
        x, w, r, direction="bidirectional")
    assert "needs weights of 1 directions and 4 gates of a hidden size of 6" in message(x, w, r, op="LSTM")
    assert "has 2 activations, but needs 1 for each of 1 directions" in message(x, w, r, activations=["Tanh", "Tanh"])
    assert "activation softsign is unsupported" in message(x, w, r, activations=["Softsign"])
    assert "input_forget is unsupported" in message(x, floats(1, 24, 4), floats(1, 24, 6), op="LSTM", input_forget=1)
    assert "needs 'tensor<1x12xf32>' as operand 3, but has 'tensor<1x13xf32>'" in message(x, w, r, floats(1, 13))
    lengths = np.zeros((1, 3), np.int32)
    assert "needs a length for each sequence, but has 'tensor<1x3xi32>'" in message(x, w, r, np.zeros((1, 12), np.float32), lengths)


def linear_attention(rule, heads, groups=1, state=None, scale=0.0, per_head=False, q=None, k=None, v=None, g=None, b=None):
    """As the definition of the operator says, step by step in f64."""
    q, k, v = (x.astype(np.float64).reshape(*x.shape[:2], count, x.shape[2] // count)
               for x, count in ((q, heads * groups), (k, heads), (v, heads)))
    s = np.zeros((len(q), heads, k.shape[3], v.shape[3])) if state is None else state.astype(np.float64)
    out = np.zeros((*q.shape[:3], v.shape[3]))
    for t in range(q.shape[1]):
        if "gated" in rule:
            s = s * np.exp(g[:, t].astype(np.float64).reshape(len(q), heads, -1, 1))
        update = v[:, t]
        if "delta" in rule:
            update = b[:, t].astype(np.float64)[..., None] * (update - np.einsum("bhkv,bhk->bhv", s, k[:, t]))
        s = s + k[:, t, ..., None] * update[:, :, None]
        out[:, t] = np.einsum("bhkv,bhk->bhv", np.repeat(s, groups, 1), q[:, t]) * (scale or q.shape[3] ** -0.5)
    return out.reshape(*q.shape[:2], heads * groups * v.shape[3]), s


@pytest.mark.parametrize("rule", ["linear", "gated", "delta", "gated_delta"])
@pytest.mark.parametrize("groups, per_head, past, scale", [(1, False, False, 0.0), (2, True, True, 0.5)])
def test_linear_attention(tmp_path, rule, groups, per_head, past, scale):
    heads, size, wide = 2, 4, 3
    session = None
    for batch, steps in [(2, 5), (1, 1), (3, 0), (1, 8)]:
        inputs = {"q": floats(batch, steps, heads * groups * size), "k": floats(batch, steps, heads * size),
                  "v": floats(batch, steps, heads * wide)}
        if past:
            inputs["s"] = floats(batch, heads, size, wide)
        if "gated" in rule:
            inputs["g"] = -np.abs(floats(batch, steps, heads * (1 if per_head else size)))
        if "delta" in rule:
            inputs["b"] = np.abs(floats(batch, steps, 1 if per_head else heads))
        operands = ["q", "k", "v", *(name if name in inputs else "" for name in "sgb")]
        if session is None:
            node = helper.make_node("LinearAttention", operands, ["y", "next"], name="node", update_rule=rule, scale=scale,
                                    q_num_heads=heads * groups, kv_num_heads=heads)
            dims = {name: ["batch", "steps", value.shape[2]] if value.ndim == 3 else ["batch", *value.shape[1:]]
                    for name, value in inputs.items()}
            graph = helper.make_graph([node], "g", [helper.make_tensor_value_info(name, TensorProto.FLOAT, dims[name])
                                                    for name in inputs],
                                      [helper.make_empty_tensor_value_info(name) for name in ("y", "next")])
            onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 27)], ir_version=12),
                      tmp_path / "model.onnx")
            session = package.Session(compile_model(tmp_path / "model.onnx", tmp_path / "model.so"))
        state = inputs.get("s")
        wanted = linear_attention(rule, heads, groups, state, scale, **{n: x for n, x in inputs.items() if n != "s"})
        for got, want in zip(session.run(inputs), wanted, strict=True):
            assert got.shape == want.shape
            np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_linear_attention_is_refused(tmp_path):
    def message(*inputs, **attributes):
        given = {f"x{i}": value for i, value in enumerate(inputs)}
        return refused(tmp_path, "LinearAttention", given, opset=27, q_num_heads=2, kv_num_heads=2, **attributes)
    x = floats(2, 3, 8)
    assert "update_rule must be linear, gated, delta or gated_delta, but is up" in message(x, x, x, update_rule="up")
    assert "update_rule gated needs decay" in message(x, x, x, update_rule="gated")
    assert "needs operands of rank 3 with a known last size, but has 'tensor<3x8xf32>'" in message(x, x[0], x, update_rule="linear")
    assert "needs operands of one batch and length, but has 'tensor<2x3x8xf32>' and 'tensor<1x3x8xf32>'" in message(
        x, x, x[:1], update_rule="linear")
    assert "into 2, 2 and 2 heads" in message(x, floats(2, 3, 6), x, update_rule="linear")
    state = floats(2, 2, 4, 5)
    assert "needs a state like 'tensor<2x2x4x4xf32>', but has 'tensor<2x2x4x5xf32>'" in message(x, x, x, state, update_rule="linear")
    assert "needs a last size of 2 or 8, but has 'tensor<2x3x5xf32>'" in message(
        x, x, x, floats(2, 2, 4, 4), floats(2, 3, 5), update_rule="gated")
