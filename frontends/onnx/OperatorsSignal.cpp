//===- OperatorsSignal.cpp - Fourier transforms and windows -------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A transform is a product with a matrix of sines and cosines; a long one is
// two shorter ones with a multiplication between (Cooley and Tukey), again and
// again. Sines and cosines are computed here, in double precision, unless the
// length is only known at run time or has a large prime factor.
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

//===----------------------------------------------------------------------===//
// Fourier transforms
//===----------------------------------------------------------------------===//

namespace {

/// Transforms rows [M, length, parts] of real (parts = 1) or complex numbers.
class Fourier {
public:
  Fourier(Node &n, AffineExpr length, bool inverse)
      : n(n), length(length), inverse(inverse) {}
  /// To [M, bins, 2], of the first bins.
  Value transform(Value rows, AffineExpr bins);
  /// From the first half of a symmetric spectrum to [M, length, 1].
  Value toReal(Value rows);

private:
  Value fast(Value rows, int64_t size);
  Value dense(Value rows, int64_t size, int64_t bins);
  Value generated(Value rows, AffineExpr size, AffineExpr bins);
  Value resized(Value rows, AffineExpr size);
  /// The angle of bin k and element t, reduced to one turn.
  double angle(int64_t k, int64_t t, int64_t size) const {
    double turn = 2 * M_PI * double(k * t % size) / double(size);
    return inverse ? turn : -turn;
  }

  /// Longer transforms are split where they can be.
  static constexpr int64_t splitFrom = 128;
  /// Larger matrices are not stored, nor longer lists of angles.
  static constexpr int64_t largestStored = 256;
  static constexpr int64_t largestTable = 1 << 16;

  Node &n;
  AffineExpr length;
  bool inverse;
};

} // namespace

/// Cuts or fills with zeros.
Value Fourier::resized(Value rows, AffineExpr size) {
  if (!rows)
    return {};
  Dims d = dimsOf(rows);
  if (gr::equal(d[1], size))
    return rows;
  auto difference = gr::constantOf(gr::simplify(size - d[1]));
  if (!difference) {
    n.unsupported("a length that may be more or less than the dimension");
    return {};
  }
  if (*difference < 0)
    return n.sliceAxis(rows, 1, n.number(0), size);
  Dims rest = {d[0], n.number(*difference), d[2]};
  return n.concatenate(
      {rows, n.broadcastTo(n.scalar(0, elementOf(rows)), rest)}, 1);
}

/// One product with [size * parts, bins * 2].
Value Fourier::dense(Value rows, int64_t size, int64_t bins) {
  if (!rows)
    return {};
  Dims d = dimsOf(rows);
  int64_t parts = *gr::constantOf(d[2]);
  SmallVector<double> weights(size * parts * bins * 2);
  for (int64_t t = 0; t < size; ++t)
    for (int64_t k = 0; k < bins; ++k) {
      double a = angle(k, t, size);
      double *real = &weights[(t * parts * bins + k) * 2];
      real[0] = std::cos(a);
      real[1] = std::sin(a);
      if (parts == 2) {
        double *imaginary = real + bins * 2;
        imaginary[0] = -std::sin(a);
        imaginary[1] = std::cos(a);
      }
    }
  Value matrix =
      n.constantOfShape({size * parts, bins * 2}, weights, elementOf(rows));
  Value flat = n.reshape(rows, Dims{d[0], n.number(size * parts)});
  return n.reshape(n.dot(flat, matrix, {}, {}, {1}, {0}),
                   Dims{d[0], n.number(bins), n.number(2)});
}

/// The same with a matrix that is computed when the model runs.
Value Fourier::generated(Value rows, AffineExpr size, AffineExpr bins) {
  if (!rows)
    return {};
  Dims d = dimsOf(rows);
  Type real = elementOf(rows), index = n.b.getI64Type();
  Value count = n.importer.materialize(*n.knownScalar(size));
  Dims grid = {d[1], bins};
  Value product = n.multiply(n.iota(grid, index, 0), n.iota(grid, index, 1));
  product = n.binary<gr::RemainderOp>(product, count);
  Value turn = n.divide(n.scalar(inverse ? 2 * M_PI : -2 * M_PI, real),
                        n.cast(count, real));
  Value a = n.multiply(n.cast(product, real), turn);
  Value cosines = n.unary<gr::CosOp>(a), sines = n.unary<gr::SinOp>(a);
  Dims row = {d[0], d[1]};
  auto part = [&](int64_t i) {
    return n.reshape(n.sliceAxis(rows, 2, n.number(i), n.number(1)), row);
  };
  auto by = [&](Value x, Value matrix) {
    return n.dot(x, matrix, {}, {}, {1}, {0});
  };
  Value x = part(0), re = by(x, cosines), im = by(x, sines);
  if (gr::isConstant(d[2], 2)) {
    Value y = part(1);
    re = n.subtract(re, by(y, sines));
    im = n.add(im, by(y, cosines));
  }
  Dims one = {d[0], bins, n.number(1)};
  return n.concatenate({n.reshape(re, one), n.reshape(im, one)}, 2);
}

