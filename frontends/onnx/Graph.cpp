//===- Graph.cpp - walking graphs, subgraphs and functions ----------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/graph/Names.h"
#include "frontends/onnx/Strings.h"

#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/StringSet.h"

#include <queue>

using namespace mlir;
using namespace aicc::onnx;
using llvm::StringRef;
using llvm::Twine;

using NodeList = google::protobuf::RepeatedPtrField<proto::NodeProto>;

/// Graphs and calls nest this deep; the parser's limit alone allows 30 graphs.
static constexpr int maxDepth = 64;

Tensor *Importer::lookup(Scope &scope, StringRef name, bool *defined) const {
  for (Scope *s = &scope; s; s = s->parent) {
    auto it = s->values.find(name);
    if (it != s->values.end())
      return it->second;
  }
  if (defined)
    *defined = false;
  return nullptr;
}

static std::string nodeTitle(const proto::NodeProto &node, size_t index,
                             StringRef prefix) {
  if (!node.name().empty())
    return (prefix + node.name()).str();
  return (prefix + node.op_type() + "_" + Twine(index)).str();
}

/// Names that a node reads, those of its subgraphs included.
static void collectReads(const proto::NodeProto &node,
                         llvm::function_ref<void(StringRef)> visit) {
  for (const std::string &name : node.input())
    if (!name.empty())
      visit(name);
  for (const auto &attribute : node.attribute()) {
    auto graph = [&](const proto::GraphProto &graph) {
      for (const auto &inner : graph.node())
        collectReads(inner, visit);
      for (const auto &output : graph.output())
        visit(output.name());
    };
    if (attribute.has_g())
      graph(attribute.g());
    for (const auto &g : attribute.graphs())
      graph(g);
  }
}

LogicalResult Importer::importNodes(const NodeList &nodes, Scope &scope) {
  llvm::StringMap<int> producer;
  for (int i = 0; i < nodes.size(); ++i)
    for (const std::string &name : nodes[i].output()) {
      if (name.empty())
        continue;
      if (!producer.try_emplace(name, i).second || scope.values.count(name))
        return fail("value \"" + Twine(name) +
                    "\" is defined twice, by node \"" +
                    nodeTitle(nodes[i], i, scope.prefix) + "\" again");
    }
  // Kahn's algorithm, the first ready node first: an order that is right
  // already stays as it is.
  std::vector<int> missing(nodes.size(), 0);
  std::vector<std::vector<int>> readers(nodes.size());
  for (int i = 0; i < nodes.size(); ++i) {
    std::set<int> from;
    collectReads(nodes[i], [&](StringRef name) {
      auto it = producer.find(name);
      if (it != producer.end())
        from.insert(it->second);
    });
    for (int p : from)
      readers[p].push_back(i);
    missing[i] = from.size();
  }
  std::priority_queue<int, std::vector<int>, std::greater<int>> ready;
  for (int i = 0; i < nodes.size(); ++i)
    if (!missing[i])
      ready.push(i);
  int done = 0;
  while (!ready.empty()) {
    int i = ready.top();
    ready.pop();
    ++done;
    if (llvm::failed(importNode(nodes[i], i, scope)))
      return failure();
    for (int reader : readers[i])
      if (--missing[reader] == 0)
        ready.push(reader);
  }
  if (done == nodes.size())
    return success();
  // Walk backwards inside the rest: after enough steps one stands on a cycle.
  int at = 0;
  while (!missing[at])
    ++at;
  for (int step = 0; step < nodes.size(); ++step) {
    int next = -1;
    collectReads(nodes[at], [&](StringRef name) {
      auto it = producer.find(name);
      if (it != producer.end() && missing[it->second] && next < 0)
        next = it->second;
    });
    at = next;
  }
  return fail("the graph has a cycle through node \"" +
              nodeTitle(nodes[at], at, scope.prefix) + "\"");
}

