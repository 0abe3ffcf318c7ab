//===- OperatorsElementwise.cpp - arithmetic, comparison, conversion ----===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/Node.h"

#include "llvm/ADT/StringExtras.h"

#include <cmath>
#include <limits>

using namespace mlir;
using namespace aicc::onnx;
using llvm::StringRef;
using llvm::Twine;
namespace gr = aicc::graph;

template <typename Op> static void unary(Node &n) {
  n.set(0, n.unary<Op>(n.operand(0)));
}

template <typename Op> static void floatUnary(Node &n) {
  Value x = n.operand(0);
  if (n.requireFloat(x))
    n.set(0, n.unary<Op>(x));
}

/// Before opset 7 the second operand is aligned at `axis` if `broadcast` is
/// set, and not broadcast otherwise.
static Value secondOperand(Node &n, Value x) {
  Value y = n.operand(1);
  if (!x || !y || n.version >= 7 || !n.integer("broadcast", 0) ||
      !n.hasAttribute("axis"))
    return y;
  int64_t axis = n.axis(n.integer("axis", 0), rankOf(x));
  if (!n.require(axis + rankOf(y) <= rankOf(x),
                 "the second operand does not fit at axis " + Twine(axis)))
    return {};
  Ints positions;
  for (int64_t i = 0; i < rankOf(y); ++i)
    positions.push_back(axis + i);
  return n.broadcastIn(y, dimsOf(x), positions);
}

template <typename Op> static void binary(Node &n) {
  Value x = n.operand(0);
  n.set(0, n.binary<Op>(x, secondOperand(n, x)));
}

template <typename Op> static void logical(Node &n) {
  Value x = n.operand(0), y = secondOperand(n, x);
  if (x && y &&
      n.require(elementOf(x).isInteger(1) && elementOf(y).isInteger(1),
                "element types are " + n.print(elementOf(x)) + " and " +
                    n.print(elementOf(y)) + ", expected bool"))
    n.set(0, n.binary<Op>(x, y));
}

template <typename Op> static void bitwise(Node &n) {
  Value x = n.operand(0), y = n.operand(1);
  if (x && y &&
      n.require(isa<IntegerType>(elementOf(x)), "element type is " +
                                                    n.print(elementOf(x)) +
                                                    ", expected an integer"))
    n.set(0, n.binary<Op>(x, y));
}

template <gr::Comparison predicate> static void comparison(Node &n) {
  Value x = n.operand(0);
  n.set(0, n.compare(predicate, x, secondOperand(n, x)));
}

/// Max, Min, Sum and Mean take any number of operands.
template <typename Op> static Value fold(Node &n) {
  n.require(n.numInputs() > 0, "it has no inputs, expected at least 1");
  Value result = n.operand(0);
  for (unsigned i = 1; i < n.numInputs(); ++i)
    result = n.binary<Op>(result, n.operand(i));
  return result;
}
template <typename Op> static void variadic(Node &n) { n.set(0, fold<Op>(n)); }

static void mean(Node &n) {
  Value sum = fold<gr::AddOp>(n);
  if (n.numInputs() > 1 && sum)
    sum = n.divide(sum, n.scalar(n.numInputs(), elementOf(sum)));
  n.set(0, sum);
}

static void modulo(Node &n) {
  Value x = n.operand(0), y = n.operand(1);
  Value r = n.binary<gr::RemainderOp>(x, y);
  if (!r || n.integer("fmod", 0) || elementOf(r).isUnsignedInteger())
    return n.set(0, r);
  // The sign of the divisor, as Python has it: add the divisor where the
  // remainder is not zero and the signs differ.
  Value zero = n.scalar(0, elementOf(r));
  Value negative = n.compare(gr::Comparison::less, r, zero);
  Value other = n.compare(gr::Comparison::less, y, zero);
  Value differ = n.binary<gr::XorOp>(negative, other);
  Value nonzero = n.compare(gr::Comparison::not_equal, r, zero);
  Value condition = n.binary<gr::AndOp>(differ, nonzero);
  n.set(0, n.select(condition, n.add(r, y), r));
}

