//===- MatrixTable.cpp - the matrix instructions of each chip -------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Layouts: AMD's instruction set architecture guides for CDNA 2 and 3 ("Matrix
// arithmetic instructions") and for RDNA 3 and 4 ("Wave matrix multiply
// accumulate").
//
//===----------------------------------------------------------------------===//

#include "backends/rocm/codegen/MatrixTable.h"

#include <vector>

using namespace aicc::gpu;

/// v_mfma of size x size x depth by 64 lanes: groups of `size` lanes share out
/// the depth; the result lies in blocks of 4 rows, one block per group.
static MatrixInstruction mfma(llvm::StringRef name, llvm::StringRef callee,
                              unsigned size, unsigned depth, MatrixType operand,
                              MatrixType result, unsigned integerBits) {
  MatrixInstruction row;
  row.name = name;
  row.callee = callee;
  row.rows = row.columns = size;
  row.depth = depth;
  row.operand = operand;
  row.result = result;
  unsigned groups = 64 / size, each = depth / groups;
  row.a = row.b = {joined({acrossLines(1, size), alongLine(each, depth)}),
                   alongLine(1, each)};
  row.c = {joined({alongLine(1, size), acrossLines(4, 4 * groups)}),
           joined({acrossLines(1, 4), acrossLines(4 * groups, size)})};
  row.aPieces = row.bPieces = {1, integerBits};
  row.operands = "abc000";
  return row;
}

/// The same of wide types, of which a lane gives one element: so many calls
/// take what it reads at once, 16 bytes.
static MatrixInstruction mfmas(unsigned calls, llvm::StringRef name,
                               llvm::StringRef callee, unsigned size,
                               unsigned depth, MatrixType type) {
  MatrixInstruction row =
      mfma(name, callee, size, calls * depth, type, type, 0);
  row.calls = calls;
  return row;
}

/// v_mfma_f64_16x16x4: rows of the result go round the groups one by one.
static MatrixInstruction doubles(llvm::StringRef name) {
  MatrixInstruction row =
      mfmas(2, name, "llvm.amdgcn.mfma.f64.16x16x4f64", 16, 4, MatrixType::f64);
  row.c = {joined({alongLine(1, 16), acrossLines(1, 4)}), acrossLines(4, 16)};
  return row;
}

/// v_wmma 16x16x16 by 32 lanes of RDNA 3: both halves hold all of a and b.
static MatrixInstruction wmma11(llvm::StringRef name, llvm::StringRef callee,
                                MatrixType operand, MatrixType result,
                                unsigned integerBits) {
  MatrixInstruction row;
  row.name = name;
  row.callee = callee;
  row.rows = row.columns = row.depth = 16;
  row.operand = operand;
  row.result = result;
  row.a = row.b = {joined({acrossLines(1, 16), {Basis()}}), alongLine(1, 16)};
  row.c = {joined({alongLine(1, 16), acrossLines(1, 2)}), acrossLines(2, 16)};
  row.aPieces = row.bPieces = {1, integerBits};
  if (operand == MatrixType::i8)
    row.operands = "tatbcf"; // signed, signed, don't saturate
  return row;
}

/// The same of RDNA 4: halves share out the depth.
static MatrixInstruction wmma12(llvm::StringRef name, llvm::StringRef callee,
                                MatrixType operand, MatrixType result,
                                unsigned integerBits) {
  MatrixInstruction row = wmma11(name, callee, operand, result, integerBits);
  row.a =
      row.b = {joined({acrossLines(1, 16), alongLine(8, 16)}), alongLine(1, 8)};
  row.c = {joined({alongLine(1, 16), acrossLines(8, 16)}), acrossLines(1, 8)};
  return row;
}

