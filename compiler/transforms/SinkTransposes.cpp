//===- SinkTransposes.cpp - transposes meet and cancel --------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// f(transpose(x)) becomes transpose(f(x)) wherever f allows it, so that
// transposes travel toward the results; two that meet become one, one that
// moves unit dimensions only becomes a reshape, and a product reads through
// one that leaves its last dimension alone. A transpose of a constant stays
// where it is: it costs nothing at run time.
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
using llvm::ArrayRef;
using llvm::SmallVector;

namespace {
using Permutation = SmallVector<int64_t>;

/// Whether elements keep their order: only unit dimensions move.
bool keepsOrder(ArrayRef<AffineExpr> dims, ArrayRef<int64_t> permutation) {
  int64_t last = -1;
  for (int64_t from : permutation) {
    if (isConstant(dims[from], 1))
      continue;
    if (from < last)
      return false;
    last = from;
  }
  return true;
}

/// The transpose that defines the value, unless it is of a constant or soon a
/// reshape.
TransposeOp transposeOf(Value value) {
  auto op = value.getDefiningOp<TransposeOp>();
  return op && !isConstantDerived(op.getOperand()) &&
                 !keepsOrder(dimsOf(op.getOperand()), op.getPermutation())
             ? op
             : TransposeOp();
}

/// transpose(value, permutation) with the type of the result it replaces.
void replaceWithTranspose(PatternRewriter &rewriter, Operation *op, Value value,
                          ArrayRef<int64_t> permutation) {
  rewriter.replaceOp(op,
                     transposed(rewriter, op->getLoc(), value, permutation));
}

AffineMap permuteMap(AffineMap map, ArrayRef<int64_t> permutation) {
  SmallVector<AffineExpr> exprs =
      permute<AffineExpr>(map.getResults(), permutation);
  return makeMap(exprs, map.getContext());
}

/// broadcast(transpose(source, order), dimensions) is the transpose of the
/// broadcast that `perm` undoes.
struct BroadcastOrder {
  Permutation order, dimensions;

  BroadcastOrder(BroadcastOp broadcast, ArrayRef<int64_t> perm) {
    // Where each of the source's dimensions is in the new order, ascending.
    SmallVector<std::pair<int64_t, int64_t>> places;
    for (auto [i, dim] : llvm::enumerate(broadcast.getDimensions()))
      places.push_back({perm[dim], i});
    llvm::sort(places);
    for (auto [to, from] : places) {
      order.push_back(from);
      dimensions.push_back(to);
    }
  }
};

/// Operands of an operator that treats all of them alike, before `perm`: those
/// that are transposed by it lose it, broadcasts and constants follow, and few
/// others may get the inverse. Empty if that doesn't pay.
std::optional<SmallVector<Value>>
untranspose(PatternRewriter &rewriter, Operation *op, ArrayRef<int64_t> perm) {
  Permutation inverse = inverseOf(perm);
  unsigned matched = 0, inserted = 0;
  for (Value operand : op->getOperands()) {
    TransposeOp transpose = transposeOf(operand);
    if (transpose && transpose.getPermutation() == perm) {
      ++matched;
    } else if (auto broadcast = operand.getDefiningOp<BroadcastOp>()) {
      // Its source's transpose would travel back through it and make this
      // operand the one that is transposed.
      Value source = broadcast.getOperand();
      inserted +=
          !isConstantDerived(source) &&
          !keepsOrder(dimsOf(source), BroadcastOrder(broadcast, perm).order);
    } else if (!isConstantDerived(operand)) {
      ++inserted;
    }
  }
  if (matched == 0 || (inserted && inserted >= matched))
    return std::nullopt;
  SmallVector<Value> operands;
  for (Value operand : op->getOperands()) {
    TransposeOp transpose = transposeOf(operand);
    if (transpose && transpose.getPermutation() == perm) {
      operands.push_back(transpose.getOperand());
      continue;
    }
    auto broadcast = operand.getDefiningOp<BroadcastOp>();
    if (!broadcast) {
      operands.push_back(transposed(rewriter, op->getLoc(), operand, inverse));
      continue;
    }
    BroadcastOrder moved(broadcast, perm);
    Value source =
        transposed(rewriter, op->getLoc(), broadcast.getOperand(), moved.order);
    SmallVector<AffineExpr> dims =
        permute<AffineExpr>(dimsOf(operand), ArrayRef<int64_t>(inverse));
    auto type = makeType(dims, getElementTypeOrSelf(operand.getType()));
    operands.push_back(
        BroadcastOp::create(rewriter, broadcast.getLoc(), type, source,
                            rewriter.getDenseI64ArrayAttr(moved.dimensions)));
  }
  return operands;
}

struct SinkThroughElementwise : RewritePattern {
  SinkThroughElementwise(MLIRContext *context)
      : RewritePattern(MatchAnyOpTypeTag(), 1, context) {}

