//===- Virtual.cpp - a GPU kernel's LLVM IR made to run on the CPU --------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Address spaces stay as they are: the host's back end takes all of them for
// the one there is. What changes is where memory comes from (the workgroup's is
// an offset from a pointer of the thread), who is asked before it is touched,
// and what the vendor's intrinsics become.
//
//===----------------------------------------------------------------------===//

#include "compiler/gpu/Virtual.h"

#include "compiler/gpu/Gpu.h"
#include "compiler/gpu/VirtualCalls.h"
#include "compiler/gpu/VirtualTables.h"
#include "runtime/include/aicc/virtual.h"

#include "llvm/Analysis/ValueTracking.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InlineAsm.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/ModuleSlotTracker.h"
#include "llvm/IR/ReplaceConstant.h"
#include "llvm/IR/Verifier.h"
#include "llvm/Support/raw_ostream.h"

#include <cstddef>
#include <map>

using namespace llvm;
using namespace aicc::gpu;

namespace {

constexpr unsigned sharedSpace = 3;

class Virtualizer final : private VirtualCode {
public:
  Virtualizer(Module &module, const VirtualOptions &options)
      : VirtualCode(module.getContext()), m(module),
        context(module.getContext()), options(options),
        pointer(PointerType::get(context, 0)), i32(Type::getInt32Ty(context)),
        i64(Type::getInt64Ty(context)), none(Type::getVoidTy(context)) {}

  bool run(StringRef entry, std::string &outError) {
    Function *old = m.getFunction(entry);
    if (!old || old->isDeclaration() || old->arg_size() != 1) {
      outError = "there is no kernel '" + entry.str() + "'";
      return false;
    }
    collectSites(*old);
    adopt(*old);
    placeShared();
    rewrite();
    describe(entry);
    if (llvm::any_of(instructions(*kernel), [](Instruction &inst) {
          return inst.getType()->getScalarType()->isBFloatTy();
        }))
      defineRounding(m);
    std::string found;
    raw_string_ostream stream(found);
    if (error.empty() && verifyModule(m, &stream))
      error = StringRef(found).split('\n').first.str();
    outError = error;
    return error.empty();
  }

private:
  Module &m;
  LLVMContext &context;
  const VirtualOptions &options;
  Type *pointer, *i32, *i64, *none;
  Function *kernel = nullptr;
  uint64_t sharedBytes = 0;
  uint32_t flags = 0;
  SmallVector<GlobalVariable *> constants; // of device memory
  std::vector<std::string> sites;
  DenseMap<Instruction *, unsigned> siteOf;
  DenseMap<const MatrixInstruction *, GlobalVariable *> matrices;
  DenseMap<const BlockLoad *, GlobalVariable *> blocks;
  std::map<std::pair<const MatrixInstruction *, unsigned>, Value *> fragments;
  std::string error;

  void fail(const Twine &message) {
    if (error.empty())
      error = message.str();
  }

  /// Accesses and calls as they read before anything is changed.
  void collectSites(Function &function) {
    ModuleSlotTracker tracker(&m);
    tracker.incorporateFunction(function);
    for (Instruction &inst : instructions(function)) {
      if (!inst.mayReadOrWriteMemory() && !isa<CallBase>(inst))
        continue;
      siteOf[&inst] = sites.size();
      std::string text;
      raw_string_ostream stream(text);
      inst.print(stream, tracker);
      StringRef line = StringRef(text).trim();
      // Assembly with a hundred operands: enough to find it again.
      constexpr size_t longest = 240;
      sites.push_back(line.size() > longest
                          ? (line.take_front(longest) + "...").str()
                          : line.str());
    }
  }

  /// The body under the signature of a virtual kernel.
  void adopt(Function &old) {
    kernel =
        Function::Create(FunctionType::get(none, {pointer, pointer}, false),
                         GlobalValue::ExternalLinkage, "", m);
    kernel->splice(kernel->begin(), &old);
    kernel->takeName(&old);
    self = kernel->getArg(1);
    self->setName("self");
    Argument *given = old.getArg(0);
    Value *arguments = kernel->getArg(0);
    arguments->setName("args");
    if (given->getType() != pointer) {
      b.SetInsertPoint(kernel->getEntryBlock().getFirstNonPHIOrDbg());
      arguments = b.CreateAddrSpaceCast(arguments, given->getType());
    }
    given->replaceAllUsesWith(arguments);
    // Of old, nothing but annotations is left.
    old.replaceAllUsesWith(Constant::getNullValue(old.getType()));
    old.eraseFromParent();
    kernel->addFnAttr(Attribute::NoUnwind);
  }

