//===- Driver.cpp - AMD's HIP ---------------------------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Symbols of libamdhip64.so and what HIP has of its own: devices by number
// instead of contexts, names of chips. The rest is backends/common/driver.
//
//===----------------------------------------------------------------------===//

#include "backends/common/driver/StreamDriver.h"

#include <algorithm>
#include <cstring>
#include <string_view>

using namespace aicc::backends::common;

namespace {

/// Functions whose like CUDA doesn't have.
struct OwnCalls {
  const char *(*errorName)(int code) = nullptr;
  const char *(*errorText)(int code) = nullptr;
  int (*setDevice)(int device) = nullptr;
  int (*getDevice)(int *out) = nullptr;
  int (*properties)(void *out, int device) = nullptr;
  int (*copy)(void *to, const void *from, size_t bytes, int kind,
              void *stream) = nullptr;
  int (*copyPeer)(void *to, int device, const void *from, int peer,
                  size_t bytes, void *stream) = nullptr;
  int (*enablePeer)(int peer, unsigned flags) = nullptr;
  int (*moduleLoad)(void **out, const void *image) = nullptr;
};

#define COMMON(member, name)                                                   \
  { name, offsetof(Calls, member), true }
#define OPTIONAL(member, name)                                                 \
  { name, offsetof(Calls, member), false }
constexpr Symbol commonSymbols[] = {
    COMMON(init, "hipInit"),
    COMMON(driverVersion, "hipDriverGetVersion"),
    COMMON(deviceCount, "hipGetDeviceCount"),
    COMMON(deviceName, "hipDeviceGetName"),
    COMMON(deviceAttribute, "hipDeviceGetAttribute"),
    COMMON(deviceMemory, "hipDeviceTotalMem"),
    COMMON(memAlloc, "hipMalloc"),
    COMMON(memFree, "hipFree"),
    COMMON(hostAlloc, "hipHostMalloc"),
    COMMON(hostFree, "hipHostFree"),
    COMMON(memsetD8, "hipMemsetD8Async"),
    COMMON(memsetD16, "hipMemsetD16Async"),
    COMMON(memsetD32, "hipMemsetD32Async"),
    COMMON(streamCreate, "hipStreamCreateWithFlags"),
    COMMON(streamDestroy, "hipStreamDestroy"),
    COMMON(streamSynchronize, "hipStreamSynchronize"),
    COMMON(streamWaitEvent, "hipStreamWaitEvent"),
    COMMON(eventCreate, "hipEventCreateWithFlags"),
    COMMON(eventDestroy, "hipEventDestroy"),
    COMMON(eventRecord, "hipEventRecord"),
    COMMON(eventQuery, "hipEventQuery"),
    COMMON(eventSynchronize, "hipEventSynchronize"),
    COMMON(eventElapsed, "hipEventElapsedTime"),
    COMMON(moduleUnload, "hipModuleUnload"),
    COMMON(moduleFunction, "hipModuleGetFunction"),
    COMMON(launch, "hipModuleLaunchKernel"),
    OPTIONAL(memAllocAsync, "hipMallocAsync"),
    OPTIONAL(memFreeAsync, "hipFreeAsync"),
    OPTIONAL(defaultPool, "hipDeviceGetDefaultMemPool"),
    OPTIONAL(poolSetAttribute, "hipMemPoolSetAttribute"),
    OPTIONAL(poolSetAccess, "hipMemPoolSetAccess"),
    OPTIONAL(canAccessPeer, "hipDeviceCanAccessPeer"),
    OPTIONAL(beginCapture, "hipStreamBeginCapture"),
    OPTIONAL(endCapture, "hipStreamEndCapture"),
    OPTIONAL(graphInstantiate, "hipGraphInstantiateWithFlags"),
    OPTIONAL(graphLaunch, "hipGraphLaunch"),
    OPTIONAL(graphExecDestroy, "hipGraphExecDestroy"),
    OPTIONAL(graphDestroy, "hipGraphDestroy"),
};

#define OWN(member, name)                                                      \
  { name, offsetof(OwnCalls, member), true }
constexpr Symbol hipSymbols[] = {
    OWN(errorName, "hipGetErrorName"),
    OWN(errorText, "hipGetErrorString"),
    OWN(setDevice, "hipSetDevice"),
    OWN(getDevice, "hipGetDevice"),
    OWN(properties, "hipGetDevicePropertiesR0600"), // ROCm 6 and later
    OWN(copy, "hipMemcpyAsync"),
    OWN(copyPeer, "hipMemcpyPeerAsync"),
    OWN(enablePeer, "hipDeviceEnablePeerAccess"),
    OWN(moduleLoad, "hipModuleLoadData"),
};

// Attributes of devices.
constexpr int maxThreadsPerBlock = 56, multiprocessors = 63,
              maxSharedPerBlock = 74, memoryPoolsSupported = 88;

/// Where the chip's name lies in the properties of ROCm 6 and later; room is
/// left for what later ones append.
constexpr size_t chipOffset = 1160, chipBytes = 256, propertiesBytes = 4096;

/// LLVM's generic targets and the chips that run their code.
struct Generic {
  const char *name;
  std::initializer_list<std::string_view> chips;
};
const Generic generics[] = {
    {"gfx9-generic",
     {"gfx900", "gfx902", "gfx904", "gfx906", "gfx909", "gfx90c"}},
    {"gfx9-4-generic", {"gfx942", "gfx950"}},
    {"gfx10-1-generic", {"gfx1010", "gfx1011", "gfx1012", "gfx1013"}},
    {"gfx10-3-generic",
     {"gfx1030", "gfx1031", "gfx1032", "gfx1033", "gfx1034", "gfx1035",
      "gfx1036"}},
    {"gfx11-generic",
     {"gfx1100", "gfx1101", "gfx1102", "gfx1103", "gfx1150", "gfx1151",
      "gfx1152", "gfx1153"}},
    {"gfx12-generic", {"gfx1200", "gfx1201"}},
};

class Hip final : public Vendor {
public:
  Hip()
      : Vendor({"AMD",
                "rocm",
                "HIP",
                "AICC_HIP_LIBRARY",
                {"libamdhip64.so", "libamdhip64.so.7", "libamdhip64.so.6"},
                {"hsaco"}},
               {maxThreadsPerBlock, multiprocessors, maxSharedPerBlock,
                memoryPoolsSupported, /*launchEnd=*/3}) {}

