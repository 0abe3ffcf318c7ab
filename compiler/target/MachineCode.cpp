//===- MachineCode.cpp - LLVM from the LLVM dialect to objects ------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/target/MachineCode.h"

#include "mlir/Target/LLVMIR/Export.h"

#include "lld/Common/Driver.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Transforms/Utils/Cloning.h"

#include <mutex>

LLD_HAS_DRIVER(elf)

using namespace mlir;

namespace aicc::target {

static void initializeTargets() {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    LLVMInitializeAArch64TargetInfo();
    LLVMInitializeAArch64Target();
    LLVMInitializeAArch64TargetMC();
    LLVMInitializeAArch64AsmPrinter();
    LLVMInitializeRISCVTargetInfo();
    LLVMInitializeRISCVTarget();
    LLVMInitializeRISCVTargetMC();
    LLVMInitializeRISCVAsmPrinter();
  });
}

static void optimize(llvm::Module &module, llvm::TargetMachine &machine) {
  llvm::PipelineTuningOptions tuning;
  // The vectors and the register tiles are there already.
  tuning.LoopVectorization = false;
  tuning.SLPVectorization = false;
  tuning.LoopInterleaving = false;
  tuning.LoopUnrolling = false;
  llvm::PassBuilder builder(&machine, tuning);
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager sccs;
  llvm::ModuleAnalysisManager modules;
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(sccs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, sccs, modules);
  builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O2)
      .run(module, modules);
}

LogicalResult emitMachineCode(ModuleOp module, const TargetRecord &record,
                              bool wantAssembly, std::string &object,
                              std::string &assembly, std::string &error) {
  initializeTargets();
  llvm::Triple triple(record.triple);
  const llvm::Target *found = llvm::TargetRegistry::lookupTarget(triple, error);
  if (!found)
    return failure();
  llvm::TargetOptions options;
  options.MCOptions.ABIName = triple.isRISCV64() ? "lp64d" : "";
  std::unique_ptr<llvm::TargetMachine> machine(found->createTargetMachine(
      triple, record.cpu, record.features, options, llvm::Reloc::PIC_,
      std::nullopt, llvm::CodeGenOptLevel::Aggressive));

  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> code =
      translateModuleToLLVMIR(module, context, "kernel");
  if (!code) {
    error = "translation to LLVM IR failed";
    return failure();
  }
  code->setTargetTriple(triple);
  code->setDataLayout(machine->createDataLayout());
  std::string bits = std::to_string(record.vectorBits);
  for (llvm::Function &function : *code) {
    if (function.isDeclaration())
      continue;
    function.addFnAttr("target-cpu", record.cpu);
    function.addFnAttr("target-features", record.features);
    // Some x86 CPUs are tuned for narrower vectors than they have.
    function.addFnAttr("prefer-vector-width", bits);
    function.addFnAttr("min-legal-vector-width", bits);
    function.addFnAttr(llvm::Attribute::NoUnwind);
  }
  optimize(*code, *machine);

  auto emit = [&](llvm::CodeGenFileType type, std::string &out) {
    llvm::SmallVector<char, 0> bytes;
    llvm::raw_svector_ostream stream(bytes);
    llvm::legacy::PassManager passes;
    if (machine->addPassesToEmitFile(passes, stream, nullptr, type))
      return failure();
    std::unique_ptr<llvm::Module> copy = llvm::CloneModule(*code);
    passes.run(*copy);
    out.assign(bytes.begin(), bytes.end());
    return success();
  };
  if (failed(emit(llvm::CodeGenFileType::ObjectFile, object)) ||
      (wantAssembly &&
       failed(emit(llvm::CodeGenFileType::AssemblyFile, assembly)))) {
    error = "the target cannot emit objects";
    return failure();
  }
  return success();
}

LogicalResult linkSharedObject(llvm::ArrayRef<llvm::StringRef> objects,
                               std::string &shared, std::string &error) {
  // lld keeps global state: one link at a time.
  static std::mutex mutex;
  std::lock_guard lock(mutex);
  llvm::SmallString<128> folder;
  if (std::error_code code =
          llvm::sys::fs::createUniqueDirectory("aicc-link", folder)) {
    error = "cannot create a temporary folder: " + code.message();
    return failure();
  }
  auto path = [&](const llvm::Twine &name) {
    llvm::SmallString<128> full(folder);
    llvm::sys::path::append(full, name);
    return std::string(full);
  };
  std::vector<std::string> arguments = {"ld.lld",
                                        "-shared",
                                        "--build-id=none",
                                        "--hash-style=both",
                                        "-z",
                                        "noexecstack",
                                        "--soname=kernels.so",
                                        "-o",
                                        path("kernels.so")};
  for (auto [i, object] : llvm::enumerate(objects)) {
    arguments.push_back(path(std::to_string(i) + ".o"));
    std::error_code code;
    llvm::raw_fd_ostream file(arguments.back(), code);
    file << object;
  }
  std::vector<const char *> argv;
  for (std::string &argument : arguments)
    argv.push_back(argument.c_str());
  std::string text;
  llvm::raw_string_ostream messages(text);
  lld::Result result =
      lld::lldMain(argv, messages, messages, {{lld::Gnu, &lld::elf::link}});
  LogicalResult status = failure();
  if (result.retCode == 0) {
    if (auto buffer = llvm::MemoryBuffer::getFile(path("kernels.so"))) {
      shared = (*buffer)->getBuffer().str();
      status = success();
    }
  }
  if (failed(status))
    error = "linking failed: " + llvm::StringRef(text).split('\n').first.str();
  llvm::sys::fs::remove_directories(folder);
  return status;
}

} // namespace aicc::target
