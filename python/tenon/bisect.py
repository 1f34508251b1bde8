"""Finds the node and the phase that make a number wrong: `tenon check --bisect`.

    python3 -m tenon.bisect model.onnx --data-set DIR [-- OPTIONS OF tenon compile]
    python3 -m tenon.bisect 1-import.mlir             [-- OPTIONS OF tenon compile]

A model is compared with the ONNX reference evaluator, first its outputs, then the
value of each node. The module that each phase wrote is executed, so that the first
phase whose module gives other outputs is known. A module (.mlir) is compared with
its own execution, on inputs made up where there is no data set. Exits with 0 if the
outputs agree, 1 if they do not, 2 if that could not be found out.
"""
import argparse
import pathlib
import sys
import tempfile

import numpy as np

from ._compiler import compile_with
from ._error import Error
from ._interpreter import Interpreter
from ._session import Session

PHASES = ("import", "simplify", "compress", "fuse", "schedule", "plan")


class Tolerance:
    def __init__(self, absolute, relative):
        self.absolute, self.relative = absolute, relative

    def compare(self, reference, value):
        """What differs, as a Difference."""
        return Difference(np.asarray(reference), np.asarray(value), self)

    def __str__(self):
        return f"{self.absolute:g} + {self.relative:g} * |reference|"


class Difference:
    """Of two arrays; true if they differ by more than the tolerance. Integers must
    be equal, and a NaN is equal to a NaN."""

    def __init__(self, reference, value, tolerance):
        self.reference, self.value = reference, value
        self.error, self.count = 0.0, 0
        self.other = None
        if reference.shape != value.shape or \
                (reference.dtype != value.dtype and reference.dtype.kind != "V"):
            self.other = (f"is {value.dtype} {list(value.shape)}, the reference "
                          f"{reference.dtype} {list(reference.shape)}")
            return
        if reference.dtype.kind not in "fVbiu" or not reference.size:
            return
        a, b = reference.astype(np.float64), value.astype(np.float64)
        with np.errstate(invalid="ignore"):
            error = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0, np.abs(a - b))
        error = np.where(np.isnan(error), np.inf, error)
        exact = reference.dtype.kind in "biu"
        limit = 0 if exact else tolerance.absolute + tolerance.relative * np.abs(a)
        over = error > np.where(np.isfinite(limit), limit, 0)
        self.count = int(over.sum())
        self.error = float(error.max())
        self.place = np.unravel_index(np.argmax(np.where(over, error, -1)), error.shape)

    def __bool__(self):
        return bool(self.other or self.count)

    def __str__(self):
        if self.other:
            return self.other
        text = f"largest error {self.error:.3g}"
        if self.count:
            at = [int(i) for i in self.place]
            text += (f" at {at} (reference {self.reference[self.place]:.9g}, got "
                     f"{self.value[self.place]:.9g}), {self.count} of "
                     f"{self.value.size} elements are wrong")
        return text

    def around(self):
        """The elements beside the worst one, in its line, as two rows of text."""
        if self.other or not self.value.ndim:
            return []
        line, at = self.place[:-1], self.place[-1]
        part = slice(max(0, at - 2), at + 3)
        return [f"    {name:<9} " + " ".join(f"{x:>13.6g}" for x in array[line][part].astype(float))
                for name, array in (("reference", self.reference), ("got", self.value))]


def import_cut():
    """What reads ONNX; a module (.mlir) alone needs none of it."""
    try:
        from . import _cut
    except ImportError as error:
        raise Error("check --bisect needs the Python package onnx for models and data "
                    f"sets ({error}); --python names a Python that has it") from None
    return _cut


def run_artifact(path, inputs):
    session = Session(path)
    given = {v.name: inputs[v.name] for v in session.inputs}
    return dict(zip((v.name for v in session.outputs), session.run(given)))


def compare_all(expected, found, tolerance):
    return {name: tolerance.compare(expected[name], value)
            for name, value in found.items() if name in expected}


def worst(differences):
    return max(differences.values(), key=lambda d: (bool(d.other), d.count > 0, d.error),
               default=None)


def read_data_set(folder, names, kind="input"):
    """The arrays of input_0.pb, input_1.pb, …, for these names in order."""
    _cut, arrays = import_cut(), {}
    for number, name in enumerate(names):
        path = pathlib.Path(folder) / f"{kind}_{number}.pb"
        if not path.exists():
            raise Error(f"{path} is missing: it has the values of {kind} {name!r}")
        arrays[name] = _cut.read_tensor(path)
    return arrays


def make_inputs(module, seed=0):
    """Arrays for the inputs of a module: sizes that are small and differ, floats
    around zero, and integers that are indices of whatever is there, 0 or 1."""
    random = np.random.default_rng(seed)
    sizes, inputs = {}, {}
    for name, dims, kind in zip(module.inputs, module.dims, module.input_types):
        shape = [size if size is not None else
                 dim if isinstance(dim, int) else sizes.setdefault(dim, 3 + len(sizes))
                 for dim, size in zip(dims or kind.shape, kind.shape)]
        if kind.dtype.kind in "fV":
            inputs[name] = random.standard_normal(shape).astype(kind.dtype)
        else:
            inputs[name] = random.integers(0, 2, shape).astype(kind.dtype)
    return inputs


