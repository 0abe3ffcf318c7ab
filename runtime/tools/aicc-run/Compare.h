//===- Compare.h - are two tensors the same? ------------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef AICC_RUN_COMPARE_H
#define AICC_RUN_COMPARE_H

#include "Array.h"

#include <optional>

namespace aicc::run {

struct Tolerance {
  double relative = 1e-3; // those of ONNX's own tests
  double absolute = 1e-7;
  // Replaces both: relative to the expected tensor's largest value.
  std::optional<double> ofLargest;
};

struct Comparison {
  bool equal = true;
  std::string reason; // why not, one line
  double largestDifference = 0;
  double relativeToLargest = 0; // the same, over the largest expected value
  size_t mismatches = 0;
  size_t notFinite = 0; // those of them that are no numbers on one side
};

// NaN equals NaN, an infinity only itself. Integers must be equal.
Comparison compare(const Array &found, const Array &expected,
                   const Tolerance &tolerance);

} // namespace aicc::run

#endif
