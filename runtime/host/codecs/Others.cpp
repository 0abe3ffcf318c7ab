//===- Others.cpp - TIFF, WebP, JPEG 2000 ---------------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/host/codecs/Images.h"

#include <algorithm>
#include <cstring>
#include <memory>

using namespace aicc::host;

#if AICC_HAS_TIFF

#include <tiffio.h>

namespace {
struct File {
  Bytes bytes;
  toff_t at = 0;
};

File &file(thandle_t handle) { return *static_cast<File *>(handle); }

tmsize_t readTiff(thandle_t handle, void *to, tmsize_t size) {
  File &from = file(handle);
  const uint64_t left =
      from.at < from.bytes.size() ? from.bytes.size() - from.at : 0;
  const size_t count = size_t(std::min<uint64_t>(left, uint64_t(size)));
  std::memcpy(to, from.bytes.data() + (count ? from.at : 0), count);
  from.at += count;
  return tmsize_t(count);
}
tmsize_t writeTiff(thandle_t, void *, tmsize_t) { return 0; }
toff_t seekTiff(thandle_t handle, toff_t offset, int from) {
  File &in = file(handle);
  in.at = from == SEEK_SET   ? offset
          : from == SEEK_CUR ? in.at + offset
                             : in.bytes.size() + offset;
  return in.at;
}
int closeTiff(thandle_t) { return 0; }
toff_t sizeTiff(thandle_t handle) { return file(handle).bytes.size(); }
} // namespace

std::optional<Image> aicc::host::decodeTiff(Bytes bytes) {
  static const bool silent = [] {
    TIFFSetErrorHandler(nullptr);
    TIFFSetWarningHandler(nullptr);
    return true;
  }();
  (void)silent;
  File from{bytes};
  const std::unique_ptr<TIFF, void (*)(TIFF *)> tiff(
      TIFFClientOpen("image", "rm", &from, readTiff, writeTiff, seekTiff,
                     closeTiff, sizeTiff, nullptr, nullptr),
      [](TIFF *open) {
        if (open)
          TIFFClose(open);
      });
  uint32_t width = 0, height = 0;
  Image image;
  if (!tiff || !TIFFGetField(tiff.get(), TIFFTAG_IMAGEWIDTH, &width) ||
      !TIFFGetField(tiff.get(), TIFFTAG_IMAGELENGTH, &height) ||
      !image.resize(width, height))
    return std::nullopt;
  std::vector<uint32_t> pixels(size_t(width) * height);
  if (!TIFFReadRGBAImageOriented(tiff.get(), width, height, pixels.data(),
                                 ORIENTATION_TOPLEFT, 1))
    return std::nullopt;
  for (size_t i = 0; i < pixels.size(); ++i) {
    image.rgb[3 * i] = uint8_t(TIFFGetR(pixels[i]));
    image.rgb[3 * i + 1] = uint8_t(TIFFGetG(pixels[i]));
    image.rgb[3 * i + 2] = uint8_t(TIFFGetB(pixels[i]));
  }
  return image;
}

#else
std::optional<Image> aicc::host::decodeTiff(Bytes) { return {}; }
#endif

#if AICC_HAS_WEBP

#include <webp/decode.h>

std::optional<Image> aicc::host::decodeWebp(Bytes bytes) {
  int width = 0, height = 0;
  Image image;
  if (!WebPGetInfo(bytes.data(), bytes.size(), &width, &height) ||
      !image.resize(uint64_t(width), uint64_t(height)) ||
      !WebPDecodeRGBInto(bytes.data(), bytes.size(), image.rgb.data(),
                         image.rgb.size(), width * 3))
    return std::nullopt;
  return image;
}

#else
std::optional<Image> aicc::host::decodeWebp(Bytes) { return {}; }
#endif

#if AICC_HAS_OPENJPEG

#include <openjpeg.h>

