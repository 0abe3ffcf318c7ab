//===- OperatorsOrder.cpp - sorting, running sums, sequences ------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/Node.h"

#include "llvm/Support/MathExtras.h"

#include <limits>

using namespace mlir;
using namespace aicc::onnx;
using llvm::Twine;
namespace gr = aicc::graph;

/// Merges sorted runs of one element along the last dimension of `order` until
/// they have 2 ** passes; `keys` may be shorter than the order.
static Value mergeRuns(Node &n, Value keys, Value order, AffineExpr passes,
                       bool descending) {
  if (!keys || !order || n.failed() || gr::isConstant(passes, 0))
    return order;
  SmallVector<Value> merged = n.repeat(
      passes, order,
      [&](AffineExpr pass, ArrayRef<Value> carried) -> SmallVector<Value> {
        auto map = gr::makeMap(pass, n.importer.context);
        return {gr::MergeRunsOp::create(n.b, n.loc, order.getType(), keys,
                                        carried[0], AffineMapAttr::get(map),
                                        descending ? n.b.getUnitAttr()
                                                   : UnitAttr())};
      });
  return merged.empty() ? Value() : merged[0];
}

/// How often a run of one element must double to hold `size`: the number of
/// powers of two below it.
static AffineExpr doublings(Node &n, AffineExpr size) {
  if (auto count = gr::constantOf(size))
    return n.number(*count < 2 ? 0 : llvm::Log2_64_Ceil(*count));
  AffineExpr passes = n.number(0);
  for (unsigned i = 0; i < 31; ++i)
    passes =
        passes + (size - 1).floorDiv(int64_t(1) << i).ceilDiv(int64_t(1) << 32);
  return passes;
}

static Value gatherLast(Node &n, Value x, Value indices) {
  if (!x || !indices || n.failed())
    return {};
  RankedTensorType type = n.type(dimsOf(indices), elementOf(x));
  if (!type)
    return {};
  return gr::GatherElementsOp::create(n.b, n.loc, type, x, indices,
                                      n.b.getI64IntegerAttr(rankOf(x) - 1));
}

Value aicc::onnx::sortedOrder(Node &n, Value keys, AffineExpr wanted,
                              bool descending) {
  if (!keys || n.failed())
    return {};
  Type i64 = n.b.getI64Type();
  int64_t last = rankOf(keys) - 1;
  Dims dims = dimsOf(keys);
  auto size = gr::constantOf(dims[last]), count = gr::constantOf(wanted);
  // Few of many: only the first of every block can be among them.
  Value candidates;
  while (size && count && *count > 0) {
    int64_t block =
        std::max<int64_t>(64, llvm::PowerOf2Ceil(4 * uint64_t(*count)));
    if (*size < 4 * block)
      break;
    int64_t blocks = llvm::divideCeil(*size, block);
    Dims padded = dims;
    padded[last] = n.number(blocks * block);
    Value order = mergeRuns(n, keys, n.iota(padded, i64, last),
                            n.number(llvm::Log2_64(block)), descending);
    Dims split = padded, firsts = padded;
    split[last] = n.number(blocks);
    split.push_back(n.number(block));
    order = n.reshape(order, split);
    order = n.sliceAxis(order, last + 1, n.number(0), n.number(*count));
    firsts[last] = n.number(blocks * *count);
    order = n.reshape(order, firsts);
    // What lies beyond the keys comes last in the last block.
    int64_t rest = std::min(*size - (blocks - 1) * block, *count);
    size = (blocks - 1) * *count + rest;
    dims[last] = n.number(*size);
    order = n.sliceAxis(order, last, n.number(0), dims[last]);
    keys = gatherLast(n, keys, order);
    candidates = candidates ? gatherLast(n, candidates, order) : order;
    if (!keys)
      return {};
  }
  Value order = mergeRuns(n, keys, n.iota(dims, i64, last),
                          doublings(n, dims[last]), descending);
  order = n.sliceAxis(order, last, n.number(0), wanted);
  return candidates ? gatherLast(n, candidates, order) : order;
}

