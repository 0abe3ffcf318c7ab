//===- compile-kernels.cpp - kernels of a file to objects, for tests ------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//   compile-kernels FILE.mlir TARGET DIRECTORY
//   compile-kernels --matrix TARGET      prints the chip's matrix instructions
//
// Compiles every exec.kernel of the file for one target, `family:chip`, and
// writes per kernel NAME.<format> and NAME.json with what a launch needs.
// Grid expressions are written in Python's syntax over s0, s1, …
//
//===----------------------------------------------------------------------===//

#include "compiler/gpu/tests/Faults.h"
#include "compiler/target/Registry.h"

#include "mlir/Parser/Parser.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace aicc;

static std::string python(AffineExpr expr) {
  if (auto number = dyn_cast<AffineConstantExpr>(expr))
    return std::to_string(number.getValue());
  if (auto symbol = dyn_cast<AffineSymbolExpr>(expr))
    return "s" + std::to_string(symbol.getPosition());
  auto binary = cast<AffineBinaryOpExpr>(expr);
  std::string x = python(binary.getLHS()), y = python(binary.getRHS());
  switch (expr.getKind()) {
  case AffineExprKind::Add:
    return "(" + x + " + " + y + ")";
  case AffineExprKind::Mul:
    return "(" + x + " * " + y + ")";
  case AffineExprKind::FloorDiv:
    return "(" + x + " // " + y + ")";
  case AffineExprKind::CeilDiv:
    return "-(-" + x + " // " + y + ")";
  default:
    return "(" + x + " % " + y + ")";
  }
}

static bool write(StringRef path, StringRef bytes) {
  std::error_code error;
  llvm::raw_fd_ostream stream(path, error);
  stream << bytes;
  return !error;
}

namespace {
struct Settings {
  const target::CodeGenerator &generator;
  const target::TargetRecord &record;
  StringRef directory;
  /// At most so many faults of each kind.
  unsigned faults = 0;
};
} // namespace

/// Compiles one kernel and puts its object beside; the name of the file.
static FailureOr<std::string>
compileOnce(const Settings &settings, exec::KernelOp kernel, const Twine &base,
            const target::CodeOptions &options, target::KernelCode &code) {
  OwningOpRef<ModuleOp> own = ModuleOp::create(kernel.getLoc());
  auto copy = cast<exec::KernelOp>(kernel->clone());
  own->push_back(copy);
  if (failed(settings.generator.compile(copy, settings.record, options, code)))
    return failure();
  std::vector<target::ObjectFile> objects;
  std::vector<unsigned> index;
  std::string error;
  if (failed(settings.generator.link({&code}, settings.record, objects, index,
                                     error)))
    return kernel.emitError(error);
  std::string file = (base + "." + objects[0].format).str();
  if (!write((settings.directory + "/" + file).str(), objects[0].bytes))
    return failure();
  return file;
}

/// The kernel with each of a few mistakes.
static LogicalResult compileFaults(const Settings &settings,
                                   exec::KernelOp kernel,
                                   llvm::json::Array &out) {
  unsigned counts[aicc::gpu::Fault::kinds] = {};
  target::CodeOptions counting;
  counting.beforeEmission = [&](llvm::Module &module) {
    for (unsigned kind = 0; kind < aicc::gpu::Fault::kinds; ++kind)
      counts[kind] =
          aicc::gpu::countPlaces(module, aicc::gpu::Fault::Kind(kind));
  };
  target::KernelCode code;
  std::string name = kernel.getSymName().str();
  if (failed(compileOnce(settings, kernel, name, counting, code)))
    return failure();
  for (unsigned kind = 0; kind < aicc::gpu::Fault::kinds; ++kind) {
    unsigned chosen = std::min(settings.faults, counts[kind]);
    for (unsigned i = 0; i < chosen; ++i) {
      // Spread over all places.
      aicc::gpu::Fault fault{aicc::gpu::Fault::Kind(kind),
                             i * counts[kind] / chosen};
      std::string where;
      target::CodeOptions options;
      options.beforeEmission = [&](llvm::Module &module) {
        where = aicc::gpu::inject(module, fault);
      };
      FailureOr<std::string> file = compileOnce(
          settings, kernel,
          name + "-" + aicc::gpu::toString(fault.kind) + "-" + Twine(i),
          options, code);
      if (failed(file))
        return failure();
      if (!where.empty())
        out.push_back(
            llvm::json::Object{{"kind", aicc::gpu::toString(fault.kind)},
                               {"where", where},
                               {"file", *file}});
    }
  }
  return success();
}

