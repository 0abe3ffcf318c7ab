//===- AttentionForm.cpp - attention in a kernel --------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Finds in a kernel of two products with a softmax in between which loops are
// batch, queries, keys and columns, and shows that the weights of a row are its
// exponentials times one number: then the second product may sum exponentials
// and multiply at the end. Choices in between (zero instead of NaN, a row of
// which everything is hidden) must be the same for a whole row.
//
//===----------------------------------------------------------------------===//

#include "compiler/gpu/Analysis.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace aicc;
using namespace aicc::gpu;

Value aicc::gpu::tensorOf(linalg::GenericOp generic, Value inBody) {
  auto argument = dyn_cast<BlockArgument>(inBody);
  if (!argument || argument.getOwner() != generic.getBlock() ||
      argument.getArgNumber() >= generic.getNumDpsInputs())
    return nullptr;
  return generic->getOperand(argument.getArgNumber());
}

linalg::GenericOp aicc::gpu::elementwiseOf(Value tensor) {
  auto generic =
      tensor ? tensor.getDefiningOp<linalg::GenericOp>() : linalg::GenericOp();
  return generic && !generic.getNumReductionLoops() &&
                 generic.getNumResults() == 1
             ? generic
             : linalg::GenericOp();
}

Value aicc::gpu::yielded(linalg::GenericOp generic) {
  return generic.getBlock()->getTerminator()->getOperand(0);
}

/// The number that a reduction begins with.
static FloatAttr initialOf(linalg::GenericOp generic) {
  Value init = generic.getDpsInits()[0];
  if (linalg::GenericOp fill = elementwiseOf(init))
    init = yielded(fill);
  Attribute value;
  if (!matchPattern(init, m_Constant(&value)))
    return nullptr;
  auto elements = dyn_cast<SplatElementsAttr>(value);
  return dyn_cast<FloatAttr>(elements ? elements.getSplatValue<Attribute>()
                                      : value);
}

/// The loops of `inner`, which computes the operand that `inBody` is an element
/// of, that depend on some loops of `generic`.
static llvm::SmallBitVector innerKeys(linalg::GenericOp generic, Value inBody,
                                      linalg::GenericOp inner,
                                      const llvm::SmallBitVector &keys) {
  OpOperand &operand =
      generic->getOpOperand(cast<BlockArgument>(inBody).getArgNumber());
  AffineMap to =
      inner.getIndexingMapMatchingResult(cast<OpResult>(inner->getResult(0)));
  llvm::SmallBitVector result(inner.getNumLoops());
  for (auto [mine, theirs] :
       llvm::zip(generic.getMatchingIndexingMap(&operand).getResults(),
                 to.getResults()))
    for (unsigned key : keys.set_bits())
      if (mine.isFunctionOfDim(key))
        for (unsigned loop = 0; loop < result.size(); ++loop)
          if (theirs.isFunctionOfDim(loop))
            result.set(loop);
  return result;
}

/// Whether a product begins with 0 and is of type f32.
static bool addsFloats(linalg::GenericOp product) {
  FloatAttr initial = initialOf(product);
  return initial && initial.getType().isF32() && initial.getValue().isZero();
}

/// The reductions that a value of a body is computed from, directly.
static void reductionsOf(linalg::GenericOp generic, Value inBody,
                         llvm::SetVector<Operation *> &found) {
  SmallVector<std::pair<linalg::GenericOp, Value>> work{{generic, inBody}};
  llvm::DenseSet<Value> seen;
  auto enter = [&](Value tensor) {
    auto producer = tensor.getDefiningOp<linalg::GenericOp>();
    if (!producer)
      return;
    if (producer.getNumReductionLoops())
      found.insert(producer);
    else
      work.push_back(
          {producer, producer.getBlock()->getTerminator()->getOperand(
                         cast<OpResult>(tensor).getResultNumber())});
  };
  while (!work.empty()) {
    auto [home, value] = work.pop_back_val();
    if (!seen.insert(value).second)
      continue;
    if (Value tensor = tensorOf(home, value)) {
      enter(tensor);
      continue;
    }
    Operation *op = value.getDefiningOp();
    if (!op)
      continue;
    if (auto extract = dyn_cast<tensor::ExtractOp>(op))
      enter(extract.getTensor());
    for (Value operand : op->getOperands())
      work.push_back({home, operand});
  }
}

