//===- OperatorsRandom.cpp - random numbers and dropout -----------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A node with a seed draws the numbers of the standard's reference
// implementation, which are those of NumPy's RandomState: the Mersenne twister
// MT19937 (Matsumoto and Nishimura, 1998) and, of its 32-bit words in pairs,
// 53-bit numbers. The generator is a loop of integer operators, each trip of
// which makes 624 words, so that every target draws the same.
//
// Without a seed, numbers are functions of a key and the position of an element
// (Philox 4x32, Salmon et al., "Parallel random numbers: as easy as 1, 2, 3").
// A node has a key of its own, which is the same in every run. So have what the
// reference has no numbers for: Multinomial, and seeds that RandomState
// refuses.
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

//===----------------------------------------------------------------------===//
// NumPy's generator
//===----------------------------------------------------------------------===//

/// The seed as RandomState takes it: a whole number of 32 bits.
static std::optional<uint32_t> legacySeed(Node &n) {
  if (!n.hasAttribute("seed"))
    return std::nullopt;
  // Dropout's seed is an integer, all others are floats.
  const proto::AttributeProto *seed = n.attribute("seed", 0);
  if (seed->has_i() || seed->type() == 2) {
    if (seed->i() < 0 || seed->i() > UINT32_MAX)
      return std::nullopt;
    return static_cast<uint32_t>(seed->i());
  }
  if (!(seed->f() > -1 && seed->f() < 0x1p32f))
    return std::nullopt;
  return static_cast<uint32_t>(seed->f());
}

namespace {

/// The stream of one MT19937.
class Twister {
public:
  Twister(Node &n, uint32_t seed)
      : n(n), word(n.b.getIntegerType(32, /*isSigned=*/false)),
        wide(n.b.getIntegerType(64, /*isSigned=*/false)), seed(seed) {}
  /// The first numbers of 53 bits, as integers.
  Value integers(AffineExpr count);

private:
  Value number(uint64_t value, Type type) {
    return n.integerScalar(static_cast<int64_t>(value), type);
  }
  Value masked(Value x, uint32_t mask) {
    return n.binary<gr::AndOp>(x, number(mask, word));
  }
  Value shifted(Value x, unsigned by, bool left) {
    return left ? n.binary<gr::ShiftLeftOp>(x, number(by, elementOf(x)))
                : n.binary<gr::ShiftRightOp>(x, number(by, elementOf(x)));
  }
  Value exclusive(Value x, Value y) { return n.binary<gr::XorOp>(x, y); }
  Value part(Value x, int64_t from, int64_t size) {
    return n.sliceAxis(x, 0, n.number(from), n.number(size));
  }
  /// What the word `distance` further on is combined with.
  Value twisted(Value high, Value low);
  Value next(Value state);
  Value tempered(Value x);

  static constexpr int64_t size = 624, distance = 397;
  Node &n;
  Type word, wide;
  uint32_t seed;
};

} // namespace

Value Twister::twisted(Value high, Value low) {
  Value y =
      n.binary<gr::OrOp>(masked(high, 0x80000000), masked(low, 0x7fffffff));
  return exclusive(shifted(y, 1, false),
                   n.multiply(masked(y, 1), number(0x9908b0df, word)));
}

/// Every word is made of three, some of which are new ones: in parts, each of
/// which only needs those before it.
Value Twister::next(Value state) {
  constexpr int64_t part0 = size - distance, rest = size - 1 - 2 * part0;
  auto mix = [&](int64_t from, int64_t count) {
    return twisted(part(state, from, count), part(state, from + 1, count));
  };
  Value first = exclusive(part(state, distance, part0), mix(0, part0));
  Value second = exclusive(first, mix(part0, part0));
  Value third = exclusive(part(second, 0, rest), mix(2 * part0, rest));
  Value last = exclusive(part(second, rest, 1),
                         twisted(part(state, size - 1, 1), part(first, 0, 1)));
  return n.concatenate({first, second, third, last}, 0);
}

