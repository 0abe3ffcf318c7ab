//===- Generator.cpp - a GPU vendor's code generator, common part ---------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/gpu/Generator.h"

#include "compiler/target/MachineCode.h"

#include "mlir/Conversion/Passes.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;
using namespace aicc;
using namespace aicc::gpu;

static constexpr StringRef virtualFormat = "elf-virtual";

static bool isVirtual(const target::TargetRecord &record) {
  return StringRef(record.family).ends_with(":virtual");
}

LogicalResult Generator::resolve(StringRef chip,
                                 std::vector<target::TargetRecord> &out_records,
                                 std::string &out_error) const {
  std::string known;
  // "virtual", or "virtual:CHIP".
  StringRef wanted = chip;
  bool isVirtual = wanted.consume_front("virtual") &&
                   (wanted.empty() || wanted.consume_front(":"));
  if (!isVirtual)
    wanted = chip;
  for (target::TargetRecord &record : records()) {
    known += (known.empty() ? "" : ", ") + record.chip;
    if (wanted.empty() ? !inDefault(record.chip) : wanted != record.chip)
      continue;
    if (isVirtual) {
      record.family += ":virtual";
      record.required = {virtualHost().str()};
    }
    for (const MatrixInstruction &row : options(record).matrix)
      if (std::string name = toString(row.operand).str();
          isFloat8(row.operand) && !llvm::is_contained(record.floats8, name))
        record.floats8.push_back(std::move(name));
    // It runs the code of any chip: one is enough.
    if (!isVirtual || out_records.empty())
      out_records.push_back(record);
  }
  if (!out_records.empty())
    return success();
  out_error = ("unknown chip '" + chip + "' of target '" + family() +
               "', expected one of " + known)
                  .str();
  return failure();
}

StringRef Generator::assemblySuffix(const target::TargetRecord &record) const {
  return isVirtual(record) ? "ll" : textSuffix();
}

static llvm::json::Object layoutOf(const FragmentLayout &layout) {
  auto pairs = [](ArrayRef<Basis> bases) {
    llvm::json::Array list;
    for (const Basis &basis : bases)
      list.push_back(llvm::json::Array{basis.line, basis.place});
    return list;
  };
  return llvm::json::Object{{"lanes", pairs(layout.lanes)},
                            {"elements", pairs(layout.elements)}};
}

llvm::json::Array
Generator::matrixInstructions(const target::TargetRecord &record) const {
  llvm::json::Array rows;
  for (const MatrixInstruction &row : options(record).matrix) {
    llvm::json::Object object{{"name", row.name},
                              {"rows", row.rows},
                              {"columns", row.columns},
                              {"depth", row.depth},
                              {"calls", row.calls},
                              {"operand", toString(row.operand)},
                              {"result", toString(row.result)},
                              {"c", layoutOf(row.c)}};
    if (row.async) {
      object["line"] = row.async->lineBytes;
      object["across"] = row.async->across;
      object["descriptor"] =
          llvm::json::Array{row.async->start, row.async->leading,
                            row.async->stride, row.async->format};
    } else {
      object["a"] = layoutOf(row.a);
      object["b"] = layoutOf(row.b);
    }
    rows.push_back(std::move(object));
  }
  return rows;
}

LogicalResult Generator::compile(exec::KernelOp kernel,
                                 const target::TargetRecord &record,
                                 const target::CodeOptions &codeOptions,
                                 target::KernelCode &code) const {
  Lowered lowered;
  Options how = options(record);
  how.allowTf32 = record.allowTf32;
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
  if (ir && codeOptions.beforeEmission)
    codeOptions.beforeEmission(*ir);
  if (ir && isVirtual(record)) {
    std::vector<MatrixInstruction> calls;
    llvm::transform(how.matrix, std::back_inserter(calls), ofOneCall);
    code.object =
        emitVirtual(*ir, code.entry,
                    {intrinsics(), calls, how.blockLoads, lowered.subgroup},
                    codeOptions.assembly ? &code.assembly : nullptr, error);
  }
  code.sharedBytes = 0; // workgroup memory is static in the code
  if (ir && !isVirtual(record) && lowered.sharedBytes > how.staticSharedBytes)
    code.sharedBytes = makeSharedDynamic(*ir);
  bool done = ir && (isVirtual(record) ? !code.object.empty()
                                       : emit(*ir, *machine, record,
                                              codeOptions, code, error));
  if (!done)
    return kernel.emitError() << "kernel '" << kernel.getSymName() << "' for "
                              << record.name() << ": " << error;
  code.grid = lowered.grid;
  code.scratch = lowered.scratch;
  code.workgroup = lowered.workgroup;
  code.subgroup = lowered.subgroup;
  return success();
}

LogicalResult Generator::link(ArrayRef<const target::KernelCode *> kernels,
                              const target::TargetRecord &record,
                              std::vector<target::ObjectFile> &out_objects,
                              std::vector<unsigned> &out_index,
                              std::string &out_error) const {
  if (isVirtual(record))
    return linkTogether(kernels, virtualFormat, record, out_objects, out_index,
                        out_error);
  return linkObjects(kernels, record, out_objects, out_index, out_error);
}

LogicalResult
Generator::linkTogether(ArrayRef<const target::KernelCode *> kernels,
                        StringRef format, const target::TargetRecord &record,
                        std::vector<target::ObjectFile> &out_objects,
                        std::vector<unsigned> &out_index,
                        std::string &out_error) {
  if (kernels.empty())
    return success();
  std::vector<StringRef> objects;
  for (const target::KernelCode *kernel : kernels)
    objects.push_back(kernel->object);
  target::ObjectFile linked{format.str(), record.chip, {}};
  if (failed(target::linkSharedObject(objects, linked.bytes, out_error)))
    return failure();
  out_index.assign(kernels.size(), out_objects.size());
  out_objects.push_back(std::move(linked));
  return success();
}

LogicalResult
Generator::linkObjects(ArrayRef<const target::KernelCode *> kernels,
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
