# operators.py - how each operator is used in a random graph.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Functions that add one node to a graph (graphs.py), or raise Reject."""

import numpy
from onnx import helper

from graphs import FLOATS, INTEGERS, Reject

SIGNED = ("int64", "int32", "int8", "int16")
NUMBERS = (*FLOATS, *INTEGERS)
ANY = (*NUMBERS, "bool")
# Products and normalisations are computed in these.
REAL = ("float32", "float64", "float16")

OPERATORS = []


def operator(function, weight=1):
    OPERATORS.extend([function] * weight)
    return function


def within(low, high):
    return lambda array: array.size == 0 or (array.min() >= low and array.max() <= high)


#===----------------------------------------------------------------------===#
# Elementwise
#===----------------------------------------------------------------------===#

UNARY = {
    "Abs": (NUMBERS, None), "Neg": ((*FLOATS, *SIGNED), None), "Ceil": (FLOATS, None), "Floor": (FLOATS, None),
    "Round": (FLOATS, None), "Sign": (NUMBERS, None), "Sqrt": (FLOATS, (0, 1e4)), "Exp": (FLOATS, (-9, 9)),
    "Log": (FLOATS, (1e-3, 1e4)), "Reciprocal": (FLOATS, (0.05, 1e4)), "Sin": (FLOATS, (-100, 100)),
    "Cos": (FLOATS, (-100, 100)), "Tan": (FLOATS, (-1.4, 1.4)), "Asin": (FLOATS, (-1, 1)), "Acos": (FLOATS, (-1, 1)),
    "Atan": (FLOATS, None), "Sinh": (FLOATS, (-9, 9)), "Cosh": (FLOATS, (-9, 9)), "Tanh": (FLOATS, None),
    "Asinh": (FLOATS, None), "Acosh": (FLOATS, (1.01, 1e4)), "Atanh": (FLOATS, (-0.95, 0.95)), "Erf": (FLOATS, None),
    "Sigmoid": (FLOATS, None), "Relu": ((*FLOATS, *SIGNED), None), "Softplus": (FLOATS, None), "Softsign": (FLOATS, None),
    "HardSwish": (FLOATS, None), "Mish": (FLOATS, None), "Identity": (ANY, None), "IsNaN": (FLOATS, None),
    "IsInf": (("float32", "float64"), None), "Not": (("bool",), None), "BitwiseNot": (INTEGERS, None)}


@operator
def unary(g):
    op = g.choice(list(UNARY))
    types, bounds = UNARY[op]
    g.node(op, [g.pick(types, where=within(*bounds) if bounds else None)])


for _ in range(5):
    operator(unary)

PARAMETERS = {"LeakyRelu": ["alpha"], "Elu": ["alpha"], "Selu": ["alpha", "gamma"], "Celu": ["alpha"],
              "HardSigmoid": ["alpha", "beta"], "ThresholdedRelu": ["alpha"], "Shrink": ["lambd", "bias"]}


@operator
def activation(g):
    op = g.choice(list(PARAMETERS))
    attributes = {name: round(float(g.rng.uniform(0.1, 1.5)), 2) for name in PARAMETERS[op] if g.chance(0.7)}
    g.node(op, [g.pick(["float32"] if op == "Celu" else FLOATS)], **attributes)


@operator
def gelu(g):
    g.node("Gelu", [g.pick(FLOATS)], approximate=g.choice(["none", "tanh"]))


def binary(g):
    op = g.choice(["Add", "Sub", "Mul", "Add", "Mul"])
    x = g.pick(NUMBERS)
    both = [x, g.like(x)]
    g.node(op, both if g.chance(0.7) else both[::-1])


for _ in range(6):
    operator(binary)


@operator
def division(g):
    x = g.pick(NUMBERS)
    g.node("Div", [x, g.like(x, 1, 7)])


