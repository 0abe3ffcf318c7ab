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

#include <algorithm>

namespace aicc::executor {

// A value that follows from a symbol the program binds: written before the step
// is run.
struct Patch {
  enum Where : uint8_t { word, gridX, gridY, gridZ, scratch } where;
  uint32_t index; // of the word, counted from the step's first
  uint32_t expr;
};

struct Step {
  enum Kind : uint8_t {
    launch,
    copy,
    fill,
    loopBegin,
    loopEnd,
    read,
    branch,
    jump, // from the end of a branch's body over its otherwise
    call,
    swap
  } kind;
  // Sizes of a copy's or fill's buffers are known only as it is run.
  bool late = false;
  // Of the variant: who does it, and where a copy's source is.
  uint8_t device = 0, source = 0;
  uint32_t position = 0; // preorder, for profiles
  const program::Instruction *instruction = nullptr;
  const program::Kernel *kernel = nullptr; // launch
  // Words of the argument block: pointers, then scalars. Of all others the
  // pointers of their buffers, a loop's condition.
  uint32_t firstWord = 0;
  // Which launch it is, or which copy or fill, or which loop, bind or call.
  uint32_t record = 0;
  uint32_t firstPatch = 0, patchCount = 0;
  // Loops: the other end. Branches: the jump. Jumps: the last step jumped over.
  uint32_t partner = 0;
};

// The model's nodes that a step computes, joined by " + ".
std::string nodesOf(const Step &step);

// A pointer in the argument words.
struct Slot {
  uint32_t word;
  uint32_t buffer;
};

// A place where a symbol gets a value, and what follows from it.
struct Bind {
  struct Block {
    uint32_t root;
    uint32_t first, last;
    uint32_t device;
  };
  uint32_t symbol;
  std::vector<uint32_t> exprs;     // of the variant, operands first
  std::vector<uint32_t> portExprs; // of the package, operands first
  std::vector<uint32_t> limits;    // of the package
  std::vector<uint32_t> outputs;   // whose dimensions are new
  // Buffers whose size or whose memory's size is new, roots before views, and
  // the temporaries among the roots with the time they are needed: ascending,
  // and those of one device after those of another.
  std::vector<uint32_t> buffers;
  std::vector<Block> blocks;

  // Whether the memory of a temporary is new.
  bool renews(uint32_t root, uint32_t device) const {
    const auto before = [](const Block &a, const Block &b) {
      return std::pair(a.device, a.root) < std::pair(b.device, b.root);
    };
    return std::binary_search(blocks.begin(), blocks.end(),
                              Block{root, 0, 0, device}, before);
  }
};

struct Loop {
  uint32_t bind;                 // of its symbol
  uint32_t count;                // expression
  std::optional<uint32_t> trips; // bind
};

struct FlatProgram {
  std::vector<Step> steps;
  std::vector<Patch> patches;
  std::vector<Loop> loops;
  std::vector<Bind> binds;
  std::vector<const program::Instruction *> calls;
  std::vector<Slot> slots;
  uint32_t words = 0;
  uint32_t launches = 0;
  uint32_t transfers = 0;
  // Buffers that any step uses, views' roots included.
  std::vector<bool> used;
  // The words that hold the address of each root.
  std::vector<std::vector<uint32_t>> wordsOf;
  // Expressions of sizes, scalars and grids that are known before the program
  // runs, and the outputs whose dimensions aren't.
  std::vector<bool> fixed;
  std::vector<bool> lateOutputs;
  // Buffers whose size, and that of their memory, is known before.
  std::vector<bool> sized;
};

// `prepare` selects the variant's prepare program.
FlatProgram flatten(const program::Package &package,
                    const program::Variant &variant, bool prepare);

} // namespace aicc::executor

#endif
