//===- OperatorsAttention.cpp - attention and rotary embeddings ---------===//
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

/// [B, S, heads * H] to [B, heads, S, H].
Value aicc::onnx::splitHeads(Node &n, Value x, int64_t heads) {
  if (!x || n.failed())
    return {};
  if (rankOf(x) == 4)
    return x;
  if (!n.require(rankOf(x) == 3, "an operand has " + Twine(rankOf(x)) +
                                     " dimensions, expected 3 or 4") ||
      !n.require(heads > 0, "the number of heads is " + Twine(heads) +
                                ", expected at least 1"))
    return {};
  Dims d = dimsOf(x);
  AffineExpr size = gr::simplify(d[2].floorDiv(heads));
  Value parts = n.reshape(x, Dims{d[0], d[1], n.number(heads), size});
  return n.transpose(parts, {0, 2, 1, 3});
}

/// [B, heads, S, H] to [B, S, heads * H].
Value aicc::onnx::joinHeads(Node &n, Value x) {
  Value moved = n.transpose(x, {0, 2, 1, 3});
  if (!moved)
    return {};
  Dims d = dimsOf(moved);
  return n.reshape(moved, Dims{d[0], d[1], d[2] * d[3]});
}

/// Repeats each head of keys or values for the queries that share it.
Value aicc::onnx::repeatHeads(Node &n, Value x, AffineExpr heads) {
  if (!x || n.failed())
    return {};
  Dims d = dimsOf(x);
  auto have = gr::constantOf(d[1]), want = gr::constantOf(heads);
  if (gr::equal(d[1], heads))
    return x;
  if (!n.require(have && want && *have > 0 && *want % *have == 0,
                 "the heads of keys do not divide those of queries"))
    return {};
  Dims wide = {d[0], d[1], n.number(*want / *have), d[2], d[3]};
  Value result = n.broadcastIn(x, wide, {0, 1, 3, 4});
  return n.reshape(result, Dims{d[0], heads, d[2], d[3]});
}

/// Additive mask: 0 where `keep` holds, minus infinity elsewhere.
static Value maskOf(Node &n, Value keep, Type element) {
  return n.select(keep, n.scalar(0, element),
                  n.scalar(-std::numeric_limits<double>::infinity(), element));
}

/// Keys or values of one batch are every query's: the products of the
/// definition broadcast.
static Value forBatches(Node &n, Value x, AffineExpr batch) {
  Dims dims = dimsOf(x);
  if (!gr::isConstant(dims[0], 1) || gr::isConstant(batch, 1))
    return x;
  dims[0] = batch;
  return n.broadcastTo(x, dims);
}

