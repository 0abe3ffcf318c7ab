//===- PackageBuilder.h - packages made by hand, for tests ----------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Header-only. A test fills `package` (FlatBuffers' object API), with the
// helpers where they are shorter, and calls finish() for the file's bytes.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_RUNTIME_TESTING_PACKAGEBUILDER_H
#define AICC_RUNTIME_TESTING_PACKAGEBUILDER_H

#include "runtime/package/Preamble.h"
#include "runtime/package/package_generated.h"

#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

namespace aicc::testing {

namespace pkg = aicc::package;

// The file's contents; empty if there is none.
inline std::vector<uint8_t> readFile(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class ExprList {
public:
  explicit ExprList(std::vector<pkg::ExprNode> &nodes) : nodes(nodes) {}
  uint32_t constant(int64_t value) {
    return add(pkg::ExprNode(value, 0, 0, pkg::ExprOp::constant));
  }
  uint32_t symbol(uint32_t index) {
    return add(pkg::ExprNode(index, 0, 0, pkg::ExprOp::symbol));
  }
  uint32_t binary(pkg::ExprOp op, uint32_t lhs, uint32_t rhs) {
    return add(pkg::ExprNode(0, lhs, rhs, op));
  }

private:
  uint32_t add(pkg::ExprNode node) {
    nodes.push_back(node);
    return uint32_t(nodes.size() - 1);
  }
  std::vector<pkg::ExprNode> &nodes;
};

class VariantBuilder {
public:
  explicit VariantBuilder(pkg::VariantT &variant)
      : variant(variant), exprs(variant.exprs) {}

  uint32_t buffer(const std::string &name, pkg::Storage storage, uint32_t index,
                  pkg::ElementType type, std::vector<uint32_t> dims,
                  uint32_t bytes, uint32_t first = 0, uint32_t last = 0) {
    auto buffer = std::make_unique<pkg::BufferT>();
    buffer->name = name;
    buffer->storage = storage;
    buffer->index = index;
    buffer->type = type;
    buffer->dims = std::move(dims);
    buffer->bytes = bytes;
    buffer->first = first;
    buffer->last = last;
    variant.buffers.push_back(std::move(buffer));
    return uint32_t(variant.buffers.size() - 1);
  }
  uint32_t view(uint32_t of, uint32_t bytes) {
    const uint32_t index = buffer(
        "view", pkg::Storage::temporary, 0, variant.buffers[of]->type, {},
        bytes, variant.buffers[of]->first, variant.buffers[of]->last);
    variant.buffers[index]->alias = of + 1;
    return index;
  }
  uint32_t kernel(const std::string &entry, uint32_t buffers, uint32_t outputs,
                  uint32_t scalars, std::vector<std::string> sources = {}) {
    auto kernel = std::make_unique<pkg::KernelT>();
    kernel->entry = entry;
    kernel->buffers = buffers;
    kernel->outputs = outputs;
    kernel->scalars = scalars;
    kernel->workgroup = {1, 1, 1};
    kernel->sources = std::move(sources);
    variant.kernels.push_back(std::move(kernel));
    return uint32_t(variant.kernels.size() - 1);
  }
  static std::unique_ptr<pkg::InstructionT>
  launch(uint32_t kernel, std::vector<uint32_t> buffers,
         std::vector<uint32_t> scalars, std::vector<uint32_t> grid,
         uint32_t scratch) {
    auto instruction = std::make_unique<pkg::InstructionT>();
    instruction->op = pkg::Operation::launch;
    instruction->kernel = kernel;
    instruction->buffers = std::move(buffers);
    instruction->scalars = std::move(scalars);
    instruction->grid = std::move(grid);
    instruction->scratch = scratch;
    return instruction;
  }
  static std::unique_ptr<pkg::InstructionT>
  transfer(pkg::Operation op, std::vector<uint32_t> buffers) {
    auto instruction = std::make_unique<pkg::InstructionT>();
    instruction->op = op;
    instruction->buffers = std::move(buffers);
    return instruction;
  }
  static std::unique_ptr<pkg::InstructionT>
  loop(uint32_t symbol, uint32_t count,
       std::vector<std::unique_ptr<pkg::InstructionT>> body) {
    auto instruction = std::make_unique<pkg::InstructionT>();
    instruction->op = pkg::Operation::loop;
    instruction->symbol = symbol;
    instruction->count = count;
    instruction->body = std::move(body);
    return instruction;
  }

  static std::unique_ptr<pkg::InstructionT>
  read(uint32_t buffer, uint32_t symbol, std::string source = {}) {
    auto instruction = transfer(pkg::Operation::read, {buffer});
    instruction->symbol = symbol;
    if (!source.empty())
      instruction->sources.push_back(std::move(source));
    return instruction;
  }

  pkg::VariantT &variant;
  ExprList exprs;
};

class PackageBuilder {
public:
  pkg::PackageT package;

  PackageBuilder() : exprs(package.exprs) {
    package.version = pkg::formatVersion;
    package.producer = "test";
    package.model = "model";
  }

  ExprList exprs;

  void symbol(const std::string &name) {
    package.symbols.push_back(name);
    package.symbol_count = uint32_t(package.symbols.size());
  }
  std::unique_ptr<pkg::SectionT> section(const void *data, size_t size) {
    auto section = std::make_unique<pkg::SectionT>();
    sections.resize((sections.size() + pkg::sectionAlignment - 1) /
                    pkg::sectionAlignment * pkg::sectionAlignment);
    section->offset = pkg::sectionAlignment + sections.size();
    section->size = size;
    section->checksum = pkg::checksum(data, size);
    const auto *bytes = static_cast<const uint8_t *>(data);
    sections.insert(sections.end(), bytes, bytes + size);
    return section;
  }
  void input(const std::string &name, pkg::ElementType type,
             std::vector<uint32_t> dims) {
    package.inputs.push_back(port(name, type, std::move(dims)));
  }
  void output(const std::string &name, pkg::ElementType type,
              std::vector<uint32_t> dims) {
    package.outputs.push_back(port(name, type, std::move(dims)));
  }
  uint32_t weight(const std::string &name, pkg::ElementType type,
                  std::vector<int64_t> dims, const void *data, size_t size) {
    auto weight = std::make_unique<pkg::WeightT>();
    weight->name = name;
    weight->type = type;
    weight->dims = std::move(dims);
    weight->data = section(data, size);
    package.weights.push_back(std::move(weight));
    return uint32_t(package.weights.size() - 1);
  }
  VariantBuilder variant(const std::string &target, const std::string &family,
                         const std::string &format,
                         const std::vector<uint8_t> &object) {
    auto variant = std::make_unique<pkg::VariantT>();
    variant->target = target;
    variant->family = family;
    auto entry = std::make_unique<pkg::ObjectT>();
    entry->format = format;
    entry->chip = target;
    entry->data = section(object.data(), object.size());
    variant->objects.push_back(std::move(entry));
    package.variants.push_back(std::move(variant));
    return VariantBuilder(*package.variants.back());
  }

  // One for several devices, each with the same object.
  VariantBuilder variant(const std::vector<std::string> &families,
                         const std::string &format,
                         const std::vector<uint8_t> &object) {
    std::string family;
    for (const std::string &each : families)
      family += (family.empty() ? "" : "+") + each;
    VariantBuilder v = variant("t", family, format, object);
    for (uint32_t i = 0; i < families.size(); ++i) {
      auto device = std::make_unique<pkg::DeviceT>();
      device->target = families[i] + ":test";
      device->family = families[i];
      v.variant.devices.push_back(std::move(device));
      if (i == 0)
        continue;
      auto again = std::make_unique<pkg::ObjectT>(*v.variant.objects.front());
      again->device = i;
      v.variant.objects.push_back(std::move(again));
    }
    return v;
  }

  std::vector<uint8_t> finish() const {
    flatbuffers::FlatBufferBuilder builder;
    pkg::FinishPackageBuffer(builder, pkg::Package::Pack(builder, &package));
    std::vector<uint8_t> file(pkg::sectionAlignment);
    file.insert(file.end(), sections.begin(), sections.end());
    file.resize((file.size() + 15) / 16 * 16);
    pkg::Preamble preamble{};
    std::memcpy(preamble.magic, pkg::magic, sizeof pkg::magic);
    preamble.version = pkg::formatVersion;
    preamble.headerOffset = file.size();
    preamble.headerSize = builder.GetSize();
    preamble.headerChecksum =
        pkg::checksum(builder.GetBufferPointer(), builder.GetSize());
    file.insert(file.end(), builder.GetBufferPointer(),
                builder.GetBufferPointer() + builder.GetSize());
    preamble.fileSize = file.size();
    std::memcpy(file.data(), &preamble, sizeof preamble);
    return file;
  }

private:
  static std::unique_ptr<pkg::PortT> port(const std::string &name,
                                          pkg::ElementType type,
                                          std::vector<uint32_t> dims) {
    auto port = std::make_unique<pkg::PortT>();
    port->name = name;
    port->type = type;
    port->dims = std::move(dims);
    return port;
  }
  std::vector<uint8_t> sections;
};

// y = (x * w + b) with x, y [batch, 8], w and b prepared from weights by the
// prepare program: exercises symbols, weights, prepare, temporaries and a
// loop-free program. Kernels: Kernels.c.
inline PackageBuilder affineModel(const std::string &family,
                                  const std::string &format,
                                  const std::vector<uint8_t> &object) {
  constexpr auto f32 = pkg::ElementType::f32;
  PackageBuilder b;
  b.symbol("batch");
  const uint32_t batch = b.exprs.symbol(0), eight = b.exprs.constant(8);
  b.input("x", f32, {batch, eight});
  b.output("y", f32, {batch, eight});
  float w[8], bias[8];
  for (int i = 0; i < 8; ++i) {
    w[i] = float(i + 1);
    bias[i] = float(10 * i);
  }
  b.weight("w", f32, {8}, w, sizeof w);
  b.weight("b", f32, {8}, bias, sizeof bias);
  VariantBuilder v = b.variant(family + ":test", family, format, object);
  ExprList &e = v.exprs;
  const uint32_t s = e.symbol(0), c0 = e.constant(0), c1 = e.constant(1),
                 c8 = e.constant(8), c32 = e.constant(32);
  const uint32_t n = e.binary(pkg::ExprOp::mul, s, c8);
  const uint32_t bytes = e.binary(pkg::ExprOp::mul, s, c32);
  const uint32_t x = v.buffer("x", pkg::Storage::input, 0, f32, {s, c8}, bytes);
  const uint32_t y =
      v.buffer("y", pkg::Storage::output, 0, f32, {s, c8}, bytes);
  const uint32_t weight =
      v.buffer("w", pkg::Storage::weight, 0, f32, {c8}, c32);
  const uint32_t biases =
      v.buffer("b", pkg::Storage::weight, 1, f32, {c8}, c32);
  const uint32_t doubled =
      v.buffer("w2", pkg::Storage::prepared, 0, f32, {c8}, c32);
  const uint32_t product = v.buffer("product", pkg::Storage::temporary, 0, f32,
                                    {s, c8}, bytes, 0, 1);
  const uint32_t doubling = v.kernel("test_double", 2, 1, 1, {"prepare_w"});
  const uint32_t multiply = v.kernel("test_mul", 3, 1, 1, {"mul"});
  const uint32_t add = v.kernel("test_add", 3, 1, 1, {"add", "node2"});
  v.variant.prepare.push_back(
      v.launch(doubling, {weight, doubled}, {c8}, {c1, c1, c1}, c0));
  v.variant.program.push_back(
      v.launch(multiply, {x, doubled, product}, {n}, {s, c1, c1}, c0));
  v.variant.program.push_back(
      v.launch(add, {product, biases, y}, {n}, {s, c1, c1}, c0));
  return b;
}

// y = the positive elements of x [n], through a temporary of that size, which
// the program reads. Kernels: Kernels.c.
inline PackageBuilder compressModel(const std::string &family,
                                    const std::string &format,
                                    const std::vector<uint8_t> &object) {
  constexpr auto f32 = pkg::ElementType::f32;
  using pkg::ExprOp;
  using pkg::Storage;
  PackageBuilder b;
  b.symbol("n");
  b.package.symbol_count = 2;
  b.input("x", f32, {b.exprs.symbol(0)});
  b.output("y", f32, {b.exprs.symbol(1)});
  VariantBuilder v = b.variant("t", family, format, object);
  ExprList &e = v.exprs;
  const uint32_t n = e.symbol(0), k = e.symbol(1), c0 = e.constant(0),
                 c1 = e.constant(1), c4 = e.constant(4), c8 = e.constant(8);
  const uint32_t bytes = e.binary(ExprOp::mul, n, c4),
                 found = e.binary(ExprOp::mul, k, c4);
  const uint32_t x = v.buffer("x", Storage::input, 0, f32, {n}, bytes);
  const uint32_t y = v.buffer("y", Storage::output, 0, f32, {k}, found);
  const uint32_t count = v.buffer("count", Storage::temporary, 0,
                                  pkg::ElementType::i64, {c1}, c8, 0, 1);
  const uint32_t taken =
      v.buffer("taken", Storage::temporary, 0, f32, {k}, found, 2, 3);
  const uint32_t counting = v.kernel("test_count", 2, 1, 1, {"count"});
  const uint32_t taking = v.kernel("test_take", 2, 1, 1, {"take"});
  v.variant.program.push_back(
      v.launch(counting, {x, count}, {n}, {c1, c1, c1}, c0));
  v.variant.program.push_back(v.read(count, 1, "NonZero 'nz'"));
  v.variant.program.push_back(
      v.launch(taking, {x, taken}, {n}, {c1, c1, c1}, c0));
  v.variant.program.push_back(v.transfer(pkg::Operation::copy, {taken, y}));
  return b;
}

} // namespace aicc::testing

#endif
