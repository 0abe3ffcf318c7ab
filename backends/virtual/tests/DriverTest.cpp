//===- DriverTest.cpp - fibers and shadows of virtual devices -------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "backends/virtual/driver/Fiber.h"
#include "backends/virtual/driver/Memory.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

using namespace aicc::backends::virtual_device;

namespace {

struct Counter {
  Fiber fiber;
  Fiber *back = nullptr;
  std::vector<int> *seen = nullptr;
  int number = 0;
  double kept = 0;
};

// Keeps values in registers and on its stack over the switches.
void count(void *argument) {
  auto &self = *static_cast<Counter *>(argument);
  int local[16] = {};
  double sum = self.number;
  for (int i = 0;; ++i) {
    local[i % 16] = i;
    sum = sum * 2 + local[i % 16];
    self.seen->push_back(self.number * 1000 + i);
    self.kept = sum;
    self.fiber.switchTo(*self.back);
  }
}

TEST(Fiber, KeepsItsStateOverSwitches) {
  constexpr size_t bytes = 64 << 10;
  std::vector<int> seen;
  Fiber mine;
  std::vector<std::unique_ptr<Counter>> counters;
  std::vector<std::unique_ptr<char[]>> stacks;
  for (int n = 0; n < 3; ++n) {
    stacks.emplace_back(new char[bytes]);
    Counter &counter = *counters.emplace_back(std::make_unique<Counter>());
    counter.back = &mine;
    counter.seen = &seen;
    counter.number = n;
    counter.fiber.prepare(stacks.back().get(), bytes, count, &counter);
  }
  std::vector<int> expected;
  for (int i = 0; i < 100; ++i)
    for (int n = 0; n < 3; ++n) {
      mine.switchTo(counters[n]->fiber);
      expected.push_back(n * 1000 + i);
    }
  EXPECT_EQ(seen, expected);
  for (int n = 0; n < 3; ++n) {
    double sum = n;
    for (int i = 0; i < 100; ++i)
      sum = sum * 2 + i;
    EXPECT_EQ(counters[n]->kept, sum);
  }
}

TEST(Fiber, IsForgottenWhereItIs) {
  constexpr size_t bytes = 64 << 10;
  std::unique_ptr<char[]> stack(new char[bytes]);
  std::vector<int> seen;
  Fiber mine;
  for (int round = 0; round < 3; ++round) {
    Counter counter;
    counter.back = &mine;
    counter.seen = &seen;
    counter.number = round;
    counter.fiber.prepare(stack.get(), bytes, count, &counter);
    mine.switchTo(counter.fiber);
  }
  EXPECT_EQ(seen, (std::vector<int>{0, 1000, 2000}));
}

// Two threads of the first workgroup of a launch, three of the second.
class ShadowTest : public testing::Test {
protected:
  void SetUp() override {
    ASSERT_TRUE(shadow.reserve(64));
    launch();
  }
  void launch() {
    clock.launch = clock.now + 1;
    group();
  }
  void group() { clock.group = ++clock.now; }
  void barrier() { ++clock.now; }
  Mistake read(uint32_t thread, uint64_t offset = 8, uint64_t bytes = 4) {
    return shadow.touch(offset, bytes, false, false,
                        Access(clock, thread, false), clock, other);
  }
  Mistake write(uint32_t thread, uint64_t offset = 8, uint64_t bytes = 4) {
    return shadow.touch(offset, bytes, true, false,
                        Access(clock, thread, false), clock, other);
  }
  Mistake update(uint32_t thread) {
    return shadow.touch(8, 4, true, false, Access(clock, thread, true), clock,
                        other);
  }

  Shadow shadow;
  Clock clock;
  Access other;
};

TEST_F(ShadowTest, OneThreadDoesWhatItWants) {
  EXPECT_EQ(write(1), Mistake::none);
  EXPECT_EQ(read(1), Mistake::none);
  EXPECT_EQ(write(1), Mistake::none);
}

TEST_F(ShadowTest, ThreadsRaceUntilABarrier) {
  EXPECT_EQ(write(0), Mistake::none);
  EXPECT_EQ(read(1), Mistake::readAfterWrite);
  EXPECT_EQ(other.thread(), 0u);
  EXPECT_EQ(write(1), Mistake::writeAfterWrite);
  barrier();
  EXPECT_EQ(read(1), Mistake::none);
  EXPECT_EQ(write(0), Mistake::writeAfterRead);
  EXPECT_EQ(other.thread(), 1u);
  barrier();
  EXPECT_EQ(write(0), Mistake::none);
}

TEST_F(ShadowTest, EarlierReadersAreNotForgotten) {
  EXPECT_EQ(read(0), Mistake::none);
  EXPECT_EQ(read(1), Mistake::none);
  EXPECT_EQ(read(1), Mistake::none);
  EXPECT_EQ(write(1), Mistake::writeAfterRead);
}

TEST_F(ShadowTest, NothingOrdersWorkgroups) {
  EXPECT_EQ(write(0), Mistake::none);
  barrier();
  group();
  EXPECT_EQ(read(0), Mistake::readAfterWrite);
  EXPECT_EQ(write(0), Mistake::writeAfterWrite);
}

TEST_F(ShadowTest, ReadersOfAnotherWorkgroupAreNotForgotten) {
  EXPECT_EQ(read(0), Mistake::none);
  group();
  EXPECT_EQ(read(0), Mistake::none);
  barrier();
  EXPECT_EQ(read(0), Mistake::none);
  barrier();
  EXPECT_EQ(write(0), Mistake::writeAfterRead);
}

TEST_F(ShadowTest, LaunchesAreOrdered) {
  EXPECT_EQ(write(0), Mistake::none);
  group();
  EXPECT_EQ(read(1, 16), Mistake::none);
  launch();
  EXPECT_EQ(read(1), Mistake::none);
  EXPECT_EQ(write(0, 16), Mistake::none);
}

TEST_F(ShadowTest, AtomicUpdatesRaceWithOthersOnly) {
  EXPECT_EQ(update(0), Mistake::none);
  EXPECT_EQ(update(1), Mistake::none);
  EXPECT_EQ(read(1), Mistake::readAfterWrite);
  group();
  EXPECT_EQ(update(0), Mistake::none);
  barrier();
  // The first workgroup's updates.
  EXPECT_EQ(read(0), Mistake::readAfterWrite);
}

TEST_F(ShadowTest, BytesAreToldApart) {
  EXPECT_EQ(write(0, 8, 4), Mistake::none);
  EXPECT_EQ(write(1, 14, 2), Mistake::none);
  EXPECT_EQ(write(0, 12, 2), Mistake::none);
  EXPECT_EQ(write(2, 16, 1), Mistake::none);
  EXPECT_EQ(write(3, 17, 1), Mistake::none);
  EXPECT_EQ(write(3, 11, 1), Mistake::writeAfterWrite);
  EXPECT_EQ(write(3, 63, 1), Mistake::none);
}

TEST_F(ShadowTest, WorkgroupMemoryIsNewForEach) {
  Access none;
  clock.launch = clock.group;
  auto look = [&](bool isWrite) {
    return shadow.touch(0, 4, isWrite, true, Access(clock, 0, false), clock,
                        none);
  };
  EXPECT_EQ(look(false), Mistake::uninitialised);
  EXPECT_EQ(look(true), Mistake::none);
  EXPECT_EQ(look(false), Mistake::none);
  group();
  clock.launch = clock.group;
  EXPECT_EQ(look(false), Mistake::uninitialised);
  EXPECT_EQ(look(true), Mistake::none);
}

} // namespace
