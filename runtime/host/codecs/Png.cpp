//===- Png.cpp - PNG by libpng --------------------------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/host/codecs/Images.h"

#if AICC_HAS_PNG

#include <cstring>
#include <png.h>

namespace {
void read(png_structp png, png_bytep to, size_t size) {
  auto &rest = *static_cast<aicc::host::Bytes *>(png_get_io_ptr(png));
  if (size > rest.size())
    png_error(png, "the file ends too early");
  std::memcpy(to, rest.data(), size);
  rest = rest.subspan(size);
}
[[noreturn]] void failed(png_structp png, png_const_charp) {
  png_longjmp(png, 1);
}
void silent(png_structp, png_const_charp) {}

// Everything with a destructor belongs to the caller, since errors jump.
bool decode(aicc::host::Bytes &bytes, aicc::host::Image &image,
            std::vector<png_bytep> &rows) {
  png_structp png =
      png_create_read_struct(PNG_LIBPNG_VER_STRING, nullptr, failed, silent);
  png_infop info = png ? png_create_info_struct(png) : nullptr;
  if (!info || setjmp(png_jmpbuf(png))) {
    png_destroy_read_struct(&png, &info, nullptr);
    return false;
  }
  png_set_read_fn(png, &bytes, read);
  png_read_info(png, info);
  png_set_expand(png);
  png_set_strip_16(png);
  png_set_gray_to_rgb(png);
  png_set_strip_alpha(png);
  png_set_interlace_handling(png);
  png_read_update_info(png, info);
  if (!image.resize(png_get_image_width(png, info),
                    png_get_image_height(png, info)) ||
      png_get_rowbytes(png, info) != size_t(image.width) * 3)
    png_error(png, "the picture is too large");
  for (size_t y = 0; y < image.height; ++y)
    rows.push_back(image.rgb.data() + y * image.width * 3);
  png_read_image(png, rows.data());
  png_destroy_read_struct(&png, &info, nullptr);
  return true;
}
} // namespace

std::optional<aicc::host::Image> aicc::host::decodePng(Bytes bytes) {
  Image image;
  std::vector<png_bytep> rows;
  return decode(bytes, image, rows) ? std::optional(std::move(image))
                                    : std::nullopt;
}

#else

std::optional<aicc::host::Image> aicc::host::decodePng(Bytes) { return {}; }

#endif
