//===- OperatorsSampling.cpp - interpolation at given places --------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/Node.h"

#include <cmath>
#include <limits>

using namespace mlir;
using namespace aicc::onnx;
using llvm::StringRef;
using llvm::Twine;
namespace gr = aicc::graph;

static Value sample(Node &n, Value x, Value coordinates, Value batches,
                    gr::SampleMode mode, gr::SampleBorder border) {
  if (!x || !coordinates || n.failed())
    return {};
  Dims dims = dimsOf(coordinates);
  dims.pop_back();
  dims.insert(dims.begin() + 1, dimsOf(x)[1]);
  RankedTensorType type = n.type(dims, elementOf(x));
  if (!type)
    return {};
  MLIRContext *context = n.b.getContext();
  return gr::SampleOp::create(n.b, n.loc, type, x, coordinates, batches,
                              gr::SampleModeAttr::get(context, mode),
                              gr::SampleBorderAttr::get(context, border));
}

/// Sizes as a vector.
static Value sizesOf(Node &n, ArrayRef<AffineExpr> dims, Type element) {
  auto type = RankedTensorType::get({int64_t(dims.size())}, n.b.getI64Type());
  Value sizes = gr::DimensionsOp::create(
      n.b, n.loc, type,
      AffineMapAttr::get(gr::makeMap(dims, n.importer.context)));
  return n.cast(sizes, element);
}

/// f32, or f64 where that was given: coordinates are never narrower.
static Value coordinateType(Node &n, Value x) {
  if (!x || !n.requireFloat(x))
    return {};
  return elementOf(x).isF64() ? x : n.cast(x, n.b.getF32Type());
}

//===----------------------------------------------------------------------===//
// GridSample, AffineGrid
//===----------------------------------------------------------------------===//

/// x mirrored at low and high until it lies between them.
static Value mirror(Node &n, Value x, Value low, Value high) {
  Value range = n.subtract(high, low), period = n.multiply(range, 2);
  Value from = n.subtract(x, low);
  Value rest = n.subtract(
      from, n.multiply(n.unary<gr::FloorOp>(n.divide(from, period)), period));
  Value inside = n.compare(gr::Comparison::less_equal, rest, range);
  Value place = n.select(inside, rest, n.subtract(period, rest));
  Value wide = n.compare(gr::Comparison::greater, range, n.full(0, range));
  return n.select(wide, n.add(low, place), low);
}

static void gridSample(Node &n) {
  Value x = n.operand(0), grid = n.operand(1);
  if (!x || !(grid = coordinateType(n, grid)))
    return;
  int64_t rank = rankOf(x), spatial = rank - 2;
  if (!n.require(spatial >= 1 && rankOf(grid) == rank,
                 "data and grid have " + Twine(rank) + " and " +
                     Twine(rankOf(grid)) +
                     " dimensions, expected as many, at least 3"))
    return;
  Dims dims = dimsOf(x), points = dimsOf(grid);
  if (!n.requireEqual(dims[0], points[0], "the number of batches") ||
      !n.requireEqual(points.back(), n.number(spatial),
                      "the number of coordinates"))
    return;
  std::string name = n.string("mode", n.version < 20 ? "bilinear" : "linear");
  if (name == "bilinear")
    name = "linear";
  if (name == "bicubic")
    name = "cubic";
  auto mode = gr::symbolizeSampleMode(name);
  if (!n.require(mode && *mode != gr::SampleMode::linear_maximum,
                 "mode is \"" + name + "\", expected nearest, linear or cubic"))
    return;
  std::string padding = n.string("padding_mode", "zeros");
  if (!n.require(padding == "zeros" || padding == "border" ||
                     padding == "reflection",
                 "padding_mode is \"" + padding +
                     "\", expected zeros, border or reflection"))
    return;
  bool align = n.integer("align_corners", 0);
  // The grid's coordinates come last dimension first.
  Dims sizes(dims.rbegin(), dims.rend() - 2);
  int64_t last = rank - 1;
  Value size = n.broadcastAlong(sizesOf(n, sizes, elementOf(grid)), grid, last);
  Value at = n.add(grid, 1.0);
  at = align ? n.multiply(n.multiply(at, 0.5), n.add(size, -1.0))
             : n.multiply(n.add(n.multiply(at, size), -1.0), 0.5);
  if (*mode == gr::SampleMode::nearest)
    at = n.unary<gr::RoundEvenOp>(at);
  gr::SampleBorder border = gr::SampleBorder::zeros;
  if (padding != "zeros" && at) {
    Value low = n.full(align ? 0 : -0.5, at);
    Value high = n.add(size, align ? -1.0 : -0.5);
    Value moved;
    if (padding == "border") {
      border = gr::SampleBorder::edge;
      moved = n.minimum(n.maximum(at, 0.0), n.add(size, -1.0));
    } else {
      border =
          align ? gr::SampleBorder::reflect : gr::SampleBorder::reflect_half;
      moved = mirror(n, at, low, high);
    }
    Value below = n.compare(gr::Comparison::less, at, low);
    Value above = n.compare(gr::Comparison::greater, at, high);
    at = n.select(n.binary<gr::OrOp>(below, above), moved, at);
  }
  if (!at)
    return;
  if (spatial > 1)
    at = gr::ReverseOp::create(n.b, n.loc, at.getType(), at,
                               n.b.getDenseI64ArrayAttr({last}));
  n.set(0, sample(n, x, at, {}, *mode, border));
}

