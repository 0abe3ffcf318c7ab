//===- Attention.cpp - attention without scores in memory -----------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A workgroup of 16 x 16 threads takes a tile of queries and goes through the
// keys, a tile at a time. Slices of queries and keys go through shared memory
// and give a square of scores in each thread's registers; whatever is
// elementwise on scores (scales, masks) is evaluated there. Then the maximum of
// each row so far is brought up to date, what was summed under the old one is
// scaled down, and the exponentials go through shared memory to meet slices of
// the values. The sum of a row is divided by at the end.
//
//===----------------------------------------------------------------------===//

#include "compiler/gpu/AttentionMask.h"
#include "compiler/gpu/Strategies.h"

#include "dialects/graph/Dims.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace aicc;
using namespace aicc::gpu;

static constexpr unsigned side = 16;  // threads along rows and columns
static constexpr unsigned depth = 16; // of a slice
static constexpr unsigned keysOfThread = 4;
static constexpr unsigned tileKeys = side * keysOfThread;
static constexpr unsigned padding = 4;       // of a line in shared memory
static constexpr int64_t widestValues = 256; // columns of the values

std::optional<AttentionPlan> aicc::gpu::planAttention(exec::KernelOp kernel,
                                                      const Options &options) {
  if (options.workgroup != side * side || options.subgroup < side)
    return std::nullopt;
  std::optional<Attention> form = matchAttention(kernel);
  if (!form)
    return std::nullopt;
  SmallVector<AffineExpr> loops = loopsOf(kernel, form->product);
  if (llvm::is_contained(loops, AffineExpr()) ||
      llvm::is_contained(loopsOf(kernel, form->scores), AffineExpr()))
    return std::nullopt;
  MLIRContext *context = kernel.getContext();
  auto columns =
      graph::constantOf(productOf(sizesOf(loops, form->columns), context));
  if (!columns || *columns > widestValues)
    return std::nullopt;
  int64_t queries =
      graph::constantOf(productOf(sizesOf(loops, form->queries), context))
          .value_or(256);
  return AttentionPlan{*form, queries <= side       ? 1u
                              : queries <= 2 * side ? 2u
                                                    : 4u};
}

namespace {
/// Elements on their way to shared memory, [depth][line].
struct Slice {
  linalg::GenericOp generic;
  Value inBody;
  SmallVector<Value> *point;
  ArrayRef<unsigned> lineDims, depthDims;
  unsigned extent; // elements of a line
  unsigned run;    // neighbours that a thread reads of it
  unsigned step;   // the depth is gone through in multiples of this
  SmallVector<AffineExpr> lineSizes = {}, depthSizes = {};
  AffineExpr lineTotal = {}, depthTotal = {};
  bool alongDepth = false; // neighbours in memory are neighbours in depth
  unsigned vector = 1;     // elements a thread takes at once
  Type type = {};
  Value memory = {};

  unsigned stride() const { return extent + padding; }
};

struct Writer : AttentionValues {
  Writer(Emitter &e, const Attention &form) : AttentionValues(e, form) {
    std::tie(tx, ty) = e.splitThread(side);
  }

  Value tx, ty;

  void prepare(Slice &slice, StringRef name);
  /// `whole`: all of its keys exist.
  void fill(Slice &slice, Value first, Value depth0, bool whole = false);
  Value position(Value thread, unsigned i, unsigned run);
  SmallVector<Value> line(Value memory, Type type, Value base, Value thread,
                          unsigned count, unsigned run);
  SmallVector<Value> multiply(ArrayRef<Value> x, ArrayRef<Value> y,
                              ArrayRef<Value> sums);
};
} // namespace

/// Whether neighbours in a loop are neighbours in memory, as far as the body
/// shows.
static bool runsAlong(linalg::GenericOp generic, Value inBody, unsigned loop) {
  SmallVector<Value> work{inBody};
  while (!work.empty()) {
    Value value = work.pop_back_val();
    if (Value tensor = tensorOf(generic, value)) {
      AffineMap map = generic.getMatchingIndexingMap(
          &generic->getOpOperand(cast<BlockArgument>(value).getArgNumber()));
      // Through transposes and whatever else is only a matter of indices.
      auto inner = elementwiseOf(tensor);
      if (inner && map.getNumResults()) {
        AffineMap to = inner.getIndexingMapMatchingResult(
            cast<OpResult>(inner->getResult(0)));
        for (auto [mine, theirs] :
             llvm::zip(map.getResults(), to.getResults())) {
          auto dim = dyn_cast<AffineDimExpr>(theirs);
          if (dim && mine.isFunctionOfDim(loop))
            return runsAlong(inner, yielded(inner), dim.getPosition());
        }
        return false;
      }
      return map.getNumResults() &&
             map.getResult(map.getNumResults() - 1).isFunctionOfDim(loop);
    }
    if (Operation *op = value.getDefiningOp())
      work.append(op->operand_begin(), op->operand_end());
  }
  return false;
}

