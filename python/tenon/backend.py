"""The interface of ONNX for backends: prepare, run_model, run_node.

    rep = tenon.backend.prepare(onnx.load("model.onnx"))
    outputs = rep.run([ids, mask])

The module itself can be given to onnx.backend.test.BackendTest.
"""
import pathlib
import tempfile

import numpy as np
import onnx
import onnx.backend.base

from ._compiler import compile
from ._error import Error
from ._session import Session


class BackendRep(onnx.backend.base.BackendRep):
    """A compiled model."""

    def __init__(self, session):
        self._session = session

    def run(self, inputs, **kwargs):
        """The outputs as a tuple. `inputs` is a list of arrays, a dictionary, or
        the only input."""
        if isinstance(inputs, np.ndarray):
            inputs = [inputs]
        return tuple(self._session.run(inputs))


class Backend(onnx.backend.base.Backend):
    """Compiles for the CPU, into a file that lives as long as the process needs
    it; see InferenceSession for one that is found again."""

    @classmethod
    def prepare(cls, model, device="CPU", *, threads=0, **kwargs):
        """Compiles a ModelProto.

        Other keywords are the caller's own (onnx.backend.test passes its
        tolerances). Raises BackendIsNotSupposedToImplementIt with a line for
        each node that is not supported, and Error for anything else.
        """
        if not cls.supports_device(device):
            raise Error(f"cannot prepare a model for device {device!r}, only "
                        "for 'CPU'")
        super().prepare(model, device)  # checks the model
        with tempfile.TemporaryDirectory(prefix="tenon-") as folder:
            path = pathlib.Path(folder) / "model.onnx"
            onnx.save(model, path)
            try:
                # Open files outlive their folder.
                return BackendRep(Session(compile(path), threads=threads))
            except Error as error:
                if not error.unsupported:
                    raise
                # Where ONNX has this exception, and with it its test cases.
                from onnx.backend.test.runner import (
                    BackendIsNotSupposedToImplementIt)
                raise BackendIsNotSupposedToImplementIt(str(error)) from None

    @classmethod
    def run_node(cls, node, inputs, device="CPU", outputs_info=None, **kwargs):
        """Runs one node on arrays, one for each input that it has.

        `outputs_info` has a numpy type and a shape for each output; without it
        they are inferred. `opset_version` is ONNX's newest unless given.
        """
        super().run_node(node, inputs, device, outputs_info, **kwargs)
        helper = onnx.helper
        names = [name for name in node.input if name]
        given = {name: np.asarray(array) for name, array in zip(names, inputs)}
        outputs = [name for name in node.output if name]
        if outputs_info is None:
            infos = [helper.make_empty_tensor_value_info(name) for name in outputs]
        else:
            infos = [helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)
                for name, (dtype, shape) in zip(outputs, outputs_info)]
        version = kwargs.get("opset_version", onnx.defs.onnx_opset_version())
        graph = helper.make_graph([node], "node", [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
            for name, array in given.items()], infos)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", version)])
        model = onnx.shape_inference.infer_shapes(model)
        return cls.prepare(model, device).run(list(given.values()))

    @classmethod
    def supports_device(cls, device):
        """True for "CPU", with or without a number behind it."""
        return device.split(":")[0] == "CPU"


prepare = Backend.prepare
run_model = Backend.run_model
run_node = Backend.run_node
supports_device = Backend.supports_device
is_compatible = Backend.is_compatible
