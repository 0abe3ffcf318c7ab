# aicc_runtime.py - the runtime's C API by ctypes, as far as tests and benchmarks need it.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`Session(package, device, threads)` runs a package on NumPy arrays in this process."""

import ctypes
from ctypes import POINTER, byref, c_char_p, c_int, c_int64, c_size_t, c_uint32, c_uint64, c_void_p

import numpy

from aicc_testing import BUILD

# aicc_type in runtime/include/aicc/runtime.h.
TYPES = {1: "bool", 2: "int8", 3: "uint8", 4: "int16", 5: "uint16", 6: "int32", 7: "uint32", 8: "int64", 9: "uint64",
         10: "float16", 12: "float32", 13: "float64", 26: "complex64", 27: "complex128"}
try:
    import ml_dtypes

    for code, name in {11: "bfloat16", 14: "float8_e4m3fn", 15: "float8_e4m3fnuz", 16: "float8_e5m2",
                       17: "float8_e5m2fnuz", 18: "float8_e8m0fnu", 19: "float4_e2m1fn", 20: "float6_e2m3fn",
                       21: "float6_e3m2fn", 22: "int4", 23: "uint4", 24: "int2", 25: "uint2"}.items():
        if hasattr(ml_dtypes, name):
            TYPES[code] = getattr(ml_dtypes, name)
except ImportError:
    pass
CODES = {numpy.dtype(name): code for code, name in TYPES.items()}


class Port(ctypes.Structure):
    _fields_ = [("struct_size", c_size_t), ("name", c_char_p), ("type", c_int), ("rank", c_size_t),
                ("dims", POINTER(c_int64)), ("expressions", POINTER(c_char_p))]


class SessionOptions(ctypes.Structure):
    _fields_ = [("struct_size", c_size_t), ("threads", c_uint32), ("variant", c_char_p)]


class MemoryInfo(ctypes.Structure):
    _fields_ = [("struct_size", c_size_t)] + [(name, c_uint64) for name in (
        "weight_bytes", "prepared_bytes", "arena_bytes", "arena_total_bytes", "staging_bytes", "peak_bytes")]


class Value(ctypes.Structure):
    _fields_ = [("struct_size", c_size_t), ("name", c_char_p), ("nodes", c_char_p), ("index", c_uint32),
                ("loop_count", c_size_t), ("iterations", POINTER(c_int64)), ("type", c_int), ("rank", c_size_t),
                ("dims", POINTER(c_int64)), ("data", c_void_p)]


Observer = ctypes.CFUNCTYPE(None, POINTER(Value), c_void_p)

_library = None


def library():
    global _library
    if _library is None:
        _library = ctypes.CDLL(str(BUILD / "lib" / "libaicc_runtime.so"))
        for name, result, arguments in (
            ("aicc_message", c_char_p, []),
            ("aicc_device_find", c_void_p, [c_char_p]),
            ("aicc_package_open", c_int, [c_char_p, c_void_p, POINTER(c_void_p)]),
            ("aicc_package_release", None, [c_void_p]),
            ("aicc_package_input_count", c_size_t, [c_void_p]),
            ("aicc_package_output_count", c_size_t, [c_void_p]),
            ("aicc_package_input", c_int, [c_void_p, c_size_t, POINTER(Port)]),
            ("aicc_package_output", c_int, [c_void_p, c_size_t, POINTER(Port)]),
            ("aicc_session_create", c_int, [c_void_p, c_void_p, POINTER(SessionOptions), POINTER(c_void_p)]),
            ("aicc_session_release", None, [c_void_p]),
            ("aicc_session_run", c_int, [c_void_p, POINTER(c_void_p), c_size_t, POINTER(c_void_p), c_size_t]),
            ("aicc_session_memory", c_int, [c_void_p, POINTER(MemoryInfo)]),
            ("aicc_session_variant", c_char_p, [c_void_p]),
            ("aicc_session_observe", c_int, [c_void_p, Observer, c_void_p]),
            ("aicc_tensor_from_host", c_int, [c_void_p, c_int, c_size_t, POINTER(c_int64), c_void_p, c_void_p,
                                              POINTER(c_void_p)]),
            ("aicc_tensor_release", None, [c_void_p]),
            ("aicc_tensor_data", c_void_p, [c_void_p]),
            ("aicc_tensor_type", c_int, [c_void_p]),
            ("aicc_tensor_rank", c_size_t, [c_void_p]),
            ("aicc_tensor_dims", POINTER(c_int64), [c_void_p]),
            ("aicc_tensor_bytes", c_size_t, [c_void_p]),
        ):
            function = getattr(_library, name)
            function.restype, function.argtypes = result, arguments
    return _library


