//===- OperatorsReduction.cpp - reductions and running sums -------------===//
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

using Kind = gr::ReduceKind;

namespace {
/// What Reduce* reduces over.
struct Axes {
  Ints list;
  bool keep;
  /// Nothing is reduced, though the function on elements still applies.
  bool none;
};
} // namespace

static std::optional<Axes> axesOf(Node &n, Value x, int inputSince) {
  if (!x)
    return std::nullopt;
  Axes axes{{}, n.integer("keepdims", 1) != 0, false};
  if (n.version < inputSince) {
    axes.list = n.integers("axes");
  } else if (n.has(1)) {
    auto given = n.integersOf(1, "axes");
    if (!given)
      return std::nullopt;
    axes.list = *given;
  }
  if (axes.list.empty() && n.version >= inputSince &&
      n.integer("noop_with_empty_axes", 0))
    axes.none = true;
  else if (axes.list.empty())
    for (int64_t i = 0; i < rankOf(x); ++i)
      axes.list.push_back(i);
  axes.list = n.axes(axes.list, rankOf(x));
  if (n.failed())
    return std::nullopt;
  return axes;
}

static Value reduceBy(Node &n, Value x, Kind kind, const Axes &axes) {
  return axes.none ? x : n.reduce(x, kind, axes.list, axes.keep);
}

template <Kind kind> static void reduceExtreme(Node &n) {
  Value x = n.operand(0);
  auto axes = axesOf(n, x, 18);
  if (!axes)
    return;
  // A maximum of booleans is "any", a minimum is "all".
  bool boolean = elementOf(x).isInteger(1);
  if (boolean)
    x = n.cast(x, n.b.getIntegerType(8, false));
  Value y = reduceBy(n, x, kind, *axes);
  n.set(0, boolean ? n.cast(y, n.b.getI1Type()) : y);
}

static void reduceSum(Node &n) {
  Value x = n.operand(0);
  if (auto axes = axesOf(n, x, 13))
    n.set(0, reduceBy(n, x, Kind::sum, *axes));
}

static void reduceProduct(Node &n) {
  Value x = n.operand(0);
  if (auto axes = axesOf(n, x, 18))
    n.set(0, reduceBy(n, x, Kind::product, *axes));
}

static void reduceMean(Node &n) {
  Value x = n.operand(0);
  auto axes = axesOf(n, x, 18);
  if (!axes)
    return;
  if (isa<FloatType>(elementOf(x)))
    return n.set(0, reduceBy(n, x, Kind::mean, *axes));
  AffineExpr count = n.number(1);
  for (int64_t axis : axes->list)
    count = gr::simplify(count * dimsOf(x)[axis]);
  auto divisor = gr::constantOf(count);
  if (!divisor)
    return n.unsupported("an integer mean over a dynamic dimension");
  Value sum = reduceBy(n, x, Kind::sum, *axes);
  n.set(0, n.divide(sum, n.integerScalar(*divisor, elementOf(x))));
}

static void reduceL1(Node &n) {
  Value x = n.operand(0);
  if (auto axes = axesOf(n, x, 18))
    n.set(0, reduceBy(n, n.unary<gr::AbsOp>(x), Kind::sum, *axes));
}

static Value sumOfSquares(Node &n, Value x, const Axes &axes) {
  return reduceBy(n, n.multiply(x, x), Kind::sum, axes);
}

static void reduceL2(Node &n) {
  Value x = n.operand(0);
  auto axes = axesOf(n, x, 18);
  if (!axes)
    return;
  Type element = elementOf(x);
  if (!isa<FloatType>(element))
    x = n.cast(x, n.b.getF64Type());
  Value y = n.unary<gr::SqrtOp>(sumOfSquares(n, x, *axes));
  n.set(0, n.cast(y, element));
}

static void reduceSumSquare(Node &n) {
  Value x = n.operand(0);
  if (auto axes = axesOf(n, x, 18))
    n.set(0, sumOfSquares(n, x, *axes));
}

static void reduceLogSum(Node &n) {
  Value x = n.operand(0);
  auto axes = axesOf(n, x, 18);
  if (axes && n.requireFloat(x))
    n.set(0, n.unary<gr::LogOp>(reduceBy(n, x, Kind::sum, *axes)));
}

