//===- Clusters.cpp - which operators share a kernel ----------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/transforms/Clusters.h"
#include "compiler/transforms/Evaluate.h"
#include "dialects/graph/Control.h"
#include "dialects/graph/Dims.h"

#include "mlir/IR/Matchers.h"
#include "llvm/ADT/SetVector.h"

#include <queue>

using namespace mlir;
using namespace aicc::graph;
using llvm::SmallVector;

namespace aicc::transforms {

/// Operators of one kernel, and buffers it may touch: what keeps the time to
/// compile one kernel bounded.
static constexpr unsigned maxOps = 96;

std::optional<AffineExpr> consecutivePlace(UpdateOp op) {
  RankedTensorType type = op.getType(), box = op.getUpdate().getType();
  AffineExpr place = getAffineConstantExpr(0, op.getContext());
  AffineExpr stride = getAffineConstantExpr(1, op.getContext());
  bool whole = true; // all dimensions behind
  for (int64_t k = type.getRank() - 1; k >= 0; --k) {
    if (!whole && constantOf(dimOf(box, k)) != 1)
      return std::nullopt;
    if (!equal(dimOf(box, k), dimOf(type, k))) {
      place = place + op.getOffsets().getResult(k) * stride;
      whole = false;
    }
    stride = stride * dimOf(type, k);
  }
  return simplify(place);
}

static std::optional<ClusterKind> kindOf(Operation *op) {
  if (op->hasTrait<Elementwise>())
    return ClusterKind::elementwise;
  if (isa<BroadcastOp, IotaOp, SliceOp, TransposeOp, ReverseOp, ConcatenateOp,
          PadOp, DimensionsOp>(op))
    return ClusterKind::movement;
  if (isa<SoftmaxOp, NormalizeOp, ReduceOp, ArgReduceOp, CumulativeOp>(op))
    return ClusterKind::rows;
  if (isa<DotGeneralOp, ConvolutionOp, ConvolutionTransposeOp, ReduceWindowOp>(
          op))
    return ClusterKind::heavy;
  if (isa<ScatterOp>(op))
    return ClusterKind::alone;
  if (isa<CallOp, graph::ConstantOp, ReshapeOp, LoopOp, IfOp, ReadOp>(op) ||
      op->hasTrait<OpTrait::IsTerminator>())
    return std::nullopt;
  if (auto update = dyn_cast<UpdateOp>(op); update && consecutivePlace(update))
    return std::nullopt;
  return ClusterKind::gather;
}

/// A float of 16 bits or fewer made wider, which is cheaper to do again than to
/// store. Products would do it many times.
static bool isCopiedCast(Operation *op) {
  auto cast = dyn_cast_or_null<CastOp>(op);
  if (!cast)
    return false;
  auto from = dyn_cast<FloatType>(getElementTypeOrSelf(cast.getOperand()));
  auto to = dyn_cast<FloatType>(getElementTypeOrSelf(cast.getType()));
  return from && to && from.getWidth() <= 16 && to.getWidth() > 16 &&
         llvm::all_of(op->getUsers(), [](Operation *user) {
           std::optional<ClusterKind> kind = kindOf(user);
           return kind && *kind != ClusterKind::heavy;
         });
}

/// The value that is in memory where `value` is read.
static Value beneathCast(Value value) {
  Operation *op = value.getDefiningOp();
  return isCopiedCast(op) ? op->getOperand(0) : value;
}

/// The only operator that reads the value, once.
static Operation *onlyReader(Value value) {
  if (!llvm::hasSingleElement(value.getUses()))
    return nullptr;
  Operation *user = *value.user_begin();
  return isCopiedCast(user) ? onlyReader(user->getResult(0)) : user;
}

bool Clusters::isInlined(Value value, Operation *user) {
  Operation *op = value.getDefiningOp();
  std::optional<ClusterKind> kind = kindOf(user);
  if (!op || !kind)
    return false;
  if (isa<BroadcastOp, IotaOp>(op) || isCopiedCast(op))
    return true;
  if (auto constant = dyn_cast<graph::ConstantOp>(op))
    return *kind != ClusterKind::heavy &&
           isa<SplatElementsAttr>(constant.getValue());
  return false;
}

static void addBases(Value value, Operation *user, bool direct,
                     SmallVectorImpl<Base> &bases) {
  if (!Clusters::isInlined(value, user)) {
    bases.push_back({value, direct});
    return;
  }
  Operation *op = value.getDefiningOp();
  for (Value operand : op->getOperands())
    addBases(operand, op, direct && op->hasTrait<Elementwise>(), bases);
}

SmallVector<Base> basesOf(Operation *op) {
  SmallVector<Base> bases;
  bool direct = op->hasTrait<Elementwise>();
  for (Value operand : op->getOperands())
    addBases(operand, op, direct, bases);
  return bases;
}

static bool sameShape(Type a, Type b) {
  auto x = cast<RankedTensorType>(a), y = cast<RankedTensorType>(b);
  return x.getShape() == y.getShape() && x.getEncoding() == y.getEncoding();
}

Clusters::Clusters(Block &block, const Places &places) : block(block) {
  unsigned next = 0;
  for (Operation &op : block) {
    position[&op] = next++;
    if (unsigned place = places.of ? places.of(&op) : 0)
      device[&op] = place;
  }
  findBinders();
  findAttention(places.attention);
  for (Operation &op : block) {
    place(&op);
    updateReach(&op);
  }
}

void Clusters::findAttention(const std::vector<bool> &allowed) {
  for (auto scores : block.getOps<DotGeneralOp>()) {
    unsigned place = placeOf(scores);
    if (chainOf.contains(scores) || !allowed[place])
      continue;
    std::optional<AttentionChain> chain = matchAttentionChain(scores);
    if (!chain || llvm::any_of(chain->ops, [&](Operation *op) {
          return placeOf(op) != place;
        }))
      continue;
    for (Operation *op : chain->ops)
      chainOf[op] = chains.size();
    chains.push_back(std::move(*chain));
  }
}

void Clusters::findBinders() {
  llvm::DenseMap<int64_t, SmallVector<Operation *, 2>> of;
  for (Operation &op : block)
    for (int64_t symbol : boundSymbols(&op))
      of[symbol].push_back(&op);
  if (of.empty())
    return;
  for (Operation &op : block) {
    llvm::SmallSetVector<int64_t, 8> bound = boundSymbols(&op);
    for (int64_t symbol : usedSymbols(&op))
      if (auto it = of.find(symbol); it != of.end() && !bound.contains(symbol))
        for (Operation *binder : it->second) {
          binders[&op].push_back(binder);
          dependents[binder].push_back(&op);
        }
  }
}

ArrayRef<Operation *> Clusters::bindersOf(Operation *op) const {
  auto it = binders.find(op);
  return it == binders.end() ? ArrayRef<Operation *>() : it->second;
}

int Clusters::clusterOf(Value value) const {
  Operation *op = value.getDefiningOp();
  auto it = op ? owner.find(op) : owner.end();
  return it == owner.end() ? -1 : int(it->second);
}

/// Whether any operator but those of the cluster and `except` reads the value,
/// also through a copied broadcast.
bool Clusters::usedOutside(Value value, unsigned cluster,
                           Operation *except) const {
  for (Operation *user : value.getUsers()) {
    if (user == except)
      continue;
    auto it = owner.find(user);
    if (it != owner.end() && it->second == cluster)
      continue;
    if ((isCopiedCast(user) || (it == owner.end() && isa<BroadcastOp>(user))) &&
        !usedOutside(user->getResult(0), cluster, except))
      continue;
    return true;
  }
  return false;
}

Operation *Clusters::inBlock(Operation *op) const {
  // Operators of enclosing blocks came before everything here.
  while (op && op->getBlock() != &block)
    op = op->getParentOp();
  return op && position.contains(op) ? op : nullptr;
}

void Clusters::forNeeded(Operation *op,
                         llvm::function_ref<void(Operation *)> f) const {
  op->walk([&](Operation *inner) {
    for (Value operand : inner->getOperands())
      if (Operation *needed = inBlock(operand.getDefiningOp()))
        f(needed);
  });
  for (Operation *binder : bindersOf(op))
    f(binder);
}

void Clusters::updateReach(Operation *changed) {
  SmallVector<Operation *> work{changed};
  while (!work.empty()) {
    Operation *op = work.pop_back_val();
    auto it = owner.find(op);
    ArrayRef<Operation *> members =
        it == owner.end() ? ArrayRef(op) : ArrayRef(clusters[it->second].ops);
    unsigned far = 0;
    for (Operation *member : members) {
      far = std::max(far, position.lookup(member));
      forNeeded(member, [&](Operation *needed) {
        far = std::max(far, reach.lookup(needed));
      });
    }
    if (llvm::all_of(members, [&](Operation *member) {
          auto known = reach.find(member);
          return known != reach.end() && known->second == far;
        }))
      continue;
    for (Operation *member : members)
      reach[member] = far;
    // Whoever has been placed already and needs one of them.
    auto tell = [&](Operation *user) {
      if (user && reach.contains(user))
        work.push_back(user);
    };
    for (Operation *member : members) {
      for (Operation *user : member->getUsers())
        tell(inBlock(user));
      if (auto users = dependents.find(member); users != dependents.end())
        llvm::for_each(users->second, tell);
    }
  }
}

/// Whether computing the value needs a result of the cluster.
bool Clusters::dependsOn(Value value, unsigned cluster) const {
  return dependsOn(value.getDefiningOp(), cluster);
}

/// The same for what binds the symbols that the operator uses.
bool Clusters::symbolsDependOn(Operation *op, unsigned cluster) const {
  return llvm::any_of(bindersOf(op), [&](Operation *binder) {
    return dependsOn(binder, cluster);
  });
}

bool Clusters::dependsOn(Operation *from, unsigned cluster) const {
  const Cluster &target = clusters[cluster];
  llvm::SetVector<Operation *> work;
  auto add = [&](Operation *op) {
    auto far = reach.find(op);
    if (far == reach.end() || far->second >= target.first)
      work.insert(op);
  };
  if (Operation *op = inBlock(from))
    add(op);
  for (unsigned i = 0; i < work.size(); ++i) {
    auto it = owner.find(work[i]);
    if (it == owner.end()) {
      forNeeded(work[i], add);
      continue;
    }
    if (it->second == cluster)
      return true;
    for (Operation *op : clusters[it->second].ops)
      forNeeded(op, add);
  }
  return false;
}

unsigned Clusters::create(Operation *op, ClusterKind kind) {
  unsigned at = position.lookup(op);
  clusters.push_back({kind,
                      {op},
                      cast<RankedTensorType>(op->getResult(0).getType()),
                      at,
                      at,
                      placeOf(op)});
  owner[op] = clusters.size() - 1;
  return clusters.size() - 1;
}

void Clusters::merge(unsigned from, unsigned into) {
  Cluster &source = clusters[from], &target = clusters[into];
  for (Operation *op : source.ops)
    owner[op] = into;
  target.ops.append(source.ops);
  llvm::sort(target.ops, [&](Operation *a, Operation *b) {
    return position.lookup(a) < position.lookup(b);
  });
  target.first = std::min(target.first, source.first);
  target.last = std::max(target.last, source.last);
  if (source.kind == ClusterKind::movement &&
      target.kind == ClusterKind::elementwise)
    target.kind = ClusterKind::movement;
  source.ops.clear();
}

/// An elementwise operator at the end of a kernel.
bool Clusters::join(Operation *op, unsigned cluster) {
  const Cluster &target = clusters[cluster];
  if (target.kind == ClusterKind::alone || target.device != placeOf(op) ||
      !sameShape(target.shape, op->getResult(0).getType()) ||
      target.ops.size() >= maxOps)
    return false;
  for (const Base &base : basesOf(op)) {
    if (clusterOf(base.value) == int(cluster)) {
      // Another element of a result than the one at hand doesn't exist yet.
      if (!base.direct)
        return false;
      continue;
    }
    if (dependsOn(base.value, cluster))
      return false;
  }
  if (symbolsDependOn(op, cluster))
    return false;
  owner[op] = cluster;
  clusters[cluster].ops.push_back(op);
  clusters[cluster].last = position.lookup(op);
  updateReach(op);
  return true;
}

/// Whether the cluster `from` needs a result of `into`.
bool Clusters::cycles(unsigned from, unsigned into) const {
  for (Operation *member : clusters[from].ops) {
    if (symbolsDependOn(member, into))
      return true;
    for (const Base &needed : basesOf(member))
      if (clusterOf(needed.value) != int(from) && dependsOn(needed.value, into))
        return true;
  }
  return false;
}

/// One of two numbers, by a condition: a mask.
static bool chooses(Value value) {
  auto select = value.getDefiningOp<SelectOp>();
  return select && splatValue(select.getOperand(1)) &&
         splatValue(select.getOperand(2));
}

/// An operator that costs about what reading its result would: it may be
/// repeated for every tile that needs the element.
static bool isCheap(Operation *op) {
  if (isa<BroadcastOp, IotaOp, SliceOp, TransposeOp, ConcatenateOp, PadOp,
          CastOp, CompareOp, SelectOp, AndOp, OrOp, NotOp>(op))
    return true;
  return isa<MultiplyOp, AddOp, SubtractOp>(op) &&
         llvm::any_of(op->getOperands(), [](Value operand) {
           return splatValue(operand).has_value() || chooses(operand) ||
                  isa_and_nonnull<BroadcastOp, IotaOp>(operand.getDefiningOp());
         });
}

/// Moves the producer of a value that only the cluster reads into it.
bool Clusters::absorbPrologue(unsigned into, Value value) {
  constexpr unsigned mostOps = 8; // of one operand
  int from = clusterOf(value);
  if (from < 0 || from == int(into))
    return false;
  const Cluster &source = clusters[from];
  if ((source.kind != ClusterKind::elementwise &&
       source.kind != ClusterKind::movement) ||
      source.device != clusters[into].device || source.ops.size() > mostOps ||
      source.ops.size() + clusters[into].ops.size() > maxOps ||
      !llvm::all_of(source.ops, isCheap))
    return false;
  SmallVector<Value> results = resultsOf(source);
  if (results.size() != 1 || results[0] != value ||
      usedOutside(value, into, nullptr) || cycles(from, into))
    return false;
  merge(from, into);
  return true;
}

void Clusters::placeAttention(AttentionChain &chain) {
  unsigned into = create(chain.product, ClusterKind::attention);
  for (Operation *op : chain.ops) {
    if (isa<BroadcastOp>(op) || isCopiedCast(op) ||
        op == chain.product.getOperation())
      continue; // copied
    owner[op] = into;
    clusters[into].ops.push_back(op);
    clusters[into].first = std::min(clusters[into].first, position.lookup(op));
  }
  llvm::sort(clusters[into].ops, [&](Operation *a, Operation *b) {
    return position.lookup(a) < position.lookup(b);
  });
  SmallVector<Operation *> open(clusters[into].ops);
  while (!open.empty())
    for (const Base &base : basesOf(open.pop_back_val())) {
      int from = clusterOf(base.value);
      SmallVector<Operation *> more;
      if (from >= 0)
        more = clusters[from].ops;
      if (absorbPrologue(into, base.value))
        open.append(more);
    }
}

/// Moves producers that only `op` uses into its cluster.
void Clusters::absorbProducers(unsigned into, Operation *op) {
  for (const Base &base : basesOf(op)) {
    int from = clusterOf(base.value);
    if (from < 0 || from == int(into))
      continue;
    const Cluster &source = clusters[from];
    const Cluster &target = clusters[into];
    bool pure = source.kind == ClusterKind::elementwise ||
                (source.kind == ClusterKind::movement &&
                 target.kind != ClusterKind::heavy &&
                 target.kind != ClusterKind::attention);
    if (!pure || source.device != target.device ||
        source.ops.size() + target.ops.size() > maxOps ||
        onlyReader(base.value) != op || resultsOf(source).size() != 1)
      continue;
    // Nothing but `op` waits for the producer, so only the other direction
    // could close a cycle.
    if (!cycles(from, into))
      merge(from, into);
  }
}

void Clusters::place(Operation *op) {
  std::optional<ClusterKind> kind = kindOf(op);
  if (!kind || op->getNumResults() == 0 || isCopiedCast(op))
    return;
  if (auto it = chainOf.find(op);
      it != chainOf.end() && !isa<BroadcastOp>(op)) {
    AttentionChain &chain = chains[it->second];
    if (op == chain.product.getOperation())
      placeAttention(chain);
    return;
  }
  if (isa<TransposeOp>(op)) {
    // The result of attention is written where it is wanted.
    Value operand = op->getOperand(0);
    int producer = clusterOf(operand);
    if (producer >= 0 && operand.hasOneUse() &&
        clusters[producer].kind == ClusterKind::attention &&
        clusters[producer].device == placeOf(op) &&
        clusters[producer].ops.size() < maxOps &&
        resultsOf(clusters[producer]).size() == 1) {
      Cluster &target = clusters[producer];
      owner[op] = producer;
      target.ops.push_back(op);
      target.last = position.lookup(op);
      target.shape = cast<RankedTensorType>(op->getResult(0).getType());
      return;
    }
  }
  if (isa<BroadcastOp, IotaOp>(op)) {
    // Only where somebody needs the elements in memory.
    bool stored = llvm::any_of(op->getUsers(), [](Operation *user) {
      return !kindOf(user).has_value();
    });
    if (stored)
      create(op, *kind);
    return;
  }
  if (*kind == ClusterKind::elementwise) {
    // The latest operand: the others are likely to be there before it.
    SmallVector<unsigned> candidates;
    for (const Base &base : basesOf(op))
      if (int c = clusterOf(base.value); c >= 0 && base.direct)
        candidates.push_back(c);
    llvm::sort(candidates, [&](unsigned a, unsigned b) {
      return std::make_pair(clusters[a].last, a) >
             std::make_pair(clusters[b].last, b);
    });
    for (unsigned candidate : candidates)
      if (join(op, candidate)) {
        absorbProducers(candidate, op);
        return;
      }
    absorbProducers(create(op, *kind), op);
    return;
  }
  if (*kind == ClusterKind::rows && !isa<CumulativeOp>(op)) {
    int producer = clusterOf(beneathCast(op->getOperand(0)));
    if (producer >= 0) {
      Cluster &target = clusters[producer];
      bool keeps = isa<SoftmaxOp, NormalizeOp>(op);
      bool fits = target.kind == ClusterKind::elementwise &&
                  target.ops.size() < maxOps && target.device == placeOf(op) &&
                  sameShape(target.shape, op->getOperand(0).getType()) &&
                  !symbolsDependOn(op, producer);
      for (Operation *member : target.ops)
        for (Value result : member->getResults())
          fits &= keeps || !usedOutside(result, producer, op);
      if (fits) {
        owner[op] = producer;
        target.ops.push_back(op);
        target.last = position.lookup(op);
        target.kind = ClusterKind::rows;
        target.shape = cast<RankedTensorType>(op->getResult(0).getType());
        return;
      }
    }
    create(op, *kind);
    return;
  }
  unsigned cluster = create(op, *kind);
  if (*kind == ClusterKind::movement)
    absorbProducers(cluster, op);
}

SmallVector<Value> Clusters::resultsOf(const Cluster &cluster) const {
  SmallVector<Value> results;
  unsigned index = owner.lookup(cluster.ops.front());
  for (Operation *op : cluster.ops)
    for (Value result : op->getResults())
      if (isa<BroadcastOp, IotaOp>(op) || usedOutside(result, index, nullptr))
        results.push_back(result);
  return results;
}

std::vector<Clusters::Item> Clusters::ordered() const {
  // Items and what they wait for; the item with the smallest position among
  // those that are ready goes next.
  std::vector<Item> items;
  std::vector<unsigned> priority;
  llvm::DenseMap<Operation *, unsigned> itemOf;
  auto add = [&](Item item, unsigned last, llvm::ArrayRef<Operation *> ops) {
    for (Operation *op : ops)
      itemOf[op] = items.size();
    items.push_back(item);
    priority.push_back(last);
  };
  for (const Cluster &cluster : clusters)
    if (!cluster.ops.empty())
      add({&cluster, nullptr}, cluster.last, cluster.ops);
  for (Operation &op : block)
    if (!owner.contains(&op) && !kindOf(&op))
      add({nullptr, &op}, position.lookup(&op), &op);

  std::vector<SmallVector<unsigned>> users(items.size());
  std::vector<unsigned> waiting(items.size(), 0);
  for (unsigned i = 0; i < items.size(); ++i) {
    llvm::SetVector<unsigned> needs;
    auto needOp = [&](Operation *op) {
      auto it = op ? itemOf.find(op) : itemOf.end();
      if (it != itemOf.end() && it->second != i)
        needs.insert(it->second);
    };
    auto need = [&](Value value) { needOp(value.getDefiningOp()); };
    if (items[i].cluster) {
      for (Operation *op : items[i].cluster->ops) {
        for (const Base &base : basesOf(op))
          need(base.value);
        llvm::for_each(bindersOf(op), needOp);
      }
    } else {
      llvm::for_each(bindersOf(items[i].op), needOp);
      // A loop also needs what its body reads from outside, through copied
      // broadcasts too.
      items[i].op->walk([&](Operation *inner) {
        for (Value operand : inner->getOperands())
          if (inner == items[i].op)
            need(operand);
          else {
            SmallVector<Base> bases;
            addBases(operand, inner, false, bases);
            for (const Base &base : bases)
              need(base.value);
          }
      });
    }
    waiting[i] = needs.size();
    for (unsigned n : needs)
      users[n].push_back(i);
  }
  using Entry = std::pair<unsigned, unsigned>;
  std::priority_queue<Entry, std::vector<Entry>, std::greater<Entry>> ready;
  for (unsigned i = 0; i < items.size(); ++i)
    if (waiting[i] == 0)
      ready.push({priority[i], i});
  std::vector<Item> result;
  while (!ready.empty()) {
    unsigned i = ready.top().second;
    ready.pop();
    result.push_back(items[i]);
    for (unsigned user : users[i])
      if (--waiting[user] == 0)
        ready.push({priority[user], user});
  }
  assert(result.size() == items.size() && "clusters depend on each other");
  return result;
}

} // namespace aicc::transforms
