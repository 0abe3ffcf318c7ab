//===- OperatorsMicrosoftBlocks.cpp - block-quantised weights, experts ----===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Weights of a few bits with a scale for each block, as language models have
// them, and mixtures of experts. A weight becomes floats by arithmetic in
// front of its product.
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/Microsoft.h"

using namespace mlir;
using namespace aicc::onnx;
using llvm::StringRef;
using llvm::Twine;
namespace gr = aicc::graph;

/// Numbers of `bits` bits that lie without gaps in the bytes of the last
/// dimension, the lowest bits first: the first `count` of each row, as i32.
static Value unpack(Node &n, Value bytes, int64_t bits, AffineExpr count) {
  Type wide = n.b.getI32Type();
  Value x = n.cast(bytes, wide);
  if (!x)
    return {};
  Dims d = dimsOf(x);
  int64_t last = int64_t(d.size()) - 1;
  Value mask = n.integerScalar((1 << bits) - 1, wide);
  if (bits == 8)
    return n.sliceAxis(x, last, n.number(0), count);
  if (8 % bits == 0) {
    int64_t each = 8 / bits;
    Dims one = d, many = d, flat = d;
    one.push_back(n.number(1));
    many.push_back(n.number(each));
    flat[last] = gr::simplify(d[last] * each);
    Ints places;
    for (int64_t i = 0; i < each; ++i)
      places.push_back(i * bits);
    Value shifts = n.broadcastTo(n.constant(places, wide), many);
    Value parts = n.binary<gr::ShiftRightOp>(n.reshape(x, one), shifts);
    parts = n.binary<gr::AndOp>(parts, mask);
    return n.sliceAxis(n.reshape(parts, flat), last, n.number(0), count);
  }
  // A number may reach into the next byte.
  auto known = gr::constantOf(count), size = gr::constantOf(d[last]);
  if (!known || !size) {
    n.unsupported("packed rows of dynamic size");
    return {};
  }
  if (!n.require(*known * bits <= *size * 8, "rows of " + Twine(*size) +
                                                 " bytes are too short for " +
                                                 Twine(*known) + " numbers"))
    return {};
  Ints low, high, shift;
  for (int64_t i = 0; i < *known; ++i) {
    low.push_back(i * bits / 8);
    high.push_back(std::min(*size - 1, i * bits / 8 + 1));
    shift.push_back(i * bits % 8);
  }
  d[last] = count;
  auto byteAt = [&](const Ints &at) -> Value {
    RankedTensorType type = n.type(d, wide);
    Value index = n.constant(at, n.b.getI64Type());
    if (!type || !index)
      return {};
    return gr::GatherOp::create(n.b, n.loc, type, x, index,
                                n.b.getI64IntegerAttr(last));
  };
  Value both = n.binary<gr::OrOp>(
      byteAt(low),
      n.binary<gr::ShiftLeftOp>(byteAt(high), n.integerScalar(8, wide)));
  return n.binary<gr::AndOp>(
      n.binary<gr::ShiftRightOp>(both, n.constant(shift, wide)), mask);
}

/// One value per block along the last dimension for each of its elements.
static Value perElement(Node &n, Value blocks, int64_t block, AffineExpr size) {
  if (!blocks)
    return {};
  Dims d = dimsOf(blocks), wide = d, flat = d;
  int64_t last = int64_t(d.size()) - 1;
  wide.push_back(n.number(block));
  flat[last] = gr::simplify(d[last] * block);
  Ints positions;
  for (int64_t i = 0; i <= last; ++i)
    positions.push_back(i);
  Value all = n.reshape(n.broadcastIn(blocks, wide, positions), flat);
  return n.sliceAxis(all, last, n.number(0), size);
}

namespace {
/// A weight [..., rows, columns] of packed numbers.
struct Packed {
  Value bytes, scales, zeros;
  int64_t bits, block;
  AffineExpr columns;
};
} // namespace

