//===- Passes.h - graph to graph passes, and outlining ----------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef AICC_COMPILER_TRANSFORMS_PASSES_H
#define AICC_COMPILER_TRANSFORMS_PASSES_H

#include "compiler/transforms/Places.h"

#include "mlir/Pass/Pass.h"

namespace aicc::transforms {

//===----------------------------------------------------------------------===//
// Stage simplify: true for every target
//===----------------------------------------------------------------------===//

/// Evaluates operators on constants where the result is small or not larger
/// than the operands; with `all` (the preparation of weights at compile time)
/// up to four times what it is made of.
std::unique_ptr<mlir::Pass> createFoldConstantsPass(bool all = false);
/// x * 1, x + 0, elementwise operators on broadcasts, casts of casts, ….
std::unique_ptr<mlir::Pass> createSimplifyAlgebraPass();
/// Multiplies the constant scale of a channel into the weights before it.
std::unique_ptr<mlir::Pass> createFoldScalesPass();

/// Layer and RMS normalisation from means, squares and roots.
std::unique_ptr<mlir::Pass> createRecognizeNormalizationPass();
/// Sigmoid, SiLU, GELU and small powers in their cheapest form.
std::unique_ptr<mlir::Pass> createRecognizeActivationsPass();
/// Attention as exporters write it: products, softmax and what is elementwise.
std::unique_ptr<mlir::Pass> createRecognizeAttentionPass();
/// Products of dequantised operands as products of integers or 8-bit floats.
std::unique_ptr<mlir::Pass> createFoldQuantizationPass();

/// Products and stored values of f32 in `type`, f16 or bf16. What it converted
/// and what not are remarks.
std::unique_ptr<mlir::Pass> createConvertPrecisionPass(llvm::StringRef type);

//===----------------------------------------------------------------------===//
// Stage kernels: by the target's record
//===----------------------------------------------------------------------===//

/// Convolutions, pooling and resampling on [N, spatial, C].
std::unique_ptr<mlir::Pass> createChooseLayoutPass(OperatorFilter only = {});
/// Moves transposes toward the results, where they meet and cancel.
std::unique_ptr<mlir::Pass> createSinkTransposesPass();
/// The padding of convolutions becomes graph.pad; 1x1 convolutions, products.
std::unique_ptr<mlir::Pass> createExpandConvolutionsPass();
/// Products with a matrix get the form [M, K] x [K, N].
std::unique_ptr<mlir::Pass> createCollapseProductsPass();
/// Moves reshapes toward the results, out of the way of fusion.
std::unique_ptr<mlir::Pass> createSinkReshapesPass();
/// Constant weights of products and convolutions as panels of `panel` columns.
std::unique_ptr<mlir::Pass> createPackWeightsPass(unsigned panel = 0,
                                                  OperatorFilter only = {});
/// Operands of quantised products in types that the target multiplies: 8-bit
/// floats stay if their type is one of `kept` (f8E4M3FN), else they become f16;
/// signed bytes are summed as i32, other integers become f16. `single`: all of them as f32.
std::unique_ptr<mlir::Pass>
createConvertOperandsPass(std::vector<std::string> kept = {},
                          bool single = false, OperatorFilter only = {});
/// Left operands of products of 16-bit floats in f32, the same values.
std::unique_ptr<mlir::Pass> createWidenOperandsPass(OperatorFilter only = {});
/// Products with weights whose result has fewer tiles than `processors`: their
/// depth in shares, which are added up.
std::unique_ptr<mlir::Pass> createSplitProductsPass(unsigned processors = 0,
                                                    OperatorFilter only = {});
/// Groups operators into kernels and writes the program that launches them.
std::unique_ptr<mlir::Pass> createOutlineKernelsPass(Places places = {});

/// Registers every pass of this folder under its own flag.
void registerPasses();

} // namespace aicc::transforms

#endif // AICC_COMPILER_TRANSFORMS_PASSES_H
