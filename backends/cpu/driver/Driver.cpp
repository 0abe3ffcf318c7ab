//===- Driver.cpp - runs kernels on the host's processor ------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A kernel is `void entry(const void *args, const uint32_t workgroup[3],
// void *scratch)` in an ELF shared object. Launches run at once on the calling
// thread and, where the stream has several threads, on a pool that all streams
// of the same number of threads share; a launch finds everything in place, so
// that with one thread it costs a few nanoseconds over the kernel itself.
//
//===----------------------------------------------------------------------===//

#include "Features.h"

#include "aicc/driver.h"
#include "aicc/runtime.h"

#include <pthreadpool.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <dlfcn.h>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <sys/mman.h>
#include <unistd.h>

// The pool's library isn't instrumented, so the thread sanitizer has to be told
// that a task begins after its launch and the launch ends after its tasks.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
extern "C" void __tsan_acquire(void *address);
extern "C" void __tsan_release(void *address);
#define AICC_TSAN_ACQUIRE(address) __tsan_acquire(address)
#define AICC_TSAN_RELEASE(address) __tsan_release(address)
#endif
#endif
#ifndef AICC_TSAN_ACQUIRE
#define AICC_TSAN_ACQUIRE(address)
#define AICC_TSAN_RELEASE(address)
#endif

using namespace aicc::cpu;

namespace {

using KernelFunction = void (*)(const void *, const uint32_t *, void *);

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

struct Pool {
  explicit Pool(size_t threads) : handle(pthreadpool_create(threads)) {}
  ~Pool() {
    if (handle)
      pthreadpool_destroy(handle);
  }
  pthreadpool_t handle;
};

// A thread's scratch: grows to what its kernels need, and stays for the next.
class Scratch {
public:
  ~Scratch() { std::free(memory); }
  void *reserve(uint64_t bytes) {
    if (bytes > size && !grow(bytes))
      return nullptr;
    return memory;
  }

private:
  bool grow(uint64_t bytes) {
    // Beyond this no allocation succeeds, and rounding would overflow.
    if (bytes > uint64_t(1) << 47)
      return false;
    std::free(memory);
    size = 0;
    bytes = (bytes + 4095) / 4096 * 4096;
    memory = std::aligned_alloc(64, bytes);
    if (memory)
      size = bytes;
    return memory != nullptr;
  }
  void *memory = nullptr;
  uint64_t size = 0;
};

thread_local Scratch scratchOfThread;

} // namespace

struct aicc_driver_device {
  Processor processor;
  aicc_device_properties properties{};
  std::mutex mutex;
  std::map<size_t, std::weak_ptr<Pool>> pools; // by number of threads

  std::shared_ptr<Pool> pool(size_t threads) {
    std::lock_guard lock(mutex);
    std::weak_ptr<Pool> &entry = pools[threads];
    std::shared_ptr<Pool> result = entry.lock();
    if (!result)
      entry = result = std::make_shared<Pool>(threads);
    return result;
  }
};

struct aicc_driver_stream {
  std::shared_ptr<Pool> pool; // null with one thread
  size_t threads = 1;
};

struct aicc_driver_event {
  uint64_t begin = 0, end = 0;
};

struct aicc_driver_kernel {
  KernelFunction function;
  std::string entry;
};

struct aicc_driver_module {
  void *handle = nullptr;
  int file = -1;
  std::mutex mutex;
  std::map<std::string, std::unique_ptr<aicc_driver_kernel>> kernels;

  ~aicc_driver_module() {
    if (handle)
      dlclose(handle);
    if (file >= 0)
      close(file);
  }
};

