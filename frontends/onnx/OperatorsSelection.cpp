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

/// A vector of sizes as a tensor of i64.
static Value sizes(Node &n, ArrayRef<AffineExpr> exprs) {
  if (n.failed())
    return {};
  return gr::DimensionsOp::create(
      n.b, n.loc,
      RankedTensorType::get(int64_t(exprs.size()), n.b.getI64Type()),
      AffineMapAttr::get(gr::makeMap(exprs, n.importer.context)));
}

/// One size as a scalar.
static Value size(Node &n, AffineExpr expr) {
  return n.reshape(sizes(n, expr), {});
}

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

Value aicc::onnx::positionsOf(Node &n, Value flags) {
  if (!flags || n.failed())
    return {};
  Type i64 = n.b.getI64Type();
  AffineExpr total = dimsOf(flags)[0];
  Value ones = n.cast(flags, i64);
  Value number = n.reduce(ones, gr::ReduceKind::sum, {0}, false);
  AffineExpr count = n.importer.readSymbol(number, "count");
  // Up to and including element i there are sums[i] true ones; the j-th true
  // one (from 0) stands behind all elements with sums[i] <= j.
  Value sums = runningSum(n, ones, false);
  Value wanted = n.iota(count, i64, 0);
  if (!sums || !wanted || !count)
    return {};
  constexpr int64_t few = 1024;
  auto known = gr::constantOf(total);
  if (known && *known <= few) {
    Dims all = {count, total};
    Value below =
        n.compare(gr::Comparison::less_equal, n.broadcastIn(sums, all, {1}),
                  n.broadcastIn(wanted, all, {0}));
    return n.reduce(n.cast(below, i64), gr::ReduceKind::sum, {1}, false);
  }
  // Bisection: steps of falling powers of two over the rising sums.
  int64_t rounds = known ? llvm::Log2_64(*known) + 1 : 40;
  Value inits[] = {n.full(0, wanted),
                   n.integerScalar(int64_t(1) << (rounds - 1), i64)};
  if (n.failed())
    return {};
  SmallVector<Value> found = n.repeat(
      n.number(rounds), inits,
      [&](AffineExpr, ArrayRef<Value> carried) -> SmallVector<Value> {
        Value at = carried[0], step = carried[1];
        Value next = n.add(at, step);
        Value probe = n.subtract(next, n.integerScalar(1, i64));
        if (n.failed())
          return {Value()};
        Value sum = gr::GatherOp::create(n.b, n.loc, wanted.getType(), sums,
                                         probe, n.b.getI64IntegerAttr(0));
        Value inside =
            n.compare(gr::Comparison::less_equal, next, size(n, total));
        Value below = n.compare(gr::Comparison::less_equal, sum, wanted);
        Value take = n.binary<gr::AndOp>(inside, below);
        return {n.select(take, next, at),
                n.divide(step, n.integerScalar(2, i64))};
      });
  return found.empty() ? Value() : found[0];
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
      at = n.divide(at, size(n, stride));
    if (i > 0)
      at = n.binary<gr::RemainderOp>(at, size(n, dims[i]));
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
    n.importer.assumeAtMost(given, length);
  n.set(0, gather(n, x, positionsOf(n, condition), axis));
}

llvm::ArrayRef<Operator> aicc::onnx::selectionOperators() {
  static constexpr Operator table[] = {
      {"", "Compress", 9, compress},
      {"", "NonZero", 9, nonZero},
  };
  return table;
}
