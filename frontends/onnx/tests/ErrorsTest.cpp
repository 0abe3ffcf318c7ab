//===- ErrorsTest.cpp - models that are wrong ---------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/tests/ModelBuilder.h"

#include "gtest/gtest.h"

using namespace aicc::onnx;
using namespace aicc::onnx::test;

static std::string one(const char *op, std::vector<Dim> dims,
                       std::function<void(proto::NodeProto &)> set = {},
                       int64_t opset = 17) {
  ModelBuilder b(opset);
  b.input("x", std::move(dims)).output("y");
  auto &n = b.node(op, {"x"}, {"y"});
  n.set_name("it");
  if (set)
    set(n);
  return b.import();
}

TEST(Errors, Damaged) {
  mlir::MLIRContext context;
  std::string error;
  EXPECT_FALSE(importModelFromMemory(context, "garbage", "", {}, error));
  EXPECT_EQ(error, "the model is damaged: it is not a complete ONNX protobuf "
                   "message");
  EXPECT_FALSE(importModelFromMemory(context, "", "", {}, error));
  EXPECT_EQ(error, "the model has no graph");
  ModelBuilder b;
  b.input("x", {2}).output("x");
  std::string bytes = b.model.SerializeAsString();
  bytes.pop_back();
  EXPECT_FALSE(importModelFromMemory(context, bytes, "", {}, error));
  EXPECT_HAS(error, "the model is damaged");
}

TEST(Errors, MoreMemoryThanItLooks) {
  // Empty attributes: two bytes each in the file.
  std::string attributes;
  for (int i = 0; i < 7 << 20; ++i)
    attributes.append("\x2a\0", 2);
  auto wrap = [](char tag, const std::string &bytes) {
    std::string result(1, tag);
    for (size_t n = bytes.size();; n >>= 7) {
      result.push_back(char(n < 128 ? n : (n & 127) | 128));
      if (n < 128)
        break;
    }
    return result + bytes;
  };
  mlir::MLIRContext context;
  std::string error;
  EXPECT_FALSE(importModelFromMemory(
      context, wrap('\x3a', wrap('\x0a', attributes)), "", {}, error));
  EXPECT_HAS(error, "the model has too many nodes, tensors or unpacked");
}

TEST(Errors, UnsupportedOperatorsTogether) {
  ModelBuilder b;
  auto &custom = *b.model.add_opset_import();
  custom.set_domain("acme");
  custom.set_version(3);
  b.input("x", {2}).output("y");
  b.node("Frobnicate", {"x"}, {"a"}).set_name("one");
  b.node("Neg", {"a"}, {"c"});
  auto &second = b.node("Quux", {"c"}, {"d"});
  second.set_domain("acme");
  second.set_name("two");
  b.node("Frobnicate", {"d"}, {"y"}).set_name("three");
  EXPECT_EQ(b.import(),
            "error: unsupported operators: acme.Quux (opset 3) at \"two\"; "
            "ai.onnx.Frobnicate (opset 17) at \"one\", \"three\"");
}

TEST(Errors, UnsupportedVariantsToo) {
  ModelBuilder b;
  b.input("x", {1, 1, 4, 4}).input("axes", {1}, INT64).output("y");
  b.node("ReduceSum", {"x", "axes"}, {"t"});
  b.node("Frobnicate", {"t"}, {"y"});
  EXPECT_EQ(
      b.import(),
      "error: unsupported operators: ai.onnx.Frobnicate (opset 17) at "
      "\"Frobnicate_1\"; ai.onnx.ReduceSum (opset 17) with values of axes "
      "that are only known when the model runs at \"ReduceSum_0\"");
}

TEST(Errors, ManyNodesAreCounted) {
  ModelBuilder b;
  b.input("x", {2}).output("x");
  for (int i = 0; i < 12; ++i)
    b.node("Frobnicate", {"x"}, {"y" + std::to_string(i)});
  EXPECT_HAS(b.import(), "\"Frobnicate_7\" and 4 more");
}

