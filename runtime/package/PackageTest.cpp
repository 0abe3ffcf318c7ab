//===- PackageTest.cpp - checksum, expressions, planner, reader -----------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/package/ArenaPlan.h"
#include "runtime/package/Reader.h"
#include "runtime/testing/PackageBuilder.h"

#include <gtest/gtest.h>

#include <functional>
#include <random>

using namespace aicc;
using aicc::testing::affineModel;
using aicc::testing::PackageBuilder;
using package::ExprOp;

namespace {

TEST(Checksum, IsXXH64) {
  // Of the algorithm's own test suite and of the reference implementation.
  EXPECT_EQ(package::checksum("", 0), 0xEF46DB3751D8E999u);
  EXPECT_EQ(package::checksum("a", 1), 0xD24EC4F1A98C6E5Bu);
  EXPECT_EQ(package::checksum("abc", 3), 0x44BC2CF5AD770999u);
  const std::string text = "Nobody inspects the spammish repetition";
  EXPECT_EQ(package::checksum(text.data(), text.size()), 0xFBCEA83C8A378BF1u);
}

TEST(Checksum, EveryBitCounts) {
  std::vector<uint8_t> data(100);
  const uint64_t before = package::checksum(data.data(), data.size());
  for (size_t bit = 0; bit < data.size() * 8; ++bit) {
    data[bit / 8] ^= 1 << bit % 8;
    EXPECT_NE(package::checksum(data.data(), data.size()), before);
    data[bit / 8] ^= 1 << bit % 8;
  }
}

struct Exprs {
  Expressions exprs;
  aicc::testing::ExprList list{exprs.nodes};
  std::vector<std::string> names{"batch", "seq"};

