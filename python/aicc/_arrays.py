# _arrays.py - arrays of others as tensors of the runtime, and back.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Element types have the runtime's names ("f32"). Those that NumPy lacks are
ml_dtypes', if that is installed."""

import ctypes

import numpy

from ._runtime import TYPES, Error, Tensor, from_dlpack, tensor_at

_NUMPY = {"bool": "bool", "i8": "int8", "u8": "uint8", "i16": "int16", "u16": "uint16", "i32": "int32",
          "u32": "uint32", "i64": "int64", "u64": "uint64", "f16": "float16", "f32": "float32", "f64": "float64",
          "c64": "complex64", "c128": "complex128"}
_ML_DTYPES = {"bf16": "bfloat16", "f8e4m3fn": "float8_e4m3fn", "f8e4m3fnuz": "float8_e4m3fnuz", "f8e5m2": "float8_e5m2",
              "f8e5m2fnuz": "float8_e5m2fnuz", "f8e8m0fnu": "float8_e8m0fnu", "f6e2m3fn": "float6_e2m3fn",
              "f6e3m2fn": "float6_e3m2fn", "f4e2m1fn": "float4_e2m1fn", "i4": "int4", "u4": "uint4", "i2": "int2",
              "u2": "uint2"}

DTYPES = {name: numpy.dtype(dtype) for name, dtype in _NUMPY.items()}
try:
    import ml_dtypes

    DTYPES |= {name: numpy.dtype(getattr(ml_dtypes, dtype)) for name, dtype in _ML_DTYPES.items()
               if hasattr(ml_dtypes, dtype)}
except ImportError:
    pass
_NAMES = {dtype: name for name, dtype in DTYPES.items()}


def _from_strings(array):
    """Strings are addresses and sizes; the bytes stay as long as the tensor."""
    parts = [text if isinstance(text, bytes) else str(text).encode() for text in array.ravel().tolist()]
    # Not empty, so that it has an address.
    text = numpy.frombuffer(b"".join(parts) + b"\0", numpy.uint8)
    table = numpy.zeros((len(parts), 2), numpy.uint64)
    table[:, 1] = [len(part) for part in parts]
    table[:, 0] = text.ctypes.data
    table[1:, 0] += numpy.cumsum(table[:-1, 1], dtype=numpy.uint64)
    return tensor_at(table.ctypes.data, TYPES["string"][0], list(array.shape), (table, text))


def _to_strings(tensor):
    table = numpy.frombuffer(tensor, numpy.uint64).reshape(-1, 2).tolist() if tensor.nbytes else []
    result = numpy.empty(len(table), object)
    result[:] = [ctypes.string_at(address, size).decode(errors="surrogateescape") if size else "" for address, size in table]
    return result.reshape(tensor.shape)


def type_name(array):
    """The runtime's name of an array's element type."""
    name = _NAMES.get(array.dtype.newbyteorder("="))
    if name is None or name not in TYPES:
        raise Error(f"element type {array.dtype} is not supported")
    return name


def as_tensor(array, copy=None):
    """An array as a `Tensor`, without a copy where its memory allows that; with
    copy=False it is an error if not."""
    if isinstance(array, Tensor):
        return array
    if hasattr(array, "__dlpack__") and not isinstance(array, (numpy.ndarray, numpy.generic)):
        if getattr(array, "requires_grad", False):
            array = array.detach()
        if copy is not False and hasattr(array, "contiguous"):
            array = array.contiguous()
        return from_dlpack(array)
    # Not ascontiguousarray: that gives a scalar a dimension.
    found = numpy.asarray(array)
    if found.dtype.kind in "OUS" and "string" in TYPES and copy is not False:
        return _from_strings(found)
    given = numpy.array(found, dtype=found.dtype.newbyteorder("="), order="C", copy=None)
    if copy is False and (given.ctypes.data != found.ctypes.data or not given.flags.writeable):
        raise Error("an output array is not writable and contiguous, expected one that can be written in place")
    if not given.flags.aligned:
        given = given.copy()
    return tensor_at(given.ctypes.data, TYPES[type_name(given)][0], list(given.shape), given)


def to_numpy(tensor):
    """The tensor's own memory as a NumPy array; strings are copied."""
    if tensor.type == "string":
        return _to_strings(tensor)
    if tensor.type not in DTYPES:
        raise Error(f"NumPy has no element type {tensor.type}" +
                    (", expected the package ml_dtypes" if tensor.type in _ML_DTYPES else ""))
    dtype = DTYPES[tensor.type]
    if tensor.nbytes == 0:
        return numpy.empty(tensor.shape, dtype)
    return numpy.frombuffer(tensor, dtype).reshape(tensor.shape)
