//===- ArenaPlan.cpp - places for temporaries in one arena ----------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ArenaPlan.h"

#include <algorithm>
#include <numeric>

using namespace aicc::package;

ArenaPlan aicc::package::planArena(std::span<const ArenaBlock> blocks,
                                   uint64_t alignment) {
  ArenaPlan plan;
  plan.offsets.assign(blocks.size(), 0);

  // One limit for the sum keeps every intermediate value below 2^63.
  constexpr uint64_t limit = uint64_t(1) << 62;
  uint64_t total = 0;
  for (const ArenaBlock &block : blocks) {
    if (block.bytes > limit || (total += block.bytes + alignment) > limit) {
      plan.overflow = true;
      return plan;
    }
  }

  std::vector<uint32_t> order(blocks.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    if (blocks[a].bytes != blocks[b].bytes)
      return blocks[a].bytes > blocks[b].bytes;
    if (blocks[a].first != blocks[b].first)
      return blocks[a].first < blocks[b].first;
    return a < b;
  });

  // Blocks placed so far, in the order of their offsets.
  std::vector<uint32_t> placed;
  placed.reserve(blocks.size());
  for (uint32_t index : order) {
    const ArenaBlock &block = blocks[index];
    if (block.bytes == 0)
      continue;
    const uint64_t bytes =
        (block.bytes + alignment - 1) / alignment * alignment;
    uint64_t end = 0; // of the placed blocks walked over
    uint64_t best = 0, bestGap = UINT64_MAX;
    for (uint32_t other : placed) {
      const ArenaBlock &neighbour = blocks[other];
      if (neighbour.first > block.last || neighbour.last < block.first)
        continue;
      const uint64_t begin = plan.offsets[other];
      if (begin > end && begin - end >= bytes && begin - end < bestGap) {
        best = end;
        bestGap = begin - end;
      }
      end = std::max(end, begin + (neighbour.bytes + alignment - 1) /
                                      alignment * alignment);
    }
    if (bestGap == UINT64_MAX)
      best = end;
    plan.offsets[index] = best;
    plan.bytes = std::max(plan.bytes, best + bytes);
    placed.insert(std::upper_bound(placed.begin(), placed.end(), best,
                                   [&](uint64_t offset, uint32_t other) {
                                     return offset < plan.offsets[other];
                                   }),
                  index);
  }
  return plan;
}
