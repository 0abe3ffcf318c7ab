//===- Expressions.cpp - integer expressions over a program's symbols -----===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Expressions.h"

#include <algorithm>

using namespace aicc;
using package::ExprOp;

static bool combine(ExprOp op, int64_t a, int64_t b, int64_t &result) {
  switch (op) {
  case ExprOp::add:
    return !__builtin_add_overflow(a, b, &result);
  case ExprOp::mul:
    return !__builtin_mul_overflow(a, b, &result);
  case ExprOp::floordiv:
    if (b <= 0)
      return false;
    result = a / b - (a % b < 0);
    return true;
  case ExprOp::ceildiv:
    if (b <= 0)
      return false;
    result = a / b + (a % b > 0);
    return true;
  case ExprOp::mod:
    if (b <= 0)
      return false;
    result = a % b + (a % b < 0 ? b : 0);
    return true;
  case ExprOp::max:
    result = std::max(a, b);
    return true;
  case ExprOp::min:
    result = std::min(a, b);
    return true;
  case ExprOp::constant:
  case ExprOp::symbol:
    break;
  }
  return false;
}

bool Expressions::evaluateNode(size_t index, std::span<const int64_t> symbols,
                               int64_t *values) const {
  const Node &node = nodes[index];
  switch (node.op()) {
  case ExprOp::constant:
    values[index] = node.value();
    return true;
  case ExprOp::symbol:
    values[index] = symbols[node.value()];
    return true;
  default:
    return combine(node.op(), values[node.lhs()], values[node.rhs()],
                   values[index]);
  }
}

std::vector<bool> Expressions::dependsOnSymbolsFrom(uint32_t begin) const {
  std::vector<bool> depends(nodes.size());
  for (size_t i = 0; i < nodes.size(); ++i) {
    const Node &node = nodes[i];
    if (node.op() == ExprOp::symbol)
      depends[i] = node.value() >= int64_t(begin);
    else if (node.op() != ExprOp::constant)
      depends[i] = depends[node.lhs()] || depends[node.rhs()];
  }
  return depends;
}

// Marks what `index` is made of, by one sweep downwards: linear however much
// the expressions share.
static std::vector<bool> reachable(const Expressions &expressions,
                                   size_t index) {
  std::vector<bool> reached(index + 1);
  reached[index] = true;
  for (size_t i = index + 1; i-- > 0;) {
    const Expressions::Node &node = expressions.nodes[i];
    if (!reached[i] || node.op() == ExprOp::constant ||
        node.op() == ExprOp::symbol)
      continue;
    reached[node.lhs()] = true;
    reached[node.rhs()] = true;
  }
  return reached;
}

std::vector<bool>
Expressions::computable(const std::vector<bool> &known) const {
  std::vector<bool> result(nodes.size());
  for (size_t i = 0; i < nodes.size(); ++i) {
    const Node &node = nodes[i];
    if (node.op() == ExprOp::symbol)
      result[i] = known[node.value()];
    else
      result[i] = node.op() == ExprOp::constant ||
                  (result[node.lhs()] && result[node.rhs()]);
  }
  return result;
}

std::vector<uint32_t> Expressions::symbolsOf(size_t index) const {
  std::vector<uint32_t> symbols;
  std::vector<bool> reached = reachable(*this, index);
  for (size_t i = 0; i <= index; ++i)
    if (reached[i] && nodes[i].op() == ExprOp::symbol)
      symbols.push_back(uint32_t(nodes[i].value()));
  std::sort(symbols.begin(), symbols.end());
  symbols.erase(std::unique(symbols.begin(), symbols.end()), symbols.end());
  return symbols;
}

Availability::Availability(const Expressions &expressions, uint32_t symbolCount)
    : known(symbolCount), missing(expressions.size()),
      firstUser(expressions.size() + 1), nodesOf(symbolCount),
      stamps(expressions.size()) {
  auto eachOperand = [&](uint32_t index, auto visit) {
    const Expressions::Node &node = expressions.nodes[index];
    if (node.op() == ExprOp::constant || node.op() == ExprOp::symbol)
      return;
    visit(node.lhs());
    visit(node.rhs());
  };
  const uint32_t count = uint32_t(expressions.size());
  for (uint32_t i = 0; i < count; ++i) {
    if (expressions.nodes[i].op() == ExprOp::symbol) {
      nodesOf[expressions.nodes[i].value()].push_back(i);
      missing[i] = 1;
    }
    eachOperand(i, [&](uint32_t operand) {
      missing[i] += missing[operand] != 0;
      ++firstUser[operand + 1];
    });
  }
  for (uint32_t i = 0; i < count; ++i)
    firstUser[i + 1] += firstUser[i];
  users.resize(firstUser[count]);
  std::vector<uint32_t> next(firstUser.begin(), firstUser.end() - 1);
  for (uint32_t i = 0; i < count; ++i)
    eachOperand(i, [&](uint32_t operand) { users[next[operand]++] = i; });
}

void Availability::bind(uint32_t symbol) {
  if (known[symbol])
    return;
  known[symbol] = true;
  trail.push_back(symbol);
  for (uint32_t node : nodesOf[symbol]) {
    missing[node] = 0;
    stack.push_back(node);
  }
  while (!stack.empty()) {
    const uint32_t node = stack.back();
    stack.pop_back();
    for (uint32_t user : usersOf(node))
      if (--missing[user] == 0)
        stack.push_back(user);
  }
}

