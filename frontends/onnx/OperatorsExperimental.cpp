//===- OperatorsExperimental.cpp - experimental operators of old files --===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Operators that the standard held as experimental until version 10, and that
// exporters of that time wrote into the standard's domain.
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/Node.h"

#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace aicc::onnx;
using llvm::StringRef;
using llvm::Twine;
namespace gr = aicc::graph;

/// The dimensions that ConstantFill and GivenTensorFill ask for: those of the
/// input, or its values, or an attribute, and then more.
static std::optional<Dims> filledDims(Node &n) {
  Dims dims;
  if (!n.has(0)) {
    dims = n.numbers(n.integers("shape"));
  } else if (n.integer("input_as_shape", 0)) {
    auto given = n.expressionsOf(0, "shape");
    if (!given)
      return std::nullopt;
    dims = *given;
  } else {
    dims = n.input(0)->dims;
  }
  dims.append(n.numbers(n.integers("extra_shape")));
  if (n.failed())
    return std::nullopt;
  return dims;
}

static void constantFill(Node &n) {
  auto dims = filledDims(n);
  Type element = elementType(n.importer.context,
                             static_cast<int32_t>(n.integer("dtype", FLOAT)));
  if (!dims)
    return;
  if (!n.require(bool(element), "dtype is " + Twine(n.integer("dtype", FLOAT)) +
                                    ", expected a number's type"))
    return;
  n.set(0, n.broadcastTo(n.scalar(n.real("value", 0), element), *dims));
}

static void givenTensorFill(Node &n) {
  auto dims = filledDims(n);
  if (!dims)
    return;
  Value values = n.constant(n.reals("values"), n.b.getF32Type());
  n.set(0, n.reshape(values, *dims));
}

static void scaleAndShift(Node &n) {
  n.set(0, n.affine(n.operand(0), n.real("alpha", 1), n.real("beta", 0)));
}

static void scale(Node &n) {
  n.set(0, n.affine(n.operand(0), n.real("scale", 1), 0));
}

static void scaledTanh(Node &n) {
  Value x = n.operand(0);
  if (!n.requireFloat(x))
    return;
  Value y = n.unary<gr::TanhOp>(n.affine(x, n.real("beta", 1), 0));
  n.set(0, n.affine(y, n.real("alpha", 1), 0));
}

/// alpha * log(1 + exp(beta * x)), whose exponential cannot overflow.
static void parametricSoftplus(Node &n) {
  Value x = n.operand(0);
  if (!n.requireFloat(x))
    return;
  Value z = n.affine(x, n.real("beta", 1), 0);
  Value small = n.unary<gr::NegateOp>(n.unary<gr::AbsOp>(z));
  Value y =
      n.add(n.maximum(z, 0.0), n.unary<gr::Log1pOp>(n.unary<gr::ExpOp>(small)));
  n.set(0, n.affine(y, n.real("alpha", 1), 0));
}

static void imageScaler(Node &n) {
  Value x = n.operand(0);
  if (!n.requireFloat(x))
    return;
  SmallVector<double> bias = n.reals("bias");
  Value y = n.affine(x, n.real("scale", 1), 0);
  if (!bias.empty())
    y = n.add(y, n.broadcastAlong(n.constant(bias, elementOf(x)), y, 1));
  n.set(0, y);
}

/// Of an image [N, C, H, W], without a border (left, top, right, bottom), or
/// `scale` (height, width) from its upper left corner on.
static void crop(Node &n) {
  Value x = n.operand(0);
  Ints border = n.integers("border"), size = n.integers("scale");
  if (!x ||
      !n.require(rankOf(x) == 4, "the operand has " + Twine(rankOf(x)) +
                                     " dimensions, expected 4") ||
      !n.require(border.size() == 4 && (size.empty() || size.size() == 2),
                 "border or scale do not fit an image"))
    return;
  Dims d = dimsOf(x);
  AffineExpr height = size.empty() ? d[2] - border[1] - border[3]
                                   : n.number(size[0]),
             width = size.empty() ? d[3] - border[0] - border[2]
                                  : n.number(size[1]);
  AffineExpr zero = n.number(0);
  n.set(0, n.slice(x, {zero, zero, n.number(border[1]), n.number(border[0])},
                   {d[0], d[1], gr::simplify(height), gr::simplify(width)},
                   {1, 1, 1, 1}));
}

llvm::ArrayRef<Operator> aicc::onnx::experimentalOperators() {
  static constexpr Operator table[] = {
      {"", "ConstantFill", 1, constantFill},
      {"", "ConstantFill", 10, nullptr},
      {"", "GivenTensorFill", 1, givenTensorFill},
      {"", "GivenTensorFill", 10, nullptr},
      {"", "Affine", 1, scaleAndShift},
      {"", "Affine", 10, nullptr},
      {"", "Scale", 1, scale},
      {"", "Scale", 10, nullptr},
      {"", "ScaledTanh", 1, scaledTanh},
      {"", "ScaledTanh", 10, nullptr},
      {"", "ParametricSoftplus", 1, parametricSoftplus},
      {"", "ParametricSoftplus", 10, nullptr},
      {"", "ImageScaler", 1, imageScaler},
      {"", "ImageScaler", 10, nullptr},
      {"", "Crop", 1, crop},
      {"", "Crop", 10, nullptr},
  };
  return table;
}
