//===- Reduction.cpp - products, convolutions, reductions -----------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// As in Structure.cpp, inference never fails on ranked tensors.
//
//===----------------------------------------------------------------------===//

#include "dialects/graph/Dims.h"
#include "dialects/graph/Graph.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace aicc::graph;

static AffineExpr constant(int64_t value, MLIRContext *context) {
  return getAffineConstantExpr(value, context);
}

/// dimOf for an index that may be wrong.
static AffineExpr dimAt(RankedTensorType type, int64_t index) {
  return index >= 0 && index < type.getRank() ? dimOf(type, index)
                                              : AffineExpr();
}

static int64_t at(ArrayRef<int64_t> values, size_t index, int64_t otherwise) {
  return index < values.size() ? values[index] : otherwise;
}

/// (size + low + high - ((window - 1) * dilation + 1)) floordiv stride + 1
static AffineExpr windows(AffineExpr size, AffineExpr window, int64_t low,
                          int64_t high, int64_t stride, int64_t dilation) {
  if (!size || !window)
    return {};
  AffineExpr rest = simplify(size + low + high - (window - 1) * dilation - 1);
  // A window that does not fit: the verifier says so.
  if (auto number = constantOf(rest); number && *number < 0)
    return getAffineConstantExpr(0, size.getContext());
  return rest.floorDiv(std::max<int64_t>(stride, 1)) + 1;
}

static LogicalResult verifyAxis(Operation *op, int64_t axis, int64_t rank) {
  if (axis >= 0 && axis < rank)
    return success();
  return op->emitOpError() << "axis is " << axis
                           << ", expected one of a tensor of rank " << rank;
}

static LogicalResult verifyAxes(Operation *op, StringRef name,
                                ArrayRef<int64_t> axes, int64_t rank) {
  for (size_t i = 0; i < axes.size(); ++i)
    if (axes[i] < 0 || axes[i] >= rank ||
        llvm::is_contained(axes.take_front(i), axes[i]))
      return op->emitOpError() << name << " are [" << axes
                               << "], expected different ones below " << rank;
  return success();
}

static LogicalResult verifyCount(Operation *op, StringRef name,
                                 ArrayRef<int64_t> values, int64_t count,
                                 int64_t least) {
  if (static_cast<int64_t>(values.size()) != count)
    return op->emitOpError()
           << "has " << values.size() << " " << name << ", expected " << count;
  for (int64_t value : values)
    if (value < least)
      return op->emitOpError() << name << " are [" << values
                               << "], expected numbers of at least " << least;
  return success();
}

/// Whether a window of constant size fits into a dimension of constant size.
static LogicalResult verifyFits(Operation *op, size_t dimension,
                                AffineExpr size, AffineExpr window, int64_t low,
                                int64_t high, int64_t dilation) {
  AffineExpr span = simplify((window - 1) * dilation + 1);
  AffineExpr padded = simplify(size + low + high);
  auto rest = constantOf(simplify(padded - span));
  if (rest && *rest < 0)
    return op->emitOpError()
           << "window of " << toString(span)
           << " does not fit into spatial dimension " << dimension << " of "
           << toString(padded) << " with its padding";
  if (isConstant(window, 0))
    return op->emitOpError() << "window of spatial dimension " << dimension
                             << " is empty, expected at least 1";
  return success();
}

//===----------------------------------------------------------------------===//
// DotGeneralOp
//===----------------------------------------------------------------------===//

LogicalResult
DotGeneralOp::inferReturnTypes(MLIRContext *context, std::optional<Location>,
                               ValueRange operands, DictionaryAttr attributes,
                               OpaqueProperties properties, RegionRange regions,
                               SmallVectorImpl<Type> &types) {
  Adaptor op(operands, attributes, properties, regions);
  auto lhs = dyn_cast<RankedTensorType>(op.getLhs().getType());
  auto rhs = dyn_cast<RankedTensorType>(op.getRhs().getType());
  if (!lhs || !rhs)
    return failure();
  SmallVector<AffineExpr> dims;
  for (size_t i = 0; i < op.getLhsBatch().size(); ++i)
    dims.push_back(unify(dimAt(lhs, op.getLhsBatch()[i]),
                         dimAt(rhs, at(op.getRhsBatch(), i, -1))));
  auto addFree = [&](RankedTensorType type, ArrayRef<int64_t> batch,
                     ArrayRef<int64_t> contracting) {
    for (int64_t i = 0; i < type.getRank(); ++i)
      if (!llvm::is_contained(batch, i) && !llvm::is_contained(contracting, i))
        dims.push_back(dimOf(type, i));
  };
  addFree(lhs, op.getLhsBatch(), op.getLhsContracting());
  if (op.getRhsPacked() > 0)
    dims.push_back(constant(op.getRhsColumns(), context));
  else
    addFree(rhs, op.getRhsBatch(), op.getRhsContracting());
  Type element = op.getAccumulator().value_or(lhs.getElementType());
  types.push_back(makeType(dims, element));
  return success();
}

