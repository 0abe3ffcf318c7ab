//===- FakeModule.cpp - the driver for tests as an outside driver ---------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "FakeDriver.h"

extern "C" __attribute__((visibility("default"))) const aicc_driver *
aicc_driver_get(uint32_t runtimeVersion) {
  return runtimeVersion == AICC_DRIVER_VERSION
             ? aicc::testing::FakeDevice::table()
             : nullptr;
}
