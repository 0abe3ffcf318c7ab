//===- Mathematics.cpp - the project's own elementary functions -----------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// f32: at most 2 ulp everywhere, infinities, NaN, signed zeros and denormals
// as IEEE 754 and C's annex F say. f64: a few ulp. f16 and bf16 are computed
// in f32. Sources of the algorithms: fdlibm (reductions and corrections of log,
// asin, atan, sine), Payne and Hanek (large arguments), Juffa (erf).
//
//===----------------------------------------------------------------------===//

#include "compiler/lowering/Coefficients.h"
#include "compiler/lowering/HalfPrecision.h"
#include "compiler/lowering/Lowering.h"
#include "compiler/lowering/Real.h"

#include "mlir/IR/Matchers.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"

using namespace mlir;
using namespace aicc::lowering;
namespace k = aicc::lowering::coefficients;

namespace {

using Pair = Real::Pair;

//===----------------------------------------------------------------------===//
// Exponentials
//===----------------------------------------------------------------------===//

/// (1 + r + r^2 q(r)) 2^n for |r| <= ln(2) / 2; n may leave the range of
/// exponents: the scaling is done in two steps, which round only once.
Value scaledExp(Real &f, Value r, Value n) {
  Value q = f.poly(r, k::exp32, k::exp64);
  Value e = f.add(f.fma(f.mul(r, r), q, r), f.c(1));
  Value half = f.shrs(n, f.i(1));
  return f.mul(f.mul(e, f.powerOfTwo(half)), f.powerOfTwo(f.isub(n, half)));
}

/// The nearest integer of x, as a float and as an integer.
std::pair<Value, Value> nearest(Real &f, Value product, Value factor,
                                bool scale) {
  // Adding this leaves no bits for a fraction; the last bits are the integer.
  Value magic = f.c(f.pick(0x1.8p23, 0x1.8p52));
  Value t = scale ? f.fma(product, factor, magic) : f.add(product, magic);
  return {f.sub(t, magic), f.isub(f.bits(t), f.bits(magic))};
}

/// exp(x) * 2^shift.
Value exp(Real &f, Value x, int shift = 0) {
  x = f.clamp(x, f.pick(-106, -748), f.pick(90, 712));
  auto [n, bits] = nearest(f, x, f.c(0x1.71547652b82fep0), true);
  Value r = f.fma(n, f.c(f.pick(-0x1.62e4p-1, -0x1.62e42feep-1)), x);
  r = f.fma(n, f.c(f.pick(-0x1.7f7d1cp-20, -0x1.a39ef35793c76p-33)), r);
  if (shift)
    bits = f.iadd(bits, f.i(shift));
  return scaledExp(f, r, bits);
}

/// 2^(x.hi + x.lo).
Value exp2(Real &f, Pair x) {
  Value hi = f.clamp(x.hi, f.pick(-160, -1100), f.pick(130, 1030));
  auto [n, bits] = nearest(f, hi, {}, false);
  Value r = f.sub(hi, n);
  if (x.lo) {
    // Beyond the limits the low part may be anything.
    r = f.add(r, f.select(f.eq(hi, x.hi), x.lo, f.c(0)));
    r = f.select(f.isNan(x.hi), x.hi, r);
  }
  return scaledExp(f, f.mul(r, f.c(0x1.62e42fefa39efp-1)), bits);
}

//===----------------------------------------------------------------------===//
// Logarithms
//===----------------------------------------------------------------------===//

/// x = 2^exponent * m with m in [sqrt(1/2), sqrt(2)), for x > 0.
struct Parts {
  Value exponent; // float
  Value m;
};
Parts split(Real &f, Value x) {
  Value isTiny = f.lt(x, f.c(f.pick(0x1p-126, 0x1p-1022)));
  x = f.select(isTiny, f.mul(x, f.c(f.pick(0x1p24, 0x1p54))), x);
  Value one = f.bits(f.c(1));
  Value root = f.bits(f.c(0x1.6a09e667f3bcdp-1));
  Value moved = f.iadd(f.bits(x), f.isub(one, root));
  Value exponent = f.isub(f.shrs(moved, f.i(f.mantissa)), f.i(f.bias));
  Value mask = f.i((int64_t(1) << f.mantissa) - 1);
  Value m = f.real(f.iadd(f.iand(moved, mask), root));
  Value shift = f.select(isTiny, f.c(f.pick(-24, -54)), f.c(0));
  return {f.add(f.toReal(exponent), shift), m};
}

/// What logarithms have in common at the edges of their domain.
Value logEdges(Real &f, Value x, Value result) {
  result = f.select(f.eq(x, f.inf()), x, result);
  result = f.select(f.eq(x, f.c(0)), f.neg(f.inf()), result);
  return f.select(f.cmp(Real::P::ULT, x, f.c(0)), f.nan(), result);
}

/// exponent * ln(2) + log(1 + g) + low.
Value logOf(Real &f, Value exponent, Value g, Value low) {
  Value s = f.div(g, f.add(g, f.c(2)));
  Value z = f.mul(s, s);
  Value rest = f.mul(z, f.poly(z, k::log32, k::log64));
  Value half = f.mul(f.mul(f.c(0.5), g), g);
  Value lnHi = f.c(f.pick(0x1.62e3p-1, 0x1.62e42feep-1));
  Value lnLo = f.c(f.pick(0x1.2fefa4p-17, 0x1.a39ef35793c76p-33));
  Value correction = f.mul(exponent, lnLo);
  if (low)
    correction = f.add(correction, low);
  Value small = f.fma(s, f.add(half, rest), correction);
  return f.sub(f.mul(exponent, lnHi), f.sub(f.sub(half, small), g));
}

/// log(x) + twos * ln(2).
Value log(Real &f, Value x, int twos = 0) {
  Parts parts = split(f, x);
  if (twos)
    parts.exponent = f.add(parts.exponent, f.c(twos));
  return logEdges(f, x, logOf(f, parts.exponent, f.sub(parts.m, f.c(1)), {}));
}

/// log(1 + x.hi + x.lo).
Value log1p(Real &f, Pair x) {
  Pair u = f.sum(f.c(1), x.hi);
  Parts parts = split(f, u.hi);
  Value isNear = f.eq(parts.exponent, f.c(0));
  Value g = f.select(isNear, x.hi, f.sub(parts.m, f.c(1)));
  Value low = f.select(isNear, f.c(0), u.lo);
  if (x.lo)
    low = f.add(low, x.lo);
  Value result = logOf(f, parts.exponent, g, f.div(low, u.hi));
  result = logEdges(f, u.hi, result);
  return f.select(f.eq(x.hi, f.c(0)), x.hi, result);
}

/// log2(x) for x > 0 with about 10 bits more than the format has.
Pair log2(Real &f, Value x) {
  Parts parts = split(f, x);
  Value g = f.sub(parts.m, f.c(1));
  Pair u = f.sum(parts.m, f.c(1));
  // s = g / u
  Value s = f.div(g, u.hi);
  Value sLo = f.div(f.fnma(s, u.lo, f.fnma(s, u.hi, g)), u.hi);
  Pair z = f.product(s, s);
  z.lo = f.fma(f.add(s, s), sLo, z.lo);
  // log(m) = 2 s + s^3 P(s^2)
  llvm::ArrayRef<double> all =
      f.isDouble ? llvm::ArrayRef<double>(k::log64) : k::log32;
  Pair p = f.fastSum(f.c(all[0]), f.mul(z.hi, f.poly(z.hi, all.drop_front())));
  Pair cube = f.product(s, z.hi);
  cube.lo = f.add(cube.lo, f.fma(s, z.lo, f.mul(sLo, z.hi)));
  Pair rest = f.product(cube.hi, p.hi);
  rest.lo = f.add(rest.lo, f.fma(cube.hi, p.lo, f.mul(cube.lo, p.hi)));
  Pair ln = f.fastSum(f.add(s, s), rest.hi);
  ln.lo = f.add(ln.lo, f.add(f.add(sLo, sLo), rest.lo));
  // times log2(e)
  Value e = f.c(f.pick(0x1.715476p0, 0x1.71547652b82fep0));
  Value eLo = f.c(f.pick(0x1.4ae0cp-26, 0x1.777d0ffda0d24p-56));
  Pair scaled = f.product(ln.hi, e);
  scaled.lo = f.add(scaled.lo, f.fma(ln.hi, eLo, f.mul(ln.lo, e)));
  Pair result = f.fastSum(parts.exponent, scaled.hi);
  result.lo = f.add(result.lo, scaled.lo);
  return result;
}

Value power(Real &f, Value x, Value y) {
  Value base = f.abs(x);
  Pair l = log2(f, base);
  l.hi = logEdges(f, base, l.hi);
  l.lo = f.select(f.lt(f.abs(l.hi), f.inf()), l.lo, f.c(0));
  Pair p = f.product(y, l.hi);
  p.lo = f.fma(y, l.lo, p.lo);
  Value result = exp2(f, p);
  // (-1)^inf is 1, so is 1^anything.
  Value isNumber = f.cmp(Real::P::ORD, y, y);
  result = f.select(f.both(f.eq(base, f.c(1)), isNumber), f.c(1), result);
  Value isInteger = f.eq(f.floor(y), y);
  Value half = f.mul(y, f.c(0.5));
  Value isOdd = f.both(isInteger, f.cmp(Real::P::UNE, f.floor(half), half));
  Value isNegative = f.cmp(Real::I::slt, f.bits(x), f.i(0));
  result = f.select(f.both(isNegative, isOdd), f.neg(result), result);
  Value isReal = f.either(isInteger, f.eq(base, f.inf()));
  Value below = f.lt(x, f.c(0));
  Value undefined = f.both(below, f.ixor(isReal, f.i(isReal.getType(), 1)));
  result = f.select(undefined, f.nan(), result);
  Value isOne = f.either(f.eq(x, f.c(1)), f.eq(y, f.c(0)));
  return f.select(isOne, f.c(1), result);
}

//===----------------------------------------------------------------------===//
// Sine, cosine, tangent
//===----------------------------------------------------------------------===//

/// |x| = quadrant * pi / 2 + r, |r| <= pi / 4.
struct Reduced {
  Value quadrant; // i32 or i64, modulo 4
  Pair r;
};

/// Payne and Hanek: multiplies by the bits of 2 / pi that matter.
Reduced reduceSingle(Real &f, Value x) {
  Type wide = f.like(f.b.getI64Type());
  auto w = [&](int64_t value) { return f.i(wide, value); };
  auto widen = [&](Value v) -> Value {
    return arith::ExtUIOp::create(f.b, wide, v);
  };
  // 26 zeros, then the bits of 2 / pi.
  static constexpr uint32_t words[] = {0x00000028, 0xbe60db93, 0x91054a7f,
                                       0x09d5f47d, 0x4d377036, 0xd8a5664f,
                                       0x10e4107f, 0x9458eaf7};
  Value bits = f.bits(x);
  Value m = widen(f.ior(f.iand(bits, f.i(0x7fffff)), f.i(0x800000)));
  // |x| = m 2^(position - 24); arguments below pi / 4 are not reduced.
  Value position = f.isub(f.shru(bits, f.i(23)), f.i(126));
  position = f.select(f.cmp(Real::I::slt, position, f.i(0)), f.i(0), position);
  Value word = f.shru(position, f.i(5));
  Value shift = widen(f.iand(position, f.i(31)));
  Value window[4];
  for (int j = 0; j < 4; ++j) {
    Value chosen = w(words[j]);
    for (int i = 1; i < 5; ++i)
      chosen = f.select(f.cmp(Real::I::eq, word, f.i(i)),
                        w(i + j < 8 ? words[i + j] : 0), chosen);
    window[j] = chosen;
  }
  auto shifted = [&](int j) {
    Value joined = f.ior(f.shl(window[j], w(32)), window[j + 1]);
    return f.shru(f.shl(joined, shift), w(32));
  };
  // The fraction of x / (2 pi) in 64 bits: two of the quadrant, 62 within it.
  Value fraction = f.shl(f.imul(m, shifted(0)), w(32));
  fraction = f.iadd(fraction, f.imul(m, shifted(1)));
  fraction = f.iadd(fraction, f.shru(f.imul(m, shifted(2)), w(32)));
  Value quadrant = f.shru(f.iadd(fraction, w(int64_t(1) << 61)), w(62));
  Value rest = f.isub(fraction, f.shl(quadrant, w(62)));
  Value hi = f.toReal(rest);
  Value back = arith::FPToSIOp::create(f.b, wide, hi);
  Value lo = f.toReal(f.isub(rest, back));
  // times (pi / 2) 2^-62
  Value unit = f.c(0x1.921fb6p-62), unitLo = f.c(-0x1.777a5cp-87);
  Pair r = f.product(hi, unit);
  r.lo = f.add(r.lo, f.fma(hi, unitLo, f.mul(lo, unit)));
  Value isSmall = f.le(x, f.c(0x1.921fb4p-1));
  Value number = arith::TruncIOp::create(f.b, f.integer, quadrant);
  return {f.select(isSmall, f.i(0), number),
          {f.select(isSmall, x, r.hi), f.select(isSmall, f.c(0), r.lo)}};
}

/// Cody and Waite with three parts of pi / 2: good to |x| of about 2^30.
Reduced reduceDouble(Real &f, Value x) {
  Value n = f.round(f.mul(x, f.c(0x1.45f306dc9c883p-1)));
  Value r = f.fnma(n, f.c(0x1.921fb54442d18p0), x);
  Pair next = f.product(n, f.c(0x1.1a62633145c07p-54));
  Pair result = f.sum(r, f.neg(next.hi));
  result.lo = f.sub(result.lo, next.lo);
  result.lo = f.fnma(n, f.c(-0x1.f1976b7ed8fbcp-110), result.lo);
  Value safe = f.select(f.lt(f.abs(n), f.c(0x1p62)), n, f.c(0));
  return {arith::FPToSIOp::create(f.b, f.integer, safe), result};
}

Reduced reduce(Real &f, Value x) {
  return f.isDouble ? reduceDouble(f, x) : reduceSingle(f, x);
}

Pair sineOf(Real &f, Pair r) {
  Value z = f.mul(r.hi, r.hi);
  Value p = f.poly(z, k::sin32, k::sin64);
  // r + (r^3 p + lo cos(r))
  Value low = f.fnma(f.mul(f.c(0.5), z), r.lo, r.lo);
  return f.fastSum(r.hi, f.fma(f.mul(r.hi, z), p, low));
}

Pair cosineOf(Real &f, Pair r) {
  Value z = f.mul(r.hi, r.hi);
  Value p = f.poly(z, k::cos32, k::cos64);
  // 1 - z / 2 with what that rounds away, + z^2 p - r lo
  Value half = f.mul(f.c(0.5), z);
  Value w = f.sub(f.c(1), half);
  Value lost = f.sub(f.sub(f.c(1), w), half);
  Value rest = f.fnma(r.hi, r.lo, f.fma(f.mul(z, z), p, lost));
  return f.fastSum(w, rest);
}

Value bitSet(Real &f, Value number, int64_t bit) {
  return f.cmp(Real::I::ne, f.iand(number, f.i(bit)), f.i(0));
}

Value finiteOnly(Real &f, Value x, Value result) {
  return f.select(f.lt(f.abs(x), f.inf()), result, f.nan());
}

Value sine(Real &f, Value x) {
  Reduced reduced = reduce(f, f.abs(x));
  Value result = f.select(bitSet(f, reduced.quadrant, 1),
                          cosineOf(f, reduced.r).hi, sineOf(f, reduced.r).hi);
  result = f.select(bitSet(f, reduced.quadrant, 2), f.neg(result), result);
  Value isNegative = f.cmp(Real::I::slt, f.bits(x), f.i(0));
  return finiteOnly(f, x, f.select(isNegative, f.neg(result), result));
}

Value cosine(Real &f, Value x) {
  Reduced reduced = reduce(f, f.abs(x));
  Value next = f.iadd(reduced.quadrant, f.i(1));
  Value result = f.select(bitSet(f, reduced.quadrant, 1),
                          sineOf(f, reduced.r).hi, cosineOf(f, reduced.r).hi);
  result = f.select(bitSet(f, next, 2), f.neg(result), result);
  return finiteOnly(f, x, result);
}

Value tangent(Real &f, Value x) {
  Reduced reduced = reduce(f, f.abs(x));
  Pair sin = sineOf(f, reduced.r), cos = cosineOf(f, reduced.r);
  Value isOdd = bitSet(f, reduced.quadrant, 1);
  // sin / cos, or -cos / sin, with what the quotient lost.
  Pair above = {f.select(isOdd, f.neg(cos.hi), sin.hi),
                f.select(isOdd, f.neg(cos.lo), sin.lo)};
  Pair below = {f.select(isOdd, sin.hi, cos.hi),
                f.select(isOdd, sin.lo, cos.lo)};
  Value q = f.div(above.hi, below.hi);
  Value rest =
      f.add(f.fnma(q, below.hi, above.hi), f.fnma(q, below.lo, above.lo));
  Value result = f.add(q, f.div(rest, below.hi));
  Value isNegative = f.cmp(Real::I::slt, f.bits(x), f.i(0));
  return finiteOnly(f, x, f.select(isNegative, f.neg(result), result));
}

//===----------------------------------------------------------------------===//
// Inverse trigonometric functions
//===----------------------------------------------------------------------===//

constexpr double halfPi = 0x1.921fb54442d18p0;

Value halfPiHi(Real &f) { return f.c(f.pick(0x1.921fb6p0, halfPi)); }
Value halfPiLo(Real &f) {
  return f.c(f.pick(-0x1.777a5cp-25, 0x1.1a62633145c07p-54));
}

/// z p(z) of asin(x) = x + x z p(z), and sqrt(z) as a pair.
struct ArcParts {
  Value small, s, sLo;
};
ArcParts arcParts(Real &f, Value z) {
  Value s = f.sqrt(z);
  Value lost = f.div(f.fnma(s, s, z), f.add(s, s));
  return {f.mul(z, f.poly(z, k::asin32, k::asin64)), s,
          f.select(f.eq(z, f.c(0)), f.c(0), lost)};
}

Value arcSine(Real &f, Value x) {
  Value a = f.abs(x), isSmall = f.le(a, f.c(0.5));
  Value z = f.select(isSmall, f.mul(a, a), f.mul(f.sub(f.c(1), a), f.c(0.5)));
  ArcParts parts = arcParts(f, z);
  Value inner = f.fma(a, parts.small, a);
  // pi / 2 - 2 asin(sqrt((1 - a) / 2))
  Value w = f.fma(parts.s, parts.small, parts.sLo);
  Value twice = f.sub(f.add(w, w), halfPiLo(f));
  Pair rest = f.fastSum(halfPiHi(f), f.neg(f.add(parts.s, parts.s)));
  Value outer = f.add(rest.hi, f.sub(rest.lo, twice));
  return f.copySign(f.select(isSmall, inner, outer), x);
}

Value arcCosine(Real &f, Value x) {
  Value a = f.abs(x), isSmall = f.le(a, f.c(0.5));
  Value z = f.select(isSmall, f.mul(a, a), f.mul(f.sub(f.c(1), a), f.c(0.5)));
  ArcParts parts = arcParts(f, z);
  // pi / 2 - asin(x)
  Pair middle = f.fastSum(halfPiHi(f), f.neg(x));
  Value inner =
      f.add(middle.hi, f.add(middle.lo, f.fnma(x, parts.small, halfPiLo(f))));
  // 2 asin(s), or pi minus it
  Value w = f.fma(parts.s, parts.small, parts.sLo);
  Value near = f.add(parts.s, w);
  Pair far = f.fastSum(halfPiHi(f), f.neg(parts.s));
  Value beyond = f.add(far.hi, f.add(far.lo, f.sub(halfPiLo(f), w)));
  Value outer = f.select(f.lt(x, f.c(0)), beyond, near);
  return f.select(isSmall, inner, f.add(outer, outer));
}

/// atan(t) for 0 <= t <= 1; `beyond` says to return pi / 2 - atan(t).
Value arcTangentOf(Real &f, Value t, Value tLo, Value beyond) {
  Value z = f.mul(t, t);
  Value p = f.mul(f.mul(t, z), f.poly(z, k::atan32, k::atan64));
  if (tLo)
    p = f.add(p, f.div(tLo, f.add(z, f.c(1))));
  Value direct = f.add(t, p);
  Pair rest = f.fastSum(halfPiHi(f), f.neg(t));
  Value other = f.add(rest.hi, f.add(rest.lo, f.sub(halfPiLo(f), p)));
  return f.select(beyond, other, direct);
}

Value arcTangent(Real &f, Value x) {
  Value a = f.abs(x), beyond = f.gt(a, f.c(1));
  Value t = f.select(beyond, f.div(f.c(1), a), a);
  return f.copySign(arcTangentOf(f, t, {}, beyond), x);
}

Value arcTangent2(Real &f, Value y, Value x) {
  Value ax = f.abs(x), ay = f.abs(y), steep = f.gt(ay, ax);
  Value large = f.select(steep, ay, ax), small = f.select(steep, ax, ay);
  Value t = f.div(small, large);
  t = f.select(f.eq(large, f.c(0)), f.c(0), t);
  t = f.select(f.eq(small, f.inf()), f.c(1), t);
  // What the division lost, where it can be told.
  Value lost = f.div(f.fnma(t, large, small), large);
  Value exact = f.both(f.gt(large, f.c(f.pick(0x1p-60, 0x1p-500))),
                       f.lt(large, f.c(f.pick(0x1p100, 0x1p1000))));
  exact = f.both(exact, f.gt(t, f.c(f.pick(0x1p-60, 0x1p-500))));
  Value angle = arcTangentOf(f, t, f.select(exact, lost, f.c(0)), steep);
  Value isLeft = f.cmp(Real::I::slt, f.bits(x), f.i(0));
  Value pi = f.c(f.pick(0x1.921fb6p1, halfPi * 2));
  Value piLo = f.c(f.pick(-0x1.777a5cp-24, 0x1.1a62633145c07p-53));
  Pair turned = f.fastSum(pi, f.neg(angle));
  angle = f.select(isLeft, f.add(turned.hi, f.add(turned.lo, piLo)), angle);
  angle = f.copySign(angle, y);
  return f.select(f.either(f.isNan(x), f.isNan(y)), f.nan(), angle);
}

//===----------------------------------------------------------------------===//
// Hyperbolic functions
//===----------------------------------------------------------------------===//

Value oddPoly(Real &f, Value x, llvm::ArrayRef<double> narrow,
              llvm::ArrayRef<double> wide) {
  Value z = f.mul(x, x);
  return f.fma(f.mul(x, z), f.poly(z, narrow, wide), x);
}

Value hyperbolicTangent(Real &f, Value x) {
  Value a = f.abs(x);
  Value e = exp(f, f.add(a, a));
  Value large = f.sub(f.c(1), f.div(f.c(2), f.add(e, f.c(1))));
  // Beyond the clamp the polynomial is not used, but must not overflow.
  Value small = oddPoly(f, f.clamp(a, 0, 1), k::tanh32, k::tanh64);
  Value result = f.select(f.lt(a, f.c(0.625)), small, large);
  return f.copySign(result, x);
}

Value hyperbolicSine(Real &f, Value x) {
  Value a = f.abs(x), half = exp(f, a, -1);
  Value large = f.sub(half, f.div(f.c(0.25), half));
  Value small = oddPoly(f, f.clamp(a, 0, 1), k::sinh32, k::sinh64);
  return f.copySign(f.select(f.lt(a, f.c(1)), small, large), x);
}

Value hyperbolicCosine(Real &f, Value x) {
  Value half = exp(f, f.abs(x), -1);
  return f.add(half, f.div(f.c(0.25), half));
}

Value arcHyperbolicSine(Real &f, Value x) {
  Value a = f.abs(x), isLarge = f.gt(a, f.c(f.pick(0x1p13, 0x1p28)));
  Value b = f.select(isLarge, f.c(1), a);
  Value square = f.mul(b, b);
  // log1p(b + b^2 / (1 + sqrt(1 + b^2)))
  Value root = f.sqrt(f.add(square, f.c(1)));
  Value t = f.div(square, f.add(root, f.c(1)));
  Value result = f.select(isLarge, log(f, a, 1), log1p(f, f.fastSum(b, t)));
  return f.copySign(result, x);
}

Value arcHyperbolicCosine(Real &f, Value x) {
  Value isLarge = f.gt(x, f.c(f.pick(0x1p13, 0x1p28)));
  Value t = f.sub(f.select(isLarge, f.c(2), x), f.c(1));
  // log1p(t + sqrt(2 t + t^2))
  Value root = f.sqrt(f.fma(t, t, f.add(t, t)));
  Value result = f.select(isLarge, log(f, x, 1), log1p(f, f.sum(root, t)));
  return f.select(f.lt(x, f.c(1)), f.nan(), result);
}

Value arcHyperbolicTangent(Real &f, Value x) {
  Value a = f.abs(x), twice = f.add(a, a);
  // log1p(2 a / (1 - a)) / 2
  Pair d = f.fastSum(f.c(1), f.neg(a));
  Value q = f.div(twice, d.hi);
  Value low = f.div(f.fnma(q, d.lo, f.fnma(q, d.hi, twice)), d.hi);
  low = f.select(f.lt(f.abs(q), f.inf()), low, f.c(0));
  // With tiny a the quotient has lost nothing that counts.
  low = f.select(f.gt(a, f.c(f.pick(0x1p-40, 0x1p-300))), low, f.c(0));
  Value result = f.mul(f.c(0.5), log1p(f, {q, low}));
  return f.copySign(result, x);
}

//===----------------------------------------------------------------------===//
// Error function
//===----------------------------------------------------------------------===//

Value errorFunction(Real &f, Value x) {
  Value a = f.abs(x);
  if (f.isDouble) {
    Value isSmall = f.lt(a, f.c(1));
    Value z = f.select(isSmall, f.mul(a, a), f.c(1));
    Value small = f.fma(a, f.poly(z, k::erf64), a);
    // 1 - exp(-p(a - 1)): p is -log(erfc).
    Value t = f.sub(f.clamp(a, 1, 6), f.c(1));
    Value tail = f.sub(f.c(1), exp(f, f.neg(f.poly(t, k::erfTail64))));
    return f.copySign(f.select(isSmall, small, tail), x);
  }
  // The two polynomials are N. Juffa's.
  Value t = f.clamp(a, 0, 4), s = f.mul(t, t);
  Value r = f.fma(f.c(-0x1.220000p-16), t, f.c(0x1.91cfb2p-12));
  Value u = f.fma(f.c(-0x1.fd1438p-9), t, f.c(0x1.8d6342p-6));
  r = f.fma(r, s, u);
  r = f.fma(r, t, f.c(-0x1.b55cb8p-4));
  r = f.fma(r, t, f.c(-0x1.450aa0p-1));
  r = f.fma(r, t, f.c(-0x1.079d0cp-3));
  r = f.fma(r, t, f.neg(t));
  Value large = f.copySign(f.sub(f.c(1), exp(f, r)), x);
  Value p = f.poly(s, {0x1.06eba8p-3, -0x1.812700p-2, 0x1.ce1c44p-4,
                       -0x1.b691b2p-6, 0x1.471a58p-8, -0x1.38e000p-11});
  Value small = f.fma(p, x, x);
  return f.select(f.gt(t, f.c(0.927734375)), large, small);
}

//===----------------------------------------------------------------------===//
// Remainder
//===----------------------------------------------------------------------===//

/// fmod by long division: each step takes off a multiple of the divisor with a
/// quotient of few enough bits that nothing is rounded.
Value remainder(Real &f, Value x, Value y) {
  Value r = f.abs(x), by = f.abs(y);
  int kept = f.isDouble ? 50 : 21, stage = f.isDouble ? 700 : 96;
  Value mask = f.i(-(int64_t(1) << (f.mantissa - kept)));
  auto steps = [&](Value divisor, int bits) {
    for (int done = 0; done < bits; done += kept - 1) {
      Value q = f.trunc(f.real(f.iand(f.bits(f.div(r, divisor)), mask)));
      Value next = f.fnma(q, divisor, r);
      // An infinite divisor, or quotient, takes nothing off.
      Value valid = f.lt(f.abs(next), f.inf());
      r = f.select(valid, next, r);
    }
  };
  // First by large multiples of y, so that quotients stay finite.
  Value scale = f.c(std::ldexp(1.0, stage));
  SmallVector<Value> divisors = {by};
  for (int reach = stage; reach < (f.isDouble ? 2100 : 278); reach += stage)
    divisors.push_back(f.mul(divisors.back(), scale));
  for (Value divisor : llvm::reverse(divisors))
    steps(divisor, stage + 2);
  // The last quotient may have been one too large.
  r = f.select(f.lt(r, f.c(0)), f.add(r, by), r);
  r = f.select(f.ge(r, by), f.sub(r, by), r);
  Value result = f.copySign(r, x);
  // x / 0, inf / y and NaN are NaN; x / inf is x.
  result =
      f.select(f.both(f.eq(by, f.inf()), f.lt(f.abs(x), f.inf())), x, result);
  Value valid = f.both(f.lt(f.abs(x), f.inf()), f.gt(by, f.c(0)));
  return f.select(valid, result, f.nan());
}

//===----------------------------------------------------------------------===//
// Patterns
//===----------------------------------------------------------------------===//

bool isFloat(Type type) { return isa<FloatType>(getElementTypeOrSelf(type)); }

/// Replaces an operation by what `expand` writes, narrow floats in f32.
template <typename Op> struct Expand : OpRewritePattern<Op> {
  using Function = Value (*)(Real &, ValueRange);
  Expand(MLIRContext *context, Function expand)
      : OpRewritePattern<Op>(context), expand(expand) {}

  LogicalResult matchAndRewrite(Op op,
                                PatternRewriter &rewriter) const override {
    Type type = op.getType();
    if (!isFloat(type) || isa<TensorType>(type))
      return failure();
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    SmallVector<Value> args(op->getOperands());
    unsigned width = getElementTypeOrSelf(type).getIntOrFloatBitWidth();
    if (width > 64)
      return failure();
    Type wide = type;
    if (width < 32) {
      wide = b.getF32Type();
      if (auto vector = dyn_cast<VectorType>(type))
        wide = vector.clone(wide);
      for (Value &arg : args)
        arg = extend(b, arg, wide);
    }
    Real f(b, wide);
    Value result = expand(f, args);
    if (wide != type)
      result = truncate(b, result, type);
    rewriter.replaceOp(op, result);
    return success();
  }

  Function expand;
};

/// Maxima and minima as one comparison and selections, which every target has;
/// the order of the operands decides what NaN gives.
template <typename Op, bool most, bool nanWins>
struct ExpandOrder : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;

