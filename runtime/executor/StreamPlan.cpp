//===- StreamPlan.cpp - what of a run may happen at the same time ---------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "StreamPlan.h"

#include <algorithm>

using namespace aicc::executor;

static bool conflict(const Work &a, const Work &b) {
  for (const Work::Range &x : a.ranges)
    for (const Work::Range &y : b.ranges)
      if ((x.written || y.written) && x.space == y.space && x.begin < y.end &&
          y.begin < x.end)
        return true;
  return false;
}

namespace {

// For each stream how much of its work has to be done, counted from 1: work i
// is i + 1.
using Clock = std::vector<uint32_t>;

void join(Clock &to, const Clock &from) {
  for (size_t s = 0; s < to.size(); ++s)
    to[s] = std::max(to[s], from[s]);
}

} // namespace

StreamPlan aicc::executor::planStreams(std::span<const Work> works,
                                       uint32_t most) {
  StreamPlan plan;
  plan.works.resize(works.size());
  const uint32_t transfers = most, count = most + 1;
  std::vector<Clock> before(
      works.size());                 // what each work waits for, itself too
  std::vector<uint32_t> tail(count); // last work of each stream, 0 = none
  for (uint32_t i = 0; i < works.size(); ++i) {
    // All that has to be done before, and the last such work of each stream.
    Clock needed(count), latest(count);
    for (uint32_t j = i; j-- > 0;) {
      const uint32_t stream = plan.works[j].stream;
      // What is known to precede needs no look.
      if (needed[stream] > j || !conflict(works[i], works[j]))
        continue;
      latest[stream] = std::max(latest[stream], j + 1);
      join(needed, before[j]);
    }
    StreamPlan::Entry &entry = plan.works[i];
    if (works[i].kind == Work::transfer) {
      entry.stream = transfers;
    } else if (works[i].kind == Work::narrow) {
      // Behind the latest work it needs, or where nothing stands in its way;
      // else in turn with stream 0.
      uint32_t best = 0;
      for (uint32_t s = 0; s < most; ++s)
        if (tail[s] && tail[s] == latest[s] && latest[s] > best) {
          best = latest[s];
          entry.stream = s;
        }
      for (uint32_t s = 0; s < most && !best; ++s)
        if (tail[s] <= needed[s]) {
          entry.stream = s;
          break;
        }
    }
    // Other streams' work that the stream doesn't know to be done.
    Clock known(count);
    if (tail[entry.stream])
      known = before[tail[entry.stream] - 1];
    for (uint32_t s = 0; s < count; ++s) {
      if (s == entry.stream || latest[s] <= known[s])
        continue;
      entry.waits.push_back(latest[s] - 1);
      plan.works[latest[s] - 1].waitedFor = true;
    }
    join(known, needed);
    known[entry.stream] = i + 1;
    tail[entry.stream] = i + 1;
    before[i] = std::move(known);
  }
  // Streams without gaps.
  std::vector<uint32_t> number(count);
  plan.streams = 1;
  for (uint32_t s = 1; s < count; ++s)
    if (tail[s])
      number[s] = plan.streams++;
  for (StreamPlan::Entry &entry : plan.works)
    entry.stream = number[entry.stream];
  return plan;
}
