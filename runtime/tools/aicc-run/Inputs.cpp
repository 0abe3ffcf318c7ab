//===- Inputs.cpp - the model's inputs from the command line --------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Inputs.h"

#include "Files.h"

#include <algorithm>
#include <filesystem>
#include <map>

using namespace aicc::run;

static Port makePort(const aicc_port &from) {
  Port port{from.name, from.type, {from.dims, from.dims + from.rank}, {}};
  for (size_t d = 0; d < from.rank; ++d)
    port.expressions.push_back(from.expressions[d]);
  return port;
}

std::vector<Port> aicc::run::inputsOf(const aicc_package *package) {
  std::vector<Port> ports;
  for (size_t i = 0; i < aicc_package_input_count(package); ++i) {
    aicc_port port{};
    port.struct_size = sizeof port;
    check(aicc_package_input(package, i, &port));
    ports.push_back(makePort(port));
  }
  return ports;
}

std::vector<Port> aicc::run::outputsOf(const aicc_package *package) {
  std::vector<Port> ports;
  for (size_t i = 0; i < aicc_package_output_count(package); ++i) {
    aicc_port port{};
    port.struct_size = sizeof port;
    check(aicc_package_output(package, i, &port));
    ports.push_back(makePort(port));
  }
  return ports;
}

size_t aicc::run::splitAssignment(const std::vector<Port> &ports,
                                  const char *what, const std::string &text,
                                  std::string &outValue) {
  size_t best = ports.size();
  std::string known;
  for (size_t i = 0; i < ports.size(); ++i) {
    const std::string &name = ports[i].name;
    known += (i ? ", '" : "'") + name + "'";
    if (text.size() > name.size() && text.compare(0, name.size(), name) == 0 &&
        text[name.size()] == '=' &&
        (best == ports.size() || name.size() > ports[best].name.size()))
      best = i;
  }
  if (best == ports.size()) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos)
      throw UsageError(std::string("'") + text + "' is not like NAME=FILE");
    throw Error(std::string("model has no ") + what + " '" +
                text.substr(0, equals) + "'; it has " +
                (known.empty() ? "none" : known));
  }
  outValue = text.substr(ports[best].name.size() + 1);
  return best;
}

namespace {

using Symbols = std::map<std::string, int64_t>;

int64_t parseNumber(const std::string &text, const std::string &whole) {
  try {
    size_t used = 0;
    const int64_t value = std::stoll(text, &used);
    if (used == text.size() && value >= 0)
      return value;
  } catch (const std::exception &) {
  }
  throw UsageError("'" + whole + "' is not like NAME=4");
}

Symbols parseSymbols(const aicc_package *package,
                     const std::vector<std::string> &dims) {
  Symbols symbols;
  std::string known;
  std::vector<std::string> names;
  for (size_t i = 0; i < aicc_package_symbol_count(package); ++i) {
    names.push_back(aicc_package_symbol(package, i));
    known += (i ? ", '" : "'") + names.back() + "'";
  }
  for (const std::string &text : dims) {
    const size_t equals = text.rfind('=');
    if (equals == std::string::npos)
      throw UsageError("'" + text + "' is not like NAME=4");
    const std::string name = text.substr(0, equals);
    if (std::find(names.begin(), names.end(), name) == names.end())
      throw Error("model has no dimension '" + name + "'; it has " +
                  (known.empty() ? "none" : known));
    symbols[name] = parseNumber(text.substr(equals + 1), text);
  }
  return symbols;
}

// What the shape of a given input says about symbols.
void learn(const Port &port, const Array &array, Symbols &symbols) {
  for (size_t d = 0; d < port.dims.size() && d < array.dims.size(); ++d)
    if (port.dims[d] < 0)
      symbols.emplace(port.expressions[d], array.dims[d]);
}

Array randomInput(const aicc_package *package, const std::vector<Port> &ports,
                  size_t index, const Symbols &symbols, uint64_t seed) {
  std::vector<int64_t> values;
  std::string unknown;
  const Port &port = ports[index];
  for (size_t s = 0; s < aicc_package_symbol_count(package); ++s) {
    const char *name = aicc_package_symbol(package, s);
    auto found = symbols.find(name);
    values.push_back(found == symbols.end() ? 0 : found->second);
    // Only a symbol that this input needs must have a value.
    const bool needed =
        std::any_of(port.expressions.begin(), port.expressions.end(),
                    [&](const std::string &text) {
                      return text.find(name) != std::string::npos;
                    });
    if (found == symbols.end() && needed)
      unknown += (unknown.empty() ? "'" : ", '") + std::string(name) + "'";
  }
  if (!unknown.empty())
    throw Error("random input '" + port.name + "' needs dimension " + unknown +
                "; give it with --dim");
  Array array;
  array.type = port.type;
  array.name = port.name;
  array.dims.resize(port.dims.size());
  check(aicc_package_input_dims(package, index, values.data(),
                                array.dims.data()));
  fillRandom(array, seed + index);
  return array;
}

} // namespace

