//===- Writer.cpp - what every lowering of a graph operator needs ---------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/lowering/Writer.h"
#include "compiler/lowering/NarrowFloats.h"
#include "compiler/lowering/Real.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace aicc::lowering {

Type signless(Type type) { return graph::storedType(type); }

RankedTensorType loweredType(RankedTensorType type) {
  return RankedTensorType::get(type.getShape(),
                               signless(type.getElementType()));
}

bool isUnsigned(Type element) {
  auto integer = dyn_cast<IntegerType>(element);
  return integer && (integer.isUnsigned() || integer.getWidth() == 1);
}

//===----------------------------------------------------------------------===//
// Scalars
//===----------------------------------------------------------------------===//

Value number(LocBuilder &b, Type type, double value) {
  return arith::ConstantOp::create(b, b.getFloatAttr(type, value));
}

Value integer(LocBuilder &b, Type type, int64_t value) {
  return arith::ConstantOp::create(b, b.getIntegerAttr(type, value));
}

Value index(LocBuilder &b, int64_t value) {
  return arith::ConstantIndexOp::create(b, value);
}

static Value floatToInteger(LocBuilder &b, Value x, IntegerType to) {
  // Narrow floats can't hold the bounds.
  if (x.getType().getIntOrFloatBitWidth() < 32)
    x = arith::ExtFOp::create(b, b.getF32Type(), x);
  Type type = x.getType();
  if (to.getWidth() == 1)
    return arith::CmpFOp::create(b, arith::CmpFPredicate::UNE, x,
                                 number(b, type, 0));
  unsigned width = to.getWidth();
  bool noSign = to.isUnsigned();
  APInt least = noSign ? APInt(width, 0) : APInt::getSignedMinValue(width);
  APInt most =
      noSign ? APInt::getMaxValue(width) : APInt::getSignedMaxValue(width);
  // Both bounds are powers of two, so exact.
  Value low = number(b, type, noSign ? 0 : -std::ldexp(1.0, width - 1));
  Value high = number(b, type, std::ldexp(1.0, noSign ? width : width - 1));
  Value notLow = arith::CmpFOp::create(b, arith::CmpFPredicate::OGE, x, low);
  Value isHigh = arith::CmpFOp::create(b, arith::CmpFPredicate::OGE, x, high);
  Value isLow = arith::CmpFOp::create(b, arith::CmpFPredicate::OLT, x, low);
  Value notHigh = arith::CmpFOp::create(b, arith::CmpFPredicate::OLT, x, high);
  // Out of range and NaN: convert 0 instead, the conversion would be poison.
  Value safe = arith::SelectOp::create(
      b, arith::AndIOp::create(b, notLow, notHigh), x, number(b, type, 0));
  Type result = signless(to);
  Value value = noSign ? arith::FPToUIOp::create(b, result, safe).getResult()
                       : arith::FPToSIOp::create(b, result, safe).getResult();
  auto bound = [&](const APInt &v) {
    return arith::ConstantOp::create(b, b.getIntegerAttr(result, v));
  };
  value = arith::SelectOp::create(b, isHigh, bound(most), value);
  return arith::SelectOp::create(b, isLow, bound(least), value);
}

Value wrapNarrow(LocBuilder &b, Value value, Type element) {
  auto type = dyn_cast<IntegerType>(element);
  if (!type || type.getWidth() == 1 || type.getWidth() >= 8)
    return value;
  Type byte = value.getType();
  if (type.isUnsigned())
    return arith::AndIOp::create(b, value,
                                 integer(b, byte, (1 << type.getWidth()) - 1));
  Value spare = integer(b, byte, 8 - type.getWidth());
  return arith::ShRSIOp::create(b, arith::ShLIOp::create(b, value, spare),
                                spare);
}

/// To an integer narrower than a byte: what lies beyond 32 bits becomes 0, and
/// the rest wraps.
static Value floatToNarrowInteger(LocBuilder &b, Value x, IntegerType to) {
  Type type = x.getType();
  if (type.getIntOrFloatBitWidth() < 32) {
    type = b.getF32Type();
    x = arith::ExtFOp::create(b, type, x);
  }
  Value isInside = arith::CmpFOp::create(b, arith::CmpFPredicate::OLT,
                                         math::AbsFOp::create(b, x),
                                         number(b, type, 0x1p31));
  Value safe = arith::SelectOp::create(b, isInside, x, number(b, type, 0));
  Value whole = arith::FPToSIOp::create(b, b.getI32Type(), safe);
  return wrapNarrow(b, arith::TruncIOp::create(b, b.getI8Type(), whole), to);
}

