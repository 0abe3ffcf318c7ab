//===- Registry.cpp - all operators ---------------------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/Node.h"

using namespace aicc::onnx;
using llvm::StringRef;

static llvm::ArrayRef<Operator> tableAt(unsigned i) {
  static constexpr llvm::ArrayRef<Operator> (*tables[])() = {
      elementwiseOperators, activationOperators, movementOperators,
      indexingOperators, productOperators, poolingOperators, reductionOperators,
      normalizationOperators, attentionOperators, recurrentOperators,
      quantizationOperators, structureOperators, sequenceOperators,
      selectionOperators, stringOperators, mapOperators,
      // com.microsoft
      microsoftOperators, microsoftAttentionOperators,
      microsoftQuantizationOperators, microsoftBlockOperators,
      // Models of sequences and signals, learning
      sequenceModelOperators, signalOperators, randomOperators,
      trainingOperators, learningOperators, treeOperators,
      experimentalOperators, gradientOperators,
      // Indices, order, interpolation
      scatterOperators, orderOperators, samplingOperators, resizeOperators};
  return i < std::size(tables) ? tables[i]() : llvm::ArrayRef<Operator>();
}

const Operator *aicc::onnx::findOperator(StringRef domain, StringRef name,
                                         int64_t version) {
  const Operator *best = nullptr;
  llvm::ArrayRef<Operator> table;
  for (unsigned i = 0; !(table = tableAt(i)).empty(); ++i)
    for (const Operator &op : table)
      if (name == op.name && domain == op.domain && op.minVersion <= version &&
          (!best || best->minVersion < op.minVersion))
        best = &op;
  // An entry without a function marks where a version ends.
  return best && best->function ? best : nullptr;
}

std::vector<SupportedOperator> aicc::onnx::supportedOperators() {
  std::vector<SupportedOperator> result;
  llvm::ArrayRef<Operator> table;
  for (unsigned i = 0; !(table = tableAt(i)).empty(); ++i)
    for (const Operator &op : table)
      if (op.function)
        result.push_back({op.domain, op.name, op.minVersion});
  return result;
}
