//===- AttentionMask.cpp - keys that a tile of queries can't see ----------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/gpu/AttentionMask.h"

#include "compiler/gpu/Strategies.h"
#include "compiler/lowering/Lowering.h"

#include "dialects/graph/Dims.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace aicc;
using namespace aicc::gpu;

/// Numbers that data may be for sums of a few of them to be numbers, too; no
/// key has a number as large.
static constexpr int64_t largest = int64_t(1) << 60;

/// The number that a value of a body is, whatever the loops are.
static FloatAttr numberOf(linalg::GenericOp generic, Value inBody) {
  Value given = inBody;
  if (Value tensor = tensorOf(generic, inBody)) {
    if (linalg::GenericOp inner = elementwiseOf(tensor))
      return numberOf(inner, yielded(inner));
    given = tensor;
  }
  Attribute value;
  if (!matchPattern(given, m_Constant(&value)))
    return nullptr;
  if (auto elements = dyn_cast<SplatElementsAttr>(value))
    value = elements.getSplatValue<Attribute>();
  return dyn_cast<FloatAttr>(value);
}

static bool hides(linalg::GenericOp generic, Value inBody) {
  FloatAttr number = numberOf(generic, inBody);
  return number && number.getValue().isInfinity() &&
         number.getValue().isNegative();
}

//===----------------------------------------------------------------------===//
// Intervals
//===----------------------------------------------------------------------===//

Value AttentionMask::least(Value x, Value y, bool most) {
  auto m = e.constantOf(x), n = e.constantOf(y);
  if (m && n)
    return e.constant(most ? std::max(*m, *n) : std::min(*m, *n));
  if (x == y)
    return x;
  if (most)
    return arith::MaxSIOp::create(e.b, e.loc, x, y);
  return arith::MinSIOp::create(e.b, e.loc, x, y);
}

AttentionMask::Interval AttentionMask::pointAt(Value value, bool negative) {
  return {value, value, 0, negative};
}

AttentionMask::Interval AttentionMask::sum(const Interval &x,
                                           const Interval &y) {
  if (!x.low || !y.low)
    return {};
  Value low = e.add(x.low, y.low);
  bool point = x.low == x.high && y.low == y.high;
  return {low, point ? low : e.add(x.high, y.high), x.scale + y.scale,
          x.negative || y.negative};
}

AttentionMask::Interval AttentionMask::product(const Interval &x,
                                               int64_t factor) {
  if (!x.low)
    return {};
  Value low = e.mul(x.low, e.constant(factor));
  Value high = x.low == x.high ? low : e.mul(x.high, e.constant(factor));
  if (factor < 0)
    std::swap(low, high);
  return {low, high, x.scale * factor, x.negative || factor < 0};
}

AttentionMask::Interval AttentionMask::apply(AffineExpr expr,
                                             ArrayRef<Interval> dims) {
  if (auto dim = dyn_cast<AffineDimExpr>(expr))
    return dims[dim.getPosition()];
  if (expr.isSymbolicOrConstant())
    return pointAt(e.apply(expr), /*negative=*/true);
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!binary)
    return {};
  if (binary.getKind() == AffineExprKind::Add)
    return sum(apply(binary.getLHS(), dims), apply(binary.getRHS(), dims));
  auto factor = dyn_cast<AffineConstantExpr>(binary.getRHS());
  if (binary.getKind() == AffineExprKind::Mul && factor)
    return product(apply(binary.getLHS(), dims), factor.getValue());
  return {};
}

/// The generic that computes an operand, at the operand's index.
std::optional<AttentionMask::Place> AttentionMask::inside(const Place &at,
                                                          Value inBody) {
  linalg::GenericOp inner = elementwiseOf(tensorOf(at.generic, inBody));
  if (!inner)
    return std::nullopt;
  Interval zero = pointAt(e.constant(0), false);
  Place place{inner, SmallVector<Interval>(inner.getNumLoops(), zero)};
  linalg::GenericOp outer = at.generic;
  OpOperand &operand =
      outer->getOpOperand(cast<BlockArgument>(inBody).getArgNumber());
  AffineMap to =
      inner.getIndexingMapMatchingResult(cast<OpResult>(inner->getResult(0)));
  for (auto [mine, theirs] :
       llvm::zip(outer.getMatchingIndexingMap(&operand).getResults(),
                 to.getResults())) {
    Interval index = apply(mine, at.loops);
    auto dim = dyn_cast<AffineDimExpr>(theirs);
    for (unsigned loop = 0; loop < place.loops.size(); ++loop)
      if (theirs.isFunctionOfDim(loop))
        place.loops[loop] = dim ? index : Interval();
  }
  return place;
}