/// The floats [..., columns] of packed rows [..., bytes] with scales
/// [..., blocks] and zero points as numbers or packed like the rows.
static Value floats(Node &n, const Packed &p) {
  Type real = n.b.getF32Type();
  Value q = unpack(n, p.bytes, p.bits, p.columns);
  Value scales = n.cast(p.scales, real);
  if (!q || !scales)
    return {};
  AffineExpr blocks = dimsOf(scales).back();
  Value zeros = p.zeros && elementOf(p.zeros).isInteger(8)
                    ? n.cast(unpack(n, p.zeros, p.bits, blocks), real)
                : p.zeros ? n.cast(p.zeros, real)
                          : n.full(double(1 << (p.bits - 1)), scales);
  Value w =
      n.subtract(n.cast(q, real), perElement(n, zeros, p.block, p.columns));
  return n.multiply(w, perElement(n, scales, p.block, p.columns));
}

static bool checkBits(Node &n, int64_t bits) {
  return n.require(bits >= 2 && bits <= 8,
                   "bits is " + Twine(bits) + ", expected 2 to 8");
}

static void matMulNBits(Node &n) {
  Value a = n.operand(0), bytes = n.operand(1), scales = n.operand(2);
  int64_t k = n.requiredInteger("K"), columns = n.requiredInteger("N");
  int64_t bits = n.integer("bits", 4), block = n.requiredInteger("block_size");
  if (!n.requireFloat(a) || !bytes || !scales || !checkBits(n, bits) ||
      !n.require(k > 0 && columns > 0 && block >= 16 &&
                     (block & (block - 1)) == 0 && block < (1 << 24) &&
                     k < (int64_t(1) << 31) && columns < (int64_t(1) << 31),
                 "K, N or block_size is out of range"))
    return;
  if (n.integer("weight_prepacked", 0))
    return n.unsupported("weight_prepacked");
  Type element = elementOf(a);
  AffineExpr rows = n.number(columns), depth = n.number(k);
  int64_t blocks = (k + block - 1) / block, blob = block * bits / 8;
  Value y;
  if (gr::isConstant(gr::numElements(tensorType(bytes)), 0)) {
    // A projection that is left out.
    Dims d = dimsOf(a);
    d.back() = rows;
    y = n.broadcastTo(n.scalar(0, element), d);
  } else {
    Dims grid = {rows, n.number(blocks)};
    scales = n.reshape(scales, grid);
    Value zeros = n.optionalOperand(3);
    if (zeros)
      zeros =
          elementOf(zeros).isInteger(8)
              ? n.reshape(zeros, Dims{rows, n.number((blocks * bits + 7) / 8)})
              : n.reshape(zeros, grid);
    Packed p{n.reshape(bytes, Dims{rows, n.number(blocks * blob)}),
             scales,
             zeros,
             bits,
             block,
             depth};
    Value w;
    if (n.has(4)) {
      // The block of each row of the weight is told.
      Type real = n.b.getF32Type();
      Value groups = n.operand(4);
      if (!groups || !n.require(rankOf(groups) == 1, "g_idx is not a vector"))
        return;
      groups = n.sliceAxis(groups, 0, n.number(0), depth);
      auto pick = [&](Value v) -> Value {
        RankedTensorType type = n.type({rows, depth}, real);
        if (!v || !type || !groups)
          return {};
        return gr::GatherOp::create(n.b, n.loc, type, n.cast(v, real), groups,
                                    n.b.getI64IntegerAttr(1));
      };
      if (zeros && elementOf(zeros).isInteger(8))
        zeros = unpack(n, zeros, bits, n.number(blocks));
      Value q = n.cast(unpack(n, p.bytes, bits, depth), real);
      q = zeros ? n.subtract(q, pick(zeros))
                : n.add(q, -double(1 << (bits - 1)));
      w = n.multiply(q, pick(scales));
    } else {
      w = floats(n, p);
    }
    y = n.dot(a, n.cast(w, element), {}, {}, {rankOf(a) - 1}, {1});
  }
  if (n.has(5))
    y = n.add(y, n.operand(5));
  n.set(0, y);
}

//===----------------------------------------------------------------------===//
// GatherBlockQuantized
//===----------------------------------------------------------------------===//

