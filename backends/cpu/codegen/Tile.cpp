//===- Tile.cpp - register-tiled products, convolutions and windows -------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One reduction: vectors run along one of its parallel loops (the lanes: along
// which operands and results are contiguous), a register tile covers a few
// vectors and several iterations of another parallel loop (the rows), so that
// a loaded vector of the one operand meets several elements of the other.
// Rows are split into balanced strips: with M rows and tiles of at most R,
// ceil(M / R) strips whose sizes differ by one at most, each of them a fully
// static tile. The result's elementwise consumers are computed on the tile.
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

/// Coefficient of a loop in an index expression; negative: not a multiple.
/// Of `x floordiv c` the lanes of one vector see the same value, of `x mod c`
/// the next one (packed weights).
static int64_t coefficientOf(AffineExpr expr, unsigned loop) {
  if (auto dim = dyn_cast<AffineDimExpr>(expr))
    return dim.getPosition() == loop;
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!binary)
    return 0;
  int64_t lhs = coefficientOf(binary.getLHS(), loop);
  int64_t rhs = coefficientOf(binary.getRHS(), loop);
  if (lhs < 0 || rhs < 0)
    return -1;
  switch (binary.getKind()) {
  case AffineExprKind::Add:
    return lhs + rhs;
  case AffineExprKind::Mul:
    if (lhs == 0)
      return 0;
    if (auto factor = graph::constantOf(binary.getRHS()); factor && *factor > 0)
      return lhs * *factor;
    return -1;
  case AffineExprKind::FloorDiv:
    return lhs <= 1 ? 0 : -1;
  case AffineExprKind::Mod:
    return lhs <= 1 ? lhs : -1;
  default:
    return lhs == 0 && rhs == 0 ? 0 : -1;
  }
}

SmallVector<Access> accessesOf(linalg::GenericOp op) {
  MLIRContext *context = op.getContext();
  SmallVector<Access> accesses;
  for (OpOperand *operand : op.getDpsInputOperands())
    if (!op.getMatchingBlockArgument(operand).use_empty())
      accesses.push_back(
          {operand->get(),
           llvm::to_vector(op.getMatchingIndexingMap(operand).getResults())});
  std::function<AffineExpr(Value)> exprOf = [&](Value value) -> AffineExpr {
    AffineExpr other = getAffineDimExpr(op.getNumLoops(), context);
    APInt constant;
    if (matchPattern(value, m_ConstantInt(&constant)))
      return getAffineConstantExpr(constant.getSExtValue(), context);
    Operation *def = value.getDefiningOp();
    if (auto at = dyn_cast_or_null<linalg::IndexOp>(def))
      return getAffineDimExpr(at.getDim(), context);
    if (isa_and_nonnull<arith::MinSIOp, arith::MaxSIOp>(def))
      return exprOf(def->getOperand(0));
    if (!isa_and_nonnull<arith::AddIOp, arith::SubIOp, arith::MulIOp>(def))
      return other;
    AffineExpr lhs = exprOf(def->getOperand(0)),
               rhs = exprOf(def->getOperand(1));
    if (isa<arith::AddIOp>(def))
      return lhs + rhs;
    if (isa<arith::SubIOp>(def))
      return lhs - rhs;
    return rhs.isSymbolicOrConstant() || lhs.isSymbolicOrConstant() ? lhs * rhs
                                                                    : other;
  };
  op.walk([&](tensor::ExtractOp extract) {
    Access access{extract.getTensor(), {}};
    for (Value i : extract.getIndices())
      access.index.push_back(exprOf(i));
    accesses.push_back(access);
  });
  return accesses;
}

