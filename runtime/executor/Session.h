//===- Session.h - runs a package on a device -----------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Any number of threads may run a session at once: each run takes a RunState
// for itself, and the session keeps those that are idle.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_RUNTIME_EXECUTOR_SESSION_H
#define AICC_RUNTIME_EXECUTOR_SESSION_H

#include "runtime/core/Tensor.h"
#include "runtime/executor/Run.h"

#include <condition_variable>
#include <deque>
#include <list>
#include <thread>

// A run that was not waited for.
struct aicc_run {
  std::atomic<uint32_t> references{1};
  std::shared_ptr<const aicc::executor::Binding> binding;
  // A reference each. An output whose shape the run finds out is null until it
  // is done.
  std::vector<aicc_tensor *> inputs, outputs;
  std::mutex mutex;
  std::condition_variable finished;
  std::atomic<bool> done{false};
  aicc::Code code = aicc::Code::ok;
  std::string message;

  ~aicc_run();
};

namespace aicc::executor {

class Session {
public:
  static Status create(std::shared_ptr<PackageState> package,
                       std::vector<aicc_device *> devices, uint32_t threads,
                       const char *variant, bool verifyWeights,
                       std::unique_ptr<Session> &out);
  // Waits for runs that were given to runAsync.
  ~Session();

  Status run(std::span<aicc_tensor *const> inputs,
             std::span<aicc_tensor *> outputs);
  Status runAsync(std::span<aicc_tensor *const> inputs,
                  std::span<aicc_tensor *> outputs, aicc_run *&out);

  void setProfiler(Profiler profiler);
  void setObserver(Observer observer);
  void memory(aicc_memory_info &out) const;
  const LoadedVariant &code() const { return *loaded; }

private:
  Session() = default;
  Status check(std::span<aicc_tensor *const> inputs,
               std::span<aicc_tensor *> outputs) const;
  Status bind(std::span<aicc_tensor *const> inputs,
              std::shared_ptr<const Binding> &out);
  bool matches(const Binding *binding,
               std::span<aicc_tensor *const> inputs) const;
  Status makeOutputs(const Binding &binding, std::span<aicc_tensor *> outputs,
                     std::vector<size_t> &created) const;
  Status overlap(std::span<aicc_tensor *const> inputs,
                 std::span<aicc_tensor *const> outputs) const;
  // A run that the device has, or whose beginning failed.
  struct Flight {
    std::unique_ptr<RunState> state;
    Hooks hooks;
    Status status;
    uint64_t arenaBefore = 0, stagedBefore = 0;
    aicc_run *run = nullptr; // of an asynchronous one: the queue's reference
  };
  void begin(Flight &flight, std::span<aicc_tensor *const> inputs,
             std::span<aicc_tensor *> outputs);
  Status finish(Flight &flight, std::span<aicc_tensor *> outputs);
  void begin(aicc_run *run);
  void finishOldest();
  bool sharesMemory(const aicc_run &run) const;
  Status adopt(RunState &state, std::shared_ptr<const Binding> binding);
  Status acquire(std::unique_ptr<RunState> &out);
  void giveBack(std::unique_ptr<RunState> state);
  void account(const RunState &state, uint64_t arenaBefore,
               uint64_t stagedBefore);
  void work();

  std::shared_ptr<PackageState> package;
  std::shared_ptr<LoadedVariant> loaded;
  uint32_t threads = 0;

  // The state most runs take, without a lock; the others stand in `idle`.
  std::atomic<RunState *> warm{nullptr};
  std::mutex idleMutex;
  std::vector<std::unique_ptr<RunState>> idle;

  // Bindings of recent shapes, the latest first.
  std::mutex bindingMutex;
  std::list<std::shared_ptr<const Binding>> bindings;

  std::atomic<bool> hooked{false};
  std::mutex hooksMutex;
  Hooks hooks;

  std::atomic<uint64_t> arenaLargest{0}, arenaTotal{0}, staged{0}, peak{0};

  // Asynchronous runs.
  std::mutex queueMutex;
  std::condition_variable queued;
  std::deque<aicc_run *> queue;
  bool stopping = false;
  std::thread worker;
  std::deque<Flight> flights; // the worker's
};

} // namespace aicc::executor

#endif
