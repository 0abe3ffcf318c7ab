//===- Workgroup.cpp - the threads of a workgroup as fibers ---------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Workgroup.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>

using namespace aicc::backends::virtual_device;

Stacks::~Stacks() {
  if (memory_)
    munmap(memory_, count_ * stride);
}

bool Stacks::reserve(size_t count) {
  if (count <= count_)
    return true;
  if (memory_)
    munmap(memory_, count_ * stride);
  count_ = 0;
  memory_ = mmap(nullptr, count * stride, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory_ == MAP_FAILED) {
    memory_ = nullptr;
    return false;
  }
  count_ = count;
  return true;
}

const aicc_virtual_services Workgroup::services = {
    AICC_VIRTUAL_VERSION,     0,
    Workgroup::access,        Workgroup::barrier,
    Workgroup::shuffle,       Workgroup::matrix,
    Workgroup::copy,          Workgroup::copyCommit,
    Workgroup::copyWait,      Workgroup::matrixBegin,
    Workgroup::matrixFence,   Workgroup::matrixCommit,
    Workgroup::matrixWait,    Workgroup::matrixResult,
    Workgroup::publish,       Workgroup::counterInit,
    Workgroup::counterExpect, Workgroup::counterWait,
    Workgroup::copyBox,       Workgroup::view,
    Workgroup::loadBlock};

Workgroup::Workgroup(Launch &launch)
    : launch_(launch), recent_(launch.kernel->site_count, &nowhere_) {
  clock_.launch = launch.steps + 1;
  const uint64_t bytes = launch.kernel->shared_bytes;
  if (!sharedShadow_.reserve(bytes))
    std::abort(); // as the language does without memory
  if (launch.kernel->flags & AICC_VIRTUAL_USES_MATRIX_BEGIN)
    written_.resize(bytes / 16 + 1);
  constexpr size_t alignment = 128;
  sharedMemory_.reset(new unsigned char[bytes + alignment]);
  const auto address = reinterpret_cast<uintptr_t>(sharedMemory_.get());
  shared_ = sharedMemory_.get() + (alignment - address % alignment) % alignment;
  const uint32_t *size = launch.groupSize;
  threads_.resize(size_t(size[0]) * size[1] * size[2]);
  const uint32_t lanes = launch.kernel->subgroup_size;
  for (size_t i = 0; i < threads_.size(); ++i) {
    Thread &thread = threads_[i];
    thread.services = &services;
    thread.shared = shared_;
    thread.thread[0] = uint32_t(i % size[0]);
    thread.thread[1] = uint32_t(i / size[0] % size[1]);
    thread.thread[2] = uint32_t(i / size[0] / size[1]);
    std::copy_n(size, 3, thread.group_size);
    std::copy_n(launch.grid, 3, thread.grid);
    thread.lane = uint32_t(i % lanes);
    thread.subgroup = uint32_t(i / lanes);
    thread.subgroup_size = lanes;
    thread.workgroup = this;
    thread.number = uint32_t(i);
  }
}

//===----------------------------------------------------------------------===//
// Running in turn
//===----------------------------------------------------------------------===//

void Workgroup::work(void *runner) {
  auto *self = static_cast<Runner *>(runner);
  Workgroup &group = *self->workgroup;
  while (true) {
    while (group.fresh_ < group.threads_.size()) {
      Thread &thread = group.threads_[group.fresh_++];
      thread.runner = self;
      thread.state = State::ready;
      group.launch_.function(group.launch_.arguments, &thread);
      if (!thread.openWorks.empty() || !thread.works.empty()) {
        const MatrixWorks &left =
            thread.works.empty() ? thread.openWorks : thread.works.front();
        group.stop(thread, left.empty() ? ~0u : left.front()->site, [] {
          return std::string("ends while a matrix instruction is under way");
        });
      }
      thread.state = State::ended;
    }
    group.idle_.push_back(self);
    self->fiber.switchTo(group.scheduler_);
  }
}

Workgroup::Runner &Workgroup::idleRunner() {
  if (idle_.empty()) {
    Runner &runner = *runners_.emplace_back(std::make_unique<Runner>());
    runner.workgroup = this;
    runner.fiber.prepare(launch_.stacks.stack(runners_.size() - 1),
                         Stacks::bytes, work, &runner);
    return runner;
  }
  Runner &runner = *idle_.back();
  idle_.pop_back();
  return runner;
}

