# __init__.py - aicc from Python: compile a model, run it on arrays.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""One model file, every accelerator.

    import aicc
    package = aicc.compile("model.onnx", targets=["cpu", "intel"], output="model.aicc")
    session = package.session("cpu")
    y, = session(x)                      # or session(x=x)

Arrays are NumPy's, PyTorch's or any other with DLPack; those in the memory of
the host that are contiguous are used where they lie. The results are arrays of
the same kind, in memory that the runtime made and nobody copies.

Objects may be used from several threads at once.
"""

import json
import os
import tempfile
from typing import NamedTuple

from . import _runtime
from ._arrays import Tensor, as_tensor, to_numpy, type_name
from ._runtime import Error
from ._values import assemble, flatten

__all__ = ["CompileError", "Error", "Package", "Port", "Session", "Tensor", "as_tensor", "compile", "devices",
           "has_device", "load", "load_driver", "to_numpy"]
__version__ = "0.1.0"


class CompileError(Error):
    """A model that can't be compiled. `needed` names inputs whose values would
    have been needed while compiling (`compile(values=...)`)."""

    def __init__(self, message, needed=()):
        super().__init__(message)
        self.needed = list(needed)


class Port(NamedTuple):
    """An input or output: a dimension is a number, or an expression over the
    package's symbols."""

    name: str
    type: str
    dims: tuple


def devices():
    """What there is to run on: a dictionary for each device."""
    return _runtime.devices()


def has_device(name):
    """Whether there is a device "cpu:0", or one of family "cpu"."""
    return _runtime.has_device(name)


def load_driver(path):
    """Loads a driver from a shared object."""
    _runtime.load_driver(os.fspath(path))


class Package:
    """A compiled model. `source` is a package file's path, or its bytes."""

    def __init__(self, source):
        self._package = (_runtime.package_from_bytes(source) if isinstance(source, bytes) else
                         _runtime.open_package(os.fspath(source)))

    @property
    def inputs(self):
        return [Port(*port) for port in self._package.inputs]

    @property
    def outputs(self):
        return [Port(*port) for port in self._package.outputs]

    @property
    def symbols(self):
        """Names of the dimensions that a caller chooses."""
        return self._package.symbols

    @property
    def variants(self):
        """The targets that there is code for, such as "cpu:x86-64-v4"."""
        return self._package.variants

    @property
    def signature(self):
        """How ports make up the sequences, optionals and maps among inputs and
        outputs (`aicc_package_signature`); None if all are tensors."""
        text = self._package.signature
        return text and json.loads(text)

    def describe(self):
        """Everything inside."""
        return json.loads(self._package.describe())

    def session(self, device="cpu", threads=0, variant=None):
        """Loads the code and lays out the weights. `device` is a name, or a list of names for a package whose code is
        for several at once. `threads` counts for a CPU, 0 = one per core."""
        return Session(self, device, threads, variant)


def load(path):
    """Opens a package file."""
    return Package(path)


