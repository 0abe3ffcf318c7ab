//===- AttentionTiles.cpp - tiles of attention in shared memory -----------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/gpu/AttentionTiles.h"

#include "compiler/gpu/MatrixOperand.h"

#include "dialects/graph/Dims.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace aicc;
using namespace aicc::gpu;

AttentionTiles::AttentionTiles(Emitter &e, const MatrixAttentionPlan &plan)
    : AttentionValues(e, plan.form), plan(plan), row(*plan.instruction),
      type(storageType(plan.form.key.getType())),
      run(chunkBytes * 8 / type.getIntOrFloatBitWidth()) {
  auto innermost = graph::constantOf(columnSizes.back());
  bool wholeChunks = innermost && *innermost % run == 0;
  keysAcross = plan.results || (!e.options.matrixLoad.transposed.empty() &&
                                arePairsOfTiles(row) && wholeChunks &&
                                plan.columns % (2 * row.columns) == 0);
  if (e.options.asyncCopy.copy.empty())
    return;
  if (keysAcross && wholeChunks)
    valueSource = findSource(form.product, form.values, form.columns.back());
  keySource = findSource(form.scores, form.key, form.depth.back());
}

Value AttentionTiles::zero() {
  return arith::ConstantOp::create(e.b, e.loc,
                                   cast<TypedAttr>(e.b.getZeroAttr(type)));
}

Value AttentionTiles::vectorOf(ArrayRef<Value> values) {
  return vector::FromElementsOp::create(
      e.b, e.loc,
      VectorType::get({int64_t(values.size())}, values[0].getType()), values);
}

/// Among those that execute an instruction together.
static Value laneOf(Emitter &e, const FragmentLayout &layout) {
  unsigned lanes = 1u << layout.lanes.size();
  return lanes <= e.options.subgroup ? e.lane : e.splitThread(lanes).first;
}

Value AttentionTiles::laneLine(const FragmentLayout &layout) {
  return laneCoordinate(e, laneOf(e, layout), layout.lanes, &Basis::line);
}

Value AttentionTiles::lanePlace(const FragmentLayout &layout) {
  return laneCoordinate(e, laneOf(e, layout), layout.lanes, &Basis::place);
}

void AttentionTiles::allocate(Lines &lines, StringRef name) {
  lines.memory = e.shared(type, lines.size(), name, lines.align());
}

Value AttentionTiles::placeOf(const Lines &lines, Value line, Value chunk,
                              Value inChunk) {
  Value start = e.mul(line, e.constant(lines.stride()));
  if (lines.swizzled) {
    const unsigned chunks = Lines::part / run;
    Value part = e.div(chunk, e.constant(chunks));
    start = e.add(start, e.mul(part, e.constant(lines.count * Lines::part)));
    chunk = arith::XOrIOp::create(e.b, e.loc, e.rem(chunk, e.constant(chunks)),
                                  e.rem(line, e.constant(chunks)));
  }
  return e.add(start, e.add(e.mul(chunk, e.constant(run)), inChunk));
}

Value AttentionTiles::stored(Value value) {
  return value.getType() == type
             ? value
             : arith::BitcastOp::create(e.b, e.loc, type, value).getResult();
}

Value AttentionTiles::bounded(Value index, AffineExpr total, unsigned tile,
                              Value *inside) {
  auto known = graph::constantOf(total);
  if (known && *known % tile == 0)
    return index;
  Value within = e.less(index, e.apply(total));
  if (inside)
    *inside = within;
  return e.select(within, index, e.constant(0));
}

/// Shares tasks out to the threads of the workgroup.
void AttentionTiles::share(unsigned tasks,
                           llvm::function_ref<void(Value)> body) {
  unsigned threads = e.options.workgroup;
  Value thread = e.splitThread(threads).first;
  auto some = [&](Value task) {
    e.guarded(tasks % threads ? e.less(task, e.constant(tasks)) : Value(),
              [&] { body(task); });
  };
  if (!plan.rolled) {
    for (unsigned start = 0; start < tasks; start += threads)
      some(e.add(thread, e.constant(start)));
    return;
  }
  e.loop(e.constant(0), e.constant(tasks), e.constant(threads), {},
         [&](Value start, ArrayRef<Value>) {
           some(e.add(thread, start));
           return SmallVector<Value>();
         });
}

