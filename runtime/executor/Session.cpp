//===- Session.cpp - runs a package on a device ---------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Session.h"

#include <algorithm>

using namespace aicc;
using namespace aicc::executor;

// A model in use meets few shapes at a time; a generating one meets a new one
// at every step and never the old ones again.
static constexpr size_t bindingsKept = 16;

// Of those that nobody waits for.
static constexpr size_t runsAtOnce = 2;

aicc_run::~aicc_run() {
  for (aicc_tensor *tensor : inputs)
    aicc_tensor_release(tensor);
  for (aicc_tensor *tensor : outputs)
    aicc_tensor_release(tensor);
}

Status Session::create(std::shared_ptr<PackageState> package,
                       std::vector<aicc_device *> devices, uint32_t threads,
                       const char *variant, bool verifyWeights,
                       std::unique_ptr<Session> &out) {
  std::unique_ptr<Session> session(new Session);
  uint32_t index;
  AICC_RETURN_IF_ERROR(package->choose(devices, variant, index));
  AICC_RETURN_IF_ERROR(package->variant(index, devices, threads, verifyWeights,
                                        session->loaded));
  session->package = std::move(package);
  session->threads = threads;
  // Now rather than at the first run: it may fail, and it takes time.
  std::unique_ptr<RunState> state;
  AICC_RETURN_IF_ERROR(session->acquire(state));
  session->giveBack(std::move(state));
  out = std::move(session);
  return {};
}

Session::~Session() {
  {
    std::lock_guard lock(queueMutex);
    stopping = true;
  }
  queued.notify_all();
  if (worker.joinable())
    worker.join();
  delete warm.load();
}

Status Session::acquire(std::unique_ptr<RunState> &out) {
  out.reset(warm.exchange(nullptr, std::memory_order_acquire));
  if (out)
    return {};
  {
    std::lock_guard lock(idleMutex);
    if (!idle.empty()) {
      out = std::move(idle.back());
      idle.pop_back();
      return {};
    }
  }
  auto state = std::make_unique<RunState>(*loaded, loaded->program);
  AICC_RETURN_IF_ERROR(state->create(threads));
  out = std::move(state);
  return {};
}

void Session::giveBack(std::unique_ptr<RunState> state) {
  RunState *none = nullptr;
  if (warm.compare_exchange_strong(none, state.get(), std::memory_order_release,
                                   std::memory_order_relaxed)) {
    (void)state.release();
    return;
  }
  std::lock_guard lock(idleMutex);
  idle.push_back(std::move(state));
}

static std::string portName(const char *what, size_t index,
                            const program::Port &port) {
  return port.name.empty() ? what + (" " + std::to_string(index))
                           : what + (" '" + port.name + "'");
}

static Status typeError(const std::string &name, aicc_type found,
                        program::ElementType expected) {
  return invalidArgument(name + " has type " + aicc_type_name(found) +
                         ", expected " + program::elementTypeName(expected));
}

Status Session::check(std::span<aicc_tensor *const> inputs,
                      std::span<aicc_tensor *> outputs) const {
  const program::Package &contents = loaded->package();
  if (inputs.size() != contents.inputs.size())
    return invalidArgument("found " + std::to_string(inputs.size()) +
                           " inputs, expected " +
                           std::to_string(contents.inputs.size()));
  if (outputs.size() != contents.outputs.size())
    return invalidArgument("found " + std::to_string(outputs.size()) +
                           " outputs, expected " +
                           std::to_string(contents.outputs.size()));
  for (size_t i = 0; i < inputs.size(); ++i) {
    const program::Port &port = contents.inputs[i];
    if (!inputs[i])
      return invalidArgument(portName("input", i, port) + " is missing");
    if (elementType(inputs[i]->type) != port.type)
      return typeError(portName("input", i, port), inputs[i]->type, port.type);
    if (inputs[i]->dims.size() != port.dims.size())
      return invalidArgument(portName("input", i, port) + " has shape " +
                             printDims(inputs[i]->dims) + " of rank " +
                             std::to_string(inputs[i]->dims.size()) +
                             ", expected rank " +
                             std::to_string(port.dims.size()));
  }
  for (size_t i = 0; i < outputs.size(); ++i)
    if (outputs[i] && elementType(outputs[i]->type) != contents.outputs[i].type)
      return typeError(portName("output", i, contents.outputs[i]),
                       outputs[i]->type, contents.outputs[i].type);
  return {};
}

