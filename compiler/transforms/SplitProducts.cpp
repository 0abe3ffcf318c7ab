//===- SplitProducts.cpp - the depth of a product in shares ---------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A product whose result has fewer tiles than a chip has processors leaves most
// of them idle, each of the others going through all of the depth. Here the
// depth is cut into shares: a batch of products gives a partial sum for each,
// and a reduction adds them up, together with what follows. Always in the same
// order, so that results stay reproducible. A convolution's channels are cut
// the same way: as many groups, with the filters once for each.
//
// Only products with weights: one of two computed operands may be part of an
// attention, which is a kernel of its own.
//
//===----------------------------------------------------------------------===//

#include "compiler/transforms/Passes.h"
#include "compiler/transforms/Utils.h"
#include "dialects/graph/Names.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace aicc;
using namespace aicc::graph;
using namespace aicc::transforms;

namespace {
struct SplitProductsPass
    : PassWrapper<SplitProductsPass, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(SplitProductsPass)

  SplitProductsPass(unsigned processors, OperatorFilter only)
      : only(std::move(only)) {
    this->processors = processors;
  }
  SplitProductsPass(const SplitProductsPass &other)
      : PassWrapper(other), only(other.only) {}
  StringRef getArgument() const final { return "aicc-split-products"; }
  StringRef getDescription() const final {
    return "Cut the depth of products with few tiles into shares";
  }

  Option<unsigned> processors{
      *this, "processors", llvm::cl::init(0),
      llvm::cl::desc("Workgroups that keep the chip busy, 0 = don't split")};

  /// Shares of `channels`, each `window` elements deep for each of them; 1
  /// where it doesn't pay.
  int64_t sharesOf(int64_t rows, int64_t columns, int64_t channels,
                   int64_t window = 1) const {
    constexpr int64_t side = 64;          // of a tile
    constexpr int64_t leastDepth = 512;   // of a share: the sums cost something
    constexpr int64_t wholeChannels = 16; // vectors of every type
    int64_t tiles =
        llvm::divideCeil(rows, side) * llvm::divideCeil(columns, side);
    int64_t best = 1;
    if (tiles * 2 > processors)
      return best;
    for (int64_t shares = 2; shares * leastDepth <= channels * window; ++shares)
      if (channels % (shares * wholeChannels) == 0) {
        best = shares;
        if (tiles * shares >= processors)
          break;
      }
    return best;
  }

  /// The type of partial sums; null for a result that can't be one's.
  static Type partialType(Type result) {
    if (result.isF16() || result.isBF16())
      return Float32Type::get(result.getContext());
    return result.isF32() || result.isF64() || result.isInteger(32) ? result
                                                                    : Type();
  }

  /// The sum of `partial` along an axis in the place of op's result.
  static void replaceBySum(Operation *op, Value partial, int64_t axis) {
    OpBuilder builder(op);
    auto type = cast<RankedTensorType>(op->getResult(0).getType());
    Type element = getElementTypeOrSelf(partial.getType());
    Location loc = type.getElementType() == element ? op->getLoc() : within(op);
    Value sum =
        ReduceOp::create(builder, loc, withElement(type, element), partial,
                         ReduceKindAttr::get(op->getContext(), ReduceKind::sum),
                         builder.getDenseI64ArrayAttr({axis}));
    if (type.getElementType() != element)
      sum = graph::CastOp::create(builder, op->getLoc(), type, sum, UnitAttr(),
                                  RoundingAttr());
    op->getResult(0).replaceAllUsesWith(sum);
    op->erase();
  }

  /// What isn't the node's result hasn't its name.
  static Location within(Operation *op) {
    return nodeLocation(op->getContext(), nodeName(op->getLoc()));
  }

