//===- AsyncAttention.cpp - attention beside the threads ------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Subgroups that execute an instruction together have its rows of queries.
// Queries, a tile of keys, a tile of values and the exponentials are in shared
// memory, in the order in which the instruction wants them: every subgroup's
// loads of keys and values into fragments, which limit MatrixAttention.cpp, are
// left out. Values lie across, as in the tensor.
//
// A tile takes three meetings: when keys are there, when the exponentials and
// values are, and when all of them have been read.
//
//===----------------------------------------------------------------------===//

#include "compiler/gpu/AsyncAttention.h"

#include "compiler/gpu/AttentionMask.h"
#include "compiler/gpu/AttentionScores.h"

using namespace mlir;
using namespace aicc;
using namespace aicc::gpu;

/// Whether pairs of columns are neighbours in a lane, and lanes of a row within
/// a chunk, so that exponentials are stored in pairs.
static bool storesPairs(const MatrixInstruction &row) {
  constexpr unsigned run = AttentionTiles::chunkBytes / 2;
  const Basis &first = row.c.elements.front();
  return first.line == 0 && first.place == 1 &&
         llvm::all_of(row.c.lanes,
                      [](const Basis &basis) { return basis.place < run; });
}

bool aicc::gpu::planAsyncAttention(MatrixAttentionPlan &plan, Type operand,
                                   int64_t depth, int64_t columns,
                                   std::optional<int64_t> queries,
                                   unsigned mostRegisters,
                                   const Options &options) {
  if (operand.getIntOrFloatBitWidth() != 16)
    return false;
  MatrixAttentionPlan found = plan;
  found.depth = llvm::alignTo(depth, Lines::part);
  found.sharedQueries = true;
  auto suits = [&](const MatrixInstruction &row) {
    return row.async && row.async->across && row.async->lineBytes == 128 &&
           isOperand(row.operand, operand) && row.result == MatrixType::f32 &&
           options.workgroup % row.lanes() == 0 && storesPairs(row) &&
           // Fewer queries than its rows are left to smaller ones.
           (!queries || *queries > row.rows);
  };
  for (const MatrixInstruction &row : options.matrix)
    if (suits(row) && row.columns >= columns &&
        row.columns % Lines::part == 0 &&
        (!found.results || row.columns < found.results->columns))
      found.results = &row;
  if (!found.results)
    return false;
  found.columns = found.results->columns;
  for (unsigned keys : {64u, 32u})
    for (const MatrixInstruction &row : options.matrix) {
      if (!suits(row) || row.columns != keys)
        continue;
      // One after the other of its steps wants all results of the one before,
      // so that two small workgroups of a processor, each at its own, do more
      // than one whose subgroups meet at barriers.
      found.workgroup = row.lanes();
      unsigned tileRows = row.rows * (found.workgroup / row.lanes());
      unsigned elements = (tileRows + 2 * keys) * found.depth +
                          keys * found.columns +
                          tileRows * llvm::alignTo(keys, Lines::part);
      // Sums of a lane, both products'; exponentials take as much again.
      unsigned registers = 2 * row.c.count() + found.results->c.count();
      if (2 * elements >
              std::max(options.sharedBytes, options.mostSharedBytes) ||
          registers > mostRegisters)
        continue;
      found.instruction = &row;
      found.keys = keys;
      found.loops = loopsOverKeys(found, registers, options);
      found.rolled = 5 * registers > 4 * options.fragmentRegisters;
      plan = found;
      return true;
    }
  return false;
}

namespace {
struct AsyncWriter : AttentionTiles {
  using AttentionTiles::AttentionTiles;

  Value part; // of those who execute an instruction together

  Value descriptor(const Lines &lines, Value line, unsigned from,
                   bool across = false);
  void multiply(const MatrixInstruction &row, const Lines &a, Value line,
                const Lines &b, bool across, unsigned depth,
                SmallVector<Value> &sums);
  void storeWeights(const Lines &weights, ArrayRef<Value> values);
};
} // namespace

