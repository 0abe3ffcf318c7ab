//===- EmitIndex.h - index arithmetic of emitted code -----------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An index of emitted code as a linear combination that stays symbolic until
// an address is needed: then lanes that read neighbouring elements are known
// to do so, constant distances end in the displacement of an address, and what
// a loop doesn't change is added outside of it.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_COMPILER_LOWERING_EMITINDEX_H
#define AICC_COMPILER_LOWERING_EMITINDEX_H

#include "mlir/IR/AffineExpr.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Value.h"

namespace aicc::lowering {

/// sum(coefficient * value) + constant + stride * lane [+ lanes]. Values are
/// i64; `lanes` is a vector of i64, an index of its own for every lane.
struct Linear {
  llvm::SmallVector<std::pair<mlir::Value, int64_t>, 3> terms;
  int64_t constant = 0;
  int64_t stride = 0;
  mlir::Value lanes;
  /// The storage goes on past the last lane that counts (packed weights):
  /// reading it needs no mask.
  bool padded = false;

  Linear() = default;
  Linear(int64_t constant) : constant(constant) {}
  static Linear of(mlir::Value value, int64_t coefficient = 1) {
    Linear linear;
    linear.terms.push_back({value, coefficient});
    return linear;
  }

  bool isConstant() const { return terms.empty() && isUniform(); }
  /// The same in every lane.
  bool isUniform() const { return stride == 0 && !lanes; }

  Linear operator+(const Linear &other) const;
  Linear operator*(int64_t factor) const;
  bool operator==(const Linear &other) const;
};

/// Emits index arithmetic on i64 for code of `width` lanes.
class IndexEmitter {
public:
  IndexEmitter(mlir::OpBuilder &builder, mlir::Location loc, unsigned width)
      : b(builder), loc(loc), width(width) {}

  mlir::Value constant(int64_t value);
  /// The index of lane 0, an i64.
  mlir::Value base(const Linear &linear);
  /// A vector of i64 with the index of every lane.
  mlir::Value vector(const Linear &linear);

  Linear multiply(const Linear &a, const Linear &b);
  Linear floorDivide(const Linear &a, const Linear &b);
  Linear ceilDivide(const Linear &a, const Linear &b);
  Linear modulo(const Linear &a, const Linear &b);

  /// An affine expression over `dims` and `symbols`.
  Linear apply(mlir::AffineExpr expr, llvm::ArrayRef<Linear> dims,
               llvm::ArrayRef<Linear> symbols);

private:
  /// a = quotient * divisor + remainder for every lane, if that can be told
  /// from the coefficients alone.
  bool split(const Linear &a, int64_t divisor, Linear &quotient,
             Linear &remainder) const;

  mlir::OpBuilder &b;
  mlir::Location loc;
  unsigned width;
};

} // namespace aicc::lowering

#endif // AICC_COMPILER_LOWERING_EMITINDEX_H
