//===- OperatorsMicrosoftDecoding.cpp - decoders of com.microsoft ---------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// RotaryEmbedding and GroupQueryAttention as ONNX Runtime defines them: caches
// are [B, heads, T, H].
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/Microsoft.h"

using namespace mlir;
using namespace aicc::onnx;
using llvm::Twine;
namespace gr = aicc::graph;

//===----------------------------------------------------------------------===//
// Rotary embedding
//===----------------------------------------------------------------------===//

/// Heads [B, S, N, H] turned by the rows of two tables that `positions`
/// [B or 1, S] choose.
static Value turned(Node &n, Value x, Value cosines, Value sines,
                    Value positions, int64_t rotated, bool interleaved) {
  auto table = [&](Value cache) -> Value {
    Value rows = rowsOf(n, cache, positions);
    if (!rows)
      return {};
    Dims d = dimsOf(rows);
    if (!n.require(gr::isConstant(d[2], rotated / 2),
                   "a cache has rows that do not fit " + Twine(rotated) +
                       " rotated elements"))
      return {};
    return widen(n, n.reshape(rows, Dims{d[0], d[1], n.number(1), d[2]}));
  };
  Value y = rotate(n, widen(n, x), table(cosines), table(sines), rotated,
                   interleaved);
  return y ? n.cast(y, elementOf(x)) : Value();
}

void aicc::onnx::rotaryEmbedding(Node &n) {
  Value x = n.operand(0), positions = n.operand(1), c = n.operand(2),
        s = n.operand(3);
  if (!x || !positions || !c || !s ||
      !n.require(rankOf(c) == 2 && rankOf(s) == 2,
                 "the caches do not have 2 dimensions"))
    return;
  if (n.integer("is_packed_batching", 0))
    return n.unsupported("is_packed_batching");
  int64_t heads = n.integer("num_heads", 0);
  auto width = gr::constantOf(dimsOf(c)[1]);
  if (!width)
    return n.unsupported("caches of dynamic width");
  int64_t rotated = n.integer("rotary_embedding_dim", 0);
  rotated = rotated ? rotated : *width * 2;
  bool flat = rankOf(x) == 3;
  Value y = x;
  if (flat) {
    Dims d = dimsOf(x);
    auto hidden = gr::constantOf(d[2]);
    if (!heads && !hidden)
      return n.unsupported("a dynamic hidden size");
    if (!heads)
      heads = *hidden / std::max<int64_t>(1, *width * 2);
    if (!n.require(heads > 0,
                   "num_heads is " + Twine(heads) + ", expected at least 1"))
      return;
    y = n.reshape(x, Dims{d[0], d[1], n.number(heads),
                          gr::simplify(d[2].floorDiv(heads))});
  } else if (n.require(rankOf(x) == 4, "the operand has " + Twine(rankOf(x)) +
                                           " dimensions, expected 3 or 4")) {
    y = n.transpose(x, {0, 2, 1, 3});
  }
  if (!y)
    return;
  auto size = gr::constantOf(dimsOf(y)[3]);
  if (!size)
    return n.unsupported("a dynamic size of heads");
  if (!n.require(rotated > 0 && rotated <= *size && rotated % 2 == 0,
                 "rotary_embedding_dim is " + Twine(rotated) +
                     ", expected an even number up to " + Twine(*size)))
    return;
  if (rankOf(positions) != 2) {
    // One offset for all sequences.
    positions = n.reshape(positions, Dims{n.number(1), n.number(1)});
    positions = n.add(positions, n.iota(Dims{n.number(1), dimsOf(y)[1]},
                                        n.b.getI64Type(), 1));
  }
  y = turned(n, y, c, s, positions, rotated, n.integer("interleaved", 0));
  if (y)
    n.set(0, flat ? n.reshape(y, dimsOf(x)) : n.transpose(y, {0, 2, 1, 3}));
}

//===----------------------------------------------------------------------===//
// GroupQueryAttention
//===----------------------------------------------------------------------===//

/// The number of tokens up to the end of this step.
static AffineExpr totalLength(Node &n) {
  auto total = n.expressionsOf(6, "total_sequence_length");
  if (!total ||
      !n.require(total->size() == 1, "total_sequence_length is not one number"))
    return {};
  return total->front();
}

