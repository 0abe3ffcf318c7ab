//===- OperatorsNormalization.cpp - normalisations ----------------------===//
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

/// Narrow floats are normalised in float32, as stash_type says.
static Value widened(Node &n, Value x) {
  if (!n.requireFloat(x))
    return {};
  int64_t stash = n.integer("stash_type", 1);
  if (stash != FLOAT && stash != DOUBLE && stash != BFLOAT16 &&
      stash != FLOAT16) {
    n.fail("stash_type is " + Twine(stash) + ", expected a float");
    return {};
  }
  bool narrow = elementOf(x).getIntOrFloatBitWidth() < 32;
  return narrow && stash == FLOAT ? n.cast(x, n.b.getF32Type()) : x;
}

/// Statistics and factors have a value per channel, or without `spatial`
/// (before version 9) one for each position; a batch is never told apart.
static void batchNormalization(Node &n) {
  Value x = n.operand(0);
  if (!n.requireFloat(x) ||
      !n.require(rankOf(x) >= 1, "the operand is a scalar, expected a batch"))
    return;
  bool training = n.version >= 14
                      ? n.integer("training_mode", 0) != 0
                      : n.wants(1) || n.wants(2) || n.wants(3) || n.wants(4);
  bool spatial = n.version >= 9 || n.integer("spatial", 1);
  Type element = elementOf(x);
  Type wide =
      element.getIntOrFloatBitWidth() < 32 ? Type(n.b.getF32Type()) : element;
  // A value for each channel, or for each element of an image, beside x.
  int64_t rank = rankOf(x);
  Dims dims = dimsOf(x), beside(rank, n.number(1));
  if (rank > 1)
    beside[1] = dims[1];
  Ints axes = {0};
  for (int64_t i = 2; i < rank; ++i) {
    if (spatial)
      axes.push_back(i);
    else
      beside[i] = dims[i];
  }
  SmallVector<Value> given;
  for (unsigned i = 1; i <= 4; ++i) {
    Value v = n.operand(i);
    if (!v)
      return;
    if (!n.require(rankOf(v) == 1 || !spatial, "input " + Twine(i) + " has " +
                                                   Twine(rankOf(v)) +
                                                   " dimensions, expected 1"))
      return;
    if (spatial &&
        !n.requireEqual(dimsOf(v)[0], rank > 1 ? dims[1] : n.number(1),
                        "the channels"))
      return;
    given.push_back(v);
  }
  // y = x * a + c. Of constant statistics a and c are constant vectors, which
  // later passes join with weights.
  bool vectors = spatial && !training && rank > 1;
  auto placed = [&](Value v) {
    v = n.cast(v, wide);
    return vectors ? v : n.reshape(v, beside);
  };
  Value scale = placed(given[0]), bias = placed(given[1]),
        mean = placed(given[2]), variance = placed(given[3]);
  Value y = n.cast(x, wide);
  double epsilon = n.real("epsilon", 1e-5f);
  if (training) {
    double momentum = n.real("momentum", 0.9f);
    Value now = n.reduce(y, gr::ReduceKind::mean, axes, true);
    Value d = n.subtract(y, now);
    Value spread = n.reduce(n.multiply(d, d), gr::ReduceKind::mean, axes, true);
    auto running = [&](Value old, Value fresh) {
      return n.add(n.multiply(old, momentum), n.multiply(fresh, 1 - momentum));
    };
    auto give = [&](unsigned i, Value v, Value like) {
      if (n.wants(i) && v)
        n.set(i, n.reshape(n.cast(v, elementOf(like)), dimsOf(like)));
    };
    give(1, running(mean, now), given[2]);
    give(2, running(variance, spread), given[3]);
    give(3, now, given[2]);
    give(4, spread, given[3]);
    mean = now;
    variance = spread;
  }
  Value a = n.multiply(scale, n.unary<gr::RsqrtOp>(n.add(variance, epsilon)));
  Value c = n.subtract(bias, n.multiply(mean, a));
  if (vectors) {
    a = n.broadcastAlong(a, x, 1);
    c = n.broadcastAlong(c, x, 1);
  }
  n.set(0, n.cast(n.add(n.multiply(y, a), c), element));
}

