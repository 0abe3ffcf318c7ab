//===- FakeDriver.cpp - an asynchronous device with its own memory --------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "FakeDriver.h"

#include "aicc/runtime.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <dlfcn.h>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

using aicc::testing::FakeDevice;

std::atomic<int64_t> FakeDevice::failAfter{-1};
std::atomic<int64_t> FakeDevice::liveBytes{0};
std::atomic<int64_t> FakeDevice::liveHandles{0};
std::atomic<int64_t> FakeDevice::launches{0};
std::atomic<int64_t> FakeDevice::limit{-1};
std::atomic<int64_t> FakeDevice::delay{0};
std::atomic<int64_t> FakeDevice::mostAtOnce{0};
std::atomic<int64_t> FakeDevice::recordings{0};
std::atomic<int64_t> FakeDevice::replays{0};
std::atomic<int64_t> FakeDevice::peerCopies{0};
std::atomic<bool> FakeDevice::refuseRecording{false};

static std::atomic<int64_t> atOnce{0};

// Counts the work that is done at the same time, and takes its time.
struct Busy {
  Busy() {
    const int64_t now = ++atOnce;
    int64_t most = FakeDevice::mostAtOnce;
    while (most < now &&
           !FakeDevice::mostAtOnce.compare_exchange_weak(most, now)) {
    }
    if (const int64_t delay = FakeDevice::delay)
      std::this_thread::sleep_for(std::chrono::microseconds(delay));
  }
  ~Busy() { --atOnce; }
};

struct aicc_driver_device {
  aicc_device_properties properties{};
  std::mutex mutex;
  std::map<uintptr_t, uint64_t> blocks; // address → bytes
  std::map<uintptr_t, uint64_t> pinned; // of the host

  bool owns(const void *memory) {
    std::lock_guard lock(mutex);
    auto after = blocks.upper_bound(reinterpret_cast<uintptr_t>(memory));
    if (after == blocks.begin())
      return false;
    --after;
    return reinterpret_cast<uintptr_t>(memory) < after->first + after->second;
  }
};

// Recorded work, and the work that has to be done before.
struct Node {
  std::function<void()> work;
  std::vector<size_t> after;
};

struct aicc_driver_graph {
  std::vector<Node> nodes;
  std::vector<aicc_driver_stream *> joined; // besides the first
};

struct aicc_driver_stream {
  aicc_driver_device *device = nullptr;
  aicc_driver_graph *recording = nullptr;
  std::vector<size_t> after; // what the next recorded work comes after
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::function<void()>> queue;
  bool busy = false, stop = false;
  std::thread thread;

  void push(std::function<void()> work) {
    if (recording) {
      recording->nodes.push_back({std::move(work), after});
      after = {recording->nodes.size() - 1};
      return;
    }
    std::lock_guard lock(mutex);
    queue.push_back(std::move(work));
    changed.notify_all();
  }
  void run() {
    std::unique_lock lock(mutex);
    while (true) {
      changed.wait(lock, [this] { return stop || !queue.empty(); });
      if (queue.empty())
        return;
      auto work = std::move(queue.front());
      queue.pop_front();
      busy = true;
      lock.unlock();
      work();
      lock.lock();
      busy = false;
      changed.notify_all();
    }
  }
  void wait() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [this] { return !busy && queue.empty(); });
  }
};

struct aicc_driver_event {
  std::mutex mutex;
  std::condition_variable changed;
  // Records are numbered; who waits, waits for the last one at that time.
  uint64_t recorded = 0, finished = 0;
  uint64_t begin = 0, end = 0;
  // Set if the last record was recorded itself.
  aicc_driver_graph *recording = nullptr;
  std::vector<size_t> after;
};

struct aicc_driver_kernel {
  void (*function)(const void *, const uint32_t *, void *);
};

struct aicc_driver_module {
  void *handle;
  int file;
  std::mutex mutex;
  std::vector<std::unique_ptr<aicc_driver_kernel>> kernels;
};

