//===- Sampling.cpp - lowering of graph.sample and graph.resample ---------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/lowering/Writer.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace aicc;
using namespace aicc::lowering;
using graph::dimOf;
using graph::dimsOf;
using graph::SampleBorder;
using graph::SampleMode;

namespace {

//===----------------------------------------------------------------------===//
// SampleOp
//===----------------------------------------------------------------------===//

/// An element that a sample reads along one dimension: its index, limited to
/// the dimension; its weight; whether it exists (null: always).
struct Tap {
  Value index, weight, inside;
};

struct SampleTaps {
  LocBuilder &b;
  graph::SampleOp op;
  Type real; // of coordinates and weights

  Value f(double value) { return number(b, real, value); }
  Value add(Value x, Value y) { return arith::AddFOp::create(b, x, y); }
  Value sub(Value x, Value y) { return arith::SubFOp::create(b, x, y); }
  Value mul(Value x, Value y) { return arith::MulFOp::create(b, x, y); }

  /// The element at an index that may lie outside.
  Tap tap(Value at, Value size, Value weight) {
    SampleBorder border = op.getBorder();
    Tap result{at, weight, Value()};
    if (border == SampleBorder::zeros)
      result.inside = insideIndex(b, at, size);
    if (border == SampleBorder::reflect ||
        border == SampleBorder::reflect_half) {
      // … 2 1 | 0 1 2 | 1 0 … has period 2 (size - 1), … 1 0 | 0 1 2 | 2 1 …
      // has period 2 size.
      bool half = border == SampleBorder::reflect_half;
      Value period = mulIndex(b, half ? size : addIndex(b, size, -1), 2);
      period = maxIndex(b, period, index(b, 1));
      Value rest = arith::RemSIOp::create(b, at, period);
      Value negative = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, rest,
                                             index(b, 0));
      rest =
          arith::SelectOp::create(b, negative, addIndex(b, rest, period), rest);
      Value mirrored = subIndex(b, period, rest);
      result.index =
          minIndex(b, rest, half ? addIndex(b, mirrored, -1) : mirrored);
    }
    result.index = clampIndex(b, result.index, size);
    return result;
  }

  SmallVector<Tap> at(Value x, Value size) {
    // Nothing beyond a few elements outside can be told apart, and a NaN has
    // no index.
    Value count = arith::IndexCastOp::create(b, b.getI64Type(), size);
    Value high = add(arith::SIToFPOp::create(b, real, count), f(4));
    using P = arith::CmpFPredicate;
    Value fits = arith::CmpFOp::create(b, P::OGE, x, f(-4));
    x = arith::SelectOp::create(b, fits, x, f(-4));
    fits = arith::CmpFOp::create(b, P::OLE, x, high);
    x = arith::SelectOp::create(b, fits, x, high);
    bool nearest = op.getMode() == SampleMode::nearest;
    Value base = nearest ? math::RoundEvenOp::create(b, x).getResult()
                         : math::FloorOp::create(b, x).getResult();
    Value first = arith::IndexCastOp::create(
        b, b.getIndexType(), arith::FPToSIOp::create(b, b.getI64Type(), base));
    if (nearest)
      return {tap(first, size, Value())};
    Value t = sub(x, base);
    if (op.getMode() != SampleMode::cubic)
      return {tap(first, size, sub(f(1), t)),
              tap(addIndex(b, first, 1), size, t)};
    // Keys' kernel with a = -0.75, at distances 1 + t, t, 1 - t, 2 - t.
    constexpr double a = -0.75;
    auto near = [&](Value d) {
      Value inner = sub(mul(f(a + 2), d), f(a + 3));
      return add(mul(mul(inner, d), d), f(1));
    };
    auto far = [&](Value d) {
      Value inner = sub(mul(f(a), d), f(5 * a));
      inner = add(mul(inner, d), f(8 * a));
      return sub(mul(inner, d), f(4 * a));
    };
    Value weights[] = {far(add(t, f(1))), near(t), near(sub(f(1), t)),
                       far(sub(f(2), t))};
    SmallVector<Tap> taps;
    for (int k = 0; k < 4; ++k)
      taps.push_back(tap(addIndex(b, first, k - 1), size, weights[k]));
    return taps;
  }
};

