//===- Strategies.h - ways to map a kernel to threads -----------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each writes the kernel's body through an Emitter and returns the number of
// workgroups, an expression over the symbols.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_COMPILER_GPU_STRATEGIES_H
#define AICC_COMPILER_GPU_STRATEGIES_H

#include "compiler/gpu/Analysis.h"

namespace aicc::gpu {

/// How many neighbours along the innermost dimension a thread should have, of
/// `elements` in all, if `threads` are enough.
unsigned neighboursOf(const Emitter &e, AffineExpr innermost, int64_t elements,
                      int64_t threads);

/// One thread per element or a few; reductions are serial loops in it.
AffineExpr emitElements(Emitter &e);

/// The same where an operand is read across its lines: tiles of it go through
/// shared memory.
struct TransposedPlan {
  mlir::BlockArgument argument;
  SmallVector<unsigned> dims; // of the results, for each of the argument's
  /// Dimensions of the results that are one run of neighbours in the results,
  /// and in the argument.
  SmallVector<unsigned> along, across;
};
std::optional<TransposedPlan> planTransposed(exec::KernelOp kernel,
                                             const Options &options);
AffineExpr emitTransposed(Emitter &e, const TransposedPlan &plan);

/// One thread per piece of a line along the axis of a scatter.
AffineExpr emitScatter(Emitter &e, exec::ScatterOp op);

/// Reductions of rows by one thread, one subgroup or one workgroup each.
AffineExpr emitRows(Emitter &e, const Rows &rows);

/// A product in tiles: shared memory for a workgroup, registers for a thread.
/// `tile` is the rows and columns of a thread.
struct TilePlan {
  Contraction contraction;
  unsigned tile;
};
std::optional<TilePlan> planTiles(exec::KernelOp kernel,
                                  const Options &options);
AffineExpr emitTiles(Emitter &e, const TilePlan &plan);

/// A tensor whose blocks are fragments of an operand: a matrix whose lines run
/// along the depth, or along the operand's lines.
struct BlockSource {
  const BlockLoad *load;
  mlir::BlockArgument tensor;
  mlir::AffineMap map; // of the product's loops to the tensor's dimensions
  bool alongDepth;
  int64_t width, pitch;           // elements
  std::optional<int64_t> height;  // lines; unknown: a tile's are a matrix
  unsigned lineLoads, depthLoads; // fragments of a load along both
};

/// The same by matrix instructions: shared memory for a workgroup, fragments
/// for a subgroup.
struct MatrixPlan {
  Contraction contraction;
  const MatrixInstruction *instruction;
  Value a, b;                             // in the instruction's type
  unsigned rows, columns;                 // of a workgroup's tile
  unsigned subgroupRows, subgroupColumns; // how subgroups share it out, or
                                          // those that work together
  unsigned depth;                         // of a slice
  unsigned stages;                        // slices in shared memory
  unsigned lineBytes;                     // of a line there
  std::optional<BlockSource> aBlocks, bBlocks;
};
std::optional<MatrixPlan> planMatrixTiles(exec::KernelOp kernel,
                                          const Options &options);
AffineExpr emitMatrixTiles(Emitter &e, const MatrixPlan &plan);

/// Two products with a softmax in between, row by row of scores that are never
/// in memory. `rows` is the rows of a thread.
struct AttentionPlan {
  Attention form;
  unsigned rows;
};
std::optional<AttentionPlan> planAttention(exec::KernelOp kernel,
                                           const Options &options);
AffineExpr emitAttention(Emitter &e, const AttentionPlan &plan);

/// The same by matrix instructions.
struct MatrixAttentionPlan {
  Attention form; // query, key and values in the instruction's type
  const MatrixInstruction *instruction = nullptr;
  unsigned workgroup = 0;     // threads
  unsigned keys = 0;          // of a tile
  unsigned depth = 0;         // whole fragments
  unsigned columns = 0;       // of a workgroup, whole fragments
  bool sharedQueries = false; // in shared memory, not in registers
  bool rolled = false;        // tiles are filled bit by bit
  unsigned loops = 1;         // over keys, at most
  /// Of the second product, if both are done beside the threads.
  const MatrixInstruction *results = nullptr;
};
std::optional<MatrixAttentionPlan> planMatrixAttention(exec::KernelOp kernel,
                                                       const Options &options);
AffineExpr emitMatrixAttention(Emitter &e, const MatrixAttentionPlan &plan);

/// The product of sizes.
AffineExpr productOf(ArrayRef<AffineExpr> sizes, mlir::MLIRContext *context);

} // namespace aicc::gpu

#endif // AICC_COMPILER_GPU_STRATEGIES_H
