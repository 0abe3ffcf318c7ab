//===- Registry.h - the code generators of this build -----------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef AICC_COMPILER_TARGET_REGISTRY_H
#define AICC_COMPILER_TARGET_REGISTRY_H

#include "compiler/target/CodeGenerator.h"

namespace aicc::target {

/// One generator per backend folder, in the order of their names. Created at
/// the first call; any thread.
const std::vector<std::unique_ptr<CodeGenerator>> &codeGenerators();

} // namespace aicc::target

#endif // AICC_COMPILER_TARGET_REGISTRY_H
