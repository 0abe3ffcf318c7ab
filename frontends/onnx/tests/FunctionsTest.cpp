//===- FunctionsTest.cpp - functions, subgraphs, names ------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/tests/ModelBuilder.h"

#include "gtest/gtest.h"

using namespace aicc::onnx;
using namespace aicc::onnx::test;

static proto::FunctionProto &function(ModelBuilder &b, const char *name,
                                      const Names &inputs, const Names &outputs,
                                      int64_t opset = 17) {
  auto &f = *b.model.add_functions();
  f.set_name(name);
  f.set_domain("local");
  for (const auto &i : inputs)
    f.add_input(i);
  for (const auto &o : outputs)
    f.add_output(o);
  f.add_opset_import()->set_version(opset);
  return f;
}

static proto::NodeProto &bodyNode(proto::FunctionProto &f, const char *op,
                                  const Names &inputs, const Names &outputs) {
  auto &n = *f.add_node();
  n.set_op_type(op);
  for (const auto &i : inputs)
    n.add_input(i);
  for (const auto &o : outputs)
    n.add_output(o);
  return n;
}

static proto::NodeProto &call(ModelBuilder &b, const char *name,
                              const Names &inputs, const Names &outputs) {
  auto &n = b.node(name, inputs, outputs);
  n.set_domain("local");
  n.set_name("the_call");
  return n;
}

TEST(Functions, Inlined) {
  ModelBuilder b;
  b.input("x", {2}).output("y");
  auto &f = function(b, "F", {"a"}, {"c"});
  bodyNode(f, "Exp", {"a"}, {"t"});
  bodyNode(f, "Neg", {"t"}, {"c"});
  call(b, "F", {"x"}, {"y"});
  std::string text = b.importWithLocations();
  // Inner values carry the call's name, the result the caller's name for it.
  EXPECT_HAS(text, "graph.exp value=the_call/t node=the_call/Exp_0");
  EXPECT_HAS(text, "graph.negate value=y node=the_call/Neg_1");
}

TEST(Functions, OwnOperatorSets) {
  // The same node means the flattening Softmax in the function (opset 11) and
  // the one along an axis in the graph (13).
  ModelBuilder b(13);
  b.input("x", {2, 3, 4}).output("y").output("z");
  auto &f = function(b, "F", {"a"}, {"c"}, 11);
  setInt(bodyNode(f, "Softmax", {"a"}, {"c"}), "axis", 1);
  call(b, "F", {"x"}, {"y"});
  setInt(b.node("Softmax", {"x"}, {"z"}), "axis", 1);
  std::string text = b.import();
  EXPECT_HAS(text, "axis 1 : tensor<2x12xf32>");
  EXPECT_HAS(text, "axis 1 : tensor<2x3x4xf32>");
}

TEST(Functions, ShadowStandardOperators) {
  ModelBuilder b;
  b.input("x", {2}).output("y");
  auto &f = function(b, "Relu", {"a"}, {"c"});
  f.set_domain("");
  bodyNode(f, "Neg", {"a"}, {"c"});
  b.node("Relu", {"x"}, {"y"});
  EXPECT_HAS(b.import(), "graph.negate");
}

TEST(Functions, Overloads) {
  ModelBuilder b;
  b.input("x", {2}).output("y");
  bodyNode(function(b, "F", {"a"}, {"c"}), "Neg", {"a"}, {"c"});
  auto &other = function(b, "F", {"a"}, {"c"});
  other.set_overload("other");
  bodyNode(other, "Abs", {"a"}, {"c"});
  call(b, "F", {"x"}, {"y"}).set_overload("other");
  std::string text = b.import();
  EXPECT_HAS(text, "graph.abs");
  EXPECT_LACKS(text, "graph.negate");
}

TEST(Functions, Attributes) {
  auto import = [](auto set, bool fallback) {
    ModelBuilder b;
    b.input("x", {2}).output("y");
    auto &f = function(b, "F", {"a"}, {"c"});
    f.add_attribute("slope");
    auto &a = attribute(bodyNode(f, "LeakyRelu", {"a"}, {"c"}), "alpha");
    a.set_type(1);
    a.set_ref_attr_name("slope");
    if (fallback) {
      auto &d = *f.add_attribute_proto();
      d.set_name("slope");
      d.set_type(1);
      d.set_f(0.5);
    }
    set(call(b, "F", {"x"}, {"y"}));
    return b.import();
  };
  // The caller's, the default, or absent: then the operator's own default.
  EXPECT_HAS(import([](auto &n) { setFloat(n, "slope", 0.25); }, true),
             "dense<2.500000e-01>");
  EXPECT_HAS(import([](auto &n) {}, true), "dense<5.000000e-01>");
  EXPECT_HAS(import([](auto &n) {}, false), "dense<0.00999999977>");
}

