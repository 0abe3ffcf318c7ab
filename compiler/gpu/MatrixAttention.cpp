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

#include "compiler/gpu/AttentionValues.h"
#include "compiler/gpu/Strategies.h"

#include "dialects/graph/Dims.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace aicc;
using namespace aicc::gpu;

static constexpr unsigned chunkBytes = 16; // moved at once, and padding
static constexpr int64_t widest = 256;     // depth and columns

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

/// Bytes of lines of elements of 16 bits in shared memory.
static unsigned bytesOf(unsigned lines, unsigned length) {
  return lines * (2 * length + chunkBytes);
}

/// Chooses tiles that fit into registers and shared memory.
static bool cheapestTiles(MatrixAttentionPlan &plan, unsigned columns,
                          const Options &options) {
  const MatrixInstruction &row = *plan.instruction;
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
          unsigned ofQueries = row.a.count() * plan.depth / row.depth / 2;
          unsigned registers = (shared ? row.a.count() / 2 : ofQueries) +
                               row.c.count() * (each + keys) / row.columns;
          unsigned tileRows = subgroups * row.rows;
          unsigned bytes = bytesOf(keys, plan.depth) + bytesOf(each, keys);
          if (shared)
            bytes += bytesOf(tileRows, plan.depth);
          if (!chained(row))
            bytes += bytesOf(tileRows, keys);
          if (registers > options.fragmentRegisters ||
              bytes > options.sharedBytes)
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
  MatrixAttentionPlan plan{form, nullptr, 0, 0, 0, 0, false, false};
  plan.form.query = withoutExtension(form.query);
  plan.form.key = withoutExtension(form.key);
  plan.form.values = withoutExtension(form.values);
  Type operand = plan.form.query.getType();
  if (plan.form.key.getType() != operand ||
      plan.form.values.getType() != operand ||
      operand.getIntOrFloatBitWidth() != 16)
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
  for (const MatrixInstruction &row : options.matrix) {
    if (!isOperand(row.operand, operand) || row.result != MatrixType::f32 ||
        row.lanes() != options.matrixLanes())
      continue;
    plan.instruction = &row;
    plan.depth = llvm::alignTo(*depth, std::max(row.depth, chunkBytes / 2));
    if (cheapestTiles(plan, *columns, options))
      return plan;
  }
  return std::nullopt;
}

namespace {
/// Lines of elements of 16 bits in shared memory.
struct Lines {
  unsigned count, length;
  Type type;
  Value memory = {};

  unsigned stride() const { return length + chunkBytes / 2; }
};

struct MatrixWriter : AttentionValues {
  MatrixWriter(Emitter &e, const MatrixAttentionPlan &plan)
      : AttentionValues(e, plan.form), plan(plan), row(*plan.instruction),
        type(storageType(plan.form.key.getType())) {}

  const MatrixAttentionPlan &plan;
  const MatrixInstruction &row;
  Type type; // of operands, as it lies in memory

  Value laneLine(const FragmentLayout &layout) {
    return coordinate(layout.lanes, &Basis::line);
  }
  Value lanePlace(const FragmentLayout &layout) {
    return coordinate(layout.lanes, &Basis::place);
  }
  Value coordinate(ArrayRef<Basis> bases, unsigned Basis::*member);
  Value stored(Value value);
  Value zero() {
    return arith::ConstantOp::create(e.b, e.loc,
                                     cast<TypedAttr>(e.b.getZeroAttr(type)));
  }
  Value vectorOf(ArrayRef<Value> values) {
    return vector::FromElementsOp::create(
        e.b, e.loc,
        VectorType::get({int64_t(values.size())}, values[0].getType()), values);
  }
  Value bounded(Value index, AffineExpr total, unsigned tile, Value *inside);
  void share(unsigned tasks, llvm::function_ref<void(Value)> body);
  SmallVector<Value> queries(Value firstRow);
  void fillRows(const Lines &lines, Value first, bool ofQueries);
  void fillValues(const Lines &lines, Value key0, Value firstColumn);
  Value fragment(const Lines &lines, const FragmentLayout &layout, Value line,
                 unsigned lineOffset, unsigned place);
  SmallVector<Value> fragments(const Lines &lines, unsigned place);
};
} // namespace

