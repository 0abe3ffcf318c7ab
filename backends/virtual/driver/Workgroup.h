//===- Workgroup.h - the threads of a workgroup as fibers -------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// GPU threads run in turn on the calling thread, each until it waits for others
// or ends. A fiber takes up one GPU thread after the other until one of them
// waits, so that a kernel without barriers needs a single one. A mistake ends
// the launch at once: the fibers are abandoned where they are.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_BACKENDS_VIRTUAL_DRIVER_WORKGROUP_H
#define AICC_BACKENDS_VIRTUAL_DRIVER_WORKGROUP_H

#include "Fiber.h"
#include "Matrix.h"
#include "Memory.h"

#include "aicc/virtual.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace aicc::backends::virtual_device {

using KernelFunction = void (*)(const void *, aicc_virtual_thread *);

/// Stacks of the fibers, used again by the next launch.
class Stacks {
public:
  static constexpr size_t bytes = 256 << 10;
  /// Equal places of neighbouring stacks don't share a set of a cache.
  static constexpr size_t stride = bytes + 5 * 64;
  ~Stacks();
  /// False if there is no memory for that many.
  bool reserve(size_t count);
  void *stack(size_t i) { return static_cast<char *>(memory_) + i * stride; }

private:
  void *memory_ = nullptr;
  size_t count_ = 0;
};

/// What all workgroups of a launch share.
struct Launch {
  Memory &memory;
  Stacks &stacks;
  KernelFunction function;
  const aicc_virtual_kernel *kernel;
  const void *arguments;
  uint32_t groupSize[3];
  uint32_t grid[3];
  uint64_t &steps; // of the device, see Memory.h
  uint32_t maxSharedBytes;
};

class Workgroup {
public:
  explicit Workgroup(Launch &launch);
  /// Runs one workgroup of the grid; false after a mistake.
  bool run(const uint32_t group[3]);
  /// What was wrong: one line.
  const std::string &error() const { return error_; }

private:
  // Kinds of a shuffle: all lanes give their operands.
  static constexpr uint32_t matrixKind = ~0u, matrixBeginKind = ~1u,
                            blockKind = ~2u;
  /// In shadows, whoever reads beside the threads.
  static constexpr uint32_t besideThreads = Access::threadMask - 1;

  enum class State { fresh, ready, barrier, shuffle, counter, ended };

  /// Takes place when it is waited for: as late as it may.
  struct Copy {
    uintptr_t destination, source;
    uint64_t bytes, given;
    uint32_t site;
  };

  /// What instructions beside the threads add to, one after the other. Threads
  /// hold a token in its place, a new one for each instruction.
  struct Sums {
    explicit Sums(const aicc_virtual_matrix &what) : what(what), values(what) {}
    const aicc_virtual_matrix &what;
    MatrixSums values;
    uint32_t token = 0;
    size_t taken = 0; // lanes that have the result
  };
  /// One of its operands: what was in memory when the instruction began.
  struct Operand {
    uint64_t descriptor;
    size_t lines;
    bool across;
    std::vector<unsigned char> bytes;
  };
  /// Takes place when somebody waits for it. All lanes share one.
  struct MatrixWork {
    const aicc_virtual_matrix *what;
    std::shared_ptr<Sums> sums;
    Operand a, b;
    uint32_t site;
    bool done = false;
  };
  using MatrixWorks = std::vector<std::shared_ptr<MatrixWork>>;

  /// A box on its way: takes place when somebody waits for it.
  struct Box {
    aicc_virtual_tensor map;
    int32_t begin[5];
    uint64_t destination; // in the workgroup's memory
    uint64_t bytes;
    uint32_t thread, site;
  };
  /// Phases of a counter in the workgroup's memory.
  struct Counter {
    uint32_t arrivals, pending, parity = 0;
    uint64_t expected = 0; // bytes of the phase
    std::vector<Box> boxes;
  };

  struct Runner;
  struct Thread : aicc_virtual_thread {
    Workgroup *workgroup;
    Runner *runner; // while it is neither fresh nor ended
    uint32_t number;
    State state;
    uint32_t site; // where it waits
    // A shuffle under way.
    uint64_t value, mask;
    uint32_t kind, operand;
    // A matrix instruction under way.
    const aicc_virtual_matrix *matrix;
    MatrixOperands operands;
    // A load of a block under way.
    const aicc_virtual_block *block;
    aicc_virtual_place place;
    std::vector<Copy> openCopies;
    std::vector<std::vector<Copy>> copies; // groups, oldest first
    // Of an instruction beside the threads, as they begin it.
    uint64_t descriptors[2];
    uint32_t across;
    bool fenced; // since the thread touched its elements of the result
    MatrixWorks openWorks;
    std::vector<MatrixWorks> works; // groups, oldest first
    uint64_t published;             // see Written
    Counter *counter;               // that it waits for
  };

  /// The last write to 16 bytes of workgroup memory, counted: before or after
  /// its thread published what it had written.
  struct Written {
    uint64_t when = 0;
    uint32_t thread = 0;
  };

  /// A fiber and what it does.
  struct Runner {
    Fiber fiber;
    Workgroup *workgroup;
  };

