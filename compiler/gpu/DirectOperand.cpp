//===- DirectOperand.cpp - fragments straight from a tensor ---------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/gpu/DirectOperand.h"

#include "dialects/graph/Dims.h"

using namespace mlir;
using namespace aicc;
using namespace aicc::gpu;

//===----------------------------------------------------------------------===//
// Where it can be done
//===----------------------------------------------------------------------===//

/// Lines of memory and places in them, from an operand's lines and depth or
/// back.
static Basis turned(const Basis &basis, bool alongDepth) {
  return alongDepth ? basis : Basis{basis.place, basis.line};
}

static bool equal(const Basis &x, const Basis &y) {
  return x.line == y.line && x.place == y.place;
}

/// Whether a block is made of whole fragments that a subgroup's part of a slice
/// has: its first elements are a fragment, further ones the fragments behind
/// it.
static bool fits(BlockSource &source, const BlockLoad &load,
                 const FragmentLayout &layout, unsigned lineStep,
                 unsigned depthStep, unsigned lines, unsigned depth) {
  auto sameAs = [&](ArrayRef<Basis> ofMemory, ArrayRef<Basis> ofOperand) {
    return llvm::all_of(llvm::zip_equal(ofMemory, ofOperand), [&](auto pair) {
      return equal(std::get<0>(pair),
                   turned(std::get<1>(pair), source.alongDepth));
    });
  };
  unsigned bits = layout.elements.size();
  if (load.layout.lanes.size() != layout.lanes.size() ||
      load.layout.elements.size() < bits ||
      !sameAs(load.layout.lanes, layout.lanes) ||
      !sameAs(ArrayRef(load.layout.elements).take_front(bits), layout.elements))
    return false;
  source.lineLoads = source.depthLoads = 1;
  for (const Basis &basis : ArrayRef(load.layout.elements).drop_front(bits)) {
    Basis step = turned(basis, source.alongDepth);
    if (equal(step, {lineStep * source.lineLoads, 0}))
      source.lineLoads *= 2;
    else if (equal(step, {0, depthStep * source.depthLoads}))
      source.depthLoads *= 2;
    else
      return false;
  }
  source.load = &load;
  return lines % (lineStep * source.lineLoads) == 0 &&
         depth % (depthStep * source.depthLoads) == 0;
}

