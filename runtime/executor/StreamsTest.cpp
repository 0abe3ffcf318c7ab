//===- StreamsTest.cpp - runs on several streams, and replayed ones -------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RuntimeFixture.h"

#include "StreamPlan.h"

#include <random>
#include <thread>

using namespace aicc;
using namespace aicc::executor;
using namespace aicc::testing;
using package::ExprOp;
using package::Storage;

namespace {

//===----------------------------------------------------------------------===//
// Plans
//===----------------------------------------------------------------------===//

Work work(Work::Kind kind, std::vector<uint64_t> reads,
          std::vector<uint64_t> writes) {
  Work work;
  work.kind = kind;
  for (uint64_t at : reads)
    work.ranges.push_back({0, at, at + 1, false});
  for (uint64_t at : writes)
    work.ranges.push_back({0, at, at + 1, true});
  return work;
}

TEST(StreamPlan, AChainStaysOnOneStream) {
  const Work works[] = {work(Work::narrow, {0}, {1}),
                        work(Work::narrow, {1}, {2}),
                        work(Work::wide, {2}, {3})};
  const StreamPlan plan = planStreams(works, 4);
  EXPECT_EQ(plan.streams, 1u);
  for (const StreamPlan::Entry &entry : plan.works) {
    EXPECT_EQ(entry.stream, 0u);
    EXPECT_TRUE(entry.waits.empty());
    EXPECT_FALSE(entry.waitedFor);
  }
}

TEST(StreamPlan, BranchesPartAndMeet) {
  const Work works[] = {
      work(Work::transfer, {}, {0}), work(Work::narrow, {0}, {1}),
      work(Work::narrow, {0}, {2}),  work(Work::narrow, {2}, {3}),
      work(Work::wide, {1, 3}, {4}), work(Work::transfer, {4}, {}),
      work(Work::transfer, {1}, {})};
  const StreamPlan plan = planStreams(works, 4);
  EXPECT_EQ(plan.streams, 3u);
  auto waits = [&](size_t i) { return plan.works[i].waits; };
  using List = std::vector<uint32_t>;
  EXPECT_EQ(plan.works[0].stream, 2u);
  EXPECT_EQ(plan.works[1].stream, 0u);
  EXPECT_EQ(plan.works[2].stream, 1u);
  EXPECT_EQ(plan.works[3].stream, 1u) << "behind what it needs";
  EXPECT_EQ(plan.works[4].stream, 0u);
  EXPECT_EQ(waits(1), List{0});
  EXPECT_EQ(waits(2), List{0});
  EXPECT_EQ(waits(3), List{});
  EXPECT_EQ(waits(4), List{3}) << "1 stands before it on its stream";
  EXPECT_EQ(waits(5), List{4});
  EXPECT_EQ(waits(6), List{}) << "4 was waited for, and 1 precedes it";
}

// Independent values in the same memory must not meet.
TEST(StreamPlan, MemoryIsUsedAgain) {
  const Work works[] = {work(Work::narrow, {0}, {1}),
                        work(Work::narrow, {1}, {2}),
                        work(Work::narrow, {0}, {1})};
  const StreamPlan plan = planStreams(works, 4);
  EXPECT_EQ(plan.streams, 1u);
}

// Whatever the works are: of two that conflict the second waits, directly or
// not, for the first.
TEST(StreamPlan, NothingOvertakes) {
  std::mt19937 random(7);
  size_t severalStreams = 0;
  for (int round = 0; round < 300; ++round) {
    std::vector<Work> works(1 + random() % 40);
    const uint64_t places = 2 + random() % 30;
    for (Work &w : works) {
      w.kind = Work::Kind(random() % 3);
      for (unsigned i = 0, n = 1 + random() % 3; i < n; ++i) {
        const uint64_t begin = random() % places;
        w.ranges.push_back(
            {random() % 2, begin, begin + 1 + random() % 2, random() % 2 == 0});
      }
    }
    const uint32_t most = 1 + random() % 4;
    const StreamPlan plan = planStreams(works, most);
    EXPECT_LE(plan.streams, most + 1);
    severalStreams += plan.streams > 2;
    std::vector<std::vector<bool>> precedes(works.size());
    for (size_t j = 0; j < works.size(); ++j) {
      precedes[j].resize(works.size());
      auto after = [&](size_t i) {
        precedes[j][i] = true;
        for (size_t k = 0; k < i; ++k)
          precedes[j][k] = precedes[j][k] || precedes[i][k];
      };
      for (size_t i = 0; i < j; ++i)
        if (plan.works[i].stream == plan.works[j].stream)
          after(i);
      for (uint32_t i : plan.works[j].waits) {
        EXPECT_LT(i, j);
        EXPECT_TRUE(plan.works[i].waitedFor);
        after(i);
      }
      EXPECT_TRUE(works[j].kind != Work::wide || plan.works[j].stream == 0);
      for (size_t i = 0; i < j; ++i)
        for (const Work::Range &x : works[i].ranges)
          for (const Work::Range &y : works[j].ranges)
            if ((x.written || y.written) && x.space == y.space &&
                x.begin < y.end && y.begin < x.end)
              EXPECT_TRUE(precedes[j][i]) << round << ": " << i << ", " << j;
    }
  }
  EXPECT_GT(severalStreams, 100u);
}

//===----------------------------------------------------------------------===//
// Runs
//===----------------------------------------------------------------------===//

struct Streams : OnDevice {
  void SetUp() override { reset(); }
  void TearDown() override {
    reset();
    OnDevice::TearDown();
  }
  static void reset() {
    FakeDevice::limit = -1;
    FakeDevice::delay = 0;
    FakeDevice::mostAtOnce = 0;
    FakeDevice::recordings = 0;
    FakeDevice::replays = 0;
    FakeDevice::refuseRecording = false;
    FakeDevice::recordStreams(false);
  }

