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
// A maximum of minus infinity (nothing visible yet) counts as 0, so that hidden
// keys give 0 and not NaN; at the end such a row gets what the softmax says:
// its sum is NaN.
//
//===----------------------------------------------------------------------===//

#include "compiler/gpu/Strategies.h"

#include "dialects/graph/Dims.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <limits>

using namespace mlir;
using namespace aicc;
using namespace aicc::gpu;

static constexpr unsigned side = 16;  // threads along rows and columns
static constexpr unsigned depth = 16; // of a slice
static constexpr unsigned keysOfThread = 4;
static constexpr unsigned tileKeys = side * keysOfThread;
static constexpr unsigned padding = 4;       // of a line in shared memory
static constexpr int64_t widestValues = 256; // columns of the values

static SmallVector<AffineExpr> sizesOf(ArrayRef<AffineExpr> loops,
                                       ArrayRef<unsigned> dims) {
  SmallVector<AffineExpr> sizes;
  for (unsigned dim : dims)
    sizes.push_back(loops[dim]);
  return sizes;
}

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

struct Writer {
  Emitter &e;
  const Attention &form;
  unsigned rows; // of a thread
  Type f32;
  SmallVector<AffineExpr> loops, scoreLoops;
  SmallVector<Value> point, scorePoint; // values of the loops
  Value tx, ty;

  Value number(double value) {
    return arith::ConstantOp::create(e.b, e.loc, FloatAttr::get(f32, value));
  }
  Value infinite() { return number(-std::numeric_limits<double>::infinity()); }
  void set(ArrayRef<unsigned> dims, ArrayRef<Value> index);
  void prepare(Slice &slice, StringRef name);
  void fill(Slice &slice, Value first, Value depth0);
  Value position(Value thread, unsigned i, unsigned run);
  SmallVector<Value> line(Value memory, Type type, Value base, Value thread,
                          unsigned count, unsigned run);
  SmallVector<Value> multiply(ArrayRef<Value> x, ArrayRef<Value> y,
                              ArrayRef<Value> sums);
  Value across(Value value, llvm::function_ref<Value(Value, Value)> combine);
  Value score(Value product);
  SmallVector<Value> loopsOfOperand(linalg::GenericOp generic, Value inBody,
                                    ArrayRef<Value> at,
                                    linalg::GenericOp inner);
  Value condition(linalg::GenericOp generic, Value inBody, ArrayRef<Value> at);
  Value factor(linalg::GenericOp generic, Value inBody, ArrayRef<Value> at);
  Value perRow(linalg::GenericOp generic, Value inBody, ArrayRef<Value> at);
};
} // namespace

