//===- MatrixTiles.cpp - products by matrix instructions ------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A workgroup computes a tile of the result; its subgroups share it out; each
// keeps its part in fragments of a matrix instruction, whose row says which
// element of which operand a lane holds. Slices of a and b go through a ring of
// stages in shared memory, while the one before is being multiplied.
//
// In shared memory a line (a row of a, a column of b) of a slice is 64 bytes,
// four chunks of 16, whichever the type and the order in global memory. All
// instructions take neighbours in depth per lane, so fragments are read in runs
// of up to a chunk. Chunk c of line x lies at place c ^ (x / 2 % 4): eight
// lanes that read one chunk of eight lines touch all banks once.
//
//===----------------------------------------------------------------------===//

#include "compiler/gpu/Product.h"
#include "compiler/gpu/Strategies.h"

#include "dialects/graph/Dims.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace aicc;
using namespace aicc::gpu;

static constexpr unsigned lineBytes = 64;
static constexpr unsigned chunkBytes = 16;
static constexpr unsigned chunksOfLine = lineBytes / chunkBytes;

//===----------------------------------------------------------------------===//
// Which instruction, which tile
//===----------------------------------------------------------------------===//

/// The value under an extension to the accumulator's type.
static Value withoutExtension(Value inBody) {
  Operation *op = inBody.getDefiningOp();
  return op && isa<arith::ExtFOp, arith::ExtSIOp>(op) ? op->getOperand(0)
                                                      : inBody;
}

/// The largest side of a tile that gives each of `subgroups` whole fragments,
/// not much more than `size` needs.
static unsigned sideOf(int64_t size, unsigned subgroups, unsigned fragment,
                       unsigned most) {
  for (unsigned side : {128u, 64u})
    if (side <= most && side % (subgroups * fragment) == 0 &&
        (size > side / 2 || side == 64))
      return side;
  return 0;
}

std::optional<MatrixPlan> aicc::gpu::planMatrixTiles(exec::KernelOp kernel,
                                                     const Options &options) {
  if (options.matrix.empty())
    return std::nullopt;
  std::optional<Contraction> c = matchProduct(kernel);
  if (!c)
    return std::nullopt;
  Value a = withoutExtension(c->a), b = withoutExtension(c->b);
  Type operand = a.getType();
  Type result = getElementTypeOrSelf(c->generic->getResult(0).getType());
  if (b.getType() != operand)
    return std::nullopt;
  SmallVector<AffineExpr> loops = loopsOf(kernel, c->generic);
  int64_t m = estimatedSize(loops, c->rows),
          n = estimatedSize(loops, c->columns),
          k = estimatedSize(loops, c->reduced),
          z = estimatedSize(loops, c->batch);
  if (m < 16 || n < 16 || k < 8)
    return std::nullopt;

  unsigned subgroups = options.workgroup / options.subgroup;
  unsigned subgroupRows = 1;
  while (4 * subgroupRows * subgroupRows <= subgroups)
    subgroupRows *= 2;
  for (const MatrixInstruction &row : options.matrix) {
    if (!isOperand(row.operand, operand) || !isOperand(row.result, result) ||
        row.lanes() != options.subgroup ||
        (row.operand == MatrixType::tf32 && !options.allowTf32))
      continue;
    MatrixPlan plan{
        *c, &row, a, b, 0, 0, subgroupRows, subgroups / subgroupRows, 0, 2};
    plan.depth = lineBytes / elementBytes(row.operand);
    if (plan.depth % row.depth)
      continue;
    // The largest tile that still gives every processor something to do.
    for (unsigned most : {128u, 64u}) {
      unsigned rows = sideOf(m, plan.subgroupRows, row.rows, most);
      unsigned columns = sideOf(n, plan.subgroupColumns, row.columns, most);
      if (!rows || !columns)
        continue;
      plan.rows = rows;
      plan.columns = columns;
      if (z * ((m + rows - 1) / rows) * ((n + columns - 1) / columns) >= 64)
        break;
    }
    if (!plan.rows)
      continue;
    unsigned stageBytes = (plan.rows + plan.columns) * lineBytes;
    if (!options.asyncCopy.copy.empty())
      plan.stages = 3;
    while (plan.stages > 1 && plan.stages * stageBytes > options.sharedBytes)
      --plan.stages;
    if (plan.stages > 1)
      return plan;
  }
  return std::nullopt;
}

