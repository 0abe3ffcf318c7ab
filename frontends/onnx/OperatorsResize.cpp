//===- OperatorsResize.cpp - Resize and Upsample --------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What every model does (fixed factors, no antialiasing) is one graph.resize.
// Everything else is done axis by axis: coordinates, the elements around them
// and their weights are small tensors, computed by graph operators, and
// graph.resample sums.
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/Node.h"

#include "llvm/ADT/StringExtras.h"

#include <cmath>

using namespace mlir;
using namespace aicc::onnx;
using llvm::StringRef;
using llvm::Twine;
namespace gr = aicc::graph;

namespace {
/// How one dimension is resampled.
struct Axis {
  AffineExpr from, to;
  std::optional<double> factor;
  Value factorValue; // a scalar, where the factor isn't known
  Value start, end;  // of the region, scalars; only tf_crop_and_resize
};

struct Resizing {
  explicit Resizing(Node &n) : n(n) {}

  Node &n;
  gr::ResizeMode mode = gr::ResizeMode::nearest;
  std::string coordinates = "asymmetric", rounding = "floor";
  bool antialias = false, excludeOutside = false, bySizes = false;
  double cubic = -0.75, extrapolation = 0;
  SmallVector<Axis> axes; // one for every dimension

  bool keeps(const Axis &axis) const {
    return axis.factor == 1.0 && gr::equal(axis.from, axis.to) && !axis.start;
  }
  bool isSimple() const;
  void run(Value x);

private:
  Value simple(Value x);
  Value alongAxis(Value x, int64_t axis, Type real);

  Value sizeOf(AffineExpr expr, Type real) {
    return n.cast(n.importer.materialize(*n.knownScalar(expr)), real);
  }
  /// The factor as a scalar.
  Value factorOf(const Axis &axis, Type real) {
    return axis.factor ? n.scalar(*axis.factor, real)
                       : n.cast(axis.factorValue, real);
  }
  Value coordinatesOf(const Axis &axis, Type real);
  Value nearest(Value at, const Axis &axis, Type real);
  Value weightsOf(Value distance);
};
} // namespace

//===----------------------------------------------------------------------===//
// Fixed factors
//===----------------------------------------------------------------------===//

bool Resizing::isSimple() const {
  if (antialias ||
      (mode == gr::ResizeMode::cubic &&
       (std::fabs(cubic + 0.75) > 1e-6 || excludeOutside)) ||
      (mode == gr::ResizeMode::linear && excludeOutside))
    return false;
  static constexpr const char *known[] = {
      "half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"};
  if (!llvm::is_contained(known, StringRef(coordinates)) ||
      rounding == "by_factor")
    return false;
  return llvm::all_of(
      axes, [](const Axis &axis) { return axis.factor && !axis.start; });
}

Value Resizing::simple(Value x) {
  Dims dims;
  SmallVector<double> scales;
  for (const Axis &axis : axes) {
    dims.push_back(axis.to);
    scales.push_back(*axis.factor);
  }
  RankedTensorType type = n.type(dims, elementOf(x));
  if (!type)
    return {};
  return gr::ResizeOp::create(
      n.b, n.loc, type, x, gr::ResizeModeAttr::get(n.b.getContext(), mode),
      n.b.getDenseF64ArrayAttr(scales), n.b.getStringAttr(coordinates),
      n.b.getStringAttr(rounding));
}

//===----------------------------------------------------------------------===//
// Axis by axis
//===----------------------------------------------------------------------===//

