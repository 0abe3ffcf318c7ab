# graphs.py - random graphs, built node by node on real values.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`generate(seed)` gives a model with inputs. Every node is evaluated by
onnx.reference when it is added, so that operators are used where they are
defined (no division by zero, no cast out of range) and values stay in bounds."""

import warnings
from dataclasses import dataclass

import numpy
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

MOST_ELEMENTS = 20000
LARGEST = 1e4
FLOATS = ("float32", "float64", "float16")
INTEGERS = ("int64", "int32", "int8", "uint8", "int16", "uint16", "uint32", "uint64")
OPSETS = range(13, 24)
OLD_OPSETS = range(7, 13)
# What other runtimes may not know yet; onnx.reference does.
NEW_OPSETS = range(24, 29)
SPECIAL = [numpy.nan, numpy.inf, -numpy.inf, -0.0, 0.0, 1e-40, 6e4, -6e4]
UNDEFINED_FOR_NAN = ("Sign", "QuantizeLinear", "DynamicQuantizeLinear", "TopK", "ArgMax", "ArgMin", "Hardmax", "Unique")


class Reject(Exception):
    """An operator that doesn't fit what is there."""


@dataclass
class Case:
    model: onnx.ModelProto
    # One or two sets; the second has other sizes where the model leaves them open.
    inputs: list


class Graph:
    """What has been built; the operators' functions (operators.py) add to it."""

    def __init__(self, rng):
        self.rng = rng
        self.opset = int(rng.choice((OPSETS, OLD_OPSETS, NEW_OPSETS)[rng.choice(3, p=[0.75, 0.1, 0.15])]))
        # Whether there are infinities, NaN, denormals.
        self.special = rng.random() < 0.1
        # Whether dimensions are large enough for vectors, tiles and their rests.
        self.large = rng.random() < 0.25
        self.nodes, self.values, self.inputs, self.initializers = [], {}, {}, {}
        self.main = str(rng.choice(FLOATS, p=[0.7, 0.15, 0.15])) if rng.random() < 0.8 else str(rng.choice(INTEGERS))

    # Random choices.

    def chance(self, probability):
        return self.rng.random() < probability

    def integer(self, low, high):
        """Both bounds included."""
        return int(self.rng.integers(low, high + 1))

    def choice(self, values):
        return values[self.integer(0, len(values) - 1)]

    def shape(self, rank=None, most=7):
        rank = self.integer(0, 4) if rank is None else rank
        shape = [0 if self.chance(0.01) else self.integer(1, most) for _ in range(rank)]
        if self.large and rank and most > 5:
            shape[self.integer(0, rank - 1)] = self.choice([8, 16, 17, 31, 33, 64, 65, 100, 130])
        return shape

    def array(self, shape, dtype, low=None, high=None):
        dtype = numpy.dtype(dtype)
        if dtype.kind == "b":
            return numpy.asarray(self.rng.random(shape) < 0.5)
        if dtype.kind == "f":
            array = numpy.asarray(self.rng.uniform(-3 if low is None else low, 3 if high is None else high, shape)).astype(dtype)
            if self.special and low is None and array.ndim:
                where = self.rng.random(array.shape) < 0.2
                array[where] = self.rng.choice(SPECIAL, where.sum()).astype(dtype)
            return array
        low = (0 if dtype.kind == "u" else -10) if low is None else low
        return numpy.asarray(self.rng.integers(low, (10 if high is None else high) + 1, shape)).astype(dtype)

    # Values.

    def add(self, array, constant=None):
        """A new input or initializer; `constant` decides which, else chance."""
        name = f"c{len(self.values)}"
        self.values[name] = array
        constant = self.chance(0.7) if constant is None else constant
        (self.initializers if constant else self.inputs)[name] = array
        return name

    def list(self, values, dtype="int64"):
        """A list of integers that decides about shapes: nearly always a constant."""
        return self.add(numpy.array(values, dtype), constant=self.chance(0.9))

    def pick(self, dtypes=None, rank=None, least_rank=0, where=None):
        """A value of the pool; the newest ones are likelier."""
        found = [name for name, value in self.values.items() if name not in self.initializers and
                 (dtypes is None or value.dtype.name in dtypes) and (rank is None or value.ndim == rank) and
                 value.ndim >= least_rank and (where is None or where(value))]
        if not found:
            raise Reject
        if self.chance(0.6):
            return found[-1]
        return self.choice(found)

    def like(self, name, low=None, high=None):
        """Another operand that broadcasts with a value: one of the pool, or a new one."""
        value = self.values[name]

        def fits(other):
            try:
                return numpy.broadcast_shapes(other.shape, value.shape) is not None
            except ValueError:
                return False

        if low is None and self.chance(0.5):
            return self.pick([value.dtype.name], where=fits)
        shape = [1 if self.chance(0.25) else size for size in value.shape]
        shape = shape[self.integer(0, len(shape)) if self.chance(0.3) else 0:]
        return self.add(self.array(shape, value.dtype, low, high))

    # Nodes.

    def node(self, op, inputs, outputs=1, **attributes):
        """Adds a node; its results' names."""
        attributes = {key: value for key, value in attributes.items() if value is not None}
        names = [f"v{len(self.values) + k}" for k in range(outputs)]
        node = helper.make_node(op, inputs, names, name=f"n{len(self.nodes)}_{op}", **attributes)
        self.finish_node(node, {name: self.values[name] for name in inputs if name})
        return names

    def nested(self, op, inputs, captured, outputs=1, **attributes):
        """The same for a node with subgraphs that read values from outside."""
        names = [f"v{len(self.values) + k}" for k in range(outputs)]
        node = helper.make_node(op, inputs, names, name=f"n{len(self.nodes)}_{op}", **attributes)
        self.finish_node(node, {name: self.values[name] for name in [*inputs, *captured] if name})
        return names

    def finish_node(self, node, given):
        # Of NaN the standard says nothing there, and runtimes differ.
        if node.op_type in UNDEFINED_FOR_NAN and any(
                array.dtype.kind == "f" and numpy.isnan(array).any() for array in given.values()):
            raise Reject
        results = evaluate(onnx_model([node], given, list(node.output), self.opset), given)
        for result in results:
            check(result, self.special)
        ports = [port(name, array, [None] * array.ndim) for name, array in zip(node.output, results)]
        try:
            # Types and attributes that the operator has in this version.
            onnx.checker.check_model(onnx_model([node], given, ports, self.opset), full_check=True)
        except Exception as error:
            raise Reject from error
        self.nodes.append(node)
        self.values |= dict(zip(node.output, results))


