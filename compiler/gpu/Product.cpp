//===- Product.cpp - what all ways to tile a product share ----------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/gpu/Product.h"

#include "compiler/gpu/Strategies.h"
#include "dialects/graph/Dims.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace aicc;
using namespace aicc::gpu;

/// Sizes that aren't known are taken to be large.
int64_t aicc::gpu::estimatedSize(ArrayRef<AffineExpr> loops,
                                 ArrayRef<unsigned> dims) {
  int64_t product = 1;
  for (unsigned dim : dims)
    product *= loops[dim] ? graph::constantOf(loops[dim]).value_or(256) : 256;
  return product;
}

std::optional<Contraction> aicc::gpu::matchProduct(exec::KernelOp kernel) {
  linalg::GenericOp product = soleReduction(kernel);
  if (!product || !requestsOfBody(product).empty())
    return std::nullopt;
  std::optional<Contraction> c = matchContraction(product);
  if (!c || c->rows.empty() || c->columns.empty())
    return std::nullopt;
  SmallVector<AffineExpr> loops = loopsOf(kernel, product);
  if (llvm::is_contained(loops, AffineExpr()))
    return std::nullopt;
  return c;
}

/// Whether the innermost reduced loop runs through neighbours in memory.
bool aicc::gpu::runsAlong(linalg::GenericOp generic, Value inBody,
                          unsigned loop, unsigned other) {
  SmallVector<Value> work{inBody};
  while (!work.empty()) {
    Value value = work.pop_back_val();
    if (auto argument = dyn_cast<BlockArgument>(value)) {
      if (argument.getOwner() != generic.getBlock())
        continue;
      AffineMap map = generic.getMatchingIndexingMap(
          &generic->getOpOperand(argument.getArgNumber()));
      if (!map.getNumResults())
        continue;
      AffineExpr last = map.getResult(map.getNumResults() - 1);
      if (last.isFunctionOfDim(other))
        return false;
      return last.isFunctionOfDim(loop);
    }
    Operation *op = value.getDefiningOp();
    if (auto extract = dyn_cast<tensor::ExtractOp>(op)) {
      if (extract.getIndices().empty())
        continue;
      llvm::SmallBitVector used =
          loopsUsed(generic, extract.getIndices().back());
      return used[loop] && !used[other];
    }
    work.append(op->operand_begin(), op->operand_end());
  }
  return false;
}

/// The accumulators' initial value if it is the same everywhere.
static Value constantInit(Emitter &e, linalg::GenericOp generic) {
  SmallVector<Value> index(
      cast<RankedTensorType>(generic->getResult(0).getType()).getRank(),
      e.constant(0));
  Value tensor = generic.getDpsInits()[0];
  auto fill = tensor.getDefiningOp<linalg::GenericOp>();
  bool constant = tensor.getDefiningOp<arith::ConstantOp>() ||
                  (fill && fill.getNumDpsInputs() == 0);
  Value init = constant ? e.initials(generic, index)[0] : Value();
  return init && init.getDefiningOp<arith::ConstantOp>() ? init : Value();
}

ProductResults::ProductResults(Emitter &e, const Contraction &product)
    : e(e), c(product) {
  linalg::GenericOp generic = c.generic;
  Value result = generic->getResult(0);
  type = getElementTypeOrSelf(result.getType());
  init = constantInit(e, c.generic);
  start = init ? init
               : arith::ConstantOp::create(
                     e.b, e.loc, cast<TypedAttr>(e.b.getZeroAttr(type)));
  map = generic.getMatchingIndexingMap(generic.getDpsInitOperand(0));
}

unsigned ProductResults::run(unsigned most) const {
  auto innermost =
      graph::constantOf(loopsOf(e.kernel, c.generic)[c.columns.back()]);
  return innermost && *innermost % most == 0 ? most : 1;
}

void ProductResults::store(SmallVector<Value> &point,
                           ArrayRef<Value> columnIndex, ArrayRef<Value> sums) {
  linalg::GenericOp generic = c.generic;
  Value result = generic->getResult(0);
  SmallVector<std::tuple<unsigned, SmallVector<Value>, Value>> values;
  for (auto [step, given] : llvm::enumerate(sums)) {
    for (auto [dim, value] : llvm::zip(c.columns, columnIndex))
      point[dim] = value;
    Value &moving = point[c.columns.back()];
    moving = e.add(moving, e.constant(step));
    SmallVector<Value> index;
    for (AffineExpr expr : map.getResults())
      index.push_back(e.apply(expr, point));
    Value sum = given;
    if (!init) {
      Value from = e.initials(generic, index)[0];
      if (!from)
        return;
      sum = isa<FloatType>(type)
                ? Value(arith::AddFOp::create(e.b, e.loc, from, sum))
                : Value(arith::AddIOp::create(e.b, e.loc, from, sum));
    }
    e.provide(result, sum);
    for (unsigned r = 0; r < e.kernel.getResultTypes().size(); ++r) {
      Value tensor = e.kernel.getBodyBlock()->getTerminator()->getOperand(r);
      SmallVector<Value> at(cast<RankedTensorType>(tensor.getType()).getRank(),
                            e.constant(0));
      if (tensor == result) {
        at = index;
      } else {
        for (auto [expr, value] : llvm::zip(requestsOf(tensor)[0].index, index))
          if (auto dim = dyn_cast_or_null<AffineDimExpr>(expr))
            at[dim.getPosition()] = value;
      }
      values.push_back({r, at, e.result(r, at)});
    }
  }
  for (auto &[r, at, value] : values)
    e.store(r, at, value);
}