static void topK(Node &n) {
  Value x = n.operand(0);
  if (!x)
    return;
  int64_t rank = rankOf(x);
  if (!n.require(rank >= 1, "the operand is a scalar, expected at least 1 "
                            "dimension"))
    return;
  int64_t axis = n.axis(n.integer("axis", -1), rank);
  std::optional<Dims> k =
      n.version < 10 ? std::optional<Dims>(n.numbers({n.requiredInteger("k")}))
                     : n.expressionsOf(1, "k");
  if (n.failed() || !k ||
      !n.require(k->size() == 1,
                 "k has " + Twine(k->size()) + " values, expected 1"))
    return;
  bool largest = n.version < 11 || n.integer("largest", 1) != 0;
  AffineExpr wanted = k->front(), size = dimsOf(x)[axis];
  auto count = gr::constantOf(wanted), all = gr::constantOf(size);
  if (count &&
      !n.require(*count >= 0 && (!all || *count <= *all),
                 "k is " + Twine(*count) + ", expected 0 to " + n.print(size)))
    return;
  if (!nonNegative(gr::simplify(size - wanted)))
    n.importer.assumeAtMost(wanted, size);
  Ints permutation;
  for (int64_t i = 0; i < rank; ++i)
    permutation.push_back(i);
  std::swap(permutation[axis], permutation.back());
  bool moved = axis != rank - 1;
  Value keys = moved ? n.transpose(x, permutation) : x;
  Value order = sortedOrder(n, keys, wanted, largest);
  Value values = gatherLast(n, keys, order);
  auto back = [&](Value value) {
    return moved ? n.transpose(value, permutation) : value;
  };
  n.set(0, back(values));
  n.set(1, back(order));
}

//===----------------------------------------------------------------------===//
// CumSum, CumProd
//===----------------------------------------------------------------------===//

namespace {
struct Running {
  gr::ReduceKind kind;
  bool exclusive, reverse;
};
} // namespace

/// Combines the elements up to each along an axis. A long axis is cut into
/// blocks: each starts from what the blocks before it come to.
static Value cumulative(Node &n, Value x, int64_t axis, Running running,
                        unsigned depth = 0) {
  if (!x || n.failed())
    return {};
  constexpr int64_t block = 64, direct = 256;
  // That is how far a size that isn't known is cut.
  constexpr unsigned deepest = 2;
  Dims dims = dimsOf(x);
  auto size = gr::constantOf(dims[axis]);
  auto flag = [&](bool set) { return set ? n.b.getUnitAttr() : UnitAttr(); };
  auto along = [&](Value value, int64_t at) -> Value {
    return gr::CumulativeOp::create(
        n.b, n.loc, value.getType(), value,
        gr::ReduceKindAttr::get(n.b.getContext(), running.kind),
        n.b.getI64IntegerAttr(at), flag(running.exclusive),
        flag(running.reverse));
  };
  if (size ? *size <= direct : depth >= deepest)
    return along(x, axis);
  AffineExpr blocks = gr::simplify((dims[axis] + (block - 1)).floorDiv(block));
  Dims padded = dims, split;
  padded[axis] = gr::simplify(blocks * block);
  Value whole = x;
  if (!gr::equal(padded[axis], dims[axis])) {
    Dims low(dims.size(), n.number(0)), high = low;
    high[axis] = gr::simplify(padded[axis] - dims[axis]);
    RankedTensorType type = n.type(padded, elementOf(x));
    if (!type)
      return {};
    auto map = [&](const Dims &exprs) {
      return AffineMapAttr::get(gr::makeMap(exprs, n.importer.context));
    };
    double neutral = running.kind == gr::ReduceKind::product;
    whole = gr::PadOp::create(
        n.b, n.loc, type, x, n.scalar(neutral, elementOf(x)), map(low),
        map(high),
        gr::PadModeAttr::get(n.b.getContext(), gr::PadMode::constant));
  }
  split.append(padded.begin(), padded.begin() + axis);
  split.append({blocks, n.number(block)});
  split.append(padded.begin() + axis + 1, padded.end());
  Value parts = n.reshape(whole, split);
  Value sums = n.reduce(parts, running.kind, {axis + 1}, false);
  Value before = cumulative(n, sums, axis,
                            {running.kind, true, running.reverse}, depth + 1);
  if (!parts || !before)
    return {};
  Ints places;
  for (int64_t i = 0; i < int64_t(split.size()); ++i)
    if (i != axis + 1)
      places.push_back(i);
  Value start = n.broadcastIn(before, split, places);
  Value inner = along(parts, axis + 1);
  Value all = running.kind == gr::ReduceKind::sum ? n.add(inner, start)
                                                  : n.multiply(inner, start);
  return n.sliceAxis(n.reshape(all, padded), axis, n.number(0), dims[axis]);
}

