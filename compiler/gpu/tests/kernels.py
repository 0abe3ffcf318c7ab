# kernels.py - sample kernels as lowered bodies, with inputs and references
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What the acceptance and execution tests of the GPU backends compile.

`kernels()` gives a dictionary of name -> Kernel: the text of an exec.kernel
and a function that makes inputs and expected outputs with NumPy.
"""
import re
from dataclasses import dataclass, field
from typing import Callable
import numpy as np

MLIR_TYPES = {"float32": "f32", "float16": "f16", "float64": "f64",
              "int64": "i64", "int32": "i32", "int8": "i8", "bool": "i1"}


@dataclass
class Kernel:
    text: str
    make: Callable  # (rng, symbols) -> (inputs, outputs)
    symbols: list = field(default_factory=lambda: [{}])
    tolerance: float = 1e-5


def maps(*texts):
    return ", ".join(f"affine_map<{t}>" for t in texts)


def generic(result, dims, iterators, operands, out, body, out_map=None):
    """One linalg.generic; operands are (value, type, map results)."""
    # A body sees the kernel's values, so its own names must differ.
    for local in re.findall(r"%(\w+) =", body):
        body = re.sub(rf"%{local}\b", f"%local_{local}", body)
    d = ", ".join(f"d{i}" for i in range(dims))
    text = [f"({d}) -> ({m})" for _, _, m in operands]
    outs = out if isinstance(out, list) else [(out[0], out[1], out_map)]
    text += [f"({d}) -> ({m})" for _, _, m in outs]
    kinds = ", ".join(f'"{"parallel" if i == "p" else "reduction"}"'
                      for i in iterators)
    ins = ""
    if operands:
        ins = (f' ins({", ".join(v for v, _, _ in operands)} : '
               f'{", ".join(t for _, t, _ in operands)})')
    args = [f"%i{i}: {element(t)}" for i, (_, t, _) in enumerate(operands)]
    args += [f"%o{i}: {element(t)}" for i, (_, t, _) in enumerate(outs)]
    types = ", ".join(t for _, t, _ in outs)
    if len(outs) > 1:
        types = f"({types})"
    return f"""    {result} = linalg.generic {{indexing_maps = [{maps(*text)}], iterator_types = [{kinds}]}}{ins} outs({", ".join(v for v, _, _ in outs)} : {", ".join(t for _, t, _ in outs)}) {{
    ^bb0({", ".join(args)}):
{body}
    }} -> {types}