/// All bins of rows of exactly `size` elements.
Value Fourier::fast(Value rows, int64_t size) {
  if (!rows)
    return {};
  // size = p * q with p the largest factor up to the root.
  int64_t p = 1;
  if (size > splitFrom)
    for (int64_t i = 2; i * i <= size; ++i)
      if (size % i == 0)
        p = i;
  if (p == 1)
    return size <= largestStored
               ? dense(rows, size, size)
               : generated(rows, n.number(size), n.number(size));
  int64_t q = size / p;
  Dims d = dimsOf(rows);
  AffineExpr m = d[0], two = n.number(2), pe = n.number(p), qe = n.number(q);
  // Element q * i + j: p elements i apart by q first, to bins k of p.
  Value x = n.transpose(n.reshape(rows, Dims{m, pe, qe, d[2]}), {0, 2, 1, 3});
  x = fast(n.reshape(x, Dims{m * qe, pe, d[2]}), p);
  x = n.reshape(x, Dims{m, qe, pe, two});
  // Times the angle of k and j, then q elements j, to bins k + p * l.
  if (!x)
    return {};
  Type real = elementOf(x);
  Value c, s;
  if (size <= largestTable) {
    SmallVector<double> cosines(q * p), sines(q * p);
    for (int64_t j = 0; j < q; ++j)
      for (int64_t k = 0; k < p; ++k) {
        double a = angle(k, j, size);
        cosines[j * p + k] = std::cos(a);
        sines[j * p + k] = std::sin(a);
      }
    c = n.constantOfShape({q, p, 1}, cosines, real);
    s = n.constantOfShape({q, p, 1}, sines, real);
  } else {
    Type index = n.b.getI64Type();
    Dims grid = {qe, pe, n.number(1)};
    Value steps = n.multiply(n.iota(grid, index, 0), n.iota(grid, index, 1));
    double turn = 2 * M_PI / double(size);
    Value a = n.multiply(n.cast(steps, real), inverse ? turn : -turn);
    c = n.unary<gr::CosOp>(a);
    s = n.unary<gr::SinOp>(a);
  }
  Value re = n.sliceAxis(x, 3, n.number(0), n.number(1));
  Value im = n.sliceAxis(x, 3, n.number(1), n.number(1));
  x = n.concatenate({n.subtract(n.multiply(re, c), n.multiply(im, s)),
                     n.add(n.multiply(re, s), n.multiply(im, c))},
                    3);
  x = n.transpose(x, {0, 2, 1, 3});
  x = fast(n.reshape(x, Dims{m * pe, qe, two}), q);
  x = n.transpose(n.reshape(x, Dims{m, pe, qe, two}), {0, 2, 1, 3});
  return n.reshape(x, Dims{m, n.number(size), two});
}

Value Fourier::transform(Value rows, AffineExpr bins) {
  auto size = gr::constantOf(length), some = gr::constantOf(bins);
  Value y;
  if (!size || !some) {
    // Elements behind the end are zeros, which need no product.
    if (rows && !gr::constantOf(gr::simplify(length - dimsOf(rows)[1])))
      rows = resized(rows, length);
    else if (rows &&
             *gr::constantOf(gr::simplify(length - dimsOf(rows)[1])) < 0)
      rows = n.sliceAxis(rows, 1, n.number(0), length);
    y = generated(rows, length, bins);
  } else {
    rows = resized(rows, length);
    y = *size <= splitFrom
            ? dense(rows, *size, *some)
            : n.sliceAxis(fast(rows, *size), 1, n.number(0), bins);
  }
  if (!inverse || !y)
    return y;
  Value count =
      n.cast(n.importer.materialize(*n.knownScalar(length)), elementOf(y));
  return n.divide(y, count);
}

