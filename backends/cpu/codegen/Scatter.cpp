//===- Scatter.cpp - elements at computed positions -----------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The result is the operand's elements, then the updates in their order. A
// workgroup owns the lines along the axis of some indices before it, or of a
// piece of the indices after it, so that workgroups never write one element.
//
//===----------------------------------------------------------------------===//

#include "backends/cpu/codegen/Forms.h"

#include "dialects/graph/Dims.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace aicc::lowering;

namespace aicc::backends::cpu {

/// Elements per workgroup, as elsewhere; and the piece of a long row.
static constexpr int64_t elementsPerWorkgroup = 8192, pieceOfRow = 1024;

namespace {
struct Scatter {
  Context &c;
  Emitter &e;
  exec::ScatterOp op;
  unsigned axis, rank;
  SmallVector<AffineExpr> dims, updates;

  Scatter(Context &c, exec::ScatterOp op)
      : c(c), e(c.e), op(op), axis(op.getAxis()),
        rank(cast<RankedTensorType>(op.getType()).getRank()),
        dims(e.resultMemory(0).dims), updates(e.dims(op.getUpdates())) {}

  ArrayRef<AffineExpr> outer() { return ArrayRef(dims).take_front(axis); }
  ArrayRef<AffineExpr> inner() { return ArrayRef(dims).drop_front(axis + 1); }

  void guarded(Value condition, llvm::function_ref<void()> body) {
    if (!condition)
      return body();
    auto guard = scf::IfOp::create(e.b, e.loc, condition);
    OpBuilder::InsertionGuard insertion(e.b);
    Emitter::Scope scope(e);
    e.b.setInsertionPointToStart(guard.thenBlock());
    body();
  }

  Value below(const Linear &x, const Linear &y) {
    return arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::ult,
                                 e.index.base(x), e.index.base(y));
  }

  /// Whether an index has updates in every dimension but the axis; null: yes.
  Value hasUpdates(ArrayRef<Linear> at, unsigned from, unsigned to) {
    Value all;
    for (unsigned d = from; d < to; ++d) {
      if (d == axis || graph::equal(dims[d], updates[d]))
        continue;
      Value here = below(at[d], e.size(updates[d]));
      all =
          all ? arith::AndIOp::create(e.b, e.loc, all, here).getResult() : here;
    }
    return all;
  }

  void set(const IndexVector &at, Value mask, const Linear &position) {
    IndexVector target = at;
    target[axis] = position;
    Position where{target, mask};
    const Memory &memory = e.resultMemory(0);
    Value update = e.at(op.getUpdates(), {at, mask});
    Block &block = op.getCombiner().front();
    Value old =
        block.getArgument(0).use_empty() ? update : e.load(memory, where);
    e.store(memory, e.combine(op, old, update), where);
  }

  /// Copies and updates the lines at `at`, for inner indices lower to upper.
  void lines(IndexVector at, const Linear &lower, const Linear &upper);
  /// The updates of one line; the axis' index is taken.
  void line(const IndexVector &at);
  void rows(const IndexVector &at, const Linear &lower, const Linear &upper);
};
} // namespace

void Scatter::line(const IndexVector &at) {
  Value position = e.at(op.getPositions(), {at, {}});
  Linear target = Linear::of(position);
  guarded(below(target, e.size(dims[axis])), [&] { set(at, {}, target); });
}

/// Updates at one index of the axis, `at`: lines side by side.
void Scatter::rows(const IndexVector &at, const Linear &lower,
                   const Linear &upper) {
  unsigned lane = rank - 1;
  bool plain = inner().size() == 1 && graph::equal(dims[lane], updates[lane]);
  if (plain) {
    // One position for all of them is a row that is written at once.
    IndexVector first = at;
    first[lane] = lower;
    first[lane].stride = 1;
    Value position = e.at(op.getPositions(), {first, {}});
    if (!isa<VectorType>(position.getType())) {
      Linear target = Linear::of(position);
      guarded(below(target, e.size(dims[axis])), [&] {
        forLanes(e, lower, upper, 1, [&](Linear i, Value mask) {
          IndexVector here = at;
          here[lane] = i;
          set(here, mask, target);
        });
      });
      return;
    }
  }
  e.loop(lower, upper, 1, [&](Linear i) {
    IndexVector split = e.delinearize(i, inner()), here = at;
    for (unsigned k = 0; k < split.size(); ++k)
      here[axis + 1 + k] = split[k];
    guarded(hasUpdates(here, axis + 1, rank), [&] { line(here); });
  });
}

