"""What exporters write for parts that only some transformers have, against onnxruntime."""
import numpy as np
import pytest
from onnx import TensorProto
from test_families import HEADS, LARGEST, SIZE, WIDTH, Graph, check, floats, ids, padded

F, I, B = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
END = np.int64([2**63 - 1])


def test_shared_keys_soft_cap_and_window(tmp_path):
    """Gemma: keys repeated for more heads by Expand, rotations by halves, scores capped, a window before each token."""
    g = Graph()
    tokens, places = g.input("ids", I, "batch", "sequence"), g.input("position_ids", I, "batch", "sequence")
    mask = g.input("mask", I, "batch", "sequence")
    x = g.Mul(g.Gather(g.weight(20, WIDTH), tokens), np.float32(WIDTH ** 0.5))
    normed = g.rms_norm(x)
    def heads(count):
        return g.Transpose(g.Reshape(g.linear(normed, WIDTH, count * SIZE, False), g.shape(x, "0", "1", count, SIZE)),
                           perm=[0, 2, 1, 3])
    query, key, value = heads(4), heads(2), heads(2)
    frequencies = np.float32([[[1.0], [0.1]]])
    wide = g.Expand(frequencies, g.shape(places, "0", 2, 1))
    angles = g.Transpose(g.MatMul(wide, g.Cast(g.Unsqueeze(places, np.int64([1])), to=F)), perm=[0, 2, 1])
    both = g.Concat(angles, angles, axis=-1)
    cosine, sine = (g.Unsqueeze(part, np.int64([1])) for part in (g.Cos(both), g.Sin(both)))
    def rotate(part):
        first = g.Slice(part, np.int64([0]), np.int64([SIZE // 2]), np.int64([3]), np.int64([1]))
        second = g.Slice(part, np.int64([SIZE // 2]), END, np.int64([3]), np.int64([1]))
        return g.Add(g.Mul(part, cosine), g.Mul(g.Concat(g.Neg(second), first, axis=-1), sine))
    def repeat(part):
        part = g.Expand(g.Unsqueeze(part, np.int64([2])), g.shape(x, "0", 2, 2, "1", SIZE))
        return g.Reshape(part, g.shape(x, "0", 4, "1", SIZE))
    query, key, value = rotate(query), repeat(rotate(key)), repeat(value)
    scores = g.Mul(g.MatMul(query, g.Transpose(key, perm=[0, 1, 3, 2])), np.float32(SIZE ** -0.5))
    scores = g.Mul(g.Tanh(g.Div(scores, np.float32(2))), np.float32(2))
    length = g.size(x, 1)
    line = g.Range(np.int64(0), length, np.int64(1))
    distance = g.Sub(g.Unsqueeze(line, np.int64([1])), g.Unsqueeze(line, np.int64([0])))
    seen = g.And(g.GreaterOrEqual(distance, np.int64(0)), g.Less(distance, np.int64(3)))
    seen = g.And(g.Unsqueeze(seen, np.int64([0, 1])), g.Cast(g.Unsqueeze(mask, np.int64([1, 2])), to=B))
    scores = g.Where(seen, scores, np.float32(-LARGEST))
    y = g.Transpose(g.MatMul(g.Softmax(scores, axis=-1), value), perm=[0, 2, 1, 3])
    y = g.linear(g.Reshape(y, g.shape(x, "0", "1", 4 * SIZE)), 4 * SIZE, WIDTH, False)
    last = g.Slice(g.Add(x, y), np.int64([-1]), END, np.int64([1]))
    logits = g.linear(last, WIDTH, 20, False)
    g.output(g.Mul(g.Tanh(g.Div(logits, np.float32(30))), np.float32(30)))
    check(tmp_path, g, *({"ids": ids(b, s), "position_ids": np.arange(s)[None].repeat(b, 0), "mask": padded(b, s)[:, ::-1].copy()}
                         for b, s in ((2, 7), (1, 1))))


def test_conformer(tmp_path):
    """Scores of relative positions shifted by padding and reading at another width; gated convolution over time."""
    g = Graph()
    x = g.input("x", F, "batch", "time", WIDTH)
    length = g.size(x, 1)
    table = g.weight(63, WIDTH)
    middle = g.constant(np.int64(31))
    start = g.Unsqueeze(g.Sub(middle, g.Sub(length, np.int64(1))), np.int64([0]))
    stop = g.Unsqueeze(g.Add(middle, length), np.int64([0]))
    places = g.Unsqueeze(g.Slice(table, start, stop, np.int64([0])), np.int64([0]))  # 2 · time - 1
    normed = g.layer_norm(x)
    query = g.Reshape(g.linear(normed, WIDTH, WIDTH), g.shape(x, "0", "1", HEADS, SIZE))
    key, value = (g.split_heads(g.linear(normed, WIDTH, WIDTH)) for _ in range(2))
    positions = g.Transpose(g.Reshape(g.linear(places, WIDTH, WIDTH, False), np.int64([1, -1, HEADS, SIZE])), perm=[0, 2, 1, 3])
    def biased():
        return g.Transpose(g.Add(query, g.weight(HEADS, SIZE)), perm=[0, 2, 1, 3])
    content = g.MatMul(biased(), g.Transpose(key, perm=[0, 1, 3, 2]))
    shifted = g.MatMul(biased(), g.Transpose(positions, perm=[0, 1, 3, 2]))
    zeros = g.ConstantOfShape(g.Concat(g.shape(shifted, "0", "1", "2"), np.int64([1]), axis=0))
    wide = g.Concat(zeros, shifted, axis=-1)
    wide = g.Reshape(wide, g.Concat(g.shape(shifted, "0", "1"), g.Unsqueeze(g.Add(g.size(shifted, 3), np.int64(1)), np.int64([0])),
                                    g.shape(shifted, "2"), axis=0))
    wide = g.Reshape(g.Slice(wide, np.int64([1]), END, np.int64([2])), g.Shape(shifted))
    half = g.Unsqueeze(g.Add(g.Div(g.size(shifted, 3), np.int64(2)), np.int64(1)), np.int64([0]))
    wide = g.Slice(wide, np.int64([0]), half, np.int64([3]))
    scores = g.Div(g.Add(content, wide), np.float32(np.sqrt(SIZE)))
    x = g.Add(x, g.linear(g.join_heads(g.MatMul(g.Softmax(scores, axis=-1), value)), WIDTH, WIDTH))
    y = g.Transpose(g.layer_norm(x), perm=[0, 2, 1])
    y = g.Conv(y, g.weight(2 * WIDTH, WIDTH, 1), g.weight(2 * WIDTH), kernel_shape=[1])
    left, right = g.Split(y, axis=1, outputs=2)
    y = g.Conv(g.Mul(left, g.Sigmoid(right)), g.weight(WIDTH, 1, 5), g.weight(WIDTH), group=WIDTH, kernel_shape=[5], pads=[2, 2])
    y = g.BatchNormalization(y, *(g.constant(np.abs(floats(WIDTH, seed=i)) + 0.5) for i in range(4)))
    y = g.Conv(g.Mul(y, g.Sigmoid(y)), g.weight(WIDTH, WIDTH, 1), g.weight(WIDTH), kernel_shape=[1])
    g.output(g.Add(x, g.Transpose(y, perm=[0, 2, 1])))
    check(tmp_path, g, *({"x": floats(b, t, WIDTH)} for b, t in ((2, 9), (1, 1), (1, 20))), tolerance=1e-4)


def test_clip(tmp_path):
    """The token with the largest id stands for the text; rows of length 1 are compared."""
    g = Graph()
    tokens, images = g.input("ids", I, "batch", "sequence"), g.input("images", F, "images", WIDTH)
    x = g.Add(g.Gather(g.weight(20, WIDTH), tokens), g.Slice(g.weight(16, WIDTH), np.int64([0]), g.shape(tokens, "1"), np.int64([0])))
    x = g.layer_norm(g.Add(x, g.attention(g.layer_norm(x), bias=g.causal_bias(x))))
    ends = g.ArgMax(tokens, axis=-1, keepdims=0)
    rows = g.Range(np.int64(0), g.size(x, 0), np.int64(1))
    text = g.GatherND(x, g.Concat(g.Unsqueeze(rows, np.int64([-1])), g.Unsqueeze(ends, np.int64([-1])), axis=-1))
    def unit(part):
        return g.Div(part, g.ReduceL2(part, axes=[-1], keepdims=1))
    text, images = unit(g.linear(text, WIDTH, WIDTH, False)), unit(images)
    scores = g.Mul(g.MatMul(text, g.Transpose(images, perm=[1, 0])), g.Exp(g.constant(np.float32(1.5))))
    g.output(scores, g.Softmax(g.Transpose(scores, perm=[1, 0]), axis=-1))
    check(tmp_path, g, *({"ids": ids(b, s), "images": floats(n, WIDTH)} for b, s, n in ((3, 5, 2), (1, 1, 1))))


def test_wav2vec2(tmp_path):
    """A raw signal through convolutions, a norm of each channel, positions by a convolution in groups whose weights
    are a direction times a length."""
    g = Graph()
    wave = g.input("wave", F, "batch", "samples")
    mean = g.ReduceMean(wave, axes=[1], keepdims=1)
    centred = g.Sub(wave, mean)
    deviation = g.Sqrt(g.Add(g.ReduceMean(g.Mul(centred, centred), axes=[1], keepdims=1), np.float32(1e-7)))
    x = g.Unsqueeze(g.Div(centred, deviation), np.int64([1]))
    x = g.Conv(x, g.weight(WIDTH, 1, 10), kernel_shape=[10], strides=[5])
    shape = g.Shape(x)
    x = g.InstanceNormalization(g.Reshape(x, np.int64([0, WIDTH, -1])), np.ones(WIDTH, np.float32), np.zeros(WIDTH, np.float32))
    x = g.gelu(g.Add(g.Mul(g.Reshape(x, shape), g.weight(WIDTH, 1)), g.weight(WIDTH, 1)))
    x = g.gelu(g.Conv(x, g.weight(WIDTH, WIDTH, 3), kernel_shape=[3], strides=[2]))
    x = g.layer_norm(g.Transpose(x, perm=[0, 2, 1]))
    direction = g.weight(WIDTH, WIDTH // 2, 4)
    length = g.Sqrt(g.ReduceSum(g.Mul(direction, direction), np.int64([0, 1]), keepdims=1))
    kernel = g.Mul(direction, g.Div(g.weight(1, 1, 4), length))
    y = g.Conv(g.Transpose(x, perm=[0, 2, 1]), kernel, g.weight(WIDTH), group=2, kernel_shape=[4], pads=[2, 2])
    y = g.Slice(y, np.int64([0]), np.int64([-1]), np.int64([2]))
    x = g.layer_norm(g.Add(x, g.Transpose(g.gelu(y), perm=[0, 2, 1])))
    x = g.layer_norm(g.Add(x, g.attention(x)))
    g.output(g.LogSoftmax(g.linear(x, WIDTH, 7), axis=-1))
    check(tmp_path, g, *({"wave": floats(b, n)} for b, n in ((2, 83), (1, 60))), tolerance=1e-4)


def test_segformer(tmp_path):
    """Keys of a smaller image than queries, a convolution between the layers of the perceptron, results resized."""
    g = Graph(19)
    pixels = g.input("pixels", F, "batch", 3, "height", "width")
    x = g.Conv(pixels, g.weight(WIDTH, 3, 7, 7), g.weight(WIDTH), kernel_shape=[7, 7], strides=[4, 4], pads=[3] * 4)
    height, width = g.shape(x, "2"), g.shape(x, "3")
    def flat(image):
        return g.Transpose(g.Reshape(image, g.Concat(g.shape(image, "0", "1"), np.int64([-1]), axis=0)), perm=[0, 2, 1])
    def image(rows, channels=WIDTH):
        return g.Reshape(g.Transpose(rows, perm=[0, 2, 1]), g.Concat(g.shape(rows, "0"), np.int64([channels]), height, width, axis=0))
    x = g.layer_norm(flat(x))
    small = g.Conv(image(x), g.weight(WIDTH, WIDTH, 2, 2), g.weight(WIDTH), kernel_shape=[2, 2], strides=[2, 2])
    x = g.Add(x, g.attention(x, g.layer_norm(flat(small))))
    y = image(g.linear(g.layer_norm(x), WIDTH, 2 * WIDTH), 2 * WIDTH)
    y = g.Conv(y, g.weight(2 * WIDTH, 1, 3, 3), g.weight(2 * WIDTH), group=2 * WIDTH, kernel_shape=[3, 3], pads=[1] * 4)
    x = g.Add(x, g.linear(g.gelu(flat(y)), 2 * WIDTH, WIDTH))
    size = g.Concat(g.shape(pixels, "0"), np.int64([WIDTH]), g.shape(pixels, "2", "3"), axis=0)
    large = g.Resize(image(x), "", "", size, mode="linear", coordinate_transformation_mode="half_pixel")
    g.output(g.Conv(large, g.weight(3, WIDTH, 1, 1), g.weight(3), kernel_shape=[1, 1]))
    check(tmp_path, g, *({"pixels": floats(b, 3, h, w)} for b, h, w in ((1, 16, 24), (2, 9, 13))), tolerance=1e-4)


def test_deformable_attention(tmp_path):
    """Values sampled from an image at places that each query chooses."""
    g = Graph(16)
    image, queries = g.input("image", F, "batch", "height", "width", WIDTH), g.input("queries", F, "batch", "queries", WIDTH)
    points = 3
    values = g.Reshape(g.linear(image, WIDTH, WIDTH), g.Concat(g.shape(image, "0", "1", "2"), np.int64([HEADS, SIZE]), axis=0))
    values = g.Transpose(values, perm=[0, 3, 4, 1, 2])
    values = g.Reshape(values, g.Concat(np.int64([-1, SIZE]), g.shape(image, "1", "2"), axis=0))
    reference_points = g.Sigmoid(g.linear(queries, WIDTH, 2))
    offsets = g.Reshape(g.linear(queries, WIDTH, HEADS * points * 2), g.shape(queries, "0", "1", HEADS, points, 2))
    scale = g.Cast(g.Concat(g.shape(image, "2"), g.shape(image, "1"), axis=0), to=F)
    places = g.Add(g.Unsqueeze(reference_points, np.int64([2, 3])), g.Div(offsets, scale))
    grid = g.Sub(g.Mul(places, np.float32(2)), np.float32(1))
    grid = g.Reshape(g.Transpose(grid, perm=[0, 2, 1, 3, 4]), g.Concat(np.int64([-1]), g.shape(queries, "1"), np.int64([points, 2]), axis=0))
    sampled = g.GridSample(values, grid, mode="bilinear", padding_mode="zeros", align_corners=0)
    weights = g.Softmax(g.Reshape(g.linear(queries, WIDTH, HEADS * points), g.shape(queries, "0", "1", HEADS, points)), axis=-1)
    weights = g.Reshape(g.Transpose(weights, perm=[0, 2, 1, 3]), g.Concat(np.int64([-1, 1]), g.shape(queries, "1"), np.int64([points]), axis=0))
    y = g.ReduceSum(g.Mul(sampled, weights), np.int64([-1]), keepdims=0)
    y = g.Transpose(g.Reshape(y, g.shape(queries, "0", WIDTH, "1")), perm=[0, 2, 1])
    g.output(g.linear(y, WIDTH, WIDTH))
    check(tmp_path, g, *({"image": floats(b, h, w, WIDTH), "queries": floats(b, q, WIDTH, seed=1)}
                         for b, h, w, q in ((2, 4, 5, 3), (1, 1, 7, 1))), tolerance=1e-4)


@pytest.mark.parametrize("blocked", [False, True])
def test_masked_cross_attention(tmp_path, blocked):
    """Mask2Former: each query sees where its mask of the layer before is set, or everything if nowhere."""
    g = Graph()
    queries, pixels = g.input("queries", F, "batch", "queries", WIDTH), g.input("pixels", F, "batch", WIDTH, "height", "width")
    maps = g.Einsum(g.linear(queries, WIDTH, WIDTH), pixels, equation="bqc,bchw->bqhw")
    if blocked:
        maps = g.Sub(maps, np.float32(100))
    hidden = g.Less(g.Sigmoid(maps), np.float32(0.5))
    hidden = g.Reshape(hidden, g.Concat(g.shape(maps, "0", "1"), np.int64([-1]), axis=0))
    count = g.ReduceSum(g.Cast(hidden, to=I), np.int64([-1]), keepdims=1)
    everything = g.Equal(count, g.size(hidden, 2))
    hidden = g.And(hidden, g.Not(everything))
    hidden = g.Tile(g.Unsqueeze(hidden, np.int64([1])), np.int64([1, HEADS, 1, 1]))
    memory = g.Transpose(g.Reshape(pixels, g.Concat(g.shape(pixels, "0", "1"), np.int64([-1]), axis=0)), perm=[0, 2, 1])
    bias = g.Where(hidden, np.float32(-np.inf), np.float32(0))
    g.output(g.attention(queries, memory, bias), maps)
    check(tmp_path, g, *({"queries": floats(b, q, WIDTH), "pixels": floats(b, WIDTH, h, w, seed=1)}
                         for b, q, h, w in ((2, 3, 4, 5), (1, 1, 1, 2))), tolerance=1e-4)


def test_selective_state_space(tmp_path):
    """Mamba-like: a causal convolution of each channel and a decay summed in logarithms."""
    g = Graph()
    x = g.input("x", F, "batch", "time", WIDTH)
    y = g.Conv(g.Transpose(x, perm=[0, 2, 1]), g.weight(WIDTH, 1, 4), g.weight(WIDTH), group=WIDTH, kernel_shape=[4], pads=[3, 3])
    y = g.Slice(y, np.int64([0]), g.shape(x, "1"), np.int64([2]))
    y = g.Transpose(g.Mul(y, g.Sigmoid(y)), perm=[0, 2, 1])
    delta = g.Softplus(g.linear(y, WIDTH, WIDTH))
    decay = g.Neg(g.Exp(g.weight(WIDTH)))
    total = g.CumSum(g.Mul(delta, decay), np.int64(1))
    gaps = g.Sub(g.Unsqueeze(total, np.int64([2])), g.Unsqueeze(total, np.int64([1])))
    length = g.shape(x, "1", "1")
    lower = g.Trilu(g.Expand(np.float32(1), length), upper=0)
    kept = g.Where(g.Unsqueeze(g.Greater(lower, np.float32(0)), np.int64([0, 3])), gaps, np.float32(-np.inf))
    inner, outer = g.linear(y, WIDTH, 3, False), g.linear(y, WIDTH, 3, False)
    scores = g.Unsqueeze(g.Einsum(outer, inner, equation="bin,bjn->bij"), np.int64([3]))
    mixed = g.Mul(g.Mul(scores, g.Exp(kept)), g.Unsqueeze(g.Mul(delta, y), np.int64([1])))
    g.output(g.Add(g.ReduceSum(mixed, np.int64([2]), keepdims=0), g.Mul(y, g.weight(WIDTH))))
    check(tmp_path, g, *({"x": floats(b, t, WIDTH)} for b, t in ((2, 6), (1, 1))), tolerance=1e-4)