static LogicalResult compileKernel(const Settings &settings,
                                   exec::KernelOp kernel) {
  std::string name = kernel.getSymName().str();
  llvm::json::Array scalars;
  for (int64_t number : kernel.getUsedSymbols())
    scalars.push_back(number);
  target::KernelCode code;
  target::CodeOptions options;
  options.assembly = true;
  FailureOr<std::string> file =
      compileOnce(settings, kernel, name, options, code);
  llvm::json::Array faults;
  if (failed(file) ||
      (settings.faults && failed(compileFaults(settings, kernel, faults))))
    return failure();
  llvm::json::Array grid;
  for (AffineExpr expr : code.grid.getResults())
    grid.push_back(python(expr));
  llvm::json::Object json{
      {"entry", code.entry},
      {"file", *file},
      {"grid", std::move(grid)},
      {"workgroup", llvm::json::Array{code.workgroup[0], code.workgroup[1],
                                      code.workgroup[2]}},
      {"subgroup", code.subgroup},
      {"scalars", std::move(scalars)},
      {"faults", std::move(faults)}};
  std::string text;
  llvm::raw_string_ostream(text) << llvm::json::Value(std::move(json)) << "\n";
  std::string base = (settings.directory + "/" + name + ".").str();
  bool written = write(base + "json", text);
  StringRef suffix = settings.generator.assemblySuffix(settings.record);
  if (!StringRef(*file).ends_with(("." + suffix).str()))
    written &= write((base + suffix).str(), code.assembly);
  return success(written);
}

int main(int argc, char **argv) {
  bool listing = argc == 3 && StringRef(argv[1]) == "--matrix";
  if (!listing && argc != 4 && argc != 5) {
    llvm::errs() << "usage: compile-kernels FILE.mlir TARGET DIRECTORY "
                    "[FAULTS OF A KIND]\n";
    return 2;
  }
  auto [family, chip] = StringRef(argv[2]).split(':');
  const target::CodeGenerator *generator = nullptr;
  for (const auto &candidate : target::codeGenerators())
    if (candidate->family() == family)
      generator = candidate.get();
  if (!generator) {
    llvm::errs() << "no backend for target '" << argv[2] << "'\n";
    return 1;
  }
  DialectRegistry registry;
  registry.insert<exec::ExecDialect>();
  generator->registerDialects(registry);
  MLIRContext context(registry);
  context.loadAllAvailableDialects();
  std::vector<target::TargetRecord> records;
  std::string error;
  if (failed(generator->resolve(chip, records, error))) {
    llvm::errs() << error << "\n";
    return 1;
  }
  if (listing) {
    llvm::outs() << llvm::json::Value(generator->matrixInstructions(records[0]))
                 << "\n";
    return 0;
  }
  OwningOpRef<ModuleOp> module = parseSourceFile<ModuleOp>(argv[1], &context);
  if (!module)
    return 1;
  if (llvm::sys::fs::create_directories(argv[3]))
    return 1;
  Settings settings{*generator, records[0], argv[3]};
  if (argc == 5 && StringRef(argv[4]).getAsInteger(10, settings.faults))
    return 2;
  int status = 0;
  for (auto kernel : module->getOps<exec::KernelOp>())
    if (failed(compileKernel(settings, kernel)))
      status = 1;
  return status;
}
