//===- Symbol.h - what else lies in an object -------------------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef AICC_BACKENDS_VIRTUAL_DRIVER_SYMBOL_H
#define AICC_BACKENDS_VIRTUAL_DRIVER_SYMBOL_H

#include <cstddef>

namespace aicc::backends::virtual_device {

/// A global of a loaded object, and its size; null if there is none. `module` is
/// what module_load gave (whose type each driver has for itself); the global
/// lives as long. From any thread.
const void *moduleSymbol(const void *module, const char *name,
                         size_t *out_bytes);

} // namespace aicc::backends::virtual_device

#endif // AICC_BACKENDS_VIRTUAL_DRIVER_SYMBOL_H
