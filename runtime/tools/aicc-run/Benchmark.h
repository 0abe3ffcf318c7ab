//===- Benchmark.h - sessions, timed --------------------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef AICC_RUN_BENCHMARK_H
#define AICC_RUN_BENCHMARK_H

#include "Array.h"

#include <memory>

namespace aicc::run {

// A session with one set of inputs and outputs; releases what it holds.
class Runner {
public:
  Runner(aicc_package *package, const std::string &devices, uint32_t threads,
         const std::string &variant);
  Runner(const Runner &) = delete;
  ~Runner();

  // Runs with these inputs, which must stay; outputs are made anew.
  void run(std::vector<Array> &inputs);
  // The same inputs and outputs again.
  void again();
  std::vector<Array> outputs(const std::vector<std::string> &names) const;
  const aicc_tensor *output(size_t index) const { return outputTensors[index]; }

  aicc_session *session() const { return handle; }
  double createMilliseconds = 0; // of the session
  double firstMilliseconds = 0;  // of the first run

private:
  void release();
  aicc_session *handle = nullptr;
  std::vector<aicc_tensor *> inputTensors, outputTensors;
};

struct Timing {
  size_t runs = 0;
  double minimum = 0, median = 0, p99 = 0; // milliseconds
  double perSecond = 0;
};

// Runs for that long, at least three times.
Timing benchmark(Runner &runner, double seconds);

struct ProfileEvent {
  std::string name, kernel, device;
  uint64_t begin = 0, end = 0;
  uint32_t index = 0;
  uint32_t grid[3] = {};
  uint32_t stream = 0;
};
// Runs for that long, at least once, at most 101 times; of the run whose
// launches took the median time.
std::vector<ProfileEvent> profile(Runner &runner, double seconds);

} // namespace aicc::run

#endif