std::optional<BlockSource> aicc::gpu::findBlocks(exec::KernelOp kernel,
                                                 const Options &options,
                                                 const MatrixPlan &plan,
                                                 bool isA) {
  const BlockLoads &limits = options.blockLoads;
  const Contraction &c = plan.contraction;
  linalg::GenericOp generic = c.generic;
  auto argument = dyn_cast<BlockArgument>(isA ? plan.a : plan.b);
  if (limits.rows.empty() || !argument ||
      argument.getOwner() != generic.getBlock())
    return std::nullopt;
  OpOperand &operand = generic->getOpOperand(argument.getArgNumber());
  auto tensor = dyn_cast<BlockArgument>(operand.get());
  if (!tensor || tensor.getOwner() != kernel.getBodyBlock())
    return std::nullopt;
  BlockSource source{};
  source.tensor = tensor;
  source.map = generic.getMatchingIndexingMap(&operand);
  ArrayRef<AffineExpr> results = source.map.getResults();
  SmallVector<AffineExpr> sizes = dimsOf(kernel, tensor),
                          loops = loopsOf(kernel, generic);
  if (results.empty() || llvm::is_contained(sizes, AffineExpr()))
    return std::nullopt;

  // Lines of memory are the last dimensions of the tensor, the lines' number
  // neighbouring ones before; others choose a matrix.
  ArrayRef<unsigned> lineLoops = isA ? c.rows : c.columns;
  ArrayRef<unsigned> depthLoops = c.reduced;
  MLIRContext *context = kernel.getContext();
  auto isLoop = [&](unsigned result, unsigned loop) {
    return results[result] == getAffineDimExpr(loop, context) &&
           graph::equal(sizes[result], loops[loop]);
  };
  auto areLoops = [&](unsigned begin, ArrayRef<unsigned> wanted) {
    for (auto [number, loop] : llvm::enumerate(wanted))
      if (begin + number >= results.size() || !isLoop(begin + number, loop))
        return false;
    return true;
  };
  unsigned rank = results.size();
  source.alongDepth = isLoop(rank - 1, depthLoops.back());
  ArrayRef<unsigned> inner = source.alongDepth ? depthLoops : lineLoops,
                     outer = source.alongDepth ? lineLoops : depthLoops;
  if (inner.size() + outer.size() > rank ||
      !areLoops(rank - inner.size(), inner))
    return std::nullopt;
  unsigned begin = 0, innerBegin = rank - inner.size();
  while (begin + outer.size() <= innerBegin && !areLoops(begin, outer))
    ++begin;
  unsigned end = begin + outer.size();
  if (end > innerBegin)
    return std::nullopt;

  unsigned bytes = storageType(argument.getType()).getIntOrFloatBitWidth() / 8;
  SmallVector<AffineExpr> strides = stridesOf(sizes, context);
  auto width = graph::constantOf(
      productOf(ArrayRef(sizes).drop_front(innerBegin), context));
  auto pitch = graph::constantOf(strides[end - 1]);
  source.height = graph::constantOf(
      productOf(ArrayRef(sizes).slice(begin, outer.size()), context));
  if (!width || !pitch)
    return std::nullopt;
  source.width = *width;
  source.pitch = *pitch;
  int64_t lineBytes = *width * bytes, pitchBytes = *pitch * bytes;
  if (lineBytes < limits.shortest || lineBytes % limits.widthAlign ||
      pitchBytes > limits.longest || pitchBytes % limits.pitchAlign)
    return std::nullopt;
  // Of a number of lines that only the running model knows, a tile's are taken
  // as the matrix, which then begins there.
  if (source.height ? *source.height > limits.longest || *source.height == 0
                    : !source.alongDepth || pitchBytes % limits.beginAlign)
    return std::nullopt;
  for (unsigned i = 0; i < innerBegin; ++i) {
    if (i >= begin && i < end)
      continue;
    for (ArrayRef<unsigned> used : {lineLoops, depthLoops})
      for (unsigned loop : used)
        if (results[i].isFunctionOfDim(loop))
          return std::nullopt;
    AffineExpr offset = results[i] * strides[i] * bytes;
    if (!offset.isMultipleOf(limits.beginAlign))
      return std::nullopt;
  }

  const MatrixInstruction &row = *plan.instruction;
  unsigned lines =
      isA ? plan.rows / plan.subgroupRows : plan.columns / plan.subgroupColumns;
  // Best in the words that the instruction takes: others are packed anew.
  unsigned wordBytes = (isA ? row.aPieces : row.bPieces).integerBits / 8;
  for (bool sameWords : {true, false})
    for (const BlockLoad &load : limits.rows)
      if (load.elementBytes == bytes &&
          (load.wordBytes == wordBytes) == sameWords &&
          fits(source, load, isA ? row.a : row.b, isA ? row.rows : row.columns,
               row.depth, lines, plan.depth))
        return source;
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Loading
//===----------------------------------------------------------------------===//

DirectOperand::DirectOperand(Emitter &e, const MatrixPlan &plan, bool isA,
                             Value first, Value own, SmallVector<Value> point)
    : e(e), source(isA ? *plan.aBlocks : *plan.bBlocks),
      layout(isA ? plan.instruction->a : plan.instruction->b),
      type(storageType((isA ? plan.a : plan.b).getType())),
      lineStep(isA ? plan.instruction->rows : plan.instruction->columns),
      depthStep(plan.instruction->depth) {
  const Contraction &c = plan.contraction;
  ArrayRef<unsigned> lineLoops = isA ? c.rows : c.columns;
  SmallVector<AffineExpr> loops = loopsOf(e.kernel, c.generic), sizes;
  for (ArrayRef<unsigned> used : {lineLoops, ArrayRef<unsigned>(c.reduced)})
    for (unsigned loop : used)
      point[loop] = e.constant(0);
  for (unsigned loop : lineLoops)
    sizes.push_back(loops[loop]);
  firstLine = e.add(first, own);
  if (source.height) {
    height = e.constant(*source.height);
  } else {
    // From the tile on; there is at least one of its lines.
    for (auto [loop, value] : llvm::zip(lineLoops, e.delinearize(first, sizes)))
      point[loop] = value;
    firstLine = own;
    Value tile = e.constant(isA ? plan.rows : plan.columns);
    Value left = e.add(e.apply(productOf(sizes, e.b.getContext())),
                       e.mul(first, e.constant(-1)));
    height = e.select(e.less(left, tile), left, tile);
  }
  SmallVector<Value> index;
  for (AffineExpr expr : source.map.getResults())
    index.push_back(e.apply(expr, point));
  base = e.address(source.tensor, index);

  unsigned lines =
      isA ? plan.rows / plan.subgroupRows : plan.columns / plan.subgroupColumns;
  unsigned words = source.load->layout.count() * source.load->elementBytes /
                   source.load->wordBytes;
  Type memory = LLVM::LLVMArrayType::get(
      e.b.getIntegerType(8 * source.load->wordBytes), words);
  OpBuilder::InsertionGuard guard(e.b);
  e.b.setInsertionPointToStart(&e.function.getBody().front());
  Value one = LLVM::ConstantOp::create(e.b, e.loc, e.b.getI32IntegerAttr(1));
  for (unsigned line = 0; line < lines; line += lineStep * source.lineLoads)
    for (unsigned place = 0; place < plan.depth;
         place += depthStep * source.depthLoads)
      blocks.push_back(
          {line, place,
           LLVM::AllocaOp::create(e.b, e.loc,
                                  LLVM::LLVMPointerType::get(e.b.getContext()),
                                  memory, one, /*alignment=*/64)});
}

Value DirectOperand::word(Value index) {
  return arith::IndexCastOp::create(e.b, e.loc, e.b.getI32Type(), index);
}

SmallVector<Value> DirectOperand::argumentsOf(const Block &block, Value k0) {
  const BlockLoad &load = *source.load;
  Value line = e.add(firstLine, e.constant(block.line)),
        place = e.add(k0, e.constant(block.place));
  if (!source.alongDepth)
    std::swap(line, place);
  unsigned unit = load.placeBytes / load.elementBytes;
  Value at = LLVM::PoisonOp::create(e.b, e.loc,
                                    VectorType::get({2}, e.b.getI32Type()));
  unsigned number = 0;
  for (Value coordinate : {e.div(place, e.constant(unit)), line})
    at = LLVM::InsertElementOp::create(
        e.b, e.loc, at, word(coordinate),
        LLVM::ConstantOp::create(e.b, e.loc, e.b.getI32IntegerAttr(number++)));
  return {base, e.constant32(source.width * load.elementBytes), word(height),
          e.constant32(source.pitch * load.elementBytes), at};
}

void DirectOperand::prefetch(Value k0) {
  if (source.load->prefetch.empty())
    return;
  for (const Block &block : blocks)
    callBuiltin(e.b, e.loc, source.load->prefetch,
                LLVM::LLVMVoidType::get(e.b.getContext()),
                argumentsOf(block, k0));
}

void DirectOperand::load(Value k0) {
  const BlockLoad &load = *source.load;
  Type word = e.b.getIntegerType(8 * load.wordBytes);
  unsigned count = layout.count(),
           words = count * load.elementBytes / load.wordBytes;
  fragments.clear();
  for (const Block &block : blocks) {
    SmallVector<Value> arguments = argumentsOf(block, k0);
    arguments.push_back(block.memory);
    callBuiltin(e.b, e.loc, load.callee,
                LLVM::LLVMVoidType::get(e.b.getContext()), arguments);
    for (unsigned i = 0; i < source.lineLoads * source.depthLoads; ++i) {
      Basis at = turned(load.layout.at(0, i * count), source.alongDepth);
      Value pointer = LLVM::GEPOp::create(
          e.b, e.loc, block.memory.getType(), word, block.memory,
          ArrayRef<LLVM::GEPArg>{int32_t(i * words)},
          LLVM::GEPNoWrapFlags::inbounds);
      Value loaded = e.load(VectorType::get({words}, word), pointer,
                            load.wordBytes * words);
      fragments[{block.line + at.line, block.place + at.place}] =
          LLVM::BitcastOp::create(e.b, e.loc, VectorType::get({count}, type),
                                  loaded);
    }
  }
}

Value DirectOperand::fragment(unsigned line, unsigned place) const {
  return fragments.at({line, place});
}
