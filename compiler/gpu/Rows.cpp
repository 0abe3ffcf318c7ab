//===- Rows.cpp - reductions of rows --------------------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Softmax, normalisations, sums: the reductions of one row come one after the
// other, each seeing the previous ones' values as scalars, then the results of
// the row. A row belongs to one thread, some subgroups or one workgroup,
// whatever its length asks for.
//
// A row whose length is known and that fits is kept in registers: loops over
// a thread's part of it are unrolled, and what one of them has loaded or
// computed for an element the next ones find in the emitter. So memory is read
// once and each exponential computed once.
//
// Where neighbours in memory are other rows (a sum over the first axis), a
// thread has as many rows side by side as fill 16 bytes, and the threads of a
// row are those of one column of the workgroup.
//
//===----------------------------------------------------------------------===//

#include "compiler/gpu/Strategies.h"

#include "dialects/graph/Dims.h"

#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace aicc;
using namespace aicc::gpu;

/// The operand of a reduction that has most dimensions.
static OpOperand *widestOperand(linalg::GenericOp generic) {
  OpOperand *widest = nullptr;
  unsigned rank = 0;
  for (OpOperand *operand : generic.getDpsInputOperands()) {
    unsigned own = generic.getMatchingIndexingMap(operand).getNumResults();
    if (generic.getMatchingBlockArgument(operand).use_empty() || own <= rank)
      continue;
    rank = own;
    widest = operand;
  }
  return widest;
}

/// Whether neighbours in memory are neighbours in the reduction.
static bool contiguous(linalg::GenericOp generic) {
  OpOperand *operand = widestOperand(generic);
  if (!operand)
    return true;
  SmallVector<unsigned> reduced;
  generic.getReductionDims(reduced);
  AffineExpr last = generic.getMatchingIndexingMap(operand).getResults().back();
  return llvm::any_of(reduced,
                      [&](unsigned dim) { return last.isFunctionOfDim(dim); });
}

/// xor-shuffle of any type of 16, 32 or 64 bits.
static Value shuffle(Emitter &e, Value value, unsigned offset) {
  OpBuilder &b = e.b;
  Location loc = e.loc;
  e.shuffles = true;
  Type type = value.getType();
  unsigned bits = type.getIntOrFloatBitWidth();
  auto one = [&](Value word) -> Value {
    return mlir::gpu::ShuffleOp::create(b, loc, word, offset,
                                        e.options.subgroup,
                                        mlir::gpu::ShuffleMode::XOR)
        .getShuffleResult();
  };
  if (bits == 32)
    return one(value);
  Type raw = b.getIntegerType(bits), word = b.getI32Type();
  Value integer = isa<FloatType>(type)
                      ? arith::BitcastOp::create(b, loc, raw, value)
                      : value;
  Value moved;
  if (bits < 32) {
    moved = arith::TruncIOp::create(
        b, loc, raw, one(arith::ExtUIOp::create(b, loc, word, integer)));
  } else {
    Value half = arith::ConstantOp::create(b, loc, b.getI64IntegerAttr(32));
    Value low = one(arith::TruncIOp::create(b, loc, word, integer));
    Value high = one(arith::TruncIOp::create(
        b, loc, word, arith::ShRUIOp::create(b, loc, integer, half)));
    moved = arith::OrIOp::create(
        b, loc, arith::ExtUIOp::create(b, loc, raw, low),
        arith::ShLIOp::create(b, loc, arith::ExtUIOp::create(b, loc, raw, high),
                              half));
  }
  return isa<FloatType>(type) ? arith::BitcastOp::create(b, loc, type, moved)
                              : moved;
}

