//===- InsertTransfers.cpp - copies between devices -----------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// Gives every operation of a program its operands on its own device. What
// another device has is copied there behind where it is computed, once for each
// device that asks for it, so that the copy may overlap what follows. Nothing
// is copied of
//   - a constant: each device has it;
//   - what is prepared from constants: each device prepares its own, by a copy
//     of the kernel;
//   - an input of the program: a caller's tensor goes to each device that reads
//     it (`port`);
//   - a view: it is made anew of the copy of what it views.
// Reads and the conditions of branches take their value from wherever it is.
// A loop's carried values and a branch's results are on its device.
//
//===----------------------------------------------------------------------===//

#include "compiler/scheduling/Schedule.h"

#include "dialects/exec/Devices.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/SymbolTable.h"

using namespace mlir;
using namespace aicc;

namespace {
class Inserter {
public:
  explicit Inserter(exec::ProgramOp program)
      : symbols(program->getParentOfType<ModuleOp>()) {}

  void run(Block &block) {
    // What is inserted has its operands where it needs them.
    SmallVector<Operation *> ops;
    for (Operation &op : block)
      ops.push_back(&op);
    for (Operation *op : ops) {
      if (isa<exec::LaunchOp, exec::CallOp, exec::UpdateOp, exec::CopyOp,
              exec::LoopOp>(op))
        bring(op, exec::deviceOf(op));
      else if (isa<exec::YieldOp>(op))
        bring(op, exec::deviceOf(op->getParentOp()));
      for (Region &region : op->getRegions())
        run(region.front());
    }
  }

  /// Constants and prepared values that only other devices wanted.
  static void eraseUnused(Block &block) {
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block))) {
      auto launch = dyn_cast<exec::LaunchOp>(op);
      if (op.use_empty() && (isa<exec::ConstantOp, exec::ViewOp>(op) ||
                             (launch && launch.getPrepare())))
        op.erase();
    }
  }

private:
  void bring(Operation *op, unsigned device) {
    for (OpOperand &operand : op->getOpOperands())
      operand.set(on(operand.get(), device));
  }

  Value on(Value value, unsigned device) {
    if (exec::deviceOf(value) == device)
      return value;
    Value &known = copies[{value, device}];
    if (!known) {
      Value made = make(value, device);
      copies[{value, device}] = made; // the map may have moved
      return made;
    }
    return known;
  }

  Value make(Value value, unsigned device) {
    OpBuilder builder(value.getContext());
    builder.setInsertionPointAfterValue(value);
    auto result = dyn_cast<OpResult>(value);
    Operation *op = value.getDefiningOp();
    if (auto view = dyn_cast_or_null<exec::ViewOp>(op)) {
      Value operand = on(view.getOperand(), device);
      return exec::ViewOp::create(builder, view.getLoc(), view.getType(),
                                  operand)
          .getResult();
    }
    auto launch = dyn_cast_or_null<exec::LaunchOp>(op);
    if (isa_and_nonnull<exec::ConstantOp>(op) ||
        (launch && launch.getPrepare())) {
      IRMapping mapping;
      for (Value operand : op->getOperands())
        mapping.map(operand, on(operand, device));
      Operation *copy = builder.clone(*op, mapping);
      exec::setDevice(copy, device);
      if (launch)
        cast<exec::LaunchOp>(copy).setKernelAttr(
            FlatSymbolRefAttr::get(kernelOn(launch, device)));
      return copy->getResult(result.getResultNumber());
    }
    auto copy =
        exec::CopyOp::create(builder, nameOf(value), value.getType(), value);
    exec::setDevice(copy, device);
    if (auto argument = dyn_cast<BlockArgument>(value);
        argument && isa<exec::ProgramOp>(argument.getOwner()->getParentOp()))
      copy->setAttr(exec::portAttrName, builder.getUnitAttr());
    return copy.getResult();
  }

  /// Of a launch's location the part that names this result.
  static Location nameOf(Value value) {
    auto result = dyn_cast<OpResult>(value);
    auto fused = dyn_cast<FusedLoc>(value.getLoc());
    if (result && fused &&
        fused.getLocations().size() == result.getOwner()->getNumResults())
      return fused.getLocations()[result.getResultNumber()];
    return value.getLoc();
  }

  /// The same kernel for another device.
  StringAttr kernelOn(exec::LaunchOp launch, unsigned device) {
    auto kernel = symbols.lookup<exec::KernelOp>(launch.getKernel());
    StringAttr &name = kernels[{kernel, device}];
    if (!name) {
      auto copy = cast<exec::KernelOp>(kernel->clone());
      exec::setDevice(copy, device);
      symbols.insert(copy, std::next(Block::iterator(kernel)));
      name = copy.getSymNameAttr();
    }
    return name;
  }

  SymbolTable symbols;
  llvm::DenseMap<std::pair<Value, unsigned>, Value> copies;
  llvm::DenseMap<std::pair<Operation *, unsigned>, StringAttr> kernels;
};

struct InsertTransfersPass
    : PassWrapper<InsertTransfersPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(InsertTransfersPass)
  StringRef getArgument() const final { return "aicc-insert-transfers"; }
  StringRef getDescription() const final {
    return "Copy values to the devices that need them";
  }
  void runOnOperation() override {
    for (auto program : getOperation().getOps<exec::ProgramOp>()) {
      Inserter(program).run(program.getBody().front());
      Inserter::eraseUnused(program.getBody().front());
    }
    // Kernels whose only use was of a value that another device wanted.
    for (auto kernel :
         llvm::make_early_inc_range(getOperation().getOps<exec::KernelOp>()))
      if (SymbolTable::symbolKnownUseEmpty(kernel, getOperation()))
        kernel.erase();
  }
};
} // namespace

std::unique_ptr<Pass> aicc::scheduling::createInsertTransfersPass() {
  return std::make_unique<InsertTransfersPass>();
}
