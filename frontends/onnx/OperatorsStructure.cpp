//===- OperatorsStructure.cpp - constants and control flow --------------===//
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

static void constant(Node &n) {
  static constexpr const char *forms[] = {
      "value",     "sparse_value", "value_float",  "value_floats",
      "value_int", "value_ints",   "value_string", "value_strings"};
  const char *form = nullptr;
  for (const char *name : forms)
    if (n.hasAttribute(name)) {
      if (!n.require(!form, "it has several values, expected one"))
        return;
      form = name;
    }
  if (!n.require(form, "it has no value"))
    return;
  StringRef which = form;
  if (which == "value") {
    if (auto *tensor = n.tensor("value"))
      n.set(0, tensor);
    return;
  }
  Model &model = *n.importer.model;
  if (which.contains("string")) {
    proto::TensorProto *tensor = model.newTensor();
    tensor->set_data_type(STRING);
    if (which == "value_string") {
      tensor->add_string_data(n.string(which, ""));
    } else if (auto *list = n.attribute(which, 8)) {
      *tensor->mutable_string_data() = list->strings();
      tensor->add_dims(list->strings_size());
    }
    return n.set(0, tensor);
  }
  if (which == "sparse_value") {
    auto *attribute = n.attribute("sparse_value", 11);
    if (!attribute)
      return;
    std::string error;
    auto *dense = densify(model, attribute->sparse_tensor(),
                          n.importer.options.maxElements, error);
    return dense ? n.set(0, dense) : n.fail(error);
  }
  proto::TensorProto *tensor = model.newTensor();
  bool real = which.starts_with("value_float"), list = which.ends_with("s");
  tensor->set_data_type(real ? FLOAT : INT64);
  if (real && list)
    for (double value : n.reals(which))
      tensor->add_float_data(static_cast<float>(value));
  else if (real)
    tensor->add_float_data(static_cast<float>(n.real(which, 0)));
  else if (list)
    for (int64_t value : n.integers(which))
      tensor->add_int64_data(value);
  else
    tensor->add_int64_data(n.integer(which, 0));
  if (list)
    tensor->add_dims(real ? tensor->float_data_size()
                          : tensor->int64_data_size());
  n.set(0, tensor);
}

static void constantOfShape(Node &n) {
  auto dims = n.expressionsOf(0, "shape");
  if (!dims)
    return;
  Type element = n.b.getF32Type();
  Value value;
  if (auto *tensor = n.tensor("value")) {
    std::string error;
    if (!checkTensor(*tensor, 1, error))
      return n.fail(error);
    element = elementType(n.importer.context, tensor->data_type());
    if (!element)
      return n.unsupported("element type " + dataTypeName(tensor->data_type()));
    ElementsAttr attribute = toAttribute(n.importer.context, n.importer.model,
                                         *tensor, "value", error);
    if (!attribute)
      return n.fail(error);
    if (!n.require(attribute.getNumElements() == 1,
                   "value has no element, expected one"))
      return;
    Value given = gr::ConstantOp::create(n.b, n.loc, attribute);
    value = n.reshape(given, {});
  } else {
    value = n.scalar(0, element);
  }
  n.set(0, n.broadcastTo(value, *dims));
}

bool aicc::onnx::inlineGraph(Node &n, const proto::GraphProto &graph,
                             ArrayRef<Tensor *> inputs,
                             SmallVectorImpl<Tensor *> &outputs) {
  Scope scope;
  scope.parent = &n.scope;
  scope.opsets = n.scope.opsets;
  scope.attributes = n.scope.attributes;
  scope.prefix = n.scope.prefix;
  if (!n.require(graph.input_size() == int(inputs.size()),
                 "its subgraph has " + Twine(graph.input_size()) +
                     " inputs, expected " + Twine(inputs.size())))
    return false;
  for (int i = 0; i < graph.input_size(); ++i)
    if (!n.require(
            scope.values.try_emplace(graph.input(i).name(), inputs[i]).second,
            "its subgraph has two inputs \"" + graph.input(i).name() + "\""))
      return false;
  return succeeded(n.importer.importGraph(graph, scope, outputs));
}

