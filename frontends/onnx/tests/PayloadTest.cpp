//===- PayloadTest.cpp - all forms of tensor data -----------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/tests/ModelBuilder.h"

#include "gtest/gtest.h"

using namespace aicc::onnx;
using namespace aicc::onnx::test;

/// A model that returns the constant it holds.
static ModelBuilder holder(int64_t opset = 23) {
  ModelBuilder b(opset, 11);
  b.output("w");
  return b;
}

TEST(Payload, TypedFields) {
  struct Case {
    int32_t type;
    std::function<void(proto::TensorProto &)> fill;
    const char *printed;
  };
  const Case cases[] = {
      {FLOAT,
       [](auto &t) {
         t.add_float_data(1.5f);
         t.add_float_data(-2);
       },
       "dense<[1.500000e+00, -2.000000e+00]> : tensor<2xf32>"},
      {DOUBLE,
       [](auto &t) {
         t.add_double_data(0.5);
         t.add_double_data(3);
       },
       "dense<[5.000000e-01, 3.000000e+00]> : tensor<2xf64>"},
      {INT64,
       [](auto &t) {
         t.add_int64_data(-5);
         t.add_int64_data(6);
       },
       "dense<[-5, 6]> : tensor<2xi64>"},
      {INT32,
       [](auto &t) {
         t.add_int32_data(-5);
         t.add_int32_data(6);
       },
       "dense<[-5, 6]> : tensor<2xi32>"},
      {INT16,
       [](auto &t) {
         t.add_int32_data(-5);
         t.add_int32_data(6);
       },
       "dense<[-5, 6]> : tensor<2xi16>"},
      {INT8,
       [](auto &t) {
         t.add_int32_data(-5);
         t.add_int32_data(6);
       },
       "dense<[-5, 6]> : tensor<2xi8>"},
      {UINT8,
       [](auto &t) {
         t.add_int32_data(250);
         t.add_int32_data(6);
       },
       "dense<[250, 6]> : tensor<2xui8>"},
      {UINT16,
       [](auto &t) {
         t.add_int32_data(65000);
         t.add_int32_data(6);
       },
       "dense<[65000, 6]> : tensor<2xui16>"},
      {UINT32,
       [](auto &t) {
         t.add_uint64_data(4000000000u);
         t.add_uint64_data(6);
       },
       "dense<[4000000000, 6]> : tensor<2xui32>"},
      {UINT64,
       [](auto &t) {
         t.add_uint64_data(~0ull);
         t.add_uint64_data(6);
       },
       "dense<[18446744073709551615, 6]> : tensor<2xui64>"},
      {BOOL,
       [](auto &t) {
         t.add_int32_data(1);
         t.add_int32_data(0);
       },
       "dense<[true, false]> : tensor<2xi1>"},
      // Bit patterns, not values: 0x3c00 is 1.0, 0xc000 is -2.0.
      {FLOAT16,
       [](auto &t) {
         t.add_int32_data(0x3c00);
         t.add_int32_data(0xc000);
       },
       "dense<[1.000000e+00, -2.000000e+00]> : tensor<2xf16>"},
      {BFLOAT16,
       [](auto &t) {
         t.add_int32_data(0x3f80);
         t.add_int32_data(0xc000);
       },
       "dense<[1.000000e+00, -2.000000e+00]> : tensor<2xbf16>"},
      {FLOAT8E4M3FN,
       [](auto &t) {
         t.add_int32_data(0x38);
         t.add_int32_data(0xc0);
       },
       "dense<[1.000000e+00, -2.000000e+00]> : tensor<2xf8E4M3FN>"},
      {FLOAT8E4M3FNUZ,
       [](auto &t) {
         t.add_int32_data(0x40);
         t.add_int32_data(0xc8);
       },
       "dense<[1.000000e+00, -2.000000e+00]> : tensor<2xf8E4M3FNUZ>"},
      {FLOAT8E5M2,
       [](auto &t) {
         t.add_int32_data(0x3c);
         t.add_int32_data(0xc0);
       },
       "dense<[1.000000e+00, -2.000000e+00]> : tensor<2xf8E5M2>"},
      {FLOAT8E5M2FNUZ,
       [](auto &t) {
         t.add_int32_data(0x40);
         t.add_int32_data(0xc4);
       },
       "dense<[1.000000e+00, -2.000000e+00]> : tensor<2xf8E5M2FNUZ>"},
      {FLOAT8E8M0,
       [](auto &t) {
         t.add_int32_data(127);
         t.add_int32_data(128);
       },
       "dense<[1.000000e+00, 2.000000e+00]> : tensor<2xf8E8M0FNU>"},
      // The first element is in the low bits.
      {INT4, [](auto &t) { t.add_int32_data(0x7f); },
       "dense<[-1, 7]> : tensor<2xi4>"},
      {UINT4, [](auto &t) { t.add_int32_data(0x7f); },
       "dense<[15, 7]> : tensor<2xui4>"},
      {FLOAT4E2M1, [](auto &t) { t.add_int32_data(0xc2); },
       "dense<[1.000000e+00, -2.000000e+00]> : tensor<2xf4E2M1FN>"},
      {INT2, [](auto &t) { t.add_int32_data(0b0111); },
       "dense<[-1, 1]> : tensor<2xi2>"},
      {UINT2, [](auto &t) { t.add_int32_data(0b0111); },
       "dense<[3, 1]> : tensor<2xui2>"},
  };
  for (const Case &c : cases) {
    ModelBuilder b = holder();
    c.fill(b.initializer("w", c.type, {2}));
    EXPECT_HAS(b.import(), c.printed);
  }
}

