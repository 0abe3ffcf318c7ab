//===- OperatorsGradient.cpp - derivatives of what was imported ---------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Gradient names values of its graph. Their derivatives are built backwards
// over the graph operators that are there already, so the rules are those of
// graph operators and hold for whatever a node was taken apart into.
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/Node.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace aicc::onnx;
using llvm::StringRef;
using llvm::Twine;
namespace gr = aicc::graph;

namespace {

class Backward {
public:
  explicit Backward(Node &n) : n(n) {}
  /// Derivatives of the sum of `y` by each of `xs`.
  SmallVector<Value> run(Value y, ArrayRef<Value> xs);

private:
  void add(Value to, Value gradient) {
    if (!needed.contains(to) || !gradient)
      return;
    Value &have = gradients[to];
    have = have ? n.add(have, gradient) : gradient;
  }
  bool step(Operation *op, Value g);
  void product(gr::DotGeneralOp op, Value g);

  Node &n;
  llvm::DenseSet<Value> needed;
  llvm::DenseMap<Value, Value> gradients;
};

} // namespace

/// Of a batched product: each factor's gradient is a product with the other.
void Backward::product(gr::DotGeneralOp op, Value g) {
  ArrayRef<int64_t> batches[] = {op.getLhsBatch(), op.getRhsBatch()};
  ArrayRef<int64_t> over[] = {op.getLhsContracting(), op.getRhsContracting()};
  Value factors[] = {op.getLhs(), op.getRhs()};
  Ints free[2];
  for (int side : {0, 1})
    for (int64_t i = 0; i < rankOf(factors[side]); ++i)
      if (!llvm::is_contained(batches[side], i) &&
          !llvm::is_contained(over[side], i))
        free[side].push_back(i);
  int64_t batch = batches[0].size(), first = free[0].size();
  for (int side : {0, 1}) {
    int other = 1 - side;
    // The result's free dimensions of the other factor are summed over.
    Ints leading, summed;
    for (int64_t i = 0; i < batch; ++i)
      leading.push_back(i);
    int64_t from = other ? batch + first : batch;
    for (size_t i = 0; i < free[other].size(); ++i)
      summed.push_back(from + i);
    Value d =
        n.dot(g, factors[other], leading, batches[other], summed, free[other]);
    // Its dimensions: batch, free of this factor, contracted in the other's
    // order.
    SmallVector<std::pair<int64_t, int64_t>> order;
    for (auto [k, i] : llvm::enumerate(over[other]))
      order.push_back({i, over[side][k]});
    llvm::sort(order);
    Ints places(batches[side].begin(), batches[side].end());
    places.append(free[side].begin(), free[side].end());
    for (auto [theirs, ours] : order)
      places.push_back(ours);
    Ints permutation(places.size());
    for (auto [at, place] : llvm::enumerate(places))
      permutation[place] = at;
    add(factors[side], n.transpose(d, permutation));
  }
}