/// A value that depends on no loop that isn't a point: it is computed.
AttentionMask::Interval AttentionMask::pointOf(const Place &at, Value inBody) {
  llvm::SmallBitVector used = loopsUsed(at.generic, inBody);
  SmallVector<Value> loops;
  for (auto [number, interval] : llvm::enumerate(at.loops)) {
    if (used[number] && !interval.isPoint())
      return {};
    loops.push_back(interval.low ? interval.low : e.constant(0));
  }
  Point point{at.generic, loops, {}};
  Value value = e.evaluate(point, inBody);
  if (!value || !(value.getType().isIndex() || value.getType().isInteger()))
    return {};
  if (!value.getType().isIndex())
    value = arith::IndexCastOp::create(e.b, e.loc, e.b.getIndexType(), value);
  value = least(least(value, e.constant(largest), false), e.constant(-largest),
                true);
  return pointAt(value, /*negative=*/true);
}

AttentionMask::Interval AttentionMask::valueOf(const Place &at, Value inBody) {
  if (std::optional<Place> deeper = inside(at, inBody))
    return valueOf(*deeper, yielded(deeper->generic));
  if (inBody.getType().isIndex())
    if (AffineExpr expr = lowering::expressionOf(inBody))
      return pointAt(e.apply(expr), /*negative=*/true);
  Attribute constant;
  Value tensor = tensorOf(at.generic, inBody);
  if (matchPattern(tensor ? tensor : inBody, m_Constant(&constant))) {
    if (auto elements = dyn_cast<SplatElementsAttr>(constant))
      constant = elements.getSplatValue<Attribute>();
    if (auto number = dyn_cast<IntegerAttr>(constant))
      if (number.getValue().getSignificantBits() <= 60)
        return pointAt(e.constant(number.getValue().getSExtValue()),
                       number.getValue().isNegative());
  }
  Operation *op = inBody.getDefiningOp();
  if (auto index = dyn_cast_or_null<linalg::IndexOp>(op))
    return at.loops[index.getDim()];
  if (isa_and_nonnull<arith::IndexCastOp, arith::ExtSIOp>(op) &&
      !op->getOperand(0).getType().isInteger(1))
    return valueOf(at, op->getOperand(0));
  if (isa_and_nonnull<arith::AddIOp, arith::SubIOp>(op)) {
    Interval y = valueOf(at, op->getOperand(1));
    if (isa<arith::SubIOp>(op))
      y = product(y, -1);
    return sum(valueOf(at, op->getOperand(0)), y);
  }
  if (isa_and_nonnull<arith::MulIOp>(op)) {
    Interval x = valueOf(at, op->getOperand(0)),
             y = valueOf(at, op->getOperand(1));
    if (auto factor = y.isPoint() ? e.constantOf(y.low) : std::nullopt)
      return product(x, *factor);
    if (auto factor = x.isPoint() ? e.constantOf(x.low) : std::nullopt)
      return product(y, *factor);
  }
  if (isa_and_nonnull<arith::MinSIOp, arith::MaxSIOp>(op)) {
    Interval x = valueOf(at, op->getOperand(0)),
             y = valueOf(at, op->getOperand(1));
    bool most = isa<arith::MaxSIOp>(op);
    if (x.low && y.low && !x.scale && !y.scale)
      return {least(x.low, y.low, most), least(x.high, y.high, most), 0,
              x.negative || y.negative};
  }
  return pointOf(at, inBody);
}

//===----------------------------------------------------------------------===//
// What is seen
//===----------------------------------------------------------------------===//

/// Keys for which a comparison of x with y holds for some queries, for all.
void AttentionMask::bound(arith::CmpIPredicate predicate, Interval x,
                          Interval y, bool &known) {
  using P = arith::CmpIPredicate;
  bool isUnsigned = predicate == P::ult || predicate == P::ule ||
                    predicate == P::ugt || predicate == P::uge;
  if (!x.low || !y.low || (isUnsigned && (x.negative || y.negative)))
    return;
  if (predicate == P::sgt || predicate == P::sge || predicate == P::ugt ||
      predicate == P::uge)
    std::swap(x, y);
  bool equal = predicate == P::sle || predicate == P::sge ||
               predicate == P::ule || predicate == P::uge;
  if (!equal && predicate != P::slt && predicate != P::sgt && !isUnsigned)
    return;
  // scale * key < low … high, those of y - x.
  Interval rest =
      sum({y.low, y.high, 0, true}, product({x.low, x.high, 0, true}, -1));
  int64_t scale = x.scale - y.scale;
  auto join = [&](Value &known, Value limit, bool most) {
    known = known ? least(known, limit, most) : limit;
  };
  if (scale == 1) {
    Value more = e.constant(equal);
    join(someEnd, e.add(rest.high, more), false);
    join(allEnd, e.add(rest.low, more), false);
    known = true;
  } else if (scale == -1) { // -key < z: key > -z
    rest = product(rest, -1);
    Value more = e.constant(!equal);
    join(someFirst, e.add(rest.low, more), true);
    join(allFirst, e.add(rest.high, more), true);
    known = true;
  }
}

