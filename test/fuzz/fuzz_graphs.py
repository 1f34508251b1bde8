#!/usr/bin/env python3
"""Compares Tenon with ONNX's reference evaluator on random small graphs.

    fuzz_graphs.py [--first SEED] [--count N] [--jobs N] [--keep DIR] [--tenon PATH]

Each seed makes one graph of up to a dozen nodes over the operators below, with
sizes from 0 up of which some are symbols, and its inputs. The model is compiled
and run by the tool; what it gives is compared with the reference. A difference
is explained, and not counted, where the reference itself differs as much when
its inputs change in their last bits. Prints one line for each seed that is
unexplained, refused or crashed, and a summary; with --keep the model and the
data of these lie in DIR/SEED. Exits with 1 if anything was unexplained.
"""
import argparse
import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

OPSET = 22
SIZES = [1, 2, 3, 4, 5, 7, 8, 16, 17, 33]
FLOATS, INTEGERS = [np.float32], [np.int64, np.int32, np.uint8, np.int8]


class Refused(Exception):
    """The chosen operands do not suit the operator: take another."""


class Graph:
    """A graph that grows; every value is known, so operands can be chosen to fit."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        self.nodes, self.initializers, self.inputs = [], [], []
        self.values = {}  # name -> array
        self.read = set()
        self.reduced = set()
        self.dims = {}  # input -> list of sizes and symbols
        # A symbol may be 0 or 1 only where nothing broadcasts by it.
        self.has_small = self.random.random() < 0.15
        self.symbols = {name: int(self.pick([0, 1] if self.has_small else [2, 3, 5, 9, 31]))
                        for name in ("a", "b")}

    def pick(self, options):
        return options[int(self.random.integers(len(options)))]

    def name(self):
        return f"v{len(self.values)}"

    def draw(self, shape, dtype, low=-3.0, high=3.0):
        if dtype == np.bool_:
            return self.random.random(shape) < 0.5
        if np.issubdtype(dtype, np.integer):
            return np.asarray(self.random.integers(max(int(low), 0) if dtype == np.uint8 else int(low), int(high) + 1,
                                                   shape)).astype(dtype)
        return np.asarray(self.random.uniform(low, high, shape)).astype(dtype)

    def add_input(self, dtype=np.float32):
        rank = int(self.pick([0, 1, 2, 2, 3, 3, 4]))
        dims = [self.pick(list(self.symbols)) if self.random.random() < 0.4 else int(self.pick(SIZES))
                for _ in range(rank)]
        name = self.name()
        self.values[name] = self.draw([self.symbols.get(dim, dim) for dim in dims], dtype)
        self.dims[name] = dims
        self.inputs.append(name)
        return name

    def constant(self, array):
        name = self.name()
        self.values[name] = np.asarray(array)
        self.initializers.append(numpy_helper.from_array(self.values[name], name))
        return name

    def choose(self, *dtypes, rank=None):
        fitting = [name for name, value in self.values.items()
                   if value.dtype in dtypes and (rank is None or value.ndim in rank) and name not in self.constants()]
        if not fitting:
            raise Refused
        # Late values more often: deep graphs rather than broad ones.
        return fitting[-1] if self.random.random() < 0.5 else self.pick(fitting)

    def constants(self):
        return {tensor.name for tensor in self.initializers}

    def partner(self, name):
        """A value that broadcasts with `name`: another, or a constant made for it."""
        value = self.values[name]
        others = [other for other, array in self.values.items()
                  if array.dtype == value.dtype and array.shape == value.shape]
        if len(others) > 1 and self.random.random() < 0.5:
            return self.pick(others)
        if self.has_small:
            return self.pick(others)
        if value.dtype == np.float32 and self.random.random() < 0.5:
            # A 1 that is known, not what is left of a symbol.
            reduced = [n for n, array in self.values.items() if array.dtype == value.dtype and n in self.reduced
                       and array.ndim <= value.ndim and all(
                           s == t or s == 1 for s, t in zip(reversed(array.shape), reversed(value.shape)))]
            if reduced:
                return self.pick(reduced)
        drop = int(self.random.integers(value.ndim + 1))
        shape = [size if self.random.random() < 0.6 else 1 for size in value.shape[drop:]]
        # A symbol of an input is not known to be this size.
        shape = [1 if size in self.symbols.values() and size != 1 else size for size in shape]
        return self.constant(self.draw(shape, value.dtype))

    def add(self, op, inputs, outputs=1, **attributes):
        """Adds a node and computes it; Refused if the reference cannot."""
        names = [f"v{len(self.values) + i}" for i in range(outputs)]
        node = helper.make_node(op, inputs, names, name=f"{op.lower()}_{len(self.nodes)}", **attributes)
        feeds = {name: self.values[name] for name in inputs if name}
        graph = helper.make_graph(
            [node], "node",
            [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape) for n, v in feeds.items()],
            [helper.make_empty_tensor_value_info(n) for n in names])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                results = ReferenceEvaluator(model).run(None, feeds)
        except Exception as error:
            raise Refused from error
        if any(result is None or not isinstance(result, (np.ndarray, np.generic)) or result.size > 200000
               for result in results):
            raise Refused
        self.nodes.append(node)
        self.read.update(inputs)
        for name, result in zip(names, results):
            self.values[name] = np.asarray(result)
        return names[0]

    def model(self):
        leaves = [name for node in self.nodes for name in node.output if name not in self.read]
        outputs = [helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(self.values[name].dtype), [None] * self.values[name].ndim)
            for name in leaves]
        inputs = [helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(self.values[name].dtype), self.dims[name]) for name in self.inputs]
        graph = helper.make_graph(self.nodes, "fuzz", inputs, outputs, self.initializers)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10), leaves


UNARY = ["Abs", "Ceil", "Cos", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Mish", "Neg", "Relu",
         "Round", "Selu", "Sigmoid", "Sign", "Sin", "Softplus", "Softsign", "Tanh", "Elu", "Celu", "ThresholdedRelu",
         "Identity", "Swish"]
BINARY = ["Add", "Sub", "Mul", "Div", "Max", "Min", "PRelu"]
COMPARE = ["Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"]
REDUCE = ["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSumExp",
          "ReduceProd"]


def axis_of(g, name):
    rank = g.values[name].ndim
    if rank == 0:
        raise Refused
    return int(g.random.integers(-rank, rank))


def unary(g):
    op = g.pick([op for op in UNARY if op != "Swish" or OPSET >= 24])
    g.add(op, [g.choose(np.float32)])


def positive(g):
    magnitude = g.add("Abs", [g.choose(np.float32)])
    g.add(g.pick(["Sqrt", "Log", "Reciprocal"]), [g.add("Add", [magnitude, g.constant(np.float32(0.5))])])


def binary(g):
    lhs = g.choose(np.float32)
    g.add(g.pick(BINARY), [lhs, g.partner(lhs)])


def integer(g):
    lhs = g.choose(*INTEGERS)
    op = g.pick(["Add", "Sub", "Mul", "Div", "Mod", "Max", "Min", "Abs", "BitwiseAnd", "BitwiseXor", "Neg", "Sign"])
    if op in ("Abs", "Sign") or (op == "Neg" and g.values[lhs].dtype != np.uint8):
        g.add(op, [lhs])
        return
    rhs = g.partner(lhs)
    if op in ("Div", "Mod") and (np.any(g.values[rhs] == 0) or (op == "Div" and np.any(g.values[lhs] < 0))):
        raise Refused  # no defined result, or where evaluators differ: floor or truncate
    g.add(op if op != "Neg" else "Add", [lhs, rhs])


def compare(g):
    lhs = g.choose(np.float32, *INTEGERS)
    g.add(g.pick(COMPARE), [lhs, g.partner(lhs)])


def logic(g):
    lhs = g.choose(np.bool_)
    op = g.pick(["And", "Or", "Xor", "Not"])
    g.add(op, [lhs] if op == "Not" else [lhs, g.partner(lhs)])


def where(g):
    condition = g.choose(np.bool_)
    shape = g.values[condition].shape
    fitting = [n for n, v in g.values.items() if v.dtype == np.float32 and v.shape == shape]
    if not fitting:
        raise Refused
    g.add("Where", [condition, g.pick(fitting), g.constant(np.float32(g.pick([0, -1, 1e4])))])


def cast(g):
    source = g.choose(np.float32, np.bool_, *INTEGERS)
    value = g.values[source]
    to = g.pick([np.float32, np.bool_, *INTEGERS])
    if value.dtype == np.float32 and to != np.bool_:
        limit = 100 if to in (np.int8, np.uint8) else 1e6
        if not np.all(np.isfinite(value)) or np.any(np.abs(value) > limit) or (to == np.uint8 and np.any(value <= -1)):
            raise Refused  # no defined result
    g.add("Cast", [source], to=helper.np_dtype_to_tensor_dtype(np.dtype(to)))


def reduce(g):
    source = g.choose(np.float32)
    rank = g.values[source].ndim
    axes = sorted({int(g.random.integers(rank)) for _ in range(int(g.random.integers(1, 3)))}) if rank else []
    if any(g.values[source].shape[axis] == 0 for axis in axes) or (not axes and not g.values[source].size):
        raise Refused  # of nothing: no defined result for most
    op = g.pick(REDUCE)
    inputs = [source] + ([g.constant(np.array(axes, np.int64))] if axes else [])
    g.reduced.add(g.add(op, inputs, keepdims=int(g.random.integers(2))))


def rows(g):
    source = g.choose(np.float32, rank=(1, 2, 3, 4))
    value = g.values[source]
    op = g.pick(["Softmax", "LogSoftmax", "LpNormalization"])
    if op == "LogSoftmax" and value.size and not np.ptp(value) < 80:
        raise Refused  # the evaluator takes the logarithm of a softmax that is 0
    g.add(op, [source], axis=axis_of(g, source))


def norm(g):
    source = g.choose(np.float32, rank=(2, 3, 4))
    size = g.values[source].shape[-1]
    if size in g.symbols.values() or size == 0:
        raise Refused
    inputs = [source, g.constant(g.draw([size], np.float32))]
    op = g.pick(["LayerNormalization", "RMSNormalization"] if OPSET >= 23 else ["LayerNormalization"])
    if op == "LayerNormalization" and g.random.random() < 0.7:
        inputs.append(g.constant(g.draw([size], np.float32)))
    g.add(op, inputs, axis=-1)


def matmul(g):
    lhs = g.choose(np.float32, rank=(1, 2, 3, 4))
    size = g.values[lhs].shape[-1]
    if size in g.symbols.values():
        others = [n for n in g.values if g.values[n].dtype == np.float32 and g.values[n].ndim >= 2
                  and g.values[n].shape[-1] == size and g.values[n].ndim <= g.values[lhs].ndim
                  and g.values[n].shape[:-2] == g.values[lhs].shape[:-2]]
        if not others:
            raise Refused
        other = g.pick(others)
        perm = list(range(g.values[other].ndim))
        perm[-2:] = perm[:-3:-1]
        g.add("MatMul", [lhs, g.add("Transpose", [other], perm=perm)])
        return
    columns = int(g.pick(SIZES + [40, 65]))
    g.add("MatMul", [lhs, g.constant(g.draw([size, columns], np.float32, -1, 1))])


def gemm(g):
    lhs = g.choose(np.float32, rank=(2,))
    transposed = int(g.random.integers(2))
    size = g.values[lhs].shape[0 if transposed else 1]
    if size in g.symbols.values():
        raise Refused
    columns = int(g.pick(SIZES))
    inputs = [lhs, g.constant(g.draw([size, columns], np.float32)), g.constant(g.draw([columns], np.float32))]
    g.add("Gemm", inputs, transA=transposed, alpha=0.5, beta=float(g.pick([1.0, 0.25])))


def transpose(g):
    source = g.choose(np.float32, np.bool_, *INTEGERS)
    rank = g.values[source].ndim
    if rank == 0:
        raise Refused
    g.add("Transpose", [source], perm=[int(i) for i in g.random.permutation(rank)])


def reshape(g):
    source = g.choose(np.float32, *INTEGERS)
    shape = g.values[source].shape
    if not shape or 0 in shape:
        raise Refused
    kind = g.pick(["flatten", "copy", "split"])
    if kind == "flatten":
        sizes = [-1]
    elif kind == "copy":
        sizes = [0] * (len(shape) - 1) + [-1]
    elif shape[-1] % 2 == 0 and shape[-1] not in g.symbols.values():
        sizes = [0] * (len(shape) - 1) + [2, shape[-1] // 2]
    else:
        raise Refused
    g.add("Reshape", [source, g.constant(np.array(sizes, np.int64))])


def unsqueeze(g):
    source = g.choose(np.float32, np.bool_, *INTEGERS, rank=(0, 1, 2, 3))
    axis = int(g.random.integers(g.values[source].ndim + 1))
    axes = g.constant(np.array([axis], np.int64))
    result = g.add("Unsqueeze", [source, axes])
    if g.random.random() < 0.3:
        g.add("Squeeze", [result, axes])


def concat(g):
    first = g.choose(np.float32, np.int64)
    axis = axis_of(g, first)
    shape = g.values[first].shape
    fitting = [n for n, v in g.values.items() if v.dtype == g.values[first].dtype and v.ndim == len(shape)
               and all(i == axis % len(shape) or s == t for i, (s, t) in enumerate(zip(v.shape, shape)))]
    g.add("Concat", [first] + [g.pick(fitting) for _ in range(int(g.random.integers(1, 3)))], axis=axis)


def slice_(g):
    source = g.choose(np.float32, np.int64, np.bool_)
    axis = axis_of(g, source)
    start, end = (int(g.random.integers(-5, 6)) for _ in range(2))
    step = int(g.pick([1, 1, 1, 2, -1, -2]))
    if step < 0 and g.random.random() < 0.5:
        end = -(2**31)
    if step < 0 and start < -g.values[source].shape[axis]:
        raise Refused  # ONNX clamps such a start to the first element, the evaluator finds none
    inputs = [source] + [g.constant(np.array([x], np.int64)) for x in (start, end, axis, step)]
    g.add("Slice", inputs)


def split(g):
    source = g.choose(np.float32, np.int64)
    axis = axis_of(g, source)
    size = g.values[source].shape[axis]
    if size < 2 or size in g.symbols.values():
        raise Refused
    first = int(g.random.integers(1, size))
    g.add("Split", [source, g.constant(np.array([first, size - first], np.int64))], outputs=2, axis=axis)


def gather(g):
    source = g.choose(np.float32, np.int64)
    axis = axis_of(g, source)
    size = g.values[source].shape[axis]
    if size == 0:
        raise Refused
    shape = [int(s) for s in g.random.integers(1, 4, int(g.random.integers(3)))]
    indices = g.constant(np.asarray(g.random.integers(-min(size, 2), min(size, 2), shape), np.int64))
    g.add("Gather", [source, indices], axis=axis)


def expand(g):
    source = g.choose(np.float32, np.bool_, np.int64)
    shape = [1 if s in g.symbols.values() else s for s in g.values[source].shape]
    if g.has_small:
        raise Refused
    if g.random.random() < 0.5:
        shape = [int(g.pick([1, 2, 3]))] + shape
    g.add("Expand", [source, g.constant(np.array(shape, np.int64))])


def clip(g):
    g.add("Clip", [g.choose(np.float32), g.constant(np.float32(-1)), g.constant(np.float32(1.5))])


def power(g):
    source = g.add("Abs", [g.choose(np.float32)])
    g.add("Pow", [source, g.constant(np.float32(g.pick([0.5, 2, 3, 1.5])))])


def shape_arithmetic(g):
    """Reshape by sizes that the graph computes from another value's shape."""
    source = g.choose(np.float32, rank=(1, 2, 3))
    if 0 in g.values[source].shape:
        raise Refused
    first = g.add("Slice", [g.add("Shape", [source]), g.constant(np.array([0], np.int64)),
                            g.constant(np.array([1], np.int64))])
    sizes = g.add("Concat", [first, g.constant(np.array([-1], np.int64))], axis=0)
    g.add("Reshape", [source, sizes])


