//===- AsyncAttention.h - attention beside the threads ----------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// MatrixAttention.cpp where the chip has instructions of several subgroups that
// take both operands from shared memory (AsyncMatrix).
//
//===----------------------------------------------------------------------===//

#ifndef AICC_COMPILER_GPU_ASYNCATTENTION_H
#define AICC_COMPILER_GPU_ASYNCATTENTION_H

#include "compiler/gpu/Strategies.h"

namespace aicc::gpu {

/// Completes a plan if there are such instructions and the sizes suit them;
/// sums and exponentials may take so many registers of a lane.
bool planAsyncAttention(MatrixAttentionPlan &plan, mlir::Type operand,
                        int64_t depth, int64_t columns,
                        std::optional<int64_t> queries, unsigned mostRegisters,
                        const Options &options);
/// How many loops over keys a kernel may have beside so many registers.
unsigned loopsOverKeys(const MatrixAttentionPlan &plan, unsigned registers,
                       const Options &options);
AffineExpr emitAsyncAttention(Emitter &e, const MatrixAttentionPlan &plan);

} // namespace aicc::gpu

#endif // AICC_COMPILER_GPU_ASYNCATTENTION_H
