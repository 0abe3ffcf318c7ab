//===- FakeDriver.h - an asynchronous device with its own memory ----------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// For tests of what a cpu never does: kernels that reach device memory only,
// work that runs later on another thread, and failures on demand. Its modules
// are ELF objects with kernels in the cpu's ABI; a pointer argument outside of
// what was allocated on the device fails the launch, a copy from or to another
// device's memory fails, and everything fails after `failAfter` calls. A stream
// that records must not be waited for, as with most vendors; replayed work is
// done in an order that its streams and events allow, the latest first.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_RUNTIME_EXECUTOR_FAKEDRIVER_H
#define AICC_RUNTIME_EXECUTOR_FAKEDRIVER_H

#include "aicc/driver.h"

#include <atomic>
#include <cstdint>

namespace aicc::testing {

struct FakeDevice {
  static const aicc_driver *table();       // family "fake", two devices
  static const aicc_driver *peers();       // "peer": they copy to each other
  static std::atomic<int64_t> failAfter;   // calls until failure; < 0: never
  static std::atomic<int64_t> liveBytes;   // allocated now
  static std::atomic<int64_t> liveHandles; // streams, events, modules
  static std::atomic<int64_t> launches;
  static std::atomic<int64_t> limit;      // of liveBytes; < 0: none
  static std::atomic<int64_t> delay;      // of each launch, in microseconds
  static std::atomic<int64_t> mostAtOnce; // work done at the same time
  static std::atomic<int64_t> recordings; // ended well
  static std::atomic<int64_t> replays;
  static std::atomic<int64_t> peerCopies;
  static std::atomic<bool> refuseRecording; // of any work
  static void recordStreams(bool several);  // AICC_DEVICE_RECORDS_STREAMS
};

} // namespace aicc::testing

#endif