static void gatherBlockQuantized(Node &n) {
  Value data = n.operand(0), indices = n.operand(1), scales = n.operand(2);
  Value zeros = n.optionalOperand(3);
  if (!data || !indices || !scales || !n.requireFloat(scales))
    return;
  int64_t rank = rankOf(data), bits = n.integer("bits", 4);
  int64_t block = n.integer("block_size", 128);
  int64_t at = n.axis(n.integer("gather_axis", 0), rank);
  int64_t by = n.axis(n.integer("quantize_axis", 1), rank);
  if (n.failed() ||
      !n.require(rank == rankOf(scales) && (!zeros || rankOf(zeros) == rank),
                 "data, scales and zero points differ in rank"))
    return;
  Type element = elementOf(scales), real = n.b.getF32Type();
  bool floating = isa<FloatType>(elementOf(data));
  bool packed = elementOf(data).isInteger(8) && bits < 8;
  if (!floating && !checkBits(n, bits))
    return;
  if (packed &&
      !n.require(at != rank - 1, "packed data is gathered along its last axis"))
    return;
  // Rows are taken out of what is stored and only those become floats, unless
  // a block runs along the gathered axis.
  bool first = at != by;
  auto gathered = [&](Value v) -> Value {
    if (!v)
      return {};
    Dims from = dimsOf(v), dims(from.begin(), from.begin() + at);
    dims.append(dimsOf(indices));
    dims.append(from.begin() + at + 1, from.end());
    // One scale for all rows.
    Value where = indices;
    if (gr::isConstant(from[at], 1))
      where = n.broadcastTo(n.integerScalar(0, elementOf(indices)),
                            dimsOf(indices));
    RankedTensorType type = n.type(dims, elementOf(v));
    if (!type || !where)
      return {};
    return gr::GatherOp::create(n.b, n.loc, type, v, where,
                                n.b.getI64IntegerAttr(at));
  };
  AffineExpr size = dimsOf(data)[at];
  AffineExpr scaleColumns = dimsOf(scales)[rank - 1];
  int64_t shift = rankOf(indices) - 1;
  if (first) {
    data = gathered(data);
    scales = gathered(scales);
    zeros = zeros ? gathered(zeros) : Value();
    by = by > at ? by + shift : by;
  }
  if (!data || !scales || n.failed())
    return;
  if (packed) {
    int64_t each = 8 / bits;
    data = unpack(n, data, bits, gr::simplify(dimsOf(data).back() * each));
    if (zeros)
      zeros = unpack(n, zeros, bits, scaleColumns);
  }
  Value q = n.cast(data, real);
  scales = n.cast(scales, real);
  if (!q || !scales)
    return;
  // [.., k, ..] to [.., k * block, ..], cut to size.
  auto spread = [&](Value v) -> Value {
    Dims d = dimsOf(q), from = dimsOf(v), wide, flat = from;
    if (block == 0 || gr::equal(from[by], d[by]))
      return n.broadcastTo(v, d);
    Ints positions;
    for (int64_t i = 0; i < int64_t(from.size()); ++i) {
      positions.push_back(wide.size());
      wide.push_back(from[i]);
      if (i == by)
        wide.push_back(n.number(block));
    }
    flat[by] = gr::simplify(from[by] * block);
    Value all = n.reshape(n.broadcastIn(v, wide, positions), flat);
    return n.broadcastTo(n.sliceAxis(all, by, n.number(0), d[by]), d);
  };
  if (zeros)
    q = n.subtract(q, spread(n.cast(zeros, real)));
  else if (!floating && elementOf(n.operand(0)).isInteger(8))
    q = n.add(q, -double(1 << (bits - 1)));
  Value y = n.multiply(q, spread(scales));
  if (!first)
    y = gathered(y);
  if (!y)
    return;
  // An index out of range gives zeros.
  auto limit = [&](AffineExpr e) {
    return n.importer.materialize(
        *n.knownScalar(gr::simplify(e), elementOf(indices)));
  };
  Value inside = n.binary<gr::AndOp>(
      n.compare(gr::Comparison::less, indices, limit(size)),
      n.compare(gr::Comparison::greater_equal, indices, limit(size * -1)));
  Dims places(rankOf(y), n.number(1));
  for (auto [i, dim] : llvm::enumerate(dimsOf(indices)))
    places[at + i] = dim;
  y = n.select(n.reshape(inside, places), y, n.full(0, y));
  if (y)
    n.set(0, n.cast(y, element));
}

