//===- ConvertPrecision.cpp - computation in f16 or bf16 ------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Products take operands of 16 bits and accumulate in f32; values that are
// stored between kernels have 16 bits, weights of products and tables too.
// Everything else computes in f32: a value of 16 bits is widened where it is
// read, which costs nothing as that happens in the kernel that reads it.
//
// A value stays in f32
//   - if it may exceed the range of 16 bits, or is a whole number that they
//     can't hold (Bounds.h),
//   - if it is an input, an output, carried by a loop, or a sum,
//   - if someone reads it who magnifies its error: logarithms, roots,
//     quotients, comparisons, exponentials and the like,
//   - if only elementwise operators read it: they share its kernel.
//
//===----------------------------------------------------------------------===//

#include "compiler/transforms/Bounds.h"
#include "compiler/transforms/Evaluate.h"
#include "compiler/transforms/Passes.h"
#include "dialects/graph/Dims.h"
#include "dialects/graph/Graph.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace aicc;
using namespace aicc::graph;
using namespace aicc::transforms;

namespace {
bool isF32(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && type.getElementType().isF32();
}

bool isProduct(Operation *op) {
  return isa<DotGeneralOp, ConvolutionOp, ConvolutionTransposeOp>(op);
}

/// Elements as they are, or as one view or repetition of them that needs no
/// memory of its own.
bool isView(Operation *op) { return isa<ReshapeOp, BroadcastOp>(op); }

/// Elements elsewhere, of one type in all operands that hold elements. Windows
/// accumulate in f32 and round once by themselves.
bool isMovement(Operation *op) {
  if (auto scatter = dyn_cast<ScatterOp>(op))
    return !scatter.getKind();
  return isa<TransposeOp, SliceOp, ReverseOp, ConcatenateOp, PadOp, GatherOp,
             GatherElementsOp, GatherNdOp, UpdateOp, ReduceWindowOp>(op);
}

/// Whether a small error of the operand is a large one of the result, or makes
/// another result altogether.
bool magnifies(OpOperand &use) {
  Operation *op = use.getOwner();
  if (auto cast = dyn_cast<graph::CastOp>(op)) {
    auto to = dyn_cast<FloatType>(getElementTypeOrSelf(cast.getType()));
    return !to || to.getWidth() > 32;
  }
  if (isa<DivideOp>(op))
    return use.getOperandNumber() == 1;
  if (isa<SampleOp>(op))
    return use.getOperandNumber() == 1;
  if (auto scatter = dyn_cast<ScatterOp>(op))
    return scatter.getKind().has_value();
  return isa<ExpOp, LogOp, Log1pOp, ReciprocalOp, RsqrtOp, SqrtOp, PowerOp,
             SinOp, CosOp, TanOp, AsinOp, AcosOp, AtanhOp, AcoshOp, SinhOp,
             CoshOp, FloorOp, CeilOp, RoundEvenOp, RemainderOp, CompareOp,
             IsNanOp, IsInfOp, Atan2Op, BitcastOp, SoftmaxOp, CumulativeOp,
             ArgReduceOp, ArgReduceWindowOp, MergeRunsOp, CallOp>(op) ||
         op->hasTrait<OpTrait::IsTerminator>() || isa<LoopOp>(op);
}

/// Sums of many elements.
bool isSum(Operation *op) {
  auto isOf = [](ReduceKind kind) {
    return kind == ReduceKind::sum || kind == ReduceKind::product;
  };
  if (auto reduce = dyn_cast<ReduceOp>(op))
    return isOf(reduce.getKind());
  if (auto scatter = dyn_cast<ScatterOp>(op))
    return scatter.getKind().has_value();
  return isa<CumulativeOp>(op);
}

struct ConvertPrecisionPass
    : PassWrapper<ConvertPrecisionPass, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ConvertPrecisionPass)

  ConvertPrecisionPass(StringRef type) { this->type = type.str(); }
  ConvertPrecisionPass(const ConvertPrecisionPass &other)
      : PassWrapper(other) {}

  StringRef getArgument() const final { return "aicc-convert-precision"; }
  StringRef getDescription() const final {
    return "Products and stored values of f32 in f16 or bf16";
  }

  Option<std::string> type{*this, "type", llvm::cl::init("f16"),
                           llvm::cl::desc("f16 or bf16")};

  void runOnOperation() override;

