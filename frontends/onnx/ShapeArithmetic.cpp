//===- ShapeArithmetic.cpp - arithmetic with known scalars ----------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/ShapeArithmetic.h"

#include "llvm/Support/MathExtras.h"

#include <cmath>
#include <cstring>

using namespace mlir;
using namespace aicc::onnx;
using namespace aicc::onnx::scalars;
namespace gr = aicc::graph;

/// Longer expressions are not simplified further but computed as data.
static constexpr unsigned maxTerms = 48;

bool aicc::onnx::nonNegative(AffineExpr expr) {
  if (auto constant = gr::constantOf(expr))
    return *constant >= 0;
  if (isa<AffineSymbolExpr>(expr))
    return true;
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!binary)
    return false;
  switch (binary.getKind()) {
  case AffineExprKind::Mod:
    return gr::constantOf(binary.getRHS()).value_or(0) > 0;
  case AffineExprKind::Add:
  case AffineExprKind::Mul:
  case AffineExprKind::FloorDiv:
  case AffineExprKind::CeilDiv:
    return nonNegative(binary.getLHS()) && nonNegative(binary.getRHS());
  default:
    return false;
  }
}

static unsigned sizeOf(AffineExpr expr) {
  unsigned size = 0;
  expr.walk([&](AffineExpr) { ++size; });
  return size;
}

static Maybe expression(AffineExpr expr) {
  if (sizeOf(expr) > 4 * maxTerms)
    return std::nullopt;
  expr = gr::simplify(expr);
  if (sizeOf(expr) > maxTerms)
    return std::nullopt;
  return Scalar{expr};
}

Maybe scalars::integer(MLIRContext *context, int64_t value) {
  return Scalar{getAffineConstantExpr(value, context)};
}

Maybe scalars::number(MLIRContext *context, Type element, double value) {
  if (element.isF32())
    value = static_cast<float>(value);
  else if (!element.isF64())
    return std::nullopt;
  constexpr double exact = 1 << 24;
  if (std::trunc(value) == value && std::fabs(value) <= exact &&
      !std::signbit(value))
    return integer(context, static_cast<int64_t>(value));
  return Scalar{{}, value};
}

std::optional<double> scalars::numeric(const Scalar &scalar) {
  if (!scalar.expr)
    return scalar.number;
  if (auto value = scalar.constant())
    return double(*value);
  return std::nullopt;
}

Maybe scalars::wrap(MLIRContext *context, Type element, int64_t value) {
  // An integer type that the value does not fit wraps in the model; such
  // arithmetic is not about shapes.
  unsigned bits = element.getIntOrFloatBitWidth();
  if (bits < 64) {
    bool natural = element.isUnsignedInteger() || bits == 1;
    bool fits =
        natural ? llvm::isUIntN(bits, value) : llvm::isIntN(bits, value);
    if (!fits || (natural && value < 0))
      return std::nullopt;
  } else if (element.isUnsignedInteger() && value < 0) {
    return std::nullopt;
  }
  return integer(context, value);
}

