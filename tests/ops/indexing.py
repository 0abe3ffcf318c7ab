#!/usr/bin/env python3
# indexing.py - sorting, scattering, running sums, windows at sizes beyond the conformance cases'.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""indexing.py [--device=cpu]

Each model is run on values with many ties, NaN and infinities, with sizes that
are fixed and with sizes that are symbols, and compared with NumPy.
"""

import argparse
import importlib.util
import os
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "harness"))
from aicc_testing import environment, has_device, python_package, skip  # noqa: E402


def model(onnx, op, inputs, outputs, symbolic, constants=(), **attributes):
    """One node; `inputs` are arrays by name, of whose dimensions those above 1 are symbols if `symbolic`."""
    helper = onnx.helper
    names = list(inputs) + [name for name, _ in constants]
    order = attributes.pop("order", names)

    def info(name, value):
        dims = [f"{name}_{k}" if symbolic and size > 1 else size for k, size in enumerate(value.shape)]
        return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), dims)

    node = helper.make_node(op, order, list(outputs), **attributes)
    graph = helper.make_graph(
        [node], op, [info(name, value) for name, value in inputs.items()],
        [helper.make_tensor_value_info(name, kind, [None] * rank) for name, (kind, rank) in outputs.items()],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 24)], ir_version=10)


def top_k(numpy, x, axis, k, largest):
    # Stable, NaN the largest, ties to the lower index.
    keys = numpy.moveaxis(x, axis, -1)
    if numpy.issubdtype(x.dtype, numpy.floating):
        nan = numpy.isnan(keys)
        clean = numpy.where(nan, 0, keys)
        order = numpy.lexsort((-clean if largest else clean, ~nan if largest else nan), axis=-1)
    else:
        wide = keys.astype(object)
        order = numpy.argsort(-wide if largest else wide, axis=-1, kind="stable")
    order = order[..., :k]
    return (numpy.moveaxis(numpy.take_along_axis(keys, order, -1), -1, axis),
            numpy.moveaxis(order, -1, axis).astype(numpy.int64))


def cases(numpy, onnx):
    """(name, model, inputs, expected outputs)"""
    random = numpy.random.default_rng(7)
    floats = onnx.TensorProto.FLOAT
    for symbolic in (False, True):
        for shape, axis, k in (((1,), 0, 1), ((2,), 0, 2), ((3, 7, 2), 1, 7), ((5, 300), 1, 300), ((2, 4097), 1, 5),
                               ((1000, 3), 0, 40), ((20000,), 0, 3), ((20000,), 0, 20000), ((2, 0), 1, 0)):
            for largest in (0, 1):
                x = random.integers(-50, 50, shape).astype(numpy.float32) / 4
                if x.size > 20:
                    x.flat[random.integers(0, x.size, x.size // 20)] = numpy.nan
                    x.flat[random.integers(0, x.size, x.size // 20)] = numpy.inf
                    x.flat[random.integers(0, x.size, x.size // 20)] = -numpy.inf
                if symbolic and x.size == 0:
                    continue
                yield (f"TopK {shape} {axis} {k} {largest} {symbolic}",
                       model(onnx, "TopK", {"x": x}, {"v": (floats, x.ndim), "i": (onnx.TensorProto.INT64, x.ndim)},
                             symbolic, [("k", numpy.array([k]))], axis=axis, largest=largest),
                       [x], top_k(numpy, x, axis, k, largest))
        x = random.integers(0, 1 << 63, (2, 700)).astype(numpy.uint64) * numpy.uint64(2)
        yield (f"TopK uint64 {symbolic}",
               model(onnx, "TopK", {"x": x}, {"v": (onnx.TensorProto.UINT64, 2), "i": (onnx.TensorProto.INT64, 2)},
                     symbolic, [("k", numpy.array([9]))], axis=1), [x], top_k(numpy, x, 1, 9, 1))
        for shape, axis, count in (((4000,), 0, 9000), ((300, 70), 0, 50), ((3, 500, 5), 1, 900), ((2, 3, 4000), 2, 77),
                                   ((10, 20000), 0, 4)):
            for reduction in ("none", "add", "mul", "max", "min"):
                x = random.integers(-8, 8, shape).astype(numpy.float32)
                extent = shape[:axis] + (count,) + shape[axis + 1:]
                u = (random.integers(-2, 3, extent)).astype(numpy.float32)
                at = random.integers(-shape[axis], shape[axis], extent)
                expected = x.copy()
                places = list(numpy.indices(extent, sparse=True))
                places[axis] = at
                if reduction == "none":  # later updates win
                    lines = [numpy.moveaxis(a, axis, -1).reshape(-1, a.shape[axis]) for a in (at, u)]
                    result = numpy.moveaxis(expected, axis, -1).reshape(-1, shape[axis]).copy()
                    for row, i, v in zip(result, *lines):
                        for k in range(count):
                            row[i[k]] = v[k]
                    moved = numpy.moveaxis(expected, axis, -1).shape
                    expected = numpy.moveaxis(result.reshape(moved), -1, axis)
                else:
                    function = {"add": numpy.add, "mul": numpy.multiply, "max": numpy.maximum, "min": numpy.minimum}
                    function[reduction].at(expected, tuple(places), u)
                yield (f"ScatterElements {shape} {axis} {reduction} {symbolic}",
                       model(onnx, "ScatterElements", {"x": x, "i": at, "u": u}, {"y": (floats, x.ndim)}, symbolic,
                             axis=axis, reduction=reduction), [x, at, u], [expected])
        # Fewer updates than lines.
        x = random.normal(size=(6, 50, 7)).astype(numpy.float32)
        at = random.integers(0, 50, (4, 9, 5))
        u = random.normal(size=(4, 9, 5)).astype(numpy.float32)
        expected = x.copy()
        for i in numpy.ndindex(*u.shape):
            expected[i[0], at[i], i[2]] += u[i]
        yield (f"ScatterElements part {symbolic}",
               model(onnx, "ScatterElements", {"x": x, "i": at, "u": u}, {"y": (floats, 3)}, symbolic, axis=1,
                     reduction="add"), [x, at, u], [expected])
        x = random.normal(size=(40, 30, 64)).astype(numpy.float32)
        at = numpy.stack([random.integers(-40, 40, 200), random.integers(-30, 30, 200)], -1)
        u = random.normal(size=(200, 64)).astype(numpy.float32)
        expected = x.copy()
        numpy.add.at(expected, tuple(at.T), u)
        yield (f"ScatterND {symbolic}",
               model(onnx, "ScatterND", {"x": x, "i": at.reshape(10, 20, 2), "u": u.reshape(10, 20, 64)},
                     {"y": (floats, 3)}, False, reduction="add"),
               [x, at.reshape(10, 20, 2), u.reshape(10, 20, 64)], [expected])
        for shape, axis in (((3, 5000), 1), ((1000, 4), 0), ((17, 63, 2), 1)):
            for exclusive in (0, 1):
                for reverse in (0, 1):
                    x = random.integers(-9, 9, shape).astype(numpy.float32)
                    y = numpy.flip(x, axis) if reverse else x
                    y = numpy.cumsum(y, axis, dtype=numpy.float64) - (y if exclusive else 0)
                    y = numpy.flip(y, axis) if reverse else y
                    yield (f"CumSum {shape} {axis} {exclusive} {reverse} {symbolic}",
                           model(onnx, "CumSum", {"x": x}, {"y": (floats, x.ndim)}, symbolic,
                                 [("axis", numpy.array(axis))], exclusive=exclusive, reverse=reverse),
                           [x], [y.astype(numpy.float32)])
        # Halves stay halves though 2 / 7 is rounded.
        for size, to in ((7, 2), (7, 8), (14, 4), (12, 56), (24, 100)):
            for prefer in ("floor", "ceil"):
                for where, shift in (("asymmetric", 0), ("half_pixel", 1)):
                    x = random.normal(size=(1, 3, size)).astype(numpy.float32)
                    # Twice the place, by integers: i * size / to, or as much of i + 1/2 less 1/2.
                    over, half = (2 * numpy.arange(to) + shift) * size - shift * to, to
                    at = (over + half) // (2 * to) if prefer == "ceil" else -((half - over) // (2 * to))
                    yield (f"Resize {size} {to} {prefer} {where} {symbolic}",
                           model(onnx, "Resize", {"x": x}, {"y": (floats, 3)}, symbolic, [("sizes", numpy.array([1, 3, to]))],
                                 order=["x", "", "", "sizes"], mode="nearest", coordinate_transformation_mode=where,
                                 nearest_mode=f"round_prefer_{prefer}"),
                           [x], [x[:, :, numpy.clip(at, 0, size - 1)]])
    # Sizes that are powers of two: positions come by masks.
    for channels, size in ((120, 8), (24, 16), (17, 32)):
        x = random.normal(size=(1, channels, size, size)).astype(numpy.float32)
        w = random.normal(size=(channels, 1, 5, 5)).astype(numpy.float32) / 8
        padded = numpy.pad(x, ((0, 0), (0, 0), (2, 2), (2, 2)))
        windows = numpy.lib.stride_tricks.sliding_window_view(padded, (5, 5), (2, 3))[:, :, ::2, ::2]
        yield (f"Conv {channels} {size}",
               model(onnx, "Conv", {"x": x}, {"y": (floats, 4)}, False, [("w", w)], group=channels, strides=[2, 2],
                     pads=[2, 2, 2, 2]), [x], [numpy.einsum("nchwij,cij->nchw", windows, w[:, 0]).astype(numpy.float32)])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--filter", default="")
    arguments = parser.parse_args()
    for module in ("numpy", "onnx"):
        if importlib.util.find_spec(module) is None:
            skip(f"no Python module {module} (scripts/install.sh test)")
    python_package()
    if not has_device(arguments.device):
        skip(f"aicc-run lists no {arguments.device} device")
    os.environ.update(environment())
    import numpy
    import onnx
    from aicc import onnx_backend

    count, wrong = 0, []
    for name, proto, inputs, expected in cases(numpy, onnx):
        if arguments.filter not in name:
            continue
        count += 1
        try:
            found = onnx_backend.prepare(proto, arguments.device).run(inputs)
            for a, b in zip(found, expected):
                numpy.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
        except Exception as error:  # Every kind of failure is reported.
            wrong.append(f"{name}: {' '.join(str(error).split())[:300]}")
    print("\n".join(wrong))
    print(f"{arguments.device}: {count - len(wrong)} of {count} models give what NumPy does")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