  /// Loads a member of the thread's structure.
  Value *member(size_t offset, Type *type) {
    return b.CreateLoad(type, b.CreateConstInBoundsGEP1_64(
                                  Type::getInt8Ty(context), self, offset));
  }

  /// Workgroup memory gets offsets from the thread's pointer.
  void placeShared() {
    SmallVector<GlobalVariable *> globals;
    for (GlobalVariable &global : m.globals())
      if (global.getAddressSpace() == sharedSpace)
        globals.push_back(&global);
      else
        constants.push_back(&global);
    if (globals.empty())
      return;
    SmallVector<Constant *> users(globals.begin(), globals.end());
    convertUsersOfConstantsToInstructions(users, kernel);
    b.SetInsertPoint(kernel->getEntryBlock().getFirstNonPHIOrDbg());
    Value *base = member(offsetof(aicc_virtual_thread, shared), pointer);
    const DataLayout &layout = m.getDataLayout();
    for (GlobalVariable *global : globals) {
      uint64_t align =
          std::max<uint64_t>(16, global->getAlign().valueOrOne().value());
      sharedBytes = (sharedBytes + align - 1) / align * align;
      Value *place = b.CreateConstInBoundsGEP1_64(Type::getInt8Ty(context),
                                                  base, sharedBytes);
      sharedBytes += layout.getTypeAllocSize(global->getValueType());
      global->replaceAllUsesWith(
          b.CreateAddrSpaceCast(place, global->getType()));
      global->eraseFromParent();
    }
  }

  void rewrite() {
    SmallVector<Instruction *> all;
    for (Instruction &inst : instructions(*kernel))
      all.push_back(&inst);
    for (Instruction *inst : all) {
      b.SetInsertPoint(inst);
      if (auto *alloca = dyn_cast<AllocaInst>(inst))
        moveAlloca(*alloca);
      else if (auto *call = dyn_cast<CallBase>(inst))
        rewriteCall(*call);
      else if (isa<FenceInst>(inst))
        inst->eraseFromParent(); // threads of a workgroup run in turn
      else if (auto *load = dyn_cast<LoadInst>(inst))
        check(*inst, load->getPointerOperand(), load->getType(),
              load->getAlign(), 0);
      else if (auto *store = dyn_cast<StoreInst>(inst))
        check(*inst, store->getPointerOperand(),
              store->getValueOperand()->getType(), store->getAlign(),
              AICC_VIRTUAL_WRITE);
      else if (auto *update = dyn_cast<AtomicRMWInst>(inst))
        check(*inst, update->getPointerOperand(),
              update->getValOperand()->getType(), update->getAlign(),
              AICC_VIRTUAL_WRITE | AICC_VIRTUAL_ATOMIC);
      else if (auto *swap = dyn_cast<AtomicCmpXchgInst>(inst))
        check(*inst, swap->getPointerOperand(),
              swap->getNewValOperand()->getType(), swap->getAlign(),
              AICC_VIRTUAL_WRITE | AICC_VIRTUAL_ATOMIC);
      else if (auto *toInteger = dyn_cast<PtrToIntInst>(inst))
        replaceAddress(*toInteger);
      else if (isa<IntToPtrInst>(inst))
        checkInteger(*inst);
    }
  }

  static bool isShared(Type *type) {
    auto *found = dyn_cast<PointerType>(type->getScalarType());
    return found && found->getAddressSpace() == sharedSpace;
  }

  /// Pointers to workgroup memory may be of another width there.
  void checkInteger(Instruction &inst) {
    if (isShared(inst.getType()))
      fail("an integer is used as a pointer to workgroup memory, which a "
           "virtual device can't follow");
  }

