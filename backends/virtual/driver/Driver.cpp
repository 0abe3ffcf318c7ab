//===- Driver.cpp - virtual devices ---------------------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One device for each GPU vendor, which runs what the compiler made of the
// vendor's code (aicc/virtual.h). Work is done when a call returns; one launch
// at a time on a device. After a mistake of a kernel the launch fails, the
// device goes on.
//
//===----------------------------------------------------------------------===//

#include "Memory.h"
#include "Symbol.h"
#include "Workgroup.h"

#include "aicc/driver.h"
#include "aicc/runtime.h"
#include "aicc/tensors.h"
#include "aicc/virtual.h"

#include <cstring>
#include <ctime>
#include <dlfcn.h>
#include <link.h>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

using namespace aicc::backends::virtual_device;

namespace {

constexpr const char *format = "elf-virtual";
constexpr uint32_t maxSharedBytes = 227 << 10;
constexpr uint32_t maxWorkgroup = 1024;

thread_local std::string lastError;

int fail(aicc_status status, std::string message) {
  lastError = std::move(message);
  return status;
}

uint64_t now() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return uint64_t(time.tv_sec) * 1000000000 + uint64_t(time.tv_nsec);
}

// The features of the host that the compiler builds for.
bool hostFits() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("x86-64-v3");
#else
  return true;
#endif
}
#if defined(__x86_64__)
constexpr const char *host = "x86-64-v3";
#else
constexpr const char *host = "aarch64";
#endif

} // namespace

struct aicc_driver_device {
  aicc_device_properties properties{};
  Memory memory;
  std::mutex launching;
  Stacks stacks;
  uint64_t steps = 0; // see Memory.h
};
struct aicc_driver_stream {
  aicc_driver_device *device;
};
struct aicc_driver_event {
  uint64_t begin = 0, end = 0;
};
struct aicc_driver_kernel {
  std::string name;
  KernelFunction function;
  const aicc_virtual_kernel *kernel;
  const aicc_tensors *tensors; // null: it wants no maps
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

static int deviceOpen(uint32_t index, const char *name, const char *vendor,
                      aicc_driver_device **out) {
  if (index)
    return fail(AICC_NOT_FOUND, "there is 1 virtual device of a vendor, found "
                                "index " +
                                    std::to_string(index));
  static const char *const formats[] = {format};
  static const char *const features[] = {host};
  auto *device = new aicc_driver_device;
  aicc_device_properties &p = device->properties;
  p.struct_size = sizeof p;
  p.name = name;
  p.vendor = vendor;
  p.version = p.chip = "";
  p.features = features;
  p.feature_count = 1;
  p.formats = formats;
  p.format_count = 1;
  p.flags = AICC_DEVICE_SYNCHRONOUS | AICC_DEVICE_SEPARATE_BUFFERS;
  p.compute_units = 1;
  p.max_workgroup = maxWorkgroup;
  p.max_shared_bytes = maxSharedBytes;
  p.alignment = Memory::alignment;
  *out = device;
  return AICC_OK;
}

static int alloc(aicc_driver_device *device, uint64_t bytes, uint32_t,
                 void **out) {
  *out = device->memory.allocate(bytes);
  if (!*out)
    return fail(AICC_OUT_OF_MEMORY,
                "no memory for " + std::to_string(bytes) + " bytes");
  return AICC_OK;
}

static int moduleLoad(aicc_driver_device *, const void *object, size_t bytes,
                      const aicc_module_options *options,
                      aicc_driver_module **out) {
  const std::string name = options->name ? options->name : "kernels";
  if (std::strcmp(options->format, format) != 0)
    return fail(AICC_UNSUPPORTED, "object '" + name + "' has format '" +
                                      options->format + "', expected '" +
                                      format + "'");
  auto module = std::make_unique<aicc_driver_module>();
  module->file = memfd_create("kernels", MFD_CLOEXEC);
  if (module->file < 0 || write(module->file, object, bytes) != ssize_t(bytes))
    return fail(AICC_DEVICE_ERROR, "cannot store object '" + name + "'");
  const std::string path = "/proc/self/fd/" + std::to_string(module->file);
  module->handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!module->handle)
    return fail(AICC_DEVICE_ERROR, "cannot load object '" + name + "'");
  *out = module.release();
  return AICC_OK;
}

