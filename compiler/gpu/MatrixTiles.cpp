//===- MatrixTiles.cpp - products by matrix instructions ------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A workgroup computes a tile of the result; its subgroups share it out; each
// keeps its part in fragments of a matrix instruction, whose row says which
// element of which operand a lane holds. Slices of a and b go through a ring of
// stages in shared memory, while the one before is being multiplied.
//
// Where the chip reads blocks of a tensor as fragments, nothing goes through
// shared memory.
//
// An instruction that works beside the threads takes operands from shared
// memory itself. While it multiplies a slice, the next one is handed to it: a
// stage is filled again when the slice two before has been multiplied.
//
//===----------------------------------------------------------------------===//

#include "compiler/gpu/DirectOperand.h"
#include "compiler/gpu/MatrixOperand.h"
#include "compiler/gpu/Product.h"

#include "dialects/graph/Dims.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace aicc;
using namespace aicc::gpu;

//===----------------------------------------------------------------------===//
// Which instruction, which tile
//===----------------------------------------------------------------------===//

/// The value under an extension to the accumulator's type.
static Value withoutExtension(Value inBody) {
  Operation *op = inBody.getDefiningOp();
  return op && isa<arith::ExtFOp, arith::ExtSIOp>(op) ? op->getOperand(0)
                                                      : inBody;
}

/// The bits of a value that has its type for arithmetic only.
static Value withoutType(Value inBody) {
  auto bitcast = inBody.getDefiningOp<arith::BitcastOp>();
  return bitcast ? bitcast.getIn() : inBody;
}

/// The largest side of a tile that gives each of `subgroups` whole fragments,
/// not much more than `size` needs.
static unsigned sideOf(int64_t size, unsigned subgroups, unsigned fragment,
                       unsigned most) {
  for (unsigned side : {128u, 64u})
    if (side <= most && side % (subgroups * fragment) == 0 &&
        (size > side / 2 || side == 64))
      return side;
  return 0;
}

/// How slices are multiplied and the ring they go through.
static bool planRing(MatrixPlan &plan, const Options &options) {
  unsigned bytes = (plan.rows + plan.columns) * plan.lineBytes;
  bool copies = !options.asyncCopy.copy.empty() ||
                options.laneCopy.bytes == MatrixOperand::chunkBytes;
  unsigned least = 2, most = copies ? 3 : 2;
  unsigned available = options.sharedBytes;
  if (plan.instruction->async) {
    // One is being filled while two are being multiplied.
    least = 3;
    most = 4;
    available = std::max(available, options.mostSharedBytes);
  }
  plan.stages = std::min(most, available / bytes);
  return plan.stages >= least;
}

namespace {
/// Of a product.
struct Sizes {
  int64_t rows, columns, batch;

  int64_t tiles(const MatrixPlan &plan) const {
    return batch * ((rows + plan.rows - 1) / plan.rows) *
           ((columns + plan.columns - 1) / plan.columns);
  }
};
} // namespace

/// Tiles that give every processor something to do.
static constexpr int64_t enoughTiles = 64;

/// The best tile for an instruction that works beside the threads, if it is
/// better than `best`.
static void planAsync(std::optional<MatrixPlan> &best, const MatrixPlan &plain,
                      const Options &options, const Sizes &sizes) {
  const MatrixInstruction &row = *plain.instruction;
  constexpr unsigned smallest = 64;
  // Not much more than the result needs.
  auto fits = [&](int64_t size, unsigned side) {
    return size > side / 2 || side <= smallest;
  };
  auto better = [&](const MatrixPlan &x, const MatrixPlan &y) {
    int64_t ofX = sizes.tiles(x), ofY = sizes.tiles(y);
    if ((ofX >= enoughTiles) != (ofY >= enoughTiles) ||
        (ofX < enoughTiles && ofX != ofY))
      return ofX > ofY;
    unsigned areaX = x.rows * x.columns, areaY = y.rows * y.columns;
    // Of equal ones, that which reads less.
    return areaX != areaY ? areaX > areaY
                          : x.rows + x.columns < y.rows + y.columns;
  };
  unsigned parts = options.workgroup / row.lanes();
  for (unsigned inRows = parts; inRows; inRows /= 2) {
    MatrixPlan plan = plain;
    plan.subgroupRows = inRows;
    plan.subgroupColumns = parts / inRows;
    plan.rows = row.rows * plan.subgroupRows;
    plan.columns = row.columns * plan.subgroupColumns;
    if (fits(sizes.rows, plan.rows) && fits(sizes.columns, plan.columns) &&
        plan.columns <= 256 && planRing(plan, options) &&
        (!best || better(plan, *best)))
      best = plan;
  }
}

