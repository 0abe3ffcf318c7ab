//===- Report.h - progress, times, placement --------------------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef AICC_COMPILER_DRIVER_REPORT_H
#define AICC_COMPILER_DRIVER_REPORT_H

#include "compiler/driver/Compiler.h"
#include "compiler/target/CodeGenerator.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassManager.h"

#include <chrono>
#include <mutex>

namespace aicc::driver {

/// What the compiler says to people while it works, on stderr.
class Report {
public:
  explicit Report(const Options &options) : options(options) {}

  void beginStage(llvm::StringRef name);
  void endStage();
  /// Erases the line of progress and prints the table of times.
  void finish();

  /// Times the passes of a manager and prints what it is asked to.
  void watch(mlir::PassManager &manager);
  /// From any thread.
  void addPass(llvm::StringRef name, double seconds);

  void kernel(llvm::StringRef target, unsigned done, unsigned total,
              llvm::StringRef name, double seconds, bool cached);
  /// Which nodes became which kernel, and where of a set of targets.
  void placement(llvm::ArrayRef<const target::TargetRecord *> records,
                 mlir::ModuleOp module,
                 llvm::ArrayRef<target::KernelCode> kernels);
  /// What each kernel takes of the chip, where its object says it.
  void resources(const target::CodeGenerator &generator,
                 const target::TargetRecord &record,
                 llvm::ArrayRef<target::KernelCode> kernels);

private:
  using Clock = std::chrono::steady_clock;
  struct Row {
    std::string name;
    double seconds = 0;
    unsigned runs = 0;
    std::vector<Row> parts;
  };
  void show(llvm::StringRef text);
  static Row &part(Row &row, llvm::StringRef name);

  const Options &options;
  std::mutex mutex;
  std::vector<Row> rows;
  Clock::time_point started;
  bool shown = false;
};

} // namespace aicc::driver

#endif // AICC_COMPILER_DRIVER_REPORT_H
