//===- Numbers.cpp - strings from numbers and back ------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A float is written with the fewest digits that are read back as the same one,
// the way Python does it: "0.1", "1e-05", "inf". Reading takes what Python's
// float() and int() take, and a fraction where an integer is asked for, which
// is cut off.
//
//===----------------------------------------------------------------------===//

#include "runtime/host/Text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>

using namespace aicc;
using namespace aicc::host;
using enum program::ElementType;

namespace {

// Digits in the shape that Python gives them: an exponent below 1e-4 and from
// 1e16 on, at least one digit behind the point.
std::string arranged(bool negative, std::string digits, int exponent) {
  while (digits.size() > 1 && digits.back() == '0')
    digits.pop_back();
  std::string text = negative ? "-" : "";
  if (exponent >= -4 && exponent < 16) {
    if (exponent < 0)
      return text + "0." + std::string(size_t(-exponent - 1), '0') + digits;
    const size_t whole = size_t(exponent) + 1;
    if (digits.size() <= whole)
      return text + digits + std::string(whole - digits.size(), '0') + ".0";
    return text + digits.substr(0, whole) + "." + digits.substr(whole);
  }
  text += digits.substr(0, 1);
  if (digits.size() > 1)
    text += "." + digits.substr(1);
  const std::string size = std::to_string(std::abs(exponent));
  return text + (exponent < 0 ? "e-" : "e+") + (size.size() < 2 ? "0" : "") +
         size;
}

// What to_chars wrote in the form 1.234e+05.
std::string arranged(const char *begin, const char *end) {
  const bool negative = *begin == '-';
  begin += negative;
  const char *e = std::find(begin, end, 'e');
  std::string digits(begin, e);
  digits.erase(std::remove(digits.begin(), digits.end(), '.'), digits.end());
  int exponent = 0;
  if (e != end)
    std::from_chars(e + 1 + (e[1] == '+'), end, exponent);
  return arranged(negative, std::move(digits), exponent);
}

template <typename T> std::string special(T value) {
  return std::isnan(value) ? "nan" : value < 0 ? "-inf" : "inf";
}

template <typename T> std::string written(T value) {
  if (!std::isfinite(value))
    return special(value);
  char buffer[64];
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), value,
                                 std::chars_format::scientific);
  return arranged(buffer, end.ptr);
}

float fromHalf(uint16_t bits) {
  const int exponent = bits >> 10 & 31, mantissa = bits & 1023;
  const float magnitude =
      exponent == 31  ? (mantissa ? NAN : INFINITY)
      : exponent == 0 ? std::ldexp(float(mantissa), -24)
                      : std::ldexp(float(mantissa + 1024), exponent - 25);
  return bits >> 15 ? -magnitude : magnitude;
}

float fromBfloat(uint16_t bits) {
  const uint32_t wide = uint32_t(bits) << 16;
  float value;
  std::memcpy(&value, &wide, sizeof(value));
  return value;
}

// The fewest digits between whose neighbours no other number of the type is.
// `spacing` is the distance to the next number.
std::string writtenNarrow(float value, float spacing) {
  if (!std::isfinite(value) || value == 0)
    return written(value);
  for (int precision = 0; precision < 12; ++precision) {
    char buffer[64];
    const auto end =
        std::to_chars(buffer, buffer + sizeof(buffer), double(value),
                      std::chars_format::scientific, precision);
    double back = 0;
    std::from_chars(buffer, end.ptr, back);
    if (std::fabs(back - double(value)) < double(spacing) / 2)
      return arranged(buffer, end.ptr);
  }
  return written(value);
}

struct ToString : Function {
  Status make(const Attributes &) { return {}; }

  static std::string one(const Tensor &from, size_t i) {
    const auto at = [&]<typename T>(T) {
      return static_cast<const T *>(from.data)[i];
    };
    switch (from.type) {
    case bool_:
      return at(uint8_t()) ? "True" : "False";
    case i8:
      return std::to_string(at(int8_t()));
    case u8:
      return std::to_string(at(uint8_t()));
    case i16:
      return std::to_string(at(int16_t()));
    case u16:
      return std::to_string(at(uint16_t()));
    case i32:
      return std::to_string(at(int32_t()));
    case u32:
      return std::to_string(at(uint32_t()));
    case i64:
      return std::to_string(at(int64_t()));
    case u64:
      return std::to_string(at(uint64_t()));
    case f32:
      return written(at(float()));
    case f64:
      return written(at(double()));
    case f16: {
      const float value = fromHalf(at(uint16_t()));
      const int exponent = value == 0 ? -14 : std::max(std::ilogb(value), -14);
      return writtenNarrow(value, std::ldexp(1.0f, exponent - 10));
    }
    case bf16: {
      const float value = fromBfloat(at(uint16_t()));
      const int exponent =
          value == 0 ? -126 : std::max(std::ilogb(value), -126);
      return writtenNarrow(value, std::ldexp(1.0f, exponent - 7));
    }
    default:
      return {};
    }
  }

