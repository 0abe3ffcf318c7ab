//===- MatrixInstruction.cpp - one row per matrix instruction -------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/gpu/MatrixInstruction.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace aicc::gpu;

Basis FragmentLayout::at(unsigned lane, unsigned element) const {
  Basis sum;
  auto add = [&](ArrayRef<Basis> bases, unsigned number) {
    for (auto [bit, basis] : llvm::enumerate(bases))
      if (number >> bit & 1) {
        sum.line += basis.line;
        sum.place += basis.place;
      }
  };
  add(lanes, lane);
  add(elements, element);
  return sum;
}

StringRef aicc::gpu::toString(MatrixType type) {
  static constexpr StringRef names[] = {
      "f16", "bf16",     "tf32",   "f32",        "f64",       "i8",
      "i32", "f8E4M3FN", "f8E5M2", "f8E4M3FNUZ", "f8E5M2FNUZ"};
  return names[unsigned(type)];
}

bool aicc::gpu::isFloat8(MatrixType type) {
  return type >= MatrixType::f8E4M3FN;
}

unsigned aicc::gpu::elementBytes(MatrixType type) {
  switch (type) {
  case MatrixType::i8:
  case MatrixType::f8E4M3FN:
  case MatrixType::f8E5M2:
  case MatrixType::f8E4M3FNUZ:
  case MatrixType::f8E5M2FNUZ:
    return 1;
  case MatrixType::f16:
  case MatrixType::bf16:
    return 2;
  case MatrixType::tf32:
  case MatrixType::f32:
  case MatrixType::i32:
    return 4;
  case MatrixType::f64:
    return 8;
  }
  llvm_unreachable("no such type");
}

bool aicc::gpu::isOperand(MatrixType type, Type element) {
  switch (type) {
  case MatrixType::f16:
    return element.isF16();
  case MatrixType::bf16:
    return element.isBF16();
  case MatrixType::tf32:
  case MatrixType::f32:
    return element.isF32();
  case MatrixType::f64:
    return element.isF64();
  case MatrixType::i8:
    return element.isInteger(8);
  case MatrixType::i32:
    return element.isInteger(32);
  case MatrixType::f8E4M3FN:
    return isa<Float8E4M3FNType>(element);
  case MatrixType::f8E5M2:
    return isa<Float8E5M2Type>(element);
  case MatrixType::f8E4M3FNUZ:
    return isa<Float8E4M3FNUZType>(element);
  case MatrixType::f8E5M2FNUZ:
    return isa<Float8E5M2FNUZType>(element);
  }
  llvm_unreachable("no such type");
}

bool MatrixInstruction::isCallee(StringRef function) const {
  // An overloaded intrinsic has its types behind its name.
  return function.consume_front(callee) &&
         (function.empty() || function.starts_with(".v"));
}

//===----------------------------------------------------------------------===//
// The call
//===----------------------------------------------------------------------===//

/// The elements of a fragment from `first` on, as one value of a call.
static Value piece(OpBuilder &b, Location loc, Value fragment, unsigned first,
                   unsigned size, const Pieces &pieces, MatrixType kind) {
  auto type = cast<VectorType>(fragment.getType());
  Type element = type.getElementType();
  Value part = fragment;
  if (size == 1) {
    Value at = LLVM::ConstantOp::create(b, loc, b.getI32IntegerAttr(first));
    part = LLVM::ExtractElementOp::create(b, loc, fragment, at);
  } else if (size != type.getNumElements()) {
    SmallVector<int32_t> mask;
    for (unsigned i = 0; i < size; ++i)
      mask.push_back(first + i);
    part = LLVM::ShuffleVectorOp::create(b, loc, fragment, fragment, mask);
  }
  if (!pieces.integerBits) {
    if (kind != MatrixType::bf16)
      return part;
    Type wanted = b.getBF16Type();
    if (size > 1)
      wanted = VectorType::get({size}, wanted);
    return LLVM::BitcastOp::create(b, loc, wanted, part);
  }
  unsigned bits = element.getIntOrFloatBitWidth() * size;
  Type integer = b.getIntegerType(pieces.integerBits);
  Type wanted = bits == pieces.integerBits
                    ? integer
                    : VectorType::get({bits / pieces.integerBits}, integer);
  if (part.getType() == wanted)
    return part;
  return LLVM::BitcastOp::create(b, loc, wanted, part);
}