std::optional<MatrixPlan> aicc::gpu::planMatrixTiles(exec::KernelOp kernel,
                                                     const Options &options) {
  if (options.matrix.empty())
    return std::nullopt;
  std::optional<Contraction> c = matchProduct(kernel);
  if (!c)
    return std::nullopt;
  Value a = withoutExtension(c->a), b = withoutExtension(c->b);
  Type operand = a.getType();
  Type result = getElementTypeOrSelf(c->generic->getResult(0).getType());
  if (b.getType() != operand)
    return std::nullopt;
  a = withoutType(a);
  b = withoutType(b);
  SmallVector<AffineExpr> loops = loopsOf(kernel, c->generic);
  int64_t m = estimatedSize(loops, c->rows),
          n = estimatedSize(loops, c->columns),
          k = estimatedSize(loops, c->reduced),
          z = estimatedSize(loops, c->batch);
  // Thin products leave most of a tile empty. That pays where there are many of
  // them, like groups of a convolution; a few rows wait for their weights,
  // which many small workgroups fetch faster.
  constexpr int64_t thinnest = 4, smallest = 64;
  bool thin = m < 16 || n < 16;
  int64_t tiles =
      z * llvm::divideCeil(m, smallest) * llvm::divideCeil(n, smallest);
  if (std::min(m, n) < thinnest || k < 8 || (thin && tiles < 2 * enoughTiles))
    return std::nullopt;

  unsigned subgroups = options.workgroup / options.matrixLanes();
  unsigned subgroupRows = 1;
  while (4 * subgroupRows * subgroupRows <= subgroups)
    subgroupRows *= 2;
  Sizes sizes{m, n, z};
  std::optional<MatrixPlan> async;
  for (const MatrixInstruction &row : options.matrix) {
    if (!isOperand(row.operand, operand) || !isOperand(row.result, result) ||
        (row.operand == MatrixType::tf32 && !options.allowTf32))
      continue;
    MatrixPlan plan{*c,
                    &row,
                    a,
                    b,
                    0,
                    0,
                    subgroupRows,
                    subgroups / subgroupRows,
                    0,
                    0,
                    row.async ? row.async->lineBytes
                              : MatrixOperand::plainLineBytes,
                    std::nullopt,
                    std::nullopt};
    plan.depth = plan.lineBytes / elementBytes(row.operand);
    if (plan.depth % row.depth)
      continue;
    if (row.async) {
      // Where columns are neighbours in memory, they fill whole lines there.
      bool across =
          row.async->across &&
          !runsAlong(c->generic, b, c->reduced.back(), c->columns.back());
      bool whole = row.columns % plan.depth == 0; // of as many elements
      if (options.workgroup % row.lanes() == 0 && (whole || !across))
        planAsync(async, plan, options, sizes);
      continue;
    }
    if (row.lanes() != options.matrixLanes())
      continue;
    // The largest tile that still gives every processor something to do.
    for (unsigned most : {128u, 64u}) {
      unsigned rows = sideOf(m, plan.subgroupRows, row.rows, most);
      unsigned columns = sideOf(n, plan.subgroupColumns, row.columns, most);
      if (!rows || !columns)
        continue;
      plan.rows = rows;
      plan.columns = columns;
      if (sizes.tiles(plan) >= enoughTiles)
        break;
    }
    if (!async && plan.rows && planRing(plan, options)) {
      plan.aBlocks = findBlocks(kernel, options, plan, true);
      plan.bBlocks = findBlocks(kernel, options, plan, false);
      return plan;
    }
  }
  return async;
}

