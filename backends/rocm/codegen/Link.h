//===- Link.h - AMD code objects out of relocatable ones --------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef AICC_BACKENDS_ROCM_CODEGEN_LINK_H
#define AICC_BACKENDS_ROCM_CODEGEN_LINK_H

#include <optional>
#include <string>
#include <vector>

namespace aicc::backends::rocm {

/// Links relocatable objects to one code object, in this process. Any thread.
std::optional<std::string>
linkCodeObject(const std::vector<const std::string *> &objects,
               std::string &out_error);

} // namespace aicc::backends::rocm

#endif // AICC_BACKENDS_ROCM_CODEGEN_LINK_H
