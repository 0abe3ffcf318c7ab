//===- Threads.cpp - how many cores this process may use ------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Features.h"

#include <algorithm>
#include <cstdio>
#include <sched.h>
#include <set>
#include <unistd.h>

using namespace aicc::cpu;

// The first number in a file of the kernel's; -1 if there is none.
static long numberIn(const char *path) {
  FILE *file = std::fopen(path, "r");
  if (!file)
    return -1;
  long value = -1;
  if (std::fscanf(file, "%ld", &value) != 1)
    value = -1;
  std::fclose(file);
  return value;
}

// Of a container's quota, e.g. "150000 100000" = 1.5 cores; 0 = no limit.
static long quota() {
  FILE *file = std::fopen("/sys/fs/cgroup/cpu.max", "r");
  if (!file)
    return 0;
  long used = 0, period = 0;
  const int found = std::fscanf(file, "%ld %ld", &used, &period);
  std::fclose(file);
  return found == 2 && period > 0 ? (used + period - 1) / period : 0;
}

uint32_t aicc::cpu::usableCores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  long cores = 0;
  if (sched_getaffinity(0, sizeof set, &set) == 0) {
    std::set<std::pair<long, long>> distinct;
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (!CPU_ISSET(cpu, &set))
        continue;
      char path[96];
      auto read = [&](const char *name) {
        std::snprintf(path, sizeof path,
                      "/sys/devices/system/cpu/cpu%d/topology/%s", cpu, name);
        return numberIn(path);
      };
      const long core = read("core_id");
      // Without a topology every processor counts.
      distinct.insert(core < 0 ? std::pair(-1L, long(cpu))
                               : std::pair(read("physical_package_id"), core));
    }
    cores = long(distinct.size());
  }
  if (cores <= 0)
    cores = std::max(1L, sysconf(_SC_NPROCESSORS_ONLN));
  if (const long limit = quota(); limit > 0)
    cores = std::min(cores, limit);
  return uint32_t(cores);
}

uint64_t aicc::cpu::physicalMemory() {
  const long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
  return pages > 0 && size > 0 ? uint64_t(pages) * uint64_t(size) : 0;
}
