//===- OperatorsMovement.cpp - reshaping, joining, cutting --------------===//
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

std::optional<Dims> aicc::onnx::reshapeDims(Node &n, ArrayRef<AffineExpr> from,
                                            ArrayRef<AffineExpr> wanted,
                                            bool allowZero) {
  Dims dims;
  std::optional<size_t> open;
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (gr::isConstant(wanted[i], -1)) {
      if (!n.require(!open, "the shape has two dimensions -1"))
        return std::nullopt;
      open = i;
      dims.push_back(n.number(1));
    } else if (gr::isConstant(wanted[i], 0) && !allowZero) {
      if (!n.require(i < from.size(), "the shape copies dimension " + Twine(i) +
                                          " of " + Twine(from.size())))
        return std::nullopt;
      dims.push_back(from[i]);
    } else {
      dims.push_back(wanted[i]);
    }
  }
  if (!open)
    return dims;
  // What both sides share cancels first, which keeps expressions small and
  // needs no division where a dynamic dimension is passed on.
  Dims left(from.begin(), from.end()), right = dims;
  for (AffineExpr &dim : right) {
    auto it = llvm::find_if(left, [&](AffineExpr e) {
      return gr::equal(e, dim) && !gr::isConstant(e, 0);
    });
    if (it != left.end()) {
      left.erase(it);
      dim = n.number(1);
    }
  }
  AffineExpr above = n.number(1), below = n.number(1);
  int64_t known = 1;
  for (AffineExpr dim : left) {
    auto c = gr::constantOf(dim);
    if (c && !n.require(!llvm::MulOverflow(known, *c, known),
                        "the tensor has too many elements"))
      return std::nullopt;
    above = above * dim;
  }
  known = 1;
  for (AffineExpr dim : right) {
    auto c = gr::constantOf(dim);
    if (c && !n.require(*c >= 0 && !llvm::MulOverflow(known, *c, known),
                        "the shape has too many elements"))
      return std::nullopt;
    below = below * dim;
  }
  above = gr::simplify(above);
  below = gr::simplify(below);
  if (!n.require(!gr::isConstant(below, 0),
                 "the shape has a dimension -1 beside one of size 0"))
    return std::nullopt;
  auto a = gr::constantOf(above), b = gr::constantOf(below);
  if (a && b &&
      !n.require(*a % *b == 0,
                 "cannot reshape " + n.print(from) + " to " + n.print(wanted)))
    return std::nullopt;
  dims[*open] = gr::simplify(above.floorDiv(below));
  return dims;
}

static void reshape(Node &n) {
  Value x = n.operand(0);
  std::optional<Dims> wanted;
  if (n.version < 5)
    wanted = n.numbers(n.integers("shape"));
  else if (n.has(1) && !n.known(1)) {
    auto elements = n.elementsOf(1, "shape");
    if (elements)
      n.set(0, reshapeWhenRun(n, x, *elements, n.integer("allowzero", 0)));
    return;
  } else
    wanted = n.expressionsOf(1, "shape");
  if (!x || !wanted)
    return;
  auto dims = reshapeDims(n, dimsOf(x), *wanted, n.integer("allowzero", 0));
  if (dims)
    n.set(0, n.reshape(x, *dims));
}

static AffineExpr product(Node &n, ArrayRef<AffineExpr> dims) {
  AffineExpr result = n.number(1);
  for (AffineExpr dim : dims)
    result = gr::simplify(result * dim);
  return result;
}

static void flatten(Node &n) {
  Value x = n.operand(0);
  if (!x)
    return;
  int64_t rank = rankOf(x), axis = n.integer("axis", 1);
  if (axis != rank)
    axis = n.axis(axis, rank);
  if (n.failed())
    return;
  Dims dims = dimsOf(x);
  n.set(0, n.reshape(x, Dims{product(n, ArrayRef(dims).take_front(axis)),
                             product(n, ArrayRef(dims).drop_front(axis))}));
}

