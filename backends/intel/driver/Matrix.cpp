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
  return spirv.find("_matrix_mad_k") != std::string::npos;
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
