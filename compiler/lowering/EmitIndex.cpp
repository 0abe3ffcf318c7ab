//===- EmitIndex.cpp - index arithmetic of emitted code -------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/lowering/EmitIndex.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace aicc::lowering {

Linear Linear::operator+(const Linear &other) const {
  assert(!(lanes && other.lanes) && "add per-lane indices as vectors");
  Linear sum = *this;
  for (auto [value, coefficient] : other.terms) {
    auto it = llvm::find_if(sum.terms,
                            [&](auto &term) { return term.first == value; });
    if (it == sum.terms.end())
      sum.terms.push_back({value, coefficient});
    else if ((it->second += coefficient) == 0)
      sum.terms.erase(it);
  }
  sum.constant += other.constant;
  sum.stride += other.stride;
  if (!sum.lanes)
    sum.lanes = other.lanes;
  sum.padded |= other.padded;
  return sum;
}

Linear Linear::operator*(int64_t factor) const {
  assert((!lanes || factor == 1) && "scale per-lane indices as vectors");
  if (factor == 0)
    return Linear();
  Linear product = *this;
  for (auto &term : product.terms)
    term.second *= factor;
  product.constant *= factor;
  product.stride *= factor;
  return product;
}

bool Linear::operator==(const Linear &other) const {
  if (constant != other.constant || stride != other.stride ||
      lanes != other.lanes || terms.size() != other.terms.size())
    return false;
  return llvm::all_of(
      terms, [&](auto &term) { return llvm::is_contained(other.terms, term); });
}

static constexpr auto noWrap = arith::IntegerOverflowFlags::nsw;

Value IndexEmitter::constant(int64_t value) {
  return arith::ConstantIntOp::create(b, loc, value, 64);
}

static unsigned depthOf(Value value) {
  unsigned depth = 0;
  for (Region *r = value.getParentRegion(); r; r = r->getParentRegion())
    ++depth;
  return depth;
}

Value IndexEmitter::base(const Linear &linear) {
  // Outer values first: the partial sums that a loop doesn't change are then
  // single values, which leave it.
  SmallVector<std::pair<Value, int64_t>, 3> terms;
  for (auto term : linear.terms)
    terms.insert(llvm::upper_bound(terms, term,
                                   [](auto &x, auto &y) {
                                     return depthOf(x.first) < depthOf(y.first);
                                   }),
                 term);
  Value sum;
  for (auto [value, coefficient] : terms) {
    Value term = value;
    if (coefficient != 1)
      term =
          arith::MulIOp::create(b, loc, value, constant(coefficient), noWrap);
    sum = sum ? arith::AddIOp::create(b, loc, sum, term, noWrap).getResult()
              : term;
  }
  if (!sum)
    return constant(linear.constant);
  if (linear.constant)
    sum = arith::AddIOp::create(b, loc, sum, constant(linear.constant), noWrap);
  return sum;
}

Value IndexEmitter::vector(const Linear &linear) {
  auto type = VectorType::get({width}, b.getI64Type());
  Linear scalar = linear;
  scalar.lanes = {};
  Value sum = linear.lanes;
  if (!sum || !scalar.terms.empty() || scalar.constant) {
    Value splat = vector::BroadcastOp::create(b, loc, type, base(scalar));
    sum = sum ? arith::AddIOp::create(b, loc, sum, splat).getResult() : splat;
  }
  if (linear.stride) {
    SmallVector<int64_t> steps;
    for (unsigned lane = 0; lane < width; ++lane)
      steps.push_back(lane * linear.stride);
    Value step = arith::ConstantOp::create(
        b, loc, DenseElementsAttr::get(type, ArrayRef<int64_t>(steps)));
    sum = arith::AddIOp::create(b, loc, sum, step);
  }
  return sum;
}

Linear IndexEmitter::multiply(const Linear &x, const Linear &y) {
  if (y.isConstant() && !x.lanes)
    return x * y.constant;
  if (x.isConstant() && !y.lanes)
    return y * x.constant;
  Linear result;
  if (x.isUniform() && y.isUniform()) {
    result =
        Linear::of(arith::MulIOp::create(b, loc, base(x), base(y), noWrap));
  } else {
    result.lanes = arith::MulIOp::create(b, loc, vector(x), vector(y));
  }
  result.padded = x.padded || y.padded;
  return result;
}