unsigned moveOf(Emitter &e, Value tensor, ArrayRef<AffineExpr> index,
                unsigned loop) {
  if (auto op = tensor.getDefiningOp<linalg::GenericOp>();
      op && !op.getNumReductionLoops()) {
    // Inlined: as its own operands move.
    unsigned r = cast<OpResult>(tensor).getResultNumber();
    AffineMap out = op.getMatchingIndexingMap(op.getDpsInitOperand(r));
    SmallVector<AffineExpr> iteration(
        op.getNumLoops(), getAffineConstantExpr(0, e.b.getContext()));
    for (auto [expr, at] : llvm::zip(out.getResults(), index)) {
      if (auto dim = dyn_cast<AffineDimExpr>(expr))
        iteration[dim.getPosition()] = at;
      else if (coefficientOf(at, loop) != 0)
        return 2;
    }
    unsigned worst = 0;
    for (OpOperand *operand : op.getDpsInputOperands()) {
      SmallVector<AffineExpr> where;
      for (AffineExpr expr : op.getMatchingIndexingMap(operand).getResults())
        where.push_back(expr.replaceDims(iteration));
      worst = std::max(worst, moveOf(e, operand->get(), where, loop));
    }
    return worst;
  }
  SmallVector<AffineExpr> dims = e.dims(tensor);
  std::optional<int64_t> stride = 1;
  int64_t move = 0;
  for (unsigned i = dims.size(); i-- > 0;) {
    int64_t coefficient = coefficientOf(index[i], loop);
    if (coefficient < 0)
      return 2;
    if (coefficient) {
      if (!stride)
        return 2;
      move += coefficient * *stride;
    }
    std::optional<int64_t> size = graph::constantOf(dims[i]);
    stride = stride && size ? std::optional(*stride * *size) : std::nullopt;
  }
  return move == 0 ? 0 : move == 1 ? 1 : 2;
}

namespace {
struct Form {
  linalg::GenericOp op;
  SmallVector<AffineExpr> sizes; // of all loops
  unsigned lane = 0;
  std::optional<unsigned> row;
  SmallVector<unsigned> outer;
  /// For each result of the kernel its index over the loops of `op`.
  SmallVector<SmallVector<AffineExpr>> results;
};
} // namespace

/// Where each result of the kernel is written, as expressions over the loops
/// of the reduction: fails if some result isn't one element per element of the
/// reduction.
static bool followResults(Emitter &e, Form &form) {
  linalg::GenericOp op = form.op;
  llvm::DenseMap<Value, SmallVector<AffineExpr>> indices;
  for (OpResult result : op->getResults())
    indices[result] = llvm::to_vector(
        op.getMatchingIndexingMap(op.getTiedOpOperand(result)).getResults());
  for (Operation &inner : *e.kernel.getBodyBlock()) {
    auto consumer = dyn_cast<linalg::GenericOp>(inner);
    if (!consumer || consumer == op)
      continue;
    SmallVector<AffineExpr> iteration(consumer.getNumLoops());
    bool depends = false;
    for (OpOperand &operand : consumer->getOpOperands()) {
      auto it = indices.find(operand.get());
      if (it == indices.end())
        continue;
      depends = true;
      AffineMap map = consumer.getMatchingIndexingMap(&operand);
      for (auto [expr, at] : llvm::zip(map.getResults(), it->second)) {
        auto dim = dyn_cast<AffineDimExpr>(expr);
        if (!dim)
          return false;
        AffineExpr &have = iteration[dim.getPosition()];
        if (have && have != at)
          return false;
        have = at;
      }
    }
    if (!depends)
      continue;
    if (consumer.getNumReductionLoops() ||
        llvm::any_of(iteration, [](AffineExpr i) { return !i; }))
      return false;
    for (OpResult result : consumer->getResults()) {
      SmallVector<AffineExpr> index;
      for (AffineExpr expr :
           consumer.getMatchingIndexingMap(consumer.getTiedOpOperand(result))
               .getResults())
        index.push_back(expr.replaceDims(iteration));
      indices[result] = index;
    }
  }
  for (unsigned r = 0; r < e.numResults(); ++r) {
    auto it = indices.find(e.result(r));
    if (it == indices.end())
      return false;
    form.results.push_back(it->second);
  }
  return true;
}

/// Is the body acc + x * y?
static bool isContraction(linalg::GenericOp op) {
  if (op.getNumDpsInits() != 1)
    return false;
  Operation *add =
      op.getBlock()->getTerminator()->getOperand(0).getDefiningOp();
  if (!add || !isa<arith::AddFOp, arith::AddIOp>(add))
    return false;
  return llvm::any_of(add->getOperands(), [](Value v) {
    Operation *mul = v.getDefiningOp();
    return mul && isa<arith::MulFOp, arith::MulIOp>(mul);
  });
}

