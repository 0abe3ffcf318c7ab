//===- Dims.h - dimensions as expressions over symbols ----------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A dimension is an AffineExpr without dimension identifiers: a constant or an
// expression over the module's symbols. All functions are pure; attributes and
// types belong to their MLIRContext, and any thread may call them.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_DIALECTS_GRAPH_DIMS_H
#define AICC_DIALECTS_GRAPH_DIMS_H

#include "mlir/IR/AffineExpr.h"
#include "mlir/IR/AffineMap.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"

namespace aicc::graph {

/// The name of the module attribute that lists the symbols' names.
inline constexpr llvm::StringLiteral symbolsAttrName = "graph.symbols";

/// An expression list as a map without dimensions and with the smallest number
/// of symbols that covers it, so that equal lists are equal attributes.
mlir::AffineMap makeMap(llvm::ArrayRef<mlir::AffineExpr> exprs,
                        mlir::MLIRContext *context);
mlir::AffineMap makeMap(llvm::ArrayRef<int64_t> values,
                        mlir::MLIRContext *context);

/// `tensor<dims x element>`; constants become static sizes, and an encoding is
/// attached where any dimension is an expression. A negative number, which only
/// a wrong program can lead to, becomes 0; a null dimension has no expression,
/// and verifiers reject the type.
mlir::RankedTensorType makeType(llvm::ArrayRef<mlir::AffineExpr> dims,
                                mlir::Type element);

/// Size of one dimension / of all dimensions. A dynamic dimension without an
/// encoding gives a null expression.
mlir::AffineExpr dimOf(mlir::RankedTensorType type, unsigned index);
llvm::SmallVector<mlir::AffineExpr> dimsOf(mlir::RankedTensorType type);
llvm::SmallVector<mlir::AffineExpr> dimsOf(mlir::Value value);

/// The same dimensions with another element type; the same type without
/// encoding (what linalg works on).
mlir::RankedTensorType withElement(mlir::RankedTensorType type,
                                   mlir::Type element);
mlir::RankedTensorType withoutEncoding(mlir::RankedTensorType type);

/// Number of elements as an expression; 1 for a scalar, null if a dimension is.
mlir::AffineExpr numElements(mlir::RankedTensorType type);

/// The value if the expression is a constant.
std::optional<int64_t> constantOf(mlir::AffineExpr expr);
bool isConstant(mlir::AffineExpr expr, int64_t value);

/// Simplified, canonical form (s0 + s1 and s1 + s0 compare equal).
mlir::AffineExpr simplify(mlir::AffineExpr expr);
/// Whether two dimensions are known to be equal / known to differ.
bool equal(mlir::AffineExpr a, mlir::AffineExpr b);
bool different(mlir::AffineExpr a, mlir::AffineExpr b);
/// The one of two dimensions that must be equal which says more: a number
/// rather than an expression, anything rather than null.
mlir::AffineExpr unify(mlir::AffineExpr a, mlir::AffineExpr b);

/// The expression as a message shows it.
std::string toString(mlir::AffineExpr expr);

/// The result of evaluating `expr` with the given symbol values; empty on
/// overflow, division by zero or a symbol without value.
std::optional<int64_t> evaluate(mlir::AffineExpr expr,
                                llvm::ArrayRef<int64_t> symbols);

} // namespace aicc::graph

#endif // AICC_DIALECTS_GRAPH_DIMS_H
