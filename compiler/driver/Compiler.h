//===- Compiler.h - from a model file to a package --------------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// The compiler without its command line: options in, a package and diagnostics
// out. `compile` may run several times in a process, also at once.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_COMPILER_DRIVER_COMPILER_H
#define AICC_COMPILER_DRIVER_COMPILER_H

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace aicc::driver {

struct Options {
  std::string input;  // .onnx, or .mlir with graph operators
  std::string output; // the package, or the IR with `emit`; IR: "-" = stdout
  // family[:chip]; several joined by + are a set, of which the first one is for
  // what isn't placed.
  std::vector<std::string> targets = {"cpu"};
  // Which nodes of the model are for which target of a set: a regular
  // expression for their names, and the target's family. The last match wins.
  std::vector<std::pair<std::string, std::string>> places;
  std::string emit = "package";                      // the last stage to run
  std::vector<std::pair<std::string, int64_t>> dims; // fixed symbols
  // Inputs that become constants: name, and an ONNX TensorProto (Values.h).
  std::vector<std::pair<std::string, std::string>> values;
  // An ONNX model in memory instead of a file; `input` is then only a name for
  // messages. External data is looked for in `modelDirectory`, unless empty.
  std::string_view model;
  std::string modelDirectory;
  // What is in inputs that are no tensors (onnx::ImportOptions::sequences).
  std::vector<std::pair<std::string, std::string>> sequences;
  std::string precision = "f32"; // of the computation: f32, f16 or bf16
  bool allowTf32 = false; // products of f32 may round their operands to tf32
  std::string objectDirectory; // where kernels' objects are saved, "" = nowhere
  std::string cacheDirectory;  // "" = the user's
  bool cache = true;
  unsigned jobs = 0;           // threads, 0 = one per core
  bool printAfterEach = false; // the IR after each pass, to stderr
  bool time = false;           // a table of stages and passes, to stderr
  bool resources = false;      // registers and spills of kernels, to stdout
  bool verbose = false;        // what went where, to stderr
  bool progress = false;       // a line on the terminal
};

/// Whether the options are right, as far as can be told without the model;
/// what is wrong with them otherwise.
bool check(const Options &options, std::string &out_error);

/// Compiles; false with at least one error otherwise. An error is one line
/// without "error:". Names of inputs whose values the import would have needed
/// (`Options::values`) are put into `out_neededInputs`.
bool compile(const Options &options, std::vector<std::string> &out_errors,
             std::vector<std::string> *out_neededInputs = nullptr);

/// A line for each target family of this build with its chips.
std::string listTargets();
/// Names of the stages, for messages: "import, simplify, …".
std::string listStages();
std::string version();

} // namespace aicc::driver

#endif // AICC_COMPILER_DRIVER_COMPILER_H
