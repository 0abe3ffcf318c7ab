//===- Structure.cpp - lowering of constants and data movement ------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What is an affine function of the loop indices with constant coefficients
// becomes an indexing map; everything else extracts elements at computed
// indices, which are always clamped into the tensor.
//
//===----------------------------------------------------------------------===//

#include "compiler/lowering/Writer.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

using namespace mlir;
using namespace aicc;
using namespace aicc::lowering;
using graph::constantOf;
using graph::dimOf;
using graph::dimsOf;
using graph::isConstant;

namespace {

/// A pattern whose result is one tensor, given by `lower`.
template <typename Op> struct Lower : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;

  LogicalResult matchAndRewrite(Op op,
                                PatternRewriter &rewriter) const override {
    Writer w(rewriter, op);
    w.replace(lower(w, op));
    return success();
  }

  Value lower(Writer &w, Op op) const;
};

/// Result elements are operand elements at an affine function of the indices.
Value byMap(Writer &w, Value operand, RankedTensorType result,
            ArrayRef<AffineExpr> exprs) {
  return w.elementwise(dimsOf(result), result.getElementType(),
                       w.lowered(operand), w.map(result.getRank(), exprs),
                       [](LocBuilder &, ValueRange args) -> SmallVector<Value> {
                         return {args[0]};
                       });
}

/// Result elements are computed from the indices (and `ins`).
Value byIndex(
    Writer &w, RankedTensorType result, ValueRange ins,
    ArrayRef<AffineMap> maps,
    llvm::function_ref<Value(LocBuilder &, SmallVector<Value> &, ValueRange)>
        body) {
  unsigned rank = result.getRank();
  return w.elementwise(
      dimsOf(result), result.getElementType(), ins, maps,
      [&](LocBuilder &b, ValueRange args) -> SmallVector<Value> {
        SmallVector<Value> indices = loopIndices(b, rank);
        return {body(b, indices, args)};
      });
}

//===----------------------------------------------------------------------===//
// ConstantOp, IotaOp, DimensionsOp
//===----------------------------------------------------------------------===//

template <>
Value Lower<graph::ConstantOp>::lower(Writer &w, graph::ConstantOp op) const {
  RankedTensorType type = loweredType(op.getType());
  ElementsAttr value = op.getValue();
  if (type != op.getType()) {
    if (auto dense = dyn_cast<DenseElementsAttr>(value))
      value = DenseElementsAttr::getFromRawBuffer(type, dense.getRawData());
    else
      value = DenseResourceElementsAttr::get(
          type, cast<DenseResourceElementsAttr>(value).getRawHandle());
  }
  return arith::ConstantOp::create(w.b, type, cast<TypedAttr>(value));
}

/// An index value as an element of a tensor.
Value fromIndex(LocBuilder &b, Value value, Type element) {
  Type wide = b.getI64Type();
  Value number = arith::IndexCastOp::create(b, wide, value);
  return convertElement(b, number, wide, element);
}

template <>
Value Lower<graph::IotaOp>::lower(Writer &w, graph::IotaOp op) const {
  RankedTensorType type = op.getType();
  return byIndex(w, type, {}, {}, [&](LocBuilder &b, auto &i, ValueRange) {
    return fromIndex(b, i[op.getDimension()], type.getElementType());
  });
}

template <>
Value Lower<graph::DimensionsOp>::lower(Writer &w,
                                        graph::DimensionsOp op) const {
  RankedTensorType type = op.getType();
  SmallVector<Value> values = w.sizes(op.getExpressions().getResults());
  return byIndex(w, type, {}, {}, [&](LocBuilder &b, auto &i, ValueRange) {
    Value chosen = values.back();
    for (int64_t k = static_cast<int64_t>(values.size()) - 2; k >= 0; --k) {
      Value here =
          arith::CmpIOp::create(b, arith::CmpIPredicate::eq, i[0], index(b, k));
      chosen = arith::SelectOp::create(b, here, values[k], chosen);
    }
    return fromIndex(b, chosen, type.getElementType());
  });
}

//===----------------------------------------------------------------------===//
// ReshapeOp
//===----------------------------------------------------------------------===//

