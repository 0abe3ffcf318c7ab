//===- CompareDevices.cpp - one model on two devices ----------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CompareDevices.h"

#include "Compare.h"
#include "Inputs.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>

using namespace aicc::run;
using nlohmann::json;

//===----------------------------------------------------------------------===//
// Bounds and sides
//===----------------------------------------------------------------------===//

// Room for the order of a sum; floats of eight bits and fewer may differ by
// one step of their own.
static double defaultBound(aicc_type type) {
  switch (type) {
  case AICC_F64:
  case AICC_C128:
    return 1e-10;
  case AICC_F32:
  case AICC_C64:
    return 1e-5;
  case AICC_F16:
    return 5e-3;
  case AICC_BF16:
    return 4e-2;
  case AICC_F8E4M3FN:
  case AICC_F8E4M3FNUZ:
  case AICC_F6E2M3FN:
    return 0x1p-3;
  case AICC_F8E5M2:
  case AICC_F8E5M2FNUZ:
  case AICC_F6E3M2FN:
    return 0x1p-2;
  case AICC_F8E8M0FNU:
  case AICC_F4E2M1FN:
    return 0x1p-1;
  default:
    return 0;
  }
}

double Bounds::of(aicc_type type) const {
  auto found = given.find(type);
  return found == given.end() ? defaultBound(type) : found->second;
}

void Bounds::set(const std::string &text) {
  const size_t equals = text.find('=');
  double value = 0;
  const char *end = text.data() + text.size();
  if (equals != std::string::npos) {
    auto [rest, error] = std::from_chars(text.data() + equals + 1, end, value);
    if (error == std::errc() && rest == end && value >= 0 &&
        std::isfinite(value)) {
      const std::string name = text.substr(0, equals);
      const aicc_type type = typeNamed(name);
      if (defaultBound(type) == 0)
        throw UsageError("'" + text + "' bounds " + name +
                         ", whose values must be equal");
      given[type] = value;
      return;
    }
  }
  throw UsageError("bound '" + text + "' is not like f32=1e-4");
}

