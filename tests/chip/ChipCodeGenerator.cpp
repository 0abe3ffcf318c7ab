//===- ChipCodeGenerator.cpp - a GPU that nobody builds -------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Everything that a chip has to say: its numbers, its matrix instructions, and
// what its intrinsics mean. None of them is a real vendor's. Its code only runs
// on its virtual device. docs/design/gpu.md explains it line by line.
//
//===----------------------------------------------------------------------===//

#include "compiler/gpu/Generator.h"
#include "compiler/gpu/MatrixInstruction.h"

#include "mlir/Conversion/ConvertToLLVM/ToLLVMPass.h"
#include "mlir/Conversion/GPUToLLVMSPV/GPUToLLVMSPVPass.h"

#include <mutex>

using namespace mlir;
using namespace aicc;
using aicc::gpu::acrossLines;
using aicc::gpu::alongLine;
using aicc::gpu::joined;
using aicc::gpu::MatrixInstruction;
using aicc::gpu::MatrixType;

extern "C" {
void LLVMInitializeSPIRVTarget();
void LLVMInitializeSPIRVTargetInfo();
void LLVMInitializeSPIRVTargetMC();
void LLVMInitializeSPIRVAsmPrinter();
}

namespace {

/// Eight lanes; of a and b a lane holds a whole line of the depth, of the
/// result a column.
MatrixInstruction instruction(llvm::StringRef callee, unsigned rows,
                              unsigned depth, MatrixType operand) {
  MatrixInstruction row;
  row.name = "multiply";
  row.callee = callee;
  row.rows = rows;
  row.columns = 8;
  row.depth = depth;
  row.operand = operand;
  row.result = MatrixType::f32;
  row.a = {acrossLines(1, 8),
           joined({alongLine(1, depth), acrossLines(8, rows)})};
  row.b = {acrossLines(1, 8), alongLine(1, depth)};
  row.c = {alongLine(1, 8), acrossLines(1, rows)};
  return row;
}

ArrayRef<MatrixInstruction> rowsOfChip() {
  static const MatrixInstruction table[] = {
      instruction("chip_multiply_f32", 8, 4, MatrixType::f32),
      instruction("chip_multiply_f16", 16, 8, MatrixType::f16),
  };
  return table;
}

class ChipCodeGenerator final : public aicc::gpu::Generator {
  StringRef family() const override { return "chip"; }
  StringRef format() const override { return "none"; }
  StringRef textSuffix() const override { return "ll"; }
  bool inDefault(StringRef) const override { return true; }

  void registerDialects(DialectRegistry &registry) const override {
    aicc::gpu::registerDialects(registry);
  }

  std::vector<target::TargetRecord> records() const override {
    target::TargetRecord record;
    record.family = "chip";
    record.chip = "eight";
    record.triple = "spirv64v1.3-unknown-unknown";
    record.subgroup = 8;
    record.maxWorkgroup = 256;
    record.sharedBytes = 24 * 1024;
    record.processors = 4;
    return {record};
  }

  aicc::gpu::Options
  options(const target::TargetRecord &record) const override {
    aicc::gpu::Options options;
    options.subgroup = record.subgroup;
    options.sharedBytes = record.sharedBytes;
    options.matrix = rowsOfChip();
    options.vector = 1;
    options.tile = 4;
    // The conversion wants to know what a shuffle goes through.
    unsigned subgroup = record.subgroup;
    options.finish = [subgroup](LLVM::LLVMFuncOp function,
                                std::array<unsigned, 3>) {
      function->setAttr(
          "intel_reqd_sub_group_size",
          Builder(function.getContext()).getI32IntegerAttr(subgroup));
    };
    return options;
  }

  /// Built-in functions of OpenCL serve it as intrinsics.
  void addConversion(OpPassManager &passes,
                     const target::TargetRecord &) const override {
    passes.addPass(createConvertToLLVMPass());
    ConvertGpuOpsToLLVMSPVOpsOptions options;
    options.use64bitIndex = true;
    passes.addPass(createConvertGpuOpsToLLVMSPVOps(options));
  }

  ArrayRef<aicc::gpu::Intrinsic> intrinsics() const override {
    using aicc::gpu::Meaning;
    static constexpr aicc::gpu::Intrinsic table[] = {
        {"_Z12get_local_id", Meaning::thread},
        {"_Z12get_group_id", Meaning::group},
        {"_Z22get_sub_group_local_id", Meaning::lane},
        {"_Z21sub_group_shuffle_xor", Meaning::shuffleXor},
        {"_Z7barrier", Meaning::barrier},
    };
    return table;
  }

  std::unique_ptr<llvm::TargetMachine>
  createMachine(const target::TargetRecord &record,
                const aicc::gpu::Lowered &) const override {
    static std::once_flag once;
    std::call_once(once, [] {
      LLVMInitializeSPIRVTargetInfo();
      LLVMInitializeSPIRVTarget();
      LLVMInitializeSPIRVTargetMC();
      LLVMInitializeSPIRVAsmPrinter();
    });
    return aicc::gpu::createTargetMachine(llvm::Triple(record.triple));
  }

  bool emit(llvm::Module &, llvm::TargetMachine &, const target::TargetRecord &,
            const target::CodeOptions &, target::KernelCode &,
            std::string &error) const override {
    error = "it exists as chip:virtual only";
    return false;
  }
};

} // namespace

namespace aicc::tests {
std::unique_ptr<target::CodeGenerator> createChipCodeGenerator() {
  return std::make_unique<ChipCodeGenerator>();
}
} // namespace aicc::tests