static int moduleKernel(aicc_driver_module *module, const char *entry,
                        aicc_driver_kernel **out) {
  const std::string name = entry;
  auto function =
      reinterpret_cast<KernelFunction>(dlsym(module->handle, entry));
  auto *kernel = static_cast<const aicc_virtual_kernel *>(
      dlsym(module->handle, (name + "__virtual").c_str()));
  if (!function || !kernel)
    return fail(AICC_NOT_FOUND, "object has no kernel '" + name + "'");
  if (kernel->version != AICC_VIRTUAL_VERSION)
    return fail(AICC_UNSUPPORTED, "kernel '" + name +
                                      "' was made for version " +
                                      std::to_string(kernel->version) +
                                      " of virtual devices, expected " +
                                      std::to_string(AICC_VIRTUAL_VERSION));
  if (!kernel->subgroup_size || kernel->subgroup_size > 64 ||
      kernel->shared_bytes > maxSharedBytes)
    return fail(AICC_UNSUPPORTED,
                "kernel '" + name + "' wants subgroups of " +
                    std::to_string(kernel->subgroup_size) + " threads and " +
                    std::to_string(kernel->shared_bytes) +
                    " bytes of workgroup memory, expected at most 64 and " +
                    std::to_string(maxSharedBytes));
  auto *tensors = static_cast<const aicc_tensors *>(
      dlsym(module->handle, (name + "__tensors").c_str()));
  if (tensors && (tensors->version != AICC_TENSORS_VERSION ||
                  tensors->count > AICC_TENSORS_MOST))
    return fail(AICC_UNSUPPORTED,
                "kernel '" + name + "' wants maps of version " +
                    std::to_string(tensors->version) + ", expected " +
                    std::to_string(AICC_TENSORS_VERSION));
  std::lock_guard lock(module->mutex);
  *out = &module->kernels
              .try_emplace(name,
                           aicc_driver_kernel{name, function, kernel, tensors})
              .first->second;
  return AICC_OK;
}

/// The arguments with maps behind them, as a vendor's driver would write them.
static std::vector<unsigned char> withMaps(const aicc_launch &given) {
  const aicc_tensors &tensors = *given.kernel->tensors;
  const size_t first = (given.args_bytes + AICC_TENSOR_MAP_ALIGN - 1) /
                       AICC_TENSOR_MAP_ALIGN * AICC_TENSOR_MAP_ALIGN;
  std::vector<unsigned char> all(first + tensors.count * AICC_TENSOR_MAP_BYTES);
  std::memcpy(all.data(), given.args, given.args_bytes);
  for (uint32_t i = 0; i < tensors.count; ++i) {
    const aicc_tensor &tensor = tensors.tensors[i];
    aicc_virtual_tensor map{};
    static_assert(sizeof map == AICC_TENSOR_MAP_BYTES);
    map.mark = AICC_VIRTUAL_TENSOR;
    if ((tensor.argument + 1) * sizeof map.address <= given.args_bytes)
      std::memcpy(&map.address,
                  static_cast<const unsigned char *>(given.args) +
                      tensor.argument * sizeof map.address,
                  sizeof map.address);
    map.rank = uint16_t(tensor.rank);
    map.element_bytes = uint16_t(tensor.element_bytes);
    for (uint32_t d = 0; d < 5; ++d) {
      map.box[d] = uint16_t(tensor.box[d]);
      map.sizes[d] = uint32_t(tensor.sizes[d]);
      map.strides[d] = tensor.strides[d];
    }
    std::memcpy(&all[first + i * sizeof map], &map, sizeof map);
  }
  return all;
}

/// Whether a vendor's driver has written them already.
static bool carriesMaps(const aicc_launch &given) {
  const size_t maps = given.kernel->tensors->count * AICC_TENSOR_MAP_BYTES;
  uint64_t mark = 0;
  if (maps && given.args_bytes >= maps)
    std::memcpy(&mark,
                static_cast<const unsigned char *>(given.args) +
                    given.args_bytes - maps,
                sizeof mark);
  return mark == AICC_VIRTUAL_TENSOR;
}

const void *aicc::backends::virtual_device::moduleSymbol(const void *module,
                                                         const char *name,
                                                         size_t *bytes) {
  const void *found =
      dlsym(static_cast<const aicc_driver_module *>(module)->handle, name);
  Dl_info info;
  const ElfW(Sym) *symbol = nullptr;
  if (found &&
      dladdr1(found, &info,
              reinterpret_cast<void **>(const_cast<ElfW(Sym) **>(&symbol)),
              RTLD_DL_SYMENT) &&
      symbol)
    *bytes = symbol->st_size;
  return found;
}

