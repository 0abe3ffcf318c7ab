//===- Gpu.h - kernels to GPU code, the part all vendors share --*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An `exec.kernel` with a body of `linalg.generic` becomes a `gpu.module` with
// one `llvm.func` that a vendor's conversion can take: its only parameter is
// the packed argument struct (pointers, then 64-bit scalars); its body is
// arith, math, scf, vector, llvm (memory) and gpu (ids, barriers, shuffles).
//
// Nothing here knows a vendor: what differs between them is in Options, which
// their code generators fill. All functions may be called from several threads
// with different kernels.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_COMPILER_GPU_GPU_H
#define AICC_COMPILER_GPU_GPU_H

#include "compiler/gpu/MatrixInstruction.h"
#include "dialects/exec/Exec.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/AffineMap.h"
#include "mlir/Pass/Pass.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Target/TargetMachine.h"

#include <array>
#include <functional>

namespace aicc::gpu {

/// Intrinsics that copy 16 bytes to shared memory while the thread goes on:
/// copy(to, from, bytes that are copied; the others become 0), closing a group
/// of copies, and waiting until all but some groups are done.
struct AsyncCopy {
  llvm::StringRef copy, commit, wait; // empty: there are none
};

/// The memory of a tensor with its end: what is read behind that is 0, and
/// touches nothing. Offsets are i32, in bytes.
struct BufferView {
  /// Views are no longer than that, and an offset of that is outside of all.
  static constexpr int64_t outside = int64_t(1) << 31;
  /// (where it begins, an i64 of bytes), the same for all threads of a
  /// workgroup; null: there are none.
  std::function<mlir::Value(mlir::OpBuilder &, mlir::Location,
                            mlir::Value pointer, mlir::Value bytes)>
      make;
  std::function<mlir::Value(mlir::OpBuilder &, mlir::Location, mlir::Type,
                            mlir::Value view, mlir::Value offset)>
      load;
};

/// Copies to shared memory by all lanes of a subgroup together, which go on
/// beside them: what lane l brings lies at `to` + l * bytes, where `to` is the
/// first lane's.
struct LaneCopy {
  unsigned bytes = 0; // of a lane; 0: there are none
  /// From a place of a view; what is outside of it becomes 0.
  std::function<void(mlir::OpBuilder &, mlir::Location, mlir::Value to,
                     mlir::Value view, mlir::Value offset,
                     mlir::ArrayAttr scopes)>
      copyView;
  /// From anywhere.
  std::function<void(mlir::OpBuilder &, mlir::Location, mlir::Value to,
                     mlir::Value from, mlir::ArrayAttr scopes)>
      copy;
  /// A barrier of the workgroup that waits for all but the subgroup's newest
  /// copies. Others would wait for all of them.
  std::function<void(mlir::OpBuilder &, mlir::Location, unsigned pending)> meet;
};

/// Intrinsics by which a subgroup of 32 lanes reads tiles of 8 lines of 16
/// bytes from shared memory: lane l gives the address of line l % 8 of tile
/// l / 8, and gets of each tile the 4 bytes l % 4 of line l / 4; or, of
/// elements of 2 bytes, four tiles transposed: elements l / 4 of lines 2 * (l %
/// 4) and the next one.
struct MatrixLoad {
  llvm::StringRef two, four; // tiles at once; empty: there are none
  llvm::StringRef transposed;
};

/// Copies of boxes of a tensor to shared memory, by a map of the tensor that
/// the launch provides (aicc/tensors.h). One thread begins them; a counter in
/// shared memory, a word of 64 bits, knows when they are done.
struct BoxCopy {
  /// (to, counter, map, i32 coordinates from the innermost on); null: none.
  std::function<void(mlir::OpBuilder &, mlir::Location, mlir::Value to,
                     mlir::Value counter, mlir::Value map,
                     mlir::ValueRange coordinates)>
      copy;
  /// Intrinsics: (counter, i32 arrivals of a phase); makes that known;
  /// (counter, i32 bytes) arrives and expects so many more bytes, gives an i64;
  /// (counter, i32 parity) whether the phase of that parity is over, an i1.
  llvm::StringRef init, publishInit, expect, tryWait;
};

/// A tensor of which a kernel copies boxes: aicc/tensors.h.
struct BoxedTensor {
  unsigned argument, elementBytes;
  llvm::SmallVector<uint64_t, 5> sizes, strides;
  llvm::SmallVector<uint32_t, 5> box;
};

/// What a vendor decides.
struct Options {
  /// Threads that run in lockstep; a workgroup is `subgroup` x n threads.
  unsigned subgroup = 32;
  /// Threads of a workgroup; a multiple of `subgroup`.
  unsigned workgroup = 256;
  /// Consecutive elements that a thread moves at once, 1 or 4.
  unsigned vector = 4;
  /// Largest register tile of a product, rows and columns of a thread.
  unsigned tile = 8;
  /// Bytes of shared memory that a workgroup may use.
  unsigned sharedBytes = 48 * 1024;
  /// The same for one that wants a processor to itself; 0: no more than others.
  unsigned mostSharedBytes = 0;
  /// What code may have by itself; more than that is asked for at the launch.
  unsigned staticSharedBytes = ~0u;
  /// Matrix instructions, best first; they outlive the options.
  llvm::ArrayRef<MatrixInstruction> matrix;
  /// Threads of a subgroup in kernels that use them; 0: `subgroup`.
  unsigned matrixSubgroup = 0;
  /// Registers of 32 bits of a thread that fragments may fill for as long as a
  /// kernel runs: what the vendor's compiler leaves beside addresses and the
  /// operands under way.
  unsigned fragmentRegisters = 160;
  /// Products of f32 may round their operands to tf32.
  bool allowTf32 = false;
  /// Copies from global to shared memory that go on beside the threads.
  AsyncCopy asyncCopy;
  LaneCopy laneCopy;
  BoxCopy boxCopy;
  MatrixLoad matrixLoad;
  /// Reads that know a tensor's end.
  BufferView view;
  BlockLoads blockLoads;
  /// Reads of shared memory that transpose: of 16 lanes each gives the address
  /// of 4 elements of 16 bits, lane 4 j + i of those 4 i to 4 i + 3 of line j;
  /// lane l gets element l of each of the 4 lines. The last operand are alias
  /// scopes that it doesn't touch. Null: there are none.
  std::function<mlir::Value(mlir::OpBuilder &, mlir::Location, mlir::Type,
                            mlir::Value pointer, mlir::ArrayAttr apart)>
      transposedLoad;
  /// 2^x of an f32 in the hardware, for values that are rounded to 16 bits: off
  /// by 2^-22 of it at most, 0 of minus infinity. Empty: there is none.
  llvm::StringRef power;
  /// Take the position in the subgroup from gpu.lane_id, not from the thread
  /// id (some compilers vectorise over the former only).
  bool laneId = false;
  /// Elements of a row that several threads share may stay in registers from
  /// one reduction to the next, across barriers (some compilers lose them).
  bool keepsRows = true;
  /// What has been computed before a long loop is computed again after it, from
  /// values of which the vendor's compiler can't know that they are the same
  /// (it would rather spill it).
  bool computesAgain = false;
  /// Address space and attribute of the argument struct's pointer.
  unsigned argumentSpace = 0;
  llvm::StringRef argumentAttribute = "llvm.byval";
  /// Adds the attributes that make the function a kernel with the given
  /// number of threads; x is a subgroup.
  std::function<void(mlir::LLVM::LLVMFuncOp, std::array<unsigned, 3>)> finish;
  /// Says of such a function that one workgroup may have a processor's
  /// registers to itself, where the vendor's compiler would rather spill a few.
  std::function<void(mlir::LLVM::LLVMFuncOp)> takeRegisters;

