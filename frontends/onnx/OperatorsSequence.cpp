//===- OperatorsSequence.cpp - sequences and optionals --------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Nothing of these operators is left when the model runs, but for the tensors
// in the sequences: how many there are is known while importing.
//
//===----------------------------------------------------------------------===//

#include "dialects/graph/Names.h"
#include "frontends/onnx/Node.h"

using namespace mlir;
using namespace aicc::onnx;
using llvm::StringRef;
using llvm::Twine;
namespace gr = aicc::graph;

/// More chunks make more operators than anybody means.
static constexpr int64_t mostChunks = 4096;

void Node::set(unsigned i, Composite composite, Type element) {
  if (failed() || i >= numOutputs())
    return;
  std::string title = scope.prefix + proto.output(i);
  results_[i] = importer.newComposite(
      title, aicc::graph::valueLocation(importer.context, title, name),
      std::move(composite));
  if (element)
    results_[i]->element = element;
}

const Composite *Node::composite(unsigned i, Composite::Kind kind) {
  if (!require(has(i), "input " + Twine(i) + " is missing"))
    return nullptr;
  const Composite *found = input(i)->composite;
  require(found && found->kind == kind,
          "input " + Twine(i) + " is " +
              (found ? aicc::onnx::describe(found->kind) : "a tensor") +
              ", expected " + aicc::onnx::describe(kind));
  return failed() ? nullptr : found;
}

Tensor *Node::wrap(Value value) {
  if (!value)
    return nullptr;
  Tensor *tensor = importer.newTensor(name, loc);
  tensor->value = value;
  tensor->element = elementOf(value);
  tensor->dims = dimsOf(value);
  return tensor;
}

/// A tensor input, which isn't built before somebody needs it.
static Tensor *tensorInput(Node &n, unsigned i) {
  if (!n.require(n.has(i), "input " + Twine(i) + " is missing") ||
      !n.require(!n.input(i)->composite,
                 "input " + Twine(i) + " is no tensor, expected one"))
    return nullptr;
  return n.input(i);
}

static bool requireElement(Node &n, Type have, const Tensor &added) {
  return n.require(!have || have == added.element,
                   "a tensor of element type " + n.print(added.element) +
                       " is put into a sequence of " +
                       (have ? n.print(have) : std::string()));
}

static void sequenceConstruct(Node &n) {
  Composite sequence{Composite::sequence, {}};
  Type element;
  for (unsigned i = 0; i < n.numInputs(); ++i) {
    Tensor *tensor = tensorInput(n, i);
    if (!tensor || !requireElement(n, element, *tensor))
      return;
    element = tensor->element;
    sequence.elements.push_back(tensor);
  }
  if (n.require(n.numInputs(), "it has no input, expected at least one"))
    n.set(0, std::move(sequence));
}

static void sequenceEmpty(Node &n) {
  int64_t type = n.integer("dtype", FLOAT);
  Type element = elementType(n.importer.context, static_cast<int32_t>(type));
  if (!element)
    return n.unsupported("element type " +
                         dataTypeName(static_cast<int32_t>(type)));
  n.set(0, Composite{Composite::sequence, {}}, element);
}

/// The position an input names, in [0, bound); none if it names nothing there.
static std::optional<int64_t> position(Node &n, unsigned i, int64_t size,
                                       int64_t bound) {
  auto list = n.integersOf(i, "position");
  if (!list ||
      !n.require(list->size() == 1, "position has " + Twine(list->size()) +
                                        " elements, expected one"))
    return std::nullopt;
  int64_t at = list->front();
  if (!n.require(at >= -size && at < bound,
                 "position " + Twine(at) +
                     " is out of range for a sequence "
                     "of " +
                     Twine(size) + " elements"))
    return std::nullopt;
  return at < 0 ? at + size : at;
}

static void sequenceInsert(Node &n) {
  const Composite *from = n.composite(0, Composite::sequence);
  Tensor *tensor = from ? tensorInput(n, 1) : nullptr;
  if (!tensor || !requireElement(n, n.input(0)->element, *tensor))
    return;
  int64_t size = from->elements.size();
  auto at = n.has(2) ? position(n, 2, size, size + 1) : size;
  if (!at)
    return;
  Composite sequence = *from;
  sequence.elements.insert(sequence.elements.begin() + *at, tensor);
  n.set(0, std::move(sequence));
}

static void sequenceErase(Node &n) {
  const Composite *from = n.composite(0, Composite::sequence);
  if (!from)
    return;
  int64_t size = from->elements.size();
  if (!n.require(size > 0, "the sequence is empty"))
    return;
  auto at = n.has(1) ? position(n, 1, size, size) : size - 1;
  if (!at)
    return;
  Composite sequence = *from;
  sequence.elements.erase(sequence.elements.begin() + *at);
  n.set(0, std::move(sequence), n.input(0)->element);
}

