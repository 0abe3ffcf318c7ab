#!/usr/bin/env python3
# observed_values.py - values on the way are the model's tensors, by name.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Small models are run once with every value observed (aicc_session_observe), and each is compared with the tensor of
its name that onnx's reference evaluator computes. A pass of the compiler that gives a helper the name of the tensor it
helps with is found here: two variants could be told apart by nothing but names."""

import importlib.util
import pathlib
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "harness"))
from aicc_testing import call, program, skip  # noqa: E402

for module in ("numpy", "onnx"):
    if importlib.util.find_spec(module) is None:
        skip(f"no Python module {module}")

import numpy  # noqa: E402
import onnx  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

random = numpy.random.default_rng(5)


def weight(name, *shape):
    return numpy_helper.from_array(random.standard_normal(shape).astype(numpy.float32) / 4, name)


def model(nodes, inputs, outputs, weights=()):
    def ports(shapes):
        return [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]

    graph = helper.make_graph(nodes, "values", ports(inputs), ports(outputs), list(weights))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def node(kind, inputs, outputs, **attributes):
    return helper.make_node(kind, inputs.split(), outputs.split(), name="node_" + outputs.split()[0], **attributes)


def products():
    """Three-dimensional products, which are collapsed to matrices."""
    nodes = [node("MatMul", "x w1", "first"), node("Relu", "first", "positive"), node("MatMul", "positive w2", "second"),
             node("Add", "second bias", "sum"), node("Softmax", "sum", "y", axis=-1)]
    return model(nodes, {"x": [4, 3, 16]}, {"y": [4, 3, 8]},
                 [weight("w1", 16, 32), weight("w2", 32, 8), weight("bias", 8)]), 2


def heads():
    """Reshapes and transposes between products."""
    shape = numpy_helper.from_array(numpy.array([2, 5, 4, 8], dtype=numpy.int64), "shape")
    nodes = [node("MatMul", "x w1", "wide"), node("Reshape", "wide shape", "apart"),
             node("Transpose", "apart", "heads", perm=[0, 2, 1, 3]), node("Transpose", "apart", "keys", perm=[0, 2, 3, 1]),
             node("MatMul", "heads keys", "scores"), node("Softmax", "scores", "weights", axis=-1),
             node("MatMul", "weights heads", "y")]
    return model(nodes, {"x": [2, 5, 16]}, {"y": [2, 4, 5, 8]}, [weight("w1", 16, 32), shape]), 3


def reductions():
    nodes = [node("LayerNormalization", "x scale shift", "normal", axis=-1), node("MatMul", "normal w1", "product"),
             node("ReduceMax", "product", "largest", keepdims=1), node("Sub", "product largest", "y")]
    return model(nodes, {"x": [6, 16]}, {"y": [6, 24]}, [weight("scale", 16), weight("shift", 16), weight("w1", 16, 24)]), 2


def several_results():
    """Operators with more than one result: a name must not stand for another one."""
    k = numpy_helper.from_array(numpy.array([3], dtype=numpy.int64), "k")
    nodes = [node("MatMul", "x w1", "product"), node("TopK", "product k", "top places", axis=-1),
             node("Split", "product", "left right", axis=-1, num_outputs=2), node("MatMul", "left w2", "narrow"),
             node("MatMul", "top w3", "other"), node("Concat", "narrow right other", "y", axis=-1)]
    return model(nodes, {"x": [5, 16]}, {"y": [5, 24]},
                 [k, weight("w1", 16, 16), weight("w2", 8, 8), weight("w3", 3, 8)]), 2


def check(build, folder):
    import aicc_runtime
    from onnx.reference import ReferenceEvaluator

    proto, least = build()
    onnx.checker.check_model(proto)
    path, package = folder / f"{build.__name__}.onnx", folder / f"{build.__name__}.aicc"
    onnx.save(proto, path)
    status, _, err = call(program("aicc"), path, "--target=cpu", "-o", package)
    assert status == 0, err
    inputs = {port.name: random.standard_normal([d.dim_value for d in port.type.tensor_type.shape.dim])
              .astype(numpy.float32) for port in proto.graph.input}
    expected = ReferenceEvaluator(proto).run(None, inputs, intermediate=True)
    session = aicc_runtime.Session(package)
    session.bind(inputs)
    between = set()
    seen = session.observe()
    outputs = session.results()
    session.close()
    for name, nodes, iterations, value in [*seen, *((name, "", (), value) for name, value in outputs.items())]:
        assert name in expected, f"'{name}' is no tensor of the model"
        reference = numpy.asarray(expected[name])
        assert value.size == reference.size, f"'{name}' has shape {value.shape}, expected {reference.shape}"
        error = numpy.abs(value.reshape(reference.shape) - reference).max()
        assert error <= 1e-4 * numpy.abs(reference).max(), f"'{name}' of {nodes} differs by {error}"
        if name not in outputs:
            between.add(name)
            assert nodes, f"'{name}' is of no node"
    assert len(between) >= least, f"saw {sorted(between)}, expected at least {least} between inputs and outputs"
    print(f"ok   {build.__name__}: {', '.join(sorted(between))}", flush=True)


def main():
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for build in (products, heads, reductions, several_results):
            try:
                check(build, pathlib.Path(folder))
            except AssertionError as error:
                failed += 1
                print(f"FAIL {build.__name__}: {error}", flush=True)
    return failed != 0


if __name__ == "__main__":
    program("aicc")
    sys.exit(main())
