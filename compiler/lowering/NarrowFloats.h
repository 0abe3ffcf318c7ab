//===- NarrowFloats.h - floats of eight bits and fewer ----------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// No target computes with these formats, and few convert them: kernels hold
// them as the bits of an i8, and what is computed is computed in f32. The
// conversions are integer arithmetic, so that all targets give the same bits.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_COMPILER_LOWERING_NARROWFLOATS_H
#define AICC_COMPILER_LOWERING_NARROWFLOATS_H

#include "compiler/lowering/Writer.h"

namespace aicc::lowering {

/// Whether `element` is a float of eight bits or fewer.
bool isNarrowFloat(mlir::Type element);

/// The f32 that the bits (a scalar or a vector) stand for; every one of them is
/// exact.
mlir::Value decodeNarrow(LocBuilder &b, mlir::Value bits, mlir::FloatType from);

/// The bits of `to` nearest to an f32, as graph.cast does it.
mlir::Value encodeNarrow(LocBuilder &b, mlir::Value value, mlir::FloatType to,
                         bool overflow, graph::Rounding rounding);

} // namespace aicc::lowering

#endif // AICC_COMPILER_LOWERING_NARROWFLOATS_H
