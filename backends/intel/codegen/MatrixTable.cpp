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
// Blocks: cl_intel_subgroup_2d_block_io, subgroups of 16. A row of 16 places of
// 16 bits (32 of 8 bits) is one place (two neighbours) for each lane;
// `transform` packs neighbouring rows into 32 bits, which doesn't change the
// order of a lane's elements; `transpose` gives a lane a row of 8 x 32 bits.
// Blocks side by side follow each other.
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

static BlockLoad block(llvm::StringRef callee, llvm::StringRef prefetch,
                       unsigned elementBytes, unsigned placeBytes,
                       unsigned wordBytes, FragmentLayout layout) {
  return {callee, prefetch, elementBytes, placeBytes, wordBytes, layout};
}

/// `rows` of `blocks` side by side, two places of 8 bits or one of 16 a lane.
static BlockLoad plainBlock(llvm::StringRef callee, llvm::StringRef prefetch,
                            unsigned bytes, unsigned rows, unsigned blocks) {
  unsigned wide = 32 / bytes;
  return block(callee, prefetch, bytes, bytes, 2,
               {alongLine(wide / 16, wide),
                joined({alongLine(1, wide / 16), acrossLines(1, rows),
                        alongLine(wide, wide * blocks)})});
}

/// Rows are depth, and packed.
static BlockLoad packedBlock(llvm::StringRef callee, llvm::StringRef prefetch,
                             unsigned bytes, unsigned rows, unsigned blocks) {
  return block(callee, prefetch, bytes, bytes, 4,
               {alongLine(1, 16),
                joined({acrossLines(1, rows), alongLine(16, 16 * blocks)})});
}

/// Of 16 rows, eight places of 32 bits.
static BlockLoad turnedBlock(unsigned bytes) {
  return block("_Z51intel_sub_group_2d_block_read_transpose_32b_16r8x1c"
               "PU3AS1viiiDv2_iPj",
               "_Z45intel_sub_group_2d_block_prefetch_32b_16r8x1c"
               "PU3AS1viiiDv2_i",
               bytes, 4, 4, {acrossLines(1, 16), alongLine(1, 32 / bytes)});
}

BlockLoads aicc::backends::intel::blockLoads(llvm::StringRef chip) {
#define READ(length, shape, word)                                              \
  "_Z" #length "intel_sub_group_2d_block_read_" shape "PU3AS1viiiDv2_iP" #word
#define PREFETCH(length, shape)                                                \
  "_Z" #length "intel_sub_group_2d_block_prefetch_" shape "PU3AS1viiiDv2_i"
  static const BlockLoad pvc[] = {
      plainBlock(READ(42, "16b_32r16x2c", t), PREFETCH(46, "16b_32r16x2c"), 2,
                 32, 2),
      plainBlock(READ(42, "16b_16r16x2c", t), PREFETCH(46, "16b_16r16x2c"), 2,
                 16, 2),
      plainBlock(READ(41, "16b_8r16x2c", t), PREFETCH(45, "16b_8r16x2c"), 2, 8,
                 2),
      plainBlock(READ(41, "8b_32r32x2c", t), PREFETCH(45, "8b_32r32x2c"), 1, 32,
                 2),
      plainBlock(READ(41, "8b_16r32x2c", t), PREFETCH(45, "8b_16r32x2c"), 1, 16,
                 2),
      plainBlock(READ(40, "8b_8r32x2c", t), PREFETCH(44, "8b_8r32x2c"), 1, 8,
                 2),
      packedBlock(READ(52, "transform_16b_32r16x2c", j),
                  PREFETCH(46, "16b_32r16x2c"), 2, 32, 2),
      packedBlock(READ(52, "transform_16b_32r16x1c", j),
                  PREFETCH(46, "16b_32r16x1c"), 2, 32, 1),
      packedBlock(READ(51, "transform_8b_32r16x2c", j),
                  PREFETCH(45, "8b_32r16x2c"), 1, 32, 2),
      packedBlock(READ(51, "transform_8b_32r16x1c", j),
                  PREFETCH(45, "8b_32r16x1c"), 1, 32, 1),
      turnedBlock(2),
      turnedBlock(1),
  };
#undef READ
#undef PREFETCH
  if (chip == "pvc")
    return {pvc};
  return {};
}