bool aicc::gpu::isZero(linalg::GenericOp generic, Value inBody) {
  if (Value tensor = tensorOf(generic, inBody)) {
    if (linalg::GenericOp inner = elementwiseOf(tensor))
      return isZero(inner, yielded(inner));
    Attribute value;
    auto elements = matchPattern(tensor, m_Constant(&value))
                        ? dyn_cast<SplatElementsAttr>(value)
                        : SplatElementsAttr();
    auto number = elements
                      ? dyn_cast<FloatAttr>(elements.getSplatValue<Attribute>())
                      : FloatAttr();
    return number && number.getValue().isZero();
  }
  return matchPattern(inBody, m_AnyZeroFloat());
}

namespace {
struct AttentionMatcher {
  exec::KernelOp kernel;
  Attention form;
  llvm::SetVector<Operation *> rowwise; // maximum, sum and their like
  llvm::DenseMap<Operation *, SmallVector<AffineExpr>> indexOf;

  bool match();
  bool requests();
  bool rows();
  bool loops();
  bool consistent(linalg::GenericOp reduction);
  Value plainScore(linalg::GenericOp generic, Value inBody);
  bool linear(linalg::GenericOp generic, Value inBody,
              const llvm::SmallBitVector &keys);
  bool condition(linalg::GenericOp generic, Value inBody,
                 const llvm::SmallBitVector &keys);
};
} // namespace

/// What is asked for by the product: one product, and reductions of rows.
bool AttentionMatcher::requests() {
  for (const Request &request : requestsOfBody(form.product)) {
    Operation *op = request.generic;
    if (op->getNumResults() != 1 || !initialOf(request.generic) ||
        !indexOf.insert({op, request.index}).second)
      return false; // of two indices
    if (matchContraction(request.generic)) {
      if (form.scores)
        return false;
      form.scores = request.generic;
      if (!addsFloats(form.scores))
        return false;
    } else {
      rowwise.insert(op);
    }
  }
  return form.scores && rowwise.size() >= 2 &&
         requestsOfBody(form.scores).empty();
}

/// The loops of a reduction of rows as loops of the product must lead to the
/// same scores as the product itself.
bool AttentionMatcher::consistent(linalg::GenericOp reduction) {
  MLIRContext *context = kernel.getContext();
  SmallVector<AffineExpr> loops(reduction.getNumLoops(),
                                getAffineConstantExpr(0, context));
  AffineMap map = reduction.getIndexingMapMatchingResult(
      cast<OpResult>(reduction->getResult(0)));
  for (auto [expr, index] : llvm::zip(map.getResults(), indexOf[reduction]))
    if (auto dim = dyn_cast<AffineDimExpr>(expr))
      loops[dim.getPosition()] = index;
  SmallVector<unsigned> reduced;
  reduction.getReductionDims(reduced);
  if (reduced.size() != form.keys.size())
    return false;
  for (auto [mine, key] : llvm::zip(reduced, form.keys))
    loops[mine] = getAffineDimExpr(key, context);
  if (llvm::is_contained(loops, AffineExpr()))
    return false;
  for (const Request &request : requestsOfBody(reduction)) {
    auto known = indexOf.find(request.generic);
    if (known == indexOf.end() || request.index.size() != known->second.size())
      return false;
    for (auto [mine, theirs] : llvm::zip(request.index, known->second))
      if (!mine || !theirs || mine.replaceDims(loops) != theirs)
        return false;
  }
  if (reduction->getResult(0) == form.sum) {
    Value tensor = form.exponentials->getResult(0);
    for (OpOperand *operand : reduction.getDpsInputOperands())
      if (operand->get() == tensor)
        for (AffineExpr expr :
             reduction.getMatchingIndexingMap(operand).getResults())
          form.index.push_back(expr.replaceDims(loops));
  }
  return true;
}

/// The tensor of scores that a value is, conversions apart.
Value AttentionMatcher::plainScore(linalg::GenericOp generic, Value inBody) {
  while (auto wider = inBody.getDefiningOp<arith::ExtFOp>())
    inBody = wider.getIn();
  Value tensor = tensorOf(generic, inBody);
  if (linalg::GenericOp inner = elementwiseOf(tensor))
    if (yielded(inner).getDefiningOp<arith::ExtFOp>())
      if (Value deeper = plainScore(inner, yielded(inner)))
        return deeper;
  return tensor;
}