/// An element whose position is computed when the model runs: all of them must
/// have one shape.
static void dynamicAt(Node &n, const Composite &from) {
  SmallVector<Value> rows;
  for (Tensor *tensor : from.elements) {
    if (tensor->rank() != from.elements[0]->rank() ||
        !llvm::equal(tensor->dims, from.elements[0]->dims, gr::equal))
      return n.unsupported("a position that is only known when the model "
                           "runs, in a sequence of different shapes");
    Value value = n.importer.materialize(*tensor);
    Dims dims = tensor->dims;
    dims.insert(dims.begin(), n.number(1));
    rows.push_back(value ? n.reshape(value, dims) : Value());
  }
  Value at = n.operand(1), all = n.concatenate(rows, 0);
  if (!at || !all ||
      !n.require(isa<IntegerType>(elementOf(at)) && !elementOf(at).isInteger(1),
                 "position has element type " + n.print(elementOf(at)) +
                     ", expected an integer"))
    return;
  at = n.cast(n.reshape(at, {}), n.b.getI64Type());
  Value zero = n.integerScalar(0, n.b.getI64Type());
  Value size = n.integerScalar(rows.size(), n.b.getI64Type());
  if (!at || !zero || !size)
    return;
  at = n.select(n.compare(gr::Comparison::less, at, zero), n.add(at, size), at);
  RankedTensorType type =
      n.type(from.elements[0]->dims, from.elements[0]->element);
  if (type && at)
    n.set(0, gr::GatherOp::create(n.b, n.loc, type, all, at,
                                  n.b.getI64IntegerAttr(0))
                 .getResult());
}

static void sequenceAt(Node &n) {
  const Composite *from = n.composite(0, Composite::sequence);
  if (!from || !n.require(n.has(1), "input 1 is missing"))
    return;
  if (!n.require(!from->elements.empty(), "the sequence is empty"))
    return;
  if (!n.known(1))
    return dynamicAt(n, *from);
  int64_t size = from->elements.size();
  if (auto at = position(n, 1, size, size))
    n.set(0, from->elements[*at]);
}

static void sequenceLength(Node &n) {
  if (const Composite *from = n.composite(0, Composite::sequence))
    n.set(
        0,
        Known{n.b.getI64Type(), {}, {Scalar{n.number(from->elements.size())}}});
}

static void splitToSequence(Node &n) {
  Value x = n.operand(0);
  if (!x)
    return;
  int64_t axis = n.axis(n.integer("axis", 0), rankOf(x));
  if (n.failed())
    return;
  AffineExpr whole = dimsOf(x)[axis];
  auto size = gr::constantOf(whole);
  Dims chunks;
  bool keep = true, scalar = n.has(1) && n.input(1)->rank() == 0;
  if (n.has(1) && !scalar) {
    auto sizes = n.expressionsOf(1, "split");
    if (!sizes)
      return;
    AffineExpr total = n.number(0);
    for (AffineExpr chunk : *sizes) {
      auto constant = gr::constantOf(chunk);
      if (!n.require(!constant || *constant >= 0,
                     "a chunk has size " + Twine(constant.value_or(0)) +
                         ", expected at least 0"))
        return;
      total = total + chunk;
    }
    if (!n.requireEqual(whole, gr::simplify(total), "the sum of the chunks"))
      return;
    chunks = *sizes;
  } else {
    int64_t step = 1;
    if (scalar) {
      auto given = n.integersOf(1, "split");
      if (!given || !n.require(given->size() == 1 && given->front() > 0,
                               "split is not positive, expected the size of "
                               "a chunk"))
        return;
      step = given->front();
    } else {
      keep = n.integer("keepdims", 1);
    }
    if (!size)
      return n.unsupported("a dynamic number of chunks");
    if (*size / step >= mostChunks)
      return n.unsupported("more than " + Twine(mostChunks) + " chunks");
    for (int64_t from = 0; from < *size; from += step)
      chunks.push_back(n.number(std::min(step, *size - from)));
  }
  Composite sequence{Composite::sequence, {}};
  AffineExpr from = n.number(0);
  for (AffineExpr chunk : chunks) {
    Value part = n.sliceAxis(x, axis, from, chunk);
    if (part && !keep) {
      Dims dims = dimsOf(part);
      dims.erase(dims.begin() + axis);
      part = n.reshape(part, dims);
    }
    if (!part)
      return;
    sequence.elements.push_back(n.wrap(part));
    from = gr::simplify(from + chunk);
  }
  n.set(0, std::move(sequence), elementOf(x));
}

