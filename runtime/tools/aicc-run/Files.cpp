//===- Files.cpp - reading and writing tensors ----------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Files.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

using namespace aicc::run;

std::string aicc::run::readFile(const std::string &path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error))
    throw Error("cannot read '" + path + "': it is a directory");
  std::ifstream file(path, std::ios::binary);
  if (!file)
    throw Error("cannot read '" + path + "': " + std::strerror(errno));
  std::string contents;
  file.seekg(0, std::ios::end);
  const std::streamoff size = file.tellg();
  if (size > 0) {
    contents.resize(size_t(size));
    file.seekg(0);
    file.read(contents.data(), size);
  }
  if (!file)
    throw Error("cannot read '" + path + "'");
  return contents;
}

void aicc::run::writeFile(const std::string &path,
                          const std::string &contents) {
  std::ofstream file(path, std::ios::binary);
  file.write(contents.data(), std::streamsize(contents.size()));
  file.close();
  if (!file)
    throw Error("cannot write '" + path + "': " + std::strerror(errno));
}

// "1x3x224" or "" for a scalar.
static std::vector<int64_t> parseDims(const std::string &text) {
  std::vector<int64_t> dims;
  size_t at = 0;
  while (at < text.size()) {
    size_t used = 0;
    int64_t dim = -1;
    try {
      dim = std::stoll(text.substr(at), &used);
    } catch (const std::exception &) {
    }
    at += used;
    if (dim < 0 || (at < text.size() && text[at++] != 'x') ||
        (at == text.size() && text.back() == 'x'))
      throw UsageError("shape '" + text + "' is not like 1x3x224x224");
    dims.push_back(dim);
  }
  return dims;
}

// Raw data if `spec` ends in ":type:shape".
static bool readRaw(const std::string &spec, Array &out) {
  const size_t shape = spec.rfind(':');
  if (shape == std::string::npos || shape == 0)
    return false;
  const size_t type = spec.rfind(':', shape - 1);
  if (type == std::string::npos)
    return false;
  const std::string path = spec.substr(0, type);
  out.type = typeNamed(spec.substr(type + 1, shape - type - 1));
  out.dims = parseDims(spec.substr(shape + 1));
  const std::string contents = readFile(path);
  out.checkDims();
  if (contents.size() != out.bytes())
    throw Error("'" + path + "' has " + std::to_string(contents.size()) +
                " bytes, expected " + std::to_string(out.bytes()) + " for " +
                aicc_type_name(out.type) + " " + printDims(out.dims));
  out.allocate();
  std::memcpy(out.data(), contents.data(), contents.size());
  return true;
}

Array aicc::run::readTensor(const std::string &spec) {
  Array array;
  std::error_code error;
  if (!std::filesystem::exists(spec, error) && readRaw(spec, array))
    return array;
  const std::string contents = readFile(spec);
  try {
    if (contents.compare(0, 6, "\x93NUMPY") == 0)
      return parseNpy(contents);
    const std::filesystem::path path(spec);
    if (path.extension() == ".pb" || path.extension() == ".onnx")
      return parseTensorProto(contents, path.parent_path().string());
  } catch (const Error &problem) {
    throw Error("'" + spec + "': " + problem.what());
  }
  throw Error("'" + spec +
              "' is neither .npy nor .pb; raw data needs FILE:type:shape");
}

std::string aicc::run::escapeFileName(const std::string &name) {
  std::string text;
  for (size_t i = 0; i < name.size(); ++i) {
    const unsigned char c = name[i];
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       (c >= '0' && c <= '9') || c == '_' || c == '-' ||
                       (c == '.' && i > 0);
    char escape[4] = {char(c)};
    if (!plain)
      std::snprintf(escape, sizeof escape, "%%%02X", c);
    text += plain ? std::string(1, char(c)) : std::string(escape);
  }
  // File systems take 255 bytes; a name longer than that keeps its two ends.
  constexpr size_t limit = 200;
  if (text.size() > limit)
    text = text.substr(0, limit / 2) + "..." +
           text.substr(text.size() - limit / 2);
  return text;
}
