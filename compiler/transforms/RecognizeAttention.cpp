//===- RecognizeAttention.cpp - exporters' attention in one form ----------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Exporters write attention with reshapes in the middle: heads merged with the
// batch for a three-dimensional product, keys repeated for the queries that
// share them, a dimension kept by a reduction. Here they move to the operands
// and the result, so that what remains is the chain of AttentionChain.h:
//
//   dot_general -> elementwise -> softmax -> choices -> dot_general
//
// Queries that share keys become rows of one product: [B, heads, M, D] is split
// to [B, key heads, group, M, D] and meets keys that nobody repeats.
//
//===----------------------------------------------------------------------===//

#include "compiler/transforms/AttentionChain.h"
#include "compiler/transforms/Match.h"
#include "compiler/transforms/Passes.h"
#include "compiler/transforms/Utils.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace aicc;
using namespace aicc::graph;
using namespace aicc::transforms;

namespace {
constexpr unsigned farthest = 12; // operators, one behind the other
constexpr unsigned most = 48;     // operators that are looked at

/// Whether the value goes into a softmax through elementwise operators and
/// reshapes.
bool reachesSoftmax(Value value) {
  llvm::SetVector<Value> open;
  open.insert(value);
  for (unsigned i = 0; i < open.size() && i < most; ++i)
    for (Operation *user : open[i].getUsers()) {
      if (isa<SoftmaxOp>(user))
        return true;
      if (user->hasTrait<Elementwise>() || isa<ReshapeOp>(user))
        open.insert(user->getResult(0));
    }
  return false;
}

/// Whether the value is a softmax's result after conversions and choices.
bool isWeight(Value value) {
  llvm::SetVector<Value> open;
  open.insert(value);
  for (unsigned i = 0; i < open.size() && i < most; ++i) {
    Operation *op = open[i].getDefiningOp();
    if (!op)
      continue;
    if (isa<SoftmaxOp>(op))
      return true;
    if (isa<CastOp, ReshapeOp, MultiplyOp, IsNanOp, SelectOp>(op))
      open.insert(op->operand_begin(), op->operand_end());
  }
  return false;
}

/// How many of the last dimensions two shapes have in common.
unsigned commonTail(ArrayRef<AffineExpr> a, ArrayRef<AffineExpr> b) {
  unsigned n = 0;
  while (n < a.size() && n < b.size() &&
         equal(a[a.size() - 1 - n], b[b.size() - 1 - n]))
    ++n;
  return n;
}

//===----------------------------------------------------------------------===//
// Reshapes between the operators
//===----------------------------------------------------------------------===//

/// The product of [Z, M, K] and [Z, K, N] with other batch dimensions in the
/// place of Z; null if the operands have other forms.
Value withBatch(PatternRewriter &rewriter, DotGeneralOp op,
                ArrayRef<AffineExpr> batch) {
  SmallVector<AffineExpr> lhs = dimsOf(op.getLhs()), rhs = dimsOf(op.getRhs());
  if (op.getRhsPacked() || op.getLhsBatch() != ArrayRef<int64_t>(0) ||
      op.getRhsBatch() != ArrayRef<int64_t>(0) || lhs.size() != 3 ||
      rhs.size() != 3)
    return nullptr;
  auto widen = [&](ArrayRef<AffineExpr> dims) {
    SmallVector<AffineExpr> wide(batch);
    wide.append(dims.begin() + 1, dims.end());
    return wide;
  };
  SmallVector<int64_t> batchDims;
  for (unsigned i = 0; i < batch.size(); ++i)
    batchDims.push_back(i);
  int64_t more = int64_t(batch.size()) - 1;
  SmallVector<AffineExpr> result = widen(dimsOf(op.getResult()));
  Location loc = op.getLoc();
  return DotGeneralOp::create(
      rewriter, loc,
      makeType(result, getElementTypeOrSelf(op.getResult().getType())),
      reshaped(rewriter, loc, op.getLhs(), widen(lhs)),
      reshaped(rewriter, loc, op.getRhs(), widen(rhs)),
      rewriter.getDenseI64ArrayAttr(batchDims),
      rewriter.getDenseI64ArrayAttr(batchDims),
      rewriter.getDenseI64ArrayAttr({op.getLhsContracting()[0] + more}),
      rewriter.getDenseI64ArrayAttr({op.getRhsContracting()[0] + more}),
      op.getAccumulatorAttr(), rewriter.getI64IntegerAttr(0),
      rewriter.getI64IntegerAttr(0));
}

/// reshape(product) that splits the batch, on its way to a softmax.
struct SplitScores : OpRewritePattern<ReshapeOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(ReshapeOp op,
                                PatternRewriter &rewriter) const override {
    auto product = op.getOperand().getDefiningOp<DotGeneralOp>();
    SmallVector<AffineExpr> to = dimsOf(op.getResult());
    if (!product || !product->hasOneUse() || to.size() < 4 ||
        commonTail(dimsOf(op.getOperand()), to) < 2 ||
        !reachesSoftmax(op.getResult()))
      return failure();
    Value result =
        withBatch(rewriter, product, ArrayRef<AffineExpr>(to).drop_back(2));
    if (!result)
      return failure();
    rewriter.replaceOp(op, result);
    return success();
  }
};

