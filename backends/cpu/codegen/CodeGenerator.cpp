//===- CodeGenerator.cpp - kernels to machine code for CPUs ---------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "backends/cpu/codegen/Forms.h"
#include "backends/cpu/codegen/MachineCode.h"
#include "backends/cpu/codegen/Targets.h"

#include "compiler/lowering/Lowering.h"
#include "dialects/graph/Dims.h"
#include "dialects/graph/Graph.h"

#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;
using namespace aicc::lowering;

namespace aicc::backends::cpu {

/// Lanes of a vector of this target: of the widest common type, f32.
static unsigned widthOf(const target::TargetRecord &record) {
  return record.vectorBits / 32;
}

/// The reductions that the results depend on, operands first.
static SmallVector<linalg::GenericOp> reductionsOf(exec::KernelOp kernel) {
  llvm::SmallPtrSet<Operation *, 16> live;
  SmallVector<Operation *> work = {kernel.getBodyBlock()->getTerminator()};
  while (!work.empty()) {
    Operation *op = work.pop_back_val();
    if (!live.insert(op).second)
      continue;
    op->walk([&](Operation *inner) {
      for (Value operand : inner->getOperands())
        if (Operation *def = operand.getDefiningOp())
          if (def->getBlock() == kernel.getBodyBlock())
            work.push_back(def);
    });
  }
  SmallVector<linalg::GenericOp> reductions;
  for (Operation &op : *kernel.getBodyBlock())
    if (auto generic = dyn_cast<linalg::GenericOp>(op))
      if (generic.getNumReductionLoops() && live.contains(&op))
        reductions.push_back(generic);
  return reductions;
}

/// Emits `func @name(args, workgroup, scratch)` beside the kernel and returns
/// the expression of the number of workgroups.
static AffineExpr emitFunction(exec::KernelOp kernel,
                               const target::TargetRecord &record) {
  OpBuilder b(kernel);
  Location loc = kernel.getLoc();
  auto pointer = LLVM::LLVMPointerType::get(b.getContext());
  auto func = func::FuncOp::create(
      b, loc, "kernel",
      b.getFunctionType({pointer, pointer, pointer}, TypeRange{}));
  Block *entry = func.addEntryBlock();
  b.setInsertionPointToStart(entry);

  // The argument block: pointers, then the symbols as 64-bit integers.
  Value block = entry->getArgument(0);
  Type i64 = b.getI64Type();
  unsigned field = 0;
  auto load = [&](Type type) -> Value {
    Value address = LLVM::GEPOp::create(
        b, loc, pointer, i64, block, ArrayRef<LLVM::GEPArg>{int32_t(field++)},
        LLVM::GEPNoWrapFlags::inbounds);
    return LLVM::LoadOp::create(b, loc, type, address, 8, false, false,
                                /*isInvariant=*/true);
  };
  SmallVector<Value> pointers;
  unsigned buffers =
      kernel.getArgumentTypes().size() + kernel.getResultTypes().size();
  for (unsigned i = 0; i < buffers; ++i)
    pointers.push_back(load(pointer));
  llvm::DenseMap<int64_t, Value> symbols;
  for (int64_t number : kernel.getUsedSymbols())
    symbols[number] = load(i64);
  Value x =
      LLVM::LoadOp::create(b, loc, b.getI32Type(), entry->getArgument(1), 4);
  Value workgroup = arith::ExtUIOp::create(b, loc, i64, x);

  Emitter emitter(kernel, b, widthOf(record), pointers, symbols);
  Context context{
      emitter, record, Linear::of(workgroup), reductionsOf(kernel), {}};
  bool done = context.reductions.empty()
                  ? emitTransposed(context)
                  : emitTile(context) || emitRows(context);
  if (!done)
    emitPointwise(context);
  func::ReturnOp::create(b, loc);
  return context.grid;
}

namespace {
class CpuCodeGenerator : public target::CodeGenerator {
public:
  llvm::StringRef family() const override { return "cpu"; }
  llvm::StringRef assemblySuffix() const override { return "s"; }

  void registerDialects(DialectRegistry &registry) const override {
    registry.insert<affine::AffineDialect, arith::ArithDialect,
                    exec::ExecDialect, func::FuncDialect, LLVM::LLVMDialect,
                    linalg::LinalgDialect, math::MathDialect, scf::SCFDialect,
                    tensor::TensorDialect, vector::VectorDialect>();
    registerBuiltinDialectTranslation(registry);
    registerLLVMDialectTranslation(registry);
  }

  LogicalResult resolve(llvm::StringRef chip,
                        std::vector<target::TargetRecord> &records,
                        std::string &error) const override {
    return resolveTargets(chip, records, error);
  }

  LogicalResult compile(exec::KernelOp kernel,
                        const target::TargetRecord &record,
                        const target::CodeOptions &options,
                        target::KernelCode &code) const override {
    auto module = kernel->getParentOfType<ModuleOp>();
    MLIRContext *context = module.getContext();
    std::string name = kernel.getSymName().str();
    // Every symbol that a size of an argument or result needs is a scalar of
    // the kernel, also if only the emitter reads it.
    AffineExpr grid = emitFunction(kernel, record);
    code.grid = AffineMap::get(0, 64,
                               {grid, getAffineConstantExpr(1, context),
                                getAffineConstantExpr(1, context)},
                               context);
    code.grid = graph::makeMap(code.grid.getResults(), context);
    code.scratch = graph::makeMap(ArrayRef<int64_t>{0}, context);
    code.entry = name;
    Location loc = kernel.getLoc();
    kernel.erase();
    module.lookupSymbol<func::FuncOp>("kernel").setSymName(name);

    PassManager pm(context);
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
    if (failed(pm.run(module)))
      return failure();
    std::string error;
    if (failed(emitMachineCode(module, record, options.assembly, code.object,
                               code.assembly, error)))
      return emitError(loc) << "kernel " << name << ": " << error;
    return success();
  }

  LogicalResult link(llvm::ArrayRef<const target::KernelCode *> kernels,
                     const target::TargetRecord &record,
                     std::vector<target::ObjectFile> &objects,
                     std::vector<unsigned> &index,
                     std::string &error) const override {
    std::vector<llvm::StringRef> inputs;
    for (const target::KernelCode *kernel : kernels)
      inputs.push_back(kernel->object);
    target::ObjectFile object{"elf-so", record.chip, {}};
    if (failed(linkSharedObject(inputs, object.bytes, error)))
      return failure();
    objects.push_back(std::move(object));
    index.assign(kernels.size(), 0);
    return success();
  }
};
} // namespace

std::unique_ptr<target::CodeGenerator> createCodeGenerator() {
  return std::make_unique<CpuCodeGenerator>();
}

} // namespace aicc::backends::cpu
