//===- MatrixView.cpp - an operand read through a view --------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Part of MatrixOperand: tensors in memory whose end the hardware knows, and
// copies of them by all lanes of a subgroup.
//
//===----------------------------------------------------------------------===//

#include "compiler/gpu/MatrixOperand.h"

#include "dialects/graph/Dims.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace aicc;
using namespace aicc::gpu;

/// A view must be short. The rest of the tensor's dimensions that have known
/// sizes may be whole; outer ones are indexed by the batch, which a workgroup
/// has one of, or count lines, of which it has so many from its first one on.
void MatrixOperand::findView(ArrayRef<AffineExpr> loops) {
  BlockArgument inMemory = tensorInMemory();
  if (!inMemory || !e.options.view.make)
    return;
  SmallVector<AffineExpr> tensorDims = dimsOf(e.kernel, inMemory);
  ArrayRef<AffineExpr> index = mapOfTensor().getResults();
  unsigned outer = tensorDims.size();
  int64_t rest = bytes;
  for (; outer; --outer) {
    AffineExpr dim = tensorDims[outer - 1];
    auto known = dim ? graph::constantOf(dim) : std::nullopt;
    if (!known || *known > BufferView::outside ||
        *known * rest > BufferView::outside)
      break;
    rest *= *known;
  }
  auto ofBatch = [&](AffineExpr expr) {
    for (unsigned dim = 0; dim < loops.size(); ++dim)
      if (expr.isFunctionOfDim(dim) && !llvm::is_contained(c.batch, dim))
        return false;
    return true;
  };
  auto line = llvm::find_if(
      dims, [&](unsigned dim) { return !graph::isConstant(loops[dim], 1); });
  bool oneLoop = llvm::count_if(dims, [&](unsigned dim) {
                   return !graph::isConstant(loops[dim], 1);
                 }) == 1;
  if (outer && !ofBatch(index[outer - 1])) {
    if (!oneLoop ||
        index[outer - 1] != getAffineDimExpr(*line, e.b.getContext()) ||
        rest > BufferView::outside / lines)
      return;
    viewsLines = true;
  }
  if (!llvm::all_of(index.take_front(outer - viewsLines), ofBatch))
    return;
  viewed = inMemory;
  viewedDims = outer;
  restBytes = rest;
}

void MatrixOperand::openView(ArrayRef<Value> point, Value first) {
  if (!viewed)
    return;
  AffineMap map = mapOfTensor();
  SmallVector<Value> index(map.getNumResults(), e.constant(0));
  for (unsigned i = 0; i < viewedDims - viewsLines; ++i)
    index[i] = e.apply(map.getResult(i), point);
  Value length = e.constant(restBytes);
  if (viewsLines) {
    index[viewedDims - 1] = first;
    Value left = e.add(e.apply(total), e.mul(first, e.constant(-1)));
    Value most = e.constant(lines);
    length = e.mul(e.select(e.less(left, most), left, most), length);
  }
  if (viewedDims)
    viewBegin = e.offset(viewed, index);
  view = e.options.view.make(
      e.b, e.loc, e.address(viewed, index),
      arith::IndexCastOp::create(e.b, e.loc, e.b.getI64Type(), length));
}

Value MatrixOperand::viewOffset(ArrayRef<Value> point, Value inside) {
  SmallVector<Value> index;
  for (AffineExpr expr : mapOfTensor().getResults())
    index.push_back(e.apply(expr, point));
  Value offset = e.offset(viewed, index);
  if (viewBegin)
    offset = arith::SubIOp::create(e.b, e.loc, offset, viewBegin);
  return inside ? e.select(inside, offset,
                           e.constant32(int32_t(BufferView::outside)))
                : offset;
}

std::optional<int64_t> MatrixOperand::strideOf(unsigned loop) {
  AffineMap map = mapOfTensor();
  AffineExpr dim = getAffineDimExpr(loop, map.getContext());
  int64_t sum = 0;
  for (auto [expr, stride] :
       llvm::zip(map.getResults(),
                 stridesOf(dimsOf(e.kernel, viewed), map.getContext()))) {
    AffineExpr step = simplifyAffineExpr(expr.replace(dim, dim + 1) - expr,
                                         map.getNumDims(), 0);
    auto steps = dyn_cast<AffineConstantExpr>(step);
    if (steps && steps.getValue() == 0)
      continue;
    auto elements = graph::constantOf(stride);
    if (!steps || !elements)
      return std::nullopt;
    sum += steps.getValue() * *elements;
  }
  return sum * bytes;
}

