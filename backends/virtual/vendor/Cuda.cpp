//===- Cuda.cpp - a library with the entry points of CUDA's driver --------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What backends/cuda/driver calls, as NVIDIA documents it. Contexts are the
// devices' primary ones. The default stream isn't offered, and memory isn't
// allocated while a stream is captured.
//
//===----------------------------------------------------------------------===//

#include "Engine.h"
#include "Errors.h"

#include "aicc/tensors.h"
#include "aicc/virtual.h"

#include <algorithm>
#include <cstring>
#include <iterator>

using namespace aicc::backends::virtual_vendor;

extern "C" const aicc_driver *aicc_driver_virtual_cuda(void);

using CUresult = int;
using CUdevice = int;
using CUdeviceptr = unsigned long long;
using CUcontext = Device *;
using CUstream = Stream *;
using CUevent = Event *;
using CUmodule = Module *;
using CUfunction = Function *;
using CUgraph = Graph *;
using CUgraphExec = Graph *;
using CUmemoryPool = Device *; // each has its default one

static const char *const entries[] = {"cuInit",
                                      "cuDriverGetVersion",
                                      "cuDeviceGetCount",
                                      "cuDeviceGet",
                                      "cuDeviceGetName",
                                      "cuDeviceGetAttribute",
                                      "cuDeviceTotalMem_v2",
                                      "cuDevicePrimaryCtxRetain",
                                      "cuDevicePrimaryCtxRelease_v2",
                                      "cuCtxPushCurrent_v2",
                                      "cuCtxPopCurrent_v2",
                                      "cuCtxSetCurrent",
                                      "cuCtxGetCurrent",
                                      "cuMemAlloc_v2",
                                      "cuMemFree_v2",
                                      "cuMemHostAlloc",
                                      "cuMemFreeHost",
                                      "cuMemAllocAsync",
                                      "cuMemFreeAsync",
                                      "cuDeviceGetDefaultMemPool",
                                      "cuMemPoolSetAttribute",
                                      "cuMemPoolSetAccess",
                                      "cuMemcpyAsync",
                                      "cuMemcpyPeerAsync",
                                      "cuMemsetD8Async",
                                      "cuMemsetD16Async",
                                      "cuMemsetD32Async",
                                      "cuDeviceCanAccessPeer",
                                      "cuCtxEnablePeerAccess",
                                      "cuStreamCreate",
                                      "cuStreamDestroy_v2",
                                      "cuStreamSynchronize",
                                      "cuStreamWaitEvent",
                                      "cuEventCreate",
                                      "cuEventDestroy_v2",
                                      "cuEventRecord",
                                      "cuEventQuery",
                                      "cuEventSynchronize",
                                      "cuEventElapsedTime",
                                      "cuModuleLoadDataEx",
                                      "cuModuleUnload",
                                      "cuModuleGetFunction",
                                      "cuModuleGetGlobal_v2",
                                      "cuMemcpyDtoH_v2",
                                      "cuTensorMapEncodeTiled",
                                      "cuFuncSetAttribute",
                                      "cuLaunchKernel",
                                      "cuStreamBeginCapture_v2",
                                      "cuStreamEndCapture",
                                      "cuStreamIsCapturing",
                                      "cuGraphInstantiateWithFlags",
                                      "cuGraphLaunch",
                                      "cuGraphExecDestroy",
                                      "cuGraphDestroy",
                                      nullptr};

// Never destroyed: streams' threads may live as long as the process.
static Engine &engine() {
  static Engine *instance = new Engine(*aicc_driver_virtual_cuda(), entries);
  return *instance;
}

static thread_local std::vector<Device *> contexts;

// A call that needs neither a context nor cuInit.
template <typename Call> static CUresult plain(const char *entry, Call call) {
  const int fault = engine().enter(entry, nullptr);
  return fault ? fault : call();
}
// One of a device by number.
template <typename Call>
static CUresult of(const char *entry, CUdevice number, Call call) {
  if (const int fault = engine().enter(entry, nullptr))
    return fault;
  if (!engine().initialized())
    return notInitialized;
  Device *device = engine().device(number);
  return device ? call(*device) : int(invalidDevice);
}
// One that works on the current context.
template <typename Call> static CUresult current(const char *entry, Call call) {
  Device *device = contexts.empty() ? nullptr : contexts.back();
  if (const int fault = engine().enter(entry, device))
    return fault;
  if (!engine().initialized())
    return notInitialized;
  if (!device || !engine().isRetained(*device))
    return invalidContext;
  const int error = engine().stickyError(*device);
  return error ? error : call(*device);
}
// One that lets go of something: that is done whatever went wrong before.
template <typename Call> static CUresult release(const char *entry, Call call) {
  const int fault = engine().enter(entry, nullptr);
  return fault ? fault : call();
}

