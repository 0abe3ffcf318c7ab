//===- ChooseLayout.cpp - channels last -----------------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// Every convolution, pooling and resampling gets a transpose before and after;
// SinkTransposes makes them meet, so that a network keeps them only at its
// inputs and outputs.
//
//===----------------------------------------------------------------------===//

#include "compiler/transforms/Passes.h"
#include "compiler/transforms/Utils.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace aicc;
using namespace aicc::graph;
using namespace aicc::transforms;

namespace {
/// [N, C, spatial...] to [N, spatial..., C].
SmallVector<int64_t> channelsToLast(int64_t rank) {
  SmallVector<int64_t> perm = {0};
  for (int64_t i = 2; i < rank; ++i)
    perm.push_back(i);
  perm.push_back(1);
  return perm;
}

struct ChooseLayoutPass
    : PassWrapper<ChooseLayoutPass, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ChooseLayoutPass)
  StringRef getArgument() const final { return "aicc-choose-layout"; }
  StringRef getDescription() const final {
    return "Convolutions, pooling and resampling on channels-last tensors";
  }

  explicit ChooseLayoutPass(OperatorFilter only = {}) : only(std::move(only)) {}

  void convolution(ConvolutionOp op) {
    OpBuilder builder(op);
    Location loc = op.getLoc();
    auto type = cast<RankedTensorType>(op.getType());
    SmallVector<int64_t> perm = channelsToLast(type.getRank());
    // [F, C, spatial...] to [spatial..., C, F].
    SmallVector<int64_t> filterPerm;
    for (int64_t i = 2; i < type.getRank(); ++i)
      filterPerm.push_back(i);
    filterPerm.append({1, 0});
    Value operand = transposed(builder, loc, op.getOperand(), perm);
    Value filter = transposed(builder, op.getFilter().getLoc(), op.getFilter(),
                              filterPerm);
    Operation *inner =
        cloneWith(builder, op, {operand, filter},
                  permute<AffineExpr>(dimsOf(type), ArrayRef<int64_t>(perm)));
    cast<ConvolutionOp>(inner).setChannelsLast(true);
    replace(builder, op, inner, perm);
  }

  /// Pooling and resampling: arrays with an entry for each dimension.
  void window(Operation *op, int64_t rank) {
    OpBuilder builder(op);
    SmallVector<int64_t> perm = channelsToLast(rank);
    Value operand = transposed(builder, op->getLoc(), op->getOperand(0), perm);
    Operation *inner = cloneWith(
        builder, op, operand,
        permute<AffineExpr>(dimsOf(op->getResult(0)), ArrayRef<int64_t>(perm)));
    for (StringRef name :
         {"window", "strides", "low", "high", "dilations", "excess"})
      if (auto array = op->getAttrOfType<DenseI64ArrayAttr>(name))
        inner->setAttr(name, builder.getDenseI64ArrayAttr(permute(
                                 array.asArrayRef(), ArrayRef<int64_t>(perm))));
    if (auto array = op->getAttrOfType<DenseF64ArrayAttr>("scales"))
      inner->setAttr("scales",
                     builder.getDenseF64ArrayAttr(
                         permute(array.asArrayRef(), ArrayRef<int64_t>(perm))));
    replace(builder, op, inner, perm);
  }

  static void replace(OpBuilder &builder, Operation *op, Operation *inner,
                      ArrayRef<int64_t> perm) {
    Value back =
        transposed(builder, op->getLoc(), inner->getResult(0), inverseOf(perm));
    op->getResult(0).replaceAllUsesWith(back);
    op->erase();
  }

  void runOnOperation() override {
    SmallVector<Operation *> ops;
    getOperation().walk([&](Operation *op) {
      if (op->getNumResults() != 1 || (only && !only(op)))
        return;
      auto type = dyn_cast<RankedTensorType>(op->getResult(0).getType());
      if (!type || type.getRank() < 3)
        return;
      if (auto conv = dyn_cast<ConvolutionOp>(op)) {
        if (!conv.getChannelsLast())
          ops.push_back(op);
      } else if (auto pool = dyn_cast<ReduceWindowOp>(op)) {
        // Only where dimension 1 is the channels: no window along it.
        if (pool.getWindow()[1] == 1 && pool.getWindow().back() != 1)
          ops.push_back(op);
      } else if (auto resize = dyn_cast<ResizeOp>(op)) {
        if (resize.getScales()[1] == 1 && resize.getScales().back() != 1)
          ops.push_back(op);
      }
    });
    for (Operation *op : ops) {
      if (auto conv = dyn_cast<ConvolutionOp>(op))
        convolution(conv);
      else
        window(op,
               cast<RankedTensorType>(op->getResult(0).getType()).getRank());
    }
  }

  OperatorFilter only;
};
} // namespace

std::unique_ptr<Pass>
aicc::transforms::createChooseLayoutPass(OperatorFilter only) {
  return std::make_unique<ChooseLayoutPass>(std::move(only));
}
