//===- MatrixOperand.cpp - an operand's way to a matrix instruction -------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/gpu/MatrixOperand.h"

#include "compiler/gpu/Product.h"

#include "dialects/graph/Dims.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace aicc;
using namespace aicc::gpu;

/// Runs of lane bits with doubling bases are one piece.
Value aicc::gpu::laneCoordinate(Emitter &e, Value lane, ArrayRef<Basis> bases,
                                unsigned Basis::*member, unsigned from,
                                unsigned to) {
  Value sum = e.constant(0);
  for (unsigned bit = 0; bit < bases.size(); ++bit) {
    unsigned basis = bases[bit].*member;
    if (basis < from || basis >= to)
      continue;
    unsigned end = bit + 1;
    while (end < bases.size() && bases[end].*member == basis << (end - bit) &&
           bases[end].*member < to)
      ++end;
    Value part = e.rem(e.div(lane, e.constant(1u << bit)),
                       e.constant(1u << (end - bit)));
    sum = e.add(sum, e.mul(part, e.constant(basis / from)));
    bit = end - 1;
  }
  return sum;
}

MatrixOperand::MatrixOperand(Emitter &e, const MatrixPlan &plan, bool isA,
                             ArrayRef<AffineExpr> loops)
    : e(e), instruction(*plan.instruction), c(plan.contraction),
      layout(isA ? instruction.a : instruction.b),
      inBody(isA ? plan.a : plan.b), dims(isA ? c.rows : c.columns),
      lines(isA ? plan.rows : plan.columns), depth(plan.depth),
      lineBytes(plan.lineBytes), chunksOfLine(lineBytes / chunkBytes),
      memoryLines(lines), direct(isA ? plan.aBlocks : plan.bBlocks) {
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
  // Lanes together must bring whole chunks: of smaller pieces it takes more
  // instructions than through registers (a load and a store for a chunk).
  bool byLanes = e.options.laneCopy.bytes == chunkBytes &&
                 memoryLines * chunksOfLine % e.options.workgroup == 0;
  bool copying = !e.options.asyncCopy.copy.empty() || byLanes;
  if (copying && !findSource(c.reduced.back(), depthSizes.back()) &&
      plan.instruction->async && plan.instruction->async->across &&
      (isA ? instruction.rows : instruction.columns) % (lineBytes / bytes) == 0)
    across = findSource(dims.back(), sizes.back());
  if (byLanes && !source &&
      canTranspose(lines / (isA ? plan.subgroupRows : plan.subgroupColumns)))
    across = transposed = findSource(dims.back(), sizes.back());
  if (across)
    memoryLines = lines / (lineBytes / bytes) * depth;
  if (source && plan.instruction->async && e.options.boxCopy.copy)
    findBoxes();
  findView(loops);
  // From elsewhere than a view there are no zeros behind the last depth.
  auto knownDepth = graph::constantOf(depthTotal);
  if (source && copiesByLanes() && !viewed &&
      !(knownDepth && *knownDepth % depth == 0)) {
    source = nullptr;
    across = transposed = false;
    memoryLines = lines;
  }
  if (byLanes) {
    auto domain = LLVM::AliasScopeDomainAttr::get(
        context, e.b.getStringAttr("copies"), StringAttr());
    copyScopes = e.b.getArrayAttr(LLVM::AliasScopeAttr::get(
        context, e.b.getStringAttr("copied"), domain, StringAttr()));
  }
  // Across lines a thread takes as many as fill 4 bytes, if enough threads
  // have something to do then.
  unsigned perThread = lines * chunksOfLine / e.options.workgroup;
  if (!alongDepth && !across)
    if (auto innermost = graph::constantOf(loops[dims.back()]))
      while (group * bytes < 4 && group < perThread &&
             *innermost % (2 * group) == 0)
        group *= 2;
  if (direct)
    return;
  // Blocks of eight lines begin at multiples of their size.
  memory = e.shared(type, plan.stages * lines * depth, isA ? "a" : "b",
                    instruction.async ? 8 * lineBytes : chunkBytes);
  reading = layout;
  if (transposed)
    for (unsigned bit = 0; bit < 4; ++bit)
      reading.lanes[bit] =
          bit < 2 ? Basis{4u << bit, 0} : Basis{0, 1u << (bit - 2)};
  if (!e.options.matrixLoad.four.empty() && !instruction.async)
    findLoad();
}

BlockArgument MatrixOperand::tensorInMemory() {
  auto argument = dyn_cast<BlockArgument>(inBody);
  linalg::GenericOp generic = c.generic;
  if (!argument || argument.getOwner() != generic.getBlock())
    return nullptr;
  auto given = dyn_cast<BlockArgument>(
      generic->getOpOperand(argument.getArgNumber()).get());
  return given && given.getOwner() == e.kernel.getBodyBlock() ? given : nullptr;
}