TEST(Errors, Inputs) {
  {
    ModelBuilder b;
    b.input("x", {-2}).output("x");
    EXPECT_EQ(b.import(),
              "error: input \"x\" has dimension -2, expected at least 0");
  }
  {
    ModelBuilder b;
    const int64_t big = int64_t(1) << 40;
    b.input("x", {big, big}).output("x");
    EXPECT_EQ(b.import(), "error: input \"x\" has too many elements, expected "
                          "at most 1099511627776");
  }
  {
    ModelBuilder b;
    b.input("x", {2}, 99).output("x");
    EXPECT_EQ(b.import(), "error: input \"x\" has element type type 99, which "
                          "is not supported");
  }
  {
    ModelBuilder b;
    b.graph.add_input()->set_name("x");
    EXPECT_EQ(
        b.import(),
        "error: input \"x\" is neither a tensor, a sequence or optional of "
        "tensors, nor a map, which is not supported");
  }
  {
    ModelBuilder b;
    b.input("x", {2}).output("x");
    b.graph.mutable_input(0)
        ->mutable_type()
        ->mutable_tensor_type()
        ->clear_shape();
    EXPECT_EQ(b.import(),
              "error: input \"x\" has no rank, expected dimensions");
  }
  {
    ModelBuilder b;
    b.input("", {2});
    EXPECT_EQ(b.import(), "error: an input of the graph has no name");
  }
}

TEST(Errors, Nodes) {
  {
    ModelBuilder b;
    b.input("x", {2}).output("y");
    b.node("Add", {"x"}, {"y"});
    EXPECT_EQ(b.import(), "error: node \"Add_0\" (Add): input 1 is missing");
  }
  {
    ModelBuilder b;
    b.input("x", {2}).output("y");
    b.node("", {"x"}, {"y"});
    EXPECT_EQ(b.import(), "error: node \"_0\" has no operator");
  }
  {
    ModelBuilder b;
    b.input("x", {2}).input("i", {2}, INT64).output("y");
    b.node("Add", {"x", "i"}, {"y"});
    EXPECT_EQ(b.import(), "error: node \"Add_0\" (Add): element types f32 and "
                          "i64 are mixed, expected one");
  }
  {
    ModelBuilder b;
    b.input("x", {2, 3}).input("w", {4, 5}).output("y");
    b.node("MatMul", {"x", "w"}, {"y"});
    EXPECT_EQ(b.import(), "error: node \"MatMul_0\" (MatMul): the contracted "
                          "dimension is 3 and 4, expected equal sizes");
  }
  {
    ModelBuilder b;
    b.input("x", {2, 3}).input("w", {4}).output("y");
    b.node("Add", {"x", "w"}, {"y"});
    EXPECT_EQ(b.import(), "error: node \"Add_0\" (Add): cannot broadcast [4] "
                          "and [2, 3]: dimensions 4 and 3 differ");
  }
}

TEST(Errors, Attributes) {
  EXPECT_EQ(one("LeakyRelu", {2}, [](auto &n) { setInt(n, "alpha", 1); }),
            "error: node \"it\" (LeakyRelu): attribute \"alpha\" is int, "
            "expected float");
  EXPECT_EQ(one("Transpose", {2}, [](auto &n) { setString(n, "perm", "1"); }),
            "error: node \"it\" (Transpose): attribute \"perm\" is string, "
            "expected ints");
  EXPECT_EQ(one("Concat", {2}),
            "error: node \"it\" (Concat): attribute \"axis\" is missing");
  EXPECT_EQ(one("LeakyRelu", {2},
                [](auto &n) {
                  setFloat(n, "alpha", 1);
                  setFloat(n, "alpha", 2);
                }),
            "error: node \"it\" (LeakyRelu): attribute \"alpha\" is given "
            "twice");
  EXPECT_EQ(one("LeakyRelu", {2},
                [](auto &n) { attribute(n, "alpha").set_ref_attr_name("a"); }),
            "error: node \"it\" (LeakyRelu): attribute \"alpha\" refers to one "
            "of a function, but the node is not in a function");
  EXPECT_EQ(
      one(
          "Gelu", {2}, [](auto &n) { setString(n, "approximate", "x"); }, 20),
      "error: node \"it\" (Gelu): approximate is \"x\", expected none or "
      "tanh");
}