def find_phase(folder, first, inputs, expected, artifact, tolerance):
    """Executes what each phase wrote, from `first` on, and prints how far its outputs
    are from those expected, up to the first phase that is wrong."""
    print("\nphase       outputs of the module that it wrote, executed")
    before = {}
    for phase in PHASES[PHASES.index(first):]:
        path = folder / f"{PHASES.index(phase) + 1}-{phase}.mlir"
        values, order = {}, []

        def seen(op, results):
            name = op.attributes.get("tenon.id")
            if op.name == "plan.launch":  # its last buffer is what it writes
                grid, buffers, _ = op["operandSegmentSizes"]
                results = results[grid + buffers - 1:]
            if name and results:
                order.append((name, op))
                values[name] = np.array(results[0])

        try:
            outputs = Interpreter(path).run(inputs, seen)
        except (Error, ArithmeticError, LookupError, TypeError, ValueError) as error:
            print(f"  {phase:<9} could not be executed: {error}")
            before = {}
            continue
        difference = worst(compare_all(expected, outputs, tolerance))
        print(f"  {phase:<9} {difference}", flush=True)
        if difference:
            for name, op in order:
                if name not in before or before[name].shape != values[name].shape:
                    continue
                change = tolerance.compare(before[name], values[name])
                if change:
                    kernel = op.attributes.get("kernel") or op.attributes.get("name")
                    print(f"  first at  {op.name}{' ' + kernel if kernel else ''} of "
                          f"'{name}': {change}")
                    break
            return phase
        before = values
    print(f"  emit      {worst(compare_all(expected, artifact, tolerance))}")
    return "emit"


def report_node(model, values, inputs, options, folder, tolerance):
    """Prints the first node whose value differs from the reference's."""
    _cut = import_cut()
    wrong = _cut.first_difference(model, values, inputs, options, folder, tolerance)
    if not wrong:
        print("\nno single node: where the values of all nodes are kept, all agree; so "
              "the error needs nodes that are compiled to one")
        found = _cut.shortest_wrong(model, values, inputs, options, folder, tolerance)
        if found:
            node, name, difference = found
            print(f"the model up to node '{_cut.title(node)}' ({node.op_type}) is the "
                  f"shortest that is wrong: value '{name}' {difference}")
            print(*difference.around(), sep="\n")
        return
    node, name, difference, others = wrong
    print(f"\nfirst node whose value differs: '{_cut.title(node)}' ({node.op_type}), "
          f"value '{name}'\n    {difference}")
    print(*difference.around(), sep="\n")
    for other, its in others.items():
        print(f"    input '{other}' {'agrees' if its is None else its}")
    alone = _cut.alone(model, node, values, options, folder, tolerance)
    if alone is not None:
        print("    by itself, on the reference's inputs, the node is "
              + (f"wrong too: {alone}" if alone else "right"))


def bisect_model(path, data_set, options, folder, tolerance, outputs_only):
    if not data_set:
        raise Error("check --bisect MODEL.onnx needs --data-set DIR, a folder with "
                    "input_0.pb, input_1.pb, ...")
    model = import_cut().Model(path)
    inputs = read_data_set(data_set, model.inputs)
    artifact = folder / "model.so"
    compile_with(path, artifact, [f"--dump-phases={folder / 'phases'}", *options])
    outputs = run_artifact(artifact, inputs)
    try:
        values, knows_nodes = model.evaluate(inputs), True
    except Error as error:  # of another domain than ONNX's, say
        values, knows_nodes = read_data_set(data_set, model.outputs, "output"), False
        print(f"note: {error}; so the outputs are compared with the data set's, and no "
              "node can be named", file=sys.stderr)
    if not report_outputs(values, outputs, tolerance):
        return 0
    if outputs_only:
        return 1
    if knows_nodes:
        report_node(model, values, inputs, options, folder, tolerance)
    phase = find_phase(folder / "phases", "import", inputs, values, outputs, tolerance)
    print(f"\nphase '{phase}' makes it differ")
    return 1


def report_outputs(expected, outputs, tolerance):
    """Prints what differs. True if anything does."""
    differences = compare_all(expected, outputs, tolerance)
    wrong = {name: d for name, d in differences.items() if d}
    for name, difference in wrong.items():
        print(f"output '{name}' {difference}")
    if not wrong:
        print(f"all {len(outputs)} outputs agree with the reference within {tolerance}: "
              f"{worst(differences)}")
    return bool(wrong)


def bisect_module(path, data_set, options, folder, tolerance, outputs_only):
    module = Interpreter(path)
    inputs = read_data_set(data_set, module.inputs) if data_set else make_inputs(module)
    expected = module.run(inputs)
    artifact = folder / "model.so"
    compile_with(path, artifact, [f"--dump-phases={folder / 'phases'}", *options])
    outputs = run_artifact(artifact, inputs)
    if not report_outputs(expected, outputs, tolerance):
        return 0
    if outputs_only:
        return 1
    after = PHASES.index(module.phase) + 1
    if after < len(PHASES):
        phase = find_phase(folder / "phases", PHASES[after], inputs, expected, outputs,
                           tolerance)
    else:
        phase = "emit"
    print(f"\nphase '{phase}' makes it differ")
    return 1


def main(arguments):
    own, options = arguments, []
    if "--" in arguments:
        at = arguments.index("--")
        own, options = arguments[:at], arguments[at + 1:]
    parser = argparse.ArgumentParser(prog="tenon check --bisect")
    parser.add_argument("model")
    parser.add_argument("--data-set")
    parser.add_argument("--atol", type=float, default=1e-4)
    parser.add_argument("--rtol", type=float, default=1e-4)
    parser.add_argument("--outputs-only", action="store_true",
                        help="only say whether the outputs agree")
    given = parser.parse_args(own)
    tolerance = Tolerance(given.atol, given.rtol)
    run = bisect_module if given.model.endswith(".mlir") else bisect_model
    with tempfile.TemporaryDirectory(prefix="tenon-") as folder:
        try:
            return run(given.model, given.data_set, options, pathlib.Path(folder), tolerance,
                       given.outputs_only)
        except Error as error:
            print(f"error: {error}", file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
