//===- ChipDriver.cpp - the chip's virtual device, as a plug-in -----------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Virtual devices run what the compiler made, whoever's code it was: only the
// family has another name. Loaded by AICC_DRIVER_PATH.
//
//===----------------------------------------------------------------------===//

#include "aicc/driver.h"
#include "aicc/runtime.h"

extern "C" const aicc_driver *aicc_driver_virtual_cuda(void);

extern "C" __attribute__((visibility("default"))) const aicc_driver *
aicc_driver_get(uint32_t version) {
  if (version != AICC_DRIVER_VERSION)
    return nullptr;
  static const aicc_driver table = [] {
    aicc_driver t = *aicc_driver_virtual_cuda();
    t.family = "chip:virtual";
    return t;
  }();
  return &table;
}