Value Twister::tempered(Value x) {
  x = exclusive(x, shifted(x, 11, false));
  x = exclusive(x, masked(shifted(x, 7, true), 0x9d2c5680));
  x = exclusive(x, masked(shifted(x, 15, true), 0xefc60000));
  return exclusive(x, shifted(x, 18, false));
}

Value Twister::integers(AffineExpr count) {
  if (n.failed())
    return {};
  Ints start;
  uint32_t value = seed;
  for (int64_t i = 0; i < size; ++i) {
    start.push_back(value);
    value =
        1812433253u * (value ^ (value >> 30)) + static_cast<uint32_t>(i + 1);
  }
  Value state = n.constant(start, word);
  // One more than needed at times: a loop of no trips would need a case.
  AffineExpr trips = gr::simplify(count.floorDiv(size / 2) + 1);
  Value words;
  if (gr::constantOf(trips) == 1) {
    words = next(state);
  } else {
    Dims all = {trips, n.number(size)};
    auto results =
        n.repeat(trips, {state, n.broadcastTo(number(0, word), all)},
                 [&](AffineExpr trip, ArrayRef<Value> carried) {
                   Value made = next(carried[0]);
                   Value row = n.reshape(made, {n.number(1), n.number(size)});
                   return SmallVector<Value>{
                       made, n.update(carried[1], row, {trip, n.number(0)})};
                 });
    if (results.empty())
      return {};
    words = results[1];
  }
  Dims pairs = {gr::simplify(trips * (size / 2)), n.number(2)};
  words = n.sliceAxis(n.reshape(words, pairs), 0, n.number(0), count);
  words = tempered(words);
  auto column = [&](int64_t i, unsigned drop) {
    Value x =
        n.reshape(n.sliceAxis(words, 1, n.number(i), n.number(1)), {count});
    return n.cast(x ? shifted(x, drop, false) : x, wide);
  };
  Value high = column(0, 5);
  return n.binary<gr::OrOp>(high ? shifted(high, 26, true) : high,
                            column(1, 6));
}

static AffineExpr elementsOf(Node &n, ArrayRef<AffineExpr> dims) {
  AffineExpr count = n.number(1);
  for (AffineExpr dim : dims)
    count = gr::simplify(count * dim);
  return count;
}

/// Numbers of 53 bits as floats in [0, 1).
static Value fraction(Node &n, Value bits, Type real) {
  return n.multiply(n.cast(bits, real), 0x1p-53);
}

/// RandomState.randn: Marsaglia's polar method, which throws away the pairs
/// outside of the unit circle.
static Value legacyNormal(Node &n, uint32_t seed, ArrayRef<AffineExpr> dims) {
  AffineExpr count = elementsOf(n, dims);
  AffineExpr pairs = gr::simplify((count + 1).floorDiv(2));
  // Of pi / 4 of all. As many as are sure to do for any seed.
  AffineExpr drawn = gr::simplify(pairs + pairs.floorDiv(2) + 64);
  Type real = n.b.getF64Type();
  Value u =
      fraction(n, Twister(n, seed).integers(gr::simplify(drawn * 2)), real);
  u = n.reshape(n.affine(u, 2, -1), {drawn, n.number(2)});
  auto column = [&](Value x, int64_t i) {
    Value one = n.sliceAxis(x, 1, n.number(i), n.number(1));
    return one ? n.reshape(one, {dimsOf(one)[0]}) : one;
  };
  auto radius = [&](Value x) {
    Value a = column(x, 0), b = column(x, 1);
    return n.add(n.multiply(a, a), n.multiply(b, b));
  };
  Value r2 = radius(u);
  if (!r2)
    return {};
  Value kept = n.binary<gr::AndOp>(
      n.compare(gr::Comparison::less, r2, n.scalar(1, real)),
      n.compare(gr::Comparison::greater, r2, n.scalar(0, real)));
  Value order = positionsOf(n, kept, pairs);
  RankedTensorType type = n.type({pairs, n.number(2)}, real);
  if (!order || !type)
    return {};
  Value chosen = gr::GatherOp::create(n.b, n.loc, type, u, order,
                                      n.b.getI64IntegerAttr(0));
  r2 = radius(chosen);
  Value f = n.unary<gr::SqrtOp>(
      n.divide(n.multiply(n.unary<gr::LogOp>(r2), -2.0), r2));
  // The second of a pair comes first.
  auto each = [&](int64_t i) {
    Value x = n.multiply(f, column(chosen, i));
    return n.reshape(x, {pairs, n.number(1)});
  };
  Value both = n.concatenate({each(1), each(0)}, 1);
  both = n.reshape(both, {gr::simplify(pairs * 2)});
  return n.reshape(n.sliceAxis(both, 0, n.number(0), count), dims);
}

