//===- Describe.h - what is inside a package, as JSON ---------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef AICC_RUNTIME_CORE_DESCRIBE_H
#define AICC_RUNTIME_CORE_DESCRIBE_H

#include "runtime/package/Program.h"

namespace aicc {

// `bytes` is the file's size.
std::string describe(const program::Package &package, size_t bytes);

} // namespace aicc

#endif
