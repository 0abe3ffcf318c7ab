//===- Elementwise.cpp - operators that act on each element ---------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/graph/Dims.h"
#include "dialects/graph/Graph.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/APFloat.h"

using namespace mlir;
using namespace aicc::graph;

/// Predicates: the operand's dimensions, i1.
static LogicalResult inferPredicate(MLIRContext *context, ValueRange operands,
                                    SmallVectorImpl<Type> &types) {
  auto type = operands.empty()
                  ? RankedTensorType()
                  : dyn_cast<RankedTensorType>(operands[0].getType());
  if (!type)
    return failure();
  if (operands.size() > 1)
    if (auto other = dyn_cast<RankedTensorType>(operands[1].getType()))
      if (other.getRank() == type.getRank()) {
        SmallVector<AffineExpr> dims;
        for (int64_t i = 0; i < type.getRank(); ++i)
          dims.push_back(unify(dimOf(type, i), dimOf(other, i)));
        type = makeType(dims, type.getElementType());
      }
  types.push_back(withElement(type, IntegerType::get(context, 1)));
  return success();
}

LogicalResult CompareOp::inferReturnTypes(MLIRContext *context,
                                          std::optional<Location>,
                                          ValueRange operands, DictionaryAttr,
                                          OpaqueProperties, RegionRange,
                                          SmallVectorImpl<Type> &types) {
  return inferPredicate(context, operands, types);
}

LogicalResult IsNanOp::inferReturnTypes(MLIRContext *context,
                                        std::optional<Location>,
                                        ValueRange operands, DictionaryAttr,
                                        OpaqueProperties, RegionRange,
                                        SmallVectorImpl<Type> &types) {
  return inferPredicate(context, operands, types);
}

LogicalResult IsInfOp::inferReturnTypes(MLIRContext *context,
                                        std::optional<Location>,
                                        ValueRange operands, DictionaryAttr,
                                        OpaqueProperties, RegionRange,
                                        SmallVectorImpl<Type> &types) {
  return inferPredicate(context, operands, types);
}

LogicalResult SelectOp::verify() {
  if (getCondition().getType().getShape() != getType().getShape())
    return emitOpError() << "condition is " << getCondition().getType()
                         << ", expected the dimensions of " << getType();
  return success();
}

//===----------------------------------------------------------------------===//
// BitcastOp
//===----------------------------------------------------------------------===//

/// Bits that an element's value has; a boolean is a byte like any other.
static unsigned bitsOf(Type element) {
  if (element.isInteger(1) || !element.isIntOrFloat())
    return elementBytes(element) * 8;
  return element.getIntOrFloatBitWidth();
}

LogicalResult BitcastOp::verify() {
  Type from = getOperand().getType().getElementType();
  Type to = getType().getElementType();
  if (isa<StringType>(from) || isa<StringType>(to) ||
      bitsOf(from) != bitsOf(to))
    return emitOpError() << "reads " << from << " as " << to
                         << ", expected types of the same width";
  return success();
}

OpFoldResult BitcastOp::fold(FoldAdaptor adaptor) {
  if (getOperand().getType() == getType())
    return getOperand();
  // Whole bytes are in an attribute as they are in memory.
  auto elements =
      dyn_cast_or_null<DenseIntOrFPElementsAttr>(adaptor.getOperand());
  auto isWhole = [](Type type) {
    return type.isIntOrFloat() && type.getIntOrFloatBitWidth() % 8 == 0;
  };
  if (!elements || !getType().hasStaticShape() ||
      !isWhole(elements.getElementType()) ||
      !isWhole(getType().getElementType()))
    return {};
  return DenseElementsAttr::getFromRawBuffer(getType(), elements.getRawData());
}

//===----------------------------------------------------------------------===//
// CastOp
//===----------------------------------------------------------------------===//