/// Hands the gradient of a result to the operands; false if there is no rule.
bool Backward::step(Operation *op, Value g) {
  Value y = op->getResult(0);
  auto x = [&](unsigned i = 0) { return op->getOperand(i); };
  auto times = [&](Value factor) { add(x(), n.multiply(g, factor)); };
  auto negative = [&](Value v) { return n.unary<gr::NegateOp>(v); };
  auto one = [&](Value v) { return n.affine(v, -1, 1); };
  return llvm::TypeSwitch<Operation *, bool>(op)
      .Case([&](gr::AddOp) {
        add(x(0), g);
        add(x(1), g);
        return true;
      })
      .Case([&](gr::SubtractOp) {
        add(x(0), g);
        add(x(1), negative(g));
        return true;
      })
      .Case([&](gr::MultiplyOp) {
        add(x(0), n.multiply(g, x(1)));
        add(x(1), n.multiply(g, x(0)));
        return true;
      })
      .Case([&](gr::DivideOp) {
        Value q = n.divide(g, x(1));
        add(x(0), q);
        add(x(1), negative(n.multiply(q, y)));
        return true;
      })
      .Case([&](gr::PowerOp) {
        Value less = n.binary<gr::PowerOp>(x(0), n.add(x(1), -1.0));
        add(x(0), n.multiply(g, n.multiply(x(1), less)));
        if (needed.contains(x(1)))
          add(x(1), n.multiply(g, n.multiply(y, n.unary<gr::LogOp>(x(0)))));
        return true;
      })
      .Case<gr::MaximumOp, gr::MinimumOp>([&](auto) {
        Value first = n.compare(gr::Comparison::equal, y, x(0));
        add(x(0), n.select(first, g, n.full(0, g)));
        add(x(1), n.select(first, n.full(0, g), g));
        return true;
      })
      .Case([&](gr::SelectOp) {
        add(x(1), n.select(x(0), g, n.full(0, g)));
        add(x(2), n.select(x(0), n.full(0, g), g));
        return true;
      })
      .Case([&](gr::NegateOp) { return add(x(), negative(g)), true; })
      .Case([&](gr::ExpOp) { return times(y), true; })
      .Case([&](gr::LogOp) { return add(x(), n.divide(g, x())), true; })
      .Case([&](gr::Log1pOp) {
        return add(x(), n.divide(g, n.affine(x(), 1, 1))), true;
      })
      .Case([&](gr::SqrtOp) {
        return add(x(), n.divide(g, n.multiply(y, 2.0))), true;
      })
      .Case([&](gr::RsqrtOp) {
        return times(n.multiply(n.divide(y, x()), -0.5)), true;
      })
      .Case([&](gr::ReciprocalOp) {
        return times(negative(n.multiply(y, y))), true;
      })
      .Case([&](gr::SinOp) { return times(n.unary<gr::CosOp>(x())), true; })
      .Case([&](gr::CosOp) {
        return times(negative(n.unary<gr::SinOp>(x()))), true;
      })
      .Case([&](gr::TanhOp) { return times(one(n.multiply(y, y))), true; })
      .Case([&](gr::SigmoidOp) { return times(n.multiply(y, one(y))), true; })
      .Case([&](gr::AbsOp) { return times(n.unary<gr::SignOp>(x())), true; })
      .Case<gr::FloorOp, gr::CeilOp, gr::RoundEvenOp, gr::SignOp>(
          [&](auto) { return true; })
      .Case(
          [&](gr::CastOp) { return add(x(), n.cast(g, elementOf(x()))), true; })
      .Case([&](gr::ReshapeOp) {
        return add(x(), n.reshape(g, dimsOf(x()))), true;
      })
      .Case([&](gr::TransposeOp op) {
        Ints back(op.getPermutation().size());
        for (auto [i, p] : llvm::enumerate(op.getPermutation()))
          back[p] = i;
        return add(x(), n.transpose(g, back)), true;
      })
      .Case([&](gr::BroadcastOp op) {
        // What was repeated is summed.
        Dims from = dimsOf(x()), to = dimsOf(y);
        Ints axes;
        for (int64_t i = 0; i < rankOf(y); ++i) {
          auto *place = llvm::find(op.getDimensions(), i);
          if (place == op.getDimensions().end() ||
              !gr::equal(from[place - op.getDimensions().begin()], to[i]))
            axes.push_back(i);
        }
        Value sum = n.reduce(g, gr::ReduceKind::sum, axes, false);
        return add(x(), n.reshape(sum, from)), true;
      })
      .Case([&](gr::ReduceOp op) {
        bool mean = op.getKind() == gr::ReduceKind::mean;
        if (!mean && op.getKind() != gr::ReduceKind::sum)
          return false;
        Dims d = dimsOf(x());
        Ints kept;
        AffineExpr count = n.number(1);
        for (int64_t i = 0; i < rankOf(x()); ++i)
          if (llvm::is_contained(op.getAxes(), i))
            count = gr::simplify(count * d[i]);
          else
            kept.push_back(i);
        if (mean)
          g = n.divide(g, n.cast(n.importer.materialize(*n.knownScalar(count)),
                                 elementOf(g)));
        return add(x(), n.broadcastIn(g, d, kept)), true;
      })
      .Case([&](gr::ConcatenateOp op) {
        AffineExpr at = n.number(0);
        for (Value part : op.getOperands()) {
          AffineExpr size = dimsOf(part)[op.getDimension()];
          add(part, n.sliceAxis(g, op.getDimension(), at, size));
          at = gr::simplify(at + size);
        }
        return true;
      })
      .Case([&](gr::DotGeneralOp op) { return product(op, g), true; })
      .Default([](Operation *) { return false; });
}

