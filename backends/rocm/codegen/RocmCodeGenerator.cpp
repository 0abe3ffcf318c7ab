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
  unsigned copyBytes; // of a lane, from global memory to LDS; 0: can't
  bool transposes;    // by ds_read_b64_tr_b16
  uint32_t rawBuffer; // word 3 of the descriptor of a raw buffer
};
// Formats are ignored but must be valid; from RDNA on a bit is reserved to be
// 1, and 3 << 28 checks offsets against the number of bytes.
constexpr uint32_t rawOfCdna = 7 << 12 | 4 << 15,
                   rawOfRdna = rawOfCdna | 1 << 24 | 3u << 28;
constexpr unsigned kilo = 1024;
constexpr Chip chips[] = {
    {"gfx90a", "gfx90a", 64, 64 * kilo, 110, false, 4, false, rawOfCdna},
    {"gfx942", "gfx942", 64, 64 * kilo, 304, true, 4, false, rawOfCdna},
    {"gfx950", "gfx950", 64, 160 * kilo, 256, false, 16, true, rawOfCdna},
    {"gfx1100", "gfx1100", 32, 64 * kilo, 96, false, 0, false, rawOfRdna},
    {"gfx1201", "gfx1201", 32, 64 * kilo, 64, false, 0, false, rawOfRdna},
    {"gfx9-4-generic", "gfx942", 64, 64 * kilo, 304, false, 4, false,
     rawOfCdna},
    {"gfx11-generic", "gfx1100", 32, 64 * kilo, 96, true, 0, false, rawOfRdna},
    {"gfx12-generic", "gfx1201", 32, 64 * kilo, 64, true, 0, false, rawOfRdna}};

Value constant32(OpBuilder &b, Location loc, int32_t value) {
  return LLVM::ConstantOp::create(b, loc, b.getI32IntegerAttr(value));
}

/// Views as descriptors of raw buffers.
aicc::gpu::BufferView viewOf(const Chip &chip) {
  aicc::gpu::BufferView view;
  view.make = [word = chip.rawBuffer](OpBuilder &b, Location loc, Value pointer,
                                      Value bytes) -> Value {
    Type type = LLVM::LLVMPointerType::get(b.getContext(), 8);
    Value stride = LLVM::ConstantOp::create(b, loc, b.getI16Type(),
                                            b.getI16IntegerAttr(0));
    return ROCDL::MakeBufferRsrcOp::create(b, loc, type, pointer, stride, bytes,
                                           constant32(b, loc, int32_t(word)));
  };
  // As words: not every vector of smaller elements is a type of the
  // instruction.
  view.load = [](OpBuilder &b, Location loc, Type type, Value view,
                 Value offset) -> Value {
    auto vector = dyn_cast<VectorType>(type);
    unsigned bits = getElementTypeOrSelf(type).getIntOrFloatBitWidth() *
                    (vector ? vector.getNumElements() : 1);
    Type word = b.getIntegerType(std::min(bits, 32u));
    Type loaded = bits > 32 ? Type(VectorType::get({bits / 32}, word)) : word;
    Value zero = constant32(b, loc, 0);
    Value value = ROCDL::RawPtrBufferLoadOp::create(
        b, loc, loaded, view, offset, zero, zero, ArrayAttr(), ArrayAttr(),
        ArrayAttr());
    return loaded == type ? value
                          : Value(LLVM::BitcastOp::create(b, loc, type, value));
  };
  return view;
}

/// Copies from global memory to LDS; M0 is where a wave's begin.
aicc::gpu::LaneCopy laneCopyOf(const Chip &chip) {
  aicc::gpu::LaneCopy copy;
  copy.bytes = chip.copyBytes;
  if (!copy.bytes)
    return copy;
  copy.copyView = [bytes = copy.bytes](OpBuilder &b, Location loc, Value to,
                                       Value view, Value offset,
                                       ArrayAttr scopes) {
    Value zero = constant32(b, loc, 0);
    ROCDL::RawPtrBufferLoadLdsOp::create(
        b, loc, view, to, constant32(b, loc, bytes), offset, zero, zero, zero,
        scopes, ArrayAttr(), ArrayAttr());
  };
  copy.copy = [bytes = copy.bytes](OpBuilder &b, Location loc, Value to,
                                   Value from, ArrayAttr scopes) {
    IntegerAttr zero = b.getI32IntegerAttr(0);
    ROCDL::GlobalLoadLDSOp::create(b, loc, from, to, b.getI32IntegerAttr(bytes),
                                   zero, zero, scopes, ArrayAttr(),
                                   ArrayAttr());
  };
  // A fence of a workgroup waits for all copies; one of a wave only keeps the
  // compiler from moving accesses. LDS is waited for as a fence would.
  copy.meet = [](OpBuilder &b, Location loc, unsigned pending) {
    constexpr unsigned most = 63, anyExports = 7 << 4;
    pending = std::min(pending, most);
    constexpr llvm::StringLiteral scope = "wavefront";
    LLVM::FenceOp::create(b, loc, LLVM::AtomicOrdering::release, scope);
    ROCDL::SWaitcntOp::create(
        b, loc, (pending & 15) | anyExports | (pending >> 4 << 14));
    ROCDL::SBarrierOp::create(b, loc);
    LLVM::FenceOp::create(b, loc, LLVM::AtomicOrdering::acquire, scope);
  };
  return copy;
}

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
    for (const Chip &chip : chips)
      if (record.chip == chip.name) {
        options.view = viewOf(chip);
        options.laneCopy = laneCopyOf(chip);
        if (chip.transposes)
          options.transposedLoad = [](OpBuilder &b, Location loc, Type type,
                                      Value pointer, ArrayAttr apart) -> Value {
            return ROCDL::ds_read_tr16_b64::create(
                b, loc, type, pointer, ArrayAttr(), apart, ArrayAttr());
          };
      }
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
        {"llvm.amdgcn.permlane16.swap", Meaning::swapRows16},
        {"llvm.amdgcn.permlane32.swap", Meaning::swapRows32},
        {"llvm.amdgcn.s.barrier", Meaning::barrier},
        {"llvm.amdgcn.make.buffer.rsrc", Meaning::viewMake},
        {"llvm.amdgcn.raw.ptr.buffer.load.lds", Meaning::viewCopy},
        {"llvm.amdgcn.raw.ptr.buffer.load", Meaning::viewLoad},
        {"llvm.amdgcn.global.load.lds", Meaning::lanesCopy},
        {"llvm.amdgcn.ds.read.tr16.b64", Meaning::loadTransposed},
        {"llvm.amdgcn.s.waitcnt", Meaning::waitCounts},
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