void Availability::rewind(size_t mark) {
  while (trail.size() > mark) {
    const uint32_t symbol = trail.back();
    trail.pop_back();
    known[symbol] = false;
    for (uint32_t node : nodesOf[symbol]) {
      missing[node] = 1;
      stack.push_back(node);
    }
    while (!stack.empty()) {
      const uint32_t node = stack.back();
      stack.pop_back();
      for (uint32_t user : usersOf(node))
        if (missing[user]++ == 0)
          stack.push_back(user);
    }
  }
}

std::vector<uint32_t> Availability::dependents(uint32_t symbol) {
  std::vector<uint32_t> result;
  ++stamp;
  auto visit = [&](uint32_t node) {
    if (missing[node] == 0 && stamps[node] != stamp) {
      stamps[node] = stamp;
      result.push_back(node);
    }
  };
  for (uint32_t node : nodesOf[symbol])
    visit(node);
  for (size_t i = 0; i < result.size(); ++i)
    for (uint32_t user : usersOf(result[i]))
      visit(user);
  std::sort(result.begin(), result.end());
  return result;
}

std::optional<std::pair<uint32_t, int64_t>>
Expressions::solve(size_t index, int64_t value,
                   std::span<const std::optional<int64_t>> known) const {
  // Walks from the root towards the unknown symbol; every step undoes an
  // addition or a multiplication by the side that is known.
  while (true) {
    const Node &node = nodes[index];
    if (node.op() == ExprOp::symbol) {
      if (known[node.value()])
        return std::nullopt;
      return std::pair(uint32_t(node.value()), value);
    }
    if (node.op() != ExprOp::add && node.op() != ExprOp::mul)
      return std::nullopt;
    auto valueOf = [&](uint32_t operand) -> std::optional<int64_t> {
      std::vector<bool> reached = reachable(*this, operand);
      std::vector<int64_t> values(operand + 1), symbols(known.size());
      for (size_t i = 0; i <= operand; ++i) {
        if (!reached[i])
          continue;
        if (nodes[i].op() == ExprOp::symbol) {
          if (!known[nodes[i].value()])
            return std::nullopt;
          symbols[nodes[i].value()] = *known[nodes[i].value()];
        }
        if (!evaluateNode(i, symbols, values.data()))
          return std::nullopt;
      }
      return values[operand];
    };
    uint32_t unknown = node.lhs();
    std::optional<int64_t> other = valueOf(node.rhs());
    if (!other) {
      unknown = node.rhs();
      other = valueOf(node.lhs());
    }
    if (!other)
      return std::nullopt;
    if (node.op() == ExprOp::add) {
      if (__builtin_sub_overflow(value, *other, &value))
        return std::nullopt;
    } else {
      // -1 apart, because the smallest integer can't be divided by it.
      if (*other == 0 || *other == -1 || value % *other != 0)
        return std::nullopt;
      value /= *other;
    }
    index = unknown;
  }
}

namespace {

constexpr size_t printLimit = 160;
// A damaged package may hold a chain as long as the file.
constexpr unsigned printDepth = 40;

void printNode(const Expressions &expressions, size_t index, int outer,
               std::span<const std::string> names, std::string &text,
               unsigned depth = 0) {
  if (text.size() > printLimit)
    return;
  if (depth == printDepth) {
    text += "...";
    return;
  }
  const Expressions::Node &node = expressions.nodes[index];
  if (node.op() == ExprOp::constant) {
    text += std::to_string(node.value());
    return;
  }
  if (node.op() == ExprOp::symbol) {
    if (size_t(node.value()) < names.size())
      text += names[node.value()];
    else
      text += "?" + std::to_string(node.value() - names.size());
    return;
  }
  if (node.op() == ExprOp::max || node.op() == ExprOp::min) {
    text += node.op() == ExprOp::max ? "max(" : "min(";
    printNode(expressions, node.lhs(), 0, names, text, depth + 1);
    text += ", ";
    printNode(expressions, node.rhs(), 0, names, text, depth + 1);
    text += ")";
    return;
  }
  const bool sum = node.op() == ExprOp::add;
  const int precedence = sum ? 1 : 2;
  const char *sign = sum                             ? " + "
                     : node.op() == ExprOp::mul      ? " * "
                     : node.op() == ExprOp::floordiv ? " floordiv "
                     : node.op() == ExprOp::ceildiv  ? " ceildiv "
                                                     : " mod ";
  if (precedence < outer)
    text += "(";
  printNode(expressions, node.lhs(), precedence, names, text, depth + 1);
  text += sign;
  // The right operand of a division needs its brackets.
  printNode(expressions, node.rhs(), precedence + (sum ? 0 : 1), names, text,
            depth + 1);
  if (precedence < outer)
    text += ")";
}

} // namespace

std::string Expressions::print(size_t index,
                               std::span<const std::string> names) const {
  std::string text;
  printNode(*this, index, 0, names, text);
  if (text.size() > printLimit) {
    text.resize(printLimit);
    text += "...";
  }
  return text;
}

Status aicc::evaluationError(const Expressions &expressions, size_t index,
                             std::span<const std::string> names) {
  return invalidArgument("size " + expressions.print(index, names) +
                         " overflows or divides by zero");
}