Value Fourier::toReal(Value rows) {
  AffineExpr half = gr::simplify(length.floorDiv(2) + 1);
  rows = resized(rows, half);
  if (!rows)
    return {};
  // Each bin but the first and, of an even length, the last stands for its
  // mirror image too; the real part of the sum is the same.
  Type index = n.b.getI64Type();
  Value k = n.iota({half, n.number(1)}, index, 0);
  Value mirror = n.importer.materialize(*n.knownScalar(length));
  mirror = n.subtract(mirror, k);
  Value first = n.compare(gr::Comparison::equal, k, n.integerScalar(0, index));
  Value last = n.compare(gr::Comparison::equal, k, mirror);
  Type real = elementOf(rows);
  rows = n.multiply(rows, n.select(n.binary<gr::OrOp>(first, last),
                                   n.scalar(1, real), n.scalar(2, real)));
  return n.sliceAxis(transform(rows, length), 2, n.number(0), n.number(1));
}

/// The type of the computation. Sums over float32 are expected to cancel to
/// zero as they do in double precision.
static Type transformType(Node &n, Type element) {
  return element.getIntOrFloatBitWidth() < 32 ? n.b.getF32Type()
                                              : n.b.getF64Type();
}

/// Along dimension `axis` of [..., 1 or 2].
static Value fourier(Node &n, Value x, int64_t axis, AffineExpr length,
                     bool inverse, bool onesided) {
  if (!x || n.failed())
    return {};
  int64_t rank = rankOf(x);
  Ints order;
  for (int64_t i = 0; i < rank - 1; ++i)
    if (i != axis)
      order.push_back(i);
  order.push_back(axis);
  order.push_back(rank - 1);
  Value rows = n.transpose(x, order);
  Dims d = rows ? dimsOf(rows) : Dims();
  if (!rows)
    return {};
  AffineExpr outer = n.number(1);
  for (AffineExpr dim : ArrayRef(d).drop_back(2))
    outer = gr::simplify(outer * dim);
  Type element = elementOf(x);
  rows = n.cast(rows, transformType(n, element));
  rows = n.reshape(rows, Dims{outer, d[rank - 2], d[rank - 1]});
  Fourier f(n, length, inverse);
  bool real = inverse && onesided;
  AffineExpr bins =
      onesided && !inverse ? gr::simplify(length.floorDiv(2) + 1) : length;
  rows = real ? f.toReal(rows) : f.transform(rows, bins);
  d[rank - 2] = bins;
  d[rank - 1] = n.number(real ? 1 : 2);
  rows = n.cast(n.reshape(rows, d), element);
  Ints back(rank);
  for (auto [i, p] : llvm::enumerate(order))
    back[p] = i;
  return n.transpose(rows, back);
}

/// Whether the last dimension holds real or complex numbers.
static bool requireParts(Node &n, Value x) {
  if (!n.requireFloat(x) ||
      !n.require(rankOf(x) >= 2, "the operand has " + Twine(rankOf(x)) +
                                     " dimensions, expected at least 2"))
    return false;
  auto parts = gr::constantOf(dimsOf(x).back());
  if (!parts) {
    n.unsupported("a last dimension that is dynamic");
    return false;
  }
  return n.require(*parts == 1 || *parts == 2,
                   "the last dimension is " + Twine(*parts) +
                       ", expected 1 (real) or 2 (complex)");
}

/// A length from an input; null after an error.
static AffineExpr lengthOf(Node &n, unsigned i, StringRef what) {
  auto values = n.expressionsOf(i, what);
  if (!values ||
      !n.require(values->size() == 1, what + " has " + Twine(values->size()) +
                                          " values, expected one"))
    return {};
  auto constant = gr::constantOf(values->front());
  if (!n.require(!constant || *constant > 0, what + " is " +
                                                 Twine(constant.value_or(0)) +
                                                 ", expected at least 1"))
    return {};
  return values->front();
}

static void discreteFourier(Node &n) {
  Value x = n.operand(0);
  if (!requireParts(n, x))
    return;
  int64_t rank = rankOf(x), axis = n.version < 20 ? n.integer("axis", 1) : -2;
  if (n.version >= 20 && n.has(2)) {
    auto given = n.integersOf(2, "axis");
    if (!given || !n.require(given->size() == 1, "axis is not one number"))
      return;
    axis = given->front();
  }
  axis = n.axis(axis, rank);
  if (n.failed() ||
      !n.require(axis != rank - 1,
                 "axis is the last dimension, expected one before it"))
    return;
  bool inverse = n.integer("inverse", 0), onesided = n.integer("onesided", 0);
  AffineExpr length = dimsOf(x)[axis];
  if (n.has(1))
    length = lengthOf(n, 1, "dft_length");
  else if (inverse && onesided)
    length = gr::simplify((length - 1) * 2);
  if (!length)
    return;
  n.set(0, fourier(n, x, axis, length, inverse, onesided));
}

