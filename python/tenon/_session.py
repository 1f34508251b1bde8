"""Runs an artifact on numpy arrays, or on anything that speaks DLPack."""
import collections.abc
import ctypes
import math
import threading
import typing

import numpy as np

from . import _dlpack, _library
from ._error import Error

# The numbers of onnx.TensorProto.DataType.
_NUMPY = {1: "f4", 2: "u1", 3: "i1", 4: "u2", 5: "i2", 6: "i4", 7: "i8",
          9: "?", 10: "f2", 11: "f8", 12: "u4", 13: "u8"}
_BFLOAT16 = 16
_ML_DTYPES = {_BFLOAT16: "bfloat16", 17: "float8_e4m3fn", 18: "float8_e4m3fnuz",
              19: "float8_e5m2", 20: "float8_e5m2fnuz", 21: "uint4", 22: "int4",
              23: "float4_e2m1fn", 25: "uint2", 26: "int2"}


def _dtype(number):
    """The numpy type of an element type; raw bits without ml_dtypes."""
    if number in _NUMPY:
        return np.dtype(_NUMPY[number])
    try:
        import ml_dtypes
        return np.dtype(getattr(ml_dtypes, _ML_DTYPES[number]))
    except ImportError:
        return np.dtype("u2" if number == _BFLOAT16 else "u1")


class Value(typing.NamedTuple):
    """An input or output: shape has sizes, names of symbols, and None for what
    is computed from several."""
    name: str
    dtype: np.dtype
    shape: tuple


class Launch(typing.NamedTuple):
    """Times of one launch, summed over the runs of a session."""
    kernel: str
    nodes: list
    calls: int
    nanoseconds: int


def _as_array(value):
    """`value` as an array, without a copy where that is possible."""
    if isinstance(value, np.ndarray):
        return value
    why = None
    if hasattr(value, "__dlpack__"):
        try:
            return _dlpack.from_dlpack(value, _dtype(_BFLOAT16))
        except (BufferError, RuntimeError, TypeError, ValueError) as error:
            why = error  # its __array__ may know better
    try:
        array = np.asarray(value)
    except Exception as error:
        raise Error(f"is no array: {why or error}") from None
    if why and array.dtype == object:  # numpy's way to say that it is none
        raise Error(f"is no array: {why}")
    return array


def _as_type(value, dtype):
    """A number or a list as an array; numpy would cut 1.5 down to an integer."""
    try:
        plain = np.asarray(value)
        if dtype.kind in "iu" and plain.dtype.kind == "f" and plain.size:
            raise TypeError("it has fractions")
        return np.asarray(value, dtype)
    except (OverflowError, TypeError, ValueError) as error:
        raise Error(f"cannot be made {dtype}: {error}") from None


def _as_buffer(value):
    """`value` as an array whose memory a run may write to, never a copy."""
    array = value
    if not isinstance(value, np.ndarray):
        if not hasattr(value, "__dlpack__"):
            raise Error("must be numpy's or speak DLPack")
        try:
            array = _dlpack.from_dlpack(value, _dtype(_BFLOAT16))
        except (BufferError, RuntimeError, TypeError, ValueError) as error:
            raise Error(f"cannot be written to: {error}") from None
    if not array.flags.writeable:
        raise Error("is read-only")
    if not (array.flags.c_contiguous and array.flags.aligned):
        raise Error("must be aligned and row-major without gaps")
    return array


class Module:
    """A loaded artifact: code and weights, which any number of sessions share."""

    def __init__(self, artifact):
        self._module = None
        self._library = _library.load()
        module = ctypes.c_void_p()
        _library.check(self._library.tn_module_load(
            str(artifact).encode(), ctypes.byref(module)))
        self._module = module

    def __del__(self):
        if getattr(self, "_module", None):
            self._library.tn_module_release(self._module)


