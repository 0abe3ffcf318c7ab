//===- PackWeights.cpp - constant weights as panels -----------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// `[K, N]` becomes `[ceil(N/p), K, p]`: what one register tile reads is
// contiguous. Written as pad, reshape and transpose of the constant, work that
// is done once, at compile time or when a session is created.
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
struct PackWeightsPass
    : PassWrapper<PackWeightsPass, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(PackWeightsPass)

  PackWeightsPass(unsigned panel, OperatorFilter only) : only(std::move(only)) {
    this->panel = panel;
  }
  PackWeightsPass(const PackWeightsPass &other)
      : PassWrapper(other), only(other.only) {}
  StringRef getArgument() const final { return "aicc-pack-weights"; }
  StringRef getDescription() const final {
    return "Store constant weights as panels of columns";
  }

  Option<unsigned> panel{*this, "panel", llvm::cl::init(0),
                         llvm::cl::desc("Columns of a panel, 0 = don't pack")};

  /// [..., N] as [ceil(N/p), ..., p].
  Value pack(OpBuilder &builder, Value weights) {
    Location loc = weights.getLoc();
    auto type = cast<RankedTensorType>(weights.getType());
    SmallVector<int64_t> shape(type.getShape());
    int64_t p = panel, rank = type.getRank();
    int64_t panels = llvm::divideCeil(shape.back(), p);
    auto make = [&](ArrayRef<int64_t> sizes) {
      return RankedTensorType::get(sizes, type.getElementType());
    };
    if (panels * p != shape.back()) {
      SmallVector<int64_t> low(rank, 0), high(rank, 0);
      high.back() = panels * p - shape.back();
      shape.back() = panels * p;
      Value zero = graph::ConstantOp::create(
          builder, loc, transforms::makeConstant(make({}), {0.0}));
      weights = PadOp::create(
          builder, loc, make(shape), weights, zero,
          AffineMapAttr::get(makeMap(ArrayRef<int64_t>(low), &getContext())),
          AffineMapAttr::get(makeMap(ArrayRef<int64_t>(high), &getContext())),
          PadModeAttr::get(&getContext(), PadMode::constant));
    }
    shape.back() = panels;
    shape.push_back(p);
    weights = ReshapeOp::create(builder, loc, make(shape), weights);
    SmallVector<int64_t> perm = {rank - 1};
    for (int64_t i = 0; i < rank - 1; ++i)
      perm.push_back(i);
    perm.push_back(rank);
    return transposed(builder, loc, weights, perm);
  }

  void runOnOperation() override {
    if (panel == 0)
      return;
    getOperation().walk([&](DotGeneralOp op) {
      auto rhs = cast<RankedTensorType>(op.getRhs().getType());
      auto lhs = cast<RankedTensorType>(op.getLhs().getType());
      if ((only && !only(op)) || op.getRhsPacked() || rhs.getRank() != 2 ||
          lhs.getRank() == 0 || !op.getLhsBatch().empty() ||
          !rhs.hasStaticShape() || !isConstantDerived(op.getRhs()) ||
          op.getRhsContracting() != ArrayRef<int64_t>(0) ||
          op.getLhsContracting() != ArrayRef<int64_t>(lhs.getRank() - 1))
        return;
      OpBuilder builder(op);
      op->setOperand(1, pack(builder, op.getRhs()));
      op.setRhsPacked(panel);
      op.setRhsColumns(rhs.getDimSize(1));
    });
    getOperation().walk([&](ConvolutionOp op) {
      auto filter = cast<RankedTensorType>(op.getFilter().getType());
      if ((only && !only(op)) || op.getPacked() || !op.getChannelsLast() ||
          op.getGroups() != 1 || !filter.hasStaticShape() ||
          !isConstantDerived(op.getFilter()))
        return;
      OpBuilder builder(op);
      op->setOperand(1, pack(builder, op.getFilter()));
      op.setPacked(panel);
      op.setFilters(filter.getShape().back());
    });
  }

  OperatorFilter only;
};
} // namespace

std::unique_ptr<Pass>
aicc::transforms::createPackWeightsPass(unsigned panel, OperatorFilter only) {
  return std::make_unique<PackWeightsPass>(panel, std::move(only));
}
