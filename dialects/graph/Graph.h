//===- Graph.h - the graph dialect ------------------------------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef AICC_DIALECTS_GRAPH_GRAPH_H
#define AICC_DIALECTS_GRAPH_GRAPH_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace aicc::graph {

/// All operands and results have the same dimensions (element types may
/// differ); the operator acts on each element by itself.
mlir::LogicalResult verifyElementwise(mlir::Operation *op);

/// Whether every dynamic dimension of a tensor type has an expression (and the
/// encoding, if any, agrees with the static sizes).
bool hasDims(mlir::Type type);

/// Bytes that an element takes in memory, the same on every device: integers
/// and floats narrower than a byte take one, a string 16. 0 for a type that
/// tensors can't have.
unsigned elementBytes(mlir::Type element);

/// The type of an element inside a kernel: integers without a sign; the bits of
/// what is narrower than a byte and of floats of a byte as `i8`; complex
/// numbers and strings, which kernels only move, as an integer of their size.
mlir::Type storedType(mlir::Type element);

/// The same element types, and no dimension that is known to differ.
bool compatibleTypes(mlir::TypeRange inferred, mlir::TypeRange declared);

template <typename ConcreteType>
class Elementwise : public mlir::OpTrait::TraitBase<ConcreteType, Elementwise> {
public:
  static mlir::LogicalResult verifyTrait(mlir::Operation *op) {
    return verifyElementwise(op);
  }
};

} // namespace aicc::graph

#include "dialects/graph/GraphDialect.h.inc"
#include "dialects/graph/GraphEnums.h.inc"

#define GET_TYPEDEF_CLASSES
#include "dialects/graph/GraphTypes.h.inc"

namespace aicc::graph {
/// The conversion of a float as graph.cast describes it.
llvm::APFloat convertFloat(llvm::APFloat value, mlir::FloatType to,
                           bool overflow = false,
                           Rounding rounding = Rounding::up);
} // namespace aicc::graph

#define GET_ATTRDEF_CLASSES
#include "dialects/graph/GraphAttributes.h.inc"

#define GET_OP_CLASSES
#include "dialects/graph/GraphOps.h.inc"

#endif // AICC_DIALECTS_GRAPH_GRAPH_H
