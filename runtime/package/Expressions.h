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

// The message for expression `index` that could not be evaluated.
Status evaluationError(const Expressions &expressions, size_t index,
                       std::span<const std::string> names);

} // namespace aicc

#endif
