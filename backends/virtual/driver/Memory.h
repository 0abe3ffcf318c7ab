//===- Memory.h - memory of a virtual device, watched -----------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every allocation has its exact size, and a shadow that remembers which thread
// last read and wrote each piece of it. Two accesses of different threads race
// if nothing orders them (a barrier orders those of one workgroup, the end of a
// launch all) and one of them writes.
//
// A device counts the steps that order something: launches, workgroups of a
// launch (which run one after the other), barriers. The number alone says of a
// remembered access whether it was in an earlier launch, in another workgroup,
// or before a barrier, so that shadows need never be cleared.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_BACKENDS_VIRTUAL_DRIVER_MEMORY_H
#define AICC_BACKENDS_VIRTUAL_DRIVER_MEMORY_H

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>

namespace aicc::backends::virtual_device {

/// Steps of a device at which something began.
struct Clock {
  uint64_t launch = 0, group = 0, now = 0;
};

enum class Mistake {
  none,
  readAfterWrite,  // another thread wrote, unordered
  writeAfterWrite, // likewise
  writeAfterRead,  // another thread read, unordered
  uninitialised    // nobody wrote
};

/// An access: the step in which it happened, one bit for atomic ones, one for
/// those that stand for accesses of several workgroups, the thread's number in
/// its workgroup (all ones for several threads). 0 is none.
class Access {
public:
  static constexpr unsigned stepShift = 13;
  static constexpr uint64_t atomic = 1u << 12, severalGroups = 1u << 11,
                            threadMask = (1u << 11) - 1;

  Access() = default;
  Access(const Clock &clock, uint32_t thread, bool isAtomic)
      : bits_(clock.now << stepShift | (isAtomic ? atomic : 0) |
              (thread & threadMask)) {}

  uint64_t step() const { return bits_ >> stepShift; }
  uint32_t thread() const { return uint32_t(bits_ & threadMask); }
  bool isAtomic() const { return bits_ & atomic; }
  bool ofSeveralGroups() const { return bits_ & severalGroups; }
  /// Of this step and thread, and neither is atomic.
  bool same(Access other) const { return bits_ == other.bits_; }
  /// Of this workgroup only, and a barrier was since: what most are.
  bool before(const Clock &clock) const {
    return bits_ - (clock.group << stepShift) < (clock.now - clock.group)
                                                    << stepShift &&
           !ofSeveralGroups();
  }
  /// Whether nothing orders the access `mine`, of now, after this one.
  bool unordered(Access mine, const Clock &clock) const {
    if (step() < clock.launch || (isAtomic() && mine.isAtomic()))
      return false;
    return ofSeveralGroups() || step() < clock.group ||
           (step() == clock.now && thread() != mine.thread());
  }
  /// What is to be remembered of this access and `mine`, of now.
  Access with(Access mine, const Clock &clock) const {
    if (before(clock) || step() < clock.launch)
      return mine;
    if (step() < clock.now || (isAtomic() != mine.isAtomic()))
      return joined(mine, clock);
    // One more of this step: by the same thread, or by several.
    Access both = *this;
    both.bits_ |= thread() == mine.thread() ? 0 : threadMask;
    return both;
  }

private:
  Access joined(Access mine, const Clock &clock) const;

  uint64_t bits_ = 0;
};

/// Who touched a range of bytes last.
class Shadow {
public:
  Shadow() = default;
  Shadow(Shadow &&other) noexcept { *this = std::move(other); }
  Shadow &operator=(Shadow &&other) noexcept {
    std::swap(entries_, other.entries_);
    std::swap(bytes_, other.bytes_);
    std::swap(shift_, other.shift_);
    return *this;
  }
  ~Shadow();
  /// Makes room; false if there is no memory.
  bool reserve(uint64_t bytes);
  bool empty() const { return !entries_; }
  /// Records an access that lies in the range and tells whether it is a
  /// mistake; `other` is the other access of a race. `initialised` asks
  /// whether what is read was written before.
  inline Mistake touch(uint64_t offset, uint64_t bytes, bool write,
                       bool initialised, Access mine, Clock clock,
                       Access &other);

private:
  struct Entry {
    Access write, read;
  };

  void split(unsigned shift);

  Entry *entries_ = nullptr;
  uint64_t bytes_ = 0;
  /// Of the bytes that share an entry: 4 until somebody touches a part of them.
  unsigned shift_ = 2;
};

inline Mistake Shadow::touch(uint64_t offset, uint64_t bytes, bool write,
                             bool initialised, Access mine, Clock clock,
                             Access &other) {
  const uint64_t granule = uint64_t(1) << shift_;
  if ((offset | bytes) & (granule - 1)) [[unlikely]]
    split((offset | bytes) & 1 ? 0 : 1);
  const Entry *end = entries_ + ((offset + bytes) >> shift_);
  for (Entry *entry = entries_ + (offset >> shift_); entry != end; ++entry) {
    const Access wrote = entry->write, read = entry->read;
    if (!wrote.before(clock)) {
      if (initialised && !write && wrote.step() < clock.group)
        return Mistake::uninitialised;
      if (wrote.unordered(mine, clock)) {
        other = wrote;
        return write ? Mistake::writeAfterWrite : Mistake::readAfterWrite;
      }
    }
    if (!write) {
      entry->read = read.with(mine, clock);
      continue;
    }
    if (!read.before(clock) && read.unordered(mine, clock)) {
      other = read;
      return Mistake::writeAfterRead;
    }
    entry->write = wrote.with(mine, clock);
  }
  return Mistake::none;
}

struct Block {
  uintptr_t begin = 0, end = 0;
  Shadow shadow;
};

/// The allocations of one device. Any thread may allocate and release; blocks
/// are looked up and their shadows used by one launch at a time.
class Memory {
public:
  static constexpr uint64_t alignment = 256;

  /// Null if there is no memory.
  void *allocate(uint64_t bytes);
  void release(void *memory);
  /// The block that holds the address, or null.
  Block *find(uintptr_t address);
  /// For messages: where an address lies.
  std::string describe(uintptr_t address);

private:
  std::mutex mutex_;
  std::map<uintptr_t, Block> blocks_; // by begin
};

} // namespace aicc::backends::virtual_device

#endif // AICC_BACKENDS_VIRTUAL_DRIVER_MEMORY_H