  /// Addresses of workgroup memory count from its begin.
  void replaceAddress(PtrToIntInst &inst) {
    if (!isShared(inst.getOperand(0)->getType()))
      return;
    Value *base = member(offsetof(aicc_virtual_thread, shared), pointer);
    Value *offset =
        b.CreateSub(b.CreatePtrToInt(plainPointer(inst.getOperand(0)), i64),
                    b.CreatePtrToInt(base, i64));
    inst.replaceAllUsesWith(b.CreateZExtOrTrunc(offset, inst.getType()));
    inst.eraseFromParent();
  }

  /// The host has one address space for its stack.
  void moveAlloca(AllocaInst &alloca) {
    if (alloca.getAddressSpace() == 0)
      return;
    AllocaInst *moved = b.CreateAlloca(alloca.getAllocatedType(), 0,
                                       alloca.getArraySize(), alloca.getName());
    moved->setAlignment(alloca.getAlign());
    alloca.replaceAllUsesWith(b.CreateAddrSpaceCast(moved, alloca.getType()));
    alloca.eraseFromParent();
  }

  Value *service(size_t offset, Type *result,
                 ArrayRef<Value *> values) override {
    SmallVector<Type *> types;
    for (Value *value : values)
      types.push_back(value->getType());
    auto *type = FunctionType::get(result, types, false);
    Value *services = member(offsetof(aicc_virtual_thread, services), pointer);
    Value *function =
        b.CreateLoad(pointer, b.CreateConstInBoundsGEP1_64(
                                  Type::getInt8Ty(context), services, offset));
    return b.CreateCall(type, function, values);
  }

  void check(Instruction &inst, Value *address, Type *type, Align align,
             uint32_t flags) {
    uint64_t bytes = m.getDataLayout().getTypeStoreSize(type);
    check(inst, address, b.getInt64(bytes), align, flags);
  }

  void check(Instruction &inst, Value *address, Value *bytes, Align align,
             uint32_t flags) {
    Value *object = const_cast<Value *>(getUnderlyingObject(address, 0));
    // The argument block, the thread's structure and its stack can't be missed.
    if (isa<AllocaInst>(object) || object == kernel->getArg(0) ||
        object == self)
      return;
    if (address->getType()->getPointerAddressSpace() == sharedSpace)
      flags |= AICC_VIRTUAL_SHARED;
    access(inst, plainPointer(address), bytes, align.value(), flags);
  }

  void access(Instruction &inst, Value *address, Value *bytes, uint32_t align,
              uint32_t flags) {
    service(offsetof(aicc_virtual_services, access), none,
            {self, address, bytes, b.getInt32(align), b.getInt32(flags),
             b.getInt32(siteOf.lookup(&inst))});
  }

  void reads(CallBase &call, Value *address, Value *bytes, uint32_t align,
             uint32_t flags) override {
    access(call, address, bytes, align, flags);
  }
  Value *site(CallBase &call) override {
    return b.getInt32(siteOf.lookup(&call));
  }
  Value *ofLane(CallBase &call, Value *value, Value *lane) override {
    return shuffle(call, value, AICC_VIRTUAL_SHUFFLE_INDEX, lane, everyLane());
  }

  void rewriteCall(CallBase &call) {
    if (auto *memory = dyn_cast<MemIntrinsic>(&call)) {
      check(call, memory->getDest(), memory->getLength(),
            memory->getDestAlign().valueOrOne(), AICC_VIRTUAL_WRITE);
      if (auto *transfer = dyn_cast<MemTransferInst>(memory))
        check(call, transfer->getSource(), transfer->getLength(),
              transfer->getSourceAlign().valueOrOne(), 0);
      return;
    }
    if (auto *assembly = dyn_cast<InlineAsm>(call.getCalledOperand()))
      return replaceAssembly(call, assembly->getAsmString());
    Function *callee = call.getCalledFunction();
    if (!callee)
      return fail("a call through a pointer, which a virtual device can't "
                  "follow");
    // What it was told, hardware need not keep to: mistakes shall show.
    if (isa<AssumeInst>(call)) {
      call.eraseFromParent();
      return;
    }
    for (const aicc::gpu::Intrinsic &intrinsic : options.intrinsics)
      if (callee->getName().starts_with(intrinsic.name))
        return replace(call, intrinsic.meaning);
    for (const MatrixInstruction &row : options.matrix)
      if (row.isCallee(callee->getName()))
        return replaceMatrix(call, row);
    for (const BlockLoad &load : options.blockLoads.rows) {
      if (callee->getName() == load.callee)
        return replaceBlockLoad(call, load);
      if (callee->getName() == load.prefetch)
        return replace(call, Meaning::ignore);
    }
    if (callee->isIntrinsic() && !callee->isTargetIntrinsic())
      return;
    fail("the virtual device knows no meaning of '" + callee->getName() + "'");
  }

