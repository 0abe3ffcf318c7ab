//===- StreamDriver.h - the runtime's table over a vendor -------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef AICC_BACKENDS_COMMON_DRIVER_STREAMDRIVER_H
#define AICC_BACKENDS_COMMON_DRIVER_STREAMDRIVER_H

#include "Vendor.h"

namespace aicc::backends::common {

int deviceCount(Vendor &vendor, bool virtualDevices, uint32_t *out);
int deviceOpen(Vendor &vendor, bool virtualDevices, uint32_t index,
               aicc_driver_device **out);

/// A table whose functions know their vendor from the handles; only counting
/// and opening devices are the caller's.
aicc_driver makeTable(const char *family, const char *name,
                      int (*count)(uint32_t *),
                      int (*open)(uint32_t, aicc_driver_device **));

} // namespace aicc::backends::common

#endif // AICC_BACKENDS_COMMON_DRIVER_STREAMDRIVER_H
