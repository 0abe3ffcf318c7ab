//===- OperatorsQuantization.cpp - quantisation -------------------------===//
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

/// A scale or zero point brought to the dimensions of `x`: a scalar, a vector
/// along `axis`, or one value per block along `axis`.
static Value spread(Node &n, Value v, Value x, int64_t axis, int64_t block) {
  if (!v || !x || n.failed())
    return {};
  Dims dims = dimsOf(x), from = dimsOf(v);
  if (gr::isConstant(gr::numElements(tensorType(v)), 1) &&
      (block == 0 || from.size() <= 1))
    return n.broadcastTo(n.reshape(v, {}), dims);
  if (!n.require(axis >= -int64_t(dims.size()) && axis < int64_t(dims.size()),
                 "axis " + Twine(axis) + " is out of range for " +
                     Twine(dims.size()) + " dimensions"))
    return {};
  axis = axis < 0 ? axis + int64_t(dims.size()) : axis;
  if (block == 0)
    return n.broadcastAlong(v, x, axis);
  if (!n.require(from.size() == dims.size() && block > 0,
                 "blocked scales have " + Twine(from.size()) +
                     " dimensions, expected " + Twine(dims.size())))
    return {};
  // [.., k, ..] -> [.., k, block, ..] -> [.., k * block, ..], cut to size.
  Dims wide, flat = from;
  Ints positions;
  for (size_t i = 0; i < from.size(); ++i) {
    positions.push_back(wide.size());
    wide.push_back(from[i]);
    if (int64_t(i) == axis)
      wide.push_back(n.number(block));
  }
  flat[axis] = gr::simplify(from[axis] * block);
  Value result = n.reshape(n.broadcastIn(v, wide, positions), flat);
  return n.broadcastTo(n.sliceAxis(result, axis, n.number(0), dims[axis]),
                       dims);
}

/// The element type that attribute `name` gives, else `fallback`; null after an
/// error.
static Type typeAttribute(Node &n, StringRef name, Type fallback) {
  auto type = static_cast<int32_t>(n.integer(name, UNDEFINED));
  if (type == UNDEFINED)
    return fallback;
  Type element = elementType(n.importer.context, type);
  if (!n.require(element && element.isIntOrFloat(),
                 name + " is " + dataTypeName(type) +
                     ", expected the type of a number"))
    return {};
  return element;
}

/// What is computed with numbers of a type narrower than half precision.
static Type atLeastHalf(Node &n, Type element) {
  auto real = dyn_cast<FloatType>(element);
  return real && real.getWidth() >= 16 ? element : n.b.getF32Type();
}

static void dequantize(Node &n) {
  Value x = n.operand(0), scale = n.operand(1);
  if (!x || !scale || !n.requireFloat(scale))
    return;
  int64_t axis = n.integer("axis", 1), block = n.integer("block_size", 0);
  Type element = typeAttribute(n, "output_dtype", elementOf(scale));
  if (!element || !n.require(isa<FloatType>(element) &&
                                 element.getIntOrFloatBitWidth() >= 16,
                             "the result has type " + n.print(element) +
                                 ", expected f32, f16 or bf16 (output_dtype)"))
    return;
  Type real = n.b.getF32Type();
  Value y;
  if (n.has(2)) {
    Value zero = n.operand(2);
    if (!n.sameElement(x, zero))
      return;
    // The difference of integers is exact in 32 bits.
    bool integer = isa<IntegerType>(elementOf(x));
    Type wide = integer && elementOf(x).getIntOrFloatBitWidth() < 32
                    ? Type(n.b.getI32Type())
                : integer ? elementOf(x)
                          : real;
    y = n.subtract(n.cast(x, wide),
                   spread(n, n.cast(zero, wide), x, axis, block));
    y = n.cast(y, real);
  } else {
    y = n.cast(x, real);
  }
  y = n.multiply(y, spread(n, n.cast(scale, real), x, axis, block));
  n.set(0, n.cast(y, element));
}

