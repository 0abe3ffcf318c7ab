//===- Faults.cpp - mistakes put into a kernel's LLVM IR ------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/gpu/tests/Faults.h"

#include "llvm/Analysis/ValueTracking.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InlineAsm.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/Instructions.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Transforms/Utils/BasicBlockUtils.h"

using namespace llvm;
using namespace aicc::gpu;

const char *aicc::gpu::toString(Fault::Kind kind) {
  switch (kind) {
  case Fault::dropBarrier:
    return "drop-barrier";
  case Fault::divergeBarrier:
    return "diverge-barrier";
  case Fault::dropBound:
    return "drop-bound";
  case Fault::shiftAccess:
    return "shift-access";
  case Fault::misalign:
    return "misalign";
  case Fault::dropStore:
    return "drop-store";
  case Fault::wrongLane:
    return "wrong-lane";
  case Fault::wrongThread:
    return "wrong-thread";
  case Fault::dropWait:
    return "drop-wait";
  case Fault::copyAll:
    return "copy-all";
  case Fault::swapElements:
    return "swap-elements";
  case Fault::swapOperands:
    return "swap-operands";
  case Fault::dropResult:
    return "drop-result";
  case Fault::dropMatrixWait:
    return "drop-matrix-wait";
  case Fault::dropFence:
    return "drop-fence";
  case Fault::dropPublish:
    return "drop-publish";
  case Fault::wrongStride:
    return "wrong-stride";
  case Fault::wrongStart:
    return "wrong-start";
  case Fault::dropCounterWait:
    return "drop-counter-wait";
  case Fault::wrongExpect:
    return "wrong-expect";
  case Fault::wrongBox:
    return "wrong-box";
  case Fault::wrongCount:
    return "wrong-count";
  case Fault::wrongChunk:
    return "wrong-chunk";
  case Fault::wrongBase:
    return "wrong-base";
  case Fault::longView:
    return "long-view";
  case Fault::shortView:
    return "short-view";
  case Fault::dropEnd:
    return "drop-end";
  case Fault::wrongPitch:
    return "wrong-pitch";
  case Fault::wrongHeight:
    return "wrong-height";
  case Fault::wrongWidth:
    return "wrong-width";
  case Fault::wrongBegin:
    return "wrong-begin";
  case Fault::wrongBlock:
    return "wrong-block";
  }
  llvm_unreachable("unknown kind");
}

static StringRef calleeOf(const Instruction &inst) {
  auto *call = dyn_cast<CallBase>(&inst);
  return call && call->getCalledFunction()
             ? call->getCalledFunction()->getName()
             : StringRef();
}

static StringRef assemblyOf(const Instruction &inst) {
  auto *call = dyn_cast<CallBase>(&inst);
  auto *assembly =
      call ? dyn_cast<InlineAsm>(call->getCalledOperand()) : nullptr;
  return assembly ? assembly->getAsmString() : StringRef();
}

/// Of a matrix instruction that works beside the threads: the descriptors of
/// its operands are the only words of 64 bits.
static SmallVector<unsigned, 2> descriptorsOf(const Instruction &inst) {
  SmallVector<unsigned, 2> found;
  if (assemblyOf(inst).contains("mma_async"))
    for (auto [number, operand] : enumerate(cast<CallBase>(inst).args()))
      if (operand->getType()->isIntegerTy(64))
        found.push_back(number);
  return found;
}

/// Memory of the device or the workgroup, not the arguments or the stack.
static bool isAccess(const Instruction &inst) {
  const Value *pointer = getLoadStorePointerOperand(&inst);
  if (!pointer)
    return false;
  const Value *object = getUnderlyingObject(pointer, 0);
  return !isa<AllocaInst, Argument>(object);
}

static bool isMatrix(StringRef callee) {
  return callee.contains(".mma.") || callee.contains("mfma") ||
         callee.contains("wmma") || callee.contains("matrix_mad");
}

/// The first operands of a matrix instruction that are no constants, and
/// another one of the same type behind.
static std::pair<unsigned, unsigned> operandsOf(const CallBase &call) {
  unsigned first = 0;
  while (call.getArgOperand(first)->getType()->isIntegerTy(1))
    ++first;
  Type *type = call.getArgOperand(first)->getType();
  // Of several pieces of a, those of b are behind the last one.
  unsigned other = 0;
  for (unsigned i = first + 1; i < call.arg_size(); ++i)
    if (call.getArgOperand(i)->getType() == type &&
        !isa<ConstantInt>(call.getArgOperand(i)))
      other = i;
  return {first, other};
}

