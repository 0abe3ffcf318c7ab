//===- Structure.cpp - constants and data movement ------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Inference never fails on operands that are ranked tensors: importers build
// operators from untrusted models, and a builder cannot report an error. What
// is wrong with the operands is said by the verifiers.
//
//===----------------------------------------------------------------------===//

#include "dialects/graph/Dims.h"
#include "dialects/graph/Graph.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace aicc::graph;

/// Whether `permutation` holds each of 0..rank-1 once.
static bool isPermutation(ArrayRef<int64_t> permutation, int64_t rank) {
  SmallVector<bool> seen(rank, false);
  for (int64_t i : permutation) {
    if (i < 0 || i >= rank || seen[i])
      return false;
    seen[i] = true;
  }
  return static_cast<int64_t>(permutation.size()) == rank;
}

static LogicalResult verifyElement(Operation *op, RankedTensorType from,
                                   RankedTensorType to) {
  if (from.getElementType() == to.getElementType())
    return success();
  return op->emitOpError() << "result has element type " << to.getElementType()
                           << ", expected " << from.getElementType();
}

static LogicalResult verifyAxis(Operation *op, int64_t axis, int64_t rank) {
  if (axis >= 0 && axis < rank)
    return success();
  return op->emitOpError() << "axis is " << axis
                           << ", expected one of a tensor of rank " << rank;
}

/// A map attribute that gives one expression over symbols per dimension.
static LogicalResult verifyMap(Operation *op, StringRef name, AffineMap map,
                               int64_t rank) {
  if (map.getNumDims() != 0)
    return op->emitOpError() << name << " has " << map.getNumDims()
                             << " dimensions, expected symbols only";
  if (static_cast<int64_t>(map.getNumResults()) != rank)
    return op->emitOpError() << name << " has " << map.getNumResults()
                             << " expressions, expected " << rank;
  return success();
}

//===----------------------------------------------------------------------===//
// ConstantOp, IotaOp, DimensionsOp
//===----------------------------------------------------------------------===//

bool ConstantOp::isBuildableWith(Attribute value, Type type) {
  auto elements = dyn_cast<ElementsAttr>(value);
  return elements && elements.getType() == type && isa<RankedTensorType>(type);
}

OpFoldResult ConstantOp::fold(FoldAdaptor) { return getValue(); }

LogicalResult ConstantOp::verify() {
  if (!isa<DenseElementsAttr, DenseResourceElementsAttr>(getValue()))
    return emitOpError(
        "value is neither dense nor dense_resource, expected one of these");
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(getValue())) {
    AsmResourceBlob *blob = resource.getRawHandle().getBlob();
    if (!blob)
      return success();
    uint64_t bytes = uint64_t(getType().getNumElements()) *
                     elementBytes(getType().getElementType());
    if (blob->getData().size() < bytes)
      return emitOpError() << "resource holds " << blob->getData().size()
                           << " bytes, expected " << bytes;
  }
  return success();
}

LogicalResult IotaOp::verify() {
  return verifyAxis(*this, getDimension(), getType().getRank());
}

LogicalResult DimensionsOp::verify() {
  if (getType().getRank() != 1)
    return emitOpError() << "result has rank " << getType().getRank()
                         << ", expected 1";
  if (getType().isDynamicDim(0))
    return emitOpError("result has a dynamic size, expected a number");
  return verifyMap(*this, "expressions", getExpressions(),
                   getType().getDimSize(0));
}

//===----------------------------------------------------------------------===//
// ReshapeOp
//===----------------------------------------------------------------------===//

LogicalResult ReshapeOp::verify() {
  RankedTensorType from = getOperand().getType(), to = getType();
  if (failed(verifyElement(*this, from, to)))
    return failure();
  if (different(numElements(from), numElements(to)))
    return emitOpError() << "result " << to
                         << " has another number of elements than " << from;
  return success();
}

OpFoldResult ReshapeOp::fold(FoldAdaptor adaptor) {
  if (getOperand().getType() == getType())
    return getOperand();
  if (auto inner = getOperand().getDefiningOp<ReshapeOp>()) {
    getOperandMutable().assign(inner.getOperand());
    return getResult();
  }
  if (!getType().hasStaticShape())
    return {};
  if (auto dense = dyn_cast_or_null<DenseElementsAttr>(adaptor.getOperand()))
    return dense.reshape(getType());
  if (auto resource =
          dyn_cast_or_null<DenseResourceElementsAttr>(adaptor.getOperand()))
    return DenseResourceElementsAttr::get(getType(), resource.getRawHandle());
  return {};
}

