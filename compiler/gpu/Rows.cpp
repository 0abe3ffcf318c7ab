//===- Rows.cpp - reductions of rows --------------------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Softmax, normalisations, sums: the reductions of one row come one after the
// other, each seeing the previous ones' values as scalars, then the results of
// the row. A row belongs to one thread, one subgroup or one workgroup,
// whatever its length asks for.
//
//===----------------------------------------------------------------------===//

#include "compiler/gpu/Strategies.h"

#include "dialects/graph/Dims.h"

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

/// Threads that share a row.
static unsigned threadsPerRow(Emitter &e, const Rows &rows) {
  constexpr int64_t unknown = 1024; // what a dynamic size is taken for
  int64_t count = 1, length = 1;
  for (AffineExpr size : rows.sizes)
    count *= graph::constantOf(size).value_or(unknown);
  bool along = true;
  for (linalg::GenericOp stage : rows.stages) {
    SmallVector<AffineExpr> loops = loopsOf(e.kernel, stage);
    SmallVector<unsigned> reduced;
    stage.getReductionDims(reduced);
    int64_t stageLength = 1;
    for (unsigned dim : reduced)
      stageLength *= loops[dim]
                         ? graph::constantOf(loops[dim]).value_or(unknown)
                         : unknown;
    length = std::max(length, stageLength);
    along &= contiguous(stage);
    if (!combinerOf(stage))
      return 1;
  }
  if (length < e.options.subgroup || (!along && count >= 4096))
    return 1;
  return length <= 1024 && count >= 512 ? e.options.subgroup
                                        : e.options.workgroup;
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

/// The combination of one value per thread, known to all threads of the row.
static Value reduceAcross(Emitter &e, Operation *combiner, Value value,
                          unsigned threads, unsigned stage) {
  for (unsigned offset = e.options.subgroup / 2; offset; offset /= 2)
    value = combine(e, combiner, value, shuffle(e, value, offset));
  unsigned groups = threads / e.options.subgroup;
  if (groups <= 1)
    return value;
  Type type = value.getType(), stored = storageType(type);
  unsigned align = std::max(1u, stored.getIntOrFloatBitWidth() / 8);
  Value memory = e.shared(stored, groups, ("partial" + Twine(stage)).str());
  Value leader = arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::eq,
                                       e.lane, e.constant(0));
  e.guarded(leader, [&] {
    e.store(value, e.sharedPointer(memory, stored, e.group), align);
  });
  e.barrier();
  Value total;
  for (unsigned i = 0; i < groups; ++i) {
    Value part =
        e.load(stored, e.sharedPointer(memory, stored, e.constant(i)), align);
    total = total ? combine(e, combiner, total, part) : part;
  }
  return total;
}

/// How many neighbours a thread takes at once of what a row's threads share
/// out; then the last of `sizes` counts runs of so many.
static unsigned runOf(Emitter &e, SmallVector<AffineExpr> &sizes,
                      unsigned threads) {
  auto total = graph::constantOf(productOf(sizes, e.b.getContext()));
  unsigned each = total ? neighboursOf(e, sizes.back(), *total, threads) : 1;
  if (each > 1)
    sizes.back() = sizes.back().floorDiv(each);
  return each;
}