namespace {

thread_local std::string lastError;
constexpr uint32_t deviceCount = 2;
aicc_driver_device devices[2 * deviceCount]; // "fake", "peer"

int fail(aicc_status status, const char *message) {
  lastError = message;
  return status;
}

// Whether this call shall fail.
bool fails() {
  if (FakeDevice::failAfter < 0)
    return false;
  return FakeDevice::failAfter == 0 || FakeDevice::failAfter-- == 0;
}

#define MAY_FAIL                                                               \
  if (fails())                                                                 \
  return fail(AICC_DEVICE_ERROR, "failure on demand")

uint64_t now() {
  return uint64_t(std::chrono::duration_cast<std::chrono::nanoseconds>(
                      std::chrono::steady_clock::now().time_since_epoch())
                      .count());
}

int deviceOpen(uint32_t index, aicc_driver_device **out) {
  static const char *const formats[] = {"elf-so"};
  static const char *const features[] = {"fake-feature"};
  aicc_device_properties &p = devices[index].properties;
  p.struct_size = sizeof p;
  p.name = "device for tests";
  p.vendor = p.version = "";
  p.chip = "fake1";
  p.formats = formats;
  p.format_count = 1;
  p.features = features;
  p.feature_count = 1;
  p.compute_units = 4;
  p.max_workgroup = 1;
  p.alignment = 64;
  *out = &devices[index];
  return AICC_OK;
}

int alloc(aicc_driver_device *device, uint64_t bytes, uint32_t kind,
          void **out) {
  MAY_FAIL;
  if (bytes > 1 << 30)
    return fail(AICC_OUT_OF_MEMORY, "more than the device has");
  // Poisoned: whoever reads what was not written is found out.
  const uint64_t size = (bytes + 64) / 64 * 64;
  if (const int64_t limit = FakeDevice::limit;
      limit >= 0 && FakeDevice::liveBytes + int64_t(size) > limit)
    return fail(AICC_OUT_OF_MEMORY, "more than the device has left");
  *out = std::aligned_alloc(64, size);
  std::memset(*out, 0x7f, size);
  std::lock_guard lock(device->mutex);
  (kind == AICC_MEMORY_PINNED
       ? device->pinned
       : device->blocks)[reinterpret_cast<uintptr_t>(*out)] = size;
  FakeDevice::liveBytes += int64_t(size);
  return AICC_OK;
}

void release(aicc_driver_device *device, void *memory, uint32_t kind) {
  if (!memory)
    return;
  std::lock_guard lock(device->mutex);
  auto &list = kind == AICC_MEMORY_PINNED ? device->pinned : device->blocks;
  auto it = list.find(reinterpret_cast<uintptr_t>(memory));
  FakeDevice::liveBytes -= int64_t(it->second);
  list.erase(it);
  std::free(memory);
}

int streamCreate(aicc_driver_device *device, const aicc_stream_options *,
                 aicc_driver_stream **out) {
  MAY_FAIL;
  auto *stream = new aicc_driver_stream;
  stream->device = device;
  stream->thread = std::thread([stream] { stream->run(); });
  ++FakeDevice::liveHandles;
  *out = stream;
  return AICC_OK;
}

void streamDestroy(aicc_driver_stream *stream) {
  if (!stream)
    return;
  {
    std::lock_guard lock(stream->mutex);
    stream->stop = true;
    stream->changed.notify_all();
  }
  stream->thread.join();
  if (stream->recording)
    --FakeDevice::liveHandles;
  delete stream->recording;
  delete stream;
  --FakeDevice::liveHandles;
}

int streamSynchronize(aicc_driver_stream *stream) {
  if (stream->recording)
    return fail(AICC_DEVICE_ERROR, "waits for a stream that records");
  stream->wait();
  MAY_FAIL;
  return AICC_OK;
}

uint64_t lastRecord(aicc_driver_event *event) {
  std::lock_guard lock(event->mutex);
  return event->recorded;
}

void waitFor(aicc_driver_event *event, uint64_t record) {
  std::unique_lock lock(event->mutex);
  event->changed.wait(lock, [=] { return event->finished >= record; });
}

int eventSynchronize(aicc_driver_event *event) {
  waitFor(event, lastRecord(event));
  return AICC_OK;
}

int streamWait(aicc_driver_stream *stream, aicc_driver_event *event) {
  if (event->recording) {
    if (!stream->recording) {
      stream->recording = event->recording;
      stream->recording->joined.push_back(stream);
      stream->after.clear();
    }
    if (stream->recording != event->recording)
      return fail(AICC_DEVICE_ERROR, "joins two recordings");
    stream->after.insert(stream->after.end(), event->after.begin(),
                         event->after.end());
    return AICC_OK;
  }
  if (stream->recording)
    return fail(AICC_DEVICE_ERROR, "records a wait for what isn't recorded");
  stream->push([event, record = lastRecord(event)] { waitFor(event, record); });
  return AICC_OK;
}

uint64_t begin(aicc_driver_event *event) {
  std::lock_guard lock(event->mutex);
  return ++event->recorded;
}

void finish(aicc_driver_event *event, uint64_t record, uint64_t from) {
  std::lock_guard lock(event->mutex);
  event->begin = from;
  event->end = now();
  event->finished = std::max(event->finished, record);
  event->changed.notify_all();
}

// Whether the last work of other streams comes before what follows `last`.
bool isJoined(const aicc_driver_graph &graph, std::vector<size_t> last) {
  std::vector<bool> reached(graph.nodes.size());
  while (!last.empty()) {
    const size_t node = last.back();
    last.pop_back();
    if (reached[node])
      continue;
    reached[node] = true;
    last.insert(last.end(), graph.nodes[node].after.begin(),
                graph.nodes[node].after.end());
  }
  return std::all_of(
      graph.joined.begin(), graph.joined.end(), [&](aicc_driver_stream *other) {
        return std::all_of(other->after.begin(), other->after.end(),
                           [&](size_t node) { return reached[node]; });
      });
}

void runNodes(const std::vector<Node> &nodes) {
  std::vector<bool> done(nodes.size());
  auto ready = [&](const Node &node) {
    return std::all_of(node.after.begin(), node.after.end(),
                       [&](size_t before) { return done[before]; });
  };
  for (size_t round = 0; round < nodes.size(); ++round) {
    size_t next = nodes.size() - 1;
    while (done[next] || !ready(nodes[next]))
      --next;
    nodes[next].work();
    done[next] = true;
  }
}

int moduleLoad(aicc_driver_device *, const void *object, size_t bytes,
               const aicc_module_options *, aicc_driver_module **out) {
  MAY_FAIL;
  const int file = memfd_create("fake", MFD_CLOEXEC);
  if (write(file, object, bytes) != ssize_t(bytes))
    return fail(AICC_DEVICE_ERROR, "cannot write the object");
  const std::string path = "/proc/self/fd/" + std::to_string(file);
  void *handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    close(file);
    return fail(AICC_DEVICE_ERROR, "cannot load the object");
  }
  *out = new aicc_driver_module{handle, file, {}, {}};
  ++FakeDevice::liveHandles;
  return AICC_OK;
}

