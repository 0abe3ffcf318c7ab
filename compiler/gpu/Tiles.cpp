//===- Tiles.cpp - products through shared memory and registers -----------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A matmul, a convolution, anything of the form acc + a * b is a product of
// matrices once its loops are grouped: those of a only are the rows, those of b
// only the columns, the reduced ones the depth, those of both the batch. A
// workgroup of 16 x 16 threads computes a tile of the result; slices of a and b
// go through shared memory, [depth][row] and [depth][column], and every thread
// keeps a square of accumulators in registers. Elements of a and b are values
// at an index, so that padding, gathering and converting operands is fused;
// what consumes the product is computed from the accumulators.
//
//===----------------------------------------------------------------------===//

#include "compiler/gpu/Product.h"
#include "compiler/gpu/Strategies.h"

#include "dialects/graph/Dims.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace aicc;
using namespace aicc::gpu;

static constexpr unsigned side = 16;  // threads along rows and columns
static constexpr unsigned depth = 16; // of a slice
static constexpr unsigned steps = 2;  // of depth in one round of the loop

std::optional<TilePlan> aicc::gpu::planTiles(exec::KernelOp kernel,
                                             const Options &options) {
  if (options.workgroup != side * side)
    return std::nullopt;
  std::optional<Contraction> c = matchProduct(kernel);
  if (!c)
    return std::nullopt;
  SmallVector<AffineExpr> loops = loopsOf(kernel, c->generic);
  int64_t m = estimatedSize(loops, c->rows),
          n = estimatedSize(loops, c->columns),
          k = estimatedSize(loops, c->reduced),
          z = estimatedSize(loops, c->batch);
  if (m < side || n < side || k < 8)
    return std::nullopt;
  // The largest tile that still gives every processor something to do.
  unsigned tile = options.tile;
  auto count = [&](int64_t size) {
    return (size + side * tile - 1) / (side * tile);
  };
  while (tile > 4 && (m <= side * tile / 2 || n <= side * tile / 2 ||
                      z * count(m) * count(n) < 64))
    tile /= 2;
  return TilePlan{*c, tile};
}

namespace {
/// a or b on its way to shared memory.
struct Operand {
  Value inBody;
  ArrayRef<unsigned> dims; // rows or columns
  SmallVector<AffineExpr> sizes;
  AffineExpr total;
  bool alongDepth = false; // neighbours in memory are neighbours in depth
  unsigned vector = 1;     // elements a thread takes at once
  unsigned stride = 0;     // elements of a line in shared memory
  Type type;
  Value memory;
};

struct Tiles {
  Emitter &e;
  const Contraction &c;
  unsigned tile, extent;
  SmallVector<AffineExpr> loops;
  SmallVector<AffineExpr> depthSizes;
  AffineExpr depthTotal;
  SmallVector<Value> point; // value of each loop

  Operand operand(Value inBody, ArrayRef<unsigned> dims, StringRef name);
  void set(ArrayRef<unsigned> dims, ArrayRef<Value> index) {
    for (auto [dim, value] : llvm::zip(dims, index))
      point[dim] = value;
  }
  void fill(Operand &operand, Value first, Value k0);
  SmallVector<Value> line(Operand &operand, Value k, Value thread);
  Value position(Value thread, unsigned i, unsigned vector);
  Value multiply(Value x, Value y, Value accumulator);
};
} // namespace

Operand Tiles::operand(Value inBody, ArrayRef<unsigned> dims, StringRef name) {
  Operand o{inBody, dims, {}, {}, false, 1, 0, {}, {}};
  for (unsigned dim : dims)
    o.sizes.push_back(loops[dim]);
  o.total = productOf(o.sizes, e.b.getContext());
  o.alongDepth = runsAlong(c.generic, inBody, c.reduced.back(), dims.back());
  AffineExpr innermost =
      o.alongDepth ? loops[c.reduced.back()] : loops[dims.back()];
  auto known = graph::constantOf(innermost);
  if (known && *known % e.options.vector == 0)
    o.vector = e.options.vector;
  o.stride = extent + 4;
  o.type = storageType(inBody.getType());
  o.memory = e.shared(o.type, depth * o.stride, name);
  return o;
}

