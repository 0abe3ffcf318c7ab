//===- Program.h - a package's contents, checked --------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What package.fbs describes, as plain structures in which every index is in
// range and every optional field has its value. Made by the reader only.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_RUNTIME_PACKAGE_PROGRAM_H
#define AICC_RUNTIME_PACKAGE_PROGRAM_H

#include "runtime/package/Expressions.h"

#include <array>

namespace aicc::program {

using package::ElementType;
using package::Operation;
using package::Storage;

struct Section {
  uint64_t offset = 0;
  uint64_t size = 0;
  uint64_t checksum = 0;
};

struct Weight {
  std::string name;
  ElementType type = ElementType::invalid;
  std::vector<int64_t> dims;
  Section data;
};

struct Port {
  std::string name;
  ElementType type = ElementType::invalid;
  std::vector<uint32_t> dims; // expressions of the package
};

// lhs <= rhs, both expressions of the package.
struct Limit {
  uint32_t lhs = 0;
  uint32_t rhs = 0;
};

struct Object {
  std::string format;
  std::string chip;
  Section data;
  uint32_t device = 0; // of the variant
};

struct Kernel {
  std::string entry;
  uint32_t object = 0;
  std::vector<std::string> sources;
  uint32_t buffers = 0;
  uint32_t outputs = 0;
  uint32_t scalars = 0;
  std::array<uint32_t, 3> workgroup{1, 1, 1};
  uint32_t sharedBytes = 0;
  uint32_t subgroup = 0;
};

struct Buffer {
  std::string name;
  Storage storage = Storage::temporary;
  uint32_t index = 0;
  ElementType type = ElementType::invalid;
  std::vector<uint32_t> dims; // expressions of the variant
  uint32_t bytes = 0;         // expression of the variant
  // The buffer whose memory this one has: itself, unless it is a view.
  uint32_t root = 0;
  uint32_t first = 0;
  uint32_t last = 0;
  int64_t offset = -1;
  uint32_t device = 0; // of the variant
};

struct Instruction {
  Operation op = Operation::launch;
  uint32_t kernel = 0;
  std::vector<uint32_t> buffers;
  std::vector<uint32_t> scalars;
  std::array<uint32_t, 3> grid{};
  uint32_t scratch = 0;
  uint32_t symbol = 0;
  uint32_t count = 0;
  std::vector<Instruction> body; // of a loop; of a branch if true
  uint64_t element = 0;
  int64_t minimum = 0;
  std::vector<std::string> sources;
  std::optional<uint32_t> condition; // of a loop: buffer
  std::optional<uint32_t> trips;     // symbol
  std::vector<Instruction> otherwise;
  std::string function;
  std::string attributes;
  uint32_t outputs = 0;
};

// What a variant asks of one of its devices.
struct Device {
  std::string target;
  std::string family;
  std::vector<std::string> required; // features
  int64_t arenaBytes = -1;
};

struct Variant {
  std::string target;
  std::string family;
  std::vector<std::string> options; // of the compiler, for people
  std::vector<Object> objects;
  std::vector<Kernel> kernels;
  Expressions exprs;
  std::vector<Buffer> buffers;
  std::vector<Instruction> prepare;
  std::vector<Instruction> program;
  std::vector<Device> devices; // at least one

  uint32_t deviceOf(const Kernel &kernel) const {
    return objects[kernel.object].device;
  }
};

struct Package {
  std::string producer;
  std::string model;
  std::vector<std::string> symbols;
  uint32_t symbolCount = 0;
  Expressions exprs;
  std::vector<Port> inputs;
  std::vector<Port> outputs;
  std::vector<Limit> limits;
  std::vector<Weight> weights;
  std::vector<Variant> variants;
  std::string signature; // JSON; empty if all inputs and outputs are tensors
};

// Bytes of one element; 0 for a type that doesn't exist.
size_t elementSize(ElementType type);
// "f32"; "bool" for bool_.
const char *elementTypeName(ElementType type);
// The type of that name; invalid if there is none.
ElementType elementTypeFromName(std::string_view name);

} // namespace aicc::program

#endif
