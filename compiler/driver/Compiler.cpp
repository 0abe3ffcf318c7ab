//===- Compiler.cpp - from a model file to a package ----------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/driver/Compiler.h"
#include "compiler/driver/Pipeline.h"
#include "compiler/driver/Placement.h"
#include "compiler/target/Registry.h"

#include "dialects/exec/Exec.h"
#include "dialects/graph/Graph.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/ThreadPool.h"
#include "llvm/Support/raw_ostream.h"

#include <mutex>

using namespace mlir;

namespace aicc::driver {

static const Stage *findStage(llvm::StringRef name) {
  for (const Stage &stage : stages())
    if (stage.name == name)
      return &stage;
  return nullptr;
}

std::string version() { return "aicc " AICC_VERSION; }

std::string listStages() {
  std::string names;
  for (const Stage &stage : stages())
    names += (names.empty() ? "" : ", ") + stage.name.str();
  return names;
}

static std::string listFamilies() {
  std::string names;
  for (const auto &generator : target::codeGenerators())
    names += (names.empty() ? "" : ", ") + generator->family().str();
  return names.empty() ? "none" : names;
}

std::string listTargets() {
  std::string text;
  for (const auto &generator : target::codeGenerators()) {
    std::vector<target::TargetRecord> records;
    std::string error;
    text += generator->family().str() + ":";
    if (succeeded(generator->resolve("", records, error)))
      for (const target::TargetRecord &record : records)
        text += " " + record.chip;
    // The backend knows what else there is: its answer to a chip that isn't.
    std::vector<target::TargetRecord> none;
    if (failed(generator->resolve("?", none, error)))
      text += "\n  " + error;
    text += "\n";
  }
  return text;
}

std::string TargetSet::name() const {
  std::string text;
  for (const Target &member : members)
    text += (text.empty() ? "" : "+") + member.record.name();
  return text;
}

/// `family[:chip]` to records; false with a message otherwise.
static bool resolve(const std::string &name, bool allowTf32,
                    std::vector<Target> &targets, std::string &error) {
  auto [family, chip] = llvm::StringRef(name).split(':');
  for (const auto &generator : target::codeGenerators()) {
    if (generator->family() != family)
      continue;
    std::vector<target::TargetRecord> records;
    if (failed(generator->resolve(chip, records, error)))
      return false;
    for (target::TargetRecord &record : records) {
      record.allowTf32 = allowTf32;
      targets.push_back({generator.get(), std::move(record)});
    }
    return true;
  }
  error =
      "target \"" + name + "\" is not known, this build has " + listFamilies();
  return false;
}

/// Each is compiled; a set of three targets with three chips each has 27.
static constexpr size_t mostVariantsOfSet = 64;

/// All sets that "cpu+intel" stands for: each chip of the one with each of the
/// other, the preferred ones first.
static bool resolveSet(const Options &options, const std::string &names,
                       std::vector<TargetSet> &sets, std::string &error) {
  std::vector<TargetSet> partial(1);
  SmallVector<llvm::StringRef> parts;
  llvm::StringRef(names).split(parts, '+');
  for (llvm::StringRef part : parts) {
    std::vector<Target> choices;
    if (part.empty()) {
      error = "target \"" + names + "\" has an empty name";
      return false;
    }
    if (!resolve(part.str(), options.allowTf32, choices, error))
      return false;
    if (partial.size() * choices.size() > mostVariantsOfSet) {
      error = "target \"" + names + "\" stands for more than " +
              std::to_string(mostVariantsOfSet) +
              " combinations of chips, expected chips by name";
      return false;
    }
    std::vector<TargetSet> longer;
    for (const TargetSet &set : partial)
      for (const Target &choice : choices) {
        longer.push_back(set);
        longer.back().members.push_back(choice);
        longer.back().given.push_back(part.str());
      }
    partial = std::move(longer);
  }
  for (TargetSet &set : partial)
    if (llvm::none_of(sets, [&](const TargetSet &have) {
          return have.name() == set.name();
        }))
      sets.push_back(std::move(set));
  return true;
}

static bool resolveAll(const Options &options, std::vector<TargetSet> &sets,
                       std::string &error) {
  for (const std::string &names : options.targets)
    if (!resolveSet(options, names, sets, error))
      return false;
  if (sets.empty()) {
    error = "no target is given";
    return false;
  }
  bool several = false;
  for (const TargetSet &set : sets) {
    if (set.members.size() == 1)
      continue;
    several = true;
    if (!Placement::check(options, set, error))
      return false;
  }
  if (!options.places.empty() && !several) {
    error = "place \"" + options.places.front().first +
            "\" needs a set of targets, such as cpu+intel, found " +
            sets.front().name();
    return false;
  }
  return true;
}

bool check(const Options &options, std::string &error) {
  std::vector<TargetSet> targets;
  if (!findStage(options.emit)) {
    error = "stage \"" + options.emit + "\" is not known, expected one of " +
            listStages();
    return false;
  }
  if (options.emit == "package" && options.output.empty()) {
    error = "no output file is given";
    return false;
  }
  if (options.precision != "f32" && options.precision != "f16" &&
      options.precision != "bf16") {
    error = "precision \"" + options.precision +
            "\" is not known, expected f32, f16 or bf16";
    return false;
  }
  return resolveAll(options, targets, error);
}

/// One line about a diagnostic: where in the model, and what.
static std::string describe(Diagnostic &diagnostic) {
  std::string text = diagnostic.str();
  for (char &c : text)
    if (c == '\n')
      c = ' ';
  Location loc = diagnostic.getLocation();
  if (auto fused = dyn_cast<FusedLoc>(loc))
    loc = fused.getLocations().front();
  if (auto file = dyn_cast<FileLineColLoc>(loc))
    return (file.getFilename().getValue() + ":" + Twine(file.getLine()) + ":" +
            Twine(file.getColumn()) + ": " + text)
        .str();
  if (auto name = dyn_cast<NameLoc>(loc)) {
    llvm::StringRef node = name.getName().getValue();
    if (node.consume_front("node:"))
      return ("node \"" + node + "\": " + text).str();
    return ("tensor \"" + node + "\": " + text).str();
  }
  return text;
}

/// The IR as `--emit` shows it: weights by their size only.
static bool print(const Options &options, State &state, std::string &error) {
  std::error_code code;
  std::unique_ptr<llvm::raw_fd_ostream> file;
  llvm::raw_ostream *stream = &llvm::outs();
  if (!options.output.empty() && options.output != "-") {
    file = std::make_unique<llvm::raw_fd_ostream>(options.output, code);
    if (code) {
      error = "can't write " + options.output + ": " + code.message();
      return false;
    }
    stream = file.get();
  }
  OpPrintingFlags flags;
  flags.elideLargeElementsAttrs(16).elideLargeResourceString(16);
  if (state.variants.empty())
    (*state.model)->print(*stream, flags);
  for (State::Variant &variant : state.variants) {
    *stream << "// " << variant.targets->name() << "\n";
    (*variant.module)->print(*stream, flags);
    *stream << "\n";
    if (!options.emit.compare("code"))
      for (const target::KernelCode &kernel : variant.kernels)
        *stream << "// " << kernel.entry << ": " << kernel.object.size()
                << " bytes\n"
                << kernel.assembly;
  }
  stream->flush();
  if (file && file->has_error()) {
    error = "can't write " + options.output + ": " + file->error().message();
    file->clear_error();
    return false;
  }
  return true;
}

bool compile(const Options &options, std::vector<std::string> &errors,
             std::vector<std::string> *neededInputs) {
  std::string error;
  std::vector<TargetSet> targets;
  if (!check(options, error) || !resolveAll(options, targets, error)) {
    errors.push_back(error);
    return false;
  }
  DialectRegistry registry;
  registry.insert<affine::AffineDialect, arith::ArithDialect, exec::ExecDialect,
                  func::FuncDialect, graph::GraphDialect, linalg::LinalgDialect,
                  math::MathDialect, tensor::TensorDialect>();
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  llvm::DefaultThreadPool pool(llvm::hardware_concurrency(options.jobs));
  context.setThreadPool(pool);
  context.loadAllAvailableDialects();
  std::mutex mutex;
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
    if (diagnostic.getSeverity() == DiagnosticSeverity::Error) {
      std::lock_guard<std::mutex> lock(mutex);
      errors.push_back(describe(diagnostic));
    } else if (diagnostic.getSeverity() == DiagnosticSeverity::Remark &&
               options.verbose) {
      std::lock_guard<std::mutex> lock(mutex);
      llvm::errs() << describe(diagnostic) << "\n";
    }
    return success();
  });

  Report report(options);
  State state{options, report, context, std::move(targets), {}, {}, {}, {}, {}};
  for (const Stage &stage : stages()) {
    report.beginStage(stage.name);
    bool failed = mlir::failed(stage.run(state));
    report.endStage();
    if (failed) {
      if (neededInputs)
        *neededInputs = state.neededInputs;
      if (!state.error.empty())
        errors.push_back(state.error);
      if (errors.empty())
        errors.push_back(("stage " + stage.name + " failed").str());
      return false;
    }
    if (stage.name == options.emit)
      break;
  }
  report.finish();
  if (options.emit != "package" && !print(options, state, error)) {
    errors.push_back(error);
    return false;
  }
  return true;
}

} // namespace aicc::driver