/// The subgroup's queries: a fragment of a for each step of the depth.
SmallVector<Value> AttentionTiles::queries(Value tileRow, Value ownRow) {
  unsigned tile = row.rows * (e.options.workgroup / e.options.subgroup);
  SmallVector<AffineExpr> depthSizes = sizesOf(scoreLoops, form.depth);
  AffineExpr depthTotal = productOf(depthSizes, e.b.getContext());
  Value line = e.add(ownRow, laneLine(row.a)), place = lanePlace(row.a);
  SmallVector<Value> fragments;
  for (unsigned k0 = 0; k0 < plan.depth; k0 += row.depth) {
    SmallVector<Value> elements;
    for (unsigned i = 0; i < row.a.count(); ++i) {
      Basis at = row.a.at(0, i);
      Value query = bounded(e.add(tileRow, e.add(line, e.constant(at.line))),
                            queryTotal, tile, nullptr);
      set(form.queries, e.delinearize(query, querySizes));
      Value inside;
      Value k = bounded(e.add(place, e.constant(k0 + at.place)), depthTotal,
                        plan.depth, &inside);
      SmallVector<Value> loops(scorePoint);
      for (auto [dim, value] :
           llvm::zip(form.depth, e.delinearize(k, depthSizes)))
        loops[dim] = value;
      Point here{form.scores, loops, {}};
      Value value = e.evaluate(here, form.query);
      if (e.failed)
        return {};
      value = stored(value);
      elements.push_back(inside ? e.select(inside, value, zero()) : value);
    }
    fragments.push_back(vectorOf(elements));
  }
  return fragments;
}

/// Runs of elements that lie along a line, loaded by one thread each.
void AttentionTiles::fillLines(
    const Lines &lines, Value first, AffineExpr total, Value firstPlace,
    ArrayRef<AffineExpr> placeSizes,
    llvm::function_ref<Value(Value, ArrayRef<Value>)> element) {
  AffineExpr placeTotal = productOf(placeSizes, e.b.getContext());
  auto innermost = graph::constantOf(placeSizes.back());
  bool together = innermost && *innermost % run == 0;
  unsigned tasks = lines.count * lines.length / run, fast = lines.length / run;
  share(tasks, [&](Value task) {
    Value line = e.div(task, e.constant(fast));
    Value chunk = e.rem(task, e.constant(fast));
    Value begin = e.mul(chunk, e.constant(run));
    Value number =
        total ? bounded(e.add(first, line), total, lines.count, nullptr)
              : e.add(first, line);
    SmallVector<Value> values, index;
    Value inside;
    for (unsigned i = 0; i < run; ++i) {
      if (i == 0 || !together) {
        Value k = bounded(e.add(firstPlace, e.add(begin, e.constant(i))),
                          placeTotal, lines.length, &inside);
        index = e.delinearize(k, placeSizes);
      } else {
        index.back() = e.add(index.back(), e.constant(1));
      }
      Value value = element(number, index);
      if (e.failed)
        return;
      value = stored(value);
      values.push_back(inside ? e.select(inside, value, zero()) : value);
    }
    Value to = placeOf(lines, line, chunk, e.constant(0));
    e.store(vectorOf(values), e.sharedPointer(lines.memory, type, to),
            chunkBytes);
  });
}

void AttentionTiles::fillRows(const Lines &lines, Value first, bool ofQueries,
                              bool whole) {
  SmallVector<AffineExpr> depthSizes = sizesOf(scoreLoops, form.depth);
  AffineExpr total = ofQueries ? queryTotal : keyTotal;
  fillLines(lines, first, whole ? AffineExpr() : total, e.constant(0),
            depthSizes, [&](Value number, ArrayRef<Value> depth) {
              set(ofQueries ? form.queries : form.keys,
                  e.delinearize(number, ofQueries ? querySizes : keySizes));
              SmallVector<Value> loops(scorePoint);
              for (auto [dim, value] : llvm::zip(form.depth, depth))
                loops[dim] = value;
              Point here{form.scores, loops, {}};
              return e.evaluate(here, ofQueries ? form.query : form.key);
            });
}

