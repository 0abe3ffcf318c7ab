//===- VirtualCalls.cpp - some vendors' intrinsics on the CPU ------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/gpu/VirtualCalls.h"

#include "runtime/include/aicc/virtual.h"

#include <cstddef>

using namespace llvm;
using namespace aicc::gpu;

static Value *laneOf(VirtualCode &code) {
  IRBuilder<> &b = code.b;
  return b.CreateLoad(b.getInt32Ty(), b.CreateConstInBoundsGEP1_64(
                                          b.getInt8Ty(), code.self,
                                          offsetof(aicc_virtual_thread, lane)));
}

/// Bits of a mask below the lane's, of 32 lanes or of the others.
static Value *lanesBelow(CallBase &call, VirtualCode &code, bool high) {
  IRBuilder<> &b = code.b;
  Value *lane = laneOf(code);
  if (high)
    lane = b.CreateBinaryIntrinsic(llvm::Intrinsic::usub_sat, lane,
                                   b.getInt32(32));
  Value *count =
      b.CreateBinaryIntrinsic(llvm::Intrinsic::umin, lane, b.getInt32(32));
  Value *below = b.CreateTrunc(
      b.CreateSub(
          b.CreateShl(b.getInt64(1), b.CreateZExt(count, b.getInt64Ty())),
          b.getInt64(1)),
      b.getInt32Ty());
  Value *bits = b.CreateAnd(call.getArgOperand(0), below);
  return b.CreateAdd(b.CreateUnaryIntrinsic(llvm::Intrinsic::ctpop, bits),
                     call.getArgOperand(1));
}

/// Three masks on the lane's number within groups of 32.
static Value *swizzle(CallBase &call, VirtualCode &code) {
  IRBuilder<> &b = code.b;
  auto *pattern = dyn_cast<ConstantInt>(call.getArgOperand(1));
  if (!pattern || pattern->getZExtValue() >> 15)
    return nullptr;
  uint32_t bits = pattern->getZExtValue();
  Value *lane = laneOf(code);
  Value *low = b.CreateAnd(lane, b.getInt32(bits & 31));
  low = b.CreateOr(low, b.getInt32(bits >> 5 & 31));
  low = b.CreateXor(low, b.getInt32(bits >> 10 & 31));
  return code.ofLane(call, call.getArgOperand(0),
                     b.CreateOr(low, b.CreateAnd(lane, b.getInt32(~31u))));
}

/// Odd rows of the first value change places with the even rows before them of
/// the second one.
static Value *swapRows(CallBase &call, VirtualCode &code, uint32_t lanes) {
  IRBuilder<> &b = code.b;
  Value *x = call.getArgOperand(0), *y = call.getArgOperand(1);
  Value *lane = laneOf(code);
  Value *across = b.CreateXor(lane, b.getInt32(lanes));
  Value *ofX = code.ofLane(call, x, across),
        *ofY = code.ofLane(call, y, across);
  Value *odd =
      b.CreateICmpNE(b.CreateAnd(lane, b.getInt32(lanes)), b.getInt32(0));
  Value *result = PoisonValue::get(call.getType());
  result = b.CreateInsertValue(result, b.CreateSelect(odd, ofY, x), 0);
  return b.CreateInsertValue(result, b.CreateSelect(odd, y, ofX), 1);
}

/// Each lane reads its 4 elements; element j of the result is one of those of
/// lane 4 j + l / 4 of the lane's 16.
static Value *loadTransposed(CallBase &call, VirtualCode &code) {
  IRBuilder<> &b = code.b;
  auto *type = dyn_cast<FixedVectorType>(call.getType());
  constexpr unsigned count = 4, bits = 16, bytes = 8;
  if (!type || type->getNumElements() != count ||
      type->getScalarSizeInBits() != bits)
    return nullptr;
  Value *address = code.plainPointer(call.getArgOperand(0));
  code.reads(call, address, b.getInt64(bytes), bytes, AICC_VIRTUAL_SHARED);
  Value *own = b.CreateAlignedLoad(b.getInt64Ty(), address, Align(bytes));
  Value *lane = laneOf(code);
  Value *first = b.CreateAnd(lane, b.getInt32(~15u));
  Value *giver = b.CreateLShr(b.CreateAnd(lane, b.getInt32(15)), 2);
  Value *place = b.CreateZExt(
      b.CreateMul(b.CreateAnd(lane, b.getInt32(3)), b.getInt32(bits)),
      b.getInt64Ty());
  Value *result = PoisonValue::get(FixedVectorType::get(b.getInt16Ty(), count));
  for (unsigned j = 0; j < count; ++j) {
    Value *from = b.CreateAdd(first, b.CreateAdd(giver, b.getInt32(4 * j)));
    Value *four = code.ofLane(call, own, from);
    result = b.CreateInsertElement(
        result, b.CreateTrunc(b.CreateLShr(four, place), b.getInt16Ty()), j);
  }
  return b.CreateBitCast(result, type);
}

