//===- Build.cpp - building graph operators for a node --------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Result types are computed here and not inferred, because a builder that
// fails to infer aborts, and the operands come from an untrusted model.
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/Node.h"

#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace aicc::onnx;
using llvm::StringRef;
using llvm::Twine;
namespace gr = aicc::graph;

static std::string text(Type type) {
  std::string result;
  llvm::raw_string_ostream os(result);
  os << type;
  return result;
}

std::string Node::print(Type type) const { return text(type); }

std::string Node::print(ArrayRef<AffineExpr> dims) const {
  std::string result = "[";
  for (auto [i, dim] : llvm::enumerate(dims))
    result += (i ? ", " : "") + importer.symbols.print(dim);
  return result + "]";
}

AffineExpr Node::number(int64_t value) const {
  return getAffineConstantExpr(value, importer.context);
}

Dims Node::numbers(ArrayRef<int64_t> values) const {
  Dims result;
  for (int64_t value : values)
    result.push_back(number(value));
  return result;
}

RankedTensorType Node::type(ArrayRef<AffineExpr> dims, Type element) {
  if (failed())
    return {};
  int64_t count = 1;
  constexpr size_t maxRank = 64;
  if (!require(dims.size() <= maxRank, "a result has " + Twine(dims.size()) +
                                           " dimensions, expected at most " +
                                           Twine(maxRank)))
    return {};
  Dims simple;
  for (AffineExpr dim : dims) {
    if (!require(bool(dim), "a result has an unknown dimension"))
      return {};
    simple.push_back(gr::simplify(dim));
    auto constant = gr::constantOf(simple.back());
    if (!require(!constant || *constant >= 0,
                 "a result would have dimensions " + print(dims)))
      return {};
    if (!require(!llvm::MulOverflow(count,
                                    std::max<int64_t>(1, constant.value_or(1)),
                                    count) &&
                     count <= importer.options.maxElements,
                 "a result would have dimensions " + print(dims) +
                     ", expected at most " +
                     Twine(importer.options.maxElements) + " elements"))
      return {};
  }
  return gr::makeType(simple, element);
}

bool Node::sameElement(Value x, Value y) {
  if (!x || !y || failed())
    return false;
  return require(elementOf(x) == elementOf(y),
                 "element types " + text(elementOf(x)) + " and " +
                     text(elementOf(y)) + " are mixed, expected one");
}

bool Node::requireFloat(Value value) {
  return value && !failed() &&
         require(isa<FloatType>(elementOf(value)), "element type is " +
                                                       text(elementOf(value)) +
                                                       ", expected a float");
}

//===----------------------------------------------------------------------===//
// Constants
//===----------------------------------------------------------------------===//

bool Node::requireNumbers(Type element) {
  return !failed() &&
         require(element.isIntOrFloat(),
                 "computes with " + text(element) + ", expected numbers");
}

Value Node::scalar(double value, Type element) {
  return constantOfShape({}, {value}, element);
}

Value Node::integerScalar(int64_t value, Type element) {
  if (!requireNumbers(element))
    return {};
  return gr::ConstantOp::create(
      b, loc,
      smallConstant(RankedTensorType::get({}, element),
                    ArrayRef<int64_t>(value)));
}

Value Node::constantOfShape(ArrayRef<int64_t> shape, ArrayRef<double> values,
                            Type element) {
  if (!requireNumbers(element))
    return {};
  return gr::ConstantOp::create(
      b, loc, smallConstant(RankedTensorType::get(shape, element), values));
}

Value Node::constant(ArrayRef<int64_t> values, Type element) {
  if (!requireNumbers(element))
    return {};
  auto type = RankedTensorType::get(int64_t(values.size()), element);
  return gr::ConstantOp::create(b, loc, smallConstant(type, values));
}

Value Node::constant(ArrayRef<double> values, Type element) {
  return constantOfShape({int64_t(values.size())}, values, element);
}

Value Node::full(double value, Value like, Type element) {
  if (!like)
    return {};
  return broadcastTo(scalar(value, element ? element : elementOf(like)),
                     dimsOf(like));
}

//===----------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------===//

