//===- VirtualTables.cpp - rows as a virtual device reads them ------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/gpu/VirtualTables.h"

#include "runtime/include/aicc/virtual.h"

#include "llvm/IR/Constants.h"
#include "llvm/IR/IRBuilder.h"

using namespace llvm;
using namespace aicc::gpu;

static Constant *layoutTable(IRBuilderBase &b, const FragmentLayout &layout) {
  auto pairs = [&](ArrayRef<Basis> bases) {
    SmallVector<uint16_t> numbers;
    for (const Basis &basis : bases)
      numbers.append({uint16_t(basis.line), uint16_t(basis.place)});
    numbers.resize(16);
    return ConstantDataArray::get(b.getContext(), numbers);
  };
  return ConstantStruct::getAnon({b.getInt32(layout.lanes.size()),
                                  b.getInt32(layout.elements.size()),
                                  pairs(layout.lanes), pairs(layout.elements)});
}

static uint32_t typeNumber(MatrixType type) {
  switch (type) {
  case MatrixType::f16:
    return AICC_VIRTUAL_F16;
  case MatrixType::bf16:
    return AICC_VIRTUAL_BF16;
  case MatrixType::tf32:
    return AICC_VIRTUAL_TF32;
  case MatrixType::f32:
    return AICC_VIRTUAL_F32;
  case MatrixType::f64:
    return AICC_VIRTUAL_F64;
  case MatrixType::i8:
    return AICC_VIRTUAL_I8;
  case MatrixType::i32:
    return AICC_VIRTUAL_I32;
  case MatrixType::f8E4M3FN:
    return AICC_VIRTUAL_F8E4M3FN;
  case MatrixType::f8E5M2:
    return AICC_VIRTUAL_F8E5M2;
  case MatrixType::f8E4M3FNUZ:
    return AICC_VIRTUAL_F8E4M3FNUZ;
  case MatrixType::f8E5M2FNUZ:
    return AICC_VIRTUAL_F8E5M2FNUZ;
  }
  llvm_unreachable("no such type");
}

Constant *aicc::gpu::virtualTable(LLVMContext &context,
                                  const MatrixInstruction &row) {
  IRBuilder<> b(context);
  return ConstantStruct::getAnon(
      {b.getInt32(row.rows), b.getInt32(row.columns), b.getInt32(row.depth),
       b.getInt32(typeNumber(row.operand)), b.getInt32(typeNumber(row.result)),
       layoutTable(b, row.a), layoutTable(b, row.b), layoutTable(b, row.c)});
}

Constant *aicc::gpu::virtualTable(LLVMContext &context, const BlockLoad &load,
                                  const BlockLoads &limits) {
  IRBuilder<> b(context);
  return ConstantStruct::getAnon(
      {b.getInt32(load.elementBytes), b.getInt32(load.placeBytes),
       b.getInt32(limits.beginAlign), b.getInt32(limits.pitchAlign),
       b.getInt32(limits.widthAlign), b.getInt32(limits.shortest),
       b.getInt32(limits.longest), layoutTable(b, load.layout)});
}
