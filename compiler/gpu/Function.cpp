//===- Function.cpp - the kernel function and its index arithmetic --------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/gpu/Emitter.h"
#include "runtime/include/aicc/tensors.h"

#include "dialects/graph/Dims.h"

using namespace mlir;
using namespace aicc;
using namespace aicc::gpu;

/// A name that every vendor's assembler takes.
static std::string entryName(StringRef name) {
  std::string entry;
  for (char c : name)
    entry += llvm::isAlnum(c) ? c : '_';
  return llvm::isDigit(entry.front()) ? "k" + entry : entry;
}

Emitter::Emitter(exec::KernelOp kernel, const Options &options)
    : kernel(kernel), options(options), b(kernel.getContext()),
      loc(kernel.getLoc()) {
  MLIRContext *context = kernel.getContext();
  b.setInsertionPointAfter(kernel);
  std::string name = entryName(kernel.getSymName());
  module = mlir::gpu::GPUModuleOp::create(b, loc, name + "_module");
  b.setInsertionPointToStart(module.getBody());

  // The argument struct: pointers to global memory, then the scalars.
  Type global = LLVM::LLVMPointerType::get(context, 1);
  unsigned count =
      kernel.getArgumentTypes().size() + kernel.getResultTypes().size();
  SmallVector<int64_t> numbers = kernel.getUsedSymbols();
  SmallVector<Type> fields(count, global);
  fields.append(numbers.size(), b.getI64Type());
  Type block = LLVM::LLVMStructType::getLiteral(context, fields);
  Type argument = LLVM::LLVMPointerType::get(context, options.argumentSpace);
  function = LLVM::LLVMFuncOp::create(
      b, loc, name,
      LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(context), argument));
  function.setArgAttr(0, options.argumentAttribute, TypeAttr::get(block));
  function.setArgAttr(0, LLVM::LLVMDialect::getAlignAttrName(),
                      b.getI64IntegerAttr(8));
  Block *entry = function.addEntryBlock(b);
  b.setInsertionPointToStart(entry);
  Value arguments = entry->getArgument(0);
  Value always = arith::ConstantOp::create(b, loc, b.getBoolAttr(true));
  lastConstant = always.getDefiningOp();
  for (unsigned i = 0; i < fields.size(); ++i) {
    Value field = LLVM::GEPOp::create(b, loc, argument, block, arguments,
                                      ArrayRef<LLVM::GEPArg>{0, int(i)},
                                      LLVM::GEPNoWrapFlags::inbounds);
    Value loaded = load(fields[i], field, 8);
    if (i >= count) {
      symbols[numbers[i - count]] =
          arith::IndexCastOp::create(b, loc, b.getIndexType(), loaded);
      continue;
    }
    pointers.push_back(loaded);
  }
  // Buffers start at multiples of 64 bytes; telling so lets loads be wide.
  if (options.vector > 1) {
    Value align = LLVM::ConstantOp::create(b, loc, b.getI64Type(),
                                           b.getI64IntegerAttr(16));
    for (Value pointer : pointers)
      LLVM::AssumeOp::create(b, loc, always, LLVM::AssumeAlignTag(), pointer,
                             align);
  }

  using mlir::gpu::Dimension;
  lane = options.laneId
             ? Value(mlir::gpu::LaneIdOp::create(b, loc, nullptr))
             : Value(mlir::gpu::ThreadIdOp::create(b, loc, Dimension::x));
  group = options.workgroup > options.subgroup
              ? Value(mlir::gpu::ThreadIdOp::create(b, loc, Dimension::y))
              : constant(0);
  this->block = mlir::gpu::BlockIdOp::create(b, loc, Dimension::x);
}

InFlightDiagnostic Emitter::error() {
  failed = true;
  return kernel.emitError()
         << "kernel '" << kernel.getSymName() << "' for a GPU: ";
}

//===----------------------------------------------------------------------===//
// Index arithmetic
//===----------------------------------------------------------------------===//

Value Emitter::constant(int64_t number) {
  Value &known = cache[Key{reinterpret_cast<const void *>(Kind::constant),
                           reinterpret_cast<const void *>(number)}];
  if (!known) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointAfter(lastConstant);
    known = arith::ConstantIndexOp::create(b, loc, number);
    lastConstant = known.getDefiningOp();
  }
  return known;
}

std::optional<int64_t> Emitter::constantOf(Value value) {
  if (auto op = value.getDefiningOp<arith::ConstantIndexOp>())
    return op.value();
  return std::nullopt;
}

template <typename Op> Value Emitter::binary(Kind kind, Value x, Value y) {
  Key key{reinterpret_cast<const void *>(kind), x.getAsOpaquePointer(),
          y.getAsOpaquePointer()};
  if (Value known = cached(key))
    return known;
  return remember(key, Op::create(b, loc, x, y));
}

Value Emitter::add(Value x, Value y) {
  std::optional<int64_t> m = constantOf(x), n = constantOf(y);
  if (m && n)
    return constant(*m + *n);
  if (m == 0)
    return y;
  if (n == 0)
    return x;
  return binary<arith::AddIOp>(Kind::add, x, y);
}

