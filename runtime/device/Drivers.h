//===- Drivers.h - the drivers linked into this library -------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef AICC_RUNTIME_DEVICE_DRIVERS_H
#define AICC_RUNTIME_DEVICE_DRIVERS_H

#include "aicc/driver.h"

#include <span>

namespace aicc {

using aicc_driver_function = const aicc_driver *(*)();

// Defined by the file that CMake writes from the folders backends/*/driver.
std::span<const aicc_driver_function> linkedDrivers();

} // namespace aicc

#endif