Lines AttentionTiles::linesOfValues() {
  Lines lines{plan.columns, plan.keys, type};
  if (keysAcross)
    std::swap(lines.count, lines.length);
  return lines;
}

/// Each column is a line: neighbouring threads take neighbouring columns of
/// the same keys.
void AttentionTiles::fillColumns(const Lines &lines, Value key0,
                                 Value firstColumn, bool whole) {
  unsigned tasks = lines.count * lines.length / run;
  AffineExpr columnTotal = getAffineConstantExpr(columnCount, e.b.getContext());
  share(tasks, [&](Value task) {
    Value line = e.rem(task, e.constant(lines.count));
    Value begin = e.mul(e.div(task, e.constant(lines.count)), e.constant(run));
    Value column =
        bounded(e.add(firstColumn, line), columnTotal, lines.count, nullptr);
    set(form.columns, e.delinearize(column, columnSizes));
    SmallVector<Value> values;
    for (unsigned i = 0; i < run; ++i) {
      Value inside, key = e.add(e.add(key0, begin), e.constant(i));
      if (!whole)
        key = bounded(key, keyTotal, lines.length, &inside);
      set(form.keys, e.delinearize(key, keySizes));
      Point here{form.product, point, {}};
      Value value = e.evaluate(here, form.values);
      if (e.failed)
        return;
      value = stored(value);
      values.push_back(inside ? e.select(inside, value, zero()) : value);
    }
    Value to = e.add(e.mul(line, e.constant(lines.stride())), begin);
    e.store(vectorOf(values), e.sharedPointer(lines.memory, type, to),
            chunkBytes);
  });
}

void AttentionTiles::fillValues(const Lines &lines, Value key0,
                                Value firstColumn, bool whole) {
  if (!keysAcross)
    return fillColumns(lines, key0, firstColumn, whole);
  // Values of keys beyond the last are multiplied by 0: they must be numbers.
  fillLines(lines, key0, whole ? AffineExpr() : keyTotal, firstColumn,
            columnSizes, [&](Value key, ArrayRef<Value> column) {
              set(form.keys, e.delinearize(key, keySizes));
              set(form.columns, column);
              Point here{form.product, point, {}};
              return e.evaluate(here, form.values);
            });
}

/// An operand that is an argument of the kernel, its elements moved at most,
/// with whole chunks of neighbours in memory along the loop `running`.
AttentionTiles::Source AttentionTiles::findSource(linalg::GenericOp product,
                                                  Value inBody,
                                                  unsigned running) {
  auto indexOf = [](linalg::GenericOp generic, Value operand) {
    return generic.getMatchingIndexingMap(
        &generic->getOpOperand(cast<BlockArgument>(operand).getArgNumber()));
  };
  Value tensor = tensorOf(product, inBody);
  if (!tensor)
    return {};
  AffineMap map = indexOf(product, inBody);
  while (linalg::GenericOp inner = elementwiseOf(tensor)) {
    Value element = yielded(inner);
    AffineMap result =
        inner.getIndexingMapMatchingResult(cast<OpResult>(inner->getResult(0)));
    tensor = tensorOf(inner, element);
    if (!tensor || !result.isPermutation())
      return {};
    map = indexOf(inner, element)
              .compose(inversePermutation(result))
              .compose(map);
  }
  auto given = dyn_cast<BlockArgument>(tensor);
  if (!given || given.getOwner() != e.kernel.getBodyBlock())
    return {};
  SmallVector<AffineExpr> dims = dimsOf(e.kernel, given);
  if (dims.empty() ||
      map.getResults().back() != getAffineDimExpr(running, e.b.getContext()))
    return {};
  for (AffineExpr expr : map.getResults().drop_back())
    if (expr.isFunctionOfDim(running))
      return {};
  auto width = graph::constantOf(dims.back());
  return width && *width % run == 0 ? Source{given, map} : Source{};
}