class Session:
    """A package on a device, or several."""

    def __init__(self, package, device="cpu", threads=0, variant=None):
        self.package = package
        devices = [device] if isinstance(device, str) else list(device)
        self._session = _runtime.create_session(package._package, devices, threads, variant)
        self._inputs = package.inputs
        self._outputs = package.outputs
        self._signature = package.signature

    @property
    def variant(self):
        return self._session.variant

    def run(self, inputs, outputs=None):
        """Runs on {name: array}, or arrays in the package's order; returns the
        results as `Tensor`s in the package's order. `outputs` ({name: array})
        are written in place."""
        if isinstance(inputs, dict):
            unknown = inputs.keys() - {port.name for port in self._inputs}
            missing = [port.name for port in self._inputs if port.name not in inputs]
            if unknown or missing:
                names = ", ".join(repr(port.name) for port in self._inputs) or "none"
                raise Error(f"there is no input {sorted(unknown)[0]!r}, expected {names}" if unknown else
                            f"input {missing[0]!r} is missing, expected {names}")
            inputs = [inputs[port.name] for port in self._inputs]
        if len(inputs) != len(self._inputs):
            raise Error(f"{len(inputs)} inputs are given, expected {len(self._inputs)}")
        outputs = dict(outputs or {})
        given = [outputs.pop(port.name, None) for port in self._outputs]
        if outputs:
            raise Error(f"there is no output {next(iter(outputs))!r}, expected "
                        f"{', '.join(repr(port.name) for port in self._outputs)}")
        return self._session.run([as_tensor(array) for array in inputs],
                                 [array if array is None else as_tensor(array, copy=False) for array in given])

    def __call__(self, /, *arrays, **named):
        """The results as a list of arrays of the inputs' kind: PyTorch's if one is, else NumPy's. A sequence is a list,
        an absent optional None, a map a dict."""
        if arrays and named:
            raise Error("inputs are given by position and by name, expected one or the other")
        if self._signature:
            entries = self._signature["inputs"]
            if len(arrays) > len(entries):
                raise Error(f"{len(arrays)} inputs are given, expected {len(entries)}")
            values = flatten(self._signature, named or dict(zip((entry["name"] for entry in entries), arrays)))
            arrays, named = [values[k] for k in range(len(values))], None
        results = self._convert(self.run(named or arrays), named or arrays)
        return assemble(self._signature, results) if self._signature else results

    @staticmethod
    def _convert(results, arrays):
        arrays = arrays.values() if isinstance(arrays, dict) else arrays
        if any(type(array).__module__.split(".")[0] == "torch" for array in arrays):
            import torch

            return [torch.from_dlpack(tensor) for tensor in results]
        return [to_numpy(tensor) for tensor in results]


def compile(model, *, targets="cpu", output=None, dims=None, values=None, sequences=None, directory=None, places=None,
            precision="f32", allow_tf32=False, jobs=0, cache=True):
    """Compiles a model to a `Package`.

    model      a file's path, an ONNX model's bytes, or an `onnx.ModelProto`
    targets    "cpu", "cpu:x86-64-v3", ["cuda", "rocm:gfx942", "intel"], ...; "cpu+intel" is code for both at once
    places     {regular expression for names of nodes: family}, for such a set: who does what; the last match wins
    output     the package file to write; without one the package is only in memory
    dims       {name: size} fixes dynamic dimensions
    values     {input's name: array} makes inputs constants
    sequences  {input's name: what is in it}, of sequences and optionals: "3" elements, "[2,3][4,n]" (shapes), "none"
    directory  where a model that isn't a file has its external data
    precision  what the model computes in: "f32" (as it is), "f16" or "bf16"
    allow_tf32 whether products of f32 may round their operands to tf32, on GPUs that have it
    jobs       threads, 0 = one per core
    cache      whether to use the user's cache of compiled kernels
    """
    from . import _compiler

    data, name = None, "model"
    if isinstance(model, (bytes, bytearray, memoryview)):
        data = bytes(model)
    elif hasattr(model, "SerializeToString"):
        data = model.SerializeToString()
    else:
        name = os.fspath(model)
    constants = []
    for key, value in (values or {}).items():
        array = to_numpy(as_tensor(value))
        constants.append((key, type_name(array), list(array.shape), array.tobytes()))

    def run(path):
        good, message, needed = _compiler.compile(
            name, data, os.fspath(directory or ""), path, [targets] if isinstance(targets, str) else list(targets),
            list((dims or {}).items()), constants, list((sequences or {}).items()),
            list((places or {}).items()), precision, allow_tf32, jobs, cache)
        if not good:
            raise CompileError(message, needed)
        return Package(path)

    if output is not None:
        return run(os.fspath(output))
    # The file is mapped, so that it can go as soon as it is open.
    with tempfile.TemporaryDirectory(prefix="aicc-") as folder:
        return run(os.path.join(folder, "model.aicc"))
