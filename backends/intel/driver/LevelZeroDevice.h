//===- LevelZeroDevice.h - Intel's GPUs through Level Zero ------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The table's handles are ours by another name: drivers in one program must not
// define the same structures differently. Any thread, but where said otherwise.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_BACKENDS_INTEL_DRIVER_LEVELZERODEVICE_H
#define AICC_BACKENDS_INTEL_DRIVER_LEVELZERODEVICE_H

#include "Builders.h"
#include "Cache.h"
#include "LevelZero.h"

#include "aicc/driver.h"
#include "aicc/runtime.h"

#include <memory>

namespace aicc::intel::level_zero {

extern thread_local std::string lastError;

/// Keeps the message, and returns the status.
int fail(aicc_status status, std::string message);
int failed(ze_result_t result, const std::string &what);

#define AICC_ZE_TRY(call, what)                                                \
  do                                                                           \
    if (const ze_result_t result_ = (call); result_ != ZE_RESULT_SUCCESS)      \
      return failed(result_, what);                                            \
  while (false)

/// The loader's functions; there are some wherever there is a device.
const LevelZero &ze();

// A device found, before it is opened. Those of one driver share a context, so
// that they see each other's memory.
struct Found {
  ze_driver_handle_t driver;
  ze_context_handle_t context;
  ze_device_handle_t device;
};

// What a device gives its streams for one record of an event.
struct Slot {
  ze_event_handle_t event;
  bool timesLaunch = false;
};

struct Device {
  Found found;
  std::string name, version, buildOptions;
  std::vector<std::string> featureNames;
  std::vector<const char *> features;
  aicc_device_properties properties{};
  CacheKey cacheKey;          // of what modules are compiled for
  uint32_t ordinal = 0;       // of the queues that run kernels
  uint64_t largest = 0;       // allocation without asking for more
  uint64_t tick = 1;          // of the clock, in ns
  uint64_t timestampMask = 0; // bits that a kernel's timestamps have
  uint32_t smallestSubgroup = UINT32_MAX;
  std::unique_ptr<Builders> builders = std::make_unique<Builders>();

  std::mutex mutex; // of what follows
  std::vector<ze_event_pool_handle_t> pools;
  std::vector<ze_event_handle_t> events, idle; // all, and those not in use

  int slot(std::shared_ptr<Slot> &out);
};

inline Device *of(aicc_driver_device *device) {
  return reinterpret_cast<Device *>(device);
}

/// The part of the table that is about devices.
int deviceCount(uint32_t *out);
int deviceOpen(uint32_t index, aicc_driver_device **out);
void deviceClose(aicc_driver_device *device);
const aicc_device_properties *deviceProperties(aicc_driver_device *device);

} // namespace aicc::intel::level_zero

#endif // AICC_BACKENDS_INTEL_DRIVER_LEVELZERODEVICE_H
