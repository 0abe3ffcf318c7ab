//===- Reader.h - opens a package -----------------------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A file is mapped read-only and shared, so that processes that run the same
// package share the weights' memory. Everything in the header is checked here,
// once; nobody after the reader has to distrust an index. The contents of
// sections are checked when they are first used (verify), because reading
// gigabytes just to look at a signature would be a waste.
//
// A Package doesn't change and may be used by any number of threads.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_RUNTIME_PACKAGE_READER_H
#define AICC_RUNTIME_PACKAGE_READER_H

#include "runtime/package/Preamble.h"
#include "runtime/package/Program.h"

#include <functional>

namespace aicc {

class PackageReader {
public:
  // The error names the file and what is wrong in it.
  static Status open(const std::string &path,
                     std::shared_ptr<const PackageReader> &out);

  // `release` is called once the memory is needed no longer, also on error.
  // Memory that isn't aligned to 64 bytes is copied.
  static Status fromMemory(const void *data, size_t size,
                           std::function<void()> release,
                           std::shared_ptr<const PackageReader> &out);

  PackageReader(const PackageReader &) = delete;
  PackageReader &operator=(const PackageReader &) = delete;
  ~PackageReader();

  const program::Package &contents() const { return package; }
  std::span<const uint8_t> bytes() const { return {data, size}; }
  std::span<const uint8_t> section(const program::Section &section) const {
    return {data + section.offset, size_t(section.size)};
  }
  // Compares a section with its checksum; `what` names it in the message.
  Status verify(const program::Section &section, const std::string &what) const;
  // Of the header: two packages with the same one are the same package but
  // for damage.
  uint64_t headerChecksum() const { return checksumOfHeader; }

private:
  PackageReader() = default;
  Status read();

  const uint8_t *data = nullptr;
  size_t size = 0;
  std::function<void()> release;
  uint64_t checksumOfHeader = 0;
  program::Package package;
};

// Builds and checks the contents from the header's bytes; `fileSize` bounds
// the sections. Exposed for the reader and its tests.
Status parseHeader(std::span<const uint8_t> header, uint64_t fileSize,
                   program::Package &out);

} // namespace aicc

#endif
