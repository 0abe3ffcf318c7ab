//===- OperatorsPooling.cpp - pooling --------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/Node.h"
#include "frontends/onnx/Windows.h"

#include "llvm/ADT/StringExtras.h"

#include <cmath>
#include <limits>

using namespace mlir;
using namespace aicc::onnx;
using llvm::StringRef;
using llvm::Twine;
namespace gr = aicc::graph;

static std::optional<Windows> poolWindows(Node &n, Value x) {
  if (!x || !n.require(rankOf(x) >= 3, "the operand has " + Twine(rankOf(x)) +
                                           " dimensions, expected at least 3"))
    return std::nullopt;
  Dims in = dimsOf(x);
  n.require(n.hasAttribute("kernel_shape"),
            "attribute \"kernel_shape\" is missing");
  Ints kernel = n.integers("kernel_shape");
  auto w = n.failed() ? std::nullopt : readWindows(n, kernel);
  if (!w || !placeWindows(n, *w, ArrayRef(in).drop_front(2),
                          n.integer("ceil_mode", 0)))
    return std::nullopt;
  return w;
}

Value aicc::onnx::pool(Node &n, Value x, gr::ReduceKind kind,
                       bool countPadding) {
  auto w = poolWindows(n, x);
  if (!w)
    return {};
  Dims in = dimsOf(x), dims = {in[0], in[1]};
  dims.append(w->sizes);
  RankedTensorType type = n.type(dims, elementOf(x));
  if (!type)
    return {};
  auto array = [&](const Ints &spatial, int64_t other) {
    Ints all = {other, other};
    all.append(spatial.begin(), spatial.end());
    return n.b.getDenseI64ArrayAttr(all);
  };
  bool excess = llvm::any_of(w->excess, [](int64_t e) { return e != 0; });
  return gr::ReduceWindowOp::create(
      n.b, n.loc, type, x, gr::ReduceKindAttr::get(n.b.getContext(), kind),
      array(w->kernel, 1), array(w->strides, 1), array(w->low, 0),
      array(w->high, 0), array(w->dilations, 1),
      countPadding ? n.b.getUnitAttr() : UnitAttr(),
      excess ? array(w->excess, 0) : DenseI64ArrayAttr());
}

/// Where in the whole operand the maxima lie; `columns` counts the first
/// spatial dimension fastest.
static Value maximumIndices(Node &n, Value x, bool columns) {
  auto w = poolWindows(n, x);
  if (!w)
    return {};
  Dims in = dimsOf(x), spatial(ArrayRef(in).drop_front(2));
  Dims dims = {in[0], in[1]};
  dims.append(w->sizes);
  Type i64 = n.b.getI64Type();
  RankedTensorType type = n.type(dims, i64);
  if (!type)
    return {};
  auto array = [&](const Ints &values) {
    return n.b.getDenseI64ArrayAttr(values);
  };
  Value at = gr::ArgReduceWindowOp::create(n.b, n.loc, type, x,
                                           array(w->kernel), array(w->strides),
                                           array(w->low), array(w->dilations));
  auto size = [&](ArrayRef<AffineExpr> sizes) {
    return n.importer.materialize(*n.knownScalar(productOf(n, sizes)));
  };
  if (columns) {
    Value turned;
    for (size_t i = spatial.size(); i-- > 0;) {
      Value place = n.binary<gr::RemainderOp>(at, size(spatial[i]));
      place = n.multiply(place, size(ArrayRef(spatial).take_front(i)));
      turned = turned ? n.add(turned, place) : place;
      at = n.divide(at, size(spatial[i]));
    }
    at = turned;
  }
  Value plane = n.add(n.multiply(n.iota(dims, i64, 0), size(in[1])),
                      n.iota(dims, i64, 1));
  return n.add(at, n.multiply(plane, size(spatial)));
}

static void maxPool(Node &n) {
  Value x = n.operand(0);
  if (n.wants(1))
    n.set(1, maximumIndices(n, x, n.integer("storage_order", 0) != 0));
  n.set(0, pool(n, x, gr::ReduceKind::maximum, false));
}

static void averagePool(Node &n) {
  n.set(0, pool(n, n.operand(0), gr::ReduceKind::mean,
                n.integer("count_include_pad", 0)));
}

static Ints spatialAxes(Node &n, Value x) {
  Ints axes;
  for (int64_t i = 2; x && i < rankOf(x); ++i)
    axes.push_back(i);
  return axes;
}

template <gr::ReduceKind kind> static void globalPool(Node &n) {
  Value x = n.operand(0);
  n.set(0, n.reduce(x, kind, spatialAxes(n, x), true));
}

/// (sum |x|^p)^(1/p) around a sum.
static Value norm(Node &n, Value x, double p,
                  llvm::function_ref<Value(Value)> sum) {
  Value magnitude = n.unary<gr::AbsOp>(x);
  if (!magnitude)
    return {};
  auto power = [&](Value v, double e) {
    return v ? n.binary<gr::PowerOp>(v, n.scalar(e, elementOf(v))) : Value();
  };
  if (p == 1)
    return sum(magnitude);
  if (p == 2)
    return n.unary<gr::SqrtOp>(sum(n.multiply(x, x)));
  return power(sum(power(magnitude, p)), 1 / p);
}

static double exponent(Node &n) {
  double p = n.version < 2 ? n.real("p", 2) : double(n.integer("p", 2));
  n.require(p > 0, "p is " + Twine(int64_t(p)) + ", expected at least 1");
  return p;
}

static void lpPool(Node &n) {
  double p = exponent(n);
  n.set(0, norm(n, n.operand(0), p, [&](Value v) {
          return pool(n, v, gr::ReduceKind::sum, false);
        }));
}

static void globalLpPool(Node &n) {
  double p = exponent(n);
  Value x = n.operand(0);
  n.set(0, norm(n, x, p, [&](Value v) {
          return n.reduce(v, gr::ReduceKind::sum, spatialAxes(n, x), true);
        }));
}

llvm::ArrayRef<Operator> aicc::onnx::poolingOperators() {
  using K = gr::ReduceKind;
  static constexpr Operator table[] = {
      {"", "MaxPool", 1, maxPool},
      {"", "AveragePool", 1, averagePool},
      {"", "LpPool", 1, lpPool},
      {"", "GlobalMaxPool", 1, globalPool<K::maximum>},
      {"", "GlobalAveragePool", 1, globalPool<K::mean>},
      {"", "GlobalLpPool", 1, globalLpPool},
  };
  return table;
}
