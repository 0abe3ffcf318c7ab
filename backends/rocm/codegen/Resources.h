//===- Resources.h - what a kernel takes of an AMD chip ---------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A function without state, for any thread.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_BACKENDS_ROCM_CODEGEN_RESOURCES_H
#define AICC_BACKENDS_ROCM_CODEGEN_RESOURCES_H

#include "llvm/ADT/StringRef.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace aicc::backends::rocm {

/// Registers, spills and memory of a kernel by the metadata in its object;
/// empty for what is no AMD code object.
std::vector<std::pair<std::string, int64_t>>
resourcesOf(llvm::StringRef object, llvm::StringRef kernel);

} // namespace aicc::backends::rocm

#endif // AICC_BACKENDS_ROCM_CODEGEN_RESOURCES_H