/// `axes` is an attribute before opset 13.
static std::optional<Ints> axesOf(Node &n) {
  if (n.version < 13)
    return n.integers("axes");
  return n.has(1) ? n.integersOf(1, "axes") : std::optional<Ints>(Ints());
}

static void squeeze(Node &n) {
  Value x = n.operand(0);
  auto given = axesOf(n);
  if (!x || !given)
    return;
  Ints axes = n.axes(*given, rankOf(x));
  bool any = n.version < 13 ? !n.hasAttribute("axes") : !n.has(1);
  Dims dims;
  for (auto [i, dim] : llvm::enumerate(dimsOf(x))) {
    bool gone =
        any ? gr::isConstant(dim, 1) : llvm::is_contained(axes, int64_t(i));
    // Whether an open size is one decides about the rank, so it may not be.
    if (any && !gr::constantOf(dim)) {
      if (n.importer.symbols.runs(dim))
        n.check(n.compare(gr::Comparison::not_equal, n.scalarOf(dim),
                          n.integerScalar(1, n.b.getI64Type())));
      else
        n.importer.assumeAtMost(n.number(2), dim);
    }
    if (!gone)
      dims.push_back(dim);
    else
      n.requireEqual(dim, n.number(1), "a squeezed dimension");
  }
  n.set(0, n.reshape(x, dims));
}

static void unsqueeze(Node &n) {
  Value x = n.operand(0);
  auto given = axesOf(n);
  if (!x || !given)
    return;
  int64_t rank = rankOf(x) + given->size();
  Ints axes = n.axes(*given, rank);
  if (n.failed())
    return;
  Dims from = dimsOf(x), dims;
  size_t next = 0;
  for (int64_t i = 0; i < rank; ++i)
    dims.push_back(llvm::is_contained(axes, i) ? n.number(1) : from[next++]);
  n.set(0, n.reshape(x, dims));
}

static void transpose(Node &n) {
  Value x = n.operand(0);
  if (!x)
    return;
  Ints permutation;
  for (int64_t i = rankOf(x); i-- > 0;)
    permutation.push_back(i);
  n.set(0, n.transpose(x, n.integers("perm", permutation)));
}

static void concat(Node &n) {
  SmallVector<Value> values;
  for (unsigned i = 0; i < n.numInputs(); ++i)
    values.push_back(n.operand(i));
  if (n.failed() ||
      !n.require(!values.empty(), "it has no inputs, expected at least 1"))
    return;
  int64_t axis =
      n.version < 4 ? n.integer("axis", 1) : n.requiredInteger("axis");
  axis = n.axis(axis, rankOf(values[0]));
  n.set(0, n.concatenate(values, axis));
}

static void split(Node &n) {
  Value x = n.operand(0);
  if (!x)
    return;
  int64_t axis = n.axis(n.integer("axis", 0), rankOf(x));
  if (n.failed())
    return;
  AffineExpr whole = dimsOf(x)[axis];
  Dims sizes;
  int64_t parts = n.numOutputs();
  bool given = n.version < 13 ? n.hasAttribute("split") : n.has(1);
  if (given) {
    auto list = n.version < 13
                    ? std::optional<Dims>(n.numbers(n.integers("split")))
                    : n.expressionsOf(1, "split");
    if (!list)
      return;
    sizes = *list;
    AffineExpr sum = n.number(0);
    for (AffineExpr size : sizes)
      sum = sum + size;
    if (!n.requireEqual(gr::simplify(sum), whole, "the sum of the parts"))
      return;
  } else {
    if (n.version >= 18 && n.hasAttribute("num_outputs"))
      parts = n.integer("num_outputs", parts);
    if (!n.require(parts >= 1 && parts <= int64_t(n.numOutputs()),
                   "num_outputs is " + Twine(parts) + ", expected " +
                       Twine(n.numOutputs())))
      return;
    AffineExpr size = gr::simplify(whole.ceilDiv(parts));
    if (n.version < 18) {
      if (!n.requireEqual(size * parts, whole, "the sum of equal parts"))
        return;
    }
    for (int64_t i = 0; i + 1 < parts; ++i)
      sizes.push_back(size);
    sizes.push_back(gr::simplify(whole - size * (parts - 1)));
  }
  if (!n.require(sizes.size() >= n.numOutputs(),
                 "it has " + Twine(n.numOutputs()) + " outputs, expected " +
                     Twine(sizes.size())))
    return;
  AffineExpr from = n.number(0);
  for (unsigned i = 0; i < n.numOutputs(); ++i) {
    if (n.wants(i))
      n.set(i, n.sliceAxis(x, axis, from, sizes[i]));
    from = from + sizes[i];
  }
}