private:
  bool fits(Value value) const;
  StringRef reasonToKeep(Operation *product) const;
  StringRef reasonToKeep(Value value);
  bool needsPrecision(Value value);
  bool readElementwise(Value value);
  Value narrow(Value value);
  Value widen(Value value);
  Value rounded(Value value);
  void widenOperands(Operation *op);
  void setElement(Value value, Type element);
  void convert(Operation *op);
  void convertProduct(Operation *op);
  void keep(Operation *op, StringRef reason);

  FloatType half;
  double largest = 0, smallest = 0;
  const Bounds *bounds = nullptr;
  llvm::DenseMap<Value, bool> precise, elementwise;
  /// Versions of a value in the other type.
  llvm::DenseMap<Value, Value> narrowed, widened;
  unsigned products = 0, others = 0, keptProducts = 0, keptOthers = 0;
};
} // namespace

bool ConvertPrecisionPass::fits(Value value) const {
  Bound bound = bounds->of(value);
  return bound.magnitude() <= largest && !bound.whole;
}

/// Empty for a product that is converted.
StringRef ConvertPrecisionPass::reasonToKeep(Operation *product) const {
  for (Value operand : product->getOperands()) {
    Bound bound = bounds->of(operand);
    if (bound.whole)
      return "an operand holds whole numbers";
    if (bound.magnitude() > largest)
      return "an operand may exceed the range of the type";
    // Where all weights are tiny, few of their bits would be left.
    if (!bound.assumed && bound.magnitude() > 0 && bound.magnitude() < smallest)
      return "an operand's elements are all too small for the type";
  }
  return {};
}

/// Why a value that would be stored in 16 bits isn't; empty if it is.
StringRef ConvertPrecisionPass::reasonToKeep(Value value) {
  if (bounds->of(value).whole)
    return "holds whole numbers";
  if (!fits(value))
    return "may exceed the range of the type";
  if (isSum(value.getDefiningOp()))
    return "is a sum";
  if (needsPrecision(value))
    return "is read by an operator that would magnify its error";
  return {};
}

/// Whether someone reads the value, as it is or moved, who needs all of its
/// bits.
bool ConvertPrecisionPass::needsPrecision(Value value) {
  auto [it, isNew] = precise.try_emplace(value, false);
  if (!isNew)
    return it->second;
  bool result = llvm::any_of(value.getUses(), [&](OpOperand &use) {
    Operation *user = use.getOwner();
    return magnifies(use) ||
           ((isView(user) || isMovement(user)) && isF32(user->getResult(0)) &&
            needsPrecision(user->getResult(0)));
  });
  return precise[value] = result;
}

/// Whether elementwise operators only read the value, also as a view.
bool ConvertPrecisionPass::readElementwise(Value value) {
  auto [it, isNew] = elementwise.try_emplace(value, false);
  if (!isNew)
    return it->second;
  bool result = llvm::all_of(value.getUsers(), [&](Operation *user) {
    return user->hasTrait<Elementwise>() ||
           (isView(user) && readElementwise(user->getResult(0)));
  });
  return elementwise[value] = result;
}

/// The value in 16 bits, made where the value is.
Value ConvertPrecisionPass::narrow(Value value) {
  if (!isF32(value))
    return value;
  Value &have = narrowed[value];
  if (have)
    return have;
  OpBuilder builder(&getContext());
  builder.setInsertionPointAfterValue(value);
  auto from = cast<RankedTensorType>(value.getType());
  Value result =
      graph::CastOp::create(builder, value.getLoc(), withElement(from, half),
                            value, UnitAttr(), RoundingAttr());
  have = result;
  return result;
}

/// A value of ours in f32 again.
Value ConvertPrecisionPass::widen(Value value) {
  auto it = widened.find(value);
  if (it == widened.end())
    return value;
  if (it->second)
    return it->second;
  OpBuilder builder(&getContext());
  builder.setInsertionPointAfterValue(value);
  auto from = cast<RankedTensorType>(value.getType());
  return it->second = graph::CastOp::create(
             builder, value.getLoc(), withElement(from, builder.getF32Type()),
             value, UnitAttr(), RoundingAttr());
}

void ConvertPrecisionPass::widenOperands(Operation *op) {
  for (OpOperand &operand : op->getOpOperands())
    operand.set(widen(operand.get()));
}

/// Marks a value that was f32 as one of 16 bits.
void ConvertPrecisionPass::setElement(Value value, Type element) {
  value.setType(withElement(cast<RankedTensorType>(value.getType()), element));
  if (element == half)
    widened[value] = Value();
}

/// What computes in f32 and is stored in 16 bits: everybody reads the rounded
/// value, so that only that one is stored.
Value ConvertPrecisionPass::rounded(Value value) {
  Value result = narrow(value);
  value.replaceAllUsesExcept(result, result.getDefiningOp());
  widened[result] = Value();
  return result;
}