  std::optional<int64_t> value(uint32_t index, std::vector<int64_t> symbols) {
    std::vector<int64_t> values(exprs.size());
    for (size_t i = 0; i <= index; ++i)
      if (!exprs.evaluateNode(i, symbols, values.data()))
        return std::nullopt;
    return values[index];
  }
};

TEST(Expressions, Arithmetic) {
  Exprs e;
  const uint32_t s = e.list.symbol(0), four = e.list.constant(4);
  const std::pair<ExprOp, std::vector<int64_t>> cases[] = {
      // of -7, -1, 0, 9 and 4
      {ExprOp::add, {-3, 3, 4, 13}},      {ExprOp::mul, {-28, -4, 0, 36}},
      {ExprOp::floordiv, {-2, -1, 0, 2}}, {ExprOp::ceildiv, {-1, 0, 0, 3}},
      {ExprOp::mod, {1, 3, 0, 1}},        {ExprOp::max, {4, 4, 4, 9}},
      {ExprOp::min, {-7, -1, 0, 4}}};
  for (const auto &[op, expected] : cases) {
    const uint32_t index = e.list.binary(op, s, four);
    const int64_t inputs[] = {-7, -1, 0, 9};
    for (int i = 0; i < 4; ++i)
      EXPECT_EQ(e.value(index, {inputs[i]}), expected[i])
          << package::EnumNameExprOp(op) << " of " << inputs[i];
  }
}

TEST(Expressions, ErrorsInsteadOfUndefinedBehaviour) {
  Exprs e;
  const uint32_t s = e.list.symbol(0), big = e.list.constant(INT64_MAX),
                 low = e.list.constant(INT64_MIN);
  EXPECT_FALSE(e.value(e.list.binary(ExprOp::add, s, big), {1}));
  EXPECT_FALSE(e.value(e.list.binary(ExprOp::mul, s, big), {2}));
  for (ExprOp op : {ExprOp::floordiv, ExprOp::ceildiv, ExprOp::mod}) {
    e.exprs.nodes.resize(3); // without those that overflow
    const uint32_t index = e.list.binary(op, low, s);
    EXPECT_FALSE(e.value(index, {0}));
    EXPECT_FALSE(e.value(index, {-1}));
    EXPECT_TRUE(e.value(index, {1}));
  }
}

TEST(Expressions, Print) {
  Exprs e;
  const uint32_t b = e.list.symbol(0), s = e.list.symbol(1),
                 loop = e.list.symbol(2), two = e.list.constant(2);
  const uint32_t sum = e.list.binary(ExprOp::add, b, s);
  EXPECT_EQ(e.exprs.print(sum, e.names), "batch + seq");
  EXPECT_EQ(e.exprs.print(e.list.binary(ExprOp::mul, sum, two), e.names),
            "(batch + seq) * 2");
  const uint32_t quotient = e.list.binary(ExprOp::floordiv, b, two);
  EXPECT_EQ(e.exprs.print(e.list.binary(ExprOp::mul, two, quotient), e.names),
            "2 * (batch floordiv 2)");
  EXPECT_EQ(e.exprs.print(e.list.binary(ExprOp::max, loop, two), e.names),
            "max(?0, 2)");
  // A chain of any length.
  uint32_t chain = b;
  for (int i = 0; i < 100000; ++i)
    chain = e.list.binary(ExprOp::add, chain, two);
  EXPECT_LT(e.exprs.print(chain, e.names).size(), 400u);
}

TEST(Expressions, Solve) {
  Exprs e;
  const uint32_t b = e.list.symbol(0), s = e.list.symbol(1),
                 three = e.list.constant(3);
  using Known = std::vector<std::optional<int64_t>>;
  const uint32_t product = e.list.binary(ExprOp::mul, b, three);
  const uint32_t form = e.list.binary(ExprOp::add, s, product);
  auto solved = e.exprs.solve(product, 12, Known{{}, {}});
  ASSERT_TRUE(solved);
  EXPECT_EQ(*solved, std::pair(0u, int64_t(4)));
  EXPECT_FALSE(e.exprs.solve(product, 13, Known{{}, {}}));
  EXPECT_FALSE(e.exprs.solve(form, 13, Known{{}, {}})) << "two unknowns";
  solved = e.exprs.solve(form, 13, Known{{4}, {}});
  ASSERT_TRUE(solved);
  EXPECT_EQ(*solved, std::pair(1u, int64_t(1)));
  EXPECT_FALSE(e.exprs.solve(b, 1, Known{{1}, {}})) << "nothing unknown";
}

TEST(Expressions, Availability) {
  Exprs e;
  const uint32_t a = e.list.symbol(0), b = e.list.symbol(1),
                 two = e.list.constant(2);
  const uint32_t sum = e.list.binary(ExprOp::add, a, b);
  const uint32_t twice = e.list.binary(ExprOp::mul, sum, sum);
  const uint32_t four = e.list.binary(ExprOp::mul, two, two);
  const uint32_t more = e.list.binary(ExprOp::add, a, four);
  Availability known(e.exprs, 2);
  EXPECT_TRUE(known.computable(four));
  EXPECT_FALSE(known.computable(more));
  known.bind(0);
  EXPECT_TRUE(known.computable(more));
  EXPECT_FALSE(known.computable(sum));
  EXPECT_EQ(known.dependents(0), (std::vector<uint32_t>{a, more}));
  const size_t mark = known.mark();
  known.bind(1);
  known.bind(1);
  EXPECT_TRUE(known.computable(twice));
  EXPECT_EQ(known.dependents(1), (std::vector<uint32_t>{b, sum, twice}));
  EXPECT_EQ(known.dependents(0), (std::vector<uint32_t>{a, sum, twice, more}));
  EXPECT_EQ(known.since(mark), (std::vector<uint32_t>{1}));
  known.rewind(mark);
  EXPECT_FALSE(known.knows(1));
  EXPECT_FALSE(known.computable(twice));
  EXPECT_TRUE(known.computable(more));
  known.bind(1);
  EXPECT_TRUE(known.computable(twice));
}

TEST(ArenaPlan, ReusesMemory) {
  using package::ArenaBlock;
  // a chain: each lives until its user has run
  std::vector<ArenaBlock> chain;
  for (uint32_t i = 0; i < 10; ++i)
    chain.push_back({1000, i, i + 1});
  package::ArenaPlan plan = package::planArena(chain);
  EXPECT_EQ(plan.bytes, 2048u);
  EXPECT_TRUE(package::planArena({}).offsets.empty());
  std::vector<ArenaBlock> huge = {{UINT64_MAX - 5, 0, 1}};
  EXPECT_TRUE(package::planArena(huge).overflow);
}

TEST(ArenaPlan, NeverOverlaps) {
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    std::vector<package::ArenaBlock> blocks(1 + random() % 60);
    uint64_t largest = 0;
    for (package::ArenaBlock &block : blocks) {
      block.bytes = random() % 5 ? random() % 100000 : 0;
      block.first = random() % 50;
      block.last = block.first + random() % 10;
      largest = std::max(largest, block.bytes);
    }
    const package::ArenaPlan plan = package::planArena(blocks);
    uint64_t sum = 0;
    for (size_t a = 0; a < blocks.size(); ++a) {
      sum += blocks[a].bytes + 64;
      EXPECT_EQ(plan.offsets[a] % 64, 0u);
      EXPECT_LE(plan.offsets[a] + blocks[a].bytes, plan.bytes);
      for (size_t b = 0; b < a; ++b) {
        if (blocks[a].first > blocks[b].last ||
            blocks[b].first > blocks[a].last)
          continue;
        EXPECT_TRUE(plan.offsets[a] + blocks[a].bytes <= plan.offsets[b] ||
                    plan.offsets[b] + blocks[b].bytes <= plan.offsets[a]);
      }
    }
    EXPECT_GE(plan.bytes, largest);
    EXPECT_LE(plan.bytes, sum);
  }
}

