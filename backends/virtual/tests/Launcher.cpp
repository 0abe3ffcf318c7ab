//===- Launcher.cpp - one kernel on a virtual device, for tests -----------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Every buffer is an allocation of its own and has its exact size, which a
// model's temporaries, sharing an arena, don't.
//
//===----------------------------------------------------------------------===//

#include "aicc/driver.h"
#include "aicc/runtime.h"

#include <cstring>
#include <vector>

extern "C" const aicc_driver *aicc_driver_virtual_cuda(void);

extern "C" __attribute__((visibility("default"))) const char *aicc_virtual_run(
    const void *object, size_t bytes, const char *entry, const uint32_t *grid,
    const uint32_t *workgroup, uint32_t bufferCount, void *const *buffers,
    const uint64_t *sizes, uint32_t scalarCount, const int64_t *scalars) {
  // The vendors differ in what the code is, not in how it is run.
  const aicc_driver &driver = *aicc_driver_virtual_cuda();
  aicc_driver_device *device = nullptr;
  aicc_driver_stream *stream = nullptr;
  aicc_driver_module *module = nullptr;
  aicc_driver_kernel *kernel = nullptr;
  const aicc_module_options options{sizeof options, "elf-virtual", "test"};
  std::vector<void *> memory;
  bool ok =
      driver.device_open(0, &device) == AICC_OK &&
      driver.stream_create(device, nullptr, &stream) == AICC_OK &&
      driver.module_load(device, object, bytes, &options, &module) == AICC_OK &&
      driver.module_kernel(module, entry, &kernel) == AICC_OK;
  std::vector<uint64_t> words;
  for (uint32_t i = 0; ok && i < bufferCount; ++i) {
    void *place = nullptr;
    ok = driver.alloc(device, sizes[i], AICC_MEMORY_DEVICE, &place) == AICC_OK;
    if (!ok)
      break;
    memory.push_back(place);
    words.push_back(reinterpret_cast<uintptr_t>(place));
    ok = driver.copy(stream, place, buffers[i], sizes[i]) == AICC_OK;
  }
  words.insert(words.end(), scalars, scalars + scalarCount);
  if (ok) {
    aicc_launch launch{};
    launch.struct_size = sizeof launch;
    launch.kernel = kernel;
    launch.args = words.data();
    launch.args_bytes = uint32_t(words.size() * sizeof(uint64_t));
    launch.buffers = bufferCount;
    std::memcpy(launch.grid, grid, sizeof launch.grid);
    std::memcpy(launch.workgroup, workgroup, sizeof launch.workgroup);
    ok = driver.launch(stream, &launch) == AICC_OK;
  }
  for (uint32_t i = 0; ok && i < bufferCount; ++i)
    ok = driver.copy(stream, buffers[i], memory[i], sizes[i]) == AICC_OK;
  for (void *place : memory)
    driver.free(device, place, AICC_MEMORY_DEVICE);
  if (module)
    driver.module_unload(module);
  if (stream)
    driver.stream_destroy(stream);
  if (device)
    driver.device_close(device);
  return ok ? "" : driver.last_error();
}