void moduleUnload(aicc_driver_module *module) {
  if (!module)
    return;
  dlclose(module->handle);
  close(module->file);
  delete module;
  --FakeDevice::liveHandles;
}

int moduleKernel(aicc_driver_module *module, const char *entry,
                 aicc_driver_kernel **out) {
  MAY_FAIL;
  void *symbol = dlsym(module->handle, entry);
  if (!symbol)
    return fail(AICC_NOT_FOUND, "object has no such kernel");
  std::lock_guard lock(module->mutex);
  module->kernels.push_back(std::make_unique<aicc_driver_kernel>());
  *out = module->kernels.back().get();
  (*out)->function =
      reinterpret_cast<void (*)(const void *, const uint32_t *, void *)>(
          symbol);
  return AICC_OK;
}

// Memory that neither the host nor the stream's device reaches.
bool isForeign(const aicc_driver_stream *stream, const void *memory) {
  return std::any_of(std::begin(devices), std::end(devices),
                     [&](aicc_driver_device &device) {
                       return &device != stream->device && device.owns(memory);
                     });
}

int copy(aicc_driver_stream *stream, void *destination, const void *source,
         uint64_t bytes) {
  MAY_FAIL;
  if (isForeign(stream, destination) || isForeign(stream, source))
    return fail(AICC_DEVICE_ERROR, "copies memory of another device");
  stream->push([=] {
    const Busy busy;
    std::memcpy(destination, source, bytes);
  });
  return AICC_OK;
}

int copyPeer(aicc_driver_stream *stream, void *destination,
             aicc_driver_device *device, const void *source, uint64_t bytes) {
  MAY_FAIL;
  if (!device->owns(source) || !stream->device->owns(destination))
    return fail(AICC_DEVICE_ERROR, "is no copy between these devices");
  ++FakeDevice::peerCopies;
  stream->push([=] {
    const Busy busy;
    std::memcpy(destination, source, bytes);
  });
  return AICC_OK;
}

int launch(aicc_driver_stream *stream, const aicc_launch *launch) {
  MAY_FAIL;
  if (stream->recording && FakeDevice::refuseRecording)
    return fail(AICC_UNSUPPORTED, "launches can't be recorded");
  const auto *words = static_cast<const uint64_t *>(launch->args);
  for (uint32_t i = 0; i < launch->buffers; ++i)
    if (!stream->device->owns(reinterpret_cast<const void *>(words[i])))
      return fail(AICC_DEVICE_ERROR, "argument is not in device memory");
  ++FakeDevice::launches;
  std::vector<uint64_t> args(words, words + launch->args_bytes / 8);
  aicc_launch copy = *launch;
  const uint64_t record = copy.timing ? begin(copy.timing) : 0;
  stream->push([args = std::move(args), copy, record] {
    const uint64_t from = now();
    const Busy busy;
    std::vector<uint8_t> scratch(copy.scratch_bytes + 64);
    uint8_t *aligned = scratch.data();
    aligned += 64 - reinterpret_cast<uintptr_t>(aligned) % 64;
    uint32_t id[3];
    for (id[2] = 0; id[2] < copy.grid[2]; ++id[2])
      for (id[1] = 0; id[1] < copy.grid[1]; ++id[1])
        for (id[0] = 0; id[0] < copy.grid[0]; ++id[0])
          copy.kernel->function(args.data(), id, aligned);
    if (copy.timing)
      finish(copy.timing, record, from);
  });
  return AICC_OK;
}

} // namespace