Status open(const std::vector<uint8_t> &file,
            std::shared_ptr<const PackageReader> &out) {
  return PackageReader::fromMemory(file.data(), file.size(), {}, out);
}

std::string errorOf(const std::vector<uint8_t> &file) {
  std::shared_ptr<const PackageReader> reader;
  return open(file, reader).message();
}

const std::vector<uint8_t> noObject{1, 2, 3};

PackageBuilder model() { return affineModel("cpu", "elf-so", noObject); }

TEST(Reader, ReadsWhatWasWritten) {
  const std::vector<uint8_t> file = model().finish();
  std::shared_ptr<const PackageReader> reader;
  Status status = open(file, reader);
  ASSERT_TRUE(status.ok()) << status.message();
  const program::Package &package = reader->contents();
  EXPECT_EQ(package.symbols, std::vector<std::string>{"batch"});
  ASSERT_EQ(package.inputs.size(), 1u);
  EXPECT_EQ(package.inputs[0].name, "x");
  ASSERT_EQ(package.variants.size(), 1u);
  EXPECT_EQ(package.variants[0].program.size(), 2u);
  EXPECT_EQ(package.variants[0].prepare.size(), 1u);
  std::span<const uint8_t> weight = reader->section(package.weights[0].data);
  float first;
  std::memcpy(&first, weight.data(), sizeof first);
  EXPECT_EQ(first, 1.0f);
  EXPECT_TRUE(reader->verify(package.weights[0].data, "w").ok());
}

TEST(Reader, UnalignedMemoryIsCopied) {
  std::vector<uint8_t> file = model().finish();
  std::vector<uint8_t> shifted(file.size() + 65);
  uint8_t *at = shifted.data();
  at += 65 - reinterpret_cast<uintptr_t>(at) % 64;
  std::memcpy(at, file.data(), file.size());
  std::shared_ptr<const PackageReader> reader;
  int released = 0;
  ASSERT_TRUE(PackageReader::fromMemory(
                  at, file.size(), [&] { ++released; }, reader)
                  .ok());
  EXPECT_EQ(released, 1);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(reader->bytes().data()) % 64, 0u);
}

TEST(Reader, FilesThatAreNoPackages) {
  std::shared_ptr<const PackageReader> reader;
  EXPECT_EQ(PackageReader::open("/nonexistent/model.aicc", reader).message(),
            "cannot open package '/nonexistent/model.aicc': No such file or "
            "directory");
  EXPECT_EQ(PackageReader::open("/", reader).message(),
            "cannot open package '/': not a regular file");
  EXPECT_EQ(errorOf({}), "not an aicc package: 0 bytes are too few");
  EXPECT_EQ(errorOf(std::vector<uint8_t>(100)),
            "not an aicc package: it doesn't begin with 'AICCPKG'");
}

