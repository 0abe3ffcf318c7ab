//===- Conformance.cpp - does a driver keep to aicc/driver.h? -------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// aicc-conformance --device=NAME [--driver=FILE.so] [--package=FILE.aicc]
//                  [GoogleTest's options]
//
// Checks a device's functions through the table that the runtime uses, and,
// with a package that has code for the device, its modules and launches. Where
// the package has code for the cpu as well, results are compared with the
// cpu's. Skips everything if the device isn't there.
//
//===----------------------------------------------------------------------===//

#include "runtime/device/Device.h"
#include "runtime/package/Reader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <thread>

namespace {

std::string deviceName = "cpu", packagePath;
aicc_device *device = nullptr;

// Expects success, and shows the driver's message otherwise.
#define EXPECT_DONE(call)                                                      \
  EXPECT_EQ((call), AICC_OK) << device->driver->last_error()
#define ASSERT_DONE(call)                                                      \
  ASSERT_EQ((call), AICC_OK) << device->driver->last_error()

struct Conformance : ::testing::Test {
  const aicc_driver *driver = nullptr;
  aicc_driver_device *handle = nullptr;
  aicc_driver_stream *stream = nullptr;

  void SetUp() override {
    if (!device)
      GTEST_SKIP() << "there is no device " << deviceName;
    driver = device->driver;
    handle = device->handle;
    ASSERT_DONE(driver->stream_create(handle, nullptr, &stream));
  }
  void TearDown() override {
    for (auto [memory, kind] : blocks)
      driver->free(handle, memory, kind);
    if (stream)
      driver->stream_destroy(stream);
  }
  uint8_t *allocate(uint64_t bytes, uint32_t kind = AICC_MEMORY_DEVICE) {
    void *memory = nullptr;
    EXPECT_DONE(driver->alloc(handle, bytes, kind, &memory));
    blocks.emplace_back(memory, kind);
    return static_cast<uint8_t *>(memory);
  }
  std::vector<uint8_t> read(const void *memory, size_t bytes) {
    std::vector<uint8_t> result(bytes, 0xee);
    EXPECT_DONE(driver->copy(stream, result.data(), memory, bytes));
    EXPECT_DONE(driver->stream_synchronize(stream));
    return result;
  }
  static std::vector<uint8_t> pattern(size_t bytes, unsigned seed) {
    std::vector<uint8_t> result(bytes);
    for (size_t i = 0; i < bytes; ++i)
      result[i] = uint8_t((i * 2654435761u + seed) >> 13);
    return result;
  }

private:
  std::vector<std::pair<void *, uint32_t>> blocks;
};

TEST_F(Conformance, Properties) {
  const aicc_device_properties *properties = driver->device_properties(handle);
  ASSERT_NE(properties, nullptr);
  EXPECT_GE(properties->struct_size, sizeof(aicc_device_properties));
  for (const char *text : {properties->name, properties->vendor,
                           properties->version, properties->chip})
    EXPECT_NE(text, nullptr);
  EXPECT_STRNE(properties->name, "");
  EXPECT_GE(properties->format_count, 1u);
  for (size_t i = 0; i < properties->format_count; ++i)
    EXPECT_STRNE(properties->formats[i], "");
  for (size_t i = 0; i < properties->feature_count; ++i)
    EXPECT_STRNE(properties->features[i], "");
  EXPECT_GE(properties->alignment, 64u);
  EXPECT_GE(properties->compute_units, 1u);
  EXPECT_GE(properties->max_workgroup, 1u);
}

TEST_F(Conformance, MemoryIsAlignedAndApart) {
  const uint64_t sizes[] = {0, 1, 63, 64, 4096, 5000, 1 << 20};
  std::vector<std::pair<uintptr_t, uint64_t>> taken;
  for (uint32_t kind : {AICC_MEMORY_DEVICE, AICC_MEMORY_PINNED})
    for (uint64_t size : sizes) {
      const auto at = reinterpret_cast<uintptr_t>(allocate(size, kind));
      ASSERT_NE(at, 0u);
      EXPECT_EQ(at % device->properties->alignment, 0u);
      for (auto [begin, bytes] : taken)
        EXPECT_TRUE(at >= begin + bytes || begin >= at + size);
      taken.emplace_back(at, size);
    }
  driver->free(handle, nullptr, AICC_MEMORY_DEVICE);
  driver->free(handle, nullptr, AICC_MEMORY_PINNED);
}

TEST_F(Conformance, AbsurdSizesAreErrors) {
  for (uint64_t size : {uint64_t(1) << 60, UINT64_MAX}) {
    void *memory = nullptr;
    EXPECT_NE(driver->alloc(handle, size, AICC_MEMORY_DEVICE, &memory),
              AICC_OK);
    EXPECT_STRNE(driver->last_error(), "");
  }
  allocate(64); // and it still works
}

TEST_F(Conformance, PinnedMemoryIsTheHosts) {
  const std::vector<uint8_t> data = pattern(10000, 1);
  uint8_t *pinned = allocate(data.size(), AICC_MEMORY_PINNED);
  std::memcpy(pinned, data.data(), data.size());
  uint8_t *memory = allocate(data.size());
  EXPECT_DONE(driver->copy(stream, memory, pinned, data.size()));
  EXPECT_EQ(read(memory, data.size()), data);
  std::memset(pinned, 0, data.size());
  EXPECT_DONE(driver->copy(stream, pinned, memory, data.size()));
  EXPECT_DONE(driver->stream_synchronize(stream));
  EXPECT_TRUE(std::equal(data.begin(), data.end(), pinned));
}

TEST_F(Conformance, Copies) {
  constexpr size_t size = 70000;
  const std::vector<uint8_t> data = pattern(size, 2);
  uint8_t *a = allocate(size), *b = allocate(size);
  EXPECT_DONE(driver->copy(stream, a, data.data(), size));
  EXPECT_DONE(driver->copy(stream, b, a, size));
  EXPECT_EQ(read(b, size), data);
  // Any address within a block, any length.
  for (size_t offset : {1, 3, 4, 100, 4097})
    for (size_t bytes : {0, 1, 7, 64, 4095}) {
      std::vector<uint8_t> expected(data);
      std::copy_n(data.begin() + 5000, bytes, expected.begin() + offset);
      EXPECT_DONE(driver->copy(stream, b, a, size));
      EXPECT_DONE(driver->copy(stream, b + offset, a + 5000, bytes));
      ASSERT_EQ(read(b, size), expected) << offset << ", " << bytes;
    }
}

TEST_F(Conformance, Fills) {
  constexpr size_t size = 4096;
  uint8_t *memory = allocate(size);
  const uint64_t value = 0x1122334455667788;
  for (uint32_t width : {1, 2, 4, 8})
    for (size_t count : {0, 1, 5, 300})
      for (size_t offset : {0, 1, 3}) {
        EXPECT_DONE(driver->fill(stream, memory, size, 0, 1));
        EXPECT_DONE(driver->fill(stream, memory + offset * width, count * width,
                                 value, width));
        std::vector<uint8_t> expected(size);
        for (size_t i = 0; i < count; ++i)
          std::memcpy(&expected[(offset + i) * width], &value, width);
        ASSERT_EQ(read(memory, size), expected)
            << width << ", " << count << ", " << offset;
      }
}

TEST_F(Conformance, HostAccess) {
  if (!device->flag(AICC_DEVICE_HOST_ACCESSIBLE))
    GTEST_SKIP() << "the device's memory is its own";
  const std::vector<uint8_t> data = pattern(5000, 3);
  uint8_t *memory = allocate(data.size());
  std::memcpy(memory, data.data(), data.size());
  EXPECT_EQ(read(memory, data.size()), data);
  EXPECT_DONE(driver->fill(stream, memory, data.size(), 0x5a, 1));
  EXPECT_DONE(driver->stream_synchronize(stream));
  EXPECT_EQ(std::count(memory, memory + data.size(), 0x5a),
            int64_t(data.size()));
}

TEST_F(Conformance, AStreamKeepsItsOrder) {
  constexpr size_t size = 1 << 18;
  uint8_t *a = allocate(size), *b = allocate(size);
  for (unsigned round = 0; round < 50; ++round) {
    EXPECT_DONE(driver->fill(stream, a, size, round, 1));
    EXPECT_DONE(driver->copy(stream, b, a, size));
  }
  EXPECT_EQ(read(b, size), std::vector<uint8_t>(size, 49));
}

TEST_F(Conformance, Events) {
  aicc_driver_event *event = nullptr;
  ASSERT_DONE(driver->event_create(handle, &event));
  int done = 0;
  EXPECT_DONE(driver->event_query(event, &done));
  EXPECT_TRUE(done) << "an event never recorded is done";
  EXPECT_DONE(driver->event_synchronize(event));
  uint8_t *memory = allocate(1 << 20);
  uint64_t last = 0;
  for (int round = 0; round < 5; ++round) {
    EXPECT_DONE(driver->fill(stream, memory, 1 << 20, 1, 1));
    EXPECT_DONE(driver->event_record(stream, event));
    EXPECT_DONE(driver->event_synchronize(event));
    EXPECT_DONE(driver->event_query(event, &done));
    EXPECT_TRUE(done);
    uint64_t begin = 0, end = 0;
    EXPECT_DONE(driver->event_times(event, &begin, &end));
    EXPECT_LE(begin, end);
    EXPECT_GE(end, last);
    last = end;
  }
  driver->event_destroy(event);
  driver->event_destroy(nullptr);
}

TEST_F(Conformance, EventsOrderStreams) {
  aicc_driver_stream *second = nullptr;
  ASSERT_DONE(driver->stream_create(handle, nullptr, &second));
  aicc_driver_event *forth = nullptr, *back = nullptr;
  ASSERT_DONE(driver->event_create(handle, &forth));
  ASSERT_DONE(driver->event_create(handle, &back));
  constexpr size_t size = 1 << 20;
  uint8_t *a = allocate(size), *b = allocate(size);
  for (unsigned round = 0; round < 20; ++round) {
    EXPECT_DONE(driver->fill(stream, a, size, round, 1));
    EXPECT_DONE(driver->event_record(stream, forth));
    EXPECT_DONE(driver->stream_wait(second, forth));
    EXPECT_DONE(driver->copy(second, b, a, size));
    EXPECT_DONE(driver->event_record(second, back));
    EXPECT_DONE(driver->stream_wait(stream, back));
  }
  EXPECT_EQ(read(b, size), std::vector<uint8_t>(size, 19));
  EXPECT_DONE(driver->stream_synchronize(second));
  driver->event_destroy(forth);
  driver->event_destroy(back);
  driver->stream_destroy(second);
  driver->stream_destroy(nullptr);
}

TEST_F(Conformance, ThreadsWithTheirOwnStreams) {
  std::atomic<int> wrong{0};
  auto work = [&](unsigned seed) {
    aicc_driver_stream *own = nullptr;
    wrong += driver->stream_create(handle, nullptr, &own) != AICC_OK;
    const std::vector<uint8_t> data = pattern(20000, seed);
    for (int round = 0; round < 20; ++round) {
      void *memory = nullptr;
      wrong += driver->alloc(handle, data.size(), AICC_MEMORY_DEVICE,
                             &memory) != AICC_OK;
      std::vector<uint8_t> back(data.size());
      wrong += driver->copy(own, memory, data.data(), data.size()) != AICC_OK;
      wrong += driver->copy(own, back.data(), memory, data.size()) != AICC_OK;
      wrong += driver->stream_synchronize(own) != AICC_OK;
      wrong += back != data;
      driver->free(handle, memory, AICC_MEMORY_DEVICE);
    }
    driver->stream_destroy(own);
  };
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 6; ++t)
    threads.emplace_back(work, t);
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST_F(Conformance, MemoryOfAPool) {
  ASSERT_EQ(driver->alloc_async == nullptr, driver->free_async == nullptr);
  if (!driver->alloc_async)
    GTEST_SKIP() << "the driver has no pools";
  for (unsigned round = 0; round < 20; ++round) {
    const size_t size = 100 + 5000 * round;
    void *a = nullptr, *b = nullptr;
    ASSERT_DONE(driver->alloc_async(stream, size, &a));
    EXPECT_EQ(reinterpret_cast<uintptr_t>(a) % device->properties->alignment,
              0u);
    EXPECT_DONE(driver->fill(stream, a, size, round, 1));
    ASSERT_DONE(driver->alloc_async(stream, size, &b));
    EXPECT_DONE(driver->copy(stream, b, a, size));
    EXPECT_DONE(driver->free_async(stream, a));
    EXPECT_EQ(read(b, size), std::vector<uint8_t>(size, uint8_t(round)));
    EXPECT_DONE(driver->free_async(stream, b));
  }
  void *empty = nullptr;
  EXPECT_DONE(driver->alloc_async(stream, 0, &empty));
  EXPECT_DONE(driver->free_async(stream, empty));
  EXPECT_DONE(driver->stream_synchronize(stream));
}

TEST_F(Conformance, UnknownFormat) {
  const aicc_module_options options{sizeof options, "wax-cylinder", "test"};
  aicc_driver_module *module = nullptr;
  EXPECT_NE(driver->module_load(handle, "music", 5, &options, &module),
            AICC_OK);
  EXPECT_STRNE(driver->last_error(), "");
  driver->module_unload(nullptr);
}

TEST_F(Conformance, GraphsAreWholeOrAbsent) {
  const int found =
      (driver->graph_begin != nullptr) + (driver->graph_end != nullptr) +
      (driver->graph_launch != nullptr) + (driver->graph_destroy != nullptr);
  EXPECT_TRUE(found == 0 || found == 4);
  if (!found)
    return;
  uint8_t *a = allocate(1000), *b = allocate(1000);
  EXPECT_DONE(driver->fill(stream, b, 1000, 0, 1));
  aicc_driver_graph *graph = nullptr;
  ASSERT_DONE(driver->graph_begin(stream));
  EXPECT_DONE(driver->copy(stream, b, a, 1000));
  ASSERT_DONE(driver->graph_end(stream, &graph));
  EXPECT_EQ(read(b, 1000), std::vector<uint8_t>(1000)) << "recorded only";
  for (unsigned value : {3, 4}) {
    EXPECT_DONE(driver->fill(stream, a, 1000, value, 1));
    EXPECT_DONE(driver->graph_launch(stream, graph));
    EXPECT_EQ(read(b, 1000), std::vector<uint8_t>(1000, uint8_t(value)));
  }
  driver->graph_destroy(graph);
}

// --- with a package ---------------------------------------------------------

struct WithPackage : Conformance {
  aicc_package *package = nullptr;
  aicc_session *session = nullptr, *reference = nullptr;

