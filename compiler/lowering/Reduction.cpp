//===- Reduction.cpp - lowering of reductions along dimensions ------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every reduction is one generic whose init is a filled tensor; what precedes
// and follows it are elementwise generics. Narrow floats and integers are
// accumulated in 32 bits.
//
//===----------------------------------------------------------------------===//

#include "compiler/lowering/Writer.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace aicc;
using namespace aicc::lowering;
using graph::constantOf;
using graph::dimOf;
using graph::dimsOf;
using graph::ReduceKind;

namespace {

/// The rows of a tensor: what is left when `axes` are reduced.
struct Rows {
  Writer &w;
  RankedTensorType type; // graph type of the operand
  SmallVector<unsigned> axes;

  unsigned rank() const { return type.getRank(); }
  Dims dims() const {
    Dims result;
    for (unsigned i = 0; i < rank(); ++i)
      if (!llvm::is_contained(axes, i))
        result.push_back(dimOf(type, i));
    return result;
  }
  /// From the loops over the operand to the row.
  AffineMap map() const {
    Dims exprs;
    for (unsigned i = 0; i < rank(); ++i)
      if (!llvm::is_contained(axes, i))
        exprs.push_back(w.d(i));
    return w.map(rank(), exprs);
  }
  /// Number of elements of a row.
  AffineExpr count() const {
    AffineExpr product = w.c(1);
    for (unsigned axis : axes)
      product = product * dimOf(type, axis);
    return graph::simplify(product);
  }

  /// Reduces `value(elements of ins)`, where each of `ins` is the operand's
  /// shape or, as `rows` says, one element per row.
  Value
  reduce(ReduceKind kind, Type accumulator, ValueRange ins,
         ArrayRef<AffineMap> maps,
         llvm::function_ref<Value(LocBuilder &, ValueRange)> value,
         llvm::function_ref<Value(LocBuilder &, Value, Value)> step = {}) {
    Value init = w.fill(dims(), identityOf(kind, accumulator));
    return w.generic(ins, maps, init, map(), rank(), axes,
                     [&](LocBuilder &b, ValueRange args) -> SmallVector<Value> {
                       Value x = value(b, args);
                       Value sum = args.back();
                       return {step ? step(b, sum, x)
                                    : combine(b, kind, accumulator, sum, x)};
                     })[0];
  }

  /// One element per row from one element per row.
  Value each(Value rows, Type element,
             llvm::function_ref<Value(LocBuilder &, Value)> value) {
    Dims d = dims();
    return w.elementwise(
        d, element, rows, w.identity(d.size()),
        [&](LocBuilder &b, ValueRange args) -> SmallVector<Value> {
          return {value(b, args[0])};
        });
  }

  /// One element per operand element.
  Value spread(Type element, ValueRange ins, ArrayRef<AffineMap> maps,
               llvm::function_ref<Value(LocBuilder &, ValueRange)> value) {
    return w.elementwise(
        dimsOf(type), element, ins, maps,
        [&](LocBuilder &b, ValueRange args) -> SmallVector<Value> {
          return {value(b, args)};
        });
  }
};

/// x / count, as a product where the count is a number.
Value divideByCount(LocBuilder &b, Value x, AffineExpr count,
                    Value countIndex) {
  Type type = x.getType();
  if (auto n = constantOf(count))
    return arith::MulFOp::create(
        b, x, number(b, type, 1.0 / static_cast<double>(*n)));
  Value n = arith::IndexCastOp::create(b, b.getI64Type(), countIndex);
  return arith::DivFOp::create(b, x, arith::SIToFPOp::create(b, type, n));
}

//===----------------------------------------------------------------------===//
// ReduceOp
//===----------------------------------------------------------------------===//

struct LowerReduce : OpRewritePattern<graph::ReduceOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(graph::ReduceOp op,
                                PatternRewriter &rewriter) const override {
    Writer w(rewriter, op);
    Rows rows{w, op.getOperand().getType(), {}};
    for (int64_t axis : op.getAxes())
      rows.axes.push_back(axis);
    ReduceKind kind = op.getKind();
    Type element = rows.type.getElementType();
    Type accumulator = accumulatorType(element, kind);
    Value result = rows.reduce(
        kind, accumulator, w.lowered(op.getOperand()), w.identity(rows.rank()),
        [&](LocBuilder &b, ValueRange args) {
          return convertElement(b, args[0], element, accumulator);
        });
    AffineExpr count = rows.count();
    bool mean = kind == ReduceKind::mean && !element.isInteger(1);
    if (accumulator != element || mean) {
      Value n = mean && !constantOf(count) ? w.size(count) : Value();
      result = rows.each(result, element, [&](LocBuilder &b, Value x) {
        if (mean && isa<FloatType>(accumulator))
          x = divideByCount(b, x, count, n);
        else if (mean)
          x = divideInteger(b, x, count, n, isUnsigned(element));
        return convertElement(b, x, accumulator, element);
      });
    }
    w.replace(result);
    return success();
  }

