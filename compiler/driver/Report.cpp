//===- Report.cpp - progress, times, placement ----------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/driver/Report.h"

#include "compiler/scheduling/Schedule.h"
#include "dialects/exec/Devices.h"

#include "mlir/Pass/PassInstrumentation.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

namespace aicc::driver {

namespace {
class PassTimer : public PassInstrumentation {
public:
  explicit PassTimer(Report &report) : report(report) {}

  void runBeforePass(Pass *pass, Operation *op) override {
    std::lock_guard<std::mutex> lock(mutex);
    running[{pass, op}] = std::chrono::steady_clock::now();
  }
  void runAfterPass(Pass *pass, Operation *op) override {
    std::chrono::duration<double> took;
    {
      std::lock_guard<std::mutex> lock(mutex);
      took = std::chrono::steady_clock::now() - running[{pass, op}];
      running.erase({pass, op});
    }
    // Adaptors only hold the passes they run.
    if (!pass->getArgument().empty())
      report.addPass(pass->getArgument(), took.count());
  }

private:
  Report &report;
  std::mutex mutex;
  std::map<std::pair<Pass *, Operation *>,
           std::chrono::steady_clock::time_point>
      running;
};
} // namespace

Report::Row &Report::part(Row &row, llvm::StringRef name) {
  for (Row &have : row.parts)
    if (have.name == name)
      return have;
  row.parts.emplace_back().name = name.str();
  return row.parts.back();
}

void Report::show(llvm::StringRef text) {
  if (!options.progress)
    return;
  llvm::errs() << "\r\033[K" << text;
  llvm::errs().flush();
  shown = !text.empty();
}

void Report::beginStage(llvm::StringRef name) {
  rows.emplace_back().name = name.str();
  started = Clock::now();
  show(name);
}

void Report::endStage() {
  std::chrono::duration<double> took = Clock::now() - started;
  rows.back().seconds = took.count();
  if (shown)
    show("");
}

void Report::watch(PassManager &manager) {
  if (options.time)
    manager.addInstrumentation(std::make_unique<PassTimer>(*this));
  if (options.printAfterEach) {
    OpPrintingFlags flags;
    flags.elideLargeElementsAttrs(16).elideLargeResourceString(16);
    manager.getContext()->disableMultithreading();
    manager.enableIRPrinting([](Pass *, Operation *) { return false; },
                             [](Pass *, Operation *) { return true; },
                             /*printModuleScope=*/false,
                             /*printAfterOnlyOnChange=*/true,
                             /*printAfterOnlyOnFailure=*/false, llvm::errs(),
                             flags);
  }
}

void Report::addPass(llvm::StringRef name, double seconds) {
  std::lock_guard<std::mutex> lock(mutex);
  Row &row = part(rows.back(), name);
  row.seconds += seconds;
  ++row.runs;
}

void Report::kernel(llvm::StringRef target, unsigned done, unsigned total,
                    llvm::StringRef name, double seconds, bool cached) {
  std::lock_guard<std::mutex> lock(mutex);
  if (options.progress)
    show(("code: " + target + " " + Twine(done) + "/" + Twine(total)).str());
  Row &row =
      part(rows.back(), (target + (cached ? ", from the cache" : "")).str());
  row.seconds += seconds;
  ++row.runs;
  if (!cached) {
    Row &single = part(row, name);
    single.seconds += seconds;
    single.runs = 1;
  }
}

/// What goes from device to device, as "3 copies, 4096 bytes"; a size that
/// depends on symbols isn't counted.
static std::string describeCopies(mlir::ModuleOp module, unsigned from,
                                  unsigned to) {
  unsigned copies = 0, dynamic = 0;
  int64_t bytes = 0;
  module.walk([&](exec::CopyOp copy) {
    if (exec::isPort(copy) || exec::deviceOf(copy.getOperation()) != to ||
        exec::deviceOf(copy.getOperand()) != from)
      return;
    ++copies;
    auto type = cast<RankedTensorType>(copy.getType());
    if (type.hasStaticShape())
      bytes += type.getNumElements() *
               scheduling::elementBytes(type.getElementType());
    else
      ++dynamic;
  });
  if (!copies)
    return {};
  std::string text = std::to_string(copies) +
                     (copies == 1 ? " copy, " : " copies, ") +
                     std::to_string(bytes) + " bytes";
  if (dynamic)
    text += " and " + std::to_string(dynamic) + " of dynamic size";
  return text;
}

void Report::placement(llvm::ArrayRef<const target::TargetRecord *> records,
                       ModuleOp module,
                       llvm::ArrayRef<target::KernelCode> kernels) {
  if (!options.verbose)
    return;
  llvm::SmallVector<unsigned> counts(records.size());
  for (auto kernel : module.getOps<exec::KernelOp>())
    ++counts[exec::deviceOf(kernel)];
  for (unsigned device = 0; device < records.size(); ++device) {
    llvm::errs() << records[device]->name() << ": " << counts[device]
                 << " kernels\n";
    for (unsigned from = 0; from < records.size(); ++from)
      if (std::string copies = describeCopies(module, from, device);
          from != device && !copies.empty())
        llvm::errs() << "  from " << records[from]->name() << ": " << copies
                     << "\n";
    unsigned i = 0;
    for (auto kernel : module.getOps<exec::KernelOp>()) {
      const target::KernelCode &code = kernels[i++];
      if (exec::deviceOf(kernel) != device)
        continue;
      llvm::errs() << "  " << kernel.getSymName() << " (" << code.object.size()
                   << " bytes):";
      for (auto source : kernel.getSources().getAsRange<StringAttr>())
        llvm::errs() << " " << source.getValue();
      llvm::errs() << "\n";
    }
  }
}

void Report::resources(const target::CodeGenerator &generator,
                       const target::TargetRecord &record,
                       llvm::ArrayRef<target::KernelCode> kernels) {
  if (!options.resources)
    return;
  unsigned told = 0;
  for (const target::KernelCode &kernel : kernels) {
    auto resources = generator.resources(kernel);
    if (resources.empty())
      continue;
    ++told;
    llvm::outs() << record.name() << " " << kernel.entry << ":";
    llvm::ListSeparator comma(",");
    for (const auto &[name, number] : resources)
      llvm::outs() << comma << " " << number << " " << name;
    llvm::outs() << "\n";
  }
  if (!told && !kernels.empty())
    llvm::outs() << record.name()
                 << ": objects of this target don't say what kernels take\n";
  llvm::outs().flush();
}

void Report::finish() {
  if (shown)
    show("");
  if (!options.time)
    return;
  double total = 0;
  for (const Row &row : rows)
    total += row.seconds;
  auto print = [&](const Row &row, unsigned indent) {
    llvm::errs() << llvm::format("%9.3f s", row.seconds);
    if (row.runs > 1)
      llvm::errs() << llvm::format("%6u x", row.runs);
    else
      llvm::errs() << "        ";
    llvm::errs().indent(2 + indent) << row.name << "\n";
  };
  for (Row &row : rows) {
    print(row, 0);
    for (Row &each : row.parts) {
      print(each, 2);
      // The slowest kernels only.
      llvm::sort(each.parts, [](const Row &a, const Row &b) {
        return std::make_pair(b.seconds, a.name) <
               std::make_pair(a.seconds, b.name);
      });
      for (const Row &slow : llvm::ArrayRef<Row>(each.parts).take_front(10))
        print(slow, 4);
    }
  }
  llvm::errs() << llvm::format("%9.3f s", total) << "          total\n";
}

} // namespace aicc::driver
