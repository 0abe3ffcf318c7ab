//===- Control.cpp - loops, branches, sizes that data decides -------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/graph/Control.h"
#include "dialects/graph/Dims.h"

using namespace mlir;
using namespace aicc::graph;

//===----------------------------------------------------------------------===//
// ReadOp
//===----------------------------------------------------------------------===//

LogicalResult ReadOp::verify() {
  auto type = cast<RankedTensorType>(getOperand().getType());
  auto element = static_cast<int64_t>(getElement());
  if (element < 0 ||
      (type.hasStaticShape() && element >= type.getNumElements()))
    return emitOpError() << "reads element " << element << " of " << type
                         << ", expected one that exists";
  if (static_cast<int64_t>(getSymbol()) < 0)
    return emitOpError() << "symbol is " << static_cast<int64_t>(getSymbol())
                         << ", expected at least 0";
  return success();
}

//===----------------------------------------------------------------------===//
// LoopOp
//===----------------------------------------------------------------------===//

void LoopOp::getEffects(
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>
        &effects) {
  // A bound symbol is a result that has no uses to be seen.
  if (getTrips())
    effects.emplace_back(MemoryEffects::Write::get());
}

LogicalResult LoopOp::verify() {
  if (getCount().getNumDims() != 0 || getCount().getNumResults() != 1)
    return emitOpError() << "count has " << getCount().getNumDims()
                         << " dimensions and " << getCount().getNumResults()
                         << " expressions, expected none and one";
  if (static_cast<int64_t>(getSymbol()) < 0)
    return emitOpError() << "symbol is " << static_cast<int64_t>(getSymbol())
                         << ", expected at least 0";
  if (getTrips() &&
      (*getTrips() == getSymbol() || static_cast<int64_t>(*getTrips()) < 0))
    return emitOpError() << "trips is " << static_cast<int64_t>(*getTrips())
                         << ", expected a symbol of its own";
  Block &block = getBody().front();
  if (block.empty() || !isa<YieldOp>(block.back()))
    return emitOpError("body has no terminator, expected graph.yield");
  auto check = [&](StringRef what, TypeRange types) -> LogicalResult {
    if (types == getInits().getTypes())
      return success();
    return emitOpError() << what << " are " << types
                         << ", expected the carried values' "
                         << getInits().getTypes();
  };
  if (failed(check("results", getResultTypes())) ||
      failed(check("body arguments", block.getArgumentTypes())) ||
      failed(check("yielded values", block.back().getOperandTypes())))
    return failure();
  if (!getConditional())
    return success();
  auto type = getInits().empty()
                  ? RankedTensorType()
                  : cast<RankedTensorType>(getInits()[0].getType());
  if (!type || type.getRank() != 0 || !type.getElementType().isInteger(1))
    return emitOpError()
           << "has no condition, expected a bool scalar as first carried value";
  return success();
}

//===----------------------------------------------------------------------===//
// IfOp
//===----------------------------------------------------------------------===//

LogicalResult IfOp::verify() {
  for (Region *region : {&getBody(), &getOtherwise()}) {
    Block &block = region->front();
    if (block.empty() || !isa<YieldOp>(block.back()))
      return emitOpError("region has no terminator, expected graph.yield");
    if (block.back().getOperandTypes() != getResultTypes())
      return block.back().emitOpError()
             << "yields " << block.back().getOperandTypes() << ", expected "
             << getResultTypes();
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Symbols
//===----------------------------------------------------------------------===//

static void addSymbols(AffineMap map, llvm::SmallSetVector<int64_t, 8> &into) {
  map.walkExprs([&](AffineExpr expr) {
    if (auto symbol = dyn_cast<AffineSymbolExpr>(expr))
      into.insert(symbol.getPosition());
  });
}

void aicc::graph::addSymbols(Type type,
                             llvm::SmallSetVector<int64_t, 8> &into) {
  if (auto tensor = dyn_cast<RankedTensorType>(type))
    if (auto map = dyn_cast_or_null<AffineMapAttr>(tensor.getEncoding()))
      ::addSymbols(map.getValue(), into);
}

llvm::SmallSetVector<int64_t, 8> aicc::graph::usedSymbols(Operation *op) {
  llvm::SmallSetVector<int64_t, 8> symbols;
  op->walk([&](Operation *inner) {
    for (Type type : inner->getOperandTypes())
      addSymbols(type, symbols);
    for (Type type : inner->getResultTypes())
      addSymbols(type, symbols);
    for (NamedAttribute attribute : inner->getAttrs())
      if (auto map = dyn_cast<AffineMapAttr>(attribute.getValue()))
        ::addSymbols(map.getValue(), symbols);
  });
  return symbols;
}

llvm::SmallSetVector<int64_t, 8> aicc::graph::boundSymbols(Operation *op) {
  llvm::SmallSetVector<int64_t, 8> symbols;
  op->walk([&](Operation *inner) {
    if (auto read = dyn_cast<ReadOp>(inner))
      symbols.insert(read.getSymbol());
    if (auto loop = dyn_cast<LoopOp>(inner); loop && loop.getTrips())
      symbols.insert(*loop.getTrips());
  });
  return symbols;
}

void aicc::graph::orderBySymbols(Block &block) {
  llvm::DenseMap<int64_t, SmallVector<Operation *, 2>> binders;
  for (Operation &op : block) {
    for (Region &region : op.getRegions())
      for (Block &inner : region)
        orderBySymbols(inner);
    for (int64_t symbol : boundSymbols(&op))
      binders[symbol].push_back(&op);
  }
  if (binders.empty())
    return;
  // What an operator needs of the block comes first; else the order stays.
  SmallVector<Operation *> all, ordered;
  for (Operation &op : block)
    all.push_back(&op);
  llvm::DenseSet<Operation *> done, open;
  SmallVector<std::pair<Operation *, bool>> work;
  for (Operation *op : llvm::reverse(all))
    work.push_back({op, false});
  while (!work.empty()) {
    auto [op, finish] = work.pop_back_val();
    if (finish) {
      ordered.push_back(op);
      continue;
    }
    if (!done.insert(op).second)
      continue;
    work.push_back({op, true});
    llvm::SmallSetVector<Operation *, 8> needs;
    auto need = [&](Operation *other) {
      while (other && other->getBlock() != &block)
        other = other->getParentOp();
      if (other && other != op && !done.contains(other))
        needs.insert(other);
    };
    op->walk([&](Operation *inner) {
      for (Value operand : inner->getOperands())
        need(operand.getDefiningOp());
    });
    llvm::SmallSetVector<int64_t, 8> bound = boundSymbols(op);
    for (int64_t symbol : usedSymbols(op))
      if (!bound.contains(symbol))
        for (Operation *binder : binders.lookup(symbol))
          need(binder);
    for (Operation *other : llvm::reverse(needs))
      work.push_back({other, false});
  }
  Operation *terminator = block.getTerminator();
  for (Operation *op : ordered)
    if (op != terminator)
      op->moveBefore(terminator);
}