bool Workgroup::run(const uint32_t group[3]) {
  std::copy_n(group, 3, group_);
  clock_.group = clock_.now = ++launch_.steps;
  sharedClock_ = {clock_.now, clock_.now, clock_.now};
  error_.clear();
  std::memset(shared_, 0xcd, launch_.kernel->shared_bytes);
  for (Thread &thread : threads_) {
    std::copy_n(group, 3, thread.group);
    thread.state = State::fresh;
    thread.openCopies.clear();
    thread.copies.clear();
    thread.openWorks.clear();
    thread.works.clear();
    thread.fenced = false;
    thread.published = 0;
  }
  sums_.clear();
  counters_.clear();
  writesBefore_ = writes_;
  fresh_ = 0;
  while (fresh_ < threads_.size()) {
    scheduler_.switchTo(idleRunner().fiber);
    if (!error_.empty())
      return false;
  }
  while (true) {
    bool waiting = false;
    for (Thread &thread : threads_) {
      if (thread.state == State::ready) {
        scheduler_.switchTo(thread.runner->fiber);
        if (!error_.empty())
          return false;
      }
      waiting |= thread.state != State::ended;
    }
    if (!waiting) {
      for (const auto &[place, counter] : counters_)
        if (!counter.boxes.empty()) {
          const Box &box = counter.boxes.front();
          blame(threads_[box.thread], box.site,
                "began a copy for which nobody waited");
          return false;
        }
      return true;
    }
    const bool shuffled = releaseShuffles(), counted = releaseCounters();
    if (!error_.empty())
      return false;
    if (!shuffled && !counted && !releaseBarrier()) {
      explainDeadlock();
      return false;
    }
  }
}

void Workgroup::wait(Thread &thread, State state, uint32_t site) {
  thread.state = state;
  thread.site = site;
  // Straight to the next one, if it can go on; it is where one comes back
  // from that matters to nobody.
  Fiber *next = &scheduler_;
  if (const size_t after = thread.number + 1; after < threads_.size()) {
    if (threads_[after].state == State::ready)
      next = &threads_[after].runner->fiber;
    else if (threads_[after].state == State::fresh)
      next = &idleRunner().fiber;
  }
  thread.runner->fiber.switchTo(*next);
}

bool Workgroup::releaseBarrier() {
  for (const Thread &thread : threads_)
    if (thread.state != State::barrier || thread.site != threads_[0].site)
      return false;
  for (Thread &thread : threads_)
    thread.state = State::ready;
  clock_.now = sharedClock_.now = ++launch_.steps;
  return true;
}

bool Workgroup::releaseShuffles() {
  bool any = false;
  const size_t lanes = launch_.kernel->subgroup_size;
  for (size_t first = 0; first < threads_.size() && error_.empty();
       first += lanes)
    any |= releaseShuffle(first, std::min(first + lanes, threads_.size()));
  return any;
}

// One subgroup: all lanes that take part are there, or nothing happens.
bool Workgroup::releaseShuffle(size_t first, size_t end) {
  size_t leader = first;
  while (leader < end && threads_[leader].state != State::shuffle)
    ++leader;
  if (leader == end)
    return false;
  if (threads_[leader].kind == matrixBeginKind)
    return releaseMatrixBegin(leader);
  const uint64_t mask = threads_[leader].mask;
  const uint32_t site = threads_[leader].site;
  auto takesPart = [&](size_t i) {
    return i < end && (mask >> (i - first) & 1);
  };
  for (size_t i = first; i < end; ++i) {
    const Thread &thread = threads_[i];
    if (takesPart(i) && (thread.state != State::shuffle ||
                         thread.site != site || thread.mask != mask))
      return false;
  }
  if (threads_[leader].kind == matrixKind)
    return releaseMatrix(first, end);
  if (threads_[leader].kind == blockKind)
    return releaseBlock(first, end);
  uint64_t results[64] = {};
  for (size_t i = first; i < end; ++i) {
    if (!takesPart(i))
      continue;
    const Thread &thread = threads_[i];
    const size_t source = first + (thread.kind == AICC_VIRTUAL_SHUFFLE_XOR
                                       ? (i - first) ^ thread.operand
                                       : thread.operand);
    if (!takesPart(source)) {
      error_ = nameOf(thread.number) + " takes the value of lane " +
               std::to_string(source - first) +
               ", which takes no part in the shuffle: " + siteText(site);
      return false;
    }
    results[i - first] = threads_[source].value;
  }
  for (size_t i = first; i < end; ++i)
    if (takesPart(i)) {
      threads_[i].value = results[i - first];
      threads_[i].state = State::ready;
    }
  return true;
}