"""


def element(tensor):
    return tensor[tensor.index("<") + 1:-1].split("x")[-1].split(",")[0]


def fill(result, tensor, value):
    rank = tensor[tensor.index("<") + 1:].count("x")
    e = element(tensor)
    d = ", ".join(f"d{i}" for i in range(rank))
    return (f"    {result}_e = tensor.empty() : {tensor}\n"
            f"    {result}_c = arith.constant {value} : {e}\n" +
            generic(result, rank, "p" * rank, [], (f"{result}_e", tensor),
                    f"      linalg.yield {result}_c : {e}", d))


def kernel(name, arguments, results, body, returned):
    args = ", ".join(f"%{n}: {t}" for n, t in arguments)
    text = f"exec.kernel @{name}({args}) -> ({', '.join(results)}) {{\n{body}"
    plain = [r.split(", affine_map")[0] + (">" if ", affine_map" in r else "")
             for r in results]
    return text + f"    exec.return {', '.join(returned)} : {', '.join(plain)}\n}}\n"


def elementwise():
    t = "tensor<2x37x5x8xf32>"
    c = "tensor<8xf32>"
    idx = "d0, d1, d2, d3"
    body = fill_empty("%e", t)
    body += generic("%0", 4, "pppp", [("%x", t, idx), ("%b", c, "d3")],
                    ("%e", t), "      %s = arith.addf %i0, %i1 : f32\n"
                    "      linalg.yield %s : f32", idx)
    body += generic("%1", 4, "pppp", [("%0", t, idx)], ("%e", t),
                    "      %z = arith.constant 0.0 : f32\n"
                    "      %s = arith.maximumf %i0, %z : f32\n"
                    "      linalg.yield %s : f32", idx)
    body += generic("%2", 4, "pppp", [("%1", t, idx), ("%0", t, idx)],
                    ("%e", t), "      %s = arith.mulf %i0, %i1 : f32\n"
                    "      linalg.yield %s : f32", idx)

    def make(rng, _):
        x = rng.standard_normal((2, 37, 5, 8), np.float32)
        b = rng.standard_normal(8, np.float32)
        s = x + b
        m = np.maximum(s, 0)
        return [x, b], [m, m * s]
    return Kernel(kernel("elementwise", [("x", t), ("b", c)], [t, t], body,
                         ["%1", "%2"]), make)


def runs(name, rows, columns):
    """Large enough for several elements of a thread; f16 and bool out."""
    t, c, o = f"tensor<{rows}x{columns}xf16>", f"tensor<{columns}xf16>", f"tensor<{rows}x{columns}xi1>"
    body = fill_empty("%e", t) + fill_empty("%f", o)
    body += generic("%0", 2, "pp", [("%x", t, "d0, d1"), ("%b", c, "d1")], ("%e", t),
                    "      %s = arith.addf %i0, %i1 : f16\n"
                    "      linalg.yield %s : f16", "d0, d1")
    body += generic("%1", 2, "pp", [("%0", t, "d0, d1"), ("%x", t, "d0, d1")], ("%f", o),
                    "      %s = arith.cmpf ogt, %i0, %i1 : f16\n"
                    "      linalg.yield %s : i1", "d0, d1")

    def make(rng, _):
        x = rng.standard_normal((rows, columns)).astype(np.float16)
        b = rng.standard_normal(columns).astype(np.float16)
        return [x, b], [x + b, x + b > x]
    return Kernel(kernel(name, [("x", t), ("b", c)], [t, o], body, ["%0", "%1"]), make)


def fill_empty(name, tensor):
    return f"    {name} = tensor.empty() : {tensor}\n"


def mixed_types():
    """f16 and i64 in, bool and f16 out."""
    h, i, o = "tensor<1000xf16>", "tensor<1000xi64>", "tensor<1000xi1>"
    body = fill_empty("%e", o) + fill_empty("%f", h)
    body += generic("%0", 1, "p", [("%h", h, "d0"), ("%i", i, "d0")], ("%e", o),
                    "      %n = arith.sitofp %i1 : i64 to f16\n"
                    "      %c = arith.cmpf olt, %i0, %n : f16\n"
                    "      linalg.yield %c : i1", "d0")
    body += generic("%1", 1, "p", [("%0", o, "d0"), ("%h", h, "d0")],
                    ("%f", h), "      %n = arith.negf %i1 : f16\n"
                    "      %s = arith.select %i0, %n, %i1 : f16\n"
                    "      linalg.yield %s : f16", "d0")

    def make(rng, _):
        x = rng.standard_normal(1000).astype(np.float16)
        n = rng.integers(-2, 3, 1000)
        c = x < n.astype(np.float16)
        return [x, n], [c, np.where(c, -x, x)]
    return Kernel(kernel("mixed_types", [("h", h), ("i", i)], [o, h], body,
                         ["%0", "%1"]), make)


def dynamic_elementwise():
    enc = ", affine_map<()[s0, s1] -> (s0, s1, 3)>"
    t, a = "tensor<?x?x3xf32>", f"tensor<?x?x3xf32{enc}>"
    idx = "d0, d1, d2"
    body = ("    %s0 = exec.symbol 0\n    %s1 = exec.symbol 1\n"
            f"    %e = tensor.empty(%s0, %s1) : {t}\n")
    body += generic("%0", 3, "ppp", [("%x", t, idx)], ("%e", t),
                    "      %s = math.exp %i0 : f32\n"
                    "      linalg.yield %s : f32", idx)

    def make(rng, s):
        x = rng.standard_normal((s[0], s[1], 3), np.float32)
        return [x], [np.exp(x)]
    return Kernel(kernel("dynamic_elementwise", [("x", f"{t} as {a}")], [a],
                         body, ["%0"]), make, [{0: 3, 1: 7}, {0: 100, 1: 33}])


def transpose():
    a, r = "tensor<33x65x7xf32>", "tensor<7x33x65xf32>"
    body = fill_empty("%e", r) + generic(
        "%0", 3, "ppp", [("%x", a, "d1, d2, d0")], ("%e", r),
        "      linalg.yield %i0 : f32", "d0, d1, d2")

    def make(rng, _):
        x = rng.standard_normal((33, 65, 7), np.float32)
        return [x], [x.transpose(2, 0, 1)]
    return Kernel(kernel("transpose", [("x", a)], [r], body, ["%0"]), make)


def transposed(name, batch, rows, columns, dtype="f16"):
    """x^T + y * bias, the operand that is transposed in a chain."""
    a, r, c = (f"tensor<{batch}x{s}x{dtype}>" for s in (f"{rows}x{columns}", f"{columns}x{rows}", f"{columns}"))
    body = fill_empty("%e", r)
    body += generic("%0", 3, "ppp", [("%x", a, "d0, d2, d1")], ("%e", r),
                    f"      linalg.yield %i0 : {dtype}", "d0, d1, d2")
    body += generic("%1", 3, "ppp", [("%0", r, "d0, d1, d2"), ("%y", r, "d0, d1, d2"), ("%b", c, "d0, d1")],
                    ("%e", r), f"      %p = arith.mulf %i1, %i2 : {dtype}\n"
                    f"      %s = arith.addf %i0, %p : {dtype}\n"
                    f"      linalg.yield %s : {dtype}", "d0, d1, d2")
    numpy = {"f16": np.float16, "f32": np.float32}[dtype]

    def make(rng, _):
        x, y, b = (rng.standard_normal(s).astype(numpy) for s in
                   [(batch, rows, columns), (batch, columns, rows), (batch, columns)])
        return [x, y, b], [x.transpose(0, 2, 1) + y * b[:, :, None]]
    return Kernel(kernel(name, [("x", a), ("y", r), ("b", c)], [r], body, ["%1"]), make, tolerance=2e-3)


def channels_last(name, batch, channels, height, width):
    """Pictures to another layout and scaled by channel; runs of two dimensions."""
    a, r, c = (f"tensor<{s}xf16>" for s in (f"{batch}x{height}x{width}x{channels}",
                                            f"{batch}x{channels}x{height}x{width}", f"{channels}"))
    body = fill_empty("%e", r) + generic(
        "%0", 4, "pppp", [("%x", a, "d0, d2, d3, d1"), ("%s", c, "d1")], ("%e", r),
        "      %p = arith.mulf %i0, %i1 : f16\n"
        "      linalg.yield %p : f16", "d0, d1, d2, d3")

    def make(rng, _):
        x = rng.standard_normal((batch, height, width, channels)).astype(np.float16)
        s = rng.standard_normal(channels).astype(np.float16)
        return [x, s], [x.transpose(0, 3, 1, 2) * s[:, None, None]]
    return Kernel(kernel(name, [("x", a), ("s", c)], [r], body, ["%0"]), make, tolerance=2e-3)


def gather():
    t, i, r = "tensor<50x24xf32>", "tensor<13xi64>", "tensor<13x24xf32>"
    body = fill_empty("%e", r) + generic(
        "%0", 2, "pp", [("%i", i, "d0")], ("%e", r),
        "      %n = arith.constant 50 : index\n"
        "      %z = arith.constant 0 : index\n"
        "      %k = arith.index_cast %i0 : i64 to index\n"
        "      %neg = arith.cmpi slt, %k, %z : index\n"
        "      %w = arith.addi %k, %n : index\n"
        "      %j = arith.select %neg, %w, %k : index\n"
        "      %c = linalg.index 1 : index\n"
        "      %v = tensor.extract %t[%j, %c] : " + t + "\n"
        "      linalg.yield %v : f32", "d0, d1")

    def make(rng, _):
        x = rng.standard_normal((50, 24), np.float32)
        i = rng.integers(-50, 50, 13)
        return [x, i], [x[i]]
    return Kernel(kernel("gather", [("t", t), ("i", i)], [r], body, ["%0"]),
                  make)


def constant_table():
    t = "tensor<6x4xf32>"
    values = np.arange(24, dtype=np.float32).reshape(6, 4) / 8 - 1
    text = "[" + ", ".join("[" + ", ".join(f"{v}" for v in row) + "]"
                           for row in values.tolist()) + "]"
    body = f"    %k = arith.constant dense<{text}> : {t}\n" + fill_empty("%e", t)
    body += generic("%0", 2, "pp", [("%x", t, "d0, d1"), ("%k", t, "d0, d1")],
                    ("%e", t), "      %s = arith.mulf %i0, %i1 : f32\n"
                    "      linalg.yield %s : f32", "d0, d1")

    def make(rng, _):
        x = rng.standard_normal((6, 4), np.float32)
        return [x], [x * values]
    return Kernel(kernel("constant_table", [("x", t)], [t], body, ["%0"]), make)


MAC = """      %p = arith.mulf %i0, %i1 : {t}
      %s = arith.addf %o0, %p : {t}
      linalg.yield %s : {t}"""


def matmul(name, m, n, k, batch=0, transposed=False, epilogue=True):
    b = f"{batch}x" if batch else ""
    d = "d0, " if batch else ""
    o = 1 if batch else 0
    dm, dn, dk = f"d{o}", f"d{o + 1}", f"d{o + 2}"
    ta, tc = f"tensor<{b}{m}x{k}xf32>", f"tensor<{b}{m}x{n}xf32>"
    tb = f"tensor<{b}{n}x{k}xf32>" if transposed else f"tensor<{b}{k}x{n}xf32>"
    mb = f"{d}{dn}, {dk}" if transposed else f"{d}{dk}, {dn}"
    body = fill("%z", tc, "0.0") + generic(
        "%0", 3 + o, "p" * (2 + o) + "r",
        [("%a", ta, f"{d}{dm}, {dk}"), ("%b", tb, mb)], ("%z", tc),
        MAC.format(t="f32"), f"{d}{dm}, {dn}")
    arguments, last = [("a", ta), ("b", tb)], "%0"
    if epilogue:
        idx = f"{d}{dm}, {dn}"
        arguments.append(("c", f"tensor<{n}xf32>"))
        body += generic("%1", 2 + o, "pp" + "p" * o,
                        [("%0", tc, idx), ("%c", f"tensor<{n}xf32>", dn)],
                        ("%z_e", tc), "      %s = arith.addf %i0, %i1 : f32\n"
                        "      %q = arith.constant 0.0 : f32\n"
                        "      %r = arith.maximumf %s, %q : f32\n"
                        "      linalg.yield %r : f32", idx)
        last = "%1"
    lead = (batch,) if batch else ()

    def make(rng, _):
        x = rng.standard_normal(lead + (m, k), np.float32)
        y = rng.standard_normal(lead + ((n, k) if transposed else (k, n)),
                                np.float32)
        c = rng.standard_normal(n, np.float32)
        r = np.matmul(x.astype(np.float64),
                      (np.swapaxes(y, -1, -2) if transposed else y))
        if not epilogue:
            return [x, y], [r.astype(np.float32)]
        return [x, y, c], [np.maximum(r + c, 0).astype(np.float32)]
    return Kernel(kernel(name, arguments, [tc], body, [last]), make)


def matmul_f16():
    """f16 operands, products and sums in f32, result in f16."""
    ta, tb = "tensor<70x48xf16>", "tensor<48x96xf16>"
    tc, tr = "tensor<70x96xf32>", "tensor<70x96xf16>"
    body = fill("%z", tc, "0.0") + generic(
        "%0", 3, "ppr", [("%a", ta, "d0, d2"), ("%b", tb, "d2, d1")],
        ("%z", tc), "      %x = arith.extf %i0 : f16 to f32\n"
        "      %y = arith.extf %i1 : f16 to f32\n"
        "      %p = arith.mulf %x, %y : f32\n"
        "      %s = arith.addf %o0, %p : f32\n"
        "      linalg.yield %s : f32", "d0, d1")
    body += fill_empty("%e", tr) + generic(
        "%1", 2, "pp", [("%0", tc, "d0, d1")], ("%e", tr),
        "      %t = arith.truncf %i0 : f32 to f16\n"
        "      linalg.yield %t : f16", "d0, d1")

    def make(rng, _):
        x = rng.standard_normal((70, 48)).astype(np.float16)
        y = rng.standard_normal((48, 96)).astype(np.float16)
        r = x.astype(np.float32) @ y.astype(np.float32)
        return [x, y], [r.astype(np.float16)]
    return Kernel(kernel("matmul_f16", [("a", ta), ("b", tb)], [tr], body,
                         ["%1"]), make, tolerance=2e-3)


def matmul_i8():
    ta, tb, tc = "tensor<64x64xi8>", "tensor<64x64xi8>", "tensor<64x64xi32>"
    body = fill("%z", tc, "0") + generic(
        "%0", 3, "ppr", [("%a", ta, "d0, d2"), ("%b", tb, "d2, d1")],
        ("%z", tc), "      %x = arith.extsi %i0 : i8 to i32\n"
        "      %y = arith.extsi %i1 : i8 to i32\n"
        "      %p = arith.muli %x, %y : i32\n"
        "      %s = arith.addi %o0, %p : i32\n"
        "      linalg.yield %s : i32", "d0, d1")

    def make(rng, _):
        x = rng.integers(-128, 128, (64, 64)).astype(np.int8)
        y = rng.integers(-128, 128, (64, 64)).astype(np.int8)
        return [x, y], [x.astype(np.int32) @ y.astype(np.int32)]
    return Kernel(kernel("matmul_i8", [("a", ta), ("b", tb)], [tc], body,
                         ["%0"]), make, tolerance=0)


def matrix_product(name, kind, m, n, k, batch=0, transposed=False, across=False, computed=False, shares=False):
    """Operands of `kind`, sums in f32 (i32 of i8, f64 of f64); a as [k, m] if `across`, b as [n, k] if
    `transposed`, a the negative of what is given if `computed`; a
    as [m, batch, k] if `shares`."""
    total = {"i8": "i32", "f64": "f64"}.get(kind, "f32")
    stored = "i16" if kind == "bf16" else kind
    b, d, o = (f"{batch}x", "d0, ", 1) if batch else ("", "", 0)
    dm, dn, dk = f"d{o}", f"d{o + 1}", f"d{o + 2}"
    ta, tc = f"tensor<{b}{m}x{k}x{kind}>", f"tensor<{b}{m}x{n}x{total}>"
    ma = f"{d}{dm}, {dk}"
    if across:
        ta, ma = f"tensor<{b}{k}x{m}x{kind}>", f"{d}{dk}, {dm}"
    if shares:
        ta, ma = f"tensor<{m}x{batch}x{k}x{kind}>", f"{dm}, d0, {dk}"
    tb = f"tensor<{b}{n}x{k}x{kind}>" if transposed else f"tensor<{b}{k}x{n}x{kind}>"
    mb = f"{d}{dn}, {dk}" if transposed else f"{d}{dk}, {dn}"
    letter, extend = ("i", "extsi") if kind == "i8" else ("f", "extf")
    text = "      %x = arith.{e} %i0 : {t} to {r}\n      %y = arith.{e} %i1 : {t} to {r}\n".format(
        e=extend, t=kind, r=total)
    if kind == total or kind == "f64":
        text = ""
    x, y = ("%x", "%y") if text else ("%i0", "%i1")
    text += (f"      %p = arith.mul{letter} {x}, {y} : {total}\n"
             f"      %s = arith.add{letter} %o0, %p : {total}\n"
             f"      linalg.yield %s : {total}")
    body, a = "", "%a"
    if computed:
        index = ", ".join(f"d{i}" for i in range(2 + o))
        body = fill_empty("%n_e", ta) + generic(
            "%n", 2 + o, "p" * (2 + o), [("%a", ta, index)], ("%n_e", ta),
            f"      %v = arith.negf %i0 : {kind}\n      linalg.yield %v : {kind}", index)
        a = "%n"
    body += fill("%z", tc, "0" if kind == "i8" else "0.0") + generic(
        "%0", 3 + o, "p" * (2 + o) + "r", [(a, ta, ma), ("%b", tb, mb)],
        ("%z", tc), text, f"{d}{dm}, {dn}")
    lead = (batch,) if batch else ()

    def make(rng, _):
        shapes = [(m, batch, k) if shares else lead + ((k, m) if across else (m, k)),
                  lead + ((n, k) if transposed else (k, n))]
        if kind == "i8":
            given = [rng.integers(-128, 128, s).astype(np.int8) for s in shapes]
            wide = [g.astype(np.int32) for g in given]
        elif kind == "bf16":  # the upper half of an f32
            given = [(rng.standard_normal(s).astype(np.float32).view(np.uint32) >> 16)
                     .astype(np.uint16).view(np.int16) for s in shapes]
            wide = [(g.view(np.uint16).astype(np.uint32) << 16).view(np.float32).astype(np.float64)
                    for g in given]
        else:
            dtype = {"f16": np.float16, "f64": np.float64}.get(kind, np.float32)
            given = [rng.standard_normal(s).astype(dtype) for s in shapes]
            wide = [g.astype(np.float64) for g in given]
        wide[0] = -wide[0] if computed else wide[0]
        wide[0] = np.swapaxes(wide[0], -1, -2) if across else wide[0]
        wide[0] = np.swapaxes(wide[0], 0, 1) if shares else wide[0]
        r = np.matmul(wide[0], np.swapaxes(wide[1], -1, -2) if transposed else wide[1])
        return given, [r.astype({"i32": np.int32, "f64": np.float64}.get(total, np.float32))]
    return Kernel(kernel(name, [("a", ta), ("b", tb)], [tc], body, ["%0"]), make,
                  tolerance={"i8": 0, "f64": 1e-12}.get(kind, 1e-5))


def dynamic_matmul():
    e = ", affine_map<()[s0] -> (s0, {})>"
    ta, aa = "tensor<?x40xf32>", f"tensor<?x40xf32{e.format(40)}>"
    tb, tc = "tensor<40x72xf32>", "tensor<?x72xf32>"
    ac = f"tensor<?x72xf32{e.format(72)}>"
    body = (f"    %s0 = exec.symbol 0\n    %e = tensor.empty(%s0) : {tc}\n"
            "    %c = arith.constant 0.0 : f32\n")
    body += generic("%z", 2, "pp", [], ("%e", tc),
                    "      linalg.yield %c : f32", "d0, d1")
    body += generic("%0", 3, "ppr", [("%a", ta, "d0, d2"), ("%b", tb, "d2, d1")],
                    ("%z", tc), MAC.format(t="f32"), "d0, d1")

    def make(rng, s):
        x = rng.standard_normal((s[0], 40), np.float32)
        y = rng.standard_normal((40, 72), np.float32)
        return [x, y], [x @ y]
    return Kernel(kernel("dynamic_matmul", [("a", f"{ta} as {aa}"), ("b", tb)],
                         [ac], body, ["%0"]), make,
                  [{0: 1}, {0: 64}, {0: 131}])


def convolution(name, groups=1, size=14, channels=16, filters=32, span=3,
                stride=2, pad=1):
    """Channels last, padding by a clamped index and a select."""
    out = (size + 2 * pad - span) // stride + 1
    per, each = channels // groups, filters // groups
    tx = f"tensor<2x{size}x{size}x{channels}xf32>"
    tp = f"tensor<2x{size + 2 * pad}x{size + 2 * pad}x{channels}xf32>"
    tw = f"tensor<{span}x{span}x{per}x{filters}xf32>"
    tr = f"tensor<2x{out}x{out}x{filters}xf32>"
    body = fill_empty("%pe", tp) + generic(
        "%p", 4, "pppp", [], ("%pe", tp),
        f"""      %n = linalg.index 0 : index
      %h = linalg.index 1 : index
      %w = linalg.index 2 : index
      %c = linalg.index 3 : index
      %k0 = arith.constant 0 : index
      %kp = arith.constant {pad} : index
      %kl = arith.constant {size - 1} : index
      %h1 = arith.subi %h, %kp : index
      %w1 = arith.subi %w, %kp : index
      %h2 = arith.maxsi %h1, %k0 : index
      %w2 = arith.maxsi %w1, %k0 : index
      %h3 = arith.minsi %h2, %kl : index
      %w3 = arith.minsi %w2, %kl : index
      %v = tensor.extract %x[%n, %h3, %w3, %c] : {tx}
      %a = arith.cmpi eq, %h1, %h3 : index
      %b = arith.cmpi eq, %w1, %w3 : index
      %ab = arith.andi %a, %b : i1
      %zero = arith.constant 0.0 : f32
      %s = arith.select %ab, %v, %zero : f32
      linalg.yield %s : f32""", "d0, d1, d2, d3") + fill("%z", tr, "0.0")
    h, w = f"d1 * {stride} + d4", f"d2 * {stride} + d5"
    if groups == 1:
        body += generic("%0", 7, "pppprrr",
                        [("%p", tp, f"d0, {h}, {w}, d6"),
                         ("%f", tw, "d4, d5, d6, d3")], ("%z", tr),
                        MAC.format(t="f32"), "d0, d1, d2, d3")
    else:  # a loop for the group and one in it
        bound = f"tensor<{groups}x{each}xf32>"
        body += fill_empty("%bound", bound) + generic(
            "%0", 8, "ppppprrr",
            [("%p", tp, f"d0, d1 * {stride} + d5, d2 * {stride} + d6, "
              f"d3 * {per} + d7"),
             ("%f", tw, f"d5, d6, d7, d3 * {each} + d4"),
             ("%bound", bound, "d3, d4")], ("%z", tr),
            MAC.format(t="f32"), f"d0, d1, d2, d3 * {each} + d4")

    def make(rng, _):
        x = rng.standard_normal((2, size, size, channels), np.float32)
        f = rng.standard_normal((span, span, per, filters), np.float32)
        p = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
        r = np.zeros((2, out, out, filters), np.float64)
        for i in range(span):
            for j in range(span):
                a = p[:, i:i + stride * out:stride, j:j + stride * out:stride]
                for g in range(groups):
                    r[..., g * each:(g + 1) * each] += (
                        a[:, :out, :out, g * per:(g + 1) * per].astype(
                            np.float64)
                        @ f[i, j, :, g * each:(g + 1) * each])
        return [x, f], [r.astype(np.float32)]
    return Kernel(kernel(name, [("x", tx), ("f", tw)], [tr], body, ["%0"]),
                  make)


def max_pool():
    tx, tr = "tensor<2x12x12x8xf32>", "tensor<2x6x6x8xf32>"
    body = fill("%z", tr, "0xFF800000") + fill_empty("%w", "tensor<2x2xf32>")
    body += generic("%0", 6, "pppprr",
                    [("%x", tx, "d0, d1 * 2 + d4, d2 * 2 + d5, d3"),
                     ("%w", "tensor<2x2xf32>", "d4, d5")], ("%z", tr),
                    "      %m = arith.maximumf %o0, %i0 : f32\n"
                    "      linalg.yield %m : f32", "d0, d1, d2, d3")

    def make(rng, _):
        x = rng.standard_normal((2, 12, 12, 8), np.float32)
        return [x], [x.reshape(2, 6, 2, 6, 2, 8).max((2, 4))]
    return Kernel(kernel("max_pool", [("x", tx)], [tr], body, ["%0"]), make)


def pool_padded():
    """A large window with a division of small numbers in its loop."""
    tx, tr = "tensor<50x40xf32>", "tensor<8x10xf32>"
    body = fill("%z", tr, "0xFF800000") + fill_empty("%w", "tensor<30x20xf32>")
    body += generic("%0", 4, "pprr", [("%w", "tensor<30x20xf32>", "d2, d3")],
                    ("%z", tr), f"""      %a = linalg.index 0 : index
      %b = linalg.index 1 : index
      %c = linalg.index 2 : index
      %d = linalg.index 3 : index
      %k3 = arith.constant 3 : index
      %k0 = arith.constant 0 : index
      %k49 = arith.constant 49 : index
      %k39 = arith.constant 39 : index
      %p = arith.muli %a, %k3 : index
      %q = arith.addi %p, %c : index
      %r = arith.subi %q, %k3 : index
      %s = arith.maxsi %r, %k0 : index
      %t = arith.minui %s, %k49 : index
      %u = arith.addi %b, %d : index
      %v = arith.minui %u, %k39 : index
      %x = tensor.extract %x[%t, %v] : {tx}
      %in = arith.cmpi ule, %r, %k49 : index
      %lowest = arith.constant 0xFF800000 : f32
      %y = arith.select %in, %x, %lowest : f32
      %m = arith.maximumf %o0, %y : f32
      linalg.yield %m : f32""".replace("%x = tensor", "%e = tensor").replace(
                        "%in, %x", "%in, %e"), "d0, d1")

    def make(rng, _):
        x = rng.standard_normal((50, 40), np.float32)
        p = np.pad(x, ((3, 4), (0, 0)), constant_values=-np.inf)
        return [x], [np.array([[p[3 * a:3 * a + 30, b:b + 20].max()
                                for b in range(10)] for a in range(8)],
                              np.float32)]
    return Kernel(kernel("pool_padded", [("x", tx)], [tr], body, ["%0"]), make)


def bfloat16():
    """bf16 as its bits: into f32, halved, and back."""
    ti = "tensor<500xi16>"
    body = fill_empty("%e", ti) + generic(
        "%0", 1, "p", [("%x", ti, "d0")], ("%e", ti),
        "      %b = arith.bitcast %i0 : i16 to bf16\n"
        "      %f = arith.extf %b : bf16 to f32\n"
        "      %c = arith.constant 0.3 : f32\n"
        "      %p = arith.mulf %f, %c : f32\n"
        "      %t = arith.truncf %p : f32 to bf16\n"
        "      %r = arith.bitcast %t : bf16 to i16\n"
        "      linalg.yield %r : i16", "d0")

    def make(rng, _):
        x = (rng.standard_normal(500).astype(np.float32).view(np.int32)
             >> 16).astype(np.int16)
        f = (x.astype(np.int32) << 16).view(np.float32) * np.float32(0.3)
        i = f.view(np.uint32).astype(np.uint64)
        r = ((i + 0x7FFF + ((i >> 16) & 1)) >> 16).astype(np.uint16)
        return [x], [r.view(np.int16)]
    return Kernel(kernel("bfloat16", [("x", ti)], [ti], body, ["%0"]), make)


def division():
    t = "tensor<300xi32>"
    body = fill_empty("%e", t) + generic(
        "%0", 1, "p", [("%x", t, "d0"), ("%y", t, "d0")], ("%e", t),
        "      %q = arith.divsi %i0, %i1 : i32\n"
        "      %r = arith.floordivsi %i0, %i1 : i32\n"
        "      %s = arith.subi %q, %r : i32\n"
        "      linalg.yield %s : i32", "d0")

    def make(rng, _):
        x = rng.integers(-100, 100, 300).astype(np.int32)
        y = rng.integers(1, 9, 300).astype(np.int32)
        return [x, y], [np.trunc(x / y).astype(np.int32) - x // y]
    return Kernel(kernel("division", [("x", t), ("y", t)], [t], body, ["%0"]),
                  make)


def kernels():
    from attention import attentions  # they build on what is here
    import dynamic
    from reduction import reductions
    result = {}
    for k in [elementwise(), runs("runs", 128, 4104), runs("runs_short", 1024, 516), mixed_types(), dynamic_elementwise(), transpose(),
              transposed("transposed", 2, 96, 200), transposed("transposed_edges", 3, 67, 131),
              transposed("transposed_f32", 1, 128, 72, "f32"),
              channels_last("channels_last", 2, 72, 14, 14),
              channels_last("channels_last_odd", 1, 40, 7, 9),
              gather(), constant_table(),
              matmul("matmul", 256, 256, 64), matmul("matmul_edges", 70, 45, 33),
              matmul("matmul_batch", 50, 64, 32, batch=3),
              matmul("matmul_transposed", 64, 128, 48, transposed=True),
              matmul("matmul_vector", 1, 100, 300, epilogue=False),
              matmul("matmul_small", 5, 7, 9), matmul_f16(), matmul_i8(),
              matrix_product("product_f16", "f16", 150, 136, 456, transposed=True),
              matrix_product("product_f16_edges", "f16", 37, 50, 43),
              matrix_product("product_f16_thin", "f16", 150, 6, 40, batch=48),
              matrix_product("product_f16_large", "f16", 256, 256, 64, batch=16),
              matrix_product("product_f16_across", "f16", 136, 264, 136, batch=16, across=True),
              matrix_product("product_f16_computed", "f16", 70, 136, 456, computed=True),
              matrix_product("product_f16_shares", "f16", 130, 136, 512, batch=4, shares=True),
              matrix_product("product_f16_bands", "f16", 1024, 1152, 40),
              matrix_product("product_bf16", "bf16", 64, 96, 64, transposed=True),
              matrix_product("product_f16_blocks", "f16", 72, 88, 72, batch=3),
              matrix_product("product_i8_blocks", "i8", 70, 80, 80),
              matrix_product("product_f64", "f64", 70, 40, 33),
              matrix_product("product_i8", "i8", 100, 72, 912, transposed=True),
              dynamic_matmul(), *dynamic.products(),
              convolution("convolution"),
              convolution("convolution_grouped", groups=4),
              convolution("convolution_groups", groups=2, size=28, channels=32,
                          filters=64),
              convolution("convolution_depthwise", groups=16, filters=16),
              convolution("convolution_large", size=28, channels=32,
                          filters=128, stride=1), max_pool(), pool_padded(),
              bfloat16(), division()] + reductions() + attentions():
        name = k.text[k.text.index("@") + 1:k.text.index("(")]
        result[name] = k
    return result


if __name__ == "__main__":
    print("\n".join(k.text for k in kernels().values()))
