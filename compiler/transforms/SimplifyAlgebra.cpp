//===- SimplifyAlgebra.cpp - identities of elementwise operators ----------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// Only identities that hold to the bit for every operand, NaN and -0 included
// (x + 0 turns -0 into 0, so it is x + -0 that goes; x + 0 goes for integers).
//
//===----------------------------------------------------------------------===//

#include "compiler/transforms/Evaluate.h"
#include "compiler/transforms/Passes.h"
#include "compiler/transforms/Utils.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

#include <cmath>

using namespace mlir;
using namespace aicc;
using namespace aicc::graph;
using namespace aicc::transforms;

namespace {
bool isFloat(Value value) {
  return isa<FloatType>(getElementTypeOrSelf(value.getType()));
}

/// The operator that leaves its other operand as it is.
struct DropIdentities : RewritePattern {
  DropIdentities(MLIRContext *context)
      : RewritePattern(MatchAnyOpTypeTag(), 1, context) {}

  LogicalResult matchAndRewrite(Operation *op,
                                PatternRewriter &rewriter) const override {
    if (!isa<AddOp, SubtractOp, MultiplyOp, DivideOp, PowerOp>(op) ||
        getElementTypeOrSelf(op->getResult(0).getType()).isInteger(1))
      return failure();
    auto keep = [&](unsigned operand) {
      rewriter.replaceOp(op, op->getOperand(operand));
      return success();
    };
    auto lhs = splatValue(op->getOperand(0));
    auto rhs = splatValue(op->getOperand(1));
    bool isInt = !isFloat(op->getResult(0));
    auto neutral = [&](std::optional<double> x, bool negativeZero) {
      return x && *x == 0 && (isInt || std::signbit(*x) == negativeZero);
    };
    if (isa<AddOp>(op) && neutral(rhs, true))
      return keep(0);
    if (isa<AddOp>(op) && neutral(lhs, true))
      return keep(1);
    if (isa<SubtractOp>(op) && neutral(rhs, false))
      return keep(0);
    if (isa<MultiplyOp, DivideOp, PowerOp>(op) && rhs == 1.0)
      return keep(0);
    if (isa<MultiplyOp>(op) && lhs == 1.0)
      return keep(1);
    return failure();
  }
};

/// x / c = x * (1 / c) where 1 / c is exact: c a power of two in range.
struct DivideByPowerOfTwo : OpRewritePattern<DivideOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(DivideOp op,
                                PatternRewriter &rewriter) const override {
    auto type = cast<RankedTensorType>(op.getType());
    if (!type.getElementType().isF32() && !type.getElementType().isF64())
      return failure();
    auto divisor = splatValue(op.getRhs());
    int exponent;
    if (!divisor || std::abs(std::frexp(*divisor, &exponent)) != 0.5 ||
        std::abs(exponent) > 64)
      return failure();
    auto scalar = RankedTensorType::get({}, type.getElementType());
    Value factor = graph::ConstantOp::create(
        rewriter, op.getLoc(), transforms::makeConstant(scalar, {1 / *divisor}));
    factor = BroadcastOp::create(rewriter, op.getLoc(), type, factor,
                                 rewriter.getDenseI64ArrayAttr({}));
    rewriter.replaceOpWithNewOp<MultiplyOp>(op, type, op.getLhs(), factor);
    return success();
  }
};

/// f(broadcast(x), broadcast(y)) = broadcast(f(x, y)) where both are repeated
/// alike.
struct HoistBroadcast : RewritePattern {
  HoistBroadcast(MLIRContext *context)
      : RewritePattern(MatchAnyOpTypeTag(), 1, context) {}

  LogicalResult matchAndRewrite(Operation *op,
                                PatternRewriter &rewriter) const override {
    if (!op->hasTrait<Elementwise>() || op->getNumResults() != 1)
      return failure();
    BroadcastOp first;
    SmallVector<Value> operands;
    for (Value operand : op->getOperands()) {
      auto broadcast = operand.getDefiningOp<BroadcastOp>();
      if (!broadcast)
        return failure();
      if (!first)
        first = broadcast;
      if (dimsOf(broadcast.getOperand()) != dimsOf(first.getOperand()) ||
          broadcast.getDimensions() != first.getDimensions())
        return failure();
      operands.push_back(broadcast.getOperand());
    }
    if (!first)
      return failure();
    Operation *inner =
        cloneWith(rewriter, op, operands, dimsOf(first.getOperand()));
    rewriter.replaceOpWithNewOp<BroadcastOp>(
        op, op->getResult(0).getType(), inner->getResult(0),
        first.getDimensionsAttr());
    return success();
  }
};

/// broadcast(broadcast(x)) is one broadcast.
struct ComposeBroadcasts : OpRewritePattern<BroadcastOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(BroadcastOp op,
                                PatternRewriter &rewriter) const override {
    auto inner = op.getOperand().getDefiningOp<BroadcastOp>();
    if (!inner)
      return failure();
    SmallVector<int64_t> dimensions;
    for (int64_t dim : inner.getDimensions())
      dimensions.push_back(op.getDimensions()[dim]);
    rewriter.replaceOpWithNewOp<BroadcastOp>(
        op, op.getType(), inner.getOperand(),
        rewriter.getDenseI64ArrayAttr(dimensions));
    return success();
  }
};

/// A reshape that only adds or drops unit dimensions before a broadcast is
/// part of the broadcast.
struct BroadcastOfReshape : OpRewritePattern<BroadcastOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(BroadcastOp op,
                                PatternRewriter &rewriter) const override {
    auto reshape = op.getOperand().getDefiningOp<ReshapeOp>();
    if (!reshape)
      return failure();
    auto groups =
        groupsOf(dimsOf(reshape.getOperand()), dimsOf(reshape.getResult()));
    if (!groups)
      return failure();
    SmallVector<int64_t> dimensions;
    for (const ReshapeGroup &group : *groups) {
      if (group.fromCount == 0 && group.toCount == 1)
        continue;
      if (group.fromCount != 1 || group.toCount != 1)
        return failure();
      dimensions.push_back(op.getDimensions()[group.toBegin]);
    }
    rewriter.replaceOpWithNewOp<BroadcastOp>(
        op, op.getType(), reshape.getOperand(),
        rewriter.getDenseI64ArrayAttr(dimensions));
    return success();
  }
};

struct ComposeReshapes : OpRewritePattern<ReshapeOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(ReshapeOp op,
                                PatternRewriter &rewriter) const override {
    if (op.getOperand().getType() == op.getType()) {
      rewriter.replaceOp(op, op.getOperand());
      return success();
    }
    auto inner = op.getOperand().getDefiningOp<ReshapeOp>();
    if (!inner)
      return failure();
    rewriter.replaceOpWithNewOp<ReshapeOp>(op, op.getType(),
                                           inner.getOperand());
    return success();
  }
};

struct SimplifyAlgebraPass
    : PassWrapper<SimplifyAlgebraPass, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(SimplifyAlgebraPass)
  StringRef getArgument() const final { return "aicc-simplify-algebra"; }
  StringRef getDescription() const final {
    return "Apply exact identities of elementwise operators";
  }
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<DropIdentities, DivideByPowerOfTwo, HoistBroadcast,
                 ComposeBroadcasts, BroadcastOfReshape, ComposeReshapes>(
        &getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace

std::unique_ptr<Pass> aicc::transforms::createSimplifyAlgebraPass() {
  return std::make_unique<SimplifyAlgebraPass>();
}
