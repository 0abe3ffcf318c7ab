//===- Strings.h - tensors of strings ---------------------------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// No kernel touches strings. What moves them moves indices instead, by the same
// operators, and one call of the host picks the strings at the end; what
// compares them compares their ranks. Few functions of the host are needed
// (runtime/host/Strings.cpp).
//
// Private to the front end; the methods build into the node's importer.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_FRONTENDS_ONNX_STRINGS_H
#define AICC_FRONTENDS_ONNX_STRINGS_H

#include "frontends/onnx/Node.h"

#include "llvm/Support/JSON.h"

namespace aicc::onnx {

bool isString(mlir::Type element);
/// Whether elements of the tensor, or of what is in it, are strings.
bool hasStrings(const Tensor *tensor);

/// The strings of a model's tensor; false with a reason if it is damaged.
bool stringsOf(const proto::TensorProto &tensor,
               std::vector<llvm::StringRef> &strings, std::string &error);

/// Builds a constant; at the builder's place.
Value stringConstant(mlir::OpBuilder &builder, mlir::Location loc,
                     llvm::ArrayRef<llvm::StringRef> strings,
                     llvm::ArrayRef<int64_t> shape);

/// Text in a call's options: a code point for each byte.
std::string optionText(llvm::StringRef bytes);

/// A call of a function of the host.
llvm::SmallVector<Value> callHost(Node &node, llvm::StringRef function,
                                  mlir::ValueRange operands,
                                  llvm::ArrayRef<Type> results,
                                  llvm::json::Object options = {});

/// strings[indices] of a vector or of all of them in a row, with the
/// dimensions of the indices (i64).
Value pickStrings(Node &node, mlir::ValueRange sources, Value indices);

/// Between strings and numbers, or any other cast.
Value castStrings(Node &node, Value value, Type element);

/// Runs an operator that exists for other types, too, over strings. False if
/// the node has nothing to do with strings.
bool runOverStrings(Node &node, OperatorFunction function);

} // namespace aicc::onnx

#endif // AICC_FRONTENDS_ONNX_STRINGS_H
