//===- Matrix.cpp - matrix instructions where the device has none ---------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Matrix.h"

#include <cstdlib>
#include <cstring>

using namespace aicc::intel;

// By the extension's text. Subgroups of 16: lane l holds of a one place of each
// row m (for bytes two), a[m] = A[m][l]; subgroups of 8: two places (for bytes
// four) in an int. Of b and c a lane holds the column l, four bytes of
// neighbours in depth to an int.
static const char source[] = R"(
#pragma OPENCL EXTENSION cl_khr_fp16 : enable
#pragma OPENCL EXTENSION cl_khr_subgroup_shuffle : enable

__attribute__((overloadable)) float8
intel_sub_group_f16_f16_matrix_mad_k16(short8 a, int8 b, float8 c) {
  for (int r = 0; r < 8; ++r) {
    const half2 column = as_half2(b[r]);
    for (int m = 0; m < 8; ++m) {
      const float even = (float)as_half(sub_group_shuffle(a[m], 2 * r));
      const float odd = (float)as_half(sub_group_shuffle(a[m], 2 * r + 1));
      c[m] = fma(even, (float)column.x, c[m]);
      c[m] = fma(odd, (float)column.y, c[m]);
    }
  }
  return c;
}

static float upper(ushort bits) { return as_float((uint)bits << 16); }

__attribute__((overloadable)) float8
intel_sub_group_bf16_bf16_matrix_mad_k16(short8 a, int8 b, float8 c) {
  for (int r = 0; r < 8; ++r) {
    const ushort2 column = as_ushort2(b[r]);
    for (int m = 0; m < 8; ++m) {
      const float even = upper(as_ushort(sub_group_shuffle(a[m], 2 * r)));
      const float odd = upper(as_ushort(sub_group_shuffle(a[m], 2 * r + 1)));
      c[m] = fma(even, upper(column.x), c[m]);
      c[m] = fma(odd, upper(column.y), c[m]);
    }
  }
  return c;
}

__attribute__((overloadable)) int8
intel_sub_group_i8_i8_matrix_mad_k32(short8 a, int8 b, int8 c) {
  for (int r = 0; r < 8; ++r) {
    const char4 column = as_char4(b[r]);
    for (int m = 0; m < 8; ++m) {
      const char2 first = as_char2(sub_group_shuffle(a[m], 2 * r));
      const char2 second = as_char2(sub_group_shuffle(a[m], 2 * r + 1));
      c[m] += first.x * column.x + first.y * column.y + second.x * column.z +
              second.y * column.w;
    }
  }
  return c;
}

__attribute__((overloadable)) float8
intel_sub_group_f16_f16_matrix_mad_k16(int8 a, int8 b, float8 c) {
  for (int r = 0; r < 8; ++r) {
    const half2 column = as_half2(b[r]);
    for (int m = 0; m < 8; ++m) {
      const half2 row = as_half2(sub_group_shuffle(a[m], r));
      c[m] = fma((float)row.x, (float)column.x, c[m]);
      c[m] = fma((float)row.y, (float)column.y, c[m]);
    }
  }
  return c;
}

__attribute__((overloadable)) float8
intel_sub_group_bf16_bf16_matrix_mad_k16(int8 a, int8 b, float8 c) {
  for (int r = 0; r < 8; ++r) {
    const ushort2 column = as_ushort2(b[r]);
    for (int m = 0; m < 8; ++m) {
      const ushort2 row = as_ushort2(sub_group_shuffle(a[m], r));
      c[m] = fma(upper(row.x), upper(column.x), c[m]);
      c[m] = fma(upper(row.y), upper(column.y), c[m]);
    }
  }
  return c;
}

__attribute__((overloadable)) int8
intel_sub_group_i8_i8_matrix_mad_k32(int8 a, int8 b, int8 c) {
  for (int r = 0; r < 8; ++r) {
    const char4 column = as_char4(b[r]);
    for (int m = 0; m < 8; ++m) {
      const char4 row = as_char4(sub_group_shuffle(a[m], r));
      c[m] += row.x * column.x + row.y * column.y + row.z * column.z +
              row.w * column.w;
    }
  }
  return c;
}

// Blocks of a matrix of `height` lines of `width` bytes, `pitch` bytes from line
// to line; what is outside is 0.
#define IN_LINE(x, size) ((x) >= 0 && ((x) + 1) * (int)(size) <= width)
#define READ(type, line, x)                                                    \
  ((line) >= 0 && (line) < height && IN_LINE(x, sizeof(type))                  \
       ? ((const global type *)((const global char *)base +                    \
                                (long)(line) * pitch))[x]                      \
       : (type)0)
#define FUNCTION(name, word)                                                   \
  __attribute__((overloadable)) void intel_sub_group_2d_block_read_##name(     \
      global void *base, int width, int height, int pitch, int2 at,            \
      private word *to)

// One place of 16 bits, or two of 8 bits, for each lane.
#define PLAIN(name, rows)                                                      \
  FUNCTION(16b_##name, ushort) {                                               \
    const int x = at.x + (int)get_sub_group_local_id();                        \
    for (int i = 0; i < rows; ++i)                                             \
      for (int block = 0; block < 2; ++block)                                  \
        to[block * rows + i] = READ(ushort, at.y + i, x + 16 * block);         \
  }
