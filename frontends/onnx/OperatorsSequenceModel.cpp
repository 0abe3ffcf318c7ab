//===- OperatorsSequenceModel.cpp - recurrent forms of attention --------===//
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

//===----------------------------------------------------------------------===//
// LinearAttention
//===----------------------------------------------------------------------===//

/// [B, T, heads * D] to [B, T, heads, D] in float32, in which all is computed.
static Value unpackHeads(Node &n, Value x, int64_t heads, StringRef what) {
  if (!x || !n.requireFloat(x) ||
      !n.require(rankOf(x) == 3,
                 what + " has " + Twine(rankOf(x)) + " dimensions, expected 3"))
    return {};
  Dims d = dimsOf(x);
  auto width = gr::constantOf(d[2]);
  if (width &&
      !n.require(*width % heads == 0,
                 what + " has " + Twine(*width) +
                     " values a step, expected a multiple of " + Twine(heads)))
    return {};
  AffineExpr size = gr::simplify(d[2].floorDiv(heads));
  return n.cast(n.reshape(x, Dims{d[0], d[1], n.number(heads), size}),
                n.b.getF32Type());
}

/// The state S [B, heads, K, V] of the heads is multiplied by a decay, gets the
/// outer product of key and value (of what is missing of the value, with the
/// delta rules), and is read by the queries, at every step.
static void linearAttention(Node &n) {
  int64_t queryHeads = n.requiredInteger("q_num_heads");
  int64_t heads = n.requiredInteger("kv_num_heads");
  std::string rule = n.string("update_rule", "gated_delta");
  bool delta = rule == "delta" || rule == "gated_delta";
  bool gated = rule == "gated" || rule == "gated_delta";
  if (!n.require(delta || gated || rule == "linear",
                 "update_rule is \"" + rule +
                     "\", expected linear, gated, delta or gated_delta") ||
      !n.require(heads > 0 && queryHeads > 0 && queryHeads % heads == 0 &&
                     queryHeads < (int64_t(1) << 31),
                 "q_num_heads is " + Twine(queryHeads) +
                     ", expected a multiple of kv_num_heads, " +
                     Twine(heads)) ||
      !n.require(gated == n.has(4), "update_rule " + rule +
                                        (gated ? " needs" : " forbids") +
                                        " the input decay") ||
      !n.require(delta == n.has(5), "update_rule " + rule +
                                        (delta ? " needs" : " forbids") +
                                        " the input beta"))
    return;
  Value query = n.operand(0);
  Value q = unpackHeads(n, query, queryHeads, "query");
  Value k = unpackHeads(n, n.operand(1), heads, "key");
  Value v = unpackHeads(n, n.operand(2), heads, "value");
  if (!q || !k || !v)
    return;
  Dims qd = dimsOf(q), vd = dimsOf(v);
  AffineExpr batch = qd[0], steps = qd[1], keySize = qd[3], valueSize = vd[3];
  for (Value other : {k, v})
    if (!n.requireEqual(dimsOf(other)[0], batch, "the batch") ||
        !n.requireEqual(dimsOf(other)[1], steps, "the number of steps"))
      return;
  if (!n.requireEqual(dimsOf(k)[3], keySize, "the size of a key"))
    return;
  Value decay, rate;
  if (gated) {
    // One factor for each entry of a key, or for each head.
    Value given = n.operand(4);
    if (given &&
        !n.require(rankOf(given) == 3, "decay has " + Twine(rankOf(given)) +
                                           " dimensions, expected 3"))
      return;
    decay = unpackHeads(n, given, heads, "decay");
    if (!decay ||
        (!gr::isConstant(dimsOf(decay)[3], 1) &&
         !n.requireEqual(dimsOf(decay)[3], keySize, "the size of decay")))
      return;
    decay = n.unary<gr::ExpOp>(decay);
  }
  if (delta) {
    Value given = n.operand(5);
    if (!given ||
        !n.require(rankOf(given) == 3, "beta has " + Twine(rankOf(given)) +
                                           " dimensions, expected 3"))
      return;
    bool one = gr::isConstant(dimsOf(given)[2], 1);
    rate = unpackHeads(n, given, one ? 1 : heads, "beta");
    if (!rate || !n.requireEqual(dimsOf(rate)[3], n.number(1),
                                 "the size of beta for a head"))
      return;
  }
  double scale = n.real("scale", 0);
  if (scale == 0) {
    auto size = gr::constantOf(keySize);
    if (!size)
      return n.unsupported("a dynamic size of keys");
    scale = 1 / std::sqrt(double(*size));
  }
  Type wide = n.b.getF32Type(), stateType = elementOf(query);
  Dims stateDims = {batch, n.number(heads), keySize, valueSize};
  Value state;
  if (n.has(3)) {
    Value past = n.operand(3);
    if (!n.requireFloat(past))
      return;
    stateType = elementOf(past);
    state = n.broadcastTo(n.cast(past, wide), stateDims);
  } else {
    state = n.broadcastTo(n.scalar(0, wide), stateDims);
  }

  // One step; `o` is [B, 1, query heads, V].
  auto step = [&](AffineExpr at, Value state, Value &o) -> Value {
    auto row = [&](Value all, ArrayRef<AffineExpr> tail) {
      Value one = n.sliceAxis(all, 1, at, n.number(1));
      Dims dims = {batch};
      dims.append(tail.begin(), tail.end());
      return n.reshape(one, dims);
    };
    AffineExpr one = n.number(1), kv = n.number(heads);
    if (gated) {
      Dims each = dimsOf(decay);
      state = n.multiply(state, row(decay, {kv, each[3], one}));
    }
    Value key = row(k, {kv, keySize}), value = row(v, {kv, valueSize});
    if (delta) {
      Value known = n.dot(state, key, {0, 1}, {0, 1}, {2}, {2});
      value = n.multiply(n.subtract(value, known),
                         row(rate, {dimsOf(rate)[2], one}));
    }
    Value outer = n.multiply(n.reshape(key, {batch, kv, keySize, one}),
                             n.reshape(value, {batch, kv, one, valueSize}));
    state = n.add(state, outer);
    Value asked = row(q, {kv, n.number(queryHeads / heads), keySize});
    Value read = n.dot(asked, state, {0, 1}, {0, 1}, {3}, {2});
    o = n.reshape(n.multiply(read, scale),
                  {batch, one, n.number(queryHeads), valueSize});
    return state;
  };
  Value output;
  if (gr::isConstant(steps, 1)) {
    state = step(n.number(0), state, output);
  } else {
    Dims all = {batch, steps, n.number(queryHeads), valueSize};
    SmallVector<Value> results =
        n.repeat(steps, {state, n.broadcastTo(n.scalar(0, wide), all)},
                 [&](AffineExpr at, ArrayRef<Value> carried) {
                   Value o, next = step(at, carried[0], o);
                   AffineExpr zero = n.number(0);
                   return SmallVector<Value>{
                       next, n.update(carried[1], o, {zero, at, zero, zero})};
                 });
    if (results.empty())
      return;
    state = results[0];
    output = results[1];
  }
  output = n.cast(output, elementOf(query));
  n.set(0, n.reshape(output, Dims{batch, steps, valueSize * queryHeads}));
  n.set(1, n.cast(state, stateType));
}