static void affineGrid(Node &n) {
  Value theta = n.operand(0);
  auto size = n.expressionsOf(1, "size");
  if (!theta || !size || !n.requireFloat(theta))
    return;
  int64_t spatial = int64_t(size->size()) - 2;
  if (!n.require(rankOf(theta) == 3 && (spatial == 2 || spatial == 3),
                 "theta has " + Twine(rankOf(theta)) +
                     " dimensions and size has " + Twine(size->size()) +
                     " values, expected 3 and 4 or 5"))
    return;
  Dims dims = dimsOf(theta);
  if (!n.requireEqual(dims[0], size->front(), "the number of batches") ||
      !n.requireEqual(dims[1], n.number(spatial), "the rows of theta") ||
      !n.requireEqual(dims[2], n.number(spatial + 1), "the columns of theta"))
    return;
  bool align = n.integer("align_corners", 0);
  Dims points(size->begin() + 2, size->end());
  Type element = elementOf(theta);
  Type wide = element.isF64() ? element : Type(n.b.getF32Type());
  // (x, y, 1) or (x, y, z, 1) of every point.
  Dims column = points;
  column.push_back(n.number(1));
  SmallVector<Value> columns;
  for (int64_t k = spatial; k-- > 0;) {
    Value i = n.cast(n.iota(points, n.b.getI64Type(), k), wide);
    Value count = n.reshape(sizesOf(n, {points[k]}, wide), {});
    if (!i || !count)
      return;
    Value at;
    if (align)
      at = n.add(n.divide(n.multiply(i, 2), n.add(count, -1.0)), -1.0);
    else
      at = n.add(n.divide(n.add(n.multiply(i, 2), 1.0), count), -1.0);
    columns.push_back(n.reshape(at, column));
  }
  columns.push_back(n.broadcastTo(n.scalar(1, wide), column));
  Value base = n.reshape(n.concatenate(columns, spatial),
                         {productOf(n, points), n.number(spatial + 1)});
  Value grid = n.dot(n.cast(theta, wide), base, {}, {}, {2}, {1});
  grid = n.transpose(grid, {0, 2, 1});
  Dims result = {dims[0]};
  result.append(points);
  result.push_back(n.number(spatial));
  n.set(0, n.cast(n.reshape(grid, result), element));
}

//===----------------------------------------------------------------------===//
// Regions of interest
//===----------------------------------------------------------------------===//

namespace {
/// A region's extent in one dimension, one number for every region.
struct Extent {
  Value start, size;
};
} // namespace

static Value columnOf(Node &n, Value matrix, int64_t column) {
  return n.reshape(n.sliceAxis(matrix, 1, n.number(column), n.number(1)),
                   {dimsOf(matrix)[0]});
}