/// Partial results of a reduction joined, one value for each of its results.
/// Of equally good elements the one that comes first in the row is `x`.
static SmallVector<Value> combine(Emitter &e, linalg::GenericOp generic,
                                  ArrayRef<Value> x, ArrayRef<Value> y) {
  if (Operation *combiner = combinerOf(generic)) {
    IRMapping mapping;
    mapping.map(combiner->getOperand(0), x[0]);
    mapping.map(combiner->getOperand(1), y[0]);
    Operation *copy = e.b.clone(*combiner, mapping);
    copy->setLoc(e.loc);
    return {copy->getResult(0)};
  }
  BestElement best = *matchBestElement(generic);
  Value swap =
      arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::slt, y[1], x[1]);
  Value first[2], then[2];
  for (unsigned i : {0, 1}) {
    first[i] = e.select(swap, y[i], x[i]);
    then[i] = e.select(swap, x[i], y[i]);
  }
  Point point{generic, {}, {}};
  point.map.map(best.x, then[0]);
  point.map.map(generic.getRegionOutputArgs()[0], first[0]);
  Value wins = e.evaluate(point, best.wins);
  if (!wins)
    return {first[0], first[1]};
  return {e.select(wins, then[0], first[0]), e.select(wins, then[1], first[1])};
}

/// Whether threads can share a reduction out.
static bool isShareable(linalg::GenericOp generic) {
  return combinerOf(generic) || matchBestElement(generic);
}

namespace {
/// How the threads of a row share out the elements inside of it: run by run.
struct Runs {
  SmallVector<AffineExpr> sizes; // the last one counts runs
  unsigned each;                 // neighbours of a run
  AffineExpr count;
};

class RowEmitter {
public:
  RowEmitter(Emitter &e, const Rows &rows) : e(e), rows(rows) {
    chooseThreads();
  }
  AffineExpr emit();

private:
  void chooseThreads();
  void chooseColumns(int64_t count, int64_t length);
  bool fits(int64_t elements, int64_t registers) const;
  Runs runsOf(ArrayRef<AffineExpr> sizes, bool neighbours);
  bool isUnrolled(const Runs &runs);
  ArrayRef<std::pair<Value, Value>> places(const Runs &runs);
  SmallVector<Value> indexOf(Value reduction, unsigned column);
  void select(unsigned column);
  SmallVector<Value> across(linalg::GenericOp generic,
                            SmallVector<Value> values, unsigned stage);
  SmallVector<Value> partial(linalg::GenericOp generic, const Runs &runs,
                             ArrayRef<unsigned> reduced);
  using ForElements = llvm::function_ref<void(
      Value at,
      llvm::function_ref<void(unsigned element, ArrayRef<Value> loops)>)>;
  using Step = llvm::function_ref<void(Value at, Value exists,
                                       MutableArrayRef<Value> sums)>;
  void rolled(linalg::GenericOp generic, const Runs &runs,
              SmallVector<Value> &sums, ForElements forElements, Step step);
  void stage(linalg::GenericOp generic, unsigned number);
  void result(unsigned number, Value mayStore);

  Emitter &e;
  const Rows &rows;
  int64_t operations = 0, words = 1; // of the kernel, of an element
  unsigned threads = 1;              // of a row
  unsigned columns = 1;              // rows of a thread
  bool sideBySide = false;           // neighbours in memory are other rows
  int64_t unrolled = 0; // elements of a thread that may be; 0: loops
  Value position, slot; // of the thread in the row, of the row
  std::vector<SmallVector<Value>> rowIndex; // of each of the thread's rows
  /// What the reductions have given for each of them.
  std::vector<std::pair<Value, SmallVector<Value>>> totals;
  /// By number of runs: where each of a thread's runs is, and whether it
  /// exists (null: always).
  std::map<int64_t, SmallVector<std::pair<Value, Value>>> known;
};
} // namespace

static unsigned bytesOf(Type type) {
  return std::max(
      1u, storageType(getElementTypeOrSelf(type)).getIntOrFloatBitWidth() / 8);
}

/// Bytes of an element of what a tensor is computed from.
static unsigned sourceBytes(Value tensor) {
  unsigned bytes = bytesOf(tensor.getType()), rank = 0;
  for (const ArgumentRead &read : readsOf(tensor)) {
    unsigned own = bytesOf(read.argument.getType());
    if (read.index.size() < rank || (read.index.size() == rank && own < bytes))
      continue;
    rank = read.index.size();
    bytes = own;
  }
  return bytes;
}