  LogicalResult matchAndRewrite(Operation *op,
                                PatternRewriter &rewriter) const override {
    if (!op->hasTrait<Elementwise>() || op->getNumResults() != 1)
      return failure();
    for (Value operand : op->getOperands()) {
      TransposeOp transpose = transposeOf(operand);
      if (!transpose)
        continue;
      Permutation perm(transpose.getPermutation());
      auto operands = untranspose(rewriter, op, perm);
      if (!operands)
        continue;
      Operation *inner =
          cloneWith(rewriter, op, *operands, dimsOf(transpose.getOperand()));
      replaceWithTranspose(rewriter, op, inner->getResult(0), perm);
      return success();
    }
    return failure();
  }
};

struct SinkThroughConcatenate : OpRewritePattern<ConcatenateOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(ConcatenateOp op,
                                PatternRewriter &rewriter) const override {
    for (Value operand : op.getOperands()) {
      TransposeOp transpose = transposeOf(operand);
      if (!transpose)
        continue;
      Permutation perm(transpose.getPermutation());
      // A broadcast is a tensor like any other here.
      if (llvm::any_of(op.getOperands(), [](Value v) {
            return v.getDefiningOp<BroadcastOp>() != nullptr;
          }))
        return failure();
      auto operands = untranspose(rewriter, op, perm);
      if (!operands)
        continue;
      SmallVector<AffineExpr> dims = permute<AffineExpr>(
          dimsOf(op.getResult()), ArrayRef<int64_t>(inverseOf(perm)));
      auto type = makeType(dims, getElementTypeOrSelf(op.getType()));
      Value inner = ConcatenateOp::create(
          rewriter, op.getLoc(), type, *operands,
          rewriter.getI64IntegerAttr(perm[op.getDimension()]));
      replaceWithTranspose(rewriter, op, inner, perm);
      return success();
    }
    return failure();
  }
};

struct SinkThroughBroadcast : OpRewritePattern<BroadcastOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(BroadcastOp op,
                                PatternRewriter &rewriter) const override {
    TransposeOp transpose = transposeOf(op.getOperand());
    if (!transpose)
      return failure();
    ArrayRef<int64_t> places = op.getDimensions();
    Permutation total(cast<RankedTensorType>(op.getType()).getRank());
    for (auto [i, p] : llvm::enumerate(total))
      p = i;
    for (auto [i, from] : llvm::enumerate(transpose.getPermutation()))
      total[places[i]] = places[from];
    SmallVector<AffineExpr> dims = permute<AffineExpr>(
        dimsOf(op.getResult()), ArrayRef<int64_t>(inverseOf(total)));
    Value inner =
        BroadcastOp::create(rewriter, op.getLoc(),
                            makeType(dims, getElementTypeOrSelf(op.getType())),
                            transpose.getOperand(), op.getDimensionsAttr());
    replaceWithTranspose(rewriter, op, inner, total);
    return success();
  }
};

/// Operators with one tensor operand whose attributes name its dimensions.
struct SinkThroughUnary : RewritePattern {
  SinkThroughUnary(MLIRContext *context)
      : RewritePattern(MatchAnyOpTypeTag(), 1, context) {}

