//===- PlanBuffers.cpp - memory of a program ------------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// A view, a value carried around a loop, a result in place and an update share
// the memory of another value: groups. A group is live from the first
// instruction that writes it to the last that reads it; what a loop reads from
// outside stays until the loop ends. Copies are inserted where memory can't be
// shared: initial values of loops, values carried into the next iteration (not
// those that the iteration only updates), what an update changes while others
// need it, outputs that are inputs, weights or the same value twice.
//
//===----------------------------------------------------------------------===//

#include "compiler/scheduling/Schedule.h"
#include "dialects/exec/Devices.h"
#include "dialects/graph/Dims.h"
#include "dialects/graph/Names.h"
#include "runtime/package/ArenaPlan.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace aicc;
using namespace aicc::scheduling;

namespace {
class Planner {
public:
  explicit Planner(exec::ProgramOp program)
      : program(program), body(program.getBody().front()),
        kernels(program->getParentOp()) {}

  LogicalResult run() {
    insertCopies(body);
    number(body);
    group(body);
    outputs();
    // Copies for outputs came in: numbers once more.
    position.clear();
    next = 0;
    number(body);
    inPlace(body);
    return write();
  }

private:
  //===--------------------------------------------------------------------===//
  // Groups of values with one memory
  //===--------------------------------------------------------------------===//

  Value rootOf(Value value) {
    while (true) {
      auto it = parent.find(value);
      if (it == parent.end())
        return value;
      value = it->second;
    }
  }
  void share(Value value, Value with) {
    Value a = rootOf(value), b = rootOf(with);
    if (a != b)
      parent[a] = b;
  }

  /// What a group's memory is, told by its root.
  Storage storageOf(Value root) {
    if (outputIndex.contains(root))
      return Storage::output;
    if (auto arg = dyn_cast<BlockArgument>(root))
      return arg.getOwner() == &body ? Storage::input : Storage::temporary;
    Operation *op = root.getDefiningOp();
    if (isa<exec::ConstantOp>(op))
      return Storage::weight;
    if (auto launch = dyn_cast<exec::LaunchOp>(op))
      return launch.getPrepare() ? Storage::prepared : Storage::temporary;
    return isPort(op) ? Storage::input : Storage::temporary;
  }

  /// Whether it is an input of the program on another device.
  static bool isPort(Operation *op) {
    auto copy = dyn_cast<exec::CopyOp>(op);
    return copy && exec::isPort(copy);
  }

  static Value throughViews(Value value) {
    while (auto view = value.getDefiningOp<exec::ViewOp>())
      value = view.getOperand();
    return value;
  }

  static exec::CopyOp copyBefore(Operation *op, Value value) {
    OpBuilder builder(op);
    auto copy =
        exec::CopyOp::create(builder, value.getLoc(), value.getType(), value);
    exec::setDevice(copy, exec::deviceOf(value));
    return copy;
  }

  //===--------------------------------------------------------------------===//
  // Loops
  //===--------------------------------------------------------------------===//

  /// Every carried value enters through a copy and leaves an iteration
  /// through one, but for values that pass unchanged.
  void insertCopies(Block &block) {
    for (Operation &op : llvm::make_early_inc_range(block)) {
      if (auto branch = dyn_cast<exec::IfOp>(op)) {
        for (Region &region : op.getRegions()) {
          insertCopies(region.front());
          copyYields(branch, region.front());
        }
        continue;
      }
      if (auto update = dyn_cast<exec::UpdateOp>(op);
          update && !overwritable(update.getOperand(), &block))
        update.getOperandMutable().set(copyBefore(update, update.getOperand()));
      auto loop = dyn_cast<exec::LoopOp>(op);
      if (!loop)
        continue;
      for (OpOperand &init : loop->getOpOperands())
        init.set(copyBefore(loop, init.get()));
      Block &inner = loop.getBody().front();
      insertCopies(inner);
      Operation *yield = inner.getTerminator();
      // A value that another copy would overwrite is saved first.
      for (OpOperand &operand : yield->getOpOperands()) {
        auto arg = dyn_cast<BlockArgument>(throughViews(operand.get()));
        if (arg && arg.getOwner() == &inner &&
            arg.getArgNumber() != operand.getOperandNumber())
          operand.set(copyBefore(yield, operand.get()));
      }
      for (OpOperand &operand : yield->getOpOperands())
        if (updated(operand.get()) !=
            inner.getArgument(operand.getOperandNumber()))
          operand.set(copyBefore(yield, operand.get()));
    }
  }

