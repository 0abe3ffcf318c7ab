//===- ModelBuilder.h - small models for tests ------------------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef AICC_FRONTENDS_ONNX_TESTS_MODELBUILDER_H
#define AICC_FRONTENDS_ONNX_TESTS_MODELBUILDER_H

#include "frontends/onnx/Import.h"
#include "frontends/onnx/Schema.pb.h"
#include "frontends/onnx/Tensors.h"

#include <functional>
#include <string>
#include <vector>

namespace aicc::onnx::test {

/// A dimension of an input: a number, a name, or "" for an unknown one.
struct Dim {
  Dim(int64_t size) : size(size) {}
  Dim(int size) : size(size) {}
  Dim(const char *name) : name(name), size(-1) {}
  std::string name;
  int64_t size;
};

using Names = std::vector<std::string>;

/// Adds an attribute to a node.
proto::AttributeProto &attribute(proto::NodeProto &node, const char *name);
void setInt(proto::NodeProto &node, const char *name, int64_t value);
void setFloat(proto::NodeProto &node, const char *name, float value);
void setString(proto::NodeProto &node, const char *name, const char *value);
void setInts(proto::NodeProto &node, const char *name,
             std::vector<int64_t> values);
proto::GraphProto &setGraph(proto::NodeProto &node, const char *name);

proto::NodeProto &addNode(proto::GraphProto &graph, const char *op,
                          const Names &inputs, const Names &outputs);
void addOutput(proto::GraphProto &graph, const char *name);

/// A model of one graph; `model` is there for what has no method.
class ModelBuilder {
public:
  explicit ModelBuilder(int64_t opset = 17, int64_t ir = 8);

  ModelBuilder &input(const char *name, std::vector<Dim> dims,
                      int32_t type = FLOAT);
  ModelBuilder &output(const char *name);
  proto::TensorProto &initializer(const char *name, int32_t type,
                                  std::vector<int64_t> dims);
  ModelBuilder &ints(const char *name, std::vector<int64_t> values);
  ModelBuilder &scalar(const char *name, float value);
  proto::NodeProto &node(const char *op, const Names &inputs,
                         const Names &outputs);

  /// The printed module, without locations, or "error: " and the message.
  std::string import(const ImportOptions &options = {},
                     const std::string &directory = "") const;
  /// A line for each operation: its name, and the names its location holds.
  std::string importWithLocations() const;

  proto::ModelProto model;
  proto::GraphProto &graph;

private:
  std::string print(const ImportOptions &options, const std::string &directory,
                    bool locations) const;
};

} // namespace aicc::onnx::test

#define EXPECT_HAS(text, part)                                                 \
  EXPECT_NE(std::string(text).find(part), std::string::npos) << (text)
#define EXPECT_LACKS(text, part)                                               \
  EXPECT_EQ(std::string(text).find(part), std::string::npos) << (text)

#endif // AICC_FRONTENDS_ONNX_TESTS_MODELBUILDER_H