static void attention(Node &n) {
  Value q = n.operand(0), k = n.operand(1), v = n.operand(2);
  if (!q || !k || !v)
    return;
  bool flat = rankOf(q) == 3;
  int64_t heads = n.integer("q_num_heads", 0);
  int64_t keyHeads = n.integer("kv_num_heads", heads);
  q = splitHeads(n, q, heads);
  k = splitHeads(n, k, keyHeads);
  v = splitHeads(n, v, keyHeads);
  if (!q || !k || !v ||
      !n.require(rankOf(q) == 4 && rankOf(k) == 4 && rankOf(v) == 4,
                 "query, key and value do not have 4 dimensions") ||
      !n.sameElement(q, k) || !n.sameElement(k, v) || !n.requireFloat(q))
    return;
  Type element = elementOf(q);
  AffineExpr past = n.number(0);
  if (n.has(4)) {
    Value pastKey = n.operand(4), pastValue = n.operand(5);
    if (!pastKey || !pastValue ||
        !n.require(rankOf(pastKey) == 4, "past_key does not have 4 dimensions"))
      return;
    past = dimsOf(pastKey)[2];
    k = n.concatenate({pastKey, k}, 2);
    v = n.concatenate({pastValue, v}, 2);
  }
  if (!k || !v)
    return;
  n.set(1, k);
  n.set(2, v);
  Dims d = dimsOf(q);
  k = forBatches(n, k, d[0]);
  v = forBatches(n, v, d[0]);
  if (!k || !v)
    return;
  AffineExpr rows = d[2], columns = dimsOf(k)[2];
  k = repeatHeads(n, k, d[1]);
  v = repeatHeads(n, v, d[1]);
  auto size = gr::constantOf(d[3]);
  if (!n.hasAttribute("scale") && !size)
    return n.unsupported("a dynamic size of heads");
  double scale = n.real("scale", 1 / std::sqrt(double(size.value_or(1))));
  // The definition multiplies both by the scale's root, so that nothing leaves
  // the range of f16. A factor that makes queries smaller doesn't, either, and
  // keys are taken from memory as they are.
  bool smaller = std::abs(scale) <= 1;
  double ofKeys = smaller ? 1 : std::sqrt(std::abs(scale));
  if (!smaller)
    k = n.affine(k, ofKeys, 0);
  Value scores =
      n.dot(n.affine(q, scale / ofKeys, 0), k, {0, 1}, {0, 1}, {3}, {3});
  int64_t mode = n.integer("qk_matmul_output_mode", 0);
  if (mode == 0)
    n.set(3, scores);
  double softcap = n.real("softcap", 0);
  if (softcap != 0)
    scores = n.multiply(n.unary<gr::TanhOp>(n.multiply(scores, 1 / softcap)),
                        softcap);
  if (mode == 1)
    n.set(3, scores);
  if (!scores)
    return;

  // Everything that hides scores becomes one additive mask; a row without
  // anything visible gives zeros.
  bool mayHideRows = false;
  Type index = n.b.getI64Type();
  Dims grid = {rows, columns};
  Value mask, lengths;
  if (n.has(6)) {
    lengths = n.cast(n.operand(6), index);
    if (!lengths ||
        !n.require(rankOf(lengths) == 1, "nonpad_kv_seqlen is not a vector"))
      return;
    lengths = n.reshape(lengths, Dims{dimsOf(lengths)[0], n.number(1),
                                      n.number(1), n.number(1)});
    Value column = n.iota(grid, index, 1);
    mask = maskOf(n, n.compare(gr::Comparison::less, column, lengths), element);
    mayHideRows = true;
  }
  int64_t left = n.integer("left_window_size", -1);
  int64_t right = n.integer("right_window_size", -1);
  bool causal = n.integer("is_causal", 0);
  if (causal || left >= 0 || right >= 0) {
    Value row = n.iota(grid, index, 0), column = n.iota(grid, index, 1);
    // The position of a query among the keys.
    if (lengths)
      row = n.add(row, n.add(lengths, n.importer.materialize(*n.knownScalar(
                                          gr::simplify(rows * -1)))));
    else if (!gr::isConstant(past, 0))
      row = n.add(row, n.importer.materialize(*n.knownScalar(past)));
    Value keep;
    auto also = [&](Value condition) {
      keep = keep ? n.binary<gr::AndOp>(keep, condition) : condition;
    };
    if (causal)
      also(n.compare(gr::Comparison::less_equal, column, row));
    if (left >= 0)
      also(n.compare(gr::Comparison::greater_equal, column,
                     n.add(row, n.integerScalar(-left, index))));
    if (right >= 0)
      also(n.compare(gr::Comparison::less_equal, column,
                     n.add(row, n.integerScalar(right, index))));
    Value more = maskOf(n, keep, element);
    mask = mask ? n.add(mask, more) : more;
    mayHideRows |= lengths || left >= 0;
  }
  if (n.has(3)) {
    Value given = n.operand(3);
    if (!given ||
        !n.require(rankOf(given) >= 1 && rankOf(given) <= 4,
                   "attn_mask has " + Twine(given ? rankOf(given) : 0) +
                       " dimensions, expected 1 to 4"))
      return;
    Value more = elementOf(given).isInteger(1) ? maskOf(n, given, element)
                                               : n.cast(given, element);
    if (!more)
      return;
    // A mask that is shorter than the keys hides the rest.
    Dims from = dimsOf(more);
    AffineExpr missing = gr::simplify(columns - from.back());
    if (gr::constantOf(missing).value_or(0) > 0 &&
        !gr::isConstant(from.back(), 1)) {
      Dims low(from.size(), n.number(0)), high = low;
      high.back() = missing;
      from.back() = columns;
      Value hide = n.scalar(-std::numeric_limits<double>::infinity(), element);
      auto map = [&](const Dims &e) {
        return AffineMapAttr::get(gr::makeMap(e, n.importer.context));
      };
      more = gr::PadOp::create(
          n.b, n.loc, n.type(from, element), more, hide, map(low), map(high),
          gr::PadModeAttr::get(n.b.getContext(), gr::PadMode::constant));
    }
    mask = mask ? n.add(mask, more) : more;
    mayHideRows = true;
  }
  if (mask)
    scores = n.add(scores, mask);
  if (mode == 2)
    n.set(3, scores);
  if (!scores)
    return;
  Value hidden;
  if (mayHideRows) {
    Value best = n.reduce(scores, gr::ReduceKind::maximum, {3}, true);
    hidden =
        n.compare(gr::Comparison::equal, best,
                  n.scalar(-std::numeric_limits<double>::infinity(), element));
    scores = n.select(hidden, n.full(0, scores), scores);
  }
  Type precise = element;
  if (int64_t to = n.integer("softmax_precision", 0))
    precise = elementType(n.importer.context, to);
  if (!precise || !isa<FloatType>(precise))
    return n.unsupported("softmax_precision");
  Value weights = n.cast(n.softmax(n.cast(scores, precise), 3), element);
  if (hidden)
    weights = n.select(hidden, n.full(0, weights), weights);
  if (mode == 3)
    n.set(3, weights);
  Value y = n.dot(weights, v, {0, 1}, {0, 1}, {3}, {2});
  n.set(0, flat ? joinHeads(n, y) : y);
}

