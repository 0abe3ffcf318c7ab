//===- Codecs.cpp - functions of the host that need libraries -------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A library of its own, libaicc_host, so that the runtime needs none: it is
// opened when a program calls one of these functions.
//
//===----------------------------------------------------------------------===//

#include "runtime/host/Text.h"
#include "runtime/host/codecs/Images.h"

#include <cstring>

#if AICC_HAS_RE2
#include <re2/re2.h>
#endif

using namespace aicc;
using namespace aicc::host;
using enum program::ElementType;

namespace {

std::optional<Image> decode(Bytes bytes) {
  const auto begins = [&](std::string_view magic, size_t at = 0) {
    return bytes.size() >= at + magic.size() &&
           !std::memcmp(bytes.data() + at, magic.data(), magic.size());
  };
  using namespace std::string_view_literals;
  if (begins("BM"))
    return decodeBmp(bytes);
  if (begins("\xff\xd8\xff"))
    return decodeJpeg(bytes);
  if (begins("\x89PNG"))
    return decodePng(bytes);
  if (begins("RIFF") && begins("WEBP", 8))
    return decodeWebp(bytes);
  if (begins("II\x2a\0"sv) || begins("MM\0\x2a"sv) || begins("II\x2b\0"sv) ||
      begins("MM\0\x2b"sv))
    return decodeTiff(bytes);
  if (begins("\0\0\0\x0cjP  \r\n\x87\n"sv) || begins("\xff\x4f\xff\x51"))
    return decodeJpeg2000(bytes);
  if (bytes.size() > 2 && bytes[0] == 'P' && bytes[1] >= '1' && bytes[1] <= '6')
    return decodePnm(bytes);
  return std::nullopt;
}

// Height, width and channels of a picture; zeros for what is none.
struct ImageSize : Function {
  enum class Format { rgb, bgr, gray } format = Format::rgb;

  Status make(const Attributes &attributes) {
    std::optional<std::string> name;
    AICC_RETURN_IF_ERROR(attributes.text("format", name));
    if (name == "BGR")
      format = Format::bgr;
    else if (name == "Grayscale")
      format = Format::gray;
    else if (name && name != "RGB")
      return invalidArgument("attribute 'format' is '" + *name +
                             "', expected RGB, BGR or Grayscale");
    return {};
  }
  int64_t channels() const { return format == Format::gray ? 1 : 3; }
  static std::optional<Image> picture(const Tensor &from) {
    return decode(
        {static_cast<const uint8_t *>(from.data), size_t(from.elements())});
  }
  Status run(const Call &call) const override {
    AICC_RETURN_IF_ERROR(checkTypes(call, {u8}, {i64}));
    AICC_RETURN_IF_ERROR(checkCount(call.outputs[0], 3));
    const auto size = numbersOf<int64_t>(call.outputs[0]);
    const std::optional<Image> image = picture(call.inputs[0]);
    size[0] = image ? image->height : 0;
    size[1] = image ? image->width : 0;
    size[2] = image ? channels() : 0;
    return {};
  }
};

struct ImagePixels : ImageSize {
  Status run(const Call &call) const override {
    AICC_RETURN_IF_ERROR(checkTypes(call, {u8}, {u8}));
    const auto out = numbersOf<uint8_t>(call.outputs[0]);
    if (out.empty())
      return {};
    const std::optional<Image> image = picture(call.inputs[0]);
    if (!image)
      return invalidArgument("the picture can't be decoded");
    const size_t pixels = image->rgb.size() / 3;
    AICC_RETURN_IF_ERROR(
        checkCount(call.outputs[0], pixels * uint64_t(channels())));
    const uint8_t *from = image->rgb.data();
    for (size_t i = 0; i < pixels; ++i, from += 3) {
      if (format == Format::gray) {
        // ITU-R 601-2 luma, rounded.
        out[i] = uint8_t(
            (from[0] * 19595u + from[1] * 38470u + from[2] * 7471u + 0x8000u) >>
            16);
        continue;
      }
      const bool swap = format == Format::bgr;
      out[3 * i] = from[swap ? 2 : 0];
      out[3 * i + 1] = from[1];
      out[3 * i + 2] = from[swap ? 0 : 2];
    }
    return {};
  }
};

#if AICC_HAS_RE2
struct RegexFullMatch : Function {
  std::unique_ptr<RE2> pattern;

  Status make(const Attributes &attributes) {
    std::optional<std::string> text;
    AICC_RETURN_IF_ERROR(attributes.text("pattern", text));
    if (!text)
      return invalidArgument("attribute 'pattern' is missing");
    pattern = std::make_unique<RE2>(*text, RE2::Quiet);
    if (!pattern->ok())
      return invalidArgument("attribute 'pattern' is no regular expression: " +
                             pattern->error());
    return {};
  }
  Status run(const Call &call) const override {
    AICC_RETURN_IF_ERROR(checkTypes(call, {string}, {bool_}));
    const auto from = texts(call.inputs[0]);
    const auto out = numbersOf<uint8_t>(call.outputs[0]);
    AICC_RETURN_IF_ERROR(checkCount(call.outputs[0], from.size()));
    for (size_t i = 0; i < out.size(); ++i)
      out[i] = RE2::FullMatch(
          re2::StringPiece(from[i].data, size_t(from[i].size)), *pattern);
    return {};
  }
};
#endif

constexpr Entry entries[] = {
    {"image_size", makeFunction<ImageSize>},
    {"image_pixels", makeFunction<ImagePixels>},
#if AICC_HAS_RE2
    {"regex_full_match", makeFunction<RegexFullMatch>},
#endif
};

} // namespace

// What runtime/host/Functions.cpp looks for.
extern "C" __attribute__((visibility("default"))) const Entry *
aicc_host_functions_1(size_t *out_count) {
  *out_count = std::size(entries);
  return entries;
}