Value convertElement(LocBuilder &b, Value x, Type from, Type to, bool overflow,
                     graph::Rounding rounding) {
  if (from == to)
    return x;
  if (isNarrowFloat(from)) {
    x = decodeNarrow(b, x, cast<FloatType>(from));
    from = b.getF32Type();
    if (from == to)
      return x;
  }
  if (isNarrowFloat(to)) {
    // Powers of two are defined as what becomes of the nearest f32.
    x = from.isF64() && !isa<Float8E8M0FNUType>(to)
            ? Real(b, b.getF32Type()).roundToOdd(x)
            : convertElement(b, x, from, b.getF32Type());
    return encodeNarrow(b, x, cast<FloatType>(to), overflow, rounding);
  }
  auto isNarrowInteger = [](Type type) {
    auto integer = dyn_cast<IntegerType>(type);
    return integer && integer.getWidth() > 1 && integer.getWidth() < 8;
  };
  auto byteOf = [&](Type type) {
    return IntegerType::get(b.getContext(), 8,
                            cast<IntegerType>(type).getSignedness());
  };
  if (isNarrowInteger(from))
    return convertElement(b, wrapNarrow(b, x, from), byteOf(from), to);
  if (isNarrowInteger(to)) {
    if (isa<FloatType>(from))
      return floatToNarrowInteger(b, x, cast<IntegerType>(to));
    return wrapNarrow(b, convertElement(b, x, from, byteOf(to)), to);
  }
  auto fromFloat = dyn_cast<FloatType>(from), toFloat = dyn_cast<FloatType>(to);
  if (fromFloat && toFloat) {
    unsigned fromWidth = fromFloat.getWidth(), toWidth = toFloat.getWidth();
    if (fromWidth < toWidth)
      return arith::ExtFOp::create(b, to, x);
    if (fromWidth > toWidth)
      return arith::TruncFOp::create(b, to, x);
    // f16 and bf16: neither holds the other.
    Value wide = arith::ExtFOp::create(b, b.getF32Type(), x);
    return arith::TruncFOp::create(b, to, wide);
  }
  if (fromFloat)
    return floatToInteger(b, x, cast<IntegerType>(to));
  if (toFloat && toFloat.getWidth() < 32) {
    Value wide = convertElement(b, x, from, b.getF32Type());
    return arith::TruncFOp::create(b, to, wide);
  }
  if (toFloat)
    return isUnsigned(from) ? arith::UIToFPOp::create(b, to, x).getResult()
                            : arith::SIToFPOp::create(b, to, x).getResult();
  unsigned fromWidth = from.getIntOrFloatBitWidth();
  unsigned toWidth = to.getIntOrFloatBitWidth();
  if (toWidth == 1)
    return fromWidth == 1 ? x
                          : arith::CmpIOp::create(b, arith::CmpIPredicate::ne,
                                                  x, integer(b, x.getType(), 0))
                                .getResult();
  Type result = signless(to);
  if (fromWidth > toWidth)
    return arith::TruncIOp::create(b, result, x);
  if (fromWidth == toWidth)
    return x;
  return isUnsigned(from) ? arith::ExtUIOp::create(b, result, x).getResult()
                          : arith::ExtSIOp::create(b, result, x).getResult();
}

Type accumulatorType(Type element) {
  MLIRContext *context = element.getContext();
  if (auto type = dyn_cast<FloatType>(element))
    return type.getWidth() < 32 ? Float32Type::get(context) : element;
  auto type = dyn_cast<IntegerType>(element);
  if (type && type.getWidth() > 1 && type.getWidth() < 32)
    return IntegerType::get(context, 32, type.getSignedness());
  return element;
}

Type accumulatorType(Type element, graph::ReduceKind kind) {
  bool ordered =
      kind == graph::ReduceKind::maximum || kind == graph::ReduceKind::minimum;
  return ordered && isa<IntegerType>(element) ? element
                                              : accumulatorType(element);
}

