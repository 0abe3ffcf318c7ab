//===- AttentionMask.h - keys that a tile of queries can't see --*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A score is hidden where it is minus infinity by a choice or by a summand that
// is chosen. Where such a choice compares the number of the key with something
// that lies in an interval for a tile of queries (the number of the query, the
// length of a batch's keys, constants and sizes), the keys that some query of
// the tile sees are an interval, too, and so are those that all of them see.
//
// Tiles of keys without any of the first are left out: what they hold doesn't
// matter, be it NaN. In tiles within the second the choices needn't be made.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_COMPILER_GPU_ATTENTIONMASK_H
#define AICC_COMPILER_GPU_ATTENTIONMASK_H

#include "compiler/gpu/AttentionValues.h"

namespace aicc::gpu {

/// A loop over tiles of keys. Of `whole` ones every key exists, and its scores
/// are hidden by nothing that is known here.
struct KeyPart {
  Value first, end;
  bool whole;
};

class AttentionMask {
public:
  /// Of queries from `firstQuery` on, `queries` of them or up to the end. What
  /// it computes is put where `values.e` is, which must be the same for all
  /// threads of a workgroup; loops of the batch have been set in `values`.
  AttentionMask(AttentionValues &values, Value firstQuery, unsigned queries);

  /// The loops over keys that a workgroup needs, one after the other.
  SmallVector<KeyPart> parts(unsigned tile, unsigned mostLoops);
  /// From now on choices are taken to be made for what is seen, or are made.
  void assumeSeen(bool seen);

private:
  /// Value = scale * key + something from low to high; not known without low.
  struct Interval {
    Value low, high;
    int64_t scale = 0;
    bool negative = true; // may be
    bool isPoint() const { return low && low == high && !scale; }
  };
  struct Place {
    mlir::linalg::GenericOp generic;
    SmallVector<Interval> loops;
  };

  Interval pointAt(Value value, bool negative);
  Interval sum(const Interval &x, const Interval &y);
  Interval product(const Interval &x, int64_t factor);
  Interval apply(AffineExpr expr, ArrayRef<Interval> dims);
  Interval valueOf(const Place &at, Value inBody);
  Interval pointOf(const Place &at, Value inBody);
  std::optional<Place> inside(const Place &at, Value inBody);
  Value least(Value x, Value y, bool most);
  void bound(mlir::arith::CmpIPredicate predicate, Interval x, Interval y,
             bool &known);
  bool visible(const Place &at, Value condition, bool holds);
  void hidden(const Place &at, Value score);
  bool isZeroIfSeen(mlir::linalg::GenericOp generic, Value inBody);
  void take(mlir::linalg::GenericOp generic, Value inBody, Value instead);

  AttentionValues &w;
  Emitter &e;
  /// Keys from the first to the end are seen by some, by all; null: no bound.
  Value someFirst, someEnd, allFirst, allEnd;
  SmallVector<std::pair<Value, Value>> seen; // taken in place of the others
};

/// Goes through the tiles of keys that some of the queries see: `step` gets the
/// first key, what is carried, and whether the tile is whole. Where that would
/// take more than `mostLoops`, for which registers may be too few, or changes
/// nothing but the test for the last key, one loop does, with no tile whole.
/// One tile follows the other; `before` gets the first key of all.
void forKeys(
    AttentionValues &values, Value firstQuery, unsigned queries, unsigned tile,
    unsigned mostLoops, SmallVector<Value> &state,
    llvm::function_ref<SmallVector<Value>(Value, ArrayRef<Value>, bool)> step,
    llvm::function_ref<void(Value)> before = nullptr);

} // namespace aicc::gpu

#endif // AICC_COMPILER_GPU_ATTENTIONMASK_H
