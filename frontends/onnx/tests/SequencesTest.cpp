//===- SequencesTest.cpp - sequences, optionals and maps ------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/tests/ModelBuilder.h"

#include "gtest/gtest.h"

using namespace aicc::onnx;
using namespace aicc::onnx::test;

static proto::TypeProto &inputType(ModelBuilder &b, const char *name) {
  auto &info = *b.graph.add_input();
  info.set_name(name);
  return *info.mutable_type();
}

static void setTensor(proto::TypeProto &type, std::vector<Dim> dims,
                      int32_t element = FLOAT) {
  auto &tensor = *type.mutable_tensor_type();
  tensor.set_elem_type(element);
  auto &shape = *tensor.mutable_shape();
  for (const Dim &dim : dims) {
    auto &to = *shape.add_dim();
    if (dim.size >= 0)
      to.set_dim_value(dim.size);
    else if (!dim.name.empty())
      to.set_dim_param(dim.name);
  }
}

static void sequence(ModelBuilder &b, const char *name, std::vector<Dim> dims) {
  setTensor(*inputType(b, name).mutable_sequence_type()->mutable_elem_type(),
            dims);
}

static ImportOptions given(const char *name, const char *contents) {
  ImportOptions options;
  options.sequences.emplace_back(name, contents);
  return options;
}

TEST(Sequences, Inside) {
  ModelBuilder b;
  b.input("x", {2, 3}).input("y", {"n", 3}).output("z").output("count");
  b.ints("back", {-1});
  b.graph.mutable_initializer(0)->clear_dims();
  b.node("SequenceConstruct", {"x"}, {"s"});
  b.node("SequenceInsert", {"s", "y"}, {"t"});
  b.node("SequenceAt", {"t", "back"}, {"last"});
  b.node("Neg", {"last"}, {"z"});
  b.node("SequenceErase", {"t", "back"}, {"u"});
  b.node("SequenceLength", {"u"}, {"count"});
  std::string text = b.import();
  EXPECT_HAS(text, "graph.negate %arg1");
  EXPECT_HAS(text, "dense<1> : tensor<i64>");
  EXPECT_LACKS(text, "graph.signature");
}

TEST(Sequences, Inputs) {
  ModelBuilder b;
  sequence(b, "s", {2, "n"});
  b.output("y");
  setInt(b.node("ConcatFromSequence", {"s"}, {"y"}), "axis", 1);
  std::string text = b.import(given("s", "2"));
  // Elements may differ where the type names a dimension.
  EXPECT_HAS(text, "{graph.name = \"s[0]\"}");
  EXPECT_HAS(text, "{graph.name = \"s[1]\"}");
  EXPECT_HAS(text, "graph.symbols = [\"s[0]_dim1\", \"s[1]_dim1\"]");
  EXPECT_HAS(text, "\\22kind\\22:\\22sequence\\22");
  text = b.import(given("s", "[2,3] [2, m]"));
  EXPECT_HAS(text, "%arg0: tensor<2x3xf32>");
  EXPECT_HAS(text, "graph.symbols = [\"m\"]");
}

TEST(Sequences, Outputs) {
  ModelBuilder b;
  b.input("x", {5, 2}).output("parts");
  b.ints("split", {2});
  b.graph.mutable_initializer(0)->clear_dims();
  b.node("SplitToSequence", {"x", "split"}, {"parts"});
  std::string text = b.import();
  EXPECT_HAS(text, "tensor<1x2xf32> {graph.name = \"parts[2]\"}");
  EXPECT_HAS(text, "\\22port\\22:2");
}

TEST(Sequences, Optionals) {
  for (bool there : {false, true}) {
    ModelBuilder b;
    setTensor(*inputType(b, "o").mutable_optional_type()->mutable_elem_type(),
              {3});
    b.output("y").output("again");
    b.node("OptionalHasElement", {"o"}, {"y"});
    b.node("Identity", {"o"}, {"again"});
    std::string text = b.import(given("o", there ? "1" : "none"));
    EXPECT_HAS(text, there ? "dense<true>" : "dense<false>");
    EXPECT_HAS(text, there ? "tensor<3xf32> {graph.name = \"again\"}"
                           : "\\22elements\\22:[]");
  }
}

