//===- Run.cpp - what one run needs for itself ----------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Run.h"

#include <algorithm>

using namespace aicc;
using namespace aicc::executor;
using package::Storage;

RunState::RunState(const LoadedVariant &loaded, const FlatProgram &program)
    : loaded(loaded), program(program), lanes(loaded.devices.size()),
      device(loaded.devices.front()), driver(device->driver),
      arenas(program.binds.size() * lanes.size()),
      late(loaded.package().outputs.size()) {
  for (size_t i = 0; i < lanes.size(); ++i)
    lanes[i].device = loaded.devices[i];
}

RunState::~RunState() {
  // Recordings and several streams are for programs of one device.
  const aicc_driver &only = *lanes.front().device->driver;
  if (graph)
    only.graph_destroy(graph);
  for (aicc_driver_event *event : joins)
    only.event_destroy(event);
  crossings.clear();
  for (Lane &each : lanes) {
    for (aicc_driver_event *event : each.events)
      each.device->driver->event_destroy(event);
    for (aicc_driver_stream *stream : each.streams)
      each.device->driver->stream_destroy(stream);
  }
}

// A buffer for each port that the program uses.
Status RunState::makePorts() {
  const program::Variant &variant = *loaded.variant;
  const program::Package &package = loaded.package();
  // Those of a single device have their ports whether they are used or not.
  const size_t count = lanes.size();
  std::vector<std::vector<bool>> reads(package.inputs.size(),
                                       std::vector<bool>(count, count == 1));
  outputs.resize(package.outputs.size());
  for (uint32_t i = 0; i < outputs.size(); ++i)
    outputs[i].index = i;
  for (size_t i = 0; i < variant.buffers.size(); ++i) {
    const program::Buffer &buffer = variant.buffers[i];
    if (!program.used[i] || buffer.root != i)
      continue;
    if (buffer.storage == Storage::input)
      reads[buffer.index][buffer.device] = true;
    else if (buffer.storage == Storage::output)
      outputs[buffer.index].lane = buffer.device;
  }
  std::vector<std::vector<uint32_t>> portOf(package.inputs.size(),
                                            std::vector<uint32_t>(count));
  for (uint32_t i = 0; i < package.inputs.size(); ++i)
    for (uint32_t each = 0; each < count; ++each) {
      if (!reads[i][each])
        continue;
      portOf[i][each] = uint32_t(inputs.size());
      Port &port = inputs.emplace_back();
      port.index = i;
      port.lane = each;
    }
  for (const Slot &slot : program.slots) {
    const program::Buffer &root =
        variant.buffers[variant.buffers[slot.buffer].root];
    if (root.storage == Storage::input)
      inputs[portOf[root.index][root.device]].words.push_back(slot.word);
    else if (root.storage == Storage::output)
      outputs[root.index].words.push_back(slot.word);
  }
  return {};
}

Status RunState::create(uint32_t threads) {
  this->threads = threads;
  const aicc_stream_options options{sizeof options, threads};
  for (Lane &each : lanes) {
    aicc_driver_stream *made = nullptr;
    AICC_RETURN_IF_ERROR(
        each.device->check(each.device->driver->stream_create(
                               each.device->handle, &options, &made),
                           "creating a stream"));
    each.streams.push_back(made);
  }
  enter(0);
  studyProgram();
  AICC_RETURN_IF_ERROR(makePorts());
  words.assign(program.words, 0);
  launches.assign(program.launches, aicc_launch{});
  transferBytes.assign(program.transfers, 0);
  loopCounts.assign(program.loops.size(), 0);
  for (const Slot &slot : program.slots)
    if (void *address = loaded.resident[slot.buffer])
      words[slot.word] = reinterpret_cast<uintptr_t>(address);
  for (const Step &step : program.steps) {
    if (step.kind != Step::launch)
      continue;
    aicc_launch &launch = launches[step.record];
    launch.struct_size = sizeof launch;
    launch.kernel = loaded.kernels[step.instruction->kernel];
    launch.args = &words[step.firstWord];
    launch.args_bytes =
        uint32_t(sizeof(uint64_t) *
                 (size_t(step.kernel->buffers) + step.kernel->scalars));
    launch.buffers = step.kernel->buffers;
    std::copy_n(step.kernel->workgroup.begin(), 3, launch.workgroup);
    launch.shared_bytes = step.kernel->sharedBytes;
  }
  return {};
}

