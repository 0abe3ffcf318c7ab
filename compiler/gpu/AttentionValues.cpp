//===- AttentionValues.cpp - scores and weights of attention --------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/gpu/AttentionValues.h"

#include "compiler/gpu/Strategies.h"
#include "compiler/lowering/Real.h"

#include "dialects/graph/Dims.h"

#include "mlir/Dialect/Math/IR/Math.h"

#include "llvm/Support/MathExtras.h"

#include <limits>

using namespace mlir;
using namespace aicc;
using namespace aicc::gpu;

SmallVector<AffineExpr> aicc::gpu::sizesOf(ArrayRef<AffineExpr> loops,
                                           ArrayRef<unsigned> dims) {
  SmallVector<AffineExpr> sizes;
  for (unsigned dim : dims)
    sizes.push_back(loops[dim]);
  return sizes;
}

AttentionValues::AttentionValues(Emitter &e, const Attention &form)
    : e(e), form(form), f32(e.b.getF32Type()),
      loops(loopsOf(e.kernel, form.product)),
      scoreLoops(loopsOf(e.kernel, form.scores)) {
  point.assign(loops.size(), e.constant(0));
  scorePoint.assign(scoreLoops.size(), e.constant(0));
  auto scoreLoopOf = [&](unsigned dim) {
    for (auto [loop, same] : form.shared)
      if (same == dim)
        return loop;
    llvm_unreachable("a loop of both products");
  };
  for (unsigned dim : form.queries)
    queryLoops.push_back(scoreLoopOf(dim));
  for (unsigned dim : form.keys)
    keyLoops.push_back(scoreLoopOf(dim));
  MLIRContext *context = e.b.getContext();
  querySizes = sizesOf(loops, form.queries);
  keySizes = sizesOf(loops, form.keys);
  columnSizes = sizesOf(loops, form.columns);
  queryTotal = productOf(querySizes, context);
  keyTotal = productOf(keySizes, context);
  columnCount = graph::constantOf(productOf(columnSizes, context)).value_or(0);
}

Value AttentionValues::fromLast(Value tile, unsigned rows) {
  Value last = e.apply(queryTotal.ceilDiv(rows) - 1);
  return e.mul(e.add(last, e.mul(tile, e.constant(-1))), e.constant(rows));
}

Value AttentionValues::number(double value) {
  return arith::ConstantOp::create(e.b, e.loc, FloatAttr::get(f32, value));
}

Value AttentionValues::infinite() {
  return number(-std::numeric_limits<double>::infinity());
}

Value AttentionValues::larger(Value x, Value y) {
  // One instruction, where an operation of arith would be expanded.
  return e.intrinsic("llvm.maxnum", f32, {x, y});
}

Value AttentionValues::plus(Value x, Value y) {
  return arith::AddFOp::create(e.b, e.loc, x, y);
}

Value AttentionValues::times(Value x, Value y) {
  return arith::MulFOp::create(e.b, e.loc, x, y);
}

Value AttentionValues::exponential(Value x, Value most) {
  return math::ExpOp::create(e.b, e.loc,
                             arith::SubFOp::create(e.b, e.loc, x, most));
}

/// 2^r for |r| <= 1/2, with a relative error of at most 1.02e-4: a number of 16
/// bits is rounded by up to 4.9e-4. Exact for 0.
static constexpr double powerTerms[] = {1, 0x1.62f5fap-1, 0x1.f00c4ep-3,
                                        0x1.c2a25cp-5};

Value AttentionValues::baseOf(Value most) {
  return times(most, number(llvm::numbers::log2e));
}

Value AttentionValues::weight(Value x, Value base) {
  return power(math::FmaOp::create(e.b, e.loc, x, number(llvm::numbers::log2e),
                                   arith::NegFOp::create(e.b, e.loc, base)));
}

Value AttentionValues::power(Value x) {
  if (!e.options.power.empty())
    return e.intrinsic(e.options.power, f32, {x});
  // As exp2 of lowering/Mathematics.cpp, but that the result may be 0 for what
  // would be a number without all its bits, and is for all below -127.
  ImplicitLocOpBuilder b(e.loc, e.b);
  lowering::Real f(b, f32);
  Value low = f.c(-127), magic = f.c(0x1.8p23);
  x = f.select(f.lt(x, low), low, x);
  Value shifted = f.add(x, magic);
  Value r = f.sub(x, f.sub(shifted, magic));
  // The nearest integer is in the last bits; what is above them goes away.
  Value exponent =
      f.iadd(f.shl(f.bits(shifted), f.i(f.mantissa)), f.bits(f.c(1)));
  return f.mul(f.poly(r, powerTerms), f.real(exponent));
}

