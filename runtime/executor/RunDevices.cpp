//===- RunDevices.cpp - a run on several devices --------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Each device has a lane, whose work is done in the order of the program; the
// order between two lanes comes from the copies between them alone. A copy goes
//   - from device to device, where they have one driver that can: each stream
//     waits for an event of the other, the host for nothing;
//   - from a device that the host sees (a cpu) to one that works by itself
//     through memory of the host, so that the first one goes on at once;
//   - the other way directly, and the host waits for it when that lane has its
//     next work, which may be long after;
//   - between two others in two halves, through memory of the host: the second
//     is given to its device when that has its next work.
// So nobody waits before there is a need, and what one lane does meanwhile runs
// beside the other.
//
//===----------------------------------------------------------------------===//

#include "Run.h"

#include <algorithm>
#include <cstring>
#include <tuple>

using namespace aicc;
using namespace aicc::executor;

RunState::Crossing::~Crossing() {
  if (copied)
    copiedBy->event_destroy(copied);
  if (freed)
    freedBy->event_destroy(freed);
}

// Gives a lane, the one at hand, what others have sent to it.
Status RunState::arrive(uint32_t to) {
  std::vector<Arrival> &arrivals = lanes[to].arrivals;
  for (const Arrival &arrival : arrivals) {
    Crossing &crossing = *arrival.crossing;
    AICC_RETURN_IF_ERROR(lanes[crossing.from].device->check(
        crossing.copiedBy->event_synchronize(crossing.copied),
        "copying to another device"));
    if (!arrival.destination)
      continue;
    AICC_RETURN_IF_ERROR(
        device->check(driver->copy(stream, arrival.destination,
                                   crossing.staging.get(), arrival.bytes),
                      "copying from another device"));
    AICC_RETURN_IF_ERROR(device->check(
        driver->event_record(stream, crossing.freed), "recording an event"));
  }
  arrivals.clear();
  return {};
}

Status RunState::arriveEverywhere() {
  for (uint32_t i = 0; i < lanes.size(); ++i)
    AICC_RETURN_IF_ERROR(work(i));
  return {};
}

// After a run everything has arrived, or nobody waits for it any more.
void RunState::forgetArrivals() {
  for (Lane &each : lanes)
    each.arrivals.clear();
  for (auto &[key, crossing] : crossings)
    crossing.used = false;
}

// A caller's tensor may come from another device than the last time.
Status RunState::crossingEvents(Crossing &crossing, uint32_t from,
                                uint32_t to) {
  if (crossing.copied && crossing.from == from && crossing.to == to)
    return {};
  for (auto [event, by, of] :
       {std::tuple(&crossing.copied, &crossing.copiedBy, from),
        std::tuple(&crossing.freed, &crossing.freedBy, to)}) {
    if (*event)
      (*by)->event_destroy(*event);
    *event = nullptr;
    aicc_device *owner = lanes[of].device;
    *by = owner->driver;
    AICC_RETURN_IF_ERROR(
        owner->check(owner->driver->event_create(owner->handle, event),
                     "creating an event"));
  }
  crossing.from = from;
  crossing.to = to;
  stagedBytes -= crossing.capacity;
  crossing.staging.reset();
  crossing.capacity = 0;
  return {};
}

// Memory of the host that nobody needs any more; `owner` is the lane whose
// device copies from or to it.
Status RunState::stage(Crossing &crossing, uint32_t owner, uint64_t bytes) {
  if (crossing.used) {
    // What is still to be copied from it, and then that it was.
    AICC_RETURN_IF_ERROR(work(crossing.to));
    AICC_RETURN_IF_ERROR(
        device->check(driver->event_synchronize(crossing.freed),
                      "copying from another device"));
  }
  crossing.used = true;
  if (crossing.capacity >= bytes)
    return {};
  stagedBytes -= crossing.capacity;
  crossing.staging.reset();
  crossing.capacity = 0;
  AICC_RETURN_IF_ERROR(
      lanes[owner]
          .device->allocate(bytes, crossing.staging, AICC_MEMORY_PINNED)
          .in("copies between devices"));
  crossing.capacity = bytes;
  stagedBytes += bytes;
  return {};
}

// Copies from one lane to another; `key` is what it is for, always the same.
Status RunState::cross(const void *key, uint32_t from, const void *source,
                       uint32_t to, void *destination, uint64_t bytes,
                       const Step *step, const std::string *port,
                       const Profiler *profiler) {
  if (bytes == 0)
    return {};
  Crossing &crossing = crossings[key];
  Lane &a = lanes[from], &b = lanes[to];
  // On the lane at hand, which does the copy.
  auto copy = [&](void *out, const void *in) -> Status {
    if (profiler)
      AICC_RETURN_IF_ERROR(startTiming(step, port));
    AICC_RETURN_IF_ERROR(device->check(driver->copy(stream, out, in, bytes),
                                       "copying from a device to another"));
    return profiler ? stopTiming() : Status();
  };
  auto record = [&](aicc_driver_event *event) {
    return device->check(driver->event_record(stream, event),
                         "recording an event");
  };
  AICC_RETURN_IF_ERROR(work(from));
  if (a.isHost() && b.isHost()) {
    AICC_RETURN_IF_ERROR(work(to));
    return copy(destination, source);
  }
  AICC_RETURN_IF_ERROR(crossingEvents(crossing, from, to));

  if (a.device->driver == b.device->driver && driver->copy_peer) {
    AICC_RETURN_IF_ERROR(record(crossing.copied));
    AICC_RETURN_IF_ERROR(work(to));
    AICC_RETURN_IF_ERROR(device->check(
        driver->stream_wait(stream, crossing.copied), "waiting for a device"));
    if (profiler)
      AICC_RETURN_IF_ERROR(startTiming(step, port));
    AICC_RETURN_IF_ERROR(device->check(
        driver->copy_peer(stream, destination, a.device->handle, source, bytes),
        "copying from another device"));
    if (profiler)
      AICC_RETURN_IF_ERROR(stopTiming());
    AICC_RETURN_IF_ERROR(record(crossing.freed));
    // Its memory may be another value's next.
    enter(from);
    return device->check(driver->stream_wait(stream, crossing.freed),
                         "waiting for a device");
  }

  if (b.isHost()) {
    // Of two devices, the one that is slower could write the last.
    if (std::any_of(b.arrivals.begin(), b.arrivals.end(),
                    [&](const Arrival &arrival) {
                      return arrival.crossing->from != from;
                    })) {
      AICC_RETURN_IF_ERROR(work(to));
      enter(from);
    }
    AICC_RETURN_IF_ERROR(copy(destination, source));
    AICC_RETURN_IF_ERROR(record(crossing.copied));
    b.arrivals.push_back({&crossing, nullptr, 0});
    return {};
  }

  AICC_RETURN_IF_ERROR(stage(crossing, a.isHost() ? to : from, bytes));
  if (a.isHost()) {
    std::memcpy(crossing.staging.get(), source, bytes);
    AICC_RETURN_IF_ERROR(work(to));
    AICC_RETURN_IF_ERROR(copy(destination, crossing.staging.get()));
    return record(crossing.freed);
  }
  enter(from);
  AICC_RETURN_IF_ERROR(copy(crossing.staging.get(), source));
  AICC_RETURN_IF_ERROR(record(crossing.copied));
  b.arrivals.push_back({&crossing, destination, bytes});
  return {};
}