  void SetUp() override {
    Conformance::SetUp();
    if (IsSkipped())
      return;
    if (packagePath.empty())
      GTEST_SKIP() << "no --package";
    ASSERT_EQ(aicc_package_open(packagePath.c_str(), nullptr, &package),
              AICC_OK)
        << aicc_message();
    ASSERT_EQ(aicc_session_create(package, device, nullptr, &session), AICC_OK)
        << aicc_message();
    if (aicc_session_create(package, aicc_device_find("cpu"), nullptr,
                            &reference) != AICC_OK)
      reference = nullptr;
  }
  void TearDown() override {
    aicc_session_release(session);
    aicc_session_release(reference);
    aicc_package_release(package);
    Conformance::TearDown();
  }
  // Inputs with every symbol being `size`.
  std::vector<aicc_tensor *> inputs(int64_t size, unsigned seed) {
    const std::vector<int64_t> symbols(aicc_package_symbol_count(package),
                                       size);
    std::vector<aicc_tensor *> tensors;
    for (size_t i = 0; i < aicc_package_input_count(package); ++i) {
      aicc_port port{};
      port.struct_size = sizeof port;
      aicc_package_input(package, i, &port);
      std::vector<int64_t> dims(port.rank);
      aicc_package_input_dims(package, i, symbols.data(), dims.data());
      aicc_tensor *tensor = nullptr;
      EXPECT_EQ(aicc_tensor_create(port.type, port.rank, dims.data(), &tensor),
                AICC_OK);
      std::memset(aicc_tensor_data(tensor), 0, aicc_tensor_bytes(tensor));
      if (port.type == AICC_F32)
        for (size_t k = 0; k < aicc_tensor_bytes(tensor) / 4; ++k)
          static_cast<float *>(aicc_tensor_data(tensor))[k] =
              float((k * 7 + seed * 13 + i) % 32) / 16 - 1;
      tensors.push_back(tensor);
    }
    return tensors;
  }
  // All outputs' bytes, one after the other.
  std::vector<uint8_t> run(aicc_session *on, int64_t size, unsigned seed,
                           bool &ok) {
    std::vector<aicc_tensor *> in = inputs(size, seed);
    std::vector<aicc_tensor *> out(aicc_package_output_count(package));
    ok = aicc_session_run(on, in.data(), in.size(), out.data(), out.size()) ==
         AICC_OK;
    EXPECT_TRUE(ok) << aicc_message();
    std::vector<uint8_t> bytes;
    for (aicc_tensor *tensor : out) {
      if (!tensor)
        continue;
      const auto *data = static_cast<uint8_t *>(aicc_tensor_data(tensor));
      bytes.insert(bytes.end(), data, data + aicc_tensor_bytes(tensor));
      aicc_tensor_release(tensor);
    }
    for (aicc_tensor *tensor : in)
      aicc_tensor_release(tensor);
    return bytes;
  }
};

TEST_F(WithPackage, Modules) {
  std::shared_ptr<const aicc::PackageReader> reader;
  ASSERT_TRUE(aicc::PackageReader::open(packagePath, reader).ok());
  const std::string target = aicc_session_variant(session);
  for (const aicc::program::Variant &variant : reader->contents().variants) {
    if (variant.target != target)
      continue;
    const aicc::program::Object &object = variant.objects.front();
    const aicc_module_options options{sizeof options, object.format.c_str(),
                                      "conformance"};
    auto bytes = reader->section(object.data);
    // Twice at once: modules don't share names.
    aicc_driver_module *modules[2] = {};
    for (aicc_driver_module *&module : modules)
      ASSERT_DONE(driver->module_load(handle, bytes.data(), bytes.size(),
                                      &options, &module));
    aicc_driver_kernel *kernel = nullptr;
    EXPECT_NE(driver->module_kernel(modules[0], "no such kernel", &kernel),
              AICC_OK);
    EXPECT_STRNE(driver->last_error(), "");
    for (const aicc::program::Kernel &entry : variant.kernels)
      if (entry.object == 0)
        for (aicc_driver_module *module : modules)
          EXPECT_DONE(
              driver->module_kernel(module, entry.entry.c_str(), &kernel));
    for (aicc_driver_module *module : modules)
      driver->module_unload(module);
  }
}

TEST_F(WithPackage, ResultsAreTheCpus) {
  for (int64_t size : {1, 5, 2, 33}) {
    bool ok = true;
    const std::vector<uint8_t> found = run(session, size, 1, ok);
    ASSERT_TRUE(ok);
    EXPECT_EQ(run(session, size, 1, ok), found) << "the same again";
    if (!reference)
      continue;
    const std::vector<uint8_t> expected = run(reference, size, 1, ok);
    ASSERT_EQ(found.size(), expected.size());
    for (size_t at = 0; at + 4 <= found.size(); at += 4) {
      float a, b;
      std::memcpy(&a, &found[at], 4);
      std::memcpy(&b, &expected[at], 4);
      ASSERT_NEAR(a, b, 1e-5 * std::max(1.f, std::abs(b))) << at / 4;
    }
  }
}

TEST_F(WithPackage, ThreadsShareKernels) {
  bool ok = true;
  std::vector<std::vector<uint8_t>> expected;
  for (unsigned seed = 0; seed < 4; ++seed)
    expected.push_back(run(session, 1 + seed, seed, ok));
  ASSERT_TRUE(ok);
  std::atomic<int> wrong{0};
  auto work = [&](unsigned seed) {
    for (int round = 0; round < 20; ++round) {
      bool done;
      wrong += run(session, 1 + seed, seed, done) != expected[seed] || !done;
    }
  };
  std::vector<std::thread> threads;
  for (unsigned seed = 0; seed < 4; ++seed)
    threads.emplace_back(work, seed);
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST_F(WithPackage, LaunchesAreTimed) {
  struct Seen {
    size_t launches = 0;
    uint64_t last = 0;
  } seen;
  aicc_session_profile(
      session,
      [](const aicc_profile_event *event, void *context) {
        Seen &seen = *static_cast<Seen *>(context);
        ++seen.launches;
        EXPECT_LE(event->begin_ns, event->end_ns);
        EXPECT_GE(event->end_ns, seen.last);
        seen.last = event->end_ns;
      },
      &seen);
  bool ok;
  run(session, 2, 0, ok);
  EXPECT_GE(seen.launches, 1u);
}

} // namespace

int main(int argc, char **argv) {
  ::testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const size_t equals = argument.find('=');
    const std::string key = argument.substr(0, equals),
                      value = equals == std::string::npos
                                  ? ""
                                  : argument.substr(equals + 1);
    if (key == "--device") {
      deviceName = value;
    } else if (key == "--package") {
      packagePath = value;
    } else if (key == "--driver") {
      if (aicc_driver_load(value.c_str()) != AICC_OK) {
        std::fprintf(stderr, "aicc-conformance: %s\n", aicc_message());
        return 1;
      }
    } else {
      std::fprintf(stderr, "aicc-conformance: unknown option '%s'\n", argv[i]);
      return 2;
    }
  }
  device = aicc_device_find(deviceName.c_str());
  if (!device)
    std::printf("SKIP: %s\n", aicc_message());
  return RUN_ALL_TESTS();
}