AffineMap MatrixOperand::mapOfTensor() {
  linalg::GenericOp generic = c.generic;
  return generic.getMatchingIndexingMap(
      &generic->getOpOperand(cast<BlockArgument>(inBody).getArgNumber()));
}

/// Copies want whole chunks that lie in memory as they are wanted: the loop of
/// `runningDim` runs through neighbours.
bool MatrixOperand::findSource(unsigned runningDim, AffineExpr runningSize) {
  BlockArgument given = tensorInMemory();
  if (!given)
    return false;
  AffineMap map = mapOfTensor();
  SmallVector<AffineExpr> dims = dimsOf(e.kernel, given);
  AffineExpr running = getAffineDimExpr(runningDim, e.b.getContext());
  if (dims.empty() || map.getResults().back() != running)
    return false;
  for (AffineExpr expr : map.getResults().drop_back())
    if (expr.isFunctionOfDim(runningDim))
      return false;
  auto innermost = graph::constantOf(runningSize);
  auto width = graph::constantOf(dims.back());
  if (!innermost || !width || *innermost % elements || *width % elements)
    return false;
  source = given;
  return true;
}

/// A slice is a box if lines and depth are dimensions of the tensor each, or
/// neighbouring ones in their order, which count as one; all sizes are known.
void MatrixOperand::findBoxes() {
  linalg::GenericOp generic = c.generic;
  AffineMap map = generic.getMatchingIndexingMap(
      &generic->getOpOperand(cast<BlockArgument>(inBody).getArgNumber()));
  SmallVector<AffineExpr> tensorDims = dimsOf(e.kernel, source);
  constexpr unsigned mostDims = 5, longestSide = 256;
  if (lines > longestSide)
    return;
  SmallVector<unsigned> loops;
  SmallVector<uint64_t> boxedSizes;
  ArrayRef<AffineExpr> results = map.getResults();
  for (unsigned at = 0; at < results.size();) {
    auto dim = dyn_cast<AffineDimExpr>(results[at]);
    if (!dim || llvm::is_contained(loops, dim.getPosition()))
      return;
    unsigned loop = dim.getPosition(), length = 1;
    for (ArrayRef<unsigned> joint : {dims, ArrayRef<unsigned>(c.reduced)})
      if (loop == joint.front()) {
        for (auto [number, member] : llvm::enumerate(joint))
          if (at + number >= results.size() ||
              results[at + number] !=
                  getAffineDimExpr(member, map.getContext()))
            return;
        length = joint.size();
      } else if (llvm::is_contained(joint, loop)) {
        return;
      }
    uint64_t size = 1;
    for (AffineExpr part : ArrayRef(tensorDims).slice(at, length)) {
      auto known = graph::constantOf(part);
      if (!known)
        return;
      size *= *known;
    }
    // What lies outside counts as zero.
    AffineExpr whole = loop == dims.front()        ? total
                       : loop == c.reduced.front() ? depthTotal
                                                   : AffineExpr();
    if (!size || size > INT32_MAX ||
        (whole && graph::constantOf(whole) != int64_t(size)))
      return;
    loops.push_back(loop);
    boxedSizes.push_back(size);
    at += length;
  }
  if (!llvm::is_contained(loops, dims.front()) ||
      !llvm::is_contained(loops, c.reduced.front()) || loops.size() > mostDims)
    return;
  tensor = {source.getArgNumber(), bytes, {}, {}, {}};
  uint64_t stride = bytes;
  for (auto [loop, size] : llvm::reverse(llvm::zip(loops, boxedSizes))) {
    tensor.sizes.push_back(size);
    tensor.strides.push_back(stride);
    stride *= size;
    tensor.box.push_back(loop == dims.front()
                             ? (across ? lineBytes / bytes : lines)
                         : loop == c.reduced.front() ? depth
                                                     : 1);
    boxed.push_back(loop);
  }
}

void MatrixOperand::useBoxes() { map = e.tensorMap(tensor); }

void MatrixOperand::copyBoxes(SmallVector<Value> &point, Value first, Value k0,
                              Value stage, Value counter) {
  // Lying across, a box is as wide as a line of memory.
  unsigned wide = across ? lineBytes / bytes : lines;
  auto word = [&](Value index) -> Value {
    return arith::IndexCastOp::create(e.b, e.loc, e.b.getI32Type(), index);
  };
  for (unsigned line = 0; line < lines; line += wide) {
    SmallVector<Value> coordinates;
    for (unsigned loop : boxed)
      coordinates.push_back(word(loop == dims.front()
                                     ? e.add(first, e.constant(line))
                                 : loop == c.reduced.front() ? k0
                                                             : point[loop]));
    Value at = e.add(e.constant(line * depth),
                     e.mul(stage, e.constant(lines * depth)));
    e.options.boxCopy.copy(e.b, e.loc, e.sharedPointer(memory, type, at),
                           counter, map, coordinates);
  }
}