/// A branch around accesses: one side joins the other.
static bool isBound(const Instruction &inst) {
  auto *branch = dyn_cast<BranchInst>(&inst);
  if (!branch || !branch->isConditional())
    return false;
  BasicBlock *taken = branch->getSuccessor(0), *other = branch->getSuccessor(1);
  if (taken->getSinglePredecessor() != branch->getParent() ||
      taken->getSingleSuccessor() != other)
    return false;
  return any_of(*taken, isAccess);
}

/// The offset of a read that is one outside of the view beyond a bound: that
/// choice, and the offset without it.
static std::pair<SelectInst *, Value *> endOf(const Instruction &inst) {
  for (const Use &operand : cast<CallBase>(inst).args())
    if (auto *choice = dyn_cast<SelectInst>(operand)) {
      if (isa<ConstantInt>(choice->getFalseValue()))
        return {choice, choice->getTrueValue()};
      if (isa<ConstantInt>(choice->getTrueValue()))
        return {choice, choice->getFalseValue()};
    }
  return {};
}

static bool fits(const Instruction &inst, Fault::Kind kind) {
  StringRef callee = calleeOf(inst);
  switch (kind) {
  case Fault::dropBarrier:
  case Fault::divergeBarrier:
    return callee.contains("barrier") && !callee.contains("mbarrier");
  case Fault::dropBound:
    return isBound(inst);
  case Fault::shiftAccess:
  case Fault::misalign:
    return isAccess(inst);
  case Fault::dropStore:
    return isa<StoreInst>(inst) && isAccess(inst);
  case Fault::wrongLane:
    return callee.contains("shfl") || callee.contains("shuffle") ||
           callee.contains("bpermute") || callee.contains("swizzle");
  case Fault::wrongThread:
    return callee.contains("tid") || callee.contains("workitem.id") ||
           callee.contains("local_id");
  case Fault::dropWait:
  case Fault::wrongCount:
    return callee.contains("cp.async.wait") || callee.contains("s.waitcnt");
  case Fault::copyAll:
    return callee.contains("cp.async.cg") &&
           !isa<ConstantInt>(cast<CallBase>(inst).getArgOperand(2));
  case Fault::swapElements:
    return isMatrix(callee);
  case Fault::swapOperands:
    return !descriptorsOf(inst).empty() ||
           (isMatrix(callee) && operandsOf(cast<CallBase>(inst)).second);
  case Fault::dropResult:
    return assemblyOf(inst).contains("wgmma.wait_group") &&
           !isa<Constant>(cast<CallBase>(inst).getArgOperand(0));
  case Fault::dropMatrixWait:
    return callee.contains("wgmma.wait_group");
  case Fault::dropFence:
    return callee.contains("wgmma.fence");
  case Fault::dropPublish:
    return callee.contains("fence.proxy");
  case Fault::wrongStride:
  case Fault::wrongStart:
    return !descriptorsOf(inst).empty();
  case Fault::dropCounterWait:
    return callee.contains("mbarrier.try.wait");
  case Fault::wrongExpect:
    return callee.contains("mbarrier.arrive.expect");
  case Fault::wrongBox:
    return callee.contains("bulk.tensor.g2s");
  case Fault::wrongChunk:
    return callee.contains("buffer.load.lds");
  case Fault::wrongBase:
    return callee.contains("load.lds");
  case Fault::longView:
  case Fault::shortView:
    return callee.contains("make.buffer.rsrc");
  case Fault::dropEnd:
    return callee.contains("ptr.buffer.load") && endOf(inst).first;
  case Fault::wrongPitch:
  case Fault::wrongHeight:
  case Fault::wrongWidth:
  case Fault::wrongBegin:
  case Fault::wrongBlock:
    return callee.contains("2d_block_read");
  }
  return false;
}

static std::vector<Instruction *> places(Module &module, Fault::Kind kind) {
  std::vector<Instruction *> found;
  for (Function &function : module)
    for (Instruction &inst : instructions(function))
      if (fits(inst, kind))
        found.push_back(&inst);
  return found;
}

unsigned aicc::gpu::countPlaces(Module &module, Fault::Kind kind) {
  return places(module, kind).size();
}

/// The first call that tells a thread its number, made again before `inst`.
static Value *threadNumber(Instruction *inst) {
  for (Instruction &candidate : instructions(inst->getFunction()))
    if (fits(candidate, Fault::wrongThread)) {
      Instruction *copy = candidate.clone();
      copy->insertBefore(inst->getIterator());
      return copy;
    }
  return nullptr;
}

static void shift(Instruction *inst) {
  unsigned operand = isa<StoreInst>(inst) ? 1 : 0;
  Value *pointer = inst->getOperand(operand);
  Type *type = getLoadStoreType(inst);
  IRBuilder<> b(inst);
  inst->setOperand(operand, b.CreateGEP(type, pointer, b.getInt64(1)));
}