TypedAttr identityOf(graph::ReduceKind kind, Type element) {
  OpBuilder b(element.getContext());
  using graph::ReduceKind;
  bool most = kind == ReduceKind::minimum;
  if (auto type = dyn_cast<FloatType>(element)) {
    if (kind == ReduceKind::maximum || kind == ReduceKind::minimum)
      return b.getFloatAttr(type,
                            APFloat::getInf(type.getFloatSemantics(), !most));
    return b.getFloatAttr(type, kind == ReduceKind::product ? 1.0 : 0.0);
  }
  Type type = signless(element);
  unsigned width = type.getIntOrFloatBitWidth();
  bool noSign = isUnsigned(element);
  APInt value(width, kind == ReduceKind::product ? 1 : 0);
  if (kind == ReduceKind::maximum)
    value =
        noSign ? APInt::getMinValue(width) : APInt::getSignedMinValue(width);
  if (kind == ReduceKind::minimum)
    value =
        noSign ? APInt::getMaxValue(width) : APInt::getSignedMaxValue(width);
  return b.getIntegerAttr(type, value);
}

Value combine(LocBuilder &b, graph::ReduceKind kind, Type element, Value x,
              Value y) {
  using graph::ReduceKind;
  bool isFloat = isa<FloatType>(element);
  bool isBool = element.isInteger(1);
  bool noSign = isUnsigned(element);
  switch (kind) {
  case ReduceKind::sum:
  case ReduceKind::mean:
    if (isBool)
      return arith::OrIOp::create(b, x, y);
    return isFloat ? arith::AddFOp::create(b, x, y).getResult()
                   : arith::AddIOp::create(b, x, y).getResult();
  case ReduceKind::product:
    if (isBool)
      return arith::AndIOp::create(b, x, y);
    return isFloat ? arith::MulFOp::create(b, x, y).getResult()
                   : arith::MulIOp::create(b, x, y).getResult();
  case ReduceKind::maximum:
    return isFloat  ? arith::MaximumFOp::create(b, x, y).getResult()
           : noSign ? arith::MaxUIOp::create(b, x, y).getResult()
                    : arith::MaxSIOp::create(b, x, y).getResult();
  case ReduceKind::minimum:
    return isFloat  ? arith::MinimumFOp::create(b, x, y).getResult()
           : noSign ? arith::MinUIOp::create(b, x, y).getResult()
                    : arith::MinSIOp::create(b, x, y).getResult();
  }
  llvm_unreachable("all kinds are handled");
}

//===----------------------------------------------------------------------===//
// Indices
//===----------------------------------------------------------------------===//

Value addIndex(LocBuilder &b, Value x, Value y) {
  return b.createOrFold<arith::AddIOp>(x, y);
}
Value addIndex(LocBuilder &b, Value x, int64_t y) {
  return y == 0 ? x : addIndex(b, x, index(b, y));
}
Value subIndex(LocBuilder &b, Value x, Value y) {
  return b.createOrFold<arith::SubIOp>(x, y);
}
Value mulIndex(LocBuilder &b, Value x, int64_t y) {
  return y == 1 ? x : b.createOrFold<arith::MulIOp>(x, index(b, y));
}
Value minIndex(LocBuilder &b, Value x, Value y) {
  return b.createOrFold<arith::MinSIOp>(x, y);
}
Value maxIndex(LocBuilder &b, Value x, Value y) {
  return b.createOrFold<arith::MaxSIOp>(x, y);
}
Value clampIndex(LocBuilder &b, Value x, Value size) {
  return maxIndex(b, minIndex(b, x, addIndex(b, size, -1)), index(b, 0));
}
Value insideIndex(LocBuilder &b, Value x, Value size) {
  // One unsigned comparison tests both ends.
  return arith::CmpIOp::create(b, arith::CmpIPredicate::ult, x, size);
}
Value andBits(LocBuilder &b, Value x, Value y) {
  if (!x)
    return y;
  return b.createOrFold<arith::AndIOp>(x, y);
}

