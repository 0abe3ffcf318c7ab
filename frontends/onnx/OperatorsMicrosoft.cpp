//===- OperatorsMicrosoft.cpp - fused operators of com.microsoft ----------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Products, activations, normalisations and embeddings that ONNX Runtime's
// optimiser writes in place of several standard nodes. Each becomes those
// steps again: fusing is the compiler's own work.
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/Microsoft.h"

#include <cmath>
#include <limits>

using namespace mlir;
using namespace aicc::onnx;
using llvm::StringRef;
using llvm::Twine;
namespace gr = aicc::graph;

Value aicc::onnx::widen(Node &n, Value x) {
  bool narrow = x && isa<FloatType>(elementOf(x)) &&
                elementOf(x).getIntOrFloatBitWidth() < 32;
  return narrow ? n.cast(x, n.b.getF32Type()) : x;
}

Value aicc::onnx::geluOf(Node &n, Value x) {
  Value e = n.unary<gr::ErfOp>(n.multiply(x, M_SQRT1_2));
  return n.multiply(n.multiply(x, n.add(e, 1.0)), 0.5);
}

Value aicc::onnx::tanhGeluOf(Node &n, Value x) {
  // 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))
  Value cube = n.multiply(n.multiply(x, x), x);
  Value inner =
      n.multiply(n.add(x, n.multiply(cube, 0.044715)), std::sqrt(M_2_PI));
  Value t = n.add(n.unary<gr::TanhOp>(inner), 1.0);
  return n.multiply(n.multiply(x, t), 0.5);
}

Value aicc::onnx::siluOf(Node &n, Value x, double alpha) {
  return n.multiply(x, n.unary<gr::SigmoidOp>(n.affine(x, alpha, 0)));
}

Value aicc::onnx::channelsFirst(Node &n, Value x) {
  if (!x || !n.require(rankOf(x) >= 3, "the operand has " + Twine(rankOf(x)) +
                                           " dimensions, expected at least 3"))
    return {};
  Ints order = {0, rankOf(x) - 1};
  for (int64_t i = 1; i + 1 < rankOf(x); ++i)
    order.push_back(i);
  return n.transpose(x, order);
}

