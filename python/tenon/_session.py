"""Runs an artifact on numpy arrays, or on anything that speaks DLPack."""
import ctypes
import threading
import typing

import numpy as np

from . import _library
from ._error import Error

# The numbers of onnx.TensorProto.DataType.
_NUMPY = {1: "f4", 2: "u1", 3: "i1", 4: "u2", 5: "i2", 6: "i4", 7: "i8",
          9: "?", 10: "f2", 11: "f8", 12: "u4", 13: "u8"}
_ML_DTYPES = {16: "bfloat16", 17: "float8_e4m3fn", 18: "float8_e4m3fnuz",
              19: "float8_e5m2", 20: "float8_e5m2fnuz"}


def _dtype(number):
    """The numpy type of an element type; raw bits without ml_dtypes."""
    if number in _NUMPY:
        return np.dtype(_NUMPY[number])
    try:
        import ml_dtypes
        return np.dtype(getattr(ml_dtypes, _ML_DTYPES[number]))
    except ImportError:
        return np.dtype("u2" if number == 16 else "u1")


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
    if not isinstance(value, np.ndarray) and hasattr(value, "__dlpack__"):
        try:
            return np.from_dlpack(value)
        except (BufferError, RuntimeError, TypeError, ValueError):
            pass  # bool before DLPack 1.0, or read-only: numpy may know better
    return np.asarray(value)


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
    `profile` (time every launch), `check_memory` (before
    each launch, fill the memory that holds nothing with NaN). Sessions are independent; one session runs one call of `run` at a
    time.
    """

    def __init__(self, artifact, threads=0, profile=False, check_memory=False):
        self._session = None
        self._owner = artifact if isinstance(artifact, Module) else Module(artifact)
        self._module = module = self._owner._module
        self._library = library = _library.load()
        self._lock = threading.Lock()
        session = ctypes.c_void_p()
        options = _library.SessionOptions(threads, profile, check_memory)
        _library.check(library.tn_session_create(
            module, ctypes.byref(options), ctypes.byref(session)))
        self._session = session
        self.inputs = self._values("input")
        self.outputs = self._values("output")
        self._input_types = [library.tn_module_input_type(module, i)
                             for i in range(len(self.inputs))]

    def __del__(self):
        if getattr(self, "_session", None):
            self._library.tn_session_release(self._session)

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

    def run(self, inputs):
        """Runs the model once.

        `inputs` maps names to arrays, or lists arrays in order. Returns the
        outputs as a list of numpy arrays that belong to the caller.
        """
        if isinstance(inputs, dict):
            given = dict(inputs)
            names = ", ".join(repr(value.name) for value in self.inputs)
            for name in given:
                if name not in {value.name for value in self.inputs}:
                    raise Error(f"the model has no input {name!r}, it has {names}")
            for value in self.inputs:
                if value.name not in given:
                    raise Error(f"input {value.name!r} is not set")
            given = [given[value.name] for value in self.inputs]
        else:
            given = list(inputs)
            if len(given) != len(self.inputs):
                raise Error(f"the model has {len(self.inputs)} inputs, "
                            f"{len(given)} are given")
        with self._lock:
            return self._run(given)

    def _run(self, given):
        library, session = self._library, self._session
        arrays = []  # alive until the run is over
        for number, (value, array) in enumerate(zip(self.inputs, given)):
            # A Python number or list has no type of its own.
            if isinstance(array, (bool, int, float, list, tuple)):
                array = np.asarray(array, value.dtype)
            array = np.asarray(_as_array(array), order="C")
            if array.dtype != value.dtype:
                raise Error(f"input {value.name!r} must be {value.dtype}, is "
                            f"{array.dtype}")
            if array.ndim > _library.MAX_RANK:
                raise Error(f"input {value.name!r} must have {len(value.shape)} "
                            f"dimensions, has {array.ndim}")
            arrays.append(array)
            tensor = _library.Tensor(array.ctypes.data, array.nbytes,
                                     self._input_types[number], array.ndim)
            tensor.dims[:array.ndim] = array.shape
            _library.check(library.tn_session_set_input(
                session, number, ctypes.byref(tensor)))
        _library.check(library.tn_session_resolve(session))
        # The model writes into arrays of the caller: no copy, no shared life.
        results = []
        for number, value in enumerate(self.outputs):
            tensor = _library.Tensor()
            _library.check(library.tn_session_output(
                session, number, ctypes.byref(tensor)))
            result = np.empty(tuple(tensor.dims[:tensor.rank]), value.dtype)
            _library.check(library.tn_session_bind_output(
                session, number, result.ctypes.data, result.nbytes))
            results.append(result)
        _library.check(library.tn_session_run(session))
        return results

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
