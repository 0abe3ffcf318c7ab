//===- RunStreams.cpp - a run on several streams, and its replay ----------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A program that asks the host nothing while it runs is the same work every
// time, as long as sizes and addresses stay: if the driver can, the second run
// in the same memory is recorded, and those after it are replayed. Copies of
// the caller's memory are not part of a recording. Where some of a run can
// happen at the same time, it is given to several streams, recorded too if the
// driver can do that, and there isn't so much to copy that kernels should run
// meanwhile.
//
//===----------------------------------------------------------------------===//

#include "Run.h"

#include <algorithm>

using namespace aicc;
using namespace aicc::executor;
using package::Storage;

// Kernels that touch less are over before another stream has begun.
static constexpr uint64_t worthwhileBytes = 64 << 10;
static constexpr uint64_t worthwhileTransfer = 256 << 10;
static constexpr uint32_t kernelStreams = 4;
// Planning compares all pairs.
static constexpr size_t mostWorks = 4096;

void RunState::forgetRecording() {
  if (graph)
    lanes.front().device->driver->graph_destroy(graph);
  graph = nullptr;
  repeats = 0;
}

void RunState::studyProgram() {
  straight = true;
  bool decides = false; // something on the host
  for (const Step &step : program.steps) {
    straight &= (step.kind == Step::launch || step.kind == Step::copy ||
                 step.kind == Step::fill) &&
                !step.late && !step.patchCount;
    decides |= step.kind == Step::read || step.kind == Step::branch ||
               step.kind == Step::call ||
               (step.kind == Step::loopBegin && step.instruction->condition);
  }
  for (bool isLate : program.lateOutputs)
    decides |= isLate;
  // Lanes have their order from copies, which no recording holds.
  const bool asynchronous =
      lanes.size() == 1 && !device->flag(AICC_DEVICE_SYNCHRONOUS);
  straight &= asynchronous;
  recordable = asynchronous && !decides && driver->graph_begin &&
               driver->graph_end && driver->graph_launch &&
               driver->graph_destroy;
}

Work RunState::workOf(const Step &step) const {
  const program::Variant &variant = *loaded.variant;
  const program::Instruction &instruction = *step.instruction;
  Work work;
  uint64_t bytes = 0;
  const size_t outputs = step.kind == Step::launch ? step.kernel->outputs : 1;
  for (size_t i = 0; i < instruction.buffers.size(); ++i) {
    const uint32_t root = variant.buffers[instruction.buffers[i]].root;
    const Storage storage = variant.buffers[root].storage;
    bytes += bufferBytes[instruction.buffers[i]];
    const bool written = i + outputs >= instruction.buffers.size();
    // Nobody writes to constants while a program runs.
    if (storage == Storage::weight || storage == Storage::prepared)
      continue;
    const bool shared = storage == Storage::temporary && !separate.count(root);
    const uint64_t begin = shared ? bound->arenaOffsets[root] : 0;
    work.ranges.push_back({shared ? 0 : uint64_t(root) + 1, begin,
                           begin + bufferBytes[root], written});
  }
  if (step.kind == Step::launch) {
    const aicc_launch &launch = launches[step.record];
    const uint64_t groups =
        uint64_t(launch.grid[0]) * launch.grid[1] * launch.grid[2];
    if (groups < device->properties->compute_units && bytes >= worthwhileBytes)
      work.kind = Work::narrow;
  }
  return work;
}

std::vector<bool> RunState::stagedPorts() const {
  std::vector<bool> staged;
  // A device that does everything at once has no use for it.
  if (straight)
    for (const auto *ports : {&inputs, &outputs})
      for (const Port &port : *ports)
        staged.push_back(port.host != nullptr);
  return staged;
}

// The works of a run: copies of inputs, the steps, copies of outputs.
void RunState::planRun(const std::vector<bool> &staged) {
  planned = true;
  plannedFor = staged;
  plan = stepsPlan = {};
  const size_t count = inputs.size() + program.steps.size() + outputs.size();
  if (!straight || count > mostWorks)
    return;
  std::vector<Work> works;
  uint64_t bytes = 0;
  const std::vector<program::Buffer> &buffers = loaded.variant->buffers;
  auto addPorts = [&](const std::vector<Port> &ports, Storage storage) {
    for (size_t p = 0; p < ports.size(); ++p) {
      Work &work = works.emplace_back();
      work.kind = Work::transfer;
      if (!ports[p].host)
        continue;
      bytes += ports[p].bytes;
      for (size_t i = 0; i < buffers.size(); ++i)
        if (buffers[i].storage == storage && buffers[i].index == p &&
            buffers[i].root == i)
          work.ranges.push_back(
              {i + 1, 0, UINT64_MAX, storage == Storage::input});
    }
  };
  addPorts(inputs, Storage::input);
  size_t narrow = 0;
  for (const Step &step : program.steps)
    narrow += works.emplace_back(workOf(step)).kind == Work::narrow;
  addPorts(outputs, Storage::output);
  if (narrow < 2 && bytes < worthwhileTransfer)
    return;
  if (recordable && device->flag(AICC_DEVICE_RECORDS_STREAMS) &&
      bytes < worthwhileTransfer)
    stepsPlan = planStreams(
        std::span(works).subspan(inputs.size(), program.steps.size()),
        kernelStreams);
  StreamPlan found = planStreams(works, kernelStreams);
  bool several = bytes >= worthwhileTransfer;
  for (size_t i = 0; i < works.size(); ++i)
    several |= works[i].kind != Work::transfer && found.works[i].stream > 0;
  if (several)
    plan = std::move(found);
}