/// Of the elements that call number `call` of `calls` takes.
static SmallVector<Value> piecesOf(OpBuilder &b, Location loc, Value fragment,
                                   const Pieces &pieces, MatrixType kind,
                                   unsigned call = 0, unsigned calls = 1) {
  unsigned count =
      cast<VectorType>(fragment.getType()).getNumElements() / calls;
  unsigned size = count / pieces.count;
  SmallVector<Value> values;
  for (unsigned i = 0; i < pieces.count; ++i)
    values.push_back(
        piece(b, loc, fragment, call * count + i * size, size, pieces, kind));
  return values;
}

Value aicc::gpu::callBuiltin(OpBuilder &b, Location loc, StringRef name,
                             Type result, ArrayRef<Value> operands) {
  auto module = b.getInsertionBlock()
                    ->getParentOp()
                    ->getParentOfType<mlir::gpu::GPUModuleOp>();
  auto function = module.lookupSymbol<LLVM::LLVMFuncOp>(name);
  if (!function) {
    SmallVector<Type> types;
    for (Value operand : operands)
      types.push_back(operand.getType());
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(module.getBody());
    function = LLVM::LLVMFuncOp::create(
        b, loc, name, LLVM::LLVMFunctionType::get(result, types));
    function.setCConv(LLVM::CConv::SPIR_FUNC);
    function.setConvergent(true);
    function.setNoUnwind(true);
  }
  auto call = LLVM::CallOp::create(b, loc, function, operands);
  call.setCConv(LLVM::CConv::SPIR_FUNC);
  call.setConvergent(true);
  return call.getNumResults() ? call.getResult() : Value();
}

static Value emitCall(OpBuilder &b, Location loc,
                      const MatrixInstruction &instruction, Value a,
                      Value bFragment, Value c, unsigned call) {
  SmallVector<Value> operands;
  for (char letter : instruction.operands)
    switch (letter) {
    case 'a':
      operands.append(piecesOf(b, loc, a, instruction.aPieces,
                               instruction.operand, call, instruction.calls));
      break;
    case 'b':
      operands.append(piecesOf(b, loc, bFragment, instruction.bPieces,
                               instruction.operand, call, instruction.calls));
      break;
    case 'c':
      operands.append(
          piecesOf(b, loc, c, instruction.cPieces, instruction.result));
      break;
    case '0':
      operands.push_back(
          LLVM::ConstantOp::create(b, loc, b.getI32IntegerAttr(0)));
      break;
    default:
      operands.push_back(
          LLVM::ConstantOp::create(b, loc, b.getBoolAttr(letter == 't')));
    }
  auto fragment = cast<VectorType>(c.getType());
  Type element = fragment.getElementType();
  Type result = fragment;
  unsigned count = instruction.cPieces.count;
  unsigned size = fragment.getNumElements() / count;
  Type part = size == 1 ? element : VectorType::get({size}, element);
  if (count > 1)
    result = LLVM::LLVMStructType::getLiteral(b.getContext(),
                                              SmallVector<Type>(count, part));
  Value made;
  if (instruction.callee.starts_with("llvm.")) {
    made = LLVM::CallIntrinsicOp::create(
               b, loc, result, b.getStringAttr(instruction.callee), operands)
               .getResult(0);
  } else {
    made = callBuiltin(b, loc, instruction.callee, result, operands);
  }
  if (count == 1)
    return made;
  // Pieces of a result are single elements in all known instructions.
  assert(size == 1 && "pieces of a result are elements");
  Value whole = LLVM::PoisonOp::create(b, loc, fragment);
  for (unsigned i = 0; i < count; ++i) {
    Value value = LLVM::ExtractValueOp::create(b, loc, made, i);
    Value at = LLVM::ConstantOp::create(b, loc, b.getI32IntegerAttr(i));
    whole = LLVM::InsertElementOp::create(b, loc, whole, value, at);
  }
  return whole;
}

