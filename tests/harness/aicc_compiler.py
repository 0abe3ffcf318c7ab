# aicc_compiler.py - the compiler's C API by ctypes.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`compile(model, target, package)` compiles in this process, without the cache
of kernels: a case that a cached kernel answers would test nothing."""

import ctypes
from ctypes import POINTER, byref, c_char_p, c_int, c_size_t, c_uint, c_void_p

from aicc_testing import BUILD


class Options(ctypes.Structure):
    _fields_ = [("struct_size", c_size_t), ("input", c_char_p), ("output", c_char_p), ("targets", POINTER(c_char_p)),
                ("target_count", c_size_t), ("dims", c_void_p), ("dim_count", c_size_t), ("jobs", c_uint),
                ("no_cache", c_int)]


class Error(RuntimeError):
    pass


_library = None


def library():
    global _library
    if _library is None:
        _library = ctypes.CDLL(str(BUILD / "lib" / "libaicc_compiler.so"))
        _library.aicc_compiler_compile.argtypes = [POINTER(Options), POINTER(c_void_p)]
        _library.aicc_compiler_message_free.argtypes = [c_void_p]
    return _library


def compile(model, target, package):
    api = library()
    targets = (c_char_p * 1)(target.encode())
    options = Options(ctypes.sizeof(Options), str(model).encode(), str(package).encode(), targets, 1, None, 0, 1, 1)
    message = c_void_p()
    if api.aicc_compiler_compile(byref(options), byref(message)):
        text = ctypes.string_at(message).decode(errors="replace") if message else "no message"
        api.aicc_compiler_message_free(message)
        raise Error(text)
