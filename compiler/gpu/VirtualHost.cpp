//===- VirtualHost.cpp - what virtual devices' code is compiled for -------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/gpu/Gpu.h"
#include "compiler/gpu/Virtual.h"

#include "llvm/TargetParser/Host.h"

#include <mutex>

using namespace llvm;

extern "C" {
void LLVMInitializeX86Target();
void LLVMInitializeX86TargetInfo();
void LLVMInitializeX86TargetMC();
void LLVMInitializeX86AsmPrinter();
void LLVMInitializeAArch64Target();
void LLVMInitializeAArch64TargetInfo();
void LLVMInitializeAArch64TargetMC();
void LLVMInitializeAArch64AsmPrinter();
}

std::unique_ptr<TargetMachine> aicc::gpu::virtualMachine() {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    LLVMInitializeAArch64TargetInfo();
    LLVMInitializeAArch64Target();
    LLVMInitializeAArch64TargetMC();
    LLVMInitializeAArch64AsmPrinter();
  });
  Triple triple(sys::getDefaultTargetTriple());
  return createTargetMachine(triple, triple.isX86() ? "x86-64-v3" : "generic",
                             "", Reloc::PIC_);
}

StringRef aicc::gpu::virtualHost() {
  return Triple(sys::getDefaultTargetTriple()).isX86() ? "x86-64-v3"
                                                       : "aarch64";
}
