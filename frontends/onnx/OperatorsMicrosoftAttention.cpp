//===- OperatorsMicrosoftAttention.cpp - attention of com.microsoft -------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Attention, MultiHeadAttention, GroupQueryAttention and RotaryEmbedding as
// ONNX Runtime defines them: masks are 32-bit integers (1 keeps) and hide by a
// finite number, caches are [B, heads, T, H].
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

namespace {
/// softmax(q kT * scale + mask) v for q [B, N, S, H], k [B, N, T, H].
struct Scores {
  Value q, k, v;
  double scale = 1, softcap = 0;
  /// Added; broadcasts to [B, N, S, T].
  Value mask = {};
  /// Where false a weight is zero, whatever the others are.
  Value keep = {};
  /// [N]: one more score for each row that belongs to no key.
  Value sink = {};
  /// The output that wants the scores or the weights.
  std::optional<unsigned> output = {};
  bool outputWeights = false;
};
} // namespace

static double minusInfinity() {
  return -std::numeric_limits<double>::infinity();
}

/// The result [B, S, N * H].
static Value attend(Node &n, const Scores &a) {
  if (!a.q || !a.k || !a.v || !n.sameElement(a.q, a.k) ||
      !n.sameElement(a.k, a.v) || !n.requireFloat(a.q))
    return {};
  Type element = elementOf(a.q);
  AffineExpr heads = dimsOf(a.q)[1];
  Value k = repeatHeads(n, a.k, heads), v = repeatHeads(n, a.v, heads);
  Value s =
      widen(n, n.dot(n.affine(a.q, a.scale, 0), k, {0, 1}, {0, 1}, {3}, {3}));
  if (!s)
    return {};
  Type wide = elementOf(s);
  if (a.softcap != 0)
    s = n.multiply(n.unary<gr::TanhOp>(n.multiply(s, 1 / a.softcap)),
                   a.softcap);
  if (a.mask)
    s = n.add(s, n.cast(a.mask, wide));
  if (a.output && !a.outputWeights && s)
    n.set(*a.output, n.cast(s, element));
  if (a.keep)
    s = n.select(a.keep, s, n.scalar(minusInfinity(), wide));
  if (!s)
    return {};
  AffineExpr columns = dimsOf(s)[3];
  if (a.sink) {
    Dims one = dimsOf(s);
    one[3] = n.number(1);
    Value last = n.reshape(n.cast(a.sink, wide),
                           Dims{n.number(1), heads, n.number(1), n.number(1)});
    s = n.concatenate({s, n.broadcastTo(last, one)}, 3);
  }
  Value w = n.softmax(s, 3);
  if (a.sink)
    w = n.sliceAxis(w, 3, n.number(0), columns);
  w = n.cast(w, element);
  if (a.output && a.outputWeights)
    n.set(*a.output, w);
  return joinHeads(n, n.dot(w, v, {0, 1}, {0, 1}, {3}, {2}));
}

/// The scale of scores: an attribute of zero is one that is not given.
static double scaleOf(Node &n, Value q) {
  double scale = n.real("scale", 0);
  if (scale != 0 || !q)
    return scale;
  auto size = gr::constantOf(dimsOf(q)[3]);
  if (!size)
    n.unsupported("a dynamic size of heads");
  return 1 / std::sqrt(double(std::max<int64_t>(1, size.value_or(1))));
}

/// 0 where an integer mask is positive, else the filter.
static Value filtered(Node &n, Value keep, double filter) {
  Type real = n.b.getF32Type();
  return n.select(keep, n.scalar(0, real), n.scalar(filter, real));
}

static Value positive(Node &n, Value mask) {
  return mask ? n.compare(gr::Comparison::greater, mask,
                          n.integerScalar(0, elementOf(mask)))
              : Value();
}

/// Some numbers as a [1, 1, 1, T] index of keys.
static Value keyIndex(Node &n, AffineExpr columns, Type type) {
  AffineExpr one = n.number(1);
  return n.iota(Dims{one, one, one, columns}, type, 3);
}