static void *pointer(CUdeviceptr address) {
  return reinterpret_cast<void *>(uintptr_t(address));
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
// Devices and contexts
//===----------------------------------------------------------------------===//

EXPORT CUresult cuInit(unsigned flags) {
  return plain("cuInit",
               [&] { return flags ? int(invalidValue) : engine().init(); });
}
EXPORT CUresult cuDriverGetVersion(int *out) {
  return plain("cuDriverGetVersion", [&] { return *out = 12080, success; });
}
EXPORT CUresult cuGetErrorName(CUresult code, const char **out) {
  const ErrorName *name = findError(code);
  *out = name ? name->cuda : nullptr;
  return name ? success : invalidValue;
}
EXPORT CUresult cuGetErrorString(CUresult code, const char **out) {
  const ErrorName *name = findError(code);
  *out = name ? name->text : nullptr;
  return name ? success : invalidValue;
}
EXPORT CUresult cuDeviceGetCount(int *out) {
  return plain("cuDeviceGetCount", [&]() -> int {
    if (!engine().initialized())
      return notInitialized;
    *out = engine().count();
    return success;
  });
}
EXPORT CUresult cuDeviceGet(CUdevice *out, int ordinal) {
  return of("cuDeviceGet", ordinal, [&](Device &device) {
    *out = device.number;
    return success;
  });
}
EXPORT CUresult cuDeviceGetName(char *out, int bytes, CUdevice device) {
  return of("cuDeviceGetName", device, [&](Device &) -> int {
    if (bytes <= 0)
      return invalidValue;
    std::strncpy(out, "virtual NVIDIA GPU, through CUDA", size_t(bytes));
    out[bytes - 1] = '\0';
    return success;
  });
}
EXPORT CUresult cuDeviceGetAttribute(int *out, int attribute, CUdevice device) {
  return of("cuDeviceGetAttribute", device, [&](Device &) -> int {
    switch (attribute) {
    case 1: // threads per block
      *out = 1024;
      return success;
    case 16: // multiprocessors: branches of small kernels get their own streams
      *out = 8;
      return success;
    case 115: // memory pools
      *out = 1;
      return success;
    case 75: // compute capability
      *out = 9;
      return success;
    case 76:
      *out = 0;
      return success;
    case 8: // shared memory per block, and if asked for
    case 97:
      *out = attribute == 8 ? 48 << 10 : int(engine().maxShared());
      return success;
    default:
      return invalidValue;
    }
  });
}
EXPORT CUresult cuDeviceTotalMem_v2(size_t *out, CUdevice device) {
  return of("cuDeviceTotalMem_v2", device, [&](Device &) {
    *out = engine().memoryBytes();
    return success;
  });
}
EXPORT CUresult cuDevicePrimaryCtxRetain(CUcontext *out, CUdevice device) {
  return of("cuDevicePrimaryCtxRetain", device, [&](Device &d) {
    *out = &d;
    return engine().retain(d);
  });
}
EXPORT CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device) {
  return of("cuDevicePrimaryCtxRelease_v2", device,
            [&](Device &d) { return engine().release(d); });
}
EXPORT CUresult cuCtxPushCurrent_v2(CUcontext context) {
  return plain("cuCtxPushCurrent_v2", [&]() -> int {
    if (!context)
      return invalidContext;
    contexts.push_back(context);
    return success;
  });
}
EXPORT CUresult cuCtxPopCurrent_v2(CUcontext *out) {
  return plain("cuCtxPopCurrent_v2", [&]() -> int {
    if (contexts.empty())
      return invalidContext;
    if (out)
      *out = contexts.back();
    contexts.pop_back();
    return success;
  });
}
EXPORT CUresult cuCtxSetCurrent(CUcontext context) {
  return plain("cuCtxSetCurrent", [&] {
    if (!contexts.empty())
      contexts.pop_back();
    if (context)
      contexts.push_back(context);
    return success;
  });
}
EXPORT CUresult cuCtxGetCurrent(CUcontext *out) {
  return plain("cuCtxGetCurrent", [&] {
    *out = contexts.empty() ? nullptr : contexts.back();
    return success;
  });
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

EXPORT CUresult cuMemAlloc_v2(CUdeviceptr *out, size_t bytes) {
  return current("cuMemAlloc_v2", [&](Device &device) {
    void *memory = nullptr;
    const int code = engine().alloc(device, bytes, false, &memory);
    *out = reinterpret_cast<uintptr_t>(memory);
    return code;
  });
}
EXPORT CUresult cuMemFree_v2(CUdeviceptr memory) {
  return release("cuMemFree_v2",
                 [&] { return engine().free(pointer(memory), false); });
}
EXPORT CUresult cuMemHostAlloc(void **out, size_t bytes, unsigned) {
  return current("cuMemHostAlloc", [&](Device &device) {
    return engine().alloc(device, bytes, true, out);
  });
}
EXPORT CUresult cuMemFreeHost(void *memory) {
  return release("cuMemFreeHost", [&] { return engine().free(memory, true); });
}
EXPORT CUresult cuMemAllocAsync(CUdeviceptr *out, size_t bytes,
                                CUstream stream) {
  return current("cuMemAllocAsync", [&](Device &) {
    void *memory = nullptr;
    const int code = engine().allocAsync(stream, bytes, &memory);
    *out = reinterpret_cast<uintptr_t>(memory);
    return code;
  });
}
EXPORT CUresult cuMemFreeAsync(CUdeviceptr memory, CUstream stream) {
  return current("cuMemFreeAsync", [&](Device &) {
    return engine().freeAsync(stream, pointer(memory));
  });
}
EXPORT CUresult cuDeviceGetDefaultMemPool(CUmemoryPool *out, CUdevice device) {
  return of("cuDeviceGetDefaultMemPool", device, [&](Device &d) {
    *out = &d;
    return success;
  });
}
EXPORT CUresult cuMemPoolSetAttribute(CUmemoryPool pool, int attribute,
                                      void *value) {
  return plain("cuMemPoolSetAttribute", [&] {
    return pool && value && attribute >= 1 && attribute <= 8 ? success
                                                             : invalidValue;
  });
}
EXPORT CUresult cuMemPoolSetAccess(CUmemoryPool pool, const void *descriptions,
                                   size_t) {
  return plain("cuMemPoolSetAccess",
               [&] { return pool && descriptions ? success : invalidValue; });
}
EXPORT CUresult cuMemcpyAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes,
                              CUstream stream) {
  return current("cuMemcpyAsync", [&](Device &) {
    return engine().copy(stream, pointer(to), pointer(from), bytes);
  });
}
EXPORT CUresult cuMemcpyPeerAsync(CUdeviceptr to, CUcontext context,
                                  CUdeviceptr from, CUcontext peer,
                                  size_t bytes, CUstream stream) {
  return current("cuMemcpyPeerAsync", [&](Device &) -> int {
    if (!context || !peer)
      return invalidContext;
    return engine().copyPeer(stream, pointer(to), *context, pointer(from),
                             *peer, bytes);
  });
}
EXPORT CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value,
                                size_t count, CUstream stream) {
  return current("cuMemsetD8Async", [&](Device &) {
    return engine().fill(stream, pointer(to), value, 1, count);
  });
}
EXPORT CUresult cuMemsetD16Async(CUdeviceptr to, unsigned short value,
                                 size_t count, CUstream stream) {
  return current("cuMemsetD16Async", [&](Device &) {
    return engine().fill(stream, pointer(to), value, 2, count);
  });
}
EXPORT CUresult cuMemsetD32Async(CUdeviceptr to, unsigned value, size_t count,
                                 CUstream stream) {
  return current("cuMemsetD32Async", [&](Device &) {
    return engine().fill(stream, pointer(to), value, 4, count);
  });
}
EXPORT CUresult cuDeviceCanAccessPeer(int *out, CUdevice device,
                                      CUdevice peer) {
  return of("cuDeviceCanAccessPeer", device, [&](Device &) -> int {
    if (!engine().device(peer))
      return invalidDevice;
    *out = device != peer;
    return success;
  });
}
EXPORT CUresult cuCtxEnablePeerAccess(CUcontext peer, unsigned flags) {
  return current("cuCtxEnablePeerAccess", [&](Device &device) -> int {
    if (!peer)
      return invalidContext;
    return flags ? int(invalidValue) : engine().enablePeer(device, *peer);
  });
}

