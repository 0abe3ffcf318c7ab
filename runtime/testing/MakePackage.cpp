//===- MakePackage.cpp - writes a small package, for tests of tools -------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// aicc_make_test_package KERNELS.so OUT.aicc [FAMILY [HEADER]]
//
// HEADER gets the header alone, as a seed of the fuzzer. KERNELS.so may be
// absent where nothing runs.
//
//===----------------------------------------------------------------------===//

#include "PackageBuilder.h"

static bool write(const char *path, const uint8_t *data, size_t size) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char *>(data), std::streamsize(size));
  return file.good();
}

int main(int argc, char **argv) {
  if (argc < 3 || argc > 5)
    return 2;
  using namespace aicc::testing;
  const std::vector<uint8_t> file =
      affineModel(argc > 3 ? argv[3] : "cpu", "elf-so", readFile(argv[1]))
          .finish();
  pkg::Preamble preamble;
  std::memcpy(&preamble, file.data(), sizeof preamble);
  if (argc == 4 &&
      !write(argv[3], file.data() + preamble.headerOffset, preamble.headerSize))
    return 1;
  return write(argv[2], file.data(), file.size()) ? 0 : 1;
}