/// The additive mask of Attention and MultiHeadAttention: `mask` in any of its
/// forms, and the causal one.
static Value additiveMask(Node &n, Value mask, Value q, AffineExpr past,
                          AffineExpr columns) {
  if (!q)
    return {};
  double filter = n.real("mask_filter_value", -10000);
  Dims d = dimsOf(q);
  AffineExpr batch = d[0], rows = d[2], one = n.number(1);
  Value result;
  if (mask) {
    Dims m = dimsOf(mask);
    Type index = elementOf(mask);
    auto column = [&] { return keyIndex(n, columns, index); };
    auto perBatch = [&](AffineExpr from) {
      return n.reshape(n.sliceAxis(mask, 0, from, batch),
                       Dims{batch, one, one, one});
    };
    if (m.size() == 1 && gr::equal(m[0], batch * 3 + 2) &&
        !gr::equal(m[0], batch) && !gr::equal(m[0], batch * 2)) {
      n.unsupported("a mask of cumulated lengths");
      return {};
    }
    if (m.size() == 1) {
      // Ends, and after them perhaps starts.
      bool starts = gr::equal(m[0], batch * 2) && !gr::equal(m[0], batch);
      if (!starts && !n.requireEqual(m[0], batch, "the batch of the mask"))
        return {};
      Value keep =
          n.compare(gr::Comparison::less, column(), perBatch(n.number(0)));
      if (starts)
        keep =
            n.binary<gr::AndOp>(keep, n.compare(gr::Comparison::greater_equal,
                                                column(), perBatch(batch)));
      result = filtered(n, keep, filter);
    } else if (m.size() == 2) {
      result = filtered(
          n, positive(n, n.reshape(mask, Dims{m[0], one, one, m[1]})), filter);
    } else if (m.size() == 3) {
      result = filtered(
          n, positive(n, n.reshape(mask, Dims{m[0], one, m[1], m[2]})), filter);
    } else if (n.require(m.size() == 4, "the mask has " + Twine(m.size()) +
                                            " dimensions, expected 1 to 4")) {
      // The whole square of the longest sequence: rows of this part of it.
      Value part = n.sliceAxis(n.sliceAxis(mask, 2, past, rows), 3, n.number(0),
                               columns);
      result = filtered(n, positive(n, part), filter);
    }
  }
  if (n.integer("unidirectional", 0) && !gr::isConstant(rows, 1)) {
    Type index = n.b.getI32Type();
    Dims grid = {one, one, rows, columns};
    Value row = n.iota(grid, index, 2), column = n.iota(grid, index, 3);
    if (!gr::isConstant(past, 0))
      row = n.add(row, n.importer.materialize(*n.knownScalar(past, index)));
    Value causal =
        filtered(n, n.compare(gr::Comparison::less_equal, column, row),
                 std::numeric_limits<float>::lowest());
    result = result ? n.add(result, causal) : causal;
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Attention with its projection
//===----------------------------------------------------------------------===//

/// Heads [B, N, S, H] turned as GPT-NeoX does it, from a position on: by angles
/// of which each is a fixed part of the one before.
static Value turnedFrom(Node &n, Value x, AffineExpr start) {
  if (!x)
    return {};
  auto size = gr::constantOf(dimsOf(x)[3]);
  if (!size) {
    n.unsupported("a dynamic size of heads");
    return {};
  }
  int64_t rotated = n.integer("rotary_embedding_dim", 0);
  rotated = rotated ? rotated : *size;
  if (!n.require(rotated > 0 && rotated <= *size && rotated % 2 == 0,
                 "rotary_embedding_dim is " + Twine(rotated) +
                     ", expected an even number up to " + Twine(*size)))
    return {};
  Type real = n.b.getF32Type();
  SmallVector<double> speeds;
  for (int64_t i = 0; i < rotated / 2; ++i)
    speeds.push_back(std::pow(10000.0, -2.0 * double(i) / double(rotated)));
  AffineExpr rows = dimsOf(x)[2], one = n.number(1);
  Value position = n.add(n.iota(Dims{one, one, rows, one}, n.b.getI64Type(), 2),
                         n.scalarOf(start));
  Value angles = n.multiply(n.cast(position, real), n.constant(speeds, real));
  Value y = rotate(n, widen(n, x), n.unary<gr::CosOp>(angles),
                   n.unary<gr::SinOp>(angles), rotated, false);
  return y ? n.cast(y, elementOf(x)) : Value();
}

void aicc::onnx::attendProjected(Node &n, const Projected &p) {
  Value qkv = p.qkv;
  if (!qkv ||
      !n.require(rankOf(qkv) == 3, "the input has " + Twine(rankOf(qkv)) +
                                       " dimensions, expected 3"))
    return;
  if (n.integer("past_present_share_buffer", 0))
    return n.unsupported("past_present_share_buffer");
  int64_t heads = n.requiredInteger("num_heads");
  auto width = gr::constantOf(dimsOf(qkv)[2]);
  if (!width)
    return n.unsupported("weights of dynamic size");
  Ints sizes = n.integers("qkv_hidden_sizes", Ints(3, *width / 3));
  if (!n.require(heads > 0 && sizes.size() == 3 &&
                     llvm::all_of(sizes,
                                  [&](int64_t size) {
                                    return size > 0 && size <= *width;
                                  }) &&
                     sizes[0] + sizes[1] + sizes[2] == *width,
                 "qkv_hidden_sizes do not sum to " + Twine(*width)))
    return;
  Value parts[3];
  int64_t from = 0;
  for (auto [i, size] : llvm::enumerate(sizes)) {
    if (!n.require(size % heads == 0, "a hidden size is " + Twine(size) +
                                          ", expected a multiple of " +
                                          Twine(heads) + " heads"))
      return;
    parts[i] = splitHeads(
        n, n.sliceAxis(qkv, 2, n.number(from), n.number(size)), heads);
    from += size;
  }
  Scores a{parts[0], parts[1], parts[2]};
  AffineExpr past = n.number(0);
  Value state = n.optionalOperand(p.past);
  if (state) {
    if (!n.require(rankOf(state) == 5, "past has " + Twine(rankOf(state)) +
                                           " dimensions, expected 5"))
      return;
    past = dimsOf(state)[3];
  }
  if (n.integer("do_rotary", 0)) {
    a.q = turnedFrom(n, a.q, past);
    a.k = turnedFrom(n, a.k, past);
  }
  if (state) {
    Dims d = dimsOf(state);
    Dims four(d.begin() + 1, d.end());
    auto half = [&](int64_t i) {
      return n.reshape(n.sliceAxis(state, 0, n.number(i), n.number(1)), four);
    };
    a.k = n.concatenate({half(0), a.k}, 2);
    a.v = n.concatenate({half(1), a.v}, 2);
  }
  if (!a.k || !a.v)
    return;
  if (n.wants(1)) {
    auto lead = [&](Value v) {
      Dims five = {n.number(1)};
      five.append(dimsOf(v));
      return n.reshape(v, five);
    };
    n.set(1, n.concatenate({lead(a.k), lead(a.v)}, 0));
  }
  a.scale = scaleOf(n, a.q);
  a.mask =
      additiveMask(n, n.optionalOperand(p.mask), a.q, past, dimsOf(a.k)[2]);
  if (p.bias && n.has(*p.bias)) {
    Value bias = widen(n, n.operand(*p.bias));
    a.mask = a.mask ? n.add(a.mask, bias) : bias;
  }
  n.set(0, attend(n, a));
}

static void attention(Node &n) {
  Value qkv = n.matmul(n.operand(0), n.operand(1));
  if (n.has(2))
    qkv = n.add(qkv, n.operand(2));
  if (n.has(6))
    return n.unsupported("past_sequence_length");
  attendProjected(n, {qkv, 3, 4, 5});
}

//===----------------------------------------------------------------------===//
// MultiHeadAttention
//===----------------------------------------------------------------------===//

namespace {
/// Where MultiHeadAttention and its decoder's form have their inputs.
struct HeadInputs {
  unsigned bias, mask, more, pastKey, pastValue, pastLength, beams;
};
} // namespace

static void attendHeads(Node &n, const HeadInputs &at) {
  int64_t heads = n.requiredInteger("num_heads");
  Value q = n.operand(0), k = n.optionalOperand(1), v = n.optionalOperand(2);
  if (!q || !n.require(heads > 0, "num_heads is " + Twine(heads) +
                                      ", expected at least 1"))
    return;
  // [B, S, N, count, H]: the parts lie next to each other.
  auto unpack = [&](Value packed, int64_t i) -> Value {
    Value part = n.sliceAxis(packed, 3, n.number(i), n.number(1));
    if (!part)
      return {};
    Dims d = dimsOf(part);
    return n.reshape(part, Dims{d[0], d[1], gr::simplify(d[2] * d[4])});
  };
  if (rankOf(q) == 5) {
    Value packed = q;
    q = unpack(packed, 0);
    k = unpack(packed, 1);
    v = unpack(packed, 2);
  } else if (k && rankOf(k) == 5) {
    Value packed = k;
    k = unpack(packed, 0);
    v = unpack(packed, 1);
  }
  if (!q || !k || !v) {
    n.require(n.failed(), "key and value are missing");
    return;
  }
  // Keys with four dimensions are projected already: only q has a bias.
  bool ready = rankOf(k) == 4;
  if (n.has(at.bias)) {
    Value bias = n.operand(at.bias);
    if (!bias || !n.require(rankOf(bias) == 1 && rankOf(q) == 3,
                            "the bias does not fit the query"))
      return;
    AffineExpr size = dimsOf(q)[2];
    q = n.add(q, n.sliceAxis(bias, 0, n.number(0), size));
    if (!ready && q) {
      k = n.add(k, n.sliceAxis(bias, 0, size, size));
      v = v ? n.add(v,
                    n.sliceAxis(bias, 0, gr::simplify(size * 2), dimsOf(v)[2]))
            : v;
    }
  }
  Scores a{splitHeads(n, q, heads), splitHeads(n, k, heads),
           splitHeads(n, v, heads)};
  if (n.has(at.beams))
    return n.unsupported("cache_indirection");
  AffineExpr past = n.number(0);
  Value presentKey, presentValue;
  if (n.has(at.pastKey) || n.has(at.pastValue)) {
    Value pastKey = n.operand(at.pastKey), pastValue = n.operand(at.pastValue);
    if (!pastKey || !pastValue || !a.k || !a.v ||
        !n.require(rankOf(pastKey) == 4 && rankOf(pastValue) == 4,
                   "past_key and past_value do not have 4 dimensions"))
      return;
    past = dimsOf(pastKey)[2];
    if (n.has(at.pastLength)) {
      // A buffer with room for more: the past fills a part of it, and the
      // present goes behind that.
      auto length = n.expressionsOf(at.pastLength, "past_sequence_length");
      if (!length || !n.require(length->size() == 1,
                                "past_sequence_length is not one number"))
        return;
      AffineExpr room = past, zero = n.number(0);
      past = length->front();
      n.importer.assumeAtMost(gr::simplify(past + dimsOf(a.k)[2]), room);
      Dims behind = {zero, zero, past, zero};
      presentKey = n.update(pastKey, a.k, behind);
      presentValue = n.update(pastValue, a.v, behind);
      pastKey = n.sliceAxis(pastKey, 2, zero, past);
      pastValue = n.sliceAxis(pastValue, 2, zero, past);
    }
    a.k = n.concatenate({pastKey, a.k}, 2);
    a.v = n.concatenate({pastValue, a.v}, 2);
  }
  if (!a.q || !a.k || !a.v)
    return;
  n.set(1, presentKey ? presentKey : a.k);
  n.set(2, presentValue ? presentValue : a.v);
  a.scale = scaleOf(n, a.q);
  a.mask =
      additiveMask(n, n.optionalOperand(at.mask), a.q, past, dimsOf(a.k)[2]);
  if (n.has(at.more)) {
    Value bias = widen(n, n.operand(at.more));
    a.mask = a.mask ? n.add(a.mask, bias) : bias;
  }
  if (n.wants(3))
    a.output = 3;
  n.set(0, attend(n, a));
}

static void multiHeadAttention(Node &n) {
  attendHeads(n, {3, 4, 5, 6, 7, 8, 9});
}

static void decoderMaskedAttention(Node &n) {
  if (n.has(5) && !n.integer("past_present_share_buffer", 0))
    return n.unsupported("a past without past_present_share_buffer");
  attendHeads(n, {10, 3, 4, 5, 6, 7, 9});
}

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

static void rotaryEmbedding(Node &n) {
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

static void groupQueryAttention(Node &n) {
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

llvm::ArrayRef<Operator> aicc::onnx::microsoftAttentionOperators() {
  static constexpr Operator table[] = {
      {"com.microsoft", "Attention", 1, attention},
      {"com.microsoft", "MultiHeadAttention", 1, multiHeadAttention},
      {"com.microsoft", "DecoderMaskedMultiHeadAttention", 1,
       decoderMaskedAttention},
      {"com.microsoft", "GroupQueryAttention", 1, groupQueryAttention},
      {"com.microsoft", "RotaryEmbedding", 1, rotaryEmbedding},
  };
  return table;
}
