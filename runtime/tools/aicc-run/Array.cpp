//===- Array.cpp - tensors as the tool handles them -----------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Array.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstring>

using namespace aicc::run;

void aicc::run::check(aicc_status status) {
  if (status != AICC_OK)
    throw Error(aicc_message());
}

std::string aicc::run::printDims(const std::vector<int64_t> &dims) {
  std::string text;
  for (int64_t dim : dims)
    text += (text.empty() ? "" : "x") + std::to_string(dim);
  return text.empty() ? "scalar" : text;
}

aicc_type aicc::run::typeNamed(const std::string &name) {
  for (int type = AICC_BOOL; type <= AICC_STRING; ++type)
    if (name == aicc_type_name(aicc_type(type)))
      return aicc_type(type);
  throw UsageError("element type '" + name + "' doesn't exist");
}

size_t Array::count() const {
  size_t count = 1;
  for (int64_t dim : dims)
    count *= size_t(dim);
  return count;
}

void Array::checkDims() const {
  uint64_t bytes = aicc_type_size(type);
  for (int64_t dim : dims)
    if (dim < 0 || __builtin_mul_overflow(bytes, uint64_t(dim), &bytes) ||
        bytes > uint64_t(1) << 46)
      throw Error("shape " + printDims(dims) + " is absurd");
}

void Array::allocate() {
  checkDims();
  try {
    storage.assign((bytes() + 7) / 8 + 1, 0);
  } catch (const std::bad_alloc &) {
    throw Error("no memory for shape " + printDims(dims));
  }
}

float aicc::run::bfloatToFloat(uint16_t bits) {
  return std::bit_cast<float>(uint32_t(bits) << 16);
}

