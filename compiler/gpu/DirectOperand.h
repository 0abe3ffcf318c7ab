//===- DirectOperand.h - fragments straight from a tensor -------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// a or b of a product where the hardware reads blocks of a matrix in global
// memory as fragments: each subgroup loads its own, no shared memory, no
// barrier. What lies outside of the tensor is 0, as everywhere.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_COMPILER_GPU_DIRECTOPERAND_H
#define AICC_COMPILER_GPU_DIRECTOPERAND_H

#include "compiler/gpu/Strategies.h"

#include <map>

namespace aicc::gpu {

/// Whether the chip has a load for that, and the tensor is as it wants them.
std::optional<BlockSource> findBlocks(exec::KernelOp kernel,
                                      const Options &options,
                                      const MatrixPlan &plan, bool isA);

class DirectOperand {
public:
  /// Of a subgroup's part, which begins `own` lines after the tile, `first`.
  /// The batch of `point` is set.
  DirectOperand(Emitter &e, const MatrixPlan &plan, bool isA, Value first,
                Value own, SmallVector<Value> point);

  /// From now on fragments are those of the slice from depth `k0` on.
  void load(Value k0);
  void prefetch(Value k0);
  Value fragment(unsigned line, unsigned place) const;

private:
  struct Block {
    unsigned line, place; // of its first fragment
    Value memory;         // of the lane
  };
  SmallVector<Value> argumentsOf(const Block &block, Value k0);
  Value word(Value index);

  Emitter &e;
  const BlockSource &source;
  const FragmentLayout &layout;
  mlir::Type type;               // as it lies in memory
  unsigned lineStep, depthStep;  // of a fragment
  Value base, height, firstLine; // of the matrix; the part in it
  SmallVector<Block> blocks;
  std::map<std::pair<unsigned, unsigned>, Value> fragments;
};

} // namespace aicc::gpu

#endif // AICC_COMPILER_GPU_DIRECTOPERAND_H
