//===- DevicesTest.cpp - sessions of several devices ----------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Every pair of a device that the host sees (cpu), devices that work by
// themselves (fake), and such that copy to each other (peer).
//
//===----------------------------------------------------------------------===//

#include "RuntimeFixture.h"

#include <chrono>
#include <map>
#include <thread>

using namespace aicc;
using namespace aicc::testing;
using package::ExprOp;
using package::Storage;

namespace {

constexpr uint32_t hops = 6;

float weightOf(int64_t i) { return i % 2 ? 2.f : 0.5f; }
float biasOf(int64_t i) { return float(i % 8); }

// What the chain gives.
float chain(float x, int64_t i) {
  for (uint32_t hop = 0; hop <= hops; ++hop)
    x = hop % 2 ? x + biasOf(i) : x * weightOf(i);
  return x;
}

struct Devices
    : ::testing::TestWithParam<std::pair<const char *, const char *>> {
  Package package;
  Session session;

  void SetUp() override { reset(); }
  void TearDown() override { reset(); }
  static void reset() {
    FakeDevice::failAfter = -1;
    FakeDevice::limit = -1;
    FakeDevice::delay = 0;
    FakeDevice::mostAtOnce = 0;
    FakeDevice::peerCopies = 0;
  }
  static std::vector<std::string> families() {
    return {GetParam().first, GetParam().second};
  }
  static bool isHost(uint32_t device) { return families()[device] == "cpu"; }

  // The session's devices, which are two also where the families are one.
  static std::vector<aicc_device *> devices() {
    const bool same = families()[0] == families()[1];
    deviceNamed(families()[0]); // adds the drivers
    return {deviceNamed(families()[0] + ":0"),
            deviceNamed(families()[1] + (same ? ":1" : ":0"))};
  }
  aicc_status tryCreate(const PackageBuilder &builder) {
    EXPECT_EQ(openBytes(builder.finish(), package.out()), AICC_OK)
        << aicc_message();
    const std::vector<aicc_device *> on = devices();
    const aicc_session_options options{sizeof options, 1, nullptr};
    return aicc_session_create_on_devices(package, on.data(), on.size(),
                                          &options, session.out());
  }
  void create(const PackageBuilder &builder) {
    ASSERT_EQ(tryCreate(builder), AICC_OK) << aicc_message();
  }

  // From one device to the other and back, whose memory is used again and
  // again: v0 = x * w, v1 = v0 + b, v2 = v1 * w, ... The last is the output y;
  // z = x + b is computed on the second device from the same input.
  static PackageBuilder pingPong() {
    PackageBuilder b;
    b.symbol("batch");
    const uint32_t batch = b.exprs.symbol(0), eight = b.exprs.constant(8);
    b.input("x", f32, {batch, eight});
    b.output("y", f32, {batch, eight});
    b.output("z", f32, {batch, eight});
    float w[8], bias[8];
    for (int i = 0; i < 8; ++i) {
      w[i] = weightOf(i) / 2; // the prepare program doubles it
      bias[i] = biasOf(i);
    }
    b.weight("w", f32, {8}, w, sizeof w);
    b.weight("b", f32, {8}, bias, sizeof bias);
    VariantBuilder v = b.variant(families(), "elf-so", kernels());
    ExprList &e = v.exprs;
    const uint32_t s = e.symbol(0), c0 = e.constant(0), c1 = e.constant(1),
                   c8 = e.constant(8), c32 = e.constant(32);
    const uint32_t n = e.binary(ExprOp::mul, s, c8),
                   bytes = e.binary(ExprOp::mul, s, c32);
    auto on = [&](uint32_t device, uint32_t buffer) {
      v.variant.buffers[buffer]->device = device;
      return buffer;
    };
    auto kernelOn = [&](uint32_t device, const char *entry, uint32_t buffers) {
      const uint32_t index = v.kernel(entry, buffers, 1, 1, {entry});
      v.variant.kernels[index]->object = device;
      return index;
    };
    uint32_t x[2], weight[2], biases[2], multiply[2], add[2];
    for (uint32_t d : {0, 1}) {
      x[d] = on(d, v.buffer("x", Storage::input, 0, f32, {s, c8}, bytes));
      biases[d] = on(d, v.buffer("b", Storage::weight, 1, f32, {c8}, c32));
      const uint32_t raw =
          on(d, v.buffer("w", Storage::weight, 0, f32, {c8}, c32));
      weight[d] = on(d, v.buffer("w2", Storage::prepared, 0, f32, {c8}, c32));
      multiply[d] = kernelOn(d, "test_mul", 3);
      add[d] = kernelOn(d, "test_add", 3);
      v.variant.prepare.push_back(v.launch(kernelOn(d, "test_double", 2),
                                           {raw, weight[d]}, {c8}, {c1, c1, c1},
                                           c0));
    }
    const uint32_t z =
        on(1, v.buffer("z", Storage::output, 1, f32, {s, c8}, bytes));
    uint32_t value = x[0];
    for (uint32_t hop = 0; hop <= hops; ++hop) {
      const uint32_t d = hop % 2, at = 2 * hop;
      const bool last = hop == hops;
      const uint32_t next =
          on(d, v.buffer("v" + std::to_string(hop),
                         last ? Storage::output : Storage::temporary, 0, f32,
                         {s, c8}, bytes, last ? 0 : at, last ? 0 : at + 1));
      v.variant.program.push_back(
          v.launch(hop % 2 ? add[d] : multiply[d],
                   {value, hop % 2 ? biases[d] : weight[d], next}, {n},
                   {s, c1, c1}, c0));
      if (last)
        break;
      value = on(1 - d, v.buffer("c" + std::to_string(hop), Storage::temporary,
                                 0, f32, {s, c8}, bytes, at + 1, at + 2));
      v.variant.program.push_back(
          v.transfer(package::Operation::copy, {next, value}));
    }
    v.variant.program.push_back(
        v.launch(add[1], {x[1], biases[1], z}, {n}, {s, c1, c1}, c0));
    return b;
  }

  static void fillInput(Tensor &x, int64_t batch, float start) {
    OnDevice::newTensor({batch, 8}, x);
    for (int64_t i = 0; i < batch * 8; ++i)
      OnDevice::floats(x)[i] = start + float(i % 500);
  }
  static int wrong(aicc_tensor *y, aicc_tensor *z, int64_t batch, float start) {
    int count = 0;
    for (int64_t i = 0; i < batch * 8; ++i) {
      const float x = start + float(i % 500);
      count += OnDevice::floats(y)[i] != chain(x, i);
      count += OnDevice::floats(z)[i] != x + biasOf(i);
    }
    return count;
  }
  void runPingPong(int64_t batch, float start) {
    Tensor x;
    fillInput(x, batch, start);
    aicc_tensor *const inputs[] = {x};
    aicc_tensor *outputs[2] = {nullptr, nullptr};
    ASSERT_EQ(aicc_session_run(session, inputs, 1, outputs, 2), AICC_OK)
        << aicc_message();
    EXPECT_EQ(wrong(outputs[0], outputs[1], batch, start), 0);
    for (aicc_tensor *output : outputs)
      aicc_tensor_release(output);
  }
};

TEST_P(Devices, RunsAnySize) {
  create(pingPong());
  EXPECT_EQ(aicc_session_device_count(session), 2u);
  EXPECT_EQ(aicc_session_device_at(session, 0), devices()[0]);
  EXPECT_EQ(aicc_session_device_at(session, 1), devices()[1]);
  EXPECT_EQ(aicc_session_device_at(session, 2), nullptr);
  EXPECT_EQ(aicc_session_device(session), devices()[0]);
  float start = 1;
  for (int64_t batch : {1, 3, 1, 100, 0, 7})
    runPingPong(batch, start += 5);
  aicc_memory_info memory{};
  memory.struct_size = sizeof memory;
  ASSERT_EQ(aicc_session_memory(session, &memory), AICC_OK);
  EXPECT_EQ(memory.weight_bytes, 96u) << "one of them on both";
  EXPECT_EQ(memory.prepared_bytes, 128u);
  EXPECT_GE(memory.arena_bytes, 4 * 3200u);
  EXPECT_EQ(FakeDevice::peerCopies > 0,
            families() == std::vector<std::string>({"peer", "peer"}));
}

// Everything late: who doesn't wait reads what isn't there yet.
TEST_P(Devices, NothingOvertakes) {
  create(pingPong());
  FakeDevice::delay = 300;
  for (int round = 0; round < 10; ++round)
    runPingPong(20 + round % 2, float(round));
}

TEST_P(Devices, ManyThreads) {
  create(pingPong());
  std::atomic<int> mistakes{0};
  auto work = [&](int seed) {
    for (int round = 0; round < 30; ++round) {
      const int64_t batch = 1 + (seed + round) % 5;
      const float start = float(100 * seed + round);
      Tensor x;
      fillInput(x, batch, start);
      aicc_tensor *const inputs[] = {x};
      aicc_tensor *outputs[2] = {nullptr, nullptr};
      if (aicc_session_run(session, inputs, 1, outputs, 2) != AICC_OK) {
        ++mistakes;
        continue;
      }
      mistakes += wrong(outputs[0], outputs[1], batch, start);
      for (aicc_tensor *output : outputs)
        aicc_tensor_release(output);
    }
  };
  std::vector<std::thread> threads;
  for (int seed = 0; seed < 4; ++seed)
    threads.emplace_back(work, seed);
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(mistakes, 0);
}

TEST_P(Devices, WithoutWaiting) {
  create(pingPong());
  constexpr int count = 12;
  FakeDevice::delay = 50;
  std::vector<Tensor> xs(count);
  std::vector<Pending> runs(count);
  std::vector<std::array<aicc_tensor *, 2>> outputs(count);
  for (int i = 0; i < count; ++i) {
    outputs[i] = {nullptr, nullptr};
    fillInput(xs[i], 4 + i % 3, float(i));
    aicc_tensor *const inputs[] = {xs[i]};
    ASSERT_EQ(aicc_session_run_async(session, inputs, 1, outputs[i].data(), 2,
                                     runs[i].out()),
              AICC_OK)
        << aicc_message();
  }
  for (int i = 0; i < count; ++i) {
    ASSERT_EQ(aicc_run_wait(runs[i]), AICC_OK) << aicc_message();
    EXPECT_EQ(wrong(outputs[i][0], outputs[i][1], 4 + i % 3, float(i)), 0);
    for (aicc_tensor *output : outputs[i])
      aicc_tensor_release(output);
  }
}

// Every call of a driver may be the one that fails.
TEST_P(Devices, FailuresOnTheWay) {
  if (isHost(0) && isHost(1))
    GTEST_SKIP() << "no device of this set fails on demand";
  const int64_t bytes = FakeDevice::liveBytes,
                handles = FakeDevice::liveHandles;
  int failures = 0;
  for (int64_t after = 0;; ++after) {
    ASSERT_LT(after, 1000);
    FakeDevice::failAfter = after;
    Package fresh;
    ASSERT_EQ(openBytes(pingPong().finish(), fresh.out()), AICC_OK);
    Session made;
    const std::vector<aicc_device *> on = devices();
    const aicc_session_options options{sizeof options, 1, nullptr};
    aicc_status status = aicc_session_create_on_devices(
        fresh, on.data(), on.size(), &options, made.out());
    Tensor x;
    fillInput(x, 3, 2);
    aicc_tensor *const inputs[] = {x};
    aicc_tensor *outputs[2] = {nullptr, nullptr};
    if (status == AICC_OK)
      status = aicc_session_run(made, inputs, 1, outputs, 2);
    if (status == AICC_OK) {
      EXPECT_EQ(wrong(outputs[0], outputs[1], 3, 2), 0);
      for (aicc_tensor *output : outputs)
        aicc_tensor_release(output);
      break;
    }
    ++failures;
    EXPECT_EQ(status, AICC_DEVICE_ERROR) << aicc_message();
    EXPECT_NE(std::string(aicc_message()).find("failure on demand"),
              std::string::npos)
        << aicc_message();
    EXPECT_EQ(outputs[0], nullptr);
    // It serves whoever comes next.
    FakeDevice::failAfter = -1;
    if (made.value) {
      ASSERT_EQ(aicc_session_run(made, inputs, 1, outputs, 2), AICC_OK)
          << aicc_message();
      EXPECT_EQ(wrong(outputs[0], outputs[1], 3, 2), 0);
      for (aicc_tensor *output : outputs)
        aicc_tensor_release(output);
    }
  }
  EXPECT_GT(failures, 20);
  EXPECT_EQ(FakeDevice::liveBytes, bytes);
  EXPECT_EQ(FakeDevice::liveHandles, handles);
}

TEST_P(Devices, Profile) {
  create(pingPong());
  std::vector<std::pair<std::string, std::string>> events;
  ASSERT_EQ(aicc_session_profile(
                session,
                [](const aicc_profile_event *event, void *context) {
                  EXPECT_LE(event->begin_ns, event->end_ns);
                  static_cast<decltype(events) *>(context)->emplace_back(
                      event->kernel, event->device);
                },
                &events),
            AICC_OK);
  runPingPong(5, 1);
  std::map<std::string, int> kernelsOf;
  int copies = 0;
  for (const auto &[kernel, device] : events)
    if (kernel == "copy")
      ++copies;
    else
      ++kernelsOf[device];
  const std::string first = devices()[0]->name, second = devices()[1]->name;
  EXPECT_EQ(kernelsOf[first], int(hops / 2 + 1));
  EXPECT_EQ(kernelsOf[second], int(hops / 2 + 1));
  // Those of the input and the output to and from a device besides.
  EXPECT_EQ(copies, int(hops) + 2 * (!isHost(0) + !isHost(1)));
}

// Values that a device computed last are seen, not what was there before.
TEST_P(Devices, Observe) {
  create(pingPong());
  FakeDevice::delay = 200;
  std::map<std::string, float> seen;
  ASSERT_EQ(aicc_session_observe(
                session,
                [](const aicc_value *value, void *context) {
                  (*static_cast<std::map<std::string, float> *>(
                      context))[value->name] =
                      static_cast<const float *>(value->data)[9];
                },
                &seen),
            AICC_OK);
  runPingPong(4, 3);
  float expected = 3 + 9;
  for (uint32_t hop = 0; hop <= hops; ++hop) {
    expected = hop % 2 ? expected + biasOf(9) : expected * weightOf(9);
    EXPECT_EQ(seen["v" + std::to_string(hop)], expected) << hop;
    if (hop < hops)
      EXPECT_EQ(seen["c" + std::to_string(hop)], expected) << hop;
  }
}

// A caller's tensors in the memory of either device.
TEST_P(Devices, TensorsOnDevices) {
  create(pingPong());
  const std::vector<aicc_device *> on = devices();
  constexpr int64_t batch = 6, dims[] = {batch, 8};
  constexpr size_t bytes = batch * 32;
  for (uint32_t from : {0, 1})
    for (uint32_t to : {0, 1}) {
      aicc_device::Memory memory[3];
      aicc_driver_stream *stream[2];
      for (uint32_t i : {0, 1})
        ASSERT_EQ(
            on[i]->driver->stream_create(on[i]->handle, nullptr, &stream[i]),
            AICC_OK);
      ASSERT_TRUE(on[from]->allocate(bytes, memory[0]).ok());
      ASSERT_TRUE(on[to]->allocate(bytes, memory[1]).ok());
      ASSERT_TRUE(on[to]->allocate(bytes, memory[2]).ok());
      const float start = float(10 * from + to);
      Tensor host, x, y, z;
      fillInput(host, batch, start);
      on[from]->driver->copy(stream[from], memory[0].get(),
                             aicc_tensor_data(host), bytes);
      on[from]->driver->stream_synchronize(stream[from]);
      auto wrap = [&](uint32_t device, void *data, Tensor &out) {
        ASSERT_EQ(aicc_tensor_from_device(on[device], data, AICC_F32, 2, dims,
                                          nullptr, nullptr, out.out()),
                  AICC_OK);
      };
      wrap(from, memory[0].get(), x);
      wrap(to, memory[1].get(), y);
      wrap(to, memory[2].get(), z);
      aicc_tensor *const inputs[] = {x};
      aicc_tensor *outputs[] = {y, z};
      for (int round = 0; round < 2; ++round)
        ASSERT_EQ(aicc_session_run(session, inputs, 1, outputs, 2), AICC_OK)
            << aicc_message();
      Tensor results[2];
      for (int i : {0, 1}) {
        OnDevice::newTensor({batch, 8}, results[i]);
        on[to]->driver->copy(stream[to], aicc_tensor_data(results[i]),
                             memory[1 + i].get(), bytes);
        on[to]->driver->stream_synchronize(stream[to]);
      }
      EXPECT_EQ(wrong(results[0], results[1], batch, start), 0) << from << to;
      for (uint32_t i : {0, 1})
        on[i]->driver->stream_destroy(stream[i]);
    }
}

// A value of one device is read, what follows from it is made on the other.
TEST_P(Devices, SizesThatARunFindsOut) {
  PackageBuilder b = compressModel("none", "elf-so", kernels());
  pkg::VariantT &old = *b.package.variants[0];
  VariantBuilder v = b.variant(families(), "elf-so", kernels());
  v.variant.exprs = old.exprs;
  v.variant.kernels = std::move(old.kernels);
  v.variant.buffers = std::move(old.buffers);
  v.variant.program = std::move(old.program);
  b.package.variants.erase(b.package.variants.begin());
  // x, y, count, taken: counts on the second device, takes on the first, and
  // the result is on the second one again.
  pkg::VariantT &variant = *b.package.variants[0];
  auto &buffers = variant.buffers;
  auto second = std::make_unique<pkg::BufferT>(*buffers[0]);
  second->device = 1;
  buffers.push_back(std::move(second));
  buffers[1]->device = 1;
  buffers[2]->device = 1;
  variant.kernels[0]->object = 1;
  variant.program[0]->buffers[0] = uint32_t(buffers.size() - 1);
  create(b);
  FakeDevice::delay = 200;
  for (int64_t n : {5, 300, 1, 40}) {
    Tensor x, y;
    OnDevice::newTensor({n}, x);
    std::vector<float> expected;
    for (int64_t i = 0; i < n; ++i) {
      OnDevice::floats(x)[i] = float((i + n) % 3 - 1) * float(i + 1);
      if (OnDevice::floats(x)[i] > 0)
        expected.push_back(OnDevice::floats(x)[i]);
    }
    aicc_tensor *const inputs[] = {x};
    ASSERT_EQ(aicc_session_run(session, inputs, 1, y.out(), 1), AICC_OK)
        << aicc_message();
    ASSERT_EQ(aicc_tensor_dims(y)[0], int64_t(expected.size()));
    for (size_t i = 0; i < expected.size(); ++i)
      ASSERT_EQ(OnDevice::floats(y)[i], expected[i]) << i;
  }
}

// What one device does has nothing to do with the other until it needs it.
TEST_P(Devices, WorkAtTheSameTime) {
  if (isHost(0) || isHost(1))
    GTEST_SKIP() << "a device of this set does what it is told at once";
  PackageBuilder b;
  b.symbol("batch");
  const uint32_t batch = b.exprs.symbol(0), eight = b.exprs.constant(8);
  b.input("x", f32, {batch, eight});
  b.output("y", f32, {batch, eight});
  b.output("z", f32, {batch, eight});
  VariantBuilder v = b.variant(families(), "elf-so", kernels());
  ExprList &e = v.exprs;
  const uint32_t s = e.symbol(0), c0 = e.constant(0), c1 = e.constant(1),
                 c8 = e.constant(8), c32 = e.constant(32);
  const uint32_t n = e.binary(ExprOp::mul, s, c8),
                 bytes = e.binary(ExprOp::mul, s, c32);
  for (uint32_t d : {0, 1}) {
    const uint32_t x = v.buffer("x", Storage::input, 0, f32, {s, c8}, bytes);
    const uint32_t y = v.buffer("y", Storage::output, d, f32, {s, c8}, bytes);
    v.variant.buffers[x]->device = v.variant.buffers[y]->device = d;
    const uint32_t kernel = v.kernel("test_double", 2, 1, 1);
    v.variant.kernels[kernel]->object = d;
    for (int i = 0; i < 3; ++i)
      v.variant.program.push_back(
          v.launch(kernel, {x, y}, {n}, {s, c1, c1}, c0));
  }
  create(b);
  FakeDevice::delay = 2000;
  Tensor x;
  fillInput(x, 4, 1);
  aicc_tensor *const inputs[] = {x};
  aicc_tensor *outputs[2] = {nullptr, nullptr};
  ASSERT_EQ(aicc_session_run(session, inputs, 1, outputs, 2), AICC_OK);
  EXPECT_EQ(OnDevice::floats(outputs[0])[5], 12.f);
  EXPECT_EQ(OnDevice::floats(outputs[1])[5], 12.f);
  for (aicc_tensor *output : outputs)
    aicc_tensor_release(output);
  EXPECT_EQ(FakeDevice::mostAtOnce, 2);
}

// What is copied keeps its memory until it was, however busy the other device
// is, and however early it is used again.
TEST_P(Devices, MemoryIsKeptForACopy) {
  PackageBuilder b;
  const uint32_t eight = b.exprs.constant(8);
  b.input("x", f32, {eight});
  b.output("y", f32, {eight});
  b.output("z", f32, {eight});
  VariantBuilder v = b.variant(families(), "elf-so", kernels());
  ExprList &e = v.exprs;
  const uint32_t c0 = e.constant(0), c1 = e.constant(1), c8 = e.constant(8),
                 c32 = e.constant(32);
  auto buffer = [&](uint32_t device, const char *name, Storage storage,
                    uint32_t index, uint32_t first = 0, uint32_t last = 0) {
    const uint32_t made =
        v.buffer(name, storage, index, f32, {c8}, c32, first, last);
    v.variant.buffers[made]->device = device;
    return made;
  };
  uint32_t x[2], twice[2];
  for (uint32_t d : {0, 1}) {
    x[d] = buffer(d, "x", Storage::input, 0);
    twice[d] = v.kernel("test_double", 2, 1, 1);
    v.variant.kernels[twice[d]]->object = d;
  }
  auto launch = [&](uint32_t device, uint32_t from, uint32_t to) {
    v.variant.program.push_back(
        v.launch(twice[device], {from, to}, {c8}, {c1, c1, c1}, c0));
  };
  const uint32_t first = buffer(0, "first", Storage::temporary, 0, 3, 4),
                 again = buffer(0, "again", Storage::temporary, 0, 5, 6),
                 there = buffer(1, "there", Storage::temporary, 0, 4, 7),
                 busy = buffer(1, "busy", Storage::temporary, 0, 0, 2),
                 y = buffer(0, "y", Storage::output, 0),
                 z = buffer(1, "z", Storage::output, 1);
  for (int i = 0; i < 3; ++i)
    launch(1, x[1], busy);
  launch(0, x[0], first);
  v.variant.program.push_back(
      v.transfer(package::Operation::copy, {first, there}));
  launch(0, first, again); // in the same memory: reads what it writes
  launch(0, again, y);
  launch(1, there, z);
  create(b);
  FakeDevice::delay = 500;
  for (int round = 0; round < 3; ++round) {
    Tensor in;
    OnDevice::newTensor({8}, in);
    for (int i = 0; i < 8; ++i)
      OnDevice::floats(in)[i] = float(i + 10 * round + 1);
    aicc_tensor *const inputs[] = {in};
    aicc_tensor *outputs[2] = {nullptr, nullptr};
    ASSERT_EQ(aicc_session_run(session, inputs, 1, outputs, 2), AICC_OK)
        << aicc_message();
    for (int i = 0; i < 8; ++i) {
      EXPECT_EQ(OnDevice::floats(outputs[0])[i], 8 * OnDevice::floats(in)[i]);
      EXPECT_EQ(OnDevice::floats(outputs[1])[i], 4 * OnDevice::floats(in)[i]);
    }
    for (aicc_tensor *output : outputs)
      aicc_tensor_release(output);
  }
}

// A copy in a loop: its memory on the way is used in every iteration, and the
// one that receives is slow.
TEST_P(Devices, Loops) {
  PackageBuilder b;
  b.package.symbol_count = 1;
  b.output("y", f32, {b.exprs.constant(8)});
  VariantBuilder v = b.variant(families(), "elf-so", kernels());
  ExprList &e = v.exprs;
  const uint32_t c0 = e.constant(0), c1 = e.constant(1), c8 = e.constant(8),
                 c32 = e.constant(32), iteration = e.symbol(0);
  auto buffer = [&](uint32_t device, const char *name) {
    const uint32_t made =
        v.buffer(name, Storage::temporary, 0, f32, {c8}, c32, 0, 6);
    v.variant.buffers[made]->device = device;
    return made;
  };
  const uint32_t value = buffer(0, "value"), there = buffer(1, "there"),
                 sum = buffer(1, "sum");
  const uint32_t y = v.buffer("y", Storage::output, 0, f32, {c8}, c32);
  const uint32_t step = v.kernel("test_step", 1, 1, 2),
                 add = v.kernel("test_add", 3, 1, 1);
  v.variant.kernels[add]->object = 1;
  v.variant.program.push_back(
      v.transfer(package::Operation::fill_zero, {value}));
  v.variant.program.push_back(v.transfer(package::Operation::fill_zero, {sum}));
  std::vector<std::unique_ptr<pkg::InstructionT>> body;
  body.push_back(v.launch(step, {value}, {c8, iteration}, {c1, c1, c1}, c0));
  body.push_back(v.transfer(package::Operation::copy, {value, there}));
  for (int i = 0; i < 3; ++i)
    body.push_back(v.launch(add, {sum, there, sum}, {c8}, {c1, c1, c1}, c0));
  v.variant.program.push_back(v.loop(0, c8, std::move(body)));
  v.variant.program.push_back(v.transfer(package::Operation::copy, {sum, y}));
  create(b);
  FakeDevice::delay = 300;
  Tensor out;
  ASSERT_EQ(aicc_session_run(session, nullptr, 0, out.out(), 1), AICC_OK)
      << aicc_message();
  for (int i = 0; i < 8; ++i) {
    float value = 0, sum = 0;
    for (int k = 0; k < 8; ++k) {
      value += float(i + k);
      sum += 3 * value;
    }
    EXPECT_EQ(OnDevice::floats(out)[i], sum) << i;
  }
}

TEST_P(Devices, WrongDevices) {
  ASSERT_EQ(openBytes(pingPong().finish(), package.out()), AICC_OK);
  const std::vector<aicc_device *> on = devices();
  auto error = [&](std::vector<aicc_device *> list,
                   const char *variant = nullptr) {
    Session made;
    const aicc_session_options options{sizeof options, 1, variant};
    EXPECT_NE(aicc_session_create_on_devices(package, list.data(), list.size(),
                                             &options, made.out()),
              AICC_OK);
    return std::string(aicc_message());
  };
  EXPECT_NE(error({}).find("found no device"), std::string::npos);
  EXPECT_NE(error({on[0], nullptr}).find("found no device"), std::string::npos);
  EXPECT_NE(error({on[0]}).find("is for 2 devices"), std::string::npos)
      << aicc_message();
  EXPECT_NE(error({on[0], on[0]}).find("is given twice"), std::string::npos);
  EXPECT_NE(error({on[0], on[1]}, "other").find("has no variant 'other'"),
            std::string::npos);
  aicc_device *stranger = deviceNamed(
      families()[0] == "peer" || families()[1] == "peer" ? "fake:1" : "peer:1");
  EXPECT_NE(error({on[0], stranger})
                .find("needs a device of family " + families()[1]),
            std::string::npos)
      << aicc_message();

  // Their order is nothing where families tell.
  if (families()[0] == families()[1])
    return;
  aicc_device *const turned[] = {on[1], on[0]};
  ASSERT_EQ(aicc_session_create_on_devices(package, turned, 2, nullptr,
                                           session.out()),
            AICC_OK)
      << aicc_message();
  EXPECT_EQ(aicc_session_device_at(session, 0), on[0]);
  runPingPong(3, 4);
}

INSTANTIATE_TEST_SUITE_P(
    Pairs, Devices,
    ::testing::Values(std::pair("cpu", "fake"), std::pair("fake", "cpu"),
                      std::pair("fake", "fake"), std::pair("fake", "peer"),
                      std::pair("peer", "peer")),
    [](const auto &info) {
      return std::string(info.param.first) + "_" + info.param.second;
    });

} // namespace
