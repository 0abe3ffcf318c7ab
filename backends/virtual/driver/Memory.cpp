//===- Memory.cpp - memory of a virtual device, watched -------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Memory.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

using namespace aicc::backends::virtual_device;

namespace {
// An entry of a shadow: one bit that it is one, one for atomic accesses, 26
// bits of workgroup, 12 of thread, 24 of epoch. All ones in a field means
// several.
constexpr uint64_t present = 1ull << 63, atomicBit = 1ull << 62;
constexpr unsigned groupShift = 36, threadShift = 24;
constexpr uint64_t groupMask = (1ull << 26) - 1, threadMask = (1ull << 12) - 1,
                   epochMask = (1ull << 24) - 1;

uint64_t pack(const Toucher &who, bool atomic) {
  return present | (atomic ? atomicBit : 0) |
         (std::min<uint64_t>(who.group, groupMask - 1) << groupShift) |
         (std::min<uint64_t>(who.thread, threadMask - 1) << threadShift) |
         (who.epoch & epochMask);
}
uint64_t groupOf(uint64_t entry) { return entry >> groupShift & groupMask; }
uint64_t threadOf(uint64_t entry) { return entry >> threadShift & threadMask; }
uint64_t epochOf(uint64_t entry) { return entry & epochMask; }

Toucher unpack(uint64_t entry) {
  return {uint32_t(groupOf(entry)), uint32_t(threadOf(entry)),
          uint32_t(epochOf(entry))};
}

// Whether nothing orders the access `mine` after the one in `entry`.
bool unordered(uint64_t entry, uint64_t mine) {
  if (!(entry & present))
    return false;
  if (entry & mine & atomicBit)
    return false;
  if (groupOf(entry) != groupOf(mine))
    return true;
  return threadOf(entry) != threadOf(mine) && epochOf(entry) == epochOf(mine);
}

// What is remembered of readers: the last, or that there were several.
uint64_t merge(uint64_t entry, uint64_t mine) {
  if (!(entry & present) || entry == mine)
    return mine;
  if (groupOf(entry) != groupOf(mine))
    return mine | groupMask << groupShift | threadMask << threadShift;
  if (epochOf(entry) == epochOf(mine) && threadOf(entry) != threadOf(mine))
    return mine | threadMask << threadShift;
  return mine;
}
} // namespace

void Shadow::reset(uint64_t bytes) {
  bytes_ = bytes;
  const size_t entries = size_t((bytes + granule_ - 1) / granule_);
  writes_.assign(entries, 0);
  reads_.assign(entries, 0);
}

void Shadow::split() {
  auto widen = [&](std::vector<uint64_t> &entries) {
    std::vector<uint64_t> wide(bytes_);
    for (size_t i = 0; i < wide.size(); ++i)
      wide[i] = entries[i / granule_];
    entries = std::move(wide);
  };
  widen(writes_);
  widen(reads_);
  granule_ = 1;
}

Mistake Shadow::touch(uint64_t offset, uint64_t bytes, bool write, bool atomic,
                      bool initialised, const Toucher &who,
                      Toucher &out_other) {
  if (granule_ > 1 && (offset % granule_ || bytes % granule_))
    split();
  const uint64_t mine = pack(who, atomic);
  const uint64_t end = (offset + bytes + granule_ - 1) / granule_;
  for (uint64_t i = offset / granule_; i < end; ++i) {
    if (initialised && !write && !writes_[i])
      return Mistake::uninitialised;
    if (unordered(writes_[i], mine)) {
      out_other = unpack(writes_[i]);
      return write ? Mistake::writeAfterWrite : Mistake::readAfterWrite;
    }
    if (!write) {
      reads_[i] = merge(reads_[i], mine);
      continue;
    }
    if (unordered(reads_[i], mine)) {
      out_other = unpack(reads_[i]);
      return Mistake::writeAfterRead;
    }
    writes_[i] = mine;
  }
  return Mistake::none;
}

void *Memory::allocate(uint64_t bytes) {
  if (bytes >= uint64_t(1) << 47)
    return nullptr;
  // A page after it belongs to nobody, so that what runs over stays harmless
  // where it is found too late to be stopped.
  constexpr uint64_t guard = 4096;
  void *memory = std::aligned_alloc(alignment, (bytes + guard + alignment - 1) /
                                                   alignment * alignment);
  if (!memory)
    return nullptr;
  // What nobody wrote shall look like it.
  std::memset(memory, 0xcd, bytes);
  const auto begin = reinterpret_cast<uintptr_t>(memory);
  std::lock_guard lock(mutex_);
  Block &block = blocks_[begin];
  block.begin = begin;
  block.end = begin + bytes;
  return memory;
}

void Memory::release(void *memory) {
  if (!memory)
    return;
  {
    std::lock_guard lock(mutex_);
    blocks_.erase(reinterpret_cast<uintptr_t>(memory));
  }
  std::free(memory);
}

Block *Memory::find(uintptr_t address) {
  std::lock_guard lock(mutex_);
  auto next = blocks_.upper_bound(address);
  if (next == blocks_.begin())
    return nullptr;
  Block &block = std::prev(next)->second;
  return address < block.end ||
                 (block.begin == block.end && address == block.end)
             ? &block
             : nullptr;
}

std::string Memory::describe(uintptr_t address) {
  std::lock_guard lock(mutex_);
  auto next = blocks_.upper_bound(address);
  const Block *before =
      next == blocks_.begin() ? nullptr : &std::prev(next)->second;
  const Block *after = next == blocks_.end() ? nullptr : &next->second;
  constexpr uint64_t near = 1 << 20;
  if (before && address < before->end)
    return "in an allocation of " +
           std::to_string(before->end - before->begin) + " bytes, of which " +
           std::to_string(before->end - address) + " are left";
  if (before && address - before->end < near)
    return std::to_string(address - before->end) +
           " bytes behind an allocation of " +
           std::to_string(before->end - before->begin) + " bytes";
  if (after && after->begin - address < near)
    return std::to_string(after->begin - address) +
           " bytes before an allocation of " +
           std::to_string(after->end - after->begin) + " bytes";
  return "in no memory of the device";
}
