//===- Analysis.h - what kind of kernel it is -------------------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Looks at a kernel's generics from its results and finds the form that a
// strategy can map to threads. Pure: nothing is changed.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_COMPILER_GPU_ANALYSIS_H
#define AICC_COMPILER_GPU_ANALYSIS_H

#include "compiler/gpu/Emitter.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SmallBitVector.h"

namespace aicc::gpu {

/// A reduction that is asked for, and at which index (expressions over the
/// dimensions of whoever asks; null where it depends on data).
struct Request {
  mlir::linalg::GenericOp generic;
  SmallVector<AffineExpr> index;
};

/// The reductions that the value of `tensor` at its own index needs directly.
SmallVector<Request> requestsOf(Value tensor);
/// The reductions that a reduction's operands need, over its loops.
SmallVector<Request> requestsOfBody(mlir::linalg::GenericOp generic);

/// An argument of the kernel that is read, and at which index (as above).
struct ArgumentRead {
  mlir::BlockArgument argument;
  SmallVector<AffineExpr> index;
};

/// What the value of `tensor` at its own index reads, but for what reductions
/// need.
SmallVector<ArgumentRead> readsOf(Value tensor);
/// What the body of a generic reads, over its loops.
SmallVector<ArgumentRead> readsOfBody(mlir::linalg::GenericOp generic);

/// Loops of a generic that a value of its body depends on.
llvm::SmallBitVector loopsUsed(mlir::linalg::GenericOp generic, Value inBody);

/// acc + a * b over at least one reduction loop.
struct Contraction {
  mlir::linalg::GenericOp generic;
  Value a, b; // values of the body
  // Loops: in both, in a only, in b only, reduced. b holds the innermost
  // dimension of the result.
  SmallVector<unsigned> batch, rows, columns, reduced;
};
std::optional<Contraction> matchContraction(mlir::linalg::GenericOp generic);

/// The reduction that all results are elementwise in, each element of it used
/// once at most by each of them; null if there is none.
mlir::linalg::GenericOp soleReduction(exec::KernelOp kernel);

/// softmax(scores) * values where the scores are elementwise in a product: a
/// contraction of the exponentials of another one, with the maximum and the sum
/// of each row of scores in between.
struct Attention {
  mlir::linalg::GenericOp scores, exponentials, product;
  Value maximum, sum;         // of the rows, results of generics
  SmallVector<Value> maxima;  // others of the same scores
  Value query, key;           // values of the body of `scores`
  Value score;                // … of `exponentials`, before the maximum is
                              // subtracted
  Value weights, values;      // … of `product`
  // Loops of `product`: those of the weights and (values or keys), of the
  // weights only, of the values only, reduced.
  SmallVector<unsigned> batch, queries, columns, keys;
  SmallVector<unsigned> depth; // reduced loops of `scores`
  /// The other loops of `scores` as loops of `product`.
  SmallVector<std::pair<unsigned, unsigned>> shared;
  /// The index of the exponentials, over the loops of `product`.
  SmallVector<AffineExpr> index;
};
std::optional<Attention> matchAttention(exec::KernelOp kernel);

/// The tensor that an argument of a generic's body is an element of.
Value tensorOf(mlir::linalg::GenericOp generic, Value inBody);
/// The generic that computes a tensor, if it has one result and no reduction.
mlir::linalg::GenericOp elementwiseOf(Value tensor);
/// What the body of a generic with one result yields.
Value yielded(mlir::linalg::GenericOp generic);
/// Whether a value of a body is the number 0.
bool isZero(mlir::linalg::GenericOp generic, Value inBody);

/// Reductions over the rows of one space: every one has the same index (r0,
/// r1, …), and every result is either indexed by it or has it as some of its
/// dimensions.
struct Rows {
  SmallVector<mlir::linalg::GenericOp> stages; // in order of evaluation
  SmallVector<AffineExpr> sizes;               // of the row space
  /// For each result the dimensions that are the row index; the others are
  /// inside the row.
  SmallVector<SmallVector<unsigned>> resultDims;
};
std::optional<Rows> matchRows(exec::KernelOp kernel);

/// Exponentials in f32 of what numbers of a row are less than the row's
/// maximum (softmax, so at most 1 where the numbers are the maximum's), if all
/// results are floats of at most 16 bits: those that `Options::power` will do
/// for.
llvm::DenseSet<mlir::Operation *> roundedExponentials(exec::KernelOp kernel,
                                                      const Rows &rows);

/// Where the row index stands in a reduction's result: its dimensions that
/// aren't 1.
SmallVector<unsigned> rowDims(exec::KernelOp kernel, Value result);

/// The operation that joins two partial results, if there is one.
mlir::Operation *combinerOf(mlir::linalg::GenericOp generic);

/// A reduction to the best element and where it is: (best, place) become (x,
/// index) where `wins`, which depends on x and the best one only. Places are
/// 0 in the beginning.
struct BestElement {
  Value x, place, wins; // of the body
};
std::optional<BestElement> matchBestElement(mlir::linalg::GenericOp generic);

} // namespace aicc::gpu

#endif // AICC_COMPILER_GPU_ANALYSIS_H
