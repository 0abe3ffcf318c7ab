//===- Devices.h - where values of a program are ----------------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A program for a set of targets says at each kernel and each operation which
// of its devices it is for, by the attribute `device`, a number; without it,
// device 0. Results are in the memory of that device; a view is where its
// operand is, and so are the arguments of a loop's body. Inputs of the program
// count as device 0; an `exec.copy` of one with the attribute `port` is the
// same input on another device. All functions are pure.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_DIALECTS_EXEC_DEVICES_H
#define AICC_DIALECTS_EXEC_DEVICES_H

#include "dialects/exec/Exec.h"

namespace aicc::exec {

inline constexpr llvm::StringLiteral deviceAttrName = "device";
inline constexpr llvm::StringLiteral portAttrName = "port";

inline unsigned deviceOf(mlir::Operation *op) {
  auto device = op->getAttrOfType<mlir::IntegerAttr>(deviceAttrName);
  return device ? device.getInt() : 0;
}

inline unsigned deviceOf(mlir::Value value) {
  while (auto view = value.getDefiningOp<ViewOp>())
    value = view.getOperand();
  mlir::Operation *op = value.getDefiningOp();
  if (!op) {
    op = value.getParentBlock()->getParentOp();
    return mlir::isa<LoopOp>(op) ? deviceOf(op) : 0;
  }
  return deviceOf(op);
}

/// Device 0 needs no attribute.
inline void setDevice(mlir::Operation *op, unsigned device) {
  if (device)
    op->setAttr(deviceAttrName,
                mlir::Builder(op->getContext()).getI64IntegerAttr(device));
  else
    op->removeAttr(deviceAttrName);
}

/// Whether a copy is an input of the program on another device.
inline bool isPort(CopyOp copy) { return copy->hasAttr(portAttrName); }

} // namespace aicc::exec

#endif // AICC_DIALECTS_EXEC_DEVICES_H
