//===- Functions.cpp - host functions by name -----------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Host.h"

#include <map>
#include <mutex>

using namespace aicc;
using namespace aicc::host;

namespace {
struct Table {
  std::mutex mutex;
  std::map<std::string, Factory, std::less<>> functions;
};
} // namespace

static Table &table() {
  static Table functions;
  return functions;
}

Factory aicc::host::find(std::string_view name) {
  std::lock_guard lock(table().mutex);
  const auto it = table().functions.find(name);
  return it == table().functions.end() ? nullptr : it->second;
}

void aicc::host::add(std::string name, Factory factory) {
  std::lock_guard lock(table().mutex);
  table().functions[std::move(name)] = factory;
}
