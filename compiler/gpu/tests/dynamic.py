# dynamic.py - sample products of sizes that only the running model knows
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`products()` gives a list of Kernel, as kernels.py has them."""
import numpy as np
from kernels import Kernel, generic, kernel


def dynamic_product():
    """A batch of unknown size, so large that tiles are."""
    m, n, k = 136, 264, 200
    e = ", affine_map<()[s0] -> (s0, {})>"

    def types(x, y, kind):
        return f"tensor<?x{x}x{y}x{kind}>", f"tensor<?x{x}x{y}x{kind}{e.format(f'{x}, {y}')}>"

    (ta, aa), (tb, ab), (tc, ac) = types(m, k, "f16"), types(k, n, "f16"), types(m, n, "f32")
    body = (f"    %s0 = exec.symbol 0\n    %e = tensor.empty(%s0) : {tc}\n"
            "    %c = arith.constant 0.0 : f32\n")
    body += generic("%z", 3, "ppp", [], ("%e", tc), "      linalg.yield %c : f32", "d0, d1, d2")
    body += generic("%0", 4, "pppr", [("%a", ta, "d0, d1, d3"), ("%b", tb, "d0, d3, d2")], ("%z", tc),
                    "      %x = arith.extf %i0 : f16 to f32\n      %y = arith.extf %i1 : f16 to f32\n"
                    "      %p = arith.mulf %x, %y : f32\n      %s = arith.addf %o0, %p : f32\n"
                    "      linalg.yield %s : f32", "d0, d1, d2")

    def make(rng, s):
        x = rng.standard_normal((s[0], m, k)).astype(np.float16)
        y = rng.standard_normal((s[0], k, n)).astype(np.float16)
        return [x, y], [np.matmul(x.astype(np.float32), y.astype(np.float32))]
    return Kernel(kernel("dynamic_product", [("a", f"{ta} as {aa}"), ("b", f"{tb} as {ab}")], [ac], body, ["%0"]),
                  make, [{0: 1}, {0: 3}])


def dynamic_rows():
    """f16, rows of a and of the result of unknown number."""
    n, k = 136, 96
    e = ", affine_map<()[s0] -> (s0, {})>"
    ta, aa = f"tensor<?x{k}xf16>", f"tensor<?x{k}xf16{e.format(k)}>"
    tb, tc, ac = f"tensor<{k}x{n}xf16>", f"tensor<?x{n}xf32>", f"tensor<?x{n}xf32{e.format(n)}>"
    body = (f"    %s0 = exec.symbol 0\n    %e = tensor.empty(%s0) : {tc}\n"
            "    %c = arith.constant 0.0 : f32\n")
    body += generic("%z", 2, "pp", [], ("%e", tc), "      linalg.yield %c : f32", "d0, d1")
    body += generic("%0", 3, "ppr", [("%a", ta, "d0, d2"), ("%b", tb, "d2, d1")], ("%z", tc),
                    "      %x = arith.extf %i0 : f16 to f32\n      %y = arith.extf %i1 : f16 to f32\n"
                    "      %p = arith.mulf %x, %y : f32\n      %s = arith.addf %o0, %p : f32\n"
                    "      linalg.yield %s : f32", "d0, d1")

    def make(rng, s):
        x = rng.standard_normal((s[0], k)).astype(np.float16)
        y = rng.standard_normal((k, n)).astype(np.float16)
        return [x, y], [x.astype(np.float32) @ y.astype(np.float32)]
    return Kernel(kernel("dynamic_rows", [("a", f"{ta} as {aa}"), ("b", tb)], [ac], body, ["%0"]),
                  make, [{0: 1}, {0: 64}, {0: 203}])


def rows_of_loops(name, lines, n, k):
    """Rows along one or two loops of unknown size, b as [n, k]."""
    r = len(lines[0])
    d = [f"d{i}" for i in range(r + 2)]
    symbols = ", ".join(f"s{i}" for i in range(r))

    def types(last, kind):
        dims = "?x" * r
        return (f"tensor<{dims}{last}x{kind}>",
                f"tensor<{dims}{last}x{kind}, affine_map<()[{symbols}] -> ({symbols}, {last})>>")

    (ta, aa), (tc, ac), tb = types(k, "f16"), types(n, "f32"), f"tensor<{n}x{k}xf16>"
    body = "".join(f"    %s{i} = exec.symbol {i}\n" for i in range(r))
    body += (f"    %e = tensor.empty({', '.join(f'%s{i}' for i in range(r))}) : {tc}\n"
             "    %c = arith.constant 0.0 : f32\n")
    index = ", ".join(d[:-1])
    body += generic("%z", r + 1, "p" * (r + 1), [], ("%e", tc), "      linalg.yield %c : f32", index)
    body += generic("%0", r + 2, "p" * (r + 1) + "r",
                    [("%a", ta, ", ".join(d[:r] + d[-1:])), ("%b", tb, f"{d[r]}, {d[-1]}")], ("%z", tc),
                    "      %x = arith.extf %i0 : f16 to f32\n      %y = arith.extf %i1 : f16 to f32\n"
                    "      %p = arith.mulf %x, %y : f32\n      %s = arith.addf %o0, %p : f32\n"
                    "      linalg.yield %s : f32", index)

    def make(rng, s):
        x = rng.standard_normal([s[i] for i in range(r)] + [k]).astype(np.float16)
        y = rng.standard_normal((n, k)).astype(np.float16)
        return [x, y], [np.matmul(x.astype(np.float32), y.T.astype(np.float32))]
    return Kernel(kernel(name, [("a", f"{ta} as {aa}"), ("b", tb)], [ac], body, ["%0"]), make,
                  [dict(enumerate(given)) for given in lines])


def products():
    return [dynamic_product(), dynamic_rows(),
            rows_of_loops("rows_of_one_loop", [(1,), (150,)], 136, 200),
            rows_of_loops("rows_of_two_loops", [(3, 50), (1, 7)], 72, 192)]
