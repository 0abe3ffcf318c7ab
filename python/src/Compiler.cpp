//===- Compiler.cpp - the compiler's C interface for Python ---------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The module aicc._compiler, one function. A module of its own, so that a
// program that only runs packages loads no LLVM.
//
//===----------------------------------------------------------------------===//

#include <aicc/compiler.h>

#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <cstring>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace nb = nanobind;

namespace {

/// Name, type, dimensions, elements.
using Value =
    std::tuple<std::string, std::string, std::vector<int64_t>, nb::bytes>;

/// Returns (whether it worked, the message, names of inputs whose values were
/// needed).
nb::tuple
compile(const std::string &input, std::optional<nb::bytes> model,
        const std::string &directory, const std::string &output,
        const std::vector<std::string> &targets,
        const std::vector<std::pair<std::string, int64_t>> &dims,
        const std::vector<Value> &values,
        const std::vector<std::pair<std::string, std::string>> &sequences,
        const std::vector<std::pair<std::string, std::string>> &places,
        const std::string &precision, bool allowTf32, unsigned jobs,
        bool cache) {
  std::vector<const char *> targetNames;
  for (const std::string &target : targets)
    targetNames.push_back(target.c_str());
  std::vector<aicc_compiler_dim> fixed;
  for (const auto &[name, size] : dims)
    fixed.push_back({name.c_str(), size});
  std::vector<aicc_compiler_value> constants;
  for (const auto &[name, type, shape, data] : values)
    constants.push_back({name.c_str(), type.c_str(), shape.size(), shape.data(),
                         data.c_str(), data.size()});
  std::vector<aicc_compiler_sequence> described;
  for (const auto &[name, contents] : sequences)
    described.push_back({name.c_str(), contents.c_str()});
  std::vector<aicc_compiler_place> placed;
  for (const auto &[nodes, target] : places)
    placed.push_back({nodes.c_str(), target.c_str()});
  aicc_compiler_options options = {};
  options.struct_size = sizeof(options);
  options.input = input.c_str();
  options.output = output.c_str();
  options.targets = targetNames.data();
  options.target_count = targetNames.size();
  options.dims = fixed.data();
  options.dim_count = fixed.size();
  options.jobs = jobs;
  options.no_cache = !cache;
  options.values = constants.data();
  options.value_count = constants.size();
  options.precision = precision.c_str();
  options.allow_tf32 = allowTf32;
  options.sequences = described.data();
  options.sequence_count = described.size();
  options.places = placed.data();
  options.place_count = placed.size();
  if (model) {
    options.model = model->c_str();
    options.model_bytes = model->size();
    options.model_directory = directory.c_str();
  }
  aicc_compiler_result *result;
  aicc_compiler_status status;
  {
    nb::gil_scoped_release unlocked;
    status = aicc_compiler_compile(&options, &result);
  }
  nb::list needed;
  for (size_t i = 0; i < aicc_compiler_result_needed_count(result); ++i)
    needed.append(aicc_compiler_result_needed(result, i));
  // Names in a message are the model's, not always UTF-8.
  const char *text = aicc_compiler_result_message(result);
  nb::object message = nb::steal(
      PyUnicode_DecodeUTF8(text, Py_ssize_t(strlen(text)), "replace"));
  aicc_compiler_result_free(result);
  return nb::make_tuple(status == AICC_COMPILER_OK, message, needed);
}

} // namespace

NB_MODULE(_compiler, m) {
  m.def("compile", compile, nb::arg("input"), nb::arg("model").none(),
        nb::arg("directory"), nb::arg("output"), nb::arg("targets"),
        nb::arg("dims"), nb::arg("values"), nb::arg("sequences"),
        nb::arg("places"), nb::arg("precision"), nb::arg("allow_tf32"),
        nb::arg("jobs"), nb::arg("cache"));
  m.def("version", aicc_compiler_version);
}
