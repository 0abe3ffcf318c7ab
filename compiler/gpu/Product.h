//===- Product.h - what all ways to tile a product share --------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A matmul, a convolution, anything of the form acc + a * b is a product of
// matrices once its loops are grouped: those of a only are the rows, those of b
// only the columns, the reduced ones the depth, those of both the batch. What
// consumes the product elementwise is computed from its sums.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_COMPILER_GPU_PRODUCT_H
#define AICC_COMPILER_GPU_PRODUCT_H

#include "compiler/gpu/Analysis.h"

namespace aicc::gpu {

/// The one product in which all of a kernel's results are elementwise, with
/// rows, columns and sizes known as expressions.
std::optional<Contraction> matchProduct(exec::KernelOp kernel);

/// The number of points of some loops; sizes that aren't known are taken to be
/// large.
int64_t estimatedSize(ArrayRef<AffineExpr> loops, ArrayRef<unsigned> dims);

/// Whether a value of the body moves through neighbours in memory when `loop`
/// does, and not when `other` does.
bool runsAlong(mlir::linalg::GenericOp generic, Value inBody, unsigned loop,
               unsigned other);

/// Stores the kernel's results, given sums of the product.
class ProductResults {
public:
  ProductResults(Emitter &e, const Contraction &product);

  /// What an accumulator begins with.
  Value start;
  /// How many neighbouring columns, of `most` wanted, one call may store.
  unsigned run(unsigned most) const;
  /// The sums at `point` (the value of each loop; batch and rows are set) and
  /// the columns from `columnIndex` on.
  void store(SmallVector<Value> &point, ArrayRef<Value> columnIndex,
             ArrayRef<Value> sums);

private:
  Emitter &e;
  Contraction c;
  mlir::Type type;
  Value init; // null if it isn't the same everywhere
  mlir::AffineMap map;
};

} // namespace aicc::gpu

#endif // AICC_COMPILER_GPU_PRODUCT_H
