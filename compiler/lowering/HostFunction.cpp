//===- HostFunction.cpp - a kernel as a function of a host CPU ------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/lowering/HostFunction.h"

#include "compiler/lowering/Lowering.h"

#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

namespace aicc::lowering {

void registerHostDialects(DialectRegistry &registry) {
  registry.insert<affine::AffineDialect, arith::ArithDialect, exec::ExecDialect,
                  func::FuncDialect, LLVM::LLVMDialect, linalg::LinalgDialect,
                  math::MathDialect, scf::SCFDialect, tensor::TensorDialect,
                  vector::VectorDialect>();
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
}

HostFunction beginHostFunction(exec::KernelOp kernel, OpBuilder &b) {
  Location loc = kernel.getLoc();
  auto pointer = LLVM::LLVMPointerType::get(b.getContext());
  b.setInsertionPoint(kernel);
  auto func = func::FuncOp::create(
      b, loc, "kernel",
      b.getFunctionType({pointer, pointer, pointer}, TypeRange{}));
  Block *entry = func.addEntryBlock();
  b.setInsertionPointToStart(entry);

  Type i64 = b.getI64Type();
  unsigned field = 0;
  auto load = [&](Type type) -> Value {
    Value address =
        LLVM::GEPOp::create(b, loc, pointer, i64, entry->getArgument(0),
                            ArrayRef<LLVM::GEPArg>{int32_t(field++)},
                            LLVM::GEPNoWrapFlags::inbounds);
    return LLVM::LoadOp::create(b, loc, type, address, 8, false, false,
                                /*isInvariant=*/true);
  };
  HostFunction host;
  unsigned buffers =
      kernel.getArgumentTypes().size() + kernel.getResultTypes().size();
  for (unsigned i = 0; i < buffers; ++i)
    host.pointers.push_back(load(pointer));
  for (int64_t number : kernel.getUsedSymbols())
    host.symbols[number] = load(i64);
  Value x =
      LLVM::LoadOp::create(b, loc, b.getI32Type(), entry->getArgument(1), 4);
  host.workgroup = arith::ExtUIOp::create(b, loc, i64, x);
  return host;
}

LogicalResult finishHostFunction(exec::KernelOp kernel, OpBuilder &b) {
  func::ReturnOp::create(b, kernel.getLoc());
  auto module = kernel->getParentOfType<ModuleOp>();
  std::string name = kernel.getSymName().str();
  kernel.erase();
  module.lookupSymbol<func::FuncOp>("kernel").setSymName(name);

  PassManager pm(module.getContext());
  // Once, at the end: after each pass it takes a tenth of a kernel's time.
  pm.enableVerifier(false);
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  pm.addPass(createExpandMathematicsPass());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  pm.addPass(createLoopInvariantCodeMotionPass());
  pm.addPass(createSCFToControlFlowPass());
  pm.addPass(createConvertVectorToLLVMPass());
  pm.addPass(createConvertMathToLLVMPass());
  pm.addPass(createArithToLLVMConversionPass());
  pm.addPass(createConvertControlFlowToLLVMPass());
  pm.addPass(createConvertFuncToLLVMPass());
  pm.addPass(createReconcileUnrealizedCastsPass());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  return failure(failed(pm.run(module)) || failed(verify(module)));
}

} // namespace aicc::lowering