/// Sets loops of the second product and, where they are the same, of the first.
void Writer::set(ArrayRef<unsigned> dims, ArrayRef<Value> index) {
  for (auto [dim, value] : llvm::zip(dims, index)) {
    point[dim] = value;
    for (auto [loop, same] : form.shared)
      if (same == dim)
        scorePoint[loop] = value;
  }
}

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
void Writer::fill(Slice &s, Value first, Value depth0) {
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
      if (!(total && *total % s.extent == 0))
        globalX = e.select(e.less(globalX, e.apply(s.lineTotal)), globalX,
                           e.constant(0));
      Value inside;
      if (!(deep && *deep % s.step == 0)) {
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

/// Combines the values of the threads that share rows.
Value Writer::across(Value value,
                     llvm::function_ref<Value(Value, Value)> combine) {
  e.shuffles = true;
  for (unsigned offset = side / 2; offset; offset /= 2)
    value = combine(value, mlir::gpu::ShuffleOp::create(
                               e.b, e.loc, value, offset, e.options.subgroup,
                               mlir::gpu::ShuffleMode::XOR)
                               .getShuffleResult());
  return value;
}

/// What the exponential of a product at `point` is taken of.
Value Writer::score(Value product) {
  e.provide(form.scores->getResult(0), product);
  SmallVector<Value> index;
  for (AffineExpr expr : form.index)
    index.push_back(e.apply(expr, point));
  linalg::GenericOp generic = form.exponentials;
  Point at{generic, e.loopsAt(generic, 0, index), {}};
  return e.evaluate(at, form.score);
}

SmallVector<Value> Writer::loopsOfOperand(linalg::GenericOp generic,
                                          Value inBody, ArrayRef<Value> at,
                                          linalg::GenericOp inner) {
  OpOperand &operand =
      generic->getOpOperand(cast<BlockArgument>(inBody).getArgNumber());
  SmallVector<Value> index;
  for (AffineExpr expr : generic.getMatchingIndexingMap(&operand).getResults())
    index.push_back(e.apply(expr, at));
  return e.loopsAt(inner, 0, index);
}

Value Writer::perRow(linalg::GenericOp generic, Value inBody,
                     ArrayRef<Value> at) {
  Point here{generic, SmallVector<Value>(at), {}};
  return e.evaluate(here, inBody);
}

static bool isWeight(const Attention &form, linalg::GenericOp generic,
                     Value inBody) {
  SmallVector<std::pair<linalg::GenericOp, Value>> work{{generic, inBody}};
  while (!work.empty()) {
    auto [home, value] = work.pop_back_val();
    if (Value tensor = tensorOf(home, value)) {
      if (tensor == form.exponentials->getResult(0))
        return true;
      if (linalg::GenericOp inner = elementwiseOf(tensor))
        work.push_back({inner, yielded(inner)});
      continue;
    }
    if (Operation *op = value.getDefiningOp())
      for (Value operand : op->getOperands())
        work.push_back({home, operand});
  }
  return false;
}

/// A choice for the whole row.
Value Writer::condition(linalg::GenericOp generic, Value inBody,
                        ArrayRef<Value> at) {
  if (!isWeight(form, generic, inBody))
    return perRow(generic, inBody, at);
  if (Value tensor = tensorOf(generic, inBody)) {
    linalg::GenericOp inner = elementwiseOf(tensor);
    return condition(inner, yielded(inner),
                     loopsOfOperand(generic, inBody, at, inner));
  }
  Operation *op = inBody.getDefiningOp();
  if (auto compare = dyn_cast<arith::CmpFOp>(op))
    return arith::CmpFOp::create(e.b, e.loc, compare.getPredicate(),
                                 factor(generic, compare.getLhs(), at),
                                 factor(generic, compare.getRhs(), at));
  IRMapping mapping;
  for (Value operand : op->getOperands())
    mapping.map(operand, condition(generic, operand, at));
  return e.b.clone(*op, mapping)->getResult(0);
}

/// The weight of an exponential of 1, in f32 throughout.
Value Writer::factor(linalg::GenericOp generic, Value inBody,
                     ArrayRef<Value> at) {
  if (Value tensor = tensorOf(generic, inBody)) {
    if (tensor == form.exponentials->getResult(0))
      return number(1);
    if (isZero(generic, inBody))
      return number(0);
    linalg::GenericOp inner = elementwiseOf(tensor);
    return factor(inner, yielded(inner),
                  loopsOfOperand(generic, inBody, at, inner));
  }
  if (isZero(generic, inBody))
    return number(0);
  auto wide = [&](Value value) -> Value {
    return value.getType() == f32
               ? value
               : arith::ExtFOp::create(e.b, e.loc, f32, value).getResult();
  };
  Operation *op = inBody.getDefiningOp();
  if (auto select = dyn_cast<arith::SelectOp>(op))
    return e.select(condition(generic, select.getCondition(), at),
                    factor(generic, select.getTrueValue(), at),
                    factor(generic, select.getFalseValue(), at));
  if (isa<arith::ExtFOp, arith::TruncFOp>(op))
    return factor(generic, op->getOperand(0), at);
  unsigned side =
      isWeight(form, generic, op->getOperand(0)) ? 0 : 1; // of the weight
  Value x = factor(generic, op->getOperand(side), at);
  Value y = wide(perRow(generic, op->getOperand(1 - side), at));
  if (isa<arith::DivFOp>(op))
    return arith::DivFOp::create(e.b, e.loc, x, y);
  return arith::MulFOp::create(e.b, e.loc, x, y);
}

/// Stores what is computed from the second product, known at an index.
static void storeResults(Emitter &e, Value product, ArrayRef<Value> index) {
  auto returned = e.kernel.getBodyBlock()->getTerminator()->getOperands();
  for (auto [number, tensor] : llvm::enumerate(returned)) {
    SmallVector<Value> at(cast<RankedTensorType>(tensor.getType()).getRank(),
                          e.constant(0));
    if (tensor == product)
      at.assign(index.begin(), index.end());
    else
      for (auto [expr, value] : llvm::zip(requestsOf(tensor)[0].index, index))
        if (auto dim = dyn_cast_or_null<AffineDimExpr>(expr))
          at[dim.getPosition()] = value;
    e.store(number, at, e.result(number, at));
  }
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
  Attention form = plan.form;
  MLIRContext *context = e.kernel.getContext();
  Writer w{e,
           form,
           plan.rows,
           e.b.getF32Type(),
           loopsOf(e.kernel, form.product),
           loopsOf(e.kernel, form.scores),
           {},
           {},
           {},
           {}};
  w.point.assign(w.loops.size(), e.constant(0));
  w.scorePoint.assign(w.scoreLoops.size(), e.constant(0));
  std::tie(w.tx, w.ty) = e.splitThread(side);
  SmallVector<unsigned> queryLoops, keyLoops; // of the scores
  auto scoreLoopOf = [&](unsigned dim) {
    for (auto [loop, same] : form.shared)
      if (same == dim)
        return loop;
    llvm_unreachable("a loop of both products");
  };
  for (unsigned dim : form.queries)
    queryLoops.push_back(scoreLoopOf(dim));
  for (unsigned dim : form.keys)
    keyLoops.push_back(scoreLoopOf(dim));

  SmallVector<AffineExpr> querySizes = sizesOf(w.loops, form.queries);
  SmallVector<AffineExpr> keySizes = sizesOf(w.loops, form.keys);
  SmallVector<AffineExpr> columnSizes = sizesOf(w.loops, form.columns);
  AffineExpr queryTotal = productOf(querySizes, context);
  AffineExpr keyTotal = productOf(keySizes, context);
  int64_t columnCount = *graph::constantOf(productOf(columnSizes, context));
  unsigned rows = plan.rows, tileRows = side * rows;
  unsigned rowRun = std::min(rows, e.options.vector);
  unsigned keyRun = std::min(keysOfThread, e.options.vector);
  unsigned columnRun = runFor(columnCount, e.options.vector);
  unsigned columns = llvm::alignTo(columnCount, side * columnRun) / side;

  Slice query{form.scores, form.query, &w.scorePoint, queryLoops,
              form.depth,  tileRows,   rowRun,        depth};
  Slice key{form.scores, form.key, &w.scorePoint, keyLoops,
            form.depth,  tileKeys, keyRun,        depth};
  Slice value{form.product, form.values,    &w.point,  form.columns,
              form.keys,    side * columns, columnRun, tileKeys};
  w.prepare(query, "queries");
  w.prepare(key, "keys");
  w.prepare(value, "values");
  unsigned weightStride = tileRows + padding;
  Value weights = e.shared(w.f32, tileKeys * weightStride, "weights");

  // Workgroups: tiles of queries fastest, then batch.
  SmallVector<AffineExpr> grid = sizesOf(w.loops, form.batch);
  grid.push_back(queryTotal.ceilDiv(tileRows));
  SmallVector<Value> tileIndex = e.delinearize(e.block, grid);
  w.set(form.batch, tileIndex);
  Value firstRow = e.mul(tileIndex.back(), e.constant(tileRows));

  auto rowsKnown = graph::constantOf(queryTotal);
  auto keysKnown = graph::constantOf(keyTotal);
  bool allRows = rowsKnown && *rowsKnown % tileRows == 0;
  bool allKeys = keysKnown && *keysKnown % tileKeys == 0;
  auto larger = [&](Value x, Value y) -> Value {
    return arith::MaxNumFOp::create(e.b, e.loc, x, y);
  };
  auto plus = [&](Value x, Value y) -> Value {
    return arith::AddFOp::create(e.b, e.loc, x, y);
  };
  auto expOf = [&](Value x, Value most) -> Value {
    return math::ExpOp::create(e.b, e.loc,
                               arith::SubFOp::create(e.b, e.loc, x, most));
  };
  auto isHidden = [&](Value most) -> Value {
    return arith::CmpFOp::create(e.b, e.loc, arith::CmpFPredicate::OEQ, most,
                                 w.infinite());
  };

  // Carried through the keys: the results, maximum and partial sum of rows.
  SmallVector<Value> state(rows * columns, w.number(0));
  state.append(rows, w.infinite());
  state.append(rows, w.number(0));
  e.loop(
      e.constant(0), e.apply(keyTotal), e.constant(tileKeys), state,
      [&](Value key0, ArrayRef<Value> carried) -> SmallVector<Value> {
        SmallVector<Value> results(carried.take_front(rows * columns));
        SmallVector<Value> most(carried.slice(rows * columns, rows));
        SmallVector<Value> sums(carried.take_back(rows));
        SmallVector<Value> products(rows * keysOfThread, w.number(0));
        e.loop(
            e.constant(0), e.apply(key.depthTotal), e.constant(depth), products,
            [&](Value depth0, ArrayRef<Value> outer) {
              w.fill(query, firstRow, depth0);
              w.fill(key, key0, depth0);
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
          inside.push_back(allKeys ? Value() : e.less(at, e.apply(keyTotal)));
          if (inside[j])
            at = e.select(inside[j], at, e.constant(0));
          keyIndex.push_back(e.delinearize(at, keySizes));
        }
        for (unsigned i = 0; i < rows; ++i) {
          Value row = e.add(firstRow, w.position(w.ty, i, rowRun));
          if (!allRows)
            row =
                e.select(e.less(row, e.apply(queryTotal)), row, e.constant(0));
          w.set(form.queries, e.delinearize(row, querySizes));
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
            best = best ? larger(best, score) : score;
          }
          best = larger(most[i], w.across(best, larger));
          Value base = e.select(isHidden(best), w.number(0), best);
          Value scale = expOf(most[i], base);
          Value sum = arith::MulFOp::create(e.b, e.loc, sums[i], scale);
          for (unsigned j = 0; j < keysOfThread; ++j) {
            Value weight = expOf(scores[j], base);
            sum = plus(sum, weight);
            Value to = e.add(
                e.mul(w.position(w.tx, j, keyRun), e.constant(weightStride)),
                w.position(w.ty, i, rowRun));
            e.store(weight, e.sharedPointer(weights, w.f32, to), 4);
          }
          for (unsigned j = 0; j < columns; ++j) {
            Value &result = results[i * columns + j];
            result = arith::MulFOp::create(e.b, e.loc, result, scale);
          }
          most[i] = best;
          sums[i] = sum;
        }

        SmallVector<Value> total;
        e.loop(
            e.constant(0), e.constant(tileKeys), e.constant(depth), results,
            [&](Value step, ArrayRef<Value> outer) {
              w.fill(value, e.constant(0), e.add(key0, step));
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
      },
      &state);
  if (e.failed)
    return grid.back();

  // Results: the factor of a row, then its elements.
  Value result = form.product->getResult(0);
  AffineMap map =
      form.product.getIndexingMapMatchingResult(cast<OpResult>(result));
  Value nan = w.number(std::numeric_limits<double>::quiet_NaN());
  for (unsigned i = 0; i < rows; ++i) {
    Value most = state[rows * columns + i];
    Value sum = w.across(state[rows * (columns + 1) + i], plus);
    Value row = e.add(firstRow, w.position(w.ty, i, rowRun));
    e.guarded(allRows ? Value() : e.less(row, e.apply(queryTotal)), [&] {
      w.set(form.queries, e.delinearize(row, querySizes));
      Value broken = arith::CmpFOp::create(e.b, e.loc,
                                           arith::CmpFPredicate::UNO, sum, sum);
      e.provide(form.maximum, most);
      for (Value other : form.maxima)
        e.provide(other, e.select(broken, nan, most));
      e.provide(form.sum, e.select(isHidden(most), nan, sum));
      Value factor = w.factor(form.product, form.weights, w.point);
      if (!keysKnown || !*keysKnown) {
        Value none = e.less(e.apply(keyTotal), e.constant(1));
        factor = e.select(none, w.number(0), factor);
      }
      Value chosen = arith::CmpFOp::create(
          e.b, e.loc, arith::CmpFPredicate::OEQ, factor, w.number(0));
      for (unsigned j = 0; j < columns; ++j) {
        Value column = w.position(w.tx, j, columnRun);
        e.guarded(columnCount % (side * columnRun) == 0
                      ? Value()
                      : e.less(column, e.constant(columnCount)),
                  [&] {
                    w.set(form.columns, e.delinearize(column, columnSizes));
                    Value scaled = arith::MulFOp::create(
                        e.b, e.loc, state[i * columns + j], factor);
                    e.provide(result, e.select(chosen, w.number(0), scaled));
                    SmallVector<Value> index;
                    for (AffineExpr expr : map.getResults())
                      index.push_back(e.apply(expr, w.point));
                    storeResults(e, result, index);
                  });
      }
    });
  }
  return productOf(grid, context);
}