TEST(Functions, AttributesThroughTwoCalls) {
  ModelBuilder b;
  b.input("x", {2}).output("y");
  auto &inner = function(b, "Inner", {"a"}, {"c"});
  auto &a = attribute(bodyNode(inner, "LeakyRelu", {"a"}, {"c"}), "alpha");
  a.set_type(1);
  a.set_ref_attr_name("i");
  auto &outer = function(b, "Outer", {"a"}, {"c"});
  auto &n = bodyNode(outer, "Inner", {"a"}, {"c"});
  n.set_domain("local");
  auto &r = attribute(n, "i");
  r.set_type(1);
  r.set_ref_attr_name("o");
  setFloat(call(b, "Outer", {"x"}, {"y"}), "o", 0.25);
  EXPECT_HAS(b.import(), "dense<2.500000e-01>");
}

TEST(Functions, OptionalInputs) {
  ModelBuilder b;
  b.input("x", {2}).scalar("low", 0).output("y");
  auto &f = function(b, "F", {"a", "low", "high"}, {"c"});
  bodyNode(f, "Clip", {"a", "low", "high"}, {"c"});
  call(b, "F", {"x", "low"}, {"y"});
  std::string text = b.import();
  EXPECT_HAS(text, "graph.maximum");
  EXPECT_LACKS(text, "graph.minimum");
}

TEST(Functions, Mistakes) {
  {
    ModelBuilder b;
    b.input("x", {2}).output("y");
    auto &f = function(b, "F", {"a"}, {"c"});
    bodyNode(f, "F", {"a"}, {"c"}).set_domain("local");
    call(b, "F", {"x"}, {"y"});
    EXPECT_EQ(b.import(), "error: function \"F\" calls itself");
  }
  {
    ModelBuilder b;
    b.input("x", {2}).output("y");
    function(b, "F", {"a"}, {"c"});
    call(b, "F", {"x"}, {"y"});
    EXPECT_EQ(b.import(),
              "error: output \"c\" of function \"F\" is not defined");
  }
  {
    ModelBuilder b;
    b.input("x", {2}).output("y");
    function(b, "F", {"a"}, {"a"});
    call(b, "F", {"x", "x"}, {"y"});
    EXPECT_EQ(b.import(), "error: node \"the_call\" gives function \"F\" 2 "
                          "inputs, expected at most 1");
  }
  {
    ModelBuilder b;
    b.input("x", {2}).output("y");
    function(b, "F", {"a"}, {"a"});
    call(b, "F", {"x"}, {"y", "z"});
    EXPECT_EQ(b.import(), "error: node \"the_call\" asks function \"F\" for 2 "
                          "outputs, expected at most 1");
  }
  {
    ModelBuilder b;
    function(b, "F", {"a"}, {"a"});
    function(b, "F", {"a"}, {"a"});
    EXPECT_EQ(b.import(),
              "error: function \"F\" of domain \"local\" is defined twice");
  }
  {
    // A body does not see the values of its caller.
    ModelBuilder b;
    b.input("x", {2}).output("y");
    auto &f = function(b, "F", {"a"}, {"c"});
    bodyNode(f, "Add", {"a", "x"}, {"c"});
    call(b, "F", {"x"}, {"y"});
    EXPECT_EQ(b.import(), "error: node \"the_call/Add_0\" reads \"x\", which "
                          "is not defined");
  }
}

TEST(Functions, ExponentialInlining) {
  ModelBuilder b;
  b.input("x", {2}).output("y");
  std::string inner = "Neg";
  for (int i = 0; i < 40; ++i) {
    std::string name = "F" + std::to_string(i);
    auto &f = function(b, name.c_str(), {"a"}, {"c"});
    bodyNode(f, inner.c_str(), {"a"}, {"t"}).set_domain(i ? "local" : "");
    bodyNode(f, inner.c_str(), {"t"}, {"c"}).set_domain(i ? "local" : "");
    inner = name;
  }
  call(b, inner.c_str(), {"x"}, {"y"});
  ImportOptions options;
  options.maxNodes = 10000;
  EXPECT_EQ(b.import(options),
            "error: the model has more than 10000 nodes after inlining");
}

TEST(Subgraphs, ConstantCondition) {
  for (bool which : {false, true}) {
    ModelBuilder b;
    b.input("x", {2}).output("y");
    b.initializer("c", BOOL, {}).add_int32_data(which);
    auto &n = b.node("If", {"c"}, {"y"});
    // Both capture the outer x.
    for (const char *branch : {"then_branch", "else_branch"}) {
      auto &g = setGraph(n, branch);
      addNode(g, std::string(branch) == "then_branch" ? "Exp" : "Abs", {"x"},
              {"r"});
      addOutput(g, "r");
    }
    std::string text = b.import();
    EXPECT_EQ(text.find("graph.exp") != std::string::npos, which) << text;
    EXPECT_EQ(text.find("graph.abs") != std::string::npos, !which) << text;
  }
}

