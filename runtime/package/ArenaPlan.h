//===- ArenaPlan.h - places for temporaries in one arena ------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The one memory planner: the compiler uses it for programs without symbols,
// the runtime when symbols are bound. The result depends on nothing but the
// arguments, so that packages are reproducible.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_RUNTIME_PACKAGE_ARENAPLAN_H
#define AICC_RUNTIME_PACKAGE_ARENAPLAN_H

#include "runtime/package/Preamble.h"

#include <span>
#include <vector>

namespace aicc::package {

struct ArenaBlock {
  uint64_t bytes = 0;
  // First and last instruction that need the memory, both included.
  uint32_t first = 0;
  uint32_t last = 0;
};

struct ArenaPlan {
  std::vector<uint64_t> offsets; // one for each block
  uint64_t bytes = 0;            // size of the arena
  bool overflow = false;         // the sizes don't fit 63 bits: no plan
};

// Greedy by size: the largest block first, each into the smallest gap between
// the blocks already placed whose lifetimes meet its own.
ArenaPlan planArena(std::span<const ArenaBlock> blocks,
                    uint64_t alignment = bufferAlignment);

} // namespace aicc::package

#endif