/// Where in the operand the elements of the result lie.
Value Resizing::coordinatesOf(const Axis &axis, Type real) {
  Value i = n.cast(n.iota({axis.to}, n.b.getI64Type(), 0), real);
  Value from = sizeOf(axis.from, real), factor = factorOf(axis, real);
  if (!i || !from || !factor)
    return {};
  // The size before it was rounded down.
  Value exact = bySizes ? sizeOf(axis.to, real) : n.multiply(from, factor);
  Value isOne = n.compare(gr::Comparison::equal, exact, n.scalar(1, real));
  Value last = n.add(from, -1.0);
  auto spread = [&](Value length) {
    Value steps = n.add(exact, -1.0);
    steps = n.select(isOne, n.scalar(1, real), steps);
    return n.divide(n.multiply(n.multiply(i, length), last), steps);
  };
  if (coordinates == "align_corners")
    return n.select(isOne, n.full(0, i), spread(n.scalar(1, real)));
  if (coordinates == "asymmetric")
    return n.divide(i, factor);
  if (coordinates == "tf_crop_and_resize") {
    Value length = n.subtract(axis.end, axis.start);
    Value middle = n.multiply(n.multiply(length, last), 0.5);
    return n.add(n.select(isOne, middle, spread(length)),
                 n.multiply(axis.start, last));
  }
  Value centred = n.divide(n.add(i, 0.5), factor);
  if (coordinates == "tf_half_pixel_for_nn")
    return centred;
  centred = n.add(centred, -0.5);
  if (coordinates == "pytorch_half_pixel")
    return n.select(isOne, n.full(0, i), centred);
  if (coordinates == "half_pixel_symmetric") {
    Value share = n.divide(sizeOf(axis.to, real), exact);
    Value rest = n.subtract(n.scalar(1, real), share);
    return n.add(centred, n.multiply(n.multiply(from, 0.5), rest));
  }
  return centred;
}

/// The nearest element of each coordinate.
Value Resizing::nearest(Value at, const Axis &axis, Type real) {
  auto floor = [&](Value x) { return n.unary<gr::FloorOp>(x); };
  auto ceil = [&](Value x) { return n.unary<gr::CeilOp>(x); };
  if (rounding == "by_factor") {
    // Version 10 rounds up where it shrinks and down where it grows.
    Value shrinks = n.compare(gr::Comparison::less, factorOf(axis, real),
                              n.scalar(1, real));
    return n.select(shrinks, ceil(at), floor(at));
  }
  if (rounding == "floor")
    return floor(at);
  if (rounding == "ceil")
    return ceil(at);
  // Rounded factors make a little less or more of a half, as in the lowering of
  // graph.resize.
  constexpr double half = 0.5 + 1e-6;
  if (rounding == "round_prefer_floor")
    return ceil(n.add(at, -half));
  return floor(n.add(at, half));
}

/// What an element at a distance weighs.
Value Resizing::weightsOf(Value distance) {
  Value d = n.unary<gr::AbsOp>(distance);
  if (!d)
    return {};
  if (mode == gr::ResizeMode::linear)
    return n.maximum(n.subtract(n.full(1, d), d), 0.0);
  double a = cubic;
  auto polynomial = [&](std::initializer_list<double> coefficients) {
    Value y;
    for (double c : coefficients)
      y = y ? n.add(n.multiply(y, d), c) : n.full(c, d);
    return y;
  };
  Value near = polynomial({a + 2, -(a + 3), 0, 1});
  Value far = polynomial({a, -5 * a, 8 * a, -4 * a});
  auto below = [&](double bound) {
    return n.compare(gr::Comparison::less, d, n.full(bound, d));
  };
  return n.select(below(1), near, n.select(below(2), far, n.full(0, d)));
}

