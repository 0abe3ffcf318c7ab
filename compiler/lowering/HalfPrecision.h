//===- HalfPrecision.h - f16 and bf16 without library calls -----*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef AICC_COMPILER_LOWERING_HALFPRECISION_H
#define AICC_COMPILER_LOWERING_HALFPRECISION_H

#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/PatternMatch.h"

namespace aicc::lowering {

/// To a wider float (from 8 bits too), and to f16 or bf16; of a scalar or a
/// vector.
mlir::Value extend(mlir::ImplicitLocOpBuilder &b, mlir::Value x, mlir::Type to);
mlir::Value truncate(mlir::ImplicitLocOpBuilder &b, mlir::Value x,
                     mlir::Type to);

/// Conversions as above; choices between values of bf16 by their bits.
void populateHalfPrecision(mlir::RewritePatternSet &patterns);

} // namespace aicc::lowering

#endif // AICC_COMPILER_LOWERING_HALFPRECISION_H
