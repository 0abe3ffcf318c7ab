//===- Report.h - what the tool prints ------------------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef AICC_RUN_REPORT_H
#define AICC_RUN_REPORT_H

#include "Benchmark.h"

#include <nlohmann/json_fwd.hpp>

namespace aicc::run {

// All text of a run goes through JSON, so that both forms say the same.
void printDevices(bool json);
void printDescription(aicc_package *package, bool json);
void printJson(const nlohmann::json &report);
void printRun(const nlohmann::json &report, bool json);

nlohmann::json describeOutput(const Array &array);
nlohmann::json describeTiming(const Runner &runner, const Timing &timing);
nlohmann::json describeMemory(const Runner &runner);
// The kernels that took longest, those of equal name together.
nlohmann::json describeProfile(const std::vector<ProfileEvent> &events);

// Chrome's trace format, one row per device and stream.
std::string formatTrace(const std::vector<ProfileEvent> &events);

} // namespace aicc::run

#endif