LogicalResult DotGeneralOp::verify() {
  RankedTensorType lhs = getLhs().getType(), rhs = getRhs().getType();
  if (lhs.getElementType().isInteger() != rhs.getElementType().isInteger())
    return emitOpError() << "multiplies " << lhs.getElementType() << " by "
                         << rhs.getElementType()
                         << ", expected integers or floats on both sides";
  if (getLhsBatch().size() != getRhsBatch().size() ||
      getLhsContracting().size() != getRhsContracting().size())
    return emitOpError()
           << "has " << getLhsBatch().size() << " and " << getRhsBatch().size()
           << " batch and " << getLhsContracting().size() << " and "
           << getRhsContracting().size()
           << " contracting dimensions, expected as many on both sides";
  SmallVector<int64_t> all(getLhsBatch());
  llvm::append_range(all, getLhsContracting());
  if (failed(verifyAxes(*this, "dimensions of lhs", all, lhs.getRank())))
    return failure();
  if (getRhsPacked() < 0)
    return emitOpError() << "rhs_packed is " << getRhsPacked()
                         << ", expected at least 0";
  if (int64_t p = getRhsPacked()) {
    if (!getLhsBatch().empty() ||
        getLhsContracting() != ArrayRef<int64_t>{lhs.getRank() - 1} ||
        getRhsContracting() != ArrayRef<int64_t>{0})
      return emitOpError("has a packed rhs, expected no batch and the last "
                         "dimension of lhs contracted");
    SmallVector<AffineExpr> panels = {
        constant(llvm::divideCeil(std::max<int64_t>(getRhsColumns(), 0), p),
                 getContext()),
        dimOf(lhs, lhs.getRank() - 1), constant(p, getContext())};
    bool fits = rhs.getRank() == 3 && getRhsColumns() >= 0;
    for (unsigned i = 0; fits && i < 3; ++i)
      fits = !different(dimOf(rhs, i), panels[i]);
    if (!fits)
      return emitOpError() << "packed rhs is " << rhs << ", expected "
                           << makeType(panels, rhs.getElementType());
    return success();
  }
  all.assign(getRhsBatch().begin(), getRhsBatch().end());
  llvm::append_range(all, getRhsContracting());
  if (failed(verifyAxes(*this, "dimensions of rhs", all, rhs.getRank())))
    return failure();
  auto check = [&](ArrayRef<int64_t> l, ArrayRef<int64_t> r) -> LogicalResult {
    for (auto [i, j] : llvm::zip(l, r))
      if (different(dimOf(lhs, i), dimOf(rhs, j)))
        return emitOpError()
               << "dimension " << i << " of lhs is " << toString(dimOf(lhs, i))
               << ", but dimension " << j << " of rhs is "
               << toString(dimOf(rhs, j)) << ", expected equal sizes";
    return success();
  };
  if (failed(check(getLhsBatch(), getRhsBatch())))
    return failure();
  return check(getLhsContracting(), getRhsContracting());
}

//===----------------------------------------------------------------------===//
// ConvolutionOp, ConvolutionTransposeOp
//===----------------------------------------------------------------------===//