TEST(Reader, Preamble) {
  const std::vector<uint8_t> file = model().finish();
  auto with = [&](auto change) {
    std::vector<uint8_t> copy = file;
    change(*reinterpret_cast<package::Preamble *>(copy.data()));
    return errorOf(copy);
  };
  EXPECT_EQ(with([](auto &p) { p.version = 7; }),
            "package has format version 7, but this runtime reads version 1");
  EXPECT_NE(with([](auto &p) {
              p.headerOffset = UINT64_MAX;
            }).find("exceeds the file"),
            std::string::npos);
  EXPECT_NE(
      with([](auto &p) { p.headerSize = UINT64_MAX; }).find("exceeds the file"),
      std::string::npos);
  EXPECT_NE(
      with([](auto &p) { p.headerChecksum ^= 1; }).find("header has checksum"),
      std::string::npos);
  std::vector<uint8_t> cut(file.begin(), file.end() - 1);
  EXPECT_NE(errorOf(cut).find("it should have"), std::string::npos);
}

// Every truncation and every flipped bit is found, or harms nothing.
TEST(Reader, AnyDamage) {
  const std::vector<uint8_t> file = model().finish();
  for (size_t size = 0; size < file.size(); size += 1 + size / 16)
    EXPECT_NE(errorOf({file.begin(), file.begin() + size}), "");
  for (size_t at = 0; at < file.size(); at += at < 64 ? 1 : 7) {
    std::vector<uint8_t> copy = file;
    copy[at] ^= 0x10;
    std::shared_ptr<const PackageReader> reader;
    if (!open(copy, reader).ok())
      continue;
    bool whole = true;
    for (const program::Weight &weight : reader->contents().weights)
      whole &= reader->verify(weight.data, "").ok();
    for (const program::Object &object : reader->contents().variants[0].objects)
      whole &= reader->verify(object.data, "").ok();
    // What remains is padding between the sections.
    auto inside = [&](const program::Section &s) {
      return at >= s.offset && at < s.offset + s.size;
    };
    if (whole)
      for (const program::Weight &weight : reader->contents().weights)
        EXPECT_FALSE(inside(weight.data));
  }
}

struct Mistake {
  const char *message; // part of it
  std::function<void(package::PackageT &)> make;
};

// The variant is for several devices, all work on the first.
void onDevices(package::PackageT &p, unsigned count) {
  for (unsigned i = 0; i < count; ++i) {
    p.variants[0]->devices.push_back(std::make_unique<package::DeviceT>());
    p.variants[0]->devices.back()->family = "cpu";
  }
}

// Two loops, one in the other, that set the same symbol; gives the inner one.
package::InstructionT *nest(package::PackageT &p, uint32_t symbol) {
  auto inner = std::make_unique<package::InstructionT>();
  inner->op = package::Operation::loop;
  inner->symbol = symbol;
  inner->buffers = {0};
  p.variants[0]->buffers[0]->type = package::ElementType::i64;
  package::InstructionT *result = inner.get();
  auto outer = std::make_unique<package::InstructionT>();
  outer->op = package::Operation::loop;
  outer->symbol = symbol;
  outer->body.push_back(std::move(inner));
  p.variants[0]->program.clear();
  p.variants[0]->program.push_back(std::move(outer));
  return result;
}

