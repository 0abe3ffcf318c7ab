//===- Expressions.h - integer expressions over a program's symbols -------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef AICC_RUNTIME_PACKAGE_EXPRESSIONS_H
#define AICC_RUNTIME_PACKAGE_EXPRESSIONS_H

#include "runtime/core/Status.h"

#include "runtime/package/package_generated.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace aicc {

// A list of expressions; operands stand before their users, as the reader has
// checked. Evaluation is exact: overflow and division by anything but a
// positive number are errors, never wrapped or undefined.
class Expressions {
public:
  using Node = package::ExprNode;

  std::vector<Node> nodes;

  size_t size() const { return nodes.size(); }

  // The value of node `index` from those of its operands in `values`, which
  // has size() entries.
  bool evaluateNode(size_t index, std::span<const int64_t> symbols,
                    int64_t *values) const;

  // Whether any symbol numbered `begin` or higher occurs in each expression.
  std::vector<bool> dependsOnSymbolsFrom(uint32_t begin) const;

  // Which expressions use no symbols but those with `known` set.
  std::vector<bool> computable(const std::vector<bool> &known) const;

  // The symbols of expression `index` in ascending order.
  std::vector<uint32_t> symbolsOf(size_t index) const;

  // Solves `expression = value` for the only symbol in it that is not known
  // yet; none if it has several, or a form that has no unique solution.
  std::optional<std::pair<uint32_t, int64_t>>
  solve(size_t index, int64_t value,
        std::span<const std::optional<int64_t>> known) const;

  // As a reader would write it: "batch * 4 + 1". Long ones are cut short.
  std::string print(size_t index, std::span<const std::string> names) const;
};

// Which expressions can be computed, while symbols get their values one after
// the other and lose them again in the reverse order.
class Availability {
public:
  // No symbol has a value. `expressions` must stay.
  Availability(const Expressions &expressions, uint32_t symbolCount);

  bool knows(uint32_t symbol) const { return known[symbol]; }
  bool computable(size_t index) const { return missing[index] == 0; }

  // Gives a symbol its value; once more changes nothing.
  void bind(uint32_t symbol);
  // What can be computed and contains the symbol, operands first.
  std::vector<uint32_t> dependents(uint32_t symbol);

  size_t mark() const { return trail.size(); }
  // The symbols bound since a mark.
  std::vector<uint32_t> since(size_t mark) const {
    return {trail.begin() + std::ptrdiff_t(mark), trail.end()};
  }
  // Takes their values away again.
  void rewind(size_t mark);

private:
  std::span<const uint32_t> usersOf(uint32_t node) const {
    return std::span(users).subspan(firstUser[node],
                                    firstUser[node + 1] - firstUser[node]);
  }

  std::vector<bool> known;
  // For each node how many operands can't be computed (a symbol without a
  // value counts as one).
  std::vector<uint8_t> missing;
  // Users of each node, one after the other; a node that uses another twice
  // stands there twice.
  std::vector<uint32_t> firstUser, users;
  // The nodes of each symbol.
  std::vector<std::vector<uint32_t>> nodesOf;
  std::vector<uint32_t> trail, stack, stamps;
  uint32_t stamp = 0;
};

// The message for expression `index` that could not be evaluated.
Status evaluationError(const Expressions &expressions, size_t index,
                       std::span<const std::string> names);

} // namespace aicc

#endif
