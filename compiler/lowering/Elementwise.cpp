//===- Elementwise.cpp - lowering of operators on each element ------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/lowering/NarrowFloats.h"
#include "compiler/lowering/Writer.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace aicc;
using namespace aicc::lowering;

namespace {

/// Scalar arithmetic of one operator on one graph element type.
struct Scalar {
  LocBuilder &b;
  Type element; // with signedness
  Type type;    // of the values

  bool isFloat() const { return isa<FloatType>(element); }
  bool isBool() const { return element.isInteger(1); }
  bool noSign() const { return isUnsigned(element); }
  unsigned width() const { return type.getIntOrFloatBitWidth(); }

  Value zero() { return constant(0); }
  Value constant(int64_t value) {
    return isFloat() ? number(b, type, static_cast<double>(value))
                     : integer(b, type, value);
  }
  Value compare(arith::CmpIPredicate predicate, Value x, Value y) {
    return arith::CmpIOp::create(b, predicate, x, y);
  }
  Value compare(arith::CmpFPredicate predicate, Value x, Value y) {
    return arith::CmpFOp::create(b, predicate, x, y);
  }
  Value select(Value condition, Value x, Value y) {
    return arith::SelectOp::create(b, condition, x, y);
  }

  Value compare(graph::Comparison kind, Value x, Value y);
  Value divide(Value x, Value y);
  Value remainder(Value x, Value y);
  Value power(Value x, Value y);
  Value sign(Value x);
  Value absolute(Value x);
  Value shift(Value x, Value amount, bool left);
  Value sigmoid(Value x);
  Value bitcast(Value x, Type to);
};

Value Scalar::compare(graph::Comparison kind, Value x, Value y) {
  using graph::Comparison;
  using F = arith::CmpFPredicate;
  using I = arith::CmpIPredicate;
  bool u = noSign();
  switch (kind) {
  case Comparison::equal:
    return isFloat() ? compare(F::OEQ, x, y) : compare(I::eq, x, y);
  case Comparison::not_equal:
    return isFloat() ? compare(F::UNE, x, y) : compare(I::ne, x, y);
  case Comparison::less:
    return isFloat() ? compare(F::OLT, x, y)
                     : compare(u ? I::ult : I::slt, x, y);
  case Comparison::less_equal:
    return isFloat() ? compare(F::OLE, x, y)
                     : compare(u ? I::ule : I::sle, x, y);
  case Comparison::greater:
    return isFloat() ? compare(F::OGT, x, y)
                     : compare(u ? I::ugt : I::sgt, x, y);
  case Comparison::greater_equal:
    return isFloat() ? compare(F::OGE, x, y)
                     : compare(u ? I::uge : I::sge, x, y);
  }
  llvm_unreachable("all comparisons are handled");
}

Value Scalar::divide(Value x, Value y) {
  if (isFloat())
    return arith::DivFOp::create(b, x, y);
  if (isBool())
    return arith::AndIOp::create(b, x, y);
  Value isZero = compare(arith::CmpIPredicate::eq, y, zero());
  if (noSign()) {
    Value safe = select(isZero, constant(1), y);
    Value quotient = arith::DivUIOp::create(b, x, safe);
    return select(isZero, zero(), quotient);
  }
  // The least number by -1 overflows in hardware; here it wraps.
  Value isMinus = compare(arith::CmpIPredicate::eq, y, constant(-1));
  Value safe = select(arith::OrIOp::create(b, isZero, isMinus), constant(1), y);
  Value quotient = arith::DivSIOp::create(b, x, safe);
  Value negated = arith::SubIOp::create(b, zero(), x);
  return select(isZero, zero(), select(isMinus, negated, quotient));
}

Value Scalar::remainder(Value x, Value y) {
  if (isFloat())
    return arith::RemFOp::create(b, x, y);
  if (isBool())
    return zero();
  Value unsafe = compare(arith::CmpIPredicate::eq, y, zero());
  if (!noSign())
    unsafe = arith::OrIOp::create(
        b, unsafe, compare(arith::CmpIPredicate::eq, y, constant(-1)));
  // By 1 nothing remains, as by -1; by 0 the answer is ours to choose.
  Value safe = select(unsafe, constant(1), y);
  return noSign() ? arith::RemUIOp::create(b, x, safe).getResult()
                  : arith::RemSIOp::create(b, x, safe).getResult();
}

Value Scalar::power(Value x, Value y) {
  if (isFloat())
    return math::PowFOp::create(b, x, y);
  if (isBool())
    return arith::OrIOp::create(b, x, arith::XOrIOp::create(b, y, constant(1)));
  // Square and multiply, one bit of the exponent at a time; powers wrap.
  Value result = constant(1), square = x, left = y;
  unsigned bits = noSign() ? width() : width() - 1;
  for (unsigned bit = 0; bit < bits; ++bit) {
    Value odd = compare(arith::CmpIPredicate::ne,
                        arith::AndIOp::create(b, left, constant(1)), zero());
    result = select(odd, arith::MulIOp::create(b, result, square), result);
    if (bit + 1 == bits)
      break;
    square = arith::MulIOp::create(b, square, square);
    left = arith::ShRUIOp::create(b, left, constant(1));
  }
  if (noSign())
    return result;
  // x to a negative power is a fraction, unless x is 1 or -1.
  Value negative = compare(arith::CmpIPredicate::slt, y, zero());
  Value odd = compare(arith::CmpIPredicate::ne,
                      arith::AndIOp::create(b, y, constant(1)), zero());
  Value isOne = compare(arith::CmpIPredicate::eq, x, constant(1));
  Value isMinus = compare(arith::CmpIPredicate::eq, x, constant(-1));
  Value alternating = select(odd, constant(-1), constant(1));
  Value small =
      select(isOne, constant(1), select(isMinus, alternating, zero()));
  return select(negative, small, result);
}

Value Scalar::sign(Value x) {
  if (isFloat()) {
    // Zero and NaN are their own sign.
    Value below =
        select(compare(arith::CmpFPredicate::OLT, x, zero()), constant(-1), x);
    return select(compare(arith::CmpFPredicate::OGT, x, zero()), constant(1),
                  below);
  }
  if (isBool())
    return x;
  if (noSign())
    return select(compare(arith::CmpIPredicate::eq, x, zero()), zero(),
                  constant(1));
  Value below = select(compare(arith::CmpIPredicate::slt, x, zero()),
                       constant(-1), zero());
  return select(compare(arith::CmpIPredicate::sgt, x, zero()), constant(1),
                below);
}

Value Scalar::absolute(Value x) {
  if (isFloat())
    return math::AbsFOp::create(b, x);
  if (noSign())
    return x;
  return select(compare(arith::CmpIPredicate::slt, x, zero()),
                arith::SubIOp::create(b, zero(), x), x);
}

Value Scalar::shift(Value x, Value amount, bool left) {
  // Shifting by the width or more is poison in LLVM.
  Value fits = compare(arith::CmpIPredicate::ult, amount, constant(width()));
  if (!left && !noSign()) {
    Value most = select(fits, amount, constant(width() - 1));
    return arith::ShRSIOp::create(b, x, most);
  }
  Value safe = select(fits, amount, zero());
  Value shifted = left ? arith::ShLIOp::create(b, x, safe).getResult()
                       : arith::ShRUIOp::create(b, x, safe).getResult();
  return select(fits, shifted, zero());
}

Value Scalar::sigmoid(Value x) {
  // exp(-|x|) can't overflow, so the smallest results don't become zero.
  Value e = math::ExpOp::create(
      b, arith::NegFOp::create(b, math::AbsFOp::create(b, x)));
  Value one = constant(1);
  Value top = arith::SelectOp::create(
      b, compare(arith::CmpFPredicate::OGE, x, constant(0)), one, e);
  // What the sum and the quotient round off is put back, so that the error of
  // exp is all that is left: sum + lost = 1 + e exactly.
  Value sum = arith::AddFOp::create(b, one, e);
  Value lost = arith::SubFOp::create(b, e, arith::SubFOp::create(b, sum, one));
  Value inverse = arith::DivFOp::create(b, one, sum);
  Value first = arith::MulFOp::create(b, top, inverse);
  Value minus = arith::NegFOp::create(b, first);
  Value rest = math::FmaOp::create(b, minus, sum, top);
  rest = math::FmaOp::create(b, minus, lost, rest);
  return math::FmaOp::create(b, rest, inverse, first);
}

Value Scalar::bitcast(Value x, Type to) {
  // A boolean is a byte in memory, any but 0 true.
  if (isBool())
    x = arith::ExtUIOp::create(b, b.getI8Type(), x);
  if (to.isInteger(1))
    return compare(arith::CmpIPredicate::ne, x, integer(b, x.getType(), 0));
  Type result = signless(to);
  if (x.getType() != result)
    x = arith::BitcastOp::create(b, result, x);
  return wrapNarrow(b, x, to);
}

/// The scalar form of `op`; null if it is none of this family.
Value scalarOf(LocBuilder &b, Operation *op, ValueRange args) {
  Type element =
      cast<RankedTensorType>(op->getOperand(op->getNumOperands() - 1).getType())
          .getElementType();
  Scalar s{b, element, args.back().getType()};
  bool isFloat = s.isFloat(), isBool = s.isBool();
  Value x = args[0], y = args.size() > 1 ? args[1] : Value();
  return TypeSwitch<Operation *, Value>(op)
      .Case<graph::AbsOp>([&](auto) { return s.absolute(x); })
      .Case<graph::NegateOp>([&](auto) -> Value {
        if (isFloat)
          return arith::NegFOp::create(b, x);
        return arith::SubIOp::create(b, s.zero(), x);
      })
      .Case<graph::ExpOp>([&](auto) { return math::ExpOp::create(b, x); })
      .Case<graph::Log1pOp>([&](auto) { return math::Log1pOp::create(b, x); })
      .Case<graph::LogOp>([&](auto) { return math::LogOp::create(b, x); })
      .Case<graph::SqrtOp>([&](auto) { return math::SqrtOp::create(b, x); })
      .Case<graph::RsqrtOp>([&](auto) { return math::RsqrtOp::create(b, x); })
      .Case<graph::ReciprocalOp>(
          [&](auto) { return s.divide(s.constant(1), x); })
      .Case<graph::SinOp>([&](auto) { return math::SinOp::create(b, x); })
      .Case<graph::CosOp>([&](auto) { return math::CosOp::create(b, x); })
      .Case<graph::TanOp>([&](auto) { return math::TanOp::create(b, x); })
      .Case<graph::AsinOp>([&](auto) { return math::AsinOp::create(b, x); })
      .Case<graph::AcosOp>([&](auto) { return math::AcosOp::create(b, x); })
      .Case<graph::AtanOp>([&](auto) { return math::AtanOp::create(b, x); })
      .Case<graph::SinhOp>([&](auto) { return math::SinhOp::create(b, x); })
      .Case<graph::CoshOp>([&](auto) { return math::CoshOp::create(b, x); })
      .Case<graph::AsinhOp>([&](auto) { return math::AsinhOp::create(b, x); })
      .Case<graph::AcoshOp>([&](auto) { return math::AcoshOp::create(b, x); })
      .Case<graph::AtanhOp>([&](auto) { return math::AtanhOp::create(b, x); })
      .Case<graph::TanhOp>([&](auto) { return math::TanhOp::create(b, x); })
      .Case<graph::ErfOp>([&](auto) { return math::ErfOp::create(b, x); })
      .Case<graph::SigmoidOp>([&](auto) { return s.sigmoid(x); })
      .Case<graph::FloorOp>([&](auto) -> Value {
        return isFloat ? math::FloorOp::create(b, x).getResult() : x;
      })
      .Case<graph::CeilOp>([&](auto) -> Value {
        return isFloat ? math::CeilOp::create(b, x).getResult() : x;
      })
      .Case<graph::RoundEvenOp>([&](auto) -> Value {
        return isFloat ? math::RoundEvenOp::create(b, x).getResult() : x;
      })
      .Case<graph::SignOp>([&](auto) { return s.sign(x); })
      .Case<graph::NotOp>(
          [&](auto) { return arith::XOrIOp::create(b, x, s.constant(-1)); })
      .Case<graph::IsNanOp>(
          [&](auto) { return s.compare(arith::CmpFPredicate::UNO, x, x); })
      .Case<graph::IsInfOp>([&](auto) {
        Value inf = arith::ConstantOp::create(
            b, FloatAttr::get(
                   s.type, APFloat::getInf(
                               cast<FloatType>(s.type).getFloatSemantics())));
        return s.compare(arith::CmpFPredicate::OEQ, math::AbsFOp::create(b, x),
                         inf);
      })
      .Case<graph::AddOp>([&](auto) {
        return combine(b, graph::ReduceKind::sum, element, x, y);
      })
      .Case<graph::SubtractOp>([&](auto) -> Value {
        if (isBool)
          return arith::XOrIOp::create(b, x, y);
        return isFloat ? arith::SubFOp::create(b, x, y).getResult()
                       : arith::SubIOp::create(b, x, y).getResult();
      })
      .Case<graph::MultiplyOp>([&](auto) {
        return combine(b, graph::ReduceKind::product, element, x, y);
      })
      .Case<graph::DivideOp>([&](auto) { return s.divide(x, y); })
      .Case<graph::RemainderOp>([&](auto) { return s.remainder(x, y); })
      .Case<graph::PowerOp>([&](auto) { return s.power(x, y); })
      .Case<graph::MaximumOp>([&](auto) {
        return combine(b, graph::ReduceKind::maximum, element, x, y);
      })
      .Case<graph::MinimumOp>([&](auto) {
        return combine(b, graph::ReduceKind::minimum, element, x, y);
      })
      .Case<graph::AndOp>([&](auto) { return arith::AndIOp::create(b, x, y); })
      .Case<graph::OrOp>([&](auto) { return arith::OrIOp::create(b, x, y); })
      .Case<graph::XorOp>([&](auto) { return arith::XOrIOp::create(b, x, y); })
      .Case<graph::ShiftLeftOp>([&](auto) { return s.shift(x, y, true); })
      .Case<graph::ShiftRightOp>([&](auto) { return s.shift(x, y, false); })
      .Case<graph::Atan2Op>(
          [&](auto) { return math::Atan2Op::create(b, x, y); })
      .Case<graph::CompareOp>([&](graph::CompareOp compare) {
        return s.compare(compare.getPredicate(), x, y);
      })
      .Case<graph::SelectOp>(
          [&](auto) { return s.select(x, args[1], args[2]); })
      .Case<graph::BitcastOp>([&](graph::BitcastOp bitcast) {
        return s.bitcast(x, bitcast.getType().getElementType());
      })
      .Case<graph::CastOp>([&](graph::CastOp convert) {
        return convertElement(
            b, x, element, convert.getType().getElementType(),
            convert.getOverflow(),
            convert.getRounding().value_or(graph::Rounding::up));
      })
      .Default([](Operation *) { return Value(); });
}

struct LowerElementwise : OpTraitRewritePattern<graph::Elementwise> {
  using OpTraitRewritePattern::OpTraitRewritePattern;

