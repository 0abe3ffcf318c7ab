//===- Transposed.cpp - elementwise kernels that read across their lanes --===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A transposition, with whatever is computed on its way: one operand is
// contiguous along another dimension than the result. Square blocks of as many
// vectors as lanes are loaded along the operand's dimension, transposed in
// registers by a butterfly of shuffles, and used along the result's.
//
//===----------------------------------------------------------------------===//

#include "backends/cpu/codegen/Forms.h"

#include "dialects/graph/Dims.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace aicc::lowering;

namespace aicc::backends::cpu {

namespace {
/// An argument of the kernel and where it is read, over the result's
/// dimensions.
struct Leaf {
  Value tensor;
  SmallVector<AffineExpr> index;
};
} // namespace

/// All arguments that a value is computed from; false if some access is not a
/// plain map.
static bool findLeaves(Emitter &e, Value tensor, ArrayRef<AffineExpr> index,
                       SmallVectorImpl<Leaf> &leaves) {
  auto op = tensor.getDefiningOp<linalg::GenericOp>();
  if (!op) {
    if (isa<BlockArgument>(tensor))
      leaves.push_back({tensor, llvm::to_vector(index)});
    return true;
  }
  bool computed = false;
  op.walk([&](Operation *inner) {
    computed |= isa<linalg::IndexOp>(inner) ||
                inner->getName().getStringRef() == "tensor.extract";
  });
  if (computed || op.getNumReductionLoops())
    return false;
  unsigned r = cast<OpResult>(tensor).getResultNumber();
  AffineMap out = op.getMatchingIndexingMap(op.getDpsInitOperand(r));
  SmallVector<AffineExpr> iteration(op.getNumLoops());
  for (auto [expr, at] : llvm::zip(out.getResults(), index)) {
    auto dim = dyn_cast<AffineDimExpr>(expr);
    if (!dim)
      return false;
    iteration[dim.getPosition()] = at;
  }
  for (OpOperand *operand : op.getDpsInputOperands()) {
    SmallVector<AffineExpr> where;
    for (AffineExpr expr : op.getMatchingIndexingMap(operand).getResults())
      where.push_back(expr.replaceDims(iteration));
    if (!findLeaves(e, operand->get(), where, leaves))
      return false;
  }
  return true;
}

/// Transposes width vectors of width lanes.
static void transpose(Emitter &e, SmallVectorImpl<Value> &rows) {
  int64_t width = e.width;
  // Where the instruction set has no bf16, shuffling it goes through f32 and a
  // library function; bits are bits.
  auto type = dyn_cast<VectorType>(rows.front().getType());
  bool isBrain = type && type.getElementType().isBF16();
  auto bitcast = [&](Type to) {
    for (Value &row : rows)
      row = arith::BitcastOp::create(e.b, e.loc, to, row);
  };
  if (isBrain)
    bitcast(type.clone(e.b.getI16Type()));
  for (int64_t s = 1; s < width; s *= 2) {
    SmallVector<int64_t> low, high;
    for (int64_t lane = 0; lane < width; ++lane) {
      low.push_back(lane & s ? width + lane - s : lane);
      high.push_back(lane & s ? width + lane : lane + s);
    }
    for (int64_t i = 0; i < width; ++i) {
      if (i & s)
        continue;
      Value a = rows[i], b = rows[i + s];
      rows[i] = vector::ShuffleOp::create(e.b, e.loc, a, b, low);
      rows[i + s] = vector::ShuffleOp::create(e.b, e.loc, a, b, high);
    }
  }
  if (isBrain)
    bitcast(type);
}

bool emitTransposed(Context &c) {
  Emitter &e = c.e;
  MLIRContext *context = e.b.getContext();
  int64_t width = e.width;
  SmallVector<AffineExpr> dims = e.resultMemory(0).dims;
  for (unsigned r = 1; r < e.numResults(); ++r)
    if (e.resultMemory(r).dims != dims)
      return false;
  if (dims.size() < 2)
    return false;
  unsigned lane = dims.size() - 1;
  while (lane > 0 && graph::isConstant(dims[lane], 1))
    --lane;
  SmallVector<AffineExpr> identity;
  for (unsigned d = 0; d < dims.size(); ++d)
    identity.push_back(getAffineDimExpr(d, context));
  SmallVector<Leaf> leaves;
  for (unsigned r = 0; r < e.numResults(); ++r)
    if (!findLeaves(e, e.result(r), identity, leaves))
      return false;
  // The one argument that the lanes would have to gather, and the dimension
  // along which it is contiguous.
  const Leaf *across = nullptr;
  for (const Leaf &leaf : leaves)
    if (moveOf(e, leaf.tensor, leaf.index, lane) == 2) {
      if (across)
        return false;
      across = &leaf;
    }
  if (!across || llvm::count_if(leaves, [&](const Leaf &leaf) {
                   return leaf.tensor == across->tensor;
                 }) != 1)
    return false;
  std::optional<unsigned> along;
  for (unsigned d = 0; d < dims.size(); ++d)
    if (d != lane && !graph::isConstant(dims[d], 1) &&
        moveOf(e, across->tensor, across->index, d) == 1)
      along = d;
  if (!along || constantOr(dims[*along], width) < 4)
    return false;

  SmallVector<unsigned> others;
  SmallVector<AffineExpr> sizes;
  for (unsigned d = 0; d < dims.size(); ++d)
    if (d != lane && d != *along && !graph::isConstant(dims[d], 1)) {
      others.push_back(d);
      sizes.push_back(dims[d]);
    }
  AffineExpr blocks = dims[*along].ceilDiv(width);
  sizes.push_back(blocks);
  AffineExpr count = product(sizes, context);
  int64_t each = std::max<int64_t>(
      1, 8192 / (width * std::max<int64_t>(constantOr(dims[lane], 256), 1)));
  c.grid = graph::simplify(count.ceilDiv(each));

  Linear total = e.size(count), alongSize = e.size(dims[*along]),
         laneSize = e.size(dims[lane]);
  Linear upper =
      Linear::of(e.minimum(c.workgroup * each + Linear(each), total));
  auto block = [&](IndexVector at, Linear first, Linear lane0, Value laneMask,
                   int64_t lanes) {
    // Rows beyond the tensor repeat its last one; their lanes are masked.
    Value alongMask;
    int64_t columns = width;
    if (!alongSize.isConstant() || alongSize.constant % width)
      alongMask = e.laneMask(alongSize + first * -1);
    if (alongSize.isConstant() && alongSize.constant < width)
      columns = alongSize.constant;
    SmallVector<Value> rows;
    auto argument = cast<BlockArgument>(across->tensor);
    for (int64_t j = 0; j < width; ++j) {
      if (j >= lanes) {
        rows.push_back(rows.back());
        continue;
      }
      Position position{at, alongMask};
      position.index[*along] = first;
      position.index[*along].stride = 1;
      Linear row = lane0 + Linear(j);
      if (laneMask && !laneSize.isConstant())
        row = Linear::of(e.minimum(row, laneSize + Linear(-1)));
      position.index[lane] = row;
      Position where;
      where.mask = position.mask;
      for (AffineExpr expr : across->index)
        where.index.push_back(e.index.apply(expr, position.index, {}));
      rows.push_back(e.at(argument, where));
    }
    transpose(e, rows);
    for (int64_t i = 0; i < columns; ++i) {
      auto storeAll = [&] {
        Emitter::Scope scope(e);
        Position position{at, laneMask};
        position.index[*along] = first + Linear(i);
        position.index[lane] = lane0;
        position.index[lane].stride = 1;
        e.setValue(argument, rows[i]);
        for (unsigned r = 0; r < e.numResults(); ++r)
          e.store(e.resultMemory(r), e.at(e.result(r), position), position);
        e.clearValue(argument);
      };
      if (!alongMask ||
          (alongSize.isConstant() && alongSize.constant < width)) {
        storeAll();
        continue;
      }
      Value inside = arith::CmpIOp::create(
          e.b, e.loc, arith::CmpIPredicate::slt,
          e.index.base(first + Linear(i)), e.index.base(alongSize));
      auto guard = scf::IfOp::create(e.b, e.loc, inside);
      OpBuilder::InsertionGuard insertion(e.b);
      e.b.setInsertionPointToStart(guard.thenBlock());
      storeAll();
    }
  };
  e.loop(c.workgroup * each, upper, 1, [&](Linear number) {
    IndexVector split = e.delinearize(number, sizes);
    IndexVector at(dims.size());
    for (auto [d, index] : llvm::zip(others, split))
      at[d] = index;
    Linear first = split.back() * width;
    Linear whole = laneSize.isConstant()
                       ? Linear(laneSize.constant / width * width)
                       : e.index.floorDivide(laneSize, Linear(width)) * width;
    e.loop(Linear(0), whole, width,
           [&](Linear l) { block(at, first, l, {}, width); });
    if (laneSize.isConstant()) {
      if (int64_t rest = laneSize.constant % width) {
        Emitter::Scope scope(e);
        block(at, first, whole, e.laneMask(Linear(rest)), rest);
      }
      return;
    }
    e.loop(whole, laneSize, width, [&](Linear l) {
      block(at, first, l, e.laneMask(laneSize + l * -1), width);
    });
  });
  return true;
}

} // namespace aicc::backends::cpu
