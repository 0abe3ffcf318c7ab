//===- aicc.cpp - the compiler's command line -----------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/driver/Compiler.h"
#include "compiler/driver/Values.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <unistd.h>

using namespace aicc::driver;

/// Prints and gives the exit status: 1 for a model that can't be compiled, 2
/// for a command line that can't be understood.
static int fail(int status, const std::string &message) {
  std::fprintf(stderr, "aicc: error: %s\n", message.c_str());
  return status;
}

int main(int argc, char **argv) {
  Options options;
  CLI::App app("Compiles a model to a package that the aicc runtime runs.",
               "aicc");
  std::string targets = "cpu";
  std::vector<std::string> dims, values, sequences, places;
  bool listTargets = false, noCache = false;
  app.set_version_flag("--version", version());
  app.add_option("model", options.input, "Model file: .onnx");
  app.add_option("-o,--output", options.output,
                 "Package to write (or IR, with --emit)");
  app.add_option("--target", targets,
                 "Targets, family[:chip], separated by commas; several joined "
                 "by + are one package for several devices at once");
  app.add_option("--place", places,
                 "Of a set of targets: REGEX=FAMILY puts the nodes whose names "
                 "match on that target; the last match wins")
      ->allow_extra_args(false);
  app.add_option("--emit", options.emit, "Stop after a stage: " + listStages());
  app.add_option("--dim", dims, "Fix a dynamic dimension: NAME=SIZE")
      ->allow_extra_args(false);
  app.add_option("--value", values,
                 "Make an input a constant: NAME=FILE (.npy, or a TensorProto)")
      ->allow_extra_args(false);
  app.add_option("--sequence", sequences,
                 "What is in a sequence or optional: NAME=COUNT, "
                 "NAME=[2,3][4,n] (shapes) or NAME=none")
      ->allow_extra_args(false);
  app.add_option("--precision", options.precision,
                 "What the model computes in: f32 (as it is), f16 or bf16");
  app.add_flag("--allow-tf32", options.allowTf32,
               "Products of f32 may round their operands to tf32 (GPUs)");
  app.add_option("--save-objects", options.objectDirectory,
                 "Folder for every kernel's object and assembly");
  app.add_flag("--resources", options.resources,
               "Print registers, spills and memory of kernels, where objects "
               "say them");
  app.add_option("--jobs,-j", options.jobs, "Threads, 0 = one per core");
  app.add_flag("--no-cache", noCache, "Neither read nor write the cache");
  app.add_flag("--print-after-each", options.printAfterEach,
               "Print the IR after each pass that changed it");
  app.add_flag("--time", options.time, "Print a table of times");
  app.add_flag("--verbose,-v", options.verbose, "Print what went where");
  app.add_flag("--list-targets", listTargets, "Print the targets and exit");
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success &request) {
    return app.exit(request);
  } catch (const CLI::ParseError &error) {
    return fail(2, error.what());
  }

  if (listTargets) {
    std::fputs(aicc::driver::listTargets().c_str(), stdout);
    return 0;
  }
  if (options.input.empty())
    return fail(2, "no model is given");
  options.targets.clear();
  for (size_t begin = 0; begin <= targets.size();) {
    size_t end = std::min(targets.find(',', begin), targets.size());
    if (end == begin)
      return fail(2, "--target \"" + targets + "\" has an empty name");
    options.targets.push_back(targets.substr(begin, end - begin));
    begin = end + 1;
  }
  for (const std::string &dim : dims) {
    size_t equals = dim.find('=');
    char *rest = nullptr;
    long long size = equals == std::string::npos || equals == 0
                         ? -1
                         : std::strtoll(dim.c_str() + equals + 1, &rest, 10);
    if (size < 0 || !rest || *rest || rest == dim.c_str() + equals + 1)
      return fail(2, "--dim \"" + dim + "\" is not NAME=SIZE");
    options.dims.emplace_back(dim.substr(0, equals), size);
  }
  for (const std::string &place : places) {
    size_t equals = place.rfind('=');
    if (equals == std::string::npos || equals == 0 ||
        equals + 1 == place.size())
      return fail(2, "--place \"" + place + "\" is not REGEX=FAMILY");
    options.places.emplace_back(place.substr(0, equals),
                                place.substr(equals + 1));
  }
  for (const std::string &sequence : sequences) {
    size_t equals = sequence.rfind('=');
    if (equals == std::string::npos || equals == 0)
      return fail(2, "--sequence \"" + sequence + "\" is not NAME=CONTENTS");
    options.sequences.emplace_back(sequence.substr(0, equals),
                                   sequence.substr(equals + 1));
  }
  std::string error;
  for (const std::string &value : values) {
    // Names may have an equals sign, paths that begin after the last one can't.
    size_t equals = value.rfind('=');
    if (equals == std::string::npos || equals == 0 ||
        equals + 1 == value.size())
      return fail(2, "--value \"" + value + "\" is not NAME=FILE");
    std::string tensor = readTensor(value.substr(equals + 1), error);
    if (!error.empty())
      return fail(2, "--value \"" + value + "\": " + error);
    options.values.emplace_back(value.substr(0, equals), std::move(tensor));
  }
  options.cache = !noCache;
  options.progress =
      isatty(STDERR_FILENO) && !options.verbose && !options.printAfterEach;
  if (!check(options, error))
    return fail(2, error);
  std::vector<std::string> errors, needed;
  if (compile(options, errors, &needed))
    return 0;
  for (const std::string &line : errors)
    fail(1, line);
  for (const std::string &name : needed)
    std::fprintf(stderr,
                 "aicc: note: --value %s=FILE makes input \"%s\" a constant\n",
                 name.c_str(), name.c_str());
  return 1;
}
