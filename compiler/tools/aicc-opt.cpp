//===- aicc-opt.cpp - runs single passes on IR ----------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// For tests and for people who look at what one pass does. Every pass of this
// project has its own flag; `--canonicalize` and `--cse` are upstream's.
//
//===----------------------------------------------------------------------===//

#include "compiler/gpu/Gpu.h"
#include "compiler/lowering/Lowering.h"
#include "compiler/scheduling/Schedule.h"
#include "compiler/target/Registry.h"
#include "compiler/transforms/Passes.h"
#include "dialects/exec/Exec.h"
#include "dialects/graph/Graph.h"

#include "mlir/InitAllDialects.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Transforms/Passes.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  mlir::registerAllDialects(registry);
  registry.insert<aicc::graph::GraphDialect, aicc::exec::ExecDialect>();
  for (const auto &generator : aicc::target::codeGenerators())
    generator->registerDialects(registry);
  mlir::registerTransformsPasses();
  aicc::transforms::registerPasses();
  aicc::scheduling::registerPasses();
  aicc::gpu::registerGpuPasses();
  mlir::registerPass(aicc::lowering::createLowerKernelsPass);
  mlir::registerPass(aicc::lowering::createExpandMathematicsPass);
  return mlir::asMainReturnCode(
      mlir::MlirOptMain(argc, argv, "aicc pass runner\n", registry));
}
