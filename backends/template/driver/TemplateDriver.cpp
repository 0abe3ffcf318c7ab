//===- TemplateDriver.cpp - the smallest driver ---------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Devices whose memory the host shares and whose work is done when a call
// returns. `module_load`, `module_kernel` and `launch` are where a real driver
// differs most.
//
//===----------------------------------------------------------------------===//

#include "aicc/driver.h"
#include "aicc/runtime.h"

#include <cstdlib>
#include <cstring>
#include <ctime>
#include <dlfcn.h>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

using KernelFunction = void (*)(const void *, const uint32_t *, void *);

static thread_local std::string lastError;

static int fail(aicc_status status, std::string message) {
  lastError = std::move(message);
  return status;
}

static uint64_t now() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return uint64_t(time.tv_sec) * 1000000000 + uint64_t(time.tv_nsec);
}

static uint32_t numDevices() {
  const char *text = std::getenv("AICC_TEMPLATE_DEVICES");
  return text ? uint32_t(std::strtoul(text, nullptr, 10)) : 0;
}

struct aicc_driver_device {
  aicc_device_properties properties{};
};
struct aicc_driver_stream {};
struct aicc_driver_event {
  uint64_t begin = 0, end = 0;
};
struct aicc_driver_kernel {
  KernelFunction function;
};
struct aicc_driver_module {
  int file = -1;
  void *handle = nullptr;
  std::mutex mutex;
  std::map<std::string, aicc_driver_kernel> kernels;

  ~aicc_driver_module() {
    if (handle)
      dlclose(handle);
    if (file >= 0)
      close(file);
  }
};

static int deviceOpen(uint32_t index, aicc_driver_device **out) {
  if (index >= numDevices())
    return fail(AICC_NOT_FOUND, "there are " + std::to_string(numDevices()) +
                                    " template devices, found index " +
                                    std::to_string(index));
  static const char *const formats[] = {"elf-so"};
  auto *device = new aicc_driver_device;
  aicc_device_properties &p = device->properties;
  p.struct_size = sizeof p;
  p.name = "template device";
  p.vendor = p.version = "";
  p.chip = "host";
  p.formats = formats;
  p.format_count = 1;
  p.flags = AICC_DEVICE_HOST_ACCESSIBLE | AICC_DEVICE_HOST_POINTERS |
            AICC_DEVICE_SYNCHRONOUS;
  p.compute_units = 1;
  p.max_workgroup = 1;
  p.alignment = 64;
  *out = device;
  return AICC_OK;
}

static int alloc(aicc_driver_device *, uint64_t bytes, uint32_t, void **out) {
  *out = bytes < uint64_t(1) << 47
             ? std::aligned_alloc(64, (bytes + 64) / 64 * 64)
             : nullptr;
  if (!*out)
    return fail(AICC_OUT_OF_MEMORY,
                "no memory for " + std::to_string(bytes) + " bytes");
  return AICC_OK;
}

static int moduleLoad(aicc_driver_device *, const void *object, size_t bytes,
                      const aicc_module_options *options,
                      aicc_driver_module **out) {
  std::string name = options->name ? options->name : "kernels";
  if (std::strcmp(options->format, "elf-so") != 0)
    return fail(AICC_UNSUPPORTED, "object '" + name + "' has format '" +
                                      options->format + "', expected 'elf-so'");
  auto module = std::make_unique<aicc_driver_module>();
  module->file = memfd_create("kernels", MFD_CLOEXEC);
  if (module->file < 0 || write(module->file, object, bytes) != ssize_t(bytes))
    return fail(AICC_DEVICE_ERROR, "cannot store object '" + name + "'");
  std::string path = "/proc/self/fd/" + std::to_string(module->file);
  module->handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!module->handle)
    return fail(AICC_DEVICE_ERROR, "cannot load object '" + name + "'");
  *out = module.release();
  return AICC_OK;
}

static int moduleKernel(aicc_driver_module *module, const char *entry,
                        aicc_driver_kernel **out) {
  void *symbol = dlsym(module->handle, entry);
  if (!symbol)
    return fail(AICC_NOT_FOUND,
                std::string("object has no kernel '") + entry + "'");
  std::lock_guard lock(module->mutex);
  auto function = reinterpret_cast<KernelFunction>(symbol);
  *out = &module->kernels.try_emplace(entry, aicc_driver_kernel{function})
              .first->second;
  return AICC_OK;
}

