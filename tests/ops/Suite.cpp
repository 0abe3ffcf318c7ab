//===- Suite.cpp - many compiled cases in one process ---------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// aicc-suite DEVICE FOLDER PART PARTS FROM
//
// Runs each PARTS-th case of FOLDER/suite.tsv, which packages.py has written,
// from line FROM of them on, and prints a line for each: "ok CASE", "listed
// CASE" (it fails as its list says), "FAILED CASE: why" or "UNEXPECTED CASE:
// ...". A process for each case would spend its time starting the device.
//
// 3: the device is lost to this process; go on from the line after the last one
// printed.
//
//===----------------------------------------------------------------------===//

#include "Benchmark.h"
#include "Compare.h"
#include "Inputs.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

using namespace aicc::run;

namespace {

struct Case {
  std::string folder, name, expected;
  Tolerance tolerance;
};

std::vector<Case> readCases(const std::string &path) {
  std::ifstream file(path);
  if (!file)
    throw Error("cannot read '" + path + "'");
  std::vector<Case> cases;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    Case &one = cases.emplace_back();
    std::string relative, absolute;
    for (std::string *word :
         {&one.folder, &relative, &absolute, &one.name, &one.expected})
      std::getline(words, *word, '\t');
    if (one.expected.empty())
      throw Error("'" + path + "': expected five fields, found '" + line + "'");
    one.tolerance.relative = std::strtod(relative.c_str(), nullptr);
    one.tolerance.absolute = std::strtod(absolute.c_str(), nullptr);
  }
  return cases;
}

struct Package {
  aicc_package *handle = nullptr;
  ~Package() { aicc_package_release(handle); }
};

// Why it is wrong; empty if it isn't.
std::string run(const Case &one, const std::string &folder,
                const std::string &device) {
  Package package;
  check(aicc_package_open((folder + "/model.aicc").c_str(), nullptr,
                          &package.handle));
  Runner runner(package.handle, device, /*threads=*/1, "");
  std::vector<std::string> names;
  for (const Port &port : outputsOf(package.handle))
    names.push_back(port.name);
  for (TestSet &set : readTestSets(package.handle, folder)) {
    runner.run(set.inputs);
    const std::vector<Array> found = runner.outputs(names);
    for (size_t i = 0; i < found.size(); ++i) {
      const Comparison result =
          compare(found[i], set.outputs[i], one.tolerance);
      if (!result.equal)
        return "output '" + names[i] + "': " + result.reason;
    }
  }
  return "";
}

int runPart(const std::string &device, const std::string &folder, size_t part,
            size_t parts, size_t from) {
  const std::vector<Case> cases = readCases(folder + "/suite.tsv");
  for (size_t i = part + from * parts; i < cases.size(); i += parts) {
    const Case &one = cases[i];
    std::string why;
    try {
      why = run(one, folder + "/" + one.folder, device);
    } catch (const std::exception &error) {
      why = error.what();
    }
    const bool listed = one.expected != "pass";
    if (why.empty())
      std::printf(listed ? "UNEXPECTED %s: it passes, but is listed as: %s\n"
                         : "ok %s\n",
                  one.folder.c_str(), one.expected.c_str());
    else
      std::printf(listed ? "listed %s\n" : "FAILED %s: %s\n",
                  one.folder.c_str(), why.c_str());
    std::fflush(stdout);
    if (why.find("is lost") != std::string::npos)
      return 3;
  }
  return 0;
}

} // namespace

int main(int argc, char **argv) {
  if (argc != 6) {
    std::fprintf(stderr, "usage: aicc-suite DEVICE FOLDER PART PARTS FROM\n");
    return 2;
  }
  try {
    return runPart(argv[1], argv[2], std::strtoul(argv[3], nullptr, 10),
                   std::max(1ul, std::strtoul(argv[4], nullptr, 10)),
                   std::strtoul(argv[5], nullptr, 10));
  } catch (const std::exception &error) {
    std::fprintf(stderr, "aicc-suite: %s\n", error.what());
    return 1;
  }
}