//===----------------------------------------------------------------------===//
// TransposeOp
//===----------------------------------------------------------------------===//

LogicalResult
TransposeOp::inferReturnTypes(MLIRContext *, std::optional<Location>,
                              ValueRange operands, DictionaryAttr attributes,
                              OpaqueProperties properties, RegionRange regions,
                              SmallVectorImpl<Type> &types) {
  Adaptor op(operands, attributes, properties, regions);
  auto type = dyn_cast<RankedTensorType>(op.getOperand().getType());
  if (!type)
    return failure();
  SmallVector<AffineExpr> dims;
  for (int64_t i : op.getPermutation())
    dims.push_back(i >= 0 && i < type.getRank() ? dimOf(type, i)
                                                : AffineExpr());
  types.push_back(makeType(dims, type.getElementType()));
  return success();
}

LogicalResult TransposeOp::verify() {
  int64_t rank = getOperand().getType().getRank();
  if (!isPermutation(getPermutation(), rank))
    return emitOpError() << "permutation is [" << getPermutation()
                         << "], expected each of 0 to " << rank - 1 << " once";
  return success();
}

OpFoldResult TransposeOp::fold(FoldAdaptor adaptor) {
  if (getOperand().getType() == getType() &&
      llvm::equal(getPermutation(), llvm::seq<int64_t>(0, getType().getRank())))
    return getOperand();
  if (auto splat = dyn_cast_or_null<SplatElementsAttr>(adaptor.getOperand()))
    return splat.resizeSplat(getType());
  return {};
}

namespace {
/// transpose(transpose(x)) is one transpose.
struct JoinTransposes : OpRewritePattern<TransposeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(TransposeOp op,
                                PatternRewriter &rewriter) const override {
    auto inner = op.getOperand().getDefiningOp<TransposeOp>();
    if (!inner)
      return failure();
    SmallVector<int64_t> permutation;
    for (int64_t i : op.getPermutation())
      permutation.push_back(inner.getPermutation()[i]);
    rewriter.replaceOpWithNewOp<TransposeOp>(op, op.getType(),
                                             inner.getOperand(), permutation);
    return success();
  }
};

/// A transpose that only moves dimensions of size 1 is a reshape, which costs
/// nothing.
struct TransposeToReshape : OpRewritePattern<TransposeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(TransposeOp op,
                                PatternRewriter &rewriter) const override {
    int64_t last = -1;
    for (int64_t i : op.getPermutation()) {
      if (op.getOperand().getType().getDimSize(i) == 1)
        continue;
      if (i < last)
        return failure();
      last = i;
    }
    rewriter.replaceOpWithNewOp<ReshapeOp>(op, op.getType(), op.getOperand());
    return success();
  }
};
} // namespace

void TransposeOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                              MLIRContext *context) {
  patterns.add<JoinTransposes, TransposeToReshape>(context);
}

//===----------------------------------------------------------------------===//
// BroadcastOp
//===----------------------------------------------------------------------===//

LogicalResult BroadcastOp::verify() {
  RankedTensorType from = getOperand().getType(), to = getType();
  if (failed(verifyElement(*this, from, to)))
    return failure();
  ArrayRef<int64_t> dims = getDimensions();
  if (static_cast<int64_t>(dims.size()) != from.getRank())
    return emitOpError() << "has " << dims.size()
                         << " dimensions, expected one for each of "
                         << from.getRank();
  for (size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] < 0 || dims[i] >= to.getRank() ||
        (i > 0 && dims[i] <= dims[i - 1]))
      return emitOpError() << "dimensions are [" << dims
                           << "], expected ascending ones below "
                           << to.getRank();
    if (!isConstant(dimOf(from, i), 1) &&
        different(dimOf(from, i), dimOf(to, dims[i])))
      return emitOpError() << "dimension " << i << " of the operand is "
                           << toString(dimOf(from, i)) << ", expected 1 or "
                           << toString(dimOf(to, dims[i]));
  }
  return success();
}

OpFoldResult BroadcastOp::fold(FoldAdaptor adaptor) {
  if (getOperand().getType() == getType())
    return getOperand();
  if (!getType().hasStaticShape())
    return {};
  if (auto splat = dyn_cast_or_null<SplatElementsAttr>(adaptor.getOperand()))
    return splat.resizeSplat(getType());
  return {};
}

//===----------------------------------------------------------------------===//
// SliceOp
//===----------------------------------------------------------------------===//

