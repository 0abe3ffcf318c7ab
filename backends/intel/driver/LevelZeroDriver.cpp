//===- LevelZeroDriver.cpp - runs SPIR-V kernels through Level Zero -------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// For Intel's GPUs. A stream is an immediate command list, in which a barrier
// stands between any two commands, because those of a list have no order of
// their own. Each record of an event takes a Level Zero event of its own, which
// is used again when no stream has work left that knows it. A recording is a
// closed command list; it is executed by a queue, and two events put it in its
// place among the commands of the stream.
//
//===----------------------------------------------------------------------===//

#include "LevelZeroDevice.h"

#include <algorithm>
#include <cstring>
#include <ctime>
#include <map>

using namespace aicc::intel;
using namespace aicc::intel::level_zero;

namespace {

using level_zero::of; // beside those below

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

int alloc(aicc_driver_device *handle, uint64_t bytes, uint32_t kind,
          void **out) {
  Device &device = *of(handle);
  bytes = std::max<uint64_t>(bytes, 1);
  const ze_relaxed_allocation_limits_t relaxed;
  const void *next = bytes > device.largest ? &relaxed : nullptr;
  ze_result_t result;
  void *memory = nullptr;
  if (kind == AICC_MEMORY_PINNED) {
    ze_host_mem_alloc_desc_t description;
    description.pNext = next;
    result = ze().zeMemAllocHost(device.found.context, &description, bytes, 64,
                                 &memory);
  } else {
    ze_device_mem_alloc_desc_t description;
    description.pNext = next;
    result = ze().zeMemAllocDevice(device.found.context, &description, bytes,
                                   64, device.found.device, &memory);
  }
  if (result || !memory)
    return fail(AICC_OUT_OF_MEMORY, "no memory for " + std::to_string(bytes) +
                                        " bytes on " + device.name + ": " +
                                        resultName(result));
  *out = memory;
  return AICC_OK;
}

void release(aicc_driver_device *device, void *memory, uint32_t) {
  if (memory)
    ze().zeMemFree(of(device)->found.context, memory);
}

//===----------------------------------------------------------------------===//
// Streams and events
//===----------------------------------------------------------------------===//

struct Event {
  Device *device;
  std::shared_ptr<Slot> slot; // of the last record
};

struct Graph {
  Device *device;
  ze_command_list_handle_t list = nullptr;
  std::shared_ptr<Slot> start, finish;

  ~Graph() {
    if (list)
      ze().zeCommandListDestroy(list);
  }
};

struct Stream {
  Device *device;
  ze_command_list_handle_t list = nullptr;
  ze_command_queue_handle_t queue = nullptr; // of graphs, with the first
  std::unique_ptr<Graph> recording;
  bool idle = true; // nothing was given since it was waited for
  // Events that the work under way knows.
  std::vector<std::shared_ptr<Slot>> known;

