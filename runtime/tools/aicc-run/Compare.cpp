//===- Compare.cpp - are two tensors the same? ----------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Compare.h"

#include <cmath>
#include <cstdio>
#include <cstring>

using namespace aicc::run;

static std::string print(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.9g", value);
  return text;
}

// "[1, 0, 7]" of the element at a position.
static std::string printIndex(const std::vector<int64_t> &dims,
                              size_t position) {
  std::string text;
  for (size_t d = dims.size(); d-- > 0;) {
    text = std::to_string(position % size_t(dims[d])) +
           (text.empty() ? "" : ", ") + text;
    position /= size_t(dims[d]);
  }
  return "[" + text + "]";
}

// Complex numbers as pairs of floats.
static Array parts(Array array) {
  if (array.type == AICC_C64 || array.type == AICC_C128) {
    array.type = array.type == AICC_C64 ? AICC_F32 : AICC_F64;
    array.dims.push_back(2);
  }
  return array;
}

Comparison aicc::run::compare(const Array &found, const Array &expected,
                              const Tolerance &tolerance) {
  Comparison result;
  auto differ = [&](std::string reason) {
    result.equal = false;
    result.reason = std::move(reason);
    return result;
  };
  if (found.type != expected.type)
    return differ(std::string("type is ") + aicc_type_name(found.type) +
                  ", expected " + aicc_type_name(expected.type));
  if (found.dims != expected.dims)
    return differ("shape is " + printDims(found.dims) + ", expected " +
                  printDims(expected.dims));

  if (found.type == AICC_C64 || found.type == AICC_C128)
    return compare(parts(found), parts(expected), tolerance);
  const bool floating = found.type >= AICC_F16 && found.type <= AICC_F6E3M2FN;
  // Of integers narrower than a byte only their bits count.
  const bool narrow = found.type >= AICC_I4 && found.type <= AICC_U2;
  const size_t count = found.count(), size = aicc_type_size(found.type);
  double largest = 0;
  for (size_t i = 0; i < count; ++i)
    if (double value = std::fabs(expected.at(i)); std::isfinite(value))
      largest = std::max(largest, value);
  size_t first = 0;
  for (size_t i = 0; i < count; ++i) {
    bool equal;
    if (!floating) {
      // Not through a double, which doesn't hold 64 bits.
      equal = narrow
                  ? found.at(i) == expected.at(i)
                  : std::memcmp(
                        static_cast<const char *>(found.data()) + i * size,
                        static_cast<const char *>(expected.data()) + i * size,
                        size) == 0;
      const double difference = std::fabs(found.at(i) - expected.at(i));
      result.largestDifference = std::max(result.largestDifference, difference);
    } else {
      const double a = found.at(i), b = expected.at(i);
      if (std::isnan(a) || std::isnan(b)) {
        equal = std::isnan(a) && std::isnan(b);
        result.notFinite += !equal;
      } else if (std::isinf(a) || std::isinf(b)) {
        equal = a == b;
        result.notFinite += !equal;
      } else {
        const double difference = std::fabs(a - b);
        result.largestDifference =
            std::max(result.largestDifference, difference);
        equal = difference <=
                (tolerance.ofLargest
                     ? *tolerance.ofLargest * largest
                     : tolerance.absolute + tolerance.relative * std::fabs(b));
      }
    }
    if (!equal && result.mismatches++ == 0)
      first = i;
  }
  result.relativeToLargest =
      largest > 0 ? result.largestDifference / largest
                  : (result.largestDifference > 0 ? INFINITY : 0);
  if (result.mismatches)
    return differ(
        std::to_string(result.mismatches) + " of " + std::to_string(count) +
        " elements differ, first " + printIndex(found.dims, first) + ": " +
        print(found.at(first)) + ", expected " + print(expected.at(first)) +
        "; largest difference " + print(result.largestDifference) + ", " +
        print(result.relativeToLargest) + " of the largest value" +
        (result.notFinite
             ? "; " + std::to_string(result.notFinite) + " are not finite"
             : ""));
  return result;
}