TEST(Sequences, Map) {
  ModelBuilder b;
  sequence(b, "s", {2});
  b.input("x", {2}).output("t");
  auto &body = setGraph(b.node("SequenceMap", {"s", "x"}, {"t"}), "body");
  for (const char *name : {"a", "b"})
    body.add_input()->set_name(name);
  addNode(body, "Add", {"a", "b"}, {"c"});
  addOutput(body, "c");
  std::string text = b.import(given("s", "2"));
  EXPECT_HAS(text, "graph.add %arg0, %arg2");
  EXPECT_HAS(text, "graph.add %arg1, %arg2");
}

TEST(Sequences, PositionsAtRunTime) {
  ModelBuilder b;
  sequence(b, "s", {2});
  b.input("at", {}, INT64).output("y");
  b.node("SequenceAt", {"s", "at"}, {"y"});
  EXPECT_HAS(b.import(given("s", "2")), "graph.gather");
  EXPECT_HAS(b.import(given("s", "[2][2]")), "graph.gather");
}

TEST(Sequences, MapInputs) {
  ModelBuilder b;
  auto &map = *inputType(b, "m").mutable_map_type();
  map.set_key_type(INT64);
  setTensor(*map.mutable_value_type(), {});
  b.output("y");
  b.node("Identity", {"m"}, {"y"});
  std::string text = b.import();
  EXPECT_HAS(text, "{graph.name = \"m.keys\"}");
  EXPECT_HAS(text, "{graph.name = \"y.values\"}");
}

TEST(Sequences, Errors) {
  ModelBuilder b;
  sequence(b, "s", {2, 3});
  b.output("y");
  b.node("Neg", {"s"}, {"y"}).set_name("neg");
  EXPECT_EQ(b.import(),
            "error: input \"s\" is a sequence, expected a description of what "
            "is in it (the number of its elements or their shapes)");
  EXPECT_EQ(b.import(given("s", "2")), "error: node \"neg\" (Neg): input 0 is "
                                       "a sequence, expected a tensor");
  EXPECT_EQ(b.import(given("s", "[2")),
            "error: the description \"[2\" of input \"s\" can't be understood, "
            "expected a number of elements up to 65536, shapes such as "
            "[2,3][4,n], or none");
  EXPECT_HAS(b.import(given("s", "-1")), "can't be understood");
  EXPECT_HAS(b.import(given("s", "[2,,3]")), "can't be understood");
  EXPECT_HAS(b.import(given("s", "none")),
             "input \"s\" is a sequence, expected a number of elements");
  EXPECT_HAS(b.import(given("s", "[2]")),
             "input \"s[0]\" is given 1 dimensions, expected 2");
  EXPECT_HAS(b.import(given("s", "[2,4]")),
             "input \"s[0]\" is given dimension 4, expected 3");
  EXPECT_HAS(b.import(given("t", "1")), "there is no input \"t\" to describe");

  ModelBuilder c;
  c.input("x", {2}).input("z", {2}, INT64).output("y");
  c.ints("five", {5});
  c.graph.mutable_initializer(0)->clear_dims();
  c.node("SequenceConstruct", {"x"}, {"s"});
  c.node("SequenceAt", {"s", "five"}, {"y"}).set_name("at");
  EXPECT_HAS(c.import(), "node \"at\" (SequenceAt): position 5 is out of range "
                         "for a sequence of 1 elements");
  EXPECT_HAS(c.import(given("x", "2")),
             "input \"x\" is a tensor, expected one shape for it");

  ModelBuilder d;
  d.input("x", {2}).input("z", {2}, INT64).output("y");
  d.node("SequenceConstruct", {"x", "z"}, {"y"});
  EXPECT_HAS(d.import(), "is put into a sequence of");
  ModelBuilder e;
  e.input("x", {2}).output("y");
  e.node("SequenceLength", {"x"}, {"y"});
  EXPECT_HAS(e.import(), "input 0 is a tensor, expected a sequence");
  ModelBuilder f;
  f.input("x", {2}).output("y");
  auto &optional = f.node("Optional", {}, {"o"});
  attribute(optional, "type").set_type(13);
  f.node("OptionalGetElement", {"o"}, {"y"});
  EXPECT_HAS(f.import(), "the optional has no element");
}