/// Bounds keys for which the condition holds (or doesn't); returns whether it
/// does for all keys within the bounds.
bool AttentionMask::visible(const Place &at, Value condition, bool holds) {
  if (std::optional<Place> deeper = inside(at, condition))
    return visible(*deeper, yielded(deeper->generic), holds);
  Operation *op = condition.getDefiningOp();
  if (isa_and_nonnull<arith::XOrIOp>(op))
    for (unsigned side : {0, 1})
      if (matchPattern(op->getOperand(side), m_One()))
        return visible(at, op->getOperand(1 - side), !holds);
  if (holds ? isa_and_nonnull<arith::AndIOp>(op)
            : isa_and_nonnull<arith::OrIOp>(op)) {
    bool first = visible(at, op->getOperand(0), holds);
    return visible(at, op->getOperand(1), holds) && first;
  }
  auto compare = dyn_cast_or_null<arith::CmpIOp>(op);
  if (!compare)
    return false;
  arith::CmpIPredicate predicate = compare.getPredicate();
  if (!holds)
    predicate = arith::invertPredicate(predicate);
  bool known = false;
  bound(predicate, valueOf(at, compare.getLhs()), valueOf(at, compare.getRhs()),
        known);
  return known;
}

/// Where all that the value chooses is seen, another one is the same. A mask
/// that is read at several indices isn't replaced.
void AttentionMask::take(linalg::GenericOp generic, Value inBody,
                         Value instead) {
  bool ofScores = !requestsOf(generic->getResult(0)).empty();
  if (ofScores || generic->getResult(0).hasOneUse())
    seen.push_back({inBody, instead});
}

bool AttentionMask::isZeroIfSeen(linalg::GenericOp generic, Value inBody) {
  if (isZero(generic, inBody))
    return true;
  for (auto [from, to] : seen)
    if (from == inBody)
      return isZeroIfSeen(generic, to);
  if (linalg::GenericOp inner = elementwiseOf(tensorOf(generic, inBody)))
    return isZeroIfSeen(inner, yielded(inner));
  Operation *op = inBody.getDefiningOp();
  return isa_and_nonnull<arith::ExtFOp, arith::TruncFOp>(op) &&
         isZeroIfSeen(generic, op->getOperand(0));
}

/// Looks for choices that make a score minus infinity. What else it is made of
/// doesn't matter then: the score of a product that is no number, too.
void AttentionMask::hidden(const Place &at, Value score) {
  if (std::optional<Place> deeper = inside(at, score))
    return hidden(*deeper, yielded(deeper->generic));
  Operation *op = score.getDefiningOp();
  if (isa_and_nonnull<arith::ExtFOp, arith::TruncFOp>(op))
    return hidden(at, op->getOperand(0));
  if (isa_and_nonnull<arith::AddFOp>(op)) {
    hidden(at, op->getOperand(0));
    hidden(at, op->getOperand(1));
    for (unsigned side : {0, 1})
      if (!isZero(at.generic, op->getOperand(side)) &&
          isZeroIfSeen(at.generic, op->getOperand(side)))
        return take(at.generic, score, op->getOperand(1 - side));
    return;
  }
  auto select = dyn_cast_or_null<arith::SelectOp>(op);
  if (!select)
    return;
  for (bool holds : {true, false}) {
    Value chosen = holds ? select.getTrueValue() : select.getFalseValue();
    Value other = holds ? select.getFalseValue() : select.getTrueValue();
    if (!hides(at.generic, other))
      continue;
    if (visible(at, select.getCondition(), holds))
      take(at.generic, score, chosen);
    hidden(at, chosen);
    return;
  }
}

