//===- ShapeValuesTest.cpp - dimensions, symbols, shape arithmetic ------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/tests/ModelBuilder.h"

#include "gtest/gtest.h"

using namespace aicc::onnx;
using namespace aicc::onnx::test;

TEST(Symbols, Names) {
  ModelBuilder b;
  b.input("x", {"batch", 3, -1}).input("y", {"batch"}).output("x");
  std::string text = b.import();
  EXPECT_HAS(text, "graph.symbols = [\"batch\", \"x_dim2\"]");
  EXPECT_HAS(text, "affine_map<()[s0, s1] -> (s0, 3, s1)>");
}

TEST(Symbols, Expressions) {
  ModelBuilder b;
  // An expression only where all its names are dimensions themselves.
  b.input("a", {"past + seq"}).input("b", {"past"}).input("c", {"seq"});
  b.input("d", {"other + 1"}).input("e", {"2 * (seq // 4)"}).output("a");
  std::string text = b.import();
  EXPECT_HAS(text, "graph.symbols = [\"past\", \"seq\", \"other + 1\"]");
  EXPECT_HAS(text, "affine_map<()[s0, s1] -> (s0 + s1)>");
  EXPECT_HAS(text, "affine_map<()[s0, s1] -> ((s1 floordiv 4) * 2)>");
}

TEST(Symbols, Fixed) {
  ModelBuilder b;
  b.input("x", {"batch", -1}).output("x");
  ImportOptions options;
  options.dimOverrides = {{"batch", 4}, {"x_dim1", 8}};
  EXPECT_HAS(b.import(options), "tensor<4x8xf32>");
  options.dimOverrides = {{"bath", 4}};
  EXPECT_EQ(b.import(options),
            "error: no input has a dimension \"bath\" to fix");
  options.dimOverrides = {{"batch", -4}};
  EXPECT_EQ(b.import(options),
            "error: dimension \"batch\" is fixed to -4, expected at least 0");
}

TEST(Symbols, TwoThatMustBeEqual) {
  ModelBuilder b;
  b.input("x", {"n", 4}).input("y", {"m", 4}).output("z");
  b.node("Add", {"x", "y"}, {"z"});
  std::string text = b.import();
  EXPECT_HAS(text, "graph.symbols = [\"n\"]");
  EXPECT_LACKS(text, "s1");
}

TEST(Symbols, OneIsASum) {
  ModelBuilder b;
  b.input("a", {"past"}).input("b", {"new"}).input("mask", {"total"});
  b.output("z");
  setInt(b.node("Concat", {"a", "b"}, {"t"}), "axis", 0);
  b.node("Add", {"t", "mask"}, {"z"});
  std::string text = b.import();
  EXPECT_HAS(text, "graph.symbols = [\"past\", \"new\"]");
  EXPECT_HAS(text, "affine_map<()[s0, s1] -> (s0 + s1)>");
}

TEST(Symbols, ContractionFixesASymbol) {
  ModelBuilder b;
  b.input("x", {2, "k"}).input("w", {16, 3}).output("y");
  b.node("MatMul", {"x", "w"}, {"y"});
  std::string text = b.import();
  EXPECT_HAS(text, "graph.symbols = []");
  EXPECT_HAS(text, "tensor<2x16xf32>");
}

TEST(Symbols, ReshapeFixesASymbol) {
  auto reshape = [](std::vector<Dim> dims, std::vector<int64_t> shape) {
    ModelBuilder b;
    b.input("x", std::move(dims)).ints("s", std::move(shape)).output("y");
    b.node("Reshape", {"x", "s"}, {"y"}).set_name("it");
    return b.import();
  };
  std::string text = reshape({4, "n", 5}, {10, 6});
  EXPECT_HAS(text, "graph.symbols = []");
  EXPECT_HAS(text, "tensor<4x3x5xf32>");
  EXPECT_HAS(text, "tensor<10x6xf32>");
  EXPECT_HAS(reshape({4, "n"}, {6}), "cannot reshape [4, n] to [6]");
  EXPECT_HAS(reshape({"n", "m"}, {6}), "cannot reshape [n, m] to [6]");
  EXPECT_HAS(reshape({"n", 0}, {6}), "cannot reshape [n, 0] to [6]");
}

TEST(Symbols, EqualMultiples) {
  ModelBuilder b;
  b.input("x", {"n", 2}).input("y", {"m", 4}).ints("s", {-1}).output("z");
  b.node("Reshape", {"x", "s"}, {"a"});
  b.node("Reshape", {"y", "s"}, {"b"});
  b.node("Add", {"a", "b"}, {"z"});
  // 2 n = 4 m: m can't be n / 2, which is no whole number for odd n; n is 2 m.
  EXPECT_HAS(b.import(), "graph.symbols = [\"m\"]");
}

