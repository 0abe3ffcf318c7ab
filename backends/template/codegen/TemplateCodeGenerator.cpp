//===- TemplateCodeGenerator.cpp - the smallest code generator ------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/lowering/Emit.h"
#include "compiler/lowering/HostFunction.h"
#include "compiler/target/CodeGenerator.h"
#include "compiler/target/MachineCode.h"
#include "dialects/graph/Dims.h"

#include "llvm/TargetParser/Host.h"

using namespace mlir;
using namespace aicc::lowering;

namespace aicc::backends::template_ {

/// A workgroup computes this many elements of every result.
static constexpr int64_t elementsPerWorkgroup = 1024;

/// Emits the kernel's body: elements workgroup * 1024 … of each result. Returns
/// the number of workgroups, enough for the largest result.
static AffineExpr emitKernel(exec::KernelOp kernel, OpBuilder &b) {
  HostFunction host = beginHostFunction(kernel, b);
  // One lane: every value is a scalar.
  Emitter e(kernel, b, /*width=*/1, host.pointers, host.symbols);
  AffineExpr grid = getAffineConstantExpr(0, b.getContext());
  for (unsigned r = 0; r < e.numResults(); ++r) {
    Memory &memory = e.resultMemory(r);
    AffineExpr count = getAffineConstantExpr(1, b.getContext());
    for (AffineExpr dim : memory.dims)
      count = count * dim;
    count = graph::simplify(count);
    Linear first = Linear::of(host.workgroup, elementsPerWorkgroup);
    Linear last = Linear::of(
        e.minimum(first + Linear(elementsPerWorkgroup), e.size(count)));
    e.loop(first, last, 1, [&](Linear element) {
      Position position{e.delinearize(element, memory.dims), {}};
      e.store(memory, e.at(e.result(r), position), position);
    });
    // A sum of two counts is at least the larger one.
    grid = grid + count.ceilDiv(elementsPerWorkgroup);
  }
  return graph::simplify(grid);
}

namespace {
class TemplateCodeGenerator : public target::CodeGenerator {
public:
  llvm::StringRef family() const override { return "template"; }
  llvm::StringRef assemblySuffix(const target::TargetRecord &) const override { return "s"; }
  void registerDialects(DialectRegistry &registry) const override {
    registerHostDialects(registry);
  }

  LogicalResult resolve(llvm::StringRef chip,
                        std::vector<target::TargetRecord> &records,
                        std::string &error) const override {
    if (!chip.empty() && chip != "host") {
      error = "template has no chip '" + chip.str() + "', expected host";
      return failure();
    }
    target::TargetRecord record;
    record.family = "template";
    record.chip = "host";
    record.triple = llvm::sys::getProcessTriple();
    record.cpu = "generic";
    // As the model gives them: nothing to gain from another layout.
    record.channelsLast = false;
    record.weightPanel = 0;
    records.push_back(record);
    return success();
  }

  LogicalResult compile(exec::KernelOp kernel,
                        const target::TargetRecord &record,
                        const target::CodeOptions &options,
                        target::KernelCode &code) const override {
    auto module = kernel->getParentOfType<ModuleOp>();
    MLIRContext *context = module.getContext();
    Location loc = kernel.getLoc();
    code.entry = kernel.getSymName().str();
    OpBuilder b(context);
    AffineExpr one = getAffineConstantExpr(1, context);
    code.grid = graph::makeMap({emitKernel(kernel, b), one, one}, context);
    code.scratch = graph::makeMap(ArrayRef<int64_t>{0}, context);
    if (failed(finishHostFunction(kernel, b)))
      return failure();
    std::string error;
    if (failed(target::emitMachineCode(module, record, options.assembly,
                                       code.object, code.assembly, error)))
      return emitError(loc) << "kernel " << code.entry << ": " << error;
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
  return std::make_unique<TemplateCodeGenerator>();
}

} // namespace aicc::backends::template_
