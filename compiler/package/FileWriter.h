//===- FileWriter.h - sections and header to a package file -----*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Writes a package beside its final place and renames it when it is complete,
// so that a reader never sees half of one. Not thread-safe.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_COMPILER_PACKAGE_FILEWRITER_H
#define AICC_COMPILER_PACKAGE_FILEWRITER_H

#include "runtime/package/package_generated.h"

#include <cstdint>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace aicc::package {

class FileWriter {
public:
  /// Null with a message if the file cannot be created.
  static std::unique_ptr<FileWriter> create(const std::string &path,
                                            std::string &out_error);
  /// Removes an unfinished file.
  ~FileWriter();

  /// Appends a section at the next page boundary; equal contents are stored
  /// once. `data` must stay valid until `finish`. I/O errors show there.
  std::unique_ptr<SectionT> add(const void *data, uint64_t size);

  /// Writes the header and the preamble, and gives the file its name.
  bool finish(const PackageT &package, std::string &out_error);

private:
  FileWriter(std::string path, std::string temporary, std::FILE *file)
      : path(std::move(path)), temporary(std::move(temporary)), file(file) {}
  void write(const void *data, uint64_t size);
  void align();

  struct Stored {
    const void *data;
    SectionT section;
  };
  std::string path, temporary;
  std::FILE *file;
  uint64_t position = 0;
  int failure = 0; // errno of the first failed write
  std::multimap<uint64_t, Stored> stored;
};

} // namespace aicc::package

#endif // AICC_COMPILER_PACKAGE_FILEWRITER_H
