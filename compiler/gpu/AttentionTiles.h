//===- AttentionTiles.h - tiles of attention in shared memory ---*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// How queries, keys and values of 16 or 32 bits get to shared memory, and from
// there to fragments of a matrix instruction.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_COMPILER_GPU_ATTENTIONTILES_H
#define AICC_COMPILER_GPU_ATTENTIONTILES_H

#include "compiler/gpu/AttentionValues.h"
#include "compiler/gpu/Strategies.h"

namespace aicc::gpu {

/// Lines of elements in shared memory: with padding behind each, or, of 16
/// bits, as an instruction wants them that takes them from there (AsyncMatrix),
/// in parts as long as a line of memory, one part of all lines after the other.
struct Lines {
  static constexpr unsigned paddingBytes = 16;
  static constexpr unsigned part = 64; // elements of a line of 128 bytes

  unsigned count, length;
  mlir::Type type;
  bool swizzled = false;
  Value memory = {};

  unsigned bytes() const { return type.getIntOrFloatBitWidth() / 8; }
  unsigned stride() const {
    return swizzled ? part : length + paddingBytes / bytes();
  }
  unsigned size() const { return swizzled ? count * length : count * stride(); }
  unsigned align() const { return swizzled ? 8 * 2 * part : 16; }
};

class AttentionTiles : public AttentionValues {
public:
  static constexpr unsigned chunkBytes = 16; // moved at once

  AttentionTiles(Emitter &e, const MatrixAttentionPlan &plan);

  const MatrixAttentionPlan &plan;
  const MatrixInstruction &row;
  mlir::Type type; // of operands, as it lies in memory
  unsigned run;    // elements of a chunk
  /// Whether values lie in shared memory as in a tensor, a line for each key,
  /// and are transposed on the way to fragments; else a line for each column.
  bool keysAcross;

  Value laneLine(const FragmentLayout &layout);
  Value lanePlace(const FragmentLayout &layout);
  /// Bits of elements of the operands' type.
  Value stored(Value value);
  Value vectorOf(ArrayRef<Value> values);
  /// The index, or 0 beyond the end, if that can be; then also whether it
  /// wasn't.
  Value bounded(Value index, AffineExpr total, unsigned tile, Value *inside);
  /// The subgroup's queries: a fragment of a for each step of the depth.
  SmallVector<Value> queries(Value tileRow, Value ownRow);
  void allocate(Lines &lines, llvm::StringRef name);
  /// Where element `inChunk` of a chunk lies.
  Value placeOf(const Lines &lines, Value line, Value chunk, Value inChunk);
  /// A tile of keys, or of queries: one line each. Of whole tiles every key
  /// exists.
  void fillRows(const Lines &lines, Value first, bool ofQueries, bool whole);
  void fillValues(const Lines &lines, Value key0, Value firstColumn,
                  bool whole);
  Lines linesOfValues();
  /// The same beside the threads, if the hardware can: values, and keys, that
  /// lie in memory as they are wanted. They are there after `await` and a
  /// barrier.
  bool copiesValues() const { return valueSource.tensor != nullptr; }
  bool copiesKeys() const { return keySource.tensor != nullptr; }
  void copyValues(const Lines &lines, Value key0, Value firstColumn,
                  bool whole);
  void copyKeys(const Lines &lines, Value key0);
  /// Until at most so many of the copies begun last are under way.
  void await(unsigned copies);
  /// A fragment from shared memory; `line` is the lane's, without the offset.
  Value fragment(const Lines &lines, const FragmentLayout &layout, Value line,
                 unsigned lineOffset, unsigned place);
  /// The fragments of b of all lines of keys, of all columns of values.
  SmallVector<Value> ofKeys(const Lines &lines, unsigned place) {
    return ofLines(lines, place);
  }
  SmallVector<Value> ofValues(const Lines &lines, unsigned key);

private:
  /// The kernel's argument that an operand is, and its index over the loops of
  /// the product that takes it.
  struct Source {
    mlir::BlockArgument tensor;
    mlir::AffineMap index;
  };
  Source valueSource, keySource;

  Value zero();
  Source findSource(mlir::linalg::GenericOp product, Value inBody,
                    unsigned running);
  void copyLines(const Lines &lines, const Source &source, Value key0,
                 bool whole, Value firstPlace, AffineExpr placeTotal,
                 llvm::function_ref<ArrayRef<Value>(Value)> pointAt);
  void share(unsigned tasks, llvm::function_ref<void(Value)> body);
  /// Lines from `first` on, up to `total` if there is one.
  void fillLines(const Lines &lines, Value first, AffineExpr total,
                 Value firstPlace, ArrayRef<AffineExpr> placeSizes,
                 llvm::function_ref<Value(Value, ArrayRef<Value>)> element);
  void fillColumns(const Lines &lines, Value key0, Value firstColumn,
                   bool whole);
  std::pair<Value, Value> loadPair(llvm::StringRef load, Value pointer);
  /// What a lane adds to where a fragment begins.
  Value laneStart(const Lines &lines, ArrayRef<Basis> lanes);
  SmallVector<Value> ofLines(const Lines &lines, unsigned place);
};

/// Whether two fragments of b that are neighbours across lines are four tiles
/// as Options::matrixLoad reads them.
bool arePairsOfTiles(const MatrixInstruction &row);

} // namespace aicc::gpu

#endif // AICC_COMPILER_GPU_ATTENTIONTILES_H
