//===- Emit.h - code for the elements of a kernel's tensors -----*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A lowered kernel is a graph of `linalg.generic` on tensors. The emitter
// answers one question about it: which code computes the value of tensor T at
// index I? Elementwise producers are inlined by recursion, so that fusion
// needs no patterns and no intermediate tensors; a reduction becomes a loop
// nest, or, where a strategy has computed it already, the value it registered.
//
// A value is a scalar where all lanes agree, else a vector of `width` lanes.
// With width 1 everything is scalar: that is the form for one GPU thread.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_COMPILER_LOWERING_EMIT_H
#define AICC_COMPILER_LOWERING_EMIT_H

#include "compiler/lowering/EmitIndex.h"
#include "dialects/exec/Exec.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

#include <functional>
#include <vector>

namespace aicc::lowering {

using IndexVector = llvm::SmallVector<Linear, 6>;

/// One point (or, with lanes, `width` neighbouring points) of an iteration
/// space. Lanes beyond `mask` (a vector of i1, or null for all) don't count.
struct Position {
  IndexVector index;
  mlir::Value mask;
};

/// Where a tensor lies: a pointer and its row-major dimensions, expressions
/// over the module's symbols.
struct Memory {
  mlir::Value pointer;
  llvm::SmallVector<mlir::AffineExpr> dims;
  mlir::Type element;
};

class Emitter {
public:
  /// Emits at `builder`'s insertion point. `pointers` are the kernel's buffers
  /// (arguments, then results); `symbols` maps a symbol's number to its i64.
  Emitter(exec::KernelOp kernel, mlir::OpBuilder &builder, unsigned width,
          mlir::ValueRange pointers,
          const llvm::DenseMap<int64_t, mlir::Value> &symbols,
          unsigned addressSpace = 0);

  exec::KernelOp kernel;
  mlir::OpBuilder &b;
  mlir::Location loc;
  unsigned width;
  IndexEmitter index;

  // -- The kernel's tensors ------------------------------------------------
  unsigned numResults();
  mlir::Value result(unsigned i);
  Memory &resultMemory(unsigned i) { return results[i]; }

  /// The size of every loop of a generic, as expressions over the symbols.
  llvm::SmallVector<mlir::AffineExpr> loopSizes(mlir::linalg::GenericOp op);
  llvm::SmallVector<mlir::AffineExpr> dims(mlir::Value tensor);
  /// An expression over the symbols as an index of emitted code.
  Linear size(mlir::AffineExpr expr);

  // -- Values --------------------------------------------------------------
  /// The value of `tensor` at `position`.
  mlir::Value at(mlir::Value tensor, const Position &position);
  /// The iteration of a generic that computes `index` of its result `r`.
  IndexVector iterationOf(mlir::linalg::GenericOp op, unsigned r,
                          llvm::ArrayRef<Linear> index);
  /// Where iteration `iteration` of a generic reads or writes operand `n`.
  IndexVector access(mlir::linalg::GenericOp op, unsigned n,
                     llvm::ArrayRef<Linear> iteration);
  /// The body of a generic at one iteration; `accumulators` stand for its
  /// output arguments.
  llvm::SmallVector<mlir::Value> body(mlir::linalg::GenericOp op,
                                      const Position &iteration,
                                      mlir::ValueRange accumulators);

  /// Computes a reduction at several positions of its parallel loops at once,
  /// sharing operands that they have in common: a register tile. `innermost`
  /// iterations of the innermost loop are unrolled. Returns for each position
  /// the values of all results.
  llvm::SmallVector<llvm::SmallVector<mlir::Value>>
  reduce(mlir::linalg::GenericOp op, llvm::ArrayRef<Position> positions,
         unsigned innermost = 1);

  /// A reduction whose innermost loop runs along the lanes, `unroll` vectors
  /// at a time; the result is one scalar. The kind must be known to
  /// `combinerOf`.
  mlir::Value reduceLanes(mlir::linalg::GenericOp op, const Position &position,
                          unsigned unroll);
  /// The operation that joins two partial results of a reduction, or null.
  static mlir::Operation *combinerOf(mlir::linalg::GenericOp op);

  /// What the combiner of a scatter makes of an element and an update.
  mlir::Value combine(exec::ScatterOp op, mlir::Value old, mlir::Value update);

