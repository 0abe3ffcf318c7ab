//===- Faults.h - mistakes put into a kernel's LLVM IR ----------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The mistakes that people make in GPU kernels. What notices them (the checks
// of a virtual device, or wrong numbers) is thereby tested itself.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_COMPILER_GPU_TESTS_FAULTS_H
#define AICC_COMPILER_GPU_TESTS_FAULTS_H

#include "llvm/IR/Module.h"

#include <string>
#include <vector>

namespace aicc::gpu {

struct Fault {
  enum Kind {
    dropBarrier,     // not there
    divergeBarrier,  // only for the first half of the threads
    dropBound,       // a branch that guards a store or load, always taken
    shiftAccess,     // one element too far
    misalign,        // an access that promises too much alignment
    dropStore,       // not there
    wrongLane,       // a shuffle with another lane
    wrongThread,     // a thread in its neighbour's place
    dropWait,        // for asynchronous copies
    copyAll,         // an asynchronous copy that ignores the bound
    swapElements,    // of a matrix instruction's operand: another layout
    swapOperands,    // a for b of a matrix instruction
    dropResult,      // sums taken before the instruction was waited for
    dropMatrixWait,  // for an instruction that works beside the threads
    dropFence,       // before it
    dropPublish,     // of what the thread wrote for it
    wrongStride,     // in the descriptor of its operand
    wrongStart,      // likewise
    dropCounterWait, // for copies of boxes
    wrongExpect,     // of their bytes
    wrongBox,        // another one is copied
    wrongCount,      // of asynchronous copies that may be under way: one more
    wrongChunk,      // an asynchronous copy brings the neighbour of its chunk
    wrongBase,       // a subgroup's copies go where its neighbour's belong
    longView,        // of more memory than the tensor has
    shortView,       // of less
    dropEnd,         // reads of views that ignore the bound of the depth
    wrongPitch,      // of the matrix whose block is loaded
    wrongHeight,     // likewise
    wrongWidth,      // likewise
    wrongBegin,      // likewise
    wrongBlock,      // another one is loaded
  };
  static constexpr unsigned kinds = wrongBlock + 1;
  Kind kind;
  unsigned index; // of the places where this kind is possible
};

const char *toString(Fault::Kind kind);
/// How many places of a kind there are.
unsigned countPlaces(llvm::Module &module, Fault::Kind kind);
/// The instruction that is made wrong, as text; "" if there is none.
std::string inject(llvm::Module &module, Fault fault);

} // namespace aicc::gpu

#endif // AICC_COMPILER_GPU_TESTS_FAULTS_H