/// The operand's index as affine functions of the result's, if both shapes
/// split into groups of equal size whose inner dimensions are numbers.
std::optional<Dims> reshapeExprs(Writer &w, ArrayRef<AffineExpr> from,
                                 ArrayRef<AffineExpr> to) {
  Dims exprs;
  size_t i = 0, j = 0;
  while (i < from.size() || j < to.size()) {
    // The smallest groups from[i, ie) and to[j, je) of equal size.
    size_t ie = i, je = j;
    AffineExpr have = w.c(1), want = w.c(1);
    auto step = [&](AffineExpr &product, ArrayRef<AffineExpr> dims,
                    size_t &at) {
      product = graph::simplify(product * dims[at++]);
    };
    if (ie < from.size())
      step(have, from, ie);
    if (je < to.size())
      step(want, to, je);
    while (!graph::equal(have, want)) {
      auto a = constantOf(have), b = constantOf(want);
      bool growFrom =
          ie < from.size() &&
          (je >= to.size() || (a && b && *a < *b) || (a && !b) || (!a && !b));
      // With two expressions grow whichever does not contain the other yet.
      if (!a && !b && je < to.size()) {
        AffineExpr quotient = graph::simplify(have.floorDiv(want));
        bool contains = !isa<AffineBinaryOpExpr>(quotient) ||
                        cast<AffineBinaryOpExpr>(quotient).getKind() !=
                            AffineExprKind::FloorDiv;
        growFrom = growFrom && !contains;
      }
      if (growFrom)
        step(have, from, ie);
      else if (je < to.size())
        step(want, to, je);
      else
        return std::nullopt;
    }
    // Row-major index within the group, from the result's side …
    AffineExpr linear = w.c(0);
    int64_t stride = 1;
    for (size_t k = je; k-- > j;) {
      if (!isConstant(to[k], 1))
        linear = linear + w.d(k) * stride;
      auto size = constantOf(to[k]);
      if (!size && k > j && llvm::any_of(to.slice(j, k - j), [](AffineExpr e) {
            return !isConstant(e, 1);
          }))
        return std::nullopt;
      stride *= size.value_or(1);
    }
    // … and taken apart on the operand's side.
    SmallVector<AffineExpr> parts(ie - i);
    AffineExpr rest = linear;
    for (size_t k = ie; k-- > i;) {
      bool outer = llvm::all_of(from.slice(i, k - i),
                                [](AffineExpr e) { return isConstant(e, 1); });
      auto size = constantOf(from[k]);
      if (size && *size == 1) {
        parts[k - i] = w.c(0);
      } else if (outer) {
        parts[k - i] = rest;
      } else if (size && *size > 0) {
        parts[k - i] = rest % *size;
        rest = rest.floorDiv(*size);
      } else {
        return std::nullopt;
      }
    }
    llvm::append_range(exprs, parts);
    i = ie;
    j = je;
  }
  return exprs;
}

template <>
Value Lower<graph::ReshapeOp>::lower(Writer &w, graph::ReshapeOp op) const {
  RankedTensorType from = op.getOperand().getType(), to = op.getType();
  if (auto exprs = reshapeExprs(w, dimsOf(from), dimsOf(to)))
    return byMap(w, op.getOperand(), to, *exprs);
  SmallVector<Value> sizes = w.sizes(dimsOf(from));
  SmallVector<Value> resultSizes = w.sizes(dimsOf(to));
  Value operand = w.lowered(op.getOperand());
  return byIndex(w, to, {}, {}, [&](LocBuilder &b, auto &i, ValueRange) {
    Value linear = index(b, 0);
    for (auto [at, size] : llvm::zip(i, resultSizes))
      linear = addIndex(b, b.createOrFold<arith::MulIOp>(linear, size), at);
    SmallVector<Value> at(from.getRank());
    for (int64_t k = from.getRank(); k-- > 0;) {
      at[k] =
          k == 0 ? linear : b.createOrFold<arith::RemUIOp>(linear, sizes[k]);
      if (k > 0)
        linear = b.createOrFold<arith::DivUIOp>(linear, sizes[k]);
    }
    return extract(b, operand, at);
  });
}

//===----------------------------------------------------------------------===//
// TransposeOp, BroadcastOp, SliceOp, ReverseOp
//===----------------------------------------------------------------------===//

template <>
Value Lower<graph::TransposeOp>::lower(Writer &w, graph::TransposeOp op) const {
  Dims exprs(op.getType().getRank());
  for (auto [i, from] : llvm::enumerate(op.getPermutation()))
    exprs[from] = w.d(i);
  return byMap(w, op.getOperand(), op.getType(), exprs);
}