  LogicalResult matchAndRewrite(Operation *op,
                                PatternRewriter &rewriter) const override {
    if (!isa<PadOp, SliceOp, ReverseOp, SoftmaxOp, NormalizeOp, CumulativeOp,
             ReduceOp, ArgReduceOp, ReduceWindowOp, ResizeOp>(op))
      return failure();
    TransposeOp transpose = transposeOf(op->getOperand(0));
    if (!transpose)
      return failure();
    ArrayRef<int64_t> perm = transpose.getPermutation();
    Permutation inverse = inverseOf(perm);
    SmallVector<NamedAttribute> attributes(op->getAttrs());
    auto set = [&](StringRef name, Attribute value) {
      for (NamedAttribute &attribute : attributes)
        if (attribute.getName() == name)
          attribute.setValue(value);
    };
    auto permuteArrays = [&](ArrayRef<StringRef> names) {
      for (StringRef name : names)
        if (auto array = op->getAttrOfType<DenseI64ArrayAttr>(name))
          set(name, rewriter.getDenseI64ArrayAttr(permute(
                        array.asArrayRef(), ArrayRef<int64_t>(inverse))));
    };
    auto permuteMaps = [&](ArrayRef<StringRef> names) {
      for (StringRef name : names)
        set(name,
            AffineMapAttr::get(permuteMap(
                op->getAttrOfType<AffineMapAttr>(name).getValue(), inverse)));
    };
    auto setAxis = [&](int64_t axis) {
      set("axis", rewriter.getI64IntegerAttr(axis));
    };
    SmallVector<AffineExpr> resultDims = dimsOf(op->getResult(0));
    Permutation after(perm);
    auto reduced = [&](ArrayRef<int64_t> axes) {
      SmallVector<std::pair<int64_t, int64_t>> kept;
      for (auto [i, from] : llvm::enumerate(perm))
        if (!llvm::is_contained(axes, int64_t(i)))
          kept.push_back({from, kept.size()});
      llvm::sort(kept);
      Permutation order;
      for (auto [from, place] : kept)
        order.push_back(place);
      after = inverseOf(order);
    };
    if (auto reduce = dyn_cast<ReduceOp>(op)) {
      Permutation axes;
      for (int64_t axis : reduce.getAxes())
        axes.push_back(perm[axis]);
      llvm::sort(axes);
      set("axes", rewriter.getDenseI64ArrayAttr(axes));
      reduced(reduce.getAxes());
    } else if (auto arg = dyn_cast<ArgReduceOp>(op)) {
      int64_t axis = arg.getAxis();
      setAxis(perm[axis]);
      reduced(axis);
    } else if (auto softmax = dyn_cast<SoftmaxOp>(op)) {
      // Rows that are not contiguous would be read many times over.
      if (perm[softmax.getAxis()] != int64_t(perm.size()) - 1)
        return failure();
      setAxis(perm[softmax.getAxis()]);
    } else if (auto cumulative = dyn_cast<CumulativeOp>(op)) {
      setAxis(perm[cumulative.getAxis()]);
    } else if (auto normalize = dyn_cast<NormalizeOp>(op)) {
      for (int64_t i = normalize.getAxis(); i < int64_t(perm.size()); ++i)
        if (perm[i] < int64_t(normalize.getAxis()))
          return failure();
    } else if (auto reverse = dyn_cast<ReverseOp>(op)) {
      Permutation dims;
      for (int64_t dim : reverse.getDimensions())
        dims.push_back(perm[dim]);
      llvm::sort(dims);
      set("dimensions", rewriter.getDenseI64ArrayAttr(dims));
    } else if (isa<PadOp>(op)) {
      permuteMaps({"low", "high"});
    } else if (isa<SliceOp>(op)) {
      permuteMaps({"offsets"});
      permuteArrays({"strides"});
    } else if (isa<ReduceWindowOp>(op)) {
      permuteArrays(
          {"window", "strides", "low", "high", "dilations", "excess"});
    } else if (auto resize = dyn_cast<ResizeOp>(op)) {
      set("scales", rewriter.getDenseF64ArrayAttr(permute(
                        resize.getScales(), ArrayRef<int64_t>(inverse))));
    }
    Permutation back = inverseOf(after);
    resultDims = permute<AffineExpr>(resultDims, ArrayRef<int64_t>(back));
    SmallVector<Value> operands(op->getOperands());
    operands[0] = transpose.getOperand();
    OperationState state(op->getLoc(), op->getName());
    state.addOperands(operands);
    state.addAttributes(attributes);
    state.addTypes(
        makeType(resultDims, getElementTypeOrSelf(op->getResult(0).getType())));
    Operation *inner = rewriter.create(state);
    replaceWithTranspose(rewriter, op, inner->getResult(0), after);
    return success();
  }
};

