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

AffineExpr Importer::larger(AffineExpr a, AffineExpr b) {
  if (failed())
    return {};
  if (nonNegative(graph::simplify(a - b)))
    return a;
  if (nonNegative(graph::simplify(b - a)))
    return b;
  // Many nodes ask for the same: the layers of a model with a cache.
  auto key = [&](Block *block) {
    return std::make_tuple((void *)a.getAsOpaquePointer(),
                           (void *)b.getAsOpaquePointer(), block);
  };
  Block *here = builder.getInsertionBlock();
  for (Block *block = here; block;) {
    if (auto it = larger_.find(key(block)); it != larger_.end())
      return it->second;
    Operation *parent = block->getParentOp();
    block = parent ? parent->getBlock() : nullptr;
  }
  auto type = RankedTensorType::get({1}, builder.getI64Type());
  auto size = [&](AffineExpr expr) -> Value {
    return graph::DimensionsOp::create(
        builder, here_, type,
        AffineMapAttr::get(graph::makeMap(expr, context)));
  };
  Value most = graph::MaximumOp::create(builder, here_, type, size(a), size(b));
  return larger_[key(here)] = readSymbol(most, "larger");
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

void Importer::checkAtMost(AffineExpr a, AffineExpr b) {
  AffineExpr gap = graph::simplify(b - a);
  auto key = std::make_tuple((void *)gap.getAsOpaquePointer(), (void *)nullptr,
                             builder.getInsertionBlock());
  if (failed() || !checked_.insert(key).second)
    return;
  Value value = graph::DimensionsOp::create(
      builder, here_, RankedTensorType::get({1}, builder.getI64Type()),
      AffineMapAttr::get(graph::makeMap(gap, context)));
  readSymbol(value, "rest");
}

//===----------------------------------------------------------------------===//
// Integers of inputs
//===----------------------------------------------------------------------===//

/// Follows an element to where it comes from: parts of a shape are often known.
static Node::Element trace(Node &n, Value value, int64_t index) {
  while (Operation *op = value.getDefiningOp()) {
    if (auto constant = dyn_cast<gr::ConstantOp>(op)) {
      auto values = dyn_cast<DenseIntElementsAttr>(constant.getValue());
      if (!values || !values.getElementType().isSignlessInteger(64))
        break;
      return {
          n.number((*(values.value_begin<APInt>() + index)).getSExtValue())};
    }
    if (auto dims = dyn_cast<gr::DimensionsOp>(op))
      return {dims.getExpressions().getResult(index)};
    if (auto reshape = dyn_cast<gr::ReshapeOp>(op)) {
      value = reshape.getOperand();
      continue;
    }
    if (auto join = dyn_cast<gr::ConcatenateOp>(op)) {
      if (rankOf(value) != 1 || !tensorType(value).hasStaticShape())
        break;
      Value found;
      for (Value operand : join.getOperands()) {
        if (!tensorType(operand).hasStaticShape())
          return {{}, value, index};
        int64_t size = tensorType(operand).getNumElements();
        if (index < size) {
          found = operand;
          break;
        }
        index -= size;
      }
      value = found;
      continue;
    }
    if (auto slice = dyn_cast<gr::SliceOp>(op)) {
      auto offset = rankOf(value) == 1
                        ? gr::constantOf(slice.getOffsets().getResult(0))
                        : std::nullopt;
      if (!offset)
        break;
      index = *offset + index * slice.getStrides()[0];
      value = slice.getOperand();
      continue;
    }
    break;
  }
  return {{}, value, index};
}

std::optional<SmallVector<Node::Element>> Node::elementsOf(unsigned i,
                                                           StringRef what) {
  SmallVector<Element> result;
  if (const Known *contents = known(i)) {
    for (const Scalar &scalar : contents->values) {
      if (!require(bool(scalar.expr),
                   what + " has fractional values, expected integers"))
        return std::nullopt;
      result.push_back({scalar.expr});
    }
    return result;
  }
  Value value = operand(i);
  if (!value)
    return std::nullopt;
  constexpr int64_t most = 64;
  RankedTensorType type = tensorType(value);
  if (!type.hasStaticShape() || type.getRank() > 1 ||
      type.getNumElements() > most) {
    unsupported("values of " + what +
                " that are only known when the model runs");
    return std::nullopt;
  }
  if (!type.getElementType().isSignlessInteger(64)) {
    // One cast for all that ask, so that what they read is one symbol.
    Value wide;
    for (Operation *user : value.getUsers())
      if (isa<gr::CastOp>(user) && user->getBlock() == b.getInsertionBlock() &&
          elementOf(user->getResult(0)).isSignlessInteger(64))
        wide = user->getResult(0);
    value = wide ? wide : cast(value, b.getI64Type());
  }
  for (int64_t k = 0; k < type.getNumElements(); ++k)
    result.push_back(trace(*this, value, k));
  return result;
}

Value Node::scalarOf(AffineExpr size) {
  if (!size || failed())
    return {};
  if (auto number = gr::constantOf(size))
    return integerScalar(*number, b.getI64Type());
  Value value = gr::DimensionsOp::create(
      b, loc, RankedTensorType::get({1}, b.getI64Type()),
      AffineMapAttr::get(gr::makeMap(size, importer.context)));
  return reshape(value, {});
}

Value Node::scalarOf(const Element &element) {
  if (element.expr)
    return scalarOf(element.expr);
  AffineExpr count = gr::numElements(tensorType(element.tensor));
  Value flat = reshape(element.tensor, count);
  return cast(reshape(sliceAxis(flat, 0, number(element.index), number(1)), {}),
              b.getI64Type());
}

/// What is not known is read.
static AffineExpr sizeOf(Node &n, const Node::Element &element,
                         StringRef what) {
  return element.expr
             ? element.expr
             : n.importer.readSymbol(element.tensor, what, element.index);
}

std::optional<Dims> Node::readSizes(unsigned i, StringRef what) {
  auto elements = elementsOf(i, what);
  if (!elements)
    return std::nullopt;
  Dims result;
  for (const Element &element : *elements)
    result.push_back(sizeOf(*this, element, what));
  if (failed())
    return std::nullopt;
  return result;
}

void Node::check(Value condition) {
  Type i64 = b.getI64Type();
  Value value =
      select(condition, integerScalar(0, i64), integerScalar(-1, i64));
  (void)importer.readSymbol(value, "check");
}

static Value isEqual(Node &n, Value a, int64_t b) {
  return n.compare(gr::Comparison::equal, a,
                   n.integerScalar(b, n.b.getI64Type()));
}

static Value either(Node &n, Value a, Value b) {
  return n.binary<gr::OrOp>(a, b);
}

//===----------------------------------------------------------------------===//
// Broadcasting
//===----------------------------------------------------------------------===//

AffineExpr Node::broadcastSize(AffineExpr dim, const Element &element) {
  if (failed())
    return {};
  if (gr::isConstant(dim, 1))
    return sizeOf(*this, element, "size");
  if (element.expr &&
      (gr::isConstant(element.expr, 1) || gr::equal(dim, element.expr)))
    return dim;
  Value given = scalarOf(element), own = scalarOf(dim);
  Value fits = either(*this, isEqual(*this, given, 1),
                      compare(gr::Comparison::equal, given, own));
  auto count = gr::constantOf(dim);
  if (count) {
    check(fits);
    return dim;
  }
  Value single = isEqual(*this, own, 1);
  check(either(*this, fits, single));
  // A number that is not 1 is what comes out.
  if (element.expr && gr::constantOf(element.expr))
    return element.expr;
  return importer.readSymbol(select(single, given, own), "size");
}

Value Node::stretch(Value value, ArrayRef<AffineExpr> dims) {
  if (!value || failed())
    return {};
  int64_t offset = int64_t(dims.size()) - rankOf(value);
  for (int64_t i = 0; i < rankOf(value) && offset >= 0; ++i) {
    Dims have = dimsOf(value);
    if (gr::isConstant(have[i], 1) || gr::equal(have[i], dims[i + offset]))
      continue;
    // An index beyond the dimension means its last element: the only one.
    Value index = iota(dims[i + offset], b.getI64Type(), 0);
    have[i] = dims[i + offset];
    RankedTensorType result = type(have, elementOf(value));
    if (!index || !result)
      return {};
    value = gr::GatherOp::create(b, loc, result, value, index,
                                 b.getI64IntegerAttr(i));
  }
  return value;
}

//===----------------------------------------------------------------------===//
// Operators
//===----------------------------------------------------------------------===//

Value aicc::onnx::reshapeWhenRun(Node &n, Value x,
                                 ArrayRef<Node::Element> wanted,
                                 bool allowZero) {
  if (!x || n.failed())
    return {};
  Dims from = dimsOf(x), dims;
  Type i64 = n.b.getI64Type();
  Value one = n.integerScalar(1, i64), rest = one;
  // A 0 copies a dimension, -1 is what the others leave.
  SmallVector<Value> values;
  SmallVector<bool> open;
  for (auto [i, element] : llvm::enumerate(wanted)) {
    Value value = n.scalarOf(element);
    if (!allowZero && i < from.size() &&
        (!element.expr || gr::isConstant(element.expr, 0)))
      value = n.select(isEqual(n, value, 0), n.scalarOf(from[i]), value);
    bool unknown = !element.expr || gr::isConstant(element.expr, -1);
    open.push_back(unknown);
    values.push_back(value);
    rest = n.multiply(
        rest, unknown ? n.select(isEqual(n, value, -1), one, value) : value);
  }
  Value total = n.scalarOf(gr::numElements(tensorType(x)));
  Value left = n.divide(total, n.maximum(rest, one));
  for (auto [i, element] : llvm::enumerate(wanted)) {
    if (!open[i]) {
      bool copies = !allowZero && gr::isConstant(element.expr, 0);
      if (!n.require(!copies || i < from.size(), "the shape copies dimension " +
                                                     Twine(i) + " of " +
                                                     Twine(from.size())))
        return {};
      dims.push_back(copies ? from[i] : element.expr);
      continue;
    }
    Value size = n.select(isEqual(n, values[i], -1), left, values[i]);
    dims.push_back(n.importer.readSymbol(size, "size"));
  }
  if (n.failed())
    return {};
  return n.reshape(x, dims);
}

/// x along one axis at `indices`, which are not negative.
static Value take(Node &n, Value x, Value indices, int64_t axis) {
  if (!x || !indices || n.failed())
    return {};
  Dims dims = dimsOf(x);
  dims[axis] = dimsOf(indices)[0];
  RankedTensorType type = n.type(dims, elementOf(x));
  return type ? Value(gr::GatherOp::create(n.b, n.loc, type, x, indices,
                                           n.b.getI64IntegerAttr(axis)))
              : Value();
}

static Value isLess(Node &n, Value a, Value b) {
  return n.compare(gr::Comparison::less, a, b);
}

/// a / b rounded up, or 0 where that is negative.
static Value stepsOf(Node &n, Value a, Value b) {
  Type type = n.b.getI64Type();
  Value zero = n.integerScalar(0, type), one = n.integerScalar(1, type);
  Value quotient = n.divide(a, b);
  // Truncation rounds down what is positive.
  Value rounded =
      n.compare(gr::Comparison::not_equal, n.multiply(quotient, b), a);
  Value positive =
      n.compare(gr::Comparison::equal, isLess(n, a, zero), isLess(n, b, zero));
  Value more = n.binary<gr::AndOp>(rounded, positive);
  return n.maximum(n.select(more, n.add(quotient, one), quotient), zero);
}

Value aicc::onnx::sliceWhenRun(Node &n, Value x, int64_t axis,
                               Node::Element first, Node::Element last,
                               Node::Element by) {
  if (!x || n.failed())
    return {};
  Type i64 = n.b.getI64Type();
  Value zero = n.integerScalar(0, i64), one = n.integerScalar(1, i64);
  Value size = n.scalarOf(dimsOf(x)[axis]), step = n.scalarOf(by);
  Value back = isLess(n, step, zero);
  // Backwards the bounds are -1 to size - 1, forwards 0 to size.
  Value low = n.select(back, n.integerScalar(-1, i64), zero);
  Value high = n.select(back, n.subtract(size, one), size);
  auto bound = [&](Node::Element element) {
    Value at = n.scalarOf(element);
    at = n.select(isLess(n, at, zero), n.add(at, size), at);
    return n.minimum(n.maximum(at, low), high);
  };
  n.check(n.compare(gr::Comparison::not_equal, step, zero));
  Value start = bound(first), end = bound(last);
  AffineExpr count =
      n.importer.readSymbol(stepsOf(n, n.subtract(end, start), step), "size");
  if (n.failed())
    return {};
  Value at = n.add(n.multiply(n.iota(count, i64, 0), step), start);
  return take(n, x, at, axis);
}

Value aicc::onnx::padWhenRun(Node &n, Value x, Value fill, int64_t axis,
                             Node::Element before, Node::Element after,
                             gr::PadMode mode) {
  if (!x || !fill || n.failed())
    return {};
  Type i64 = n.b.getI64Type();
  Value zero = n.integerScalar(0, i64), one = n.integerScalar(1, i64);
  Value size = n.scalarOf(dimsOf(x)[axis]), low = n.scalarOf(before);
  Value total = n.add(n.add(size, low), n.scalarOf(after));
  AffineExpr count = n.importer.readSymbol(total, "size");
  if (n.failed())
    return {};
  Value at = n.subtract(n.iota(count, i64, 0), low);
  Value inside = n.binary<gr::AndOp>(
      n.compare(gr::Comparison::greater_equal, at, zero), isLess(n, at, size));
  // The remainder has the sign of the dividend.
  auto modulo = [&](Value a, Value b) {
    Value rest = n.binary<gr::RemainderOp>(a, b);
    return n.select(isLess(n, rest, zero), n.add(rest, b), rest);
  };
  Value last = n.subtract(size, one);
  if (mode == gr::PadMode::wrap)
    at = modulo(at, n.maximum(size, one));
  if (mode == gr::PadMode::reflect) {
    Value period = n.maximum(n.add(last, last), one);
    at = modulo(at, period);
    at = n.select(isLess(n, last, at), n.subtract(period, at), at);
  }
  at = n.maximum(n.minimum(at, last), zero);
  Value result = take(n, x, at, axis);
  if (mode != gr::PadMode::constant || !result)
    return result;
  return n.select(n.broadcastIn(inside, dimsOf(result), {axis}), result,
                  n.broadcastTo(fill, dimsOf(result)));
}

Value aicc::onnx::rangeWhenRun(Node &n, Value start, Value limit, Value delta) {
  if (!start || !limit || !delta || n.failed())
    return {};
  Type element = elementOf(start), i64 = n.b.getI64Type();
  Value count;
  if (isa<FloatType>(element)) {
    Type wide = n.b.getF64Type();
    Value steps = n.divide(n.subtract(n.cast(limit, wide), n.cast(start, wide)),
                           n.cast(delta, wide));
    if (steps)
      steps = gr::CeilOp::create(n.b, n.loc, steps.getType(), steps);
    count = n.cast(n.maximum(steps, 0.0), i64);
  } else {
    Value by = n.cast(delta, i64);
    n.check(n.compare(gr::Comparison::not_equal, by, n.integerScalar(0, i64)));
    count = stepsOf(n, n.subtract(n.cast(limit, i64), n.cast(start, i64)), by);
  }
  AffineExpr size = n.importer.readSymbol(count, "count");
  if (n.failed())
    return {};
  // Narrow floats hold neither the index nor the product exactly.
  bool narrow = isa<FloatType>(element) && element.getIntOrFloatBitWidth() < 32;
  Type inner = narrow ? Type(n.b.getF32Type()) : element;
  Value steps = n.cast(n.iota(size, i64, 0), inner);
  return n.cast(
      n.add(n.multiply(steps, n.cast(delta, inner)), n.cast(start, inner)),
      element);
}
