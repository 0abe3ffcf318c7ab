//===- Device.cpp - devices, their clock, and what went wrong -------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Handles.h"
#include "StreamDriver.h"

#include <cstring>
#include <ctime>

using namespace aicc::backends::common;

static thread_local std::string lastMessage;

int aicc::backends::common::fail(int status, std::string message) {
  lastMessage = std::move(message);
  return status;
}
const char *aicc::backends::common::lastError() { return lastMessage.c_str(); }

//===----------------------------------------------------------------------===//
// Errors: the vendors share the numbers
//===----------------------------------------------------------------------===//

static aicc_status statusOf(int code) {
  switch (code) {
  case 1: // a value
    return AICC_INVALID_ARGUMENT;
  case 2:
    return AICC_OUT_OF_MEMORY;
  case 98:  // no such kernel (HIP)
  case 500: // nothing of that name
    return AICC_NOT_FOUND;
  case 200: // not an image
  case 209: // an image for other devices
  case 217: // no peer access
  case 218: // not PTX, not a code object
  case 222: // PTX of a newer version
  case 801:
    return AICC_UNSUPPORTED;
  default:
    return AICC_DEVICE_ERROR;
  }
}

// After these nothing works any more until the process ends.
static bool isSticky(int code) {
  switch (code) {
  case 4:   // shutting down
  case 214: // uncorrectable memory error
  case 220: // of the link
  case 226:
  case 700: // illegal address
  case 702: // timeout
  case 709: // context is destroyed
  case 710: // assertion
  case 714: // stack
  case 715: // illegal instruction
  case 716: // misaligned address
  case 717: // address space
  case 718: // program counter
  case 719: // launch failed
    return true;
  default:
    return false;
  }
}

int Device::check(int code, const std::string &what) {
  if (!code)
    return AICC_OK;
  std::string message = what + " on " + label + ": " + vendor->describe(code);
  if (isSticky(code)) {
    const char *mistake = vendor->standIn ? vendor->standIn->mistake() : "";
    if (*mistake)
      message += std::string(": ") + mistake;
    message += "; the device is lost to this process";
  }
  return fail(statusOf(code), std::move(message));
}

//===----------------------------------------------------------------------===//
// Devices
//===----------------------------------------------------------------------===//

int aicc::backends::common::deviceCount(Vendor &vendor, bool virtualDevices,
                                        uint32_t *out) {
  std::string reason;
  *out = uint32_t(vendor.count(virtualDevices, reason));
  if (!*out)
    fail(AICC_OK, std::move(reason));
  return AICC_OK;
}

static int describe(Device &device) {
  Vendor &vendor = *device.vendor;
  const Calls &calls = device.calls();
  int code = 0;
  auto attribute = [&](int which) {
    int value = 0;
    if (!code)
      code = calls.deviceAttribute(&value, which, device.index);
    return uint32_t(value < 0 ? 0 : value);
  };
  aicc_device_properties &p = device.properties;
  p.struct_size = sizeof p;
  p.max_workgroup = attribute(vendor.numbers.maxWorkgroup);
  p.compute_units = attribute(vendor.numbers.computeUnits);
  p.max_shared_bytes = attribute(vendor.numbers.maxShared);
  char name[256] = {};
  if (!code)
    code = calls.deviceName(name, sizeof name - 1, device.index);
  size_t bytes = 0;
  if (!code)
    code = calls.deviceMemory(&bytes, device.index);
  int version = 0;
  if (!code)
    code = calls.driverVersion(&version);
  if (!code)
    code = vendor.identify(device.index, device.description);
  if (code)
    return device.check(code, "reading the properties");
  device.name = name;
  device.version = std::to_string(version);
  p.flags |= AICC_DEVICE_RECORDS_STREAMS;
  static const char *const takesVirtual[] = {"elf-virtual"};
  if (vendor.standIn) {
    // Its code is for this host, whatever chip it was lowered for.
    device.description = {"", {vendor.standIn->feature}};
    p.flags |= AICC_DEVICE_SEPARATE_BUFFERS;
    p.formats = takesVirtual;
    p.format_count = 1;
  } else {
    p.formats = vendor.names.formats.data();
    p.format_count = vendor.names.formats.size();
  }
  for (const std::string &feature : device.description.features)
    device.features.push_back(feature.c_str());
  p.name = device.name.c_str();
  p.vendor = vendor.names.vendor;
  p.version = device.version.c_str();
  p.chip = device.description.chip.c_str();
  p.features = device.features.data();
  p.feature_count = device.features.size();
  p.memory_bytes = bytes;
  p.max_argument_bytes = 4096;
  p.alignment = 256;
  return AICC_OK;
}

