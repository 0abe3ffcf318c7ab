//===- NarrowFloats.cpp - floats of eight bits and fewer ------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/lowering/NarrowFloats.h"
#include "compiler/lowering/Real.h"

#include <cmath>

using namespace mlir;

namespace aicc::lowering {

namespace {
/// A format with a sign: `exponent` and `mantissa` bits, the magnitudes of the
/// largest number, of infinity and of NaN (-1: there is none).
struct Format {
  int exponent, mantissa, bias;
  int largest, infinity, nan;
  bool negativeZero;

  int signBit() const { return exponent + mantissa; }
};

Format formatOf(FloatType type) {
  if (isa<Float8E4M3FNType>(type))
    return {4, 3, 7, 0x7e, -1, 0x7f, true};
  if (isa<Float8E4M3FNUZType>(type))
    return {4, 3, 8, 0x7f, -1, 0x80, false};
  if (isa<Float8E5M2Type>(type))
    return {5, 2, 15, 0x7b, 0x7c, 0x7e, true};
  if (isa<Float8E5M2FNUZType>(type))
    return {5, 2, 16, 0x7f, -1, 0x80, false};
  if (isa<Float4E2M1FNType>(type))
    return {2, 1, 1, 0x7, -1, -1, true};
  if (isa<Float6E2M3FNType>(type))
    return {2, 3, 1, 0x1f, -1, -1, true};
  assert(isa<Float6E3M2FNType>(type) && "an unknown format");
  return {3, 2, 3, 0x1f, -1, -1, true};
}

constexpr int32_t f32Infinity = 0x7f800000, f32Magnitude = 0x7fffffff;
/// 2^-127, the smallest number of e8m0 and none of the normal ones of f32.
constexpr int32_t smallestPower = 0x400000;

/// Only an exponent: a power of two.
Value decodePower(Real &f, Value code) {
  Value value = f.select(f.cmp(Real::I::eq, code, f.i(0)), f.i(smallestPower),
                         f.shl(code, f.i(23)));
  return f.select(f.cmp(Real::I::eq, code, f.i(0xff)), f.nan(), f.real(value));
}

Value encodePower(Real &f, Value x, bool overflow, graph::Rounding rounding) {
  // The sign is lost: there are no negative powers.
  Value magnitude = f.iand(f.bits(x), f.i(f32Magnitude));
  Value exponent = f.shru(magnitude, f.i(23));
  Value fraction = f.iand(magnitude, f.i(0x7fffff));
  // A denormal of f32 from 2^-127 on is that and half a fraction.
  Value isDenormal = f.cmp(Real::I::eq, exponent, f.i(0));
  fraction =
      f.select(isDenormal,
               f.shl(f.select(f.cmp(Real::I::slt, fraction, f.i(smallestPower)),
                              f.i(0), f.isub(fraction, f.i(smallestPower))),
                     f.i(1)),
               fraction);
  Value code = exponent;
  if (rounding != graph::Rounding::down) {
    Value isUp = rounding == graph::Rounding::up
                     ? f.cmp(Real::I::ne, fraction, f.i(0))
                     : f.cmp(Real::I::sge, fraction, f.i(smallestPower));
    code = f.iadd(code, f.select(isUp, f.i(1), f.i(0)));
  }
  Value isOver = f.cmp(Real::I::sgt, code, f.i(0xfe));
  code = f.select(isOver, f.i(overflow ? 0xff : 0xfe), code);
  if (overflow)
    code = f.select(f.cmp(Real::I::slt, magnitude, f.i(smallestPower)),
                    f.i(0xff), code);
  Value isNan = f.cmp(Real::I::sgt, magnitude, f.i(f32Infinity));
  return f.select(isNan, f.i(0xff), code);
}
} // namespace

bool isNarrowFloat(Type element) {
  auto type = dyn_cast<FloatType>(element);
  return type && type.getWidth() <= 8;
}

Value decodeNarrow(LocBuilder &b, Value bits, FloatType from) {
  auto shape = dyn_cast<VectorType>(bits.getType());
  Real f(b, shape ? Type(shape.clone(b.getF32Type())) : b.getF32Type());
  Value code = arith::ExtUIOp::create(b, f.integer, bits);
  if (isa<Float8E8M0FNUType>(from))
    return decodePower(f, code);
  Format format = formatOf(from);
  int sign = 1 << format.signBit(), least = 1 << format.mantissa;
  Value magnitude = f.iand(code, f.i(sign - 1));
  Value normal = f.iadd(f.shl(magnitude, f.i(23 - format.mantissa)),
                        f.i((127 - format.bias) << 23));
  Value denormal =
      f.mul(f.toReal(magnitude),
            f.c(std::ldexp(1.0, 1 - format.bias - format.mantissa)));
  Value value = f.select(f.cmp(Real::I::slt, magnitude, f.i(least)),
                         f.bits(denormal), normal);
  if (format.infinity >= 0)
    value = f.select(f.cmp(Real::I::eq, magnitude, f.i(format.infinity)),
                     f.i(f32Infinity), value);
  // Above the largest magnitude and infinity everything is NaN.
  constexpr int32_t quiet = f32Infinity | 0x400000;
  if (format.negativeZero && format.nan >= 0) {
    int last = std::max(format.largest, format.infinity);
    value =
        f.select(f.cmp(Real::I::sgt, magnitude, f.i(last)), f.i(quiet), value);
  }
  Value signBit = f.shl(f.iand(code, f.i(sign)), f.i(31 - format.signBit()));
  value = f.ior(value, signBit);
  if (!format.negativeZero)
    value =
        f.select(f.cmp(Real::I::eq, code, f.i(format.nan)), f.i(quiet), value);
  return f.real(value);
}

Value encodeNarrow(LocBuilder &b, Value value, FloatType to, bool overflow,
                   graph::Rounding rounding) {
  Real f(b, b.getF32Type());
  auto narrow = [&](Value code) {
    return arith::TruncIOp::create(b, b.getI8Type(), code).getResult();
  };
  if (isa<Float8E8M0FNUType>(to))
    return narrow(encodePower(f, value, overflow, rounding));
  Format format = formatOf(to);
  Value bits = f.bits(value);
  Value magnitude = f.iand(bits, f.i(f32Magnitude));
  // Half of what is cut off is added, less one bit where what remains is even.
  int cut = 23 - format.mantissa;
  Value odd = f.iand(f.shru(magnitude, f.i(cut)), f.i(1));
  Value rounded =
      f.iadd(magnitude, f.iadd(odd, f.i((int64_t(1) << (cut - 1)) - 1)));
  Value normal = f.isub(f.shru(rounded, f.i(cut)),
                        f.i((127 - format.bias) << format.mantissa));
  // Beside a number whose last bit is the step of the denormals, the sum rounds
  // to such steps.
  int step = 1 - format.bias - format.mantissa;
  Value large = f.c(std::ldexp(1.0, step + 23));
  Value denormal =
      f.isub(f.bits(f.add(f.real(magnitude), large)), f.bits(large));
  Value isSmall =
      f.cmp(Real::I::slt, magnitude, f.i(int64_t(1 - format.bias + 127) << 23));
  Value code = f.select(isSmall, denormal, normal);
  int beyond = !overflow              ? format.largest
               : format.infinity >= 0 ? format.infinity
               : format.nan >= 0      ? format.nan
                                      : format.largest;
  code = f.select(f.cmp(Real::I::sgt, code, f.i(format.largest)), f.i(beyond),
                  code);
  code = f.select(f.cmp(Real::I::sgt, magnitude, f.i(f32Infinity)),
                  f.i(std::max(format.nan, 0)), code);
  Value sign = f.iand(f.shru(bits, f.i(31 - format.signBit())),
                      f.i(1 << format.signBit()));
  if (!format.negativeZero)
    sign = f.select(f.cmp(Real::I::eq, code, f.i(0)), f.i(0), sign);
  return narrow(f.ior(code, sign));
}

} // namespace aicc::lowering
