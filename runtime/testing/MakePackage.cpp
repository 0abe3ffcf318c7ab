//===- MakePackage.cpp - writes a small package, for tests of tools -------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// aicc_make_test_package KERNELS.so OUT.aicc
//
//===----------------------------------------------------------------------===//

#include "PackageBuilder.h"

#include <cstdio>

int main(int argc, char **argv) {
  if (argc != 3)
    return 2;
  using namespace aicc::testing;
  const std::vector<uint8_t> package =
      affineModel("cpu", "elf-so", readFile(argv[1])).finish();
  std::ofstream file(argv[2], std::ios::binary);
  file.write(reinterpret_cast<const char *>(package.data()),
             std::streamsize(package.size()));
  return file.good() ? 0 : 1;
}