TEST(Payload, RawData) {
  struct Case {
    int32_t type;
    std::string bytes;
    const char *printed;
  };
  const Case cases[] = {
      {INT16, std::string("\xfb\xff\x06\x00", 4), "dense<[-5, 6]>"},
      {BOOL, std::string("\x02\x00", 2), "dense<[true, false]>"},
      {FLOAT16, std::string("\x00\x3c\x00\xc0", 4),
       "dense<[1.000000e+00, -2.000000e+00]>"},
      {INT4, std::string("\x7f", 1), "dense<[-1, 7]>"},
      {UINT2, std::string("\x07", 1), "dense<[3, 1]>"},
  };
  for (const Case &c : cases) {
    ModelBuilder b = holder();
    b.initializer("w", c.type, {2}).set_raw_data(c.bytes);
    EXPECT_HAS(b.import(), c.printed);
  }
}

TEST(Payload, OddNumberOfNibbles) {
  ModelBuilder b = holder();
  // The unused bits of the last byte may hold anything.
  b.initializer("w", INT4, {3}).set_raw_data(std::string("\x21\xf3", 2));
  EXPECT_HAS(b.import(), "dense<[1, 2, 3]> : tensor<3xi4>");
}

TEST(Payload, Empty) {
  ModelBuilder b = holder();
  b.initializer("w", FLOAT, {0, 3});
  EXPECT_HAS(b.import(), "tensor<0x3xf32>");
}

TEST(Payload, LargeIsAResource) {
  ModelBuilder b = holder();
  b.initializer("w", FLOAT, {1024}).set_raw_data(std::string(4096, '\0'));
  EXPECT_HAS(b.import(), "graph.constant dense_resource<w> : tensor<1024xf32>");
}

TEST(Payload, WrongLengths) {
  {
    ModelBuilder b = holder();
    b.initializer("w", FLOAT, {3}).set_raw_data("1234");
    EXPECT_EQ(b.import(), "error: tensor \"w\" of type float has 4 bytes, "
                          "expected 12");
  }
  {
    ModelBuilder b = holder();
    b.initializer("w", FLOAT, {3}).add_float_data(1);
    EXPECT_EQ(b.import(),
              "error: tensor \"w\" of type float has 1 values, expected 3");
  }
  {
    ModelBuilder b = holder();
    b.initializer("w", FLOAT16, {3}).add_int32_data(1);
    EXPECT_EQ(b.import(),
              "error: tensor \"w\" of type float16 has 1 values, expected 3");
  }
  {
    // Values in a field of another type.
    ModelBuilder b = holder();
    b.initializer("w", FLOAT, {1}).add_int64_data(1);
    EXPECT_EQ(b.import(),
              "error: tensor \"w\" of type float has 1 values, expected 1");
  }
  {
    ModelBuilder b = holder();
    auto &t = b.initializer("w", FLOAT, {1});
    t.add_float_data(1);
    t.set_raw_data("1234");
    EXPECT_EQ(b.import(), "error: tensor \"w\" has both raw and typed data, "
                          "expected one of them");
  }
}

