//===- CudaCodeGenerator.cpp - kernels to PTX -----------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "backends/cuda/codegen/MatrixTable.h"
#include "compiler/gpu/Generator.h"

#include "mlir/Conversion/GPUToNVVM/GPUToNVVMPass.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"

#include <mutex>

using namespace mlir;
using namespace aicc;

extern "C" {
void LLVMInitializeNVPTXTarget();
void LLVMInitializeNVPTXTargetInfo();
void LLVMInitializeNVPTXTargetMC();
void LLVMInitializeNVPTXAsmPrinter();
}

namespace {

/// Chips, the oldest PTX version that knows them, and the multiprocessors of
/// the largest card (data sheets: A100, A40, L40, H200, B200, RTX PRO 6000).
struct Chip {
  const char *name;
  const char *features;
  unsigned sharedBytes;
  unsigned processors;
};
constexpr Chip chips[] = {{"sm_80", "+ptx70", 163 * 1024, 108},
                          {"sm_86", "+ptx71", 99 * 1024, 84},
                          {"sm_89", "+ptx84", 99 * 1024, 142},
                          {"sm_90", "+ptx84", 227 * 1024, 132},
                          {"sm_90a", "+ptx84", 227 * 1024, 132},
                          {"sm_100", "+ptx86", 227 * 1024, 148},
                          {"sm_120", "+ptx87", 99 * 1024, 188}};

/// cp.async.bulk.tensor of so many dimensions, for this workgroup only.
void copyBox(OpBuilder &b, Location loc, Value to, Value counter, Value map,
             ValueRange coordinates) {
  constexpr unsigned clusterSpace = 7;
  auto constant = [&](Type type, int64_t value) {
    return LLVM::ConstantOp::create(b, loc, type,
                                    b.getIntegerAttr(type, value));
  };
  Value place = LLVM::AddrSpaceCastOp::create(
      b, loc, LLVM::LLVMPointerType::get(b.getContext(), clusterSpace), to);
  SmallVector<Value> operands{place, counter, map};
  operands.append(coordinates.begin(), coordinates.end());
  operands.append({constant(b.getIntegerType(16), 0), // of other workgroups
                   constant(b.getI64Type(), 0),       // how to cache it
                   constant(b.getI1Type(), 0), constant(b.getI1Type(), 0),
                   constant(b.getI32Type(), 0)});
  LLVM::CallIntrinsicOp::create(
      b, loc,
      b.getStringAttr("llvm.nvvm.cp.async.bulk.tensor.g2s.tile." +
                      llvm::Twine(coordinates.size()) + "d"),
      operands);
}

class CudaCodeGenerator final : public aicc::gpu::Generator {
  StringRef family() const override { return "cuda"; }
  StringRef format() const override { return "ptx"; }
  StringRef textSuffix() const override { return "ptx"; }
  /// PTX of one chip runs on all later ones.
  bool inDefault(StringRef chip) const override { return chip == "sm_80"; }

  void registerDialects(DialectRegistry &registry) const override {
    aicc::gpu::registerDialects(registry);
    registry.insert<NVVM::NVVMDialect>();
    registerNVVMDialectTranslation(registry);
  }

