//===- Dims.cpp - dimensions as expressions over symbols ------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/graph/Dims.h"

#include "mlir/IR/Value.h"
#include "llvm/Support/MathExtras.h"

#include <limits>
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using llvm::ArrayRef;
using llvm::SmallVector;

namespace aicc::graph {

AffineMap makeMap(ArrayRef<AffineExpr> exprs, MLIRContext *context) {
  unsigned symbols = 0;
  for (AffineExpr expr : exprs)
    expr.walk([&](AffineExpr e) {
      if (auto symbol = dyn_cast<AffineSymbolExpr>(e))
        symbols = std::max(symbols, symbol.getPosition() + 1);
    });
  return AffineMap::get(0, symbols, exprs, context);
}

AffineMap makeMap(ArrayRef<int64_t> values, MLIRContext *context) {
  SmallVector<AffineExpr> exprs;
  for (int64_t value : values)
    exprs.push_back(getAffineConstantExpr(value, context));
  return makeMap(exprs, context);
}

std::optional<int64_t> constantOf(AffineExpr expr) {
  if (auto constant = dyn_cast_or_null<AffineConstantExpr>(expr))
    return constant.getValue();
  return std::nullopt;
}

bool isConstant(AffineExpr expr, int64_t value) {
  return constantOf(expr) == value;
}

/// Splits `expr` into a sum of products `coefficient * factors`, factors being
/// symbols or quotients; the canonical form sorts both.
using Product = std::pair<SmallVector<AffineExpr, 4>, int64_t>;

static bool lessExpr(AffineExpr a, AffineExpr b) {
  auto x = dyn_cast<AffineSymbolExpr>(a), y = dyn_cast<AffineSymbolExpr>(b);
  if (x && y)
    return x.getPosition() < y.getPosition();
  if (static_cast<bool>(x) != static_cast<bool>(y))
    return static_cast<bool>(x);
  auto p = dyn_cast<AffineBinaryOpExpr>(a), q = dyn_cast<AffineBinaryOpExpr>(b);
  if (!p || !q || p == q)
    return false;
  if (p.getKind() != q.getKind())
    return p.getKind() < q.getKind();
  if (p.getLHS() != q.getLHS())
    return lessExpr(p.getLHS(), q.getLHS());
  auto c = constantOf(p.getRHS()), d = constantOf(q.getRHS());
  if (c && d)
    return *c < *d;
  return lessExpr(p.getRHS(), q.getRHS());
}

static bool lessFactors(ArrayRef<AffineExpr> a, ArrayRef<AffineExpr> b) {
  if (a.size() != b.size())
    return a.size() > b.size();
  for (auto [x, y] : llvm::zip(a, b))
    if (x != y)
      return lessExpr(x, y);
  return false;
}

static void addProduct(SmallVectorImpl<Product> &sum, Product product) {
  llvm::sort(product.first, lessExpr);
  for (Product &have : sum)
    if (have.first == product.first) {
      if (llvm::AddOverflow(have.second, product.second, have.second))
        have.second = std::numeric_limits<int64_t>::max();
      return;
    }
  sum.push_back(std::move(product));
}

static SmallVector<Product> expand(AffineExpr expr) {
  SmallVector<Product> sum;
  if (auto constant = constantOf(expr)) {
    sum.push_back({{}, *constant});
    return sum;
  }
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  if (binary && binary.getKind() == AffineExprKind::Add) {
    sum = expand(binary.getLHS());
    for (Product &p : expand(binary.getRHS()))
      addProduct(sum, p);
    return sum;
  }
  if (binary && binary.getKind() == AffineExprKind::Mul) {
    SmallVector<Product> lhs = expand(binary.getLHS());
    SmallVector<Product> rhs = expand(binary.getRHS());
    for (Product &a : lhs)
      for (Product &b : rhs) {
        Product p = a;
        p.first.append(b.first);
        // Beyond 64 bits no size is valid, whatever it is exactly.
        if (llvm::MulOverflow(p.second, b.second, p.second))
          p.second = std::numeric_limits<int64_t>::max();
        addProduct(sum, p);
      }
    return sum;
  }
  if (binary) {
    AffineExpr lhs = simplify(binary.getLHS());
    AffineExpr rhs = simplify(binary.getRHS());
    auto divisor = constantOf(rhs);
    SmallVector<Product> parts = expand(lhs);
    // (9*s0 + s1 + 4) floordiv 4 = 2*s0 + 1 + (s0 + s1) floordiv 4: what the
    // divisor divides leaves the quotient, so that equal sizes look equal.
    if (divisor && *divisor > 0) {
      bool isMod = binary.getKind() == AffineExprKind::Mod;
      AffineExpr rest = getAffineConstantExpr(0, expr.getContext());
      for (Product &p : parts) {
        int64_t left = llvm::mod(p.second, *divisor);
        Product whole = {p.first, llvm::divideFloorSigned(p.second, *divisor)};
        if (!isMod && whole.second != 0)
          addProduct(sum, whole);
        if (left == 0)
          continue;
        AffineExpr term = getAffineConstantExpr(left, expr.getContext());
        for (AffineExpr factor : p.first)
          term = term * factor;
        rest = rest + term;
      }
      lhs = simplify(rest);
      // (s0 floordiv 2) floordiv 3 = s0 floordiv 6.
      auto inner = dyn_cast<AffineBinaryOpExpr>(lhs);
      if (inner && inner.getKind() == binary.getKind() && !isMod) {
        int64_t product;
        auto by = constantOf(inner.getRHS());
        if (by && *by > 0 && !llvm::MulOverflow(*by, *divisor, product)) {
          lhs = inner.getLHS();
          rhs = getAffineConstantExpr(product, expr.getContext());
        }
      }
      AffineExpr quotient = getAffineBinaryOpExpr(binary.getKind(), lhs, rhs);
      if (auto folded = constantOf(quotient))
        addProduct(sum, {{}, *folded});
      else
        addProduct(sum, {{quotient}, 1});
      return sum;
    }
    // (s0 * s1 * 8) floordiv s1 = s0 * 8.
    if (binary.getKind() != AffineExprKind::Mod && !divisor) {
      SmallVector<Product> by = expand(rhs);
      if (parts.size() == 1 && by.size() == 1 && by[0].second != 0 &&
          parts[0].second % by[0].second == 0) {
        Product p = parts[0];
        p.second /= by[0].second;
        bool divides = true;
        for (AffineExpr factor : by[0].first) {
          auto it = llvm::find(p.first, factor);
          divides &= it != p.first.end();
          if (!divides)
            break;
          p.first.erase(it);
        }
        if (divides)
          return {p};
      }
    }
    sum.push_back({{getAffineBinaryOpExpr(binary.getKind(), lhs, rhs)}, 1});
    if (auto folded = constantOf(sum[0].first[0]))
      return {{{}, *folded}};
    return sum;
  }
  sum.push_back({{expr}, 1});
  return sum;
}

AffineExpr simplify(AffineExpr expr) {
  if (isa<AffineConstantExpr, AffineSymbolExpr>(expr))
    return expr;
  SmallVector<Product> sum = expand(expr);
  llvm::sort(sum, [](const Product &a, const Product &b) {
    return lessFactors(a.first, b.first);
  });
  AffineExpr result;
  for (Product &p : sum) {
    if (p.second == 0)
      continue;
    AffineExpr term;
    for (AffineExpr factor : p.first)
      term = term ? term * factor : factor;
    AffineExpr c = getAffineConstantExpr(p.second, expr.getContext());
    term = !term ? c : p.second == 1 ? term : term * c;
    result = result ? result + term : term;
  }
  return result ? result : getAffineConstantExpr(0, expr.getContext());
}

bool equal(AffineExpr a, AffineExpr b) {
  return a && b && (a == b || simplify(a - b) == 0);
}

bool different(AffineExpr a, AffineExpr b) {
  if (!a || !b)
    return false;
  auto gap = constantOf(simplify(a - b));
  return gap && *gap != 0;
}

AffineExpr unify(AffineExpr a, AffineExpr b) {
  if (!a || (b && !constantOf(a) && constantOf(b)))
    return b;
  return a;
}

RankedTensorType makeType(ArrayRef<AffineExpr> dims, Type element) {
  SmallVector<int64_t> shape;
  SmallVector<AffineExpr> exprs;
  bool known = true;
  for (AffineExpr dim : dims) {
    AffineExpr expr = dim ? simplify(dim) : dim;
    known &= static_cast<bool>(expr);
    auto constant = constantOf(expr);
    if (constant && *constant < 0) {
      constant = 0;
      expr = getAffineConstantExpr(0, element.getContext());
    }
    exprs.push_back(expr);
    shape.push_back(constant.value_or(ShapedType::kDynamic));
  }
  Attribute encoding;
  if (known && llvm::is_contained(shape, ShapedType::kDynamic))
    encoding = AffineMapAttr::get(makeMap(exprs, element.getContext()));
  return RankedTensorType::get(shape, element, encoding);
}

AffineExpr dimOf(RankedTensorType type, unsigned index) {
  if (!type.isDynamicDim(index))
    return getAffineConstantExpr(type.getDimSize(index), type.getContext());
  auto map = dyn_cast_or_null<AffineMapAttr>(type.getEncoding());
  if (!map || map.getValue().getNumResults() != type.getRank())
    return {};
  return map.getValue().getResult(index);
}

SmallVector<AffineExpr> dimsOf(RankedTensorType type) {
  SmallVector<AffineExpr> dims;
  for (unsigned i = 0; i < type.getRank(); ++i)
    dims.push_back(dimOf(type, i));
  return dims;
}

SmallVector<AffineExpr> dimsOf(Value value) {
  return dimsOf(cast<RankedTensorType>(value.getType()));
}

RankedTensorType withElement(RankedTensorType type, Type element) {
  return RankedTensorType::get(type.getShape(), element, type.getEncoding());
}

RankedTensorType withoutEncoding(RankedTensorType type) {
  return RankedTensorType::get(type.getShape(), type.getElementType());
}

AffineExpr numElements(RankedTensorType type) {
  AffineExpr count = getAffineConstantExpr(1, type.getContext());
  for (AffineExpr dim : dimsOf(type)) {
    if (!dim)
      return {};
    count = count * dim;
  }
  return simplify(count);
}

std::string toString(AffineExpr expr) {
  if (!expr)
    return "?";
  std::string text;
  llvm::raw_string_ostream(text) << expr;
  return text;
}

std::optional<int64_t> evaluate(AffineExpr expr, ArrayRef<int64_t> symbols) {
  if (auto constant = constantOf(expr))
    return constant;
  if (auto symbol = dyn_cast<AffineSymbolExpr>(expr)) {
    if (symbol.getPosition() >= symbols.size())
      return std::nullopt;
    return symbols[symbol.getPosition()];
  }
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!binary)
    return std::nullopt;
  auto lhs = evaluate(binary.getLHS(), symbols);
  auto rhs = evaluate(binary.getRHS(), symbols);
  if (!lhs || !rhs)
    return std::nullopt;
  int64_t result;
  switch (binary.getKind()) {
  case AffineExprKind::Add:
    return llvm::AddOverflow(*lhs, *rhs, result) ? std::nullopt
                                                 : std::optional(result);
  case AffineExprKind::Mul:
    return llvm::MulOverflow(*lhs, *rhs, result) ? std::nullopt
                                                 : std::optional(result);
  case AffineExprKind::FloorDiv:
    return *rhs <= 0 ? std::nullopt
                     : std::optional(llvm::divideFloorSigned(*lhs, *rhs));
  case AffineExprKind::CeilDiv:
    return *rhs <= 0 ? std::nullopt
                     : std::optional(llvm::divideCeilSigned(*lhs, *rhs));
  case AffineExprKind::Mod:
    return *rhs <= 0 ? std::nullopt : std::optional(llvm::mod(*lhs, *rhs));
  default:
    return std::nullopt;
  }
}

} // namespace aicc::graph