Status RunState::setGrid(aicc_launch &launch, unsigned axis, int64_t value,
                         const Step &step) {
  if (value < 0 || value > int64_t(UINT32_MAX))
    return Status(Code::badPackage,
                  "kernel '" + step.kernel->entry + "' would have a grid of " +
                      std::to_string(value) + " workgroups in dimension " +
                      std::to_string(axis));
  launch.grid[axis] = uint32_t(value);
  return {};
}

static Status setScratch(aicc_launch &launch, int64_t value, const Step &step) {
  if (value < 0)
    return Status(Code::badPackage, "kernel '" + step.kernel->entry +
                                        "' would have a scratch of " +
                                        std::to_string(value) + " bytes");
  launch.scratch_bytes = uint64_t(value);
  return {};
}

Status RunState::adopt(std::shared_ptr<const Binding> binding) {
  bound.reset(); // what follows may leave a mixture behind
  forgetRecording();
  planned = false;
  for (size_t i = 0; i < lanes.size(); ++i) {
    Lane &each = lanes[i];
    const uint64_t bytes = binding->arenaBytes[i];
    if (each.arena && bytes <= each.arenaBytes)
      continue;
    each.arena.reset();
    each.arenaBytes = 0;
    // What has no elements lies at the end, and kernels may read an element of
    // it that they don't use.
    AICC_RETURN_IF_ERROR(
        each.device->allocate(bytes + package::bufferAlignment, each.arena)
            .in("temporaries"));
    each.arenaBytes = bytes;
  }
  const program::Variant &variant = *loaded.variant;
  separate.clear();
  for (const Slot &slot : program.slots) {
    const uint32_t root = variant.buffers[slot.buffer].root;
    if (variant.buffers[root].storage != Storage::temporary)
      continue;
    Lane &owner = lanes[variant.buffers[root].device];
    words[slot.word] = reinterpret_cast<uintptr_t>(owner.arena.get()) +
                       binding->arenaOffsets[root];
    if (!owner.device->flag(AICC_DEVICE_SEPARATE_BUFFERS) ||
        !binding->bufferBytes[root])
      continue;
    aicc_device::Memory &memory = separate[root];
    if (!memory)
      AICC_RETURN_IF_ERROR(
          owner.device->allocate(binding->bufferBytes[root], memory)
              .in("temporaries"));
    words[slot.word] = reinterpret_cast<uintptr_t>(memory.get());
  }
  for (const Step &step : program.steps) {
    if ((step.kind == Step::copy || step.kind == Step::fill) && !step.late)
      transferBytes[step.record] =
          binding->bufferBytes[step.instruction->buffers.back()];
    if (step.kind != Step::launch)
      continue;
    const program::Instruction &instruction = *step.instruction;
    aicc_launch &launch = launches[step.record];
    uint64_t *scalars = &words[0] + step.firstWord + step.kernel->buffers;
    for (size_t i = 0; i < instruction.scalars.size(); ++i)
      scalars[i] = uint64_t(binding->exprs[instruction.scalars[i]]);
    for (unsigned axis = 0; axis < 3; ++axis)
      AICC_RETURN_IF_ERROR(
          setGrid(launch, axis, binding->exprs[instruction.grid[axis]], step));
    AICC_RETURN_IF_ERROR(
        setScratch(launch, binding->exprs[instruction.scratch], step));
  }
  if (!program.binds.empty()) {
    symbols = binding->symbols;
    exprs = binding->exprs;
    portExprs = binding->portExprs;
    outputBytes = binding->outputBytes;
  }
  bufferBytes = binding->bufferBytes;
  bound = std::move(binding);
  return {};
}

void RunState::point(Port &port, void *address) {
  if (port.address == address)
    return;
  port.address = address;
  forgetRecording();
  for (uint32_t word : port.words)
    words[word] = reinterpret_cast<uintptr_t>(address);
}