bool RowEmitter::fits(int64_t elements, int64_t registers) const {
  constexpr int64_t longCode = 1 << 12; // operations
  return elements * words <= registers && elements * operations <= longCode;
}

void RowEmitter::chooseThreads() {
  constexpr int64_t unknown = 1024; // what a dynamic size is taken for
  constexpr int64_t busy = 1 << 14; // threads that keep a GPU busy
  const unsigned subgroup = e.options.subgroup, most = e.options.workgroup;
  int64_t count = 1, length = 1;
  for (AffineExpr size : rows.sizes)
    count *= graph::constantOf(size).value_or(unknown);
  bool along = false, aside = !rows.sizes.empty(), fixed = true;
  for (linalg::GenericOp stage : rows.stages) {
    SmallVector<AffineExpr> loops = loopsOf(e.kernel, stage);
    SmallVector<unsigned> reduced;
    stage.getReductionDims(reduced);
    int64_t stageLength = 1;
    for (unsigned dim : reduced) {
      auto size = loops[dim] ? graph::constantOf(loops[dim]) : std::nullopt;
      fixed &= size.has_value();
      stageLength *= size.value_or(unknown);
    }
    length = std::max(length, stageLength);
    along |= contiguous(stage);
    // The last dimension of the rows is the operand's, too.
    OpOperand *operand = widestOperand(stage);
    AffineMap result =
        stage.getIndexingMapMatchingResult(cast<OpResult>(stage.getResult(0)));
    SmallVector<unsigned> own = rowDims(e.kernel, stage.getResult(0));
    AffineMap map = operand ? stage.getMatchingIndexingMap(operand)
                            : AffineMap::get(e.kernel.getContext());
    aside &= !own.empty() && map.getNumResults() &&
             map.getResults().back() == result.getResult(own.back());
    if (!isShareable(stage))
      return;
  }
  e.kernel.walk([&](Operation *op) {
    operations += isa<math::MathDialect>(op->getDialect()) ? 16 : 1;
  });
  e.kernel.walk([&](linalg::GenericOp generic) {
    for (Type type : generic.getResultTypes())
      words = std::max<int64_t>(words, bytesOf(type) / 4);
  });
  const int64_t all = e.options.fragmentRegisters / 2;
  const int64_t few = std::min<int64_t>(32, all); // many threads at once
  auto unroll = [&](int64_t registers) {
    int64_t elements = llvm::divideCeil(length, threads) * columns;
    bool kept = threads == 1 || e.options.keepsRows;
    unrolled = kept && fixed && fits(elements, registers) ? elements : 0;
  };
  if (!along && aside) {
    chooseColumns(count, length);
    return unroll(few);
  }
  if (length < subgroup || (!along && count >= 4096)) {
    if (length < subgroup)
      unroll(few);
    return;
  }
  threads = subgroup;
  while (threads < most &&
         (count * threads < busy ||
          !(fixed && fits(llvm::divideCeil(length, threads), few))))
    threads *= 2;
  unroll(all);
  if (!unrolled)
    threads = length <= 1024 && count >= 512 ? subgroup : most;
}

/// A thread's rows, and how many threads share each of them.
void RowEmitter::chooseColumns(int64_t count, int64_t length) {
  constexpr int64_t busy = 1 << 15;
  constexpr unsigned chunk = 16, line = 128; // bytes
  constexpr int64_t largeBody = 1 << 10;     // operations
  constexpr int64_t enough = 1 << 13;        // threads
  sideBySide = true;
  unsigned bytes = 1;
  for (linalg::GenericOp stage : rows.stages)
    bytes = std::max(bytes, sourceBytes(widestOperand(stage)->get()));
  auto last = graph::constantOf(rows.sizes.back());
  if (e.options.vector > 1 && last)
    columns = std::clamp(chunk / bytes, 1u, 8u);
  // Large bodies repeated would be long code for little; fewer threads than
  // keep a GPU busy would wait for each other.
  auto sharers = std::clamp<int64_t>(length / 8, 1, e.options.workgroup);
  while (columns > 1 && (*last % columns || columns * operations > largeBody ||
                         count / columns * sharers < enough))
    columns /= 2;
  // Neighbours share a line of memory.
  unsigned fewest = std::max(1u, line / (columns * bytes));
  int64_t across = llvm::divideCeil(count, columns);
  while (threads < e.options.workgroup && int64_t(threads) < length) {
    unsigned slots = e.options.workgroup / threads;
    bool idle = slots / 2 >= across;
    bool more = slots > fewest && across * threads < busy &&
                int64_t(threads) * 8 <= length;
    if (!idle && !more)
      break;
    threads *= 2;
  }
}

