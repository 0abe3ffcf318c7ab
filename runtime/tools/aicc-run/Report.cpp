//===- Report.cpp - what the tool prints ----------------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Report.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <set>

using namespace aicc::run;
using nlohmann::json;

// Names come from models and needn't be UTF-8.
static std::string dump(const json &value, int indent = -1) {
  return value.dump(indent, ' ', false, json::error_handler_t::replace);
}

static std::string text(const json &value) {
  return value.is_string() ? value.get<std::string>() : dump(value);
}

// [1, "batch", 3] as "1 x batch x 3".
static std::string shape(const json &dims) {
  std::string result;
  for (const json &dim : dims)
    result += (result.empty() ? "" : " x ") + text(dim);
  return result.empty() ? "scalar" : result;
}

static std::string bytes(uint64_t value) {
  char line[40];
  if (value < 10000)
    std::snprintf(line, sizeof line, "%llu B", (unsigned long long)value);
  else if (value < 10000000)
    std::snprintf(line, sizeof line, "%.1f KiB", double(value) / 1024);
  else
    std::snprintf(line, sizeof line, "%.1f MiB", double(value) / 1048576);
  return line;
}

void aicc::run::printDevices(bool asJson) {
  json list = json::array();
  for (size_t i = 0; i < aicc_device_count(); ++i) {
    aicc_device_info info{};
    info.struct_size = sizeof info;
    check(aicc_device_get_info(aicc_device_at(i), &info));
    json features = json::array();
    for (size_t f = 0; f < info.feature_count; ++f)
      features.push_back(info.features[f]);
    list.push_back({{"name", info.name},
                    {"description", info.description},
                    {"chip", info.chip},
                    {"version", info.version},
                    {"memory_bytes", info.memory_bytes},
                    {"compute_units", info.compute_units},
                    {"features", features}});
  }
  if (asJson) {
    std::printf(
        "%s\n",
        dump({{"devices", list}, {"notes", aicc_driver_notes()}}, 2).c_str());
    return;
  }
  for (const json &device : list)
    std::printf("%-10s %s, %s, %llu units, %s\n", text(device["name"]).c_str(),
                text(device["description"]).c_str(),
                text(device["chip"]).c_str(),
                device["compute_units"].get<unsigned long long>(),
                bytes(device["memory_bytes"].get<uint64_t>()).c_str());
  std::printf("%s", aicc_driver_notes());
}

static std::string joined(const json &names) {
  std::string list;
  for (const json &name : names)
    list += (list.empty() ? "" : " + ") + text(name);
  return list;
}

static void printProgram(const json &list, const json &variant,
                         const std::string &indent) {
  auto buffer = [&](const json &index) {
    const std::string name =
        text(variant["buffers"][index.get<size_t>()]["name"]);
    return name.empty() ? "buffer " + index.dump() : "'" + name + "'";
  };
  // The target of one of several devices.
  auto target = [&](const json &of) {
    return text(variant["devices"][of["device"].get<size_t>()]["target"]);
  };
  const bool several = variant.contains("devices");
  for (const json &step : list) {
    const std::string op = text(step["op"]);
    std::string line;
    if (op == "loop") {
      line = "loop " + text(step["symbol"]) + ": " + text(step["count"]) +
             " times";
      if (step.contains("condition"))
        line += ", while " + buffer(step["condition"]);
      if (step.contains("trips"))
        line += "; " + text(step["trips"]) + " = how many there were";
    } else if (op == "branch") {
      line = "if " + buffer(step["buffers"][0]);
    } else if (op == "read") {
      line = text(step["symbol"]) + " = " + buffer(step["buffers"][0]) + "[" +
             step["element"].dump() + "]";
    } else if (op == "call") {
      line = "call " + text(step["function"]);
    } else if (op == "launch") {
      const json &kernel = variant["kernels"][step["kernel"].get<size_t>()];
      line = text(kernel["entry"]) + ", " + shape(step["grid"]) + " workgroups";
      if (several)
        line +=
            " on " + target(variant["objects"][kernel["object"].get<size_t>()]);
      if (!step.contains("sources"))
        line += ": " + joined(kernel["sources"]);
    } else {
      line = op;
      for (const json &index : step["buffers"])
        line += " " + buffer(index);
      if (step.contains("place"))
        line += " from byte " + text(step["place"]);
      const json &from =
                     variant["buffers"][step["buffers"].front().get<size_t>()],
                 &to = variant["buffers"][step["buffers"].back().get<size_t>()];
      if (several && from["device"] != to["device"])
        line += " from " + target(from) + " to " + target(to);
    }
    if (step.contains("sources"))
      line += ": " + joined(step["sources"]);
    std::printf("%s%s\n", indent.c_str(), line.c_str());
    if (step.contains("body"))
      printProgram(step["body"], variant, indent + "  ");
    if (step.contains("otherwise") && !step["otherwise"].empty()) {
      std::printf("%selse\n", indent.c_str());
      printProgram(step["otherwise"], variant, indent + "  ");
    }
  }
}

