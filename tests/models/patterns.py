#!/usr/bin/env python3
# patterns.py - what exporters decompose is put together again, and stays right.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""patterns.py [--filter=WORD]

Small models, exported by PyTorch's two exporters or written as tf2onnx writes
them. For each: the simplified graph has the operators that it
should, has none of those that it shouldn't, and the results agree with ONNX
Runtime.
"""

import argparse
import io
import pathlib
import re
import sys
import tempfile
import warnings

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "harness"))
from aicc_testing import call, last_line, program, python_package, relative_error, skip  # noqa: E402

try:
    import numpy
    import onnx
    import onnxruntime
    from onnx import helper, numpy_helper
except ImportError as missing:
    skip(f"{missing.name} is not installed")

python_package()
import aicc  # noqa: E402


def torch_cases():
    """(name, module, inputs, exporter, operators that must be there and how often, operators that must not)."""
    try:
        import torch
    except ImportError:
        return

    class Rms(torch.nn.Module):
        def __init__(self, power):
            super().__init__()
            self.weight, self.power = torch.nn.Parameter(torch.rand(16)), power

        def forward(self, x):
            variance = (x.pow(2) if self.power else x * x).mean(-1, keepdim=True)
            return self.weight * (x * torch.rsqrt(variance + 1e-6))

    class ByHand(torch.nn.Module):
        def forward(self, x):
            mean = x.mean(-1, keepdim=True)
            return (x - mean) / torch.sqrt(((x - mean) ** 2).mean(-1, keepdim=True) + 1e-5)

    class Silu(torch.nn.Module):
        def forward(self, x):
            return x / (1 + torch.exp(-x))

    class Gpt2(torch.nn.Module):
        def forward(self, x):
            return 0.5 * x * (1 + torch.tanh(0.7978845608 * (x + 0.044715 * torch.pow(x, 3.0))))

    x = torch.randn(3, 5, 16)
    norm = torch.nn.LayerNorm(16)
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    roots = ["sqrt", "rsqrt", "power", "reduce", "divide"]
    for exporter in ("torchscript", "dynamo"):
        yield f"layer_norm_{exporter}", norm, x, exporter, {"normalize": 1}, roots
        yield f"layer_norm_by_hand_{exporter}", ByHand(), x, exporter, {"normalize": 1}, roots
        for power in (False, True):
            yield f"rms_norm_{power:d}_{exporter}", Rms(power), x, exporter, {"normalize": 1}, roots
        yield f"silu_{exporter}", Silu(), x, exporter, {"sigmoid": 1, "multiply": 1}, ["exp", "divide", "add"]
        yield f"silu_module_{exporter}", torch.nn.SiLU(), x, exporter, {"sigmoid": 1, "multiply": 1}, ["exp", "divide"]
        yield f"gelu_{exporter}", torch.nn.GELU(), x, exporter, {"erf": 1, "add": 1}, ["power"]
        yield (f"tanh_gelu_{exporter}", torch.nn.GELU(approximate="tanh"), x, exporter, {"sigmoid": 1},
               ["tanh", "power", "divide"])
        yield f"gpt2_gelu_{exporter}", Gpt2(), x, exporter, {"sigmoid": 1}, ["tanh", "power", "divide"]


def export(module, x, exporter):
    import torch

    buffer = io.BytesIO()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if exporter == "torchscript":
            # Before opset 17 there is no LayerNormalization, before 20 no Gelu.
            torch.onnx.export(module.eval(), (x,), buffer, input_names=["x"], opset_version=13, dynamo=False)
            return onnx.load_from_string(buffer.getvalue())
        return torch.onnx.export(module.eval(), (x,), input_names=["x"], dynamo=True, verbose=False).model_proto


def model_of(nodes, inputs, constants, opset=13):
    graph = helper.make_graph(
        nodes, "model",
        [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape) for n, a in inputs.items()],
        [helper.make_empty_tensor_value_info("y")], [numpy_helper.from_array(a, n) for n, a in constants.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def written_cases():
    rng = numpy.random.default_rng(3)

    def f32(*shape):
        return rng.standard_normal(shape).astype(numpy.float32)

    # tf2onnx, Keras' LayerNormalization: tf.nn.moments and tf.nn.batch_normalization.
    node = helper.make_node
    keras = [node("ReduceMean", ["x"], ["mean"], axes=[-1], keepdims=1), node("Sub", ["x", "mean"], ["d"]),
             node("Mul", ["d", "d"], ["square"]), node("ReduceMean", ["square"], ["variance"], axes=[-1], keepdims=1),
             node("Add", ["variance", "epsilon"], ["sum"]), node("Sqrt", ["sum"], ["root"]),
             node("Reciprocal", ["root"], ["inverse"]), node("Mul", ["inverse", "gamma"], ["scale"]),
             node("Mul", ["mean", "scale"], ["shifted"]), node("Sub", ["beta", "shifted"], ["offset"]),
             node("Mul", ["x", "scale"], ["scaled"]), node("Add", ["scaled", "offset"], ["y"])]
    yield ("keras_layer_norm", model_of(keras, {"x": f32(2, 4, 8)},
                                        {"epsilon": numpy.float32(1e-3), "gamma": f32(8), "beta": f32(8)}),
           {"x": f32(2, 4, 8)}, {"normalize": 1}, ["sqrt", "reciprocal", "reduce"])
    # Keras' gelu: 0.5 * x * (1 + erf(x / sqrt(2))), the constants first.
    gelu = [node("Mul", ["half", "x"], ["h"]), node("Div", ["x", "root"], ["s"]), node("Erf", ["s"], ["e"]),
            node("Add", ["one", "e"], ["a"]), node("Mul", ["h", "a"], ["y"])]
    yield ("keras_gelu", model_of(gelu, {"x": f32(3, 8)}, {"half": numpy.float32(0.5), "one": numpy.float32(1),
                                                           "root": numpy.float32(1.4142135)}),
           {"x": f32(3, 8)}, {"erf": 1, "add": 1}, [])


def cases():
    for name, module, x, exporter, has, lacks in torch_cases():
        yield name, lambda m=module, x=x, e=exporter: export(m, x, e), {"x": x.numpy()}, has, lacks
    for name, model, feeds, has, lacks in written_cases():
        yield name, lambda m=model: m, feeds, has, lacks


def run(model, feeds, has, lacks, folder):
    path = folder / "model.onnx"
    onnx.save(model, path)
    status, text, problem = call(program("aicc"), path, "--emit=simplify")
    if status:
        return last_line(problem)
    for operator, count in has.items():
        pattern = re.escape(operator) if " " in operator else rf"graph\.{operator}\b"
        found = len(re.findall(pattern, text))
        if found != count:
            return f"{operator} is there {found} times, expected {count}"
    for operator in lacks:
        if re.search(rf"graph\.{operator}\b", text):
            return f"{operator} is still there"
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # What the model says, not what ONNX Runtime makes of it.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    engine = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    expected = engine.run(None, feeds)
    found = aicc.compile(model, targets="cpu:native", jobs=1, cache=False).session("cpu", 1)(**feeds)
    for have, want in zip(found, expected):
        error = relative_error(have, want)
        if want.dtype.kind in "iu" and have.shape == want.shape and have.dtype == want.dtype:
            # One step where a value lies between two.
            difference = numpy.abs(have.astype(int) - want.astype(int))
            error = 0 if difference.max() <= 1 and numpy.count_nonzero(difference) <= max(1, want.size // 100) else error
        if not error <= 1e-5:
            return f"differs from ONNX Runtime by {error:.2g}"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--filter", default="")
    options = parser.parse_args()
    failed = total = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, make, feeds, has, lacks in cases():
            if options.filter not in name:
                continue
            total += 1
            wrong = run(make(), feeds, has, lacks, pathlib.Path(folder))
            failed += wrong is not None
            print(f"{'FAIL' if wrong else 'PASS'} {name}" + (f": {wrong}" if wrong else ""), flush=True)
    print(f"{total - failed} of {total} patterns are recognised")
    return 1 if failed or not total else 0


if __name__ == "__main__":
    sys.exit(main())