template <gr::ReduceKind kind> static void running(Node &n) {
  Value x = n.operand(0);
  if (!x || !n.require(n.has(1), "input 1 (axis) is missing"))
    return;
  Running how = {kind, n.integer("exclusive", 0) != 0,
                 n.integer("reverse", 0) != 0};
  Type element = elementOf(x);
  // Blocks would round narrow floats more often than one sum does.
  bool narrow = isa<FloatType>(element) && element.getIntOrFloatBitWidth() < 32;
  Value wide = narrow ? n.cast(x, n.b.getF32Type()) : x;
  int64_t rank = rankOf(x);
  auto along = [&](int64_t axis) {
    return n.cast(cumulative(n, wide, axis, how), element);
  };
  if (n.known(1)) {
    auto axis = n.integersOf(1, "axis");
    if (!axis || !n.require(axis->size() == 1, "axis is not one number"))
      return;
    int64_t at = n.axis((*axis)[0], rank);
    if (!n.failed())
      n.set(0, along(at));
    return;
  }
  // An axis that is only known when the model runs chooses from all of them.
  Value axis = n.operand(1);
  if (!requireIndices(n, axis) ||
      !n.require(rank >= 1, "the operand is a scalar, expected at least 1 "
                            "dimension"))
    return;
  Type i64 = n.b.getI64Type();
  axis = n.reshape(n.cast(axis, i64), {});
  Value negative =
      n.compare(gr::Comparison::less, axis, n.integerScalar(0, i64));
  axis = n.select(negative, n.add(axis, n.integerScalar(rank, i64)), axis);
  Value y = along(0);
  for (int64_t i = 1; i < rank; ++i)
    y = n.select(
        n.compare(gr::Comparison::equal, axis, n.integerScalar(i, i64)),
        along(i), y);
  n.set(0, y);
}

//===----------------------------------------------------------------------===//
// ReverseSequence
//===----------------------------------------------------------------------===//

/// The first elements of every sequence in the opposite order.
static void reverseSequence(Node &n) {
  Value x = n.operand(0), lengths = n.operand(1);
  if (!x || !requireIndices(n, lengths))
    return;
  int64_t rank = rankOf(x);
  int64_t batch = n.axis(n.integer("batch_axis", 1), rank);
  int64_t time = n.axis(n.integer("time_axis", 0), rank);
  if (n.failed() ||
      !n.require(rank >= 2 && batch != time && rankOf(lengths) == 1,
                 "batch_axis and time_axis are the same, or sequence_lens is "
                 "not a vector"))
    return;
  Dims dims = dimsOf(x);
  if (!n.requireEqual(dims[batch], dimsOf(lengths)[0],
                      "the number of sequences"))
    return;
  int64_t first = std::min(batch, time), second = std::max(batch, time);
  Dims plane = {dims[first], dims[second]};
  Type i64 = n.b.getI64Type();
  Value at = n.iota(plane, i64, time == first ? 0 : 1);
  Value length =
      n.broadcastIn(n.cast(lengths, i64), plane, {batch == first ? 0 : 1});
  Value mirrored = n.subtract(n.subtract(length, n.integerScalar(1, i64)), at);
  Value inside = n.compare(gr::Comparison::less, at, length);
  at = n.broadcastIn(n.select(inside, mirrored, at), dims, {first, second});
  if (!at)
    return;
  n.set(0, gr::GatherElementsOp::create(n.b, n.loc, x.getType(), x, at,
                                        n.b.getI64IntegerAttr(time))
               .getResult());
}

