//===- Main.cpp - aicc-run: runs a package --------------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Exit codes: 0 = done and as expected, 1 = bad data or a difference, 2 = wrong
// usage.
//
//===----------------------------------------------------------------------===//

#include "Benchmark.h"
#include "Compare.h"
#include "CompareDevices.h"
#include "Files.h"
#include "Inputs.h"
#include "Report.h"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <filesystem>

using namespace aicc::run;
using nlohmann::json;

namespace {

struct Options {
  std::string package;
  std::string device = "cpu";
  std::string compareDevices;
  std::vector<std::string> bounds;
  std::string verbose;
  std::string variant;
  uint32_t threads = 0;
  InputOptions inputs;
  std::vector<std::string> expect;
  std::string saveOutputs;
  std::string check;
  std::string profile;
  Tolerance tolerance;
  double benchmark = -1;
  bool listDevices = false;
  bool describe = false;
  bool json = false;
  bool noVerify = false;
};

// Frees the package at the end.
struct PackageHandle {
  aicc_package *handle = nullptr;
  ~PackageHandle() { aicc_package_release(handle); }
};

std::vector<std::string> namesOf(const std::vector<Port> &ports) {
  std::vector<std::string> names;
  for (const Port &port : ports)
    names.push_back(port.name);
  return names;
}

bool addCheck(json &report, const std::string &name, const Array &found,
              const Array &expected, const Tolerance &tolerance) {
  const Comparison result = compare(found, expected, tolerance);
  json entry = {{"name", name},
                {"equal", result.equal},
                {"largest_difference", result.largestDifference},
                {"relative_to_largest", result.relativeToLargest}};
  if (!result.equal)
    entry["reason"] = result.reason;
  report["checks"].push_back(entry);
  return result.equal;
}

// NAME.npy, and output_<k>.npy, which wins where a name looks like that.
void save(const std::vector<Array> &outputs, const std::string &folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error)
    throw Error("cannot create '" + folder + "': " + error.message());
  std::vector<std::string> files;
  for (const Array &array : outputs) {
    files.push_back(formatNpy(array));
    writeFile(folder + "/" + escapeFileName(array.name) + ".npy", files.back());
  }
  for (size_t k = 0; k < files.size(); ++k)
    writeFile(folder + "/output_" + std::to_string(k) + ".npy", files[k]);
}

bool runChecks(const Options &options, aicc_package *package, json &report) {
  bool equal = true;
  Runner runner(package, options.device, options.threads, options.variant);
  report["variant"] = aicc_session_variant(runner.session());
  const std::vector<std::string> names = namesOf(outputsOf(package));
  for (TestSet &set : readTestSets(package, options.check)) {
    runner.run(set.inputs);
    const std::vector<Array> outputs = runner.outputs(names);
    const std::string folder =
        std::filesystem::path(set.folder).filename().string();
    for (size_t i = 0; i < outputs.size(); ++i)
      equal &= addCheck(report, folder + " " + names[i], outputs[i],
                        set.outputs[i], options.tolerance);
  }
  return equal;
}

bool runOnce(const Options &options, aicc_package *package, json &report) {
  const std::vector<Port> ports = outputsOf(package);
  const std::vector<std::string> names = namesOf(ports);
  std::vector<Array> expected(ports.size());
  std::vector<bool> isExpected(ports.size());
  for (const std::string &text : options.expect) {
    std::string value;
    const size_t index = splitAssignment(ports, "output", text, value);
    expected[index] = readTensor(value);
    isExpected[index] = true;
  }
  std::vector<Array> inputs = readInputs(package, options.inputs);
  Runner runner(package, options.device, options.threads, options.variant);
  report["variant"] = aicc_session_variant(runner.session());
  runner.run(inputs);
  const std::vector<Array> outputs = runner.outputs(names);
  for (const Array &output : outputs)
    report["outputs"].push_back(describeOutput(output));
  if (!options.saveOutputs.empty()) {
    save(outputs, options.saveOutputs);
    report["saved"] = options.saveOutputs;
  }
  bool equal = true;
  for (size_t i = 0; i < ports.size(); ++i)
    if (isExpected[i])
      equal &= addCheck(report, names[i], outputs[i], expected[i],
                        options.tolerance);
  if (options.benchmark >= 0) {
    report["benchmark"] =
        describeTiming(runner, benchmark(runner, options.benchmark));
    report["memory"] = describeMemory(runner);
  }
  if (!options.profile.empty()) {
    const std::vector<ProfileEvent> events =
        profile(runner, std::max(options.benchmark, 0.0));
    writeFile(options.profile, formatTrace(events));
    report["profile"] = describeProfile(events);
  }
  return equal;
}

bool runComparison(const Options &options, aicc_package *package,
                   json &report) {
  const auto [a, b] = parseSides(options.compareDevices);
  Bounds bounds;
  for (const std::string &bound : options.bounds)
    bounds.set(bound);
  std::vector<Array> inputs = readInputs(package, options.inputs);
  report = compareDevices(package, a, b, options.threads, inputs, bounds);
  return report["first_difference"].is_null();
}