  static Value divideInteger(LocBuilder &b, Value x, AffineExpr count, Value n,
                             bool noSign) {
    Type type = x.getType();
    // A row without elements has the mean 0, like x / 0.
    Value by =
        constantOf(count)
            ? integer(b, type, std::max<int64_t>(*constantOf(count), 1))
            : arith::IndexCastOp::create(b, type, maxIndex(b, n, index(b, 1)))
                  .getResult();
    return noSign ? arith::DivUIOp::create(b, x, by).getResult()
                  : arith::DivSIOp::create(b, x, by).getResult();
  }
};

//===----------------------------------------------------------------------===//
// ArgReduceOp
//===----------------------------------------------------------------------===//

struct LowerArgReduce : OpRewritePattern<graph::ArgReduceOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(graph::ArgReduceOp op,
                                PatternRewriter &rewriter) const override {
    Writer w(rewriter, op);
    unsigned axis = op.getAxis();
    Rows rows{w, op.getOperand().getType(), {axis}};
    Type element = rows.type.getElementType();
    bool most = op.getKind() == ReduceKind::maximum, last = op.getLast();
    Type i64 = w.b.getI64Type();
    Type wide = accumulatorType(element, op.getKind());
    Value best = w.fill(rows.dims(), identityOf(op.getKind(), wide));
    Value where = w.fill(rows.dims(), w.b.getI64IntegerAttr(0));
    auto better = [&](LocBuilder &b, Value x, Value y) -> Value {
      if (isa<FloatType>(element)) {
        using P = arith::CmpFPredicate;
        P predicate =
            most ? (last ? P::OGE : P::OGT) : (last ? P::OLE : P::OLT);
        Value wins = arith::CmpFOp::create(b, predicate, x, y);
        // NaN beats everything but an earlier NaN.
        Value xNan = arith::CmpFOp::create(b, P::UNO, x, x);
        if (!last) {
          Value yIsNumber = arith::CmpFOp::create(b, P::ORD, y, y);
          xNan = arith::AndIOp::create(b, xNan, yIsNumber);
        }
        return arith::OrIOp::create(b, wins, xNan);
      }
      using P = arith::CmpIPredicate;
      bool u = isUnsigned(element);
      P predicate =
          most ? (last ? (u ? P::uge : P::sge) : (u ? P::ugt : P::sgt))
               : (last ? (u ? P::ule : P::sle) : (u ? P::ult : P::slt));
      return arith::CmpIOp::create(b, predicate, x, y);
    };
    ValueRange results =
        w.generic(w.lowered(op.getOperand()), w.identity(rows.rank()),
                  {best, where}, {rows.map(), rows.map()}, rows.rank(), {axis},
                  [&](LocBuilder &b, ValueRange args) -> SmallVector<Value> {
                    Value x = convertElement(b, args[0], element, wide);
                    Value wins = better(b, x, args[1]);
                    Value at = arith::IndexCastOp::create(
                        b, i64, linalg::IndexOp::create(b, axis));
                    return {arith::SelectOp::create(b, wins, x, args[1]),
                            arith::SelectOp::create(b, wins, at, args[2])};
                  });
    w.replace(results[1]);
    return success();
  }
};

