//===- Jpeg.cpp - JPEG by libjpeg -----------------------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/host/codecs/Images.h"

#if AICC_HAS_JPEG

#include <cstdio>

#include <csetjmp>
#include <jpeglib.h>

namespace {
struct Errors {
  jpeg_error_mgr base;
  jmp_buf jump;
};

[[noreturn]] void leave(j_common_ptr info) {
  longjmp(reinterpret_cast<Errors *>(info->err)->jump, 1);
}
void silent(j_common_ptr) {}

// Everything with a destructor belongs to the caller, since errors jump.
bool decode(aicc::host::Bytes bytes, aicc::host::Image &image) {
  jpeg_decompress_struct info;
  Errors errors;
  info.err = jpeg_std_error(&errors.base);
  errors.base.error_exit = leave;
  errors.base.output_message = silent;
  if (setjmp(errors.jump)) {
    jpeg_destroy_decompress(&info);
    return false;
  }
  jpeg_create_decompress(&info);
  jpeg_mem_src(&info, bytes.data(), bytes.size());
  jpeg_read_header(&info, TRUE);
  info.out_color_space = JCS_RGB;
  if (!image.resize(info.image_width, info.image_height)) {
    jpeg_destroy_decompress(&info);
    return false;
  }
  jpeg_start_decompress(&info);
  while (info.output_scanline < info.output_height) {
    JSAMPROW row =
        image.rgb.data() + size_t(info.output_scanline) * image.width * 3;
    jpeg_read_scanlines(&info, &row, 1);
  }
  jpeg_finish_decompress(&info);
  jpeg_destroy_decompress(&info);
  return true;
}
} // namespace

std::optional<aicc::host::Image> aicc::host::decodeJpeg(Bytes bytes) {
  Image image;
  return decode(bytes, image) ? std::optional(std::move(image)) : std::nullopt;
}

#else

std::optional<aicc::host::Image> aicc::host::decodeJpeg(Bytes) { return {}; }

#endif
