#!/usr/bin/env python3
# contrib.py - operators of com.microsoft beside ONNX Runtime itself.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""contrib.py [--device=cpu] [--filter=WORD] [-v]

There are no conformance cases for com.microsoft, so each case here is a model
of one node, run by aicc and by ONNX Runtime on the same random inputs. An
operator that ONNX Runtime's CPU provider doesn't have is compared with the
standard operators that define it.

Floats agree within 1e-3 of their value or 2e-5 of the largest one (half floats
1e-2), integers exactly; results that were quantised may differ by one step in
one element of a hundred, where a value lies between two steps.
"""

import argparse
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parent / "harness"))
from aicc_testing import python_package, skip  # noqa: E402

try:
    import numpy
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper
except ImportError as missing:
    skip(f"{missing.name} is not installed")

python_package()
import aicc  # noqa: E402

OPSET, IR = 21, 10


class Case:
    """One node. `inputs`: a list of (name, array or None); names in `constant` become initializers;
    `symbols` maps (name, axis) to the name of a dynamic dimension."""

    def __init__(self, name, op, inputs, outputs=1, constant=(), symbols=None, reference=None, domain="com.microsoft",
                 unspecified=None, **attributes):
        self.name, self.op, self.inputs, self.outputs = name, op, inputs, outputs
        self.constant, self.symbols, self.reference = set(constant), symbols or {}, reference
        self.domain, self.unspecified = domain, unspecified
        self.attributes = {k: v for k, v in attributes.items() if v != []}

    def model(self, nodes=None):
        given = [(n, a) for n, a in self.inputs if a is not None]
        outputs = [f"out{i}" for i in range(self.outputs)] if isinstance(self.outputs, int) else self.outputs
        if nodes is None:
            nodes = [helper.make_node(self.op, [n if a is not None else "" for n, a in self.inputs], outputs,
                                      domain=self.domain, name="node", **self.attributes)]
        named = [o for o in outputs if o]

        def shape(name, array):
            return [self.symbols.get((name, i), d) for i, d in enumerate(array.shape)]

        graph = helper.make_graph(
            nodes, self.name,
            [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), shape(n, a))
             for n, a in given if n not in self.constant],
            [helper.make_tensor_value_info(o, TensorProto.FLOAT, None) if o == "qk" else
             helper.make_empty_tensor_value_info(o) for o in named],
            [numpy_helper.from_array(a, n) for n, a in given if n in self.constant])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET),
                                                        helper.make_opsetid("com.microsoft", 1)], ir_version=IR)
        return model, named

    def feeds(self):
        return {n: a for n, a in self.inputs if a is not None and n not in self.constant}


_generators = {}


def rng():
    return _generators.setdefault("one", numpy.random.default_rng(7))


def f32(*shape, scale=1.0, type=numpy.float32):
    return (rng().standard_normal(shape) * scale).astype(type)


def f16(*shape, scale=1.0):
    return f32(*shape, scale=scale, type=numpy.float16)


def integers(low, high, *shape, type=numpy.int32):
    return rng().integers(low, high, shape).astype(type)


def u8(*shape):
    return integers(0, 256, *shape, type=numpy.uint8)


def i8(*shape):
    return integers(-128, 128, *shape, type=numpy.int8)


def scalar(value, type=numpy.float32):
    return numpy.array(value, type)


def step(value):
    return scalar(value, numpy.float32)


def fused():
    for a, b, attributes in (((2, 3, 4), (2, 4, 5), {}), ((2, 4, 3), (2, 4, 5), {"transA": 1, "alpha": 0.5}),
                             ((3, 4), (5, 4), {"transB": 1}), ((2, 3, 4), (4, 5), {"alpha": -2.0}),
                             ((2, 2, 4, 3), (1, 2, 5, 4), {"transA": 1, "transB": 1}),
                             ((3, 2, 4), (2, 4, 5), {"transBatchA": 1}),
                             ((3, 2, 2, 4), (4, 2, 2, 5), {"transBatchA": 1, "transBatchB": 1}),
                             ((2, 4, 3), (3, 2, 5), {"transBatchB": 1, "transA": 0}),
                             ((4,), (4, 5), {"transA": 1})):
        for type in (numpy.float32, numpy.float64):
            name = "_".join(["fused_matmul", *("x".join(map(str, s)) for s in (a, b)),
                             *(f"{k}{v}" for k, v in attributes.items()), type.__name__])
            yield Case(name, "FusedMatMul", [("a", f32(*a, type=type)), ("b", f32(*b, type=type))], **attributes)
    yield Case("transpose_matmul", "TransposeMatMul", [("a", f32(4, 3)), ("b", f32(4, 5))], transA=1, alpha=2.0)
    for activation, parameters in (("Relu", []), ("LeakyRelu", [0.2]), ("Tanh", []), ("Sigmoid", []),
                                   ("Clip", [-0.5, 0.5]), ("HardSigmoid", [0.3, 0.4])):
        yield Case(f"fused_conv_{activation}", "FusedConv",
                   [("x", f32(1, 4, 9, 9)), ("w", f32(6, 2, 3, 3, scale=0.3)), ("b", f32(6))], group=2,
                   activation=activation, activation_params=parameters, pads=[1, 1, 1, 1], strides=[2, 2])
    yield Case("fused_conv_sum", "FusedConv", [("x", f32(2, 3, 5, 5)), ("w", f32(4, 3, 3, 3)), ("b", f32(4)),
                                               ("z", f32(2, 4, 3, 3))], activation="Relu")
    yield Case("fused_conv_sum_plain", "FusedConv", [("x", f32(2, 3, 5, 5)), ("w", f32(4, 3, 3, 3)), ("b", None),
                                                     ("z", f32(2, 4, 3, 3))])
    for activation, more in (("Relu", {}), ("Tanh", {}), ("Sigmoid", {}), ("LeakyRelu", {"activation_alpha": 0.3}),
                             ("Elu", {"activation_alpha": 0.7}), ("Softplus", {}), ("Softsign", {}),
                             ("HardSigmoid", {"activation_alpha": 0.3, "activation_beta": 0.4}),
                             ("Selu", {"activation_alpha": 1.6, "activation_gamma": 1.1}),
                             ("ThresholdedRelu", {"activation_alpha": 0.5})):
        yield Case(f"fused_gemm_{activation}", "FusedGemm", [("a", f32(3, 4)), ("b", f32(5, 4)), ("c", f32(5))],
                   transB=1, alpha=0.5, beta=2.0, activation=activation, **more)
    yield Case("fused_gemm_no_addend", "FusedGemm", [("a", f32(4, 3)), ("b", f32(4, 5))], transA=1, activation="Relu")

    def around_conv(nodes):
        return lambda: [helper.make_node("Transpose", ["x"], ["xt"], perm=[0, 3, 1, 2]), *nodes(),
                        helper.make_node("Transpose", ["y"], ["out0"], perm=[0, 2, 3, 1])]

    conv = around_conv(lambda: [helper.make_node("Conv", ["xt", "w", "b"], ["y"], pads=[1, 0, 1, 0], strides=[1, 2])])
    inputs = [("x", f32(2, 5, 6, 3)), ("w", f32(4, 3, 3, 3)), ("b", f32(4))]
    yield Case("nhwc_conv", "NhwcConv", inputs, reference=conv, pads=[1, 0, 1, 0], strides=[1, 2])
    yield Case("nhwc_fused_conv", "NhwcFusedConv", inputs, reference=around_conv(
        lambda: [helper.make_node("Conv", ["xt", "w", "b"], ["c"]), helper.make_node("Relu", ["c"], ["y"])]),
        activation="Relu")
    yield Case("nhwc_max_pool", "NhwcMaxPool", [("x", u8(1, 7, 6, 3))], kernel_shape=[3, 2], strides=[2, 2],
               pads=[1, 0, 1, 0])
    yield Case("nhwc_max_pool_signed", "NhwcMaxPool", [("x", i8(2, 5, 5, 4))], kernel_shape=[2, 2], ceil_mode=1,
               strides=[2, 2])


def activations():
    for op in ("Gelu", "FastGelu", "QuickGelu"):
        yield Case(f"{op}_f32", op, [("x", f32(3, 17, scale=3))])
        yield Case(f"{op}_symbolic", op, [("x", f32(2, 3, 8))], symbols={("x", 0): "n", ("x", 1): "m"})
    for op in ("Gelu", "FastGelu"):
        yield Case(f"{op}_f16", op, [("x", f16(3, 17))])
    yield Case("quick_gelu_alpha", "QuickGelu", [("x", f32(5, 3))], alpha=-1.25)
    yield Case("fast_gelu_bias", "FastGelu", [("x", f32(2, 3, 8)), ("bias", f32(8))])
    yield Case("bias_gelu", "BiasGelu", [("x", f32(2, 3, 8)), ("bias", f32(8))])
    yield Case("bias_split_gelu", "BiasSplitGelu", [("x", f32(2, 3, 8)), ("bias", f32(8))], reference=lambda: [
        helper.make_node("Add", ["x", "bias"], ["s"]), helper.make_node("Split", ["s"], ["l", "r"], axis=2, num_outputs=2),
        helper.make_node("Gelu", ["r"], ["g"], domain="com.microsoft"), helper.make_node("Mul", ["l", "g"], ["out0"])])
    yield Case("bias_add", "BiasAdd", [("x", f32(2, 3, 8)), ("bias", f32(8)), ("skip", f32(2, 3, 8))],
               reference=lambda: [helper.make_node("Add", ["x", "bias"], ["s"]),
                                  helper.make_node("Add", ["s", "skip"], ["out0"])])


def normalisations():
    outs = ["out", "", "", "sum"]
    for op, tail in (("SkipLayerNormalization", [("beta", f32(8)), ("bias", f32(8))]),
                     ("SkipSimplifiedLayerNormalization", [("bias", f32(8))])):
        base = [("x", f32(2, 3, 8)), ("skip", f32(2, 3, 8)), ("gamma", f32(8))]
        yield Case(f"{op}_all", op, [*base, *tail], outs, epsilon=1e-5)
        yield Case(f"{op}_least", op, base)
        yield Case(f"{op}_epsilon", op, base, epsilon=0.1)
        yield Case(f"{op}_no_bias", op, [*base, *[(n, a if n == "beta" else None) for n, a in tail]], outs)
        yield Case(f"{op}_symbolic", op, [*base, *tail], outs,
                   symbols={(n, i): s for n in ("x", "skip") for i, s in ((0, "batch"), (1, "rows"))})
        yield Case(f"{op}_f16", op, [(n, a.astype(numpy.float16)) for n, a in [*base, *tail]], epsilon=1e-3)
    yield Case("skip_layer_norm_broadcast", "SkipLayerNormalization",
               [("x", f32(2, 3, 8)), ("skip", f32(1, 3, 8)), ("gamma", f32(8)), ("beta", f32(8))], outs)
    yield Case("skip_layer_norm_matrix", "SkipLayerNormalization",
               [("x", f32(2, 3, 8)), ("skip", f32(3, 8)), ("gamma", f32(8))])
    yield Case("skip_rms_norm_tokens", "SkipSimplifiedLayerNormalization",
               [("x", f32(5, 8)), ("skip", f32(5, 8)), ("gamma", f32(8))])
    yield Case("simplified", "SimplifiedLayerNormalization", [("x", f32(2, 3, 8)), ("scale", f32(8))], domain="",
               epsilon=1e-4)
    yield Case("simplified_axis", "SimplifiedLayerNormalization", [("x", f32(2, 3, 8)), ("scale", f32(3, 8))],
               domain="", axis=1)

    def group(activation, last):
        nodes = [helper.make_node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2] if last else [0, 1, 2, 3]),
                 helper.make_node("GroupNormalization", ["t", "gamma", "beta"], ["g"], num_groups=2, epsilon=1e-5),
                 helper.make_node("Sigmoid", ["g"], ["s"]), helper.make_node("Mul", ["g", "s"], ["m"]),
                 helper.make_node("Transpose", ["m" if activation else "g"], ["out0"],
                                  perm=[0, 2, 3, 1] if last else [0, 1, 2, 3])]
        return lambda: nodes

    for activation in (0, 1):
        for last in (0, 1):
            x = f32(2, 5, 3, 8) if last else f32(2, 8, 5, 3)
            yield Case(f"group_norm_{activation}{last}", "GroupNorm", [("x", x), ("gamma", f32(8)), ("beta", f32(8))],
                       reference=group(activation, last), groups=2, activation=activation, channels_last=last)


def embeddings():
    words, places, segments = f32(20, 8), f32(10, 8), f32(2, 8)
    norm = [("gamma", f32(8)), ("beta", f32(8))]
    ids, kinds = integers(0, 20, 2, 5), integers(0, 2, 2, 5)
    mask = numpy.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], numpy.int32)
    both = [("words", words), ("places", places)]
    yield Case("embed_all", "EmbedLayerNormalization",
               [("ids", ids), ("kinds", kinds), *both, ("segments", segments), *norm, ("mask", mask)],
               ["out", "index", "sum"])
    yield Case("embed_least", "EmbedLayerNormalization", [("ids", ids), ("kinds", None), *both, ("segments", None), *norm],
               ["out", "index"], epsilon=0.01)
    yield Case("embed_positions", "EmbedLayerNormalization",
               [("ids", ids), ("kinds", kinds), *both, ("segments", segments), *norm, ("mask", None),
                ("where", integers(0, 10, 2, 5))], ["out", "", "sum"])
    yield Case("embed_positions_shared", "EmbedLayerNormalization",
               [("ids", ids), ("kinds", None), *both, ("segments", None), *norm, ("mask", mask),
                ("where", integers(0, 10, 1, 5))], ["out", "index"],
               symbols={("ids", 0): "b", ("ids", 1): "s", ("mask", 0): "b", ("mask", 1): "s", ("where", 1): "s"})
    for quantised in (u8, i8):
        zero = numpy.uint8(120) if quantised is u8 else numpy.int8(3)
        tables = [("words", quantised(20, 8)), ("places", quantised(10, 8)), ("segments", quantised(2, 8)),
                  ("gamma", quantised(8)), ("beta", quantised(8))]
        yield Case(f"q_embed_{quantised.__name__}", "QEmbedLayerNormalization",
                   [("ids", ids), ("kinds", kinds), *tables, ("mask", mask),
                    *[(f"s{i}", step(0.02 + 0.01 * i)) for i in range(5)],
                    *[(f"z{i}", scalar(zero, zero.dtype)) for i in range(5)]], ["out", "index"],
                   constant=[f"{k}{i}" for k in "sz" for i in range(5)])


def attention():
    b, s, h, n = 2, 5, 16, 4
    base = [("x", f32(b, s, 12)), ("w", f32(12, 3 * h, scale=0.3)), ("bias", f32(3 * h))]
    some = numpy.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], numpy.int32)
    for name, mask in (("none", None), ("lengths", numpy.array([3, 5], numpy.int32)),
                       ("ends_starts", numpy.array([4, 5, 1, 0], numpy.int32)), ("raw", some),
                       ("raw3", integers(0, 2, b, s, s) | numpy.eye(s, dtype=numpy.int32))):
        for causal in (0, 1):
            yield Case(f"attention_{name}_{causal}", "Attention", [*base, ("mask", mask)], num_heads=n,
                       unidirectional=causal)
    yield Case("attention_hidden_row", "Attention", [*base, ("mask", numpy.zeros((b, s), numpy.int32))], num_heads=n)
    yield Case("attention_filter", "Attention", [*base, ("mask", some)], num_heads=n, mask_filter_value=-2.0, scale=0.3)
    yield Case("attention_symbolic", "Attention", [*base, ("mask", some)], num_heads=n, unidirectional=1,
               symbols={("x", 0): "b", ("x", 1): "s", ("mask", 0): "b", ("mask", 1): "s"})
    yield Case("attention_bias", "Attention", [*base, ("mask", None), ("past", None), ("more", f32(b, n, s, s))],
               num_heads=n)
    yield Case("attention_bias_broadcast", "Attention",
               [*base, ("mask", some), ("past", None), ("more", f32(1, n, s, s))], num_heads=n)
    past = ("past", f32(2, b, n, 3, h // n))
    yield Case("attention_past", "Attention", [*base, ("mask", None), past], 2, num_heads=n, unidirectional=1)
    yield Case("attention_past_mask", "Attention", [*base, ("mask", integers(0, 2, b, 8) | numpy.int32([[1] + [0] * 7])),
                                                    past], 2, num_heads=n)
    yield Case("attention_present", "Attention", base, 2, num_heads=n)
    # A buffer that past and present share: ONNX Runtime's CPU provider has it for projected heads only.
    parts = [helper.make_node("MatMul", ["x", "w"], ["m"]), helper.make_node("Add", ["m", "bias"], ["a"]),
             helper.make_node("Split", ["a"], ["q", "k", "v"], axis=2, num_outputs=3),
             helper.make_node("Split", ["past"], ["pk5", "pv5"], axis=0, num_outputs=2),
             helper.make_node("Constant", [], ["first"], value=numpy_helper.from_array(numpy.int64([0]))),
             *[helper.make_node("Squeeze", [f"{x}5", "first"], [x]) for x in ("pk", "pv")],
             helper.make_node("MultiHeadAttention", ["q", "k", "v", "", "mask", "", "pk", "pv", "length"],
                              ["out0", "k4", "v4"], domain="com.microsoft", num_heads=n, unidirectional=1),
             *[helper.make_node("Unsqueeze", [f"{x}4", "first"], [f"{x}6"]) for x in "kv"],
             helper.make_node("Concat", ["k6", "v6"], ["out1"], axis=0)]
    for rows, length, constant in ((1, 4, []), (s, 3, ["length"]), (s, 0, [])):
        seen = integers(0, 2, b, length + rows) | numpy.int32([1] + [0] * (length + rows - 1))
        yield Case(f"attention_shared_{rows}_{length}", "Attention",
                   [("x", f32(b, rows, 12)), *base[1:], ("mask", seen), ("past", f32(2, b, n, 9, h // n)), ("more", None),
                    ("length", numpy.int32([length]))], 2, num_heads=n, unidirectional=1, past_present_share_buffer=1,
                   constant=constant, reference=lambda: parts)
    yield Case("attention_sizes", "Attention", [("x", f32(b, s, 12)), ("w", f32(12, 16 + 16 + 24, scale=0.3)),
                                                ("bias", f32(56))], num_heads=n, qkv_hidden_sizes=[16, 16, 24])
    yield Case("attention_no_bias", "Attention", [*base[:2], ("bias", None)], num_heads=n)
    # ONNX Runtime's CPU provider wants the rotation as a node of its own.
    for part in (0, 2):
        angles = numpy.arange(s)[:, None] * 10000.0 ** (-numpy.arange(0, part or 4, 2) / (part or 4))
        table = [helper.make_node("Constant", [], [name], value=numpy_helper.from_array(function(angles).astype(numpy.float32)))
                 for name, function in (("cos", numpy.cos), ("sin", numpy.sin))]
        where = helper.make_node("Constant", [], ["where"], value=numpy_helper.from_array(numpy.int64([0])))
        more = {"num_heads": n, "rotary_embedding_dim": part} if part else {"num_heads": n}
        turn = [helper.make_node("RotaryEmbedding", [x, "where", "cos", "sin"], [f"{x}r"], domain="com.microsoft", **more)
                for x in "qk"]
        nodes = [*table, where, helper.make_node("MatMul", ["x", "w"], ["m"]), helper.make_node("Add", ["m", "bias"], ["a"]),
                 helper.make_node("Split", ["a"], ["q", "k", "v"], axis=2, num_outputs=3), *turn,
                 helper.make_node("MultiHeadAttention", ["qr", "kr", "v"], ["out0"], domain="com.microsoft", num_heads=n,
                                  unidirectional=1)]
        yield Case(f"attention_rotary_{part}", "Attention", base, num_heads=n, unidirectional=1, do_rotary=1,
                   reference=lambda nodes=nodes: nodes, **({"rotary_embedding_dim": part} if part else {}))

    for name, mask, past_state in (("plain", None, None), ("lengths", numpy.array([3, 5], numpy.int32), None),
                                   ("past", None, f32(2, b, n, 2, 4))):
        for columns in (False, True):
            for weight in (u8, i8):
                zero = numpy.uint8(120) if weight is u8 else numpy.int8(-2)
                scales = numpy.full(3 * h if columns else (), 0.01, numpy.float32)
                zeros = numpy.full(3 * h if columns else (), zero, zero.dtype)
                yield Case(f"q_attention_{name}_{columns:d}_{weight.__name__}", "QAttention",
                           [("x", u8(b, s, 12)), ("w", weight(12, 3 * h)), ("bias", f32(3 * h)), ("xs", step(0.02)),
                            ("ws", scales), ("mask", mask), ("xz", scalar(128, numpy.uint8)), ("wz", zeros),
                            ("past", past_state)], 2 if past_state is not None else 1,
                           constant=["w", "ws", "wz", "bias"], num_heads=n)

    q, k, v = (("q", f32(b, s, h)), ("k", f32(b, 6, h)), ("v", f32(b, 6, 24)))
    bias = ("bias", f32(h + h + 24))
    yield Case("mha_cross", "MultiHeadAttention", [q, k, v], num_heads=n)
    yield Case("mha_bias", "MultiHeadAttention", [q, k, v, bias], num_heads=n, scale=0.7)
    yield Case("mha_scores", "MultiHeadAttention", [q, k, v, bias], ["out", "", "", "qk"], num_heads=n)
    yield Case("mha_lengths", "MultiHeadAttention", [q, k, v, bias, ("mask", numpy.array([2, 6], numpy.int32))],
               num_heads=n)
    yield Case("mha_mask", "MultiHeadAttention", [q, k, v, bias, ("mask", integers(0, 2, b, 6) | numpy.int32([1, 0, 0, 0, 0, 0]))],
               num_heads=n)
    yield Case("mha_mask3", "MultiHeadAttention",
               [q, k, v, ("bias", None), ("mask", integers(0, 2, b, s, 6) | numpy.int32([1, 0, 0, 0, 0, 0]))], num_heads=n)
    yield Case("mha_attention_bias", "MultiHeadAttention",
               [q, k, v, ("bias", None), ("mask", None), ("more", f32(1, 1, s, 6))], num_heads=n)
    same = [("q", f32(b, s, h)), ("k", f32(b, s, h)), ("v", f32(b, s, h))]
    yield Case("mha_causal", "MultiHeadAttention", same, num_heads=n, unidirectional=1)
    yield Case("mha_causal_scores", "MultiHeadAttention", same, ["out", "", "", "qk"], num_heads=n, unidirectional=1)
    pasts = [("pk", f32(b, n, 3, 4)), ("pv", f32(b, n, 3, 4))]
    nothing = [("bias", None), ("mask", None), ("more", None)]
    yield Case("mha_past", "MultiHeadAttention", [*same, *nothing, *pasts], 3, num_heads=n, unidirectional=1)
    yield Case("mha_past_symbolic", "MultiHeadAttention", [*same, *nothing, *pasts], 3, num_heads=n, unidirectional=1,
               symbols={**{(x, 0): "b" for x in ("q", "k", "v", "pk", "pv")}, **{(x, 1): "s" for x in ("q", "k", "v")},
                        **{(x, 2): "p" for x in ("pk", "pv")}})
    yield Case("mha_past_mask", "MultiHeadAttention",
               [*same, ("bias", f32(3 * h)), ("mask", integers(0, 2, b, 8) | numpy.int32([1] + [0] * 7)), ("more", None),
                *pasts], 3, num_heads=n)
    # A buffer that past and present share.
    room = [("pk", f32(b, n, 9, 4)), ("pv", f32(b, n, 9, 4))]
    for rows in (1, s):
        fresh = [(x, f32(b, rows, h)) for x in "qkv"]
        names = {**{(x, 1): "s" for x in "qkv"}, **{(x, 2): "room" for x in ("pk", "pv")}}
        for constant in ([], ["length"]):
            yield Case(f"mha_shared_{rows}_{len(constant)}", "MultiHeadAttention",
                       [*fresh, ("bias", f32(3 * h)), ("mask", None), ("more", None), *room, ("length", numpy.int32([3]))], 3,
                       num_heads=n, unidirectional=1, constant=constant, symbols=names if rows == 1 else {})
    one = [(x, f32(b, 1, h)) for x in "qkv"]
    for length in (0, 3, 8):
        mask = integers(0, 2, b, length + 1) | numpy.int32([1] + [0] * length)
        yield Case(f"decoder_attention_{length}", "DecoderMaskedMultiHeadAttention",
                   [*one, ("mask", mask), ("more", None), *room, ("length", numpy.int32([length])), ("width", None),
                    ("beams", None), ("bias", f32(3 * h))], 3, num_heads=n, past_present_share_buffer=1)
    beams = integers(0, 2, 1, 2, 9)
    yield Case("decoder_attention_beams", "DecoderMaskedMultiHeadAttention",
               [*one, ("mask", None), ("more", None), *room, ("length", numpy.int32([5])), ("width", numpy.int32([2])),
                ("beams", beams), ("bias", f32(3 * h))], 3, num_heads=n, past_present_share_buffer=1)
    yield Case("decoder_attention_cross", "DecoderMaskedMultiHeadAttention",
               [one[0], ("k", f32(b, n, 6, 4)), ("v", f32(b, n, 6, 4))], num_heads=n)
    yield Case("mha_present", "MultiHeadAttention", same, 3, num_heads=n)
    yield Case("mha_ready_keys", "MultiHeadAttention", [q, ("k", f32(b, n, 6, 4)), ("v", f32(b, n, 6, 4)),
                                                        ("bias", f32(3 * h))], num_heads=n)
    packed = numpy.stack([a.reshape(b, s, n, 4) for _, a in same], 3)
    plain = [helper.make_node("Split", ["q"], ["a0", "a1", "a2"], axis=3, num_outputs=3),
             *[helper.make_node("Reshape", [f"a{i}", "flat"], [f"b{i}"]) for i in range(3)],
             helper.make_node("MultiHeadAttention", ["b0", "b1", "b2"], ["out0"], domain="com.microsoft", num_heads=n)]
    flat = helper.make_node("Constant", [], ["flat"], value=numpy_helper.from_array(numpy.int64([b, s, h])))
    yield Case("mha_packed", "MultiHeadAttention", [("q", packed)], num_heads=n, reference=lambda: [flat, *plain])


def rotary():
    angles = f32(10, 4)
    caches = [("cos", numpy.cos(angles)), ("sin", numpy.sin(angles))]
    where = integers(0, 10, 2, 3, type=numpy.int64)
    for interleaved in (0, 1):
        yield Case(f"rotary_4d_{interleaved}", "RotaryEmbedding", [("x", f32(2, 2, 3, 8)), ("where", where), *caches],
                   interleaved=interleaved)
        yield Case(f"rotary_3d_{interleaved}", "RotaryEmbedding", [("x", f32(2, 3, 16)), ("where", where), *caches],
                   interleaved=interleaved)
        yield Case(f"rotary_offset_{interleaved}", "RotaryEmbedding",
                   [("x", f32(2, 3, 16)), ("where", numpy.int64([4])), *caches], interleaved=interleaved)
        yield Case(f"rotary_part_{interleaved}", "RotaryEmbedding", [("x", f32(2, 3, 24)), ("where", where), *caches],
                   interleaved=interleaved, num_heads=2, rotary_embedding_dim=8)
        yield Case(f"rotary_f16_{interleaved}", "RotaryEmbedding",
                   [("x", f16(2, 2, 3, 8)), ("where", where), *[(n, a.astype(numpy.float16)) for n, a in caches]],
                   interleaved=interleaved)
    yield Case("rotary_symbolic", "RotaryEmbedding", [("x", f32(2, 2, 3, 8)), ("where", where), *caches],
               symbols={("x", 0): "b", ("x", 2): "s", ("where", 0): "b", ("where", 1): "s"})
    yield Case("rotary_scale", "RotaryEmbedding", [("x", f32(2, 3, 16)), ("where", where), *caches], scale=2.0)


def grouped(name, b=2, s=3, past=0, capacity=None, n=4, kv=2, h=16, packed=False, lengths=None, type=numpy.float32,
            rotate=None, bias=False, sink=False, outputs=3, where=False, query_lengths=None, symbols=None, running=False,
            **more):
    capacity = past if capacity is None else capacity
    total = past + s
    make = lambda *shape: f32(*shape, type=type)
    q = make(b, s, (n + 2 * kv if packed else n) * h)
    k, v = (None, None) if packed else (make(b, s, kv * h), make(b, s, kv * h))
    pk, pv = (make(b, kv, capacity, h), make(b, kv, capacity, h)) if capacity else (None, None)
    lengths = numpy.int32([total - 1] * b if lengths is None else lengths)
    angles = f32(32, h // 2)
    cos, sin = (numpy.cos(angles).astype(type), numpy.sin(angles).astype(type)) if rotate else (None, None)
    inputs = [("q", q), ("k", k), ("v", v), ("pk", pk), ("pv", pv), ("lengths", lengths),
              ("total", scalar(total, numpy.int32)), ("cos", cos), ("sin", sin),
              ("where", integers(0, 20, b, s, type=numpy.int64) if where else None),
              ("more", make(1, n, s, total) if bias else None), ("sink", make(n) if sink else None)]
    if query_lengths is not None:
        inputs += [(f"none{i}", None) for i in range(4)] + [("fresh", numpy.int32(query_lengths))]
    if rotate:
        more |= {"do_rotary": 1, "rotary_interleaved": rotate - 1}
    if running:
        # As exporters write it: everything may grow, and the total length is an input.
        symbols = {(x, i): f"{'p' if x in ('pk', 'pv') and i == 2 else 'bs'[min(i, 1)]}" for x in
                   ("q", "k", "v", "pk", "pv", "lengths", "where") for i in ((0, 2) if x in ("pk", "pv") else (0, 1))}
    return Case(name, "GroupQueryAttention", inputs, outputs, constant=[] if running else ["total"], symbols=symbols,
                num_heads=n, kv_num_heads=kv, **more)


def grouped_attention():
    yield grouped("gqa_prompt")
    yield grouped("gqa_prompt_f16", type=numpy.float16)
    yield grouped("gqa_prompt_packed", packed=True)
    yield grouped("gqa_prompt_rotary", rotate=1)
    yield grouped("gqa_prompt_rotary_interleaved", rotate=2, packed=True)
    yield grouped("gqa_one_head", n=2, kv=2)
    yield grouped("gqa_step", s=1, past=4)
    yield grouped("gqa_step_rotary", s=1, past=4, rotate=1)
    yield grouped("gqa_step_ragged", s=1, past=4, lengths=[4, 2], rotate=1)
    yield grouped("gqa_chunk", b=1, s=3, past=4, rotate=1)
    yield grouped("gqa_window", s=6, local_window_size=2)
    yield grouped("gqa_window_step", s=1, past=6, local_window_size=3)
    yield grouped("gqa_softcap", softcap=1.5)
    yield grouped("gqa_smooth", smooth_softmax=1)
    yield grouped("gqa_sink", sink=True)
    yield grouped("gqa_bias", bias=True)
    yield grouped("gqa_bias_step", s=1, past=4, bias=True)
    yield grouped("gqa_scale", scale=0.2)
    yield grouped("gqa_positions", rotate=1, where=True)
    yield grouped("gqa_not_causal", causal=0)
    yield grouped("gqa_padded", lengths=[1, 2], outputs=1, unspecified=lambda out: out[0, 2:])
    yield grouped("gqa_symbolic", s=1, past=4, rotate=1, packed=True,
                  symbols={(x, 0): "b" for x in ("q", "pk", "pv", "lengths")})


    yield grouped("gqa_running_prompt", running=True, rotate=1)
    yield grouped("gqa_running_prompt_shared", running=True, rotate=1, capacity=8, packed=True)
    yield grouped("gqa_running_positions", running=True, rotate=1, where=True, capacity=8)
    yield grouped("gqa_running_step", running=True, s=1, past=4, rotate=1)
    yield grouped("gqa_running_step_shared", running=True, s=1, past=4, capacity=9, rotate=1, packed=True)
    yield grouped("gqa_running_step_positions", running=True, s=1, past=4, capacity=9, rotate=1, where=True)
    yield grouped("gqa_running_ragged", running=True, s=1, past=4, capacity=9, lengths=[4, 2], rotate=1, packed=True)
    yield grouped("gqa_running_chunk", running=True, b=1, s=3, past=4, rotate=2, local_window_size=3)


def quantised():
    def tensor(kind, name, *shape, zero=True, value=0.0313):
        zeros = None if not zero else scalar(rng().integers(100, 150), numpy.uint8) if kind is u8 else \
            scalar(rng().integers(-20, 20), numpy.int8)
        return [(name, kind(*shape)), (f"{name}_s", step(value)), (f"{name}_z", zeros)]

    for kind in (u8, i8):
        for zero in (True, False):
            t = f"{kind.__name__}_{zero:d}"
            # The type of a result comes from its zero point.
            out = tensor(kind, "y", 1, value=0.0507)[1:]
            scales = [f"{x}_{e}" for x in "abxy" for e in "sz"]
            yield Case(f"QLinearSigmoid_{t}", "QLinearSigmoid", [*tensor(kind, "x", 3, 40, zero=zero), ("y_s", step(1 / 256)),
                                                                 out[1]], constant=scales)
            yield Case(f"QLinearLeakyRelu_{t}", "QLinearLeakyRelu", [*tensor(kind, "x", 3, 40, zero=zero), *out],
                       constant=scales, alpha=0.2)
        out = tensor(kind, "y", 1, value=0.0419)[1:]
        t = kind.__name__
        for op in ("QLinearAdd", "QLinearMul"):
            for left, right in (((2, 3, 40), (2, 3, 40)), ((2, 3, 40), (40,)), ((3, 1), (1, 40)), ((1,), (3, 5))):
                yield Case(f"{op}_{t}_{len(left)}{len(right)}", op,
                           [*tensor(kind, "a", *left), *tensor(kind, "b", *right, value=0.0217), *out])
        yield Case(f"QLinearAveragePool_{t}", "QLinearAveragePool", [*tensor(kind, "x", 1, 4, 7, 8), *out],
                   constant=scales, kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 0])
        yield Case(f"QLinearAveragePool_last_{t}", "QLinearAveragePool", [*tensor(kind, "x", 1, 7, 8, 4), *out],
                   constant=scales, kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1, channels_last=1)
        for last in (0, 1):
            yield Case(f"QLinearGlobalAveragePool_{t}_{last}", "QLinearGlobalAveragePool",
                       [*tensor(kind, "x", 2, 5, 6, 7), *out], constant=scales, channels_last=last)
        yield Case(f"QLinearConcat_{t}", "QLinearConcat",
                   [*out, *tensor(kind, "a", 2, 3, 4), *tensor(kind, "b", 2, 5, 4, value=0.05)], constant=scales, axis=1)
        for opset, axis in ((13, -1), (13, 1), (12, 1), (12, 2)):
            yield Case(f"QLinearSoftmax_{t}_{opset}_{axis}", "QLinearSoftmax",
                       [*tensor(kind, "x", 2, 3, 5), ("y_s", step(1 / 256)),
                        ("y_z", scalar(0 if kind is u8 else -128, kind(1).dtype))], constant=scales, opset=opset, axis=axis)
        yield Case(f"QLinearWhere_{t}", "QLinearWhere",
                   [("c", integers(0, 2, 3, 1, type=bool)), *tensor(kind, "a", 3, 4), *tensor(kind, "b", 1, 4, value=0.05),
                    *out], constant=scales)
        yield Case(f"QLinearReduceMean_{t}", "QLinearReduceMean", [*tensor(kind, "x", 2, 3, 4), *out], reference=lambda: [
            helper.make_node("DequantizeLinear", ["x", "x_s", "x_z"], ["f"]),
            helper.make_node("Constant", [], ["axes"], value=numpy_helper.from_array(numpy.int64([1, 2]))),
            helper.make_node("ReduceMean", ["f", "axes"], ["m"], keepdims=0),
            helper.make_node("QuantizeLinear", ["m", "y_s", "y_z"], ["out0"])], axes=[1, 2], keepdims=0)

    for a, b in ((u8, u8), (u8, i8), (i8, i8)):
        t = f"{a.__name__}{b.__name__}"
        az = scalar(120, numpy.uint8) if a is u8 else scalar(-3, numpy.int8)
        bz = numpy.uint8(130) if b is u8 else numpy.int8(5)
        for columns in (False, True):
            bs = (0.01 + 0.001 * numpy.arange(6)).astype(numpy.float32) if columns else step(0.02)
            zeros = numpy.full(6, bz, bz.dtype) if columns else scalar(bz, bz.dtype)
            yield Case(f"MatMulIntegerToFloat_{t}_{columns:d}", "MatMulIntegerToFloat",
                       [("a", a(2, 3, 8)), ("b", b(8, 6)), ("as", step(0.1)), ("bs", bs), ("az", az), ("bz", zeros),
                        ("bias", f32(6))], constant=["b", "bs", "bz"])
            for quantise in (False, True):
                out = [("ys", step(0.5)), ("yz", az)] if quantise else []
                yield Case(f"QGemm_{t}_{columns:d}{quantise:d}", "QGemm",
                           [("a", a(4, 8)), ("as", step(0.1)), ("az", az), ("b", b(6, 8) if columns else b(8, 6)),
                            ("bs", bs), ("bz", zeros), ("c", integers(-1000, 1000, 6)), *out],
                           constant=["as", "az", "bs", "bz", "ys", "yz"], transB=int(columns), alpha=0.5)
        x = a(1, 6, 5, 4)
        yield Case(f"QLinearConv_last_{t}", "QLinearConv",
                   [("x", x), ("xs", step(0.02)), ("xz", az), ("w", b(8, 4, 3, 3)), ("ws", (0.01 + 0.002 * numpy.arange(8)).astype(numpy.float32)),
                    ("wz", numpy.full(8, 0 if b is i8 else bz, bz.dtype)), ("ys", step(0.5)), ("yz", az), ("bias", integers(-500, 500, 8))],
                   constant=["xs", "xz", "w", "ws", "wz", "ys", "yz", "bias"], channels_last=1, pads=[1, 1, 1, 1])
    yield Case("MatMulIntegerToFloat_least", "MatMulIntegerToFloat", [("a", u8(3, 8)), ("b", i8(8, 6)), ("as", step(0.1)),
                                                                      ("bs", step(0.2))])
    for b in (u8, i8):
        for columns in (False, True):
            bs = (0.01 + 0.001 * numpy.arange(6)).astype(numpy.float32) if columns else step(0.02)
            zeros = (numpy.arange(6) + 3).astype(b(1).dtype) if columns else scalar(7, b(1).dtype)
            yield Case(f"DynamicQuantizeMatMul_{b.__name__}_{columns:d}", "DynamicQuantizeMatMul",
                       [("a", f32(2, 3, 8)), ("b", b(8, 6)), ("bs", bs), ("bz", zeros), ("bias", f32(6))],
                       constant=["b", "bs", "bz"])
        yield Case(f"DynamicQuantizeMatMul_{b.__name__}_least", "DynamicQuantizeMatMul",
                   [("a", f32(4, 8)), ("b", b(8, 6)), ("bs", step(0.02))], symbols={("a", 0): "m"})
    for type in (numpy.int8, numpy.uint8, numpy.int16, numpy.uint16):
        info = numpy.iinfo(type)
        x = integers(info.min, info.max + 1, 3, 5, type=type)
        yield Case(f"DequantizeLinear_{type.__name__}", "DequantizeLinear", [("x", x), ("s", step(0.01)), ("z", scalar(3, type))])
        yield Case(f"DequantizeLinear_{type.__name__}_axis", "DequantizeLinear",
                   [("x", x), ("s", numpy.float32([0.1, 0.2, 0.3])), ("z", numpy.array([1, 2, 3], type))], axis=0)
        yield Case(f"QuantizeLinear_{type.__name__}", "QuantizeLinear", [("x", f32(3, 5, scale=3)), ("s", step(0.05)), ("z", scalar(3, type))])
        yield Case(f"QuantizeLinear_{type.__name__}_axis", "QuantizeLinear",
                   [("x", f32(3, 5)), ("s", numpy.float32([0.1, 0.2, 0.3])), ("z", numpy.array([1, 2, 3], type))], axis=0)


def blocks():
    for bits in (2, 4, 8):
        for block in (16, 32):
            for zero in ("none", "packed", "float"):
                for type in (numpy.float32, numpy.float16):
                    if type == numpy.float16 and (bits != 4 or zero == "float" or block != 32):
                        continue
                    k, n = 40, 6
                    count = -(-k // block)
                    zeros = {"none": None, "packed": u8(n, -(-count * bits // 8)),
                             "float": f32(n, count, type=type, scale=3)}[zero]
                    if bits != 4 and zero == "float":
                        continue
                    yield Case(f"MatMulNBits_{bits}_{block}_{zero}_{type.__name__}", "MatMulNBits",
                               [("a", f32(2, 3, k, type=type)), ("b", u8(n, count, block * bits // 8)),
                                ("s", f32(n, count, type=type, scale=0.1)), ("z", zeros)], constant=["b", "s", "z"],
                               K=k, N=n, bits=bits, block_size=block)
    k, n = 64, 8
    yield Case("MatMulNBits_bias", "MatMulNBits", [("a", f32(5, k)), ("b", u8(n, 2, 16)), ("s", f32(n, 2)), ("z", None),
                                                   ("g", None), ("bias", f32(n))], constant=["b", "s", "bias"],
               symbols={("a", 0): "m"}, K=k, N=n, bits=4, block_size=32)
    yield Case("MatMulNBits_groups", "MatMulNBits",
               [("a", f32(5, k)), ("b", u8(n, 2, 16)), ("s", f32(n, 2)), ("z", None), ("g", integers(0, 2, k))],
               constant=["b", "s", "g"], K=k, N=n, bits=4, block_size=32)
    # ONNX Runtime forgets packed zero points where there are groups, not those that are floats.
    zeros, groups = u8(n, 1), integers(0, 2, k)
    loose = numpy.stack([zeros & 15, zeros >> 4], -1).reshape(n, 2).astype(numpy.float32)
    yield Case("MatMulNBits_groups_floats", "MatMulNBits",
               [("a", f32(5, k)), ("b", u8(n, 2, 16)), ("s", f32(n, 2)), ("z", loose), ("g", groups)],
               constant=["b", "s", "z", "g"], K=k, N=n, bits=4, block_size=32)
    yield Case("MatMulNBits_groups_packed", "MatMulNBits",
               [("a", f32(5, k)), ("b", u8(n, 2, 16)), ("s", f32(n, 2)), ("z", zeros), ("g", groups)],
               constant=["b", "s", "z", "g"], K=k, N=n, bits=4, block_size=32, reference=lambda: [
        helper.make_node("Constant", [], ["loose"], value=numpy_helper.from_array(loose)),
        helper.make_node("MatMulNBits", ["a", "b", "s", "loose", "g"], ["out0"], domain="com.microsoft", K=k, N=n, bits=4,
                         block_size=32)])
    for bits in (4, 8):
        each = 8 // bits
        for zero in (False, True):
            for index in (numpy.int32, numpy.int64):
                for type in (numpy.float32, numpy.float16):
                    yield Case(f"GatherBlockQuantized_{bits}_{zero:d}_{index.__name__}_{type.__name__}", "GatherBlockQuantized",
                               [("data", u8(10, 32 // each)), ("at", integers(-10, 10, 2, 3, type=index)),
                                ("s", f32(10, 2, type=type)), ("z", u8(10, 2 // each) if zero else None)],
                               constant=["data", "s", "z"], bits=bits, block_size=16, gather_axis=0, quantize_axis=1)


def experts():
    e, h, i, m = 4, 16, 12, 5
    for activation in ("relu", "gelu", "silu", "identity"):
        for k in (1, 2):
            yield Case(f"MoE_{activation}_{k}", "MoE",
                       [("x", f32(m, h)), ("router", f32(m, e)), ("w1", f32(e, i, h, scale=0.3)), ("b1", f32(e, i)),
                        ("w2", f32(e, h, i, scale=0.3)), ("b2", f32(e, h))], k=k, activation_type=activation)
    yield Case("MoE_normalised", "MoE", [("x", f32(2, 3, h)), ("router", f32(6, e)), ("w1", f32(e, i, h)), ("b1", None),
                                         ("w2", f32(e, h, i))], k=3, activation_type="relu", normalize_routing_weights=1)
    yield Case("MoE_swiglu", "MoE", [("x", f32(m, h)), ("router", f32(m, e)), ("w1", f32(e, 2 * i, h, scale=0.3)),
                                     ("b1", f32(e, 2 * i)), ("w2", f32(e, h, i, scale=0.3)), ("b2", f32(e, h))], k=2,
               activation_type="swiglu", swiglu_fusion=1, activation_alpha=1.7, activation_beta=1.0, swiglu_limit=1.5)
    for bits in (4, 8):
        each = 8 // bits
        h, i = 32, 32
        for block in (0, 16):
            # ONNX Runtime rounds the activations of these to 8 bits.
            if bits == 8 and block:
                continue
            for zero in (False, True):
                def weight(name, rows, columns):
                    blocks = columns // block if block else 1
                    scales = f32(e, rows, blocks, scale=0.05) if block else f32(e, rows, scale=0.05)
                    return u8(e, rows, columns // each), numpy.abs(scales)

                w1, s1 = weight("w1", 2 * i, h)
                w2, s2 = weight("w2", h, i)
                zeros = []
                if zero:
                    if block:
                        zeros = [("z1", u8(e, 2 * i, -(-(h // block) // each))), ("z2", u8(e, h, -(-(i // block) // each)))]
                    else:
                        zeros = [("z1", u8(e, 2 * i // each)), ("z2", u8(e, h // each))]
                more = {"block_size": block} if block else {}
                yield Case(f"QMoE_{bits}_{block}_{zero:d}", "QMoE",
                           [("x", f32(m, h)), ("router", f32(m, e)), ("w1", w1), ("s1", s1), ("b1", f32(e, 2 * i)),
                            ("w2", w2), ("s2", s2), ("b2", f32(e, h)), ("w3", None), ("s3", None), ("b3", None), *zeros],
                           constant=["w1", "s1", "w2", "s2", "z1", "z2"], k=2, activation_type="swiglu", swiglu_fusion=1,
                           expert_weight_bits=bits, activation_alpha=1.7, activation_beta=1.0, weights_prepacked=0,
                           normalize_routing_weights=1, **more)


def distances():
    for metric in ("euclidean", "sqeuclidean"):
        for type in (numpy.float32, numpy.float64):
            yield Case(f"CDist_{metric}_{type.__name__}", "CDist", [("x", f32(7, 5, type=type)), ("y", f32(33, 5, type=type))],
                       metric=metric)
        yield Case(f"CDist_{metric}_symbolic", "CDist", [("x", f32(4, 3)), ("y", f32(9, 3))], constant=["y"],
                   symbols={("x", 0): "n"}, metric=metric)


def cases():
    for family in (fused, activations, normalisations, embeddings, attention, rotary, grouped_attention, quantised, blocks,
                   experts, distances):
        yield from family()


def compare(name, found, expected, quantised):
    if found.dtype != expected.dtype:
        return f"{name} is {found.dtype}, expected {expected.dtype}"
    if found.shape != expected.shape:
        return f"{name} has shape {found.shape}, expected {expected.shape}"
    if expected.size == 0:
        return None
    if expected.dtype.kind in "iub":
        difference = numpy.abs(found.astype(numpy.int64) - expected.astype(numpy.int64))
        wrong = numpy.count_nonzero(difference)
        if quantised and difference.max() <= 1 and wrong <= max(1, expected.size // 100):
            return None
        return f"{name}: {wrong} of {expected.size} differ, at most by {difference.max()}" if wrong else None
    half = expected.dtype.itemsize < 4
    relative, absolute = (1e-2, 1e-2) if half else (1e-3, 2e-5)
    found, expected = found.astype(numpy.float64), expected.astype(numpy.float64)
    largest = numpy.abs(expected[numpy.isfinite(expected)]).max(initial=0)
    if numpy.allclose(found, expected, rtol=relative, atol=absolute * largest, equal_nan=True):
        return None
    with numpy.errstate(all="ignore"):
        return f"{name}: largest difference {numpy.nanmax(numpy.abs(found - expected)):.3g} of {largest:.3g}"


def run(case, device):
    """None, or what is wrong."""
    model, names = case.model()
    other = case.model(case.reference())[0] if case.reference else model
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    try:
        engine = onnxruntime.InferenceSession(other.SerializeToString(), options, providers=["CPUExecutionProvider"])
        expected = engine.run(names, case.feeds())
    except Exception as problem:
        return f"ONNX Runtime: {problem}"
    try:
        package = aicc.compile(model, targets="cpu:native" if device == "cpu" else device, jobs=1, cache=False)
        results = package.session(device, 1).run(case.feeds())
        found = {port.name: aicc.to_numpy(tensor) for port, tensor in zip(package.outputs, results)}
    except aicc.Error as problem:
        return str(problem)
    quantised = case.op.startswith("Q")
    for name, want in zip(names, expected):
        have = found[name].copy()
        if case.unspecified:
            want = want.copy()
            case.unspecified(have)[...] = case.unspecified(want)[...] = 0
        wrong = compare(name, have, want, quantised)
        if wrong:
            return wrong
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--filter", default="")
    parser.add_argument("-v", "--verbose", action="store_true")
    options = parser.parse_args()
    total = failed = 0
    for case in cases():
        if options.filter.lower() not in f"{case.op} {case.name}".lower():
            continue
        total += 1
        wrong = run(case, options.device)
        failed += wrong is not None
        if wrong or options.verbose:
            print(f"{'FAIL' if wrong else 'PASS'} {case.op} {case.name}" + (f": {wrong}" if wrong else ""), flush=True)
    print(f"{total - failed} of {total} agree with ONNX Runtime on {options.device}")
    return 1 if failed or not total else 0


if __name__ == "__main__":
    sys.exit(main())
