//===- Passes.cpp - registration ------------------------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/transforms/Passes.h"

#include "mlir/Pass/PassRegistry.h"

void aicc::transforms::registerPasses() {
  mlir::registerPass([] { return createFoldConstantsPass(); });
  mlir::registerPass(createSimplifyAlgebraPass);
  mlir::registerPass(createFoldScalesPass);
  mlir::registerPass(createRecognizeNormalizationPass);
  mlir::registerPass(createRecognizeActivationsPass);
  mlir::registerPass(createRecognizeAttentionPass);
  mlir::registerPass(createFoldQuantizationPass);
  mlir::registerPass([] { return createConvertPrecisionPass("f16"); });
  mlir::registerPass([] { return createChooseLayoutPass(); });
  mlir::registerPass(createSinkTransposesPass);
  mlir::registerPass(createExpandConvolutionsPass);
  mlir::registerPass(createCollapseProductsPass);
  mlir::registerPass(createSinkReshapesPass);
  mlir::registerPass([] { return createPackWeightsPass(); });
  mlir::registerPass([] { return createConvertOperandsPass(); });
  mlir::registerPass([] { return createWidenOperandsPass(); });
  mlir::registerPass([] { return createSplitProductsPass(); });
  mlir::registerPass([] { return createOutlineKernelsPass(); });
}
