//===- Matrix.cpp - what a matrix instruction computes --------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Matrix.h"

#include <cmath>
#include <cstring>
#include <vector>

using namespace aicc::backends::virtual_device;

MatrixPlace
aicc::backends::virtual_device::placeOf(const aicc_virtual_layout &layout,
                                        size_t lane, size_t number) {
  MatrixPlace place;
  for (uint32_t bit = 0; bit < layout.lane_bits; ++bit)
    if (lane >> bit & 1) {
      place.line += layout.lanes[bit][0];
      place.position += layout.lanes[bit][1];
    }
  for (uint32_t bit = 0; bit < layout.element_bits; ++bit)
    if (number >> bit & 1) {
      place.line += layout.elements[bit][0];
      place.position += layout.elements[bit][1];
    }
  return place;
}

namespace {

template <typename T> T bits(const void *from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

float fromHalf(uint16_t half) {
  const uint32_t sign = uint32_t(half & 0x8000) << 16;
  const uint32_t exponent = half >> 10 & 31, mantissa = half & 1023;
  if (exponent == 0) {
    const float value = std::ldexp(float(mantissa), -24);
    return sign ? -value : value;
  }
  const uint32_t wide = exponent == 31 ? 255 : exponent + 112;
  const uint32_t value = sign | wide << 23 | mantissa << 13;
  return bits<float>(&value);
}

// A float of a sign, an exponent and `mantissa` bits in a byte. FNUZ formats
// have one more as their bias, and the code of -0 for NaN.
float fromFloat8(uint8_t code, int mantissa, bool finite, bool unsignedZero) {
  const int exponentBits = 7 - mantissa, magnitude = code & 0x7f;
  const int exponent = magnitude >> mantissa;
  const int fraction = magnitude & ((1 << mantissa) - 1);
  const int bias = (1 << (exponentBits - 1)) - (unsignedZero ? 0 : 1);
  if (unsignedZero ? code == 0x80
      : finite     ? magnitude == 0x7f
                   : magnitude > 0x7c)
    return std::nanf("");
  float value;
  if (!unsignedZero && !finite && magnitude == 0x7c)
    value = HUGE_VALF;
  else if (exponent == 0)
    value = std::ldexp(float(fraction), 1 - bias - mantissa);
  else
    value = std::ldexp(float(fraction + (1 << mantissa)),
                       exponent - bias - mantissa);
  return code & 0x80 ? -value : value;
}

// Element `number` of a fragment, in the type that sums are kept in.
template <typename T>
T element(const void *fragment, size_t number, uint32_t type) {
  const auto *bytes = static_cast<const unsigned char *>(fragment);
  switch (type) {
  case AICC_VIRTUAL_F16:
    return T(fromHalf(bits<uint16_t>(bytes + 2 * number)));
  case AICC_VIRTUAL_BF16: {
    const uint32_t wide = uint32_t(bits<uint16_t>(bytes + 2 * number)) << 16;
    return T(bits<float>(&wide));
  }
  case AICC_VIRTUAL_TF32: {
    const uint32_t kept = bits<uint32_t>(bytes + 4 * number) & ~0x1fffu;
    return T(bits<float>(&kept));
  }
  case AICC_VIRTUAL_F32:
    return T(bits<float>(bytes + 4 * number));
  case AICC_VIRTUAL_F64:
    return T(bits<double>(bytes + 8 * number));
  case AICC_VIRTUAL_I8:
    return T(bits<int8_t>(bytes + number));
  case AICC_VIRTUAL_F8E4M3FN:
    return T(fromFloat8(bytes[number], 3, true, false));
  case AICC_VIRTUAL_F8E5M2:
    return T(fromFloat8(bytes[number], 2, false, false));
  case AICC_VIRTUAL_F8E4M3FNUZ:
    return T(fromFloat8(bytes[number], 3, true, true));
  case AICC_VIRTUAL_F8E5M2FNUZ:
    return T(fromFloat8(bytes[number], 2, true, true));
  default:
    return T(bits<int32_t>(bytes + 4 * number));
  }
}

// Elements of one type after the other; which it is, is asked once.
template <typename T, uint32_t Type>
void convertFrom(const void *from, size_t count, T *to) {
  for (size_t i = 0; i < count; ++i)
    to[i] = element<T>(from, i, Type);
}
template <typename T>
void convert(const void *from, size_t count, uint32_t type, T *to) {
  switch (type) {
  case AICC_VIRTUAL_F16:
    return convertFrom<T, AICC_VIRTUAL_F16>(from, count, to);
  case AICC_VIRTUAL_BF16:
    return convertFrom<T, AICC_VIRTUAL_BF16>(from, count, to);
  case AICC_VIRTUAL_TF32:
    return convertFrom<T, AICC_VIRTUAL_TF32>(from, count, to);
  case AICC_VIRTUAL_F32:
    return convertFrom<T, AICC_VIRTUAL_F32>(from, count, to);
  case AICC_VIRTUAL_F64:
    return convertFrom<T, AICC_VIRTUAL_F64>(from, count, to);
  case AICC_VIRTUAL_I8:
    return convertFrom<T, AICC_VIRTUAL_I8>(from, count, to);
  default:
    for (size_t i = 0; i < count; ++i)
      to[i] = element<T>(from, i, type);
  }
}

// Where the elements of a layout's fragments lie in a matrix of lines of
// `width`: a sum of what the lane and what the number say.
struct Places {
  std::vector<size_t> lanes, elements;
  Places(const aicc_virtual_layout &layout, size_t width, size_t laneCount)
      : lanes(laneCount), elements(size_t(1) << layout.element_bits) {
    auto at = [&](size_t lane, size_t number) {
      const MatrixPlace place = placeOf(layout, lane, number);
      return place.line * width + place.position;
    };
    for (size_t lane = 0; lane < lanes.size(); ++lane)
      lanes[lane] = at(lane, 0);
    for (size_t i = 0; i < elements.size(); ++i)
      elements[i] = at(0, i);
  }
};

// A matrix out of the lanes' fragments; false if lanes that should hold the
// same don't.
template <typename T>
bool collect(const aicc_virtual_layout &layout, uint32_t type, size_t width,
             const MatrixOperands *lanes, size_t count,
             const void *MatrixOperands::*member, std::vector<T> &out) {
  const Places places(layout, width, count);
  std::vector<T> fragment(places.elements.size());
  std::vector<unsigned char> known(out.size());
  bool same = true;
  for (size_t lane = 0; lane < count; ++lane) {
    convert(lanes[lane].*member, fragment.size(), type, fragment.data());
    for (size_t i = 0; i < fragment.size(); ++i) {
      const size_t at = places.lanes[lane] + places.elements[i];
      same &= !known[at] || std::memcmp(&out[at], &fragment[i], sizeof(T)) == 0;
      out[at] = fragment[i];
      known[at] = 1;
    }
  }
  return same;
}

// Two versions of the loops: the host that the code is for has these.
#if defined(__x86_64__)
#define AICC_WIDE __attribute__((target("avx2,fma")))
#else
#define AICC_WIDE
#endif

AICC_WIDE void addRow(float *sums, float a, const float *b, size_t columns) {
  for (size_t j = 0; j < columns; ++j)
    sums[j] = __builtin_fmaf(a, b[j], sums[j]);
}
AICC_WIDE void addRow(double *sums, double a, const double *b, size_t columns) {
  for (size_t j = 0; j < columns; ++j)
    sums[j] = __builtin_fma(a, b[j], sums[j]);
}
AICC_WIDE void addRow(int32_t *sums, int32_t a, const int32_t *b,
                      size_t columns) {
  for (size_t j = 0; j < columns; ++j)
    sums[j] = int32_t(uint32_t(sums[j]) + uint32_t(a) * uint32_t(b[j]));
}

// Columns become rows, so that a row of sums is added to at once.
template <typename T>
std::vector<T> transposed(const std::vector<T> &lines, size_t width) {
  std::vector<T> out(lines.size());
  const size_t count = lines.size() / width;
  for (size_t j = 0; j < count; ++j)
    for (size_t k = 0; k < width; ++k)
      out[k * count + j] = lines[j * width + k];
  return out;
}

template <typename T>
std::string multiplyAs(const aicc_virtual_matrix &what,
                       const MatrixOperands *lanes, size_t count) {
  std::vector<T> a(size_t(what.rows) * what.depth),
      b(size_t(what.columns) * what.depth), c(size_t(what.rows) * what.columns);
  if (!collect(what.a, what.operand, what.depth, lanes, count,
               &MatrixOperands::a, a) ||
      !collect(what.b, what.operand, what.depth, lanes, count,
               &MatrixOperands::b, b))
    return "lanes that must hold the same elements of an operand differ";
  collect(what.c, what.result, what.columns, lanes, count, &MatrixOperands::c,
          c);
  b = transposed(b, what.depth);
  for (size_t i = 0; i < what.rows; ++i)
    for (size_t k = 0; k < what.depth; ++k)
      addRow(&c[i * what.columns], a[i * what.depth + k], &b[k * what.columns],
             what.columns);
  const Places places(what.c, what.columns, count);
  for (size_t lane = 0; lane < count; ++lane)
    for (size_t i = 0; i < places.elements.size(); ++i)
      std::memcpy(static_cast<unsigned char *>(lanes[lane].d) + i * sizeof(T),
                  &c[places.lanes[lane] + places.elements[i]], sizeof(T));
  return "";
}

template <typename T>
void addAs(const aicc_virtual_matrix &what, const unsigned char *a,
           bool aAcross, const unsigned char *b, bool bAcross,
           unsigned char *sums) {
  std::vector<T> left(size_t(what.rows) * what.depth),
      right(size_t(what.depth) * what.columns),
      sum(size_t(what.rows) * what.columns);
  convert(a, left.size(), what.operand, left.data());
  convert(b, right.size(), what.operand, right.data());
  if (aAcross)
    left = transposed(left, what.rows);
  if (!bAcross)
    right = transposed(right, what.depth);
  std::memcpy(sum.data(), sums, sum.size() * sizeof(T));
  for (size_t i = 0; i < what.rows; ++i)
    for (size_t k = 0; k < what.depth; ++k)
      addRow(&sum[i * what.columns], left[i * what.depth + k],
             &right[k * what.columns], what.columns);
  std::memcpy(sums, sum.data(), sum.size() * sizeof(T));
}

} // namespace

size_t MatrixSums::size(uint32_t type) {
  switch (type) {
  case AICC_VIRTUAL_I8:
  case AICC_VIRTUAL_F8E4M3FN:
  case AICC_VIRTUAL_F8E5M2:
  case AICC_VIRTUAL_F8E4M3FNUZ:
  case AICC_VIRTUAL_F8E5M2FNUZ:
    return 1;
  case AICC_VIRTUAL_F16:
  case AICC_VIRTUAL_BF16:
    return 2;
  case AICC_VIRTUAL_F64:
    return 8;
  default:
    return 4;
  }
}

void MatrixSums::put(const aicc_virtual_matrix &what, size_t lane,
                     const void *elements) {
  const size_t bytes = size(what.result);
  for (size_t i = 0; i < size_t(1) << what.c.element_bits; ++i) {
    const MatrixPlace place = placeOf(what.c, lane, i);
    std::memcpy(&bytes_[(place.line * what.columns + place.position) * bytes],
                static_cast<const unsigned char *>(elements) + i * bytes,
                bytes);
  }
}

void MatrixSums::take(const aicc_virtual_matrix &what, size_t lane,
                      void *elements) const {
  const size_t bytes = size(what.result);
  for (size_t i = 0; i < size_t(1) << what.c.element_bits; ++i) {
    const MatrixPlace place = placeOf(what.c, lane, i);
    std::memcpy(static_cast<unsigned char *>(elements) + i * bytes,
                &bytes_[(place.line * what.columns + place.position) * bytes],
                bytes);
  }
}

void MatrixSums::add(const aicc_virtual_matrix &what, const unsigned char *a,
                     bool aAcross, const unsigned char *b, bool bAcross) {
  if (what.result == AICC_VIRTUAL_I32)
    addAs<int32_t>(what, a, aAcross, b, bAcross, bytes_.data());
  else
    addAs<float>(what, a, aAcross, b, bAcross, bytes_.data());
}

std::string
aicc::backends::virtual_device::multiply(const aicc_virtual_matrix &what,
                                         const MatrixOperands *lanes,
                                         size_t count) {
  if (count != size_t(1) << what.c.lane_bits)
    return "a subgroup of " + std::to_string(count) + " lanes, expected " +
           std::to_string(1u << what.c.lane_bits);
  switch (what.result) {
  case AICC_VIRTUAL_F64:
    return multiplyAs<double>(what, lanes, count);
  case AICC_VIRTUAL_I32:
    return multiplyAs<int32_t>(what, lanes, count);
  default:
    return multiplyAs<float>(what, lanes, count);
  }
}