void Writer::prepare(Slice &s, StringRef name) {
  SmallVector<AffineExpr> sizes = loopsOf(e.kernel, s.generic);
  s.lineSizes = sizesOf(sizes, s.lineDims);
  s.depthSizes = sizesOf(sizes, s.depthDims);
  MLIRContext *context = e.b.getContext();
  s.lineTotal = productOf(s.lineSizes, context);
  s.depthTotal = productOf(s.depthSizes, context);
  s.alongDepth = runsAlong(s.generic, s.inBody, s.depthDims.back());
  ArrayRef<AffineExpr> moving = s.alongDepth ? s.depthSizes : s.lineSizes;
  auto known = moving.empty() ? std::nullopt : graph::constantOf(moving.back());
  unsigned whole = s.alongDepth ? depth : s.extent;
  if (known && *known % e.options.vector == 0 && whole % e.options.vector == 0)
    s.vector = e.options.vector;
  s.type = storageType(s.inBody.getType());
  s.memory = e.shared(s.type, depth * s.stride(), name);
}

/// The slice from `depth0` on of the lines from `first` on. What lies beyond
/// the end of a line is never stored, what lies beyond the depth counts as 0.
void Writer::fill(Slice &s, Value first, Value depth0, bool whole) {
  unsigned groups = s.extent * depth / s.vector;
  unsigned fast = (s.alongDepth ? depth : s.extent) / s.vector;
  auto total = graph::constantOf(s.lineTotal);
  auto deep = graph::constantOf(s.depthTotal);
  unsigned align = std::max(1u, s.type.getIntOrFloatBitWidth() / 8);
  Value thread = e.add(e.mul(ty, e.constant(side)), tx);
  for (unsigned start = 0; start < groups; start += side * side) {
    Value task = e.add(thread, e.constant(start));
    Value some = start + side * side > groups ? e.less(task, e.constant(groups))
                                              : Value();
    e.guarded(some, [&] {
      Value f = e.mul(e.rem(task, e.constant(fast)), e.constant(s.vector));
      Value slow = e.div(task, e.constant(fast));
      Value k = s.alongDepth ? f : slow, x = s.alongDepth ? slow : f;
      Value globalK = e.add(depth0, k), globalX = e.add(first, x);
      bool keysAlongLine = s.generic == form.scores;
      if (!(total && *total % s.extent == 0) && !(whole && keysAlongLine))
        globalX = e.select(e.less(globalX, e.apply(s.lineTotal)), globalX,
                           e.constant(0));
      Value inside;
      if (!(deep && *deep % s.step == 0) && !(whole && !keysAlongLine)) {
        inside = e.less(globalK, e.apply(s.depthTotal));
        globalK = e.select(inside, globalK, e.constant(0));
      }
      SmallVector<Value> kIndex = e.delinearize(globalK, s.depthSizes);
      SmallVector<Value> xIndex = e.delinearize(globalX, s.lineSizes);
      SmallVector<Value> at(*s.point);
      for (auto [dim, value] : llvm::zip(s.depthDims, kIndex))
        at[dim] = value;
      for (auto [dim, value] : llvm::zip(s.lineDims, xIndex))
        at[dim] = value;
      SmallVector<Value> values;
      for (unsigned j = 0; j < s.vector && !e.failed; ++j) {
        Point here{s.generic, at, {}};
        if (j) {
          unsigned dim = s.alongDepth ? s.depthDims.back() : s.lineDims.back();
          here.loops[dim] = e.add(at[dim], e.constant(j));
        }
        values.push_back(e.evaluate(here, s.inBody));
      }
      if (e.failed)
        return;
      for (auto [j, value] : llvm::enumerate(values)) {
        if (inside)
          value =
              e.select(inside, value,
                       arith::ConstantOp::create(
                           e.b, e.loc,
                           cast<TypedAttr>(e.b.getZeroAttr(value.getType()))));
        Value step = e.constant(j), row = e.constant(s.stride());
        Value to = s.alongDepth ? e.add(e.mul(e.add(k, step), row), x)
                                : e.add(e.add(e.mul(k, row), x), step);
        e.store(value, e.sharedPointer(s.memory, s.type, to), align);
      }
    });
  }
}

/// The i-th element of a thread: runs of neighbours, spread so that
/// neighbouring threads touch neighbouring memory.
Value Writer::position(Value thread, unsigned i, unsigned run) {
  return e.add(e.mul(thread, e.constant(run)),
               e.constant(i % run + side * run * (i / run)));
}

