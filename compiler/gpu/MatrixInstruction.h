//===- MatrixInstruction.h - one row per matrix instruction -----*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// d = c + a * b by all lanes of a subgroup. What an instruction is lies in a
// row: its shape, its types, where in the subgroup each element lives, and how
// it is called. Vendors keep tables of rows; the lowering and the virtual
// device read nothing else.
//
// Layouts are linear over bits, as in CuTe, Triton and IREE: an element's place
// is the sum of one basis for each bit that is set in the lane's number and one
// for each bit set in the element's number in the lane's fragment. The bases
// are disjoint bits, so that sums, unions and exclusive ors are the same.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_COMPILER_GPU_MATRIXINSTRUCTION_H
#define AICC_COMPILER_GPU_MATRIXINSTRUCTION_H

#include "mlir/IR/Builders.h"

#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"

#include <optional>
#include <string>

namespace aicc::gpu {

/// A step in a matrix. `line` counts rows of a and of the result, and columns
/// of b; `place` is the position in the line: depth for a and b, the column
/// for the result.
struct Basis {
  unsigned line = 0, place = 0;
};

struct FragmentLayout {
  llvm::SmallVector<Basis, 8> lanes; // 0, 0: lanes that differ in it are equal
  llvm::SmallVector<Basis, 8> elements;

  unsigned count() const { return 1u << elements.size(); }
  /// Where an element of a lane's fragment is.
  Basis at(unsigned lane, unsigned element) const;
};

enum class MatrixType {
  f16,
  bf16,
  tf32,
  f32,
  f64,
  i8,
  i32,
  // Kernels hold these as the bits of an i8.
  f8E4M3FN,
  f8E5M2,
  f8E4M3FNUZ,
  f8E5M2FNUZ
};

llvm::StringRef toString(MatrixType type);
bool isFloat8(MatrixType type);
/// Bytes of an element as it lies in memory and in fragments.
unsigned elementBytes(MatrixType type);
/// Whether tensors of that element may be its operands.
bool isOperand(MatrixType type, mlir::Type element);

/// A fragment as the operands of a call: `count` values of equal size, each a
/// vector (or scalar) of elements, or the same bits as integers.
struct Pieces {
  unsigned count = 1;
  unsigned integerBits = 0; // 0: elements themselves
};

/// An instruction of several subgroups that works beside them: it takes a and b
/// from workgroup memory, and the sums stay its own until they are waited for.
///
/// In memory a slice of an operand is made of lines of `lineBytes`, eight of
/// them a block that begins at a multiple of its size; chunk c (of 16 bytes) of
/// line x lies at place c ^ (x % 8). A line of memory is a line of the operand,
/// or, if the operand may lie `across`, neighbouring lines of it at one depth.
///
/// A descriptor says where: a word of 64 bits with three fields in units of 16
/// bytes. `start`: where it begins. `stride`: from one block to the next, along
/// lines (or depth, if it lies across). `leading`: across, from the lines that
/// fit in a line of memory to the next ones.
struct AsyncMatrix {
  unsigned lineBytes = 128;
  bool across = false;
  /// Lowest bits of the descriptor's fields, and what all other bits are.
  unsigned start = 0, leading = 0, stride = 0;
  uint64_t format = 0;
  /// Inline assembly. Operands: the elements of c, tied to the results, the
  /// descriptors of a and b, and, if there is `across`, for each of them an
  /// i32 that tells whether it does.
  std::string assembly, constraints;
  /// The same for c alone: gives the sums back when nothing is under way.
  std::string finish, finishConstraints;
  /// Intrinsics: makes what the thread wrote to workgroup memory visible to the
  /// instruction; orders it behind what threads did to its sums; closes a group
  /// of instructions; waits until all but some groups (i64) are done.
  llvm::StringRef publish, fence, commit, wait;
};

struct MatrixInstruction {
  llvm::StringRef name; // how it is called in the vendor's assembly
  unsigned rows, columns, depth;
  MatrixType operand, result;
  FragmentLayout a, b, c;
  /// An intrinsic of LLVM ("llvm.") or a built-in function.
  llvm::StringRef callee;
  Pieces aPieces, bPieces, cPieces;
  /// Order of the call's operands: a, b, c; 0 = i32 zero; t, f = i1.
  llvm::StringRef operands = "abc";
  /// The row stands for so many calls, one after the other: each takes an equal
  /// part of a lane's elements of a and b. So lanes hold neighbours in depth,
  /// which they read at once, also of an instruction that takes one element.
  unsigned calls = 1;
  /// Set: it isn't called like that, and a and b have no layout.
  std::optional<AsyncMatrix> async = std::nullopt;