/// CDNA 3 and 4 have the same instructions for floats of 8 bits, which are of
/// other formats (those without a negative zero on CDNA 3).
static std::vector<MatrixInstruction>
withFloat8(llvm::ArrayRef<MatrixInstruction> rows, MatrixType fp8,
           MatrixType bf8) {
  std::vector<MatrixInstruction> table = rows.vec();
  table.push_back(mfma("v_mfma_f32_32x32x16_fp8_fp8",
                       "llvm.amdgcn.mfma.f32.32x32x16.fp8.fp8", 32, 16, fp8,
                       MatrixType::f32, 64));
  table.push_back(mfma("v_mfma_f32_16x16x32_fp8_fp8",
                       "llvm.amdgcn.mfma.f32.16x16x32.fp8.fp8", 16, 32, fp8,
                       MatrixType::f32, 64));
  table.push_back(mfma("v_mfma_f32_32x32x16_bf8_bf8",
                       "llvm.amdgcn.mfma.f32.32x32x16.bf8.bf8", 32, 16, bf8,
                       MatrixType::f32, 64));
  table.push_back(mfma("v_mfma_f32_16x16x32_bf8_bf8",
                       "llvm.amdgcn.mfma.f32.16x16x32.bf8.bf8", 16, 32, bf8,
                       MatrixType::f32, 64));
  return table;
}

