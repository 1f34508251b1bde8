"""Runs the module that a phase wrote, op by op, on numpy arrays.

The reference that the phases are compared with: written for clearness from the
descriptions of the ops, and sharing nothing with the compiler but the text. What
schedule and plan write is loops over vectors, which run slowly here: a second for
about a million operations of the model.
"""
import pathlib
import subprocess

import numpy as np

from . import _loop_ops
from ._compiler import find_compiler
from ._error import Error
from ._mlir import ShapedType, parse

_OPS = _loop_ops.OPS


class Interpreter:
    """`path` is a module that a phase wrote, or a text in generic form."""

    def __init__(self, path):
        path = pathlib.Path(path)
        optimizer = pathlib.Path(find_compiler()).with_name("tenon-opt")
        done = subprocess.run([str(optimizer), "--mlir-print-op-generic", str(path)],
                              capture_output=True, text=True)
        if done.returncode:
            raise Error(done.stderr.strip() or f"tenon-opt cannot read {path}")
        module = parse(done.stdout)
        self.functions = {op["sym_name"]: op for op in module.regions[0][0].ops
                          if op.name == "func.func"}
        if "main" not in self.functions:
            raise Error(f"{path} has no function @main")
        self.main = self.functions["main"]
        self.phase = module.attributes.get("tenon.phase")
        # Where the files with weights are.
        self.folder = pathlib.Path(module.attributes.get("tenon.folder", path.parent))
        self.symbols = {}
        arguments = self.main.attributes.get("arg_attrs", [])
        kinds, results = self.main["function_type"]
        self.is_plan = not results
        count = len([a for a in arguments if "tenon.output" not in a])
        named = self.main.attributes.get("res_attrs", [{}] * len(results))
        if self.is_plan:
            named = arguments[count:]
        self.inputs = [a.get("tenon.name", str(i))
                       for i, a in enumerate(arguments[:count])]
        self.outputs = [a.get("tenon.name", str(i)) for i, a in enumerate(named)]
        # From fuse on types have no sign, which the attribute keeps.
        self.are_unsigned = ["tenon.unsigned" in a for a in named]
        self.dims = [a.get("tenon.dims", []) for a in arguments[:count]]
        self.elements = [a.get("tenon.elements", []) for a in arguments[:count]]
        self.input_types = [ShapedType(kind) for kind in kinds[:count]]
        self.output_types = [ShapedType(kind) for kind in results or kinds[count:]]

    def run(self, inputs, seen=lambda op, values: None):
        """The outputs, by name. `inputs` maps names to arrays; `seen` hears of
        each op at the top of the function, and of the arrays that it gave, or
        that a launch was given."""
        values = {}
        block = self.main.regions[0][0]
        for name, dims, elements, kind, argument in zip(
                self.inputs, self.dims, self.elements, self.input_types, block.arguments):
            if name not in inputs:
                raise Error(f"input {name!r} is not set")
            array = np.asarray(inputs[name])
            if array.ndim != len(kind.shape) or array.dtype != _unsigned(kind, array):
                raise Error(f"input {name!r} must be {kind.element} with "
                            f"{len(kind.shape)} dimensions, is {array.dtype} "
                            f"with {array.ndim}")
            values[argument] = array.view(kind.dtype)
            for dim, size in zip(dims, array.shape):
                if isinstance(dim, str):
                    self.symbols[dim] = size
            for symbol, element in zip(elements, array.reshape(-1)):
                self.symbols[symbol] = int(element)
        with np.errstate(all="ignore"):
            if self.is_plan:
                return self.run_plan(block, values, seen)
            results = self.block(block, values, seen)
        return self.named(results)

    def named(self, results):
        """The outputs by name, those that are unsigned as such."""
        signed = (np.asarray(r).view(f"u{r.dtype.itemsize}") if unsigned else r
                  for r, unsigned in zip(results, self.are_unsigned))
        return dict(zip(self.outputs, signed))

    def run_plan(self, block, values, seen):
        """The function of a plan writes to its last arguments."""
        _loop_ops.place_slices(self, self.main, dict(values))
        sizes, counted = {}, {}
        known = dict(values)
        for op in block.ops:
            if op.name.startswith("arith.") or op.name == "plan.symbol":
                if all(name in known for name in op.operands):
                    known.update(zip(op.results, self.op(
                        op, [known[name] for name in op.operands], known)))
            elif op.name == "plan.output":
                buffer, most, counts = _loop_ops.segments(op, op.operands)
                sizes[buffer[0]] = [known[name] for name in most]
                if counts:
                    counted[buffer[0]] = counts
        outputs = block.arguments[len(self.inputs):]
        for name, kind in zip(outputs, self.output_types):
            shape = _loop_ops.sized(kind, sizes.get(name, ()))
            values[name] = _loop_ops.undefined(shape, kind.dtype)
        self.block(block, values, seen)
        results = []
        for name, kind in zip(outputs, self.output_types):
            result = values[name]
            if name in counted:
                shape = _loop_ops.sized(kind, [values[n] for n in counted[name]])
                result = result.reshape(-1)[:int(np.prod(shape))].reshape(shape)
            results.append(result)
        return self.named(results)

    def block(self, block, values, seen=None):
        """Runs a block and returns what its terminator passes on."""
        for op in block.ops:
            if op.name == "plan.section":  # what order its launches run in is all one
                self.block(op.regions[0][0], values, seen)
                continue
            operands = [values[name] for name in op.operands]
            if op.name in ("func.return", "kernel.yield", "scf.yield",
                           "linalg.yield", "scf.condition"):
                return operands
            results = self.op(op, operands, values)
            for name, result in zip(op.results, results):
                values[name] = result
            if seen:
                seen(op, operands if op.name == "plan.launch" else results)
        return []

    def region(self, blocks, arguments, values):
        """Runs the only block of a region that sees `values` around it."""
        inner = dict(values)
        inner.update(zip(blocks[0].arguments, arguments))
        return self.block(blocks[0], inner)

    def op(self, op, operands, values):
        if op.name not in _OPS:
            raise Error(f"the interpreter has no {op.name}")
        results = _OPS[op.name](self, op, operands, values)
        return results if isinstance(results, (list, tuple)) else [results]


def _unsigned(kind, array):
    """The kernel dialect has no unsigned integers: what is given keeps its bits."""
    if array.dtype.kind == "u" and array.dtype.itemsize == kind.dtype.itemsize:
        return array.dtype
    return kind.dtype
