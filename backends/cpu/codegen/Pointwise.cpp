//===- Pointwise.cpp - every result element by its definition -------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "backends/cpu/codegen/Forms.h"

#include "dialects/graph/Dims.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace aicc::lowering;

namespace aicc::backends::cpu {

int64_t constantOr(AffineExpr expr, int64_t otherwise) {
  return graph::constantOf(expr).value_or(otherwise);
}

AffineExpr product(ArrayRef<AffineExpr> sizes, MLIRContext *context) {
  AffineExpr result = getAffineConstantExpr(1, context);
  for (AffineExpr size : sizes)
    result = result * size;
  return graph::simplify(result);
}

void forLanes(Emitter &e, const Linear &lower, const Linear &upper,
              unsigned unroll, llvm::function_ref<void(Linear, Value)> body) {
  int64_t width = e.width;
  auto lanes = [&](Linear i) {
    i.stride = 1;
    return i;
  };
  Linear length = upper + lower * -1;
  auto whole = [&](int64_t block) {
    return lower + (length.isConstant()
                        ? Linear(length.constant / block * block)
                        : e.index.floorDivide(length, Linear(block)) * block);
  };
  Linear next = lower;
  if (unroll > 1) {
    Linear end = whole(unroll * width);
    e.loop(next, end, unroll * width, [&](Linear i) {
      for (unsigned u = 0; u < unroll; ++u)
        body(lanes(i + Linear(u * width)), {});
    });
    next = end;
  }
  Linear end = whole(width);
  e.loop(next, end, width, [&](Linear i) { body(lanes(i), {}); });
  if (length.isConstant()) {
    if (int64_t rest = length.constant % width) {
      Emitter::Scope scope(e);
      e.setValidLanes(rest);
      body(lanes(end), e.laneMask(Linear(rest)));
      e.setValidLanes(width);
    }
    return;
  }
  e.loop(end, upper, width,
         [&](Linear i) { body(lanes(i), e.laneMask(upper + i * -1)); });
}

/// Finds neighbouring dimensions of a result that every access keeps together,
/// so that one loop may run over both: `joined` loses dimension d where d and
/// d + 1 come apart. `index` are expressions over the result's dimensions.
static void findSplits(Emitter &e, Value tensor, ArrayRef<AffineExpr> index,
                       ArrayRef<AffineExpr> dims, llvm::SmallBitVector &joined,
                       unsigned &fresh) {
  auto uses = [](AffineExpr expr, unsigned dim) {
    return expr.isFunctionOfDim(dim);
  };
  if (auto op = tensor.getDefiningOp<linalg::GenericOp>()) {
    unsigned r = cast<OpResult>(tensor).getResultNumber();
    AffineMap out = op.getMatchingIndexingMap(op.getDpsInitOperand(r));
    SmallVector<AffineExpr> iteration(op.getNumLoops());
    for (auto [expr, at] : llvm::zip(out.getResults(), index)) {
      if (auto dim = dyn_cast<AffineDimExpr>(expr))
        iteration[dim.getPosition()] = at;
      else
        for (unsigned d = 0; d < dims.size(); ++d)
          if (uses(at, d)) {
            joined.reset(d);
            if (d)
              joined.reset(d - 1);
          }
    }
    for (AffineExpr &expr : iteration)
      if (!expr)
        expr = getAffineDimExpr(dims.size() + fresh++, e.b.getContext());
    op.walk([&](linalg::IndexOp at) {
      for (unsigned d = 0; d < dims.size(); ++d)
        if (uses(iteration[at.getDim()], d)) {
          joined.reset(d);
          if (d)
            joined.reset(d - 1);
        }
    });
    for (OpOperand *operand : op.getDpsInputOperands()) {
      SmallVector<AffineExpr> where;
      for (AffineExpr expr : op.getMatchingIndexingMap(operand).getResults())
        where.push_back(expr.replaceDims(iteration));
      findSplits(e, operand->get(), where, dims, joined, fresh);
    }
    return;
  }
  SmallVector<AffineExpr> sizes = e.dims(tensor);
  for (unsigned d = 0; d + 1 < dims.size(); ++d) {
    bool together = false, absent = true;
    for (unsigned p = 0; p < index.size(); ++p) {
      bool here = uses(index[p], d) || uses(index[p], d + 1);
      absent &= !here;
      if (p + 1 < index.size() &&
          index[p] == getAffineDimExpr(d, e.b.getContext()) &&
          index[p + 1] == getAffineDimExpr(d + 1, e.b.getContext()) &&
          graph::equal(sizes[p + 1], dims[d + 1])) {
        together = true;
        ++p;
        continue;
      }
      if (here) {
        together = false;
        absent = false;
        joined.reset(d);
        break;
      }
    }
    if (!together && !absent)
      joined.reset(d);
  }
}

/// Where comparisons of the index of dimension `lane` change their outcome:
/// the seams of a concatenation or of padding. `index` as above.
static void findSeams(Emitter &e, Value tensor, ArrayRef<AffineExpr> index,
                      unsigned lane, llvm::SmallSetVector<int64_t, 8> &seams) {
  auto op = tensor.getDefiningOp<linalg::GenericOp>();
  if (!op)
    return;
  MLIRContext *context = e.b.getContext();
  AffineExpr laneDim = getAffineDimExpr(lane, context);
  unsigned r = cast<OpResult>(tensor).getResultNumber();
  AffineMap out = op.getMatchingIndexingMap(op.getDpsInitOperand(r));
  SmallVector<AffineExpr> iteration(op.getNumLoops());
  for (auto [expr, at] : llvm::zip(out.getResults(), index))
    if (auto dim = dyn_cast<AffineDimExpr>(expr))
      iteration[dim.getPosition()] = at;
  std::function<AffineExpr(Value)> exprOf = [&](Value value) -> AffineExpr {
    APInt constant;
    if (matchPattern(value, m_ConstantInt(&constant)))
      return getAffineConstantExpr(constant.getSExtValue(), context);
    Operation *def = value.getDefiningOp();
    if (auto at = dyn_cast_or_null<linalg::IndexOp>(def))
      return iteration[at.getDim()];
    if (!isa_and_nonnull<arith::AddIOp, arith::SubIOp>(def))
      return {};
    AffineExpr lhs = exprOf(def->getOperand(0)),
               rhs = exprOf(def->getOperand(1));
    if (!lhs || !rhs)
      return {};
    return isa<arith::AddIOp>(def) ? lhs + rhs : lhs - rhs;
  };
  op.walk([&](Operation *inner) {
    if (auto extract = dyn_cast<tensor::ExtractOp>(inner)) {
      SmallVector<AffineExpr> where;
      for (Value i : extract.getIndices()) {
        AffineExpr expr = exprOf(i);
        where.push_back(expr ? expr : getAffineDimExpr(64, context));
      }
      findSeams(e, extract.getTensor(), where, lane, seams);
      return;
    }
    if (!isa<arith::CmpIOp, arith::MinSIOp, arith::MaxSIOp>(inner) ||
        !inner->getOperand(0).getType().isIndex())
      return;
    AffineExpr lhs = exprOf(inner->getOperand(0)),
               rhs = exprOf(inner->getOperand(1));
    if (!lhs || !rhs)
      return;
    // lhs - rhs = lane + c changes its sign at -c.
    if (auto c = graph::constantOf(lhs - rhs - laneDim))
      seams.insert(-*c);
    if (auto c = graph::constantOf(lhs - laneDim))
      seams.insert(-*c);
  });
  for (OpOperand *operand : op.getDpsInputOperands()) {
    SmallVector<AffineExpr> where;
    for (AffineExpr expr : op.getMatchingIndexingMap(operand).getResults())
      where.push_back(llvm::all_of(iteration, [](AffineExpr i) { return i; })
                          ? expr.replaceDims(iteration)
                          : getAffineDimExpr(64, context));
    findSeams(e, operand->get(), where, lane, seams);
  }
}

/// Elements per workgroup: about ten microseconds of work.
static constexpr int64_t elementsPerWorkgroup = 8192;

/// Stores `results` (all of the same dimensions) from workgroup `workgroup`
/// on; returns the number of workgroups.
static AffineExpr emitGroup(Context &c, ArrayRef<unsigned> results,
                            Linear workgroup, bool everything) {
  Emitter &e = c.e;
  MLIRContext *context = e.b.getContext();
  AffineExpr one = getAffineConstantExpr(1, context);
  SmallVector<AffineExpr> dims = e.resultMemory(results[0]).dims;
  auto storeAll = [&](const Position &position) {
    for (unsigned r : results)
      e.store(e.resultMemory(r), e.at(e.result(r), position), position);
  };
  if (dims.empty()) {
    storeAll({});
    return one;
  }
  // Dimensions that stay together everywhere are one loop: its number stands
  // at the last of them, the others are 0, and addresses come out the same.
  llvm::SmallBitVector joined(dims.size(), true);
  joined.reset(dims.size() - 1);
  SmallVector<AffineExpr> identity;
  for (unsigned d = 0; d < dims.size(); ++d)
    identity.push_back(getAffineDimExpr(d, context));
  unsigned fresh = 0;
  for (unsigned r : results)
    findSplits(e, e.result(r), identity, dims, joined, fresh);
  SmallVector<AffineExpr> sizes;
  SmallVector<unsigned> lasts;
  for (unsigned d = 0; d < dims.size(); ++d) {
    bool continues = d && joined.test(d - 1);
    if (!continues && graph::isConstant(dims[d], 1) && !joined.test(d) &&
        (d + 1 < dims.size() || !sizes.empty()))
      continue;
    if (continues) {
      sizes.back() = graph::simplify(sizes.back() * dims[d]);
      lasts.back() = d;
    } else {
      sizes.push_back(dims[d]);
      lasts.push_back(d);
    }
  }
  unsigned lane = lasts.back();
  SmallVector<AffineExpr> outer(sizes.begin(), sizes.end() - 1);
  AffineExpr rows = product(outer, context), columns = sizes.back();

  // A workgroup has some rows, or a piece of a long row.
  int64_t known = constantOr(columns, outer.empty() ? INT64_MAX : 1024);
  int64_t piece = 0, rowsEach = 1;
  if (known > 2 * elementsPerWorkgroup)
    piece = elementsPerWorkgroup;
  else
    rowsEach = std::max<int64_t>(1, elementsPerWorkgroup /
                                        std::max<int64_t>(known, 1));
  AffineExpr pieces = piece ? columns.ceilDiv(piece) : one;
  AffineExpr grid = graph::simplify(rows.ceilDiv(rowsEach) * pieces);

  Linear columnCount = e.size(columns), rowCount = e.size(rows);
  bool reduces = !c.reductions.empty();
  // Between its seams a row is plain; only few of them are worth the code.
  llvm::SmallSetVector<int64_t, 8> seams;
  SmallVector<int64_t> inner;
  if (auto length = graph::constantOf(columns); length && !piece) {
    if (lane == 0 || !joined.test(lane - 1))
      for (unsigned r : results)
        findSeams(e, e.result(r), identity, lane, seams);
    for (int64_t seam : seams)
      if (seam > 0 && seam < *length)
        inner.push_back(seam);
    llvm::sort(inner);
    if (inner.size() > 64)
      inner.clear();
  }
  auto row = [&](Linear o, Linear lower, Linear upper) {
    IndexVector split = e.delinearize(o, outer), at(dims.size());
    for (unsigned i = 0; i < outer.size(); ++i)
      at[lasts[i]] = split[i];
    auto segment = [&](Linear from, Linear to) {
      forLanes(e, from, to, reduces ? 1 : 4, [&](Linear i, Value mask) {
        Position position{at, mask};
        position.index[lane] = i;
        storeAll(position);
      });
    };
    if (inner.empty()) {
      segment(lower, upper);
      return;
    }
    int64_t from = 0;
    for (int64_t seam : inner) {
      segment(Linear(from), Linear(seam));
      from = seam;
    }
    segment(Linear(from), columnCount);
  };
  if (everything) {
    e.loop(Linear(0), rowCount, 1,
           [&](Linear o) { row(o, Linear(0), columnCount); });
    return one;
  }
  if (piece) {
    Linear count = e.size(pieces);
    Linear o =
        outer.empty() ? Linear(0) : e.index.floorDivide(workgroup, count);
    Linear p = outer.empty() ? workgroup : e.index.modulo(workgroup, count);
    Linear lower = p * piece;
    Linear upper = Linear::of(e.minimum(lower + Linear(piece), columnCount));
    // An exact number of pieces keeps its loops free of tails.
    if (columnCount.isConstant() && columnCount.constant % piece == 0)
      upper = lower + Linear(piece);
    row(o, lower, upper);
    return grid;
  }
  Linear lower = workgroup * rowsEach;
  if (constantOr(rows, 0) == 1) {
    row(Linear(0), Linear(0), columnCount);
    return grid;
  }
  Linear upper = lower + Linear(rowsEach);
  if (!rowCount.isConstant() || rowCount.constant % rowsEach)
    upper = Linear::of(e.minimum(upper, rowCount));
  e.loop(lower, upper, 1, [&](Linear o) { row(o, Linear(0), columnCount); });
  return grid;
}

void emitPointwise(Context &c) {
  Emitter &e = c.e;
  SmallVector<SmallVector<unsigned>> groups;
  for (unsigned r = 0; r < e.numResults(); ++r) {
    auto same = llvm::find_if(groups, [&](auto &group) {
      return e.resultMemory(group[0]).dims == e.resultMemory(r).dims;
    });
    if (same == groups.end())
      groups.push_back({r});
    else
      same->push_back(r);
  }
  // The largest group is spread; others, which fusion rarely makes, are done
  // by the first workgroup.
  llvm::stable_sort(groups, [&](auto &x, auto &y) {
    auto size = [&](auto &group) {
      return constantOr(
          product(e.resultMemory(group[0]).dims, e.b.getContext()), INT64_MAX);
    };
    return size(x) > size(y);
  });
  for (auto [i, group] : llvm::enumerate(groups)) {
    if (i == 0) {
      c.grid = emitGroup(c, group, c.workgroup, false);
      continue;
    }
    Value first =
        arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::eq,
                              e.index.base(c.workgroup), e.index.constant(0));
    auto guard = scf::IfOp::create(e.b, e.loc, first);
    OpBuilder::InsertionGuard insertion(e.b);
    Emitter::Scope scope(e);
    e.b.setInsertionPointToStart(guard.thenBlock());
    emitGroup(c, group, c.workgroup, true);
  }
}

} // namespace aicc::backends::cpu