  /// Whether the only use of a value may write to its memory: that is the
  /// block's own, a carried value included.
  static bool overwritable(Value value, Block *block) {
    if (!value.hasOneUse() || value.getParentBlock() != block)
      return false;
    if (isa<BlockArgument>(value))
      return isa<exec::LoopOp>(block->getParentOp());
    auto launch = value.getDefiningOp<exec::LaunchOp>();
    return (launch && !launch.getPrepare()) ||
           (!isPort(value.getDefiningOp()) &&
            isa<exec::CopyOp, exec::UpdateOp, exec::LoopOp>(
                value.getDefiningOp()));
  }

  /// The value whose memory updates have changed.
  static Value updated(Value value) {
    while (auto update = value.getDefiningOp<exec::UpdateOp>())
      value = update.getOperand();
    return value;
  }

  /// A region writes what it yields to the memory of the results: a launch
  /// directly, where nothing stands against it, else through a copy.
  void copyYields(exec::IfOp branch, Block &inner) {
    llvm::DenseSet<Value> direct;
    for (OpOperand &operand : inner.getTerminator()->getOpOperands()) {
      auto launch = operand.get().getDefiningOp<exec::LaunchOp>();
      bool plain = cast<ShapedType>(operand.get().getType()).hasStaticShape();
      if (!launch || launch->getBlock() != &inner || launch.getPrepare() ||
          !plain || !direct.insert(operand.get()).second)
        operand.set(copyBefore(inner.getTerminator(), operand.get()));
    }
  }

  //===--------------------------------------------------------------------===//
  // Positions
  //===--------------------------------------------------------------------===//

  static bool isInstruction(Operation *op) {
    if (auto launch = dyn_cast<exec::LaunchOp>(op))
      return !launch.getPrepare();
    return !isPort(op) && isa<exec::CallOp, exec::CopyOp, exec::UpdateOp,
                              exec::LoopOp, exec::IfOp, exec::ReadOp>(op);
  }

  void number(Block &block) {
    for (Operation &op : block) {
      if (!isInstruction(&op))
        continue;
      position[&op] = next++;
      if (!op.getNumRegions())
        continue;
      for (Region &region : op.getRegions())
        number(region.front());
      end[&op] = next - 1;
    }
  }

  void group(Block &block) {
    for (Operation &op : block) {
      if (auto view = dyn_cast<exec::ViewOp>(op))
        share(view.getResult(), view.getOperand());
      if (auto update = dyn_cast<exec::UpdateOp>(op))
        share(update.getResult(), update.getOperand());
      if (isa<exec::IfOp>(op))
        for (Region &region : op.getRegions()) {
          for (auto [value, result] :
               llvm::zip(region.front().getTerminator()->getOperands(),
                         op.getResults()))
            share(value, result);
          group(region.front());
        }
      auto loop = dyn_cast<exec::LoopOp>(op);
      if (!loop)
        continue;
      Block &inner = loop.getBody().front();
      for (unsigned i = 0; i < inner.getNumArguments(); ++i) {
        share(inner.getArgument(i), loop->getOperand(i));
        share(loop->getResult(i), loop->getOperand(i));
        // The copy at the end of an iteration writes the carried memory.
        share(inner.getTerminator()->getOperand(i), loop->getOperand(i));
      }
      group(inner);
    }
  }

  /// Whether a value's size depends on symbols that the program binds.
  bool isFoundOut(Value value) {
    auto names = program->getParentOfType<ModuleOp>()->getAttrOfType<ArrayAttr>(
        graph::symbolsAttrName);
    unsigned named = names ? names.size() : 0;
    return llvm::any_of(graph::dimsOf(value), [&](AffineExpr dim) {
      bool later = false;
      dim.walk([&](AffineExpr part) {
        if (auto symbol = dyn_cast<AffineSymbolExpr>(part))
          later |= symbol.getPosition() >= named;
      });
      return later;
    });
  }

  void outputs() {
    Operation *finish = body.getTerminator();
    for (OpOperand &operand : finish->getOpOperands()) {
      Value root = rootOf(operand.get());
      // An output whose size the run finds out can't be written before it did,
      // as another value with the same memory might be.
      bool early = operand.get() != root && isFoundOut(operand.get());
      if (storageOf(root) != Storage::temporary || early) {
        operand.set(copyBefore(finish, operand.get()));
        root = operand.get();
      }
      outputIndex[root] = operand.getOperandNumber();
    }
  }

  //===--------------------------------------------------------------------===//
  // Lifetimes
  //===--------------------------------------------------------------------===//

  struct Life {
    int64_t first = INT64_MAX, last = -1;
    void add(int64_t at) {
      first = std::min(first, at);
      last = std::max(last, at);
    }
  };

  /// The last instruction that a use keeps a value of `home` alive for: the
  /// end of the outermost loop around the use that isn't around the value.
  int64_t lastOf(Operation *user, Block *home) {
    int64_t at = position.lookup(user);
    for (Operation *op = user; op->getBlock() != home; op = op->getParentOp())
      if (auto it = end.find(op->getParentOp()); it != end.end())
        at = it->second;
    if (auto it = end.find(user); it != end.end())
      at = std::max(at, it->second);
    return at;
  }

