//===- ConvertOperands.cpp - quantised products in types of the target ----===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Products of quantised operands are summed as f32, and how the terms are
// multiplied is left to the target. Few multiply floats of eight bits, and
// those not all of them: for the others operands become f16, which holds each
// of their numbers exactly, or f32 where products are of those; once for an
// operand, not for every product. Signed bytes are multiplied and summed as
// integers, exactly; other integers, of nine bits at most, become f16, which
// holds them, or f32.
//
//===----------------------------------------------------------------------===//

#include "compiler/transforms/Passes.h"
#include "compiler/transforms/Utils.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace aicc;
using namespace aicc::graph;
using namespace aicc::transforms;

namespace {
struct ConvertOperandsPass
    : PassWrapper<ConvertOperandsPass, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ConvertOperandsPass)
  StringRef getArgument() const final { return "aicc-convert-operands"; }
  StringRef getDescription() const final {
    return "Operands of quantised products in types that are multiplied";
  }

  ConvertOperandsPass() = default;
  ConvertOperandsPass(std::vector<std::string> kept, bool single,
                      OperatorFilter only)
      : only(std::move(only)) {
    this->kept = kept;
    this->single = single;
  }
  ConvertOperandsPass(const ConvertOperandsPass &other)
      : PassWrapper(other), only(other.only) {}

  ListOption<std::string> kept{
      *this, "kept", llvm::cl::desc("8-bit floats that stay: f8E4M3FN, …")};
  Option<bool> single{*this, "f32", llvm::cl::desc("multiply f32 only"),
                      llvm::cl::init(false)};

  bool isKept(Value operand) {
    std::string name;
    llvm::raw_string_ostream(name) << getElementTypeOrSelf(operand.getType());
    return llvm::is_contained(kept, name);
  }

  Value convert(Value operand, Type element) {
    Value &converted = known[operand];
    if (converted)
      return converted;
    OpBuilder builder(&getContext());
    builder.setInsertionPointAfterValue(operand);
    return converted = graph::CastOp::create(
               builder, operand.getLoc(),
               withElement(cast<RankedTensorType>(operand.getType()), element),
               operand, UnitAttr(), RoundingAttr());
  }

  void convertFloats(Operation *op) {
    if (getElementTypeOrSelf(op->getOperand(0)) ==
            getElementTypeOrSelf(op->getOperand(1)) &&
        isKept(op->getOperand(0)))
      return;
    OpBuilder builder(&getContext());
    Type element = single ? builder.getF32Type() : builder.getF16Type();
    for (OpOperand &operand : op->getOpOperands())
      if (isFloat8(operand.get().getType()))
        operand.set(convert(operand.get(), element));
  }

  void convertIntegers(Operation *op) {
    OpBuilder builder(&getContext());
    bool bytes = llvm::all_of(op->getOperands(), [](Value operand) {
      return getElementTypeOrSelf(operand.getType()).isSignlessInteger(8);
    });
    if (single || !bytes) {
      Type element = single ? builder.getF32Type() : builder.getF16Type();
      for (OpOperand &operand : op->getOpOperands())
        operand.set(convert(operand.get(), element));
      return;
    }
    auto type = cast<RankedTensorType>(op->getResult(0).getType());
    Type sum = builder.getI32Type();
    op->setAttr("accumulator", TypeAttr::get(sum));
    op->getResult(0).setType(withElement(type, sum));
    builder.setInsertionPointAfter(op);
    auto real =
        graph::CastOp::create(builder, op->getLoc(), type, op->getResult(0),
                              UnitAttr(), RoundingAttr());
    op->getResult(0).replaceAllUsesExcept(real.getResult(), real);
  }

  void runOnOperation() override {
    known.clear();
    SmallVector<Operation *> products;
    getOperation().walk([&](Operation *op) {
      if ((!only || only(op)) && isa<DotGeneralOp, ConvolutionOp>(op))
        products.push_back(op);
    });
    for (Operation *op : products) {
      Type left = op->getOperand(0).getType(),
           right = op->getOperand(1).getType();
      auto isInteger = [](Type type) {
        return isa<IntegerType>(getElementTypeOrSelf(type));
      };
      if (isFloat8(left) || isFloat8(right))
        convertFloats(op);
      else if (isInteger(left) && isInteger(right) &&
               !isInteger(op->getResult(0).getType()))
        convertIntegers(op);
    }
  }

  OperatorFilter only;
  llvm::DenseMap<Value, Value> known;
};
} // namespace

std::unique_ptr<Pass>
aicc::transforms::createConvertOperandsPass(std::vector<std::string> kept,
                                            bool single, OperatorFilter only) {
  return std::make_unique<ConvertOperandsPass>(std::move(kept), single,
                                               std::move(only));
}
