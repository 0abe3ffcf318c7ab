//===- Transposed.cpp - elements of a transposed operand in tiles ---------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Where an operand's neighbours in memory belong to another dimension than the
// result's, each element would be a sector of memory of its own. A workgroup
// reads a tile of such an operand along its lines to shared memory, then
// computes the same tile of the results along theirs.
//
//===----------------------------------------------------------------------===//

#include "compiler/gpu/Strategies.h"

#include "dialects/graph/Dims.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace aicc;
using namespace aicc::gpu;

static constexpr unsigned side = 64; // of a tile, elements
static constexpr unsigned chunkBytes = 16;

static SmallVector<AffineExpr> resultDims(exec::KernelOp kernel, unsigned i) {
  return graph::dimsOf(cast<RankedTensorType>(
      cast<TypeAttr>(kernel.getResultTypes()[i]).getValue()));
}

static SmallVector<AffineExpr> sizesAt(ArrayRef<AffineExpr> dims,
                                       ArrayRef<unsigned> numbers) {
  SmallVector<AffineExpr> sizes;
  for (unsigned number : numbers)
    sizes.push_back(dims[number]);
  return sizes;
}

/// Whether a tile is worth it along some dimensions; sizes that aren't known
/// are taken to be large.
static bool isLong(ArrayRef<AffineExpr> sizes, MLIRContext *context) {
  return graph::constantOf(productOf(sizes, context)).value_or(side) >=
         side / 2;
}

/// The dimensions at the end of the argument's that follow each other in the
/// results, too; the others at the end of the results' that do so in the
/// argument.
static void findRuns(TransposedPlan &plan, unsigned rank) {
  ArrayRef<unsigned> dims = plan.dims;
  unsigned begin = dims.size() - 1;
  while (begin && dims[begin - 1] + 1 == dims[begin])
    --begin;
  plan.across.assign(dims.begin() + begin, dims.end());
  const unsigned *at = llvm::find(dims, rank - 1);
  const unsigned *first = at;
  while (first != dims.begin() && first[-1] + 1 == first[0])
    --first;
  plan.along.assign(first, at + 1);
}

std::optional<TransposedPlan>
aicc::gpu::planTransposed(exec::KernelOp kernel, const Options &options) {
  unsigned count = kernel.getResultTypes().size();
  SmallVector<AffineExpr> dims = resultDims(kernel, 0);
  if (options.vector == 1 || dims.size() < 2)
    return std::nullopt;
  SmallVector<ArgumentRead> reads;
  for (unsigned i = 0; i < count; ++i) {
    Value tensor = kernel.getBodyBlock()->getTerminator()->getOperand(i);
    SmallVector<AffineExpr> others = resultDims(kernel, i);
    if (!requestsOf(tensor).empty() || others.size() != dims.size() ||
        !llvm::all_of(llvm::zip(dims, others), [](auto pair) {
          return graph::equal(std::get<0>(pair), std::get<1>(pair));
        }))
      return std::nullopt;
    llvm::append_range(reads, readsOf(tensor));
  }
  for (const ArgumentRead &read : reads) {
    Type type = getElementTypeOrSelf(read.argument.getType());
    unsigned bits = storageType(type).getIntOrFloatBitWidth();
    if (read.index.empty() || !(type == storageType(type) || type.isBF16()) ||
        bits > 32)
      continue;
    // One element of the operand for each of the result, and only that one.
    TransposedPlan plan{read.argument, {}, {}, {}};
    for (AffineExpr expr : read.index) {
      auto dim = dyn_cast_or_null<AffineDimExpr>(expr);
      if (!dim || llvm::is_contained(plan.dims, dim.getPosition()))
        break;
      plan.dims.push_back(dim.getPosition());
    }
    bool once = llvm::all_of(reads, [&](const ArgumentRead &other) {
      return other.argument != read.argument || other.index == read.index;
    });
    if (!once || plan.dims.size() != read.index.size() ||
        plan.dims.back() + 1 == dims.size() ||
        !llvm::is_contained(plan.dims, dims.size() - 1))
      continue;
    findRuns(plan, dims.size());
    MLIRContext *context = kernel.getContext();
    if (isLong(sizesAt(dims, plan.along), context) &&
        isLong(sizesAt(dims, plan.across), context))
      return plan;
  }
  return std::nullopt;
}