Value materialize(OpBuilder &builder, Location loc, AffineExpr expr) {
  LocBuilder b(loc, builder);
  expr = graph::simplify(expr);
  if (auto constant = graph::constantOf(expr))
    return index(b, *constant);
  if (auto symbol = dyn_cast<AffineSymbolExpr>(expr))
    return exec::SymbolOp::create(b, b.getIndexType(), symbol.getPosition());
  auto binary = cast<AffineBinaryOpExpr>(expr);
  Value x = materialize(b, loc, binary.getLHS());
  Value y = materialize(b, loc, binary.getRHS());
  auto below = [&](Value v, Value w) {
    return b.createOrFold<arith::CmpIOp>(arith::CmpIPredicate::slt, v, w);
  };
  Value zero = index(b, 0);
  switch (binary.getKind()) {
  case AffineExprKind::Add:
    return addIndex(b, x, y);
  case AffineExprKind::Mul:
    return b.createOrFold<arith::MulIOp>(x, y);
  case AffineExprKind::FloorDiv: {
    // divsi rounds toward zero; divisors are positive.
    Value down = subIndex(b, x, addIndex(b, y, -1));
    x = b.createOrFold<arith::SelectOp>(below(x, zero), down, x);
    return b.createOrFold<arith::DivSIOp>(x, y);
  }
  case AffineExprKind::CeilDiv: {
    Value up = addIndex(b, x, addIndex(b, y, -1));
    x = b.createOrFold<arith::SelectOp>(below(zero, x), up, x);
    return b.createOrFold<arith::DivSIOp>(x, y);
  }
  case AffineExprKind::Mod: {
    Value rest = b.createOrFold<arith::RemSIOp>(x, y);
    return b.createOrFold<arith::SelectOp>(below(rest, zero),
                                           addIndex(b, rest, y), rest);
  }
  default:
    llvm_unreachable("not a binary expression");
  }
}

AffineExpr expressionOf(Value index) {
  MLIRContext *context = index.getContext();
  APInt constant;
  if (matchPattern(index, m_ConstantInt(&constant)))
    return getAffineConstantExpr(constant.getSExtValue(), context);
  Operation *op = index.getDefiningOp();
  if (!op)
    return nullptr;
  if (auto symbol = dyn_cast<exec::SymbolOp>(op))
    return getAffineSymbolExpr(symbol.getNumber(), context);
  if (auto cast = dyn_cast<arith::IndexCastOp>(op))
    return expressionOf(cast.getIn());
  // Divisions round by a choice of the dividend's sign: the choice that is
  // made for non-negative ones tells which division it is.
  auto choice = op->getNumOperands() == 2
                    ? op->getOperand(0).getDefiningOp<arith::SelectOp>()
                    : arith::SelectOp();
  if (isa<arith::DivSIOp>(op) && choice) {
    auto compare = choice.getCondition().getDefiningOp<arith::CmpIOp>();
    AffineExpr x = expressionOf(choice.getFalseValue());
    AffineExpr y = expressionOf(op->getOperand(1));
    if (!compare || !x || !y)
      return nullptr;
    // Folding may turn a comparison round.
    bool first = compare.getLhs() == choice.getFalseValue();
    if (!first && compare.getRhs() != choice.getFalseValue())
      return nullptr;
    switch (compare.getPredicate()) {
    case arith::CmpIPredicate::slt:
      return first ? x.floorDiv(y) : x.ceilDiv(y);
    case arith::CmpIPredicate::sgt:
      return first ? x.ceilDiv(y) : x.floorDiv(y);
    default:
      return nullptr;
    }
  }
  if (auto select = dyn_cast<arith::SelectOp>(op)) {
    auto rest = select.getFalseValue().getDefiningOp<arith::RemSIOp>();
    return rest ? expressionOf(rest) : AffineExpr();
  }
  SmallVector<AffineExpr> operands;
  for (Value operand : op->getOperands()) {
    operands.push_back(expressionOf(operand));
    if (!operands.back())
      return nullptr;
  }
  if (auto apply = dyn_cast<affine::AffineApplyOp>(op)) {
    AffineMap map = apply.getAffineMap();
    return map.getResult(0).replaceDimsAndSymbols(
        ArrayRef(operands).take_front(map.getNumDims()),
        ArrayRef(operands).drop_front(map.getNumDims()));
  }
  return llvm::TypeSwitch<Operation *, AffineExpr>(op)
      .Case([&](arith::AddIOp) { return operands[0] + operands[1]; })
      .Case([&](arith::SubIOp) { return operands[0] - operands[1]; })
      .Case([&](arith::MulIOp) { return operands[0] * operands[1]; })
      .Case<arith::DivUIOp, arith::DivSIOp, arith::FloorDivSIOp>(
          [&](auto) { return operands[0].floorDiv(operands[1]); })
      .Case<arith::CeilDivSIOp, arith::CeilDivUIOp>(
          [&](auto) { return operands[0].ceilDiv(operands[1]); })
      .Case<arith::RemUIOp, arith::RemSIOp>(
          [&](auto) { return operands[0] % operands[1]; })
      .Default([](Operation *) { return AffineExpr(); });
}

