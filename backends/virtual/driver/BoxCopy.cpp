//===- BoxCopy.cpp - boxes of tensors to a workgroup's memory -------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A box arrives when somebody waits for its counter, as late as it may; until
// then its destination holds nothing of use.
//
//===----------------------------------------------------------------------===//

#include "Workgroup.h"

#include <algorithm>
#include <cstring>

using namespace aicc::backends::virtual_device;

static constexpr uint64_t chunkBytes = 16, lineBytes = 128, blockBytes = 1024;

//===----------------------------------------------------------------------===//
// Counters
//===----------------------------------------------------------------------===//

Workgroup::Counter *Workgroup::counterAt(const Thread &thread,
                                         const void *address, uint32_t site) {
  const auto found =
      counters_.find(static_cast<const unsigned char *>(address) - shared_);
  if (found != counters_.end())
    return &found->second;
  blame(thread, site, "uses a counter that nobody initialised");
  return nullptr;
}

void Workgroup::counterInit(aicc_virtual_thread *self, void *counter,
                            uint32_t arrivals, uint32_t site) {
  auto *thread = static_cast<Thread *>(self);
  Workgroup &group = *thread->workgroup;
  access(self, counter, 8, 8, AICC_VIRTUAL_WRITE | AICC_VIRTUAL_SHARED, site);
  group.counters_[static_cast<unsigned char *>(counter) - group.shared_] = {
      arrivals, arrivals, 0, 0, {}};
}

void Workgroup::counterExpect(aicc_virtual_thread *self, void *address,
                              uint32_t bytes, uint32_t site) {
  auto *thread = static_cast<Thread *>(self);
  Workgroup &group = *thread->workgroup;
  Counter *counter = group.counterAt(*thread, address, site);
  if (counter && !counter->pending) {
    group.blame(*thread, site,
                "arrives at a counter more often than a phase expects");
    counter = nullptr;
  }
  if (!counter)
    group.abandon(*thread);
  counter->expected += bytes;
  --counter->pending;
}

void Workgroup::counterWait(aicc_virtual_thread *self, void *address,
                            uint32_t parity, uint32_t site) {
  auto *thread = static_cast<Thread *>(self);
  Workgroup &group = *thread->workgroup;
  // Another thread's initialisation must be before this.
  access(self, address, 8, 8, AICC_VIRTUAL_SHARED, site);
  Counter *counter = group.counterAt(*thread, address, site);
  if (!counter)
    group.abandon(*thread);
  if (counter->parity != (parity & 1))
    return;
  thread->counter = counter;
  thread->operand = parity & 1;
  group.wait(*thread, State::counter, site);
}

bool Workgroup::releaseCounters() {
  bool any = false;
  for (Thread &thread : threads_) {
    if (thread.state != State::counter)
      continue;
    if (thread.counter->parity == thread.operand)
      if (const std::string wrong = advance(*thread.counter); !wrong.empty()) {
        blame(thread, thread.site, wrong);
        return true;
      }
    if (thread.counter->parity == thread.operand)
      continue;
    thread.state = State::ready;
    any = true;
  }
  return any;
}

std::string Workgroup::advance(Counter &counter) {
  uint64_t bytes = 0;
  for (const Box &box : counter.boxes)
    bytes += box.bytes;
  if (counter.pending || (bytes < counter.expected))
    return "";
  if (bytes > counter.expected)
    return "waits for " + std::to_string(counter.expected) +
           " bytes, but copies of " + std::to_string(bytes) +
           " bytes are under way";
  for (const Box &box : counter.boxes)
    perform(box);
  counter.boxes.clear();
  counter.expected = 0;
  counter.pending = counter.arrivals;
  counter.parity ^= 1;
  return "";
}

//===----------------------------------------------------------------------===//
// Copies
//===----------------------------------------------------------------------===//

// Lines of a box: what lies along its innermost dimension.
static uint64_t linesOf(const aicc_virtual_tensor &map) {
  uint64_t lines = 1;
  for (uint32_t i = 1; i < map.rank; ++i)
    lines *= map.box[i];
  return lines;
}

