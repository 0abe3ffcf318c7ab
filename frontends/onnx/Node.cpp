//===- Node.cpp - inputs, outputs and attributes of a node ----------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/Node.h"
#include "dialects/graph/Names.h"

#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace aicc::onnx;
using llvm::StringRef;
using llvm::Twine;

// AttributeProto.AttributeType.
enum {
  attrFloat = 1,
  attrInt,
  attrString,
  attrTensor,
  attrGraph,
  attrFloats,
  attrInts,
  attrStrings
};

Node::Node(Importer &importer, const proto::NodeProto &proto, Scope &scope,
           std::string name, int64_t version)
    : importer(importer), proto(proto), scope(scope), name(std::move(name)),
      version(version), b(importer.builder),
      loc(aicc::graph::nodeLocation(importer.context, this->name)),
      results_(proto.output_size(), nullptr) {}

std::string Node::describe() const {
  return "node \"" + name + "\" (" + proto.op_type() + ")";
}

void Node::fail(const Twine &message) {
  if (!failed())
    (void)importer.fail(describe() + ": " + message);
}

void Node::unsupported(const Twine &reason) {
  if (failed())
    return;
  importer.unsupported(normalDomain(proto.domain()), proto.op_type(), version,
                       name, reason.str());
  for (unsigned i : unknown_)
    importer.noteNeeded(*inputs_[i]);
  unsupported_ = true;
}

bool Node::require(bool condition, const Twine &message) {
  if (!condition)
    fail(message);
  return condition && !failed();
}

Value Node::operand(unsigned i) {
  if (failed())
    return {};
  if (!has(i)) {
    fail("input " + Twine(i) + " is missing");
    return {};
  }
  return importer.materialize(*inputs_[i]);
}

const Known *Node::known(unsigned i) {
  if (!has(i) || failed())
    return nullptr;
  const Known *contents = importer.known(*inputs_[i]);
  if (!contents)
    unknown_.push_back(i);
  return contents;
}

std::optional<Dims> Node::expressionsOf(unsigned i, StringRef what) {
  if (failed())
    return std::nullopt;
  if (!has(i)) {
    fail("input " + Twine(i) + " (" + what + ") is missing");
    return std::nullopt;
  }
  const Known *contents = known(i);
  if (!contents)
    return readSizes(i, what);
  Dims result;
  for (const Scalar &scalar : contents->values) {
    if (!scalar.expr) {
      fail(what + " has fractional values, expected integers");
      return std::nullopt;
    }
    result.push_back(scalar.expr);
  }
  return result;
}

std::optional<Ints> Node::integersOf(unsigned i, StringRef what) {
  if (has(i) && !known(i) && !failed()) {
    unsupported("values of " + what +
                " that are only known when the model runs");
    return std::nullopt;
  }
  auto exprs = expressionsOf(i, what);
  if (!exprs)
    return std::nullopt;
  Ints result;
  for (AffineExpr expr : *exprs) {
    auto value = aicc::graph::constantOf(expr);
    if (!value) {
      unsupported(what + " that depends on a dynamic dimension");
      return std::nullopt;
    }
    result.push_back(*value);
  }
  return result;
}

std::optional<double> Node::numberOf(unsigned i) {
  const Known *contents = known(i);
  if (!contents || contents->values.size() != 1)
    return std::nullopt;
  const Scalar &scalar = contents->values[0];
  if (!scalar.expr)
    return scalar.number;
  if (auto value = scalar.constant())
    return double(*value);
  return std::nullopt;
}

void Node::set(unsigned i, Value value) {
  if (!value || failed() || i >= numOutputs())
    return;
  std::string title = scope.prefix + proto.output(i);
  Location place = aicc::graph::valueLocation(importer.context, title, name);
  // Only what this node built is named after its result.
  Operation *op = value.getDefiningOp();
  if (op && op->getLoc() == loc && !proto.output(i).empty())
    op->setLoc(place);
  Tensor *tensor = importer.newTensor(title, place);
  tensor->value = value;
  tensor->element = elementOf(value);
  tensor->dims = dimsOf(value);
  results_[i] = tensor;
}

void Node::set(unsigned i, Known known) {
  if (failed() || i >= numOutputs())
    return;
  std::string title = scope.prefix + proto.output(i);
  Tensor *tensor = importer.newTensor(
      title, aicc::graph::valueLocation(importer.context, title, name));
  tensor->element = known.element;
  tensor->dims = numbers(known.shape);
  tensor->known = std::move(known);
  tensor->triedKnown = true;
  results_[i] = tensor;
}

Tensor *Node::knownScalar(AffineExpr value, Type element) {
  Tensor *tensor = importer.newTensor(name, loc);
  tensor->element = element ? element : Type(b.getI64Type());
  tensor->known = Known{tensor->element, {}, {Scalar{value}}};
  return tensor;
}

void Node::set(unsigned i, Tensor *tensor) {
  if (!failed() && i < numOutputs())
    results_[i] = tensor;
}