TEST(Symbols, NoGuessInABroadcast) {
  ModelBuilder b;
  b.input("x", {"n"}).input("y", {4}).output("z");
  b.node("Add", {"x", "y"}, {"z"}).set_name("sum");
  std::string text = b.import();
  EXPECT_HAS(text, "error: node \"sum\" (Add): cannot broadcast");
  EXPECT_HAS(text, "dimensions 4 and n differ");
}

TEST(Symbols, Contradiction) {
  ModelBuilder b;
  b.input("x", {"n"}).output("z");
  setInt(b.node("Concat", {"x", "x"}, {"t"}), "axis", 0);
  b.node("Add", {"t", "x"}, {"z"});
  // n = 2 n has the solution 0 only, which is what it is fixed to.
  EXPECT_HAS(b.import(), "tensor<0xf32>");
}

TEST(Inputs, GivenValues) {
  ModelBuilder b;
  b.input("x", {6}).input("shape", {2}, INT64).output("y");
  b.node("Reshape", {"x", "shape"}, {"y"});
  // Without the value the sizes are read when the model runs.
  EXPECT_HAS(b.import(), "graph.read");
  proto::TensorProto value;
  value.set_data_type(INT64);
  value.add_dims(2);
  value.add_int64_data(2);
  value.add_int64_data(-1);
  ImportOptions options;
  options.inputValues = {{"shape", value.SerializeAsString()}};
  EXPECT_HAS(b.import(options), "main(%arg0: tensor<6xf32> {graph.name = "
                                "\"x\"}) -> (tensor<2x3xf32>");
  options.inputValues = {{"shap", value.SerializeAsString()}};
  EXPECT_EQ(b.import(options),
            "error: there is no input \"shap\" to give a value");
  options.inputValues = {{"shape", "garbage"}};
  EXPECT_EQ(b.import(options),
            "error: the value given for input \"shape\" is no tensor");
}

TEST(Inputs, NeededValues) {
  ModelBuilder b(18);
  b.input("x", {6, 4}).input("by", {1}, INT64).input("axis", {}, INT32);
  b.output("y");
  b.ints("one", {1});
  setInt(b.node("Cast", {"axis"}, {"wide"}), "to", INT64);
  b.node("Reshape", {"wide", "one"}, {"axes"});
  b.node("Mul", {"axes", "by"}, {"product"});
  b.node("ReduceSum", {"x", "product"}, {"y"});
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  std::string error;
  std::vector<std::string> needed;
  EXPECT_FALSE(importModelFromMemory(context, b.model.SerializeAsString(), "",
                                     {}, error, &needed));
  EXPECT_HAS(error, "values of axes");
  EXPECT_EQ(needed, (std::vector<std::string>{"by", "axis"}));
}

/// x reshaped by what `build` makes of its shape "s".
static std::string reshaped(std::vector<Dim> dims,
                            std::function<void(ModelBuilder &)> build,
                            int64_t opset = 17) {
  ModelBuilder b(opset);
  b.input("x", std::move(dims)).output("y");
  b.node("Shape", {"x"}, {"s"});
  build(b);
  b.node("Reshape", {"x", "target"}, {"y"});
  return b.import();
}

TEST(ShapeValues, GatherUnsqueezeConcat) {
  // What PyTorch exports for x.view(x.size(0), -1).
  std::string text = reshaped({"n", 3, 4}, [](ModelBuilder &b) {
    b.initializer("zero", INT64, {}).add_int64_data(0);
    b.ints("axes", {0}).ints("rest", {-1});
    b.node("Gather", {"s", "zero"}, {"n"});
    b.node("Unsqueeze", {"n", "axes"}, {"n1"});
    setInt(b.node("Concat", {"n1", "rest"}, {"target"}), "axis", 0);
  });
  EXPECT_HAS(text, "affine_map<()[s0] -> (s0, 12)>");
  EXPECT_LACKS(text, "graph.dimensions");
}

TEST(ShapeValues, Arithmetic) {
  std::string text = reshaped({"n", 8}, [](ModelBuilder &b) {
    b.ints("two", {2}).ints("first", {0}).ints("last", {-1});
    b.ints("end", {INT64_MAX});
    b.node("Slice", {"s", "first", "two"}, {"all"});
    b.node("Slice", {"s", "last", "end"}, {"c"});
    b.node("Div", {"c", "two"}, {"half"});
    b.node("ReduceProd", {"all"}, {"count"});
    b.node("Div", {"count", "half"}, {"rows"});
    setInt(b.node("Concat", {"rows", "half"}, {"target"}), "axis", 0);
  });
  EXPECT_HAS(text, "affine_map<()[s0] -> (s0 * 2, 4)>");
}

