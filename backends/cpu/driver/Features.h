//===- Features.h - what this machine's processor can do ------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef AICC_BACKENDS_CPU_DRIVER_FEATURES_H
#define AICC_BACKENDS_CPU_DRIVER_FEATURES_H

#include <cstdint>
#include <string>
#include <vector>

namespace aicc::cpu {

struct Processor {
  std::string name; // "AMD EPYC 9654 96-Core Processor"
  std::string vendor;
  std::string chip; // the highest level reached: "x86-64-v4", "aarch64"
  // Spelled as in /proc/cpuinfo ("avx512_vnni"), with LLVM's spelling beside it
  // where that differs ("avx512vnni"), and the levels ("x86-64-v3").
  std::vector<const char *> features;
};

Processor detectProcessor();

// Cores that this process may use, hyperthreads counted once, within the quota
// of its control group; at least 1.
uint32_t usableCores();

uint64_t physicalMemory();

} // namespace aicc::cpu

#endif