Value aicc::onnx::channelsLast(Node &n, Value x) {
  if (!x)
    return {};
  Ints order = {0};
  for (int64_t i = 2; i < rankOf(x); ++i)
    order.push_back(i);
  order.push_back(1);
  return n.transpose(x, order);
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

namespace {
/// Parameters of an activation, in the order of its own attributes; absent
/// ones have the standard operator's default.
struct Parameters {
  SmallVector<double> values;
  double at(unsigned i, double fallback) const {
    return i < values.size() ? values[i] : fallback;
  }
};
} // namespace

static Value below(Node &n, Value x, double limit, Value then, Value other) {
  if (!x)
    return {};
  return n.select(
      n.compare(gr::Comparison::less, x, n.scalar(limit, elementOf(x))), then,
      other);
}

static Value expMinusOne(Node &n, Value x) {
  return n.add(n.unary<gr::ExpOp>(n.minimum(x, 0.0)), -1.0);
}

static Value activate(Node &n, Value y, StringRef name, const Parameters &p) {
  if (!y || name.empty())
    return y;
  if (name == "Relu")
    return n.maximum(y, 0.0);
  if (name == "Tanh")
    return n.unary<gr::TanhOp>(y);
  if (name == "Sigmoid")
    return n.unary<gr::SigmoidOp>(y);
  if (name == "LeakyRelu")
    return below(n, y, 0, n.multiply(y, p.at(0, 0.01)), y);
  if (name == "Clip")
    return n.minimum(
        n.maximum(y, p.at(0, std::numeric_limits<float>::lowest())),
        p.at(1, std::numeric_limits<float>::max()));
  if (name == "HardSigmoid")
    return n.minimum(n.maximum(n.affine(y, p.at(0, 0.2), p.at(1, 0.5)), 0.0),
                     1.0);
  if (name == "HardSwish") {
    Value gate = n.minimum(n.maximum(n.affine(y, 1.0 / 6, 0.5), 0.0), 1.0);
    return n.multiply(y, gate);
  }
  if (name == "Elu")
    return below(n, y, 0, n.multiply(expMinusOne(n, y), p.at(0, 1)), y);
  if (name == "Selu") {
    // Its second parameter is gamma, the third of the single attributes.
    double gamma = p.at(p.values.size() > 2 ? 2 : 1, 1.05070102214813232421875);
    Value low =
        n.multiply(expMinusOne(n, y), p.at(0, 1.67326319217681884765625));
    return n.multiply(below(n, y, 0, low, y), gamma);
  }
  if (name == "ThresholdedRelu")
    return n.select(n.compare(gr::Comparison::greater, y,
                              n.scalar(p.at(0, 1), elementOf(y))),
                    y, n.full(0, y));
  if (name == "Softsign")
    return n.divide(y, n.add(n.unary<gr::AbsOp>(y), 1.0));
  if (name == "Softplus") {
    Value small = n.unary<gr::NegateOp>(n.unary<gr::AbsOp>(y));
    return n.add(n.maximum(y, 0.0),
                 n.unary<gr::Log1pOp>(n.unary<gr::ExpOp>(small)));
  }
  if (name == "Gelu")
    return geluOf(n, y);
  if (name == "QuickGelu")
    return siluOf(n, y, p.at(0, 1.702));
  n.unsupported(Twine("activation ") + name);
  return {};
}

static Value activateBy(Node &n, Value y) {
  Parameters p;
  for (const char *name :
       {"activation_alpha", "activation_beta", "activation_gamma"}) {
    if (n.hasAttribute(name))
      p.values.push_back(n.real(name, 0));
  }
  return activate(n, y, n.string("activation", ""), p);
}

static void fusedConv(Node &n) {
  Value y = convolve(n, n.operand(0), n.operand(1));
  if (n.has(2))
    y = n.add(y, y ? n.broadcastAlong(n.operand(2), y, 1) : Value());
  if (n.has(3))
    y = n.add(y, n.operand(3));
  n.set(0, activate(n, y, n.string("activation", ""),
                    {n.reals("activation_params")}));
}

static void nhwcConv(Node &n) {
  Value y = convolve(n, channelsFirst(n, n.operand(0)), n.operand(1));
  if (n.has(2))
    y = n.add(y, y ? n.broadcastAlong(n.operand(2), y, 1) : Value());
  y = channelsLast(n, y);
  if (n.has(3))
    y = n.add(y, n.operand(3));
  n.set(0, activate(n, y, n.string("activation", ""),
                    {n.reals("activation_params")}));
}

static void nhwcMaxPool(Node &n) {
  n.set(0, channelsLast(n, pool(n, channelsFirst(n, n.operand(0)),
                                gr::ReduceKind::maximum, false)));
}

static void fusedGemm(Node &n) { n.set(0, activateBy(n, gemmOf(n))); }

/// A factor as numpy's matmul wants it. `batch` moves the first dimension next
/// to the last, then `swap` exchanges the last two.
static Value arranged(Node &n, Value v, bool batch, bool swap) {
  if (!v || rankOf(v) < 2)
    return v;
  Ints order;
  for (int64_t i = 0; i < rankOf(v); ++i)
    order.push_back(i);
  if (batch && rankOf(v) > 2)
    std::rotate(order.begin(), order.begin() + 1, order.end() - 1);
  if (swap)
    std::swap(order[order.size() - 1], order[order.size() - 2]);
  return n.transpose(v, order);
}

static Value matMulOf(Node &n) {
  Value a = arranged(n, n.operand(0), n.integer("transBatchA", 0),
                     n.integer("transA", 0));
  Value b = arranged(n, n.operand(1), n.integer("transBatchB", 0),
                     n.integer("transB", 0));
  return n.affine(n.matmul(a, b), n.real("alpha", 1), 0);
}

static void fusedMatMul(Node &n) { n.set(0, matMulOf(n)); }

static void fusedMatMulActivation(Node &n) {
  n.set(0, activateBy(n, matMulOf(n)));
}

//===----------------------------------------------------------------------===//
// Activations
//===----------------------------------------------------------------------===//

static void setAs(Node &n, unsigned i, Value y, Value like) {
  if (y && like)
    n.set(i, n.cast(y, elementOf(like)));
}

static void gelu(Node &n) {
  Value x = n.operand(0);
  setAs(n, 0, geluOf(n, widen(n, x)), x);
}

static void biasGelu(Node &n) {
  Value x = n.operand(0);
  setAs(n, 0, geluOf(n, n.add(widen(n, x), widen(n, n.operand(1)))), x);
}

static void fastGelu(Node &n) {
  Value x = n.operand(0), wide = widen(n, x);
  if (n.has(1))
    wide = n.add(wide, widen(n, n.operand(1)));
  setAs(n, 0, tanhGeluOf(n, wide), x);
}

static void quickGelu(Node &n) {
  Value x = n.operand(0);
  setAs(n, 0, siluOf(n, widen(n, x), n.real("alpha", 1.702)), x);
}

static void biasSplitGelu(Node &n) {
  Value x = n.operand(0);
  Value sum = n.add(widen(n, x), widen(n, n.operand(1)));
  if (!sum)
    return;
  int64_t last = rankOf(sum) - 1;
  AffineExpr half = gr::simplify(dimsOf(sum)[last].floorDiv(2));
  Value left = n.sliceAxis(sum, last, n.number(0), half);
  Value right = n.sliceAxis(sum, last, half, half);
  setAs(n, 0, n.multiply(left, geluOf(n, right)), x);
}

static void biasAdd(Node &n) {
  n.set(0, n.add(n.add(n.operand(0), n.operand(1)), n.operand(2)));
}

//===----------------------------------------------------------------------===//
// Normalisations
//===----------------------------------------------------------------------===//

/// normalised * scale + bias, computed wide.
static Value normalized(Node &n, Value wide, int64_t axis, double epsilon,
                        bool rms, Value scale, Value bias) {
  Value y = n.normalize(wide, axis, epsilon, rms);
  y = n.multiply(y, n.cast(scale, wide ? elementOf(wide) : Type()));
  if (bias)
    y = n.add(y, n.cast(bias, elementOf(wide)));
  return y;
}

template <bool rms> static void skipNormalization(Node &n) {
  Value x = n.operand(0), skip = n.operand(1), gamma = n.operand(2);
  Value beta = rms ? Value() : n.optionalOperand(3);
  Value bias = n.optionalOperand(rms ? 3 : 4);
  if (!n.requireFloat(x) || !skip || !gamma)
    return;
  Value sum = n.add(widen(n, x), n.broadcastTo(widen(n, skip), dimsOf(x)));
  if (bias)
    sum = n.add(sum, widen(n, bias));
  if (!sum)
    return;
  int64_t axis = rankOf(sum) - 1;
  double epsilon = n.real("epsilon", 1e-12);
  setAs(n, 0, normalized(n, sum, axis, epsilon, rms, gamma, beta), x);
  if (n.wants(1) || n.wants(2)) {
    Value mean = n.reduce(sum, gr::ReduceKind::mean, {axis}, true);
    Value d = rms ? sum : n.subtract(sum, mean);
    Value power =
        n.reduce(n.multiply(d, d), gr::ReduceKind::mean, {axis}, true);
    n.set(1, mean);
    n.set(2, n.unary<gr::RsqrtOp>(n.add(power, epsilon)));
  }
  setAs(n, 3, sum, x);
}

/// Group normalisation with an optional SiLU; with `skip` of a sum.
template <bool skip> static void groupNorm(Node &n) {
  Value x = n.operand(0), gamma = n.operand(1), beta = n.operand(2);
  int64_t groups = n.requiredInteger("groups");
  bool last = n.integer("channels_last", 1);
  if (!n.requireFloat(x) || !gamma || !beta ||
      !n.require(rankOf(x) >= 3 && groups > 0,
                 "it needs 3 dimensions and a group at least"))
    return;
  Value wide = widen(n, x);
  int64_t channelAt = last ? rankOf(x) - 1 : 1;
  if (skip) {
    Value more = widen(n, n.operand(3));
    if (!more)
      return;
    if (rankOf(more) == 2) {
      Dims dims = dimsOf(more), spread(rankOf(x), n.number(1));
      spread[0] = dims[0];
      spread[channelAt] = dims[1];
      more = n.reshape(more, spread);
    }
    wide = n.add(wide, more);
    if (n.has(4))
      wide = n.add(wide,
                   n.broadcastAlong(widen(n, n.operand(4)), wide, channelAt));
    setAs(n, 1, wide, x);
  }
  if (last)
    wide = channelsFirst(n, wide);
  if (!wide)
    return;
  Dims dims = dimsOf(wide);
  auto channels = gr::constantOf(dims[1]);
  if (!channels)
    return n.unsupported("a dynamic number of channels");
  if (!n.require(*channels % groups == 0, "groups is " + Twine(groups) +
                                              ", expected a divisor of " +
                                              Twine(*channels) + " channels"))
    return;
  AffineExpr rest = n.number(*channels / groups);
  for (AffineExpr dim : ArrayRef(dims).drop_front(2))
    rest = gr::simplify(rest * dim);
  Value y = n.reshape(wide, Dims{dims[0], n.number(groups), rest});
  y = n.reshape(n.normalize(y, 2, n.real("epsilon", 1e-5)), dims);
  y = n.multiply(y, n.broadcastAlong(widen(n, gamma), y, 1));
  y = n.add(y, n.broadcastAlong(widen(n, beta), y, 1));
  if (n.integer("activation", 0))
    y = siluOf(n, y);
  setAs(n, 0, last ? channelsLast(n, y) : y, x);
}

//===----------------------------------------------------------------------===//
// Embeddings
//===----------------------------------------------------------------------===//

Value aicc::onnx::rowsOf(Node &n, Value table, Value indices) {
  if (!table || !indices || n.failed())
    return {};
  if (!n.require(rankOf(table) == 2, "a table has " + Twine(rankOf(table)) +
                                         " dimensions, expected 2"))
    return {};
  Dims dims = dimsOf(indices);
  dims.push_back(dimsOf(table)[1]);
  RankedTensorType type = n.type(dims, elementOf(table));
  if (!type)
    return {};
  return gr::GatherOp::create(n.b, n.loc, type, table, indices,
                              n.b.getI64IntegerAttr(0));
}

void aicc::onnx::embed(Node &n, const Embedding &e) {
  Value ids = n.operand(0);
  if (!ids || !e.words || !e.positions || !e.gamma || !e.beta ||
      !n.require(rankOf(ids) == 2, "input_ids has " + Twine(rankOf(ids)) +
                                       " dimensions, expected 2"))
    return;
  Value sum = rowsOf(n, e.words, ids);
  Value places = e.placeIds;
  if (!places)
    places = n.iota(Dims{dimsOf(ids)[1]}, n.b.getI64Type(), 0);
  sum = n.add(sum, rowsOf(n, e.positions, places));
  if (n.has(1) && e.segments)
    sum = n.add(sum, rowsOf(n, e.segments, n.operand(1)));
  if (!sum)
    return;
  Value wide = widen(n, sum);
  setAs(
      n, 0,
      normalized(n, wide, 2, n.real("epsilon", 1e-12), false, e.gamma, e.beta),
      sum);
  if (n.wants(1)) {
    Type index = n.b.getI32Type();
    Value kept = e.mask ? n.cast(n.cast(e.mask, n.b.getI1Type()), index)
                        : n.broadcastTo(n.integerScalar(0, index), dimsOf(ids));
    n.set(1, n.reduce(kept, gr::ReduceKind::sum, {1}, false));
  }
  n.set(2, sum);
}

static void embedLayerNormalization(Node &n) {
  Embedding e;
  e.words = n.operand(2);
  e.positions = n.operand(3);
  e.segments = n.optionalOperand(4);
  e.gamma = n.operand(5);
  e.beta = n.operand(6);
  e.mask = n.optionalOperand(7);
  e.placeIds = n.optionalOperand(8);
  embed(n, e);
}

/// Distances between all rows of two matrices, as nearest neighbours and
/// Gaussian processes are exported. Squares of differences, not what is left of
/// squares of the rows.
static void cdist(Node &n) {
  Value x = n.operand(0), y = n.operand(1);
  std::string metric = n.string("metric", "sqeuclidean");
  if (!n.requireFloat(x) || !y ||
      !n.require(rankOf(x) == 2 && rankOf(y) == 2,
                 "the operands have " + Twine(rankOf(x)) + " and " +
                     Twine(rankOf(y)) + " dimensions, expected 2") ||
      !n.require(metric == "euclidean" || metric == "sqeuclidean",
                 "metric is \"" + metric +
                     "\", expected euclidean or sqeuclidean") ||
      !n.requireEqual(dimsOf(x)[1], dimsOf(y)[1], "the length of the rows"))
    return;
  Value each = n.reshape(x, Dims{dimsOf(x)[0], n.number(1), dimsOf(x)[1]});
  Value gap = n.subtract(each, y);
  Value sum = n.reduce(n.multiply(gap, gap), gr::ReduceKind::sum, {2}, false);
  n.set(0, metric == "euclidean" ? n.unary<gr::SqrtOp>(sum) : sum);
}

llvm::ArrayRef<Operator> aicc::onnx::microsoftOperators() {
  static constexpr const char *ms = "com.microsoft";
  static constexpr Operator table[] = {
      {ms, "FusedConv", 1, fusedConv},
      {ms, "NhwcConv", 1, nhwcConv},
      {ms, "NhwcFusedConv", 1, nhwcConv},
      {ms, "NhwcMaxPool", 1, nhwcMaxPool},
      {ms, "FusedGemm", 1, fusedGemm},
      {ms, "FusedMatMul", 1, fusedMatMul},
      {ms, "TransposeMatMul", 1, fusedMatMul},
      {ms, "FusedMatMulActivation", 1, fusedMatMulActivation},
      {ms, "Gelu", 1, gelu},
      {ms, "BiasGelu", 1, biasGelu},
      {ms, "FastGelu", 1, fastGelu},
      {ms, "QuickGelu", 1, quickGelu},
      {ms, "BiasSplitGelu", 1, biasSplitGelu},
      {ms, "BiasAdd", 1, biasAdd},
      {ms, "SkipLayerNormalization", 1, skipNormalization<false>},
      {ms, "SkipSimplifiedLayerNormalization", 1, skipNormalization<true>},
      {ms, "GroupNorm", 1, groupNorm<false>},
      {ms, "SkipGroupNorm", 1, groupNorm<true>},
      {ms, "EmbedLayerNormalization", 1, embedLayerNormalization},
      {ms, "CDist", 1, cdist},
  };
  return table;
}