/// Beyond the edges nothing needs to be clamped: reading there touches nothing
/// that doesn't exist. Depth there counts as zero; lines are never stored.
SmallVector<Value> MatrixOperand::fetchView(SmallVector<Value> &point,
                                            Value first, Value k0) {
  auto knownDepth = graph::constantOf(depthTotal);
  bool wholeDepth = knownDepth && *knownDepth % depth == 0;
  AffineExpr last = mapOfTensor().getNumResults()
                        ? mapOfTensor().getResults().back()
                        : AffineExpr();
  SmallVector<AffineExpr> tensorDims = dimsOf(e.kernel, viewed);
  // How many neighbours along a loop, of `most`, one read may take: their
  // places in memory begin at multiples of its size.
  auto runOf = [&](unsigned dim, AffineExpr size, unsigned most) {
    auto loop = graph::constantOf(size);
    auto width = tensorDims.empty() ? std::nullopt
                                    : graph::constantOf(tensorDims.back());
    if (!loop || !width)
      return 1u;
    AffineMap map = mapOfTensor();
    AffineExpr step = getAffineDimExpr(dim, map.getContext());
    AffineExpr rest =
        simplifyAffineExpr(last - step, map.getNumDims(), /*numSymbols=*/0);
    if (rest.isFunctionOfDim(dim))
      return 1u;
    unsigned run = 1;
    while (run < most && *loop % (2 * run) == 0 && *width % (2 * run) == 0 &&
           rest.isMultipleOf(2 * run))
      run *= 2;
    return run;
  };
  unsigned along = runOf(c.reduced.back(), depthSizes.back(), elements);
  unsigned beside = along > 1 ? 1 : runOf(dims.back(), sizes.back(), group);
  std::optional<int64_t> inDepth = strideOf(c.reduced.back()),
                         besideLine = strideOf(dims.back());
  SmallVector<Value> vectors;
  SmallVector<Chunk> all = chunks();
  auto innermost = graph::constantOf(depthSizes.back());
  bool wholeChunks = innermost && *innermost % elements == 0;
  for (unsigned leader = 0; leader < all.size(); leader += group) {
    SmallVector<Value> lineIndex =
        e.delinearize(e.add(first, all[leader].line), sizes);
    Value begin = e.add(k0, e.mul(all[leader].number, e.constant(elements)));
    // For each line of the group the reads that make up its chunk.
    std::vector<SmallVector<Value>> parts(group);
    Value inside, firstOffset;
    SmallVector<Value> depthIndex;
    auto offsetAt = [&](unsigned i, unsigned line) -> Value {
      // Known distances become part of the instruction.
      int64_t apart = 0;
      if (wholeChunks && inDepth && besideLine && firstOffset)
        apart = i * *inDepth + line * *besideLine;
      if (apart)
        return arith::AddIOp::create(e.b, e.loc, firstOffset,
                                     e.constant32(int32_t(apart)));
      Value offset = viewOffset(point, inside);
      if (!firstOffset)
        firstOffset = offset;
      return offset;
    };
    for (unsigned i = 0; i < elements; i += along) {
      if (i == 0 || !wholeChunks) {
        Value k = e.add(begin, e.constant(i));
        if (!wholeDepth)
          inside = e.less(k, e.apply(depthTotal));
        depthIndex = e.delinearize(k, depthSizes);
      }
      for (auto [dim, value] : llvm::zip(c.reduced, depthIndex))
        point[dim] = value;
      if (wholeChunks)
        point[c.reduced.back()] = e.add(depthIndex.back(), e.constant(i));
      for (unsigned line = 0; line < group; line += beside) {
        for (auto [dim, value] : llvm::zip(dims, lineIndex))
          point[dim] = value;
        point[dims.back()] = e.add(lineIndex.back(), e.constant(line));
        unsigned run = std::max(along, beside);
        Type read = run == 1 ? type : Type(VectorType::get({run}, type));
        Value value =
            e.options.view.load(e.b, e.loc, read, view, offsetAt(i, line));
        for (unsigned j = 0; beside > 1 && j < beside; ++j)
          parts[line + j].push_back(vector::ExtractOp::create(
              e.b, e.loc, value, ArrayRef<int64_t>{j}));
        if (beside == 1)
          parts[line].push_back(value);
      }
    }
    for (SmallVector<Value> &chunk : parts)
      vectors.push_back(
          along == 1
              ? Value(vector::FromElementsOp::create(
                    e.b, e.loc, VectorType::get({elements}, type), chunk))
              : joined(chunk, along));
  }
  return vectors;
}