template <>
Value Lower<graph::BroadcastOp>::lower(Writer &w, graph::BroadcastOp op) const {
  Dims exprs;
  for (auto [i, to] : llvm::enumerate(op.getDimensions()))
    exprs.push_back(
        isConstant(dimOf(op.getOperand().getType(), i), 1) ? w.c(0) : w.d(to));
  return byMap(w, op.getOperand(), op.getType(), exprs);
}

/// operand[offset + i * stride], as a map where the offsets are numbers.
Value strided(Writer &w, Value operand, RankedTensorType result,
              ArrayRef<AffineExpr> offsets, ArrayRef<int64_t> strides) {
  Dims sizes = dimsOf(operand), exprs;
  bool isMap = true;
  for (auto [i, offset] : llvm::enumerate(offsets)) {
    exprs.push_back(w.d(i) * strides[i] + offset);
    // A loop's size is that of any dimension it is the plain index of, so the
    // first part of a dimension can't be said by a map.
    isMap &= constantOf(offset) && (!isa<AffineDimExpr>(exprs.back()) ||
                                    graph::equal(sizes[i], dimOf(result, i)));
  }
  if (isMap)
    return byMap(w, operand, result, exprs);
  SmallVector<Value> limits = w.sizes(sizes);
  SmallVector<Value> starts = w.sizes(offsets);
  Value from = w.lowered(operand);
  return byIndex(w, result, {}, {}, [&](LocBuilder &b, auto &i, ValueRange) {
    for (auto [k, at] : llvm::enumerate(i)) {
      at = addIndex(b, starts[k], mulIndex(b, at, strides[k]));
      if (!constantOf(offsets[k]))
        at = clampIndex(b, at, limits[k]);
    }
    return extract(b, from, i);
  });
}

template <>
Value Lower<graph::SliceOp>::lower(Writer &w, graph::SliceOp op) const {
  Dims offsets;
  for (AffineExpr offset : op.getOffsets().getResults())
    offsets.push_back(graph::simplify(offset));
  return strided(w, op.getOperand(), op.getType(), offsets, op.getStrides());
}

template <>
Value Lower<graph::ReverseOp>::lower(Writer &w, graph::ReverseOp op) const {
  RankedTensorType type = op.getType();
  Dims offsets;
  SmallVector<int64_t> strides(type.getRank(), 1);
  for (int64_t i = 0; i < type.getRank(); ++i) {
    bool reversed = llvm::is_contained(op.getDimensions(), i);
    offsets.push_back(reversed ? graph::simplify(dimOf(type, i) - 1) : w.c(0));
    strides[i] = reversed ? -1 : 1;
  }
  return strided(w, op.getOperand(), type, offsets, strides);
}

//===----------------------------------------------------------------------===//
// ConcatenateOp, PadOp, UpdateOp
//===----------------------------------------------------------------------===//

template <>
Value Lower<graph::ConcatenateOp>::lower(Writer &w,
                                         graph::ConcatenateOp op) const {
  unsigned axis = op.getDimension();
  struct Piece {
    Value tensor, start, size;
  };
  SmallVector<Piece> pieces;
  AffineExpr start = w.c(0);
  for (Value operand : op.getOperands()) {
    AffineExpr size = dimOf(cast<RankedTensorType>(operand.getType()), axis);
    if (!isConstant(size, 0))
      pieces.push_back({w.lowered(operand), w.size(start), w.size(size)});
    start = start + size;
  }
  return byIndex(w, op.getType(), {}, {},
                 [&](LocBuilder &b, auto &i, ValueRange) {
                   Value joined;
                   // The last piece whose start is not beyond the index holds
                   // the element.
                   for (auto [k, piece] : llvm::enumerate(pieces)) {
                     SmallVector<Value> at(i);
                     at[axis] = subIndex(b, i[axis], piece.start);
                     at[axis] = clampIndex(b, at[axis], piece.size);
                     Value element = extract(b, piece.tensor, at);
                     if (k == 0) {
                       joined = element;
                       continue;
                     }
                     Value here = arith::CmpIOp::create(
                         b, arith::CmpIPredicate::sge, i[axis], piece.start);
                     joined = arith::SelectOp::create(b, here, element, joined);
                   }
                   return joined;
                 });
}

