//===- Describe.h - what is inside a package, as JSON ---------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef AICC_RUNTIME_CORE_DESCRIBE_H
#define AICC_RUNTIME_CORE_DESCRIBE_H

#include "runtime/package/Reader.h"

namespace aicc {

std::string describe(const PackageReader &reader);

} // namespace aicc

#endif
