//===- Device.h - the devices of this process -----------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Devices are opened once and live as long as the process, so that plain
// pointers to them can be handed around. Any thread.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_RUNTIME_DEVICE_DEVICE_H
#define AICC_RUNTIME_DEVICE_DEVICE_H

#include "runtime/core/Status.h"

#include "aicc/driver.h"
#include "aicc/runtime.h"

#include <string_view>
#include <vector>

struct aicc_device {
  const aicc_driver *driver = nullptr;
  aicc_driver_device *handle = nullptr;
  const aicc_device_properties *properties = nullptr;
  std::string name; // "cpu:0"

  bool flag(uint32_t mask) const { return (properties->flags & mask) != 0; }
  bool hasFeature(std::string_view feature) const;
  bool takesFormat(std::string_view format) const;

  // The driver's result as a status whose message begins with the name.
  aicc::Status check(int result, const char *what) const {
    return result == AICC_OK ? aicc::Status() : failure(result, what);
  }
  // Allocations that free themselves.
  struct Freer {
    aicc_device *device;
    uint32_t kind;
    void operator()(void *memory) const {
      device->driver->free(device->handle, memory, kind);
    }
  };
  using Memory = std::unique_ptr<void, Freer>;
  aicc::Status allocate(uint64_t bytes, Memory &out,
                        uint32_t kind = AICC_MEMORY_DEVICE);

private:
  aicc::Status failure(int result, const char *what) const;
};

namespace aicc::device {

// All devices, of all drivers. A driver looks for its devices when somebody
// asks for one of its family, or for all.
std::vector<aicc_device *> all();
Status find(std::string_view name, aicc_device *&out);
// Adds the devices of an outside driver.
Status loadDriver(const std::string &path);
// Adds the devices of a driver whose table outlives the process; for tests.
Status addDriver(const aicc_driver *table);
// Why drivers found no device, one line each.
std::string notes();

} // namespace aicc::device

#endif