/// Loads of tiles want fragments made of them: 4 bytes of a line per lane, 4
/// lanes to a line, and one tile for each further bit of an element's number.
void MatrixOperand::findLoad() {
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

/// They want 16 lines in the lanes of a group and 4 neighbours in depth in a
/// lane; everything else is in other bits. Parts are whole lines of memory.
bool MatrixOperand::canTranspose(unsigned part) const {
  constexpr unsigned group = 16, run = 4;
  unsigned wide = lineBytes / bytes;
  if (!e.options.transposedLoad || instruction.async || bytes != 2 ||
      part % wide || e.options.workgroup / chunksOfLine % depth)
    return false;
  for (auto [bit, basis] : llvm::enumerate(layout.lanes))
    if (bit < 4 ? basis.line != 1u << bit || basis.place
                : basis.line % group || basis.place % run)
      return false;
  for (auto [bit, basis] : llvm::enumerate(layout.elements))
    if (bit < 2 ? basis.place != 1u << bit || basis.line
                : basis.line % group || basis.place % run)
      return false;
  return layout.lanes.size() >= 4 && layout.elements.size() >= 2;
}

Value MatrixOperand::exclusiveOr(Value x, Value y) {
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
SmallVector<MatrixOperand::Chunk> MatrixOperand::chunks() {
  SmallVector<Chunk> found;
  unsigned threads = e.options.workgroup;
  unsigned units = memoryLines * chunksOfLine / group;
  // Neighbouring threads take neighbours in memory.
  bool asItLies = alongDepth || across;
  unsigned fast = asItLies ? chunksOfLine : lines / group;
  for (unsigned begin = 0; begin < units; begin += threads) {
    auto [f, s] = e.splitThread(fast);
    s = e.add(s, e.constant(begin / fast));
    if (asItLies) {
      found.push_back({s, f});
      continue;
    }
    Value first = e.mul(f, e.constant(group));
    for (unsigned i = 0; i < group; ++i)
      found.push_back({e.add(first, e.constant(i)), s});
  }
  return found;
}

SmallVector<Value> MatrixOperand::fetch(SmallVector<Value> &point, Value first,
                                        Value k0) {
  if (view)
    return fetchView(point, first, k0);
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

Value MatrixOperand::clampedLine(Value line) {
  auto known = graph::constantOf(total);
  if (known && *known % lines == 0)
    return line;
  return e.select(e.less(line, e.apply(total)), line, e.constant(0));
}

Value MatrixOperand::turnOf(Value line) {
  // Two lines of 64 bytes reach around all banks.
  unsigned linesAround = 8 / chunksOfLine;
  return e.rem(e.div(line, e.constant(linesAround)), e.constant(chunksOfLine));
}

Value MatrixOperand::place(const Chunk &chunk, Value stage) {
  Value turned = e.mul(exclusiveOr(chunk.number, turnOf(chunk.line)),
                       e.constant(elements));
  Value at =
      e.add(e.add(e.mul(chunk.line, e.constant(lineBytes / bytes)), turned),
            e.mul(stage, e.constant(lines * depth)));
  return e.sharedPointer(memory, type, at);
}

void MatrixOperand::put(ArrayRef<Value> vectors, Value stage) {
  if (vectors.empty())
    return;
  for (auto [chunk, vector] : llvm::zip(chunks(), vectors))
    e.store(vector, place(chunk, stage), chunkBytes);
}

void MatrixOperand::copy(SmallVector<Value> &point, Value first, Value k0,
                         Value stage) {
  if (copiesByLanes())
    return copyByLanes(point, first, k0, stage);
  AffineMap map = mapOfTensor();
  for (const Chunk &chunk : chunks()) {
    Value inLine = e.mul(chunk.number, e.constant(elements));
    Value line = chunk.line, place = inLine;
    if (across) {
      Value panel = e.div(chunk.line, e.constant(depth));
      line = e.add(e.mul(panel, e.constant(lineBytes / bytes)), inLine);
      place = e.rem(chunk.line, e.constant(depth));
    }
    line = clampedLine(e.add(first, line));
    for (auto [dim, value] : llvm::zip(dims, e.delinearize(line, sizes)))
      point[dim] = value;
    Value k = e.add(k0, place);
    Value inside = e.less(k, e.apply(depthTotal));
    k = e.select(inside, k, e.constant(0));
    for (auto [dim, value] : llvm::zip(c.reduced, e.delinearize(k, depthSizes)))
      point[dim] = value;
    SmallVector<Value> index;
    for (AffineExpr expr : map.getResults())
      index.push_back(e.apply(expr, point));
    Value given = e.select(inside, e.constant32(chunkBytes), e.constant32(0));
    e.intrinsic(e.options.asyncCopy.copy, nullptr,
                {this->place(chunk, stage), e.address(source, index), given});
  }
}

void MatrixOperand::setPart(Value line) {
  if (direct)
    return;
  if (instruction.async) {
    // Lying across, parts are whole lines of memory.
    lineBase = e.mul(line, e.constant(depth));
    return;
  }
  auto coordinate = [&](unsigned Basis::*member, unsigned from, unsigned to) {
    return laneCoordinate(e, e.lane, reading.lanes, member, from, to);
  };
  constexpr unsigned end = 1u << 16;
  if (transposed) {
    Value deep = coordinate(&Basis::place, 1, end);
    lineBase = e.add(e.mul(line, e.constant(depth)),
                     e.add(e.mul(deep, e.constant(lineBytes / bytes)),
                           coordinate(&Basis::line, 1, elements)));
    Value own =
        exclusiveOr(coordinate(&Basis::line, elements, end), turnOf(deep));
    for (unsigned i = 0; i < chunksOfLine; ++i)
      turned.push_back(
          e.mul(exclusiveOr(own, e.constant(i)), e.constant(elements)));
    return;
  }
  Value laneLine = coordinate(&Basis::line, 1, end);
  Value chunk = coordinate(&Basis::place, elements, end);
  Value inChunk = coordinate(&Basis::place, 1, elements);
  lineBase = e.add(e.mul(e.add(line, laneLine), e.constant(depth)), inChunk);
  Value own = exclusiveOr(chunk, turnOf(laneLine));
  for (unsigned i = 0; i < chunksOfLine; ++i)
    turned.push_back(
        e.mul(exclusiveOr(own, e.constant(i)), e.constant(elements)));
}

Value MatrixOperand::descriptor(unsigned line, unsigned place, Value stage) {
  const AsyncMatrix &async = *instruction.async;
  constexpr unsigned unit = 16;
  // Where the memory is, is the same all the time.
  Value base = LLVM::PtrToIntOp::create(e.b, e.loc, e.b.getI64Type(), memory);
  base = arith::IndexCastOp::create(e.b, e.loc, e.b.getIndexType(), base);
  unsigned offset = line * depth + place * (across ? lineBytes / bytes : 1);
  Value from = e.add(e.add(lineBase, e.constant(offset)),
                     e.mul(stage, e.constant(lines * depth)));
  from = e.div(e.add(base, e.mul(from, e.constant(bytes))), e.constant(unit));
  uint64_t stride = uint64_t(8) * lineBytes / unit;
  uint64_t leading = across ? uint64_t(depth) * lineBytes / unit : 1;
  int64_t rest =
      int64_t(async.format | stride << async.stride | leading << async.leading);
  Value word = e.add(e.mul(from, e.constant(int64_t(1) << async.start)),
                     e.constant(rest));
  return arith::IndexCastOp::create(e.b, e.loc, e.b.getI64Type(), word);
}

Value MatrixOperand::joined(SmallVector<Value> parts, unsigned size) {
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

Value MatrixOperand::fragment(unsigned line, unsigned place, Value stage) {
  Value base = e.add(lineBase, e.mul(stage, e.constant(lines * depth)));
  auto pointerAt = [&](unsigned x, unsigned k) {
    unsigned turn = (k / elements) ^ (x / (8 / chunksOfLine) % chunksOfLine);
    Value at =
        e.add(e.add(base, turned[turn]), e.constant(x * depth + k % elements));
    return e.sharedPointer(memory, type, at);
  };
  unsigned count = layout.count();
  if (transposed) {
    constexpr unsigned run = 4;
    unsigned wide = lineBytes / bytes;
    SmallVector<Value> parts;
    for (unsigned i = 0; i < count; i += run) {
      Basis basis = layout.at(0, i);
      unsigned x = line + basis.line, k = place + basis.place;
      unsigned turn =
          (x % wide / elements) ^ (k / (8 / chunksOfLine) % chunksOfLine);
      Value at = e.add(e.add(base, turned[turn]),
                       e.constant((x / wide * depth + k) * wide));
      parts.push_back(e.options.transposedLoad(
          e.b, e.loc, VectorType::get({run}, type),
          e.sharedPointer(memory, type, at), copyScopes));
    }
    return joined(parts, run);
  }
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
    // Between two barriers nothing is read that a copy writes: without being
    // told, a back end waits for all copies before each read.
    if (copyScopes)
      parts.back().getDefiningOp<LLVM::LoadOp>().setNoaliasScopesAttr(
          copyScopes);
  }
  if (run == 1)
    return vector::FromElementsOp::create(
        e.b, e.loc, VectorType::get({count}, type), parts);
  return joined(parts, run);
}