static void power(Node &n) {
  Value x = n.operand(0), y = secondOperand(n, x);
  if (!x || !y)
    return;
  Type base = elementOf(x);
  if (isa<FloatType>(base))
    return n.set(0, n.binary<gr::PowerOp>(x, n.cast(y, base)));
  // Integers: small constant exponents are products, which are exact.
  auto exponent = n.numberOf(1);
  constexpr double mostFactors = 8;
  if (exponent && *exponent >= 1 && *exponent <= mostFactors &&
      std::trunc(*exponent) == *exponent) {
    Value result = x;
    for (int i = 1; i < *exponent; ++i)
      result = n.multiply(result, x);
    Value both[] = {result, y};
    return n.set(0, n.broadcastTogether(both) ? both[0] : Value());
  }
  Type wide = n.b.getF64Type();
  Value result = n.binary<gr::PowerOp>(n.cast(x, wide), n.cast(y, wide));
  n.set(0, n.cast(result, base));
}

static void shift(Node &n) {
  std::string direction = n.string("direction", "");
  Value x = n.operand(0), y = n.operand(1);
  if (direction == "LEFT")
    n.set(0, n.binary<gr::ShiftLeftOp>(x, y));
  else if (n.require(direction == "RIGHT", "direction is \"" + direction +
                                               "\", expected LEFT or RIGHT"))
    n.set(0, n.binary<gr::ShiftRightOp>(x, y));
}

static void isInfinite(Node &n) {
  Value x = n.operand(0);
  bool negative = n.integer("detect_negative", 1);
  bool positive = n.integer("detect_positive", 1);
  if (!n.requireFloat(x))
    return;
  double infinity = std::numeric_limits<double>::infinity();
  auto boolean = gr::withElement(tensorType(x), n.b.getI1Type());
  if (negative && positive)
    n.set(0, gr::IsInfOp::create(n.b, n.loc, boolean, x).getResult());
  else if (!negative && !positive)
    n.set(0, n.full(0, x, n.b.getI1Type()));
  else
    n.set(0,
          n.compare(gr::Comparison::equal, x,
                    n.scalar(negative ? -infinity : infinity, elementOf(x))));
}

static void isNan(Node &n) {
  Value x = n.operand(0);
  if (!n.requireFloat(x))
    return;
  auto boolean = gr::withElement(tensorType(x), n.b.getI1Type());
  n.set(0, gr::IsNanOp::create(n.b, n.loc, boolean, x).getResult());
}

static void castTo(Node &n, int32_t to) {
  Type element = elementType(n.importer.context, to);
  if (!element)
    return n.unsupported("target type " + dataTypeName(to));
  Value x = n.operand(0);
  bool overflow = !n.integer("saturate", 1);
  std::string mode = n.string("round_mode", "up");
  std::optional<gr::Rounding> rounding = gr::symbolizeRounding(mode);
  if (!n.require(rounding.has_value(), "round_mode is \"" + mode +
                                           "\", expected up, down or nearest"))
    return;
  n.set(0, n.cast(x, element, overflow, *rounding));
}

static void cast(Node &n) {
  castTo(n, static_cast<int32_t>(n.requiredInteger("to")));
}

/// Version 1 names the type.
static void castByName(Node &n) {
  std::string to = StringRef(n.string("to", "")).lower();
  for (int32_t type = FLOAT; type <= FLOAT6E3M2; ++type)
    if (dataTypeName(type) == to)
      return castTo(n, type);
  n.fail("to is \"" + to + "\", expected the name of a type");
}

static void bitCast(Node &n) {
  auto to = static_cast<int32_t>(n.requiredInteger("to"));
  Type element = elementType(n.importer.context, to);
  Value x = n.operand(0);
  if (!x || !n.require(element && !isa<gr::StringType>(element),
                       "to is " + dataTypeName(to) + ", expected a number's"))
    return;
  if (element == elementOf(x))
    return n.set(0, x);
  auto bits = [](Type type) {
    return type.isInteger(1) || !type.isIntOrFloat()
               ? gr::elementBytes(type) * 8
               : type.getIntOrFloatBitWidth();
  };
  if (!n.require(bits(element) == bits(elementOf(x)),
                 "reads " + n.print(elementOf(x)) + " as " + n.print(element) +
                     ", expected a type of the same width"))
    return;
  n.set(0, gr::BitcastOp::create(n.b, n.loc,
                                 gr::withElement(tensorType(x), element), x)
               .getResult());
}

static void castLike(Node &n) {
  if (n.require(n.has(1), "input 1 is missing"))
    castTo(n, dataTypeOf(n.input(1)->element));
}

static void where(Node &n) {
  n.set(0, n.select(n.operand(0), n.operand(1), n.operand(2)));
}