/// Finds sum, exponentials and maximum from the reductions of rows.
bool AttentionMatcher::rows() {
  for (Operation *op : rowwise) {
    auto reduction = cast<linalg::GenericOp>(op);
    Operation *combiner = combinerOf(reduction);
    if (!isa_and_nonnull<arith::AddFOp>(combiner))
      continue;
    Value accumulator = reduction.getRegionOutputArgs()[0];
    Value added =
        combiner->getOperand(combiner->getOperand(0) == accumulator ? 1 : 0);
    linalg::GenericOp inner = elementwiseOf(tensorOf(reduction, added));
    auto exp =
        inner ? yielded(inner).getDefiningOp<math::ExpOp>() : math::ExpOp();
    auto shifted =
        exp ? exp.getOperand().getDefiningOp<arith::SubFOp>() : arith::SubFOp();
    if (!shifted || form.sum || !shifted.getType().isF32())
      return false;
    form.sum = reduction->getResult(0);
    form.exponentials = inner;
    form.score = shifted.getLhs();
    form.maximum = tensorOf(inner, shifted.getRhs());
  }
  if (!form.sum || !form.maximum ||
      !rowwise.contains(form.maximum.getDefiningOp()))
    return false;
  Value scores = plainScore(form.exponentials, form.score);
  for (Operation *op : rowwise) {
    auto reduction = cast<linalg::GenericOp>(op);
    if (op->getResult(0) == form.sum)
      continue;
    Operation *combiner = combinerOf(reduction);
    if (!isa_and_nonnull<arith::MaximumFOp, arith::MaxNumFOp>(combiner))
      return false;
    Value accumulator = reduction.getRegionOutputArgs()[0];
    Value taken =
        combiner->getOperand(combiner->getOperand(0) == accumulator ? 1 : 0);
    if (!scores || plainScore(reduction, taken) != scores)
      return false;
    if (op->getResult(0) != form.maximum)
      form.maxima.push_back(op->getResult(0));
  }
  llvm::SetVector<Operation *> needed;
  reductionsOf(form.exponentials, form.score, needed);
  return needed.size() == 1 && needed[0] == form.scores.getOperation();
}

/// Loops of the product by what depends on them.
bool AttentionMatcher::loops() {
  Contraction c = *matchContraction(form.scores);
  AffineMap map = form.scores.getIndexingMapMatchingResult(
      cast<OpResult>(form.scores->getResult(0)));
  llvm::SmallBitVector weights = loopsUsed(form.product, form.weights),
                       values = loopsUsed(form.product, form.values);
  llvm::SmallBitVector scoreLoops(form.product.getNumLoops()), key(scoreLoops);
  form.product.getReductionDims(form.keys);
  form.depth = c.reduced;
  // The keys' operand is the one that depends on the number of the key.
  llvm::SmallBitVector inB = loopsUsed(form.scores, c.b);
  for (auto [expr, at] : llvm::zip(map.getResults(), indexOf[form.scores])) {
    auto loop = dyn_cast<AffineDimExpr>(expr);
    if (!loop)
      return false;
    auto dim = dyn_cast_or_null<AffineDimExpr>(at);
    if (!dim || scoreLoops[dim.getPosition()])
      return false;
    scoreLoops.set(dim.getPosition());
    form.shared.push_back({loop.getPosition(), dim.getPosition()});
    if (llvm::is_contained(form.keys, dim.getPosition()) &&
        !inB[loop.getPosition()])
      std::swap(c.a, c.b), inB = loopsUsed(form.scores, c.b);
  }
  llvm::SmallBitVector inA = loopsUsed(form.scores, c.a);
  form.query = c.a;
  form.key = c.b;
  for (auto [loop, dim] : form.shared) {
    if (inB[loop])
      key.set(dim);
    if (llvm::is_contained(form.keys, dim) && (inA[loop] || !inB[loop]))
      return false;
  }
  for (unsigned dim = 0; dim < form.product.getNumLoops(); ++dim) {
    if (llvm::is_contained(form.keys, dim)) {
      if (!scoreLoops[dim] || !values[dim])
        return false;
      continue;
    }
    if (!weights[dim] && values[dim])
      form.columns.push_back(dim);
    else if (values[dim] || key[dim] || !scoreLoops[dim])
      form.batch.push_back(dim);
    else
      form.queries.push_back(dim);
  }
  return !form.columns.empty() && !form.keys.empty();
}

