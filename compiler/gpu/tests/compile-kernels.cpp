//===- compile-kernels.cpp - kernels of a file to objects, for tests ------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//   compile-kernels FILE.mlir TARGET DIRECTORY
//
// Compiles every exec.kernel of the file for one target, `family:chip`, and
// writes per kernel NAME.<format> and NAME.json with what a launch needs.
// Grid expressions are written in Python's syntax over s0, s1, …
//
//===----------------------------------------------------------------------===//

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

static LogicalResult compileKernel(const target::CodeGenerator &generator,
                                   const target::TargetRecord &record,
                                   exec::KernelOp kernel, StringRef directory) {
  std::string name = kernel.getSymName().str();
  OwningOpRef<ModuleOp> own = ModuleOp::create(kernel.getLoc());
  auto copy = cast<exec::KernelOp>(kernel->clone());
  own->push_back(copy);
  llvm::json::Array scalars;
  for (int64_t number : copy.getUsedSymbols())
    scalars.push_back(number);
  target::KernelCode code;
  target::CodeOptions options;
  options.assembly = true;
  if (failed(generator.compile(copy, record, options, code)))
    return failure();
  std::vector<target::ObjectFile> objects;
  std::vector<unsigned> index;
  std::string error;
  if (failed(generator.link({&code}, record, objects, index, error)))
    return kernel.emitError(error);
  std::string base = (directory + "/" + name + ".").str();
  llvm::json::Array grid;
  for (AffineExpr expr : code.grid.getResults())
    grid.push_back(python(expr));
  llvm::json::Object json{
      {"entry", code.entry},
      {"file", name + "." + objects[0].format},
      {"grid", std::move(grid)},
      {"workgroup", llvm::json::Array{code.workgroup[0], code.workgroup[1],
                                      code.workgroup[2]}},
      {"subgroup", code.subgroup},
      {"scalars", std::move(scalars)}};
  std::string text;
  llvm::raw_string_ostream(text) << llvm::json::Value(std::move(json)) << "\n";
  bool written = write(base + objects[0].format, objects[0].bytes) &&
                 write(base + "json", text);
  if (generator.assemblySuffix() != objects[0].format)
    written &= write((base + generator.assemblySuffix()).str(), code.assembly);
  return success(written);
}

int main(int argc, char **argv) {
  if (argc != 4) {
    llvm::errs() << "usage: compile-kernels FILE.mlir TARGET DIRECTORY\n";
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
  OwningOpRef<ModuleOp> module = parseSourceFile<ModuleOp>(argv[1], &context);
  if (!module)
    return 1;
  if (llvm::sys::fs::create_directories(argv[3]))
    return 1;
  int status = 0;
  for (auto kernel : module->getOps<exec::KernelOp>())
    if (failed(compileKernel(*generator, records[0], kernel, argv[3])))
      status = 1;
  return status;
}
