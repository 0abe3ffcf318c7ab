//===- OperatorsPooling.cpp - pooling and resampling --------------------===//
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

Value aicc::onnx::pool(Node &n, Value x, gr::ReduceKind kind,
                       bool countPadding) {
  if (!x || !n.require(rankOf(x) >= 3, "the operand has " + Twine(rankOf(x)) +
                                           " dimensions, expected at least 3"))
    return {};
  Dims in = dimsOf(x);
  n.require(n.hasAttribute("kernel_shape"),
            "attribute \"kernel_shape\" is missing");
  Ints kernel = n.integers("kernel_shape");
  auto w = n.failed() ? std::nullopt : readWindows(n, kernel);
  if (!w || !placeWindows(n, *w, ArrayRef(in).drop_front(2),
                          n.integer("ceil_mode", 0)))
    return {};
  Dims dims = {in[0], in[1]};
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

static void maxPool(Node &n) {
  if (n.wants(1))
    return n.unsupported("the output Indices");
  n.set(0, pool(n, n.operand(0), gr::ReduceKind::maximum, false));
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

//===----------------------------------------------------------------------===//
// Resize
//===----------------------------------------------------------------------===//

static Value resample(Node &n, Value x, const Dims &dims,
                      ArrayRef<double> scales, gr::ResizeMode mode,
                      StringRef coordinates, StringRef rounding) {
  RankedTensorType type = n.type(dims, elementOf(x));
  if (!type)
    return {};
  return gr::ResizeOp::create(
      n.b, n.loc, type, x, gr::ResizeModeAttr::get(n.b.getContext(), mode),
      n.b.getDenseF64ArrayAttr(scales), n.b.getStringAttr(coordinates),
      n.b.getStringAttr(rounding));
}

/// floor(size * scale), exactly for whole factors and their inverses.
static AffineExpr scaled(Node &n, AffineExpr size, double scale) {
  constexpr double most = 1 << 24;
  if (!(scale > 0 && scale < most)) {
    n.fail("a scale is out of range, expected a positive number");
    return {};
  }
  if (auto c = gr::constantOf(size)) {
    double result = std::floor(double(*c) * scale);
    if (!n.require(result < 9e15, "a scaled dimension is too large"))
      return {};
    return n.number(static_cast<int64_t>(result));
  }
  if (std::trunc(scale) == scale)
    return gr::simplify(size * int64_t(scale));
  double inverse = 1 / scale;
  if (std::trunc(inverse) == inverse)
    return gr::simplify(size.floorDiv(int64_t(inverse)));
  n.unsupported("a fractional scale of a dynamic dimension");
  return {};
}

static std::optional<gr::ResizeMode> resizeMode(Node &n) {
  std::string mode = n.string("mode", "nearest");
  if (mode == "bilinear")
    mode = "linear";
  auto result = gr::symbolizeResizeMode(mode);
  n.require(result.has_value(),
            "mode is \"" + mode + "\", expected nearest, linear or cubic");
  return result;
}

static std::optional<SmallVector<double>> numbersOf(Node &n, unsigned i,
                                                    StringRef what) {
  const Known *known = n.known(i);
  if (!known) {
    n.unsupported(what + " that are only known when the model runs");
    return std::nullopt;
  }
  SmallVector<double> result;
  for (const Scalar &scalar : known->values) {
    if (scalar.expr && !scalar.constant()) {
      n.unsupported(what + " that depend on a dynamic dimension");
      return std::nullopt;
    }
    result.push_back(scalar.expr ? double(*scalar.constant()) : scalar.number);
  }
  return result;
}

static void upsample(Node &n) {
  Value x = n.operand(0);
  std::optional<SmallVector<double>> scales;
  if (n.version < 7) {
    if (x && n.require(rankOf(x) == 4, "it needs 4 dimensions"))
      scales = {1, 1, n.real("height_scale", 1), n.real("width_scale", 1)};
  } else if (n.version < 9) {
    scales = n.reals("scales");
  } else {
    scales = numbersOf(n, 1, "scales");
  }
  auto mode = resizeMode(n);
  if (!x || !scales || !mode || n.failed() ||
      !n.require(int64_t(scales->size()) == rankOf(x),
                 "scales has " + Twine(scales->size()) + " values, expected " +
                     Twine(rankOf(x))))
    return;
  Dims dims;
  for (auto [dim, scale] : llvm::zip(dimsOf(x), *scales))
    dims.push_back(scaled(n, dim, scale));
  if (!n.failed())
    n.set(0, resample(n, x, dims, *scales, *mode, "asymmetric", "floor"));
}

/// The factor between two dimensions if it is a number.
static std::optional<double> ratio(AffineExpr to, AffineExpr from) {
  auto a = gr::constantOf(to), b = gr::constantOf(from);
  if (a && b)
    return *b ? double(*a) / double(*b) : 1.0;
  if (gr::equal(to, from))
    return 1.0;
  for (int64_t factor = 2; factor <= 64; ++factor) {
    if (gr::equal(to, from * factor))
      return double(factor);
    if (gr::equal(to * factor, from))
      return 1.0 / double(factor);
  }
  return std::nullopt;
}

static void resize(Node &n) {
  Value x = n.operand(0);
  auto mode = resizeMode(n);
  if (!x || !mode || n.failed())
    return;
  std::string coordinates =
      n.version < 11 ? "asymmetric"
                     : n.string("coordinate_transformation_mode", "half_pixel");
  std::string rounding =
      n.version < 11 ? "floor" : n.string("nearest_mode", "round_prefer_floor");
  unsigned scalesAt = n.version < 11 ? 1 : 2;
  int64_t rank = rankOf(x);
  Ints axes;
  for (int64_t i = 0; i < rank; ++i)
    axes.push_back(i);
  if (n.hasAttribute("axes")) {
    Ints given = n.integers("axes");
    (void)n.axes(given, rank);
    axes.clear();
    for (int64_t axis : given)
      axes.push_back(n.axis(axis, rank));
  }
  if (n.failed())
    return;
  static constexpr const char *known[] = {
      "half_pixel",         "asymmetric",           "align_corners",
      "pytorch_half_pixel", "half_pixel_symmetric", "tf_half_pixel_for_nn"};
  if (!llvm::is_contained(known, StringRef(coordinates)))
    return n.unsupported("coordinate_transformation_mode " + coordinates);
  if (n.integer("antialias", 0))
    return n.unsupported("antialias");
  Dims from = dimsOf(x), dims = from;
  SmallVector<double> scales(rank, 1.0);
  bool bySizes = false;
  auto isEmpty = [&](unsigned i) {
    return !n.has(i) ||
           (n.input(i)->rank() == 1 && gr::isConstant(n.input(i)->dims[0], 0));
  };
  if (!isEmpty(scalesAt)) {
    auto given = numbersOf(n, scalesAt, "scales");
    if (!given || !n.require(given->size() == axes.size(),
                             "scales has " + Twine(given->size()) +
                                 " values, expected " + Twine(axes.size())))
      return;
    for (auto [i, axis] : llvm::enumerate(axes)) {
      scales[axis] = (*given)[i];
      dims[axis] = scaled(n, from[axis], (*given)[i]);
      if (n.failed())
        return;
    }
  } else {
    bySizes = true;
    auto sizes = n.expressionsOf(3, "sizes");
    if (!sizes || !n.require(sizes->size() == axes.size(),
                             "sizes has " + Twine(sizes->size()) +
                                 " values, expected " + Twine(axes.size())))
      return;
    std::string policy = n.string("keep_aspect_ratio_policy", "stretch");
    if (!n.require(policy == "stretch" || policy == "not_larger" ||
                       policy == "not_smaller",
                   "keep_aspect_ratio_policy is \"" + policy +
                       "\", expected "
                       "stretch, not_larger or not_smaller"))
      return;
    std::optional<double> common;
    for (auto [i, axis] : llvm::enumerate(axes)) {
      auto factor = ratio((*sizes)[i], from[axis]);
      if (!factor)
        return n.unsupported("sizes that are no fixed multiple of a dynamic "
                             "dimension");
      scales[axis] = *factor;
      dims[axis] = (*sizes)[i];
      common = !common                  ? *factor
               : policy == "not_larger" ? std::min(*common, *factor)
                                        : std::max(*common, *factor);
    }
    if (policy != "stretch")
      for (int64_t axis : axes) {
        auto size = gr::constantOf(from[axis]);
        if (!size)
          return n.unsupported("keep_aspect_ratio_policy with a dynamic "
                               "dimension");
        scales[axis] = *common;
        dims[axis] = n.number(std::llround(double(*size) * *common));
      }
  }
  if (n.version < 11 && *mode == gr::ResizeMode::nearest) {
    // Version 10 rounds up where it shrinks and down where it grows.
    bool shrinks = llvm::any_of(scales, [](double s) { return s < 1; });
    bool grows = llvm::any_of(scales, [](double s) { return s > 1; });
    if (shrinks && grows)
      return n.unsupported("scales below and above 1");
    rounding = shrinks ? "ceil" : "floor";
  }
  if (coordinates == "half_pixel_symmetric") {
    // Differs from half_pixel only where a size was rounded down.
    for (int64_t i = 0; i < rank; ++i) {
      auto a = gr::constantOf(from[i]), c = gr::constantOf(dims[i]);
      if (!bySizes && (!a || !c || double(*c) != double(*a) * scales[i]))
        return n.unsupported("half_pixel_symmetric with a rounded size");
    }
    coordinates = "half_pixel";
  }
  if (coordinates == "tf_half_pixel_for_nn")
    return n.unsupported("coordinate_transformation_mode " + coordinates);
  if (*mode == gr::ResizeMode::cubic &&
      (std::fabs(n.real("cubic_coeff_a", -0.75) + 0.75) > 1e-6 ||
       n.integer("exclude_outside", 0)))
    return n.unsupported("cubic_coeff_a or exclude_outside");
  n.set(0, resample(n, x, dims, scales, *mode, coordinates, rounding));
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
      {"", "Upsample", 1, upsample},
      // Removed in version 10.
      {"", "Upsample", 10, nullptr},
      {"", "Resize", 10, resize},
  };
  return table;
}
