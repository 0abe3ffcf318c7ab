//===- Translate.cpp - LLVM IR for a GPU kernel ---------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/gpu/Gpu.h"

#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/PassInstrumentation.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/raw_ostream.h"

using namespace aicc;

std::unique_ptr<llvm::TargetMachine>
aicc::gpu::createTargetMachine(const llvm::Triple &triple, llvm::StringRef cpu,
                               llvm::StringRef features,
                               std::optional<llvm::Reloc::Model> relocation) {
  std::string error;
  const llvm::Target *target =
      llvm::TargetRegistry::lookupTarget(triple, error);
  if (!target)
    return nullptr;
  llvm::TargetOptions options;
  // The same numbers on every target: only what the IR says is fused.
  options.AllowFPOpFusion = llvm::FPOpFusion::Strict;
  return std::unique_ptr<llvm::TargetMachine>(
      target->createTargetMachine(triple, cpu, features, options, relocation));
}

std::unique_ptr<llvm::Module> aicc::gpu::translateModule(
    mlir::gpu::GPUModuleOp module, llvm::LLVMContext &context,
    llvm::TargetMachine &machine, llvm::ArrayRef<llvm::StringRef> without) {
  std::unique_ptr<llvm::Module> ir =
      mlir::translateModuleToLLVMIR(module, context, module.getName());
  if (!ir)
    return nullptr;
  ir->setTargetTriple(machine.getTargetTriple());
  ir->setDataLayout(machine.createDataLayout());
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager graphs;
  llvm::ModuleAnalysisManager modules;
  llvm::PassInstrumentationCallbacks callbacks;
  callbacks.registerShouldRunOptionalPassCallback(
      [&](llvm::StringRef pass, llvm::Any) {
        return !llvm::is_contained(without, pass);
      });
  llvm::PassBuilder builder(&machine, llvm::PipelineTuningOptions(),
                            std::nullopt, &callbacks);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(graphs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, graphs, modules);
  builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O2)
      .run(*ir, modules);
  return ir;
}

unsigned aicc::gpu::makeSharedDynamic(llvm::Module &module) {
  constexpr unsigned sharedSpace = 3;
  llvm::SmallVector<llvm::GlobalVariable *> globals;
  for (llvm::GlobalVariable &global : module.globals())
    if (global.getAddressSpace() == sharedSpace)
      globals.push_back(&global);
  if (globals.empty())
    return 0;
  llvm::Type *byte = llvm::Type::getInt8Ty(module.getContext());
  auto *whole = new llvm::GlobalVariable(
      module, llvm::ArrayType::get(byte, 0), /*isConstant=*/false,
      llvm::GlobalValue::ExternalLinkage, nullptr, "workgroup_memory", nullptr,
      llvm::GlobalValue::NotThreadLocal, sharedSpace);
  llvm::Align widest;
  uint64_t end = 0;
  for (llvm::GlobalVariable *global : globals) {
    llvm::Align align = global->getAlign().valueOrOne();
    widest = std::max(widest, align);
    end = llvm::alignTo(end, align);
    llvm::Constant *offset = llvm::ConstantInt::get(
        llvm::Type::getInt64Ty(module.getContext()), end);
    global->replaceAllUsesWith(
        llvm::ConstantExpr::getGetElementPtr(byte, whole, offset));
    end += module.getDataLayout().getTypeAllocSize(global->getValueType());
    global->eraseFromParent();
  }
  whole->setAlignment(widest);
  return end;
}

std::string aicc::gpu::emitFile(llvm::Module &module,
                                llvm::TargetMachine &machine,
                                llvm::CodeGenFileType type) {
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream stream(bytes);
  llvm::legacy::PassManager passes;
  if (machine.addPassesToEmitFile(passes, stream, nullptr, type))
    return "";
  passes.run(module);
  return std::string(bytes.begin(), bytes.end());
}