bool aicc::onnx::sliceBounds(Node &n, AffineExpr dim, AffineExpr start,
                             AffineExpr end, int64_t step, AffineExpr &offset,
                             AffineExpr &size, bool *unsure) {
  // From here on a number that means "to the end" is one that no tensor has.
  constexpr int64_t far = (int64_t(1) << 31) - 1;
  auto count = gr::constantOf(dim);
  auto atMost = [](AffineExpr a, AffineExpr b) {
    return nonNegative(gr::simplify(b - a));
  };
  auto assume = [&](AffineExpr a, AffineExpr b) {
    if (unsure)
      *unsure = true;
    else
      n.importer.assumeAtMost(a, b);
  };
  AffineExpr zero = n.number(0), one = n.number(1);
  AffineExpr low = step > 0 ? zero : n.number(-1);
  AffineExpr high = step > 0 ? dim : gr::simplify(dim - one);
  auto bound = [&](AffineExpr at, bool isStart) -> AffineExpr {
    auto c = gr::constantOf(at);
    if (c && *c >= far)
      return high;
    if (c && *c <= -far)
      return step < 0 && isStart ? low : (step < 0 ? low : zero);
    if (c && *c < 0)
      at = gr::simplify(dim + *c);
    else if (!c && !nonNegative(at) && nonNegative(gr::simplify(at * -1)))
      at = gr::simplify(dim + at);
    c = gr::constantOf(at);
    if (c && count)
      return n.number(
          std::clamp(*c, *gr::constantOf(low),
                     std::max(*gr::constantOf(low), *gr::constantOf(high))));
    // A bound that may lie outside cannot be clamped without a minimum in the
    // dimension; that it lies inside is taken for granted and recorded.
    if (!atMost(low, at))
      assume(low, at);
    if (!atMost(at, high))
      assume(at, high);
    return at;
  };
  offset = bound(start, true);
  AffineExpr stop = bound(end, false);
  AffineExpr length =
      step > 0 ? gr::simplify(stop - offset) : gr::simplify(offset - stop);
  if (auto c = gr::constantOf(length)) {
    length = n.number(std::max<int64_t>(*c, 0));
  } else if (!nonNegative(length)) {
    assume(zero, length);
  }
  size = gr::simplify(length.ceilDiv(step > 0 ? step : -step));
  if (gr::isConstant(size, 0))
    offset = zero;
  return !n.failed();
}

/// Slice with bounds or steps that are not known while importing.
static void sliceAtRun(Node &n, Value x) {
  auto starts = n.elementsOf(1, "starts"), ends = n.elementsOf(2, "ends");
  if (!starts || !ends)
    return;
  size_t count = starts->size();
  SmallVector<Node::Element> steps(count, {n.number(1)});
  if (n.has(4)) {
    auto given = n.elementsOf(4, "steps");
    if (!given)
      return;
    steps = *given;
  }
  std::optional<Ints> axes = Ints();
  if (n.has(3))
    axes = n.integersOf(3, "axes");
  else
    for (size_t i = 0; i < count; ++i)
      axes->push_back(i);
  if (!axes ||
      !n.require(ends->size() == count && axes->size() == count &&
                     steps.size() == count,
                 "starts, ends, axes and steps have different lengths"))
    return;
  (void)n.axes(*axes, rankOf(x));
  for (size_t i = 0; i < count && x && !n.failed(); ++i)
    x = sliceWhenRun(n, x, n.axis((*axes)[i], rankOf(x)), (*starts)[i],
                     (*ends)[i], steps[i]);
  n.set(0, x);
}

