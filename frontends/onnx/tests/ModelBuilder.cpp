//===- ModelBuilder.cpp - small models for tests --------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/tests/ModelBuilder.h"

#include "dialects/graph/Names.h"

#include "llvm/Support/raw_ostream.h"

namespace aicc::onnx::test {

proto::AttributeProto &attribute(proto::NodeProto &node, const char *name) {
  proto::AttributeProto &result = *node.add_attribute();
  result.set_name(name);
  return result;
}

void setInt(proto::NodeProto &node, const char *name, int64_t value) {
  auto &a = attribute(node, name);
  a.set_type(2);
  a.set_i(value);
}

void setFloat(proto::NodeProto &node, const char *name, float value) {
  auto &a = attribute(node, name);
  a.set_type(1);
  a.set_f(value);
}

void setString(proto::NodeProto &node, const char *name, const char *value) {
  auto &a = attribute(node, name);
  a.set_type(3);
  a.set_s(value);
}

void setInts(proto::NodeProto &node, const char *name,
             std::vector<int64_t> values) {
  auto &a = attribute(node, name);
  a.set_type(7);
  for (int64_t value : values)
    a.add_ints(value);
}

proto::GraphProto &setGraph(proto::NodeProto &node, const char *name) {
  auto &a = attribute(node, name);
  a.set_type(5);
  return *a.mutable_g();
}

proto::NodeProto &addNode(proto::GraphProto &graph, const char *op,
                          const Names &inputs, const Names &outputs) {
  proto::NodeProto &node = *graph.add_node();
  node.set_op_type(op);
  for (const std::string &name : inputs)
    node.add_input(name);
  for (const std::string &name : outputs)
    node.add_output(name);
  return node;
}

void addOutput(proto::GraphProto &graph, const char *name) {
  graph.add_output()->set_name(name);
}

ModelBuilder::ModelBuilder(int64_t opset, int64_t ir)
    : graph(*model.mutable_graph()) {
  model.set_ir_version(ir);
  model.add_opset_import()->set_version(opset);
}

ModelBuilder &ModelBuilder::input(const char *name, std::vector<Dim> dims,
                                  int32_t type) {
  auto &info = *graph.add_input();
  info.set_name(name);
  auto &tensor = *info.mutable_type()->mutable_tensor_type();
  tensor.set_elem_type(type);
  tensor.mutable_shape();
  for (const Dim &dim : dims) {
    auto &d = *tensor.mutable_shape()->add_dim();
    if (!dim.name.empty())
      d.set_dim_param(dim.name);
    else if (dim.size != -1)
      d.set_dim_value(dim.size);
  }
  return *this;
}

ModelBuilder &ModelBuilder::output(const char *name) {
  addOutput(graph, name);
  return *this;
}

proto::TensorProto &ModelBuilder::initializer(const char *name, int32_t type,
                                              std::vector<int64_t> dims) {
  auto &tensor = *graph.add_initializer();
  tensor.set_name(name);
  tensor.set_data_type(type);
  for (int64_t dim : dims)
    tensor.add_dims(dim);
  return tensor;
}

ModelBuilder &ModelBuilder::ints(const char *name,
                                 std::vector<int64_t> values) {
  auto &tensor = initializer(name, INT64, {int64_t(values.size())});
  for (int64_t value : values)
    tensor.add_int64_data(value);
  return *this;
}

ModelBuilder &ModelBuilder::scalar(const char *name, float value) {
  initializer(name, FLOAT, {}).add_float_data(value);
  return *this;
}

proto::NodeProto &ModelBuilder::node(const char *op, const Names &inputs,
                                     const Names &outputs) {
  return addNode(graph, op, inputs, outputs);
}

std::string ModelBuilder::print(const ImportOptions &options,
                                const std::string &directory,
                                bool locations) const {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  std::string error;
  auto module = importModelFromMemory(context, model.SerializeAsString(),
                                      directory, options, error);
  if (!module)
    return "error: " + error;
  std::string text;
  llvm::raw_string_ostream os(text);
  if (locations)
    module->walk([&](mlir::Operation *op) {
      os << op->getName() << " value=" << graph::valueName(op->getLoc())
         << " node=" << graph::nodeName(op->getLoc()) << "\n";
    });
  else
    module->print(os);
  return text;
}

std::string ModelBuilder::import(const ImportOptions &options,
                                 const std::string &directory) const {
  return print(options, directory, false);
}

std::string ModelBuilder::importWithLocations() const {
  return print({}, "", true);
}

} // namespace aicc::onnx::test