/// The conversion of one element, as the description of graph.cast says; the
/// values are those of the lowered code.
APFloat aicc::graph::convertFloat(APFloat value, FloatType to, bool overflow,
                                  Rounding rounding) {
  const llvm::fltSemantics &format = to.getFloatSemantics();
  bool lost;
  auto nearest = APFloat::rmNearestTiesToEven;
  if (isa<Float8E8M0FNUType>(to)) {
    value.convert(APFloat::IEEEsingle(), nearest, &lost);
    value.clearSign();
    APFloat least = scalbn(APFloat(1.0f), -127, nearest);
    bool isBelow = value < least;
    if (value.isNaN() || (overflow && isBelow))
      return APFloat::getNaN(format);
    if (isBelow)
      return APFloat(format, APInt(8, 0));
    int exponent = value.isInfinity() ? 128 : ilogb(value);
    if (value.isFinite()) {
      // 1 <= fraction < 2
      float fraction = scalbn(value, -exponent, nearest).convertToFloat();
      exponent += rounding == Rounding::up        ? fraction > 1
                  : rounding == Rounding::nearest ? fraction >= 1.5f
                                                  : 0;
    }
    if (exponent > 127 && overflow)
      return APFloat::getNaN(format);
    return APFloat(format, APInt(8, std::min(exponent, 127) + 127));
  }
  bool isNarrow = to.getWidth() <= 8;
  bool hasNan = llvm::APFloat::semanticsHasNaN(format);
  if (value.isNaN() && !hasNan)
    return APFloat::getZero(format);
  bool isNegative = value.isNegative(), isNan = value.isNaN();
  APFloat result = value;
  if (!value.isInfinity() || hasNan)
    result.convert(format, nearest, &lost);
  if (isNarrow && !isNan && (value.isInfinity() || !result.isFinite()) &&
      (!overflow || !hasNan))
    return APFloat::getLargest(format, isNegative);
  return result;
}

static Attribute convert(Attribute element, Type from, Type to, bool overflow,
                         Rounding rounding) {
  auto makeFloat = [&](const APFloat &v) { return FloatAttr::get(to, v); };
  if (auto value = dyn_cast<FloatAttr>(element)) {
    APFloat v = value.getValue();
    if (auto type = dyn_cast<FloatType>(to))
      return makeFloat(convertFloat(v, type, overflow, rounding));
    auto type = cast<IntegerType>(to);
    if (type.getWidth() == 1)
      return IntegerAttr::get(to, APInt(1, !v.isZero()));
    if (v.isNaN())
      return IntegerAttr::get(to, APInt(type.getWidth(), 0));
    if (type.getWidth() < 8) {
      llvm::APSInt whole(32, false);
      bool exact;
      auto status = v.convertToInteger(whole, APFloat::rmTowardZero, &exact);
      return IntegerAttr::get(to, status & APFloat::opInvalidOp
                                      ? APInt(type.getWidth(), 0)
                                      : whole.trunc(type.getWidth()));
    }
    // Conversion of APFloat saturates.
    llvm::APSInt result(type.getWidth(), type.isUnsigned());
    bool exact;
    v.convertToInteger(result, APFloat::rmTowardZero, &exact);
    return IntegerAttr::get(to, APInt(result));
  }
  auto value = dyn_cast<IntegerAttr>(element);
  if (!value)
    return {};
  APInt v = value.getValue();
  auto source = cast<IntegerType>(from);
  bool isUnsigned = source.isUnsigned() || source.getWidth() == 1;
  if (auto type = dyn_cast<FloatType>(to)) {
    bool isNarrow = type.getWidth() <= 8;
    APFloat result(isNarrow ? APFloat::IEEEsingle() : type.getFloatSemantics());
    result.convertFromAPInt(v, !isUnsigned, APFloat::rmNearestTiesToEven);
    return makeFloat(isNarrow ? convertFloat(result, type, overflow, rounding)
                              : result);
  }
  auto type = dyn_cast<IntegerType>(to);
  if (!type)
    return {};
  if (type.getWidth() == 1)
    return IntegerAttr::get(to, APInt(1, !v.isZero()));
  return IntegerAttr::get(to, isUnsigned ? v.zextOrTrunc(type.getWidth())
                                         : v.sextOrTrunc(type.getWidth()));
}

OpFoldResult CastOp::fold(FoldAdaptor adaptor) {
  if (getOperand().getType() == getType())
    return getOperand();
  // Only what is small: weights are converted by the program, not here.
  auto elements = dyn_cast_or_null<DenseElementsAttr>(adaptor.getOperand());
  constexpr int64_t limit = 1024;
  if (!elements || !getType().hasStaticShape() ||
      (!elements.isSplat() && elements.getNumElements() > limit))
    return {};
  Type from = elements.getElementType(), to = getType().getElementType();
  auto type = getType();
  auto converted = [&](Attribute element) {
    return convert(element, from, to, getOverflow(),
                   getRounding().value_or(Rounding::up));
  };
  if (elements.isSplat()) {
    Attribute value = converted(elements.getSplatValue<Attribute>());
    return value ? DenseElementsAttr::get(type, value) : OpFoldResult();
  }
  SmallVector<Attribute> values;
  for (Attribute element : elements.getValues<Attribute>()) {
    values.push_back(converted(element));
    if (!values.back())
      return {};
  }
  return DenseElementsAttr::get(type, values);
}
