//===- Evaluate.h - graph operators on constants ----------------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A small interpreter: data movement on raw bytes, elementwise operators and
// reductions in the element's own precision (f16 and bf16 through f32). Used
// by constant folding and by the preparation of weights. Results larger than a
// few elements are resource blobs, which MLIR neither hashes nor copies.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_COMPILER_TRANSFORMS_EVALUATE_H
#define AICC_COMPILER_TRANSFORMS_EVALUATE_H

#include "mlir/IR/AsmState.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Operation.h"

#include <vector>

namespace aicc::transforms {

/// Bytes that an element takes in memory (i1 takes one); 0 for a type that
/// constants can't have here.
unsigned bytesOf(mlir::Type element);

/// The elements of a constant: row-major, or one element of a splat. Points
/// into the attribute, or into `owned` where the attribute stores it otherwise.
struct ConstantData {
  mlir::RankedTensorType type;
  llvm::ArrayRef<char> bytes;
  bool splat = false;
  std::vector<char> owned;

  ConstantData() = default;
  ConstantData(ConstantData &&) = default;
  ConstantData &operator=(ConstantData &&) = default;
};

/// Empty if the attribute's element type or form is not supported.
std::optional<ConstantData> dataOf(mlir::ElementsAttr attribute);

/// A constant with the given elements. `splat`: one element for all.
mlir::ElementsAttr makeConstant(mlir::RankedTensorType type,
                                mlir::AsmResourceBlob blob);
mlir::ElementsAttr makeSplat(mlir::RankedTensorType type,
                             llvm::ArrayRef<char> element);
/// From f64 values, converted to the element type.
mlir::ElementsAttr makeConstant(mlir::RankedTensorType type,
                                llvm::ArrayRef<double> values);

/// The element of a constant that is the same everywhere, as a double.
std::optional<double> splatValue(mlir::Value value);

/// The result of `op` on constant operands; null if it is not supported.
mlir::ElementsAttr evaluate(mlir::Operation *op,
                            llvm::ArrayRef<mlir::ElementsAttr> operands);

/// Whether `evaluate` knows the operator.
bool canEvaluate(mlir::Operation *op);

} // namespace aicc::transforms

#endif // AICC_COMPILER_TRANSFORMS_EVALUATE_H