  Value *dimension(size_t offset, Value *which) {
    Value *place =
        b.CreateConstInBoundsGEP1_64(Type::getInt8Ty(context), self, offset);
    // What there is no dimension for is 0 by these functions' definition.
    Value *known = b.CreateICmpULT(which, b.getInt32(3));
    Value *index = b.CreateSelect(known, which, b.getInt32(0));
    Value *found = b.CreateLoad(i32, b.CreateInBoundsGEP(i32, place, index));
    return b.CreateSelect(known, found, b.getInt32(0));
  }

  /// A value of up to 64 bits as an integer of 64, and back.
  Value *widen(Value *value) {
    unsigned bits = value->getType()->getPrimitiveSizeInBits();
    Value *integer = b.CreateBitCast(value, b.getIntNTy(bits));
    return b.CreateZExt(integer, i64);
  }
  Value *narrow(Value *value, Type *type) {
    unsigned bits = type->getPrimitiveSizeInBits();
    return b.CreateBitCast(b.CreateTrunc(value, b.getIntNTy(bits)), type);
  }

  Value *shuffle(CallBase &call, Value *value, uint32_t kind, Value *operand,
                 Value *mask) {
    unsigned bits = value->getType()->getPrimitiveSizeInBits();
    if (bits == 0 || bits > 64) {
      fail("a shuffle of a value of " + Twine(bits) +
           " bits, expected 1 to 64");
      return Constant::getNullValue(value->getType());
    }
    Value *moved = service(offsetof(aicc_virtual_services, shuffle), i64,
                           {self, widen(value), b.getInt32(kind), operand, mask,
                            b.getInt32(siteOf.lookup(&call))});
    return narrow(moved, value->getType());
  }

  /// Lanes of the whole subgroup.
  Value *everyLane() {
    return b.getInt64(options.subgroup >= 64 ? ~0ull
                                             : (1ull << options.subgroup) - 1);
  }

  /// The table of a row, once in the module.
  GlobalVariable *matrixTable(const MatrixInstruction &row) {
    GlobalVariable *&table = matrices[&row];
    if (!table) {
      Constant *value = virtualTable(context, row);
      table = new GlobalVariable(m, value->getType(), true,
                                 GlobalValue::PrivateLinkage, value, "matrix");
    }
    return table;
  }

  Value *temporary(uint64_t bytes) override {
    IRBuilder<>::InsertPointGuard guard(b);
    b.SetInsertPoint(kernel->getEntryBlock().getFirstNonPHIOrDbg());
    auto *memory =
        b.CreateAlloca(ArrayType::get(Type::getInt8Ty(context), bytes));
    memory->setAlignment(Align(16));
    return memory;
  }

