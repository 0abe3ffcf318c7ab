//===- IntelCodeGenerator.cpp - kernels to SPIR-V -------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/gpu/Generator.h"

#include "mlir/Conversion/ConvertToLLVM/ToLLVMPass.h"
#include "mlir/Conversion/GPUToLLVMSPV/GPUToLLVMSPVPass.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/CrashRecoveryContext.h"
#include "llvm/Support/ErrorHandling.h"
#include "llvm/Transforms/Utils/Cloning.h"

#include <mutex>

using namespace mlir;
using namespace aicc;

extern "C" {
void LLVMInitializeSPIRVTarget();
void LLVMInitializeSPIRVTargetInfo();
void LLVMInitializeSPIRVTargetMC();
void LLVMInitializeSPIRVAsmPrinter();
// Exported by LLVM's library, declared in no header.
bool SPIRVTranslate(llvm::Module *module, std::string &spirv,
                    std::string &error,
                    const std::vector<std::string> &extensions,
                    llvm::CodeGenOptLevel level, llvm::Triple triple);
}

namespace {

/// The code is the same for all: subgroups of 16, which every one of these
/// devices and Intel's runtime for CPUs has.
constexpr const char *chips[] = {"generic", "dg2", "pvc"};

class IntelCodeGenerator final : public aicc::gpu::Generator {
  StringRef family() const override { return "intel"; }
  StringRef format() const override { return "spirv"; }
  StringRef assemblySuffix() const override { return "spvasm"; }
  bool inDefault(StringRef chip) const override { return chip == "generic"; }

  void registerDialects(DialectRegistry &registry) const override {
    aicc::gpu::registerDialects(registry);
  }

  std::vector<target::TargetRecord> records() const override {
    std::vector<target::TargetRecord> records;
    for (const char *chip : chips) {
      target::TargetRecord record;
      record.family = "intel";
      record.chip = chip;
      record.triple = "spirv64v1.2-unknown-unknown";
      record.subgroup = 16;
      record.maxWorkgroup = 512;
      record.sharedBytes = 64 * 1024;
      records.push_back(record);
    }
    return records;
  }

  aicc::gpu::Options options(const target::TargetRecord &record) const override {
    aicc::gpu::Options options;
    options.subgroup = record.subgroup;
    options.sharedBytes = record.sharedBytes;
    // The runtime for CPUs vectorises over the position in the subgroup:
    // vectors of a thread become gathers there.
    options.laneId = true;
    options.vector = 1;
    options.tile = 4;
    unsigned subgroup = record.subgroup;
    options.finish = [subgroup](LLVM::LLVMFuncOp function,
                                std::array<unsigned, 3> workgroup) {
      Builder b(function.getContext());
      function.setCConv(LLVM::CConv::SPIR_KERNEL);
      function->setAttr(
          "reqd_work_group_size",
          b.getDenseI32ArrayAttr({int(workgroup[0]), int(workgroup[1]),
                                  int(workgroup[2])}));
      function->setAttr("intel_reqd_sub_group_size",
                        b.getI32IntegerAttr(subgroup));
    };
    return options;
  }

  void addConversion(OpPassManager &passes,
                     const target::TargetRecord &) const override {
    // This order: the second would move memory of the default space.
    passes.addPass(createConvertToLLVMPass());
    ConvertGpuOpsToLLVMSPVOpsOptions options;
    options.use64bitIndex = true;
    passes.addPass(createConvertGpuOpsToLLVMSPVOps(options));
  }

  std::unique_ptr<llvm::TargetMachine>
  createMachine(const target::TargetRecord &record,
                const aicc::gpu::Lowered &lowered) const override {
    static std::once_flag once;
    std::call_once(once, [] {
      LLVMInitializeSPIRVTargetInfo();
      LLVMInitializeSPIRVTarget();
      LLVMInitializeSPIRVTargetMC();
      LLVMInitializeSPIRVAsmPrinter();
      llvm::CrashRecoveryContext::Enable();
    });
    std::string error;
    // Shuffles came with 1.3.
    llvm::Triple triple(lowered.shuffles ? "spirv64v1.3-unknown-unknown"
                                         : record.triple);
    const llvm::Target *target =
        llvm::TargetRegistry::lookupTarget(triple, error);
    return std::unique_ptr<llvm::TargetMachine>(
        target ? target->createTargetMachine(triple, "", "",
                                             llvm::TargetOptions(),
                                             std::nullopt)
               : nullptr);
  }

  /// The back end reports what it can't do by ending the process: run it where
  /// that can be caught.
  static bool survive(llvm::function_ref<void()> action, std::string &error) {
    // The handler is one for the process; the reason belongs to this thread.
    static thread_local std::string reason;
    static std::once_flag once;
    std::call_once(once, [] {
      llvm::install_fatal_error_handler(
          [](void *, const char *why, bool) { reason = why; });
    });
    reason.clear();
    llvm::CrashRecoveryContext recovery;
    recovery.DumpStackAndCleanupOnFailure = false;
    bool alive = recovery.RunSafely(action);
    if (!alive)
      error = "LLVM's SPIR-V back end failed: " +
              (reason.empty() ? "no reason given" : reason);
    return alive;
  }

  bool emit(llvm::Module &module, llvm::TargetMachine &machine,
            const target::TargetRecord &, const target::CodeOptions &options,
            target::KernelCode &code, std::string &error) const override {
    if (options.assembly) {
      std::unique_ptr<llvm::Module> copy = llvm::CloneModule(module);
      if (!survive(
              [&] {
                code.assembly = aicc::gpu::emitFile(
                    *copy, machine, llvm::CodeGenFileType::AssemblyFile);
              },
              error))
        return false;
    }
    bool done = false;
    return survive(
               [&] {
                 done = SPIRVTranslate(&module, code.object, error, {},
                                       llvm::CodeGenOptLevel::Default,
                                       machine.getTargetTriple());
               },
               error) &&
           done;
  }
};

} // namespace

namespace aicc::backends::intel {
std::unique_ptr<target::CodeGenerator> createCodeGenerator() {
  return std::make_unique<IntelCodeGenerator>();
}
} // namespace aicc::backends::intel