/// The part of a lane's coordinate whose bases are in [from, to), in units of
/// `from`: runs of lane bits with doubling bases are one piece.
static Value coordinate(Emitter &e, ArrayRef<Basis> bases,
                        unsigned Basis::*member, unsigned from = 1,
                        unsigned to = 1u << 16) {
  Value sum = e.constant(0);
  for (unsigned bit = 0; bit < bases.size(); ++bit) {
    unsigned basis = bases[bit].*member;
    if (basis < from || basis >= to)
      continue;
    unsigned end = bit + 1;
    while (end < bases.size() && bases[end].*member == basis << (end - bit) &&
           bases[end].*member < to)
      ++end;
    Value part = e.rem(e.div(e.lane, e.constant(1u << bit)),
                       e.constant(1u << (end - bit)));
    sum = e.add(sum, e.mul(part, e.constant(basis / from)));
    bit = end - 1;
  }
  return sum;
}

namespace {

/// a or b: from global memory through shared memory into fragments.
class Operand {
public:
  Operand(Emitter &e, const MatrixPlan &plan, bool isA,
          ArrayRef<AffineExpr> loops);

  AffineExpr total; // lines
  SmallVector<AffineExpr> sizes;

  /// What this thread brings of the slice from depth `k0` on, lines from
  /// `first` on: one vector per chunk.
  SmallVector<Value> fetch(SmallVector<Value> &point, Value first, Value k0);
  void put(ArrayRef<Value> chunks, Value stage);
  /// Both at once, beside the threads, if the hardware can.
  bool copies() const { return source != nullptr; }
  void copy(SmallVector<Value> &point, Value first, Value k0, Value stage);
  /// The fragment of the instruction whose tile begins at a line of the
  /// subgroup's part and a place of the slice.
  Value fragment(unsigned line, unsigned place, Value stage);
  /// Where the subgroup's part begins.
  void setPart(Value line);

private:
  struct Chunk {
    Value line, number; // in the slice
  };
  SmallVector<Chunk> chunks();
  /// Where a chunk lies in shared memory.
  Value place(const Chunk &chunk, Value stage);
  /// The first line of a slice, the first depth, within bounds.
  Value clampedLine(Value line);
  void findSource();
  void findLoad();
  Value joined(SmallVector<Value> parts, unsigned size);
  Value exclusiveOr(Value x, Value y);

  Emitter &e;
  const MatrixInstruction &instruction;
  const Contraction &c;
  const FragmentLayout &layout;
  FragmentLayout reading; // of lanes that address memory
  StringRef load;         // of whole tiles, if they fit
  unsigned packed = 1;    // elements of 4 bytes
  BlockArgument source;   // if nothing is computed on the way
  Value inBody;
  ArrayRef<unsigned> dims;
  SmallVector<AffineExpr> depthSizes;
  AffineExpr depthTotal;
  Type type; // as it lies in memory
  unsigned bytes, elements, lines, depth;
  bool alongDepth;    // neighbours in memory are neighbours in depth
  unsigned group = 1; // neighbouring lines that a thread takes at once
  Value memory;
  Value lineBase;
  Value turned[chunksOfLine]; // place of the lane's chunk ^ 0, 1, 2, 3
};

} // namespace