static Value scaleChannels(Node &n, Value y, Value scale, Value bias) {
  y = n.multiply(y, n.broadcastAlong(scale, y, 1));
  return y && bias ? n.add(y, n.broadcastAlong(bias, y, 1)) : y;
}

static void instanceNormalization(Node &n) {
  Value x = n.operand(0), scale = n.operand(1), bias = n.operand(2);
  if (!x || !n.require(rankOf(x) >= 3, "the operand has " + Twine(rankOf(x)) +
                                           " dimensions, expected at least 3"))
    return;
  Value y = n.normalize(widened(n, x), 2, n.real("epsilon", 1e-5));
  n.set(0, scaleChannels(n, n.cast(y, elementOf(x)), scale, bias));
}

static void groupNormalization(Node &n) {
  Value x = n.operand(0), scale = n.operand(1), bias = n.operand(2);
  int64_t groups = n.requiredInteger("num_groups");
  if (!x || !scale || !bias ||
      !n.require(rankOf(x) >= 2 && groups > 0,
                 "it needs 2 dimensions and a group at least"))
    return;
  Dims dims = dimsOf(x);
  auto channels = gr::constantOf(dims[1]);
  if (!channels)
    return n.unsupported("a dynamic number of channels");
  if (!n.require(*channels % groups == 0, "num_groups is " + Twine(groups) +
                                              ", expected a divisor of " +
                                              Twine(*channels) + " channels"))
    return;
  AffineExpr rest = n.number(*channels / groups);
  for (AffineExpr dim : ArrayRef(dims).drop_front(2))
    rest = gr::simplify(rest * dim);
  Value parts = n.reshape(widened(n, x), Dims{dims[0], n.number(groups), rest});
  Value y = n.normalize(parts, 2, n.real("epsilon", 1e-5));
  if (n.version < 21) {
    // Scale and bias are per group in this version.
    y = scaleChannels(n, n.cast(y, elementOf(x)), scale, bias);
    return n.set(0, n.reshape(y, dims));
  }
  y = n.cast(n.reshape(y, dims), elementOf(x));
  n.set(0, scaleChannels(n, y, scale, bias));
}

/// Mean and inverse deviation as extra outputs.
static void statistics(Node &n, Value x, int64_t axis, unsigned meanAt,
                       unsigned inverseAt) {
  if (!x || (!n.wants(meanAt) && !n.wants(inverseAt)))
    return;
  Ints axes;
  for (int64_t i = axis; i < rankOf(x); ++i)
    axes.push_back(i);
  Value mean = n.reduce(x, gr::ReduceKind::mean, axes, true);
  if (n.wants(meanAt))
    n.set(meanAt, mean);
  if (n.wants(inverseAt)) {
    Value d = n.subtract(x, mean);
    Value variance =
        n.reduce(n.multiply(d, d), gr::ReduceKind::mean, axes, true);
    n.set(inverseAt,
          n.unary<gr::RsqrtOp>(n.add(variance, n.real("epsilon", 1e-5))));
  }
}

static void layerNormalization(Node &n) {
  Value x = n.operand(0), scale = n.operand(1), bias = n.optionalOperand(2);
  if (!x || !scale)
    return;
  int64_t axis = n.axis(n.integer("axis", -1), rankOf(x));
  Value wide = n.failed() ? Value() : widened(n, x);
  Value y = n.normalize(wide, axis, n.real("epsilon", 1e-5));
  y = n.multiply(n.cast(y, elementOf(x)), n.broadcastTo(scale, dimsOf(x)));
  if (bias)
    y = n.add(y, n.broadcastTo(bias, dimsOf(x)));
  n.set(0, y);
  statistics(n, wide, axis, 1, 2);
}

static void rmsNormalization(Node &n) {
  Value x = n.operand(0), scale = n.operand(1);
  if (!x || !scale)
    return;
  int64_t axis = n.axis(n.integer("axis", -1), rankOf(x));
  if (n.failed())
    return;
  Value y = n.normalize(widened(n, x), axis, n.real("epsilon", 1e-5), true);
  n.set(0,
        n.multiply(n.cast(y, elementOf(x)), n.broadcastTo(scale, dimsOf(x))));
}