SmallVector<Value> Backward::run(Value y, ArrayRef<Value> xs) {
  // What lies between y and the xs, found backwards and marked forwards.
  SmallVector<Operation *> found;
  llvm::DenseSet<Operation *> seen;
  SmallVector<Value> work = {y};
  while (!work.empty()) {
    Value value = work.pop_back_val();
    Operation *op = value.getDefiningOp();
    if (!op || llvm::is_contained(xs, value) || !seen.insert(op).second)
      continue;
    found.push_back(op);
    work.append(op->operand_begin(), op->operand_end());
  }
  llvm::sort(found, [](Operation *a, Operation *b) {
    return a->getBlock() == b->getBlock() && a->isBeforeInBlock(b);
  });
  needed.insert(xs.begin(), xs.end());
  SmallVector<Operation *> between;
  for (Operation *op : found)
    if (llvm::any_of(op->getOperands(),
                     [&](Value v) { return needed.contains(v); })) {
      between.push_back(op);
      needed.insert(op->result_begin(), op->result_end());
    }
  gradients[y] = n.full(1, y);
  for (Operation *op : llvm::reverse(between)) {
    Value g =
        op->getNumResults() == 1 ? gradients.lookup(op->getResult(0)) : Value();
    if (n.failed())
      return {};
    if (op->getNumResults() == 1 && !g)
      continue;
    if (!g || !step(op, g)) {
      n.unsupported("the derivative of " + op->getName().getStringRef());
      return {};
    }
  }
  SmallVector<Value> results;
  for (Value x : xs) {
    Value g = gradients.lookup(x);
    results.push_back(g ? g : n.full(0, x));
  }
  return results;
}

static void gradient(Node &n) {
  auto *names = n.attribute("xs", 8);
  auto *others = n.attribute("zs", 8);
  std::string target = n.string("y", "");
  auto valueOf = [&](StringRef name) -> Value {
    for (Scope *scope = &n.scope; scope; scope = scope->parent) {
      auto it = scope->values.find(name);
      if (it != scope->values.end() && it->second)
        return n.importer.materialize(*it->second);
    }
    n.fail("the value \"" + name + "\" is not defined");
    return {};
  };
  size_t count = (names ? names->strings_size() : 0) +
                 (others ? others->strings_size() : 0);
  if (!n.require(names && names->strings_size() > 0,
                 "attribute \"xs\" is missing") ||
      !n.require(n.numInputs() == count, "it has " + Twine(n.numInputs()) +
                                             " inputs, expected " +
                                             Twine(count)))
    return;
  SmallVector<Value> xs;
  for (int i = 0; i < names->strings_size() && !n.failed(); ++i)
    xs.push_back(valueOf(names->strings(i)));
  Value y = valueOf(target);
  if (n.failed() || !n.requireFloat(y))
    return;
  // Other inputs than the values that y came from ask for another y.
  unsigned i = 0;
  for (auto *list : {names, others})
    for (int k = 0; list && k < list->strings_size(); ++k, ++i)
      if (n.operand(i) != valueOf(list->strings(k)))
        return n.unsupported("inputs that are other values than xs and zs");
  for (auto [i, value] : llvm::enumerate(Backward(n).run(y, xs)))
    if (n.wants(i))
      n.set(i, value);
}

llvm::ArrayRef<Operator> aicc::onnx::gradientOperators() {
  static constexpr Operator table[] = {
      {"ai.onnx.preview.training", "Gradient", 1, gradient},
  };
  return table;
}
