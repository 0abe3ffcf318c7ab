# onnx_backend.py - aicc as a backend in the sense of onnx.backend.base.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`aicc.onnx_backend.prepare(model).run(inputs)`.

A model is compiled when it is prepared. If its import needs the values of
inputs that decide about ranks or types (the axes of a reduction, for
instance), it is compiled when it is run, with lists of integers among those
inputs as constants, once for each of their values. The same holds for a model
with sequences or optionals as inputs, once for each number of elements, and for one
whose sizes have to be known, which two open sizes that are broadcast can need.
"""

import numpy
import onnx
from onnx.backend.base import Backend as _Backend
from onnx.backend.base import BackendRep as _BackendRep
from onnx.backend.base import namedtupledict

import aicc

# ONNX's names of devices; others are the runtime's own.
DEVICES = {"CPU": "cpu", "CUDA": "cuda"}


def _target_of(device):
    """The target that code for a device is compiled for, where nobody says another."""
    family, *rest = device.split(":")
    if rest[:1] == ["virtual"]:
        return device
    return "cpu:native" if family == "cpu" else family


def _is_list_of_integers(value):
    return isinstance(value, numpy.ndarray) and value.dtype.kind in "iub" and value.ndim <= 1


def _key(constants):
    return tuple((name, value.dtype.str, value.shape, value.tobytes()) for name, value in sorted(constants.items()))


def _contents(value, kind):
    """What `aicc.compile(sequences=...)` says of a value; None where the type says enough."""
    which = kind.WhichOneof("value")
    if which == "map_type":
        return None
    if which == "optional_type":
        return "none" if value is None else _contents(value, kind.optional_type.elem_type) or "1"
    if which == "sequence_type":
        if kind.sequence_type.elem_type.tensor_type.HasField("shape"):
            return str(len(value))
        return "".join(_contents(element, kind.sequence_type.elem_type) for element in value) or "0"
    if kind.tensor_type.HasField("shape"):
        return None
    return f"[{','.join(map(str, numpy.shape(value)))}]"


def _says_enough(kind):
    which = kind.WhichOneof("value")
    return which == "map_type" or which == "tensor_type" and kind.tensor_type.HasField("shape")


def _symbols(name, kind):
    """How the compiler calls the dimensions of an input that have no size; None for those that have one."""
    if kind.WhichOneof("value") != "tensor_type":
        return []
    # Expressions are made of other dimensions' names.
    return [None if dim.HasField("dim_value") and dim.dim_value >= 0 or set(dim.dim_param) & set("+-*/()") else
            dim.dim_param or f"{name}_dim{k}" for k, dim in enumerate(kind.tensor_type.shape.dim)]


class BackendRep(_BackendRep):
    """A model on a device."""

    def __init__(self, model, device, targets=None, threads=0, **options):
        self._model = model.SerializeToString()
        self._device = device
        self._threads = threads
        self._options = {"targets": targets or _target_of(device), **options}
        initialized = {tensor.name for tensor in model.graph.initializer}
        initialized |= {tensor.values.name for tensor in model.graph.sparse_initializer}
        types = {port.name: port.type for port in model.graph.input if port.name not in initialized}
        self.inputs = list(types)
        # Inputs of which the model doesn't say how many tensors they are.
        self._described = {name: kind for name, kind in types.items() if not _says_enough(kind)}
        self.outputs = [port.name for port in model.graph.output]
        self._tuple = namedtupledict("Outputs", self.outputs)
        self._sessions = {}
        # Names of the inputs that have to be constants.
        self._needed = []
        self._symbols = {name: symbols for name, kind in types.items() if any(symbols := _symbols(name, kind))}
        # Whether sizes that the model leaves open have to be fixed.
        self._fixed = False
        if self._described:
            return
        try:
            self._sessions[(), (), ()] = self._compile({}, {}, {})
        except aicc.CompileError as error:
            self._needed = [name for name in error.needed if name in self.inputs]
            if not self._needed and not self._symbols:
                raise
            self._fixed = not self._needed

    def _compile(self, constants, sequences, dims):
        options = {**self._options, "dims": {**dims, **self._options.get("dims", {})}}
        package = aicc.compile(self._model, values=constants, sequences=sequences, **options)
        return package.session(self._device, self._threads)

    def _sizes(self, inputs, constants):
        dims = {}
        for name, symbols in self._symbols.items():
            if name in inputs and name not in constants:
                for symbol, size in zip(symbols, numpy.shape(inputs[name])):
                    if symbol:
                        dims.setdefault(symbol, size)
        return dims

    def _session(self, inputs, fixed):
        """A session for these inputs, and those of them that it doesn't have as constants."""
        sequences = {name: _contents(inputs[name], kind) for name, kind in self._described.items() if name in inputs}
        while True:
            constants = {name: numpy.asarray(inputs[name]) for name in self._needed if name in inputs}
            constants = {name: value for name, value in constants.items() if _is_list_of_integers(value)}
            described = {name: contents for name, contents in sequences.items() if name not in constants}
            dims = self._sizes(inputs, constants) if fixed else {}
            key = _key(constants), tuple(described.items()), tuple(dims.items())
            if key not in self._sessions:
                try:
                    self._sessions[key] = self._compile(constants, described, dims)
                except aicc.CompileError as error:
                    more = [name for name in error.needed if name not in self._needed and
                            _is_list_of_integers(inputs.get(name))]
                    if not more:
                        raise
                    self._needed += more
                    continue
            return self._sessions[key], {name: value for name, value in inputs.items() if name not in constants}

    def _evaluate(self, inputs, fixed):
        session, rest = self._session(inputs, fixed)
        signature = session.package.signature
        names = [entry["name"] for entry in signature["outputs"]] if signature else \
            [port.name for port in session.package.outputs]
        return dict(zip(names, session(**rest)))

    def run(self, inputs, **kwargs):
        """`inputs` in the graph's order, or by name."""
        if isinstance(inputs, dict):
            named = dict(inputs)
        else:
            inputs = inputs if isinstance(inputs, (list, tuple)) else [inputs]
            if len(inputs) > len(self.inputs):
                raise aicc.Error(f"{len(inputs)} inputs are given, expected {len(self.inputs)}")
            named = dict(zip(self.inputs, inputs))
        try:
            found = self._evaluate(named, self._fixed)
        except aicc.Error as error:
            # What can't be said of all sizes may be right for these.
            if self._fixed or not self._symbols:
                raise
            found = self._evaluate(named, True)
            self._fixed |= isinstance(error, aicc.CompileError)
        return self._tuple(*(found[name] for name in self.outputs))


