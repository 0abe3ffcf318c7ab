//===- Vendor.h - a vendor's library of streams and events ------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// CUDA's driver API and HIP are one API under two names: the same functions,
// the same order of arguments, the same error numbers. Calls is what they
// share, with one set of types; class Vendor is where they differ, and is
// implemented in a vendor's own folder. A vendor lives as long as the process;
// any thread.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_BACKENDS_COMMON_DRIVER_VENDOR_H
#define AICC_BACKENDS_COMMON_DRIVER_VENDOR_H

#include "aicc/driver.h"
#include "aicc/tensors.h"
#include "aicc/virtual.h"

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <vector>

namespace aicc::backends::common {

/// The functions that are the same for all vendors. Handles and addresses of
/// devices are pointers here; where a vendor declares a 64-bit integer, it is
/// passed the same way.
struct Calls {
  int (*init)(unsigned flags) = nullptr;
  int (*driverVersion)(int *out) = nullptr;
  int (*deviceCount)(int *out) = nullptr;
  int (*deviceName)(char *out, int bytes, int device) = nullptr;
  int (*deviceAttribute)(int *out, int attribute, int device) = nullptr;
  int (*deviceMemory)(size_t *out, int device) = nullptr;

  int (*memAlloc)(void **out, size_t bytes) = nullptr;
  int (*memFree)(void *memory) = nullptr;
  int (*hostAlloc)(void **out, size_t bytes, unsigned flags) = nullptr;
  int (*hostFree)(void *memory) = nullptr;
  int (*memsetD8)(void *to, unsigned char value, size_t count,
                  void *stream) = nullptr;
  int (*memsetD16)(void *to, unsigned short value, size_t count,
                   void *stream) = nullptr;
  int (*memsetD32)(void *to, unsigned value, size_t count,
                   void *stream) = nullptr;

  int (*streamCreate)(void **out, unsigned flags) = nullptr;
  int (*streamDestroy)(void *stream) = nullptr;
  int (*streamSynchronize)(void *stream) = nullptr;
  int (*streamWaitEvent)(void *stream, void *event, unsigned flags) = nullptr;
  int (*eventCreate)(void **out, unsigned flags) = nullptr;
  int (*eventDestroy)(void *event) = nullptr;
  int (*eventRecord)(void *event, void *stream) = nullptr;
  int (*eventQuery)(void *event) = nullptr;
  int (*eventSynchronize)(void *event) = nullptr;
  int (*eventElapsed)(float *outMs, void *begin, void *end) = nullptr;

  int (*moduleUnload)(void *module) = nullptr;
  int (*moduleFunction)(void **out, void *module, const char *name) = nullptr;
  int (*launch)(void *function, unsigned gridX, unsigned gridY, unsigned gridZ,
                unsigned blockX, unsigned blockY, unsigned blockZ,
                unsigned sharedBytes, void *stream, void **parameters,
                void **extra) = nullptr;

  // Absent from old libraries.
  int (*memAllocAsync)(void **out, size_t bytes, void *stream) = nullptr;
  int (*memFreeAsync)(void *memory, void *stream) = nullptr;
  int (*defaultPool)(void **out, int device) = nullptr;
  int (*poolSetAttribute)(void *pool, int attribute, void *value) = nullptr;
  int (*poolSetAccess)(void *pool, const void *descriptions,
                       size_t count) = nullptr;
  int (*canAccessPeer)(int *out, int device, int peer) = nullptr;
  int (*beginCapture)(void *stream, int mode) = nullptr;
  int (*endCapture)(void *stream, void **outGraph) = nullptr;
  int (*graphInstantiate)(void **out, void *graph,
                          unsigned long long flags) = nullptr;
  int (*graphLaunch)(void *exec, void *stream) = nullptr;
  int (*graphExecDestroy)(void *exec) = nullptr;
  int (*graphDestroy)(void *graph) = nullptr;
};

/// One function of a library: where its address goes.
struct Symbol {
  const char *name;
  size_t offset; // of a pointer to a function, in Calls or in the vendor's own
  bool required = true;
};

/// Numbers of a vendor.
struct Numbers {
  int maxWorkgroup, computeUnits, maxShared, memoryPools; // attributes
  /// The last word of a launch's `extra`.
  uintptr_t launchEnd;
};

/// A device as it is described to the runtime.
struct Description {
  std::string chip;
  std::vector<std::string> features;
};

class Vendor {
public:
  struct Names {
    const char *vendor;      // "NVIDIA"
    const char *family;      // "cuda"
    const char *api;         // "CUDA"
    const char *environment; // variable with the path of the library
    std::vector<const char *> libraries;
    std::vector<const char *> formats;
  };

  Vendor(Names names, Numbers numbers)
      : names(std::move(names)), numbers(numbers) {}
  virtual ~Vendor() = default;

  const Names names;
  const Numbers numbers;
  Calls calls;
  /// Not null if the library is a stand-in.
  const aicc_virtual_vendor *standIn = nullptr;

  /// Opens the library once. Returns how many devices of a real or of a virtual
  /// kind there are, and why there is none.
  int count(bool virtualDevices, std::string &out_reason);

  /// "CUDA_ERROR_INVALID_VALUE (1): invalid argument".
  std::string describe(int code) const;

  // --- where the vendors differ ---

  virtual std::span<const Symbol> symbols() const = 0;
  virtual std::span<const Symbol> ownSymbols() const = 0;
  virtual void *ownCalls() = 0;
  virtual const char *errorName(int code) const = 0;
  virtual const char *errorText(int code) const = 0;
  virtual int open(int device, void **outContext) = 0;
  virtual void close(int device) = 0;
  /// Makes a device the calling thread's; `out_before` is what leave()
  /// restores.
  virtual int enter(int device, void *context, intptr_t &out_before) = 0;
  virtual void leave(intptr_t before) = 0;
  virtual int identify(int device, Description &out) = 0;
  virtual int copy(void *to, const void *from, size_t bytes, void *stream) = 0;
  virtual int copyPeer(void *to, int device, void *context, const void *from,
                       int peer, void *peerContext, size_t bytes,
                       void *stream) = 0;
  virtual int enablePeer(int peer, void *peerContext) = 0;
  /// `image` ends with a zero byte. The log of a failure, if the vendor has
  /// one.
  virtual int loadModule(const std::string &image, void **out,
                         std::string &out_log) = 0;
  /// Lets a kernel have more workgroup memory than every kernel may.
  virtual int allowShared(void *function, uint32_t bytes) = 0;
  /// The tensors whose maps a kernel wants, none unless the vendor has maps,
  /// and where in packed arguments its first one lies.
  virtual int findTensors(void *module, void *function,
                          const std::string &entry, aicc_tensors &out,
                          size_t &out_first) {
    (void)module, (void)function, (void)entry;
    out.count = 0;
    out_first = 0;
    return 0;
  }
  /// The map of a tensor at an address: AICC_TENSOR_MAP_BYTES, aligned.
  virtual int encodeMap(const aicc_tensor &tensor, void *address, void *out) {
    (void)tensor, (void)address, (void)out;
    return -1;
  }

private:
  void open();
  bool load(const char *path);

  std::once_flag once_;
  std::string error_;
  int count_ = 0;
};

} // namespace aicc::backends::common

#endif // AICC_BACKENDS_COMMON_DRIVER_VENDOR_H