struct LowerSample : OpRewritePattern<graph::SampleOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(graph::SampleOp op,
                                PatternRewriter &rewriter) const override {
    Writer w(rewriter, op);
    RankedTensorType from = op.getOperand().getType(), to = op.getType();
    RankedTensorType points = op.getCoordinates().getType();
    unsigned rank = to.getRank(), spatial = from.getRank() - 2;
    Type element = to.getElementType();
    Type real = points.getElementType();
    if (real.getIntOrFloatBitWidth() < 32)
      real = w.b.getF32Type();
    SmallVector<Value> sizes = w.sizes(dimsOf(from));
    Value operand = w.lowered(op.getOperand());
    Value coordinates = w.lowered(op.getCoordinates());
    Value batches = op.getBatches() ? w.lowered(op.getBatches()) : Value();
    SampleMode mode = op.getMode();
    bool nearest = mode == SampleMode::nearest;
    w.replace(w.elementwise(
        dimsOf(to), element, {}, {},
        [&](LocBuilder &b, ValueRange) -> SmallVector<Value> {
          SampleTaps sampler{b, op, real};
          SmallVector<Value> loops = loopIndices(b, rank);
          SmallVector<Value> point = {loops[0]};
          llvm::append_range(point, ArrayRef<Value>(loops).drop_front(2));
          SmallVector<SmallVector<Tap>> taps;
          for (unsigned k = 0; k < spatial; ++k) {
            SmallVector<Value> which(point);
            which.push_back(index(b, k));
            Value x = convertElement(b, extract(b, coordinates, which),
                                     points.getElementType(), real);
            taps.push_back(sampler.at(x, sizes[2 + k]));
          }
          SmallVector<Value> at(from.getRank());
          at[0] = loops[0];
          if (batches) {
            Value batch = extract(b, batches, loops[0]);
            Value number =
                arith::IndexCastOp::create(b, b.getIndexType(), batch);
            at[0] = clampIndex(b, number, sizes[0]);
          }
          at[1] = loops[1];
          // The innermost dimension is summed first.
          auto sample = [&](auto &&self, unsigned k, Value inside,
                            Value weight) -> Value {
            if (k == spatial) {
              Value value = extract(b, operand, at);
              if (!nearest)
                value = convertElement(b, value, element, real);
              if (inside)
                value = arith::SelectOp::create(
                    b, inside, value,
                    arith::ConstantOp::create(
                        b, cast<TypedAttr>(b.getZeroAttr(value.getType()))));
              return weight ? sampler.mul(value, weight) : value;
            }
            Value joined;
            for (Tap &tap : taps[k]) {
              at[2 + k] = tap.index;
              Value exists = inside;
              if (tap.inside)
                exists = andBits(b, exists, tap.inside);
              if (mode == SampleMode::linear_maximum) {
                Value share =
                    weight ? sampler.mul(weight, tap.weight) : tap.weight;
                Value part = self(self, k + 1, exists, share);
                joined =
                    joined
                        ? arith::MaximumFOp::create(b, joined, part).getResult()
                        : part;
                continue;
              }
              Value part = self(self, k + 1, exists, Value());
              if (tap.weight)
                part = sampler.mul(part, tap.weight);
              joined = joined ? sampler.add(joined, part) : part;
            }
            return joined;
          };
          Value value = sample(sample, 0, Value(), Value());
          return {nearest ? value : convertElement(b, value, real, element)};
        }));
    return success();
  }
};

//===----------------------------------------------------------------------===//
// ResampleOp
//===----------------------------------------------------------------------===//

struct LowerResample : OpRewritePattern<graph::ResampleOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(graph::ResampleOp op,
                                PatternRewriter &rewriter) const override {
    Writer w(rewriter, op);
    RankedTensorType from = op.getOperand().getType(), to = op.getType();
    unsigned rank = to.getRank(), axis = op.getAxis();
    Type element = to.getElementType(), wide = accumulatorType(element);
    Type weight =
        cast<RankedTensorType>(op.getWeights().getType()).getElementType();
    Type index =
        cast<RankedTensorType>(op.getIndices().getType()).getElementType();
    Value size = w.size(dimOf(from, axis));
    Value operand = w.lowered(op.getOperand());
    AffineMap taps = w.map(rank + 1, {w.d(axis), w.d(rank)});
    AffineMap own = w.identity(rank + 1).getMajorSubMap(rank);
    Value init = w.fill(dimsOf(to), identityOf(graph::ReduceKind::sum, wide));
    Value result = w.generic(
        {w.lowered(op.getIndices()), w.lowered(op.getWeights())}, {taps, taps},
        init, own, rank + 1, {rank},
        [&](LocBuilder &b, ValueRange args) -> SmallVector<Value> {
          SmallVector<Value> at = loopIndices(b, rank);
          Value i = convertElement(b, args[0], index, b.getI64Type());
          at[axis] = clampIndex(
              b, arith::IndexCastOp::create(b, b.getIndexType(), i), size);
          Value x = convertElement(b, extract(b, operand, at), element, wide);
          Value share = convertElement(b, args[1], weight, wide);
          return {arith::AddFOp::create(b, args[2],
                                        arith::MulFOp::create(b, share, x))};
        })[0];
    if (wide != element)
      result = w.elementwise(
          dimsOf(to), element, result, w.identity(rank),
          [&](LocBuilder &b, ValueRange args) -> SmallVector<Value> {
            return {convertElement(b, args[0], wide, element)};
          });
    w.replace(result);
    return success();
  }
};

} // namespace

void lowering::populateSampling(RewritePatternSet &patterns) {
  patterns.add<LowerSample, LowerResample>(patterns.getContext());
}