void FakeDevice::recordStreams(bool several) {
  for (aicc_driver_device &device : devices)
    device.properties.flags =
        several ? device.properties.flags | AICC_DEVICE_RECORDS_STREAMS
                : device.properties.flags & ~AICC_DEVICE_RECORDS_STREAMS;
}

const aicc_driver *FakeDevice::table() {
  static const aicc_driver driver = [] {
    aicc_driver t{};
    t.struct_size = sizeof t;
    t.version = AICC_DRIVER_VERSION;
    t.family = "fake";
    t.name = "driver for tests";
    t.last_error = [] { return lastError.c_str(); };
    t.device_count = [](uint32_t *out) -> int {
      *out = deviceCount;
      return AICC_OK;
    };
    t.device_open = deviceOpen;
    t.device_close = [](aicc_driver_device *) {};
    t.device_properties =
        [](aicc_driver_device *device) -> const aicc_device_properties * {
      return &device->properties;
    };
    t.alloc = alloc;
    t.free = release;
    t.stream_create = streamCreate;
    t.stream_destroy = streamDestroy;
    t.stream_synchronize = streamSynchronize;
    t.stream_wait = streamWait;
    t.event_create = [](aicc_driver_device *, aicc_driver_event **out) -> int {
      MAY_FAIL;
      *out = new aicc_driver_event;
      ++FakeDevice::liveHandles;
      return AICC_OK;
    };
    t.event_destroy = [](aicc_driver_event *event) {
      if (event)
        --FakeDevice::liveHandles;
      delete event;
    };
    t.event_record = [](aicc_driver_stream *stream,
                        aicc_driver_event *event) -> int {
      event->recording = stream->recording;
      event->after = stream->after;
      if (event->recording)
        return AICC_OK;
      stream->push(
          [event, record = begin(event)] { finish(event, record, now()); });
      return AICC_OK;
    };
    t.event_synchronize = eventSynchronize;
    t.event_query = [](aicc_driver_event *event, int *out) -> int {
      std::lock_guard lock(event->mutex);
      *out = event->finished >= event->recorded;
      return AICC_OK;
    };
    t.event_times = [](aicc_driver_event *event, uint64_t *from,
                       uint64_t *to) -> int {
      std::lock_guard lock(event->mutex);
      *from = event->begin;
      *to = event->end;
      return AICC_OK;
    };
    t.module_load = moduleLoad;
    t.module_unload = moduleUnload;
    t.module_kernel = moduleKernel;
    t.launch = launch;
    t.copy = copy;
    t.fill = [](aicc_driver_stream *stream, void *destination, uint64_t bytes,
                uint64_t value, uint32_t width) -> int {
      MAY_FAIL;
      stream->push([=] {
        for (uint64_t i = 0; i + width <= bytes; i += width)
          std::memcpy(static_cast<char *>(destination) + i, &value, width);
      });
      return AICC_OK;
    };
    t.graph_begin = [](aicc_driver_stream *stream) -> int {
      MAY_FAIL;
      if (stream->recording)
        return fail(AICC_INVALID_ARGUMENT, "records already");
      stream->recording = new aicc_driver_graph;
      stream->after.clear();
      ++FakeDevice::liveHandles;
      return AICC_OK;
    };
    t.graph_end = [](aicc_driver_stream *stream,
                     aicc_driver_graph **out) -> int {
      aicc_driver_graph *graph = std::exchange(stream->recording, nullptr);
      const bool joined = isJoined(*graph, stream->after);
      for (aicc_driver_stream *other : std::exchange(graph->joined, {}))
        other->recording = nullptr;
      if (!joined || fails()) {
        delete graph;
        --FakeDevice::liveHandles;
        return fail(AICC_DEVICE_ERROR, "failure on demand");
      }
      *out = graph;
      ++FakeDevice::recordings;
      return AICC_OK;
    };
    t.graph_launch = [](aicc_driver_stream *stream,
                        aicc_driver_graph *graph) -> int {
      MAY_FAIL;
      ++FakeDevice::replays;
      stream->push([graph] { runNodes(graph->nodes); });
      return AICC_OK;
    };
    t.graph_destroy = [](aicc_driver_graph *graph) {
      if (graph)
        --FakeDevice::liveHandles;
      delete graph;
    };
    return t;
  }();
  return &driver;
}

const aicc_driver *FakeDevice::peers() {
  static const aicc_driver driver = [] {
    aicc_driver t = *table();
    t.family = "peer";
    t.device_open = [](uint32_t index, aicc_driver_device **out) -> int {
      return deviceOpen(deviceCount + index, out);
    };
    t.copy_peer = copyPeer;
    return t;
  }();
  return &driver;
}
