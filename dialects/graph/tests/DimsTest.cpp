//===- DimsTest.cpp - dimensions as expressions ---------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/graph/Dims.h"

#include "mlir/IR/MLIRContext.h"

#include <gtest/gtest.h>

using namespace mlir;
using namespace aicc::graph;

namespace {

class Dims : public testing::Test {
protected:
  MLIRContext context{MLIRContext::Threading::DISABLED};
  AffineExpr s(unsigned i) { return getAffineSymbolExpr(i, &context); }
  AffineExpr c(int64_t v) { return getAffineConstantExpr(v, &context); }
};

TEST_F(Dims, SumsAndProductsHaveOneForm) {
  EXPECT_EQ(simplify(s(0) + s(1)), simplify(s(1) + s(0)));
  EXPECT_EQ(simplify(s(1) * s(0) * 2), simplify(s(0) * 2 * s(1)));
  EXPECT_TRUE(equal((s(0) + 1) * 4, s(0) * 4 + 4));
  EXPECT_TRUE(equal(s(0) - s(0), c(0)));
  EXPECT_FALSE(equal(s(0), s(1)));
}

TEST_F(Dims, QuotientsFoldWhereTheyAreExact) {
  EXPECT_TRUE(equal((s(0) * 8 + 4).floorDiv(4), s(0) * 2 + 1));
  EXPECT_TRUE(equal((s(0) * 8) % 4, c(0)));
  EXPECT_TRUE(equal((s(0) * s(1) * 8).floorDiv(s(1)), s(0) * 8));
  EXPECT_FALSE(equal((s(0) * 3).floorDiv(2), s(0)));
  EXPECT_TRUE(equal((s(0) - 1).floorDiv(2) + 1, (s(0) + 1).floorDiv(2)));
  EXPECT_TRUE(
      equal((s(0) * 5 + s(1)).floorDiv(4), (s(0) + s(1)).floorDiv(4) + s(0)));
  EXPECT_TRUE(equal(s(0).floorDiv(2).floorDiv(3), s(0).floorDiv(6)));
  EXPECT_TRUE(equal((s(0) + 5) % 4, (s(0) + 1) % 4));
  for (int64_t value : {-7, -1, 0, 5, 8}) {
    for (AffineExpr expr :
         {(s(0) * -3 + 5).floorDiv(4), (s(0) * -3 + 5).ceilDiv(4),
          (s(0) * -3 + 5) % 4, (s(0) + 1).floorDiv(2).floorDiv(3)})
      EXPECT_EQ(evaluate(expr, {value}), evaluate(simplify(expr), {value}));
  }
  // The size of a convolution with stride 2 keeps its quotient.
  AffineExpr size = simplify((s(0) + 2 - 3).floorDiv(2) + 1);
  EXPECT_EQ(evaluate(size, {224}), 112);
  EXPECT_EQ(evaluate(size, {7}), 4);
}

TEST_F(Dims, DifferentOnlyWhereItIsKnown) {
  EXPECT_TRUE(different(c(3), c(4)));
  EXPECT_TRUE(different(s(0) + 1, s(0)));
  EXPECT_FALSE(different(s(0), s(1)));
  EXPECT_FALSE(different(s(0), c(4)));
  EXPECT_FALSE(different(AffineExpr(), c(4)));
}

TEST_F(Dims, UnifyPrefersNumbers) {
  EXPECT_EQ(unify(s(0), c(4)), c(4));
  EXPECT_EQ(unify(c(4), s(0)), c(4));
  EXPECT_EQ(unify(AffineExpr(), s(0)), s(0));
  EXPECT_EQ(unify(s(0), s(1)), s(0));
}

TEST_F(Dims, TypesCarryExpressions) {
  Type f32 = Float32Type::get(&context);
  RankedTensorType type = makeType({s(1) * 2, c(3)}, f32);
  EXPECT_TRUE(type.isDynamicDim(0));
  EXPECT_EQ(type.getDimSize(1), 3);
  EXPECT_EQ(dimOf(type, 0), simplify(s(1) * 2));
  EXPECT_EQ(dimOf(type, 1), c(3));
  EXPECT_TRUE(equal(numElements(type), s(1) * 6));
  EXPECT_FALSE(makeType({c(2), s(0) - s(0) + 3}, f32).getEncoding());
  EXPECT_FALSE(withoutEncoding(type).getEncoding());
  // What only a wrong program leads to is made harmless.
  EXPECT_EQ(makeType({c(-5)}, f32).getDimSize(0), 0);
  EXPECT_FALSE(makeType({AffineExpr(), s(0)}, f32).getEncoding());
  EXPECT_FALSE(numElements(makeType({AffineExpr()}, f32)));
}

TEST_F(Dims, EvaluationRefusesWhatHasNoValue) {
  EXPECT_EQ(evaluate(s(0) * s(1) + 1, {3, 4}), 13);
  EXPECT_EQ(evaluate(s(0).ceilDiv(4), {9}), 3);
  EXPECT_EQ(evaluate(s(0) % 4, {9}), 1);
  EXPECT_EQ(evaluate(s(1), {3}), std::nullopt);
  EXPECT_EQ(evaluate(s(0).floorDiv(s(1)), {3, 0}), std::nullopt);
  EXPECT_EQ(evaluate(s(0) * s(0), {int64_t(1) << 40}), std::nullopt);
  EXPECT_EQ(toString(s(0) + 1), "s0 + 1");
  EXPECT_EQ(toString(AffineExpr()), "?");
}

} // namespace
