//===- Features.cpp - what this machine's processor can do ----------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Asked of the processor itself, and of the operating system for the registers
// that it must save: /proc may be absent.
//
//===----------------------------------------------------------------------===//

#include "Features.h"

#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#else
#include <sys/auxv.h>
#endif

using namespace aicc::cpu;

#if defined(__x86_64__)

namespace {

enum Register { eax, ebx, ecx, edx };
enum State { none, avx, avx512, amx }; // what the system must save

struct Bit {
  const char *name;
  const char *alias; // LLVM's name where it is another one
  uint32_t leaf, subleaf;
  Register reg;
  unsigned bit;
  State state;
};

constexpr Bit bits[] = {
    {"cx16", nullptr, 1, 0, ecx, 13, none},
    {"lahf_lm", "sahf", 0x80000001, 0, ecx, 0, none},
    {"popcnt", nullptr, 1, 0, ecx, 23, none},
    {"pni", "sse3", 1, 0, ecx, 0, none},
    {"ssse3", nullptr, 1, 0, ecx, 9, none},
    {"sse4_1", "sse4.1", 1, 0, ecx, 19, none},
    {"sse4_2", "sse4.2", 1, 0, ecx, 20, none},
    {"pclmulqdq", "pclmul", 1, 0, ecx, 1, none},
    {"aes", nullptr, 1, 0, ecx, 25, none},
    {"movbe", nullptr, 1, 0, ecx, 22, none},
    {"abm", "lzcnt", 0x80000001, 0, ecx, 5, none},
    {"bmi1", "bmi", 7, 0, ebx, 3, none},
    {"bmi2", nullptr, 7, 0, ebx, 8, none},
    {"avx", nullptr, 1, 0, ecx, 28, avx},
    {"f16c", nullptr, 1, 0, ecx, 29, avx},
    {"fma", nullptr, 1, 0, ecx, 12, avx},
    {"avx2", nullptr, 7, 0, ebx, 5, avx},
    {"gfni", nullptr, 7, 0, ecx, 8, none},
    {"vaes", nullptr, 7, 0, ecx, 9, avx},
    {"vpclmulqdq", nullptr, 7, 0, ecx, 10, avx},
    {"avx_vnni", "avxvnni", 7, 1, eax, 4, avx},
    {"avx_ifma", "avxifma", 7, 1, eax, 23, avx},
    {"avx_vnni_int8", "avxvnniint8", 7, 1, edx, 4, avx},
    {"avx_ne_convert", "avxneconvert", 7, 1, edx, 5, avx},
    {"avx512f", nullptr, 7, 0, ebx, 16, avx512},
    {"avx512dq", nullptr, 7, 0, ebx, 17, avx512},
    {"avx512ifma", nullptr, 7, 0, ebx, 21, avx512},
    {"avx512cd", nullptr, 7, 0, ebx, 28, avx512},
    {"avx512bw", nullptr, 7, 0, ebx, 30, avx512},
    {"avx512vl", nullptr, 7, 0, ebx, 31, avx512},
    {"avx512vbmi", nullptr, 7, 0, ecx, 1, avx512},
    {"avx512_vbmi2", "avx512vbmi2", 7, 0, ecx, 6, avx512},
    {"avx512_vnni", "avx512vnni", 7, 0, ecx, 11, avx512},
    {"avx512_bitalg", "avx512bitalg", 7, 0, ecx, 12, avx512},
    {"avx512_vpopcntdq", "avx512vpopcntdq", 7, 0, ecx, 14, avx512},
    {"avx512_vp2intersect", "avx512vp2intersect", 7, 0, edx, 8, avx512},
    {"avx512_bf16", "avx512bf16", 7, 1, eax, 5, avx512},
    {"avx512_fp16", "avx512fp16", 7, 0, edx, 23, avx512},
    {"amx_bf16", "amx-bf16", 7, 0, edx, 22, amx},
    {"amx_tile", "amx-tile", 7, 0, edx, 24, amx},
    {"amx_int8", "amx-int8", 7, 0, edx, 25, amx},
};

struct Level {
  const char *name;
  std::vector<const char *> needs; // beside the level before
};

bool cpuid(uint32_t leaf, uint32_t subleaf, uint32_t (&out)[4]) {
  return __get_cpuid_count(leaf, subleaf, &out[0], &out[1], &out[2], &out[3]);
}

std::string brand() {
  uint32_t words[12];
  for (unsigned i = 0; i < 3; ++i)
    if (!__get_cpuid(0x80000002 + i, &words[4 * i], &words[4 * i + 1],
                     &words[4 * i + 2], &words[4 * i + 3]))
      return "x86-64 processor";
  char text[49] = {};
  std::memcpy(text, words, 48);
  std::string name = text;
  name.erase(0, name.find_first_not_of(' '));
  name.erase(name.find_last_not_of(' ') + 1);
  return name;
}

} // namespace

