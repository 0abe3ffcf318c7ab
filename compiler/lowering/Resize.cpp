//===- Resize.cpp - lowering of graph.resize ------------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Coordinates are f32, as in ONNX Runtime and PyTorch. Interpolation is
// separable: a result element is the sum over the taps of every resampled
// dimension.
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

namespace {

/// An operand index of one dimension and its weight (null for 1).
struct Tap {
  Value index, weight;
};

struct LowerResize : OpRewritePattern<graph::ResizeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(graph::ResizeOp op,
                                PatternRewriter &rewriter) const override;
};

struct Sampler {
  LocBuilder &b;
  graph::ResizeOp op;

  Value f(double value) { return number(b, b.getF32Type(), value); }
  Value add(Value x, Value y) { return arith::AddFOp::create(b, x, y); }
  Value sub(Value x, Value y) { return arith::SubFOp::create(b, x, y); }
  Value mul(Value x, Value y) { return arith::MulFOp::create(b, x, y); }
  Value div(Value x, Value y) { return arith::DivFOp::create(b, x, y); }
  Value toFloat(Value index) {
    Value number = arith::IndexCastOp::create(b, b.getI32Type(), index);
    return arith::SIToFPOp::create(b, b.getF32Type(), number);
  }
  Value toIndex(Value x) {
    Value number = arith::FPToSIOp::create(b, b.getI32Type(), x);
    return arith::IndexCastOp::create(b, b.getIndexType(), number);
  }

  Value coordinate(Value at, double scale, Value from, Value to);
  SmallVector<Tap> taps(Value x, Value size);
};

/// The operand coordinate of result index `at`.
Value Sampler::coordinate(Value at, double scale, Value from, Value to) {
  StringRef kind = op.getCoordinates();
  Value x = toFloat(at);
  Value isOne =
      arith::CmpIOp::create(b, arith::CmpIPredicate::sle, to, index(b, 1));
  if (kind == "asymmetric")
    return div(x, f(scale));
  if (kind == "align_corners") {
    // The exact size, which the result's is the floor of.
    Value last = sub(mul(toFloat(from), f(scale)), f(1));
    Value moved = div(mul(x, toFloat(addIndex(b, from, -1))),
                      arith::SelectOp::create(b, isOne, f(1), last));
    return arith::SelectOp::create(b, isOne, f(0), moved);
  }
  Value centred = sub(div(add(x, f(0.5)), f(scale)), f(0.5));
  if (kind == "pytorch_half_pixel")
    return arith::SelectOp::create(b, isOne, f(0), centred);
  return centred;
}

SmallVector<Tap> Sampler::taps(Value x, Value size) {
  auto floor = [&](Value v) -> Value { return math::FloorOp::create(b, v); };
  auto ceil = [&](Value v) -> Value { return math::CeilOp::create(b, v); };
  switch (op.getMode()) {
  case graph::ResizeMode::nearest: {
    StringRef rounding = op.getRounding();
    // Rounded factors make a little less or more of a half: 1 / (2 / 7) is
    // 3.4999998. ONNX Runtime takes as much for one.
    constexpr double half = 0.5 + 1e-6;
    Value rounded = rounding == "floor"                ? floor(x)
                    : rounding == "ceil"               ? ceil(x)
                    : rounding == "round_prefer_floor" ? ceil(sub(x, f(half)))
                                                       : floor(add(x, f(half)));
    return {{clampIndex(b, toIndex(rounded), size), Value()}};
  }
  case graph::ResizeMode::linear: {
    Value base = floor(x), fraction = sub(x, base);
    Value first = toIndex(base);
    return {{clampIndex(b, first, size), sub(f(1), fraction)},
            {clampIndex(b, addIndex(b, first, 1), size), fraction}};
  }
  case graph::ResizeMode::cubic: {
    // Keys' kernel with a = -0.75, at distances 1 + t, t, 1 - t, 2 - t.
    constexpr double a = -0.75;
    Value base = floor(x), t = sub(x, base);
    Value first = addIndex(b, toIndex(base), -1);
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
    SmallVector<Tap> result;
    for (int k = 0; k < 4; ++k)
      result.push_back(
          {clampIndex(b, addIndex(b, first, k), size), weights[k]});
    return result;
  }
  }
  llvm_unreachable("all modes are handled");
}

LogicalResult LowerResize::matchAndRewrite(graph::ResizeOp op,
                                           PatternRewriter &rewriter) const {
  Writer w(rewriter, op);
  RankedTensorType from = op.getOperand().getType(), to = op.getType();
  unsigned rank = to.getRank();
  SmallVector<Value> fromSizes = w.sizes(dimsOf(from));
  SmallVector<Value> toSizes = w.sizes(dimsOf(to));
  Value operand = w.lowered(op.getOperand());
  Type element = to.getElementType();
  bool nearest = op.getMode() == graph::ResizeMode::nearest;
  auto body = [&](LocBuilder &b, ValueRange) -> SmallVector<Value> {
    Sampler sampler{b, op};
    SmallVector<Value> indices = loopIndices(b, rank);
    SmallVector<SmallVector<Tap>> taps;
    for (unsigned i = 0; i < rank; ++i) {
      if (op.getScales()[i] == 1.0 &&
          graph::equal(dimOf(from, i), dimOf(to, i))) {
        taps.push_back({{indices[i], Value()}});
        continue;
      }
      Value x = sampler.coordinate(indices[i], op.getScales()[i], fromSizes[i],
                                   toSizes[i]);
      taps.push_back(sampler.taps(x, fromSizes[i]));
    }
    // The innermost dimension is summed first, as a separable filter does.
    SmallVector<Value> at(rank);
    auto sample = [&](auto &&self, unsigned dimension) -> Value {
      if (dimension == rank) {
        Value value = extract(b, operand, at);
        return nearest ? value
                       : convertElement(b, value, element, b.getF32Type());
      }
      Value sum;
      for (Tap &tap : taps[dimension]) {
        at[dimension] = tap.index;
        Value part = self(self, dimension + 1);
        if (tap.weight)
          part = sampler.mul(part, tap.weight);
        sum = sum ? sampler.add(sum, part) : part;
      }
      return sum;
    };
    Value value = sample(sample, 0);
    if (!nearest)
      value = convertElement(b, value, b.getF32Type(), element);
    return {value};
  };
  w.replace(w.elementwise(dimsOf(to), element, {}, {}, body));
  return success();
}

} // namespace

void lowering::populateResize(RewritePatternSet &patterns) {
  patterns.add<LowerResize>(patterns.getContext());
}