Operand::Operand(Emitter &e, const MatrixPlan &plan, bool isA,
                 ArrayRef<AffineExpr> loops)
    : e(e), instruction(*plan.instruction), c(plan.contraction),
      layout(isA ? instruction.a : instruction.b),
      inBody(isA ? plan.a : plan.b), dims(isA ? c.rows : c.columns),
      lines(isA ? plan.rows : plan.columns), depth(plan.depth) {
  MLIRContext *context = e.b.getContext();
  for (unsigned dim : dims)
    sizes.push_back(loops[dim]);
  for (unsigned dim : c.reduced)
    depthSizes.push_back(loops[dim]);
  total = productOf(sizes, context);
  depthTotal = productOf(depthSizes, context);
  type = storageType(inBody.getType());
  bytes = type.getIntOrFloatBitWidth() / 8;
  elements = chunkBytes / bytes;
  alongDepth = runsAlong(c.generic, inBody, c.reduced.back(), dims.back());
  // Across lines a thread takes as many as fill 4 bytes, if enough threads
  // have something to do then.
  unsigned perThread = lines * chunksOfLine / e.options.workgroup;
  if (!alongDepth)
    if (auto innermost = graph::constantOf(loops[dims.back()]))
      while (group * bytes < 4 && group < perThread &&
             *innermost % (2 * group) == 0)
        group *= 2;
  memory = e.shared(type, plan.stages * lines * depth, isA ? "a" : "b");
  if (!e.options.asyncCopy.copy.empty())
    findSource();
  reading = layout;
  if (!e.options.matrixLoad.four.empty())
    findLoad();
}

/// Copies want whole chunks that lie in memory as they are wanted.
void Operand::findSource() {
  auto argument = dyn_cast<BlockArgument>(inBody);
  linalg::GenericOp generic = c.generic;
  if (!argument || argument.getOwner() != generic.getBlock())
    return;
  OpOperand &operand = generic->getOpOperand(argument.getArgNumber());
  auto given = dyn_cast<BlockArgument>(operand.get());
  if (!given || given.getOwner() != e.kernel.getBodyBlock())
    return;
  AffineMap map = generic.getMatchingIndexingMap(&operand);
  SmallVector<AffineExpr> dims = dimsOf(e.kernel, given);
  AffineExpr depthLoop = getAffineDimExpr(c.reduced.back(), e.b.getContext());
  if (dims.empty() || map.getResults().back() != depthLoop)
    return;
  for (AffineExpr expr : map.getResults().drop_back())
    if (expr.isFunctionOfDim(c.reduced.back()))
      return;
  auto innermost = graph::constantOf(depthSizes.back());
  auto width = graph::constantOf(dims.back());
  if (innermost && width && *innermost % elements == 0 &&
      *width % elements == 0)
    source = given;
}

/// Loads of tiles want fragments made of them: 4 bytes of a line per lane, 4
/// lanes to a line, and one tile for each further bit of an element's number.
void Operand::findLoad() {
  packed = 4 / bytes;
  unsigned bits = llvm::Log2_32(packed);
  auto is = [](const Basis &basis, unsigned line, unsigned place) {
    return basis.line == line && basis.place == place;
  };
  const auto &lanes = layout.lanes;
  if (bytes > 4 || lanes.size() != 5 || !is(lanes[0], 0, packed) ||
      !is(lanes[1], 0, 2 * packed) || !is(lanes[2], 1, 0) ||
      !is(lanes[3], 2, 0) || !is(lanes[4], 4, 0) ||
      layout.elements.size() < bits)
    return;
  for (unsigned bit = 0; bit < bits; ++bit)
    if (!is(layout.elements[bit], 0, 1u << bit))
      return;
  ArrayRef<Basis> tiles = ArrayRef(layout.elements).drop_front(bits);
  if (tiles.size() != 1 && tiles.size() != 2)
    return;
  load =
      tiles.size() == 2 ? e.options.matrixLoad.four : e.options.matrixLoad.two;
  reading.lanes = acrossLines(1, 8);
  reading.lanes.append(tiles.begin(), tiles.end());
}

Value Operand::exclusiveOr(Value x, Value y) {
  std::optional<int64_t> m = e.constantOf(x), n = e.constantOf(y);
  if (m && n)
    return e.constant(*m ^ *n);
  if (m == 0)
    return y;
  if (n == 0)
    return x;
  return arith::XOrIOp::create(e.b, e.loc, x, y);
}

