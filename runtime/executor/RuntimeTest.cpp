//===- RuntimeTest.cpp - sessions on the cpu and on a fake device ---------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RuntimeFixture.h"

#include "aicc/dlpack.h"

#include <chrono>
#include <thread>

using namespace aicc;
using namespace aicc::testing;

namespace {

float affine(float x, int64_t i) {
  return x * float(2 * (i % 8 + 1)) + float(10 * (i % 8));
}

TEST_P(OnDevice, RunsAnySize) {
  create(model());
  for (int64_t batch : {1, 3, 1, 100, 0, 7}) {
    Tensor x, y;
    newTensor({batch, 8}, x);
    for (int64_t i = 0; i < batch * 8; ++i)
      floats(x)[i] = float(i) / 4;
    aicc_tensor *const inputs[] = {x};
    ASSERT_EQ(aicc_session_run(session, inputs, 1, y.out(), 1), AICC_OK)
        << aicc_message();
    ASSERT_EQ(aicc_tensor_rank(y), 2u);
    EXPECT_EQ(aicc_tensor_dims(y)[0], batch);
    EXPECT_EQ(aicc_tensor_bytes(y), size_t(batch * 32));
    for (int64_t i = 0; i < batch * 8; ++i)
      ASSERT_EQ(floats(y)[i], affine(float(i) / 4, i)) << i;
    // Again, into the same memory.
    std::fill_n(floats(y), batch * 8, -1.f);
    ASSERT_EQ(aicc_session_run(session, inputs, 1, y.out(), 1), AICC_OK);
    for (int64_t i = 0; i < batch * 8; ++i)
      ASSERT_EQ(floats(y)[i], affine(float(i) / 4, i)) << i;
  }
  aicc_memory_info memory{};
  memory.struct_size = sizeof memory;
  ASSERT_EQ(aicc_session_memory(session, &memory), AICC_OK);
  EXPECT_EQ(memory.weight_bytes, 64u);
  EXPECT_EQ(memory.prepared_bytes, 64u);
  EXPECT_EQ(memory.arena_bytes, 3200u);
  EXPECT_GE(memory.peak_bytes, 3264u);
}

TEST_P(OnDevice, ManyThreads) {
  create(model(), 2);
  std::atomic<int> wrong{0};
  auto work = [&](int seed) {
    for (int round = 0; round < 50; ++round) {
      const int64_t batch = 1 + (seed + round) % 5;
      Tensor x, y;
      const int64_t dims[] = {batch, 8};
      aicc_tensor_create(AICC_F32, 2, dims, x.out());
      for (int64_t i = 0; i < batch * 8; ++i)
        floats(x)[i] = float(seed + i);
      aicc_tensor *const inputs[] = {x};
      if (round % 3 == 0) {
        Pending run;
        if (aicc_session_run_async(session, inputs, 1, y.out(), 1, run.out()) !=
                AICC_OK ||
            aicc_run_wait(run) != AICC_OK)
          ++wrong;
      } else if (aicc_session_run(session, inputs, 1, y.out(), 1) != AICC_OK) {
        ++wrong;
      }
      for (int64_t i = 0; i < batch * 8; ++i)
        wrong += floats(y)[i] != affine(float(seed + i), i);
    }
  };
  std::vector<std::thread> threads;
  for (int t = 0; t < 6; ++t)
    threads.emplace_back(work, t);
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST_P(OnDevice, SessionsShareWeights) {
  create(model());
  const int64_t before = FakeDevice::launches;
  const int64_t bytes = FakeDevice::liveBytes;
  Session second;
  ASSERT_EQ(aicc_session_create(package, deviceNamed(GetParam()), nullptr,
                                second.out()),
            AICC_OK);
  EXPECT_EQ(FakeDevice::launches, before) << "prepared once";
  EXPECT_EQ(FakeDevice::liveBytes, bytes);
}

TEST_P(OnDevice, Asynchronous) {
  create(model());
  constexpr int count = 20;
  Tensor x[count], y[count];
  Pending runs[count];
  for (int r = 0; r < count; ++r) {
    newTensor({2, 8}, x[r]);
    for (int i = 0; i < 16; ++i)
      floats(x[r])[i] = float(r * i);
    aicc_tensor *const inputs[] = {x[r]};
    ASSERT_EQ(aicc_session_run_async(session, inputs, 1, y[r].out(), 1,
                                     runs[r].out()),
              AICC_OK);
  }
  for (int r = count; r-- > 0;) {
    ASSERT_EQ(aicc_run_wait(runs[r]), AICC_OK);
    EXPECT_TRUE(aicc_run_done(runs[r]));
    for (int i = 0; i < 16; ++i)
      EXPECT_EQ(floats(y[r])[i], affine(float(r * i), i));
  }
}

TEST_P(OnDevice, RunOutlivesItsHandles) {
  create(model());
  Tensor y;
  {
    Tensor x;
    Pending run;
    newTensor({1, 8}, x);
    std::fill_n(floats(x), 8, 1.f);
    aicc_tensor *const inputs[] = {x};
    ASSERT_EQ(aicc_session_run_async(session, inputs, 1, y.out(), 1, run.out()),
              AICC_OK);
  }
  aicc_session_release(session.value); // waits
  session.value = nullptr;
  for (int i = 0; i < 8; ++i)
    EXPECT_EQ(floats(y)[i], affine(1, i));
}

TEST_P(OnDevice, WrongArguments) {
  create(model());
  auto message = [&](std::vector<aicc_tensor *> inputs,
                     std::vector<aicc_tensor *> outputs) {
    const aicc_status status = aicc_session_run(
        session, inputs.data(), inputs.size(), outputs.data(), outputs.size());
    Pending run;
    EXPECT_EQ(aicc_session_run_async(session, inputs.data(), inputs.size(),
                                     outputs.data(), outputs.size(), run.out()),
              status);
    EXPECT_EQ(status, AICC_INVALID_ARGUMENT);
    return std::string(aicc_message());
  };
  Tensor good, wide, flat, ints, wrongOut, intOut;
  newTensor({2, 8}, good);
  newTensor({2, 9}, wide);
  newTensor({16}, flat);
  newTensor({2, 8}, ints, AICC_I32);
  newTensor({3, 8}, wrongOut);
  EXPECT_EQ(message({}, {nullptr}), "found 0 inputs, expected 1");
  EXPECT_EQ(message({good}, {}), "found 0 outputs, expected 1");
  EXPECT_EQ(message({nullptr}, {nullptr}), "input 'x' is missing");
  EXPECT_EQ(message({wide}, {nullptr}),
            "input 'x': dimension 1 is 9, expected 8");
  EXPECT_EQ(message({flat}, {nullptr}),
            "input 'x' has shape 16 of rank 1, expected rank 2");
  EXPECT_EQ(message({ints}, {nullptr}), "input 'x' has type i32, expected f32");
  EXPECT_EQ(message({good}, {ints}), "output 'y' has type i32, expected f32");
  EXPECT_EQ(message({good}, {wrongOut}),
            "output 'y' has shape 3x8, expected 2x8");
  EXPECT_EQ(message({good}, {good}), "output 'y' shares memory with 'x'");
}

TEST_P(OnDevice, Limits) {
  PackageBuilder b = model();
  b.package.limits.push_back(
      package::Limit(b.exprs.symbol(0), b.exprs.constant(4)));
  create(std::move(b));
  Tensor large;
  newTensor({5, 8}, large);
  aicc_tensor *inputs[] = {large}, *outputs[] = {nullptr};
  EXPECT_EQ(aicc_session_run(session, inputs, 1, outputs, 1),
            AICC_INVALID_ARGUMENT);
  EXPECT_EQ(std::string(aicc_message()), "batch is 5, expected at most 4");
}

// y = 0; for i in 0 … steps-1: for j in 0 … i-1: y[k] += k + i * 2 + j
TEST_P(OnDevice, Loops) {
  PackageBuilder b;
  b.symbol("steps");
  const uint32_t steps = b.exprs.symbol(0), four = b.exprs.constant(4);
  b.input("count", f32, {steps});
  b.output("y", f32, {four});
  b.package.symbol_count = 3;
  VariantBuilder v = b.variant("t", GetParam(), "elf-so", kernels());
  ExprList &e = v.exprs;
  const uint32_t s = e.symbol(0), i = e.symbol(1), j = e.symbol(2),
                 c0 = e.constant(0), c1 = e.constant(1), c2 = e.constant(2),
                 c4 = e.constant(4), c16 = e.constant(16);
  const uint32_t twice = e.binary(package::ExprOp::mul, i, c2);
  const uint32_t sum = e.binary(package::ExprOp::add, twice, j);
  const uint32_t grid = e.binary(package::ExprOp::min, c1, s);
  v.buffer("count", package::Storage::input, 0, f32, {s},
           e.binary(package::ExprOp::mul, s, c4));
  const uint32_t y = v.buffer("y", package::Storage::output, 0, f32, {c4}, c16);
  const uint32_t step = v.kernel("test_step", 1, 1, 2, {"step"});
  std::vector<std::unique_ptr<package::InstructionT>> inner, outer;
  inner.push_back(v.launch(step, {y}, {c4, sum}, {grid, c1, c1}, c0));
  outer.push_back(v.loop(2, i, std::move(inner)));
  v.variant.program.push_back(v.transfer(package::Operation::fill_zero, {y}));
  v.variant.program.push_back(v.loop(1, s, std::move(outer)));
  create(b);
  for (int64_t n : {0, 1, 2, 5, 3}) {
    Tensor x, out;
    newTensor({n}, x);
    aicc_tensor *const inputs[] = {x};
    ASSERT_EQ(aicc_session_run(session, inputs, 1, out.out(), 1), AICC_OK)
        << aicc_message();
    for (int k = 0; k < 4; ++k) {
      float expected = 0;
      for (int a = 0; a < n; ++a)
        for (int c = 0; c < a; ++c)
          expected += float(k + a * 2 + c);
      EXPECT_EQ(floats(out)[k], expected) << n;
    }
  }
}

// Copies, views and planned offsets: y = x + x through a copy of a view.
TEST_P(OnDevice, CopiesAndViews) {
  PackageBuilder b;
  const uint32_t one = b.exprs.constant(1), eight = b.exprs.constant(8);
  b.input("x", f32, {one, eight});
  b.output("y", f32, {eight});
  VariantBuilder v = b.variant("t", GetParam(), "elf-so", kernels());
  ExprList &e = v.exprs;
  const uint32_t c0 = e.constant(0), c1 = e.constant(1), c8 = e.constant(8),
                 c32 = e.constant(32);
  const uint32_t x = v.buffer("x", package::Storage::input, 0, f32, {c8}, c32);
  const uint32_t t =
      v.buffer("t", package::Storage::temporary, 0, f32, {c8}, c32, 0, 1);
  const uint32_t y = v.buffer("y", package::Storage::output, 0, f32, {c8}, c32);
  const uint32_t xView = v.view(x, c32), tView = v.view(t, c32);
  v.variant.buffers[t]->offset = 64;
  v.variant.arena_bytes = 128;
  const uint32_t add = v.kernel("test_add", 3, 1, 1);
  v.variant.program.push_back(v.transfer(package::Operation::copy, {xView, t}));
  v.variant.program.push_back(
      v.launch(add, {xView, tView, y}, {c8}, {c1, c1, c1}, c0));
  create(b);
  Tensor in, out;
  newTensor({1, 8}, in);
  std::fill_n(floats(in), 8, 21.f);
  aicc_tensor *const inputs[] = {in};
  ASSERT_EQ(aicc_session_run(session, inputs, 1, out.out(), 1), AICC_OK)
      << aicc_message();
  EXPECT_EQ(floats(out)[7], 42.f);
  aicc_memory_info memory{};
  memory.struct_size = sizeof memory;
  aicc_session_memory(session, &memory);
  EXPECT_EQ(memory.arena_bytes, 128u);
}

TEST_P(OnDevice, Profile) {
  create(model());
  std::vector<std::string> seen;
  uint64_t last = 0;
  struct Context {
    std::vector<std::string> &seen;
    uint64_t &last;
  } context{seen, last};
  aicc_session_profile(
      session,
      [](const aicc_profile_event *event, void *opaque) {
        auto *to = static_cast<Context *>(opaque);
        to->seen.push_back(std::string(event->name) + "|" + event->kernel +
                           "|" + std::to_string(event->grid[0]));
        EXPECT_GE(event->begin_ns, to->last);
        EXPECT_GE(event->end_ns, event->begin_ns);
        to->last = event->end_ns;
      },
      &context);
  Tensor x, y;
  newTensor({3, 8}, x);
  aicc_tensor *const inputs[] = {x};
  ASSERT_EQ(aicc_session_run(session, inputs, 1, y.out(), 1), AICC_OK)
      << aicc_message();
  std::vector<std::string> expected = {"mul|test_mul|3",
                                       "add + node2|test_add|3"};
  // Where kernels don't reach the caller's memory it is copied.
  if (GetParam() == std::string("fake")) {
    expected.insert(expected.begin(), "x|copy|1");
    expected.push_back("y|copy|1");
  }
  EXPECT_EQ(seen, expected);
}

INSTANTIATE_TEST_SUITE_P(Devices, OnDevice, ::testing::Values("cpu", "fake"));

// Wherever a driver fails, the run reports it, nothing leaks, and the session
// works again.
TEST(Failures, Anywhere) {
  aicc_device *fake = deviceNamed("fake");
  const int64_t bytes = FakeDevice::liveBytes,
                handles = FakeDevice::liveHandles;
  const std::vector<uint8_t> file =
      affineModel("fake", "elf-so", kernels()).finish();
  bool finished = false;
  for (int64_t calls = 0; !finished && calls < 200; ++calls) {
    Package package;
    ASSERT_EQ(openBytes(file, package.out()), AICC_OK);
    Tensor x, y;
    const int64_t dims[] = {2, 8};
    aicc_tensor_create(AICC_F32, 2, dims, x.out());
    std::fill_n(static_cast<float *>(aicc_tensor_data(x)), 16, 1.f);
    aicc_tensor *const inputs[] = {x};
    FakeDevice::failAfter = calls;
    Session session;
    aicc_status status =
        aicc_session_create(package, fake, nullptr, session.out());
    if (status == AICC_OK)
      status = aicc_session_run(session, inputs, 1, y.out(), 1);
    finished = status == AICC_OK;
    FakeDevice::failAfter = -1;
    if (!finished) {
      EXPECT_EQ(status, AICC_DEVICE_ERROR);
      EXPECT_NE(std::string(aicc_message()).find("failure on demand"),
                std::string::npos);
      EXPECT_EQ(y.value, nullptr);
    }
    if (session.value && !finished) {
      ASSERT_EQ(aicc_session_run(session, inputs, 1, y.out(), 1), AICC_OK);
      EXPECT_EQ(static_cast<float *>(aicc_tensor_data(y))[1], affine(1, 1));
    }
  }
  EXPECT_TRUE(finished);
  EXPECT_EQ(FakeDevice::liveBytes, bytes);
  EXPECT_EQ(FakeDevice::liveHandles, handles);
}

TEST(Failures, DamagedSections) {
  const std::vector<uint8_t> file =
      affineModel("cpu", "elf-so", kernels()).finish();
  aicc_device *cpu = deviceNamed("cpu");
  auto with = [&](size_t at) {
    std::vector<uint8_t> copy = file;
    copy[at] ^= 4;
    Package package;
    EXPECT_EQ(openBytes(copy, package.out()), AICC_OK);
    Session session;
    EXPECT_EQ(aicc_session_create(package, cpu, nullptr, session.out()),
              AICC_BAD_PACKAGE);
    return std::string(aicc_message());
  };
  // Sections in order: w, b, the object.
  EXPECT_EQ(with(4096 + 3).find("package is damaged: weight 'w' has checksum"),
            0u);
  EXPECT_EQ(with(3 * 4096 + 100)
                .find("package is damaged: object 0 of cpu:test has checksum"),
            0u);
}

TEST(Choice, Variants) {
  PackageBuilder b = affineModel("cpu", "elf-so", kernels());
  b.package.variants[0]->requires_.push_back("antigravity");
  Package package;
  ASSERT_EQ(openBytes(b.finish(), package.out()), AICC_OK);
  Session session;
  EXPECT_EQ(
      aicc_session_create(package, deviceNamed("cpu"), nullptr, session.out()),
      AICC_UNSUPPORTED);
  std::string message = aicc_message();
  EXPECT_EQ(message.find("package has no code that cpu:0 ("), 0u);
  EXPECT_NE(message.find("cpu:test needs antigravity"), std::string::npos);
  EXPECT_EQ(message.find("compile it"), std::string::npos);
  EXPECT_EQ(
      aicc_session_create(package, deviceNamed("fake"), nullptr, session.out()),
      AICC_UNSUPPORTED);
  EXPECT_NE(std::string(aicc_message())
                .find("cpu:test is for family cpu; compile it with --target="),
            std::string::npos);
  aicc_session_options options{sizeof options, 0, "cpu:z80"};
  EXPECT_EQ(
      aicc_session_create(package, deviceNamed("cpu"), &options, session.out()),
      AICC_NOT_FOUND);
  EXPECT_EQ(std::string(aicc_message()),
            "package has no variant 'cpu:z80'; it has cpu:test");
}

TEST(Devices, Find) {
  deviceNamed("cpu");
  EXPECT_EQ(aicc_device_find("abacus:3"), nullptr);
  EXPECT_EQ(std::string(aicc_message()).find("device 'abacus:3' doesn't exist"),
            0u);
  aicc_device_info info{};
  info.struct_size = sizeof info;
  ASSERT_EQ(aicc_device_get_info(aicc_device_find("cpu"), &info), AICC_OK);
  EXPECT_STREQ(info.name, "cpu:0");
  EXPECT_GE(info.feature_count, 1u);
  EXPECT_GE(info.compute_units, 1u);
}

TEST(Cpu, ScratchAndGrid) {
  for (uint32_t threads : {1u, 3u}) {
    PackageBuilder b;
    b.symbol("n");
    const uint32_t n = b.exprs.symbol(0), seven = b.exprs.constant(7),
                   five = b.exprs.constant(5);
    b.input("x", f32, {n});
    b.output("y", f32, {five, seven, n});
    VariantBuilder v = b.variant("t", "cpu", "elf-so", kernels());
    ExprList &e = v.exprs;
    const uint32_t s = e.symbol(0), c4 = e.constant(4), c5 = e.constant(5),
                   c7 = e.constant(7), c1000 = e.constant(1000);
    const uint32_t bytes = e.binary(package::ExprOp::mul, s, e.constant(140));
    const uint32_t scratch = e.binary(package::ExprOp::mul, s, c1000);
    v.buffer("x", package::Storage::input, 0, f32, {s},
             e.binary(package::ExprOp::mul, s, c4));
    const uint32_t y =
        v.buffer("y", package::Storage::output, 0, f32, {c5, c7, s}, bytes);
    const uint32_t kernel = v.kernel("test_scratch", 1, 1, 3);
    v.variant.program.push_back(
        v.launch(kernel, {y}, {scratch, s, c7}, {s, c7, c5}, scratch));
    Package package;
    ASSERT_EQ(openBytes(b.finish(), package.out()), AICC_OK) << aicc_message();
    Session session;
    aicc_session_options options{sizeof options, threads, nullptr};
    ASSERT_EQ(aicc_session_create(package, deviceNamed("cpu"), &options,
                                  session.out()),
              AICC_OK)
        << aicc_message();
    for (int64_t size : {1, 40, 11}) {
      Tensor x, out;
      aicc_tensor_create(AICC_F32, 1, &size, x.out());
      aicc_tensor *const inputs[] = {x};
      ASSERT_EQ(aicc_session_run(session, inputs, 1, out.out(), 1), AICC_OK)
          << aicc_message();
      const float *result = static_cast<float *>(aicc_tensor_data(out));
      for (int z = 0; z < 5; ++z)
        for (int y = 0; y < 7; ++y)
          for (int x = 0; x < size; ++x)
            ASSERT_EQ(*result++,
                      float(((x + 3 * y + 5 * z) & 255) * size * 1000));
    }
  }
}

TEST(Tensors, DLPack) {
  Tensor tensor, back;
  const int64_t dims[] = {2, 3};
  ASSERT_EQ(aicc_tensor_create(AICC_BF16, 2, dims, tensor.out()), AICC_OK);
  DLManagedTensor *managed = nullptr;
  ASSERT_EQ(aicc_tensor_to_dlpack(tensor, &managed), AICC_OK);
  EXPECT_EQ(managed->dl_tensor.dtype.code, kDLBfloat);
  EXPECT_EQ(managed->dl_tensor.shape[1], 3);
  ASSERT_EQ(aicc_tensor_from_dlpack(managed, back.out()), AICC_OK);
  EXPECT_EQ(aicc_tensor_data(back), aicc_tensor_data(tensor));
  EXPECT_EQ(aicc_tensor_type(back), AICC_BF16);

  int64_t strides[] = {1, 2};
  DLManagedTensor columns = *managed;
  columns.dl_tensor.strides = strides;
  Tensor none;
  EXPECT_EQ(aicc_tensor_from_dlpack(&columns, none.out()),
            AICC_INVALID_ARGUMENT);
  EXPECT_STREQ(aicc_message(), "DLPack tensor is not contiguous: dimension 1 "
                               "has stride 2, expected 1");
  columns.dl_tensor.strides = nullptr;
  columns.dl_tensor.dtype.lanes = 4;
  EXPECT_EQ(aicc_tensor_from_dlpack(&columns, none.out()), AICC_UNSUPPORTED);
  columns.dl_tensor.dtype.lanes = 1;
  columns.dl_tensor.device.device_type = 99;
  EXPECT_EQ(aicc_tensor_from_dlpack(&columns, none.out()), AICC_UNSUPPORTED);
}

TEST(Tensors, AbsurdShapes) {
  Tensor tensor;
  const int64_t negative[] = {2, -3}, huge[] = {1 << 30, 1 << 30, 1 << 30};
  EXPECT_EQ(aicc_tensor_create(AICC_F32, 2, negative, tensor.out()),
            AICC_INVALID_ARGUMENT);
  EXPECT_STREQ(aicc_message(), "shape 2x-3 has a negative dimension");
  EXPECT_EQ(aicc_tensor_create(AICC_F32, 3, huge, tensor.out()),
            AICC_INVALID_ARGUMENT);
  EXPECT_EQ(aicc_tensor_create(aicc_type(99), 2, huge, tensor.out()),
            AICC_INVALID_ARGUMENT);
  float data[3];
  const int64_t two = 2;
  EXPECT_EQ(aicc_tensor_from_host(reinterpret_cast<char *>(data) + 1, AICC_F32,
                                  1, &two, nullptr, nullptr, tensor.out()),
            AICC_INVALID_ARGUMENT);
}

TEST(Describe, IsThere) {
  Package package;
  ASSERT_EQ(openBytes(affineModel("cpu", "elf-so", kernels()).finish(),
                      package.out()),
            AICC_OK);
  const std::string text = aicc_package_describe(package);
  EXPECT_NE(text.find("\"symbols\":[\"batch\"]"), std::string::npos);
  EXPECT_NE(text.find("\"dims\":[\"batch\",8]"), std::string::npos);
  int64_t symbol = 5, dims[2];
  ASSERT_EQ(aicc_package_output_dims(package, 0, &symbol, dims), AICC_OK);
  EXPECT_EQ(dims[0], 5);
  const int64_t *given[] = {dims};
  const size_t ranks[] = {2};
  ASSERT_EQ(aicc_package_bind(package, given, ranks, &symbol), AICC_OK);
  EXPECT_EQ(symbol, 5);
  size_t index;
  EXPECT_EQ(aicc_package_find_input(package, "z", &index), AICC_NOT_FOUND);
  EXPECT_STREQ(aicc_message(), "model has no input 'z'; it has 'x'");
}

// A launch must cost well under a microsecond. Not a benchmark: the limit is
// loose enough for a busy machine and a slow build.
TEST(Overhead, IsSmall) {
  PackageBuilder b;
  const uint32_t one = b.exprs.constant(1);
  b.input("x", f32, {one});
  b.output("y", f32, {one});
  VariantBuilder v = b.variant("t", "cpu", "elf-so", kernels());
  ExprList &e = v.exprs;
  const uint32_t c0 = e.constant(0), c1 = e.constant(1), c4 = e.constant(4);
  const uint32_t x = v.buffer("x", package::Storage::input, 0, f32, {c1}, c4);
  const uint32_t y = v.buffer("y", package::Storage::output, 0, f32, {c1}, c4);
  const uint32_t kernel = v.kernel("test_nothing", 2, 1, 0);
  constexpr int count = 100;
  for (int i = 0; i < count; ++i)
    v.variant.program.push_back(v.launch(kernel, {x, y}, {}, {c1, c1, c1}, c0));
  Package package;
  ASSERT_EQ(openBytes(b.finish(), package.out()), AICC_OK);
  Session session;
  aicc_session_options options{sizeof options, 1, nullptr};
  ASSERT_EQ(
      aicc_session_create(package, deviceNamed("cpu"), &options, session.out()),
      AICC_OK);
  Tensor in, out;
  const int64_t dim = 1;
  aicc_tensor_create(AICC_F32, 1, &dim, in.out());
  aicc_tensor *const inputs[] = {in};
  double best = 1e9;
  for (int round = 0; round < 50; ++round) {
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < 20; ++i)
      ASSERT_EQ(aicc_session_run(session, inputs, 1, out.out(), 1), AICC_OK);
    const std::chrono::duration<double> time =
        std::chrono::steady_clock::now() - begin;
    best = std::min(best, time.count() / (20 * count));
  }
  RecordProperty("nanoseconds", int(best * 1e9));
  std::printf("%.1f ns a launch\n", best * 1e9);
#if !defined(__SANITIZE_ADDRESS__) && !__has_feature(address_sanitizer) &&     \
    !__has_feature(thread_sanitizer)
  EXPECT_LT(best, 1e-6);
#endif
}

} // namespace