//===----------------------------------------------------------------------===//
// Distributions
//===----------------------------------------------------------------------===//

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

/// RandomState's uniform numbers, as integers of 53 bits.
static Value legacyBits(Node &n, uint32_t seed, ArrayRef<AffineExpr> dims) {
  return n.reshape(Twister(n, seed).integers(elementsOf(n, dims)), dims);
}

/// A probability as such an integer, rounded up.
static Value bitsOf(Node &n, Value p) {
  return n.cast(n.unary<gr::CeilOp>(n.multiply(p, 0x1p53)),
                n.b.getIntegerType(64, /*isSigned=*/false));
}

template <bool normal>
static void draw(Node &n, ArrayRef<AffineExpr> dims, Type element) {
  if (!element || !isa<FloatType>(element) ||
      element.getIntOrFloatBitWidth() < 16)
    return n.fail("dtype is " + Twine(n.integer("dtype", FLOAT)) +
                  ", expected a float");
  Type real = drawnType(n, element);
  Value y;
  double low = n.real("low", 0), high = n.real("high", 1);
  if (auto seed = legacySeed(n)) {
    // Rounded to the result's type before they are scaled. One rounding of the
    // 53 bits to float32 is what rounding a double gives.
    y = normal ? legacyNormal(n, *seed, dims)
               : fraction(n, legacyBits(n, *seed, dims),
                          element.isF32() ? element : n.b.getF64Type());
    y = n.cast(y, element);
    y = normal ? n.affine(y, n.real("scale", 1), n.real("mean", 0))
               : n.affine(y, high - low, low);
    return n.set(0, y);
  }
  if (normal) {
    y = n.affine(drawNormal(n, dims, real), n.real("scale", 1),
                 n.real("mean", 0));
  } else {
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

/// RandomState.binomial(1, p), which inverts the distribution function of p or
/// of 1 - p, whichever is less.
static Value legacyBinomial(Node &n, uint32_t seed, Value p) {
  if (!p)
    return {};
  Value bits = legacyBits(n, seed, dimsOf(p)), level = bitsOf(n, p);
  if (!bits)
    return {};
  Value one = n.integerScalar(int64_t(1) << 53, elementOf(bits));
  Value rare = n.compare(gr::Comparison::greater, n.add(bits, level), one);
  Value likely = n.compare(gr::Comparison::less_equal, bits, level);
  Value half = n.compare(gr::Comparison::less_equal, p, n.full(0.5, p));
  return n.select(half, rare, likely);
}

static void bernoulli(Node &n) {
  Value p = n.operand(0);
  if (!n.requireFloat(p))
    return;
  Type element = typeLike(n);
  if (!element)
    return n.unsupported("the type dtype");
  Type real = drawnType(n, elementOf(p));
  p = n.cast(p, real);
  if (auto seed = legacySeed(n))
    return n.set(0, n.cast(legacyBinomial(n, *seed, p), element));
  Value u = drawUniform(n, dimsOf(p), real);
  n.set(0, n.cast(n.compare(gr::Comparison::less, u, p), element));
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
  Value keep;
  if (auto seed = legacySeed(n)) {
    Value bits = legacyBits(n, *seed, dimsOf(x));
    keep = n.compare(gr::Comparison::greater_equal, bits, bitsOf(n, ratio));
  } else {
    Value u = drawUniform(n, dimsOf(x), real);
    keep = n.compare(gr::Comparison::greater_equal, u, ratio);
  }
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
