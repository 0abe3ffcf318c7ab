//===- Indexing.cpp - lowering of scattering and sorting ------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/lowering/Writer.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

using namespace mlir;
using namespace aicc;
using namespace aicc::lowering;
using graph::dimOf;
using graph::dimsOf;
using graph::ReduceKind;

namespace {

//===----------------------------------------------------------------------===//
// ScatterOp
//===----------------------------------------------------------------------===//

struct LowerScatter : OpRewritePattern<graph::ScatterOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(graph::ScatterOp op,
                                PatternRewriter &rewriter) const override {
    Writer w(rewriter, op);
    RankedTensorType type = op.getOperand().getType();
    RankedTensorType indices = op.getIndices().getType();
    Type element = type.getElementType(), from = indices.getElementType();
    Type i64 = w.b.getI64Type();
    if (llvm::is_contained(indices.getShape(), 0)) {
      w.replace(w.lowered(op.getOperand()));
      return success();
    }
    Value size = w.size(dimOf(type, op.getAxis()));
    // A negative index counts from the end.
    Value positions = w.elementwise(
        dimsOf(indices), i64, w.lowered(op.getIndices()),
        w.identity(type.getRank()),
        [&](LocBuilder &b, ValueRange args) -> SmallVector<Value> {
          Value at = convertElement(b, args[0], from, i64);
          if (isUnsigned(from))
            return {at};
          Value negative = arith::CmpIOp::create(b, arith::CmpIPredicate::slt,
                                                 at, integer(b, i64, 0));
          Value count = arith::IndexCastOp::create(b, i64, size);
          Value moved = arith::AddIOp::create(b, at, count);
          return {arith::SelectOp::create(b, negative, moved, at)};
        });
    auto scatter = exec::ScatterOp::create(
        w.b, loweredType(type), w.lowered(op.getOperand()), positions,
        w.lowered(op.getUpdates()), op.getAxisAttr());
    Type plain = signless(element);
    Block *block = w.b.createBlock(&scatter.getCombiner(), {}, {plain, plain},
                                   {op.getLoc(), op.getLoc()});
    Value value = block->getArgument(1);
    if (op.getKind()) {
      Type wide = accumulatorType(element, *op.getKind());
      Value x = convertElement(w.b, block->getArgument(0), element, wide);
      Value y = convertElement(w.b, value, element, wide);
      value = convertElement(w.b, combine(w.b, *op.getKind(), wide, x, y), wide,
                             element);
    }
    exec::CombineOp::create(w.b, value);
    w.b.setInsertionPointAfter(scatter);
    w.replace(scatter.getResult());
    return success();
  }
};

//===----------------------------------------------------------------------===//
// MergeRunsOp
//===----------------------------------------------------------------------===//

/// Element t of two merged runs a and b is found by itself: of the first t
/// elements, i come from a and t - i from b, and i is the least number for
/// which a[i] doesn't precede b[t - i - 1] any more. So every element takes
/// pass + 1 steps of a binary search, and none waits for another.
struct LowerMergeRuns : OpRewritePattern<graph::MergeRunsOp> {
  using OpRewritePattern::OpRewritePattern;

  /// Runs a and b around an element, and the element's number in both.
  struct Runs {
    Value startA, startB, sizeA, sizeB, number;
  };

  static Runs runsAt(LocBuilder &b, Value at, Value pass, Value count) {
    // Index arithmetic with a length that is a power of two.
    auto shift = [&](Value x, Value by, bool left) -> Value {
      if (left)
        return arith::ShLIOp::create(b, x, by);
      return arith::ShRUIOp::create(b, x, by);
    };
    Value length = shift(index(b, 1), pass, true);
    Value both = addIndex(b, pass, 1);
    Value start = shift(shift(at, both, false), both, true);
    Value middle = minIndex(b, addIndex(b, start, length), count);
    Value end = minIndex(b, addIndex(b, middle, length), count);
    return {start, middle, subIndex(b, middle, start), subIndex(b, end, middle),
            subIndex(b, at, start)};
  }

  /// Whether key y at y's place in the order strictly precedes key x.
  static Value precedes(LocBuilder &b, Value y, Value x, Type element,
                        bool descending) {
    if (isa<FloatType>(element)) {
      using P = arith::CmpFPredicate;
      // NaN is the largest.
      Value wins = arith::CmpFOp::create(b, descending ? P::OGT : P::OLT, y, x);
      Value large = descending ? y : x, small = descending ? x : y;
      Value isNan = arith::CmpFOp::create(b, P::UNO, large, large);
      Value isNumber = arith::CmpFOp::create(b, P::ORD, small, small);
      return arith::OrIOp::create(b, wins,
                                  arith::AndIOp::create(b, isNan, isNumber));
    }
    using P = arith::CmpIPredicate;
    bool u = isUnsigned(element);
    return arith::CmpIOp::create(
        b, descending ? (u ? P::ugt : P::sgt) : (u ? P::ult : P::slt), y, x);
  }