/// product(reshape(weights), values), the reshape merging the batch.
struct SplitWeights : OpRewritePattern<DotGeneralOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(DotGeneralOp op,
                                PatternRewriter &rewriter) const override {
    auto reshape = op.getLhs().getDefiningOp<ReshapeOp>();
    if (!reshape || !isWeight(reshape.getOperand()))
      return failure();
    SmallVector<AffineExpr> from = dimsOf(reshape.getOperand());
    if (from.size() < 4 || commonTail(from, dimsOf(reshape.getResult())) < 2)
      return failure();
    Value result =
        withBatch(rewriter, op, ArrayRef<AffineExpr>(from).drop_back(2));
    if (!result)
      return failure();
    rewriter.replaceOpWithNewOp<ReshapeOp>(op, op.getResult().getType(),
                                           result);
    return success();
  }
};

/// softmax(reshape(x)) where the last dimensions stay.
struct SoftmaxBeforeReshape : OpRewritePattern<SoftmaxOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(SoftmaxOp op,
                                PatternRewriter &rewriter) const override {
    auto reshape = op.getOperand().getDefiningOp<ReshapeOp>();
    if (!reshape)
      return failure();
    SmallVector<AffineExpr> from = dimsOf(reshape.getOperand()),
                            to = dimsOf(reshape.getResult());
    unsigned rows = to.size() - op.getAxis();
    if (from.size() < 3 || commonTail(from, to) < std::max(rows, 2u))
      return failure();
    Value inner = SoftmaxOp::create(
        rewriter, op.getLoc(), reshape.getOperand().getType(),
        reshape.getOperand(), rewriter.getI64IntegerAttr(from.size() - rows),
        op.getLogAttr());
    rewriter.replaceOpWithNewOp<ReshapeOp>(op, op.getType(), inner);
    return success();
  }
};

/// f(reshape(x), …) between the products, where other operands are numbers or
/// reshaped in the same way: on weights, and on scores if the batch is merged.
struct ElementwiseBeforeReshape : RewritePattern {
  ElementwiseBeforeReshape(MLIRContext *context)
      : RewritePattern(MatchAnyOpTypeTag(), 1, context) {}

