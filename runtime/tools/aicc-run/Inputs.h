//===- Inputs.h - the model's inputs from the command line ----------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef AICC_RUN_INPUTS_H
#define AICC_RUN_INPUTS_H

#include "Array.h"

#include <optional>

namespace aicc::run {

// An input or output of the package.
struct Port {
  std::string name;
  aicc_type type;
  std::vector<int64_t> dims; // -1: computed
  std::vector<std::string> expressions;
};

std::vector<Port> inputsOf(const aicc_package *package);
std::vector<Port> outputsOf(const aicc_package *package);
// Which port "NAME=VALUE" is meant for; names may contain '='.
size_t splitAssignment(const std::vector<Port> &ports, const char *what,
                       const std::string &text, std::string &outValue);

struct InputOptions {
  std::vector<std::string> inputs; // NAME=FILE, NAME=random[:SEED]
  std::vector<std::string> dims;   // SYMBOL=NUMBER
  std::optional<uint64_t> random;  // seed for inputs not given
};

// One array per input. Throws for what is missing, wrong or unknown.
std::vector<Array> readInputs(const aicc_package *package,
                              const InputOptions &options);

// One test of an ONNX test-data folder.
struct TestSet {
  std::string folder;
  std::vector<Array> inputs;
  std::vector<Array> outputs; // expected ones; name empty where unknown
};

// DIR with input_<k>.pb and output_<k>.pb, or with folders test_data_set_<k>
// that have them.
std::vector<TestSet> readTestSets(const aicc_package *package,
                                  const std::string &folder);

} // namespace aicc::run

#endif
