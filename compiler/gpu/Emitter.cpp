//===- Emitter.cpp - the value of a tensor at an index --------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/gpu/Emitter.h"
#include "compiler/lowering/Lowering.h"

#include "dialects/graph/Dims.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace aicc;
using namespace aicc::gpu;

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

Value Emitter::cached(const Key &key) {
  auto found = cache.find(key);
  if (found == cache.end())
    return nullptr;
  Block *home = found->second.getParentBlock();
  for (Block *block = b.getInsertionBlock(); block;) {
    if (block == home)
      return found->second;
    Operation *parent = block->getParentOp();
    if (!parent || parent == function)
      break;
    block = parent->getBlock();
  }
  return nullptr;
}

Value Emitter::remember(const Key &key, Value value) {
  cache[key] = value;
  return value;
}

SmallVector<AffineExpr> aicc::gpu::dimsOf(exec::KernelOp kernel, Value tensor) {
  auto type = cast<RankedTensorType>(tensor.getType());
  MLIRContext *context = type.getContext();
  SmallVector<AffineExpr> dims(type.getRank());
  SmallVector<AffineExpr> known;
  if (auto argument = dyn_cast<BlockArgument>(tensor)) {
    if (argument.getOwner() == kernel.getBodyBlock())
      known = graph::dimsOf(cast<RankedTensorType>(
          cast<TypeAttr>(kernel.getArgumentTypes()[argument.getArgNumber()])
              .getValue()));
  } else if (auto generic = tensor.getDefiningOp<linalg::GenericOp>()) {
    known = dimsOf(
        kernel,
        generic.getDpsInitOperand(cast<OpResult>(tensor).getResultNumber())
            ->get());
  } else if (auto empty = tensor.getDefiningOp<tensor::EmptyOp>()) {
    known.resize(type.getRank());
    unsigned next = 0;
    for (unsigned i = 0; i < dims.size(); ++i)
      if (type.isDynamicDim(i))
        known[i] = lowering::expressionOf(empty.getDynamicSizes()[next++]);
  }
  for (unsigned i = 0; i < dims.size(); ++i)
    dims[i] = type.isDynamicDim(i)
                  ? (known.empty() ? AffineExpr() : known[i])
                  : getAffineConstantExpr(type.getDimSize(i), context);
  return dims;
}

SmallVector<AffineExpr> aicc::gpu::loopsOf(exec::KernelOp kernel,
                                           linalg::GenericOp generic) {
  SmallVector<AffineExpr> sizes(generic.getNumLoops());
  // Results first: their dimensions were computed, operands' only agree.
  for (int64_t i = generic->getNumOperands() - 1; i >= 0; --i) {
    OpOperand &operand = generic->getOpOperand(i);
    if (!isa<RankedTensorType>(operand.get().getType()))
      continue;
    SmallVector<AffineExpr> dims = dimsOf(kernel, operand.get());
    AffineMap map = generic.getMatchingIndexingMap(&operand);
    for (auto [expr, size] : llvm::zip(map.getResults(), dims))
      if (auto dim = dyn_cast<AffineDimExpr>(expr)) {
        AffineExpr &known = sizes[dim.getPosition()];
        if (!known || (size && isa<AffineConstantExpr>(size)))
          known = size;
      }
  }
  return sizes;
}

Type aicc::gpu::storageType(Type element) {
  if (element.isInteger(1))
    return IntegerType::get(element.getContext(), 8);
  if (element.isIndex())
    return IntegerType::get(element.getContext(), 64);
  if (auto integer = dyn_cast<IntegerType>(element))
    return IntegerType::get(element.getContext(), integer.getWidth());
  if (element.isBF16()) // not all vendors have the type
    return IntegerType::get(element.getContext(), 16);
  return element;
}

SmallVector<AffineExpr> aicc::gpu::stridesOf(ArrayRef<AffineExpr> dims,
                                             MLIRContext *context) {
  SmallVector<AffineExpr> strides(dims.size());
  AffineExpr stride = getAffineConstantExpr(1, context);
  for (int64_t i = dims.size() - 1; i >= 0; --i) {
    strides[i] = stride;
    stride = stride * dims[i];
  }
  return strides;
}

