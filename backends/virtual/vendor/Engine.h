//===- Engine.h - streams, events and graphs of a stand-in ------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What CUDA's driver API and HIP do alike, over virtual devices. Numbers of
// errors and flags are those that both vendors use. Cuda.cpp and Hip.cpp give
// it the vendors' entry points.
//
// A stream is a queue and a thread. Its work is done as late as it may: when
// somebody waits for it, asks whether it is done, or a while later. So a
// missing wait shows.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_BACKENDS_VIRTUAL_VENDOR_ENGINE_H
#define AICC_BACKENDS_VIRTUAL_VENDOR_ENGINE_H

#include "aicc/driver.h"

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace aicc::backends::virtual_vendor {

/// Results of calls.
enum Code : int {
  success = 0,
  invalidValue = 1,
  outOfMemory = 2,
  notInitialized = 3,
  noDevice = 100,
  invalidDevice = 101,
  invalidImage = 200,
  invalidContext = 201,
  noBinaryForGpu = 209,
  invalidPtx = 218,
  peerAccessUnsupported = 217,
  operatingSystem = 304,
  invalidHandle = 400,
  illegalState = 401,
  notFound = 500,
  notReady = 600,
  illegalAddress = 700,
  peerAccessAlreadyEnabled = 704,
  contextIsDestroyed = 709,
  misalignedAddress = 716,
  launchFailed = 719,
  notSupported = 801,
  captureUnsupported = 900,
  captureInvalidated = 901,
  captureMerge = 902,
  captureUnmatched = 903,
  captureUnjoined = 904,
  captureIsolation = 905,
  capturedEvent = 907,
  captureWrongThread = 908,
};

/// After these every call on the device returns the same.
bool isSticky(int code);

struct Device;
struct Stream;

/// A piece of work; 0 or what went wrong.
using Work = std::function<int()>;

/// One recording of an event.
struct Record {
  bool done = false;
  uint64_t time = 0;
  Stream *stream = nullptr; // while it isn't done
  uint64_t number = 0;      // in the stream
};

/// Work that is being recorded, and then a graph.
struct Capture {
  struct Node {
    Work work;
    std::vector<size_t> after;
  };
  std::vector<Node> nodes;
  Stream *origin = nullptr;
  std::thread::id thread;
  int mode = 0;
  bool invalid = false;
  std::set<Stream *> joined; // all streams that record into it
};
/// Also what it is made into to be launched.
struct Graph {
  std::shared_ptr<const std::vector<Capture::Node>> nodes;
};

struct Event {
  unsigned flags = 0;
  std::shared_ptr<Record> last;
  std::shared_ptr<Capture> capture; // recorded in it
  std::vector<size_t> after;        // what was recorded before it
};

struct Stream {
  struct Item {
    Work work;
    std::shared_ptr<Record> wait, record; // either, or none
    std::chrono::steady_clock::time_point since;
  };
  Device *device = nullptr;
  std::deque<Item> queue;
  uint64_t pushed = 0, done = 0, wanted = 0;
  bool stopping = false;
  std::condition_variable changed;
  std::thread thread;
  std::shared_ptr<Capture> capture;
  std::vector<size_t> after; // the nodes that its next one comes after
};

struct Module {
  Device *device = nullptr;
  aicc_driver_module *handle = nullptr;
};

struct Function {
  Module *module = nullptr;
  aicc_driver_kernel *kernel = nullptr;
  unsigned dynamicShared = 48 << 10;
  size_t mapBytes = 0; // of tensors' maps behind its arguments

  /// Where it has its first parameter: maps are aligned to 64 in the bank that
  /// parameters begin at 0x210 of (sm_90).
  size_t firstParameter() const { return mapBytes ? 0x240 - 0x210 : 0; }
};

struct Device {
  int number = 0;
  aicc_driver_device *handle = nullptr;
  aicc_driver_stream *queue = nullptr; // the virtual device's, which is none
  int references = 0;                  // to its context
  int error = 0;                       // sticky
  uint64_t used = 0;
  std::set<Stream *> streams;
  std::set<int> peers;
};

/// The process's devices and all that lives on them. Functions take the lock
/// unless they say that it is held.
class Engine {
public:
  /// `table` is the virtual device's.
  explicit Engine(const aicc_driver &table, const char *const *entries);

  // --- entry points ---

  /// Called first by every entry point: injected faults.
  int enter(const char *entry, Device *device);
  int inject(const char *entry, uint32_t nth, int code);
  const char *mistake();

  // --- devices ---

  int init();
  bool initialized();
  int count();
  Device *device(int number); // null if there is none
  unsigned maxShared() const { return maxShared_; }
  uint64_t memoryBytes() const { return memoryBytes_; }

  int retain(Device &device);
  int release(Device &device);
  int stickyError(Device &device);
  bool isRetained(Device &device);

  // --- memory ---

  int alloc(Device &device, uint64_t bytes, bool pinned, void **out);
  int free(void *memory, bool pinned);
  int allocAsync(Stream *stream, uint64_t bytes, void **out);
  int freeAsync(Stream *stream, void *memory);
  int copy(Stream *stream, void *to, const void *from, uint64_t bytes);
  int copyPeer(Stream *stream, void *to, Device &device, const void *from,
               Device &peer, uint64_t bytes);
  int fill(Stream *stream, void *to, uint64_t value, unsigned width,
           uint64_t count);
  int enablePeer(Device &device, Device &peer);

  // --- streams and events ---

  int streamCreate(Device &device, Stream **out);
  int streamDestroy(Stream *stream);
  int streamSynchronize(Stream *stream);
  int streamWait(Stream *stream, Event *event);
  int eventCreate(unsigned flags, Event **out);
  int eventDestroy(Event *event);
  int eventRecord(Event *event, Stream *stream);
  int eventQuery(Event *event);
  int eventSynchronize(Event *event);
  int eventElapsed(float *out, Event *begin, Event *end);

  // --- code ---

  /// The image's size is in the image. `out_log` tells what was wrong.
  int moduleLoad(Device &device, const void *image, Module **out,
                 std::string &out_log);
  int moduleUnload(Module *module);
  int moduleFunction(Module *module, const char *name, Function **out);
  /// A global constant of a module.
  int moduleGlobal(Module *module, const char *name, const void **out,
                   size_t *out_bytes);
  /// Whether all of that memory is such a constant.
  bool isGlobal(const void *memory, size_t bytes);
  int allowShared(Function *function, int bytes);
  int launch(Function *function, const unsigned *grid, const unsigned *block,
             unsigned sharedBytes, Stream *stream, void **extra,
             uintptr_t endMarker);

  // --- graphs ---

  int beginCapture(Stream *stream, int mode);
  int endCapture(Stream *stream, Graph **out);
  int isCapturing(Stream *stream, int *out);
  int graphDestroy(Graph *graph);
  int graphInstantiate(Graph *graph, Graph **out);
  int graphLaunch(Graph *graph, Stream *stream);

private:
  struct Allocation {
    Device *device;
    uint64_t bytes;
    bool pinned;
  };

  int push(Stream *stream, Stream::Item item); // lock held
  int enqueue(Stream *stream, Work work);
  int record(Stream &stream, Work work);      // as a node; lock held
  void want(Stream &stream, uint64_t number); // lock held
  void drain(Stream &stream, std::unique_lock<std::mutex> &lock);
  void drain(Device &device, std::unique_lock<std::mutex> &lock);
  void run(Stream &stream);
  int safe(Stream *stream); // not while capturing; lock held
  Work copyWork(Device &device, void *to, const void *from, uint64_t bytes);
  int failed(std::string what);
  bool known(const void *handle) const; // lock held
  const Allocation *allocationOf(const void *memory, uint64_t bytes) const;

  const aicc_driver &table_;
  const char *const *entries_;
  std::mutex mutex_;
  std::condition_variable finished_;
  bool initialized_ = false;
  std::vector<std::unique_ptr<Device>> devices_;
  uint64_t memoryBytes_;
  unsigned maxShared_ = 0, maxWorkgroup_ = 0;
  std::map<void *, Allocation> memory_;
  std::set<const void *> live_; // streams, events, modules, graphs
  std::set<Capture *> captures_;
  std::map<std::string, std::map<uint32_t, int>> faults_;
  std::map<std::string, uint32_t> calls_;
  std::map<std::pair<Module *, std::string>, std::unique_ptr<Function>>
      functions_;
  /// Constants that were asked for: their size and module.
  std::map<const void *, std::pair<size_t, Module *>> globals_;
  std::string mistake_;
};

} // namespace aicc::backends::virtual_vendor

#endif // AICC_BACKENDS_VIRTUAL_VENDOR_ENGINE_H
