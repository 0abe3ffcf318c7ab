//===- Binding.h - a program with its symbols bound -----------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef AICC_RUNTIME_EXECUTOR_BINDING_H
#define AICC_RUNTIME_EXECUTOR_BINDING_H

#include "runtime/core/Status.h"
#include "runtime/executor/FlatProgram.h"

namespace aicc::executor {

// Everything that follows from the shapes of the inputs. What follows from
// symbols that the program binds is 0 or empty here. Immutable, and shared by
// the runs that have them.
struct Binding {
  std::vector<int64_t> key; // the inputs' dimensions, one after the other
  std::vector<int64_t> symbols;
  std::vector<int64_t> exprs; // of the variant
  // Of the package, where a run needs them, and which of them have no value.
  std::vector<int64_t> portExprs;
  std::vector<bool> portFailed;
  std::vector<uint64_t> bufferBytes;  // of the variant's buffers
  std::vector<uint64_t> arenaOffsets; // of temporaries, through their roots
  std::vector<uint64_t> arenaBytes;   // of each device
  std::vector<std::vector<int64_t>> outputDims;
  std::vector<uint64_t> outputBytes;
  std::vector<uint64_t> inputBytes;
};

// The values of the named symbols from the inputs' dimensions, which are
// checked against their expressions; the message names input and dimension.
Status bindSymbols(const program::Package &package,
                   std::span<const std::span<const int64_t>> inputDims,
                   std::vector<int64_t> &outSymbols);

// Dimensions of a port for given symbols.
Status portDims(const program::Package &package, const program::Port &port,
                std::span<const int64_t> symbols,
                std::vector<int64_t> &outDims);

Status bindProgram(const program::Package &package,
                   const program::Variant &variant, const FlatProgram &code,
                   std::span<const std::span<const int64_t>> inputDims,
                   Binding &out);

// What a buffer is called in messages.
std::string bufferName(const program::Variant &variant, size_t index);

// How many bytes the memory of a buffer may have, by its root; temporaries any
// number.
uint64_t memoryLimit(const program::Package &package,
                     const program::Variant &variant, const Binding &binding,
                     std::span<const uint64_t> outputBytes, uint32_t root);

// lhs <= rhs, of values that `exprs` holds.
Status checkLimit(const program::Package &package, const program::Limit &limit,
                  std::span<const int64_t> values);

// Sizes and places for the prepare program, which knows no symbols.
Status bindPrepare(const program::Package &package,
                   const program::Variant &variant, const FlatProgram &code,
                   Binding &out);

} // namespace aicc::executor

#endif
