//===- Elementwise.cpp - operators that act on each element ---------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/graph/Dims.h"
#include "dialects/graph/Graph.h"

#include "mlir/IR/Builders.h"

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
// CastOp
//===----------------------------------------------------------------------===//

/// The conversion of one element, as the description of graph.cast says; the
/// values are those of the lowered code.
static APFloat convertFloat(APFloat value, FloatType to) {
  bool lost;
  value.convert(to.getFloatSemantics(), APFloat::rmNearestTiesToEven, &lost);
  return value;
}

static Attribute convert(Attribute element, Type from, Type to) {
  auto makeFloat = [&](const APFloat &v) { return FloatAttr::get(to, v); };
  if (auto value = dyn_cast<FloatAttr>(element)) {
    APFloat v = value.getValue();
    if (auto type = dyn_cast<FloatType>(to))
      return makeFloat(convertFloat(v, type));
    auto type = cast<IntegerType>(to);
    if (type.getWidth() == 1)
      return IntegerAttr::get(to, APInt(1, !v.isZero()));
    if (v.isNaN())
      return IntegerAttr::get(to, APInt(type.getWidth(), 0));
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
    APFloat result(type.getFloatSemantics());
    result.convertFromAPInt(v, !isUnsigned, APFloat::rmNearestTiesToEven);
    return makeFloat(result);
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
  if (elements.isSplat()) {
    Attribute value = convert(elements.getSplatValue<Attribute>(), from, to);
    return value ? DenseElementsAttr::get(type, value) : OpFoldResult();
  }
  SmallVector<Attribute> values;
  for (Attribute element : elements.getValues<Attribute>()) {
    values.push_back(convert(element, from, to));
    if (!values.back())
      return {};
  }
  return DenseElementsAttr::get(type, values);
}
