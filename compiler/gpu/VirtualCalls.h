//===- VirtualCalls.h - some vendors' intrinsics on the CPU -----*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Part of Virtual.cpp: what intrinsics become that exchange lanes in patterns,
// that read memory through a descriptor of its end (gpu::BufferView), and by
// which a subgroup copies to workgroup memory together (gpu::LaneCopy).
//
//===----------------------------------------------------------------------===//

#ifndef AICC_COMPILER_GPU_VIRTUALCALLS_H
#define AICC_COMPILER_GPU_VIRTUALCALLS_H

#include "compiler/gpu/Virtual.h"

#include "llvm/IR/IRBuilder.h"

namespace aicc::gpu {

/// What it takes to write code in a kernel that is being made.
class VirtualCode {
public:
  explicit VirtualCode(llvm::LLVMContext &context) : b(context) {}
  virtual ~VirtualCode() = default;

  llvm::IRBuilder<> b;
  llvm::Value *self = nullptr; // the thread

  virtual llvm::Value *service(size_t offset, llvm::Type *result,
                               llvm::ArrayRef<llvm::Value *> values) = 0;
  /// Asks before memory is read; flags as in aicc/virtual.h.
  virtual void reads(llvm::CallBase &call, llvm::Value *address,
                     llvm::Value *bytes, uint32_t align, uint32_t flags) = 0;
  /// The value of another lane; all of the subgroup take part.
  virtual llvm::Value *ofLane(llvm::CallBase &call, llvm::Value *value,
                              llvm::Value *lane) = 0;
  virtual llvm::Value *site(llvm::CallBase &call) = 0;
  /// Memory of the function, outside of its loops.
  virtual llvm::Value *temporary(uint64_t bytes) = 0;
  virtual llvm::Value *plainPointer(llvm::Value *address) = 0;
};

/// Writes before a call what it means; false if it is of an unknown form.
bool replaceCall(llvm::CallBase &call, Meaning meaning, VirtualCode &code,
                 llvm::Value *&result);

/// The host's code for vectors of bf16 may call a function that rounds to it,
/// which its C library need not have: defines it.
void defineRounding(llvm::Module &module);

} // namespace aicc::gpu

#endif // AICC_COMPILER_GPU_VIRTUALCALLS_H
