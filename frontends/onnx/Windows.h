//===- Windows.h - strides, pads and dilations of sliding windows -*- C++ -*-=//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What convolutions and pools have in common. Pure functions of a node.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_FRONTENDS_ONNX_WINDOWS_H
#define AICC_FRONTENDS_ONNX_WINDOWS_H

#include "frontends/onnx/Node.h"

namespace aicc::onnx {

/// One entry per spatial dimension.
struct Windows {
  Ints kernel, strides, dilations, low, high;
  /// How much of `high` was added to round a size up.
  Ints excess;
  /// Sizes of the result.
  Dims sizes;
  size_t rank() const { return kernel.size(); }
  int64_t span(size_t i) const { return (kernel[i] - 1) * dilations[i] + 1; }
};

/// Reads strides, dilations, pads and auto_pad; fails with a message for what
/// does not fit `kernel`. Sizes are not set.
std::optional<Windows> readWindows(Node &node, llvm::ArrayRef<int64_t> kernel);

/// Resolves auto_pad and rounding up for an operand with these spatial
/// dimensions, and sets the sizes.
bool placeWindows(Node &node, Windows &windows,
                  llvm::ArrayRef<AffineExpr> spatial, bool ceilMode);

} // namespace aicc::onnx

#endif // AICC_FRONTENDS_ONNX_WINDOWS_H
