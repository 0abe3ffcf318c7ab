//===- ControlFlow.cpp - branches and loops that the running model takes --===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A branch that is known while importing is inlined and a short loop unrolled
// (OperatorsStructure.cpp); what is left becomes `graph.if` and `graph.loop`.
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/Node.h"

using namespace mlir;
using namespace aicc::onnx;
using llvm::StringRef;
using llvm::Twine;
namespace gr = aicc::graph;

/// Whether an expression depends on a symbol that was added after the first
/// `before` ones.
static bool isInner(Node &n, AffineExpr expr, unsigned before) {
  bool found = false;
  expr.walk([&](AffineExpr e) {
    auto symbol = dyn_cast<AffineSymbolExpr>(e);
    found |= symbol && symbol.getPosition() >= before;
  });
  return found;
}

/// The outputs of a subgraph as operands; false after an error, or where the
/// node cannot be done.
static bool materialize(Node &n, ArrayRef<Tensor *> outputs,
                        SmallVectorImpl<Value> &values,
                        bool ranksMayDiffer = false) {
  for (Tensor *output : outputs) {
    if (!n.require(output, "its subgraph gives nothing for an output"))
      return false;
    if (output->poisoned) {
      n.poisonResults();
      return false;
    }
    if (output->composite) {
      n.unsupported("a sequence or an optional that is chosen when the model "
                    "runs");
      return false;
    }
    if (output->optionalOnes && !ranksMayDiffer) {
      n.unsupported("a rank that is only known when the model runs");
      return false;
    }
    values.push_back(n.importer.materialize(*output));
    if (!values.back() || n.failed())
      return false;
  }
  return true;
}

/// The same elements with dimensions that are known to be equal in a run.
static Value relabel(Node &n, Value value, Type type) {
  if (value.getType() == type)
    return value;
  return gr::ReshapeOp::create(n.b, n.loc, cast<RankedTensorType>(type), value);
}

/// A bool scalar of a tensor with one element.
static Value condition(Node &n, Value value, StringRef what) {
  if (!value || n.failed())
    return {};
  if (!n.require(elementOf(value).isInteger(1), what + " is " +
                                                    n.print(value.getType()) +
                                                    ", expected one bool"))
    return {};
  return n.reshape(value, {});
}

//===----------------------------------------------------------------------===//
// If
//===----------------------------------------------------------------------===//

/// The dimensions of a value in the rank of a higher one, where that has ones
/// in front; nothing where it has others.
static std::optional<Dims> alignedDims(Node &n, Value lower, Value higher) {
  Dims own = dimsOf(lower), dims = dimsOf(higher);
  int64_t missing = dims.size() - own.size();
  for (AffineExpr dim : ArrayRef(dims).take_front(missing))
    if (gr::constantOf(dim) != 1)
      return std::nullopt;
  own.insert(own.begin(), missing, n.number(1));
  return own;
}