LogicalResult SliceOp::verify() {
  RankedTensorType from = getOperand().getType(), to = getType();
  if (failed(verifyElement(*this, from, to)) ||
      failed(verifyMap(*this, "offsets", getOffsets(), from.getRank())))
    return failure();
  if (to.getRank() != from.getRank())
    return emitOpError() << "result has rank " << to.getRank() << ", expected "
                         << from.getRank();
  if (static_cast<int64_t>(getStrides().size()) != from.getRank())
    return emitOpError() << "has " << getStrides().size()
                         << " strides, expected " << from.getRank();
  for (int64_t i = 0; i < from.getRank(); ++i) {
    int64_t stride = getStrides()[i];
    if (stride == 0)
      return emitOpError() << "stride of dimension " << i
                           << " is 0, expected another number";
    if (isConstant(dimOf(to, i), 0))
      continue;
    AffineExpr first = getOffsets().getResult(i);
    AffineExpr last = simplify(first + (dimOf(to, i) - 1) * stride);
    for (AffineExpr at : {first, last}) {
      // A size that is not known may turn out to be 0.
      auto beyond = constantOf(dimOf(to, i))
                        ? constantOf(simplify(at - dimOf(from, i)))
                        : std::optional<int64_t>();
      auto number = constantOf(at);
      if ((beyond && *beyond >= 0) || (number && *number < 0))
        return emitOpError()
               << "reads element " << toString(at) << " of dimension " << i
               << ", expected 0 to below " << toString(dimOf(from, i));
    }
  }
  return success();
}

OpFoldResult SliceOp::fold(FoldAdaptor adaptor) {
  bool whole = getOperand().getType() == getType();
  for (auto [offset, stride] :
       llvm::zip(getOffsets().getResults(), getStrides()))
    whole &= isConstant(offset, 0) && stride == 1;
  if (whole)
    return getOperand();
  if (auto splat = dyn_cast_or_null<SplatElementsAttr>(adaptor.getOperand()))
    if (getType().hasStaticShape())
      return splat.resizeSplat(getType());
  return {};
}

//===----------------------------------------------------------------------===//
// ConcatenateOp
//===----------------------------------------------------------------------===//

LogicalResult ConcatenateOp::inferReturnTypes(
    MLIRContext *, std::optional<Location>, ValueRange operands,
    DictionaryAttr attributes, OpaqueProperties properties, RegionRange regions,
    SmallVectorImpl<Type> &types) {
  Adaptor op(operands, attributes, properties, regions);
  auto first = operands.empty()
                   ? RankedTensorType()
                   : dyn_cast<RankedTensorType>(operands[0].getType());
  if (!first)
    return failure();
  int64_t axis = op.getDimension();
  SmallVector<AffineExpr> dims = dimsOf(first);
  for (Value operand : operands.drop_front()) {
    auto type = dyn_cast<RankedTensorType>(operand.getType());
    if (!type || type.getRank() != first.getRank())
      continue;
    for (int64_t i = 0; i < first.getRank(); ++i) {
      AffineExpr dim = dimOf(type, i);
      if (i != axis)
        dims[i] = unify(dims[i], dim);
      else
        dims[i] = dims[i] && dim ? dims[i] + dim : AffineExpr();
    }
  }
  types.push_back(makeType(dims, first.getElementType()));
  return success();
}

LogicalResult ConcatenateOp::verify() {
  if (getOperands().empty())
    return emitOpError("has no operands, expected at least one");
  auto first = cast<RankedTensorType>(getOperands()[0].getType());
  if (failed(verifyAxis(*this, getDimension(), first.getRank())))
    return failure();
  for (auto [k, operand] : llvm::enumerate(getOperands())) {
    auto type = cast<RankedTensorType>(operand.getType());
    bool fits = type.getRank() == first.getRank() &&
                type.getElementType() == first.getElementType();
    for (int64_t i = 0; fits && i < first.getRank(); ++i)
      fits = i == static_cast<int64_t>(getDimension()) ||
             !different(dimOf(first, i), dimOf(type, i));
    if (!fits)
      return emitOpError() << "operand " << k << " is " << type
                           << ", expected to differ from " << first
                           << " in dimension " << getDimension() << " only";
  }
  return success();
}

OpFoldResult ConcatenateOp::fold(FoldAdaptor) {
  if (getOperands().size() == 1 && getOperands()[0].getType() == getType())
    return getOperands()[0];
  return {};
}

