//===- TensorProto.cpp - ONNX's file format for one tensor ----------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The fields of TensorProto from onnx.proto, decoded by hand: the tool needs
// no protobuf library for one message.
//
//===----------------------------------------------------------------------===//

#include "Files.h"

#include <bit>
#include <cstring>
#include <filesystem>

using namespace aicc::run;

namespace {

class Reader {
public:
  explicit Reader(std::string_view bytes) : bytes(bytes) {}
  bool done() const { return bytes.empty(); }

  uint64_t varint() {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (bytes.empty())
        throw Error("message is cut off");
      const uint8_t byte = uint8_t(bytes[0]);
      bytes.remove_prefix(1);
      value |= uint64_t(byte & 0x7f) << shift;
      if (!(byte & 0x80))
        return value;
    }
    throw Error("message has a number that is too long");
  }
  std::string_view take(uint64_t size) {
    if (size > bytes.size())
      throw Error("message is cut off");
    std::string_view taken = bytes.substr(0, size);
    bytes.remove_prefix(size);
    return taken;
  }
  template <typename T> T fixed() {
    T value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }
  std::string_view block() { return take(varint()); }
  void skip(unsigned wire) {
    switch (wire) {
    case 0:
      varint();
      return;
    case 1:
      take(8);
      return;
    case 2:
      block();
      return;
    case 5:
      take(4);
      return;
    }
    throw Error("message has wire type " + std::to_string(wire));
  }

private:
  std::string_view bytes;
};

// TensorProto.DataType
enum DataType {
  FLOAT = 1,
  UINT8,
  INT8,
  UINT16,
  INT16,
  INT32,
  INT64,
  STRING,
  BOOL,
  FLOAT16,
  DOUBLE,
  UINT32,
  UINT64,
  COMPLEX64,
  COMPLEX128,
  BFLOAT16,
  FLOAT8E4M3FN,
  FLOAT8E4M3FNUZ,
  FLOAT8E5M2,
  FLOAT8E5M2FNUZ,
  UINT4,
  INT4,
  FLOAT4E2M1,
  FLOAT8E8M0,
  UINT2,
  INT2,
  FLOAT6E2M3,
  FLOAT6E3M2
};

constexpr std::pair<DataType, aicc_type> plainTypes[] = {
    {FLOAT, AICC_F32},
    {UINT8, AICC_U8},
    {INT8, AICC_I8},
    {UINT16, AICC_U16},
    {INT16, AICC_I16},
    {INT32, AICC_I32},
    {INT64, AICC_I64},
    {BOOL, AICC_BOOL},
    {FLOAT16, AICC_F16},
    {DOUBLE, AICC_F64},
    {UINT32, AICC_U32},
    {UINT64, AICC_U64},
    {BFLOAT16, AICC_BF16},
    {COMPLEX64, AICC_C64},
    {COMPLEX128, AICC_C128},
    {FLOAT8E4M3FN, AICC_F8E4M3FN},
    {FLOAT8E4M3FNUZ, AICC_F8E4M3FNUZ},
    {FLOAT8E5M2, AICC_F8E5M2},
    {FLOAT8E5M2FNUZ, AICC_F8E5M2FNUZ},
    {FLOAT8E8M0, AICC_F8E8M0FNU},
    {FLOAT4E2M1, AICC_F4E2M1FN},
    {FLOAT6E2M3, AICC_F6E2M3FN},
    {FLOAT6E3M2, AICC_F6E3M2FN},
    {UINT4, AICC_U4},
    {INT4, AICC_I4},
    {UINT2, AICC_U2},
    {INT2, AICC_I2}};

// Bits of an element in a file where they are packed, else 0.
unsigned packedBits(aicc_type type) {
  switch (type) {
  case AICC_I2:
  case AICC_U2:
    return 2;
  case AICC_I4:
  case AICC_U4:
  case AICC_F4E2M1FN:
    return 4;
  case AICC_F6E2M3FN:
  case AICC_F6E3M2FN:
    return 6;
  default:
    return 0;
  }
}

struct Proto {
  std::string name;
  int64_t type = 0;
  std::vector<int64_t> dims;
  bool hasRaw = false;
  std::string_view raw;
  std::vector<float> floats;
  std::vector<double> doubles;
  std::vector<int64_t> ints; // int32_data, int64_data, uint64_data
  bool external = false;
  std::string location;
  uint64_t offset = 0, length = UINT64_MAX;
};

// Repeated numbers stand packed in a block or one by one.
template <typename Read>
void repeated(Reader &reader, unsigned wire, Read read) {
  if (wire != 2) {
    read(reader);
    return;
  }
  Reader block(reader.block());
  while (!block.done())
    read(block);
}

uint64_t number(const std::string &text, const char *what) {
  try {
    return std::stoull(text);
  } catch (const std::exception &) {
    throw Error(std::string("external data has ") + what + " '" + text + "'");
  }
}

void parseExternal(std::string_view bytes, Proto &proto) {
  Reader reader(bytes);
  std::string key, value;
  while (!reader.done()) {
    const uint64_t tag = reader.varint();
    if (tag == (1 << 3 | 2))
      key = reader.block();
    else if (tag == (2 << 3 | 2))
      value = reader.block();
    else
      reader.skip(tag & 7);
  }
  if (key == "location")
    proto.location = value;
  else if (key == "offset")
    proto.offset = number(value, "offset");
  else if (key == "length")
    proto.length = number(value, "length");
}

