//===- Generator.h - a GPU vendor's code generator, common part -*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What every GPU backend's CodeGenerator does the same way. A backend gives
// its table of chips, its conversion passes, a TargetMachine and the emission
// of its object format.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_COMPILER_GPU_GENERATOR_H
#define AICC_COMPILER_GPU_GENERATOR_H

#include "compiler/gpu/Gpu.h"
#include "compiler/gpu/Virtual.h"
#include "compiler/target/CodeGenerator.h"

#include "mlir/Pass/PassManager.h"

namespace aicc::gpu {

class Generator : public target::CodeGenerator {
public:
  mlir::LogicalResult resolve(llvm::StringRef chip,
                              std::vector<target::TargetRecord> &out_records,
                              std::string &out_error) const override;
  mlir::LogicalResult compile(exec::KernelOp kernel,
                              const target::TargetRecord &record,
                              const target::CodeOptions &options,
                              target::KernelCode &out_code) const override;
  mlir::LogicalResult link(llvm::ArrayRef<const target::KernelCode *> kernels,
                           const target::TargetRecord &record,
                           std::vector<target::ObjectFile> &out_objects,
                           std::vector<unsigned> &out_index,
                           std::string &out_error) const final;

  llvm::StringRef
  assemblySuffix(const target::TargetRecord &record) const final;
  llvm::json::Array
  matrixInstructions(const target::TargetRecord &record) const final;

protected:
  /// Of the vendor's assembly.
  virtual llvm::StringRef textSuffix() const = 0;
  /// `link` for the vendor's own format; unless overridden one object per
  /// kernel: kernels are loaded when they are needed.
  virtual mlir::LogicalResult
  linkObjects(llvm::ArrayRef<const target::KernelCode *> kernels,
              const target::TargetRecord &record,
              std::vector<target::ObjectFile> &out_objects,
              std::vector<unsigned> &out_index, std::string &out_error) const;
  /// All kernels in one shared object.
  static mlir::LogicalResult
  linkTogether(llvm::ArrayRef<const target::KernelCode *> kernels,
               llvm::StringRef format, const target::TargetRecord &record,
               std::vector<target::ObjectFile> &out_objects,
               std::vector<unsigned> &out_index, std::string &out_error);
  /// All chips known; `inDefault` tells which of them an empty name means.
  virtual std::vector<target::TargetRecord> records() const = 0;
  virtual bool inDefault(llvm::StringRef chip) const = 0;
  virtual llvm::StringRef format() const = 0;
  virtual Options options(const target::TargetRecord &record) const = 0;
  /// From arith, cf, vector, llvm and gpu to the llvm dialect.
  virtual void addConversion(mlir::OpPassManager &passes,
                             const target::TargetRecord &record) const = 0;
  /// LLVM passes that the back end can't bear.
  virtual llvm::ArrayRef<llvm::StringRef> passesLeftOut() const { return {}; }
  virtual std::unique_ptr<llvm::TargetMachine>
  createMachine(const target::TargetRecord &record,
                const Lowered &lowered) const = 0;
  /// What the vendor's intrinsics do, for virtual devices.
  virtual llvm::ArrayRef<Intrinsic> intrinsics() const = 0;
  /// Fills object and assembly; false with a message if it can't be done.
  virtual bool emit(llvm::Module &module, llvm::TargetMachine &machine,
                    const target::TargetRecord &record,
                    const target::CodeOptions &options,
                    target::KernelCode &out_code,
                    std::string &out_error) const = 0;
};

} // namespace aicc::gpu

#endif // AICC_COMPILER_GPU_GENERATOR_H
