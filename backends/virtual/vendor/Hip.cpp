//===- Hip.cpp - a library with the entry points of HIP -------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What backends/rocm/driver calls, as AMD documents it. The default stream
// isn't offered, and memory isn't allocated while a stream is captured.
//
//===----------------------------------------------------------------------===//

#include "Engine.h"
#include "Errors.h"

#include "aicc/virtual.h"

#include <cstring>

using namespace aicc::backends::virtual_vendor;

extern "C" const aicc_driver *aicc_driver_virtual_rocm(void);

using hipError_t = int;
using hipDeviceptr_t = void *;
using hipStream_t = Stream *;
using hipEvent_t = Event *;
using hipModule_t = Module *;
using hipFunction_t = Function *;
using hipGraph_t = Graph *;
using hipGraphExec_t = Graph *;
using hipMemPool_t = Device *; // each has its default one

static const char *const entries[] = {"hipInit",
                                      "hipDriverGetVersion",
                                      "hipGetDeviceCount",
                                      "hipDeviceGetName",
                                      "hipDeviceGetAttribute",
                                      "hipDeviceTotalMem",
                                      "hipGetDevicePropertiesR0600",
                                      "hipSetDevice",
                                      "hipGetDevice",
                                      "hipMalloc",
                                      "hipFree",
                                      "hipHostMalloc",
                                      "hipHostFree",
                                      "hipMallocAsync",
                                      "hipFreeAsync",
                                      "hipDeviceGetDefaultMemPool",
                                      "hipMemPoolSetAttribute",
                                      "hipMemPoolSetAccess",
                                      "hipMemcpyAsync",
                                      "hipMemcpyPeerAsync",
                                      "hipMemsetD8Async",
                                      "hipMemsetD16Async",
                                      "hipMemsetD32Async",
                                      "hipDeviceCanAccessPeer",
                                      "hipDeviceEnablePeerAccess",
                                      "hipStreamCreateWithFlags",
                                      "hipStreamDestroy",
                                      "hipStreamSynchronize",
                                      "hipStreamWaitEvent",
                                      "hipEventCreateWithFlags",
                                      "hipEventDestroy",
                                      "hipEventRecord",
                                      "hipEventQuery",
                                      "hipEventSynchronize",
                                      "hipEventElapsedTime",
                                      "hipModuleLoadData",
                                      "hipModuleUnload",
                                      "hipModuleGetFunction",
                                      "hipModuleLaunchKernel",
                                      "hipStreamBeginCapture",
                                      "hipStreamEndCapture",
                                      "hipStreamIsCapturing",
                                      "hipGraphInstantiateWithFlags",
                                      "hipGraphLaunch",
                                      "hipGraphExecDestroy",
                                      "hipGraphDestroy",
                                      nullptr};

// Never destroyed: streams' threads may live as long as the process.
static Engine &engine() {
  static Engine *instance = new Engine(*aicc_driver_virtual_rocm(), entries);
  return *instance;
}

static thread_local int currentDevice = 0;

// A call that needs no device.
template <typename Call> static hipError_t plain(const char *entry, Call call) {
  const int fault = engine().enter(entry, nullptr);
  return fault ? fault : call();
}
// One of a device by number. HIP starts itself.
template <typename Call>
static hipError_t of(const char *entry, int number, Call call) {
  if (const int fault = engine().enter(entry, nullptr))
    return fault;
  if (const int code = engine().init())
    return code;
  Device *device = engine().device(number);
  return device ? call(*device) : int(invalidDevice);
}
// One that works on the thread's device.
template <typename Call>
static hipError_t current(const char *entry, Call call) {
  if (const int code = engine().init())
    return code;
  Device *device = engine().device(currentDevice);
  if (const int fault = engine().enter(entry, device))
    return fault;
  if (!device)
    return invalidDevice;
  const int error = engine().stickyError(*device);
  return error ? error : call(*device);
}
// One that lets go of something: that is done whatever went wrong before.
template <typename Call>
static hipError_t release(const char *entry, Call call) {
  const int fault = engine().enter(entry, nullptr);
  return fault ? fault : call();
}

#define EXPORT extern "C" __attribute__((visibility("default")))

