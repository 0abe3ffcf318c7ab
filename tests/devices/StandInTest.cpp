//===- StandInTest.cpp - the drivers of CUDA and HIP at work --------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the conformance suite can't ask of every driver: that work is really
// asynchronous, graphs of several streams, pools, peers. Stand-ins do work as
// late as they may.
//
//===----------------------------------------------------------------------===//

#include "StandIn.h"

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <thread>

namespace {

uint64_t now() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return uint64_t(time.tv_sec) * 1000000000 + uint64_t(time.tv_nsec);
}

TEST_F(StandIn, AStandInIsNoRealDevice) {
  // Named by its own family, and by that only.
  const aicc_driver *real = vendor->real();
  uint32_t count = 1;
  EXPECT_EQ(real->device_count(&count), AICC_OK);
  EXPECT_EQ(count, 0u);
  EXPECT_NE(std::string(real->last_error()).find("names a stand-in"),
            std::string::npos);
  EXPECT_EQ(aicc_device_find(real->family), nullptr);
  EXPECT_NE(std::string(aicc_message()).find("names a stand-in"),
            std::string::npos)
      << aicc_message();
  // It comes before the plain virtual device.
  const std::string first = driver->family + std::string(":0");
  aicc_device *found = aicc_device_find(driver->family);
  ASSERT_NE(found, nullptr) << aicc_message();
  EXPECT_EQ(found, aicc_device_find(first.c_str()));
  const std::string second = driver->family + std::string(":1");
  EXPECT_NE(aicc_device_find(second.c_str()), nullptr) << aicc_message();
  const aicc_device_properties *p = driver->device_properties(device);
  ASSERT_EQ(p->format_count, 1u);
  EXPECT_STREQ(p->formats[0], "elf-virtual");
  EXPECT_STREQ(p->chip, "");
  EXPECT_NE(std::string(p->name).find(", through "), std::string::npos);
  EXPECT_FALSE(p->flags & AICC_DEVICE_SYNCHRONOUS);
}

