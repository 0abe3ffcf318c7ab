//===- AttentionValues.h - scores and weights of attention ------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What all ways to tile attention share: scores from sums of products, the
// arithmetic of the online softmax, results from sums of exponentials.
//
// A maximum of minus infinity (nothing visible yet) counts as 0, so that hidden
// keys give 0 and not NaN; at the end such a row gets what the softmax says:
// its sum is NaN.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_COMPILER_GPU_ATTENTIONVALUES_H
#define AICC_COMPILER_GPU_ATTENTIONVALUES_H

#include "compiler/gpu/Analysis.h"

namespace aicc::gpu {

SmallVector<AffineExpr> sizesOf(ArrayRef<AffineExpr> loops,
                                ArrayRef<unsigned> dims);

class AttentionValues {
public:
  AttentionValues(Emitter &e, const Attention &form);

  Emitter &e;
  Attention form;
  mlir::Type f32;
  SmallVector<AffineExpr> loops, scoreLoops;  // of both products
  SmallVector<Value> point, scorePoint;       // values of the loops
  SmallVector<unsigned> queryLoops, keyLoops; // of the scores
  SmallVector<AffineExpr> querySizes, keySizes, columnSizes;
  AffineExpr queryTotal, keyTotal;
  int64_t columnCount;

  /// Sets loops of the second product and, where they are the same, of the
  /// first.
  void set(ArrayRef<unsigned> dims, ArrayRef<Value> index);

  /// The first query of the tile that is at `tile` from the last one on.
  Value fromLast(Value tile, unsigned rows);

  Value number(double value);
  Value infinite(); // minus infinity
  Value larger(Value x, Value y);
  Value plus(Value x, Value y);
  Value times(Value x, Value y);
  Value exponential(Value x, Value most); // of x - most
  /// 2^(x * log2(e) - base), for weights that are rounded to 16 bits: as exact
  /// as they are. x is at most the maximum that `base` is `times` log2(e) of,
  /// up to a rounding; minus infinity gives 0.
  Value weight(Value x, Value base);
  Value baseOf(Value most);
  /// 2^x of an x that isn't positive, 1 of 0.
  Value power(Value x);
  /// Whether a maximum is minus infinity.
  Value isHidden(Value most);
  /// The index, from the lane itself (Options::computesAgain).
  Value again(Value index);
  /// The maximum or sum over lanes that differ in the given bits.
  Value across(Value value, ArrayRef<unsigned> offsets, bool maximum);

  /// What the exponential of a product at `point` is taken of.
  Value score(Value product);
  /// What a sum over exponentials of the row at `point` is multiplied by, given
  /// the row's maximum and the sum of its exponentials.
  Value rowFactor(Value most, Value sum);
  /// Stores what is computed from the second product at `point`.
  void store(Value sum, Value factor);

private:
  SmallVector<Value> loopsOfOperand(mlir::linalg::GenericOp generic,
                                    Value inBody, ArrayRef<Value> at,
                                    mlir::linalg::GenericOp inner);
  Value condition(mlir::linalg::GenericOp generic, Value inBody,
                  ArrayRef<Value> at);
  Value factor(mlir::linalg::GenericOp generic, Value inBody,
               ArrayRef<Value> at);
  Value perRow(mlir::linalg::GenericOp generic, Value inBody,
               ArrayRef<Value> at);
};

} // namespace aicc::gpu

#endif // AICC_COMPILER_GPU_ATTENTIONVALUES_H