/// The chunks of a slice that are this thread's.
SmallVector<Operand::Chunk> Operand::chunks() {
  SmallVector<Chunk> found;
  unsigned threads = e.options.workgroup;
  unsigned units = lines * chunksOfLine / group;
  // Neighbouring threads take neighbours in memory.
  unsigned fast = alongDepth ? chunksOfLine : lines / group;
  for (unsigned begin = 0; begin < units; begin += threads) {
    auto [f, s] = e.splitThread(fast);
    s = e.add(s, e.constant(begin / fast));
    if (alongDepth) {
      found.push_back({s, f});
      continue;
    }
    Value first = e.mul(f, e.constant(group));
    for (unsigned i = 0; i < group; ++i)
      found.push_back({e.add(first, e.constant(i)), s});
  }
  return found;
}

SmallVector<Value> Operand::fetch(SmallVector<Value> &point, Value first,
                                  Value k0) {
  auto knownDepth = graph::constantOf(depthTotal);
  auto innermost = graph::constantOf(depthSizes.back());
  bool wholeChunks = innermost && *innermost % elements == 0;
  // Slices behind the last one are fetched, but never used.
  if (knownDepth && *knownDepth % depth == 0)
    k0 = e.select(e.less(k0, e.apply(depthTotal)), k0, e.constant(0));
  auto setIndex = [&](ArrayRef<unsigned> to, ArrayRef<Value> index) {
    for (auto [dim, value] : llvm::zip(to, index))
      point[dim] = value;
  };
  SmallVector<Value> vectors;
  VectorType vector = VectorType::get({elements}, type);
  SmallVector<Value> lineIndex;
  for (auto [number, chunk] : llvm::enumerate(chunks())) {
    // Beyond the edges anything may be loaded that exists: lines there are
    // never stored, depth there counts as zero.
    unsigned inGroup = number % group;
    if (inGroup == 0) {
      Value line = clampedLine(e.add(first, chunk.line));
      lineIndex = e.delinearize(line, sizes);
    }
    setIndex(dims, lineIndex);
    point[dims.back()] = e.add(lineIndex.back(), e.constant(inGroup));
    Value begin = e.add(k0, e.mul(chunk.number, e.constant(elements)));
    Value whole = LLVM::PoisonOp::create(e.b, e.loc, vector);
    Value inside;
    SmallVector<Value> depthIndex;
    for (unsigned i = 0; i < elements; ++i) {
      if (i == 0 || !wholeChunks) {
        Value k = e.add(begin, e.constant(i));
        if (!(knownDepth && *knownDepth % depth == 0)) {
          inside = e.less(k, e.apply(depthTotal));
          k = e.select(inside, k, e.constant(0));
        }
        depthIndex = e.delinearize(k, depthSizes);
      }
      setIndex(c.reduced, depthIndex);
      if (wholeChunks)
        point[c.reduced.back()] = e.add(depthIndex.back(), e.constant(i));
      Point at{c.generic, point, {}};
      Value value = e.evaluate(at, inBody);
      if (e.failed)
        return {};
      if (value.getType() != type)
        value = arith::BitcastOp::create(e.b, e.loc, type, value);
      if (inside) {
        Value zero = arith::ConstantOp::create(
            e.b, e.loc, cast<TypedAttr>(e.b.getZeroAttr(type)));
        value = e.select(inside, value, zero);
      }
      whole = vector::InsertOp::create(e.b, e.loc, value, whole, i);
    }
    vectors.push_back(whole);
  }
  return vectors;
}

Value Operand::clampedLine(Value line) {
  auto known = graph::constantOf(total);
  if (known && *known % lines == 0)
    return line;
  return e.select(e.less(line, e.apply(total)), line, e.constant(0));
}

Value Operand::place(const Chunk &chunk, Value stage) {
  Value turn =
      e.rem(e.div(chunk.line, e.constant(2)), e.constant(chunksOfLine));
  Value turned = e.mul(exclusiveOr(chunk.number, turn), e.constant(elements));
  Value at = e.add(e.add(e.mul(chunk.line, e.constant(depth)), turned),
                   e.mul(stage, e.constant(lines * depth)));
  return e.sharedPointer(memory, type, at);
}

void Operand::put(ArrayRef<Value> vectors, Value stage) {
  for (auto [chunk, vector] : llvm::zip(chunks(), vectors))
    e.store(vector, place(chunk, stage), chunkBytes);
}

