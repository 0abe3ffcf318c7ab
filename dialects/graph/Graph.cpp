//===- Graph.cpp - the graph dialect --------------------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/graph/Graph.h"
#include "dialects/graph/Dims.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/IR/PatternMatch.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace aicc::graph;

#include "dialects/graph/GraphDialect.cpp.inc"
#include "dialects/graph/GraphEnums.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/graph/GraphAttributes.cpp.inc"

#define GET_OP_CLASSES
#include "dialects/graph/GraphOps.cpp.inc"

void GraphDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/graph/GraphAttributes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/graph/GraphOps.cpp.inc"
      >();
}

Operation *GraphDialect::materializeConstant(OpBuilder &builder,
                                             Attribute value, Type type,
                                             Location loc) {
  auto elements = dyn_cast<ElementsAttr>(value);
  if (!elements || elements.getType() != type)
    return nullptr;
  return ConstantOp::create(builder, loc, elements);
}

LogicalResult aicc::graph::verifyElementwise(Operation *op) {
  RankedTensorType first;
  auto check = [&](Type type) -> LogicalResult {
    auto tensor = dyn_cast<RankedTensorType>(type);
    if (!tensor)
      return op->emitOpError()
             << "has type " << type << ", expected a ranked tensor";
    if (!first)
      first = tensor;
    if (tensor.getShape() != first.getShape() ||
        tensor.getEncoding() != first.getEncoding())
      return op->emitOpError() << "mixes the dimensions of " << tensor
                               << " and " << first << ", expected one shape";
    return success();
  };
  for (Type type : op->getOperandTypes())
    if (failed(check(type)))
      return failure();
  for (Type type : op->getResultTypes())
    if (failed(check(type)))
      return failure();
  return success();
}

bool aicc::graph::hasDims(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor)
    return false;
  if (tensor.hasStaticShape())
    return !tensor.getEncoding();
  auto attr = dyn_cast_or_null<AffineMapAttr>(tensor.getEncoding());
  if (!attr)
    return false;
  AffineMap map = attr.getValue();
  if (map.getNumDims() != 0 || map.getNumResults() != tensor.getRank())
    return false;
  for (auto [size, expr] : llvm::zip(tensor.getShape(), map.getResults()))
    if (constantOf(expr).value_or(ShapedType::kDynamic) != size)
      return false;
  return true;
}

bool aicc::graph::compatibleTypes(TypeRange inferred, TypeRange declared) {
  if (inferred.size() != declared.size())
    return false;
  for (auto [a, b] : llvm::zip(inferred, declared)) {
    auto x = dyn_cast<RankedTensorType>(a), y = dyn_cast<RankedTensorType>(b);
    if (!x || !y || x.getRank() != y.getRank() ||
        x.getElementType() != y.getElementType())
      return false;
    for (int64_t i = 0; i < x.getRank(); ++i)
      if (different(dimOf(x, i), dimOf(y, i)))
        return false;
  }
  return true;
}