Value aicc::gpu::emitMatrixInstruction(OpBuilder &b, Location loc,
                                       const MatrixInstruction &instruction,
                                       Value a, Value bFragment, Value c) {
  for (unsigned call = 0; call < instruction.calls; ++call)
    c = emitCall(b, loc, instruction, a, bFragment, c, call);
  return c;
}

MatrixInstruction aicc::gpu::ofOneCall(const MatrixInstruction &row) {
  MatrixInstruction one = row;
  one.calls = 1;
  one.depth /= row.calls;
  for (FragmentLayout *layout : {&one.a, &one.b})
    for (unsigned rest = row.calls; rest > 1; rest /= 2) {
      // Places are bits: those above the one that goes away move down.
      unsigned gone = layout->elements.pop_back_val().place;
      for (SmallVector<Basis, 8> *bases : {&layout->lanes, &layout->elements})
        for (Basis &basis : *bases)
          if (basis.place > gone)
            basis.place /= 2;
    }
  return one;
}

/// Inline assembly whose first operands are its results as well.
static SmallVector<Value> emitAssembly(OpBuilder &b, Location loc,
                                       StringRef assembly,
                                       StringRef constraints,
                                       ArrayRef<Value> operands,
                                       unsigned results) {
  SmallVector<Type> types;
  for (Value operand : operands.take_front(results))
    types.push_back(operand.getType());
  auto made = LLVM::InlineAsmOp::create(
      b, loc, LLVM::LLVMStructType::getLiteral(b.getContext(), types), operands,
      assembly, constraints, /*has_side_effects=*/true,
      /*is_align_stack=*/false, LLVM::tailcallkind::TailCallKind::None,
      /*asm_dialect=*/LLVM::AsmDialectAttr(), /*operand_attrs=*/ArrayAttr());
  SmallVector<Value> values;
  for (unsigned i = 0; i < results; ++i)
    values.push_back(LLVM::ExtractValueOp::create(b, loc, made.getRes(), i));
  return values;
}

SmallVector<Value> aicc::gpu::emitAsyncMatrix(
    OpBuilder &b, Location loc, const MatrixInstruction &instruction, Value a,
    Value bDescriptor, bool aAcross, bool bAcross, ArrayRef<Value> sums) {
  SmallVector<Value> operands(sums);
  operands.append({a, bDescriptor});
  if (instruction.async->across)
    for (bool across : {aAcross, bAcross})
      operands.push_back(
          LLVM::ConstantOp::create(b, loc, b.getI32IntegerAttr(across)));
  return emitAssembly(b, loc, instruction.async->assembly,
                      instruction.async->constraints, operands, sums.size());
}

SmallVector<Value> aicc::gpu::finishAsync(OpBuilder &b, Location loc,
                                          const MatrixInstruction &instruction,
                                          ArrayRef<Value> sums) {
  return emitAssembly(b, loc, instruction.async->finish,
                      instruction.async->finishConstraints, sums, sums.size());
}

//===----------------------------------------------------------------------===//
// Making layouts
//===----------------------------------------------------------------------===//

SmallVector<Basis, 8> aicc::gpu::alongLine(unsigned first, unsigned end) {
  SmallVector<Basis, 8> bases;
  for (unsigned x = first; x < end; x *= 2)
    bases.push_back({0, x});
  return bases;
}

SmallVector<Basis, 8> aicc::gpu::acrossLines(unsigned first, unsigned end) {
  SmallVector<Basis, 8> bases;
  for (unsigned x = first; x < end; x *= 2)
    bases.push_back({x, 0});
  return bases;
}

SmallVector<Basis, 8>
aicc::gpu::joined(std::initializer_list<SmallVector<Basis, 8>> parts) {
  SmallVector<Basis, 8> all;
  for (const SmallVector<Basis, 8> &part : parts)
    all.append(part);
  return all;
}
