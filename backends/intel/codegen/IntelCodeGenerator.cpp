//===- IntelCodeGenerator.cpp - kernels to SPIR-V -------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "backends/intel/codegen/Emit.h"
#include "backends/intel/codegen/MatrixTable.h"
#include "compiler/gpu/Generator.h"

#include "mlir/Conversion/ConvertToLLVM/ToLLVMPass.h"
#include "mlir/Conversion/GPUToLLVMSPV/GPUToLLVMSPVPass.h"

#include <mutex>

using namespace mlir;
using namespace aicc;

extern "C" {
void LLVMInitializeSPIRVTarget();
void LLVMInitializeSPIRVTargetInfo();
void LLVMInitializeSPIRVTargetMC();
void LLVMInitializeSPIRVAsmPrinter();
}

namespace {

/// Subgroups of 16, which every one of these devices and Intel's runtime for
/// CPUs has; matrix instructions want a chip's smallest. Processors: Xe cores
/// of an Arc A770, of a Data Center GPU Max 1550; a generic chip may be
/// anything.
struct Chip {
  const char *name;
  unsigned matrixSubgroup;
  unsigned processors;
};
constexpr Chip chips[] = {{"generic", 16, 0}, {"dg2", 8, 32}, {"pvc", 16, 128}};

class IntelCodeGenerator final : public aicc::gpu::Generator {
  StringRef family() const override { return "intel"; }
  StringRef format() const override { return "spirv"; }
  StringRef textSuffix() const override { return "spvasm"; }
  bool inDefault(StringRef chip) const override { return chip == "generic"; }

  void registerDialects(DialectRegistry &registry) const override {
    aicc::gpu::registerDialects(registry);
  }

  std::vector<target::TargetRecord> records() const override {
    std::vector<target::TargetRecord> records;
    for (const Chip &chip : chips) {
      target::TargetRecord record;
      record.family = "intel";
      record.chip = chip.name;
      record.triple = "spirv64v1.2-unknown-unknown";
      record.subgroup = 16;
      record.required = {"subgroup16"};
      if (!backends::intel::matrixInstructions(chip.name).empty())
        record.required.push_back("xmx" + std::to_string(chip.matrixSubgroup));
      if (!backends::intel::blockLoads(chip.name).rows.empty())
        record.required.push_back("block2d");
      record.fusedAttention = true;
      record.maxWorkgroup = 512;
      record.sharedBytes = 64 * 1024;
      record.processors = chip.processors;
      records.push_back(record);
    }
    return records;
  }

  aicc::gpu::Options
  options(const target::TargetRecord &record) const override {
    aicc::gpu::Options options;
    options.subgroup = record.subgroup;
    options.matrix = backends::intel::matrixInstructions(record.chip);
    for (const Chip &chip : chips)
      if (record.chip == chip.name)
        options.matrixSubgroup = chip.matrixSubgroup;
    // Of 256, which the drivers allow; the compiler reads many fragments ahead.
    options.fragmentRegisters = 96;
    options.blockLoads = backends::intel::blockLoads(record.chip);
    options.sharedBytes = record.sharedBytes;
    // The runtime for CPUs vectorises over the position in the subgroup:
    // vectors of a thread become gathers there.
    options.laneId = true;
    // It computes -x - max(-x) wrongly if -x lives across a barrier.
    options.keepsRows = false;
    options.computesAgain = true;
    options.vector = 1;
    options.tile = 4;
    options.finish = [](LLVM::LLVMFuncOp function,
                        std::array<unsigned, 3> workgroup) {
      Builder b(function.getContext());
      function.setCConv(LLVM::CConv::SPIR_KERNEL);
      function->setAttr(
          "reqd_work_group_size",
          b.getDenseI32ArrayAttr(
              {int(workgroup[0]), int(workgroup[1]), int(workgroup[2])}));
      function->setAttr("intel_reqd_sub_group_size",
                        b.getI32IntegerAttr(workgroup[0]));
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

  /// It makes divisions 16 bits wide where the numbers are small; the SPIR-V
  /// back end then drops truncations to 16 bits (invalid operand sizes).
  llvm::ArrayRef<llvm::StringRef> passesLeftOut() const override {
    static constexpr llvm::StringRef names[] = {
        "CorrelatedValuePropagationPass"};
    return names;
  }

  ArrayRef<aicc::gpu::Intrinsic> intrinsics() const override {
    using aicc::gpu::Meaning;
    // OpenCL's built-in functions, under their C++ names.
    static constexpr aicc::gpu::Intrinsic table[] = {
        {"_Z12get_local_id", Meaning::thread},
        {"_Z12get_group_id", Meaning::group},
        {"_Z22get_sub_group_local_id", Meaning::lane},
        {"_Z21sub_group_shuffle_xor", Meaning::shuffleXor},
        {"_Z17sub_group_shuffle", Meaning::shuffleIndex},
        {"_Z7barrier", Meaning::barrier},
    };
    return table;
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
    });
    // Shuffles came with 1.3.
    return aicc::gpu::createTargetMachine(llvm::Triple(
        lowered.shuffles ? "spirv64v1.3-unknown-unknown" : record.triple));
  }

  bool emit(llvm::Module &module, llvm::TargetMachine &machine,
            const target::TargetRecord &, const target::CodeOptions &options,
            target::KernelCode &code, std::string &error) const override {
    auto object = backends::intel::emitSpirv(module, machine, false, error);
    if (!object)
      return false;
    code.object = std::move(*object);
    if (!options.assembly)
      return true;
    auto text = backends::intel::emitSpirv(module, machine, true, error);
    code.assembly = text.value_or("");
    return text.has_value();
  }
};

} // namespace

namespace aicc::backends::intel {
std::unique_ptr<target::CodeGenerator> createCodeGenerator() {
  return std::make_unique<IntelCodeGenerator>();
}
} // namespace aicc::backends::intel
