//===- FakeDriver.h - an asynchronous device with its own memory ----------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// For tests of what a cpu never does: kernels that reach device memory only,
// work that runs later on another thread, and failures on demand. Its modules
// are ELF objects with kernels in the cpu's ABI; a pointer argument outside of
// what was allocated fails the launch, and everything fails after `failAfter`
// calls.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_RUNTIME_EXECUTOR_FAKEDRIVER_H
#define AICC_RUNTIME_EXECUTOR_FAKEDRIVER_H

#include "aicc/driver.h"

#include <atomic>
#include <cstdint>

namespace aicc::testing {

struct FakeDevice {
  static const aicc_driver *table();       // family "fake", one device
  static std::atomic<int64_t> failAfter;   // calls until failure; < 0: never
  static std::atomic<int64_t> liveBytes;   // allocated now
  static std::atomic<int64_t> liveHandles; // streams, events, modules
  static std::atomic<int64_t> launches;
};

} // namespace aicc::testing

#endif