  LogicalResult matchAndRewrite(Operation *op,
                                PatternRewriter &rewriter) const override {
    if (!op->hasTrait<Elementwise>() || op->getNumResults() != 1)
      return failure();
    SmallVector<AffineExpr> from, to = dimsOf(op->getResult(0));
    for (Value operand : op->getOperands()) {
      auto reshape = operand.getDefiningOp<ReshapeOp>();
      if (!reshape) {
        if (!splatValue(operand))
          return failure();
        continue;
      }
      SmallVector<AffineExpr> dims = dimsOf(reshape.getOperand());
      bool between = isWeight(reshape.getOperand()) ||
                     (dims.size() > to.size() && commonTail(dims, to) >= 2 &&
                      reachesSoftmax(op->getResult(0)));
      if (!between || (!from.empty() && !llvm::equal(from, dims, equal)))
        return failure();
      from = dims;
    }
    if (from.empty())
      return failure();
    SmallVector<Value> operands;
    for (Value operand : op->getOperands()) {
      auto reshape = operand.getDefiningOp<ReshapeOp>();
      operands.push_back(
          reshape ? reshape.getOperand()
                  : transforms::splat(
                        rewriter, op->getLoc(),
                        makeType(from, getElementTypeOrSelf(operand.getType())),
                        *splatValue(operand)));
    }
    Operation *inner = cloneWith(rewriter, op, operands, from);
    rewriter.replaceOpWithNewOp<ReshapeOp>(op, op->getResult(0).getType(),
                                           inner->getResult(0));
    return success();
  }
};

/// compare(reshape(x), number), the reshape keeping a reduced dimension.
struct CompareBeforeReshape : OpRewritePattern<CompareOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(CompareOp op,
                                PatternRewriter &rewriter) const override {
    auto reshape = op.getLhs().getDefiningOp<ReshapeOp>();
    auto bound = splatValue(op.getRhs());
    if (!reshape || !bound || !reshape.getOperand().getDefiningOp<ReduceOp>())
      return failure();
    auto from = cast<RankedTensorType>(reshape.getOperand().getType());
    Value inner = CompareOp::create(
        rewriter, op.getLoc(), withElement(from, rewriter.getI1Type()),
        reshape.getOperand(),
        transforms::splat(rewriter, op.getLoc(), from, *bound),
        op.getPredicateAttr());
    rewriter.replaceOpWithNewOp<ReshapeOp>(op, op.getType(), inner);
    return success();
  }
};

/// broadcast(reshape(choice)) where the reshape only adds dimensions of size 1.
struct BroadcastWithoutReshape : OpRewritePattern<BroadcastOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(BroadcastOp op,
                                PatternRewriter &rewriter) const override {
    auto reshape = op.getOperand().getDefiningOp<ReshapeOp>();
    if (!reshape || !reshape.getOperand().getDefiningOp<CompareOp>())
      return failure();
    SmallVector<AffineExpr> from = dimsOf(reshape.getOperand()),
                            to = dimsOf(reshape.getResult());
    if (from.size() >= to.size())
      return failure();
    SmallVector<int64_t> dims;
    unsigned next = 0;
    for (AffineExpr size : from) {
      while (next < to.size() && !equal(to[next], size))
        if (!isConstant(to[next++], 1))
          return failure();
      if (next == to.size())
        return failure();
      dims.push_back(op.getDimensions()[next++]);
    }
    for (; next < to.size(); ++next)
      if (!isConstant(to[next], 1))
        return failure();
    rewriter.replaceOpWithNewOp<BroadcastOp>(
        op, op.getType(), reshape.getOperand(),
        rewriter.getDenseI64ArrayAttr(dims));
    return success();
  }
};