static void roiAlign(Node &n) {
  Value x = n.operand(0), rois = n.operand(1), batches = n.operand(2);
  if (!x || !(rois = coordinateType(n, rois)) || !requireIndices(n, batches) ||
      !n.require(rankOf(x) == 4 && rankOf(rois) == 2 && rankOf(batches) == 1,
                 "X, rois and batch_indices have " + Twine(rankOf(x)) + ", " +
                     Twine(rankOf(rois)) + " and " + Twine(rankOf(batches)) +
                     " dimensions, expected 4, 2 and 1"))
    return;
  Dims dims = dimsOf(x);
  AffineExpr count = dimsOf(rois)[0];
  if (!n.requireEqual(dimsOf(rois)[1], n.number(4),
                      "the number of coordinates of a region") ||
      !n.requireEqual(count, dimsOf(batches)[0], "the number of regions"))
    return;
  int64_t pooled[] = {n.integer("output_height", 1),
                      n.integer("output_width", 1)};
  int64_t ratio = n.integer("sampling_ratio", 0);
  double scale = n.real("spatial_scale", 1);
  std::string mode = n.string("mode", "avg");
  std::string kind =
      n.version < 16 ? "output_half_pixel"
                     : n.string("coordinate_transformation_mode", "half_pixel");
  constexpr int64_t most = 1 << 15;
  if (!n.require(pooled[0] >= 1 && pooled[1] >= 1 && ratio >= 0 &&
                     pooled[0] < most && pooled[1] < most && ratio < most,
                 "a size of the output or sampling_ratio is out of range") ||
      !n.require(mode == "avg" || mode == "max",
                 "mode is \"" + mode + "\", expected avg or max") ||
      !n.require(kind == "half_pixel" || kind == "output_half_pixel",
                 "coordinate_transformation_mode is \"" + kind +
                     "\", expected half_pixel or output_half_pixel"))
    return;
  bool half = kind == "half_pixel";
  Type real = elementOf(rois);
  // Extents, and how many samples a bin has in each dimension.
  Extent extents[2];
  Value grids[2];
  AffineExpr samples[2];
  for (int k : {0, 1}) {
    auto corner = [&](int64_t column) {
      Value at = n.multiply(columnOf(n, rois, column), scale);
      return half ? n.add(at, -0.5) : at;
    };
    extents[k].start = corner(k == 0 ? 1 : 0);
    extents[k].size = n.subtract(corner(k == 0 ? 3 : 2), extents[k].start);
    if (!half)
      extents[k].size = n.maximum(extents[k].size, 1.0);
    if (ratio > 0) {
      samples[k] = n.number(ratio);
      continue;
    }
    // Bins of about one element; regions that need fewer samples leave the
    // others out.
    grids[k] = n.unary<gr::CeilOp>(
        n.multiply(extents[k].size, 1.0 / double(pooled[k])));
    if (!grids[k])
      return;
    grids[k] = n.maximum(grids[k], 0.0);
    Value largest = n.reduce(grids[k], gr::ReduceKind::maximum, {0}, false);
    largest = n.maximum(n.cast(largest, n.b.getI64Type()), 1.0);
    samples[k] = n.importer.readSymbol(largest, "samples");
    if (!samples[k])
      return;
  }
  // Coordinates by region, bin and sample of either dimension.
  Dims all = {count, n.number(pooled[0]), samples[0], n.number(pooled[1]),
              samples[1]};
  Dims column = all;
  column.push_back(n.number(1));
  SmallVector<Value> coordinates;
  Value valid;
  for (int k : {0, 1}) {
    Dims line = {count, all[1 + 2 * k], all[2 + 2 * k]};
    auto each = [&](Value perRegion) {
      return n.broadcastIn(perRegion, line, {0});
    };
    Type i64 = n.b.getI64Type();
    Value size = n.multiply(extents[k].size, 1.0 / double(pooled[k]));
    Value number = n.cast(n.iota(line, i64, 2), real);
    Value bin = n.cast(n.iota(line, i64, 1), real);
    if (!size || !number || !bin)
      return;
    Value within = n.add(number, 0.5);
    within = grids[k] ? n.divide(within, each(grids[k]))
                      : n.multiply(within, 1.0 / double(ratio));
    Value at = n.add(each(extents[k].start),
                     n.multiply(n.add(bin, within), each(size)));
    Value extent = n.reshape(sizesOf(n, {dims[2 + k]}, real), {});
    if (!at || !extent)
      return;
    Value above = n.compare(gr::Comparison::greater_equal, at, n.full(-1, at));
    Value below =
        n.compare(gr::Comparison::less_equal, at, n.broadcastTo(extent, line));
    Value inside = n.binary<gr::AndOp>(above, below);
    if (grids[k]) {
      Value exists = n.compare(gr::Comparison::less, number, each(grids[k]));
      inside = n.binary<gr::AndOp>(inside, exists);
    }
    // Beyond the last element nothing is interpolated.
    Value limited = n.minimum(n.maximum(at, 0.0), n.add(extent, -1.0));
    Ints places = {0, 1 + 2 * k, 2 + 2 * k};
    coordinates.push_back(
        n.reshape(n.broadcastIn(limited, all, places), column));
    inside = n.broadcastIn(inside, all, places);
    valid = valid ? n.binary<gr::AndOp>(valid, inside) : inside;
  }
  Value at = n.concatenate(coordinates, 5);
  bool largest = mode == "max";
  Value y =
      sample(n, x, at, n.cast(batches, n.b.getI64Type()),
             largest ? gr::SampleMode::linear_maximum : gr::SampleMode::linear,
             gr::SampleBorder::edge);
  if (!y || !valid)
    return;
  Dims wide = dimsOf(y);
  Value keep = n.broadcastIn(valid, wide, {0, 2, 3, 4, 5});
  y = n.select(keep, y, n.full(0, y));
  if (largest)
    return n.set(0, n.reduce(y, gr::ReduceKind::maximum, {3, 5}, false));
  if (ratio > 0)
    return n.set(0, n.reduce(y, gr::ReduceKind::mean, {3, 5}, false));
  Value sum = n.reduce(y, gr::ReduceKind::sum, {3, 5}, false);
  Value number = n.maximum(n.multiply(grids[0], grids[1]), 1.0);
  if (!sum || !number)
    return;
  number = n.broadcastIn(n.cast(number, elementOf(sum)), dimsOf(sum), {0});
  n.set(0, n.divide(sum, number));
}

