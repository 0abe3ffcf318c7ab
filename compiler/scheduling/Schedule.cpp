//===- Schedule.cpp - the plan as attributes ------------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/scheduling/Schedule.h"
#include "dialects/graph/Graph.h"

#include "mlir/IR/Builders.h"
#include "mlir/Pass/PassRegistry.h"

using namespace mlir;

namespace aicc::scheduling {

static constexpr llvm::StringLiteral storageNames[] = {
    "input", "output", "weight", "temporary", "prepared"};

llvm::StringRef toString(Storage storage) {
  return storageNames[unsigned(storage)];
}

std::vector<Buffer> buffersOf(exec::ProgramOp program) {
  std::vector<Buffer> buffers;
  auto array = program->getAttrOfType<ArrayAttr>("buffers");
  if (!array)
    return buffers;
  for (auto entry : array.getAsRange<DictionaryAttr>()) {
    Buffer &buffer = buffers.emplace_back();
    auto integer = [&](StringRef key, int64_t otherwise) {
      auto attribute = entry.getAs<IntegerAttr>(key);
      return attribute ? attribute.getInt() : otherwise;
    };
    buffer.name = entry.getAs<StringAttr>("name").getValue().str();
    StringRef storage = entry.getAs<StringAttr>("storage").getValue();
    for (unsigned i = 0; i < std::size(storageNames); ++i)
      if (storage == storageNames[i])
        buffer.storage = Storage(i);
    buffer.type =
        cast<RankedTensorType>(entry.getAs<TypeAttr>("type").getValue());
    buffer.index = integer("index", 0);
    buffer.alias = integer("alias", -1);
    buffer.first = integer("first", 0);
    buffer.last = integer("last", 0);
    buffer.offset = integer("offset", -1);
    buffer.device = integer("device", 0);
  }
  return buffers;
}

int64_t arenaBytesOf(exec::ProgramOp program, unsigned device) {
  Attribute bytes = program->getAttr("arena_bytes");
  if (auto one = dyn_cast_or_null<IntegerAttr>(bytes))
    return device == 0 ? one.getInt() : 0;
  auto several = dyn_cast_or_null<DenseI64ArrayAttr>(bytes);
  if (!several)
    return -1;
  return device < several.size() ? several[device] : 0;
}

llvm::ArrayRef<int64_t> resultBuffers(Operation *op) {
  return op->getAttrOfType<DenseI64ArrayAttr>("buffers").asArrayRef();
}

llvm::ArrayRef<int64_t> carriedBuffers(exec::LoopOp loop) {
  return loop->getAttrOfType<DenseI64ArrayAttr>("carried").asArrayRef();
}

unsigned elementBytes(Type element) { return graph::elementBytes(element); }

void registerPasses() {
  registerPass(createInsertTransfersPass);
  registerPass(createPlanBuffersPass);
}

} // namespace aicc::scheduling
