//===- OperatorsMicrosoftQuantization.cpp - 8-bit operators ---------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The quantised operators of com.microsoft. Products are of 32-bit integers;
// everything else is computed on what the integers stand for and quantised
// again, which is how those operators are defined.
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/Microsoft.h"

using namespace mlir;
using namespace aicc::onnx;
using llvm::StringRef;
using llvm::Twine;
namespace gr = aicc::graph;

/// A value for everything, or one for each place along `axis` of x.
static Value along(Node &n, Value v, Value x, int64_t axis) {
  if (!v || !x)
    return {};
  if (gr::isConstant(gr::numElements(tensorType(v)), 1))
    return n.reshape(v, {});
  if (rankOf(v) != 1)
    return n.broadcastTo(v, dimsOf(x));
  axis = n.axis(axis, rankOf(x));
  return n.failed() ? Value() : n.broadcastAlong(v, x, axis);
}

/// x - zero as 32-bit integers.
static Value difference(Node &n, Value x, Value zero, int64_t axis) {
  Type wide = n.b.getI32Type();
  Value y = n.cast(x, wide);
  return zero ? n.subtract(y, along(n, n.cast(zero, wide), x, axis)) : y;
}

Value aicc::onnx::dequantized(Node &n, Value x, Value scale, Value zero,
                              int64_t axis) {
  Type real = n.b.getF32Type();
  Value y = n.cast(difference(n, x, zero, axis), real);
  return n.multiply(y, along(n, n.cast(scale, real), y, axis));
}

/// round(y / scale) + zero in the type of the zero point, or `element` where
/// there is none.
static Value quantized(Node &n, Value y, Value scale, Value zero,
                       Type element) {
  if (!y || !scale)
    return {};
  Type real = n.b.getF32Type();
  y = n.unary<gr::RoundEvenOp>(
      n.divide(n.cast(y, real), along(n, n.cast(scale, real), y, -1)));
  if (zero) {
    element = elementOf(zero);
    y = n.add(y, along(n, n.cast(zero, real), y, -1));
  }
  return n.cast(y, element);
}

/// Input i dequantised by the scale and the zero point after it.
static Value read(Node &n, unsigned i) {
  return dequantized(n, n.operand(i), n.operand(i + 1),
                     n.optionalOperand(i + 2), -1);
}

/// Output 0 quantised by input `scale` and the zero point after it.
static void write(Node &n, Value y, unsigned scale) {
  Type fallback = n.has(0) ? n.input(0)->element : Type();
  n.set(0, quantized(n, y, n.operand(scale), n.optionalOperand(scale + 1),
                     fallback));
}

static void qLinearAdd(Node &n) { write(n, n.add(read(n, 0), read(n, 3)), 6); }

static void qLinearMul(Node &n) {
  write(n, n.multiply(read(n, 0), read(n, 3)), 6);
}

static void qLinearSigmoid(Node &n) {
  write(n, n.unary<gr::SigmoidOp>(read(n, 0)), 3);
}

static void qLinearLeakyRelu(Node &n) {
  Value x = read(n, 0);
  if (!x)
    return;
  Value negative =
      n.compare(gr::Comparison::less, x, n.scalar(0, elementOf(x)));
  write(n, n.select(negative, n.multiply(x, n.real("alpha", 0.01)), x), 3);
}

static void qLinearSoftmax(Node &n) {
  Value x = read(n, 0);
  if (!x)
    return;
  int64_t axis = n.axis(n.integer("axis", -1), rankOf(x));
  int64_t opset = n.requiredInteger("opset");
  if (n.failed())
    return;
  if (opset >= 13)
    return write(n, n.softmax(x, axis), 3);
  // Everything from the axis on is one dimension.
  AffineExpr rows = n.number(1), columns = n.number(1);
  for (auto [i, dim] : llvm::enumerate(dimsOf(x)))
    (int64_t(i) < axis ? rows : columns) =
        gr::simplify((int64_t(i) < axis ? rows : columns) * dim);
  Value y = n.softmax(n.reshape(x, Dims{rows, columns}), 1);
  write(n, n.reshape(y, dimsOf(x)), 3);
}