/// Numbers plus a zero point, limited to and rounded to the type of `element`.
static Value saturate(Node &n, Value y, Value zero, Type element,
                      bool overflow = false) {
  if (!y)
    return {};
  // Half precision can't hold the sums.
  Type real = n.b.getF32Type();
  if (isa<IntegerType>(element))
    y = n.unary<gr::RoundEvenOp>(y);
  if (y && !elementOf(y).isF64())
    y = n.cast(y, real);
  if (zero && y)
    y = n.add(y, n.cast(zero, elementOf(y)));
  // Integers narrower than a byte wrap in conversions.
  unsigned bits = element.getIntOrFloatBitWidth();
  if (isa<IntegerType>(element) && bits < 8) {
    bool natural = element.isUnsignedInteger();
    double low = natural ? 0 : -double(1 << (bits - 1));
    double high =
        natural ? double((1 << bits) - 1) : double((1 << (bits - 1)) - 1);
    y = n.minimum(n.maximum(y, low), high);
  }
  return n.cast(y, element, overflow);
}

static void quantize(Node &n) {
  Value x = n.operand(0), scale = n.operand(1);
  if (!x || !scale)
    return;
  int64_t axis = n.integer("axis", 1), block = n.integer("block_size", 0);
  Type given = n.has(2) ? n.input(2)->element : Type();
  Type element = typeAttribute(n, "output_dtype",
                               given ? given : n.b.getIntegerType(8, false));
  if (!element ||
      !n.require(!given || element == given,
                 "output_dtype is " + n.print(element) +
                     " and the zero point is " + n.print(given) +
                     ", expected one type") ||
      !n.require(element.isIntOrFloat() && !element.isInteger(1),
                 "the result has type " + n.print(element) +
                     ", expected a number's"))
    return;
  // Of integers the quotient is exact enough in double precision only.
  Type precise = elementOf(scale).isInteger(32) ? Type(n.b.getF64Type())
                                                : elementOf(scale);
  // A power of two says nothing about precision.
  if (precise.getIntOrFloatBitWidth() <= 8)
    precise = elementOf(x);
  precise = typeAttribute(n, "precision", precise);
  if (!precise)
    return;
  precise = atLeastHalf(n, precise);
  Value y = n.divide(n.cast(x, precise),
                     spread(n, n.cast(scale, precise), x, axis, block));
  Value zero;
  if (n.has(2))
    zero = spread(n, n.cast(n.operand(2), n.b.getF32Type()), x, axis, block);
  n.set(0, saturate(n, y, zero, element, !n.integer("saturate", 1)));
}

static void dynamicQuantize(Node &n) {
  Value x = n.operand(0);
  if (!n.requireFloat(x))
    return;
  Ints axes;
  for (int64_t i = 0; i < rankOf(x); ++i)
    axes.push_back(i);
  Type byte = n.b.getIntegerType(8, false);
  Value low = n.minimum(n.reduce(x, gr::ReduceKind::minimum, axes, false), 0.0);
  Value high =
      n.maximum(n.reduce(x, gr::ReduceKind::maximum, axes, false), 0.0);
  Value range = n.subtract(high, low);
  if (!range)
    return;
  Value one = n.scalar(1, elementOf(x)), none = n.scalar(0, elementOf(x));
  range = n.select(n.compare(gr::Comparison::equal, range, none), one, range);
  Value scale = n.divide(range, n.scalar(255, elementOf(x)));
  Value zero = n.divide(n.unary<gr::NegateOp>(low), scale);
  zero = n.unary<gr::RoundEvenOp>(n.minimum(n.maximum(zero, 0.0), 255.0));
  n.set(0, saturate(n, n.divide(x, scale), zero, byte));
  n.set(1, scale);
  n.set(2, n.cast(zero, byte));
}

//===----------------------------------------------------------------------===//
// Products of quantised factors
//===----------------------------------------------------------------------===//