@operator
def modulo(g):
    x = g.pick(INTEGERS if g.chance(0.7) else FLOATS)
    real = g.values[x].dtype.kind == "f"
    low = 1 if g.values[x].dtype.kind == "u" or g.chance(0.5) else -7
    y = g.like(x, low, 7 if low > 0 else -1)
    g.node("Mod", [x, y], fmod=1 if real or g.chance(0.3) else 0)


@operator
def power(g):
    x = g.pick(("float32", "float64"), where=within(0.1, 20))
    g.node("Pow", [x, g.like(x, -2, 2)])


@operator
def extremes(g):
    op = g.choice(["Min", "Max", "Sum", "Mean"])
    x = g.pick(NUMBERS if op in ("Min", "Max") else FLOATS)
    g.node(op, [x] + [g.like(x) for _ in range(g.integer(0, 2))])


@operator
def comparison(g):
    op = g.choice(["Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual"])
    x = g.pick(ANY if op == "Equal" else NUMBERS)
    g.node(op, [x, g.like(x)])


@operator
def logic(g):
    x = g.pick(["bool"])
    g.node(g.choice(["And", "Or", "Xor"]), [x, g.like(x)])


@operator
def bits(g):
    x = g.pick(INTEGERS)
    if g.chance(0.3) and g.values[x].dtype.kind == "u":
        g.node("BitShift", [x, g.like(x, 0, 3)], direction=g.choice(["LEFT", "RIGHT"]))
    else:
        g.node(g.choice(["BitwiseAnd", "BitwiseOr", "BitwiseXor"]), [x, g.like(x)])


@operator
def where(g):
    x = g.pick(ANY)
    value = g.values[x]
    condition = g.add(g.array(value.shape, "bool")) if g.chance(0.5) else g.pick(
        ["bool"], where=lambda c: c.ndim <= value.ndim and c.shape == value.shape[value.ndim - c.ndim:])
    g.node("Where", [condition, x, g.like(x)])


@operator
def clip(g):
    x = g.pick(NUMBERS)
    dtype = g.values[x].dtype
    if g.opset < 11:
        g.node("Clip", [x], min=g.choice([None, 0.0, 0.5]), max=g.choice([None, 1.0, 2.5]))
        return
    bounds = [g.add(g.array([], dtype, low, high)) if g.chance(0.8) else "" for low, high in ((0, 1), (2, 3))]
    g.node("Clip", [x, *bounds] if bounds[1] else [x, bounds[0]] if bounds[0] else [x])


@operator
def prelu(g):
    x = g.pick(FLOATS)
    shape = list(g.values[x].shape)
    shape = [1 if g.chance(0.3) else size for size in shape][g.integer(0, len(shape)):]
    g.node("PRelu", [x, g.add(g.array(shape, g.values[x].dtype))])


@operator
def cast(g):
    x = g.pick(ANY)
    value, kind = g.values[x], g.choice(ANY)
    to = numpy.dtype(kind)
    if to.kind in "iu" and value.size and value.dtype.kind != "b":
        # As Python's numbers: f16 would take the bounds for infinities.
        least, most = float(value.min()), float(value.max())
        if value.dtype.kind == "f" and not (least >= numpy.iinfo(to).min and most <= numpy.iinfo(to).max):
            raise Reject
    g.node("Cast", [x], to=helper.np_dtype_to_tensor_dtype(to))


#===----------------------------------------------------------------------===#
# Reductions
#===----------------------------------------------------------------------===#

REDUCTIONS = {"ReduceSum": (*FLOATS, "int32", "int64"), "ReduceMean": FLOATS, "ReduceMax": NUMBERS, "ReduceMin": NUMBERS,
              "ReduceProd": ("float32", "float64", "int32", "int64"), "ReduceL1": FLOATS, "ReduceL2": FLOATS,
              "ReduceLogSumExp": FLOATS, "ReduceSumSquare": FLOATS}