Status RunState::set(Port &port, aicc_tensor &tensor, uint64_t bytes) {
  port.bytes = bytes;
  port.host = nullptr;
  port.from.reset();
  const Lane &owner = lanes[port.lane];
  if (bytes == 0) {
    point(port, static_cast<char *>(owner.arena.get()) + owner.arenaBytes);
    return {};
  }
  if (tensor.device == owner.device &&
      !owner.device->flag(AICC_DEVICE_HOST_POINTERS) &&
      reinterpret_cast<uintptr_t>(tensor.data) % package::bufferAlignment)
    return invalidArgument("a tensor in the memory of " + owner.device->name +
                           " begins at an address that is no multiple of " +
                           std::to_string(package::bufferAlignment) +
                           ", as kernels expect");
  if (tensor.device == owner.device ||
      (!tensor.device && owner.device->flag(AICC_DEVICE_HOST_POINTERS))) {
    point(port, tensor.data);
    return {};
  }
  if (tensor.device && !tensor.device->flag(AICC_DEVICE_HOST_ACCESSIBLE)) {
    std::string names;
    for (uint32_t i = 0; i < lanes.size(); ++i) {
      if (lanes[i].device == tensor.device)
        port.from = i;
      names += (names.empty() ? "" : ", ") + lanes[i].device->name;
    }
    if (!port.from)
      return Status(Code::unsupported,
                    "tensor is in the memory of " + tensor.device->name +
                        ", but the session runs on " + names);
  }
  port.host = tensor.data;
  if (port.stagingBytes < bytes || !port.staging) {
    AICC_RETURN_IF_ERROR(quiesce());
    port.staging.reset();
    AICC_RETURN_IF_ERROR(owner.device->allocate(bytes, port.staging));
    stagedBytes += bytes - port.stagingBytes;
    port.stagingBytes = bytes;
  }
  point(port, port.staging.get());
  return {};
}

Status RunState::setInput(size_t index, aicc_tensor &tensor) {
  if (lanes.size() == 1)
    return set(inputs[index], tensor, bound->inputBytes[index]);
  for (Port &port : inputs)
    if (port.index == index)
      AICC_RETURN_IF_ERROR(set(port, tensor, bound->inputBytes[index]));
  return {};
}

Status RunState::setOutput(size_t index, aicc_tensor *tensor) {
  if (!program.lateOutputs[index])
    return set(outputs[index], *tensor, bound->outputBytes[index]);
  late[index].given = tensor;
  late[index].made.reset();
  outputs[index].host = nullptr;
  return {};
}

Status RunState::applyPatches(const Step &step) {
  aicc_launch &launch = launches[step.record];
  for (uint32_t p = 0; p < step.patchCount; ++p) {
    const Patch &patch = program.patches[step.firstPatch + p];
    const int64_t value = exprs[patch.expr];
    switch (patch.where) {
    case Patch::word:
      words[step.firstWord + patch.index] = uint64_t(value);
      break;
    case Patch::gridX:
    case Patch::gridY:
    case Patch::gridZ:
      AICC_RETURN_IF_ERROR(
          setGrid(launch, patch.where - Patch::gridX, value, step));
      break;
    case Patch::scratch:
      AICC_RETURN_IF_ERROR(setScratch(launch, value, step));
      break;
    }
  }
  return {};
}

// "kernel 'k_conv1' (conv1 + relu1)"
static std::string describe(const Step &step) {
  const std::string nodes = nodesOf(step);
  return "kernel '" + step.kernel->entry + "'" +
         (nodes.empty() ? "" : " (" + nodes + ")");
}

Status RunState::launch(const Step &step, const Profiler *profiler) {
  aicc_launch &launch = launches[step.record];
  if (step.patchCount)
    AICC_RETURN_IF_ERROR(applyPatches(step));
  if (!launch.grid[0] || !launch.grid[1] || !launch.grid[2])
    return {};
  launch.timing = nullptr;
  if (profiler) {
    timed.push_back({&step,
                     nullptr,
                     {launch.grid[0], launch.grid[1], launch.grid[2]},
                     streamIndex,
                     lane});
    AICC_RETURN_IF_ERROR(timing(launch.timing));
  }
  if (int result = driver->launch(stream, &launch); result != AICC_OK)
    return device->check(result, "launch").in(describe(step));
  return {};
}