//===----------------------------------------------------------------------===//
// NonMaxSuppression
//===----------------------------------------------------------------------===//

namespace {
/// The corners and the area of boxes.
struct Boxes {
  Value low[2], high[2], area;
};
} // namespace

/// Boxes from their four numbers, each of any one shape.
static Boxes boxesOf(Node &n, ArrayRef<Value> v, bool centred) {
  Boxes boxes;
  for (int k : {0, 1}) {
    if (centred) {
      // x, y, width, height
      Value half = n.multiply(v[2 + k], 0.5);
      boxes.low[k] = n.subtract(v[k], half);
      boxes.high[k] = n.add(v[k], half);
    } else {
      // Any two opposite corners.
      boxes.low[k] = n.minimum(v[k], v[2 + k]);
      boxes.high[k] = n.maximum(v[k], v[2 + k]);
    }
  }
  boxes.area = n.multiply(n.subtract(boxes.high[0], boxes.low[0]),
                          n.subtract(boxes.high[1], boxes.low[1]));
  return boxes;
}

/// Whether boxes overlap by more than a share of what both cover.
static Value overlap(Node &n, const Boxes &a, const Boxes &b, Value threshold) {
  Value common;
  for (int k : {0, 1}) {
    Value length = n.subtract(n.minimum(a.high[k], b.high[k]),
                              n.maximum(a.low[k], b.low[k]));
    length = n.maximum(length, 0.0);
    common = common ? n.multiply(common, length) : length;
  }
  Value both = n.subtract(n.add(a.area, b.area), common);
  // Boxes without area cover nothing.
  return n.compare(gr::Comparison::greater, common,
                   n.multiply(both, threshold));
}

