//===- Driver.cpp - NVIDIA's driver ---------------------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Symbols of libcuda.so.1 and what CUDA has of its own: contexts, compute
// capabilities, the log of its compiler of PTX. The rest is
// backends/common/driver.
//
//===----------------------------------------------------------------------===//

#include "backends/common/driver/StreamDriver.h"

#include <algorithm>
#include <cstring>

using namespace aicc::backends::common;

namespace {

/// Functions whose like HIP doesn't have.
struct OwnCalls {
  int (*errorName)(int code, const char **out) = nullptr;
  int (*errorText)(int code, const char **out) = nullptr;
  int (*contextRetain)(void **out, int device) = nullptr;
  int (*contextRelease)(int device) = nullptr;
  int (*contextPush)(void *context) = nullptr;
  int (*contextPop)(void **out) = nullptr;
  int (*copy)(void *to, const void *from, size_t bytes, void *stream) = nullptr;
  int (*copyPeer)(void *to, void *context, const void *from, void *peerContext,
                  size_t bytes, void *stream) = nullptr;
  int (*enablePeer)(void *peerContext, unsigned flags) = nullptr;
  int (*moduleLoad)(void **out, const void *image, unsigned count, int *options,
                    void **values) = nullptr;
  int (*functionSetAttribute)(void *function, int attribute,
                              int value) = nullptr;
  // Absent from old libraries.
  int (*moduleGlobal)(uint64_t *out, size_t *outBytes, void *module,
                      const char *name) = nullptr;
  int (*copyToHost)(void *to, uint64_t from, size_t bytes) = nullptr;
  int (*parameterInfo)(void *function, size_t index, size_t *outOffset,
                       size_t *outBytes) = nullptr;
  int (*encodeTiled)(void *out, int type, uint32_t rank, void *address,
                     const uint64_t *sizes, const uint64_t *strides,
                     const uint32_t *box, const uint32_t *steps, int interleave,
                     int swizzle, int promotion, int fill) = nullptr;
};

#define COMMON(member, name)                                                   \
  { name, offsetof(Calls, member), true }
#define OPTIONAL(member, name)                                                 \
  { name, offsetof(Calls, member), false }
constexpr Symbol commonSymbols[] = {
    COMMON(init, "cuInit"),
    COMMON(driverVersion, "cuDriverGetVersion"),
    COMMON(deviceCount, "cuDeviceGetCount"),
    COMMON(deviceName, "cuDeviceGetName"),
    COMMON(deviceAttribute, "cuDeviceGetAttribute"),
    COMMON(deviceMemory, "cuDeviceTotalMem_v2"),
    COMMON(memAlloc, "cuMemAlloc_v2"),
    COMMON(memFree, "cuMemFree_v2"),
    COMMON(hostAlloc, "cuMemHostAlloc"),
    COMMON(hostFree, "cuMemFreeHost"),
    COMMON(memsetD8, "cuMemsetD8Async"),
    COMMON(memsetD16, "cuMemsetD16Async"),
    COMMON(memsetD32, "cuMemsetD32Async"),
    COMMON(streamCreate, "cuStreamCreate"),
    COMMON(streamDestroy, "cuStreamDestroy_v2"),
    COMMON(streamSynchronize, "cuStreamSynchronize"),
    COMMON(streamWaitEvent, "cuStreamWaitEvent"),
    COMMON(eventCreate, "cuEventCreate"),
    COMMON(eventDestroy, "cuEventDestroy_v2"),
    COMMON(eventRecord, "cuEventRecord"),
    COMMON(eventQuery, "cuEventQuery"),
    COMMON(eventSynchronize, "cuEventSynchronize"),
    COMMON(eventElapsed, "cuEventElapsedTime"),
    COMMON(moduleUnload, "cuModuleUnload"),
    COMMON(moduleFunction, "cuModuleGetFunction"),
    COMMON(launch, "cuLaunchKernel"),
    OPTIONAL(memAllocAsync, "cuMemAllocAsync"),
    OPTIONAL(memFreeAsync, "cuMemFreeAsync"),
    OPTIONAL(defaultPool, "cuDeviceGetDefaultMemPool"),
    OPTIONAL(poolSetAttribute, "cuMemPoolSetAttribute"),
    OPTIONAL(poolSetAccess, "cuMemPoolSetAccess"),
    OPTIONAL(canAccessPeer, "cuDeviceCanAccessPeer"),
    OPTIONAL(beginCapture, "cuStreamBeginCapture_v2"),
    OPTIONAL(endCapture, "cuStreamEndCapture"),
    OPTIONAL(graphInstantiate, "cuGraphInstantiateWithFlags"),
    OPTIONAL(graphLaunch, "cuGraphLaunch"),
    OPTIONAL(graphExecDestroy, "cuGraphExecDestroy"),
    OPTIONAL(graphDestroy, "cuGraphDestroy"),
};

#define OWN(member, name)                                                      \
  { name, offsetof(OwnCalls, member), true }
constexpr Symbol cudaSymbols[] = {
    OWN(errorName, "cuGetErrorName"),
    OWN(errorText, "cuGetErrorString"),
    OWN(contextRetain, "cuDevicePrimaryCtxRetain"),
    OWN(contextRelease, "cuDevicePrimaryCtxRelease_v2"),
    OWN(contextPush, "cuCtxPushCurrent_v2"),
    OWN(contextPop, "cuCtxPopCurrent_v2"),
    OWN(copy, "cuMemcpyAsync"),
    OWN(copyPeer, "cuMemcpyPeerAsync"),
    OWN(enablePeer, "cuCtxEnablePeerAccess"),
    OWN(moduleLoad, "cuModuleLoadDataEx"),
    OWN(functionSetAttribute, "cuFuncSetAttribute"),
    {"cuModuleGetGlobal_v2", offsetof(OwnCalls, moduleGlobal), false},
    {"cuMemcpyDtoH_v2", offsetof(OwnCalls, copyToHost), false},
    {"cuFuncGetParamInfo", offsetof(OwnCalls, parameterInfo), false},
    {"cuTensorMapEncodeTiled", offsetof(OwnCalls, encodeTiled), false},
};

// Attributes of devices.
constexpr int maxThreadsPerBlock = 1, multiprocessors = 16,
              capabilityMajor = 75, capabilityMinor = 76, maxSharedOptIn = 97,
              memoryPoolsSupported = 115;

/// Compute capabilities that PTX is written for.
constexpr int capabilities[] = {50, 52, 53, 60, 61, 62,  70,  72,  75,  80,
                                86, 87, 88, 89, 90, 100, 103, 110, 120, 121};

class Cuda final : public Vendor {
public:
  Cuda()
      : Vendor({"NVIDIA",
                "cuda",
                "CUDA",
                "AICC_CUDA_LIBRARY",
                {"libcuda.so.1", "libcuda.so"},
                {"ptx", "cubin"}},
               {maxThreadsPerBlock, multiprocessors, maxSharedOptIn,
                memoryPoolsSupported, /*launchEnd=*/0}) {}

