//===- Lowering.h - graph operators to linalg in kernels --------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The second half of the stage `kernels`: the body of every `exec.kernel`
// becomes `linalg.generic` operations on tensors without encodings. One file
// per operator family, one `populate…` per file.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_COMPILER_LOWERING_LOWERING_H
#define AICC_COMPILER_LOWERING_LOWERING_H

#include "dialects/exec/Exec.h"

#include "mlir/IR/AffineExpr.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Pass/Pass.h"

namespace aicc::lowering {

void populateElementwise(mlir::RewritePatternSet &patterns);
void populateStructure(mlir::RewritePatternSet &patterns);
void populateReduction(mlir::RewritePatternSet &patterns);
void populateIndexing(mlir::RewritePatternSet &patterns);

/// `expr` as an index value: exec.symbol and arith operations.
mlir::Value materialize(mlir::OpBuilder &builder, mlir::Location loc,
                        mlir::AffineExpr expr);

/// The expression that an index value outside of generics is computed by: the
/// inverse of `materialize`; null if it is none.
mlir::AffineExpr expressionOf(mlir::Value index);

/// Lowers the body of one kernel; the pass --aicc-lower-kernels does it for
/// all kernels of a module.
mlir::LogicalResult lowerKernel(exec::KernelOp kernel);
std::unique_ptr<mlir::Pass> createLowerKernelsPass();

/// Replaces math operations by this project's polynomials, the same on every
/// target (--aicc-expand-mathematics). Works on scalars and vectors.
void populateMathematics(mlir::RewritePatternSet &patterns);
std::unique_ptr<mlir::Pass> createExpandMathematicsPass();

} // namespace aicc::lowering

#endif // AICC_COMPILER_LOWERING_LOWERING_H
