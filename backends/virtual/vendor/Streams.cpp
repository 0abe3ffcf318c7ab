//===- Streams.cpp - queues, events and graphs of a stand-in --------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Engine.h"

#include <algorithm>
#include <ctime>

using namespace aicc::backends::virtual_vendor;

// Work that nobody waits for is begun after this: hardware would get there.
static constexpr auto late = std::chrono::milliseconds(20);

static uint64_t now() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return uint64_t(time.tv_sec) * 1000000000 + uint64_t(time.tv_nsec);
}

//===----------------------------------------------------------------------===//
// Queues
//===----------------------------------------------------------------------===//

void Engine::run(Stream &stream) {
  std::unique_lock lock(mutex_);
  while (true) {
    stream.changed.wait(
        lock, [&] { return stream.stopping || !stream.queue.empty(); });
    if (stream.queue.empty())
      return;
    stream.changed.wait_until(lock, stream.queue.front().since + late, [&] {
      return stream.stopping || stream.wanted > stream.done;
    });
    Stream::Item item = std::move(stream.queue.front());
    stream.queue.pop_front();
    if (item.wait && !item.wait->done) {
      want(*item.wait->stream, item.wait->number);
      finished_.wait(lock, [&] { return item.wait->done; });
    }
    // Of a lost device nothing runs any more.
    if (item.work && !stream.device->error) {
      lock.unlock();
      const int code = item.work();
      lock.lock();
      if (code && !stream.device->error)
        stream.device->error = code;
    }
    if (item.record) {
      item.record->done = true;
      item.record->time = now();
      item.record->stream = nullptr;
    }
    ++stream.done;
    finished_.notify_all();
  }
}

int Engine::push(Stream *stream, Stream::Item item) {
  if (stream->device->error)
    return stream->device->error;
  item.since = std::chrono::steady_clock::now();
  ++stream->pushed;
  if (item.record) {
    item.record->stream = stream;
    item.record->number = stream->pushed;
  }
  stream->queue.push_back(std::move(item));
  stream->changed.notify_all();
  return success;
}

// Runs it in its turn, or records it.
int Engine::enqueue(Stream *stream, Work work) {
  std::lock_guard lock(mutex_);
  if (!known(stream))
    return invalidHandle;
  if (stream->capture)
    return record(*stream, std::move(work));
  return push(stream, {std::move(work), nullptr, nullptr, {}});
}

void Engine::want(Stream &stream, uint64_t number) {
  stream.wanted = std::max(stream.wanted, number);
  stream.changed.notify_all();
}

void Engine::drain(Stream &stream, std::unique_lock<std::mutex> &lock) {
  const uint64_t number = stream.pushed;
  want(stream, number);
  finished_.wait(lock, [&] { return stream.done >= number; });
}

void Engine::drain(Device &device, std::unique_lock<std::mutex> &lock) {
  // Streams may come and go meanwhile.
  std::vector<std::pair<Stream *, uint64_t>> all;
  for (Stream *stream : device.streams) {
    want(*stream, stream->pushed);
    all.emplace_back(stream, stream->pushed);
  }
  finished_.wait(lock, [&] {
    return std::all_of(all.begin(), all.end(), [&](const auto &entry) {
      return !device.streams.count(entry.first) ||
             entry.first->done >= entry.second;
    });
  });
}

int Engine::streamCreate(Device &device, Stream **out) {
  auto stream = std::make_unique<Stream>();
  stream->device = &device;
  std::lock_guard lock(mutex_);
  stream->thread = std::thread([this, s = stream.get()] { run(*s); });
  live_.insert(stream.get());
  device.streams.insert(stream.get());
  *out = stream.release();
  return success;
}

int Engine::streamDestroy(Stream *stream) {
  std::unique_lock lock(mutex_);
  if (!known(stream))
    return invalidHandle;
  if (stream->capture)
    stream->capture->invalid = true;
  live_.erase(stream);
  drain(*stream, lock);
  stream->stopping = true;
  stream->changed.notify_all();
  lock.unlock();
  stream->thread.join();
  lock.lock();
  const int error = stream->device->error;
  stream->device->streams.erase(stream);
  if (stream->capture)
    stream->capture->joined.erase(stream);
  finished_.notify_all();
  delete stream;
  return error;
}

