//===- Windows.cpp - strides, pads and dilations of sliding windows -----===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/Windows.h"
#include "frontends/onnx/Node.h"

#include "llvm/ADT/StringExtras.h"

#include <cmath>
#include <limits>

using namespace mlir;
using namespace aicc::onnx;
using llvm::StringRef;
using llvm::Twine;
namespace gr = aicc::graph;

std::optional<Windows> aicc::onnx::readWindows(Node &n,
                                               ArrayRef<int64_t> kernel) {
  Windows w;
  size_t rank = kernel.size();
  w.kernel = Ints(kernel);
  w.strides = n.integers("strides", Ints(rank, 1));
  w.dilations = n.integers("dilations", Ints(rank, 1));
  Ints pads = n.integers("pads", Ints(2 * rank, 0));
  w.excess = Ints(rank, 0);
  if (n.failed() ||
      !n.require(w.strides.size() == rank && w.dilations.size() == rank &&
                     pads.size() == 2 * rank,
                 "strides, dilations and pads do not fit a window of " +
                     Twine(rank) + " dimensions"))
    return std::nullopt;
  // Far above any real window, and products of these do not overflow.
  constexpr int64_t most = int64_t(1) << 24;
  for (size_t i = 0; i < rank; ++i)
    if (!n.require(w.kernel[i] > 0 && w.kernel[i] <= most && w.strides[i] > 0 &&
                       w.strides[i] <= most && w.dilations[i] > 0 &&
                       w.dilations[i] <= most,
                   "a window, stride or dilation is out of range"))
      return std::nullopt;
  for (int64_t pad : pads)
    if (!n.require(pad >= -most && pad <= most, "a pad is out of range"))
      return std::nullopt;
  w.low = Ints(pads.begin(), pads.begin() + rank);
  w.high = Ints(pads.begin() + rank, pads.end());
  return w;
}

bool aicc::onnx::placeWindows(Node &n, Windows &w, ArrayRef<AffineExpr> spatial,
                              bool ceilMode) {
  std::string automatic = n.string("auto_pad", "NOTSET");
  bool upper = automatic == "SAME_UPPER";
  bool same = upper || automatic == "SAME_LOWER";
  if (!n.require(same || automatic == "NOTSET" || automatic == "VALID" ||
                     automatic.empty(),
                 "auto_pad is \"" + automatic +
                     "\", expected NOTSET, VALID, SAME_UPPER or SAME_LOWER"))
    return false;
  if (!n.require(w.rank() == spatial.size(),
                 "the window has " + Twine(w.rank()) +
                     " dimensions, expected " + Twine(spatial.size())))
    return false;
  for (size_t i = 0; i < w.rank(); ++i) {
    auto size = gr::constantOf(spatial[i]);
    int64_t span = w.span(i), stride = w.strides[i];
    if (automatic == "VALID")
      w.low[i] = w.high[i] = 0;
    if (same) {
      // ceil(in / stride) windows; the pad that needs depends on the size
      // unless the stride is one.
      if (!size && stride != 1) {
        n.unsupported("auto_pad " + automatic +
                      " with a stride over a dynamic dimension");
        return false;
      }
      int64_t in = size.value_or(0);
      int64_t total =
          stride == 1
              ? span - 1
              : std::max<int64_t>(
                    0, (llvm::divideCeil(in, stride) - 1) * stride + span - in);
      w.low[i] = upper ? total / 2 : total - total / 2;
      w.high[i] = total - w.low[i];
    }
    int64_t slack = w.low[i] + w.high[i] - span;
    if (ceilMode && stride > 1 && !same && automatic != "VALID") {
      int64_t high;
      if (size) {
        int64_t room = *size + slack;
        if (!n.require(room >= 0, "the window is larger than the operand"))
          return false;
        int64_t count = llvm::divideCeil(room, stride) + 1;
        // A window that would start in the padding after the end is dropped.
        if ((count - 1) * stride >= *size + w.low[i])
          --count;
        high = std::max<int64_t>(0, (count - 1) * stride + span - *size -
                                        w.low[i]);
      } else {
        if (span < stride + w.high[i]) {
          n.unsupported("ceil_mode with windows that may start in the padding "
                        "of a dynamic dimension");
          return false;
        }
        high = w.high[i] + stride - 1;
      }
      w.excess[i] = std::max<int64_t>(0, high - w.high[i]);
      w.high[i] = high;
      slack = w.low[i] + w.high[i] - span;
    }
    AffineExpr room = gr::simplify(spatial[i] + slack);
    if (size && !n.require(*size + slack >= 0,
                           "the window of " + Twine(span) +
                               " is larger than the padded operand of " +
                               Twine(*size + slack + span)))
      return false;
    w.sizes.push_back(gr::simplify(room.floorDiv(stride) + 1));
  }
  return true;
}
