"""Takes tensors of other libraries by the DLPack protocol, without a copy.

numpy's own from_dlpack knows neither bfloat16 nor, in old versions, bool and
read-only memory. The structures follow dlpack.h.
"""
import ctypes
from ctypes import (POINTER, PYFUNCTYPE, c_char_p, c_int32, c_int64, c_uint8,
                    c_uint16, c_uint32, c_uint64, c_void_p, py_object)

import numpy as np

from ._error import Error

# Deleters run with the GIL held, as when a capsule of C code is freed.
_Deleter = PYFUNCTYPE(None, c_void_p)
_CPU_DEVICES = (1, 3, 11)  # the host's memory, pinned for CUDA, pinned for ROCm
_READ_ONLY = 1
_BFLOAT16 = 4
_KINDS = {0: "i", 1: "u", 2: "f", 6: "b"}


class _Tensor(ctypes.Structure):
    _fields_ = [("data", c_void_p), ("device", c_int32), ("device_id", c_int32),
                ("rank", c_int32), ("code", c_uint8), ("bits", c_uint8),
                ("lanes", c_uint16), ("shape", POINTER(c_int64)),
                ("strides", POINTER(c_int64)), ("byte_offset", c_uint64)]


class _Managed(ctypes.Structure):
    _fields_ = [("tensor", _Tensor), ("context", c_void_p), ("deleter", _Deleter)]
    names = b"dltensor", b"used_dltensor"
    flags = 0


class _Versioned(ctypes.Structure):
    _fields_ = [("major", c_uint32), ("minor", c_uint32), ("context", c_void_p),
                ("deleter", _Deleter), ("flags", c_uint64), ("tensor", _Tensor)]
    names = b"dltensor_versioned", b"used_dltensor_versioned"


def _capsule(name, result, *arguments):
    return PYFUNCTYPE(result, py_object, *arguments)(
        (name, ctypes.pythonapi))


_is_valid = _capsule("PyCapsule_IsValid", c_int32, c_char_p)
_get_pointer = _capsule("PyCapsule_GetPointer", c_void_p, c_char_p)
_set_name = _capsule("PyCapsule_SetName", c_int32, c_char_p)


class _Loan:
    """Memory of a producer, which gets it back when no array is on it."""

    def __init__(self, managed):
        self._managed = managed
        tensor = managed.tensor
        shape = tuple(tensor.shape[:tensor.rank])
        size = tensor.bits // 8
        strides = None
        if tensor.strides:
            strides = tuple(s * size for s in tensor.strides[:tensor.rank])
        kind = _KINDS.get(tensor.code, "u")
        self.__array_interface__ = {
            "version": 3, "shape": shape, "strides": strides,
            "typestr": f"{'|' if size == 1 else '<'}{kind}{size}",
            "data": ((tensor.data or 0) + tensor.byte_offset,
                     bool(managed.flags & _READ_ONLY))}

    def __del__(self):
        if self._managed.deleter:
            self._managed.deleter(ctypes.addressof(self._managed))


def from_dlpack(value, bfloat16):
    """`value` as an array on the same memory; `bfloat16` is the numpy type for it.

    Raises Error for memory of a device and for types that no model takes, and
    what the producer raises, or BufferError, when it cannot export.
    """
    device = value.__dlpack_device__()
    if device[0] not in _CPU_DEVICES:
        raise Error(f"lies on device {int(device[1])} of DLPack type "
                    f"{int(device[0])}, must lie in the memory of the CPU")
    try:
        capsule = value.__dlpack__(max_version=(1, 0))
    except TypeError:  # a producer from before DLPack 1.0
        capsule = value.__dlpack__()
    form = next((f for f in (_Versioned, _Managed)
                 if _is_valid(capsule, f.names[0])), None)
    if not form:
        raise BufferError("its __dlpack__ gives no DLPack capsule")
    address = _get_pointer(capsule, form.names[0])
    managed = form.from_address(address)
    if form is _Versioned and managed.major != 1:
        raise BufferError(f"it exports DLPack {managed.major}.{managed.minor}")
    tensor = managed.tensor
    is_bfloat16 = tensor.code == _BFLOAT16 and tensor.bits == 16
    if (tensor.lanes != 1 or tensor.bits not in (8, 16, 32, 64)
            or not (is_bfloat16 or tensor.code in _KINDS)):
        raise Error(f"has elements of DLPack type {tensor.code} with "
                    f"{tensor.bits} bits and {tensor.lanes} lanes, which no "
                    "model takes")
    # From here on the memory is the consumer's to give back.
    _set_name(capsule, form.names[1])
    loan = _Loan(managed)
    if 0 in loan.__array_interface__["shape"]:  # may have no memory at all
        interface = loan.__array_interface__
        array = np.empty(interface["shape"], interface["typestr"])
    else:
        array = np.asarray(loan)
    return array.view(bfloat16) if is_bfloat16 else array