bool Workgroup::releaseMatrix(size_t first, size_t end) {
  MatrixOperands lanes[64];
  for (size_t i = first; i < end; ++i)
    lanes[i - first] = threads_[i].operands;
  const std::string wrong =
      multiply(*threads_[first].matrix, lanes, end - first);
  if (!wrong.empty()) {
    error_ = nameOf(threads_[first].number) + " and its subgroup: " + wrong +
             ": " + siteText(threads_[first].site);
    return false;
  }
  for (size_t i = first; i < end; ++i)
    threads_[i].state = State::ready;
  return true;
}

// Nobody can go on.
void Workgroup::explainDeadlock() {
  auto waiting =
      std::find_if(threads_.begin(), threads_.end(), [](const Thread &thread) {
        return thread.state != State::ended;
      });
  const Thread &one = *waiting;
  auto differs = [&](const Thread &thread) {
    return thread.state != one.state || thread.site != one.site;
  };
  auto other = std::find_if(threads_.begin(), threads_.end(), differs);
  error_ = nameOf(one.number) + " waits in a divergent " +
           (one.state == State::barrier   ? "barrier"
            : one.state == State::counter ? "counter"
                                          : "shuffle") +
           " (" + siteText(one.site) + ")";
  if (other == threads_.end())
    error_ += ", whose threads don't agree on who takes part";
  else if (other->state == State::ended)
    error_ += ", but " + nameOf(other->number) + " has ended";
  else
    error_ += ", but " + nameOf(other->number) +
              " waits at: " + siteText(other->site);
}

void Workgroup::blame(const Thread &thread, uint32_t site,
                      const std::string &what) {
  error_ = nameOf(thread.number) + " " + what + ": " + siteText(site);
}

void Workgroup::abandon(const Thread &thread) {
  thread.runner->fiber.switchTo(scheduler_);
  std::abort(); // nobody comes back
}

std::string Workgroup::nameOf(uint32_t number) const {
  auto triple = [](const uint32_t v[3]) {
    return "(" + std::to_string(v[0]) + ", " + std::to_string(v[1]) + ", " +
           std::to_string(v[2]) + ")";
  };
  if (number == besideThreads)
    return "a matrix instruction under way";
  if (number >= threads_.size())
    return "another thread";
  return "thread " + triple(threads_[number].thread) + " of workgroup " +
         triple(group_);
}

std::string Workgroup::siteText(uint32_t site) const {
  return site < launch_.kernel->site_count
             ? std::string("'") + launch_.kernel->sites[site] + "'"
             : "unknown place";
}

//===----------------------------------------------------------------------===//
// Services
//===----------------------------------------------------------------------===//

void Workgroup::barrier(aicc_virtual_thread *self, uint32_t site) {
  auto *thread = static_cast<Thread *>(self);
  thread->workgroup->wait(*thread, State::barrier, site);
}

uint64_t Workgroup::shuffle(aicc_virtual_thread *self, uint64_t value,
                            uint32_t kind, uint32_t operand, uint64_t mask,
                            uint32_t site) {
  auto *thread = static_cast<Thread *>(self);
  const uint32_t lanes = thread->subgroup_size;
  if (lanes < 64)
    mask &= (uint64_t(1) << lanes) - 1;
  if (!(mask >> thread->lane & 1))
    thread->workgroup->stop(*thread, site, [&]() -> std::string {
      return "takes part in a shuffle whose mask leaves it out";
    });
  thread->value = value;
  thread->mask = mask;
  thread->kind = kind;
  thread->operand = operand;
  thread->workgroup->wait(*thread, State::shuffle, site);
  return thread->value;
}

