//===- VirtualTables.h - rows as a virtual device reads them ----*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef AICC_COMPILER_GPU_VIRTUALTABLES_H
#define AICC_COMPILER_GPU_VIRTUALTABLES_H

#include "compiler/gpu/MatrixInstruction.h"

#include "llvm/IR/Constant.h"
#include "llvm/IR/LLVMContext.h"

namespace aicc::gpu {

/// aicc_virtual_matrix.
llvm::Constant *virtualTable(llvm::LLVMContext &context,
                             const MatrixInstruction &row);
/// aicc_virtual_block.
llvm::Constant *virtualTable(llvm::LLVMContext &context, const BlockLoad &load,
                             const BlockLoads &limits);

} // namespace aicc::gpu

#endif // AICC_COMPILER_GPU_VIRTUALTABLES_H