Value Emitter::linearize(ArrayRef<AffineExpr> dims, ArrayRef<Value> index) {
  SmallVector<AffineExpr> strides = stridesOf(dims, b.getContext());
  Value sum = constant(0);
  for (unsigned i = 0; i < dims.size();) {
    // A run of dimensions that is exactly a number split before needs no
    // splitting: the number itself.
    const Split *match = nullptr;
    for (const Split &split : splits) {
      unsigned n = split.index.size();
      if (n > 1 && i + n <= dims.size() &&
          index.slice(i, n) == ArrayRef<Value>(split.index) &&
          llvm::all_of(llvm::zip(dims.slice(i, n), split.sizes),
                       [](auto pair) {
                         return graph::equal(std::get<0>(pair),
                                             std::get<1>(pair));
                       }) &&
          (!match || n > match->index.size()))
        match = &split;
    }
    unsigned n = match ? match->index.size() : 1;
    Value term = match ? match->linear : index[i];
    sum = add(sum, mul(term, apply(strides[i + n - 1])));
    i += n;
  }
  return sum;
}

Value Emitter::pointer(Value tensor, Value base, ArrayRef<AffineExpr> dims,
                       ArrayRef<Value> index) {
  Type element = storageType(getElementTypeOrSelf(tensor.getType()));
  Value linear = linearize(dims, index);
  if (constantOf(linear) == 0)
    return base;
  Value offset = arith::IndexCastOp::create(b, loc, b.getI64Type(), linear);
  return LLVM::GEPOp::create(b, loc, base.getType(), element, base,
                             ValueRange{offset},
                             LLVM::GEPNoWrapFlags::inbounds);
}

static unsigned bytesOf(Type type) {
  return std::max(1u, type.getIntOrFloatBitWidth() / 8);
}

/// From memory's type to the computing one and back.
static Value fromStorage(OpBuilder &b, Location loc, Value value,
                         Type element) {
  if (element.isInteger(1)) {
    Value zero = arith::ConstantOp::create(b, loc, b.getI8IntegerAttr(0));
    return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, value, zero);
  }
  if (element.isIndex())
    return arith::IndexCastOp::create(b, loc, element, value);
  if (element.isBF16())
    return arith::BitcastOp::create(b, loc, element, value);
  return value;
}

static Value toStorage(OpBuilder &b, Location loc, Value value) {
  if (value.getType().isInteger(1))
    return arith::ExtUIOp::create(b, loc, b.getI8Type(), value);
  if (value.getType().isIndex())
    return arith::IndexCastOp::create(b, loc, b.getI64Type(), value);
  if (value.getType().isBF16())
    return arith::BitcastOp::create(b, loc, b.getI16Type(), value);
  return value;
}

Value Emitter::load(Type type, Value pointer, unsigned align) {
  return LLVM::LoadOp::create(b, loc, type, pointer, align);
}

void Emitter::store(Value value, Value pointer, unsigned align) {
  LLVM::StoreOp::create(b, loc, value, pointer, align);
}

Value Emitter::address(BlockArgument argument, ArrayRef<Value> index) {
  return pointer(argument, pointers[argument.getArgNumber()],
                 dimsOf(kernel, argument), index);
}

Value Emitter::offset(BlockArgument argument, ArrayRef<Value> index) {
  Type element = storageType(getElementTypeOrSelf(argument.getType()));
  Value linear = linearize(dimsOf(kernel, argument), index);
  return arith::IndexCastOp::create(b, loc, b.getI32Type(),
                                    mul(linear, constant(bytesOf(element))));
}

Value Emitter::loadArgument(BlockArgument argument, ArrayRef<Value> index) {
  Type element = getElementTypeOrSelf(argument.getType());
  Value at = address(argument, index);
  Type stored = storageType(element);
  return fromStorage(b, loc, load(stored, at, bytesOf(stored)), element);
}

/// The elements of a constant as their storage type holds them.
static DenseElementsAttr storedElements(DenseElementsAttr elements) {
  Type element = elements.getElementType();
  auto flat = RankedTensorType::get({elements.getNumElements()}, element);
  elements = elements.reshape(flat);
  if (element.isBF16())
    return elements.bitcast(storageType(element));
  if (!element.isInteger(1))
    return elements;
  SmallVector<int8_t> bytes;
  for (bool bit : elements.getValues<bool>())
    bytes.push_back(bit);
  return DenseElementsAttr::get(
      RankedTensorType::get(flat.getShape(), storageType(element)),
      ArrayRef<int8_t>(bytes));
}

