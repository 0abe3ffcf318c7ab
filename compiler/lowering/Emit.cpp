//===- Emit.cpp - code for the elements of a kernel's tensors -------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/lowering/Emit.h"

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

struct Emitter::BodyState {
  BodyState(linalg::GenericOp op, const Position &iteration,
            ValueRange accumulators)
      : op(op), iteration(iteration), accumulators(accumulators) {}

  linalg::GenericOp op;
  const Position &iteration;
  ValueRange accumulators;
  llvm::DenseMap<Value, Value> values;
  llvm::DenseMap<Value, Linear> linears;
};

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
  MLIRContext *context = kernel.getContext();
  APInt constant;
  if (matchPattern(value, m_ConstantInt(&constant)))
    return getAffineConstantExpr(constant.getSExtValue(), context);
  Operation *op = value.getDefiningOp();
  assert(op && "a size must be computed in the kernel");
  if (auto symbol = dyn_cast<exec::SymbolOp>(op))
    return getAffineSymbolExpr(symbol.getNumber(), context);
  if (auto cast = dyn_cast<arith::IndexCastOp>(op))
    return exprOf(cast.getIn());
  if (auto apply = dyn_cast<affine::AffineApplyOp>(op)) {
    SmallVector<AffineExpr> operands;
    for (Value operand : apply.getMapOperands())
      operands.push_back(exprOf(operand));
    ArrayRef<AffineExpr> all = operands;
    AffineMap map = apply.getAffineMap();
    return map.getResult(0).replaceDimsAndSymbols(
        all.take_front(map.getNumDims()), all.drop_front(map.getNumDims()));
  }
  AffineExpr lhs = exprOf(op->getOperand(0)), rhs = exprOf(op->getOperand(1));
  if (isa<arith::AddIOp>(op))
    return lhs + rhs;
  if (isa<arith::SubIOp>(op))
    return lhs - rhs;
  if (isa<arith::MulIOp>(op))
    return lhs * rhs;
  if (isa<arith::FloorDivSIOp, arith::DivSIOp, arith::DivUIOp>(op))
    return lhs.floorDiv(rhs);
  if (isa<arith::CeilDivSIOp, arith::CeilDivUIOp>(op))
    return lhs.ceilDiv(rhs);
  if (isa<arith::RemSIOp, arith::RemUIOp>(op))
    return lhs % rhs;
  llvm_unreachable("not a size expression");
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

/// How an element lies in memory: i1 as a byte.
static Type storageOf(Type element) {
  if (element.isInteger(1))
    return IntegerType::get(element.getContext(), 8);
  if (element.isIndex())
    return IntegerType::get(element.getContext(), 64);
  return element;
}

static unsigned bytesOf(Type storage) {
  return std::max(1u, storage.getIntOrFloatBitWidth() / 8);
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
  unsigned bytes = bytesOf(storage);
  auto vectorType = VectorType::get({width}, storage);
  Value value;
  if (where.isUniform()) {
    value = LLVM::LoadOp::create(b, loc, storage, element(m, index.base(where)),
                                 bytes);
  } else if (!where.lanes && where.stride == 1) {
    Value pointer = element(m, index.base(where));
    if (position.mask && !where.padded) {
      Value zero = arith::ConstantOp::create(b, loc, b.getZeroAttr(vectorType));
      value = LLVM::MaskedLoadOp::create(b, loc, vectorType, pointer,
                                         position.mask, zero, bytes);
    } else {
      value = LLVM::LoadOp::create(b, loc, vectorType, pointer, bytes);
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
                                        b.getI32IntegerAttr(bytes));
  }
  if (!m.element.isInteger(1))
    return value;
  Value zero =
      arith::ConstantOp::create(b, loc, b.getZeroAttr(value.getType()));
  return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, value, zero);
}