// What has no events of its own in the driver's table: its time is that between
// two.
Status RunState::startTiming(const Step *step, const std::string *port) {
  timed.push_back({step, port, {1, 1, 1}, streamIndex, lane});
  aicc_driver_event *event;
  AICC_RETURN_IF_ERROR(timing(event));
  return device->check(driver->event_record(stream, event),
                       "recording an event");
}

Status RunState::stopTiming() { return startTiming(nullptr); }

// How many bytes a copy or fill moves, and where to in its destination, as far
// as that isn't known before the program runs.
Status RunState::measure(const Step &step, uint64_t &bytes,
                         uint64_t &place) const {
  const program::Instruction &instruction = *step.instruction;
  const uint32_t from = instruction.buffers.front(),
                 to = instruction.buffers.back();
  const uint64_t room = bufferBytes[to];
  bytes = room;
  if (step.kind == Step::fill)
    return {};
  if (instruction.scalars.empty()) {
    if (bufferBytes[from] >= room)
      return {};
    return invalidArgument(bufferName(*loaded.variant, to) + " has " +
                           std::to_string(room) + " bytes, but its value, " +
                           bufferName(*loaded.variant, from) + ", has " +
                           std::to_string(bufferBytes[from]));
  }
  const int64_t offset = values()[instruction.scalars[0]];
  // Its own size: its memory may hold a larger view.
  bytes = uint64_t(values()[loaded.variant->buffers[from].bytes]);
  place = uint64_t(offset);
  if (offset < 0 || place > room || bytes > room - place)
    return Status(Code::badPackage,
                  "package is damaged: copies " + std::to_string(bytes) +
                      " bytes to byte " + std::to_string(offset) + " of " +
                      bufferName(*loaded.variant, to) + ", which has " +
                      std::to_string(room));
  return {};
}

Status RunState::transfer(const Step &step, const Profiler *profiler) {
  const uint64_t *words = &this->words[step.firstWord];
  auto pointer = [&](unsigned i) { return reinterpret_cast<char *>(words[i]); };
  const bool copies = step.kind == Step::copy;
  uint64_t bytes = transferBytes[step.record], place = 0;
  if (step.late)
    AICC_RETURN_IF_ERROR(measure(step, bytes, place));
  if (bytes == 0)
    return {};
  if (copies && step.source != step.device)
    return cross(&step, step.source, pointer(0), step.device,
                 pointer(1) + place, bytes, &step, nullptr, profiler);
  if (profiler)
    AICC_RETURN_IF_ERROR(startTiming(&step));
  const int result =
      copies ? driver->copy(stream, pointer(1) + place, pointer(0), bytes)
             : driver->fill(stream, pointer(0), bytes, 0, 1);
  if (result != AICC_OK)
    return device->check(result, copies ? "copy" : "fill");
  return profiler ? stopTiming() : Status();
}

Status RunState::call(const Step &step, const Profiler *profiler) {
  const program::Instruction &instruction = *step.instruction;
  if (!device->flag(AICC_DEVICE_SYNCHRONOUS))
    AICC_RETURN_IF_ERROR(
        device->check(driver->stream_synchronize(stream), "run"));
  callTensors.clear();
  callDims.clear();
  size_t dims = 0;
  for (uint32_t index : instruction.buffers)
    dims += loaded.variant->buffers[index].dims.size();
  callDims.reserve(dims); // the tensors refer to it
  for (size_t i = 0; i < instruction.buffers.size(); ++i) {
    const program::Buffer &buffer =
        loaded.variant->buffers[instruction.buffers[i]];
    uint64_t bytes = program::elementSize(buffer.type);
    const size_t first = callDims.size();
    for (uint32_t dim : buffer.dims) {
      callDims.push_back(values()[dim]);
      if (callDims.back() < 0 ||
          __builtin_mul_overflow(bytes, uint64_t(callDims.back()), &bytes))
        bytes = UINT64_MAX;
    }
    if (bytes > bufferBytes[instruction.buffers[i]])
      return Status(Code::badPackage,
                    "package is damaged: " +
                        bufferName(*loaded.variant, instruction.buffers[i]) +
                        " is smaller than its dimensions");
    callTensors.push_back({reinterpret_cast<void *>(words[step.firstWord + i]),
                           buffer.type, std::span(callDims).subspan(first)});
  }
  if (profiler)
    AICC_RETURN_IF_ERROR(startTiming(&step));
  const auto arguments = std::span<const host::Tensor>(callTensors);
  const size_t inputs = arguments.size() - instruction.outputs;
  Status status = loaded.calls[step.record]->run(
      {arguments.first(inputs), arguments.subspan(inputs), pool});
  if (!status.ok()) {
    const std::string nodes = nodesOf(step);
    return std::move(status).in(nodes.empty() ? instruction.function : nodes);
  }
  return profiler ? stopTiming() : Status();
}

