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
  if (gr::isConstant(gr::numElements(tensorType(v)), 1) && block == 0)
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

static void dequantize(Node &n) {
  Value x = n.operand(0), scale = n.operand(1);
  if (!x || !scale || !n.requireFloat(scale))
    return;
  int64_t axis = n.integer("axis", 1), block = n.integer("block_size", 0);
  Type element = elementOf(scale);
  if (int64_t to = n.integer("output_dtype", 0))
    element = elementType(n.importer.context, to);
  if (!element)
    return n.unsupported("the type output_dtype");
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

static void quantize(Node &n) {
  Value x = n.operand(0), scale = n.operand(1);
  if (!x || !scale)
    return;
  int64_t axis = n.integer("axis", 1), block = n.integer("block_size", 0);
  Type element = n.b.getIntegerType(8, false);
  if (int64_t to = n.integer("output_dtype", 0))
    element = elementType(n.importer.context, to);
  if (n.has(2))
    element = n.input(2)->element;
  if (!element)
    return n.unsupported("the type output_dtype");
  if (isa<FloatType>(element) && !n.integer("saturate", 1))
    return n.unsupported("saturate = 0");
  Type real = n.b.getF32Type();
  Value y =
      n.divide(n.cast(x, real), spread(n, n.cast(scale, real), x, axis, block));
  bool integer = isa<IntegerType>(element);
  if (integer)
    y = n.unary<gr::RoundEvenOp>(y);
  if (n.has(2))
    y = n.add(y, spread(n, n.cast(n.operand(2), real), x, axis, block));
  // Narrow integers have no saturating conversion everywhere: clamp first.
  unsigned bits = element.getIntOrFloatBitWidth();
  if (integer && bits < 8) {
    bool natural = element.isUnsignedInteger();
    double low = natural ? 0 : -double(1 << (bits - 1));
    double high =
        natural ? double((1 << bits) - 1) : double((1 << (bits - 1)) - 1);
    y = n.minimum(n.maximum(y, low), high);
  }
  n.set(0, n.cast(y, element));
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
  Value scale = n.subtract(high, low);
  scale = scale ? n.divide(scale, n.scalar(255, elementOf(x))) : Value();
  Value zero =
      n.unary<gr::RoundEvenOp>(n.divide(n.unary<gr::NegateOp>(low), scale));
  zero = n.minimum(n.maximum(zero, 0.0), 255.0);
  Value y = n.unary<gr::RoundEvenOp>(n.divide(x, scale));
  y = n.minimum(n.maximum(n.add(y, zero), 0.0), 255.0);
  n.set(0, n.cast(y, byte));
  n.set(1, scale);
  n.set(2, n.cast(zero, byte));
}

llvm::ArrayRef<Operator> aicc::onnx::quantizationOperators() {
  static constexpr Operator table[] = {
      {"", "DequantizeLinear", 10, dequantize},
      {"", "QuantizeLinear", 10, quantize},
      {"", "DynamicQuantizeLinear", 11, dynamicQuantize},
      {"com.microsoft", "DequantizeLinear", 1, dequantize},
      {"com.microsoft", "QuantizeLinear", 1, quantize},
  };
  return table;
}
