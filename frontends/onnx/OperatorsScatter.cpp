//===- OperatorsScatter.cpp - elements written at given places ----------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/Node.h"

using namespace mlir;
using namespace aicc::onnx;
using llvm::Twine;
namespace gr = aicc::graph;

bool aicc::onnx::requireIndices(Node &n, Value indices) {
  return indices &&
         n.require(isa<IntegerType>(elementOf(indices)) &&
                       !elementOf(indices).isInteger(1),
                   "the indices have element type " +
                       n.print(elementOf(indices)) + ", expected an integer");
}

Value aicc::onnx::scatter(Node &n, Value x, Value indices, Value updates,
                          int64_t axis, std::optional<gr::ReduceKind> kind) {
  if (!x || !indices || !updates || n.failed())
    return {};
  gr::ReduceKindAttr attribute;
  if (kind)
    attribute = gr::ReduceKindAttr::get(n.b.getContext(), *kind);
  return gr::ScatterOp::create(n.b, n.loc, x.getType(), x, indices, updates,
                               n.b.getI64IntegerAttr(axis), attribute);
}

AffineExpr aicc::onnx::productOf(Node &n, ArrayRef<AffineExpr> dims) {
  AffineExpr all = n.number(1);
  for (AffineExpr dim : dims)
    all = all * dim;
  return gr::simplify(all);
}

/// The attribute `reduction`; false after an error.
static bool reductionOf(Node &n, std::optional<gr::ReduceKind> &kind) {
  std::string name = n.string("reduction", "none");
  if (name == "add")
    kind = gr::ReduceKind::sum;
  else if (name == "mul")
    kind = gr::ReduceKind::product;
  else if (name == "max")
    kind = gr::ReduceKind::maximum;
  else if (name == "min")
    kind = gr::ReduceKind::minimum;
  return n.require(kind || name == "none",
                   "reduction is \"" + name +
                       "\", expected none, add, mul, max or min");
}

static void scatterElements(Node &n) {
  Value x = n.operand(0), indices = n.operand(1), updates = n.operand(2);
  std::optional<gr::ReduceKind> kind;
  if (!x || !updates || !requireIndices(n, indices) ||
      !n.sameElement(x, updates) || !reductionOf(n, kind))
    return;
  int64_t rank = rankOf(x);
  if (!n.require(rank >= 1 && rankOf(indices) == rank &&
                     rankOf(updates) == rank,
                 "data, indices and updates have " + Twine(rank) + ", " +
                     Twine(rankOf(indices)) + " and " + Twine(rankOf(updates)) +
                     " dimensions, expected as many, at least 1"))
    return;
  int64_t axis = n.axis(n.integer("axis", 0), rank);
  if (n.failed())
    return;
  Dims dims = dimsOf(x), by = dimsOf(updates);
  bool whole = true; // lines of updates for all lines of the operand
  for (int64_t i = 0; i < rank; ++i) {
    if (!n.requireEqual(dimsOf(indices)[i], by[i],
                        "a dimension of the indices and of the updates"))
      return;
    if (i == axis)
      continue;
    whole &= gr::equal(dims[i], by[i]);
    auto have = gr::constantOf(dims[i]), want = gr::constantOf(by[i]);
    if (have && want &&
        !n.require(*want <= *have, "dimension " + Twine(i) +
                                       " of the updates is " + Twine(*want) +
                                       ", expected at most " + Twine(*have)))
      return;
    if (!gr::equal(dims[i], by[i]))
      n.importer.assumeAtMost(by[i], dims[i]);
  }
  if (!whole)
    return n.set(0, scatter(n, x, indices, updates, axis, kind));
  // Dimensions before and after the axis as one each.
  AffineExpr outer = productOf(n, ArrayRef(dims).take_front(axis));
  AffineExpr inner = productOf(n, ArrayRef(dims).drop_front(axis + 1));
  auto flat = [&](Value value) {
    Dims parts;
    if (!gr::isConstant(outer, 1))
      parts.push_back(outer);
    parts.push_back(dimsOf(value)[axis]);
    if (!gr::isConstant(inner, 1))
      parts.push_back(inner);
    return n.reshape(value, parts);
  };
  Value result = scatter(n, flat(x), flat(indices), flat(updates),
                         gr::isConstant(outer, 1) ? 0 : 1, kind);
  n.set(0, n.reshape(result, dims));
}