/// Whether a value of a body doesn't depend on the number of the key.
static bool perRow(linalg::GenericOp generic, Value inBody,
                   const llvm::SmallBitVector &keys) {
  if (Value tensor = tensorOf(generic, inBody)) {
    Attribute value;
    if (matchPattern(tensor, m_Constant(&value)) &&
        isa<SplatElementsAttr>(value))
      return true;
    if (linalg::GenericOp inner = elementwiseOf(tensor))
      return perRow(inner, yielded(inner),
                    innerKeys(generic, inBody, inner, keys));
    return !loopsUsed(generic, inBody).anyCommon(keys);
  }
  Operation *op = inBody.getDefiningOp();
  if (!op || op->getBlock() != generic.getBlock())
    return true;
  if (auto index = dyn_cast<linalg::IndexOp>(op))
    return !keys[index.getDim()];
  return llvm::all_of(op->getOperands(), [&](Value operand) {
    return perRow(generic, operand, keys);
  });
}

/// A choice that is the same for a whole row: NaN among the weights of a row
/// makes all of them NaN.
bool AttentionMatcher::condition(linalg::GenericOp generic, Value inBody,
                                 const llvm::SmallBitVector &keys) {
  if (perRow(generic, inBody, keys))
    return true;
  if (Value tensor = tensorOf(generic, inBody)) {
    linalg::GenericOp inner = elementwiseOf(tensor);
    if (!inner)
      return false;
    return condition(inner, yielded(inner),
                     innerKeys(generic, inBody, inner, keys));
  }
  Operation *op = inBody.getDefiningOp();
  if (auto compare = dyn_cast_or_null<arith::CmpFOp>(op))
    return compare.getPredicate() == arith::CmpFPredicate::UNO &&
           linear(generic, compare.getLhs(), keys) &&
           linear(generic, compare.getRhs(), keys);
  return isa_and_nonnull<arith::AndIOp, arith::OrIOp, arith::XOrIOp>(op) &&
         condition(generic, op->getOperand(0), keys) &&
         condition(generic, op->getOperand(1), keys);
}

/// Whether a value is the exponential times something of its row.
bool AttentionMatcher::linear(linalg::GenericOp generic, Value inBody,
                              const llvm::SmallBitVector &keys) {
  if (Value tensor = tensorOf(generic, inBody)) {
    if (tensor == form.exponentials->getResult(0))
      return true;
    linalg::GenericOp inner = elementwiseOf(tensor);
    return inner && linear(inner, yielded(inner),
                           innerKeys(generic, inBody, inner, keys));
  }
  Operation *op = inBody.getDefiningOp();
  if (isa_and_nonnull<arith::ExtFOp, arith::TruncFOp>(op))
    return linear(generic, op->getOperand(0), keys);
  if (isa_and_nonnull<arith::DivFOp>(op))
    return linear(generic, op->getOperand(0), keys) &&
           perRow(generic, op->getOperand(1), keys);
  if (isa_and_nonnull<arith::MulFOp>(op))
    return llvm::any_of(ArrayRef<unsigned>{0, 1}, [&](unsigned side) {
      return linear(generic, op->getOperand(side), keys) &&
             perRow(generic, op->getOperand(1 - side), keys);
    });
  if (auto select = dyn_cast_or_null<arith::SelectOp>(op))
    return condition(generic, select.getCondition(), keys) &&
           llvm::all_of(op->getOperands().drop_front(), [&](Value value) {
             return isZero(generic, value) || linear(generic, value, keys);
           });
  return false;
}

bool AttentionMatcher::match() {
  form.product = soleReduction(kernel);
  std::optional<Contraction> c =
      form.product ? matchContraction(form.product) : std::nullopt;
  if (!c || !addsFloats(form.product))
    return false;
  for (auto [weights, values] :
       {std::pair(c->a, c->b), std::pair(c->b, c->a)}) {
    llvm::SetVector<Operation *> needed;
    reductionsOf(form.product, values, needed);
    if (needed.empty()) {
      form.weights = weights;
      form.values = values;
    }
  }
  if (!form.weights || !requests() || !rows() || !loops())
    return false;
  for (Operation *op : rowwise)
    if (!consistent(cast<linalg::GenericOp>(op)))
      return false;
  llvm::SmallBitVector keys(form.product.getNumLoops());
  for (unsigned dim : form.keys)
    keys.set(dim);
  return !form.index.empty() && linear(form.product, form.weights, keys);
}

std::optional<Attention> aicc::gpu::matchAttention(exec::KernelOp kernel) {
  AttentionMatcher matcher;
  matcher.kernel = kernel;
  if (!matcher.match())
    return std::nullopt;
  return matcher.form;
}
