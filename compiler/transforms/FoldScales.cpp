//===- FoldScales.cpp - scales of channels into the weights ---------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// Batch normalisation arrives as a multiplication and an addition with one
// constant per channel. After a convolution or product with constant weights
// the multiplication moves into the weights; a bias between the two is scaled.
//
//===----------------------------------------------------------------------===//

#include "compiler/transforms/Passes.h"
#include "compiler/transforms/Utils.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;
using namespace aicc;
using namespace aicc::graph;
using namespace aicc::transforms;

namespace {
/// The weights' dimension that holds dimension `channel` of the result.
std::optional<int64_t> weightDimension(Operation *op, int64_t channel) {
  if (auto conv = dyn_cast<ConvolutionOp>(op)) {
    if (conv.getPacked() || conv.getAccumulator())
      return std::nullopt;
    auto rank = cast<RankedTensorType>(conv.getFilter().getType()).getRank();
    if (conv.getChannelsLast())
      return channel == rank - 1 ? std::optional<int64_t>(rank - 1)
                                 : std::nullopt;
    return channel == 1 ? std::optional<int64_t>(0) : std::nullopt;
  }
  if (auto dot = dyn_cast<DotGeneralOp>(op)) {
    if (dot.getRhsPacked() || dot.getAccumulator())
      return std::nullopt;
    // The result ends with the free dimensions of rhs, in order.
    auto rank = cast<RankedTensorType>(dot.getRhs().getType()).getRank();
    SmallVector<int64_t> free;
    for (int64_t i = 0; i < rank; ++i)
      if (!llvm::is_contained(dot.getRhsBatch(), i) &&
          !llvm::is_contained(dot.getRhsContracting(), i))
        free.push_back(i);
    int64_t first =
        cast<RankedTensorType>(dot.getType()).getRank() - int64_t(free.size());
    if (channel >= first)
      return free[channel - first];
  }
  return std::nullopt;
}

struct ScaleWeights : OpRewritePattern<MultiplyOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(MultiplyOp op,
                                PatternRewriter &rewriter) const override {
    for (unsigned side : {0, 1}) {
      Operation *producer = op->getOperand(side).getDefiningOp();
      Value scale = op->getOperand(1 - side);
      if (!producer || !producer->hasOneUse() ||
          !isa<ConvolutionOp, DotGeneralOp>(producer) ||
          !isConstantDerived(producer->getOperand(1)) ||
          !isConstantDerived(scale))
        continue;
      auto vector = matchChannelVector(scale);
      if (!vector)
        continue;
      auto dim = weightDimension(producer, vector->dimension);
      if (!dim)
        continue;
      Value weights = producer->getOperand(1);
      rewriter.setInsertionPoint(producer);
      // The constants may stand after the producer: move what is needed.
      vector->operand = cloneBefore(rewriter, vector->operand);
      Value factors = vector->vector(rewriter);
      Value wide = BroadcastOp::create(rewriter, weights.getLoc(),
                                       weights.getType(), factors,
                                       rewriter.getDenseI64ArrayAttr({*dim}));
      Value scaled = MultiplyOp::create(rewriter, weights.getLoc(),
                                        weights.getType(), weights, wide);
      rewriter.modifyOpInPlace(producer,
                               [&] { producer->setOperand(1, scaled); });
      rewriter.replaceOp(op, producer->getResult(0));
      return success();
    }
    return failure();
  }

  /// A copy of a constant expression at the insertion point.
  static Value cloneBefore(PatternRewriter &rewriter, Value value) {
    Operation *op = value.getDefiningOp();
    IRMapping mapping;
    for (Value operand : op->getOperands())
      mapping.map(operand, cloneBefore(rewriter, operand));
    return rewriter.clone(*op, mapping)->getResult(0);
  }
};

/// (x + b) * s = x * s + b * s for constants b, s of a channel, where x takes
/// the scale into its weights.
struct DistributeScale : OpRewritePattern<MultiplyOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(MultiplyOp op,
                                PatternRewriter &rewriter) const override {
    for (unsigned side : {0, 1}) {
      auto add = op->getOperand(side).getDefiningOp<AddOp>();
      Value scale = op->getOperand(1 - side);
      if (!add || !add->hasOneUse() || !isConstantDerived(scale))
        continue;
      for (unsigned addend : {0, 1}) {
        Operation *producer = add->getOperand(addend).getDefiningOp();
        Value bias = add->getOperand(1 - addend);
        if (!producer || !producer->hasOneUse() ||
            !isa<ConvolutionOp, DotGeneralOp>(producer) ||
            !isConstantDerived(producer->getOperand(1)) ||
            !isConstantDerived(bias))
          continue;
        auto factors = matchChannelVector(scale);
        auto offsets = matchChannelVector(bias);
        if (!factors || !offsets || factors->dimension != offsets->dimension ||
            !weightDimension(producer, factors->dimension))
          continue;
        Location loc = op.getLoc();
        Value b = offsets->vector(rewriter), s = factors->vector(rewriter);
        Value product = MultiplyOp::create(rewriter, loc, b.getType(), b, s);
        Value scaled = MultiplyOp::create(rewriter, loc, op.getType(),
                                          producer->getResult(0), scale);
        Value wide = BroadcastOp::create(
            rewriter, loc, op.getType(), product,
            rewriter.getDenseI64ArrayAttr({factors->dimension}));
        rewriter.replaceOpWithNewOp<AddOp>(op, op.getType(), scaled, wide);
        return success();
      }
    }
    return failure();
  }
};

struct FoldScalesPass
    : PassWrapper<FoldScalesPass, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(FoldScalesPass)
  StringRef getArgument() const final { return "aicc-fold-scales"; }
  StringRef getDescription() const final {
    return "Multiply constant scales of channels into the weights before them";
  }
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<ScaleWeights, DistributeScale>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace

std::unique_ptr<Pass> aicc::transforms::createFoldScalesPass() {
  return std::make_unique<FoldScalesPass>();
}
