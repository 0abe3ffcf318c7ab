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
//===----------------------------------------------------------------------===//

#include "compiler/gpu/Strategies.h"

#include "dialects/graph/Dims.h"

#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace aicc;
using namespace aicc::gpu;

/// Whether neighbours in memory are neighbours in the reduction.
static bool contiguous(linalg::GenericOp generic) {
  SmallVector<unsigned> reduced;
  generic.getReductionDims(reduced);
  int64_t rank = -1;
  bool result = true;
  for (OpOperand *operand : generic.getDpsInputOperands()) {
    AffineMap map = generic.getMatchingIndexingMap(operand);
    if (generic.getMatchingBlockArgument(operand).use_empty() ||
        map.getNumResults() <= rank || !map.getNumResults())
      continue;
    rank = map.getNumResults();
    result = llvm::any_of(reduced, [&](unsigned dim) {
      return map.getResult(map.getNumResults() - 1).isFunctionOfDim(dim);
    });
  }
  return result;
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

static Value combine(Emitter &e, Operation *combiner, Value x, Value y) {
  IRMapping mapping;
  mapping.map(combiner->getOperand(0), x);
  mapping.map(combiner->getOperand(1), y);
  Operation *copy = e.b.clone(*combiner, mapping);
  copy->setLoc(e.loc);
  return copy->getResult(0);
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
  using Body = llvm::function_ref<SmallVector<Value>(
      ArrayRef<Value> index, ArrayRef<Value> accumulators)>;

  void chooseThreads();
  Runs runsOf(ArrayRef<AffineExpr> sizes, bool neighbours);
  bool isUnrolled(const Runs &runs);
  ArrayRef<std::pair<Value, Value>> places(const Runs &runs);
  Value across(Operation *combiner, Value value, unsigned stage);
  Value partial(linalg::GenericOp generic, const Runs &runs,
                ArrayRef<unsigned> reduced, SmallVector<Value> loops);
  void stage(linalg::GenericOp generic, unsigned number);
  void result(unsigned number, Value mayStore);

  Emitter &e;
  const Rows &rows;
  unsigned threads = 1;  // of a row
  unsigned perGroup = 1; // rows of a workgroup
  int64_t unrolled = 0;  // elements of a thread that may be; 0: loops
  Value position, slot;  // of the thread in the row, of the row
  SmallVector<Value> rowIndex;
  /// By number of runs: where each of a thread's runs is, and whether it
  /// exists (null: always).
  std::map<int64_t, SmallVector<std::pair<Value, Value>>> known;
};
} // namespace

/// Words of 32 bits that an element takes.
static unsigned wordsOf(Emitter &e) {
  unsigned bits = 32;
  auto count = [&](Type type) {
    bits = std::max(
        bits, storageType(getElementTypeOrSelf(type)).getIntOrFloatBitWidth());
  };
  e.kernel.walk([&](linalg::GenericOp generic) {
    for (Type type : generic.getResultTypes())
      count(type);
  });
  return bits / 32;
}

void RowEmitter::chooseThreads() {
  constexpr int64_t unknown = 1024; // what a dynamic size is taken for
  constexpr int64_t busy = 1 << 14; // threads that keep a GPU busy
  constexpr int64_t longCode = 1 << 12;
  const unsigned subgroup = e.options.subgroup, most = e.options.workgroup;
  int64_t count = 1, length = 1;
  for (AffineExpr size : rows.sizes)
    count *= graph::constantOf(size).value_or(unknown);
  bool along = true, fixed = true;
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
    along &= contiguous(stage);
    if (!combinerOf(stage))
      return;
  }
  int64_t operations = 0;
  e.kernel.walk([&](Operation *op) {
    operations += isa<math::MathDialect>(op->getDialect()) ? 16 : 1;
  });
  const int64_t words = wordsOf(e), all = e.options.fragmentRegisters / 2;
  const int64_t few = std::min<int64_t>(32, all); // many threads at once
  auto fits = [&](unsigned threads, int64_t registers) {
    return fixed && int64_t(llvm::divideCeil(length, threads)) <=
                        std::min(registers / words, longCode / operations);
  };
  auto unroll = [&](int64_t registers) {
    if (fits(threads, registers))
      unrolled = llvm::divideCeil(length, threads);
  };
  if (length < subgroup || (!along && count >= 4096)) {
    if (length < subgroup)
      unroll(few);
    return;
  }
  threads = subgroup;
  while (threads < most && (count * threads < busy || !fits(threads, few)))
    threads *= 2;
  unroll(all);
  if (!unrolled)
    threads = length <= 1024 && count >= 512 ? subgroup : most;
}

