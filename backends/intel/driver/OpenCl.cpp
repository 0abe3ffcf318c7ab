//===- OpenCl.cpp - the part of OpenCL that the driver uses ---------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "OpenCl.h"

#include <dlfcn.h>

using namespace aicc::intel;

Library *aicc::intel::openLibrary(const char *path, std::string &error) {
  void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    const char *reason = dlerror();
    error = reason ? reason : std::string("cannot open ") + path;
    return nullptr;
  }
  // Never closed: vendors' libraries have threads.
  auto *cl = new Library;
  const char *missing = nullptr;
#define X(result, name, parameters)                                            \
  cl->name = reinterpret_cast<result(*) parameters>(dlsym(handle, #name));     \
  if (!cl->name)                                                               \
    missing = #name;
  AICC_CL_FUNCTIONS(X)
#undef X
  if (missing) {
    error = std::string(path) + " has no function " + missing;
    delete cl;
    return nullptr;
  }
  return cl;
}

bool aicc::intel::findMemory(const Library &cl, cl_platform_id platform,
                             Memory &out) {
  bool complete = true;
#define X(result, name, parameters)                                            \
  out.name = reinterpret_cast<result(*) parameters>(                           \
      cl.clGetExtensionFunctionAddressForPlatform(platform, #name));           \
  complete &= out.name != nullptr;
  AICC_CL_EXTENSION(X)
#undef X
  return complete;
}

std::string aicc::intel::errorName(cl_int error) {
  struct Name {
    cl_int value;
    const char *name;
  };
  static constexpr Name names[] = {
      {-1, "CL_DEVICE_NOT_FOUND"},
      {-2, "CL_DEVICE_NOT_AVAILABLE"},
      {-4, "CL_MEM_OBJECT_ALLOCATION_FAILURE"},
      {-5, "CL_OUT_OF_RESOURCES"},
      {-6, "CL_OUT_OF_HOST_MEMORY"},
      {-11, "CL_BUILD_PROGRAM_FAILURE"},
      {-14, "CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST"},
      {-30, "CL_INVALID_VALUE"},
      {-42, "CL_INVALID_BINARY"},
      {-46, "CL_INVALID_KERNEL_NAME"},
      {-51, "CL_INVALID_ARG_SIZE"},
      {-52, "CL_INVALID_KERNEL_ARGS"},
      {-54, "CL_INVALID_WORK_GROUP_SIZE"},
      {-61, "CL_INVALID_BUFFER_SIZE"},
  };
  for (const Name &name : names)
    if (name.value == error)
      return std::string(name.name) + " (" + std::to_string(error) + ")";
  return "OpenCL error " + std::to_string(error);
}