/// Index tuples as row-major numbers: [count, depth] -> [count].
static Value linearIndices(Node &n, Value tuples, ArrayRef<AffineExpr> dims) {
  Type i64 = n.b.getI64Type();
  Dims shape = dimsOf(tuples);
  if (gr::isConstant(shape[1], 1))
    return n.reshape(tuples, {shape[0]});
  tuples = n.cast(tuples, i64);
  auto vector = [&](ArrayRef<AffineExpr> values) -> Value {
    auto type = RankedTensorType::get({int64_t(values.size())}, i64);
    Value row = gr::DimensionsOp::create(
        n.b, n.loc, type,
        AffineMapAttr::get(gr::makeMap(values, n.importer.context)));
    return n.broadcastIn(row, shape, {1});
  };
  if (!tuples || n.failed())
    return {};
  Dims strides(dims.size());
  AffineExpr stride = n.number(1);
  for (size_t i = dims.size(); i-- > 0;) {
    strides[i] = stride;
    stride = gr::simplify(stride * dims[i]);
  }
  Value negative = n.compare(gr::Comparison::less, tuples, n.full(0, tuples));
  Value positive = n.select(negative, n.add(tuples, vector(dims)), tuples);
  return n.reduce(n.multiply(positive, vector(strides)), gr::ReduceKind::sum,
                  {1}, false);
}

static void scatterNd(Node &n) {
  Value x = n.operand(0), indices = n.operand(1), updates = n.operand(2);
  std::optional<gr::ReduceKind> kind;
  if (!x || !updates || !requireIndices(n, indices) ||
      !n.sameElement(x, updates) || !reductionOf(n, kind) ||
      !n.require(rankOf(indices) >= 1,
                 "the indices are a scalar, expected at least 1 dimension"))
    return;
  Dims dims = dimsOf(x), by = dimsOf(indices);
  auto depth = gr::constantOf(by.back());
  if (!depth)
    return n.unsupported("index tuples of dynamic length");
  if (!n.require(*depth <= rankOf(x), "index tuples have " + Twine(*depth) +
                                          " entries, expected at most " +
                                          Twine(rankOf(x))))
    return;
  Dims outer(ArrayRef(dims).take_front(*depth));
  Dims slice(ArrayRef(dims).drop_front(*depth)), expected = by;
  expected.pop_back();
  AffineExpr count = productOf(n, expected);
  expected.append(slice);
  if (!n.require(int64_t(expected.size()) == rankOf(updates),
                 "the updates have " + Twine(rankOf(updates)) +
                     " dimensions, expected " + Twine(expected.size())))
    return;
  for (size_t i = 0; i < expected.size(); ++i)
    if (!n.requireEqual(expected[i], dimsOf(updates)[i],
                        "a dimension of the updates"))
      return;
  AffineExpr lines = productOf(n, outer), size = productOf(n, slice);
  Value linear;
  if (*depth == 0)
    linear = n.broadcastTo(n.integerScalar(0, n.b.getI64Type()), {count});
  else
    linear = linearIndices(n, n.reshape(indices, {count, by.back()}), outer);
  Dims from = {lines}, each = {count};
  if (!gr::isConstant(size, 1)) {
    from.push_back(size);
    each.push_back(size);
  }
  Value result =
      scatter(n, n.reshape(x, from), n.broadcastIn(linear, each, {0}),
              n.reshape(updates, each), 0, kind);
  n.set(0, n.reshape(result, dims));
}