#define PAIRS(name, rows)                                                      \
  FUNCTION(8b_##name, ushort) {                                                \
    const int x = at.x + 2 * (int)get_sub_group_local_id();                    \
    for (int i = 0; i < rows; ++i)                                             \
      for (int block = 0; block < 2; ++block)                                  \
        to[block * rows + i] = as_ushort(                                      \
            (uchar2)(READ(uchar, at.y + i, x + 32 * block),                    \
                     READ(uchar, at.y + i, x + 32 * block + 1)));              \
  }
PLAIN(8r16x2c, 8)
PLAIN(16r16x2c, 16)
PLAIN(32r16x2c, 32)
PAIRS(8r32x2c, 8)
PAIRS(16r32x2c, 16)
PAIRS(32r32x2c, 32)

// A column for each lane, 32 bits of neighbouring rows to a word.
#define PACKED(name, blocks)                                                   \
  FUNCTION(transform_16b_32r16x##name, uint) {                                 \
    const int x = at.x + (int)get_sub_group_local_id();                        \
    for (int block = 0; block < blocks; ++block)                               \
      for (int i = 0; i < 16; ++i)                                             \
        to[16 * block + i] = as_uint(                                          \
            (ushort2)(READ(ushort, at.y + 2 * i, x + 16 * block),              \
                      READ(ushort, at.y + 2 * i + 1, x + 16 * block)));        \
  }                                                                            \
  FUNCTION(transform_8b_32r16x##name, uint) {                                  \
    const int x = at.x + (int)get_sub_group_local_id();                        \
    for (int block = 0; block < blocks; ++block)                               \
      for (int i = 0; i < 8; ++i)                                              \
        to[8 * block + i] = as_uint(                                           \
            (uchar4)(READ(uchar, at.y + 4 * i, x + 16 * block),                \
                     READ(uchar, at.y + 4 * i + 1, x + 16 * block),            \
                     READ(uchar, at.y + 4 * i + 2, x + 16 * block),            \
                     READ(uchar, at.y + 4 * i + 3, x + 16 * block)));          \
  }
PACKED(1c, 1)
PACKED(2c, 2)

// A row for each lane.
FUNCTION(transpose_32b_16r8x1c, uint) {
  const int line = at.y + (int)get_sub_group_local_id();
  for (int i = 0; i < 8; ++i)
    to[i] = READ(uint, line, at.x + i);
}

#define PREFETCH(name)                                                         \
  __attribute__((overloadable)) void intel_sub_group_2d_block_prefetch_##name( \
      global void *base, int width, int height, int pitch, int2 at) {}
PREFETCH(16b_8r16x2c)
PREFETCH(16b_16r16x2c)
PREFETCH(16b_32r16x2c)
PREFETCH(16b_32r16x1c)
PREFETCH(8b_8r32x2c)
PREFETCH(8b_16r32x2c)
PREFETCH(8b_32r32x2c)
PREFETCH(8b_32r16x1c)
PREFETCH(8b_32r16x2c)
PREFETCH(32b_16r8x1c)
)";

MatrixSupport aicc::intel::matrixSupport(const std::string &extensions,
                                         bool isCpu) {
  if (extensions.find("cl_intel_subgroup_matrix_multiply_accumulate") !=
      std::string::npos)
    return MatrixSupport::hardware;
  const char *wanted = std::getenv("AICC_INTEL_SOFTWARE_XMX");
  return isCpu && wanted && std::strcmp(wanted, "1") == 0
             ? MatrixSupport::software
             : MatrixSupport::none;
}

bool aicc::intel::usesMatrix(const std::string &spirv) {
  return spirv.find("_matrix_mad_k") != std::string::npos ||
         spirv.find("_2d_block_read_") != std::string::npos;
}

cl_program aicc::intel::buildWithMatrix(const Library &cl, cl_context context,
                                        cl_device_id device,
                                        const std::string &spirv,
                                        const char *options,
                                        cl_int &out_error) {
  const char *text = source;
  const size_t length = sizeof source - 1;
  cl_program parts[2] = {};
  parts[0] =
      cl.clCreateProgramWithIL(context, spirv.data(), spirv.size(), &out_error);
  if (!out_error)
    parts[1] =
        cl.clCreateProgramWithSource(context, 1, &text, &length, &out_error);
  const char *languages[] = {options, "-cl-std=CL3.0"};
  cl_program result = nullptr;
  for (unsigned i = 0; i < 2 && !out_error; ++i) {
    out_error = cl.clCompileProgram(parts[i], 1, &device, languages[i], 0,
                                    nullptr, nullptr, nullptr, nullptr);
    if (out_error) // its log says why
      std::swap(result, parts[i]);
  }
  if (!out_error)
    result = cl.clLinkProgram(context, 1, &device, nullptr, 2, parts, nullptr,
                              nullptr, &out_error);
  for (cl_program part : parts)
    if (part)
      cl.clReleaseProgram(part);
  return result;
}