Value Node::cast(Value value, Type element, bool overflow,
                 gr::Rounding rounding) {
  if (!value || failed() || elementOf(value) == element)
    return value;
  if (!require(!isa<ComplexType>(element) &&
                   !isa<ComplexType>(elementOf(value)),
               "converts " + print(elementOf(value)) + " to " + print(element) +
                   ", expected types that are not complex"))
    return {};
  // What doesn't concern the types stays out of the graph.
  auto to = dyn_cast<FloatType>(element);
  bool narrow = to && to.getWidth() <= 8;
  auto mode = gr::RoundingAttr::get(b.getContext(), rounding);
  bool rounds = isa<Float8E8M0FNUType>(element) && rounding != gr::Rounding::up;
  return gr::CastOp::create(b, loc, gr::withElement(tensorType(value), element),
                            value, narrow && overflow,
                            rounds ? mode : gr::RoundingAttr());
}

Value Node::reshape(Value value, ArrayRef<AffineExpr> dims) {
  if (!value || failed())
    return {};
  RankedTensorType result = type(dims, elementOf(value));
  if (!result || result == value.getType())
    return result ? value : Value();
  AffineExpr have = gr::numElements(tensorType(value));
  AffineExpr want = gr::numElements(result);
  if (!require(importer.requireEqual(have, want),
               "cannot reshape " + print(dimsOf(value)) + " to " + print(dims)))
    return {};
  return gr::ReshapeOp::create(b, loc, result, value);
}

Value Node::transpose(Value value, ArrayRef<int64_t> permutation) {
  if (!value || failed())
    return {};
  Dims from = dimsOf(value), dims;
  SmallVector<bool> seen(from.size());
  bool right = permutation.size() == from.size();
  for (int64_t i : permutation) {
    right = right && i >= 0 && i < int64_t(from.size()) && !seen[i];
    if (!require(right, "the permutation does not fit " + Twine(from.size()) +
                            " dimensions"))
      return {};
    seen[i] = true;
    dims.push_back(from[i]);
  }
  if (!require(right, "the permutation does not fit " + Twine(from.size()) +
                          " dimensions"))
    return {};
  bool identity = true;
  for (auto [i, p] : llvm::enumerate(permutation))
    identity &= int64_t(i) == p;
  if (identity)
    return value;
  return gr::TransposeOp::create(b, loc, type(dims, elementOf(value)), value,
                                 permutation);
}

Value Node::broadcastIn(Value value, ArrayRef<AffineExpr> dims,
                        ArrayRef<int64_t> positions) {
  if (!value || failed())
    return {};
  RankedTensorType result = type(dims, elementOf(value));
  if (!result || result == value.getType())
    return result ? value : Value();
  for (auto [i, dim] : llvm::enumerate(dimsOf(value)))
    if (!gr::isConstant(dim, 1) &&
        !requireEqual(dim, dims[positions[i]], "a broadcast dimension"))
      return {};
  return gr::BroadcastOp::create(b, loc, result, value, positions);
}

Value Node::broadcastTo(Value value, ArrayRef<AffineExpr> dims) {
  if (!value || failed())
    return {};
  int64_t rank = rankOf(value), offset = int64_t(dims.size()) - rank;
  if (!require(offset >= 0, "cannot broadcast " + print(dimsOf(value)) +
                                " to " + print(dims)))
    return {};
  Ints positions;
  for (int64_t i = 0; i < rank; ++i)
    positions.push_back(offset + i);
  return broadcastIn(value, dims, positions);
}

Value Node::broadcastAlong(Value vector, Value like, int64_t axis) {
  if (!vector || !like || failed())
    return {};
  if (!require(rankOf(vector) == 1, "a value per channel has " +
                                        Twine(rankOf(vector)) +
                                        " dimensions, expected 1"))
    return {};
  Dims dims = dimsOf(like);
  if (!require(axis >= 0 && axis < int64_t(dims.size()),
               "the operand has " + Twine(dims.size()) +
                   " dimensions, expected more than " + Twine(axis)))
    return {};
  if (!gr::isConstant(dims[axis], 1) || !gr::isConstant(dimsOf(vector)[0], 1))
    if (!requireEqual(dimsOf(vector)[0], dims[axis], "the channels"))
      return {};
  return broadcastIn(vector, dims, {axis});
}

