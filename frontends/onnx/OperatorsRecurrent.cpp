//===- OperatorsRecurrent.cpp - LSTM, GRU and RNN -----------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/Node.h"

#include "llvm/ADT/StringExtras.h"

#include <cmath>
#include <limits>

using namespace mlir;
using namespace aicc::onnx;
using llvm::StringRef;
using llvm::Twine;
namespace gr = aicc::graph;

//
// The product of the inputs with their weights needs no state, so it is one
// product over all steps before the loop; the loop holds what is left.
//

namespace {

struct Activation {
  std::string name;
  double alpha, beta;
};

/// Inputs of one recurrent node, time first, and what all directions share.
class Recurrent {
public:
  Recurrent(Node &n, int64_t gates, unsigned states)
      : n(n), gates(gates), states(states) {}
  bool read(ArrayRef<StringRef> activations);
  /// Set by the operator. Takes apart the weights of a direction, before its
  /// loop, and adds to the sums of the inputs [T, B, gates * H] what does not
  /// change from step to step.
  std::function<Value(int64_t direction, Value sums)> prepare;
  /// One step: from the gates' sums of the input [B, gates * H] and the states
  /// to the new states.
  std::function<SmallVector<Value>(int64_t direction, Value sums,
                                   ArrayRef<Value> states)>
      step;
  void run();

  Value apply(int64_t index, Value x);
  Value gate(Value sums, int64_t index);
  Value clip(Value x) {
    return limit > 0 ? n.minimum(n.maximum(x, -limit), limit) : x;
  }
  /// Row `direction` of a tensor whose first dimension is the directions.
  Value pick(Value all, int64_t direction);
  /// Rows [index * H, (index + count) * H) of weights, a bias or peepholes.
  Value piece(Value vector, int64_t index, int64_t count = 1) {
    return n.sliceAxis(vector, 0, hidden * index, hidden * count);
  }

  Node &n;
  int64_t gates;
  unsigned states;
  Value x, w, r, bias, peephole;
  AffineExpr steps, batch, hidden;
  int64_t directions = 1;
  bool reverseOnly = false;

private:
  Value lengths();

  std::vector<Activation> functions;
  double limit = 0;
  bool batchFirst = false;
};

} // namespace

Value Recurrent::pick(Value all, int64_t direction) {
  Value row = n.sliceAxis(all, 0, n.number(direction), n.number(1));
  if (!row)
    return {};
  Dims dims = dimsOf(row);
  return n.reshape(row, ArrayRef(dims).drop_front());
}

Value Recurrent::gate(Value sums, int64_t index) {
  return n.sliceAxis(sums, 1, hidden * index, hidden);
}