  LogicalResult matchAndRewrite(Operation *op,
                                PatternRewriter &rewriter) const override {
    auto type = cast<RankedTensorType>(op->getResult(0).getType());
    Writer w(rewriter, op);
    SmallVector<Value> ins;
    for (Value operand : op->getOperands())
      ins.push_back(w.lowered(operand));
    unsigned rank = type.getRank();
    SmallVector<AffineMap> maps(ins.size(), w.identity(rank));
    bool widen = !isa<graph::SelectOp, graph::BitcastOp, graph::CastOp>(op);
    Value result = w.elementwise(
        graph::dimsOf(type), type.getElementType(), ins, maps,
        [&](LocBuilder &b, ValueRange args) -> SmallVector<Value> {
          // Sums, products, quotients and roots computed in f32
          // and rounded once more are those of f16 and bf16
          // themselves.
          SmallVector<Value> values(args.take_front(ins.size()));
          Type wide = b.getF32Type();
          for (auto [value, operand] : llvm::zip(values, op->getOperands())) {
            Type from =
                cast<RankedTensorType>(operand.getType()).getElementType();
            auto real = dyn_cast<FloatType>(from);
            if (!widen)
              break;
            value = real && real.getWidth() < 32
                        ? convertElement(b, value, real, wide)
                        : wrapNarrow(b, value, from);
          }
          Value scalar = scalarOf(b, op, values);
          Type element = type.getElementType();
          if (!scalar || !widen)
            return {scalar};
          return {isa<FloatType>(element) && scalar.getType() != element
                      ? convertElement(b, scalar, wide, element)
                      : wrapNarrow(b, scalar, element)};
        });
    w.replace(result);
    return success();
  }
};

} // namespace

void lowering::populateElementwise(RewritePatternSet &patterns) {
  patterns.add<LowerElementwise>(patterns.getContext());
}