  void replaceMatrix(CallBase &call, const MatrixInstruction &row) {
    const DataLayout &layout = m.getDataLayout();
    // The pieces of a fragment lie one behind the other.
    auto spill = [&](unsigned &next, const FragmentLayout &fragment,
                     const Pieces &pieces, MatrixType type) {
      Value *&memory = fragments[{&row, next}];
      uint64_t bytes = uint64_t(fragment.count()) * elementBytes(type);
      if (!memory)
        memory = temporary(bytes);
      uint64_t offset = 0;
      for (unsigned i = 0; i < pieces.count; ++i) {
        Value *piece = call.getArgOperand(next++);
        b.CreateAlignedStore(piece,
                             b.CreateConstInBoundsGEP1_64(
                                 Type::getInt8Ty(context), memory, offset),
                             Align(1));
        offset += layout.getTypeStoreSize(piece->getType());
      }
      if (offset != bytes)
        fail("'" + call.getCalledFunction()->getName() + "' is given " +
             Twine(offset) + " bytes of a fragment, expected " + Twine(bytes));
      return memory;
    };
    Value *values[3] = {};
    unsigned next = 0;
    for (char letter : row.operands)
      if (letter == 'a')
        values[0] = spill(next, row.a, row.aPieces, row.operand);
      else if (letter == 'b')
        values[1] = spill(next, row.b, row.bPieces, row.operand);
      else if (letter == 'c')
        values[2] = spill(next, row.c, row.cPieces, row.result);
      else
        ++next;
    service(offsetof(aicc_virtual_services, matrix), none,
            {self, matrixTable(row), values[0], values[1], values[2], values[2],
             b.getInt32(siteOf.lookup(&call))});
    Value *result;
    if (auto *pieces = dyn_cast<StructType>(call.getType())) {
      result = PoisonValue::get(pieces);
      uint64_t offset = 0;
      for (unsigned i = 0; i < pieces->getNumElements(); ++i) {
        Type *type = pieces->getElementType(i);
        Value *piece = b.CreateAlignedLoad(
            type,
            b.CreateConstInBoundsGEP1_64(Type::getInt8Ty(context), values[2],
                                         offset),
            Align(1));
        result = b.CreateInsertValue(result, piece, i);
        offset += layout.getTypeStoreSize(type);
      }
    } else {
      result = b.CreateAlignedLoad(call.getType(), values[2], Align(1));
    }
    call.replaceAllUsesWith(result);
    call.eraseFromParent();
  }

  void replaceBlockLoad(CallBase &call, const BlockLoad &load) {
    GlobalVariable *&table = blocks[&load];
    if (!table) {
      Constant *value = virtualTable(context, load, options.blockLoads);
      table = new GlobalVariable(m, value->getType(), true,
                                 GlobalValue::PrivateLinkage, value, "block");
    }
    Value *place = temporary(sizeof(aicc_virtual_place));
    auto store = [&](size_t offset, Value *value) {
      b.CreateAlignedStore(
          value,
          b.CreateConstInBoundsGEP1_64(Type::getInt8Ty(context), place, offset),
          Align(4));
    };
    store(offsetof(aicc_virtual_place, begin),
          plainPointer(call.getArgOperand(0)));
    store(offsetof(aicc_virtual_place, width), call.getArgOperand(1));
    store(offsetof(aicc_virtual_place, height), call.getArgOperand(2));
    store(offsetof(aicc_virtual_place, pitch), call.getArgOperand(3));
    Value *at = call.getArgOperand(4);
    store(offsetof(aicc_virtual_place, place),
          b.CreateExtractElement(at, uint64_t(0)));
    store(offsetof(aicc_virtual_place, line),
          b.CreateExtractElement(at, uint64_t(1)));
    service(offsetof(aicc_virtual_services, load_block), none,
            {self, table, place, plainPointer(call.getArgOperand(5)),
             b.getInt32(siteOf.lookup(&call))});
    call.eraseFromParent();
  }