namespace {

/// A view is a pointer to where it begins and how many bytes it has.
struct View {
  Value *base, *bytes;
};

class ViewCall {
public:
  ViewCall(CallBase &call, VirtualCode &code)
      : call(call), code(code), b(code.b), context(call.getContext()),
        pointer(PointerType::get(context, 0)), i64(Type::getInt64Ty(context)),
        none(Type::getVoidTy(context)) {}

  Value *make() {
    auto *stride = dyn_cast<ConstantInt>(call.getArgOperand(1));
    if (!stride || !stride->isZero())
      return nullptr;
    Value *base = code.plainPointer(call.getArgOperand(0));
    Value *bytes = call.getArgOperand(2);
    code.service(offsetof(aicc_virtual_services, view), none,
                 {code.self, base, bytes, code.site(call)});
    Value *memory = code.temporary(2 * sizeof(uint64_t));
    b.CreateStore(base, memory);
    b.CreateStore(bytes, word(memory));
    return b.CreateAddrSpaceCast(memory, call.getType());
  }

  Value *load() {
    uint64_t bytes =
        call.getModule()->getDataLayout().getTypeStoreSize(call.getType());
    Value *zeros = code.temporary(bytes);
    b.CreateStore(Constant::getNullValue(call.getType()), zeros);
    auto [inside, address] =
        place(call.getArgOperand(1), call.getArgOperand(2), nullptr, bytes);
    constexpr uint64_t wordBytes = 4;
    code.reads(call, address,
               b.CreateSelect(inside, b.getInt64(bytes), b.getInt64(0)),
               std::min(bytes, wordBytes), /*flags=*/0);
    return b.CreateAlignedLoad(
        call.getType(), b.CreateSelect(inside, address, zeros), Align(1));
  }

  bool copyView() {
    auto *bytes = dyn_cast<ConstantInt>(call.getArgOperand(2));
    if (!bytes)
      return false;
    Value *both = call.getArgOperand(5);
    auto [inside, address] = place(call.getArgOperand(3), call.getArgOperand(4),
                                   both, bytes->getZExtValue());
    return copy(call.getArgOperand(1), address, *bytes, inside, both);
  }

  bool copyFrom() {
    auto *bytes = dyn_cast<ConstantInt>(call.getArgOperand(2));
    if (!bytes)
      return false;
    Value *both = call.getArgOperand(3);
    Value *from = b.CreateGEP(b.getInt8Ty(),
                              code.plainPointer(call.getArgOperand(0)), both);
    return copy(call.getArgOperand(1), from, *bytes, b.getTrue(), both);
  }

  /// Of all counters in the word only that of copies means something: whatever
  /// else is counted has come when the next instruction begins.
  bool wait() {
    auto *bits = dyn_cast<ConstantInt>(call.getArgOperand(0));
    if (!bits)
      return false;
    uint32_t word = bits->getZExtValue();
    uint32_t pending = (word & 15) | (word >> 14 & 3) << 4;
    code.service(offsetof(aicc_virtual_services, copy_wait), none,
                 {code.self, b.getInt32(pending), code.site(call)});
    return true;
  }

private:
  CallBase &call;
  VirtualCode &code;
  IRBuilder<> &b;
  LLVMContext &context;
  Type *pointer, *i64, *none;

  Value *word(Value *memory) {
    return b.CreateConstInBoundsGEP1_64(i64, memory, 1);
  }