  LogicalResult matchAndRewrite(Op op,
                                PatternRewriter &rewriter) const override {
    if (isa<TensorType>(op.getType()))
      return failure();
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    Value x = op.getLhs(), y = op.getRhs();
    auto isNumber = [](Value value) {
      APFloat number(0.0);
      return matchPattern(value, m_ConstantFloat(&number)) && !number.isNaN();
    };
    bool noNan =
        bitEnumContainsAll(op.getFastmath(), arith::FastMathFlags::nnan);
    // An unordered comparison chooses the second operand.
    if (isNumber(nanWins ? y : x) && !noNan)
      std::swap(x, y);
    Value wins = arith::CmpFOp::create(
        b, most ? arith::CmpFPredicate::OGT : arith::CmpFPredicate::OLT, x, y);
    Value result = arith::SelectOp::create(b, wins, x, y);
    if (!noNan && !isNumber(nanWins ? x : y)) {
      Value doubtful = nanWins ? x : y;
      Value isNan = arith::CmpFOp::create(b, arith::CmpFPredicate::UNO,
                                          doubtful, doubtful);
      result = arith::SelectOp::create(b, isNan, x, result);
    }
    rewriter.replaceOp(op, result);
    return success();
  }
};

template <typename Op>
void add(RewritePatternSet &patterns, Value (*expand)(Real &, ValueRange)) {
  patterns.add<Expand<Op>>(patterns.getContext(), expand);
}

