//===- Call.cpp - functions of the host -----------------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/graph/Graph.h"

#include "llvm/Support/JSON.h"

using namespace mlir;
using namespace aicc::graph;

LogicalResult CallOp::verify() {
  if (getFunction().empty())
    return emitOpError("function has no name");
  auto parsed = llvm::json::parse(getOptions());
  if (!parsed) {
    llvm::consumeError(parsed.takeError());
    return emitOpError("options are no JSON");
  }
  if (!parsed->getAsObject())
    return emitOpError("options are no JSON object");
  return success();
}
