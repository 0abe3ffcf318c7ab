//===- Writer.h - what every lowering of a graph operator needs -*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A Writer replaces one graph operator in a kernel body by linalg.generic
// operations. Lowered values have no encoding and signless elements; they are
// joined to the graph values around them by unrealized casts, which cancel
// when the whole body has been lowered.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_COMPILER_LOWERING_WRITER_H
#define AICC_COMPILER_LOWERING_WRITER_H

#include "compiler/lowering/Lowering.h"
#include "dialects/graph/Dims.h"
#include "dialects/graph/Graph.h"

#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/PatternMatch.h"

namespace aicc::lowering {

using Dims = llvm::SmallVector<mlir::AffineExpr>;
using LocBuilder = mlir::ImplicitLocOpBuilder;

/// graph::storedType.
mlir::Type signless(mlir::Type type);
mlir::RankedTensorType loweredType(mlir::RankedTensorType type);
/// How an element type of graph reads its bits.
bool isUnsigned(mlir::Type element);

/// Constants of a scalar type.
mlir::Value number(LocBuilder &b, mlir::Type type, double value);
mlir::Value integer(LocBuilder &b, mlir::Type type, int64_t value);
mlir::Value index(LocBuilder &b, int64_t value);

/// Converts a lowered scalar from one graph element type to another, as
/// graph.cast does.
mlir::Value convertElement(LocBuilder &b, mlir::Value value, mlir::Type from,
                           mlir::Type to, bool overflow = false,
                           graph::Rounding rounding = graph::Rounding::up);

/// The value of an integer narrower than a byte from the bits that count, as
/// the i8 that it is; others as they are.
mlir::Value wrapNarrow(LocBuilder &b, mlir::Value value, mlir::Type element);

/// The type in which sums and products of `element` are accumulated: f32 for
/// narrower floats, i32 for narrower integers. Maxima and minima of integers
/// need no wider type.
mlir::Type accumulatorType(mlir::Type element);
mlir::Type accumulatorType(mlir::Type element, graph::ReduceKind kind);

/// What a reduction starts from, and one step of it; `element` is the graph
/// element type, i1 combines as a truth value.
mlir::TypedAttr identityOf(graph::ReduceKind kind, mlir::Type element);
mlir::Value combine(LocBuilder &b, graph::ReduceKind kind, mlir::Type element,
                    mlir::Value accumulator, mlir::Value value);

/// Index arithmetic that folds where it can.
mlir::Value addIndex(LocBuilder &b, mlir::Value x, mlir::Value y);
mlir::Value addIndex(LocBuilder &b, mlir::Value x, int64_t y);
mlir::Value subIndex(LocBuilder &b, mlir::Value x, mlir::Value y);
mlir::Value mulIndex(LocBuilder &b, mlir::Value x, int64_t y);
mlir::Value minIndex(LocBuilder &b, mlir::Value x, mlir::Value y);
mlir::Value maxIndex(LocBuilder &b, mlir::Value x, mlir::Value y);
/// x limited to 0 … size - 1 (0 where size is 0).
mlir::Value clampIndex(LocBuilder &b, mlir::Value x, mlir::Value size);
/// 0 <= x < size as i1.
mlir::Value insideIndex(LocBuilder &b, mlir::Value x, mlir::Value size);
mlir::Value andBits(LocBuilder &b, mlir::Value x, mlir::Value y);

class Writer {
public:
  /// Gets the builder inside a generic and the elements of inputs and
  /// accumulators; returns what to yield.
  using Body = llvm::function_ref<llvm::SmallVector<mlir::Value>(
      LocBuilder &, mlir::ValueRange)>;

  Writer(mlir::PatternRewriter &rewriter, mlir::Operation *op)
      : b(op->getLoc(), rewriter), rewriter(rewriter), op(op) {
    b.setInsertionPoint(op);
  }

  /// The lowered form of an operand.
  mlir::Value lowered(mlir::Value value);

  /// A tensor without content, to be written; sizes from expressions.
  mlir::Value empty(llvm::ArrayRef<mlir::AffineExpr> dims, mlir::Type element);
  /// A tensor filled with one constant.
  mlir::Value fill(llvm::ArrayRef<mlir::AffineExpr> dims,
                   mlir::TypedAttr value);
  /// A size as an index value, before the operator.
  mlir::Value size(mlir::AffineExpr expr) {
    return materialize(b, b.getLoc(), expr);
  }
  llvm::SmallVector<mlir::Value> sizes(llvm::ArrayRef<mlir::AffineExpr> dims);

  mlir::AffineExpr d(unsigned i) { return b.getAffineDimExpr(i); }
  mlir::AffineExpr c(int64_t value) { return b.getAffineConstantExpr(value); }
  mlir::AffineMap map(unsigned loops, llvm::ArrayRef<mlir::AffineExpr> exprs) {
    return mlir::AffineMap::get(loops, 0, exprs, b.getContext());
  }
  mlir::AffineMap identity(unsigned loops) {
    return b.getMultiDimIdentityMap(loops);
  }

  /// The general generic.
  mlir::ValueRange
  generic(mlir::ValueRange ins, llvm::ArrayRef<mlir::AffineMap> inMaps,
          mlir::ValueRange outs, llvm::ArrayRef<mlir::AffineMap> outMaps,
          unsigned loops, llvm::ArrayRef<unsigned> reductionLoops, Body body);

  /// One parallel loop per dimension, written once.
  mlir::Value elementwise(llvm::ArrayRef<mlir::AffineExpr> dims,
                          mlir::Type element, mlir::ValueRange ins,
                          llvm::ArrayRef<mlir::AffineMap> inMaps, Body body);

  void replace(mlir::ValueRange results);

  LocBuilder b;

private:
  mlir::PatternRewriter &rewriter;
  mlir::Operation *op;
};

/// linalg.index of every loop.
llvm::SmallVector<mlir::Value> loopIndices(LocBuilder &b, unsigned loops);
/// An affine expression of the loops as an index value.
mlir::Value indexOf(LocBuilder &b, mlir::AffineExpr expr,
                    llvm::ArrayRef<mlir::Value> loops);
mlir::Value extract(LocBuilder &b, mlir::Value tensor,
                    mlir::ValueRange indices);

/// A part of the family Structure; parts of the family Reduction.
void populateResize(mlir::RewritePatternSet &patterns);
void populateSampling(mlir::RewritePatternSet &patterns);
void populateProducts(mlir::RewritePatternSet &patterns);
void populateWindows(mlir::RewritePatternSet &patterns);

} // namespace aicc::lowering

#endif // AICC_COMPILER_LOWERING_WRITER_H
