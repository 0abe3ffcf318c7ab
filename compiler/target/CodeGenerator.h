//===- CodeGenerator.h - what a backend gives the compiler ------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A code generator turns lowered kernels (`exec.kernel` with a body of
// `linalg.generic`) into machine code for one family of targets. Generators
// are created by the registry that CMake writes from the folders found
// (compiler/target/Registry.h), live as long as the process, and may be called
// from several threads at once with different kernels.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_COMPILER_TARGET_CODEGENERATOR_H
#define AICC_COMPILER_TARGET_CODEGENERATOR_H

#include "dialects/exec/Exec.h"

#include "mlir/IR/AffineMap.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/Support/LLVM.h"
#include "llvm/Support/JSON.h"

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace llvm {
class Module;
}

namespace aicc::target {

/// The numbers of one chip: everything a decision may depend on. Adding a chip
/// is adding a record to its backend's table.
struct TargetRecord {
  std::string family;                // "cpu"
  std::string chip;                  // "x86-64-v4"; unique within the family
  std::vector<std::string> required; // features a device must have

  // What the `kernels` stage asks.
  bool channelsLast = true; // convolutions and pooling on [N, spatial, C]
  unsigned weightPanel = 0; // columns per panel of packed weights, 0 = as given
  bool wideOperands = false; // products read activations of 16 bits as f32
  /// Floats of eight bits that products multiply as they are, by the names of
  /// their types; others are multiplied as f16, or f32 if `wideOperands`.
  std::vector<std::string> floats8;
  bool fusedAttention = false; // products around a softmax are one kernel
  unsigned processors = 0; // that share out a product's depth; 0: it isn't
  bool hostFunctions = false; // its programs may call functions of the host

  // CPU: for code generation. Bits and counts.
  std::string triple;   // LLVM target triple
  std::string cpu;      // LLVM CPU name
  std::string features; // LLVM feature string
  unsigned vectorBits = 0;
  unsigned vectorRegisters = 0;
  unsigned tileRows = 0;    // register tile of a product: rows …
  unsigned tileVectors = 0; // … by vectors
  unsigned l1Bytes = 0, l2Bytes = 0;

  // GPU: threads and bytes.
  unsigned subgroup = 0;
  unsigned maxWorkgroup = 0;
  unsigned sharedBytes = 0;
  /// Products of f32 may round their operands to tf32: the user's choice, not
  /// the chip's.
  bool allowTf32 = false;

  /// "cpu:x86-64-v4"
  std::string name() const { return family + ":" + chip; }
};

/// One compiled kernel.
struct KernelCode {
  std::string entry;    // symbol in the object
  std::string object;   // relocatable object or module text, the backend's own
  std::string assembly; // for people; empty unless asked for
  /// Number of workgroups in x, y, z: three expressions over the module's
  /// symbols.
  mlir::AffineMap grid;
  /// Bytes of private scratch per workgroup: one expression over the symbols.
  mlir::AffineMap scratch;
  std::array<unsigned, 3> workgroup = {1, 1, 1}; // threads
  unsigned sharedBytes = 0;
  unsigned subgroup = 0;
};

/// One object of the package and its format ("elf-so", "ptx", "hsaco",
/// "spirv").
struct ObjectFile {
  std::string format;
  std::string chip;
  std::string bytes;
};

struct CodeOptions {
  bool assembly = false; // fill KernelCode::assembly
  /// Sees, and may change, a GPU kernel's LLVM IR before the back end does.
  std::function<void(llvm::Module &)> beforeEmission = {};
};

class CodeGenerator {
public:
  virtual ~CodeGenerator() = default;

  virtual llvm::StringRef family() const = 0;

  /// Adds the dialects and translation interfaces that `compile` uses.
  virtual void registerDialects(mlir::DialectRegistry &registry) const = 0;

  /// The records that `family[:chip]` stands for, the most capable first; an
  /// empty `chip` means the default set. Fails with a message that lists the
  /// chips known.
  virtual mlir::LogicalResult resolve(llvm::StringRef chip,
                                      std::vector<TargetRecord> &out_records,
                                      std::string &out_error) const = 0;

  /// Compiles one kernel, the only one in its own module (which the call may
  /// change at will). Errors are reported as diagnostics on the kernel.
  virtual mlir::LogicalResult compile(exec::KernelOp kernel,
                                      const TargetRecord &record,
                                      const CodeOptions &options,
                                      KernelCode &out_code) const = 0;

  /// Joins kernels into the objects of a variant: `out_index[i]` is the object
  /// that holds kernel i.
  virtual mlir::LogicalResult link(llvm::ArrayRef<const KernelCode *> kernels,
                                   const TargetRecord &record,
                                   std::vector<ObjectFile> &out_objects,
                                   std::vector<unsigned> &out_index,
                                   std::string &out_error) const = 0;

  /// The chip's matrix instructions, best first, as objects with name, shape,
  /// types and where each element lies. For people and tests.
  virtual llvm::json::Array matrixInstructions(const TargetRecord &) const {
    return {};
  }

  /// What a compiled kernel takes of the chip (registers, spills, memory), by
  /// the family's own names; empty where no object says it.
  virtual std::vector<std::pair<std::string, int64_t>>
  resources(const KernelCode &code) const {
    return {};
  }

  /// File name ending of KernelCode::assembly, e.g. "s" or "ptx".
  virtual llvm::StringRef assemblySuffix(const TargetRecord &record) const = 0;
};

} // namespace aicc::target

#endif // AICC_COMPILER_TARGET_CODEGENERATOR_H
