//===- Handles.h - what the table's handles are -----------------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The handles of aicc/driver.h are opaque; these are what they point at.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_BACKENDS_COMMON_DRIVER_HANDLES_H
#define AICC_BACKENDS_COMMON_DRIVER_HANDLES_H

#include "Vendor.h"

#include "aicc/runtime.h"

#include <atomic>
#include <map>
#include <memory>

namespace aicc::backends::common {

/// Remembers the message for last_error().
int fail(int status, std::string message);
const char *lastError();

struct Device;

/// Maps a device's events to CLOCK_MONOTONIC. Vendors tell no more than how
/// long lies between two events, as a float: so one event is recorded at a time
/// that is known, and again every now and then to keep the precision.
class Clock {
public:
  /// When a finished event was, in ns.
  int time(Device &device, void *event, uint64_t &out);
  /// Of a device that is current.
  void destroy(Device &device);

private:
  int renew(Device &device);
  std::mutex mutex_;
  void *stream_ = nullptr, *base_ = nullptr;
  uint64_t host_ = 0; // when the base was recorded
};

struct Device {
  Vendor *vendor = nullptr;
  int index = 0;
  void *context = nullptr;
  bool pools = false;
  std::string name, label, version; // label: for messages, "cuda:0"
  Description description;
  std::vector<const char *> features;
  aicc_device_properties properties{};
  Clock clock;
  std::mutex peerMutex;
  std::map<int, int> peers; // enabled, or the code of why not

  const Calls &calls() const { return vendor->calls; }
  /// AICC_OK, or the status and message of the vendor's code.
  int check(int code, const std::string &what);
};

/// The calling thread's device for the life of this object; what the
/// application had is put back.
class Current {
public:
  explicit Current(Device &device)
      : vendor_(*device.vendor),
        code_(vendor_.enter(device.index, device.context, before_)) {}
  Current(const Current &) = delete;
  ~Current() {
    if (!code_)
      vendor_.leave(before_);
  }
  int code() const { return code_; }

private:
  Vendor &vendor_;
  intptr_t before_ = 0;
  int code_;
};

struct Stream {
  Device *device = nullptr;
  void *handle = nullptr;
  bool recording = false;
};

struct Event {
  Device *device = nullptr;
  void *end = nullptr;
  void *begin = nullptr; // made when it times a launch
  std::atomic<bool> recorded{false}, timesLaunch{false};
};

struct Module;

struct Kernel {
  Module *module = nullptr;
  std::string entry;
  void *function = nullptr;
  std::atomic<uint32_t> allowedShared{48 << 10};
  aicc_tensors tensors{};   // whose maps are to follow the arguments
  size_t firstArgument = 0; // of those with maps: bytes before them
};

struct Module {
  Device *device = nullptr;
  bool namesTensors = false; // some kernel may want maps
  std::string name;
  void *handle = nullptr;
  std::mutex mutex;
  std::map<std::string, std::unique_ptr<Kernel>> kernels;
};

struct Graph {
  Device *device = nullptr;
  void *exec = nullptr;
};

} // namespace aicc::backends::common

#endif // AICC_BACKENDS_COMMON_DRIVER_HANDLES_H
