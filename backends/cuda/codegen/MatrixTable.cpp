//===- MatrixTable.cpp - the matrix instructions of each chip -------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Layouts: PTX ISA, "Warp-level matrix instructions", the figures of each
// shape's fragments. With g = lane / 4 and t = lane % 4, a lane holds of a the
// rows g and g + 8, of b the column g, and per 32-bit register neighbours in
// depth from t * (elements of a register) on.
//
//===----------------------------------------------------------------------===//

#include "backends/cuda/codegen/MatrixTable.h"

using namespace aicc::gpu;

/// mma.sync m16n8kK; `packed` elements share a register of 32 bits.
static MatrixInstruction mma(llvm::StringRef name, llvm::StringRef callee,
                             unsigned depth, unsigned packed,
                             MatrixType operand, MatrixType result,
                             unsigned integerBits) {
  MatrixInstruction row;
  row.name = name;
  row.callee = callee;
  row.rows = 16;
  row.columns = 8;
  row.depth = depth;
  row.operand = operand;
  row.result = result;
  auto lanes = joined({alongLine(packed, 4 * packed), acrossLines(1, 8)});
  row.a = {lanes, joined({alongLine(1, packed), acrossLines(8, 16),
                          alongLine(4 * packed, depth)})};
  row.b = {lanes, joined({alongLine(1, packed), alongLine(4 * packed, depth)})};
  row.c = {joined({alongLine(2, 8), acrossLines(1, 8)}),
           joined({alongLine(1, 2), acrossLines(8, 16)})};
  row.aPieces = {row.a.count() / packed, integerBits};
  row.bPieces = {row.b.count() / packed, integerBits};
  row.cPieces = {4, 0};
  return row;
}

/// mma.sync m8n8k4 of doubles.
static MatrixInstruction doubles() {
  MatrixInstruction row;
  row.name = "mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64";
  row.callee = "llvm.nvvm.mma.m8n8k4.row.col.f64";
  row.rows = row.columns = 8;
  row.depth = 4;
  row.operand = row.result = MatrixType::f64;
  row.a = row.b = {joined({alongLine(1, 4), acrossLines(1, 8)}), {}};
  row.c = {joined({alongLine(2, 8), acrossLines(1, 8)}), alongLine(1, 2)};
  row.cPieces = {2, 0};
  return row;
}

llvm::ArrayRef<MatrixInstruction>
aicc::backends::cuda::matrixInstructions(llvm::StringRef) {
  // Every chip of the table has what sm_80 has.
  static const MatrixInstruction table[] = {
      mma("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32",
          "llvm.nvvm.mma.m16n8k16.row.col.f32.f32", 16, 2, MatrixType::f16,
          MatrixType::f32, 0),
      mma("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32",
          "llvm.nvvm.mma.m16n8k16.row.col.bf16", 16, 2, MatrixType::bf16,
          MatrixType::f32, 32),
      mma("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32",
          "llvm.nvvm.mma.m16n8k8.row.col.tf32", 8, 1, MatrixType::tf32,
          MatrixType::f32, 32),
      mma("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32",
          "llvm.nvvm.mma.m16n8k32.row.col.s8", 32, 4, MatrixType::i8,
          MatrixType::i32, 32),
      doubles(),
  };
  return table;
}