uint16_t aicc::run::floatToBfloat(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if (std::isnan(value))
    return uint16_t(bits >> 16 | 0x40);
  return uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

float aicc::run::halfToFloat(uint16_t bits) {
  const uint32_t sign = uint32_t(bits & 0x8000) << 16;
  const uint32_t exponent = bits >> 10 & 0x1f, fraction = bits & 0x3ff;
  if (exponent == 0x1f)
    return std::bit_cast<float>(sign | 0x7f800000 | fraction << 13);
  if (exponent == 0) // denormals are exact multiples of 2^-24
    return std::copysign(std::ldexp(float(fraction), -24),
                         std::bit_cast<float>(sign | 0x3f800000));
  return std::bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
}

uint16_t aicc::run::floatToHalf(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint16_t sign = uint16_t(bits >> 16 & 0x8000);
  const float magnitude = std::fabs(value);
  if (std::isnan(value))
    return sign | 0x7e00;
  if (magnitude >= 65520)
    return sign | 0x7c00;
  if (magnitude < 6.103515625e-05f) // below the smallest normal
    return uint16_t(sign | int(std::nearbyint(std::ldexp(magnitude, 24))));
  const uint32_t rounded = (bits & 0x7fffffff) + 0xfff + (bits >> 13 & 1);
  return uint16_t(sign | ((rounded >> 13) - (112 << 10)));
}

namespace {
// A float of eight bits or fewer: its bits, their number of mantissa bits and
// the exponent's bias; `specials` are its codes above the largest number.
struct NarrowFloat {
  int bits, mantissa, bias;
  enum { none, nan, infinityAndNan, unsignedZero } specials;
};

NarrowFloat narrowFormat(aicc_type type) {
  switch (type) {
  case AICC_F8E4M3FN:
    return {8, 3, 7, NarrowFloat::nan};
  case AICC_F8E4M3FNUZ:
    return {8, 3, 8, NarrowFloat::unsignedZero};
  case AICC_F8E5M2:
    return {8, 2, 15, NarrowFloat::infinityAndNan};
  case AICC_F8E5M2FNUZ:
    return {8, 2, 16, NarrowFloat::unsignedZero};
  case AICC_F6E2M3FN:
    return {6, 3, 1, NarrowFloat::none};
  case AICC_F6E3M2FN:
    return {6, 2, 3, NarrowFloat::none};
  default:
    return {4, 1, 1, NarrowFloat::none};
  }
}

double narrowToDouble(aicc_type type, uint8_t code) {
  const double nan = std::nan("");
  if (type == AICC_F8E8M0FNU)
    return code == 0xff ? nan : std::ldexp(1, int(code) - 127);
  const NarrowFloat format = narrowFormat(type);
  const int sign = 1 << (format.bits - 1), magnitude = code & (sign - 1);
  const int one = 1 << format.mantissa;
  const int exponent = magnitude >> format.mantissa;
  const int fraction = magnitude & (one - 1);
  if (format.specials == NarrowFloat::unsignedZero && code == sign)
    return nan;
  if (format.specials == NarrowFloat::nan && magnitude == sign - 1)
    return nan;
  double value = exponent == 0
                     ? std::ldexp(fraction, 1 - format.bias - format.mantissa)
                     : std::ldexp(one + fraction,
                                  exponent - format.bias - format.mantissa);
  if (format.specials == NarrowFloat::infinityAndNan && exponent == 31)
    value = fraction ? nan : HUGE_VAL;
  return code & sign ? -value : value;
}

// Of integers narrower than a byte only their bits count.
int narrowToInt(aicc_type type, uint8_t code) {
  const int spare = type == AICC_I4 || type == AICC_U4 ? 4 : 6;
  const auto high = uint8_t(code << spare);
  return type == AICC_I4 || type == AICC_I2 ? int8_t(high) >> spare
                                            : high >> spare;
}
} // namespace

double Array::at(size_t index) const {
  auto get = [&]<typename T>(T value) {
    std::memcpy(&value,
                reinterpret_cast<const char *>(storage.data()) +
                    index * sizeof value,
                sizeof value);
    return value;
  };
  switch (type) {
  case AICC_BOOL:
    return get(uint8_t()) != 0;
  case AICC_I8:
    return get(int8_t());
  case AICC_U8:
    return get(uint8_t());
  case AICC_I16:
    return get(int16_t());
  case AICC_U16:
    return get(uint16_t());
  case AICC_I32:
    return get(int32_t());
  case AICC_U32:
    return get(uint32_t());
  case AICC_I64:
    return double(get(int64_t()));
  case AICC_U64:
    return double(get(uint64_t()));
  case AICC_F16:
    return halfToFloat(get(uint16_t()));
  case AICC_BF16:
    return bfloatToFloat(get(uint16_t()));
  case AICC_F32:
    return get(float());
  case AICC_F64:
    return get(double());
  case AICC_F8E4M3FN:
  case AICC_F8E4M3FNUZ:
  case AICC_F8E5M2:
  case AICC_F8E5M2FNUZ:
  case AICC_F8E8M0FNU:
  case AICC_F4E2M1FN:
  case AICC_F6E2M3FN:
  case AICC_F6E3M2FN:
    return narrowToDouble(type, get(uint8_t()));
  case AICC_I4:
  case AICC_U4:
  case AICC_I2:
  case AICC_U2:
    return narrowToInt(type, get(uint8_t()));
  case AICC_C64:
  case AICC_C128:
  case AICC_TYPE_LIMIT:
  case AICC_STRING:
    break; // no single number
  }
  return 0;
}

Array aicc::run::fromTensor(const aicc_tensor *tensor,
                            const std::string &name) {
  Array array;
  array.name = name;
  array.type = aicc_tensor_type(tensor);
  const int64_t *dims = aicc_tensor_dims(tensor);
  array.dims.assign(dims, dims + aicc_tensor_rank(tensor));
  array.allocate();
  if (array.bytes())
    std::memcpy(array.data(), aicc_tensor_data(tensor), array.bytes());
  return array;
}

namespace {

// SplitMix64: the same numbers everywhere, unlike the standard library's
// distributions.
struct Random {
  uint64_t state;
  uint64_t next() {
    uint64_t z = state += 0x9E3779B97F4A7C15;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
    z = (z ^ z >> 27) * 0x94D049BB133111EB;
    return z ^ z >> 31;
  }
  double uniform() { return double(next() >> 11) * 0x1p-53; }
  double normal() { // Box-Muller
    const double radius = std::sqrt(-2 * std::log(1 - uniform()));
    return radius * std::cos(6.283185307179586 * uniform());
  }
};

} // namespace

void aicc::run::fillRandom(Array &array, uint64_t seed) {
  array.allocate();
  Random random{seed * 0x9E3779B97F4A7C15 + 1};
  auto *bytes = static_cast<char *>(array.data());
  const size_t size = aicc_type_size(array.type), count = array.count();
  for (size_t i = 0; i < count; ++i) {
    auto put = [&](auto value) {
      std::memcpy(bytes + i * size, &value, sizeof value);
    };
    switch (array.type) {
    case AICC_F16:
      put(floatToHalf(float(random.normal())));
      break;
    case AICC_BF16:
      put(floatToBfloat(float(random.normal())));
      break;
    case AICC_F32:
      put(float(random.normal()));
      break;
    case AICC_F64:
      put(random.normal());
      break;
    case AICC_C64:
      put(std::array<float, 2>{float(random.normal()), float(random.normal())});
      break;
    case AICC_C128:
      put(std::array<double, 2>{random.normal(), random.normal()});
      break;
    case AICC_STRING: // empty
      break;
    default:
      bytes[i * size] = char(random.next() >> 63); // the rest is zero
    }
  }
}