@operator
def reduction(g):
    op = g.choice(list(REDUCTIONS))
    x = g.pick(REDUCTIONS[op], where=lambda array: array.size > 0)
    rank = g.values[x].ndim
    axes = sorted(g.rng.permutation(rank)[:g.integer(0, rank)].tolist())
    axes = [axis - rank if g.chance(0.3) and g.opset >= 11 else axis for axis in axes]
    attributes = {"keepdims": g.integer(0, 1)}
    inputs = [x]
    if g.opset >= 18 or op == "ReduceSum" and g.opset >= 13:
        if axes:
            inputs.append(g.list(axes))
        elif g.chance(0.3):
            attributes["noop_with_empty_axes"] = 1
    elif axes:
        attributes["axes"] = axes
    g.node(op, inputs, **attributes)


operator(reduction)


@operator
def arguments_of_extremes(g):
    x = g.pick(("float32", "float64", "int32", "int8", "uint8", "int64"), least_rank=1, where=lambda array: array.size > 0)
    rank = g.values[x].ndim
    g.node(g.choice(["ArgMax", "ArgMin"]), [x], axis=g.integer(-rank, rank - 1), keepdims=g.integer(0, 1),
           select_last_index=g.integer(0, 1))


@operator
def cumulative(g):
    x = g.pick(("float32", "float64", "int32", "int64"), least_rank=1)
    rank = g.values[x].ndim
    g.node("CumSum", [x, g.add(numpy.array(g.integer(-rank, rank - 1)), constant=g.chance(0.9))],
           exclusive=g.integer(0, 1), reverse=g.integer(0, 1))


@operator
def top_k(g):
    x = g.pick(("float32", "float64", "int32", "int64"), least_rank=1, where=lambda array: array.size > 0)
    axis = g.integer(-g.values[x].ndim, g.values[x].ndim - 1)
    g.node("TopK", [x, g.list([g.integer(1, g.values[x].shape[axis])])], outputs=2, axis=axis, largest=g.integer(0, 1))


@operator
def softmax(g):
    x = g.pick(REAL, least_rank=1)
    rank = g.values[x].ndim
    g.node(g.choice(["Softmax", "LogSoftmax", "Hardmax"]), [x], axis=g.integer(-rank, rank - 1))


#===----------------------------------------------------------------------===#
# Movement
#===----------------------------------------------------------------------===#

@operator
def transpose(g):
    x = g.pick(ANY)
    rank = g.values[x].ndim
    g.node("Transpose", [x], perm=None if g.chance(0.2) or not rank else g.rng.permutation(rank).tolist())


operator(transpose)


@operator
def reshape(g):
    x = g.pick(ANY)
    count, shape = g.values[x].size, []
    while count > 1 and len(shape) < 4:
        factor = g.choice([d for d in range(1, count + 1) if count % d == 0])
        shape.append(factor)
        count //= factor
    if count != 1:
        shape.append(count)
    if g.chance(0.4) and shape and g.values[x].size:
        shape[g.integer(0, len(shape) - 1)] = -1
    g.node("Reshape", [x, g.list(shape)])


operator(reshape)


@operator
def squeeze(g):
    x = g.pick(ANY, where=lambda array: 1 in array.shape)
    ones = [k for k, size in enumerate(g.values[x].shape) if size == 1]
    axes = [g.choice(ones)] if g.chance(0.7) else None
    if g.opset < 13 or axes is None:
        g.node("Squeeze", [x], axes=axes)
    else:
        g.node("Squeeze", [x, g.list(axes)])


@operator
def unsqueeze(g):
    x = g.pick(ANY, where=lambda array: array.ndim < 5)
    rank = g.values[x].ndim + 1
    if g.opset < 13:
        g.node("Unsqueeze", [x], axes=[g.integer(0, rank - 1)])
    else:
        g.node("Unsqueeze", [x, g.list([g.integer(-rank, rank - 1)])])


@operator
def flatten(g):
    x = g.pick(ANY)
    g.node("Flatten", [x], axis=g.integer(-g.values[x].ndim, g.values[x].ndim))


