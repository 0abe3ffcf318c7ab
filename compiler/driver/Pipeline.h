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

/// A model on its way. `import` and `simplify` work on `model`; `kernels`
/// makes a variant of it for each target.
struct State {
  const Options &options;
  Report &report;
  mlir::MLIRContext &context;
  std::vector<Target> targets;
  mlir::OwningOpRef<mlir::ModuleOp> model;

  struct Variant {
    const Target *target;
    mlir::OwningOpRef<mlir::ModuleOp> module;
    std::vector<target::KernelCode> kernels;
    std::vector<target::ObjectFile> objects;
    std::vector<unsigned> objectOf;
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
void addKernelsPasses(mlir::OpPassManager &manager,
                      const target::TargetRecord &record, bool prepareNow);
void addSchedulePasses(mlir::OpPassManager &manager);

} // namespace aicc::driver

#endif // AICC_COMPILER_DRIVER_PIPELINE_H