  /// Makes `at` return `value` for a tensor, whatever the index: the strategy
  /// vouches that it is only read where the value holds.
  void setValue(mlir::Value tensor, mlir::Value value);
  void clearValue(mlir::Value tensor) { fixed.erase(tensor); }

  /// While set, `at` also writes what it computes of `tensor` to `memory`
  /// (`reads` false), or reads it from there instead of computing it again.
  void setStored(mlir::Value tensor, const Memory &memory, bool reads);
  void clearStored(mlir::Value tensor) { stored.erase(tensor); }

  /// Vector loads of `tensor` also fetch what lies `bytes` further on, into the
  /// cache level `locality` says (3: L1, 2: L2); 0 bytes ends that.
  void setPrefetch(mlir::Value tensor, int64_t bytes, unsigned locality);

  /// Writes `value` to a result.
  void store(const Memory &memory, mlir::Value value, const Position &position);
  mlir::Value load(const Memory &memory, const Position &position);

  /// Lanes that count in code emitted from here on; fewer than `width` in the
  /// masked end of a row. Lets comparisons of indices be decided.
  void setValidLanes(unsigned count) { validLanes = count; }

  // -- Control flow --------------------------------------------------------
  /// for (i = lower; i < upper; i += step) body(i), with carried values.
  llvm::SmallVector<mlir::Value>
  loop(const Linear &lower, const Linear &upper, int64_t step,
       mlir::ValueRange inits,
       llvm::function_ref<llvm::SmallVector<mlir::Value>(Linear,
                                                         mlir::ValueRange)>
           body);
  /// The same without carried values.
  void loop(const Linear &lower, const Linear &upper, int64_t step,
            llvm::function_ref<void(Linear)> body);
  /// Splits a row-major index into one per dimension.
  IndexVector delinearize(const Linear &linear,
                          llvm::ArrayRef<mlir::AffineExpr> dims);
  mlir::Value minimum(const Linear &x, const Linear &y);
  /// Lanes below `count`.
  mlir::Value laneMask(const Linear &count);
  /// As a vector, if it isn't one.
  mlir::Value splat(mlir::Value value);

  /// Values read in the current block are remembered until this is undone.
  struct Scope {
    Scope(Emitter &emitter) : emitter(emitter) { emitter.cache.emplace_back(); }
    ~Scope() { emitter.cache.pop_back(); }
    Emitter &emitter;
  };

private:
  struct Cached {
    mlir::Value tensor;
    IndexVector index;
    mlir::Value mask;
    mlir::Value value;
  };
  struct BodyState;

  mlir::Value evaluate(mlir::Value value, BodyState &state);
  std::optional<Linear> evaluateIndex(mlir::Value value, BodyState &state);
  mlir::Value outside(mlir::Value value);
  mlir::Value clone(mlir::Operation *op, mlir::ValueRange operands,
                    unsigned result);
  Linear linearIndex(mlir::Value value);
  Linear address(const Memory &memory, llvm::ArrayRef<Linear> index);
  mlir::Value element(const Memory &memory, mlir::Value lane0);
  mlir::Value combine(mlir::Operation *combiner, mlir::Value x, mlir::Value y);
  mlir::AffineExpr exprOf(mlir::Value value);
  /// The values that an index takes in lanes that count, if known.
  std::optional<std::pair<int64_t, int64_t>> rangeOf(const Linear &linear);
  std::optional<bool> decide(mlir::arith::CmpIOp op, BodyState &state);
  Memory constantMemory(mlir::arith::ConstantOp op);

  unsigned addressSpace;
  unsigned validLanes;
  /// First and last value of loop counters with constant bounds.
  llvm::DenseMap<mlir::Value, std::pair<int64_t, int64_t>> ranges;
  llvm::DenseMap<int64_t, mlir::Value> symbols;
  llvm::DenseMap<mlir::Value, Memory> memory;
  llvm::SmallVector<Memory> results;
  llvm::DenseMap<mlir::Value, std::pair<int64_t, unsigned>> prefetches;
  llvm::DenseMap<mlir::Value, std::pair<Memory, bool>> stored;
  llvm::DenseMap<mlir::Value, mlir::Value> fixed;
  std::vector<std::vector<Cached>> cache;
};

} // namespace aicc::lowering

#endif // AICC_COMPILER_LOWERING_EMIT_H
