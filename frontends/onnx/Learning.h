//===- Learning.h - what classifiers share ----------------------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Private to the operators of ai.onnx.ml. As Node: nulls go in and come out.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_FRONTENDS_ONNX_LEARNING_H
#define AICC_FRONTENDS_ONNX_LEARNING_H

#include "frontends/onnx/Node.h"

namespace aicc::onnx {

/// What is done to scores [N, C].
enum class PostTransform { none, softmax, logistic, softmaxZero, probit };

/// The attribute post_transform as a string; none after an error.
PostTransform readPostTransform(Node &node);
Value applyPostTransform(Node &node, PostTransform transform, Value scores);

/// Numbers of the attribute `name`, floats, or of the tensor `name_as_tensor`.
/// `type` becomes f64 where the tensor holds doubles.
llvm::SmallVector<double> realsOf(Node &node, llvm::StringRef name, Type *type);
/// Numbers of a tensor attribute; empty where it is absent.
llvm::SmallVector<double> tensorReals(Node &node, llvm::StringRef name);

/// The number of class labels, given by one of two attributes.
size_t countLabels(Node &node, llvm::StringRef integers,
                   llvm::StringRef strings);
/// The labels at `indices` [N].
Value labelsAt(Node &node, Value indices, llvm::StringRef integers,
               llvm::StringRef strings);

/// Index of the largest score of each row [N, C].
Value largest(Node &node, Value scores);

} // namespace aicc::onnx

#endif // AICC_FRONTENDS_ONNX_LEARNING_H
