//===- ExternalData.cpp - weights that are kept outside the model ---------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A location comes from an untrusted model. It is opened one component at a
// time below the model's directory without following links, and what was
// opened is checked, not what was named: nothing can change in between.
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/Model.h"

#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringExtras.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace aicc::onnx;
using llvm::StringRef;

MappedFile::~MappedFile() {
  if (size_)
    munmap(const_cast<char *>(data_), size_);
}

std::unique_ptr<MappedFile> MappedFile::map(int fd, std::string &error) {
  struct stat info;
  if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    error = "is not a regular file";
    close(fd);
    return nullptr;
  }
  size_t size = info.st_size;
  void *data = nullptr;
  if (size)
    data = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  int reason = errno;
  close(fd);
  if (data == MAP_FAILED) {
    error = std::string("cannot be mapped: ") + strerror(reason);
    return nullptr;
  }
  return std::make_unique<MappedFile>(static_cast<const char *>(data), size);
}

std::unique_ptr<MappedFile> aicc::onnx::mapModelFile(const std::string &path,
                                                     std::string &error) {
  // Without O_NONBLOCK the open of a FIFO would wait for a writer.
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    error = "cannot open \"" + path + "\": " + strerror(errno);
    return nullptr;
  }
  auto file = MappedFile::map(fd, error);
  if (!file)
    error = "\"" + path + "\" " + error;
  return file;
}

MappedFile *Model::open(const std::string &location, std::string &error) {
  auto known = files_.find(location);
  if (known != files_.end())
    return known->second.get();
  auto refuse = [&](StringRef why) {
    error = "external data \"" + location + "\" " + why.str();
    return nullptr;
  };
  if (directory.empty())
    return refuse("cannot be read: the model was not given as a file");
  if (location.empty())
    return refuse("has an empty location");
  if (location.find('\0') != std::string::npos)
    return refuse("has a location with a zero byte");
  if (location[0] == '/')
    return refuse("has an absolute location, expected one relative to the "
                  "model's directory");
  if (location[0] == '#' || StringRef(location).contains("_ORT_MEM_ADDR_"))
    return refuse("names memory of another process, expected a file");
  llvm::SmallVector<StringRef> parts;
  StringRef(location).split(parts, '/', -1, /*KeepEmpty=*/false);
  for (StringRef part : parts)
    if (part == "..")
      return refuse("leaves the model's directory");
  llvm::erase_if(parts, [](StringRef part) { return part == "."; });
  if (parts.empty())
    return refuse("is not a regular file");

  int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    return refuse("cannot be opened: the model's directory cannot");
  int follow = allowSymlinks ? 0 : O_NOFOLLOW;
  for (size_t i = 0; i < parts.size(); ++i) {
    bool last = i + 1 == parts.size();
    int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | follow;
    int next =
        openat(fd, parts[i].str().c_str(), last ? flags : flags | O_DIRECTORY);
    int reason = errno;
    // A link in the way of O_NOFOLLOW | O_DIRECTORY gives ENOTDIR.
    struct stat info;
    bool link =
        next < 0 && !allowSymlinks &&
        fstatat(fd, parts[i].str().c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISLNK(info.st_mode);
    close(fd);
    if (link)
      return refuse("is or passes a symbolic link, which is not followed "
                    "unless asked for");
    if (next < 0)
      return refuse(std::string("cannot be opened: ") + strerror(reason));
    fd = next;
  }
  struct stat info;
  if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_nlink > 1 &&
      !allowSymlinks) {
    close(fd);
    return refuse("has several hard links, which is not accepted unless asked "
                  "for");
  }
  std::string why;
  auto file = MappedFile::map(fd, why);
  if (!file)
    return refuse(why);
  return (files_[location] = std::move(file)).get();
}

StringRef Model::external(const proto::TensorProto &tensor, uint64_t length,
                          std::string &error) {
  std::string location;
  uint64_t offset = 0;
  std::optional<uint64_t> given;
  for (const auto &entry : tensor.external_data()) {
    uint64_t number;
    if (entry.key() == "location") {
      location = entry.value();
    } else if (entry.key() == "offset" || entry.key() == "length") {
      if (StringRef(entry.value()).getAsInteger(10, number) ||
          number > uint64_t(INT64_MAX)) {
        error = "external data has " + entry.key() + " \"" + entry.value() +
                "\", expected a number of bytes";
        return {};
      }
      if (entry.key() == "offset")
        offset = number;
      else
        given = number;
    }
  }
  MappedFile *file = open(location, error);
  if (!file)
    return {};
  uint64_t size = file->bytes().size();
  // Without a length the tensor takes the rest of the file, which must then
  // have the size of the tensor.
  uint64_t actual = given ? *given : size - std::min(size, offset);
  if (offset > size || actual > size - offset) {
    error = "external data \"" + location + "\" has " + std::to_string(size) +
            " bytes, expected at least " + std::to_string(offset) + " + " +
            std::to_string(std::max(actual, length));
    return {};
  }
  if (given ? actual != length : actual < length) {
    error = "external data \"" + location + "\" gives " +
            std::to_string(actual) + " bytes, expected " +
            std::to_string(length);
    return {};
  }
  return file->bytes().substr(offset, length);
}
