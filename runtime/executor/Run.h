//===- Run.h - what one run needs for itself ------------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Argument blocks, arena, staging memory and a stream. Made once and used by
// one run after the other, so that a run with the shapes of the one before only
// writes the addresses of its inputs and outputs, allocates nothing and takes
// no lock. Used by one thread at a time.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_RUNTIME_EXECUTOR_RUN_H
#define AICC_RUNTIME_EXECUTOR_RUN_H

#include "runtime/executor/Binding.h"
#include "runtime/executor/PackageState.h"

#include "aicc/runtime.h"

namespace aicc::executor {

struct Profiler {
  void (*callback)(const aicc_profile_event *event, void *context) = nullptr;
  void *context = nullptr;
};

class RunState {
public:
  RunState(const LoadedVariant &loaded, const FlatProgram &program);
  RunState(const RunState &) = delete;
  ~RunState();

  // The stream and everything that doesn't depend on shapes.
  Status create(uint32_t threads);
  // Argument blocks and arena for these shapes.
  Status adopt(std::shared_ptr<const Binding> binding);
  // Where a port's data is. Host memory is staged where kernels can't reach it.
  Status setInput(size_t index, aicc_tensor &tensor);
  Status setOutput(size_t index, aicc_tensor &tensor);
  // Runs the program, and waits.
  Status execute(const Profiler *profiler);

  const Binding *binding() const { return bound.get(); }
  uint64_t arenaCapacity() const { return arenaBytes; }
  uint64_t stagedCapacity() const { return stagedBytes; }

private:
  // An input or output.
  struct Port {
    std::vector<uint32_t> words; // that hold its address
    void *address = nullptr;     // for kernels
    void *host = nullptr;        // set when staged
    uint64_t bytes = 0;
    aicc_device::Memory staging;
    uint64_t stagingBytes = 0;
  };
  struct Transfer {
    uint64_t bytes = 0;
  };

  Status set(Port &port, aicc_tensor &tensor, uint64_t bytes);
  void point(Port &port, void *address);
  Status walk(const Profiler *profiler);
  Status launch(const Step &step, const Profiler *profiler);
  Status transfer(const Step &step, const Profiler *profiler);
  Status applyPatches(const Step &step);
  Status beginIteration(const Loop &loop);
  Status setGrid(aicc_launch &launch, unsigned axis, int64_t value,
                 const Step &step);
  Status timing(aicc_driver_event *&out);
  Status deliver(const Profiler &profiler);

  const LoadedVariant &loaded;
  const FlatProgram &program;
  const aicc_driver &driver;
  aicc_driver_stream *stream = nullptr;
  std::shared_ptr<const Binding> bound;

  std::vector<uint64_t> words;
  std::vector<aicc_launch> launches;
  std::vector<uint64_t> transferBytes;
  std::vector<Port> inputs, outputs;
  aicc_device::Memory arena;
  uint64_t arenaBytes = 0;
  uint64_t stagedBytes = 0;

  // Loops: values of symbols and expressions change while running.
  std::vector<int64_t> symbols, exprs;
  std::vector<int64_t> loopCounts;

  // Profiling: events in use during a run, and what they time.
  struct Timed {
    const Step *step;
    uint32_t grid[3];
    uint64_t begin, end; // copies and fills of a synchronous device
  };
  std::vector<Timed> timed;
  std::vector<aicc_driver_event *> events;
};

} // namespace aicc::executor

#endif