/// reshape(transpose(reshape(x))) that merges the batch and splits it again: a
/// transpose of the last dimensions.
struct TransposeOfLast : OpRewritePattern<ReshapeOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(ReshapeOp op,
                                PatternRewriter &rewriter) const override {
    auto transpose = op.getOperand().getDefiningOp<TransposeOp>();
    if (!transpose || !transpose.getOperand().getDefiningOp<ReshapeOp>())
      return failure();
    SmallVector<AffineExpr> merged = dimsOf(transpose.getOperand()),
                            to = dimsOf(op.getResult());
    ArrayRef<int64_t> order = transpose.getPermutation();
    if (merged.size() < 2 || order[0] != 0 || to.size() <= merged.size())
      return failure();
    unsigned tail = merged.size() - 1;
    if (commonTail(dimsOf(transpose.getResult()), to) < tail)
      return failure();
    int64_t more = int64_t(to.size()) - int64_t(merged.size());
    SmallVector<AffineExpr> split(ArrayRef<AffineExpr>(to).drop_back(tail));
    split.append(merged.begin() + 1, merged.end());
    SmallVector<int64_t> permutation;
    for (int64_t i = 0; i <= more; ++i)
      permutation.push_back(i);
    for (int64_t i : order.drop_front())
      permutation.push_back(i + more);
    Value whole =
        reshaped(rewriter, op.getLoc(), transpose.getOperand(), split);
    rewriter.replaceOp(op,
                       transposed(rewriter, op.getLoc(), whole, permutation));
    return success();
  }
};

/// reshape(slice(x)) that splits heads, the slice being a whole number of
/// heads: the slice comes last, where it is only a matter of indices.
struct SliceHeads : OpRewritePattern<ReshapeOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(ReshapeOp op,
                                PatternRewriter &rewriter) const override {
    auto slice = op.getOperand().getDefiningOp<SliceOp>();
    if (!slice || !slice->hasOneUse() ||
        llvm::any_of(slice.getStrides(), [](int64_t s) { return s != 1; }))
      return failure();
    SmallVector<AffineExpr> from = dimsOf(slice.getResult()),
                            to = dimsOf(op.getResult()),
                            whole = dimsOf(slice.getOperand());
    unsigned last = from.size() - 1;
    if (from.empty() || to.size() != from.size() + 1 ||
        !llvm::equal(ArrayRef(from).drop_back(), ArrayRef(to).take_front(last),
                     equal))
      return failure();
    auto size = constantOf(to.back()), all = constantOf(whole[last]);
    SmallVector<AffineExpr> offsets(slice.getOffsets().getResults());
    auto first = constantOf(offsets[last]);
    if (!size || !all || !first || *size < 2 || *all % *size || *first % *size)
      return failure();
    whole[last] = rewriter.getAffineConstantExpr(*all / *size);
    whole.push_back(to.back());
    offsets[last] = rewriter.getAffineConstantExpr(*first / *size);
    offsets.push_back(rewriter.getAffineConstantExpr(0));
    SmallVector<int64_t> strides(offsets.size(), 1);
    rewriter.replaceOpWithNewOp<SliceOp>(
        op, op.getType(),
        reshaped(rewriter, op.getLoc(), slice.getOperand(), whole),
        AffineMapAttr::get(makeMap(offsets, getContext())),
        rewriter.getDenseI64ArrayAttr(strides));
    return success();
  }
};

//===----------------------------------------------------------------------===//
// The chain itself
//===----------------------------------------------------------------------===//

/// softmax(select(hidden, number, x)) whose weights are 0 where `hidden` holds
/// for whole rows: what hidden rows contain doesn't matter.
struct ChooseOnce : OpRewritePattern<SoftmaxOp> {
  using OpRewritePattern::OpRewritePattern;

  static bool isChosenAfter(Value weights, Value hidden) {
    return !weights.use_empty() &&
           llvm::all_of(weights.getUsers(), [&](Operation *user) {
             if (isa<CastOp>(user))
               return isChosenAfter(user->getResult(0), hidden);
             auto select = dyn_cast<SelectOp>(user);
             return select && select.getCondition() == hidden &&
                    select.getOnFalse() == weights &&
                    select.getOnTrue() != weights;
           });
  }

