//===- OperatorsTraining.cpp - optimisers -------------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
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

/// The inputs of an optimiser: the rate, the number of updates so far, and for
/// each tensor its value, its gradient and what is remembered of it.
class Optimiser {
public:
  Optimiser(Node &n, unsigned memories) : n(n), memories(memories) {}
  bool read();
  /// Of tensor i.
  Value value(unsigned i) { return operand(0, i); }
  /// Of tensor i, with the gradient of the penalty on its norm.
  Value gradient(unsigned i) {
    Value g = operand(1, i), x = value(i);
    double penalty = n.real("norm_coefficient", 0);
    return penalty != 0 ? n.add(n.multiply(x, penalty), g) : g;
  }
  Value memory(unsigned i, unsigned k) { return operand(2 + k, i); }
  /// A scalar in the type of tensor i.
  Value as(Value scalar, unsigned i) {
    Value x = value(i);
    return x ? n.cast(scalar, elementOf(x)) : Value();
  }
  void set(unsigned i, Value next, ArrayRef<Value> memory) {
    n.set(i, next);
    for (auto [k, value] : llvm::enumerate(memory))
      n.set((k + 1) * tensors + i, value);
  }

  Node &n;
  unsigned memories, tensors = 0;
  /// Scalars: the rate in its own type, the count as an i64.
  Value rate, count;

private:
  Value operand(unsigned kind, unsigned i) {
    return n.operand(2 + kind * tensors + i);
  }
};

} // namespace

bool Optimiser::read() {
  unsigned kinds = 2 + memories;
  if (!n.require(n.numInputs() >= 2 + kinds && (n.numInputs() - 2) % kinds == 0,
                 "it has " + Twine(n.numInputs()) +
                     " inputs, expected 2 and a multiple of " + Twine(kinds)))
    return false;
  tensors = (n.numInputs() - 2) / kinds;
  rate = n.reshape(n.operand(0), {});
  count = n.reshape(n.operand(1), {});
  if (!rate || !count || !n.requireFloat(rate) ||
      !n.require(isa<IntegerType>(elementOf(count)),
                 "T has element type " + n.print(elementOf(count)) +
                     ", expected int64"))
    return false;
  for (unsigned i = 0; i < tensors; ++i) {
    Value x = value(i);
    if (!n.requireFloat(x))
      return false;
    for (unsigned kind = 1; kind < kinds; ++kind) {
      Value other = operand(kind, i);
      if (!other || !n.sameElement(x, other) ||
          !n.require(dimsOf(other).size() == dimsOf(x).size(),
                     "a tensor and its gradient or state differ in their "
                     "dimensions"))
        return false;
      for (auto [a, b] : llvm::zip(dimsOf(other), dimsOf(x)))
        if (!n.requireEqual(a, b, "a dimension of a gradient or state"))
          return false;
    }
  }
  return !n.failed();
}

static void adagrad(Node &n) {
  Optimiser o(n, 1);
  if (!o.read())
    return;
  Value steps = n.cast(o.count, elementOf(o.rate));
  Value rate = n.divide(o.rate, n.affine(steps, n.real("decay_factor", 0), 1));
  for (unsigned i = 0; i < o.tensors; ++i) {
    Value g = o.gradient(i);
    Value h = n.add(o.memory(i, 0), n.multiply(g, g));
    Value adapted = n.add(n.unary<gr::SqrtOp>(h), n.real("epsilon", 1e-6f));
    Value move = n.divide(n.multiply(g, o.as(rate, i)), adapted);
    o.set(i, n.subtract(o.value(i), move), {h});
  }
}

static void adam(Node &n) {
  Optimiser o(n, 2);
  if (!o.read())
    return;
  double alpha = n.real("alpha", 0.9f), beta = n.real("beta", 0.999f);
  // Both means start at zero, which is corrected for from the second update on.
  Type wide = n.b.getF64Type();
  Value steps = n.cast(o.count, wide);
  auto missing = [&](double factor) {
    Value power = n.binary<gr::PowerOp>(n.scalar(factor, wide), steps);
    return n.affine(power, -1, 1);
  };
  Value corrected = n.divide(
      n.multiply(n.cast(o.rate, wide), n.unary<gr::SqrtOp>(missing(beta))),
      missing(alpha));
  Value later = n.compare(gr::Comparison::greater, o.count,
                          n.integerScalar(0, elementOf(o.count)));
  Value rate = n.select(later, corrected, n.cast(o.rate, wide));
  double shrink = n.real("norm_coefficient_post", 0);
  for (unsigned i = 0; i < o.tensors; ++i) {
    Value g = o.gradient(i);
    Value v =
        n.add(n.multiply(o.memory(i, 0), alpha), n.multiply(g, 1 - alpha));
    Value h = n.add(n.multiply(o.memory(i, 1), beta),
                    n.multiply(n.multiply(g, g), 1 - beta));
    Value root = n.add(n.unary<gr::SqrtOp>(h), n.real("epsilon", 1e-6f));
    Value move = n.multiply(n.divide(v, root), o.as(rate, i));
    Value x = n.subtract(o.value(i), move);
    o.set(i, n.affine(x, 1 - shrink, 0), {v, h});
  }
}

static void momentum(Node &n) {
  Optimiser o(n, 1);
  std::string mode = n.string("mode", "");
  bool nesterov = mode == "nesterov";
  if (!n.require(nesterov || mode == "standard",
                 "mode is \"" + mode + "\", expected standard or nesterov") ||
      !o.read())
    return;
  double alpha = n.real("alpha", 0), beta = n.real("beta", 0);
  Value later = n.compare(gr::Comparison::greater, o.count,
                          n.integerScalar(0, elementOf(o.count)));
  for (unsigned i = 0; i < o.tensors; ++i) {
    Value g = o.gradient(i);
    if (!g)
      return;
    Type element = elementOf(g);
    Value factor =
        n.select(later, n.scalar(beta, element), n.scalar(1, element));
    Value v = n.add(n.multiply(o.memory(i, 0), alpha), n.multiply(g, factor));
    Value move = nesterov ? n.add(g, n.multiply(v, alpha)) : v;
    move = n.multiply(move, o.as(o.rate, i));
    o.set(i, n.subtract(o.value(i), move), {v});
  }
}

llvm::ArrayRef<Operator> aicc::onnx::trainingOperators() {
  static constexpr Operator table[] = {
      {"ai.onnx.preview.training", "Adagrad", 1, adagrad},
      {"ai.onnx.preview.training", "Adam", 1, adam},
      {"ai.onnx.preview.training", "Momentum", 1, momentum},
  };
  return table;
}
