# reduction.py - sample kernels of reductions
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Sums, the best element, softmax, normalisation, as kernels.py has its kernels."""
import numpy as np
from kernels import Kernel, fill, fill_empty, generic, kernel


def softmax(name, rows, columns, axis=1, negated=False):
    count, own, kinds = (rows, "d0", "pr") if axis else (columns, "d1", "rp")
    t, r = f"tensor<{rows}x{columns}xf32>", f"tensor<{count}xf32>"
    body = fill("%n", r, "0xFF800000") + fill("%z", r, "0.0")
    x = "%x"
    if negated:
        x = "%y"
        body += fill_empty("%ye", t) + generic(x, 2, "pp", [("%x", t, "d0, d1")], ("%ye", t),
                                               "      %k = arith.negf %i0 : f32\n"
                                               "      linalg.yield %k : f32", "d0, d1")
    body += generic("%m", 2, kinds, [(x, t, "d0, d1")], ("%n", r),
                    "      %m1 = arith.maximumf %o0, %i0 : f32\n"
                    "      linalg.yield %m1 : f32", own)
    body += fill_empty("%e", t)
    body += generic("%p", 2, "pp", [(x, t, "d0, d1"), ("%m", r, own)],
                    ("%e", t), "      %d = arith.subf %i0, %i1 : f32\n"
                    "      %q = math.exp %d : f32\n"
                    "      linalg.yield %q : f32", "d0, d1")
    body += generic("%s", 2, kinds, [("%p", t, "d0, d1")], ("%z", r),
                    "      %a = arith.addf %o0, %i0 : f32\n"
                    "      linalg.yield %a : f32", own)
    body += generic("%0", 2, "pp", [("%p", t, "d0, d1"), ("%s", r, own)],
                    ("%e", t), "      %d = arith.divf %i0, %i1 : f32\n"
                    "      linalg.yield %d : f32", "d0, d1")

    def make(rng, _):
        x = rng.standard_normal((rows, columns), np.float32) * 4
        y = -x if negated else x
        e = np.exp(y.astype(np.float64) - y.max(axis, keepdims=True))
        return [x], [(e / e.sum(axis, keepdims=True)).astype(np.float32)]
    return Kernel(kernel(name, [("x", t)], [t], body, ["%0"]), make)


def layernorm():
    t, r, c = "tensor<?x96xf32>", "tensor<?xf32>", "tensor<96xf32>"
    a = "tensor<?x96xf32, affine_map<()[s0] -> (s0, 96)>>"
    body = ("    %s0 = exec.symbol 0\n    %zero = arith.constant 0.0 : f32\n"
            f"    %e = tensor.empty(%s0) : {t}\n"
            f"    %re = tensor.empty(%s0) : {r}\n"
            "    %n = arith.constant 96.0 : f32\n"
            "    %eps = arith.constant 1.0e-5 : f32\n")
    body += generic("%z", 1, "p", [], ("%re", r),
                    "      linalg.yield %zero : f32", "d0")
    body += generic("%s", 2, "pr", [("%x", t, "d0, d1")], ("%z", r),
                    "      %a = arith.addf %o0, %i0 : f32\n"
                    "      linalg.yield %a : f32", "d0")
    body += generic("%d", 2, "pp", [("%x", t, "d0, d1"), ("%s", r, "d0")],
                    ("%e", t), "      %m = arith.divf %i1, %n : f32\n"
                    "      %q = arith.subf %i0, %m : f32\n"
                    "      linalg.yield %q : f32", "d0, d1")
    body += generic("%v", 2, "pr", [("%d", t, "d0, d1")], ("%z", r),
                    "      %p = arith.mulf %i0, %i0 : f32\n"
                    "      %a = arith.addf %o0, %p : f32\n"
                    "      linalg.yield %a : f32", "d0")
    body += generic("%0", 2, "pp",
                    [("%d", t, "d0, d1"), ("%v", r, "d0"), ("%g", c, "d1"),
                     ("%b", c, "d1")], ("%e", t),
                    "      %m = arith.divf %i1, %n : f32\n"
                    "      %w = arith.addf %m, %eps : f32\n"
                    "      %q = math.sqrt %w : f32\n"
                    "      %y = arith.divf %i0, %q : f32\n"
                    "      %y1 = arith.mulf %y, %i2 : f32\n"
                    "      %y2 = arith.addf %y1, %i3 : f32\n"
                    "      linalg.yield %y2 : f32", "d0, d1")

    def make(rng, s):
        x = rng.standard_normal((s[0], 96), np.float32)
        g, b = rng.standard_normal((2, 96), np.float32)
        d = x - x.mean(1, keepdims=True)
        v = (d * d).mean(1, keepdims=True)
        return [x, g, b], [d / np.sqrt(v + 1e-5) * g + b]
    return Kernel(kernel("layernorm", [("x", f"{t} as {a}"), ("g", c),
                                       ("b", c)], [a], body, ["%0"]), make,
                  [{0: 1}, {0: 77}, {0: 1000}])


def reduction(name, shape, axes, kind, dtype="f32"):
    rank = len(shape)
    t = "tensor<" + "x".join(map(str, shape)) + f"x{dtype}>"
    kept = [i for i in range(rank) if i not in axes]
    r = "tensor<" + "".join(f"{shape[i]}x" for i in kept) + f"{dtype}>"
    float_ = dtype[0] == "f"
    op, init = {"sum": ("add", "0.0" if float_ else "0"),
                "max": ("maximum" if float_ else "maxs",
                        {"f32": "0xFF800000", "f64": "0xFFF0000000000000",
                         "i64": "-9223372036854775808"}[dtype])}[kind]
    body = fill("%z", r, init) + generic(
        "%0", rank, ["r" if i in axes else "p" for i in range(rank)],
        [("%x", t, ", ".join(f"d{i}" for i in range(rank)))], ("%z", r),
        f"      %s = arith.{op}{dtype[0]} %o0, %i0 : {dtype}\n"
        f"      linalg.yield %s : {dtype}", ", ".join(f"d{i}" for i in kept))
    numpy = {"f32": np.float32, "f64": np.float64, "i64": np.int64}[dtype]

    def make(rng, _):
        x = (rng.standard_normal(shape) * 10).astype(numpy)
        f = np.sum if kind == "sum" else np.max
        return [x], [np.asarray(f(x, axis=tuple(axes)), numpy)]
    return Kernel(kernel(name, [("x", t)], [r], body, ["%0"]), make)


def arg_max(name, rows, columns, axis=1, last=False, dtype="f32"):
    """Of numbers with many equal ones and, of floats, some that are none; the last of equal ones if `last`."""
    count, own, kinds = (rows, "d0", "pr") if axis else (columns, "d1", "rp")
    t, r, i = f"tensor<{rows}x{columns}x{dtype}>", f"tensor<{count}x{dtype}>", f"tensor<{count}xi64>"
    if dtype == "f32":
        wins = (f"      %c0 = arith.cmpf {'oge' if last else 'ogt'}, %i0, %o0 : f32\n"
                "      %n = arith.cmpf uno, %i0, %i0 : f32\n" +
                ("      %c = arith.ori %c0, %n : i1\n" if last else
                 "      %y = arith.cmpf ord, %o0, %o0 : f32\n"
                 "      %a = arith.andi %n, %y : i1\n"
                 "      %c = arith.ori %c0, %a : i1\n"))
    else:
        wins = f"      %c = arith.cmpi {'sge' if last else 'sgt'}, %i0, %o0 : {dtype}\n"
    body = fill("%n", r, "0xFF800000" if dtype == "f32" else "-2147483648") + fill("%z", i, "0")
    body += generic("%0:2", 2, kinds, [("%x", t, "d0, d1")],
                    [("%n", r, own), ("%z", i, own)],
                    f"      %k = linalg.index {axis} : index\n"
                    "      %j = arith.index_cast %k : index to i64\n" + wins +
                    f"      %v = arith.select %c, %i0, %o0 : {dtype}\n"
                    "      %w = arith.select %c, %j, %o1 : i64\n"
                    f"      linalg.yield %v, %w : {dtype}, i64")

    def make(rng, _):
        if dtype != "f32":
            x = rng.integers(-20, 20, (rows, columns)).astype(np.int32)
        else:
            x = np.round(rng.standard_normal((rows, columns), np.float32) * 2)
            x[rng.random(x.shape) < 0.5 / x.shape[axis]] = np.nan
            (x if axis else x.T)[0] = -np.inf
        if not last:
            return [x], [x.argmax(axis)]
        return [x], [x.shape[axis] - 1 - np.flip(x, axis).argmax(axis)]
    return Kernel(kernel(name, [("x", t)], [i], body, ["%0#1"]), make)


def reductions():
    return [
        softmax("softmax_short", 37, 10), softmax("softmin", 10, 20, negated=True), softmax("softmax", 700, 100),
        softmax("softmax_long", 5, 3000), softmax("softmax_shared", 131, 4004),
        softmax("softmax_longest", 2, 50001), layernorm(),
        reduction("sum_all", (17, 300), (0, 1), "sum"),
        reduction("sum_inner", (6, 2000), (1,), "sum"),
        reduction("sum_outer", (50, 5000), (0,), "sum"),
        reduction("sum_middle", (4, 49, 64), (1,), "sum"),
        reduction("sum_columns", (5003, 72), (0,), "sum"),
        reduction("sum_columns_odd", (2, 1500, 33), (1,), "sum"),
        reduction("max_columns_few", (900, 2, 4), (0, 1), "max"),
        reduction("sum_long", (3, 70000), (1,), "sum"),
        softmax("softmax_columns", 700, 72, axis=0), softmax("softmax_columns_short", 9, 96, axis=0),
        softmax("softmax_columns_long", 5000, 20, axis=0),
        reduction("max_i64", (6, 500), (1,), "max", "i64"),
        reduction("max_inner", (6, 2000), (1,), "max"),
        reduction("max_outer", (50, 5000), (0,), "max"),
        reduction("sum_f64", (6, 500), (1,), "sum", "f64"),
        arg_max("arg_max", 40, 100), arg_max("arg_max_short", 50, 9), arg_max("arg_max_last", 6, 3000, last=True),
        arg_max("arg_max_long", 2, 30001), arg_max("arg_max_columns", 600, 72, axis=0, dtype="i32"),
        arg_max("arg_max_columns_last", 1500, 33, axis=0, last=True),
    ]