SmallVector<Value> Writer::line(Value memory, Type type, Value base,
                                Value thread, unsigned count, unsigned run) {
  unsigned bytes = std::max(1u, type.getIntOrFloatBitWidth() / 8);
  SmallVector<Value> values;
  for (unsigned i = 0; i < count; i += run) {
    Value at =
        e.sharedPointer(memory, type, e.add(base, position(thread, i, run)));
    if (run == 1) {
      values.push_back(e.load(type, at, bytes));
      continue;
    }
    Value loaded = e.load(VectorType::get({run}, type), at, bytes * run);
    for (unsigned j = 0; j < run; ++j)
      values.push_back(vector::ExtractOp::create(e.b, e.loc, loaded, j));
  }
  return values;
}

SmallVector<Value> Writer::multiply(ArrayRef<Value> x, ArrayRef<Value> y,
                                    ArrayRef<Value> sums) {
  SmallVector<Value> next;
  for (unsigned i = 0; i < x.size(); ++i)
    for (unsigned j = 0; j < y.size(); ++j)
      next.push_back(
          math::FmaOp::create(e.b, e.loc, x[i], y[j], sums[i * y.size() + j]));
  return next;
}

/// Neighbours that a thread takes of a line of so many elements.
static unsigned runFor(int64_t count, unsigned vector) {
  unsigned run = vector;
  while (run > 1 &&
         llvm::alignTo(count, side * run) * 4 > llvm::alignTo(count, side) * 5)
    run /= 2;
  return run;
}