Processor aicc::cpu::detectProcessor() {
  Processor processor;
  processor.name = brand();
  uint32_t r[4] = {};
  if (cpuid(0, 0, r)) {
    char vendor[13] = {};
    std::memcpy(vendor, &r[ebx], 4);
    std::memcpy(vendor + 4, &r[edx], 4);
    std::memcpy(vendor + 8, &r[ecx], 4);
    processor.vendor = vendor;
  }
  uint64_t saved = 0;
  if (cpuid(1, 0, r) && (r[ecx] >> 27 & 1)) { // OSXSAVE
    uint32_t low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    saved = uint64_t(high) << 32 | low;
  }
  auto isSaved = [&](State state) {
    const uint64_t mask = state == avx      ? 0x6
                          : state == avx512 ? 0xe6
                          : state == amx    ? 0x60000
                                            : 0;
    return (saved & mask) == mask;
  };
  auto has = [&](const char *name) {
    for (const char *feature : processor.features)
      if (std::strcmp(feature, name) == 0)
        return true;
    return false;
  };
  for (const Bit &bit : bits) {
    if (!cpuid(bit.leaf, bit.subleaf, r) || !(r[bit.reg] >> bit.bit & 1) ||
        !isSaved(bit.state))
      continue;
    processor.features.push_back(bit.name);
    if (bit.alias)
      processor.features.push_back(bit.alias);
  }
  processor.chip = "x86-64";
  processor.features.push_back("x86-64");
  const Level levels[] = {
      {"x86-64-v2",
       {"cx16", "lahf_lm", "popcnt", "pni", "sse4_1", "sse4_2", "ssse3"}},
      {"x86-64-v3",
       {"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe"}},
      {"x86-64-v4",
       {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}},
  };
  for (const Level &level : levels) {
    for (const char *need : level.needs)
      if (!has(need))
        return processor;
    processor.chip = level.name;
    processor.features.push_back(level.name);
  }
  return processor;
}

#else

namespace {

struct Bit {
  const char *name;
  const char *alias;
  unsigned long type;
  unsigned bit;
};

#if defined(__aarch64__)
constexpr Bit bits[] = {
    {"fp", "fp-armv8", AT_HWCAP, 0},      {"asimd", "neon", AT_HWCAP, 1},
    {"aes", nullptr, AT_HWCAP, 3},        {"atomics", "lse", AT_HWCAP, 8},
    {"fphp", nullptr, AT_HWCAP, 9},       {"asimdhp", "fullfp16", AT_HWCAP, 10},
    {"asimdrdm", "rdm", AT_HWCAP, 12},    {"asimddp", "dotprod", AT_HWCAP, 20},
    {"sve", nullptr, AT_HWCAP, 22},       {"asimdfhm", "fp16fml", AT_HWCAP, 23},
    {"sve2", nullptr, AT_HWCAP2, 1},      {"svei8mm", nullptr, AT_HWCAP2, 9},
    {"svef32mm", "f32mm", AT_HWCAP2, 10}, {"svebf16", nullptr, AT_HWCAP2, 12},
    {"i8mm", nullptr, AT_HWCAP2, 13},     {"bf16", nullptr, AT_HWCAP2, 14},
    {"sme", nullptr, AT_HWCAP2, 23}};
constexpr const char *architecture = "aarch64";
#elif defined(__riscv)
constexpr Bit bits[] = {
    {"i", nullptr, AT_HWCAP, 'i' - 'a'}, {"m", nullptr, AT_HWCAP, 'm' - 'a'},
    {"a", nullptr, AT_HWCAP, 0},         {"f", nullptr, AT_HWCAP, 'f' - 'a'},
    {"d", nullptr, AT_HWCAP, 'd' - 'a'}, {"c", nullptr, AT_HWCAP, 'c' - 'a'},
    {"v", nullptr, AT_HWCAP, 'v' - 'a'}};
constexpr const char *architecture = "riscv64";
#else
constexpr Bit bits[] = {{"", nullptr, 0, 0}};
constexpr const char *architecture = "generic";
#endif

} // namespace

Processor aicc::cpu::detectProcessor() {
  Processor processor;
  processor.name = std::string(architecture) + " processor";
  processor.chip = architecture;
  processor.features.push_back(architecture);
  for (const Bit &bit : bits) {
    if (!bit.type || !(getauxval(bit.type) >> bit.bit & 1))
      continue;
    processor.features.push_back(bit.name);
    if (bit.alias)
      processor.features.push_back(bit.alias);
  }
  return processor;
}

#endif