  LogicalResult matchAndRewrite(SoftmaxOp op,
                                PatternRewriter &rewriter) const override {
    Value scores = op.getOperand();
    SmallVector<CastOp> casts;
    while (auto cast = scores.getDefiningOp<CastOp>()) {
      casts.push_back(cast);
      scores = cast.getOperand();
    }
    auto select = scores.getDefiningOp<SelectOp>();
    if (!select)
      return failure();
    Value hidden = select.getCondition();
    auto broadcast = hidden.getDefiningOp<BroadcastOp>();
    if (!broadcast)
      return failure();
    SmallVector<AffineExpr> dims = dimsOf(broadcast.getOperand());
    for (auto [i, dim] : llvm::enumerate(broadcast.getDimensions()))
      if (dim == int64_t(op.getAxis()) && !isConstant(dims[i], 1))
        return failure();
    if (!isChosenAfter(op.getResult(), hidden))
      return failure();
    Value plain = select.getOnFalse();
    for (CastOp cast : llvm::reverse(casts))
      plain = cloneWith(rewriter, cast, plain, dimsOf(plain))->getResult(0);
    rewriter.modifyOpInPlace(op, [&] { op->setOperand(0, plain); });
    return success();
  }
};

/// transpose(product) that swaps rows and columns, on its way to a softmax:
/// the product of the operands in the other order.
struct SwapOperands : OpRewritePattern<TransposeOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(TransposeOp op,
                                PatternRewriter &rewriter) const override {
    auto product = op.getOperand().getDefiningOp<DotGeneralOp>();
    if (!product || !product->hasOneUse() || product.getRhsPacked() ||
        !reachesSoftmax(op.getResult()))
      return failure();
    int64_t batch = product.getLhsBatch().size();
    int64_t left =
        cast<RankedTensorType>(product.getLhs().getType()).getRank() - batch -
        product.getLhsContracting().size();
    int64_t rank = op.getPermutation().size();
    for (auto [i, from] : llvm::enumerate(op.getPermutation())) {
      int64_t right = rank - batch - left, k = i;
      int64_t expected = k < batch           ? k
                         : k < batch + right ? k + left
                                             : k - right;
      if (from != expected)
        return failure();
    }
    rewriter.replaceOpWithNewOp<DotGeneralOp>(
        op, op.getType(), product.getRhs(), product.getLhs(),
        product.getRhsBatchAttr(), product.getLhsBatchAttr(),
        product.getRhsContractingAttr(), product.getLhsContractingAttr(),
        product.getAccumulatorAttr(), rewriter.getI64IntegerAttr(0),
        rewriter.getI64IntegerAttr(0));
    return success();
  }
};

/// (q * a)(k * b) = (q * ab) k: keys are many, and those of the past are read
/// as they are. Not in f16, whose rounding shows.
struct ScaleQueries : OpRewritePattern<DotGeneralOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(DotGeneralOp op,
                                PatternRewriter &rewriter) const override {
    WithScalar q = multipliedScalar(op.getLhs()),
               k = multipliedScalar(op.getRhs());
    if (!q || !k || !getElementTypeOrSelf(op.getLhs().getType()).isF32() ||
        !reachesSoftmax(op.getResult()))
      return failure();
    auto type = cast<RankedTensorType>(q.value.getType());
    Value scaled = MultiplyOp::create(
        rewriter, op.getLhs().getLoc(), type, q.value,
        transforms::splat(rewriter, op.getLoc(), type, q.scalar * k.scalar));
    rewriter.modifyOpInPlace(op, [&] {
      op->setOperand(0, scaled);
      op->setOperand(1, k.value);
    });
    return success();
  }
};

//===----------------------------------------------------------------------===//
// Queries that share keys
//===----------------------------------------------------------------------===//

/// Dimension `at` of a shape as two.
SmallVector<AffineExpr> splitDims(ArrayRef<AffineExpr> dims, unsigned at,
                                  int64_t outer, int64_t inner) {
  SmallVector<AffineExpr> result(dims);
  MLIRContext *context = dims[0].getContext();
  result[at] = getAffineConstantExpr(outer, context);
  result.insert(result.begin() + at + 1, getAffineConstantExpr(inner, context));
  return result;
}

