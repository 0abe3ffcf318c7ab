//===- ConvertFloat8.cpp - operands that a target doesn't multiply --------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Few targets multiply floats of eight bits, and those not all of them. For the
// others operands become f16, which holds each of their numbers exactly, or f32
// where products are of those: once for an operand, not for every product.
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
struct ConvertFloat8Pass
    : PassWrapper<ConvertFloat8Pass, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ConvertFloat8Pass)
  StringRef getArgument() const final { return "aicc-convert-float8"; }
  StringRef getDescription() const final {
    return "Operands of products of 8-bit floats in types that are multiplied";
  }

  ConvertFloat8Pass() = default;
  ConvertFloat8Pass(std::vector<std::string> kept, bool single,
                    OperatorFilter only)
      : only(std::move(only)) {
    this->kept = kept;
    this->single = single;
  }
  ConvertFloat8Pass(const ConvertFloat8Pass &other)
      : PassWrapper(other), only(other.only) {}

  ListOption<std::string> kept{
      *this, "kept", llvm::cl::desc("types that stay, such as f8E4M3FN")};
  Option<bool> single{*this, "f32", llvm::cl::desc("to f32, not to f16"),
                      llvm::cl::init(false)};

  bool multiplied(Value operand) {
    std::string name;
    llvm::raw_string_ostream(name) << getElementTypeOrSelf(operand.getType());
    return llvm::is_contained(kept, name);
  }

  Value convert(Value operand) {
    Value &converted = known[operand];
    if (converted)
      return converted;
    OpBuilder builder(&getContext());
    builder.setInsertionPointAfterValue(operand);
    Type element = single ? builder.getF32Type() : builder.getF16Type();
    return converted = graph::CastOp::create(
               builder, operand.getLoc(),
               withElement(cast<RankedTensorType>(operand.getType()), element),
               operand, UnitAttr(), RoundingAttr());
  }

  void runOnOperation() override {
    known.clear();
    getOperation().walk([&](Operation *op) {
      if ((only && !only(op)) || !isa<DotGeneralOp, ConvolutionOp>(op))
        return;
      Value left = op->getOperand(0), right = op->getOperand(1);
      if (!isFloat8(left.getType()) && !isFloat8(right.getType()))
        return;
      if (getElementTypeOrSelf(left) == getElementTypeOrSelf(right) &&
          multiplied(left))
        return;
      for (OpOperand &operand : op->getOpOperands())
        if (isFloat8(operand.get().getType()))
          operand.set(convert(operand.get()));
    });
  }

  OperatorFilter only;
  llvm::DenseMap<Value, Value> known;
};
} // namespace

std::unique_ptr<Pass>
aicc::transforms::createConvertFloat8Pass(std::vector<std::string> kept,
                                          bool single, OperatorFilter only) {
  return std::make_unique<ConvertFloat8Pass>(std::move(kept), single,
                                             std::move(only));
}