@operator
def expand(g):
    x = g.pick(ANY)
    shape = [g.integer(1, 4) if size == 1 else size for size in g.values[x].shape]
    shape = [g.integer(1, 3) for _ in range(g.integer(0, 1))] + [1 if g.chance(0.2) else size for size in shape]
    g.node("Expand", [x, g.list(shape)])


@operator
def tile(g):
    x = g.pick(ANY)
    g.node("Tile", [x, g.list([g.integer(1, 3) for _ in range(g.values[x].ndim)])])


@operator
def slicing(g):
    x = g.pick(ANY, least_rank=1)
    shape = g.values[x].shape
    axes = sorted(g.rng.permutation(len(shape))[:g.integer(1, len(shape))].tolist())
    starts, ends, steps = [], [], []
    for axis in axes:
        size, step = shape[axis], g.choice([1, 1, 2, 3, -1, -2])
        begin, end = sorted(g.integer(-1, size + 1) for _ in range(2))
        if step < 0:
            begin, end = end, begin
        starts.append(begin - size if g.chance(0.3) and 0 <= begin < size else begin)
        ends.append(numpy.iinfo("int64").max if step > 0 and g.chance(0.2) else
                    numpy.iinfo("int64").min if step < 0 and g.chance(0.2) else end)
        steps.append(step)
    if g.opset < 10:
        if min(steps) < 1 or max(steps) > 1:
            raise Reject
        g.node("Slice", [x], starts=starts, ends=ends, axes=axes)
        return
    axes = [axis - len(shape) if g.chance(0.2) else axis for axis in axes]
    g.node("Slice", [x, *(g.list(values) for values in (starts, ends, axes, steps))])


operator(slicing)


@operator
def concat(g):
    x = g.pick(ANY, least_rank=1)
    value = g.values[x]
    axis = g.integer(0, value.ndim - 1)
    parts = [x]
    for _ in range(g.integer(0, 2)):
        shape = list(value.shape)
        shape[axis] = g.integer(1, 4)
        parts.append(x if g.chance(0.3) else g.add(g.array(shape, value.dtype)))
    g.node("Concat", parts, axis=axis - value.ndim if g.chance(0.3) else axis)


@operator
def split(g):
    x = g.pick(ANY, least_rank=1, where=lambda array: max(array.shape) > 1)
    value = g.values[x]
    axis = g.choice([k for k, size in enumerate(value.shape) if size > 1])
    first = g.integer(1, value.shape[axis] - 1)
    parts = [first, value.shape[axis] - first]
    if g.opset < 13:
        g.node("Split", [x], outputs=2, axis=axis, split=parts)
    else:
        g.node("Split", [x, g.list(parts)], outputs=2, axis=axis)


@operator
def gather(g):
    x = g.pick(ANY, least_rank=1, where=lambda array: array.size > 0)
    axis = g.integer(0, g.values[x].ndim - 1)
    size = g.values[x].shape[axis]
    kind = g.choice(["int64", "int32"])
    if g.chance(0.5):
        g.node("Gather", [x, g.add(g.array(g.shape(g.integer(0, 2), 4), kind, -size, size - 1))], axis=axis)
    else:
        shape = [g.integer(1, s) for s in g.values[x].shape]
        shape[axis] = g.integer(1, 5)
        g.node("GatherElements", [x, g.add(g.array(shape, kind, -size, size - 1))], axis=axis)


@operator
def gather_nd(g):
    x = g.pick(ANY, least_rank=1, where=lambda array: array.size > 0)
    shape = g.values[x].shape
    depth = g.integer(1, len(shape))
    indices = [g.array(g.shape(1, 4), "int64", -size, size - 1) for size in shape[:depth]]
    count = min(len(i) for i in indices)
    g.node("GatherND", [x, g.add(numpy.stack([i[:count] for i in indices], -1))])