std::pair<Side, Side> aicc::run::parseSides(const std::string &text) {
  auto side = [](const std::string &part) {
    const size_t at = part.find('@');
    return at == std::string::npos
               ? Side{part, ""}
               : Side{part.substr(0, at), part.substr(at + 1)};
  };
  const size_t comma = text.find(',');
  if (comma == std::string::npos || comma == 0 || comma + 1 == text.size())
    throw UsageError("'" + text + "' is not like A,B");
  return {side(text.substr(0, comma)), side(text.substr(comma + 1))};
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

namespace {

struct Value {
  std::string nodes;
  uint32_t index = 0;
  Array array;
  std::vector<std::string> strings; // instead of the array's elements
};

// A tensor's name, and where the loops around it are.
using Key = std::pair<std::string, std::vector<int64_t>>;

Value copyOf(const aicc_value &from) {
  Value to;
  to.nodes = from.nodes;
  to.index = from.index;
  to.array.name = from.name;
  to.array.type = from.type;
  to.array.dims.assign(from.dims, from.dims + from.rank);
  if (from.type == AICC_STRING) {
    const auto *strings = static_cast<const aicc_string *>(from.data);
    for (size_t i = 0; i < to.array.count(); ++i)
      to.strings.emplace_back(strings[i].data, strings[i].size);
    return to;
  }
  to.array.allocate();
  if (to.array.bytes())
    std::memcpy(to.array.data(), from.data, to.array.bytes());
  return to;
}

Value outputOf(const aicc_tensor *tensor, const std::string &name) {
  aicc_value value{};
  value.name = name.c_str();
  value.nodes = "";
  value.type = aicc_tensor_type(tensor);
  value.rank = aicc_tensor_rank(tensor);
  value.dims = aicc_tensor_dims(tensor);
  value.data = aicc_tensor_data(tensor);
  return copyOf(value);
}

Key keyOf(const aicc_value &value) {
  return {value.name, {value.iterations, value.iterations + value.loop_count}};
}

class Observation {
public:
  Observation(Runner &runner, std::vector<Array> &inputs,
              std::function<void(const aicc_value &)> callback)
      : callback(std::move(callback)) {
    check(aicc_session_observe(runner.session(), &Observation::call, this));
    runner.run(inputs);
    check(aicc_session_observe(runner.session(), nullptr, nullptr));
    if (error)
      std::rethrow_exception(error);
  }

private:
  static void call(const aicc_value *value, void *context) {
    auto *self = static_cast<Observation *>(context);
    if (self->error)
      return;
    // Exceptions must not pass through the runtime.
    try {
      self->callback(*value);
    } catch (...) {
      self->error = std::current_exception();
    }
  }
  std::function<void(const aicc_value &)> callback;
  std::exception_ptr error;
};

struct Result {
  bool common = false, sameShape = false;
  Comparison comparison;
  std::string nodesOfB;
  double bound = 0;
};

Result compareValues(const Value &a, const Value &b, const Bounds &bounds) {
  Result result;
  result.common = true;
  result.nodesOfB = b.nodes;
  result.sameShape =
      a.array.type == b.array.type && a.array.dims == b.array.dims;
  if (!result.sameShape)
    return result;
  result.bound = bounds.of(a.array.type);
  if (a.array.type != AICC_STRING) {
    Tolerance tolerance;
    tolerance.ofLargest = result.bound;
    result.comparison = compare(b.array, a.array, tolerance);
    return result;
  }
  Comparison &comparison = result.comparison;
  for (size_t i = 0; i < a.strings.size(); ++i)
    comparison.mismatches += a.strings[i] != b.strings[i];
  comparison.equal = comparison.mismatches == 0;
  if (!comparison.equal)
    comparison.reason = std::to_string(comparison.mismatches) + " of " +
                        std::to_string(a.strings.size()) + " strings differ";
  return result;
}

} // namespace

//===----------------------------------------------------------------------===//
// Both
//===----------------------------------------------------------------------===//

json aicc::run::compareDevices(aicc_package *package, const Side &a,
                               const Side &b, uint32_t threads,
                               std::vector<Array> &inputs,
                               const Bounds &bounds) {
  // Of a value that comes twice the last counts, on both sides.
  std::map<Key, size_t> indexOf;
  std::vector<std::pair<Key, Value>> values; // of A
  auto keep = [&](const Key &key, Value value) {
    auto [entry, fresh] = indexOf.emplace(key, values.size());
    if (fresh)
      values.emplace_back(key, std::move(value));
    else
      values[entry->second].second = std::move(value);
  };
  Runner first(package, a.device, threads, a.variant);
  Observation(first, inputs, [&](const aicc_value &value) {
    keep(keyOf(value), copyOf(value));
  });
  std::vector<std::string> names;
  for (const Port &port : outputsOf(package))
    names.push_back(port.name);
  auto whereFrom = [](Value &output, const Value &computed) {
    output.nodes = computed.nodes;
    output.index = computed.index;
  };
  for (size_t i = 0; i < names.size(); ++i) {
    Value output = outputOf(first.output(i), names[i]);
    if (auto found = indexOf.find({names[i], {}}); found != indexOf.end())
      whereFrom(output, values[found->second].second);
    keep({names[i], {}}, std::move(output));
  }

  std::vector<Result> results(values.size());
  size_t onlyB = 0;
  Runner second(package, b.device, threads, b.variant);
  Observation(second, inputs, [&](const aicc_value &value) {
    if (auto found = indexOf.find(keyOf(value)); found != indexOf.end())
      results[found->second] =
          compareValues(values[found->second].second, copyOf(value), bounds);
    else
      ++onlyB;
  });
  for (size_t i = 0; i < names.size(); ++i) {
    const size_t index = indexOf.at({names[i], {}});
    Value output = outputOf(second.output(i), names[i]);
    output.nodes = results[index].nodesOfB;
    results[index] = compareValues(values[index].second, output, bounds);
  }

  const std::vector<std::string> &outputs = names;
  json report = {{"a",
                  {{"device", a.device},
                   {"variant", aicc_session_variant(first.session())}}},
                 {"b",
                  {{"device", b.device},
                   {"variant", aicc_session_variant(second.session())}}},
                 {"values", json::array()},
                 {"first_difference", nullptr}};
  size_t onlyA = 0, otherShapes = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    const auto &[key, value] = values[i];
    const Result &result = results[i];
    const bool output = key.second.empty() &&
                        std::count(outputs.begin(), outputs.end(), key.first);
    onlyA += !result.common;
    // An output has one shape; what is laid out differently has others.
    if (!result.common)
      continue;
    if (!result.sameShape && !output) {
      ++otherShapes;
      continue;
    }
    const Comparison &comparison = result.comparison;
    const bool equal = result.sameShape && comparison.equal;
    json entry = {{"tensor", key.first},
                  {"iterations", key.second},
                  {"type", aicc_type_name(value.array.type)},
                  {"dims", value.array.dims},
                  {"nodes_a", value.nodes},
                  {"nodes_b", result.nodesOfB},
                  {"instruction", value.index},
                  {"output", output},
                  {"equal", equal},
                  {"bound", result.bound},
                  {"difference", comparison.relativeToLargest},
                  {"largest_difference", comparison.largestDifference},
                  {"differing", comparison.mismatches},
                  {"not_finite", comparison.notFinite},
                  {"elements", value.array.count()}};
    if (!equal) {
      entry["reason"] = result.sameShape ? comparison.reason
                                         : "shapes or types are different";
      if (report["first_difference"].is_null())
        report["first_difference"] = report["values"].size();
    }
    report["values"].push_back(std::move(entry));
  }
  report["only_a"] = onlyA;
  report["only_b"] = onlyB;
  report["other_shapes"] = otherShapes;
  return report;
}