def names_read(node):
    """What a node reads, also inside its subgraphs."""
    names = {name for name in node.input if name}
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            for inner in attribute.g.node:
                names |= names_read(inner)
    return names


def check(array, special=False):
    if not isinstance(array, (numpy.ndarray, numpy.generic)) or array.size > MOST_ELEMENTS or array.dtype == object:
        raise Reject
    if array.dtype.kind == "f" and array.size and not special and not numpy.abs(array).max() < LARGEST:
        raise Reject


def evaluate(model, inputs, change=None):
    """onnx.reference's results; Reject where it can't. `change(array)` is what becomes of each node's results."""
    try:
        with warnings.catch_warnings(), numpy.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            evaluator = ReferenceEvaluator(model)
            for node in evaluator.rt_nodes_ if change else []:
                def run(*arguments, original=node.run, **options):
                    return tuple(map(change, original(*arguments, **options)))
                node.run = run
            return [numpy.asarray(value) for value in evaluator.run(None, inputs)]
    except Exception as error:  # Whatever it doesn't know is no case of ours.
        raise Reject from error


def port(name, array, dims=None):
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype),
                                         list(array.shape) if dims is None else dims)


def onnx_model(nodes, given, outputs, opset, initializers=None, ports=None):
    graph = helper.make_graph(nodes, "graph", ports or [port(name, array) for name, array in given.items()],
                              outputs if outputs and not isinstance(outputs[0], str) else
                              [onnx.ValueInfoProto(name=name) for name in outputs],
                              [numpy_helper.from_array(numpy.asarray(array), name) for name, array in (initializers or {}).items()])
    # An IR version that other runtimes know.
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def generate(seed):
    """The case of a seed: a list of integers."""
    import more_operators  # noqa: F401  Adds its own to the table.
    import patterns  # noqa: F401
    from operators import OPERATORS

    rng = numpy.random.default_rng(seed)
    graph = Graph(rng)
    shape = graph.shape()
    for k in range(graph.integer(1, 3)):
        dtype = graph.main if k == 0 or graph.chance(0.7) else str(rng.choice([*FLOATS, *INTEGERS, "bool"]))
        graph.add(graph.array(shape if graph.chance(0.6) else graph.shape(), dtype), constant=False)
    wanted = graph.integer(1, 10) if graph.chance(0.9) else 30
    for _ in range(20 * wanted):
        if len(graph.nodes) >= wanted:
            break
        before = len(graph.values), len(graph.inputs), len(graph.initializers)
        try:
            graph.choice(OPERATORS)(graph)
        except Reject:
            # What was added for a node that didn't come about goes again.
            used = {name for node in graph.nodes for name in [*names_read(node), *node.output]}
            for name in list(graph.values)[before[0]:]:
                if name not in used:
                    graph.values.pop(name), graph.inputs.pop(name, None), graph.initializers.pop(name, None)
    return finish(graph)