class Session:
    """A model that is ready to run.

    `artifact` is a path or a Module. Options: `threads` (0: one per core),
    `profile` (time every launch), `check_memory` (before each launch, fill the
    memory that holds nothing with NaN). Sessions are independent; one session
    runs one call of `run` at a time. Python's other threads go on meanwhile.
    """

    def __init__(self, artifact, threads=0, profile=False, check_memory=False):
        self._session = None
        self._owner = artifact if isinstance(artifact, Module) else Module(artifact)
        self._module = module = self._owner._module
        self._library = library = _library.load()
        self._lock = threading.Lock()
        session = ctypes.c_void_p()
        options = _library.SessionOptions(threads, profile, check_memory)
        if options.threads != threads:  # C took the low bits
            raise Error(f"threads must be from 0 to 4096, is {threads}")
        _library.check(library.tn_session_create(
            module, ctypes.byref(options), ctypes.byref(session)))
        self._session = session
        self.inputs = self._values("input")
        self.outputs = self._values("output")
        # As numbers: numpy has no type of its own for each of them.
        self._input_types = self._types("input")
        self._output_types = self._types("output")

    def __del__(self):
        if getattr(self, "_session", None):
            self._library.tn_session_release(self._session)

    def _types(self, kind):
        library = self._library
        ask = getattr(library, f"tn_module_{kind}_type")
        count = getattr(library, f"tn_module_{kind}_count")(self._module)
        return [ask(self._module, i) for i in range(count)]

    def _values(self, kind):
        def ask(what, *numbers):
            return getattr(self._library, f"tn_module_{kind}_{what}")(
                self._module, *numbers)

        def size(dim):
            if dim.symbol is not None:
                return dim.symbol.decode()
            return dim.size if dim.size >= 0 else None

        return [Value(ask("name", i).decode(), _dtype(ask("type", i)),
                      tuple(size(ask("dim", i, d)) for d in range(ask("rank", i))))
                for i in range(ask("count"))]

    def run(self, inputs, outputs=None):
        """Runs the model once.

        `inputs` maps names to arrays, or lists arrays in order: numpy's, what
        speaks DLPack (tensors of PyTorch or JAX), numbers and lists. Aligned
        row-major memory is read where it is, anything else is copied once.
        `outputs` maps names to arrays, writable and of the right type and shape,
        that the run writes to. Returns a list: these, and for the other outputs
        numpy arrays that belong to the caller. Where the run computes a size of
        an output, an array for it has the sizes that it may have at most, and
        what is returned is numpy's view of the elements that it has.
        """
        bound = dict(outputs or {})
        self._check_names(bound, "output")
        if isinstance(inputs, collections.abc.Mapping):
            self._check_names(inputs, "input")
            for value in self.inputs:
                if value.name not in inputs:
                    raise Error(f"input {value.name!r} is not set")
            given = [inputs[value.name] for value in self.inputs]
        else:
            given = list(inputs)
            if len(given) != len(self.inputs):
                raise Error(f"the model has {len(self.inputs)} inputs, "
                            f"{len(given)} are given")
        with self._lock:
            return self._run(given, bound)

    def _check_names(self, names, kind):
        known = [value.name for value in getattr(self, kind + "s")]
        for name in names:
            if name not in known:
                raise Error(f"the model has no {kind} {name!r}, it has "
                            + ", ".join(map(repr, known)))

    def _run(self, given, bound):
        library, session = self._library, self._session
        arrays = []  # alive until the run is over
        for number, (value, array) in enumerate(zip(self.inputs, given)):
            array = self._input(value, array)
            arrays.append(array)
            tensor = _library.Tensor(array.ctypes.data, array.nbytes,
                                     self._input_types[number], array.ndim)
            tensor.dims[:array.ndim] = array.shape
            _library.check(library.tn_session_set_input(
                session, number, ctypes.byref(tensor)))
        _library.check(library.tn_session_resolve(session))
        # The model writes into arrays of the caller: no copy, no shared life.
        results, written = [], []
        for number, value in enumerate(self.outputs):
            tensor = _library.Tensor()
            _library.check(library.tn_session_output(
                session, number, ctypes.byref(tensor)))
            shape = tuple(tensor.dims[:tensor.rank])
            if value.name in bound:
                result = bound[value.name]
                array = self._output(value, result, shape, arrays)
            else:
                result = array = np.empty(shape, value.dtype)
            arrays.append(array)
            _library.check(library.tn_session_bind_output(
                session, number, array.ctypes.data, array.nbytes))
            results.append(result)
            written.append(array)
        _library.check(library.tn_session_run(session))
        return [self._counted(number, result, array, value.name in bound)
                for number, (value, result, array)
                in enumerate(zip(self.outputs, results, written))]

    def _counted(self, number, result, array, is_bound):
        """The result, which the run wrote to the array, with the sizes that the run
        has found."""
        tensor = _library.Tensor()
        _library.check(self._library.tn_session_output(
            self._session, number, ctypes.byref(tensor)))
        shape = tuple(tensor.dims[:tensor.rank])
        if shape == array.shape:
            return result
        elements = array.reshape(-1)[:math.prod(shape)].reshape(shape)
        # Memory for what might have been is not kept for what is.
        return elements if is_bound else elements.copy()

    @staticmethod
    def _input(value, array):
        """What is given for an input, as the runtime wants it."""
        try:
            # A Python number or list has no type of its own.
            if isinstance(array, (bool, int, float, list, tuple)):
                array = _as_type(array, value.dtype)
            array = _as_array(array)
        except Error as error:
            raise Error(f"input {value.name!r} {error}") from None
        if array.dtype != value.dtype:
            raise Error(f"input {value.name!r} must be {value.dtype}, is "
                        f"{array.dtype}")
        if array.ndim > _library.MAX_RANK:
            raise Error(f"input {value.name!r} must have {len(value.shape)} "
                        f"dimensions, has {array.ndim}")
        if array.flags.c_contiguous and array.flags.aligned:
            return array
        return np.require(array, requirements="CA")

    @staticmethod
    def _output(value, given, shape, others):
        """The memory to write an output of this shape to; it must be its own."""
        try:
            array = _as_buffer(given)
        except Error as error:
            raise Error(f"the array for output {value.name!r} {error}") from None
        if array.dtype != value.dtype or array.shape != shape:
            raise Error(f"the array for output {value.name!r} must be "
                        f"{value.dtype} {shape}, is {array.dtype} {array.shape}")
        if any(np.may_share_memory(array, other) for other in others):
            raise Error(f"the array for output {value.name!r} overlaps that of "
                        "another input or output")
        return array

    @property
    def arena_bytes(self):
        """Bytes of scratch memory that the session holds."""
        return self._library.tn_session_arena_bytes(self._session)

    @property
    def profile(self):
        """A list of Launch, in order; all zero without profile=True."""
        launches = []
        for number in range(self._library.tn_session_profile_count(self._session)):
            time = _library.LaunchTime()
            _library.check(self._library.tn_session_profile(
                self._session, number, ctypes.byref(time)))
            nodes = (time.nodes or b"").decode()
            launches.append(Launch((time.kernel or b"").decode(),
                                   nodes.split(",") if nodes else [],
                                   time.calls, time.nanoseconds))
        return launches