void Operand::copy(SmallVector<Value> &point, Value first, Value k0,
                   Value stage) {
  linalg::GenericOp generic = c.generic;
  AffineMap map = generic.getMatchingIndexingMap(
      &generic->getOpOperand(cast<BlockArgument>(inBody).getArgNumber()));
  for (const Chunk &chunk : chunks()) {
    Value line = clampedLine(e.add(first, chunk.line));
    for (auto [dim, value] : llvm::zip(dims, e.delinearize(line, sizes)))
      point[dim] = value;
    Value k = e.add(k0, e.mul(chunk.number, e.constant(elements)));
    Value inside = e.less(k, e.apply(depthTotal));
    k = e.select(inside, k, e.constant(0));
    for (auto [dim, value] : llvm::zip(c.reduced, e.delinearize(k, depthSizes)))
      point[dim] = value;
    SmallVector<Value> index;
    for (AffineExpr expr : map.getResults())
      index.push_back(e.apply(expr, point));
    Value given = e.select(inside, e.constant32(chunkBytes), e.constant32(0));
    e.intrinsic(e.options.asyncCopy.copy, nullptr,
                {place(chunk, stage), e.address(source, index), given});
  }
}

void Operand::setPart(Value line) {
  Value laneLine = coordinate(e, reading.lanes, &Basis::line);
  Value chunk = coordinate(e, reading.lanes, &Basis::place, elements);
  Value inChunk = coordinate(e, reading.lanes, &Basis::place, 1, elements);
  lineBase = e.add(e.mul(e.add(line, laneLine), e.constant(depth)), inChunk);
  Value turn = e.rem(e.div(laneLine, e.constant(2)), e.constant(chunksOfLine));
  Value own = exclusiveOr(chunk, turn);
  for (unsigned i = 0; i < chunksOfLine; ++i)
    turned[i] = e.mul(exclusiveOr(own, e.constant(i)), e.constant(elements));
}

Value Operand::joined(SmallVector<Value> parts, unsigned size) {
  for (; parts.size() > 1; size *= 2) {
    SmallVector<int32_t> all;
    for (unsigned i = 0; i < 2 * size; ++i)
      all.push_back(i);
    SmallVector<Value> pairs;
    for (unsigned i = 0; i < parts.size(); i += 2)
      pairs.push_back(LLVM::ShuffleVectorOp::create(e.b, e.loc, parts[i],
                                                    parts[i + 1], all));
    parts = pairs;
  }
  return parts[0];
}

Value Operand::fragment(unsigned line, unsigned place, Value stage) {
  Value base = e.add(lineBase, e.mul(stage, e.constant(lines * depth)));
  auto pointerAt = [&](unsigned x, unsigned k) {
    unsigned turn = (k / elements) ^ (x / 2 % chunksOfLine);
    Value at =
        e.add(e.add(base, turned[turn]), e.constant(x * depth + k % elements));
    return e.sharedPointer(memory, type, at);
  };
  unsigned count = layout.count();
  if (!load.empty()) {
    SmallVector<Type> words(count / packed, e.b.getI32Type());
    Value loaded = e.intrinsic(
        load, LLVM::LLVMStructType::getLiteral(e.b.getContext(), words),
        {pointerAt(line, place)});
    SmallVector<Value> parts;
    for (unsigned i = 0; i < words.size(); ++i) {
      Value word = LLVM::ExtractValueOp::create(e.b, e.loc, loaded, i);
      parts.push_back(LLVM::BitcastOp::create(
          e.b, e.loc, VectorType::get({packed}, type), word));
    }
    return joined(parts, packed);
  }
  // Neighbours in depth that follow each other in the fragment.
  unsigned run = 1;
  for (const Basis &basis : layout.elements) {
    if (basis.line || basis.place != run || run == elements)
      break;
    run *= 2;
  }
  SmallVector<Value> parts;
  for (unsigned i = 0; i < count; i += run) {
    Basis basis = layout.at(0, i);
    Value pointer = pointerAt(line + basis.line, place + basis.place);
    parts.push_back(
        run == 1 ? e.load(type, pointer, bytes)
                 : e.load(VectorType::get({run}, type), pointer, run * bytes));
  }
  if (run == 1)
    return vector::FromElementsOp::create(
        e.b, e.loc, VectorType::get({count}, type), parts);
  return joined(parts, run);
}

