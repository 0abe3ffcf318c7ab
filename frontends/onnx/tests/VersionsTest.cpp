//===- VersionsTest.cpp - what differs between operator sets ------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/tests/ModelBuilder.h"

#include "gtest/gtest.h"

using namespace aicc::onnx;
using namespace aicc::onnx::test;

TEST(Versions, Range) {
  {
    ModelBuilder b(100);
    EXPECT_EQ(b.import(), "error: the model needs opset 100 of ai.onnx, "
                          "expected 1 to 28");
  }
  {
    ModelBuilder b(0);
    EXPECT_EQ(b.import(), "error: the model needs opset 0 of ai.onnx, "
                          "expected 1 to 28");
  }
  {
    ModelBuilder b;
    b.model.clear_opset_import();
    EXPECT_EQ(b.import(), "error: the model imports no operator set");
  }
  {
    ModelBuilder b;
    b.model.mutable_opset_import(0)->set_domain("other");
    b.input("x", {2}).output("y");
    b.node("Neg", {"x"}, {"y"});
    EXPECT_EQ(b.import(), "error: node \"Neg_0\" uses Neg of ai.onnx, which "
                          "the model does not import");
  }
}

TEST(Versions, BothSpellingsOfTheDomain) {
  ModelBuilder b(7);
  auto &other = *b.model.add_opset_import();
  other.set_domain("ai.onnx");
  other.set_version(13);
  b.input("x", {2, 3, 4}).output("y");
  // The higher version counts.
  b.node("Softmax", {"x"}, {"y"}).set_domain("ai.onnx");
  EXPECT_HAS(b.import(), "axis 2 : tensor<2x3x4xf32>");
}

TEST(Versions, Softmax) {
  for (int64_t opset : {11, 13}) {
    ModelBuilder b(opset);
    b.input("x", {2, 3, 4}).output("y");
    b.node("Softmax", {"x"}, {"y"});
    EXPECT_HAS(b.import(), opset == 11 ? "axis 1 : tensor<2x12xf32>"
                                       : "axis 2 : tensor<2x3x4xf32>");
  }
}

TEST(Versions, AxesAsAttributeOrInput) {
  for (int64_t opset : {11, 13}) {
    ModelBuilder b(opset);
    b.input("x", {2, 3}).output("y").output("z");
    b.ints("axes", {1});
    Names inputs = opset == 11 ? Names{"x"} : Names{"x", "axes"};
    auto &n = b.node("Unsqueeze", inputs, {"y"});
    auto &r = b.node("ReduceSum", inputs, {"z"});
    if (opset == 11) {
      setInts(n, "axes", {1});
      setInts(r, "axes", {1});
    }
    std::string text = b.import();
    EXPECT_HAS(text, "tensor<2x1x3xf32>");
    EXPECT_HAS(text, "tensor<2x1xf32>");
  }
}

TEST(Versions, ReduceWithoutAxes) {
  for (int64_t noop : {0, 1}) {
    ModelBuilder b(18);
    b.input("x", {2, 3}).output("y");
    setInt(b.node("ReduceMax", {"x"}, {"y"}), "noop_with_empty_axes", noop);
    EXPECT_HAS(b.import(), noop ? "return %arg0" : "tensor<1x1xf32>");
  }
}

TEST(Versions, Clip) {
  {
    ModelBuilder b(6);
    b.input("x", {2}).output("y");
    setFloat(b.node("Clip", {"x"}, {"y"}), "max", 6);
    EXPECT_HAS(b.import(), "graph.minimum");
  }
  {
    ModelBuilder b(11);
    b.input("x", {2}).scalar("six", 6).output("y");
    b.node("Clip", {"x", "", "six"}, {"y"});
    std::string text = b.import();
    EXPECT_HAS(text, "graph.minimum");
    EXPECT_LACKS(text, "graph.maximum");
  }
}

TEST(Versions, OldBroadcast) {
  ModelBuilder b(6);
  b.input("x", {2, 3, 4}).input("c", {3}).output("y");
  auto &n = b.node("Add", {"x", "c"}, {"y"});
  setInt(n, "broadcast", 1);
  setInt(n, "axis", 1);
  EXPECT_HAS(b.import(), "graph.broadcast %arg1 [1]");
}

TEST(Versions, Upsample) {
  {
    ModelBuilder b(9);
    b.input("x", {1, 1, 2, 2}).output("y");
    auto &s = b.initializer("s", FLOAT, {4});
    for (float v : {1, 1, 2, 2})
      s.add_float_data(v);
    b.node("Upsample", {"x", "s"}, {"y"});
    EXPECT_HAS(b.import(), "tensor<1x1x4x4xf32>");
  }
  {
    // Removed in version 10.
    ModelBuilder b(10);
    b.input("x", {1, 1, 2, 2}).output("y");
    b.node("Upsample", {"x", "x"}, {"y"});
    EXPECT_EQ(b.import(), "error: unsupported operator: ai.onnx.Upsample "
                          "(opset 10) at \"Upsample_0\"");
  }
}

TEST(Versions, NotYetThere) {
  ModelBuilder b(19);
  b.input("x", {2}).output("y");
  b.node("Gelu", {"x"}, {"y"});
  EXPECT_EQ(b.import(), "error: unsupported operator: ai.onnx.Gelu (opset 19) "
                        "at \"Gelu_0\"");
}

TEST(Versions, SplitWithASmallerLastPart) {
  ModelBuilder b(18);
  b.input("x", {7}).output("a").output("c");
  setInt(b.node("Split", {"x"}, {"a", "", "c"}), "num_outputs", 3);
  std::string text = b.import();
  EXPECT_HAS(text, "-> (tensor<3xf32>");
  EXPECT_HAS(text, "tensor<1xf32>");
}

TEST(Versions, GroupNormalization) {
  // Per group in version 18, per channel from 21 on.
  for (int64_t opset : {18, 21}) {
    ModelBuilder b(opset);
    int64_t n = opset == 18 ? 2 : 4;
    b.input("x", {1, 4, 5}).input("s", {n}).input("b", {n}).output("y");
    setInt(b.node("GroupNormalization", {"x", "s", "b"}, {"y"}), "num_groups",
           2);
    EXPECT_HAS(b.import(), opset == 18 ? "tensor<2xf32>) -> tensor<1x2x10xf32>"
                                       : "tensor<4xf32>) -> tensor<1x4x5xf32>");
  }
}
