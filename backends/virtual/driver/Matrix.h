//===- Matrix.h - what a matrix instruction computes ------------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef AICC_BACKENDS_VIRTUAL_DRIVER_MATRIX_H
#define AICC_BACKENDS_VIRTUAL_DRIVER_MATRIX_H

#include "aicc/virtual.h"

#include <cstddef>
#include <string>

namespace aicc::backends::virtual_device {

/// What each lane of a subgroup gives to a matrix instruction.
struct MatrixOperands {
  const void *a, *b, *c;
  void *d;
};

/// Computes all lanes' results; products are summed in the order of depth, with
/// one rounding each. Returns what is wrong with the operands, "" if nothing.
std::string multiply(const aicc_virtual_matrix &what,
                     const MatrixOperands *lanes, size_t count);

} // namespace aicc::backends::virtual_device

#endif // AICC_BACKENDS_VIRTUAL_DRIVER_MATRIX_H