  /// Assembly has a meaning where a row of the table says it.
  void replaceAssembly(CallBase &call, StringRef text) {
    for (const MatrixInstruction &row : options.matrix) {
      if (!row.async)
        continue;
      unsigned count = row.c.count();
      bool finishes = text == row.async->finish && call.arg_size() == count;
      if (!finishes && text != row.async->assembly)
        continue;
      if (row.async->start != 0 || row.async->leading != 16 ||
          row.async->stride != 32 || row.async->lineBytes != 128 ||
          row.async->format != uint64_t(1) << 62)
        return fail("the virtual device doesn't know the descriptors of '" +
                    row.name + "'");
      flags |= AICC_VIRTUAL_USES_MATRIX_BEGIN;
      // The elements of c, which are the results.
      Value *&memory = fragments[{&row, 0}];
      unsigned bytes = elementBytes(row.result);
      if (!memory)
        memory = temporary(uint64_t(count) * bytes);
      auto at = [&](unsigned i) {
        return b.CreateConstInBoundsGEP1_64(Type::getInt8Ty(context), memory,
                                            uint64_t(i) * bytes);
      };
      for (unsigned i = 0; i < count; ++i)
        b.CreateStore(call.getArgOperand(i), at(i));
      Value *site = b.getInt32(siteOf.lookup(&call));
      if (finishes) {
        service(offsetof(aicc_virtual_services, matrix_wait), none,
                {self, b.getInt32(0), site});
        service(offsetof(aicc_virtual_services, matrix_result), none,
                {self, memory, b.getInt64(uint64_t(count) * bytes), site});
      } else {
        Value *across = b.getInt32(0);
        if (row.async->across)
          for (auto [number, flag] : {std::pair(2, AICC_VIRTUAL_A_ACROSS),
                                      std::pair(3, AICC_VIRTUAL_B_ACROSS)})
            across = b.CreateOr(across,
                                b.CreateMul(call.getArgOperand(count + number),
                                            b.getInt32(flag)));
        service(offsetof(aicc_virtual_services, matrix_begin), none,
                {self, matrixTable(row), call.getArgOperand(count),
                 call.getArgOperand(count + 1), across, memory, site});
      }
      Value *result = PoisonValue::get(call.getType());
      for (unsigned i = 0; i < count; ++i)
        result = b.CreateInsertValue(
            result, b.CreateLoad(call.getArgOperand(i)->getType(), at(i)), i);
      call.replaceAllUsesWith(result);
      call.eraseFromParent();
      return;
    }
    fail("the virtual device knows no meaning of the assembly '" + text + "'");
  }

  /// A service with the first operands of a call: pointers and i32.
  void serve(CallBase &call, size_t offset, unsigned operands,
             bool withSite = true) {
    SmallVector<Value *> values{self};
    for (unsigned i = 0; i < operands; ++i) {
      Value *operand = call.getArgOperand(i);
      values.push_back(operand->getType()->isPointerTy()
                           ? plainPointer(operand)
                           : b.CreateZExtOrTrunc(operand, i32));
    }
    if (withSite)
      values.push_back(b.getInt32(siteOf.lookup(&call)));
    service(offset, none, values);
  }

  Value *plainPointer(Value *address) override {
    return address->getType() == pointer
               ? address
               : b.CreateAddrSpaceCast(address, pointer);
  }