TEST(Subgraphs, OutputIsACapture) {
  ModelBuilder b;
  b.input("x", {2}).output("y");
  b.initializer("c", BOOL, {}).add_int32_data(1);
  auto &n = b.node("If", {"c"}, {"y"});
  addOutput(setGraph(n, "then_branch"), "x");
  EXPECT_HAS(b.import(), "return %arg0");
}

TEST(Subgraphs, LoopIsUnrolled) {
  ModelBuilder b;
  b.input("x", {2}).output("y").output("all");
  b.initializer("trips", INT64, {}).add_int64_data(3);
  auto &n = b.node("Loop", {"trips", "", "x"}, {"y", "all"});
  auto &g = setGraph(n, "body");
  for (const char *name : {"i", "go", "s"})
    g.add_input()->set_name(name);
  addNode(g, "Exp", {"s"}, {"t"});
  addNode(g, "Identity", {"go"}, {"more"});
  for (const char *name : {"more", "t", "t"})
    addOutput(g, name);
  std::string text = b.import();
  EXPECT_HAS(text, "tensor<3x2xf32>");
}

TEST(Names, Order) {
  ModelBuilder b;
  b.input("x", {2}).output("y");
  b.node("Neg", {"t"}, {"y"});
  b.node("Exp", {"x"}, {"t"});
  EXPECT_HAS(b.import(), "graph.negate");
}

TEST(Names, Cycle) {
  ModelBuilder b;
  b.input("x", {2}).output("y");
  b.node("Add", {"x", "c"}, {"a"}).set_name("first");
  b.node("Neg", {"a"}, {"c"}).set_name("second");
  b.node("Neg", {"a"}, {"y"}).set_name("third");
  std::string text = b.import();
  EXPECT_HAS(text, "error: the graph has a cycle through node \"");
  EXPECT_LACKS(text, "third");
}

TEST(Names, Duplicates) {
  {
    ModelBuilder b;
    b.input("x", {2}).output("y");
    b.node("Neg", {"x"}, {"y"});
    b.node("Exp", {"x"}, {"y"});
    EXPECT_EQ(b.import(), "error: value \"y\" is defined twice, by node "
                          "\"Exp_1\" again");
  }
  {
    ModelBuilder b;
    b.input("x", {2}).output("x");
    b.node("Neg", {"x"}, {"x"});
    EXPECT_HAS(b.import(), "error: value \"x\" is defined twice");
  }
  {
    ModelBuilder b;
    b.scalar("w", 1).scalar("w", 1);
    EXPECT_EQ(b.import(), "error: initializer \"w\" is defined twice");
  }
  {
    ModelBuilder b;
    b.input("x", {2}).input("x", {2});
    EXPECT_EQ(b.import(), "error: input \"x\" is defined twice");
  }
  {
    // Node names may repeat.
    ModelBuilder b;
    b.input("x", {2}).output("y").output("z");
    b.node("Neg", {"x"}, {"y"}).set_name("n");
    b.node("Exp", {"x"}, {"z"}).set_name("n");
    EXPECT_HAS(b.import(), "graph.exp");
  }
}

TEST(Names, Undefined) {
  {
    ModelBuilder b;
    b.input("x", {2}).output("y");
    b.node("Neg", {"q"}, {"y"});
    EXPECT_EQ(b.import(),
              "error: node \"Neg_0\" reads \"q\", which is not defined");
  }
  {
    ModelBuilder b;
    b.input("x", {2}).output("y");
    EXPECT_EQ(b.import(), "error: output \"y\" of the graph is not defined");
  }
}

TEST(Names, InputsAndInitializers) {
  // Before IR version 4 every initializer is listed among the inputs.
  ModelBuilder b(7, 3);
  b.input("w", {2}).input("x", {2}).output("y");
  auto &w = b.initializer("w", FLOAT, {2});
  w.add_float_data(1);
  w.add_float_data(2);
  b.node("Add", {"x", "w"}, {"y"});
  std::string text = b.import();
  EXPECT_HAS(text, "main(%arg0: tensor<2xf32> {graph.name = \"x\"})");
}

TEST(Names, OutputsNeedNoNode) {
  ModelBuilder b;
  b.input("x", {2}).output("x").output("w").output("x");
  b.scalar("w", 3);
  std::string text = b.import();
  EXPECT_HAS(text, "tensor<2xf32> {graph.name = \"x\"}, tensor<f32> "
                   "{graph.name = \"w\"}, tensor<2xf32> {graph.name = \"x\"}");
}

TEST(Names, Locations) {
  ModelBuilder b;
  b.input("x", {2}).output("y");
  b.node("Elu", {"x"}, {"y"}).set_name("act");
  std::string text = b.importWithLocations();
  EXPECT_HAS(text, "graph.select value=y node=act");
  EXPECT_HAS(text, "graph.exp value= node=act");
}