//===----------------------------------------------------------------------===//
// The table
//===----------------------------------------------------------------------===//

static std::string textOf(const json &entry) {
  std::string text = entry["tensor"].get<std::string>();
  if (!entry["iterations"].empty()) {
    std::string where;
    for (const json &iteration : entry["iterations"])
      where += (where.empty() ? "" : ", ") + iteration.dump();
    text += " in iteration " + where;
  }
  return text;
}

static std::string nodesOf(const json &entry) {
  const auto a = entry["nodes_a"].get<std::string>(),
             b = entry["nodes_b"].get<std::string>();
  return a == b ? a : (a.empty() ? "-" : a) + " | " + (b.empty() ? "-" : b);
}

void aicc::run::printDeviceComparison(const json &report, bool all) {
  const std::vector<json> &values =
      report["values"].get_ref<const json::array_t &>();
  // By how much of what is allowed is used; what isn't finite or must be equal
  // is worse than any number.
  auto badness = [](const json &value) {
    const bool exact = value["bound"] == 0;
    if (exact && value["equal"].get<bool>())
      return 0.0;
    if (exact || value["not_finite"] != 0 || !value["difference"].is_number())
      return HUGE_VAL;
    return value["difference"].get<double>() / value["bound"].get<double>();
  };
  std::vector<std::tuple<bool, double, size_t>> order;
  for (const json &value : values)
    order.emplace_back(value["equal"].get<bool>(), -badness(value),
                       order.size());
  std::sort(order.begin(), order.end());
  size_t shown = 0;
  std::printf("     difference  bound    elements that differ\n");
  for (const auto &[equal, rank, index] : order) {
    const json &entry = values[index];
    if (!all && shown == 10)
      break;
    ++shown;
    std::string dims;
    for (const json &dim : entry["dims"])
      dims += (dims.empty() ? "" : "x") + dim.dump();
    const json &difference = entry["difference"];
    std::printf(
        "%s %-10.3g  %-7.3g  %llu of %llu%s  %s (%s %s%s%s%s)\n",
        entry["equal"].get<bool>() ? "ok  " : "FAIL",
        difference.is_number() ? difference.get<double>() : HUGE_VAL,
        entry["bound"].get<double>(),
        entry["differing"].get<unsigned long long>(),
        entry["elements"].get<unsigned long long>(),
        entry["not_finite"] != 0
            ? (", " + entry["not_finite"].dump() + " not finite").c_str()
            : "",
        textOf(entry).c_str(), entry["type"].get<std::string>().c_str(),
        dims.empty() ? "scalar" : dims.c_str(),
        entry["output"].get<bool>() ? ", output" : "",
        nodesOf(entry).empty() ? "" : ": ", nodesOf(entry).c_str());
  }
  if (shown < order.size())
    std::printf("… %zu more; -v all shows them\n", order.size() - shown);
  size_t wrong = 0;
  for (const json &value : values)
    wrong += !value["equal"].get<bool>();
  auto side = [&](const char *which) {
    return report[which]["device"].get<std::string>() + " (" +
           report[which]["variant"].get<std::string>() + ")";
  };
  std::printf("%s and %s: %zu values compared, %zu differ; %llu exist on the "
              "first only, %llu on the second only, %llu are laid out "
              "differently\n",
              side("a").c_str(), side("b").c_str(), values.size(), wrong,
              report["only_a"].get<unsigned long long>(),
              report["only_b"].get<unsigned long long>(),
              report["other_shapes"].get<unsigned long long>());
  if (report["first_difference"].is_null())
    return;
  const json &first = values[report["first_difference"].get<size_t>()];
  const auto nodes = nodesOf(first);
  std::printf("first difference: %s%s%s, instruction %llu: %s\n",
              textOf(first).c_str(), nodes.empty() ? "" : ", computed by ",
              nodes.c_str(), first["instruction"].get<unsigned long long>(),
              first["reason"].get<std::string>().c_str());
}