struct Groups {
  DotGeneralOp scores;
  AttentionChain chain;
  unsigned head = 0;            // dimension of the scores
  int64_t outer = 0, inner = 0; // heads of keys, queries that share one
  IRMapping mapping;

  bool match();
  void rewrite(OpBuilder &builder);

private:
  std::optional<int64_t> repeated(Value value, unsigned at);
  Value once(OpBuilder &builder, Value value, unsigned at);
  Value split(OpBuilder &builder, Value value, unsigned at, unsigned depth = 0);
};

/// How often each index of a dimension stands there in a row.
std::optional<int64_t> Groups::repeated(Value value, unsigned at) {
  Operation *op = value.getDefiningOp();
  if (!op)
    return std::nullopt;
  if (auto transpose = dyn_cast<TransposeOp>(op))
    return repeated(transpose.getOperand(), transpose.getPermutation()[at]);
  if (isa<CastOp>(op))
    return repeated(op->getOperand(0), at);
  if (WithScalar scaled = multipliedScalar(value))
    return repeated(scaled.value, at);
  auto reshape = dyn_cast<ReshapeOp>(op);
  auto broadcast = reshape ? reshape.getOperand().getDefiningOp<BroadcastOp>()
                           : BroadcastOp();
  if (!broadcast)
    return std::nullopt;
  SmallVector<AffineExpr> to = dimsOf(value),
                          from = dimsOf(reshape.getOperand());
  if (from.size() != to.size() + 1)
    return std::nullopt;
  auto many = constantOf(from[at]), times = constantOf(from[at + 1]);
  if (!many || !times || *times < 2 ||
      !llvm::equal(from, splitDims(to, at, *many, *times), equal))
    return std::nullopt;
  SmallVector<AffineExpr> source = dimsOf(broadcast.getOperand());
  for (auto [i, dim] : llvm::enumerate(broadcast.getDimensions()))
    if (dim == int64_t(at) + 1 ? !isConstant(source[i], 1)
                               : !equal(source[i], from[dim]))
      return std::nullopt;
  // Every other dimension comes from the source.
  unsigned real = llvm::count_if(broadcast.getDimensions(), [&](int64_t dim) {
    return dim != int64_t(at) + 1;
  });
  return real == to.size() ? times : std::nullopt;
}

/// The value before its dimension was repeated.
Value Groups::once(OpBuilder &builder, Value value, unsigned at) {
  Operation *op = value.getDefiningOp();
  Location loc = value.getLoc();
  if (auto transpose = dyn_cast<TransposeOp>(op))
    return transposed(
        builder, loc,
        once(builder, transpose.getOperand(), transpose.getPermutation()[at]),
        transpose.getPermutation());
  SmallVector<AffineExpr> dims = dimsOf(value);
  dims[at] = builder.getAffineConstantExpr(outer);
  if (isa<CastOp>(op))
    return cloneWith(builder, op, once(builder, op->getOperand(0), at), dims)
        ->getResult(0);
  if (WithScalar scaled = multipliedScalar(value)) {
    auto type = makeType(dims, getElementTypeOrSelf(value.getType()));
    return MultiplyOp::create(
        builder, loc, type, once(builder, scaled.value, at),
        transforms::splat(builder, loc, type, scaled.scalar));
  }
  auto broadcast = op->getOperand(0).getDefiningOp<BroadcastOp>();
  return reshaped(builder, loc, broadcast.getOperand(), dims);
}

