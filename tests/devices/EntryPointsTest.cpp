//===- EntryPointsTest.cpp - stand-ins keep to the vendors' rules ---------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What a driver never does, or only by mistake, done by calling the library
// itself: a stand-in that let it pass would hide the mistake.
//
//===----------------------------------------------------------------------===//

#include "StandIn.h"

#include <cstdint>
#include <cstring>
#include <thread>

namespace {

/// Functions by NVIDIA's names without the prefix, and AMD's where it differs.
std::string entryName(const std::string &name) {
  const bool cuda = vendor == &cudaUnderTest;
  static const char *const names[][3] = {
      {"MemAlloc", "cuMemAlloc_v2", "hipMalloc"},
      {"MemFree", "cuMemFree_v2", "hipFree"},
      {"MemFreeHost", "cuMemFreeHost", "hipHostFree"},
      {"MemAllocAsync", "cuMemAllocAsync", "hipMallocAsync"},
      {"StreamCreate", "cuStreamCreate", "hipStreamCreateWithFlags"},
      {"StreamDestroy", "cuStreamDestroy_v2", "hipStreamDestroy"},
      {"EventCreate", "cuEventCreate", "hipEventCreateWithFlags"},
      {"EventDestroy", "cuEventDestroy_v2", "hipEventDestroy"},
      {"StreamBeginCapture", "cuStreamBeginCapture_v2",
       "hipStreamBeginCapture"},
      {"LaunchKernel", "cuLaunchKernel", "hipModuleLaunchKernel"},
  };
  for (const auto &entry : names)
    if (name == entry[0])
      return entry[cuda ? 1 : 2];
  return (cuda ? "cu" : "hip") + name;
}

template <typename... Args> int call(const char *name, Args... args) {
  void *library = dlopen(libraryPath.c_str(), RTLD_NOW);
  void *address = library ? dlsym(library, entryName(name).c_str()) : nullptr;
  if (!address) {
    ADD_FAILURE() << "no function " << entryName(name);
    return -1;
  }
  return reinterpret_cast<int (*)(Args...)>(address)(args...);
}

/// The first device, current to the thread.
struct EntryPoints : ::testing::Test {
  void *stream = nullptr, *second = nullptr, *context = nullptr;