static void qLinearConcat(Node &n) {
  SmallVector<Value> parts;
  for (unsigned i = 2; i + 1 < n.numInputs(); i += 3)
    parts.push_back(read(n, i));
  if (n.failed() || !n.require(!parts.empty(), "it has nothing to join"))
    return;
  int64_t axis =
      n.axis(n.requiredInteger("axis"), parts[0] ? rankOf(parts[0]) : 0);
  if (n.failed())
    return;
  n.set(0, quantized(n, n.concatenate(parts, axis), n.operand(0), n.operand(1),
                     {}));
}

static void qLinearWhere(Node &n) {
  Value y = n.select(n.operand(0), read(n, 1), read(n, 4));
  n.set(0, quantized(n, y, n.operand(7), n.operand(8), {}));
}

static void qLinearReduceMean(Node &n) {
  Value x = read(n, 0);
  if (!x)
    return;
  Ints axes = n.axes(n.integers("axes"), rankOf(x));
  if (n.failed())
    return;
  for (int64_t i = 0; axes.empty() && i < rankOf(x); ++i)
    axes.push_back(i);
  write(n, n.reduce(x, gr::ReduceKind::mean, axes, n.integer("keepdims", 1)),
        3);
}

/// A function of [N, C, spatial...] where channels may be last.
static void overChannels(Node &n, llvm::function_ref<Value(Value)> function) {
  bool last = n.integer("channels_last", 0);
  Value x = read(n, 0);
  Value y = function(last ? channelsFirst(n, x) : x);
  write(n, last ? channelsLast(n, y) : y, 3);
}

static void qLinearAveragePool(Node &n) {
  overChannels(n, [&](Value x) {
    return pool(n, x, gr::ReduceKind::mean, n.integer("count_include_pad", 0));
  });
}

