//===- Array.h - tensors as the tool handles them -------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef AICC_RUN_ARRAY_H
#define AICC_RUN_ARRAY_H

#include "aicc/runtime.h"

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace aicc::run {

// Bad data: one line, exit code 1.
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};
// Wrong usage: one line, exit code 2.
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Throws the runtime's message unless the call succeeded.
void check(aicc_status status);

struct Array {
  std::string name; // where the file has one
  aicc_type type = AICC_F32;
  // The file says how wide elements are, but not what.
  bool untyped = false;
  std::vector<int64_t> dims;
  // Aligned: tensors use it without a copy.
  std::vector<uint64_t> storage;

  void *data() { return storage.data(); }
  const void *data() const { return storage.data(); }
  size_t count() const;
  size_t bytes() const { return count() * aicc_type_size(type); }
  // Throws for absurd dimensions. Before memory is asked for, a file's size is
  // compared with bytes().
  void checkDims() const;
  // Room for the elements.
  void allocate();
  // Element `index` as a number.
  double at(size_t index) const;
};

// The type of that name ("f32"); throws if there is none.
aicc_type typeNamed(const std::string &name);
std::string printDims(const std::vector<int64_t> &dims);

// Copies a tensor of the host.
Array fromTensor(const aicc_tensor *tensor, const std::string &name);

// Random contents that depend on type, shape and seed only: floats are normal,
// integers 0 or 1, which are good indices whatever the model does with them.
void fillRandom(Array &array, uint64_t seed);

float halfToFloat(uint16_t bits);
float bfloatToFloat(uint16_t bits);
uint16_t floatToHalf(float value);
uint16_t floatToBfloat(float value);

} // namespace aicc::run

#endif
