//===- Signature.cpp - inputs and outputs of the graph --------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// `main` has tensors only. A sequence `s` is an argument `s[0]`, `s[1]`, ...
// for each element, a map `m` the two vectors `m.keys` and `m.values`; the same
// for results. How to put them together again is the module's
// `graph.signature`:
//
//   {"inputs": [VALUE...], "outputs": [VALUE...]}
//   VALUE = {"name": ..., "kind": "tensor", "port": index of the argument}
//         | {"name": ..., "kind": "sequence" | "optional" | "map" | "maps",
//            "elements": [VALUE...]}
//
// The elements of a map are its keys and values; those of "maps", which is a
// sequence of maps with the same keys, the keys and a matrix with a row for the
// values of each.
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/Node.h"

#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace aicc::onnx;
using llvm::StringRef;
using llvm::Twine;

/// More elements of a sequence make more nodes than anybody means.
static constexpr int64_t mostElements = 1 << 16;

StringRef aicc::onnx::describe(Composite::Kind kind) {
  static constexpr StringRef names[] = {"a sequence", "an optional", "a map",
                                        "a sequence of maps"};
  return names[kind];
}

static StringRef keyword(Composite::Kind kind) {
  static constexpr StringRef names[] = {"sequence", "optional", "map", "maps"};
  return names[kind];
}

Tensor *Importer::newComposite(StringRef name, Location loc,
                               Composite composite) {
  Tensor *tensor = newTensor(name, loc);
  for (const Tensor *element : composite.elements)
    if (!tensor->element)
      tensor->element = element->element;
  tensor->composite = &composites_.emplace_back(std::move(composite));
  return tensor;
}

//===----------------------------------------------------------------------===//
// Inputs
//===----------------------------------------------------------------------===//

namespace {
/// What a user says of an input, see ImportOptions::sequences.
struct Contents {
  bool none = false;
  std::optional<int64_t> count;
  std::vector<std::vector<std::string>> shapes;

  bool parse(StringRef text) {
    text = text.trim();
    if (text == "none")
      return none = true;
    int64_t number;
    if (!text.getAsInteger(10, number)) {
      count = number;
      return number >= 0 && number <= mostElements;
    }
    while (!text.empty()) {
      size_t end = text.find(']');
      if (!text.consume_front("[") || end == StringRef::npos)
        return false;
      StringRef inner = text.take_front(end - 1).trim();
      text = text.drop_front(end).ltrim();
      if (int64_t(shapes.size()) == mostElements)
        return false;
      auto &shape = shapes.emplace_back();
      for (StringRef dim : llvm::split(inner, ',')) {
        dim = dim.trim();
        if (dim.empty() && inner.empty())
          break;
        if (dim.empty())
          return false;
        shape.push_back(dim.str());
      }
    }
    return !shapes.empty();
  }
};
} // namespace

LogicalResult Importer::declarePort(const std::string &name,
                                    const proto::TypeProto::Tensor &type,
                                    const std::vector<std::string> *shape,
                                    bool own) {
  std::string title = "input \"" + name + "\"";
  if (!portNames_.insert(name).second)
    return fail(title + " is defined twice");
  Type element = elementType(context, type.elem_type());
  if (!element)
    return fail(title + " has element type " + dataTypeName(type.elem_type()) +
                ", which is not supported");
  if (!type.has_shape() && !shape)
    return fail(title + " has no rank, expected dimensions");
  int64_t rank = shape ? shape->size() : type.shape().dim_size();
  if (shape && type.has_shape() && rank != type.shape().dim_size())
    return fail(title + " is given " + Twine(rank) + " dimensions, expected " +
                Twine(type.shape().dim_size()));
  if (rank > 64)
    return fail(title + " has " + Twine(rank) +
                " dimensions, expected at most 64");
  Input input{name, element, {}};
  for (int64_t d = 0; d < rank; ++d) {
    // Some exporters write -1 for an unknown size.
    int64_t size = -1;
    std::string symbol;
    if (type.has_shape()) {
      const auto &dim = type.shape().dim(d);
      size = dim.has_dim_value() ? dim.dim_value() : -1;
      if (size < -1)
        return fail(title + " has dimension " + Twine(size) +
                    ", expected at least 0");
      if (!own)
        symbol = dim.dim_param();
    }
    if (shape && (*shape)[d] != "?") {
      StringRef text = (*shape)[d];
      int64_t given;
      if (text.getAsInteger(10, given)) {
        given = -1;
        symbol = text.str();
      } else if (given < 0) {
        return fail(title + " is given dimension " + Twine(given) +
                    ", expected at least 0");
      }
      if (given >= 0 && size >= 0 && given != size)
        return fail(title + " is given dimension " + Twine(given) +
                    ", expected " + Twine(size));
      size = size < 0 ? given : size;
    }
    if (size >= 0) {
      input.dims.push_back(getAffineConstantExpr(size, context));
      continue;
    }
    if (symbol.empty())
      symbol = name + "_dim" + std::to_string(d);
    // "past + 1" is an expression if "past" is a dimension elsewhere.
    else if (StringRef(symbol).find_first_of("+-*/()") != StringRef::npos) {
      composedDims_.emplace_back(inputs_.size(), d, symbol);
      input.dims.push_back({});
      continue;
    }
    input.dims.push_back(getAffineSymbolExpr(symbols.declare(symbol), context));
  }
  inputs_.push_back(std::move(input));
  return success();
}