Value aicc::onnx::rotate(Node &n, Value y, Value c, Value s, int64_t rotated,
                         bool interleaved) {
  if (!y || !c || !s || n.failed())
    return {};
  Dims d = dimsOf(y);
  AffineExpr half = n.number(rotated / 2);
  AffineExpr rest = gr::simplify(d[3] - rotated);
  AffineExpr zero = n.number(0);
  Value part = n.sliceAxis(y, 3, zero, n.number(rotated));
  Value first, second;
  Dims pairs = {d[0], d[1], d[2], half, n.number(2)};
  Dims single = {d[0], d[1], d[2], half};
  if (interleaved) {
    Value paired = n.reshape(part, pairs);
    first = n.reshape(n.sliceAxis(paired, 4, zero, n.number(1)), single);
    second =
        n.reshape(n.sliceAxis(paired, 4, n.number(1), n.number(1)), single);
  } else {
    first = n.sliceAxis(part, 3, zero, half);
    second = n.sliceAxis(part, 3, half, half);
  }
  Value real = n.subtract(n.multiply(first, c), n.multiply(second, s));
  Value imaginary = n.add(n.multiply(first, s), n.multiply(second, c));
  Value turned;
  if (interleaved) {
    single.push_back(n.number(1));
    turned = n.concatenate(
        {n.reshape(real, single), n.reshape(imaginary, single)}, 4);
    turned = n.reshape(turned, Dims{d[0], d[1], d[2], n.number(rotated)});
  } else {
    turned = n.concatenate({real, imaginary}, 3);
  }
  if (!gr::isConstant(rest, 0))
    turned =
        n.concatenate({turned, n.sliceAxis(y, 3, n.number(rotated), rest)}, 3);
  return turned;
}

static void rotary(Node &n, Value x, Value cosines, Value sines,
                   Value positions) {
  if (!x || !cosines || !sines)
    return;
  bool flat = rankOf(x) == 3;
  int64_t heads = n.integer("num_heads", 0);
  // Heads next to the sequence need no transposition: [B, S, heads, H].
  Value y;
  if (flat) {
    if (!n.require(heads > 0,
                   "num_heads is " + Twine(heads) + ", expected at least 1"))
      return;
    Dims d = dimsOf(x);
    y = n.reshape(x, Dims{d[0], d[1], n.number(heads),
                          gr::simplify(d[2].floorDiv(heads))});
  } else if (n.require(rankOf(x) == 4, "the operand has " + Twine(rankOf(x)) +
                                           " dimensions, expected 3 or 4")) {
    y = n.transpose(x, {0, 2, 1, 3});
  }
  if (!y)
    return;
  Dims d = dimsOf(y);
  auto size = gr::constantOf(d[3]);
  if (!size)
    return n.unsupported("a dynamic size of heads");
  int64_t rotated = n.integer("rotary_embedding_dim", 0);
  rotated = rotated ? rotated : *size;
  if (!n.require(rotated > 0 && rotated <= *size && rotated % 2 == 0,
                 "rotary_embedding_dim is " + Twine(rotated) +
                     ", expected an even number up to " + Twine(*size)))
    return;
  AffineExpr half = n.number(rotated / 2);
  auto table = [&](Value cache) -> Value {
    if (!cache)
      return {};
    if (positions) {
      if (!n.require(rankOf(cache) == 2 && rankOf(positions) == 2,
                     "caches and position_ids do not have 2 dimensions"))
        return {};
      Dims dims = dimsOf(positions);
      dims.push_back(dimsOf(cache)[1]);
      RankedTensorType type = n.type(dims, elementOf(cache));
      if (!type)
        return {};
      cache = gr::GatherOp::create(n.b, n.loc, type, cache, positions,
                                   n.b.getI64IntegerAttr(0));
    }
    if (!n.require(rankOf(cache) == 3, "a cache has " + Twine(rankOf(cache)) +
                                           " dimensions, expected 3"))
      return {};
    Dims dims = dimsOf(cache);
    return n.reshape(cache, Dims{dims[0], dims[1], n.number(1), half});
  };
  Value c = table(cosines), s = table(sines);
  if (!c || !s)
    return;
  Value turned = rotate(n, y, c, s, rotated, n.integer("interleaved", 0));
  if (!turned)
    return;
  n.set(0, flat ? n.reshape(turned, dimsOf(x))
                : n.transpose(turned, {0, 2, 1, 3}));
}

static void rotaryEmbedding(Node &n) {
  rotary(n, n.operand(0), n.operand(1), n.operand(2), n.optionalOperand(3));
}

llvm::ArrayRef<Operator> aicc::onnx::attentionOperators() {
  static constexpr Operator table[] = {
      {"", "Attention", 23, attention},
      {"", "RotaryEmbedding", 23, rotaryEmbedding},
  };
  return table;
}
