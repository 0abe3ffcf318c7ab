//===- MatrixAttention.cpp - attention by matrix instructions -------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Attention.cpp by matrix instructions. Each subgroup has rows of queries of
// its own, whose fragments stay in registers; all subgroups of a workgroup
// share tiles of keys and values in shared memory. A row of scores belongs to
// lanes of one subgroup: those that differ in bits whose bases run along
// columns.
//
// Where heads are too wide for that, queries lie in shared memory, or a
// workgroup computes some of the columns only (and all scores), or tiles are
// smaller: what costs least of all that fits.
//
// The exponentials are the left operand of the second product. Where its layout
// is that of the first one's result, fragments are handed on in registers;
// otherwise they go through shared memory.
//
//===----------------------------------------------------------------------===//

#include "compiler/gpu/AsyncAttention.h"
#include "compiler/gpu/AttentionMask.h"
#include "compiler/gpu/AttentionScores.h"

#include "dialects/graph/Dims.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace aicc;
using namespace aicc::gpu;

static constexpr unsigned chunkBytes = AttentionTiles::chunkBytes;
static constexpr int64_t widest = 256; // depth and columns

/// The value under an extension to the accumulator's type.
static Value withoutExtension(Value inBody) {
  auto wider = inBody.getDefiningOp<arith::ExtFOp>();
  return wider ? wider.getIn() : inBody;
}

/// For each element of a fragment of a the element of the result that has its
/// place: (number of the result's fragment, element in it); nothing if lanes
/// hold others.
static std::optional<SmallVector<std::pair<unsigned, unsigned>>>
chained(const MatrixInstruction &row) {
  auto same = [](const Basis &x, const Basis &y) {
    return x.line == y.line && x.place == y.place;
  };
  if (!llvm::equal(row.a.lanes, row.c.lanes, same))
    return std::nullopt;
  SmallVector<std::pair<unsigned, unsigned>> found;
  for (unsigned i = 0; i < row.a.count(); ++i) {
    Basis wanted = row.a.at(0, i);
    unsigned size = found.size();
    for (unsigned j = 0; j < row.c.count() && found.size() == size; ++j) {
      Basis have = row.c.at(0, j);
      if (have.line == wanted.line && have.place == wanted.place % row.columns)
        found.push_back({wanted.place / row.columns, j});
    }
    if (found.size() == size)
      return std::nullopt;
  }
  return found;
}

/// Bytes of lines of elements in shared memory.
static unsigned bytesOf(unsigned lines, unsigned length, unsigned element) {
  return lines * (length * element + Lines::paddingBytes);
}

unsigned aicc::gpu::loopsOverKeys(const MatrixAttentionPlan &plan,
                                  unsigned registers, const Options &options) {
  // What a loop leaves in registers for the next ones is one more thing that
  // is kept: compilers spill with heads above 128, with three loops, and those
  // that leave fragments less than half of 256 registers, with two.
  constexpr unsigned wide = 128, few = 128;
  if (plan.depth > wide || plan.columns > wide ||
      options.fragmentRegisters < few)
    return 1;
  return 10 * registers > 7 * options.fragmentRegisters ? 2 : 3;
}

/// Chooses tiles that fit into registers and shared memory.
static bool cheapestTiles(MatrixAttentionPlan &plan, unsigned columns,
                          unsigned most, const Options &options) {
  const MatrixInstruction &row = *plan.instruction;
  const unsigned element = elementBytes(row.operand); // bytes
  double least = 0;
  MatrixAttentionPlan best = plan;
  for (unsigned parts : {1u, 2u, 4u})
    for (bool shared : {false, true})
      for (unsigned fewer : {1u, 2u, 4u})
        for (unsigned keys : {64u, 32u, 16u}) {
          unsigned subgroups = options.workgroup / row.lanes() / fewer;
          unsigned each =
              llvm::alignTo((columns + parts - 1) / parts, row.columns);
          if (!subgroups || keys % row.columns || keys % row.depth)
            continue;
          // What a lane keeps through all tiles of keys, and scores.
          unsigned ofA = std::max(row.a.count() * element / 4, 1u);
          unsigned ofQueries =
              row.a.count() * plan.depth / row.depth * element / 4;
          unsigned registers = (shared ? ofA : ofQueries) +
                               row.c.count() * (each + keys) / row.columns;
          unsigned tileRows = subgroups * row.rows;
          unsigned bytes = bytesOf(keys, plan.depth, element) +
                           std::max(bytesOf(each, keys, element),
                                    bytesOf(keys, each, element));
          if (shared)
            bytes += bytesOf(tileRows, plan.depth, element);
          if (!chained(row))
            bytes += bytesOf(tileRows, keys, element);
          if (registers > most || bytes > options.sharedBytes)
            continue;
          // Products first: each part computes all scores. The rest weighs
          // what is read of shared memory (keys and values by each subgroup,
          // queries for each tile) and filled (for each workgroup).
          double cost = (parts * plan.depth + columns) *
                        (1 + 0.25 * fewer + 4.0 / keys +
                         (shared ? double(row.rows) / keys / 2 : 0));
          if (least && cost >= least)
            continue;
          least = cost;
          best.workgroup = subgroups * row.lanes();
          best.keys = keys;
          best.columns = each;
          best.sharedQueries = shared;
          best.rolled = 4 * registers > 3 * options.fragmentRegisters;
          best.loops = loopsOverKeys(best, registers, options);
        }
  plan = best;
  return least != 0;
}

