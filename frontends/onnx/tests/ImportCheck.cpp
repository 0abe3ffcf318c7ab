//===- ImportCheck.cpp - imports models and prints a line for each --------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A tool for people who work on the importer:
//   onnx_import_check [--print] MODEL...      MODEL may be "-" for a list on
//                                             standard input
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/Import.h"

#include "mlir/IR/AsmState.h"
#include "llvm/Support/raw_ostream.h"

#include <iostream>

int main(int argc, char **argv) {
  std::vector<std::string> paths;
  bool print = false;
  for (int i = 1; i < argc; ++i) {
    std::string argument = argv[i];
    if (argument == "--print")
      print = true;
    else if (argument == "-")
      for (std::string line; std::getline(std::cin, line);)
        paths.push_back(line);
    else
      paths.push_back(argument);
  }
  int bad = 0;
  for (const std::string &path : paths) {
    mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
    std::string error;
    auto module = aicc::onnx::importModel(context, path, {}, error);
    bad += !module;
    llvm::outs() << (module ? "ok " : "no ") << path << " " << error << "\n";
    if (module && print) {
      mlir::OpPrintingFlags flags;
      flags.enableDebugInfo(false).elideLargeElementsAttrs(16);
      flags.elideLargeResourceString(16);
      module->print(llvm::outs(), flags);
    }
    llvm::outs().flush();
  }
  return bad != 0;
}