Value Emitter::mul(Value x, Value y) {
  std::optional<int64_t> m = constantOf(x), n = constantOf(y);
  if (m && n)
    return constant(*m * *n);
  if (m == 0 || n == 1)
    return x;
  if (n == 0 || m == 1)
    return y;
  return binary<arith::MulIOp>(Kind::mul, x, y);
}

Value Emitter::div(Value x, Value y) {
  std::optional<int64_t> m = constantOf(x), n = constantOf(y);
  if (m && n && *n)
    return constant(*m / *n);
  if (n == 1)
    return x;
  return binary<arith::DivUIOp>(Kind::div, x, y);
}

Value Emitter::rem(Value x, Value y) {
  std::optional<int64_t> m = constantOf(x), n = constantOf(y);
  if (m && n && *n)
    return constant(*m % *n);
  if (n == 1)
    return constant(0);
  return binary<arith::RemUIOp>(Kind::rem, x, y);
}

Value Emitter::less(Value x, Value y) {
  Key key{reinterpret_cast<const void *>(Kind::less), x.getAsOpaquePointer(),
          y.getAsOpaquePointer()};
  if (Value known = cached(key))
    return known;
  return remember(
      key, arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, x, y));
}

Value Emitter::select(Value condition, Value x, Value y) {
  return arith::SelectOp::create(b, loc, condition, x, y);
}

/// Whether an expression of numbers that aren't negative can't be either.
static bool neverNegative(AffineExpr expr) {
  if (auto constant = dyn_cast<AffineConstantExpr>(expr))
    return constant.getValue() >= 0;
  if (auto binary = dyn_cast<AffineBinaryOpExpr>(expr))
    return neverNegative(binary.getLHS()) && neverNegative(binary.getRHS());
  return true;
}

Value Emitter::apply(AffineExpr expr, ArrayRef<Value> dims) {
  if (!expr) {
    if (!failed)
      error() << "a dimension of unknown size, expected an expression over "
                 "symbols";
    return constant(1);
  }
  if (auto number = dyn_cast<AffineConstantExpr>(expr))
    return constant(number.getValue());
  if (auto dim = dyn_cast<AffineDimExpr>(expr))
    return dims[dim.getPosition()];
  if (auto symbol = dyn_cast<AffineSymbolExpr>(expr)) {
    if (Value value = symbols.lookup(symbol.getPosition()))
      return value;
    if (!failed)
      error() << "symbol " << symbol.getPosition()
              << " is no argument of the kernel";
    return constant(1);
  }
  auto binary = cast<AffineBinaryOpExpr>(expr);
  Value x = apply(binary.getLHS(), dims), y = apply(binary.getRHS(), dims);
  bool positive = neverNegative(binary.getLHS());
  switch (expr.getKind()) {
  case AffineExprKind::Add:
    return add(x, y);
  case AffineExprKind::Mul:
    return mul(x, y);
  case AffineExprKind::FloorDiv:
    return positive ? div(x, y)
                    : this->binary<arith::FloorDivSIOp>(Kind::affine, x, y);
  case AffineExprKind::CeilDiv:
    return div(add(x, add(y, constant(-1))), y);
  case AffineExprKind::Mod: {
    if (positive)
      return rem(x, y);
    Value quotient = this->binary<arith::FloorDivSIOp>(Kind::affine, x, y);
    return arith::SubIOp::create(b, loc, x, mul(quotient, y));
  }
  default:
    llvm_unreachable("not a binary expression");
  }
}

SmallVector<Value> Emitter::delinearize(Value linear,
                                        ArrayRef<AffineExpr> sizes) {
  SmallVector<Value> index(sizes.size(), constant(0));
  SmallVector<unsigned> real; // dimensions of size 1 have index 0
  for (unsigned i = 0; i < sizes.size(); ++i)
    if (!sizes[i] || !graph::isConstant(sizes[i], 1))
      real.push_back(i);
  Value rest = linear;
  for (unsigned i : llvm::reverse(real)) {
    Value size = apply(sizes[i]);
    bool first = i == real.front();
    index[i] = first ? rest : rem(rest, size);
    if (!first)
      rest = div(rest, size);
  }
  splits.push_back({index, SmallVector<AffineExpr>(sizes), linear});
  return index;
}

std::pair<Value, Value> Emitter::splitThread(unsigned size) {
  unsigned width = options.subgroup;
  if (size >= width) { // a multiple of the subgroup
    Value rows = constant(size / width);
    return {add(lane, mul(rem(group, rows), constant(width))),
            div(group, rows)};
  }
  Value part = constant(size);
  return {rem(lane, part),
          add(mul(group, constant(width / size)), div(lane, part))};
}

//===----------------------------------------------------------------------===//
// Shared memory and structure
//===----------------------------------------------------------------------===//