bool IndexEmitter::split(const Linear &a, int64_t divisor, Linear &quotient,
                         Linear &remainder) const {
  if (divisor <= 0 || a.lanes)
    return false;
  quotient = remainder = Linear();
  for (auto [value, coefficient] : a.terms) {
    if (coefficient % divisor)
      return false;
    quotient.terms.push_back({value, coefficient / divisor});
  }
  int64_t first = llvm::mod(a.constant, divisor);
  int64_t last = first + a.stride * (int64_t(width) - 1);
  if (a.stride % divisor == 0) {
    quotient.stride = a.stride / divisor;
    last = first;
  } else {
    remainder.stride = a.stride;
  }
  if (last < 0 || last >= divisor)
    return false;
  quotient.constant = llvm::divideFloorSigned(a.constant, divisor);
  remainder.constant = first;
  quotient.padded = remainder.padded = true;
  return true;
}

Linear IndexEmitter::floorDivide(const Linear &x, const Linear &y) {
  Linear quotient, remainder;
  if (y.isConstant() && y.constant == 1)
    return x;
  if (y.isConstant() && split(x, y.constant, quotient, remainder))
    return quotient;
  if (x.isUniform() && y.isUniform())
    return Linear::of(arith::FloorDivSIOp::create(b, loc, base(x), base(y)));
  Linear result;
  result.lanes = arith::FloorDivSIOp::create(b, loc, vector(x), vector(y));
  return result;
}

Linear IndexEmitter::ceilDivide(const Linear &x, const Linear &y) {
  if (y.isConstant() && x.isConstant())
    return Linear(llvm::divideCeilSigned(x.constant, y.constant));
  Linear one(1);
  Linear minusOne(-1);
  Linear bumped = x.lanes ? Linear() : x + y + minusOne;
  if (x.lanes)
    bumped.lanes =
        arith::AddIOp::create(b, loc, vector(x), vector(y + minusOne));
  return floorDivide(bumped, y);
}

Linear IndexEmitter::modulo(const Linear &x, const Linear &y) {
  Linear quotient, remainder;
  if (y.isConstant() && split(x, y.constant, quotient, remainder))
    return remainder;
  // The sign of the divisor, which is positive: x - floor(x / y) * y.
  quotient = floorDivide(x, y);
  if (x.isUniform() && y.isUniform()) {
    Value product =
        arith::MulIOp::create(b, loc, base(quotient), base(y), noWrap);
    return Linear::of(arith::SubIOp::create(b, loc, base(x), product, noWrap));
  }
  Linear result;
  Value product = arith::MulIOp::create(b, loc, vector(quotient), vector(y));
  result.lanes = arith::SubIOp::create(b, loc, vector(x), product);
  return result;
}

Linear IndexEmitter::apply(AffineExpr expr, ArrayRef<Linear> dims,
                           ArrayRef<Linear> symbols) {
  if (auto dim = dyn_cast<AffineDimExpr>(expr))
    return dims[dim.getPosition()];
  if (auto symbol = dyn_cast<AffineSymbolExpr>(expr))
    return symbols[symbol.getPosition()];
  if (auto constant = dyn_cast<AffineConstantExpr>(expr))
    return Linear(constant.getValue());
  auto binary = cast<AffineBinaryOpExpr>(expr);
  Linear lhs = apply(binary.getLHS(), dims, symbols);
  Linear rhs = apply(binary.getRHS(), dims, symbols);
  switch (binary.getKind()) {
  case AffineExprKind::Add:
    if (lhs.lanes && rhs.lanes) {
      Linear sum;
      sum.lanes = arith::AddIOp::create(b, loc, vector(lhs), vector(rhs));
      return sum;
    }
    return lhs + rhs;
  case AffineExprKind::Mul:
    return multiply(lhs, rhs);
  case AffineExprKind::FloorDiv:
    return floorDivide(lhs, rhs);
  case AffineExprKind::CeilDiv:
    return ceilDivide(lhs, rhs);
  case AffineExprKind::Mod:
    return modulo(lhs, rhs);
  default:
    llvm_unreachable("not a binary expression");
  }
}

} // namespace aicc::lowering
