//===- Targets.h - the CPUs that code is generated for ----------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef AICC_BACKENDS_CPU_CODEGEN_TARGETS_H
#define AICC_BACKENDS_CPU_CODEGEN_TARGETS_H

#include "compiler/target/CodeGenerator.h"

namespace aicc::backends::cpu {

/// See CodeGenerator::resolve.
mlir::LogicalResult resolveTargets(llvm::StringRef chip,
                                   std::vector<target::TargetRecord> &records,
                                   std::string &error);

} // namespace aicc::backends::cpu

#endif // AICC_BACKENDS_CPU_CODEGEN_TARGETS_H
