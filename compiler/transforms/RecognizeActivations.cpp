//===- RecognizeActivations.cpp - decomposed activation functions ---------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// Exporters spell the same function in many ways. Each gets its cheapest form:
//
//   1 / (1 + exp(-x))                  sigmoid(x)
//   x / (1 + exp(-x))                  x * sigmoid(x)              SiLU
//   0.5 * x * (1 + erf(x / sqrt 2))    x * (0.5 * erf(..) + 0.5)   GELU
//   0.5 * x * (1 + tanh(u))            x * sigmoid(2 u)            tanh GELU
//   x^2, x^3, x^-1                     products, a reciprocal
//
// where factors of GELU may be multiplied in any order.
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
bool isFloat(Operation *op) {
  return isa<FloatType>(getElementTypeOrSelf(op->getResult(0).getType()));
}

/// x where `value` is 1 + exp(-x).
Value matchLogisticDivisor(Value value) {
  WithScalar one = addedScalar(value);
  Value exponent =
      one && one.scalar == 1 ? operandOf<ExpOp>(one.value) : Value();
  if (Value x = operandOf<NegateOp>(exponent))
    return x;
  WithScalar minus = multipliedScalar(exponent);
  return minus && minus.scalar == -1 ? minus.value : Value();
}

struct Sigmoid : RewritePattern {
  Sigmoid(MLIRContext *context)
      : RewritePattern(MatchAnyOpTypeTag(), 1, context) {}

  LogicalResult matchAndRewrite(Operation *op,
                                PatternRewriter &rewriter) const override {
    if (!isa<DivideOp, ReciprocalOp>(op) || !isFloat(op))
      return failure();
    Value x = matchLogisticDivisor(op->getOperands().back());
    if (!x)
      return failure();
    Type type = op->getResult(0).getType();
    Value y = SigmoidOp::create(rewriter, op->getLoc(), type, x);
    if (isa<DivideOp>(op) && !isSplat(op->getOperand(0), 1))
      y = MultiplyOp::create(rewriter, op->getLoc(), type, op->getOperand(0),
                             y);
    rewriter.replaceOp(op, y);
    return success();
  }
};

/// The factors of a product, constants gathered into one.
struct Factors {
  SmallVector<Value> values;
  double scalar = 1;
};

void gather(Value value, Factors &factors, bool root, unsigned depth = 0) {
  auto product = value.getDefiningOp<MultiplyOp>();
  if (WithScalar scaled = multipliedScalar(value);
      scaled && depth < 4 && (root || value.hasOneUse())) {
    factors.scalar *= scaled.scalar;
    return gather(scaled.value, factors, false, depth + 1);
  }
  if (!product || depth >= 4 || !(root || value.hasOneUse())) {
    factors.values.push_back(value);
    return;
  }
  gather(product.getLhs(), factors, false, depth + 1);
  gather(product.getRhs(), factors, false, depth + 1);
}

/// 0.5 x (1 + f(..)) in any order, f being erf of x / sqrt 2 or a tanh.
struct Gelu : OpRewritePattern<MultiplyOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(MultiplyOp op,
                                PatternRewriter &rewriter) const override {
    if (!isFloat(op))
      return failure();
    Factors factors;
    gather(op.getResult(), factors, true);
    if (factors.values.size() != 2 || factors.scalar != 0.5)
      return failure();
    for (unsigned side : {0, 1}) {
      Value x = factors.values[1 - side];
      WithScalar one = addedScalar(factors.values[side]);
      if (!one || one.scalar != 1)
        continue;
      Location loc = op.getLoc();
      auto type = cast<RankedTensorType>(op.getType());
      // What erf is taken of does not matter for the factors around it.
      if (operandOf<ErfOp>(one.value)) {
        Value half = transforms::splat(rewriter, loc, type, 0.5);
        Value y = MultiplyOp::create(rewriter, loc, type, one.value, half);
        y = AddOp::create(rewriter, loc, type, y, half);
        rewriter.replaceOpWithNewOp<MultiplyOp>(op, type, x, y);
        return success();
      }
      if (Value inner = operandOf<TanhOp>(one.value)) {
        // (1 + tanh u) / 2 = sigmoid(2 u), and a factor of u takes the 2.
        WithScalar scaled = multipliedScalar(inner);
        Value twice = MultiplyOp::create(
            rewriter, loc, type, scaled ? scaled.value : inner,
            transforms::splat(rewriter, loc, type,
                              scaled ? 2 * scaled.scalar : 2));
        Value y = SigmoidOp::create(rewriter, loc, type, twice);
        rewriter.replaceOpWithNewOp<MultiplyOp>(op, type, x, y);
        return success();
      }
    }
    return failure();
  }
};

struct SmallPower : OpRewritePattern<PowerOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(PowerOp op,
                                PatternRewriter &rewriter) const override {
    auto exponent = splatValue(op.getRhs());
    if (!exponent || !isFloat(op))
      return failure();
    Type type = op.getType();
    Value x = op.getLhs();
    if (*exponent == -1) {
      rewriter.replaceOpWithNewOp<ReciprocalOp>(op, type, x);
      return success();
    }
    if (*exponent != 2 && *exponent != 3)
      return failure();
    Value y = MultiplyOp::create(rewriter, op.getLoc(), type, x, x);
    if (*exponent == 3)
      y = MultiplyOp::create(rewriter, op.getLoc(), type, y, x);
    rewriter.replaceOp(op, y);
    return success();
  }
};

struct RecognizeActivationsPass
    : PassWrapper<RecognizeActivationsPass, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(RecognizeActivationsPass)
  StringRef getArgument() const final { return "aicc-recognize-activations"; }
  StringRef getDescription() const final {
    return "Decomposed sigmoid, SiLU, GELU and small powers in one form";
  }
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<Sigmoid, Gelu, SmallPower>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace

std::unique_ptr<Pass> aicc::transforms::createRecognizeActivationsPass() {
  return std::make_unique<RecognizeActivationsPass>();
}