@operator
def scatter(g):
    x = g.pick(("float32", "int32", "int64", "float64"), least_rank=1, where=lambda array: array.size > 0)
    value = g.values[x]
    axis = g.integer(0, value.ndim - 1)
    # No index twice: which of two updates stays is open.
    shape = list(value.shape)
    shape[axis] = g.integer(1, shape[axis])
    lanes = g.rng.permuted(numpy.broadcast_to(numpy.arange(value.shape[axis]).reshape(
        [-1 if k == axis else 1 for k in range(value.ndim)]), value.shape), axis=axis)
    indices = numpy.ascontiguousarray(lanes[tuple(slice(0, size) for size in shape)])
    reduction = g.choice(["none", "add", "mul", "max", "min"]) if g.opset >= 18 else None
    updates = g.array(shape, value.dtype)
    # The references disagree on which of a number and NaN is the lesser.
    unordered = reduction in ("max", "min") and value.dtype.kind == "f"
    if unordered and (numpy.isnan(value).any() or numpy.isnan(updates).any()):
        raise Reject
    g.node("ScatterElements", [x, g.add(indices), g.add(updates)], axis=axis, reduction=reduction)


@operator
def scatter_nd(g):
    x = g.pick(("float32", "int32", "int64", "float64"), least_rank=1, where=lambda array: array.size > 0)
    value = g.values[x]
    count = g.integer(1, value.shape[0])
    indices = g.rng.permutation(value.shape[0])[:count].reshape(-1, 1)
    g.node("ScatterND", [x, g.add(indices), g.add(g.array([count, *value.shape[1:]], value.dtype))])


@operator
def pad(g):
    x = g.pick(("float32", "float64", "int32", "int64"), least_rank=1, where=lambda array: array.size > 0)
    value = g.values[x]
    mode = g.choice(["constant", "constant", "edge", "reflect"])
    most = [min(3, size - 1 if mode == "reflect" else 3) for size in value.shape]
    low = [-1 if mode == "constant" and g.chance(0.1) and size > 2 else 0 for size in value.shape]
    pads = [g.integer(low[k % value.ndim], most[k % value.ndim]) for k in range(2 * value.ndim)]
    if g.opset < 11:
        g.node("Pad", [x], mode=mode, pads=pads, value=g.choice([None, 1.5]))
        return
    inputs = [x, g.list(pads)]
    if mode == "constant" and g.chance(0.6):
        inputs.append(g.add(g.array([], value.dtype)))
    g.node("Pad", inputs, mode=mode)


@operator
def triangle(g):
    x = g.pick(("float32", "float64", "int64", "int32", "bool"), least_rank=2)
    if g.opset < 14:
        raise Reject
    k = [g.add(numpy.array(g.integer(-3, 3)), constant=True)] if g.chance(0.6) else []
    g.node("Trilu", [x, *k], upper=g.integer(0, 1))


@operator
def depth_and_space(g):
    x = g.pick(("float32",), rank=4, where=lambda array: array.size > 0)
    shape = g.values[x].shape
    if shape[1] % 4 == 0:
        g.node("DepthToSpace", [x], blocksize=2, mode=g.choice(["DCR", "CRD"]))
    elif shape[2] % 2 == 0 and shape[3] % 2 == 0:
        g.node("SpaceToDepth", [x], blocksize=2)
    else:
        raise Reject


@operator
def one_hot(g):
    x = g.pick(("int64", "int32"), where=lambda array: array.ndim < 4)
    rank = g.values[x].ndim + 1
    values = g.add(g.array([2], g.choice(["float32", "int64"])))
    g.node("OneHot", [x, g.add(numpy.array(g.integer(1, 6)), constant=True), values], axis=g.integer(-rank, rank - 1))


@operator
def sizes(g):
    x = g.pick(ANY)
    if g.chance(0.5):
        shape = g.node("Shape", [x])[0]
        if g.chance(0.5) and g.values[x].size < 500:
            g.node("ConstantOfShape", [shape])
    else:
        g.node("Size", [x])