bool Session::matches(const Binding *binding,
                      std::span<aicc_tensor *const> inputs) const {
  if (!binding)
    return false;
  const int64_t *key = binding->key.data();
  for (const aicc_tensor *input : inputs)
    for (int64_t dim : input->dims)
      if (dim != *key++)
        return false;
  return true;
}

Status Session::bind(std::span<aicc_tensor *const> inputs,
                     std::shared_ptr<const Binding> &out) {
  {
    std::lock_guard lock(bindingMutex);
    for (auto it = bindings.begin(); it != bindings.end(); ++it) {
      if (!matches(it->get(), inputs))
        continue;
      bindings.splice(bindings.begin(), bindings, it);
      out = bindings.front();
      return {};
    }
  }
  std::vector<std::span<const int64_t>> dims;
  for (const aicc_tensor *input : inputs)
    dims.emplace_back(input->dims);
  auto binding = std::make_shared<Binding>();
  AICC_RETURN_IF_ERROR(bindProgram(loaded->package(), *loaded->variant,
                                   loaded->program, dims, *binding));
  out = binding;
  std::lock_guard lock(bindingMutex);
  bindings.push_front(std::move(binding));
  if (bindings.size() > bindingsKept)
    bindings.pop_back();
  return {};
}

Status Session::makeOutputs(const Binding &binding,
                            std::span<aicc_tensor *> outputs,
                            std::vector<size_t> &created) const {
  for (size_t i = 0; i < outputs.size(); ++i) {
    const program::Port &port = loaded->package().outputs[i];
    if (loaded->program.lateOutputs[i])
      continue;
    if (!outputs[i]) {
      AICC_RETURN_IF_ERROR(
          createTensor(publicType(port.type), binding.outputDims[i], outputs[i])
              .in(portName("output", i, port)));
      created.push_back(i);
    } else if (outputs[i]->dims != binding.outputDims[i]) {
      return invalidArgument(portName("output", i, port) + " has shape " +
                             printDims(outputs[i]->dims) + ", expected " +
                             printDims(binding.outputDims[i]));
    }
  }
  return {};
}

// Kernels may read an input after they have written an output.
Status Session::overlap(std::span<aicc_tensor *const> inputs,
                        std::span<aicc_tensor *const> outputs) const {
  const program::Package &contents = loaded->package();
  auto meet = [](const aicc_tensor *a, const aicc_tensor *b) {
    const auto beginA = reinterpret_cast<uintptr_t>(a->data),
               beginB = reinterpret_cast<uintptr_t>(b->data);
    return beginA < beginB + b->bytes && beginB < beginA + a->bytes;
  };
  for (size_t o = 0; o < outputs.size(); ++o) {
    if (!outputs[o])
      continue;
    const std::string *other = nullptr;
    for (size_t i = 0; i < inputs.size(); ++i)
      if (meet(outputs[o], inputs[i]))
        other = &contents.inputs[i].name;
    for (size_t i = 0; i < o; ++i)
      if (outputs[i] && meet(outputs[o], outputs[i]))
        other = &contents.outputs[i].name;
    if (other)
      return invalidArgument(portName("output", o, contents.outputs[o]) +
                             " shares memory with '" + *other + "'");
  }
  return {};
}

void Session::account(const RunState &state, uint64_t arenaBefore,
                      uint64_t stagedBefore) {
  const uint64_t arena = state.arenaCapacity(),
                 stagedNow = state.stagedCapacity();
  if (arena == arenaBefore && stagedNow == stagedBefore)
    return;
  const uint64_t total = arenaTotal += arena - arenaBefore;
  const uint64_t held = total + (staged += stagedNow - stagedBefore);
  auto raise = [](std::atomic<uint64_t> &to, uint64_t value) {
    uint64_t old = to.load();
    while (old < value && !to.compare_exchange_weak(old, value)) {
    }
  };
  raise(arenaLargest, arena);
  raise(peak, held);
}