/// The slice from depth `k0` of the tile that begins at `first`.
void Tiles::fill(Operand &o, Value first, Value k0) {
  unsigned groups = extent * depth / o.vector;
  unsigned fast = (o.alongDepth ? depth : extent) / o.vector;
  auto total = graph::constantOf(o.total);
  auto deep = graph::constantOf(depthTotal);
  unsigned align = std::max(1u, o.type.getIntOrFloatBitWidth() / 8);
  for (unsigned start = 0; start < groups; start += side * side) {
    auto [f, s] = e.splitThread(fast);
    s = e.add(s, e.constant(start / fast));
    f = e.mul(f, e.constant(o.vector));
    Value k = o.alongDepth ? f : s, x = o.alongDepth ? s : f;
    Value globalK = e.add(k0, k), globalX = e.add(first, x);
    // Beyond the edges anything may be loaded that exists: rows and columns
    // there are never stored, depth there counts as zero.
    if (!(total && *total % extent == 0))
      globalX =
          e.select(e.less(globalX, e.apply(o.total)), globalX, e.constant(0));
    Value inside;
    if (!(deep && *deep % depth == 0)) {
      inside = e.less(globalK, e.apply(depthTotal));
      globalK = e.select(inside, globalK, e.constant(0));
    }
    SmallVector<Value> kIndex = e.delinearize(globalK, depthSizes);
    SmallVector<Value> xIndex = e.delinearize(globalX, o.sizes);
    SmallVector<Value> values;
    for (unsigned j = 0; j < o.vector; ++j) {
      set(c.reduced, kIndex);
      set(o.dims, xIndex);
      Value &moving = point[o.alongDepth ? c.reduced.back() : o.dims.back()];
      moving = e.add(moving, e.constant(j));
      Point at{c.generic, point, {}};
      Value value = e.evaluate(at, o.inBody);
      if (e.failed)
        return;
      values.push_back(value);
    }
    for (auto [j, value] : llvm::enumerate(values)) {
      if (inside) {
        Value zero = arith::ConstantOp::create(
            e.b, e.loc, cast<TypedAttr>(e.b.getZeroAttr(value.getType())));
        value = e.select(inside, value, zero);
      }
      Value step = e.constant(j);
      Value at = o.alongDepth
                     ? e.add(e.mul(e.add(k, step), e.constant(o.stride)), x)
                     : e.add(e.add(e.mul(k, e.constant(o.stride)), x), step);
      e.store(value, e.sharedPointer(o.memory, o.type, at), align);
    }
  }
}

/// Row or column i of a thread: runs of `vector` neighbours, spread so that
/// neighbouring threads touch neighbouring memory.
Value Tiles::position(Value thread, unsigned i, unsigned vector) {
  return e.add(e.mul(thread, e.constant(vector)),
               e.constant(i % vector + side * vector * (i / vector)));
}

/// A thread's rows or columns of a slice at depth k.
SmallVector<Value> Tiles::line(Operand &o, Value k, Value thread) {
  unsigned vector = e.options.vector;
  unsigned bytes = std::max(1u, o.type.getIntOrFloatBitWidth() / 8);
  Value base = e.mul(k, e.constant(o.stride));
  SmallVector<Value> values;
  for (unsigned i = 0; i < tile; i += vector) {
    Value at = e.sharedPointer(o.memory, o.type,
                               e.add(base, position(thread, i, vector)));
    if (vector == 1) {
      values.push_back(e.load(o.type, at, bytes));
      continue;
    }
    Value loaded =
        e.load(VectorType::get({vector}, o.type), at, bytes * vector);
    for (unsigned j = 0; j < vector; ++j)
      values.push_back(vector::ExtractOp::create(e.b, e.loc, loaded, j));
  }
  return values;
}

