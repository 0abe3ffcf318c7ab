//===- WidenOperands.cpp - products that read activations in f32 ----------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// For targets whose products multiply f32 only: each element of the left
// operand is repeated along the lanes, and converting it there would cost more
// than the multiplications. So what the product before it stores for this one
// is f32, of the same values; the weights stay as they are, converted a vector
// at a time. Products of bytes are multiplied in 16 bits.
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
bool isHalf(Type type) {
  Type element = getElementTypeOrSelf(type);
  return element.isF16() || element.isBF16();
}

struct WidenOperandsPass
    : PassWrapper<WidenOperandsPass, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(WidenOperandsPass)
  StringRef getArgument() const final { return "aicc-widen-operands"; }
  StringRef getDescription() const final {
    return "Left operands of products of f16 or bf16 in f32";
  }

  llvm::DenseMap<Value, Value> widened;

  /// The value in f32, made where it is computed: reshapes are views.
  Value widen(Value value) {
    if (Value have = widened.lookup(value))
      return have;
    OpBuilder builder(&getContext());
    builder.setInsertionPointAfterValue(value);
    RankedTensorType type = withElement(cast<RankedTensorType>(value.getType()),
                                        builder.getF32Type());
    Value result;
    if (auto reshape = value.getDefiningOp<ReshapeOp>())
      result = ReshapeOp::create(builder, value.getLoc(), type,
                                 widen(reshape.getOperand()));
    else
      result = graph::CastOp::create(builder, value.getLoc(), type, value,
                                     UnitAttr(), RoundingAttr());
    return widened[value] = result;
  }

  /// Bytes are multiplied in 16 bits.
  static Value in16Bits(Value value) {
    OpBuilder builder(value.getContext());
    builder.setInsertionPointAfterValue(value);
    RankedTensorType type = withElement(cast<RankedTensorType>(value.getType()),
                                        builder.getIntegerType(16));
    return graph::CastOp::create(builder, value.getLoc(), type, value,
                                 UnitAttr(), RoundingAttr());
  }

  void runOnOperation() override {
    widened.clear();
    getOperation().walk([&](Operation *op) {
      if ((!only || only(op)) && isa<DotGeneralOp, ConvolutionOp>(op) &&
          getElementTypeOrSelf(op->getOperand(0)).isSignlessInteger(8) &&
          getElementTypeOrSelf(op->getOperand(1)).isSignlessInteger(8) &&
          getElementTypeOrSelf(op->getResult(0)).isInteger(32))
        for (unsigned i : {0, 1})
          op->setOperand(i, in16Bits(op->getOperand(i)));
    });
    auto wide = [&](Operation *op, Value operand) {
      return (!only || only(op)) && isHalf(operand.getType()) &&
             !isConstantDerived(operand);
    };
    getOperation().walk([&](DotGeneralOp op) {
      if (!wide(op, op.getLhs()))
        return;
      Type element = op.getType().getElementType();
      op->setOperand(0, widen(op.getLhs()));
      op.setAccumulatorAttr(TypeAttr::get(element));
    });
    getOperation().walk([&](ConvolutionOp op) {
      if (!wide(op, op.getOperand()))
        return;
      Type element = op.getType().getElementType();
      op->setOperand(0, widen(op.getOperand()));
      op.setAccumulatorAttr(TypeAttr::get(element));
    });
    SmallVector<ConvolutionTransposeOp> transposed;
    getOperation().walk([&](ConvolutionTransposeOp op) {
      if (wide(op, op.getOperand()))
        transposed.push_back(op);
    });
    // This one's result has its operands' type.
    for (ConvolutionTransposeOp op : transposed) {
      auto type = cast<RankedTensorType>(op.getType());
      for (unsigned i : {0, 1})
        op->setOperand(i, widen(op->getOperand(i)));
      OpBuilder builder(&getContext());
      builder.setInsertionPointAfter(op);
      op.getResult().setType(withElement(type, builder.getF32Type()));
      auto narrow =
          graph::CastOp::create(builder, op.getLoc(), type, op.getResult(),
                                UnitAttr(), RoundingAttr());
      op.getResult().replaceAllUsesExcept(narrow.getResult(), narrow);
    }
  }

public:
  explicit WidenOperandsPass(OperatorFilter only = {})
      : only(std::move(only)) {}
  WidenOperandsPass(const WidenOperandsPass &other)
      : PassWrapper(other), only(other.only) {}

private:
  OperatorFilter only;
};
} // namespace

std::unique_ptr<Pass>
aicc::transforms::createWidenOperandsPass(OperatorFilter only) {
  return std::make_unique<WidenOperandsPass>(std::move(only));
}