template <Value (*function)(Real &, Value)>
Value unary(Real &f, ValueRange args) {
  return function(f, args[0]);
}

} // namespace

void aicc::lowering::populateMathematics(RewritePatternSet &patterns) {
  add<math::ExpOp>(patterns,
                   [](Real &f, ValueRange a) { return exp(f, a[0]); });
  add<math::Exp2Op>(patterns, [](Real &f, ValueRange a) {
    return exp2(f, {a[0], {}});
  });
  add<math::LogOp>(patterns,
                   [](Real &f, ValueRange a) { return log(f, a[0]); });
  add<math::Log1pOp>(patterns, [](Real &f, ValueRange a) {
    return log1p(f, {a[0], {}});
  });
  add<math::Log2Op>(patterns, [](Real &f, ValueRange a) {
    Pair l = log2(f, a[0]);
    return logEdges(f, a[0], f.add(l.hi, l.lo));
  });
  add<math::PowFOp>(patterns,
                    [](Real &f, ValueRange a) { return power(f, a[0], a[1]); });
  add<math::SinOp>(patterns, unary<sine>);
  add<math::CosOp>(patterns, unary<cosine>);
  add<math::TanOp>(patterns, unary<tangent>);
  add<math::AsinOp>(patterns, unary<arcSine>);
  add<math::AcosOp>(patterns, unary<arcCosine>);
  add<math::AtanOp>(patterns, unary<arcTangent>);
  add<math::Atan2Op>(patterns, [](Real &f, ValueRange a) {
    return arcTangent2(f, a[0], a[1]);
  });
  add<math::SinhOp>(patterns, unary<hyperbolicSine>);
  add<math::CoshOp>(patterns, unary<hyperbolicCosine>);
  add<math::TanhOp>(patterns, unary<hyperbolicTangent>);
  add<math::AsinhOp>(patterns, unary<arcHyperbolicSine>);
  add<math::AcoshOp>(patterns, unary<arcHyperbolicCosine>);
  add<math::AtanhOp>(patterns, unary<arcHyperbolicTangent>);
  add<math::ErfOp>(patterns, unary<errorFunction>);
  add<math::RsqrtOp>(patterns, [](Real &f, ValueRange a) {
    return f.div(f.c(1), f.sqrt(a[0]));
  });
  add<arith::RemFOp>(
      patterns, [](Real &f, ValueRange a) { return remainder(f, a[0], a[1]); });
  patterns.add<ExpandOrder<arith::MaximumFOp, true, true>,
               ExpandOrder<arith::MinimumFOp, false, true>,
               ExpandOrder<arith::MaxNumFOp, true, false>,
               ExpandOrder<arith::MinNumFOp, false, false>>(
      patterns.getContext());
  populateHalfPrecision(patterns);
}

namespace {
struct ExpandMathematicsPass
    : PassWrapper<ExpandMathematicsPass, OperationPass<>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ExpandMathematicsPass)

  StringRef getArgument() const override { return "aicc-expand-mathematics"; }
  StringRef getDescription() const override {
    return "replace elementary functions by polynomials of this project";
  }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<arith::ArithDialect, math::MathDialect>();
  }
  LogicalResult initialize(MLIRContext *context) override {
    RewritePatternSet set(context);
    populateMathematics(set);
    patterns = FrozenRewritePatternSet(std::move(set));
    return success();
  }
  void runOnOperation() override {
    walkAndApplyPatterns(getOperation(), patterns);
  }

  FrozenRewritePatternSet patterns;
};
} // namespace

std::unique_ptr<Pass> aicc::lowering::createExpandMathematicsPass() {
  return std::make_unique<ExpandMathematicsPass>();
}
