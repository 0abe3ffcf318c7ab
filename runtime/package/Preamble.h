//===- Preamble.h - the first bytes of a package, and its checksum -------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the writer (compiler/package) and the reader of a package agree on
// beside the schema in package.fbs.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_RUNTIME_PACKAGE_PREAMBLE_H
#define AICC_RUNTIME_PACKAGE_PREAMBLE_H

#include <bit>
#include <cstddef>
#include <cstdint>

namespace aicc::package {

static_assert(std::endian::native == std::endian::little,
              "packages are little-endian and mapped as they are");

// Eight bytes with the terminating zero.
inline constexpr char magic[8] = {'A', 'I', 'C', 'C', 'P', 'K', 'G', '\0'};
// Raised whenever an older reader would misunderstand a newer file.
inline constexpr uint32_t formatVersion = 1;
// Sections begin at multiples of this, so that weights can be mapped.
inline constexpr uint64_t sectionAlignment = 4096;
// Beginning of every temporary in the arena, and of every buffer a driver
// allocates: a cache line, and the widest vector register.
inline constexpr uint64_t bufferAlignment = 64;

struct Preamble {
  char magic[8];
  uint32_t version;
  uint32_t zero;
  uint64_t headerOffset;
  uint64_t headerSize;
  uint64_t headerChecksum;
  uint64_t fileSize;
  uint64_t reserved[2];
};
static_assert(sizeof(Preamble) == 64);

// XXH64 of `data` with seed 0: for the header and for every section.
uint64_t checksum(const void *data, size_t size);

} // namespace aicc::package

#endif
