//===- CollapseProducts.cpp - products as [M, K] x [K, N] -----------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// A product with a matrix takes all dimensions of its other operand but the
// last as rows. In any product the columns of the right operand come last, so
// that loads along them are contiguous; a transposed weight is prepared.
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
struct CollapseProductsPass
    : PassWrapper<CollapseProductsPass, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(CollapseProductsPass)
  StringRef getArgument() const final { return "aicc-collapse-products"; }
  StringRef getDescription() const final {
    return "Give products with a matrix the form [M, K] x [K, N]";
  }

  /// The last dimension of rhs is contracted: put it before the free ones.
  void columnsLast(DotGeneralOp op) {
    auto rank = cast<RankedTensorType>(op.getRhs().getType()).getRank();
    ArrayRef<int64_t> contracting = op.getRhsContracting();
    if (rank < 2 || !llvm::is_contained(contracting, rank - 1))
      return;
    SmallVector<int64_t> perm, free;
    for (int64_t i = 0; i < rank; ++i)
      if (llvm::is_contained(op.getRhsBatch(), i))
        perm.push_back(i);
      else if (!llvm::is_contained(contracting, i))
        free.push_back(i);
    if (free.empty())
      return;
    for (int64_t i = 0; i < rank; ++i)
      if (llvm::is_contained(contracting, i))
        perm.push_back(i);
    perm.append(free);
    SmallVector<int64_t> inverse = inverseOf(perm), batch, contract;
    for (int64_t dim : op.getRhsBatch())
      batch.push_back(inverse[dim]);
    for (int64_t dim : contracting)
      contract.push_back(inverse[dim]);
    OpBuilder builder(op);
    op->setOperand(1, transposed(builder, op.getRhs().getLoc(), op.getRhs(),
                                 perm));
    op.setRhsBatch(batch);
    op.setRhsContracting(contract);
  }

  void collapseRows(DotGeneralOp op) {
    SmallVector<AffineExpr> lhs = dimsOf(op.getLhs()), rhs = dimsOf(op.getRhs());
    if (!op.getLhsBatch().empty() || rhs.size() != 2 || lhs.size() == 2 ||
        lhs.empty() || op.getLhsContracting() != ArrayRef<int64_t>(lhs.size() - 1) ||
        op.getRhsContracting() != ArrayRef<int64_t>(0))
      return;
    OpBuilder builder(op);
    AffineExpr rows = getAffineConstantExpr(1, &getContext());
    for (AffineExpr dim : ArrayRef<AffineExpr>(lhs).drop_back())
      rows = rows * dim;
    Value matrix =
        reshaped(builder, op.getLoc(), op.getLhs(), {rows, lhs.back()});
    auto type = cast<RankedTensorType>(op.getType());
    Value product = DotGeneralOp::create(
        builder, op.getLoc(), makeType({rows, rhs[1]}, type.getElementType()),
        matrix, op.getRhs(), builder.getDenseI64ArrayAttr({}),
        builder.getDenseI64ArrayAttr({}), builder.getDenseI64ArrayAttr({1}),
        builder.getDenseI64ArrayAttr({0}), op.getAccumulatorAttr(),
        builder.getI64IntegerAttr(0), builder.getI64IntegerAttr(0));
    Value result = ReshapeOp::create(builder, op.getLoc(), type, product);
    op.getResult().replaceAllUsesWith(result);
    op.erase();
  }

  void runOnOperation() override {
    SmallVector<DotGeneralOp> ops;
    getOperation().walk([&](DotGeneralOp op) {
      if (!op.getRhsPacked())
        ops.push_back(op);
    });
    for (DotGeneralOp op : ops) {
      columnsLast(op);
      collapseRows(op);
    }
  }
};
} // namespace

std::unique_ptr<Pass> aicc::transforms::createCollapseProductsPass() {
  return std::make_unique<CollapseProductsPass>();
}
