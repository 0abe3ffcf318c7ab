//===- Link.cpp - AMD code objects out of relocatable ones ----------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "backends/rocm/codegen/Link.h"

#include "lld/Common/Driver.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"

#include <list>
#include <mutex>

LLD_HAS_DRIVER(elf)

using namespace aicc::backends;

/// A file that is gone when this is.
static std::optional<std::string>
temporary(std::list<llvm::FileRemover> &removers, const std::string *contents) {
  llvm::SmallString<128> path;
  int descriptor;
  if (llvm::sys::fs::createTemporaryFile("aicc", "o", descriptor, path))
    return std::nullopt;
  removers.emplace_back(path);
  llvm::raw_fd_ostream stream(descriptor, /*shouldClose=*/true);
  if (contents)
    stream << *contents;
  stream.close();
  if (stream.has_error()) {
    stream.clear_error();
    return std::nullopt;
  }
  return std::string(path);
}

std::optional<std::string>
rocm::linkCodeObject(const std::vector<const std::string *> &objects,
                     std::string &out_error) {
  // lld keeps its state in globals.
  static std::mutex mutex;
  std::lock_guard<std::mutex> lock(mutex);
  std::list<llvm::FileRemover> removers;
  std::vector<std::string> paths;
  out_error = "can't write a temporary file";
  std::optional<std::string> output = temporary(removers, nullptr);
  if (!output)
    return std::nullopt;
  for (const std::string *object : objects) {
    std::optional<std::string> path = temporary(removers, object);
    if (!path)
      return std::nullopt;
    paths.push_back(*path);
  }
  std::vector<const char *> arguments{"ld.lld", "-shared", "-o",
                                      output->c_str()};
  for (const std::string &path : paths)
    arguments.push_back(path.c_str());
  std::string messages;
  llvm::raw_string_ostream stream(messages);
  lld::Result result = lld::lldMain(arguments, stream, stream,
                                    {{lld::Gnu, &lld::elf::link}});
  if (result.retCode) {
    out_error = messages;
    return std::nullopt;
  }
  auto buffer = llvm::MemoryBuffer::getFile(*output);
  if (!buffer)
    return std::nullopt;
  return std::string((*buffer)->getBuffer());
}
