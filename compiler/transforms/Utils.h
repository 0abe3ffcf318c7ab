//===- Utils.h - what several passes share ----------------------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef AICC_COMPILER_TRANSFORMS_UTILS_H
#define AICC_COMPILER_TRANSFORMS_UTILS_H

#include "dialects/graph/Dims.h"
#include "dialects/graph/Graph.h"

#include "mlir/IR/PatternMatch.h"

namespace aicc::transforms {

/// Whether the value depends on constants only (through operators that the
/// evaluator knows).
bool isConstantDerived(mlir::Value value);

/// A float of eight bits with a mantissa, or a tensor of those.
bool isFloat8(mlir::Type type);

/// inverse[permutation[i]] = i.
llvm::SmallVector<int64_t> inverseOf(llvm::ArrayRef<int64_t> permutation);
bool isIdentity(llvm::ArrayRef<int64_t> permutation);

template <typename T>
llvm::SmallVector<T> permute(llvm::ArrayRef<T> values,
                             llvm::ArrayRef<int64_t> permutation) {
  llvm::SmallVector<T> result;
  for (int64_t from : permutation)
    result.push_back(values[from]);
  return result;
}

/// The operand itself where the permutation is the identity.
mlir::Value transposed(mlir::OpBuilder &builder, mlir::Location loc,
                       mlir::Value value, llvm::ArrayRef<int64_t> permutation);
/// The operand itself where the dimensions are the same; looks through
/// reshapes.
mlir::Value reshaped(mlir::OpBuilder &builder, mlir::Location loc,
                     mlir::Value value, llvm::ArrayRef<mlir::AffineExpr> dims);

/// `op` again on other operands, with other result dimensions.
mlir::Operation *cloneWith(mlir::OpBuilder &builder, mlir::Operation *op,
                           mlir::ValueRange operands,
                           llvm::ArrayRef<mlir::AffineExpr> dims);

/// Dimensions that a reshape keeps together: `from` of the operand become `to`
/// of the result; one of the two counts is 1, or 0 for a unit dimension that
/// comes or goes.
struct ReshapeGroup {
  unsigned fromBegin, fromCount, toBegin, toCount;
};
/// Empty where the reshape is not made of such groups.
std::optional<llvm::SmallVector<ReshapeGroup>>
groupsOf(llvm::ArrayRef<mlir::AffineExpr> from,
         llvm::ArrayRef<mlir::AffineExpr> to);

/// A broadcast along every dimension but one: the operand, of which `wide` is
/// the dimension that is not 1, and the result's dimension that it becomes.
struct ChannelVector {
  mlir::Value operand;
  int64_t wide;
  int64_t dimension;

  /// The operand with rank 1.
  mlir::Value vector(mlir::OpBuilder &builder) const;
};
std::optional<ChannelVector> matchChannelVector(mlir::Value value);

} // namespace aicc::transforms

#endif // AICC_COMPILER_TRANSFORMS_UTILS_H
