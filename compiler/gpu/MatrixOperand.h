//===- MatrixOperand.h - an operand of a matrix instruction -----*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// a or b of a product: from global memory through a ring of slices in shared
// memory into fragments, or to where an instruction takes it from itself.
//
// A slice is made of lines of memory of 64 bytes, or of what the instruction
// wants. A line of memory is a line of the slice (a row of a, a column of b),
// whichever the type and the order in global memory; only where an instruction
// takes operands that lie across, and global memory has them so, it is
// neighbouring lines at one depth. Chunks of 16 bytes change places from line
// to line, so that reading one chunk of eight lines touches all banks once.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_COMPILER_GPU_MATRIXOPERAND_H
#define AICC_COMPILER_GPU_MATRIXOPERAND_H

#include "compiler/gpu/Strategies.h"

namespace aicc::gpu {

/// The part of a lane's coordinate whose bases are in [from, to), in units of
/// `from`.
Value laneCoordinate(Emitter &e, Value lane, ArrayRef<Basis> bases,
                     unsigned Basis::*member, unsigned from = 1,
                     unsigned to = 1u << 16);

class MatrixOperand {
public:
  static constexpr unsigned plainLineBytes = 64;
  static constexpr unsigned chunkBytes = 16;

  MatrixOperand(Emitter &e, const MatrixPlan &plan, bool isA,
                ArrayRef<AffineExpr> loops);

  AffineExpr total; // lines
  SmallVector<AffineExpr> sizes;

  /// Given the loops of the batch and the first line of the workgroup's tile:
  /// where the tensor in memory is, if it is read through a view.
  void openView(ArrayRef<Value> point, Value first);
  /// What this thread brings of the slice from depth `k0` on, lines from
  /// `first` on: one vector per chunk.
  SmallVector<Value> fetch(SmallVector<Value> &point, Value first, Value k0);
  void put(ArrayRef<Value> chunks, Value stage);
  /// Whether blocks of the tensor are fragments: nothing goes through memory.
  bool isDirect() const { return direct; }
  /// Both at once, beside the threads, if the hardware can.
  bool copies() const { return source != nullptr; }
  void copy(SmallVector<Value> &point, Value first, Value k0, Value stage);
  /// Whether subgroups do it together, and how many copies of each a slice is.
  bool copiesByLanes() const;
  unsigned copiesOfSlice() const;
  /// Whether boxes of the tensor in memory are its slices.
  bool hasBoxes() const { return !boxed.empty(); }
  /// From now on slices are copied so.
  void useBoxes();
  unsigned sliceBytes() const { return lines * depth * bytes; }
  /// By one thread, as one or a few boxes.
  void copyBoxes(SmallVector<Value> &point, Value first, Value k0, Value stage,
                 Value counter);
  /// The fragment of the instruction whose tile begins at a line of the
  /// subgroup's part and a place of the slice.
  Value fragment(unsigned line, unsigned place, Value stage);
  /// Its descriptor, for an instruction that takes it from memory.
  Value descriptor(unsigned line, unsigned place, Value stage);
  /// Whether neighbouring lines lie in a line of memory.
  bool liesAcross() const { return across; }
  /// Where the part begins of those who execute the instruction together.
  void setPart(Value line);

private:
  struct Chunk {
    Value line, number; // line of memory of a slice, chunk in it
  };
  SmallVector<Chunk> chunks();
  /// Where a chunk lies in shared memory.
  Value place(const Chunk &chunk, Value stage);
  void copyByLanes(SmallVector<Value> &point, Value first, Value k0,
                   Value stage);
  /// The same as `fetch` from the view of the tensor.
  SmallVector<Value> fetchView(SmallVector<Value> &point, Value first,
                               Value k0);
  /// Where an element of the tensor is in the view, given the loops; outside
  /// of it if not `inside` (null: it is inside).
  Value viewOffset(ArrayRef<Value> point, Value inside);
  /// By how many bytes it moves on with a loop; nothing if that varies.
  std::optional<int64_t> strideOf(unsigned loop);
  /// By how much the chunks of a line of memory change places.
  Value turnOf(Value line);
  /// The first line of a slice, the first depth, within bounds.
  Value clampedLine(Value line);
  /// The tensor in memory that the operand is; null if it is computed.
  mlir::BlockArgument tensorInMemory();
  mlir::AffineMap mapOfTensor();
  void findView(ArrayRef<AffineExpr> loops);
  bool findSource(unsigned runningDim, AffineExpr runningSize);
  void findBoxes();
  void findLoad();
  /// Whether reads that transpose give the instruction's fragments.
  bool canTranspose(unsigned part) const;
  Value joined(SmallVector<Value> parts, unsigned size);
  Value exclusiveOr(Value x, Value y);

  Emitter &e;
  const MatrixInstruction &instruction;
  const Contraction &c;
  const FragmentLayout &layout;
  FragmentLayout reading;     // of lanes that address memory
  llvm::StringRef load;       // of whole tiles, if they fit
  unsigned packed = 1;        // elements of 4 bytes
  mlir::BlockArgument source; // if it is copied
  mlir::BlockArgument viewed; // if it is read through a view
  unsigned viewedDims = 0;    // that have one index in the view, or count lines
  int64_t restBytes = 0;      // of the other ones
  bool viewsLines = false;    // the last of these dims counts lines
  Value view, viewBegin;      // and what its begin is from the tensor's, an i32
  Value inBody;
  ArrayRef<unsigned> dims;
  SmallVector<AffineExpr> depthSizes;
  AffineExpr depthTotal;
  mlir::Type type; // as it lies in memory
  unsigned bytes, elements, lines, depth;
  unsigned lineBytes, chunksOfLine; // of a line of memory
  unsigned memoryLines;             // of a slice
  bool alongDepth; // neighbours in memory are neighbours in depth
  bool across = false;
  bool direct;
  bool transposed = false;     // by the reads of fragments
  unsigned group = 1;          // neighbouring lines that a thread takes at once
  SmallVector<unsigned> boxed; // loops of the tensor's dimensions, if it has
  BoxedTensor tensor;
  Value map;
  mlir::ArrayAttr copyScopes; // what copies write, of all operands
  Value memory;
  Value lineBase;            // of the part, elements from the slice's begin
  SmallVector<Value> turned; // place of the lane's chunk ^ 0, 1, 2, ...
};

} // namespace aicc::gpu

#endif // AICC_COMPILER_GPU_MATRIXOPERAND_H
