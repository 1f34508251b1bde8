"""One small model of each family of transformers, written as exporters write it, against onnxruntime: the arithmetic on
shapes, masks, positions and indices is theirs, the sizes are ours."""
import numpy as np
import onnx
import pytest
from conftest import compile_model, reference
from onnx import TensorProto, helper

import tenon

F, I, B = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
HEADS, SIZE = 2, 4
WIDTH = HEADS * SIZE
LARGEST = np.finfo(np.float32).max


class Graph:
    """Nodes by the name of their operator: g.Add(a, b) is the name of the sum. Arrays and numbers become constants."""
    def __init__(self, opset=17):
        self.opset, self.nodes, self.inputs, self.outputs, self.constants = opset, [], [], [], []
        self.rng = np.random.default_rng(1)

    def input(self, name, kind, *sizes):
        self.inputs.append(helper.make_tensor_value_info(name, kind, sizes))
        return name

    def output(self, *names):
        self.outputs += [onnx.ValueInfoProto(name=name) for name in names]

    def constant(self, value):
        value = np.asarray(value)
        name = f"c{len(self.constants)}"
        self.constants.append(onnx.numpy_helper.from_array(value, name))
        return name

    def weight(self, *shape):
        return self.constant((self.rng.standard_normal(shape) / np.sqrt(max(shape[0], 1))).astype(np.float32))

    def __getattr__(self, op):
        def add(*operands, outputs=1, **attributes):
            names = [operand if isinstance(operand, str) else self.constant(operand) for operand in operands]
            results = [f"{op}_{len(self.nodes)}_{i}" for i in range(outputs)]
            self.nodes.append(helper.make_node(op, names, results, name=f"{op}_{len(self.nodes)}", **attributes))
            return results[0] if outputs == 1 else results
        return add

    def save(self, path):
        graph = helper.make_graph(self.nodes, "g", self.inputs, self.outputs, self.constants)
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8), path)
        return path

    # What the families share, as exporters write it.

    def shape(self, x, *dims):
        """Sizes as one list; an integer stands for itself."""
        parts = []
        for dim in dims:
            if isinstance(dim, int):
                parts.append(self.constant(np.int64([dim])))
            else:
                size = self.Gather(self.Shape(x), np.int64(int(dim)))
                parts.append(self.Unsqueeze(size, np.int64([0])))
        return self.Concat(*parts, axis=0)

    def size(self, x, dim):
        return self.Gather(self.Shape(x), np.int64(dim), axis=0)

    def linear(self, x, inner, outer, bias=True):
        y = self.MatMul(x, self.weight(inner, outer))
        return self.Add(self.weight(outer), y) if bias else y

    def layer_norm(self, x, width=WIDTH):
        return self.LayerNormalization(x, self.constant(np.ones(width, np.float32)), self.weight(width), axis=-1)

    def rms_norm(self, x):
        mean = self.ReduceMean(self.Pow(x, np.float32(2)), axes=[-1], keepdims=1)
        scale = self.Reciprocal(self.Sqrt(self.Add(mean, np.float32(1e-6))))
        return self.Mul(self.weight(WIDTH), self.Mul(x, scale))

    def gelu(self, x):
        y = self.Add(self.Erf(self.Div(x, np.float32(np.sqrt(2)))), np.float32(1))
        return self.Mul(self.Mul(x, y), np.float32(0.5))

    def feed_forward(self, x):
        return self.linear(self.gelu(self.linear(x, WIDTH, 3 * WIDTH)), 3 * WIDTH, WIDTH)

    def split_heads(self, x):
        return self.Transpose(self.Reshape(x, self.shape(x, "0", "1", HEADS, SIZE)), perm=[0, 2, 1, 3])

    def join_heads(self, x):
        x = self.Transpose(x, perm=[0, 2, 1, 3])
        return self.Reshape(x, self.shape(x, "0", "1", WIDTH))

    def attend(self, query, key, value, bias=None, scale=SIZE ** -0.5):
        scores = self.MatMul(query, self.Transpose(key, perm=[0, 1, 3, 2]))
        scores = self.Mul(scores, np.float32(scale)) if scale != 1 else scores
        scores = self.Add(scores, bias) if bias else scores
        return self.MatMul(self.Softmax(scores, axis=-1), value)

    def attention(self, x, memory=None, bias=None, scale=SIZE ** -0.5, linear_bias=True):
        parts = [self.split_heads(self.linear(source, WIDTH, WIDTH, linear_bias))
                 for source in (x, memory or x, memory or x)]
        return self.linear(self.join_heads(self.attend(*parts, bias, scale)), WIDTH, WIDTH, linear_bias)

    def padding_bias(self, mask):
        """From 1 for tokens and 0 for padding."""
        seen = self.Cast(self.Unsqueeze(mask, np.int64([1, 2])), to=F)
        return self.Mul(self.Sub(np.float32(1), seen), np.float32(-LARGEST))

    def causal_bias(self, x, dim=1):
        size = self.Unsqueeze(self.size(x, dim), np.int64([0]))
        square = self.Concat(size, size, axis=0)
        full = self.Expand(np.float32(-LARGEST), square)
        return self.Unsqueeze(self.Trilu(full, np.int64(1), upper=1), np.int64([0, 1]))


