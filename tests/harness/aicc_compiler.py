# aicc_compiler.py - the compiler's C API by ctypes.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`compile(model, target, package)` compiles in this process, without the cache
of kernels: a case that a cached kernel answers would test nothing."""

import ctypes
from ctypes import POINTER, byref, c_char_p, c_int, c_int64, c_size_t, c_uint, c_void_p

from aicc_testing import BUILD


def type_name(dtype):
    """The runtime's name of a NumPy type."""
    return "bool" if dtype.kind == "b" else f"{dtype.kind}{8 * dtype.itemsize}"


class Value(ctypes.Structure):
    _fields_ = [("name", c_char_p), ("type", c_char_p), ("rank", c_size_t), ("dims", POINTER(c_int64)),
                ("data", c_void_p), ("bytes", c_size_t)]


class Options(ctypes.Structure):
    _fields_ = [("struct_size", c_size_t), ("input", c_char_p), ("output", c_char_p), ("targets", POINTER(c_char_p)),
                ("target_count", c_size_t), ("dims", c_void_p), ("dim_count", c_size_t), ("jobs", c_uint),
                ("no_cache", c_int), ("values", POINTER(Value)), ("value_count", c_size_t), ("model", c_void_p),
                ("model_bytes", c_size_t), ("model_directory", c_char_p)]


class Error(RuntimeError):
    """`needed` names inputs whose values the import needed."""

    def __init__(self, message, needed=()):
        super().__init__(message)
        self.needed = needed


_library = None


def library():
    global _library
    if _library is None:
        _library = ctypes.CDLL(str(BUILD / "lib" / "libaicc_compiler.so"))
        for name, result, arguments in (
            ("compile", c_int, [POINTER(Options), POINTER(c_void_p)]),
            ("result_message", c_char_p, [c_void_p]),
            ("result_needed_count", c_size_t, [c_void_p]),
            ("result_needed", c_char_p, [c_void_p, c_size_t]),
            ("result_free", None, [c_void_p]),
        ):
            function = getattr(_library, "aicc_compiler_" + name)
            function.restype, function.argtypes = result, arguments
    return _library


def compile(model, target, package, values=None):
    """`values`: {input's name: its value as an array, which becomes a constant}."""
    api = library()
    targets = (c_char_p * 1)(target.encode())
    values = values or {}
    given = (Value * len(values))()
    for value, (name, array) in zip(given, values.items()):
        value.name, value.type, value.rank = name.encode(), type_name(array.dtype).encode(), array.ndim
        value.dims = (c_int64 * array.ndim)(*array.shape)
        value.data, value.bytes = array.ctypes.data, array.nbytes
    options = Options(ctypes.sizeof(Options), str(model).encode(), str(package).encode(), targets, 1, None, 0, 1, 1,
                      given, len(given))
    result = c_void_p()
    status = api.aicc_compiler_compile(byref(options), byref(result))
    try:
        if status:
            needed = [api.aicc_compiler_result_needed(result, k).decode()
                      for k in range(api.aicc_compiler_result_needed_count(result))]
            raise Error(api.aicc_compiler_result_message(result).decode(errors="replace") or "no message", needed)
    finally:
        api.aicc_compiler_result_free(result)
