//===- Analysis.cpp - what kind of kernel it is ---------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/gpu/Analysis.h"

#include "dialects/graph/Dims.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include <set>

using namespace mlir;
using namespace aicc;
using namespace aicc::gpu;

namespace {
/// Walks producers with indices as expressions.
struct Tracer {
  SmallVector<Request> requests;
  SmallVector<ArgumentRead> reads;
  std::set<std::vector<const void *>> seen;

  void tensor(Value tensor, ArrayRef<AffineExpr> index);
  void body(linalg::GenericOp generic, ArrayRef<AffineExpr> loops);
};
} // namespace

static AffineExpr substitute(AffineExpr expr, ArrayRef<AffineExpr> loops) {
  bool known = true;
  expr.walk([&](AffineExpr part) {
    if (auto dim = dyn_cast<AffineDimExpr>(part))
      known &= bool(loops[dim.getPosition()]);
  });
  return known ? expr.replaceDims(loops) : AffineExpr();
}

/// The value of an index in a generic's body; null if it isn't affine.
static AffineExpr indexExpr(Value index, ArrayRef<AffineExpr> loops) {
  Operation *op = index.getDefiningOp();
  if (!op)
    return nullptr;
  MLIRContext *context = op->getContext();
  if (auto loop = dyn_cast<linalg::IndexOp>(op))
    return loops[loop.getDim()];
  if (auto symbol = dyn_cast<exec::SymbolOp>(op))
    return getAffineSymbolExpr(symbol.getNumber(), context);
  if (auto constant = dyn_cast<arith::ConstantIndexOp>(op))
    return getAffineConstantExpr(constant.value(), context);
  SmallVector<AffineExpr> operands;
  for (Value operand : op->getOperands()) {
    operands.push_back(indexExpr(operand, loops));
    if (!operands.back())
      return nullptr;
  }
  if (auto apply = dyn_cast<affine::AffineApplyOp>(op)) {
    AffineMap map = apply.getAffineMap();
    return map.getResult(0).replaceDimsAndSymbols(
        ArrayRef(operands).take_front(map.getNumDims()),
        ArrayRef(operands).drop_front(map.getNumDims()));
  }
  if (isa<arith::AddIOp>(op))
    return operands[0] + operands[1];
  if (isa<arith::SubIOp>(op))
    return operands[0] - operands[1];
  if (isa<arith::MulIOp>(op))
    return operands[0] * operands[1];
  return nullptr;
}

void Tracer::tensor(Value tensor, ArrayRef<AffineExpr> index) {
  auto generic = tensor.getDefiningOp<linalg::GenericOp>();
  auto argument = dyn_cast<BlockArgument>(tensor);
  if (!generic && !argument)
    return;
  std::vector<const void *> key{tensor.getAsOpaquePointer()};
  for (AffineExpr expr : index)
    key.push_back(expr ? expr.getAsOpaquePointer() : nullptr);
  if (!seen.insert(key).second)
    return;
  if (argument) {
    reads.push_back({argument, SmallVector<AffineExpr>(index)});
    return;
  }
  if (generic.getNumReductionLoops()) {
    requests.push_back({generic, SmallVector<AffineExpr>(index)});
    return;
  }
  MLIRContext *context = tensor.getContext();
  SmallVector<AffineExpr> loops(generic.getNumLoops(),
                                getAffineConstantExpr(0, context));
  AffineMap map = generic.getIndexingMapMatchingResult(cast<OpResult>(tensor));
  for (auto [expr, i] : llvm::zip(map.getResults(), index))
    if (auto dim = dyn_cast<AffineDimExpr>(expr))
      loops[dim.getPosition()] = i;
    else
      expr.walk([&](AffineExpr part) { // a group of loops
        if (auto dim = dyn_cast<AffineDimExpr>(part))
          loops[dim.getPosition()] = nullptr;
      });
  body(generic, loops);
}

void Tracer::body(linalg::GenericOp generic, ArrayRef<AffineExpr> loops) {
  for (OpOperand &operand : generic->getOpOperands()) {
    if (!isa<RankedTensorType>(operand.get().getType()) ||
        generic.getMatchingBlockArgument(&operand).use_empty())
      continue;
    SmallVector<AffineExpr> index;
    for (AffineExpr expr :
         generic.getMatchingIndexingMap(&operand).getResults())
      index.push_back(substitute(expr, loops));
    tensor(operand.get(), index);
  }
  for (Operation &op : generic.getBlock()->without_terminator())
    if (auto extract = dyn_cast<tensor::ExtractOp>(op)) {
      SmallVector<AffineExpr> index;
      for (Value i : extract.getIndices())
        index.push_back(indexExpr(i, loops));
      tensor(extract.getTensor(), index);
    }
}