int Engine::streamSynchronize(Stream *stream) {
  std::unique_lock lock(mutex_);
  if (!known(stream))
    return invalidHandle;
  if (const int code = safe(stream))
    return code;
  drain(*stream, lock);
  return stream->device->error;
}

//===----------------------------------------------------------------------===//
// Events
//===----------------------------------------------------------------------===//

int Engine::eventCreate(unsigned flags, Event **out) {
  auto event = std::make_unique<Event>();
  event->flags = flags;
  std::lock_guard lock(mutex_);
  live_.insert(event.get());
  *out = event.release();
  return success;
}

int Engine::eventDestroy(Event *event) {
  std::lock_guard lock(mutex_);
  if (!known(event))
    return invalidHandle;
  live_.erase(event);
  delete event;
  return success;
}

int Engine::eventRecord(Event *event, Stream *stream) {
  std::lock_guard lock(mutex_);
  if (!known(event) || !known(stream))
    return invalidHandle;
  if (stream->capture) {
    if (stream->capture->invalid)
      return captureInvalidated;
    event->capture = stream->capture;
    event->after = stream->after;
    return success;
  }
  auto record = std::make_shared<Record>();
  if (const int code = push(stream, {nullptr, nullptr, record, {}}))
    return code;
  event->capture.reset();
  event->last = std::move(record);
  return success;
}

// What is recorded of the event by now counts.
int Engine::streamWait(Stream *stream, Event *event) {
  std::lock_guard lock(mutex_);
  if (!known(event) || !known(stream))
    return invalidHandle;
  if (event->capture) {
    Capture &capture = *event->capture;
    if (!capture.origin)
      return capturedEvent;
    if (capture.invalid)
      return captureInvalidated;
    if (stream->capture && stream->capture != event->capture) {
      capture.invalid = stream->capture->invalid = true;
      return captureMerge;
    }
    if (!stream->capture) {
      stream->capture = event->capture;
      stream->after.clear();
      capture.joined.insert(stream);
    }
    for (size_t node : event->after)
      if (std::find(stream->after.begin(), stream->after.end(), node) ==
          stream->after.end())
        stream->after.push_back(node);
    return success;
  }
  if (!event->last)
    return success;
  if (stream->capture) {
    stream->capture->invalid = true;
    return captureIsolation;
  }
  return event->last->done ? stream->device->error
                           : push(stream, {nullptr, event->last, nullptr, {}});
}

int Engine::eventQuery(Event *event) {
  std::lock_guard lock(mutex_);
  if (!known(event))
    return invalidHandle;
  if (event->capture)
    return capturedEvent;
  if (!event->last || event->last->done)
    return success;
  want(*event->last->stream, event->last->number);
  return notReady;
}

int Engine::eventSynchronize(Event *event) {
  std::unique_lock lock(mutex_);
  if (!known(event))
    return invalidHandle;
  if (event->capture)
    return capturedEvent;
  const std::shared_ptr<Record> last = event->last;
  if (!last || last->done)
    return success;
  Device &device = *last->stream->device;
  want(*last->stream, last->number);
  finished_.wait(lock, [&] { return last->done; });
  return device.error;
}

int Engine::eventElapsed(float *out, Event *begin, Event *end) {
  std::lock_guard lock(mutex_);
  constexpr unsigned disableTiming = 2;
  for (Event *event : {begin, end}) {
    if (!known(event) || !event->last || event->flags & disableTiming)
      return invalidHandle;
    if (event->capture)
      return capturedEvent;
    if (!event->last->done)
      return notReady;
  }
  *out = float(double(int64_t(end->last->time - begin->last->time)) / 1e6);
  return success;
}

//===----------------------------------------------------------------------===//
// Graphs
//===----------------------------------------------------------------------===//

// Waiting for a stream that is being recorded can't be. Without a stream: what
// may wait for all, which a recording may forbid to its thread or to all.
int Engine::safe(Stream *stream) {
  if (stream) {
    if (!stream->capture)
      return success;
    stream->capture->invalid = true;
    return captureUnsupported;
  }
  for (Capture *capture : captures_)
    if (capture->mode == 0 ||
        (capture->mode == 1 && capture->thread == std::this_thread::get_id())) {
      capture->invalid = true;
      return captureUnsupported;
    }
  return success;
}

