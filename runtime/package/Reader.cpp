//===- Reader.cpp - opens a package ---------------------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Reader.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace aicc;
using package::Preamble;

static Status damaged(std::string message) {
  return Status(Code::badPackage, "package is damaged: " + std::move(message));
}

static std::string hex(uint64_t value) {
  char text[20];
  snprintf(text, sizeof text, "%016llx",
           static_cast<unsigned long long>(value));
  return text;
}

PackageReader::~PackageReader() {
  if (release)
    release();
}

Status PackageReader::open(const std::string &path,
                           std::shared_ptr<const PackageReader> &out) {
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat info;
  if (fd < 0 || fstat(fd, &info) != 0) {
    int error = errno;
    if (fd >= 0)
      ::close(fd);
    return Status(error == ENOENT ? Code::notFound : Code::ioError,
                  "cannot open package '" + path + "': " + strerror(error));
  }
  if (!S_ISREG(info.st_mode)) {
    ::close(fd);
    return Status(Code::ioError,
                  "cannot open package '" + path + "': not a regular file");
  }
  std::shared_ptr<PackageReader> reader(new PackageReader);
  const size_t size = size_t(info.st_size);
  if (size != 0) {
    void *mapping = mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
    if (mapping == MAP_FAILED) {
      int error = errno;
      ::close(fd);
      return Status(Code::ioError,
                    "cannot map package '" + path + "': " + strerror(error));
    }
    reader->data = static_cast<const uint8_t *>(mapping);
    reader->size = size;
    reader->release = [mapping, size] { munmap(mapping, size); };
  }
  ::close(fd);
  AICC_RETURN_IF_ERROR(reader->read().in("'" + path + "'"));
  out = std::move(reader);
  return {};
}

Status PackageReader::fromMemory(const void *data, size_t size,
                                 std::function<void()> release,
                                 std::shared_ptr<const PackageReader> &out) {
  std::shared_ptr<PackageReader> reader(new PackageReader);
  reader->data = static_cast<const uint8_t *>(data);
  reader->size = size;
  reader->release = std::move(release);
  if (reinterpret_cast<uintptr_t>(data) % package::bufferAlignment != 0) {
    const size_t rounded = (size + package::sectionAlignment - 1) /
                           package::sectionAlignment *
                           package::sectionAlignment;
    void *copy =
        std::aligned_alloc(package::sectionAlignment,
                           rounded ? rounded : package::sectionAlignment);
    if (!copy)
      return Status(Code::outOfMemory,
                    "no memory for a copy of the package of " +
                        std::to_string(size) + " bytes");
    memcpy(copy, data, size);
    if (reader->release)
      reader->release();
    reader->data = static_cast<const uint8_t *>(copy);
    reader->release = [copy] { std::free(copy); };
  }
  AICC_RETURN_IF_ERROR(reader->read());
  out = std::move(reader);
  return {};
}

Status PackageReader::read() {
  if (size < sizeof(Preamble))
    return Status(Code::badPackage,
                  "not an aicc package: " + std::to_string(size) +
                      " bytes are too few");
  Preamble preamble;
  memcpy(&preamble, data, sizeof preamble);
  if (memcmp(preamble.magic, package::magic, sizeof package::magic) != 0)
    return Status(Code::badPackage,
                  "not an aicc package: it doesn't begin with 'AICCPKG'");
  if (preamble.version != package::formatVersion)
    return Status(Code::badPackage, "package has format version " +
                                        std::to_string(preamble.version) +
                                        ", but this runtime reads version " +
                                        std::to_string(package::formatVersion));
  if (preamble.fileSize != size)
    return damaged("it should have " + std::to_string(preamble.fileSize) +
                   " bytes, but has " + std::to_string(size));
  if (preamble.headerOffset > size ||
      preamble.headerSize > size - preamble.headerOffset)
    return damaged("header of " + std::to_string(preamble.headerSize) +
                   " bytes at offset " + std::to_string(preamble.headerOffset) +
                   " exceeds the file of " + std::to_string(size) + " bytes");
  if (preamble.headerOffset % 16 != 0)
    return damaged("header's offset " + std::to_string(preamble.headerOffset) +
                   " is not a multiple of 16");
  std::span<const uint8_t> header(data + preamble.headerOffset,
                                  size_t(preamble.headerSize));
  const uint64_t found = package::checksum(header.data(), header.size());
  if (found != preamble.headerChecksum)
    return damaged("header has checksum " + hex(found) + ", expected " +
                   hex(preamble.headerChecksum));
  checksumOfHeader = found;
  return parseHeader(header, size, package);
}

Status PackageReader::verify(const program::Section &section,
                             const std::string &what) const {
  std::span<const uint8_t> content = this->section(section);
  const uint64_t found = package::checksum(content.data(), content.size());
  if (found == section.checksum)
    return {};
  return damaged(what + " has checksum " + hex(found) + ", expected " +
                 hex(section.checksum));
}