  ~Stream() {
    if (queue)
      ze().zeCommandQueueDestroy(queue);
    if (list)
      ze().zeCommandListDestroy(list);
  }
};

Stream *of(aicc_driver_stream *stream) {
  return reinterpret_cast<Stream *>(stream);
}
Event *of(aicc_driver_event *event) { return reinterpret_cast<Event *>(event); }

// The list for the stream's next command, which all earlier ones precede.
int next(Stream &stream, ze_command_list_handle_t &out) {
  out = stream.recording ? stream.recording->list : stream.list;
  if (!stream.recording && stream.idle) {
    stream.idle = false;
    return AICC_OK;
  }
  AICC_ZE_TRY(ze().zeCommandListAppendBarrier(out, nullptr, 0, nullptr),
              "ordering commands");
  return AICC_OK;
}

int streamCreate(aicc_driver_device *handle, const aicc_stream_options *,
                 aicc_driver_stream **out) {
  Device &device = *of(handle);
  auto stream = std::make_unique<Stream>();
  stream->device = &device;
  ze_command_queue_desc_t description;
  description.ordinal = device.ordinal;
  AICC_ZE_TRY(ze().zeCommandListCreateImmediate(device.found.context,
                                                device.found.device,
                                                &description, &stream->list),
              "creating a command list");
  *out = reinterpret_cast<aicc_driver_stream *>(stream.release());
  return AICC_OK;
}

int streamSynchronize(aicc_driver_stream *handle) {
  Stream &stream = *of(handle);
  if (stream.recording)
    return fail(AICC_INVALID_ARGUMENT,
                "a stream that records can't be waited for");
  if (stream.idle)
    return AICC_OK;
  std::shared_ptr<Slot> slot;
  if (const int status = stream.device->slot(slot))
    return status;
  // A barrier signals when all before it is done.
  stream.known.push_back(slot);
  AICC_ZE_TRY(
      ze().zeCommandListAppendBarrier(stream.list, slot->event, 0, nullptr),
      "waiting for the device");
  AICC_ZE_TRY(ze().zeEventHostSynchronize(slot->event, UINT64_MAX),
              "waiting for the device");
  stream.known.clear();
  stream.idle = true;
  return AICC_OK;
}

void streamDestroy(aicc_driver_stream *handle) {
  Stream *stream = of(handle);
  if (!stream)
    return;
  stream->recording.reset();
  streamSynchronize(handle);
  delete stream;
}

int refuseWhileRecording(const Stream &stream, const char *what) {
  return stream.recording
             ? fail(AICC_UNSUPPORTED,
                    std::string(what) + " can't be part of a recording")
             : int(AICC_OK);
}

int streamWait(aicc_driver_stream *handle, aicc_driver_event *event) {
  Stream &stream = *of(handle);
  if (const int status = refuseWhileRecording(stream, "waiting for an event"))
    return status;
  std::shared_ptr<Slot> slot = of(event)->slot;
  if (!slot)
    return AICC_OK;
  stream.known.push_back(slot);
  stream.idle = false;
  AICC_ZE_TRY(
      ze().zeCommandListAppendBarrier(stream.list, nullptr, 1, &slot->event),
      "waiting for an event");
  return AICC_OK;
}

int eventCreate(aicc_driver_device *device, aicc_driver_event **out) {
  *out = reinterpret_cast<aicc_driver_event *>(new Event{of(device), nullptr});
  return AICC_OK;
}

void eventDestroy(aicc_driver_event *event) { delete of(event); }

int eventRecord(aicc_driver_stream *handle, aicc_driver_event *event) {
  Stream &stream = *of(handle);
  if (const int status = refuseWhileRecording(stream, "recording an event"))
    return status;
  std::shared_ptr<Slot> slot;
  if (const int status = stream.device->slot(slot))
    return status;
  stream.known.push_back(slot);
  stream.idle = false;
  AICC_ZE_TRY(
      ze().zeCommandListAppendBarrier(stream.list, slot->event, 0, nullptr),
      "recording an event");
  of(event)->slot = std::move(slot);
  return AICC_OK;
}

int eventSynchronize(aicc_driver_event *event) {
  if (const Slot *slot = of(event)->slot.get())
    AICC_ZE_TRY(ze().zeEventHostSynchronize(slot->event, UINT64_MAX),
                "waiting for an event");
  return AICC_OK;
}

int eventQuery(aicc_driver_event *event, int *out) {
  *out = 1;
  const Slot *slot = of(event)->slot.get();
  if (!slot)
    return AICC_OK;
  const ze_result_t result = ze().zeEventQueryStatus(slot->event);
  if (result != ZE_RESULT_SUCCESS && result != ZE_RESULT_NOT_READY)
    return failed(result, "asking for an event");
  *out = result == ZE_RESULT_SUCCESS;
  return AICC_OK;
}

// The device's clock wraps around, so that times are told from what it and the
// host's clock say now.
int eventTimes(aicc_driver_event *handle, uint64_t *begin, uint64_t *end) {
  *begin = *end = 0;
  const Event &event = *of(handle);
  if (!event.slot)
    return AICC_OK;
  ze_kernel_timestamp_result_t times{};
  AICC_ZE_TRY(ze().zeEventQueryKernelTimestamp(event.slot->event, &times),
              "reading an event's times");
  uint64_t host = 0, there = 0;
  AICC_ZE_TRY(ze().zeDeviceGetGlobalTimestamps(event.device->found.device,
                                               &host, &there),
              "reading the device's clock");
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  const uint64_t now =
      uint64_t(time.tv_sec) * 1000000000 + uint64_t(time.tv_nsec);
  auto monotonic = [&](uint64_t stamp) {
    const uint64_t ago =
        ((there - stamp) & event.device->timestampMask) * event.device->tick;
    return now > ago ? now - ago : 0;
  };
  *end = monotonic(times.global.end);
  *begin = event.slot->timesLaunch ? monotonic(times.global.start) : *end;
  return AICC_OK;
}

//===----------------------------------------------------------------------===//
// Modules
//===----------------------------------------------------------------------===//

struct Kernel {
  std::string entry;
  std::mutex mutex; // arguments belong to the kernel object until appended
  ze_kernel_handle_t handle = nullptr;
};

class Module final : public Buildable {
public:
  Module(Device &device, std::string name, std::string spirv)
      : device(device), name(std::move(name)), spirv(std::move(spirv)) {
    device.builders->add(this);
  }
  // Not by a base's pointer, and not before it is built or out of the queue.
  ~Module() {
    if (!device.builders->remove(this)) {
      std::unique_lock lock(mutex);
      built.wait(lock, [&] { return done; });
    }
    for (auto &[entry, kernel] : kernels)
      ze().zeKernelDestroy(kernel->handle);
    if (handle)
      ze().zeModuleDestroy(handle);
  }

