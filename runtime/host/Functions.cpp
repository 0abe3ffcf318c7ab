//===- Functions.cpp - host functions by name -----------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/host/Text.h"

#include <dlfcn.h>
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

// The functions of libaicc_host, which lies where the runtime does.
static std::span<const Entry> libraryFunctions() {
  static const std::span<const Entry> functions = [] {
    std::span<const Entry> none;
    std::string folder;
    Dl_info info;
    if (dladdr(reinterpret_cast<void *>(&libraryFunctions), &info) &&
        info.dli_fname)
      folder = info.dli_fname;
    folder.resize(folder.rfind('/') == folder.npos ? 0 : folder.rfind('/') + 1);
    const char *name = "libaicc_host.so";
    for (const std::string &path :
         {folder + name, folder + "../lib/" + name, std::string(name)}) {
      void *library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
      if (!library)
        continue;
      auto *get = reinterpret_cast<const Entry *(*)(size_t *)>(
          dlsym(library, "aicc_host_functions_1"));
      size_t count = 0;
      return get ? std::span(get(&count), count) : none;
    }
    return none;
  }();
  return functions;
}

Factory aicc::host::find(std::string_view name) {
  for (std::span<const Entry> entries : {textFunctions(), numberFunctions()})
    for (const Entry &entry : entries)
      if (entry.name == name)
        return entry.factory;
  if (name.starts_with("image_") || name.starts_with("regex_"))
    for (const Entry &entry : libraryFunctions())
      if (entry.name == name)
        return entry.factory;
  std::lock_guard lock(table().mutex);
  const auto it = table().functions.find(name);
  return it == table().functions.end() ? nullptr : it->second;
}

void aicc::host::add(std::string name, Factory factory) {
  std::lock_guard lock(table().mutex);
  table().functions[std::move(name)] = factory;
}