void ConvertPrecisionPass::keep(Operation *op, StringRef reason) {
  emitRemark(op->getLoc()) << op->getName().stripDialect()
                           << " stays in f32: " << reason;
}

void ConvertPrecisionPass::convertProduct(Operation *op) {
  Value result = op->getResult(0);
  StringRef reason = reasonToKeep(op);
  for (Value operand : op->getOperands())
    if (!isF32(operand) && !widened.contains(operand))
      reason = "its operands are not of f32";
  bool wide =
      readElementwise(result) || needsPrecision(result) || !fits(result);
  if (!reason.empty()) {
    keep(op, reason);
    ++keptProducts;
    widenOperands(op);
    if (!wide)
      rounded(result);
    return;
  }
  ++products;
  for (unsigned i : {0, 1})
    op->setOperand(i, narrow(op->getOperand(i)));
  auto f32 = TypeAttr::get(Float32Type::get(&getContext()));
  if (!wide) {
    op->removeAttr("accumulator");
    setElement(result, half);
  } else if (auto dot = dyn_cast<DotGeneralOp>(op)) {
    dot.setAccumulatorAttr(f32);
  } else if (auto convolution = dyn_cast<ConvolutionOp>(op)) {
    convolution.setAccumulatorAttr(f32);
  } else {
    // This one has no result but of the operands' type.
    setElement(result, half);
  }
}

void ConvertPrecisionPass::convert(Operation *op) {
  bool isOurs = op->getNumResults() == 1 && isF32(op->getResult(0));
  // Constants are narrowed for those who want that; loops, branches and calls
  // have stored their results already.
  if (!isOurs || op->getNumRegions() || isa<graph::ConstantOp, CallOp>(op)) {
    widenOperands(op);
    return;
  }
  Value result = op->getResult(0);
  if (isProduct(op))
    return convertProduct(op);
  if (isView(op)) {
    // As its operand is.
    if (widened.contains(op->getOperand(0)))
      setElement(result, half);
    return;
  }
  StringRef reason = reasonToKeep(result);
  if (isMovement(op)) {
    // From f32 to where f32 is computed there is no reason to round.
    bool stays = readElementwise(result) &&
                 llvm::all_of(op->getOperands(), [&](Value operand) {
                   return !widened.contains(operand) &&
                          !operand.getDefiningOp<graph::ConstantOp>();
                 });
    if (!reason.empty() || stays) {
      widenOperands(op);
      keptOthers += !reason.empty();
      return;
    }
    ++others;
    for (OpOperand &operand : op->getOpOperands())
      operand.set(narrow(operand.get()));
    setElement(result, half);
    return;
  }
  widenOperands(op);
  if (readElementwise(result))
    return;
  if (!reason.empty()) {
    ++keptOthers;
    return;
  }
  ++others;
  rounded(result);
}

void ConvertPrecisionPass::runOnOperation() {
  func::FuncOp function = getOperation();
  Builder builder(&getContext());
  if (type == "f16") {
    half = builder.getF16Type();
  } else if (type == "bf16") {
    half = builder.getBF16Type();
  } else {
    function.emitError() << "precision \"" << type
                         << "\" is not known, expected f16 or bf16";
    return signalPassFailure();
  }
  const llvm::fltSemantics &semantics = half.getFloatSemantics();
  largest = APFloat::getLargest(semantics).convertToDouble();
  smallest = APFloat::getSmallestNormalized(semantics).convertToDouble();
  products = others = keptProducts = keptOthers = 0;
  Bounds all(function);
  bounds = &all;
  precise.clear();
  elementwise.clear();
  narrowed.clear();
  widened.clear();

  // The operators as they are now: what is added needs no conversion. Each
  // question is asked before the operators are touched that answer it.
  SmallVector<Operation *> ops;
  function.walk<WalkOrder::PreOrder>([&](Operation *op) {
    if (op != function)
      ops.push_back(op);
  });
  for (Operation *op : ops)
    for (Value result : op->getResults())
      if (isF32(result)) {
        needsPrecision(result);
        readElementwise(result);
      }
  for (Operation *op : ops)
    convert(op);
  emitRemark(function.getLoc())
      << "precision " << type << ": " << products << " products and " << others
      << " other results in " << type << ", " << keptProducts
      << " products and " << keptOthers << " other results kept in f32";
}

std::unique_ptr<Pass>
aicc::transforms::createConvertPrecisionPass(StringRef type) {
  return std::make_unique<ConvertPrecisionPass>(type);
}
