//===- LevelZeroTest.cpp - the Level Zero driver without a GPU ------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Intel's driver runs without hardware in its capture mode (see
// CMakeLists.txt): every call is checked and done, its compiler compiles, and
// no kernel is executed. So the order of calls, objects' lives and errors are
// tested here, and no results.
//
// level-zero-test STEP.spv
//
//===----------------------------------------------------------------------===//

#include "aicc/driver.h"
#include "aicc/runtime.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <thread>

extern "C" const aicc_driver *aicc_driver_intel_level_zero(void);

namespace {

std::string code; // of a kernel `step`: float *y, int64_t n

struct LevelZero : ::testing::Test {
  const aicc_driver &driver = *aicc_driver_intel_level_zero();
  static aicc_driver_device *device;
  aicc_driver_stream *stream = nullptr;

  static void SetUpTestSuite() {
    uint32_t count = 0;
    const aicc_driver &driver = *aicc_driver_intel_level_zero();
    ASSERT_EQ(driver.device_count(&count), AICC_OK);
    if (count == 0) {
      std::printf("SKIP: %s\n", driver.last_error());
      return;
    }
    ASSERT_EQ(driver.device_open(0, &device), AICC_OK) << driver.last_error();
  }
  static void TearDownTestSuite() {
    aicc_driver_intel_level_zero()->device_close(device);
    device = nullptr;
  }
  void SetUp() override {
    if (!device)
      GTEST_SKIP();
    ASSERT_EQ(driver.stream_create(device, nullptr, &stream), AICC_OK)
        << error();
  }
  void TearDown() override { driver.stream_destroy(stream); }

  std::string error() { return driver.last_error(); }
  void ok(int status) { ASSERT_EQ(status, AICC_OK) << error(); }

  int load(const std::string &bytes, aicc_driver_module *&module,
           const char *format = "spirv") {
    const aicc_module_options options{sizeof options, format, "step"};
    return driver.module_load(device, bytes.data(), bytes.size(), &options,
                              &module);
  }
};
aicc_driver_device *LevelZero::device = nullptr;

// A kernel with its argument block.
struct Work {
  struct {
    void *y;
    int64_t n;
  } args{};
  aicc_launch launch{};