def trilu(g):
    g.add("Trilu", [g.choose(np.float32, np.int64, rank=(2, 3)), g.constant(np.int64(g.random.integers(-2, 3)))],
          upper=int(g.random.integers(2)))


OPERATORS = [unary, unary, unary, positive, binary, binary, binary, integer, compare, logic, where, cast, reduce, reduce,
             rows, norm, matmul, matmul, gemm, transpose, reshape, unsqueeze, concat, slice_, split, gather, expand, clip,
             power, shape_arithmetic, trilu]


def make_graph(seed):
    g = Graph(seed)
    for _ in range(int(g.random.integers(1, 4))):
        g.add_input(np.float32)
    if g.random.random() < 0.5:
        g.add_input(g.pick(INTEGERS + [np.bool_]))
    wanted = int(g.random.integers(2, 13))
    for _ in range(wanted * 8):
        try:
            g.pick(OPERATORS)(g)
        except Refused:
            continue
        if len(g.nodes) >= wanted:
            break
    return g


def reference(model, feeds):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [np.asarray(value) for value in ReferenceEvaluator(model).run(None, feeds)]


def differs(found, wanted):
    """Where two arrays differ by more than rounding."""
    if found.dtype == np.bool_ or not np.issubdtype(wanted.dtype, np.floating):
        return found != wanted
    finite = wanted[np.isfinite(wanted)]
    scale = float(np.max(np.abs(finite))) if finite.size else 0.0
    with np.errstate(invalid="ignore"):
        return ~np.isclose(found, wanted, rtol=1e-4, atol=1e-5 * max(1.0, scale), equal_nan=True)


