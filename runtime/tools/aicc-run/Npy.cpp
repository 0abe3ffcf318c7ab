//===- Npy.cpp - NumPy's file format --------------------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Files.h"

#include <cstring>

using namespace aicc::run;

static constexpr std::pair<const char *, aicc_type> descriptions[] = {
    {"|b1", AICC_BOOL}, {"|i1", AICC_I8},   {"|u1", AICC_U8},
    {"<i2", AICC_I16},  {"<u2", AICC_U16},  {"<i4", AICC_I32},
    {"<u4", AICC_U32},  {"<i8", AICC_I64},  {"<u8", AICC_U64},
    {"<f2", AICC_F16},  {"<f4", AICC_F32},  {"<f8", AICC_F64},
    {"<V2", AICC_BF16}, {"|V2", AICC_BF16}, {"<c8", AICC_C64},
    {"<c16", AICC_C128}};

// NumPy has no names for the narrow types: their arrays are bytes, to which the
// model's input gives the type.
static constexpr const char *byteDescriptions[] = {"|V1", "<V1", "<f1"};

// The text of `key` in the header's Python dictionary, up to where it ends.
static std::string entry(const std::string &header, const std::string &key) {
  const size_t at = header.find("'" + key + "':");
  if (at == std::string::npos)
    throw Error("header has no '" + key + "'");
  size_t begin = header.find_first_not_of(' ', at + key.size() + 3);
  if (begin == std::string::npos)
    throw Error("header is cut off");
  const char first = header[begin];
  const char *close = first == '(' ? ")" : first == '\'' ? "'" : ",} ";
  const size_t end = header.find_first_of(close, begin + 1);
  if (end == std::string::npos)
    throw Error("header is cut off");
  if (first == '(' || first == '\'')
    ++begin;
  return header.substr(begin, end - begin);
}

// Column-major data in the order that everything else uses.
static void transpose(Array &array) {
  std::vector<uint64_t> source = array.storage;
  const size_t size = aicc_type_size(array.type), count = array.count();
  std::vector<size_t> index(array.dims.size());
  std::vector<size_t> stride(array.dims.size());
  size_t step = 1;
  for (size_t d = 0; d < stride.size(); ++d) {
    stride[d] = step;
    step *= size_t(array.dims[d]);
  }
  for (size_t i = 0; i < count; ++i) {
    size_t from = 0;
    for (size_t d = 0; d < index.size(); ++d)
      from += index[d] * stride[d];
    std::memcpy(static_cast<char *>(array.data()) + i * size,
                reinterpret_cast<const char *>(source.data()) + from * size,
                size);
    for (size_t d = index.size(); d-- > 0;) {
      if (++index[d] < size_t(array.dims[d]))
        break;
      index[d] = 0;
    }
  }
}

Array aicc::run::parseNpy(const std::string &contents) {
  if (contents.size() < 12)
    throw Error("file is cut off");
  const bool wide = contents[6] >= 2; // version 1 has a 16-bit length
  uint32_t length = 0;
  std::memcpy(&length, contents.data() + 8, wide ? 4 : 2);
  const size_t begin = wide ? 12 : 10;
  if (length > contents.size() - begin)
    throw Error("header is cut off");
  const std::string header = contents.substr(begin, length);

  Array array;
  const std::string description = entry(header, "descr");
  bool known = false;
  for (auto [name, type] : descriptions)
    if (description == name) {
      array.type = type;
      known = true;
    }
  for (const char *name : byteDescriptions)
    if (description == name) {
      array.type = AICC_U8;
      array.untyped = known = true;
    }
  if (!known)
    throw Error("element type '" + description + "' is not supported");
  const std::string shape = entry(header, "shape");
  for (size_t at = 0; at < shape.size();) {
    at = shape.find_first_of("0123456789", at);
    if (at == std::string::npos)
      break;
    size_t used = 0;
    try {
      array.dims.push_back(std::stoll(shape.substr(at), &used));
    } catch (const std::exception &) {
      throw Error("shape (" + shape + ") is absurd");
    }
    at += used;
  }
  array.checkDims();
  const size_t found = contents.size() - begin - length;
  if (found != array.bytes())
    throw Error("data has " + std::to_string(found) + " bytes, expected " +
                std::to_string(array.bytes()) + " for shape " +
                printDims(array.dims));
  array.allocate();
  std::memcpy(array.data(), contents.data() + begin + length, found);
  if (entry(header, "fortran_order") == "True" && array.dims.size() > 1)
    transpose(array);
  return array;
}

std::string aicc::run::formatNpy(const Array &array) {
  // What NumPy has no name for is written wider.
  if (array.type == AICC_BF16 ||
      (array.type >= AICC_F8E4M3FN && array.type <= AICC_F6E3M2FN)) {
    Array wide;
    wide.type = AICC_F32;
    wide.dims = array.dims;
    wide.allocate();
    for (size_t i = 0; i < array.count(); ++i)
      static_cast<float *>(wide.data())[i] = float(array.at(i));
    return formatNpy(wide);
  }
  if (array.type >= AICC_I4 && array.type <= AICC_U2) {
    Array wide;
    const bool isSigned = array.type == AICC_I4 || array.type == AICC_I2;
    wide.type = isSigned ? AICC_I8 : AICC_U8;
    wide.dims = array.dims;
    wide.allocate();
    for (size_t i = 0; i < array.count(); ++i)
      static_cast<char *>(wide.data())[i] = char(int(array.at(i)));
    return formatNpy(wide);
  }
  std::string header = "{'descr': '";
  for (auto [name, type] : descriptions)
    if (array.type == type) {
      header += name;
      break;
    }
  header += "', 'fortran_order': False, 'shape': (";
  for (int64_t dim : array.dims)
    header += std::to_string(dim) + ", ";
  if (array.dims.size() > 1)
    header.resize(header.size() - 2);
  header += "), }";
  // The data begins at a multiple of 64, after a newline.
  const size_t prefix = 10;
  header.append(63 - (prefix + header.size()) % 64, ' ');
  header += '\n';
  std::string file("\x93NUMPY\x01\x00", 8);
  file += char(header.size() & 0xff);
  file += char(header.size() >> 8);
  file += header;
  file.append(static_cast<const char *>(array.data()), array.bytes());
  return file;
}