@operator
def eye_like(g):
    g.node("EyeLike", [g.pick(("float32", "int32"), rank=2)], k=g.integer(-2, 2))


@operator
def positions(g):
    x = g.pick(("bool", "float32", "int32"), least_rank=1)
    if g.chance(0.5):
        g.node("NonZero", [x])
    else:
        axis = g.integer(0, g.values[x].ndim - 1)
        g.node("Compress", [x, g.add(g.array([g.values[x].shape[axis]], "bool"), constant=g.chance(0.3))], axis=axis)


@operator
def unique(g):
    g.node("Unique", [g.pick(("float32", "int64"), where=lambda array: 0 < array.size < 64)], sorted=1)


@operator
def resize(g):
    x = g.pick(("float32",), rank=4, where=lambda array: array.size > 0)
    shape = g.values[x].shape
    mode = g.choice(["nearest", "linear", "cubic"])
    # Whether what weighs nothing counts if it is NaN or infinite is open.
    if mode != "nearest" and not numpy.isfinite(g.values[x]).all():
        raise Reject
    where = g.choice(["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"])
    sizes = [*shape[:2], *(g.integer(1, 9) for _ in shape[2:])]
    g.node("Resize", [x, "", "", g.list(sizes)], mode=mode, coordinate_transformation_mode=where,
           nearest_mode=g.choice(["round_prefer_floor", "floor", "ceil", "round_prefer_ceil"]) if mode == "nearest" else None)


@operator
def reverse_sequence(g):
    x = g.pick(("float32", "int64"), least_rank=2, where=lambda array: array.size > 0)
    time, batch = g.choice([(0, 1), (1, 0)])
    shape = g.values[x].shape
    g.node("ReverseSequence", [x, g.add(g.array([shape[batch]], "int64", 1, shape[time]))], time_axis=time, batch_axis=batch)


#===----------------------------------------------------------------------===#
# Products
#===----------------------------------------------------------------------===#

@operator
def matmul(g):
    x = g.pick(REAL, least_rank=1, where=lambda array: array.size > 0)
    value = g.values[x]
    rank = g.integer(1, 3)
    shape = [value.shape[-1]] if rank == 1 else [*value.shape[:-2][-(rank - 2):], value.shape[-1], g.integer(1, 9)] \
        if rank > 2 and value.ndim > 2 else [value.shape[-1], g.integer(1, 9)]
    g.node("MatMul", [x, g.add(g.array(shape, value.dtype, -1, 1))])


operator(matmul)


@operator
def gemm(g):
    x = g.pick(REAL, rank=2, where=lambda array: array.size > 0)
    value, n = g.values[x], g.integer(1, 9)
    ta, tb = g.integer(0, 1), g.integer(0, 1)
    m, k = value.shape[::-1] if ta else value.shape
    inputs = [x, g.add(g.array([n, k] if tb else [k, n], value.dtype, -1, 1))]
    if g.chance(0.7):
        inputs.append(g.add(g.array(g.choice([[n], [m, n], [m, 1], [1], []]), value.dtype)))
    g.node("Gemm", inputs, transA=ta, transB=tb, alpha=g.choice([1.0, 0.5]), beta=g.choice([1.0, 2.0]))


