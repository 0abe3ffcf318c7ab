//===- Cache.cpp - compiled modules on disk -------------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Cache.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/stat.h>
#include <unistd.h>

using namespace aicc::intel;

static uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 33)) * 0xff51afd7ed558ccdull;
  x = (x ^ (x >> 33)) * 0xc4ceb9fe1a85ec53ull;
  return x ^ (x >> 33);
}

void CacheKey::add(const void *data, size_t size) {
  const char *p = static_cast<const char *>(data);
  uint64_t word = size;
  while (true) {
    state[0] = mix(state[0] ^ word);
    state[1] = mix(state[1] + word) * 0x9e3779b97f4a7c15ull;
    if (size == 0)
      return;
    const size_t n = size < 8 ? size : 8;
    word = 0;
    std::memcpy(&word, p, n);
    p += n;
    size -= n;
  }
}

std::string CacheKey::name() const {
  char text[40];
  std::snprintf(text, sizeof text, "%016llx%016llx",
                static_cast<unsigned long long>(state[0]),
                static_cast<unsigned long long>(state[1]));
  return text;
}

// The folder, made if need be; empty if there is none.
static const std::string &folder() {
  static const std::string path = [] {
    auto named = [](const char *variable) {
      const char *value = std::getenv(variable);
      return std::string(value ? value : "");
    };
    std::string base = named("AICC_CACHE_DIR");
    if (base.empty()) {
      base = named("XDG_CACHE_HOME");
      if (base.empty()) {
        base = named("HOME");
        if (base.empty())
          return std::string();
        base += "/.cache";
      }
      base += "/aicc";
    }
    std::string result = base + "/opencl";
    for (size_t i = 1; i <= result.size(); ++i)
      if (i == result.size() || result[i] == '/')
        mkdir(result.substr(0, i).c_str(), 0700);
    return access(result.c_str(), W_OK) == 0 ? result : std::string();
  }();
  return path;
}

namespace {
struct Header {
  char magic[8] = {'A', 'I', 'C', 'C', 'O', 'C', 'L', '1'};
  uint64_t size = 0;
  char checksum[32] = {};
};
} // namespace

static Header headerOf(const std::string &content) {
  Header header;
  header.size = content.size();
  CacheKey key;
  key.add(content.data(), content.size());
  std::memcpy(header.checksum, key.name().data(), sizeof header.checksum);
  return header;
}

std::string aicc::intel::readCache(const std::string &name) {
  if (folder().empty())
    return "";
  FILE *file = std::fopen((folder() + "/" + name).c_str(), "rb");
  if (!file)
    return "";
  Header header;
  struct stat status;
  std::string content;
  if (std::fread(&header, sizeof header, 1, file) == 1 &&
      fstat(fileno(file), &status) == 0 &&
      uint64_t(status.st_size) == sizeof header + header.size) {
    content.resize(header.size);
    if (std::fread(content.data(), 1, content.size(), file) != content.size())
      content.clear();
  }
  std::fclose(file);
  const Header expected = headerOf(content);
  return std::memcmp(&header, &expected, sizeof header) ? "" : content;
}

void aicc::intel::writeCache(const std::string &name,
                             const std::string &content) {
  if (folder().empty())
    return;
  // Whole or not at all, whoever else writes the same.
  const std::string path = folder() + "/" + name;
  std::string temporary = path + ".XXXXXX";
  const int descriptor = mkstemp(temporary.data());
  if (descriptor < 0)
    return;
  FILE *file = fdopen(descriptor, "wb");
  bool written = file != nullptr;
  if (file) {
    const Header header = headerOf(content);
    written =
        std::fwrite(&header, sizeof header, 1, file) == 1 &&
        std::fwrite(content.data(), 1, content.size(), file) == content.size();
    written &= std::fclose(file) == 0;
  } else {
    close(descriptor);
  }
  if (!written || std::rename(temporary.c_str(), path.c_str()))
    std::remove(temporary.c_str());
}