static void widenAlignment(Instruction *inst) {
  const Align promised(4096);
  if (auto *load = dyn_cast<LoadInst>(inst))
    load->setAlignment(promised);
  else
    cast<StoreInst>(inst)->setAlignment(promised);
}

static void changeLane(Instruction *inst) {
  auto *call = cast<CallBase>(inst);
  IRBuilder<> b(inst);
  StringRef callee = calleeOf(*inst);
  // Where the lane stands. Another offset than the right one would do for a
  // reduction as well, so a lane takes its own value, or that of the lane
  // before.
  unsigned operand = callee.contains("bpermute") ? 0
                     : callee.contains("shfl")   ? 2
                                                 : 1;
  Value *lane = call->getArgOperand(operand);
  constexpr uint64_t ownLane = 31, bytesOfLane = 4;
  Value *wrong = b.getInt32(0);
  if (callee.contains("bpermute"))
    wrong = b.CreateAnd(lane, b.getInt32(~uint32_t(bytesOfLane)));
  else if (callee.contains("swizzle"))
    wrong = b.getInt32(ownLane);
  call->setArgOperand(operand, wrong);
}

/// The halves of an operand change places, or two lanes do.
static void swapElements(CallBase *call) {
  unsigned first = operandsOf(*call).first;
  Value *operand = call->getArgOperand(first);
  IRBuilder<> b(call);
  if (auto *vector = dyn_cast<FixedVectorType>(operand->getType())) {
    unsigned count = vector->getNumElements();
    SmallVector<int> mask;
    for (unsigned i = 0; i < count; ++i)
      mask.push_back((i + count / 2) % count);
    call->setArgOperand(first, b.CreateShuffleVector(operand, mask));
    return;
  }
  Value *next = call->getArgOperand(first + 1);
  if (next->getType() == operand->getType()) {
    call->setArgOperand(first, next);
    call->setArgOperand(first + 1, operand);
    return;
  }
  unsigned bits = operand->getType()->getPrimitiveSizeInBits();
  Value *integer = b.CreateBitCast(operand, b.getIntNTy(bits));
  Value *turned = b.CreateOr(b.CreateShl(integer, bits / 2),
                             b.CreateLShr(integer, bits / 2));
  call->setArgOperand(first, b.CreateBitCast(turned, operand->getType()));
}

