//===- OperatorsIndexing.cpp - gathers and index patterns ---------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/Node.h"

#include "llvm/ADT/StringExtras.h"

#include <cmath>
#include <limits>

using namespace mlir;
using namespace aicc::onnx;
using llvm::StringRef;
using llvm::Twine;
namespace gr = aicc::graph;

static void gather(Node &n) {
  Value x = n.operand(0), indices = n.operand(1);
  if (!x || !requireIndices(n, indices))
    return;
  int64_t axis = n.axis(n.integer("axis", 0), rankOf(x));
  if (n.failed())
    return;
  Dims from = dimsOf(x), dims(from.begin(), from.begin() + axis);
  dims.append(dimsOf(indices));
  dims.append(from.begin() + axis + 1, from.end());
  // One known index is a slice, which moves nothing that is not asked for.
  const Known *known = n.known(1);
  auto size = gr::constantOf(from[axis]);
  if (known && known->values.size() == 1 && known->values[0].expr) {
    AffineExpr at = known->values[0].expr;
    if (auto c = gr::constantOf(at)) {
      if (size &&
          !n.require(*c >= -*size && *c < *size,
                     "index " + Twine(*c) +
                         " is out of range for a dimension of " + Twine(*size)))
        return;
      if (*c < 0)
        at = gr::simplify(from[axis] + *c);
    }
    if (!nonNegative(gr::simplify(from[axis] - at - 1)))
      n.importer.assumeAtMost(at + 1, from[axis]);
    if (!nonNegative(at))
      n.importer.assumeAtMost(n.number(0), at);
    return n.set(0, n.reshape(n.sliceAxis(x, axis, at, n.number(1)), dims));
  }
  RankedTensorType type = n.type(dims, elementOf(x));
  if (!type)
    return;
  n.set(0, gr::GatherOp::create(n.b, n.loc, type, x, indices,
                                n.b.getI64IntegerAttr(axis))
               .getResult());
}

static void gatherElements(Node &n) {
  Value x = n.operand(0), indices = n.operand(1);
  if (!x || !requireIndices(n, indices))
    return;
  int64_t axis = n.axis(n.integer("axis", 0), rankOf(x));
  if (!n.require(rankOf(x) == rankOf(indices),
                 "the indices have " + Twine(rankOf(indices)) +
                     " dimensions, expected " + Twine(rankOf(x))))
    return;
  RankedTensorType type = n.type(dimsOf(indices), elementOf(x));
  if (!type)
    return;
  n.set(0, gr::GatherElementsOp::create(n.b, n.loc, type, x, indices,
                                        n.b.getI64IntegerAttr(axis))
               .getResult());
}

static void gatherNd(Node &n) {
  Value x = n.operand(0), indices = n.operand(1);
  int64_t batch = n.integer("batch_dims", 0);
  if (!x || !requireIndices(n, indices))
    return;
  int64_t rank = rankOf(x), indexRank = rankOf(indices);
  if (!n.require(batch >= 0 && batch < indexRank && batch < rank,
                 "batch_dims is " + Twine(batch) + ", expected less than " +
                     Twine(std::min(rank, indexRank))))
    return;
  Dims from = dimsOf(x), by = dimsOf(indices);
  auto depth = gr::constantOf(by.back());
  if (!depth)
    return n.unsupported("index tuples of dynamic length");
  if (!n.require(*depth >= 1 && batch + *depth <= rank,
                 "index tuples have " + Twine(*depth) +
                     " entries, expected 1 to " + Twine(rank - batch)))
    return;
  for (int64_t i = 0; i < batch; ++i)
    if (!n.requireEqual(from[i], by[i], "a batch dimension"))
      return;
  Dims dims(by.begin(), by.end() - 1);
  dims.append(from.begin() + batch + *depth, from.end());
  RankedTensorType type = n.type(dims, elementOf(x));
  if (!type)
    return;
  n.set(0, gr::GatherNdOp::create(n.b, n.loc, type, x, indices,
                                  n.b.getI64IntegerAttr(batch))
               .getResult());
}

