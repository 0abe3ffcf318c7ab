//===- OperatorsMicrosoftAttention.cpp - attention of com.microsoft -------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Attention and MultiHeadAttention as ONNX Runtime defines them: masks are
// 32-bit integers (1 keeps) and hide by a finite number, caches are
// [B, heads, T, H].
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/Microsoft.h"

#include <cmath>
#include <limits>

using namespace mlir;
using namespace aicc::onnx;
using llvm::Twine;
namespace gr = aicc::graph;

static double minusInfinity() {
  return -std::numeric_limits<double>::infinity();
}

Value aicc::onnx::attend(Node &n, const Scores &a) {
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

double aicc::onnx::scaleOf(Node &n, Value q) {
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

Value aicc::onnx::keyIndex(Node &n, AffineExpr columns, Type type) {
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

/// The number of elements of the past in a buffer that past and present share,
/// which has `room` for them and `more`.
static AffineExpr filledOf(Node &n, unsigned input, AffineExpr room,
                           AffineExpr more) {
  auto length = n.expressionsOf(input, "past_sequence_length");
  if (!length ||
      !n.require(length->size() == 1, "past_sequence_length is not one number"))
    return {};
  n.importer.assumeAtMost(gr::simplify(length->front() + more), room);
  return length->front();
}

/// Such a buffer [B, N, room, H] with `fresh` behind its first `filled`.
static Value behind(Node &n, Value buffer, Value fresh, AffineExpr filled) {
  AffineExpr zero = n.number(0);
  return n.update(buffer, fresh, {zero, zero, filled, zero});
}

void aicc::onnx::attendProjected(Node &n, const Projected &p) {
  Value qkv = p.qkv;
  if (!qkv ||
      !n.require(rankOf(qkv) == 3, "the input has " + Twine(rankOf(qkv)) +
                                       " dimensions, expected 3"))
    return;
  bool shared = n.integer("past_present_share_buffer", 0);
  if (shared &&
      !n.require(p.pastLength && n.has(*p.pastLength) && n.has(p.past),
                 "past_present_share_buffer without past and "
                 "past_sequence_length"))
    return;
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
  Value presentKey, presentValue;
  Value state = n.optionalOperand(p.past);
  if (state) {
    if (!n.require(rankOf(state) == 5, "past has " + Twine(rankOf(state)) +
                                           " dimensions, expected 5"))
      return;
    past = dimsOf(state)[3];
    if (shared)
      past = filledOf(n, *p.pastLength, past, dimsOf(qkv)[1]);
    if (!past)
      return;
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
    Value pastKey = half(0), pastValue = half(1);
    if (shared) {
      presentKey = behind(n, pastKey, a.k, past);
      presentValue = behind(n, pastValue, a.v, past);
      pastKey = n.sliceAxis(pastKey, 2, n.number(0), past);
      pastValue = n.sliceAxis(pastValue, 2, n.number(0), past);
    }
    a.k = n.concatenate({pastKey, a.k}, 2);
    a.v = n.concatenate({pastValue, a.v}, 2);
  }
  if (!a.k || !a.v)
    return;
  if (n.wants(1)) {
    auto lead = [&](Value v) {
      Dims five = {n.number(1)};
      five.append(dimsOf(v));
      return n.reshape(v, five);
    };
    n.set(1, n.concatenate({lead(shared ? presentKey : a.k),
                            lead(shared ? presentValue : a.v)},
                           0));
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
  attendProjected(n, {qkv, 3, 4, 5, 6});
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

/// Beam search: each sequence of a batch is kept in several beams, and at every
/// position of the past a beam takes the keys of the beam that
/// `indirection` [batch, beams, room] names. The rows [batch * beams, past] of
/// what lies at [batch * beams, past, ..].
static Value rowsOfBeams(Node &n, Value indirection, AffineExpr all,
                         AffineExpr past) {
  if (!indirection ||
      !n.require(rankOf(indirection) == 3, "cache_indirection has " +
                                               Twine(rankOf(indirection)) +
                                               " dimensions, expected 3"))
    return {};
  Dims d = dimsOf(indirection);
  if (!n.requireEqual(gr::simplify(d[0] * d[1]), all,
                      "the number of beams of all sequences"))
    return {};
  Type index = n.b.getI64Type();
  auto timesOf = [&](Value x, AffineExpr by) {
    return n.multiply(x, n.importer.materialize(*n.knownScalar(by)));
  };
  Value beam = n.cast(n.sliceAxis(indirection, 2, n.number(0), past), index);
  Dims three = {d[0], d[1], past};
  Value row = n.add(timesOf(n.iota(three, index, 0), d[1]), beam);
  row = n.add(timesOf(row, past), n.iota(three, index, 2));
  return row ? n.reshape(row, Dims{all, past}) : Value();
}

/// Keys or values [batch * beams, N, past, H] by such rows.
static Value ofBeams(Node &n, Value x, Value rows) {
  x = n.transpose(x, {0, 2, 1, 3});
  if (!x || !rows)
    return {};
  Dims d = dimsOf(x);
  x = n.reshape(x, Dims{gr::simplify(d[0] * d[1]), d[2], d[3]});
  RankedTensorType type = n.type(d, elementOf(x));
  if (!x || !type)
    return {};
  x = gr::GatherOp::create(n.b, n.loc, type, x, rows, n.b.getI64IntegerAttr(0));
  return n.transpose(x, {0, 2, 1, 3});
}

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
      past = filledOf(n, at.pastLength, past, dimsOf(a.k)[2]);
      if (!past)
        return;
      presentKey = behind(n, pastKey, a.k, past);
      presentValue = behind(n, pastValue, a.v, past);
      pastKey = n.sliceAxis(pastKey, 2, n.number(0), past);
      pastValue = n.sliceAxis(pastValue, 2, n.number(0), past);
    }
    if (n.has(at.beams)) {
      Value rows = rowsOfBeams(n, n.operand(at.beams), dimsOf(a.q)[0], past);
      pastKey = ofBeams(n, pastKey, rows);
      pastValue = ofBeams(n, pastValue, rows);
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