//===----------------------------------------------------------------------===//
// Mixtures of experts
//===----------------------------------------------------------------------===//

/// The weight [M, E] of each expert for each token: zero but for the k of the
/// largest probabilities, the later one first among equals.
static Value routes(Node &n, Value logits, Value given, int64_t k) {
  Value p = n.softmax(widen(n, logits), 1);
  if (!p)
    return {};
  Dims d = dimsOf(p);
  Dims grid = {d[0], d[1], d[1]};
  // The rank of expert 1 among experts 2.
  Value self = n.broadcastIn(p, grid, {0, 1});
  Value other = n.broadcastIn(p, grid, {0, 2});
  Type index = n.b.getI32Type();
  Value later = n.compare(gr::Comparison::greater, n.iota(grid, index, 2),
                          n.iota(grid, index, 1));
  Value before = n.binary<gr::OrOp>(
      n.compare(gr::Comparison::greater, other, self),
      n.binary<gr::AndOp>(n.compare(gr::Comparison::equal, other, self),
                          later));
  Value rank = n.reduce(n.cast(before, index), gr::ReduceKind::sum, {2}, false);
  if (!rank)
    return {};
  Value chosen =
      n.compare(gr::Comparison::less, rank, n.integerScalar(k, index));
  Value w = given ? widen(n, given) : p;
  w = n.select(chosen, w, n.full(0, w));
  if (n.integer("normalize_routing_weights", 0))
    w = n.divide(w, n.reduce(w, gr::ReduceKind::sum, {1}, true));
  return w;
}

namespace {
/// Weights [E, out, in] and biases [E, out], as floats; the third is absent
/// or the gate's partner.
struct Experts {
  Value weights[3], biases[3];
};
} // namespace

static void mixExperts(Node &n, const Experts &e, Value given) {
  Value x = n.operand(0), logits = n.operand(1);
  if (!n.requireFloat(x) || !logits || !e.weights[0] || !e.weights[1])
    return;
  if (n.integer("use_sparse_mixer", 0) ||
      n.integer("swiglu_limit_after_activation", 0))
    return n.unsupported("use_sparse_mixer or swiglu_limit_after_activation");
  Dims shape = dimsOf(x);
  AffineExpr tokens = n.number(1);
  for (AffineExpr dim : ArrayRef(shape).drop_back())
    tokens = gr::simplify(tokens * dim);
  Value flat = widen(n, n.reshape(x, Dims{tokens, shape.back()}));
  int64_t k = n.integer("k", 1);
  if (!n.require(rankOf(logits) == 2 && k > 0,
                 "router_probs does not have 2 dimensions, or k is " +
                     Twine(k)))
    return;
  Value w = routes(n, logits, given, k);
  auto project = [&](unsigned i) {
    Value y = n.dot(flat, e.weights[i], {}, {}, {1}, {2});
    return e.biases[i] ? n.add(y, widen(n, e.biases[i])) : y;
  };
  std::string how = n.string("activation_type", "relu");
  int64_t fusion = n.integer("swiglu_fusion", 0);
  bool gated = how == "swiglu" || how == "geglu";
  Value h = project(0), up;
  if (!h)
    return;
  if (gated && fusion) {
    // Gate and partner in one product: alternating, or one after the other.
    Dims d = dimsOf(h);
    AffineExpr half = gr::simplify(d[2].floorDiv(2));
    Dims single = {d[0], d[1], half};
    if (fusion == 1) {
      Value pairs = n.reshape(h, Dims{d[0], d[1], half, n.number(2)});
      h = n.reshape(n.sliceAxis(pairs, 3, n.number(0), n.number(1)), single);
      up = n.reshape(n.sliceAxis(pairs, 3, n.number(1), n.number(1)), single);
    } else {
      up = n.sliceAxis(h, 2, half, half);
      h = n.sliceAxis(h, 2, n.number(0), half);
    }
  } else if (e.weights[2]) {
    up = project(2);
  }
  if (how == "relu") {
    h = n.maximum(h, 0.0);
  } else if (how == "relu2") {
    h = n.maximum(h, 0.0);
    h = n.multiply(h, h);
  } else if (how == "gelu") {
    h = tanhGeluOf(n, h);
  } else if (how == "geglu") {
    h = tanhGeluOf(n, h);
  } else if (how == "silu") {
    h = siluOf(n, h);
  } else if (how == "swiglu") {
    if (n.hasAttribute("swiglu_limit")) {
      double limit = n.real("swiglu_limit", 0);
      h = n.minimum(h, limit);
      if (up)
        up = n.minimum(n.maximum(up, -limit), limit);
    }
    h = siluOf(n, h, n.real("activation_alpha", 1));
    if (up)
      up = n.affine(up, 1, n.real("activation_beta", 0));
  } else if (how != "identity") {
    return n.fail("activation_type is \"" + how +
                  "\", expected relu, gelu, silu, swiglu or identity");
  }
  if (up)
    h = n.multiply(h, up);
  if (!h || !w)
    return;
  // The weight of a route before the last product lets that one sum over the
  // experts, too.
  Dims d = dimsOf(h);
  h = n.multiply(h, n.reshape(w, Dims{d[0], d[1], n.number(1)}));
  Value y = n.dot(h, e.weights[1], {}, {}, {1, 2}, {0, 2});
  if (e.biases[1])
    y = n.add(y, n.dot(w, widen(n, e.biases[1]), {}, {}, {1}, {0}));
  if (y)
    n.set(0, n.cast(n.reshape(y, shape), elementOf(x)));
}

