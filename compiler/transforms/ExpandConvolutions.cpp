//===- ExpandConvolutions.cpp - padding and 1x1 convolutions --------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// The padding of a channels-last convolution becomes an operator of its own,
// so that the convolution's loops never test a border; a 1x1 convolution that
// reads every pixel once is a product of [pixels, C] and [C, F].
//
//===----------------------------------------------------------------------===//

#include "compiler/transforms/Evaluate.h"
#include "compiler/transforms/Passes.h"
#include "compiler/transforms/Utils.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace aicc;
using namespace aicc::graph;
using namespace aicc::transforms;

namespace {
bool allAre(ArrayRef<int64_t> values, int64_t value) {
  return llvm::all_of(values, [&](int64_t v) { return v == value; });
}

struct ExpandConvolutionsPass
    : PassWrapper<ExpandConvolutionsPass, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ExpandConvolutionsPass)
  StringRef getArgument() const final { return "aicc-expand-convolutions"; }
  StringRef getDescription() const final {
    return "Pad before convolutions; 1x1 convolutions become products";
  }

  void pad(ConvolutionOp op) {
    OpBuilder builder(op);
    Location loc = op.getLoc();
    auto type = cast<RankedTensorType>(op.getOperand().getType());
    SmallVector<int64_t> low(type.getRank(), 0), high(type.getRank(), 0);
    SmallVector<AffineExpr> dims = dimsOf(type);
    for (size_t i = 0; i < op.getLow().size(); ++i) {
      low[i + 1] = op.getLow()[i];
      high[i + 1] = op.getHigh()[i];
      dims[i + 1] = dims[i + 1] + low[i + 1] + high[i + 1];
    }
    Type element = type.getElementType();
    Value zero = graph::ConstantOp::create(
        builder, loc,
        transforms::makeConstant(RankedTensorType::get({}, element), {0.0}));
    Value padded = PadOp::create(
        builder, loc, makeType(dims, element), op.getOperand(), zero,
        AffineMapAttr::get(makeMap(ArrayRef<int64_t>(low), &getContext())),
        AffineMapAttr::get(makeMap(ArrayRef<int64_t>(high), &getContext())),
        PadModeAttr::get(&getContext(), PadMode::constant));
    SmallVector<int64_t> none(op.getLow().size(), 0);
    op->setOperand(0, padded);
    op.setLow(none);
    op.setHigh(none);
  }

  void product(ConvolutionOp op) {
    OpBuilder builder(op);
    Location loc = op.getLoc();
    SmallVector<AffineExpr> dims = dimsOf(op.getOperand());
    SmallVector<AffineExpr> filter = dimsOf(op.getFilter());
    AffineExpr pixels = dims[0];
    for (size_t i = 1; i + 1 < dims.size(); ++i)
      pixels = pixels * dims[i];
    AffineExpr in = filter[filter.size() - 2], out = filter.back();
    Value lhs = reshaped(builder, loc, op.getOperand(), {pixels, in});
    Value rhs = reshaped(builder, op.getFilter().getLoc(), op.getFilter(),
                         {in, out});
    auto type = cast<RankedTensorType>(op.getType());
    Value dot = DotGeneralOp::create(
        builder, loc, makeType({pixels, out}, type.getElementType()), lhs, rhs,
        builder.getDenseI64ArrayAttr({}), builder.getDenseI64ArrayAttr({}),
        builder.getDenseI64ArrayAttr({1}), builder.getDenseI64ArrayAttr({0}),
        op.getAccumulatorAttr(), builder.getI64IntegerAttr(0),
        builder.getI64IntegerAttr(0));
    Value result = ReshapeOp::create(builder, loc, type, dot);
    op.getResult().replaceAllUsesWith(result);
    op.erase();
  }

  void runOnOperation() override {
    SmallVector<ConvolutionOp> ops;
    getOperation().walk([&](ConvolutionOp op) {
      if (op.getChannelsLast() && !op.getPacked())
        ops.push_back(op);
    });
    for (ConvolutionOp op : ops) {
      auto filter = cast<RankedTensorType>(op.getFilter().getType());
      if (!allAre(op.getLow(), 0) || !allAre(op.getHigh(), 0))
        pad(op);
      if (op.getGroups() == 1 && allAre(op.getStrides(), 1) &&
          allAre(filter.getShape().drop_back(2), 1))
        product(op);
    }
  }
};
} // namespace

std::unique_ptr<Pass> aicc::transforms::createExpandConvolutionsPass() {
  return std::make_unique<ExpandConvolutionsPass>();
}