//===----------------------------------------------------------------------===//
// The loop over depth
//===----------------------------------------------------------------------===//

AffineExpr aicc::gpu::emitMatrixTiles(Emitter &e, const MatrixPlan &plan) {
  const Contraction &c = plan.contraction;
  const MatrixInstruction &instruction = *plan.instruction;
  MLIRContext *context = e.kernel.getContext();
  SmallVector<AffineExpr> loops = loopsOf(e.kernel, c.generic);
  SmallVector<Value> point(loops.size(), e.constant(0));
  SmallVector<AffineExpr> depthSizes;
  for (unsigned dim : c.reduced)
    depthSizes.push_back(loops[dim]);
  AffineExpr depthTotal = productOf(depthSizes, context);
  Operand a(e, plan, true, loops), b(e, plan, false, loops);

  // Workgroups: columns fastest, then rows, then batch.
  SmallVector<AffineExpr> grid;
  for (unsigned dim : c.batch)
    grid.push_back(loops[dim]);
  grid.push_back(a.total.ceilDiv(plan.rows));
  grid.push_back(b.total.ceilDiv(plan.columns));
  SmallVector<Value> tileIndex = e.delinearize(e.block, grid);
  for (auto [dim, value] : llvm::zip(c.batch, tileIndex))
    point[dim] = value;
  Value firstRow = e.mul(tileIndex[c.batch.size()], e.constant(plan.rows));
  Value firstColumn =
      e.mul(tileIndex[c.batch.size() + 1], e.constant(plan.columns));

  unsigned rowsEach = plan.rows / plan.subgroupRows,
           columnsEach = plan.columns / plan.subgroupColumns;
  Value ownRow = e.mul(e.div(e.group, e.constant(plan.subgroupColumns)),
                       e.constant(rowsEach));
  Value ownColumn = e.mul(e.rem(e.group, e.constant(plan.subgroupColumns)),
                          e.constant(columnsEach));
  a.setPart(ownRow);
  b.setPart(ownColumn);

  unsigned rowCount = rowsEach / instruction.rows,
           columnCount = columnsEach / instruction.columns;
  ProductResults results(e, c);
  VectorType fragment =
      VectorType::get({instruction.c.count()}, results.start.getType());
  SmallVector<Value> sums(
      rowCount * columnCount,
      vector::BroadcastOp::create(e.b, e.loc, fragment, results.start));

  // A ring of stages: the first ones are filled ahead; then in each step the
  // slice that is `stages - 1` ahead is fetched, the current one multiplied.
  Value depthEnd = e.apply(depthTotal);
  unsigned ahead = plan.stages - 1;
  bool anyCopies = a.copies() || b.copies();
  auto begin = [&](Operand &operand, Value first, Value k0, Value stage) {
    if (!operand.copies())
      return operand.fetch(point, first, k0);
    operand.copy(point, first, k0, stage);
    return SmallVector<Value>();
  };
  auto commit = [&] {
    if (anyCopies)
      e.intrinsic(e.options.asyncCopy.commit, nullptr, {});
  };
  for (unsigned i = 0; i < ahead; ++i) {
    Value k0 = e.constant(i * plan.depth), stage = e.constant(i);
    SmallVector<Value> ofA = begin(a, firstRow, k0, stage);
    SmallVector<Value> ofB = begin(b, firstColumn, k0, stage);
    commit();
    if (e.failed)
      return grid.front();
    a.put(ofA, stage);
    b.put(ofB, stage);
  }
  SmallVector<Value> carried = sums;
  carried.push_back(e.constant(0));
  SmallVector<Value> ended;
  e.loop(
      e.constant(0), depthEnd, e.constant(plan.depth), carried,
      [&](Value k0, ArrayRef<Value> before) -> SmallVector<Value> {
        // All but the newest slices have come; then everybody sees them, and
        // nobody reads the stage any more that is filled next.
        if (anyCopies)
          e.intrinsic(e.options.asyncCopy.wait, nullptr,
                      {e.constant32(ahead - 1)});
        e.barrier();
        Value stage = before.back();
        auto after = [&](Value number, unsigned steps) {
          Value next = e.add(number, e.constant(steps));
          return e.select(e.less(next, e.constant(plan.stages)), next,
                          e.add(next, e.constant(-int64_t(plan.stages))));
        };
        Value filled = after(stage, ahead);
        Value k1 = e.add(k0, e.constant(ahead * plan.depth));
        SmallVector<Value> ofA = begin(a, firstRow, k1, filled);
        SmallVector<Value> ofB = begin(b, firstColumn, k1, filled);
        commit();
        if (e.failed)
          return SmallVector<Value>(before);
        SmallVector<Value> next(before);
        for (unsigned k = 0; k < plan.depth; k += instruction.depth) {
          SmallVector<Value> x, y;
          for (unsigned i = 0; i < rowCount; ++i)
            x.push_back(a.fragment(i * instruction.rows, k, stage));
          for (unsigned j = 0; j < columnCount; ++j)
            y.push_back(b.fragment(j * instruction.columns, k, stage));
          for (unsigned i = 0; i < rowCount; ++i)
            for (unsigned j = 0; j < columnCount; ++j) {
              Value &sum = next[i * columnCount + j];
              sum = emitMatrixInstruction(e.b, e.loc, instruction, x[i], y[j],
                                          sum);
            }
        }
        a.put(ofA, filled);
        b.put(ofB, filled);
        next.back() = after(stage, 1);
        return next;
      },
      &ended);
  if (e.failed)
    return grid.front();

  // The results: what a lane holds of a fragment, row by row.
  auto rowsKnown = graph::constantOf(a.total);
  auto columnsKnown = graph::constantOf(b.total);
  const FragmentLayout &layout = instruction.c;
  unsigned run = 1; // neighbouring columns in the fragment
  for (const Basis &basis : layout.elements) {
    if (basis.line || basis.place != run)
      break;
    run *= 2;
  }
  run = results.run(run);
  Value laneRow =
      e.add(e.add(firstRow, ownRow), coordinate(e, layout.lanes, &Basis::line));
  Value laneColumn = e.add(e.add(firstColumn, ownColumn),
                           coordinate(e, layout.lanes, &Basis::place));
  std::map<unsigned, SmallVector<std::pair<unsigned, unsigned>>> rows;
  for (unsigned i = 0; i < rowCount; ++i)
    for (unsigned element = 0; element < layout.count(); ++element)
      rows[i * instruction.rows + layout.at(0, element).line].push_back(
          {i, element});
  for (auto &[offset, members] : rows) {
    Value row = e.add(laneRow, e.constant(offset));
    Value rowInside = rowsKnown && *rowsKnown % plan.rows == 0
                          ? Value()
                          : e.less(row, e.apply(a.total));
    e.guarded(rowInside, [&] {
      for (auto [dim, value] : llvm::zip(c.rows, e.delinearize(row, a.sizes)))
        point[dim] = value;
      for (auto [i, element] : members) {
        if (element % run)
          continue;
        for (unsigned j = 0; j < columnCount; ++j) {
          Value column =
              e.add(laneColumn, e.constant(j * instruction.columns +
                                           layout.at(0, element).place));
          Value columnInside = columnsKnown && *columnsKnown % plan.columns == 0
                                   ? Value()
                                   : e.less(column, e.apply(b.total));
          e.guarded(columnInside, [&, i = i, element = element] {
            SmallVector<Value> values;
            for (unsigned step = 0; step < run; ++step)
              values.push_back(vector::ExtractOp::create(
                  e.b, e.loc, ended[i * columnCount + j],
                  ArrayRef<int64_t>{element + step}));
            results.store(point, e.delinearize(column, b.sizes), values);
          });
        }
      }
    });
  }
  return productOf(grid, context);
}