std::string aicc::gpu::inject(Module &module, Fault fault) {
  std::vector<Instruction *> found = places(module, fault.kind);
  if (fault.index >= found.size())
    return "";
  Instruction *inst = found[fault.index];
  std::string text;
  raw_string_ostream stream(text);
  inst->print(stream);
  constexpr size_t longest = 240; // there are hundreds of operands
  text = StringRef(text).trim().take_front(longest).str();
  switch (fault.kind) {
  case Fault::dropBarrier:
  case Fault::dropStore:
    inst->eraseFromParent();
    break;
  case Fault::divergeBarrier: {
    Value *thread = threadNumber(inst);
    if (!thread)
      return "";
    IRBuilder<> b(inst);
    Value *few =
        b.CreateICmpULT(thread, ConstantInt::get(thread->getType(), 3));
    Instruction *inside = SplitBlockAndInsertIfThen(few, inst, false);
    inst->moveBefore(inside->getIterator());
    break;
  }
  case Fault::dropBound:
    cast<BranchInst>(inst)->setCondition(
        ConstantInt::getTrue(module.getContext()));
    break;
  case Fault::dropWait:
  case Fault::dropMatrixWait:
  case Fault::dropFence:
  case Fault::dropPublish:
    inst->eraseFromParent();
    break;
  case Fault::copyAll:
    cast<CallBase>(inst)->setArgOperand(
        2, ConstantInt::get(Type::getInt32Ty(module.getContext()), 16));
    break;
  case Fault::swapElements:
    swapElements(cast<CallBase>(inst));
    break;
  case Fault::swapOperands: {
    auto *call = cast<CallBase>(inst);
    SmallVector<unsigned, 2> descriptors = descriptorsOf(*inst);
    auto [first, other] = descriptors.empty()
                              ? operandsOf(*call)
                              : std::pair(descriptors[0], descriptors[1]);
    Value *a = call->getArgOperand(first);
    call->setArgOperand(first, call->getArgOperand(other));
    call->setArgOperand(other, a);
    break;
  }
  case Fault::dropResult: {
    // As if the sums were there already.
    auto *call = cast<CallBase>(inst);
    IRBuilder<> b(inst);
    Value *given = PoisonValue::get(inst->getType());
    for (unsigned i = 0; i < call->arg_size(); ++i)
      given = b.CreateInsertValue(given, call->getArgOperand(i), i);
    inst->replaceAllUsesWith(given);
    inst->eraseFromParent();
    break;
  }
  case Fault::wrongStride:
  case Fault::wrongStart: {
    // The next block but one; 16 bytes further.
    constexpr uint64_t stride = uint64_t(64) << 32, start = 1;
    auto *call = cast<CallBase>(inst);
    IRBuilder<> b(inst);
    bool ofStart = fault.kind == Fault::wrongStart;
    for (unsigned operand : descriptorsOf(*inst))
      call->setArgOperand(operand,
                          b.CreateAdd(call->getArgOperand(operand),
                                      b.getInt64(ofStart ? start : stride)));
    break;
  }
  case Fault::dropCounterWait:
    inst->replaceAllUsesWith(ConstantInt::getTrue(module.getContext()));
    inst->eraseFromParent();
    break;
  case Fault::wrongExpect: {
    auto *call = cast<CallBase>(inst);
    IRBuilder<> b(inst);
    call->setArgOperand(1, b.CreateSub(call->getArgOperand(1), b.getInt32(16)));
    break;
  }
  case Fault::wrongBox: {
    // One line further.
    auto *call = cast<CallBase>(inst);
    IRBuilder<> b(inst);
    call->setArgOperand(4, b.CreateAdd(call->getArgOperand(4), b.getInt32(1)));
    break;
  }
  case Fault::wrongCount: {
    auto *call = cast<CallBase>(inst);
    auto *pending = cast<ConstantInt>(call->getArgOperand(0));
    call->setArgOperand(
        0, ConstantInt::get(pending->getType(), pending->getZExtValue() + 1));
    break;
  }
  case Fault::wrongChunk: {
    constexpr unsigned offset = 3, chunk = 16;
    auto *call = cast<CallBase>(inst);
    IRBuilder<> b(inst);
    call->setArgOperand(
        offset, b.CreateXor(call->getArgOperand(offset), b.getInt32(chunk)));
    break;
  }
  case Fault::wrongBase: {
    constexpr unsigned subgroupBytes = 1024;
    auto *call = cast<CallBase>(inst);
    IRBuilder<> b(inst);
    call->setArgOperand(1, b.CreateGEP(b.getInt8Ty(), call->getArgOperand(1),
                                       b.getInt32(subgroupBytes)));
    break;
  }
  case Fault::longView:
  case Fault::shortView: {
    auto *call = cast<CallBase>(inst);
    IRBuilder<> b(inst);
    Value *bytes = call->getArgOperand(2);
    call->setArgOperand(2, fault.kind == Fault::longView
                               ? b.CreateAdd(bytes, b.getInt64(16))
                               : b.CreateLShr(bytes, 1));
    break;
  }
  case Fault::dropEnd:
    // One operand's zeros would do.
    for (Instruction *read : found) {
      auto [choice, offset] = endOf(*read);
      read->replaceUsesOfWith(choice, offset);
    }
    break;
  case Fault::wrongPitch:
  case Fault::wrongHeight:
  case Fault::wrongWidth: {
    // A line 16 bytes longer, the way to the next one 8 bytes; half of the
    // lines.
    auto *call = cast<CallBase>(inst);
    IRBuilder<> b(inst);
    unsigned operand = fault.kind == Fault::wrongWidth    ? 1
                       : fault.kind == Fault::wrongHeight ? 2
                                                          : 3;
    Value *right = call->getArgOperand(operand);
    Value *wrong = operand == 2
                       ? b.CreateLShr(right, b.getInt32(1))
                       : b.CreateAdd(right, b.getInt32(operand == 1 ? 16 : 8));
    call->setArgOperand(operand, wrong);
    break;
  }
  case Fault::wrongBegin: {
    auto *call = cast<CallBase>(inst);
    IRBuilder<> b(inst);
    call->setArgOperand(
        0, b.CreateConstGEP1_64(b.getInt8Ty(), call->getArgOperand(0), 32));
    break;
  }
  case Fault::wrongBlock: {
    // A line further.
    auto *call = cast<CallBase>(inst);
    IRBuilder<> b(inst);
    Value *at = call->getArgOperand(4), *line = b.getInt32(1);
    line = b.CreateAdd(b.CreateExtractElement(at, line), line);
    call->setArgOperand(4, b.CreateInsertElement(at, line, b.getInt32(1)));
    break;
  }
  case Fault::shiftAccess:
    shift(inst);
    break;
  case Fault::misalign:
    widenAlignment(inst);
    break;
  case Fault::wrongLane:
    changeLane(inst);
    break;
  case Fault::wrongThread: {
    IRBuilder<> b(inst->getNextNode());
    Value *one = ConstantInt::get(inst->getType(), 1);
    // Two threads in one place: another order would be right as well.
    auto *wrong = cast<Instruction>(b.CreateOr(inst, one));
    inst->replaceUsesWithIf(wrong,
                            [&](Use &use) { return use.getUser() != wrong; });
    break;
  }
  }
  return text;
}