static void slice(Node &n) {
  Value x = n.operand(0);
  if (!x)
    return;
  std::optional<Dims> starts, ends;
  std::optional<Ints> axes, steps;
  // What became version 10 was DynamicSlice before.
  bool dynamic = n.proto.op_type() == "DynamicSlice";
  if (n.version < 10 && !dynamic) {
    starts = n.numbers(n.integers("starts"));
    ends = n.numbers(n.integers("ends"));
    if (n.hasAttribute("axes"))
      axes = n.integers("axes");
  } else {
    if (n.has(1) && n.has(2) &&
        (!n.known(1) || !n.known(2) || (n.has(4) && !n.known(4))))
      return sliceAtRun(n, x);
    starts = n.expressionsOf(1, "starts");
    ends = n.expressionsOf(2, "ends");
    if (n.has(3) && !(axes = n.integersOf(3, "axes")))
      return;
    if (n.has(4) && !(steps = n.integersOf(4, "steps")))
      return;
  }
  if (!starts || !ends)
    return;
  size_t count = starts->size();
  if (!axes) {
    axes = Ints();
    for (size_t i = 0; i < count; ++i)
      axes->push_back(i);
  }
  if (!steps)
    steps = Ints(count, 1);
  if (!n.require(ends->size() == count && axes->size() == count &&
                     steps->size() == count,
                 "starts, ends, axes and steps have different lengths"))
    return;
  int64_t rank = rankOf(x);
  (void)n.axes(*axes, rank);
  Dims sizes = dimsOf(x), offsets(rank, n.number(0));
  Ints by(rank, 1);
  // Axes of sizes that only the running model knows, which may be such that
  // bounds lie outside.
  SmallVector<size_t> atRun;
  for (size_t i = 0; i < count && !n.failed(); ++i) {
    int64_t axis = n.axis((*axes)[i], rank), step = (*steps)[i];
    if (!n.require(step != 0 && step != INT64_MIN,
                   "a step is " + Twine(step) + ", expected another number"))
      return;
    AffineExpr offset, size;
    bool runs = n.importer.symbols.runs(sizes[axis]), unsure = false;
    if (!sliceBounds(n, sizes[axis], (*starts)[i], (*ends)[i], step, offset,
                     size, runs ? &unsure : nullptr))
      return;
    if (unsure) {
      atRun.push_back(i);
      continue;
    }
    by[axis] = step;
    offsets[axis] = offset;
    sizes[axis] = size;
  }
  x = n.slice(x, offsets, sizes, by);
  for (size_t i : atRun)
    x = sliceWhenRun(n, x, n.axis((*axes)[i], rank), {(*starts)[i]},
                     {(*ends)[i]}, {n.number((*steps)[i])});
  n.set(0, x);
}

static void expand(Node &n) {
  Value x = n.operand(0);
  auto elements = n.elementsOf(1, "shape");
  if (!x || !elements)
    return;
  Dims dims, from = dimsOf(x);
  if (!n.known(1)) {
    // The shape and the tensor's dimensions are aligned at the end.
    size_t rank = std::max(elements->size(), from.size());
    from.insert(from.begin(), rank - from.size(), n.number(1));
    elements->insert(elements->begin(), rank - elements->size(), {n.number(1)});
    for (auto [dim, element] : llvm::zip(from, *elements))
      dims.push_back(n.broadcastSize(dim, element));
    if (!n.failed())
      n.set(0, n.broadcastTo(n.stretch(x, dims), dims));
    return;
  }
  for (const Node::Element &element : *elements)
    dims.push_back(element.expr);
  if (n.broadcastDims(dimsOf(x), dims))
    n.set(0, n.broadcastTo(n.stretchAtRun(x, dims), dims));
}