// What a variant needs of a device, which is the variant where it has one only:
// features and memory.
static void printDevice(const json &device, const json &variant, size_t index) {
  std::string features;
  for (const json &feature : device["requires"])
    features += (features.empty() ? ", needs " : " ") + text(feature);
  const bool several = variant.contains("devices");
  auto here = [&](const json &of) {
    return !several || of["device"].get<size_t>() == index;
  };
  size_t kernels = 0, temporaries = 0, prepared = 0;
  uint64_t code = 0;
  std::string formats;
  for (const json &kernel : variant["kernels"])
    kernels += here(variant["objects"][kernel["object"].get<size_t>()]);
  for (const json &object : variant["objects"]) {
    if (!here(object))
      continue;
    code += object["bytes"].get<uint64_t>();
    const std::string format = text(object["format"]);
    if (formats.find(format) == std::string::npos)
      formats += (formats.empty() ? "" : ", ") + format;
  }
  for (const json &buffer : variant["buffers"]) {
    if (!here(buffer) || buffer.contains("view_of"))
      continue;
    temporaries += buffer["storage"] == "temporary";
    prepared += buffer["storage"] == "prepared";
  }
  const char *indent = several ? "  " : "";
  std::printf("%s%s: %zu kernels, %s of %s%s\n", indent,
              text(device["target"]).c_str(), kernels, bytes(code).c_str(),
              formats.c_str(), features.c_str());
  const int64_t arena = device["arena_bytes"].get<int64_t>();
  std::printf("%s  memory: %zu temporaries in %s, %zu prepared weights\n",
              indent, temporaries,
              arena >= 0 ? bytes(uint64_t(arena)).c_str()
                         : "an arena planned at run time",
              prepared);
}

void aicc::run::printDescription(aicc_package *package, bool asJson) {
  const json root = json::parse(aicc_package_describe(package));
  if (asJson) {
    std::printf("%s\n", dump(root, 2).c_str());
    return;
  }
  std::printf("model %s, %s, by %s\n", text(root["model"]).c_str(),
              bytes(root["bytes"].get<uint64_t>()).c_str(),
              text(root["producer"]).c_str());
  for (const char *kind : {"inputs", "outputs"}) {
    std::printf("%s\n", kind);
    for (const json &port : root[kind])
      std::printf("  %s: %s, %s\n", text(port["name"]).c_str(),
                  text(port["type"]).c_str(), shape(port["dims"]).c_str());
  }
  std::string symbols;
  for (const json &symbol : root["symbols"])
    symbols += (symbols.empty() ? "" : ", ") + text(symbol);
  std::printf("symbols: %s\n", symbols.empty() ? "none" : symbols.c_str());
  std::printf("weights: %zu, %s\n", root["weights"].size(),
              bytes(root["weight_bytes"].get<uint64_t>()).c_str());
  for (const json &variant : root["variants"]) {
    if (variant.contains("devices")) {
      std::printf("%s\n", text(variant["target"]).c_str());
      for (size_t i = 0; i < variant["devices"].size(); ++i)
        printDevice(variant["devices"][i], variant, i);
    } else {
      printDevice(variant, variant, 0);
    }
    for (const char *part : {"prepare", "program"}) {
      if (variant[part].empty())
        continue;
      std::printf("  %s\n", part);
      printProgram(variant[part], variant, "    ");
    }
  }
}

