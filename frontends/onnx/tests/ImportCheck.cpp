//===- ImportCheck.cpp - imports models and prints a line for each --------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A tool for people who work on the importer:
//   onnx_import_check [--print] [--constants] MODEL...
// MODEL may be "-" for a list on standard input. With --constants small integer
// inputs get the values in test_data_set_0 beside the model, in the order of
// its inputs.
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/Import.h"

#include "frontends/onnx/Schema.pb.h"

#include "mlir/IR/AsmState.h"
#include "llvm/Support/raw_ostream.h"

#include <fstream>
#include <iostream>
#include <set>
#include <sstream>

using Values = std::vector<std::pair<std::string, std::string>>;

static std::string contents(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

static Values valuesBeside(const std::string &path) {
  aicc::onnx::proto::ModelProto model;
  Values values;
  if (!model.ParseFromString(contents(path)))
    return values;
  std::set<std::string> initialized;
  for (const auto &tensor : model.graph().initializer())
    initialized.insert(tensor.name());
  std::string folder = path.substr(0, path.rfind('/'));
  int index = 0;
  for (const auto &input : model.graph().input()) {
    if (initialized.count(input.name()))
      continue;
    std::string data = contents(folder + "/test_data_set_0/input_" +
                                std::to_string(index++) + ".pb");
    const auto &type = input.type().tensor_type();
    constexpr int int64 = 7, boolean = 9;
    bool shape = type.elem_type() == int64 || type.elem_type() == boolean ||
                 (type.elem_type() == 1 && input.name() == "scales");
    if (!data.empty() && shape && type.shape().dim_size() <= 1)
      values.push_back({input.name(), data});
  }
  return values;
}

int main(int argc, char **argv) {
  std::vector<std::string> paths;
  bool print = false, constants = false;
  for (int i = 1; i < argc; ++i) {
    std::string argument = argv[i];
    if (argument == "--print")
      print = true;
    else if (argument == "--constants")
      constants = true;
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
    aicc::onnx::ImportOptions options;
    if (constants)
      options.inputValues = valuesBeside(path);
    auto module = aicc::onnx::importModel(context, path, options, error);
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