Value Emitter::loadConstant(arith::ConstantOp op, ArrayRef<Value> index) {
  auto elements = dyn_cast<DenseElementsAttr>(op.getValue());
  if (!elements) {
    error() << "a constant of unknown form, expected dense elements";
    return nullptr;
  }
  Type element = elements.getElementType();
  if (elements.isSplat())
    return arith::ConstantOp::create(b, loc,
                                     elements.getSplatValue<TypedAttr>());
  LLVM::GlobalOp &table = tables[op.getOperation()];
  DenseElementsAttr stored = storedElements(elements);
  Type type = stored.getElementType();
  if (!table) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(module.getBody());
    table = LLVM::GlobalOp::create(
        b, loc, LLVM::LLVMArrayType::get(type, stored.getNumElements()),
        /*isConstant=*/true, LLVM::Linkage::Internal,
        (function.getName() + "_table" + Twine(tables.size())).str(), stored,
        /*alignment=*/16, /*addrSpace=*/1);
  }
  Value base = LLVM::AddressOfOp::create(b, loc, table);
  Value at =
      pointer(op.getResult(), base, dimsOf(kernel, op.getResult()), index);
  return fromStorage(b, loc, load(type, at, bytesOf(type)), element);
}

Value Emitter::value(Value tensor, ArrayRef<Value> index) {
  if (failed)
    return nullptr;
  if (Value known = provided.lookup(tensor))
    return known;
  Key key{reinterpret_cast<const void *>(Kind::value),
          tensor.getAsOpaquePointer()};
  for (Value i : index)
    key.push_back(i.getAsOpaquePointer());
  if (Value known = cached(key))
    return known;

  if (auto argument = dyn_cast<BlockArgument>(tensor))
    return remember(key, loadArgument(argument, index));
  Operation *op = tensor.getDefiningOp();
  if (auto constant = dyn_cast<arith::ConstantOp>(op))
    return remember(key, loadConstant(constant, index));
  if (isa<tensor::EmptyOp>(op)) // only its shape matters
    return arith::ConstantOp::create(
        b, loc, cast<TypedAttr>(b.getZeroAttr(getElementTypeOrSelf(tensor))));
  auto generic = dyn_cast<linalg::GenericOp>(op);
  if (!generic) {
    error() << "operation " << op->getName()
            << " in a kernel, expected linalg.generic";
    return nullptr;
  }
  unsigned number = cast<OpResult>(tensor).getResultNumber();
  if (generic.getNumReductionLoops())
    return remember(key, reduceSerially(generic, index)[number]);
  Point point{generic, loopsAt(generic, number, index), {}};
  return remember(
      key,
      evaluate(point, generic.getBlock()->getTerminator()->getOperand(number)));
}

/// acc + x * y in the body of a reduction: one rounding, as on every target.
static arith::MulFOp fusedProduct(linalg::GenericOp generic, arith::AddFOp add,
                                  Value &out_accumulator) {
  if (!generic.getNumReductionLoops())
    return nullptr;
  for (unsigned side : {0, 1}) {
    auto acc = dyn_cast<BlockArgument>(add->getOperand(side));
    auto product = add->getOperand(1 - side).getDefiningOp<arith::MulFOp>();
    if (acc && product && product->hasOneUse() &&
        acc.getArgNumber() >= generic.getNumDpsInputs()) {
      out_accumulator = acc;
      return product;
    }
  }
  return nullptr;
}