void Node::set(unsigned i, const proto::TensorProto *payload) {
  std::string error;
  if (failed() || i >= numOutputs())
    return;
  if (!checkTensor(*payload, importer.options.maxElements, error))
    return fail(error);
  std::string title = scope.prefix + proto.output(i);
  Tensor *tensor = importer.newTensor(
      title, aicc::graph::valueLocation(importer.context, title, name));
  tensor->element = elementType(importer.context, payload->data_type());
  if (!tensor->element)
    return unsupported("element type " + dataTypeName(payload->data_type()));
  for (int64_t dim : payload->dims())
    tensor->dims.push_back(number(dim));
  tensor->payload = payload;
  results_[i] = tensor;
}

void Node::poisonResults() {
  for (int i = 0; i < proto.output_size(); ++i) {
    results_[i] = importer.newTensor(proto.output(i), loc);
    results_[i]->poisoned = true;
  }
}

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

/// The type of an attribute; files before IR version 2 leave it out.
static int32_t typeOf(const proto::AttributeProto &attribute) {
  if (attribute.type())
    return attribute.type();
  return attribute.has_f()          ? attrFloat
         : attribute.has_i()        ? attrInt
         : attribute.has_s()        ? attrString
         : attribute.has_t()        ? attrTensor
         : attribute.has_g()        ? attrGraph
         : attribute.floats_size()  ? attrFloats
         : attribute.ints_size()    ? attrInts
         : attribute.strings_size() ? attrStrings
                                    : 0;
}

static StringRef typeName(int32_t type) {
  static constexpr const char *names[] = {"undefined", "float",  "int",
                                          "string",    "tensor", "graph",
                                          "floats",    "ints",   "strings"};
  return type >= 0 && type <= attrStrings ? names[type] : "another type";
}

const proto::AttributeProto *Node::attribute(StringRef name, int32_t type) {
  const proto::AttributeProto *found = nullptr;
  for (const auto &attribute : proto.attribute()) {
    if (attribute.name() != name)
      continue;
    if (found) {
      fail("attribute \"" + name + "\" is given twice");
      return nullptr;
    }
    found = &attribute;
  }
  if (found && !found->ref_attr_name().empty()) {
    if (!scope.attributes) {
      fail("attribute \"" + name +
           "\" refers to one of a function, but the "
           "node is not in a function");
      return nullptr;
    }
    auto it = scope.attributes->find(found->ref_attr_name());
    found = it == scope.attributes->end() ? nullptr : it->second;
  }
  if (!found || !type)
    return found;
  int32_t actual = typeOf(*found);
  // A list that is empty may have lost its type.
  bool list = type == attrFloats || type == attrInts || type == attrStrings;
  if (actual != type && !(list && actual == 0)) {
    fail("attribute \"" + name + "\" is " + typeName(actual) + ", expected " +
         typeName(type));
    return nullptr;
  }
  return found;
}

bool Node::hasAttribute(StringRef name) { return attribute(name, 0); }

int64_t Node::integer(StringRef name, int64_t fallback) {
  auto *found = attribute(name, attrInt);
  return found ? found->i() : fallback;
}

double Node::real(StringRef name, double fallback) {
  auto *found = attribute(name, attrFloat);
  return found ? double(found->f()) : fallback;
}

std::string Node::string(StringRef name, StringRef fallback) {
  auto *found = attribute(name, attrString);
  return found ? found->s() : fallback.str();
}

Ints Node::integers(StringRef name, Ints fallback) {
  auto *found = attribute(name, attrInts);
  return found ? Ints(found->ints().begin(), found->ints().end()) : fallback;
}

SmallVector<double> Node::reals(StringRef name) {
  auto *found = attribute(name, attrFloats);
  return found ? SmallVector<double>(found->floats().begin(),
                                     found->floats().end())
               : SmallVector<double>();
}

const proto::TensorProto *Node::tensor(StringRef name) {
  auto *found = attribute(name, attrTensor);
  return found ? &found->t() : nullptr;
}

const proto::GraphProto *Node::graph(StringRef name) {
  auto *found = attribute(name, attrGraph);
  return found ? &found->g() : nullptr;
}

int64_t Node::requiredInteger(StringRef name) {
  require(hasAttribute(name), "attribute \"" + name + "\" is missing");
  return integer(name, 0);
}

int64_t Node::axis(int64_t value, int64_t rank) {
  if (value < -rank || value >= rank) {
    fail("axis " + Twine(value) + " is out of range for " + Twine(rank) +
         " dimensions");
    return 0;
  }
  return value < 0 ? value + rank : value;
}

Ints Node::axes(ArrayRef<int64_t> values, int64_t rank) {
  Ints result;
  for (int64_t value : values)
    result.push_back(axis(value, rank));
  llvm::sort(result);
  if (std::adjacent_find(result.begin(), result.end()) != result.end())
    fail("an axis is given twice");
  return failed() ? Ints() : result;
}