std::vector<Array> aicc::run::readInputs(const aicc_package *package,
                                         const InputOptions &options) {
  const std::vector<Port> ports = inputsOf(package);
  Symbols symbols = parseSymbols(package, options.dims);
  const Symbols asked = symbols;
  std::vector<Array> arrays(ports.size());
  std::vector<bool> given(ports.size());
  std::vector<std::optional<uint64_t>> random(ports.size());
  for (const std::string &text : options.inputs) {
    std::string value;
    const size_t index = splitAssignment(ports, "input", text, value);
    if (given[index])
      throw UsageError("input '" + ports[index].name + "' is given twice");
    given[index] = true;
    if (value == "random" || value.compare(0, 7, "random:") == 0) {
      random[index] = value.size() > 7
                          ? uint64_t(parseNumber(value.substr(7), text))
                          : options.random.value_or(0);
      continue;
    }
    arrays[index] = readTensor(value);
    if (arrays[index].untyped &&
        aicc_type_size(ports[index].type) == aicc_type_size(arrays[index].type))
      arrays[index].type = ports[index].type;
    learn(ports[index], arrays[index], symbols);
  }
  std::string missing;
  for (size_t i = 0; i < ports.size(); ++i) {
    if (given[i])
      continue;
    random[i] = options.random;
    if (!random[i])
      missing += (missing.empty() ? "'" : ", '") + ports[i].name + "'";
  }
  if (!missing.empty())
    throw Error("no data for input " + missing +
                "; give it with --input, or use --random");
  for (size_t i = 0; i < ports.size(); ++i)
    if (random[i])
      arrays[i] = randomInput(package, ports, i, symbols, *random[i]);
  for (size_t i = 0; i < ports.size(); ++i)
    for (size_t d = 0; d < ports[i].dims.size() && d < arrays[i].dims.size();
         ++d)
      if (auto wanted = asked.find(ports[i].expressions[d]);
          wanted != asked.end() && wanted->second != arrays[i].dims[d])
        throw Error("input '" + ports[i].name + "': dimension " +
                    std::to_string(d) + " is " +
                    std::to_string(arrays[i].dims[d]) + ", but --dim " +
                    wanted->first + "=" + std::to_string(wanted->second));
  return arrays;
}

// The tensors NAME_0.pb, NAME_1.pb, … at the ports they belong to: by name,
// where the file has one of theirs, else by number.
static void readNumbered(const std::string &folder, const char *what,
                         const std::vector<Port> &ports,
                         std::vector<Array> &arrays, std::vector<bool> &found) {
  arrays.resize(ports.size());
  found.assign(ports.size(), false);
  for (size_t k = 0; k < ports.size(); ++k) {
    const std::string path =
        folder + "/" + what + "_" + std::to_string(k) + ".pb";
    std::error_code error;
    if (!std::filesystem::exists(path, error))
      continue;
    Array array = readTensor(path);
    size_t at = k;
    for (size_t i = 0; i < ports.size(); ++i)
      if (!array.name.empty() && ports[i].name == array.name)
        at = i;
    if (found[at])
      throw Error("'" + path + "' is a second " + what + " '" + ports[at].name +
                  "'");
    found[at] = true;
    arrays[at] = std::move(array);
  }
}

std::vector<TestSet> aicc::run::readTestSets(const aicc_package *package,
                                             const std::string &folder) {
  namespace fs = std::filesystem;
  std::error_code error;
  if (!fs::is_directory(folder, error))
    throw Error("'" + folder + "' is not a folder");
  std::vector<std::string> folders;
  for (const fs::directory_entry &entry : fs::directory_iterator(folder, error))
    if (entry.is_directory(error) &&
        entry.path().filename().string().rfind("test_data_set_", 0) == 0)
      folders.push_back(entry.path().string());
  std::sort(folders.begin(), folders.end());
  if (folders.empty())
    folders.push_back(folder);
  std::vector<TestSet> sets;
  for (const std::string &path : folders) {
    TestSet &set = sets.emplace_back();
    set.folder = path;
    std::vector<bool> found;
    const std::vector<Port> inputs = inputsOf(package);
    readNumbered(path, "input", inputs, set.inputs, found);
    for (size_t i = 0; i < inputs.size(); ++i)
      if (!found[i])
        throw Error("'" + path + "' has no data for input '" + inputs[i].name +
                    "'");
    const std::vector<Port> outputs = outputsOf(package);
    readNumbered(path, "output", outputs, set.outputs, found);
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (!found[i])
        throw Error("'" + path + "' has no data for output '" +
                    outputs[i].name + "'");
      set.outputs[i].name = outputs[i].name;
    }
  }
  return sets;
}