  std::span<const Symbol> symbols() const override { return commonSymbols; }
  std::span<const Symbol> ownSymbols() const override { return hipSymbols; }
  void *ownCalls() override { return &own_; }

  const char *errorName(int code) const override {
    return own_.errorName(code);
  }
  const char *errorText(int code) const override {
    return own_.errorText(code);
  }

  int open(int, void **out) override {
    *out = nullptr;
    return 0;
  }
  void close(int) override {}
  int enter(int device, void *, intptr_t &before) override {
    int current = 0;
    int code = own_.getDevice(&current);
    before = code ? device : current;
    return current == device && !code ? 0 : own_.setDevice(device);
  }
  void leave(intptr_t before) override {
    int current = 0;
    if (own_.getDevice(&current) || current != int(before))
      own_.setDevice(int(before));
  }

  // "gfx942:sramecc+:xnack-": the chip and how it is set up.
  int identify(int device, Description &out) override {
    std::vector<char> properties(propertiesBytes, '\0');
    const int code = own_.properties(properties.data(), device);
    const char *name = properties.data() + chipOffset;
    out.chip.assign(name, strnlen(name, chipBytes));
    out.chip = out.chip.substr(0, out.chip.find(':'));
    out.features.push_back(out.chip);
    for (const Generic &generic : generics)
      if (std::find(generic.chips.begin(), generic.chips.end(), out.chip) !=
          generic.chips.end())
        out.features.push_back(generic.name);
    return code;
  }

  int copy(void *to, const void *from, size_t bytes, void *stream) override {
    constexpr int byAddress = 4;
    return own_.copy(to, from, bytes, byAddress, stream);
  }
  int copyPeer(void *to, int device, void *, const void *from, int peer, void *,
               size_t bytes, void *stream) override {
    return own_.copyPeer(to, device, from, peer, bytes, stream);
  }
  int enablePeer(int peer, void *) override { return own_.enablePeer(peer, 0); }

  // HIP keeps no log.
  int loadModule(const std::string &image, void **out, std::string &) override {
    return own_.moduleLoad(out, image.c_str());
  }

  // A kernel may have all of a compute unit's memory as it is.
  int allowShared(void *, uint32_t) override { return 0; }

private:
  OwnCalls own_;
};

// Never destroyed: threads may still use it while the process exits.
Hip &hip() {
  static Hip *instance = new Hip;
  return *instance;
}

template <bool virtualDevices>
aicc_driver table(const char *family, const char *name) {
  return makeTable(
      family, name,
      [](uint32_t *out) { return deviceCount(hip(), virtualDevices, out); },
      [](uint32_t index, aicc_driver_device **out) {
        return deviceOpen(hip(), virtualDevices, index, out);
      });
}

} // namespace

extern "C" const aicc_driver *aicc_driver_rocm(void) {
  static const aicc_driver instance = table<false>("rocm", "AMD's HIP");
  return &instance;
}

// Devices of a stand-in for AMD's library, which run other code.
extern "C" const aicc_driver *aicc_driver_rocm_virtual(void) {
  static const aicc_driver instance =
      table<true>("rocm:virtual", "HIP over a virtual device");
  return &instance;
}