void aicc::onnx::branchWhenRun(Node &n) {
  Value chosen = condition(n, n.operand(0), "the condition");
  if (!chosen)
    return;
  Importer &importer = n.importer;
  auto open = gr::IfOp::create(n.b, n.loc, TypeRange(), chosen);
  unsigned before = importer.symbols.count();
  SmallVector<Value> values[2];
  // Of each output, the least rank it may have.
  SmallVector<int64_t> least(n.numOutputs(), INT64_MAX);
  OpBuilder::InsertionGuard guard(n.b);
  static constexpr const char *names[] = {"then_branch", "else_branch"};
  for (unsigned i = 0; i < 2; ++i) {
    n.b.createBlock(&open->getRegion(i));
    const proto::GraphProto *graph = n.graph(names[i]);
    SmallVector<Tensor *> outputs;
    if (!n.require(graph, Twine("attribute \"") + names[i] + "\" is missing") ||
        !inlineGraph(n, *graph, {}, outputs))
      return;
    if (!n.require(outputs.size() >= n.numOutputs(),
                   Twine(names[i]) + " gives " + Twine(outputs.size()) +
                       " values, expected " + Twine(n.numOutputs())))
      return;
    outputs.resize(n.numOutputs());
    if (!materialize(n, outputs, values[i], true))
      return;
    for (auto [output, rank] : llvm::zip(outputs, least))
      rank = std::min(rank, output->rank() - output->optionalOnes);
  }
  SmallVector<Type> types;
  for (auto [i, x, y] : llvm::enumerate(values[0], values[1])) {
    if (!n.sameElement(x, y))
      return;
    if (rankOf(x) != rankOf(y)) {
      unsigned lower = rankOf(x) < rankOf(y) ? 0 : 1;
      auto dims = alignedDims(n, values[lower][i], values[1 - lower][i]);
      if (!dims)
        return n.unsupported("a rank that is only known when the model runs");
      n.b.setInsertionPointToEnd(&open->getRegion(lower).front());
      values[lower][i] = n.reshape(values[lower][i], *dims);
      if (n.failed())
        return;
    }
    Dims a = dimsOf(values[0][i]), c = dimsOf(values[1][i]), dims;
    for (size_t d = 0; d < a.size(); ++d) {
      if (gr::equal(a[d], c[d]) && !isInner(n, a[d], before)) {
        dims.push_back(a[d]);
        continue;
      }
      // Each branch says what the size is.
      unsigned symbol = importer.symbols.add("branch");
      dims.push_back(getAffineSymbolExpr(symbol, importer.context));
      for (auto [branch, own] : {std::pair(0, a[d]), std::pair(1, c[d])}) {
        n.b.setInsertionPointToEnd(&open->getRegion(branch).front());
        Value size = n.scalarOf(own);
        if (!size)
          return;
        gr::ReadOp::create(n.b, n.loc, size, 0, symbol, 0);
      }
    }
    types.push_back(gr::makeType(dims, elementOf(x)));
  }
  for (unsigned i = 0; i < 2; ++i) {
    n.b.setInsertionPointToEnd(&open->getRegion(i).front());
    SmallVector<Value> results;
    for (auto [value, type] : llvm::zip(values[i], types)) {
      // Not the same memory by another name: of the branch that isn't taken
      // the size is another one.
      Ints ones(rankOf(value), 1);
      Dims none(ones.size(), n.number(0));
      results.push_back(
          value.getType() == type
              ? value
              : Value(gr::SliceOp::create(
                    n.b, n.loc, type, value,
                    AffineMapAttr::get(gr::makeMap(none, importer.context)),
                    n.b.getDenseI64ArrayAttr(ones))));
    }
    gr::YieldOp::create(n.b, n.loc, results);
  }
  n.b.setInsertionPoint(open);
  auto done = gr::IfOp::create(n.b, n.loc, types, chosen);
  for (unsigned i = 0; i < 2; ++i)
    done->getRegion(i).takeBody(open->getRegion(i));
  n.b.setInsertionPointAfter(done);
  open.erase();
  for (unsigned i = 0; i < n.numOutputs(); ++i) {
    n.set(i, done.getResult(i));
    if (Tensor *result = n.result(i))
      result->optionalOnes = result->rank() - least[i];
  }
}

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

