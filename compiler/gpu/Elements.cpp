//===- Elements.cpp - one thread per element, or per few ------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A thread that moves one element of 16 bits keeps too little under way for a
// GPU's memory. Where the innermost dimension allows it a thread has as many
// neighbours as fill 16 bytes; their loads and stores become one each.
//
//===----------------------------------------------------------------------===//

#include "compiler/gpu/Strategies.h"

#include "dialects/graph/Dims.h"

#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace aicc;
using namespace aicc::gpu;

AffineExpr aicc::gpu::productOf(ArrayRef<AffineExpr> sizes,
                                MLIRContext *context) {
  AffineExpr product = getAffineConstantExpr(1, context);
  for (AffineExpr size : sizes)
    product = product * size;
  return graph::simplify(product);
}

unsigned aicc::gpu::neighboursOf(const Emitter &e, AffineExpr innermost,
                                 int64_t elements, int64_t threads) {
  constexpr unsigned most = 16, largeBody = 64;
  auto known = graph::constantOf(innermost);
  if (e.options.vector == 1 || !known)
    return 1;
  unsigned widest = 1, operations = 0;
  exec::KernelOp kernel = e.kernel;
  for (Attribute type : kernel.getResultTypes()) {
    Type element = getElementTypeOrSelf(cast<TypeAttr>(type).getValue());
    widest = std::max(widest, storageType(element).getIntOrFloatBitWidth() / 8);
  }
  kernel.walk([&](Operation *op) {
    operations += isa<math::MathDialect>(op->getDialect()) ? 16 : 1;
  });
  unsigned count = std::max(1u, most / widest);
  // Large bodies repeated would be long code for little; fewer threads than
  // keep a GPU busy would wait for each other.
  while (count > 1 && (*known % count || elements / count < threads ||
                       count * operations > most * largeBody))
    count /= 2;
  return count;
}

AffineExpr aicc::gpu::emitElements(Emitter &e) {
  MLIRContext *context = e.kernel.getContext();
  unsigned threads = e.options.workgroup;
  Value thread =
      e.add(e.mul(e.block, e.constant(threads)), e.splitThread(threads).first);
  std::vector<SmallVector<AffineExpr>> sizes;
  for (Attribute type : e.kernel.getResultTypes())
    sizes.push_back(
        graph::dimsOf(cast<RankedTensorType>(cast<TypeAttr>(type).getValue())));
  auto equalSizes = [&](unsigned i, unsigned j) {
    return sizes[i].size() == sizes[j].size() &&
           llvm::all_of(llvm::zip(sizes[i], sizes[j]), [](auto pair) {
             return graph::equal(std::get<0>(pair), std::get<1>(pair));
           });
  };
  bool same = llvm::all_of(llvm::seq<unsigned>(0, sizes.size()),
                           [&](unsigned i) { return equalSizes(0, i); });
  bool reduces = false;
  e.kernel.walk([&](linalg::GenericOp generic) {
    reduces |= generic.getNumReductionLoops() > 0;
  });
  unsigned each = 1;
  constexpr int64_t enough = 1 << 16; // threads
  if (same && !reduces && !sizes[0].empty())
    if (auto total = graph::constantOf(productOf(sizes[0], context)))
      each = neighboursOf(e, sizes[0].back(), *total, enough);
  if (each > 1)
    for (SmallVector<AffineExpr> &dims : sizes)
      dims.back() = dims.back().floorDiv(each);

  // Enough threads for the largest result: where it isn't known which one that
  // is, for the sum. Threads beyond a result's size are masked.
  AffineExpr workgroups;
  for (unsigned i = 0; i < sizes.size(); ++i) {
    AffineExpr groups = productOf(sizes[i], context).ceilDiv(threads);
    auto known = graph::constantOf(groups);
    auto sum = workgroups ? graph::constantOf(workgroups) : std::nullopt;
    if (!workgroups || (known && sum && *known > *sum))
      workgroups = groups;
    else if (!(known && sum) && !graph::equal(workgroups, groups))
      workgroups = workgroups + groups;
  }
  auto threadCount = graph::constantOf(workgroups);

  // Results of the same size are computed together.
  SmallVector<bool> done(sizes.size(), false);
  for (unsigned i = 0; i < sizes.size(); ++i) {
    if (done[i])
      continue;
    AffineExpr count = productOf(sizes[i], context);
    auto known = graph::constantOf(count);
    Value guard = known && threadCount && *known == *threadCount * threads
                      ? Value()
                      : e.less(thread, e.apply(count));
    e.guarded(guard, [&] {
      SmallVector<Value> index = e.delinearize(thread, sizes[i]);
      Value first;
      if (each > 1)
        first = e.mul(index.back(), e.constant(each));
      std::vector<std::tuple<unsigned, SmallVector<Value>, Value>> values;
      for (unsigned j = i; j < sizes.size(); ++j) {
        if (done[j] || !equalSizes(i, j))
          continue;
        done[j] = true;
        for (unsigned step = 0; step < each; ++step) {
          if (first)
            index.back() = e.add(first, e.constant(step));
          values.push_back({j, index, e.result(j, index)});
        }
      }
      // A result may lie in an operand's memory: read everything first.
      for (auto &[j, at, value] : values)
        e.store(j, at, value);
    });
  }
  return workgroups;
}