TEST(Payload, Refused) {
  struct Case {
    int32_t type;
    std::vector<int64_t> dims;
    const char *message;
  };
  const int64_t big = int64_t(1) << 40;
  const Case cases[] = {
      {FLOAT, {-1}, "tensor \"w\" has dimension -1, expected at least 0"},
      {FLOAT, {big, big}, "tensor \"w\" has too many elements"},
      {FLOAT, {0, big, big}, "tensor \"w\" has too many elements"},
      {99, {1}, "tensor \"w\" has element type 99, which is unknown"},
      {STRING, {1}, "tensor \"w\" has 0 strings, expected 1"},
      {FLOAT, std::vector<int64_t>(65, 1),
       "tensor \"w\" has 65 dimensions, expected at most 64"},
  };
  for (const Case &c : cases) {
    ModelBuilder b = holder();
    b.initializer("w", c.type, c.dims);
    EXPECT_HAS(b.import(), std::string("error: ") + c.message);
  }
  ModelBuilder b = holder();
  b.initializer("w", FLOAT, {1}).mutable_segment();
  EXPECT_EQ(b.import(), "error: tensor \"w\" is a segment of a tensor, which "
                        "is not supported");
}

TEST(Payload, Sparse) {
  auto sparse = [](std::vector<int64_t> indices,
                   std::vector<int64_t> indexDims) {
    ModelBuilder b = holder();
    auto &s = *b.graph.add_sparse_initializer();
    s.mutable_values()->set_name("w");
    s.mutable_values()->set_data_type(FLOAT);
    s.mutable_values()->add_dims(2);
    s.mutable_values()->add_float_data(7);
    s.mutable_values()->add_float_data(8);
    s.mutable_indices()->set_data_type(INT64);
    for (int64_t d : indexDims)
      s.mutable_indices()->add_dims(d);
    for (int64_t i : indices)
      s.mutable_indices()->add_int64_data(i);
    s.add_dims(2);
    s.add_dims(2);
    return b.import();
  };
  EXPECT_HAS(sparse({1, 2}, {2}), "[[0.000000e+00, 7.000000e+00], "
                                  "[8.000000e+00, 0.000000e+00]]");
  EXPECT_HAS(sparse({0, 1, 1, 0}, {2, 2}), "[[0.000000e+00, 7.000000e+00], "
                                           "[8.000000e+00, 0.000000e+00]]");
  EXPECT_EQ(sparse({1, 4}, {2}), "error: sparse tensor \"w\" has an index "
                                 "outside its dimensions");
  EXPECT_EQ(sparse({1}, {1}), "error: sparse tensor \"w\" has indices that do "
                              "not fit its values");
}

TEST(Payload, ConstantForms) {
  auto constant = [](auto fill) {
    ModelBuilder b = holder(13);
    fill(b.node("Constant", {}, {"w"}));
    return b.import();
  };
  EXPECT_HAS(constant([](auto &n) { setFloat(n, "value_float", 2); }),
             "dense<2.000000e+00> : tensor<f32>");
  EXPECT_HAS(constant([](auto &n) { setInt(n, "value_int", 3); }),
             "dense<3> : tensor<i64>");
  EXPECT_HAS(constant([](auto &n) {
               setInts(n, "value_ints", {1, 2});
             }),
             "dense<[1, 2]> : tensor<2xi64>");
  EXPECT_HAS(constant([](auto &n) {
               auto &a = attribute(n, "value_floats");
               a.set_type(6);
               a.add_floats(1);
             }),
             "tensor<1xf32>");
  EXPECT_HAS(constant([](auto &n) {
               auto &a = attribute(n, "value");
               a.set_type(4);
               a.mutable_t()->set_data_type(INT32);
               a.mutable_t()->add_int32_data(9);
             }),
             "dense<9> : tensor<i32>");
  EXPECT_HAS(constant([](auto &n) { setString(n, "value_string", "x"); }),
             "tensor<!graph.string>");
  EXPECT_HAS(constant([](auto &n) {}), "it has no value");
  EXPECT_HAS(constant([](auto &n) {
               setInt(n, "value_int", 3);
               setFloat(n, "value_float", 3);
             }),
             "it has several values, expected one");
}
