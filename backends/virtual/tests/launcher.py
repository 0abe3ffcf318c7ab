# launcher.py - the test launcher of virtual devices, for Python
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Runs one kernel of an object with NumPy arrays, each in memory of its own."""
import ctypes as C

import numpy as np


class Mistake(Exception):
    """What the virtual device had to say."""


class Launcher:
    def __init__(self, path):
        self.run_kernel = C.CDLL(path).aicc_virtual_run
        self.run_kernel.restype = C.c_char_p

    def run(self, code, entry, grid, workgroup, inputs, outputs, scalars):
        """`outputs` is a list of (shape, dtype); returns their arrays."""
        arrays = [np.ascontiguousarray(a) for a in inputs]
        # What a kernel leaves out shows.
        arrays += [np.full(int(np.prod(shape)) * np.dtype(dtype).itemsize, 0xA5, np.uint8) for shape, dtype in outputs]
        count = len(arrays)
        triple = C.c_uint32 * 3
        message = self.run_kernel(
            code, C.c_size_t(len(code)), entry.encode(), triple(*grid), triple(*workgroup), C.c_uint32(count),
            (C.c_void_p * count)(*(a.ctypes.data for a in arrays)),
            (C.c_uint64 * count)(*(a.nbytes for a in arrays)), C.c_uint32(len(scalars)),
            (C.c_int64 * len(scalars))(*scalars))
        if message:
            raise Mistake(message.decode(errors="replace"))
        return [a.view(dtype).reshape(shape) for a, (shape, dtype) in zip(arrays[len(inputs):], outputs)]
