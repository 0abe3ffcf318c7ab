//===- PackageState.h - a package in use, and its code on a device --------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef AICC_RUNTIME_EXECUTOR_PACKAGESTATE_H
#define AICC_RUNTIME_EXECUTOR_PACKAGESTATE_H

#include "runtime/device/Device.h"
#include "runtime/executor/FlatProgram.h"
#include "runtime/host/Host.h"
#include "runtime/package/Reader.h"

#include <map>
#include <mutex>

namespace aicc::executor {

// A variant on its devices: modules, weights, and weights laid out by the
// prepare program. Shared by all sessions of the process that run it;
// immutable.
class LoadedVariant {
public:
  static Status load(std::shared_ptr<const PackageReader> reader,
                     uint32_t variant,
                     const std::vector<aicc_device *> &devices,
                     uint32_t threads, bool verifyWeights,
                     std::shared_ptr<LoadedVariant> &out);
  ~LoadedVariant();

  const program::Package &package() const { return reader->contents(); }

  std::shared_ptr<const PackageReader> reader;
  const program::Variant *variant = nullptr;
  std::vector<aicc_device *> devices; // as the variant numbers them
  FlatProgram program;
  std::vector<aicc_driver_kernel *> kernels;
  std::vector<std::unique_ptr<host::Function>> calls; // of the program
  // For each buffer that has its memory before a run (weights and prepared
  // ones, and views of them): where. Else null.
  std::vector<void *> resident;
  uint64_t weightBytes = 0;
  uint64_t preparedBytes = 0;
  uint64_t uploadedBytes = 0; // copies of weights on devices

  // Whether no device works by itself.
  bool isSynchronous() const;

private:
  LoadedVariant() = default;
  Status loadKernels();
  Status makeCalls();
  Status placeWeights(const FlatProgram &prepare, bool verify);
  Status placeWeights(const FlatProgram &prepare, uint32_t device,
                      std::vector<bool> &verified);
  Status runPrepare(const FlatProgram &prepare, uint32_t threads);

  std::vector<aicc_driver_module *> modules; // one for each object
  std::vector<aicc_device::Memory> memory;
};

// An open package with what sessions of it share.
struct PackageState {
  std::shared_ptr<const PackageReader> reader;

  // The loaded variant; made at the first call. Others that want the same one
  // meanwhile wait for it.
  Status variant(uint32_t index, const std::vector<aicc_device *> &devices,
                 uint32_t threads, bool verifyWeights,
                 std::shared_ptr<LoadedVariant> &out);

  // The variant for these devices, all of them: `wanted` by its target, or the
  // first that fits. Puts the devices into the order of the variant.
  Status choose(std::vector<aicc_device *> &devices, const char *wanted,
                uint32_t &out) const;

private:
  std::mutex mutex;
  std::map<std::pair<uint32_t, std::vector<aicc_device *>>,
           std::weak_ptr<LoadedVariant>>
      loaded;
};

// Opens a file; two openings of an unchanged file share their state.
Status openShared(const std::string &path, std::shared_ptr<PackageState> &out);

} // namespace aicc::executor

#endif
