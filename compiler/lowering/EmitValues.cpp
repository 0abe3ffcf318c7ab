//===- EmitValues.cpp - the value of a tensor at an index ---------------===//
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
    auto bits = value.getDefiningOp<arith::BitcastOp>(); // of bf16
    Value loaded = bits ? bits.getIn() : value;
    auto vector = loaded.getDefiningOp<LLVM::LoadOp>();
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

} // namespace aicc::lowering