/// The index that padding repeats, for an index outside 0 … size - 1.
Value repeatIndex(LocBuilder &b, graph::PadMode mode, Value at, Value size) {
  auto floorMod = [&](Value x, Value y) {
    Value rest = arith::RemSIOp::create(b, x, y);
    Value negative =
        arith::CmpIOp::create(b, arith::CmpIPredicate::slt, rest, index(b, 0));
    return arith::SelectOp::create(b, negative, addIndex(b, rest, y), rest)
        .getResult();
  };
  switch (mode) {
  case graph::PadMode::constant:
  case graph::PadMode::edge:
    break;
  case graph::PadMode::reflect: {
    // … 2 1 | 0 1 2 | 1 0 … has period 2 (size - 1).
    Value last = addIndex(b, size, -1);
    Value period = maxIndex(b, mulIndex(b, last, 2), index(b, 1));
    Value rest = floorMod(at, period);
    at = minIndex(b, rest, subIndex(b, period, rest));
    break;
  }
  case graph::PadMode::wrap:
    at = floorMod(at, maxIndex(b, size, index(b, 1)));
    break;
  }
  return clampIndex(b, at, size);
}

template <> Value Lower<graph::PadOp>::lower(Writer &w, graph::PadOp op) const {
  RankedTensorType from = op.getOperand().getType(), to = op.getType();
  bool isConstantMode = op.getMode() == graph::PadMode::constant;
  unsigned rank = to.getRank();
  Dims low, high, offsets;
  bool onlyCrops = true;
  for (unsigned i = 0; i < rank; ++i) {
    low.push_back(graph::simplify(op.getLow().getResult(i)));
    high.push_back(graph::simplify(op.getHigh().getResult(i)));
    offsets.push_back(graph::simplify(-low[i]));
    auto l = constantOf(low[i]), h = constantOf(high[i]);
    onlyCrops &= l && h && *l <= 0 && *h <= 0;
  }
  if (onlyCrops)
    return strided(w, op.getOperand(), to, offsets,
                   SmallVector<int64_t>(rank, 1));
  Value value = w.lowered(op.getValue());
  if (isConstantMode && llvm::is_contained(from.getShape(), 0))
    return w.elementwise(
        dimsOf(to), to.getElementType(), value, w.map(rank, {}),
        [](LocBuilder &, ValueRange args) -> SmallVector<Value> {
          return {args[0]};
        });
  SmallVector<Value> sizes = w.sizes(dimsOf(from)), starts = w.sizes(offsets);
  Value operand = w.lowered(op.getOperand());
  SmallVector<Value> ins;
  SmallVector<AffineMap> maps;
  if (isConstantMode) {
    ins.push_back(value);
    maps.push_back(w.map(rank, {}));
  }
  return byIndex(
      w, to, ins, maps, [&](LocBuilder &b, auto &i, ValueRange args) {
        Value inside;
        for (unsigned k = 0; k < rank; ++k) {
          auto l = constantOf(low[k]), h = constantOf(high[k]);
          if (l == 0 && h == 0)
            continue;
          i[k] = addIndex(b, i[k], starts[k]);
          if (l && *l <= 0 && h && *h <= 0)
            continue;
          if (isConstantMode)
            inside = andBits(b, inside, insideIndex(b, i[k], sizes[k]));
          i[k] = repeatIndex(b, op.getMode(), i[k], sizes[k]);
        }
        Value element = extract(b, operand, i);
        return inside ? arith::SelectOp::create(b, inside, element, args[0])
                            .getResult()
                      : element;
      });
}

template <>
Value Lower<graph::UpdateOp>::lower(Writer &w, graph::UpdateOp op) const {
  RankedTensorType type = op.getType(), box = op.getUpdate().getType();
  unsigned rank = type.getRank();
  if (llvm::is_contained(box.getShape(), 0))
    return w.lowered(op.getOperand());
  SmallVector<Value> starts = w.sizes(op.getOffsets().getResults());
  SmallVector<Value> sizes = w.sizes(dimsOf(box));
  Value update = w.lowered(op.getUpdate());
  return byIndex(
      w, type, w.lowered(op.getOperand()), w.identity(rank),
      [&](LocBuilder &b, auto &i, ValueRange args) {
        Value inside;
        for (unsigned k = 0; k < rank; ++k) {
          if (graph::equal(dimOf(box, k), dimOf(type, k)))
            continue; // the whole dimension
          i[k] = subIndex(b, i[k], starts[k]);
          inside = andBits(b, inside, insideIndex(b, i[k], sizes[k]));
          i[k] = clampIndex(b, i[k], sizes[k]);
        }
        Value element = extract(b, update, i);
        return inside ? arith::SelectOp::create(b, inside, element, args[0])
                            .getResult()
                      : element;
      });
}

