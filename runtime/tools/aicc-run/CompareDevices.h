//===- CompareDevices.h - one model on two devices ------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Both run on the same inputs, and every value of the model that exists on
// both sides is compared. The two programs were compiled for themselves and
// keep different values; those in common are told by the tensors' names.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_RUN_COMPAREDEVICES_H
#define AICC_RUN_COMPAREDEVICES_H

#include "Benchmark.h"

#include <nlohmann/json.hpp>

#include <map>

namespace aicc::run {

// How far values of a type may differ, relative to the tensor's largest.
// Integers, booleans and strings must be equal.
class Bounds {
public:
  // "f32=1e-4"
  void set(const std::string &text);
  double of(aicc_type type) const;

private:
  std::map<aicc_type, double> given;
};

// "cpu", or "cpu@cpu:x86-64-v3" to name the variant.
struct Side {
  std::string device, variant;
};
// "A,B"
std::pair<Side, Side> parseSides(const std::string &text);

// {"a", "b", "values": [...], "first_difference": index or null, "only_a",
// "only_b", "other_shapes"}. Values stand in A's order.
nlohmann::json compareDevices(aicc_package *package, const Side &a,
                              const Side &b, uint32_t threads,
                              std::vector<Array> &inputs, const Bounds &bounds);

// As a table, the worst first; `all` or the 10 worst and what is wrong.
void printDeviceComparison(const nlohmann::json &comparison, bool all);

} // namespace aicc::run

#endif