static void tile(Node &n) {
  Value x = n.operand(0);
  auto repeats =
      n.version < 6 ? std::optional<Dims>() : n.expressionsOf(1, "repeats");
  if (n.version < 6)
    return n.unsupported("tiles as inputs");
  if (!x || !repeats)
    return;
  Dims from = dimsOf(x);
  if (!n.require(repeats->size() == from.size(),
                 "repeats has " + Twine(repeats->size()) +
                     " values, expected " + Twine(from.size())))
    return;
  // [a, b] -> [1, a, 1, b] -> [r, a, s, b] -> [r * a, s * b]
  Dims wide, dims;
  Ints positions;
  for (size_t i = 0; i < from.size(); ++i) {
    if (!gr::isConstant((*repeats)[i], 1))
      wide.push_back((*repeats)[i]);
    positions.push_back(wide.size());
    wide.push_back(from[i]);
    dims.push_back((*repeats)[i] * from[i]);
  }
  Value result = n.broadcastIn(x, wide, positions);
  n.set(0, n.reshape(result, dims));
}

/// Pad with widths that are not known while importing.
static void padAtRun(Node &n, Value x, Value fill, ArrayRef<int64_t> axes) {
  auto pads = n.elementsOf(1, "pads");
  if (!pads || !n.sameElement(x, fill) ||
      !n.require(pads->size() == 2 * axes.size(),
                 "pads has " + Twine(pads->size()) + " values, expected " +
                     Twine(2 * axes.size())))
    return;
  std::string mode = n.string("mode", "constant");
  auto kind = gr::symbolizePadMode(mode);
  if (!n.require(kind.has_value(), "mode is \"" + mode +
                                       "\", expected constant, reflect, edge "
                                       "or wrap"))
    return;
  for (auto [i, axis] : llvm::enumerate(axes))
    x = padWhenRun(n, x, fill, axis, (*pads)[i], (*pads)[i + axes.size()],
                   *kind);
  n.set(0, x);
}

static void pad(Node &n) {
  Value x = n.operand(0);
  if (!x)
    return;
  int64_t rank = rankOf(x);
  std::optional<Dims> pads;
  Value fill;
  Ints axes;
  for (int64_t i = 0; i < rank; ++i)
    axes.push_back(i);
  if (n.version < 11) {
    pads = n.numbers(n.integers(n.version < 2 ? "paddings" : "pads"));
    fill = n.scalar(n.real("value", 0), elementOf(x));
  } else {
    if (!n.has(1) || n.known(1))
      pads = n.expressionsOf(1, "pads");
    if (n.has(2))
      fill = n.reshape(n.operand(2), {});
    else
      fill = n.scalar(0, elementOf(x));
    if (n.has(3)) {
      auto given = n.integersOf(3, "axes");
      if (!given)
        return;
      axes.clear();
      (void)n.axes(*given, rank);
      for (int64_t axis : *given)
        axes.push_back(n.axis(axis, rank));
    }
  }
  if (!fill || n.failed())
    return;
  if (!pads)
    return padAtRun(n, x, fill, axes);
  if (!n.require(pads->size() == 2 * axes.size(),
                 "pads has " + Twine(pads->size()) + " values, expected " +
                     Twine(2 * axes.size())))
    return;
  std::string mode = n.string("mode", "constant");
  auto kind = mode == "wrap" ? std::optional(gr::PadMode::wrap)
                             : gr::symbolizePadMode(mode);
  if (!n.require(kind.has_value(), "mode is \"" + mode +
                                       "\", expected constant, reflect, edge "
                                       "or wrap"))
    return;
  Dims low(rank, n.number(0)), high = low, dims = dimsOf(x);
  constexpr int64_t most = int64_t(1) << 40;
  for (size_t i = 0; i < axes.size(); ++i) {
    AffineExpr before = (*pads)[i], after = (*pads)[i + axes.size()];
    for (AffineExpr e : {before, after}) {
      // The least integer has no opposite to compare.
      int64_t known = gr::constantOf(e).value_or(0);
      if (!n.require(known >= -most && known <= most, "a pad is out of range"))
        return;
    }
    low[axes[i]] = before;
    high[axes[i]] = after;
    dims[axes[i]] = dims[axes[i]] + before + after;
  }
  if (!n.sameElement(x, fill))
    return;
  RankedTensorType result = n.type(dims, elementOf(x));
  if (!result)
    return;
  auto map = [&](const Dims &exprs) {
    return AffineMapAttr::get(gr::makeMap(exprs, n.importer.context));
  };
  n.set(0, gr::PadOp::create(n.b, n.loc, result, x, fill, map(low), map(high),
                             gr::PadModeAttr::get(n.b.getContext(), *kind))
               .getResult());
}