  std::span<const Symbol> symbols() const override { return commonSymbols; }
  std::span<const Symbol> ownSymbols() const override { return cudaSymbols; }
  void *ownCalls() override { return &own_; }

  const char *errorName(int code) const override {
    const char *text = nullptr;
    return own_.errorName(code, &text) ? nullptr : text;
  }
  const char *errorText(int code) const override {
    const char *text = nullptr;
    return own_.errorText(code, &text) ? nullptr : text;
  }

  // The context that the CUDA runtime of the same process uses, too.
  int open(int device, void **out) override {
    return own_.contextRetain(out, device);
  }
  void close(int device) override { own_.contextRelease(device); }
  int enter(int, void *context, intptr_t &) override {
    return own_.contextPush(context);
  }
  void leave(intptr_t) override {
    void *context = nullptr;
    own_.contextPop(&context);
  }

  // PTX for older chips runs, too; what is written for one chip only ("sm_90a")
  // runs on that.
  int identify(int device, Description &out) override {
    int major = 0, minor = 0;
    int code = calls.deviceAttribute(&major, capabilityMajor, device);
    if (!code)
      code = calls.deviceAttribute(&minor, capabilityMinor, device);
    const int chip = 10 * major + minor;
    out.chip = "sm_" + std::to_string(chip);
    out.features.push_back(out.chip);
    if (chip >= 90)
      out.features.push_back(out.chip + "a");
    for (const int older : capabilities)
      if (older < chip)
        out.features.push_back("sm_" + std::to_string(older));
    return code;
  }

