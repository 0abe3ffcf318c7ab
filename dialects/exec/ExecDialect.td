//===- ExecDialect.td - kernels and the program that launches them --------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef AICC_DIALECTS_EXEC_DIALECT_TD
#define AICC_DIALECTS_EXEC_DIALECT_TD

include "mlir/IR/OpBase.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"

def Exec_Dialect : Dialect {
  let name = "exec";
  let cppNamespace = "::aicc::exec";
  let summary = "Kernels and the program that launches them";
  let description = [{
    An `exec.kernel` is one launch's worth of work on one device; an
    `exec.program` is the schedule: which kernels run on which values, in what
    order. Until `schedule` values are tensors; `schedule` gives every value a
    buffer (lifetime, alias, place in the arena) by attributes.
  }];
}

class Exec_Op<string mnemonic, list<Trait> traits = []>
    : Op<Exec_Dialect, mnemonic, traits>;

#endif
