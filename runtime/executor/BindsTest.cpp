//===- BindsTest.cpp - programs that find out sizes while they run --------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RuntimeFixture.h"

#include "runtime/host/Host.h"

using namespace aicc;
using namespace aicc::testing;

namespace {

constexpr auto i64 = package::ElementType::i64;
constexpr auto boolean = package::ElementType::bool_;
using package::ExprOp;
using package::Operation;
using package::Storage;

struct Binds : OnDevice {
  void run(std::vector<aicc_tensor *> inputs, Tensor &out,
           aicc_status expected = AICC_OK) {
    ASSERT_EQ(
        aicc_session_run(session, inputs.data(), inputs.size(), out.out(), 1),
        expected)
        << aicc_message();
  }
  static void fill(aicc_tensor *tensor, std::vector<float> values) {
    std::copy(values.begin(), values.end(), floats(tensor));
  }
  static std::vector<float> values(aicc_tensor *tensor) {
    return {floats(tensor), floats(tensor) + aicc_tensor_bytes(tensor) / 4};
  }
  static std::vector<int64_t> dims(aicc_tensor *tensor) {
    return {aicc_tensor_dims(tensor),
            aicc_tensor_dims(tensor) + aicc_tensor_rank(tensor)};
  }
};

TEST_P(Binds, OutputsOfUnknownSize) {
  create(compressModel(GetParam(), "elf-so", kernels()));
  for (int64_t n : {5, 0, 5, 1000, 3}) {
    Tensor x, y;
    newTensor({n}, x);
    std::vector<float> expected;
    for (int64_t i = 0; i < n; ++i) {
      floats(x)[i] = i % 3 == 1 ? float(i) : -1.f;
      if (i % 3 == 1)
        expected.push_back(float(i));
    }
    run({x}, y);
    EXPECT_EQ(dims(y), std::vector<int64_t>{int64_t(expected.size())});
    EXPECT_EQ(values(y), expected);
    // Once more into the same memory.
    std::fill_n(floats(y), expected.size(), 0.f);
    run({x}, y);
    EXPECT_EQ(values(y), expected);
    // Asynchronously: there after the wait.
    aicc_tensor *const inputs[] = {x};
    aicc_tensor *later = nullptr, *result = nullptr;
    Pending pending;
    ASSERT_EQ(
        aicc_session_run_async(session, inputs, 1, &later, 1, pending.out()),
        AICC_OK);
    ASSERT_EQ(aicc_run_wait(pending), AICC_OK) << aicc_message();
    EXPECT_EQ(later, nullptr);
    ASSERT_EQ(aicc_run_output(pending, 0, &result), AICC_OK);
    EXPECT_EQ(values(result), expected);
    EXPECT_EQ(aicc_run_output(pending, 1, &result), AICC_INVALID_ARGUMENT);
  }
  aicc_memory_info memory{};
  memory.struct_size = sizeof memory;
  ASSERT_EQ(aicc_session_memory(session, &memory), AICC_OK);
  EXPECT_GE(memory.arena_bytes, 64u + 333 * 4);
}

TEST_P(Binds, GivenOutputs) {
  create(compressModel(GetParam(), "elf-so", kernels()));
  Tensor x, right, wrong;
  newTensor({4}, x);
  fill(x, {1, -1, 2, -2});
  newTensor({2}, right);
  run({x}, right);
  EXPECT_EQ(values(right), (std::vector<float>{1, 2}));
  newTensor({3}, wrong);
  run({x}, wrong, AICC_INVALID_ARGUMENT);
  EXPECT_STREQ(aicc_message(), "output 'y' has shape 3, expected 2");
  run({x}, x, AICC_INVALID_ARGUMENT);
  EXPECT_STREQ(aicc_message(), "output 'y' shares memory with 'x'");
}

TEST_P(Binds, PortsSayIt) {
  create(compressModel(GetParam(), "elf-so", kernels()));
  aicc_port port{};
  port.struct_size = sizeof port;
  ASSERT_EQ(aicc_package_output(package, 0, &port), AICC_OK);
  EXPECT_EQ(port.data_dependent, 1u);
  EXPECT_EQ(port.dims[0], -1);
  EXPECT_STREQ(port.expressions[0], "?0");
  ASSERT_EQ(aicc_package_input(package, 0, &port), AICC_OK);
  EXPECT_EQ(port.data_dependent, 0u);
  const int64_t symbol = 3;
  int64_t dim;
  EXPECT_EQ(aicc_package_output_dims(package, 0, &symbol, &dim),
            AICC_UNSUPPORTED);
  EXPECT_STREQ(aicc_message(),
               "output 'y' has a shape that only a run finds out");
  EXPECT_NE(std::string(aicc_package_describe(package))
                .find("{\"op\":\"read\",\"buffers\":[2],\"element\":0,"
                      "\"minimum\":0,\"symbol\":\"?0\",\"sources\":[\"NonZero "
                      "'nz'\"]}"),
            std::string::npos)
      << aicc_package_describe(package);
}

TEST_P(Binds, RefusedValues) {
  {
    PackageBuilder b = compressModel(GetParam(), "elf-so", kernels());
    b.package.variants[0]->program[1]->minimum = 3;
    create(b);
  }
  Tensor x, y;
  newTensor({4}, x);
  fill(x, {1, -1, 2, -2});
  run({x}, y, AICC_INVALID_ARGUMENT);
  EXPECT_STREQ(aicc_message(), "NonZero 'nz': 'count' has 2 at position 0, "
                               "expected at least 3");
  EXPECT_EQ(y.value, nullptr);
  // The session goes on.
  fill(x, {1, 1, 2, -2});
  run({x}, y);
  EXPECT_EQ(values(y), (std::vector<float>{1, 1, 2}));
}

TEST_P(Binds, LimitsOfReadValues) {
  PackageBuilder b = compressModel(GetParam(), "elf-so", kernels());
  const uint32_t two = b.exprs.constant(2);
  b.package.limits.push_back(package::Limit(b.exprs.symbol(1), two));
  create(b);
  Tensor x, y;
  newTensor({4}, x);
  fill(x, {1, 1, 2, -2});
  run({x}, y, AICC_INVALID_ARGUMENT);
  EXPECT_STREQ(aicc_message(), "?0 is 3, expected at most 2");
  fill(x, {1, -1, 2, -2});
  run({x}, y);
  EXPECT_EQ(values(y), (std::vector<float>{1, 2}));
}

TEST_P(Binds, DamagedReads) {
  {
    PackageBuilder b = compressModel(GetParam(), "elf-so", kernels());
    b.package.variants[0]->program[1]->element = UINT64_MAX / 8;
    create(b);
  }
  Tensor x, y;
  newTensor({4}, x);
  fill(x, {1, -1, 2, -2});
  run({x}, y, AICC_BAD_PACKAGE);
  EXPECT_EQ(std::string(aicc_message()).find("package is damaged: reads byte"),
            0u);
}

// y [8] = x + 0 + 1 + … as long as x[0] < 20 and for at most 10 times; the
// number of iterations is the size of a second output.
TEST_P(Binds, WhileLoop) {
  PackageBuilder b;
  b.package.symbol_count = 2;
  const uint32_t eight = b.exprs.constant(8);
  b.input("x", f32, {eight});
  b.output("y", f32, {eight});
  b.output("trips", f32, {b.exprs.symbol(1)});
  VariantBuilder v = b.variant("t", GetParam(), "elf-so", kernels());
  ExprList &e = v.exprs;
  const uint32_t s = e.symbol(0), trips = e.symbol(1), c0 = e.constant(0),
                 c1 = e.constant(1), c4 = e.constant(4), c8 = e.constant(8),
                 c10 = e.constant(10), c20 = e.constant(20),
                 c32 = e.constant(32);
  const uint32_t x = v.buffer("x", Storage::input, 0, f32, {c8}, c32);
  const uint32_t y = v.buffer("y", Storage::output, 0, f32, {c8}, c32);
  const uint32_t t = v.buffer("trips", Storage::output, 1, f32, {trips},
                              e.binary(ExprOp::mul, trips, c4));
  const uint32_t below =
      v.buffer("below", Storage::temporary, 0, boolean, {}, c1, 0, 9);
  const uint32_t stepping = v.kernel("test_step", 1, 1, 2),
                 comparing = v.kernel("test_below", 2, 1, 1);
  auto compare = [&] {
    return v.launch(comparing, {y, below}, {c20}, {c1, c1, c1}, c0);
  };
  v.variant.program.push_back(v.transfer(Operation::copy, {x, y}));
  v.variant.program.push_back(compare());
  std::vector<std::unique_ptr<package::InstructionT>> body;
  body.push_back(v.launch(stepping, {y}, {c8, s}, {c1, c1, c1}, c0));
  body.push_back(compare());
  auto loop = v.loop(0, c10, std::move(body));
  loop->condition = below + 1;
  loop->trips = 2;
  v.variant.program.push_back(std::move(loop));
  v.variant.program.push_back(v.transfer(Operation::fill_zero, {t}));
  create(b);
  // From 25: never; from 9: 0 + 1 + 2 + 3 + 4 + 5 more; from -100: ten times.
  const std::pair<float, int64_t> cases[] = {{25, 0}, {9, 6}, {-100, 10}};
  for (auto [start, expected] : cases) {
    Tensor in;
    newTensor({8}, in);
    std::fill_n(floats(in), 8, start);
    aicc_tensor *const inputs[] = {in};
    aicc_tensor *outputs[] = {nullptr, nullptr};
    ASSERT_EQ(aicc_session_run(session, inputs, 1, outputs, 2), AICC_OK)
        << aicc_message();
    EXPECT_EQ(dims(outputs[1]), std::vector<int64_t>{expected});
    EXPECT_EQ(values(outputs[1]), std::vector<float>(size_t(expected)));
    EXPECT_EQ(floats(outputs[0])[0],
              start + float(expected * (expected - 1) / 2));
    aicc_tensor_release(outputs[0]);
    aicc_tensor_release(outputs[1]);
  }
}

// y = the positive elements of a or of b: both ways bind the size.
TEST_P(Binds, Branches) {
  PackageBuilder b;
  b.package.symbol_count = 1;
  const uint32_t four = b.exprs.constant(4);
  b.input("c", boolean, {});
  b.input("a", f32, {four});
  b.input("b", f32, {four});
  b.output("y", f32, {b.exprs.symbol(0)});
  VariantBuilder v = b.variant("t", GetParam(), "elf-so", kernels());
  ExprList &e = v.exprs;
  const uint32_t k = e.symbol(0), c0 = e.constant(0), c1 = e.constant(1),
                 c4 = e.constant(4), c8 = e.constant(8), c16 = e.constant(16);
  const uint32_t bytes = e.binary(ExprOp::mul, k, c4);
  const uint32_t condition = v.buffer("c", Storage::input, 0, boolean, {}, c1);
  const uint32_t inputs[] = {v.buffer("a", Storage::input, 1, f32, {c4}, c16),
                             v.buffer("b", Storage::input, 2, f32, {c4}, c16)};
  const uint32_t y = v.buffer("y", Storage::output, 0, f32, {k}, bytes);
  const uint32_t count =
      v.buffer("count", Storage::temporary, 0, i64, {c1}, c8, 0, 9);
  const uint32_t taken =
      v.buffer("taken", Storage::temporary, 0, f32, {k}, bytes, 0, 9);
  const uint32_t counting = v.kernel("test_count", 2, 1, 1, {"count"});
  const uint32_t taking = v.kernel("test_take", 2, 1, 1, {"take"});
  auto branch = v.transfer(Operation::branch, {condition});
  for (bool first : {true, false}) {
    auto &body = first ? branch->body : branch->otherwise;
    const uint32_t x = inputs[first ? 0 : 1];
    body.push_back(v.launch(counting, {x, count}, {c4}, {c1, c1, c1}, c0));
    body.push_back(v.read(count, 0));
    body.push_back(v.launch(taking, {x, taken}, {c4}, {c1, c1, c1}, c0));
  }
  v.variant.program.push_back(std::move(branch));
  v.variant.program.push_back(v.transfer(Operation::copy, {taken, y}));
  create(b);
  Tensor c, x, z;
  newTensor({}, c, AICC_BOOL);
  newTensor({4}, x);
  newTensor({4}, z);
  fill(x, {1, -2, -3, 4});
  fill(z, {-1, 5, 6, 7});
  for (int round = 0; round < 4; ++round) {
    *static_cast<uint8_t *>(aicc_tensor_data(c)) = round % 2 == 0;
    Tensor out;
    run({c, x, z}, out);
    EXPECT_EQ(values(out), round % 2 == 0 ? (std::vector<float>{1, 4})
                                          : (std::vector<float>{5, 6, 7}));
  }
}

// A value that a loop carries grows by an element in every iteration: its
// size is bound anew.
TEST_P(Binds, GrowingInALoop) {
  PackageBuilder b;
  b.symbol("n");
  b.package.symbol_count = 4; // n, iteration, size, next size
  b.input("x", f32, {b.exprs.symbol(0)});
  b.output("y", f32, {b.exprs.symbol(2)});
  VariantBuilder v = b.variant("t", GetParam(), "elf-so", kernels());
  ExprList &e = v.exprs;
  const uint32_t n = e.symbol(0), k = e.symbol(2), next = e.symbol(3),
                 c0 = e.constant(0), c1 = e.constant(1), c4 = e.constant(4),
                 c8 = e.constant(8);
  const uint32_t bytes = e.binary(ExprOp::mul, k, c4),
                 nextBytes = e.binary(ExprOp::mul, next, c4),
                 more = e.binary(ExprOp::add, k, c1);
  v.buffer("x", Storage::input, 0, f32, {n}, e.binary(ExprOp::mul, n, c4));
  const uint32_t y = v.buffer("y", Storage::output, 0, f32, {k}, bytes);
  const uint32_t size =
      v.buffer("size", Storage::temporary, 0, i64, {}, c8, 0, 99);
  const uint32_t list =
      v.buffer("list", Storage::temporary, 0, f32, {k}, bytes, 0, 99);
  const uint32_t longer =
      v.buffer("longer", Storage::temporary, 0, f32, {next}, nextBytes, 0, 99);
  const uint32_t sizing = v.kernel("test_size", 1, 1, 1),
                 appending = v.kernel("test_append", 2, 1, 1);
  v.variant.program.push_back(v.transfer(Operation::fill_zero, {size}));
  v.variant.program.push_back(v.read(size, 2));
  std::vector<std::unique_ptr<package::InstructionT>> body;
  body.push_back(v.launch(sizing, {size}, {more}, {c1, c1, c1}, c0));
  body.push_back(v.read(size, 3));
  body.push_back(v.launch(appending, {list, longer}, {k}, {c1, c1, c1}, c0));
  body.push_back(v.read(size, 2));
  body.push_back(v.transfer(Operation::copy, {longer, list}));
  v.variant.program.push_back(v.loop(1, n, std::move(body)));
  v.variant.program.push_back(v.transfer(Operation::copy, {list, y}));
  create(b);
  for (int64_t count : {3, 0, 50, 7}) {
    Tensor x, out;
    newTensor({count}, x);
    run({x}, out);
    std::vector<float> expected;
    for (int64_t i = 0; i < count; ++i)
      expected.push_back(float(i));
    EXPECT_EQ(values(out), expected);
    run({x}, out);
    EXPECT_EQ(values(out), expected);
  }
}

// Two temporaries change places in every iteration.
TEST_P(Binds, Swaps) {
  PackageBuilder b;
  b.symbol("n");
  b.package.symbol_count = 2;
  const uint32_t eight = b.exprs.constant(8);
  b.input("x", f32, {b.exprs.symbol(0)});
  b.output("y", f32, {eight});
  VariantBuilder v = b.variant("t", GetParam(), "elf-so", kernels());
  ExprList &e = v.exprs;
  const uint32_t n = e.symbol(0), c0 = e.constant(0), c1 = e.constant(1),
                 c8 = e.constant(8), c32 = e.constant(32);
  v.buffer("x", Storage::input, 0, f32, {n},
           e.binary(ExprOp::mul, n, e.constant(4)));
  const uint32_t y = v.buffer("y", Storage::output, 0, f32, {c8}, c32);
  uint32_t carried[2];
  for (uint32_t &buffer : carried)
    buffer = v.buffer("t", Storage::temporary, 0, f32, {c8}, c32, 0, 9);
  const uint32_t view = v.view(carried[0], c32);
  const uint32_t doubling = v.kernel("test_double", 2, 1, 1),
                 stepping = v.kernel("test_step", 1, 1, 2);
  v.variant.program.push_back(v.transfer(Operation::fill_zero, {carried[0]}));
  v.variant.program.push_back(
      v.launch(stepping, {carried[0]}, {c8, c1}, {c1, c1, c1}, c0));
  std::vector<std::unique_ptr<package::InstructionT>> body;
  body.push_back(
      v.launch(doubling, {view, carried[1]}, {c8}, {c1, c1, c1}, c0));
  body.push_back(v.transfer(Operation::swap, {carried[0], carried[1]}));
  v.variant.program.push_back(v.loop(1, n, std::move(body)));
  v.variant.program.push_back(v.transfer(Operation::copy, {view, y}));
  create(b);
  for (int64_t count : {3, 0, 1, 4}) {
    Tensor x, out;
    newTensor({count}, x);
    for (int round = 0; round < 2; ++round) {
      run({x}, out);
      EXPECT_EQ(floats(out)[0], float(1 << count));
      EXPECT_EQ(floats(out)[7], float(8 << count));
    }
  }
}

// y [n, 8]: every iteration copies the row x to its place in y.
TEST_P(Binds, CopiesToAPlace) {
  PackageBuilder b;
  b.symbol("n");
  b.package.symbol_count = 2;
  const uint32_t n = b.exprs.symbol(0), eight = b.exprs.constant(8);
  b.input("x", f32, {eight});
  b.input("z", f32, {n});
  b.output("y", f32, {n, eight});
  VariantBuilder v = b.variant("t", GetParam(), "elf-so", kernels());
  ExprList &e = v.exprs;
  const uint32_t rows = e.symbol(0), s = e.symbol(1), c8 = e.constant(8),
                 c32 = e.constant(32);
  const uint32_t x = v.buffer("x", Storage::input, 0, f32, {c8}, c32);
  const uint32_t y = v.buffer("y", Storage::output, 0, f32, {rows, c8},
                              e.binary(ExprOp::mul, rows, c32));
  std::vector<std::unique_ptr<package::InstructionT>> body;
  body.push_back(v.transfer(Operation::copy, {x, y}));
  body.back()->scalars = {e.binary(ExprOp::mul, s, c32)};
  v.variant.program.push_back(v.loop(1, rows, std::move(body)));
  create(b);
  Tensor in, size, out;
  newTensor({8}, in);
  newTensor({3}, size);
  fill(in, {1, 2, 3, 4, 5, 6, 7, 8});
  run({in, size}, out);
  for (int i = 0; i < 24; ++i)
    EXPECT_EQ(floats(out)[i], float(i % 8 + 1));
}

TEST_P(Binds, CopiesPastTheEnd) {
  PackageBuilder b;
  const uint32_t eight = b.exprs.constant(8);
  b.input("x", f32, {eight});
  b.output("y", f32, {eight});
  VariantBuilder v = b.variant("t", GetParam(), "elf-so", kernels());
  ExprList &e = v.exprs;
  const uint32_t c8 = e.constant(8), c32 = e.constant(32);
  const uint32_t x = v.buffer("x", Storage::input, 0, f32, {c8}, c32);
  const uint32_t y = v.buffer("y", Storage::output, 0, f32, {c8}, c32);
  v.variant.program.push_back(v.transfer(Operation::copy, {x, y}));
  v.variant.program[0]->scalars = {e.constant(4)};
  create(b);
  Tensor in, out;
  newTensor({8}, in);
  run({in}, out, AICC_BAD_PACKAGE);
  EXPECT_STREQ(aicc_message(), "package is damaged: copies 32 bytes to byte 4 "
                               "of buffer 1 ('y'), which has 32");
}

// A host function that multiplies by a number among its attributes.
struct Times : host::Function {
  float factor = 1;
  Status run(const host::Call &call) const override {
    if (call.inputs.size() != 1 || call.outputs.size() != 1)
      return invalidArgument("has other arguments");
    const float *x = static_cast<const float *>(call.inputs[0].data);
    float *y = static_cast<float *>(call.outputs[0].data);
    if (call.inputs[0].elements() && x[0] < 0)
      return invalidArgument("first element is negative");
    for (uint64_t i = 0; i < call.inputs[0].elements(); ++i)
      y[i] = factor * x[i];
    return {};
  }
};

PackageBuilder calling(const std::string &family, const std::string &function) {
  PackageBuilder b;
  b.symbol("n");
  b.input("x", f32, {b.exprs.symbol(0)});
  b.output("y", f32, {b.exprs.symbol(0)});
  VariantBuilder v = b.variant("t", family, "elf-so", kernels());
  ExprList &e = v.exprs;
  const uint32_t n = e.symbol(0),
                 bytes = e.binary(ExprOp::mul, n, e.constant(4));
  const uint32_t x = v.buffer("x", Storage::input, 0, f32, {n}, bytes);
  const uint32_t y = v.buffer("y", Storage::output, 0, f32, {n}, bytes);
  auto call = v.transfer(Operation::call, {x, y});
  call->function = function;
  call->attributes = "3";
  call->outputs = 1;
  call->sources = {"Times 'node'"};
  v.variant.program.push_back(std::move(call));
  return b;
}

void addTimes() {
  host::add("test_times", [](const std::string &attributes,
                             std::unique_ptr<host::Function> &out) {
    auto function = std::make_unique<Times>();
    function->factor = float(std::atoi(attributes.c_str()));
    out = std::move(function);
    return Status();
  });
}

TEST(Calls, OnTheCpu) {
  addTimes();
  Package package;
  Session session;
  ASSERT_EQ(openBytes(calling("cpu", "test_times").finish(), package.out()),
            AICC_OK)
      << aicc_message();
  ASSERT_EQ(
      aicc_session_create(package, deviceNamed("cpu"), nullptr, session.out()),
      AICC_OK)
      << aicc_message();
  Tensor x, y;
  const int64_t dim = 2;
  aicc_tensor_create(AICC_F32, 1, &dim, x.out());
  auto *data = static_cast<float *>(aicc_tensor_data(x));
  data[0] = 2, data[1] = 5;
  std::vector<std::string> seen;
  aicc_session_profile(
      session,
      [](const aicc_profile_event *event, void *context) {
        static_cast<std::vector<std::string> *>(context)->push_back(
            std::string(event->name) + "|" + event->kernel);
      },
      &seen);
  aicc_tensor *const inputs[] = {x};
  ASSERT_EQ(aicc_session_run(session, inputs, 1, y.out(), 1), AICC_OK)
      << aicc_message();
  EXPECT_EQ(static_cast<float *>(aicc_tensor_data(y))[1], 15.f);
  EXPECT_EQ(seen, std::vector<std::string>{"Times 'node'|test_times"});
  data[0] = -1;
  EXPECT_EQ(aicc_session_run(session, inputs, 1, y.out(), 1),
            AICC_INVALID_ARGUMENT);
  EXPECT_STREQ(aicc_message(), "Times 'node': first element is negative");
}

// Strings that a function made belong to the result, those of an input too.
struct Greet : host::Function {
  Status run(const host::Call &call) const override {
    auto *strings = static_cast<aicc_string *>(call.outputs[0].data);
    const auto *name = static_cast<const aicc_string *>(call.inputs[0].data);
    char *text = call.pool.allocate(6);
    std::memcpy(text, "hello ", 6);
    strings[0] = {text, 6};
    strings[1] = name[0];
    return {};
  }
};

TEST(Calls, Strings) {
  host::add("test_greet",
            [](const std::string &, std::unique_ptr<host::Function> &out) {
              out = std::make_unique<Greet>();
              return Status();
            });
  constexpr auto text = package::ElementType::string;
  PackageBuilder b;
  const uint32_t two = b.exprs.constant(2);
  b.input("name", text, {});
  b.output("words", text, {two});
  VariantBuilder v = b.variant("t", "cpu", "elf-so", kernels());
  const uint32_t c2 = v.exprs.constant(2), c16 = v.exprs.constant(16),
                 c32 = v.exprs.constant(32);
  const uint32_t name = v.buffer("name", Storage::input, 0, text, {}, c16);
  const uint32_t words = v.buffer("words", Storage::output, 0, text, {c2}, c32);
  v.variant.program.push_back(v.transfer(Operation::call, {name, words}));
  v.variant.program[0]->function = "test_greet";
  v.variant.program[0]->outputs = 1;
  Package package;
  Session session;
  ASSERT_EQ(openBytes(b.finish(), package.out()), AICC_OK) << aicc_message();
  ASSERT_EQ(
      aicc_session_create(package, deviceNamed("cpu"), nullptr, session.out()),
      AICC_OK)
      << aicc_message();
  Tensor outputs[2];
  for (Tensor &out : outputs) {
    auto given = std::make_unique<std::string>(&out == outputs ? "Ada" : "Bob");
    aicc_string string{given->data(), given->size()};
    Tensor in;
    aicc_tensor_from_host(&string, AICC_STRING, 0, nullptr, nullptr, nullptr,
                          in.out());
    aicc_tensor *const inputs[] = {in};
    ASSERT_EQ(aicc_session_run(session, inputs, 1, out.out(), 1), AICC_OK)
        << aicc_message();
  }
  const char *expected[] = {"hello Ada", "hello Bob"};
  for (int i = 0; i < 2; ++i) {
    const auto *strings =
        static_cast<const aicc_string *>(aicc_tensor_data(outputs[i]));
    EXPECT_EQ(std::string(strings[0].data, strings[0].size) +
                  std::string(strings[1].data, strings[1].size),
              expected[i]);
  }
}

TEST(Calls, Refused) {
  addTimes();
  const std::pair<std::pair<const char *, const char *>, const char *> cases[] =
      {{{"cpu", "nowhere"},
        "host function 'nowhere' of Times 'node' is unknown to this runtime"},
       {{"fake", "test_times"},
        "host function 'test_times' of Times 'node' needs a device that shares "
        "the host's memory, found fake:0"}};
  for (const auto &[where, message] : cases) {
    Package package;
    Session session;
    ASSERT_EQ(
        openBytes(calling(where.first, where.second).finish(), package.out()),
        AICC_OK);
    EXPECT_EQ(aicc_session_create(package, deviceNamed(where.first), nullptr,
                                  session.out()),
              AICC_UNSUPPORTED);
    EXPECT_STREQ(aicc_message(), message);
  }
}

// Wherever a driver fails while sizes are found out, nothing leaks and the
// session works again.
TEST(Failures, WhileBinding) {
  aicc_device *fake = deviceNamed("fake");
  const int64_t bytes = FakeDevice::liveBytes,
                handles = FakeDevice::liveHandles;
  const std::vector<uint8_t> file =
      compressModel("fake", "elf-so", kernels()).finish();
  bool finished = false;
  for (int64_t calls = 0; !finished && calls < 200; ++calls) {
    Package package;
    Session session;
    ASSERT_EQ(openBytes(file, package.out()), AICC_OK);
    ASSERT_EQ(aicc_session_create(package, fake, nullptr, session.out()),
              AICC_OK);
    Tensor x, y;
    const int64_t dim = 8;
    aicc_tensor_create(AICC_F32, 1, &dim, x.out());
    std::fill_n(static_cast<float *>(aicc_tensor_data(x)), 8, 1.f);
    aicc_tensor *const inputs[] = {x};
    FakeDevice::failAfter = calls;
    const aicc_status status = aicc_session_run(session, inputs, 1, y.out(), 1);
    FakeDevice::failAfter = -1;
    finished = status == AICC_OK;
    if (finished)
      break;
    EXPECT_EQ(status, AICC_DEVICE_ERROR);
    EXPECT_EQ(y.value, nullptr);
    ASSERT_EQ(aicc_session_run(session, inputs, 1, y.out(), 1), AICC_OK);
    EXPECT_EQ(aicc_tensor_bytes(y), 32u);
  }
  EXPECT_TRUE(finished);
  EXPECT_EQ(FakeDevice::liveBytes, bytes);
  EXPECT_EQ(FakeDevice::liveHandles, handles);
}

INSTANTIATE_TEST_SUITE_P(Devices, Binds, ::testing::Values("cpu", "fake"));

} // namespace