static void shortTimeFourier(Node &n) {
  Value x = n.operand(0), window = n.optionalOperand(2);
  if (!requireParts(n, x) ||
      !n.require(rankOf(x) == 3, "the signal has " + Twine(rankOf(x)) +
                                     " dimensions, expected 3"))
    return;
  auto step = n.integersOf(1, "frame_step");
  if (!step || !n.require(step->size() == 1 && step->front() > 0,
                          "frame_step is not one positive number"))
    return;
  Dims d = dimsOf(x);
  AffineExpr length = d[1];
  if (window) {
    if (!n.sameElement(x, window) ||
        !n.require(rankOf(window) == 1, "the window has " +
                                            Twine(rankOf(window)) +
                                            " dimensions, expected 1"))
      return;
    length = dimsOf(window)[0];
  }
  if (n.has(3)) {
    AffineExpr given = lengthOf(n, 3, "frame_length");
    if (!given ||
        (window && !n.requireEqual(given, length, "the length of a frame")))
      return;
    length = given;
  }
  AffineExpr room = gr::simplify(d[1] - length);
  auto known = gr::constantOf(room);
  if (!n.require(known.value_or(0) >= 0, "a frame is longer than the signal"))
    return;
  if (!nonNegative(room))
    n.importer.assumeAtMost(length, d[1]);
  AffineExpr frames = gr::simplify(room.floorDiv(step->front()) + 1);
  Type index = n.b.getI64Type();
  Dims grid = {frames, length};
  Value at =
      n.multiply(n.iota(grid, index, 0), n.integerScalar(step->front(), index));
  at = n.add(at, n.iota(grid, index, 1));
  RankedTensorType type = n.type({d[0], frames, length, d[2]}, elementOf(x));
  if (!type || !at)
    return;
  Value pieces =
      gr::GatherOp::create(n.b, n.loc, type, x, at, n.b.getI64IntegerAttr(1));
  if (window)
    pieces = n.multiply(pieces, n.reshape(window, Dims{length, n.number(1)}));
  n.set(0, fourier(n, pieces, 2, length, false, n.integer("onesided", 1)));
}

//===----------------------------------------------------------------------===//
// Windows and filters
//===----------------------------------------------------------------------===//

/// The type output_datatype asks for; null after an error.
static Type outputType(Node &n) {
  Type element =
      elementType(n.importer.context,
                  static_cast<int32_t>(n.integer("output_datatype", FLOAT)));
  if (!element)
    n.unsupported("the type output_datatype");
  return element;
}

/// sum of coefficients[k] * cos(2 pi k i / m) for i below the size.
static void cosineWindow(Node &n, ArrayRef<double> coefficients) {
  auto size = n.expressionsOf(0, "size");
  Type element = outputType(n);
  if (!size || !element ||
      !n.require(size->size() == 1, "size is not one number"))
    return;
  AffineExpr length = size->front();
  AffineExpr period = n.integer("periodic", 1) ? length : length - 1;
  auto count = gr::constantOf(length);
  constexpr int64_t largestStored = 1 << 16;
  if (count && *count >= 0 && *count <= largestStored) {
    double all = double(*gr::constantOf(gr::simplify(period)));
    SmallVector<double> values;
    SmallVector<int64_t> whole;
    for (int64_t i = 0; i < *count; ++i) {
      double value = coefficients[0];
      for (size_t k = 1; k < coefficients.size(); ++k)
        value +=
            coefficients[k] * std::cos(2 * M_PI * double(k) * double(i) / all);
      values.push_back(value);
      whole.push_back(std::isnan(value) ? 0 : static_cast<int64_t>(value));
    }
    return n.set(0, isa<FloatType>(element) ? n.constant(values, element)
                                            : n.constant(whole, element));
  }
  Type real = element.isF64() ? element : Type(n.b.getF32Type());
  Value i = n.cast(n.iota(*size, n.b.getI64Type(), 0), real);
  Value all = n.cast(
      n.importer.materialize(*n.knownScalar(gr::simplify(period))), real);
  Value y = n.full(coefficients[0], i);
  for (size_t k = 1; k < coefficients.size(); ++k) {
    Value angle = n.divide(n.multiply(i, 2 * M_PI * double(k)), all);
    y = n.add(y, n.multiply(n.unary<gr::CosOp>(angle), coefficients[k]));
  }
  n.set(0, n.cast(y, element));
}
static void hannWindow(Node &n) { cosineWindow(n, {0.5, -0.5}); }
static void hammingWindow(Node &n) { cosineWindow(n, {25.0 / 46, -21.0 / 46}); }
static void blackmanWindow(Node &n) { cosineWindow(n, {0.42, -0.5, 0.08}); }

