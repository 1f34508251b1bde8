"""Convolutions, pooling and Resize."""
import numpy as np

from .nodes import F32, FLOATS, I64, Refused, allowed, is_float


def image(g, op, channels=None):
    """An image, also of one or three spatial dimensions."""
    types = [t for t in allowed(op, g.opset) if is_float(t)]
    dtype = g.float if g.float in types else g.pick(types)
    fitting = [n for n in [*g.inputs, *g.results] if g.types[n] == dtype and g.rank(n) in (3, 4)
               and isinstance(g.dim(n, 1), int) and g.dim(n, 1) > 0 and all(0 not in s for s in g.shapes(n))]
    if fitting and g.chance(0.6):
        return g.pick(fitting)
    rank = g.pick([1, 2, 2, 2, 3])
    dims = [g.pick([1, 2, "a"]), channels or g.pick([1, 2, 3, 4, 8])]
    dims += [g.pick([1, 3, 5, 7, 8, 11, "b"]) if rank < 3 else g.pick([1, 2, 3, 5]) for _ in range(rank)]
    return g.add_input(dtype, dims)


def windows(g, source, transposed=False):
    """Strides, pads and dilations for each spatial dimension."""
    rank = g.rank(source) - 2
    kernel = [g.pick([1, 2, 3, 3]) for _ in range(rank)]
    attributes = {}
    if g.chance(0.5):
        attributes["strides"] = [g.pick([1, 2, 3]) for _ in range(rank)]
    if g.chance(0.3):
        attributes["dilations"] = [g.pick([1, 2]) for _ in range(rank)]
    if g.chance(0.6):
        # Padding by a whole kernel would give windows that lie outside.
        attributes["pads"] = [g.number(0, k - 1) for k in kernel] + [g.number(0, k - 1) for k in kernel]
    elif g.chance(0.2) and not transposed and "dilations" not in attributes:
        attributes["auto_pad"] = g.pick(["SAME_UPPER", "SAME_LOWER", "VALID"])
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, attributes.get("dilations", [1] * rank))]
    pads = attributes.get("pads", [0] * 2 * rank)
    for shape in g.shapes(source):
        if not transposed and any(size + pads[i] + pads[i + rank] < reach[i] for i, size in enumerate(shape[2:])):
            raise Refused
    return kernel, attributes


def convolution(g):
    source = image(g, "Conv")
    kernel, attributes = windows(g, source)
    channels = g.size(source, 1)
    group = g.pick([n for n in range(1, channels + 1) if channels % n == 0]) if g.chance(0.4) else 1
    maps = group * g.pick([1, 2, 3, 5])
    dtype = g.types[source]
    inputs = [source, g.constant(g.draw([maps, channels // group, *kernel], dtype, -1, 1))]
    if g.chance(0.6):
        inputs.append(g.operand([maps], dtype))
    result = g.add("Conv", inputs, group=group, kernel_shape=kernel, **attributes)
    if g.chance(0.4):
        g.add(g.pick(["Relu", "Sigmoid", "Tanh"]), [result])


def transposed_convolution(g):
    source = image(g, "ConvTranspose")
    kernel, attributes = windows(g, source, transposed=True)
    channels = g.size(source, 1)
    group = g.pick([n for n in range(1, channels + 1) if channels % n == 0]) if g.chance(0.3) else 1
    dtype, maps = g.types[source], g.pick([1, 2, 3])
    inputs = [source, g.constant(g.draw([channels, maps, *kernel], dtype, -1, 1))]
    if g.chance(0.6):
        inputs.append(g.operand([maps * group], dtype))
    g.add("ConvTranspose", inputs, group=group, kernel_shape=kernel, **attributes)


def pool(g):
    op = g.pick(["MaxPool", "AveragePool", "AveragePool", "LpPool"])
    source = image(g, op)
    kernel, attributes = windows(g, source)
    if "dilations" in attributes and (op == "AveragePool" and g.opset < 19 or op == "LpPool" and g.opset < 18):
        raise Refused
    if op == "AveragePool" and "auto_pad" not in attributes:
        attributes["count_include_pad"] = g.number(0, 1)
    if op != "LpPool" and "auto_pad" not in attributes and g.chance(0.3):
        attributes["ceil_mode"] = 1
    g.add(op, [source], kernel_shape=kernel, **attributes)


def global_pool(g):
    op = g.pick(["GlobalAveragePool", "GlobalMaxPool"])
    g.add(op, [image(g, op)])


def resize(g):
    source = image(g, "Resize")
    rank = g.rank(source)
    mode = g.pick(["nearest", "linear", "cubic"])
    attributes = {"mode": mode, "coordinate_transformation_mode": g.pick(
        ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"])}
    if mode == "nearest":
        attributes["nearest_mode"] = g.pick(["round_prefer_floor", "floor", "ceil", "round_prefer_ceil"])
    if mode == "cubic" and rank != 4:
        raise Refused
    if g.chance(0.5):
        scales = [1.0, 1.0] + [g.pick([1.0, 2.0, 0.5, 1.5, 3.0]) for _ in range(rank - 2)]
        inputs = [source, "", g.constant(np.array(scales, np.float32))]
        if any(int(s * size) < 1 for shape in g.shapes(source) for s, size in zip(scales, shape)):
            raise Refused
    else:
        sizes = [g.size(source, 0), g.size(source, 1)] + [g.number(1, 9) for _ in range(rank - 2)]
        inputs = [source, "", "", g.integers(*sizes)]
    g.add("Resize", inputs, **attributes)


OPERATORS = [(convolution, 3), (transposed_convolution, 1), (pool, 2.5), (global_pool, 0.7), (resize, 1.5)]