/// [N, C, H, W] as blocks; the two orders differ in where the block index is.
static void depthToSpace(Node &n) {
  Value x = n.operand(0);
  int64_t block = n.requiredInteger("blocksize");
  std::string mode = n.string("mode", "DCR");
  if (!x || !n.require(rankOf(x) == 4 && block > 0 && block < (1 << 15),
                       "it needs 4 dimensions and a positive blocksize"))
    return;
  if (!n.require(mode == "DCR" || mode == "CRD",
                 "mode is \"" + mode + "\", expected DCR or CRD"))
    return;
  Dims d = dimsOf(x);
  AffineExpr s = n.number(block);
  AffineExpr depth = gr::simplify(d[1].floorDiv(block * block));
  bool dcr = mode == "DCR";
  Value parts = n.reshape(x, dcr ? Dims{d[0], s, s, depth, d[2], d[3]}
                                 : Dims{d[0], depth, s, s, d[2], d[3]});
  Value moved =
      n.transpose(parts, dcr ? Ints{0, 3, 4, 1, 5, 2} : Ints{0, 1, 4, 2, 5, 3});
  n.set(0, n.reshape(moved, Dims{d[0], depth, d[2] * block, d[3] * block}));
}

static void spaceToDepth(Node &n) {
  Value x = n.operand(0);
  int64_t block = n.requiredInteger("blocksize");
  std::string mode = n.string("mode", "DCR");
  if (!x || !n.require(rankOf(x) == 4 && block > 0 && block < (1 << 15),
                       "it needs 4 dimensions and a positive blocksize") ||
      !n.require(mode == "DCR" || mode == "CRD",
                 "mode is \"" + mode + "\", expected DCR or CRD"))
    return;
  Dims d = dimsOf(x);
  for (AffineExpr side : {d[2], d[3]})
    if (auto c = gr::constantOf(side);
        c && !n.require(*c % block == 0, "a side of " + Twine(*c) +
                                             " is not a multiple of the "
                                             "blocksize " +
                                             Twine(block)))
      return;
  AffineExpr s = n.number(block), h = gr::simplify(d[2].floorDiv(block)),
             w = gr::simplify(d[3].floorDiv(block));
  Value parts = n.reshape(x, Dims{d[0], d[1], h, s, w, s});
  Value moved = n.transpose(parts, mode == "DCR" ? Ints{0, 3, 5, 1, 2, 4}
                                                 : Ints{0, 1, 3, 5, 2, 4});
  n.set(0, n.reshape(moved, Dims{d[0], d[1] * (block * block), h, w}));
}