static void clip(Node &n) {
  Value x = n.operand(0), low, high;
  if (!x)
    return;
  if (n.version < 11) {
    // Infinities are beyond the defaults, too.
    constexpr double largest = std::numeric_limits<float>::max();
    low = n.scalar(n.real("min", -largest), elementOf(x));
    high = n.scalar(n.real("max", largest), elementOf(x));
  } else {
    low = n.optionalOperand(1);
    high = n.optionalOperand(2);
  }
  if (low)
    x = n.maximum(x, low);
  if (high)
    x = n.minimum(x, high);
  n.set(0, x);
}

static void identity(Node &n) {
  if (n.require(n.has(0), "input 0 is missing"))
    n.set(0, n.input(0));
}

llvm::ArrayRef<Operator> aicc::onnx::elementwiseOperators() {
  using C = gr::Comparison;
  static constexpr Operator table[] = {
      {"", "Abs", 1, unary<gr::AbsOp>},
      {"", "Neg", 1, unary<gr::NegateOp>},
      {"", "Exp", 1, floatUnary<gr::ExpOp>},
      {"", "Log", 1, floatUnary<gr::LogOp>},
      {"", "Sqrt", 1, floatUnary<gr::SqrtOp>},
      {"", "Reciprocal", 1, floatUnary<gr::ReciprocalOp>},
      {"", "Sin", 7, floatUnary<gr::SinOp>},
      {"", "Cos", 7, floatUnary<gr::CosOp>},
      {"", "Tan", 7, floatUnary<gr::TanOp>},
      {"", "Asin", 7, floatUnary<gr::AsinOp>},
      {"", "Acos", 7, floatUnary<gr::AcosOp>},
      {"", "Atan", 7, floatUnary<gr::AtanOp>},
      {"", "Sinh", 9, floatUnary<gr::SinhOp>},
      {"", "Cosh", 9, floatUnary<gr::CoshOp>},
      {"", "Asinh", 9, floatUnary<gr::AsinhOp>},
      {"", "Acosh", 9, floatUnary<gr::AcoshOp>},
      {"", "Atanh", 9, floatUnary<gr::AtanhOp>},
      {"", "Tanh", 1, floatUnary<gr::TanhOp>},
      {"", "Erf", 9, floatUnary<gr::ErfOp>},
      {"", "Sigmoid", 1, floatUnary<gr::SigmoidOp>},
      {"", "Floor", 1, floatUnary<gr::FloorOp>},
      {"", "Ceil", 1, floatUnary<gr::CeilOp>},
      {"", "Round", 11, floatUnary<gr::RoundEvenOp>},
      {"", "Sign", 9, unary<gr::SignOp>},
      {"", "Not", 1, unary<gr::NotOp>},
      {"", "BitwiseNot", 18, unary<gr::NotOp>},
      {"", "IsNaN", 9, isNan},
      {"", "IsInf", 10, isInfinite},
      {"", "Add", 1, binary<gr::AddOp>},
      {"", "Sub", 1, binary<gr::SubtractOp>},
      {"", "Mul", 1, binary<gr::MultiplyOp>},
      {"", "Div", 1, binary<gr::DivideOp>},
      {"", "Pow", 1, power},
      {"", "Mod", 10, modulo},
      {"", "And", 1, logical<gr::AndOp>},
      {"", "Or", 1, logical<gr::OrOp>},
      {"", "Xor", 1, logical<gr::XorOp>},
      {"", "BitwiseAnd", 18, bitwise<gr::AndOp>},
      {"", "BitwiseOr", 18, bitwise<gr::OrOp>},
      {"", "BitwiseXor", 18, bitwise<gr::XorOp>},
      {"", "BitShift", 11, shift},
      {"", "Equal", 1, comparison<C::equal>},
      {"", "Less", 1, comparison<C::less>},
      {"", "LessOrEqual", 12, comparison<C::less_equal>},
      {"", "Greater", 1, comparison<C::greater>},
      {"", "GreaterOrEqual", 12, comparison<C::greater_equal>},
      {"", "Max", 1, variadic<gr::MaximumOp>},
      {"", "Min", 1, variadic<gr::MinimumOp>},
      {"", "Sum", 1, variadic<gr::AddOp>},
      {"", "Mean", 1, mean},
      {"", "Cast", 1, castByName},
      {"", "Cast", 6, cast},
      {"", "BitCast", 26, bitCast},
      {"", "CastLike", 15, castLike},
      {"", "Where", 9, where},
      {"", "Clip", 1, clip},
      {"", "Identity", 1, identity, true},
  };
  return table;
}