static SmallVector<AffineExpr> dimExprs(unsigned count, MLIRContext *context) {
  SmallVector<AffineExpr> dims;
  for (unsigned i = 0; i < count; ++i)
    dims.push_back(getAffineDimExpr(i, context));
  return dims;
}

SmallVector<Request> aicc::gpu::requestsOf(Value tensor) {
  Tracer tracer;
  tracer.tensor(tensor,
                dimExprs(cast<RankedTensorType>(tensor.getType()).getRank(),
                         tensor.getContext()));
  return tracer.requests;
}

SmallVector<ArgumentRead> aicc::gpu::readsOf(Value tensor) {
  Tracer tracer;
  tracer.tensor(tensor,
                dimExprs(cast<RankedTensorType>(tensor.getType()).getRank(),
                         tensor.getContext()));
  return tracer.reads;
}

SmallVector<Request> aicc::gpu::requestsOfBody(linalg::GenericOp generic) {
  Tracer tracer;
  tracer.body(generic, dimExprs(generic.getNumLoops(), generic.getContext()));
  return tracer.requests;
}

SmallVector<ArgumentRead> aicc::gpu::readsOfBody(linalg::GenericOp generic) {
  Tracer tracer;
  tracer.body(generic, dimExprs(generic.getNumLoops(), generic.getContext()));
  return tracer.reads;
}

llvm::SmallBitVector aicc::gpu::loopsUsed(linalg::GenericOp generic,
                                          Value inBody) {
  llvm::SmallBitVector used(generic.getNumLoops());
  SmallVector<Value> work{inBody};
  llvm::DenseSet<Value> seen;
  while (!work.empty()) {
    Value value = work.pop_back_val();
    if (!seen.insert(value).second)
      continue;
    if (auto argument = dyn_cast<BlockArgument>(value)) {
      if (argument.getOwner() != generic.getBlock())
        continue;
      OpOperand &operand = generic->getOpOperand(argument.getArgNumber());
      AffineMap map = generic.getMatchingIndexingMap(&operand);
      for (unsigned dim = 0; dim < map.getNumDims(); ++dim)
        if (map.isFunctionOfDim(dim))
          used.set(dim);
      continue;
    }
    Operation *op = value.getDefiningOp();
    if (op->getBlock() != generic.getBlock())
      continue;
    if (auto index = dyn_cast<linalg::IndexOp>(op))
      used.set(index.getDim());
    work.append(op->operand_begin(), op->operand_end());
  }
  return used;
}

/// Whether a value of the body depends on an accumulator.
static bool usesAccumulator(linalg::GenericOp generic, Value inBody) {
  SmallVector<Value> work{inBody};
  llvm::DenseSet<Value> seen;
  while (!work.empty()) {
    Value value = work.pop_back_val();
    if (!seen.insert(value).second)
      continue;
    if (auto argument = dyn_cast<BlockArgument>(value)) {
      if (argument.getOwner() == generic.getBlock() &&
          argument.getArgNumber() >= generic.getNumDpsInputs())
        return true;
      continue;
    }
    work.append(value.getDefiningOp()->operand_begin(),
                value.getDefiningOp()->operand_end());
  }
  return false;
}

Operation *aicc::gpu::combinerOf(linalg::GenericOp generic) {
  if (generic.getNumResults() != 1)
    return nullptr;
  Operation *op =
      generic.getBlock()->getTerminator()->getOperand(0).getDefiningOp();
  if (!op || op->getNumOperands() != 2 ||
      !isa<arith::AddFOp, arith::AddIOp, arith::MulFOp, arith::MulIOp,
           arith::MaximumFOp, arith::MinimumFOp, arith::MaxNumFOp,
           arith::MinNumFOp, arith::MaxSIOp, arith::MinSIOp, arith::MaxUIOp,
           arith::MinUIOp, arith::AndIOp, arith::OrIOp, arith::XOrIOp>(op) ||
      !arith::getNeutralElement(op))
    return nullptr;
  Value accumulator = generic.getRegionOutputArgs()[0];
  for (unsigned side : {0, 1})
    if (op->getOperand(side) == accumulator &&
        !usesAccumulator(generic, op->getOperand(1 - side)))
      return op;
  return nullptr;
}

/// Whether a tensor is zero everywhere by how it is made.
static bool isFilledWithZero(Value tensor) {
  Value filled = tensor;
  if (auto fill = tensor.getDefiningOp<linalg::GenericOp>())
    filled = fill.getNumDpsInputs() ? Value() : yielded(fill);
  Attribute constant;
  return filled && (matchPattern(filled, m_Zero()) ||
                    (matchPattern(filled, m_Constant(&constant)) &&
                     matchPattern(constant, m_Zero())));
}

