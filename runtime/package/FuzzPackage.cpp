//===- FuzzPackage.cpp - libFuzzer target of the package reader -----------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Takes a whole package, whose preamble's sizes and checksum are repaired first
// because chance would never get past them, or a header alone, which is small
// and therefore searched faster. What the reader accepts is described,
// flattened and bound as a session would, short of running it.
//
//===----------------------------------------------------------------------===//

#include "runtime/core/Describe.h"
#include "runtime/executor/Binding.h"
#include "runtime/package/Reader.h"

#include <algorithm>
#include <cstring>

using namespace aicc;

static void use(const program::Package &package, size_t size) {
  (void)describe(package, size);
  // Dimensions of 3, as far as the expressions allow.
  const std::vector<int64_t> symbols(package.symbolCount, 3);
  std::vector<std::vector<int64_t>> dims;
  for (const program::Port &port : package.inputs)
    if (!executor::portDims(package, port, symbols, dims.emplace_back()).ok())
      return;
  const std::vector<std::span<const int64_t>> spans(dims.begin(), dims.end());
  for (const program::Variant &variant : package.variants) {
    executor::Binding prepared, bound;
    (void)executor::bindPrepare(
        package, variant, executor::flatten(package, variant, true), prepared);
    (void)executor::bindProgram(package, variant,
                                executor::flatten(package, variant, false),
                                spans, bound);
  }
}

static void readFile(std::vector<uint8_t> file) {
  package::Preamble preamble;
  if (file.size() >= sizeof preamble) {
    std::memcpy(&preamble, file.data(), sizeof preamble);
    preamble.version = package::formatVersion;
    preamble.fileSize = file.size();
    if (preamble.headerOffset <= file.size()) {
      const uint64_t left = file.size() - preamble.headerOffset;
      preamble.headerSize = std::min(preamble.headerSize, left);
      preamble.headerChecksum = package::checksum(
          file.data() + preamble.headerOffset, preamble.headerSize);
    }
    std::memcpy(file.data(), &preamble, sizeof preamble);
  }
  std::shared_ptr<const PackageReader> reader;
  if (!PackageReader::fromMemory(file.data(), file.size(), {}, reader).ok())
    return;
  for (const program::Weight &weight : reader->contents().weights)
    (void)reader->verify(weight.data, weight.name);
  use(reader->contents(), file.size());
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size >= sizeof package::magic &&
      std::memcmp(data, package::magic, sizeof package::magic) == 0) {
    readFile({data, data + size});
    return 0;
  }
  // At an aligned address, as in a file.
  const std::vector<uint8_t> header(data, data + size);
  program::Package package;
  constexpr uint64_t fileSize = uint64_t(1) << 24;
  if (parseHeader(header, fileSize, package).ok())
    use(package, fileSize);
  return 0;
}