static int launch(aicc_driver_stream *stream, const aicc_launch *given) {
  aicc_driver_device &device = *stream->device;
  std::lock_guard lock(device.launching);
  const uint64_t begin = now();
  const aicc_driver_kernel &kernel = *given->kernel;
  const uint32_t *size = given->workgroup;
  const uint64_t threads = uint64_t(size[0]) * size[1] * size[2];
  if (!threads || threads > maxWorkgroup)
    return fail(AICC_INVALID_ARGUMENT,
                "a workgroup of " + std::to_string(threads) +
                    " threads, expected 1 to " + std::to_string(maxWorkgroup));
  if (!device.stacks.reserve(threads))
    return fail(AICC_OUT_OF_MEMORY, "no memory for the stacks of " +
                                        std::to_string(threads) + " threads");
  std::vector<unsigned char> arguments;
  const void *args = given->args;
  if (kernel.tensors && !carriesMaps(*given)) {
    arguments = withMaps(*given);
    args = arguments.data();
  }
  Launch launch{device.memory,
                device.stacks,
                kernel.function,
                kernel.kernel,
                args,
                {size[0], size[1], size[2]},
                {given->grid[0], given->grid[1], given->grid[2]},
                device.steps,
                maxSharedBytes};
  Workgroup workgroup(launch);
  uint32_t id[3];
  for (id[2] = 0; id[2] < given->grid[2]; ++id[2])
    for (id[1] = 0; id[1] < given->grid[1]; ++id[1])
      for (id[0] = 0; id[0] < given->grid[0]; ++id[0])
        if (!workgroup.run(id))
          return fail(AICC_DEVICE_ERROR, workgroup.error());
  if (given->timing) {
    given->timing->begin = begin;
    given->timing->end = now();
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

// Either side is the host's memory, which nobody knows the size of, or lies in
// an allocation as a whole.
static int copy(aicc_driver_stream *stream, void *to, const void *from,
                uint64_t bytes) {
  if (!bytes)
    return AICC_OK;
  for (const void *side : {static_cast<const void *>(to), from}) {
    const auto address = reinterpret_cast<uintptr_t>(side);
    const Block *block = stream->device->memory.find(address);
    if (block && bytes > block->end - address)
      return fail(AICC_INVALID_ARGUMENT,
                  "a copy of " + std::to_string(bytes) + " bytes, " +
                      stream->device->memory.describe(address));
  }
  std::memcpy(to, from, bytes);
  return AICC_OK;
}

static aicc_driver table(const char *family,
                         int (*open)(uint32_t, aicc_driver_device **)) {
  aicc_driver t{};
  t.struct_size = sizeof t;
  t.version = AICC_DRIVER_VERSION;
  t.family = family;
  t.name = "GPU code on the CPU, checked";
  t.last_error = [] { return lastError.c_str(); };
  t.device_count = [](uint32_t *out) -> int {
    *out = hostFits() ? 1 : 0;
    lastError = std::string("virtual devices need a host with ") + host;
    return AICC_OK;
  };
  t.device_open = open;
  t.device_close = [](aicc_driver_device *device) { delete device; };
  t.device_properties =
      [](aicc_driver_device *device) -> const aicc_device_properties * {
    return &device->properties;
  };
  t.alloc = alloc;
  t.free = [](aicc_driver_device *device, void *memory, uint32_t) {
    device->memory.release(memory);
  };
  t.stream_create = [](aicc_driver_device *device, const aicc_stream_options *,
                       aicc_driver_stream **out) -> int {
    *out = new aicc_driver_stream{device};
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
  t.copy = copy;
  t.fill = fill;
  return t;
}

extern "C" const aicc_driver *aicc_driver_virtual_cuda(void) {
  static const aicc_driver instance =
      table("cuda:virtual", [](uint32_t index, aicc_driver_device **out) {
        return deviceOpen(index, "virtual NVIDIA GPU", "NVIDIA", out);
      });
  return &instance;
}

extern "C" const aicc_driver *aicc_driver_virtual_rocm(void) {
  static const aicc_driver instance =
      table("rocm:virtual", [](uint32_t index, aicc_driver_device **out) {
        return deviceOpen(index, "virtual AMD GPU", "AMD", out);
      });
  return &instance;
}

extern "C" const aicc_driver *aicc_driver_virtual_intel(void) {
  static const aicc_driver instance =
      table("intel:virtual", [](uint32_t index, aicc_driver_device **out) {
        return deviceOpen(index, "virtual Intel GPU", "Intel", out);
      });
  return &instance;
}