//===----------------------------------------------------------------------===//
// Gathers
//===----------------------------------------------------------------------===//

/// An element of `indices` as an index into a dimension of `size`: negative
/// ones count from the end, those outside are clamped.
Value toIndex(LocBuilder &b, Value value, Type element, Value size) {
  Type type = b.getIndexType();
  if (isUnsigned(element))
    return clampIndex(b, arith::IndexCastUIOp::create(b, type, value), size);
  Value at = arith::IndexCastOp::create(b, type, value);
  Value negative =
      arith::CmpIOp::create(b, arith::CmpIPredicate::slt, at, index(b, 0));
  at = arith::SelectOp::create(b, negative, addIndex(b, at, size), at);
  return clampIndex(b, at, size);
}

template <>
Value Lower<graph::GatherOp>::lower(Writer &w, graph::GatherOp op) const {
  RankedTensorType type = op.getType(), indices = op.getIndices().getType();
  unsigned axis = op.getAxis(), rank = type.getRank();
  unsigned count = indices.getRank();
  Dims exprs;
  for (unsigned i = 0; i < count; ++i)
    exprs.push_back(w.d(axis + i));
  Value size = w.size(dimOf(op.getOperand().getType(), axis));
  Value operand = w.lowered(op.getOperand());
  return byIndex(
      w, type, w.lowered(op.getIndices()), w.map(rank, exprs),
      [&](LocBuilder &b, auto &i, ValueRange args) {
        SmallVector<Value> at(ArrayRef<Value>(i).take_front(axis));
        at.push_back(toIndex(b, args[0], indices.getElementType(), size));
        llvm::append_range(at, ArrayRef<Value>(i).drop_front(axis + count));
        return extract(b, operand, at);
      });
}

template <>
Value Lower<graph::GatherElementsOp>::lower(Writer &w,
                                            graph::GatherElementsOp op) const {
  RankedTensorType type = op.getType(), indices = op.getIndices().getType();
  unsigned axis = op.getAxis();
  Value size = w.size(dimOf(op.getOperand().getType(), axis));
  Value operand = w.lowered(op.getOperand());
  return byIndex(
      w, type, w.lowered(op.getIndices()), w.identity(type.getRank()),
      [&](LocBuilder &b, auto &i, ValueRange args) {
        i[axis] = toIndex(b, args[0], indices.getElementType(), size);
        return extract(b, operand, i);
      });
}

template <>
Value Lower<graph::GatherNdOp>::lower(Writer &w, graph::GatherNdOp op) const {
  RankedTensorType from = op.getOperand().getType();
  RankedTensorType indices = op.getIndices().getType();
  unsigned batch = op.getBatchDims(), outer = indices.getRank() - 1;
  int64_t count = indices.getDimSize(outer);
  SmallVector<Value> sizes = w.sizes(dimsOf(from));
  Value operand = w.lowered(op.getOperand());
  Value tuples = w.lowered(op.getIndices());
  return byIndex(
      w, op.getType(), {}, {}, [&](LocBuilder &b, auto &i, ValueRange) {
        ArrayRef<Value> all(i);
        SmallVector<Value> at(all.take_front(batch));
        for (int64_t k = 0; k < count; ++k) {
          SmallVector<Value> tuple(all.take_front(outer));
          tuple.push_back(index(b, k));
          at.push_back(toIndex(b, extract(b, tuples, tuple),
                               indices.getElementType(), sizes[batch + k]));
        }
        llvm::append_range(at, all.drop_front(outer));
        return extract(b, operand, at);
      });
}

} // namespace

void lowering::populateStructure(RewritePatternSet &patterns) {
  patterns.add<Lower<graph::ConstantOp>, Lower<graph::IotaOp>,
               Lower<graph::DimensionsOp>, Lower<graph::ReshapeOp>,
               Lower<graph::TransposeOp>, Lower<graph::BroadcastOp>,
               Lower<graph::SliceOp>, Lower<graph::ReverseOp>,
               Lower<graph::ConcatenateOp>, Lower<graph::PadOp>,
               Lower<graph::UpdateOp>, Lower<graph::GatherOp>,
               Lower<graph::GatherElementsOp>, Lower<graph::GatherNdOp>>(
      patterns.getContext());
  populateResize(patterns);
}