class Backend(_Backend):
    @classmethod
    def device_name(cls, device):
        """The runtime's name of a device."""
        family, _, index = device.partition(":")
        family = DEVICES.get(family, family)
        return f"{family}:{index}" if index else family

    @classmethod
    def supports_device(cls, device):
        return aicc.has_device(cls.device_name(device))

    @classmethod
    def is_compatible(cls, model, device="CPU", **kwargs):
        return True

    @classmethod
    def prepare(cls, model, device="CPU", **kwargs):
        """`kwargs`: `threads`, and what `aicc.compile` takes."""
        return BackendRep(model, cls.device_name(device), **kwargs)

    @classmethod
    def run_model(cls, model, inputs, device="CPU", **kwargs):
        return cls.prepare(model, device, **kwargs).run(inputs)

    @classmethod
    def run_node(cls, node, inputs, device="CPU", outputs_info=None, **kwargs):
        """One node on arrays. `opset_version`: of ai.onnx, the newest unless given."""
        opset = kwargs.pop("opset_version", onnx.defs.onnx_opset_version())
        inputs = inputs if isinstance(inputs, (list, tuple)) else [inputs]
        given = [name for name in node.input if name]
        ports = [onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
                 for name, array in zip(given, map(numpy.asarray, inputs))]
        outputs = [onnx.ValueInfoProto(name=name) for name in node.output if name]
        imports = [onnx.helper.make_opsetid("", opset)]
        if node.domain not in ("", "ai.onnx"):
            imports.append(onnx.helper.make_opsetid(node.domain, kwargs.pop("domain_version", 1)))
        model = onnx.helper.make_model(onnx.helper.make_graph([node], "node", ports, outputs), opset_imports=imports)
        return cls.run_model(model, list(inputs), device, **kwargs)


supports_device = Backend.supports_device
is_compatible = Backend.is_compatible
prepare = Backend.prepare
run_model = Backend.run_model
run_node = Backend.run_node