/// Away from zero where x lies in the middle.
static Value roundAway(Node &n, Value x) {
  if (!x)
    return {};
  Value rounded = n.unary<gr::FloorOp>(n.add(n.unary<gr::AbsOp>(x), 0.5));
  return n.multiply(rounded, n.unary<gr::SignOp>(x));
}

/// The maximum over the bins of a region: first over rows, then over columns.
static void maxRoiPool(Node &n) {
  Value x = n.operand(0), rois = n.operand(1);
  if (!x || !(rois = coordinateType(n, rois)) ||
      !n.require(rankOf(x) == 4 && rankOf(rois) == 2,
                 "X and rois have " + Twine(rankOf(x)) + " and " +
                     Twine(rankOf(rois)) + " dimensions, expected 4 and 2") ||
      !n.requireFloat(x) ||
      !n.requireEqual(dimsOf(rois)[1], n.number(5),
                      "the number of values of a region"))
    return;
  Ints pooled = n.integers("pooled_shape");
  double scale = n.real("spatial_scale", 1);
  if (!n.require(pooled.size() == 2 && pooled[0] >= 1 && pooled[1] >= 1 &&
                     pooled[0] < (1 << 15) && pooled[1] < (1 << 15),
                 "pooled_shape has " + Twine(pooled.size()) +
                     " values, expected 2 positive ones"))
    return;
  Dims dims = dimsOf(x);
  AffineExpr count = dimsOf(rois)[0];
  Type real = elementOf(rois), i64 = n.b.getI64Type();
  Value batch = n.cast(columnOf(n, rois, 0), i64);
  RankedTensorType picked =
      n.type({count, dims[1], dims[2], dims[3]}, elementOf(x));
  if (!picked || !batch)
    return;
  Value y = gr::GatherOp::create(n.b, n.loc, picked, x, batch,
                                 n.b.getI64IntegerAttr(0));
  Value empty;
  for (int k : {0, 1}) {
    auto corner = [&](int64_t column) {
      return roundAway(n, n.multiply(columnOf(n, rois, column), scale));
    };
    Value start = corner(k == 0 ? 2 : 1), end = corner(k == 0 ? 4 : 3);
    Value size = n.subtract(end, start);
    if (!size)
      return;
    size =
        n.multiply(n.maximum(n.add(size, 1.0), 1.0), 1.0 / double(pooled[k]));
    Dims bins = {count, n.number(pooled[k])};
    auto each = [&](Value perRegion) {
      return n.broadcastIn(perRegion, bins, {0});
    };
    Value bin = n.cast(n.iota(bins, i64, 1), real);
    Value extent = n.reshape(sizesOf(n, {dims[2 + k]}, real), {});
    if (!bin || !extent || !size)
      return;
    auto limited = [&](Value at) {
      return n.minimum(n.maximum(n.add(at, each(start)), 0.0), extent);
    };
    Value low = limited(n.unary<gr::FloorOp>(n.multiply(bin, each(size))));
    Value high =
        limited(n.unary<gr::CeilOp>(n.multiply(n.add(bin, 1.0), each(size))));
    Value none = n.compare(gr::Comparison::less_equal, high, low);
    Dims result = {count, n.number(pooled[0]), n.number(pooled[1])};
    none = n.broadcastIn(none, result, {0, 1 + k});
    empty = empty ? n.binary<gr::OrOp>(empty, none) : none;
    // [regions, C, bins…, elements, …] with the elements of each bin.
    Dims wide = dimsOf(y);
    wide.insert(wide.begin() + 2 + k, n.number(pooled[k]));
    int64_t axis = 3 + k;
    Value i = n.cast(n.iota(wide, i64, axis), real);
    auto over = [&](Value bounds) {
      return n.broadcastIn(bounds, wide, {0, 2 + k});
    };
    Value inside = n.binary<gr::AndOp>(
        n.compare(gr::Comparison::greater_equal, i, over(low)),
        n.compare(gr::Comparison::less, i, over(high)));
    Ints places = k == 0 ? Ints{0, 1, 3, 4} : Ints{0, 1, 2, 4};
    Value spread = n.broadcastIn(y, wide, places);
    if (!spread)
      return;
    Value nothing = n.full(-std::numeric_limits<double>::infinity(), spread);
    y = n.reduce(n.select(inside, spread, nothing), gr::ReduceKind::maximum,
                 {axis}, false);
  }
  if (!y)
    return;
  empty = n.broadcastIn(empty, dimsOf(y), {0, 2, 3});
  n.set(0, n.select(empty, n.full(0, y), y));
}