AffineExpr aicc::gpu::emitTransposed(Emitter &e, const TransposedPlan &plan) {
  MLIRContext *context = e.kernel.getContext();
  SmallVector<AffineExpr> dims = resultDims(e.kernel, 0);
  SmallVector<AffineExpr> alongSizes = sizesAt(dims, plan.along),
                          acrossSizes = sizesAt(dims, plan.across);
  AffineExpr along = productOf(alongSizes, context),
             across = productOf(acrossSizes, context);
  Type element = getElementTypeOrSelf(plan.argument.getType());
  Type type = storageType(element);
  unsigned bytes = type.getIntOrFloatBitWidth() / 8, run = chunkBytes / bytes;
  // Lanes beside each other read lines that are a lane's share of a column
  // apart: chunks of a line are permuted by the number of its share, so that
  // those lanes' are in different banks.
  const unsigned chunks = side / run;
  unsigned each = neighboursOf(e, along, side * side, e.options.workgroup);
  auto chunkAt = [&](Value share, Value chunk) -> Value {
    Value permuted = arith::XOrIOp::create(e.b, e.loc, chunk,
                                           e.rem(share, e.constant(chunks)));
    return e.mul(permuted, e.constant(run));
  };
  Value memory = e.shared(type, side * side, "tile");

  // Workgroups: tiles along the results' lines fastest.
  SmallVector<AffineExpr> grid;
  SmallVector<unsigned> others;
  for (unsigned dim = 0; dim < dims.size(); ++dim)
    if (!llvm::is_contained(plan.along, dim) &&
        !llvm::is_contained(plan.across, dim)) {
      others.push_back(dim);
      grid.push_back(dims[dim]);
    }
  grid.push_back(across.ceilDiv(side));
  grid.push_back(along.ceilDiv(side));
  SmallVector<Value> tile = e.delinearize(e.block, grid);
  SmallVector<Value> index(dims.size());
  auto set = [&](ArrayRef<unsigned> numbers, ArrayRef<Value> values) {
    for (auto [dim, value] : llvm::zip(numbers, values))
      index[dim] = value;
  };
  set(others, tile);
  Value firstAlong = e.mul(tile.back(), e.constant(side));
  Value firstAcross = e.mul(tile[tile.size() - 2], e.constant(side));
  auto bounded = [&](Value at, AffineExpr size) {
    auto known = graph::constantOf(size);
    return known && *known % side == 0
               ? at
               : e.select(e.less(at, e.apply(size)), at, e.constant(0));
  };
  Value thread = e.splitThread(e.options.workgroup).first;
  auto share = [&](unsigned tasks, llvm::function_ref<void(Value)> body) {
    e.loop(e.constant(0), e.constant(tasks), e.constant(e.options.workgroup),
           {}, [&](Value start, ArrayRef<Value>) {
             Value task = e.add(thread, start);
             e.guarded(tasks % e.options.workgroup
                           ? e.less(task, e.constant(tasks))
                           : Value(),
                       [&] { body(task); });
             return SmallVector<Value>();
           });
  };

  // Lines of the tile are lines of the operand. Beyond its edges anything may
  // be read that exists.
  auto acrossKnown = graph::constantOf(across);
  bool whole = acrossKnown && *acrossKnown % run == 0;
  share(side * side / run, [&](Value task) {
    Value line = e.div(task, e.constant(chunks));
    Value chunk = e.rem(task, e.constant(chunks));
    set(plan.along,
        e.delinearize(bounded(e.add(firstAlong, line), along), alongSizes));
    Value first = e.add(firstAcross, e.mul(chunk, e.constant(run)));
    if (whole)
      first = bounded(first, across);
    SmallVector<Value> values;
    for (unsigned i = 0; i < run; ++i) {
      Value number = e.add(first, e.constant(i));
      if (!whole)
        number = bounded(number, across);
      set(plan.across, e.delinearize(number, acrossSizes));
      SmallVector<Value> at;
      for (unsigned dim : plan.dims)
        at.push_back(index[dim]);
      Value value = e.value(plan.argument, at);
      if (e.failed)
        return;
      values.push_back(
          value.getType() == type
              ? value
              : arith::BitcastOp::create(e.b, e.loc, type, value).getResult());
    }
    Value vector = vector::FromElementsOp::create(
        e.b, e.loc, VectorType::get({run}, type), values);
    Value to = e.add(e.mul(line, e.constant(side)),
                     chunkAt(e.div(line, e.constant(each)), chunk));
    e.store(vector, e.sharedPointer(memory, type, to), chunkBytes);
  });
  e.barrier();

  share(side * side / each, [&](Value task) {
    Value column = e.div(task, e.constant(side / each));
    Value part = e.rem(task, e.constant(side / each));
    Value begin = e.mul(part, e.constant(each));
    Value place = e.add(chunkAt(part, e.div(column, e.constant(run))),
                        e.rem(column, e.constant(run)));
    Value acrossNumber = e.add(firstAcross, column);
    set(plan.across, e.delinearize(acrossNumber, acrossSizes));
    Value first = e.add(firstAlong, begin);
    Value inside;
    for (auto [size, at] :
         {std::pair(across, acrossNumber), std::pair(along, first)}) {
      auto known = graph::constantOf(size);
      if (known && *known % side == 0)
        continue;
      Value here = e.less(at, e.apply(size));
      inside = inside ? Value(arith::AndIOp::create(e.b, e.loc, inside, here))
                      : here;
    }
    e.guarded(inside, [&] {
      std::vector<std::tuple<unsigned, SmallVector<Value>, Value>> values;
      for (unsigned step = 0; step < each; ++step) {
        Value line = e.add(begin, e.constant(step));
        Value from = e.add(e.mul(line, e.constant(side)), place);
        Value value = e.load(type, e.sharedPointer(memory, type, from), bytes);
        if (type != element)
          value = arith::BitcastOp::create(e.b, e.loc, element, value);
        e.provide(plan.argument, value);
        set(plan.along,
            e.delinearize(e.add(first, e.constant(step)), alongSizes));
        for (unsigned i = 0; i < e.kernel.getResultTypes().size(); ++i)
          values.push_back({i, index, e.result(i, index)});
      }
      // A result may lie in another operand's memory: read everything first.
      for (auto &[i, at, value] : values)
        e.store(i, at, value);
    });
  });
  return productOf(grid, context);
}