LogicalResult Importer::importGraph(const proto::GraphProto &graph,
                                    Scope &scope,
                                    SmallVectorImpl<Tensor *> &outputs) {
  if (++depth_ > maxDepth)
    return fail("subgraphs and functions nest more than " + Twine(maxDepth) +
                " deep");
  if (llvm::failed(addInitializers(graph, scope)) ||
      llvm::failed(importNodes(graph.node(), scope)))
    return failure();
  for (const auto &output : graph.output()) {
    Tensor *tensor = lookup(scope, output.name());
    if (!tensor)
      return fail("output \"" + Twine(output.name()) +
                  "\" of the graph is not defined");
    outputs.push_back(tensor);
  }
  --depth_;
  return success();
}

/// Whether an operator only moves elements (or asks for their number), which it
/// can do with complex ones.
static bool movesElements(const proto::NodeProto &node) {
  static constexpr const char *movers[] = {"BitCast",
                                           "CenterCropPad",
                                           "Compress",
                                           "Concat",
                                           "ConcatFromSequence",
                                           "ConstantOfShape",
                                           "DepthToSpace",
                                           "Expand",
                                           "Flatten",
                                           "Gather",
                                           "GatherElements",
                                           "GatherND",
                                           "Identity",
                                           "If",
                                           "Loop",
                                           "OneHot",
                                           "Optional",
                                           "OptionalGetElement",
                                           "OptionalHasElement",
                                           "Pad",
                                           "Reshape",
                                           "ReverseSequence",
                                           "Scan",
                                           "Scatter",
                                           "ScatterElements",
                                           "ScatterND",
                                           "SequenceAt",
                                           "SequenceConstruct",
                                           "SequenceErase",
                                           "SequenceInsert",
                                           "SequenceLength",
                                           "SequenceMap",
                                           "Shape",
                                           "Size",
                                           "Slice",
                                           "SpaceToDepth",
                                           "Split",
                                           "SplitToSequence",
                                           "Squeeze",
                                           "TensorScatter",
                                           "Tile",
                                           "Transpose",
                                           "Trilu",
                                           "Unsqueeze",
                                           "Where"};
  for (const auto &attribute : node.attribute())
    if (attribute.name() == "reduction" && attribute.s() != "none")
      return false;
  return llvm::is_contained(movers, StringRef(node.op_type()));
}

/// Whether an operator's result has at each place what it makes of its
/// operands there, whose dimensions are aligned at the end.
static bool alignsDimensions(const proto::NodeProto &node) {
  static constexpr const char *names[] = {"Abs",         "Acos",
                                          "Acosh",       "Add",
                                          "And",         "Asin",
                                          "Asinh",       "Atan",
                                          "Atanh",       "BitShift",
                                          "BitwiseAnd",  "BitwiseNot",
                                          "BitwiseOr",   "BitwiseXor",
                                          "Cast",        "CastLike",
                                          "Ceil",        "Cos",
                                          "Cosh",        "Div",
                                          "Equal",       "Erf",
                                          "Exp",         "Floor",
                                          "Greater",     "GreaterOrEqual",
                                          "Identity",    "IsInf",
                                          "IsNaN",       "Less",
                                          "LessOrEqual", "Log",
                                          "Max",         "Mean",
                                          "Min",         "Mod",
                                          "Mul",         "Neg",
                                          "Not",         "Or",
                                          "Pow",         "Reciprocal",
                                          "Relu",        "Round",
                                          "Sigmoid",     "Sign",
                                          "Sin",         "Sinh",
                                          "Sqrt",        "Sub",
                                          "Sum",         "Tan",
                                          "Tanh",        "Where",
                                          "Xor"};
  return llvm::is_contained(names, StringRef(node.op_type()));
}

