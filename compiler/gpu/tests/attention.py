# attention.py - sample kernels of attention
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Two products with a softmax in between, as kernels.py has its kernels."""
import numpy as np
from kernels import Kernel, generic, kernel


def attention(name, batch, group, queries, keys, size, width, mask=None,
              safe=False, half=None, symbols=None):
    """softmax(q k^T * scale + mask) v; `group` rows of queries share keys,
    `safe` gives 0 where a row is hidden, the result is transposed. `half` is
    the type of operands; of bf16, which NumPy hasn't got, the result is f32.
    Masks: "additive"; "causal"; ("past", n): causal, the last n of the keys are
    those of the queries' own and of later ones; ("window", n): the n keys up to
    the query's own; "lengths": so many keys of a batch as the data say, those
    behind are no numbers."""
    sizes = {"b": batch, "g": group, "m": queries, "n": keys, "d": size,
             "v": width}
    if symbols:
        sizes.update(m="?", n="?")

    def plain(dims, e="f32"):
        return f"tensor<{''.join(f'{sizes[i]}x' for i in dims)}{e}>"

    def typed(dims, e="f32"):
        if not symbols or not set(dims) & set("mn"):
            return plain(dims, e)
        known = {**sizes, "m": "s0", "n": "s1"}
        shape = ", ".join(str(known[i]) for i in dims)
        return plain(dims, e)[:-1] + f", affine_map<()[s0, s1] -> ({shape})>>"

    def loops(dims, order):
        return ", ".join(f"d{order.index(i)}" for i in dims)

    def fill_as(result, dims, value, e="f32"):
        dynamic = [{"m": "%s0", "n": "%s1"}[i] for i in dims
                   if symbols and i in "mn"]
        text = (f"    {result}_e = tensor.empty({', '.join(dynamic)}) : "
                f"{plain(dims, e)}\n")
        if value is None:
            return text
        return text + f"    {result}_c = arith.constant {value} : {e}\n" + \
            generic(result, len(dims), "p" * len(dims), [],
                    (f"{result}_e", plain(dims, e)),
                    f"      linalg.yield {result}_c : {e}", loops(dims, dims))

    e = half or "f32"
    out = "f16" if half == "f16" else "f32"
    wide = (f"      %x = arith.extf %i0 : {e} to f32\n"
            f"      %y = arith.extf %i1 : {e} to f32\n" if half else "")
    x, y = ("%x", "%y") if half else ("%i0", "%i1")
    add = (f"{wide}      %p = arith.mulf {x}, {y} : f32\n"
           "      %s = arith.addf %o0, %p : f32\n      linalg.yield %s : f32")
    body = ""
    if symbols:
        body += "    %s0 = exec.symbol 0\n    %s1 = exec.symbol 1\n"
    body += fill_as("%z", "bgmn", "0.0") + fill_as("%lowest", "bgm", "0xFF800000")
    body += fill_as("%zr", "bgm", "0.0") + fill_as("%zo", "bgmv", "0.0")
    body += fill_as("%w", "bgmn", None, e) + fill_as("%t", "bmgv", None, out)
    body += generic("%qk", 5, "ppppr",
                    [("%q", plain("bgmd", e), loops("bgmd", "bgmnd")),
                     ("%k", plain("bnd", e), loops("bnd", "bgmnd"))],
                    ("%z", plain("bgmn")), add, loops("bgmn", "bgmnd"))
    operands = [("%qk", plain("bgmn"), loops("bgmn", "bgmn"))]
    hide = "      %r0 = arith.mulf %i0, %scale : f32\n"
    if mask == "additive":
        operands.append(("%mask", plain("mn"), loops("mn", "bgmn")))
        hide += "      %r = arith.addf %r0, %i1 : f32\n"
    elif mask == "lengths":
        operands.append(("%lengths", "tensor<{}xi64>".format(batch),
                         loops("b", "bgmn")))
        hide += ("      %column = linalg.index 3 : index\n"
                 "      %number = arith.index_cast %column : index to i64\n"
                 "      %hide = arith.cmpi sge, %number, %i1 : i64\n"
                 "      %r = arith.select %hide, %infinite, %r0 : f32\n")
    elif isinstance(mask, tuple) and mask[0] == "past":
        hide += (f"      %past = arith.constant {mask[1]} : index\n"
                 "      %row = linalg.index 2 : index\n"
                 "      %column = linalg.index 3 : index\n"
                 "      %last = arith.addi %row, %past : index\n"
                 "      %keep = arith.cmpi sge, %last, %column : index\n"
                 "      %m = arith.select %keep, %nothing, %infinite : f32\n"
                 "      %r = arith.addf %m, %r0 : f32\n")
    elif isinstance(mask, tuple) and mask[0] == "window":
        hide += (f"      %size = arith.constant {mask[1]} : index\n"
                 "      %row = linalg.index 2 : index\n"
                 "      %column = linalg.index 3 : index\n"
                 "      %before = arith.subi %row, %size : index\n"
                 "      %low = arith.cmpi sgt, %column, %before : index\n"
                 "      %high = arith.cmpi sle, %column, %row : index\n"
                 "      %keep = arith.andi %low, %high : i1\n"
                 "      %r = arith.select %keep, %r0, %infinite : f32\n")
    elif mask == "causal":
        hide += ("      %row = linalg.index 2 : index\n"
                 "      %column = linalg.index 3 : index\n"
                 "      %keep = arith.cmpi ule, %column, %row : index\n"
                 "      %r = arith.select %keep, %r0, %infinite : f32\n")
    else:
        hide += "      %r = arith.mulf %r0, %one : f32\n"
    body += ("    %scale = arith.constant 0.125 : f32\n"
             "    %one = arith.constant 1.0 : f32\n"
             "    %infinite = arith.constant 0xFF800000 : f32\n"
             "    %nothing = arith.constant 0.0 : f32\n"
             f"    %zero = arith.constant 0.0 : {e}\n")
    body += generic("%sc", 4, "pppp", operands, ("%z_e", plain("bgmn")),
                    hide + "      linalg.yield %r : f32", loops("bgmn", "bgmn"))
    row = ("%sc", plain("bgmn"), loops("bgmn", "bgmn"))
    body += generic("%most", 4, "pppr", [row], ("%lowest", plain("bgm")),
                    "      %r = arith.maximumf %o0, %i0 fastmath<nnan> : f32\n"
                    "      linalg.yield %r : f32", loops("bgm", "bgmn"))
    body += generic("%ex", 4, "pppp",
                    [row, ("%most", plain("bgm"), loops("bgm", "bgmn"))],
                    ("%z_e", plain("bgmn")),
                    "      %r0 = arith.subf %i0, %i1 : f32\n"
                    "      %r = math.exp %r0 : f32\n"
                    "      linalg.yield %r : f32", loops("bgmn", "bgmn"))
    body += generic("%sum", 4, "pppr",
                    [("%ex", plain("bgmn"), loops("bgmn", "bgmn"))],
                    ("%zr", plain("bgm")),
                    "      %r = arith.addf %o0, %i0 : f32\n"
                    "      linalg.yield %r : f32", loops("bgm", "bgmn"))
    weight = "      %r0 = arith.divf %i0, %i1 : f32\n"
    weight += (f"      %r = arith.truncf %r0 : f32 to {e}\n" if half else
               "      %r = arith.mulf %r0, %one : f32\n")
    last = "%r"
    if safe:
        weight += (f"      %nan = arith.cmpf uno, %r, %r : {e}\n"
                   f"      %safe = arith.select %nan, %zero, %r : {e}\n")
        last = "%safe"
    body += generic("%p", 4, "pppp",
                    [("%ex", plain("bgmn"), loops("bgmn", "bgmn")),
                     ("%sum", plain("bgm"), loops("bgm", "bgmn"))],
                    ("%w_e", plain("bgmn", e)),
                    weight + f"      linalg.yield {last} : {e}",
                    loops("bgmn", "bgmn"))
    body += generic("%pv", 5, "ppppr",
                    [("%p", plain("bgmn", e), loops("bgmn", "bgmvn")),
                     ("%v", plain("bnv", e), loops("bnv", "bgmvn"))],
                    ("%zo", plain("bgmv")), add, loops("bgmv", "bgmvn"))
    result = "      linalg.yield %i0 : f32"
    if out == "f16":
        result = ("      %r = arith.truncf %i0 : f32 to f16\n"
                  "      linalg.yield %r : f16")
    body += generic("%0", 4, "pppp",
                    [("%pv", plain("bgmv"), loops("bgmv", "bmgv"))],
                    ("%t_e", plain("bmgv", out)), result, loops("bmgv", "bmgv"))

    def make(rng, s):
        m, n = (s[0], s[1]) if symbols else (queries, keys)
        kind = np.float16 if half == "f16" else np.float32
        q, k, v = (rng.standard_normal(shape).astype(kind) for shape in
                   [(batch, group, m, size), (batch, n, size),
                    (batch, n, width)])
        lengths = np.array([64 * (b + 1) for b in range(batch)])
        if mask == "lengths":
            for b, length in enumerate(lengths):
                k[b, length:] = v[b, length:] = np.nan
        inputs = [q, k, v]
        if half == "bf16":
            inputs = [(x.view(np.uint32) >> 16).astype(np.uint16)
                      for x in inputs]
            q, k, v = ((x.astype(np.uint32) << 16).view(np.float32)
                       for x in inputs)
        scores = np.einsum("bgmd,bnd->bgmn", q.astype(np.float64), k) * 0.125
        if mask == "additive":
            hidden = np.where(rng.random((m, n)) < 0.5, -np.inf, 0)
            hidden[: (m + 1) // 2, 0] = 0  # the others may be hidden as a whole
            hidden[m // 2] = -np.inf
            scores += hidden
            inputs.append(hidden.astype(np.float32))
        elif mask == "lengths":
            inputs.append(lengths)
            for b, length in enumerate(lengths):
                scores[b, :, :, length:] = -np.inf
                v = np.nan_to_num(v)
        elif isinstance(mask, tuple):
            row, column = np.arange(m)[:, None], np.arange(n)
            kept = (column <= row + mask[1] if mask[0] == "past" else
                    (column <= row) & (column > row - mask[1]))
            scores += np.where(kept, 0, -np.inf)
        elif mask == "causal":
            scores += np.where(np.arange(n) <= np.arange(m)[:, None], 0, -np.inf)
        with np.errstate(invalid="ignore"):
            w = np.exp(scores - scores.max(3, keepdims=True))
            w /= w.sum(3, keepdims=True)
        if safe:
            w = np.nan_to_num(w)
        return inputs, [np.einsum("bgmn,bnv->bmgv", w, v).astype(kind)]

    arguments = [("q", "bgmd"), ("k", "bnd"), ("v", "bnv")]
    arguments = [(a, plain(i, e) if not symbols else
                  f"{plain(i, e)} as {typed(i, e)}") for a, i in arguments]
    if mask == "lengths":
        arguments.append(("lengths", f"tensor<{batch}xi64>"))
    if mask == "additive":
        t = plain("mn") if not symbols else f"{plain('mn')} as {typed('mn')}"
        arguments.append(("mask", t))
    return Kernel(kernel(name, arguments, [typed("bmgv", out)], body, ["%0"]), make,
                  symbols or [{}], tolerance={None: 1e-5, "f16": 5e-3, "bf16": 4e-2}[half])


def attentions():
    return [
        attention("attention", 3, 1, 64, 128, 64, 64),
        attention("attention_edges", 2, 1, 70, 45, 33, 20),
        attention("attention_grouped", 2, 3, 20, 70, 16, 48),
        attention("attention_wide", 1, 1, 40, 80, 256, 256),
        attention("attention_one", 4, 1, 1, 77, 64, 64, safe=True),
        attention("attention_causal", 2, 1, 100, 100, 32, 32, "causal"),
        attention("attention_hidden", 2, 1, 37, 50, 24, 64, "additive"),
        attention("attention_safe", 2, 2, 37, 50, 24, 40, "additive",
                  safe=True),
        attention("attention_f16", 2, 1, 70, 90, 64, 64, "additive",
                  safe=True, half="f16"),
        attention("attention_f16_wide", 1, 1, 140, 70, 256, 128,
                  half="f16"),
        attention("attention_f16_widest", 1, 1, 140, 70, 256, 256, "causal",
                  half="f16"),
        attention("attention_f16_widest_edges", 1, 1, 70, 45, 250, 251,
                  "additive", safe=True, half="f16"),
        attention("attention_f16_columns", 1, 1, 70, 70, 128, 256, half="f16"),
        attention("attention_f16_128", 1, 1, 150, 140, 128, 128, "causal",
                  half="f16"),
        attention("attention_f16_grouped", 1, 4, 40, 100, 48, 72,
                  "causal", half="f16"),
        # Several tiles of keys: some are seen as a whole, some by nobody.
        attention("attention_f16_long", 1, 1, 200, 230, 64, 64, "causal",
                  half="f16"),
        attention("attention_f16_past", 1, 3, 60, 250, 64, 32, ("past", 150),
                  half="f16"),
        attention("attention_f16_window", 1, 2, 300, 300, 32, 64,
                  ("window", 70), half="f16"),
        attention("attention_bf16_lengths", 3, 1, 70, 256, 32, 32, "lengths",
                  half="bf16"),
        attention("attention_f16_long_dynamic", 1, 2, 0, 0, 64, 64, "causal",
                  half="f16", symbols=[{0: 1, 1: 5}, {0: 150, 1: 300},
                                       {0: 256, 1: 128}]),
        attention("attention_window", 1, 2, 150, 150, 32, 32, ("window", 40)),
        attention("attention_lengths", 3, 1, 9, 256, 32, 32, "lengths"),
        attention("attention_bf16", 2, 1, 70, 90, 64, 40, half="bf16"),
        attention("attention_f16_dynamic", 1, 2, 0, 0, 64, 64, half="f16",
                  symbols=[{0: 1, 1: 5}, {0: 150, 1: 129}]),
        attention("attention_dynamic", 2, 2, 0, 0, 32, 48, "additive",
                  safe=True, symbols=[{0: 1, 1: 1}, {0: 64, 1: 64},
                                      {0: 33, 1: 150}])
    ]
