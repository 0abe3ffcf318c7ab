//===- AttentionScores.h - the online softmax on fragments ------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Rows of scores belong to lanes of one subgroup: those that differ in bits
// whose bases run along columns. Each lane keeps the maximum and its part of
// the sum of its rows.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_COMPILER_GPU_ATTENTIONSCORES_H
#define AICC_COMPILER_GPU_ATTENTIONSCORES_H

#include "compiler/gpu/AttentionTiles.h"

#include <map>

namespace aicc::gpu {

class AttentionScores {
public:
  /// Of fragments of the layout, `columns` wide each, in a tile of queries that
  /// begins at `tileRow` and has the fragments' rows from `ownRow` on.
  AttentionScores(AttentionTiles &tiles, const FragmentLayout &layout,
                  unsigned columns, unsigned tileRows, Value tileRow,
                  Value ownRow);

  /// The rows of a lane: their place in the fragment, and the elements that
  /// are in each.
  std::map<unsigned, SmallVector<unsigned>> rows;
  SmallVector<unsigned> sameRow; // lanes, by the bits in which they differ
  Value laneRow, lanePlace;      // the lane's, in the tile and in the fragment

  /// The scores of a tile of keys, elements of one fragment after the other,
  /// become exponentials; returns for each element of a fragment what results
  /// of its row are multiplied by.
  SmallVector<Value> update(SmallVector<Value> &scores, Value key0, bool whole,
                            llvm::MutableArrayRef<Value> most,
                            llvm::MutableArrayRef<Value> sums);
  /// Stores results, elements of fragments of which the first column is
  /// `firstColumn`.
  void store(llvm::function_ref<Value(unsigned, unsigned)> element,
             unsigned fragments, unsigned columns, bool allColumns,
             Value firstColumn, const FragmentLayout &layout,
             ArrayRef<Value> most, ArrayRef<Value> sums);

private:
  AttentionTiles &w;
  Emitter &e;
  FragmentLayout layout;
  unsigned columns, tileRows;
  Value tileRow;
};

} // namespace aicc::gpu

#endif // AICC_COMPILER_GPU_ATTENTIONSCORES_H