//===----------------------------------------------------------------------===//
// Streams and events
//===----------------------------------------------------------------------===//

EXPORT CUresult cuStreamCreate(CUstream *out, unsigned flags) {
  return current("cuStreamCreate", [&](Device &device) {
    return flags > 1 ? int(invalidValue) : engine().streamCreate(device, out);
  });
}
EXPORT CUresult cuStreamDestroy_v2(CUstream stream) {
  return release("cuStreamDestroy_v2",
                 [&] { return engine().streamDestroy(stream); });
}
EXPORT CUresult cuStreamSynchronize(CUstream stream) {
  return current("cuStreamSynchronize",
                 [&](Device &) { return engine().streamSynchronize(stream); });
}
EXPORT CUresult cuStreamWaitEvent(CUstream stream, CUevent event, unsigned) {
  return current("cuStreamWaitEvent",
                 [&](Device &) { return engine().streamWait(stream, event); });
}
EXPORT CUresult cuEventCreate(CUevent *out, unsigned flags) {
  return current("cuEventCreate",
                 [&](Device &) { return engine().eventCreate(flags, out); });
}
EXPORT CUresult cuEventDestroy_v2(CUevent event) {
  return release("cuEventDestroy_v2",
                 [&] { return engine().eventDestroy(event); });
}
EXPORT CUresult cuEventRecord(CUevent event, CUstream stream) {
  return current("cuEventRecord",
                 [&](Device &) { return engine().eventRecord(event, stream); });
}
EXPORT CUresult cuEventQuery(CUevent event) {
  return current("cuEventQuery",
                 [&](Device &) { return engine().eventQuery(event); });
}
EXPORT CUresult cuEventSynchronize(CUevent event) {
  return current("cuEventSynchronize",
                 [&](Device &) { return engine().eventSynchronize(event); });
}
EXPORT CUresult cuEventElapsedTime(float *out, CUevent begin, CUevent end) {
  return current("cuEventElapsedTime", [&](Device &) {
    return engine().eventElapsed(out, begin, end);
  });
}