  // a = x and one more, b the same, y[row] = a[row] + b[first row].
  PackageBuilder branches() {
    PackageBuilder b;
    b.symbol("n");
    const uint32_t n = b.exprs.symbol(0);
    b.input("x", f32, {n});
    b.output("y", f32, {n});
    VariantBuilder v = b.variant("t", GetParam(), "elf-so", kernels());
    ExprList &e = v.exprs;
    const uint32_t s = e.symbol(0), c0 = e.constant(0), c1 = e.constant(1),
                   c4 = e.constant(4), c8 = e.constant(8);
    const uint32_t bytes = e.binary(ExprOp::mul, s, c4);
    const uint32_t more = e.binary(ExprOp::add, s, c1),
                   moreBytes = e.binary(ExprOp::mul, more, c4);
    const uint32_t rows = e.binary(ExprOp::ceildiv, s, c8);
    const uint32_t x = v.buffer("x", Storage::input, 0, f32, {s}, bytes);
    const uint32_t y = v.buffer("y", Storage::output, 0, f32, {s}, bytes);
    const uint32_t first =
        v.buffer("a", Storage::temporary, 0, f32, {more}, moreBytes, 0, 2);
    const uint32_t second =
        v.buffer("b", Storage::temporary, 0, f32, {more}, moreBytes, 1, 2);
    const uint32_t append = v.kernel("test_append", 2, 1, 1, {"append"});
    const uint32_t add = v.kernel("test_add", 3, 1, 1, {"add"});
    for (uint32_t to : {first, second})
      v.variant.program.push_back(
          v.launch(append, {x, to}, {s}, {c1, c1, c1}, c0));
    v.variant.program.push_back(
        v.launch(add, {first, second, y}, {s}, {rows, c1, c1}, c0));
    return b;
  }
  void runBranches(int64_t n, float start) {
    Tensor x, y;
    newTensor({n}, x);
    for (int64_t i = 0; i < n; ++i)
      floats(x)[i] = start + float(i % 1000);
    aicc_tensor *const inputs[] = {x};
    ASSERT_EQ(aicc_session_run(session, inputs, 1, y.out(), 1), AICC_OK)
        << aicc_message();
    for (int64_t i = 0; i < n; ++i)
      ASSERT_EQ(floats(y)[i], floats(x)[i] + floats(x)[i % 8]) << i;
  }
  void runAffine(int64_t batch, float start) {
    Tensor x, y;
    newTensor({batch, 8}, x);
    for (int64_t i = 0; i < batch * 8; ++i)
      floats(x)[i] = start + float(i);
    aicc_tensor *const inputs[] = {x};
    ASSERT_EQ(aicc_session_run(session, inputs, 1, y.out(), 1), AICC_OK)
        << aicc_message();
    for (int64_t i = 0; i < batch * 8; ++i)
      ASSERT_EQ(floats(y)[i],
                floats(x)[i] * float(2 * (i % 8 + 1)) + float(10 * (i % 8)));
  }
};

TEST_P(Streams, BranchesAtTheSameTime) {
  create(branches());
  FakeDevice::mostAtOnce = 0;
  FakeDevice::delay = 20000;
  for (int round = 0; round < 3; ++round)
    runBranches(1 << 14, float(round));
  if (GetParam() == std::string("fake")) {
    EXPECT_GE(FakeDevice::mostAtOnce, 2);
    EXPECT_EQ(FakeDevice::recordings, 0);
  }
}

// Short kernels aren't worth another stream.
TEST_P(Streams, ShortBranchesInTurn) {
  create(branches());
  FakeDevice::mostAtOnce = 0;
  FakeDevice::delay = 2000;
  for (int round = 0; round < 3; ++round)
    runBranches(64, float(round));
  EXPECT_LE(FakeDevice::mostAtOnce, 1);
}

// Both at once: work of several streams in a recording.
TEST_P(Streams, BranchesAreRecorded) {
  create(branches());
  FakeDevice::recordStreams(true);
  for (int round = 0; round < 6; ++round)
    runBranches(1 << 14, float(round));
  if (GetParam() == std::string("fake")) {
    EXPECT_EQ(FakeDevice::recordings, 1);
    EXPECT_EQ(FakeDevice::replays, 5);
  }
  // Where there is much to copy, kernels run meanwhile.
  for (int round = 0; round < 3; ++round)
    runBranches(1 << 17, float(round));
  EXPECT_LE(FakeDevice::recordings, 1);
  for (int64_t n : {64, 1 << 14, 1 << 14, 1 << 14, 64, 64, 64, 8, 1 << 14})
    runBranches(n, float(n % 7));
}

TEST_P(Streams, BranchesThatCannotBeRecordedRun) {
  create(branches());
  FakeDevice::recordStreams(true);
  FakeDevice::refuseRecording = true;
  for (int round = 0; round < 2; ++round)
    runBranches(1 << 14, float(round));
  FakeDevice::mostAtOnce = 0;
  FakeDevice::delay = 20000;
  runBranches(1 << 14, 2);
  if (GetParam() == std::string("fake"))
    EXPECT_GE(FakeDevice::mostAtOnce, 2) << "on several streams as before";
  EXPECT_EQ(FakeDevice::replays, 0);
}

// Which sizes are run in which way changes from run to run.
TEST_P(Streams, SizesChange) {
  create(branches());
  for (int64_t n : {64, 1 << 14, 64, 64, 64, 1 << 17, 8, 8, 8, 1 << 14})
    runBranches(n, float(n % 7));
}

TEST_P(Streams, ProfileSaysWhich) {
  create(branches());
  FakeDevice::recordStreams(true);
  runBranches(1 << 14, 0);
  std::vector<std::string> seen;
  aicc_session_profile(
      session,
      [](const aicc_profile_event *event, void *context) {
        static_cast<std::vector<std::string> *>(context)->push_back(
            std::string(event->name) + " " + std::to_string(event->stream));
        EXPECT_LE(event->begin_ns, event->end_ns);
      },
      &seen);
  runBranches(1 << 14, 1);
  aicc_session_profile(session, nullptr, nullptr);
  if (GetParam() == std::string("fake"))
    EXPECT_EQ(seen, (std::vector<std::string>{"x 2", "append 0", "append 1",
                                              "add 0", "y 2"}));
  else
    EXPECT_EQ(seen,
              (std::vector<std::string>{"append 0", "append 0", "add 0"}));
}

TEST_P(Streams, FailuresOnTheWay) {
  if (GetParam() != std::string("fake"))
    GTEST_SKIP() << "a cpu doesn't fail on demand";
  create(branches());
  const int64_t n = 1 << 14;
  Tensor x;
  newTensor({n}, x);
  std::fill_n(floats(x), n, 1.f);
  aicc_tensor *const inputs[] = {x};
  bool finished = false;
  for (int64_t calls = 0; calls < 100 && !finished; ++calls) {
    Tensor y;
    FakeDevice::failAfter = calls;
    finished = aicc_session_run(session, inputs, 1, y.out(), 1) == AICC_OK;
    FakeDevice::failAfter = -1;
    runBranches(n, 3);
  }
  EXPECT_TRUE(finished);
}

TEST_P(Streams, FailuresWhileRecording) {
  if (GetParam() != std::string("fake"))
    GTEST_SKIP() << "a cpu doesn't fail on demand";
  const int64_t n = 1 << 14;
  bool finished = false;
  for (int64_t calls = 0; calls < 100 && !finished; ++calls) {
    create(branches());
    FakeDevice::recordStreams(true);
    runBranches(n, 1);
    Tensor x, y;
    newTensor({n}, x);
    std::fill_n(floats(x), n, 1.f);
    aicc_tensor *const inputs[] = {x};
    FakeDevice::failAfter = calls;
    finished = aicc_session_run(session, inputs, 1, y.out(), 1) == AICC_OK &&
               FakeDevice::replays > 0;
    FakeDevice::failAfter = -1;
    for (int round = 0; round < 3; ++round)
      runBranches(n, float(round));
    FakeDevice::replays = 0;
  }
  EXPECT_TRUE(finished);
}

//===----------------------------------------------------------------------===//
// Replay
//===----------------------------------------------------------------------===//

struct Replay : Streams {};

TEST_P(Replay, TheSecondRunIsRecorded) {
  create(model());
  runAffine(2, 0);
  EXPECT_EQ(FakeDevice::recordings, 0);
  runAffine(2, 1);
  EXPECT_EQ(FakeDevice::recordings, 1);
  const int64_t launches = FakeDevice::launches;
  for (int round = 2; round < 6; ++round)
    runAffine(2, float(round));
  EXPECT_EQ(FakeDevice::launches, launches) << "only replayed";
  EXPECT_EQ(FakeDevice::replays, 5);
}

TEST_P(Replay, NotWithOtherSizes) {
  create(model());
  for (int round = 0; round < 3; ++round)
    for (int64_t batch : {1, 2, 3})
      runAffine(batch, float(round));
  EXPECT_EQ(FakeDevice::replays, 0);
  for (int round = 0; round < 3; ++round)
    runAffine(3, float(round));
  EXPECT_EQ(FakeDevice::recordings, 1);
  runAffine(1, 0);
  runAffine(3, 0);
  EXPECT_EQ(FakeDevice::recordings, 1);
  runAffine(3, 0);
  EXPECT_EQ(FakeDevice::recordings, 2);
}

// The caller's memory of the device is part of a recording.
TEST_P(Replay, NotInOtherMemory) {
  create(model());
  aicc_device *device = deviceNamed("fake");
  aicc_device::Memory memory[2];
  Tensor x[2];
  const int64_t dims[] = {2, 8};
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(device->allocate(64, memory[i]).ok());
    for (int k = 0; k < 16; ++k)
      static_cast<float *>(memory[i].get())[k] = float(100 * i);
    ASSERT_EQ(aicc_tensor_from_device(device, memory[i].get(), AICC_F32, 2,
                                      dims, nullptr, nullptr, x[i].out()),
              AICC_OK);
  }
  const int order[] = {0, 0, 0, 1, 0, 1, 1, 1};
  const int64_t replays[] = {0, 1, 2, 2, 2, 2, 3, 4};
  for (int round = 0; round < 8; ++round) {
    Tensor y;
    aicc_tensor *const inputs[] = {x[order[round]]};
    ASSERT_EQ(aicc_session_run(session, inputs, 1, y.out(), 1), AICC_OK);
    for (int i = 0; i < 16; ++i)
      EXPECT_EQ(floats(y)[i], float(100 * order[round] * 2 * (i % 8 + 1)) +
                                  float(10 * (i % 8)));
    EXPECT_EQ(FakeDevice::replays, replays[round]) << round;
  }
}