  void replace(CallBase &call, Meaning meaning) {
    constexpr size_t word = sizeof(uint32_t);
    constexpr size_t thread = offsetof(aicc_virtual_thread, thread);
    constexpr size_t group = offsetof(aicc_virtual_thread, group);
    Value *result = nullptr;
    switch (meaning) {
    case Meaning::ignore:
      if (!call.getType()->isVoidTy())
        return fail("'" + call.getCalledFunction()->getName() +
                    "' gives a value, expected none");
      break;
    case Meaning::threadX:
    case Meaning::threadY:
    case Meaning::threadZ:
      result = member(
          thread + word * (unsigned(meaning) - unsigned(Meaning::threadX)),
          i32);
      break;
    case Meaning::groupX:
    case Meaning::groupY:
    case Meaning::groupZ:
      result = member(
          group + word * (unsigned(meaning) - unsigned(Meaning::groupX)), i32);
      break;
    case Meaning::thread:
      result = dimension(thread, call.getArgOperand(0));
      break;
    case Meaning::group:
      result = dimension(group, call.getArgOperand(0));
      break;
    case Meaning::lane:
      result = member(offsetof(aicc_virtual_thread, lane), i32);
      break;
    case Meaning::barrier:
      serve(call, offsetof(aicc_virtual_services, barrier), 0);
      break;
    case Meaning::shuffleXor:
      result = shuffle(call, call.getArgOperand(0), AICC_VIRTUAL_SHUFFLE_XOR,
                       call.getArgOperand(1), everyLane());
      break;
    case Meaning::shuffleIndex:
      result = shuffle(call, call.getArgOperand(0), AICC_VIRTUAL_SHUFFLE_INDEX,
                       call.getArgOperand(1), everyLane());
      break;
    case Meaning::shuffleXorMasked: {
      Value *moved = shuffle(call, call.getArgOperand(1),
                             AICC_VIRTUAL_SHUFFLE_XOR, call.getArgOperand(2),
                             b.CreateZExt(call.getArgOperand(0), i64));
      if (call.getType()->isStructTy()) {
        result =
            b.CreateInsertValue(PoisonValue::get(call.getType()), moved, 0);
        result = b.CreateInsertValue(result, b.getTrue(), 1);
      } else {
        result = moved;
      }
      break;
    }
    case Meaning::shuffleBytes:
      result = shuffle(call, call.getArgOperand(1), AICC_VIRTUAL_SHUFFLE_INDEX,
                       b.CreateURem(b.CreateLShr(call.getArgOperand(0), 2),
                                    b.getInt32(options.subgroup)),
                       everyLane());
      break;
    case Meaning::copyAsync:
      service(offsetof(aicc_virtual_services, copy), none,
              {self, plainPointer(call.getArgOperand(0)),
               plainPointer(call.getArgOperand(1)), b.getInt64(16),
               b.CreateZExt(call.getArgOperand(2), i64),
               b.getInt32(siteOf.lookup(&call))});
      break;
    case Meaning::loadMatrix:
    case Meaning::loadMatrixTransposed: {
      // Lane l reads the 4 bytes l % 4 of line l / 4 of a tile, whose address
      // lane 8 * tile + l / 4 gives; or element l / 4 of two such lines.
      bool across = meaning == Meaning::loadMatrixTransposed;
      Value *lane = member(offsetof(aicc_virtual_thread, lane), i32);
      Value *address =
          b.CreatePtrToInt(plainPointer(call.getArgOperand(0)), i64);
      Value *high = b.CreateLShr(lane, 2), *low = b.CreateAnd(lane, 3);
      Value *within = b.CreateZExt(
          across ? b.CreateShl(high, 1) : b.CreateShl(low, 2), i64);
      unsigned tiles = cast<StructType>(call.getType())->getNumElements();
      result = PoisonValue::get(call.getType());
      for (unsigned tile = 0; tile < tiles; ++tile) {
        Value *word = b.getInt32(0);
        for (unsigned half = 0; half < (across ? 2 : 1); ++half) {
          Value *giver = b.CreateAdd(across ? b.CreateShl(low, 1) : high,
                                     b.getInt32(8 * tile + half));
          Value *line = shuffle(call, address, AICC_VIRTUAL_SHUFFLE_INDEX,
                                giver, everyLane());
          // The line itself must begin at a multiple of its size.
          access(call, b.CreateIntToPtr(line, pointer), b.getInt64(16), 16,
                 AICC_VIRTUAL_SHARED);
          Value *at = b.CreateIntToPtr(b.CreateAdd(line, within), pointer);
          Value *part = b.CreateAlignedLoad(b.getIntNTy(across ? 16 : 32), at,
                                            Align(across ? 2 : 4));
          word =
              b.CreateOr(word, b.CreateShl(b.CreateZExt(part, i32), 16 * half));
        }
        result = b.CreateInsertValue(result, word, tile);
      }
      break;
    }
    case Meaning::power:
      result =
          b.CreateUnaryIntrinsic(llvm::Intrinsic::exp2, call.getArgOperand(0));
      break;
    case Meaning::matrixFence:
      serve(call, offsetof(aicc_virtual_services, matrix_fence), 0, false);
      break;
    case Meaning::matrixCommit:
      serve(call, offsetof(aicc_virtual_services, matrix_commit), 0);
      break;
    case Meaning::matrixWait:
      serve(call, offsetof(aicc_virtual_services, matrix_wait), 1);
      break;
    case Meaning::publish:
      serve(call, offsetof(aicc_virtual_services, publish), 0, false);
      break;
    case Meaning::counterInit:
      serve(call, offsetof(aicc_virtual_services, counter_init), 2);
      break;
    case Meaning::counterExpect:
      serve(call, offsetof(aicc_virtual_services, counter_expect), 2);
      if (!call.use_empty())
        return fail("the state of a counter is used, which a virtual device "
                    "can't follow");
      break;
    case Meaning::counterWait:
      serve(call, offsetof(aicc_virtual_services, counter_wait), 2);
      result = b.getTrue();
      break;
    case Meaning::copyBox2:
    case Meaning::copyBox3:
    case Meaning::copyBox4:
    case Meaning::copyBox5: {
      unsigned rank = unsigned(meaning) - unsigned(Meaning::copyBox2) + 2;
      Value *coordinates = temporary(rank * sizeof(int32_t));
      for (unsigned i = 0; i < rank; ++i)
        b.CreateStore(call.getArgOperand(3 + i),
                      b.CreateConstInBoundsGEP1_64(i32, coordinates, i));
      service(offsetof(aicc_virtual_services, copy_box), none,
              {self, plainPointer(call.getArgOperand(0)),
               plainPointer(call.getArgOperand(1)),
               plainPointer(call.getArgOperand(2)), coordinates,
               b.getInt32(rank), b.getInt32(siteOf.lookup(&call))});
      break;
    }
    case Meaning::lanesBelow:
    case Meaning::lanesBelowHigh:
    case Meaning::shuffleSwizzle:
    case Meaning::swapRows16:
    case Meaning::swapRows32:
    case Meaning::viewMake:
    case Meaning::viewLoad:
    case Meaning::viewCopy:
    case Meaning::lanesCopy:
    case Meaning::waitCounts:
    case Meaning::loadTransposed:
      if (!replaceCall(call, meaning, *this, result))
        return fail("'" + call.getCalledFunction()->getName() +
                    "' in a form that a virtual device can't follow");
      break;
    case Meaning::copyCommit:
      serve(call, offsetof(aicc_virtual_services, copy_commit), 0, false);
      break;
    case Meaning::copyWait:
      serve(call, offsetof(aicc_virtual_services, copy_wait), 1);
      break;
    }
    if (result && result->getType() != call.getType()) {
      if (!result->getType()->isIntegerTy() || !call.getType()->isIntegerTy())
        return fail("'" + call.getCalledFunction()->getName() +
                    "' has another type of result than its meaning");
      result = b.CreateZExtOrTrunc(result, call.getType());
    }
    if (result)
      call.replaceAllUsesWith(result);
    call.eraseFromParent();
  }