/// Lines of keys from `key0` on; `pointAt` is the product's point, its keys
/// set, for a place in a line.
void AttentionTiles::copyLines(
    const Lines &lines, const Source &source, Value key0, bool whole,
    Value firstPlace, AffineExpr placeTotal,
    llvm::function_ref<ArrayRef<Value>(Value)> pointAt) {
  unsigned fast = lines.length / run;
  share(lines.count * fast, [&](Value task) {
    Value line = e.div(task, e.constant(fast));
    Value chunk = e.rem(task, e.constant(fast));
    // What doesn't exist becomes 0.
    Value given = e.constant32(chunkBytes);
    auto only = [&](Value inside) {
      if (inside)
        given = e.select(inside, given, e.constant32(0));
    };
    Value inside, key = e.add(key0, line);
    if (!whole) {
      key = bounded(key, keyTotal, lines.count, &inside);
      only(inside);
      inside = nullptr;
    }
    Value place = bounded(e.add(firstPlace, e.mul(chunk, e.constant(run))),
                          placeTotal, lines.length, &inside);
    only(inside);
    set(form.keys, e.delinearize(key, keySizes));
    ArrayRef<Value> at = pointAt(place);
    SmallVector<Value> index;
    for (AffineExpr expr : source.index.getResults())
      index.push_back(e.apply(expr, at));
    Value to = placeOf(lines, line, chunk, e.constant(0));
    e.intrinsic(e.options.asyncCopy.copy, nullptr,
                {e.sharedPointer(lines.memory, type, to),
                 e.address(source.tensor, index), given});
  });
  e.intrinsic(e.options.asyncCopy.commit, nullptr, {});
}

void AttentionTiles::copyValues(const Lines &lines, Value key0,
                                Value firstColumn, bool whole) {
  copyLines(lines, valueSource, key0, whole, firstColumn,
            getAffineConstantExpr(columnCount, e.b.getContext()),
            [&](Value column) -> ArrayRef<Value> {
              set(form.columns, e.delinearize(column, columnSizes));
              return point;
            });
}

void AttentionTiles::copyKeys(const Lines &lines, Value key0) {
  SmallVector<AffineExpr> depthSizes = sizesOf(scoreLoops, form.depth);
  SmallVector<Value> at;
  copyLines(lines, keySource, key0, false, e.constant(0),
            productOf(depthSizes, e.b.getContext()),
            [&](Value k) -> ArrayRef<Value> {
              at = scorePoint;
              for (auto [dim, value] :
                   llvm::zip(form.depth, e.delinearize(k, depthSizes)))
                at[dim] = value;
              return at;
            });
}

void AttentionTiles::await(unsigned copies) {
  e.intrinsic(e.options.asyncCopy.wait, nullptr, {e.constant32(copies)});
}

Value AttentionTiles::fragment(const Lines &lines, const FragmentLayout &layout,
                               Value line, unsigned lineOffset,
                               unsigned place) {
  unsigned size = 1; // of what is loaded at once
  for (const Basis &basis : layout.elements) {
    if (basis.line || basis.place != size || size == run)
      break;
    size *= 2;
  }
  Value base =
      e.add(e.mul(line, e.constant(lines.stride())), lanePlace(layout));
  SmallVector<Value> elements;
  for (unsigned i = 0; i < layout.count(); i += size) {
    Basis at = layout.at(0, i);
    Value pointer = e.sharedPointer(
        lines.memory, type,
        e.add(base, e.constant((lineOffset + at.line) * lines.stride() + place +
                               at.place)));
    if (size == 1) {
      elements.push_back(e.load(type, pointer, lines.bytes()));
      continue;
    }
    Value loaded =
        e.load(VectorType::get({size}, type), pointer, size * lines.bytes());
    if (size == layout.count())
      return loaded;
    for (unsigned j = 0; j < size; ++j)
      elements.push_back(vector::ExtractOp::create(e.b, e.loc, loaded, j));
  }
  return vectorOf(elements);
}

