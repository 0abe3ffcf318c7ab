//===- CodeGenerator.cpp - kernels to machine code for CPUs ---------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "backends/cpu/codegen/Forms.h"
#include "backends/cpu/codegen/Targets.h"

#include "compiler/lowering/HostFunction.h"
#include "compiler/target/MachineCode.h"
#include "dialects/graph/Dims.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

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

/// Emits the body of the kernel's function and returns the expression of the
/// number of workgroups.
static AffineExpr emitKernel(exec::KernelOp kernel, OpBuilder &b,
                             const target::TargetRecord &record) {
  HostFunction host = beginHostFunction(kernel, b);
  Emitter emitter(kernel, b, widthOf(record), host.pointers, host.symbols);
  Context context{
      emitter, record, Linear::of(host.workgroup), reductionsOf(kernel), {}};
  bool done =
      emitScatter(context) ||
      (context.reductions.empty() ? emitTransposed(context)
                                  : emitTile(context) || emitRows(context) ||
                                        emitColumns(context));
  if (!done)
    emitPointwise(context);
  return context.grid;
}

namespace {
class CpuCodeGenerator : public target::CodeGenerator {
public:
  llvm::StringRef family() const override { return "cpu"; }
  llvm::StringRef assemblySuffix(const target::TargetRecord &) const override { return "s"; }

  void registerDialects(DialectRegistry &registry) const override {
    registerHostDialects(registry);
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
    Location loc = kernel.getLoc();
    OpBuilder b(context);
    AffineExpr one = getAffineConstantExpr(1, context);
    code.grid =
        graph::makeMap({emitKernel(kernel, b, record), one, one}, context);
    code.scratch = graph::makeMap(ArrayRef<int64_t>{0}, context);
    code.entry = name;
    if (failed(finishHostFunction(kernel, b)))
      return failure();
    std::string error;
    if (failed(target::emitMachineCode(module, record, options.assembly,
                                       code.object, code.assembly, error)))
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
    if (failed(target::linkSharedObject(inputs, object.bytes, error)))
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