/// Of the fragment whose first line is `line`, from place `from` of it on; or,
/// of lines that lie across, from line `from` of memory on.
Value AsyncWriter::descriptor(const Lines &lines, Value line, unsigned from,
                              bool across) {
  const AsyncMatrix &async = *row.async;
  constexpr unsigned unit = 16;
  Value base =
      LLVM::PtrToIntOp::create(e.b, e.loc, e.b.getI64Type(), lines.memory);
  base = arith::IndexCastOp::create(e.b, e.loc, e.b.getIndexType(), base);
  unsigned partSize = lines.count * Lines::part;
  unsigned offset = across ? from * Lines::part
                           : from / Lines::part * partSize + from % Lines::part;
  Value at = e.add(e.mul(line, e.constant(Lines::part)), e.constant(offset));
  at = e.div(e.add(base, e.mul(at, e.constant(2))), e.constant(unit));
  uint64_t stride = 8 * async.lineBytes / unit;
  uint64_t leading = across ? uint64_t(partSize) * 2 / unit : 1;
  int64_t rest =
      int64_t(async.format | stride << async.stride | leading << async.leading);
  Value word =
      e.add(e.mul(at, e.constant(int64_t(1) << async.start)), e.constant(rest));
  return arith::IndexCastOp::create(e.b, e.loc, e.b.getI64Type(), word);
}

/// Adds the product of some lines of a and all of b.
void AsyncWriter::multiply(const MatrixInstruction &with, const Lines &a,
                           Value line, const Lines &b, bool across,
                           unsigned depth, SmallVector<Value> &sums) {
  // What threads did to the sums is in registers before the fence, and nothing
  // is done to them before the end.
  sums = finishAsync(e.b, e.loc, with, sums);
  e.intrinsic(with.async->fence, nullptr, {});
  for (unsigned k = 0; k < depth; k += with.depth)
    sums = emitAsyncMatrix(e.b, e.loc, with, descriptor(a, line, k),
                           descriptor(b, e.constant(0), k, across),
                           /*aAcross=*/false, across, sums);
  e.intrinsic(with.async->commit, nullptr, {});
  sums = finishAsync(e.b, e.loc, with, sums);
}

void AsyncWriter::storeWeights(const Lines &weights, ArrayRef<Value> values) {
  Value line = e.add(part, laneLine(row.c)), place = lanePlace(row.c);
  for (unsigned i = 0; i < values.size(); i += 2) {
    Basis at = row.c.at(0, i);
    Value to = placeOf(weights, e.add(line, e.constant(at.line)),
                       e.constant(at.place / run),
                       e.add(place, e.constant(at.place % run)));
    e.store(vectorOf(values.slice(i, 2)),
            e.sharedPointer(weights.memory, type, to), 4);
  }
}

