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
#include <vector>

namespace aicc::backends::virtual_device {

/// The line and the position in it of an element of a lane.
struct MatrixPlace {
  size_t line = 0, position = 0;
};
MatrixPlace placeOf(const aicc_virtual_layout &layout, size_t lane,
                    size_t number);

/// What each lane of a subgroup gives to a matrix instruction.
struct MatrixOperands {
  const void *a, *b, *c;
  void *d;
};

/// Computes all lanes' results; products are summed in the order of depth, with
/// one rounding each. Returns what is wrong with the operands, "" if nothing.
std::string multiply(const aicc_virtual_matrix &what,
                     const MatrixOperands *lanes, size_t count);

/// A matrix of sums that instructions beside the threads add to: rows of
/// columns, in the type of the result.
class MatrixSums {
public:
  explicit MatrixSums(const aicc_virtual_matrix &what)
      : bytes_(size_t(what.rows) * what.columns * size(what.result)) {}

  /// A lane's elements.
  void put(const aicc_virtual_matrix &what, size_t lane, const void *elements);
  void take(const aicc_virtual_matrix &what, size_t lane, void *elements) const;
  /// Adds a * b. An operand is one line after the other or, if it lies across,
  /// one depth after the other, as it was in memory.
  void add(const aicc_virtual_matrix &what, const unsigned char *a,
           bool aAcross, const unsigned char *b, bool bAcross);

  /// Bytes of an element, AICC_VIRTUAL_F16 ...
  static size_t size(uint32_t type);

private:
  std::vector<unsigned char> bytes_;
};

} // namespace aicc::backends::virtual_device

#endif // AICC_BACKENDS_VIRTUAL_DRIVER_MATRIX_H