/// How many of the first dimensions of a node's results the running model may
/// not have; nothing if the node cannot be told without knowing.
static std::optional<int64_t> optionalOnes(const proto::NodeProto &node,
                                           int64_t version,
                                           ArrayRef<Tensor *> inputs) {
  int64_t most = 0, certain = 0;
  bool any = false;
  // Of CastLike's second operand nothing matters but the type.
  if (node.op_type() == "CastLike")
    inputs = inputs.take_front(1);
  for (Tensor *tensor : inputs) {
    if (!tensor)
      continue;
    any |= tensor->optionalOnes > 0;
    most = std::max(most, tensor->rank());
    certain = std::max(certain, tensor->rank() - tensor->optionalOnes);
  }
  if (!any)
    return 0;
  if (!normalDomain(node.domain()).empty() || version < 7 ||
      !alignsDimensions(node))
    return std::nullopt;
  return most - certain;
}

LogicalResult Importer::importNode(const proto::NodeProto &proto, size_t index,
                                   Scope &scope) {
  std::string title = nodeTitle(proto, index, scope.prefix);
  if (++nodeCount_ > options.maxNodes)
    return fail("the model has more than " + Twine(options.maxNodes) +
                " nodes after inlining");
  if (proto.op_type().empty())
    return fail("node \"" + title + "\" has no operator");

  std::string domain = normalDomain(proto.domain()).str();
  auto opset = scope.opsets->find(domain);
  auto function =
      functions_.find(functionKey(domain, proto.op_type(), proto.overload()));
  int64_t version = opset == scope.opsets->end() ? 0 : opset->second;
  if (function == functions_.end() && !version && domain.empty())
    return fail("node \"" + title + "\" uses " + proto.op_type() +
                " of ai.onnx, which the model does not import");

  Node node(*this, proto, scope, title, version);
  Location outer = here_;
  std::string outerDevice = device_;
  here_ = node.loc;
  llvm::scope_exit restore([&] {
    here_ = outer;
    device_ = outerDevice;
  });
  for (const auto &entry : proto.metadata_props())
    if (entry.key() == deviceKey)
      device_ = entry.value();
  if (!device_.empty())
    devices_[title] = device_;
  if (options.nodes)
    options.nodes->push_back(title);
  bool poisoned = false;
  for (const std::string &name : proto.input()) {
    bool defined = true;
    Tensor *tensor = name.empty() ? nullptr : lookup(scope, name, &defined);
    if (!defined)
      return fail("node \"" + title + "\" reads \"" + name +
                  "\", which is not defined");
    poisoned |= tensor && tensor->poisoned;
    node.inputs_.push_back(tensor);
  }
  const Operator *op = function != functions_.end()
                           ? nullptr
                           : findOperator(domain, proto.op_type(), version);
  if (!op && function == functions_.end()) {
    unsupported(domain, proto.op_type(), version, title, {});
    poisoned = true;
  }
  if (op && !op->composites)
    for (auto [i, tensor] : llvm::enumerate(node.inputs_))
      if (tensor && tensor->composite)
        return fail("node \"" + title + "\" (" + proto.op_type() + "): input " +
                    Twine(i) + " is " + describe(tensor->composite->kind) +
                    ", expected a tensor");
  if (op && !poisoned && !movesElements(proto))
    for (auto [i, tensor] : llvm::enumerate(node.inputs_))
      if (tensor && !tensor->composite && isa<ComplexType>(tensor->element))
        return fail("node \"" + title + "\" (" + proto.op_type() + "): input " +
                    Twine(i) + " has element type " +
                    dataTypeName(dataTypeOf(tensor->element)) +
                    ", expected a type that " + proto.op_type() +
                    " computes with");
  auto ones = function != functions_.end() || poisoned
                  ? std::optional<int64_t>(0)
                  : optionalOnes(proto, version, node.inputs_);
  if (!ones) {
    unsupported(domain, proto.op_type(), version, title,
                "a rank that is only known when the model runs");
    poisoned = true;
    ones = 0;
  }
  if (poisoned) {
    node.poisonResults();
  } else if (function != functions_.end()) {
    if (llvm::failed(callFunction(*function->second.proto, node)))
      return failure();
  } else if (!evaluateKnown(node) && !failed()) {
    // What evaluating asked for is no need of the operator's.
    node.unknown_.clear();
    if (!runOverStrings(node, op->function))
      op->function(node);
    if (node.unsupported_ && !failed())
      node.poisonResults();
  }
  if (failed())
    return failure();
  for (int i = 0; i < proto.output_size(); ++i) {
    const std::string &name = proto.output(i);
    if (name.empty())
      continue;
    if (!node.results_[i]) {
      unsupported(domain, proto.op_type(), version, title,
                  ("its output " + Twine(i)).str());
      node.poisonResults();
    }
    if (*ones && node.results_[i] != node.inputs_[0])
      node.results_[i]->optionalOnes = *ones;
    scope.values[name] = node.results_[i];
  }
  return success();
}