//===----------------------------------------------------------------------===//
// Code
//===----------------------------------------------------------------------===//

EXPORT CUresult cuModuleLoadDataEx(CUmodule *out, const void *image,
                                   unsigned count, int *options,
                                   void **values) {
  return current("cuModuleLoadDataEx", [&](Device &device) {
    std::string log;
    const int code = engine().moduleLoad(device, image, out, log);
    // The log of errors and its size.
    char *buffer = nullptr;
    size_t bytes = 0;
    for (unsigned i = 0; i < count; ++i) {
      if (options[i] == 5)
        buffer = static_cast<char *>(values[i]);
      else if (options[i] == 6)
        bytes = size_t(reinterpret_cast<uintptr_t>(values[i]));
    }
    if (buffer && bytes) {
      const size_t length = std::min(log.size(), bytes - 1);
      std::memcpy(buffer, log.data(), length);
      buffer[length] = '\0';
    }
    return code;
  });
}
EXPORT CUresult cuModuleUnload(CUmodule module) {
  return release("cuModuleUnload",
                 [&] { return engine().moduleUnload(module); });
}
EXPORT CUresult cuModuleGetFunction(CUfunction *out, CUmodule module,
                                    const char *name) {
  return current("cuModuleGetFunction", [&](Device &) {
    return engine().moduleFunction(module, name, out);
  });
}
EXPORT CUresult cuModuleGetGlobal_v2(CUdeviceptr *out, size_t *outBytes,
                                     CUmodule module, const char *name) {
  return current("cuModuleGetGlobal_v2", [&](Device &) {
    const void *found = nullptr;
    const int code = engine().moduleGlobal(module, name, &found, outBytes);
    if (!code && out)
      *out = reinterpret_cast<uintptr_t>(found);
    return code;
  });
}
// Of constants of modules only, which no stream writes to.
EXPORT CUresult cuMemcpyDtoH_v2(void *to, CUdeviceptr from, size_t bytes) {
  return current("cuMemcpyDtoH_v2", [&](Device &) -> int {
    if (!engine().isGlobal(pointer(from), bytes))
      return invalidValue;
    std::memcpy(to, pointer(from), bytes);
    return success;
  });
}
// What the kernels of a virtual device take for a map; with a swizzle of 128
// bytes only.
EXPORT CUresult cuTensorMapEncodeTiled(void *out, int type, uint32_t rank,
                                       void *address, const uint64_t *sizes,
                                       const uint64_t *strides,
                                       const uint32_t *box,
                                       const uint32_t *steps, int interleave,
                                       int swizzle, int promotion, int fill) {
  return plain("cuTensorMapEncodeTiled", [&]() -> int {
    constexpr int swizzle128 = 3;
    constexpr uint64_t unit = 16, lineBytes = 128, longestBox = 256,
                       mostElements = uint64_t(1) << 32,
                       mostBytes = uint64_t(1) << 40;
    // u8, u16, u32, s32, u64, s64, f16, f32, f64, bf16
    constexpr uint16_t bytesOf[] = {1, 2, 4, 4, 8, 8, 2, 4, 8, 2};
    const auto place = reinterpret_cast<uintptr_t>(address);
    if (reinterpret_cast<uintptr_t>(out) % AICC_TENSOR_MAP_ALIGN || type < 0 ||
        size_t(type) >= std::size(bytesOf) || rank < 1 || rank > 5 || !place ||
        place % unit || promotion < 0 || promotion > 3 || fill < 0 || fill > 1)
      return invalidValue;
    if (interleave || fill || swizzle != swizzle128)
      return notSupported;
    aicc_virtual_tensor map{};
    map.mark = AICC_VIRTUAL_TENSOR;
    map.address = place;
    map.rank = uint16_t(rank);
    map.element_bytes = bytesOf[type];
    for (uint32_t i = 0; i < rank; ++i) {
      const uint64_t stride = i ? strides[i - 1] : map.element_bytes;
      if (!sizes[i] || sizes[i] >= mostElements || !box[i] ||
          box[i] > longestBox || steps[i] != 1 ||
          (i && (stride % unit || stride >= mostBytes)))
        return invalidValue;
      map.sizes[i] = uint32_t(sizes[i]);
      map.strides[i] = stride;
      map.box[i] = uint16_t(box[i]);
    }
    const uint64_t line = uint64_t(box[0]) * map.element_bytes;
    if (line % unit || line > lineBytes)
      return invalidValue;
    std::memcpy(out, &map, sizeof map);
    return success;
  });
}
/// Kernels have one parameter, of a size that nobody here knows.
EXPORT CUresult cuFuncGetParamInfo(CUfunction function, size_t index,
                                   size_t *offset, size_t *bytes) {
  return current("cuFuncGetParamInfo", [&](Device &) -> int {
    if (index || !function || !offset)
      return invalidValue;
    *offset = function->firstParameter();
    if (bytes)
      *bytes = 0;
    return success;
  });
}
EXPORT CUresult cuFuncSetAttribute(CUfunction function, int attribute,
                                   int value) {
  return current("cuFuncSetAttribute", [&](Device &) -> int {
    constexpr int maxDynamicShared = 8;
    return attribute == maxDynamicShared ? engine().allowShared(function, value)
                                         : int(invalidValue);
  });
}
EXPORT CUresult cuLaunchKernel(CUfunction function, unsigned gridX,
                               unsigned gridY, unsigned gridZ, unsigned blockX,
                               unsigned blockY, unsigned blockZ,
                               unsigned sharedBytes, CUstream stream,
                               void **parameters, void **extra) {
  return current("cuLaunchKernel", [&](Device &) -> int {
    if (parameters)
      return notSupported;
    const unsigned grid[] = {gridX, gridY, gridZ},
                   block[] = {blockX, blockY, blockZ};
    return engine().launch(function, grid, block, sharedBytes, stream, extra,
                           0);
  });
}