//===----------------------------------------------------------------------===//
// The loop over depth
//===----------------------------------------------------------------------===//

static Value constant64(Emitter &e, int64_t value) {
  return LLVM::ConstantOp::create(e.b, e.loc, e.b.getI64IntegerAttr(value));
}

/// Hands the slice of a stage to an instruction that works beside the threads.
static void multiplyAsync(Emitter &e, const MatrixPlan &plan, MatrixOperand &a,
                          MatrixOperand &b, Value stage,
                          SmallVector<Value> &sums) {
  const MatrixInstruction &instruction = *plan.instruction;
  const AsyncMatrix &async = *instruction.async;
  unsigned rowCount = plan.rows / plan.subgroupRows / instruction.rows,
           columnCount =
               plan.columns / plan.subgroupColumns / instruction.columns,
           count = instruction.c.count();
  e.intrinsic(async.fence, nullptr, {});
  for (unsigned k = 0; k < plan.depth; k += instruction.depth)
    for (unsigned i = 0; i < rowCount; ++i)
      for (unsigned j = 0; j < columnCount; ++j) {
        auto own =
            MutableArrayRef(sums).slice((i * columnCount + j) * count, count);
        Value ofA = a.descriptor(i * instruction.rows, k, stage),
              ofB = b.descriptor(j * instruction.columns, k, stage);
        llvm::copy(emitAsyncMatrix(e.b, e.loc, instruction, ofA, ofB,
                                   a.liesAcross(), b.liesAcross(), own),
                   own.begin());
      }
  e.intrinsic(async.commit, nullptr, {});
}

namespace {
/// A ring whose stages are filled by boxes, as far as operands have them: one
/// thread begins the copies, and a counter for each stage knows when they have
/// come.
class BoxRing {
public:
  BoxRing(Emitter &e, const MatrixPlan &plan, MatrixOperand &a,
          MatrixOperand &b)
      : e(e), a(a), b(b) {
    for (MatrixOperand *operand : {&a, &b})
      if (operand->hasBoxes()) {
        operand->useBoxes();
        bytes += operand->sliceBytes();
      }
    counters = e.shared(e.b.getI64Type(), plan.stages, "counters");
    Value thread =
        e.add(e.lane, e.mul(e.group, e.constant(e.options.subgroup)));
    begins = e.less(thread, e.constant(1));
    e.guarded(begins, [&] {
      for (unsigned i = 0; i < plan.stages; ++i)
        e.intrinsic(e.options.boxCopy.init, nullptr,
                    {counter(e.constant(i)), e.constant32(1)});
      e.intrinsic(e.options.boxCopy.publishInit, nullptr, {});
    });
    e.barrier();
  }

  /// The slice from depth `k0` on; nothing if there is none.
  void fill(SmallVector<Value> &point, Value firstRow, Value firstColumn,
            Value k0, Value depthEnd, Value stage) {
    e.guarded(begins, [&] {
      e.guarded(e.less(k0, depthEnd), [&] {
        e.intrinsic(e.options.boxCopy.expect, e.b.getI64Type(),
                    {counter(stage), e.constant32(bytes)});
        if (a.hasBoxes())
          a.copyBoxes(point, firstRow, k0, stage, counter(stage));
        if (b.hasBoxes())
          b.copyBoxes(point, firstColumn, k0, stage, counter(stage));
      });
    });
  }

  void await(Value stage, Value parity) {
    e.awaitPhase(counter(stage), arith::IndexCastOp::create(
                                     e.b, e.loc, e.b.getI32Type(), parity));
  }

private:
  Value counter(Value stage) {
    return e.sharedPointer(counters, e.b.getI64Type(), stage);
  }

  Emitter &e;
  MatrixOperand &a, &b;
  unsigned bytes = 0; // of a stage, by boxes
  Value counters, begins;
};
} // namespace