TEST_P(Replay, MemoryBeginsWhereKernelsExpect) {
  create(model());
  aicc_device *device = deviceNamed("fake");
  aicc_device::Memory memory;
  ASSERT_TRUE(device->allocate(128, memory).ok());
  Tensor x, y;
  const int64_t dims[] = {2, 8};
  ASSERT_EQ(
      aicc_tensor_from_device(device, static_cast<char *>(memory.get()) + 4,
                              AICC_F32, 2, dims, nullptr, nullptr, x.out()),
      AICC_OK);
  aicc_tensor *const inputs[] = {x};
  ASSERT_EQ(aicc_session_run(session, inputs, 1, y.out(), 1),
            AICC_INVALID_ARGUMENT);
  EXPECT_STREQ(aicc_message(),
               "a tensor in the memory of fake:0 begins at an address that is "
               "no multiple of 64, as kernels expect");
}

TEST_P(Replay, NotWhileSomebodyLooks) {
  create(model());
  for (int round = 0; round < 3; ++round)
    runAffine(2, float(round));
  const int64_t replays = FakeDevice::replays;
  int events = 0, values = 0;
  aicc_session_profile(
      session,
      [](const aicc_profile_event *, void *count) {
        ++*static_cast<int *>(count);
      },
      &events);
  runAffine(2, 0);
  aicc_session_profile(session, nullptr, nullptr);
  aicc_session_observe(
      session,
      [](const aicc_value *, void *count) { ++*static_cast<int *>(count); },
      &values);
  runAffine(2, 0);
  aicc_session_observe(session, nullptr, nullptr);
  EXPECT_EQ(FakeDevice::replays, replays);
  EXPECT_EQ(events, 4);
  EXPECT_EQ(values, 2);
  runAffine(2, 0);
  EXPECT_EQ(FakeDevice::replays, replays + 1);
}

