//===- HostFunction.h - a kernel as a function of a host CPU ----*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The frame that all host kernels have in common:
//   void NAME(const void *args, const uint32_t workgroup[3], void *scratch)
// `args` are the pointers of all buffers, results last, then the symbols that
// the kernel uses, as 64-bit integers.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_COMPILER_LOWERING_HOSTFUNCTION_H
#define AICC_COMPILER_LOWERING_HOSTFUNCTION_H

#include "dialects/exec/Exec.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/DialectRegistry.h"

namespace aicc::lowering {

struct HostFunction {
  llvm::SmallVector<mlir::Value> pointers; // arguments, then results
  llvm::DenseMap<int64_t, mlir::Value> symbols;
  mlir::Value workgroup; // workgroup[0] as i64
};

/// The dialects that host functions are emitted in and translated from.
void registerHostDialects(mlir::DialectRegistry &registry);

/// Creates the function beside the kernel and sets the builder to the end of
/// its prologue; the body is emitted there, without a terminator.
HostFunction beginHostFunction(exec::KernelOp kernel, mlir::OpBuilder &builder);

/// Ends the function, removes the kernel from its module (it must be alone in
/// it), and lowers the module to the LLVM dialect.
mlir::LogicalResult finishHostFunction(exec::KernelOp kernel,
                                       mlir::OpBuilder &builder);

} // namespace aicc::lowering

#endif // AICC_COMPILER_LOWERING_HOSTFUNCTION_H