/// Triangles of height one between edges that are equally far apart in mel.
static void melWeights(Node &n) {
  auto bands = n.expressionsOf(0, "num_mel_bins");
  auto length = n.expressionsOf(1, "dft_length");
  Type element = outputType(n);
  if (!bands || !length || !element ||
      !n.require(bands->size() == 1 && length->size() == 1,
                 "num_mel_bins or dft_length is not one number"))
    return;
  // In double precision, since edges are rounded down to bins.
  Type real = n.b.getF64Type(), index = n.b.getI64Type();
  auto number = [&](unsigned i) {
    return n.cast(n.reshape(n.operand(i), {}), real);
  };
  Value rate = number(2), low = number(3), high = number(4);
  double factor = 2595 / std::log(10.0);
  auto mel = [&](Value hertz) {
    return n.multiply(n.unary<gr::Log1pOp>(n.multiply(hertz, 1.0 / 700)),
                      factor);
  };
  low = mel(low);
  AffineExpr edges = gr::simplify(bands->front() + 2);
  Value count = n.cast(n.importer.materialize(*n.knownScalar(edges)), real);
  Value step = n.divide(n.subtract(mel(high), low), count);
  Value at = n.cast(n.iota({edges}, index, 0), real);
  Value hertz = n.add(n.multiply(at, step), low);
  hertz = n.unary<gr::ExpOp>(n.multiply(hertz, 1 / factor));
  hertz = n.multiply(n.add(hertz, -1.0), 700.0);
  AffineExpr points = gr::simplify(length->front() + 1);
  Value scaled = n.multiply(
      n.cast(n.importer.materialize(*n.knownScalar(points)), real), hertz);
  Value bins = n.cast(n.unary<gr::FloorOp>(n.divide(scaled, rate)), index);
  // Band i rises from edge i to edge i + 1 and falls to edge i + 2.
  Dims grid = {gr::simplify(length->front().floorDiv(2) + 1), bands->front()};
  auto edge = [&](int64_t from) {
    return n.broadcastTo(n.sliceAxis(bins, 0, n.number(from), bands->front()),
                         grid);
  };
  using C = gr::Comparison;
  Value left = edge(0), centre = edge(1), right = edge(2);
  Value bin = n.iota(grid, index, 0);
  auto both = [&](Value a, Value b) { return n.binary<gr::AndOp>(a, b); };
  auto ratio = [&](Value a, Value b) {
    return n.divide(n.cast(a, real), n.cast(b, real));
  };
  Value up = n.subtract(centre, left), down = n.subtract(right, centre);
  Value zero = n.integerScalar(0, index);
  Value onset =
      both(n.compare(C::equal, up, zero), n.compare(C::equal, bin, centre));
  Value rising = both(n.compare(C::greater_equal, bin, left),
                      n.compare(C::less_equal, bin, centre));
  rising = both(rising, n.compare(C::greater, up, zero));
  Value falling = both(n.compare(C::greater_equal, bin, centre),
                       n.compare(C::less, bin, right));
  Value y = n.cast(onset, real);
  y = n.select(rising, ratio(n.subtract(bin, left), up), y);
  y = n.select(falling, ratio(n.subtract(right, bin), down), y);
  n.set(0, n.cast(y, element));
}

llvm::ArrayRef<Operator> aicc::onnx::signalOperators() {
  static constexpr Operator table[] = {
      {"", "DFT", 17, discreteFourier},
      {"", "STFT", 17, shortTimeFourier},
      {"", "HannWindow", 17, hannWindow},
      {"", "HammingWindow", 17, hammingWindow},
      {"", "BlackmanWindow", 17, blackmanWindow},
      {"", "MelWeightMatrix", 17, melWeights},
  };
  return table;
}