  Status run(const Call &call) const override {
    AICC_RETURN_IF_ERROR(checkTypes(call, {anyType}, {string}));
    const Tensor &from = call.inputs[0];
    switch (from.type) {
    case bool_:
    case i8:
    case u8:
    case i16:
    case u16:
    case i32:
    case u32:
    case i64:
    case u64:
    case f16:
    case bf16:
    case f32:
    case f64:
      break;
    default:
      return invalidArgument(std::string("numbers of type ") +
                             program::elementTypeName(from.type) +
                             " have no text");
    }
    const auto out = textsOf(call.outputs[0]);
    AICC_RETURN_IF_ERROR(checkCount(from, out.size()));
    for (size_t i = 0; i < out.size(); ++i)
      out[i] = keep(call.pool, one(from, i));
    return {};
  }
};

std::string_view trimmed(std::string_view text) {
  const auto space = [](char c) { return c == ' ' || (c >= 9 && c <= 13); };
  while (!text.empty() && space(text.front()))
    text.remove_prefix(1);
  while (!text.empty() && space(text.back()))
    text.remove_suffix(1);
  return text;
}

bool same(std::string_view text, std::string_view lower) {
  return std::equal(text.begin(), text.end(), lower.begin(), lower.end(),
                    [](char a, char b) { return (a | 0x20) == b; });
}

template <typename T> bool readFloat(std::string_view text, T &value) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+'))
    text.remove_prefix(1);
  if (text.empty() || text[0] == '-' || text[0] == '+')
    return false;
  if (same(text, "nan")) {
    value = std::numeric_limits<T>::quiet_NaN();
  } else if (same(text, "inf") || same(text, "infinity")) {
    value = std::numeric_limits<T>::infinity();
  } else {
    const char *end = text.data() + text.size();
    const auto result = std::from_chars(text.data(), end, value);
    if (result.ptr != end || result.ec == std::errc::invalid_argument)
      return false;
    // from_chars leaves the value as it is; which limit it is says strtod.
    if (result.ec == std::errc::result_out_of_range)
      value = T(std::strtod(std::string(text).c_str(), nullptr));
  }
  value = negative ? -value : value;
  return true;
}

template <typename T> bool readInteger(std::string_view text, T &value) {
  std::string_view digits = text;
  if (digits.starts_with('+'))
    digits.remove_prefix(1);
  const char *end = digits.data() + digits.size();
  const auto result = std::from_chars(digits.data(), end, value);
  if (result.ptr == end && result.ec == std::errc())
    return true;
  double real;
  if (!readFloat(text, real) || !std::isfinite(real))
    return false;
  real = std::trunc(real);
  // 2^63 or 2^64, the first number too large.
  const double limit = std::ldexp(1.0, std::numeric_limits<T>::digits);
  if (real >= limit || real < double(std::numeric_limits<T>::min()))
    return false;
  value = T(real);
  return true;
}

// To f32, f64, i64 or u64; kernels make other types of these.
struct FromString : Function {
  Status make(const Attributes &) { return {}; }

  Status run(const Call &call) const override {
    AICC_RETURN_IF_ERROR(checkTypes(call, {string}, {anyType}));
    const Tensor &to = call.outputs[0];
    const auto from = texts(call.inputs[0]);
    AICC_RETURN_IF_ERROR(checkCount(to, from.size()));
    if (to.type != f32 && to.type != f64 && to.type != i64 && to.type != u64)
      return invalidArgument(std::string("strings are not read as ") +
                             program::elementTypeName(to.type));
    for (size_t i = 0; i < from.size(); ++i) {
      const std::string_view text = trimmed(from[i].view());
      const bool good =
          to.type == f32   ? readFloat(text, numbersOf<float>(to)[i])
          : to.type == f64 ? readFloat(text, numbersOf<double>(to)[i])
          : to.type == i64 ? readInteger(text, numbersOf<int64_t>(to)[i])
                           : readInteger(text, numbersOf<uint64_t>(to)[i]);
      if (!good)
        return invalidArgument("\"" + std::string(from[i].view()) +
                               "\" is no number of type " +
                               program::elementTypeName(to.type));
    }
    return {};
  }
};

} // namespace

std::span<const Entry> aicc::host::numberFunctions() {
  static constexpr Entry entries[] = {
      {"number_to_string", makeFunction<ToString>},
      {"string_to_number", makeFunction<FromString>},
  };
  return entries;
}