TEST(Errors, AttributeWithoutType) {
  // Files before IR version 2 leave the type out.
  EXPECT_HAS(
      one("LeakyRelu", {2}, [](auto &n) { attribute(n, "alpha").set_f(0.25); }),
      "dense<2.500000e-01>");
}

TEST(Errors, Axes) {
  EXPECT_EQ(one("Softmax", {2, 3}, [](auto &n) { setInt(n, "axis", 2); }),
            "error: node \"it\" (Softmax): axis 2 is out of range for 2 "
            "dimensions");
  EXPECT_EQ(one("ReduceMean", {2, 3},
                [](auto &n) {
                  setInts(n, "axes", {0, -2});
                }),
            "error: node \"it\" (ReduceMean): an axis is given twice");
  EXPECT_EQ(one("Transpose", {2, 3},
                [](auto &n) {
                  setInts(n, "perm", {0, 0});
                }),
            "error: node \"it\" (Transpose): the permutation does not fit 2 "
            "dimensions");
  EXPECT_EQ(one("Flatten", {2, 3}, [](auto &n) { setInt(n, "axis", 4); }),
            "error: node \"it\" (Flatten): axis 4 is out of range for 2 "
            "dimensions");
}

static std::string convolution(std::vector<Dim> x, std::vector<Dim> w,
                               std::function<void(proto::NodeProto &)> set) {
  ModelBuilder b;
  b.input("x", std::move(x)).input("w", std::move(w)).output("y");
  auto &n = b.node("Conv", {"x", "w"}, {"y"});
  n.set_name("it");
  set(n);
  return b.import();
}

TEST(Errors, Windows) {
  const std::string start = "error: node \"it\" (Conv): ";
  auto nothing = [](auto &) {};
  EXPECT_EQ(convolution({1, 3, 8, 8}, {4, 2, 3, 3}, nothing),
            start + "the channels is 3 and 2, expected equal sizes");
  EXPECT_EQ(convolution({1, 3, 8}, {4, 3, 3, 3}, nothing),
            start + "operand and filter have 3 and 4 dimensions, expected the "
                    "same, 3 at least");
  EXPECT_EQ(convolution({1, 3, 2, 2}, {4, 3, 3, 3}, nothing),
            start + "the window of 3 is larger than the padded operand of 2");
  EXPECT_EQ(convolution({1, 3, 8, 8}, {4, 3, 3, 3},
                        [](auto &n) { setInts(n, "strides", {1}); }),
            start + "strides, dilations and pads do not fit a window of 2 "
                    "dimensions");
  EXPECT_EQ(convolution({1, 3, 8, 8}, {4, 3, 3, 3},
                        [](auto &n) {
                          setInts(n, "strides", {0, 1});
                        }),
            start + "a window, stride or dilation is out of range");
  EXPECT_EQ(convolution({1, 3, 8, 8}, {4, 3, 3, 3},
                        [](auto &n) {
                          setInts(n, "pads", {0, 0, INT64_MAX, 0});
                        }),
            start + "a pad is out of range");
  EXPECT_EQ(convolution({1, 3, 8, 8}, {4, 3, 3, 3},
                        [](auto &n) { setInt(n, "group", 0); }),
            start + "group is 0, expected at least 1");
  EXPECT_EQ(convolution({1, 3, 8, 8}, {4, 1, 3, 3},
                        [](auto &n) { setInt(n, "group", 3); }),
            start + "group is 3, expected a divisor of 4 filters");
  EXPECT_EQ(convolution({1, 3, 8, 8}, {4, 3, 3, 3},
                        [](auto &n) { setString(n, "auto_pad", "BEST"); }),
            start + "auto_pad is \"BEST\", expected NOTSET, VALID, SAME_UPPER "
                    "or SAME_LOWER");
}