//===----------------------------------------------------------------------===//
// CausalConvWithState
//===----------------------------------------------------------------------===//

static void causalConv(Node &n) {
  Value x = n.operand(0), filter = n.operand(1);
  std::string activation = n.string("activation", "none");
  if (!n.requireFloat(x) || !filter || !n.sameElement(x, filter) ||
      !n.require(rankOf(x) == 3 && rankOf(filter) == 3,
                 "operand and filter have " + Twine(rankOf(x)) + " and " +
                     Twine(rankOf(filter)) + " dimensions, expected 3") ||
      !n.require(
          activation == "none" || activation == "silu" || activation == "swish",
          "activation is \"" + activation + "\", expected none, silu or swish"))
    return;
  Dims d = dimsOf(x), f = dimsOf(filter);
  auto channels = gr::constantOf(f[0]), kernel = gr::constantOf(f[2]);
  if (!channels || !kernel)
    return n.unsupported("a filter of dynamic size");
  if (!n.requireEqual(d[1], f[0], "the channels") ||
      !n.requireEqual(f[1], n.number(1), "the depth of the filter") ||
      !n.require(*kernel > 0, "the filter is empty, expected a position"))
    return;
  // Zeros or the state before the first element.
  Dims stateDims = {d[0], d[1], n.number(*kernel - 1)};
  Value past = n.has(3) ? n.broadcastTo(n.operand(3), stateDims)
                        : n.broadcastTo(n.scalar(0, elementOf(x)), stateDims);
  Value whole = n.concatenate({past, x}, 2);
  RankedTensorType type = n.type(d, elementOf(x));
  if (!whole || !type)
    return;
  auto array = [&](int64_t v) { return n.b.getDenseI64ArrayAttr({v}); };
  Value y = gr::ConvolutionOp::create(
      n.b, n.loc, type, whole, filter, array(1), array(0), array(0), array(1),
      n.b.getI64IntegerAttr(*channels), UnitAttr(), n.b.getI64IntegerAttr(0),
      n.b.getI64IntegerAttr(0), TypeAttr());
  if (n.has(2))
    y = n.add(y, n.broadcastAlong(n.operand(2), y, 1));
  if (activation != "none") {
    Type wide = elementOf(x).getIntOrFloatBitWidth() < 32
                    ? Type(n.b.getF32Type())
                    : elementOf(x);
    Value z = n.cast(y, wide);
    y = n.cast(n.multiply(z, n.unary<gr::SigmoidOp>(z)), elementOf(x));
  }
  n.set(0, y);
  if (n.wants(1))
    n.set(1, n.sliceAxis(whole, 2, d[2], n.number(*kernel - 1)));
}

