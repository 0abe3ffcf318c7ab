//===- Symbols.cpp - dimensions of inputs that are not numbers ------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/Importer.h"

#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace aicc::onnx;
using llvm::StringRef;

unsigned Symbols::declare(StringRef name) {
  if (auto have = find(name))
    return *have;
  declared_.push_back(name.str());
  return declared_.size() - 1;
}

std::optional<unsigned> Symbols::find(StringRef name) const {
  auto it = llvm::find(declared_, name);
  if (it == declared_.end())
    return std::nullopt;
  return it - declared_.begin();
}

void Symbols::substitute(unsigned symbol, AffineExpr value) {
  substitutions_[symbol] = value;
}

void Symbols::finish() {
  finals_.assign(declared_.size(), {});
  finalNames_.clear();
  addedNames_.clear();
  declaredOf_.clear();
  for (unsigned i = 0; i < declared_.size(); ++i) {
    if (substitutions_.count(i))
      continue;
    finals_[i] = getAffineSymbolExpr(finalNames_.size(), context_);
    finalNames_.push_back(declared_[i]);
    declaredOf_.push_back(i);
  }
  // Substitutions never form a cycle: each was made of symbols that were left.
  std::function<AffineExpr(unsigned)> final = [&](unsigned i) {
    if (finals_[i])
      return finals_[i];
    AffineExpr value = substitutions_[i];
    value.walk([&](AffineExpr e) {
      if (auto symbol = dyn_cast<AffineSymbolExpr>(e))
        final(symbol.getPosition());
    });
    return finals_[i] = value.replaceSymbols(finals_);
  };
  for (unsigned i = 0; i < declared_.size(); ++i)
    final(i);
}

AffineExpr Symbols::resolve(AffineExpr declared) const {
  return graph::simplify(declared.replaceSymbols(finals_));
}

AffineExpr Symbols::toDeclared(AffineExpr final) const {
  Dims symbols;
  for (unsigned declared : declaredOf_)
    symbols.push_back(getAffineSymbolExpr(declared, context_));
  return final.replaceSymbols(symbols);
}

unsigned Symbols::add(StringRef name) {
  addedNames_.push_back(name.str());
  return finalNames_.size() + addedNames_.size() - 1;
}

bool Symbols::runs(AffineExpr expr) const {
  bool found = false;
  expr.walk([&](AffineExpr e) {
    auto symbol = dyn_cast<AffineSymbolExpr>(e);
    found |= symbol && symbol.getPosition() >= finalNames_.size();
  });
  return found;
}

bool Symbols::unify(AffineExpr a, AffineExpr b) {
  AffineExpr difference = graph::simplify(a - b);
  // The symbol declared last gives way, so that "batch" survives and not the
  // name of some later input's dimension.
  for (unsigned i = declaredOf_.size(); i-- > 0;) {
    AffineExpr symbol = getAffineSymbolExpr(i, context_);
    bool present = false;
    difference.walk([&](AffineExpr e) { present |= e == symbol; });
    if (!present)
      continue;
    Dims all;
    for (unsigned k = 0; k < declaredOf_.size(); ++k)
      all.push_back(getAffineSymbolExpr(k, context_));
    Dims zero = all;
    zero[i] = getAffineConstantExpr(0, context_);
    Dims one = all;
    one[i] = getAffineConstantExpr(1, context_);
    AffineExpr rest = graph::simplify(difference.replaceSymbols(zero));
    // The difference is rest + factor * symbol, and the symbol -rest / factor.
    auto factor = graph::constantOf(
        graph::simplify(difference.replaceSymbols(one) - rest));
    if (!factor || *factor == 0 ||
        *factor == std::numeric_limits<int64_t>::min() ||
        !graph::equal(difference, rest + symbol * *factor))
      continue;
    AffineExpr above = graph::simplify(*factor < 0 ? rest : rest * -1);
    int64_t below = std::abs(*factor);
    AffineExpr value = graph::simplify(above.floorDiv(below));
    if (!graph::equal(value * below, above))
      continue;
    if (auto constant = graph::constantOf(value); constant && *constant < 0)
      continue;
    substitute(declaredOf_[i], toDeclared(value));
    return true;
  }
  return false;
}

/// Prints with the model's names instead of s0, s1, ...
static void printExpr(AffineExpr expr, const std::vector<std::string> &names,
                      llvm::raw_ostream &os, bool inner) {
  if (auto symbol = dyn_cast<AffineSymbolExpr>(expr)) {
    unsigned i = symbol.getPosition();
    if (i < names.size())
      os << names[i];
    else
      os << "s" << i;
    return;
  }
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!binary) {
    os << expr;
    return;
  }
  const char *op = " + ";
  switch (binary.getKind()) {
  case AffineExprKind::Mul:
    op = " * ";
    break;
  case AffineExprKind::FloorDiv:
    op = " floordiv ";
    break;
  case AffineExprKind::CeilDiv:
    op = " ceildiv ";
    break;
  case AffineExprKind::Mod:
    op = " mod ";
    break;
  default:
    break;
  }
  if (inner)
    os << "(";
  printExpr(binary.getLHS(), names, os, true);
  os << op;
  printExpr(binary.getRHS(), names, os, true);
  if (inner)
    os << ")";
}

std::string Symbols::print(AffineExpr final) const {
  std::string text;
  llvm::raw_string_ostream os(text);
  std::vector<std::string> names = finalNames_;
  names.insert(names.end(), addedNames_.begin(), addedNames_.end());
  if (final)
    printExpr(final, names, os, false);
  else
    os << "?";
  return text;
}
