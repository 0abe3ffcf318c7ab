//===- Rows.cpp - reductions along the lanes ------------------------------===//
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

bool emitRows(Context &c) {
  Emitter &e = c.e;
  MLIRContext *context = e.b.getContext();
  SmallVector<AffineExpr> rowSizes;
  llvm::DenseMap<Value, RowDims> rows;
  unsigned numRows = 0;
  for (auto [i, op] : llvm::enumerate(c.reductions)) {
    if (!Emitter::combinerOf(op))
      return false;
    SmallVector<unsigned> parallel, reduced;
    op.getParallelDims(parallel);
    op.getReductionDims(reduced);
    SmallVector<AffineExpr> sizes = e.loopSizes(op), mine;
    for (unsigned p : parallel)
      mine.push_back(sizes[p]);
    if (i == 0) {
      rowSizes = mine;
      numRows = parallel.size();
    } else if (mine != rowSizes) {
      return false;
    }
    RowDims dims;
    AffineMap out = op.getMatchingIndexingMap(op.getDpsInitOperand(0));
    for (unsigned p : parallel) {
      auto position = out.getResultPosition(getAffineDimExpr(p, context));
      if (!position)
        return false;
      dims.push_back(*position);
    }
    rows[op.getResult(0)] = dims;
    // The lanes must read neighbours, or all the same.
    for (const Access &access : accessesOf(op))
      if (moveOf(e, access.tensor, access.index, reduced.back()) > 1)
        return false;
  }
  // Follow the rows through the elementwise operations, and check that the
  // later reductions walk the same rows.
  for (Operation &inner : *e.kernel.getBodyBlock()) {
    auto op = dyn_cast<linalg::GenericOp>(inner);
    if (!op)
      continue;
    RowDims loops;
    if (!rowLoops(op, rows, loops))
      return false;
    if (loops.empty())
      continue;
    if (op.getNumReductionLoops()) {
      SmallVector<unsigned> parallel;
      op.getParallelDims(parallel);
      if (ArrayRef<unsigned>(parallel) != ArrayRef<unsigned>(loops))
        return false;
      continue;
    }
    for (OpResult result : op->getResults()) {
      AffineMap out = op.getMatchingIndexingMap(op.getTiedOpOperand(result));
      RowDims dims;
      for (unsigned loop : loops) {
        auto position = out.getResultPosition(getAffineDimExpr(loop, context));
        if (!position)
          return false;
        dims.push_back(*position);
      }
      rows[result] = dims;
    }
  }
  for (unsigned r = 0; r < e.numResults(); ++r)
    if (numRows && !rows.count(e.result(r)))
      return false;

  // Rows per workgroup, about as many elements as a pointwise kernel has.
  AffineExpr count = product(rowSizes, context);
  SmallVector<AffineExpr> all = e.loopSizes(c.reductions[0]);
  int64_t elements = constantOr(product(all, context), 0);
  int64_t total = constantOr(count, 0);
  int64_t perRow = elements && total ? elements / total : 1024;
  int64_t rowsEach =
      std::clamp<int64_t>(8192 / std::max<int64_t>(perRow, 1), 1, 4096);
  c.grid = graph::simplify(count.ceilDiv(rowsEach));

  Linear rowCount = e.size(count);
  Linear lower = c.workgroup * rowsEach;
  Linear upper = lower + Linear(rowsEach);
  if (!rowCount.isConstant() || rowCount.constant % rowsEach)
    upper = Linear::of(e.minimum(upper, rowCount));
  Value shared = sharedProducer(e, c.reductions.back());
  e.loop(lower, upper, 1, [&](Linear row) {
    IndexVector at = e.delinearize(row, rowSizes);
    for (linalg::GenericOp op : c.reductions) {
      Emitter::Scope scope(e);
      if (shared && op == c.reductions.back())
        e.setStored(shared, e.resultMemory(0), /*reads=*/false);
      SmallVector<unsigned> parallel;
      op.getParallelDims(parallel);
      Position position;
      position.index.resize(op.getNumLoops());
      for (auto [loop, value] : llvm::zip(parallel, at))
        position.index[loop] = value;
      e.setValue(op.getResult(0), e.reduceLanes(op, position, 4));
    }
    if (shared)
      e.setStored(shared, e.resultMemory(0), /*reads=*/true);
    for (unsigned r = 0; r < e.numResults(); ++r) {
      Memory &memory = e.resultMemory(r);
      Position position;
      position.index.resize(memory.dims.size());
      llvm::SmallBitVector isRow(memory.dims.size());
      if (numRows)
        for (auto [dim, value] : llvm::zip(rows[e.result(r)], at)) {
          position.index[dim] = value;
          isRow.set(dim);
        }
      SmallVector<unsigned> inner;
      for (unsigned d = 0; d < memory.dims.size(); ++d)
        if (!isRow.test(d) && !graph::isConstant(memory.dims[d], 1))
          inner.push_back(d);
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

} // namespace aicc::backends::cpu
