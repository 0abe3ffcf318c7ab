//===- Microsoft.h - what the files of com.microsoft share ------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef AICC_FRONTENDS_ONNX_MICROSOFT_H
#define AICC_FRONTENDS_ONNX_MICROSOFT_H

#include "frontends/onnx/Node.h"

#include "llvm/ADT/StringExtras.h"

namespace aicc::onnx {

/// Narrow floats as f32, others as they are.
Value widen(Node &n, Value x);
/// The erf form, the tanh form, and x * sigmoid(alpha * x).
Value geluOf(Node &n, Value x);
Value tanhGeluOf(Node &n, Value x);
Value siluOf(Node &n, Value x, double alpha = 1);
/// [N, spatial..., C] to [N, C, spatial...] and back.
Value channelsFirst(Node &n, Value x);
Value channelsLast(Node &n, Value x);
/// Rows of a matrix, chosen by indices of any rank.
Value rowsOf(Node &n, Value table, Value indices);

/// The tables of an embedding layer, as floats.
struct Embedding {
  Value words, positions, segments, gamma, beta, mask, placeIds;
};
/// EmbedLayerNormalization and its quantised form.
void embed(Node &n, const Embedding &e);

/// Attention over an input that is projected already: [B, S, Dq + Dk + Dv],
/// with inputs by their number in the node. Sets outputs 0 and 1.
struct Projected {
  Value qkv;
  unsigned mask, past;
  std::optional<unsigned> bias;
};
void attendProjected(Node &n, const Projected &p);

/// (x - zero) * scale as f32, each a scalar or along `axis`; an absent zero
/// point is 0.
Value dequantized(Node &n, Value x, Value scale, Value zero, int64_t axis);

} // namespace aicc::onnx

#endif // AICC_FRONTENDS_ONNX_MICROSOFT_H