Value AttentionValues::isHidden(Value most) {
  return arith::CmpFOp::create(e.b, e.loc, arith::CmpFPredicate::OEQ, most,
                               infinite());
}

Value AttentionValues::across(Value value, ArrayRef<unsigned> offsets,
                              bool maximum) {
  e.shuffles = true;
  for (unsigned offset : offsets) {
    Value other = mlir::gpu::ShuffleOp::create(e.b, e.loc, value, offset,
                                               e.options.subgroup,
                                               mlir::gpu::ShuffleMode::XOR)
                      .getShuffleResult();
    value = maximum ? larger(value, other) : plus(value, other);
  }
  return value;
}

Value AttentionValues::again(Value index) {
  if (!e.options.computesAgain)
    return index;
  e.shuffles = true;
  auto word = [&](Value value) -> Value {
    return arith::IndexCastUIOp::create(e.b, e.loc, e.b.getI32Type(), value);
  };
  Value same =
      mlir::gpu::ShuffleOp::create(e.b, e.loc, word(index), word(e.lane),
                                   e.constant32(int32_t(e.options.subgroup)),
                                   mlir::gpu::ShuffleMode::IDX)
          .getShuffleResult();
  return arith::IndexCastUIOp::create(e.b, e.loc, e.b.getIndexType(), same);
}

/// Sets loops of the second product and, where they are the same, of the first.
void AttentionValues::set(ArrayRef<unsigned> dims, ArrayRef<Value> index) {
  for (auto [dim, value] : llvm::zip(dims, index)) {
    point[dim] = value;
    for (auto [loop, same] : form.shared)
      if (same == dim)
        scorePoint[loop] = value;
  }
}

/// What the exponential of a product at `point` is taken of.
Value AttentionValues::score(Value product) {
  e.provide(form.scores->getResult(0), product);
  SmallVector<Value> index;
  for (AffineExpr expr : form.index)
    index.push_back(e.apply(expr, point));
  linalg::GenericOp generic = form.exponentials;
  Point at{generic, e.loopsAt(generic, 0, index), {}};
  return e.evaluate(at, form.score);
}

SmallVector<Value> AttentionValues::loopsOfOperand(linalg::GenericOp generic,
                                                   Value inBody,
                                                   ArrayRef<Value> at,
                                                   linalg::GenericOp inner) {
  OpOperand &operand =
      generic->getOpOperand(cast<BlockArgument>(inBody).getArgNumber());
  SmallVector<Value> index;
  for (AffineExpr expr : generic.getMatchingIndexingMap(&operand).getResults())
    index.push_back(e.apply(expr, at));
  return e.loopsAt(inner, 0, index);
}

Value AttentionValues::perRow(linalg::GenericOp generic, Value inBody,
                              ArrayRef<Value> at) {
  Point here{generic, SmallVector<Value>(at), {}};
  return e.evaluate(here, inBody);
}

/// Whether a value is computed from the exponentials.
static bool isWeight(Attention &form, linalg::GenericOp generic, Value inBody) {
  SmallVector<std::pair<linalg::GenericOp, Value>> work{{generic, inBody}};
  while (!work.empty()) {
    auto [home, value] = work.pop_back_val();
    if (Value tensor = tensorOf(home, value)) {
      if (tensor == form.exponentials->getResult(0))
        return true;
      if (linalg::GenericOp inner = elementwiseOf(tensor))
        work.push_back({inner, yielded(inner)});
      continue;
    }
    if (Operation *op = value.getDefiningOp())
      for (Value operand : op->getOperands())
        work.push_back({home, operand});
  }
  return false;
}

