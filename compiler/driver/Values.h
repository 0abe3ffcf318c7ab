//===- Values.h - values that are given for a model's inputs ----*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Arrays of other origins as serialised ONNX TensorProtos, which is what the
// importer takes. Functions without state.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_COMPILER_DRIVER_VALUES_H
#define AICC_COMPILER_DRIVER_VALUES_H

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace aicc::driver {

/// A tensor of row-major elements as the runtime holds them: `type` is a name
/// of the runtime's ("i64"); elements of less than 8 bits take a byte each.
/// "" with a message if there is no such type or `bytes` doesn't fit.
std::string makeTensor(std::string_view type, const std::vector<int64_t> &dims,
                       const void *data, size_t bytes, std::string &out_error);

/// The tensor in a file: NumPy's format if it begins like that, else a
/// TensorProto as it stands. Sets a message if it can't be read.
std::string readTensor(const std::string &path, std::string &out_error);

} // namespace aicc::driver

#endif // AICC_COMPILER_DRIVER_VALUES_H
