#!/usr/bin/env python3
# split_products.py - products whose depth is cut into shares give the CPU's numbers.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""split_products.py [MODEL...] [--targets=cuda:virtual:sm_80,...]

Small products and convolutions with weights, deep enough that a chip with many
processors shares their depth out: checks that it does (two kernels instead of
one, what follows the product in the second), and that a virtual device computes
what the CPU does, twice the same.
"""

import argparse
import importlib.util
import pathlib
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "harness"))
from aicc_testing import call, has_device, last_line, program, skip  # noqa: E402

for module in ("numpy", "onnx"):
    if importlib.util.find_spec(module) is None:
        skip(f"no Python module {module}")

import numpy  # noqa: E402
import onnx  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

TARGETS = ["cuda:virtual:sm_80", "cuda:virtual:sm_90a", "rocm:virtual:gfx942", "rocm:virtual:gfx1100",
           "intel:virtual:pvc"]
TYPES = {"f16": (TensorProto.FLOAT16, numpy.float16), "f32": (TensorProto.FLOAT, numpy.float32)}
# Name: operator, its attributes, shapes of operand, weights, bias and result.
PRODUCTS = {
    "matrix": ("MatMul", {}, [2, 64, 2048], [2048, 136], [136], [2, 64, 136]),
    "row": ("MatMul", {}, [1, 2048], [2048, 100], [100], [1, 100]),
    "convolution": ("Conv", {"pads": [1, 1, 1, 1], "strides": [2, 2]}, [1, 256, 14, 14], [72, 256, 3, 3], [72, 1, 1],
                    [1, 72, 7, 7]),
}
MODELS = {f"{name}_{kind}": (name, kind) for name in PRODUCTS for kind in TYPES}


def write(model, path):
    name, kind = MODELS[model]
    operator, attributes, operand, weights, bias, result = PRODUCTS[name]
    number, dtype = TYPES[kind]
    rng = numpy.random.default_rng(0)
    given = [numpy_helper.from_array((rng.standard_normal(shape) / 32).astype(dtype), of)
             for of, shape in (("w", weights), ("b", bias))]
    nodes = [helper.make_node(operator, ["x", "w"], ["product"], name="product", **attributes),
             helper.make_node("Add", ["product", "b"], ["sum"], name="sum"),
             helper.make_node("Relu", ["sum"], ["y"], name="y")]
    graph = helper.make_graph(nodes, model, [helper.make_tensor_value_info("x", number, operand)],
                              [helper.make_tensor_value_info("y", number, result)], given)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), path)


def check(model, target, folder):
    """None, or what is wrong."""
    path, package = folder / f"{model}.onnx", folder / "model.aicc"
    write(model, path)
    device = target.rsplit(":", 1)[0]
    status, ir, err = call(program("aicc"), path, f"--target={target}", "--emit=kernels")
    if status:
        return f"aicc --emit=kernels exits with {status}: {last_line(err)}"
    kernels = [line for line in ir.splitlines() if "exec.kernel" in line]
    sums = [line for line in kernels if 'sources = ["product", "sum", "y"]' in line]
    # Padding is a kernel of its own.
    own = 2 if "pads" in PRODUCTS[MODELS[model][0]][1] else 1
    if len(sums) != 1 or sum('sources = ["product"]' in line for line in kernels) != own:
        return f"expected a kernel for the shares, and their sum and what follows in one, found {kernels}"
    status, _, err = call(program("aicc"), path, f"--target=cpu,{target}", "-o", package)
    if status:
        return f"aicc exits with {status}: {last_line(err)}"
    outputs = []
    for _ in range(2):
        status, out, err = call(program("aicc-run"), package, f"--compare-devices=cpu,{device}", "--random=1",
                                "--verbose=all")
        if status:
            return f"aicc-run exits with {status}: {last_line(err) or last_line(out)}"
        outputs.append(out)
    return None if outputs[0] == outputs[1] else "two runs differ"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("models", nargs="*", default=list(MODELS))
    parser.add_argument("--targets", default=",".join(TARGETS))
    arguments = parser.parse_args()
    unknown = [name for name in arguments.models if name not in MODELS]
    if unknown:
        raise SystemExit(f"error: no model named '{unknown[0]}'; there are {', '.join(MODELS)}")
    failures = checked = 0
    with tempfile.TemporaryDirectory(prefix="aicc-split-") as folder:
        for target in arguments.targets.split(","):
            if not has_device(target.rsplit(":", 1)[0]):
                print(f"SKIP {target}: no such device")
                continue
            for model in arguments.models:
                problem = check(model, target, pathlib.Path(folder))
                checked += 1
                failures += problem is not None
                print(f"{'FAIL' if problem else 'ok  '} {model} {target} {problem or ''}".rstrip(), flush=True)
    if not checked:
        skip("no virtual device")
    sys.exit(failures > 0)


main()
