# opencl.py - launches SPIR-V kernels on an OpenCL runtime, for tests
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The few OpenCL calls that a test needs, through ctypes."""
import ctypes as C
import glob
import os
import sys

import numpy as np


def find_library():
    """$AICC_OPENCL_LIBRARY, else Intel's runtime of this Python's environment."""
    named = os.environ.get("AICC_OPENCL_LIBRARY")
    if named:
        return named
    for base in (sys.prefix + "/lib", *sys.path):
        found = glob.glob(os.path.join(base, "libintelocl.so"))
        if found:
            return found[0]
    return None


class Runtime:
    def __init__(self, library):
        self.cl = C.CDLL(library)
        for name in ("clCreateContext", "clCreateCommandQueueWithProperties",
                     "clCreateProgramWithIL", "clCreateKernel",
                     "clGetExtensionFunctionAddressForPlatform"):
            getattr(self.cl, name).restype = C.c_void_p
        self.platform = C.c_void_p()
        self.check(self.cl.clGetPlatformIDs(1, C.byref(self.platform), None))
        self.device = C.c_void_p()
        self.check(self.cl.clGetDeviceIDs(self.platform, C.c_ulong(0xFFFFFFFF),
                                          1, C.byref(self.device), None))
        error = C.c_int()
        self.context = C.c_void_p(self.cl.clCreateContext(
            None, 1, C.byref(self.device), None, None, C.byref(error)))
        self.check(error.value)
        self.queue = C.c_void_p(self.cl.clCreateCommandQueueWithProperties(
            self.context, self.device, None, C.byref(error)))
        self.check(error.value)
        self.allocate = C.CFUNCTYPE(
            C.c_void_p, C.c_void_p, C.c_void_p, C.c_size_t, C.c_uint,
            C.c_void_p)(self.extension("clHostMemAllocINTEL"))
        self.free = C.CFUNCTYPE(C.c_int, C.c_void_p, C.c_void_p)(
            self.extension("clMemFreeINTEL"))

    def extension(self, name):
        return self.cl.clGetExtensionFunctionAddressForPlatform(
            self.platform, name.encode())

    @staticmethod
    def check(status):
        if status:
            raise RuntimeError(f"OpenCL error {status}")

    def load(self, spirv, entry):
        error = C.c_int()
        program = C.c_void_p(self.cl.clCreateProgramWithIL(
            self.context, spirv, C.c_size_t(len(spirv)), C.byref(error)))
        self.check(error.value)
        if self.cl.clBuildProgram(program, 1, C.byref(self.device), b"", None,
                                  None):
            log = C.create_string_buffer(65536)
            self.cl.clGetProgramBuildInfo(program, self.device, 0x1183,
                                          C.c_size_t(65536), log, None)
            raise RuntimeError(log.value.decode())
        kernel = C.c_void_p(self.cl.clCreateKernel(program, entry.encode(),
                                                   C.byref(error)))
        self.check(error.value)
        yes = C.c_uint(1)
        for kind in (0x4200, 0x4201, 0x4202):  # indirect access
            self.check(self.cl.clSetKernelExecInfo(kernel, kind, C.c_size_t(4),
                                                   C.byref(yes)))
        return kernel

    def run(self, kernel, grid, workgroup, inputs, outputs, scalars):
        """`outputs` is a list of (shape, dtype); returns their arrays."""
        buffers, words = [], []

        def buffer(size):
            # Slack with a known pattern shows writes beyond the end.
            p = self.allocate(self.context, None, size + 256, 64, None)
            C.memset(p, 0xA5, size + 256)
            buffers.append((p, size))
            words.append(p)
            return p
        for array in inputs:
            array = np.ascontiguousarray(array)
            C.memmove(buffer(array.nbytes), array.ctypes.data, array.nbytes)
        places = [buffer(int(np.prod(shape)) * np.dtype(dtype).itemsize)
                  for shape, dtype in outputs]
        block = (C.c_uint64 * (len(words) + len(scalars)))(*words, *scalars)
        self.check(self.cl.clSetKernelArg(kernel, 0, C.c_size_t(C.sizeof(block)),
                                          C.byref(block)))
        size3 = C.c_size_t * 3
        self.check(self.cl.clEnqueueNDRangeKernel(
            self.queue, kernel, 3, None,
            size3(*(g * w for g, w in zip(grid, workgroup))),
            size3(*workgroup), 0, None, None))
        self.check(self.cl.clFinish(self.queue))
        results = [np.ctypeslib.as_array(
            C.cast(p, C.POINTER(C.c_uint8)),
            (int(np.prod(shape)) * np.dtype(dtype).itemsize,)).copy().view(
                dtype).reshape(shape) for p, (shape, dtype) in
            zip(places, outputs)]
        for p, size in buffers:
            if C.string_at(p + size, 256) != b"\xa5" * 256:
                raise RuntimeError("a kernel wrote beyond a buffer")
            self.free(self.context, p)
        return results