TEST_P(Replay, WhatCannotBeRecordedRuns) {
  create(model());
  FakeDevice::refuseRecording = true;
  for (int round = 0; round < 5; ++round)
    runAffine(2, float(round));
  EXPECT_EQ(FakeDevice::replays, 0);
  // A program that reads sizes from the device asks the host every time.
  Package other;
  Session reading;
  FakeDevice::refuseRecording = false;
  FakeDevice::recordings = 0;
  ASSERT_EQ(openBytes(compressModel("fake", "elf-so", kernels()).finish(),
                      other.out()),
            AICC_OK);
  ASSERT_EQ(
      aicc_session_create(other, deviceNamed("fake"), nullptr, reading.out()),
      AICC_OK);
  Tensor x;
  newTensor({4}, x);
  std::fill_n(floats(x), 4, 1.f);
  aicc_tensor *const inputs[] = {x};
  for (int round = 0; round < 3; ++round) {
    Tensor y;
    ASSERT_EQ(aicc_session_run(reading, inputs, 1, y.out(), 1), AICC_OK);
    EXPECT_EQ(aicc_tensor_dims(y)[0], 4);
  }
  EXPECT_EQ(FakeDevice::recordings, 0);
}

TEST_P(Replay, AfterFailures) {
  create(model());
  for (int round = 0; round < 3; ++round)
    runAffine(2, float(round));
  Tensor x;
  newTensor({2, 8}, x);
  std::fill_n(floats(x), 16, 1.f);
  aicc_tensor *const inputs[] = {x};
  bool finished = false;
  for (int64_t calls = 0; calls < 20 && !finished; ++calls) {
    Tensor y;
    FakeDevice::failAfter = calls;
    finished = aicc_session_run(session, inputs, 1, y.out(), 1) == AICC_OK;
    FakeDevice::failAfter = -1;
    for (int round = 0; round < 3; ++round)
      runAffine(2, float(round));
  }
  EXPECT_TRUE(finished);
}