bool Recurrent::read(ArrayRef<StringRef> defaults) {
  x = n.operand(0);
  w = n.operand(1);
  r = n.operand(2);
  bias = n.optionalOperand(3);
  if (!x || !w || !r || !n.requireFloat(x) || !n.sameElement(x, w) ||
      !n.sameElement(x, r))
    return false;
  if (!n.require(rankOf(x) == 3 && rankOf(w) == 3 && rankOf(r) == 3,
                 "X, W and R have " + Twine(rankOf(x)) + ", " +
                     Twine(rankOf(w)) + " and " + Twine(rankOf(r)) +
                     " dimensions, expected 3"))
    return false;
  std::string direction = n.string("direction", "forward");
  directions = direction == "bidirectional" ? 2 : 1;
  reverseOnly = direction == "reverse";
  if (!n.require(directions == 2 || reverseOnly || direction == "forward",
                 "direction is \"" + direction +
                     "\", expected forward, reverse or bidirectional"))
    return false;
  batchFirst = n.integer("layout", 0);
  if (batchFirst)
    x = n.transpose(x, {1, 0, 2});
  Dims d = dimsOf(x), rd = dimsOf(r);
  steps = d[0];
  batch = d[1];
  hidden = rd[2];
  if (n.hasAttribute("hidden_size") &&
      !n.requireEqual(hidden, n.number(n.integer("hidden_size", 0)),
                      "hidden_size"))
    return false;
  for (Value weight : {w, r})
    if (!n.requireEqual(dimsOf(weight)[0], n.number(directions),
                        "the number of directions") ||
        !n.requireEqual(dimsOf(weight)[1], hidden * gates,
                        "the rows of weights"))
      return false;
  if (bias && (!n.require(rankOf(bias) == 2, "B has " + Twine(rankOf(bias)) +
                                                 " dimensions, expected 2") ||
               !n.requireEqual(dimsOf(bias)[0], n.number(directions),
                               "the number of directions") ||
               !n.requireEqual(dimsOf(bias)[1], hidden * (2 * gates),
                               "the length of B")))
    return false;
  limit = n.real("clip", 0);
  // Names and their parameters; the parameters are listed for those functions
  // only that have some.
  SmallVector<std::string> names;
  if (auto *list = n.attribute("activations", 8))
    names.assign(list->strings().begin(), list->strings().end());
  else
    for (int64_t i = 0; i < directions; ++i)
      for (StringRef name : defaults)
        names.push_back(name.str());
  if (!n.require(names.size() == defaults.size() * directions,
                 "activations has " + Twine(names.size()) +
                     " values, expected " +
                     Twine(defaults.size() * directions)))
    return false;
  SmallVector<double> alphas = n.reals("activation_alpha"),
                      betas = n.reals("activation_beta");
  size_t nextAlpha = 0, nextBeta = 0;
  for (const std::string &name : names) {
    std::string low = StringRef(name).lower();
    struct Known {
      const char *name;
      bool alpha, beta;
      double a, b;
    };
    static constexpr Known table[] = {{"relu", false, false, 0, 0},
                                      {"tanh", false, false, 0, 0},
                                      {"sigmoid", false, false, 0, 0},
                                      {"softsign", false, false, 0, 0},
                                      {"softplus", false, false, 0, 0},
                                      {"affine", true, true, 1, 0},
                                      {"leakyrelu", true, false, 0.01, 0},
                                      {"thresholdedrelu", true, false, 1, 0},
                                      {"scaledtanh", true, true, 1, 1},
                                      {"hardsigmoid", true, true, 0.2, 0.5},
                                      {"elu", true, false, 1, 0}};
    const Known *found = nullptr;
    for (const Known &known : table)
      if (low == known.name)
        found = &known;
    if (!n.require(found, "the activation \"" + name + "\" is unknown"))
      return false;
    Activation f{low, found->a, found->b};
    if (found->alpha && nextAlpha < alphas.size())
      f.alpha = alphas[nextAlpha++];
    if (found->beta && nextBeta < betas.size())
      f.beta = betas[nextBeta++];
    functions.push_back(f);
  }
  return !n.failed();
}

Value Recurrent::apply(int64_t index, Value x) {
  const Activation &f = functions[index];
  if (!x)
    return {};
  auto when = [&](gr::Comparison c, double at, Value then, Value otherwise) {
    return n.select(n.compare(c, x, n.scalar(at, elementOf(x))), then,
                    otherwise);
  };
  if (f.name == "relu")
    return n.maximum(x, 0.0);
  if (f.name == "tanh")
    return n.unary<gr::TanhOp>(x);
  if (f.name == "sigmoid")
    return n.unary<gr::SigmoidOp>(x);
  if (f.name == "softsign")
    return n.divide(x, n.add(n.unary<gr::AbsOp>(x), 1.0));
  if (f.name == "softplus") {
    Value small = n.unary<gr::NegateOp>(n.unary<gr::AbsOp>(x));
    return n.add(n.maximum(x, 0.0),
                 n.unary<gr::Log1pOp>(n.unary<gr::ExpOp>(small)));
  }
  if (f.name == "affine")
    return n.affine(x, f.alpha, f.beta);
  if (f.name == "leakyrelu")
    return when(gr::Comparison::less, 0, n.multiply(x, f.alpha), x);
  if (f.name == "thresholdedrelu")
    return when(gr::Comparison::less, f.alpha, n.full(0, x), x);
  if (f.name == "scaledtanh")
    return n.multiply(n.unary<gr::TanhOp>(n.multiply(x, f.beta)), f.alpha);
  if (f.name == "hardsigmoid")
    return n.minimum(n.maximum(n.affine(x, f.alpha, f.beta), 0.0), 1.0);
  Value e = n.add(n.unary<gr::ExpOp>(n.minimum(x, 0.0)), -1.0);
  return when(gr::Comparison::less, 0, n.multiply(e, f.alpha), x);
}

/// Lengths per batch entry as [B, 1], or null if all sequences are full.
Value Recurrent::lengths() {
  if (!n.has(4))
    return {};
  auto count = gr::constantOf(steps);
  if (const Known *known = n.known(4))
    if (count && llvm::all_of(known->values, [&](const Scalar &s) {
          return s.expr && s.constant() == count;
        }))
      return {};
  Value given = n.cast(n.operand(4), n.b.getI64Type());
  return given ? n.reshape(given, Dims{batch, n.number(1)}) : Value();
}