bool Node::requireEqual(AffineExpr a, AffineExpr b, StringRef what) {
  if (failed())
    return false;
  if (!importer.requireEqual(a, b))
    fail(what + " is " + importer.symbols.print(a) + " and " +
         importer.symbols.print(b) + ", expected equal sizes");
  return !failed();
}

bool Node::broadcastDims(ArrayRef<AffineExpr> a, Dims &into) {
  if (failed())
    return false;
  Dims all(into.begin(), into.end());
  if (a.size() > into.size())
    into.insert(into.begin(), a.size() - into.size(), number(1));
  size_t offset = into.size() - a.size();
  for (size_t i = 0; i < a.size(); ++i) {
    AffineExpr &have = into[offset + i];
    if (gr::isConstant(have, 1)) {
      have = a[i];
      continue;
    }
    if (gr::isConstant(a[i], 1) || gr::equal(a[i], have))
      continue;
    // A dynamic size against a number could be that number or one; a guess
    // would be silent, so it is not made. Two dynamic sizes are taken as equal.
    if (importer.symbols.runs(a[i]) || importer.symbols.runs(have)) {
      have = broadcastSize(have, {a[i]});
      if (failed())
        return false;
      continue;
    }
    bool dynamic = !gr::constantOf(a[i]) && !gr::constantOf(have);
    if (!dynamic || !importer.requireEqual(a[i], have))
      fail("cannot broadcast " + print(a) + " and " + print(all) +
           ": dimensions " + importer.symbols.print(a[i]) + " and " +
           importer.symbols.print(have) + " differ");
    if (failed())
      return false;
  }
  return true;
}

/// `stretch` where sizes of the running model are part of it.
Value Node::stretchAtRun(Value value, ArrayRef<AffineExpr> dims) {
  auto runs = [&](AffineExpr dim) { return importer.symbols.runs(dim); };
  return value &&
                 (llvm::any_of(dims, runs) || llvm::any_of(dimsOf(value), runs))
             ? stretch(value, dims)
             : value;
}

bool Node::broadcastTogether(MutableArrayRef<Value> values) {
  Dims dims;
  for (Value value : values)
    if (!value || !broadcastDims(dimsOf(value), dims))
      return false;
  for (Value &value : values)
    if (!(value = broadcastTo(stretchAtRun(value, dims), dims)))
      return false;
  return true;
}

Value Node::slice(Value value, ArrayRef<AffineExpr> offsets,
                  ArrayRef<AffineExpr> sizes, ArrayRef<int64_t> steps) {
  if (!value || failed())
    return {};
  RankedTensorType result = type(sizes, elementOf(value));
  if (!result)
    return {};
  bool whole = result == value.getType();
  for (auto [offset, step] : llvm::zip(offsets, steps))
    whole &= gr::isConstant(offset, 0) && step == 1;
  if (whole)
    return value;
  return gr::SliceOp::create(
      b, loc, result, value,
      AffineMapAttr::get(gr::makeMap(offsets, importer.context)),
      b.getDenseI64ArrayAttr(steps));
}

Value Node::sliceAxis(Value value, int64_t axis, AffineExpr from,
                      AffineExpr size) {
  if (!value || failed())
    return {};
  Dims sizes = dimsOf(value), offsets(sizes.size(), number(0));
  offsets[axis] = gr::simplify(from);
  sizes[axis] = size;
  return slice(value, offsets, sizes, Ints(sizes.size(), 1));
}

Value Node::concatenate(ArrayRef<Value> values, int64_t axis) {
  if (failed() || values.empty() || llvm::is_contained(values, Value()))
    return {};
  Dims dims = dimsOf(values[0]);
  for (Value value : values.drop_front()) {
    if (!sameElement(values[0], value))
      return {};
    Dims other = dimsOf(value);
    if (!require(other.size() == dims.size(),
                 "cannot join tensors of " + Twine(dims.size()) + " and " +
                     Twine(other.size()) + " dimensions"))
      return {};
    for (size_t i = 0; i < dims.size(); ++i) {
      if (int64_t(i) == axis)
        dims[i] = dims[i] + other[i];
      else if (!requireEqual(dims[i], other[i], "a dimension beside the axis"))
        return {};
    }
  }
  RankedTensorType result = type(dims, elementOf(values[0]));
  if (!result)
    return {};
  if (values.size() == 1)
    return values[0];
  return gr::ConcatenateOp::create(b, loc, result, values,
                                   b.getI64IntegerAttr(axis));
}