class Error(RuntimeError):
    pass


def _check(status):
    if status:
        raise Error(library().aicc_message().decode(errors="replace"))


class Session:
    def __init__(self, package, device="cpu", threads=0):
        api = library()
        self.package, self.session = c_void_p(), c_void_p()
        _check(api.aicc_package_open(str(package).encode(), None, byref(self.package)))
        self.inputs = self._ports(api.aicc_package_input_count, api.aicc_package_input)
        self.outputs = self._ports(api.aicc_package_output_count, api.aicc_package_output)
        found = api.aicc_device_find(device.encode())
        if not found:
            _check(2)
        options = SessionOptions(ctypes.sizeof(SessionOptions), threads, None)
        _check(api.aicc_session_create(self.package, found, byref(options), byref(self.session)))
        self.kept, self.in_tensors, self.out_tensors = None, (), ()

    def _ports(self, count, get):
        names = []
        for k in range(count(self.package)):
            port = Port(ctypes.sizeof(Port))
            _check(get(self.package, k, byref(port)))
            names.append(port.name.decode())
        return names

    @property
    def variant(self):
        return library().aicc_session_variant(self.session).decode()

    def memory(self):
        info = MemoryInfo(ctypes.sizeof(MemoryInfo))
        _check(library().aicc_session_memory(self.session, byref(info)))
        return {name: getattr(info, name) for name, _ in MemoryInfo._fields_[1:]}

    def bind(self, arrays):
        """Prepares for run(): inputs without a copy, outputs as a first run makes them."""
        api = library()
        missing = [name for name in self.inputs if name not in arrays]
        if missing:
            raise Error(f"no input '{missing[0]}'")
        # Not ascontiguousarray: that gives a scalar a dimension.
        self.kept = [numpy.array(arrays[name], order="C", copy=None) for name in self.inputs]
        for name, array in zip(self.inputs, self.kept):
            if array.dtype not in CODES:
                raise Error(f"input '{name}' has type {array.dtype}, which the runtime doesn't know")
        self._release_tensors()
        self.in_tensors = (c_void_p * len(self.kept))()
        for k, array in enumerate(self.kept):
            tensor = c_void_p()
            dims = (c_int64 * array.ndim)(*array.shape)
            _check(api.aicc_tensor_from_host(array.ctypes.data, CODES[array.dtype], array.ndim, dims, None, None,
                                             byref(tensor)))
            self.in_tensors[k] = tensor.value
        self.out_tensors = (c_void_p * len(self.outputs))()
        self.run()

    def run(self):
        """Runs on what was bound; the outputs are written in place."""
        _check(library().aicc_session_run(self.session, self.in_tensors, len(self.in_tensors), self.out_tensors,
                                          len(self.out_tensors)))

    def results(self):
        api, found = library(), {}
        for name, tensor in zip(self.outputs, self.out_tensors):
            rank = api.aicc_tensor_rank(tensor)
            shape = tuple(api.aicc_tensor_dims(tensor)[:rank])
            data = ctypes.string_at(api.aicc_tensor_data(tensor), api.aicc_tensor_bytes(tensor))
            found[name] = numpy.frombuffer(data, TYPES[api.aicc_tensor_type(tensor)]).reshape(shape)
        return found

    def observe(self):
        """Runs on what was bound: [(name, nodes, iterations of the loops around it, array)] of the values on the way."""
        seen = []

        def keep(pointer, _):
            value = pointer.contents
            shape = tuple(value.dims[: value.rank])
            dtype = numpy.dtype(TYPES[value.type])
            size = int(numpy.prod(shape, dtype=int)) * dtype.itemsize
            data = ctypes.string_at(value.data, size) if size else b""
            seen.append((value.name.decode(), value.nodes.decode(), tuple(value.iterations[: value.loop_count]),
                         numpy.frombuffer(data, dtype).reshape(shape)))

        callback = Observer(keep)
        _check(library().aicc_session_observe(self.session, callback, None))
        try:
            self.run()
        finally:
            _check(library().aicc_session_observe(self.session, Observer(), None))
        return seen

    def _release_tensors(self):
        for tensor in [*self.in_tensors, *self.out_tensors]:
            library().aicc_tensor_release(tensor)
        self.in_tensors = self.out_tensors = ()

    def close(self):
        api = library()
        self._release_tensors()
        api.aicc_session_release(self.session)
        api.aicc_package_release(self.package)