/// A lane's part of a coordinate: runs of lane bits whose bases double are one
/// piece.
Value MatrixWriter::coordinate(ArrayRef<Basis> bases, unsigned Basis::*member) {
  Value sum = e.constant(0);
  for (unsigned bit = 0; bit < bases.size(); ++bit) {
    unsigned basis = bases[bit].*member;
    if (!basis)
      continue;
    unsigned end = bit + 1;
    while (end < bases.size() && bases[end].*member == basis << (end - bit))
      ++end;
    Value part = e.rem(e.div(e.lane, e.constant(1u << bit)),
                       e.constant(1u << (end - bit)));
    sum = e.add(sum, e.mul(part, e.constant(basis)));
    bit = end - 1;
  }
  return sum;
}

Value MatrixWriter::stored(Value value) {
  return value.getType() == type
             ? value
             : arith::BitcastOp::create(e.b, e.loc, type, value).getResult();
}

/// The index, or 0 beyond the end, if that can be; then also whether it wasn't.
Value MatrixWriter::bounded(Value index, AffineExpr total, unsigned tile,
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
void MatrixWriter::share(unsigned tasks, llvm::function_ref<void(Value)> body) {
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
SmallVector<Value> MatrixWriter::queries(Value firstRow) {
  unsigned tile = row.rows * (e.options.workgroup / e.options.subgroup);
  SmallVector<AffineExpr> depthSizes = sizesOf(scoreLoops, form.depth);
  AffineExpr depthTotal = productOf(depthSizes, e.b.getContext());
  Value line = e.add(firstRow, laneLine(row.a)), place = lanePlace(row.a);
  SmallVector<Value> fragments;
  for (unsigned k0 = 0; k0 < plan.depth; k0 += row.depth) {
    SmallVector<Value> elements;
    for (unsigned i = 0; i < row.a.count(); ++i) {
      Basis at = row.a.at(0, i);
      Value query =
          bounded(e.add(line, e.constant(at.line)), queryTotal, tile, nullptr);
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

/// A tile of keys, or of queries: one line each.
void MatrixWriter::fillRows(const Lines &lines, Value first, bool ofQueries) {
  constexpr unsigned run = chunkBytes / 2;
  SmallVector<AffineExpr> depthSizes = sizesOf(scoreLoops, form.depth);
  AffineExpr depthTotal = productOf(depthSizes, e.b.getContext());
  auto innermost = graph::constantOf(depthSizes.back());
  bool whole = innermost && *innermost % run == 0;
  unsigned tasks = lines.count * lines.length / run, fast = lines.length / run;
  share(tasks, [&](Value task) {
    Value line = e.div(task, e.constant(fast));
    Value begin = e.mul(e.rem(task, e.constant(fast)), e.constant(run));
    Value number =
        bounded(e.add(first, line), ofQueries ? queryTotal : keyTotal,
                lines.count, nullptr);
    set(ofQueries ? form.queries : form.keys,
        e.delinearize(number, ofQueries ? querySizes : keySizes));
    SmallVector<Value> values, index;
    Value inside;
    for (unsigned i = 0; i < run; ++i) {
      if (i == 0 || !whole) {
        Value k = bounded(e.add(begin, e.constant(i)), depthTotal, lines.length,
                          &inside);
        index = e.delinearize(k, depthSizes);
      }
      SmallVector<Value> loops(scorePoint);
      for (auto [dim, value] : llvm::zip(form.depth, index))
        loops[dim] = value;
      if (whole)
        loops[form.depth.back()] = e.add(index.back(), e.constant(i));
      Point here{form.scores, loops, {}};
      Value value = e.evaluate(here, ofQueries ? form.query : form.key);
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

/// A tile of values, one line for each column: neighbouring threads take
/// neighbouring columns of the same keys.
void MatrixWriter::fillValues(const Lines &lines, Value key0,
                              Value firstColumn) {
  constexpr unsigned run = chunkBytes / 2;
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
      Value inside;
      Value key = bounded(e.add(e.add(key0, begin), e.constant(i)), keyTotal,
                          lines.length, &inside);
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

/// A fragment from shared memory; `line` is the lane's, without the offset.
Value MatrixWriter::fragment(const Lines &lines, const FragmentLayout &layout,
                             Value line, unsigned lineOffset, unsigned place) {
  unsigned run = 1;
  for (const Basis &basis : layout.elements) {
    if (basis.line || basis.place != run || 2 * run > chunkBytes / 2)
      break;
    run *= 2;
  }
  Value base =
      e.add(e.mul(line, e.constant(lines.stride())), lanePlace(layout));
  SmallVector<Value> elements;
  for (unsigned i = 0; i < layout.count(); i += run) {
    Basis at = layout.at(0, i);
    Value pointer = e.sharedPointer(
        lines.memory, type,
        e.add(base, e.constant((lineOffset + at.line) * lines.stride() + place +
                               at.place)));
    if (run == 1) {
      elements.push_back(e.load(type, pointer, 2));
      continue;
    }
    Value loaded = e.load(VectorType::get({run}, type), pointer, 2 * run);
    if (run == layout.count())
      return loaded;
    for (unsigned j = 0; j < run; ++j)
      elements.push_back(vector::ExtractOp::create(e.b, e.loc, loaded, j));
  }
  return vectorOf(elements);
}

/// Whether two fragments of b that are neighbours across lines are four tiles
/// as Options::matrixLoad reads them: of a tile of 8 lines a lane has 4 bytes
/// of line lane / 4, of the other one those 8 elements further.
static bool arePairsOfTiles(const MatrixInstruction &row) {
  static const FragmentLayout wanted = {
      joined({alongLine(2, 8), acrossLines(1, 8)}),
      joined({alongLine(1, 2), alongLine(8, 16)})};
  auto same = [](const Basis &x, const Basis &y) {
    return x.line == y.line && x.place == y.place;
  };
  return row.columns == 8 && llvm::equal(row.b.lanes, wanted.lanes, same) &&
         llvm::equal(row.b.elements, wanted.elements, same);
}

/// The fragments of b of all lines, at one place.
SmallVector<Value> MatrixWriter::fragments(const Lines &lines, unsigned place) {
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
  Value base =
      e.add(e.mul(coordinate(lanes, &Basis::line), e.constant(lines.stride())),
            coordinate(lanes, &Basis::place));
  SmallVector<Type> words(4, e.b.getI32Type());
  Type loadedType = LLVM::LLVMStructType::getLiteral(e.b.getContext(), words);
  for (unsigned j = 0; j < count; j += 2) {
    Value at =
        e.add(base, e.constant(j * row.columns * lines.stride() + place));
    Value loaded = e.intrinsic(e.options.matrixLoad.four, loadedType,
                               {e.sharedPointer(lines.memory, type, at)});
    for (unsigned first : {0, 2}) {
      SmallVector<Value> elements;
      for (unsigned word : {first, first + 1}) {
        Value bits = LLVM::ExtractValueOp::create(e.b, e.loc, loaded, word);
        Value pair = LLVM::BitcastOp::create(e.b, e.loc,
                                             VectorType::get({2}, type), bits);
        for (int64_t i : {0, 1})
          elements.push_back(vector::ExtractOp::create(e.b, e.loc, pair, i));
      }
      found.push_back(vectorOf(elements));
    }
  }
  return found;
}

AffineExpr aicc::gpu::emitMatrixAttention(Emitter &e,
                                          const MatrixAttentionPlan &plan) {
  MLIRContext *context = e.kernel.getContext();
  MatrixWriter w(e, plan);
  Attention &form = w.form;
  const MatrixInstruction &row = w.row;
  const FragmentLayout &layout = row.c;
  unsigned subgroups = e.options.workgroup / e.options.subgroup;
  unsigned tileRows = row.rows * subgroups;
  unsigned keyCount = plan.keys / row.columns;       // fragments of scores
  unsigned columnCount = plan.columns / row.columns; // … of results
  auto chain = chained(row);

  Lines keys{plan.keys, plan.depth, w.type},
      values{plan.columns, plan.keys, w.type},
      weights{tileRows, plan.keys, w.type},
      queryLines{tileRows, plan.depth, w.type};
  keys.memory = e.shared(w.type, keys.count * keys.stride(), "keys");
  values.memory = e.shared(w.type, values.count * values.stride(), "values");
  if (!chain)
    weights.memory =
        e.shared(w.type, weights.count * weights.stride(), "weights");
  if (plan.sharedQueries)
    queryLines.memory =
        e.shared(w.type, queryLines.count * queryLines.stride(), "queries");

  // Workgroups: parts of the columns fastest, then tiles of queries and batch.
  unsigned parts = llvm::divideCeil(w.columnCount, plan.columns);
  bool allColumns =
      w.columnCount % (parts > 1 ? plan.columns : row.columns) == 0;
  SmallVector<AffineExpr> grid = sizesOf(w.loops, form.batch);
  grid.push_back(w.queryTotal.ceilDiv(tileRows));
  grid.push_back(getAffineConstantExpr(parts, context));
  SmallVector<Value> tileIndex = e.delinearize(e.block, grid);
  w.set(form.batch, tileIndex);
  Value ownRow = e.mul(e.group, e.constant(row.rows));
  Value tileRow = e.mul(tileIndex[form.batch.size()], e.constant(tileRows));
  Value firstRow = e.add(tileRow, ownRow);
  Value firstColumn = e.mul(tileIndex.back(), e.constant(plan.columns));

  // The rows of a lane and which elements of a fragment belong to each.
  std::map<unsigned, SmallVector<unsigned>> rows;
  for (unsigned i = 0; i < layout.count(); ++i)
    rows[layout.at(0, i).line].push_back(i);
  SmallVector<unsigned> sameRow;
  for (auto [bit, basis] : llvm::enumerate(layout.lanes))
    if (!basis.line)
      sameRow.push_back(1u << bit);
  Value laneRow = w.laneLine(layout), lanePlace = w.lanePlace(layout);
  Value weightLine = e.add(ownRow, w.laneLine(row.a));

  SmallVector<Value> queries;
  if (plan.sharedQueries)
    w.fillRows(queryLines, tileRow, true); // seen after the first barrier
  else
    queries = w.queries(firstRow);
  if (e.failed)
    return grid.back();
  VectorType fragment = VectorType::get({layout.count()}, w.f32);
  Value none = vector::BroadcastOp::create(e.b, e.loc, fragment, w.number(0));
  auto keysKnown = graph::constantOf(w.keyTotal);
  bool allKeys = keysKnown && *keysKnown % plan.keys == 0;

  // Carried through the keys: the results, maximum and partial sum of rows.
  SmallVector<Value> state(columnCount, none);
  state.append(rows.size(), w.infinite());
  state.append(rows.size(), w.number(0));
  e.loop(
      e.constant(0), e.apply(w.keyTotal), e.constant(plan.keys), state,
      [&](Value key0, ArrayRef<Value> carried) -> SmallVector<Value> {
        SmallVector<Value> results(carried.take_front(columnCount));
        SmallVector<Value> most(carried.slice(columnCount, rows.size()));
        SmallVector<Value> sums(carried.take_back(rows.size()));
        w.fillRows(keys, key0, false);
        w.fillValues(values, key0, firstColumn);
        e.barrier();
        if (e.failed)
          return {};
        SmallVector<Value> products(keyCount, none);
        for (unsigned k = 0; k < plan.depth; k += row.depth) {
          Value query = plan.sharedQueries
                            ? w.fragment(queryLines, row.a, weightLine, 0, k)
                            : queries[k / row.depth];
          for (auto [j, key] : llvm::enumerate(w.fragments(keys, k)))
            products[j] =
                emitMatrixInstruction(e.b, e.loc, row, query, key, products[j]);
        }
        SmallVector<SmallVector<Value>> scores(keyCount);
        for (unsigned j = 0; j < keyCount; ++j)
          for (unsigned i = 0; i < layout.count(); ++i)
            scores[j].push_back(
                vector::ExtractOp::create(e.b, e.loc, products[j], int64_t(i)));

        // Scores: what hides keys beyond the last is minus infinity.
        std::map<unsigned, std::pair<SmallVector<Value>, Value>> keyAt;
        auto keyIndex =
            [&](unsigned offset) -> std::pair<SmallVector<Value>, Value> & {
          auto &known = keyAt[offset];
          if (known.first.empty()) {
            Value at = e.add(key0, e.add(lanePlace, e.constant(offset)));
            at = w.bounded(at, w.keyTotal, plan.keys, &known.second);
            known.first = e.delinearize(at, w.keySizes);
          }
          return known;
        };
        SmallVector<Value> scales(layout.count());
        for (auto [number, entry] : llvm::enumerate(rows)) {
          auto &[offset, elements] = entry;
          Value query =
              w.bounded(e.add(firstRow, e.add(laneRow, e.constant(offset))),
                        w.queryTotal, tileRows, nullptr);
          w.set(form.queries, e.delinearize(query, w.querySizes));
          Value best;
          for (unsigned j = 0; j < keyCount; ++j)
            for (unsigned i : elements) {
              auto &[index, inside] =
                  keyIndex(j * row.columns + layout.at(0, i).place);
              w.set(form.keys, index);
              Value score = w.score(scores[j][i]);
              if (e.failed)
                return {};
              if (!allKeys)
                score = e.select(inside, score, w.infinite());
              scores[j][i] = score;
              best = best ? w.larger(best, score) : score;
            }
          best = w.larger(most[number], w.across(best, sameRow, true));
          Value base = e.select(w.isHidden(best), w.number(0), best);
          Value scale = w.exponential(most[number], base);
          Value sum = w.times(sums[number], scale);
          for (unsigned j = 0; j < keyCount; ++j)
            for (unsigned i : elements) {
              scores[j][i] = w.exponential(scores[j][i], base);
              sum = w.plus(sum, scores[j][i]);
            }
          for (unsigned i : elements)
            scales[i] = scale;
          most[number] = best;
          sums[number] = sum;
        }
        Value scale = w.vectorOf(scales);
        for (Value &result : results)
          result = arith::MulFOp::create(e.b, e.loc, result, scale);

        // The exponentials in the operands' type.
        Type operand = form.key.getType();
        for (SmallVector<Value> &part : scores)
          for (Value &weight : part)
            weight =
                w.stored(arith::TruncFOp::create(e.b, e.loc, operand, weight));
        if (!chain) {
          for (auto [j, part] : llvm::enumerate(scores))
            for (auto [i, weight] : llvm::enumerate(part)) {
              Basis at = layout.at(0, i);
              Value line = e.add(e.add(ownRow, laneRow), e.constant(at.line));
              Value place =
                  e.add(lanePlace, e.constant(j * row.columns + at.place));
              Value to =
                  e.add(e.mul(line, e.constant(weights.stride())), place);
              e.store(weight, e.sharedPointer(weights.memory, w.type, to), 2);
            }
          e.barrier();
        }
        for (unsigned k = 0; k < plan.keys; k += row.depth) {
          Value left;
          if (chain) {
            SmallVector<Value> elements;
            for (auto [part, i] : *chain)
              elements.push_back(scores[k / row.columns + part][i]);
            left = w.vectorOf(elements);
          } else {
            left = w.fragment(weights, row.a, weightLine, 0, k);
          }
          for (auto [j, value] : llvm::enumerate(w.fragments(values, k)))
            results[j] =
                emitMatrixInstruction(e.b, e.loc, row, left, value, results[j]);
        }
        e.barrier();
        SmallVector<Value> next(results);
        next.append(most);
        next.append(sums);
        return next;
      },
      &state);
  if (e.failed)
    return grid.back();

  // Results: the factor of a row, then its elements.
  auto rowsKnown = graph::constantOf(w.queryTotal);
  bool allRows = rowsKnown && *rowsKnown % tileRows == 0;
  for (auto [number, entry] : llvm::enumerate(rows)) {
    auto &[offset, elements] = entry;
    Value most = state[columnCount + number];
    Value sum =
        w.across(state[columnCount + rows.size() + number], sameRow, false);
    Value query = e.add(firstRow, e.add(laneRow, e.constant(offset)));
    ArrayRef<unsigned> members = elements;
    e.guarded(allRows ? Value() : e.less(query, e.apply(w.queryTotal)), [&] {
      w.set(form.queries, e.delinearize(query, w.querySizes));
      Value factor = w.rowFactor(most, sum);
      for (unsigned j = 0; j < columnCount; ++j)
        for (unsigned i : members) {
          Value column =
              e.add(e.add(firstColumn, lanePlace),
                    e.constant(j * row.columns + layout.at(0, i).place));
          e.guarded(allColumns ? Value()
                               : e.less(column, e.constant(w.columnCount)),
                    [&] {
                      w.set(form.columns, e.delinearize(column, w.columnSizes));
                      w.store(vector::ExtractOp::create(e.b, e.loc, state[j],
                                                        int64_t(i)),
                              factor);
                    });
        }
    });
  }
  return productOf(grid, context);
}