  void addLife(Value value, Life &life) {
    Block *home = value.getParentBlock();
    if (Operation *op = value.getDefiningOp()) {
      if (position.contains(op))
        life.add(position.lookup(op));
    } else if (home != &body) {
      life.add(position.lookup(home->getParentOp()));
      life.add(end.lookup(home->getParentOp()));
    }
    for (Operation *user : value.getUsers())
      if (position.contains(user))
        life.add(lastOf(user, home));
  }

  void eachValue(Block &block, llvm::function_ref<void(Value)> f) {
    for (Value arg : block.getArguments())
      f(arg);
    for (Operation &op : block) {
      for (Value result : op.getResults())
        f(result);
      for (Region &region : op.getRegions())
        eachValue(region.front(), f);
    }
  }

  llvm::DenseMap<Value, Life> lives() {
    llvm::DenseMap<Value, Life> result;
    eachValue(body,
              [&](Value value) { addLife(value, result[rootOf(value)]); });
    return result;
  }

  /// A result takes the memory of an argument that nobody needs afterwards.
  void inPlace(Block &block) {
    // Lives grow as groups merge, but only to the past of the launch at hand.
    llvm::DenseMap<Value, Life> life = lives();
    for (Operation &op : block) {
      for (Region &region : op.getRegions())
        inPlace(region.front());
      auto launch = dyn_cast<exec::LaunchOp>(op);
      if (!launch || launch.getPrepare() || launch.getNumResults() != 1)
        continue;
      auto kernel = kernels.lookup<exec::KernelOp>(launch.getKernel());
      if (!kernel || !kernel.getInPlace())
        continue;
      Value result = rootOf(launch.getResult(0));
      ArrayRef<int64_t> candidates = *kernel.getInPlace();
      for (int64_t i : candidates) {
        Value root = rootOf(launch.getOperand(i));
        bool home =
            root.getParentBlock() == &block && (!isa<BlockArgument>(root));
        // Memory whose size the run finds out isn't there for who wrote it
        // before that, as another value.
        home &= !isFoundOut(launch.getOperand(i)) ||
                graph::dimsOf(root) == graph::dimsOf(launch.getOperand(i));
        // Twice in the argument list: written under the other reader's eyes.
        unsigned uses = llvm::count_if(
            launch.getOperands(), [&](Value v) { return rootOf(v) == root; });
        if (!home || storageOf(root) != Storage::temporary || uses != 1 ||
            root == result || life[root].last != position.lookup(launch))
          continue;
        // The result's group decides what the memory is.
        Life both = life[root];
        both.last = std::max(both.last, life[result].last);
        parent[root] = result;
        life[result] = {std::min(both.first, life[result].first), both.last};
        break;
      }
    }
  }

  //===--------------------------------------------------------------------===//
  // Attributes
  //===--------------------------------------------------------------------===//

  static std::string nameOf(Value value) {
    Location loc = value.getLoc();
    if (auto result = dyn_cast<OpResult>(value)) {
      unsigned results = result.getOwner()->getNumResults();
      auto fused = dyn_cast<FusedLoc>(loc);
      if (fused && fused.getLocations().size() == results)
        loc = fused.getLocations()[result.getResultNumber()];
      else if (results > 1) // one location for all says nothing of any
        return {};
    }
    if (auto fused = dyn_cast<FusedLoc>(loc))
      loc = fused.getLocations().front();
    return graph::valueName(loc).str();
  }

  static BlockArgument inputOf(Value root) {
    if (auto copy = root.getDefiningOp<exec::CopyOp>())
      root = copy.getOperand();
    return cast<BlockArgument>(root);
  }

  LogicalResult write() {
    llvm::DenseMap<Value, Life> life = lives();
    llvm::DenseMap<Value, int64_t> index;
    SmallVector<Value> values;
    eachValue(body, [&](Value value) {
      index[value] = values.size();
      values.push_back(value);
    });
    // An output's buffer is the group's root in the file too.
    std::vector<Buffer> buffers;
    int64_t weights = 0;
    for (Value value : values) {
      Buffer &buffer = buffers.emplace_back();
      Value root = rootOf(value);
      buffer.name = nameOf(value);
      buffer.type = cast<RankedTensorType>(value.getType());
      buffer.device = exec::deviceOf(root);
      if (value != root) {
        buffer.alias = index.lookup(root);
        // The reader wants a lifetime from every temporary.
        continue;
      }
      buffer.storage = storageOf(root);
      if (buffer.storage == Storage::output)
        buffer.index = outputIndex.lookup(root);
      else if (buffer.storage == Storage::input)
        buffer.index = inputOf(root).getArgNumber();
      else if (buffer.storage == Storage::weight)
        buffer.index = weights++;
      if (buffer.storage == Storage::temporary) {
        Life range = life.lookup(root);
        buffer.first = range.last < 0 ? 0 : range.first;
        buffer.last = std::max<int64_t>(range.last, 0);
      }
    }
    for (Buffer &buffer : buffers)
      if (buffer.alias >= 0) {
        buffer.first = buffers[buffer.alias].first;
        buffer.last = buffers[buffer.alias].last;
      }
    place(buffers);
    attach(values, index, buffers);
    return success();
  }

