//===- FlatProgram.h - a program as the executor runs it ------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The tree of instructions, flattened once per variant. What depends neither
// on symbols nor on a run is resolved here; the rest is listed, so that binding
// symbols and running touch nothing else. Immutable.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_RUNTIME_EXECUTOR_FLATPROGRAM_H
#define AICC_RUNTIME_EXECUTOR_FLATPROGRAM_H

#include "runtime/package/Program.h"

namespace aicc::executor {

// A value that a loop changes: written before the step is run.
struct Patch {
  enum Where : uint8_t { word, gridX, gridY, gridZ, scratch } where;
  uint32_t index; // of the word, counted from the step's first
  uint32_t expr;
};

struct Step {
  enum Kind : uint8_t { launch, copy, fill, loopBegin, loopEnd } kind;
  uint32_t position = 0; // preorder, for profiles
  const program::Instruction *instruction = nullptr;
  const program::Kernel *kernel = nullptr; // launch
  // Words of the argument block: pointers, then scalars. A copy has its source
  // and destination there, a fill its destination.
  uint32_t firstWord = 0;
  // Which launch it is, or which copy or fill, or which loop.
  uint32_t record = 0;
  uint32_t firstPatch = 0, patchCount = 0;
  uint32_t partner = 0; // loops: the other end
};

// A pointer in the argument words.
struct Slot {
  uint32_t word;
  uint32_t buffer;
};

struct Loop {
  uint32_t symbol;
  uint32_t count;              // expression
  std::vector<uint32_t> exprs; // what its symbol changes, in order
};

struct FlatProgram {
  std::vector<Step> steps;
  std::vector<Patch> patches;
  std::vector<Loop> loops;
  std::vector<Slot> slots;
  uint32_t words = 0;
  uint32_t launches = 0;
  uint32_t transfers = 0;
  // Buffers that any step uses, views' roots included.
  std::vector<bool> used;
  // Expressions of sizes, scalars and grids that no loop changes.
  std::vector<bool> fixed;
};

// `prepare` selects the variant's prepare program.
FlatProgram flatten(const program::Package &package,
                    const program::Variant &variant, bool prepare);

} // namespace aicc::executor

#endif