static void reduceLogSumExp(Node &n) {
  Value x = n.operand(0);
  auto axes = axesOf(n, x, 18);
  if (!axes || !n.requireFloat(x))
    return;
  if (axes->none)
    return n.set(0, x); // and exp(x) may be neither 0 nor infinite on the way
  // log(sum(exp(x - m))) + m with the maximum m; where that is infinite, 0.
  Value kept = n.reduce(x, Kind::maximum, axes->list, true);
  if (!kept)
    return;
  auto boolean = gr::withElement(tensorType(kept), n.b.getI1Type());
  Value infinite = gr::IsInfOp::create(n.b, n.loc, boolean, kept);
  Value m = n.select(infinite, n.full(0, kept), kept);
  Value sum = n.reduce(n.unary<gr::ExpOp>(n.subtract(x, m)), Kind::sum,
                       axes->list, true);
  Value y = n.add(n.unary<gr::LogOp>(sum), m);
  if (y && !axes->keep) {
    Dims dims;
    for (auto [i, dim] : llvm::enumerate(dimsOf(y)))
      if (!llvm::is_contained(axes->list, int64_t(i)))
        dims.push_back(dim);
    y = n.reshape(y, dims);
  }
  n.set(0, y);
}

static Value argReduce(Node &n, Value x, Kind kind, int64_t axis, bool last) {
  if (!x)
    return {};
  Dims dims = dimsOf(x);
  dims.erase(dims.begin() + axis);
  RankedTensorType type = n.type(dims, n.b.getI64Type());
  if (!type)
    return {};
  return gr::ArgReduceOp::create(
      n.b, n.loc, type, x, gr::ReduceKindAttr::get(n.b.getContext(), kind),
      n.b.getI64IntegerAttr(axis), last ? n.b.getUnitAttr() : UnitAttr());
}

template <Kind kind> static void argument(Node &n) {
  Value x = n.operand(0);
  if (!x)
    return;
  int64_t axis = n.axis(n.integer("axis", 0), rankOf(x));
  if (n.failed())
    return;
  Value y = argReduce(n, x, kind, axis, n.integer("select_last_index", 0));
  if (n.integer("keepdims", 1)) {
    Dims dims = dimsOf(x);
    dims[axis] = n.number(1);
    y = n.reshape(y, dims);
  }
  n.set(0, y);
}

//===----------------------------------------------------------------------===//
// Softmax and its like
//===----------------------------------------------------------------------===//

/// Before opset 13 everything from `axis` on is one dimension.
static void alongAxis(Node &n,
                      llvm::function_ref<Value(Value, int64_t)> apply) {
  Value x = n.operand(0);
  if (!x)
    return;
  bool flat = n.version < 13;
  int64_t rank = rankOf(x), axis = n.integer("axis", flat ? 1 : -1);
  if (flat && axis == rank)
    return n.set(
        0, n.reshape(apply(n.reshape(x, Dims{gr::numElements(tensorType(x)),
                                             n.number(1)}),
                           1),
                     dimsOf(x)));
  axis = n.axis(axis, rank);
  if (n.failed())
    return;
  if (!flat || axis == rank - 1)
    return n.set(0, apply(x, axis));
  Dims dims = dimsOf(x);
  AffineExpr outer = n.number(1), inner = n.number(1);
  for (int64_t i = 0; i < rank; ++i)
    (i < axis ? outer : inner) =
        gr::simplify((i < axis ? outer : inner) * dims[i]);
  n.set(0, n.reshape(apply(n.reshape(x, Dims{outer, inner}), 1), dims));
}

template <bool log> static void softmax(Node &n) {
  alongAxis(n, [&](Value x, int64_t axis) { return n.softmax(x, axis, log); });
}

static void hardmax(Node &n) {
  alongAxis(n, [&](Value x, int64_t axis) -> Value {
    Value best = argReduce(n, x, Kind::maximum, axis, false);
    if (!best)
      return {};
    Dims dims = dimsOf(x);
    dims[axis] = n.number(1);
    Value index = n.iota(dimsOf(x), n.b.getI64Type(), axis);
    return n.cast(
        n.compare(gr::Comparison::equal, index, n.reshape(best, dims)),
        elementOf(x));
  });
}

llvm::ArrayRef<Operator> aicc::onnx::reductionOperators() {
  static constexpr Operator table[] = {
      {"", "ReduceSum", 1, reduceSum},
      {"", "ReduceMean", 1, reduceMean},
      {"", "ReduceMax", 1, reduceExtreme<Kind::maximum>},
      {"", "ReduceMin", 1, reduceExtreme<Kind::minimum>},
      {"", "ReduceProd", 1, reduceProduct},
      {"", "ReduceL1", 1, reduceL1},
      {"", "ReduceL2", 1, reduceL2},
      {"", "ReduceSumSquare", 1, reduceSumSquare},
      {"", "ReduceLogSum", 1, reduceLogSum},
      {"", "ReduceLogSumExp", 1, reduceLogSumExp},
      {"", "ArgMax", 1, argument<Kind::maximum>},
      {"", "ArgMin", 1, argument<Kind::minimum>},
      {"", "Softmax", 1, softmax<false>},
      {"", "LogSoftmax", 1, softmax<true>},
      {"", "Hardmax", 1, hardmax},
  };
  return table;
}