static void conditional(Node &n) {
  auto condition = n.numberOf(0);
  if (!n.require(n.has(0), "input 0 is missing"))
    return;
  if (!condition)
    return branchWhenRun(n);
  StringRef which = *condition ? "then_branch" : "else_branch";
  const proto::GraphProto *graph = n.graph(which);
  SmallVector<Tensor *> outputs;
  if (!n.require(graph, "attribute \"" + which + "\" is missing") ||
      !inlineGraph(n, *graph, {}, outputs))
    return;
  if (!n.require(outputs.size() >= n.numOutputs(),
                 which + " gives " + Twine(outputs.size()) +
                     " values, expected " + Twine(n.numOutputs())))
    return;
  for (unsigned i = 0; i < n.numOutputs(); ++i)
    n.set(i, outputs[i]);
}

/// Longer loops are not unrolled.
static constexpr int64_t maxTrips = 256;

Tensor *aicc::onnx::wrapValue(Node &n, Value value) {
  Tensor *tensor = n.importer.newTensor(n.name, n.loc);
  tensor->value = value;
  tensor->element = elementOf(value);
  tensor->dims = dimsOf(value);
  return tensor;
}

/// Stacks the values of all trips along a new dimension.
static Value stack(Node &n, ArrayRef<Value> values, int64_t axis) {
  SmallVector<Value> rows;
  for (Value value : values) {
    if (!value)
      return {};
    Dims dims = dimsOf(value);
    axis = n.axis(axis, dims.size() + 1);
    dims.insert(dims.begin() + axis, n.number(1));
    rows.push_back(n.reshape(value, dims));
  }
  return n.concatenate(rows, axis);
}

static void loop(Node &n) {
  const proto::GraphProto *body = n.graph("body");
  if (!n.require(body, "attribute \"body\" is missing"))
    return;
  auto trips = n.has(0) ? n.numberOf(0) : std::optional<double>(INFINITY);
  auto condition = n.has(1) ? n.numberOf(1) : std::optional<double>(1);
  size_t carried = n.numInputs() < 2 ? 0 : n.numInputs() - 2;
  SmallVector<Tensor *> state;
  for (size_t i = 0; i < carried; ++i) {
    if (!n.require(n.has(i + 2), "input " + Twine(i + 2) + " is missing"))
      return;
    state.push_back(n.input(i + 2));
  }
  if (!n.require(n.numOutputs() >= carried &&
                     body->output_size() == int(n.numOutputs()) + 1,
                 "its body gives " + Twine(body->output_size()) +
                     " values, expected " + Twine(n.numOutputs() + 1)))
    return;
  size_t scanned = n.numOutputs() - carried;
  // A body that decides about its end is not unrolled as far as that goes.
  bool never = trips && condition && (*trips <= 0 || !*condition);
  if (!trips || !condition || (*trips > maxTrips && !std::isinf(*trips)) ||
      (never && scanned))
    return loopWhenRun(n);
  SmallVector<SmallVector<Value>> scans(scanned);
  for (int64_t trip = 0; trip < *trips && *condition; ++trip) {
    if (trip == maxTrips)
      return loopWhenRun(n);
    SmallVector<Tensor *> inputs = {
        n.knownScalar(n.number(trip)),
        n.knownScalar(n.number(1), n.b.getI1Type())};
    inputs.append(state);
    SmallVector<Tensor *> outputs;
    if (!inlineGraph(n, *body, inputs, outputs))
      return;
    for (Tensor *output : outputs)
      if (output && output->poisoned)
        return n.poisonResults();
    const Known *more = outputs[0] ? n.importer.known(*outputs[0]) : nullptr;
    if (!more || more->values.size() != 1 || !more->values[0].expr ||
        !more->values[0].constant())
      return loopWhenRun(n);
    condition = *more->values[0].constant();
    for (size_t i = 0; i < carried; ++i)
      state[i] = outputs[1 + i];
    for (size_t i = 0; i < scans.size(); ++i)
      scans[i].push_back(outputs[1 + carried + i]
                             ? n.importer.materialize(*outputs[1 + carried + i])
                             : Value());
    if (n.failed())
      return;
  }
  for (size_t i = 0; i < carried; ++i)
    n.set(i, state[i]);
  for (size_t i = 0; i < scans.size(); ++i) {
    if (scans[i].empty())
      return n.unsupported("scan outputs of no trips");
    n.set(carried + i, stack(n, scans[i], 0));
  }
}

