//===- Elements.cpp - one thread per element ------------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/gpu/Strategies.h"

#include "dialects/graph/Dims.h"

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
      SmallVector<std::pair<unsigned, Value>> values;
      for (unsigned j = i; j < sizes.size(); ++j)
        if (!done[j] && equalSizes(i, j)) {
          values.push_back({j, e.result(j, index)});
          done[j] = true;
        }
      // A result may lie in an operand's memory: read everything first.
      for (auto [j, value] : values)
        e.store(j, index, value);
    });
  }
  return workgroups;
}
