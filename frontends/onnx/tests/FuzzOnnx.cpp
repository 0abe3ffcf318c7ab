//===- FuzzOnnx.cpp - the importer on arbitrary bytes ---------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Any input gives a module that verifies, or a message of one line. Half of
// the mutations change bytes, which tests the parser; the other half change
// the parsed model, which gets past the parser to the operators.
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/Import.h"
#include "frontends/onnx/Schema.pb.h"

#include "llvm/ADT/STLExtras.h"

#include <cstdlib>
#include <random>

using namespace aicc::onnx;

// The allocators of LLVM's headers poison what they hand out to code that knows
// of it; the distribution's libraries do not.
extern "C" const char *__asan_default_options() {
  return "allow_user_poisoning=0";
}

extern "C" size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t maxSize);

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  ImportOptions options;
  options.maxElements = int64_t(1) << 32;
  // Small models that expand to many nodes only cost time here.
  options.maxNodes = 2000;
  std::string error;
  auto module = importModelFromMemory(
      context, {reinterpret_cast<const char *>(data), size}, "", options,
      error);
  if (!module && (error.empty() || error.find('\n') != std::string::npos))
    abort();
  return 0;
}

namespace {
class Mutator {
public:
  explicit Mutator(unsigned seed) : random(seed) {}
  void mutate(proto::ModelProto &model);

private:
  unsigned below(size_t n) { return n ? random() % n : 0; }
  int64_t number() {
    static constexpr int64_t interesting[] = {
        0,         1,         2,  3,    4,       5,         7,
        8,         16,        64, 1023, 1 << 20, 1ll << 32, 1ll << 40,
        1ll << 62, INT32_MAX, -1, -2,   -3,      INT32_MIN, -(1ll << 40),
        INT64_MIN, INT64_MAX};
    return interesting[below(std::size(interesting))];
  }
  std::string valueName(const proto::GraphProto &graph);
  void mutate(proto::GraphProto &graph);
  void mutate(proto::NodeProto &node, const proto::GraphProto &graph);
  void mutate(proto::TensorProto &tensor);
  void mutate(proto::AttributeProto &attribute);
  void addAttribute(proto::NodeProto &node);

  /// Names of attributes that models of the corpus have, for nodes without.
  static std::vector<std::string> &knownNames() {
    static std::vector<std::string> names;
    return names;
  }
  std::mt19937 random;
};
} // namespace

std::string Mutator::valueName(const proto::GraphProto &graph) {
  switch (below(4)) {
  case 0:
    if (graph.input_size())
      return graph.input(below(graph.input_size())).name();
    break;
  case 1:
    if (graph.initializer_size())
      return graph.initializer(below(graph.initializer_size())).name();
    break;
  case 2:
    if (graph.node_size()) {
      const auto &node = graph.node(below(graph.node_size()));
      if (node.output_size())
        return node.output(below(node.output_size()));
    }
    break;
  }
  return "";
}

void Mutator::mutate(proto::TensorProto &tensor) {
  switch (below(6)) {
  case 0:
    tensor.set_data_type(below(30));
    break;
  case 1:
    if (tensor.dims_size())
      tensor.set_dims(below(tensor.dims_size()), number());
    break;
  case 2:
    tensor.add_dims(number());
    break;
  case 3: {
    // The same elements as a vector, or fewer of them.
    int count = 1 + below(4);
    tensor.clear_dims();
    tensor.add_dims(count);
    tensor.set_data_type(7);
    tensor.clear_raw_data();
    tensor.clear_float_data();
    tensor.clear_int32_data();
    tensor.clear_int64_data();
    for (int i = 0; i < count; ++i)
      tensor.add_int64_data(number());
    break;
  }
  case 4:
    if (tensor.int64_data_size())
      tensor.set_int64_data(below(tensor.int64_data_size()), number());
    break;
  case 5:
    if (!tensor.raw_data().empty())
      (*tensor.mutable_raw_data())[below(tensor.raw_data().size())] = random();
    break;
  }
}

void Mutator::mutate(proto::AttributeProto &attribute) {
  switch (below(6)) {
  case 0:
    attribute.set_type(below(15));
    break;
  case 1:
    attribute.set_i(number());
    break;
  case 2:
    attribute.set_f(float(number()) / (1 + below(100)));
    break;
  case 3:
    if (attribute.ints_size())
      attribute.set_ints(below(attribute.ints_size()), number());
    break;
  case 4:
    attribute.add_ints(number());
    break;
  case 5:
    if (attribute.has_t())
      mutate(*attribute.mutable_t());
    else if (attribute.has_g())
      mutate(*attribute.mutable_g());
    else if (attribute.ints_size())
      attribute.mutable_ints()->RemoveLast();
    break;
  }
}