TEST(ShapeValues, ExpandPattern) {
  // expand(-1, 3): where(shape == -1, ones, shape).
  ModelBuilder b;
  b.input("x", {"n", 1}).output("y");
  b.node("Shape", {"x"}, {"s"});
  b.ints("first", {0}).ints("one", {1}).ints("three", {3}).ints("minus", {-1});
  b.ints("two", {2});
  b.node("Slice", {"s", "first", "one"}, {"n"});
  setInt(b.node("Concat", {"n", "three"}, {"want"}), "axis", 0);
  auto &fill = attribute(b.node("ConstantOfShape", {"two"}, {"ones"}), "value");
  fill.set_type(4);
  fill.mutable_t()->set_data_type(INT64);
  fill.mutable_t()->add_dims(1);
  fill.mutable_t()->add_int64_data(1);
  b.node("Equal", {"want", "minus"}, {"open"});
  b.node("Where", {"open", "ones", "want"}, {"shape"});
  b.node("Expand", {"x", "shape"}, {"y"});
  std::string text = b.import();
  EXPECT_HAS(text, "affine_map<()[s0] -> (s0, 3)>");
  EXPECT_HAS(text, "graph.broadcast");
}

TEST(ShapeValues, ThroughFloats) {
  // interpolate(scale_factor=2): sizes go through float and back.
  std::string text = reshaped({"n", 8}, [](ModelBuilder &b) {
    b.scalar("factor", 2).ints("minus", {-1});
    b.initializer("i", INT64, {1}).add_int64_data(0);
    b.node("Gather", {"s", "i"}, {"n"});
    setInt(b.node("Cast", {"n"}, {"f"}), "to", FLOAT);
    b.node("Mul", {"f", "factor"}, {"g"});
    b.node("Floor", {"g"}, {"h"});
    setInt(b.node("Cast", {"h"}, {"k"}), "to", INT64);
    setInt(b.node("Concat", {"k", "minus"}, {"target"}), "axis", 0);
  });
  EXPECT_HAS(text, "affine_map<()[s0] -> (s0 * 2, 4)>");
}

TEST(ShapeValues, PadsOfPyTorch) {
  // What PyTorch's exporter of scripts makes of pad(x, (0, (4 - n % 4) % 4)):
  // pairs from the last dimension on become all begins, then all ends.
  ModelBuilder b;
  b.input("x", {2, 5}).output("y");
  b.ints("four", {4}).ints("none", {0}).ints("pairs", {-1, 2});
  b.ints("flat", {-1}).ints("least", {INT64_MIN + 1}).ints("zero", {0});
  b.initializer("i", INT64, {1}).add_int64_data(1);
  b.node("Shape", {"x"}, {"s"});
  b.node("Gather", {"s", "i"}, {"n"});
  setInt(b.node("Mod", {"n", "four"}, {"over"}), "fmod", 0);
  b.node("Sub", {"four", "over"}, {"rest"});
  setInt(b.node("Mod", {"rest", "four"}, {"pad"}), "fmod", 0);
  setInt(b.node("Concat", {"none", "pad", "none", "none"}, {"given"}), "axis",
         0);
  b.node("Reshape", {"given", "pairs"}, {"two"});
  b.node("Slice", {"two", "flat", "least", "zero", "flat"}, {"reversed"});
  setInts(b.node("Transpose", {"reversed"}, {"turned"}), "perm", {1, 0});
  b.node("Reshape", {"turned", "flat"}, {"pads"});
  b.node("Pad", {"x", "pads"}, {"y"});
  std::string text = b.import();
  EXPECT_HAS(text, "-> (tensor<2x8xf32>");
  EXPECT_LACKS(text, "?");
}

TEST(ShapeValues, RearrangedLists) {
  // [n, 3, 4] -> split into n, 3 and 4; 4 * 3 ^ 2 elements a row.
  std::string text = reshaped({"n", 3, 12}, [](ModelBuilder &b) {
    setInt(b.node("Split", {"s"}, {"n", "three", "twelve"}), "axis", 0);
    b.ints("two", {2});
    b.node("Pow", {"three", "two"}, {"nine"});
    b.ints("minus", {-4});
    b.node("Abs", {"minus"}, {"four"});
    b.node("Mul", {"nine", "four"}, {"row"});
    b.node("Tile", {"row", "one"}, {"tiled"});
    setInt(b.node("Concat", {"n", "tiled"}, {"list"}), "axis", 0);
    setInt(b.node("Flatten", {"list"}, {"column"}), "axis", 1);
    b.ints("one", {1}).ints("flat", {-1});
    b.node("Reshape", {"column", "flat"}, {"target"});
  });
  EXPECT_HAS(text, "affine_map<()[s0] -> (s0, 36)>");
  EXPECT_LACKS(text, "graph.dimensions");
}

