//===- FileWriter.cpp - sections and header to a package file -------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/package/FileWriter.h"

#include "runtime/package/Preamble.h"

#include <cerrno>
#include <cstring>
#include <unistd.h>

namespace aicc::package {

std::unique_ptr<FileWriter> FileWriter::create(const std::string &path,
                                               std::string &error) {
  std::string temporary = path + ".part" + std::to_string(getpid());
  std::FILE *file = std::fopen(temporary.c_str(), "wb");
  if (!file) {
    error = "cannot write " + path + ": " + std::strerror(errno);
    return nullptr;
  }
  std::unique_ptr<FileWriter> writer(
      new FileWriter(path, std::move(temporary), file));
  // The preamble's place; its contents are known at the end.
  Preamble empty = {};
  writer->write(&empty, sizeof(empty));
  return writer;
}

FileWriter::~FileWriter() {
  if (!file)
    return;
  std::fclose(file);
  std::remove(temporary.c_str());
}

void FileWriter::write(const void *data, uint64_t size) {
  if (!failure && size && std::fwrite(data, 1, size, file) != size)
    failure = errno ? errno : EIO;
  position += size;
}

void FileWriter::align() {
  static const char zeros[sectionAlignment] = {};
  if (uint64_t rest = position % sectionAlignment)
    write(zeros, sectionAlignment - rest);
}

std::unique_ptr<SectionT> FileWriter::add(const void *data, uint64_t size) {
  uint64_t sum = checksum(data, size);
  auto [begin, end] = stored.equal_range(sum);
  for (auto it = begin; it != end; ++it)
    if (it->second.section.size == size &&
        std::memcmp(it->second.data, data, size) == 0)
      return std::make_unique<SectionT>(it->second.section);
  align();
  SectionT section;
  section.offset = position;
  section.size = size;
  section.checksum = sum;
  write(data, size);
  stored.insert({sum, {data, section}});
  return std::make_unique<SectionT>(section);
}

bool FileWriter::finish(const PackageT &package, std::string &error) {
  align();
  flatbuffers::FlatBufferBuilder builder;
  FinishPackageBuffer(builder, Package::Pack(builder, &package));
  Preamble preamble = {};
  std::memcpy(preamble.magic, magic, sizeof(magic));
  preamble.version = formatVersion;
  preamble.headerOffset = position;
  preamble.headerSize = builder.GetSize();
  preamble.headerChecksum =
      checksum(builder.GetBufferPointer(), builder.GetSize());
  write(builder.GetBufferPointer(), builder.GetSize());
  preamble.fileSize = position;
  if (!failure && std::fseek(file, 0, SEEK_SET) != 0)
    failure = errno;
  write(&preamble, sizeof(preamble));
  if (std::fclose(file) != 0 && !failure)
    failure = errno;
  file = nullptr;
  if (!failure && std::rename(temporary.c_str(), path.c_str()) != 0)
    failure = errno;
  if (failure) {
    std::remove(temporary.c_str());
    error = "cannot write " + path + ": " + std::strerror(failure);
    return false;
  }
  return true;
}

} // namespace aicc::package