/// New entries of a cache: those of batch b from write_indices[b] on.
static void tensorScatter(Node &n) {
  Value x = n.operand(0), updates = n.operand(1);
  if (!x || !updates || !n.sameElement(x, updates))
    return;
  int64_t rank = rankOf(x);
  int64_t axis = n.axis(n.integer("axis", -2), rank);
  std::string mode = n.string("mode", "linear");
  if (n.failed() ||
      !n.require(mode == "linear" || mode == "circular",
                 "mode is \"" + mode + "\", expected linear or circular") ||
      !n.require(axis >= 1 && rankOf(updates) == rank,
                 "the axis is that of the batches or past_cache and update "
                 "have different ranks"))
    return;
  Dims dims = dimsOf(x), by = dimsOf(updates);
  for (int64_t i = 0; i < rank; ++i)
    if (i != axis && !n.requireEqual(dims[i], by[i], "a dimension of update"))
      return;
  Type i64 = n.b.getI64Type();
  Dims places = {by[0], by[axis]};
  Value at = n.iota(places, i64, 1);
  if (n.has(2)) {
    Value start = n.operand(2);
    if (!requireIndices(n, start) ||
        !n.require(rankOf(start) == 1, "write_indices has " +
                                           Twine(rankOf(start)) +
                                           " dimensions, expected 1") ||
        !n.requireEqual(dimsOf(start)[0], by[0], "the number of batches"))
      return;
    at = n.add(at, n.broadcastIn(n.cast(start, i64), places, {0}));
  }
  if (mode == "circular") {
    Value size = n.importer.materialize(*n.knownScalar(dims[axis]));
    at = n.binary<gr::RemainderOp>(at, size);
  }
  n.set(0, scatter(n, x, n.broadcastIn(at, by, {0, axis}), updates, axis, {}));
}

//===----------------------------------------------------------------------===//
// The inverses of pooling and of cutting into columns
//===----------------------------------------------------------------------===//

/// [N, C, spatial...] with each element at its index in the whole result.
static void maxUnpool(Node &n) {
  Value x = n.operand(0), indices = n.operand(1);
  if (!x || !requireIndices(n, indices))
    return;
  int64_t rank = rankOf(x);
  Ints kernel = n.integers("kernel_shape");
  int64_t spatial = rank - 2;
  if (!n.require(spatial >= 1 && int64_t(kernel.size()) == spatial &&
                     rankOf(indices) == rank,
                 "kernel_shape has " + Twine(kernel.size()) +
                     " values, expected one for each of " + Twine(spatial) +
                     " dimensions, and as many dimensions of the indices"))
    return;
  Ints strides = n.integers("strides", Ints(spatial, 1));
  Ints pads = n.integers("pads", Ints(2 * spatial, 0));
  if (!n.require(int64_t(strides.size()) == spatial &&
                     int64_t(pads.size()) == 2 * spatial,
                 "strides or pads has the wrong number of values"))
    return;
  Dims from = dimsOf(x), dims = from;
  for (int64_t i = 0; i < rank; ++i)
    if (!n.requireEqual(from[i], dimsOf(indices)[i],
                        "a dimension of the indices"))
      return;
  for (int64_t i = 0; i < spatial; ++i)
    dims[2 + i] = gr::simplify((from[2 + i] - 1) * strides[i] + kernel[i] -
                               pads[i] - pads[spatial + i]);
  if (!n.type(dims, elementOf(x)))
    return;
  // Indices count through the whole result; a plane is scattered by itself.
  AffineExpr planes = productOf(n, ArrayRef(from).take_front(2));
  AffineExpr points = productOf(n, ArrayRef(from).drop_front(2));
  AffineExpr size = productOf(n, ArrayRef(dims).drop_front(2));
  Type i64 = n.b.getI64Type();
  Dims flat = {planes, points};
  Value at = n.reshape(n.cast(indices, i64), flat);
  Value start = n.multiply(n.iota(flat, i64, 0),
                           n.importer.materialize(*n.knownScalar(size)));
  at = n.subtract(at, start);
  Value zeros = n.broadcastTo(n.scalar(0, elementOf(x)), Dims{planes, size});
  Value y = scatter(n, zeros, at, n.reshape(x, flat), 1, {});
  y = n.reshape(y, dims);
  if (n.has(2)) {
    // The result is the beginning of a larger tensor.
    auto shape = n.expressionsOf(2, "output_shape");
    if (!shape || !y ||
        !n.require(int64_t(shape->size()) == rank,
                   "output_shape has " + Twine(shape->size()) +
                       " values, expected " + Twine(rank)))
      return;
    Dims low(rank, n.number(0)), high(rank);
    for (int64_t i = 0; i < rank; ++i)
      high[i] = gr::simplify((*shape)[i] - dims[i]);
    RankedTensorType type = n.type(*shape, elementOf(x));
    if (!type)
      return;
    auto map = [&](const Dims &exprs) {
      return AffineMapAttr::get(gr::makeMap(exprs, n.importer.context));
    };
    y = gr::PadOp::create(
        n.b, n.loc, type, y, n.scalar(0, elementOf(x)), map(low), map(high),
        gr::PadModeAttr::get(n.b.getContext(), gr::PadMode::constant));
  }
  n.set(0, y);
}