void Recurrent::run() {
  Type element = elementOf(x);
  Value limits = lengths();
  SmallVector<Value> sequences;
  SmallVector<SmallVector<Value>> last(states);
  Dims stateDims = {batch, hidden}, rowDims = {n.number(1), batch, hidden};
  for (int64_t d = 0; d < directions && !n.failed(); ++d) {
    bool backward = reverseOnly || d == 1;
    Value sums = n.dot(x, pick(w, d), {}, {}, {2}, {1});
    sums = prepare(d, sums);
    SmallVector<Value> inits;
    for (unsigned s = 0; s < states; ++s) {
      Value init;
      if (n.has(5 + s)) {
        init = n.operand(5 + s);
        if (!init ||
            !n.require(rankOf(init) == 3, "an initial state has " +
                                              Twine(init ? rankOf(init) : 0) +
                                              " dimensions, expected 3"))
          return;
        if (batchFirst)
          init = n.transpose(init, {1, 0, 2});
        init = n.broadcastTo(pick(init, d), stateDims);
      } else {
        init = n.broadcastTo(n.scalar(0, element), stateDims);
      }
      inits.push_back(init);
    }
    inits.push_back(
        n.broadcastTo(n.scalar(0, element), Dims{steps, batch, hidden}));
    if (n.failed() || !sums || llvm::is_contained(inits, Value()))
      return;
    SmallVector<Value> results = n.repeat(
        steps, inits, [&](AffineExpr iteration, ArrayRef<Value> carried) {
          AffineExpr at = backward ? gr::simplify(steps - 1 - iteration)
                                   : AffineExpr(iteration);
          ArrayRef<Value> state = carried.take_front(states);
          Value row = n.sliceAxis(sums, 0, at, n.number(1));
          row = n.reshape(row, Dims{batch, hidden * gates});
          SmallVector<Value> next = step(d, row, state);
          if (n.failed() || llvm::is_contained(next, Value()))
            return SmallVector<Value>(1);
          Value output = next[0];
          if (limits) {
            // Past its end a sequence keeps its state and gives zeros.
            Value now = gr::DimensionsOp::create(
                n.b, n.loc, RankedTensorType::get({1}, n.b.getI64Type()),
                AffineMapAttr::get(
                    gr::makeMap(ArrayRef<AffineExpr>{at}, n.importer.context)));
            Value running =
                n.compare(gr::Comparison::greater, limits, n.reshape(now, {}));
            for (unsigned s = 0; s < states; ++s)
              next[s] = n.select(running, next[s], state[s]);
            output = n.select(running, output, n.full(0, output));
          }
          AffineExpr zero = n.number(0);
          next.push_back(n.update(carried[states], n.reshape(output, rowDims),
                                  {at, zero, zero}));
          return next;
        });
    if (results.empty())
      return;
    sequences.push_back(
        n.reshape(results[states], Dims{steps, n.number(1), batch, hidden}));
    for (unsigned s = 0; s < states; ++s)
      last[s].push_back(n.reshape(results[s], rowDims));
  }
  if (n.failed())
    return;
  if (n.wants(0)) {
    Value y = n.concatenate(sequences, 1);
    n.set(0, batchFirst ? n.transpose(y, {2, 0, 1, 3}) : y);
  }
  for (unsigned s = 0; s < states; ++s) {
    if (!n.wants(1 + s))
      continue;
    Value y = n.concatenate(last[s], 0);
    n.set(1 + s, batchFirst ? n.transpose(y, {1, 0, 2}) : y);
  }
}