Proto parse(std::string_view bytes) {
  Proto proto;
  Reader reader(bytes);
  while (!reader.done()) {
    const uint64_t tag = reader.varint();
    const unsigned wire = tag & 7;
    switch (tag >> 3) {
    case 1: // dims
      repeated(reader, wire,
               [&](Reader &r) { proto.dims.push_back(int64_t(r.varint())); });
      break;
    case 2:
      proto.type = int64_t(reader.varint());
      break;
    case 4: // float_data
      repeated(reader, wire,
               [&](Reader &r) { proto.floats.push_back(r.fixed<float>()); });
      break;
    case 5:  // int32_data
    case 7:  // int64_data
    case 11: // uint64_data
      repeated(reader, wire,
               [&](Reader &r) { proto.ints.push_back(int64_t(r.varint())); });
      break;
    case 8:
      proto.name = reader.block();
      break;
    case 9:
      proto.raw = reader.block();
      proto.hasRaw = true;
      break;
    case 10: // double_data
      repeated(reader, wire,
               [&](Reader &r) { proto.doubles.push_back(r.fixed<double>()); });
      break;
    case 13:
      parseExternal(reader.block(), proto);
      break;
    case 14:
      proto.external = reader.varint() == 1;
      break;
    default:
      reader.skip(wire);
    }
  }
  return proto;
}

// Data in another file, which must be in the folder or below.
std::string readExternal(const Proto &proto, const std::string &folder,
                         size_t bytes) {
  const std::filesystem::path location(proto.location);
  bool leaves = location.empty() || location.is_absolute();
  for (const std::filesystem::path &part : location)
    leaves |= part == "..";
  if (leaves)
    throw Error("external data '" + proto.location + "' leaves the folder");
  const std::string path = (std::filesystem::path(folder) / location).string();
  const std::string contents = readFile(path);
  const uint64_t length = proto.length == UINT64_MAX ? bytes : proto.length;
  if (proto.offset > contents.size() || length > contents.size() - proto.offset)
    throw Error("external data '" + proto.location + "' is too short");
  return contents.substr(proto.offset, length);
}

// Values narrower than a byte, a row of bits from the lowest on, as bytes.
void unpack(std::string_view raw, unsigned bits, bool isSigned, Array &array) {
  if (raw.size() != (array.count() * bits + 7) / 8)
    throw Error("data has " + std::to_string(raw.size()) + " bytes for " +
                std::to_string(array.count()) + " elements");
  array.allocate();
  for (size_t i = 0; i < array.count(); ++i) {
    const size_t byte = i * bits / 8, shift = i * bits % 8;
    int value = uint8_t(raw[byte]);
    if (shift + bits > 8)
      value |= uint8_t(raw[byte + 1]) << 8;
    value = value >> shift & ((1 << bits) - 1);
    if (isSigned && value >> (bits - 1))
      value -= 1 << bits;
    static_cast<char *>(array.data())[i] = char(value);
  }
}

template <typename To, typename From>
void store(const std::vector<From> &values, Array &array) {
  for (size_t i = 0; i < values.size(); ++i) {
    const To value = To(values[i]);
    std::memcpy(static_cast<char *>(array.data()) + i * sizeof value, &value,
                sizeof value);
  }
}

void storeInts(const std::vector<int64_t> &values, Array &array) {
  switch (aicc_type_size(array.type)) {
  case 1:
    store<uint8_t>(values, array);
    break;
  case 2: // also the bits of f16 and bf16
    store<uint16_t>(values, array);
    break;
  case 4:
    store<uint32_t>(values, array);
    break;
  default:
    store<uint64_t>(values, array);
  }
}

} // namespace

Array aicc::run::parseTensorProto(const std::string &contents,
                                  const std::string &folder) {
  const Proto proto = parse(contents);
  Array array;
  array.name = proto.name;
  array.dims = proto.dims;
  bool known = false;
  for (auto [onnx, type] : plainTypes)
    if (proto.type == onnx) {
      array.type = type;
      known = true;
    }
  if (!known) {
    if (proto.type == STRING)
      throw Error("element type STRING is not supported");
    throw Error("it is no tensor: element type " + std::to_string(proto.type));
  }
  array.checkDims();
  const unsigned bits = packedBits(array.type);
  const bool isSigned = array.type == AICC_I4 || array.type == AICC_I2;

  std::string external;
  std::string_view raw = proto.raw;
  if (proto.external) {
    external = readExternal(
        proto, folder, bits ? (array.count() * bits + 7) / 8 : array.bytes());
    raw = external;
  }
  // Six-bit floats that aren't in raw bytes have a number each.
  if (bits && (bits != 6 || proto.external || proto.hasRaw)) {
    std::string packed;
    if (!proto.external && !proto.hasRaw)
      for (int64_t value : proto.ints)
        packed += char(value);
    unpack(packed.empty() ? raw : std::string_view(packed), bits, isSigned,
           array);
    return array;
  }
  if (proto.external || proto.hasRaw) {
    if (raw.size() != array.bytes())
      throw Error("data has " + std::to_string(raw.size()) +
                  " bytes, expected " + std::to_string(array.bytes()) +
                  " for shape " + printDims(array.dims));
    array.allocate();
    std::memcpy(array.data(), raw.data(), raw.size());
    return array;
  }
  const bool isFloat = array.type == AICC_F32 || array.type == AICC_C64;
  const bool isDouble = array.type == AICC_F64 || array.type == AICC_C128;
  const bool isComplex = array.type == AICC_C64 || array.type == AICC_C128;
  const size_t expected = array.count() * (isComplex ? 2 : 1);
  const size_t found = isFloat    ? proto.floats.size()
                       : isDouble ? proto.doubles.size()
                                  : proto.ints.size();
  if (found != expected)
    throw Error("found " + std::to_string(found) + " elements, expected " +
                std::to_string(expected) + " for shape " +
                printDims(array.dims));
  array.allocate();
  if (isFloat)
    store<float>(proto.floats, array);
  else if (isDouble)
    store<double>(proto.doubles, array);
  else
    storeInts(proto.ints, array);
  return array;
}