//===----------------------------------------------------------------------===//
// SoftmaxOp, NormalizeOp
//===----------------------------------------------------------------------===//

struct LowerSoftmax : OpRewritePattern<graph::SoftmaxOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(graph::SoftmaxOp op,
                                PatternRewriter &rewriter) const override {
    Writer w(rewriter, op);
    Rows rows{w, op.getType(), {static_cast<unsigned>(op.getAxis())}};
    Type element = rows.type.getElementType();
    Type wide = accumulatorType(element);
    Value x = w.lowered(op.getOperand());
    AffineMap all = w.identity(rows.rank()), row = rows.map();
    // A NaN need not survive the maximum: it reaches the sum by itself.
    Value max = rows.reduce(
        ReduceKind::maximum, wide, x, all,
        [&](LocBuilder &b, ValueRange args) {
          return convertElement(b, args[0], element, wide);
        },
        [](LocBuilder &b, Value best, Value value) -> Value {
          return arith::MaximumFOp::create(b, best, value,
                                           arith::FastMathFlags::nnan);
        });
    auto shifted = [&](LocBuilder &b, Value value, Value most) -> Value {
      return arith::SubFOp::create(b, convertElement(b, value, element, wide),
                                   most);
    };
    Value e = rows.spread(wide, {x, max}, {all, row},
                          [&](LocBuilder &b, ValueRange args) -> Value {
                            return math::ExpOp::create(
                                b, shifted(b, args[0], args[1]));
                          });
    Value sum =
        rows.reduce(ReduceKind::sum, wide, e, all,
                    [](LocBuilder &, ValueRange args) { return args[0]; });
    Value result;
    if (op.getLog()) {
      Value log = rows.each(sum, wide, [](LocBuilder &b, Value s) -> Value {
        return math::LogOp::create(b, s);
      });
      result = rows.spread(element, {x, max, log}, {all, row, row},
                           [&](LocBuilder &b, ValueRange args) -> Value {
                             Value y = arith::SubFOp::create(
                                 b, shifted(b, args[0], args[1]), args[2]);
                             return convertElement(b, y, wide, element);
                           });
    } else {
      Value inverse =
          rows.each(sum, wide, [&](LocBuilder &b, Value s) -> Value {
            return arith::DivFOp::create(b, number(b, wide, 1), s);
          });
      result = rows.spread(element, {e, inverse}, {all, row},
                           [&](LocBuilder &b, ValueRange args) {
                             Value y =
                                 arith::MulFOp::create(b, args[0], args[1]);
                             return convertElement(b, y, wide, element);
                           });
    }
    w.replace(result);
    return success();
  }
};