static void oneHot(Node &n) {
  Value indices = n.operand(0);
  auto depth = n.expressionsOf(1, "depth");
  Value values = n.operand(2);
  if (!indices || !depth || !values ||
      !n.require(depth->size() == 1 && rankOf(values) == 1,
                 "depth is not one number or values is not a vector") ||
      !n.requireEqual(dimsOf(values)[0], n.number(2), "the number of values"))
    return;
  int64_t rank = rankOf(indices) + 1;
  int64_t axis = n.axis(n.integer("axis", -1), rank);
  if (n.failed())
    return;
  Dims dims = dimsOf(indices), wide;
  wide = dims;
  wide.insert(wide.begin() + axis, n.number(1));
  dims.insert(dims.begin() + axis, depth->front());
  Type index = n.b.getI64Type();
  Value at = n.cast(indices, index);
  // A negative index counts from the end.
  Value negative =
      n.compare(gr::Comparison::less, at, n.integerScalar(0, index));
  at = n.select(negative, n.add(at, n.scalarOf(depth->front())), at);
  Value hit = n.compare(gr::Comparison::equal, n.iota(dims, index, axis),
                        n.reshape(at, wide));
  auto pick = [&](int64_t i) {
    return n.reshape(n.sliceAxis(values, 0, n.number(i), n.number(1)), {});
  };
  n.set(0, n.select(hit, pick(1), pick(0)));
}

static void trilu(Node &n) {
  Value x = n.operand(0);
  if (!x || !n.require(rankOf(x) >= 2, "the operand has " + Twine(rankOf(x)) +
                                           " dimensions, expected at least 2"))
    return;
  Dims dims = dimsOf(x);
  Dims matrix(dims.end() - 2, dims.end());
  Type index = n.b.getI64Type();
  Value row = n.iota(matrix, index, 0), column = n.iota(matrix, index, 1);
  if (n.has(1))
    row = n.add(row, n.reshape(n.cast(n.operand(1), index), {}));
  // upper: column >= row + k, lower: column <= row + k.
  Value keep = n.compare(n.integer("upper", 1) ? gr::Comparison::greater_equal
                                               : gr::Comparison::less_equal,
                         column, row);
  n.set(0, n.select(keep, x, n.full(0, x)));
}

static void eyeLike(Node &n) {
  if (!n.require(n.has(0), "input 0 is missing"))
    return;
  Tensor *x = n.input(0);
  Type element = x->element;
  if (n.hasAttribute("dtype"))
    element = elementType(n.importer.context, n.integer("dtype", 0));
  if (!element)
    return n.unsupported("the type dtype");
  if (!n.require(x->rank() == 2, "the operand has " + Twine(x->rank()) +
                                     " dimensions, expected 2"))
    return;
  Type index = n.b.getI64Type();
  int64_t k = n.integer("k", 0);
  Value row = n.iota(x->dims, index, 0), column = n.iota(x->dims, index, 1);
  if (k)
    row = n.add(row, n.integerScalar(k, index));
  n.set(0, n.cast(n.compare(gr::Comparison::equal, row, column), element));
}

/// start + i * delta; the number of elements must be an expression.
static void range(Node &n) {
  const Known *start = n.known(0), *limit = n.known(1), *delta = n.known(2);
  if (n.failed() ||
      !n.require(n.numInputs() == 3 && n.has(0) && n.has(1) && n.has(2),
                 "it needs start, limit and delta"))
    return;
  if (!start || !limit || !delta) {
    SmallVector<Value> bounds;
    for (unsigned i = 0; i < 3; ++i)
      bounds.push_back(n.reshape(n.operand(i), {}));
    if (n.sameElement(bounds[0], bounds[1]) &&
        n.sameElement(bounds[0], bounds[2]))
      n.set(0, rangeWhenRun(n, bounds[0], bounds[1], bounds[2]));
    return;
  }
  if (!n.require(start->values.size() == 1 && limit->values.size() == 1 &&
                     delta->values.size() == 1,
                 "start, limit or delta is not a scalar"))
    return;
  const Scalar &s = start->values[0], &l = limit->values[0],
               &d = delta->values[0];
  Type element = start->element;
  auto numeric = [](const Scalar &x) -> std::optional<double> {
    if (!x.expr)
      return x.number;
    auto c = x.constant();
    return c ? std::optional<double>(double(*c)) : std::nullopt;
  };
  AffineExpr count;
  auto a = numeric(s), b = numeric(l), step = numeric(d);
  if (step && !n.require(*step != 0, "delta is 0"))
    return;
  if (a && b && step) {
    double steps = std::max(0.0, std::ceil((*b - *a) / *step));
    if (!n.require(steps < 1e15, "it has too many elements"))
      return;
    count = n.number(static_cast<int64_t>(steps));
  } else {
    auto whole = d.expr ? d.constant() : std::nullopt;
    if (whole && !n.require(*whole != INT64_MIN, "delta is out of range"))
      return;
    if (!s.expr || !l.expr || !whole)
      return n.unsupported("fractional bounds of dynamic size");
    AffineExpr length = *whole > 0 ? l.expr - s.expr : s.expr - l.expr;
    length = gr::simplify(length);
    if (!nonNegative(length))
      n.importer.assumeAtMost(n.number(0), length);
    count = gr::simplify(length.ceilDiv(std::abs(*whole)));
  }
  // Integers count exactly; the start may be an expression.
  bool real = isa<FloatType>(element);
  Value y = n.iota({count}, real ? Type(n.b.getI64Type()) : element, 0);
  y = n.cast(y, element);
  if (step != 1.0)
    y = n.multiply(y, n.reshape(n.operand(2), {}));
  if (a != 0.0)
    y = n.add(y, n.reshape(n.operand(0), {}));
  n.set(0, y);
}