/// Element `at` along an axis, which goes.
static Value element(Node &n, Value x, int64_t axis, int64_t at) {
  Value row = n.sliceAxis(x, axis, n.number(at), n.number(1));
  if (!row)
    return {};
  Dims dims = dimsOf(row);
  dims.erase(dims.begin() + axis);
  return n.reshape(row, dims);
}

/// The same at a place that only the running model knows (a scalar of i64).
static Value elementAtRun(Node &n, Value x, Value at) {
  if (!x || !at)
    return {};
  Dims dims = dimsOf(x);
  dims.erase(dims.begin());
  RankedTensorType type = n.type(dims, elementOf(x));
  return type ? Value(gr::GatherOp::create(n.b, n.loc, type, x, at,
                                           n.b.getI64IntegerAttr(0)))
              : Value();
}

/// Version 8: lengths first, and a batch in front of every dimension, each
/// element of which is scanned by itself. What lies behind the end of a sequence
/// changes no state; what would be stacked of it is zero.
static void scanBatches(Node &n, const proto::GraphProto &body,
                        int64_t scanned) {
  Value lengths = n.has(0) ? n.cast(n.operand(0), n.b.getI64Type()) : Value();
  int64_t carried = int64_t(n.numInputs()) - 1 - scanned;
  int64_t scans = int64_t(n.numOutputs()) - carried;
  if (!n.require(carried >= 0 && scans >= 0 &&
                     body.output_size() == int(n.numOutputs()),
                 "its numbers of inputs and outputs do not fit its body"))
    return;
  Ints backward = n.integers("directions", Ints(scanned, 0));
  SmallVector<Value> inputs;
  std::optional<int64_t> batch, trips;
  for (int64_t i = 0; i < carried + scanned; ++i) {
    Value x = n.operand(1 + i);
    bool isScanned = i >= carried;
    if (!x || !n.require(rankOf(x) >= 1 + isScanned,
                         "input " + Twine(1 + i) + " has no batch or sequence"))
      return;
    inputs.push_back(x);
    auto first = gr::constantOf(dimsOf(x)[0]);
    auto length = isScanned ? gr::constantOf(dimsOf(x)[1]) : trips;
    if (!first || (isScanned && !length))
      return n.unsupported("batches and sequences of dynamic size");
    if (!n.require(batch.value_or(*first) == *first &&
                       (!isScanned || trips.value_or(*length) == *length),
                   "its batches or sequences differ"))
      return;
    batch = first;
    trips = length;
  }
  if (!n.require(int64_t(backward.size()) == scanned,
                 "directions do not fit the scanned values"))
    return;
  if (*batch < 1 || *trips < 1 || *batch > maxTrips / *trips)
    return n.unsupported("no or more than " + Twine(maxTrips) +
                         " trips of batches");
  if (n.failed() ||
      (lengths &&
       !n.require(rankOf(lengths) == 1 &&
                      gr::isConstant(dimsOf(lengths)[0], *batch),
                  "sequence_lens has " + n.print(lengths.getType()) +
                      ", expected one number for each of " + Twine(*batch) +
                      " sequences")))
    return;
  Type i64 = n.b.getI64Type();
  SmallVector<SmallVector<Value>> results(carried + scans);
  for (int64_t b = 0; b < *batch; ++b) {
    Value length = lengths ? element(n, lengths, 0, b) : Value();
    if (length) {
      Value least = n.integerScalar(0, i64), most = n.integerScalar(*trips, i64);
      n.check(n.binary<gr::AndOp>(
          n.compare(gr::Comparison::greater_equal, length, least),
          n.compare(gr::Comparison::less_equal, length, most)));
    }
    SmallVector<Tensor *> state;
    for (int64_t i = 0; i < carried; ++i) {
      Value x = element(n, inputs[i], 0, b);
      if (!x)
        return;
      state.push_back(wrapValue(n, x));
    }
    SmallVector<SmallVector<Value>> stacked(scans);
    for (int64_t trip = 0; trip < *trips; ++trip) {
      SmallVector<Tensor *> given = state, outputs;
      Value live, last;
      if (length) {
        Value now = n.integerScalar(trip, i64);
        live = n.compare(gr::Comparison::less, now, length);
        last = n.subtract(n.subtract(length, n.integerScalar(1, i64)), now);
        last = n.maximum(last, n.integerScalar(0, i64));
      }
      for (int64_t i = 0; i < scanned; ++i) {
        int64_t at = backward[i] ? *trips - 1 - trip : trip;
        Value x = element(n, inputs[carried + i], 0, b);
        if (x)
          x = backward[i] && length ? elementAtRun(n, x, last)
                                    : element(n, x, 0, at);
        if (!x)
          return;
        given.push_back(wrapValue(n, x));
      }
      if (!inlineGraph(n, body, given, outputs))
        return;
      for (Tensor *output : outputs) {
        if (!n.require(output, "its body gives nothing for an output"))
          return;
        if (output->poisoned)
          return n.poisonResults();
      }
      for (int64_t i = 0; i < carried + scans; ++i) {
        Value next = n.importer.materialize(*outputs[i]);
        if (!next)
          return;
        if (live) {
          Value old = i < carried ? n.importer.materialize(*state[i])
                                  : n.full(0, next);
          next = n.select(live, next, old);
          if (!next)
            return;
        }
        if (i < carried)
          state[i] = live ? wrapValue(n, next) : outputs[i];
        else
          stacked[i - carried].push_back(next);
      }
      if (n.failed())
        return;
    }
    for (int64_t i = 0; i < carried; ++i)
      results[i].push_back(n.importer.materialize(*state[i]));
    for (int64_t i = 0; i < scans; ++i)
      results[carried + i].push_back(stack(n, stacked[i], 0));
    if (n.failed())
      return;
  }
  for (int64_t i = 0; i < carried + scans; ++i)
    n.set(i, stack(n, results[i], 0));
}