SmallVector<Value> loopIndices(LocBuilder &b, unsigned loops) {
  SmallVector<Value> indices;
  for (unsigned i = 0; i < loops; ++i)
    indices.push_back(linalg::IndexOp::create(b, i));
  return indices;
}

Value indexOf(LocBuilder &b, AffineExpr expr, ArrayRef<Value> loops) {
  if (auto constant = dyn_cast<AffineConstantExpr>(expr))
    return index(b, constant.getValue());
  if (auto dim = dyn_cast<AffineDimExpr>(expr))
    return loops[dim.getPosition()];
  auto binary = cast<AffineBinaryOpExpr>(expr);
  Value x = indexOf(b, binary.getLHS(), loops);
  Value y = indexOf(b, binary.getRHS(), loops);
  assert((expr.getKind() == AffineExprKind::Add ||
          expr.getKind() == AffineExprKind::Mul) &&
         "positions are sums of products");
  return expr.getKind() == AffineExprKind::Add
             ? addIndex(b, x, y)
             : b.createOrFold<arith::MulIOp>(x, y);
}

Value extract(LocBuilder &b, Value tensor, ValueRange indices) {
  return tensor::ExtractOp::create(b, tensor, indices);
}

//===----------------------------------------------------------------------===//
// Writer
//===----------------------------------------------------------------------===//

Value Writer::lowered(Value value) {
  RankedTensorType type = loweredType(cast<RankedTensorType>(value.getType()));
  if (auto cast = value.getDefiningOp<UnrealizedConversionCastOp>())
    if (cast.getNumOperands() == 1 && cast.getOperand(0).getType() == type)
      return cast.getOperand(0);
  if (value.getType() == type)
    return value;
  return UnrealizedConversionCastOp::create(b, type, value).getResult(0);
}

SmallVector<Value> Writer::sizes(ArrayRef<AffineExpr> dims) {
  SmallVector<Value> values;
  for (AffineExpr dim : dims)
    values.push_back(size(dim));
  return values;
}

Value Writer::empty(ArrayRef<AffineExpr> dims, Type element) {
  RankedTensorType type = graph::makeType(dims, signless(element));
  SmallVector<Value> dynamic;
  for (auto [i, dim] : llvm::enumerate(dims))
    if (type.isDynamicDim(i))
      dynamic.push_back(size(dim));
  return tensor::EmptyOp::create(b, type.getShape(), type.getElementType(),
                                 dynamic);
}

ValueRange Writer::generic(ValueRange ins, ArrayRef<AffineMap> inMaps,
                           ValueRange outs, ArrayRef<AffineMap> outMaps,
                           unsigned loops, ArrayRef<unsigned> reductionLoops,
                           Body body) {
  SmallVector<utils::IteratorType> iterators(loops,
                                             utils::IteratorType::parallel);
  for (unsigned loop : reductionLoops)
    iterators[loop] = utils::IteratorType::reduction;
  SmallVector<AffineMap> maps(inMaps);
  llvm::append_range(maps, outMaps);
  auto op = linalg::GenericOp::create(
      b, TypeRange(outs), ins, outs, maps, iterators,
      [&](OpBuilder &nested, Location loc, ValueRange args) {
        LocBuilder inner(loc, nested);
        linalg::YieldOp::create(inner, body(inner, args));
      });
  return op.getResults();
}

Value Writer::fill(ArrayRef<AffineExpr> dims, TypedAttr value) {
  return elementwise(dims, value.getType(), {}, {},
                     [&](LocBuilder &b, ValueRange) -> SmallVector<Value> {
                       return {arith::ConstantOp::create(b, value)};
                     });
}

Value Writer::elementwise(ArrayRef<AffineExpr> dims, Type element,
                          ValueRange ins, ArrayRef<AffineMap> inMaps,
                          Body body) {
  unsigned rank = dims.size();
  return generic(ins, inMaps, empty(dims, element), identity(rank), rank, {},
                 body)[0];
}

void Writer::replace(ValueRange results) {
  SmallVector<Value> values;
  for (auto [result, value] : llvm::zip(op->getResults(), results)) {
    if (value.getType() == result.getType()) {
      values.push_back(value);
      continue;
    }
    values.push_back(
        UnrealizedConversionCastOp::create(b, result.getType(), value)
            .getResult(0));
  }
  rewriter.replaceOp(op, values);
}

} // namespace aicc::lowering
