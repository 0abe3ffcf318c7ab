//===- LowerKernels.cpp - kernel bodies from graph to linalg --------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/lowering/Writer.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Dominance.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Rewrite/FrozenRewritePatternSet.h"
#include "mlir/Rewrite/PatternApplicator.h"
#include "mlir/Transforms/CSE.h"

using namespace mlir;
using namespace aicc;
using namespace aicc::lowering;

/// Nothing to compute: a result without elements, whatever the operator. The
/// families need not care about sizes of 0 that are known.
static bool lowerEmpty(Operation *op, PatternRewriter &rewriter) {
  if (op->getNumResults() != 1 || op->hasTrait<OpTrait::ConstantLike>())
    return false;
  auto type = dyn_cast<RankedTensorType>(op->getResult(0).getType());
  if (!type || !llvm::is_contained(type.getShape(), 0))
    return false;
  Writer w(rewriter, op);
  Type element = signless(type.getElementType());
  w.replace(
      w.fill(graph::dimsOf(type), cast<TypedAttr>(w.b.getZeroAttr(element))));
  return true;
}

/// Removes pairs of casts that cancel; fails on a graph value without lowering.
static LogicalResult joinCasts(Block &body) {
  for (Operation &op : llvm::make_early_inc_range(body)) {
    auto cast = dyn_cast<UnrealizedConversionCastOp>(op);
    if (!cast)
      continue;
    auto inner = cast.getOperand(0).getDefiningOp<UnrealizedConversionCastOp>();
    if (inner && inner.getOperand(0).getType() == cast.getResult(0).getType())
      cast.getResult(0).replaceAllUsesWith(inner.getOperand(0));
  }
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(body))) {
    auto cast = dyn_cast<UnrealizedConversionCastOp>(op);
    if (!cast)
      continue;
    if (!cast.use_empty())
      return cast.emitOpError() << "from " << cast.getOperand(0).getType()
                                << " to " << cast.getResult(0).getType()
                                << " is left after lowering, expected none";
    cast.erase();
  }
  return success();
}

/// Removes operations whose results nobody reads.
static void dropUnused(Block &body) {
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(body)))
    if (isOpTriviallyDead(&op))
      op.erase();
}

static LogicalResult lowerBody(exec::KernelOp kernel,
                               const FrozenRewritePatternSet &patterns) {
  Block &body = *kernel.getBodyBlock();
  PatternRewriter rewriter(kernel.getContext());

  // Arguments and results take their lowered types.
  rewriter.setInsertionPointToStart(&body);
  for (BlockArgument arg : body.getArguments()) {
    auto type = dyn_cast<RankedTensorType>(arg.getType());
    if (!type)
      return kernel.emitOpError()
             << "argument " << arg.getArgNumber() << " is " << arg.getType()
             << ", expected a ranked tensor";
    RankedTensorType plain = loweredType(type);
    if (plain == type)
      continue;
    arg.setType(plain);
    auto cast =
        UnrealizedConversionCastOp::create(rewriter, arg.getLoc(), type, arg);
    arg.replaceAllUsesExcept(cast.getResult(0), cast);
  }
  Operation *terminator = body.getTerminator();
  {
    Writer w(rewriter, terminator);
    for (OpOperand &operand : terminator->getOpOperands())
      operand.set(w.lowered(operand.get()));
  }

  PatternApplicator applicator(patterns);
  applicator.applyDefaultCostModel();
  auto *dialect = kernel.getContext()->getLoadedDialect<graph::GraphDialect>();
  SmallVector<Operation *> ops;
  for (Operation &op : body)
    if (op.getDialect() == dialect)
      ops.push_back(&op);
  for (Operation *op : ops) {
    rewriter.setInsertionPoint(op);
    if (lowerEmpty(op, rewriter))
      continue;
    if (failed(applicator.matchAndRewrite(op, rewriter)))
      return op->emitOpError("can't be lowered to linalg");
  }
  if (failed(joinCasts(body)))
    return failure();
  dropUnused(body);
  DominanceInfo dominance;
  eliminateCommonSubExpressions(rewriter, dominance, kernel);
  return success();
}

static FrozenRewritePatternSet makePatterns(MLIRContext *context) {
  RewritePatternSet patterns(context);
  populateElementwise(patterns);
  populateStructure(patterns);
  populateReduction(patterns);
  populateIndexing(patterns);
  return FrozenRewritePatternSet(std::move(patterns));
}

LogicalResult lowering::lowerKernel(exec::KernelOp kernel) {
  return lowerBody(kernel, makePatterns(kernel.getContext()));
}

namespace {
struct LowerKernelsPass
    : PassWrapper<LowerKernelsPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(LowerKernelsPass)

  StringRef getArgument() const override { return "aicc-lower-kernels"; }
  StringRef getDescription() const override {
    return "lower the bodies of all kernels from graph to linalg";
  }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<arith::ArithDialect, linalg::LinalgDialect,
                    math::MathDialect, tensor::TensorDialect, exec::ExecDialect,
                    graph::GraphDialect>();
  }
  LogicalResult initialize(MLIRContext *context) override {
    patterns = makePatterns(context);
    return success();
  }
  void runOnOperation() override {
    for (auto kernel : getOperation().getOps<exec::KernelOp>())
      if (failed(lowerBody(kernel, patterns)))
        return signalPassFailure();
  }

  FrozenRewritePatternSet patterns;
};
} // namespace

std::unique_ptr<Pass> lowering::createLowerKernelsPass() {
  return std::make_unique<LowerKernelsPass>();
}
