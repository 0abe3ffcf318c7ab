//===- OperatorsSelection.cpp - results whose size data decides -----------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/Node.h"

using namespace mlir;
using namespace aicc::onnx;
using llvm::StringRef;
using llvm::Twine;
namespace gr = aicc::graph;

static Value running(Node &n, Value vector, bool exclusive) {
  if (!vector || n.failed())
    return {};
  return gr::CumulativeOp::create(
      n.b, n.loc, vector.getType(), vector,
      gr::ReduceKindAttr::get(n.b.getContext(), gr::ReduceKind::sum),
      n.b.getI64IntegerAttr(rankOf(vector) - 1),
      exclusive ? n.b.getUnitAttr() : UnitAttr(), UnitAttr());
}

/// Running sums of a vector. Each one adds all elements before it, so a long
/// vector goes by blocks: sums inside of a block, and of the blocks before it.
static Value runningSum(Node &n, Value vector, bool exclusive, int levels = 2) {
  if (!vector || n.failed())
    return {};
  constexpr int64_t block = 64;
  AffineExpr count = dimsOf(vector)[0];
  auto known = gr::constantOf(count);
  if (levels == 0 || (known && *known <= 8 * block))
    return running(n, vector, exclusive);
  AffineExpr blocks = gr::simplify((count + (block - 1)).floorDiv(block));
  Value zero = n.integerScalar(0, elementOf(vector));
  auto map = [&](AffineExpr expr) {
    return AffineMapAttr::get(gr::makeMap(expr, n.importer.context));
  };
  RankedTensorType padded = n.type(blocks * block, elementOf(vector));
  if (!padded)
    return {};
  Value rows = gr::PadOp::create(
      n.b, n.loc, padded, vector, zero, map(n.number(0)),
      map(gr::simplify(blocks * block - count)),
      gr::PadModeAttr::get(n.b.getContext(), gr::PadMode::constant));
  rows = n.reshape(rows, Dims{blocks, n.number(block)});
  Value before = runningSum(n, n.reduce(rows, gr::ReduceKind::sum, {1}, false),
                            true, levels - 1);
  rows = running(n, rows, exclusive);
  if (!rows || !before)
    return {};
  rows = n.add(rows, n.broadcastIn(before, dimsOf(rows), {0}));
  return n.sliceAxis(n.reshape(rows, blocks * block), 0, n.number(0), count);
}

Value aicc::onnx::positionsOf(Node &n, Value flags, AffineExpr count) {
  if (!flags || n.failed())
    return {};
  Type i64 = n.b.getI64Type();
  AffineExpr total = dimsOf(flags)[0];
  Value ones = n.cast(flags, i64);
  if (!count)
    count = n.importer.readSymbol(
        n.reduce(ones, gr::ReduceKind::sum, {0}, false), "count");
  if (!count)
    return {};
  // The number of true elements before one is its place among them; the others
  // go where nothing is.
  Value places = n.select(flags, runningSum(n, ones, true), n.scalarOf(total));
  Value all = n.iota(total, i64, 0);
  Value none = n.broadcastTo(n.integerScalar(0, i64), count);
  if (n.failed() || !places || !all || !none)
    return {};
  return scatter(n, none, places, all, 0, std::nullopt);
}

/// Whether each element is something else than zero.
static Value isNonZero(Node &n, Value x) {
  if (!x || n.failed() || elementOf(x).isInteger(1))
    return x;
  // A NaN equals nothing, so it is not zero.
  Value zero = n.compare(gr::Comparison::equal, x, n.full(0, x));
  return zero ? Value(gr::NotOp::create(n.b, n.loc, zero.getType(), zero))
              : Value();
}

