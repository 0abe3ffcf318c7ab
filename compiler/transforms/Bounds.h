//===- Bounds.h - how large the values of a model can be --------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Interval arithmetic over a function, one step per operator in program order,
// loops and branches included. What comes from outside and what products give
// is assumed to be of ordinary size; everything that is computed from such
// values is followed from there.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_COMPILER_TRANSFORMS_BOUNDS_H
#define AICC_COMPILER_TRANSFORMS_BOUNDS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Value.h"
#include "llvm/ADT/DenseMap.h"

namespace aicc::transforms {

/// What inputs and the results of products are assumed not to exceed. The
/// values of trained networks are of this size; it need not be exact, as only
/// factors in the thousands, exponentials and constants decide anything.
inline constexpr double ordinaryMagnitude = 64;

struct Bound {
  double low = -ordinaryMagnitude, high = ordinaryMagnitude;
  bool assumed = true; // not proven
  bool whole = false;  // whole numbers from integers, such as positions

  double magnitude() const;
};

class Bounds {
public:
  explicit Bounds(mlir::func::FuncOp function);

  /// For values of float types; infinities among constants don't count.
  Bound of(mlir::Value value) const { return bounds.lookup(value); }

private:
  void visit(mlir::Operation *op);
  Bound result(mlir::Operation *op) const;
  Bound elementwise(mlir::Operation *op) const;
  Bound cast(mlir::Operation *op) const;

  llvm::DenseMap<mlir::Value, Bound> bounds;
};

} // namespace aicc::transforms

#endif // AICC_COMPILER_TRANSFORMS_BOUNDS_H
