//===- Matrix.h - matrix instructions where the device has none -*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Kernels for chips with XMX call the built-in functions of
// cl_intel_subgroup_matrix_multiply_accumulate and, where the chip has it, of
// cl_intel_subgroup_2d_block_io. A device without them can run
// the same objects, linked with functions in OpenCL C that do the same: slowly,
// so only if asked for by AICC_INTEL_SOFTWARE_XMX=1.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_BACKENDS_INTEL_DRIVER_MATRIX_H
#define AICC_BACKENDS_INTEL_DRIVER_MATRIX_H

#include "OpenCl.h"

#include <string>

namespace aicc::intel {

/// The feature that a device with matrix instructions has, real or not: they
/// are executed by its smallest subgroups only (8 on Arc, 16 on Max).
inline std::string matrixFeature(size_t subgroup) {
  return "xmx" + std::to_string(subgroup);
}

/// That of devices which load blocks of matrices.
constexpr const char *blockFeature = "block2d";

/// Those for which they are written in OpenCL C.
constexpr size_t softwareMatrixSubgroups[] = {8, 16};

enum class MatrixSupport { none, hardware, software };
MatrixSupport matrixSupport(const std::string &extensions, bool isCpu);

/// Whether an object calls the functions.
bool usesMatrix(const std::string &spirv);

/// Builds an object together with the functions. The program, which may be
/// there for its log after an error.
cl_program buildWithMatrix(const Library &cl, cl_context context,
                           cl_device_id device, const std::string &spirv,
                           const char *options, cl_int &out_error);

} // namespace aicc::intel

#endif // AICC_BACKENDS_INTEL_DRIVER_MATRIX_H
