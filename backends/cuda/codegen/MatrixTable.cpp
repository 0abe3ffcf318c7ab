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

#include <list>
#include <string>
#include <vector>

using namespace aicc::gpu;

static llvm::StringRef ptxName(MatrixType operand) {
  switch (operand) {
  case MatrixType::i8:
    return "s8";
  case MatrixType::f8E4M3FN:
    return "e4m3";
  case MatrixType::f8E5M2:
    return "e5m2";
  default:
    return aicc::gpu::toString(operand);
  }
}

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

/// wgmma.mma_async m64nNkK: PTX ISA, "Asynchronous warpgroup-level matrix
/// instructions". Four subgroups hold 16 rows of the result each, as mma.sync
/// has them; a and b come from shared memory, with a swizzle of 128 bytes.
/// Operands of 16 bits may lie across.
static MatrixInstruction wgmma(unsigned columns, MatrixType operand,
                               MatrixType result) {
  MatrixInstruction row;
  const bool integer = result == MatrixType::i32;
  const unsigned bytes = elementBytes(operand);
  row.rows = 64;
  row.columns = columns;
  row.depth = 32 / bytes;
  row.operand = operand;
  row.result = result;
  row.c = {
      joined({alongLine(2, 8), acrossLines(1, 8), acrossLines(16, 64)}),
      joined({alongLine(1, 2), acrossLines(8, 16), alongLine(8, columns)})};
  AsyncMatrix async;
  async.across = bytes == 2;
  async.start = 0;
  async.leading = 16;
  async.stride = 32;
  async.format = uint64_t(1) << 62; // swizzle of 128 bytes
  const std::string type = ptxName(operand).str();
  const std::string name = "wgmma.mma_async.sync.aligned.m64n" +
                           std::to_string(columns) + "k" +
                           std::to_string(row.depth) +
                           (integer ? ".s32." : ".f32.") + type + "." + type;
  const unsigned count = row.c.count();
  std::string sums, results, ties;
  for (unsigned i = 0; i < count; ++i) {
    const std::string comma = i ? "," : "";
    sums += comma + "$" + std::to_string(i);
    results += comma + (integer ? "=r" : "=f");
    ties += "," + std::to_string(i);
  }
  auto operandAt = [&](unsigned i) {
    return ", $" + std::to_string(2 * count + i);
  };
  async.assembly = "{ .reg .pred p; setp.ne.b32 p, 1, 0; " + name + " {" +
                   sums + "}" + operandAt(0) + operandAt(1) + ", p" +
                   (integer ? "" : ", 1, 1") +
                   (async.across ? operandAt(2) + operandAt(3) : "") + "; }";
  async.constraints =
      results + ties + ",l,l" + (async.across ? ",n,n" : "") + ",~{memory}";
  async.finish = "wgmma.wait_group.sync.aligned 0;";
  async.finishConstraints = results + ties + ",~{memory}";
  async.publish = "llvm.nvvm.fence.proxy.async.shared_cta";
  async.fence = "llvm.nvvm.wgmma.fence.sync.aligned";
  async.commit = "llvm.nvvm.wgmma.commit_group.sync.aligned";
  async.wait = "llvm.nvvm.wgmma.wait_group.sync.aligned";
  row.async = std::move(async);
  static std::list<std::string> names; // the table is made once
  row.name = names.emplace_back(name);
  return row;
}

static std::vector<MatrixInstruction> warpTable() {
  return {
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
}

/// From sm_89 on.
static std::vector<MatrixInstruction> warpTableWithFloat8() {
  std::vector<MatrixInstruction> table = warpTable();
  table.push_back(mma("mma.sync.aligned.m16n8k32.row.col.f32.e4m3.e4m3.f32",
                      "llvm.nvvm.mma.m16n8k32.row.col.f32.e4m3.e4m3.f32", 32, 4,
                      MatrixType::f8E4M3FN, MatrixType::f32, 32));
  table.push_back(mma("mma.sync.aligned.m16n8k32.row.col.f32.e5m2.e5m2.f32",
                      "llvm.nvvm.mma.m16n8k32.row.col.f32.e5m2.e5m2.f32", 32, 4,
                      MatrixType::f8E5M2, MatrixType::f32, 32));
  return table;
}

static std::vector<MatrixInstruction> warpgroupTable() {
  std::vector<MatrixInstruction> table;
  for (MatrixType operand :
       {MatrixType::f16, MatrixType::bf16, MatrixType::tf32, MatrixType::i8,
        MatrixType::f8E4M3FN, MatrixType::f8E5M2})
    for (unsigned columns : {256u, 128u, 64u, 32u})
      table.push_back(
          wgmma(columns, operand,
                operand == MatrixType::i8 ? MatrixType::i32 : MatrixType::f32));
  // For what is too small, attention, and doubles.
  for (MatrixInstruction &row : warpTableWithFloat8())
    table.push_back(std::move(row));
  return table;
}

llvm::ArrayRef<MatrixInstruction>
aicc::backends::cuda::matrixInstructions(llvm::StringRef chip) {
  static const std::vector<MatrixInstruction> sm80 = warpTable();
  static const std::vector<MatrixInstruction> sm89 = warpTableWithFloat8();
  static const std::vector<MatrixInstruction> sm90a = warpgroupTable();
  if (chip == "sm_90a")
    return sm90a;
  return chip == "sm_80" || chip == "sm_86" ? sm80 : sm89;
}