//===----------------------------------------------------------------------===//
// Graphs
//===----------------------------------------------------------------------===//

EXPORT CUresult cuStreamBeginCapture_v2(CUstream stream, int mode) {
  return current("cuStreamBeginCapture_v2",
                 [&](Device &) { return engine().beginCapture(stream, mode); });
}
EXPORT CUresult cuStreamEndCapture(CUstream stream, CUgraph *out) {
  return current("cuStreamEndCapture",
                 [&](Device &) { return engine().endCapture(stream, out); });
}
EXPORT CUresult cuStreamIsCapturing(CUstream stream, int *out) {
  return current("cuStreamIsCapturing",
                 [&](Device &) { return engine().isCapturing(stream, out); });
}
EXPORT CUresult cuGraphInstantiateWithFlags(CUgraphExec *out, CUgraph graph,
                                            unsigned long long) {
  return current("cuGraphInstantiateWithFlags", [&](Device &) {
    return engine().graphInstantiate(graph, out);
  });
}
EXPORT CUresult cuGraphLaunch(CUgraphExec exec, CUstream stream) {
  return current("cuGraphLaunch",
                 [&](Device &) { return engine().graphLaunch(exec, stream); });
}
EXPORT CUresult cuGraphExecDestroy(CUgraphExec exec) {
  return release("cuGraphExecDestroy",
                 [&] { return engine().graphDestroy(exec); });
}
EXPORT CUresult cuGraphDestroy(CUgraph graph) {
  return release("cuGraphDestroy",
                 [&] { return engine().graphDestroy(graph); });
}
