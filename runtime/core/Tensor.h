//===- Tensor.h - memory with a type and a shape --------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef AICC_RUNTIME_CORE_TENSOR_H
#define AICC_RUNTIME_CORE_TENSOR_H

#include "runtime/core/Status.h"
#include "runtime/package/Program.h"

#include "aicc/runtime.h"

#include <atomic>

struct aicc_tensor {
  std::atomic<uint32_t> references{1};
  aicc_type type{};
  std::vector<int64_t> dims;
  size_t bytes = 0;
  void *data = nullptr;
  aicc_device *device = nullptr; // null: the host
  void (*release)(void *context) = nullptr;
  void *context = nullptr;
  std::unique_ptr<char[]> characters; // that a run's strings refer to

  aicc_tensor() = default;
  aicc_tensor(const aicc_tensor &) = delete;
  ~aicc_tensor() {
    if (release)
      release(context);
  }
};

namespace aicc {

inline program::ElementType elementType(aicc_type type) {
  return program::ElementType(type);
}
inline aicc_type publicType(program::ElementType type) {
  return aicc_type(type);
}
static_assert(int(program::ElementType::bool_) == AICC_BOOL &&
              int(program::ElementType::u8) == AICC_U8 &&
              int(program::ElementType::u64) == AICC_U64 &&
              int(program::ElementType::bf16) == AICC_BF16 &&
              int(program::ElementType::f64) == AICC_F64 &&
              int(program::ElementType::f4e2m1fn) == AICC_F4E2M1FN &&
              int(program::ElementType::c64) == AICC_C64 &&
              int(program::ElementType::string) == AICC_STRING);

// "2x3"; "" for a scalar.
std::string printDims(std::span<const int64_t> dims);

// Bytes of a dense tensor; an error for negative or absurd dimensions.
Status denseBytes(aicc_type type, std::span<const int64_t> dims, size_t &out);

// New memory of the host with one reference.
Status createTensor(aicc_type type, std::span<const int64_t> dims,
                    aicc_tensor *&out);

// Makes the strings of a run's result the tensor's own; until then they may lie
// in the run's memory or in that of an input.
Status keepStrings(aicc_tensor &tensor);

// Keeps `status`'s message for aicc_message(), and returns its code.
aicc_status report(const Status &status);

} // namespace aicc

#endif
