//===- FaultsTest.cpp - what the drivers of CUDA and HIP say of errors ----===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Errors that come by themselves (no memory, a kernel's mistake, an image for
// another device) and errors that a stand-in is told to have. A lost device is
// lost to its process: each of these tests runs in one of its own.
//
//===----------------------------------------------------------------------===//

#include "StandIn.h"

#include <cstdlib>
#include <cstring>
#include <elf.h>

namespace {

struct Faults : StandIn {};

TEST_F(Faults, OutOfMemory) { // AICC_VIRTUAL_MEMORY=1048576
  void *memory = nullptr, *second = nullptr;
  EXPECT_FAILS(driver->alloc(device, 2 << 20, AICC_MEMORY_DEVICE, &memory),
               AICC_OUT_OF_MEMORY, "allocating 2097152 bytes",
               vendor->outOfMemory);
  EXPECT_FAILS(driver->alloc_async(stream, 2 << 20, &memory),
               AICC_OUT_OF_MEMORY, vendor->outOfMemory);
  // What was freed is there again; the device goes on.
  for (int round = 0; round < 4; ++round) {
    ASSERT_DONE(driver->alloc(device, 600 << 10, AICC_MEMORY_DEVICE, &memory));
    EXPECT_EQ(driver->alloc(device, 600 << 10, AICC_MEMORY_DEVICE, &second),
              AICC_OUT_OF_MEMORY);
    driver->free(device, memory, AICC_MEMORY_DEVICE);
    ASSERT_DONE(driver->alloc_async(stream, 600 << 10, &memory));
    EXPECT_DONE(driver->free_async(stream, memory));
    EXPECT_DONE(driver->stream_synchronize(stream));
  }
  inject(vendor->hostAlloc, 1, 2);
  EXPECT_FAILS(driver->alloc(device, 64, AICC_MEMORY_PINNED, &memory),
               AICC_OUT_OF_MEMORY, vendor->outOfMemory);
}

TEST_F(Faults, EveryCallMayFail) {
  aicc_driver_kernel *doubling = kernel("test_double");
  float *x = floats(8, 1), *y = floats(8);
  aicc_driver_event *event = newEvent();
  auto once = [&](const char *entry, auto call) {
    inject(entry, 1, 999);
    EXPECT_EQ(call(), AICC_DEVICE_ERROR) << entry;
    EXPECT_NE(error().find("(999)"), std::string::npos) << error();
    EXPECT_EQ(error().find("lost"), std::string::npos) << error();
    inject(entry, 0, 0);
  };
  once(vendor->launch, [&] { return launch(stream, doubling, x, y, 8); });
  once(vendor->copy, [&] { return driver->copy(stream, x, y, 32); });
  once(vendor->fill,
       [&] { return driver->fill(stream, x, 32, 0x12345678, 4); });
  once(vendor->eventRecord,
       [&] { return driver->event_record(stream, event); });
  once(vendor->synchronize, [&] { return driver->stream_synchronize(stream); });
  once(vendor->streamCreate, [&] {
    aicc_driver_stream *none = nullptr;
    return driver->stream_create(device, nullptr, &none);
  });
  once(vendor->eventCreate, [&] {
    aicc_driver_event *none = nullptr;
    return driver->event_create(device, &none);
  });
  once(vendor->moduleFunction, [&] {
    aicc_driver_kernel *none = nullptr;
    return driver->module_kernel(module, "test_race", &none);
  });
  // The second of two.
  inject(vendor->launch, 2, 999);
  EXPECT_DONE(launch(stream, doubling, x, y, 8));
  EXPECT_FAILS(launch(stream, doubling, x, y, 8), AICC_DEVICE_ERROR,
               "launching 'test_double'");
  // And none of it has left anything behind.
  EXPECT_DONE(launch(stream, doubling, x, y, 8));
  EXPECT_EQ(read(y, 8), std::vector<float>(8, 2));
}

TEST_F(Faults, GraphsMayFail) {
  float *x = floats(8, 1), *y = floats(8);
  aicc_driver_graph *graph = nullptr;
  for (const char *entry : {vendor->endCapture, vendor->instantiate}) {
    ASSERT_DONE(driver->graph_begin(stream));
    EXPECT_DONE(driver->copy(stream, y, x, 32));
    // A failed end leaves the recording open in the stand-in: end it again.
    inject(entry, 1, 2);
    EXPECT_FAILS(driver->graph_end(stream, &graph), AICC_OUT_OF_MEMORY,
                 "ending a recording");
    inject(entry, 0, 0);
    if (entry == vendor->endCapture) {
      EXPECT_DONE(driver->graph_end(stream, &graph));
      driver->graph_destroy(graph);
    }
  }
  // Waiting while recording is refused and spoils the recording, no more.
  ASSERT_DONE(driver->graph_begin(stream));
  EXPECT_FAILS(driver->stream_synchronize(stream), AICC_DEVICE_ERROR,
               vendor->captureUnsupported);
  EXPECT_FAILS(driver->graph_end(stream, &graph), AICC_DEVICE_ERROR, "(901)");
  // A stream that was forked and not joined.
  aicc_driver_stream *second = newStream();
  aicc_driver_event *fork = newEvent();
  ASSERT_DONE(driver->graph_begin(stream));
  EXPECT_DONE(driver->event_record(stream, fork));
  EXPECT_DONE(driver->stream_wait(second, fork));
  EXPECT_DONE(driver->copy(second, y, x, 32));
  EXPECT_FAILS(driver->graph_end(stream, &graph), AICC_DEVICE_ERROR, "(904)");
  // An event from outside.
  aicc_driver_event *outside = newEvent();
  EXPECT_DONE(driver->event_record(stream, outside));
  ASSERT_DONE(driver->graph_begin(stream));
  EXPECT_FAILS(driver->stream_wait(stream, outside), AICC_DEVICE_ERROR,
               "(905)");
  EXPECT_FAILS(driver->graph_end(stream, &graph), AICC_DEVICE_ERROR, "(901)");
  // The streams are as before.
  EXPECT_DONE(driver->copy(second, y, x, 32));
  EXPECT_EQ(read(y, 8, second), std::vector<float>(8, 1));
  inject(vendor->graphLaunch, 1, 2);
  ASSERT_DONE(driver->graph_begin(stream));
  ASSERT_DONE(driver->graph_end(stream, &graph));
  EXPECT_FAILS(driver->graph_launch(stream, graph), AICC_OUT_OF_MEMORY,
               "launching a graph");
  EXPECT_DONE(driver->graph_launch(stream, graph));
  EXPECT_DONE(driver->stream_synchronize(stream));
  driver->graph_destroy(graph);
}

TEST_F(Faults, WrongImages) {
  auto load = [&](const std::string &image, const char *format) {
    const aicc_module_options options{sizeof options, format, "wrong"};
    aicc_driver_module *none = nullptr;
    return driver->module_load(device, image.data(), image.size(), &options,
                               &none);
  };
  // By its format: before the vendor sees it.
  for (const char *format : {"ptx", "cubin", "hsaco", "spirv"})
    EXPECT_FAILS(load("code", format), AICC_UNSUPPORTED, "object 'wrong'",
                 format, "expected 'elf-virtual'");
  // By what is in it: the vendor's code and, where it keeps one, its log.
  auto withLog = [&](const char *log) {
    if (vendor->keepsLog)
      EXPECT_NE(error().find(log), std::string::npos) << error();
    EXPECT_EQ(error().find('\n'), std::string::npos) << error();
  };
  EXPECT_FAILS(load("//\n.version 7.0\n.target sm_80\n", "elf-virtual"),
               AICC_UNSUPPORTED, "loading object 'wrong'", vendor->invalidCode);
  withLog("found text such as PTX");
  EXPECT_FAILS(load("\x7fwax cylinder", "elf-virtual"), AICC_UNSUPPORTED,
               vendor->invalidImage);
  withLog("no known format");
  for (unsigned machine : {190u /*CUDA*/, unsigned(EM_AMDGPU)}) {
    Elf64_Ehdr header{};
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_machine = Elf64_Half(machine);
    EXPECT_FAILS(
        load({reinterpret_cast<char *>(&header), sizeof header}, "elf-virtual"),
        AICC_UNSUPPORTED, vendor->noBinary);
    withLog(("machine " + std::to_string(machine)).c_str());
  }
  inject(vendor->moduleLoad, 1, 2);
  EXPECT_FAILS(load("code", "elf-virtual"), AICC_OUT_OF_MEMORY,
               vendor->outOfMemory);
  aicc_driver_kernel *none = nullptr;
  (void)kernel("test_double");
  EXPECT_FAILS(driver->module_kernel(module, "nothing", &none), AICC_NOT_FOUND,
               "kernel 'nothing' of object 'kernels'", "(500)");
}

// A kernel's mistake is found when somebody waits, and stays.
struct LostDevice : StandIn {
  void lose(const char *entry, const char *code, const char *mistake) {
    aicc_driver_kernel *wrong = kernel(entry), *right = kernel("test_double");
    float *x = floats(8), *y = floats(8);
    aicc_driver_event *event = newEvent();
    EXPECT_DONE(launch(stream, wrong, x, y, 8, 1, 4));
    EXPECT_DONE(driver->event_record(stream, event));
    EXPECT_FAILS(driver->stream_synchronize(stream), AICC_DEVICE_ERROR,
                 "waiting for a stream", code, mistake, "device is lost");
    expectLost(code);
    EXPECT_FAILS(launch(stream, right, x, y, 8), AICC_DEVICE_ERROR, code);
    EXPECT_FAILS(driver->event_synchronize(event), AICC_DEVICE_ERROR, code);
  }
  void expectLost(const char *code) {
    void *memory = nullptr;
    aicc_driver_stream *none = nullptr;
    for (int round = 0; round < 2; ++round) {
      EXPECT_FAILS(driver->alloc(device, 64, AICC_MEMORY_DEVICE, &memory),
                   AICC_DEVICE_ERROR, code, "device is lost");
      EXPECT_FAILS(driver->stream_create(device, nullptr, &none),
                   AICC_DEVICE_ERROR, code, "device is lost");
      EXPECT_FAILS(driver->stream_synchronize(stream), AICC_DEVICE_ERROR, code);
    }
  }
};

TEST_F(LostDevice, OutOfBounds) {
  lose(
      "test_outside", vendor->illegalAddress,
      "writes 4 bytes out of bounds, 0 bytes behind an allocation of 32 bytes");
}
TEST_F(LostDevice, Misaligned) {
  lose("test_misaligned", vendor->misaligned, "no multiple of 4");
}
TEST_F(LostDevice, Race) { lose("test_race", vendor->launchFailed, "a race"); }
TEST_F(LostDevice, ByItself) {
  inject(vendor->synchronize, 2, 719);
  EXPECT_DONE(driver->stream_synchronize(stream));
  EXPECT_FAILS(driver->stream_synchronize(stream), AICC_DEVICE_ERROR,
               vendor->launchFailed, "device is lost");
  expectLost(vendor->launchFailed);
}

// --- several devices: AICC_VIRTUAL_DEVICES=2 ---------------------------------

TEST_F(StandIn, Peers) {
  aicc_driver_device *second = nullptr, *none = nullptr;
  ASSERT_DONE(driver->device_open(1, &second));
  EXPECT_FAILS(driver->device_open(2, &none), AICC_NOT_FOUND, "there are 2",
               "index 2");
  {
    float *there = floats(100, 3, second), *here = floats(100, 0);
    EXPECT_DONE(driver->copy_peer(stream, here, second, there, 400));
    EXPECT_EQ(read(here, 100), std::vector<float>(100, 3));
    // And back, on the other device's stream.
    const uint32_t five = 0x40a00000;
    EXPECT_DONE(driver->fill(stream, here, 400, five, 4));
    EXPECT_DONE(driver->stream_synchronize(stream));
    aicc_driver_stream *other = newStream(second);
    EXPECT_DONE(driver->copy_peer(other, there, device, here, 400));
    EXPECT_EQ(read(there, 100, other), std::vector<float>(100, 5));
    inject(vendor->copyPeer, 1, 217);
    EXPECT_FAILS(driver->copy_peer(stream, here, second, there, 400),
                 AICC_UNSUPPORTED, "copying 400 bytes from ",
                 vendor->peerUnsupported);
    EXPECT_DONE(driver->copy_peer(stream, here, second, there, 400));
    EXPECT_EQ(read(here, 100), std::vector<float>(100, 5));
    EXPECT_DONE(driver->copy_peer(stream, here, second, there, 0));
  }
  // Its memory and streams go before it.
  TearDown();
  driver->device_close(second);
  SetUp();
}

// --- no device at all
// -----------------------------------------------------------

struct NoDevice : ::testing::Test {
  std::string error() const { return driver->last_error(); }
  const aicc_driver *driver = vendor->virtualised();
  // In all ways of asking, twice.
  void expectNone(std::initializer_list<const char *> words) {
    for (int round = 0; round < 2; ++round) {
      uint32_t count = 7;
      EXPECT_DONE(driver->device_count(&count));
      EXPECT_EQ(count, 0u);
      for (const char *word : words)
        EXPECT_NE(error().find(word), std::string::npos)
            << "'" << word << "' isn't in: " << error();
      aicc_driver_device *none = nullptr;
      EXPECT_EQ(driver->device_open(0, &none), AICC_NOT_FOUND);
      for (const char *word : words)
        EXPECT_NE(error().find(word), std::string::npos) << error();
    }
    // The real devices' family says the same.
    EXPECT_EQ(aicc_device_find(vendor->real()->family), nullptr);
    for (const char *word : words)
      EXPECT_NE(std::string(aicc_message()).find(word), std::string::npos)
          << aicc_message();
  }
};

TEST_F(NoDevice, LibraryIsAbsent) {
  setenv(vendor->environment, "/no/such/library.so", 1);
  expectNone({"/no/such/library.so"});
}
TEST_F(NoDevice, FunctionIsAbsent) {
  setenv(vendor->environment, emptyPath.c_str(), 1);
  expectNone({emptyPath.c_str(), "has no function", vendor->init});
}
TEST_F(NoDevice, DriverDoesNotStart) {
  setenv("AICC_VIRTUAL_FAULTS", (std::string(vendor->init) + ":1=100").c_str(),
         1);
  uint32_t count = 7;
  EXPECT_DONE(driver->device_count(&count));
  EXPECT_EQ(count, 0u);
  EXPECT_NE(error().find("starting "), std::string::npos) << error();
  EXPECT_NE(error().find("(100): no capable device"), std::string::npos)
      << error();
}
TEST_F(NoDevice, NobodyNamesAStandIn) {
  unsetenv(vendor->environment);
  uint32_t count = 7;
  EXPECT_DONE(driver->device_count(&count));
  EXPECT_EQ(count, 0u);
  EXPECT_NE(error().find("names no stand-in"), std::string::npos) << error();
}

} // namespace
