# more_operators.py - how the rarer operators are used in a random graph.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""As operators.py, whose table these go into."""

import numpy
from onnx import helper

from graphs import Reject
from operators import operator


def images(g, least=1):
    return g.pick(("float32",), rank=4, where=lambda array: array.size > 0 and min(array.shape[2:]) >= least)


@operator
def grid_sample(g):
    x = images(g, 2)
    n = g.values[x].shape[0]
    if g.opset < 20:
        raise Reject
    grid = g.add(g.array([n, g.integer(1, 5), g.integer(1, 5), 2], "float32", -1.2, 1.2))
    g.node("GridSample", [x, grid], mode=g.choice(["linear", "nearest", "cubic"]), align_corners=g.integer(0, 1),
           padding_mode=g.choice(["zeros", "border", "reflection"]))


@operator
def group_normalization(g):
    x = g.pick(("float32",), least_rank=3, where=lambda array: array.size > 0)
    channels = g.values[x].shape[1]
    if g.opset < 21:
        raise Reject
    groups = g.choice([d for d in range(1, channels + 1) if channels % d == 0])
    # Constants: of other sizes both references would make something of one number for all channels.
    parts = [g.add(g.array([channels], "float32"), constant=True) for _ in range(2)]
    g.node("GroupNormalization", [x, *parts], num_groups=groups, epsilon=1e-2)


@operator
def other_pooling(g):
    x = images(g)
    if g.chance(0.4):
        g.node("GlobalLpPool", [x], p=g.integer(1, 3))
    else:
        # onnx's reference leaves NaN out, as if it were padding.
        if numpy.isnan(g.values[x]).any():
            raise Reject
        kernel = [g.integer(1, min(3, size)) for size in g.values[x].shape[2:]]
        g.node("LpPool", [x], kernel_shape=kernel, p=g.integer(1, 3))


@operator
def pooling_with_indices(g):
    x = images(g)
    if numpy.isnan(g.values[x]).any():  # As in `pooling`.
        raise Reject
    kernel = [g.integer(1, min(3, size)) for size in g.values[x].shape[2:]]
    g.node("MaxPool", [x], outputs=2, kernel_shape=kernel, strides=[g.integer(1, 2) for _ in kernel])


@operator
def dynamic_quantize(g):
    g.node("DynamicQuantizeLinear", [g.pick(("float32",), where=lambda array: array.size > 0 and numpy.isfinite(array).all())], outputs=3)


@operator
def quantized_product(g):
    x = g.pick(("int8", "uint8"), rank=2, where=lambda array: array.size > 0)
    kind = g.values[x].dtype

    def parameters(dtype):
        return [g.add(numpy.float32(g.choice([0.5, 0.25, 0.1])), constant=True), g.add(g.array([], dtype, 0, 9), constant=True)]

    w = g.add(g.array([g.values[x].shape[1], g.integer(1, 6)], kind, 0, 20))
    g.node("QLinearMatMul", [x, *parameters(kind), w, *parameters(kind), *parameters(kind)])


@operator
def losses(g):
    x = g.pick(("float32",), least_rank=2, where=lambda array: array.size > 0)
    shape = g.values[x].shape
    target = g.add(g.array([shape[0], *shape[2:]], "int64", 0, shape[1] - 1))
    weights = [g.add(g.array([shape[1]], "float32", 0.5, 2))] if g.chance(0.4) else []
    g.node(g.choice(["SoftmaxCrossEntropyLoss", "NegativeLogLikelihoodLoss"]), [x, target, *weights],
           reduction=g.choice(["none", "sum", "mean"]))


@operator
def ranges(g):
    start, step, count = g.integer(-5, 5), g.choice([1, 2, 3, -1, -2]), g.integer(0, 9)
    kind = g.choice(["int64", "int32", "float32"])
    constant = g.chance(0.5)
    g.node("Range", [g.add(numpy.array(value, kind), constant=constant) for value in (start, start + step * count, step)])


@operator
def center_crop_pad(g):
    x = g.pick(("float32", "int32"), least_rank=1, where=lambda array: array.size > 0)
    if g.opset < 18:
        raise Reject
    axes = sorted(g.rng.permutation(g.values[x].ndim)[:g.integer(1, g.values[x].ndim)].tolist())
    g.node("CenterCropPad", [x, g.list([g.integer(1, 8) for _ in axes])], axes=axes)


@operator
def determinant(g):
    x = g.pick(("float32", "float64"), least_rank=2, where=lambda array: array.size > 0 and array.shape[-1] == array.shape[-2] < 5)
    g.node("Det", [x])


@operator
def scan(g):
    """Running sums over the first dimension."""
    x = g.pick(("float32",), least_rank=2, where=lambda array: 0 < array.size < 500)
    shape = list(g.values[x].shape[1:])
    start = g.add(g.array(shape, "float32"))
    body = helper.make_graph(
        [helper.make_node("Add", ["a", "e"], ["s"]), helper.make_node("Tanh", ["s"], ["b"]),
         helper.make_node("Mul", ["b", "e"], ["y"])], "body",
        [helper.make_tensor_value_info("a", 1, shape), helper.make_tensor_value_info("e", 1, shape)],
        [helper.make_tensor_value_info("b", 1, shape), helper.make_tensor_value_info("y", 1, shape)])
    g.nested("Scan", [start, x], [], outputs=2, body=body, num_scan_inputs=1,
             scan_input_directions=[g.integer(0, 1)])


@operator
def standard_attention(g):
    if g.opset < 23:
        raise Reject
    batch, heads, groups = g.integer(1, 2), g.choice([2, 4]), g.choice([1, 2])
    size, past, depth = g.integer(1, 6), g.integer(0, 3), g.choice([2, 4, 8])
    q = g.add(g.array([batch, heads, size, depth], "float32", -2, 2))
    k, v = (g.add(g.array([batch, heads // groups, size + past, depth], "float32", -2, 2)) for _ in range(2))
    mask = [g.add(g.array([size, size + past], "float32"))] if g.chance(0.5) else []
    g.node("Attention", [q, k, v, *mask], is_causal=g.integer(0, 1), softcap=g.choice([None, 2.0]))
