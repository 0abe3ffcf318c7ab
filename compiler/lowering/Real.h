//===- Real.h - arithmetic for Mathematics.cpp ------------------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Writes f32 or f64 arithmetic, on scalars or vectors alike. No operation gets
// fast-math flags, and what is fused is an explicit fma: the bits are the same
// wherever the code runs.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_COMPILER_LOWERING_REAL_H
#define AICC_COMPILER_LOWERING_REAL_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/TypeUtilities.h"

namespace aicc::lowering {

class Real {
public:
  using Value = mlir::Value;
  using P = mlir::arith::CmpFPredicate;
  using I = mlir::arith::CmpIPredicate;

  /// `type` is f32, f64 or a vector of one of them.
  Real(mlir::ImplicitLocOpBuilder &b, mlir::Type type)
      : b(b), type(type), isDouble(mlir::getElementTypeOrSelf(type).isF64()),
        mantissa(isDouble ? 52 : 23), bias(isDouble ? 1023 : 127),
        integer(like(b.getIntegerType(isDouble ? 64 : 32))) {}

  mlir::ImplicitLocOpBuilder &b;
  mlir::Type type;
  bool isDouble;
  int mantissa, bias;
  mlir::Type integer;

  /// The same shape with another element type.
  mlir::Type like(mlir::Type element) {
    if (auto vector = mlir::dyn_cast<mlir::VectorType>(type))
      return vector.clone(element);
    return element;
  }
  /// The number for f32 or the one for f64.
  double pick(double narrow, double wide) { return isDouble ? wide : narrow; }

  // -- Constants -------------------------------------------------------------
  Value c(double value) {
    return constant(type,
                    b.getFloatAttr(mlir::getElementTypeOrSelf(type), value));
  }
  Value i(int64_t value) { return i(integer, value); }
  Value i(mlir::Type like, int64_t value) {
    auto element =
        mlir::cast<mlir::IntegerType>(mlir::getElementTypeOrSelf(like));
    llvm::APInt bits(64, static_cast<uint64_t>(value));
    return constant(like,
                    b.getIntegerAttr(element, bits.trunc(element.getWidth())));
  }
  Value inf() { return c(std::numeric_limits<double>::infinity()); }
  Value nan() { return c(std::numeric_limits<double>::quiet_NaN()); }

  // -- Floats ----------------------------------------------------------------
  Value add(Value x, Value y) { return mlir::arith::AddFOp::create(b, x, y); }
  Value sub(Value x, Value y) { return mlir::arith::SubFOp::create(b, x, y); }
  Value mul(Value x, Value y) { return mlir::arith::MulFOp::create(b, x, y); }
  Value div(Value x, Value y) { return mlir::arith::DivFOp::create(b, x, y); }
  Value neg(Value x) { return mlir::arith::NegFOp::create(b, x); }
  Value abs(Value x) { return mlir::math::AbsFOp::create(b, x); }
  Value sqrt(Value x) { return mlir::math::SqrtOp::create(b, x); }
  Value floor(Value x) { return mlir::math::FloorOp::create(b, x); }
  Value trunc(Value x) { return mlir::math::TruncOp::create(b, x); }
  Value round(Value x) { return mlir::math::RoundEvenOp::create(b, x); }
  Value fma(Value x, Value y, Value z) {
    return mlir::math::FmaOp::create(b, x, y, z);
  }
  /// x * y - z and z - x * y with one rounding.
  Value fms(Value x, Value y, Value z) { return fma(x, y, neg(z)); }
  Value fnma(Value x, Value y, Value z) { return fma(neg(x), y, z); }
  Value copySign(Value x, Value sign) {
    return mlir::math::CopySignOp::create(b, x, sign);
  }
  /// The polynomial with the lowest power first.
  Value poly(Value x, llvm::ArrayRef<double> coefficients) {
    Value sum = c(coefficients.back());
    for (double k : llvm::reverse(coefficients.drop_back()))
      sum = fma(sum, x, c(k));
    return sum;
  }
  Value poly(Value x, llvm::ArrayRef<double> narrow,
             llvm::ArrayRef<double> wide) {
    return poly(x, isDouble ? wide : narrow);
  }

