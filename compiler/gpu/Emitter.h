//===- Emitter.h - the value of a tensor at an index ------------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Writes the scalar code of one thread. "The value of tensor T at index I" is
// computed by recursion through elementwise generics (which so are fused
// without any pattern) down to loads of kernel arguments; a reduction on the
// way is a serial loop unless its value has been provided (`provide`).
//
// Code is only ever appended, so a value is usable wherever its block encloses
// the current one; equal index arithmetic is made once.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_COMPILER_GPU_EMITTER_H
#define AICC_COMPILER_GPU_EMITTER_H

#include "compiler/gpu/Gpu.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"

#include <map>

namespace aicc::gpu {

using mlir::AffineExpr;
using mlir::ArrayRef;
using mlir::SmallVector;
using mlir::Value;

/// Sizes of a tensor's dimensions, of a generic's loops, as expressions over
/// symbols; a null expression where one isn't known.
SmallVector<AffineExpr> dimsOf(exec::KernelOp kernel, Value tensor);
SmallVector<AffineExpr> loopsOf(exec::KernelOp kernel,
                                mlir::linalg::GenericOp generic);

/// A generic's body being evaluated at one point of its loops.
struct Point {
  mlir::linalg::GenericOp generic;
  SmallVector<Value> loops;
  mlir::IRMapping map; // values of the body already evaluated
};

class Emitter {
public:
  /// Makes the function, its arguments and symbols; code goes to its end.
  Emitter(exec::KernelOp kernel, const Options &options);

  exec::KernelOp kernel;
  const Options &options;
  mlir::OpBuilder b;
  mlir::Location loc;
  mlir::gpu::GPUModuleOp module;
  mlir::LLVM::LLVMFuncOp function;
  unsigned sharedBytes = 0;
  /// Those whose maps the kernel has been given.
  SmallVector<BoxedTensor> tensors;
  bool shuffles = false;
  bool failed = false;

  // Threads: `lane` < subgroup, `group` = subgroup's number in the workgroup.
  Value lane, group, block;
  /// (id mod size, id div size) for the thread's number in the workgroup.
  std::pair<Value, Value> splitThread(unsigned size);

  // Index arithmetic, folded and made once.
  Value constant(int64_t value);
  Value add(Value x, Value y);
  Value mul(Value x, Value y);
  Value div(Value x, Value y); // of numbers that aren't negative
  Value rem(Value x, Value y);
  Value less(Value x, Value y); // i1, unsigned
  Value select(Value condition, Value x, Value y);
  /// The value of an expression; `dims` for its dimensions.
  Value apply(AffineExpr expr, ArrayRef<Value> dims = {});
  /// Splits a number into an index, first dimension slowest.
  SmallVector<Value> delinearize(Value linear, ArrayRef<AffineExpr> sizes);
  std::optional<int64_t> constantOf(Value value);

  // Tensors.
  Value value(Value tensor, ArrayRef<Value> index);
  /// A value of the body of a generic.
  Value evaluate(Point &point, Value inBody);
  Value pointer(Value tensor, Value pointer, ArrayRef<AffineExpr> dims,
                ArrayRef<Value> index);
  /// Where an element of an argument lies.
  Value address(mlir::BlockArgument argument, ArrayRef<Value> index);
  /// The same as bytes from its begin, an i32.
  Value offset(mlir::BlockArgument argument, ArrayRef<Value> index);
  Value result(unsigned number, ArrayRef<Value> index);
  void store(unsigned number, ArrayRef<Value> index, Value value);
  /// What a result's memory holds at the moment.
  Value stored(unsigned number, ArrayRef<Value> index);
  /// From now on the tensor has this value wherever it is asked for.
  void provide(Value tensor, Value value) { provided[tensor] = value; }
  void withdraw(Value tensor) { provided.erase(tensor); }
  /// Values of bodies in whose place others of the same bodies are taken.
  llvm::DenseMap<Value, Value> instead;
  /// Exponentials in f32 that may be as exact as `Options::power`.
  llvm::DenseSet<mlir::Operation *> rounded;
  /// The loops that compute a result at an index; reduction loops are 0.
  SmallVector<Value> loopsAt(mlir::linalg::GenericOp generic, unsigned result,
                             ArrayRef<Value> index);
  SmallVector<Value> reduceSerially(mlir::linalg::GenericOp generic,
                                    ArrayRef<Value> resultIndex);
  /// The accumulators' initial values at an index of the result.
  SmallVector<Value> initials(mlir::linalg::GenericOp generic,
                              ArrayRef<Value> resultIndex);
  /// What the body yields, its accumulators being `accumulators`.
  SmallVector<Value> yields(mlir::linalg::GenericOp generic,
                            ArrayRef<Value> loops,
                            ArrayRef<Value> accumulators);

  // Shared memory and structure.
  Value shared(mlir::Type element, int64_t count, llvm::StringRef name,
               unsigned align = 16);
  Value sharedPointer(Value base, mlir::Type element, Value index);
  Value load(mlir::Type type, Value pointer, unsigned align);
  void store(Value value, Value pointer, unsigned align);
  void barrier();
  /// The map of a tensor that is added to `tensors`.
  Value tensorMap(BoxedTensor tensor);
  /// Until the phase of a counter (of BoxCopy) that has the parity is over.
  void awaitPhase(Value counter, Value parity);
  /// Calls an intrinsic of LLVM; `type` may be null.
  Value intrinsic(llvm::StringRef name, mlir::Type type,
                  ArrayRef<Value> operands);
  Value constant32(int32_t value);
  Value
  loop(Value lower, Value upper, Value step, ArrayRef<Value> inits,
       llvm::function_ref<SmallVector<Value>(Value, ArrayRef<Value>)> body,
       SmallVector<Value> *out_results = nullptr);
  /// `then` under a condition; null = always.
  void guarded(Value condition, llvm::function_ref<void()> then);

  mlir::InFlightDiagnostic error();

private:
  enum class Kind { constant, add, mul, div, rem, less, value, affine };
  using Key = std::vector<const void *>;
  Value cached(const Key &key);
  Value remember(const Key &key, Value value);
  template <typename Op> Value binary(Kind kind, Value x, Value y);
  Value resultPointer(unsigned number, ArrayRef<Value> index);
  Value loadArgument(mlir::BlockArgument argument, ArrayRef<Value> index);
  Value loadConstant(mlir::arith::ConstantOp op, ArrayRef<Value> index);
  Value linearize(ArrayRef<AffineExpr> dims, ArrayRef<Value> index);

  struct Split { // a number that has been delinearised
    SmallVector<Value> index;
    SmallVector<AffineExpr> sizes;
    Value linear;
  };
  std::vector<Split> splits;
  std::map<Key, Value> cache;
  llvm::DenseMap<Value, Value> provided;
  SmallVector<Value> pointers; // arguments, then results
  llvm::DenseMap<int64_t, Value> symbols;
  std::map<const void *, mlir::LLVM::GlobalOp> tables;
  mlir::Operation *lastConstant = nullptr;
};

/// The element as it lies in memory: i1 is a byte, and signs are dropped.
mlir::Type storageType(mlir::Type element);
/// Elements between neighbours of each dimension.
SmallVector<AffineExpr> stridesOf(ArrayRef<AffineExpr> dims,
                                  mlir::MLIRContext *context);

} // namespace aicc::gpu

#endif // AICC_COMPILER_GPU_EMITTER_H
