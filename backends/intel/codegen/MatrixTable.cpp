//===- MatrixTable.cpp - the matrix instructions of each chip -------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Layouts and names: the OpenCL extension
// cl_intel_subgroup_matrix_multiply_accumulate. The instruction has as many
// columns as the subgroup has lanes: a lane holds of b and the result one
// column, of a neighbouring places in each of 8 rows, as many as all lanes
// together need for the depth.
//
//===----------------------------------------------------------------------===//

#include "backends/intel/codegen/MatrixTable.h"

using namespace aicc::gpu;

static MatrixInstruction dpas(llvm::StringRef callee, unsigned lanes,
                              unsigned depth, MatrixType operand,
                              MatrixType result) {
  unsigned places = depth / lanes; // of a row of a in a lane
  MatrixInstruction row;
  row.name = "dpas.8x8";
  row.callee = callee;
  row.rows = 8;
  row.columns = lanes;
  row.depth = depth;
  row.operand = operand;
  row.result = result;
  row.a = {alongLine(places, depth),
           joined({alongLine(1, places), acrossLines(1, 8)})};
  row.b = {acrossLines(1, lanes), alongLine(1, depth)};
  row.c = {alongLine(1, lanes), acrossLines(1, 8)};
  row.aPieces = {1, 8 * elementBytes(operand) * places};
  row.bPieces = {1, 32};
  return row;
}

llvm::ArrayRef<MatrixInstruction>
aicc::backends::intel::matrixInstructions(llvm::StringRef chip) {
  static const MatrixInstruction pvc[] = {
      dpas("_Z38intel_sub_group_f16_f16_matrix_mad_k16Dv8_sDv8_iDv8_f", 16, 16,
           MatrixType::f16, MatrixType::f32),
      dpas("_Z40intel_sub_group_bf16_bf16_matrix_mad_k16Dv8_sDv8_iDv8_f", 16,
           16, MatrixType::bf16, MatrixType::f32),
      dpas("_Z36intel_sub_group_i8_i8_matrix_mad_k32Dv8_sDv8_iS0_", 16, 32,
           MatrixType::i8, MatrixType::i32),
  };
  static const MatrixInstruction dg2[] = {
      dpas("_Z38intel_sub_group_f16_f16_matrix_mad_k16Dv8_iS_Dv8_f", 8, 16,
           MatrixType::f16, MatrixType::f32),
      dpas("_Z40intel_sub_group_bf16_bf16_matrix_mad_k16Dv8_iS_Dv8_f", 8, 16,
           MatrixType::bf16, MatrixType::f32),
      dpas("_Z36intel_sub_group_i8_i8_matrix_mad_k32Dv8_iS_S_", 8, 32,
           MatrixType::i8, MatrixType::i32),
  };
  if (chip == "pvc")
    return pvc;
  if (chip == "dg2")
    return dg2;
  return {};
}