namespace {
/// Operands without elements add nothing.
struct DropEmptyOperands : OpRewritePattern<ConcatenateOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ConcatenateOp op,
                                PatternRewriter &rewriter) const override {
    SmallVector<Value> kept;
    for (Value operand : op.getOperands())
      if (cast<RankedTensorType>(operand.getType())
              .getDimSize(op.getDimension()) != 0)
        kept.push_back(operand);
    if (kept.size() == op.getOperands().size() || kept.empty())
      return failure();
    rewriter.modifyOpInPlace(op, [&] { op->setOperands(kept); });
    return success();
  }
};
} // namespace

void ConcatenateOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                                MLIRContext *context) {
  patterns.add<DropEmptyOperands>(context);
}

//===----------------------------------------------------------------------===//
// PadOp, ReverseOp
//===----------------------------------------------------------------------===//

LogicalResult PadOp::inferReturnTypes(MLIRContext *, std::optional<Location>,
                                      ValueRange operands,
                                      DictionaryAttr attributes,
                                      OpaqueProperties properties,
                                      RegionRange regions,
                                      SmallVectorImpl<Type> &types) {
  Adaptor op(operands, attributes, properties, regions);
  auto type = dyn_cast<RankedTensorType>(op.getOperand().getType());
  if (!type)
    return failure();
  SmallVector<AffineExpr> dims = dimsOf(type);
  for (auto [i, dim] : llvm::enumerate(dims))
    for (AffineMap map : {op.getLow(), op.getHigh()})
      if (dim && i < map.getNumResults())
        dim = dim + map.getResult(i);
  types.push_back(makeType(dims, type.getElementType()));
  return success();
}

LogicalResult PadOp::verify() {
  RankedTensorType type = getOperand().getType();
  if (getValue().getType().getRank() != 0 ||
      getValue().getType().getElementType() != type.getElementType())
    return emitOpError() << "value is " << getValue().getType()
                         << ", expected a scalar of " << type.getElementType();
  if (failed(verifyMap(*this, "low", getLow(), type.getRank())) ||
      failed(verifyMap(*this, "high", getHigh(), type.getRank())))
    return failure();
  for (int64_t i = 0; i < type.getRank(); ++i) {
    auto size = constantOf(simplify(dimOf(type, i) + getLow().getResult(i) +
                                    getHigh().getResult(i)));
    if (size && *size < 0)
      return emitOpError() << "makes dimension " << i << " of size " << *size
                           << ", expected at least 0";
    if (getMode() != PadMode::constant && size && *size > 0 &&
        isConstant(dimOf(type, i), 0))
      return emitOpError() << "has nothing to repeat in dimension " << i
                           << " of size 0, expected elements";
  }
  return success();
}

LogicalResult ReverseOp::verify() {
  for (int64_t axis : getDimensions())
    if (failed(verifyAxis(*this, axis, getType().getRank())))
      return failure();
  return success();
}

//===----------------------------------------------------------------------===//
// GatherOp, GatherElementsOp, GatherNdOp
//===----------------------------------------------------------------------===//

LogicalResult GatherOp::inferReturnTypes(MLIRContext *, std::optional<Location>,
                                         ValueRange operands,
                                         DictionaryAttr attributes,
                                         OpaqueProperties properties,
                                         RegionRange regions,
                                         SmallVectorImpl<Type> &types) {
  Adaptor op(operands, attributes, properties, regions);
  auto type = dyn_cast<RankedTensorType>(op.getOperand().getType());
  auto indices = dyn_cast<RankedTensorType>(op.getIndices().getType());
  if (!type || !indices)
    return failure();
  int64_t axis = op.getAxis();
  SmallVector<AffineExpr> dims, inner = dimsOf(indices);
  for (int64_t i = 0; i < type.getRank(); ++i) {
    if (i == axis)
      dims.append(inner.begin(), inner.end());
    else
      dims.push_back(dimOf(type, i));
  }
  types.push_back(makeType(dims, type.getElementType()));
  return success();
}

LogicalResult GatherOp::verify() {
  return verifyAxis(*this, getAxis(), getOperand().getType().getRank());
}

LogicalResult GatherElementsOp::inferReturnTypes(
    MLIRContext *, std::optional<Location>, ValueRange operands,
    DictionaryAttr attributes, OpaqueProperties properties, RegionRange regions,
    SmallVectorImpl<Type> &types) {
  Adaptor op(operands, attributes, properties, regions);
  auto type = dyn_cast<RankedTensorType>(op.getOperand().getType());
  auto indices = dyn_cast<RankedTensorType>(op.getIndices().getType());
  if (!type || !indices)
    return failure();
  types.push_back(withElement(indices, type.getElementType()));
  return success();
}