bool RowEmitter::isUnrolled(const Runs &runs) {
  auto count = graph::constantOf(runs.count);
  return count && int64_t(llvm::divideCeil(*count, threads)) * runs.each <=
                      std::max<int64_t>(unrolled, unrolled ? 8 : 0);
}

/// `neighbours`: whether the last size counts neighbours in memory.
Runs RowEmitter::runsOf(ArrayRef<AffineExpr> sizes, bool neighbours) {
  MLIRContext *context = e.kernel.getContext();
  Runs runs{SmallVector<AffineExpr>(sizes), 1, AffineExpr()};
  auto total = graph::constantOf(productOf(sizes, context));
  if (neighbours && total)
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

/// The combination of one value per thread, known to all threads of the row.
Value RowEmitter::across(Operation *combiner, Value value, unsigned stage) {
  if (threads == 1)
    return value;
  for (unsigned offset = e.options.subgroup / 2; offset; offset /= 2)
    value = combine(e, combiner, value, shuffle(e, value, offset));
  unsigned groups = threads / e.options.subgroup;
  if (groups <= 1)
    return value;
  Type type = value.getType(), stored = storageType(type);
  unsigned align = std::max(1u, stored.getIntOrFloatBitWidth() / 8);
  Value memory = e.shared(stored, e.options.workgroup / e.options.subgroup,
                          ("partial" + Twine(stage)).str());
  Value leader = arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::eq,
                                       e.lane, e.constant(0));
  e.guarded(leader, [&] {
    e.store(value, e.sharedPointer(memory, stored, e.group), align);
  });
  e.barrier();
  Value first = e.mul(slot, e.constant(groups)), total;
  for (unsigned i = 0; i < groups; ++i) {
    Value at = e.sharedPointer(memory, stored, e.add(first, e.constant(i)));
    Value part = e.load(stored, at, align);
    total = total ? combine(e, combiner, total, part) : part;
  }
  return total;
}

/// What a thread's part of the row gives.
Value RowEmitter::partial(linalg::GenericOp generic, const Runs &runs,
                          ArrayRef<unsigned> reduced,
                          SmallVector<Value> loops) {
  Operation *combiner = combinerOf(generic);
  Value neutral = arith::ConstantOp::create(
      e.b, e.loc, *arith::getNeutralElement(combiner));
  auto set = [&](Value run) {
    for (auto [dim, value] : llvm::zip(reduced, e.delinearize(run, runs.sizes)))
      loops[dim] = value;
  };
  auto step = [&](unsigned number, Value accumulator) {
    Value last = loops[reduced.back()];
    if (runs.each > 1)
      loops[reduced.back()] =
          e.add(e.mul(last, e.constant(runs.each)), e.constant(number));
    Value next = e.yields(generic, loops, accumulator)[0];
    loops[reduced.back()] = last;
    return next;
  };
  if (!isUnrolled(runs))
    return e.loop(position, e.apply(runs.count), e.constant(threads), neutral,
                  [&](Value run, ArrayRef<Value> accumulators) {
                    set(run);
                    Value now = accumulators[0];
                    for (unsigned i = 0; i < runs.each && !e.failed; ++i)
                      now = step(i, now);
                    return SmallVector<Value>{now};
                  });
  // Sums that don't wait for each other.
  SmallVector<Value> sums(runs.each, neutral);
  for (auto [at, exists] : places(runs)) {
    set(at);
    for (unsigned i = 0; i < runs.each && !e.failed; ++i) {
      Value next = step(i, sums[i]);
      sums[i] = exists && !e.failed ? e.select(exists, next, sums[i]) : next;
    }
  }
  for (unsigned count = runs.each; count > 1 && !e.failed; count /= 2)
    for (unsigned i = 0; i < count / 2; ++i)
      sums[i] = combine(e, combiner, sums[i], sums[i + count / 2]);
  return sums[0];
}

