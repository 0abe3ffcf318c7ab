//===- FuzzOnnx.cpp - the importer on arbitrary bytes ---------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Any input gives a module that verifies, or a message of one line.
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/Import.h"

#include "mlir/IR/Verifier.h"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  aicc::onnx::ImportOptions options;
  options.maxElements = int64_t(1) << 32;
  // Small models that expand to many nodes only cost time here.
  options.maxNodes = 2000;
  std::string error;
  auto module = aicc::onnx::importModelFromMemory(
      context, {reinterpret_cast<const char *>(data), size}, "", options,
      error);
  if (!module && (error.empty() || error.find('\n') != std::string::npos))
    abort();
  return 0;
}