  unsigned matrixLanes() const {
    return matrixSubgroup ? matrixSubgroup : subgroup;
  }
};

/// A kernel in the intermediate form.
struct Lowered {
  mlir::gpu::GPUModuleOp module;
  mlir::LLVM::LLVMFuncOp function;
  mlir::AffineMap grid;    // three expressions over the symbols
  mlir::AffineMap scratch; // always 0
  std::array<unsigned, 3> workgroup = {1, 1, 1};
  unsigned subgroup = 0; // threads
  unsigned sharedBytes = 0;
  bool shuffles = false; // the function uses gpu.shuffle
};

/// Adds the dialects that the functions below use.
void registerDialects(mlir::DialectRegistry &registry);

/// Puts the gpu.module beside the kernel; errors are diagnostics on the kernel.
mlir::LogicalResult lowerKernel(exec::KernelOp kernel, const Options &options,
                                Lowered &out_lowered);

/// Mathematics, canonicalisation and everything before the vendor's conversion
/// of `gpu` operations: leaves arith, cf, vector, llvm and gpu.
mlir::LogicalResult prepareModule(mlir::gpu::GPUModuleOp module);

/// A machine that contracts no floating-point operations by itself; null if
/// this build of LLVM has no such target. The backend has initialised it.
std::unique_ptr<llvm::TargetMachine> createTargetMachine(
    const llvm::Triple &triple, llvm::StringRef cpu = "",
    llvm::StringRef features = "",
    std::optional<llvm::Reloc::Model> relocation = std::nullopt);

/// LLVM IR for `machine` out of a module of the llvm dialect, optimised;
/// `without` names classes of passes that are left out.
std::unique_ptr<llvm::Module>
translateModule(mlir::gpu::GPUModuleOp module, llvm::LLVMContext &context,
                llvm::TargetMachine &machine,
                llvm::ArrayRef<llvm::StringRef> without = {});

/// Workgroup memory as one piece, which begins where the launch provides it;
/// returns its size.
unsigned makeSharedDynamic(llvm::Module &module);

/// The object file or assembly of an optimised module.
std::string emitFile(llvm::Module &module, llvm::TargetMachine &machine,
                     llvm::CodeGenFileType type);

/// --aicc-lower-to-gpu: lowers all kernels of a module, for tests.
std::unique_ptr<mlir::Pass> createLowerToGpuPass();
void registerGpuPasses();

} // namespace aicc::gpu

#endif // AICC_COMPILER_GPU_GPU_H