  // -- Comparisons -----------------------------------------------------------
  Value cmp(P predicate, Value x, Value y) {
    return mlir::arith::CmpFOp::create(b, predicate, x, y);
  }
  Value cmp(I predicate, Value x, Value y) {
    return mlir::arith::CmpIOp::create(b, predicate, x, y);
  }
  Value lt(Value x, Value y) { return cmp(P::OLT, x, y); }
  Value gt(Value x, Value y) { return cmp(P::OGT, x, y); }
  Value le(Value x, Value y) { return cmp(P::OLE, x, y); }
  Value ge(Value x, Value y) { return cmp(P::OGE, x, y); }
  Value eq(Value x, Value y) { return cmp(P::OEQ, x, y); }
  Value isNan(Value x) { return cmp(P::UNO, x, x); }
  Value select(Value condition, Value x, Value y) {
    return mlir::arith::SelectOp::create(b, condition, x, y);
  }
  Value both(Value x, Value y) { return iand(x, y); }
  Value either(Value x, Value y) { return ior(x, y); }
  /// x limited to low … high; NaN stays NaN.
  Value clamp(Value x, double low, double high) {
    x = select(gt(x, c(high)), c(high), x);
    return select(lt(x, c(low)), c(low), x);
  }

  // -- Bits ------------------------------------------------------------------
  Value bits(Value x) { return mlir::arith::BitcastOp::create(b, integer, x); }
  Value real(Value x) { return mlir::arith::BitcastOp::create(b, type, x); }
  Value toReal(Value x) { return mlir::arith::SIToFPOp::create(b, type, x); }
  Value iadd(Value x, Value y) { return mlir::arith::AddIOp::create(b, x, y); }
  Value isub(Value x, Value y) { return mlir::arith::SubIOp::create(b, x, y); }
  Value imul(Value x, Value y) { return mlir::arith::MulIOp::create(b, x, y); }
  Value iand(Value x, Value y) { return mlir::arith::AndIOp::create(b, x, y); }
  Value ior(Value x, Value y) { return mlir::arith::OrIOp::create(b, x, y); }
  Value ixor(Value x, Value y) { return mlir::arith::XOrIOp::create(b, x, y); }
  Value shl(Value x, Value y) { return mlir::arith::ShLIOp::create(b, x, y); }
  Value shrs(Value x, Value y) { return mlir::arith::ShRSIOp::create(b, x, y); }
  Value shru(Value x, Value y) { return mlir::arith::ShRUIOp::create(b, x, y); }
  /// 2^n for an integer n in the range of normal numbers.
  Value powerOfTwo(Value n) { return real(shl(iadd(n, i(bias)), i(mantissa))); }

  /// An f64 as f32, the last bit set where anything was rounded away: rounding
  /// that to a narrower format gives what rounding x at once would.
  Value roundToOdd(Value x) {
    Real wide(b, x.getType());
    Value t = mlir::arith::TruncFOp::create(b, type, x);
    Value back = mlir::arith::ExtFOp::create(b, x.getType(), t);
    Value isBeyond = wide.gt(wide.abs(back), wide.abs(x));
    Value toZero = select(isBeyond, isub(bits(t), i(1)), bits(t));
    Value isInexact = wide.cmp(P::ONE, back, x);
    return real(select(isInexact, ior(toZero, i(1)), bits(t)));
  }

  // -- Pairs: hi + lo with lo below half an ulp of hi ------------------------
  struct Pair {
    Value hi, lo;
  };
  /// x + y exactly, where |x| >= |y| or x = 0.
  Pair fastSum(Value x, Value y) {
    Value sum = add(x, y);
    return {sum, add(sub(x, sum), y)};
  }
  Pair sum(Value x, Value y) {
    Value s = add(x, y), t = sub(s, x);
    return {s, add(sub(x, sub(s, t)), sub(y, t))};
  }
  Pair product(Value x, Value y) {
    Value p = mul(x, y);
    return {p, fms(x, y, p)};
  }

private:
  Value constant(mlir::Type type, mlir::TypedAttr value) {
    if (auto vector = mlir::dyn_cast<mlir::VectorType>(type))
      return mlir::arith::ConstantOp::create(
          b, mlir::DenseElementsAttr::get(vector, mlir::Attribute(value)));
    return mlir::arith::ConstantOp::create(b, value);
  }
};

} // namespace aicc::lowering

#endif // AICC_COMPILER_LOWERING_REAL_H