//===----------------------------------------------------------------------===//
// Losses
//===----------------------------------------------------------------------===//

static void reduceLoss(Node &n, Value loss, Value weights) {
  std::string reduction = n.string("reduction", "mean");
  if (!loss || reduction == "none")
    return n.set(0, loss);
  if (!n.require(reduction == "sum" || reduction == "mean",
                 "reduction is \"" + reduction +
                     "\", expected none, sum or mean"))
    return;
  Ints axes;
  for (int64_t i = 0; i < rankOf(loss); ++i)
    axes.push_back(i);
  if (reduction == "mean" && !weights)
    return n.set(0, n.reduce(loss, gr::ReduceKind::mean, axes, false));
  Value sum = n.reduce(loss, gr::ReduceKind::sum, axes, false);
  if (reduction == "mean")
    sum = n.divide(sum, n.reduce(weights, gr::ReduceKind::sum, axes, false));
  n.set(0, sum);
}

/// -logp[target] * weight[target], zero where the target is to be ignored.
static void likelihoodLoss(Node &n, Value logp) {
  Value target = n.operand(1), weight = n.optionalOperand(2);
  if (!logp || !requireIndices(n, target) ||
      !n.require(rankOf(logp) >= 2 && rankOf(logp) == rankOf(target) + 1,
                 "scores and labels have " + Twine(rankOf(logp)) + " and " +
                     Twine(rankOf(target)) +
                     " dimensions, expected one more for the scores"))
    return;
  Type index = n.b.getI64Type();
  target = n.cast(target, index);
  Value ignored;
  if (n.hasAttribute("ignore_index")) {
    ignored = n.compare(gr::Comparison::equal, target,
                        n.integerScalar(n.integer("ignore_index", 0), index));
    target = n.select(ignored, n.full(0, target), target);
  }
  if (!target)
    return;
  Dims dims = dimsOf(target), wide = dims;
  wide.insert(wide.begin() + 1, n.number(1));
  RankedTensorType type = n.type(wide, elementOf(logp));
  Value indices = n.reshape(target, wide);
  if (!type || !indices)
    return;
  Value picked = gr::GatherElementsOp::create(n.b, n.loc, type, logp, indices,
                                              n.b.getI64IntegerAttr(1));
  Value loss = n.unary<gr::NegateOp>(n.reshape(picked, dims));
  Value factors;
  if (weight) {
    RankedTensorType each = n.type(dims, elementOf(weight));
    if (!each || !n.require(rankOf(weight) == 1, "weight is not a vector"))
      return;
    factors = gr::GatherOp::create(n.b, n.loc, each, weight, target,
                                   n.b.getI64IntegerAttr(0));
  } else if (ignored) {
    factors = n.full(1, loss);
  }
  if (ignored)
    factors = n.select(ignored, n.full(0, factors), factors);
  if (factors)
    loss = n.multiply(loss, factors);
  reduceLoss(n, loss, factors);
}

static void negativeLogLikelihood(Node &n) { likelihoodLoss(n, n.operand(0)); }

static void softmaxCrossEntropy(Node &n) {
  Value x = n.operand(0);
  if (!x || !n.require(rankOf(x) >= 2, "the scores have " + Twine(rankOf(x)) +
                                           " dimensions, expected at least 2"))
    return;
  Value logp = n.softmax(x, 1, true);
  likelihoodLoss(n, logp);
  if (n.wants(1))
    n.set(1, logp);
}

llvm::ArrayRef<Operator> aicc::onnx::indexingOperators() {
  static constexpr Operator table[] = {
      {"", "Gather", 1, gather},
      {"", "GatherElements", 11, gatherElements},
      {"", "GatherND", 11, gatherNd},
      {"", "OneHot", 9, oneHot},
      {"", "Trilu", 14, trilu},
      {"", "EyeLike", 9, eyeLike},
      {"", "Range", 11, range},
      {"", "NegativeLogLikelihoodLoss", 12, negativeLogLikelihood},
      {"", "SoftmaxCrossEntropyLoss", 12, softmaxCrossEntropy},
  };
  return table;
}