void Workgroup::matrix(aicc_virtual_thread *self,
                       const aicc_virtual_matrix *what, const void *a,
                       const void *b, const void *c, void *d, uint32_t site) {
  auto *thread = static_cast<Thread *>(self);
  const uint32_t lanes = thread->subgroup_size;
  thread->mask = lanes < 64 ? (uint64_t(1) << lanes) - 1 : ~uint64_t(0);
  thread->kind = matrixKind;
  thread->matrix = what;
  thread->operands = {a, b, c, d};
  thread->workgroup->wait(*thread, State::shuffle, site);
}

// The bytes must be free from now on, and hold the copy at the end.
void Workgroup::copy(aicc_virtual_thread *self, void *destination,
                     const void *source, uint64_t bytes, uint64_t given,
                     uint32_t site) {
  auto *thread = static_cast<Thread *>(self);
  Workgroup &group = *thread->workgroup;
  const Copy copy{reinterpret_cast<uintptr_t>(destination),
                  reinterpret_cast<uintptr_t>(source), bytes, given, site};
  if (given > bytes)
    group.stop(*thread, site, [&]() -> std::string {
      return "copies " + std::to_string(given) + " bytes, expected at most " +
             std::to_string(bytes);
    });
  access(self, source, given, uint32_t(bytes), 0, site);
  access(self, destination, bytes, uint32_t(bytes),
         AICC_VIRTUAL_WRITE | AICC_VIRTUAL_SHARED, site);
  // What is read before the end is noticed by what it holds.
  std::memset(destination, 0xcd, bytes);
  thread->openCopies.push_back(copy);
}

void Workgroup::copyCommit(aicc_virtual_thread *self) {
  auto *thread = static_cast<Thread *>(self);
  thread->copies.push_back(std::move(thread->openCopies));
  thread->openCopies.clear();
}

void Workgroup::copyWait(aicc_virtual_thread *self, uint32_t pending,
                         uint32_t) {
  auto *thread = static_cast<Thread *>(self);
  while (thread->copies.size() > pending) {
    for (const Copy &copy : thread->copies.front()) {
      auto *to = reinterpret_cast<unsigned char *>(copy.destination);
      access(self, to, copy.bytes, 1, AICC_VIRTUAL_WRITE | AICC_VIRTUAL_SHARED,
             copy.site);
      std::memcpy(to, reinterpret_cast<const void *>(copy.source), copy.given);
      std::memset(to + copy.given, 0, copy.bytes - copy.given);
    }
    thread->copies.erase(thread->copies.begin());
  }
}

// Only whether there is so much: reads ask for themselves.
void Workgroup::view(aicc_virtual_thread *self, const void *address,
                     uint64_t bytes, uint32_t site) {
  auto *thread = static_cast<Thread *>(self);
  Workgroup &group = *thread->workgroup;
  const auto place = reinterpret_cast<uintptr_t>(address);
  if (site < group.recent_.size()) {
    const Block &last = *group.recent_[site];
    if (place - last.begin < last.end - last.begin && bytes <= last.end - place)
      return;
  }
  Block *block = group.launch_.memory.find(place);
  if (block && bytes <= block->end - place) {
    if (site < group.recent_.size())
      group.recent_[site] = block;
    return;
  }
  if (group.isConstant(place, bytes))
    return;
  group.stop(*thread, site, [&]() -> std::string {
    return "describes " + std::to_string(bytes) + " bytes, more than there are, " +
           group.launch_.memory.describe(place);
  });
}

// The common case of an access: nothing is wrong, and it goes where this site
// went before.
void Workgroup::access(aicc_virtual_thread *self, const void *address,
                       uint64_t bytes, uint32_t alignment, uint32_t flags,
                       uint32_t site) {
  auto *thread = static_cast<Thread *>(self);
  Workgroup &group = *thread->workgroup;
  const auto place = reinterpret_cast<uintptr_t>(address);
  const bool shared = flags & AICC_VIRTUAL_SHARED;
  uintptr_t begin;
  uint64_t size;
  Shadow *shadow;
  const Clock clock = shared ? group.sharedClock_ : group.clock_;
  if (shared) {
    begin = reinterpret_cast<uintptr_t>(group.shared_);
    size = group.launch_.kernel->shared_bytes;
    shadow = &group.sharedShadow_;
  } else {
    Block &block =
        site < group.recent_.size() ? *group.recent_[site] : group.nowhere_;
    begin = block.begin;
    size = block.end - block.begin;
    shadow = &block.shadow;
  }
  const uint64_t offset = place - begin;
  if (shared && flags & AICC_VIRTUAL_WRITE && !group.written_.empty() &&
      bytes && offset < size && bytes <= size - offset)
    for (uint64_t i = offset / 16; i <= (offset + bytes - 1) / 16; ++i)
      group.written_[i] = {++group.writes_, thread->number};
  Access other;
  if (bytes && offset < size && bytes <= size - offset &&
      !(place & (uint64_t(alignment) - 1)) &&
      shadow->touch(offset, bytes, flags & AICC_VIRTUAL_WRITE, shared,
                    Access(clock, thread->number, flags & AICC_VIRTUAL_ATOMIC),
                    clock, other) == Mistake::none)
    return;
  group.touch(*thread, place, bytes, alignment, flags, site);
}

