//===- MatrixTable.h - the matrix instructions of each chip -----*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef AICC_BACKENDS_INTEL_CODEGEN_MATRIXTABLE_H
#define AICC_BACKENDS_INTEL_CODEGEN_MATRIXTABLE_H

#include "compiler/gpu/MatrixInstruction.h"

namespace aicc::backends::intel {

/// Best first; the rows live as long as the process. From any thread.
llvm::ArrayRef<gpu::MatrixInstruction> matrixInstructions(llvm::StringRef chip);
/// Likewise; none where the chip has no such loads.
gpu::BlockLoads blockLoads(llvm::StringRef chip);

} // namespace aicc::backends::intel

#endif // AICC_BACKENDS_INTEL_CODEGEN_MATRIXTABLE_H