// Two values exchange their memory instead of their contents.
Status RunState::swap(const Step &step) {
  const uint32_t a = step.instruction->buffers[0],
                 b = step.instruction->buffers[1];
  if (bufferBytes[a] != bufferBytes[b])
    return Status(Code::badPackage,
                  "package is damaged: swaps " +
                      bufferName(*loaded.variant, a) + " with " +
                      bufferName(*loaded.variant, b) + " of another size");
  const uint64_t addressA = words[step.firstWord],
                 addressB = words[step.firstWord + 1];
  for (uint32_t word : program.wordsOf[a])
    words[word] = addressB;
  for (uint32_t word : program.wordsOf[b])
    words[word] = addressA;
  return {};
}

// The event for the last entry of `timed`.
Status RunState::timing(aicc_driver_event *&out) {
  Lane &owner = lanes[lane];
  if (owner.events.size() == owner.eventsUsed) {
    aicc_driver_event *event = nullptr;
    AICC_RETURN_IF_ERROR(device->check(
        driver->event_create(device->handle, &event), "creating an event"));
    owner.events.push_back(event);
  }
  out = timed.back().event = owner.events[owner.eventsUsed++];
  return {};
}

Status RunState::walk(const Profiler *profiler, const Observer *observer) {
  const Step *const steps = program.steps.data();
  const size_t count = program.steps.size();
  const bool several = lanes.size() > 1;
  for (size_t at = 0; at < count; ++at) {
    const Step &step = steps[at];
    if (observer)
      AICC_RETURN_IF_ERROR(observe(observed[at].before, at, *observer));
    // A copy between two devices, and what asks the host, wait themselves.
    if (several && step.source == step.device &&
        (step.kind <= Step::fill || step.kind == Step::call))
      AICC_RETURN_IF_ERROR(work(step.device));
    switch (step.kind) {
    case Step::launch:
      AICC_RETURN_IF_ERROR(launch(step, profiler));
      if (observer)
        AICC_RETURN_IF_ERROR(observe(observed[at].after, at, *observer));
      break;
    case Step::copy:
    case Step::fill:
      AICC_RETURN_IF_ERROR(transfer(step, profiler));
      if (observer)
        AICC_RETURN_IF_ERROR(observe(observed[at].after, at, *observer));
      break;
    case Step::loopBegin: {
      const Loop &loop = program.loops[step.record];
      loopCounts[step.record] = exprs[loop.count];
      bool enter;
      AICC_RETURN_IF_ERROR(enterLoop(step, 0, enter));
      if (!enter)
        at = step.partner;
      break;
    }
    case Step::loopEnd: {
      const Loop &loop = program.loops[step.record];
      bool enter;
      AICC_RETURN_IF_ERROR(
          enterLoop(step, symbols[program.binds[loop.bind].symbol] + 1, enter));
      if (enter)
        at = step.partner;
      break;
    }
    case Step::read:
      AICC_RETURN_IF_ERROR(read(step));
      break;
    case Step::branch: {
      bool taken;
      AICC_RETURN_IF_ERROR(
          holds(step.firstWord, step.instruction->buffers[0], taken));
      if (!taken)
        at = step.partner;
      break;
    }
    case Step::jump:
      at = step.partner;
      break;
    case Step::call:
      AICC_RETURN_IF_ERROR(call(step, profiler));
      if (observer)
        AICC_RETURN_IF_ERROR(observe(observed[at].after, at, *observer));
      break;
    case Step::swap:
      AICC_RETURN_IF_ERROR(swap(step));
      break;
    }
  }
  return {};
}

