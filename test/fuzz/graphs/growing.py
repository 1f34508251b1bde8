"""A graph that grows node by node, with the values of several runs beside it.

Each run has its own sizes for the graph's symbols. Every value is known in every
run, so operators choose operands that fit in all of them.
"""
import numpy as np
from onnx import helper, numpy_helper

from .nodes import (BF16, BOOL, F16, F32, F64, FLOATS, I64, INTEGERS, LARGEST, Node, Refused, allowed, is_float,
                    proto_type, schema, type_info)

SIZES = [1, 2, 3, 4, 5, 7, 8, 16, 17, 33]
LARGE = [48, 64, 100, 130, 257]  # more than a vector, a panel or a tile
RUNS = 3
OPSETS = [13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28]
MICROSOFT = "com.microsoft"


def to_tensor(array, name):
    array = np.ascontiguousarray(array).reshape(array.shape)
    return helper.make_tensor(name, proto_type(array.dtype), array.shape, array.tobytes(), raw=True) \
        if array.dtype == BF16 else numpy_helper.from_array(array, name)


class Graph:
    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        self.opset = int(self.pick(OPSETS))
        self.float = self.pick([F32] * 6 + [F16, BF16, F64])
        self.nodes, self.initializers, self.inputs = [], {}, {}
        self.runs = [{} for _ in range(RUNS)]
        self.types = {}
        self.results = []  # names of what nodes give
        self.read = set()
        # Empty graphs are rare: most operators have no result for nothing.
        sizes = [0, 1, 2, 3] if self.random.random() < 0.1 else [1, 2, 3, 5, 6, 9, 17, 31]
        self.symbols = {}
        for name in ("a", "b", "c"):
            while name not in self.symbols or len(set(self.symbols[name])) == 1:
                self.symbols[name] = tuple(int(self.pick(sizes)) for _ in range(RUNS))

    def chance(self, probability):
        return self.random.random() < probability

    def pick(self, options):
        if not len(options):
            raise Refused
        return options[int(self.random.integers(len(options)))]

    def number(self, low, high):
        """An integer from low to high, which are among them."""
        return int(self.random.integers(low, high + 1))

    def draw(self, shape, dtype, low=-3.0, high=3.0):
        dtype = np.dtype(dtype)
        if dtype == BOOL:
            return np.asarray(self.random.random(shape) < 0.5)
        if not is_float(dtype):
            low = max(int(low), 0) if dtype.kind == "u" else int(low)
            return np.asarray(self.random.integers(low, max(int(high), low) + 1, shape)).astype(dtype)
        values = np.asarray(self.random.uniform(low, high, shape))
        if self.chance(0.15):
            values = np.round(values)  # ties, and operands that are equal
        return values.astype(dtype)

    # What is known of values.

    def shapes(self, name):
        return [run[name].shape for run in self.runs]

    def rank(self, name):
        return self.runs[0][name].ndim

    def dim(self, name, axis):
        """The size of a dimension, the symbol that it is in all runs, or None."""
        sizes = tuple(shape[axis] for shape in self.shapes(name))
        if len(set(sizes)) == 1:
            return sizes[0]
        return next((symbol for symbol, known in self.symbols.items() if known == sizes), None)

    def dims(self, name):
        return [self.dim(name, axis) for axis in range(self.rank(name))]

    def size(self, name, axis):
        """A size that is the same in all runs, or Refused."""
        size = self.dim(name, axis)
        if not isinstance(size, int):
            raise Refused
        return size

    def axis(self, name):
        rank = self.rank(name)
        if rank == 0:
            raise Refused
        return self.number(-rank, rank - 1)

    def everything(self, name, holds):
        return all(holds(run[name]) for run in self.runs)

    # What a node reads.

    def choose(self, types=None, rank=None, fits=None):
        """A value that a node or an input gives, late ones more often."""
        fitting = [name for name in [*self.inputs, *self.results]
                   if (types is None or self.types[name] in types) and (rank is None or self.rank(name) in rank)
                   and (fits is None or fits(name))]
        if not fitting:
            raise Refused
        return fitting[-1] if self.chance(0.4) else self.pick(fitting)

    def choose_float(self, op=None, rank=None, fits=None):
        types = FLOATS if op is None else [t for t in allowed(op, self.opset) if is_float(t)]
        return self.choose(types, rank, fits)

    def choose_for(self, op, rank=None, fits=None):
        return self.choose(allowed(op, self.opset), rank, fits)

    def alike(self, name):
        """Values of the type and the sizes of this one."""
        return [other for other in [*self.inputs, *self.results]
                if self.types[other] == self.types[name] and self.shapes(other) == self.shapes(name)]

    def partner(self, name):
        """An operand that broadcasts with `name`."""
        alike = self.alike(name)
        if len(alike) > 1 and self.chance(0.5):
            return self.pick(alike)
        if self.chance(0.3):
            smaller = [n for n in [*self.inputs, *self.results]
                       if self.types[n] == self.types[name] and self.broadcasts(n, name)]
            if smaller:
                return self.pick(smaller)
        dims = self.dims(name)[self.number(0, self.rank(name)):]
        dims = [dim if dim is not None and self.chance(0.6) else 1 for dim in dims]
        return self.operand(dims, self.types[name])

    def broadcasts(self, smaller, larger):
        """Whether that is so for the same dimensions in all runs."""
        if self.rank(smaller) > self.rank(larger):
            return False
        sizes = zip(reversed([*zip(*self.shapes(smaller))]), reversed([*zip(*self.shapes(larger))]))
        return all(own == other or set(own) == {1} for own, other in sizes)

    def add_input(self, dtype, dims=None, low=-3.0, high=3.0):
        if dims is None:
            rank = self.pick([0, 1, 2, 2, 3, 3, 3, 4])
            dims = [self.pick(list(self.symbols)) if self.chance(0.4) else self.pick(SIZES) for _ in range(rank)]
            if rank in (1, 2) and self.chance(0.2):
                dims[self.number(0, rank - 1)] = self.pick(LARGE)
        if any(dim is None for dim in dims):
            raise Refused
        arrays = [self.draw([self.symbols[d][i] if isinstance(d, str) else d for d in dims], dtype, low, high)
                  for i in range(RUNS)]
        if any(array.size > 20000 for array in arrays):
            raise Refused
        name = f"x{len(self.types)}"
        for run, array in zip(self.runs, arrays):
            run[name] = array
        self.types[name], self.inputs[name] = np.dtype(dtype), dims
        return name

    def constant(self, array, dtype=None):
        array = np.asarray(array) if dtype is None else np.asarray(array).astype(dtype)
        name = f"c{len(self.types)}"
        self.types[name], self.initializers[name] = array.dtype, array
        for run in self.runs:
            run[name] = array
        return name

    def integers(self, *values):
        return self.constant(np.array(values, np.int64))

    def operand(self, dims, dtype, low=-3.0, high=3.0):
        """A weight of these sizes, or an input: where symbols are among them, always."""
        if any(not isinstance(dim, int) for dim in dims) or self.chance(0.25):
            return self.add_input(dtype, list(dims), low, high)
        return self.constant(self.draw(dims, dtype, low, high))

    # Nodes.

    def add(self, op, inputs, outputs=1, domain="", varies=None, **attributes):
        """Adds a node and computes it in all runs. Returns its result, or a list of several.

        `varies` is a dimension whose size data decides: it must not be the same in all runs, as what is 1 by
        chance does not broadcast (docs/decisions/0008).
        """
        if domain == "":
            schema(op, self.opset)
        names = [f"v{len(self.types) + i}" for i in range(outputs)]
        proto = helper.make_node(op, inputs, names, name=f"{op.lower()}_{len(self.nodes)}", domain=domain, **attributes)
        ranks = {name: value.ndim for name, value in self.runs[0].items()}
        node = Node(proto, self.types, self.opsets(), ranks)
        # ONNX would take another dimension's size for one that is 0 in a run; Tenon, what the graph computes.
        if op == "Reshape" and inputs[1] not in self.initializers and any(np.any(run[inputs[1]] == 0) for run in self.runs):
            raise Refused
        results = [node.run({n: run[n] for n in node.reads}) for run in self.runs]
        if varies is not None and len({found[0].shape[varies] for found in results}) == 1:
            raise Refused
        for run, found in zip(self.runs, results):
            feeds = [run[n] for n in node.reads]
            for result, dtype in zip(found, node.types):
                if result.size > 20000 or result.ndim > 6:
                    raise Refused
                if is_float(dtype) and not finite(result, dtype) and all(
                        finite(f, f.dtype) for f in feeds if is_float(f.dtype)):
                    raise Refused  # overflows, and a fused kernel may not
        self.nodes.append(node)
        self.read.update(node.reads)
        for i, (name, dtype) in enumerate(zip(names, node.types)):
            self.types[name] = dtype
            self.results.append(name)
            for run, found in zip(self.runs, results):
                run[name] = found[i]
        return names[0] if outputs == 1 else names

    def opsets(self):
        return [helper.make_opsetid("", self.opset), helper.make_opsetid(MICROSOFT, 1)]

    def outputs(self):
        """What nothing reads, and now and then what is read as well."""
        chosen = np.random.default_rng(len(self.results))
        return [name for name in self.results if name not in self.read or chosen.random() < 0.15]


def finite(array, dtype):
    return bool(np.all(np.abs(array.astype(F64)) <= LARGEST[np.dtype(dtype)]))


def make_model(nodes, inputs, types, initializers, outputs, ranks, opsets):
    """`inputs` maps names to dims."""
    used = {n for node in nodes for n in node.reads}
    graph = helper.make_graph(
        [node.proto for node in nodes], "fuzz",
        [type_info(name, types[name], dims) for name, dims in inputs.items()],
        [type_info(name, types[name], [None] * ranks[name]) for name in outputs],
        [to_tensor(array, name) for name, array in initializers.items() if name in used])
    domains = {node.proto.domain for node in nodes}
    return helper.make_model(graph, opset_imports=[o for o in opsets if o.domain in domains | {""}],
                             ir_version=8 if opsets[0].version < 21 else 10)