LogicalResult Importer::callFunction(const proto::FunctionProto &function,
                                     Node &node) {
  std::string key =
      functionKey(function.domain(), function.name(), function.overload());
  std::string what = "function \"" + function.name() + "\"";
  if (llvm::is_contained(callStack_, key))
    return fail(what + " calls itself");
  if (++depth_ > maxDepth)
    return fail("subgraphs and functions nest more than " + Twine(maxDepth) +
                " deep");
  if (node.proto.input_size() > function.input_size())
    return fail("node \"" + Twine(node.name) + "\" gives " + what + " " +
                Twine(node.proto.input_size()) + " inputs, expected at most " +
                Twine(function.input_size()));
  if (node.proto.output_size() > function.output_size())
    return fail("node \"" + Twine(node.name) + "\" asks " + what + " for " +
                Twine(node.proto.output_size()) +
                " outputs, expected at most " + Twine(function.output_size()));
  // What the caller gives, resolved where it is itself a reference, then the
  // defaults; an attribute with neither is absent in the body.
  std::map<std::string, const proto::AttributeProto *> attributes;
  for (const auto &given : node.proto.attribute()) {
    const proto::AttributeProto *value = &given;
    if (given.has_ref_attr_name() && !given.ref_attr_name().empty()) {
      if (!node.scope.attributes)
        continue;
      auto outer = node.scope.attributes->find(given.ref_attr_name());
      if (outer == node.scope.attributes->end())
        continue;
      value = outer->second;
    }
    attributes[given.name()] = value;
  }
  for (const auto &fallback : function.attribute_proto())
    attributes.try_emplace(fallback.name(), &fallback);

  Scope scope;
  scope.opsets = &functions_.find(key)->second.opsets;
  scope.attributes = &attributes;
  scope.prefix = node.name + "/";
  for (int i = 0; i < function.input_size(); ++i) {
    // An input that was not given is an absent one in the body, too: a name
    // that maps to no tensor.
    Tensor *given = node.input(i);
    if (!scope.values.try_emplace(function.input(i), given).second)
      return fail(what + " has two inputs \"" + function.input(i) + "\"");
  }
  callStack_.push_back(key);
  if (llvm::failed(importNodes(function.node(), scope)))
    return failure();
  callStack_.pop_back();
  for (int i = 0; i < node.proto.output_size(); ++i) {
    if (!node.wants(i))
      continue;
    Tensor *tensor = lookup(scope, function.output(i));
    if (!tensor)
      return fail("output \"" + Twine(function.output(i)) + "\" of " + what +
                  " is not defined");
    node.results_[i] = tensor;
    // The caller's name is the one that people know.
    Operation *op = tensor->value ? tensor->value.getDefiningOp() : nullptr;
    if (op &&
        StringRef(graph::valueName(op->getLoc())).starts_with(scope.prefix)) {
      std::string name = node.scope.prefix + node.proto.output(i);
      op->setLoc(
          graph::valueLocation(context, name, graph::nodeName(op->getLoc())));
      tensor->name = name;
    }
  }
  --depth_;
  return success();
}