Maybe scalars::arithmetic(MLIRContext *context, Action op, const Scalar &a,
                          const Scalar &b, Type element) {
  bool real = isa<FloatType>(element);
  auto x = a.expr ? a.constant() : std::nullopt;
  auto y = b.expr ? b.constant() : std::nullopt;
  auto truth = [&](bool value) { return integer(context, value); };
  if (!real && x && y) {
    int64_t r;
    switch (op) {
    case Action::add:
      return llvm::AddOverflow(*x, *y, r) ? std::nullopt
                                          : wrap(context, element, r);
    case Action::sub:
      return llvm::SubOverflow(*x, *y, r) ? std::nullopt
                                          : wrap(context, element, r);
    case Action::mul:
      return llvm::MulOverflow(*x, *y, r) ? std::nullopt
                                          : wrap(context, element, r);
    case Action::div:
      if (*y == 0 || (*y == -1 && *x == INT64_MIN))
        return std::nullopt;
      return wrap(context, element, *x / *y);
    case Action::mod:
      if (*y == 0 || *y == -1)
        return std::nullopt;
      r = *x % *y;
      return wrap(context, element, r && (r < 0) != (*y < 0) ? r + *y : r);
    case Action::max:
      return integer(context, std::max(*x, *y));
    case Action::min:
      return integer(context, std::min(*x, *y));
    case Action::equal:
      return truth(*x == *y);
    case Action::less:
      return truth(*x < *y);
    case Action::lessEqual:
      return truth(*x <= *y);
    case Action::greater:
      return truth(*x > *y);
    case Action::greaterEqual:
      return truth(*x >= *y);
    case Action::logicalAnd:
      return truth(*x && *y);
    case Action::logicalOr:
      return truth(*x || *y);
    }
  }
  if (real) {
    auto p = numeric(a), q = numeric(b);
    if (p && q) {
      switch (op) {
      case Action::add:
        return number(context, element, *p + *q);
      case Action::sub:
        return number(context, element, *p - *q);
      case Action::mul:
        return number(context, element, *p * *q);
      case Action::div:
        return number(context, element, *p / *q);
      case Action::mod:
        return std::nullopt;
      case Action::max:
        return number(context, element, std::fmax(*p, *q));
      case Action::min:
        return number(context, element, std::fmin(*p, *q));
      case Action::equal:
        return truth(*p == *q);
      case Action::less:
        return truth(*p < *q);
      case Action::lessEqual:
        return truth(*p <= *q);
      case Action::greater:
        return truth(*p > *q);
      case Action::greaterEqual:
        return truth(*p >= *q);
      default:
        return std::nullopt;
      }
    }
  }
  if (!a.expr || !b.expr)
    return std::nullopt;
  AffineExpr p = a.expr, q = b.expr;
  auto atMost = [](AffineExpr lhs, AffineExpr rhs) {
    return nonNegative(gr::simplify(rhs - lhs));
  };
  switch (op) {
  case Action::add:
    return expression(p + q);
  case Action::sub:
    return expression(p - q);
  case Action::mul:
    if (sizeOf(p) * sizeOf(q) > maxTerms)
      return std::nullopt;
    return expression(p * q);
  case Action::div:
    if (real) {
      // Only a division without remainder keeps a size in floats a size.
      AffineExpr whole = gr::simplify(p.floorDiv(q));
      if (!y || *y <= 0 || !gr::equal(whole * q, p))
        return std::nullopt;
      return expression(whole);
    }
    // Truncation is floor for what is not negative.
    if (!nonNegative(p) || !nonNegative(q) || (y && *y == 0))
      return std::nullopt;
    return expression(p.floorDiv(q));
  case Action::mod:
    if (real || !y || *y <= 0)
      return std::nullopt;
    return expression(p % q);
  case Action::max:
    return atMost(p, q) ? Maybe(b) : atMost(q, p) ? Maybe(a) : std::nullopt;
  case Action::min:
    return atMost(p, q) ? Maybe(a) : atMost(q, p) ? Maybe(b) : std::nullopt;
  case Action::equal:
    if (gr::equal(p, q))
      return truth(true);
    // A size is not -1, and differs from itself plus one.
    if (atMost(p + 1, q) || atMost(q + 1, p))
      return truth(false);
    return std::nullopt;
  case Action::less:
    return arithmetic(context, Action::greaterEqual, b,
                      {getAffineConstantExpr(0, context) + p + 1}, element);
  case Action::lessEqual:
    return arithmetic(context, Action::greaterEqual, b, a, element);
  case Action::greater:
    return arithmetic(context, Action::greaterEqual, a, {q + 1}, element);
  case Action::greaterEqual:
    if (atMost(q, p))
      return truth(true);
    if (atMost(p + 1, q))
      return truth(false);
    return std::nullopt;
  default:
    return std::nullopt;
  }
}

//===----------------------------------------------------------------------===//
// Contents of constants
//===----------------------------------------------------------------------===//

static double toDouble(FloatType type, const char *bytes) {
  unsigned bits = type.getWidth();
  uint64_t raw = 0;
  std::memcpy(&raw, bytes, bits / 8);
  llvm::APFloat value(type.getFloatSemantics(), llvm::APInt(bits, raw));
  bool lost;
  value.convert(llvm::APFloat::IEEEdouble(), llvm::APFloat::rmNearestTiesToEven,
                &lost);
  return value.convertToDouble();
}

const Known *Importer::known(Tensor &tensor) {
  if (tensor.known)
    return &*tensor.known;
  if (tensor.triedKnown || !tensor.payload)
    return nullptr;
  tensor.triedKnown = true;
  constexpr int64_t maxRank = 8;
  if (tensor.rank() > maxRank)
    return nullptr;
  Known result{tensor.element, {}, {}};
  int64_t count = 1;
  for (AffineExpr dim : tensor.dims) {
    result.shape.push_back(*gr::constantOf(dim));
    count *= result.shape.back();
    if (count > maxKnown)
      return nullptr;
  }
  if (!tensor.element.isIntOrFloat())
    return nullptr;
  Payload payload;
  std::string error;
  if (!decode(*model, *tensor.payload, payload, error)) {
    (void)fail(error);
    return nullptr;
  }
  unsigned width = elementBytes(tensor.element);
  auto real = dyn_cast<FloatType>(tensor.element);
  if (real && width < 2)
    return nullptr;
  for (int64_t i = 0; i < count; ++i) {
    const char *at = payload.bytes.data() + i * width;
    if (real) {
      double value = toDouble(real, at);
      Maybe scalar = number(context, tensor.element, value);
      result.values.push_back(scalar ? *scalar : Scalar{{}, value});
      continue;
    }
    uint64_t raw = 0;
    std::memcpy(&raw, at, width);
    int64_t value = raw;
    if (tensor.element.isSignlessInteger() && !tensor.element.isInteger(1))
      value = llvm::SignExtend64(raw, width * 8);
    else if (width == 8 && value < 0)
      return nullptr;
    result.values.push_back({getAffineConstantExpr(value, context)});
  }
  tensor.known = std::move(result);
  return &*tensor.known;
}