TEST(Reader, Meaning) {
  const Mistake mistakes[] = {
      {"header has version 9", [](auto &p) { p.version = 9; }},
      {"symbol count 0 is below", [](auto &p) { p.symbol_count = 0; }},
      {"symbol count 4000000000 is absurd",
       [](auto &p) { p.symbol_count = 4000000000; }},
      {"symbol 'batch' doesn't follow",
       [](auto &p) { p.inputs[0]->dims[0] = 1; }},
      {"input 0 ('x'): dimension has expression index 99",
       [](auto &p) { p.inputs[0]->dims[0] = 99; }},
      {"output 0 ('y'): element type 0 doesn't exist",
       [](auto &p) { p.outputs[0]->type = package::ElementType::invalid; }},
      {"element type 77 doesn't exist",
       [](auto &p) { p.outputs[0]->type = package::ElementType(77); }},
      {"expression 0 uses symbol 3",
       [](auto &p) {
         p.exprs[0] = package::ExprNode(3, 0, 0, ExprOp::symbol);
       }},
      {"expression 1 has operands 1 and 0",
       [](auto &p) { p.exprs[1] = package::ExprNode(0, 1, 0, ExprOp::add); }},
      {"expression 1 has unknown operator 200",
       [](auto &p) { p.exprs[1] = package::ExprNode(0, 0, 0, ExprOp(200)); }},
      {"weight 0 ('w'): its dimensions need 36 bytes, but its section has 32",
       [](auto &p) { p.weights[0]->dims[0] = 9; }},
      {"weight 0 ('w'): dimension -1 is absurd",
       [](auto &p) { p.weights[0]->dims[0] = -1; }},
      {"is absurd",
       [](auto &p) {
         p.weights[0]->dims = {1l << 40, 1l << 40};
       }},
      {"exceeds the file",
       [](auto &p) { p.weights[0]->data->offset = 1ull << 60; }},
      {"exceeds the file",
       [](auto &p) { p.weights[0]->data->size = UINT64_MAX; }},
      {"is not a multiple of 4096",
       [](auto &p) { p.weights[0]->data->offset += 1; }},
      {"section is missing", [](auto &p) { p.weights[0]->data.reset(); }},
      {"variant 0 ('cpu:test'): has 65 devices, expected at most 64",
       [](auto &p) { onDevices(p, 65); }},
      {"arena of -2 bytes",
       [](auto &p) {
         onDevices(p, 2);
         p.variants[0]->devices[1]->arena_bytes = -2;
       }},
      {"object 0 ('cpu:test'): device index 1, but there are 1",
       [](auto &p) { p.variants[0]->objects[0]->device = 1; }},
      {"object 0 ('cpu:test'): device index 2, but there are 2",
       [](auto &p) {
         onDevices(p, 2);
         p.variants[0]->objects[0]->device = 2;
       }},
      {"buffer 0 ('x'): device index 3, but there are 1",
       [](auto &p) { p.variants[0]->buffers[0]->device = 3; }},
      {"launch of kernel 1 ('test_mul'): uses buffer 5 ('product') on device "
       "1, expected one on device 0",
       [](auto &p) {
         onDevices(p, 2);
         p.variants[0]->buffers[5]->device = 1;
       }},
      {"launch of kernel 0 ('test_double'): uses buffer 2 ('w') on device 0, "
       "expected one on device 1",
       [](auto &p) {
         onDevices(p, 2);
         p.variants[0]->objects[0]->device = 1;
       }},
      {"buffer 5 ('product') on device 1 cannot be a view of buffer 1 on "
       "device 0",
       [](auto &p) {
         onDevices(p, 2);
         p.variants[0]->buffers[5]->device = 1;
         p.variants[0]->buffers[5]->alias = 2;
       }},
      {"buffer 5 ('product') is on device 1, but output 'y' is on device 0",
       [](auto &p) {
         onDevices(p, 2);
         p.variants[0]->buffers[5]->storage = package::Storage::output;
         p.variants[0]->buffers[5]->device = 1;
       }},
      {"call of 'f': uses buffer 1 ('y') on device 1, expected one on device 0",
       [](auto &p) {
         onDevices(p, 2);
         p.variants[0]->buffers[1]->device = 1;
         p.variants[0]->program[0]->op = package::Operation::call;
         p.variants[0]->program[0]->function = "f";
         p.variants[0]->program[0]->buffers = {0, 1};
         p.variants[0]->program[0]->outputs = 1;
       }},
      {"swaps buffer 6 ('product') on device 1",
       [](auto &p) {
         onDevices(p, 2);
         auto other =
             std::make_unique<package::BufferT>(*p.variants[0]->buffers[5]);
         other->device = 1;
         p.variants[0]->buffers.push_back(std::move(other));
         p.variants[0]->program[0]->op = package::Operation::swap;
         p.variants[0]->program[0]->buffers = {5, 6};
       }},
      {"kernel 0 ('test_double'): object index 5",
       [](auto &p) { p.variants[0]->kernels[0]->object = 5; }},
      {"3 outputs among 2 buffers",
       [](auto &p) { p.variants[0]->kernels[0]->outputs = 3; }},
      {"workgroup has 2 sizes",
       [](auto &p) {
         p.variants[0]->kernels[0]->workgroup = {1, 1};
       }},
      {"workgroup size 1 is 0",
       [](auto &p) {
         p.variants[0]->kernels[0]->workgroup = {1, 0, 1};
       }},
      {"buffer 0 ('x'): input index 4",
       [](auto &p) { p.variants[0]->buffers[0]->index = 4; }},
      {"buffer 0 ('x'): size has expression index 400",
       [](auto &p) { p.variants[0]->buffers[0]->bytes = 400; }},
      {"storage 9 doesn't exist",
       [](auto &p) {
         p.variants[0]->buffers[0]->storage = package::Storage(9);
       }},
      {"lifetime from 5 to 1",
       [](auto &p) { p.variants[0]->buffers[5]->first = 5; }},
      {"arena offset 3",
       [](auto &p) { p.variants[0]->buffers[5]->offset = 3; }},
      {"alias of buffer 9999",
       [](auto &p) { p.variants[0]->buffers[5]->alias = 10000; }},
      {"is an alias of itself",
       [](auto &p) {
         p.variants[0]->buffers[5]->alias = 5;
         p.variants[0]->buffers[4]->alias = 6;
       }},
      {"cannot be a view of",
       [](auto &p) { p.variants[0]->buffers[1]->alias = 1; }},
      {"size of a prepared buffer depends on a symbol",
       [](auto &p) { p.variants[0]->buffers[4]->bytes = 0; }},
      {"arena of -7 bytes", [](auto &p) { p.variants[0]->arena_bytes = -7; }},
      {"program: instruction 1: kernel index 8",
       [](auto &p) { p.variants[0]->program[1]->kernel = 8; }},
      {"launch of kernel 2 ('test_add'): passes 2 buffers, expected 3",
       [](auto &p) { p.variants[0]->program[1]->buffers.pop_back(); }},
      {"passes 0 scalars, expected 1",
       [](auto &p) { p.variants[0]->program[1]->scalars.clear(); }},
      {"buffer index 77",
       [](auto &p) { p.variants[0]->program[1]->buffers[0] = 77; }},
      {"grid has 2 sizes",
       [](auto &p) { p.variants[0]->program[0]->grid.pop_back(); }},
      {"scratch has expression index 1000",
       [](auto &p) { p.variants[0]->program[0]->scratch = 1000; }},
      {"writes to buffer 0 ('x')",
       [](auto &p) { p.variants[0]->program[1]->buffers[2] = 0; }},
      {"writes to buffer 2 ('w')",
       [](auto &p) { p.variants[0]->program[1]->buffers[2] = 2; }},
      {"which only the prepare program may do",
       [](auto &p) { p.variants[0]->program[1]->buffers[2] = 4; }},
      {"prepare: instruction 0: launch of kernel 0 ('test_double'): uses "
       "buffer 0 ('x')",
       [](auto &p) { p.variants[0]->prepare[0]->buffers[0] = 0; }},
      {"uses a symbol that has no value here",
       [](auto &p) { p.variants[0]->prepare[0]->scalars[0] = 0; }},
      {"unknown operation 99",
       [](auto &p) { p.variants[0]->program[0]->op = package::Operation(99); }},
      {"has 3 buffers, expected 2",
       [](auto &p) {
         p.variants[0]->program[0]->op = package::Operation::copy;
       }},
      {"loop sets symbol 0, expected 1 to 1",
       [](auto &p) {
         p.variants[0]->program[0]->op = package::Operation::loop;
       }},
      {"a limit of expressions 0 and 99",
       [](auto &p) { p.limits.push_back(package::Limit(0, 99)); }},
      {"loop sets symbol 1, which has another value already",
       [](auto &p) {
         p.symbol_count = 2;
         nest(p, 1);
       }},
      {"read sets symbol 1, which counts the iterations of a loop around it",
       [](auto &p) {
         p.symbol_count = 2;
         nest(p, 1)->op = package::Operation::read;
       }},
      {"weight 0 ('w'): its elements are strings",
       [](auto &p) { p.weights[0]->type = package::ElementType::string; }},
      {"buffer 2 ('w') takes a weight for strings",
       [](auto &p) {
         p.variants[0]->buffers[2]->type = package::ElementType::string;
       }},
      {"condition has type f32, expected bool",
       [](auto &p) {
         p.variants[0]->program[0]->op = package::Operation::branch;
         p.variants[0]->program[0]->buffers = {0};
       }},
      {"condition has buffer index 98, but there are 6",
       [](auto &p) {
         p.symbol_count = 2;
         p.variants[0]->program[0]->op = package::Operation::loop;
         p.variants[0]->program[0]->symbol = 1;
         p.variants[0]->program[0]->condition = 99;
       }},
      {"reads an element of type f32, expected an integer",
       [](auto &p) {
         p.variants[0]->program[0]->op = package::Operation::read;
         p.variants[0]->program[0]->buffers = {0};
       }},
      {"has operation read, which depends on values that only a run has",
       [](auto &p) {
         p.variants[0]->prepare[0]->op = package::Operation::read;
       }},
      {"call of 'f': 4 outputs among 3 buffers",
       [](auto &p) {
         p.variants[0]->program[0]->op = package::Operation::call;
         p.variants[0]->program[0]->function = "f";
         p.variants[0]->program[0]->outputs = 4;
       }},
      {"swaps buffer 5 ('product') with buffer 5 ('product'), expected another",
       [](auto &p) {
         p.variants[0]->program[0]->op = package::Operation::swap;
         p.variants[0]->program[0]->buffers = {5, 5};
       }},
      {"swaps buffer 1 ('y'), expected a temporary",
       [](auto &p) {
         p.variants[0]->program[0]->op = package::Operation::swap;
         p.variants[0]->program[0]->buffers = {1, 5};
       }},
      {"output 0 ('y'): dimension 0 depends on a symbol that never gets a "
       "value",
       [](auto &p) {
         p.symbol_count = 2;
         p.exprs.push_back(package::ExprNode(1, 0, 0, package::ExprOp::symbol));
         p.outputs[0]->dims[0] = uint32_t(p.exprs.size() - 1);
         p.variants[0]->program.clear();
       }},
      {"but the dimensions of output 'y' depend on a symbol that has no value",
       [](auto &p) {
         p.symbol_count = 2;
         p.exprs.push_back(package::ExprNode(1, 0, 0, package::ExprOp::symbol));
         p.outputs[0]->dims[0] = uint32_t(p.exprs.size() - 1);
       }},
      {"whose size depends on a symbol that has no value here",
       [](auto &p) {
         p.symbol_count = 2;
         auto &exprs = p.variants[0]->exprs;
         exprs.push_back(package::ExprNode(1, 0, 0, package::ExprOp::symbol));
         p.variants[0]->buffers[5]->bytes = uint32_t(exprs.size() - 1);
       }},
  };
  for (const Mistake &mistake : mistakes) {
    PackageBuilder builder = model();
    mistake.make(builder.package);
    const std::string message = errorOf(builder.finish());
    EXPECT_NE(message.find(mistake.message), std::string::npos)
        << "expected: " << mistake.message << "\nfound: " << message;
    EXPECT_EQ(message.find('\n'), std::string::npos);
  }
}

