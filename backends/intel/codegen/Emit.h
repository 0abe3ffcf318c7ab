//===- Emit.h - SPIR-V out of LLVM IR ---------------------------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// LLVM's SPIR-V back end keeps its analysis in a static variable that is not
// cleared between modules: blocks of a later module that lie where an earlier
// one's did get the earlier one's numbers, and the result is invalid now and
// then. It also ends the process where it can't do something. So every module
// is written in a child of this process, which has never run it before.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_BACKENDS_INTEL_CODEGEN_EMIT_H
#define AICC_BACKENDS_INTEL_CODEGEN_EMIT_H

#include "llvm/IR/Module.h"
#include "llvm/Target/TargetMachine.h"

#include <optional>
#include <string>

namespace aicc::backends::intel {

/// The module as SPIR-V, binary or as text. Any thread.
std::optional<std::string> emitSpirv(llvm::Module &module,
                                     llvm::TargetMachine &machine, bool text,
                                     std::string &out_error);

} // namespace aicc::backends::intel

#endif // AICC_BACKENDS_INTEL_CODEGEN_EMIT_H