Value Resizing::alongAxis(Value x, int64_t at, Type real) {
  const Axis &axis = axes[at];
  Type i64 = n.b.getI64Type();
  Dims dims = dimsOf(x);
  dims[at] = axis.to;
  // Weights come to 1, so between copies of one element there is only that.
  if (gr::isConstant(axis.from, 1) && coordinates != "tf_crop_and_resize")
    return n.broadcastTo(x, dims);
  RankedTensorType type = n.type(dims, elementOf(x));
  Value where = coordinatesOf(axis, real);
  Value from = n.importer.materialize(*n.knownScalar(axis.from));
  if (!type || !where || !from)
    return {};
  Value y;
  if (mode == gr::ResizeMode::nearest) {
    Value index = n.cast(nearest(where, axis, real), i64);
    index = n.minimum(n.maximum(index, 0.0),
                      n.subtract(from, n.integerScalar(1, i64)));
    if (!index)
      return {};
    y = gr::GatherOp::create(n.b, n.loc, type, x, index,
                             n.b.getI64IntegerAttr(at));
  } else {
    // Antialiasing widens the kernel where it shrinks.
    int64_t radius = mode == gr::ResizeMode::linear ? 1 : 2;
    Value stretch;
    AffineExpr reach = n.number(radius);
    if (antialias && axis.factor) {
      double factor = std::min(*axis.factor, 1.0);
      if (!n.require(factor >= 0x1p-24 || gr::isConstant(axis.to, 0),
                     "a scale is below 2^-24, the least that is antialiased"))
        return {};
      factor = std::max(factor, 0x1p-24); // of no elements any will do
      stretch = n.scalar(factor, real);
      reach = n.number(int64_t(std::ceil(double(radius) / factor)));
    } else if (antialias) {
      stretch = n.minimum(factorOf(axis, real), 1.0);
      Value most = n.unary<gr::CeilOp>(
          n.divide(n.scalar(double(radius), real), stretch));
      reach = n.importer.readSymbol(n.maximum(n.cast(most, i64), 1.0), "taps");
    }
    if (!reach)
      return {};
    Dims taps = {axis.to, gr::simplify(reach * 2)};
    if (!n.type(taps, i64))
      return {};
    Value first = n.unary<gr::FloorOp>(where);
    Value index = n.broadcastIn(n.cast(first, i64), taps, {0});
    Value start = n.importer.materialize(
        *n.knownScalar(gr::simplify(n.number(1) - reach)));
    index = n.add(index, n.add(n.iota(taps, i64, 1), start));
    Value distance =
        n.subtract(n.cast(index, real), n.broadcastIn(where, taps, {0}));
    if (stretch)
      distance = n.multiply(distance, stretch);
    Value weights = weightsOf(distance);
    if (!weights)
      return {};
    if (excludeOutside) {
      Value inside =
          n.binary<gr::AndOp>(n.compare(gr::Comparison::greater_equal, index,
                                        n.integerScalar(0, i64)),
                              n.compare(gr::Comparison::less, index, from));
      weights = n.select(inside, weights, n.full(0, weights));
    }
    if (excludeOutside || antialias) {
      Value sum = n.reduce(weights, gr::ReduceKind::sum, {1}, true);
      Value none = n.compare(gr::Comparison::equal, sum, n.full(0, sum));
      weights = n.divide(weights, n.select(none, n.full(1, sum), sum));
    }
    if (!weights)
      return {};
    y = gr::ResampleOp::create(n.b, n.loc, type, x, index, weights,
                               n.b.getI64IntegerAttr(at));
  }
  if (coordinates == "tf_crop_and_resize") {
    Value last = n.add(n.cast(from, real), -1.0);
    Value outside = n.binary<gr::OrOp>(
        n.compare(gr::Comparison::less, where, n.full(0, where)),
        n.compare(gr::Comparison::greater, where, last));
    y = n.select(n.broadcastAlong(outside, y, at), n.full(extrapolation, y), y);
  }
  return y;
}

void Resizing::run(Value x) {
  Type element = elementOf(x);
  bool isReal = isa<FloatType>(element);
  Type real = element.isF64() ? element : Type(n.b.getF32Type());
  bool sums = mode != gr::ResizeMode::nearest;
  Value y = sums ? n.cast(x, real) : x;
  if (isSimple()) {
    y = n.failed() ? Value() : simple(y);
  } else {
    for (int64_t i = 0; i < int64_t(axes.size()) && y; ++i)
      if (!keeps(axes[i]))
        y = alongAxis(y, i, real);
  }
  if (!y)
    return;
  if (sums && !isReal)
    y = n.unary<gr::RoundEvenOp>(y);
  n.set(0, n.cast(y, element));
}

