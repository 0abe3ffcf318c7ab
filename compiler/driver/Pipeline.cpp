//===- Pipeline.cpp - the six stages --------------------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// The whole way of a model, in its order: import, simplify, kernels, schedule,
// code, package. What a stage does to the IR is the list of its passes.
//
//===----------------------------------------------------------------------===//

#include "compiler/driver/Pipeline.h"

#include "compiler/driver/Placement.h"
#include "compiler/lowering/Lowering.h"
#include "compiler/scheduling/Schedule.h"
#include "compiler/target/KernelCompiler.h"
#include "compiler/transforms/Passes.h"
#include "dialects/exec/Devices.h"
#include "dialects/graph/Graph.h"
#include "dialects/graph/Names.h"
#include "frontends/onnx/Import.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

namespace aicc::driver {

static LogicalResult fail(State &state, const Twine &message) {
  state.error = message.str();
  return failure();
}

static LogicalResult runPasses(State &state, ModuleOp module,
                               llvm::function_ref<void(OpPassManager &)> add) {
  PassManager manager(&state.context);
  state.report.watch(manager);
  add(manager);
  return manager.run(module);
}

//===----------------------------------------------------------------------===//
// import: a file becomes graph operators
//===----------------------------------------------------------------------===//

/// Names the first value of each element type that nothing after this can
/// handle, all of them at once.
static LogicalResult checkTypes(State &state) {
  llvm::DenseSet<Type> reported;
  auto check = [&](Value value) {
    auto type = dyn_cast<RankedTensorType>(value.getType());
    if (type && !graph::elementBytes(type.getElementType()) &&
        reported.insert(type.getElementType()).second)
      emitError(value.getLoc()) << "has element type " << type.getElementType()
                                << ", which is not supported";
  };
  state.model->walk([&](Block *block) {
    for (Value arg : block->getArguments())
      check(arg);
    for (Operation &op : *block)
      for (Value result : op.getResults())
        check(result);
  });
  return success(reported.empty());
}

static LogicalResult import(State &state) {
  const Options &options = state.options;
  llvm::StringRef suffix = llvm::sys::path::extension(options.input);
  if (suffix == ".mlir" && options.model.empty()) {
    const char *option = !options.dims.empty()        ? "--dim"
                         : !options.values.empty()    ? "--value"
                         : !options.sequences.empty() ? "--sequence"
                                                      : nullptr;
    if (option)
      return fail(state, option + (" is for models, not for " + options.input));
    if (!llvm::sys::fs::exists(options.input))
      return fail(state, options.input + ": no such file");
    state.model = parseSourceFile<ModuleOp>(options.input, &state.context);
    if (state.model)
      state.nodes = nodesOf(*state.model);
    return success(state.model && succeeded(checkTypes(state)));
  }
  onnx::ImportOptions import;
  import.dimOverrides = options.dims;
  import.inputValues = options.values;
  import.sequences = options.sequences;
  if (!options.places.empty())
    import.nodes = &state.nodes;
  if (options.model.empty()) {
    state.model = onnx::importModel(state.context, options.input, import,
                                    state.error, &state.neededInputs);
  } else {
    state.model = onnx::importModelFromMemory(state.context, options.model,
                                              options.modelDirectory, import,
                                              state.error, &state.neededInputs);
    if (!state.error.empty())
      state.error = options.input + ": " + state.error;
  }
  return success(state.model && succeeded(checkTypes(state)));
}

//===----------------------------------------------------------------------===//
// simplify: what is true for every target
//===----------------------------------------------------------------------===//

void addSimplifyPasses(OpPassManager &manager, llvm::StringRef precision) {
  OpPassManager &function = manager.nest<func::FuncOp>();
  function.addPass(createCanonicalizerPass());
  function.addPass(createCSEPass());
  function.addPass(transforms::createSimplifyAlgebraPass());
  // Before folding gives weights their floats.
  function.addPass(transforms::createFoldQuantizationPass());
  function.addPass(transforms::createFoldConstantsPass());
  function.addPass(transforms::createRecognizeNormalizationPass());
  function.addPass(transforms::createRecognizeActivationsPass());
  function.addPass(transforms::createRecognizeAttentionPass());
  function.addPass(transforms::createFoldScalesPass());
  function.addPass(transforms::createFoldConstantsPass());
  function.addPass(transforms::createSimplifyAlgebraPass());
  function.addPass(createCanonicalizerPass());
  function.addPass(createCSEPass());
  if (precision == "f32")
    return;
  // When everything has been recognised; weights are converted here, once for
  // all targets.
  function.addPass(transforms::createConvertPrecisionPass(precision));
  function.addPass(transforms::createFoldConstantsPass());
  function.addPass(createCanonicalizerPass());
  function.addPass(createCSEPass());
}

static LogicalResult simplify(State &state) {
  return runPasses(state, *state.model, [&](OpPassManager &manager) {
    addSimplifyPasses(manager, state.options.precision);
  });
}

//===----------------------------------------------------------------------===//
// kernels: layout, fusion, outlining, linalg; by the target's record
//===----------------------------------------------------------------------===//

void addKernelsPasses(OpPassManager &manager, const TargetSet &targets,
                      std::function<unsigned(Operation *)> place,
                      bool prepareNow) {
  OpPassManager &function = manager.nest<func::FuncOp>();
  // Passes that decide by the record do so for the operators of each target.
  auto each = [&](llvm::function_ref<void(const target::TargetRecord &,
                                          transforms::OperatorFilter)>
                      add) {
    for (unsigned i = 0; i < targets.members.size(); ++i)
      add(targets.members[i].record,
          place ? [place, i](Operation *op) { return place(op) == i; }
                : transforms::OperatorFilter());
  };
  each([&](const target::TargetRecord &record, auto only) {
    function.addPass(transforms::createConvertOperandsPass(
        record.floats8, record.wideOperands, only));
  });
  each([&](const target::TargetRecord &record, auto only) {
    if (record.channelsLast)
      function.addPass(transforms::createChooseLayoutPass(only));
  });
  function.addPass(transforms::createSinkTransposesPass());
  function.addPass(transforms::createExpandConvolutionsPass());
  function.addPass(transforms::createCollapseProductsPass());
  function.addPass(transforms::createSinkReshapesPass());
  each([&](const target::TargetRecord &record, auto only) {
    function.addPass(
        transforms::createPackWeightsPass(record.weightPanel, only));
  });
  each([&](const target::TargetRecord &record, auto only) {
    if (record.wideOperands)
      function.addPass(transforms::createWidenOperandsPass(only));
  });
  each([&](const target::TargetRecord &record, auto only) {
    function.addPass(
        transforms::createSplitProductsPass(record.processors, only));
  });
  function.addPass(transforms::createSinkTransposesPass());
  function.addPass(transforms::createSimplifyAlgebraPass());
  function.addPass(createCanonicalizerPass());
  function.addPass(createCSEPass());
  if (prepareNow)
    function.addPass(transforms::createFoldConstantsPass(/*all=*/true));
  transforms::Places places{place, {}};
  for (const Target &member : targets.members)
    places.attention.push_back(member.record.fusedAttention);
  manager.addPass(transforms::createOutlineKernelsPass(std::move(places)));
  manager.addPass(lowering::createLowerKernelsPass());
}

/// Functions of the host need a device that works in the host's memory.
static LogicalResult checkCalls(State &state, const TargetSet &targets,
                                const Placement *placement) {
  for (unsigned i = 0; i < targets.members.size(); ++i) {
    const target::TargetRecord &record = targets.members[i].record;
    if (record.hostFunctions)
      continue;
    std::vector<std::string> nodes;
    state.model->walk([&](graph::CallOp call) {
      if (placement && placement->of(call) != i)
        return;
      std::string node = graph::nodeName(call.getLoc()).str();
      node = node.empty() ? call.getFunction().str() : '"' + node + '"';
      if (!llvm::is_contained(nodes, node))
        nodes.push_back(node);
    });
    if (!nodes.empty())
      return fail(state, "target " + record.name() +
                             " has no functions for strings and decoding, "
                             "which are needed at " +
                             llvm::join(nodes, ", "));
  }
  return success();
}

static LogicalResult kernels(State &state) {
  if (state.targets.empty())
    return fail(state, "no target is given");
  std::vector<std::unique_ptr<Placement>> placements;
  for (const TargetSet &targets : state.targets) {
    auto &placement = placements.emplace_back();
    if (targets.members.size() > 1) {
      placement = Placement::create(state.options, targets, *state.model,
                                    state.nodes, state.error);
      if (!placement)
        return failure();
    }
    if (failed(checkCalls(state, targets, placement.get())))
      return failure();
  }
  // One variant: weights are laid out now. Several: each by its own session.
  bool prepareNow = state.targets.size() == 1;
  for (auto [targets, placement] : llvm::zip(state.targets, placements)) {
    State::Variant &variant = state.variants.emplace_back();
    variant.targets = &targets;
    variant.module = cast<ModuleOp>((*state.model)->clone());
    std::function<unsigned(Operation *)> place;
    if (placement)
      place = [&placement = *placement](Operation *op) {
        return placement.of(op);
      };
    if (failed(runPasses(state, *variant.module, [&](OpPassManager &manager) {
          addKernelsPasses(manager, targets, place, prepareNow);
        })))
      return failure();
  }
  return success();
}

//===----------------------------------------------------------------------===//
// schedule: copies between devices, buffers, lifetimes, arenas
//===----------------------------------------------------------------------===//

void addSchedulePasses(OpPassManager &manager, bool severalDevices) {
  if (severalDevices)
    manager.addPass(scheduling::createInsertTransfersPass());
  manager.addPass(scheduling::createPlanBuffersPass());
}

static LogicalResult schedule(State &state) {
  for (State::Variant &variant : state.variants)
    if (failed(runPasses(state, *variant.module, [&](OpPassManager &manager) {
          addSchedulePasses(manager, variant.targets->members.size() > 1);
        })))
      return failure();
  return success();
}

//===----------------------------------------------------------------------===//
// code: machine code for every kernel
//===----------------------------------------------------------------------===//

static LogicalResult writeFile(State &state, const Twine &path,
                               llvm::StringRef bytes) {
  std::error_code error;
  llvm::raw_fd_ostream file(path.str(), error);
  if (!error) {
    file << bytes;
    file.close();
    error = file.error();
    file.clear_error();
  }
  if (error)
    return fail(state, "can't write " + path + ": " + error.message());
  return success();
}

/// Each kernel's assembly and object, and the linked objects, in a folder of
/// the target.
static LogicalResult saveObjects(State &state, const State::Variant &variant,
                                 ArrayRef<exec::KernelOp> kernels) {
  llvm::SmallString<128> folder(state.options.objectDirectory);
  std::string name;
  for (const Target &target : variant.targets->members)
    name += (name.empty() ? "" : "+") + target.record.family + "-" +
            target.record.chip;
  std::replace(name.begin(), name.end(), ':', '-');
  llvm::sys::path::append(folder, name);
  if (auto error = llvm::sys::fs::create_directories(folder))
    return fail(state, "can't create " + folder.str() + ": " + error.message());
  for (auto [op, code] : llvm::zip(kernels, variant.kernels)) {
    exec::KernelOp kernel = op;
    const Target &target = variant.targets->members[exec::deviceOf(op)];
    StringRef suffix = target.generator->assemblySuffix(target.record);
    StringRef name = kernel.getSymName();
    name.consume_front("k_");
    if (!code.assembly.empty() &&
        failed(writeFile(state, (folder + "/" + name + "." + suffix).str(),
                         code.assembly)))
      return failure();
    if (!code.object.empty() && code.object != code.assembly &&
        failed(
            writeFile(state, (folder + "/" + name + ".o").str(), code.object)))
      return failure();
  }
  for (auto [i, object] : llvm::enumerate(variant.objects)) {
    StringRef ending = llvm::StringSwitch<StringRef>(object.format)
                           .Case("elf-so", "so")
                           .Case("spirv", "spv")
                           .Default(object.format);
    std::string name = "linked" + (i ? std::to_string(i) : std::string());
    if (failed(writeFile(state, (folder + "/" + name + "." + ending).str(),
                         object.bytes)))
      return failure();
  }
  return success();
}

/// The kernels of one of a variant's targets.
static LogicalResult codeFor(State &state, State::Variant &variant,
                             unsigned device,
                             target::KernelCompilerOptions &compile) {
  const Target &target = variant.targets->members[device];
  compile.progress = [&](unsigned done, unsigned total, StringRef name,
                         double seconds, bool cached) {
    state.report.kernel(target.record.name(), done, total, name, seconds,
                        cached);
  };
  SmallVector<exec::KernelOp> kernels;
  SmallVector<unsigned> place; // of each in the module
  for (auto [i, kernel] :
       llvm::enumerate(variant.module->getOps<exec::KernelOp>()))
    if (exec::deviceOf(kernel) == device) {
      kernels.push_back(kernel);
      place.push_back(i);
    }
  std::vector<target::KernelCode> compiled;
  if (failed(target::compileKernels(kernels, *target.generator, target.record,
                                    compile, compiled)))
    return failure();
  SmallVector<const target::KernelCode *> codes;
  for (const target::KernelCode &code : compiled)
    codes.push_back(&code);
  std::vector<target::ObjectFile> objects;
  std::vector<unsigned> objectOf;
  std::string error;
  if (!codes.empty() && failed(target.generator->link(
                            codes, target.record, objects, objectOf, error)))
    return fail(state, "can't link the kernels for " + target.record.name() +
                           ": " + error);
  for (auto [i, at] : llvm::enumerate(place))
    variant.objectOf[at] = variant.objects.size() + objectOf[i];
  for (target::ObjectFile &object : objects) {
    variant.objects.push_back(std::move(object));
    variant.deviceOf.push_back(device);
  }
  state.report.resources(*target.generator, target.record, compiled);
  for (auto [i, at] : llvm::enumerate(place))
    variant.kernels[at] = std::move(compiled[i]);
  return success();
}

static SmallVector<const target::TargetRecord *>
recordsOf(const State::Variant &variant) {
  SmallVector<const target::TargetRecord *> records;
  for (const Target &target : variant.targets->members)
    records.push_back(&target.record);
  return records;
}

static LogicalResult code(State &state) {
  const Options &options = state.options;
  target::KernelCompilerOptions compile;
  compile.jobs = options.jobs;
  compile.code.assembly = !options.objectDirectory.empty();
  if (options.cache)
    compile.cacheDirectory = options.cacheDirectory.empty()
                                 ? target::defaultCacheDirectory()
                                 : options.cacheDirectory;
  for (State::Variant &variant : state.variants) {
    SmallVector<exec::KernelOp> kernels(
        variant.module->getOps<exec::KernelOp>());
    variant.kernels.resize(kernels.size());
    variant.objectOf.resize(kernels.size());
    for (unsigned i = 0; i < variant.targets->members.size(); ++i)
      if (failed(codeFor(state, variant, i, compile)))
        return failure();
    if (!options.objectDirectory.empty() &&
        failed(saveObjects(state, variant, kernels)))
      return failure();
    state.report.placement(recordsOf(variant), *variant.module,
                           variant.kernels);
  }
  return success();
}

//===----------------------------------------------------------------------===//
// package: one file
//===----------------------------------------------------------------------===//

static LogicalResult package(State &state) {
  std::vector<package::VariantInput> inputs;
  for (State::Variant &variant : state.variants) {
    SmallVector<const target::TargetRecord *> records = recordsOf(variant);
    inputs.push_back({*variant.module,
                      {records.begin(), records.end()},
                      variant.kernels,
                      variant.objects,
                      variant.objectOf,
                      variant.deviceOf,
                      state.options.precision});
  }
  StringRef name = llvm::sys::path::stem(state.options.input);
  return success(
      package::writePackage(state.options.output, name, inputs, state.error));
}

llvm::ArrayRef<Stage> stages() {
  static constexpr Stage all[] = {
      {"import", "the model's nodes become neutral tensor operators", import},
      {"simplify", "folding and algebra, for any target", simplify},
      {"kernels", "layout, fusion, one kernel per launch", kernels},
      {"schedule", "buffers, lifetimes, the arena", schedule},
      {"code", "machine code for every kernel", code},
      {"package", "one file", package},
  };
  return all;
}

} // namespace aicc::driver