def unexplained(model, feeds, found, wanted, seed):
    """Names what differs and stays so when the inputs change in their last bits."""
    random = np.random.default_rng(seed)
    bad = [differs(f, w) for f, w in zip(found, wanted)]
    if not any(b.any() for b in bad):
        return None
    for _ in range(6):
        shaken = {name: (value * (1 + random.uniform(-3e-6, 3e-6, value.shape))).astype(value.dtype)
                  if value.dtype == np.float32 else value for name, value in feeds.items()}
        bad = [b & ~differs(again, w) for b, again, w in zip(bad, reference(model, shaken), wanted)]
    worst = [i for i, b in enumerate(bad) if b.any()]
    if not worst:
        return None
    i = worst[0]
    at = tuple(np.argwhere(bad[i])[0])
    return f"output {model.graph.output[i].name} at {list(map(int, at))}: {found[i][at]} instead of {wanted[i][at]}"


def run_seed(seed, tool, keep):
    """Returns (verdict, text) of one seed."""
    g = make_graph(seed)
    if not g.nodes:
        return "empty", ""
    model, leaves = g.model()
    feeds = {name: g.values[name] for name in g.inputs}
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tenon-fuzz"))
    verdict, text = "crash", ""
    try:
        onnx.save(model, folder / "model.onnx")
        data = folder / "test_data_set_0"
        data.mkdir()
        for i, name in enumerate(g.inputs):
            (data / f"input_{i}.pb").write_bytes(numpy_helper.from_array(feeds[name], name).SerializeToString())
        wanted = reference(model, feeds)
        for i, (name, value) in enumerate(zip(leaves, wanted)):
            (data / f"output_{i}.pb").write_bytes(numpy_helper.from_array(value, name).SerializeToString())
        (folder / "out").mkdir()
        try:
            done = subprocess.run([tool, "run", folder / "model.onnx", "--data-set", data, "--output", folder / "out"],
                                  capture_output=True, text=True, timeout=120)
        except subprocess.TimeoutExpired:
            verdict, text = "crash", "took more than two minutes"
            return verdict, text
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            verdict = {3: "refused", 1: "error"}.get(done.returncode, "crash")
            text = f"exit {done.returncode}: {last}"
            return verdict, text
        found = []
        for i in range(len(leaves)):
            tensor = TensorProto()
            tensor.ParseFromString((folder / f"out/output_{i}.pb").read_bytes())
            found.append(numpy_helper.to_array(tensor))
        for f, w, name in zip(found, wanted, leaves):
            if f.shape != w.shape or f.dtype != w.dtype:
                verdict, text = "differs", f"output {name}: {f.dtype}{f.shape} instead of {w.dtype}{w.shape}"
                return verdict, text
        text = unexplained(model, feeds, found, wanted, seed)
        verdict = "differs" if text else "same"
        return verdict, text or ""
    finally:
        if keep and verdict not in ("same", "empty"):
            shutil.copytree(folder, pathlib.Path(keep) / str(seed), dirs_exist_ok=True)
        shutil.rmtree(folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--count", type=int, default=100, help="how many seeds")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many at a time")
    parser.add_argument("--keep", help="folder for the models that differ")
    parser.add_argument("--tenon", default=str(pathlib.Path(__file__).parents[2] / "build/release/bin/tenon"))
    arguments = parser.parse_args()
    counts = {}
    with concurrent.futures.ProcessPoolExecutor(arguments.jobs) as pool:
        seeds = range(arguments.first, arguments.first + arguments.count)
        results = pool.map(run_seed, seeds, [arguments.tenon] * len(seeds), [arguments.keep] * len(seeds), chunksize=4)
        for number, (seed, (verdict, text)) in enumerate(zip(seeds, results), 1):
            counts[verdict] = counts.get(verdict, 0) + 1
            if verdict not in ("same", "empty"):
                print(f"seed {seed}: {verdict}: {text}", flush=True)
            if number % 100 == 0 and sys.stderr.isatty():
                print(f"{number} of {len(seeds)}", file=sys.stderr)
    print(", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items())))
    return 1 if set(counts) - {"same", "empty"} else 0


if __name__ == "__main__":
    sys.exit(main())