static void concatFromSequence(Node &n) {
  const Composite *from = n.composite(0, Composite::sequence);
  int64_t axis = n.requiredInteger("axis");
  bool stack = n.integer("new_axis", 0);
  if (!from || n.failed() ||
      !n.require(!from->elements.empty(), "the sequence is empty"))
    return;
  axis = n.axis(axis, from->elements[0]->rank() + stack);
  SmallVector<Value> values;
  for (Tensor *tensor : from->elements) {
    if (!n.require(tensor->rank() == from->elements[0]->rank(),
                   "elements have " + Twine(tensor->rank()) + " and " +
                       Twine(from->elements[0]->rank()) +
                       " dimensions, expected the same number"))
      return;
    Value value = n.importer.materialize(*tensor);
    if (!value || n.failed())
      return;
    if (stack) {
      Dims dims = tensor->dims;
      dims.insert(dims.begin() + axis, n.number(1));
      value = n.reshape(value, dims);
    }
    values.push_back(value);
  }
  n.set(0, n.concatenate(values, axis));
}

static void sequenceMap(Node &n) {
  const proto::GraphProto *body = n.graph("body");
  const Composite *first = n.composite(0, Composite::sequence);
  if (!first || !n.require(body, "attribute \"body\" is missing"))
    return;
  if (!n.require(body->output_size() == int(n.numOutputs()),
                 "its body gives " + Twine(body->output_size()) +
                     " values, expected " + Twine(n.numOutputs())))
    return;
  for (unsigned i = 0; i < n.numInputs(); ++i) {
    if (!n.require(n.has(i), "input " + Twine(i) + " is missing"))
      return;
    const Composite *other = n.input(i)->composite;
    if (other &&
        (!n.composite(i, Composite::sequence) ||
         !n.require(other->elements.size() == first->elements.size(),
                    "input " + Twine(i) + " has " +
                        Twine(other->elements.size()) + " elements, expected " +
                        Twine(first->elements.size()))))
      return;
  }
  SmallVector<Composite> results(n.numOutputs(), {Composite::sequence, {}});
  for (size_t k = 0; k < first->elements.size(); ++k) {
    SmallVector<Tensor *> inputs, outputs;
    for (unsigned i = 0; i < n.numInputs(); ++i) {
      const Composite *sequence = n.input(i)->composite;
      inputs.push_back(sequence ? sequence->elements[k] : n.input(i));
    }
    if (!inlineGraph(n, *body, inputs, outputs))
      return;
    for (auto [result, output] : llvm::zip(results, outputs)) {
      if (!n.require(output && !output->composite,
                     "its body gives no tensor for an output"))
        return;
      if (output->poisoned)
        return n.poisonResults();
      result.elements.push_back(output);
    }
  }
  for (auto [i, result] : llvm::enumerate(results)) {
    // Of no elements, the type is what the body declares.
    const auto &type = body->output(i).type();
    n.set(i, std::move(result),
          first->elements.empty() && type.has_tensor_type()
              ? elementType(n.importer.context, type.tensor_type().elem_type())
              : Type());
  }
}

static void optional(Node &n) {
  if (n.has(0)) {
    Tensor *x = n.input(0);
    if (n.require(!x->composite || x->composite->kind == Composite::sequence,
                  "its input is " +
                      (x->composite ? describe(x->composite->kind)
                                    : StringRef("a tensor")) +
                      ", expected a tensor or a sequence"))
      n.set(0, Composite{Composite::optional, {x}});
    return;
  }
  if (n.require(n.hasAttribute("type"),
                "it has neither an input nor the attribute \"type\""))
    n.set(0, Composite{Composite::optional, {}});
}

static void optionalHasElement(Node &n) {
  const Composite *x = n.has(0) ? n.input(0)->composite : nullptr;
  bool empty =
      !n.has(0) || (x && x->kind == Composite::optional && x->elements.empty());
  n.set(0, Known{n.b.getI1Type(), {}, {Scalar{n.number(!empty)}}});
}

static void optionalGetElement(Node &n) {
  if (!n.require(n.has(0), "input 0 is missing"))
    return;
  const Composite *x = n.input(0)->composite;
  if (!x || x->kind != Composite::optional)
    return n.set(0, n.input(0));
  if (n.require(!x->elements.empty(), "the optional has no element"))
    n.set(0, x->elements[0]);
}

llvm::ArrayRef<Operator> aicc::onnx::sequenceOperators() {
  static constexpr Operator table[] = {
      {"", "SequenceConstruct", 11, sequenceConstruct},
      {"", "SequenceEmpty", 11, sequenceEmpty},
      {"", "SequenceInsert", 11, sequenceInsert, true},
      {"", "SequenceErase", 11, sequenceErase, true},
      {"", "SequenceAt", 11, sequenceAt, true},
      {"", "SequenceLength", 11, sequenceLength, true},
      {"", "SplitToSequence", 11, splitToSequence},
      {"", "ConcatFromSequence", 11, concatFromSequence, true},
      {"", "SequenceMap", 17, sequenceMap, true},
      {"", "Optional", 15, optional, true},
      {"", "OptionalHasElement", 15, optionalHasElement, true},
      {"", "OptionalGetElement", 15, optionalGetElement, true},
  };
  return table;
}