Status RunState::begin(const Hooks &hooks) {
  const Profiler *profiler =
      hooks.profiler.callback ? &hooks.profiler : nullptr;
  const Observer *observer =
      hooks.observer.callback ? &hooks.observer : nullptr;
  if (observer && observed.empty())
    planObservation();
  timed.clear();
  for (Lane &each : lanes)
    each.eventsUsed = 0;
  pool.clear();
  const std::vector<bool> staged = stagedPorts();
  if (!planned || staged != plannedFor)
    planRun(staged);
  Status status;
  // Recordings have no times.
  const bool replays = stepsPlan.streams > 1 && !profiler;
  if (!plan.works.empty() && !observer && !replays) {
    status = runOnStreams(plan, 0, profiler);
    enter(0);
  } else {
    const program::Package &package = loaded.package();
    for (size_t i = 0; i < inputs.size() && status.ok(); ++i)
      status = copyPort(inputs[i], true, profiler);
    if (status.ok())
      status = profiler || observer ? walk(profiler, observer) : runOrReplay();
    for (size_t i = 0; i < late.size() && status.ok(); ++i)
      if (late[i].given && late[i].made)
        status =
            invalidArgument("output '" + package.outputs[i].name +
                            "' has shape " + printDims(late[i].given->dims) +
                            ", expected " + printDims(late[i].made->dims));
    for (size_t i = 0; i < outputs.size() && status.ok(); ++i)
      status = copyPort(outputs[i], false, profiler);
    if (lanes.size() > 1 && status.ok())
      status = arriveEverywhere();
  }
  return status;
}

Status RunState::finish(const Hooks &hooks, Status status) {
  // Also after a failure: what was given refers to the caller's memory.
  if (Status waited = waitForAll(); status.ok())
    status = std::move(waited);
  if (!crossings.empty())
    forgetArrivals();
  // A device that failed may have lost what was recorded on it.
  if (!status.ok())
    forgetRecording();
  if (status.ok() && hooks.profiler.callback)
    status = deliver(hooks.profiler);
  return status;
}

Status RunState::deliver(const Profiler &profiler) {
  for (size_t i = 0; i < timed.size(); ++i) {
    const Timed &entry = timed[i];
    aicc_profile_event event{};
    event.struct_size = sizeof event;
    const aicc_device &owner = *lanes[entry.lane].device;
    event.device = owner.name.c_str();
    event.index = entry.step ? entry.step->position : UINT32_MAX;
    event.stream = entry.stream;
    std::copy_n(entry.grid, 3, event.grid);
    AICC_RETURN_IF_ERROR(owner.check(
        owner.driver->event_times(entry.event, &event.begin_ns, &event.end_ns),
        "reading an event"));
    std::string name = entry.step ? nodesOf(*entry.step) : *entry.port;
    if (entry.step && entry.step->kind == Step::launch) {
      event.kernel = entry.step->kernel->entry.c_str();
    } else {
      // The second of the two events.
      uint64_t begin;
      AICC_RETURN_IF_ERROR(owner.check(
          owner.driver->event_times(timed[++i].event, &begin, &event.end_ns),
          "reading an event"));
      event.kernel = "copy";
      if (entry.step) {
        const program::Instruction &instruction = *entry.step->instruction;
        if (entry.step->kind == Step::call) {
          event.kernel = instruction.function.c_str();
        } else {
          event.kernel = entry.step->kind == Step::copy ? "copy" : "fill";
          name = loaded.variant->buffers[instruction.buffers.back()].name;
        }
      }
    }
    event.name = name.empty() ? event.kernel : name.c_str();
    profiler.callback(&event, profiler.context);
  }
  return {};
}
