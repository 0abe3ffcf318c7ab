//===- Plain.cpp - formats that need no library: BMP and PNM --------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/host/codecs/Images.h"

#include <cctype>

using namespace aicc::host;

namespace {
struct Reader {
  Bytes bytes;
  bool good = true;

  uint32_t little(size_t at, int size) {
    uint32_t value = 0;
    for (int i = 0; i < size; ++i) {
      if (at + size_t(i) >= bytes.size())
        return good = false, 0u;
      value |= uint32_t(bytes[at + size_t(i)]) << 8 * i;
    }
    return value;
  }
};
} // namespace

std::optional<Image> aicc::host::decodeBmp(Bytes bytes) {
  Reader in{bytes};
  const uint32_t start = in.little(10, 4), header = in.little(14, 4);
  const auto width = int32_t(in.little(18, 4)),
             height = int32_t(in.little(22, 4));
  const uint32_t bits = in.little(28, 2), compression = in.little(30, 4);
  uint32_t colors = in.little(46, 4);
  // Neither run lengths nor unusual masks.
  if (!in.good || header < 40 || width <= 0 || height == 0 ||
      height == INT32_MIN || (compression != 0 && compression != 3) ||
      (compression == 3 && bits != 32) ||
      (bits != 1 && bits != 4 && bits != 8 && bits != 24 && bits != 32))
    return std::nullopt;
  const uint32_t rows = uint32_t(height < 0 ? -height : height);
  if (bits <= 8 && (!colors || colors > 1u << bits))
    colors = 1u << bits;
  const size_t stride = (size_t(width) * bits + 31) / 32 * 4;
  Image image;
  if (start > bytes.size() || stride > (bytes.size() - start) / rows ||
      !image.resize(uint32_t(width), rows))
    return std::nullopt;
  uint8_t *out = image.rgb.data();
  for (uint32_t y = 0; y < rows; ++y) {
    const size_t row = start + stride * (height < 0 ? y : rows - 1 - y);
    for (uint32_t x = 0; x < image.width; ++x, out += 3) {
      size_t at = row + size_t(x) * bits / 8;
      if (bits <= 8) {
        const uint32_t index =
            bytes[at] >> (8 - bits - x * bits % 8) & ((1u << bits) - 1);
        at = 14 + size_t(header) + size_t(index) * 4;
        if (index >= colors || at + 3 > bytes.size())
          return std::nullopt;
      }
      out[0] = bytes[at + 2];
      out[1] = bytes[at + 1];
      out[2] = bytes[at];
    }
  }
  return image;
}

std::optional<Image> aicc::host::decodePnm(Bytes bytes) {
  size_t at = 2;
  bool good = true;
  const auto number = [&](bool digit) {
    uint32_t value = 0;
    for (; at < bytes.size(); ++at)
      if (bytes[at] == '#')
        while (at + 1 < bytes.size() && bytes[at] != '\n')
          ++at;
      else if (!std::isspace(bytes[at]))
        break;
    if (at >= bytes.size() || !std::isdigit(bytes[at]))
      return good = false, 0u;
    do
      value = value * 10 + uint32_t(bytes[at++] - '0');
    while (!digit && at < bytes.size() && std::isdigit(bytes[at]) &&
           value < 1u << 24);
    return value;
  };
  const int kind = bytes[1] - '0';
  const bool text = kind <= 3, bitmap = kind == 1 || kind == 4,
             color = kind == 3 || kind == 6;
  const uint32_t width = number(false), height = number(false);
  const uint32_t most = bitmap ? 1 : number(false);
  Image image;
  if (!good || most < 1 || most > 65535)
    return std::nullopt;
  // One white space ends the header.
  at += !text;
  const size_t channels = color ? 3 : 1, wide = most > 255 ? 2 : 1;
  const size_t stride =
      bitmap ? (size_t(width) + 7) / 8 : size_t(width) * channels * wide;
  if (width > bytes.size() * 8 || height > bytes.size() ||
      (!text && (at > bytes.size() ||
                 stride > (bytes.size() - at) / (height ? height : 1))) ||
      !image.resize(width, height))
    return std::nullopt;
  uint8_t *out = image.rgb.data();
  for (size_t y = 0; y < height; ++y)
    for (size_t x = 0; x < width; ++x, out += 3)
      for (size_t c = 0; c < 3; ++c) {
        if (c >= channels) {
          out[c] = out[0];
          continue;
        }
        uint32_t value;
        const size_t row = at + y * stride;
        if (text)
          value = number(bitmap);
        else if (bitmap)
          value = bytes[row + x / 8] >> (7 - x % 8) & 1;
        else if (wide == 1)
          value = bytes[row + x * channels + c];
        else
          value = uint32_t(bytes[row + (x * channels + c) * 2] << 8 |
                           bytes[row + (x * channels + c) * 2 + 1]);
        if (!good)
          return std::nullopt;
        value = value > most ? most : value;
        out[c] = bitmap ? (value ? 0 : 255)
                        : uint8_t((value * 255 + most / 2) / most);
      }
  return image;
}