/// The value with a dimension split in two, by operators whose results nobody
/// else needs where that keeps reshapes away.
Value Groups::split(OpBuilder &builder, Value value, unsigned at,
                    unsigned depth) {
  if (Value known = mapping.lookupOrNull(value))
    return known;
  SmallVector<AffineExpr> dims = splitDims(dimsOf(value), at, outer, inner);
  Location loc = value.getLoc();
  Operation *op = value.getDefiningOp();
  auto type = makeType(dims, getElementTypeOrSelf(value.getType()));
  if (auto number = splatValue(value))
    return transforms::splat(builder, loc, type, *number);
  if (auto broadcast = dyn_cast_or_null<BroadcastOp>(op)) {
    Value source = broadcast.getOperand();
    SmallVector<AffineExpr> from = dimsOf(source);
    SmallVector<int64_t> to;
    for (auto [i, dim] : llvm::enumerate(broadcast.getDimensions())) {
      to.push_back(dim > int64_t(at) ? dim + 1 : dim);
      if (dim != int64_t(at) || isConstant(from[i], 1))
        continue;
      source = split(builder, source, i, depth + 1);
      to.push_back(dim + 1);
    }
    return BroadcastOp::create(builder, loc, type, source,
                               builder.getDenseI64ArrayAttr(to));
  }
  if (auto transpose = dyn_cast_or_null<TransposeOp>(op)) {
    unsigned source = transpose.getPermutation()[at];
    SmallVector<int64_t> permutation;
    for (auto [i, from] : llvm::enumerate(transpose.getPermutation())) {
      permutation.push_back(from > int64_t(source) ? from + 1 : from);
      if (i == at)
        permutation.push_back(from + 1);
    }
    return transposed(builder, loc,
                      split(builder, transpose.getOperand(), source, depth + 1),
                      permutation);
  }
  if (op && op->hasTrait<Elementwise>() && op->getNumResults() == 1 &&
      op->hasOneUse() && depth < farthest &&
      llvm::count_if(op->getOperands(),
                     [](Value operand) { return !splatValue(operand); }) == 1) {
    SmallVector<Value> operands;
    for (Value operand : op->getOperands())
      operands.push_back(split(builder, operand, at, depth + 1));
    return cloneWith(builder, op, operands, dims)->getResult(0);
  }
  return reshaped(builder, loc, value, dims);
}

bool Groups::match() {
  std::optional<AttentionChain> found = matchAttentionChain(scores);
  if (!found)
    return false;
  chain = *found;
  DotGeneralOp product = chain.product;
  Value keys = scores.getRhs(), values = product.getRhs();
  ArrayRef<int64_t> batch = scores.getLhsBatch();
  // The heads are the last batch dimension of both products, and queries come
  // right after them.
  if (batch.empty() ||
      !llvm::is_contained(chain.ops, product.getLhs().getDefiningOp()))
    return false;
  head = batch.size() - 1;
  int64_t inQueries = batch.back(), inKeys = scores.getRhsBatch().back();
  if (product.getLhsBatch().size() != batch.size() ||
      product.getLhsBatch().back() != int64_t(head))
    return false;
  for (auto [i, dim] : llvm::enumerate(product.getLhsBatch()))
    if (dim != int64_t(i))
      return false;
  for (int64_t i = 0; i < inQueries; ++i)
    if (!llvm::is_contained(batch, i))
      return false;
  auto times = repeated(keys, inKeys);
  if (!times || repeated(values, product.getRhsBatch().back()) != times)
    return false;
  auto heads = constantOf(dimsOf(scores.getResult())[head]);
  if (!heads || *heads % *times)
    return false;
  inner = *times;
  outer = *heads / inner;
  for (Operation *op : chain.ops)
    if (auto reduce = dyn_cast<ReduceOp>(op);
        reduce &&
        reduce.getAxes() != ArrayRef<int64_t>(chain.softmax.getAxis()))
      return false;
  return true;
}