std::optional<MatrixAttentionPlan>
aicc::gpu::planMatrixAttention(exec::KernelOp kernel, const Options &options) {
  std::optional<AttentionPlan> plain = planAttention(kernel, options);
  if (!plain || options.matrix.empty())
    return std::nullopt;
  const Attention &form = plain->form;
  MatrixAttentionPlan plan{form};
  plan.form.query = withoutExtension(form.query);
  plan.form.key = withoutExtension(form.key);
  plan.form.values = withoutExtension(form.values);
  Type operand = plan.form.query.getType();
  if (plan.form.key.getType() != operand ||
      plan.form.values.getType() != operand) {
    plan.form = form;
    operand = form.query.getType();
  }
  if (!operand.isF16() && !operand.isBF16() && !operand.isF32())
    return std::nullopt;
  MLIRContext *context = kernel.getContext();
  SmallVector<AffineExpr> loops = loopsOf(kernel, form.product);
  auto size = [&](ArrayRef<AffineExpr> of, ArrayRef<unsigned> dims) {
    return graph::constantOf(productOf(sizesOf(of, dims), context));
  };
  auto depth = size(loopsOf(kernel, form.scores), form.depth);
  auto columns = size(loops, form.columns);
  auto queries = size(loops, form.queries);
  if (!depth || *depth > widest || !columns || (queries && *queries <= 32))
    return std::nullopt;
  // Lines that are loaded element by element take more registers meanwhile.
  constexpr unsigned ofElements = 32;
  const unsigned run = chunkBytes * 8 / operand.getIntOrFloatBitWidth();
  unsigned most = options.fragmentRegisters -
                  (*depth % run || *columns % run ? ofElements : 0);
  if (planAsyncAttention(plan, operand, *depth, *columns, queries, most,
                         options))
    return plan;
  for (const MatrixInstruction &row : options.matrix) {
    if (!isOperand(row.operand, operand) || row.result != MatrixType::f32 ||
        row.lanes() != options.matrixLanes() ||
        (row.operand == MatrixType::tf32 && !options.allowTf32))
      continue;
    plan.instruction = &row;
    plan.depth = llvm::alignTo(*depth, std::max(row.depth, run));
    if (cheapestTiles(plan, *columns, most, options))
      return plan;
  }
  return std::nullopt;
}

/// Whether a workgroup has all columns of its fragments.
static bool hasAllColumns(const MatrixAttentionPlan &plan, unsigned columns) {
  unsigned whole =
      columns > plan.columns ? plan.columns : plan.instruction->columns;
  return columns % whole == 0;
}

