//===- Schedule.h - buffers of a program ------------------------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// The stage `schedule` gives every value of an `exec.program` a buffer and
// every buffer a place, as attributes:
//   on the program   `buffers`, an array of dictionaries, the inputs' first;
//                    `arena_bytes`, an entry for each device up to the last
//                    one in use, -1 where a size depends on a symbol;
//   on an operation  `buffers`, the buffer of each result;
//   on a loop        `carried`, the buffer of each argument of its body.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_COMPILER_SCHEDULING_SCHEDULE_H
#define AICC_COMPILER_SCHEDULING_SCHEDULE_H

#include "dialects/exec/Exec.h"

#include "mlir/Pass/Pass.h"

#include <vector>

namespace aicc::scheduling {

enum class Storage { input, output, weight, temporary, prepared };
llvm::StringRef toString(Storage storage);

struct Buffer {
  std::string name; // the model's tensor
  Storage storage = Storage::temporary;
  int64_t index = 0; // which input, output or weight
  mlir::RankedTensorType type;
  int64_t alias = -1;          // the buffer whose memory it has
  int64_t first = 0, last = 0; // instructions that need it; temporaries only
  int64_t offset = -1;         // in the arena; temporaries without symbols
  unsigned device = 0;         // whose memory it has
};

/// The plan that the pass wrote; empty before it ran.
std::vector<Buffer> buffersOf(exec::ProgramOp program);
/// Size of a device's arena, -1 if it depends on symbols.
int64_t arenaBytesOf(exec::ProgramOp program, unsigned device);
/// The buffers of an operation's results, of a loop's body arguments.
llvm::ArrayRef<int64_t> resultBuffers(mlir::Operation *op);
llvm::ArrayRef<int64_t> carriedBuffers(exec::LoopOp loop);

/// Bytes that an element takes in memory.
unsigned elementBytes(mlir::Type element);

/// Copies values to the devices that need them, in programs for several.
std::unique_ptr<mlir::Pass> createInsertTransfersPass();
/// Plans the memory of every program of a module.
std::unique_ptr<mlir::Pass> createPlanBuffersPass();
void registerPasses();

} // namespace aicc::scheduling

#endif // AICC_COMPILER_SCHEDULING_SCHEDULE_H