LogicalResult GatherElementsOp::verify() {
  RankedTensorType type = getOperand().getType();
  RankedTensorType indices = getIndices().getType();
  if (failed(verifyAxis(*this, getAxis(), type.getRank())))
    return failure();
  if (indices.getRank() != type.getRank())
    return emitOpError() << "indices have rank " << indices.getRank()
                         << ", expected " << type.getRank();
  for (int64_t i = 0; i < type.getRank(); ++i) {
    auto beyond = constantOf(simplify(dimOf(indices, i) - dimOf(type, i)));
    if (i != static_cast<int64_t>(getAxis()) && beyond && *beyond > 0)
      return emitOpError() << "dimension " << i << " of the indices is "
                           << toString(dimOf(indices, i))
                           << ", expected at most " << toString(dimOf(type, i));
  }
  return success();
}

LogicalResult
GatherNdOp::inferReturnTypes(MLIRContext *, std::optional<Location>,
                             ValueRange operands, DictionaryAttr attributes,
                             OpaqueProperties properties, RegionRange regions,
                             SmallVectorImpl<Type> &types) {
  Adaptor op(operands, attributes, properties, regions);
  auto type = dyn_cast<RankedTensorType>(op.getOperand().getType());
  auto indices = dyn_cast<RankedTensorType>(op.getIndices().getType());
  if (!type || !indices)
    return failure();
  SmallVector<AffineExpr> dims = dimsOf(indices);
  int64_t used = type.getRank();
  if (!dims.empty()) {
    int64_t last = constantOf(dims.back()).value_or(0);
    if (last >= 0 && last <= type.getRank())
      used = last + static_cast<int64_t>(op.getBatchDims());
    dims.pop_back();
  }
  for (int64_t i = std::max<int64_t>(used, 0); i < type.getRank(); ++i)
    dims.push_back(dimOf(type, i));
  types.push_back(makeType(dims, type.getElementType()));
  return success();
}

LogicalResult GatherNdOp::verify() {
  RankedTensorType type = getOperand().getType();
  RankedTensorType indices = getIndices().getType();
  int64_t batch = getBatchDims();
  if (indices.getRank() == 0 || indices.isDynamicDim(indices.getRank() - 1))
    return emitOpError() << "indices are " << indices
                         << ", expected a last dimension of fixed size";
  int64_t last = indices.getDimSize(indices.getRank() - 1);
  if (batch < 0 || batch >= indices.getRank() || batch + last > type.getRank())
    return emitOpError() << "has " << batch
                         << " batch dimensions and tuples of " << last
                         << ", expected at most rank " << type.getRank()
                         << " together";
  for (int64_t i = 0; i < batch; ++i)
    if (different(dimOf(type, i), dimOf(indices, i)))
      return emitOpError() << "batch dimension " << i << " of the indices is "
                           << toString(dimOf(indices, i)) << ", expected "
                           << toString(dimOf(type, i));
  return success();
}

//===----------------------------------------------------------------------===//
// ResizeOp
//===----------------------------------------------------------------------===//

LogicalResult ResizeOp::verify() {
  RankedTensorType from = getOperand().getType(), to = getType();
  if (failed(verifyElement(*this, from, to)))
    return failure();
  if (from.getRank() != to.getRank())
    return emitOpError() << "result has rank " << to.getRank() << ", expected "
                         << from.getRank();
  if (static_cast<int64_t>(getScales().size()) != from.getRank())
    return emitOpError() << "has " << getScales().size() << " scales, expected "
                         << from.getRank();
  for (auto [i, scale] : llvm::enumerate(getScales())) {
    if (!(scale > 0) || !std::isfinite(scale))
      return emitOpError() << "scale of dimension " << i << " is " << scale
                           << ", expected a positive number";
    auto size = constantOf(dimOf(to, i));
    if (isConstant(dimOf(from, i), 0) && size && *size > 0)
      return emitOpError() << "has nothing to sample in dimension " << i
                           << " of size 0, expected elements";
  }
  if (!llvm::is_contained(
          {"half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"},
          getCoordinates()))
    return emitOpError() << "coordinates are \"" << getCoordinates()
                         << "\", expected half_pixel, asymmetric, "
                            "align_corners or pytorch_half_pixel";
  if (!llvm::is_contained(
          {"floor", "ceil", "round_prefer_floor", "round_prefer_ceil"},
          getRounding()))
    return emitOpError() << "rounding is \"" << getRounding()
                         << "\", expected floor, ceil, round_prefer_floor or "
                            "round_prefer_ceil";
  return success();
}
