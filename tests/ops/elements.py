#!/usr/bin/env python3
# elements.py - element types: conversions beside ml_dtypes, movement of every type.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""elements.py [--device=cpu]

Conversions from and to floats of eight bits and fewer have the bits that
ml_dtypes gives: of every code, and of the numbers at, beside and halfway
between them; in kernels, and in the two folders of constants. What only moves
elements leaves those of every type as they are. Quantisation and its inverse
agree with onnx's reference for every type that the standard names.
"""

import argparse
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "harness"))
from aicc_testing import has_device, python_package, skip  # noqa: E402

try:
    import ml_dtypes
    import numpy
    import onnx
    from onnx import TensorProto, helper, numpy_helper
    from onnx.reference import ReferenceEvaluator
except ImportError as missing:
    skip(f"{missing.name} is not installed")

python_package()
import aicc  # noqa: E402

IR, OPSET = 13, 25
EIGHT_BITS = ["float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz"]
FLOATS = [*EIGHT_BITS, "float4_e2m1fn", "float6_e2m3fn", "float6_e3m2fn", "float8_e8m0fnu"]
INTEGERS = ["int4", "uint4", "int2", "uint2"]
BITS = {"float4_e2m1fn": 4, "float6_e2m3fn": 6, "float6_e3m2fn": 6, "int4": 4, "uint4": 4, "int2": 2, "uint2": 2}
# Those of opset 28.
NEW = ["float6_e2m3fn", "float6_e3m2fn"]

failures = []


def dtype_of(name):
    return numpy.dtype(getattr(ml_dtypes, name, name))


def code_of(dtype):
    return helper.np_dtype_to_tensor_dtype(numpy.dtype(dtype))


def run(device, nodes, inputs, outputs, constants=(), names=(), output_type=None):
    """The first output of a model of these nodes."""
    new = any(str(array.dtype) in NEW for array in [*inputs.values(), *dict(constants).values()]) or \
        str(output_type) in NEW
    graph = helper.make_graph(
        nodes, "graph",
        [helper.make_tensor_value_info(name, code_of(array.dtype), array.shape) for name, array in inputs.items()],
        [helper.make_tensor_value_info(name, code_of(output_type), None) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in dict(constants).items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 28 if new else OPSET)])
    model.ir_version = 14 if new else IR
    session = aicc.compile(model, targets="cpu:native" if device == "cpu" else device, cache=False).session(device, 1)
    return session(*inputs.values())[0], model



def same(what, found, expected, exact=True):
    """Equal, whatever the NaN; also the sign of zero if `exact`."""
    wide = numpy.complex128 if expected.dtype.kind == "c" else numpy.float64
    if found.dtype != expected.dtype or found.shape != expected.shape:
        failures.append(f"{what}: {found.dtype} {found.shape}, expected {expected.dtype} {expected.shape}")
        return
    a, b = found.astype(wide), expected.astype(wide)
    wrong = ~((a == b) | (numpy.isnan(a) & numpy.isnan(b)))
    if exact and wide is numpy.float64:
        wrong |= ~numpy.isnan(b) & (numpy.signbit(a) != numpy.signbit(b))
    if wrong.any():
        at = numpy.argwhere(wrong)[0]
        failures.append(f"{what}: {wrong.sum()} of {wrong.size} differ, first at {at}: "
                        f"{found[tuple(at)]}, expected {expected[tuple(at)]}")


def codes(name):
    return numpy.arange(1 << BITS.get(name, 8), dtype=numpy.uint8).view(dtype_of(name))


def numbers(name, source):
    """What a conversion to `name` must round right."""
    values = codes(name).astype(numpy.float64)
    values = numpy.unique(values[numpy.isfinite(values)])
    if name == "float8_e8m0fnu":
        # The standard leaves open what becomes of numbers below the smallest normal one.
        values = values[values >= 2.0 ** -14 if source == numpy.float16 else values >= 2.0 ** -120]
    halves = (values[1:] + values[:-1]) / 2
    with numpy.errstate(over="ignore"):
        all_ = numpy.concatenate([values, halves, values[-1:] * [2.0]]).astype(source)
    all_ = numpy.concatenate([all_, numpy.nextafter(all_, source(numpy.inf)), numpy.nextafter(all_, source(-numpy.inf))])
    if name == "float8_e8m0fnu":
        return all_[all_ > 2.0 ** -14] if source == numpy.float16 else all_[all_ > 0]
    random = numpy.random.default_rng(5).normal(size=200) * 10.0 ** numpy.random.default_rng(6).uniform(-6, 6, size=200)
    special = [0.0, -0.0, numpy.inf, -numpy.inf, numpy.nan, 1e6, -1e6, 1e-7, -1e-7]
    with numpy.errstate(over="ignore"):
        return numpy.concatenate([all_, random.astype(source), numpy.array(special).astype(source)])


def expected_cast(x, name, saturate):
    dtype = dtype_of(name)
    with numpy.errstate(all="ignore"):
        if name == "float8_e8m0fnu":
            return numpy_helper.to_float8e8m0(x, saturate, "up").astype(dtype)
        if name in EIGHT_BITS and saturate:
            return numpy_helper.saturate_cast(x, dtype)
        return x.astype(dtype)


def conversions(device):
    for name in FLOATS + INTEGERS:
        every = codes(name)
        for target in (numpy.float32, numpy.float16, numpy.float64, numpy.int8, numpy.int32):
            if name in FLOATS and target in (numpy.int8, numpy.int32) and name != "float4_e2m1fn":
                continue
            node = helper.make_node("Cast", ["x"], ["y"], to=code_of(target))
            found, _ = run(device, [node], {"x": every}, ["y"], output_type=target)
            same(f"{name} to {target.__name__}", found, every.astype(target))
        for source in (numpy.float32, numpy.float16, numpy.float64):
            if name in INTEGERS:
                x = numpy.arange(-40, 40).astype(source) / source(2)
            else:
                # ml_dtypes rounds doubles twice, by way of f32: they are f32 here.
                x = numbers(name, numpy.float32 if source == numpy.float64 else source).astype(source)
                if name == "float8_e8m0fnu":
                    x = x[numpy.isfinite(x)]
            for saturate in (1, 0) if name in EIGHT_BITS else (1,):
                node = helper.make_node("Cast", ["x"], ["y"], to=code_of(dtype_of(name)), saturate=saturate)
                expected = expected_cast(x, name, saturate)
                text = f"{source.__name__} to {name}, saturate={saturate}"
                # ml_dtypes gives NaN a zero of its own where a format has no NaN.
                exact = name not in BITS
                found, _ = run(device, [node], {"x": x}, ["y"], output_type=dtype_of(name))
                same(text, found, expected, exact)
                for length in (1000, 1100):
                    some = numpy.resize(x, length)
                    identity = helper.make_node("Identity", ["y"], ["z"])
                    found, _ = run(device, [node, identity], {}, ["z"], {"x": some}, output_type=dtype_of(name))
                    same(f"{text}, {length} constants", found, numpy.resize(expected, length), exact)


def movement(device):
    every = ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "bfloat16",
             "float32", "float64", "complex64", "complex128", *FLOATS, *INTEGERS]
    random = numpy.random.default_rng(7)
    for name in every:
        if name.startswith("complex") and device != "cpu":
            continue
        dtype = dtype_of(name)
        if dtype.kind == "c":
            x = (random.normal(size=(4, 6)) + 1j * random.normal(size=(4, 6))).astype(dtype)
        else:
            x = random.integers(-2 if numpy.dtype(dtype).kind == "i" else 0, 2, size=(4, 6)).astype(dtype)
        # Slices, concatenations and gathers in one model.
        nodes = [helper.make_node("Transpose", ["x"], ["a"], perm=[1, 0]),
                 helper.make_node("Slice", ["a", "starts", "ends", "axes"], ["b"]),
                 helper.make_node("Gather", ["a", "indices"], ["c"], axis=0),
                 helper.make_node("Concat", ["b", "c"], ["d"], axis=0),
                 helper.make_node("Reshape", ["d", "shape"], ["e"]),
                 helper.make_node("Expand", ["e", "wide"], ["y"])]
        integers = {"starts": [1], "ends": [4], "axes": [0], "indices": [5, 0, 2], "shape": [2, 1, 12],
                    "wide": [2, 3, 12]}
        given = {key: numpy.array(value, numpy.int64) for key, value in integers.items()}
        a = x.T
        d = numpy.concatenate([a[1:4], a[[5, 0, 2]]])
        expected = numpy.broadcast_to(d.reshape(2, 1, 12), (2, 3, 12))
        found, _ = run(device, nodes, {"x": x}, ["y"], given, output_type=dtype)
        same(f"moved {name}", found, expected)
        found, _ = run(device, nodes, {}, ["y"], {**given, "x": x}, output_type=dtype)
        same(f"moved constants of {name}", found, expected)
        if name in FLOATS or name in INTEGERS or dtype.kind == "c":
            continue
        y = random.integers(0, 2, size=(4, 6)).astype(dtype)
        condition = random.integers(0, 2, size=(4, 6)).astype(bool)
        node = helper.make_node("Where", ["c", "x", "y"], ["z"])
        found, _ = run(device, [node], {"c": condition, "x": x, "y": y}, ["z"], output_type=dtype)
        same(f"chosen {name}", found, numpy.where(condition, x, y))


def quantisation(device):
    random = numpy.random.default_rng(11)
    x = (random.normal(size=(3, 8, 5)) * 4).astype(numpy.float32)
    for name in ["int8", "uint8", "int16", "uint16", *INTEGERS, *EIGHT_BITS, "float4_e2m1fn", *NEW]:
        dtype = dtype_of(name)
        integer = name in INTEGERS or dtype.kind in "iu"
        shapes = {"tensor": ((), {}), "axis": ((8,), {"axis": 1}), "blocks": ((3, 3, 5), {"axis": 1, "block_size": 3})}
        for kind, (shape, attributes) in shapes.items():
            for real in (numpy.float32, numpy.float16):
                scale = (random.uniform(0.25, 1.0, size=shape)).astype(real)
                zero = random.integers(0, 2, size=shape).astype(dtype) if integer else numpy.zeros(shape, dtype)
                nodes = [helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], **attributes),
                         helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"], **attributes)]
                values = x.astype(real)
                for nodes_, inputs, output, kind_ in (
                        (nodes[:1], {"x": values, "s": scale, "z": zero}, "q", dtype),
                        (nodes, {"x": values, "s": scale, "z": zero}, "y", real)):
                    found, model = run(device, nodes_, inputs, [output], output_type=kind_)
                    expected = ReferenceEvaluator(model).run(None, inputs)[0]
                    same(f"{output} of {name} per {kind} in {real.__name__}", found, numpy.asarray(expected), False)


# Operators that compute, each with its number of inputs and its attributes.
OPERATORS = {
    **dict.fromkeys(["Abs", "Neg", "Sign", "Ceil", "Floor", "Round", "Exp", "Sqrt", "Reciprocal", "Relu", "Not",
                     "BitwiseNot", "IsNaN", "Softplus", "Erf", "Tanh", "Sigmoid"], (1, {})),
    **dict.fromkeys(["Add", "Sub", "Mul", "Div", "Pow", "Min", "Max", "Equal", "Less", "Greater", "LessOrEqual",
                     "GreaterOrEqual", "And", "Or", "Xor", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "PRelu"], (2, {})),
    "Mod": (2, {}), "BitShift": (2, {"direction": "LEFT"}), "Clip": (3, {}), "Sum": (3, {}), "Mean": (3, {}),
    **dict.fromkeys(["ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceMean", "ReduceL1", "ReduceL2",
                     "ReduceSumSquare", "ArgMax", "ArgMin", "MatMul", "Softmax", "Trilu", "NonZero"], None)}
# The reference computes these in f32 itself.
SKIPPED = {("Erf", "float64")}


def computing(device):
    random = numpy.random.default_rng(13)
    names = ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "bfloat16",
             "float32", "float64"]
    type_names = {"float32": "float", "float64": "double"}
    for op, form in OPERATORS.items():
        schema = onnx.defs.get_schema(op, OPSET)
        for name in names:
            dtype = dtype_of(name)
            if f"tensor({type_names.get(name, name)})" not in schema.inputs[0].types or (op, name) in SKIPPED:
                continue
            real = name in ("float16", "bfloat16", "float32", "float64")
            low = 0 if name == "bool" or dtype.kind == "u" else -3
            shape = (4, 5)
            count, attributes = form or (2 if op == "MatMul" else 1, {})
            inputs = {}
            for i in range(count):
                value = random.integers(low, 2 if name == "bool" else 5, size=shape).astype(dtype)
                if real:
                    value = random.normal(size=shape).astype(dtype) * dtype.type(2)
                if i == 1 and op in ("Div", "Mod", "Pow", "BitShift") or op == "Sqrt":
                    value = abs(value) + dtype.type(1) if real or low else value % 3 + dtype.type(1)
                inputs["xyz"[i]] = value.astype(dtype)
            if op == "Pow":
                inputs["x"] = abs(inputs["x"]).astype(dtype)
            if op == "Clip":
                inputs["y"], inputs["z"] = numpy.array(1, dtype), numpy.array(3, dtype)
            if op == "MatMul":
                inputs["y"] = inputs["y"].T.copy()
            if op == "Mod" and real:
                attributes = {"fmod": 1}
            node = helper.make_node(op, list(inputs), ["out"], **attributes)
            text = f"{op} of {name}"
            out = "bool" if op in ("Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual", "IsNaN") else \
                "int64" if op in ("ArgMax", "ArgMin", "NonZero") else name
            try:
                found, model = run(device, [node], inputs, ["out"], output_type=dtype_of(out))
            except aicc.Error as problem:
                failures.append(f"{text}: {problem}")
                continue
            with numpy.errstate(all="ignore"):
                wide = {key: value.astype(numpy.float64) for key, value in inputs.items()} \
                    if name in ("float16", "bfloat16") and out == name else inputs
                if wide is not inputs:
                    model = helper.make_model(helper.make_graph(
                        [node], "graph", [helper.make_tensor_value_info(key, TensorProto.DOUBLE, value.shape)
                                          for key, value in wide.items()],
                        [helper.make_tensor_value_info("out", TensorProto.DOUBLE, None)]),
                        opset_imports=[helper.make_opsetid("", OPSET)])
                expected = numpy.asarray(ReferenceEvaluator(model).run(None, wide)[0])
            if not real or out != name:
                same(text, found, expected.astype(dtype_of(out)), False)
                continue
            tolerance = {"float16": 2e-3, "bfloat16": 1.6e-2, "float32": 1e-5, "float64": 1e-11}[name]
            expected = expected.astype(numpy.float64)
            if found.dtype != dtype or found.shape != expected.shape or not numpy.allclose(
                    found.astype(numpy.float64), expected, rtol=tolerance, atol=tolerance, equal_nan=True):
                failures.append(f"{text}: wrong values, {found.ravel()[:4]}, expected {expected.ravel()[:4]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=("cpu", "intel"))
    device = parser.parse_args().device
    if not has_device(device):
        skip(f"aicc-run lists no {device} device")
    for part in (conversions, movement, quantisation, computing):
        part(device)
    print("\n".join(failures[:50]))
    print(f"{len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