Status Session::adopt(RunState &state, std::shared_ptr<const Binding> binding) {
  const uint64_t before = state.arenaCapacity();
  Status status = state.adopt(std::move(binding));
  account(state, before, state.stagedCapacity());
  return status;
}

void Session::begin(Flight &flight, std::span<aicc_tensor *const> inputs,
                    std::span<aicc_tensor *> outputs) {
  RunState &state = *flight.state;
  flight.arenaBefore = state.arenaCapacity();
  flight.stagedBefore = state.stagedCapacity();
  Status &status = flight.status;
  status = overlap(inputs, outputs);
  for (size_t i = 0; i < inputs.size() && status.ok(); ++i)
    status = state.setInput(i, *inputs[i]);
  for (size_t i = 0; i < outputs.size() && status.ok(); ++i)
    status = state.setOutput(i, outputs[i]);
  if (!status.ok())
    return;
  if (hooked.load(std::memory_order_acquire)) {
    std::lock_guard lock(hooksMutex);
    flight.hooks = hooks;
  }
  status = state.begin(flight.hooks);
}

Status Session::finish(Flight &flight, std::span<aicc_tensor *> outputs) {
  RunState &state = *flight.state;
  Status status = state.finish(flight.hooks, std::move(flight.status));
  account(state, flight.arenaBefore, flight.stagedBefore);
  for (size_t i = 0; i < outputs.size() && status.ok(); ++i) {
    aicc_tensor *tensor = outputs[i] ? outputs[i] : state.lateOutput(i);
    if (tensor->type == AICC_STRING)
      status = keepStrings(*tensor).in(
          portName("output", i, loaded->package().outputs[i]));
  }
  for (size_t i = 0; i < outputs.size() && status.ok(); ++i)
    if (!outputs[i])
      outputs[i] = state.takeOutput(i);
  return status;
}

static void dropCreated(std::span<aicc_tensor *> outputs,
                        const std::vector<size_t> &created) {
  for (size_t i : created) {
    aicc_tensor_release(outputs[i]);
    outputs[i] = nullptr;
  }
}

Status Session::run(std::span<aicc_tensor *const> inputs,
                    std::span<aicc_tensor *> outputs) {
  AICC_RETURN_IF_ERROR(check(inputs, outputs));
  Flight flight;
  AICC_RETURN_IF_ERROR(acquire(flight.state));
  RunState &state = *flight.state;
  Status status;
  if (!matches(state.binding(), inputs)) {
    std::shared_ptr<const Binding> binding;
    status = bind(inputs, binding);
    if (status.ok())
      status = adopt(state, std::move(binding));
  }
  std::vector<size_t> created;
  if (status.ok())
    status = makeOutputs(*state.binding(), outputs, created);
  if (status.ok()) {
    begin(flight, inputs, outputs);
    status = finish(flight, outputs);
  }
  giveBack(std::move(flight.state));
  if (!status.ok())
    dropCreated(outputs, created);
  return status;
}

Status Session::runAsync(std::span<aicc_tensor *const> inputs,
                         std::span<aicc_tensor *> outputs, aicc_run *&out) {
  AICC_RETURN_IF_ERROR(check(inputs, outputs));
  auto run = std::make_unique<aicc_run>();
  std::shared_ptr<const Binding> binding;
  AICC_RETURN_IF_ERROR(bind(inputs, binding));
  run->binding = binding;
  std::vector<size_t> created;
  Status status = makeOutputs(*binding, outputs, created);
  if (status.ok())
    status = overlap(inputs, outputs);
  if (!status.ok()) {
    dropCreated(outputs, created);
    return status;
  }
  for (aicc_tensor *tensor : inputs) {
    aicc_tensor_retain(tensor);
    run->inputs.push_back(tensor);
  }
  for (aicc_tensor *tensor : outputs) {
    if (tensor)
      aicc_tensor_retain(tensor);
    run->outputs.push_back(tensor);
  }
  run->references = 2; // the caller's and the queue's
  out = run.release();
  {
    std::lock_guard lock(queueMutex);
    queue.push_back(out);
    if (!worker.joinable())
      worker = std::thread([this] { work(); });
  }
  queued.notify_one();
  return {};
}

