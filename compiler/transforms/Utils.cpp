//===- Utils.cpp - what several passes share ------------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/transforms/Utils.h"
#include "compiler/transforms/Evaluate.h"

using namespace mlir;
using namespace aicc::graph;
using llvm::ArrayRef;
using llvm::SmallVector;

namespace aicc::transforms {

bool isFloat8(Type type) {
  return isa<Float8E4M3FNType, Float8E5M2Type, Float8E4M3FNUZType,
             Float8E5M2FNUZType>(getElementTypeOrSelf(type));
}

bool isConstantDerived(Value value) {
  // Preparing a weight takes some dozen steps at most; a limit keeps this
  // cheap.
  constexpr size_t most = 64;
  SmallVector<Value> open = {value};
  llvm::SmallPtrSet<Operation *, 16> seen;
  while (!open.empty()) {
    Operation *op = open.pop_back_val().getDefiningOp();
    if (!op)
      return false;
    if (isa<graph::ConstantOp>(op) || !seen.insert(op).second)
      continue;
    if (seen.size() > most || !canEvaluate(op) || op->getNumOperands() == 0)
      return false;
    llvm::append_range(open, op->getOperands());
  }
  return true;
}

SmallVector<int64_t> inverseOf(ArrayRef<int64_t> permutation) {
  SmallVector<int64_t> inverse(permutation.size());
  for (auto [i, from] : llvm::enumerate(permutation))
    inverse[from] = i;
  return inverse;
}

bool isIdentity(ArrayRef<int64_t> permutation) {
  for (auto [i, from] : llvm::enumerate(permutation))
    if (int64_t(i) != from)
      return false;
  return true;
}

Value transposed(OpBuilder &builder, Location loc, Value value,
                 ArrayRef<int64_t> permutation) {
  SmallVector<int64_t> total(permutation);
  if (auto inner = value.getDefiningOp<TransposeOp>()) {
    total = permute(inner.getPermutation(), permutation);
    value = inner.getOperand();
  }
  if (isIdentity(total))
    return value;
  auto type = cast<RankedTensorType>(value.getType());
  SmallVector<AffineExpr> dims =
      permute<AffineExpr>(dimsOf(type), ArrayRef<int64_t>(total));
  return TransposeOp::create(builder, loc,
                             makeType(dims, type.getElementType()), value,
                             builder.getDenseI64ArrayAttr(total));
}

Value reshaped(OpBuilder &builder, Location loc, Value value,
               ArrayRef<AffineExpr> dims) {
  while (auto inner = value.getDefiningOp<ReshapeOp>())
    value = inner.getOperand();
  auto type = cast<RankedTensorType>(value.getType());
  auto result = makeType(dims, type.getElementType());
  if (result == type)
    return value;
  return ReshapeOp::create(builder, loc, result, value);
}

Operation *cloneWith(OpBuilder &builder, Operation *op, ValueRange operands,
                     ArrayRef<AffineExpr> dims) {
  OperationState state(op->getLoc(), op->getName());
  state.addOperands(operands);
  state.addAttributes(op->getAttrs());
  for (Type type : op->getResultTypes())
    state.addTypes(
        makeType(dims, cast<RankedTensorType>(type).getElementType()));
  return builder.create(state);
}

std::optional<SmallVector<ReshapeGroup>> groupsOf(ArrayRef<AffineExpr> from,
                                                  ArrayRef<AffineExpr> to) {
  SmallVector<ReshapeGroup> groups;
  unsigned i = 0, j = 0;
  while (i < from.size() || j < to.size()) {
    auto add = [&](unsigned m, unsigned n) {
      groups.push_back({i, m, j, n});
      i += m;
      j += n;
      return true;
    };
    if (i < from.size() && j < to.size() && equal(from[i], to[j])) {
      add(1, 1);
      continue;
    }
    bool found = false;
    if (i < from.size() && j < to.size()) {
      AffineExpr product = to[j];
      for (unsigned n = 2; j + n <= to.size() && !found; ++n) {
        product = product * to[j + n - 1];
        found = equal(from[i], product) && !isConstant(to[j], 1) && add(1, n);
      }
      if (found)
        continue;
      product = from[i];
      for (unsigned m = 2; i + m <= from.size() && !found; ++m) {
        product = product * from[i + m - 1];
        found = equal(product, to[j]) && !isConstant(from[i], 1) && add(m, 1);
      }
      if (found)
        continue;
    }
    if (j < to.size() && isConstant(to[j], 1))
      add(0, 1);
    else if (i < from.size() && isConstant(from[i], 1))
      add(1, 0);
    else
      return std::nullopt;
  }
  return groups;
}

Value ChannelVector::vector(OpBuilder &builder) const {
  auto type = cast<RankedTensorType>(operand.getType());
  return reshaped(builder, operand.getLoc(), operand, {dimOf(type, wide)});
}

std::optional<ChannelVector> matchChannelVector(Value value) {
  auto broadcast = value.getDefiningOp<BroadcastOp>();
  if (!broadcast)
    return std::nullopt;
  std::optional<int64_t> wide;
  for (auto [i, dim] : llvm::enumerate(dimsOf(broadcast.getOperand()))) {
    if (isConstant(dim, 1))
      continue;
    if (wide)
      return std::nullopt;
    wide = i;
  }
  if (!wide)
    return std::nullopt;
  return ChannelVector{broadcast.getOperand(), *wide,
                       broadcast.getDimensions()[*wide]};
}

} // namespace aicc::transforms
