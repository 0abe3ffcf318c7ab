//===- Rows.cpp - reductions and what is done with their rows -------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Softmax, normalisations, reductions of the innermost dimension: all
// reductions of the kernel have the same rows (parallel loops). Row by row
// every reduction becomes a scalar, then the rest of the row is written.
//
// Along another dimension neighbours in memory are elements of as many rows:
// those are the lanes then, and every reduction becomes a vector.
//
//===----------------------------------------------------------------------===//

#include "backends/cpu/codegen/Forms.h"

#include "dialects/graph/Dims.h"

#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace aicc::lowering;

namespace aicc::backends::cpu {

namespace {
/// Which dimension of a tensor is which row loop; empty if none is.
using RowDims = SmallVector<unsigned>;

struct Rows {
  SmallVector<AffineExpr> sizes; // of the row loops
  llvm::DenseMap<Value, RowDims> dims;
};
} // namespace

/// The dimensions of a generic's iteration that are the row loops, told by the
/// operands whose rows are known; fails if they disagree or are not plain.
static bool rowLoops(linalg::GenericOp op,
                     const llvm::DenseMap<Value, RowDims> &known,
                     RowDims &loops) {
  loops.clear();
  for (OpOperand &operand : op->getOpOperands()) {
    auto it = known.find(operand.get());
    if (it == known.end())
      continue;
    AffineMap map = op.getMatchingIndexingMap(&operand);
    RowDims found;
    for (unsigned dim : it->second) {
      auto loop = dyn_cast<AffineDimExpr>(map.getResult(dim));
      if (!loop)
        return false;
      found.push_back(loop.getPosition());
    }
    if (!loops.empty() && loops != found)
      return false;
    loops = found;
  }
  return true;
}

/// An elementwise value with a transcendental function that both the last
/// reduction and the (only) result use, element for element: softmax's
/// exponentials. It is kept in the result's memory instead of computed twice.
static Value sharedProducer(Emitter &e, linalg::GenericOp last) {
  if (e.numResults() != 1)
    return {};
  auto final = e.result(0).getDefiningOp<linalg::GenericOp>();
  if (!final || final.getNumReductionLoops())
    return {};
  for (OpOperand *operand : last.getDpsInputOperands()) {
    auto producer = operand->get().getDefiningOp<linalg::GenericOp>();
    if (!producer || producer.getNumReductionLoops() ||
        operand->get().getType() != e.result(0).getType() ||
        e.dims(operand->get()) != e.resultMemory(0).dims)
      continue;
    bool costly = llvm::any_of(*producer.getBlock(), [](Operation &op) {
      return isa<math::ExpOp, math::LogOp, math::PowFOp, math::ErfOp>(op);
    });
    for (OpOperand *use : final.getDpsInputOperands())
      if (costly && use->get() == operand->get() &&
          final.getMatchingIndexingMap(use).isIdentity() &&
          final.getMatchingIndexingMap(final.getDpsInitOperand(0)).isIdentity())
        return operand->get();
  }
  return {};
}

/// The rows of a kernel, if all its reductions have the same.
static std::optional<Rows> rowsOf(Context &c) {
  Emitter &e = c.e;
  MLIRContext *context = e.b.getContext();
  Rows rows;
  for (auto [i, op] : llvm::enumerate(c.reductions)) {
    SmallVector<unsigned> parallel;
    op.getParallelDims(parallel);
    SmallVector<AffineExpr> sizes = e.loopSizes(op), mine;
    for (unsigned p : parallel)
      mine.push_back(sizes[p]);
    if (i == 0)
      rows.sizes = mine;
    else if (mine != rows.sizes)
      return std::nullopt;
    for (OpOperand &init : op.getDpsInitsMutable()) {
      RowDims dims;
      AffineMap out = op.getMatchingIndexingMap(&init);
      for (unsigned p : parallel) {
        auto position = out.getResultPosition(getAffineDimExpr(p, context));
        if (!position)
          return std::nullopt;
        dims.push_back(*position);
      }
      rows.dims[op.getTiedOpResult(&init)] = dims;
    }
  }
  // Follow the rows through the elementwise operations, and check that the
  // later reductions walk the same rows.
  for (Operation &inner : *e.kernel.getBodyBlock()) {
    auto op = dyn_cast<linalg::GenericOp>(inner);
    if (!op)
      continue;
    RowDims loops;
    if (!rowLoops(op, rows.dims, loops))
      return std::nullopt;
    if (loops.empty())
      continue;
    if (op.getNumReductionLoops()) {
      SmallVector<unsigned> parallel;
      op.getParallelDims(parallel);
      if (ArrayRef<unsigned>(parallel) != ArrayRef<unsigned>(loops))
        return std::nullopt;
      continue;
    }
    for (OpResult result : op->getResults()) {
      AffineMap out = op.getMatchingIndexingMap(op.getTiedOpOperand(result));
      RowDims dims;
      for (unsigned loop : loops) {
        auto position = out.getResultPosition(getAffineDimExpr(loop, context));
        if (!position)
          return std::nullopt;
        dims.push_back(*position);
      }
      rows.dims[result] = dims;
    }
  }
  for (unsigned r = 0; r < e.numResults(); ++r)
    if (!rows.sizes.empty() && !rows.dims.count(e.result(r)))
      return std::nullopt;
  return rows;
}

/// Rows of a workgroup, about as many elements as a pointwise kernel has.
static int64_t rowsOfWorkgroup(Context &c, const Rows &rows) {
  MLIRContext *context = c.e.b.getContext();
  SmallVector<AffineExpr> all = c.e.loopSizes(c.reductions[0]);
  int64_t elements = constantOr(product(all, context), 0);
  int64_t total = constantOr(product(rows.sizes, context), 0);
  int64_t perRow = elements && total ? elements / total : 1024;
  return std::clamp<int64_t>(8192 / std::max<int64_t>(perRow, 1), 1, 4096);
}

/// Where a row begins in a result; `inner` are the dimensions along it.
static Position startOf(Emitter &e, const Rows &rows, unsigned result,
                        ArrayRef<Linear> row, SmallVector<unsigned> &inner) {
  Memory &memory = e.resultMemory(result);
  Position position;
  position.index.resize(memory.dims.size());
  llvm::SmallBitVector isRow(memory.dims.size());
  if (!rows.sizes.empty())
    for (auto [dim, value] :
         llvm::zip(rows.dims.lookup(e.result(result)), row)) {
      position.index[dim] = value;
      isRow.set(dim);
    }
  for (unsigned d = 0; d < memory.dims.size(); ++d)
    if (!isRow.test(d) && !graph::isConstant(memory.dims[d], 1))
      inner.push_back(d);
  return position;
}

/// The iteration of a reduction that belongs to a row.
static Position iterationOf(linalg::GenericOp op, ArrayRef<Linear> row) {
  SmallVector<unsigned> parallel;
  op.getParallelDims(parallel);
  Position position;
  position.index.resize(op.getNumLoops());
  for (auto [loop, value] : llvm::zip(parallel, row))
    position.index[loop] = value;
  return position;
}

bool emitRows(Context &c) {
  Emitter &e = c.e;
  for (linalg::GenericOp op : c.reductions) {
    if (!Emitter::combinerOf(op))
      return false;
    SmallVector<unsigned> reduced;
    op.getReductionDims(reduced);
    // The lanes must read neighbours, or all the same.
    for (const Access &access : accessesOf(op))
      if (moveOf(e, access.tensor, access.index, reduced.back()) > 1)
        return false;
  }
  std::optional<Rows> rows = rowsOf(c);
  if (!rows)
    return false;
  AffineExpr count = product(rows->sizes, e.b.getContext());
  int64_t rowsEach = rowsOfWorkgroup(c, *rows);
  c.grid = graph::simplify(count.ceilDiv(rowsEach));

  Linear rowCount = e.size(count);
  Linear lower = c.workgroup * rowsEach;
  Linear upper = lower + Linear(rowsEach);
  if (!rowCount.isConstant() || rowCount.constant % rowsEach)
    upper = Linear::of(e.minimum(upper, rowCount));
  Value shared = sharedProducer(e, c.reductions.back());
  e.loop(lower, upper, 1, [&](Linear row) {
    IndexVector at = e.delinearize(row, rows->sizes);
    for (linalg::GenericOp op : c.reductions) {
      Emitter::Scope scope(e);
      if (shared && op == c.reductions.back())
        e.setStored(shared, e.resultMemory(0), /*reads=*/false);
      e.setValue(op.getResult(0), e.reduceLanes(op, iterationOf(op, at), 4));
    }
    if (shared)
      e.setStored(shared, e.resultMemory(0), /*reads=*/true);
    for (unsigned r = 0; r < e.numResults(); ++r) {
      Memory &memory = e.resultMemory(r);
      SmallVector<unsigned> inner;
      Position position = startOf(e, *rows, r, at, inner);
      std::function<void(unsigned)> level = [&](unsigned l) {
        if (inner.empty()) {
          e.store(memory, e.at(e.result(r), position), position);
          return;
        }
        unsigned d = inner[l];
        if (l + 1 < inner.size()) {
          e.loop(Linear(0), e.size(memory.dims[d]), 1, [&](Linear i) {
            position.index[d] = i;
            level(l + 1);
          });
          return;
        }
        forLanes(e, Linear(0), e.size(memory.dims[d]), 4,
                 [&](Linear i, Value mask) {
                   Position lanes = position;
                   lanes.index[d] = i;
                   lanes.mask = mask;
                   e.store(memory, e.at(e.result(r), lanes), lanes);
                 });
      };
      level(0);
    }
    for (linalg::GenericOp op : c.reductions)
      e.clearValue(op.getResult(0));
    if (shared)
      e.clearStored(shared);
  });
  return true;
}

bool emitColumns(Context &c) {
  Emitter &e = c.e;
  std::optional<Rows> rows = rowsOf(c);
  if (!rows || rows->sizes.empty())
    return false;
  // What needs a reduction once for each row is as good by definition.
  bool again = c.reductions.size() > 1;
  for (unsigned r = 0; r < e.numResults(); ++r) {
    SmallVector<unsigned> inner;
    startOf(e, *rows, r, IndexVector(rows->sizes.size()), inner);
    again |= !inner.empty();
  }
  if (!again)
    return false;
  // A workgroup has neighbours of the last row loop.
  int64_t each = llvm::alignTo(rowsOfWorkgroup(c, *rows), e.width);
  AffineExpr last = rows->sizes.back();
  SmallVector<AffineExpr> blocks = rows->sizes;
  blocks.back() = graph::simplify(last.ceilDiv(each));
  c.grid = product(blocks, e.b.getContext());
  IndexVector at = e.delinearize(c.workgroup, blocks);
  Linear lower = at.back() * each;
  Linear upper = lower + Linear(each), size = e.size(last);
  if (graph::isConstant(blocks.back(), 1)) {
    lower = Linear(0);
    upper = size;
  } else if (!size.isConstant() || size.constant % each) {
    upper = Linear::of(e.minimum(upper, size));
  }
  Value shared = sharedProducer(e, c.reductions.back());
  forLanes(e, lower, upper, 1, [&](Linear lane, Value mask) {
    at.back() = lane;
    for (linalg::GenericOp op : c.reductions) {
      Emitter::Scope scope(e);
      if (shared && op == c.reductions.back())
        e.setStored(shared, e.resultMemory(0), /*reads=*/false);
      Position position = iterationOf(op, at);
      position.mask = mask;
      SmallVector<Value> values = e.reduce(op, position)[0];
      for (auto [result, value] : llvm::zip(op.getResults(), values))
        e.setValue(result, value);
    }
    if (shared)
      e.setStored(shared, e.resultMemory(0), /*reads=*/true);
    for (unsigned r = 0; r < e.numResults(); ++r) {
      Memory &memory = e.resultMemory(r);
      SmallVector<unsigned> inner;
      Position position = startOf(e, *rows, r, at, inner);
      position.mask = mask;
      std::function<void(unsigned)> level = [&](unsigned l) {
        if (l == inner.size()) {
          Emitter::Scope scope(e);
          e.store(memory, e.at(e.result(r), position), position);
          return;
        }
        e.loop(Linear(0), e.size(memory.dims[inner[l]]), 1, [&](Linear i) {
          position.index[inner[l]] = i;
          level(l + 1);
        });
      };
      level(0);
    }
    for (linalg::GenericOp op : c.reductions)
      for (Value result : op.getResults())
        e.clearValue(result);
    if (shared)
      e.clearStored(shared);
  });
  return true;
}

} // namespace aicc::backends::cpu
