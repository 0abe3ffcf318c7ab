//===- Memory.cpp - memory of a virtual device, watched -------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Memory.h"

#include <cstdlib>
#include <cstring>

using namespace aicc::backends::virtual_device;

// The rest of `with`: other workgroups of this launch, atomic and plain ones.
Access Access::joined(Access mine, const Clock &clock) const {
  Access both = mine;
  if (step() < clock.group)
    both.bits_ |= severalGroups | threadMask;
  else if (step() == clock.now && thread() != mine.thread())
    both.bits_ |= threadMask;
  both.bits_ |= bits_ & severalGroups;
  if (!isAtomic() && (both.ofSeveralGroups() || step() == clock.now))
    both.bits_ &= ~atomic;
  return both;
}

Shadow::~Shadow() { std::free(entries_); }

bool Shadow::reserve(uint64_t bytes) {
  // Pages that nobody touches are never made.
  const uint64_t granules = (bytes >> shift_) + 1;
  entries_ = static_cast<Entry *>(std::calloc(granules, sizeof(Entry)));
  bytes_ = bytes;
  return entries_;
}

void Shadow::split(unsigned shift) {
  const uint64_t count = (bytes_ >> shift) + 1;
  auto *finer = static_cast<Entry *>(std::calloc(count, sizeof(Entry)));
  if (!finer)
    std::abort(); // as the language does without memory
  for (uint64_t i = 0; i < count; ++i)
    if (const Entry &entry = entries_[i >> (shift_ - shift)];
        entry.write.step() || entry.read.step())
      finer[i] = entry;
  std::free(entries_);
  entries_ = finer;
  shift_ = shift;
}

void *Memory::allocate(uint64_t bytes) {
  if (bytes >= uint64_t(1) << 47)
    return nullptr;
  // A page after it belongs to nobody, so that what runs over stays harmless
  // where it is found too late to be stopped.
  constexpr uint64_t guard = 4096;
  void *memory = std::aligned_alloc(alignment, (bytes + guard + alignment - 1) /
                                                   alignment * alignment);
  Shadow shadow;
  if (!memory || !shadow.reserve(bytes)) {
    std::free(memory);
    return nullptr;
  }
  // What nobody wrote shall look like it.
  std::memset(memory, 0xcd, bytes);
  const auto begin = reinterpret_cast<uintptr_t>(memory);
  std::lock_guard lock(mutex_);
  Block &block = blocks_[begin];
  block.begin = begin;
  block.end = begin + bytes;
  block.shadow = std::move(shadow);
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