/// Columns [N, C * block, positions] added up where the blocks lie.
static void col2Im(Node &n) {
  Value x = n.operand(0);
  auto image = n.expressionsOf(1, "image_shape");
  auto block = n.integersOf(2, "block_shape");
  if (!x || !image || !block)
    return;
  size_t spatial = image->size();
  Ints strides = n.integers("strides", Ints(spatial, 1));
  Ints dilations = n.integers("dilations", Ints(spatial, 1));
  Ints pads = n.integers("pads", Ints(2 * spatial, 0));
  if (!n.require(rankOf(x) == 3 && spatial >= 1 && block->size() == spatial &&
                     strides.size() == spatial && dilations.size() == spatial &&
                     pads.size() == 2 * spatial,
                 "it needs 3 dimensions and as many values of block_shape, "
                 "strides, dilations and (twice) pads as of image_shape"))
    return;
  Dims from = dimsOf(x), positions, columns;
  int64_t blockSize = 1;
  for (size_t i = 0; i < spatial; ++i) {
    if (!n.require((*block)[i] >= 1 && (*block)[i] < (1 << 15) &&
                       strides[i] >= 1 && dilations[i] >= 1 &&
                       dilations[i] < (1 << 15) && blockSize < (1 << 20),
                   "a size, stride or dilation is out of range"))
      return;
    blockSize *= (*block)[i];
    int64_t span = ((*block)[i] - 1) * dilations[i];
    positions.push_back(
        gr::simplify(((*image)[i] + pads[i] + pads[spatial + i] - span - 1)
                         .floorDiv(strides[i]) +
                     1));
  }
  if (!n.requireEqual(from[2], productOf(n, positions),
                      "the number of positions"))
    return;
  AffineExpr channels = gr::simplify(from[1].floorDiv(blockSize));
  if (!n.requireEqual(from[1], channels * blockSize,
                      "the number of channels times the block's size"))
    return;
  // [block..., positions...] -> where the element belongs in the image, or -1.
  Dims all = n.numbers(*block);
  all.append(positions);
  Type i64 = n.b.getI64Type();
  Value at, inside;
  for (size_t i = 0; i < spatial; ++i) {
    auto scaled = [&](int64_t dimension, int64_t by) {
      return n.multiply(n.iota(all, i64, dimension), n.integerScalar(by, i64));
    };
    Value here =
        n.add(scaled(i, dilations[i]), scaled(spatial + i, strides[i]));
    here = n.subtract(here, n.integerScalar(pads[i], i64));
    Value size = n.importer.materialize(*n.knownScalar((*image)[i]));
    auto both = [&](Value condition) {
      inside = inside ? n.binary<gr::AndOp>(inside, condition) : condition;
    };
    both(n.compare(gr::Comparison::greater_equal, here,
                   n.integerScalar(0, i64)));
    both(n.compare(gr::Comparison::less, here, size));
    at = at ? n.add(n.multiply(at, size), here) : here;
  }
  if (n.failed() || !at)
    return;
  AffineExpr size = productOf(n, *image);
  Value outside = n.importer.materialize(*n.knownScalar(size));
  at = n.select(inside, at, n.broadcastTo(outside, all));
  AffineExpr count = gr::simplify(from[2] * blockSize);
  Dims flat = {gr::simplify(from[0] * channels), count};
  Value zeros = n.broadcastTo(n.scalar(0, elementOf(x)), Dims{flat[0], size});
  Value y = scatter(n, zeros, n.broadcastIn(n.reshape(at, {count}), flat, {1}),
                    n.reshape(x, flat), 1, gr::ReduceKind::sum);
  Dims dims = {from[0], channels};
  dims.append(*image);
  n.set(0, n.reshape(y, dims));
}

llvm::ArrayRef<Operator> aicc::onnx::scatterOperators() {
  static constexpr Operator table[] = {
      {"", "Scatter", 9, scatterElements},
      {"", "ScatterElements", 11, scatterElements},
      {"", "ScatterND", 11, scatterNd},
      {"", "TensorScatter", 24, tensorScatter},
      {"", "MaxUnpool", 9, maxUnpool},
      {"", "Col2Im", 18, col2Im},
  };
  return table;
}
