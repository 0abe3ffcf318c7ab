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
//===----------------------------------------------------------------------===//

#ifndef AICC_BACKENDS_VIRTUAL_DRIVER_MEMORY_H
#define AICC_BACKENDS_VIRTUAL_DRIVER_MEMORY_H

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace aicc::backends::virtual_device {

/// Who touches memory, and when.
struct Toucher {
  uint32_t group;  // linear number of the workgroup
  uint32_t thread; // linear number in it
  uint32_t epoch;  // barriers that the workgroup passed
};

enum class Mistake {
  none,
  readAfterWrite,  // another thread wrote, unordered
  writeAfterWrite, // likewise
  writeAfterRead,  // another thread read, unordered
  uninitialised    // nobody wrote
};

/// Who touched a range of bytes last.
class Shadow {
public:
  /// Forgets everything; `bytes` may change.
  void reset(uint64_t bytes);
  bool empty() const { return bytes_ == 0; }
  /// Records an access that lies in the range and tells whether it is a
  /// mistake; `out_other` is the other thread of a race. `initialised` asks
  /// whether what is read was written before.
  Mistake touch(uint64_t offset, uint64_t bytes, bool write, bool atomic,
                bool initialised, const Toucher &who, Toucher &out_other);

private:
  void split();

  uint64_t bytes_ = 0;
  /// Bytes that share an entry: 4 until somebody touches a part of them.
  uint32_t granule_ = 4;
  std::vector<uint64_t> writes_, reads_;
};

struct Block {
  uintptr_t begin = 0, end = 0;
  /// Of the launch it was last touched in.
  uint64_t launch = 0;
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
  bool isHost(uintptr_t address) { return !find(address); }

private:
  std::mutex mutex_;
  std::map<uintptr_t, Block> blocks_; // by begin
};

} // namespace aicc::backends::virtual_device

#endif // AICC_BACKENDS_VIRTUAL_DRIVER_MEMORY_H