  /// ENTRY__virtual.
  void describe(StringRef entry) {
    SmallVector<Constant *> texts;
    for (const std::string &site : sites)
      texts.push_back(b.CreateGlobalString(site, "site", 0, &m));
    auto table = [&](ArrayRef<Constant *> values, Type *type) {
      auto *list =
          ConstantArray::get(ArrayType::get(type, values.size()), values);
      return new GlobalVariable(m, list->getType(), true,
                                GlobalValue::PrivateLinkage, list, "table");
    };
    SmallVector<Constant *> places;
    auto *place = StructType::get(context, {pointer, i64});
    for (GlobalVariable *constant : constants)
      places.push_back(ConstantStruct::get(
          place,
          {ConstantExpr::getPointerBitCastOrAddrSpaceCast(constant, pointer),
           b.getInt64(
               m.getDataLayout().getTypeAllocSize(constant->getValueType()))}));
    Constant *fields[] = {b.getInt32(AICC_VIRTUAL_VERSION),
                          b.getInt32(options.subgroup),
                          b.getInt64(sharedBytes),
                          b.getInt32(texts.size()),
                          b.getInt32(places.size()),
                          b.getInt32(flags),
                          b.getInt32(0),
                          table(texts, pointer),
                          table(places, place)};
    Constant *value = ConstantStruct::getAnon(fields);
    new GlobalVariable(m, value->getType(), true, GlobalValue::ExternalLinkage,
                       value, entry + "__virtual");
  }
};

} // namespace

std::string aicc::gpu::emitVirtual(Module &module, StringRef entry,
                                   const VirtualOptions &options,
                                   std::string *assembly, std::string &error) {
  std::unique_ptr<TargetMachine> machine = virtualMachine();
  if (!machine) {
    error = "this build of LLVM has no target for this machine";
    return "";
  }
  module.setTargetTriple(machine->getTargetTriple());
  module.setDataLayout(machine->createDataLayout());
  // They speak of the vendor's target.
  for (NamedMDNode &node : make_early_inc_range(module.named_metadata()))
    node.eraseFromParent();
  if (!Virtualizer(module, options).run(entry, error))
    return "";
  if (assembly) {
    raw_string_ostream stream(*assembly);
    module.print(stream, nullptr);
  }
  error = "the object writer failed";
  return emitFile(module, *machine, CodeGenFileType::ObjectFile);
}