namespace {

int deviceCount(uint32_t *out) {
  *out = 1;
  return AICC_OK;
}

int deviceOpen(uint32_t index, aicc_driver_device **out) {
  if (index != 0)
    return fail(AICC_NOT_FOUND, "there is only one cpu device, found index " +
                                    std::to_string(index));
  auto *device = new aicc_driver_device;
  device->processor = detectProcessor();
  static const char *const formats[] = {"elf-so"};
  aicc_device_properties &p = device->properties;
  p.struct_size = sizeof p;
  p.name = device->processor.name.c_str();
  p.vendor = device->processor.vendor.c_str();
  p.version = "";
  p.chip = device->processor.chip.c_str();
  p.features = device->processor.features.data();
  p.feature_count = device->processor.features.size();
  p.formats = formats;
  p.format_count = 1;
  p.memory_bytes = physicalMemory();
  p.flags = AICC_DEVICE_HOST_ACCESSIBLE | AICC_DEVICE_HOST_POINTERS |
            AICC_DEVICE_SYNCHRONOUS;
  p.compute_units = usableCores();
  p.max_workgroup = 1;
  p.alignment = 64;
  *out = device;
  return AICC_OK;
}

void deviceClose(aicc_driver_device *device) { delete device; }

const aicc_device_properties *deviceProperties(aicc_driver_device *device) {
  return &device->properties;
}

int alloc(aicc_driver_device *, uint64_t bytes, uint32_t, void **out) {
  constexpr uint64_t page = 4096;
  // Large blocks begin at a page, so that the system can use huge ones.
  const uint64_t alignment = bytes >= page ? page : 64;
  void *memory = nullptr;
  if (bytes <= uint64_t(1) << 47)
    memory = std::aligned_alloc(alignment,
                                (bytes + alignment) / alignment * alignment);
  if (!memory)
    return fail(AICC_OUT_OF_MEMORY,
                "no memory for " + std::to_string(bytes) + " bytes");
#ifdef MADV_HUGEPAGE
  constexpr uint64_t huge = uint64_t(1) << 22;
  if (bytes >= huge)
    madvise(memory, bytes / page * page, MADV_HUGEPAGE); // only a hint
#endif
  *out = memory;
  return AICC_OK;
}

void release(aicc_driver_device *, void *memory, uint32_t) {
  std::free(memory);
}

int streamCreate(aicc_driver_device *device, const aicc_stream_options *options,
                 aicc_driver_stream **out) {
  size_t threads = options ? options->threads : 0;
  if (threads == 0)
    threads = device->properties.compute_units;
  auto stream = std::make_unique<aicc_driver_stream>();
  if (threads > 1) {
    stream->pool = device->pool(threads);
    if (!stream->pool->handle)
      return fail(AICC_OUT_OF_MEMORY, "cannot create a pool of " +
                                          std::to_string(threads) + " threads");
    stream->threads = threads;
  }
  *out = stream.release();
  return AICC_OK;
}

void streamDestroy(aicc_driver_stream *stream) { delete stream; }

int streamSynchronize(aicc_driver_stream *) { return AICC_OK; }

int streamWait(aicc_driver_stream *, aicc_driver_event *) { return AICC_OK; }

int eventCreate(aicc_driver_device *, aicc_driver_event **out) {
  *out = new aicc_driver_event;
  return AICC_OK;
}

void eventDestroy(aicc_driver_event *event) { delete event; }

int eventRecord(aicc_driver_stream *, aicc_driver_event *event) {
  event->begin = event->end = now();
  return AICC_OK;
}

int eventSynchronize(aicc_driver_event *) { return AICC_OK; }

int eventQuery(aicc_driver_event *, int *out) {
  *out = 1;
  return AICC_OK;
}

int eventTimes(aicc_driver_event *event, uint64_t *begin, uint64_t *end) {
  *begin = event->begin;
  *end = event->end;
  return AICC_OK;
}

int moduleLoad(aicc_driver_device *, const void *object, size_t bytes,
               const aicc_module_options *options, aicc_driver_module **out) {
  const std::string name = options->name ? options->name : "kernels";
  if (std::strcmp(options->format, "elf-so") != 0)
    return fail(AICC_UNSUPPORTED, "object '" + name + "' has format '" +
                                      options->format +
                                      "', a cpu takes 'elf-so'");
  auto module = std::make_unique<aicc_driver_module>();
  module->file = memfd_create(name.substr(0, 200).c_str(), MFD_CLOEXEC);
  if (module->file < 0)
    return fail(AICC_DEVICE_ERROR,
                std::string("cannot create a memory file: ") +
                    std::strerror(errno));
  for (size_t done = 0; done < bytes;) {
    const ssize_t n = write(
        module->file, static_cast<const char *>(object) + done, bytes - done);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return fail(AICC_DEVICE_ERROR, "cannot write object '" + name +
                                         "': " + std::strerror(errno));
    done += size_t(n);
  }
  // The file stays open with the module: the loader takes an equal path for the
  // same library, and a closed descriptor's number would come again.
  const std::string path = "/proc/self/fd/" + std::to_string(module->file);
  module->handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!module->handle) {
    const char *reason = dlerror();
    return fail(AICC_DEVICE_ERROR, "cannot load object '" + name + "': " +
                                       (reason ? reason : "unknown reason"));
  }
  *out = module.release();
  return AICC_OK;
}

void moduleUnload(aicc_driver_module *module) { delete module; }

int moduleKernel(aicc_driver_module *module, const char *entry,
                 aicc_driver_kernel **out) {
  std::lock_guard lock(module->mutex);
  std::unique_ptr<aicc_driver_kernel> &kernel = module->kernels[entry];
  if (!kernel) {
    void *symbol = dlsym(module->handle, entry);
    if (!symbol)
      return fail(AICC_NOT_FOUND,
                  std::string("object has no kernel '") + entry + "'");
    kernel = std::make_unique<aicc_driver_kernel>(
        aicc_driver_kernel{reinterpret_cast<KernelFunction>(symbol), entry});
  }
  *out = kernel.get();
  return AICC_OK;
}

struct Work {
  KernelFunction function;
  const void *args;
  const uint32_t *grid;
  uint64_t scratchBytes;
  std::atomic<bool> outOfMemory{false};
};