/// position_ids of a step. Where nothing came before it, of a prompt, only the
/// first position counts.
static Value stepPositions(Node &n, Value positions, AffineExpr rows,
                           AffineExpr total) {
  if (!positions || !n.require(rankOf(positions) == 2,
                               "position_ids does not have 2 dimensions"))
    return {};
  auto before = gr::constantOf(gr::simplify(total - rows));
  if (before && *before != 0)
    return positions;
  AffineExpr one = n.number(1), zero = n.number(0);
  Type index = elementOf(positions);
  Value first =
      n.add(n.slice(positions, Dims{zero, zero}, Dims{one, one}, {1, 1}),
            n.iota(Dims{one, rows}, index, 1));
  if (before)
    return first;
  Value prompt =
      n.compare(gr::Comparison::equal, n.scalarOf(total), n.scalarOf(rows));
  return n.select(prompt, first, positions);
}

/// A cache with the new rows of each sequence after the old ones:
/// row t is the old row t below `start`, then new rows up to `end`.
static Value appended(Node &n, Value past, Value fresh, AffineExpr length,
                      Value start, Value end) {
  if (!fresh || !start || !end)
    return {};
  Type index = elementOf(start);
  AffineExpr old = n.number(0);
  Value all = fresh;
  if (past) {
    old = dimsOf(past)[2];
    all = n.concatenate({past, fresh}, 2);
  }
  if (!all)
    return {};
  Dims d = dimsOf(all);
  AffineExpr have = d[2];
  d[2] = length;
  auto scalar = [&](AffineExpr e) {
    return n.importer.materialize(*n.knownScalar(gr::simplify(e), index));
  };
  AffineExpr one = n.number(1);
  Value t = n.iota(Dims{one, one, length, one}, index, 2);
  Value from = n.select(n.compare(gr::Comparison::less, t, start), t,
                        n.add(n.subtract(t, start), scalar(old)));
  from =
      n.maximum(n.minimum(from, scalar(have - 1)), n.integerScalar(0, index));
  from = n.broadcastTo(from, d);
  RankedTensorType type = n.type(d, elementOf(all));
  if (!from || !type)
    return {};
  Value rows = gr::GatherElementsOp::create(n.b, n.loc, type, all, from,
                                            n.b.getI64IntegerAttr(2));
  return n.select(n.compare(gr::Comparison::less, t, end), rows,
                  n.full(0, rows));
}