bool RowEmitter::isUnrolled(const Runs &runs) {
  auto count = graph::constantOf(runs.count);
  return unrolled && count &&
         int64_t(llvm::divideCeil(*count, threads)) * runs.each * columns <=
             std::max<int64_t>(unrolled, 8);
}

/// `neighbours`: whether the last size counts neighbours in memory.
Runs RowEmitter::runsOf(ArrayRef<AffineExpr> sizes, bool neighbours) {
  MLIRContext *context = e.kernel.getContext();
  Runs runs{SmallVector<AffineExpr>(sizes), 1, AffineExpr()};
  auto total = graph::constantOf(productOf(sizes, context));
  if (neighbours && !sideBySide && total)
    runs.each = neighboursOf(e, sizes.back(), *total, threads);
  if (runs.each > 1)
    runs.sizes.back() = runs.sizes.back().floorDiv(runs.each);
  runs.count = productOf(runs.sizes, context);
  return runs;
}

/// A thread that has no run left has its first one (or the row's) again.
ArrayRef<std::pair<Value, Value>> RowEmitter::places(const Runs &runs) {
  int64_t count = *graph::constantOf(runs.count);
  auto [found, added] = known.try_emplace(count);
  if (!added)
    return found->second;
  for (int64_t first = 0; first < count; first += threads) {
    Value at = e.add(position, e.constant(first)), exists;
    if (first + threads > count) {
      exists = e.less(at, e.constant(count));
      at = e.select(exists, at, count < threads ? e.constant(0) : position);
    }
    found->second.push_back({at, exists});
  }
  return found->second;
}

/// The index of a reduction's result for one of the thread's rows.
SmallVector<Value> RowEmitter::indexOf(Value reduction, unsigned column) {
  auto type = cast<RankedTensorType>(reduction.getType());
  SmallVector<Value> index(type.getRank(), e.constant(0));
  for (auto [dim, value] :
       llvm::zip(rowDims(e.kernel, reduction), rowIndex[column]))
    index[dim] = value;
  return index;
}

/// From now on reductions have the values of this one of the thread's rows.
void RowEmitter::select(unsigned column) {
  for (auto &[tensor, values] : totals)
    e.provide(tensor, values[column]);
}

