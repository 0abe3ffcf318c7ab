#!/usr/bin/env python3
# quantised_products.py - products of quantised operands stay products of those.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""quantised_products.py [-k TEXT] [-v]

Products and convolutions between DequantizeLinears, of signed bytes, of bytes with
a zero point and of every 8-bit float, with one scale and one per column, in models
of f32 and f16, are run on the CPU and on virtual devices of chips that multiply the
type and of chips that don't. Results are compared with onnx's reference implementation. The code
for the chips themselves must have the instruction of the type, or that of f16
where the chip has none. -k takes cases with TEXT in their names.
"""

import importlib.util
import pathlib
import re
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "harness"))
from aicc_testing import call, last_line, program, relative_error, skip  # noqa: E402

for module in ("numpy", "onnx", "ml_dtypes"):
    if importlib.util.find_spec(module) is None:
        skip(f"no Python module {module}")

import ml_dtypes  # noqa: E402
import numpy  # noqa: E402
from aicc_runtime import Session  # noqa: E402
from onnx import TensorProto, helper, numpy_helper, save  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402

TYPES = {"u8": (TensorProto.UINT8, numpy.uint8), "s8": (TensorProto.INT8, numpy.int8),
         "e4m3": (TensorProto.FLOAT8E4M3FN, ml_dtypes.float8_e4m3fn),
         "e5m2": (TensorProto.FLOAT8E5M2, ml_dtypes.float8_e5m2),
         "e4m3fnuz": (TensorProto.FLOAT8E4M3FNUZ, ml_dtypes.float8_e4m3fnuz),
         "e5m2fnuz": (TensorProto.FLOAT8E5M2FNUZ, ml_dtypes.float8_e5m2fnuz)}
# Chip: pattern of the instruction for each type; others are multiplied as f16.
INSTRUCTIONS = {
    "cuda:sm_80": {"s8": r"mma\.sync\S*\.s32\.s8\.s8", "f16": r"mma\.sync\S*\.f32\.f16\.f16"},
    "cuda:sm_90": {"s8": r"mma\.sync\S*\.s32\.s8\.s8", "f16": r"mma\.sync\S*\.f32\.f16\.f16",
                   "e4m3": r"mma\.sync\S*\.f32\.e4m3\.e4m3", "e5m2": r"mma\.sync\S*\.f32\.e5m2\.e5m2"},
    "cuda:sm_90a": {"s8": r"wgmma\S*\.s32\.s8\.s8", "f16": r"wgmma\S*\.f32\.f16\.f16",
                    "e4m3": r"wgmma\S*\.f32\.e4m3\.e4m3", "e5m2": r"wgmma\S*\.f32\.e5m2\.e5m2"},
    "rocm:gfx942": {"s8": r"v_mfma_i32_\w+_i8", "f16": r"v_mfma_f32_\w+_f16", "e4m3fnuz": r"v_mfma_f32_\w+_fp8_fp8",
                    "e5m2fnuz": r"v_mfma_f32_\w+_bf8_bf8"},
    "rocm:gfx950": {"s8": r"v_mfma_i32_\w+_i8", "f16": r"v_mfma_f32_\w+_f16", "e4m3": r"v_mfma_f32_\w+_fp8_fp8",
                    "e5m2": r"v_mfma_f32_\w+_bf8_bf8"},
    "rocm:gfx1201": {"s8": r"v_wmma_i32_\w+_iu8", "f16": r"v_wmma_f32_\w+_f16", "e4m3": r"v_wmma_f32_\w+_fp8_fp8",
                     "e5m2": r"v_wmma_f32_\w+_bf8_bf8"},
}
DEVICES = ["cpu", *(chip.replace(":", ":virtual:") for chip in INSTRUCTIONS), "intel:virtual"]
BOUNDS = {"f32": 1e-5, "f16": 5e-3}


def quantised(name, scale, zero, nodes, values, axis=None):
    """Adds a DequantizeLinear of `values`; the result is called `name`."""
    initialisers = [numpy_helper.from_array(scale, name + "_scale"), zero]
    if values is not None:
        initialisers.append(values)
    else:
        nodes.append(helper.make_node("QuantizeLinear", [name + "_in", name + "_scale", zero.name], [name + "_q"],
                                      name=name + "_quantise"))
    source = values.name if values is not None else name + "_q"
    # Per column there is no zero point: it would need one for each.
    given = [source, name + "_scale"] + ([zero.name] if axis is None else [])
    attributes = {} if axis is None else {"axis": axis}
    nodes.append(helper.make_node("DequantizeLinear", given, [name], name=name + "_dequantise", **attributes))
    return initialisers


def tensor(name, number, values):
    return helper.make_tensor(name, number, values.shape, values.tobytes(), raw=True)


def make(kind, type, each, precision):
    """A product, or a convolution, of quantised operands; and its input."""
    zero = helper.make_tensor("x_zero", TYPES[type][0], [], bytes([117 if type == "u8" else 0]), raw=True)
    if type == "u8":
        type = "s8"  # the weights
    number, dtype = TYPES[type]
    real, onnx_real = {"f32": (numpy.float32, TensorProto.FLOAT),
                       "f16": (numpy.float16, TensorProto.FLOAT16)}[precision]
    rng = numpy.random.default_rng(7)
    if kind == "matmul":
        x, weight, axis, out = (96, 64), (64, 72), 1, ["rows", 72]
        operator = ("MatMul", {})
    else:
        x, weight, axis, out = (2, 32, 9, 9), (48, 32, 3, 3), 0, ["rows", 48, 9, 9]
        operator = ("Conv", {"pads": [1, 1, 1, 1]})
    floats = rng.standard_normal(weight)
    largest = 100 if type == "s8" else 3
    others = tuple(i for i in range(len(weight)) if i != axis)
    scale = numpy.asarray(numpy.abs(floats).max(axis=others if each else None) / largest, real)
    shape = [-1 if i == axis else 1 for i in range(len(weight))] if each else []
    values = floats / scale.reshape(shape)
    values = (numpy.round(values) if type == "s8" else values.astype(numpy.float32)).astype(dtype)
    weight_zero = helper.make_tensor("w_zero", number, [], b"\0", raw=True)
    nodes = []
    initialisers = quantised("x", numpy.asarray(0.03 if type == "s8" else 0.7, real), zero, nodes, None)
    initialisers += quantised("w", scale, weight_zero, nodes, tensor("weights", number, values), axis if each else None)
    nodes += [helper.make_node(operator[0], ["x", "w"], ["product"], name="product", **operator[1]),
              helper.make_node("Relu", ["product"], ["y"], name="relu")]
    graph = helper.make_graph(
        nodes, "quantised", [helper.make_tensor_value_info("x_in", onnx_real, ["rows", *x[1:]])],
        [helper.make_tensor_value_info("y", onnx_real, out)],
        list({given.name: given for given in initialisers}.values()))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    return model, rng.standard_normal(x).astype(real)


def compile(model, target, folder, *options):
    package = folder / "model.aicc"
    status, _, err = call(program("aicc"), model, f"--target={target}", "-o", package, *options)
    return package, f"aicc --target={target}: {last_line(err)}" if status else None


def check_numbers(name, model, x, precision, folder):
    expected = ReferenceEvaluator(model).run(None, {"x_in": x})[0]
    path = folder / "model.onnx"
    save(model, path)
    for device in DEVICES:
        package, problem = compile(path, device, folder)
        if problem:
            yield problem
            continue
        session = Session(package, ":".join(device.split(":")[:2]))
        session.bind({"x_in": x})
        error = relative_error(session.results()["y"], expected)
        if not error <= BOUNDS[precision]:
            yield f"{device}: differs by {error:.1e} of the largest value, allowed {BOUNDS[precision]:.0e}"


def check_code(type, path, folder):
    for target, known in INSTRUCTIONS.items():
        objects = folder / target.replace(":", "-")
        _, problem = compile(path, target, folder, f"--save-objects={objects}")
        if problem:
            yield problem
            continue
        wanted = known.get(type, known["f16"])
        text = "\n".join(file.read_text() for pattern in ("*.ptx", "*.s") for file in objects.rglob(pattern))
        if not re.search(wanted, text):
            yield f"{target}: no instruction {wanted} in the code"


def main():
    wanted = sys.argv[sys.argv.index("-k") + 1] if "-k" in sys.argv else ""
    failures = count = 0
    with tempfile.TemporaryDirectory(prefix="aicc-quantised-") as temporary:
        folder = pathlib.Path(temporary)
        # Every type, and every other choice with one of them.
        cases = [(kind, type, kind == "conv", "f32") for kind in ("matmul", "conv") for type in TYPES]
        cases += [(kind, type, kind != "conv", "f16") for kind in ("matmul", "conv") for type in ("u8", "s8", "e4m3")]
        for kind, type, each, precision in cases:
            name = f"{kind}_{type}_{'columns' if each else 'one'}_{precision}"
            if wanted not in name:
                continue
            count += 1
            model, x = make(kind, type, each, precision)
            problems = list(check_numbers(name, model, x, precision, folder))
            problems += check_code(type, folder / "model.onnx", folder / name)
            for problem in problems:
                print(f"{name}: {problem}")
            if "-v" in sys.argv:
                print(f"{name}: {'FAILED' if problems else 'passed'}", flush=True)
            failures += bool(problems)
    print(f"{count - failures} of {count} cases passed")
    return failures > 0 or count == 0


sys.exit(main())