Value Tiles::multiply(Value x, Value y, Value accumulator) {
  if (isa<FloatType>(x.getType()))
    return math::FmaOp::create(e.b, e.loc, x, y, accumulator);
  return arith::AddIOp::create(e.b, e.loc, accumulator,
                               arith::MulIOp::create(e.b, e.loc, x, y));
}

AffineExpr aicc::gpu::emitTiles(Emitter &e, const TilePlan &plan) {
  Contraction c = plan.contraction;
  MLIRContext *context = e.kernel.getContext();
  Tiles t{e,  c,  plan.tile, side * plan.tile, loopsOf(e.kernel, c.generic),
          {}, {}, {}};
  t.point.assign(t.loops.size(), e.constant(0));
  for (unsigned dim : c.reduced)
    t.depthSizes.push_back(t.loops[dim]);
  t.depthTotal = productOf(t.depthSizes, context);
  Operand a = t.operand(c.a, c.rows, "a");
  Operand b = t.operand(c.b, c.columns, "b");

  // Workgroups: columns fastest, then rows, then batch.
  SmallVector<AffineExpr> grid;
  for (unsigned dim : c.batch)
    grid.push_back(t.loops[dim]);
  grid.push_back(a.total.ceilDiv(t.extent));
  grid.push_back(b.total.ceilDiv(t.extent));
  SmallVector<Value> tileIndex = e.delinearize(e.block, grid);
  t.set(c.batch, tileIndex);
  Value firstRow = e.mul(tileIndex[c.batch.size()], e.constant(t.extent));
  Value firstColumn =
      e.mul(tileIndex[c.batch.size() + 1], e.constant(t.extent));

  auto [tx, ty] = e.splitThread(side);
  ProductResults results(e, c);
  SmallVector<Value> accumulators(t.tile * t.tile, results.start);
  e.loop(
      e.constant(0), e.apply(t.depthTotal), e.constant(depth), accumulators,
      [&](Value k0, ArrayRef<Value> carried) {
        t.fill(a, firstRow, k0);
        t.fill(b, firstColumn, k0);
        e.barrier();
        SmallVector<Value> sums;
        // Two steps at once: the loads of one beside the products of the other.
        e.loop(
            e.constant(0), e.constant(depth), e.constant(steps), carried,
            [&](Value k, ArrayRef<Value> inner) {
              SmallVector<Value> next(inner);
              for (unsigned step = 0; step < steps; ++step) {
                Value at = e.add(k, e.constant(step));
                SmallVector<Value> x = t.line(a, at, ty), y = t.line(b, at, tx);
                for (unsigned i = 0; i < t.tile; ++i)
                  for (unsigned j = 0; j < t.tile; ++j) {
                    Value &sum = next[i * t.tile + j];
                    sum = t.multiply(x[i], y[j], sum);
                  }
              }
              return next;
            },
            &sums);
        e.barrier();
        return sums;
      },
      &accumulators);

  // The results, a run of neighbouring columns at a time. The thread's place
  // is split here, so that its index arithmetic isn't kept during the loop.
  unsigned vector = e.options.vector;
  auto rowsKnown = graph::constantOf(a.total);
  auto columnsKnown = graph::constantOf(b.total);
  unsigned run = results.run(vector);
  for (unsigned i = 0; i < t.tile; ++i) {
    Value row = e.add(firstRow, t.position(ty, i, vector));
    Value rowInside = rowsKnown && *rowsKnown % t.extent == 0
                          ? Value()
                          : e.less(row, e.apply(a.total));
    e.guarded(rowInside, [&] {
      t.set(c.rows, e.delinearize(row, a.sizes));
      for (unsigned j = 0; j < t.tile; j += run) {
        Value column = e.add(firstColumn, t.position(tx, j, vector));
        Value columnInside = columnsKnown && *columnsKnown % t.extent == 0
                                 ? Value()
                                 : e.less(column, e.apply(b.total));
        e.guarded(columnInside, [&] {
          results.store(t.point, e.delinearize(column, b.sizes),
                        ArrayRef(accumulators).slice(i * t.tile + j, run));
        });
      }
    });
  }
  return productOf(grid, context);
}
