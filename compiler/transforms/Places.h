//===- Places.h - which target of a set an operator is for ------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Passes of the stage `kernels` that decide by a target's record take such
// functions where a variant is for a set of targets. They must be pure, and
// follow from an operator's location, which is what passes keep.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_COMPILER_TRANSFORMS_PLACES_H
#define AICC_COMPILER_TRANSFORMS_PLACES_H

#include "mlir/IR/Operation.h"

#include <functional>
#include <vector>

namespace aicc::transforms {

/// Whether a pass may touch an operator; null: all of them.
using OperatorFilter = std::function<bool(mlir::Operation *)>;

/// The targets of a set.
struct Places {
  /// The number of an operator's target; null: 0 for all.
  std::function<unsigned(mlir::Operation *)> of = {};
  /// For each target whether attention may become one kernel.
  std::vector<bool> attention = {false};
};

} // namespace aicc::transforms

#endif // AICC_COMPILER_TRANSFORMS_PLACES_H