void aicc::onnx::groupQueryAttention(Node &n) {
  int64_t heads = n.requiredInteger("num_heads");
  int64_t keyHeads = n.requiredInteger("kv_num_heads");
  Value q = n.operand(0);
  if (!q || !n.require(rankOf(q) == 3 && heads > 0 && keyHeads > 0 &&
                           heads % keyHeads == 0,
                       "query does not have 3 dimensions, or kv_num_heads " +
                           Twine(keyHeads) + " does not divide num_heads " +
                           Twine(heads)))
    return;
  if (n.string("k_quant_type", "NONE") != "NONE" ||
      n.string("v_quant_type", "NONE") != "NONE" || n.has(12) || n.has(13))
    return n.unsupported("a quantised cache");
  if (n.integer("sliding_window_cache", 0))
    return n.unsupported("sliding_window_cache");
  Dims d = dimsOf(q);
  AffineExpr batch = d[0], rows = d[1], one = n.number(1);
  auto width = gr::constantOf(d[2]);
  if (!width)
    return n.unsupported("a dynamic hidden size");
  bool packed = !n.has(1);
  int64_t parts = packed ? heads + 2 * keyHeads : heads;
  if (!n.require(*width % parts == 0, "the hidden size " + Twine(*width) +
                                          " does not fit " + Twine(parts) +
                                          " heads"))
    return;
  int64_t size = *width / parts;
  auto asHeads = [&](Value x, int64_t count) -> Value {
    if (!x)
      return {};
    Dims e = dimsOf(x);
    if (!n.require(e.size() == 3, "key or value does not have 3 dimensions"))
      return {};
    return n.reshape(x, Dims{e[0], e[1], n.number(count), n.number(size)});
  };
  Value k, v;
  if (packed) {
    Value all = asHeads(q, parts);
    q = n.sliceAxis(all, 2, n.number(0), n.number(heads));
    k = n.sliceAxis(all, 2, n.number(heads), n.number(keyHeads));
    v = n.sliceAxis(all, 2, n.number(heads + keyHeads), n.number(keyHeads));
  } else {
    q = asHeads(q, heads);
    k = asHeads(n.operand(1), keyHeads);
    v = asHeads(n.operand(2), keyHeads);
  }
  Value lengths = n.operand(5);
  if (!q || !k || !v || !lengths)
    return;
  if (n.has(14) || n.has(15)) {
    double epsilon = n.real("qk_norm_epsilon", 1e-6);
    auto normalize = [&](Value x, unsigned weight, double e) -> Value {
      Value y = n.normalize(widen(n, x), 3, e, true);
      y = n.multiply(y, widen(n, n.operand(weight)));
      return y ? n.cast(y, elementOf(x)) : Value();
    };
    q = normalize(q, 14, n.real("q_norm_epsilon", epsilon));
    k = normalize(k, 15, n.real("k_norm_epsilon", epsilon));
  }

  AffineExpr total = totalLength(n);
  if (!total)
    return;

  // Where each sequence's cache ends before and after this step.
  Type index = n.b.getI32Type();
  AffineExpr vector[] = {batch, one, one, one};
  Value after = n.add(n.reshape(n.cast(lengths, index), vector),
                      n.integerScalar(1, index));
  Value count = n.importer.materialize(*n.knownScalar(rows, index));
  Value fresh = n.has(16) ? n.reshape(n.cast(n.operand(16), index), vector)
                          : n.minimum(after, count);
  Value before = n.subtract(after, fresh);
  Value row = n.add(before, n.iota(Dims{one, one, rows, one}, index, 2));
  if (!row)
    return;

  if (n.integer("do_rotary", 0)) {
    Value c = n.operand(7), s = n.operand(8);
    if (!c || !s ||
        !n.require(rankOf(c) == 2 && rankOf(s) == 2,
                   "the caches do not have 2 dimensions"))
      return;
    auto half = gr::constantOf(dimsOf(c)[1]);
    if (!half)
      return n.unsupported("caches of dynamic width");
    Value positions;
    if (n.has(9)) {
      positions = stepPositions(n, n.operand(9), rows, total);
    } else {
      positions = n.cast(n.reshape(row, Dims{batch, rows}), n.b.getI64Type());
    }
    bool interleaved = n.integer("rotary_interleaved", 0);
    q = turned(n, q, c, s, positions, *half * 2, interleaved);
    k = turned(n, k, c, s, positions, *half * 2, interleaved);
  }
  auto headsFirst = [&](Value x) { return n.transpose(x, {0, 2, 1, 3}); };
  Value pastKey = n.optionalOperand(3), pastValue = n.optionalOperand(4);
  if (n.failed() ||
      !n.require(!pastKey == !pastValue,
                 "past_key and past_value are not given together") ||
      !n.require(!pastKey || (rankOf(pastKey) == 4 && rankOf(pastValue) == 4),
                 "past_key and past_value do not have 4 dimensions"))
    return;
  AffineExpr past = pastKey ? dimsOf(pastKey)[2] : n.number(0);
  // A cache that has room for more keeps its size.
  AffineExpr length = n.importer.larger(total, past);
  if (!length)
    return;
  Value stop = n.add(before, fresh);
  Scores a{headsFirst(q),
           appended(n, pastKey, headsFirst(k), length, before, stop),
           appended(n, pastValue, headsFirst(v), length, before, stop)};
  if (!a.q || !a.k || !a.v)
    return;
  n.set(1, a.k);
  n.set(2, a.v);
  a.scale = scaleOf(n, a.q);
  a.softcap = n.real("softcap", 0);
  Value column = keyIndex(n, length, index);
  if (n.integer("causal", 1)) {
    a.keep = n.compare(gr::Comparison::less_equal, column, row);
    int64_t window = n.integer("local_window_size", -1);
    if (window > 0)
      a.keep = n.binary<gr::AndOp>(
          a.keep, n.compare(gr::Comparison::greater, column,
                            n.subtract(row, n.integerScalar(window, index))));
  } else {
    a.keep = n.compare(gr::Comparison::less, column, after);
  }
  if (n.has(10)) {
    Value bias = widen(n, n.operand(10));
    if (!bias || !n.require(rankOf(bias) == 4,
                            "attention_bias does not have 4 dimensions"))
      return;
    Dims e = dimsOf(bias);
    if (!gr::equal(e[3], length)) {
      // The cache is longer than what the bias knows; that part is hidden.
      Value last =
          n.importer.materialize(*n.knownScalar(gr::simplify(e[3] - 1), index));
      Value at = n.minimum(n.iota(Dims{length}, index, 0), last);
      e[3] = length;
      RankedTensorType type = n.type(e, elementOf(bias));
      if (!at || !type)
        return;
      bias = gr::GatherOp::create(n.b, n.loc, type, bias, at,
                                  n.b.getI64IntegerAttr(3));
    }
    a.mask = bias;
  }
  if (n.has(11))
    a.sink = n.operand(11);
  else if (n.integer("smooth_softmax", 0) > 0)
    a.sink =
        n.broadcastTo(n.scalar(0, n.b.getF32Type()), Dims{n.number(heads)});
  if (n.wants(3)) {
    a.output = 3;
    a.outputWeights = n.integer("qk_output", 0) == 2;
  }
  n.set(0, attend(n, a));
}
