//===- Placement.h - which node is for which target -------------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the user says of a set of targets: by patterns for names of nodes, and
// by the attribute `graph.devices` of the module, over which patterns win. An
// operator is where its node is; of several nodes that became one, where the
// first is. Immutable once made.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_COMPILER_DRIVER_PLACEMENT_H
#define AICC_COMPILER_DRIVER_PLACEMENT_H

#include "compiler/driver/Pipeline.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Regex.h"

namespace aicc::driver {

class Placement {
public:
  /// Whether the patterns are right for a set, as far as can be told without
  /// the model.
  static bool check(const Options &options, const TargetSet &targets,
                    std::string &out_error);

  /// The places in a model with these nodes.
  static std::unique_ptr<Placement>
  create(const Options &options, const TargetSet &targets, mlir::ModuleOp model,
         llvm::ArrayRef<std::string> nodes, std::string &out_error);

  /// The member of the set that an operator is for.
  unsigned of(mlir::Operation *op) const;

private:
  unsigned ofNode(llvm::StringRef node) const;

  std::vector<std::pair<llvm::Regex, unsigned>> patterns;
  llvm::StringMap<unsigned> nodes;
};

/// The names of all nodes that locations in a module have.
std::vector<std::string> nodesOf(mlir::ModuleOp module);

} // namespace aicc::driver

#endif // AICC_COMPILER_DRIVER_PLACEMENT_H