LogicalResult ConvolutionOp::inferReturnTypes(
    MLIRContext *context, std::optional<Location>, ValueRange operands,
    DictionaryAttr attributes, OpaqueProperties properties, RegionRange regions,
    SmallVectorImpl<Type> &types) {
  Adaptor op(operands, attributes, properties, regions);
  auto type = dyn_cast<RankedTensorType>(op.getOperand().getType());
  auto filter = dyn_cast<RankedTensorType>(op.getFilter().getType());
  if (!type || !filter)
    return failure();
  int64_t spatial = std::max<int64_t>(type.getRank() - 2, 0);
  bool last = op.getChannelsLast(), packed = op.getPacked() > 0;
  AffineExpr features = packed ? constant(op.getFilters(), context)
                        : last ? dimAt(filter, filter.getRank() - 1)
                               : dimAt(filter, 0);
  SmallVector<AffineExpr> dims = {dimAt(type, 0)};
  if (!last)
    dims.push_back(features);
  for (int64_t i = 0; i < spatial; ++i)
    dims.push_back(windows(dimAt(type, last ? 1 + i : 2 + i),
                           dimAt(filter, packed ? 1 + i
                                         : last ? i
                                                : 2 + i),
                           at(op.getLow(), i, 0), at(op.getHigh(), i, 0),
                           at(op.getStrides(), i, 1),
                           at(op.getDilations(), i, 1)));
  if (last)
    dims.push_back(features);
  types.push_back(makeType(
      dims, op.getAccumulator().value_or(type.getElementType())));
  return success();
}

/// What both convolutions check alike.
template <typename Op> static LogicalResult verifyWindows(Op op) {
  RankedTensorType type = op.getOperand().getType();
  int64_t spatial = type.getRank() - 2;
  if (spatial < 0)
    return op.emitOpError()
           << "operand has rank " << type.getRank() << ", expected at least 2";
  Type filter = op.getFilter().getType().getElementType();
  if (type.getElementType() != filter &&
      !(std::is_same_v<Op, ConvolutionOp> &&
        isa<FloatType>(type.getElementType()) && isa<FloatType>(filter)))
    return op.emitOpError() << "filter has element type "
                            << op.getFilter().getType().getElementType()
                            << ", expected " << type.getElementType();
  constexpr int64_t any = std::numeric_limits<int64_t>::min();
  if (failed(verifyCount(op, "strides", op.getStrides(), spatial, 1)) ||
      failed(verifyCount(op, "dilations", op.getDilations(), spatial, 1)) ||
      failed(verifyCount(op, "low", op.getLow(), spatial, any)) ||
      failed(verifyCount(op, "high", op.getHigh(), spatial, any)))
    return failure();
  if (static_cast<int64_t>(op.getGroups()) < 1)
    return op.emitOpError()
           << "has " << op.getGroups() << " groups, expected at least 1";
  return success();
}

LogicalResult ConvolutionOp::verify() {
  if (failed(verifyWindows(*this)))
    return failure();
  RankedTensorType type = getOperand().getType();
  RankedTensorType filter = getFilter().getType();
  int64_t spatial = type.getRank() - 2, groups = getGroups();
  bool last = getChannelsLast();
  if (getPacked() < 0)
    return emitOpError() << "packed is " << getPacked()
                         << ", expected at least 0";
  bool packed = getPacked() > 0;
  if (packed && (!last || groups != 1))
    return emitOpError(
        "has a packed filter, expected channels_last and 1 group");
  if (filter.getRank() != type.getRank() + (packed ? 1 : 0))
    return emitOpError() << "filter has rank " << filter.getRank()
                         << ", expected " << type.getRank() + (packed ? 1 : 0);
  if (packed && (getFilters() < 1 ||
                 different(dimOf(filter, 0),
                           constant(llvm::divideCeil(getFilters(), getPacked()),
                                    getContext())) ||
                 !isConstant(dimOf(filter, spatial + 2), getPacked())))
    return emitOpError() << "packed filter is " << filter << ", expected "
                         << getFilters() << " filters in panels of "
                         << getPacked();
  AffineExpr channels = dimOf(type, last ? type.getRank() - 1 : 1);
  AffineExpr each = dimOf(filter, packed ? spatial + 1 : last ? spatial : 1);
  if (different(channels, each * groups))
    return emitOpError() << "operand has " << toString(channels)
                         << " channels, expected "
                         << toString(simplify(each * groups)) << " for "
                         << groups << " groups of the filter's "
                         << toString(each);
  auto features =
      constantOf(packed ? constant(getFilters(), getContext())
                        : dimOf(filter, last ? filter.getRank() - 1 : 0));
  if (features && *features % groups != 0)
    return emitOpError() << "has " << *features
                         << " filters, expected a multiple of " << groups
                         << " groups";
  for (int64_t i = 0; i < spatial; ++i)
    if (failed(verifyFits(*this, i, dimOf(type, last ? 1 + i : 2 + i),
                          dimOf(filter, packed ? 1 + i
                                        : last ? i
                                               : 2 + i),
                          getLow()[i], getHigh()[i], getDilations()[i])))
      return failure();
  return success();
}