// Tables of the object itself.
bool Workgroup::isConstant(uintptr_t address, uint64_t bytes) const {
  const aicc_virtual_kernel &kernel = *launch_.kernel;
  for (uint32_t i = 0; i < kernel.constant_count; ++i) {
    const aicc_virtual_constant &table = kernel.constants[i];
    const uint64_t offset =
        address - reinterpret_cast<uintptr_t>(table.address);
    if (offset < table.bytes && bytes <= table.bytes - offset)
      return true;
  }
  return false;
}

void Workgroup::touch(Thread &thread, uintptr_t address, uint64_t bytes,
                      uint32_t alignment, uint32_t flags, uint32_t site) {
  if (!bytes)
    return;
  const bool write = flags & AICC_VIRTUAL_WRITE;
  const bool atomic = flags & AICC_VIRTUAL_ATOMIC;
  auto size = [&] {
    return (write ? "writes " : "reads ") + std::to_string(bytes) + " bytes";
  };
  const auto sharedBegin = reinterpret_cast<uintptr_t>(shared_);
  const uint64_t sharedBytes = launch_.kernel->shared_bytes;
  // A little outside of it is a mistake of workgroup memory still.
  const bool shared =
      flags & AICC_VIRTUAL_SHARED || address - sharedBegin < sharedBytes;
  Shadow *shadow;
  uint64_t offset;
  if (shared) {
    offset = address - sharedBegin;
    if (offset >= sharedBytes || bytes > sharedBytes - offset)
      stop(thread, site, [&]() -> std::string {
        return size() + " out of bounds, at " +
               std::to_string(int64_t(offset)) + " of the " +
               std::to_string(sharedBytes) + " bytes of workgroup memory";
      });
    shadow = &sharedShadow_;
  } else {
    Block *block = launch_.memory.find(address);
    if (block && site < recent_.size())
      recent_[site] = block;
    if (!block && !write && isConstant(address, bytes))
      return;
    if (!block || address >= block->end || bytes > block->end - address)
      stop(thread, site, [&]() -> std::string {
        return size() + " out of bounds, " + launch_.memory.describe(address);
      });
    offset = address - block->begin;
    shadow = &block->shadow;
  }
  if (alignment && address % alignment)
    stop(thread, site, [&]() -> std::string {
      return size() + " at an address that is no multiple of " +
             std::to_string(alignment);
    });
  const Clock &clock = shared ? sharedClock_ : clock_;
  Access other;
  const Mistake mistake =
      shadow->touch(offset, bytes, write, /*initialised=*/shared,
                    Access(clock, thread.number, atomic), clock, other);
  const char *where = shared ? " of workgroup memory" : "";
  auto whom = [&] {
    return other.ofSeveralGroups() || other.step() < clock_.group
               ? std::string("another workgroup")
               : nameOf(other.thread());
  };
  switch (mistake) {
  case Mistake::none:
    return;
  case Mistake::uninitialised:
    stop(thread, site, [&]() -> std::string {
      return size() + where + " that nobody wrote";
    });
  case Mistake::readAfterWrite:
    stop(thread, site, [&]() -> std::string {
      return size() + where + " that " + whom() +
             " wrote, with no barrier between: a race";
    });
  case Mistake::writeAfterWrite:
    stop(thread, site, [&]() -> std::string {
      return size() + where + " that " + whom() +
             " wrote too, with no barrier between: a race";
    });
  case Mistake::writeAfterRead:
    stop(thread, site, [&]() -> std::string {
      return size() + where + " that " + whom() +
             " reads, with no barrier between: a race";
    });
  }
}
