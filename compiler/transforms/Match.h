//===- Match.h - small matchers for recognition -----------------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the passes that recognise decomposed operators share. A matcher gives
// the value it found, or null.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_COMPILER_TRANSFORMS_MATCH_H
#define AICC_COMPILER_TRANSFORMS_MATCH_H

#include "compiler/transforms/Evaluate.h"
#include "dialects/graph/Dims.h"
#include "dialects/graph/Graph.h"

#include "mlir/IR/Builders.h"

namespace aicc::transforms {

/// Whether the value is `number` everywhere, to the precision of its type.
bool isSplat(mlir::Value value, double number);

/// The other operand of a commutative operator with a constant that is the
/// same everywhere, and that constant. Subtracting and dividing by one count
/// as adding and multiplying.
struct WithScalar {
  mlir::Value value;
  double scalar = 0;
  explicit operator bool() const { return bool(value); }
};
WithScalar addedScalar(mlir::Value value);
WithScalar multipliedScalar(mlir::Value value);

/// x where `value` is f(x).
template <typename Op> mlir::Value operandOf(mlir::Value value) {
  auto op = value ? value.getDefiningOp<Op>() : Op();
  return op ? op->getOperand(0) : mlir::Value();
}

/// x where `value` is x * x, or x to the power of two.
mlir::Value squared(mlir::Value value);

/// The value before reshapes that keep the number of elements.
mlir::Value beneathReshapes(mlir::Value value);

/// A scalar of a type, broadcast to it.
mlir::Value splat(mlir::OpBuilder &builder, mlir::Location loc,
                  mlir::RankedTensorType type, double number);

} // namespace aicc::transforms

#endif // AICC_COMPILER_TRANSFORMS_MATCH_H