void Groups::rewrite(OpBuilder &builder) {
  auto later = [](ArrayRef<int64_t> dims, int64_t at) {
    SmallVector<int64_t> result;
    for (int64_t dim : dims)
      result.push_back(dim > at ? dim + 1 : dim);
    return result;
  };
  // A product whose left operand has the heads split, the inner part being
  // rows.
  auto multiply = [&](DotGeneralOp op, Value lhs, Value rhs) -> Value {
    int64_t at = op.getLhsBatch().back();
    auto type = makeType(splitDims(dimsOf(op.getResult()), head, outer, inner),
                         getElementTypeOrSelf(op.getResult().getType()));
    return DotGeneralOp::create(
        builder, op.getLoc(), type, lhs, rhs,
        builder.getDenseI64ArrayAttr(later(op.getLhsBatch(), at)),
        op.getRhsBatchAttr(),
        builder.getDenseI64ArrayAttr(later(op.getLhsContracting(), at)),
        op.getRhsContractingAttr(), op.getAccumulatorAttr(),
        builder.getI64IntegerAttr(0), builder.getI64IntegerAttr(0));
  };
  builder.setInsertionPoint(scores);
  mapping.map(
      scores.getResult(),
      multiply(scores,
               split(builder, scores.getLhs(), scores.getLhsBatch().back()),
               once(builder, scores.getRhs(), scores.getRhsBatch().back())));
  SmallVector<Operation *> between(chain.ops);
  llvm::sort(between,
             [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
  for (Operation *op : between) {
    if (op == scores || op == chain.product)
      continue;
    builder.setInsertionPoint(op);
    Value result = op->getResult(0);
    SmallVector<AffineExpr> dims =
        splitDims(dimsOf(result), head, outer, inner);
    if (isa<BroadcastOp>(op)) {
      mapping.map(result, split(builder, result, head));
      continue;
    }
    SmallVector<Value> operands;
    for (Value operand : op->getOperands())
      operands.push_back(split(builder, operand, head));
    Operation *copy = cloneWith(builder, op, operands, dims);
    if (auto softmax = dyn_cast<SoftmaxOp>(copy))
      softmax.setAxis(softmax.getAxis() + 1);
    if (auto reduce = dyn_cast<ReduceOp>(copy))
      reduce.setAxes({reduce.getAxes()[0] + 1});
    mapping.map(result, copy->getResult(0));
  }

  // The result's transpose comes before the heads are joined again.
  DotGeneralOp product = chain.product;
  builder.setInsertionPoint(product);
  Value result =
      multiply(product, mapping.lookup(product.getLhs()),
               once(builder, product.getRhs(), product.getRhsBatch().back()));
  Operation *old = product;
  if (product->hasOneUse())
    if (auto transpose = dyn_cast<TransposeOp>(*product->user_begin())) {
      SmallVector<int64_t> permutation;
      for (int64_t from : transpose.getPermutation()) {
        permutation.push_back(from > int64_t(head) ? from + 1 : from);
        if (from == int64_t(head))
          permutation.push_back(from + 1);
      }
      builder.setInsertionPoint(transpose);
      result = transposed(builder, transpose.getLoc(), result, permutation);
      old = transpose;
    }
  old->getResult(0).replaceAllUsesWith(ReshapeOp::create(
      builder, old->getLoc(), old->getResult(0).getType(), result));
}

struct RecognizeAttentionPass
    : PassWrapper<RecognizeAttentionPass, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(RecognizeAttentionPass)
  StringRef getArgument() const final { return "aicc-recognize-attention"; }
  StringRef getDescription() const final {
    return "Decomposed attention in one form";
  }
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<SplitScores, SplitWeights, SoftmaxBeforeReshape,
                 ElementwiseBeforeReshape, CompareBeforeReshape,
                 BroadcastWithoutReshape, TransposeOfLast, SliceHeads,
                 ChooseOnce, SwapOperands, ScaleQueries>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    SmallVector<DotGeneralOp> products;
    getOperation().walk([&](DotGeneralOp op) { products.push_back(op); });
    for (DotGeneralOp op : products) {
      Groups groups;
      groups.scores = op;
      if (!groups.match())
        continue;
      OpBuilder builder(op);
      groups.rewrite(builder);
    }
  }
};
} // namespace

std::unique_ptr<Pass> aicc::transforms::createRecognizeAttentionPass() {
  return std::make_unique<RecognizeAttentionPass>();
}
