//===- Forms.h - the forms that a kernel takes on a CPU ---------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef AICC_BACKENDS_CPU_CODEGEN_FORMS_H
#define AICC_BACKENDS_CPU_CODEGEN_FORMS_H

#include "compiler/lowering/Emit.h"
#include "compiler/target/CodeGenerator.h"

namespace aicc::backends::cpu {

/// Emits one kernel at the emitter's insertion point.
struct Context {
  lowering::Emitter &e;
  const target::TargetRecord &record;
  lowering::Linear workgroup; // number of this workgroup, from 0
  /// The reductions that results depend on, in topological order.
  llvm::SmallVector<mlir::linalg::GenericOp> reductions;
  /// Out: number of workgroups, over the module's symbols.
  mlir::AffineExpr grid;
};

/// Every result element by its definition; always possible.
void emitPointwise(Context &context);
/// One reduction with vectors along one parallel loop and a register tile over
/// another; false (nothing emitted) if the kernel is not of this form.
bool emitTile(Context &context);
/// Elementwise, with one operand that is contiguous along another dimension
/// than the result; false if not of this form.
bool emitTransposed(Context &context);
/// Elements at computed positions; false if the kernel is no scatter.
bool emitScatter(Context &context);
/// Reductions along the lanes, row by row; false if not of this form.
bool emitRows(Context &context);
/// The same with rows along the lanes; false if not of this form, or if every
/// reduction is needed once only.
bool emitColumns(Context &context);

// -- Shared pieces -----------------------------------------------------------

/// body(i, mask) for vectors of lanes from lower to upper: `unroll` at a time,
/// then one at a time, then a masked one. `i` has stride 1.
void forLanes(lowering::Emitter &e, const lowering::Linear &lower,
              const lowering::Linear &upper, unsigned unroll,
              llvm::function_ref<void(lowering::Linear, mlir::Value)> body);

/// The constant value of an expression, or `otherwise`.
int64_t constantOr(mlir::AffineExpr expr, int64_t otherwise);

/// Product of sizes.
mlir::AffineExpr product(llvm::ArrayRef<mlir::AffineExpr> sizes,
                         mlir::MLIRContext *context);

/// A read of a generic's body and where, over the generic's loops.
struct Access {
  mlir::Value tensor;
  llvm::SmallVector<mlir::AffineExpr> index;
};
/// All reads of a generic: inputs that its body uses, and elements that it
/// extracts at indices computed from loops (limits to the tensor left out).
llvm::SmallVector<Access> accessesOf(mlir::linalg::GenericOp op);

/// How the address at which a tensor is read moves with one loop: 0 not at
/// all, 1 by one element, 2 otherwise. `index` are expressions over loops.
unsigned moveOf(lowering::Emitter &e, mlir::Value tensor,
                llvm::ArrayRef<mlir::AffineExpr> index, unsigned loop);

} // namespace aicc::backends::cpu

#endif // AICC_BACKENDS_CPU_CODEGEN_FORMS_H