static int launch(aicc_driver_stream *, const aicc_launch *launch) {
  uint64_t begin = now();
  std::unique_ptr<char[]> scratch(
      new (std::nothrow) char[launch->scratch_bytes + 64]);
  if (!scratch)
    return fail(AICC_OUT_OF_MEMORY, "no memory for scratch");
  auto aligned = (reinterpret_cast<uintptr_t>(scratch.get()) + 63) / 64 * 64;
  uint32_t id[3];
  for (id[2] = 0; id[2] < launch->grid[2]; ++id[2])
    for (id[1] = 0; id[1] < launch->grid[1]; ++id[1])
      for (id[0] = 0; id[0] < launch->grid[0]; ++id[0])
        launch->kernel->function(launch->args, id,
                                 reinterpret_cast<void *>(aligned));
  if (launch->timing) {
    launch->timing->begin = begin;
    launch->timing->end = now();
  }
  return AICC_OK;
}

static int fill(aicc_driver_stream *, void *destination, uint64_t bytes,
                uint64_t value, uint32_t valueBytes) {
  if (valueBytes != 1 && valueBytes != 2 && valueBytes != 4 && valueBytes != 8)
    return fail(AICC_INVALID_ARGUMENT, "fill with a value of " +
                                           std::to_string(valueBytes) +
                                           " bytes, expected 1, 2, 4 or 8");
  for (uint64_t at = 0; at + valueBytes <= bytes; at += valueBytes)
    std::memcpy(static_cast<char *>(destination) + at, &value, valueBytes);
  return AICC_OK;
}

extern "C" const aicc_driver *aicc_driver_template(void) {
  static const aicc_driver table = [] {
    aicc_driver t{};
    t.struct_size = sizeof t;
    t.version = AICC_DRIVER_VERSION;
    t.family = "template";
    t.name = "example for backends";
    t.last_error = [] { return lastError.c_str(); };
    t.device_count = [](uint32_t *out) -> int {
      *out = numDevices();
      lastError = "AICC_TEMPLATE_DEVICES asks for none";
      return AICC_OK;
    };
    t.device_open = deviceOpen;
    t.device_close = [](aicc_driver_device *device) { delete device; };
    t.device_properties =
        [](aicc_driver_device *device) -> const aicc_device_properties * {
      return &device->properties;
    };
    t.alloc = alloc;
    t.free = [](aicc_driver_device *, void *memory, uint32_t) {
      std::free(memory);
    };
    t.stream_create = [](aicc_driver_device *, const aicc_stream_options *,
                         aicc_driver_stream **out) -> int {
      *out = new aicc_driver_stream;
      return AICC_OK;
    };
    t.stream_destroy = [](aicc_driver_stream *stream) { delete stream; };
    t.stream_synchronize = [](aicc_driver_stream *) -> int { return AICC_OK; };
    t.stream_wait = [](aicc_driver_stream *, aicc_driver_event *) -> int {
      return AICC_OK;
    };
    t.event_create = [](aicc_driver_device *, aicc_driver_event **out) -> int {
      *out = new aicc_driver_event;
      return AICC_OK;
    };
    t.event_destroy = [](aicc_driver_event *event) { delete event; };
    t.event_record = [](aicc_driver_stream *, aicc_driver_event *event) -> int {
      event->begin = event->end = now();
      return AICC_OK;
    };
    t.event_synchronize = [](aicc_driver_event *) -> int { return AICC_OK; };
    t.event_query = [](aicc_driver_event *, int *out) -> int {
      *out = 1;
      return AICC_OK;
    };
    t.event_times = [](aicc_driver_event *event, uint64_t *begin,
                       uint64_t *end) -> int {
      *begin = event->begin;
      *end = event->end;
      return AICC_OK;
    };
    t.module_load = moduleLoad;
    t.module_unload = [](aicc_driver_module *module) { delete module; };
    t.module_kernel = moduleKernel;
    t.launch = launch;
    t.copy = [](aicc_driver_stream *, void *to, const void *from,
                uint64_t bytes) -> int {
      if (bytes)
        std::memcpy(to, from, bytes);
      return AICC_OK;
    };
    t.fill = fill;
    return t;
  }();
  return &table;
}