  /// Offsets in the arenas where all sizes are known.
  void place(std::vector<Buffer> &buffers) {
    unsigned devices = 1;
    for (const Buffer &buffer : buffers)
      devices = std::max(devices, buffer.device + 1);
    SmallVector<int64_t> bytes;
    for (unsigned device = 0; device < devices; ++device)
      bytes.push_back(place(buffers, device));
    OpBuilder builder(program);
    if (devices > 1)
      program->setAttr("arena_bytes", builder.getDenseI64ArrayAttr(bytes));
    else if (bytes[0] >= 0)
      program->setAttr("arena_bytes", builder.getI64IntegerAttr(bytes[0]));
  }

  /// The size of a device's arena; -1 if it isn't known.
  static int64_t place(std::vector<Buffer> &buffers, unsigned device) {
    std::vector<package::ArenaBlock> blocks;
    std::vector<size_t> owners;
    for (auto [i, buffer] : llvm::enumerate(buffers)) {
      if (buffer.storage != Storage::temporary || buffer.alias >= 0 ||
          buffer.device != device)
        continue;
      if (!buffer.type.hasStaticShape())
        return -1;
      uint64_t bytes = uint64_t(buffer.type.getNumElements()) *
                       elementBytes(buffer.type.getElementType());
      blocks.push_back({bytes, uint32_t(buffer.first), uint32_t(buffer.last)});
      owners.push_back(i);
    }
    package::ArenaPlan plan = package::planArena(blocks);
    if (plan.overflow)
      return -1;
    for (auto [block, owner] : llvm::enumerate(owners))
      buffers[owner].offset = plan.offsets[block];
    return plan.bytes;
  }

  void attach(ArrayRef<Value> values,
              const llvm::DenseMap<Value, int64_t> &index,
              ArrayRef<Buffer> buffers) {
    OpBuilder builder(program);
    SmallVector<Attribute> entries;
    for (const Buffer &buffer : buffers) {
      NamedAttrList entry;
      auto integer = [&](StringRef key, int64_t value) {
        entry.append(key, builder.getI64IntegerAttr(value));
      };
      entry.append("name", builder.getStringAttr(buffer.name));
      entry.append("storage", builder.getStringAttr(toString(buffer.storage)));
      entry.append("type", TypeAttr::get(buffer.type));
      if (buffer.alias >= 0)
        integer("alias", buffer.alias);
      if (buffer.index)
        integer("index", buffer.index);
      if (buffer.storage == Storage::temporary) {
        integer("first", buffer.first);
        integer("last", buffer.last);
      }
      if (buffer.offset >= 0)
        integer("offset", buffer.offset);
      if (buffer.device)
        integer("device", buffer.device);
      entries.push_back(entry.getDictionary(builder.getContext()));
    }
    program->setAttr("buffers", builder.getArrayAttr(entries));
    program.walk([&](Operation *op) {
      if (op == program.getOperation())
        return;
      auto indices = [&](ValueRange range) {
        SmallVector<int64_t> result;
        for (Value value : range)
          result.push_back(index.lookup(value));
        return builder.getDenseI64ArrayAttr(result);
      };
      if (op->getNumResults())
        op->setAttr("buffers", indices(op->getResults()));
      if (auto loop = dyn_cast<exec::LoopOp>(op))
        op->setAttr("carried", indices(loop.getBody().getArguments()));
    });
  }

  exec::ProgramOp program;
  Block &body;
  SymbolTable kernels;
  llvm::DenseMap<Value, Value> parent;
  llvm::DenseMap<Value, unsigned> outputIndex;
  llvm::DenseMap<Operation *, int64_t> position, end;
  int64_t next = 0;
};

struct PlanBuffersPass : PassWrapper<PlanBuffersPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(PlanBuffersPass)
  StringRef getArgument() const final { return "aicc-plan-buffers"; }
  StringRef getDescription() const final {
    return "Give every value of a program a buffer, and every buffer a place";
  }
  void runOnOperation() override {
    for (auto program : getOperation().getOps<exec::ProgramOp>())
      if (failed(Planner(program).run()))
        return signalPassFailure();
  }
};
} // namespace

std::unique_ptr<Pass> aicc::scheduling::createPlanBuffersPass() {
  return std::make_unique<PlanBuffersPass>();
}
