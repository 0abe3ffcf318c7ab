//===- Products.cpp - lowering of products and convolutions ---------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each is one generic that multiplies and adds into a zero init. Loops are in
// the order of the result's dimensions, then those that are summed over.
//
//===----------------------------------------------------------------------===//

#include "compiler/lowering/NarrowFloats.h"
#include "compiler/lowering/Writer.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

using namespace mlir;
using namespace aicc;
using namespace aicc::lowering;
using graph::constantOf;
using graph::dimOf;
using graph::dimsOf;
using graph::isConstant;
using graph::ReduceKind;

namespace {

/// A generic that sums products, being put together.
struct Product {
  Writer &w;
  Type accumulator;
  RankedTensorType result;
  unsigned loops = 0;
  SmallVector<unsigned> summed;
  SmallVector<Value> ins;
  SmallVector<AffineMap> maps;

  AffineExpr loop() { return w.d(loops++); }
  AffineExpr sumLoop() {
    summed.push_back(loops);
    return w.d(loops++);
  }

  /// Adds an input whose elements nobody reads: its shape bounds loops that
  /// no other operand has as a plain dimension.
  void bound(ArrayRef<AffineExpr> dims, ArrayRef<AffineExpr> exprs) {
    ins.push_back(w.empty(dims, result.getElementType()));
    shapes.push_back(Dims(exprs));
  }
  SmallVector<Dims> shapes;

  /// The sum of x * y over the summed loops; `factors` gives x and y.
  Value
  write(ArrayRef<AffineExpr> out,
        llvm::function_ref<std::pair<Value, Value>(LocBuilder &, ValueRange)>
            factors) {
    for (Dims &exprs : shapes)
      maps.push_back(w.map(loops, exprs));
    Value init =
        w.fill(dimsOf(result), identityOf(ReduceKind::sum, accumulator));
    Value sum = w.generic(
        ins, maps, init, w.map(loops, out), loops, summed,
        [&](LocBuilder &b, ValueRange args) -> SmallVector<Value> {
          auto [x, y] = factors(b, args);
          Value product = combine(b, ReduceKind::product, accumulator, x, y);
          return {
              combine(b, ReduceKind::sum, accumulator, args.back(), product)};
        })[0];
    Type element = result.getElementType();
    if (signless(element) == signless(accumulator))
      return sum;
    return w.elementwise(
        dimsOf(result), element, sum, w.identity(result.getRank()),
        [&](LocBuilder &b, ValueRange args) -> SmallVector<Value> {
          return {convertElement(b, args[0], accumulator, element)};
        });
  }
};

/// An operand in the accumulator's type. 8-bit floats keep their type up to the
/// extension, where code generators look for it.
Value extendOperand(LocBuilder &b, Value x, Type from, Type to) {
  if (!isNarrowFloat(from) || from.getIntOrFloatBitWidth() != 8 ||
      !isa<FloatType>(to))
    return convertElement(b, x, from, to);
  Value typed = arith::BitcastOp::create(b, from, x);
  return arith::ExtFOp::create(b, to, typed);
}

/// The type to accumulate in, for operands and a result of given types.
Type accumulate(Type operand, Type result) {
  Type wide = accumulatorType(operand);
  bool wider = result.isIntOrFloat() && wide.isIntOrFloat() &&
               result.getIntOrFloatBitWidth() > wide.getIntOrFloatBitWidth();
  return wider || isa<FloatType>(result) != isa<FloatType>(wide) ? result
                                                                 : wide;
}

//===----------------------------------------------------------------------===//
// DotGeneralOp
//===----------------------------------------------------------------------===//

struct LowerDotGeneral : OpRewritePattern<graph::DotGeneralOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(graph::DotGeneralOp op,
                                PatternRewriter &rewriter) const override {
    Writer w(rewriter, op);
    RankedTensorType lhs = op.getLhs().getType(), rhs = op.getRhs().getType();
    Type left = lhs.getElementType(), right = rhs.getElementType();
    Product product{w,
                    accumulate(left, op.getType().getElementType()),
                    op.getType(),
                    0,
                    {},
                    {},
                    {},
                    {}};
    int64_t packed = op.getRhsPacked();
    Dims l(lhs.getRank()), r(packed ? 2 : rhs.getRank()), out;
    for (auto [i, j] : llvm::zip(op.getLhsBatch(), op.getRhsBatch())) {
      out.push_back(product.loop());
      l[i] = r[j] = out.back();
    }
    auto addFree = [&](Dims &exprs, ArrayRef<int64_t> contracting) {
      for (auto [i, expr] : llvm::enumerate(exprs))
        if (!expr &&
            !llvm::is_contained(contracting, static_cast<int64_t>(i))) {
          out.push_back(product.loop());
          expr = out.back();
        }
    };
    addFree(l, op.getLhsContracting());
    addFree(r, op.getRhsContracting());
    for (auto [i, j] :
         llvm::zip(op.getLhsContracting(), op.getRhsContracting()))
      l[i] = r[j] = product.sumLoop();
    if (packed) {
      AffineExpr k = r[0], n = r[1];
      r = {n.floorDiv(packed), k, n % packed};
    }
    product.ins = {w.lowered(op.getLhs()), w.lowered(op.getRhs())};
    product.maps = {w.map(product.loops, l), w.map(product.loops, r)};
    w.replace(product.write(out, [&](LocBuilder &b, ValueRange args) {
      return std::pair(extendOperand(b, args[0], left, product.accumulator),
                       extendOperand(b, args[1], right, product.accumulator));
    }));
    return success();
  }
};