// Trips that are known, with swaps: y counts up in one of two places.
TEST_P(Replay, Loops) {
  PackageBuilder b;
  b.symbol("steps");
  const uint32_t steps = b.exprs.symbol(0), four = b.exprs.constant(4);
  b.input("count", f32, {steps});
  b.output("y", f32, {four});
  b.package.symbol_count = 2;
  VariantBuilder v = b.variant("t", GetParam(), "elf-so", kernels());
  ExprList &e = v.exprs;
  const uint32_t s = e.symbol(0), i = e.symbol(1), c0 = e.constant(0),
                 c1 = e.constant(1), c4 = e.constant(4), c16 = e.constant(16);
  v.buffer("count", Storage::input, 0, f32, {s}, e.binary(ExprOp::mul, s, c4));
  const uint32_t y = v.buffer("y", Storage::output, 0, f32, {c4}, c16);
  uint32_t pair[2];
  for (uint32_t &each : pair)
    each = v.buffer("t", Storage::temporary, 0, f32, {c4}, c16, 0, 9);
  const uint32_t step = v.kernel("test_step", 1, 1, 2, {"step"});
  using package::Operation;
  for (uint32_t each : pair)
    v.variant.program.push_back(v.transfer(Operation::fill_zero, {each}));
  std::vector<std::unique_ptr<package::InstructionT>> body;
  body.push_back(v.launch(step, {pair[0]}, {c4, i}, {c1, c1, c1}, c0));
  body.push_back(v.transfer(Operation::swap, {pair[0], pair[1]}));
  v.variant.program.push_back(v.loop(1, s, std::move(body)));
  v.variant.program.push_back(v.transfer(Operation::copy, {pair[1], y}));
  create(b);
  for (int64_t n : {3, 3, 3, 3, 2, 2, 2, 5, 5, 5}) {
    Tensor x, out;
    newTensor({n}, x);
    aicc_tensor *const inputs[] = {x};
    ASSERT_EQ(aicc_session_run(session, inputs, 1, out.out(), 1), AICC_OK)
        << aicc_message();
    // The last one stepped: every second trip, from the end.
    for (int k = 0; k < 4; ++k) {
      float expected = 0;
      for (int64_t trip = n - 1; trip >= 0; trip -= 2)
        expected += float(k + trip);
      EXPECT_EQ(floats(out)[k], expected) << n;
    }
  }
  EXPECT_EQ(FakeDevice::recordings, 3);
  EXPECT_EQ(FakeDevice::replays, 3 + 2 + 2);
}

