#!/usr/bin/env python3
# coefficients.py - computes the polynomials of Mathematics.cpp
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Prints Coefficients.h: `python3 coefficients.py > Coefficients.h` (needs
# mpmath). Each polynomial minimises the largest error relative to the function
# that it is a part of (Lawson's iteration on Chebyshev nodes); coefficients are
# rounded to the format one by one, lowest first, and the rest fitted again.

from mpmath import mp, mpf, matrix, lu_solve

mp.prec = 300


def nodes(a, b, count):
    return [(a + b) / 2 + (b - a) / 2 * mp.cos(mp.pi * (2 * k + 1) / (2 * count))
            for k in range(count)]


def solve(points, values, weights, powers):
    # Weighted least squares by normal equations; the precision allows it.
    n = len(powers)
    a, rhs = matrix(n, n), matrix(n, 1)
    for x, y, w in zip(points, values, weights):
        row = [x**p * w for p in powers]
        for i in range(n):
            rhs[i] += row[i] * y * w
            for j in range(n):
                a[i, j] += row[i] * row[j]
    return list(lu_solve(a, rhs))


def minimax(points, values, weights, powers):
    lawson = [mpf(1)] * len(points)
    for _ in range(12):
        total = [w * mp.sqrt(l) for w, l in zip(weights, lawson)]
        c = solve(points, values, total, powers)
        errors = [abs(sum(k * x**p for k, p in zip(c, powers)) - y) * w
                  for x, y, w in zip(points, values, weights)]
        scale = max(errors)
        if scale == 0:
            break
        lawson = [l * (e / scale + mpf(1) / 1000) for l, e in zip(lawson, errors)]
        top = max(lawson)
        lawson = [l / top for l in lawson]
    return c


def rounded(x, bits):
    m, e = mp.frexp(x)
    return mp.ldexp(mp.nint(mp.ldexp(m, bits)), int(e) - bits)


def fit(f, weight, a, b, degree, bits):
    points = nodes(mpf(a), mpf(b), 4 * (degree + 1) + 1)
    values = [f(x) for x in points]
    weights = [weight(x) for x in points]
    result = []
    for p in range(degree + 1):
        c = minimax(points, values, weights, list(range(p, degree + 1)))
        k = rounded(c[0], bits)
        result.append(k)
        values = [v - k * x**p for v, x in zip(values, points)]
    error = max(abs(v) * w for v, w in zip(values, weights))
    return result, error


def odd(f):
    """P with f(x) = x + x^3 P(x^2), as a function of z = x^2."""
    def p(z):
        x = mp.sqrt(z)
        return (f(x) - x) / x**3
    def w(z):
        x = mp.sqrt(z)
        return abs(x**3 / f(x))
    return p, w


def log_rest(z):
    s = mp.sqrt(z)
    return (2 * mp.atanh(s) / s - 2) / z


def emit(name, f, weight, a, b, degrees):
    for suffix, bits, degree in (('32', 24, degrees[0]), ('64', 53, degrees[1])):
        if degree is None:
            continue
        c, error = fit(f, weight, a, b, degree, bits)
        print(f'/// Relative error 2^{float(mp.log(error, 2)):.1f}.')
        print(f'inline constexpr double {name}{suffix}[] = {{')
        print('    ' + ', '.join(float(k).hex() for k in c) + '};')


print('''//===- Coefficients.h - polynomials of Mathematics.cpp ----------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Written by coefficients.py. Lowest power first; 32 and 64 are the formats
// that the numbers are exact in.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_COMPILER_LOWERING_COEFFICIENTS_H
#define AICC_COMPILER_LOWERING_COEFFICIENTS_H

// clang-format off
namespace aicc::lowering::coefficients {
''')
half = mp.log(2) / 2 * mpf('1.001')
emit('exp', lambda r: (mp.exp(r) - 1 - r) / r**2, lambda r: r**2 / mp.exp(r), -half, half, (4, 9))
s = (mp.sqrt(2) - 1) / (mp.sqrt(2) + 1)
tiny = mpf(2)**-60
emit('log', log_rest, lambda z: z / 2, tiny, s**2, (3, 7))
quarter = mp.pi / 4 * mpf('1.0001')
p, w = odd(mp.sin)
emit('sin', p, w, tiny, quarter**2, (2, 6))
emit('cos', lambda z: (mp.cos(mp.sqrt(z)) - 1 + z / 2) / z**2, lambda z: z**2 / mp.cos(mp.sqrt(z)), tiny, quarter**2, (2, 6))
p, w = odd(mp.tanh)
emit('tanh', p, w, tiny, mpf('0.625')**2, (5, 12))
p, w = odd(mp.sinh)
emit('sinh', p, w, tiny, mpf(1), (3, 7))
p, w = odd(mp.asin)
emit('asin', p, w, tiny, mpf('0.25'), (5, 13))
p, w = odd(mp.atan)
emit('atan', p, w, tiny, mpf(1), (9, 21))
emit('erf', lambda z: mp.erf(mp.sqrt(z)) / mp.sqrt(z) - 1, lambda z: mp.sqrt(z) / mp.erf(mp.sqrt(z)), tiny, mpf(1), (None, 13))
emit('erfTail', lambda t: -mp.log(mp.erfc(t + 1)), lambda t: mp.erfc(t + 1), mpf(0), mpf(5), (None, 22))
print('''
} // namespace aicc::lowering::coefficients
// clang-format on

#endif // AICC_COMPILER_LOWERING_COEFFICIENTS_H''')
