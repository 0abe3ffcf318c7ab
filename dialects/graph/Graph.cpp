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

#define GET_TYPEDEF_CLASSES
#include "dialects/graph/GraphTypes.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/graph/GraphAttributes.cpp.inc"

#define GET_OP_CLASSES
#include "dialects/graph/GraphOps.cpp.inc"

void GraphDialect::initialize() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/graph/GraphTypes.cpp.inc"
      >();
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

unsigned aicc::graph::elementBytes(Type element) {
  if (isa<StringType>(element))
    return 16;
  if (auto complex = dyn_cast<ComplexType>(element))
    return isa<Float32Type, Float64Type>(complex.getElementType())
               ? 2 * elementBytes(complex.getElementType())
               : 0;
  if (isa<Float8E4M3FNType, Float8E4M3FNUZType, Float8E5M2Type,
          Float8E5M2FNUZType, Float8E8M0FNUType, Float4E2M1FNType,
          Float6E2M3FNType, Float6E3M2FNType>(element))
    return 1;
  if (isa<Float16Type, BFloat16Type, Float32Type, Float64Type>(element))
    return element.getIntOrFloatBitWidth() / 8;
  auto integer = dyn_cast<IntegerType>(element);
  if (!integer)
    return 0;
  switch (integer.getWidth()) {
  case 1:
  case 2:
  case 4:
  case 8:
    return 1;
  case 16:
  case 32:
  case 64:
    return integer.getWidth() / 8;
  }
  return 0;
}

Type aicc::graph::storedType(Type element) {
  MLIRContext *context = element.getContext();
  if (isa<ComplexType, StringType>(element))
    return IntegerType::get(context, elementBytes(element) * 8);
  bool isFloat = isa<FloatType>(element);
  if (isFloat && elementBytes(element) != 1)
    return element;
  auto integer = dyn_cast<IntegerType>(element);
  if (!integer && !isFloat)
    return element;
  unsigned width = isFloat ? 8 : integer.getWidth();
  return IntegerType::get(context, width == 1 ? 1 : std::max(width, 8u));
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