/// What the threads of a row have, joined and known to all of them: the values
/// of the reduction's results, for each of a thread's rows.
SmallVector<Value> RowEmitter::across(linalg::GenericOp generic,
                                      SmallVector<Value> values,
                                      unsigned stage) {
  if (threads == 1)
    return values;
  const unsigned subgroup = e.options.subgroup;
  const unsigned slots = e.options.workgroup / threads;
  const unsigned results = generic.getNumResults();
  auto ofRow = [&](unsigned column) {
    return MutableArrayRef(values).slice(column * results, results);
  };
  // Threads of a subgroup that have one row are `slots` apart, or side by side.
  unsigned apart = sideBySide ? std::min(slots, subgroup) : 1;
  for (unsigned offset = subgroup / 2; offset >= apart; offset /= 2)
    for (unsigned column = 0; column < columns; ++column) {
      SmallVector<Value> others;
      for (Value value : ofRow(column))
        others.push_back(shuffle(e, value, offset));
      llvm::copy(combine(e, generic, ofRow(column), others),
                 ofRow(column).begin());
    }
  unsigned parts = sideBySide ? threads * apart / subgroup // of a row
                              : threads / subgroup;
  if (parts <= 1)
    return values;
  unsigned width = slots * columns;
  SmallVector<Value> memory;
  for (auto [i, value] : llvm::enumerate(ofRow(0)))
    memory.push_back(
        e.shared(storageType(value.getType()), width * parts,
                 ("partial" + Twine(stage) + (i ? "place" : "")).str()));
  Value part = sideBySide ? e.div(position, e.constant(subgroup / apart))
                          : e.rem(e.group, e.constant(parts));
  auto place = [&](unsigned result, Value part, unsigned column) {
    Value at =
        e.add(e.mul(part, e.constant(width)),
              e.add(e.mul(slot, e.constant(columns)), e.constant(column)));
    return e.sharedPointer(memory[result],
                           storageType(values[result].getType()), at);
  };
  e.guarded(
      apart == subgroup ? Value() : e.less(e.lane, e.constant(apart)), [&] {
        for (unsigned column = 0; column < columns; ++column)
          for (auto [i, value] : llvm::enumerate(ofRow(column)))
            e.store(value, place(i, part, column), bytesOf(value.getType()));
      });
  e.barrier();
  for (unsigned column = 0; column < columns; ++column) {
    SmallVector<Value> total;
    for (unsigned i = 0; i < parts; ++i) {
      SmallVector<Value> other;
      for (auto [result, value] : llvm::enumerate(ofRow(column)))
        other.push_back(e.load(storageType(value.getType()),
                               place(result, e.constant(i), column),
                               bytesOf(value.getType())));
      total = total.empty() ? other : combine(e, generic, total, other);
    }
    llvm::copy(total, ofRow(column).begin());
  }
  return values;
}

/// The arguments of which a reduction reads one element for each of its own.
static SmallVector<ArgumentRead> streamsOf(linalg::GenericOp generic) {
  SmallVector<ArgumentRead> streams, reads = readsOfBody(generic);
  SmallVector<unsigned> reduced;
  generic.getReductionDims(reduced);
  for (const ArgumentRead &read : reads) {
    bool once = llvm::all_of(reads, [&](const ArgumentRead &other) {
      return &other == &read || other.argument != read.argument;
    });
    bool varies = !llvm::is_contained(read.index, AffineExpr()) &&
                  llvm::any_of(read.index, [&](AffineExpr expr) {
                    return llvm::any_of(reduced, [&](unsigned dim) {
                      return expr.isFunctionOfDim(dim);
                    });
                  });
    if (once && varies)
      streams.push_back(read);
  }
  return streams;
}

