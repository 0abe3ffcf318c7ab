//===- OperatorsActivation.cpp - activation functions -------------------===//
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

/// The operand of a function of several steps: narrow floats are computed in
/// float32, so that only the result is rounded.
static Value wideOperand(Node &n) {
  Value x = n.operand(0);
  bool narrow = x && isa<FloatType>(elementOf(x)) &&
                elementOf(x).getIntOrFloatBitWidth() < 32;
  return narrow ? n.cast(x, n.b.getF32Type()) : x;
}

static void setNarrow(Node &n, Value y) {
  if (y && n.has(0))
    n.set(0, n.cast(y, n.input(0)->element));
}

/// x where the condition x < threshold does not hold.
static Value below(Node &n, Value x, double threshold, Value then,
                   Value otherwise) {
  if (!x)
    return {};
  Value condition =
      n.compare(gr::Comparison::less, x, n.scalar(threshold, elementOf(x)));
  return n.select(condition, then, otherwise);
}

/// exp(x) - 1 for x < 0, whose argument is kept from overflowing where the
/// other branch is taken.
static Value expMinusOne(Node &n, Value x) {
  return n.add(n.unary<gr::ExpOp>(n.minimum(x, 0.0)), -1.0);
}

static void relu(Node &n) { n.set(0, n.maximum(n.operand(0), 0.0)); }

static void leakyRelu(Node &n) {
  Value x = n.operand(0);
  n.set(0, below(n, x, 0, n.multiply(x, n.real("alpha", 0.01)), x));
}

static void prelu(Node &n) {
  Value x = n.operand(0), slope = n.operand(1);
  if (!x || !slope)
    return;
  // Before opset 7 a slope per channel has one dimension.
  if (n.version < 7 && rankOf(slope) == 1 && rankOf(x) > 1)
    slope = gr::isConstant(dimsOf(slope)[0], 1) ? n.reshape(slope, {})
                                                : n.broadcastAlong(slope, x, 1);
  n.set(0, below(n, x, 0, n.multiply(x, slope), x));
}

static void elu(Node &n) {
  Value x = wideOperand(n);
  Value negative = n.multiply(expMinusOne(n, x), n.real("alpha", 1));
  setNarrow(n, below(n, x, 0, negative, x));
}

static void celu(Node &n) {
  Value x = wideOperand(n);
  double alpha = n.real("alpha", 1);
  Value scaled = n.multiply(x, 1 / alpha);
  setNarrow(n, below(n, x, 0, n.multiply(expMinusOne(n, scaled), alpha), x));
}

static void selu(Node &n) {
  Value x = wideOperand(n);
  bool old = n.version < 6;
  double alpha = n.real("alpha", old ? 1.6732 : 1.67326319217681884765625);
  double gamma = n.real("gamma", old ? 1.0507 : 1.05070102214813232421875);
  Value negative = n.multiply(expMinusOne(n, x), alpha);
  setNarrow(n, n.multiply(below(n, x, 0, negative, x), gamma));
}

static Value hardSigmoidOf(Node &n, Value x, double alpha, double beta) {
  return n.minimum(n.maximum(n.affine(x, alpha, beta), 0.0), 1.0);
}

static void hardSigmoid(Node &n) {
  setNarrow(n, hardSigmoidOf(n, wideOperand(n), n.real("alpha", 0.2),
                             n.real("beta", 0.5)));
}

static void hardSwish(Node &n) {
  Value x = wideOperand(n);
  setNarrow(n, n.multiply(x, hardSigmoidOf(n, x, 1.0 / 6, 0.5)));
}

/// log(1 + exp(x)) without overflow: max(x, 0) + log1p(exp(-|x|)).
static Value softplusOf(Node &n, Value x) {
  Value small = n.unary<gr::NegateOp>(n.unary<gr::AbsOp>(x));
  Value tail = n.unary<gr::Log1pOp>(n.unary<gr::ExpOp>(small));
  return n.add(n.maximum(x, 0.0), tail);
}

static void softplus(Node &n) { setNarrow(n, softplusOf(n, wideOperand(n))); }