TEST(ShapeValues, AbsOfTheLeast) {
  // It has no opposite in its type: the node itself is what wraps, not 128.
  ModelBuilder b;
  b.output("wide").output("least");
  proto::TensorProto &x = b.initializer("x", INT8, {2});
  x.add_int32_data(-128);
  x.add_int32_data(-4);
  b.node("Abs", {"x"}, {"a"});
  setInt(b.node("Cast", {"a"}, {"wide"}), "to", INT64);
  b.ints("y", {INT64_MIN});
  b.node("Abs", {"y"}, {"least"});
  std::string text = b.import();
  EXPECT_HAS(text, "dense<[-128, -4]> : tensor<2xi8>");
  EXPECT_HAS(text, "-9223372036854775808");
  EXPECT_LACKS(text, "128, 4");
}

TEST(ShapeValues, AsData) {
  ModelBuilder b;
  b.input("x", {"n", 3}).output("s").output("r").output("z");
  b.node("Shape", {"x"}, {"s"});
  b.initializer("i0", INT64, {}).add_int64_data(0);
  b.initializer("i1", INT64, {}).add_int64_data(1);
  b.node("Gather", {"s", "i0"}, {"n"});
  b.node("Range", {"i0", "n", "i1"}, {"r"});
  b.node("Size", {"x"}, {"z"});
  std::string text = b.import();
  EXPECT_HAS(text, "graph.dimensions");
  EXPECT_HAS(text, "affine_map<()[s0] -> (s0, 3)>");
  EXPECT_HAS(text, "graph.iota 0 : tensor<?xi64");
  EXPECT_HAS(text, "affine_map<()[s0] -> (s0 * 3)>");
}

TEST(ShapeValues, ShapeWithBounds) {
  std::string text = reshaped({2, "n", 4}, [](ModelBuilder &b) {
    auto &n = b.node("Shape", {"x"}, {"tail"});
    setInt(n, "start", -2);
    b.ints("front", {2});
    setInt(b.node("Concat", {"tail", "front"}, {"target"}), "axis", 0);
  });
  EXPECT_HAS(text, "affine_map<()[s0] -> (s0, 4, 2)>");
}

TEST(ShapeValues, IfOnARank) {
  // squeeze(0) as PyTorch exports it: If(shape[0] == 1).
  ModelBuilder b;
  b.input("x", {1, "n"}).output("y");
  b.node("Shape", {"x"}, {"s"});
  b.initializer("i", INT64, {}).add_int64_data(0);
  b.initializer("one", INT64, {}).add_int64_data(1);
  b.ints("axes", {0});
  b.node("Gather", {"s", "i"}, {"d"});
  b.node("Equal", {"d", "one"}, {"c"});
  auto &n = b.node("If", {"c"}, {"y"});
  auto &then = setGraph(n, "then_branch");
  addNode(then, "Squeeze", {"x", "axes"}, {"r"});
  addOutput(then, "r");
  auto &otherwise = setGraph(n, "else_branch");
  addNode(otherwise, "Identity", {"x"}, {"r"});
  addOutput(otherwise, "r");
  EXPECT_HAS(b.import(), "-> (tensor<?xf32");
}

TEST(Slice, BoundsOfDynamicDimensions) {
  auto slice = [](int64_t start, int64_t end, int64_t step) {
    ModelBuilder b;
    b.input("x", {"n"}).output("y");
    b.ints("a", {start}).ints("b", {end}).ints("axes", {0}).ints("c", {step});
    b.node("Slice", {"x", "a", "b", "axes", "c"}, {"y"});
    return b.import();
  };
  EXPECT_HAS(slice(0, INT64_MAX, 1), "return %arg0");
  EXPECT_HAS(slice(1, INT64_MAX, 1), "affine_map<()[s0] -> (s0 - 1)>");
  EXPECT_HAS(slice(0, -1, 1), "affine_map<()[s0] -> (s0 - 1)>");
  EXPECT_HAS(slice(-1, INT64_MIN, -1), "affine_map<()[s0] -> (s0 - 1)>");
  // That 512 elements are there is taken for granted and recorded.
  EXPECT_HAS(slice(0, 512, 1), "graph.limits = [#map");
  EXPECT_HAS(slice(0, 512, 1), "affine_map<()[s0] -> (512, s0)>");
  EXPECT_HAS(slice(0, INT64_MAX, 0), "error: node \"Slice_0\" (Slice): a step "
                                     "is 0, expected another number");
}

TEST(Slice, OfAConstantByASymbol) {
  ModelBuilder b;
  b.input("x", {"n"}).output("y");
  auto &w = b.initializer("w", FLOAT, {512});
  w.set_raw_data(std::string(2048, '\0'));
  b.node("Shape", {"x"}, {"n"});
  b.ints("zero", {0});
  b.node("Slice", {"w", "zero", "n"}, {"y"});
  EXPECT_HAS(b.import(), "affine_map<()[s0] -> (s0, 512)>");
}