static void meanVarianceNormalization(Node &n) {
  Value x = n.operand(0);
  if (!n.requireFloat(x))
    return;
  // The experimental form before version 9 has two flags.
  bool old = n.version < 9;
  Ints wanted = n.integers("axes", {0, 2, 3});
  if (old && n.integer("across_channels", 0))
    wanted = {0, 1, 2, 3};
  Ints axes = n.axes(wanted, rankOf(x));
  if (n.failed())
    return;
  Value d = n.subtract(x, n.reduce(x, gr::ReduceKind::mean, axes, true));
  if (old && !n.integer("normalize_variance", 1))
    return n.set(0, d);
  Value variance = n.reduce(n.multiply(d, d), gr::ReduceKind::mean, axes, true);
  n.set(0, n.divide(d, n.add(n.unary<gr::SqrtOp>(variance), 1e-9)));
}

static void lpNormalization(Node &n) {
  Value x = n.operand(0);
  int64_t p = n.integer("p", 2);
  if (!n.requireFloat(x) ||
      !n.require(p == 1 || p == 2, "p is " + Twine(p) + ", expected 1 or 2"))
    return;
  int64_t axis = n.axis(n.integer("axis", -1), rankOf(x));
  if (n.failed())
    return;
  Value part = p == 1 ? n.unary<gr::AbsOp>(x) : n.multiply(x, x);
  Value norm = n.reduce(part, gr::ReduceKind::sum, {axis}, true);
  if (p == 2)
    norm = n.unary<gr::SqrtOp>(norm);
  if (!norm)
    return;
  // A zero norm gives zeros, not NaN.
  Value zero =
      n.compare(gr::Comparison::equal, norm, n.scalar(0, elementOf(x)));
  n.set(0, n.divide(x, n.select(zero, n.full(1, norm), norm)));
}

static void localResponse(Node &n) {
  Value x = n.operand(0);
  int64_t size = n.requiredInteger("size");
  double alpha = n.real("alpha", 1e-4), beta = n.real("beta", 0.75);
  if (!n.requireFloat(x) ||
      !n.require(rankOf(x) >= 2 && size > 0 && size < (1 << 24),
                 "size is " + Twine(size) + ", expected at least 1"))
    return;
  Ints ones(rankOf(x), 1), zeros(rankOf(x), 0);
  Ints window = ones, low = zeros, high = zeros;
  window[1] = size;
  low[1] = (size - 1) / 2;
  high[1] = size - 1 - low[1];
  auto array = [&](const Ints &v) { return n.b.getDenseI64ArrayAttr(v); };
  Value squares = n.multiply(x, x);
  if (!squares)
    return;
  Value sum = gr::ReduceWindowOp::create(
      n.b, n.loc, x.getType(), squares,
      gr::ReduceKindAttr::get(n.b.getContext(), gr::ReduceKind::sum),
      array(window), array(ones), array(low), array(high), array(ones),
      UnitAttr(), DenseI64ArrayAttr());
  Value base = n.affine(sum, alpha / double(size), n.real("bias", 1));
  if (!base)
    return;
  n.set(0,
        n.divide(x, n.binary<gr::PowerOp>(base, n.scalar(beta, elementOf(x)))));
}

llvm::ArrayRef<Operator> aicc::onnx::normalizationOperators() {
  static constexpr Operator table[] = {
      {"", "BatchNormalization", 1, batchNormalization},
      {"", "InstanceNormalization", 1, instanceNormalization},
      {"", "GroupNormalization", 18, groupNormalization},
      {"", "LayerNormalization", 1, layerNormalization},
      {"", "RMSNormalization", 23, rmsNormalization},
      // Exported by some tools under the standard domain.
      {"", "SimplifiedLayerNormalization", 1, rmsNormalization},
      {"", "MeanVarianceNormalization", 1, meanVarianceNormalization},
      {"", "LpNormalization", 1, lpNormalization},
      {"", "LRN", 1, localResponse},
  };
  return table;
}