def check(folder, graph, *feeds, tolerance=2e-5):
    model = graph.save(folder / "model.onnx")
    session = tenon.Session(compile_model(model, folder / "model.so"), threads=2, check_memory=True)
    for feed in feeds:
        for found, wanted in zip(session.run(feed), reference(model, feed), strict=True):
            assert found.dtype == wanted.dtype and found.shape == wanted.shape
            np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


def ids(*shape, below=20, seed=0):
    return np.random.default_rng(seed).integers(0, below, shape)


def floats(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def padded(batch, length):
    mask = np.ones((batch, length), np.int64)
    for row in range(1, batch):
        mask[row, length - row % length:] = 0
    return mask


def t5_bias(g, queries, keys, bidirectional):
    """Buckets of distances, exact ones first, then logarithmic; their bias for each head."""
    rows = g.Unsqueeze(g.Range(np.int64(0), queries, np.int64(1)), np.int64([1]))
    columns = g.Unsqueeze(g.Range(np.int64(0), keys, np.int64(1)), np.int64([0]))
    distance = g.Sub(columns, rows)
    if bidirectional:
        behind = g.Mul(g.Cast(g.Greater(distance, np.int64(0)), to=I), np.int64(4))
        behind = g.Add(behind, np.int64(0))
        distance, exact, most = g.Abs(distance), 2, 4
    else:
        least = g.Min(distance, g.ConstantOfShape(g.Shape(distance), value=helper.make_tensor("v", I, [1], [0])))
        behind, distance, exact, most = None, g.Neg(least), 4, 8
    logs = g.Log(g.Div(g.Cast(distance, to=F), np.float32(exact)))
    logs = g.Mul(g.Div(logs, np.float32(np.log(20 / exact))), np.float32(most - exact))
    large = g.Add(g.Cast(logs, to=I), np.int64(exact))
    large = g.Min(large, g.ConstantOfShape(g.Shape(large), value=helper.make_tensor("v", I, [1], [most - 1])))
    bucket = g.Where(g.Less(distance, np.int64(exact)), distance, large)
    bucket = g.Add(behind, bucket) if behind else bucket
    bias = g.Gather(g.weight(8, HEADS), bucket)
    return g.Unsqueeze(g.Transpose(bias, perm=[2, 0, 1]), np.int64([0]))


def test_t5(tmp_path):
    g = Graph()
    tokens, mask = g.input("input_ids", I, "batch", "sequence"), g.input("attention_mask", I, "batch", "sequence")
    targets = g.input("decoder_input_ids", I, "batch", "decoded")
    table = g.weight(20, WIDTH)
    padding = g.padding_bias(mask)
    x = g.Gather(table, tokens)
    bias = g.Add(t5_bias(g, g.size(x, 1), g.size(x, 1), True), padding)
    x = g.Add(x, g.attention(g.rms_norm(x), bias=bias, scale=1, linear_bias=False))
    x = g.Add(x, g.linear(g.Relu(g.linear(g.rms_norm(x), WIDTH, 16, False)), 16, WIDTH, False))
    memory = g.rms_norm(x)
    y = g.Gather(table, targets)
    # A causal mask of comparisons of positions, as T5 has it.
    length = g.size(y, 1)
    places = g.Range(np.int64(0), length, np.int64(1))
    one = g.constant(np.int64([1]))
    repeated = g.Tile(g.Unsqueeze(places, np.int64([0, 1])), g.Concat(one, g.Unsqueeze(length, np.int64([0])), one, axis=0))
    seen = g.LessOrEqual(repeated, g.Unsqueeze(places, np.int64([0, 2])))
    hidden = g.Mul(g.Sub(np.float32(1), g.Cast(g.Unsqueeze(seen, np.int64([1])), to=F)), np.float32(-LARGEST))
    y = g.Add(y, g.attention(g.rms_norm(y), bias=g.Add(t5_bias(g, length, length, False), hidden), scale=1, linear_bias=False))
    y = g.Add(y, g.attention(g.rms_norm(y), memory, padding, scale=1, linear_bias=False))
    y = g.Mul(g.rms_norm(y), np.float32(WIDTH ** -0.5))
    g.output(g.MatMul(y, g.Transpose(table, perm=[1, 0])), memory)
    check(tmp_path, g, *({"input_ids": ids(b, s), "attention_mask": padded(b, s), "decoder_input_ids": ids(b, d, seed=1)}
                         for b, s, d in ((2, 7, 3), (1, 30, 25), (3, 1, 1))))


def test_whisper(tmp_path):
    """Convolutions over time, then an encoder, whose result the decoder reads with keys that were computed once."""
    g = Graph()
    features, targets = g.input("features", F, "batch", 6, 2 * 9), g.input("ids", I, "batch", "decoded")
    past = g.input("past", F, "batch", HEADS, "past", SIZE)
    x = g.gelu(g.Conv(features, g.weight(WIDTH, 6, 3), g.weight(WIDTH), kernel_shape=[3], pads=[1, 1]))
    x = g.gelu(g.Conv(x, g.weight(WIDTH, WIDTH, 3), g.weight(WIDTH), kernel_shape=[3], pads=[1, 1], strides=[2]))
    x = g.Add(g.Transpose(x, perm=[0, 2, 1]), g.weight(9, WIDTH))
    x = g.Add(x, g.attention(g.layer_norm(x)))
    x = g.Add(x, g.feed_forward(g.layer_norm(x)))
    memory = g.layer_norm(x)
    before = g.Gather(g.Shape(past), np.int64(2))
    length = g.size(targets, 1)
    # Positions behind the past, by a slice of the table.
    start, end = g.Unsqueeze(before, np.int64([0])), g.Unsqueeze(g.Add(before, length), np.int64([0]))
    places = g.Slice(g.weight(12, WIDTH), start, end, np.int64([0]))
    y = g.Add(g.Gather(g.weight(20, WIDTH), targets), places)
    normed = g.layer_norm(y)
    query = g.split_heads(g.linear(normed, WIDTH, WIDTH))
    keys = g.Concat(past, g.split_heads(g.linear(normed, WIDTH, WIDTH, False)), axis=2)
    values = g.Concat(past, g.split_heads(g.linear(normed, WIDTH, WIDTH)), axis=2)
    # The last rows of a mask for all positions.
    total = g.Add(before, length)
    square = g.Concat(g.Unsqueeze(total, np.int64([0])), g.Unsqueeze(total, np.int64([0])), axis=0)
    hidden = g.Trilu(g.Expand(np.float32(-LARGEST), square), np.int64(1), upper=1)
    hidden = g.Slice(hidden, start, end, np.int64([0]))
    y = g.Add(y, g.linear(g.join_heads(g.attend(query, keys, values, hidden)), WIDTH, WIDTH))
    y = g.Add(y, g.attention(g.layer_norm(y), memory))
    y = g.Add(y, g.feed_forward(g.layer_norm(y)))
    g.output(g.linear(g.layer_norm(y), WIDTH, 20, False), keys)
    check(tmp_path, g, *({"features": floats(b, 6, 18), "ids": ids(b, d), "past": floats(b, HEADS, p, SIZE, seed=2)}
                         for b, d, p in ((2, 4, 0), (1, 1, 5), (2, 3, 4))))


def fused_attention(g, x, bias=None):
    """Queries, keys and values of one product, as timm writes it."""
    qkv = g.Reshape(g.linear(x, WIDTH, 3 * WIDTH), g.shape(x, "0", "1", 3, HEADS, SIZE))
    qkv = g.Transpose(qkv, perm=[2, 0, 3, 1, 4])
    query, key, value = (g.Squeeze(part, np.int64([0]))
                         for part in g.Split(qkv, np.int64([1, 1, 1]), axis=0, outputs=3))
    return g.linear(g.join_heads(g.attend(query, key, value, bias)), WIDTH, WIDTH)


def test_vit(tmp_path):
    g = Graph()
    pixels = g.input("pixels", F, "batch", 3, 12, 8)
    x = g.Conv(pixels, g.weight(WIDTH, 3, 4, 4), g.weight(WIDTH), kernel_shape=[4, 4], strides=[4, 4])
    shape = g.Concat(g.Slice(g.Shape(x), np.int64([0]), np.int64([2]), np.int64([0])), np.int64([-1]), axis=0)
    x = g.Transpose(g.Reshape(x, shape), perm=[0, 2, 1])
    first = g.Expand(g.weight(1, 1, WIDTH), g.shape(x, "0", 1, WIDTH))
    x = g.Add(g.Concat(first, x, axis=1), g.weight(1, 7, WIDTH))
    x = g.Add(x, fused_attention(g, g.layer_norm(x)))
    x = g.Add(x, g.feed_forward(g.layer_norm(x)))
    first = g.Gather(g.layer_norm(x), np.int64(0), axis=1)
    g.output(g.Gemm(first, g.weight(5, WIDTH), g.weight(5), transB=1), g.ReduceMean(x, axes=[1], keepdims=0))
    check(tmp_path, g, *({"pixels": floats(b, 3, 12, 8)} for b in (1, 3)))


def roll(g, x, by):
    """Along the two dimensions of an image, as exporters write it: what is cut off in front is put behind."""
    for axis in (1, 2):
        last = g.Slice(x, np.int64([by]), np.int64([2**63 - 1]), np.int64([axis]))
        first = g.Slice(x, np.int64([0]), np.int64([by]), np.int64([axis]))
        x = g.Concat(last, first, axis=axis)
    return x


def windows_of(g, x, height, width):
    x = g.Reshape(x, g.shape(x, "0", height // 2, 2, width // 2, 2, WIDTH))
    return g.Reshape(g.Transpose(x, perm=[0, 1, 3, 2, 4, 5]), np.int64([-1, 4, WIDTH]))


def test_swin(tmp_path):
    """Attention in windows that the second layer shifts, then patches merged by slices with steps."""
    height, width = 4, 6
    g = Graph()
    pixels = g.input("pixels", F, "batch", 3, 2 * height, 2 * width)
    x = g.Conv(pixels, g.weight(WIDTH, 3, 2, 2), g.weight(WIDTH), kernel_shape=[2, 2], strides=[2, 2])
    x = g.Transpose(g.Reshape(x, g.shape(x, "0", WIDTH, height * width)), perm=[0, 2, 1])
    places = np.stack(np.meshgrid(range(2), range(2), indexing="ij")).reshape(2, 4)
    offsets = places[:, :, None] - places[:, None] + 1
    index = (offsets[0] * 3 + offsets[1]).reshape(-1)
    for shift in (0, 1):
        normed = g.Reshape(g.layer_norm(x), g.shape(x, "0", height, width, WIDTH))
        rows = windows_of(g, roll(g, normed, shift) if shift else normed, height, width)
        bias = g.Reshape(g.Gather(g.weight(9, HEADS), index.astype(np.int64)), np.int64([4, 4, HEADS]))
        bias = g.Unsqueeze(g.Transpose(bias, perm=[2, 0, 1]), np.int64([0]))
        if shift:
            # Windows over the seam see only their part; windows of all images behind each other.
            regions = np.zeros((height, width), int)
            regions[-2:-1], regions[-1:] = 3, 6
            regions[:, -2:-1] += 1
            regions[:, -1:] += 2
            regions = regions.reshape(height // 2, 2, width // 2, 2).swapaxes(1, 2).reshape(-1, 4)
            hidden = np.where(regions[:, None] == regions[:, :, None], 0, -100).astype(np.float32)
            count = g.Div(g.size(rows, 0), np.int64(len(hidden)))
            shape = g.Concat(g.Unsqueeze(count, np.int64([0])), np.int64([1, 1, 1]), axis=0)
            hidden = g.Tile(hidden[None, :, None], g.Concat(shape, np.int64([1]), axis=0))
            bias = g.Add(bias, g.Reshape(hidden, np.int64([-1, 1, 4, 4])))
        rows = fused_attention(g, rows, bias)
        rows = g.Reshape(rows, np.int64([-1, height // 2, width // 2, 2, 2, WIDTH]))
        image = g.Reshape(g.Transpose(rows, perm=[0, 1, 3, 2, 4, 5]), np.int64([-1, height, width, WIDTH]))
        image = roll(g, image, -shift) if shift else image
        x = g.Add(x, g.Reshape(image, g.shape(x, "0", height * width, WIDTH)))
        x = g.Add(x, g.feed_forward(g.layer_norm(x)))
    image = g.Reshape(x, g.shape(x, "0", height, width, WIDTH))
    parts = []
    for i, j in ((0, 0), (1, 0), (0, 1), (1, 1)):
        part = g.Slice(image, np.int64([i]), np.int64([2**63 - 1]), np.int64([1]), np.int64([2]))
        parts.append(g.Slice(part, np.int64([j]), np.int64([2**63 - 1]), np.int64([2]), np.int64([2])))
    merged = g.Reshape(g.Concat(*parts, axis=-1), g.shape(x, "0", -1, 4 * WIDTH))
    g.output(g.linear(g.layer_norm(merged, 4 * WIDTH), 4 * WIDTH, 2 * WIDTH, False))
    check(tmp_path, g, *({"pixels": floats(b, 3, 2 * height, 2 * width)} for b in (1, 2)))


def test_detr(tmp_path):
    """A convolutional stem of any size, sines of positions counted from a mask, and queries that are learned."""
    g = Graph()
    pixels, mask = g.input("pixels", F, "batch", 3, "height", "width"), g.input("mask", I, "batch", "height", "width")
    x = g.Conv(pixels, g.weight(4, 3, 3, 3), kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2])
    statistics = [g.constant(np.abs(floats(4, seed=i)) + 0.5) for i in range(4)]
    x = g.Relu(g.BatchNormalization(x, *statistics))
    x = g.MaxPool(x, kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2])
    x = g.Conv(x, g.weight(WIDTH, 4, 1, 1), g.weight(WIDTH), kernel_shape=[1, 1])
    # The mask, as large as what is left of the image.
    size = g.Slice(g.Shape(x), np.int64([2]), np.int64([4]), np.int64([0]))
    small = g.Cast(g.Unsqueeze(mask, np.int64([1])), to=F)
    shape = g.Concat(g.Slice(g.Shape(small), np.int64([0]), np.int64([2]), np.int64([0])), size, axis=0)
    small = g.Resize(small, "", "", shape, mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    seen = g.Squeeze(small, np.int64([1]))
    powers = (20 ** (2 * (np.arange(4) // 2) / 4)).astype(np.float32)
    halves = []
    for axis in (1, 2):
        count = g.CumSum(seen, np.int64(axis))
        last = g.Slice(count, np.int64([-1]), np.int64([2**63 - 1]), np.int64([axis]))
        count = g.Mul(g.Div(count, g.Add(last, np.float32(1e-6))), np.float32(2 * np.pi))
        angle = g.Div(g.Unsqueeze(count, np.int64([3])), powers)
        even, odd = (g.Slice(angle, np.int64([i]), np.int64([2**63 - 1]), np.int64([3]), np.int64([2])) for i in (0, 1))
        both = g.Concat(g.Unsqueeze(g.Sin(even), np.int64([4])), g.Unsqueeze(g.Cos(odd), np.int64([4])), axis=4)
        halves.append(g.Reshape(both, g.Concat(g.Slice(g.Shape(both), np.int64([0]), np.int64([3]), np.int64([0])),
                                               np.int64([-1]), axis=0)))
    places = g.Transpose(g.Concat(*halves, axis=3), perm=[0, 3, 1, 2])
    def flat(image):
        shape = g.Concat(g.Slice(g.Shape(image), np.int64([0]), np.int64([2]), np.int64([0])), np.int64([-1]), axis=0)
        return g.Transpose(g.Reshape(image, shape), perm=[0, 2, 1])
    x, places = flat(x), flat(places)
    hidden = g.Equal(g.Flatten(seen, axis=1), np.float32(0))
    bias = g.Where(g.Unsqueeze(hidden, np.int64([1, 2])), np.float32(-np.inf), np.float32(0))
    keys = g.Add(x, places)
    parts = [g.split_heads(g.linear(source, WIDTH, WIDTH)) for source in (keys, keys, x)]
    x = g.layer_norm(g.Add(x, g.linear(g.join_heads(g.attend(*parts, bias)), WIDTH, WIDTH)))
    queries = g.Tile(g.Unsqueeze(g.weight(5, WIDTH), np.int64([0])), g.shape(x, "0", 1, 1))
    parts = [g.split_heads(g.linear(source, WIDTH, WIDTH)) for source in (queries, g.Add(x, places), x)]
    y = g.layer_norm(g.linear(g.join_heads(g.attend(*parts, bias)), WIDTH, WIDTH))
    g.output(g.linear(y, WIDTH, 3), g.Sigmoid(g.linear(g.Relu(g.linear(y, WIDTH, WIDTH)), WIDTH, 4)))
    def feed(batch, height, width):
        mask = np.ones((batch, height, width), np.int64)
        mask[1:, :, width // 2:] = 0
        return {"pixels": floats(batch, 3, height, width), "mask": mask}
    check(tmp_path, g, feed(2, 17, 24), feed(1, 9, 5), tolerance=1e-4)


@pytest.mark.parametrize("scatter", ["ScatterElements", "ScatterND"])
def test_mixtral(tmp_path, scatter):
    """Each expert computes the tokens that chose it, of which there may be none, and adds to their rows."""
    experts, chosen = 4, 2
    g = Graph(18)
    hidden = g.input("hidden", F, "batch", "sequence", WIDTH)
    rows = g.Reshape(hidden, np.int64([-1, WIDTH]))
    shares = g.Softmax(g.linear(rows, WIDTH, experts, False), axis=1)
    best, who = g.TopK(shares, np.int64([chosen]), axis=-1, largest=1, sorted=1, outputs=2)
    best = g.Div(best, g.ReduceSum(best, np.int64([-1]), keepdims=1))
    hot = g.OneHot(who, np.int64([experts]), np.int64([0, 1]), axis=-1)
    hot = g.Transpose(hot, perm=[2, 1, 0])
    result = g.ConstantOfShape(g.Shape(rows), value=helper.make_tensor("v", F, [1], [0]))
    for expert in range(experts):
        places = g.NonZero(g.Gather(hot, np.int64(expert), axis=0))
        choice, token = (g.Squeeze(part, np.int64([0])) for part in g.Split(places, axis=0, num_outputs=2, outputs=2))
        mine = g.Gather(rows, token, axis=0)
        gate = g.linear(mine, WIDTH, 12, False)
        inner = g.Mul(g.Mul(gate, g.Sigmoid(gate)), g.linear(mine, WIDTH, 12, False))
        pairs = g.Concat(g.Unsqueeze(token, np.int64([-1])), g.Unsqueeze(choice, np.int64([-1])), axis=-1)
        y = g.Mul(g.linear(inner, 12, WIDTH, False), g.Unsqueeze(g.GatherND(best, pairs), np.int64([-1])))
        if scatter == "ScatterND":
            result = g.ScatterND(result, g.Unsqueeze(token, np.int64([-1])), y, reduction="add")
        else:
            index = g.Expand(g.Unsqueeze(token, np.int64([-1])), g.Shape(y))
            result = g.ScatterElements(result, index, y, axis=0, reduction="add")
    g.output(g.Add(hidden, g.Reshape(result, g.Shape(hidden))))
    check(tmp_path, g, *({"hidden": floats(b, s, WIDTH, seed=b * s)} for b, s in ((2, 7), (1, 1), (1, 30))))


def test_deberta(tmp_path):
    """Scores of contents with positions and of positions with contents, both gathered by distance."""
    g = Graph()
    tokens, mask = g.input("input_ids", I, "batch", "sequence"), g.input("attention_mask", I, "batch", "sequence")
    x = g.layer_norm(g.Gather(g.weight(20, WIDTH), tokens))
    x = g.Mul(x, g.Cast(g.Unsqueeze(mask, np.int64([2])), to=F))
    length = g.size(x, 1)
    places = g.Range(np.int64(0), length, np.int64(1))
    distance = g.Sub(g.Unsqueeze(places, np.int64([1])), g.Unsqueeze(places, np.int64([0])))
    # Logarithmic beyond half of the span.
    middle, most = 2, 6
    near = g.And(g.Less(distance, np.int64(middle)), g.Greater(distance, np.int64(-middle)))
    size = g.Where(near, np.int64(middle - 1), g.Abs(distance))
    logs = g.Div(g.Log(g.Div(g.Cast(size, to=F), np.float32(middle))), np.float32(np.log((most - 1) / middle)))
    logs = g.Add(g.Ceil(g.Mul(logs, np.float32(middle - 1))), np.float32(middle))
    far = g.Mul(logs, g.Cast(g.Sign(distance), to=F))
    bucket = g.Where(g.LessOrEqual(size, np.int64(middle)), g.Cast(distance, to=F), far)
    bucket = g.Unsqueeze(g.Cast(bucket, to=I), np.int64([0]))
    span = 4
    heads = {name: g.split_heads(g.linear(x, WIDTH, WIDTH)) for name in ("query", "key", "value")}
    def flat(part):
        return g.Reshape(part, g.Concat(np.int64([-1]), g.shape(part, "2", "3"), axis=0))
    query, key, value = (flat(heads[name]) for name in ("query", "key", "value"))
    relative = g.layer_norm(g.weight(2 * span, WIDTH))
    scale = np.float32(np.sqrt(SIZE * 3))
    def of_positions():
        table = g.Reshape(g.linear(g.Unsqueeze(relative, np.int64([0])), WIDTH, WIDTH), np.int64([1, 2 * span, HEADS, SIZE]))
        table = g.Reshape(g.Transpose(table, perm=[0, 2, 1, 3]), np.int64([HEADS, 2 * span, SIZE]))
        return g.Tile(table, g.Concat(g.Unsqueeze(g.size(x, 0), np.int64([0])), np.int64([1, 1]), axis=0))
    scores = g.MatMul(query, g.Div(g.Transpose(key, perm=[0, 2, 1]), scale))
    shape = g.Concat(g.shape(query, "0", "1"), g.Unsqueeze(length, np.int64([0])), axis=0)
    to_places = g.MatMul(query, g.Transpose(of_positions(), perm=[0, 2, 1]))
    index = g.Clip(g.Add(bucket, np.int64(span)), np.int64(0), np.int64(2 * span - 1))
    scores = g.Add(scores, g.Div(g.GatherElements(to_places, g.Expand(index, shape), axis=-1), scale))
    from_places = g.MatMul(key, g.Transpose(of_positions(), perm=[0, 2, 1]))
    index = g.Clip(g.Add(g.Neg(bucket), np.int64(span)), np.int64(0), np.int64(2 * span - 1))
    part = g.Transpose(g.GatherElements(from_places, g.Expand(index, shape), axis=-1), perm=[0, 2, 1])
    scores = g.Add(scores, g.Div(part, scale))
    scores = g.Reshape(scores, g.Concat(np.int64([-1, HEADS]), g.shape(scores, "1", "2"), axis=0))
    wide = g.Unsqueeze(mask, np.int64([1, 2]))
    both = g.Mul(wide, g.Unsqueeze(g.Squeeze(wide, np.int64([-2])), np.int64([-1])))
    hidden = g.Not(g.Cast(both, to=B))
    weights = g.Softmax(g.Where(hidden, np.float32(-LARGEST), scores), axis=-1)
    weights = g.Where(hidden, np.float32(0), weights)
    y = g.MatMul(g.Reshape(weights, g.Concat(np.int64([-1]), g.shape(weights, "2", "3"), axis=0)), value)
    y = g.Reshape(y, g.Concat(np.int64([-1, HEADS]), g.shape(y, "1", "2"), axis=0))
    g.output(g.layer_norm(g.Add(x, g.linear(g.join_heads(y), WIDTH, WIDTH))))
    check(tmp_path, g, *({"input_ids": ids(b, s), "attention_mask": padded(b, s)} for b, s in ((2, 9), (1, 1), (3, 4))),
          tolerance=1e-4)


def test_bloom(tmp_path):
    """Biases that grow with the distance (ALiBi), from the places of the tokens that are no padding."""
    g = Graph()
    tokens, mask = g.input("input_ids", I, "batch", "sequence"), g.input("attention_mask", I, "batch", "sequence")
    x = g.layer_norm(g.Gather(g.weight(20, WIDTH), tokens))
    places = g.Mul(g.Sub(g.CumSum(mask, np.int64(-1)), np.int64(1)), mask)
    slopes = np.float32([[2.0 ** -4], [2.0 ** -8]])
    alibi = g.Mul(slopes, g.Cast(g.Unsqueeze(places, np.int64([1])), to=F))
    alibi = g.Reshape(alibi, g.Concat(g.Mul(g.Unsqueeze(g.size(x, 0), np.int64([0])), np.int64([HEADS])), np.int64([1]),
                                      g.shape(x, "1"), axis=0))
    normed = g.layer_norm(x)
    fused = g.Reshape(g.linear(normed, WIDTH, 3 * WIDTH), g.shape(x, "0", "1", HEADS, 3, SIZE))
    query, key, value = (g.Gather(fused, np.int64(i), axis=3) for i in range(3))
    def flat(part, perm, shape):
        return g.Reshape(g.Transpose(part, perm=perm), g.Concat(np.int64([-1]), shape, axis=0))
    size = g.constant(np.int64([SIZE]))
    query = flat(query, [0, 2, 1, 3], g.Concat(g.shape(x, "1"), size, axis=0))
    value = flat(value, [0, 2, 1, 3], g.Concat(g.shape(x, "1"), size, axis=0))
    key = flat(key, [0, 2, 3, 1], g.Concat(size, g.shape(x, "1"), axis=0))
    scores = g.Add(alibi, g.Mul(g.MatMul(query, key), np.float32(SIZE ** -0.5)))
    scores = g.Reshape(scores, g.Concat(g.shape(x, "0", HEADS), g.shape(x, "1", "1"), axis=0))
    hidden = g.Or(g.Cast(g.causal_bias(x), to=B), g.Not(g.Cast(g.Unsqueeze(mask, np.int64([1, 2])), to=B)))
    weights = g.Softmax(g.Where(hidden, np.float32(-LARGEST), scores), axis=-1)
    weights = g.Reshape(weights, g.Concat(np.int64([-1]), g.shape(x, "1", "1"), axis=0))
    y = g.MatMul(weights, value)
    y = g.Reshape(y, g.Concat(g.shape(x, "0", HEADS), g.shape(x, "1"), size, axis=0))
    x = g.Add(x, g.linear(g.join_heads(y), WIDTH, WIDTH))
    g.output(g.Add(x, g.feed_forward(g.layer_norm(x))))
    check(tmp_path, g, *({"input_ids": ids(b, s), "attention_mask": padded(b, s)} for b, s in ((2, 6), (1, 1), (3, 9))))


def test_longformer(tmp_path):
    """Scores of keys near each query, from chunks that overlap: a padded matrix is read at another width, so that
    diagonals become columns. A few tokens see all others."""
    window, batch = 2, 2
    g = Graph()
    hidden, flags = g.input("hidden", F, batch, "sequence", WIDTH), g.input("global", I, batch, "sequence")
    parts = [g.split_heads(g.linear(hidden, WIDTH, WIDTH)) for _ in range(3)]
    query, key, value = (g.Reshape(part, g.Concat(np.int64([batch * HEADS]), g.shape(part, "2"), np.int64([SIZE]), axis=0))
                         for part in parts)
    length = g.size(query, 1)
    count = g.Div(length, np.int64(window))
    def chunks(x, before):
        """Each window of 3 · window keys around the queries of a chunk."""
        pads = np.int64([0, before, 0, 0, before, 0])
        x = g.Pad(x, pads, np.float32(0))
        starts = g.Mul(g.Range(np.int64(0), count, np.int64(1)), np.int64(window))
        index = g.Add(g.Unsqueeze(starts, np.int64([1])), np.arange(window + 2 * before)[None])
        return g.Gather(x, index, axis=1)
    own, near, seen = chunks(query, 0), chunks(key, window), chunks(value, window)
    scores = g.MatMul(own, g.Transpose(near, perm=[0, 1, 3, 2]))  # chunk, window, 3 · window
    wide, band = 3 * window, 2 * window + 1
    # Row i begins at column i: read as rows that are one longer.
    flat = g.Pad(g.Reshape(scores, g.Concat(np.int64([batch * HEADS]), g.Unsqueeze(count, np.int64([0])),
                                           np.int64([-1]), axis=0)), np.int64([0, 0, 0, 0, 0, window]), np.float32(0))
    skewed = g.Reshape(flat, g.Concat(np.int64([batch * HEADS]), g.Unsqueeze(count, np.int64([0])),
                                      np.int64([window, wide + 1]), axis=0))
    skewed = g.Slice(skewed, np.int64([0]), np.int64([band]), np.int64([3]))
    local = g.Reshape(skewed, g.Concat(np.int64([batch, HEADS]), g.Unsqueeze(length, np.int64([0])), np.int64([band]), axis=0))
    # The same as a mask over all scores.
    places = g.Range(np.int64(0), length, np.int64(1))
    distance = g.Abs(g.Sub(g.Unsqueeze(places, np.int64([1])), g.Unsqueeze(places, np.int64([0]))))
    is_near = g.Unsqueeze(g.LessOrEqual(distance, np.int64(window)), np.int64([0]))
    is_global = g.Greater(flags, np.int64(0))
    visible = g.Or(g.Or(is_near, g.Unsqueeze(is_global, np.int64([1]))), g.Unsqueeze(is_global, np.int64([2])))
    bias = g.Where(g.Unsqueeze(visible, np.int64([1])), np.float32(0), np.float32(-LARGEST))
    g.output(local, g.join_heads(g.attend(*parts, bias)), g.ReduceSum(seen, np.int64([2]), keepdims=0))
    def feed(length):
        flags = np.zeros((batch, length), np.int64)
        flags[:, 0] = 1
        return {"hidden": floats(batch, length, WIDTH), "global": flags}
    check(tmp_path, g, feed(8), feed(2), feed(14))