static void scan(Node &n) {
  const proto::GraphProto *body = n.graph("body");
  int64_t scanned = n.requiredInteger("num_scan_inputs");
  if (!n.require(body, "attribute \"body\" is missing") ||
      !n.require(scanned >= 1 && scanned <= int64_t(n.numInputs()),
                 "num_scan_inputs is " + Twine(scanned) + ", expected 1 to " +
                     Twine(n.numInputs())))
    return;
  if (n.version < 9)
    return scanBatches(n, *body, scanned);
  int64_t carried = int64_t(n.numInputs()) - scanned;
  int64_t scans = int64_t(n.numOutputs()) - carried;
  if (!n.require(scans >= 0 && body->output_size() == int(n.numOutputs()),
                 "its body gives " + Twine(body->output_size()) +
                     " values, expected " + Twine(n.numOutputs())))
    return;
  Ints inAxes = n.integers("scan_input_axes", Ints(scanned, 0));
  Ints inBack = n.integers("scan_input_directions", Ints(scanned, 0));
  Ints outAxes = n.integers("scan_output_axes", Ints(scans, 0));
  Ints outBack = n.integers("scan_output_directions", Ints(scans, 0));
  if (!n.require(int64_t(inAxes.size()) == scanned &&
                     int64_t(inBack.size()) == scanned &&
                     int64_t(outAxes.size()) == scans &&
                     int64_t(outBack.size()) == scans,
                 "axes or directions do not fit the scanned values"))
    return;
  SmallVector<Tensor *> state;
  SmallVector<Value> sources;
  for (int64_t i = 0; i < carried; ++i) {
    if (!n.require(n.has(i), "input " + Twine(i) + " is missing"))
      return;
    state.push_back(n.input(i));
  }
  AffineExpr count;
  for (int64_t i = 0; i < scanned; ++i) {
    Value x = n.operand(carried + i);
    if (!x)
      return;
    inAxes[i] = n.axis(inAxes[i], rankOf(x));
    if (n.failed())
      return;
    AffineExpr size = dimsOf(x)[inAxes[i]];
    if (count && !n.requireEqual(count, size, "the scanned dimension"))
      return;
    count = count ? gr::unify(count, size) : size;
    sources.push_back(x);
  }
  auto trips = gr::constantOf(count);
  if (!trips || *trips > maxTrips || *trips == 0) {
    LoopParts parts;
    parts.count = count;
    parts.scans = scans;
    parts.backward.assign(outBack.begin(), outBack.end());
    for (Tensor *tensor : state) {
      if (tensor->composite)
        return n.unsupported("sequences as state");
      parts.inits.push_back(n.importer.materialize(*tensor));
    }
    if (n.failed())
      return;
    parts.body = [&](AffineExpr iteration, AffineExpr count,
                     ArrayRef<Tensor *> carriedState,
                     SmallVectorImpl<Tensor *> &outputs) {
      SmallVector<Tensor *> inputs(carriedState);
      for (int64_t i = 0; i < scanned; ++i) {
        AffineExpr at =
            inBack[i] ? gr::simplify(count - 1 - iteration) : iteration;
        Value row = n.sliceAxis(sources[i], inAxes[i], at, n.number(1));
        if (!row)
          return false;
        Dims dims = dimsOf(row);
        dims.erase(dims.begin() + inAxes[i]);
        row = n.reshape(row, dims);
        if (!row)
          return false;
        inputs.push_back(wrapValue(n, row));
      }
      outputs.push_back(n.knownScalar(n.number(1), n.b.getI1Type()));
      return inlineGraph(n, *body, inputs, outputs);
    };
    if (!repeatWhenRun(n, parts))
      return;
    for (int64_t i = 0; i < carried + scans; ++i) {
      Value value = parts.results[i];
      if (i >= carried) {
        Ints order;
        for (int64_t d = 1; d < rankOf(value); ++d)
          order.push_back(d);
        int64_t axis = n.axis(outAxes[i - carried], rankOf(value));
        if (n.failed())
          return;
        order.insert(order.begin() + axis, 0);
        value = n.transpose(value, order);
      }
      n.set(i, value);
    }
    return;
  }
  SmallVector<SmallVector<Value>> results(scans);
  for (int64_t trip = 0; trip < *trips; ++trip) {
    SmallVector<Tensor *> inputs = state;
    for (int64_t i = 0; i < scanned; ++i) {
      int64_t at = inBack[i] ? *trips - 1 - trip : trip;
      Value row = element(n, sources[i], inAxes[i], at);
      if (!row)
        return;
      inputs.push_back(wrapValue(n, row));
    }
    SmallVector<Tensor *> outputs;
    if (!inlineGraph(n, *body, inputs, outputs))
      return;
    for (Tensor *output : outputs) {
      if (!n.require(output, "its body gives nothing for an output"))
        return;
      if (output->poisoned)
        return n.poisonResults();
    }
    for (int64_t i = 0; i < carried; ++i)
      state[i] = outputs[i];
    for (int64_t i = 0; i < scans; ++i)
      results[i].push_back(n.importer.materialize(*outputs[carried + i]));
    if (n.failed())
      return;
  }
  for (int64_t i = 0; i < carried; ++i)
    n.set(i, state[i]);
  for (int64_t i = 0; i < scans; ++i) {
    if (results[i].empty())
      return n.unsupported("scan outputs of no trips");
    if (outBack[i])
      std::reverse(results[i].begin(), results[i].end());
    n.set(carried + i, stack(n, results[i], outAxes[i]));
  }
}

/// Only reached where an expression grew too long to be followed.
static void shapeOrSize(Node &n) {
  if (n.require(n.has(0), "input 0 is missing"))
    n.unsupported("a size that is no manageable expression");
}

llvm::ArrayRef<Operator> aicc::onnx::structureOperators() {
  static constexpr Operator table[] = {
      {"", "Constant", 1, constant},
      {"", "ConstantOfShape", 9, constantOfShape},
      {"", "Shape", 1, shapeOrSize},
      {"", "Size", 1, shapeOrSize},
      {"", "If", 1, conditional, true},
      {"", "Loop", 1, loop, true},
      {"", "Scan", 8, scan},
  };
  return table;
}
