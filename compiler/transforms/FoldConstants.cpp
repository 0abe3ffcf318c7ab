//===- FoldConstants.cpp - operators on constants -------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/transforms/Evaluate.h"
#include "compiler/transforms/Passes.h"
#include "dialects/graph/Graph.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace aicc;
using namespace aicc::graph;
using namespace aicc::transforms;

namespace {
/// A result up to this size is folded even if its operands are smaller.
constexpr int64_t smallBytes = 1 << 20;

/// A larger one is folded only up to this many times what it is made of.
constexpr int64_t growth = 4;

/// Nor is anything larger than this made of next to nothing, a mask of iotas
/// say, whatever is asked for: sessions make it.
constexpr int64_t largeBytes = 64 << 20;

int64_t bytesOfTensor(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor || !tensor.hasStaticShape())
    return -1;
  unsigned bytes = bytesOf(tensor.getElementType());
  int64_t count;
  if (!bytes ||
      llvm::MulOverflow<int64_t>(tensor.getNumElements(), bytes, count))
    return -1;
  return count;
}

struct FoldConstantsPass
    : PassWrapper<FoldConstantsPass, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(FoldConstantsPass)

  FoldConstantsPass(bool all) { this->all = all; }
  FoldConstantsPass(const FoldConstantsPass &other) : PassWrapper(other) {}

  StringRef getArgument() const final { return "aicc-fold-constants"; }
  StringRef getDescription() const final {
    return "Evaluate operators on constants";
  }

  Option<bool> all{*this, "all", llvm::cl::init(false),
                   llvm::cl::desc("Also what is larger than its operands")};

  /// Operators that are left to the session although they are constant.
  llvm::DenseSet<Operation *> compressed;

  /// The constant that `value` is, evaluating what is never kept as a constant
  /// of its own (broadcasts and iotas) on the way.
  ElementsAttr constantOf(Value value, int64_t limit) {
    Operation *op = value.getDefiningOp();
    if (!op)
      return {};
    if (auto constant = dyn_cast<graph::ConstantOp>(op))
      return constant.getValue();
    if (!isa<BroadcastOp, IotaOp>(op) || bytesOfTensor(value.getType()) > limit)
      return {};
    SmallVector<ElementsAttr> operands;
    for (Value operand : op->getOperands()) {
      operands.push_back(constantOf(operand, limit));
      if (!operands.back())
        return {};
    }
    return evaluate(op, operands);
  }

  /// What `value` is computed from: the operators that have to be evaluated,
  /// and the bytes of the constants at their beginning. False where something
  /// is not constant.
  bool collect(Value value, llvm::SetVector<Operation *> &ops, int64_t &bytes) {
    Operation *op = value.getDefiningOp();
    if (!op || op->getNumResults() != 1)
      return false;
    if (ops.contains(op))
      return true;
    if (isa<graph::ConstantOp>(op)) {
      ops.insert(op);
      bytes += std::max<int64_t>(0, bytesOfTensor(value.getType()));
      return true;
    }
    if (!canEvaluate(op))
      return false;
    for (Value operand : op->getOperands())
      if (!collect(operand, ops, bytes))
        return false;
    ops.insert(op);
    return true;
  }

  /// Finds weights that are stored in a few bits and would be many times
  /// larger as what a kernel reads: those are prepared by each session, so
  /// that the package stays as small as the model.
  void findCompressed() {
    getOperation().walk([&](Operation *op) {
      if (op->getNumResults() != 1 || isa<graph::ConstantOp>(op) ||
          !canEvaluate(op))
        return;
      int64_t result = bytesOfTensor(op->getResult(0).getType());
      if (result <= smallBytes || isa<BroadcastOp, IotaOp>(op) ||
          compressed.contains(op))
        return;
      llvm::SetVector<Operation *> ops;
      int64_t bytes = 0;
      // What is computed from next to nothing is no weight.
      if (!collect(op->getResult(0), ops, bytes) ||
          bytes < smallBytes / growth || result <= growth * bytes)
        return;
      // Only what somebody reads that is no preparation itself; the steps on
      // the way may be larger than what they lead to.
      for (Operation *user : op->getUsers()) {
        llvm::SetVector<Operation *> more;
        int64_t ignored = 0;
        if (user->getNumResults() == 1 &&
            collect(user->getResult(0), more, ignored))
          return;
      }
      compressed.insert(ops.begin(), ops.end());
    });
  }

  void visit(Operation *op) {
    if (op->getNumResults() != 1 || isa<graph::ConstantOp>(op) ||
        !canEvaluate(op) || compressed.contains(op))
      return;
    // As constants these would only be larger.
    if (isa<BroadcastOp, IotaOp>(op))
      return;
    int64_t bytes = bytesOfTensor(op->getResult(0).getType());
    if (bytes < 0)
      return;
    int64_t operandBytes = 0;
    for (Value operand : op->getOperands())
      if (auto constant = operand.getDefiningOp<graph::ConstantOp>())
        if (!constant.getValue().isSplat())
          operandBytes += bytesOfTensor(operand.getType());
    if (all ? bytes > largeBytes && bytes / growth > operandBytes
            : bytes > smallBytes && bytes > operandBytes)
      return;
    SmallVector<ElementsAttr> operands;
    for (Value operand : op->getOperands()) {
      operands.push_back(constantOf(operand, std::max(smallBytes, bytes)));
      if (!operands.back())
        return;
    }
    ElementsAttr value = evaluate(op, operands);
    if (!value)
      return;
    OpBuilder builder(op);
    auto constant = graph::ConstantOp::create(builder, op->getLoc(), value);
    op->getResult(0).replaceAllUsesWith(constant.getResult());
    op->erase();
  }

  void runOnOperation() override {
    compressed.clear();
    if (all)
      findCompressed();
    getOperation().walk([&](Block *block) {
      for (Operation &op : llvm::make_early_inc_range(*block))
        visit(&op);
    });
    // What no longer has users, in reverse so that chains go in one sweep.
    getOperation().walk([&](Block *block) {
      for (Operation &op : llvm::make_early_inc_range(llvm::reverse(*block)))
        if (isOpTriviallyDead(&op))
          op.erase();
    });
  }
};
} // namespace

std::unique_ptr<Pass> aicc::transforms::createFoldConstantsPass(bool all) {
  return std::make_unique<FoldConstantsPass>(all);
}