LogicalResult ConvolutionTransposeOp::inferReturnTypes(
    MLIRContext *context, std::optional<Location>, ValueRange operands,
    DictionaryAttr attributes, OpaqueProperties properties, RegionRange regions,
    SmallVectorImpl<Type> &types) {
  Adaptor op(operands, attributes, properties, regions);
  auto type = dyn_cast<RankedTensorType>(op.getOperand().getType());
  auto filter = dyn_cast<RankedTensorType>(op.getFilter().getType());
  if (!type || !filter)
    return failure();
  AffineExpr features = dimAt(filter, 1);
  if (features)
    features = features * static_cast<int64_t>(op.getGroups());
  SmallVector<AffineExpr> dims = {dimAt(type, 0), features};
  for (int64_t i = 0; i + 2 < type.getRank(); ++i) {
    AffineExpr size = dimAt(type, i + 2), window = dimAt(filter, i + 2);
    if (size && window)
      size = (size - 1) * at(op.getStrides(), i, 1) +
             (window - 1) * at(op.getDilations(), i, 1) + 1 -
             at(op.getLow(), i, 0) - at(op.getHigh(), i, 0) +
             at(op.getExtra(), i, 0);
    else
      size = {};
    dims.push_back(size);
  }
  types.push_back(makeType(dims, type.getElementType()));
  return success();
}