/// A vector of flat positions as indices: [rank, count].
static Value unravel(Node &n, Value positions, ArrayRef<AffineExpr> dims) {
  if (!positions || n.failed())
    return {};
  AffineExpr count = dimsOf(positions)[0];
  AffineExpr stride = n.number(1);
  SmallVector<Value> rows(dims.size());
  for (int64_t i = dims.size(); i-- > 0;) {
    Value at = positions;
    if (!gr::isConstant(stride, 1))
      at = n.divide(at, n.scalarOf(stride));
    if (i > 0)
      at = n.binary<gr::RemainderOp>(at, n.scalarOf(dims[i]));
    rows[i] = n.reshape(at, Dims{n.number(1), count});
    stride = gr::simplify(stride * dims[i]);
  }
  return n.concatenate(rows, 0);
}

static void nonZero(Node &n) {
  Value x = n.operand(0);
  if (!x)
    return;
  Dims dims = dimsOf(x);
  Value flags = n.reshape(isNonZero(n, x), gr::numElements(tensorType(x)));
  Value positions = positionsOf(n, flags);
  if (!positions)
    return;
  // Unlike numpy's, a scalar has no dimension to give indices of.
  if (dims.empty())
    return n.set(0, n.broadcastTo(n.integerScalar(0, n.b.getI64Type()),
                                  Dims{n.number(0), dimsOf(positions)[0]}));
  n.set(0, unravel(n, positions, dims));
}

static Value gather(Node &n, Value x, Value indices, int64_t axis) {
  if (!x || !indices || n.failed())
    return {};
  Dims dims = dimsOf(x);
  dims[axis] = dimsOf(indices)[0];
  RankedTensorType type = n.type(dims, elementOf(x));
  return type ? Value(gr::GatherOp::create(n.b, n.loc, type, x, indices,
                                           n.b.getI64IntegerAttr(axis)))
              : Value();
}

static void compress(Node &n) {
  Value x = n.operand(0), condition = n.operand(1);
  if (!x || !condition)
    return;
  if (!n.require(rankOf(condition) == 1 && elementOf(condition).isInteger(1),
                 "condition is " + n.print(condition.getType()) +
                     ", expected a vector of bool"))
    return;
  int64_t axis = 0;
  if (n.hasAttribute("axis"))
    axis = n.axis(n.integer("axis", 0), rankOf(x));
  else
    x = n.reshape(x, gr::numElements(tensorType(x)));
  if (!x)
    return;
  // A shorter condition leaves the rest out; a longer one has nothing to add.
  AffineExpr length = dimsOf(x)[axis], given = dimsOf(condition)[0];
  auto beyond = gr::constantOf(gr::simplify(given - length));
  if (beyond && *beyond > 0)
    condition = n.sliceAxis(condition, 0, n.number(0), length);
  else if (!beyond)
    condition = n.binary<gr::AndOp>(
        condition, n.compare(gr::Comparison::less,
                             n.iota(Dims{given}, n.b.getI64Type(), 0),
                             n.scalarOf(length)));
  n.set(0, gather(n, x, positionsOf(n, condition), axis));
}

//===----------------------------------------------------------------------===//
// Unique
//===----------------------------------------------------------------------===//

/// The order that sorts the rows of a matrix, equal ones as they stood: by the
/// last column first.
static Value rowOrder(Node &n, Value rows) {
  if (!rows || n.failed())
    return {};
  Dims dims = dimsOf(rows);
  Type i64 = n.b.getI64Type();
  if (elementOf(rows).isInteger(1))
    rows = n.cast(rows, n.b.getI32Type());
  auto sort = [&](AffineExpr column, Value order) -> Value {
    Value keys = n.reshape(n.sliceAxis(rows, 1, column, n.number(1)), dims[0]);
    if (order)
      keys = gather(n, keys, order, 0);
    Value next = sortedOrder(n, keys, dims[0], false);
    return order ? gather(n, order, next, 0) : next;
  };
  if (gr::isConstant(dims[1], 1))
    return sort(n.number(0), {});
  SmallVector<Value> found = n.repeat(
      dims[1], n.iota(dims[0], i64, 0),
      [&](AffineExpr column, ArrayRef<Value> order) -> SmallVector<Value> {
        return {sort(gr::simplify(dims[1] - 1 - column), order[0])};
      });
  return found.empty() ? Value() : found[0];
}

