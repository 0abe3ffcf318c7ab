//===- FoldQuantization.cpp - products of quantised numbers ---------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// Quantised models dequantise both operands of a product and quantise what
// comes out. The scales move behind the product,
//
//   dot(a * s, b * t) = dot(a, b) * (s * t)
//
// where s is one number and t one number or one for each column (filter) of
// the result, and what is left are integers of 8 bits, or of 9 with a zero
// point, in as few bits as hold them, or floats of eight bits. They are summed
// as f32; the next stage asks how the target multiplies them. Where a model
// says itself that it multiplies integers (MatMulInteger and the like), which
// arrives as 32-bit products, they are summed as 32-bit integers, exactly.
//
//===----------------------------------------------------------------------===//

#include "compiler/transforms/Match.h"
#include "compiler/transforms/Passes.h"
#include "compiler/transforms/Utils.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

#include <cstring>

using namespace mlir;
using namespace aicc;
using namespace aicc::graph;
using namespace aicc::transforms;

namespace {
/// Integers that `value` holds at most, as 64-bit bounds.
struct Range {
  int64_t low, high;
  bool within(int64_t a, int64_t b) const { return low >= a && high <= b; }
};

Type elementOf(Value value) { return getElementTypeOrSelf(value.getType()); }

std::optional<Range> rangeOf(Type type) {
  auto integer = dyn_cast<IntegerType>(type);
  if (!integer || integer.getWidth() > 16 || integer.getWidth() < 2)
    return std::nullopt;
  int64_t bits = integer.getWidth();
  if (integer.isUnsigned())
    return Range{0, (int64_t(1) << bits) - 1};
  return Range{-(int64_t(1) << (bits - 1)), (int64_t(1) << (bits - 1)) - 1};
}

/// The bounds of a value of any integer type, by how it was made.
std::optional<Range> rangeOf(Value value, unsigned depth = 0) {
  if (auto range = rangeOf(elementOf(value)))
    return range;
  Operation *op = value.getDefiningOp();
  if (!op || depth > 8 || !isa<IntegerType>(elementOf(value)))
    return std::nullopt;
  if (auto constant = dyn_cast<graph::ConstantOp>(op)) {
    auto data = dataOf(constant.getValue());
    auto type = cast<IntegerType>(elementOf(value));
    if (!data || data->bytes.empty() || type.getWidth() != 32)
      return std::nullopt;
    Range range{0, 0};
    for (size_t i = 0; i + 4 <= data->bytes.size(); i += 4) {
      int32_t x;
      std::memcpy(&x, data->bytes.data() + i, 4);
      int64_t number = type.isUnsigned() ? int64_t(uint32_t(x)) : int64_t(x);
      range.low = std::min(range.low, number);
      range.high = std::max(range.high, number);
    }
    return range;
  }
  if (auto subtract = dyn_cast<SubtractOp>(op)) {
    auto a = rangeOf(subtract.getLhs(), depth + 1);
    auto b = rangeOf(subtract.getRhs(), depth + 1);
    if (!a || !b)
      return std::nullopt;
    Range range{a->low - b->high, a->high - b->low};
    // In the operation's own type it must not wrap.
    return range.within(INT32_MIN, INT32_MAX) ? std::optional(range)
                                              : std::nullopt;
  }
  if (isa<CastOp, BroadcastOp, ReshapeOp, TransposeOp>(op) &&
      isa<IntegerType>(elementOf(op->getOperand(0)))) {
    auto range = rangeOf(op->getOperand(0), depth + 1);
    // A cast to fewer bits could wrap.
    auto width = cast<IntegerType>(elementOf(value)).getWidth();
    return range && width >= 32 && range->within(INT32_MIN, INT32_MAX)
               ? range
               : std::nullopt;
  }
  return std::nullopt;
}

Value converted(OpBuilder &builder, Location loc, Value value, Type element) {
  if (elementOf(value) == element)
    return value;
  return CastOp::create(
      builder, loc,
      withElement(cast<RankedTensorType>(value.getType()), element), value);
}

constexpr int64_t most = 1 << 15;

/// Operators that only move elements, on narrower ones.
Value cloneNarrow(OpBuilder &builder, Operation *op);

/// `value`, whose range is known to fit, computed in 16 bits.
Value narrowed(OpBuilder &builder, Value value) {
  auto type = cast<RankedTensorType>(value.getType());
  Type narrow = builder.getIntegerType(16);
  if (type.getElementType() == narrow)
    return value;
  RankedTensorType to = withElement(type, narrow);
  Operation *op = value.getDefiningOp();
  Location loc = value.getLoc();
  auto fits = [](Value v) {
    auto range = rangeOf(v);
    return range && range->within(-most, most - 1);
  };
  // What is computed in fewer bits may wrap, which 16 bits wouldn't.
  bool wraps = type.getElementTypeBitWidth() < 32;
  if (auto cast = dyn_cast_or_null<CastOp>(op);
      cast && !wraps && isa<IntegerType>(elementOf(cast.getOperand())) &&
      fits(cast.getOperand()))
    return narrowed(builder, cast.getOperand());
  if (auto subtract = dyn_cast_or_null<SubtractOp>(op);
      subtract && !wraps && fits(subtract.getLhs()) && fits(subtract.getRhs()))
    return SubtractOp::create(builder, loc, to,
                              narrowed(builder, subtract.getLhs()),
                              narrowed(builder, subtract.getRhs()));
  if (isa_and_nonnull<BroadcastOp, ReshapeOp, TransposeOp>(op) &&
      fits(op->getOperand(0)))
    return cloneNarrow(builder, op);
  return CastOp::create(builder, loc, to, value);
}

/// The signed bytes that `value` holds; null if it doesn't.
Value bytesOf(Value value) {
  while (elementOf(value).getIntOrFloatBitWidth() > 8) {
    auto cast = value.getDefiningOp<CastOp>();
    if (!cast || !isa<IntegerType>(elementOf(cast.getOperand())))
      return nullptr;
    value = cast.getOperand();
  }
  return elementOf(value).isSignlessInteger(8) ? value : Value();
}

/// Both operands in as few bits as hold them: bytes where both are, for the
/// sake of targets that multiply those, else 16 bits.
std::pair<Value, Value> narrowOperands(OpBuilder &builder, Value lhs,
                                       Value rhs) {
  Value left = bytesOf(lhs), right = bytesOf(rhs);
  if (left && right)
    return {left, right};
  return {narrowed(builder, lhs), narrowed(builder, rhs)};
}

/// An operand as integers, or floats of eight bits, times a scale.
struct Dequantized {
  /// i32 or narrower; f8.
  Value numbers;
  /// Broadcast to the operand's shape; null for one.
  Value scale;
};

/// Whether the value is a constant 0 of any type.
bool isZero(Value value) {
  while (auto *op = value.getDefiningOp())
    if (isa<BroadcastOp, CastOp, ReshapeOp>(op))
      value = op->getOperand(0);
    else
      break;
  auto constant = value.getDefiningOp<graph::ConstantOp>();
  auto data = constant ? dataOf(constant.getValue()) : std::nullopt;
  return data && llvm::all_of(data->bytes, [](char byte) { return !byte; });
}

std::optional<Dequantized> matchDequantized(Value value) {
  // Models in f16 dequantise in f32 and round.
  auto rounded = value.getDefiningOp<CastOp>();
  if (rounded && elementOf(rounded.getOperand()).isF32() &&
      isa<FloatType>(elementOf(value)))
    value = rounded.getOperand();
  auto product = value.getDefiningOp<MultiplyOp>();
  if (!product)
    return std::nullopt;
  for (unsigned side : {0, 1}) {
    Value shifted = product->getOperand(side);
    auto subtract = shifted.getDefiningOp<SubtractOp>();
    if (subtract && isa<FloatType>(elementOf(shifted)) &&
        isZero(subtract.getRhs()))
      shifted = subtract.getLhs();
    auto cast = shifted.getDefiningOp<CastOp>();
    if (!cast)
      continue;
    Value numbers = cast.getOperand();
    if (isFloat8(elementOf(numbers)))
      return Dequantized{numbers, product->getOperand(1 - side)};
    if (!isa<IntegerType>(elementOf(numbers)))
      continue;
    auto range = rangeOf(numbers);
    if (!elementOf(cast).isF32() || !range || !range->within(-255, 255))
      return std::nullopt;
    return Dequantized{numbers, product->getOperand(1 - side)};
  }
  return std::nullopt;
}

/// The number of terms of each sum; none where it is not known.
std::optional<int64_t> termsOf(Operation *op) {
  int64_t terms = 1;
  if (auto dot = dyn_cast<DotGeneralOp>(op)) {
    auto type = cast<RankedTensorType>(dot.getLhs().getType());
    for (int64_t i : dot.getLhsContracting()) {
      if (type.isDynamicDim(i))
        return std::nullopt;
      terms *= type.getDimSize(i);
    }
    return terms;
  }
  auto filter = cast<RankedTensorType>(op->getOperand(1).getType());
  if (!filter.hasStaticShape() || filter.getNumElements() == 0)
    return std::nullopt;
  return filter.getNumElements() / filter.getDimSize(0);
}

bool plain(Operation *op) {
  if (auto dot = dyn_cast<DotGeneralOp>(op))
    return !dot.getRhsPacked() && !dot.getAccumulator();
  auto conv = dyn_cast<ConvolutionOp>(op);
  return conv && !conv.getPacked() && !conv.getChannelsLast() &&
         !conv.getAccumulator();
}

/// The same product of other operands, summed in another type.
Value productOf(PatternRewriter &rewriter, Operation *op, Value lhs, Value rhs,
                Type wide) {
  OperationState state(op->getLoc(), op->getName());
  state.addOperands({lhs, rhs});
  state.addAttributes(op->getAttrs());
  state.addAttribute("accumulator", TypeAttr::get(wide));
  state.addTypes(
      withElement(cast<RankedTensorType>(op->getResult(0).getType()), wide));
  return rewriter.create(state)->getResult(0);
}

/// Where the result of a product has the dimension of rhs that a scale
/// belongs to.
std::optional<int64_t> resultDimension(Operation *op, int64_t dimension) {
  if (isa<ConvolutionOp>(op))
    return dimension == 0 ? std::optional<int64_t>(1) : std::nullopt;
  auto dot = cast<DotGeneralOp>(op);
  int64_t rank = cast<RankedTensorType>(dot.getRhs().getType()).getRank();
  int64_t at = cast<RankedTensorType>(dot.getType()).getRank();
  for (int64_t i = rank; i-- > 0;) {
    if (llvm::is_contained(dot.getRhsBatch(), i) ||
        llvm::is_contained(dot.getRhsContracting(), i))
      continue;
    --at;
    if (i == dimension)
      return at;
  }
  return std::nullopt;
}

/// A scale of one number as a scalar; null otherwise.
Value scalarOf(OpBuilder &builder, Value scale) {
  // Broadcasts of constants have been folded.
  if (auto number = splatValue(scale))
    return graph::ConstantOp::create(
        builder, scale.getLoc(),
        makeConstant(RankedTensorType::get({}, elementOf(scale)), {*number}));
  while (auto broadcast = scale.getDefiningOp<BroadcastOp>())
    scale = broadcast.getOperand();
  auto type = cast<RankedTensorType>(scale.getType());
  return type.hasStaticShape() && type.getNumElements() == 1 ? scale : Value();
}

struct ScaledProduct : RewritePattern {
  ScaledProduct(MLIRContext *context)
      : RewritePattern(MatchAnyOpTypeTag(), 1, context) {}

