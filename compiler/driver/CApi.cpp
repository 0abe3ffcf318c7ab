//===- CApi.cpp - the C interface of the compiler -------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "aicc/compiler.h"
#include "compiler/driver/Compiler.h"

#include <cstdlib>
#include <cstring>

using namespace aicc;

extern "C" {

aicc_compiler_status aicc_compiler_compile(const aicc_compiler_options *options,
                                           char **out_message) {
  if (out_message)
    *out_message = nullptr;
  auto fail = [&](aicc_compiler_status status, const std::string &message) {
    if (out_message)
      *out_message = strdup(message.c_str());
    return status;
  };
  if (!options || options->struct_size < sizeof(aicc_compiler_options) ||
      !options->input || !options->output)
    return fail(AICC_COMPILER_INVALID_ARGUMENT,
                "options have no input or no output");
  driver::Options o;
  o.input = options->input;
  o.output = options->output;
  if (options->target_count) {
    o.targets.clear();
    for (size_t i = 0; i < options->target_count; ++i)
      o.targets.push_back(options->targets[i]);
  }
  for (size_t i = 0; i < options->dim_count; ++i)
    o.dims.emplace_back(options->dims[i].name, options->dims[i].size);
  o.jobs = options->jobs;
  o.cache = !options->no_cache;
  std::string error;
  if (!driver::check(o, error))
    return fail(AICC_COMPILER_INVALID_ARGUMENT, error);
  std::vector<std::string> errors;
  if (driver::compile(o, errors))
    return AICC_COMPILER_OK;
  std::string all;
  for (const std::string &line : errors)
    all += (all.empty() ? "" : "\n") + line;
  return fail(AICC_COMPILER_FAILED, all);
}

void aicc_compiler_message_free(char *message) { std::free(message); }

const char *aicc_compiler_version(void) {
  static const std::string text = driver::version();
  return text.c_str();
}
}
