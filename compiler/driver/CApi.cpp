//===- CApi.cpp - the C interface of the compiler -------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "aicc/compiler.h"
#include "compiler/driver/Compiler.h"

#include "compiler/driver/Values.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

using namespace aicc;

struct aicc_compiler_result {
  std::string message;
  std::vector<std::string> needed;
};

static aicc_compiler_status run(const aicc_compiler_options *given,
                                aicc_compiler_result &result) {
  auto fail = [&](aicc_compiler_status status, const std::string &message) {
    result.message = message;
    return status;
  };
  // Fields that the caller's version doesn't have are zero.
  aicc_compiler_options options = {};
  if (given && given->struct_size >= offsetof(aicc_compiler_options, values))
    std::memcpy(&options, given, std::min(given->struct_size, sizeof(options)));
  if (!options.output || (!options.input && !options.model))
    return fail(AICC_COMPILER_INVALID_ARGUMENT,
                "options have no input or no output");
  driver::Options o;
  o.input = options.input ? options.input : "model";
  o.output = options.output;
  if (options.target_count) {
    o.targets.clear();
    for (size_t i = 0; i < options.target_count; ++i)
      o.targets.push_back(options.targets[i]);
  }
  for (size_t i = 0; i < options.dim_count; ++i)
    o.dims.emplace_back(options.dims[i].name, options.dims[i].size);
  for (size_t i = 0; i < options.sequence_count; ++i)
    o.sequences.emplace_back(options.sequences[i].name,
                             options.sequences[i].contents);
  for (size_t i = 0; i < options.place_count; ++i)
    o.places.emplace_back(options.places[i].nodes, options.places[i].target);
  std::string error;
  for (size_t i = 0; i < options.value_count; ++i) {
    const aicc_compiler_value &value = options.values[i];
    std::vector<int64_t> dims(value.dims, value.dims + value.rank);
    std::string tensor =
        driver::makeTensor(value.type, dims, value.data, value.bytes, error);
    if (!error.empty())
      return fail(AICC_COMPILER_INVALID_ARGUMENT, "value of input \"" +
                                                      std::string(value.name) +
                                                      "\": " + error);
    o.values.emplace_back(value.name, std::move(tensor));
  }
  if (options.model)
    o.model = {static_cast<const char *>(options.model), options.model_bytes};
  if (options.model && o.model.empty())
    return fail(AICC_COMPILER_INVALID_ARGUMENT, "the model has no bytes");
  if (options.model_directory)
    o.modelDirectory = options.model_directory;
  if (options.precision)
    o.precision = options.precision;
  o.allowTf32 = options.allow_tf32;
  o.jobs = options.jobs;
  o.cache = !options.no_cache;
  if (!driver::check(o, error))
    return fail(AICC_COMPILER_INVALID_ARGUMENT, error);
  std::vector<std::string> errors;
  if (driver::compile(o, errors, &result.needed))
    return AICC_COMPILER_OK;
  std::string all;
  for (const std::string &line : errors)
    all += (all.empty() ? "" : "\n") + line;
  return fail(AICC_COMPILER_FAILED, all);
}

extern "C" {

aicc_compiler_status aicc_compiler_compile(const aicc_compiler_options *options,
                                           aicc_compiler_result **out_result) {
  auto result = std::make_unique<aicc_compiler_result>();
  aicc_compiler_status status = run(options, *result);
  if (out_result)
    *out_result = result.release();
  return status;
}

const char *aicc_compiler_result_message(const aicc_compiler_result *result) {
  return result ? result->message.c_str() : "";
}

size_t aicc_compiler_result_needed_count(const aicc_compiler_result *result) {
  return result ? result->needed.size() : 0;
}

const char *aicc_compiler_result_needed(const aicc_compiler_result *result,
                                        size_t index) {
  return result && index < result->needed.size() ? result->needed[index].c_str()
                                                 : nullptr;
}

void aicc_compiler_result_free(aicc_compiler_result *result) { delete result; }

const char *aicc_compiler_version(void) {
  static const std::string text = driver::version();
  return text.c_str();
}
}