AffineExpr aicc::gpu::emitMatrixAttention(Emitter &e,
                                          const MatrixAttentionPlan &plan) {
  if (plan.results)
    return emitAsyncAttention(e, plan);
  MLIRContext *context = e.kernel.getContext();
  AttentionTiles w(e, plan);
  Attention &form = w.form;
  const MatrixInstruction &row = w.row;
  const FragmentLayout &layout = row.c;
  unsigned subgroups = e.options.workgroup / e.options.subgroup;
  unsigned tileRows = row.rows * subgroups;
  unsigned keyCount = plan.keys / row.columns;       // fragments of scores
  unsigned columnCount = plan.columns / row.columns; // … of results
  auto chain = chained(row);

  Lines keys{plan.keys, plan.depth, w.type},
      values = w.linesOfValues(), weights{tileRows, plan.keys, w.type},
      queryLines{tileRows, plan.depth, w.type};
  w.allocate(keys, "keys");
  w.allocate(values, "values");
  if (!chain)
    w.allocate(weights, "weights");
  if (plan.sharedQueries)
    w.allocate(queryLines, "queries");

  // Workgroups: parts of the columns fastest, then tiles of queries, the last
  // ones, which see most keys, first; then batch.
  unsigned parts = llvm::divideCeil(w.columnCount, plan.columns);
  SmallVector<AffineExpr> grid = sizesOf(w.loops, form.batch);
  grid.push_back(w.queryTotal.ceilDiv(tileRows));
  grid.push_back(getAffineConstantExpr(parts, context));
  SmallVector<Value> tileIndex = e.delinearize(e.block, grid);
  w.set(form.batch, tileIndex);
  Value ownRow = e.mul(e.group, e.constant(row.rows));
  Value tileRow = w.fromLast(tileIndex[form.batch.size()], tileRows);
  Value firstColumn = e.mul(tileIndex.back(), e.constant(plan.columns));
  AttentionScores softmax(w, layout, row.columns, tileRows, tileRow, ownRow);
  unsigned rows = softmax.rows.size();
  Value weightLine = e.add(ownRow, w.laneLine(row.a));

  SmallVector<Value> queries;
  if (plan.sharedQueries)
    w.fillRows(queryLines, tileRow, true,
               false); // seen after the first barrier
  else
    queries = w.queries(tileRow, ownRow);
  if (e.failed)
    return grid.back();
  VectorType fragment = VectorType::get({layout.count()}, w.f32);
  Value none = vector::BroadcastOp::create(e.b, e.loc, fragment, w.number(0));

  auto step = [&](Value key0, ArrayRef<Value> carried,
                  bool whole) -> SmallVector<Value> {
    SmallVector<Value> results(carried.take_front(columnCount));
    SmallVector<Value> most(carried.slice(columnCount, rows));
    SmallVector<Value> sums(carried.take_back(rows));
    if (w.copiesValues())
      w.copyValues(values, key0, firstColumn, whole);
    else
      w.fillValues(values, key0, firstColumn, whole);
    w.fillRows(keys, key0, false, whole);
    e.barrier();
    if (e.failed)
      return {};
    SmallVector<Value> products(keyCount, none);
    for (unsigned k = 0; k < plan.depth; k += row.depth) {
      Value query = plan.sharedQueries
                        ? w.fragment(queryLines, row.a, weightLine, 0, k)
                        : queries[k / row.depth];
      for (auto [j, key] : llvm::enumerate(w.ofKeys(keys, k)))
        products[j] =
            emitMatrixInstruction(e.b, e.loc, row, query, key, products[j]);
    }
    SmallVector<Value> scores;
    for (Value product : products)
      for (int64_t i = 0; i < layout.count(); ++i)
        scores.push_back(vector::ExtractOp::create(e.b, e.loc, product, i));
    SmallVector<Value> scales = softmax.update(scores, key0, whole, most, sums);
    if (e.failed)
      return {};
    Value scale = w.vectorOf(scales);
    for (Value &result : results)
      result = arith::MulFOp::create(e.b, e.loc, result, scale);

    // The exponentials in the operands' type.
    Type operand = form.key.getType();
    for (Value &weight : scores)
      weight =
          operand == w.f32
              ? weight
              : w.stored(arith::TruncFOp::create(e.b, e.loc, operand, weight));
    if (!chain) {
      for (auto [number, weight] : llvm::enumerate(scores)) {
        unsigned j = number / layout.count();
        Basis at = layout.at(0, number % layout.count());
        Value line = e.add(softmax.laneRow, e.constant(at.line));
        Value place =
            e.add(softmax.lanePlace, e.constant(j * row.columns + at.place));
        Value to = e.add(e.mul(line, e.constant(weights.stride())), place);
        e.store(weight, e.sharedPointer(weights.memory, w.type, to),
                weights.bytes());
      }
    }
    if (w.copiesValues())
      w.await(0);
    if (!chain || w.copiesValues())
      e.barrier();
    for (unsigned k = 0; k < plan.keys; k += row.depth) {
      Value left;
      if (chain) {
        SmallVector<Value> elements;
        for (auto [part, i] : *chain)
          elements.push_back(
              scores[(k / row.columns + part) * layout.count() + i]);
        left = w.vectorOf(elements);
      } else {
        left = w.fragment(weights, row.a, weightLine, 0, k);
      }
      for (auto [j, value] : llvm::enumerate(w.ofValues(values, k)))
        results[j] =
            emitMatrixInstruction(e.b, e.loc, row, left, value, results[j]);
    }
    e.barrier();
    SmallVector<Value> next(results);
    next.append(most);
    next.append(sums);
    return next;
  };

  // Carried through the keys: the results, maximum and partial sum of rows.
  SmallVector<Value> state(columnCount, none);
  state.append(rows, w.infinite());
  state.append(rows, w.number(0));
  forKeys(w, tileRow, tileRows, plan.keys, plan.loops, state, step);
  if (e.failed)
    return grid.back();
  softmax.store(
      [&](unsigned j, unsigned i) -> Value {
        return vector::ExtractOp::create(e.b, e.loc, state[j], int64_t(i));
      },
      columnCount, row.columns, hasAllColumns(plan, w.columnCount), firstColumn,
      layout, ArrayRef(state).slice(columnCount, rows),
      ArrayRef(state).take_back(rows));
  return productOf(grid, context);
}