LogicalResult ConvolutionTransposeOp::verify() {
  if (failed(verifyWindows(*this)))
    return failure();
  RankedTensorType type = getOperand().getType();
  RankedTensorType filter = getFilter().getType();
  int64_t groups = getGroups();
  if (failed(verifyCount(*this, "extra", getExtra(), type.getRank() - 2, 0)))
    return failure();
  if (filter.getRank() != type.getRank())
    return emitOpError() << "filter has rank " << filter.getRank()
                         << ", expected " << type.getRank();
  if (different(dimOf(type, 1), dimOf(filter, 0)))
    return emitOpError() << "operand has " << toString(dimOf(type, 1))
                         << " channels, expected the filter's "
                         << toString(dimOf(filter, 0));
  auto channels = constantOf(dimOf(type, 1));
  if (channels && *channels % groups != 0)
    return emitOpError() << "operand has " << *channels
                         << " channels, expected a multiple of " << groups
                         << " groups";
  for (int64_t i = 0; i + 2 < type.getRank(); ++i) {
    auto size =
        constantOf(simplify((dimOf(type, i + 2) - 1) * getStrides()[i] +
                            (dimOf(filter, i + 2) - 1) * getDilations()[i] + 1 -
                            getLow()[i] - getHigh()[i] + getExtra()[i]));
    if (size && *size < 0)
      return emitOpError() << "makes spatial dimension " << i << " of size "
                           << *size << ", expected at least 0";
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Reductions
//===----------------------------------------------------------------------===//

static RankedTensorType dropAxes(RankedTensorType type, ArrayRef<int64_t> axes,
                                 Type element) {
  SmallVector<AffineExpr> dims;
  for (int64_t i = 0; i < type.getRank(); ++i)
    if (!llvm::is_contained(axes, i))
      dims.push_back(dimOf(type, i));
  return makeType(dims, element);
}

LogicalResult ReduceOp::inferReturnTypes(MLIRContext *, std::optional<Location>,
                                         ValueRange operands,
                                         DictionaryAttr attributes,
                                         OpaqueProperties properties,
                                         RegionRange regions,
                                         SmallVectorImpl<Type> &types) {
  Adaptor op(operands, attributes, properties, regions);
  auto type = dyn_cast<RankedTensorType>(op.getOperand().getType());
  if (!type)
    return failure();
  types.push_back(dropAxes(type, op.getAxes(), type.getElementType()));
  return success();
}

LogicalResult ReduceOp::verify() {
  return verifyAxes(*this, "axes", getAxes(), getOperand().getType().getRank());
}

LogicalResult
ArgReduceOp::inferReturnTypes(MLIRContext *context, std::optional<Location>,
                              ValueRange operands, DictionaryAttr attributes,
                              OpaqueProperties properties, RegionRange regions,
                              SmallVectorImpl<Type> &types) {
  Adaptor op(operands, attributes, properties, regions);
  auto type = dyn_cast<RankedTensorType>(op.getOperand().getType());
  if (!type)
    return failure();
  types.push_back(dropAxes(type, {static_cast<int64_t>(op.getAxis())},
                           IntegerType::get(context, 64)));
  return success();
}

LogicalResult ArgReduceOp::verify() {
  if (getKind() != ReduceKind::maximum && getKind() != ReduceKind::minimum)
    return emitOpError() << "kind is " << stringifyReduceKind(getKind())
                         << ", expected maximum or minimum";
  return verifyAxis(*this, getAxis(), getOperand().getType().getRank());
}

LogicalResult ReduceWindowOp::inferReturnTypes(
    MLIRContext *context, std::optional<Location>, ValueRange operands,
    DictionaryAttr attributes, OpaqueProperties properties, RegionRange regions,
    SmallVectorImpl<Type> &types) {
  Adaptor op(operands, attributes, properties, regions);
  auto type = dyn_cast<RankedTensorType>(op.getOperand().getType());
  if (!type)
    return failure();
  SmallVector<AffineExpr> dims;
  for (int64_t i = 0; i < type.getRank(); ++i)
    dims.push_back(
        windows(dimOf(type, i), constant(at(op.getWindow(), i, 1), context),
                at(op.getLow(), i, 0), at(op.getHigh(), i, 0),
                at(op.getStrides(), i, 1), at(op.getDilations(), i, 1)));
  types.push_back(makeType(dims, type.getElementType()));
  return success();
}

LogicalResult ReduceWindowOp::verify() {
  RankedTensorType type = getOperand().getType();
  int64_t rank = type.getRank();
  if (failed(verifyCount(*this, "window", getWindow(), rank, 1)) ||
      failed(verifyCount(*this, "strides", getStrides(), rank, 1)) ||
      failed(verifyCount(*this, "low", getLow(), rank, 0)) ||
      failed(verifyCount(*this, "high", getHigh(), rank, 0)) ||
      failed(verifyCount(*this, "dilations", getDilations(), rank, 1)) ||
      (getExcess() &&
       failed(verifyCount(*this, "excess", *getExcess(), rank, 0))))
    return failure();
  for (int64_t i = 0; i < rank; ++i)
    if (failed(verifyFits(*this, i, dimOf(type, i),
                          constant(getWindow()[i], getContext()), getLow()[i],
                          getHigh()[i], getDilations()[i])))
      return failure();
  return success();
}

LogicalResult SoftmaxOp::verify() {
  return verifyAxis(*this, getAxis(), getType().getRank());
}

LogicalResult NormalizeOp::verify() {
  return verifyAxis(*this, getAxis(), getType().getRank());
}

LogicalResult CumulativeOp::verify() {
  if (getKind() == ReduceKind::mean)
    return emitOpError(
        "kind is mean, expected sum, product, maximum or minimum");
  return verifyAxis(*this, getAxis(), getType().getRank());
}

//===----------------------------------------------------------------------===//
// UpdateOp
//===----------------------------------------------------------------------===//

LogicalResult UpdateOp::verify() {
  RankedTensorType type = getType(), update = getUpdate().getType();
  if (update.getRank() != type.getRank() ||
      update.getElementType() != type.getElementType())
    return emitOpError() << "update is " << update
                         << ", expected the rank and element type of " << type;
  AffineMap offsets = getOffsets();
  if (offsets.getNumDims() != 0 ||
      static_cast<int64_t>(offsets.getNumResults()) != type.getRank())
    return emitOpError() << "has " << offsets.getNumResults()
                         << " offsets, expected " << type.getRank()
                         << " expressions over symbols";
  for (int64_t i = 0; i < type.getRank(); ++i) {
    auto first = constantOf(simplify(offsets.getResult(i)));
    auto beyond = constantOf(
        simplify(offsets.getResult(i) + dimOf(update, i) - dimOf(type, i)));
    if ((first && *first < 0) || (beyond && *beyond > 0))
      return emitOpError() << "update of " << toString(dimOf(update, i))
                           << " elements at " << toString(offsets.getResult(i))
                           << " does not fit into dimension " << i << " of "
                           << toString(dimOf(type, i));
  }
  return success();
}