namespace {
struct Source {
  Bytes bytes;
  size_t at = 0;
};

OPJ_SIZE_T readJpeg2000(void *to, OPJ_SIZE_T size, void *data) {
  auto &from = *static_cast<Source *>(data);
  const size_t count = std::min(from.bytes.size() - from.at, size_t(size));
  if (!count)
    return OPJ_SIZE_T(-1);
  std::memcpy(to, from.bytes.data() + from.at, count);
  from.at += count;
  return count;
}
OPJ_OFF_T skipJpeg2000(OPJ_OFF_T size, void *data) {
  auto &from = *static_cast<Source *>(data);
  if (size < 0 || uint64_t(size) > from.bytes.size() - from.at)
    return -1;
  from.at += size_t(size);
  return size;
}
OPJ_BOOL seekJpeg2000(OPJ_OFF_T to, void *data) {
  auto &from = *static_cast<Source *>(data);
  if (to < 0 || uint64_t(to) > from.bytes.size())
    return OPJ_FALSE;
  from.at = size_t(to);
  return OPJ_TRUE;
}

// A component's value as eight bits.
uint8_t sample(const opj_image_comp_t &component, size_t i) {
  int64_t value = component.data[i];
  if (component.sgnd)
    value += int64_t(1) << (component.prec - 1);
  if (component.prec > 8)
    value >>= component.prec - 8;
  else if (component.prec < 8)
    value = value * 255 / ((1 << component.prec) - 1);
  return uint8_t(std::clamp<int64_t>(value, 0, 255));
}
} // namespace

std::optional<Image> aicc::host::decodeJpeg2000(Bytes bytes) {
  const bool raw = bytes.size() > 1 && bytes[0] == 0xff;
  Source source{bytes};
  const std::unique_ptr<opj_stream_t, void (*)(opj_stream_t *)> stream(
      opj_stream_default_create(OPJ_TRUE), opj_stream_destroy);
  const std::unique_ptr<opj_codec_t, void (*)(opj_codec_t *)> codec(
      opj_create_decompress(raw ? OPJ_CODEC_J2K : OPJ_CODEC_JP2),
      opj_destroy_codec);
  if (!stream || !codec)
    return std::nullopt;
  opj_stream_set_read_function(stream.get(), readJpeg2000);
  opj_stream_set_skip_function(stream.get(), skipJpeg2000);
  opj_stream_set_seek_function(stream.get(), seekJpeg2000);
  opj_stream_set_user_data(stream.get(), &source, nullptr);
  opj_stream_set_user_data_length(stream.get(), bytes.size());
  opj_dparameters_t parameters;
  opj_set_default_decoder_parameters(&parameters);
  opj_image_t *opened = nullptr;
  Image image;
  bool good = opj_setup_decoder(codec.get(), &parameters) &&
              opj_read_header(stream.get(), codec.get(), &opened);
  const std::unique_ptr<opj_image_t, void (*)(opj_image_t *)> owner(
      opened, [](opj_image_t *picture) {
        if (picture)
          opj_image_destroy(picture);
      });
  good = good && opened->x1 > opened->x0 && opened->y1 > opened->y0 &&
         image.resize(opened->x1 - opened->x0, opened->y1 - opened->y0) &&
         opj_decode(codec.get(), stream.get(), opened) && opened->numcomps;
  if (!good)
    return std::nullopt;
  const uint32_t channels = opened->numcomps >= 3 ? 3 : 1;
  for (uint32_t c = 0; c < channels; ++c) {
    const opj_image_comp_t &component = opened->comps[c];
    if (!component.data || component.w != image.width ||
        component.h != image.height || component.prec < 1 ||
        component.prec > 31)
      return std::nullopt;
  }
  for (size_t i = 0; i < image.rgb.size() / 3; ++i)
    for (uint32_t c = 0; c < 3; ++c)
      image.rgb[3 * i + c] = sample(opened->comps[channels == 3 ? c : 0], i);
  return image;
}

#else
std::optional<Image> aicc::host::decodeJpeg2000(Bytes) { return {}; }
#endif
