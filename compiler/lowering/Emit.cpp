//===- Emit.cpp - code for the elements of a kernel's tensors -------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/lowering/Emit.h"
#include "compiler/lowering/Lowering.h"

#include "dialects/graph/Dims.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace aicc::lowering {

Emitter::Emitter(exec::KernelOp kernel, OpBuilder &builder, unsigned width,
                 ValueRange pointers,
                 const llvm::DenseMap<int64_t, Value> &symbols,
                 unsigned addressSpace)
    : kernel(kernel), b(builder), loc(kernel.getLoc()), width(width),
      index(builder, kernel.getLoc(), width), addressSpace(addressSpace),
      validLanes(width), symbols(symbols) {
  unsigned next = 0;
  auto bind = [&](Attribute declared) {
    auto type = cast<RankedTensorType>(cast<TypeAttr>(declared).getValue());
    return Memory{pointers[next++], graph::dimsOf(type), type.getElementType()};
  };
  Block *block = kernel.getBodyBlock();
  for (auto [arg, type] :
       llvm::zip(block->getArguments(), kernel.getArgumentTypes())) {
    Memory bound = bind(type);
    bound.element = cast<RankedTensorType>(arg.getType()).getElementType();
    memory[arg] = bound;
  }
  for (auto [value, type] : llvm::zip(block->getTerminator()->getOperands(),
                                      kernel.getResultTypes())) {
    results.push_back(bind(type));
    results.back().element =
        cast<RankedTensorType>(value.getType()).getElementType();
  }
  cache.emplace_back();
}

unsigned Emitter::numResults() { return results.size(); }

Value Emitter::result(unsigned i) {
  return kernel.getBodyBlock()->getTerminator()->getOperand(i);
}

//===----------------------------------------------------------------------===//
// Sizes
//===----------------------------------------------------------------------===//

AffineExpr Emitter::exprOf(Value value) {
  AffineExpr expr = expressionOf(value);
  assert(expr && "not a size expression");
  return expr;
}

SmallVector<AffineExpr> Emitter::dims(Value tensor) {
  auto known = memory.find(tensor);
  if (known != memory.end())
    return known->second.dims;
  auto type = cast<RankedTensorType>(tensor.getType());
  if (auto empty = tensor.getDefiningOp<tensor::EmptyOp>()) {
    SmallVector<AffineExpr> sizes;
    unsigned dynamic = 0;
    for (int64_t size : type.getShape())
      sizes.push_back(
          ShapedType::isDynamic(size)
              ? graph::simplify(exprOf(empty.getDynamicSizes()[dynamic++]))
              : getAffineConstantExpr(size, b.getContext()));
    return sizes;
  }
  if (auto op = tensor.getDefiningOp<linalg::GenericOp>())
    return dims(
        op.getDpsInitOperand(cast<OpResult>(tensor).getResultNumber())->get());
  return graph::dimsOf(type);
}

SmallVector<AffineExpr> Emitter::loopSizes(linalg::GenericOp op) {
  SmallVector<AffineExpr> sizes(op.getNumLoops());
  for (OpOperand &operand : op->getOpOperands()) {
    SmallVector<AffineExpr> shape = dims(operand.get());
    AffineMap map = op.getMatchingIndexingMap(&operand);
    for (auto [expr, size] : llvm::zip(map.getResults(), shape))
      if (auto dim = dyn_cast<AffineDimExpr>(expr)) {
        AffineExpr &have = sizes[dim.getPosition()];
        if (!have || graph::constantOf(size))
          have = size;
      }
  }
  assert(llvm::all_of(sizes, [](AffineExpr e) { return bool(e); }) &&
         "a loop without a size");
  return sizes;
}