/// Whether the body reads a tensor at a place that other elements tell.
static bool readsByData(linalg::GenericOp op) {
  std::function<bool(Value)> isData = [&](Value value) {
    if (isa<BlockArgument>(value))
      return value.getParentBlock() == op.getBody();
    Operation *def = value.getDefiningOp();
    return def->getBlock() == op.getBody() &&
           (isa<tensor::ExtractOp>(def) ||
            llvm::any_of(def->getOperands(), isData));
  };
  bool found = false;
  op.walk([&](tensor::ExtractOp extract) {
    found |= llvm::any_of(extract.getIndices(), isData);
  });
  return found;
}

static bool chooseLoops(Context &c, Form &form) {
  Emitter &e = c.e;
  linalg::GenericOp op = form.op;
  SmallVector<unsigned> parallel;
  op.getParallelDims(parallel);
  if (parallel.empty())
    return false;
  SmallVector<Access> accesses = accessesOf(op);
  auto operandMove = [&](const Access &access, unsigned loop) {
    return moveOf(e, access.tensor, access.index, loop);
  };
  // Lanes: contiguous or unmoved everywhere, contiguous in the results.
  std::optional<unsigned> lane, gathering;
  for (unsigned loop : llvm::reverse(parallel)) {
    if (graph::isConstant(form.sizes[loop], 1))
      continue;
    bool results = true;
    for (unsigned r = 0; r < e.numResults(); ++r) {
      auto dims = e.resultMemory(r).dims;
      int64_t last =
          dims.empty() ? 0 : coefficientOf(form.results[r].back(), loop);
      unsigned trailing = dims.size();
      while (trailing > 1 && graph::isConstant(dims[trailing - 1], 1))
        last = coefficientOf(form.results[r][--trailing - 1], loop);
      results &= last == 1;
    }
    unsigned worst = 0;
    for (const Access &access : accesses)
      worst = std::max(worst, operandMove(access, loop));
    if (!results)
      continue;
    if (worst == 1 && !lane)
      lane = loop;
    if (!gathering)
      gathering = loop;
  }
  // Rows share nothing of what is read by data, and each of their reads is code
  // of its own: for every number of rows, where that is dynamic.
  bool byData = readsByData(op);
  if (!lane && isContraction(op) && !byData)
    lane = gathering;
  if (!lane)
    return false;
  form.lane = *lane;
  // Rows: another loop along which an operand of the lanes stays, the one
  // with most iterations, the innermost of equals.
  int64_t best = 0;
  for (unsigned loop : llvm::reverse(parallel)) {
    if (loop == form.lane || byData)
      continue;
    int64_t size = constantOr(form.sizes[loop], 64);
    bool stays = llvm::any_of(accesses, [&](const Access &access) {
      return operandMove(access, form.lane) >= 1 &&
             operandMove(access, loop) == 0;
    });
    int64_t score = size <= 1 ? 0 : stays ? 2 : 1;
    // Neighbours in memory are better rows than far ones: take the innermost
    // loop that fills a tile.
    if (score && size >= 4)
      score += 2;
    if (score > best) {
      best = score;
      form.row = loop;
    }
  }
  for (unsigned loop : parallel)
    if (loop != form.lane && loop != form.row)
      form.outer.push_back(loop);
  return true;
}

namespace {
class TileEmitter {
public:
  TileEmitter(Context &context, Form &form)
      : c(context), e(context.e), form(form) {}
  void emit();

private:
  void panel(Linear lane, unsigned vectors, bool masked, Linear firstStrip,
             Linear lastStrip, IndexVector &outer);
  void tile(unsigned rows, Linear row, Linear lane, ArrayRef<Value> masks,
            ArrayRef<Linear> outer);
  void strips(Linear lane, ArrayRef<Value> masks, Linear first, Linear last,
              ArrayRef<Linear> outer);

  Context &c;
  Emitter &e;
  Form &form;
  unsigned maxRows = 1;
  int64_t unroll = 1;
};
} // namespace