/// What a thread's part of the row gives, for each of its rows.
SmallVector<Value> RowEmitter::partial(linalg::GenericOp generic,
                                       const Runs &runs,
                                       ArrayRef<unsigned> reduced) {
  const unsigned results = generic.getNumResults();
  std::vector<SmallVector<Value>> loopsOfRow;
  for (unsigned column = 0; column < columns; ++column)
    loopsOfRow.push_back(
        e.loopsAt(generic, 0, indexOf(generic->getResult(0), column)));
  // Sums that don't wait for each other, values of all results each.
  SmallVector<Value> sums;
  Operation *combiner = combinerOf(generic);
  for (unsigned i = 0; i < columns * runs.each; ++i)
    if (combiner)
      sums.push_back(arith::ConstantOp::create(
          e.b, e.loc, *arith::getNeutralElement(combiner)));
    else
      sums.append(
          e.initials(generic, indexOf(generic->getResult(0), i / runs.each)));
  if (e.failed)
    return sums;
  auto forElements =
      [&](Value at, llvm::function_ref<void(unsigned, ArrayRef<Value>)> body) {
        SmallVector<Value> inside = e.delinearize(at, runs.sizes);
        Value first = runs.each > 1
                          ? e.mul(inside.back(), e.constant(runs.each))
                          : inside.back();
        for (unsigned i = 0; i < columns * runs.each && !e.failed; ++i) {
          SmallVector<Value> &loops = loopsOfRow[i / runs.each];
          inside.back() = e.add(first, e.constant(i % runs.each));
          for (auto [dim, value] : llvm::zip(reduced, inside))
            loops[dim] = value;
          body(i, loops);
        }
      };
  auto step = [&](Value at, Value exists, MutableArrayRef<Value> sums) {
    forElements(at, [&](unsigned i, ArrayRef<Value> loops) {
      select(i / runs.each);
      auto own = sums.slice(i * results, results);
      SmallVector<Value> next = e.yields(generic, loops, own);
      if (e.failed)
        return;
      for (auto [value, now] : llvm::zip(own, next))
        value = exists ? e.select(exists, now, value) : now;
    });
  };
  if (isUnrolled(runs))
    for (auto [at, exists] : places(runs))
      step(at, exists, sums);
  else
    rolled(generic, runs, sums, forElements, step);
  SmallVector<Value> values;
  for (unsigned column = 0; column < columns && !e.failed; ++column) {
    auto own = [&](unsigned i) {
      return MutableArrayRef(sums).slice((column * runs.each + i) * results,
                                         results);
    };
    for (unsigned count = runs.each / 2; count; count /= 2)
      for (unsigned i = 0; i < count; ++i)
        llvm::copy(combine(e, generic, own(i), own(i + count)), own(i).begin());
    llvm::append_range(values, own(0));
  }
  return values;
}

/// The same by loops: the next elements are on their way while the last ones
/// are added. Compilers left to themselves would load a few at a time.
void RowEmitter::rolled(linalg::GenericOp generic, const Runs &runs,
                        SmallVector<Value> &sums, ForElements forElements,
                        Step step) {
  const unsigned width = sums.size(), results = generic.getNumResults();
  int64_t ahead = 8;
  while (ahead > 1 && !fits(ahead * width, 64))
    ahead /= 2;
  const int64_t stride = threads * ahead;
  auto known = graph::constantOf(runs.count);
  AffineExpr whole = runs.count.floorDiv(stride) * stride;
  SmallVector<ArgumentRead> streams = streamsOf(generic);
  auto load = [&](Value at) {
    SmallVector<Value> values;
    for (int64_t i = 0; i < ahead; ++i)
      forElements(e.add(at, e.constant(i * threads)),
                  [&](unsigned, ArrayRef<Value> loops) {
                    for (const ArgumentRead &stream : streams) {
                      SmallVector<Value> index;
                      for (AffineExpr expr : stream.index)
                        index.push_back(e.apply(expr, loops));
                      values.push_back(e.value(stream.argument, index));
                    }
                  });
    return values;
  };
  auto use = [&](Value at, MutableArrayRef<Value> sums,
                 ArrayRef<Value> loaded) {
    for (int64_t i = 0; i < ahead; ++i)
      forElements(e.add(at, e.constant(i * threads)),
                  [&](unsigned element, ArrayRef<Value> loops) {
                    for (const ArgumentRead &stream : streams) {
                      e.provide(stream.argument, loaded.front());
                      loaded = loaded.drop_front();
                    }
                    select(element / runs.each);
                    auto own = sums.slice(element * results, results);
                    SmallVector<Value> next = e.yields(generic, loops, own);
                    if (!e.failed)
                      llvm::copy(next, own.begin());
                    for (const ArgumentRead &stream : streams)
                      e.withdraw(stream.argument);
                  });
  };
  if (known && *known >= 2 * stride && !streams.empty() &&
      e.options.vector > 1) {
    SmallVector<Value> carried = sums;
    carried.append(load(position));
    if (e.failed)
      return;
    Value last = e.apply(whole - stride);
    e.loop(
        position, last, e.constant(stride), carried,
        [&](Value at, ArrayRef<Value> now) {
          SmallVector<Value> next = load(e.add(at, e.constant(stride)));
          SmallVector<Value> sums(now.take_front(width));
          use(at, sums, now.drop_front(width));
          sums.append(next);
          return sums;
        },
        &carried);
    sums.assign(carried.begin(), carried.begin() + width);
    use(e.add(position, last), sums, ArrayRef(carried).drop_front(width));
  } else if (ahead > 1 && (!known || *known >= stride)) {
    e.loop(
        position, e.apply(whole), e.constant(stride), sums,
        [&](Value at, ArrayRef<Value> accumulators) {
          SmallVector<Value> now(accumulators);
          for (int64_t i = 0; i < ahead; ++i)
            step(e.add(at, e.constant(i * threads)), Value(), now);
          return now;
        },
        &sums);
  } else {
    whole = e.b.getAffineConstantExpr(0);
  }
  // Those that are left.
  auto done = graph::constantOf(graph::simplify(whole));
  if (!e.failed && !(known && done && *known == *done))
    e.loop(
        e.add(position, e.apply(whole)), e.apply(runs.count),
        e.constant(threads), sums,
        [&](Value at, ArrayRef<Value> accumulators) {
          SmallVector<Value> now(accumulators);
          step(at, Value(), now);
          return now;
        },
        &sums);
}