bool aicc::onnx::repeatWhenRun(Node &n, LoopParts &parts) {
  Importer &importer = n.importer;
  unsigned symbol = importer.loopSymbol();
  AffineExpr iteration = getAffineSymbolExpr(symbol, importer.context);
  unsigned before = importer.symbols.count();
  bool counted = parts.condition && parts.scans;
  auto map = [&](ArrayRef<AffineExpr> exprs) {
    return AffineMapAttr::get(gr::makeMap(exprs, importer.context));
  };

  // A loop that may end early counts its trips first: then the size of what
  // it stacks is known, and it runs again to stack it.
  auto build = [&](Value first, AffineExpr count, bool stacks,
                   std::optional<unsigned> trips,
                   SmallVectorImpl<Value> &results) {
    auto open = gr::LoopOp::create(n.b, n.loc, TypeRange(), ValueRange(),
                                   map(count), n.b.getI64IntegerAttr(symbol),
                                   UnitAttr(), IntegerAttr());
    OpBuilder::InsertionGuard guard(n.b);
    Block *body = n.b.createBlock(&open.getBody());
    SmallVector<Value> inits, next;
    if (first) {
      inits.push_back(first);
      body->addArgument(first.getType(), n.loc);
    }
    SmallVector<Tensor *> state, outputs;
    for (Value init : parts.inits) {
      inits.push_back(init);
      state.push_back(wrapValue(n, body->addArgument(init.getType(), n.loc)));
    }
    importer.iterations.push_back(iteration);
    bool built = parts.body(iteration, count, state, outputs);
    importer.iterations.pop_back();
    if (!built || !materialize(n, outputs, next))
      return false;
    if (!n.require(next.size() == 1 + parts.inits.size() + parts.scans,
                   "its body gives " + Twine(next.size()) +
                       " values, expected " +
                       Twine(1 + parts.inits.size() + parts.scans)))
      return false;
    Value more = condition(n, next[0], "the body's condition");
    if (!more)
      return false;
    SmallVector<Value> yields;
    if (first)
      yields.push_back(more);
    for (auto [i, init] : llvm::enumerate(parts.inits)) {
      Value value = next[1 + i];
      if (!n.sameElement(init, value))
        return false;
      Dims have = dimsOf(value), want = dimsOf(init);
      bool same = have.size() == want.size();
      for (size_t d = 0; same && d < have.size(); ++d)
        same =
            gr::equal(have[d], want[d]) ||
            (importer.symbols.runs(have[d]) && !isInner(n, want[d], before) &&
             importer.requireEqual(have[d], want[d]));
      if (!same) {
        n.unsupported("values whose dimensions change from " + n.print(want) +
                      " to " + n.print(have) + " in a loop");
        return false;
      }
      yields.push_back(relabel(n, value, init.getType()));
    }
    for (size_t i = 0; stacks && i < parts.scans; ++i) {
      Value piece = next[1 + parts.inits.size() + i];
      Dims dims = dimsOf(piece), offsets(dims.size() + 1, n.number(0));
      for (AffineExpr dim : dims)
        if (isInner(n, dim, before) || dim.isFunctionOfSymbol(symbol)) {
          n.unsupported("stacked values whose dimensions change in a loop");
          return false;
        }
      bool back = !parts.backward.empty() && parts.backward[i];
      offsets[0] = back ? gr::simplify(count - 1 - iteration) : iteration;
      dims.insert(dims.begin(), n.number(1));
      piece = n.reshape(piece, dims);
      dims[0] = count;
      RankedTensorType type =
          piece ? n.type(dims, elementOf(piece)) : RankedTensorType();
      if (!type)
        return false;
      Value all = body->addArgument(type, n.loc);
      yields.push_back(n.update(all, piece, offsets));
      OpBuilder::InsertionGuard outside(n.b);
      n.b.setInsertionPoint(open);
      inits.push_back(n.broadcastTo(n.scalar(0, elementOf(piece)), dims));
    }
    if (n.failed() || llvm::is_contained(inits, Value()))
      return false;
    gr::YieldOp::create(n.b, n.loc, yields);
    n.b.setInsertionPoint(open);
    auto done = gr::LoopOp::create(
        n.b, n.loc, ValueRange(inits).getTypes(), inits, map(count),
        n.b.getI64IntegerAttr(symbol), first ? n.b.getUnitAttr() : UnitAttr(),
        trips ? n.b.getI64IntegerAttr(*trips) : IntegerAttr());
    done.getBody().takeBody(open.getBody());
    open.erase();
    for (Value result : done.getResults().drop_front(first ? 1 : 0))
      results.push_back(result);
    return true;
  };

  SmallVector<Value> results;
  AffineExpr count = parts.count;
  if (counted) {
    unsigned trips = importer.symbols.add("trips");
    before = importer.symbols.count();
    if (!build(parts.condition, count, false, trips, results))
      return false;
    count = getAffineSymbolExpr(trips, importer.context);
    results.clear();
    if (!build({}, count, true, std::nullopt, results))
      return false;
  } else if (!build(parts.condition, count, true, std::nullopt, results)) {
    return false;
  }
  parts.results.assign(results.begin(), results.end());
  return true;
}