static void moe(Node &n) {
  Experts e;
  for (unsigned i = 0; i < 3; ++i) {
    unsigned at = 2 + 2 * i;
    e.weights[i] = widen(n, n.optionalOperand(at));
    e.biases[i] = n.optionalOperand(at + 1);
  }
  mixExperts(n, e, {});
}

static void qMoe(Node &n) {
  std::string type = n.string("quant_type", "int");
  if (type != "int")
    return n.unsupported("quant_type " + type);
  int64_t common = n.integer("expert_weight_bits", 4);
  int64_t block = n.integer("block_size", 0);
  Experts e;
  static constexpr const char *names[] = {"fc1_expert_weight_bits",
                                          "fc2_expert_weight_bits",
                                          "fc3_expert_weight_bits"};
  for (unsigned i = 0; i < 3; ++i) {
    unsigned at = 2 + 3 * i;
    if (!n.has(at))
      continue;
    Value bytes = n.operand(at), scales = n.operand(at + 1);
    Value zeros = n.optionalOperand(11 + i);
    int64_t bits = n.integer(names[i], common);
    if (!bytes || !scales || !checkBits(n, bits) ||
        !n.require(rankOf(bytes) == 3, "weights do not have 3 dimensions"))
      return;
    Dims d = dimsOf(bytes);
    AffineExpr columns = gr::simplify((d[2] * 8).floorDiv(bits));
    auto width = gr::constantOf(columns), rows = gr::constantOf(d[1]);
    if (!width || !rows)
      return n.unsupported("weights of dynamic size");
    int64_t size = block > 0 ? block : *width;
    if (rankOf(scales) == 2) {
      // One scale for a row; zero points are packed along the rows.
      if (zeros) {
        zeros = unpack(n, zeros, bits, d[1]);
        zeros = n.reshape(zeros, Dims{d[0], d[1], n.number(1)});
      }
      scales = n.reshape(scales, Dims{d[0], d[1], n.number(1)});
      size = *width;
    }
    e.weights[i] = floats(n, {bytes, scales, zeros, bits, size, columns});
    e.biases[i] = n.optionalOperand(at + 2);
  }
  mixExperts(n, e, n.optionalOperand(14));
}

llvm::ArrayRef<Operator> aicc::onnx::microsoftBlockOperators() {
  static constexpr const char *ms = "com.microsoft";
  static constexpr Operator table[] = {
      {ms, "MatMulNBits", 1, matMulNBits},
      {ms, "GatherBlockQuantized", 1, gatherBlockQuantized},
      {ms, "MoE", 1, moe},
      {ms, "QMoE", 1, qMoe},
  };
  return table;
}