  /// Whether bytes at an offset lie in the view, and where they are.
  std::pair<Value *, Value *> place(Value *offset, Value *more, Value *both,
                                    uint64_t bytes) {
    Value *memory = code.plainPointer(call.getArgOperand(0));
    Value *base = b.CreateLoad(pointer, memory);
    Value *end = b.CreateLoad(i64, word(memory));
    Value *at = b.CreateAdd(b.CreateZExt(offset, i64), b.CreateZExt(more, i64));
    if (both)
      at = b.CreateAdd(at, b.CreateZExt(both, i64));
    Value *inside = b.CreateICmpULE(b.CreateAdd(at, b.getInt64(bytes)), end);
    return {inside, b.CreateGEP(b.getInt8Ty(), base, at)};
  }

  /// Where the first lane says, each lane behind the one before.
  bool copy(Value *to, Value *from, ConstantInt &bytes, Value *inside,
            Value *both) {
    uint64_t size = bytes.getZExtValue();
    if (!isPowerOf2_64(size) || size > 16)
      return false;
    Value *first = code.ofLane(
        call, b.CreatePtrToInt(code.plainPointer(to), i64), b.getInt32(0));
    Value *lane = laneOf(code);
    Value *own = b.CreateAdd(
        first, b.CreateMul(b.CreateZExt(lane, i64), b.getInt64(size)));
    own = b.CreateAdd(own, b.CreateZExt(both, i64));
    code.service(offsetof(aicc_virtual_services, copy), none,
                 {code.self, b.CreateIntToPtr(own, pointer), from,
                  b.getInt64(size),
                  b.CreateSelect(inside, b.getInt64(size), b.getInt64(0)),
                  code.site(call)});
    // Copies are counted one by one.
    code.service(offsetof(aicc_virtual_services, copy_commit), none,
                 {code.self});
    return true;
  }
};

} // namespace

bool aicc::gpu::replaceCall(CallBase &call, Meaning meaning, VirtualCode &code,
                            Value *&result) {
  ViewCall view(call, code);
  switch (meaning) {
  case Meaning::lanesBelow:
  case Meaning::lanesBelowHigh:
    result = lanesBelow(call, code, meaning == Meaning::lanesBelowHigh);
    return true;
  case Meaning::shuffleSwizzle:
    result = swizzle(call, code);
    return result;
  case Meaning::swapRows16:
  case Meaning::swapRows32:
    result = swapRows(call, code, meaning == Meaning::swapRows16 ? 16 : 32);
    return true;
  case Meaning::viewMake:
    result = view.make();
    return result;
  case Meaning::viewLoad:
    result = view.load();
    return true;
  case Meaning::viewCopy:
    return view.copyView();
  case Meaning::lanesCopy:
    return view.copyFrom();
  case Meaning::waitCounts:
    return view.wait();
  case Meaning::loadTransposed:
    result = loadTransposed(call, code);
    return result;
  default:
    llvm_unreachable("no such call");
  }
}

void aicc::gpu::defineRounding(Module &module) {
  LLVMContext &context = module.getContext();
  auto *type = FunctionType::get(Type::getBFloatTy(context),
                                 {Type::getFloatTy(context)}, false);
  auto *function = Function::Create(type, GlobalValue::LinkOnceODRLinkage,
                                    "__truncsfbf2", module);
  function->setVisibility(GlobalValue::HiddenVisibility);
  IRBuilder<> b(BasicBlock::Create(context, "", function));
  Value *given = function->getArg(0);
  Value *bits = b.CreateBitCast(given, b.getInt32Ty());
  Value *upper = b.CreateLShr(bits, 16);
  // To the nearest, of two the even one.
  Value *rounded = b.CreateLShr(
      b.CreateAdd(bits, b.CreateAdd(b.CreateAnd(upper, b.getInt32(1)),
                                    b.getInt32(0x7fff))),
      16);
  Value *quiet = b.CreateOr(upper, b.getInt32(0x40));
  Value *result = b.CreateSelect(b.CreateFCmpUNO(given, given), quiet, rounded);
  b.CreateRet(b.CreateBitCast(b.CreateTrunc(result, b.getInt16Ty()),
                              Type::getBFloatTy(context)));
}