Linear Emitter::size(AffineExpr expr) {
  SmallVector<Linear> values;
  for (auto [number, value] : symbols) {
    if (values.size() <= size_t(number))
      values.resize(number + 1);
    values[number] = Linear::of(value);
  }
  return index.apply(expr, {}, values);
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Linear Emitter::address(const Memory &m, ArrayRef<Linear> at) {
  Linear sum;
  AffineExpr stride = getAffineConstantExpr(1, b.getContext());
  for (unsigned i = m.dims.size(); i-- > 0;) {
    if (!graph::isConstant(m.dims[i], 1) || !at[i].isConstant()) {
      std::optional<int64_t> known = graph::constantOf(stride);
      Linear term = known && (!at[i].lanes || *known == 1)
                        ? at[i] * *known
                        : index.multiply(at[i], size(stride));
      if (sum.lanes && term.lanes) {
        Linear both;
        both.lanes = arith::AddIOp::create(b, loc, index.vector(sum),
                                           index.vector(term));
        sum = both;
      } else {
        sum = sum + term;
      }
    }
    stride = graph::simplify(stride * m.dims[i]);
  }
  return sum;
}

/// How an element lies in memory: i1 as a byte. bf16 is read and written as its
/// bits, because LLVM calls a library for what it can't move as that.
static Type storageOf(Type element) {
  if (element.isBF16())
    return IntegerType::get(element.getContext(), 16);
  if (element.isInteger(1))
    return IntegerType::get(element.getContext(), 8);
  if (element.isIndex())
    return IntegerType::get(element.getContext(), 64);
  return element;
}

/// How it is aligned: nothing more than 8 bytes.
static unsigned alignmentOf(Type storage) {
  return std::clamp(storage.getIntOrFloatBitWidth() / 8, 1u, 8u);
}

/// Another element type, a vector where `type` is one.
static Type like(Type type, Type element) {
  if (auto vector = dyn_cast<VectorType>(type))
    return vector.clone(element);
  return element;
}

Value Emitter::element(const Memory &m, Value lane0) {
  return LLVM::GEPOp::create(
      b, loc, LLVM::LLVMPointerType::get(b.getContext(), addressSpace),
      storageOf(m.element), m.pointer, ValueRange{lane0},
      LLVM::GEPNoWrapFlags::inbounds);
}

Value Emitter::load(const Memory &m, const Position &position) {
  Linear where = address(m, position.index);
  Type storage = storageOf(m.element);
  unsigned alignment = alignmentOf(storage);
  auto vectorType = VectorType::get({width}, storage);
  Value value;
  if (where.isUniform()) {
    value = LLVM::LoadOp::create(b, loc, storage, element(m, index.base(where)),
                                 alignment);
  } else if (!where.lanes && where.stride == 1) {
    Value pointer = element(m, index.base(where));
    if (position.mask && !where.padded) {
      Value zero = arith::ConstantOp::create(b, loc, b.getZeroAttr(vectorType));
      value = LLVM::MaskedLoadOp::create(b, loc, vectorType, pointer,
                                         position.mask, zero, alignment);
    } else {
      value = LLVM::LoadOp::create(b, loc, vectorType, pointer, alignment);
    }
  } else {
    Value mask = position.mask;
    auto maskType = VectorType::get({width}, b.getI1Type());
    if (!mask)
      mask = arith::ConstantOp::create(b, loc,
                                       DenseElementsAttr::get(maskType, true));
    auto pointers = VectorType::get(
        {width}, LLVM::LLVMPointerType::get(b.getContext(), addressSpace));
    Value where64 = index.vector(where);
    Value each = LLVM::GEPOp::create(b, loc, pointers, storage, m.pointer,
                                     ValueRange{where64});
    Value zero = arith::ConstantOp::create(b, loc, b.getZeroAttr(vectorType));
    value = LLVM::masked_gather::create(b, loc, vectorType, each, mask,
                                        ValueRange{zero},
                                        b.getI32IntegerAttr(alignment));
  }
  if (m.element.isBF16())
    return arith::BitcastOp::create(b, loc, like(value.getType(), m.element),
                                    value);
  if (!m.element.isInteger(1))
    return value;
  Value zero =
      arith::ConstantOp::create(b, loc, b.getZeroAttr(value.getType()));
  return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, value, zero);
}

void Emitter::store(const Memory &m, Value value, const Position &position) {
  Linear where = address(m, position.index);
  Type storage = storageOf(m.element);
  unsigned alignment = alignmentOf(storage);
  if (!where.isUniform())
    value = splat(value);
  if (m.element.isInteger(1))
    value =
        arith::ExtUIOp::create(b, loc, like(value.getType(), storage), value);
  if (m.element.isBF16())
    value =
        arith::BitcastOp::create(b, loc, like(value.getType(), storage), value);
  if (where.isUniform()) {
    LLVM::StoreOp::create(b, loc, value, element(m, index.base(where)),
                          alignment);
    return;
  }
  if (!where.lanes && where.stride == 1) {
    Value pointer = element(m, index.base(where));
    if (position.mask)
      LLVM::MaskedStoreOp::create(b, loc, value, pointer, position.mask,
                                  alignment);
    else
      LLVM::StoreOp::create(b, loc, value, pointer, alignment);
    return;
  }
  Value mask = position.mask;
  if (!mask)
    mask = arith::ConstantOp::create(
        b, loc,
        DenseElementsAttr::get(VectorType::get({width}, b.getI1Type()), true));
  auto pointers = VectorType::get(
      {width}, LLVM::LLVMPointerType::get(b.getContext(), addressSpace));
  Value each = LLVM::GEPOp::create(b, loc, pointers, storage, m.pointer,
                                   ValueRange{index.vector(where)});
  LLVM::masked_scatter::create(b, loc, value, each, mask,
                               b.getI32IntegerAttr(alignment));
}

Memory Emitter::constantMemory(arith::ConstantOp op) {
  auto type = cast<RankedTensorType>(op.getType());
  auto values = cast<DenseElementsAttr>(op.getValue());
  Type storage = storageOf(type.getElementType());
  int64_t count = type.getNumElements();
  auto flat = RankedTensorType::get({count}, storage);
  DenseElementsAttr data;
  if (type.getElementType().isInteger(1)) {
    SmallVector<int8_t> bytes;
    for (bool value : values.getValues<bool>())
      bytes.push_back(value);
    data = DenseElementsAttr::get(flat, ArrayRef<int8_t>(bytes));
  } else {
    data = DenseElementsAttr::getFromRawBuffer(flat, values.getRawData());
  }
  auto module = kernel->getParentOfType<ModuleOp>();
  std::string name =
      ("constant_" + Twine(std::distance(module.begin(), module.end()))).str();
  LLVM::GlobalOp global;
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(module.getBody());
    global = LLVM::GlobalOp::create(
        b, loc, LLVM::LLVMArrayType::get(storage, count), /*isConstant=*/true,
        LLVM::Linkage::Internal, name, data, /*alignment=*/64, addressSpace);
  }
  Value pointer = LLVM::AddressOfOp::create(b, loc, global);
  return {pointer, graph::dimsOf(type), type.getElementType()};
}

} // namespace aicc::lowering