void Scatter::lines(IndexVector at, const Linear &lower, const Linear &upper) {
  const Memory &memory = e.resultMemory(0);
  Linear size = e.size(dims[axis]), count = e.size(updates[axis]);
  auto copy = [&](const IndexVector &where, Value mask) {
    Position position{where, mask};
    e.store(memory, e.at(op.getOperand(), position), position);
  };
  if (inner().empty()) {
    forLanes(e, Linear(0), size, 4, [&](Linear i, Value mask) {
      at[axis] = i;
      copy(at, mask);
    });
    guarded(hasUpdates(at, 0, axis), [&] {
      e.loop(Linear(0), count, 1, [&](Linear m) {
        at[axis] = m;
        line(at);
      });
    });
    return;
  }
  bool single = inner().size() == 1;
  e.loop(Linear(0), size, 1, [&](Linear n) {
    at[axis] = n;
    if (single) {
      forLanes(e, lower, upper, 4, [&](Linear i, Value mask) {
        at[rank - 1] = i;
        copy(at, mask);
      });
      return;
    }
    e.loop(lower, upper, 1, [&](Linear i) {
      IndexVector split = e.delinearize(i, inner()), here = at;
      for (unsigned k = 0; k < split.size(); ++k)
        here[axis + 1 + k] = split[k];
      copy(here, {});
    });
  });
  guarded(hasUpdates(at, 0, axis), [&] {
    e.loop(Linear(0), count, 1, [&](Linear m) {
      at[axis] = m;
      rows(at, lower, upper);
    });
  });
}

bool emitScatter(Context &c) {
  auto op = c.e.result(0).getDefiningOp<exec::ScatterOp>();
  if (!op)
    return false;
  Scatter s(c, op);
  Emitter &e = c.e;
  MLIRContext *context = e.b.getContext();
  AffineExpr one = getAffineConstantExpr(1, context);
  AffineExpr rows = product(s.outer(), context);
  AffineExpr columns = product(s.inner(), context);
  // A workgroup has some rows, or a piece of a row.
  int64_t width = constantOr(columns, pieceOfRow + 1);
  bool split = width > pieceOfRow;
  int64_t each = constantOr(graph::simplify(columns * s.dims[s.axis]),
                            elementsPerWorkgroup);
  int64_t rowsEach = split
                         ? 1
                         : std::max<int64_t>(1, elementsPerWorkgroup /
                                                    std::max<int64_t>(each, 1));
  AffineExpr pieces = split ? columns.ceilDiv(pieceOfRow) : one;
  c.grid = graph::simplify(rows.ceilDiv(rowsEach) * pieces);
  Linear columnCount = e.size(columns);
  auto row = [&](Linear o, Linear lower, Linear upper) {
    IndexVector at(s.rank), outer = e.delinearize(o, s.outer());
    for (unsigned k = 0; k < outer.size(); ++k)
      at[k] = outer[k];
    s.lines(at, lower, upper);
  };
  if (split) {
    Linear count = e.size(pieces);
    Linear o = e.index.floorDivide(c.workgroup, count);
    Linear lower = e.index.modulo(c.workgroup, count) * pieceOfRow;
    Linear upper =
        Linear::of(e.minimum(lower + Linear(pieceOfRow), columnCount));
    row(o, lower, upper);
    return true;
  }
  Linear lower = c.workgroup * rowsEach;
  Linear upper = Linear::of(e.minimum(lower + Linear(rowsEach), e.size(rows)));
  e.loop(lower, upper, 1, [&](Linear o) { row(o, Linear(0), columnCount); });
  return true;
}

} // namespace aicc::backends::cpu