//===----------------------------------------------------------------------===//
// ConvolutionOp
//===----------------------------------------------------------------------===//

struct LowerConvolution : OpRewritePattern<graph::ConvolutionOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(graph::ConvolutionOp op,
                                PatternRewriter &rewriter) const override;
};

LogicalResult
LowerConvolution::matchAndRewrite(graph::ConvolutionOp op,
                                  PatternRewriter &rewriter) const {
  Writer w(rewriter, op);
  RankedTensorType type = op.getOperand().getType();
  RankedTensorType filter = op.getFilter().getType();
  Type element = type.getElementType(), weight = filter.getElementType();
  Product product{w,
                  accumulate(element, op.getType().getElementType()),
                  op.getType(),
                  0,
                  {},
                  {},
                  {},
                  {}};
  unsigned spatial = type.getRank() - 2;
  int64_t groups = op.getGroups(), packed = op.getPacked();
  bool last = op.getChannelsLast();
  unsigned featureAt = last ? op.getType().getRank() - 1 : 1;
  AffineExpr features = dimOf(op.getType(), featureAt);
  AffineExpr each = dimOf(filter, packed ? spatial + 1
                                  : last ? spatial
                                         : 1); // C / groups
  bool depthwise =
      groups > 1 && isConstant(each, 1) && isConstant(features, groups);

  // The result's loops; a grouped convolution has one for the group and one
  // for the feature within it.
  AffineExpr n = product.loop(), group, feature, f;
  AffineExpr perGroup = graph::simplify(features.floorDiv(groups));
  auto featureLoops = [&] {
    if (groups > 1 && !depthwise) {
      group = product.loop();
      f = product.loop();
      auto size = constantOf(perGroup);
      feature = group * (size ? AffineExpr(w.c(*size)) : w.c(1)) + f;
    } else {
      feature = product.loop();
    }
  };
  if (!last)
    featureLoops();
  Dims o;
  for (unsigned i = 0; i < spatial; ++i)
    o.push_back(product.loop());
  if (last)
    featureLoops();
  Dims k;
  for (unsigned i = 0; i < spatial; ++i)
    k.push_back(product.sumLoop());
  AffineExpr channel = depthwise ? feature : product.sumLoop();
  AffineExpr within = depthwise ? w.c(0) : channel;
  if (group) {
    auto size = constantOf(each);
    if (!size || !constantOf(perGroup))
      return op.emitOpError() << "has groups of " << graph::toString(each)
                              << " channels, expected a number";
    channel = group * *size + channel;
    product.bound({w.c(groups), perGroup}, {group, f});
  }

  bool padded = false;
  for (unsigned i = 0; i < spatial; ++i)
    padded |= op.getLow()[i] > 0 || op.getHigh()[i] > 0;
  Dims position;
  for (unsigned i = 0; i < spatial; ++i)
    position.push_back(o[i] * op.getStrides()[i] + k[i] * op.getDilations()[i] -
                       op.getLow()[i]);
  Dims x = {n}, y, out = {n};
  if (!last) {
    x.push_back(channel);
    out.push_back(feature);
  }
  x.append(position);
  out.append(o);
  if (last) {
    x.push_back(channel);
    out.push_back(feature);
  }
  if (packed) {
    y.push_back(feature.floorDiv(packed));
    y.append(k);
    y.append({within, feature % packed});
  } else if (last) {
    y.append(k);
    y.append({within, feature});
  } else {
    y.append({feature, within});
    y.append(k);
  }

  Value operand = w.lowered(op.getOperand());
  // Inputs before the shape that `bound` added.
  SmallVector<Value> ins = {w.lowered(op.getFilter())};
  product.maps = {w.map(product.loops, y)};
  if (!padded) {
    ins.insert(ins.begin(), operand);
    product.maps.insert(product.maps.begin(), w.map(product.loops, x));
  }
  product.ins.insert(product.ins.begin(), ins.begin(), ins.end());
  SmallVector<Value> sizes;
  if (padded)
    sizes = w.sizes(dimsOf(type));
  w.replace(product.write(out, [&](LocBuilder &b, ValueRange args) {
    Type wide = product.accumulator;
    if (!padded)
      return std::pair(extendOperand(b, args[0], element, wide),
                       extendOperand(b, args[1], weight, wide));
    // Zeros around the operand: read inside it and select.
    SmallVector<Value> loops = loopIndices(b, product.loops), at;
    Value inside;
    for (auto [i, expr] : llvm::enumerate(x)) {
      Value value = indexOf(b, expr, loops);
      unsigned space = i - (last ? 1 : 2);
      if (space < spatial && (op.getLow()[space] || op.getHigh()[space])) {
        inside = andBits(b, inside, insideIndex(b, value, sizes[i]));
        value = clampIndex(b, value, sizes[i]);
      }
      at.push_back(value);
    }
    Value read = extendOperand(b, extract(b, operand, at), element, wide);
    Value zero =
        arith::ConstantOp::create(b, identityOf(ReduceKind::sum, wide));
    return std::pair<Value, Value>(
        arith::SelectOp::create(b, inside, read, zero),
        extendOperand(b, args[0], weight, wide));
  }));
  return success();
}