Value Emitter::evaluate(Point &point, Value inBody) {
  if (failed)
    return nullptr;
  if (Value other = instead.lookup(inBody))
    return evaluate(point, other);
  if (Value known = point.map.lookupOrNull(inBody))
    return known;
  auto remembered = [&](Value value) {
    if (value)
      point.map.map(inBody, value);
    return value;
  };
  linalg::GenericOp generic = point.generic;
  if (auto argument = dyn_cast<BlockArgument>(inBody)) {
    OpOperand &operand = generic->getOpOperand(argument.getArgNumber());
    if (!isa<RankedTensorType>(operand.get().getType())) {
      Point outside{generic, {}, {}};
      return remembered(evaluate(outside, operand.get()));
    }
    SmallVector<Value> index;
    for (AffineExpr expr :
         generic.getMatchingIndexingMap(&operand).getResults())
      index.push_back(apply(expr, point.loops));
    return remembered(value(operand.get(), index));
  }

  Operation *op = inBody.getDefiningOp();
  if (auto index = dyn_cast<linalg::IndexOp>(op))
    return remembered(point.loops[index.getDim()]);
  if (inBody.getType().isIndex())
    if (AffineExpr expr = lowering::expressionOf(inBody))
      return remembered(apply(expr));
  if (auto extract = dyn_cast<tensor::ExtractOp>(op)) {
    SmallVector<Value> index;
    for (Value i : extract.getIndices())
      index.push_back(evaluate(point, i));
    return failed ? nullptr : remembered(value(extract.getTensor(), index));
  }
  if (auto sum = dyn_cast<arith::AddFOp>(op)) {
    Value acc;
    if (arith::MulFOp product = fusedProduct(generic, sum, acc)) {
      Value x = evaluate(point, product.getLhs());
      Value y = evaluate(point, product.getRhs());
      Value z = evaluate(point, acc);
      return failed ? nullptr
                    : remembered(math::FmaOp::create(b, loc, x, y, z));
    }
  }
  if (op->getNumRegions() || op->getNumResults() != 1 ||
      !isMemoryEffectFree(op)) {
    error() << "operation " << op->getName()
            << " in a generic's body, expected scalar arithmetic";
    return nullptr;
  }
  SmallVector<Value> operands;
  for (Value operand : op->getOperands())
    operands.push_back(evaluate(point, operand));
  if (failed)
    return nullptr;
  if (auto affine = dyn_cast<affine::AffineApplyOp>(op)) {
    AffineMap map = affine.getAffineMap();
    SmallVector<AffineExpr> dims;
    for (unsigned i = 0; i < operands.size(); ++i)
      dims.push_back(b.getAffineDimExpr(i));
    return remembered(apply(map.getResult(0).replaceDimsAndSymbols(
                                ArrayRef(dims).take_front(map.getNumDims()),
                                ArrayRef(dims).drop_front(map.getNumDims())),
                            operands));
  }
  if (inBody.getType().isIndex()) {
    if (isa<arith::AddIOp>(op))
      return remembered(add(operands[0], operands[1]));
    if (isa<arith::MulIOp>(op))
      return remembered(mul(operands[0], operands[1]));
  }
  Key key{op->getName().getAsOpaquePointer(),
          op->getPropertiesAsAttribute()
              ? op->getPropertiesAsAttribute().getAsOpaquePointer()
              : nullptr,
          inBody.getType().getAsOpaquePointer()};
  for (Value operand : operands)
    key.push_back(operand.getAsOpaquePointer());
  const bool isRounded = rounded.contains(op);
  if (isRounded)
    key.push_back(nullptr); // not what an exact one has left there
  if (Value known = cached(key))
    return remembered(known);
  if (isRounded) {
    Value twos = arith::MulFOp::create(
        b, loc, operands[0],
        arith::ConstantOp::create(
            b, loc, b.getF32FloatAttr(float(llvm::numbers::log2e))));
    return remembered(
        remember(key, intrinsic(options.power, b.getF32Type(), {twos})));
  }
  IRMapping mapping;
  mapping.map(op->getOperands(), operands);
  Operation *copy = b.clone(*op, mapping);
  copy->setLoc(loc);
  return remembered(remember(key, copy->getResult(0)));
}

//===----------------------------------------------------------------------===//
// Reductions
//===----------------------------------------------------------------------===//

/// Solves expr = value for loops: a loop, or d * c + rest where the rest is
/// smaller than c (a group and the number in it).
static bool solve(Emitter &e, AffineExpr expr, Value value,
                  SmallVector<Value> &loops) {
  if (isa<AffineConstantExpr>(expr))
    return true; // a dimension of size 1
  if (auto dim = dyn_cast<AffineDimExpr>(expr)) {
    loops[dim.getPosition()] = value;
    return true;
  }
  auto sum = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!sum || sum.getKind() != AffineExprKind::Add)
    return false;
  AffineExpr slow = sum.getLHS();
  int64_t scale = 1;
  if (auto product = dyn_cast<AffineBinaryOpExpr>(slow)) {
    auto factor = dyn_cast<AffineConstantExpr>(product.getRHS());
    if (product.getKind() != AffineExprKind::Mul || !factor ||
        factor.getValue() < 1)
      return false;
    slow = product.getLHS();
    scale = factor.getValue();
  }
  Value by = e.constant(scale);
  return solve(e, slow, e.div(value, by), loops) &&
         solve(e, sum.getRHS(), e.rem(value, by), loops);
}

