//===- RocmCodeGenerator.cpp - kernels to AMD code objects ----------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "backends/rocm/codegen/MatrixTable.h"
#include "backends/rocm/codegen/Resources.h"
#include "compiler/gpu/Generator.h"
#include "compiler/target/MachineCode.h"

#include "mlir/Conversion/GPUToROCDL/GPUToROCDLPass.h"
#include "mlir/Dialect/LLVMIR/ROCDLDialect.h"
#include "mlir/Target/LLVMIR/Dialect/ROCDL/ROCDLToLLVMIRTranslation.h"
#include "llvm/Transforms/Utils/Cloning.h"

#include <mutex>

using namespace mlir;
using namespace aicc;

extern "C" {
void LLVMInitializeAMDGPUTarget();
void LLVMInitializeAMDGPUTargetInfo();
void LLVMInitializeAMDGPUTargetMC();
void LLVMInitializeAMDGPUAsmPrinter();
}

namespace {

/// `member` is a chip of the family for passes that know no generic names.
/// Compute units: of an MI250X's half, MI300X, MI355X, RX 7900 XTX, RX 9070 XT.
struct Chip {
  const char *name;
  const char *member;
  unsigned wave;
  unsigned sharedBytes;
  unsigned processors;
  bool inDefault;
};
constexpr Chip chips[] = {
    {"gfx90a", "gfx90a", 64, 64 * 1024, 110, false},
    {"gfx942", "gfx942", 64, 64 * 1024, 304, true},
    {"gfx950", "gfx950", 64, 160 * 1024, 256, false},
    {"gfx1100", "gfx1100", 32, 64 * 1024, 96, false},
    {"gfx1201", "gfx1201", 32, 64 * 1024, 64, false},
    {"gfx9-4-generic", "gfx942", 64, 64 * 1024, 304, false},
    {"gfx11-generic", "gfx1100", 32, 64 * 1024, 96, true},
    {"gfx12-generic", "gfx1201", 32, 64 * 1024, 64, true}};

class RocmCodeGenerator final : public aicc::gpu::Generator {
  StringRef family() const override { return "rocm"; }
  StringRef format() const override { return "hsaco"; }
  StringRef textSuffix() const override { return "s"; }
  bool inDefault(StringRef name) const override {
    return llvm::any_of(chips, [&](const Chip &chip) {
      return chip.name == name && chip.inDefault;
    });
  }

  std::vector<std::pair<std::string, int64_t>>
  resources(const target::KernelCode &code) const override {
    return backends::rocm::resourcesOf(code.object, code.entry);
  }

  void registerDialects(DialectRegistry &registry) const override {
    aicc::gpu::registerDialects(registry);
    registry.insert<ROCDL::ROCDLDialect>();
    registerROCDLDialectTranslation(registry);
  }

  std::vector<target::TargetRecord> records() const override {
    std::vector<target::TargetRecord> records;
    for (const Chip &chip : chips) {
      target::TargetRecord record;
      record.family = "rocm";
      record.chip = chip.name;
      record.required = {chip.name};
      record.triple = "amdgcn-amd-amdhsa";
      record.cpu = chip.name;
      record.fusedAttention = true;
      record.subgroup = chip.wave;
      record.maxWorkgroup = 1024;
      record.sharedBytes = chip.sharedBytes;
      record.processors = chip.processors;
      records.push_back(record);
    }
    return records;
  }

  aicc::gpu::Options
  options(const target::TargetRecord &record) const override {
    aicc::gpu::Options options;
    options.subgroup = record.subgroup;
    options.matrix = backends::rocm::matrixInstructions(record.chip);
    options.sharedBytes = record.sharedBytes;
    // Of 512 (with accumulation registers) or 256.
    options.fragmentRegisters = record.subgroup == 64 ? 320 : 112;
    // Kernel arguments lie in the constant address space.
    options.argumentSpace = 4;
    options.argumentAttribute = LLVM::LLVMDialect::getByRefAttrName();
    options.finish = [](LLVM::LLVMFuncOp function,
                        std::array<unsigned, 3> workgroup) {
      Builder b(function.getContext());
      unsigned threads = workgroup[0] * workgroup[1] * workgroup[2];
      function->setAttr(ROCDL::ROCDLDialect::getKernelFuncAttrName(),
                        b.getUnitAttr());
      function->setAttr("rocdl.flat_work_group_size",
                        b.getStringAttr(Twine(threads) + "," + Twine(threads)));
      function->setAttr(
          "rocdl.reqd_work_group_size",
          b.getDenseI32ArrayAttr(
              {int(workgroup[0]), int(workgroup[1]), int(workgroup[2])}));
    };
    return options;
  }

