//===- HalfPrecision.cpp - f16 and bf16 without library calls -------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/lowering/HalfPrecision.h"
#include "compiler/lowering/NarrowFloats.h"
#include "compiler/lowering/Real.h"

using namespace mlir;

namespace aicc::lowering {

/// bf16 is the upper half of f32; few targets convert it in hardware, and none
/// needs to.
Value extend(ImplicitLocOpBuilder &b, Value x, Type to) {
  Type from = x.getType();
  if (isNarrowFloat(getElementTypeOrSelf(from))) {
    Real f(b, Real(b, to).like(b.getF32Type()));
    Value bits = arith::BitcastOp::create(b, f.like(b.getI8Type()), x);
    Value result =
        decodeNarrow(b, bits, cast<FloatType>(getElementTypeOrSelf(from)));
    return f.type == to ? result : arith::ExtFOp::create(b, to, result);
  }
  if (!getElementTypeOrSelf(from).isBF16())
    return arith::ExtFOp::create(b, to, x);
  Real f(b, Real(b, to).like(b.getF32Type()));
  Value half = arith::BitcastOp::create(b, f.like(b.getI16Type()), x);
  Value bits = arith::ExtUIOp::create(b, f.integer, half);
  Value result = f.real(f.shl(bits, f.i(16)));
  return f.type == to ? result : arith::ExtFOp::create(b, to, result);
}

/// Rounds to the nearest, ties to even, without library calls: f64 to half
/// precision has no instruction.
Value truncate(ImplicitLocOpBuilder &b, Value x, Type to) {
  bool isBrain = getElementTypeOrSelf(to).isBF16();
  bool isWide = getElementTypeOrSelf(x.getType()).isF64();
  if (!isBrain && !(isWide && getElementTypeOrSelf(to).isF16()))
    return arith::TruncFOp::create(b, to, x);
  Real f(b, Real(b, to).like(b.getF32Type()));
  if (isWide)
    x = f.roundToOdd(x);
  if (!isBrain)
    return arith::TruncFOp::create(b, to, x);
  Value bits = f.bits(x);
  Value odd = f.iand(f.shru(bits, f.i(16)), f.i(1));
  Value rounded = f.iadd(bits, f.iadd(odd, f.i(0x7fff)));
  // Rounding must not turn a NaN into an infinity.
  rounded = f.select(f.isNan(x), f.ior(bits, f.i(0x400000)), rounded);
  Value half = arith::TruncIOp::create(b, f.like(b.getI16Type()),
                                       f.shru(rounded, f.i(16)));
  return arith::BitcastOp::create(b, to, half);
}

namespace {
template <typename Op, Value (*convert)(ImplicitLocOpBuilder &, Value, Type)>
struct ExpandConversion : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;

  LogicalResult matchAndRewrite(Op op,
                                PatternRewriter &rewriter) const override {
    Type from = op.getIn().getType(), to = op.getType();
    Type source = getElementTypeOrSelf(from), result = getElementTypeOrSelf(to);
    if (isa<TensorType>(to) ||
        (!source.isBF16() && !result.isBF16() &&
         !(source.isF64() && result.isF16()) && !isNarrowFloat(source)))
      return failure();
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    rewriter.replaceOp(op, convert(b, op.getIn(), to));
    return success();
  }
};

/// An integer becomes bf16 by way of f32: MLIR folds the two steps into one,
/// for which targets call a library.
template <typename Op> struct ExpandInteger : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;

  LogicalResult matchAndRewrite(Op op,
                                PatternRewriter &rewriter) const override {
    Type to = op.getType();
    if (isa<TensorType>(to) || !getElementTypeOrSelf(to).isBF16())
      return failure();
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    Type single = b.getF32Type();
    if (auto vector = dyn_cast<VectorType>(to))
      single = vector.clone(single);
    rewriter.replaceOp(op, truncate(b, Op::create(b, single, op.getIn()), to));
    return success();
  }
};

/// Choices between values of bf16 are choices between their bits, so that what
/// only moves such values needs no target that has the type.
struct ExpandChoice : OpRewritePattern<arith::SelectOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(arith::SelectOp op,
                                PatternRewriter &rewriter) const override {
    Type type = op.getType();
    if (isa<TensorType>(type) || !getElementTypeOrSelf(type).isBF16())
      return failure();
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    Type bits = b.getI16Type();
    if (auto vector = dyn_cast<VectorType>(type))
      bits = vector.clone(bits);
    auto bitsOf = [&](Value value) -> Value {
      auto cast = value.getDefiningOp<arith::BitcastOp>();
      if (cast && cast.getIn().getType() == bits)
        return cast.getIn();
      return b.createOrFold<arith::BitcastOp>(bits, value);
    };
    Value chosen =
        arith::SelectOp::create(b, op.getCondition(), bitsOf(op.getTrueValue()),
                                bitsOf(op.getFalseValue()));
    rewriter.replaceOpWithNewOp<arith::BitcastOp>(op, type, chosen);
    return success();
  }
};

/// Bits read as a type and back.
struct JoinBitcasts : OpRewritePattern<arith::BitcastOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(arith::BitcastOp op,
                                PatternRewriter &rewriter) const override {
    auto inner = op.getIn().getDefiningOp<arith::BitcastOp>();
    if (!inner || inner.getIn().getType() != op.getType())
      return failure();
    rewriter.replaceOp(op, inner.getIn());
    return success();
  }
};
} // namespace

void populateHalfPrecision(RewritePatternSet &patterns) {
  patterns.add<ExpandChoice, JoinBitcasts, ExpandInteger<arith::SIToFPOp>,
               ExpandInteger<arith::UIToFPOp>,
               ExpandConversion<arith::ExtFOp, extend>,
               ExpandConversion<arith::TruncFOp, truncate>>(
      patterns.getContext());
}

} // namespace aicc::lowering