AttentionMask::AttentionMask(AttentionValues &values, Value firstQuery,
                             unsigned queries)
    : w(values), e(values.e) {
  const Attention &form = w.form;
  SmallVector<Interval> loops;
  for (Value point : w.point)
    loops.push_back(pointAt(point, /*negative=*/false));
  // Keys of several loops: only one that counts all of them.
  unsigned counting = 0;
  for (unsigned dim : form.keys)
    if (graph::constantOf(w.loops[dim]) != 1) {
      loops[dim] = {e.constant(0), e.constant(0), 1, false};
      ++counting;
    }
  if (counting != 1)
    return;
  // Queries from the first to the last: in each loop either neighbours or any.
  Value last = e.add(firstQuery, e.constant(queries - 1));
  last = least(last, e.add(e.apply(w.queryTotal), e.constant(-1)), false);
  Value first = firstQuery;
  for (unsigned i = form.queries.size(); i-- > 0;) {
    Value size = e.apply(w.querySizes[i]);
    Interval &loop = loops[form.queries[i]];
    if (graph::constantOf(w.querySizes[i]) == 1)
      continue;
    if (i == 0) {
      loop = {first, last, 0, false};
      break;
    }
    Value outerFirst = e.div(first, size), outerLast = e.div(last, size);
    Value same = arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::eq,
                                       outerFirst, outerLast);
    loop = {e.select(same, e.rem(first, size), e.constant(0)),
            e.select(same, e.rem(last, size), e.add(size, e.constant(-1))), 0,
            false};
    first = outerFirst;
    last = outerLast;
  }
  Interval zero = pointAt(e.constant(0), false);
  linalg::GenericOp generic = form.exponentials;
  Place at{generic, SmallVector<Interval>(generic.getNumLoops(), zero)};
  AffineMap to = generic.getIndexingMapMatchingResult(
      cast<OpResult>(generic->getResult(0)));
  for (auto [expr, theirs] : llvm::zip(form.index, to.getResults())) {
    Interval index = apply(expr, loops);
    auto dim = dyn_cast<AffineDimExpr>(theirs);
    for (unsigned loop = 0; loop < at.loops.size(); ++loop)
      if (theirs.isFunctionOfDim(loop))
        at.loops[loop] = dim ? index : Interval();
  }
  hidden(at, form.score);
}

SmallVector<KeyPart> AttentionMask::parts(unsigned tile, unsigned mostLoops) {
  Value none = e.constant(0), step = e.constant(tile),
        total = e.apply(w.keyTotal);
  auto atLeast0 = [&](Value x) { return least(x, none, true); };
  auto down = [&](Value x) { return e.mul(e.div(x, step), step); };
  auto up = [&](Value x) { return down(e.add(x, e.constant(tile - 1))); };
  auto limited = [&](Value limit) {
    return limit ? atLeast0(least(limit, total, false)) : total;
  };
  Value end = limited(someEnd);
  Value first = someFirst ? down(limited(someFirst)) : none;
  Value wholeFirst = allFirst ? up(limited(allFirst)) : none;
  auto known = graph::constantOf(w.keyTotal);
  bool tail = someEnd || !known || *known % tile;
  Value wholeEnd = tail ? down(limited(allEnd)) : end;
  SmallVector<KeyPart> found;
  auto add = [&](Value from, Value to, bool whole) {
    auto m = e.constantOf(from), n = e.constantOf(to);
    if (!m || !n || *m < *n)
      found.push_back({from, to, whole});
  };
  if (allFirst)
    add(first, least(wholeFirst, end, false), false);
  add(wholeFirst, wholeEnd, true);
  if (tail)
    add(least(wholeFirst, wholeEnd, true), end, false);
  if (found.size() > 1 && (found.size() > mostLoops || seen.empty()))
    return {{first, end, false}};
  return found;
}

void AttentionMask::assumeSeen(bool assumed) {
  for (auto [from, to] : seen)
    if (assumed)
      e.instead[from] = to;
    else
      e.instead.erase(from);
}

void aicc::gpu::forKeys(
    AttentionValues &values, Value firstQuery, unsigned queries, unsigned tile,
    unsigned mostLoops, SmallVector<Value> &state,
    llvm::function_ref<SmallVector<Value>(Value, ArrayRef<Value>, bool)> step,
    llvm::function_ref<void(Value)> before) {
  Emitter &e = values.e;
  AttentionMask mask(values, firstQuery, queries);
  SmallVector<KeyPart> parts = mask.parts(tile, mostLoops);
  if (before && !parts.empty())
    before(parts.front().first);
  for (const KeyPart &part : parts) {
    if (e.failed)
      return;
    mask.assumeSeen(part.whole);
    SmallVector<Value> ended;
    e.loop(
        part.first, part.end, e.constant(tile), state,
        [&](Value key0, ArrayRef<Value> carried) {
          return step(key0, carried, part.whole);
        },
        &ended);
    state = ended;
    mask.assumeSeen(false);
  }
}
