//===- Scatter.cpp - elements at computed positions -----------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A thread owns a piece of a line along the axis: it copies the operand's
// elements and applies, in order, those updates of the line that fall into its
// piece. No two threads write one element.
//
//===----------------------------------------------------------------------===//

#include "compiler/gpu/Strategies.h"

#include "dialects/graph/Dims.h"

using namespace mlir;
using namespace aicc;
using namespace aicc::gpu;

/// Every piece reads all updates of its line, so lines are cut only as far as
/// it takes to have some threads.
static constexpr int64_t enoughLines = 4096, piecesOfLine = 64;

AffineExpr aicc::gpu::emitScatter(Emitter &e, exec::ScatterOp op) {
  MLIRContext *context = e.kernel.getContext();
  unsigned threads = e.options.workgroup, axis = op.getAxis();
  auto kept = cast<RankedTensorType>(
      cast<TypeAttr>(e.kernel.getResultTypes()[0]).getValue());
  SmallVector<AffineExpr> dims = graph::dimsOf(kept), lines = dims;
  SmallVector<AffineExpr> updates = dimsOf(e.kernel, op.getUpdates());
  lines[axis] = getAffineConstantExpr(1, context);
  int64_t pieces = piecesOfLine;
  if (auto count = graph::constantOf(productOf(lines, context));
      count && *count >= enoughLines)
    pieces = 1;
  if (auto size = graph::constantOf(dims[axis]))
    pieces = std::clamp<int64_t>(*size, 1, pieces);
  lines[axis] = getAffineConstantExpr(pieces, context);
  AffineExpr count = productOf(lines, context);

  Value thread =
      e.add(e.mul(e.block, e.constant(threads)), e.splitThread(threads).first);
  e.guarded(e.less(thread, e.apply(count)), [&] {
    SmallVector<Value> index = e.delinearize(thread, lines);
    Value size = e.apply(dims[axis]);
    AffineExpr length = graph::simplify(dims[axis].ceilDiv(pieces));
    auto limited = [&](Value x) { return e.select(e.less(x, size), x, size); };
    Value lower = limited(e.mul(index[axis], e.apply(length)));
    Value upper = limited(e.add(lower, e.apply(length)));
    Value one = e.constant(1);
    auto at = [&](Value position) {
      SmallVector<Value> where = index;
      where[axis] = position;
      return where;
    };
    e.loop(lower, upper, one, {}, [&](Value n, ArrayRef<Value>) {
      SmallVector<Value> where = at(n);
      e.store(0, where, e.value(op.getOperand(), where));
      return SmallVector<Value>{};
    });
    Value has;
    for (unsigned d = 0; d < dims.size(); ++d) {
      if (d == axis || graph::equal(dims[d], updates[d]))
        continue;
      Value here = e.less(index[d], e.apply(updates[d]));
      has =
          has ? arith::AndIOp::create(e.b, e.loc, has, here).getResult() : here;
    }
    e.guarded(has, [&] {
      e.loop(e.constant(0), e.apply(updates[axis]), one, {},
             [&](Value m, ArrayRef<Value>) {
               SmallVector<Value> from = at(m);
               Value number = e.value(op.getPositions(), from);
               if (!number)
                 return SmallVector<Value>{};
               Value position = arith::IndexCastOp::create(
                   e.b, e.loc, e.b.getIndexType(), number);
               // Below the piece the difference wraps around to a large number.
               Value distance =
                   arith::SubIOp::create(e.b, e.loc, position, lower);
               Value extent = arith::SubIOp::create(e.b, e.loc, upper, lower);
               e.guarded(e.less(distance, extent), [&] {
                 SmallVector<Value> where = at(position);
                 Block &block = op.getCombiner().front();
                 IRMapping map;
                 map.map(block.getArgument(1), e.value(op.getUpdates(), from));
                 if (!block.getArgument(0).use_empty())
                   map.map(block.getArgument(0), e.stored(0, where));
                 for (Operation &inner : block.without_terminator())
                   e.b.clone(inner, map);
                 e.store(0, where,
                         map.lookup(block.getTerminator()->getOperand(0)));
               });
               return SmallVector<Value>{};
             });
    });
  });
  return count.ceilDiv(threads);
}