//===----------------------------------------------------------------------===//
// FlexAttention
//===----------------------------------------------------------------------===//

/// The values of a modifying subgraph for `x`, or `x` without one.
static Value modified(Node &n, StringRef name, Value x) {
  const proto::GraphProto *graph = n.graph(name);
  if (!graph || !x || n.failed())
    return x;
  SmallVector<Tensor *> outputs;
  if (!inlineGraph(n, *graph, {wrapValue(n, x)}, outputs))
    return {};
  if (!n.require(outputs.size() == 1, name + " gives " + Twine(outputs.size()) +
                                          " values, expected 1"))
    return {};
  if (outputs[0]->poisoned) {
    n.unsupported("an operator of " + name);
    return {};
  }
  Value y = n.importer.materialize(*outputs[0]);
  if (!y || !n.sameElement(x, y))
    return {};
  return n.broadcastTo(y, dimsOf(x));
}

static void flexAttention(Node &n) {
  Value q = n.operand(0), k = n.operand(1), v = n.operand(2);
  if (!n.requireFloat(q) || !n.sameElement(q, k) || !n.sameElement(q, v) ||
      !n.require(rankOf(q) == 4 && rankOf(k) == 4 && rankOf(v) == 4,
                 "query, key and value have " + Twine(rankOf(q)) + ", " +
                     Twine(rankOf(k)) + " and " + Twine(rankOf(v)) +
                     " dimensions, expected 4"))
    return;
  Dims qd = dimsOf(q), kd = dimsOf(k), vd = dimsOf(v);
  if (!n.requireEqual(qd[0], kd[0], "the batch") ||
      !n.requireEqual(qd[0], vd[0], "the batch") ||
      !n.requireEqual(kd[1], vd[1], "the number of heads") ||
      !n.requireEqual(kd[2], vd[2], "the length of keys and values") ||
      !n.requireEqual(qd[3], kd[3], "the size of a head"))
    return;
  Type element = elementOf(q);
  Type precise =
      element.getIntOrFloatBitWidth() < 32 ? Type(n.b.getF32Type()) : element;
  if (n.hasAttribute("softmax_precision"))
    precise =
        elementType(n.importer.context, n.integer("softmax_precision", 0));
  if (!n.require(precise && isa<FloatType>(precise) &&
                     precise.getIntOrFloatBitWidth() >= 16,
                 "softmax_precision is " +
                     Twine(n.integer("softmax_precision", 0)) +
                     ", expected a float of 16 bits at least"))
    return;
  auto size = gr::constantOf(qd[3]);
  if (!n.hasAttribute("scale") && !size)
    return n.unsupported("a dynamic size of heads");
  double half =
      std::sqrt(n.real("scale", 1 / std::sqrt(double(size.value_or(1)))));
  auto heads = gr::constantOf(qd[1]), shared = gr::constantOf(kd[1]);
  auto grouped = [&](Value x, AffineExpr rows) -> Value {
    return n.reshape(x, {qd[0], kd[1], rows, dimsOf(x)[3]});
  };
  AffineExpr group = n.number(1);
  if (!gr::equal(qd[1], kd[1])) {
    if (!n.require(heads && shared && *shared > 0 && *heads % *shared == 0,
                   "the heads of keys do not divide those of queries"))
      return;
    group = n.number(*heads / *shared);
  }
  // The queries that share a key are rows of one product.
  AffineExpr rows = gr::simplify(group * qd[2]);
  Value scores = n.dot(n.affine(grouped(q, rows), half, 0),
                       n.affine(k, half, 0), {0, 1}, {0, 1}, {3}, {3});
  Dims scoreDims = {qd[0], qd[1], qd[2], kd[2]};
  scores = n.cast(n.reshape(scores, scoreDims), precise);
  scores = modified(n, "score_mod", scores);
  Value weights = scores ? n.softmax(scores, 3) : Value();
  weights = modified(n, "prob_mod", weights);
  if (!weights)
    return;
  Value y = n.dot(grouped(weights, rows), n.cast(v, precise), {0, 1}, {0, 1},
                  {3}, {2});
  n.set(0, n.cast(n.reshape(y, Dims{qd[0], qd[1], qd[2], vd[3]}), element));
}

llvm::ArrayRef<Operator> aicc::onnx::sequenceModelOperators() {
  static constexpr Operator table[] = {
      {"", "LinearAttention", 27, linearAttention},
      {"", "CausalConvWithState", 27, causalConv},
      {"ai.onnx.preview", "FlexAttention", 1, flexAttention},
  };
  return table;
}