static std::string reshape(std::vector<Dim> dims, std::vector<int64_t> shape) {
  ModelBuilder b;
  b.input("x", std::move(dims)).ints("s", std::move(shape)).output("y");
  b.node("Reshape", {"x", "s"}, {"y"}).set_name("it");
  return b.import();
}

TEST(Errors, Shapes) {
  const std::string start = "error: node \"it\" (Reshape): ";
  EXPECT_EQ(reshape({2, 3}, {4, -1}),
            start + "cannot reshape [2, 3] to [4, -1]");
  EXPECT_EQ(reshape({2, 3}, {-1, -1}),
            start + "the shape has two dimensions -1");
  EXPECT_EQ(reshape({2, 3}, {1, 1, 0}),
            start + "the shape copies dimension 2 of 2");
  EXPECT_EQ(reshape({2, 3}, {-5, 1}),
            start + "a result would have dimensions [-5, 1]");
  const int64_t big = int64_t(1) << 40;
  EXPECT_HAS(reshape({2, 3}, {big, big}), start + "a result would have");
  EXPECT_HAS(reshape({2, 3}, {big, big, -1}),
             start + "the shape has too many elements");
  ModelBuilder b;
  b.input("x", {1}).ints("s", {big, 2}).output("y");
  b.node("Expand", {"x", "s"}, {"y"});
  EXPECT_HAS(b.import(), "expected at most 1099511627776 elements");
}

TEST(Errors, DeepSubgraphs) {
  // The parser's own limit ends this; what matters is that nothing overflows.
  proto::GraphProto inner;
  addOutput(inner, "x");
  for (int i = 0; i < 200; ++i) {
    proto::GraphProto outer;
    auto &n = addNode(outer, "If", {"c"}, {"r"});
    *&setGraph(n, "then_branch") = inner;
    addOutput(outer, "r");
    inner = outer;
  }
  ModelBuilder b;
  b.input("x", {2});
  *b.graph.mutable_node() = inner.node();
  b.output("r");
  EXPECT_HAS(b.import(), "error: ");
}

TEST(Errors, NamesStayOnOneLine) {
  ModelBuilder b;
  b.input("x", {2}).output("y");
  b.node("Neg", {"a\nb"}, {"y"});
  EXPECT_EQ(b.import(),
            "error: node \"Neg_0\" reads \"a b\", which is not defined");
}

TEST(Errors, NumbersBeyondArithmetic) {
  for (int64_t opset : {8, 11}) {
    ModelBuilder b(opset);
    b.input("x", {1, 2, 3}).output("y");
    auto &n = b.node("Scan", opset < 9 ? Names{"", "x"} : Names{"x"}, {"y"});
    n.set_name("it");
    setInt(n, "num_scan_inputs", INT64_MIN);
    auto &body = setGraph(n, "body");
    addNode(body, "Neg", {"e"}, {"z"});
    addOutput(body, "z");
    EXPECT_EQ(b.import(), "error: node \"it\" (Scan): num_scan_inputs is "
                          "-9223372036854775808, expected 1 to " +
                              std::string(opset < 9 ? "2" : "1"));
  }
  ModelBuilder b;
  b.input("x", {1, 2, 3}).input("w", {3, 6}).input("b", {6}).output("y");
  auto &n = b.node("Attention", {"x", "w", "b"}, {"y"});
  n.set_domain("com.microsoft");
  n.set_name("it");
  auto &domain = *b.model.add_opset_import();
  domain.set_domain("com.microsoft");
  domain.set_version(1);
  setInt(n, "num_heads", 1);
  setInts(n, "qkv_hidden_sizes", {INT64_MAX, INT64_MAX, 8});
  EXPECT_EQ(b.import(), "error: node \"it\" (Attention): qkv_hidden_sizes do "
                        "not sum to 6");
}

