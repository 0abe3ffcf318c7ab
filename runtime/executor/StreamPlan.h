//===- StreamPlan.h - what of a run may happen at the same time -----------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Spreads the work of a run over streams and says which of it has to wait for
// which. Pure: the result depends on nothing but the arguments.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_RUNTIME_EXECUTOR_STREAMPLAN_H
#define AICC_RUNTIME_EXECUTOR_STREAMPLAN_H

#include <cstdint>
#include <span>
#include <vector>

namespace aicc::executor {

// A launch or copy, and the memory it touches. Places of different spaces never
// overlap.
struct Work {
  struct Range {
    uint64_t space, begin, end;
    bool written;
  };
  enum Kind : uint8_t {
    wide,    // keeps the whole device busy, or is too short to bother
    narrow,  // leaves room for others for a while
    transfer // between the host and the device
  } kind = wide;
  std::vector<Range> ranges;
};

struct StreamPlan {
  struct Entry {
    uint32_t stream = 0;
    std::vector<uint32_t> waits; // work of other streams, by its index
    bool waitedFor = false;      // by another stream
  };
  std::vector<Entry> works;
  uint32_t streams = 1;
};

// Work of a stream runs in the given order. Stream 0 has all that is wide;
// transfers have the last one. `most` for narrow work, at least 1.
StreamPlan planStreams(std::span<const Work> works, uint32_t most);

} // namespace aicc::executor

#endif
