//===- BuildPackage.h - compiled variants to a package ----------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef AICC_COMPILER_PACKAGE_BUILDPACKAGE_H
#define AICC_COMPILER_PACKAGE_BUILDPACKAGE_H

#include "compiler/target/CodeGenerator.h"

#include "mlir/IR/BuiltinOps.h"

#include <string>
#include <vector>

namespace aicc::package {

/// One variant after the stage `code`: a scheduled program, its kernels in the
/// module's order and their objects.
struct VariantInput {
  mlir::ModuleOp module;
  // The targets of its devices.
  std::vector<const target::TargetRecord *> records;
  std::vector<target::KernelCode> kernels;
  std::vector<target::ObjectFile> objects;
  std::vector<unsigned> objectOf;    // for each kernel
  std::vector<unsigned> deviceOf;    // for each object
  llvm::StringRef precision = "f32"; // that was asked for
};

/// Writes the package of all variants, the preferred ones of a family first.
/// Weights are stored once, whatever number of variants use them. The same
/// input gives the same bytes.
bool writePackage(const std::string &path, llvm::StringRef modelName,
                  llvm::ArrayRef<VariantInput> variants,
                  std::string &out_error);

} // namespace aicc::package

#endif // AICC_COMPILER_PACKAGE_BUILDPACKAGE_H