  /// Of all subgroups that execute it together.
  unsigned lanes() const { return 1u << c.lanes.size(); }
  bool isCallee(llvm::StringRef function) const;
};

/// The row of one of the calls. Which of the depth each takes doesn't matter:
/// all of it is summed.
MatrixInstruction ofOneCall(const MatrixInstruction &row);

/// A built-in function by which a subgroup reads a block of a matrix in global
/// memory into registers: (begin of the matrix, i32 bytes of a line, i32 lines,
/// i32 bytes from a line to the next, <2 x i32> first place and line of the
/// block, private memory that gets the lane's elements). What lies outside of
/// the matrix is 0.
struct BlockLoad {
  llvm::StringRef callee;
  /// The same without the last operand: has the block brought nearer.
  llvm::StringRef prefetch;
  unsigned elementBytes;
  unsigned placeBytes;   // the unit in which places count
  unsigned wordBytes;    // of the private memory
  FragmentLayout layout; // lines are those of memory
};

/// Of all of them: bytes of which the begin of a matrix and the way from line
/// to line are multiples, and bounds of a line's bytes; there are as many lines
/// at most as a line may have bytes.
struct BlockLoads {
  llvm::ArrayRef<BlockLoad> rows; // largest blocks first
  unsigned beginAlign = 64, pitchAlign = 16, widthAlign = 4;
  unsigned shortest = 64, longest = 1 << 24;
};

/// `c + a * b`: fragments are vectors of all elements of a lane; elements of
/// bf16 are 16-bit integers.
mlir::Value emitMatrixInstruction(mlir::OpBuilder &b, mlir::Location loc,
                                  const MatrixInstruction &instruction,
                                  mlir::Value a, mlir::Value bFragment,
                                  mlir::Value c);

/// The same by an instruction that works beside the threads: `a` and
/// `bDescriptor` are descriptors, `sums` the elements of c, which must not be
/// touched until `finishAsync` has given them back.
llvm::SmallVector<mlir::Value>
emitAsyncMatrix(mlir::OpBuilder &b, mlir::Location loc,
                const MatrixInstruction &instruction, mlir::Value a,
                mlir::Value bDescriptor, bool aAcross, bool bAcross,
                llvm::ArrayRef<mlir::Value> sums);
llvm::SmallVector<mlir::Value> finishAsync(mlir::OpBuilder &b,
                                           mlir::Location loc,
                                           const MatrixInstruction &instruction,
                                           llvm::ArrayRef<mlir::Value> sums);

/// Calls a built-in function, which is declared once in the module; null if it
/// returns nothing.
mlir::Value callBuiltin(mlir::OpBuilder &b, mlir::Location loc,
                        llvm::StringRef name, mlir::Type result,
                        llvm::ArrayRef<mlir::Value> operands);

/// Bases 1, 2, 4, ... below `end`, times `first`, along a line or across.
llvm::SmallVector<Basis, 8> alongLine(unsigned first, unsigned end);
llvm::SmallVector<Basis, 8> acrossLines(unsigned first, unsigned end);
llvm::SmallVector<Basis, 8>
joined(std::initializer_list<llvm::SmallVector<Basis, 8>> parts);

} // namespace aicc::gpu

#endif // AICC_COMPILER_GPU_MATRIXINSTRUCTION_H