//===----------------------------------------------------------------------===//
// Computation
//===----------------------------------------------------------------------===//

Value Node::reduce(Value value, gr::ReduceKind kind, ArrayRef<int64_t> axes,
                   bool keep) {
  if (!value || failed())
    return {};
  Dims from = dimsOf(value), dims, kept;
  for (size_t i = 0; i < from.size(); ++i) {
    bool gone = llvm::is_contained(axes, int64_t(i));
    kept.push_back(gone ? number(1) : from[i]);
    if (!gone)
      dims.push_back(from[i]);
  }
  Value result = value;
  if (!axes.empty()) {
    RankedTensorType reduced = type(dims, elementOf(value));
    if (!reduced)
      return {};
    result = gr::ReduceOp::create(b, loc, reduced, value,
                                  gr::ReduceKindAttr::get(b.getContext(), kind),
                                  b.getDenseI64ArrayAttr(axes));
  }
  return keep ? reshape(result, kept) : result;
}

Value Node::dot(Value lhs, Value rhs, ArrayRef<int64_t> lhsBatch,
                ArrayRef<int64_t> rhsBatch, ArrayRef<int64_t> lhsOver,
                ArrayRef<int64_t> rhsOver) {
  if (!sameElement(lhs, rhs))
    return {};
  Dims x = dimsOf(lhs), y = dimsOf(rhs), dims;
  for (auto [i, k] : llvm::zip(lhsBatch, rhsBatch)) {
    if (!requireEqual(x[i], y[k], "a batch dimension"))
      return {};
    dims.push_back(x[i]);
  }
  for (auto [i, k] : llvm::zip(lhsOver, rhsOver))
    if (!requireEqual(x[i], y[k], "the contracted dimension"))
      return {};
  for (size_t i = 0; i < x.size(); ++i)
    if (!llvm::is_contained(lhsBatch, i) && !llvm::is_contained(lhsOver, i))
      dims.push_back(x[i]);
  for (size_t i = 0; i < y.size(); ++i)
    if (!llvm::is_contained(rhsBatch, i) && !llvm::is_contained(rhsOver, i))
      dims.push_back(y[i]);
  RankedTensorType result = type(dims, elementOf(lhs));
  if (!result)
    return {};
  auto array = [&](ArrayRef<int64_t> values) {
    return b.getDenseI64ArrayAttr(values);
  };
  return gr::DotGeneralOp::create(
      b, loc, result, lhs, rhs, array(lhsBatch), array(rhsBatch),
      array(lhsOver), array(rhsOver), TypeAttr(), b.getI64IntegerAttr(0),
      b.getI64IntegerAttr(0));
}

Value Node::matmul(Value lhs, Value rhs) {
  if (!sameElement(lhs, rhs))
    return {};
  if (!require(rankOf(lhs) > 0 && rankOf(rhs) > 0,
               "a factor is a scalar, expected a vector or matrix"))
    return {};
  bool row = rankOf(lhs) == 1, column = rankOf(rhs) == 1;
  if (column)
    return dot(lhs, rhs, {}, {}, {rankOf(lhs) - 1}, {0});
  if (row && rankOf(rhs) == 2)
    return dot(lhs, rhs, {}, {}, {0}, {0});
  if (rankOf(rhs) == 2)
    return dot(lhs, rhs, {}, {}, {rankOf(lhs) - 1}, {0});
  if (row)
    lhs = reshape(lhs, Dims{number(1), dimsOf(lhs)[0]});
  if (!lhs)
    return {};
  Dims x = dimsOf(lhs), y = dimsOf(rhs);
  Dims xMatrix(x.end() - 2, x.end()), yMatrix(y.end() - 2, y.end());
  Dims batch;
  if (!broadcastDims(ArrayRef(x).drop_back(2), batch) ||
      !broadcastDims(ArrayRef(y).drop_back(2), batch))
    return {};
  Dims xDims = batch, yDims = batch;
  xDims.append(xMatrix);
  yDims.append(yMatrix);
  lhs = broadcastTo(lhs, xDims);
  rhs = broadcastTo(rhs, yDims);
  Ints over;
  for (size_t i = 0; i < batch.size(); ++i)
    over.push_back(i);
  int64_t n = batch.size();
  Value result = dot(lhs, rhs, over, over, {n + 1}, {n});
  if (row && result) {
    Dims dims = batch;
    dims.push_back(yMatrix[1]);
    result = reshape(result, dims);
  }
  return result;
}

