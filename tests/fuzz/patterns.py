# patterns.py - what exporters make of one function: many nodes that a compiler may take for it.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Each function adds the usual decomposition; now and then something in it is
different, so that what is recognised must really be the pattern."""

import numpy

from graphs import Reject
from operators import operator


def number(g, value, dtype="float32"):
    """A constant; rarely another one than the pattern has."""
    if g.chance(0.06):
        value = value * 1.25 + 0.01
    shape = g.choice([[], [], [1]])
    return g.add(numpy.full(shape, value, dtype), constant=True)


def rows(g, least_rank=2):
    return g.pick(("float32",), least_rank=least_rank, where=lambda array: array.size > 0 and array.shape[-1] > 1)


def apply(g, op, *inputs, **attributes):
    return g.node(op, list(inputs), **attributes)[0]


def last(g, rank):
    return g.choice([-1, -1, rank - 1]) if not g.chance(0.08) else g.integer(0, rank - 1)


def mean(g, x, axis, keepdims=1):
    if g.opset >= 18:
        return apply(g, "ReduceMean", x, g.add(numpy.array([axis]), constant=True), keepdims=keepdims)
    return apply(g, "ReduceMean", x, axes=[axis], keepdims=keepdims)


@operator
def layer_norm(g):
    x = rows(g)
    value = g.values[x]
    axis = last(g, value.ndim)
    centred = apply(g, "Sub", x, mean(g, x, axis))
    square = apply(g, "Pow", centred, number(g, 2.0)) if g.chance(0.6) else apply(g, "Mul", centred, centred)
    deviation = apply(g, "Sqrt", apply(g, "Add", mean(g, square, axis), number(g, 1e-3)))
    y = apply(g, "Div", centred, deviation)
    if g.chance(0.8):
        y = apply(g, "Mul", y, g.add(g.array([value.shape[-1]], "float32")))
    if g.chance(0.8):
        apply(g, "Add", y, g.add(g.array([value.shape[-1]], "float32")))


@operator
def rms_norm(g):
    x = rows(g)
    value = g.values[x]
    axis = last(g, value.ndim)
    square = apply(g, "Mul", x, x) if g.chance(0.5) else apply(g, "Pow", x, number(g, 2.0))
    total = apply(g, "Add", mean(g, square, axis), number(g, 1e-3))
    if g.chance(0.5):
        y = apply(g, "Mul", x, apply(g, "Reciprocal", apply(g, "Sqrt", total)))
    else:
        y = apply(g, "Div", x, apply(g, "Sqrt", total))
    if g.chance(0.8):
        apply(g, "Mul", g.add(g.array([value.shape[-1]], "float32")), y)


@operator
def gelu(g):
    x = g.pick(("float32",))
    if g.chance(0.5):
        inner = apply(g, "Erf", apply(g, "Div", x, number(g, 2 ** 0.5)) if g.chance(0.5) else
                      apply(g, "Mul", x, number(g, 0.5 ** 0.5)))
    else:
        cube = apply(g, "Mul", apply(g, "Mul", x, x), x) if g.chance(0.5) else apply(g, "Pow", x, number(g, 3.0))
        inner = apply(g, "Tanh", apply(g, "Mul", apply(g, "Add", x, apply(g, "Mul", cube, number(g, 0.044715))),
                                       number(g, (2 / numpy.pi) ** 0.5)))
    one = apply(g, "Add", inner, number(g, 1.0))
    if g.chance(0.5):
        apply(g, "Mul", apply(g, "Mul", x, one), number(g, 0.5))
    else:
        apply(g, "Mul", apply(g, "Mul", x, number(g, 0.5)), one)


@operator
def silu(g):
    x = g.pick(("float32",))
    y = x if g.chance(0.7) else apply(g, "Mul", x, number(g, 1.702))
    apply(g, "Mul", x, apply(g, "Sigmoid", y)) if g.chance(0.5) else apply(g, "Mul", apply(g, "Sigmoid", y), x)


@operator
def softmax(g):
    x = rows(g)
    axis = last(g, g.values[x].ndim)
    if g.opset >= 18:
        axes = {"inputs": [g.add(numpy.array([axis]), constant=True)], "attributes": {}}
    else:
        axes = {"inputs": [], "attributes": {"axes": [axis]}}
    largest = apply(g, "ReduceMax", x, *axes["inputs"], **axes["attributes"])
    e = apply(g, "Exp", apply(g, "Sub", x, largest))
    apply(g, "Div", e, apply(g, "ReduceSum", e, g.add(numpy.array([axis]), constant=True)))


@operator
def attention(g):
    """Scores of a query over keys, scaled and masked, and the mean of the values."""
    batch, heads, size, depth = g.integer(1, 2), g.integer(1, 3), g.integer(1, 9), g.choice([2, 4, 8, 16])
    past = g.integer(0, 3)
    q = g.add(g.array([batch, heads, size, depth], "float32", -2, 2), constant=False)
    k = g.add(g.array([batch, heads, size + past, depth], "float32", -2, 2), constant=False)
    v = g.add(g.array([batch, heads, size + past, g.choice([depth, 3])], "float32"), constant=False)
    kt = apply(g, "Transpose", k, perm=[0, 1, 3, 2])
    factor = number(g, depth ** -0.5)
    if g.chance(0.3):
        q = apply(g, "Mul", q, factor)
    scores = apply(g, "MatMul", q, kt)
    if g.chance(0.6):
        scores = apply(g, "Mul", scores, factor) if g.chance(0.5) else apply(g, "Div", scores, number(g, depth ** 0.5))
    kind = g.choice(["none", "add", "where"])
    if kind == "add":
        scores = apply(g, "Add", scores, g.add(g.array(g.choice([[size, size + past], [batch, 1, 1, size + past]]), "float32")))
    elif kind == "where":
        mask = g.array([size, size + past], "bool") | (numpy.arange(size + past) == 0)
        scores = apply(g, "Where", g.add(mask), scores, g.add(numpy.float32(-1e3), constant=True))
    result = apply(g, "MatMul", apply(g, "Softmax", scores, axis=-1), v)
    if g.chance(0.5):
        apply(g, "Transpose", result, perm=[0, 2, 1, 3])


@operator
def rotary(g):
    """Halves of the last dimension are rotated."""
    x = g.pick(("float32",), least_rank=2, where=lambda array: array.size > 0 and array.shape[-1] % 2 == 0)
    value = g.values[x]
    half, axis = value.shape[-1] // 2, value.ndim - 1

    def part(low, high):
        return apply(g, "Slice", x, *(g.add(numpy.array([entry]), constant=True) for entry in (low, high, axis, 1)))

    first, second = part(0, half), part(half, 2 * half)
    turned = apply(g, "Concat", apply(g, "Neg", second), first, axis=g.choice([-1, axis]))
    angles = g.array(value.shape[-2:], "float32")
    apply(g, "Add", apply(g, "Mul", x, g.add(numpy.cos(angles))), apply(g, "Mul", turned, g.add(numpy.sin(angles))))


@operator
def quantized(g):
    """An operator between DequantizeLinear and QuantizeLinear."""
    x = g.pick(("float32",), rank=2, where=lambda array: array.size > 0)
    value = g.values[x]

    def both(name, kind, scale):
        scale = g.add(numpy.float32(scale), constant=True)
        zero = g.add(g.array([], kind, 0, 9), constant=True)
        return apply(g, "DequantizeLinear", apply(g, "QuantizeLinear", name, scale, zero), scale, zero)

    kind = g.choice(["int8", "uint8"])
    x = both(x, kind, 0.05)
    n = g.integer(1, 9)
    weight = g.add(g.array([value.shape[1], n], "int8", -100, 100), constant=True)
    per_channel = g.chance(0.5)
    scale = g.add(g.array([n] if per_channel else [], "float32", 0.01, 0.05), constant=True)
    zero = g.add(numpy.zeros([n] if per_channel else [], "int8"), constant=True)
    weight = apply(g, "DequantizeLinear", weight, scale, zero, **({"axis": 1} if per_channel else {}))
    y = apply(g, "MatMul", x, weight)
    if g.chance(0.6):
        y = apply(g, "Add", y, g.add(g.array([n], "float32")))
    if g.chance(0.4):
        y = apply(g, "Relu", y)
    both(y, kind, 0.2)


@operator
def shape_arithmetic(g):
    """A reshape by sizes that are taken from a shape."""
    x = g.pick(("float32", "int64"), least_rank=2, where=lambda array: array.size > 0)
    shape = apply(g, "Shape", x)
    rank = g.values[x].ndim
    k = g.integer(0, rank - 1)
    if g.chance(0.5):
        size = apply(g, "Gather", shape, g.add(numpy.array([k]), constant=True), axis=0)
    else:
        size = apply(g, "Slice", shape, *(g.add(numpy.array([entry]), constant=True) for entry in (k, k + 1)))
    rest = g.add(numpy.array([-1]), constant=True)
    target = apply(g, "Concat", *((size, rest) if g.chance(0.5) else (rest, size)), axis=0)
    if g.values[size].size != 1:
        raise Reject
    apply(g, "Reshape", x, target)


@operator
def narrow(g):
    """One operator in bfloat16."""
    x = g.pick(("float32",))
    bfloat16, float32 = 16, 1
    y = apply(g, "Cast", x, to=bfloat16)
    if g.chance(0.5):
        y = apply(g, g.choice(["Relu", "Abs", "Neg", "Sqrt", "Identity", "Transpose"]), y)
    else:
        other = g.add(g.array(g.values[x].shape[g.integer(0, g.values[x].ndim):], "float32"))
        y = apply(g, g.choice(["Add", "Sub", "Mul", "Max"]), y, apply(g, "Cast", other, to=bfloat16))
    apply(g, "Cast", y, to=float32)


@operator
def quantize_narrow(g):
    """There and back through a type of few bits, by one scale, one each or one for a block."""
    import ml_dtypes

    x = g.pick(("float32",), least_rank=1, where=lambda array: array.size > 0 and numpy.isfinite(array).all())
    value = g.values[x]
    if g.opset < 21:
        raise Reject
    kind = g.choice(["int16", "uint16", "int4", "uint4", "float8_e4m3fn", "float8_e5m2"])
    dtype = numpy.dtype(kind if kind in ("int16", "uint16") else getattr(ml_dtypes, kind))
    form, axis, attributes = g.choice(["one", "each", "block"]), g.integer(0, value.ndim - 1), {}
    shape = []
    if form == "each":
        shape, attributes = [value.shape[axis]], {"axis": axis}
    elif form == "block":
        blocks = [d for d in range(1, value.shape[axis] + 1) if value.shape[axis] % d == 0]
        block = g.choice(blocks)
        shape = [size // block if k == axis else size for k, size in enumerate(value.shape)]
        attributes = {"axis": axis, "block_size": block}
    scale = g.add(g.array(shape, "float32", 0.1, 0.6), constant=True)
    zero = numpy.zeros(shape, dtype) if kind.startswith("float") else g.array(shape, "int32", 0, 3).astype(dtype)
    zero = g.add(zero, constant=True)
    q = apply(g, "QuantizeLinear", x, scale, zero, **attributes)
    apply(g, "DequantizeLinear", q, scale, zero, **attributes)