/// The best box that is left is taken, and those that it overlaps are not left
/// any more, as often as there may be boxes of a class.
static void nonMaxSuppression(Node &n) {
  Value boxes = n.operand(0), scores = n.operand(1);
  if (!boxes || !scores || !n.requireFloat(boxes) || !n.requireFloat(scores) ||
      !n.require(rankOf(boxes) == 3 && rankOf(scores) == 3,
                 "boxes and scores have " + Twine(rankOf(boxes)) + " and " +
                     Twine(rankOf(scores)) + " dimensions, expected 3"))
    return;
  Dims in = dimsOf(boxes), dims = dimsOf(scores); // [batches, classes, boxes]
  if (!n.requireEqual(in[0], dims[0], "the number of batches") ||
      !n.requireEqual(in[1], dims[2], "the number of boxes") ||
      !n.requireEqual(in[2], n.number(4), "the numbers of a box"))
    return;
  bool centred = n.integer("center_point_box", 0);
  Type i64 = n.b.getI64Type(), real = elementOf(scores);
  MLIRContext *context = n.importer.context;
  auto scalarOr = [&](unsigned i) -> Value {
    return n.has(i) ? n.reshape(n.cast(n.operand(i), real), {})
                    : n.scalar(0, real);
  };
  Value overlaps = scalarOr(3);
  // No more than there are boxes; not given means none.
  AffineExpr most = n.number(0);
  if (n.has(2)) {
    auto known = n.known(2) ? n.integersOf(2, "max_output_boxes_per_class")
                            : std::optional<Ints>();
    auto count = gr::constantOf(dims[2]);
    if (known && count && known->size() == 1) {
      most = n.number(std::clamp<int64_t>((*known)[0], 0, *count));
    } else {
      Value given = n.reshape(n.cast(n.operand(2), i64), {});
      Value all = n.importer.materialize(*n.knownScalar(dims[2]));
      given = n.maximum(n.minimum(given, all), 0.0);
      most = n.importer.readSymbol(given, "selected");
    }
  }
  Value left = scores;
  Value none = n.full(-std::numeric_limits<double>::infinity(), scores);
  if (n.has(4))
    left = n.select(n.compare(gr::Comparison::greater, scores, scalarOr(4)),
                    scores, none);
  Dims rows = {dims[0], dims[1]}, taken = {dims[0], dims[1], most};
  Dims one = {dims[0], dims[1], n.number(1)};
  Value chosen = n.broadcastTo(n.integerScalar(-1, i64), taken);
  // The numbers of every box: four planes of [batches, boxes].
  boxes = n.cast(boxes, real);
  SmallVector<Value> planes;
  for (int64_t k = 0; k < 4; ++k)
    planes.push_back(n.reshape(n.sliceAxis(boxes, 2, n.number(k), n.number(1)),
                               {dims[0], dims[2]}));
  if (n.failed() || !left || !chosen || !most ||
      llvm::is_contained(planes, Value()))
    return;
  SmallVector<Value> state = n.repeat(
      most, {left, chosen},
      [&](AffineExpr at, ArrayRef<Value> carried) -> SmallVector<Value> {
        Value left = carried[0];
        RankedTensorType rowType = n.type(rows, i64);
        if (!rowType)
          return {Value()};
        Value best = gr::ArgReduceOp::create(
            n.b, n.loc, rowType, left,
            gr::ReduceKindAttr::get(context, gr::ReduceKind::maximum),
            n.b.getI64IntegerAttr(2), UnitAttr());
        Value highest = n.reduce(left, gr::ReduceKind::maximum, {2}, false);
        if (!highest)
          return {Value()};
        constexpr double least = -std::numeric_limits<double>::infinity();
        Value exists =
            n.compare(gr::Comparison::greater, highest, n.full(least, highest));
        SmallVector<Value> its, all;
        for (Value plane : planes) {
          Value picked = gr::GatherElementsOp::create(
              n.b, n.loc, gr::withElement(rowType, real), plane, best,
              n.b.getI64IntegerAttr(1));
          its.push_back(n.broadcastIn(picked, dims, {0, 1}));
          all.push_back(n.broadcastIn(plane, dims, {0, 2}));
        }
        Value gone = overlap(n, boxesOf(n, its, centred),
                             boxesOf(n, all, centred), overlaps);
        Value itself = n.compare(gr::Comparison::equal, n.iota(dims, i64, 2),
                                 n.broadcastIn(best, dims, {0, 1}));
        if (!gone || !itself)
          return {Value()};
        gone = n.binary<gr::OrOp>(gone, itself);
        left = n.select(gone, n.full(least, left), left);
        Value number = n.select(exists, best, n.integerScalar(-1, i64));
        AffineExpr zero = n.number(0);
        return {left,
                n.update(carried[1], n.reshape(number, one), {zero, zero, at})};
      });
  if (state.empty())
    return;
  // A row for every box that was taken: batch, class, box.
  AffineExpr perBatch = gr::simplify(dims[1] * most);
  AffineExpr total = gr::simplify(dims[0] * perBatch);
  Value flat = n.reshape(state[1], {total});
  if (!flat)
    return;
  Value places = positionsOf(
      n, n.compare(gr::Comparison::greater_equal, flat, n.full(0, flat)));
  if (!places)
    return;
  AffineExpr count = dimsOf(places)[0];
  RankedTensorType type = n.type({count}, i64);
  if (!type)
    return;
  auto size = [&](AffineExpr expr) {
    return n.importer.materialize(*n.knownScalar(expr));
  };
  Value box = gr::GatherOp::create(n.b, n.loc, type, flat, places,
                                   n.b.getI64IntegerAttr(0));
  Value batch = n.divide(places, size(perBatch));
  Value kind =
      n.divide(n.binary<gr::RemainderOp>(places, size(perBatch)), size(most));
  SmallVector<Value> columns;
  for (Value column : {batch, kind, box})
    columns.push_back(n.reshape(column, {count, n.number(1)}));
  n.set(0, n.concatenate(columns, 1));
}

llvm::ArrayRef<Operator> aicc::onnx::orderOperators() {
  static constexpr Operator table[] = {
      {"", "TopK", 1, topK},
      {"", "NonMaxSuppression", 10, nonMaxSuppression},
      {"", "CumSum", 11, running<gr::ReduceKind::sum>},
      {"", "CumProd", 26, running<gr::ReduceKind::product>},
      {"", "ReverseSequence", 10, reverseSequence},
  };
  return table;
}