// Workgroups begin … begin + count - 1, in the order x, y, z.
void runRange(void *context, size_t begin, size_t count) {
  Work &work = *static_cast<Work *>(context);
  void *scratch = scratchOfThread.reserve(work.scratchBytes);
  if (!scratch && work.scratchBytes) {
    work.outOfMemory.store(true, std::memory_order_relaxed);
    return;
  }
  const size_t x = work.grid[0], y = work.grid[1];
  uint32_t id[3] = {uint32_t(begin % x), uint32_t(begin / x % y),
                    uint32_t(begin / x / y)};
  while (true) {
    work.function(work.args, id, scratch);
    if (--count == 0)
      return;
    if (++id[0] == x) {
      id[0] = 0;
      if (++id[1] == y) {
        id[1] = 0;
        ++id[2];
      }
    }
  }
}

void runTask(void *context, size_t begin, size_t count) {
  AICC_TSAN_ACQUIRE(context);
  runRange(context, begin, count);
  AICC_TSAN_RELEASE(context);
}

int run(aicc_driver_stream *stream, const aicc_launch &launch) {
  const uint64_t plane = uint64_t(launch.grid[0]) * launch.grid[1];
  uint64_t total;
  if (__builtin_mul_overflow(plane, uint64_t(launch.grid[2]), &total))
    return fail(AICC_INVALID_ARGUMENT,
                "launch of '" + launch.kernel->entry + "' has a grid of " +
                    std::to_string(launch.grid[0]) + " x " +
                    std::to_string(launch.grid[1]) + " x " +
                    std::to_string(launch.grid[2]) + " workgroups");
  if (total == 0)
    return AICC_OK;
  Work work{launch.kernel->function, launch.args, launch.grid,
            launch.scratch_bytes};
  if (total == 1 || !stream->pool) {
    runRange(&work, 0, total);
  } else {
    // Few steals and atomic operations for many workgroups, yet enough pieces
    // to balance threads of unequal speed.
    const size_t piece =
        std::max<uint64_t>(1, total / (stream->threads * uint64_t(16)));
    AICC_TSAN_RELEASE(&work);
    pthreadpool_parallelize_1d_tile_1d(stream->pool->handle, runTask, &work,
                                       total, piece, 0);
    AICC_TSAN_ACQUIRE(&work);
  }
  if (work.outOfMemory.load(std::memory_order_relaxed))
    return fail(AICC_OUT_OF_MEMORY, "no memory for " +
                                        std::to_string(launch.scratch_bytes) +
                                        " bytes of scratch of kernel '" +
                                        launch.kernel->entry + "'");
  return AICC_OK;
}

int launch(aicc_driver_stream *stream, const aicc_launch *launch) {
  if (!launch->timing)
    return run(stream, *launch);
  launch->timing->begin = now();
  const int status = run(stream, *launch);
  launch->timing->end = now();
  return status;
}

int copy(aicc_driver_stream *, void *destination, const void *source,
         uint64_t bytes) {
  if (bytes)
    std::memcpy(destination, source, bytes);
  return AICC_OK;
}

template <typename T>
void fillWith(void *destination, uint64_t bytes, T value) {
  char *p = static_cast<char *>(destination);
  for (uint64_t i = 0; i + sizeof value <= bytes; i += sizeof value)
    std::memcpy(p + i, &value, sizeof value);
}

int fill(aicc_driver_stream *, void *destination, uint64_t bytes,
         uint64_t value, uint32_t valueBytes) {
  if (bytes == 0)
    return AICC_OK;
  switch (value == 0 ? 1 : valueBytes) {
  case 1:
    std::memset(destination, int(value & 0xff), bytes);
    return AICC_OK;
  case 2:
    fillWith(destination, bytes, uint16_t(value));
    return AICC_OK;
  case 4:
    fillWith(destination, bytes, uint32_t(value));
    return AICC_OK;
  case 8:
    fillWith(destination, bytes, value);
    return AICC_OK;
  }
  return fail(AICC_INVALID_ARGUMENT, "fill with a value of " +
                                         std::to_string(valueBytes) +
                                         " bytes, expected 1, 2, 4 or 8");
}

} // namespace

extern "C" const aicc_driver *aicc_driver_cpu(void) {
  static const aicc_driver table = [] {
    aicc_driver t{};
    t.struct_size = sizeof t;
    t.version = AICC_DRIVER_VERSION;
    t.family = "cpu";
    t.name = "host processor";
    t.last_error = [] { return lastError.c_str(); };
    t.device_count = deviceCount;
    t.device_open = deviceOpen;
    t.device_close = deviceClose;
    t.device_properties = deviceProperties;
    t.alloc = alloc;
    t.free = release;
    t.stream_create = streamCreate;
    t.stream_destroy = streamDestroy;
    t.stream_synchronize = streamSynchronize;
    t.stream_wait = streamWait;
    t.event_create = eventCreate;
    t.event_destroy = eventDestroy;
    t.event_record = eventRecord;
    t.event_synchronize = eventSynchronize;
    t.event_query = eventQuery;
    t.event_times = eventTimes;
    t.module_load = moduleLoad;
    t.module_unload = moduleUnload;
    t.module_kernel = moduleKernel;
    t.launch = launch;
    t.copy = copy;
    t.fill = fill;
    return t;
  }();
  return &table;
}
