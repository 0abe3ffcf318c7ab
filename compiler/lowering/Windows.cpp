//===- Windows.cpp - lowering of graph.reduce_window ----------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/lowering/Writer.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

using namespace mlir;
using namespace aicc;
using namespace aicc::lowering;
using graph::dimOf;
using graph::dimsOf;
using graph::ReduceKind;

namespace {

struct LowerReduceWindow : OpRewritePattern<graph::ReduceWindowOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(graph::ReduceWindowOp op,
                                PatternRewriter &rewriter) const override;
};

/// The number of window positions of one dimension that count for a mean.
Value countOf(LocBuilder &b, graph::ReduceWindowOp op, unsigned i, Value at,
              Value size) {
  int64_t window = op.getWindow()[i], dilation = op.getDilations()[i];
  int64_t excess = op.getExcess() ? (*op.getExcess())[i] : 0;
  // Elements begin … end - 1 count; the window starts at `start`.
  Value start =
      addIndex(b, mulIndex(b, at, op.getStrides()[i]), -op.getLow()[i]);
  Value begin = index(b, op.getCountPadding() ? -op.getLow()[i] : 0);
  Value end =
      op.getCountPadding() ? addIndex(b, size, op.getHigh()[i] - excess) : size;
  // Positions below p lie before element `bound`: ceil((bound - start) / d).
  auto positions = [&](Value bound) -> Value {
    Value distance = maxIndex(b, subIndex(b, bound, start), index(b, 0));
    Value count = b.createOrFold<arith::DivUIOp>(
        addIndex(b, distance, dilation - 1), index(b, dilation));
    return minIndex(b, count, index(b, window));
  };
  return subIndex(b, positions(end), positions(begin));
}

LogicalResult
LowerReduceWindow::matchAndRewrite(graph::ReduceWindowOp op,
                                   PatternRewriter &rewriter) const {
  Writer w(rewriter, op);
  RankedTensorType from = op.getOperand().getType(), to = op.getType();
  unsigned rank = to.getRank();
  ReduceKind kind = op.getKind();
  Type element = to.getElementType();
  Type wide = accumulatorType(element, kind);

  // A loop for every window of more than one element.
  Dims exprs, windowDims, windowExprs;
  SmallVector<unsigned> windowLoops;
  unsigned loops = rank;
  bool padded = false;
  int64_t total = 1;
  for (unsigned i = 0; i < rank; ++i) {
    int64_t low = op.getLow()[i];
    padded |= low != 0 || op.getHigh()[i] != 0;
    total *= op.getWindow()[i];
    AffineExpr expr = w.d(i) * op.getStrides()[i] - low;
    if (op.getWindow()[i] > 1) {
      expr = expr + w.d(loops) * op.getDilations()[i];
      windowDims.push_back(w.c(op.getWindow()[i]));
      windowExprs.push_back(w.d(loops));
      windowLoops.push_back(loops++);
    }
    exprs.push_back(expr);
  }
  SmallVector<Value> ins;
  SmallVector<AffineMap> maps;
  Value operand = w.lowered(op.getOperand());
  if (!padded) {
    ins.push_back(operand);
    maps.push_back(w.map(loops, exprs));
  }
  // Only the shape of this one is read: it bounds the window's loops.
  if (!windowDims.empty()) {
    ins.push_back(w.empty(windowDims, element));
    maps.push_back(w.map(loops, windowExprs));
  }
  SmallVector<Value> sizes;
  if (padded || kind == ReduceKind::mean)
    sizes = w.sizes(dimsOf(from));
  TypedAttr identity = identityOf(kind, wide);
  AffineMap own = w.identity(loops).getMajorSubMap(rank);
  Value init = w.fill(dimsOf(to), identity);
  Value result = w.generic(
      ins, maps, init, own, loops, windowLoops,
      [&](LocBuilder &b, ValueRange args) -> SmallVector<Value> {
        Value x = args[0], inside;
        if (padded) {
          SmallVector<Value> at;
          unsigned loop = rank;
          for (unsigned i = 0; i < rank; ++i) {
            Value position =
                mulIndex(b, linalg::IndexOp::create(b, i), op.getStrides()[i]);
            if (op.getWindow()[i] > 1)
              position =
                  addIndex(b, position,
                           mulIndex(b, linalg::IndexOp::create(b, loop++),
                                    op.getDilations()[i]));
            if (op.getLow()[i] != 0 || op.getHigh()[i] != 0) {
              position = addIndex(b, position, -op.getLow()[i]);
              inside = andBits(b, inside, insideIndex(b, position, sizes[i]));
              position = clampIndex(b, position, sizes[i]);
            }
            at.push_back(position);
          }
          x = extract(b, operand, at);
        }
        x = convertElement(b, x, element, wide);
        if (inside)
          x = arith::SelectOp::create(b, inside, x,
                                      arith::ConstantOp::create(b, identity));
        return {combine(b, kind, wide, args.back(), x)};
      })[0];

  bool mean = kind == ReduceKind::mean && !element.isInteger(1);
  if (!mean && wide == element) {
    w.replace(result);
    return success();
  }
  bool excess = op.getExcess() &&
                llvm::any_of(*op.getExcess(), [](int64_t e) { return e != 0; });
  bool fixedCount = !padded || (op.getCountPadding() && !excess);
  result = w.elementwise(
      dimsOf(to), element, result, w.identity(rank),
      [&](LocBuilder &b, ValueRange args) -> SmallVector<Value> {
        Value x = args[0];
        if (mean && isa<FloatType>(wide) && fixedCount) {
          x = arith::MulFOp::create(
              b, x, number(b, wide, 1.0 / static_cast<double>(total)));
        } else if (mean) {
          Value count = index(b, 1);
          for (unsigned i = 0; i < rank; ++i)
            if (op.getWindow()[i] > 1 || op.getLow()[i] || op.getHigh()[i])
              count = b.createOrFold<arith::MulIOp>(
                  count,
                  countOf(b, op, i, linalg::IndexOp::create(b, i), sizes[i]));
          count = maxIndex(b, count, index(b, 1));
          if (isa<FloatType>(wide)) {
            Value n = arith::IndexCastOp::create(b, b.getI32Type(), count);
            x = arith::DivFOp::create(b, x,
                                      arith::SIToFPOp::create(b, wide, n));
          } else {
            Value n = arith::IndexCastOp::create(b, x.getType(), count);
            x = isUnsigned(element)
                    ? arith::DivUIOp::create(b, x, n).getResult()
                    : arith::DivSIOp::create(b, x, n).getResult();
          }
        }
        return {convertElement(b, x, wide, element)};
      });
  w.replace(result);
  return success();
}

} // namespace

void lowering::populateWindows(RewritePatternSet &patterns) {
  patterns.add<LowerReduceWindow>(patterns.getContext());
}
