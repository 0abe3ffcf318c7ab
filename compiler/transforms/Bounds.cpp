//===- Bounds.cpp - how large the values of a model can be ----------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/transforms/Bounds.h"
#include "compiler/transforms/Evaluate.h"
#include "dialects/graph/Graph.h"

#include "llvm/ADT/TypeSwitch.h"

#include <algorithm>
#include <cmath>
#include <cstring>

using namespace mlir;
using namespace aicc::graph;

namespace aicc::transforms {

static constexpr double infinity = HUGE_VAL;

/// Values beyond this are no longer ordinary ones with some bias or scale.
static constexpr double large = 1e4;

double Bound::magnitude() const {
  return std::max(std::fabs(low), std::fabs(high));
}

static Bound known(double low, double high) {
  Bound bound;
  bound.low = low;
  bound.high = high;
  bound.assumed = false;
  return bound;
}

static Bound unlimited() {
  Bound bound = known(-infinity, infinity);
  bound.assumed = true;
  return bound;
}

static Bound join(const Bound &a, const Bound &b) {
  Bound bound;
  bound.low = std::min(a.low, b.low);
  bound.high = std::max(a.high, b.high);
  bound.assumed = a.assumed || b.assumed;
  bound.whole = a.whole && b.whole;
  return bound;
}

/// The finite elements of a constant.
static Bound boundOf(ElementsAttr value) {
  std::optional<ConstantData> data = dataOf(value);
  Type element = getElementTypeOrSelf(value.getType());
  if (!data || data->bytes.empty())
    return {};
  double low = infinity, high = -infinity;
  auto add = [&](double x) {
    if (!std::isfinite(x))
      return;
    low = std::min(low, x);
    high = std::max(high, x);
  };
  // In a mapped file they needn't be aligned.
  auto addAll = [&](auto x) {
    for (size_t i = 0; i + sizeof(x) <= data->bytes.size(); i += sizeof(x)) {
      std::memcpy(&x, data->bytes.data() + i, sizeof(x));
      add(x);
    }
  };
  if (element.isF32()) {
    addAll(float());
  } else if (element.isF64()) {
    addAll(double());
  } else {
    // What is stored in 16 bits fits into them.
    return {};
  }
  return low <= high ? known(low, high) : known(0, 0);
}

/// a * b where 0 * infinity is 0.
static double times(double a, double b) { return a == 0 || b == 0 ? 0 : a * b; }

static Bound multiply(const Bound &a, const Bound &b) {
  double corners[] = {times(a.low, b.low), times(a.low, b.high),
                      times(a.high, b.low), times(a.high, b.high)};
  return known(*std::min_element(std::begin(corners), std::end(corners)),
               *std::max_element(std::begin(corners), std::end(corners)));
}

/// What is assumed of two operands is assumed of their combination: sums and
/// products of activations are activations.
static Bound combined(Bound bound, const Bound &a, const Bound &b) {
  bound.assumed = a.assumed || b.assumed;
  if (a.assumed && b.assumed) {
    double most = std::max(a.magnitude(), b.magnitude());
    bound.low = std::max(bound.low, -most);
    bound.high = std::min(bound.high, most);
  }
  return bound;
}

/// x - max(x) along rows, which is never positive.
static bool isBelowMaximum(Value value) {
  auto minus = value.getDefiningOp<SubtractOp>();
  if (!minus)
    return false;
  Value most = minus.getRhs();
  while (Operation *op = most.getDefiningOp()) {
    if (!isa<BroadcastOp, ReshapeOp>(op))
      break;
    most = op->getOperand(0);
  }
  auto reduce = most.getDefiningOp<ReduceOp>();
  return reduce && reduce.getKind() == ReduceKind::maximum &&
         reduce.getOperand() == minus.getLhs();
}

Bound Bounds::elementwise(Operation *op) const {
  auto operand = [&](unsigned i) { return of(op->getOperand(i)); };
  if (isa<SelectOp>(op))
    return join(operand(1), operand(2));
  if (isa<graph::CastOp>(op))
    return cast(op);
  if (op->getNumOperands() == 0 || op->getNumOperands() > 2)
    return unlimited();
  Bound x = operand(0);
  if (op->getNumOperands() == 1) {
    auto monotonic = [&](double (*f)(double)) {
      Bound bound = known(f(x.low), f(x.high));
      bound.assumed = x.assumed;
      return bound;
    };
    if (isa<NegateOp>(op))
      return {-x.high, -x.low, x.assumed, x.whole};
    if (isa<AbsOp>(op))
      return {x.low <= 0 && x.high >= 0
                  ? 0
                  : std::min(std::fabs(x.low), std::fabs(x.high)),
              x.magnitude(), x.assumed, x.whole};
    if (isa<FloorOp, CeilOp, RoundEvenOp>(op))
      return {x.low - 1, x.high + 1, x.assumed, x.whole};
    if (isa<SigmoidOp>(op))
      return known(0, 1);
    if (isa<TanhOp, ErfOp, SinOp, CosOp, SignOp>(op))
      return known(-1, 1);
    if (isa<AtanOp, AsinOp, AcosOp>(op))
      return known(-4, 4);
    if (isa<ExpOp>(op))
      return isBelowMaximum(op->getOperand(0)) ? known(0, 1)
                                               : monotonic(std::exp);
    if (isa<SqrtOp>(op))
      return {0, std::sqrt(std::max(x.high, 0.0)), x.assumed, false};
    if (isa<SinhOp, CoshOp>(op))
      return known(-std::cosh(x.magnitude()), std::cosh(x.magnitude()));
    // Roots and quotients of deviations are as ordinary as what they scale;
    // logarithms are small.
    return x.magnitude() > large && !isa<LogOp, Log1pOp, AsinhOp>(op)
               ? unlimited()
               : Bound();
  }
  Bound y = operand(1);
  bool whole = (x.whole && y.whole) || (x.whole && !y.assumed) ||
               (y.whole && !x.assumed);
  Bound bound;
  if (isa<AddOp>(op))
    bound = combined(known(x.low + y.low, x.high + y.high), x, y);
  else if (isa<SubtractOp>(op))
    bound = combined(known(x.low - y.high, x.high - y.low), x, y);
  else if (isa<MultiplyOp>(op))
    bound = combined(multiply(x, y), x, y);
  else if (isa<MaximumOp>(op))
    bound = {std::max(x.low, y.low), std::max(x.high, y.high),
             x.assumed || y.assumed, false};
  else if (isa<MinimumOp>(op))
    bound = {std::min(x.low, y.low), std::min(x.high, y.high),
             x.assumed || y.assumed, false};
  else if (isa<DivideOp>(op) && !y.assumed && (y.low > 0 || y.high < 0))
    bound = combined(multiply(x, known(1 / y.high, 1 / y.low)), x, y);
  else if (isa<DivideOp>(op))
    bound = x.magnitude() > large ? unlimited() : Bound();
  else if (isa<RemainderOp, Atan2Op>(op))
    bound = {-std::max(y.magnitude(), 4.0), std::max(y.magnitude(), 4.0), true,
             false};
  else if (auto power = dyn_cast<PowerOp>(op)) {
    std::optional<double> exponent = splatValue(power.getRhs());
    bool small =
        exponent && std::fabs(*exponent) <= 3 && x.magnitude() <= large;
    bound = small ? Bound() : unlimited();
  } else {
    return unlimited();
  }
  bound.whole = whole;
  return bound;
}

Bound Bounds::cast(Operation *op) const {
  Value from = op->getOperand(0);
  Type element = getElementTypeOrSelf(from.getType());
  if (isa<FloatType>(element))
    return of(from);
  auto integer = dyn_cast<IntegerType>(element);
  if (!integer)
    return unlimited();
  unsigned width = integer.getWidth();
  if (width == 1)
    return known(0, 1);
  if (width <= 8)
    return known(integer.isUnsigned() ? 0 : -std::ldexp(1.0, width - 1),
                 std::ldexp(1.0, integer.isUnsigned() ? width : width - 1) - 1);
  Bound bound;
  bound.whole = true;
  return bound;
}

Bound Bounds::result(Operation *op) const {
  auto operand = [&](unsigned i) { return of(op->getOperand(i)); };
  if (auto constant = dyn_cast<graph::ConstantOp>(op))
    return boundOf(constant.getValue());
  if (op->hasTrait<Elementwise>())
    return elementwise(op);
  if (isa<ReshapeOp, TransposeOp, BroadcastOp, SliceOp, ReverseOp, GatherOp,
          GatherElementsOp, GatherNdOp, ResizeOp, SampleOp>(op))
    return operand(0);
  if (isa<ConcatenateOp>(op)) {
    Bound bound = operand(0);
    for (Value more : op->getOperands().drop_front())
      bound = join(bound, of(more));
    return bound;
  }
  if (isa<PadOp, UpdateOp>(op))
    return join(operand(0), operand(1));
  if (auto scatter = dyn_cast<ScatterOp>(op)) {
    Bound bound = join(operand(0), operand(2));
    return scatter.getKind() ? combined(bound, bound, bound) : bound;
  }
  if (auto softmax = dyn_cast<SoftmaxOp>(op))
    return softmax.getLog() ? Bound() : known(0, 1);
  if (isa<IotaOp>(op)) {
    Bound bound;
    bound.whole = true;
    return bound;
  }
  auto reduced = [&](ReduceKind kind) {
    Bound x = operand(0);
    if (kind == ReduceKind::maximum || kind == ReduceKind::minimum ||
        kind == ReduceKind::mean)
      return x;
    if (x.magnitude() > large)
      x.low = -infinity, x.high = infinity;
    else
      x.low = -ordinaryMagnitude, x.high = ordinaryMagnitude;
    x.assumed = true;
    return x;
  };
  if (auto reduce = dyn_cast<ReduceOp>(op))
    return reduced(reduce.getKind());
  if (auto reduce = dyn_cast<ReduceWindowOp>(op))
    return reduced(reduce.getKind());
  if (auto cumulative = dyn_cast<CumulativeOp>(op))
    return reduced(cumulative.getKind());
  // Products, normalisations and what else there may be.
  return {};
}

void Bounds::visit(Operation *op) {
  if (auto loop = dyn_cast<LoopOp>(op)) {
    for (auto [init, argument, carried] :
         llvm::zip(loop.getInits(), loop.getBody().getArguments(),
                   loop.getResults())) {
      Bound bound = of(init);
      bound.assumed = true;
      bounds[argument] = bound;
      bounds[carried] = bound;
    }
    return;
  }
  if (isa<YieldOp>(op)) {
    Operation *parent = op->getParentOp();
    for (auto [value, outer] :
         llvm::zip(op->getOperands(), parent->getResults())) {
      auto [it, isNew] = bounds.try_emplace(outer, of(value));
      if (!isNew)
        it->second = join(it->second, of(value));
    }
    return;
  }
  if (op->getNumResults() != 1)
    return;
  Value value = op->getResult(0);
  if (isa<FloatType>(getElementTypeOrSelf(value.getType())))
    bounds[value] = result(op);
}

Bounds::Bounds(func::FuncOp function) {
  // In program order, so that operands come first.
  function.walk<WalkOrder::PreOrder>([&](Operation *op) { visit(op); });
}

} // namespace aicc::transforms
