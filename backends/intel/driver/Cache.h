//===- Cache.h - compiled modules on disk -----------------------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A vendor takes tens of milliseconds to compile a module and about one to load
// what it compiled. Files lie in the folder `opencl` of $AICC_CACHE_DIR, else
// of $XDG_CACHE_HOME/aicc, else of ~/.cache/aicc; a file that is damaged, or
// was made by another driver, is as good as none. Any thread, any process.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_BACKENDS_INTEL_DRIVER_CACHE_H
#define AICC_BACKENDS_INTEL_DRIVER_CACHE_H

#include <cstddef>
#include <cstdint>
#include <string>

namespace aicc::intel {

/// Fingerprint of everything that a compiled module depends on.
class CacheKey {
public:
  void add(const void *data, size_t size);
  void add(const std::string &text) { add(text.c_str(), text.size() + 1); }
  std::string name() const;

private:
  uint64_t state[2] = {0x9ae16a3b2f90404full, 0xc3a5c85c97cb3127ull};
};

/// The file's content; empty if there is none that can be used.
std::string readCache(const std::string &name);
void writeCache(const std::string &name, const std::string &content);

} // namespace aicc::intel

#endif // AICC_BACKENDS_INTEL_DRIVER_CACHE_H