/// One reduction of the row.
void RowEmitter::stage(linalg::GenericOp generic, unsigned number) {
  Value result = generic->getResult(0);
  auto type = cast<RankedTensorType>(result.getType());
  SmallVector<Value> index(type.getRank(), e.constant(0));
  for (auto [dim, value] : llvm::zip(rowDims(e.kernel, result), rowIndex))
    index[dim] = value;
  if (threads == 1 && !unrolled) {
    SmallVector<Value> values = e.reduceSerially(generic, index);
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
  Operation *combiner = combinerOf(generic);
  Value part = partial(generic, runsOf(reducedSizes, contiguous(generic)),
                       reduced, e.loopsAt(generic, 0, index));
  if (e.failed)
    return;
  Value total = across(combiner, part, number);
  Value init = e.initials(generic, index)[0];
  if (e.failed)
    return;
  Attribute constant;
  bool trivial = matchPattern(init, m_Constant(&constant)) &&
                 constant == *arith::getNeutralElement(combiner);
  e.provide(result, trivial ? total : combine(e, combiner, init, total));
}

/// One result: a number of the row, or one for each element inside.
void RowEmitter::result(unsigned number, Value mayStore) {
  SmallVector<AffineExpr> dims = graph::dimsOf(cast<RankedTensorType>(
      cast<TypeAttr>(e.kernel.getResultTypes()[number]).getValue()));
  SmallVector<Value> index(dims.size(), e.constant(0));
  ArrayRef<unsigned> rowDims = rows.resultDims[number];
  for (auto [dim, value] : llvm::zip(rowDims, rowIndex))
    index[dim] = value;
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
  if (inner.empty()) {
    Value leader = threads > 1 ? e.less(position, e.constant(1)) : Value();
    return e.guarded(both(mayStore, leader),
                     [&] { e.store(number, index, e.result(number, index)); });
  }
  Runs runs = runsOf(innerSizes, inner.back() + 1 == dims.size());
  // A result may lie in an operand's memory: read everything first.
  struct Run {
    Value guard;
    SmallVector<std::pair<Value, Value>> values; // last index, value
  };
  auto values = [&](Value at) {
    Run run;
    for (auto [dim, value] : llvm::zip(inner, e.delinearize(at, runs.sizes)))
      index[dim] = value;
    Value first = runs.each > 1
                      ? e.mul(index[inner.back()], e.constant(runs.each))
                      : index[inner.back()];
    for (unsigned step = 0; step < runs.each; ++step) {
      index[inner.back()] = e.add(first, e.constant(step));
      run.values.push_back({index[inner.back()], e.result(number, index)});
    }
    return run;
  };
  auto store = [&](const Run &run) {
    for (auto &[last, value] : run.values) {
      index[inner.back()] = last;
      e.store(number, index, value);
    }
  };
  if (!isUnrolled(runs))
    return e.guarded(mayStore, [&] {
      e.loop(position, e.apply(runs.count), e.constant(threads), {},
             [&](Value at, ArrayRef<Value>) {
               store(values(at));
               return SmallVector<Value>();
             });
    });
  SmallVector<Run> all;
  for (auto [at, exists] : places(runs)) {
    all.push_back(values(at));
    all.back().guard = both(mayStore, exists);
  }
  for (auto [place, run] : llvm::zip(places(runs), all)) {
    for (auto [dim, value] :
         llvm::zip(inner, e.delinearize(place.first, runs.sizes)))
      index[dim] = value;
    e.guarded(run.guard, [&] { store(run); });
  }
}

AffineExpr RowEmitter::emit() {
  MLIRContext *context = e.kernel.getContext();
  perGroup = e.options.workgroup / threads;
  AffineExpr count = productOf(rows.sizes, context);
  AffineExpr groups = count.ceilDiv(perGroup);
  std::tie(position, slot) =
      threads == 1
          ? std::pair(e.constant(0), e.splitThread(e.options.workgroup).first)
          : e.splitThread(threads);
  if (threads == e.options.workgroup)
    slot = e.constant(0);
  Value row = e.add(e.mul(e.block, e.constant(perGroup)), slot);
  auto known = graph::constantOf(count);
  Value inside =
      known && *known % perGroup == 0 ? Value() : e.less(row, e.apply(count));
  auto body = [&](Value row, Value mayStore) {
    rowIndex = e.delinearize(row, rows.sizes);
    for (auto [i, generic] : llvm::enumerate(rows.stages))
      stage(generic, i);
    for (unsigned number = 0; number < rows.resultDims.size(); ++number)
      result(number, mayStore);
  };
  if (threads == 1)
    e.guarded(inside, [&] { body(row, nullptr); });
  else // all threads take part in shuffles: rows beyond the last repeat it
    body(inside ? e.select(inside, row, e.constant(0)) : row, inside);
  return groups;
}

AffineExpr aicc::gpu::emitRows(Emitter &e, const Rows &rows) {
  return RowEmitter(e, rows).emit();
}