std::optional<BestElement>
aicc::gpu::matchBestElement(linalg::GenericOp generic) {
  if (generic.getNumResults() != 2 || generic.getNumReductionLoops() != 1)
    return std::nullopt;
  Operation *end = generic.getBlock()->getTerminator();
  auto best = end->getOperand(0).getDefiningOp<arith::SelectOp>(),
       place = end->getOperand(1).getDefiningOp<arith::SelectOp>();
  if (!best || !place || best.getCondition() != place.getCondition() ||
      best.getFalseValue() != generic.getRegionOutputArgs()[0] ||
      place.getFalseValue() != generic.getRegionOutputArgs()[1] ||
      usesAccumulator(generic, best.getTrueValue()) ||
      !isFilledWithZero(generic.getDpsInits()[1]))
    return std::nullopt;
  auto cast = place.getTrueValue().getDefiningOp<arith::IndexCastOp>();
  auto index = cast ? cast.getIn().getDefiningOp<linalg::IndexOp>() : nullptr;
  SmallVector<unsigned> reduced;
  generic.getReductionDims(reduced);
  if (!index || index.getDim() != reduced[0])
    return std::nullopt;
  SmallVector<Value> work{best.getCondition()};
  while (!work.empty()) {
    Value value = work.pop_back_val();
    if (value == best.getTrueValue() || value == best.getFalseValue())
      continue;
    Operation *op = value.getDefiningOp();
    if (!op || isa<linalg::IndexOp>(op))
      return std::nullopt;
    work.append(op->operand_begin(), op->operand_end());
  }
  return BestElement{best.getTrueValue(), place.getTrueValue(),
                     best.getCondition()};
}

std::optional<Contraction>
aicc::gpu::matchContraction(linalg::GenericOp generic) {
  Operation *sum = combinerOf(generic);
  if (!generic.getNumReductionLoops() || !sum ||
      !isa<arith::AddFOp, arith::AddIOp>(sum))
    return std::nullopt;
  Value accumulator = generic.getRegionOutputArgs()[0];
  Value product = sum->getOperand(sum->getOperand(0) == accumulator ? 1 : 0);
  Operation *mul = product.getDefiningOp();
  if (!mul || !isa<arith::MulFOp, arith::MulIOp>(mul))
    return std::nullopt;
  AffineMap result = generic.getIndexingMapMatchingResult(
      cast<OpResult>(generic.getResult(0)));
  Contraction c{generic, mul->getOperand(0), mul->getOperand(1), {}, {}, {},
                {}};
  llvm::SmallBitVector a = loopsUsed(generic, c.a), b = loopsUsed(generic, c.b);
  SmallVector<unsigned> order; // parallel loops in the result's order
  for (AffineExpr expr : result.getResults())
    expr.walk([&](AffineExpr part) {
      if (auto dim = dyn_cast<AffineDimExpr>(part))
        order.push_back(dim.getPosition());
    });
  if (order.size() + generic.getNumReductionLoops() != generic.getNumLoops())
    return std::nullopt; // a loop is missing or there twice
  for (unsigned dim : order)
    (a[dim] == b[dim] ? c.batch : a[dim] ? c.rows : c.columns).push_back(dim);
  generic.getReductionDims(c.reduced);
  if (!c.rows.empty() && !c.columns.empty() && order.back() == c.rows.back()) {
    std::swap(c.a, c.b);
    std::swap(c.rows, c.columns);
  }
  return c;
}

linalg::GenericOp aicc::gpu::soleReduction(exec::KernelOp kernel) {
  linalg::GenericOp reduction;
  for (Value tensor : kernel.getBodyBlock()->getTerminator()->getOperands()) {
    SmallVector<Request> requests = requestsOf(tensor);
    if (requests.size() != 1 || (reduction && requests[0].generic != reduction))
      return nullptr;
    reduction = requests[0].generic;
    SmallVector<AffineExpr> dims =
        aicc::gpu::dimsOf(kernel, reduction->getResult(0));
    SmallVector<unsigned> seen;
    for (auto [expr, size] : llvm::zip(requests[0].index, dims)) {
      if (size && graph::isConstant(size, 1))
        continue;
      auto dim = dyn_cast_or_null<AffineDimExpr>(expr);
      if (!dim || llvm::is_contained(seen, dim.getPosition()))
        return nullptr;
      seen.push_back(dim.getPosition());
    }
    // No dimension of the result beyond the reduction's: it would be repeated.
    for (auto [i, size] : llvm::enumerate(aicc::gpu::dimsOf(kernel, tensor)))
      if (!(size && graph::isConstant(size, 1)) && !llvm::is_contained(seen, i))
        return nullptr;
  }
  return reduction;
}

SmallVector<unsigned> aicc::gpu::rowDims(exec::KernelOp kernel, Value result) {
  SmallVector<unsigned> dims;
  for (auto [i, size] : llvm::enumerate(aicc::gpu::dimsOf(kernel, result)))
    if (!size || !graph::isConstant(size, 1))
      dims.push_back(i);
  return dims;
}