//===----------------------------------------------------------------------===//
// The operators
//===----------------------------------------------------------------------===//

/// floor(size * scale), exactly for whole factors and their inverses; null
/// where that is no expression.
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
  if (std::trunc(inverse) == inverse) // past any size it gives 0
    return gr::simplify(size.floorDiv(int64_t(std::min(inverse, 0x1p62))));
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

/// An input's numbers, where they are known.
static std::optional<SmallVector<double>> numbersOf(Node &n, unsigned i) {
  const Known *known = n.known(i);
  if (!known)
    return std::nullopt;
  SmallVector<double> result;
  for (const Scalar &scalar : known->values) {
    if (scalar.expr && !scalar.constant())
      return std::nullopt;
    result.push_back(scalar.expr ? double(*scalar.constant()) : scalar.number);
  }
  return result;
}

/// Element `i` of a vector as a scalar.
static Value elementAt(Node &n, Value vector, int64_t i) {
  return n.reshape(n.sliceAxis(vector, 0, n.number(i), n.number(1)), {});
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

/// Reads the factors of `axes` from input `i`; sizes follow from them.
static bool readScales(Resizing &r, unsigned i, ArrayRef<int64_t> axes) {
  Node &n = r.n;
  Tensor *input = n.input(i);
  if (!input || !n.require(input->rank() == 1, "scales is not a vector") ||
      !n.requireEqual(input->dims[0], n.number(axes.size()),
                      "the number of scales"))
    return false;
  auto given = numbersOf(n, i);
  Type i64 = n.b.getI64Type();
  for (auto [k, at] : llvm::enumerate(axes)) {
    Axis &axis = r.axes[at];
    axis.factor.reset();
    if (given) {
      axis.factor = (*given)[k];
      axis.to = scaled(n, axis.from, (*given)[k]);
      if (n.failed())
        return false;
      if (axis.to)
        continue;
    }
    Value vector = n.operand(i);
    if (!vector || !n.requireFloat(vector))
      return false;
    // In the precision that the factor was written in.
    axis.factorValue = elementAt(n, vector, k);
    Value from = n.cast(n.importer.materialize(*n.knownScalar(axis.from)),
                        elementOf(vector));
    Value size = n.unary<gr::FloorOp>(n.multiply(from, axis.factorValue));
    axis.to = n.importer.readSymbol(n.maximum(n.cast(size, i64), 0.0), "size");
    if (!axis.to)
      return false;
  }
  return true;
}

/// Sizes for `axes` from input `i`; factors follow from them.
static bool readSizes(Resizing &r, unsigned i, ArrayRef<int64_t> axes) {
  Node &n = r.n;
  r.bySizes = true;
  auto sizes = n.expressionsOf(i, "sizes");
  if (!sizes || !n.require(sizes->size() == axes.size(),
                           "sizes has " + Twine(sizes->size()) +
                               " values, expected " + Twine(axes.size())))
    return false;
  std::string policy = n.string("keep_aspect_ratio_policy", "stretch");
  if (!n.require(policy == "stretch" || policy == "not_larger" ||
                     policy == "not_smaller",
                 "keep_aspect_ratio_policy is \"" + policy +
                     "\", expected "
                     "stretch, not_larger or not_smaller"))
    return false;
  bool least = policy == "not_larger";
  Type real = n.b.getF32Type(), i64 = n.b.getI64Type();
  auto sizeOf = [&](AffineExpr expr) {
    return n.cast(n.importer.materialize(*n.knownScalar(expr)), real);
  };
  std::optional<double> common;
  Value commonValue;
  bool allKnown = true;
  for (auto [k, at] : llvm::enumerate(axes)) {
    Axis &axis = r.axes[at];
    axis.to = (*sizes)[k];
    axis.factor = ratio(axis.to, axis.from);
    if (!axis.factor)
      axis.factorValue = n.divide(sizeOf(axis.to), sizeOf(axis.from));
    allKnown &= axis.factor.has_value();
    if (axis.factor)
      common = !common ? *axis.factor
               : least ? std::min(*common, *axis.factor)
                       : std::max(*common, *axis.factor);
    else
      commonValue = !commonValue ? axis.factorValue
                    : least      ? n.minimum(commonValue, axis.factorValue)
                                 : n.maximum(commonValue, axis.factorValue);
  }
  if (policy == "stretch" || axes.empty())
    return !n.failed();
  r.bySizes = false;
  if (!allKnown && common)
    commonValue = least ? n.minimum(commonValue, *common)
                        : n.maximum(commonValue, *common);
  for (int64_t at : axes) {
    Axis &axis = r.axes[at];
    auto size = gr::constantOf(axis.from);
    if (allKnown && size) {
      axis.factor = common;
      double to = double(*size) * *common;
      if (!n.require(to < 9e15, "a scaled dimension is too large"))
        return false;
      axis.to = n.number(std::llround(to));
      continue;
    }
    axis.factor.reset();
    axis.factorValue = allKnown ? n.scalar(*common, real) : commonValue;
    Value exact = n.multiply(sizeOf(axis.from), axis.factorValue);
    if (!exact)
      return false;
    Value rounded = n.unary<gr::FloorOp>(n.add(exact, 0.5));
    axis.to = n.importer.readSymbol(n.cast(rounded, i64), "size");
    if (!axis.to)
      return false;
  }
  return !n.failed();
}

static Resizing start(Node &n, Value x) {
  Resizing r(n);
  for (AffineExpr dim : dimsOf(x))
    r.axes.push_back({dim, dim, 1.0, {}, {}, {}});
  return r;
}

static Ints allAxes(Value x) {
  Ints axes;
  for (int64_t i = 0; i < rankOf(x); ++i)
    axes.push_back(i);
  return axes;
}

static void upsample(Node &n) {
  Value x = n.operand(0);
  auto mode = resizeMode(n);
  if (!x || !mode || n.failed())
    return;
  Resizing r = start(n, x);
  r.mode = *mode;
  if (n.version >= 9) {
    if (!readScales(r, 1, allAxes(x)))
      return;
    return r.run(x);
  }
  SmallVector<double> scales;
  if (n.version >= 7)
    scales = n.reals("scales");
  else if (n.require(rankOf(x) == 4, "it needs 4 dimensions"))
    scales = {1, 1, n.real("height_scale", 1), n.real("width_scale", 1)};
  if (n.failed() || !n.require(int64_t(scales.size()) == rankOf(x),
                               "scales has " + Twine(scales.size()) +
                                   " values, expected " + Twine(rankOf(x))))
    return;
  for (auto [axis, scale] : llvm::zip(r.axes, scales)) {
    axis.factor = scale;
    axis.to = scaled(n, axis.from, scale);
    if (!axis.to)
      return n.unsupported("a fractional scale of a dynamic dimension");
  }
  r.run(x);
}

static void resize(Node &n) {
  Value x = n.operand(0);
  auto mode = resizeMode(n);
  if (!x || !mode || n.failed())
    return;
  Resizing r = start(n, x);
  r.mode = *mode;
  int64_t rank = rankOf(x);
  Ints axes = allAxes(x);
  if (n.hasAttribute("axes")) {
    Ints given = n.integers("axes");
    (void)n.axes(given, rank);
    axes.clear();
    for (int64_t axis : given)
      axes.push_back(n.axis(axis, rank));
  }
  if (n.failed())
    return;
  if (n.version >= 11) {
    r.coordinates = n.string("coordinate_transformation_mode", "half_pixel");
    r.rounding = n.string("nearest_mode", "round_prefer_floor");
    r.antialias = n.integer("antialias", 0);
    r.excludeOutside = n.integer("exclude_outside", 0);
    r.cubic = n.real("cubic_coeff_a", -0.75);
    r.extrapolation = n.real("extrapolation_value", 0);
  }
  static constexpr StringRef known[] = {
      "half_pixel",         "asymmetric",           "align_corners",
      "pytorch_half_pixel", "half_pixel_symmetric", "tf_half_pixel_for_nn",
      "tf_crop_and_resize"};
  static constexpr StringRef roundings[] = {
      "floor", "ceil", "round_prefer_floor", "round_prefer_ceil"};
  if (!n.require(llvm::is_contained(known, r.coordinates),
                 "coordinate_transformation_mode is \"" + r.coordinates +
                     "\", expected " +
                     llvm::join(std::begin(known), std::end(known), ", ")) ||
      !n.require(
          llvm::is_contained(roundings, r.rounding),
          "nearest_mode is \"" + r.rounding + "\", expected " +
              llvm::join(std::begin(roundings), std::end(roundings), ", ")) ||
      !n.require(!r.antialias || *mode != gr::ResizeMode::nearest,
                 "antialias needs mode linear or cubic"))
    return;
  auto isEmpty = [&](unsigned i) {
    return !n.has(i) ||
           (n.input(i)->rank() == 1 && gr::isConstant(n.input(i)->dims[0], 0));
  };
  unsigned scalesAt = n.version < 11 ? 1 : 2;
  if (!(isEmpty(scalesAt) ? readSizes(r, 3, axes)
                          : readScales(r, scalesAt, axes)))
    return;
  if (r.coordinates == "tf_crop_and_resize") {
    Value roi = n.operand(1);
    if (!roi || !n.requireFloat(roi) ||
        !n.require(rankOf(roi) == 1, "roi is not a vector") ||
        !n.requireEqual(dimsOf(roi)[0], n.number(2 * axes.size()),
                        "the number of values of roi"))
      return;
    Type real = elementOf(x).isF64() ? elementOf(x) : Type(n.b.getF32Type());
    roi = n.cast(roi, real);
    for (auto [k, at] : llvm::enumerate(axes)) {
      r.axes[at].start = elementAt(n, roi, k);
      r.axes[at].end = elementAt(n, roi, axes.size() + k);
    }
  }
  if (n.version < 11 && *mode == gr::ResizeMode::nearest) {
    bool shrinks = false, grows = false;
    for (const Axis &axis : r.axes) {
      shrinks |= !axis.factor || *axis.factor < 1;
      grows |= !axis.factor || *axis.factor > 1;
    }
    r.rounding = shrinks && grows ? "by_factor" : shrinks ? "ceil" : "floor";
  }
  // Differs from half_pixel only where a size was rounded down.
  if (r.coordinates == "half_pixel_symmetric" &&
      llvm::all_of(r.axes, [&](const Axis &axis) {
        auto a = gr::constantOf(axis.from), c = gr::constantOf(axis.to);
        return axis.factor &&
               (r.bySizes ||
                (a && c && double(*c) == double(*a) * *axis.factor));
      }))
    r.coordinates = "half_pixel";
  if (r.mode != gr::ResizeMode::nearest && elementOf(x).isInteger(1))
    return n.fail("the operand has element type bool, expected a number");
  if (!n.failed())
    r.run(x);
}

llvm::ArrayRef<Operator> aicc::onnx::resizeOperators() {
  static constexpr Operator table[] = {
      {"", "Upsample", 1, upsample},
      // Removed in version 10.
      {"", "Upsample", 10, nullptr},
      {"", "Resize", 10, resize},
  };
  return table;
}