llvm::ArrayRef<MatrixInstruction>
aicc::backends::rocm::matrixInstructions(llvm::StringRef chip) {
  using enum MatrixType;
  static const MatrixInstruction gfx90a[] = {
      mfma("v_mfma_f32_32x32x8f16", "llvm.amdgcn.mfma.f32.32x32x8f16", 32, 8,
           f16, f32, 0),
      mfma("v_mfma_f32_16x16x16f16", "llvm.amdgcn.mfma.f32.16x16x16f16", 16, 16,
           f16, f32, 0),
      mfma("v_mfma_f32_32x32x8bf16_1k", "llvm.amdgcn.mfma.f32.32x32x8bf16.1k",
           32, 8, bf16, f32, 16),
      mfma("v_mfma_f32_16x16x16bf16_1k", "llvm.amdgcn.mfma.f32.16x16x16bf16.1k",
           16, 16, bf16, f32, 16),
      mfmas(4, "v_mfma_f32_32x32x2f32", "llvm.amdgcn.mfma.f32.32x32x2f32", 32,
            2, f32),
      mfmas(4, "v_mfma_f32_16x16x4f32", "llvm.amdgcn.mfma.f32.16x16x4f32", 16,
            4, f32),
      mfma("v_mfma_i32_32x32x8i8", "llvm.amdgcn.mfma.i32.32x32x8i8", 32, 8, i8,
           i32, 32),
      mfma("v_mfma_i32_16x16x16i8", "llvm.amdgcn.mfma.i32.16x16x16i8", 16, 16,
           i8, i32, 32),
      doubles("v_mfma_f64_16x16x4f64"),
  };
  static const MatrixInstruction gfx94[] = {
      mfma("v_mfma_f32_32x32x8_f16", "llvm.amdgcn.mfma.f32.32x32x8f16", 32, 8,
           f16, f32, 0),
      mfma("v_mfma_f32_16x16x16_f16", "llvm.amdgcn.mfma.f32.16x16x16f16", 16,
           16, f16, f32, 0),
      mfma("v_mfma_f32_32x32x8_bf16", "llvm.amdgcn.mfma.f32.32x32x8bf16.1k", 32,
           8, bf16, f32, 16),
      mfma("v_mfma_f32_16x16x16_bf16", "llvm.amdgcn.mfma.f32.16x16x16bf16.1k",
           16, 16, bf16, f32, 16),
      mfmas(4, "v_mfma_f32_32x32x2_f32", "llvm.amdgcn.mfma.f32.32x32x2f32", 32,
            2, f32),
      mfmas(4, "v_mfma_f32_16x16x4_f32", "llvm.amdgcn.mfma.f32.16x16x4f32", 16,
            4, f32),
      mfma("v_mfma_i32_32x32x16_i8", "llvm.amdgcn.mfma.i32.32x32x16.i8", 32, 16,
           i8, i32, 64),
      mfma("v_mfma_i32_16x16x32_i8", "llvm.amdgcn.mfma.i32.16x16x32.i8", 16, 32,
           i8, i32, 64),
      doubles("v_mfma_f64_16x16x4_f64"),
  };
  static const std::vector<MatrixInstruction> gfx942 =
      withFloat8(gfx94, f8E4M3FNUZ, f8E5M2FNUZ);
  static const MatrixInstruction gfx950Rows[] = {
      mfma("v_mfma_f32_32x32x16_f16", "llvm.amdgcn.mfma.f32.32x32x16.f16", 32,
           16, f16, f32, 0),
      mfma("v_mfma_f32_16x16x32_f16", "llvm.amdgcn.mfma.f32.16x16x32.f16", 16,
           32, f16, f32, 0),
      mfma("v_mfma_f32_32x32x16_bf16", "llvm.amdgcn.mfma.f32.32x32x16.bf16", 32,
           16, bf16, f32, 0),
      mfma("v_mfma_f32_16x16x32_bf16", "llvm.amdgcn.mfma.f32.16x16x32.bf16", 16,
           32, bf16, f32, 0),
      mfmas(4, "v_mfma_f32_32x32x2_f32", "llvm.amdgcn.mfma.f32.32x32x2f32", 32,
            2, f32),
      mfmas(4, "v_mfma_f32_16x16x4_f32", "llvm.amdgcn.mfma.f32.16x16x4f32", 16,
            4, f32),
      mfma("v_mfma_i32_32x32x32_i8", "llvm.amdgcn.mfma.i32.32x32x32.i8", 32, 32,
           i8, i32, 32),
      mfma("v_mfma_i32_16x16x64_i8", "llvm.amdgcn.mfma.i32.16x16x64.i8", 16, 64,
           i8, i32, 32),
      doubles("v_mfma_f64_16x16x4_f64"),
  };
  static const std::vector<MatrixInstruction> gfx950 =
      withFloat8(gfx950Rows, f8E4M3FN, f8E5M2);
  static const MatrixInstruction gfx11[] = {
      wmma11("v_wmma_f32_16x16x16_f16", "llvm.amdgcn.wmma.f32.16x16x16.f16",
             f16, f32, 0),
      wmma11("v_wmma_f32_16x16x16_bf16", "llvm.amdgcn.wmma.f32.16x16x16.bf16",
             bf16, f32, 16),
      wmma11("v_wmma_i32_16x16x16_iu8", "llvm.amdgcn.wmma.i32.16x16x16.iu8", i8,
             i32, 32),
  };
  static const MatrixInstruction gfx12[] = {
      wmma12("v_wmma_f32_16x16x16_f16", "llvm.amdgcn.wmma.f32.16x16x16.f16",
             f16, f32, 0),
      wmma12("v_wmma_f32_16x16x16_bf16", "llvm.amdgcn.wmma.f32.16x16x16.bf16",
             bf16, f32, 16),
      wmma12("v_wmma_i32_16x16x16_iu8", "llvm.amdgcn.wmma.i32.16x16x16.iu8", i8,
             i32, 32),
      wmma12("v_wmma_f32_16x16x16_fp8_fp8",
             "llvm.amdgcn.wmma.f32.16x16x16.fp8.fp8", f8E4M3FN, f32, 32),
      wmma12("v_wmma_f32_16x16x16_bf8_bf8",
             "llvm.amdgcn.wmma.f32.16x16x16.bf8.bf8", f8E5M2, f32, 32),
  };
  if (chip == "gfx90a")
    return gfx90a;
  if (chip == "gfx950")
    return gfx950;
  if (chip.starts_with("gfx11"))
    return gfx11;
  if (chip.starts_with("gfx12"))
    return gfx12;
  if (chip == "gfx942")
    return gfx942;
  return gfx94; // gfx9-4-generic: its members' floats of 8 bits differ
}