// Where a line of a box begins in memory; false if it is outside.
static bool findLine(const aicc_virtual_tensor &map, const int32_t *begin,
                     uint64_t line, uint64_t &address) {
  address = map.address;
  for (uint32_t i = 1; i < map.rank; ++i) {
    const int64_t at = int64_t(begin[i]) + int64_t(line % map.box[i]);
    line /= map.box[i];
    if (at < 0 || at >= int64_t(map.sizes[i]))
      return false;
    address += uint64_t(at) * map.strides[i];
  }
  return true;
}

// The part of a line that is inside of the tensor, in elements.
static void clip(const aicc_virtual_tensor &map, const int32_t *begin,
                 int64_t &from, int64_t &to) {
  from = begin[0] < 0 ? -int64_t(begin[0]) : 0;
  to = std::min<int64_t>(map.box[0], int64_t(map.sizes[0]) - begin[0]);
}

void Workgroup::copyBox(aicc_virtual_thread *self, void *destination,
                        void *address, const void *given,
                        const int32_t *coordinates, uint32_t rank,
                        uint32_t site) {
  auto *thread = static_cast<Thread *>(self);
  Workgroup &group = *thread->workgroup;
  Box box{};
  std::memcpy(&box.map, given, sizeof box.map);
  const aicc_virtual_tensor &map = box.map;
  if (map.mark != AICC_VIRTUAL_TENSOR || map.rank != rank ||
      uint64_t(map.box[0]) * map.element_bytes != lineBytes)
    group.stop(*thread, site, [&]() -> std::string {
      return "copies a box of " + std::to_string(rank) +
             " dimensions by what is no map of such a tensor";
    });
  Counter *counter = group.counterAt(*thread, address, site);
  if (!counter)
    group.abandon(*thread);
  const uint64_t lines = linesOf(map);
  box.destination = static_cast<unsigned char *>(destination) - group.shared_;
  box.bytes = lines * lineBytes;
  box.thread = thread->number;
  box.site = site;
  std::copy_n(coordinates, rank, box.begin);
  // Its swizzle goes by addresses.
  if (box.destination % blockBytes)
    group.stop(*thread, site, [&]() -> std::string {
      return "copies a box to " + std::to_string(box.destination) +
             " of workgroup memory, expected a multiple of " +
             std::to_string(blockBytes);
    });
  for (uint64_t line = 0; line < lines; ++line) {
    uint64_t from = 0;
    int64_t first, end;
    clip(map, box.begin, first, end);
    if (findLine(map, box.begin, line, from) && first < end)
      access(self,
             reinterpret_cast<const void *>(from + (box.begin[0] + first) *
                                                       map.element_bytes),
             (end - first) * map.element_bytes, 1, 0, site);
  }
  access(self, destination, box.bytes, 16,
         AICC_VIRTUAL_WRITE | AICC_VIRTUAL_SHARED, site);
  std::memset(destination, 0xcd, box.bytes);
  counter->boxes.push_back(box);
}

void Workgroup::perform(const Box &box) {
  const aicc_virtual_tensor &map = box.map;
  int64_t first, end;
  clip(map, box.begin, first, end);
  for (uint64_t line = 0; line < linesOf(map); ++line) {
    unsigned char bytes[lineBytes] = {};
    uint64_t from = 0;
    if (findLine(map, box.begin, line, from) && first < end)
      std::memcpy(bytes + first * map.element_bytes,
                  reinterpret_cast<const unsigned char *>(from) +
                      (box.begin[0] + first) * map.element_bytes,
                  (end - first) * map.element_bytes);
    const uint64_t to = box.destination + line * lineBytes;
    for (uint64_t chunk = 0; chunk < lineBytes; chunk += chunkBytes)
      std::memcpy(shared_ + (to + (chunk ^ (to / lineBytes % 8 * chunkBytes))),
                  bytes + chunk, chunkBytes);
  }
  // It was no thread that wrote: matrix instructions see it at once.
  for (uint64_t i = 0; i < box.bytes / chunkBytes && !written_.empty(); ++i)
    written_[box.destination / chunkBytes + i] = {};
}
