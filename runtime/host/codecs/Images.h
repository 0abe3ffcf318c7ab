//===- Images.h - pictures in files to pixels -------------------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A format each; those whose library was absent at build time decode nothing.
// What is damaged or too large gives nothing. No state.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_RUNTIME_HOST_CODECS_IMAGES_H
#define AICC_RUNTIME_HOST_CODECS_IMAGES_H

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace aicc::host {

using Bytes = std::span<const uint8_t>;

struct Image {
  uint32_t width = 0, height = 0;
  std::vector<uint8_t> rgb; // a row after the other, from the top

  // False for sizes that nobody means.
  bool resize(uint64_t toWidth, uint64_t toHeight) {
    if (!toWidth || !toHeight || toWidth > (1u << 20) ||
        toHeight > (1u << 20) || toWidth * toHeight > (1u << 28))
      return false;
    width = uint32_t(toWidth);
    height = uint32_t(toHeight);
    rgb.assign(size_t(toWidth * toHeight * 3), 0);
    return true;
  }
};

std::optional<Image> decodeBmp(Bytes bytes);
std::optional<Image> decodePnm(Bytes bytes);
std::optional<Image> decodeJpeg(Bytes bytes);
std::optional<Image> decodePng(Bytes bytes);
std::optional<Image> decodeTiff(Bytes bytes);
std::optional<Image> decodeWebp(Bytes bytes);
std::optional<Image> decodeJpeg2000(Bytes bytes);

} // namespace aicc::host

#endif
