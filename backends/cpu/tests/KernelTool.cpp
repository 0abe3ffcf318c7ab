//===- KernelTool.cpp - compile the kernels of a file, for tests ----------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// aicc-cpu-kernel IN.mlir CHIP OUT [OUT.s]: compiles every exec.kernel of a
// module and prints a line per kernel with its grid. OUT is a shared object, or
// a folder for one relocatable object per kernel.
//
//===----------------------------------------------------------------------===//

#include "compiler/lowering/Lowering.h"
#include "compiler/target/Registry.h"
#include "dialects/graph/Graph.h"

#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/Support/FileSystem.h"

using namespace mlir;

int main(int argc, char **argv) {
  if (argc < 4) {
    llvm::errs() << "usage: aicc-cpu-kernel IN.mlir CHIP OUT [OUT.s]\n";
    return 2;
  }
  const aicc::target::CodeGenerator *cpu = nullptr;
  for (auto &generator : aicc::target::codeGenerators())
    if (generator->family() == "cpu")
      cpu = generator.get();
  DialectRegistry registry;
  registry.insert<aicc::graph::GraphDialect>();
  cpu->registerDialects(registry);
  MLIRContext context(registry);
  context.loadAllAvailableDialects();
  auto module = parseSourceFile<ModuleOp>(argv[1], &context);
  if (!module)
    return 1;
  PassManager pm(&context);
  pm.addPass(aicc::lowering::createLowerKernelsPass());
  if (failed(pm.run(*module)))
    return 1;
  std::vector<aicc::target::TargetRecord> records;
  std::string error;
  if (failed(cpu->resolve(argv[2], records, error))) {
    llvm::errs() << error << "\n";
    return 1;
  }
  std::vector<aicc::target::KernelCode> codes;
  std::string assembly;
  for (auto kernel : module->getOps<aicc::exec::KernelOp>()) {
    OwningOpRef<ModuleOp> alone(ModuleOp::create(kernel.getLoc()));
    OpBuilder b = OpBuilder::atBlockBegin(alone->getBody());
    auto copy = cast<aicc::exec::KernelOp>(b.clone(*kernel));
    aicc::target::KernelCode code;
    if (failed(cpu->compile(copy, records[0], {argc > 4}, code)))
      return 1;
    llvm::outs() << code.entry << " " << code.grid << "\n";
    assembly += code.assembly;
    codes.push_back(std::move(code));
  }
  std::error_code ec;
  if (argc > 4)
    llvm::raw_fd_ostream(argv[4], ec) << assembly;
  if (llvm::sys::fs::is_directory(argv[3])) {
    for (auto &code : codes)
      llvm::raw_fd_ostream((argv[3] + llvm::Twine("/") + code.entry + ".o").str(),
                           ec)
          << code.object;
    return ec ? 1 : 0;
  }
  std::vector<const aicc::target::KernelCode *> pointers;
  for (auto &code : codes)
    pointers.push_back(&code);
  std::vector<aicc::target::ObjectFile> objects;
  std::vector<unsigned> index;
  if (failed(cpu->link(pointers, records[0], objects, index, error))) {
    llvm::errs() << error << "\n";
    return 1;
  }
  llvm::raw_fd_ostream(argv[3], ec) << objects[0].bytes;
  return ec ? 1 : 0;
}
