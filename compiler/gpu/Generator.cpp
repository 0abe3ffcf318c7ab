//===- Generator.cpp - a GPU vendor's code generator, common part ---------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/gpu/Generator.h"

#include "mlir/Conversion/Passes.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;
using namespace aicc;
using namespace aicc::gpu;

LogicalResult Generator::resolve(StringRef chip,
                                 std::vector<target::TargetRecord> &out_records,
                                 std::string &out_error) const {
  std::string known;
  for (target::TargetRecord &record : records()) {
    if (chip.empty() ? inDefault(record.chip) : chip == record.chip)
      out_records.push_back(record);
    known += (known.empty() ? "" : ", ") + record.chip;
  }
  if (!out_records.empty())
    return success();
  out_error = ("unknown chip '" + chip + "' of target '" + family() +
               "', expected one of " + known)
                  .str();
  return failure();
}

LogicalResult Generator::compile(exec::KernelOp kernel,
                                 const target::TargetRecord &record,
                                 const target::CodeOptions &codeOptions,
                                 target::KernelCode &code) const {
  Lowered lowered;
  Options how = options(record);
  if (failed(lowerKernel(kernel, how, lowered)) ||
      failed(prepareModule(lowered.module)))
    return failure();
  PassManager passes(kernel.getContext(), "gpu.module");
  addConversion(passes, record);
  passes.addPass(createCanonicalizerPass());
  passes.addPass(createCSEPass());
  passes.addPass(createReconcileUnrealizedCastsPass());
  if (failed(passes.run(lowered.module)))
    return failure();

  std::unique_ptr<llvm::TargetMachine> machine = createMachine(record, lowered);
  if (!machine)
    return kernel.emitError()
           << "this build of LLVM has no target for " << record.name();
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> ir =
      translateModule(lowered.module, context, *machine, passesLeftOut());
  std::string error = "no LLVM IR was made";
  code.entry = lowered.function.getName().str();
  if (!ir || !emit(*ir, *machine, record, codeOptions, code, error))
    return kernel.emitError() << "kernel '" << kernel.getSymName() << "' for "
                              << record.name() << ": " << error;
  code.grid = lowered.grid;
  code.scratch = lowered.scratch;
  code.workgroup = lowered.workgroup;
  code.sharedBytes = 0; // workgroup memory is static in the code
  code.subgroup = how.subgroup;
  return success();
}

LogicalResult Generator::link(ArrayRef<const target::KernelCode *> kernels,
                              const target::TargetRecord &record,
                              std::vector<target::ObjectFile> &out_objects,
                              std::vector<unsigned> &out_index,
                              std::string &out_error) const {
  for (const target::KernelCode *kernel : kernels) {
    out_index.push_back(out_objects.size());
    out_objects.push_back({format().str(), record.chip, kernel->object});
  }
  return success();
}