static void lstm(Node &n) {
  Recurrent net(n, 4, 2);
  if (!net.read({"Sigmoid", "Tanh", "Tanh"}))
    return;
  bool coupled = n.integer("input_forget", 0);
  Value peepholes = n.optionalOperand(7);
  if (peepholes &&
      !n.require(rankOf(peepholes) == 2, "P has " + Twine(rankOf(peepholes)) +
                                             " dimensions, expected 2"))
    return;
  Value r, p[3];
  net.prepare = [&](int64_t d, Value sums) {
    r = net.pick(net.r, d);
    if (peepholes)
      for (int64_t i = 0; i < 3; ++i)
        p[i] = net.piece(net.pick(peepholes, d), i);
    if (!net.bias)
      return sums;
    Value b = net.pick(net.bias, d);
    return n.add(sums, n.add(net.piece(b, 0, 4), net.piece(b, 4, 4)));
  };
  net.step = [&](int64_t d, Value sums,
                 ArrayRef<Value> states) -> SmallVector<Value> {
    Value h = states[0], c = states[1];
    int64_t f = d * 3;
    sums = n.add(sums, n.dot(h, r, {}, {}, {1}, {1}));
    Value i = net.gate(sums, 0), o = net.gate(sums, 1),
          forget = net.gate(sums, 2), cell = net.gate(sums, 3);
    auto peek = [&](Value gate, Value state, int64_t index) {
      return peepholes ? n.add(gate, n.multiply(state, p[index])) : gate;
    };
    i = net.apply(f, net.clip(peek(i, c, 0)));
    forget = coupled ? n.affine(i, -1, 1)
                     : net.apply(f, net.clip(peek(forget, c, 2)));
    cell = net.apply(f + 1, net.clip(cell));
    c = n.add(n.multiply(forget, c), n.multiply(i, cell));
    o = net.apply(f, net.clip(peek(o, c, 1)));
    return {n.multiply(o, net.apply(f + 2, c)), c};
  };
  net.run();
}

static void gru(Node &n) {
  Recurrent net(n, 3, 1);
  if (!net.read({"Sigmoid", "Tanh"}))
    return;
  bool resetAfter = n.integer("linear_before_reset", 0);
  Value early, late, lateBias;
  net.prepare = [&](int64_t d, Value sums) -> Value {
    Value r = net.pick(net.r, d);
    early = net.piece(r, 0, 2);
    late = net.piece(r, 2);
    if (!net.bias || !sums)
      return sums;
    Value b = net.pick(net.bias, d);
    sums = n.add(sums, net.piece(b, 0, 3));
    Value recurrent = net.piece(b, 3, 3);
    if (!resetAfter)
      return n.add(sums, recurrent);
    // The reset gate multiplies this bias, so it stays in the loop.
    lateBias = net.piece(b, 5);
    Value zeros = n.broadcastTo(n.scalar(0, elementOf(b)), Dims{net.hidden});
    return n.add(sums, n.concatenate({net.piece(b, 3, 2), zeros}, 0));
  };
  net.step = [&](int64_t d, Value sums,
                 ArrayRef<Value> states) -> SmallVector<Value> {
    Value h = states[0];
    int64_t f = d * 2;
    Value gates = n.add(n.sliceAxis(sums, 1, n.number(0), net.hidden * 2),
                        n.dot(h, early, {}, {}, {1}, {1}));
    Value z = net.apply(f, net.clip(net.gate(gates, 0)));
    Value reset = net.apply(f, net.clip(net.gate(gates, 1)));
    Value inner;
    if (resetAfter) {
      inner = n.dot(h, late, {}, {}, {1}, {1});
      if (lateBias)
        inner = n.add(inner, lateBias);
      inner = n.multiply(reset, inner);
    } else {
      inner = n.dot(n.multiply(reset, h), late, {}, {}, {1}, {1});
    }
    Value candidate =
        net.apply(f + 1, net.clip(n.add(net.gate(sums, 2), inner)));
    // (1 - z) * candidate + z * h
    return {n.add(n.multiply(n.affine(z, -1, 1), candidate), n.multiply(z, h))};
  };
  net.run();
}

static void rnn(Node &n) {
  Recurrent net(n, 1, 1);
  if (!net.read({"Tanh"}))
    return;
  Value r;
  net.prepare = [&](int64_t d, Value sums) {
    r = net.pick(net.r, d);
    if (!net.bias)
      return sums;
    Value b = net.pick(net.bias, d);
    return n.add(sums, n.add(net.piece(b, 0), net.piece(b, 1)));
  };
  net.step = [&](int64_t d, Value sums,
                 ArrayRef<Value> states) -> SmallVector<Value> {
    sums = n.add(sums, n.dot(states[0], r, {}, {}, {1}, {1}));
    return {net.apply(d, net.clip(sums))};
  };
  net.run();
}

llvm::ArrayRef<Operator> aicc::onnx::recurrentOperators() {
  static constexpr Operator table[] = {
      {"", "LSTM", 1, lstm},
      {"", "GRU", 1, gru},
      {"", "RNN", 1, rnn},
  };
  return table;
}