/// A scale or zero point of one value as a scalar; a vector, one value per
/// slice along `axis` of `rank` dimensions, with dimensions of 1 behind it.
/// What has more dimensions is broadcast as it is.
static Value alongAxis(Node &n, Value v, int64_t rank, int64_t axis) {
  if (!v || n.failed() || rankOf(v) > 1)
    return v;
  if (rankOf(v) == 0 || gr::isConstant(dimsOf(v)[0], 1))
    return n.reshape(v, {});
  if (!n.require(axis >= 0 && axis < rank, "a scale or zero point has " +
                                               n.print(dimsOf(v)) +
                                               " values, expected one"))
    return {};
  Dims dims{dimsOf(v)[0]};
  for (int64_t i = axis + 1; i < rank; ++i)
    dims.push_back(n.number(1));
  return n.reshape(v, dims);
}

/// x - zero, integers in 32 bits and floats in f32.
static Value centred(Node &n, unsigned input, unsigned zero, int64_t axis) {
  Value x = n.operand(input);
  if (!x)
    return {};
  Type wide = isa<FloatType>(elementOf(x)) ? Type(n.b.getF32Type())
                                           : Type(n.b.getI32Type());
  x = n.cast(x, wide);
  if (!n.has(zero))
    return x;
  Value z = alongAxis(n, n.cast(n.operand(zero), wide), rankOf(x),
                      axis < 0 ? axis + rankOf(x) : axis);
  return n.subtract(x, z);
}

static void matMulInteger(Node &n) {
  n.set(0, n.matmul(centred(n, 0, 2, -2), centred(n, 1, 3, -1)));
}

static void convInteger(Node &n) {
  n.set(0, convolve(n, centred(n, 0, 2, 1), centred(n, 1, 3, 0)));
}

/// Scales a product back to the type of the output's zero point. The factor is
/// one number for every sum, so that there is one rounding before the last.
static Value requantize(Node &n, Value sum, Value scale, Value outScale,
                        Value zero, Type element) {
  Type real = n.b.getF32Type();
  Value factor = n.divide(scale, outScale);
  return saturate(n, n.multiply(n.cast(sum, real), factor), zero, element);
}

static void qLinearMatMul(Node &n) {
  Type real = n.b.getF32Type();
  Value a = n.operand(0), b = n.operand(3), zero = n.operand(7);
  if (!a || !b || !zero)
    return;
  auto along = [&](unsigned i, Value like, int64_t axis) {
    int64_t rank = rankOf(like);
    return alongAxis(n, n.cast(n.operand(i), real), rank, rank + axis);
  };
  Value scale = n.multiply(along(1, a, -2), along(4, b, -1));
  Value sum = n.matmul(centred(n, 0, 2, -2), centred(n, 3, 5, -1));
  n.set(0, requantize(n, sum, scale, along(6, a, -2), along(7, a, -2),
                      elementOf(zero)));
}

static void qLinearConv(Node &n) {
  Type real = n.b.getF32Type();
  Value sum = convolve(n, centred(n, 0, 2, 1), centred(n, 3, 5, 0));
  Value zero = n.operand(7);
  if (!sum || !zero)
    return;
  if (n.has(8))
    sum = n.add(sum, n.broadcastAlong(n.operand(8), sum, 1));
  if (!sum)
    return;
  // Per output channel where there are several.
  auto along = [&](unsigned i) {
    return alongAxis(n, n.cast(n.operand(i), real), rankOf(sum), 1);
  };
  n.set(0, requantize(n, sum, n.multiply(along(1), along(4)), along(6),
                      along(7), elementOf(zero)));
}

llvm::ArrayRef<Operator> aicc::onnx::quantizationOperators() {
  static constexpr Operator table[] = {
      {"", "DequantizeLinear", 10, dequantize},
      {"", "QuantizeLinear", 10, quantize},
      {"", "DynamicQuantizeLinear", 11, dynamicQuantize},
      {"", "MatMulInteger", 10, matMulInteger},
      {"", "ConvInteger", 10, convInteger},
      {"", "QLinearMatMul", 10, qLinearMatMul},
      {"", "QLinearConv", 10, qLinearConv},
      {"com.microsoft", "DequantizeLinear", 1, dequantize},
      {"com.microsoft", "QuantizeLinear", 1, quantize},
  };
  return table;
}