//===----------------------------------------------------------------------===//
// ConvolutionTransposeOp
//===----------------------------------------------------------------------===//

/// Gathers: result element o receives operand element i through kernel
/// position k where i * stride + k * dilation - low = o.
struct LowerConvolutionTranspose
    : OpRewritePattern<graph::ConvolutionTransposeOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(graph::ConvolutionTransposeOp op,
                                PatternRewriter &rewriter) const override;
};

/// Whether the windows tile the result, so that each element has one source.
bool tiles(graph::ConvolutionTransposeOp op) {
  for (unsigned i = 0; i + 2 < op.getType().getRank(); ++i)
    if (op.getLow()[i] != 0 || op.getHigh()[i] != 0 || op.getExtra()[i] != 0 ||
        op.getDilations()[i] != 1 ||
        !isConstant(dimOf(op.getFilter().getType(), i + 2), op.getStrides()[i]))
      return false;
  return true;
}

LogicalResult
LowerConvolutionTranspose::matchAndRewrite(graph::ConvolutionTransposeOp op,
                                           PatternRewriter &rewriter) const {
  Writer w(rewriter, op);
  RankedTensorType type = op.getOperand().getType();
  RankedTensorType filter = op.getFilter().getType();
  Type element = type.getElementType();
  Product product{w, accumulate(element, element), op.getType(), 0, {}, {}, {},
                  {}};
  unsigned spatial = type.getRank() - 2;
  int64_t groups = op.getGroups();
  auto perGroup = constantOf(dimOf(filter, 1));
  auto channels = constantOf(dimOf(type, 1));
  if (groups > 1 && (!perGroup || !channels))
    return op.emitOpError()
           << "has groups of " << graph::toString(dimOf(filter, 1))
           << " features, expected a number";
  AffineExpr n = product.loop(), group, f, feature, channel;
  if (groups > 1) {
    group = product.loop();
    f = product.loop();
    feature = group * *perGroup + f;
  } else {
    feature = f = product.loop();
  }
  Dims o, k;
  for (unsigned i = 0; i < spatial; ++i)
    o.push_back(product.loop());
  AffineExpr c = product.sumLoop();
  channel = c;
  if (groups > 1) {
    channel = group * (*channels / groups) + c;
    product.bound({w.c(groups), w.c(*channels / groups)}, {group, c});
  }
  bool tiled = tiles(op);
  Dims x = {n, channel}, y = {channel, f}, out = {n, feature};
  for (unsigned i = 0; i < spatial; ++i) {
    int64_t stride = op.getStrides()[i];
    if (tiled) {
      x.push_back(o[i].floorDiv(stride));
      y.push_back(o[i] % stride);
    } else {
      k.push_back(product.sumLoop());
      y.push_back(k.back());
    }
  }
  out.append(o);
  Value operand = w.lowered(op.getOperand());
  SmallVector<Value> ins = {w.lowered(op.getFilter())};
  product.maps = {w.map(product.loops, y)};
  if (tiled) {
    ins.insert(ins.begin(), operand);
    product.maps.insert(product.maps.begin(), w.map(product.loops, x));
  }
  product.ins.insert(product.ins.begin(), ins.begin(), ins.end());
  SmallVector<Value> sizes;
  if (!tiled)
    sizes = w.sizes(dimsOf(type));
  w.replace(product.write(out, [&](LocBuilder &b, ValueRange args) {
    Type wide = product.accumulator;
    if (tiled)
      return std::pair(convertElement(b, args[0], element, wide),
                       convertElement(b, args[1], element, wide));
    SmallVector<Value> loops = loopIndices(b, product.loops);
    SmallVector<Value> at = {indexOf(b, n, loops), indexOf(b, channel, loops)};
    Value meets;
    for (unsigned i = 0; i < spatial; ++i) {
      int64_t stride = op.getStrides()[i];
      Value scaled = indexOf(
          b, o[i] + op.getLow()[i] - k[i] * op.getDilations()[i], loops);
      // Below zero the division rounds up, but then `scaled` is negative and
      // nothing meets.
      Value from = scaled;
      if (stride > 1) {
        from = arith::DivSIOp::create(b, scaled, index(b, stride));
        Value exact = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, scaled,
                                            mulIndex(b, from, stride));
        meets = andBits(b, meets, exact);
      }
      meets = andBits(b, meets, insideIndex(b, from, sizes[i + 2]));
      at.push_back(clampIndex(b, from, sizes[i + 2]));
    }
    Value read = convertElement(b, extract(b, operand, at), element, wide);
    Value zero =
        arith::ConstantOp::create(b, identityOf(ReduceKind::sum, wide));
    if (meets)
      read = arith::SelectOp::create(b, meets, read, zero);
    return std::pair<Value, Value>(read,
                                   convertElement(b, args[0], element, wide));
  }));
  return success();
}

} // namespace

void lowering::populateProducts(RewritePatternSet &patterns) {
  patterns.add<LowerDotGeneral, LowerConvolution, LowerConvolutionTranspose>(
      patterns.getContext());
}