// Memory that was freed stays in the pool: the next run wants it again.
static void preparePool(Device &device) {
  const Calls &calls = device.calls();
  if (!calls.memAllocAsync || !calls.memFreeAsync || !calls.defaultPool ||
      !calls.poolSetAttribute)
    return;
  int supported = 0;
  void *pool = nullptr;
  if (calls.deviceAttribute(&supported, device.vendor->numbers.memoryPools,
                            device.index) ||
      !supported || calls.defaultPool(&pool, device.index))
    return;
  constexpr int releaseThreshold = 4;
  uint64_t everything = UINT64_MAX;
  device.pools = !calls.poolSetAttribute(pool, releaseThreshold, &everything);
}

int aicc::backends::common::deviceOpen(Vendor &vendor, bool virtualDevices,
                                       uint32_t index,
                                       aicc_driver_device **out) {
  std::string reason;
  const int count = vendor.count(virtualDevices, reason);
  if (index >= uint32_t(count))
    return fail(AICC_NOT_FOUND, count ? "there are " + std::to_string(count) +
                                            " devices of " + vendor.names.api +
                                            ", found index " +
                                            std::to_string(index)
                                      : reason);
  auto device = std::make_unique<Device>();
  device->vendor = &vendor;
  device->index = int(index);
  device->label = vendor.names.api + (" device " + std::to_string(index));
  if (const int status = describe(*device))
    return status;
  if (const int code = vendor.open(device->index, &device->context))
    return device->check(code, "opening the device");
  {
    Current current(*device);
    if (current.code()) {
      const int status = device->check(current.code(), "opening the device");
      vendor.close(device->index);
      return status;
    }
    preparePool(*device);
  }
  *out = reinterpret_cast<aicc_driver_device *>(device.release());
  return AICC_OK;
}

//===----------------------------------------------------------------------===//
// Time
//===----------------------------------------------------------------------===//

static uint64_t now() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return uint64_t(time.tv_sec) * 1000000000 + uint64_t(time.tv_nsec);
}

static int64_t nanoseconds(float milliseconds) {
  return int64_t(double(milliseconds) * 1e6);
}

int Clock::renew(Device &device) {
  const Calls &calls = device.calls();
  constexpr unsigned nonBlocking = 1;
  if (!stream_)
    if (const int code = calls.streamCreate(&stream_, nonBlocking))
      return code;
  void *next = nullptr;
  int code = calls.eventCreate(&next, 0);
  if (code)
    return code;
  code = calls.eventRecord(next, stream_);
  if (!code)
    code = calls.eventSynchronize(next);
  uint64_t host = now();
  float ms = 0;
  if (!code && base_ && !calls.eventElapsed(&ms, base_, next)) {
    // Going on from the last base keeps the order of what is close together;
    // the clocks drift apart only slowly.
    const uint64_t continued = host_ + uint64_t(nanoseconds(ms));
    constexpr uint64_t bound = 100000;
    if (continued < host + bound && host < continued + bound)
      host = continued;
  }
  if (code) {
    calls.eventDestroy(next);
    return code;
  }
  if (base_)
    calls.eventDestroy(base_);
  base_ = next;
  host_ = host;
  return 0;
}

int Clock::time(Device &device, void *event, uint64_t &out) {
  std::lock_guard lock(mutex_);
  // A float of milliseconds is good to 60 ns within a second.
  if (!base_ || now() - host_ > 1000000000)
    if (const int code = renew(device))
      return code;
  float ms = 0;
  if (const int code = device.calls().eventElapsed(&ms, base_, event))
    return code;
  out = host_ + uint64_t(nanoseconds(ms));
  return 0;
}

void Clock::destroy(Device &device) {
  if (base_)
    device.calls().eventDestroy(base_);
  if (stream_)
    device.calls().streamDestroy(stream_);
}