/// One reduction of the row.
static void emitStage(Emitter &e, linalg::GenericOp generic,
                      ArrayRef<Value> rowIndex, Value position,
                      unsigned threads, unsigned number) {
  Value result = generic->getResult(0);
  auto type = cast<RankedTensorType>(result.getType());
  SmallVector<Value> index(type.getRank(), e.constant(0));
  for (auto [dim, value] : llvm::zip(rowDims(e.kernel, result), rowIndex))
    index[dim] = value;
  if (threads == 1) {
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
  SmallVector<Value> loops = e.loopsAt(generic, 0, index);
  Operation *combiner = combinerOf(generic);
  Value neutral = arith::ConstantOp::create(
      e.b, e.loc, *arith::getNeutralElement(combiner));
  if (llvm::is_contained(reducedSizes, AffineExpr())) {
    e.error() << "a reduction of unknown size, expected an expression over "
                 "symbols";
    return;
  }
  unsigned each = contiguous(generic) ? runOf(e, reducedSizes, threads) : 1;
  Value length = e.apply(productOf(reducedSizes, e.b.getContext()));
  Value partial = e.loop(
      position, length, e.constant(threads), neutral,
      [&](Value i, ArrayRef<Value> accumulators) {
        for (auto [dim, value] :
             llvm::zip(reduced, e.delinearize(i, reducedSizes)))
          loops[dim] = value;
        Value first =
            each > 1 ? e.mul(loops[reduced.back()], e.constant(each)) : Value();
        SmallVector<Value> now(accumulators);
        for (unsigned step = 0; step < each && !e.failed; ++step) {
          if (first)
            loops[reduced.back()] = e.add(first, e.constant(step));
          now = e.yields(generic, loops, now);
        }
        return now;
      });
  Value total = reduceAcross(e, combiner, partial, threads, number);
  Value init = e.initials(generic, index)[0];
  if (e.failed)
    return;
  Attribute constant;
  bool trivial = matchPattern(init, m_Constant(&constant)) &&
                 constant == *arith::getNeutralElement(combiner);
  e.provide(result, trivial ? total : combine(e, combiner, init, total));
}

AffineExpr aicc::gpu::emitRows(Emitter &e, const Rows &rows) {
  MLIRContext *context = e.kernel.getContext();
  unsigned threads = threadsPerRow(e, rows);
  unsigned perGroup = e.options.workgroup / threads; // rows of a workgroup
  AffineExpr count = productOf(rows.sizes, context);
  AffineExpr groups = count.ceilDiv(perGroup);
  auto [position, slot] =
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
    SmallVector<Value> rowIndex = e.delinearize(row, rows.sizes);
    for (auto [i, stage] : llvm::enumerate(rows.stages))
      emitStage(e, stage, rowIndex, position, threads, i);

    // Results that are one number per row, then those with elements inside.
    for (auto [number, rowDims] : llvm::enumerate(rows.resultDims)) {
      SmallVector<AffineExpr> dims = graph::dimsOf(cast<RankedTensorType>(
          cast<TypeAttr>(e.kernel.getResultTypes()[number]).getValue()));
      SmallVector<Value> index(dims.size(), e.constant(0));
      for (auto [dim, value] : llvm::zip(rowDims, rowIndex))
        index[dim] = value;
      SmallVector<unsigned> inner;
      SmallVector<AffineExpr> innerSizes;
      for (unsigned i = 0; i < dims.size(); ++i)
        if (!llvm::is_contained(rowDims, i) && !graph::isConstant(dims[i], 1)) {
          inner.push_back(i);
          innerSizes.push_back(dims[i]);
        }
      if (inner.empty()) {
        Value guard = mayStore;
        if (threads > 1) {
          Value leader = e.less(position, e.constant(1));
          guard = guard
                      ? Value(arith::AndIOp::create(e.b, e.loc, guard, leader))
                      : leader;
        }
        e.guarded(guard,
                  [&] { e.store(number, index, e.result(number, index)); });
        continue;
      }
      e.guarded(mayStore, [&] {
        unsigned each = threads > 1 && inner.back() + 1 == dims.size()
                            ? runOf(e, innerSizes, threads)
                            : 1;
        Value length = e.apply(productOf(innerSizes, context));
        e.loop(position, length, e.constant(threads), {},
               [&](Value i, ArrayRef<Value>) {
                 for (auto [dim, value] :
                      llvm::zip(inner, e.delinearize(i, innerSizes)))
                   index[dim] = value;
                 Value first =
                     each > 1 ? e.mul(index[inner.back()], e.constant(each))
                              : Value();
                 // A result may lie in an operand's memory.
                 SmallVector<std::pair<Value, Value>> values;
                 for (unsigned step = 0; step < each; ++step) {
                   if (first)
                     index[inner.back()] = e.add(first, e.constant(step));
                   values.push_back(
                       {index[inner.back()], e.result(number, index)});
                 }
                 for (auto &[last, value] : values) {
                   index[inner.back()] = last;
                   e.store(number, index, value);
                 }
                 return SmallVector<Value>();
               });
      });
    }
  };
  if (threads == 1)
    e.guarded(inside, [&] { body(row, nullptr); });
  else // all threads take part in shuffles: rows beyond the last repeat it
    body(inside ? e.select(inside, row, e.constant(0)) : row, inside);
  return groups;
}
