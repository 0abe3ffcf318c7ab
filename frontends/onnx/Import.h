//===- Import.h - ONNX models to the graph dialect --------------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The entrance of the ONNX front end. A model is untrusted input: whatever is
// wrong with it ends as a message, never as a crash.
//
// Weights are not copied: they are `dense_resource` blobs that point into the
// parsed model or into mapped external files, which live as long as the
// context that holds the blobs.
//
// Calls for different contexts may run at the same time; calls for one context
// follow the context's own rule (one thread at a time).
//
//===----------------------------------------------------------------------===//

#ifndef AICC_FRONTENDS_ONNX_IMPORT_H
#define AICC_FRONTENDS_ONNX_IMPORT_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"

#include <string>
#include <utility>
#include <vector>

namespace aicc::onnx {

struct ImportOptions {
  /// Follow symbolic and hard links when external data is opened. Needed for
  /// models in a cache of links, such as the one of Hugging Face.
  bool allowSymlinks = false;
  /// No tensor may have more elements.
  int64_t maxElements = int64_t(1) << 40;
  /// Nodes after inlining functions.
  int64_t maxNodes = int64_t(1) << 20;
  /// Fixes dynamic dimensions: the name of a symbol (a `dim_param`, or
  /// `INPUT_dimN` for an unnamed one) and its size.
  std::vector<std::pair<std::string, int64_t>> dimOverrides;
  /// Makes inputs constants: the name of an input and its value as a
  /// serialised TensorProto. What determines shapes (the target of a Reshape,
  /// say) must be known while compiling. Such inputs are none of `main`'s.
  std::vector<std::pair<std::string, std::string>> inputValues;
  /// What is in an input that is no tensor, of which a graph says too little:
  /// the name of an input and
  ///   "3"              three elements, of the shape that its type gives,
  ///   "[2,3][n,?]"     two elements of these shapes: numbers, names of
  ///                    symbols, or `?` for a symbol of its own,
  ///   "none"           an optional without an element.
  /// The shape of a tensor of unknown rank can be given, too.
  std::vector<std::pair<std::string, std::string>> sequences;
  /// If not null, the names of all nodes are put there, those in functions and
  /// subgraphs too.
  std::vector<std::string> *nodes = nullptr;
};

/// The key of a node's metadata that names the target it is for. What is inside
/// of the node, a function's or subgraph's, is for the same unless it says
/// another.
inline constexpr llvm::StringLiteral deviceKey = "aicc.device";

/// The operators of a model file as a module with one function `main`, or null
/// and one line in `error`. The module's attributes are
///   graph.symbols   the names of the symbols,
///   graph.limits    maps `()[symbols] -> (a, b)`, each a condition a <= b that
///                   was taken for granted; sizes that break one are invalid,
///   graph.signature JSON, where an input or output is no tensor: how `main`'s
///                   arguments and results make up those of the model
///                   (Signature.cpp).
///   graph.devices   the names of nodes with `deviceKey`, and its value.
/// Where the import failed for want of the values of inputs (`inputValues`),
/// their names are put into `neededInputs`. The next attempt may need more.
mlir::OwningOpRef<mlir::ModuleOp>
importModel(mlir::MLIRContext &context, llvm::StringRef path,
            const ImportOptions &options, std::string &error,
            std::vector<std::string> *neededInputs = nullptr);

/// The same for a model in memory. External data is looked for in `directory`
/// and refused if that is empty. `data` need not outlive the call.
mlir::OwningOpRef<mlir::ModuleOp>
importModelFromMemory(mlir::MLIRContext &context, llvm::StringRef data,
                      llvm::StringRef directory, const ImportOptions &options,
                      std::string &error,
                      std::vector<std::string> *neededInputs = nullptr);

/// One record per operator and version range that the importer implements.
struct SupportedOperator {
  llvm::StringRef domain;
  llvm::StringRef name;
  int minVersion;
};
std::vector<SupportedOperator> supportedOperators();

} // namespace aicc::onnx

#endif // AICC_FRONTENDS_ONNX_IMPORT_H
