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
  std::optional<unsigned> bias, pastLength;
};
void attendProjected(Node &n, const Projected &p);

/// softmax(q kT * scale + mask) v for q [B, N, S, H], k [B, N, T, H].
struct Scores {
  Value q, k, v;
  double scale = 1, softcap = 0;
  /// Added; broadcasts to [B, N, S, T].
  Value mask = {};
  /// Where false a weight is zero, whatever the others are.
  Value keep = {};
  /// [N]: one more score for each row that belongs to no key.
  Value sink = {};
  /// The output that wants the scores or the weights.
  std::optional<unsigned> output = {};
  bool outputWeights = false;
};
/// The result [B, S, N * H].
Value attend(Node &n, const Scores &a);
/// The scale of scores: an attribute of zero is one that is not given.
double scaleOf(Node &n, Value q);
/// Some numbers as a [1, 1, 1, T] index of keys.
Value keyIndex(Node &n, AffineExpr columns, Type type);
void rotaryEmbedding(Node &n);
void groupQueryAttention(Node &n);

/// (x - zero) * scale as f32, each a scalar or along `axis`; an absent zero
/// point is 0.
Value dequantized(Node &n, Value x, Value scale, Value zero, int64_t axis);

} // namespace aicc::onnx

#endif // AICC_FRONTENDS_ONNX_MICROSOFT_H