void aicc::onnx::loopWhenRun(Node &n) {
  const proto::GraphProto *body = n.graph("body");
  size_t carried = n.numInputs() < 2 ? 0 : n.numInputs() - 2;
  LoopParts parts;
  parts.scans = n.numOutputs() - carried;
  Type i64 = n.b.getI64Type();
  parts.count = n.number(INT64_MAX);
  if (n.has(0)) {
    auto elements = n.elementsOf(0, "the number of trips");
    if (!elements ||
        !n.require(elements->size() == 1, "the number of trips is no scalar"))
      return;
    const Node::Element &trips = elements->front();
    if (trips.expr && gr::constantOf(trips.expr))
      parts.count = n.number(std::max<int64_t>(0, *gr::constantOf(trips.expr)));
    else if (trips.expr && nonNegative(trips.expr))
      parts.count = trips.expr;
    else
      parts.count = n.importer.readSymbol(
          n.maximum(n.scalarOf(trips), n.integerScalar(0, i64)), "count");
  }
  auto starts = n.has(1) ? n.numberOf(1) : std::optional<double>(1);
  for (size_t i = 0; i < carried; ++i) {
    if (n.input(i + 2)->composite)
      return n.unsupported("a sequence in a loop whose trips are only counted "
                           "when the model runs");
    parts.inits.push_back(n.operand(i + 2));
  }
  if (n.failed())
    return;
  // Inside of the loop its condition holds.
  bool open = !n.has(0) || !starts;
  parts.body = [&](AffineExpr iteration, AffineExpr, ArrayRef<Tensor *> state,
                   SmallVectorImpl<Tensor *> &outputs) {
    SmallVector<Tensor *> inputs = {
        n.knownScalar(iteration), n.knownScalar(n.number(1), n.b.getI1Type())};
    inputs.append(state.begin(), state.end());
    if (!inlineGraph(n, *body, inputs, outputs))
      return false;
    // A body that always goes on needs no condition.
    const Known *more =
        outputs[0] && !outputs[0]->poisoned && !outputs[0]->composite
            ? n.importer.known(*outputs[0])
            : nullptr;
    open |=
        !more || more->values.size() != 1 || more->values[0].constant() != 1;
    return true;
  };
  // Whether it is asked is seen after importing the body: once for nothing.
  if (!open) {
    auto trial = gr::LoopOp::create(
        n.b, n.loc, TypeRange(), ValueRange(),
        AffineMapAttr::get(gr::makeMap(parts.count, n.importer.context)),
        n.b.getI64IntegerAttr(n.importer.loopSymbol()), UnitAttr(),
        IntegerAttr());
    {
      OpBuilder::InsertionGuard guard(n.b);
      Block *block = n.b.createBlock(&trial.getBody());
      SmallVector<Tensor *> state, outputs;
      for (Value init : parts.inits)
        state.push_back(
            wrapValue(n, block->addArgument(init.getType(), n.loc)));
      AffineExpr iteration =
          getAffineSymbolExpr(n.importer.loopSymbol(), n.importer.context);
      n.importer.iterations.push_back(iteration);
      bool built = parts.body(iteration, parts.count, state, outputs);
      n.importer.iterations.pop_back();
      if (!built)
        return;
    }
    n.importer.forgetReads();
    trial.erase();
  }
  if (open)
    parts.condition =
        starts ? n.constant(ArrayRef<int64_t>{*starts != 0}, n.b.getI1Type())
               : n.operand(1);
  if (open && !(parts.condition = condition(n, parts.condition, "cond")))
    return;
  if (!repeatWhenRun(n, parts))
    return;
  for (unsigned i = 0; i < n.numOutputs(); ++i)
    n.set(i, parts.results[i]);
}
