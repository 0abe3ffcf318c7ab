//===- KernelCompiler.h - kernels in parallel, each only once ---*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Compiles kernels with a backend's code generator: in parallel, each in an
// MLIR context of its own, and through a cache on disk. A cache entry is keyed
// by the kernel's text, the target record and the compiler itself, so it never
// needs to be invalidated; a damaged entry is ignored. Several processes may
// share a cache. Its size is bounded: 4 GB and half of the free space unless
// $AICC_CACHE_POLICY says otherwise.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_COMPILER_TARGET_KERNELCOMPILER_H
#define AICC_COMPILER_TARGET_KERNELCOMPILER_H

#include "compiler/target/CodeGenerator.h"

#include <functional>

namespace aicc::target {

struct KernelCompilerOptions {
  unsigned jobs = 0;          // threads; 0 = one per core
  std::string cacheDirectory; // empty = no cache
  CodeOptions code;
  /// Called after each kernel (from any thread, one call at a time) with how
  /// many of how many are done, and how this one went.
  std::function<void(unsigned done, unsigned total, llvm::StringRef name,
                     double seconds, bool cached)>
      progress;
};

/// The folder that is used unless another is named: $AICC_CACHE_DIR, else
/// $XDG_CACHE_HOME/aicc, else ~/.cache/aicc; empty if there is none.
std::string defaultCacheDirectory();

/// Compiles `kernels`; `out_codes[i]` belongs to `kernels[i]`, its maps to the
/// kernels' context. Failures are diagnostics on the kernels; all kernels are
/// tried.
mlir::LogicalResult compileKernels(llvm::ArrayRef<exec::KernelOp> kernels,
                                   const CodeGenerator &generator,
                                   const TargetRecord &record,
                                   const KernelCompilerOptions &options,
                                   std::vector<KernelCode> &out_codes);

} // namespace aicc::target

#endif // AICC_COMPILER_TARGET_KERNELCOMPILER_H