  LogicalResult matchAndRewrite(Operation *op,
                                PatternRewriter &rewriter) const override {
    if (!isa<DotGeneralOp, ConvolutionOp>(op) || !plain(op) ||
        !isa<FloatType>(elementOf(op->getResult(0))))
      return failure();
    auto lhs = matchDequantized(op->getOperand(0));
    auto rhs = matchDequantized(op->getOperand(1));
    if (!lhs || !rhs)
      return failure();
    bool floats = isFloat8(elementOf(lhs->numbers));
    if (floats) {
      if (elementOf(rhs->numbers) != elementOf(lhs->numbers) ||
          elementOf(op->getResult(0)).isF64())
        return failure();
    } else {
      // 255 * 255 for each term.
      auto terms = termsOf(op);
      if (!isa<IntegerType>(elementOf(rhs->numbers)) || !terms ||
          *terms > INT32_MAX / (255 * 255))
        return failure();
    }
    Location loc = op->getLoc();
    RankedTensorType type =
        withElement(cast<RankedTensorType>(op->getResult(0).getType()),
                    rewriter.getF32Type());
    Value left = scalarOf(rewriter, lhs->scale),
          right = scalarOf(rewriter, rhs->scale);
    if (!left)
      return failure();
    std::optional<int64_t> at;
    std::optional<ChannelVector> vector;
    if (!right) {
      // One scale for each column.
      vector = matchChannelVector(rhs->scale);
      if (vector)
        at = resultDimension(op, vector->dimension);
      if (!at)
        return failure();
    }
    auto inF32 = [&](Value value) {
      return converted(rewriter, loc, value, rewriter.getF32Type());
    };
    auto wide = [&](Value scalar) -> Value {
      scalar = inF32(reshaped(rewriter, loc, scalar, {}));
      return BroadcastOp::create(rewriter, loc, type, scalar,
                                 rewriter.getDenseI64ArrayAttr({}));
    };
    Value x = lhs->numbers, filter = rhs->numbers;
    if (!floats)
      std::tie(x, filter) = narrowOperands(rewriter, x, filter);
    Value y = productOf(rewriter, op, x, filter, rewriter.getF32Type());
    Value columns;
    if (right)
      columns = wide(right);
    else
      columns = BroadcastOp::create(rewriter, loc, type,
                                    inF32(vector->vector(rewriter)),
                                    rewriter.getDenseI64ArrayAttr({*at}));
    Value scale = MultiplyOp::create(rewriter, loc, type, wide(left), columns);
    y = MultiplyOp::create(rewriter, loc, type, y, scale);
    rewriter.replaceOp(
        op, converted(rewriter, loc, y, elementOf(op->getResult(0))));
    return success();
  }
};

/// A product of 32-bit integers that were narrower.
struct NarrowProduct : RewritePattern {
  NarrowProduct(MLIRContext *context)
      : RewritePattern(MatchAnyOpTypeTag(), 1, context) {}