/// Computes one register tile and everything that depends on it.
void TileEmitter::tile(unsigned rows, Linear row, Linear lane,
                       ArrayRef<Value> masks, ArrayRef<Linear> outer) {
  Emitter::Scope scope(e);
  std::vector<Position> positions;
  for (unsigned r = 0; r < rows; ++r)
    for (auto [v, mask] : llvm::enumerate(masks)) {
      Position position;
      position.index.resize(form.op.getNumLoops());
      for (auto [loop, at] : llvm::zip(form.outer, outer))
        position.index[loop] = at;
      if (form.row)
        position.index[*form.row] = row + Linear(r);
      Linear at = lane + Linear(int64_t(v) * e.width);
      at.stride = 1;
      position.index[form.lane] = at;
      position.mask = mask;
      positions.push_back(position);
    }
  auto accumulators = e.reduce(form.op, positions, unroll);
  for (auto [position, values] : llvm::zip(positions, accumulators)) {
    for (auto [result, value] : llvm::zip(form.op->getResults(), values))
      e.setValue(result, value);
    for (unsigned r = 0; r < e.numResults(); ++r) {
      Position where;
      where.mask = position.mask;
      for (AffineExpr expr : form.results[r])
        where.index.push_back(e.index.apply(expr, position.index, {}));
      e.store(e.resultMemory(r), e.at(e.result(r), where), where);
    }
  }
  for (OpResult result : form.op->getResults())
    e.clearValue(result);
}

/// Strips first … last - 1 of balanced strips over all rows.
void TileEmitter::strips(Linear lane, ArrayRef<Value> masks, Linear first,
                         Linear last, ArrayRef<Linear> outer) {
  if (!form.row) {
    tile(1, Linear(0), lane, masks, outer);
    return;
  }
  Linear rows = e.size(form.sizes[*form.row]);
  if (rows.isConstant()) {
    int64_t count = llvm::divideCeilSigned(rows.constant, maxRows);
    int64_t each = rows.constant / count, longer = rows.constant % count;
    auto run = [&](int64_t size, Linear lower, Linear upper, Linear offset) {
      e.loop(lower, upper, 1, [&](Linear s) {
        tile(size, s * size + offset, lane, masks, outer);
      });
    };
    bool whole = first.isConstant() && last.isConstant();
    auto bound = [&](Linear x, int64_t limit, bool atMost) {
      if (whole)
        return Linear(atMost ? std::min(x.constant, limit)
                             : std::max(x.constant, limit));
      Value y = e.index.base(x), z = e.index.constant(limit);
      return Linear::of(
          atMost ? arith::MinSIOp::create(e.b, e.loc, y, z).getResult()
                 : arith::MaxSIOp::create(e.b, e.loc, y, z).getResult());
    };
    if (longer)
      run(each + 1, first, bound(last, longer, true), Linear(0));
    run(each, longer ? bound(first, longer, false) : first, last,
        Linear(longer));
    return;
  }
  // The same with a size known at run time: a jump to one of the static tiles.
  Linear count = e.index.ceilDivide(rows, Linear(maxRows));
  Value each = e.index.base(e.index.floorDivide(rows, count));
  Value longer = e.index.base(e.index.modulo(rows, count));
  e.loop(first, last, 1, [&](Linear s) {
    Value strip = e.index.base(s);
    Value isLonger = arith::CmpIOp::create(
        e.b, e.loc, arith::CmpIPredicate::slt, strip, longer);
    Value size = arith::AddIOp::create(
        e.b, e.loc, each,
        arith::ExtUIOp::create(e.b, e.loc, e.b.getI64Type(), isLonger));
    Value before = arith::MinSIOp::create(e.b, e.loc, strip, longer);
    Value start = arith::AddIOp::create(
        e.b, e.loc, arith::MulIOp::create(e.b, e.loc, strip, each), before);
    SmallVector<int64_t> cases;
    for (unsigned r = 1; r < maxRows; ++r)
      cases.push_back(r);
    Value selector =
        arith::IndexCastOp::create(e.b, e.loc, e.b.getIndexType(), size);
    auto jump = scf::IndexSwitchOp::create(e.b, e.loc, TypeRange{}, selector,
                                           cases, cases.size());
    for (unsigned r = 1; r <= maxRows; ++r) {
      OpBuilder::InsertionGuard guard(e.b);
      Region &region =
          r < maxRows ? jump.getCaseRegions()[r - 1] : jump.getDefaultRegion();
      e.b.setInsertionPointToStart(&region.emplaceBlock());
      tile(r, Linear::of(start), lane, masks, outer);
      scf::YieldOp::create(e.b, e.loc);
    }
  });
}

/// Multiply-adds of a workgroup: some 20 to 40 microseconds.
static constexpr int64_t workPerWorkgroup = 2'000'000;