/// One reduction of the row.
void RowEmitter::stage(linalg::GenericOp generic, unsigned number) {
  Value result = generic->getResult(0);
  if (threads == 1 && !sideBySide && !unrolled) {
    SmallVector<Value> values =
        e.reduceSerially(generic, indexOf(result, /*column=*/0));
    for (auto [tensor, value] : llvm::zip(generic->getResults(), values))
      if (value)
        e.provide(tensor, value);
    return;
  }
  SmallVector<AffineExpr> sizes = loopsOf(e.kernel, generic), reducedSizes;
  SmallVector<unsigned> reduced;
  generic.getReductionDims(reduced);
  for (unsigned dim : reduced)
    reducedSizes.push_back(sizes[dim]);
  if (llvm::is_contained(reducedSizes, AffineExpr())) {
    e.error() << "a reduction of unknown size, expected an expression over "
                 "symbols";
    return;
  }
  SmallVector<Value> values =
      partial(generic, runsOf(reducedSizes, contiguous(generic)), reduced);
  if (e.failed)
    return;
  values = across(generic, std::move(values), number);
  if (Operation *combiner = combinerOf(generic))
    for (auto [column, value] : llvm::enumerate(values)) {
      select(column);
      Value init = e.initials(generic, indexOf(result, column))[0];
      if (e.failed)
        return;
      Attribute constant;
      bool trivial = matchPattern(init, m_Constant(&constant)) &&
                     constant == *arith::getNeutralElement(combiner);
      if (!trivial)
        value = combine(e, generic, init, value)[0];
    }
  for (auto [i, tensor] : llvm::enumerate(generic->getResults())) {
    SmallVector<Value> ofRows;
    for (unsigned column = 0; column < columns; ++column)
      ofRows.push_back(values[column * generic.getNumResults() + i]);
    totals.push_back({tensor, std::move(ofRows)});
  }
}

