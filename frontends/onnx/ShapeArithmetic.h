//===- ShapeArithmetic.h - arithmetic with known scalars --------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every function gives nothing where the result cannot be told: an overflow,
// an expression that grows too long, a comparison that depends on a symbol.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_FRONTENDS_ONNX_SHAPEARITHMETIC_H
#define AICC_FRONTENDS_ONNX_SHAPEARITHMETIC_H

#include "frontends/onnx/Node.h"

namespace aicc::onnx::scalars {

using Maybe = std::optional<Scalar>;

/// More elements are data, not shapes.
inline constexpr int64_t maxKnown = 256;

enum class Action {
  add,
  sub,
  mul,
  div,
  mod,
  max,
  min,
  equal,
  less,
  lessEqual,
  greater,
  greaterEqual,
  logicalAnd,
  logicalOr
};

Maybe integer(mlir::MLIRContext *context, int64_t value);
/// Rounds to the precision of the element type. Whole numbers become
/// expressions, so that a size that passes through floats is still a size.
Maybe number(mlir::MLIRContext *context, mlir::Type element, double value);
std::optional<double> numeric(const Scalar &scalar);
/// The integer if the element type can hold it.
Maybe wrap(mlir::MLIRContext *context, mlir::Type element, int64_t value);
Maybe arithmetic(mlir::MLIRContext *context, Action action, const Scalar &a,
                 const Scalar &b, mlir::Type element);

} // namespace aicc::onnx::scalars

#endif // AICC_FRONTENDS_ONNX_SHAPEARITHMETIC_H
