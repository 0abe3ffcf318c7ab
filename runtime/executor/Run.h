//===- Run.h - what one run needs for itself ------------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Argument blocks, arenas, staging memory and a stream. Made once and used by
// one run after the other, so that a run with the shapes of the one before only
// writes the addresses of its inputs and outputs, allocates nothing and takes
// no lock. Used by one thread at a time.
//
// Where the program binds symbols, sizes, places and outputs that follow from
// them are made while it runs; each such place has an arena of its own.
//
// A program that asks the host nothing may use several streams, or be recorded
// and replayed (RunStreams.cpp).
//
//===----------------------------------------------------------------------===//

#ifndef AICC_RUNTIME_EXECUTOR_RUN_H
#define AICC_RUNTIME_EXECUTOR_RUN_H

#include "runtime/core/Tensor.h"
#include "runtime/executor/Binding.h"
#include "runtime/executor/PackageState.h"
#include "runtime/executor/StreamPlan.h"
#include "runtime/package/ArenaPlan.h"

#include "aicc/runtime.h"

#include <map>

namespace aicc::executor {

struct Profiler {
  void (*callback)(const aicc_profile_event *event, void *context) = nullptr;
  void *context = nullptr;
};

struct Observer {
  void (*callback)(const aicc_value *value, void *context) = nullptr;
  void *context = nullptr;
};

// Who wants to know what a run does.
struct Hooks {
  Profiler profiler;
  Observer observer;
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
  // An output whose shape the run finds out may be null.
  Status setInput(size_t index, aicc_tensor &tensor);
  Status setOutput(size_t index, aicc_tensor *tensor);
  // Runs the program, and waits.
  Status execute(const Hooks &hooks) {
    Status status = begin(hooks);
    return finish(hooks, std::move(status));
  }
  // The same in two parts: gives the work to the device, and waits for it, with
  // what the first one returned. Between them nothing else may be done.
  Status begin(const Hooks &hooks);
  Status finish(const Hooks &hooks, Status status);
  // After a run: the tensor of an output that was null; taken with its
  // reference.
  aicc_tensor *lateOutput(size_t index) { return late[index].made.get(); }
  aicc_tensor *takeOutput(size_t index) { return late[index].made.release(); }

  const Binding *binding() const { return bound.get(); }
  uint64_t arenaCapacity() const { return arenaBytes + lateBytes; }
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
  // An output whose shape the run finds out.
  struct Late {
    struct Releaser {
      void operator()(aicc_tensor *tensor) const {
        aicc_tensor_release(tensor);
      }
    };
    aicc_tensor *given = nullptr; // the caller's, or null
    std::unique_ptr<aicc_tensor, Releaser> made;
  };
  // Memory of the temporaries that a bind sizes, and how it was shared out the
  // last time.
  struct Arena {
    aicc_device::Memory memory;
    uint64_t capacity = 0;
    std::vector<package::ArenaBlock> blocks;
    package::ArenaPlan plan;
  };

  Status set(Port &port, aicc_tensor &tensor, uint64_t bytes);
  void point(Port &port, void *address);
  Status walk(const Profiler *profiler, const Observer *observer);
  Status launch(const Step &step, const Profiler *profiler);
  Status transfer(const Step &step, const Profiler *profiler);
  Status measure(const Step &step, uint64_t &bytes, uint64_t &place) const;
  // Of the variant's expressions.
  const std::vector<int64_t> &values() const {
    return program.binds.empty() ? bound->exprs : exprs;
  }
  Status applyPatches(const Step &step);
  Status call(const Step &step, const Profiler *profiler);
  Status swap(const Step &step);
  Status startTiming(const Step *step, const std::string *port = nullptr);
  Status stopTiming();
  // RunBinds.cpp
  Status bind(uint32_t index, int64_t value);
  Status evaluate(const Bind &bind);
  Status makeOutput(uint32_t index);
  Status sizeLate(const Bind &bind);
  Status placeLate(uint32_t index);
  Status read(const Step &step);
  Status holds(uint32_t word, uint32_t buffer, bool &out);
  Status fetch(uint32_t word, uint32_t buffer, uint64_t offset, uint64_t bytes,
               void *out);
  Status quiesce();
  Status enterLoop(const Step &step, int64_t iteration, bool &out);
  Status setGrid(aicc_launch &launch, unsigned axis, int64_t value,
                 const Step &step);
  Status timing(aicc_driver_event *&out);
  Status deliver(const Profiler &profiler);
  // RunStreams.cpp
  void studyProgram();
  Work workOf(const Step &step) const;
  void planRun(const std::vector<bool> &staged);
  Status makeStreams();
  Status runOnStreams(const Profiler *profiler);
  Status copyPort(Port &port, const std::string &name, bool in,
                  const Profiler *profiler);
  std::vector<bool> stagedPorts() const;
  void record();
  Status runOrReplay();
  void forgetRecording();
  Status waitForAll();
  // Observe.cpp
  void planObservation();
  Status observe(const std::vector<uint32_t> &operands, size_t at,
                 const Observer &observer);

  const LoadedVariant &loaded;
  const FlatProgram &program;
  const aicc_driver &driver;
  aicc_driver_stream *stream = nullptr; // of the work at hand
  uint32_t streamIndex = 0;
  std::vector<aicc_driver_stream *> streams;
  uint32_t threads = 0;
  std::shared_ptr<const Binding> bound;

  std::vector<uint64_t> words;
  std::vector<aicc_launch> launches;
  std::vector<uint64_t> transferBytes;
  std::vector<Port> inputs, outputs;
  aicc_device::Memory arena;
  // Temporaries of a device that wants them apart, by buffer.
  std::map<uint32_t, aicc_device::Memory> separate;
  uint64_t arenaBytes = 0;
  uint64_t stagedBytes = 0;

  // What changes while running, of programs that bind symbols: values of
  // symbols and expressions, sizes of buffers and outputs.
  std::vector<int64_t> symbols, exprs, portExprs;
  std::vector<uint64_t> bufferBytes, outputBytes;
  std::vector<int64_t> loopCounts;
  std::vector<Arena> arenas; // one for each bind
  uint64_t lateBytes = 0;
  std::vector<Late> late; // one for each output

  // Calls: what results refer to, and room for the arguments.
  host::Pool pool;
  std::vector<host::Tensor> callTensors;
  std::vector<int64_t> callDims;

  // Profiling: events in use during a run, and what they time.
  struct Timed {
    const Step *step = nullptr;
    const std::string *port = nullptr; // whose copy it is
    uint32_t grid[3] = {1, 1, 1};
    uint32_t stream = 0;
  };
  std::vector<Timed> timed;
  std::vector<aicc_driver_event *> events;

  // Several streams: launches and copies only, nothing decided on the way.
  bool straight = false;
  bool planned = false; // for the binding, and these staged ports
  std::vector<bool> plannedFor;
  StreamPlan plan; // empty: all on one stream
  std::vector<aicc_driver_event *> joins;

  // Replay: a recording of the program with the addresses as they are now, and
  // how many runs there were with them.
  bool recordable = false;
  aicc_driver_graph *graph = nullptr;
  uint32_t repeats = 0;

  // Observing, planned when somebody does: for each step which of its buffers
  // hold a value of the model before it, and which after it.
  struct Observed {
    std::vector<uint32_t> before, after; // positions in the step's buffers
    std::vector<uint32_t> loops;         // around it, the outermost first
  };
  std::vector<Observed> observed;
};

} // namespace aicc::executor

#endif
