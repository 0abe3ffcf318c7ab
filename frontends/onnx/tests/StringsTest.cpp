//===- StringsTest.cpp - strings and tables -------------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/tests/ModelBuilder.h"

#include "gtest/gtest.h"

using namespace aicc::onnx;
using namespace aicc::onnx::test;

static void setStrings(proto::NodeProto &node, const char *name,
                       const Names &values) {
  auto &to = attribute(node, name);
  to.set_type(8);
  for (const std::string &value : values)
    to.add_strings(value);
}

TEST(Strings, Constants) {
  ModelBuilder b;
  b.output("c").output("v");
  auto &tensor = b.initializer("c", STRING, {2});
  tensor.add_string_data("ab");
  tensor.add_string_data("\xff");
  setStrings(b.node("Constant", {}, {"v"}), "value_strings", {"x"});
  std::string text = b.import();
  EXPECT_HAS(text, "dense<[97, 98, 255]> : tensor<3xui8>");
  EXPECT_HAS(text, "dense<[0, 2, 3]> : tensor<3xi64>");
  EXPECT_HAS(text, "graph.call \"string_constant\"");
  EXPECT_HAS(text, "tensor<1x!graph.string> {graph.name = \"v\"}");
  tensor.clear_string_data();
  EXPECT_EQ(b.import(), "error: tensor \"c\" has 0 strings, expected 2");
}

TEST(Strings, OfKnownNumbers) {
  ModelBuilder b(19);
  b.input("x", {2, 3}, STRING).output("z");
  b.node("Shape", {"x"}, {"s"});
  b.node("CastLike", {"s", "x"}, {"z"});
  EXPECT_HAS(b.import(), "-> tensor<2x!graph.string>");
}

TEST(Strings, MoveByIndices) {
  ModelBuilder b;
  b.input("x", {2, 3}, STRING).input("y", {"n", 3}, STRING).output("z");
  setInt(b.node("Concat", {"x", "y"}, {"z"}), "axis", 0);
  std::string text = b.import();
  EXPECT_HAS(text, "graph.concatenate");
  EXPECT_HAS(text, "graph.call \"string_pick\"(%arg0, %arg1, ");
  // A reshape moves nothing.
  ModelBuilder c;
  c.input("x", {2, 3}, STRING).output("z");
  c.ints("shape", {6});
  c.node("Reshape", {"x", "shape"}, {"z"});
  EXPECT_HAS(c.import(), "graph.reshape");
  EXPECT_LACKS(c.import(), "graph.call");
}

TEST(Strings, CompareByRanks) {
  ModelBuilder b(19);
  b.input("x", {2}, STRING).input("y", {1}, STRING).output("z");
  b.node("Equal", {"x", "y"}, {"z"});
  std::string text = b.import();
  EXPECT_HAS(text, "graph.call \"string_rank\"");
  EXPECT_HAS(text, "graph.compare");
}

TEST(Strings, Casts) {
  ModelBuilder b;
  b.input("x", {2}, STRING).output("y").output("z");
  setInt(b.node("Cast", {"x"}, {"y"}), "to", INT8);
  setInt(b.node("Cast", {"y"}, {"z"}), "to", STRING);
  std::string text = b.import();
  EXPECT_HAS(text, "graph.call \"string_to_number\"");
  EXPECT_HAS(text, "graph.call \"number_to_string\"");
}

TEST(Strings, Tables) {
  ModelBuilder b;
  b.model.add_opset_import()->set_domain("ai.onnx.ml");
  b.model.mutable_opset_import()->rbegin()->set_version(2);
  b.input("x", {2}, STRING).output("y");
  auto &node = b.node("LabelEncoder", {"x"}, {"y"});
  node.set_domain("ai.onnx.ml");
  node.set_name("encoder");
  setStrings(node, "keys_strings", {"a", "\xe4"});
  EXPECT_EQ(b.import(), "error: node \"encoder\" (LabelEncoder): it has 0 "
                        "lists of values, expected one");
  setInts(node, "values_int64s", {5, 6});
  std::string text = b.import();
  EXPECT_HAS(text, "graph.call \"string_lookup\"");
  EXPECT_HAS(text, "graph.gather");
  setInts(node, "keys_int64s", {5, 6});
  EXPECT_HAS(b.import(), "it has 2 lists of keys, expected one");
}

TEST(Strings, Refused) {
  ModelBuilder b;
  b.input("x", {2}, STRING).output("y");
  b.node("Neg", {"x"}, {"y"}).set_name("neg");
  EXPECT_EQ(b.import(), "error: node \"neg\" (Neg): an input has strings, "
                        "which it doesn't take");
  ModelBuilder c(20);
  c.input("x", {2}).input("y", {2}, STRING).output("z");
  c.node("StringConcat", {"x", "y"}, {"z"}).set_name("concat");
  EXPECT_HAS(c.import(), "node \"concat\" (StringConcat): input 0 has element "
                         "type f32, expected strings");
}