static void softsign(Node &n) {
  Value x = wideOperand(n);
  setNarrow(n, n.divide(x, n.add(n.unary<gr::AbsOp>(x), 1.0)));
}

static void mish(Node &n) {
  Value x = wideOperand(n);
  setNarrow(n, n.multiply(x, n.unary<gr::TanhOp>(softplusOf(n, x))));
}

static void swish(Node &n) {
  Value x = wideOperand(n);
  Value scaled = n.affine(x, n.real("alpha", 1), 0);
  setNarrow(n, n.multiply(x, n.unary<gr::SigmoidOp>(scaled)));
}

static void swiGlu(Node &n) {
  Value x = wideOperand(n), linear = n.operand(1);
  if (!x || !linear || !n.sameElement(n.operand(0), linear) ||
      !n.require(rankOf(x) == rankOf(linear),
                 "A and B have " + Twine(rankOf(x)) + " and " +
                     Twine(rankOf(linear)) + " dimensions, expected equal"))
    return;
  for (auto [a, b] : llvm::zip(dimsOf(x), dimsOf(linear)))
    if (!n.requireEqual(a, b, "a dimension of A and B"))
      return;
  Value gate = n.unary<gr::SigmoidOp>(n.affine(x, n.real("alpha", 1), 0));
  setNarrow(n, n.multiply(n.multiply(x, gate), n.cast(linear, elementOf(x))));
}

static Value erfGelu(Node &n, Value x) {
  Value e = n.unary<gr::ErfOp>(n.multiply(x, M_SQRT1_2));
  return n.multiply(n.multiply(x, n.add(e, 1.0)), 0.5);
}

static Value tanhGelu(Node &n, Value x) {
  // 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))
  Value cube = n.multiply(n.multiply(x, x), x);
  Value inner =
      n.multiply(n.add(x, n.multiply(cube, 0.044715)), std::sqrt(M_2_PI));
  Value t = n.add(n.unary<gr::TanhOp>(inner), 1.0);
  return n.multiply(n.multiply(x, t), 0.5);
}

static void gelu(Node &n) {
  Value x = wideOperand(n);
  std::string how = n.string("approximate", "none");
  if (!n.require(how == "none" || how == "tanh",
                 "approximate is \"" + how + "\", expected none or tanh") ||
      !n.requireFloat(x))
    return;
  setNarrow(n, how == "tanh" ? tanhGelu(n, x) : erfGelu(n, x));
}

static void thresholdedRelu(Node &n) {
  Value x = n.operand(0);
  if (!x)
    return;
  Value above = n.compare(gr::Comparison::greater, x,
                          n.scalar(n.real("alpha", 1), elementOf(x)));
  n.set(0, n.select(above, x, n.full(0, x)));
}

static void shrink(Node &n) {
  Value x = n.operand(0);
  double lambda = n.real("lambd", 0.5), bias = n.real("bias", 0);
  if (!x)
    return;
  Value over =
      n.compare(gr::Comparison::greater, x, n.scalar(lambda, elementOf(x)));
  Value inner = n.select(over, n.add(x, -bias), n.full(0, x));
  n.set(0, below(n, x, -lambda, n.add(x, bias), inner));
}

llvm::ArrayRef<Operator> aicc::onnx::activationOperators() {
  static constexpr Operator table[] = {
      {"", "Relu", 1, relu},
      {"", "LeakyRelu", 1, leakyRelu},
      {"", "PRelu", 1, prelu},
      {"", "Elu", 1, elu},
      {"", "Celu", 12, celu},
      {"", "Selu", 1, selu},
      {"", "HardSigmoid", 1, hardSigmoid},
      {"", "HardSwish", 14, hardSwish},
      {"", "Softplus", 1, softplus},
      {"", "Softsign", 1, softsign},
      {"", "Mish", 18, mish},
      {"", "Swish", 24, swish},
      {"", "SwiGLU", 28, swiGlu},
      {"", "Gelu", 20, gelu},
      {"", "ThresholdedRelu", 1, thresholdedRelu},
      {"", "Shrink", 9, shrink},
  };
  return table;
}
