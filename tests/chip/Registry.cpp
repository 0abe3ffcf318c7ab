//===- Registry.cpp - the code generators of the test's compiler ----------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// In place of the generated one: a folder in backends/ would be found by CMake,
// and the chip be part of the product.
//
//===----------------------------------------------------------------------===//

#include "compiler/target/Registry.h"

namespace aicc::backends::cpu {
std::unique_ptr<target::CodeGenerator> createCodeGenerator();
} // namespace aicc::backends::cpu
namespace aicc::tests {
std::unique_ptr<target::CodeGenerator> createChipCodeGenerator();
} // namespace aicc::tests

const std::vector<std::unique_ptr<aicc::target::CodeGenerator>> &
aicc::target::codeGenerators() {
  static const auto all = [] {
    std::vector<std::unique_ptr<CodeGenerator>> generators;
    generators.push_back(aicc::tests::createChipCodeGenerator());
    generators.push_back(aicc::backends::cpu::createCodeGenerator());
    return generators;
  }();
  return all;
}
