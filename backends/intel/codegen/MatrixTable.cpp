//===- MatrixTable.cpp - the matrix instructions of each chip -------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Layouts and names: the OpenCL extension
// cl_intel_subgroup_matrix_multiply_accumulate, subgroups of 16. A lane holds
// of a one place in each of 8 rows, of b and the result one column.
//
//===----------------------------------------------------------------------===//

#include "backends/intel/codegen/MatrixTable.h"

using namespace aicc::gpu;

/// `packed` elements of a share 16 bits.
static MatrixInstruction dpas(llvm::StringRef callee, unsigned depth,
                              unsigned packed, MatrixType operand,
                              MatrixType result) {
  MatrixInstruction row;
  row.name = "dpas.8x8";
  row.callee = callee;
  row.rows = 8;
  row.columns = 16;
  row.depth = depth;
  row.operand = operand;
  row.result = result;
  row.a = {alongLine(packed, depth),
           joined({alongLine(1, packed), acrossLines(1, 8)})};
  row.b = {acrossLines(1, 16), alongLine(1, depth)};
  row.c = {alongLine(1, 16), acrossLines(1, 8)};
  row.aPieces = {1, 16};
  row.bPieces = {1, 32};
  return row;
}

llvm::ArrayRef<MatrixInstruction>
aicc::backends::intel::matrixInstructions(llvm::StringRef chip) {
  static const MatrixInstruction pvc[] = {
      dpas("_Z38intel_sub_group_f16_f16_matrix_mad_k16Dv8_sDv8_iDv8_f", 16, 1,
           MatrixType::f16, MatrixType::f32),
      dpas("_Z40intel_sub_group_bf16_bf16_matrix_mad_k16Dv8_sDv8_iDv8_f", 16, 1,
           MatrixType::bf16, MatrixType::f32),
      dpas("_Z36intel_sub_group_i8_i8_matrix_mad_k32Dv8_sDv8_iS0_", 32, 2,
           MatrixType::i8, MatrixType::i32),
  };
  if (chip == "pvc")
    return pvc;
  return {};
}
