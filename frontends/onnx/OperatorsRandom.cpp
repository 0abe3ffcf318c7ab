//===- OperatorsRandom.cpp - random numbers and dropout -----------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Numbers are functions of a key and the position of an element (Philox 4x32,
// Salmon et al., "Parallel random numbers: as easy as 1, 2, 3"), so that every
// target computes the same ones, in any order. The key is the node's seed; a
// node without one gets a key of its own, which is the same in every run.
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/Node.h"

#include "llvm/ADT/StringExtras.h"

#include <array>
#include <cmath>
#include <cstring>

using namespace mlir;
using namespace aicc::onnx;
using llvm::StringRef;
using llvm::Twine;
namespace gr = aicc::graph;

namespace {

/// The random words of one node, in tensors of its result's dimensions. All
/// arithmetic is on 64-bit numbers below 2^32.
class Philox {
public:
  Philox(Node &n, ArrayRef<AffineExpr> dims);
  /// In [0, 1), from word i (words i and i + 1 for f64).
  Value uniform(unsigned i, Type real);

private:
  Value number(uint64_t value) {
    return n.integerScalar(static_cast<int64_t>(value), word);
  }
  Value low(Value x) { return n.binary<gr::AndOp>(x, number(0xffffffff)); }
  Value high(Value x) { return n.binary<gr::ShiftRightOp>(x, number(32)); }
  Value exclusive(Value x, Value y) { return n.binary<gr::XorOp>(x, y); }

  Node &n;
  Type word;
  std::array<Value, 4> words;
};

} // namespace

Philox::Philox(Node &n, ArrayRef<AffineExpr> dims)
    : n(n), word(n.b.getIntegerType(64, /*isSigned=*/false)) {
  uint32_t key[2];
  if (n.hasAttribute("seed")) {
    auto *seed = n.attribute("seed", 0);
    // Dropout's seed is an integer, all others are floats.
    if (seed->has_i() || seed->type() == 2) {
      auto value = static_cast<uint64_t>(seed->i());
      key[0] = static_cast<uint32_t>(value);
      key[1] = static_cast<uint32_t>(value >> 32);
    } else {
      float value = seed->f();
      std::memcpy(&key[0], &value, sizeof(value));
      key[1] = 1;
    }
  } else {
    key[0] = static_cast<uint32_t>(n.importer.unseeded++);
    key[1] = 0x5eed0000;
  }
  AffineExpr count = n.number(1);
  for (AffineExpr dim : dims)
    count = gr::simplify(count * dim);
  Value index = n.iota({count}, word, 0);
  // The iterations of the loops around: each draws other numbers.
  Value trip = number(0);
  for (AffineExpr iteration : n.importer.iterations) {
    RankedTensorType one = RankedTensorType::get({1}, n.b.getI64Type());
    Value now = gr::DimensionsOp::create(
        n.b, n.loc, one,
        AffineMapAttr::get(
            gr::makeMap(ArrayRef<AffineExpr>{iteration}, n.importer.context)));
    now = n.cast(n.reshape(now, {}), word);
    trip = n.add(n.multiply(trip, number(0x9e3779b1)), now);
  }
  std::array<Value, 4> c = {low(index), high(index), low(trip), high(trip)};
  for (Value &value : c)
    value = n.broadcastTo(value, {count});
  for (int round = 0; round < 10 && !n.failed(); ++round) {
    Value a = n.multiply(c[0], number(0xd2511f53));
    Value b = n.multiply(c[2], number(0xcd9e8d57));
    c = {exclusive(exclusive(high(b), c[1]), number(key[0])), low(b),
         exclusive(exclusive(high(a), c[3]), number(key[1])), low(a)};
    key[0] += 0x9e3779b9;
    key[1] += 0xbb67ae85;
  }
  for (auto [from, to] : llvm::zip(c, words))
    to = n.reshape(from, dims);
}

Value Philox::uniform(unsigned i, Type real) {
  if (real.isF64()) {
    Value bits = n.binary<gr::OrOp>(
        n.binary<gr::ShiftLeftOp>(words[i], number(32)), words[i + 1]);
    bits = n.binary<gr::ShiftRightOp>(bits, number(11));
    return n.multiply(n.cast(bits, real), 0x1p-53);
  }
  // What f32 holds exactly.
  Value bits = n.binary<gr::ShiftRightOp>(words[i], number(8));
  return n.multiply(n.cast(bits, real), 0x1p-24);
}

/// Narrow floats are drawn in float32.
static Type drawnType(Node &n, Type element) {
  return element.isF64() ? element : Type(n.b.getF32Type());
}

static Value drawUniform(Node &n, ArrayRef<AffineExpr> dims, Type real) {
  if (n.failed())
    return {};
  return Philox(n, dims).uniform(0, real);
}

/// Box and Muller's transform of two uniform numbers.
static Value drawNormal(Node &n, ArrayRef<AffineExpr> dims, Type real) {
  if (n.failed())
    return {};
  Philox random(n, dims);
  Value first = n.affine(random.uniform(0, real), -1, 1); // In (0, 1].
  Value second = random.uniform(2, real);
  Value radius =
      n.unary<gr::SqrtOp>(n.multiply(n.unary<gr::LogOp>(first), -2.0));
  return n.multiply(radius, n.unary<gr::CosOp>(n.multiply(second, 2 * M_PI)));
}

template <bool normal>
static void draw(Node &n, ArrayRef<AffineExpr> dims, Type element) {
  if (!element || !isa<FloatType>(element) ||
      element.getIntOrFloatBitWidth() < 16)
    return n.fail("dtype is " + Twine(n.integer("dtype", FLOAT)) +
                  ", expected a float");
  Type real = drawnType(n, element);
  Value y;
  if (normal) {
    y = n.affine(drawNormal(n, dims, real), n.real("scale", 1),
                 n.real("mean", 0));
  } else {
    double low = n.real("low", 0), high = n.real("high", 1);
    y = n.affine(drawUniform(n, dims, real), high - low, low);
  }
  n.set(0, n.cast(y, element));
}

