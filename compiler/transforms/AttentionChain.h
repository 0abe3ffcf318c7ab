//===- AttentionChain.h - attention among operators -------------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The canonical form of attention: a product whose result only goes through
// elementwise operators into a softmax, whose result goes through conversions
// and choices into a second product that sums over the softmax's axis. Pure:
// nothing is changed.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_COMPILER_TRANSFORMS_ATTENTIONCHAIN_H
#define AICC_COMPILER_TRANSFORMS_ATTENTIONCHAIN_H

#include "dialects/graph/Graph.h"

#include <optional>

namespace aicc::transforms {

struct AttentionChain {
  graph::DotGeneralOp scores, product;
  graph::SoftmaxOp softmax;
  llvm::SmallVector<mlir::Operation *> ops; // all of them
};

/// The chain that begins with a product, if nobody else uses what is computed
/// on the way and one kernel can do it without scores in memory: each row of
/// weights is the exponentials times one number.
std::optional<AttentionChain> matchAttentionChain(graph::DotGeneralOp scores);

} // namespace aicc::transforms

#endif // AICC_COMPILER_TRANSFORMS_ATTENTIONCHAIN_H