TEST_P(Replay, ByManyThreads) {
  create(model());
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int round = 0; round < 20; ++round)
        runAffine(1 + (t + round / 10) % 2, float(round));
    });
  for (std::thread &thread : threads)
    thread.join();
}

//===----------------------------------------------------------------------===//
// Runs that nobody waits for
//===----------------------------------------------------------------------===//

TEST_P(Streams, RunsOverlap) {
  create(model());
  constexpr int count = 6;
  Tensor x[count], y[count];
  Pending runs[count];
  for (int r = 0; r < count; ++r) {
    newTensor({2, 8}, x[r]);
    std::fill_n(floats(x[r]), 16, float(r));
  }
  FakeDevice::mostAtOnce = 0;
  FakeDevice::delay = 10000;
  for (int r = 0; r < count; ++r) {
    aicc_tensor *const inputs[] = {x[r]};
    ASSERT_EQ(aicc_session_run_async(session, inputs, 1, y[r].out(), 1,
                                     runs[r].out()),
              AICC_OK);
  }
  for (int r = count; r-- > 0;) {
    ASSERT_EQ(aicc_run_wait(runs[r]), AICC_OK);
    for (int i = 0; i < 16; ++i)
      EXPECT_EQ(floats(y[r])[i], float(r * 2 * (i % 8 + 1) + 10 * (i % 8)));
  }
  if (GetParam() == std::string("fake")) {
    EXPECT_EQ(FakeDevice::mostAtOnce, 2);
  }
}

