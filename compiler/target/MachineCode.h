//===- MachineCode.h - LLVM from the LLVM dialect to objects ----*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef AICC_COMPILER_TARGET_MACHINECODE_H
#define AICC_COMPILER_TARGET_MACHINECODE_H

#include "compiler/target/CodeGenerator.h"

#include "mlir/IR/BuiltinOps.h"

namespace aicc::target {

/// Optimises a module of the LLVM dialect and compiles it to a relocatable
/// object (and to assembly text if `wantAssembly`). Any thread.
mlir::LogicalResult emitMachineCode(mlir::ModuleOp module,
                                    const TargetRecord &record,
                                    bool wantAssembly, std::string &object,
                                    std::string &assembly, std::string &error);

/// Links relocatable objects to a shared object. Any thread.
mlir::LogicalResult linkSharedObject(llvm::ArrayRef<llvm::StringRef> objects,
                                     std::string &shared, std::string &error);

} // namespace aicc::target

#endif // AICC_COMPILER_TARGET_MACHINECODE_H