/// The tensor type inside a sequence or optional; null if it is none.
static const proto::TypeProto::Tensor *tensorIn(const proto::TypeProto &type) {
  return type.has_tensor_type() ? &type.tensor_type() : nullptr;
}

LogicalResult Importer::declareInput(const proto::ValueInfoProto &info) {
  const std::string &name = info.name();
  std::string title = "input \"" + name + "\"";
  InputValue value{name};
  Contents contents;
  bool given = false;
  for (const auto &[input, text] : options.sequences) {
    if (input != name)
      continue;
    if (given)
      return fail(title + " is described twice");
    given = true;
    if (!contents.parse(text))
      return fail("the description \"" + Twine(text) + "\" of " + title +
                  " can't be understood, expected a number of elements up to " +
                  Twine(mostElements) + ", shapes such as [2,3][4,n], or none");
  }

  const proto::TypeProto *type = &info.type();
  if (auto *tensor = tensorIn(*type)) {
    if (given && contents.shapes.size() != 1)
      return fail(title + " is a tensor, expected one shape for it");
    value.port = inputs_.size();
    if (llvm::failed(declarePort(name, *tensor,
                                 given ? &contents.shapes[0] : nullptr, false)))
      return failure();
    inputValues_.push_back(std::move(value));
    return success();
  }

  if (type->has_map_type()) {
    // Any number of entries: nothing need be said about it.
    const auto &map = type->map_type();
    auto *values = tensorIn(map.value_type());
    if (!values || (values->has_shape() && values->shape().dim_size()))
      return fail(title + " is a map whose values aren't scalars, which is "
                          "not supported");
    if (given)
      return fail(title + " is a map, expected no description of it");
    proto::TypeProto::Tensor vector;
    vector.mutable_shape()->add_dim()->set_dim_param(name + "_size");
    value.kind = Composite::map;
    for (auto [part, element] : {std::pair(".keys", map.key_type()),
                                 std::pair(".values", values->elem_type())}) {
      vector.set_elem_type(element);
      value.elements.push_back({name + part, std::nullopt, inputs_.size()});
      if (llvm::failed(declarePort(name + part, vector, nullptr, false)))
        return failure();
    }
    inputValues_.push_back(std::move(value));
    return success();
  }

  bool optional = type->has_optional_type();
  if (optional)
    type = &type->optional_type().elem_type();
  bool sequence = type->has_sequence_type();
  if (sequence)
    type = &type->sequence_type().elem_type();
  auto *tensor = tensorIn(*type);
  if (!tensor || (!optional && !sequence))
    return fail(title + " is neither a tensor, a sequence or optional of "
                        "tensors, nor a map, which is not supported");
  if (!given)
    return fail(title + " is " +
                describe(optional ? Composite::optional : Composite::sequence) +
                ", expected a description of what is in it (" +
                (optional ? "none, " : "") +
                (sequence ? "the number of its elements or their shapes)"
                          : "or the shape of its element)"));
  if (contents.none && !optional)
    return fail(title + " is a sequence, expected a number of elements");
  value.element = elementType(context, tensor->elem_type());
  InputValue inner{name};
  inner.element = value.element;
  int64_t count = contents.none    ? 0
                  : contents.count ? *contents.count
                                   : int64_t(contents.shapes.size());
  if (sequence) {
    inner.kind = Composite::sequence;
    for (int64_t i = 0; i < count; ++i) {
      std::string element = name + "[" + std::to_string(i) + "]";
      inner.elements.push_back({element, std::nullopt, inputs_.size()});
      if (llvm::failed(declarePort(
              element, *tensor, contents.count ? nullptr : &contents.shapes[i],
              true)))
        return failure();
    }
  } else if (!contents.none) {
    if (count > 1)
      return fail(title + " is an optional, expected at most one element");
    // "0" is nothing for an optional tensor, as "none" is.
    contents.none = count == 0;
    inner.port = inputs_.size();
    if (count && llvm::failed(declarePort(
                     name, *tensor,
                     contents.count ? nullptr : &contents.shapes[0], false)))
      return failure();
  }
  if (optional) {
    value.kind = Composite::optional;
    if (!contents.none)
      value.elements.push_back(std::move(inner));
  } else {
    value = std::move(inner);
  }
  inputValues_.push_back(std::move(value));
  return success();
}