TEST(Reader, MissingPartsAreEmpty) {
  flatbuffers::FlatBufferBuilder builder;
  package::PackageBuilder table(builder);
  table.add_version(package::formatVersion);
  package::FinishPackageBuffer(builder, table.Finish());
  program::Package out;
  Status status =
      parseHeader({builder.GetBufferPointer(), builder.GetSize()}, 4096, out);
  EXPECT_TRUE(status.ok()) << status.message();
  EXPECT_TRUE(out.variants.empty());
}

// A small file that refers to one table from everywhere must not cost time.
TEST(Reader, SharedTables) {
  flatbuffers::FlatBufferBuilder b;
  std::vector<flatbuffers::Offset<package::Instruction>> list;
  for (int depth = 0; depth < 12; ++depth) {
    auto body = b.CreateVector(list);
    package::InstructionBuilder instruction(b);
    instruction.add_op(package::Operation::loop);
    instruction.add_body(body);
    list.assign(64, instruction.Finish());
  }
  auto program = b.CreateVector(list);
  package::VariantBuilder variant(b);
  variant.add_program(program);
  auto finished = variant.Finish();
  auto variants = b.CreateVector(&finished, 1);
  package::PackageBuilder table(b);
  table.add_version(package::formatVersion);
  table.add_variants(variants);
  package::FinishPackageBuffer(b, table.Finish());
  program::Package out;
  EXPECT_FALSE(
      parseHeader({b.GetBufferPointer(), b.GetSize()}, 1 << 20, out).ok());
}

} // namespace
