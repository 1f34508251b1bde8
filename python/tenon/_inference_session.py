"""The interface of onnxruntime.InferenceSession on tenon.Session."""
import os
import typing

from ._cache import compile_cached
from ._error import Error
from ._session import Session

# onnxruntime's names of the element types of onnx.TensorProto.DataType.
_TYPES = {1: "float", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32",
          7: "int64", 9: "bool", 10: "float16", 11: "double", 12: "uint32",
          13: "uint64", 16: "bfloat16", 17: "float8e4m3fn", 18: "float8e4m3fnuz",
          19: "float8e5m2", 20: "float8e5m2fnuz", 21: "uint4", 22: "int4",
          23: "float4e2m1", 25: "uint2", 26: "int2"}
_ELF = b"\x7fELF"


class NodeArg(typing.NamedTuple):
    """An input or output: `type` is like "tensor(float)"; `shape` has sizes,
    names of symbols, and None for what is computed from several."""
    name: str
    type: str
    shape: list


class InferenceSession:
    """What a program written for onnxruntime calls.

    `path_or_bytes` is the path of a model or of an artifact, or a serialised
    model. A model is compiled when it is seen for the first time and found in a
    cache from then on (docs/python.md). `threads` is as in Session, `dims` and
    `recipe` as in compile.
    """

    def __init__(self, path_or_bytes, *, threads=0, dims=None, recipe=None):
        artifact = path_or_bytes
        if not _is_artifact(path_or_bytes):
            artifact = compile_cached(path_or_bytes, dims, recipe)
        elif dims or recipe:
            raise Error("dims and recipe are for models, "
                        f"{path_or_bytes} is compiled already")
        self._session = Session(artifact, threads=threads)

    def get_inputs(self):
        """A list of NodeArg."""
        session = self._session
        return _arguments(session.inputs, session._input_types)

    def get_outputs(self):
        """A list of NodeArg."""
        session = self._session
        return _arguments(session.outputs, session._output_types)

    def run(self, output_names, input_feed):
        """The outputs of these names, in this order; all of them for None or [].

        `input_feed` maps the names of all inputs to arrays.
        """
        session = self._session
        if not output_names:
            return session.run(input_feed)
        session._check_names(output_names, "output")
        named = dict(zip((value.name for value in session.outputs),
                         session.run(input_feed)))
        return [named[name] for name in output_names]


def _arguments(values, types):
    return [NodeArg(value.name, f"tensor({_TYPES[number]})", list(value.shape))
            for value, number in zip(values, types)]


def _is_artifact(path_or_bytes):
    if isinstance(path_or_bytes, bytes):
        if path_or_bytes.startswith(_ELF):
            raise Error("an artifact is opened by its path: its weights are "
                        "mapped from the file")
        return False
    try:
        with open(os.fspath(path_or_bytes), "rb") as file:
            return file.read(len(_ELF)) == _ELF
    except OSError as error:
        raise Error(f"cannot read the model: {error}") from None
