//===- Values.cpp - values that are given for a model's inputs ------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/driver/Values.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/MemoryBuffer.h"

#include <cstring>
#include <optional>

using llvm::StringRef;

namespace aicc::driver {

namespace {

struct ElementType {
  StringRef name;
  int number; // TensorProto.DataType
  unsigned bits;
};

constexpr ElementType types[] = {
    {"f32", 1, 32},        {"u8", 2, 8},          {"i8", 3, 8},
    {"u16", 4, 16},        {"i16", 5, 16},        {"i32", 6, 32},
    {"i64", 7, 64},        {"bool", 9, 8},        {"f16", 10, 16},
    {"f64", 11, 64},       {"u32", 12, 32},       {"u64", 13, 64},
    {"c64", 14, 64},       {"c128", 15, 128},     {"bf16", 16, 16},
    {"f8e4m3fn", 17, 8},   {"f8e4m3fnuz", 18, 8}, {"f8e5m2", 19, 8},
    {"f8e5m2fnuz", 20, 8}, {"u4", 21, 4},         {"i4", 22, 4},
    {"f4e2m1fn", 23, 4},   {"f8e8m0fnu", 24, 8},  {"u2", 25, 2},
    {"i2", 26, 2}};

void appendVarint(std::string &out, uint64_t value) {
  for (; value > 0x7f; value >>= 7)
    out += char(value | 0x80);
  out += char(value);
}

/// The value of `key` in the Python dictionary of a .npy header.
StringRef entry(StringRef header, StringRef key) {
  StringRef rest = header.split(("'" + key + "':").str()).second.ltrim();
  if (rest.consume_front("("))
    return rest.take_until([](char c) { return c == ')'; });
  if (rest.consume_front("'"))
    return rest.take_until([](char c) { return c == '\''; });
  return rest.take_until([](char c) { return c == ',' || c == '}'; });
}

StringRef typeOfNpy(StringRef description) {
  constexpr std::pair<StringRef, StringRef> names[] = {
      {"|b1", "bool"}, {"|i1", "i8"},   {"|u1", "u8"},  {"<i2", "i16"},
      {"<u2", "u16"},  {"<i4", "i32"},  {"<u4", "u32"}, {"<i8", "i64"},
      {"<u8", "u64"},  {"<f2", "f16"},  {"<f4", "f32"}, {"<f8", "f64"},
      {"<c8", "c64"},  {"<c16", "c128"}};
  for (auto [npy, name] : names)
    if (npy == description)
      return name;
  return {};
}

} // namespace

std::string makeTensor(std::string_view type, const std::vector<int64_t> &dims,
                       const void *data, size_t bytes, std::string &error) {
  const ElementType *found = nullptr;
  for (const ElementType &candidate : types)
    if (candidate.name == StringRef(type))
      found = &candidate;
  if (!found) {
    error = "element type \"" + std::string(type) + "\" is not known";
    return {};
  }
  // A byte each where elements are smaller than that.
  int64_t count = 1, expected = std::max(found->bits / 8, 1u);
  for (int64_t dim : dims)
    if (dim < 0 || llvm::MulOverflow(count, dim, count))
      expected = 0;
  if (!expected || llvm::MulOverflow(expected, count, expected)) {
    error = "the dimensions are negative or too large";
    return {};
  }
  if (uint64_t(expected) != bytes) {
    error = "data has " + std::to_string(bytes) + " bytes, expected " +
            std::to_string(expected);
    return {};
  }
  std::string packed;
  if (found->bits < 8) {
    const unsigned each = 8 / found->bits, mask = (1u << found->bits) - 1;
    packed.assign(llvm::divideCeil(count, each), 0);
    for (int64_t i = 0; i < count; ++i)
      packed[i / each] |= (static_cast<const unsigned char *>(data)[i] & mask)
                          << (i % each * found->bits);
    data = packed.data();
    bytes = packed.size();
  }
  // Fields of TensorProto: 1 dims, 2 data_type, 9 raw_data.
  std::string tensor;
  for (int64_t dim : dims) {
    tensor += char(1 << 3);
    appendVarint(tensor, dim);
  }
  tensor += char(2 << 3);
  appendVarint(tensor, found->number);
  tensor += char(9 << 3 | 2);
  appendVarint(tensor, bytes);
  tensor.append(static_cast<const char *>(data), bytes);
  return tensor;
}

std::string readTensor(const std::string &path, std::string &error) {
  auto file = llvm::MemoryBuffer::getFile(path);
  if (!file) {
    error = "can't read " + path + ": " + file.getError().message();
    return {};
  }
  StringRef contents = (*file)->getBuffer();
  if (!contents.consume_front("\x93NUMPY"))
    return contents.str();
  auto bad = [&](const std::string &what) {
    error = path + ": " + what;
    return std::string();
  };
  // Two bytes of version, then the header's length: 16 bits in version 1.
  const size_t wide = !contents.empty() && contents[0] >= 2 ? 4 : 2;
  if (contents.size() < 2 + wide)
    return bad("the file is cut off");
  uint32_t length = 0;
  std::memcpy(&length, contents.data() + 2, wide);
  contents = contents.drop_front(2 + wide);
  if (length > contents.size())
    return bad("the header is cut off");
  StringRef header = contents.take_front(length);
  contents = contents.drop_front(length);
  StringRef type = typeOfNpy(entry(header, "descr"));
  if (type.empty())
    return bad("element type \"" + entry(header, "descr").str() +
               "\" is not supported");
  std::vector<int64_t> dims;
  llvm::SmallVector<StringRef> parts;
  entry(header, "shape").split(parts, ',', -1, /*KeepEmpty=*/false);
  for (StringRef part : parts) {
    int64_t dim;
    if (part.trim().empty())
      continue;
    if (part.trim().getAsInteger(10, dim))
      return bad("shape \"" + entry(header, "shape").str() + "\" is absurd");
    dims.push_back(dim);
  }
  if (entry(header, "fortran_order") == "True" && dims.size() > 1)
    return bad("the array is column-major, expected row-major");
  std::string tensor =
      makeTensor(type, dims, contents.data(), contents.size(), error);
  return error.empty() ? tensor : bad(error);
}

} // namespace aicc::driver