// Whether a run uses memory that one under way writes, or writes what that
// uses.
bool Session::sharesMemory(const aicc_run &run) const {
  auto meet = [](const aicc_tensor *a, const aicc_tensor *b) {
    const auto beginA = reinterpret_cast<uintptr_t>(a->data),
               beginB = reinterpret_cast<uintptr_t>(b->data);
    return beginA < beginB + b->bytes && beginB < beginA + a->bytes;
  };
  auto any = [&](const std::vector<aicc_tensor *> &x,
                 const std::vector<aicc_tensor *> &y) {
    for (const aicc_tensor *a : x)
      for (const aicc_tensor *b : y)
        if (a && b && meet(a, b))
          return true;
    return false;
  };
  for (const Flight &flight : flights)
    if (any(run.outputs, flight.run->outputs) ||
        any(run.outputs, flight.run->inputs) ||
        any(run.inputs, flight.run->outputs))
      return true;
  return false;
}

void Session::begin(aicc_run *run) {
  while (true) {
    Flight flight;
    flight.run = run;
    flight.status = acquire(flight.state);
    if (flight.status.ok() && flight.state->binding() != run->binding.get())
      flight.status = adopt(*flight.state, run->binding);
    const bool begun = flight.status.ok();
    if (begun)
      begin(flight, run->inputs, run->outputs);
    if (flight.status.code() != Code::outOfMemory || flights.empty()) {
      flights.push_back(std::move(flight));
      return;
    }
    // There is not enough for two: one after the other then, in the memory of
    // those that are under way.
    if (flight.state) {
      if (begun)
        (void)finish(flight, run->outputs);
      arenaTotal -= flight.state->arenaCapacity();
      staged -= flight.state->stagedCapacity();
      flight.state.reset();
    }
    while (!flights.empty())
      finishOldest();
  }
}

void Session::finishOldest() {
  Flight flight = std::move(flights.front());
  flights.pop_front();
  aicc_run *run = flight.run;
  Status status =
      flight.state ? finish(flight, run->outputs) : std::move(flight.status);
  if (flight.state)
    giveBack(std::move(flight.state));
  {
    std::lock_guard lock(run->mutex);
    run->code = status.code();
    run->message = status.message();
    run->done.store(true, std::memory_order_release);
  }
  run->finished.notify_all();
  aicc_run_release(run);
}

// A device that works by itself gets a run before the one before is done: its
// copies overlap the other's kernels.
void Session::work() {
  const size_t most = loaded->isSynchronous() ? 1 : runsAtOnce;
  while (true) {
    aicc_run *run = nullptr;
    {
      std::unique_lock lock(queueMutex);
      if (flights.empty())
        queued.wait(lock, [this] { return stopping || !queue.empty(); });
      if (!queue.empty()) {
        run = queue.front();
        queue.pop_front();
      } else if (flights.empty()) {
        return;
      }
    }
    if (!run) {
      finishOldest();
      continue;
    }
    while (!flights.empty() && sharesMemory(*run))
      finishOldest();
    begin(run);
    while (flights.size() >= most)
      finishOldest();
  }
}

void Session::setProfiler(Profiler given) {
  std::lock_guard lock(hooksMutex);
  hooks.profiler = given;
  hooked.store(hooks.profiler.callback || hooks.observer.callback,
               std::memory_order_release);
}

void Session::setObserver(Observer given) {
  std::lock_guard lock(hooksMutex);
  hooks.observer = given;
  hooked.store(hooks.profiler.callback || hooks.observer.callback,
               std::memory_order_release);
}

void Session::memory(aicc_memory_info &out) const {
  const uint64_t fixed = loaded->preparedBytes + loaded->uploadedBytes;
  out.weight_bytes = loaded->weightBytes;
  out.prepared_bytes = loaded->preparedBytes;
  out.arena_bytes = arenaLargest.load();
  out.arena_total_bytes = arenaTotal.load();
  out.staging_bytes = staged.load();
  out.peak_bytes = fixed + peak.load();
}
