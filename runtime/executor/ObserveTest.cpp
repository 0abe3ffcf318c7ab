//===- ObserveTest.cpp - the model's values while a program runs ----------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RuntimeFixture.h"

using namespace aicc;
using namespace aicc::testing;

namespace {

constexpr auto boolean = package::ElementType::bool_;
using package::ExprOp;
using package::Operation;
using package::Storage;

struct Observe : OnDevice {
  // "name[iterations] (nodes) dims: first element", of each value.
  std::vector<std::string> seen;

  static void keep(const aicc_value *value, void *context) {
    std::string text = value->name;
    for (size_t i = 0; i < value->loop_count; ++i)
      text += "@" + std::to_string(value->iterations[i]);
    text += " (" + std::string(value->nodes) + ")";
    int64_t count = 1;
    for (size_t d = 0; d < value->rank; ++d) {
      text += (d ? "x" : " ") + std::to_string(value->dims[d]);
      count *= value->dims[d];
    }
    if (count && value->type == AICC_F32)
      text += ": " +
              std::to_string(int(static_cast<const float *>(value->data)[0]));
    static_cast<Observe *>(context)->seen.push_back(text);
  }
  void observe(std::vector<aicc_tensor *> inputs, size_t outputs = 1) {
    seen.clear();
    ASSERT_EQ(aicc_session_observe(session, keep, this), AICC_OK);
    std::vector<aicc_tensor *> results(outputs);
    ASSERT_EQ(aicc_session_run(session, inputs.data(), inputs.size(),
                               results.data(), results.size()),
              AICC_OK)
        << aicc_message();
    for (aicc_tensor *result : results)
      aicc_tensor_release(result);
    ASSERT_EQ(aicc_session_observe(session, nullptr, nullptr), AICC_OK);
  }
  using Texts = std::vector<std::string>;
};

TEST_P(Observe, ValuesOfTheModel) {
  PackageBuilder b = model();
  // The second launch is one of several of its kernel.
  b.package.variants[0]->program[1]->sources = {"here"};
  create(b);
  Tensor x;
  newTensor({2, 8}, x);
  std::fill_n(floats(x), 16, 3.f);
  observe({x});
  EXPECT_EQ(seen, (Texts{"product (mul) 2x8: 6", "y (here) 2x8: 6"}));
  // Nobody asks any more.
  seen.clear();
  Tensor y;
  aicc_tensor *const inputs[] = {x};
  ASSERT_EQ(aicc_session_run(session, inputs, 1, y.out(), 1), AICC_OK);
  EXPECT_TRUE(seen.empty());
}

// Sizes that the run finds out, and values without a name.
TEST_P(Observe, SizesOfTheRun) {
  PackageBuilder b = compressModel(GetParam(), "elf-so", kernels());
  b.package.variants[0]->buffers[2]->name = "";
  create(b);
  Tensor x;
  newTensor({4}, x);
  for (int i = 0; i < 4; ++i)
    floats(x)[i] = float(i - 1);
  observe({x});
  EXPECT_EQ(seen, (Texts{"taken (take) 2: 1", "y () 2: 1"}));
  for (int i = 0; i < 4; ++i)
    floats(x)[i] = -1;
  observe({x});
  EXPECT_EQ(seen, (Texts{"taken (take) 0", "y () 0"}));
}

// t = x + x in each iteration, stacked in s, whose view is read afterwards.
TEST_P(Observe, LoopsViewsAndPlaces) {
  PackageBuilder b;
  b.symbol("n");
  b.package.symbol_count = 2;
  const uint32_t eight = b.exprs.constant(8), n = b.exprs.symbol(0);
  b.input("x", f32, {n, eight});
  b.output("y", f32, {n, eight});
  VariantBuilder v = b.variant("t", GetParam(), "elf-so", kernels());
  ExprList &e = v.exprs;
  const uint32_t rows = e.symbol(0), i = e.symbol(1), c0 = e.constant(0),
                 c1 = e.constant(1), c8 = e.constant(8), c32 = e.constant(32);
  const uint32_t bytes = e.binary(ExprOp::mul, rows, c32);
  const uint32_t x = v.buffer("x", Storage::input, 0, f32, {rows, c8}, bytes);
  const uint32_t y = v.buffer("y", Storage::output, 0, f32, {rows, c8}, bytes);
  const uint32_t t = v.buffer("t", Storage::temporary, 0, f32, {c8}, c32, 0, 9);
  const uint32_t s =
      v.buffer("s", Storage::temporary, 0, f32, {rows, c8}, bytes, 0, 9);
  const uint32_t view = v.view(s, bytes), ofInput = v.view(x, bytes);
  v.variant.buffers[view]->name = "flat";
  v.variant.buffers[view]->dims = {rows, c8};
  v.variant.buffers[ofInput]->name = "input";
  const uint32_t add = v.kernel("test_add", 3, 1, 1, {"add"});
  std::vector<std::unique_ptr<package::InstructionT>> body;
  body.push_back(v.launch(add, {ofInput, ofInput, t}, {c8}, {c1, c1, c1}, c0));
  body.push_back(v.transfer(Operation::copy, {t, s}));
  body.back()->scalars = {e.binary(ExprOp::mul, i, c32)};
  v.variant.program.push_back(v.transfer(Operation::fill_zero, {s}));
  v.variant.program.push_back(v.loop(1, rows, std::move(body)));
  v.variant.program.push_back(v.transfer(Operation::copy, {view, y}));
  create(b);
  Tensor in;
  newTensor({2, 8}, in);
  std::fill_n(floats(in), 16, 4.f);
  observe({in});
  EXPECT_EQ(seen, (Texts{"t@0 (add) 8: 8", "t@1 (add) 8: 8", "flat () 2x8: 8",
                         "y () 2x8: 8"}));
}

TEST_P(Observe, TheWayThatWasTaken) {
  PackageBuilder b;
  const uint32_t eight = b.exprs.constant(8);
  b.input("c", boolean, {});
  b.input("x", f32, {eight});
  b.output("y", f32, {eight});
  VariantBuilder v = b.variant("t", GetParam(), "elf-so", kernels());
  ExprList &e = v.exprs;
  const uint32_t c0 = e.constant(0), c1 = e.constant(1), c8 = e.constant(8),
                 c32 = e.constant(32);
  const uint32_t condition = v.buffer("c", Storage::input, 0, boolean, {}, c1);
  const uint32_t x = v.buffer("x", Storage::input, 1, f32, {c8}, c32);
  const uint32_t y = v.buffer("y", Storage::output, 0, f32, {c8}, c32);
  auto branch = v.transfer(Operation::branch, {condition});
  for (bool first : {true, false}) {
    const uint32_t t = v.buffer(first ? "then" : "else", Storage::temporary, 0,
                                f32, {c8}, c32, 0, 9);
    auto &body = first ? branch->body : branch->otherwise;
    body.push_back(v.launch(v.kernel(first ? "test_add" : "test_mul", 3, 1, 1),
                            {x, x, t}, {c8}, {c1, c1, c1}, c0));
    body.push_back(v.transfer(Operation::copy, {t, y}));
  }
  v.variant.program.push_back(std::move(branch));
  create(b);
  Tensor c, in;
  newTensor({}, c, AICC_BOOL);
  newTensor({8}, in);
  std::fill_n(floats(in), 8, 5.f);
  *static_cast<uint8_t *>(aicc_tensor_data(c)) = 1;
  observe({c, in});
  EXPECT_EQ(seen, (Texts{"then () 8: 10", "y () 8: 10"}));
  *static_cast<uint8_t *>(aicc_tensor_data(c)) = 0;
  observe({c, in});
  EXPECT_EQ(seen, (Texts{"else () 8: 25", "y () 8: 25"}));
}

// Dimensions that a damaged package gives a buffer.
TEST_P(Observe, DamagedDimensions) {
  PackageBuilder b = model();
  VariantBuilder v(*b.package.variants[0]);
  v.variant.buffers[5]->dims = {v.exprs.constant(1 << 20)};
  create(b);
  Tensor x;
  newTensor({2, 8}, x);
  std::fill_n(floats(x), 16, 3.f);
  aicc_session_observe(session, keep, this);
  aicc_tensor *const inputs[] = {x};
  Tensor y;
  EXPECT_EQ(aicc_session_run(session, inputs, 1, y.out(), 1), AICC_BAD_PACKAGE);
  EXPECT_NE(std::string(aicc_message()).find("package is damaged"),
            std::string::npos)
      << aicc_message();
}

INSTANTIATE_TEST_SUITE_P(Devices, Observe, ::testing::Values("cpu", "fake"));

} // namespace