static void qLinearGlobalAveragePool(Node &n) {
  overChannels(n, [&](Value x) {
    Ints axes;
    for (int64_t i = 2; x && i < rankOf(x); ++i)
      axes.push_back(i);
    return n.reduce(x, gr::ReduceKind::mean, axes, true);
  });
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

static void qLinearConv(Node &n) {
  bool last = n.integer("channels_last", 0);
  Value x = difference(n, n.operand(0), n.optionalOperand(2), 0);
  Value sum = convolve(n, last ? channelsFirst(n, x) : x,
                       difference(n, n.operand(3), n.optionalOperand(5), 0));
  if (n.has(8) && sum)
    sum = n.add(sum, n.broadcastAlong(n.operand(8), sum, 1));
  Value y = n.multiply(dequantized(n, sum, n.operand(4), {}, 1),
                       along(n, n.operand(1), sum, 1));
  if (last)
    y = channelsLast(n, y);
  n.set(0, quantized(n, y, n.operand(6), n.operand(7), {}));
}

/// The product of integers, scaled to floats by both scales.
static Value scaledProduct(Node &n, Value sum, Value left, Value right) {
  Type real = n.b.getF32Type();
  Value l = n.cast(left, real), r = n.cast(right, real);
  if (!sum || !l || !r)
    return {};
  if (gr::isConstant(gr::numElements(tensorType(l)), 1))
    l = n.reshape(l, {});
  if (gr::isConstant(gr::numElements(tensorType(r)), 1))
    r = n.reshape(r, {});
  return n.multiply(n.cast(sum, real), n.multiply(l, r));
}

static void matMulIntegerToFloat(Node &n) {
  Value a = difference(n, n.operand(0), n.optionalOperand(4), -1);
  Value b = difference(n, n.operand(1), n.optionalOperand(5), -1);
  Value y = scaledProduct(n, n.matmul(a, b), n.operand(2), n.operand(3));
  if (n.has(6))
    y = n.add(y, n.cast(n.operand(6), n.b.getF32Type()));
  if (y)
    n.set(0, n.cast(y, n.input(2)->element));
}

static void dynamicQuantizeMatMul(Node &n) {
  Value x = n.operand(0);
  if (!n.requireFloat(x))
    return;
  // As DynamicQuantizeLinear: [0, 255] covers all values and zero.
  Ints axes;
  for (int64_t i = 0; i < rankOf(x); ++i)
    axes.push_back(i);
  Value low = n.minimum(n.reduce(x, gr::ReduceKind::minimum, axes, false), 0.0);
  Value high =
      n.maximum(n.reduce(x, gr::ReduceKind::maximum, axes, false), 0.0);
  Value scale = n.multiply(n.subtract(high, low), 1.0 / 255);
  if (!scale)
    return;
  // A tensor of zeros has any scale.
  Value none =
      n.compare(gr::Comparison::equal, scale, n.scalar(0, elementOf(scale)));
  scale = n.select(none, n.full(1, scale), scale);
  Value zero =
      n.unary<gr::RoundEvenOp>(n.divide(n.unary<gr::NegateOp>(low), scale));
  zero = n.minimum(n.maximum(zero, 0.0), 255.0);
  Value q = n.add(n.unary<gr::RoundEvenOp>(n.divide(x, scale)), zero);
  q = n.minimum(n.maximum(q, 0.0), 255.0);
  Type byte = n.b.getIntegerType(8, false);
  Value a = difference(n, n.cast(q, byte), n.cast(zero, byte), -1);
  Value b = difference(n, n.operand(1), n.optionalOperand(3), -1);
  Value y = scaledProduct(n, n.matmul(a, b), scale, n.operand(2));
  if (n.has(4))
    y = n.add(y, n.operand(4));
  n.set(0, y);
}

static void qGemm(Node &n) {
  bool ta = n.integer("transA", 0), tb = n.integer("transB", 0);
  Value a = difference(n, n.operand(0), n.optionalOperand(2), -1);
  Value b = difference(n, n.operand(3), n.optionalOperand(5), tb ? 0 : -1);
  if (!a || !b ||
      !n.require(rankOf(a) == 2 && rankOf(b) == 2,
                 "the factors have " + Twine(rankOf(a)) + " and " +
                     Twine(rankOf(b)) + " dimensions, expected 2"))
    return;
  Value sum = n.dot(a, b, {}, {}, {ta ? 0 : 1}, {tb ? 1 : 0});
  if (n.has(6))
    sum = n.add(sum, n.operand(6));
  Value y = scaledProduct(n, sum, n.operand(1), n.operand(4));
  y = n.affine(y, n.real("alpha", 1), 0);
  n.set(0, n.has(7) ? quantized(n, y, n.operand(7), n.optionalOperand(8),
                                n.input(0)->element)
                    : y);
}

static void qAttention(Node &n) {
  Value a = difference(n, n.operand(0), n.optionalOperand(6), -1);
  Value b = difference(n, n.operand(1), n.optionalOperand(7), -1);
  Value y = scaledProduct(n, n.matmul(a, b), n.operand(3), n.operand(4));
  Value bias = n.operand(2);
  if (!y || !bias)
    return;
  y = n.add(n.cast(y, elementOf(bias)), bias);
  attendProjected(n, {y, 5, 8, std::nullopt, std::nullopt});
}

static void qEmbedLayerNormalization(Node &n) {
  Embedding e;
  auto table = [&](unsigned i, unsigned scale, unsigned zero) {
    return dequantized(n, n.operand(i), n.operand(scale), n.operand(zero), -1);
  };
  e.words = table(2, 8, 13);
  e.positions = table(3, 9, 14);
  if (n.has(4))
    e.segments = table(4, 10, 15);
  e.gamma = table(5, 11, 16);
  e.beta = table(6, 12, 17);
  e.mask = n.optionalOperand(7);
  embed(n, e);
}

llvm::ArrayRef<Operator> aicc::onnx::microsoftQuantizationOperators() {
  static constexpr const char *ms = "com.microsoft";
  static constexpr Operator table[] = {
      {ms, "QLinearAdd", 1, qLinearAdd},
      {ms, "QLinearMul", 1, qLinearMul},
      {ms, "QLinearSigmoid", 1, qLinearSigmoid},
      {ms, "QLinearLeakyRelu", 1, qLinearLeakyRelu},
      {ms, "QLinearSoftmax", 1, qLinearSoftmax},
      {ms, "QLinearConcat", 1, qLinearConcat},
      {ms, "QLinearWhere", 1, qLinearWhere},
      {ms, "QLinearReduceMean", 1, qLinearReduceMean},
      {ms, "QLinearAveragePool", 1, qLinearAveragePool},
      {ms, "QLinearGlobalAveragePool", 1, qLinearGlobalAveragePool},
      {ms, "QLinearConv", 1, qLinearConv},
      {ms, "MatMulIntegerToFloat", 1, matMulIntegerToFloat},
      {ms, "DynamicQuantizeMatMul", 1, dynamicQuantizeMatMul},
      {ms, "QGemm", 1, qGemm},
      {ms, "QAttention", 1, qAttention},
      {ms, "QEmbedLayerNormalization", 1, qEmbedLayerNormalization},
  };
  return table;
}