// The result of one is what the next begins with.
TEST_P(Streams, ChainedRunsFollowEachOther) {
  create(model());
  FakeDevice::delay = 5000;
  constexpr int count = 4;
  Tensor tensors[count + 1];
  Pending runs[count];
  newTensor({1, 8}, tensors[0]);
  std::fill_n(floats(tensors[0]), 8, 1.f);
  for (int r = 0; r < count; ++r) {
    aicc_tensor *const inputs[] = {tensors[r]};
    ASSERT_EQ(aicc_session_run_async(session, inputs, 1, tensors[r + 1].out(),
                                     1, runs[r].out()),
              AICC_OK);
  }
  ASSERT_EQ(aicc_run_wait(runs[count - 1]), AICC_OK);
  for (int i = 0; i < 8; ++i) {
    float expected = 1;
    for (int r = 0; r < count; ++r)
      expected = expected * float(2 * (i + 1)) + float(10 * i);
    EXPECT_EQ(floats(tensors[count])[i], expected);
  }
}

// Memory that is enough for one run only.
TEST_P(Streams, OneAfterTheOtherIfMemoryIsShort) {
  create(model());
  runAffine(1000, 0);
  FakeDevice::limit = FakeDevice::liveBytes + 1000;
  FakeDevice::mostAtOnce = 0;
  FakeDevice::delay = 1000;
  constexpr int count = 4;
  Tensor x[count], y[count];
  Pending runs[count];
  for (int r = 0; r < count; ++r) {
    newTensor({1000, 8}, x[r]);
    std::fill_n(floats(x[r]), 8000, float(r));
    aicc_tensor *const inputs[] = {x[r]};
    ASSERT_EQ(aicc_session_run_async(session, inputs, 1, y[r].out(), 1,
                                     runs[r].out()),
              AICC_OK);
  }
  for (int r = 0; r < count; ++r) {
    ASSERT_EQ(aicc_run_wait(runs[r]), AICC_OK) << aicc_message();
    for (int i = 0; i < 8000; ++i)
      ASSERT_EQ(floats(y[r])[i], float(r * 2 * (i % 8 + 1) + 10 * (i % 8)));
  }
  EXPECT_LE(FakeDevice::mostAtOnce, 1);
  // More than there is stays a failure.
  if (GetParam() != std::string("fake"))
    return;
  Tensor large, none;
  Pending run;
  newTensor({100000, 8}, large);
  aicc_tensor *const inputs[] = {large};
  ASSERT_EQ(
      aicc_session_run_async(session, inputs, 1, none.out(), 1, run.out()),
      AICC_OK);
  EXPECT_EQ(aicc_run_wait(run), AICC_OUT_OF_MEMORY);
}

TEST_P(Streams, FailedRunsOfTheQueue) {
  create(model());
  for (int64_t calls = 0; calls < 40; ++calls) {
    Tensor x, y[3];
    Pending runs[3];
    newTensor({2, 8}, x);
    std::fill_n(floats(x), 16, 1.f);
    aicc_tensor *const inputs[] = {x};
    FakeDevice::failAfter = GetParam() == std::string("fake") ? calls : -1;
    for (int r = 0; r < 3; ++r)
      ASSERT_EQ(aicc_session_run_async(session, inputs, 1, y[r].out(), 1,
                                       runs[r].out()),
                AICC_OK);
    aicc_status last = AICC_OK;
    for (Pending &run : runs)
      last = aicc_run_wait(run);
    FakeDevice::failAfter = -1;
    if (GetParam() == std::string("fake") && calls == 0) {
      EXPECT_EQ(last, AICC_DEVICE_ERROR);
    }
    runAffine(2, 1);
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, Streams, ::testing::Values("cpu", "fake"));
INSTANTIATE_TEST_SUITE_P(Devices, Replay, ::testing::Values("fake"));

} // namespace