  LogicalResult matchAndRewrite(graph::MergeRunsOp op,
                                PatternRewriter &rewriter) const override {
    Writer w(rewriter, op);
    RankedTensorType type = op.getOrder().getType();
    RankedTensorType keyType = op.getKeys().getType();
    Type element = keyType.getElementType(), i64 = w.b.getI64Type();
    unsigned rank = type.getRank(), last = rank - 1;
    AffineExpr passExpr = op.getPass().getResult(0);
    Value pass = w.size(passExpr), count = w.size(dimOf(type, last));
    Value keyCount = w.size(dimOf(keyType, last));
    bool longer = !graph::equal(dimOf(type, last), dimOf(keyType, last));
    Value keys = w.lowered(op.getKeys()), order = w.lowered(op.getOrder());
    Type wide = isa<FloatType>(element) && element.getIntOrFloatBitWidth() < 32
                    ? Type(w.b.getF32Type())
                    : element;

    auto toIndex = [](LocBuilder &b, Value x) -> Value {
      return arith::IndexCastOp::create(b, b.getIndexType(), x);
    };
    auto toNumber = [&](LocBuilder &b, Value x) -> Value {
      return arith::IndexCastOp::create(b, i64, x);
    };
    // The index that stands at a place of the order, and whether that at
    // place y precedes that at place x.
    auto orderAt = [&](LocBuilder &b, ArrayRef<Value> loops, Value place) {
      SmallVector<Value> at(loops.take_front(rank));
      at[last] = clampIndex(b, place, count);
      return extract(b, order, at);
    };
    auto isBefore = [&](LocBuilder &b, ArrayRef<Value> loops, Value y,
                        Value x) {
      auto keyOf = [&](Value which) {
        SmallVector<Value> at(loops.take_front(rank));
        at[last] = clampIndex(b, toIndex(b, which), keyCount);
        return convertElement(b, extract(b, keys, at), element, wide);
      };
      Value atY = orderAt(b, loops, y), atX = orderAt(b, loops, x);
      Value before =
          precedes(b, keyOf(atY), keyOf(atX), wide, op.getDescending());
      if (!longer)
        return before;
      Value limit = toNumber(b, keyCount);
      using P = arith::CmpIPredicate;
      Value yIsKey = arith::CmpIOp::create(b, P::slt, atY, limit);
      Value xIsNone = arith::CmpIOp::create(b, P::sge, atX, limit);
      return arith::AndIOp::create(b, yIsKey,
                                   arith::OrIOp::create(b, before, xIsNone))
          .getResult();
    };

    Dims dims = dimsOf(type);
    auto bound = [&](bool lower) {
      return w.elementwise(
          dims, i64, {}, {},
          [&](LocBuilder &b, ValueRange) -> SmallVector<Value> {
            Value at = linalg::IndexOp::create(b, last);
            Runs runs = runsAt(b, at, pass, count);
            Value x = lower ? maxIndex(b, subIndex(b, runs.number, runs.sizeB),
                                       index(b, 0))
                            : minIndex(b, runs.number, runs.sizeA);
            return {toNumber(b, x)};
          });
    };
    // Only the shape of the input is read: the number of steps.
    Value steps = w.empty({graph::simplify(passExpr + 1)}, w.b.getI8Type());
    AffineMap own = w.identity(rank + 1).getMajorSubMap(rank);
    ValueRange bounds = w.generic(
        steps, w.map(rank + 1, w.d(rank)), {bound(true), bound(false)},
        {own, own}, rank + 1, {rank},
        [&](LocBuilder &b, ValueRange args) -> SmallVector<Value> {
          SmallVector<Value> loops = loopIndices(b, rank);
          Runs runs = runsAt(b, loops[last], pass, count);
          Value low = args[1], high = args[2];
          Value open =
              arith::CmpIOp::create(b, arith::CmpIPredicate::slt, low, high);
          Value sum = arith::AddIOp::create(b, low, high);
          Value middle = arith::ShRUIOp::create(b, sum, integer(b, i64, 1));
          Value i = toIndex(b, middle);
          Value other = addIndex(b, subIndex(b, runs.number, i), -1);
          Value less = isBefore(b, loops, addIndex(b, runs.startB, other),
                                addIndex(b, runs.startA, i));
          Value next = arith::AddIOp::create(b, middle, integer(b, i64, 1));
          Value newLow = arith::SelectOp::create(b, less, low, next);
          Value newHigh = arith::SelectOp::create(b, less, middle, high);
          return {arith::SelectOp::create(b, open, newLow, low),
                  arith::SelectOp::create(b, open, newHigh, high)};
        });
    w.replace(w.elementwise(
        dims, i64, bounds[0], w.identity(rank),
        [&](LocBuilder &b, ValueRange args) -> SmallVector<Value> {
          SmallVector<Value> loops = loopIndices(b, rank);
          Runs runs = runsAt(b, loops[last], pass, count);
          Value i = toIndex(b, args[0]);
          Value j = subIndex(b, runs.number, i);
          Value placeA = addIndex(b, runs.startA, i);
          Value placeB = addIndex(b, runs.startB, j);
          using P = arith::CmpIPredicate;
          Value hasB = arith::CmpIOp::create(b, P::slt, j, runs.sizeB);
          Value noA = arith::CmpIOp::create(b, P::sge, i, runs.sizeA);
          Value less = isBefore(b, loops, placeB, placeA);
          Value takeB = arith::AndIOp::create(
              b, hasB, arith::OrIOp::create(b, noA, less));
          return {arith::SelectOp::create(b, takeB, orderAt(b, loops, placeB),
                                          orderAt(b, loops, placeA))};
        }));
    return success();
  }
};

