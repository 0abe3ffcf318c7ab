//===- OutlineKernels.cpp - kernels and the program that launches them ----===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// Every cluster becomes an `exec.kernel`, equal ones only once; `func @main`
// becomes an `exec.program` of launches, views, constants and loops. A launch
// that depends on constants only is marked `prepare`.
//
//===----------------------------------------------------------------------===//

#include "compiler/transforms/Clusters.h"
#include "compiler/transforms/Evaluate.h"
#include "compiler/transforms/Passes.h"
#include "compiler/transforms/Utils.h"
#include "dialects/exec/Devices.h"
#include "dialects/graph/Control.h"
#include "dialects/graph/Names.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/OperationSupport.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace aicc;
using namespace aicc::transforms;

namespace {
/// The nodes of the model that a location names; the tensor where it names
/// no node.
void addSources(Location loc, llvm::SetVector<StringAttr> &sources) {
  if (auto fused = dyn_cast<FusedLoc>(loc)) {
    for (Location part : fused.getLocations())
      addSources(part, sources);
    return;
  }
  StringRef name = graph::nodeName(loc);
  if (name.empty())
    name = graph::valueName(loc);
  if (!name.empty())
    sources.insert(StringAttr::get(loc.getContext(), name));
}

std::string symbolFor(StringRef name) {
  std::string symbol = "k_";
  for (char c : name.take_back(80))
    symbol += llvm::isAlnum(c) ? c : '_';
  return symbol;
}

struct OutlineKernelsPass
    : PassWrapper<OutlineKernelsPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(OutlineKernelsPass)
  StringRef getArgument() const final { return "aicc-outline-kernels"; }
  StringRef getDescription() const final {
    return "Group operators into kernels and write the program";
  }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<exec::ExecDialect>();
  }

  void runOnOperation() override {
    auto function = getOperation().lookupSymbol<func::FuncOp>("main");
    if (!function) {
      getOperation().emitError("module has no function main");
      return signalPassFailure();
    }
    if (attention)
      places.attention.assign(places.attention.size(), true);
    symbols = std::make_unique<SymbolTable>(getOperation());
    kernels.clear();
    graph::orderBySymbols(function.getBody().front());
    hoistConstants(function);
    nameOnce(function);

    OpBuilder builder(function);
    auto names = [&](unsigned count, auto attribute) {
      SmallVector<Attribute> result;
      for (unsigned i = 0; i < count; ++i) {
        auto name = dyn_cast_or_null<StringAttr>(attribute(i));
        result.push_back(name ? name : builder.getStringAttr(Twine(i)));
      }
      return builder.getArrayAttr(result);
    };
    OperationState state(function.getLoc(),
                         exec::ProgramOp::getOperationName());
    state.addAttribute("sym_name", builder.getStringAttr("program"));
    state.addAttribute("argument_names",
                       names(function.getNumArguments(), [&](unsigned i) {
                         return function.getArgAttr(i, "graph.name");
                       }));
    state.addAttribute("result_names",
                       names(function.getNumResults(), [&](unsigned i) {
                         return function.getResultAttr(i, "graph.name");
                       }));
    Block *body = new Block();
    state.addRegion()->push_back(body);
    program = builder.create(state);
    IRMapping mapping;
    for (BlockArgument arg : function.getArguments())
      mapping.map(arg, body->addArgument(arg.getType(), arg.getLoc()));
    outline(function.getBody().front(), *body, mapping);
    function.erase();
  }

  /// What depends on constants only leaves the loops.
  void hoistConstants(func::FuncOp function) {
    function.walk<WalkOrder::PreOrder>([&](graph::LoopOp loop) {
      for (Operation &op : llvm::make_early_inc_range(loop.getBody().front())) {
        if (op.getNumResults() != 1 || !canEvaluate(&op) ||
            isa<graph::BroadcastOp, graph::IotaOp>(op) ||
            !graph::usedSymbols(&op).empty() ||
            !isConstantDerived(op.getResult(0)))
          continue;
        for (Value operand : op.getOperands())
          if (Operation *def = operand.getDefiningOp();
              def && def->getBlock() == op.getBlock())
            def->moveBefore(loop);
        op.moveBefore(loop);
      }
    });
  }

  /// A tensor of the model is one value. What passes put before it to compute
  /// it took its location: of several the last one is the tensor. Which of an
  /// operator's results a name belongs to isn't known.
  static void nameOnce(func::FuncOp function) {
    llvm::DenseMap<StringRef, Operation *> last;
    auto named = [](Operation *op) {
      return isa<graph::ConstantOp>(op) ? StringRef()
                                        : graph::valueName(op->getLoc());
    };
    function.walk<WalkOrder::PreOrder>([&](Operation *op) {
      if (StringRef name = named(op); !name.empty() && op->getNumResults() == 1)
        last[name] = op;
    });
    function.walk([&](Operation *op) {
      StringRef name = named(op), node = graph::nodeName(op->getLoc());
      if (!name.empty() && !node.empty() && last.lookup(name) != op)
        op->setLoc(graph::nodeLocation(op->getContext(), node));
    });
  }

  void outline(Block &from, Block &to, IRMapping &mapping) {
    Clusters clusters(from, places);
    OpBuilder builder(&getContext());
    builder.setInsertionPointToEnd(&to);
    for (const Clusters::Item &item : clusters.ordered()) {
      if (item.cluster) {
        launch(clusters, *item.cluster, builder, mapping);
        continue;
      }
      Operation *op = item.op;
      Location loc = op->getLoc();
      // What it becomes is for its target.
      auto place = [&](Operation *made) {
        exec::setDevice(made, clusters.placeOf(op));
      };
      auto mapped = [&](ValueRange values) {
        SmallVector<Value> result;
        for (Value value : values)
          result.push_back(mapping.lookup(value));
        return result;
      };
      if (auto constant = dyn_cast<graph::ConstantOp>(op)) {
        // Where every user takes a copy there is nothing to store.
        if (llvm::all_of(op->getUsers(), [&](Operation *user) {
              return Clusters::isInlined(constant.getResult(), user);
            }))
          continue;
        mapping.map(constant.getResult(),
                    exec::ConstantOp::create(builder, loc, constant.getType(),
                                             constant.getValue())
                        .getResult());
      } else if (auto reshape = dyn_cast<graph::ReshapeOp>(op)) {
        mapping.map(reshape.getResult(),
                    exec::ViewOp::create(builder, loc, reshape.getType(),
                                         mapping.lookup(reshape.getOperand()))
                        .getResult());
      } else if (auto update = dyn_cast<graph::UpdateOp>(op)) {
        auto outer = exec::UpdateOp::create(
            builder, loc, update.getType(), mapping.lookup(update.getOperand()),
            mapping.lookup(update.getUpdate()),
            graph::makeMap(*consecutivePlace(update), builder.getContext()));
        place(outer);
        mapping.map(update.getResult(), outer.getResult());
      } else if (auto loop = dyn_cast<graph::LoopOp>(op)) {
        OperationState state(loc, exec::LoopOp::getOperationName());
        state.addOperands(mapped(loop.getInits()));
        state.addTypes(loop.getResultTypes());
        state.addAttribute("count", loop.getCountAttr());
        state.addAttribute("symbol", loop.getSymbolAttr());
        if (loop.getConditional())
          state.addAttribute("conditional", builder.getUnitAttr());
        if (loop.getTripsAttr())
          state.addAttribute("trips", loop.getTripsAttr());
        Block *body = new Block();
        state.addRegion()->push_back(body);
        Operation *outer = builder.create(state);
        place(outer);
        for (BlockArgument arg : loop.getBody().getArguments())
          mapping.map(arg, body->addArgument(arg.getType(), arg.getLoc()));
        outline(loop.getBody().front(), *body, mapping);
        mapping.map(op->getResults(), outer->getResults());
      } else if (auto branch = dyn_cast<graph::IfOp>(op)) {
        OperationState state(loc, exec::IfOp::getOperationName());
        state.addOperands(mapping.lookup(branch.getCondition()));
        state.addTypes(branch.getResultTypes());
        for (unsigned i = 0; i < 2; ++i)
          state.addRegion()->push_back(new Block());
        Operation *outer = builder.create(state);
        place(outer);
        for (unsigned i = 0; i < 2; ++i)
          outline(op->getRegion(i).front(), outer->getRegion(i).front(),
                  mapping);
        mapping.map(op->getResults(), outer->getResults());
      } else if (auto read = dyn_cast<graph::ReadOp>(op)) {
        llvm::SetVector<StringAttr> sources;
        addSources(loc, sources);
        SmallVector<Attribute> names(sources.begin(), sources.end());
        exec::ReadOp::create(builder, loc, mapping.lookup(read.getOperand()),
                             read.getElementAttr(), read.getSymbolAttr(),
                             read.getMinimumAttr(),
                             builder.getArrayAttr(names));
      } else if (auto call = dyn_cast<graph::CallOp>(op)) {
        llvm::SetVector<StringAttr> sources;
        addSources(loc, sources);
        SmallVector<Attribute> names(sources.begin(), sources.end());
        auto outer = exec::CallOp::create(
            builder, loc, call.getResultTypes(), call.getFunctionAttr(),
            mapped(call.getOperands()), call.getOptionsAttr(),
            builder.getArrayAttr(names));
        place(outer);
        mapping.map(op->getResults(), outer.getResults());
      } else if (isa<graph::YieldOp>(op)) {
        exec::YieldOp::create(builder, loc, mapped(op->getOperands()));
      } else if (isa<func::ReturnOp>(op)) {
        exec::FinishOp::create(builder, loc, mapped(op->getOperands()));
      }
    }
  }

  void launch(const Clusters &clusters, const Cluster &cluster,
              OpBuilder &builder, IRMapping &mapping) {
    SmallVector<Value> results = clusters.resultsOf(cluster);
    if (results.empty())
      return;
    llvm::SmallPtrSet<Operation *, 8> members(cluster.ops.begin(),
                                              cluster.ops.end());
    llvm::SetVector<Value> inputs;
    llvm::SetVector<StringAttr> sources;
    for (Operation *op : cluster.ops) {
      for (const Base &base : basesOf(op))
        if (!members.contains(base.value.getDefiningOp()))
          inputs.insert(base.value);
      addSources(op->getLoc(), sources);
    }

    // The body: the operators, and copies of what they inline.
    Region region;
    Block *body = new Block();
    region.push_back(body);
    OpBuilder inner(&getContext());
    inner.setInsertionPointToStart(body);
    IRMapping local;
    SmallVector<Attribute> argumentTypes, resultTypes;
    for (Value input : inputs) {
      local.map(input, body->addArgument(input.getType(), input.getLoc()));
      argumentTypes.push_back(TypeAttr::get(input.getType()));
    }
    std::function<void(Value)> materialize = [&](Value value) {
      if (local.contains(value))
        return;
      Operation *op = value.getDefiningOp();
      for (Value operand : op->getOperands())
        materialize(operand);
      inner.clone(*op, local);
    };
    for (Operation *op : cluster.ops) {
      for (Value operand : op->getOperands())
        materialize(operand);
      inner.clone(*op, local);
    }
    SmallVector<Value> yielded;
    for (Value result : results) {
      yielded.push_back(local.lookup(result));
      resultTypes.push_back(TypeAttr::get(result.getType()));
    }
    exec::ReturnOp::create(inner, program->getLoc(), yielded);

    Operation *root = cluster.ops.front();
    for (Operation *op : cluster.ops)
      if (!op->hasTrait<graph::Elementwise>())
        root = op;
    if (root->hasTrait<graph::Elementwise>())
      root = cluster.ops.back();
    bool isStatic = !usesSymbols(region);
    exec::KernelOp kernel = kernelFor(
        region, argumentTypes, resultTypes, sources, root->getLoc(),
        inPlace(cluster, inputs.getArrayRef(), results), cluster.device);

    SmallVector<Location> locs;
    SmallVector<Type> types;
    for (Value result : results) {
      locs.push_back(result.getLoc());
      types.push_back(result.getType());
    }
    SmallVector<Value> operands;
    bool prepare =
        isStatic && isa<exec::ProgramOp>(builder.getBlock()->getParentOp());
    for (Operation *op : cluster.ops)
      prepare = prepare && graph::usedSymbols(op).empty();
    for (Value input : inputs) {
      operands.push_back(mapping.lookup(input));
      prepare &= isPrepared(operands.back());
    }
    // Equal kernels are one, and know the nodes of all their places: those of
    // this one stand here.
    SmallVector<Attribute> nodes(sources.begin(), sources.end());
    auto op = exec::LaunchOp::create(
        builder, builder.getFusedLoc(locs, builder.getArrayAttr(nodes)), types,
        SymbolRefAttr::get(kernel.getSymNameAttr()), operands,
        prepare ? builder.getUnitAttr() : UnitAttr());
    exec::setDevice(op, cluster.device);
    mapping.map(results, op.getResults());
  }

  /// Whether sizes that are only known in a run take part, in a type or in an
  /// attribute (an offset, the entries of graph.dimensions).
  static bool usesSymbols(Region &region) {
    auto inMap = [](AffineMap map) {
      bool found = false;
      map.walkExprs([&](AffineExpr e) { found |= isa<AffineSymbolExpr>(e); });
      return found;
    };
    return region
        .walk([&](Operation *op) {
          for (Type type : op->getResultTypes()) {
            auto tensor = dyn_cast<RankedTensorType>(type);
            if (tensor && !tensor.hasStaticShape())
              return WalkResult::interrupt();
          }
          for (NamedAttribute attribute : op->getAttrs())
            if (auto map = dyn_cast<AffineMapAttr>(attribute.getValue());
                map && inMap(map.getValue()))
              return WalkResult::interrupt();
          return WalkResult::advance();
        })
        .wasInterrupted();
  }

  /// Whether the value is known once the session exists.
  static bool isPrepared(Value value) {
    while (auto view = value.getDefiningOp<exec::ViewOp>())
      value = view.getOperand();
    if (auto launch = value.getDefiningOp<exec::LaunchOp>())
      return launch.getPrepare();
    return value.getDefiningOp<exec::ConstantOp>() != nullptr;
  }

  /// Arguments whose memory the result may take: an elementwise kernel with
  /// one result reads them at the very index it writes.
  static SmallVector<int64_t> inPlace(const Cluster &cluster,
                                      ArrayRef<Value> inputs,
                                      ArrayRef<Value> results) {
    SmallVector<int64_t> candidates;
    if (cluster.kind != ClusterKind::elementwise || results.size() != 1)
      return candidates;
    auto type = cast<RankedTensorType>(results[0].getType());
    for (auto [i, input] : llvm::enumerate(inputs)) {
      auto from = cast<RankedTensorType>(input.getType());
      bool fits =
          from.getShape() == type.getShape() &&
          from.getEncoding() == type.getEncoding() &&
          bytesOf(from.getElementType()) == bytesOf(type.getElementType());
      for (Operation *op : cluster.ops)
        for (const Base &base : basesOf(op))
          fits &= base.value != input || base.direct;
      if (fits)
        candidates.push_back(i);
    }
    return candidates;
  }

  exec::KernelOp kernelFor(Region &region, ArrayRef<Attribute> argumentTypes,
                           ArrayRef<Attribute> resultTypes,
                           const llvm::SetVector<StringAttr> &sources,
                           Location loc, ArrayRef<int64_t> inPlace,
                           unsigned device) {
    OpBuilder builder(program);
    SmallVector<Attribute> names(sources.begin(), sources.end());
    ArrayAttr arguments = builder.getArrayAttr(argumentTypes);
    ArrayAttr results = builder.getArrayAttr(resultTypes);
    llvm::hash_code hash = llvm::hash_combine(arguments, results);
    for (Operation &op : region.front())
      hash = llvm::hash_combine(hash, op.getName(),
                                op.getDiscardableAttrDictionary(),
                                op.hashProperties());
    for (exec::KernelOp kernel : kernels.lookup(hash)) {
      if (kernel.getArgumentTypes() != arguments ||
          kernel.getResultTypes() != results ||
          exec::deviceOf(kernel) != device ||
          !OperationEquivalence::isRegionEquivalentTo(
              &kernel.getBody(), &region,
              OperationEquivalence::IgnoreLocations))
        continue;
      llvm::SetVector<Attribute> all(kernel.getSources().begin(),
                                     kernel.getSources().end());
      all.insert(names.begin(), names.end());
      kernel.setSourcesAttr(builder.getArrayAttr(all.getArrayRef()));
      return kernel;
    }
    OperationState state(loc, exec::KernelOp::getOperationName());
    StringRef name =
        names.empty() ? "kernel" : cast<StringAttr>(names[0]).getValue();
    if (StringRef rootName = rootSource(loc); !rootName.empty())
      name = rootName;
    state.addAttribute("sym_name", builder.getStringAttr(symbolFor(name)));
    state.addAttribute("argument_types", arguments);
    state.addAttribute("result_types", results);
    state.addAttribute("sources", builder.getArrayAttr(names));
    if (!inPlace.empty())
      state.addAttribute("in_place", builder.getDenseI64ArrayAttr(inPlace));
    state.addRegion()->takeBody(region);
    auto kernel = cast<exec::KernelOp>(builder.create(state));
    exec::setDevice(kernel, device);
    symbols->insert(kernel);
    kernels[hash].push_back(kernel);
    return kernel;
  }

  static StringRef rootSource(Location loc) {
    llvm::SetVector<StringAttr> sources;
    addSources(loc, sources);
    return sources.empty() ? StringRef() : sources[0].getValue();
  }

  std::unique_ptr<SymbolTable> symbols;
  llvm::DenseMap<size_t, SmallVector<exec::KernelOp>> kernels;
  Operation *program = nullptr;

public:
  explicit OutlineKernelsPass(Places places) : places(std::move(places)) {}
  OutlineKernelsPass(const OutlineKernelsPass &other)
      : PassWrapper(other), places(other.places) {}

  Places places;

  Option<bool> attention{*this, "attention", llvm::cl::init(false),
                         llvm::cl::desc("attention becomes one kernel")};
};
} // namespace

std::unique_ptr<Pass>
aicc::transforms::createOutlineKernelsPass(Places places) {
  return std::make_unique<OutlineKernelsPass>(std::move(places));
}
