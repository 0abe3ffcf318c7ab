//===- Vendor.cpp - opening a vendor's library ----------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Vendor.h"

#include <cstdlib>
#include <cstring>
#include <dlfcn.h>

using namespace aicc::backends::common;

// Fills pointers of functions; null, or the first required one that is absent.
static const char *resolve(void *library, std::span<const Symbol> symbols,
                           void *calls) {
  for (const Symbol &symbol : symbols) {
    void *address = dlsym(library, symbol.name);
    if (!address && symbol.required)
      return symbol.name;
    std::memcpy(static_cast<char *>(calls) + symbol.offset, &address,
                sizeof address);
  }
  return nullptr;
}

// Never closed again: vendors' libraries have threads.
bool Vendor::load(const char *path) {
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char *reason = dlerror();
    if (error_.empty())
      error_ = reason ? reason : std::string("cannot open ") + path;
    return false;
  }
  const char *missing = resolve(library, symbols(), &calls);
  if (!missing)
    missing = resolve(library, ownSymbols(), ownCalls());
  if (missing) {
    error_ = std::string(path) + " has no function " + missing;
    dlclose(library);
    return false;
  }
  standIn = static_cast<const aicc_virtual_vendor *>(
      dlsym(library, "aicc_virtual_vendor_library"));
  if (standIn && standIn->version != AICC_VIRTUAL_VERSION) {
    error_ = std::string(path) + " is of version " +
             std::to_string(standIn->version) +
             " of virtual devices, expected " +
             std::to_string(AICC_VIRTUAL_VERSION);
    return false;
  }
  return true;
}

void Vendor::open() {
  const char *chosen = std::getenv(names.environment);
  std::vector<const char *> paths = names.libraries;
  if (chosen && *chosen)
    paths = {chosen};
  bool loaded = false;
  for (size_t i = 0; i < paths.size() && !loaded; ++i)
    loaded = load(paths[i]);
  if (!loaded)
    return;
  error_.clear();
  int code = calls.init(0);
  if (!code)
    code = calls.deviceCount(&count_);
  if (code) {
    count_ = 0;
    error_ = std::string("starting ") + names.api + ": " + describe(code);
  } else if (count_ <= 0) {
    count_ = 0;
    error_ = std::string("no device that ") + names.api + " knows";
  }
}

int Vendor::count(bool virtualDevices, std::string &out_reason) {
  const char *chosen = std::getenv(names.environment);
  // A stand-in is never found by itself, so there is no need to look.
  if (virtualDevices && !(chosen && *chosen)) {
    out_reason = std::string(names.environment) + " names no stand-in";
    return 0;
  }
  std::call_once(once_, [this] { open(); });
  if (!error_.empty()) {
    out_reason = error_;
    return 0;
  }
  if (bool(standIn) == virtualDevices)
    return count_;
  out_reason = virtualDevices
                   ? std::string(names.environment) + " names no stand-in"
                   : std::string(names.environment) +
                         " names a stand-in, whose devices are " +
                         names.family + ":virtual";
  return 0;
}

std::string Vendor::describe(int code) const {
  const char *name = errorName(code), *text = errorText(code);
  std::string result =
      (name && *name ? std::string(name) : names.api + std::string(" error")) +
      " (" + std::to_string(code) + ")";
  if (text && *text && std::strcmp(text, name ? name : "") != 0)
    result += std::string(": ") + text;
  return result;
}