  void split(DotGeneralOp op) {
    auto lhs = cast<RankedTensorType>(op.getLhs().getType()),
         rhs = cast<RankedTensorType>(op.getRhs().getType());
    Type partial = partialType(op.getType().getElementType());
    if (op.getRhsPacked() || !op.getLhsBatch().empty() || lhs.getRank() != 2 ||
        rhs.getRank() != 2 || !lhs.hasStaticShape() || !rhs.hasStaticShape() ||
        op.getLhsContracting() != ArrayRef<int64_t>(1) ||
        op.getRhsContracting() != ArrayRef<int64_t>(0) || !partial ||
        !isConstantDerived(op.getRhs()))
      return;
    int64_t m = lhs.getDimSize(0), k = lhs.getDimSize(1), n = rhs.getDimSize(1);
    int64_t shares = sharesOf(m, n, k);
    if (shares == 1)
      return;
    OpBuilder builder(op);
    auto dims = [&](ArrayRef<int64_t> sizes) {
      SmallVector<AffineExpr> result;
      for (int64_t size : sizes)
        result.push_back(builder.getAffineConstantExpr(size));
      return result;
    };
    Value a = reshaped(builder, within(op), op.getLhs(),
                       dims({m, shares, k / shares}));
    Value b = reshaped(builder, op.getRhs().getLoc(), op.getRhs(),
                       dims({shares, k / shares, n}));
    Value sums = DotGeneralOp::create(
        builder, within(op), RankedTensorType::get({shares, m, n}, partial), a,
        b, builder.getDenseI64ArrayAttr({1}), builder.getDenseI64ArrayAttr({0}),
        builder.getDenseI64ArrayAttr({2}), builder.getDenseI64ArrayAttr({1}),
        TypeAttr::get(partial), builder.getI64IntegerAttr(0),
        builder.getI64IntegerAttr(0));
    replaceBySum(op, sums, 0);
  }

  void split(ConvolutionOp op) {
    auto filter = cast<RankedTensorType>(op.getFilter().getType());
    auto type = cast<RankedTensorType>(op.getType());
    Type partial = partialType(type.getElementType());
    if (op.getPacked() || !op.getChannelsLast() || op.getGroups() != 1 ||
        !type.hasStaticShape() || !filter.hasStaticShape() || !partial ||
        !isConstantDerived(op.getFilter()))
      return;
    ArrayRef<int64_t> window = filter.getShape().drop_back(2);
    int64_t channels = filter.getShape().drop_back().back(),
            filters = filter.getShape().back();
    int64_t size = 1;
    for (int64_t span : window)
      size *= span;
    int64_t shares =
        sharesOf(type.getNumElements() / filters, filters, channels, size);
    if (shares == 1)
      return;
    OpBuilder builder(op);
    Location ofFilter = op.getFilter().getLoc();
    // [window, C, F] as [window, C / shares, shares * F].
    SmallVector<int64_t> shape(window), perm;
    shape.append({shares, channels / shares, filters});
    for (int64_t i = 0; i < int64_t(window.size()); ++i)
      perm.push_back(i);
    int64_t first = window.size();
    perm.append({first + 1, first, first + 2});
    Type element = filter.getElementType();
    Value weights = ReshapeOp::create(builder, ofFilter,
                                      RankedTensorType::get(shape, element),
                                      op.getFilter());
    weights = transposed(builder, ofFilter, weights, perm);
    SmallVector<int64_t> grouped(window);
    grouped.append({channels / shares, shares * filters});
    weights = ReshapeOp::create(
        builder, ofFilter, RankedTensorType::get(grouped, element), weights);
    SmallVector<int64_t> all(type.getShape()), apart(type.getShape());
    all.back() = shares * filters;
    apart.insert(apart.end() - 1, shares);
    Value sums = ConvolutionOp::create(
        builder, within(op), RankedTensorType::get(all, partial),
        op.getOperand(), weights, op.getStridesAttr(), op.getLowAttr(),
        op.getHighAttr(), op.getDilationsAttr(),
        builder.getI64IntegerAttr(shares), builder.getUnitAttr(),
        builder.getI64IntegerAttr(0), builder.getI64IntegerAttr(0),
        TypeAttr::get(partial));
    sums = ReshapeOp::create(builder, within(op),
                             RankedTensorType::get(apart, partial), sums);
    replaceBySum(op, sums, type.getRank() - 1);
  }

  void runOnOperation() override {
    if (!processors)
      return;
    SmallVector<Operation *> ops;
    getOperation().walk([&](Operation *op) {
      if (isa<DotGeneralOp, ConvolutionOp>(op) && (!only || only(op)))
        ops.push_back(op);
    });
    for (Operation *op : ops)
      if (auto product = dyn_cast<DotGeneralOp>(op))
        split(product);
      else
        split(cast<ConvolutionOp>(op));
  }

  OperatorFilter only;
};
} // namespace

std::unique_ptr<Pass>
aicc::transforms::createSplitProductsPass(unsigned processors,
                                          OperatorFilter only) {
  return std::make_unique<SplitProductsPass>(processors, std::move(only));
}
