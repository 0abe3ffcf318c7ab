//===- Files.h - reading and writing tensors ------------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef AICC_RUN_FILES_H
#define AICC_RUN_FILES_H

#include "Array.h"

namespace aicc::run {

std::string readFile(const std::string &path);
void writeFile(const std::string &path, const std::string &contents);

// "FILE.npy", "FILE.pb" or "FILE:f32:1x3x224x224" (raw). Errors name the file.
Array readTensor(const std::string &spec);

// NumPy's format. Numbers that NumPy doesn't know (bf16) are written as f32.
Array parseNpy(const std::string &contents);
std::string formatNpy(const Array &array);

// An ONNX TensorProto. `folder` is where external data may be.
Array parseTensorProto(const std::string &contents, const std::string &folder);

// `name` as a file name: what can't be in one becomes %XX.
std::string escapeFileName(const std::string &name);

} // namespace aicc::run

#endif