  LogicalResult matchAndRewrite(Operation *op,
                                PatternRewriter &rewriter) const override {
    if (!isa<DotGeneralOp, ConvolutionOp>(op) || !plain(op) ||
        !elementOf(op->getResult(0)).isSignlessInteger(32))
      return failure();
    for (Value operand : op->getOperands()) {
      auto range = rangeOf(operand);
      if (!range || !range->within(-most, most - 1))
        return failure();
    }
    // Sums wrap as those of 32-bit products do.
    auto [lhs, rhs] =
        narrowOperands(rewriter, op->getOperand(0), op->getOperand(1));
    rewriter.replaceOp(
        op, productOf(rewriter, op, lhs, rhs, rewriter.getI32Type()));
    return success();
  }
};

Value cloneNarrow(OpBuilder &builder, Operation *op) {
  Value inner = narrowed(builder, op->getOperand(0));
  OperationState state(op->getLoc(), op->getName());
  state.addOperands(inner);
  state.addAttributes(op->getAttrs());
  state.addTypes(withElement(cast<RankedTensorType>(op->getResult(0).getType()),
                             builder.getIntegerType(16)));
  return builder.create(state)->getResult(0);
}

struct FoldQuantizationPass
    : PassWrapper<FoldQuantizationPass, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(FoldQuantizationPass)
  StringRef getArgument() const final { return "aicc-fold-quantization"; }
  StringRef getDescription() const final {
    return "Products of dequantised operands as products of what they were";
  }
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<ScaledProduct, NarrowProduct>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace

std::unique_ptr<Pass> aicc::transforms::createFoldQuantizationPass() {
  return std::make_unique<FoldQuantizationPass>();
}