TEST_F(StandIn, WorkIsLate) {
  float *memory = floats(1000, 1);
  std::vector<float> host(1000, 0);
  aicc_driver_event *event = newEvent();
  EXPECT_DONE(driver->copy(stream, host.data(), memory, 4000));
  EXPECT_DONE(driver->event_record(stream, event));
  EXPECT_EQ(host[999], 0) << "nobody has waited";
  EXPECT_DONE(driver->stream_synchronize(stream));
  EXPECT_EQ(host[999], 1);
  // Nobody needs to wait for it to be done some time.
  EXPECT_DONE(driver->fill(stream, memory, 4000, 0, 4));
  EXPECT_DONE(driver->copy(stream, host.data(), memory, 4000));
  EXPECT_DONE(driver->event_record(stream, event));
  int done = 0;
  for (int round = 0; round < 10000 && !done; ++round) {
    EXPECT_DONE(driver->event_query(event, &done));
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_TRUE(done);
  EXPECT_EQ(host[999], 0);
}

TEST_F(StandIn, StreamsAreApartWithoutEvents) {
  // The second stream doesn't see what the first has been given but not done.
  aicc_driver_stream *second = newStream();
  float *memory = floats(100, 1);
  EXPECT_DONE(driver->fill(stream, memory, 400, 0, 4));
  EXPECT_EQ(read(memory, 100, second), std::vector<float>(100, 1));
  // It does behind an event, which drives the first stream, too.
  aicc_driver_event *event = newEvent();
  EXPECT_DONE(driver->event_record(stream, event));
  EXPECT_DONE(driver->stream_wait(second, event));
  EXPECT_EQ(read(memory, 100, second), std::vector<float>(100, 0));
}

TEST_F(StandIn, Launches) {
  aicc_driver_kernel *reverse = kernel("test_reverse");
  constexpr int n = 100;
  std::vector<float> data(n), expected(n);
  for (int i = 0; i < n; ++i)
    data[size_t(i)] = expected[size_t(n - 1 - i)] = float(i);
  float *x = floats(n), *y = floats(n);
  EXPECT_DONE(driver->copy(stream, x, data.data(), n * 4));
  EXPECT_DONE(launch(stream, reverse, x, y, n, 4, 32));
  EXPECT_EQ(read(y, n), expected);
}

TEST_F(StandIn, MapsFollowTheArguments) {
  aicc_driver_kernel *map = kernel("test_map");
  float *x = floats(256), *y = floats(8);
  if (vendor != &cudaUnderTest) { // a driver that writes none is refused
    EXPECT_FAILS(launch(stream, map, x, y, 8), AICC_INVALID_ARGUMENT,
                 "launching 'test_map'");
    return;
  }
  EXPECT_DONE(launch(stream, map, x, y, 8));
  EXPECT_EQ(read(y, 1), std::vector<float>{1});
  EXPECT_FAILS(launch(stream, map, x + 1, y, 8), AICC_INVALID_ARGUMENT,
               "launching 'test_map'", "(1)");
  inject("cuTensorMapEncodeTiled", 1, 999);
  EXPECT_FAILS(launch(stream, map, x, y, 8), AICC_DEVICE_ERROR, "(999)");
}

TEST_F(StandIn, SharedMemoryIsAskedFor) {
  aicc_driver_kernel *reverse = kernel("test_reverse");
  float *x = floats(8), *y = floats(8);
  for (uint32_t shared : {0u, 1u << 10, 48u << 10, 100u << 10})
    EXPECT_DONE(launch(stream, reverse, x, y, 8, 1, 8, shared));
  EXPECT_DONE(driver->stream_synchronize(stream));
  EXPECT_FAILS(launch(stream, reverse, x, y, 8, 1, 8, 1 << 20),
               AICC_INVALID_ARGUMENT, "launching 'test_reverse'", "(1)");
  EXPECT_FAILS(launch(stream, reverse, x, y, 8, 1, 2048), AICC_INVALID_ARGUMENT,
               "launching 'test_reverse'");
}

TEST_F(StandIn, TimesAreTheHosts) {
  aicc_driver_kernel *reverse = kernel("test_reverse");
  float *x = floats(512), *y = floats(512);
  aicc_driver_event *event = newEvent();
  uint64_t last = 0;
  for (int round = 0; round < 5; ++round) {
    const uint64_t before = now();
    EXPECT_DONE(launch(stream, reverse, x, y, 512, 16, 32, 0, event));
    EXPECT_DONE(driver->stream_synchronize(stream));
    const uint64_t after = now();
    uint64_t begin = 0, end = 0;
    EXPECT_DONE(driver->event_times(event, &begin, &end));
    constexpr uint64_t slack = 50000000; // of a busy machine
    EXPECT_LT(begin, end);
    EXPECT_GT(begin + slack, before);
    EXPECT_LT(end, after + slack);
    EXPECT_GE(begin + 1000, last);
    last = end;
  }
}

TEST_F(StandIn, FillsOfAnyWidth) {
  float *memory = floats(64);
  struct {
    uint64_t value;
    uint32_t width;
  } cases[] = {{0x12, 1},
               {0x1234, 2},
               {0x12345678, 4},
               {0x123456789abcdef0, 8},
               {0x4242424242424242, 8},
               {0x1234123412341234, 8},
               {0x1234567812345678, 8}};
  for (const auto &c : cases)
    for (unsigned count : {1u, 3u, 13u}) {
      EXPECT_DONE(driver->fill(stream, memory, 256, 0, 1));
      EXPECT_DONE(
          driver->fill(stream, memory + 2, count * c.width, c.value, c.width));
      std::vector<unsigned char> expected(256), found(256);
      for (unsigned i = 0; i < count; ++i)
        std::memcpy(&expected[8 + i * c.width], &c.value, c.width);
      EXPECT_DONE(driver->copy(stream, found.data(), memory, 256));
      EXPECT_DONE(driver->stream_synchronize(stream));
      EXPECT_EQ(found, expected) << std::hex << c.value << " x " << count;
    }
  EXPECT_FAILS(driver->fill(stream, memory, 12, 0, 3), AICC_INVALID_ARGUMENT,
               "3 bytes");
}

TEST_F(StandIn, PoolsFollowTheStream) {
  void *first = nullptr;
  std::vector<float> host(1000);
  ASSERT_DONE(driver->alloc_async(stream, 4000, &first));
  const float one = 1;
  uint32_t bits;
  std::memcpy(&bits, &one, 4);
  EXPECT_DONE(driver->fill(stream, first, 4000, bits, 4));
  EXPECT_DONE(driver->copy(stream, host.data(), first, 4000));
  EXPECT_DONE(driver->free_async(stream, first));
  EXPECT_DONE(driver->stream_synchronize(stream));
  EXPECT_EQ(host, std::vector<float>(1000, 1));
  EXPECT_DONE(driver->free_async(stream, nullptr));
}

TEST_F(StandIn, GraphsOfSeveralStreams) {
  aicc_driver_kernel *doubling = kernel("test_double");
  aicc_driver_stream *second = newStream();
  aicc_driver_event *fork = newEvent(), *join = newEvent();
  float *x = floats(8), *y = floats(8), *z = floats(8);
  std::vector<float> input(8, 1), output(8, 0);
  aicc_driver_graph *graph = nullptr;
  ASSERT_DONE(driver->graph_begin(stream));
  EXPECT_DONE(driver->copy(stream, x, input.data(), 32));
  EXPECT_DONE(driver->event_record(stream, fork));
  EXPECT_DONE(driver->stream_wait(second, fork));
  EXPECT_DONE(launch(second, doubling, x, y, 8));
  EXPECT_DONE(driver->event_record(second, join));
  EXPECT_DONE(driver->stream_wait(stream, join));
  EXPECT_DONE(launch(stream, doubling, y, z, 8));
  EXPECT_DONE(driver->copy(stream, output.data(), z, 32));
  ASSERT_DONE(driver->graph_end(stream, &graph));
  EXPECT_DONE(driver->stream_synchronize(stream));
  EXPECT_EQ(output[0], 0) << "recorded only";
  for (float value : {3.f, 5.f, 7.f}) {
    input.assign(8, value);
    EXPECT_DONE(driver->graph_launch(stream, graph));
    EXPECT_DONE(driver->stream_synchronize(stream));
    EXPECT_EQ(output, std::vector<float>(8, 4 * value));
  }
  // Goes on while a launch of it waits.
  EXPECT_DONE(driver->graph_launch(stream, graph));
  driver->graph_destroy(graph);
  driver->graph_destroy(nullptr);
  EXPECT_DONE(driver->stream_synchronize(stream));
  // Both streams are as before.
  EXPECT_DONE(launch(second, doubling, y, x, 8));
  EXPECT_EQ(read(x, 8, second), std::vector<float>(8, 28));
}

TEST_F(StandIn, OtherThreadsWorkDuringARecording) {
  float *x = floats(100, 2), *y = floats(100);
  ASSERT_DONE(driver->graph_begin(stream));
  EXPECT_DONE(driver->copy(stream, y, x, 400));
  std::thread([&] {
    void *memory = nullptr;
    EXPECT_DONE(driver->alloc(device, 400, AICC_MEMORY_DEVICE, &memory));
    aicc_driver_stream *own = nullptr;
    EXPECT_DONE(driver->stream_create(device, nullptr, &own));
    EXPECT_DONE(driver->copy(own, memory, x, 400));
    EXPECT_DONE(driver->stream_synchronize(own));
    driver->stream_destroy(own);
    driver->free(device, memory, AICC_MEMORY_DEVICE);
  }).join();
  aicc_driver_graph *graph = nullptr;
  ASSERT_DONE(driver->graph_end(stream, &graph));
  EXPECT_DONE(driver->graph_launch(stream, graph));
  EXPECT_EQ(read(y, 100), std::vector<float>(100, 2));
  driver->graph_destroy(graph);
}

TEST_F(StandIn, ThreadsAndStreams) {
  aicc_driver_kernel *doubling = kernel("test_double");
  std::atomic<int> wrong{0};
  auto work = [&](int seed) {
    aicc_driver_stream *own[2] = {};
    aicc_driver_event *event = nullptr;
    void *x = nullptr, *y = nullptr;
    for (aicc_driver_stream *&s : own)
      wrong += driver->stream_create(device, nullptr, &s) != AICC_OK;
    wrong += driver->event_create(device, &event) != AICC_OK;
    wrong += driver->alloc(device, 256, AICC_MEMORY_DEVICE, &x) != AICC_OK;
    wrong += driver->alloc_async(own[0], 256, &y) != AICC_OK;
    for (int round = 0; round < 10; ++round) {
      std::vector<float> in(64, float(seed + round)), out(64);
      wrong += driver->copy(own[0], x, in.data(), 256) != AICC_OK;
      wrong += launch(own[0], doubling, static_cast<float *>(x),
                      static_cast<float *>(y), 64, 8) != AICC_OK;
      wrong += driver->event_record(own[0], event) != AICC_OK;
      wrong += driver->stream_wait(own[1], event) != AICC_OK;
      wrong += driver->copy(own[1], out.data(), y, 256) != AICC_OK;
      wrong += driver->stream_synchronize(own[1]) != AICC_OK;
      wrong += out != std::vector<float>(64, 2 * float(seed + round));
    }
    wrong += driver->free_async(own[0], y) != AICC_OK;
    driver->free(device, x, AICC_MEMORY_DEVICE);
    driver->event_destroy(event);
    for (aicc_driver_stream *s : own)
      driver->stream_destroy(s);
  };
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back(work, 100 * t);
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(wrong, 0);
}

} // namespace