AffineExpr aicc::gpu::emitAttention(Emitter &e, const AttentionPlan &plan) {
  MLIRContext *context = e.kernel.getContext();
  Writer w(e, plan.form);
  Attention &form = w.form;
  unsigned rows = plan.rows, tileRows = side * rows;
  unsigned rowRun = std::min(rows, e.options.vector);
  unsigned keyRun = std::min(keysOfThread, e.options.vector);
  unsigned columnRun = runFor(w.columnCount, e.options.vector);
  unsigned columns = llvm::alignTo(w.columnCount, side * columnRun) / side;

  Slice query{form.scores, form.query, &w.scorePoint, w.queryLoops,
              form.depth,  tileRows,   rowRun,        depth};
  Slice key{form.scores, form.key, &w.scorePoint, w.keyLoops,
            form.depth,  tileKeys, keyRun,        depth};
  Slice value{form.product, form.values,    &w.point,  form.columns,
              form.keys,    side * columns, columnRun, tileKeys};
  w.prepare(query, "queries");
  w.prepare(key, "keys");
  w.prepare(value, "values");
  unsigned weightStride = tileRows + padding;
  Value weights = e.shared(w.f32, tileKeys * weightStride, "weights");

  // Workgroups: tiles of queries fastest, the last ones, which may see more
  // keys, first; then batch.
  SmallVector<AffineExpr> grid = sizesOf(w.loops, form.batch);
  grid.push_back(w.queryTotal.ceilDiv(tileRows));
  SmallVector<Value> tileIndex = e.delinearize(e.block, grid);
  w.set(form.batch, tileIndex);
  Value firstRow = w.fromLast(tileIndex.back(), tileRows);

  auto rowsKnown = graph::constantOf(w.queryTotal);
  auto keysKnown = graph::constantOf(w.keyTotal);
  bool allRows = rowsKnown && *rowsKnown % tileRows == 0;
  bool allKeys = keysKnown && *keysKnown % tileKeys == 0;
  SmallVector<unsigned> sameRow; // lanes
  for (unsigned offset = side / 2; offset; offset /= 2)
    sameRow.push_back(offset);

  // Carried through the keys: the results, maximum and partial sum of rows.
  SmallVector<Value> state(rows * columns, w.number(0));
  state.append(rows, w.infinite());
  state.append(rows, w.number(0));
  forKeys(
      w, firstRow, tileRows, tileKeys, /*mostLoops=*/1, state,
      [&](Value key0, ArrayRef<Value> carried,
          bool whole) -> SmallVector<Value> {
        SmallVector<Value> results(carried.take_front(rows * columns));
        SmallVector<Value> most(carried.slice(rows * columns, rows));
        SmallVector<Value> sums(carried.take_back(rows));
        SmallVector<Value> products(rows * keysOfThread, w.number(0));
        e.loop(
            e.constant(0), e.apply(key.depthTotal), e.constant(depth), products,
            [&](Value depth0, ArrayRef<Value> outer) {
              w.fill(query, firstRow, depth0);
              w.fill(key, key0, depth0, whole);
              e.barrier();
              SmallVector<Value> inner;
              e.loop(
                  e.constant(0), e.constant(depth), e.constant(1), outer,
                  [&](Value k, ArrayRef<Value> sum) {
                    auto x = w.line(query.memory, query.type,
                                    e.mul(k, e.constant(query.stride())), w.ty,
                                    rows, rowRun);
                    auto y = w.line(key.memory, key.type,
                                    e.mul(k, e.constant(key.stride())), w.tx,
                                    keysOfThread, keyRun);
                    return w.multiply(x, y, sum);
                  },
                  &inner);
              e.barrier();
              return inner;
            },
            &products);

        // Scores: what hides keys beyond the last is minus infinity.
        SmallVector<SmallVector<Value>> keyIndex;
        SmallVector<Value> inside;
        for (unsigned j = 0; j < keysOfThread; ++j) {
          Value at = e.add(key0, w.position(w.tx, j, keyRun));
          inside.push_back(allKeys || whole ? Value()
                                            : e.less(at, e.apply(w.keyTotal)));
          if (inside[j])
            at = e.select(inside[j], at, e.constant(0));
          keyIndex.push_back(e.delinearize(at, w.keySizes));
        }
        for (unsigned i = 0; i < rows; ++i) {
          Value row = e.add(firstRow, w.position(w.ty, i, rowRun));
          if (!allRows)
            row = e.select(e.less(row, e.apply(w.queryTotal)), row,
                           e.constant(0));
          w.set(form.queries, e.delinearize(row, w.querySizes));
          SmallVector<Value> scores;
          Value best;
          for (unsigned j = 0; j < keysOfThread; ++j) {
            w.set(form.keys, keyIndex[j]);
            Value score = w.score(products[i * keysOfThread + j]);
            if (e.failed)
              return {};
            if (inside[j])
              score = e.select(inside[j], score, w.infinite());
            scores.push_back(score);
            best = best ? w.larger(best, score) : score;
          }
          best = w.larger(most[i], w.across(best, sameRow, true));
          Value base = e.select(w.isHidden(best), w.number(0), best);
          Value scale = w.exponential(most[i], base);
          Value sum = w.times(sums[i], scale);
          for (unsigned j = 0; j < keysOfThread; ++j) {
            Value weight = w.exponential(scores[j], base);
            sum = w.plus(sum, weight);
            Value to = e.add(
                e.mul(w.position(w.tx, j, keyRun), e.constant(weightStride)),
                w.position(w.ty, i, rowRun));
            e.store(weight, e.sharedPointer(weights, w.f32, to), 4);
          }
          for (unsigned j = 0; j < columns; ++j) {
            Value &result = results[i * columns + j];
            result = w.times(result, scale);
          }
          most[i] = best;
          sums[i] = sum;
        }

        SmallVector<Value> total;
        e.loop(
            e.constant(0), e.constant(tileKeys), e.constant(depth), results,
            [&](Value step, ArrayRef<Value> outer) {
              w.fill(value, e.constant(0), e.add(key0, step), whole);
              e.barrier();
              SmallVector<Value> inner;
              e.loop(
                  e.constant(0), e.constant(depth), e.constant(1), outer,
                  [&](Value k, ArrayRef<Value> sum) {
                    auto x =
                        w.line(weights, w.f32,
                               e.mul(e.add(step, k), e.constant(weightStride)),
                               w.ty, rows, rowRun);
                    auto y = w.line(value.memory, value.type,
                                    e.mul(k, e.constant(value.stride())), w.tx,
                                    columns, columnRun);
                    return w.multiply(x, y, sum);
                  },
                  &inner);
              e.barrier();
              return inner;
            },
            &total);
        total.append(most);
        total.append(sums);
        return total;
      });
  if (e.failed)
    return grid.back();

  // Results: the factor of a row, then its elements.
  for (unsigned i = 0; i < rows; ++i) {
    Value most = state[rows * columns + i];
    Value sum = w.across(state[rows * (columns + 1) + i], sameRow, false);
    Value row = e.add(firstRow, w.position(w.ty, i, rowRun));
    e.guarded(allRows ? Value() : e.less(row, e.apply(w.queryTotal)), [&] {
      w.set(form.queries, e.delinearize(row, w.querySizes));
      Value factor = w.rowFactor(most, sum);
      for (unsigned j = 0; j < columns; ++j) {
        Value column = w.position(w.tx, j, columnRun);
        e.guarded(w.columnCount % (side * columnRun) == 0
                      ? Value()
                      : e.less(column, e.constant(w.columnCount)),
                  [&] {
                    w.set(form.columns, e.delinearize(column, w.columnSizes));
                    w.store(state[i * columns + j], factor);
                  });
      }
    });
  }
  return productOf(grid, context);
}
