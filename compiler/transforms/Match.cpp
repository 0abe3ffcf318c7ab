//===- Match.cpp - small matchers for recognition -------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/transforms/Match.h"

#include <cmath>

using namespace mlir;
using namespace aicc;
using namespace aicc::graph;

namespace aicc::transforms {

bool isSplat(Value value, double number) {
  auto splat = value ? splatValue(value) : std::nullopt;
  // Exporters write the constant in the model's type, rounded.
  auto type = dyn_cast<FloatType>(getElementTypeOrSelf(value.getType()));
  double precision = !type                                ? 0
                     : type.getIntOrFloatBitWidth() >= 64 ? 1e-9
                     : type.isF32()                       ? 1e-6
                                                          : 4e-3;
  return splat && std::abs(*splat - number) <= precision * std::abs(number);
}

template <typename Op, typename Inverse>
static WithScalar with(Value value, double (*inverse)(double)) {
  if (!value)
    return {};
  if (auto op = value.getDefiningOp<Op>())
    for (unsigned side : {0, 1})
      if (auto scalar = splatValue(op->getOperand(side)))
        return {op->getOperand(1 - side), *scalar};
  if (auto op = value.getDefiningOp<Inverse>())
    if (auto scalar = splatValue(op->getOperand(1)))
      return {op->getOperand(0), inverse(*scalar)};
  return {};
}

WithScalar addedScalar(Value value) {
  return with<AddOp, SubtractOp>(value, [](double x) { return -x; });
}

WithScalar multipliedScalar(Value value) {
  return with<MultiplyOp, DivideOp>(value, [](double x) { return 1 / x; });
}

Value squared(Value value) {
  if (!value)
    return {};
  if (auto product = value.getDefiningOp<MultiplyOp>())
    return product.getLhs() == product.getRhs() ? product.getLhs() : Value();
  auto power = value.getDefiningOp<PowerOp>();
  return power && isSplat(power.getRhs(), 2) ? power.getLhs() : Value();
}

Value beneathReshapes(Value value) {
  while (auto reshape = value ? value.getDefiningOp<ReshapeOp>() : ReshapeOp())
    value = reshape.getOperand();
  return value;
}

Value splat(OpBuilder &builder, Location loc, RankedTensorType type,
            double number) {
  auto scalar = RankedTensorType::get({}, type.getElementType());
  Value constant =
      graph::ConstantOp::create(builder, loc, makeConstant(scalar, {number}));
  return BroadcastOp::create(builder, loc, type, constant,
                             builder.getDenseI64ArrayAttr({}));
}

} // namespace aicc::transforms