/// reshape(transpose(x)) where every group of dimensions that the reshape
/// joins stands together in x.
struct SinkThroughReshape : OpRewritePattern<ReshapeOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(ReshapeOp op,
                                PatternRewriter &rewriter) const override {
    auto transpose = op.getOperand().getDefiningOp<TransposeOp>();
    if (!transpose)
      return failure();
    ArrayRef<int64_t> perm = transpose.getPermutation();
    SmallVector<AffineExpr> dims = dimsOf(op.getResult());
    auto groups = groupsOf(dimsOf(transpose.getResult()), dims);
    if (!groups)
      return failure();
    // Groups in the order of x; new unit dimensions stay after what they
    // follow.
    SmallVector<std::pair<int64_t, unsigned>> order;
    int64_t last = -1;
    for (auto [i, group] : llvm::enumerate(*groups)) {
      for (unsigned k = 1; k < group.fromCount; ++k)
        if (perm[group.fromBegin + k] != perm[group.fromBegin] + int64_t(k))
          return failure();
      if (group.fromCount)
        last = perm[group.fromBegin];
      order.push_back({last, i});
    }
    llvm::sort(order);
    SmallVector<AffineExpr> inner;
    Permutation after(dims.size());
    for (auto [from, index] : order)
      for (unsigned k = 0; k < (*groups)[index].toCount; ++k) {
        after[(*groups)[index].toBegin + k] = inner.size();
        inner.push_back(dims[(*groups)[index].toBegin + k]);
      }
    Value reshape =
        reshaped(rewriter, op.getLoc(), transpose.getOperand(), inner);
    replaceWithTranspose(rewriter, op, reshape, after);
    return success();
  }
};

struct ComposeTransposes : OpRewritePattern<TransposeOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(TransposeOp op,
                                PatternRewriter &rewriter) const override {
    ArrayRef<int64_t> perm = op.getPermutation();
    if (isIdentity(perm) || op.getOperand().getDefiningOp<TransposeOp>()) {
      replaceWithTranspose(rewriter, op, op.getOperand(), perm);
      return success();
    }
    // Unit dimensions only: the elements keep their order.
    if (!keepsOrder(dimsOf(op.getOperand()), perm))
      return failure();
    rewriter.replaceOpWithNewOp<ReshapeOp>(op, op.getType(), op.getOperand());
    return success();
  }
};

/// A product reads any order of dimensions, as long as rows stay contiguous:
/// the last dimension of an operand is the one that loops run along.
struct AbsorbIntoProduct : OpRewritePattern<DotGeneralOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(DotGeneralOp op,
                                PatternRewriter &rewriter) const override {
    if (op.getRhsPacked())
      return failure();
    for (unsigned side : {0, 1}) {
      TransposeOp transpose = transposeOf(op->getOperand(side));
      if (!transpose)
        continue;
      ArrayRef<int64_t> perm = transpose.getPermutation();
      if (perm.empty() || perm.back() != int64_t(perm.size()) - 1)
        continue;
      ArrayRef<int64_t> batch = side ? op.getRhsBatch() : op.getLhsBatch();
      ArrayRef<int64_t> contracting =
          side ? op.getRhsContracting() : op.getLhsContracting();
      // Free dimensions keep their order in the result.
      int64_t lastFree = -1;
      bool ordered = true;
      for (auto [i, from] : llvm::enumerate(perm)) {
        if (llvm::is_contained(batch, int64_t(i)) ||
            llvm::is_contained(contracting, int64_t(i)))
          continue;
        ordered &= from > lastFree;
        lastFree = from;
      }
      if (!ordered)
        continue;
      auto mapped = [&](ArrayRef<int64_t> dims) {
        Permutation result;
        for (int64_t dim : dims)
          result.push_back(perm[dim]);
        return rewriter.getDenseI64ArrayAttr(result);
      };
      auto newBatch = mapped(batch), newContracting = mapped(contracting);
      rewriter.modifyOpInPlace(op, [&] {
        op->setOperand(side, transpose.getOperand());
        if (side) {
          op.setRhsBatchAttr(newBatch);
          op.setRhsContractingAttr(newContracting);
        } else {
          op.setLhsBatchAttr(newBatch);
          op.setLhsContractingAttr(newContracting);
        }
      });
      return success();
    }
    return failure();
  }
};

struct SinkTransposesPass
    : PassWrapper<SinkTransposesPass, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(SinkTransposesPass)
  StringRef getArgument() const final { return "aicc-sink-transposes"; }
  StringRef getDescription() const final {
    return "Move transposes toward the results, where they meet and cancel";
  }
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<SinkThroughElementwise, SinkThroughConcatenate,
                 SinkThroughBroadcast, SinkThroughUnary, SinkThroughReshape,
                 ComposeTransposes, AbsorbIntoProduct>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace

std::unique_ptr<Pass> aicc::transforms::createSinkTransposesPass() {
  return std::make_unique<SinkTransposesPass>();
}