  static const aicc_virtual_services services;
  static void work(void *runner);
  static void access(aicc_virtual_thread *self, const void *address,
                     uint64_t bytes, uint32_t alignment, uint32_t flags,
                     uint32_t site);
  static void barrier(aicc_virtual_thread *self, uint32_t site);
  static uint64_t shuffle(aicc_virtual_thread *self, uint64_t value,
                          uint32_t kind, uint32_t operand, uint64_t mask,
                          uint32_t site);

  static void matrix(aicc_virtual_thread *self, const aicc_virtual_matrix *what,
                     const void *a, const void *b, const void *c, void *d,
                     uint32_t site);
  static void copy(aicc_virtual_thread *self, void *destination,
                   const void *source, uint64_t bytes, uint64_t given,
                   uint32_t site);
  static void copyCommit(aicc_virtual_thread *self);
  static void copyWait(aicc_virtual_thread *self, uint32_t pending,
                       uint32_t site);

  static void matrixBegin(aicc_virtual_thread *self,
                          const aicc_virtual_matrix *what, uint64_t a,
                          uint64_t b, uint32_t across, void *sums,
                          uint32_t site);
  static void matrixFence(aicc_virtual_thread *self);
  static void matrixCommit(aicc_virtual_thread *self, uint32_t site);
  static void matrixWait(aicc_virtual_thread *self, uint32_t pending,
                         uint32_t site);
  static void matrixResult(aicc_virtual_thread *self, void *sums,
                           uint64_t bytes, uint32_t site);
  static void publish(aicc_virtual_thread *self);
  static void counterInit(aicc_virtual_thread *self, void *counter,
                          uint32_t arrivals, uint32_t site);
  static void counterExpect(aicc_virtual_thread *self, void *counter,
                            uint32_t bytes, uint32_t site);
  static void counterWait(aicc_virtual_thread *self, void *counter,
                          uint32_t parity, uint32_t site);
  static void copyBox(aicc_virtual_thread *self, void *destination,
                      void *counter, const void *map,
                      const int32_t *coordinates, uint32_t rank, uint32_t site);
  static void view(aicc_virtual_thread *self, const void *address,
                   uint64_t bytes, uint32_t site);

  static void loadBlock(aicc_virtual_thread *self,
                        const aicc_virtual_block *what,
                        const aicc_virtual_place *from, void *to,
                        uint32_t site);

  void touch(Thread &thread, uintptr_t address, uint64_t bytes,
             uint32_t alignment, uint32_t flags, uint32_t site);
  bool isConstant(uintptr_t address, uint64_t bytes) const;
  /// A fiber that takes up fresh threads.
  Runner &idleRunner();
  /// Lets the others run until somebody makes the thread ready again.
  void wait(Thread &thread, State state, uint32_t site);
  bool releaseBarrier();
  bool releaseShuffles();
  bool releaseShuffle(size_t first, size_t end);
  bool releaseMatrix(size_t first, size_t end);
  bool releaseMatrixBegin(size_t first);
  bool releaseBlock(size_t first, size_t end);
  /// Null, with a message, if there is none.
  Counter *counterAt(const Thread &thread, const void *address, uint32_t site);
  /// Ends the phase if nothing is missing; what is wrong, "" if nothing.
  std::string advance(Counter &counter);
  void perform(const Box &box);
  bool releaseCounters();
  /// The sums of all lanes' elements; null with a message if they are mixed.
  std::shared_ptr<Sums> sumsOf(const aicc_virtual_matrix &what, size_t first,
                               std::string &wrong);
  /// Reads an operand, once more; what is wrong with it, "" if nothing.
  std::string read(const aicc_virtual_matrix &what, Operand &operand);
  /// False after a mistake.
  bool finish(const Thread &thread, MatrixWork &work);
  void explainDeadlock();
  /// Ends the launch from within a fiber. The message is made and gone before
  /// the fiber is left for good: nothing of its stack is ever destroyed.
  template <typename Message>
  [[noreturn]] void stop(const Thread &thread, uint32_t site, Message message) {
    blame(thread, site, message());
    abandon(thread);
  }
  void blame(const Thread &thread, uint32_t site, const std::string &what);
  [[noreturn]] void abandon(const Thread &thread);
  std::string nameOf(uint32_t thread) const;
  std::string siteText(uint32_t site) const;

  Launch &launch_;
  std::vector<Thread> threads_;
  std::unique_ptr<unsigned char[]> sharedMemory_;
  unsigned char *shared_ = nullptr;
  Shadow sharedShadow_;
  /// By site the block that it touched last; `nowhere_` before.
  std::vector<Block *> recent_;
  Block nowhere_;
  std::vector<std::unique_ptr<Runner>> runners_;
  std::vector<Runner *> idle_;
  Fiber scheduler_;
  size_t fresh_ = 0; // the first thread that nobody took up
  /// For memory of the device, and for the workgroup's, which is new for each.
  Clock clock_, sharedClock_;
  uint32_t group_[3] = {};
  /// Empty if the kernel has no matrix instructions beside the threads.
  std::vector<Written> written_;
  uint64_t writes_ = 0, writesBefore_ = 0;         // of earlier workgroups
  std::map<uint32_t, std::shared_ptr<Sums>> sums_; // by token
  uint32_t tokens_ = 0;
  std::map<uint64_t, Counter> counters_; // by place in workgroup memory
  std::string error_;
};

} // namespace aicc::backends::virtual_device

#endif // AICC_BACKENDS_VIRTUAL_DRIVER_WORKGROUP_H
