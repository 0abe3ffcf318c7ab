#!/usr/bin/env python3
# chip.py - models on a chip that was added in one folder.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""chip.py COMPILER DRIVER: compiles models for the CPU and for the made-up chip,
runs both and compares. The chip's numbers must show in its code: subgroups of 8,
at most 24 KiB of workgroup memory, its own matrix instructions."""

import importlib.util
import os
import pathlib
import re
import subprocess
import sys
import tempfile

from aicc_testing import environment, last_line, program, relative_error, skip

BOUND = {"float32": 1e-5, "float16": 5e-3}


def models(numpy, onnx):
    """{name: (model, inputs)}: products with and without edges, a convolution, reductions, what goes lane by lane."""
    from onnx import TensorProto, helper, numpy_helper

    random = numpy.random.default_rng(7)

    def make(name, nodes, inputs, output, weights, kind=TensorProto.FLOAT):
        graph = helper.make_graph(
            nodes, name, [helper.make_tensor_value_info(k, kind, v.shape) for k, v in inputs.items()],
            [helper.make_tensor_value_info(output, kind, None)],
            [numpy_helper.from_array(v, k) for k, v in weights.items()])
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9), inputs

    def tensor(*shape, kind=numpy.float32):
        return (random.standard_normal(shape) / 4).astype(kind)

    node = helper.make_node
    half = numpy.float16
    return {
        "layers": make("layers", [
            node("MatMul", ["x", "w1"], ["a"]), node("Add", ["a", "b1"], ["b"]), node("Relu", ["b"], ["c"]),
            node("LayerNormalization", ["c", "scale", "shift"], ["d"], axis=-1), node("MatMul", ["d", "w2"], ["e"]),
            node("Softmax", ["e"], ["y"], axis=-1)],
            {"x": tensor(37, 50)}, "y",
            {"w1": tensor(50, 72), "b1": tensor(72), "scale": tensor(72), "shift": tensor(72), "w2": tensor(72, 45)}),
        "picture": make("picture", [
            node("Conv", ["x", "k1"], ["a"], pads=[1, 1, 1, 1]), node("Relu", ["a"], ["b"]),
            node("MaxPool", ["b"], ["c"], kernel_shape=[2, 2], strides=[2, 2]),
            node("Conv", ["c", "k2"], ["d"], group=4, strides=[2, 2]), node("GlobalAveragePool", ["d"], ["y"])],
            {"x": tensor(2, 3, 18, 18)}, "y", {"k1": tensor(32, 3, 3, 3), "k2": tensor(32, 8, 3, 3)}),
        "rows": make("rows", [
            node("ReduceSum", ["x", "axis"], ["a"], keepdims=1), node("Div", ["x", "a"], ["b"]),
            node("TopK", ["b", "count"], ["y", "indices"])],
            {"x": numpy.abs(tensor(9, 300))}, "y",
            {"axis": numpy.array([1]), "count": numpy.array([5])}),
        "half": make("half", [node("MatMul", ["x", "w"], ["y"])], {"x": tensor(64, 64, kind=half)}, "y",
                     {"w": tensor(64, 48, kind=half)}, TensorProto.FLOAT16),
    }


def main():
    compiler, driver = sys.argv[1:]
    runner = program("aicc-run")
    for module in ("numpy", "onnx"):
        if importlib.util.find_spec(module) is None:
            skip(f"no Python module {module} (scripts/install.sh test)")
    import numpy
    import onnx

    variables = {**environment(), "AICC_DRIVER_PATH": driver}

    def call(*command):
        done = subprocess.run([str(part) for part in command], env=variables, capture_output=True, text=True,
                              timeout=300)
        if done.returncode:
            sys.exit(f"FAIL {' '.join(map(str, command[:3]))}: {last_line(done.stderr)}")
        return done.stdout

    multiplications = set()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for name, (model, inputs) in models(numpy, onnx).items():
            onnx.save(model, folder / f"{name}.onnx")
            package, code = folder / f"{name}.aicc", folder / name
            call(compiler, folder / f"{name}.onnx", "--target=cpu,chip:virtual", "-o", package, "--no-cache",
                 f"--save-objects={code}")
            options = []
            for key, value in inputs.items():
                numpy.save(folder / f"{key}.npy", value)
                options += ["--input", f"{key}={folder / key}.npy"]
            outputs = []
            for device in ("cpu", "chip:virtual"):
                call(runner, package, f"--device={device}", f"--save-outputs={folder / 'out'}", *options)
                outputs.append(numpy.load(folder / "out" / "output_0.npy"))
            apart = relative_error(outputs[1], outputs[0])
            state = "ok" if apart <= BOUND[str(outputs[0].dtype)] else "FAIL"
            print(f"{state:4s} {name}: {apart:.1e} apart")
            if state != "ok":
                return 1
            for path in code.rglob("*.ll"):
                text = path.read_text()
                multiplications |= set(re.findall(r"chip_multiply_\w+", text))
                for number in re.findall(r"__virtual = constant .*?\{ i32 \d+, i32 (\d+), i64 (\d+)", text):
                    if int(number[0]) != 8 or int(number[1]) > 24 * 1024:
                        sys.exit(f"FAIL {path.name}: subgroups of {number[0]}, {number[1]} bytes of workgroup memory")
    if missing := {"chip_multiply_f32", "chip_multiply_f16"} - multiplications:
        sys.exit(f"FAIL no kernel uses {', '.join(sorted(missing))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