json aicc::run::describeOutput(const Array &array) {
  double low = INFINITY, high = -INFINITY, sum = 0;
  size_t numbers = 0;
  const size_t count = array.count();
  for (size_t i = 0; i < count; ++i) {
    const double value = array.at(i);
    if (std::isnan(value))
      continue;
    low = std::min(low, value);
    high = std::max(high, value);
    sum += value;
    ++numbers;
  }
  json first = json::array();
  for (size_t i = 0; i < std::min<size_t>(count, 8); ++i)
    first.push_back(array.at(i));
  json result = {{"name", array.name},
                 {"type", aicc_type_name(array.type)},
                 {"dims", array.dims},
                 {"first", first},
                 {"nan", count - numbers}};
  if (numbers) {
    result["min"] = low;
    result["max"] = high;
    result["mean"] = sum / double(numbers);
  }
  return result;
}

json aicc::run::describeTiming(const Runner &runner, const Timing &timing) {
  return {{"runs", timing.runs},
          {"session_ms", runner.createMilliseconds},
          {"first_ms", runner.firstMilliseconds},
          {"min_ms", timing.minimum},
          {"median_ms", timing.median},
          {"p99_ms", timing.p99},
          {"per_second", timing.perSecond}};
}

json aicc::run::describeMemory(const Runner &runner) {
  aicc_memory_info info{};
  info.struct_size = sizeof info;
  check(aicc_session_memory(runner.session(), &info));
  return {{"weight_bytes", info.weight_bytes},
          {"prepared_bytes", info.prepared_bytes},
          {"arena_bytes", info.arena_bytes},
          {"staging_bytes", info.staging_bytes},
          {"peak_bytes", info.peak_bytes}};
}

json aicc::run::describeProfile(const std::vector<ProfileEvent> &events) {
  struct Sum {
    uint64_t nanoseconds = 0;
    size_t launches = 0;
    std::set<std::string> names;
    std::string name; // the first of them
  };
  std::map<std::string, Sum> sums;
  uint64_t total = 0;
  for (const ProfileEvent &event : events) {
    // A kernel may be used in several places.
    const bool moves = event.kernel == "copy" || event.kernel == "fill";
    Sum &sum = sums[moves ? event.kernel + "\n" + event.name : event.kernel];
    sum.nanoseconds += event.end - event.begin;
    if (sum.names.insert(event.name).second && sum.names.size() == 1)
      sum.name = event.name;
    ++sum.launches;
    total += event.end - event.begin;
  }
  std::vector<Sum> order;
  for (auto &[key, sum] : sums)
    order.push_back(sum);
  std::sort(order.begin(), order.end(), [](const Sum &a, const Sum &b) {
    return a.nanoseconds > b.nanoseconds;
  });
  json list = json::array();
  for (const Sum &sum : order)
    list.push_back(
        {{"name", sum.names.size() == 1
                      ? sum.name
                      : sum.name + " and " +
                            std::to_string(sum.names.size() - 1) + " more"},
         {"launches", sum.launches},
         {"us", double(sum.nanoseconds) / 1000},
         {"share", total ? double(sum.nanoseconds) / double(total) : 0}});
  return list;
}

static void printOutputs(const json &report) {
  for (const json &output : report["outputs"]) {
    std::string values;
    for (const json &value : output["first"]) {
      char number[32];
      // A number that JSON doesn't have stands as null.
      std::snprintf(number, sizeof number, "%s%.6g", values.empty() ? "" : " ",
                    value.is_number() ? value.get<double>() : NAN);
      values += number;
    }
    size_t count = 1;
    for (const json &dim : output["dims"])
      count *= dim.get<size_t>();
    std::printf("%s: %s, %s: %s%s\n", text(output["name"]).c_str(),
                text(output["type"]).c_str(), shape(output["dims"]).c_str(),
                values.c_str(), count > 8 ? " …" : "");
  }
}