EXPORT const aicc_virtual_vendor aicc_virtual_vendor_library;
const aicc_virtual_vendor aicc_virtual_vendor_library = {
    AICC_VIRTUAL_VERSION,
    0,
    "elf-virtual",
#if defined(__x86_64__)
    "x86-64-v3",
#else
    "aarch64",
#endif
    [] { return engine().mistake(); },
    [](const char *entry, uint32_t nth, int code) {
      return engine().inject(entry, nth, code);
    }};

//===----------------------------------------------------------------------===//
// Devices
//===----------------------------------------------------------------------===//

EXPORT hipError_t hipInit(unsigned flags) {
  return plain("hipInit",
               [&] { return flags ? int(invalidValue) : engine().init(); });
}
EXPORT hipError_t hipDriverGetVersion(int *out) {
  return plain("hipDriverGetVersion", [&] { return *out = 60443482, success; });
}
EXPORT const char *hipGetErrorName(hipError_t code) {
  const ErrorName *name = findError(code);
  return name ? name->hip : "hipErrorUnknown";
}
EXPORT const char *hipGetErrorString(hipError_t code) {
  const ErrorName *name = findError(code);
  return name ? name->text : "unknown error";
}
EXPORT hipError_t hipGetDeviceCount(int *out) {
  return plain("hipGetDeviceCount", [&] {
    const int code = engine().init();
    *out = engine().count();
    return code;
  });
}
EXPORT hipError_t hipDeviceGetName(char *out, int bytes, int device) {
  return of("hipDeviceGetName", device, [&](Device &) -> int {
    if (bytes <= 0)
      return invalidValue;
    std::strncpy(out, "virtual AMD GPU, through HIP", size_t(bytes));
    out[bytes - 1] = '\0';
    return success;
  });
}
EXPORT hipError_t hipDeviceGetAttribute(int *out, int attribute, int device) {
  return of("hipDeviceGetAttribute", device, [&](Device &) -> int {
    switch (attribute) {
    case 56: // threads per block
      *out = 1024;
      return success;
    case 63: // compute units: branches of small kernels get their own streams
      *out = 8;
      return success;
    case 88: // memory pools
      *out = 1;
      return success;
    case 74: // shared memory per block
      *out = int(engine().maxShared());
      return success;
    default:
      return invalidValue;
    }
  });
}
EXPORT hipError_t hipDeviceTotalMem(size_t *out, int device) {
  return of("hipDeviceTotalMem", device, [&](Device &) {
    *out = engine().memoryBytes();
    return success;
  });
}
// hipDeviceProp_t of ROCm 6: the name at its beginning, the chip's at 1160.
EXPORT hipError_t hipGetDevicePropertiesR0600(void *out, int device) {
  return of("hipGetDevicePropertiesR0600", device, [&](Device &) {
    constexpr size_t bytes = 1472, chip = 1160;
    std::memset(out, 0, bytes);
    std::strcpy(static_cast<char *>(out), "virtual AMD GPU, through HIP");
    std::strcpy(static_cast<char *>(out) + chip, "gfx942:sramecc+:xnack-");
    return success;
  });
}
EXPORT hipError_t hipSetDevice(int device) {
  return of("hipSetDevice", device, [&](Device &d) {
    currentDevice = d.number;
    return success;
  });
}
EXPORT hipError_t hipGetDevice(int *out) {
  return of("hipGetDevice", currentDevice, [&](Device &d) {
    *out = d.number;
    return success;
  });
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

EXPORT hipError_t hipMalloc(void **out, size_t bytes) {
  return current("hipMalloc", [&](Device &device) {
    return engine().alloc(device, bytes, false, out);
  });
}
EXPORT hipError_t hipFree(void *memory) {
  return release("hipFree", [&] { return engine().free(memory, false); });
}
EXPORT hipError_t hipHostMalloc(void **out, size_t bytes, unsigned) {
  return current("hipHostMalloc", [&](Device &device) {
    return engine().alloc(device, bytes, true, out);
  });
}
EXPORT hipError_t hipHostFree(void *memory) {
  return release("hipHostFree", [&] { return engine().free(memory, true); });
}
EXPORT hipError_t hipMallocAsync(void **out, size_t bytes, hipStream_t stream) {
  return current("hipMallocAsync", [&](Device &) {
    return engine().allocAsync(stream, bytes, out);
  });
}
EXPORT hipError_t hipFreeAsync(void *memory, hipStream_t stream) {
  return current("hipFreeAsync",
                 [&](Device &) { return engine().freeAsync(stream, memory); });
}
EXPORT hipError_t hipDeviceGetDefaultMemPool(hipMemPool_t *out, int device) {
  return of("hipDeviceGetDefaultMemPool", device, [&](Device &d) {
    *out = &d;
    return success;
  });
}
EXPORT hipError_t hipMemPoolSetAttribute(hipMemPool_t pool, int attribute,
                                         void *value) {
  return plain("hipMemPoolSetAttribute", [&] {
    return pool && value && attribute >= 1 && attribute <= 8 ? success
                                                             : invalidValue;
  });
}
EXPORT hipError_t hipMemPoolSetAccess(hipMemPool_t pool,
                                      const void *descriptions, size_t) {
  return plain("hipMemPoolSetAccess",
               [&] { return pool && descriptions ? success : invalidValue; });
}
EXPORT hipError_t hipMemcpyAsync(void *to, const void *from, size_t bytes,
                                 int kind, hipStream_t stream) {
  return current("hipMemcpyAsync", [&](Device &) {
    return kind < 0 || kind > 4 ? int(invalidValue)
                                : engine().copy(stream, to, from, bytes);
  });
}
EXPORT hipError_t hipMemcpyPeerAsync(void *to, int device, const void *from,
                                     int peer, size_t bytes,
                                     hipStream_t stream) {
  return current("hipMemcpyPeerAsync", [&](Device &) -> int {
    Device *target = engine().device(device), *source = engine().device(peer);
    if (!target || !source)
      return invalidDevice;
    return engine().copyPeer(stream, to, *target, from, *source, bytes);
  });
}
EXPORT hipError_t hipMemsetD8Async(hipDeviceptr_t to, unsigned char value,
                                   size_t count, hipStream_t stream) {
  return current("hipMemsetD8Async", [&](Device &) {
    return engine().fill(stream, to, value, 1, count);
  });
}
EXPORT hipError_t hipMemsetD16Async(hipDeviceptr_t to, unsigned short value,
                                    size_t count, hipStream_t stream) {
  return current("hipMemsetD16Async", [&](Device &) {
    return engine().fill(stream, to, value, 2, count);
  });
}
EXPORT hipError_t hipMemsetD32Async(hipDeviceptr_t to, int value, size_t count,
                                    hipStream_t stream) {
  return current("hipMemsetD32Async", [&](Device &) {
    return engine().fill(stream, to, unsigned(value), 4, count);
  });
}
EXPORT hipError_t hipDeviceCanAccessPeer(int *out, int device, int peer) {
  return of("hipDeviceCanAccessPeer", device, [&](Device &) -> int {
    if (!engine().device(peer))
      return invalidDevice;
    *out = device != peer;
    return success;
  });
}
EXPORT hipError_t hipDeviceEnablePeerAccess(int peer, unsigned flags) {
  return current("hipDeviceEnablePeerAccess", [&](Device &device) -> int {
    Device *other = engine().device(peer);
    if (!other)
      return invalidDevice;
    return flags ? int(invalidValue) : engine().enablePeer(device, *other);
  });
}

//===----------------------------------------------------------------------===//
// Streams and events
//===----------------------------------------------------------------------===//

EXPORT hipError_t hipStreamCreateWithFlags(hipStream_t *out, unsigned flags) {
  return current("hipStreamCreateWithFlags", [&](Device &device) {
    return flags > 1 ? int(invalidValue) : engine().streamCreate(device, out);
  });
}
EXPORT hipError_t hipStreamDestroy(hipStream_t stream) {
  return release("hipStreamDestroy",
                 [&] { return engine().streamDestroy(stream); });
}
EXPORT hipError_t hipStreamSynchronize(hipStream_t stream) {
  return current("hipStreamSynchronize",
                 [&](Device &) { return engine().streamSynchronize(stream); });
}
EXPORT hipError_t hipStreamWaitEvent(hipStream_t stream, hipEvent_t event,
                                     unsigned) {
  return current("hipStreamWaitEvent",
                 [&](Device &) { return engine().streamWait(stream, event); });
}
EXPORT hipError_t hipEventCreateWithFlags(hipEvent_t *out, unsigned flags) {
  return current("hipEventCreateWithFlags",
                 [&](Device &) { return engine().eventCreate(flags, out); });
}
EXPORT hipError_t hipEventDestroy(hipEvent_t event) {
  return release("hipEventDestroy",
                 [&] { return engine().eventDestroy(event); });
}
EXPORT hipError_t hipEventRecord(hipEvent_t event, hipStream_t stream) {
  return current("hipEventRecord",
                 [&](Device &) { return engine().eventRecord(event, stream); });
}
EXPORT hipError_t hipEventQuery(hipEvent_t event) {
  return current("hipEventQuery",
                 [&](Device &) { return engine().eventQuery(event); });
}
EXPORT hipError_t hipEventSynchronize(hipEvent_t event) {
  return current("hipEventSynchronize",
                 [&](Device &) { return engine().eventSynchronize(event); });
}
EXPORT hipError_t hipEventElapsedTime(float *out, hipEvent_t begin,
                                      hipEvent_t end) {
  return current("hipEventElapsedTime", [&](Device &) {
    return engine().eventElapsed(out, begin, end);
  });
}

//===----------------------------------------------------------------------===//
// Code
//===----------------------------------------------------------------------===//

EXPORT hipError_t hipModuleLoadData(hipModule_t *out, const void *image) {
  return current("hipModuleLoadData", [&](Device &device) {
    std::string log; // HIP has none
    return engine().moduleLoad(device, image, out, log);
  });
}
EXPORT hipError_t hipModuleUnload(hipModule_t module) {
  return release("hipModuleUnload",
                 [&] { return engine().moduleUnload(module); });
}
EXPORT hipError_t hipModuleGetFunction(hipFunction_t *out, hipModule_t module,
                                       const char *name) {
  return current("hipModuleGetFunction", [&](Device &) {
    return engine().moduleFunction(module, name, out);
  });
}
EXPORT hipError_t hipModuleLaunchKernel(hipFunction_t function, unsigned gridX,
                                        unsigned gridY, unsigned gridZ,
                                        unsigned blockX, unsigned blockY,
                                        unsigned blockZ, unsigned sharedBytes,
                                        hipStream_t stream, void **parameters,
                                        void **extra) {
  return current("hipModuleLaunchKernel", [&](Device &) -> int {
    if (parameters)
      return notSupported;
    const unsigned grid[] = {gridX, gridY, gridZ},
                   block[] = {blockX, blockY, blockZ};
    // All of the workgroup memory is there without being asked for.
    if (const int code =
            engine().allowShared(function, int(engine().maxShared())))
      return code;
    return engine().launch(function, grid, block, sharedBytes, stream, extra,
                           3);
  });
}

//===----------------------------------------------------------------------===//
// Graphs
//===----------------------------------------------------------------------===//

EXPORT hipError_t hipStreamBeginCapture(hipStream_t stream, int mode) {
  return current("hipStreamBeginCapture",
                 [&](Device &) { return engine().beginCapture(stream, mode); });
}
EXPORT hipError_t hipStreamEndCapture(hipStream_t stream, hipGraph_t *out) {
  return current("hipStreamEndCapture",
                 [&](Device &) { return engine().endCapture(stream, out); });
}
EXPORT hipError_t hipStreamIsCapturing(hipStream_t stream, int *out) {
  return current("hipStreamIsCapturing",
                 [&](Device &) { return engine().isCapturing(stream, out); });
}
EXPORT hipError_t hipGraphInstantiateWithFlags(hipGraphExec_t *out,
                                               hipGraph_t graph,
                                               unsigned long long) {
  return current("hipGraphInstantiateWithFlags", [&](Device &) {
    return engine().graphInstantiate(graph, out);
  });
}
EXPORT hipError_t hipGraphLaunch(hipGraphExec_t exec, hipStream_t stream) {
  return current("hipGraphLaunch",
                 [&](Device &) { return engine().graphLaunch(exec, stream); });
}
EXPORT hipError_t hipGraphExecDestroy(hipGraphExec_t exec) {
  return release("hipGraphExecDestroy",
                 [&] { return engine().graphDestroy(exec); });
}
EXPORT hipError_t hipGraphDestroy(hipGraph_t graph) {
  return release("hipGraphDestroy",
                 [&] { return engine().graphDestroy(graph); });
}