Value Node::compare(gr::Comparison predicate, Value lhs, Value rhs) {
  Value both[] = {lhs, rhs};
  if (!broadcastTogether(both) || !sameElement(both[0], both[1]))
    return {};
  return gr::CompareOp::create(
      b, loc, gr::withElement(tensorType(both[0]), b.getI1Type()), both[0],
      both[1], gr::ComparisonAttr::get(b.getContext(), predicate));
}

Value Node::select(Value condition, Value onTrue, Value onFalse) {
  Value all[] = {condition, onTrue, onFalse};
  if (!broadcastTogether(all) || !sameElement(all[1], all[2]))
    return {};
  if (!require(elementOf(condition).isInteger(1),
               "the condition has element type " + text(elementOf(condition)) +
                   ", expected bool"))
    return {};
  return gr::SelectOp::create(b, loc, all[1].getType(), all[0], all[1], all[2]);
}

Value Node::iota(ArrayRef<AffineExpr> dims, Type element, int64_t dimension) {
  RankedTensorType result = type(dims, element);
  if (!result)
    return {};
  return gr::IotaOp::create(b, loc, result, b.getI64IntegerAttr(dimension));
}

Value Node::softmax(Value value, int64_t axis, bool log) {
  if (!requireFloat(value))
    return {};
  return gr::SoftmaxOp::create(b, loc, value.getType(), value,
                               b.getI64IntegerAttr(axis),
                               log ? b.getUnitAttr() : UnitAttr());
}

Value Node::normalize(Value value, int64_t axis, double epsilon, bool rms) {
  if (!requireFloat(value))
    return {};
  return gr::NormalizeOp::create(
      b, loc, value.getType(), value, b.getI64IntegerAttr(axis),
      b.getF64FloatAttr(epsilon), rms ? b.getUnitAttr() : UnitAttr());
}

Value Node::affine(Value value, double factor, double offset) {
  if (factor != 1)
    value = multiply(value, factor);
  if (offset != 0)
    value = add(value, offset);
  return value;
}

Value Node::update(Value value, Value piece, ArrayRef<AffineExpr> offsets) {
  if (!value || !piece || failed())
    return {};
  return gr::UpdateOp::create(
      b, loc, value.getType(), value, piece,
      AffineMapAttr::get(gr::makeMap(offsets, importer.context)));
}

SmallVector<Value> Node::repeat(AffineExpr count, ArrayRef<Value> inits,
                                Step step) {
  if (failed() || llvm::is_contained(inits, Value()))
    return {};
  SmallVector<Type> types;
  for (Value init : inits)
    types.push_back(init.getType());
  unsigned symbol = importer.loopSymbol();
  AffineExpr iteration = getAffineSymbolExpr(symbol, importer.context);
  auto loop = gr::LoopOp::create(
      b, loc, types, inits,
      AffineMapAttr::get(
          gr::makeMap(ArrayRef<AffineExpr>{count}, importer.context)),
      b.getI64IntegerAttr(symbol), UnitAttr(), IntegerAttr());
  {
    OpBuilder::InsertionGuard guard(b);
    Block *body = b.createBlock(&loop.getBody(), {}, types,
                                SmallVector<Location>(types.size(), loc));
    importer.iterations.push_back(iteration);
    SmallVector<Value> carried(body->args_begin(), body->args_end());
    SmallVector<Value> next = step(iteration, carried);
    importer.iterations.pop_back();
    if (failed() || llvm::is_contained(next, Value()))
      return {};
    if (!require(ValueRange(next).getTypes() == TypeRange(types),
                 "the state of a loop changes its type"))
      return {};
    gr::YieldOp::create(b, loc, next);
  }
  return SmallVector<Value>(loop.getResults());
}
