//===- Checksum.cpp - XXH64 -----------------------------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Written from the algorithm's description (xxHash, "xxhash_spec.md"). It
// reads memory at about its bandwidth, so that checking weights when a session
// is created costs no more than reading them once.
//
//===----------------------------------------------------------------------===//

#include "Preamble.h"

#include <cstring>

namespace {

constexpr uint64_t prime1 = 0x9E3779B185EBCA87;
constexpr uint64_t prime2 = 0xC2B2AE3D27D4EB4F;
constexpr uint64_t prime3 = 0x165667B19E3779F9;
constexpr uint64_t prime4 = 0x85EBCA77C2B2AE63;
constexpr uint64_t prime5 = 0x27D4EB2F165667C5;

uint64_t read64(const uint8_t *p) {
  uint64_t value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

uint32_t read32(const uint8_t *p) {
  uint32_t value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

uint64_t round(uint64_t accumulator, uint64_t lane) {
  return std::rotl(accumulator + lane * prime2, 31) * prime1;
}

uint64_t merge(uint64_t hash, uint64_t accumulator) {
  return (hash ^ round(0, accumulator)) * prime1 + prime4;
}

} // namespace

uint64_t aicc::package::checksum(const void *data, size_t size) {
  const uint8_t *p = static_cast<const uint8_t *>(data);
  size_t left = size;
  uint64_t hash;
  if (left >= 32) {
    uint64_t a = prime1 + prime2, b = prime2, c = 0, d = -prime1;
    for (; left >= 32; p += 32, left -= 32) {
      a = round(a, read64(p));
      b = round(b, read64(p + 8));
      c = round(c, read64(p + 16));
      d = round(d, read64(p + 24));
    }
    hash =
        std::rotl(a, 1) + std::rotl(b, 7) + std::rotl(c, 12) + std::rotl(d, 18);
    hash = merge(merge(merge(merge(hash, a), b), c), d);
  } else {
    hash = prime5;
  }
  hash += size;
  for (; left >= 8; p += 8, left -= 8)
    hash = std::rotl(hash ^ round(0, read64(p)), 27) * prime1 + prime4;
  if (left >= 4) {
    hash = std::rotl(hash ^ read32(p) * prime1, 23) * prime2 + prime3;
    p += 4;
    left -= 4;
  }
  for (; left; ++p, --left)
    hash = std::rotl(hash ^ *p * prime5, 11) * prime1;
  hash = (hash ^ (hash >> 33)) * prime2;
  hash = (hash ^ (hash >> 29)) * prime3;
  return hash ^ (hash >> 32);
}
