//===- DynamicShapes.cpp - sizes that only the running model knows --------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A size that data decides is computed by ordinary operators and read into a
// symbol, after which it is a dimension like any other. What must hold of such
// sizes is checked by a read, too: a negative number ends the run.
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/Node.h"

using namespace mlir;
using namespace aicc::onnx;
using llvm::StringRef;
using llvm::Twine;
namespace gr = aicc::graph;

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

AffineExpr Importer::readSymbol(Value value, StringRef name, int64_t element,
                                int64_t minimum) {
  if (!value || failed())
    return {};
  // The same size read twice is one symbol, so that it equals itself.
  auto key = [&](Block *block) {
    return std::make_tuple(value.getAsOpaquePointer(), element, minimum, block);
  };
  Block *here = builder.getInsertionBlock();
  for (Block *block = here; block;) {
    if (auto it = reads_.find(key(block)); it != reads_.end())
      return it->second;
    Operation *parent = block->getParentOp();
    block = parent ? parent->getBlock() : nullptr;
  }
  unsigned symbol = symbols.add(name);
  graph::ReadOp::create(builder, here_, value, element, symbol, minimum);
  return reads_[key(here)] = getAffineSymbolExpr(symbol, context);
}

unsigned Importer::loopSymbol() {
  while (loopSymbols_.size() <= iterations.size())
    loopSymbols_.push_back(symbols.add("trip"));
  return loopSymbols_[iterations.size()];
}

bool Importer::checkEqual(AffineExpr a, AffineExpr b) {
  AffineExpr gap = graph::simplify(a - b);
  if (graph::constantOf(gap))
    return graph::isConstant(gap, 0);
  Block *block = builder.getInsertionBlock();
  auto key = std::make_tuple((void *)a.getAsOpaquePointer(),
                             (void *)b.getAsOpaquePointer(), block);
  if (failed() || !checked_.insert(key).second)
    return true;
  Dims both = {gap, graph::simplify(b - a)};
  Value value = graph::DimensionsOp::create(
      builder, here_, RankedTensorType::get({2}, builder.getI64Type()),
      AffineMapAttr::get(graph::makeMap(both, context)));
  readSymbol(value, "equal", 0);
  readSymbol(value, "equal", 1);
  return true;
}