  std::vector<target::TargetRecord> records() const override {
    std::vector<target::TargetRecord> records;
    for (const Chip &chip : chips) {
      target::TargetRecord record;
      record.family = "cuda";
      record.chip = chip.name;
      record.required = {chip.name};
      record.triple = "nvptx64-nvidia-cuda";
      record.cpu = chip.name;
      record.features = chip.features;
      record.fusedAttention = true;
      record.subgroup = 32;
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
    options.matrix = backends::cuda::matrixInstructions(record.chip);
    options.mostSharedBytes = record.sharedBytes;
    options.staticSharedBytes = 48 * 1024; // .shared of known size: PTX ISA
    options.asyncCopy = {"llvm.nvvm.cp.async.cg.shared.global.16.s",
                         "llvm.nvvm.cp.async.commit.group",
                         "llvm.nvvm.cp.async.wait.group"};
    options.matrixLoad = {"llvm.nvvm.ldmatrix.sync.aligned.m8n8.x2.b16",
                          "llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.b16",
                          "llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.trans.b16"};
    options.power = "llvm.nvvm.ex2.approx.ftz.f32";
    if (record.chip == "sm_90a")
      options.boxCopy = {copyBox, "llvm.nvvm.mbarrier.init.shared",
                         "llvm.nvvm.fence.mbarrier_init.release.cluster",
                         "llvm.nvvm.mbarrier.arrive.expect.tx.scope.cta.space."
                         "cta",
                         "llvm.nvvm.mbarrier.try.wait.parity.scope.cta.space."
                         "cta"};
    options.takeRegisters = [](LLVM::LLVMFuncOp function) {
      function->setAttr(NVVM::NVVMDialect::getMinctasmAttrName(),
                        Builder(function.getContext()).getI32IntegerAttr(1));
    };
    options.finish = [](LLVM::LLVMFuncOp function,
                        std::array<unsigned, 3> workgroup) {
      Builder b(function.getContext());
      function->setAttr(NVVM::NVVMDialect::getKernelFuncAttrName(),
                        b.getUnitAttr());
      function->setAttr(
          NVVM::NVVMDialect::getReqntidAttrName(),
          b.getDenseI32ArrayAttr(
              {int(workgroup[0]), int(workgroup[1]), int(workgroup[2])}));
      function.setArgAttr(0, NVVM::NVVMDialect::getGridConstantAttrName(),
                          b.getUnitAttr());
    };
    return options;
  }

  void addConversion(OpPassManager &passes,
                     const target::TargetRecord &) const override {
    ConvertGpuOpsToNVVMOpsOptions options;
    options.indexBitwidth = 64;
    passes.addPass(createConvertGpuOpsToNVVMOps(options));
  }

  ArrayRef<aicc::gpu::Intrinsic> intrinsics() const override {
    using aicc::gpu::Meaning;
    static constexpr aicc::gpu::Intrinsic table[] = {
        {"llvm.nvvm.read.ptx.sreg.tid.x", Meaning::threadX},
        {"llvm.nvvm.read.ptx.sreg.tid.y", Meaning::threadY},
        {"llvm.nvvm.read.ptx.sreg.tid.z", Meaning::threadZ},
        {"llvm.nvvm.read.ptx.sreg.ctaid.x", Meaning::groupX},
        {"llvm.nvvm.read.ptx.sreg.ctaid.y", Meaning::groupY},
        {"llvm.nvvm.read.ptx.sreg.ctaid.z", Meaning::groupZ},
        {"llvm.nvvm.read.ptx.sreg.laneid", Meaning::lane},
        {"llvm.nvvm.barrier.cta.sync", Meaning::barrier},
        {"llvm.nvvm.barrier0", Meaning::barrier},
        {"llvm.nvvm.shfl.sync.bfly", Meaning::shuffleXorMasked},
        {"llvm.nvvm.cp.async.cg.shared.global.16", Meaning::copyAsync},
        {"llvm.nvvm.cp.async.commit.group", Meaning::copyCommit},
        {"llvm.nvvm.cp.async.wait.group", Meaning::copyWait},
        {"llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.trans",
         Meaning::loadMatrixTransposed},
        {"llvm.nvvm.ldmatrix.sync.aligned.m8n8", Meaning::loadMatrix},
        {"llvm.nvvm.wgmma.fence", Meaning::matrixFence},
        {"llvm.nvvm.wgmma.commit_group", Meaning::matrixCommit},
        {"llvm.nvvm.wgmma.wait_group", Meaning::matrixWait},
        {"llvm.nvvm.fence.proxy.async.shared_cta", Meaning::publish},
        {"llvm.nvvm.mbarrier.init.shared", Meaning::counterInit},
        {"llvm.nvvm.fence.mbarrier_init", Meaning::ignore},
        {"llvm.nvvm.mbarrier.arrive.expect.tx", Meaning::counterExpect},
        {"llvm.nvvm.mbarrier.try.wait.parity", Meaning::counterWait},
        {"llvm.nvvm.cp.async.bulk.tensor.g2s.tile.2d", Meaning::copyBox2},
        {"llvm.nvvm.cp.async.bulk.tensor.g2s.tile.3d", Meaning::copyBox3},
        {"llvm.nvvm.cp.async.bulk.tensor.g2s.tile.4d", Meaning::copyBox4},
        {"llvm.nvvm.cp.async.bulk.tensor.g2s.tile.5d", Meaning::copyBox5},
        {"llvm.nvvm.ex2.approx.ftz", Meaning::power},
    };
    return table;
  }

  std::unique_ptr<llvm::TargetMachine>
  createMachine(const target::TargetRecord &record,
                const aicc::gpu::Lowered &) const override {
    static std::once_flag once;
    std::call_once(once, [] {
      LLVMInitializeNVPTXTargetInfo();
      LLVMInitializeNVPTXTarget();
      LLVMInitializeNVPTXTargetMC();
      LLVMInitializeNVPTXAsmPrinter();
    });
    return aicc::gpu::createTargetMachine(llvm::Triple(record.triple),
                                          record.cpu, record.features);
  }

  bool emit(llvm::Module &module, llvm::TargetMachine &machine,
            const target::TargetRecord &, const target::CodeOptions &options,
            target::KernelCode &code, std::string &error) const override {
    code.object = aicc::gpu::emitFile(module, machine,
                                      llvm::CodeGenFileType::AssemblyFile);
    if (options.assembly)
      code.assembly = code.object;
    error = "the PTX printer failed";
    return !code.object.empty();
  }
};

} // namespace

namespace aicc::backends::cuda {
std::unique_ptr<target::CodeGenerator> createCodeGenerator() {
  return std::make_unique<CudaCodeGenerator>();
}
} // namespace aicc::backends::cuda