SmallVector<Value> Emitter::loopsAt(linalg::GenericOp generic, unsigned result,
                                    ArrayRef<Value> index) {
  SmallVector<Value> loops(generic.getNumLoops(), constant(0));
  AffineMap map = generic.getIndexingMapMatchingResult(
      cast<OpResult>(generic->getResult(result)));
  for (auto [expr, i] : llvm::zip(map.getResults(), index))
    if (!solve(*this, expr, i, loops) && !failed)
      error() << "a result indexed by " << AffineMapAttr::get(map)
              << ", expected loops or groups of loops";
  return loops;
}

SmallVector<Value> Emitter::initials(linalg::GenericOp generic,
                                     ArrayRef<Value> index) {
  SmallVector<Value> values;
  for (OpOperand &init : generic.getDpsInitsMutable())
    values.push_back(value(init.get(), index));
  return values;
}

SmallVector<Value> Emitter::yields(linalg::GenericOp generic,
                                   ArrayRef<Value> loops,
                                   ArrayRef<Value> accumulators) {
  Point point{generic, SmallVector<Value>(loops), {}};
  point.map.map(generic.getRegionOutputArgs(), accumulators);
  SmallVector<Value> values;
  for (Value yielded : generic.getBlock()->getTerminator()->getOperands())
    values.push_back(evaluate(point, yielded));
  return values;
}

SmallVector<Value> Emitter::reduceSerially(linalg::GenericOp generic,
                                           ArrayRef<Value> index) {
  SmallVector<AffineExpr> sizes = loopsOf(kernel, generic);
  SmallVector<Value> loops = loopsAt(generic, 0, index);
  SmallVector<unsigned> reduced;
  generic.getReductionDims(reduced);
  for (unsigned dim : reduced)
    if (!sizes[dim]) {
      error() << "a reduction of unknown size, expected an expression over "
                 "symbols";
      return SmallVector<Value>(generic.getNumResults());
    }
  SmallVector<Value> inits = initials(generic, index);
  std::function<SmallVector<Value>(unsigned, ArrayRef<Value>)> nest =
      [&](unsigned depth, ArrayRef<Value> accumulators) {
        if (failed)
          return SmallVector<Value>(accumulators);
        if (depth == reduced.size())
          return yields(generic, loops, accumulators);
        SmallVector<Value> results;
        loop(
            constant(0), apply(sizes[reduced[depth]]), constant(1),
            accumulators,
            [&](Value i, ArrayRef<Value> inner) {
              loops[reduced[depth]] = i;
              return nest(depth + 1, inner);
            },
            &results);
        return results;
      };
  return failed ? SmallVector<Value>(generic.getNumResults()) : nest(0, inits);
}

//===----------------------------------------------------------------------===//
// Results
//===----------------------------------------------------------------------===//

Value Emitter::result(unsigned number, ArrayRef<Value> index) {
  return value(kernel.getBodyBlock()->getTerminator()->getOperand(number),
               index);
}

Value Emitter::resultPointer(unsigned number, ArrayRef<Value> index) {
  Value tensor = kernel.getBodyBlock()->getTerminator()->getOperand(number);
  auto kept = cast<RankedTensorType>(
      cast<TypeAttr>(kernel.getResultTypes()[number]).getValue());
  return pointer(tensor,
                 pointers[kernel.getBodyBlock()->getNumArguments() + number],
                 graph::dimsOf(kept), index);
}

Value Emitter::stored(unsigned number, ArrayRef<Value> index) {
  Value tensor = kernel.getBodyBlock()->getTerminator()->getOperand(number);
  Type element = getElementTypeOrSelf(tensor.getType());
  Type type = storageType(element);
  Value at = resultPointer(number, index);
  return fromStorage(b, loc, load(type, at, bytesOf(type)), element);
}

void Emitter::store(unsigned number, ArrayRef<Value> index, Value value) {
  if (failed || !value)
    return;
  Value at = resultPointer(number, index);
  Value stored = toStorage(b, loc, value);
  store(stored, at, bytesOf(stored.getType()));
}
