//===- StreamDriver.cpp - the runtime's table over a vendor ---------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "StreamDriver.h"

#include "Handles.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

using namespace aicc::backends::common;

namespace {

Device *from(aicc_driver_device *p) { return reinterpret_cast<Device *>(p); }
Stream *from(aicc_driver_stream *p) { return reinterpret_cast<Stream *>(p); }
Event *from(aicc_driver_event *p) { return reinterpret_cast<Event *>(p); }
Module *from(aicc_driver_module *p) { return reinterpret_cast<Module *>(p); }
Kernel *from(aicc_driver_kernel *p) { return reinterpret_cast<Kernel *>(p); }
Graph *from(aicc_driver_graph *p) { return reinterpret_cast<Graph *>(p); }

// Calls with the device being the thread's; `what` is what is being done, or
// makes the text of that, which only a failure needs.
template <typename What, typename Call>
int on(Device &device, What what, Call call) {
  Current current(device);
  int code = current.code();
  if (!code)
    code = call(device.calls());
  if (!code)
    return AICC_OK;
  if constexpr (std::is_invocable_v<What>)
    return device.check(code, what());
  else
    return device.check(code, what);
}

std::string bytesText(uint64_t bytes) {
  return std::to_string(bytes) + " bytes";
}

void deviceClose(aicc_driver_device *handle) {
  Device *device = from(handle);
  if (!device)
    return;
  {
    Current current(*device);
    if (!current.code())
      device->clock.destroy(*device);
  }
  device->vendor->close(device->index);
  delete device;
}

const aicc_device_properties *deviceProperties(aicc_driver_device *device) {
  return &from(device)->properties;
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

int alloc(aicc_driver_device *device, uint64_t bytes, uint32_t kind,
          void **out) {
  return on(
      *from(device), [&] { return "allocating " + bytesText(bytes); },
      [&](const Calls &calls) {
        // Memory of the host that is pinned for all devices.
        constexpr unsigned portable = 1;
        bytes = std::max<uint64_t>(bytes, 1);
        return kind == AICC_MEMORY_PINNED
                   ? calls.hostAlloc(out, bytes, portable)
                   : calls.memAlloc(out, bytes);
      });
}

void release(aicc_driver_device *device, void *memory, uint32_t kind) {
  if (!memory)
    return;
  Current current(*from(device));
  const Calls &calls = from(device)->calls();
  if (!current.code())
    (void)(kind == AICC_MEMORY_PINNED ? calls.hostFree(memory)
                                      : calls.memFree(memory));
}

int allocAsync(aicc_driver_stream *stream, uint64_t bytes, void **out) {
  Stream &s = *from(stream);
  return on(
      *s.device, [&] { return "allocating " + bytesText(bytes); },
      [&](const Calls &calls) {
        bytes = std::max<uint64_t>(bytes, 1);
        return s.device->pools ? calls.memAllocAsync(out, bytes, s.handle)
                               : calls.memAlloc(out, bytes);
      });
}

int freeAsync(aicc_driver_stream *stream, void *memory) {
  if (!memory)
    return AICC_OK;
  Stream &s = *from(stream);
  return on(*s.device, "freeing memory", [&](const Calls &calls) {
    if (s.device->pools)
      return calls.memFreeAsync(memory, s.handle);
    const int code = calls.streamSynchronize(s.handle);
    return code ? code : calls.memFree(memory);
  });
}

//===----------------------------------------------------------------------===//
// Streams and events
//===----------------------------------------------------------------------===//

int streamCreate(aicc_driver_device *device, const aicc_stream_options *,
                 aicc_driver_stream **out) {
  auto stream = std::make_unique<Stream>();
  stream->device = from(device);
  const int status =
      on(*stream->device, "creating a stream", [&](const Calls &calls) {
        // Not ordered with the application's default stream.
        constexpr unsigned nonBlocking = 1;
        return calls.streamCreate(&stream->handle, nonBlocking);
      });
  if (!status)
    *out = reinterpret_cast<aicc_driver_stream *>(stream.release());
  return status;
}

void streamDestroy(aicc_driver_stream *handle) {
  std::unique_ptr<Stream> stream(from(handle));
  if (!stream)
    return;
  Current current(*stream->device);
  if (!current.code())
    stream->device->calls().streamDestroy(stream->handle);
}

int streamSynchronize(aicc_driver_stream *stream) {
  Stream &s = *from(stream);
  return on(*s.device, "waiting for a stream", [&](const Calls &calls) {
    return calls.streamSynchronize(s.handle);
  });
}

int streamWait(aicc_driver_stream *stream, aicc_driver_event *event) {
  Stream &s = *from(stream);
  if (!from(event)->recorded)
    return AICC_OK;
  return on(*s.device, "making a stream wait for an event",
            [&](const Calls &calls) {
              return calls.streamWaitEvent(s.handle, from(event)->end, 0);
            });
}

int eventCreate(aicc_driver_device *device, aicc_driver_event **out) {
  auto event = std::make_unique<Event>();
  event->device = from(device);
  const int status =
      on(*event->device, "creating an event",
         [&](const Calls &calls) { return calls.eventCreate(&event->end, 0); });
  if (!status)
    *out = reinterpret_cast<aicc_driver_event *>(event.release());
  return status;
}

void eventDestroy(aicc_driver_event *handle) {
  std::unique_ptr<Event> event(from(handle));
  if (!event)
    return;
  Current current(*event->device);
  if (current.code())
    return;
  event->device->calls().eventDestroy(event->end);
  if (event->begin)
    event->device->calls().eventDestroy(event->begin);
}

int eventRecord(aicc_driver_stream *stream, aicc_driver_event *event) {
  Stream &s = *from(stream);
  Event &e = *from(event);
  const int status =
      on(*s.device, "recording an event", [&](const Calls &calls) {
        return calls.eventRecord(e.end, s.handle);
      });
  if (!status) {
    e.timesLaunch = false;
    e.recorded = true;
  }
  return status;
}

int eventSynchronize(aicc_driver_event *event) {
  Event &e = *from(event);
  if (!e.recorded)
    return AICC_OK;
  return on(*e.device, "waiting for an event",
            [&](const Calls &calls) { return calls.eventSynchronize(e.end); });
}

int eventQuery(aicc_driver_event *event, int *out) {
  Event &e = *from(event);
  *out = 1;
  if (!e.recorded)
    return AICC_OK;
  return on(*e.device, "asking for an event", [&](const Calls &calls) {
    constexpr int notReady = 600;
    const int code = calls.eventQuery(e.end);
    *out = code != notReady;
    return code == notReady ? 0 : code;
  });
}

int eventTimes(aicc_driver_event *event, uint64_t *begin, uint64_t *end) {
  Event &e = *from(event);
  *begin = *end = 0;
  if (!e.recorded)
    return AICC_OK;
  return on(*e.device, "reading an event's time", [&](const Calls &) {
    int code = e.device->clock.time(*e.device, e.end, *end);
    if (!code && e.timesLaunch)
      code = e.device->clock.time(*e.device, e.begin, *begin);
    else
      *begin = *end;
    *begin = std::min(*begin, *end);
    return code;
  });
}

//===----------------------------------------------------------------------===//
// Code
//===----------------------------------------------------------------------===//

// On one line, as messages are.
std::string oneLine(const std::string &log) {
  std::string result;
  for (size_t at = 0; at < log.size();) {
    const size_t end = std::min(log.find('\n', at), log.size());
    std::string line = log.substr(at, end - at);
    at = end + 1;
    while (!line.empty() && std::strchr(" \r\t", line.back()))
      line.pop_back();
    if (!line.empty())
      result += (result.empty() ? "" : "; ") + line;
  }
  return result;
}

int moduleLoad(aicc_driver_device *handle, const void *object, size_t bytes,
               const aicc_module_options *options, aicc_driver_module **out) {
  Device &device = *from(handle);
  auto module = std::make_unique<Module>();
  module->device = &device;
  module->name = options->name ? options->name : "kernels";
  const aicc_device_properties &p = device.properties;
  std::string known;
  bool taken = false;
  for (size_t i = 0; i < p.format_count; ++i) {
    taken |= !std::strcmp(p.formats[i], options->format);
    known += (i ? " or '" : "'") + std::string(p.formats[i]) + "'";
  }
  if (!taken)
    return fail(AICC_UNSUPPORTED, "object '" + module->name + "' has format '" +
                                      options->format + "', expected " + known);
  // Vendors aren't told the size: text ends with a zero byte.
  const std::string image(static_cast<const char *>(object), bytes);
  // Asking for what isn't there would be an error in the vendors' tools.
  module->namesTensors = image.find("__tensors") != std::string::npos;
  std::string log;
  const std::string what = "loading object '" + module->name + "'";
  const int status = on(device, what, [&](const Calls &) {
    return device.vendor->loadModule(image, &module->handle, log);
  });
  log = oneLine(log);
  if (status && !log.empty())
    return fail(status, lastError() + (": " + log));
  if (!status)
    *out = reinterpret_cast<aicc_driver_module *>(module.release());
  return status;
}

void moduleUnload(aicc_driver_module *handle) {
  std::unique_ptr<Module> module(from(handle));
  if (!module)
    return;
  Current current(*module->device);
  if (!current.code())
    module->device->calls().moduleUnload(module->handle);
}

int moduleKernel(aicc_driver_module *handle, const char *entry,
                 aicc_driver_kernel **out) {
  Module &module = *from(handle);
  std::lock_guard lock(module.mutex);
  std::unique_ptr<Kernel> &kernel = module.kernels[entry];
  if (!kernel) {
    auto made = std::make_unique<Kernel>();
    made->module = &module;
    made->entry = entry;
    const std::string what =
        "finding kernel '" + made->entry + "' of object '" + module.name + "'";
    if (const int status = on(*module.device, what, [&](const Calls &calls) {
          const int code =
              calls.moduleFunction(&made->function, module.handle, entry);
          return code || !module.namesTensors
                     ? code
                     : module.device->vendor->findTensors(
                           module.handle, made->function, made->entry,
                           made->tensors, made->firstArgument);
        })) {
      module.kernels.erase(entry);
      return status;
    }
    if (made->tensors.count && (made->tensors.version != AICC_TENSORS_VERSION ||
                                made->tensors.count > AICC_TENSORS_MOST)) {
      const std::string found = std::to_string(made->tensors.version);
      module.kernels.erase(entry);
      return fail(AICC_UNSUPPORTED,
                  what + ": it wants maps of tensors of version " + found +
                      ", expected " + std::to_string(AICC_TENSORS_VERSION));
    }
    kernel = std::move(made);
  }
  *out = reinterpret_cast<aicc_driver_kernel *>(kernel.get());
  return AICC_OK;
}

// The arguments where the kernel has them, and behind them the maps it wants.
static int appendMaps(Vendor &vendor, const Kernel &kernel,
                      const aicc_launch &given,
                      std::vector<unsigned char> &out) {
  const aicc_tensors &tensors = kernel.tensors;
  const size_t first =
      kernel.firstArgument + (given.args_bytes + AICC_TENSOR_MAP_ALIGN - 1) /
                                 AICC_TENSOR_MAP_ALIGN * AICC_TENSOR_MAP_ALIGN;
  out.resize(first + tensors.count * size_t(AICC_TENSOR_MAP_BYTES));
  std::memcpy(&out[kernel.firstArgument], given.args, given.args_bytes);
  for (uint32_t i = 0; i < tensors.count; ++i) {
    const aicc_tensor &tensor = tensors.tensors[i];
    void *address = nullptr;
    if (tensor.argument < given.buffers)
      std::memcpy(&address,
                  static_cast<const unsigned char *>(given.args) +
                      tensor.argument * sizeof address,
                  sizeof address);
    alignas(AICC_TENSOR_MAP_ALIGN) unsigned char map[AICC_TENSOR_MAP_BYTES];
    if (const int code = vendor.encodeMap(tensor, address, map))
      return code;
    std::memcpy(&out[first + i * sizeof map], map, sizeof map);
  }
  return 0;
}

int launch(aicc_driver_stream *stream, const aicc_launch *given) {
  Stream &s = *from(stream);
  Device &device = *s.device;
  Kernel &kernel = *from(given->kernel);
  // Events of a recording have no time of their own.
  Event *timing = s.recording ? nullptr : from(given->timing);
  auto what = [&] { return "launching '" + kernel.entry + "'"; };
  return on(device, what, [&](const Calls &calls) {
    int code = 0;
    if (given->shared_bytes > kernel.allowedShared) {
      // Never less than another thread has asked for.
      std::lock_guard lock(kernel.module->mutex);
      if (given->shared_bytes > kernel.allowedShared) {
        code = device.vendor->allowShared(kernel.function, given->shared_bytes);
        if (code)
          return code;
        kernel.allowedShared = given->shared_bytes;
      }
    }
    if (timing) {
      if (!timing->begin)
        code = calls.eventCreate(&timing->begin, 0);
      if (!code)
        code = calls.eventRecord(timing->begin, s.handle);
      if (code)
        return code;
    }
    size_t bytes = given->args_bytes;
    const void *arguments = given->args;
    std::vector<unsigned char> withMaps;
    if (kernel.tensors.count) {
      code = appendMaps(*device.vendor, kernel, *given, withMaps);
      if (code)
        return code;
      arguments = withMaps.data();
      bytes = withMaps.size();
    }
    void *extra[] = {
        reinterpret_cast<void *>(1), const_cast<void *>(arguments),
        reinterpret_cast<void *>(2), &bytes,
        reinterpret_cast<void *>(device.vendor->numbers.launchEnd)};
    const uint32_t *grid = given->grid, *block = given->workgroup;
    code = calls.launch(kernel.function, grid[0], grid[1], grid[2], block[0],
                        block[1], block[2], given->shared_bytes, s.handle,
                        nullptr, extra);
    if (!code && timing) {
      code = calls.eventRecord(timing->end, s.handle);
      timing->timesLaunch = timing->recorded = !code;
    }
    return code;
  });
}

//===----------------------------------------------------------------------===//
// Copies
//===----------------------------------------------------------------------===//

int copy(aicc_driver_stream *stream, void *to, const void *source,
         uint64_t bytes) {
  Stream &s = *from(stream);
  if (!bytes)
    return AICC_OK;
  return on(
      *s.device, [&] { return "copying " + bytesText(bytes); },
      [&](const Calls &) {
        return s.device->vendor->copy(to, source, bytes, s.handle);
      });
}

// The vendors fill with 1, 2 and 4 bytes, aligned. Anything else is written
// once, byte by byte, and doubled.
int fillAny(Vendor &vendor, unsigned char *to, uint64_t bytes, uint64_t value,
            uint32_t valueBytes, void *stream) {
  for (uint32_t i = 0; i < valueBytes; ++i)
    if (const int code = vendor.calls.memsetD8(
            to + i, static_cast<unsigned char>(value >> 8 * i), 1, stream))
      return code;
  for (uint64_t done = valueBytes; done < bytes;) {
    const uint64_t more = std::min(done, bytes - done);
    if (const int code = vendor.copy(to + done, to, more, stream))
      return code;
    done += more;
  }
  return 0;
}

int fill(aicc_driver_stream *stream, void *destination, uint64_t bytes,
         uint64_t value, uint32_t valueBytes) {
  Stream &s = *from(stream);
  if (valueBytes != 1 && valueBytes != 2 && valueBytes != 4 && valueBytes != 8)
    return fail(AICC_INVALID_ARGUMENT, "fill with a value of " +
                                           std::to_string(valueBytes) +
                                           " bytes, expected 1, 2, 4 or 8");
  if (!bytes)
    return AICC_OK;
  if (valueBytes < 8)
    value &= (uint64_t(1) << 8 * valueBytes) - 1;
  // The shortest value that says the same: zeros mostly.
  uint32_t width = valueBytes;
  for (; width > 1; width /= 2) {
    const uint64_t half = value >> 4 * width;
    if (half != (value & ((uint64_t(1) << 4 * width) - 1)))
      break;
    value = half;
  }
  auto *to = static_cast<unsigned char *>(destination);
  const bool aligned = reinterpret_cast<uintptr_t>(to) % width == 0;
  return on(
      *s.device, [&] { return "filling " + bytesText(bytes); },
      [&](const Calls &calls) {
        if (width == 1)
          return calls.memsetD8(to, static_cast<unsigned char>(value), bytes,
                                s.handle);
        if (width == 2 && aligned)
          return calls.memsetD16(to, static_cast<unsigned short>(value),
                                 bytes / 2, s.handle);
        if (width == 4 && aligned)
          return calls.memsetD32(to, unsigned(value), bytes / 4, s.handle);
        return fillAny(*s.device->vendor, to, bytes, value, width, s.handle);
      });
}

// Direct access between two devices where they can; copies work without.
void enablePeer(Device &device, Device &peer) {
  std::lock_guard lock(device.peerMutex);
  if (!device.peers.try_emplace(peer.index, 0).second)
    return;
  const Calls &calls = device.calls();
  int can = 0;
  if (!calls.canAccessPeer ||
      calls.canAccessPeer(&can, device.index, peer.index) || !can)
    return;
  (void)device.vendor->enablePeer(peer.index, peer.context);
  void *pool = nullptr;
  if (!peer.pools || !calls.poolSetAccess ||
      calls.defaultPool(&pool, peer.index))
    return;
  // Memory of a pool is opened by itself: kind of place (1: a device), which
  // one, and how (3: read and write).
  const int description[] = {1, device.index, 3};
  (void)calls.poolSetAccess(pool, description, 1);
}

int copyPeer(aicc_driver_stream *stream, void *destination,
             aicc_driver_device *sourceDevice, const void *source,
             uint64_t bytes) {
  Stream &s = *from(stream);
  Device &device = *s.device, &peer = *from(sourceDevice);
  if (!bytes)
    return AICC_OK;
  auto what = [&] {
    return "copying " + bytesText(bytes) + " from " + peer.label;
  };
  return on(device, what, [&](const Calls &) {
    if (!s.recording && device.index != peer.index)
      enablePeer(device, peer);
    return device.vendor->copyPeer(destination, device.index, device.context,
                                   source, peer.index, peer.context, bytes,
                                   s.handle);
  });
}

//===----------------------------------------------------------------------===//
// Recording and replay
//===----------------------------------------------------------------------===//

int graphBegin(aicc_driver_stream *stream) {
  Stream &s = *from(stream);
  const Calls &calls = s.device->calls();
  if (!calls.beginCapture || !calls.endCapture || !calls.graphInstantiate ||
      !calls.graphLaunch || !calls.graphExecDestroy || !calls.graphDestroy)
    return fail(AICC_UNSUPPORTED, std::string("this library of ") +
                                      s.device->vendor->names.api +
                                      " can't record graphs");
  const int status = on(*s.device, "beginning to record", [&](const Calls &) {
    // Other threads, and this one for other streams, go on as ever.
    constexpr int relaxed = 2;
    return calls.beginCapture(s.handle, relaxed);
  });
  s.recording = !status;
  return status;
}

int graphEnd(aicc_driver_stream *stream, aicc_driver_graph **out) {
  Stream &s = *from(stream);
  s.recording = false;
  auto graph = std::make_unique<Graph>();
  graph->device = s.device;
  const int status =
      on(*s.device, "ending a recording", [&](const Calls &calls) {
        void *recorded = nullptr;
        int code = calls.endCapture(s.handle, &recorded);
        if (!code)
          code = calls.graphInstantiate(&graph->exec, recorded, 0);
        if (recorded)
          calls.graphDestroy(recorded);
        return code;
      });
  if (!status)
    *out = reinterpret_cast<aicc_driver_graph *>(graph.release());
  return status;
}

int graphLaunch(aicc_driver_stream *stream, aicc_driver_graph *graph) {
  Stream &s = *from(stream);
  return on(*s.device, "launching a graph", [&](const Calls &calls) {
    return calls.graphLaunch(from(graph)->exec, s.handle);
  });
}

void graphDestroy(aicc_driver_graph *handle) {
  std::unique_ptr<Graph> graph(from(handle));
  if (!graph)
    return;
  Current current(*graph->device);
  if (!current.code())
    graph->device->calls().graphExecDestroy(graph->exec);
}

} // namespace

aicc_driver aicc::backends::common::makeTable(
    const char *family, const char *name, int (*count)(uint32_t *),
    int (*open)(uint32_t, aicc_driver_device **)) {
  aicc_driver t{};
  t.struct_size = sizeof t;
  t.version = AICC_DRIVER_VERSION;
  t.family = family;
  t.name = name;
  t.last_error = lastError;
  t.device_count = count;
  t.device_open = open;
  t.device_close = deviceClose;
  t.device_properties = deviceProperties;
  t.alloc = alloc;
  t.free = release;
  t.alloc_async = allocAsync;
  t.free_async = freeAsync;
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
}
