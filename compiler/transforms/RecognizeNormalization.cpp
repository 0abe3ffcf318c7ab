//===- RecognizeNormalization.cpp - decomposed layer normalisation --------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// Before their operator sets had them, exporters wrote layer and RMS
// normalisation as means, squares and roots. Two forms cover them:
//
//   d / sqrt(mean(d * d) + e), d = x or x - mean(x)
//   x * m + (b - mean(x) * m), m = g / sqrt(variance + e)      (TensorFlow)
//
// where the root may be a power, a reciprocal or rsqrt. Means go over the last
// dimensions. Both become graph.normalize, one pass over each row.
//
//===----------------------------------------------------------------------===//

#include "compiler/transforms/Match.h"
#include "compiler/transforms/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;
using namespace aicc;
using namespace aicc::graph;
using namespace aicc::transforms;

namespace {
/// A mean over the last dimensions.
struct Mean {
  Value operand;
  int64_t axis = 0;
  explicit operator bool() const { return bool(operand); }
};

Mean matchMean(Value value) {
  value = beneathReshapes(value);
  auto reduce = value ? value.getDefiningOp<ReduceOp>() : ReduceOp();
  double factor = 1;
  if (!reduce) {
    // A sum times the inverse of the count.
    WithScalar scaled = multipliedScalar(value);
    Value inner = beneathReshapes(scaled.value);
    reduce = inner ? inner.getDefiningOp<ReduceOp>() : ReduceOp();
    factor = scaled.scalar;
    if (!reduce || reduce.getKind() != ReduceKind::sum)
      return {};
  } else if (reduce.getKind() != ReduceKind::mean) {
    return {};
  }
  auto type = cast<RankedTensorType>(reduce.getOperand().getType());
  int64_t axis = type.getRank() - int64_t(reduce.getAxes().size());
  SmallVector<bool> gone(type.getRank());
  for (int64_t i : reduce.getAxes())
    gone[i] = true;
  int64_t count = 1;
  for (int64_t i = axis; i < type.getRank(); ++i) {
    if (!gone[i] || (factor != 1 && type.isDynamicDim(i)))
      return {};
    count *= type.isDynamicDim(i) ? 1 : type.getDimSize(i);
  }
  if (reduce.getKind() == ReduceKind::sum &&
      std::abs(factor * double(count) - 1) > 1e-6)
    return {};
  return {reduce.getOperand(), axis};
}

/// The value per row of which `value` is the repetition along the dimensions
/// from `axis` on.
Value matchRow(Value value, int64_t axis) {
  auto broadcast = value ? value.getDefiningOp<BroadcastOp>() : BroadcastOp();
  if (!broadcast)
    return {};
  auto dims = dimsOf(value);
  int64_t last = -1;
  SmallVector<bool> covered(axis);
  for (auto [i, dim] : llvm::enumerate(dimsOf(broadcast.getOperand()))) {
    int64_t to = broadcast.getDimensions()[i];
    if (isConstant(dim, 1))
      continue;
    if (to >= axis || to <= last)
      return {};
    covered[to] = true;
    last = to;
  }
  for (int64_t i = 0; i < axis; ++i)
    if (!covered[i] && !isConstant(dims[i], 1))
      return {};
  return broadcast.getOperand();
}

/// One over the deviation of rows, or the deviation itself.
struct Deviation {
  /// What was squared.
  Value centred;
  int64_t axis = 0;
  double epsilon = 0;
  bool inverse = false;
  explicit operator bool() const { return bool(centred); }
};

Deviation matchDeviation(Value row) {
  Deviation found;
  row = beneathReshapes(row);
  Value sum;
  Value root = row;
  if (Value x = operandOf<ReciprocalOp>(row)) {
    found.inverse = true;
    root = beneathReshapes(x);
  } else if (auto divide = row ? row.getDefiningOp<DivideOp>() : DivideOp();
             divide && isSplat(divide.getLhs(), 1)) {
    found.inverse = true;
    root = beneathReshapes(divide.getRhs());
  }
  if (Value x = operandOf<RsqrtOp>(root)) {
    if (found.inverse)
      return {};
    found.inverse = true;
    sum = x;
  } else if (Value x = operandOf<SqrtOp>(root)) {
    sum = x;
  } else if (auto power = root ? root.getDefiningOp<PowerOp>() : PowerOp()) {
    if (isSplat(power.getRhs(), -0.5) && !found.inverse)
      found.inverse = true;
    else if (!isSplat(power.getRhs(), 0.5))
      return {};
    sum = power.getLhs();
  }
  if (!sum)
    return {};
  sum = beneathReshapes(sum);
  Value power = sum;
  if (WithScalar added = addedScalar(sum)) {
    power = added.value;
    found.epsilon = added.scalar;
  }
  Mean mean = matchMean(power);
  if (!mean || !(found.epsilon >= 0))
    return {};
  found.centred = squared(mean.operand);
  found.axis = mean.axis;
  return found.centred ? found : Deviation();
}

/// x where `value` is x - mean(x) over the dimensions from `axis` on.
Value matchCentred(Value value, int64_t axis) {
  auto minus = value ? value.getDefiningOp<SubtractOp>() : SubtractOp();
  if (!minus)
    return {};
  Mean mean = matchMean(matchRow(minus.getRhs(), axis));
  return mean && mean.axis == axis && mean.operand == minus.getLhs()
             ? minus.getLhs()
             : Value();
}

Value normalize(PatternRewriter &rewriter, Location loc, Value x,
                const Deviation &d, bool rms) {
  return NormalizeOp::create(rewriter, loc, x.getType(), x,
                             rewriter.getI64IntegerAttr(d.axis),
                             rewriter.getF64FloatAttr(d.epsilon),
                             rms ? rewriter.getUnitAttr() : UnitAttr());
}

/// The quotient or product with a row's deviation.
struct Scaled : RewritePattern {
  Scaled(MLIRContext *context)
      : RewritePattern(MatchAnyOpTypeTag(), 2, context) {}

