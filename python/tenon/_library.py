"""Finds the runtime's shared library and declares its C API to ctypes.

The declarations follow include/tenon-c/Runtime.h line by line.
"""
import ctypes
import functools
import os
import pathlib
from ctypes import (POINTER, c_char_p, c_float, c_int32, c_int64, c_uint32, c_uint64,
                    c_void_p)

from ._error import Error

MAX_RANK = 16


class Tensor(ctypes.Structure):
    _fields_ = [("data", c_void_p), ("bytes", c_int64), ("type", c_int32),
                ("rank", c_int32), ("dims", c_int64 * MAX_RANK)]


class Dim(ctypes.Structure):
    _fields_ = [("symbol", c_char_p), ("size", c_int64)]


class SessionOptions(ctypes.Structure):
    _fields_ = [("threads", c_int32), ("profile", c_int32),
                ("check_memory", c_int32)]


class LaunchTime(ctypes.Structure):
    _fields_ = [("kernel", c_char_p), ("nodes", c_char_p), ("calls", c_int64),
                ("nanoseconds", c_int64), ("last_begin", c_int64),
                ("last_nanoseconds", c_int64)]


class DecoderOptions(ctypes.Structure):
    _fields_ = [("session", SessionOptions), ("capacity", c_int64),
                ("sequences", c_int32)]


class GeneratorOptions(ctypes.Structure):
    _fields_ = [("repetition_penalty", c_float), ("repetition_window", c_int64),
                ("temperature", c_float), ("top_k", c_int64),
                ("top_p", c_float), ("seed", c_uint64), ("max_tokens", c_int64),
                ("stop_tokens", POINTER(c_int64)), ("stop_count", c_int64),
                ("speculate", c_int64), ("sliding_window", c_int32),
                ("kept_tokens", c_int64)]


class GenerationStatistics(ctypes.Structure):
    _fields_ = [(name, c_int64) for name in
                ("prompt_tokens", "prompt_nanoseconds", "generated_tokens",
                 "decoded_tokens", "decode_nanoseconds", "decode_steps",
                 "drafted", "accepted")]


TokenCallback = ctypes.CFUNCTYPE(c_int32, c_void_p, c_int32, c_int64)

PROTOTYPES = {
    "tn_last_error": (c_char_p, []),
    "tn_abi_version": (c_uint32, []),
    "tn_type_name": (c_char_p, [c_int32]),
    "tn_module_load": (c_int32, [c_char_p, POINTER(c_void_p)]),
    "tn_module_release": (None, [c_void_p]),
    "tn_module_input_count": (c_int32, [c_void_p]),
    "tn_module_input_name": (c_char_p, [c_void_p, c_int32]),
    "tn_module_input_type": (c_int32, [c_void_p, c_int32]),
    "tn_module_input_rank": (c_int32, [c_void_p, c_int32]),
    "tn_module_input_dim": (Dim, [c_void_p, c_int32, c_int32]),
    "tn_module_output_count": (c_int32, [c_void_p]),
    "tn_module_output_name": (c_char_p, [c_void_p, c_int32]),
    "tn_module_output_type": (c_int32, [c_void_p, c_int32]),
    "tn_module_output_rank": (c_int32, [c_void_p, c_int32]),
    "tn_module_output_dim": (Dim, [c_void_p, c_int32, c_int32]),
    "tn_session_create": (c_int32, [c_void_p, POINTER(SessionOptions),
                                    POINTER(c_void_p)]),
    "tn_session_release": (None, [c_void_p]),
    "tn_session_set_input": (c_int32, [c_void_p, c_int32, POINTER(Tensor)]),
    "tn_session_bind_output": (c_int32, [c_void_p, c_int32, c_void_p, c_int64]),
    "tn_session_resolve": (c_int32, [c_void_p]),
    "tn_session_run": (c_int32, [c_void_p]),
    "tn_session_output": (c_int32, [c_void_p, c_int32, POINTER(Tensor)]),
    "tn_session_arena_bytes": (c_int64, [c_void_p]),
    "tn_session_profile_count": (c_int32, [c_void_p]),
    "tn_session_profile": (c_int32, [c_void_p, c_int32, POINTER(LaunchTime)]),
    "tn_session_profile_reset": (None, [c_void_p]),
    "tn_decoder_create": (c_int32, [c_void_p, POINTER(DecoderOptions),
                                    POINTER(c_void_p)]),
    "tn_decoder_release": (None, [c_void_p]),
    "tn_decoder_vocabulary": (c_int64, [c_void_p]),
    "tn_decoder_capacity": (c_int64, [c_void_p]),
    "tn_decoder_sequences": (c_int32, [c_void_p]),
    "tn_generator_create": (c_int32, [c_void_p, POINTER(c_void_p)]),
    "tn_generator_release": (None, [c_void_p]),
    "tn_generator_set_options": (c_int32, [c_void_p, c_int32,
                                           POINTER(GeneratorOptions)]),
    "tn_generator_set_prompt": (c_int32, [c_void_p, c_int32, POINTER(c_int64),
                                          c_int64]),
    "tn_generator_set_input": (c_int32, [c_void_p, c_int32, c_char_p,
                                         POINTER(Tensor)]),
    "tn_generator_rewind": (c_int32, [c_void_p, c_int32, c_int64]),
    "tn_generator_run": (c_int32, [c_void_p, TokenCallback, c_void_p]),
    "tn_generator_begin": (c_int32, [c_void_p, c_int32]),
    "tn_generator_step": (c_int32, [c_void_p, TokenCallback, c_void_p,
                                    POINTER(c_int32)]),
    "tn_generator_stop": (None, [c_void_p]),
    "tn_generator_tokens": (c_int32, [c_void_p, c_int32, POINTER(c_int64),
                                      c_int64, POINTER(c_int64)]),
    "tn_generator_end": (c_int32, [c_void_p, c_int32, POINTER(c_int32)]),
    "tn_generator_statistics": (c_int32, [c_void_p,
                                          POINTER(GenerationStatistics)]),
    "tn_generator_statistics_reset": (c_int32, [c_void_p]),
}


def _candidates():
    """Where the library may lie, best first."""
    if "TENON_RUNTIME" in os.environ:
        named = pathlib.Path(os.environ["TENON_RUNTIME"])
        yield named / "libtenon-runtime.so" if named.is_dir() else named
        return
    here = pathlib.Path(__file__).resolve().parent
    yield from sorted(here.glob("_runtime*.so"))  # pip install
    yield here / "libtenon-runtime.so"
    for preset in ("release", "dev"):             # a checkout
        yield here.parents[1] / "build" / preset / "lib" / "libtenon-runtime.so"
    for parent in here.parents:                   # cmake --install
        yield parent / "lib" / "libtenon-runtime.so"


@functools.lru_cache(maxsize=None)
def load():
    """The library, loaded once. Raises Error when there is none."""
    path = next((p for p in _candidates() if p.is_file()), None)
    try:
        library = ctypes.CDLL(str(path or "libtenon-runtime.so"))
    except OSError as error:
        raise Error(f"cannot load the runtime: {error}; TENON_RUNTIME may name "
                    "libtenon-runtime.so") from None
    for name, (result, arguments) in PROTOTYPES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def check(status):
    """Raises the runtime's message when `status` is no success."""
    if status:
        raise Error(load().tn_last_error().decode())