/// `size` elements along an axis around the middle, zeros where there are none,
/// for sizes that are expressions: the beginning is computed when it runs.
static Value aroundMiddle(Node &n, Value x, int64_t axis, AffineExpr size) {
  Dims dims = dimsOf(x), wide = dims;
  Type i64 = n.b.getI64Type();
  auto scalar = [&](AffineExpr expr) {
    return n.importer.materialize(*n.knownScalar(expr));
  };
  Value from = scalar(dims[axis]);
  // Rounds toward zero: both cut and pad leave the odd element at the end.
  Value before = n.divide(n.subtract(scalar(size), from),
                          n.integerScalar(2, i64));
  Value at = n.subtract(n.iota({size}, i64, 0), before);
  wide[axis] = size;
  RankedTensorType type = n.type(wide, elementOf(x));
  Value last = n.subtract(from, n.integerScalar(1, i64));
  Value limited = n.minimum(n.maximum(at, 0.0), last);
  if (!type || !limited)
    return {};
  Value picked = gr::GatherOp::create(n.b, n.loc, type, x, limited,
                                      n.b.getI64IntegerAttr(axis));
  Value inside = n.compare(gr::Comparison::equal, at, limited);
  return n.select(n.broadcastAlong(inside, picked, axis), picked,
                  n.full(0, picked));
}

/// Cuts or pads (with zeros) around the middle.
static void centerCropPad(Node &n) {
  Value x = n.operand(0);
  auto target = n.expressionsOf(1, "shape");
  if (!x || !target)
    return;
  int64_t rank = rankOf(x);
  Ints axes;
  for (int64_t i = 0; i < rank; ++i)
    axes.push_back(i);
  if (n.hasAttribute("axes"))
    axes = n.integers("axes");
  if (!n.require(axes.size() == target->size(),
                 "shape has " + Twine(target->size()) + " values, expected " +
                     Twine(axes.size())))
    return;
  Dims low(rank, n.number(0)), high = low, dims = dimsOf(x);
  SmallVector<std::pair<int64_t, AffineExpr>> others;
  for (auto [i, axis] : llvm::enumerate(axes)) {
    int64_t at = n.axis(axis, rank);
    if (n.failed())
      return;
    auto size = gr::constantOf(dims[at]), wanted = gr::constantOf((*target)[i]);
    if (!n.require(!wanted || *wanted >= 0, "a size is negative"))
      return;
    if (!size || !wanted) {
      if (!gr::equal(dims[at], (*target)[i]))
        others.push_back({at, (*target)[i]});
      continue;
    }
    int64_t more = *wanted - *size;
    // Both cut and pad leave the odd element at the end.
    int64_t before = more >= 0 ? more / 2 : -(-more / 2);
    low[at] = n.number(before);
    high[at] = n.number(more - before);
    dims[at] = n.number(*wanted);
  }
  RankedTensorType result = n.type(dims, elementOf(x));
  Value zero = n.scalar(0, elementOf(x));
  if (!result || !zero)
    return;
  auto map = [&](const Dims &exprs) {
    return AffineMapAttr::get(gr::makeMap(exprs, n.importer.context));
  };
  Value y = gr::PadOp::create(
      n.b, n.loc, result, x, zero, map(low), map(high),
      gr::PadModeAttr::get(n.b.getContext(), gr::PadMode::constant));
  for (auto [axis, size] : others)
    if (y)
      y = aroundMiddle(n, y, axis, size);
  n.set(0, y);
}

llvm::ArrayRef<Operator> aicc::onnx::movementOperators() {
  static constexpr Operator table[] = {
      {"", "Reshape", 1, reshape},
      {"", "Flatten", 1, flatten},
      {"", "Squeeze", 1, squeeze},
      {"", "Unsqueeze", 1, unsqueeze},
      {"", "Transpose", 1, transpose},
      {"", "Concat", 1, concat},
      {"", "Split", 2, split},
      {"", "Slice", 1, slice},
      {"", "DynamicSlice", 1, slice},
      {"", "Expand", 8, expand},
      {"", "Tile", 1, tile},
      {"", "Pad", 1, pad},
      {"", "DepthToSpace", 1, depthToSpace},
      {"", "SpaceToDepth", 1, spaceToDepth},
      {"", "CenterCropPad", 18, centerCropPad},
  };
  return table;
}