Value Emitter::shared(Type element, int64_t count, StringRef name,
                      unsigned align) {
  auto type = LLVM::LLVMArrayType::get(element, count);
  LLVM::GlobalOp global;
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(module.getBody());
    global = LLVM::GlobalOp::create(b, loc, type, /*isConstant=*/false,
                                    LLVM::Linkage::Internal,
                                    (function.getName() + "_" + name).str(),
                                    Attribute(), align, /*addrSpace=*/3);
    Block *block = b.createBlock(&global.getInitializerRegion());
    b.setInsertionPointToStart(block);
    Value undefined = LLVM::UndefOp::create(b, loc, type);
    LLVM::ReturnOp::create(b, loc, undefined);
  }
  sharedBytes += count * std::max(1u, element.getIntOrFloatBitWidth() / 8);
  return LLVM::AddressOfOp::create(b, loc, global);
}

Value Emitter::sharedPointer(Value base, Type element, Value index) {
  Value offset = arith::IndexCastOp::create(b, loc, b.getI64Type(), index);
  return LLVM::GEPOp::create(b, loc, base.getType(), element, base,
                             ValueRange{offset},
                             LLVM::GEPNoWrapFlags::inbounds);
}

Value Emitter::intrinsic(StringRef name, Type type, ArrayRef<Value> operands) {
  StringAttr callee = b.getStringAttr(name);
  if (type)
    return LLVM::CallIntrinsicOp::create(b, loc, type, callee, operands)
        .getResult(0);
  LLVM::CallIntrinsicOp::create(b, loc, callee, operands);
  return nullptr;
}

Value Emitter::constant32(int32_t value) {
  return LLVM::ConstantOp::create(b, loc, b.getI32IntegerAttr(value));
}

/// Maps are behind the arguments.
static unsigned mapOffset(exec::KernelOp kernel, unsigned number) {
  unsigned words = kernel.getArgumentTypes().size() +
                   kernel.getResultTypes().size() +
                   kernel.getUsedSymbols().size();
  return llvm::alignTo(words * sizeof(uint64_t), AICC_TENSOR_MAP_ALIGN) +
         number * AICC_TENSOR_MAP_BYTES;
}

Value Emitter::tensorMap(BoxedTensor tensor) {
  Value arguments = function.getArgument(0);
  Value map = LLVM::GEPOp::create(
      b, loc, arguments.getType(), b.getI8Type(), arguments,
      ArrayRef<LLVM::GEPArg>{int(mapOffset(kernel, tensors.size()))},
      LLVM::GEPNoWrapFlags::inbounds);
  tensors.push_back(std::move(tensor));
  // The argument block grows by it.
  auto bytes = LLVM::LLVMArrayType::get(b.getI8Type(),
                                        mapOffset(kernel, tensors.size()));
  function.setArgAttr(0, options.argumentAttribute, TypeAttr::get(bytes));
  function.setArgAttr(0, LLVM::LLVMDialect::getAlignAttrName(),
                      b.getI64IntegerAttr(AICC_TENSOR_MAP_ALIGN));
  return map;
}

void Emitter::awaitPhase(Value counter, Value parity) {
  auto loop = scf::WhileOp::create(b, loc, TypeRange(), ValueRange());
  OpBuilder::InsertionGuard guard(b);
  b.createBlock(&loop.getBefore());
  Value over =
      intrinsic(options.boxCopy.tryWait, b.getI1Type(), {counter, parity});
  Value always = arith::ConstantOp::create(b, loc, b.getBoolAttr(true));
  scf::ConditionOp::create(b, loc, arith::XOrIOp::create(b, loc, over, always),
                           ValueRange());
  b.createBlock(&loop.getAfter());
  scf::YieldOp::create(b, loc);
}

void Emitter::barrier() { mlir::gpu::BarrierOp::create(b, loc); }

Value Emitter::loop(
    Value lower, Value upper, Value step, ArrayRef<Value> inits,
    llvm::function_ref<SmallVector<Value>(Value, ArrayRef<Value>)> body,
    SmallVector<Value> *out_results) {
  auto loop = scf::ForOp::create(b, loc, lower, upper, step, inits);
  OpBuilder::InsertionGuard guard(b);
  // A loop that carries nothing has its terminator already.
  if (inits.empty())
    b.setInsertionPoint(loop.getBody()->getTerminator());
  else
    b.setInsertionPointToEnd(loop.getBody());
  SmallVector<Value> carried(loop.getRegionIterArgs());
  SmallVector<Value> next = body(loop.getInductionVar(), carried);
  if (!inits.empty()) {
    if (failed)
      next = carried;
    scf::YieldOp::create(b, loc, next);
  }
  if (out_results)
    out_results->assign(loop.getResults().begin(), loop.getResults().end());
  return loop.getNumResults() ? loop.getResult(0) : Value();
}

void Emitter::guarded(Value condition, llvm::function_ref<void()> then) {
  if (!condition)
    return then();
  auto branch = scf::IfOp::create(b, loc, condition, /*withElse=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(branch.thenBlock()->getTerminator());
  then();
}