  int copy(void *to, const void *from, size_t bytes, void *stream) override {
    return own_.copy(to, from, bytes, stream);
  }
  int copyPeer(void *to, int, void *context, const void *from, int,
               void *peerContext, size_t bytes, void *stream) override {
    return own_.copyPeer(to, context, from, peerContext, bytes, stream);
  }
  int enablePeer(int, void *peerContext) override {
    return own_.enablePeer(peerContext, 0);
  }

  int loadModule(const std::string &image, void **out,
                 std::string &log) override {
    constexpr int errorLog = 5, errorLogBytes = 6;
    log.assign(16 << 10, '\0');
    int options[] = {errorLog, errorLogBytes};
    void *values[] = {log.data(), reinterpret_cast<void *>(log.size() - 1)};
    const int code = own_.moduleLoad(out, image.c_str(), 2, options, values);
    log.resize(std::strlen(log.c_str()));
    return code;
  }

  int findTensors(void *module, void *function, const std::string &entry,
                  aicc_tensors &out, size_t &out_first) override {
    constexpr int notFound = 500;
    uint64_t address = 0;
    size_t bytes = 0;
    out.count = 0;
    out_first = 0;
    // A library without maps refuses to load code that wants them: that is of
    // PTX 8.4, which came with CUDA 12.4, as the last of these functions did.
    if (!own_.moduleGlobal || !own_.copyToHost || !own_.encodeTiled ||
        !own_.parameterInfo)
      return 0;
    const int code = own_.moduleGlobal(&address, &bytes, module,
                                       (entry + "__tensors").c_str());
    if (code)
      return code == notFound ? 0 : code;
    if (const int failed =
            own_.copyToHost(&out, address, std::min(bytes, sizeof out)))
      return failed;
    // Maps are aligned to 64 bytes in the constant bank, in which parameters
    // don't begin at such a place (at 0x210 for sm_90): packed arguments have
    // a gap before the first.
    return own_.parameterInfo(function, 0, &out_first, &bytes);
  }
  int encodeMap(const aicc_tensor &tensor, void *address, void *out) override {
    constexpr int invalidValue = 1, swizzle128 = 3, promote128 = 2;
    constexpr int types[] = {-1, 0, 1, -1, 2}; // whole numbers of so many bytes
    const uint32_t steps[5] = {1, 1, 1, 1, 1};
    if (tensor.rank < 2 || tensor.rank > 5 || tensor.element_bytes > 4)
      return invalidValue;
    return own_.encodeTiled(out, types[tensor.element_bytes], tensor.rank,
                            address, tensor.sizes, tensor.strides + 1,
                            tensor.box, steps, /*interleave=*/0, swizzle128,
                            promote128, /*fill=*/0);
  }
  int allowShared(void *function, uint32_t bytes) override {
    constexpr int maxDynamicShared = 8;
    return own_.functionSetAttribute(function, maxDynamicShared, int(bytes));
  }

private:
  OwnCalls own_;
};

// Never destroyed: threads may still use it while the process exits.
Cuda &cuda() {
  static Cuda *instance = new Cuda;
  return *instance;
}

template <bool virtualDevices>
aicc_driver table(const char *family, const char *name) {
  return makeTable(
      family, name,
      [](uint32_t *out) { return deviceCount(cuda(), virtualDevices, out); },
      [](uint32_t index, aicc_driver_device **out) {
        return deviceOpen(cuda(), virtualDevices, index, out);
      });
}

} // namespace

extern "C" const aicc_driver *aicc_driver_cuda(void) {
  static const aicc_driver instance = table<false>("cuda", "NVIDIA's CUDA");
  return &instance;
}

// Devices of a stand-in for NVIDIA's library, which run other code.
extern "C" const aicc_driver *aicc_driver_cuda_virtual(void) {
  static const aicc_driver instance =
      table<true>("cuda:virtual", "CUDA over a virtual device");
  return &instance;
}