/// Whether rows of a matrix differ; a NaN is equal to a NaN if `sameNan`.
static Value rowsDiffer(Node &n, Value a, Value b, bool sameNan) {
  Value same = n.compare(gr::Comparison::equal, a, b);
  if (same && sameNan && isa<FloatType>(elementOf(a))) {
    Value numbers = n.binary<gr::OrOp>(n.compare(gr::Comparison::equal, a, a),
                                       n.compare(gr::Comparison::equal, b, b));
    if (numbers)
      same = n.binary<gr::OrOp>(
          same, gr::NotOp::create(n.b, n.loc, numbers.getType(), numbers));
  }
  if (!same || n.failed())
    return {};
  Value other = gr::NotOp::create(n.b, n.loc, same.getType(), same);
  Value many = n.reduce(n.cast(other, n.b.getI64Type()), gr::ReduceKind::sum,
                        {1}, false);
  return n.compare(gr::Comparison::greater, many,
                   n.integerScalar(0, n.b.getI64Type()));
}

static void unique(Node &n) {
  Value x = n.operand(0);
  if (!x)
    return;
  bool flat = !n.hasAttribute("axis"), sorted = n.integer("sorted", 1);
  int64_t axis = 0;
  if (flat)
    x = n.reshape(x, gr::numElements(tensorType(x)));
  else
    axis = n.axis(n.integer("axis", 0), rankOf(x));
  if (!x || n.failed())
    return;
  Type i64 = n.b.getI64Type();
  Ints front = {axis};
  for (int64_t i = 0; i < rankOf(x); ++i)
    if (i != axis)
      front.push_back(i);
  AffineExpr total = dimsOf(x)[axis], width = n.number(1);
  for (auto [i, dim] : llvm::enumerate(dimsOf(x)))
    if (int64_t(i) != axis)
      width = gr::simplify(width * dim);
  Value rows = n.reshape(n.transpose(x, front), Dims{total, width});
  // Equal rows stand together in order, the first of the model's first.
  Value order = rowOrder(n, rows);
  Value one = n.integerScalar(1, i64), zero = n.integerScalar(0, i64);
  Value index = n.iota(total, i64, 0);
  rows = gather(n, rows, order, 0);
  Value before = gather(n, rows, n.maximum(n.subtract(index, one), zero), 0);
  Value starts =
      n.binary<gr::OrOp>(rowsDiffer(n, rows, before, flat),
                         n.compare(gr::Comparison::equal, index, zero));
  Value groups = n.subtract(runningSum(n, n.cast(starts, i64), false), one);
  Value places = positionsOf(n, starts);
  if (!places || !groups || n.failed())
    return;
  AffineExpr count = dimsOf(places)[0];
  Value first = gather(n, order, places, 0);
  Value number = n.iota(count, i64, 0);
  Value next = gather(n, places, n.add(number, one), 0);
  next = n.select(
      n.compare(gr::Comparison::less, n.add(number, one), n.scalarOf(count)),
      next, n.scalarOf(total));
  Value counts = n.subtract(next, places);
  Value inverse = gather(n, groups, sortedOrder(n, order, total, false), 0);
  if (!sorted) {
    Value as = sortedOrder(n, first, count, false);
    first = gather(n, first, as, 0);
    counts = gather(n, counts, as, 0);
    inverse = gather(n, sortedOrder(n, as, count, false), inverse, 0);
  }
  n.set(0, gather(n, x, first, axis));
  n.set(1, first);
  n.set(2, inverse);
  n.set(3, counts);
}

llvm::ArrayRef<Operator> aicc::onnx::selectionOperators() {
  static constexpr Operator table[] = {
      {"", "Compress", 9, compress},
      {"", "NonZero", 9, nonZero},
      {"", "Unique", 11, unique},
  };
  return table;
}
