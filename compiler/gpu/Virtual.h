//===- Virtual.h - a GPU kernel's LLVM IR made to run on the CPU -*- C++
//-*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The compiler's half of virtual devices; the contract with the half that runs
// them is aicc/virtual.h. What is replaced is the vendor's IR after all its
// lowering, so that what runs is what the vendor's back end would have been
// given. A vendor only says what its intrinsics mean, in its own folder.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_COMPILER_GPU_VIRTUAL_H
#define AICC_COMPILER_GPU_VIRTUAL_H

#include "compiler/gpu/MatrixInstruction.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/IR/Module.h"
#include "llvm/Target/TargetMachine.h"

#include <memory>
#include <string>

namespace aicc::gpu {

/// What an intrinsic or built-in function of a vendor does.
enum class Meaning {
  ignore,  // nothing that a virtual device can tell
  threadX, // position in the workgroup
  threadY,
  threadZ,
  groupX, // position of the workgroup
  groupY,
  groupZ,
  thread,     // (i32 dimension) -> position in the workgroup
  group,      // (i32 dimension) -> position of the workgroup
  lane,       // position in the subgroup
  lanesBelow, // (i32 mask, i32 x): bits of mask below the lane, 0 .. 31, plus x
  lanesBelowHigh,   // the same for lanes 32 .. 63
  barrier,          // of the workgroup; operands don't matter
  shuffleXor,       // (value, i32 offset)
  shuffleIndex,     // (value, i32 lane)
  shuffleXorMasked, // (i32 mask, value, i32 offset, i32 clamp), may give
                    // {value, i1}
  shuffleSwizzle,   // (value, i32 pattern): and, or, xor masks of 5 bits on the
                    // lane
  swapRows16,       // (i32 x, i32 y, i1, i1) -> {i32, i32}: odd rows of lanes
  swapRows32,       // of x for the even ones before them of y
  shuffleBytes,     // (i32 4 * lane, value): the lane to take from
  copyAsync,        // (to, from, i32 bytes given): of 16, the others become 0
  loadMatrix,       // (address) -> {i32...}: gpu::MatrixLoad
  loadMatrixTransposed,
  // Of views: gpu::BufferView, gpu::LaneCopy. The i32 without a name are 0 or
  // don't matter.
  viewMake,   // (base, i16 0, i64 bytes, i32) -> view
  viewLoad,   // (view, i32 offset, i32 more, i32): what is behind the end is 0
  viewCopy,   // (view, to, i32 bytes, i32 offset, i32 more, i32 at both, i32)
  lanesCopy,  // (from, to, i32 bytes, i32 at both, i32)
  waitCounts, // (i32): bits 0 to 3 and 14, 15 say how many such copies may be
              // under way
  loadTransposed, // (address): gpu::Options::transposedLoad
  copyCommit,     // closes a group of such copies
  copyWait,       // (i32 n): until all but n groups are done
  // Of instructions that work beside the threads: gpu::AsyncMatrix.
  matrixFence,
  matrixCommit,
  matrixWait, // (i64 n)
  publish,
  // Of copies of boxes: gpu::BoxCopy.
  counterInit,
  counterExpect,
  counterWait,
  copyBox2, // (to, counter, map, i32 coordinates ...)
  copyBox3,
  copyBox4,
  copyBox5,
  power, // (f32 x): about 2^x, gpu::Options::power
};

struct Intrinsic {
  llvm::StringRef name; // a prefix of the function's name
  Meaning meaning;
};

struct VirtualOptions {
  llvm::ArrayRef<Intrinsic> intrinsics;
  llvm::ArrayRef<MatrixInstruction> matrix;
  BlockLoads blockLoads;
  unsigned subgroup = 32;
};

/// What the host of a virtual device must have for the code to run.
llvm::StringRef virtualHost();

/// For that host; null if this build has no code generator for it.
std::unique_ptr<llvm::TargetMachine> virtualMachine();

/// Turns `module`, which holds one kernel, into one for the host and emits it;
/// empty with a message if it uses what has no known meaning. `assembly`, if
/// given, gets the module as text.
std::string emitVirtual(llvm::Module &module, llvm::StringRef entry,
                        const VirtualOptions &options, std::string *assembly,
                        std::string &error);

} // namespace aicc::gpu

#endif // AICC_COMPILER_GPU_VIRTUAL_H