static double number(const json &object, const char *key) {
  const json &value = object[key];
  return value.is_number() ? value.get<double>() : NAN;
}

void aicc::run::printJson(const json &report) {
  std::printf("%s\n", dump(report, 2).c_str());
}

void aicc::run::printRun(const json &report, bool asJson) {
  if (asJson)
    return printJson(report);
  if (report.contains("outputs"))
    printOutputs(report);
  if (report.contains("checks"))
    for (const json &entry : report["checks"]) {
      const std::string name = text(entry["name"]);
      if (entry["equal"].get<bool>())
        std::printf("ok   %s: largest difference %.3g, %.3g of the largest "
                    "value\n",
                    name.c_str(), number(entry, "largest_difference"),
                    number(entry, "relative_to_largest"));
      else
        std::printf("FAIL %s: %s\n", name.c_str(),
                    text(entry["reason"]).c_str());
    }
  if (report.contains("saved"))
    std::printf("saved %zu outputs to %s\n", report["outputs"].size(),
                text(report["saved"]).c_str());
  if (report.contains("benchmark")) {
    const json &timing = report["benchmark"];
    std::printf("%s on %s, %llu runs\n", text(report["variant"]).c_str(),
                text(report["device"]).c_str(),
                timing["runs"].get<unsigned long long>());
    std::printf("  min %.4f ms, median %.4f ms, p99 %.4f ms, %.1f runs/s\n",
                number(timing, "min_ms"), number(timing, "median_ms"),
                number(timing, "p99_ms"), number(timing, "per_second"));
    std::printf("  session %.1f ms, first run %.3f ms\n",
                number(timing, "session_ms"), number(timing, "first_ms"));
    const json &memory = report["memory"];
    std::printf("  memory: arena %s, prepared weights %s, peak %s\n",
                bytes(memory["arena_bytes"].get<uint64_t>()).c_str(),
                bytes(memory["prepared_bytes"].get<uint64_t>()).c_str(),
                bytes(memory["peak_bytes"].get<uint64_t>()).c_str());
  }
  if (report.contains("profile")) {
    size_t shown = 0;
    for (const json &entry : report["profile"]) {
      if (shown++ == 20) {
        std::printf("  … %zu more in the trace\n",
                    report["profile"].size() - 20);
        break;
      }
      std::printf("  %5.1f %% %10.1f us %4llu x %s\n",
                  100 * number(entry, "share"), number(entry, "us"),
                  entry["launches"].get<unsigned long long>(),
                  text(entry["name"]).c_str());
    }
  }
}

std::string aicc::run::formatTrace(const std::vector<ProfileEvent> &events) {
  json list = json::array();
  auto rowOf = [](const ProfileEvent &event) {
    return event.stream
               ? event.device + " stream " + std::to_string(event.stream)
               : event.device;
  };
  std::map<std::string, int> rows;
  uint64_t origin = UINT64_MAX;
  for (const ProfileEvent &event : events) {
    rows.emplace(rowOf(event), int(rows.size()));
    origin = std::min(origin, event.begin);
  }
  for (const auto &[device, row] : rows)
    list.push_back({{"name", "thread_name"},
                    {"ph", "M"},
                    {"pid", 0},
                    {"tid", row},
                    {"args", {{"name", device}}}});
  for (const ProfileEvent &event : events)
    list.push_back(
        {{"name", event.name},
         {"cat", event.index == UINT32_MAX ? "transfer" : "kernel"},
         {"ph", "X"},
         {"pid", 0},
         {"tid", rows[rowOf(event)]},
         {"ts", double(event.begin - origin) / 1000},
         {"dur", double(event.end - event.begin) / 1000},
         {"args",
          {{"kernel", event.kernel},
           {"instruction",
            event.index == UINT32_MAX ? json() : json(event.index)},
           {"grid", {event.grid[0], event.grid[1], event.grid[2]}}}}});
  return dump({{"displayTimeUnit", "ms"}, {"traceEvents", list}});
}
