//===- Names.h - names of values and of the nodes they came from -*- C++ -*-==//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A location says two things about an operation: which of the model's tensors
// its result is, and which of the model's nodes it belongs to:
//
//   loc("conv1_out"("node:conv1"))   the result is the tensor `conv1_out`
//   loc("node:conv1")                an intermediate value of the node `conv1`
//   loc("weight")                    an input or a weight: no node
//
// All functions are pure.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_DIALECTS_GRAPH_NAMES_H
#define AICC_DIALECTS_GRAPH_NAMES_H

#include "mlir/IR/Location.h"

namespace aicc::graph {

inline constexpr llvm::StringLiteral nodePrefix = "node:";

/// The location of an intermediate value of a node.
inline mlir::Location nodeLocation(mlir::MLIRContext *context,
                                   llvm::StringRef node) {
  return mlir::NameLoc::get(mlir::StringAttr::get(context, nodePrefix + node));
}

/// The location of a tensor of the model that a node computes.
inline mlir::Location valueLocation(mlir::MLIRContext *context,
                                    llvm::StringRef value,
                                    llvm::StringRef node) {
  return mlir::NameLoc::get(mlir::StringAttr::get(context, value),
                            nodeLocation(context, node));
}

/// The name of the model's tensor; empty for an intermediate value.
inline llvm::StringRef valueName(mlir::Location loc) {
  auto name = mlir::dyn_cast<mlir::NameLoc>(loc);
  if (!name || name.getName().getValue().starts_with(nodePrefix))
    return {};
  return name.getName().getValue();
}

/// The name of the model's node; empty for inputs and weights.
inline llvm::StringRef nodeName(mlir::Location loc) {
  while (auto name = mlir::dyn_cast<mlir::NameLoc>(loc)) {
    llvm::StringRef text = name.getName().getValue();
    if (text.consume_front(nodePrefix))
      return text;
    loc = name.getChildLoc();
  }
  return {};
}

} // namespace aicc::graph

#endif // AICC_DIALECTS_GRAPH_NAMES_H