//===----------------------------------------------------------------------===//
// ArgReduceWindowOp
//===----------------------------------------------------------------------===//

struct LowerArgReduceWindow : OpRewritePattern<graph::ArgReduceWindowOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(graph::ArgReduceWindowOp op,
                                PatternRewriter &rewriter) const override {
    Writer w(rewriter, op);
    RankedTensorType from = op.getOperand().getType(), to = op.getType();
    unsigned rank = to.getRank(), spatial = op.getWindow().size();
    unsigned first = rank - spatial;
    Type element = from.getElementType(), i64 = w.b.getI64Type();
    Dims window, windowExprs;
    SmallVector<unsigned> windowLoops;
    for (unsigned i = 0; i < spatial; ++i) {
      window.push_back(w.c(op.getWindow()[i]));
      windowExprs.push_back(w.d(rank + i));
      windowLoops.push_back(rank + i);
    }
    unsigned loops = rank + spatial;
    SmallVector<Value> sizes = w.sizes(dimsOf(from));
    Value operand = w.lowered(op.getOperand());
    Type wide = accumulatorType(element, ReduceKind::maximum);
    Value best = w.fill(dimsOf(to), identityOf(ReduceKind::maximum, wide));
    Value where = w.fill(dimsOf(to), w.b.getI64IntegerAttr(-1));
    AffineMap own = w.identity(loops).getMajorSubMap(rank);
    // Only the shape of the input is read: the window.
    ValueRange results = w.generic(
        w.empty(window, w.b.getI8Type()), w.map(loops, windowExprs),
        {best, where}, {own, own}, loops, windowLoops,
        [&](LocBuilder &b, ValueRange args) -> SmallVector<Value> {
          SmallVector<Value> at;
          Value inside, linear;
          for (unsigned i = 0; i < rank; ++i) {
            Value position = linalg::IndexOp::create(b, i);
            if (i >= first) {
              unsigned k = i - first;
              position =
                  addIndex(b, mulIndex(b, position, op.getStrides()[k]),
                           mulIndex(b, linalg::IndexOp::create(b, rank + k),
                                    op.getDilations()[k]));
              position = addIndex(b, position, -op.getLow()[k]);
              inside = andBits(b, inside, insideIndex(b, position, sizes[i]));
              position = clampIndex(b, position, sizes[i]);
              linear =
                  linear
                      ? addIndex(
                            b, b.createOrFold<arith::MulIOp>(linear, sizes[i]),
                            position)
                      : position;
            }
            at.push_back(position);
          }
          Value x = convertElement(b, extract(b, operand, at), element, wide);
          Value none = arith::CmpIOp::create(b, arith::CmpIPredicate::slt,
                                             args[2], integer(b, i64, 0));
          Value wins = larger(b, x, args[1], wide);
          wins = arith::AndIOp::create(b, inside,
                                       arith::OrIOp::create(b, wins, none));
          Value number = arith::IndexCastOp::create(b, i64, linear);
          return {arith::SelectOp::create(b, wins, x, args[1]),
                  arith::SelectOp::create(b, wins, number, args[2])};
        });
    w.replace(results[1]);
    return success();
  }

  /// x > y; a NaN beats every number.
  static Value larger(LocBuilder &b, Value x, Value y, Type element) {
    if (!isa<FloatType>(element))
      return arith::CmpIOp::create(b,
                                   isUnsigned(element)
                                       ? arith::CmpIPredicate::ugt
                                       : arith::CmpIPredicate::sgt,
                                   x, y);
    using P = arith::CmpFPredicate;
    Value isNan = arith::CmpFOp::create(b, P::UNO, x, x);
    Value isNumber = arith::CmpFOp::create(b, P::ORD, y, y);
    return arith::OrIOp::create(b, arith::CmpFOp::create(b, P::OGT, x, y),
                                arith::AndIOp::create(b, isNan, isNumber));
  }
};

} // namespace

void lowering::populateIndexing(RewritePatternSet &patterns) {
  patterns.add<LowerScatter, LowerMergeRuns, LowerArgReduceWindow>(
      patterns.getContext());
  populateSampling(patterns);
}