/// One result: a number of the row, or one for each element inside.
void RowEmitter::result(unsigned number, Value mayStore) {
  SmallVector<AffineExpr> dims = graph::dimsOf(cast<RankedTensorType>(
      cast<TypeAttr>(e.kernel.getResultTypes()[number]).getValue()));
  ArrayRef<unsigned> rowDims = rows.resultDims[number];
  std::vector<SmallVector<Value>> indices;
  for (unsigned column = 0; column < columns; ++column) {
    indices.emplace_back(dims.size(), e.constant(0));
    for (auto [dim, value] : llvm::zip(rowDims, rowIndex[column]))
      indices.back()[dim] = value;
  }
  SmallVector<unsigned> inner;
  SmallVector<AffineExpr> innerSizes;
  for (unsigned i = 0; i < dims.size(); ++i)
    if (!llvm::is_contained(rowDims, i) && !graph::isConstant(dims[i], 1)) {
      inner.push_back(i);
      innerSizes.push_back(dims[i]);
    }
  auto both = [&](Value x, Value y) -> Value {
    return x && y ? arith::AndIOp::create(e.b, e.loc, x, y) : x ? x : y;
  };
  struct Element {
    SmallVector<Value> index;
    Value value;
  };
  // A result may lie in an operand's memory: read everything first.
  auto store = [&](ArrayRef<Element> elements) {
    for (const Element &element : elements)
      e.store(number, element.index, element.value);
  };
  if (inner.empty()) {
    Value leader = threads > 1 ? e.less(position, e.constant(1)) : Value();
    return e.guarded(both(mayStore, leader), [&] {
      SmallVector<Element> elements;
      for (auto [column, index] : llvm::enumerate(indices)) {
        select(column);
        elements.push_back({index, e.result(number, index)});
      }
      store(elements);
    });
  }
  Runs runs = runsOf(innerSizes, inner.back() + 1 == dims.size());
  auto elementsAt = [&](Value at) {
    SmallVector<Element> elements;
    SmallVector<Value> inside = e.delinearize(at, runs.sizes);
    Value first = runs.each > 1 ? e.mul(inside.back(), e.constant(runs.each))
                                : inside.back();
    for (auto [column, index] : llvm::enumerate(indices)) {
      select(column);
      for (unsigned step = 0; step < runs.each; ++step) {
        inside.back() = e.add(first, e.constant(step));
        for (auto [dim, value] : llvm::zip(inner, inside))
          index[dim] = value;
        elements.push_back({index, e.result(number, index)});
      }
    }
    return elements;
  };
  if (!isUnrolled(runs))
    return e.guarded(mayStore, [&] {
      e.loop(position, e.apply(runs.count), e.constant(threads), {},
             [&](Value at, ArrayRef<Value>) {
               store(elementsAt(at));
               return SmallVector<Value>();
             });
    });
  std::vector<SmallVector<Element>> all;
  for (auto [at, exists] : places(runs))
    all.push_back(elementsAt(at));
  for (auto [place, elements] : llvm::zip(places(runs), all))
    e.guarded(both(mayStore, place.second), [&] { store(elements); });
}

AffineExpr RowEmitter::emit() {
  MLIRContext *context = e.kernel.getContext();
  unsigned slots = e.options.workgroup / threads;
  SmallVector<AffineExpr> sizes = rows.sizes;
  if (columns > 1)
    sizes.back() = sizes.back().floorDiv(columns);
  AffineExpr count = productOf(sizes, context);
  AffineExpr groups = count.ceilDiv(slots);
  std::tie(position, slot) =
      e.splitThread(sideBySide || threads == 1 ? slots : threads);
  if (sideBySide || threads == 1)
    std::swap(position, slot);
  if (threads == 1)
    position = e.constant(0);
  if (slots == 1)
    slot = e.constant(0);
  Value row = e.add(e.mul(e.block, e.constant(slots)), slot);
  auto known = graph::constantOf(count);
  Value inside =
      known && *known % slots == 0 ? Value() : e.less(row, e.apply(count));
  auto body = [&](Value row, Value mayStore) {
    SmallVector<Value> index = e.delinearize(row, sizes);
    for (unsigned column = 0; column < columns; ++column) {
      rowIndex.push_back(index);
      if (columns > 1)
        rowIndex.back().back() =
            e.add(e.mul(index.back(), e.constant(columns)), e.constant(column));
    }
    for (auto [i, generic] : llvm::enumerate(rows.stages))
      if (!e.failed)
        stage(generic, i);
    for (unsigned i = 0; i < rows.resultDims.size() && !e.failed; ++i)
      result(i, mayStore);
  };
  if (threads == 1)
    e.guarded(inside, [&] { body(row, nullptr); });
  else // all threads take part in shuffles: rows beyond the last repeat it
    body(inside ? e.select(inside, row, e.constant(0)) : row, inside);
  return groups;
}

AffineExpr aicc::gpu::emitRows(Emitter &e, const Rows &rows) {
  if (!e.options.power.empty())
    e.rounded = roundedExponentials(e.kernel, rows);
  return RowEmitter(e, rows).emit();
}