  LogicalResult matchAndRewrite(Operation *op,
                                PatternRewriter &rewriter) const override {
    bool quotient = isa<DivideOp>(op);
    if (!quotient && !isa<MultiplyOp>(op))
      return failure();
    if (!isa<FloatType>(getElementTypeOrSelf(op->getResult(0).getType())))
      return failure();
    for (unsigned side : {1, 0}) {
      if (quotient && side == 0)
        break;
      auto broadcast = op->getOperand(side).getDefiningOp<BroadcastOp>();
      if (!broadcast)
        continue;
      Deviation d = matchDeviation(broadcast.getOperand());
      Value centred = op->getOperand(1 - side);
      if (!d || d.inverse == quotient || d.centred != centred ||
          !matchRow(op->getOperand(side), d.axis))
        continue;
      Value x = matchCentred(centred, d.axis);
      rewriter.replaceOp(
          op, normalize(rewriter, op->getLoc(), x ? x : centred, d, !x));
      return success();
    }
    return failure();
  }
};

/// x * m + (b - mean(x) * m).
struct Shifted : OpRewritePattern<AddOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(AddOp op,
                                PatternRewriter &rewriter) const override {
    for (unsigned side : {0, 1}) {
      auto product = op->getOperand(side).getDefiningOp<MultiplyOp>();
      auto minus = op->getOperand(1 - side).getDefiningOp<SubtractOp>();
      auto second =
          minus ? minus.getRhs().getDefiningOp<MultiplyOp>() : MultiplyOp();
      if (!product || !second)
        continue;
      for (unsigned at : {0, 1})
        for (unsigned other : {0, 1}) {
          Value m = product->getOperand(at), x = product->getOperand(1 - at);
          if (second->getOperand(other) != m)
            continue;
          Value scale;
          Deviation d = matchScale(m, scale);
          if (!d || matchCentred(d.centred, d.axis) != x)
            continue;
          Mean mean =
              matchMean(matchRow(second->getOperand(1 - other), d.axis));
          if (!mean || mean.operand != x || mean.axis != d.axis)
            continue;
          Value y = normalize(rewriter, op.getLoc(), x, d, false);
          if (scale)
            y = MultiplyOp::create(rewriter, op.getLoc(), op.getType(), y,
                                   scale);
          rewriter.replaceOpWithNewOp<AddOp>(op, op.getType(), y,
                                             minus.getLhs());
          return success();
        }
    }
    return failure();
  }

  /// m = 1 / deviation, or that times a scale.
  static Deviation matchScale(Value m, Value &scale) {
    auto row = [](Value value) -> Deviation {
      auto broadcast = value.getDefiningOp<BroadcastOp>();
      Deviation d =
          broadcast ? matchDeviation(broadcast.getOperand()) : Deviation();
      return d && d.inverse && matchRow(value, d.axis) ? d : Deviation();
    };
    if (Deviation d = row(m))
      return d;
    auto product = m.getDefiningOp<MultiplyOp>();
    for (unsigned side : {0, 1})
      if (product)
        if (Deviation d = row(product->getOperand(side))) {
          scale = product->getOperand(1 - side);
          return d;
        }
    return {};
  }
};

struct RecognizeNormalizationPass
    : PassWrapper<RecognizeNormalizationPass, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(RecognizeNormalizationPass)
  StringRef getArgument() const final { return "aicc-recognize-normalization"; }
  StringRef getDescription() const final {
    return "Means, squares and roots of rows as graph.normalize";
  }
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<Scaled, Shifted>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace

std::unique_ptr<Pass> aicc::transforms::createRecognizeNormalizationPass() {
  return std::make_unique<RecognizeNormalizationPass>();
}
