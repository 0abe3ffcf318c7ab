//===- AttentionScores.cpp - the online softmax on fragments --------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/gpu/AttentionScores.h"

#include "dialects/graph/Dims.h"

using namespace mlir;
using namespace aicc;
using namespace aicc::gpu;

AttentionScores::AttentionScores(AttentionTiles &tiles,
                                 const FragmentLayout &layout, unsigned columns,
                                 unsigned tileRows, Value tileRow, Value ownRow)
    : laneRow(tiles.e.add(ownRow, tiles.laneLine(layout))),
      lanePlace(tiles.lanePlace(layout)), w(tiles), e(tiles.e), layout(layout),
      columns(columns), tileRows(tileRows), tileRow(tileRow) {
  for (unsigned i = 0; i < layout.count(); ++i)
    rows[layout.at(0, i).line].push_back(i);
  for (auto [bit, basis] : llvm::enumerate(layout.lanes))
    if (!basis.line)
      sameRow.push_back(1u << bit);
}

/// x + y + offset in 32 bits: there are fewer queries and keys of a head.
static Value placeOf(Emitter &e, Value x, Value y, unsigned offset) {
  auto narrow = [&](Value value) -> Value {
    return arith::IndexCastUIOp::create(e.b, e.loc, e.b.getI32Type(), value);
  };
  Value sum = arith::AddIOp::create(e.b, e.loc, narrow(x), narrow(y));
  Value more =
      arith::ConstantOp::create(e.b, e.loc, e.b.getI32IntegerAttr(int(offset)));
  sum = arith::AddIOp::create(e.b, e.loc, sum, more);
  return arith::IndexCastUIOp::create(e.b, e.loc, e.b.getIndexType(), sum);
}

SmallVector<Value> AttentionScores::update(SmallVector<Value> &scores,
                                           Value key0, bool whole,
                                           MutableArrayRef<Value> most,
                                           MutableArrayRef<Value> sums) {
  unsigned count = layout.count(), fragments = scores.size() / count;
  bool exact = w.type == w.f32;
  auto keysKnown = graph::constantOf(w.keyTotal);
  bool allKeys =
      whole || (keysKnown && *keysKnown % (fragments * columns) == 0);
  std::map<unsigned, std::pair<SmallVector<Value>, Value>> keyAt;
  auto keyIndex =
      [&](unsigned offset) -> std::pair<SmallVector<Value>, Value> & {
    auto &known = keyAt[offset];
    if (known.first.empty()) {
      Value at = placeOf(e, key0, lanePlace, offset);
      if (!allKeys)
        at = w.bounded(at, w.keyTotal, fragments * columns, &known.second);
      known.first = e.delinearize(at, w.keySizes);
    }
    return known;
  };
  SmallVector<Value> scales(count);
  for (auto [number, entry] : llvm::enumerate(rows)) {
    auto &[offset, elements] = entry;
    Value query = w.bounded(placeOf(e, tileRow, laneRow, offset), w.queryTotal,
                            tileRows, nullptr);
    w.set(w.form.queries, e.delinearize(query, w.querySizes));
    Value best;
    for (unsigned j = 0; j < fragments; ++j)
      for (unsigned i : elements) {
        auto &[index, inside] = keyIndex(j * columns + layout.at(0, i).place);
        w.set(w.form.keys, index);
        Value &score = scores[j * count + i];
        score = w.score(score);
        if (e.failed)
          return scales;
        // What hides keys beyond the last is minus infinity.
        if (!allKeys)
          score = e.select(inside, score, w.infinite());
        best = best ? w.larger(best, score) : score;
      }
    best = w.larger(most[number], w.across(best, sameRow, true));
    // Weights that aren't rounded to 16 bits are exact.
    Value base = e.select(w.isHidden(best), w.number(0), best), scale;
    if (exact) {
      scale = w.exponential(most[number], base);
    } else {
      base = w.baseOf(base);
      scale = w.power(
          arith::SubFOp::create(e.b, e.loc, w.baseOf(most[number]), base));
    }
    Value sum = w.times(sums[number], scale);
    for (unsigned j = 0; j < fragments; ++j)
      for (unsigned i : elements) {
        Value &score = scores[j * count + i];
        score = exact ? w.exponential(score, base) : w.weight(score, base);
        sum = w.plus(sum, score);
      }
    for (unsigned i : elements)
      scales[i] = scale;
    most[number] = best;
    sums[number] = sum;
  }
  return scales;
}

void AttentionScores::store(
    llvm::function_ref<Value(unsigned, unsigned)> element, unsigned fragments,
    unsigned width, bool allColumns, Value firstColumn,
    const FragmentLayout &results, ArrayRef<Value> most, ArrayRef<Value> sums) {
  auto rowsKnown = graph::constantOf(w.queryTotal);
  bool allRows = rowsKnown && *rowsKnown % tileRows == 0;
  Value place = w.lanePlace(results);
  // Where results lie is often where queries did: dozens of 64-bit offsets.
  Value first = w.again(e.add(tileRow, laneRow));
  for (auto [number, entry] : llvm::enumerate(rows)) {
    unsigned offset = entry.first;
    Value sum = w.across(sums[number], sameRow, false);
    Value query = e.add(first, e.constant(offset));
    Value largest = most[number];
    e.guarded(allRows ? Value() : e.less(query, e.apply(w.queryTotal)), [&] {
      w.set(w.form.queries, e.delinearize(query, w.querySizes));
      Value factor = w.rowFactor(largest, sum);
      for (unsigned j = 0; j < fragments; ++j)
        for (unsigned i = 0; i < results.count(); ++i) {
          Basis at = results.at(0, i);
          if (at.line != offset)
            continue;
          Value column = e.add(e.add(firstColumn, place),
                               e.constant(j * width + at.place));
          e.guarded(
              allColumns ? Value() : e.less(column, e.constant(w.columnCount)),
              [&] {
                w.set(w.form.columns, e.delinearize(column, w.columnSizes));
                w.store(element(j, i), factor);
              });
        }
    });
  }
}