  void build() override;
  int kernel(const char *entry, Kernel *&out);

private:
  ze_result_t create(uint32_t format, const std::string &code,
                     const std::string &options, std::string &log);
  bool spills() const;
  void save(const std::string &cacheName);

  Device &device;
  std::string name;
  std::string spirv; // until it is built
  ze_module_handle_t handle = nullptr;
  std::mutex mutex;
  std::condition_variable built;
  bool done = false;
  int status = AICC_OK;
  std::string error;
  std::map<std::string, std::unique_ptr<Kernel>> kernels;
};

ze_result_t Module::create(uint32_t format, const std::string &code,
                           const std::string &options, std::string &log) {
  ze_module_desc_t description;
  description.format = format;
  description.inputSize = code.size();
  description.pInputModule = reinterpret_cast<const uint8_t *>(code.data());
  description.pBuildFlags = options.c_str();
  ze_module_build_log_handle_t text = nullptr;
  const ze_result_t result = ze().zeModuleCreate(
      device.found.context, device.found.device, &description, &handle, &text);
  if (result)
    handle = nullptr;
  size_t size = 0;
  if (text && !ze().zeModuleBuildLogGetString(text, &size, nullptr) && size) {
    log.resize(size);
    ze().zeModuleBuildLogGetString(text, &size, log.data());
    log.resize(std::strlen(log.c_str()));
  }
  if (text)
    ze().zeModuleBuildLogDestroy(text);
  return result;
}

void Module::save(const std::string &cacheName) {
  size_t size = 0;
  if (ze().zeModuleGetNativeBinary(handle, &size, nullptr) || size == 0)
    return;
  std::string binary(size, '\0');
  if (!ze().zeModuleGetNativeBinary(handle, &size,
                                    reinterpret_cast<uint8_t *>(binary.data())))
    writeCache(cacheName, binary);
}

// Whether registers of some kernel are kept in memory.
bool Module::spills() const {
  uint32_t count = 0;
  if (ze().zeModuleGetKernelNames(handle, &count, nullptr))
    return false;
  std::vector<const char *> names(count);
  if (ze().zeModuleGetKernelNames(handle, &count, names.data()))
    return false;
  bool any = false;
  for (const char *entry : names) {
    ze_kernel_desc_t description;
    description.pKernelName = entry;
    ze_kernel_handle_t kernel = nullptr;
    if (ze().zeKernelCreate(handle, &description, &kernel))
      continue;
    ze_kernel_properties_t properties;
    any |= !ze().zeKernelGetProperties(kernel, &properties) &&
           properties.spillMemSize;
    ze().zeKernelDestroy(kernel);
  }
  return any;
}

void Module::build() {
  CacheKey key = device.cacheKey;
  key.add(spirv.data(), spirv.size());
  const std::string binary = readCache(key.name());
  std::string log;
  ze_result_t result = ZE_RESULT_SUCCESS;
  // A driver may refuse what was compiled before.
  if (binary.empty() ||
      create(ZE_MODULE_FORMAT_NATIVE, binary, device.buildOptions, log)) {
    log.clear();
    result = create(ZE_MODULE_FORMAT_IL_SPIRV, spirv, device.buildOptions, log);
    // As in Driver.cpp.
    if (!result && device.smallestSubgroup < 16 && spills()) {
      ze().zeModuleDestroy(handle);
      result =
          create(ZE_MODULE_FORMAT_IL_SPIRV, spirv,
                 device.buildOptions + " -ze-opt-large-register-file", log);
    }
    if (!result)
      save(key.name());
  }
  std::lock_guard lock(mutex);
  spirv = {};
  if (result) {
    status = AICC_DEVICE_ERROR;
    error = "cannot compile object '" + name + "' for " + device.name + ": " +
            resultName(result) + (log.empty() ? "" : ": " + log);
  }
  done = true;
  built.notify_all();
}

int Module::kernel(const char *entry, Kernel *&out) {
  // Better now and here than later.
  if (device.builders->remove(this))
    build();
  std::unique_lock lock(mutex);
  built.wait(lock, [&] { return done; });
  if (status)
    return fail(aicc_status(status), error);
  std::unique_ptr<Kernel> &kernel = kernels[entry];
  if (!kernel) {
    ze_kernel_desc_t description;
    description.pKernelName = entry;
    ze_kernel_handle_t created = nullptr;
    ze_result_t result = ze().zeKernelCreate(handle, &description, &created);
    // Its pointers are hidden in the argument struct.
    if (!result) {
      result = ze().zeKernelSetIndirectAccess(created,
                                              ZE_KERNEL_INDIRECT_ACCESS_ALL);
      if (result)
        ze().zeKernelDestroy(created);
    }
    if (result) {
      kernels.erase(entry);
      return fail(AICC_NOT_FOUND, "object '" + name + "' has no kernel '" +
                                      entry + "': " + resultName(result));
    }
    kernel = std::make_unique<Kernel>();
    kernel->entry = entry;
    kernel->handle = created;
  }
  out = kernel.get();
  return AICC_OK;
}

int moduleLoad(aicc_driver_device *device, const void *object, size_t bytes,
               const aicc_module_options *options, aicc_driver_module **out) {
  const std::string name = options->name ? options->name : "kernels";
  if (std::strcmp(options->format, "spirv") != 0)
    return fail(AICC_UNSUPPORTED, "object '" + name + "' has format '" +
                                      options->format +
                                      "', an intel device takes 'spirv'");
  // Some of Intel's compilers end the process when a module is cut short.
  uint32_t magic = 0;
  if (bytes >= 20)
    std::memcpy(&magic, object, sizeof magic);
  if (bytes < 20 || bytes % 4 || magic != 0x07230203)
    return fail(AICC_BAD_PACKAGE, "object '" + name + "' is no SPIR-V module");
  *out = reinterpret_cast<aicc_driver_module *>(
      new Module(*of(device), name,
                 std::string(static_cast<const char *>(object), bytes)));
  return AICC_OK;
}

void moduleUnload(aicc_driver_module *module) {
  delete reinterpret_cast<Module *>(module);
}

int moduleKernel(aicc_driver_module *module, const char *entry,
                 aicc_driver_kernel **out) {
  Kernel *kernel = nullptr;
  if (const int status =
          reinterpret_cast<Module *>(module)->kernel(entry, kernel))
    return status;
  *out = reinterpret_cast<aicc_driver_kernel *>(kernel);
  return AICC_OK;
}

//===----------------------------------------------------------------------===//
// Commands
//===----------------------------------------------------------------------===//

int launch(aicc_driver_stream *handle, const aicc_launch *launch) {
  Stream &stream = *of(handle);
  auto &kernel = *reinterpret_cast<Kernel *>(launch->kernel);
  const std::string what = "launching '" + kernel.entry + "'";
  const uint32_t most = stream.device->properties.max_argument_bytes;
  if (launch->args_bytes > most)
    return fail(AICC_INVALID_ARGUMENT,
                what + ": found " + std::to_string(launch->args_bytes) +
                    " bytes of arguments, expected at most " +
                    std::to_string(most));
  std::shared_ptr<Slot> slot;
  if (launch->timing) {
    if (const int status = refuseWhileRecording(stream, "timing a launch"))
      return status;
    if (const int status = stream.device->slot(slot))
      return status;
    slot->timesLaunch = true;
    stream.known.push_back(slot);
  }
  ze_command_list_handle_t list;
  if (const int status = next(stream, list))
    return status;
  const uint32_t *size = launch->workgroup;
  const ze_group_count_t grid{launch->grid[0], launch->grid[1],
                              launch->grid[2]};
  std::lock_guard lock(kernel.mutex);
  AICC_ZE_TRY(
      ze().zeKernelSetGroupSize(kernel.handle, size[0], size[1], size[2]),
      what);
  AICC_ZE_TRY(ze().zeKernelSetArgumentValue(kernel.handle, 0,
                                            launch->args_bytes, launch->args),
              what);
  AICC_ZE_TRY(ze().zeCommandListAppendLaunchKernel(list, kernel.handle, &grid,
                                                   slot ? slot->event : nullptr,
                                                   0, nullptr),
              what);
  if (slot)
    of(launch->timing)->slot = std::move(slot);
  return AICC_OK;
}

int copy(aicc_driver_stream *handle, void *destination, const void *source,
         uint64_t bytes) {
  if (bytes == 0)
    return AICC_OK;
  ze_command_list_handle_t list;
  if (const int status = next(*of(handle), list))
    return status;
  AICC_ZE_TRY(ze().zeCommandListAppendMemoryCopy(list, destination, source,
                                                 bytes, nullptr, 0, nullptr),
              "copying " + std::to_string(bytes) + " bytes");
  return AICC_OK;
}

int copyPeer(aicc_driver_stream *handle, void *destination,
             aicc_driver_device *sourceDevice, const void *source,
             uint64_t bytes) {
  const Device &here = *of(handle)->device, &there = *of(sourceDevice);
  uint8_t reaches = 0;
  if (here.found.context == there.found.context)
    AICC_ZE_TRY(ze().zeDeviceCanAccessPeer(here.found.device,
                                           there.found.device, &reaches),
                "asking for another device");
  if (!reaches)
    return fail(AICC_UNSUPPORTED, here.name +
                                      " can't reach the memory of the other " +
                                      there.name);
  return copy(handle, destination, source, bytes);
}

int fill(aicc_driver_stream *handle, void *destination, uint64_t bytes,
         uint64_t value, uint32_t valueBytes) {
  if (valueBytes != 1 && valueBytes != 2 && valueBytes != 4 && valueBytes != 8)
    return fail(AICC_INVALID_ARGUMENT, "fill with a value of " +
                                           std::to_string(valueBytes) +
                                           " bytes, expected 1, 2, 4 or 8");
  if (bytes == 0)
    return AICC_OK;
  ze_command_list_handle_t list;
  if (const int status = next(*of(handle), list))
    return status;
  AICC_ZE_TRY(ze().zeCommandListAppendMemoryFill(list, destination, &value,
                                                 valueBytes, bytes, nullptr, 0,
                                                 nullptr),
              "filling " + std::to_string(bytes) + " bytes");
  return AICC_OK;
}

//===----------------------------------------------------------------------===//
// Recording and replay
//===----------------------------------------------------------------------===//

// The list waits for `start`, which the stream signals, and signals `finish`,
// which the stream waits for; each is reset behind who waited for it.
int graphBegin(aicc_driver_stream *handle) {
  Stream &stream = *of(handle);
  if (stream.recording)
    return fail(AICC_INVALID_ARGUMENT, "the stream records already");
  Device &device = *stream.device;
  auto graph = std::make_unique<Graph>();
  graph->device = &device;
  for (std::shared_ptr<Slot> *slot : {&graph->start, &graph->finish})
    if (const int status = device.slot(*slot))
      return status;
  ze_command_list_desc_t description;
  description.commandQueueGroupOrdinal = device.ordinal;
  AICC_ZE_TRY(ze().zeCommandListCreate(device.found.context,
                                       device.found.device, &description,
                                       &graph->list),
              "creating a command list");
  AICC_ZE_TRY(ze().zeCommandListAppendBarrier(graph->list, nullptr, 1,
                                              &graph->start->event),
              "beginning a recording");
  AICC_ZE_TRY(
      ze().zeCommandListAppendEventReset(graph->list, graph->start->event),
      "beginning a recording");
  stream.recording = std::move(graph);
  return AICC_OK;
}

int graphEnd(aicc_driver_stream *handle, aicc_driver_graph **out) {
  Stream &stream = *of(handle);
  if (!stream.recording)
    return fail(AICC_INVALID_ARGUMENT, "the stream doesn't record");
  std::unique_ptr<Graph> graph = std::move(stream.recording);
  AICC_ZE_TRY(ze().zeCommandListAppendBarrier(graph->list, graph->finish->event,
                                              0, nullptr),
              "ending a recording");
  AICC_ZE_TRY(ze().zeCommandListClose(graph->list), "ending a recording");
  *out = reinterpret_cast<aicc_driver_graph *>(graph.release());
  return AICC_OK;
}

int graphLaunch(aicc_driver_stream *handle, aicc_driver_graph *recorded) {
  Stream &stream = *of(handle);
  auto &graph = *reinterpret_cast<Graph *>(recorded);
  if (const int status = refuseWhileRecording(stream, "a recording"))
    return status;
  const Device &device = *stream.device;
  if (!stream.queue) {
    ze_command_queue_desc_t description;
    description.ordinal = device.ordinal;
    AICC_ZE_TRY(ze().zeCommandQueueCreate(device.found.context,
                                          device.found.device, &description,
                                          &stream.queue),
                "creating a queue");
  }
  stream.known.push_back(graph.start);
  stream.known.push_back(graph.finish);
  stream.idle = false;
  const char *what = "replaying a recording";
  AICC_ZE_TRY(ze().zeCommandListAppendBarrier(stream.list, graph.start->event,
                                              0, nullptr),
              what);
  AICC_ZE_TRY(ze().zeCommandQueueExecuteCommandLists(stream.queue, 1,
                                                     &graph.list, nullptr),
              what);
  AICC_ZE_TRY(ze().zeCommandListAppendBarrier(stream.list, nullptr, 1,
                                              &graph.finish->event),
              what);
  AICC_ZE_TRY(
      ze().zeCommandListAppendEventReset(stream.list, graph.finish->event),
      what);
  return AICC_OK;
}

void graphDestroy(aicc_driver_graph *graph) {
  delete reinterpret_cast<Graph *>(graph);
}

} // namespace

extern "C" const aicc_driver *aicc_driver_intel_level_zero(void) {
  static const aicc_driver table = [] {
    aicc_driver t{};
    t.struct_size = sizeof t;
    t.version = AICC_DRIVER_VERSION;
    t.family = "intel";
    t.name = "Intel, through Level Zero";
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
    t.copy_peer = copyPeer;
    t.graph_begin = graphBegin;
    t.graph_end = graphEnd;
    t.graph_launch = graphLaunch;
    t.graph_destroy = graphDestroy;
    return t;
  }();
  return &table;
}