void TileEmitter::emit() {
  const target::TargetRecord &record = c.record;
  MLIRContext *context = e.b.getContext();
  AffineExpr one = getAffineConstantExpr(1, context);
  SmallVector<unsigned> reduced;
  form.op.getReductionDims(reduced);
  AffineExpr laneSize = form.sizes[form.lane];
  AffineExpr rowSize = form.row ? form.sizes[*form.row] : one;
  int64_t width = e.width;

  // The register tile.
  bool strided = llvm::any_of(reduced, [&](unsigned loop) {
    return !graph::constantOf(form.sizes[loop]);
  });
  // Run-time row strides need a register per row.
  maxRows = strided ? std::min(record.tileRows, 8u) : record.tileRows;
  unsigned vectors = record.tileVectors;
  unsigned budget = record.tileRows * record.tileVectors;
  int64_t lanes = constantOr(laneSize, INT64_MAX);
  int64_t rows = constantOr(rowSize, INT64_MAX);
  unsigned needed = lanes == INT64_MAX
                        ? vectors
                        : std::max<int64_t>(1, llvm::divideCeil(lanes, width));
  if (rows == 1) {
    // One row: several panels at once, else the additions' latency shows.
    while (vectors * 2 <= std::min(budget, 8u) && vectors * 2 <= needed)
      vectors *= 2;
  } else if (needed < vectors) {
    vectors = needed;
    if (!strided)
      maxRows = std::min(budget / vectors, record.vectorRegisters / 2);
  }
  // A window has no operand to share; rows only overlap its loads.
  if (!isContraction(form.op))
    maxRows = std::min(maxRows, 4u);
  if (rows != INT64_MAX)
    maxRows = std::min<int64_t>(maxRows, rows);
  auto innermost = graph::constantOf(form.sizes[reduced.back()]);
  unroll = !isContraction(form.op)            ? 1
           : innermost && *innermost % 4 == 0 ? 4
                                              : 2;

  // Workgroups: some panels of lanes, some outer iterations, some strips.
  int64_t panelLanes = vectors * width;
  AffineExpr panels = laneSize.ceilDiv(panelLanes);
  AffineExpr stripCount = rowSize.ceilDiv(maxRows);
  SmallVector<AffineExpr> outerSizes;
  for (unsigned loop : form.outer)
    outerSizes.push_back(form.sizes[loop]);
  AffineExpr outerCount = product(outerSizes, context);
  int64_t depth = 1;
  for (unsigned loop : reduced)
    depth *= constantOr(form.sizes[loop], 64);
  depth = std::max<int64_t>(depth, 1);
  int64_t perStrip = depth * panelLanes * maxRows;
  int64_t numStrips = constantOr(stripCount, 16);
  int64_t numOuter = constantOr(outerCount, 16);
  int64_t numPanels = constantOr(panels, 64);
  // The rows of a workgroup should stay in half of the L2 cache.
  int64_t stripsEach = std::clamp<int64_t>(
      record.l2Bytes / 2 / std::max<int64_t>(4 * depth * maxRows, 1), 1,
      numStrips);
  stripsEach = std::min(stripsEach,
                        std::max<int64_t>(1, 2 * workPerWorkgroup / perStrip));
  int64_t outerEach = 1, panelsEach = 1;
  if (stripsEach == numStrips) {
    stripsEach = std::max<int64_t>(stripsEach, 1);
    outerEach = std::clamp<int64_t>(workPerWorkgroup / (perStrip * stripsEach),
                                    1, numOuter);
    if (outerEach == numOuter)
      panelsEach = std::clamp<int64_t>(
          workPerWorkgroup / (perStrip * stripsEach * outerEach), 1, numPanels);
  }
  // Weights stream from memory: the first reader of a panel fetches the next
  // one into L2; with a single strip there is no time for that, and what comes
  // in 4 KiB goes to L1.
  for (OpOperand *operand : form.op.getDpsInputOperands()) {
    auto map = form.op.getMatchingIndexingMap(operand);
    bool moves = moveOf(e, operand->get(), map.getResults(), form.lane) == 1;
    bool stays = !form.row ||
                 moveOf(e, operand->get(), map.getResults(), *form.row) == 0;
    if (!isContraction(form.op) || !moves || !stays)
      continue;
    int64_t bytes = depth * panelLanes * 4;
    if (numStrips * numOuter > 1 && bytes < (1 << 20))
      e.setPrefetch(operand->get(), bytes, 2);
    else
      e.setPrefetch(operand->get(), 4096, 3);
  }
  AffineExpr stripBlocks = graph::simplify(stripCount.ceilDiv(stripsEach));
  AffineExpr outerBlocks = graph::simplify(outerCount.ceilDiv(outerEach));
  AffineExpr panelBlocks = graph::simplify(panels.ceilDiv(panelsEach));
  c.grid = graph::simplify(panelBlocks * outerBlocks * stripBlocks);

  auto range = [&](Linear block, int64_t each, AffineExpr count,
                   AffineExpr blocks) -> std::pair<Linear, Linear> {
    Linear total = e.size(count);
    if (graph::isConstant(blocks, 1))
      return {Linear(0), total};
    if (each == 1)
      return {block, block + Linear(1)};
    Linear lower = block * each, upper = lower + Linear(each);
    if (!total.isConstant() || total.constant % each)
      upper = Linear::of(e.minimum(upper, total));
    return {lower, upper};
  };
  IndexVector block =
      e.delinearize(c.workgroup, {panelBlocks, outerBlocks, stripBlocks});
  if (graph::isConstant(outerBlocks, 1) && graph::isConstant(stripBlocks, 1))
    block[0] = c.workgroup;
  auto [firstStrip, lastStrip] =
      range(block[2], stripsEach, stripCount, stripBlocks);
  auto [firstOuter, lastOuter] =
      range(block[1], outerEach, outerCount, outerBlocks);
  auto [firstPanel, lastPanel] =
      range(block[0], panelsEach, panels, panelBlocks);

  auto forOuter = [&](Linear lane, ArrayRef<Value> masks) {
    auto body = [&](Linear o) {
      IndexVector at = e.delinearize(o, outerSizes);
      strips(lane, masks, firstStrip, lastStrip, at);
    };
    if (graph::isConstant(outerCount, 1))
      body(Linear(0));
    else
      e.loop(firstOuter, lastOuter, 1, body);
  };
  SmallVector<Value> unmasked(vectors);
  Linear laneCount = e.size(laneSize);
  if (laneCount.isConstant()) {
    int64_t whole = laneCount.constant / panelLanes;
    int64_t rest = laneCount.constant % panelLanes;
    auto tail = [&] {
      SmallVector<Value> masks;
      for (int64_t v = 0; v * width < rest; ++v)
        masks.push_back(rest - v * width >= width
                            ? Value()
                            : e.laneMask(Linear(rest - v * width)));
      forOuter(Linear(whole * panelLanes), masks);
    };
    if (!rest) {
      e.loop(firstPanel, lastPanel, 1,
             [&](Linear p) { forOuter(p * panelLanes, unmasked); });
      return;
    }
    if (!whole) {
      tail();
      return;
    }
    Value end = e.minimum(lastPanel, Linear(whole));
    e.loop(firstPanel, lastPanel.isConstant() ? Linear(whole) : Linear::of(end),
           1, [&](Linear p) { forOuter(p * panelLanes, unmasked); });
    Value hasTail =
        arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::sgt,
                              e.index.base(lastPanel), e.index.constant(whole));
    auto guard = scf::IfOp::create(e.b, e.loc, hasTail);
    OpBuilder::InsertionGuard insertion(e.b);
    Emitter::Scope scope(e);
    e.b.setInsertionPointToStart(guard.thenBlock());
    tail();
    return;
  }
  // A width known at run time: full panels, and a masked one.
  Linear whole = e.index.floorDivide(laneCount, Linear(panelLanes));
  Linear end = Linear::of(e.minimum(lastPanel, whole));
  e.loop(firstPanel, end, 1,
         [&](Linear p) { forOuter(p * panelLanes, unmasked); });
  Value from = arith::MaxSIOp::create(e.b, e.loc, e.index.base(firstPanel),
                                      e.index.base(whole));
  e.loop(Linear::of(from), lastPanel, 1, [&](Linear p) {
    SmallVector<Value> masks;
    Linear left = laneCount + p * -panelLanes;
    for (unsigned v = 0; v < vectors; ++v)
      masks.push_back(e.laneMask(left + Linear(-int64_t(v) * width)));
    forOuter(p * panelLanes, masks);
  });
}

bool emitTile(Context &c) {
  if (c.reductions.size() != 1)
    return false;
  Form form;
  form.op = c.reductions[0];
  form.sizes = c.e.loopSizes(form.op);
  if (!followResults(c.e, form) || !chooseLoops(c, form))
    return false;
  TileEmitter(c, form).emit();
  return true;
}

} // namespace aicc::backends::cpu