struct LowerNormalize : OpRewritePattern<graph::NormalizeOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(graph::NormalizeOp op,
                                PatternRewriter &rewriter) const override {
    Writer w(rewriter, op);
    Rows rows{w, op.getType(), {}};
    for (unsigned i = op.getAxis(); i < rows.rank(); ++i)
      rows.axes.push_back(i);
    Type element = rows.type.getElementType();
    Type wide = accumulatorType(element);
    double epsilon = op.getEpsilon().convertToDouble();
    AffineMap all = w.identity(rows.rank()), row = rows.map();
    AffineExpr count = rows.count();
    Value n = constantOf(count) ? Value() : w.size(count);
    Value x = w.lowered(op.getOperand());

    SmallVector<Value> ins = {x};
    SmallVector<AffineMap> maps = {all};
    if (!op.getRms()) {
      Value sum = rows.reduce(
          ReduceKind::sum, wide, x, all, [&](LocBuilder &b, ValueRange args) {
            return convertElement(b, args[0], element, wide);
          });
      ins.push_back(rows.each(sum, wide, [&](LocBuilder &b, Value s) {
        return divideByCount(b, s, count, n);
      }));
      maps.push_back(row);
    }
    auto centred = [&](LocBuilder &b, ValueRange args) {
      Value value = convertElement(b, args[0], element, wide);
      if (op.getRms())
        return value;
      return arith::SubFOp::create(b, value, args[1]).getResult();
    };
    Value squares = rows.reduce(ReduceKind::sum, wide, ins, maps,
                                [&](LocBuilder &b, ValueRange args) -> Value {
                                  Value d = centred(b, args);
                                  return arith::MulFOp::create(b, d, d);
                                });
    Value inverse =
        rows.each(squares, wide, [&](LocBuilder &b, Value s) -> Value {
          Value variance = divideByCount(b, s, count, n);
          Value sum =
              arith::AddFOp::create(b, variance, number(b, wide, epsilon));
          return math::RsqrtOp::create(b, sum);
        });
    ins.push_back(inverse);
    maps.push_back(row);
    w.replace(
        rows.spread(element, ins, maps, [&](LocBuilder &b, ValueRange args) {
          Value y =
              arith::MulFOp::create(b, centred(b, args), args[ins.size() - 1]);
          return convertElement(b, y, wide, element);
        }));
    return success();
  }
};

//===----------------------------------------------------------------------===//
// CumulativeOp
//===----------------------------------------------------------------------===//

/// Each element combines those up to its own: a reduction over all with a test
/// of the index. Quadratic, but parallel and without state between elements.
struct LowerCumulative : OpRewritePattern<graph::CumulativeOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(graph::CumulativeOp op,
                                PatternRewriter &rewriter) const override {
    Writer w(rewriter, op);
    RankedTensorType type = op.getType();
    unsigned rank = type.getRank(), axis = op.getAxis();
    Type element = type.getElementType();
    ReduceKind kind = op.getKind();
    Type wide = accumulatorType(element, kind);
    TypedAttr identity = identityOf(kind, wide);
    Dims exprs;
    for (unsigned i = 0; i < rank; ++i)
      exprs.push_back(w.d(i == axis ? rank : i));
    AffineMap own = w.identity(rank + 1).getMajorSubMap(rank);
    using P = arith::CmpIPredicate;
    P predicate = op.getReverse() ? (op.getExclusive() ? P::sgt : P::sge)
                                  : (op.getExclusive() ? P::slt : P::sle);
    Value init = w.fill(dimsOf(type), identity);
    Value result = w.generic(
        w.lowered(op.getOperand()), w.map(rank + 1, exprs), init, own, rank + 1,
        {rank}, [&](LocBuilder &b, ValueRange args) -> SmallVector<Value> {
          Value here = linalg::IndexOp::create(b, axis);
          Value other = linalg::IndexOp::create(b, rank);
          Value counts = arith::CmpIOp::create(b, predicate, other, here);
          Value x = convertElement(b, args[0], element, wide);
          Value none = arith::ConstantOp::create(b, identity);
          x = arith::SelectOp::create(b, counts, x, none);
          return {combine(b, kind, wide, args[1], x)};
        })[0];
    if (wide != element)
      result = w.elementwise(
          dimsOf(type), element, result, w.identity(rank),
          [&](LocBuilder &b, ValueRange args) -> SmallVector<Value> {
            return {convertElement(b, args[0], wide, element)};
          });
    w.replace(result);
    return success();
  }
};

} // namespace

void lowering::populateReduction(RewritePatternSet &patterns) {
  patterns.add<LowerReduce, LowerArgReduce, LowerSoftmax, LowerNormalize,
               LowerCumulative>(patterns.getContext());
  populateProducts(patterns);
  populateWindows(patterns);
}