bool MatrixOperand::copiesByLanes() const {
  return copies() && e.options.asyncCopy.copy.empty();
}

unsigned MatrixOperand::copiesOfSlice() const {
  return memoryLines * chunksOfLine / e.options.workgroup;
}

/// Neighbouring lanes fill neighbouring places, so it is on the other side that
/// chunks change places: a lane brings the one that belongs where it writes.
void MatrixOperand::copyByLanes(SmallVector<Value> &point, Value first,
                                Value k0, Value stage) {
  auto knownDepth = graph::constantOf(depthTotal);
  bool wholeDepth = knownDepth && *knownDepth % depth == 0;
  unsigned threads = e.options.workgroup;
  auto [place, line] = e.splitThread(chunksOfLine);
  // A pass of all threads is a multiple of the lines that turn alike.
  Value number = exclusiveOr(place, turnOf(line));
  // Slices behind the last one are copied, but never used.
  if (wholeDepth && !view)
    k0 = e.select(e.less(k0, e.apply(depthTotal)), k0, e.constant(0));
  Value inSlice = e.mul(number, e.constant(elements));
  unsigned linesOfPass = threads / chunksOfLine;
  if (across) {
    unsigned wide = lineBytes / bytes;
    linesOfPass = linesOfPass / depth * wide;
    Value panel = e.div(line, e.constant(depth)), begin = inSlice;
    inSlice = e.rem(line, e.constant(depth));
    line = e.add(e.mul(panel, e.constant(wide)), begin);
  }
  Value k = e.add(k0, inSlice);
  Value inside = wholeDepth ? Value() : e.less(k, e.apply(depthTotal));
  for (auto [dim, value] : llvm::zip(c.reduced, e.delinearize(k, depthSizes)))
    point[dim] = value;
  // Neighbouring lines of the operand are as far apart as those of a loop if
  // there is only one.
  bool oneLoop = llvm::count_if(sizes, [](AffineExpr size) {
                   return !graph::isConstant(size, 1);
                 }) <= 1;
  std::optional<int64_t> lineStride;
  if (view && oneLoop && !graph::isConstant(sizes.back(), 1))
    lineStride = strideOf(dims.back());
  Value firstOffset;
  for (unsigned pass = 0; pass < copiesOfSlice(); ++pass) {
    Value own = e.add(first, e.add(line, e.constant(pass * linesOfPass)));
    if (!view)
      own = clampedLine(own);
    for (auto [dim, value] : llvm::zip(dims, e.delinearize(own, sizes)))
      point[dim] = value;
    Value at =
        e.add(e.add(e.mul(stage, e.constant(lines * depth)),
                    e.mul(e.group, e.constant(e.options.subgroup * elements))),
              e.constant(pass * threads * elements));
    Value to = e.sharedPointer(memory, type, at);
    if (view) {
      Value offset;
      if (pass && lineStride)
        offset = arith::AddIOp::create(
            e.b, e.loc, firstOffset,
            e.constant32(int32_t(pass * linesOfPass * *lineStride)));
      else
        offset = viewOffset(point, inside);
      if (!pass)
        firstOffset = offset;
      e.options.laneCopy.copyView(e.b, e.loc, to, view, offset, copyScopes);
      continue;
    }
    SmallVector<Value> index;
    for (AffineExpr expr : mapOfTensor().getResults())
      index.push_back(e.apply(expr, point));
    e.options.laneCopy.copy(e.b, e.loc, to, e.address(source, index),
                            copyScopes);
  }
}