@operator
def convolution(g):
    x = g.pick(("float32",), where=lambda array: 3 <= array.ndim <= 5 and array.size > 0)
    value = g.values[x]
    spatial = value.ndim - 2
    kernel = [g.integer(1, min(3, size)) for size in value.shape[2:]]
    group = g.choice([1, value.shape[1]])
    out = group * g.integer(1, 3)
    attributes = {"group": group}
    if g.chance(0.5):
        attributes["pads"] = [g.integer(0, k - 1) for k in kernel * 2]
    elif g.chance(0.3):
        attributes["auto_pad"] = g.choice(["SAME_UPPER", "SAME_LOWER", "VALID"])
    if g.chance(0.4):
        attributes["strides"] = [g.integer(1, 2) for _ in kernel]
    if g.chance(0.6):
        inputs = [x, g.add(g.array([out, value.shape[1] // group, *kernel], value.dtype, -1, 1), constant=True)]
        if "auto_pad" not in attributes and g.chance(0.3):
            attributes["dilations"] = [g.integer(1, 2) for _ in range(spatial)]
        op = "Conv"
    else:
        attributes.pop("auto_pad", None)
        inputs = [x, g.add(g.array([value.shape[1], out // group, *kernel], value.dtype, -1, 1), constant=True)]
        op = "ConvTranspose"
    if g.chance(0.5):
        inputs.append(g.add(g.array([out], value.dtype)))
    g.node(op, inputs, **attributes)


operator(convolution)


@operator
def pooling(g):
    x = g.pick(("float32",), where=lambda array: 3 <= array.ndim <= 5 and array.size > 0)
    value = g.values[x]
    if g.chance(0.2):
        g.node(g.choice(["GlobalAveragePool", "GlobalMaxPool"]), [x])
        return
    kernel = [g.integer(1, min(3, size)) for size in value.shape[2:]]
    attributes = {"kernel_shape": kernel, "strides": [g.integer(1, 2) for _ in kernel]}
    if g.chance(0.4):
        attributes["pads"] = [g.integer(0, k // 2) for k in kernel * 2]
    # Every system has an opinion of its own about the largest of NaN and a number.
    op = "AveragePool" if numpy.isnan(value).any() else g.choice(["MaxPool", "AveragePool"])
    if op == "AveragePool":
        attributes["count_include_pad"] = g.integer(0, 1)
    g.node(op, [x], ceil_mode=g.integer(0, 1) if g.chance(0.3) else None, **attributes)


#===----------------------------------------------------------------------===#
# Normalisations, quantisation
#===----------------------------------------------------------------------===#

@operator
def layer_normalization(g):
    x = g.pick(("float32", "float64"), least_rank=1, where=lambda array: array.size > 0)
    value = g.values[x]
    axis = g.integer(0, value.ndim - 1)
    shape, dtype = value.shape[axis:], value.dtype
    if g.opset >= 23 and g.chance(0.4):
        g.node("RMSNormalization", [x, g.add(g.array(shape, dtype))], axis=axis, epsilon=1e-3)
    elif g.opset >= 17:
        bias = [g.add(g.array(shape, dtype))] if g.chance(0.6) else []
        g.node("LayerNormalization", [x, g.add(g.array(shape, dtype)), *bias], axis=axis, epsilon=1e-3)
    else:
        raise Reject


@operator
def batch_normalization(g):
    x = g.pick(("float32",), least_rank=2, where=lambda array: array.size > 0)
    n = g.values[x].shape[1]
    parts = [g.add(g.array([n], "float32", low, 2)) for low in (-1, -1, -1, 0.5)]
    if g.chance(0.5) or g.values[x].ndim < 3:
        g.node("BatchNormalization", [x, *parts], epsilon=1e-3)
    else:
        g.node("InstanceNormalization", [x, *parts[:2]], epsilon=1e-2)


@operator
def lp_normalization(g):
    x = g.pick(("float32",), least_rank=1, where=lambda array: array.size > 0 and numpy.abs(array).min() > 1e-2)
    # The reference forgets the absolute value where p is 1.
    p = 1 if g.values[x].min() > 0 and g.chance(0.5) else 2
    g.node("LpNormalization", [x], axis=g.integer(0, g.values[x].ndim - 1), p=p)


@operator
def local_response(g):
    g.node("LRN", [g.pick(("float32",), rank=4, where=lambda array: array.size > 0)], size=g.choice([1, 3, 5]))


@operator
def quantize(g):
    x = g.pick(("float32",), where=lambda array: array.size > 0 and numpy.isfinite(array).all())
    kind = g.choice(["int8", "uint8"])
    scale = g.add(numpy.float32(g.choice([0.5, 0.25, 0.1])), constant=True)
    zero = g.add(g.array([], kind, 0, 5), constant=True)
    q = g.node("QuantizeLinear", [x, scale, zero])[0]
    if g.chance(0.7):
        g.node("DequantizeLinear", [q, scale, zero])


@operator
def integer_product(g):
    x = g.pick(("int8", "uint8"), rank=2, where=lambda array: array.size > 0)
    kind = g.choice(["int8", "uint8"])
    zero = [g.add(g.array([], g.values[x].dtype, 0, 5), constant=True)] if g.chance(0.5) else []
    g.node("MatMulInteger", [x, g.add(g.array([g.values[x].shape[1], g.integer(1, 6)], kind)), *zero])


@operator
def einsum(g):
    x = g.pick(("float32", "float64"), rank=2, where=lambda array: array.size > 0)
    value = g.values[x]
    equation = g.choice(["ij,jk->ik", "ij,kj->ki", "ij->ji", "ij->i", "ij,ij->j", "ij,ij->"])
    inputs = [x]
    if "," in equation:
        second = equation.split(",")[1].split("->")[0]
        sizes = {"i": value.shape[0], "j": value.shape[1], "k": g.integer(1, 6)}
        inputs.append(g.add(g.array([sizes[letter] for letter in second], value.dtype, -1, 1)))
    g.node("Einsum", inputs, equation=equation)


#===----------------------------------------------------------------------===#
# Control flow, recurrence
#===----------------------------------------------------------------------===#

@operator
def condition(g):
    """If on a scalar, with branches that read values from outside."""
    x = g.pick(("float32", "int64"))
    c = g.add(numpy.array(g.chance(0.5)), constant=g.chance(0.2))
    branches = []
    for op in (g.choice(["Neg", "Abs"]), "Identity"):
        node = helper.make_node(op, [x], ["r"])
        branches.append(helper.make_graph([node], op, [], [helper.make_empty_tensor_value_info("r")]))
    g.nested("If", [c], [x], then_branch=branches[0], else_branch=branches[1])


@operator
def loop(g):
    """A few rounds of a carried value with a value from outside, and what each round gave."""
    x = g.pick(("float32",), where=lambda array: 0 < array.size < 200)
    trips = g.add(numpy.array(g.integer(0, 4)), constant=g.chance(0.5))
    kind = helper.np_dtype_to_tensor_dtype(g.values[x].dtype)
    shape = list(g.values[x].shape)
    body = helper.make_graph(
        [helper.make_node("Mul", ["a", x], ["m"]), helper.make_node("Tanh", ["m"], ["b"]),
         helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Identity", ["b"], ["each"])], "body",
        [helper.make_tensor_value_info("i", 7, []), helper.make_tensor_value_info("go", 9, []),
         helper.make_tensor_value_info("a", kind, shape)],
        [helper.make_tensor_value_info("on", 9, []), helper.make_tensor_value_info("b", kind, shape),
         helper.make_tensor_value_info("each", kind, shape)])
    g.nested("Loop", [trips, "", x], [x], outputs=2, body=body)


@operator
def recurrence(g):
    x = g.pick(("float32",), rank=3, where=lambda array: array.size > 0)
    op, gates = g.choice([("RNN", 1), ("GRU", 3), ("LSTM", 4)])
    hidden, width = g.integer(1, 4), g.values[x].shape[2]
    directions = g.choice(["forward", "reverse", "bidirectional"])
    n = 2 if directions == "bidirectional" else 1
    inputs = [x, g.add(g.array([n, gates * hidden, width], "float32", -1, 1), constant=True),
              g.add(g.array([n, gates * hidden, hidden], "float32", -1, 1), constant=True)]
    if g.chance(0.5):
        inputs.append(g.add(g.array([n, 2 * gates * hidden], "float32", -1, 1), constant=True))
    g.node(op, inputs, outputs=2, hidden_size=hidden, direction=directions)