template <bool normal> static void randomOfShape(Node &n) {
  if (!n.require(n.hasAttribute("shape"), "attribute \"shape\" is missing"))
    return;
  Dims dims;
  for (int64_t dim : n.integers("shape")) {
    if (!n.require(dim >= 0, "shape has dimension " + Twine(dim) +
                                 ", expected at least 0"))
      return;
    dims.push_back(n.number(dim));
  }
  draw<normal>(n, dims,
               elementType(n.importer.context, n.integer("dtype", FLOAT)));
}

/// The type asked for by dtype, or the input's.
static Type typeLike(Node &n) {
  if (n.hasAttribute("dtype"))
    return elementType(n.importer.context, n.integer("dtype", FLOAT));
  return n.input(0)->element;
}

template <bool normal> static void randomLike(Node &n) {
  if (n.require(n.has(0), "input 0 is missing"))
    draw<normal>(n, n.input(0)->dims, typeLike(n));
}

static void bernoulli(Node &n) {
  Value p = n.operand(0);
  if (!n.requireFloat(p))
    return;
  Type element = typeLike(n);
  if (!element)
    return n.unsupported("the type dtype");
  Type real = drawnType(n, elementOf(p));
  Value u = drawUniform(n, dimsOf(p), real);
  n.set(0,
        n.cast(n.compare(gr::Comparison::less, u, n.cast(p, real)), element));
}

/// Counts the classes whose cumulative probability a uniform number exceeds.
static void multinomial(Node &n) {
  Value x = n.operand(0);
  int64_t samples = n.integer("sample_size", 1);
  int64_t to = n.integer("dtype", INT32);
  if (!n.requireFloat(x) ||
      !n.require(rankOf(x) == 2, "the operand has " + Twine(rankOf(x)) +
                                     " dimensions, expected 2") ||
      !n.require(samples >= 0 && samples < (int64_t(1) << 31),
                 "sample_size is " + Twine(samples) +
                     ", expected at least 0") ||
      !n.require(to == INT32 || to == INT64,
                 "dtype is " + Twine(to) + ", expected int32 or int64"))
    return;
  Type real = drawnType(n, elementOf(x)), index = n.b.getI32Type();
  Dims d = dimsOf(x);
  Value p = n.softmax(n.cast(x, real), 1);
  if (!p)
    return;
  Value sums = gr::CumulativeOp::create(
      n.b, n.loc, p.getType(), p,
      gr::ReduceKindAttr::get(n.b.getContext(), gr::ReduceKind::sum),
      n.b.getI64IntegerAttr(1), UnitAttr(), UnitAttr());
  Value u = drawUniform(n, {d[0], n.number(samples)}, real);
  Value above = n.compare(gr::Comparison::greater_equal,
                          n.reshape(u, {d[0], n.number(samples), n.number(1)}),
                          n.reshape(sums, {d[0], n.number(1), d[1]}));
  Value chosen =
      n.reduce(n.cast(above, index), gr::ReduceKind::sum, {2}, false);
  // Rounding may leave the last sum below one.
  Value last = n.cast(
      n.importer.materialize(*n.knownScalar(gr::simplify(d[1] - 1))), index);
  n.set(0, n.cast(n.minimum(chosen, last),
                  elementType(n.importer.context, static_cast<int32_t>(to))));
}

//===----------------------------------------------------------------------===//
// Dropout
//===----------------------------------------------------------------------===//

/// Before version 12 a node that is exported for use does not drop anything;
/// from there on two inputs say what it does, which may differ from run to run.
static void dropout(Node &n) {
  Value x = n.operand(0);
  if (!x)
    return;
  Type boolean = n.b.getI1Type();
  Type maskType = n.version >= 10 ? boolean : elementOf(x);
  auto keepAll = [&] {
    n.set(0, x);
    if (n.wants(1))
      n.set(1, n.full(1, x, maskType));
  };
  if (n.version < 12 || !n.has(2) || n.numberOf(2) == 0.0)
    return keepAll();
  if (n.has(1) ? n.numberOf(1) == 0.0 : false)
    return keepAll();
  if (!n.requireFloat(x))
    return;
  Type real = drawnType(n, elementOf(x));
  Value ratio = n.has(1) ? n.cast(n.reshape(n.operand(1), {}), real)
                         : n.scalar(0.5, real);
  Value training = n.cast(n.reshape(n.operand(2), {}), boolean);
  Value u = drawUniform(n, dimsOf(x), real);
  Value keep = n.compare(gr::Comparison::greater_equal, u, ratio);
  Value factor = n.unary<gr::ReciprocalOp>(n.affine(ratio, -1, 1));
  Value kept = n.multiply(n.cast(x, real), factor);
  kept = n.select(keep, kept, n.scalar(0, real));
  n.set(0, n.select(training, n.cast(kept, elementOf(x)), x));
  if (n.wants(1) && keep)
    n.set(1, n.select(training, keep, n.full(1, x, boolean)));
}

llvm::ArrayRef<Operator> aicc::onnx::randomOperators() {
  static constexpr Operator table[] = {
      {"", "RandomNormal", 1, randomOfShape<true>},
      {"", "RandomUniform", 1, randomOfShape<false>},
      {"", "RandomNormalLike", 1, randomLike<true>},
      {"", "RandomUniformLike", 1, randomLike<false>},
      {"", "Bernoulli", 15, bernoulli},
      {"", "Multinomial", 7, multinomial},
      {"", "Dropout", 1, dropout},
  };
  return table;
}
