//===- EmitLoops.cpp - loops and reductions of emitted code -------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/lowering/Emit.h"

#include "dialects/graph/Dims.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace aicc::lowering {

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

Value Emitter::combine(exec::ScatterOp op, Value old, Value update) {
  Block &block = op.getCombiner().front();
  llvm::DenseMap<Value, Value> values;
  values[block.getArgument(0)] = old;
  values[block.getArgument(1)] = update;
  for (Operation &inner : block.without_terminator()) {
    SmallVector<Value> operands;
    for (Value operand : inner.getOperands())
      operands.push_back(values.lookup(operand));
    for (unsigned r = 0; r < inner.getNumResults(); ++r)
      values[inner.getResult(r)] = clone(&inner, operands, r);
  }
  return values.lookup(block.getTerminator()->getOperand(0));
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
