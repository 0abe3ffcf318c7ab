//===- DynamicTest.cpp - sizes, branches and loops of the running model ---===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/tests/ModelBuilder.h"

#include "gtest/gtest.h"

using namespace aicc::onnx;
using namespace aicc::onnx::test;

TEST(Dynamic, NonZero) {
  ModelBuilder b;
  b.input("x", {"n", 4}).output("y");
  b.node("NonZero", {"x"}, {"y"});
  std::string text = b.import();
  EXPECT_HAS(text, "graph.symbols = [\"n\"]");
  EXPECT_HAS(text, "[0] symbol 1 : tensor<i64>");
  EXPECT_HAS(text, "affine_map<()[s0, s1] -> (2, s1)>");
}

TEST(Dynamic, PartsOfAShapeStayKnown) {
  ModelBuilder b;
  b.input("x", {"n", 6}).input("k", {1}, INT64).output("y");
  b.node("Shape", {"x"}, {"s"});
  b.ints("zero", {0}).ints("rest", {-1});
  b.node("Gather", {"s", "zero"}, {"n"});
  b.node("Concat", {"n", "k", "rest"}, {"shape"}).set_name("join");
  setInt(*b.graph.mutable_node(2), "axis", 0);
  b.node("Reshape", {"x", "shape"}, {"y"});
  // The first dimension is not read.
  EXPECT_HAS(b.import(), "affine_map<()[s0, s1, s2] -> (s0, s1, s2)>");
}

TEST(Dynamic, TwoSizesThatMustBeEqualAreChecked) {
  ModelBuilder b;
  b.input("x", {"n"}).input("c", {"m"}).output("y");
  b.node("NonZero", {"c"}, {"p"});
  b.ints("zero", {0});
  b.node("Gather", {"p", "zero"}, {"q"});
  b.ints("shape", {-1});
  b.node("Reshape", {"q", "shape"}, {"r"});
  setInt(b.node("Cast", {"r"}, {"f"}), "to", 1);
  b.node("Concat", {"f", "x"}, {"j"});
  setInt(*b.graph.mutable_node(4), "axis", 0);
  b.node("Add", {"j", "j"}, {"y"});
  std::string text = b.import();
  // Nothing was taken for granted of the names.
  EXPECT_HAS(text, "graph.symbols = [\"n\", \"m\"]");
  EXPECT_HAS(text, "affine_map<()[s0, s1, s2] -> (s0 + s2)>");
}

TEST(Dynamic, BoundsOutsideOfASize) {
  ModelBuilder b;
  b.input("x", {"n"}).output("y");
  b.node("NonZero", {"x"}, {"p"});
  b.ints("starts", {4}).ints("ends", {-1}).ints("axes", {1}).ints("by", {-1});
  b.node("Slice", {"p", "starts", "ends", "axes", "by"}, {"y"});
  std::string text = b.import();
  // The number of steps is found when the model runs, 0 at least; nothing is
  // taken for granted of the size.
  EXPECT_HAS(text, "graph.maximum");
  EXPECT_HAS(text, "symbol 2 : tensor<i64>");
}

TEST(Dynamic, If) {
  ModelBuilder b;
  b.input("c", {}, BOOL).input("x", {"n"}).output("y");
  auto &node = b.node("If", {"c"}, {"y"});
  auto &then = setGraph(node, "then_branch");
  addNode(then, "Exp", {"x"}, {"a"});
  addOutput(then, "a");
  auto &other = setGraph(node, "else_branch");
  addNode(other, "Concat", {"x", "x"}, {"b"});
  setInt(*other.mutable_node(0), "axis", 0);
  addOutput(other, "b");
  std::string text = b.import();
  // Each branch says how large its result is.
  EXPECT_HAS(text, "graph.if %arg0 : tensor<i1> -> tensor<?xf32");
  EXPECT_HAS(text, "symbol 1 : tensor<i64>");
}

/// Branches that give a vector of a size and a scalar, and what reads those.
static std::string ranks(Dim size, const char *reader,
                         std::vector<std::string> read) {
  ModelBuilder b;
  b.input("c", {}, BOOL).input("x", {size}).input("z", {"m"}).output("y");
  auto &node = b.node("If", {"c"}, {"r"});
  auto &then = setGraph(node, "then_branch");
  addNode(then, "Exp", {"x"}, {"a"});
  addOutput(then, "a");
  auto &other = setGraph(node, "else_branch");
  addNode(other, "ReduceSum", {"x"}, {"b"});
  setInt(*other.mutable_node(0), "keepdims", 0);
  addOutput(other, "b");
  b.node("Neg", {"r"}, {"s"});
  b.node(reader, std::move(read), {"y"});
  return b.import();
}

TEST(Dynamic, RanksOfBranches) {
  const char *refused = "a rank that is only known when the model runs at ";
  EXPECT_HAS(ranks("n", "Mul", {"z", "s"}), std::string(refused) + "\"If_0\"");
  // Ones in front make no difference to what has a higher rank anyway, and to
  // an operand of which only the type is asked for,
  EXPECT_HAS(ranks(1, "Mul", {"z", "s"}),
             "graph.multiply %arg2, %2 : tensor<?xf32");
  EXPECT_HAS(ranks(1, "CastLike", {"z", "s"}), "return %arg2");
  // but to anything else.
  EXPECT_HAS(ranks(1, "Abs", {"s"}), std::string(refused) + "\"Abs_2\"");
  EXPECT_HAS(ranks(1, "Shape", {"s"}), std::string(refused) + "\"Shape_2\"");
}
