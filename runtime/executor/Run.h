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
// A program of several devices has a lane on each: a stream and an arena. Work
// of a lane is done in the order of the program; only copies join lanes
// (RunDevices.cpp).
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
  uint64_t arenaCapacity() const {
    uint64_t bytes = lateBytes;
    for (const Lane &each : lanes)
      bytes += each.arenaBytes;
    return bytes;
  }
  uint64_t stagedCapacity() const { return stagedBytes; }

private:
  // A copy between two lanes, as far as it outlives the step: memory of the
  // host on the way, and when it was written and read the last time.
  struct Crossing {
    Crossing() = default;
    Crossing(const Crossing &) = delete;
    ~Crossing();
    aicc_device::Memory staging;
    uint64_t capacity = 0;
    aicc_driver_event *copied = nullptr, *freed = nullptr;
    const aicc_driver *copiedBy = nullptr, *freedBy = nullptr;
    uint32_t from = 0, to = 0; // lanes
    bool used = false;         // the memory, in this run
  };
  // What a lane has to wait for before it goes on: a copy from another one,
  // whose second half, from the staging memory, may be to do.
  struct Arrival {
    Crossing *crossing;
    void *destination = nullptr; // null: it is there
    uint64_t bytes = 0;
  };
  // A device's part in the run.
  struct Lane {
    aicc_device *device = nullptr;
    std::vector<aicc_driver_stream *> streams; // the first is the lane's own
    aicc_device::Memory arena;
    uint64_t arenaBytes = 0;
    std::vector<aicc_driver_event *> events; // for times, and how many are used
    size_t eventsUsed = 0;
    std::vector<Arrival> arrivals;

    // Whether the host may read and write its memory between two steps.
    bool isHost() const {
      return device->flag(AICC_DEVICE_SYNCHRONOUS) &&
             device->flag(AICC_DEVICE_HOST_ACCESSIBLE);
    }
  };
  // An input on a device, or an output.
  struct Port {
    uint32_t index = 0; // which input or output
    uint32_t lane = 0;
    // The lane whose memory a staged tensor is in, where the host can't reach
    // it.
    std::optional<uint32_t> from;
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
  Status makePorts();

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
  Status placeLate(std::span<const Bind::Block> blocks, Arena &arena);
  Status read(const Step &step);
  Status holds(uint32_t word, uint32_t buffer, bool &out);
  Status fetch(uint32_t word, uint32_t buffer, uint64_t offset, uint64_t bytes,
               void *out);
  Status quiesce();
  void forgetArrivals();
  Status enterLoop(const Step &step, int64_t iteration, bool &out);
  Status setGrid(aicc_launch &launch, unsigned axis, int64_t value,
                 const Step &step);
  Status timing(aicc_driver_event *&out);
  Status deliver(const Profiler &profiler);
  // RunStreams.cpp
  void studyProgram();
  Work workOf(const Step &step) const;
  void planRun(const std::vector<bool> &staged);
  Status makeStreams(const StreamPlan &wanted);
  Status runOnStreams(const StreamPlan &wanted, size_t first,
                      const Profiler *profiler);
  Status recordOnStreams();
  Status copyPort(Port &port, bool in, const Profiler *profiler);
  std::vector<bool> stagedPorts() const;
  void record();
  Status runOrReplay();
  void forgetRecording();
  Status waitForAll();
  // RunDevices.cpp
  void enter(uint32_t to) {
    lane = to;
    device = lanes[to].device;
    driver = device->driver;
    stream = lanes[to].streams.front();
    streamIndex = 0;
  }
  Status arrive(uint32_t to);
  // Makes a lane the one at hand, with all that others have sent to it.
  Status work(uint32_t to) {
    if (lane != to)
      enter(to);
    return lanes[to].arrivals.empty() ? Status() : arrive(to);
  }
  Status cross(const void *key, uint32_t from, const void *source, uint32_t to,
               void *destination, uint64_t bytes, const Step *step,
               const std::string *port, const Profiler *profiler);
  Status stage(Crossing &crossing, uint32_t lane, uint64_t bytes);
  Status crossingEvents(Crossing &crossing, uint32_t from, uint32_t to);
  Status arriveEverywhere();
  // Observe.cpp
  void planObservation();
  Status observe(const std::vector<uint32_t> &operands, size_t at,
                 const Observer &observer);

  const LoadedVariant &loaded;
  const FlatProgram &program;
  std::vector<Lane> lanes; // one for each device of the variant
  std::map<const void *, Crossing> crossings; // of steps and ports
  // Of the work at hand.
  uint32_t lane = 0;
  aicc_device *device;
  const aicc_driver *driver;
  aicc_driver_stream *stream = nullptr;
  uint32_t streamIndex = 0;
  uint32_t threads = 0;
  std::shared_ptr<const Binding> bound;

  std::vector<uint64_t> words;
  std::vector<aicc_launch> launches;
  std::vector<uint64_t> transferBytes;
  // Inputs: in their order, on each device that reads them.
  std::vector<Port> inputs, outputs;
  // Temporaries of a device that wants them apart, by buffer.
  std::map<uint32_t, aicc_device::Memory> separate;
  uint64_t stagedBytes = 0;

  // What changes while running, of programs that bind symbols: values of
  // symbols and expressions, sizes of buffers and outputs.
  std::vector<int64_t> symbols, exprs, portExprs;
  std::vector<uint64_t> bufferBytes, outputBytes;
  std::vector<int64_t> loopCounts;
  std::vector<Arena> arenas; // one for each bind, and device
  uint64_t lateBytes = 0;
  std::vector<Late> late; // one for each output

  // Calls: what results refer to, and room for the arguments.
  host::Pool pool;
  std::vector<host::Tensor> callTensors;
  std::vector<int64_t> callDims;

  // Profiling: what is timed, and by which event.
  struct Timed {
    const Step *step = nullptr;
    const std::string *port = nullptr; // whose copy it is
    uint32_t grid[3] = {1, 1, 1};
    uint32_t stream = 0;
    uint32_t lane = 0;
    aicc_driver_event *event = nullptr;
  };
  std::vector<Timed> timed;

  // Several streams: launches and copies only, nothing decided on the way.
  bool straight = false;
  bool planned = false; // for the binding, and these staged ports
  std::vector<bool> plannedFor;
  StreamPlan plan;      // empty: all on one stream
  StreamPlan stepsPlan; // the same of a recording, which has no ports
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