/// A choice for the whole row.
Value AttentionValues::condition(linalg::GenericOp generic, Value inBody,
                                 ArrayRef<Value> at) {
  if (!isWeight(form, generic, inBody))
    return perRow(generic, inBody, at);
  if (Value tensor = tensorOf(generic, inBody)) {
    linalg::GenericOp inner = elementwiseOf(tensor);
    return condition(inner, yielded(inner),
                     loopsOfOperand(generic, inBody, at, inner));
  }
  Operation *op = inBody.getDefiningOp();
  if (auto compare = dyn_cast<arith::CmpFOp>(op))
    return arith::CmpFOp::create(e.b, e.loc, compare.getPredicate(),
                                 factor(generic, compare.getLhs(), at),
                                 factor(generic, compare.getRhs(), at));
  IRMapping mapping;
  for (Value operand : op->getOperands())
    mapping.map(operand, condition(generic, operand, at));
  return e.b.clone(*op, mapping)->getResult(0);
}

/// The weight of an exponential of 1, in f32 throughout.
Value AttentionValues::factor(linalg::GenericOp generic, Value inBody,
                              ArrayRef<Value> at) {
  if (Value tensor = tensorOf(generic, inBody)) {
    if (tensor == form.exponentials->getResult(0))
      return number(1);
    if (isZero(generic, inBody))
      return number(0);
    linalg::GenericOp inner = elementwiseOf(tensor);
    return factor(inner, yielded(inner),
                  loopsOfOperand(generic, inBody, at, inner));
  }
  if (isZero(generic, inBody))
    return number(0);
  auto wide = [&](Value value) -> Value {
    return value.getType() == f32
               ? value
               : arith::ExtFOp::create(e.b, e.loc, f32, value).getResult();
  };
  Operation *op = inBody.getDefiningOp();
  if (auto select = dyn_cast<arith::SelectOp>(op))
    return e.select(condition(generic, select.getCondition(), at),
                    factor(generic, select.getTrueValue(), at),
                    factor(generic, select.getFalseValue(), at));
  if (isa<arith::ExtFOp, arith::TruncFOp>(op))
    return factor(generic, op->getOperand(0), at);
  unsigned side =
      isWeight(form, generic, op->getOperand(0)) ? 0 : 1; // of the weight
  Value x = factor(generic, op->getOperand(side), at);
  Value y = wide(perRow(generic, op->getOperand(1 - side), at));
  if (isa<arith::DivFOp>(op))
    return arith::DivFOp::create(e.b, e.loc, x, y);
  return arith::MulFOp::create(e.b, e.loc, x, y);
}

Value AttentionValues::rowFactor(Value most, Value sum) {
  Value nan = number(std::numeric_limits<double>::quiet_NaN());
  Value broken =
      arith::CmpFOp::create(e.b, e.loc, arith::CmpFPredicate::UNO, sum, sum);
  e.provide(form.maximum, most);
  for (Value other : form.maxima)
    e.provide(other, e.select(broken, nan, most));
  e.provide(form.sum, e.select(isHidden(most), nan, sum));
  Value result = factor(form.product, form.weights, point);
  auto keys = graph::constantOf(keyTotal);
  if (!keys || !*keys)
    result =
        e.select(e.less(e.apply(keyTotal), e.constant(1)), number(0), result);
  return result;
}

void AttentionValues::store(Value sum, Value factor) {
  Value product = form.product->getResult(0);
  Value chosen = arith::CmpFOp::create(e.b, e.loc, arith::CmpFPredicate::OEQ,
                                       factor, number(0));
  e.provide(product, e.select(chosen, number(0), times(sum, factor)));
  AffineMap map =
      form.product.getIndexingMapMatchingResult(cast<OpResult>(product));
  SmallVector<Value> index;
  for (AffineExpr expr : map.getResults())
    index.push_back(e.apply(expr, point));
  auto returned = e.kernel.getBodyBlock()->getTerminator()->getOperands();
  for (auto [number, tensor] : llvm::enumerate(returned)) {
    SmallVector<Value> at(cast<RankedTensorType>(tensor.getType()).getRank(),
                          e.constant(0));
    if (tensor == product)
      at.assign(index.begin(), index.end());
    else
      for (auto [expr, value] : llvm::zip(requestsOf(tensor)[0].index, index))
        if (auto dim = dyn_cast_or_null<AffineDimExpr>(expr))
          at[dim.getPosition()] = value;
    e.store(number, at, e.result(number, at));
  }
}