TEST(Errors, LeastIntegers) {
  // None of them has an opposite: neither |x| nor -x may be computed.
  ModelBuilder pad(18);
  pad.input("x", {2}).ints("pads", {0, INT64_MIN}).output("y");
  pad.node("Pad", {"x", "pads"}, {"y"}).set_name("it");
  EXPECT_EQ(pad.import(), "error: node \"it\" (Pad): a pad is out of range");

  ModelBuilder range;
  range.input("x", {"n"}).ints("first", {0}).output("y");
  range.initializer("zero", INT64, {}).add_int64_data(0);
  range.initializer("delta", INT64, {}).add_int64_data(INT64_MIN);
  range.node("Shape", {"x"}, {"s"});
  range.node("Squeeze", {"s", "first"}, {"n"});
  range.node("Range", {"zero", "n", "delta"}, {"y"}).set_name("it");
  EXPECT_EQ(range.import(),
            "error: node \"it\" (Range): delta is out of range");

  ModelBuilder slice;
  slice.input("x", {"n"}).ints("zero", {0}).ints("one", {1}).output("y");
  slice.ints("step", {INT64_MIN});
  slice.node("Slice", {"x", "one", "zero", "zero", "step"}, {"y"})
      .set_name("it");
  EXPECT_EQ(slice.import(),
            "error: node \"it\" (Slice): a step is -9223372036854775808, "
            "expected another number");
}

TEST(Errors, ComplexShape) {
  ModelBuilder b;
  b.input("x", {2, 3}).input("shape", {1}, COMPLEX64).output("y");
  b.node("Reshape", {"x", "shape"}, {"y"}).set_name("it");
  EXPECT_EQ(b.import(),
            "error: node \"it\" (Reshape): converts complex<f32> to i64, "
            "expected types that are not complex");
}

TEST(Errors, StringsWhereNumbersAreMade) {
  ModelBuilder b;
  b.input("x", {2, 3}, STRING).output("y");
  auto &n = b.node("Imputer", {"x"}, {"y"});
  n.set_domain("ai.onnx.ml");
  n.set_name("it");
  auto &domain = *b.model.add_opset_import();
  domain.set_domain("ai.onnx.ml");
  domain.set_version(3);
  setInts(n, "imputed_value_int64s", {4});
  EXPECT_EQ(b.import(), "error: node \"it\" (Imputer): computes with "
                        "!graph.string, expected numbers");
}

TEST(Errors, ElementTypes) {
  auto run = [](const char *op, int32_t type,
                std::function<void(proto::NodeProto &)> set = {}) {
    ModelBuilder b(26, 13);
    b.input("x", {2}, type).output("y");
    auto &n = b.node(op, {"x"}, {"y"});
    n.set_name("it");
    if (set)
      set(n);
    return b.import();
  };
  EXPECT_EQ(run("Neg", COMPLEX64),
            "error: node \"it\" (Neg): input 0 has element type complex64, "
            "expected a type that Neg computes with");
  EXPECT_HAS(run("Identity", COMPLEX128), "tensor<2xcomplex<f64>>");
  auto to = [](int32_t type) {
    return [type](proto::NodeProto &n) { setInt(n, "to", type); };
  };
  EXPECT_EQ(
      run("BitCast", FLOAT, to(FLOAT16)),
      "error: node \"it\" (BitCast): reads f32 as f16, expected a type of "
      "the same width");
  EXPECT_HAS(run("BitCast", INT4, to(FLOAT4E2M1)),
             "(tensor<2xi4>) -> tensor<2xf4E2M1FN>");
  EXPECT_HAS(run("Cast", FLOAT, to(FLOAT8E5M2)),
             "graph.cast %arg0 : (tensor<2xf32>) -> tensor<2xf8E5M2>");
  EXPECT_EQ(
      run("Cast", FLOAT,
          [](proto::NodeProto &n) {
            setInt(n, "to", FLOAT8E8M0);
            setString(n, "round_mode", "away");
          }),
      "error: node \"it\" (Cast): round_mode is \"away\", expected up, down "
      "or nearest");
}