void Mutator::addAttribute(proto::NodeProto &node) {
  std::vector<std::string> &names = knownNames();
  for (const auto &attribute : node.attribute())
    if (names.size() < 1000 &&
        llvm::find(names, attribute.name()) == names.end())
      names.push_back(attribute.name());
  if (names.empty())
    return;
  auto &attribute = *node.add_attribute();
  attribute.set_name(names[below(names.size())]);
  if (below(2)) {
    attribute.set_type(2); // INT
    attribute.set_i(number());
    return;
  }
  attribute.set_type(7); // INTS
  for (unsigned i = 0, count = below(6); i < count; ++i)
    attribute.add_ints(number());
}

void Mutator::mutate(proto::NodeProto &node, const proto::GraphProto &graph) {
  static const std::vector<SupportedOperator> operators = supportedOperators();
  switch (below(8)) {
  case 5:
    addAttribute(node);
    break;
  case 0: {
    const auto &op = operators[below(operators.size())];
    node.set_op_type(op.name.str());
    node.set_domain(op.domain.str());
    break;
  }
  case 1:
    if (node.input_size())
      *node.mutable_input(below(node.input_size())) = valueName(graph);
    break;
  case 2:
    *node.add_input() = valueName(graph);
    break;
  case 3:
    if (node.input_size())
      node.mutable_input()->RemoveLast();
    break;
  case 4:
    *node.add_output() = "extra" + std::to_string(random() % 100);
    break;
  default:
    if (node.attribute_size())
      mutate(*node.mutable_attribute(below(node.attribute_size())));
    break;
  }
}

void Mutator::mutate(proto::GraphProto &graph) {
  switch (below(6)) {
  case 0:
    if (graph.initializer_size())
      mutate(*graph.mutable_initializer(below(graph.initializer_size())));
    break;
  case 1:
    if (graph.input_size()) {
      auto &type = *graph.mutable_input(below(graph.input_size()))
                        ->mutable_type()
                        ->mutable_tensor_type();
      auto &shape = *type.mutable_shape();
      switch (below(4)) {
      case 0:
        type.set_elem_type(1 + below(26));
        break;
      case 1:
        shape.add_dim()->set_dim_value(number());
        break;
      default:
        if (!shape.dim_size())
          break;
        auto &dim = *shape.mutable_dim(below(shape.dim_size()));
        static const char *names[] = {"n", "m", "n + m", "2 * n"};
        if (below(2))
          dim.set_dim_param(names[below(4)]);
        else
          dim.set_dim_value(number());
      }
    }
    break;
  case 2:
    // A small vector that anything may use as shape, axes or pads.
    if (graph.initializer_size() < 8) {
      auto &tensor = *graph.add_initializer();
      tensor.set_name("made" + std::to_string(graph.initializer_size()));
      tensor.set_data_type(7);
      int count = 1 + below(4);
      tensor.add_dims(count);
      for (int i = 0; i < count; ++i)
        tensor.add_int64_data(number());
    }
    break;
  default:
    if (graph.node_size())
      mutate(*graph.mutable_node(below(graph.node_size())), graph);
    break;
  }
}

void Mutator::mutate(proto::ModelProto &model) {
  switch (below(12)) {
  case 0:
    if (model.opset_import_size())
      model.mutable_opset_import(0)->set_version(1 + below(28));
    break;
  case 1:
    model.set_ir_version(1 + below(12));
    break;
  default:
    mutate(*model.mutable_graph());
    break;
  }
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size,
                                          size_t maxSize, unsigned seed) {
  proto::ModelProto model;
  if (seed % 2 || !model.ParseFromArray(data, int(size)))
    return LLVMFuzzerMutate(data, size, maxSize);
  Mutator mutator(seed);
  for (unsigned i = 0; i <= seed / 2 % 3; ++i)
    mutator.mutate(model);
  std::string bytes = model.SerializeAsString();
  if (bytes.size() > maxSize)
    return LLVMFuzzerMutate(data, size, maxSize);
  std::copy(bytes.begin(), bytes.end(), data);
  return bytes.size();
}