int run(const Options &options) {
  if (options.listDevices) {
    printDevices(options.json);
    return 0;
  }
  if (options.package.empty())
    throw UsageError("no package; give a file, or --list-devices");
  PackageHandle package;
  aicc_package_options opening{};
  opening.struct_size = sizeof opening;
  opening.trust_weights = options.noVerify;
  check(aicc_package_open(options.package.c_str(), &opening, &package.handle));
  if (options.describe) {
    printDescription(package.handle, options.json);
    return 0;
  }
  if (!options.compareDevices.empty()) {
    json report;
    const bool equal = runComparison(options, package.handle, report);
    if (options.json)
      printJson(report);
    else
      printDeviceComparison(report, options.verbose == "all");
    return equal ? 0 : 1;
  }
  json report = {{"package", options.package}, {"device", options.device}};
  const bool equal = options.check.empty()
                         ? runOnce(options, package.handle, report)
                         : runChecks(options, package.handle, report);
  printRun(report, options.json);
  return equal ? 0 : 1;
}

void define(CLI::App &app, Options &o) {
  app.add_option("package", o.package, "The package to run");
  app.add_flag("--list-devices", o.listDevices, "Print the devices and exit");
  app.add_flag("--describe", o.describe, "Print what is inside and exit");
  CLI::Option *device =
      app.add_option("--device", o.device,
                     "Where to run: cpu, intel:0, …; several, separated by "
                     "commas, for a package of such a set")
          ->capture_default_str();
  CLI::Option *variant = app.add_option(
      "--variant", o.variant, "Which code to take, e.g. cpu:x86-64-v3");
  app.add_option("--threads", o.threads, "Threads on a CPU; 0 = all cores")
      ->check(CLI::Range(0u, 4096u));
  app.add_option("--input", o.inputs.inputs,
                 "NAME=FILE.npy, NAME=FILE.pb, NAME=FILE:f32:1x3x224x224 "
                 "(raw), NAME=random[:SEED]")
      ->allow_extra_args(false);
  app.add_option("--dim", o.inputs.dims,
                 "SYMBOL=4: a dimension of random inputs")
      ->allow_extra_args(false);
  app.add_option(
         "--random",
         [&o](const CLI::results_t &values) {
           o.inputs.random = 0;
           return values[0].empty() ||
                  CLI::detail::lexical_cast(values[0], *o.inputs.random);
         },
         "[SEED]: random data for inputs not given")
      ->expected(0, 1)
      ->default_str("0");
  app.add_option("--save-outputs", o.saveOutputs,
                 "DIR: write each output as NAME.npy and output_<k>.npy");
  app.add_option("--expect", o.expect,
                 "NAME=FILE: compare an output; exit 1 on a difference")
      ->allow_extra_args(false);
  app.add_option("--check", o.check,
                 "DIR: run ONNX test data, input_<k>.pb and output_<k>.pb");
  app.add_option("--rtol", o.tolerance.relative, "Relative tolerance")
      ->capture_default_str();
  app.add_option("--atol", o.tolerance.absolute, "Absolute tolerance")
      ->capture_default_str();
  app.add_option("--tolerance", o.tolerance.ofLargest,
                 "Instead of both: relative to the output's largest value");
  app.add_option("--compare-devices", o.compareDevices,
                 "A,B: run on both and compare every value that both have; "
                 "DEVICE@VARIANT names the code, too, DEVICE+DEVICE several")
      ->check([](const std::string &text) {
        parseSides(text);
        return std::string();
      })
      ->excludes(device)
      ->excludes(variant);
  app.add_option("--bound", o.bounds,
                 "TYPE=B: how far values of a type may differ on two devices, "
                 "relative to the tensor's largest (f32=1e-5, f16=5e-3, "
                 "bf16=4e-2)")
      ->allow_extra_args(false);
  app.add_option("-v,--verbose", o.verbose,
                 "all: show every value of --compare-devices")
      ->check(CLI::IsMember({"all"}));
  app.add_option(
         "--benchmark",
         [&o](const CLI::results_t &values) {
           o.benchmark = 2;
           return values[0].empty() ||
                  CLI::detail::lexical_cast(values[0], o.benchmark);
         },
         "[SECONDS]: time it")
      ->expected(0, 1)
      ->default_str("2");
  app.add_option("--profile", o.profile,
                 "FILE: write a Chrome trace of one run; with --benchmark "
                 "of the median one");
  app.add_flag("--no-verify", o.noVerify,
               "Don't compare weights with their checksums");
  app.add_flag("--json", o.json, "Print JSON");
}

} // namespace

int main(int argc, char **argv) {
  CLI::App app("Runs a model compiled by aicc.", "aicc-run");
  Options options;
  define(app, options);
  try {
    app.parse(argc, argv);
    return run(options);
  } catch (const CLI::Success &help) {
    return app.exit(help);
  } catch (const CLI::ParseError &error) {
    std::fprintf(stderr, "aicc-run: %s\n", error.what());
    return 2;
  } catch (const UsageError &error) {
    std::fprintf(stderr, "aicc-run: %s\n", error.what());
    return 2;
  } catch (const std::exception &error) {
    std::fprintf(stderr, "aicc-run: %s\n", error.what());
    return 1;
  }
}