//===----------------------------------------------------------------------===//
// DeformConv
//===----------------------------------------------------------------------===//

/// A convolution whose elements lie at offsets that are data: they are sampled
/// into columns, which the filter multiplies.
static void deformConv(Node &n) {
  Value x = n.operand(0), w = n.operand(1), offset = n.operand(2);
  if (!x || !w || !(offset = coordinateType(n, offset)))
    return;
  int64_t rank = rankOf(x), spatial = rank - 2;
  if (!n.require(spatial >= 1 && rankOf(w) == rank && rankOf(offset) == rank,
                 "X, W and offset have " + Twine(rank) + ", " +
                     Twine(rankOf(w)) + " and " + Twine(rankOf(offset)) +
                     " dimensions, expected as many, at least 3"))
    return;
  Dims in = dimsOf(x), filter = dimsOf(w), places = dimsOf(offset);
  Ints kernel;
  int64_t points = 1;
  for (int64_t i = 0; i < spatial; ++i) {
    auto size = gr::constantOf(filter[2 + i]);
    if (!size)
      return n.unsupported("a filter of dynamic size");
    kernel.push_back(*size);
    points *= *size;
  }
  int64_t group = n.integer("group", 1);
  int64_t offsetGroup = n.integer("offset_group", 1);
  Ints strides = n.integers("strides", Ints(spatial, 1));
  Ints dilations = n.integers("dilations", Ints(spatial, 1));
  Ints pads = n.integers("pads", Ints(2 * spatial, 0));
  if (!n.require(group >= 1 && offsetGroup >= 1 && group < (1 << 20) &&
                     offsetGroup < (1 << 20) &&
                     int64_t(strides.size()) == spatial &&
                     int64_t(dilations.size()) == spatial &&
                     int64_t(pads.size()) == 2 * spatial,
                 "group, offset_group, strides, dilations or pads is wrong for "
                 "a convolution of " +
                     Twine(spatial) + " dimensions") ||
      !n.requireEqual(in[1], gr::simplify(filter[1] * group),
                      "the number of channels") ||
      !n.requireEqual(in[1],
                      gr::simplify(in[1].floorDiv(offsetGroup) * offsetGroup),
                      "the channels of all offset groups") ||
      !n.requireEqual(places[0], in[0], "the number of batches") ||
      !n.requireEqual(places[1], n.number(offsetGroup * points * spatial),
                      "the number of offsets"))
    return;
  Dims out(places.begin() + 2, places.end());
  // [N * offset groups, filter points, coordinates, out...] with the
  // coordinates moved last.
  AffineExpr batches = gr::simplify(in[0] * offsetGroup);
  Dims split = {batches, n.number(points), n.number(spatial)};
  split.append(out);
  Ints order = {0, 1};
  for (int64_t i = 0; i < spatial; ++i)
    order.push_back(3 + i);
  order.push_back(2);
  Value moved = n.transpose(n.reshape(offset, split), order);
  // Where the points lie without offsets.
  Type real = elementOf(offset), i64 = n.b.getI64Type();
  Dims grid = {n.number(points)};
  grid.append(out);
  Dims column = grid;
  column.push_back(n.number(1));
  SmallVector<Value> coordinates;
  int64_t below = points;
  for (int64_t i = 0; i < spatial; ++i) {
    below /= std::max<int64_t>(kernel[i], 1);
    Value point = n.iota(grid, i64, 0);
    point = n.divide(point, n.integerScalar(std::max<int64_t>(below, 1), i64));
    point = n.binary<gr::RemainderOp>(
        point, n.integerScalar(std::max<int64_t>(kernel[i], 1), i64));
    Value at =
        n.multiply(n.iota(grid, i64, 1 + i), n.integerScalar(strides[i], i64));
    at = n.add(at, n.multiply(point, n.integerScalar(dilations[i], i64)));
    at = n.subtract(at, n.integerScalar(pads[i], i64));
    coordinates.push_back(n.reshape(n.cast(at, real), column));
  }
  Value base = n.concatenate(coordinates, spatial + 1);
  if (!moved || !base)
    return;
  Ints behind;
  for (int64_t i = 0; i < rankOf(base); ++i)
    behind.push_back(1 + i);
  Value at = n.add(moved, n.broadcastIn(base, dimsOf(moved), behind));
  Dims grouped = {batches, gr::simplify(in[1].floorDiv(offsetGroup))};
  grouped.append(in.begin() + 2, in.end());
  Value columns = sample(n, n.reshape(x, grouped), at, {},
                         gr::SampleMode::linear, gr::SampleBorder::zeros);
  if (Value mask = n.optionalOperand(4)) {
    Dims each = {batches, n.number(points)};
    each.append(out);
    Ints positions = {0};
    for (int64_t i = 0; columns && i < spatial + 1; ++i)
      positions.push_back(2 + i);
    mask = n.reshape(mask, each);
    if (!columns || !mask)
      return;
    columns =
        n.multiply(columns, n.broadcastIn(mask, dimsOf(columns), positions));
  }
  AffineExpr length = gr::simplify(filter[1] * points);
  AffineExpr count = productOf(n, out), g = n.number(group);
  AffineExpr filters = gr::simplify(filter[0].floorDiv(group));
  if (!n.requireEqual(filter[0], gr::simplify(filters * group),
                      "the filters of all groups"))
    return;
  columns = n.reshape(columns, {in[0], g, length, count});
  Value y =
      n.dot(n.reshape(w, {g, filters, length}), columns, {0}, {1}, {2}, {2});
  // [groups, filters, N, positions]
  y = n.transpose(y, {2, 0, 1, 3});
  Dims result = {in[0], filter[0]};
  result.append(out);
  y = n.reshape(y, result);
  if (n.has(3) && y)
    y = n.add(y, n.broadcastAlong(n.operand(3), y, 1));
  n.set(0, y);
}

llvm::ArrayRef<Operator> aicc::onnx::samplingOperators() {
  static constexpr Operator table[] = {
      {"", "GridSample", 16, gridSample}, {"", "AffineGrid", 20, affineGrid},
      {"", "RoiAlign", 10, roiAlign},     {"", "MaxRoiPool", 1, maxRoiPool},
      {"", "DeformConv", 19, deformConv},
  };
  return table;
}