def finish(graph):
    used = set().union(*map(names_read, graph.nodes))
    made = [name for node in graph.nodes for name in node.output if name]
    outputs = [name for name in made if name not in used]
    outputs += [name for name in made if name in used and graph.chance(0.1)]
    inputs = {name: array for name, array in graph.inputs.items() if name in used}
    initializers = {name: array for name, array in graph.initializers.items() if name in used}
    # Some sizes get names; equal sizes may get the same.
    dynamic = graph.chance(0.3)
    ports = [port(name, array, [f"s{size}" if graph.chance(0.3) else f"{name}_{d}" if graph.chance(0.2) else size
                                for d, size in enumerate(array.shape)] if dynamic else None)
             for name, array in inputs.items()]
    model = onnx_model(graph.nodes, inputs, [port(name, graph.values[name], [None] * graph.values[name].ndim)
                                             for name in outputs], graph.opset, initializers, ports)
    return Case(model, [inputs, *other_sizes(graph, ports, model, inputs)])


def other_sizes(graph, ports, model, inputs):
    """Inputs with another size for one name, if the model takes them."""
    names = {dim.dim_param: size for port, array in zip(ports, inputs.values())
             for dim, size in zip(port.type.tensor_type.shape.dim, array.shape) if dim.dim_param}
    if not names:
        return []
    name = graph.choice(sorted(names))
    size = graph.choice([k for k in range(1, 12) if k != names[name]])
    changed = {}
    for entry, array in zip(ports, inputs.values()):
        shape = [size if dim.dim_param == name else old
                 for dim, old in zip(entry.type.tensor_type.shape.dim, array.shape)]
        # Its own values, so that what has to be small or positive stays so.
        values = numpy.resize(array, shape) if array.size else graph.array(shape, array.dtype)
        changed[entry.name] = values.astype(array.dtype)
    try:
        results = evaluate(model, changed)
        for result in results:
            check(result, graph.special)
        # Both references broadcast the scale of one channel to several, of which the standard says nothing.
        for node in graph.nodes:
            if node.op_type == "GroupNormalization" and graph.values[node.input[1]].size == 1:
                x = {**changed, **graph.initializers}.get(node.input[0])
                if x is None:
                    x = evaluate(cut(model, [node.input[0]]), changed)[0]
                if x.shape[1] != 1:
                    return []
    except Reject:
        return []
    return [changed]


def cut(model, names):
    """What computes values of a model, which are its outputs then."""
    cut_model = onnx.ModelProto()
    cut_model.CopyFrom(model)
    graph = cut_model.graph
    del graph.output[:]
    graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name)
    needed, kept = {port.name for port in graph.output}, []
    for node in reversed(graph.node):
        if needed & set(node.output):
            kept.append(node)
            needed |= names_read(node)
    kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in reversed(kept)]
    del graph.node[:]
    graph.node.extend(kept)
    for field in (graph.input, graph.initializer):
        rest = [entry for entry in field if entry.name in needed]
        rest = [type(entry).FromString(entry.SerializeToString()) for entry in rest]
        del field[:]
        field.extend(rest)
    return cut_model


def computed(model, node):
    """Names of what a node reads and other nodes compute."""
    made = {name for other in model.graph.node for name in other.output}
    return sorted(names_read(node) & made)


def single(model, node, values):
    """The model of one node; what it reads of `values` is its inputs."""
    alone = cut(model, node.output)
    node = onnx.NodeProto.FromString(node.SerializeToString())
    read = names_read(node)
    constants = [onnx.TensorProto.FromString(entry.SerializeToString()) for entry in alone.graph.initializer
                 if entry.name in read]
    given = {name: values[name] for name in read & set(values)}
    del alone.graph.node[:], alone.graph.input[:], alone.graph.initializer[:]
    alone.graph.node.append(node)
    alone.graph.initializer.extend(constants)
    alone.graph.input.extend(port(name, array, array.shape) for name, array in given.items())
    return alone