/// Of a tile of 8 lines a lane has 4 bytes
/// of line lane / 4, of the other one those 8 elements further.
bool aicc::gpu::arePairsOfTiles(const MatrixInstruction &row) {
  static const FragmentLayout wanted = {
      joined({alongLine(2, 8), acrossLines(1, 8)}),
      joined({alongLine(1, 2), alongLine(8, 16)})};
  auto same = [](const Basis &x, const Basis &y) {
    return x.line == y.line && x.place == y.place;
  };
  return row.columns == 8 && elementBytes(row.operand) == 2 &&
         llvm::equal(row.b.lanes, wanted.lanes, same) &&
         llvm::equal(row.b.elements, wanted.elements, same);
}

/// Two neighbouring fragments of b: words 0 and 1 of a load are the first.
std::pair<Value, Value> AttentionTiles::loadPair(StringRef load,
                                                 Value pointer) {
  SmallVector<Type> words(4, e.b.getI32Type());
  Value loaded = e.intrinsic(
      load, LLVM::LLVMStructType::getLiteral(e.b.getContext(), words),
      {pointer});
  SmallVector<Value, 2> found;
  for (unsigned first : {0, 2}) {
    SmallVector<Value> elements;
    for (unsigned word : {first, first + 1}) {
      Value bits = LLVM::ExtractValueOp::create(e.b, e.loc, loaded, word);
      Value pair =
          LLVM::BitcastOp::create(e.b, e.loc, VectorType::get({2}, type), bits);
      for (int64_t i : {0, 1})
        elements.push_back(vector::ExtractOp::create(e.b, e.loc, pair, i));
    }
    found.push_back(vectorOf(elements));
  }
  return {found[0], found[1]};
}

SmallVector<Value> AttentionTiles::ofLines(const Lines &lines, unsigned place) {
  unsigned count = lines.count / row.columns;
  SmallVector<Value> found;
  if (e.options.matrixLoad.four.empty() || count % 2 || !arePairsOfTiles(row)) {
    for (unsigned j = 0; j < count; ++j)
      found.push_back(
          fragment(lines, row.b, laneLine(row.b), j * row.columns, place));
    return found;
  }
  // Lane l says where line l % 8 of tile l / 8 begins.
  SmallVector<Basis> lanes = acrossLines(1, 8);
  lanes.push_back({0, 8});
  lanes.push_back({8, 0});
  Value base = laneStart(lines, lanes);
  for (unsigned j = 0; j < count; j += 2) {
    Value at =
        e.add(base, e.constant(j * row.columns * lines.stride() + place));
    auto [first, second] = loadPair(e.options.matrixLoad.four,
                                    e.sharedPointer(lines.memory, type, at));
    found.append({first, second});
  }
  return found;
}

SmallVector<Value> AttentionTiles::ofValues(const Lines &lines, unsigned key) {
  if (!keysAcross)
    return ofLines(lines, key);
  // Of a fragment's two tiles the second one is eight keys, lines of memory,
  // further; the next fragment is eight columns further.
  SmallVector<Basis> lanes = acrossLines(1, 16);
  lanes.push_back({0, 8});
  Value base = laneStart(lines, lanes);
  SmallVector<Value> found;
  for (unsigned column = 0; column < lines.length; column += 2 * row.columns) {
    Value at = e.add(base, e.constant(key * lines.stride() + column));
    auto [first, second] = loadPair(e.options.matrixLoad.transposed,
                                    e.sharedPointer(lines.memory, type, at));
    found.append({first, second});
  }
  return found;
}

Value AttentionTiles::laneStart(const Lines &lines, ArrayRef<Basis> lanes) {
  return e.add(e.mul(laneCoordinate(e, e.lane, lanes, &Basis::line),
                     e.constant(lines.stride())),
               laneCoordinate(e, e.lane, lanes, &Basis::place));
}
