//===- LevelZero.cpp - the part of Level Zero that the driver uses --------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "LevelZero.h"

#include <cstdio>
#include <dlfcn.h>

using namespace aicc::intel;

const LevelZero *aicc::intel::openLevelZero(const char *path,
                                            std::string &error) {
  void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    const char *reason = dlerror();
    error = reason ? reason : std::string("cannot open ") + path;
    return nullptr;
  }
  // Never closed: vendors' libraries have threads.
  auto *ze = new LevelZero;
  const char *missing = nullptr;
#define X(name, parameters)                                                    \
  ze->name =                                                                   \
      reinterpret_cast<ze_result_t(*) parameters>(dlsym(handle, #name));       \
  if (!ze->name)                                                               \
    missing = #name;
  AICC_ZE_FUNCTIONS(X)
#undef X
  if (missing) {
    error = std::string(path) + " has no function " + missing;
    delete ze;
    return nullptr;
  }
  return ze;
}

std::string aicc::intel::resultName(ze_result_t result) {
  struct Name {
    ze_result_t value;
    const char *name;
  };
  static constexpr Name names[] = {
      {0x1, "NOT_READY"},
      {0x70000001, "ERROR_DEVICE_LOST"},
      {0x70000002, "ERROR_OUT_OF_HOST_MEMORY"},
      {0x70000003, "ERROR_OUT_OF_DEVICE_MEMORY"},
      {0x70000004, "ERROR_MODULE_BUILD_FAILURE"},
      {0x70000005, "ERROR_MODULE_LINK_FAILURE"},
      {0x70000006, "ERROR_DEVICE_REQUIRES_RESET"},
      {0x70010000, "ERROR_INSUFFICIENT_PERMISSIONS"},
      {0x70010001, "ERROR_NOT_AVAILABLE"},
      {0x70020000, "ERROR_DEPENDENCY_UNAVAILABLE"},
      {0x78000001, "ERROR_UNINITIALIZED"},
      {0x78000002, "ERROR_UNSUPPORTED_VERSION"},
      {0x78000003, "ERROR_UNSUPPORTED_FEATURE"},
      {0x78000004, "ERROR_INVALID_ARGUMENT"},
      {0x78000005, "ERROR_INVALID_NULL_HANDLE"},
      {0x78000007, "ERROR_INVALID_NULL_POINTER"},
      {0x78000008, "ERROR_INVALID_SIZE"},
      {0x78000009, "ERROR_UNSUPPORTED_SIZE"},
      {0x7800000f, "ERROR_INVALID_NATIVE_BINARY"},
      {0x78000011, "ERROR_INVALID_KERNEL_NAME"},
      {0x78000013, "ERROR_INVALID_GROUP_SIZE_DIMENSION"},
      {0x78000015, "ERROR_INVALID_KERNEL_ARGUMENT_INDEX"},
      {0x78000016, "ERROR_INVALID_KERNEL_ARGUMENT_SIZE"},
      {0x7ffffffe, "ERROR_UNKNOWN"},
  };
  for (const Name &name : names)
    if (name.value == result)
      return std::string("ZE_RESULT_") + name.name;
  char text[32];
  std::snprintf(text, sizeof text, "Level Zero error 0x%x", result);
  return text;
}