  void SetUp() override {
    ASSERT_EQ(call("Init", 0u), 0);
    makeCurrent();
    ASSERT_EQ(call("StreamCreate", &stream, 1u), 0);
    ASSERT_EQ(call("StreamCreate", &second, 1u), 0);
  }
  void TearDown() override {
    EXPECT_EQ(call("StreamDestroy", stream), 0);
    EXPECT_EQ(call("StreamDestroy", second), 0);
    if (context)
      EXPECT_EQ(call("DevicePrimaryCtxRelease_v2", 0), 0);
  }
  void makeCurrent() {
    if (vendor != &cudaUnderTest)
      return;
    if (!context)
      ASSERT_EQ(call("DevicePrimaryCtxRetain", &context, 0), 0);
    ASSERT_EQ(call("CtxSetCurrent", context), 0);
  }
  int endCapture(void *of) {
    void *graph = nullptr;
    const int code = call("StreamEndCapture", of, &graph);
    EXPECT_EQ(graph == nullptr, code != 0);
    if (graph)
      EXPECT_EQ(call("GraphDestroy", graph), 0);
    return code;
  }
};

TEST_F(EntryPoints, Handles) {
  int local = 0;
  void *none = &local;
  EXPECT_EQ(call("StreamSynchronize", none), 400);
  EXPECT_EQ(call("StreamDestroy", none), 400);
  EXPECT_EQ(call("EventQuery", none), 400);
  EXPECT_EQ(call("EventDestroy", none), 400);
  EXPECT_EQ(call("ModuleUnload", none), 400);
  EXPECT_EQ(call("GraphDestroy", none), 400);
  EXPECT_EQ(call("GraphLaunch", none, stream), 400);
  EXPECT_EQ(call("StreamCreate", &none, 7u), 1);
  EXPECT_EQ(call("LaunchKernel", none, 1u, 1u, 1u, 1u, 1u, 1u, 0u, stream,
                 static_cast<void **>(nullptr), static_cast<void **>(nullptr)),
            400);
}

TEST_F(EntryPoints, Memory) {
  void *memory = nullptr;
  EXPECT_EQ(call("MemAlloc", &memory, size_t(0)), 1);
  ASSERT_EQ(call("MemAlloc", &memory, size_t(100)), 0);
  // Not the host's, not twice, not from the middle.
  EXPECT_EQ(call("MemFreeHost", memory), 1);
  EXPECT_EQ(
      call("MemFree", static_cast<void *>(static_cast<char *>(memory) + 8)), 1);
  // Within it, aligned.
  EXPECT_EQ(call("MemsetD32Async", memory, 0, size_t(25), stream), 0);
  EXPECT_EQ(call("MemsetD32Async", memory, 0, size_t(26), stream), 1);
  EXPECT_EQ(call("MemsetD32Async",
                 static_cast<void *>(static_cast<char *>(memory) + 2), 0,
                 size_t(1), stream),
            1);
  EXPECT_EQ(call("MemFree", memory), 0);
  EXPECT_EQ(call("MemFree", memory), 1);
  EXPECT_EQ(call("MemFree", static_cast<void *>(nullptr)), 0);
}

TEST_F(EntryPoints, Events) {
  void *begin = nullptr, *end = nullptr, *untimed = nullptr;
  ASSERT_EQ(call("EventCreate", &begin, 0u), 0);
  ASSERT_EQ(call("EventCreate", &end, 0u), 0);
  ASSERT_EQ(call("EventCreate", &untimed, 2u), 0);
  float ms = -1;
  EXPECT_EQ(call("EventQuery", begin), 0) << "never recorded is done";
  EXPECT_EQ(call("EventElapsedTime", &ms, begin, end), 400);
  EXPECT_EQ(call("EventRecord", begin, stream), 0);
  EXPECT_EQ(call("EventRecord", untimed, stream), 0);
  EXPECT_EQ(call("EventRecord", end, stream), 0);
  EXPECT_EQ(call("EventElapsedTime", &ms, begin, end), 600);
  EXPECT_EQ(call("EventSynchronize", end), 0);
  EXPECT_EQ(call("EventElapsedTime", &ms, begin, end), 0);
  EXPECT_GE(ms, 0);
  EXPECT_EQ(call("EventElapsedTime", &ms, end, begin), 0);
  EXPECT_LE(ms, 0);
  EXPECT_EQ(call("EventElapsedTime", &ms, begin, untimed), 400);
  for (void *event : {begin, end, untimed})
    EXPECT_EQ(call("EventDestroy", event), 0);
}

TEST_F(EntryPoints, WhatMayNotBeCaptured) {
  constexpr int global = 0, threadLocal = 1, relaxed = 2;
  void *memory = nullptr, *event = nullptr;
  ASSERT_EQ(call("EventCreate", &event, 0u), 0);
  EXPECT_EQ(endCapture(stream), 401) << "there is no capture";
  EXPECT_EQ(call("StreamBeginCapture", stream, 3), 1);
  // Allocating waits for all: forbidden to all threads, to one, or allowed.
  EXPECT_EQ(call("StreamBeginCapture", stream, global), 0);
  std::thread([&] {
    makeCurrent();
    EXPECT_EQ(call("MemAlloc", &memory, size_t(8)), 900);
  }).join();
  EXPECT_EQ(endCapture(stream), 901);
  EXPECT_EQ(call("StreamBeginCapture", stream, threadLocal), 0);
  std::thread([&] {
    makeCurrent();
    EXPECT_EQ(call("MemAlloc", &memory, size_t(8)), 0);
    EXPECT_EQ(endCapture(stream), 908);
  }).join();
  EXPECT_EQ(endCapture(stream), 0);
  EXPECT_EQ(call("StreamBeginCapture", stream, threadLocal), 0);
  EXPECT_EQ(call("MemFree", memory), 900);
  EXPECT_EQ(endCapture(stream), 901);
  EXPECT_EQ(call("StreamBeginCapture", stream, relaxed), 0);
  EXPECT_EQ(call("MemFree", memory), 0);
  int state = 0;
  EXPECT_EQ(call("StreamIsCapturing", stream, &state), 0);
  EXPECT_EQ(state, 1);
  // A captured event has no time; its stream ends the capture.
  EXPECT_EQ(call("EventRecord", event, stream), 0);
  EXPECT_EQ(call("EventQuery", event), 907);
  EXPECT_EQ(call("EventSynchronize", event), 907);
  EXPECT_EQ(call("StreamWaitEvent", second, event, 0u), 0);
  EXPECT_EQ(endCapture(second), 903);
  EXPECT_EQ(endCapture(stream), 901);
  EXPECT_EQ(call("StreamIsCapturing", second, &state), 0);
  EXPECT_EQ(state, 0);
  // Two captures don't merge.
  EXPECT_EQ(call("StreamBeginCapture", stream, relaxed), 0);
  EXPECT_EQ(call("StreamBeginCapture", second, relaxed), 0);
  EXPECT_EQ(call("EventRecord", event, stream), 0);
  EXPECT_EQ(call("StreamWaitEvent", second, event, 0u), 902);
  EXPECT_EQ(endCapture(stream), 901);
  EXPECT_EQ(endCapture(second), 901);
  EXPECT_EQ(call("EventDestroy", event), 0);
}

TEST_F(EntryPoints, MapsOfTensors) {
  if (vendor != &cudaUnderTest)
    GTEST_SKIP() << "HIP has no maps";
  alignas(64) unsigned char map[2 * 128] = {};
  alignas(16) static unsigned char memory[64];
  struct Given {
    void *out;
    int type = 6; // of 16 bits
    uint32_t rank = 2;
    void *address = memory;
    uint64_t sizes[2] = {72, 40}, strides[1] = {144};
    uint32_t box[2] = {64, 32}, steps[2] = {1, 1};
    int swizzle = 3; // of 128 bytes
  };
  auto encode = [&](Given given) {
    return call("TensorMapEncodeTiled", given.out, given.type, given.rank,
                given.address, static_cast<const uint64_t *>(given.sizes),
                static_cast<const uint64_t *>(given.strides),
                static_cast<const uint32_t *>(given.box),
                static_cast<const uint32_t *>(given.steps), 0, given.swizzle, 2,
                0);
  };
  const Given right{map};
  EXPECT_EQ(encode(right), 0);
  auto refused = [&](auto change) {
    Given wrong = right;
    change(wrong);
    return encode(wrong) == 1; // invalid value
  };
  EXPECT_TRUE(refused([&](Given &g) { g.out = map + 8; }));
  EXPECT_TRUE(refused([](Given &g) { g.address = memory + 2; }));
  EXPECT_TRUE(refused([](Given &g) { g.address = nullptr; }));
  EXPECT_TRUE(refused([](Given &g) { g.strides[0] = 72; }));
  EXPECT_TRUE(refused([](Given &g) { g.box[1] = 257; }));
  EXPECT_TRUE(refused([](Given &g) { g.box[0] = 72; })) << "over 128 bytes";
  EXPECT_TRUE(refused([](Given &g) { g.sizes[1] = 0; }));
  EXPECT_TRUE(refused([](Given &g) { g.rank = 6; }));
  EXPECT_TRUE(refused([](Given &g) { g.type = 99; }));
  // Only constants of modules are read without a stream.
  uint64_t word = 0;
  EXPECT_EQ(
      call("MemcpyDtoH_v2", static_cast<void *>(&word),
           static_cast<unsigned long long>(reinterpret_cast<uintptr_t>(memory)),
           sizeof word),
      1);
}

TEST_F(EntryPoints, AContextIsNeeded) {
  if (vendor != &cudaUnderTest)
    GTEST_SKIP() << "HIP has a device by itself";
  void *memory = nullptr;
  std::thread([&] {
    EXPECT_EQ(call("MemAlloc", &memory, size_t(8)), 201);
    EXPECT_EQ(call("StreamSynchronize", stream), 201);
    EXPECT_EQ(call("CtxPopCurrent_v2", &memory), 201);
    EXPECT_EQ(call("CtxPushCurrent_v2", context), 0);
    EXPECT_EQ(call("StreamSynchronize", stream), 0);
  }).join();
}

struct NotStarted : ::testing::Test {};

TEST_F(NotStarted, CallsWantInit) {
  int count = 7;
  const bool cuda = vendor == &cudaUnderTest;
  EXPECT_EQ(cuda ? call("DeviceGetCount", &count)
                 : call("GetDeviceCount", &count),
            cuda ? 3 : 0);
  EXPECT_EQ(count, cuda ? 7 : 1);
  EXPECT_EQ(call("Init", 1u), 1);
}

} // namespace
