"""Parts of an ONNX model, and the values of its nodes: what bisect compiles."""
import os
import pathlib
import shutil

import numpy as np
import onnx
from onnx import helper

from ._compiler import compile_with
from ._error import Error


def read_tensor(path):
    """The array in a file with a TensorProto. Raises Error."""
    try:
        return onnx.numpy_helper.to_array(onnx.load_tensor(str(path)))
    except Exception as error:  # of protobuf, of the operating system
        raise Error(f"cannot read {path}: {error}") from None


def title(node):
    """A node's name, or that of its first value."""
    return node.name or next(name for name in node.output if name)


class Model:
    """A model and where its external data is."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        try:
            self.proto = onnx.load(path, load_external_data=False)
        except Exception as error:  # of protobuf, of the operating system
            raise Error(f"cannot read {path}: {error}") from None
        constants = {t.name for t in self.proto.graph.initializer}
        constants |= {t.values.name for t in self.proto.graph.sparse_initializer}
        self.inputs = [i.name for i in self.proto.graph.input if i.name not in constants]
        self.outputs = [o.name for o in self.proto.graph.output]
        self.constants = constants
        self.nodes = self.proto.graph.node

    def evaluate(self, inputs):
        """The values of all nodes at the top of the graph, by name."""
        from onnx.reference import ReferenceEvaluator
        try:
            evaluator = ReferenceEvaluator(str(self.path))
            return evaluator.run(None, inputs, intermediate=True)
        except Exception as error:  # whatever an op's function raises
            raise Error("the reference evaluator of ONNX cannot run this model: "
                        f"{type(error).__name__}: {error}") from None

    def save(self, folder, nodes, inputs, outputs):
        """Writes a model of these nodes; inputs and outputs are arrays by name."""
        folder.mkdir(exist_ok=True)
        model = onnx.ModelProto()
        model.CopyFrom(self.proto)
        graph = model.graph
        del graph.node[:], graph.output[:], graph.value_info[:]
        graph.node.extend(nodes)
        if inputs is not None:
            kept = [i for i in graph.input if i.name in inputs]
            known = {i.name for i in kept}
            kept += [_info(name, array) for name, array in inputs.items()
                     if name not in known]
            del graph.input[:]
            graph.input.extend(kept)
            used = {name for n in nodes for name in _reads(n)}
            initializers = [t for t in graph.initializer if t.name in used]
            del graph.initializer[:]
            graph.initializer.extend(initializers)
        declared = {o.name: o for o in self.proto.graph.output}
        graph.output.extend(declared.get(name) or _info(name, array, shape=False)
                            for name, array in outputs.items())
        for tensor in graph.initializer:
            for entry in tensor.external_data:
                if entry.key == "location":
                    _bring(self.path.parent / entry.value, folder / entry.value)
        onnx.save(model, folder / "model.onnx")
        return folder / "model.onnx"


def _info(name, array, shape=True):
    kind = helper.np_dtype_to_tensor_dtype(array.dtype)
    return helper.make_tensor_value_info(name, kind, array.shape if shape else None)


def _reads(node):
    """Names that a node or its subgraphs use."""
    yield from node.input
    for attribute in node.attribute:
        for graph in [attribute.g, *attribute.graphs]:
            for inner in graph.node:
                yield from _reads(inner)


def _bring(source, target):
    """The importer follows no links out of the model's folder."""
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _arrays(values, names):
    return {name: values[name] for name in names
            if isinstance(values.get(name), (np.ndarray, np.generic))}


def _run(model, nodes, inputs, outputs, options, folder):
    from .bisect import run_artifact
    path = model.save(folder, nodes, inputs, outputs)
    compile_with(path, folder / "model.so", options)
    return run_artifact(folder / "model.so", inputs)


def _outputs(node):
    return [name for name in node.output if name]


def first_difference(model, values, inputs, options, folder, tolerance):
    """The first node whose value differs if the values of all are kept: the node, the
    value's name, how it differs, and how the node's inputs do. None if none does."""
    names = [name for node in model.nodes for name in _outputs(node)]
    kept = _arrays(values, names + model.outputs)
    try:
        found = _run(model, model.nodes, inputs, kept, options, folder / "kept")
    except Error:
        # Values that the compiler knows as sizes may be no tensors for it.
        kept = {name: array for name, array in kept.items() if array.dtype.kind in "fV"}
        found = _run(model, model.nodes, inputs, kept, options, folder / "kept")
    differences = {name: tolerance.compare(kept[name], array)
                   for name, array in found.items() if name in kept}
    for node in model.nodes:
        for name in _outputs(node):
            if differences.get(name):
                others = {i: differences[i] if differences[i] else None
                          for i in dict.fromkeys(_reads(node)) if i in differences}
                return node, name, differences[name], others
    return None


def shortest_wrong(model, values, inputs, options, folder, tolerance):
    """The last node of the shortest start of the model that is wrong where only what
    later nodes need is kept; with the value that differs, and how."""
    def first_wrong(count):
        made = [n for node in model.nodes[:count] for n in _outputs(node)]
        later = {n for node in model.nodes[count:] for n in _reads(node)} | \
            set(model.outputs)
        kept = _arrays(values, [name for name in made if name in later])
        found = _run(model, model.nodes[:count], {**inputs}, kept, options,
                     folder / f"cut{count}")
        for name, array in found.items():
            difference = tolerance.compare(kept[name], array)
            if difference:
                return name, difference
        return None

    right, wrong, found = 0, len(model.nodes), None
    while wrong - right > 1:
        middle = (right + wrong) // 2
        try:
            difference = first_wrong(middle)
        except Error:
            difference = None  # this start cannot stand alone
        if difference:
            wrong, found = middle, difference
        else:
            right = middle
    found = found or first_wrong(wrong)
    return found and (model.nodes[wrong - 1], *found)


def alone(model, node, values, options, folder, tolerance):
    """How the first wrong value of the node differs if it is compiled by itself and
    reads what the reference has; None if it cannot be compiled so."""
    given = _arrays(values, [n for n in dict.fromkeys(_reads(node))
                             if n not in model.constants])
    kept = _arrays(values, _outputs(node))
    try:
        found = _run(model, [node], given, kept, options, folder / "alone")
    except Error:
        return None
    differences = [tolerance.compare(kept[name], array) for name, array in found.items()]
    return next((d for d in differences if d), differences[0])
