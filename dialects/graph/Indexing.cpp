//===- Indexing.cpp - order, scattering, sampling -------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/graph/Dims.h"
#include "dialects/graph/Graph.h"

using namespace mlir;
using namespace aicc::graph;

/// The dimensions of two tensors must not be known to differ, apart from one.
static LogicalResult verifySame(Operation *op, RankedTensorType a,
                                RankedTensorType b, StringRef what,
                                int64_t except = -1) {
  if (a.getRank() != b.getRank())
    return op->emitOpError() << what << " have rank " << b.getRank()
                             << ", expected " << a.getRank();
  for (int64_t i = 0; i < a.getRank(); ++i)
    if (i != except && different(dimOf(a, i), dimOf(b, i)))
      return op->emitOpError()
             << "dimension " << i << " of the " << what << " is "
             << toString(dimOf(b, i)) << ", expected " << toString(dimOf(a, i));
  return success();
}

LogicalResult ScatterOp::verify() {
  RankedTensorType type = getOperand().getType();
  RankedTensorType updates = getUpdates().getType();
  int64_t axis = getAxis();
  if (axis < 0 || axis >= type.getRank())
    return emitOpError() << "axis is " << axis
                         << ", expected one of a tensor of rank "
                         << type.getRank();
  if (updates.getElementType() != type.getElementType())
    return emitOpError() << "updates have element type "
                         << updates.getElementType() << ", expected "
                         << type.getElementType();
  if (updates.getRank() != type.getRank())
    return emitOpError() << "updates have rank " << updates.getRank()
                         << ", expected " << type.getRank();
  if (failed(verifySame(*this, updates, getIndices().getType(), "indices")))
    return failure();
  for (int64_t i = 0; i < type.getRank(); ++i) {
    auto beyond = constantOf(simplify(dimOf(updates, i) - dimOf(type, i)));
    if (i != axis && beyond && *beyond > 0)
      return emitOpError() << "dimension " << i << " of the updates is "
                           << toString(dimOf(updates, i))
                           << ", expected at most " << toString(dimOf(type, i));
  }
  return success();
}

LogicalResult MergeRunsOp::verify() {
  RankedTensorType type = getOrder().getType();
  if (type.getRank() == 0)
    return emitOpError("order has rank 0, expected at least 1");
  if (!type.getElementType().isInteger(64))
    return emitOpError() << "order has element type " << type.getElementType()
                         << ", expected i64";
  AffineMap pass = getPass();
  if (pass.getNumDims() != 0 || pass.getNumResults() != 1)
    return emitOpError("pass is not one expression over symbols");
  return verifySame(*this, type, getKeys().getType(), "keys",
                    type.getRank() - 1);
}

LogicalResult ArgReduceWindowOp::verify() {
  RankedTensorType from = getOperand().getType(), to = getType();
  int64_t spatial = getWindow().size();
  if (spatial > from.getRank() || int64_t(getStrides().size()) != spatial ||
      int64_t(getLow().size()) != spatial ||
      int64_t(getDilations().size()) != spatial)
    return emitOpError() << "has " << spatial
                         << " windows, expected as many strides, low and "
                            "dilations and at most "
                         << from.getRank();
  for (int64_t i = 0; i < spatial; ++i)
    if (getWindow()[i] < 1 || getStrides()[i] < 1 || getDilations()[i] < 1 ||
        getLow()[i] < 0)
      return emitOpError() << "window, stride or dilation of dimension " << i
                           << " is not positive";
  if (!to.getElementType().isInteger(64))
    return emitOpError() << "result has element type " << to.getElementType()
                         << ", expected i64";
  if (to.getRank() != from.getRank())
    return emitOpError() << "result has rank " << to.getRank() << ", expected "
                         << from.getRank();
  for (int64_t i = 0; i + spatial < from.getRank(); ++i)
    if (different(dimOf(from, i), dimOf(to, i)))
      return emitOpError() << "dimension " << i << " of the result is "
                           << toString(dimOf(to, i)) << ", expected "
                           << toString(dimOf(from, i));
  return success();
}

LogicalResult SampleOp::verify() {
  RankedTensorType from = getOperand().getType();
  RankedTensorType at = getCoordinates().getType(), to = getType();
  int64_t spatial = from.getRank() - 2;
  if (spatial < 1)
    return emitOpError() << "operand has rank " << from.getRank()
                         << ", expected at least 3";
  if (at.getRank() < 2 || !isConstant(dimOf(at, at.getRank() - 1), spatial))
    return emitOpError() << "coordinates are " << at
                         << ", expected a last dimension of " << spatial;
  if (to.getRank() != at.getRank() ||
      to.getElementType() != from.getElementType())
    return emitOpError() << "result is " << to << ", expected rank "
                         << at.getRank() << " and " << from.getElementType();
  if (different(dimOf(to, 0), dimOf(at, 0)) ||
      different(dimOf(to, 1), dimOf(from, 1)))
    return emitOpError() << "result is " << to
                         << ", expected the coordinates' first and the "
                            "operand's second dimension";
  for (int64_t i = 2; i < to.getRank(); ++i)
    if (different(dimOf(to, i), dimOf(at, i - 1)))
      return emitOpError() << "dimension " << i << " of the result is "
                           << toString(dimOf(to, i)) << ", expected "
                           << toString(dimOf(at, i - 1));
  if (Value batches = getBatches()) {
    auto type = cast<RankedTensorType>(batches.getType());
    if (type.getRank() != 1 || different(dimOf(type, 0), dimOf(at, 0)))
      return emitOpError() << "batches are " << type << ", expected one for "
                           << "each of " << toString(dimOf(at, 0));
  } else if (different(dimOf(from, 0), dimOf(at, 0))) {
    return emitOpError() << "has coordinates for " << toString(dimOf(at, 0))
                         << " batches, expected " << toString(dimOf(from, 0));
  }
  return success();
}

LogicalResult ResampleOp::verify() {
  RankedTensorType from = getOperand().getType(), to = getType();
  RankedTensorType indices = getIndices().getType();
  RankedTensorType weights = getWeights().getType();
  int64_t axis = getAxis();
  if (axis < 0 || axis >= from.getRank())
    return emitOpError() << "axis is " << axis
                         << ", expected one of a tensor of rank "
                         << from.getRank();
  if (indices.getRank() != 2)
    return emitOpError() << "indices have rank " << indices.getRank()
                         << ", expected 2";
  if (failed(verifySame(*this, indices, weights, "weights")) ||
      failed(verifySame(*this, from, to, "result", axis)))
    return failure();
  if (to.getElementType() != from.getElementType())
    return emitOpError() << "result has element type " << to.getElementType()
                         << ", expected " << from.getElementType();
  if (different(dimOf(to, axis), dimOf(indices, 0)))
    return emitOpError() << "dimension " << axis << " of the result is "
                         << toString(dimOf(to, axis)) << ", expected "
                         << toString(dimOf(indices, 0));
  return success();
}