/// Workgroups that run at once shall read few lines of a and of b: tiles are
/// taken column by column through bands of eight rows, where that comes out
/// even, not row by row.
static void takeInBands(Emitter &e, ArrayRef<AffineExpr> grid,
                        MutableArrayRef<Value> tile) {
  constexpr int64_t band = 8;
  auto rows = graph::constantOf(grid[grid.size() - 2]),
       columns = graph::constantOf(grid.back());
  if (!rows || !columns || *rows % band || *columns <= band)
    return;
  Value &row = tile[tile.size() - 2], &column = tile.back();
  Value inBand =
      e.add(e.mul(e.rem(row, e.constant(band)), e.constant(*columns)), column);
  Value first = e.mul(e.div(row, e.constant(band)), e.constant(band));
  row = e.add(first, e.rem(inBand, e.constant(band)));
  column = e.div(inBand, e.constant(band));
}

AffineExpr aicc::gpu::emitMatrixTiles(Emitter &e, const MatrixPlan &plan) {
  const Contraction &c = plan.contraction;
  const MatrixInstruction &instruction = *plan.instruction;
  MLIRContext *context = e.kernel.getContext();
  SmallVector<AffineExpr> loops = loopsOf(e.kernel, c.generic);
  SmallVector<Value> point(loops.size(), e.constant(0));
  SmallVector<AffineExpr> depthSizes;
  for (unsigned dim : c.reduced)
    depthSizes.push_back(loops[dim]);
  AffineExpr depthTotal = productOf(depthSizes, context);
  MatrixOperand a(e, plan, true, loops), b(e, plan, false, loops);

  // Workgroups: columns fastest, then rows, then batch; large results in bands.
  SmallVector<AffineExpr> grid;
  for (unsigned dim : c.batch)
    grid.push_back(loops[dim]);
  grid.push_back(a.total.ceilDiv(plan.rows));
  grid.push_back(b.total.ceilDiv(plan.columns));
  SmallVector<Value> tileIndex = e.delinearize(e.block, grid);
  takeInBands(e, grid, tileIndex);
  for (auto [dim, value] : llvm::zip(c.batch, tileIndex))
    point[dim] = value;
  Value firstRow = e.mul(tileIndex[c.batch.size()], e.constant(plan.rows));
  Value firstColumn =
      e.mul(tileIndex[c.batch.size() + 1], e.constant(plan.columns));

  a.openView(point, firstRow);
  b.openView(point, firstColumn);

  unsigned rowsEach = plan.rows / plan.subgroupRows,
           columnsEach = plan.columns / plan.subgroupColumns;
  // Several subgroups may execute an instruction together.
  unsigned together = instruction.lanes() / e.options.subgroup;
  Value part = e.div(e.group, e.constant(together));
  Value lane = e.add(e.lane, e.mul(e.rem(e.group, e.constant(together)),
                                   e.constant(e.options.subgroup)));
  Value ownRow = e.mul(e.div(part, e.constant(plan.subgroupColumns)),
                       e.constant(rowsEach));
  Value ownColumn = e.mul(e.rem(part, e.constant(plan.subgroupColumns)),
                          e.constant(columnsEach));
  a.setPart(ownRow);
  b.setPart(ownColumn);
  std::optional<DirectOperand> aBlocks, bBlocks;
  if (plan.aBlocks)
    aBlocks.emplace(e, plan, true, firstRow, ownRow, point);
  if (plan.bBlocks)
    bBlocks.emplace(e, plan, false, firstColumn, ownColumn, point);

  unsigned rowCount = rowsEach / instruction.rows,
           columnCount = columnsEach / instruction.columns;
  ProductResults results(e, c);
  // Of instructions that work beside the threads, elements are carried one by
  // one: vectors would have to be taken apart while sums are under way.
  const AsyncMatrix *async = instruction.async ? &*instruction.async : nullptr;
  unsigned count = instruction.c.count();
  Value first = results.start;
  if (!async)
    first = vector::BroadcastOp::create(
        e.b, e.loc, VectorType::get({count}, first.getType()), first);
  unsigned perFragment = async ? count : 1;
  SmallVector<Value> sums(rowCount * columnCount * perFragment, first);
  auto finishAll = [&](SmallVector<Value> &elements) {
    for (unsigned i = 0; async && i < rowCount * columnCount; ++i) {
      auto own = MutableArrayRef(elements).slice(i * count, count);
      llvm::copy(finishAsync(e.b, e.loc, instruction, own), own.begin());
    }
  };
  // What the elements begin with is in their registers before the first fence.
  finishAll(sums);

  // A ring of stages: the first ones are filled ahead; then in each step the
  // slice that is `ahead` is fetched, the current one multiplied. If that goes
  // on beside the threads, the one before is still being read.
  Value depthEnd = e.apply(depthTotal);
  unsigned ahead = plan.stages - (async ? 2 : 1);
  std::optional<BoxRing> boxes;
  if (a.hasBoxes() || b.hasBoxes())
    boxes.emplace(e, plan, a, b);
  bool byLanes = a.copiesByLanes() || b.copiesByLanes();
  bool anyCopies = !byLanes && ((a.copies() && !a.hasBoxes()) ||
                                (b.copies() && !b.hasBoxes()));
  unsigned copiesOfSlice = (a.copiesByLanes() ? a.copiesOfSlice() : 0) +
                           (b.copiesByLanes() ? b.copiesOfSlice() : 0);
  auto begin = [&](MatrixOperand &operand, Value first, Value k0, Value stage) {
    if (operand.hasBoxes() || operand.isDirect())
      return SmallVector<Value>();
    if (!operand.copies())
      return operand.fetch(point, first, k0);
    operand.copy(point, first, k0, stage);
    return SmallVector<Value>();
  };
  // What comes through registers first: waiting for it is waiting for all that
  // was begun before.
  auto beginBoth = [&](Value k0, Value stage) {
    SmallVector<Value> ofA, ofB;
    if (byLanes && !b.copies())
      ofB = begin(b, firstColumn, k0, stage);
    ofA = begin(a, firstRow, k0, stage);
    if (!byLanes || b.copies())
      ofB = begin(b, firstColumn, k0, stage);
    return std::pair(ofA, ofB);
  };
  auto commit = [&] {
    if (anyCopies)
      e.intrinsic(e.options.asyncCopy.commit, nullptr, {});
  };
  for (unsigned i = 0; i < ahead; ++i) {
    Value k0 = e.constant(i * plan.depth), stage = e.constant(i);
    if (boxes)
      boxes->fill(point, firstRow, firstColumn, k0, depthEnd, stage);
    auto [ofA, ofB] = beginBoth(k0, stage);
    commit();
    if (e.failed)
      return grid.front();
    for (auto *blocks : {&aBlocks, &bBlocks})
      if (*blocks)
        (*blocks)->prefetch(k0);
    a.put(ofA, stage);
    b.put(ofB, stage);
  }
  // The stage of the slice, and the parity of how often it was filled before.
  SmallVector<Value> carried = sums;
  carried.append({e.constant(0), e.constant(0)});
  SmallVector<Value> ended;
  e.loop(
      e.constant(0), depthEnd, e.constant(plan.depth), carried,
      [&](Value k0, ArrayRef<Value> before) -> SmallVector<Value> {
        // All but the newest slices have come; then everybody sees them, and
        // nobody reads the stage any more that is filled next.
        if (anyCopies)
          e.intrinsic(e.options.asyncCopy.wait, nullptr,
                      {e.constant32(ahead - 1)});
        Value stage = before[before.size() - 2], parity = before.back();
        if (async && !(a.hasBoxes() && b.hasBoxes()))
          e.intrinsic(async->publish, nullptr, {});
        if (boxes)
          boxes->await(stage, parity);
        if (byLanes)
          e.options.laneCopy.meet(e.b, e.loc, (ahead - 1) * copiesOfSlice);
        else if (!aBlocks || !bBlocks)
          e.barrier();
        auto after = [&](Value number, unsigned steps) {
          Value next = e.add(number, e.constant(steps));
          return e.select(e.less(next, e.constant(plan.stages)), next,
                          e.add(next, e.constant(-int64_t(plan.stages))));
        };
        Value filled = after(stage, ahead);
        Value k1 = e.add(k0, e.constant(ahead * plan.depth));
        SmallVector<Value> next(before);
        for (auto *blocks : {&aBlocks, &bBlocks})
          if (*blocks) {
            (*blocks)->load(k0);
            (*blocks)->prefetch(k1);
          }
        if (async)
          multiplyAsync(e, plan, a, b, stage, next);
        if (boxes)
          boxes->fill(point, firstRow, firstColumn, k1, depthEnd, filled);
        auto [ofA, ofB] = beginBoth(k1, filled);
        commit();
        if (e.failed)
          return SmallVector<Value>(before);
        if (async) // all but this slice have been multiplied
          e.intrinsic(async->wait, nullptr, {constant64(e, 1)});
        for (unsigned k = 0; k < plan.depth && !async; k += instruction.depth) {
          SmallVector<Value> x, y;
          for (unsigned i = 0; i < rowCount; ++i)
            x.push_back(aBlocks ? aBlocks->fragment(i * instruction.rows, k)
                                : a.fragment(i * instruction.rows, k, stage));
          for (unsigned j = 0; j < columnCount; ++j)
            y.push_back(bBlocks
                            ? bBlocks->fragment(j * instruction.columns, k)
                            : b.fragment(j * instruction.columns, k, stage));
          for (unsigned i = 0; i < rowCount; ++i)
            for (unsigned j = 0; j < columnCount; ++j) {
              Value &sum = next[i * columnCount + j];
              sum = emitMatrixInstruction(e.b, e.loc, instruction, x[i], y[j],
                                          sum);
            }
        }
        a.put(ofA, filled);
        b.put(ofB, filled);
        Value following = after(stage, 1);
        next[next.size() - 2] = following;
        if (boxes)
          next.back() =
              e.select(e.less(e.constant(0), following), parity,
                       e.add(e.constant(1), e.mul(parity, e.constant(-1))));
        return next;
      },
      &ended);
  if (e.failed)
    return grid.front();
  finishAll(ended);
  auto sumOf = [&](unsigned fragment, unsigned element) -> Value {
    if (async)
      return ended[fragment * count + element];
    return vector::ExtractOp::create(e.b, e.loc, ended[fragment],
                                     ArrayRef<int64_t>{element});
  };

  // The results: what a lane holds of a fragment, row by row.
  auto rowsKnown = graph::constantOf(a.total);
  auto columnsKnown = graph::constantOf(b.total);
  const FragmentLayout &layout = instruction.c;
  unsigned run = 1; // neighbouring columns in the fragment
  for (const Basis &basis : layout.elements) {
    if (basis.line || basis.place != run)
      break;
    run *= 2;
  }
  run = results.run(run);
  Value laneRow = e.add(e.add(firstRow, ownRow),
                        laneCoordinate(e, lane, layout.lanes, &Basis::line));
  Value laneColumn =
      e.add(e.add(firstColumn, ownColumn),
            laneCoordinate(e, lane, layout.lanes, &Basis::place));
  std::map<unsigned, SmallVector<std::pair<unsigned, unsigned>>> rows;
  for (unsigned i = 0; i < rowCount; ++i)
    for (unsigned element = 0; element < layout.count(); ++element)
      rows[i * instruction.rows + layout.at(0, element).line].push_back(
          {i, element});
  for (auto &[offset, members] : rows) {
    Value row = e.add(laneRow, e.constant(offset));
    Value rowInside = rowsKnown && *rowsKnown % plan.rows == 0
                          ? Value()
                          : e.less(row, e.apply(a.total));
    e.guarded(rowInside, [&] {
      for (auto [dim, value] : llvm::zip(c.rows, e.delinearize(row, a.sizes)))
        point[dim] = value;
      for (auto [i, element] : members) {
        if (element % run)
          continue;
        for (unsigned j = 0; j < columnCount; ++j) {
          Value column =
              e.add(laneColumn, e.constant(j * instruction.columns +
                                           layout.at(0, element).place));
          Value columnInside = columnsKnown && *columnsKnown % plan.columns == 0
                                   ? Value()
                                   : e.less(column, e.apply(b.total));
          e.guarded(columnInside, [&, i = i, element = element] {
            SmallVector<Value> values;
            for (unsigned step = 0; step < run; ++step)
              values.push_back(sumOf(i * columnCount + j, element + step));
            results.store(point, e.delinearize(column, b.sizes), values);
          });
        }
      }
    });
  }
  return productOf(grid, context);
}
