//===- AttentionChain.cpp - attention among operators ---------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/transforms/AttentionChain.h"
#include "compiler/transforms/Match.h"
#include "dialects/graph/Dims.h"

#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace aicc::graph;
using llvm::SmallVector;

namespace aicc::transforms {

static constexpr unsigned mostOps = 32;
static constexpr int64_t mostColumns = 256; // of the values

namespace {
struct ChainMatcher {
  AttentionChain chain;
  llvm::SetVector<Operation *> ops;
  int64_t axis = 0; // of the scores: the keys

  bool match(DotGeneralOp scores);
  bool collect();
  bool products();
  bool beforeSoftmax();
  bool maxima();
  bool linear(Value value);
  bool perRow(Value value);
};
} // namespace

static bool isShortFloat(Value value) {
  Type type = getElementTypeOrSelf(value.getType());
  return type.isF32() || type.isF16() || type.isBF16();
}

/// Everything between the products; the scores must reach one product only.
bool ChainMatcher::collect() {
  ops.insert(chain.scores);
  for (unsigned i = 0; i < ops.size(); ++i) {
    if (ops.size() > mostOps || ops[i]->getNumResults() != 1)
      return false;
    for (OpOperand &use : ops[i]->getResult(0).getUses()) {
      Operation *user = use.getOwner();
      if (user->getBlock() != chain.scores->getBlock())
        return false;
      if (auto product = dyn_cast<DotGeneralOp>(user)) {
        if ((chain.product && chain.product != product) ||
            product.getLhs() == product.getRhs())
          return false;
        chain.product = product;
        continue;
      }
      if (auto softmax = dyn_cast<SoftmaxOp>(user)) {
        if (chain.softmax && chain.softmax != softmax)
          return false;
        chain.softmax = softmax;
      } else if (!user->hasTrait<Elementwise>() &&
                 !isa<ReduceOp, BroadcastOp>(user)) {
        return false;
      }
      ops.insert(user);
    }
  }
  return chain.product && chain.softmax;
}

/// The keys' dimension belongs to one operand of the first product and is all
/// that the second one sums over.
bool ChainMatcher::products() {
  DotGeneralOp product = chain.product;
  axis = chain.softmax.getAxis();
  bool left = ops.contains(product.getLhs().getDefiningOp());
  bool right = ops.contains(product.getRhs().getDefiningOp());
  if (left == right || chain.softmax.getLog() || product.getRhsPacked() ||
      chain.scores.getRhsPacked())
    return false;
  for (Value value : {chain.scores.getLhs(), chain.scores.getRhs(),
                      chain.scores.getResult(), chain.softmax.getResult(),
                      product.getLhs(), product.getRhs(), product.getResult()})
    if (!isShortFloat(value))
      return false;
  if (axis < int64_t(chain.scores.getLhsBatch().size()))
    return false;
  ArrayRef<int64_t> summed =
      left ? product.getLhsContracting() : product.getRhsContracting();
  if (summed != ArrayRef<int64_t>(axis))
    return false;
  SmallVector<AffineExpr> dims =
      dimsOf(left ? product.getRhs() : product.getLhs());
  ArrayRef<int64_t> batch =
      left ? product.getRhsBatch() : product.getLhsBatch();
  ArrayRef<int64_t> keys =
      left ? product.getRhsContracting() : product.getLhsContracting();
  int64_t columns = 1;
  bool any = false;
  for (auto [i, dim] : llvm::enumerate(dims)) {
    if (llvm::is_contained(batch, int64_t(i)) ||
        llvm::is_contained(keys, int64_t(i)))
      continue;
    auto size = constantOf(dim);
    if (!size)
      return false;
    any = true;
    columns *= *size;
  }
  return any && columns > 0 && columns <= mostColumns;
}

/// What the softmax is taken of depends on the product elementwise only.
bool ChainMatcher::beforeSoftmax() {
  SmallVector<Value> work{chain.softmax.getOperand()};
  llvm::DenseSet<Operation *> seen;
  while (!work.empty()) {
    Operation *op = work.pop_back_val().getDefiningOp();
    if (!op || !ops.contains(op) || op == chain.scores ||
        !seen.insert(op).second)
      continue;
    if (!op->hasTrait<Elementwise>())
      return false;
    work.append(op->operand_begin(), op->operand_end());
  }
  return true;
}

static Value beneathCasts(Value value) {
  while (auto cast = value.getDefiningOp<CastOp>()) {
    auto from =
        dyn_cast<FloatType>(getElementTypeOrSelf(cast.getOperand().getType()));
    auto to = dyn_cast<FloatType>(getElementTypeOrSelf(cast.getType()));
    if (!from || !to || from.getWidth() >= to.getWidth())
      break;
    value = cast.getOperand();
  }
  return value;
}

/// Other reductions are maxima of the same scores.
bool ChainMatcher::maxima() {
  for (Operation *op : ops) {
    auto reduce = dyn_cast<ReduceOp>(op);
    if (reduce && (reduce.getKind() != ReduceKind::maximum ||
                   reduce.getAxes() != ArrayRef<int64_t>(axis) ||
                   beneathCasts(reduce.getOperand()) !=
                       beneathCasts(chain.softmax.getOperand())))
      return false;
  }
  return true;
}

/// A choice that is the same for all weights of a row.
bool ChainMatcher::perRow(Value value) {
  Operation *op = value.getDefiningOp();
  if (auto broadcast = dyn_cast_or_null<BroadcastOp>(op)) {
    SmallVector<AffineExpr> dims = dimsOf(broadcast.getOperand());
    for (auto [i, dim] : llvm::enumerate(broadcast.getDimensions()))
      if (dim == axis && !isConstant(dims[i], 1))
        return false;
    return true;
  }
  if (isa_and_nonnull<IsNanOp>(op)) // one NaN makes all of a row NaN
    return linear(op->getOperand(0));
  return isa_and_nonnull<AndOp, OrOp>(op) && perRow(op->getOperand(0)) &&
         perRow(op->getOperand(1));
}

/// Whether a value is the softmax times something of its row.
bool ChainMatcher::linear(Value value) {
  Operation *op = value.getDefiningOp();
  if (value == chain.softmax.getResult())
    return true;
  if (!op || !ops.contains(op))
    return false;
  if (isa<CastOp>(op))
    return isShortFloat(value) && isShortFloat(op->getOperand(0)) &&
           linear(op->getOperand(0));
  if (auto product = dyn_cast<MultiplyOp>(op))
    return (linear(product.getLhs()) &&
            splatValue(product.getRhs()).has_value()) ||
           (linear(product.getRhs()) &&
            splatValue(product.getLhs()).has_value());
  if (auto select = dyn_cast<SelectOp>(op))
    return perRow(select.getCondition()) &&
           llvm::all_of(op->getOperands().drop_front(), [&](Value choice) {
             return isSplat(choice, 0) || linear(choice);
           });
  return false;
}

bool ChainMatcher::match(DotGeneralOp scores) {
  chain.scores = scores;
  if (!collect() || !products() || !beforeSoftmax() || !maxima())
    return false;
  Value weights = chain.product.getLhs();
  if (!ops.contains(weights.getDefiningOp()))
    weights = chain.product.getRhs();
  if (!linear(weights))
    return false;
  ops.insert(chain.product);
  chain.ops = ops.takeVector();
  return true;
}

std::optional<AttentionChain> matchAttentionChain(DotGeneralOp scores) {
  ChainMatcher matcher;
  if (!matcher.match(scores))
    return std::nullopt;
  return matcher.chain;
}

} // namespace aicc::transforms
