//===- Pipeline.h - the six stages ------------------------------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef AICC_COMPILER_DRIVER_PIPELINE_H
#define AICC_COMPILER_DRIVER_PIPELINE_H

#include "compiler/driver/Compiler.h"
#include "compiler/driver/Report.h"
#include "compiler/package/BuildPackage.h"

#include "mlir/IR/OwningOpRef.h"
#include "mlir/Pass/PassManager.h"

namespace aicc::driver {

/// What one target of the command line stands for.
struct Target {
  const target::CodeGenerator *generator;
  target::TargetRecord record;
};

/// What a variant is for: one target, or several among which the operators are
/// placed.
struct TargetSet {
  std::vector<Target> members;
  std::vector<std::string> given; // the members as the user names them

  /// "cpu:x86-64-v4+intel:generic"
  std::string name() const;
};

/// A model on its way. `import` and `simplify` work on `model`; `kernels`
/// makes a variant of it for each target.
struct State {
  const Options &options;
  Report &report;
  mlir::MLIRContext &context;
  std::vector<TargetSet> targets;
  mlir::OwningOpRef<mlir::ModuleOp> model;
  std::vector<std::string> nodes; // of the model

  struct Variant {
    const TargetSet *targets;
    mlir::OwningOpRef<mlir::ModuleOp> module;
    std::vector<target::KernelCode> kernels; // in the module's order
    std::vector<target::ObjectFile> objects;
    std::vector<unsigned> objectOf; // for each kernel
    std::vector<unsigned> deviceOf; // for each object: member of the set
  };
  std::vector<Variant> variants;

  std::string error; // of what has no place in the IR
  // Inputs without whose values the model can't be imported.
  std::vector<std::string> neededInputs;
};

struct Stage {
  llvm::StringLiteral name;
  llvm::StringLiteral summary;
  mlir::LogicalResult (*run)(State &state);
};

/// In their order.
llvm::ArrayRef<Stage> stages();

/// The passes of a stage, for those who run them on their own.
void addSimplifyPasses(mlir::OpPassManager &manager, llvm::StringRef precision);
/// `place` says for which member of the set an operator is; null for a single
/// one.
void addKernelsPasses(mlir::OpPassManager &manager, const TargetSet &targets,
                      std::function<unsigned(mlir::Operation *)> place,
                      bool prepareNow);
void addSchedulePasses(mlir::OpPassManager &manager, bool severalDevices);

} // namespace aicc::driver

#endif // AICC_COMPILER_DRIVER_PIPELINE_H
