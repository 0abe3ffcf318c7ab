//===- SinkReshapes.cpp - reshapes out of the way of fusion ---------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// A reshape is a view: free, but nothing fuses across it. f(reshape(x), y)
// becomes reshape(f(x, reshape(y))) for elementwise f and for operators on rows
// that the reshape keeps, so that what follows a product joins its kernel.
//
//===----------------------------------------------------------------------===//

#include "compiler/transforms/Evaluate.h"
#include "compiler/transforms/Passes.h"
#include "compiler/transforms/Utils.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;
using namespace aicc;
using namespace aicc::graph;
using namespace aicc::transforms;

namespace {
ReshapeOp reshapeOf(Value value) {
  auto op = value.getDefiningOp<ReshapeOp>();
  return op && !isConstantDerived(op.getOperand()) ? op : ReshapeOp();
}

/// How a broadcast to the reshape's result would be a broadcast to its
/// operand: dimensions of the new source and where they go.
struct Remapped {
  SmallVector<AffineExpr> dims;
  SmallVector<int64_t> dimensions;
};
std::optional<Remapped> remap(BroadcastOp broadcast,
                              ArrayRef<ReshapeGroup> groups,
                              ArrayRef<AffineExpr> from,
                              ArrayRef<AffineExpr> to) {
  SmallVector<AffineExpr> source = dimsOf(broadcast.getOperand());
  SmallVector<bool> full(to.size(), false);
  for (auto [i, dim] : llvm::enumerate(broadcast.getDimensions()))
    if (!isConstant(source[i], 1))
      full[dim] = true;
  Remapped result;
  for (const ReshapeGroup &group : groups) {
    unsigned used = 0, wide = 0;
    for (unsigned k = 0; k < group.toCount; ++k) {
      used += full[group.toBegin + k];
      wide += !isConstant(to[group.toBegin + k], 1);
    }
    if (used == 0)
      continue;
    if (used != wide)
      return std::nullopt;
    for (unsigned k = 0; k < group.fromCount; ++k) {
      result.dims.push_back(from[group.fromBegin + k]);
      result.dimensions.push_back(group.fromBegin + k);
    }
  }
  return result;
}

struct SinkThroughElementwise : RewritePattern {
  SinkThroughElementwise(MLIRContext *context)
      : RewritePattern(MatchAnyOpTypeTag(), 1, context) {}

  LogicalResult matchAndRewrite(Operation *op,
                                PatternRewriter &rewriter) const override {
    if (!op->hasTrait<Elementwise>() || op->getNumResults() != 1)
      return failure();
    for (Value operand : op->getOperands())
      if (ReshapeOp reshape = reshapeOf(operand))
        if (succeeded(sink(op, reshape, rewriter)))
          return success();
    return failure();
  }

  LogicalResult sink(Operation *op, ReshapeOp reshape,
                     PatternRewriter &rewriter) const {
    SmallVector<AffineExpr> from = dimsOf(reshape.getOperand());
    SmallVector<AffineExpr> to = dimsOf(reshape.getResult());
    // Only from fewer dimensions to more, or two operands would take turns.
    if (from.size() >= to.size())
      return failure();
    auto groups = groupsOf(from, to);
    SmallVector<std::optional<Remapped>> broadcasts;
    for (Value operand : op->getOperands()) {
      broadcasts.emplace_back();
      auto broadcast = operand.getDefiningOp<BroadcastOp>();
      if (!broadcast)
        continue;
      // A scalar needs no groups.
      if (isConstant(numElements(cast<RankedTensorType>(
                         broadcast.getOperand().getType())),
                     1))
        broadcasts.back() = Remapped();
      else if (groups)
        broadcasts.back() = remap(broadcast, *groups, from, to);
      if (!broadcasts.back())
        return failure();
    }
    SmallVector<Value> operands;
    for (auto [operand, remapped] : llvm::zip(op->getOperands(), broadcasts)) {
      auto element = getElementTypeOrSelf(operand.getType());
      if (!remapped) {
        operands.push_back(reshaped(rewriter, op->getLoc(), operand, from));
        continue;
      }
      auto broadcast = operand.getDefiningOp<BroadcastOp>();
      Value source = reshaped(rewriter, broadcast.getLoc(),
                              broadcast.getOperand(), remapped->dims);
      operands.push_back(BroadcastOp::create(
          rewriter, broadcast.getLoc(), makeType(from, element), source,
          rewriter.getDenseI64ArrayAttr(remapped->dimensions)));
    }
    Operation *inner = cloneWith(rewriter, op, operands, from);
    rewriter.replaceOpWithNewOp<ReshapeOp>(op, op->getResult(0).getType(),
                                           inner->getResult(0));
    return success();
  }
};

/// Softmax and normalisation over last dimensions that the reshape keeps.
struct SinkThroughRows : RewritePattern {
  SinkThroughRows(MLIRContext *context)
      : RewritePattern(MatchAnyOpTypeTag(), 1, context) {}

  LogicalResult matchAndRewrite(Operation *op,
                                PatternRewriter &rewriter) const override {
    if (!isa<SoftmaxOp, NormalizeOp>(op))
      return failure();
    ReshapeOp reshape = reshapeOf(op->getOperand(0));
    if (!reshape)
      return failure();
    auto axis = op->getAttrOfType<IntegerAttr>("axis").getInt();
    SmallVector<AffineExpr> from = dimsOf(reshape.getOperand());
    SmallVector<AffineExpr> to = dimsOf(reshape.getResult());
    int64_t rows = int64_t(to.size()) - axis;
    if (int64_t(from.size()) < rows)
      return failure();
    for (int64_t i = 1; i <= rows; ++i)
      if (!equal(from[from.size() - i], to[to.size() - i]))
        return failure();
    Operation *inner = cloneWith(rewriter, op, reshape.getOperand(), from);
    inner->setAttr("axis", rewriter.getI64IntegerAttr(from.size() - rows));
    rewriter.replaceOpWithNewOp<ReshapeOp>(op, op->getResult(0).getType(),
                                           inner->getResult(0));
    return success();
  }
};

struct ComposeReshapes : OpRewritePattern<ReshapeOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(ReshapeOp op,
                                PatternRewriter &rewriter) const override {
    if (op.getOperand().getType() != op.getType() &&
        !op.getOperand().getDefiningOp<ReshapeOp>())
      return failure();
    rewriter.replaceOp(op, reshaped(rewriter, op.getLoc(), op.getOperand(),
                                    dimsOf(op.getResult())));
    return success();
  }
};

struct SinkReshapesPass
    : PassWrapper<SinkReshapesPass, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(SinkReshapesPass)
  StringRef getArgument() const final { return "aicc-sink-reshapes"; }
  StringRef getDescription() const final {
    return "Move reshapes toward the results, out of the way of fusion";
  }
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<SinkThroughElementwise, SinkThroughRows, ComposeReshapes>(
        &getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace

std::unique_ptr<Pass> aicc::transforms::createSinkReshapesPass() {
  return std::make_unique<SinkReshapesPass>();
}