  void addConversion(OpPassManager &passes,
                     const target::TargetRecord &record) const override {
    ConvertGpuOpsToROCDLOpsOptions options;
    for (const Chip &chip : chips)
      if (record.chip == chip.name)
        options.chipset = chip.member;
    options.indexBitwidth = 64;
    options.runtime = mlir::gpu::amd::Runtime::HIP;
    passes.addPass(createConvertGpuOpsToROCDLOps(options));
  }

  /// Every loop worth unrolling is written so. Of the others the back end then
  /// loads ahead what many iterations read, more than there are registers.
  llvm::ArrayRef<llvm::StringRef> passesLeftOut() const override {
    static constexpr llvm::StringRef names[] = {"LoopFullUnrollPass",
                                                "LoopUnrollPass"};
    return names;
  }

  ArrayRef<aicc::gpu::Intrinsic> intrinsics() const override {
    using aicc::gpu::Meaning;
    static constexpr aicc::gpu::Intrinsic table[] = {
        {"llvm.amdgcn.workitem.id.x", Meaning::threadX},
        {"llvm.amdgcn.workitem.id.y", Meaning::threadY},
        {"llvm.amdgcn.workitem.id.z", Meaning::threadZ},
        {"llvm.amdgcn.workgroup.id.x", Meaning::groupX},
        {"llvm.amdgcn.workgroup.id.y", Meaning::groupY},
        {"llvm.amdgcn.workgroup.id.z", Meaning::groupZ},
        {"llvm.amdgcn.mbcnt.lo", Meaning::lanesBelow},
        {"llvm.amdgcn.mbcnt.hi", Meaning::lanesBelowHigh},
        {"llvm.amdgcn.ds.swizzle", Meaning::shuffleSwizzle},
        {"llvm.amdgcn.ds.bpermute", Meaning::shuffleBytes},
        {"llvm.amdgcn.s.barrier", Meaning::barrier},
    };
    return table;
  }

  std::unique_ptr<llvm::TargetMachine>
  createMachine(const target::TargetRecord &record,
                const aicc::gpu::Lowered &) const override {
    static std::once_flag once;
    std::call_once(once, [] {
      LLVMInitializeAMDGPUTargetInfo();
      LLVMInitializeAMDGPUTarget();
      LLVMInitializeAMDGPUTargetMC();
      LLVMInitializeAMDGPUAsmPrinter();
    });
    return aicc::gpu::createTargetMachine(llvm::Triple(record.triple),
                                          record.cpu, record.features,
                                          llvm::Reloc::PIC_);
  }

  bool emit(llvm::Module &module, llvm::TargetMachine &machine,
            const target::TargetRecord &record,
            const target::CodeOptions &options, target::KernelCode &code,
            std::string &error) const override {
    // Generic targets exist from code object version 6 on; the exact ones use
    // 5, which older runtimes load too.
    bool generic = StringRef(record.chip).ends_with("-generic");
    module.setModuleFlag(llvm::Module::Error, "amdhsa_code_object_version",
                         generic ? 600 : 500);
    if (options.assembly) {
      std::unique_ptr<llvm::Module> copy = llvm::CloneModule(module);
      code.assembly = aicc::gpu::emitFile(*copy, machine,
                                          llvm::CodeGenFileType::AssemblyFile);
    }
    code.object =
        aicc::gpu::emitFile(module, machine, llvm::CodeGenFileType::ObjectFile);
    error = "the object writer failed";
    return !code.object.empty();
  }

  /// One code object for all kernels.
  LogicalResult linkObjects(ArrayRef<const target::KernelCode *> kernels,
                            const target::TargetRecord &record,
                            std::vector<target::ObjectFile> &out_objects,
                            std::vector<unsigned> &out_index,
                            std::string &out_error) const override {
    return linkTogether(kernels, format(), record, out_objects, out_index,
                        out_error);
  }
};

} // namespace

namespace aicc::backends::rocm {
std::unique_ptr<target::CodeGenerator> createCodeGenerator() {
  return std::make_unique<RocmCodeGenerator>();
}
} // namespace aicc::backends::rocm