int Engine::record(Stream &stream, Work work) {
  Capture &capture = *stream.capture;
  if (capture.invalid)
    return captureInvalidated;
  capture.nodes.push_back({std::move(work), stream.after});
  stream.after = {capture.nodes.size() - 1};
  return success;
}

int Engine::beginCapture(Stream *stream, int mode) {
  std::lock_guard lock(mutex_);
  if (!known(stream))
    return invalidHandle;
  if (mode < 0 || mode > 2)
    return invalidValue;
  if (stream->capture)
    return illegalState;
  if (stream->device->error)
    return stream->device->error;
  stream->capture = std::make_shared<Capture>();
  stream->capture->origin = stream;
  stream->capture->mode = mode;
  stream->capture->thread = std::this_thread::get_id();
  stream->capture->joined.insert(stream);
  stream->after.clear();
  captures_.insert(stream->capture.get());
  return success;
}

// Whether nodes that nothing in the list comes after are left.
static bool isJoined(const std::vector<Capture::Node> &nodes,
                     const std::vector<size_t> &last,
                     const std::vector<size_t> &other) {
  std::vector<bool> reached(nodes.size());
  std::vector<size_t> open = last;
  while (!open.empty()) {
    const size_t node = open.back();
    open.pop_back();
    if (reached[node])
      continue;
    reached[node] = true;
    open.insert(open.end(), nodes[node].after.begin(), nodes[node].after.end());
  }
  return std::all_of(other.begin(), other.end(),
                     [&](size_t node) { return reached[node]; });
}

int Engine::endCapture(Stream *stream, Graph **out) {
  std::lock_guard lock(mutex_);
  if (!known(stream))
    return invalidHandle;
  if (!stream->capture)
    return illegalState;
  const std::shared_ptr<Capture> capture = stream->capture;
  if (capture->origin != stream) {
    capture->invalid = true;
    return captureUnmatched;
  }
  int code = capture->invalid ? captureInvalidated : success;
  if (!code && capture->mode != 2 &&
      capture->thread != std::this_thread::get_id())
    return captureWrongThread;
  for (Stream *other : capture->joined)
    if (!code && !isJoined(capture->nodes, stream->after, other->after))
      code = captureUnjoined;
  for (Stream *other : capture->joined) {
    other->after.clear();
    other->capture.reset();
  }
  capture->origin = nullptr;
  captures_.erase(capture.get());
  *out = nullptr;
  if (code)
    return code;
  auto graph = std::make_unique<Graph>();
  graph->nodes = std::make_shared<const std::vector<Capture::Node>>(
      std::move(capture->nodes));
  live_.insert(graph.get());
  *out = graph.release();
  return success;
}

int Engine::isCapturing(Stream *stream, int *out) {
  std::lock_guard lock(mutex_);
  if (!known(stream))
    return invalidHandle;
  *out = !stream->capture ? 0 : stream->capture->invalid ? 2 : 1;
  return success;
}

int Engine::graphDestroy(Graph *graph) {
  std::lock_guard lock(mutex_);
  if (!known(graph))
    return invalidHandle;
  live_.erase(graph);
  delete graph;
  return success;
}

int Engine::graphInstantiate(Graph *graph, Graph **out) {
  std::lock_guard lock(mutex_);
  if (!known(graph))
    return invalidHandle;
  auto copy = std::make_unique<Graph>(*graph);
  live_.insert(copy.get());
  *out = copy.release();
  return success;
}

// In an order that its edges allow, the latest first: what relies on the order
// in which it was recorded shows.
static int runNodes(const std::vector<Capture::Node> &nodes) {
  std::vector<bool> done(nodes.size());
  auto ready = [&](size_t i) {
    return !done[i] && std::all_of(nodes[i].after.begin(), nodes[i].after.end(),
                                   [&](size_t before) { return done[before]; });
  };
  for (size_t round = 0; round < nodes.size(); ++round) {
    size_t next = nodes.size() - 1;
    while (!ready(next))
      --next;
    if (const int code = nodes[next].work())
      return code;
    done[next] = true;
  }
  return success;
}

int Engine::graphLaunch(Graph *graph, Stream *stream) {
  std::shared_ptr<const std::vector<Capture::Node>> nodes;
  {
    std::lock_guard lock(mutex_);
    if (!known(graph))
      return invalidHandle;
    nodes = graph->nodes;
  }
  return enqueue(stream, [nodes] { return runNodes(*nodes); });
}
