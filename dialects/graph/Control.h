//===- Control.h - symbols that operators bind ------------------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A symbol that `graph.read` or a loop's `trips` binds is a dependence that no
// operand shows. All functions are pure but for `orderBySymbols`.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_DIALECTS_GRAPH_CONTROL_H
#define AICC_DIALECTS_GRAPH_CONTROL_H

#include "dialects/graph/Graph.h"

#include "llvm/ADT/SetVector.h"

namespace aicc::graph {

/// Symbols of a type's dimensions.
void addSymbols(mlir::Type type, llvm::SmallSetVector<int64_t, 8> &into);
/// Symbols that the operator's types and attributes use, its regions' too.
llvm::SmallSetVector<int64_t, 8> usedSymbols(mlir::Operation *op);
/// Symbols that it binds by reading or counting, its regions' too.
llvm::SmallSetVector<int64_t, 8> boundSymbols(mlir::Operation *op);

/// Moves operators behind what binds the symbols that they use; what already
/// stands right keeps its order.
void orderBySymbols(mlir::Block &block);

} // namespace aicc::graph

#endif // AICC_DIALECTS_GRAPH_CONTROL_H