void Emitter::store(const Memory &m, Value value, const Position &position) {
  Linear where = address(m, position.index);
  Type storage = storageOf(m.element);
  unsigned bytes = bytesOf(storage);
  if (!where.isUniform())
    value = splat(value);
  if (m.element.isInteger(1)) {
    Type wide = storage;
    if (auto vector = dyn_cast<VectorType>(value.getType()))
      wide = VectorType::get(vector.getShape(), storage);
    value = arith::ExtUIOp::create(b, loc, wide, value);
  }
  if (where.isUniform()) {
    LLVM::StoreOp::create(b, loc, value, element(m, index.base(where)), bytes);
    return;
  }
  if (!where.lanes && where.stride == 1) {
    Value pointer = element(m, index.base(where));
    if (position.mask)
      LLVM::MaskedStoreOp::create(b, loc, value, pointer, position.mask, bytes);
    else
      LLVM::StoreOp::create(b, loc, value, pointer, bytes);
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
                               b.getI32IntegerAttr(bytes));
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
    data = values.reshape(flat);
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

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

Value Emitter::splat(Value value) {
  if (isa<VectorType>(value.getType()) || width == 1)
    return value;
  auto type = VectorType::get({width}, value.getType());
  return vector::BroadcastOp::create(b, loc, type, value);
}

void Emitter::setStored(Value tensor, const Memory &memory, bool reads) {
  stored[tensor] = {memory, reads};
}

void Emitter::setPrefetch(Value tensor, int64_t bytes, unsigned locality) {
  if (bytes)
    prefetches[tensor] = {bytes, locality};
  else
    prefetches.erase(tensor);
}

void Emitter::setValue(Value tensor, Value value) { fixed[tensor] = value; }

Value Emitter::at(Value tensor, const Position &position) {
  auto known = fixed.find(tensor);
  if (known != fixed.end())
    return known->second;
  for (auto &scope : cache)
    for (Cached &entry : scope)
      if (entry.tensor == tensor && entry.index == position.index &&
          entry.mask == position.mask)
        return entry.value;
  Value value;
  auto kept = stored.find(tensor);
  if (kept != stored.end() && kept->second.second) {
    value = load(kept->second.first, position);
  } else if (auto bound = memory.find(tensor); bound != memory.end()) {
    value = load(bound->second, position);
    auto ahead = prefetches.find(tensor);
    auto vector = value.getDefiningOp<LLVM::LoadOp>();
    if (ahead != prefetches.end() && vector &&
        isa<VectorType>(value.getType())) {
      Value pointer = LLVM::GEPOp::create(
          b, loc, vector.getAddr().getType(), b.getI8Type(), vector.getAddr(),
          ArrayRef<LLVM::GEPArg>{int32_t(ahead->second.first)});
      LLVM::Prefetch::create(b, loc, pointer, /*rw=*/0, ahead->second.second,
                             /*cache=*/1);
    }
  } else if (auto op = tensor.getDefiningOp<linalg::GenericOp>()) {
    unsigned r = cast<OpResult>(tensor).getResultNumber();
    Position iteration{iterationOf(op, r, position.index), position.mask};
    if (op.getNumReductionLoops())
      value = reduce(op, iteration)[0][r];
    else
      value = body(op, iteration, {})[r];
  } else if (auto constant = tensor.getDefiningOp<arith::ConstantOp>()) {
    auto elements = cast<DenseElementsAttr>(constant.getValue());
    if (elements.isSplat())
      value = arith::ConstantOp::create(
          b, loc, cast<TypedAttr>(elements.getSplatValue<Attribute>()));
    else
      value = load(constantMemory(constant), position);
  } else {
    // What nobody has written has any value.
    Type type = cast<RankedTensorType>(tensor.getType()).getElementType();
    value = arith::ConstantOp::create(b, loc, b.getZeroAttr(type));
  }
  if (kept != stored.end() && !kept->second.second)
    store(kept->second.first, value, position);
  cache.back().push_back({tensor, position.index, position.mask, value});
  return value;
}

IndexVector Emitter::iterationOf(linalg::GenericOp op, unsigned r,
                                 ArrayRef<Linear> at) {
  IndexVector iteration(op.getNumLoops());
  AffineMap map = op.getMatchingIndexingMap(op.getDpsInitOperand(r));
  // outer * C + inner comes apart by division.
  std::function<void(AffineExpr, Linear)> assign = [&](AffineExpr expr,
                                                       Linear value) {
    if (auto dim = dyn_cast<AffineDimExpr>(expr)) {
      iteration[dim.getPosition()] = value;
      return;
    }
    auto sum = dyn_cast<AffineBinaryOpExpr>(expr);
    if (!sum || sum.getKind() != AffineExprKind::Add)
      return;
    auto product = dyn_cast<AffineBinaryOpExpr>(sum.getLHS());
    AffineExpr inner = sum.getRHS();
    if (!product || product.getKind() != AffineExprKind::Mul) {
      product = dyn_cast<AffineBinaryOpExpr>(sum.getRHS());
      inner = sum.getLHS();
    }
    std::optional<int64_t> factor =
        product ? graph::constantOf(product.getRHS()) : std::nullopt;
    if (!factor)
      return;
    assign(product.getLHS(), index.floorDivide(value, *factor));
    assign(inner, index.modulo(value, *factor));
  };
  for (auto [expr, value] : llvm::zip(map.getResults(), at))
    assign(expr, value);
  return iteration;
}

IndexVector Emitter::access(linalg::GenericOp op, unsigned n,
                            ArrayRef<Linear> iteration) {
  IndexVector where;
  AffineMap map = op.getMatchingIndexingMap(&op->getOpOperand(n));
  for (AffineExpr expr : map.getResults())
    where.push_back(index.apply(expr, iteration, {}));
  return where;
}

Value Emitter::clone(Operation *op, ValueRange operands, unsigned result) {
  bool vectors = llvm::any_of(
      operands, [](Value v) { return isa<VectorType>(v.getType()); });
  SmallVector<Value> inputs;
  for (auto [i, operand] : llvm::enumerate(operands)) {
    // One condition for all lanes stays a branchless scalar select.
    bool condition = isa<arith::SelectOp>(op) && i == 0;
    inputs.push_back(vectors && !condition ? splat(operand) : operand);
  }
  OperationState state(loc, op->getName());
  state.addOperands(inputs);
  state.addAttributes(op->getAttrs());
  for (Type type : op->getResultTypes())
    state.addTypes(vectors ? VectorType::get({width}, type) : type);
  return b.create(state)->getResult(result);
}

Value Emitter::outside(Value value) {
  Operation *op = value.getDefiningOp();
  if (auto symbol = dyn_cast<exec::SymbolOp>(op))
    return arith::IndexCastOp::create(b, loc, b.getIndexType(),
                                      symbols.lookup(symbol.getNumber()));
  IRMapping mapping;
  for (Value operand : op->getOperands())
    mapping.map(operand, outside(operand));
  return b.clone(*op, mapping)
      ->getResult(cast<OpResult>(value).getResultNumber());
}

std::optional<std::pair<int64_t, int64_t>>
Emitter::rangeOf(const Linear &linear) {
  if (linear.lanes)
    return std::nullopt;
  int64_t low = linear.constant, high = linear.constant;
  auto add = [&](int64_t first, int64_t last) {
    low += std::min(first, last);
    high += std::max(first, last);
  };
  for (auto [value, coefficient] : linear.terms) {
    auto range = ranges.find(value);
    if (range == ranges.end())
      return std::nullopt;
    add(coefficient * range->second.first, coefficient * range->second.second);
  }
  add(0, linear.stride * (int64_t(validLanes) - 1));
  return std::pair(low, high);
}

std::optional<bool> Emitter::decide(arith::CmpIOp op, BodyState &state) {
  if (!op.getLhs().getType().isIndex())
    return std::nullopt;
  auto x = evaluateIndex(op.getLhs(), state);
  auto y = evaluateIndex(op.getRhs(), state);
  if (!x || !y || x->lanes || y->lanes)
    return std::nullopt;
  auto difference = rangeOf(*x + *y * -1);
  if (!difference)
    return std::nullopt;
  auto [low, high] = *difference;
  using P = arith::CmpIPredicate;
  P predicate = op.getPredicate();
  if (predicate == P::ult || predicate == P::uge) {
    auto first = rangeOf(*x), second = rangeOf(*y);
    if (!first || !second || second->first < 0)
      return std::nullopt;
    bool inside = first->first >= 0 && high < 0;
    bool outside = first->second < 0 || (first->first >= 0 && low >= 0);
    if (!inside && !outside)
      return std::nullopt;
    return inside == (predicate == P::ult);
  }
  switch (predicate) {
  case P::slt:
    return high < 0   ? std::optional(true)
           : low >= 0 ? std::optional(false)
                      : std::nullopt;
  case P::sge:
    return low >= 0   ? std::optional(true)
           : high < 0 ? std::optional(false)
                      : std::nullopt;
  case P::sgt:
    return low > 0     ? std::optional(true)
           : high <= 0 ? std::optional(false)
                       : std::nullopt;
  case P::sle:
    return high <= 0 ? std::optional(true)
           : low > 0 ? std::optional(false)
                     : std::nullopt;
  default:
    return std::nullopt;
  }
}

std::optional<Linear> Emitter::evaluateIndex(Value value, BodyState &state) {
  auto known = state.linears.find(value);
  if (known != state.linears.end())
    return known->second;
  APInt constant;
  if (matchPattern(value, m_ConstantInt(&constant)))
    return Linear(constant.getSExtValue());
  Operation *op = value.getDefiningOp();
  if (!op)
    return std::nullopt;
  auto remember = [&](Linear linear) {
    state.linears[value] = linear;
    return linear;
  };
  if (auto at = dyn_cast<linalg::IndexOp>(op))
    return remember(state.iteration.index[at.getDim()]);
  if (auto symbol = dyn_cast<exec::SymbolOp>(op))
    return remember(Linear::of(symbols.lookup(symbol.getNumber())));
  if (auto apply = dyn_cast<affine::AffineApplyOp>(op)) {
    SmallVector<Linear> operands;
    for (Value operand : apply.getMapOperands())
      operands.push_back(linearIndex(evaluate(operand, state)));
    for (auto [i, operand] : llvm::enumerate(apply.getMapOperands()))
      if (auto linear = evaluateIndex(operand, state))
        operands[i] = *linear;
    ArrayRef<Linear> all = operands;
    AffineMap map = apply.getAffineMap();
    return remember(index.apply(map.getResult(0),
                                all.take_front(map.getNumDims()),
                                all.drop_front(map.getNumDims())));
  }
  if (!value.getType().isIndex())
    return std::nullopt;
  if (isa<arith::MinSIOp, arith::MaxSIOp>(op)) {
    auto lhs = evaluateIndex(op->getOperand(0), state);
    auto rhs = evaluateIndex(op->getOperand(1), state);
    if (!lhs || !rhs || lhs->lanes || rhs->lanes)
      return std::nullopt;
    auto difference = rangeOf(*lhs + *rhs * -1);
    if (!difference || (difference->first < 0 && difference->second > 0))
      return std::nullopt;
    bool isLess = difference->second <= 0;
    return remember(isLess == isa<arith::MinSIOp>(op) ? *lhs : *rhs);
  }
  if (isa<arith::AddIOp, arith::SubIOp, arith::MulIOp, arith::FloorDivSIOp,
          arith::DivUIOp, arith::RemUIOp>(op)) {
    auto lhs = evaluateIndex(op->getOperand(0), state);
    auto rhs = evaluateIndex(op->getOperand(1), state);
    if (!lhs || !rhs || (lhs->lanes || rhs->lanes))
      return std::nullopt;
    if (isa<arith::AddIOp>(op))
      return remember(*lhs + *rhs);
    if (isa<arith::SubIOp>(op))
      return remember(*lhs + *rhs * -1);
    if (isa<arith::MulIOp>(op))
      return remember(index.multiply(*lhs, *rhs));
    if (!rhs->isConstant() || rhs->constant <= 0)
      return std::nullopt;
    Linear result = isa<arith::RemUIOp>(op) ? index.modulo(*lhs, *rhs)
                                            : index.floorDivide(*lhs, *rhs);
    result.padded = false;
    return remember(result);
  }
  return std::nullopt;
}

Linear Emitter::linearIndex(Value value) {
  Type i64 = b.getI64Type();
  if (auto vector = dyn_cast<VectorType>(value.getType())) {
    Linear linear;
    auto type = VectorType::get(vector.getShape(), i64);
    linear.lanes = vector.getElementType().isIndex()
                       ? arith::IndexCastOp::create(b, loc, type, value)
                       : value;
    return linear;
  }
  if (value.getType().isIndex())
    value = arith::IndexCastOp::create(b, loc, i64, value);
  return Linear::of(value);
}

Value Emitter::evaluate(Value value, BodyState &state) {
  auto known = state.values.find(value);
  if (known != state.values.end())
    return known->second;
  auto remember = [&](Value result) {
    state.values[value] = result;
    return result;
  };
  linalg::GenericOp op = state.op;
  if (auto arg = dyn_cast<BlockArgument>(value)) {
    unsigned n = arg.getArgNumber();
    if (n >= op.getNumDpsInputs() && !state.accumulators.empty())
      return remember(state.accumulators[n - op.getNumDpsInputs()]);
    Position where{access(op, n, state.iteration.index), state.iteration.mask};
    return remember(at(op->getOperand(n), where));
  }
  Operation *def = value.getDefiningOp();
  if (auto constant = dyn_cast<arith::ConstantOp>(def))
    return remember(b.clone(*constant)->getResult(0));
  if (def->getBlock() != op.getBlock())
    return remember(outside(value));
  if (value.getType().isIndex())
    if (std::optional<Linear> linear = evaluateIndex(value, state)) {
      Value wide =
          linear->isUniform() ? index.base(*linear) : index.vector(*linear);
      Type type = b.getIndexType();
      if (auto vector = dyn_cast<VectorType>(wide.getType()))
        type = VectorType::get(vector.getShape(), type);
      return remember(arith::IndexCastOp::create(b, loc, type, wide));
    }
  if (auto extract = dyn_cast<tensor::ExtractOp>(def)) {
    Position where;
    where.mask = state.iteration.mask;
    for (Value i : extract.getIndices()) {
      std::optional<Linear> linear = evaluateIndex(i, state);
      where.index.push_back(linear ? *linear : linearIndex(evaluate(i, state)));
    }
    return remember(at(extract.getTensor(), where));
  }
  // What is decided here is not computed.
  if (auto compare = dyn_cast<arith::CmpIOp>(def))
    if (std::optional<bool> known = decide(compare, state))
      return remember(arith::ConstantIntOp::create(b, loc, *known, 1));
  if (auto select = dyn_cast<arith::SelectOp>(def)) {
    APInt known;
    if (matchPattern(evaluate(select.getCondition(), state),
                     m_ConstantInt(&known)))
      return remember(evaluate(known.getBoolValue() ? select.getTrueValue()
                                                    : select.getFalseValue(),
                               state));
  }
  // sum + a * b of a reduction is one rounding, on every target.
  if (auto add = dyn_cast<arith::AddFOp>(def);
      add && !state.accumulators.empty())
    for (unsigned side : {0u, 1u}) {
      auto arg = dyn_cast<BlockArgument>(add->getOperand(side));
      auto product = add->getOperand(1 - side).getDefiningOp<arith::MulFOp>();
      if (!arg || arg.getArgNumber() < op.getNumDpsInputs() || !product ||
          !product->hasOneUse())
        continue;
      Value x = evaluate(product.getLhs(), state);
      Value y = evaluate(product.getRhs(), state);
      Value sum = evaluate(arg, state);
      if (isa<VectorType>(x.getType()) || isa<VectorType>(y.getType()) ||
          isa<VectorType>(sum.getType())) {
        x = splat(x);
        y = splat(y);
        sum = splat(sum);
      }
      return remember(math::FmaOp::create(b, loc, x, y, sum));
    }
  SmallVector<Value> operands;
  for (Value operand : def->getOperands())
    operands.push_back(evaluate(operand, state));
  return remember(
      clone(def, operands, cast<OpResult>(value).getResultNumber()));
}

SmallVector<Value> Emitter::body(linalg::GenericOp op,
                                 const Position &iteration,
                                 ValueRange accumulators) {
  BodyState state(op, iteration, accumulators);
  SmallVector<Value> yielded;
  for (Value value : op.getBlock()->getTerminator()->getOperands())
    yielded.push_back(evaluate(value, state));
  return yielded;
}

//===----------------------------------------------------------------------===//
// Control flow
//===----------------------------------------------------------------------===//

SmallVector<Value>
Emitter::loop(const Linear &lower, const Linear &upper, int64_t step,
              ValueRange inits,
              llvm::function_ref<SmallVector<Value>(Linear, ValueRange)> body) {
  if (lower.isConstant() && upper.isConstant()) {
    if (lower.constant >= upper.constant)
      return SmallVector<Value>(inits);
    if (lower.constant + step >= upper.constant)
      return body(lower, inits);
  }
  auto loop = scf::ForOp::create(b, loc, index.base(lower), index.base(upper),
                                 index.constant(step), inits);
  OpBuilder::InsertionGuard guard(b);
  Scope scope(*this);
  b.setInsertionPointToStart(loop.getBody());
  if (lower.isConstant() && upper.isConstant())
    ranges[loop.getInductionVar()] = {
        lower.constant,
        lower.constant + (upper.constant - 1 - lower.constant) / step * step};
  SmallVector<Value> next =
      body(Linear::of(loop.getInductionVar()), loop.getRegionIterArgs());
  if (!inits.empty())
    scf::YieldOp::create(b, loc, next);
  return SmallVector<Value>(loop.getResults());
}

void Emitter::loop(const Linear &lower, const Linear &upper, int64_t step,
                   llvm::function_ref<void(Linear)> body) {
  loop(lower, upper, step, ValueRange{}, [&](Linear i, ValueRange) {
    body(i);
    return SmallVector<Value>{};
  });
}

IndexVector Emitter::delinearize(const Linear &linear,
                                 ArrayRef<AffineExpr> dims) {
  IndexVector at(dims.size());
  Linear rest = linear;
  for (unsigned i = dims.size(); i-- > 0;) {
    if (i == 0) {
      at[0] = rest;
      break;
    }
    if (graph::isConstant(dims[i], 1))
      continue;
    Linear extent = size(dims[i]);
    Linear quotient = index.floorDivide(rest, extent);
    at[i] = index.modulo(rest, extent);
    at[i].padded = false;
    rest = quotient;
    rest.padded = false;
  }
  return at;
}

Value Emitter::minimum(const Linear &x, const Linear &y) {
  if (x.isConstant() && y.isConstant())
    return index.constant(std::min(x.constant, y.constant));
  return arith::MinSIOp::create(b, loc, index.base(x), index.base(y));
}

Value Emitter::laneMask(const Linear &count) {
  auto type = VectorType::get({width}, b.getI1Type());
  if (count.isConstant())
    return vector::ConstantMaskOp::create(
        b, loc, type,
        ArrayRef<int64_t>{std::clamp<int64_t>(count.constant, 0, width)});
  Value lanes =
      arith::IndexCastOp::create(b, loc, b.getIndexType(), index.base(count));
  return vector::CreateMaskOp::create(b, loc, type, ValueRange{lanes});
}

//===----------------------------------------------------------------------===//
// Reductions
//===----------------------------------------------------------------------===//

/// Reductions this small are unrolled whole: their loops would cost more.
static constexpr int64_t straightLineSteps = 16;

SmallVector<SmallVector<Value>> Emitter::reduce(linalg::GenericOp op,
                                                ArrayRef<Position> positions,
                                                unsigned innermost) {
  SmallVector<AffineExpr> sizes = loopSizes(op);
  SmallVector<unsigned> loops;
  op.getReductionDims(loops);
  unsigned outputs = op.getNumDpsInits();
  SmallVector<Value> carried;
  std::vector<Position> tile(positions.begin(), positions.end());
  for (Position &position : tile) {
    bool lanes = llvm::any_of(position.index,
                              [](const Linear &i) { return !i.isUniform(); });
    for (unsigned r = 0; r < outputs; ++r) {
      unsigned n = op.getNumDpsInputs() + r;
      Position where{access(op, n, position.index), position.mask};
      Value init = at(op->getOperand(n), where);
      carried.push_back(lanes ? splat(init) : init);
    }
  }
  int64_t steps = 1;
  for (unsigned loop : loops) {
    auto size = graph::constantOf(sizes[loop]);
    steps = size && steps <= straightLineSteps ? steps * *size
                                               : straightLineSteps + 1;
  }
  bool straight = steps * int64_t(positions.size()) <= straightLineSteps * 8 &&
                  steps <= straightLineSteps;

  std::function<SmallVector<Value>(unsigned, SmallVector<Value>)> level =
      [&](unsigned l, SmallVector<Value> values) -> SmallVector<Value> {
    if (l == loops.size()) {
      SmallVector<Value> next;
      for (auto [p, position] : llvm::enumerate(tile)) {
        auto accumulators = ArrayRef<Value>(values).slice(p * outputs, outputs);
        SmallVector<Value> result = body(op, position, accumulators);
        for (auto [value, old] : llvm::zip(result, accumulators))
          next.push_back(isa<VectorType>(old.getType()) ? splat(value) : value);
      }
      return next;
    }
    Linear extent = size(sizes[loops[l]]);
    auto steps = [&](Linear first, int64_t count, SmallVector<Value> in) {
      for (int64_t i = 0; i < count; ++i) {
        for (Position &position : tile)
          position.index[loops[l]] = first + Linear(i);
        in = level(l + 1, in);
      }
      return in;
    };
    if (straight)
      return steps(Linear(0), extent.constant, values);
    int64_t unroll = l + 1 == loops.size() ? innermost : 1;
    auto run = [&](Linear lower, Linear upper, int64_t step,
                   SmallVector<Value> in) {
      return loop(lower, upper, step, in, [&](Linear i, ValueRange args) {
        return steps(i, step, SmallVector<Value>(args));
      });
    };
    if (unroll == 1)
      return run(Linear(0), extent, 1, values);
    if (extent.isConstant()) {
      int64_t whole = extent.constant / unroll * unroll;
      values = run(Linear(0), Linear(whole), unroll, values);
      return steps(Linear(whole), extent.constant - whole, values);
    }
    Linear whole = index.floorDivide(extent, Linear(unroll)) * unroll;
    values = run(Linear(0), whole, unroll, values);
    return run(whole, extent, 1, values);
  };
  Scope scope(*this);
  SmallVector<Value> final = level(0, carried);
  SmallVector<SmallVector<Value>> perPosition;
  for (unsigned p = 0; p < tile.size(); ++p)
    perPosition.emplace_back(
        ArrayRef<Value>(final).slice(p * outputs, outputs));
  return perPosition;
}

Operation *Emitter::combinerOf(linalg::GenericOp op) {
  if (op.getNumDpsInits() != 1)
    return nullptr;
  Operation *def =
      op.getBlock()->getTerminator()->getOperand(0).getDefiningOp();
  if (!def ||
      !isa<arith::AddFOp, arith::AddIOp, arith::MulFOp, arith::MulIOp,
           arith::MaximumFOp, arith::MinimumFOp, arith::MaxSIOp, arith::MinSIOp,
           arith::MaxUIOp, arith::MinUIOp, arith::AndIOp, arith::OrIOp>(def))
    return nullptr;
  Value accumulator = op.getBlock()->getArgument(op.getNumDpsInputs());
  if (!accumulator.hasOneUse() ||
      !llvm::is_contained(def->getOperands(), accumulator))
    return nullptr;
  return def;
}

static arith::AtomicRMWKind kindOf(Operation *combiner) {
  using Kind = arith::AtomicRMWKind;
  return llvm::TypeSwitch<Operation *, Kind>(combiner)
      .Case([](arith::AddFOp) { return Kind::addf; })
      .Case([](arith::AddIOp) { return Kind::addi; })
      .Case([](arith::MulFOp) { return Kind::mulf; })
      .Case([](arith::MulIOp) { return Kind::muli; })
      .Case([](arith::MaximumFOp) { return Kind::maximumf; })
      .Case([](arith::MinimumFOp) { return Kind::minimumf; })
      .Case([](arith::MaxSIOp) { return Kind::maxs; })
      .Case([](arith::MinSIOp) { return Kind::mins; })
      .Case([](arith::MaxUIOp) { return Kind::maxu; })
      .Case([](arith::MinUIOp) { return Kind::minu; })
      .Case([](arith::AndIOp) { return Kind::andi; })
      .Default([](Operation *) { return Kind::ori; });
}

Value Emitter::combine(Operation *combiner, Value x, Value y) {
  OperationState state(loc, combiner->getName());
  state.addOperands({x, y});
  state.addAttributes(combiner->getAttrs());
  state.addTypes(x.getType());
  return b.create(state)->getResult(0);
}

Value Emitter::reduceLanes(linalg::GenericOp op, const Position &position,
                           unsigned unroll) {
  Operation *combiner = combinerOf(op);
  SmallVector<AffineExpr> sizes = loopSizes(op);
  SmallVector<unsigned> loops;
  op.getReductionDims(loops);
  unsigned lane = loops.pop_back_val();
  Linear extent = size(sizes[lane]);
  Type element = combiner->getResult(0).getType();
  auto type = VectorType::get({width}, element);
  TypedAttr identity =
      arith::getIdentityValueAttr(kindOf(combiner), element, b, loc);
  Value zero = splat(arith::ConstantOp::create(b, loc, identity));
  if (!isa<VectorType>(zero.getType()))
    zero = vector::BroadcastOp::create(b, loc, type, zero);

  Position at = position;
  auto step = [&](Linear i, Value mask, Value accumulator) {
    at.index[lane] = i;
    at.index[lane].stride = 1;
    at.mask = mask;
    Value next = splat(body(op, at, accumulator)[0]);
    return mask ? arith::SelectOp::create(b, loc, mask, next, accumulator)
                      .getResult()
                : next;
  };
  std::function<SmallVector<Value>(unsigned, SmallVector<Value>)> level =
      [&](unsigned l, SmallVector<Value> values) -> SmallVector<Value> {
    if (l < loops.size())
      return loop(Linear(0), size(sizes[loops[l]]), 1, values,
                  [&](Linear i, ValueRange args) {
                    at.index[loops[l]] = i;
                    return level(l + 1, SmallVector<Value>(args));
                  });
    int64_t block = int64_t(unroll) * width;
    Linear blocks = extent.isConstant()
                        ? Linear(extent.constant / block * block)
                        : index.floorDivide(extent, Linear(block)) * block;
    Linear vectors = extent.isConstant()
                         ? Linear(extent.constant / width * width)
                         : index.floorDivide(extent, Linear(width)) * width;
    values =
        loop(Linear(0), blocks, block, values, [&](Linear i, ValueRange args) {
          SmallVector<Value> next;
          for (unsigned u = 0; u < unroll; ++u)
            next.push_back(step(i + Linear(u * width), {}, args[u]));
          return next;
        });
    values[0] =
        loop(blocks, vectors, width, values[0], [&](Linear i, ValueRange args) {
          return SmallVector<Value>{step(i, {}, args[0])};
        })[0];
    if (extent.isConstant()) {
      if (int64_t rest = extent.constant % width) {
        Scope scope(*this);
        values[0] = step(vectors, laneMask(Linear(rest)), values[0]);
      }
      return values;
    }
    // At most one more, masked, iteration.
    values[0] =
        loop(vectors, extent, width, values[0], [&](Linear i, ValueRange args) {
          Value mask = laneMask(extent + i * -1);
          return SmallVector<Value>{step(i, mask, args[0])};
        })[0];
    return values;
  };
  SmallVector<Value> partial = level(0, SmallVector<Value>(unroll, zero));
  while (partial.size() > 1) {
    SmallVector<Value> next;
    for (unsigned i = 0; i + 1 < partial.size(); i += 2)
      next.push_back(combine(combiner, partial[i], partial[i + 1]));
    if (partial.size() % 2)
      next.push_back(partial.back());
    partial = next;
  }
  Value total = partial[0];
  for (int64_t half = width / 2; half >= 1; half /= 2) {
    SmallVector<int64_t> low, high;
    for (int64_t i = 0; i < half; ++i) {
      low.push_back(i);
      high.push_back(half + i);
    }
    Value x = vector::ShuffleOp::create(b, loc, total, total, low);
    Value y = vector::ShuffleOp::create(b, loc, total, total, high);
    total = combine(combiner, x, y);
  }
  Value scalar = vector::ExtractOp::create(b, loc, total, 0);
  unsigned n = op.getNumDpsInputs();
  Position where{access(op, n, position.index), {}};
  Value init = this->at(op->getOperand(n), where);
  return combine(combiner, init, scalar);
}

} // namespace aicc::lowering