LogicalResult Importer::declareInputs() {
  const proto::GraphProto &graph = model->proto.graph();
  for (const auto &tensor : graph.initializer())
    initialized_.insert(tensor.name());
  for (const auto &tensor : graph.sparse_initializer())
    initialized_.insert(tensor.values().name());

  auto isInput = [&](StringRef name) {
    return llvm::any_of(graph.input(), [&](const auto &info) {
      return StringRef(info.name()) == name;
    });
  };
  for (const auto &[name, data] : options.inputValues) {
    proto::TensorProto *tensor = model->newTensor();
    if (!tensor->ParseFromString(data))
      return fail("the value given for input \"" + Twine(name) +
                  "\" is no tensor");
    tensor->set_name(name);
    given_.push_back(tensor);
    if (!isInput(name))
      return fail("there is no input \"" + Twine(name) + "\" to give a value");
    if (!initialized_.insert(name).second)
      return fail("input \"" + Twine(name) + "\" has a value already");
  }
  for (const auto &[name, text] : options.sequences)
    if (!isInput(name))
      return fail("there is no input \"" + Twine(name) + "\" to describe");

  std::set<std::string> names;
  for (const auto &info : graph.input()) {
    if (initialized_.count(info.name()))
      continue;
    if (info.name().empty())
      return fail("an input of the graph has no name");
    if (!names.insert(info.name()).second)
      return fail("input \"" + Twine(info.name()) + "\" is defined twice");
    if (llvm::failed(declareInput(info)))
      return failure();
  }
  for (const auto &[i, d, text] : composedDims_) {
    AffineExpr expr = parseDimension(text);
    inputs_[i].dims[d] =
        expr ? expr : getAffineSymbolExpr(symbols.declare(text), context);
  }
  for (const auto &[name, value] : options.dimOverrides) {
    auto symbol = symbols.find(name);
    if (!symbol)
      return fail("no input has a dimension \"" + Twine(name) + "\" to fix");
    if (value < 0)
      return fail("dimension \"" + Twine(name) + "\" is fixed to " +
                  Twine(value) + ", expected at least 0");
    symbols.substitute(*symbol, getAffineConstantExpr(value, context));
  }
  return success();
}

Tensor *Importer::bindInput(const InputValue &value,
                            ArrayRef<Tensor *> arguments) {
  if (!value.kind)
    return arguments[value.port];
  Composite composite{*value.kind, {}};
  for (const InputValue &element : value.elements)
    composite.elements.push_back(bindInput(element, arguments));
  Tensor *tensor =
      newComposite(value.name, NameLoc::get(builder.getStringAttr(value.name)),
                   std::move(composite));
  if (value.element)
    tensor->element = value.element;
  return tensor;
}

LogicalResult Importer::bindInputs(Scope &scope,
                                   SmallVectorImpl<Tensor *> &arguments) {
  for (const Input &input : inputs_) {
    Tensor *tensor =
        newTensor(input.name, NameLoc::get(builder.getStringAttr(input.name)));
    tensor->element = input.element;
    int64_t count = 1;
    for (AffineExpr dim : input.dims) {
      tensor->dims.push_back(symbols.resolve(dim));
      int64_t size = std::max<int64_t>(
          1, graph::constantOf(tensor->dims.back()).value_or(1));
      if (llvm::MulOverflow(count, size, count) || count > options.maxElements)
        return fail("input \"" + Twine(input.name) +
                    "\" has too many elements, expected at most " +
                    Twine(options.maxElements));
    }
    arguments.push_back(tensor);
  }
  for (const InputValue &value : inputValues_)
    scope.values[value.name] = bindInput(value, arguments);
  return success();
}

//===----------------------------------------------------------------------===//
// Outputs
//===----------------------------------------------------------------------===//

LogicalResult
Importer::flatten(Tensor &tensor, const std::string &name,
                  SmallVectorImpl<std::pair<std::string, Tensor *>> &results,
                  llvm::json::Value &signature) {
  llvm::json::Object entry;
  entry["name"] = llvm::json::fixUTF8(name);
  if (!tensor.composite) {
    entry["kind"] = "tensor";
    entry["port"] = int64_t(results.size());
    results.emplace_back(name, &tensor);
    signature = std::move(entry);
    return success();
  }
  Composite::Kind kind = tensor.composite->kind;
  bool map = kind == Composite::map || kind == Composite::maps;
  llvm::json::Array elements;
  for (auto [i, element] : llvm::enumerate(tensor.composite->elements)) {
    std::string title = map ? name + (i ? ".values" : ".keys")
                        : kind == Composite::optional
                            ? name
                            : name + "[" + std::to_string(i) + "]";
    llvm::json::Value inner(nullptr);
    if (llvm::failed(flatten(*element, title, results, inner)))
      return failure();
    elements.push_back(std::move(inner));
  }
  entry["kind"] = keyword(kind);
  entry["elements"] = std::move(elements);
  signature = std::move(entry);
  if (int64_t(results.size()) > mostElements)
    return fail("output \"" + Twine(name) +
                "\" has too many elements, "
                "expected at most " +
                Twine(mostElements));
  return success();
}

llvm::json::Value Importer::describeInput(const InputValue &value) const {
  llvm::json::Object entry;
  entry["name"] = llvm::json::fixUTF8(value.name);
  if (!value.kind) {
    entry["kind"] = "tensor";
    entry["port"] = int64_t(value.port);
    return entry;
  }
  entry["kind"] = keyword(*value.kind);
  llvm::json::Array elements;
  for (const InputValue &element : value.elements)
    elements.push_back(describeInput(element));
  entry["elements"] = std::move(elements);
  return entry;
}