AffineExpr aicc::gpu::emitAsyncAttention(Emitter &e,
                                         const MatrixAttentionPlan &plan) {
  MLIRContext *context = e.kernel.getContext();
  AsyncWriter w(e, plan);
  Attention &form = w.form;
  const MatrixInstruction &row = w.row, &second = *plan.results;
  unsigned lanes = row.lanes();
  unsigned tileRows = row.rows * (e.options.workgroup / lanes);
  unsigned scoreCount = row.c.count(), resultCount = second.c.count();

  Lines queries{tileRows, plan.depth, w.type, true},
      keys{plan.keys, plan.depth, w.type, true},
      values{plan.keys, plan.columns, w.type, true},
      weights{tileRows, unsigned(llvm::alignTo(plan.keys, Lines::part)), w.type,
              true};
  w.allocate(queries, "queries");
  // Keys are copied a tile ahead, into one of two places by turns.
  bool ahead = w.copiesKeys() && w.copiesValues();
  keys.memory =
      e.shared(w.type, (ahead ? 2 : 1) * keys.size(), "keys", keys.align());
  w.allocate(values, "values");
  w.allocate(weights, "weights");

  // Workgroups: tiles of queries, the last ones, which see most keys, first;
  // then batch.
  SmallVector<AffineExpr> grid = sizesOf(w.loops, form.batch);
  grid.push_back(w.queryTotal.ceilDiv(tileRows));
  SmallVector<Value> tileIndex = e.delinearize(e.block, grid);
  w.set(form.batch, tileIndex);
  Value tileRow = w.fromLast(tileIndex.back(), tileRows);
  w.part = e.mul(e.splitThread(lanes).second, e.constant(row.rows));
  AttentionScores softmax(w, row.c, row.columns, tileRows, tileRow, w.part);
  unsigned rows = softmax.rows.size();
  w.fillRows(queries, tileRow, true, false); // seen after the first barrier
  if (e.failed)
    return grid.back();

  auto meet = [&] {
    e.intrinsic(row.async->publish, nullptr, {});
    e.barrier();
  };
  auto placeOf = [&](Value tile) {
    Lines place = keys;
    Value first = e.mul(e.rem(tile, e.constant(2)), e.constant(keys.size()));
    place.memory = e.sharedPointer(keys.memory, w.type, first);
    return place;
  };
  auto tileOf = [&](Value key0) { return e.div(key0, e.constant(plan.keys)); };
  auto step = [&](Value key0, ArrayRef<Value> carried,
                  bool whole) -> SmallVector<Value> {
    SmallVector<Value> results(carried.take_front(resultCount));
    SmallVector<Value> most(carried.slice(resultCount, rows));
    SmallVector<Value> sums(carried.take_back(rows));
    if (w.copiesValues())
      w.copyValues(values, key0, e.constant(0), whole);
    else
      w.fillValues(values, key0, e.constant(0), whole);
    Lines here = keys;
    if (ahead) {
      here = placeOf(tileOf(key0));
      // Behind the last tile, the first one, which nobody reads there.
      Value next = e.add(key0, e.constant(plan.keys));
      Lines there = placeOf(tileOf(next));
      w.copyKeys(there, e.select(e.less(next, e.apply(w.keyTotal)), next,
                                 e.constant(0)));
      w.await(2);
    } else {
      w.fillRows(keys, key0, false, whole);
    }
    if (e.failed)
      return {};
    meet();
    SmallVector<Value> scores(scoreCount, w.number(0));
    w.multiply(row, queries, w.part, here, false, plan.depth, scores);
    SmallVector<Value> scales = softmax.update(scores, key0, whole, most, sums);
    if (e.failed)
      return {};
    for (auto [i, result] : llvm::enumerate(results))
      for (auto [number, entry] : llvm::enumerate(softmax.rows))
        if (second.c.at(0, i).line == entry.first)
          result = w.times(result, scales[entry.second.front()]);
    Type operand = form.key.getType();
    for (Value &weight : scores)
      weight = w.stored(arith::TruncFOp::create(e.b, e.loc, operand, weight));
    w.storeWeights(weights, scores);
    if (w.copiesValues())
      w.await(ahead ? 1 : 0);
    meet();
    w.multiply(second, weights, w.part, values, true, plan.keys, results);
    e.barrier();
    SmallVector<Value> next(results);
    next.append(most);
    next.append(sums);
    return next;
  };

  // Carried through the keys: the results, maximum and partial sum of rows.
  SmallVector<Value> state(resultCount, w.number(0));
  state.append(rows, w.infinite());
  state.append(rows, w.number(0));
  forKeys(w, tileRow, tileRows, plan.keys, plan.loops, state, step,
          [&](Value first) {
            if (ahead)
              w.copyKeys(placeOf(tileOf(first)), first);
          });
  if (e.failed)
    return grid.back();
  if (ahead)
    w.await(0);
  softmax.store([&](unsigned, unsigned i) { return state[i]; }, 1,
                second.columns, w.columnCount == second.columns, e.constant(0),
                second.c, ArrayRef(state).slice(resultCount, rows),
                ArrayRef(state).take_back(rows));
  return productOf(grid, context);
}