  Work(aicc_driver_kernel *kernel, void *y, int64_t n) {
    args = {y, n};
    launch.struct_size = sizeof launch;
    launch.kernel = kernel;
    launch.args = &args;
    launch.args_bytes = sizeof args;
    launch.buffers = 1;
    launch.grid[0] = uint32_t((n + 15) / 16);
    launch.grid[1] = launch.grid[2] = 1;
    launch.workgroup[0] = 16;
    launch.workgroup[1] = launch.workgroup[2] = 1;
  }
};

TEST_F(LevelZero, Properties) {
  const aicc_device_properties &p = *driver.device_properties(device);
  EXPECT_STREQ(p.vendor, "Intel");
  EXPECT_NE(std::string(p.name), "");
  EXPECT_GT(p.memory_bytes, 0u);
  EXPECT_GT(p.compute_units, 0u);
  EXPECT_GE(p.max_workgroup, 256u);
  EXPECT_GE(p.max_shared_bytes, 32u << 10);
  EXPECT_GE(p.max_argument_bytes, 1024u);
  EXPECT_STREQ(p.formats[0], "spirv");
  EXPECT_EQ(p.flags & AICC_DEVICE_HOST_POINTERS, 0u);
  bool gpu = false, sixteen = false;
  for (size_t i = 0; i < p.feature_count; ++i) {
    gpu |= std::strcmp(p.features[i], "gpu") == 0;
    sixteen |= std::strcmp(p.features[i], "subgroup16") == 0;
  }
  EXPECT_TRUE(gpu);
  EXPECT_TRUE(sixteen);
  aicc_driver_device *none = nullptr;
  EXPECT_EQ(driver.device_open(1000, &none), AICC_NOT_FOUND);
  EXPECT_NE(error().find("found index 1000"), std::string::npos) << error();
}

TEST_F(LevelZero, Memory) {
  for (uint32_t kind : {AICC_MEMORY_DEVICE, AICC_MEMORY_PINNED})
    for (uint64_t bytes : {0u, 1u, 100u, 1u << 20}) {
      void *memory = nullptr;
      ok(driver.alloc(device, bytes, kind, &memory));
      EXPECT_EQ(reinterpret_cast<uintptr_t>(memory) % 64, 0u);
      if (kind == AICC_MEMORY_PINNED)
        std::memset(memory, 1, bytes);
      driver.free(device, memory, kind);
    }
  driver.free(device, nullptr, AICC_MEMORY_DEVICE);
  void *memory = nullptr;
  EXPECT_EQ(
      driver.alloc(device, uint64_t(1) << 50, AICC_MEMORY_DEVICE, &memory),
      AICC_OUT_OF_MEMORY);
  EXPECT_NE(error().find("no memory for 1125899906842624 bytes"),
            std::string::npos)
      << error();
}

TEST_F(LevelZero, Launches) {
  aicc_driver_module *module = nullptr;
  ok(load(code, module));
  aicc_driver_kernel *kernel = nullptr, *again = nullptr;
  ok(driver.module_kernel(module, "step", &kernel));
  ok(driver.module_kernel(module, "step", &again));
  EXPECT_EQ(kernel, again);
  void *y = nullptr, *pinned = nullptr;
  ok(driver.alloc(device, 4096, AICC_MEMORY_DEVICE, &y));
  ok(driver.alloc(device, 4096, AICC_MEMORY_PINNED, &pinned));
  std::vector<float> host(1024);
  aicc_driver_event *timing = nullptr, *record = nullptr;
  ok(driver.event_create(device, &timing));
  ok(driver.event_create(device, &record));
  // Nothing recorded yet.
  int done = 0;
  ok(driver.event_query(record, &done));
  EXPECT_EQ(done, 1);
  ok(driver.event_synchronize(record));
  uint64_t begin = 1, end = 1;
  ok(driver.event_times(record, &begin, &end));
  EXPECT_EQ(begin, 0u);

  for (int round = 0; round < 3; ++round) {
    ok(driver.copy(stream, y, host.data(), 4096));
    ok(driver.fill(stream, y, 4096, 0x3f800000, 4));
    Work work(kernel, y, 1000);
    work.launch.timing = timing;
    ok(driver.launch(stream, &work.launch));
    ok(driver.event_record(stream, record));
    ok(driver.copy(stream, pinned, y, 4096));
    ok(driver.copy(stream, host.data(), y, 4096));
    ok(driver.stream_synchronize(stream));
    ok(driver.event_synchronize(record));
    ok(driver.event_query(record, &done));
    // Nobody writes timestamps here.
    for (aicc_driver_event *event : {timing, record})
      if (driver.event_times(event, &begin, &end) != AICC_OK)
        EXPECT_EQ(error(), "reading an event's times: ZE_RESULT_NOT_READY");
      else
        EXPECT_LE(begin, end);
  }
  ok(driver.copy(stream, y, y, 0));
  ok(driver.fill(stream, y, 0, 0, 1));
  ok(driver.stream_synchronize(stream));

  EXPECT_EQ(driver.fill(stream, y, 9, 0, 3), AICC_INVALID_ARGUMENT);
  // What the driver refuses is told with the kernel's name.
  Work wrong(kernel, y, 1000);
  wrong.launch.workgroup[0] = 100000;
  EXPECT_EQ(driver.launch(stream, &wrong.launch), AICC_DEVICE_ERROR);
  EXPECT_NE(error().find("launching 'step': ZE_RESULT_"), std::string::npos)
      << error();
  Work large(kernel, y, 1000);
  large.launch.args_bytes = 1 << 20;
  EXPECT_EQ(driver.launch(stream, &large.launch), AICC_INVALID_ARGUMENT);
  EXPECT_NE(error().find("1048576 bytes of arguments, expected at most "),
            std::string::npos)
      << error();

  driver.event_destroy(timing);
  driver.event_destroy(record);
  driver.free(device, y, AICC_MEMORY_DEVICE);
  driver.free(device, pinned, AICC_MEMORY_PINNED);
  driver.module_unload(module);
}

// More records than a pool has events, and waits between streams.
TEST_F(LevelZero, EventsBetweenStreams) {
  aicc_driver_stream *other = nullptr;
  ok(driver.stream_create(device, nullptr, &other));
  void *y = nullptr;
  ok(driver.alloc(device, 4096, AICC_MEMORY_DEVICE, &y));
  aicc_driver_event *event = nullptr;
  ok(driver.event_create(device, &event));
  ok(driver.stream_wait(other, event)); // of nothing
  for (int round = 0; round < 100; ++round) {
    ok(driver.fill(stream, y, 4096, 0, 1));
    ok(driver.event_record(stream, event));
    ok(driver.stream_wait(other, event));
    ok(driver.fill(other, y, 4096, 1, 1));
    if (round % 25 == 24)
      ok(driver.stream_synchronize(other));
  }
  ok(driver.stream_synchronize(stream));
  driver.event_destroy(event); // the other stream may still know it
  ok(driver.stream_synchronize(other));
  driver.stream_destroy(other);
  driver.free(device, y, AICC_MEMORY_DEVICE);
}

TEST_F(LevelZero, Recording) {
  aicc_driver_module *module = nullptr;
  ok(load(code, module));
  aicc_driver_kernel *kernel = nullptr;
  ok(driver.module_kernel(module, "step", &kernel));
  void *y = nullptr;
  ok(driver.alloc(device, 4096, AICC_MEMORY_DEVICE, &y));
  aicc_driver_graph *graph = nullptr;
  EXPECT_EQ(driver.graph_end(stream, &graph), AICC_INVALID_ARGUMENT);
  ok(driver.graph_begin(stream));
  EXPECT_EQ(driver.graph_begin(stream), AICC_INVALID_ARGUMENT);
  Work work(kernel, y, 1000);
  ok(driver.fill(stream, y, 4096, 0, 1));
  ok(driver.launch(stream, &work.launch));
  ok(driver.launch(stream, &work.launch));
  // What would belong to one replay only.
  aicc_driver_event *event = nullptr;
  ok(driver.event_create(device, &event));
  EXPECT_EQ(driver.event_record(stream, event), AICC_UNSUPPORTED);
  EXPECT_EQ(error(), "recording an event can't be part of a recording");
  EXPECT_EQ(driver.stream_wait(stream, event), AICC_UNSUPPORTED);
  work.launch.timing = event;
  EXPECT_EQ(driver.launch(stream, &work.launch), AICC_UNSUPPORTED);
  EXPECT_EQ(driver.stream_synchronize(stream), AICC_INVALID_ARGUMENT);
  ok(driver.graph_end(stream, &graph));
  driver.event_destroy(event);
  for (int round = 0; round < 3; ++round) {
    ok(driver.graph_launch(stream, graph));
    ok(driver.graph_launch(stream, graph));
    ok(driver.copy(stream, y, code.data(), 64));
    ok(driver.stream_synchronize(stream));
  }
  driver.graph_destroy(graph);
  driver.graph_destroy(nullptr);
  // Begun and left.
  ok(driver.graph_begin(stream));
  ok(driver.launch(stream, (work.launch.timing = nullptr, &work.launch)));
  driver.stream_destroy(stream);
  stream = nullptr;
  driver.free(device, y, AICC_MEMORY_DEVICE);
  driver.module_unload(module);
}

TEST_F(LevelZero, RefusedModules) {
  aicc_driver_module *module = nullptr;
  aicc_driver_kernel *kernel = nullptr;
  EXPECT_EQ(load(code, module, "ptx"), AICC_UNSUPPORTED);
  EXPECT_NE(error().find("format 'ptx'"), std::string::npos) << error();
  EXPECT_EQ(load("no code at all, not even nearly", module), AICC_BAD_PACKAGE);
  EXPECT_EQ(load(code.substr(0, 16), module), AICC_BAD_PACKAGE);
  EXPECT_EQ(error(), "object 'step' is no SPIR-V module");
  // A kernel that isn't there.
  ok(load(code, module));
  EXPECT_EQ(driver.module_kernel(module, "jump", &kernel), AICC_NOT_FOUND);
  EXPECT_NE(error().find("has no kernel 'jump': ZE_RESULT_"), std::string::npos)
      << error();
  ok(driver.module_kernel(module, "step", &kernel));
  driver.module_unload(module);
  // What the vendor's compiler refuses: f64, where the chip doesn't have it.
  const aicc_device_properties &p = *driver.device_properties(device);
  for (size_t i = 0; i < p.feature_count; ++i)
    if (std::strcmp(p.features[i], "fp64") == 0)
      return;
  std::vector<uint32_t> words(code.size() / 4);
  std::memcpy(words.data(), code.data(), code.size());
  for (size_t i = 5; i + 2 < words.size(); i += words[i] >> 16)
    if (words[i] == (3 << 16 | 22) && words[i + 2] == 32) // OpTypeFloat
      words[i + 2] = 64;
  words.insert(words.begin() + 5, {2 << 16 | 17, 10}); // OpCapability Float64
  const std::string wide(reinterpret_cast<const char *>(words.data()),
                         words.size() * 4);
  ok(load(wide, module));
  EXPECT_EQ(driver.module_kernel(module, "step", &kernel), AICC_DEVICE_ERROR);
  EXPECT_NE(error().find("cannot compile object 'step' for "),
            std::string::npos)
      << error();
  EXPECT_NE(error().find("ZE_RESULT_ERROR_MODULE_BUILD_FAILURE: "),
            std::string::npos)
      << error();
  driver.module_unload(module);
  driver.module_unload(nullptr);
}

// Kernels are shared by threads, each with a stream of its own.
TEST_F(LevelZero, Threads) {
  aicc_driver_module *module = nullptr;
  ok(load(code, module));
  std::atomic<int> failures{0};
  auto work = [&] {
    aicc_driver_kernel *kernel = nullptr;
    aicc_driver_stream *own = nullptr;
    aicc_driver_event *event = nullptr;
    void *y = nullptr;
    failures += driver.module_kernel(module, "step", &kernel) != AICC_OK;
    failures += driver.stream_create(device, nullptr, &own) != AICC_OK;
    failures += driver.event_create(device, &event) != AICC_OK;
    failures += driver.alloc(device, 4096, AICC_MEMORY_DEVICE, &y) != AICC_OK;
    for (int round = 0; round < 20; ++round) {
      Work launch(kernel, y, 1000);
      failures += driver.launch(own, &launch.launch) != AICC_OK;
      failures += driver.event_record(own, event) != AICC_OK;
    }
    failures += driver.stream_synchronize(own) != AICC_OK;
    driver.event_destroy(event);
    driver.stream_destroy(own);
    driver.free(device, y, AICC_MEMORY_DEVICE);
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back(work);
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(failures, 0) << error();
  driver.module_unload(module);
}

} // namespace

int main(int argc, char **argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (argc != 2)
    return 2;
  std::ifstream file(argv[1], std::ios::binary);
  code.assign(std::istreambuf_iterator<char>(file), {});
  return RUN_ALL_TESTS();
}