Status RunState::makeStreams(const StreamPlan &wanted) {
  std::vector<aicc_driver_stream *> &streams = lanes.front().streams;
  while (streams.size() < wanted.streams) {
    const aicc_stream_options options{sizeof options, threads};
    aicc_driver_stream *made = nullptr;
    AICC_RETURN_IF_ERROR(
        device->check(driver->stream_create(device->handle, &options, &made),
                      "creating a stream"));
    streams.push_back(made);
  }
  // One for each stream besides: where a recording begins and ends.
  size_t needed = wanted.streams;
  for (const StreamPlan::Entry &entry : wanted.works)
    needed += entry.waitedFor;
  while (joins.size() < needed) {
    aicc_driver_event *event = nullptr;
    AICC_RETURN_IF_ERROR(device->check(
        driver->event_create(device->handle, &event), "creating an event"));
    joins.push_back(event);
  }
  return {};
}

Status RunState::copyPort(Port &port, bool in, const Profiler *profiler) {
  if (!port.host)
    return {};
  const program::Package &package = loaded.package();
  const std::string &name =
      (in ? package.inputs : package.outputs)[port.index].name;
  if (port.from)
    return in ? cross(&port, *port.from, port.host, port.lane, port.address,
                      port.bytes, nullptr, &name, profiler)
              : cross(&port, port.lane, port.address, *port.from, port.host,
                      port.bytes, nullptr, &name, profiler);
  if (lanes.size() > 1)
    AICC_RETURN_IF_ERROR(work(port.lane));
  if (profiler)
    AICC_RETURN_IF_ERROR(startTiming(nullptr, &name));
  AICC_RETURN_IF_ERROR(device->check(
      in ? driver->copy(stream, port.address, port.host, port.bytes)
         : driver->copy(stream, port.host, port.address, port.bytes),
      in ? "copying an input" : "copying an output"));
  return profiler ? stopTiming() : Status();
}

// The works of the run from `first` on.
Status RunState::runOnStreams(const StreamPlan &wanted, size_t first,
                              const Profiler *profiler) {
  AICC_RETURN_IF_ERROR(makeStreams(wanted));
  std::vector<aicc_driver_event *> eventOf(wanted.works.size());
  size_t events = wanted.streams;
  for (size_t at = 0; at < wanted.works.size(); ++at) {
    const StreamPlan::Entry &entry = wanted.works[at];
    const size_t i = first + at;
    stream = lanes.front().streams[streamIndex = entry.stream];
    for (uint32_t other : entry.waits)
      AICC_RETURN_IF_ERROR(
          device->check(driver->stream_wait(stream, eventOf[other]),
                        "waiting for another stream"));
    if (i < inputs.size()) {
      AICC_RETURN_IF_ERROR(copyPort(inputs[i], true, profiler));
    } else if (i < inputs.size() + program.steps.size()) {
      const Step &step = program.steps[i - inputs.size()];
      AICC_RETURN_IF_ERROR(step.kind == Step::launch
                               ? launch(step, profiler)
                               : transfer(step, profiler));
    } else {
      const size_t output = i - inputs.size() - program.steps.size();
      AICC_RETURN_IF_ERROR(copyPort(outputs[output], false, profiler));
    }
    if (!entry.waitedFor)
      continue;
    eventOf[at] = joins[events++];
    AICC_RETURN_IF_ERROR(device->check(
        driver->event_record(stream, eventOf[at]), "recording an event"));
  }
  return {};
}

// What the first stream's recording shall take in begins behind it there, and
// ends before it does.
Status RunState::recordOnStreams() {
  const std::vector<aicc_driver_stream *> &streams = lanes.front().streams;
  auto after = [&](aicc_driver_stream *later, aicc_driver_stream *earlier,
                   aicc_driver_event *event) -> Status {
    AICC_RETURN_IF_ERROR(device->check(driver->event_record(earlier, event),
                                       "recording an event"));
    return device->check(driver->stream_wait(later, event),
                         "waiting for another stream");
  };
  Status status;
  for (uint32_t s = 1; s < stepsPlan.streams && status.ok(); ++s)
    status = after(streams[s], streams.front(), joins.front());
  if (status.ok())
    status = runOnStreams(stepsPlan, inputs.size(), nullptr);
  enter(0);
  for (uint32_t s = 1; s < stepsPlan.streams && status.ok(); ++s)
    status = after(streams.front(), streams[s], joins[s]);
  return status;
}

// Records the program as it is now. What can't be recorded is run as it is.
void RunState::record() {
  const bool several = stepsPlan.streams > 1;
  if ((several && !makeStreams(stepsPlan).ok()) ||
      driver->graph_begin(stream) != AICC_OK) {
    recordable = planned = false;
    return;
  }
  const Status status = several ? recordOnStreams() : walk(nullptr, nullptr);
  aicc_driver_graph *made = nullptr;
  const int result = driver->graph_end(stream, &made);
  if (result == AICC_OK && status.ok()) {
    graph = made;
    return;
  }
  if (result == AICC_OK)
    driver->graph_destroy(made);
  recordable = planned = false;
}

Status RunState::runOrReplay() {
  if (!recordable)
    return walk(nullptr, nullptr);
  // The first run may still make memory.
  if (!graph && repeats++ > 0)
    record();
  if (!graph)
    return walk(nullptr, nullptr);
  return device->check(driver->graph_launch(stream, graph),
                       "replaying a recording");
}

// Of all streams; the first failure.
Status RunState::waitForAll() {
  Status status;
  for (Lane &owner : lanes) {
    // Not even asked: it has done everything.
    if (owner.device->flag(AICC_DEVICE_SYNCHRONOUS))
      continue;
    for (aicc_driver_stream *each : owner.streams) {
      Status waited = owner.device->check(
          owner.device->driver->stream_synchronize(each), "run");
      if (status.ok())
        status = std::move(waited);
    }
  }
  return status;
}
