//===- BlockLoad.cpp - blocks of matrices to registers --------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// All lanes of a subgroup name the same block; each then reads what is its own.
//
//===----------------------------------------------------------------------===//

#include "Workgroup.h"

#include <cstring>

using namespace aicc::backends::virtual_device;

// What hardware wouldn't do, "" if nothing.
static std::string wrongWith(const aicc_virtual_block &what,
                             const aicc_virtual_place &from) {
  auto expects = [](const char *name, int64_t found, const std::string &rule) {
    return std::string("loads a block of a matrix whose ") + name + " is " +
           std::to_string(found) + ", expected " + rule;
  };
  auto multiple = [](uint32_t of) {
    return "a multiple of " + std::to_string(of);
  };
  const std::string bounds = std::to_string(what.shortest) + " to " +
                             std::to_string(what.longest) + " bytes";
  const auto begin = reinterpret_cast<uintptr_t>(from.begin);
  if (begin % what.begin_alignment)
    return expects("address", int64_t(begin), multiple(what.begin_alignment));
  for (auto [name, bytes] :
       {std::pair("width", from.width), std::pair("pitch", from.pitch)})
    if (bytes < int64_t(what.shortest) || bytes > int64_t(what.longest))
      return expects(name, bytes, bounds);
  if (from.width % what.width_alignment)
    return expects("width", from.width, multiple(what.width_alignment));
  if (from.pitch % what.pitch_alignment)
    return expects("pitch", from.pitch, multiple(what.pitch_alignment));
  if (from.pitch < from.width)
    return expects("pitch", from.pitch,
                   "at least its width of " + std::to_string(from.width));
  if (from.height < 1 || from.height > int64_t(what.longest))
    return expects("height", from.height,
                   "1 to " + std::to_string(what.longest));
  if (from.place * int64_t(what.place_bytes) % what.width_alignment)
    return expects("block's first place",
                   from.place * int64_t(what.place_bytes),
                   multiple(what.width_alignment) + " bytes");
  return "";
}

bool Workgroup::releaseBlock(size_t first, size_t end) {
  const Thread &leader = threads_[first];
  std::string wrong = wrongWith(*leader.block, leader.place);
  for (size_t i = first; i < end && wrong.empty(); ++i) {
    const aicc_virtual_place &x = leader.place, &y = threads_[i].place;
    if (leader.block != threads_[i].block || x.begin != y.begin ||
        x.width != y.width || x.height != y.height || x.pitch != y.pitch ||
        x.place != y.place || x.line != y.line)
      wrong = "name different blocks";
  }
  if (!wrong.empty()) {
    error_ = nameOf(leader.number) + " and its subgroup: " + wrong + ": " +
             siteText(leader.site);
    return false;
  }
  for (size_t i = first; i < end; ++i)
    threads_[i].state = State::ready;
  return true;
}

void Workgroup::loadBlock(aicc_virtual_thread *self,
                          const aicc_virtual_block *what,
                          const aicc_virtual_place *from, void *to,
                          uint32_t site) {
  auto *thread = static_cast<Thread *>(self);
  const uint32_t lanes = thread->subgroup_size;
  thread->mask = lanes < 64 ? (uint64_t(1) << lanes) - 1 : ~uint64_t(0);
  thread->kind = blockKind;
  thread->block = what;
  thread->place = *from;
  thread->workgroup->wait(*thread, State::shuffle, site);

  const uint32_t size = what->element_bytes;
  const size_t count = size_t(1) << what->layout.element_bits;
  auto *bytes = static_cast<unsigned char *>(to);
  auto find = [&](size_t i) -> const unsigned char * {
    const MatrixPlace at = placeOf(what->layout, self->lane, i);
    const int64_t line = int64_t(from->line) + int64_t(at.line),
                  offset = from->place * int64_t(what->place_bytes) +
                           int64_t(at.position) * size;
    if (line < 0 || line >= from->height || offset < 0 ||
        offset + size > from->width)
      return nullptr;
    return static_cast<const unsigned char *>(from->begin) +
           line * from->pitch + offset;
  };
  for (size_t i = 0; i < count;) {
    const unsigned char *source = find(i);
    if (!source) {
      std::memset(bytes + i++ * size, 0, size);
      continue;
    }
    // Neighbours in memory are one access.
    size_t run = 1;
    while (i + run < count && find(i + run) == source + run * size)
      ++run;
    access(self, source, run * size, 1, 0, site);
    std::memcpy(bytes + i * size, source, run * size);
    i += run;
  }
}