namespace {
struct RowMatcher {
  exec::KernelOp kernel;
  Rows rows;
  bool first = true;

  bool space(Value reduction);
  bool stage(linalg::GenericOp generic);
  bool result(Value tensor);
};
} // namespace

/// All reductions must have the same space of rows.
bool RowMatcher::space(Value reduction) {
  SmallVector<AffineExpr> dims = aicc::gpu::dimsOf(kernel, reduction), sizes;
  for (unsigned i : rowDims(kernel, reduction))
    sizes.push_back(dims[i]);
  if (llvm::is_contained(sizes, AffineExpr()))
    return false;
  if (first) {
    rows.sizes = sizes;
    first = false;
  }
  return sizes.size() == rows.sizes.size() &&
         llvm::all_of(llvm::zip(sizes, rows.sizes), [](auto pair) {
           return graph::equal(std::get<0>(pair), std::get<1>(pair));
         });
}

/// The dimensions that a request's row index consists of; empty if it isn't
/// made of different plain dimensions.
static std::optional<SmallVector<unsigned>> plainDims(exec::KernelOp kernel,
                                                      const Request &request) {
  SmallVector<unsigned> dims;
  Value result = request.generic->getResult(0);
  for (unsigned i : rowDims(kernel, result)) {
    auto dim = dyn_cast_or_null<AffineDimExpr>(request.index[i]);
    if (!dim || llvm::is_contained(dims, dim.getPosition()))
      return std::nullopt;
    dims.push_back(dim.getPosition());
  }
  return dims;
}

bool RowMatcher::stage(linalg::GenericOp generic) {
  if (llvm::is_contained(rows.stages, generic))
    return true;
  if (!space(generic->getResult(0)))
    return false;
  AffineMap map = generic.getIndexingMapMatchingResult(
      cast<OpResult>(generic.getResult(0)));
  SmallVector<unsigned> own;
  for (unsigned i : rowDims(kernel, generic->getResult(0))) {
    auto dim = dyn_cast<AffineDimExpr>(map.getResult(i));
    if (!dim)
      return false;
    own.push_back(dim.getPosition());
  }
  for (const Request &request : requestsOfBody(generic))
    if (plainDims(kernel, request) != own || !stage(request.generic))
      return false;
  rows.stages.push_back(generic);
  return true;
}

bool RowMatcher::result(Value tensor) {
  std::optional<SmallVector<unsigned>> dims;
  for (const Request &request : requestsOf(tensor)) {
    auto plain = plainDims(kernel, request);
    if (!plain || (dims && *dims != *plain) || !stage(request.generic))
      return false;
    dims = plain;
  }
  if (!dims)
    return false;
  rows.resultDims.push_back(*dims);
  return true;
}

std::optional<Rows> aicc::gpu::matchRows(exec::KernelOp kernel) {
  RowMatcher matcher{kernel, {}, true};
  for (Value tensor : kernel.getBodyBlock()->getTerminator()->getOperands())
    if (!matcher.result(tensor))
      return std::nullopt;
  return matcher.rows;
}

/// What a value of a body is: of a tensor that is computed in the kernel, what
/// is computed there.
static Value sourceOf(Value inBody) {
  while (auto argument = dyn_cast<BlockArgument>(inBody)) {
    auto generic =
        dyn_cast<linalg::GenericOp>(argument.getOwner()->getParentOp());
    if (!generic)
      return inBody;
    auto computed = generic->getOpOperand(argument.getArgNumber())
                        .get()
                        .getDefiningOp<linalg::GenericOp>();
    if (!computed || computed.getNumResults() != 1)
      return inBody;
    inBody = computed.getBlock()->getTerminator()->getOperand(0);
  }
  return inBody;
}

llvm::DenseSet<Operation *>
aicc::gpu::roundedExponentials(exec::KernelOp kernel, const Rows &rows) {
  llvm::DenseSet<Operation *> found;
  if (!llvm::all_of(kernel.getResultTypes(), [](Attribute type) {
        Type element = getElementTypeOrSelf(cast<TypeAttr>(type).getValue());
        return isa<FloatType>(element) && element.getIntOrFloatBitWidth() <= 16;
      }))
    return found;
  auto isMaximum = [&](Value value) {
    Operation *op = sourceOf(value).getDefiningOp();
    return isa_and_nonnull<arith::MaximumFOp, arith::MaxNumFOp>(op) &&
           llvm::any_of(rows.stages, [&](linalg::GenericOp stage) {
             return combinerOf(stage) == op;
           });
  };
  kernel.walk([&](math::ExpOp exponential) {
    auto less =
        sourceOf(exponential.getOperand()).getDefiningOp<arith::SubFOp>();
    if (less && exponential.getType().isF32() && isMaximum(less.getRhs()))
      found.insert(exponential);
  });
  return found;
}
