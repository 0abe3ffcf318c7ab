//===- CopyBox.h - strided copies of whole tensors --------------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef AICC_COMPILER_TRANSFORMS_COPYBOX_H
#define AICC_COMPILER_TRANSFORMS_COPYBOX_H

#include "mlir/IR/MLIRContext.h"
#include "llvm/ADT/ArrayRef.h"

namespace aicc::transforms {

/// out[sum i*outStrides] = in[sum i*inStrides] for all i below `dims`; strides
/// in elements of `elementBytes` (1, 2, 4, 8 or 16). Large copies are spread
/// over the context's threads and go through the caches in blocks.
void copyBox(mlir::MLIRContext *context, char *out,
             llvm::ArrayRef<int64_t> outStrides, const char *in,
             llvm::ArrayRef<int64_t> inStrides, llvm::ArrayRef<int64_t> dims,
             unsigned elementBytes);

/// Row-major strides.
llvm::SmallVector<int64_t> stridesOf(llvm::ArrayRef<int64_t> dims);

} // namespace aicc::transforms

#endif // AICC_COMPILER_TRANSFORMS_COPYBOX_H
