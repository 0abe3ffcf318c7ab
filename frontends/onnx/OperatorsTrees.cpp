//===- OperatorsTrees.cpp - ensembles of decision trees -----------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// All trees are walked at once: the state is a node for each sample and tree,
// and a step replaces it by a child, leaves by themselves. A forest becomes
// tables of constants that are gathered from.
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/Learning.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"

#include <cmath>
#include <limits>

using namespace mlir;
using namespace aicc::onnx;
using llvm::StringRef;
using llvm::Twine;
namespace gr = aicc::graph;

namespace {

enum Mode { leq, less, geq, greater, equal, different, member };
enum class Aggregate { average, sum, minimum, maximum };

struct Vote {
  int64_t target;
  double weight;
};

/// Inner nodes; a child that is a leaf is ~(its position among the leaves).
struct Forest {
  SmallVector<int64_t> features, modes, yes, no;
  SmallVector<double> thresholds;
  /// Whether NaN goes the way of a true comparison.
  SmallVector<int64_t> missing;
  /// Of each leaf.
  SmallVector<SmallVector<Vote>> votes;
  /// As children.
  SmallVector<int64_t> roots;
  int64_t targets = 1;
  /// The type of thresholds.
  Type type;

  /// The number of steps to the deepest leaf; nothing if there is a cycle.
  std::optional<int64_t> depth() const;
  void add(int64_t feature, int64_t mode, double threshold, bool nan,
           int64_t whenTrue, int64_t whenFalse) {
    features.push_back(feature);
    modes.push_back(mode);
    thresholds.push_back(threshold);
    missing.push_back(nan);
    yes.push_back(whenTrue);
    no.push_back(whenFalse);
  }
};

} // namespace

std::optional<int64_t> Forest::depth() const {
  // Depths are found behind those of the children; -2 marks a node on the path.
  SmallVector<int64_t> depths(features.size(), -1);
  int64_t deepest = 0;
  for (int64_t root : roots) {
    SmallVector<int64_t> path;
    if (root >= 0)
      path.push_back(root);
    while (!path.empty()) {
      int64_t at = path.back(), below = 0;
      bool ready = true;
      if (depths[at] < 0) {
        depths[at] = -2;
        for (int64_t child : {yes[at], no[at]}) {
          if (child < 0)
            continue;
          if (depths[child] == -2)
            return std::nullopt;
          if (depths[child] < 0) {
            path.push_back(child);
            ready = false;
            break;
          }
          below = std::max(below, depths[child]);
        }
        if (!ready)
          continue;
        depths[at] = below + 1;
      }
      deepest = std::max(deepest, depths[at]);
      path.pop_back();
    }
  }
  return deepest;
}

/// The aggregated votes [N, targets] of samples x [N, F].
static Value evaluate(Node &n, const Forest &f, Value x, Aggregate how) {
  if (!x || n.failed())
    return {};
  auto depth = f.depth();
  if (!n.require(depth.has_value(), "its trees have a cycle"))
    return {};
  auto width = gr::constantOf(dimsOf(x)[1]);
  for (int64_t feature : f.features)
    if (!n.require(feature >= 0 && feature < width.value_or(INT32_MAX),
                   "a node tests feature " + Twine(feature) + ", expected " +
                       "less than " + Twine(width.value_or(INT32_MAX))))
      return {};
  if (!n.require(!f.votes.empty() && !f.roots.empty(),
                 "it has no leaves, expected a tree"))
    return {};
  // Leaves follow the inner nodes and are their own children.
  int64_t inner = f.features.size(), all = inner + f.votes.size();
  constexpr int64_t mostEntries = int64_t(1) << 26;
  if (!n.require(all < (int64_t(1) << 31) &&
                     int64_t(f.votes.size()) * f.targets <= mostEntries,
                 "its trees have " + Twine(f.votes.size()) + " leaves for " +
                     Twine(f.targets) + " targets, expected fewer"))
    return {};
  auto place = [&](int64_t child) {
    return child >= 0 ? child : inner + ~child;
  };
  SmallVector<int64_t> yes, no, roots;
  for (int64_t i = 0; i < all; ++i) {
    yes.push_back(i < inner ? place(f.yes[i]) : i);
    no.push_back(i < inner ? place(f.no[i]) : i);
  }
  for (int64_t root : f.roots)
    roots.push_back(place(root));
  auto extended = [&](const auto &values) {
    auto result = values;
    result.resize(all);
    return result;
  };
  Type index = n.b.getI32Type(), boolean = n.b.getI1Type();
  AffineExpr rows = dimsOf(x)[0];
  Dims grid = {rows, n.number(roots.size())};
  Value state = n.broadcastTo(n.constant(roots, index), grid);
  Value yesTable = n.constant(yes, index), noTable = n.constant(no, index);
  Value featureTable = n.constant(extended(f.features), index);
  Value thresholds = n.constant(extended(f.thresholds), f.type);
  auto take = [&](Value table, Value at) -> Value {
    if (!table || !at)
      return {};
    RankedTensorType type = n.type(dimsOf(at), elementOf(table));
    if (!type)
      return {};
    return gr::GatherOp::create(n.b, n.loc, type, table, at,
                                n.b.getI64IntegerAttr(0));
  };
  bool tracks = llvm::any_of(f.missing, [](int64_t m) { return m != 0; });
  SmallVector<int64_t> kinds(f.modes.begin(), f.modes.end());
  llvm::sort(kinds);
  kinds.erase(std::unique(kinds.begin(), kinds.end()), kinds.end());
  Value modeTable, missingTable;
  if (kinds.size() > 1)
    modeTable = n.constant(extended(f.modes), index);
  if (tracks)
    missingTable = n.constant(extended(f.missing), index);
  // Both sides in the wider type.
  Type real = f.type.isF64() || elementOf(x).isF64() ? Type(n.b.getF64Type())
                                                     : Type(n.b.getF32Type());
  Value samples = n.cast(x, real);
  auto step = [&](AffineExpr, ArrayRef<Value> carried) {
    Value at = carried[0];
    Value feature = take(featureTable, at);
    if (!feature)
      return SmallVector<Value>(1);
    Value value =
        gr::GatherElementsOp::create(n.b, n.loc, n.type(grid, real), samples,
                                     feature, n.b.getI64IntegerAttr(1));
    Value threshold = n.cast(take(thresholds, at), real);
    static constexpr gr::Comparison comparisons[] = {
        gr::Comparison::less_equal,    gr::Comparison::less,
        gr::Comparison::greater_equal, gr::Comparison::greater,
        gr::Comparison::equal,         gr::Comparison::not_equal};
    Value mode = take(modeTable, at), condition;
    for (int64_t kind : kinds) {
      Value here = n.compare(comparisons[kind], value, threshold);
      condition = condition ? n.select(n.compare(gr::Comparison::equal, mode,
                                                 n.integerScalar(kind, index)),
                                       here, condition)
                            : here;
    }
    if (tracks && value && condition) {
      Value nan = gr::IsNanOp::create(
          n.b, n.loc, gr::withElement(tensorType(value), boolean), value);
      Value way = n.compare(gr::Comparison::not_equal, take(missingTable, at),
                            n.integerScalar(0, index));
      condition = n.binary<gr::OrOp>(condition, n.binary<gr::AndOp>(nan, way));
    }
    return SmallVector<Value>{
        n.select(condition, take(yesTable, at), take(noTable, at))};
  };
  if (inner > 0 && *depth > 0) {
    SmallVector<Value> last = n.repeat(n.number(*depth), {state}, step);
    if (last.empty())
      return {};
    state = last[0];
  }
  // Of a leaf, one weight for each target.
  bool extreme = how == Aggregate::minimum || how == Aggregate::maximum;
  double none =
      how == Aggregate::minimum   ? std::numeric_limits<double>::infinity()
      : how == Aggregate::maximum ? -std::numeric_limits<double>::infinity()
                                  : 0;
  SmallVector<double> weights(f.votes.size() * f.targets, none);
  for (auto [i, votes] : llvm::enumerate(f.votes))
    for (const Vote &vote : votes) {
      if (!n.require(vote.target >= 0 && vote.target < f.targets,
                     "a leaf votes for target " + Twine(vote.target) +
                         ", expected less than " + Twine(f.targets)))
        return {};
      double &weight = weights[i * f.targets + vote.target];
      weight = how == Aggregate::minimum   ? std::min(weight, vote.weight)
               : how == Aggregate::maximum ? std::max(weight, vote.weight)
                                           : weight + vote.weight;
    }
  Value table = n.constantOfShape({int64_t(f.votes.size()), f.targets}, weights,
                                  f.type.isF64() ? f.type : real);
  Value leaf = n.subtract(state, n.integerScalar(inner, index));
  if (!table || !leaf)
    return {};
  RankedTensorType type = n.type(
      {rows, n.number(roots.size()), n.number(f.targets)}, elementOf(table));
  if (!type)
    return {};
  Value found = gr::GatherOp::create(n.b, n.loc, type, table, leaf,
                                     n.b.getI64IntegerAttr(0));
  Value y = n.reduce(found,
                     how == Aggregate::minimum   ? gr::ReduceKind::minimum
                     : how == Aggregate::maximum ? gr::ReduceKind::maximum
                                                 : gr::ReduceKind::sum,
                     {1}, false);
  if (how == Aggregate::average)
    y = n.multiply(y, 1 / double(roots.size()));
  // A target that no leaf voted for.
  if (extreme)
    y = n.select(
        n.compare(gr::Comparison::equal, y, n.scalar(none, elementOf(table))),
        n.scalar(0, elementOf(table)), y);
  return y;
}

/// Samples as a matrix; integers become float32.
static Value samplesOf(Node &n) {
  Value x = n.operand(0);
  if (x && rankOf(x) == 1)
    x = n.reshape(x, Dims{n.number(1), dimsOf(x)[0]});
  if (!x || !n.require(rankOf(x) == 2, "the operand has " + Twine(rankOf(x)) +
                                           " dimensions, expected 1 or 2"))
    return {};
  return isa<FloatType>(elementOf(x)) ? x : n.cast(x, n.b.getF32Type());
}

/// Nodes and votes of the older operators, which name nodes by tree and node.
/// `kind` is "target" or "class".
static bool readNamed(Node &n, StringRef kind, Forest &f) {
  f.type = n.b.getF32Type();
  Ints trees = n.integers("nodes_treeids"), ids = n.integers("nodes_nodeids"),
       features = n.integers("nodes_featureids"),
       yes = n.integers("nodes_truenodeids"),
       no = n.integers("nodes_falsenodeids"),
       missing = n.integers("nodes_missing_value_tracks_true");
  SmallVector<double> values = realsOf(n, "nodes_values", &f.type);
  SmallVector<std::string> modes;
  if (auto *list = n.attribute("nodes_modes", 8))
    modes.assign(list->strings().begin(), list->strings().end());
  size_t count = ids.size();
  if (!n.require(count > 0 && trees.size() == count &&
                     features.size() == count && yes.size() == count &&
                     no.size() == count && modes.size() == count &&
                     values.size() == count &&
                     (missing.empty() || missing.size() == count),
                 "the lists nodes_* differ in their lengths"))
    return false;
  std::map<std::pair<int64_t, int64_t>, size_t> places;
  for (size_t i = 0; i < count; ++i)
    if (!n.require(places.try_emplace({trees[i], ids[i]}, i).second,
                   "node " + Twine(ids[i]) + " of tree " + Twine(trees[i]) +
                       " is defined twice"))
      return false;
  // As children: inner nodes and leaves are counted apart.
  SmallVector<int64_t> names(count);
  int64_t inner = 0;
  for (size_t i = 0; i < count; ++i)
    if (modes[i] == "LEAF") {
      names[i] = ~int64_t(f.votes.size());
      f.votes.emplace_back();
    } else {
      names[i] = inner++;
    }
  SmallVector<bool> isChild(count);
  for (size_t i = 0; i < count; ++i) {
    if (modes[i] == "LEAF")
      continue;
    int mode = llvm::StringSwitch<int>(modes[i])
                   .Case("BRANCH_LEQ", leq)
                   .Case("BRANCH_LT", less)
                   .Case("BRANCH_GTE", geq)
                   .Case("BRANCH_GT", greater)
                   .Case("BRANCH_EQ", equal)
                   .Case("BRANCH_NEQ", different)
                   .Default(-1);
    if (!n.require(mode >= 0, "the node mode \"" + modes[i] + "\" is unknown"))
      return false;
    int64_t children[2];
    for (auto [k, id] : llvm::enumerate(Ints{yes[i], no[i]})) {
      auto it = places.find({trees[i], id});
      if (!n.require(it != places.end(), "node " + Twine(ids[i]) + " of tree " +
                                             Twine(trees[i]) +
                                             " has the child " + Twine(id) +
                                             ", which is not defined"))
        return false;
      isChild[it->second] = true;
      children[k] = names[it->second];
    }
    f.add(features[i], mode, values[i], !missing.empty() && missing[i],
          children[0], children[1]);
  }
  // The root of a tree is the first of its nodes that is nobody's child.
  std::set<int64_t> rooted;
  for (size_t i = 0; i < count; ++i)
    if (!isChild[i] && rooted.insert(trees[i]).second)
      f.roots.push_back(names[i]);
  for (int64_t tree : trees)
    if (!n.require(rooted.count(tree), "tree " + Twine(tree) + " has a cycle"))
      return false;
  std::string prefix = (kind + "_").str();
  Ints voteTrees = n.integers(prefix + "treeids"),
       voteNodes = n.integers(prefix + "nodeids"),
       targets = n.integers(prefix + "ids");
  SmallVector<double> weights = realsOf(n, prefix + "weights", &f.type);
  if (!n.require(voteTrees.size() == voteNodes.size() &&
                     targets.size() == voteNodes.size() &&
                     weights.size() == voteNodes.size(),
                 "the lists " + prefix + "* differ in their lengths"))
    return false;
  for (size_t i = 0; i < voteTrees.size(); ++i) {
    auto it = places.find({voteTrees[i], voteNodes[i]});
    if (!n.require(it != places.end(),
                   "a vote is of node " + Twine(voteNodes[i]) + " of tree " +
                       Twine(voteTrees[i]) + ", which is not defined"))
      return false;
    // Votes of inner nodes are never counted.
    if (names[it->second] < 0)
      f.votes[~names[it->second]].push_back({targets[i], weights[i]});
  }
  return !n.failed();
}

static Value addBase(Node &n, Value y, ArrayRef<double> base) {
  if (!y || base.empty())
    return y;
  return n.add(y, n.constant(base, elementOf(y)));
}

static void regressor(Node &n) {
  Value x = samplesOf(n);
  Forest f;
  std::string name = n.string("aggregate_function", "SUM");
  int how = llvm::StringSwitch<int>(name)
                .Case("AVERAGE", int(Aggregate::average))
                .Case("SUM", int(Aggregate::sum))
                .Case("MIN", int(Aggregate::minimum))
                .Case("MAX", int(Aggregate::maximum))
                .Default(-1);
  f.targets = n.integer("n_targets", 1);
  PostTransform post = readPostTransform(n);
  if (!x ||
      !n.require(how >= 0, "aggregate_function is \"" + name +
                               "\", expected AVERAGE, SUM, MIN or MAX") ||
      !n.require(f.targets > 0 && f.targets < (1 << 24),
                 "n_targets is " + Twine(f.targets) +
                     ", expected at least 1") ||
      !readNamed(n, "target", f))
    return;
  Type type = f.type;
  SmallVector<double> base = realsOf(n, "base_values", &type);
  if (!n.require(base.empty() || int64_t(base.size()) == f.targets,
                 "base_values has " + Twine(base.size()) +
                     " values, expected " + Twine(f.targets)))
    return;
  Value y = addBase(n, evaluate(n, f, x, static_cast<Aggregate>(how)), base);
  n.set(0, n.cast(applyPostTransform(n, post, y), n.b.getF32Type()));
}

static void classifier(Node &n) {
  Value x = samplesOf(n);
  Forest f;
  StringRef integers = "classlabels_int64s", strings = "classlabels_strings";
  size_t labels = countLabels(n, integers, strings);
  PostTransform post = readPostTransform(n);
  f.targets = labels;
  if (!x || !n.require(labels > 0, "it has no class labels") ||
      !readNamed(n, "class", f))
    return;
  Type type = f.type;
  SmallVector<double> base = realsOf(n, "base_values", &type);
  if (!n.require(base.empty() || base.size() == labels || base.size() == 1,
                 "base_values has " + Twine(base.size()) +
                     " values, expected " + Twine(labels)))
    return;
  if (base.size() == 1)
    base.resize(labels);
  Value scores = addBase(n, evaluate(n, f, x, Aggregate::sum), base);
  if (!scores)
    return;
  bool positive = true;
  std::set<int64_t> voted;
  for (const auto &votes : f.votes)
    for (const Vote &vote : votes) {
      positive &= vote.weight >= 0;
      voted.insert(vote.target);
    }
  Type index = n.b.getI64Type(), real = elementOf(scores);
  auto column = [&](int64_t i) {
    return n.sliceAxis(scores, 1, n.number(i), n.number(1));
  };
  if (labels == 1 || (labels == 2 && voted.size() < 2)) {
    // One score decides between two classes.
    int64_t only = labels == 2 && voted.size() == 1 ? *voted.begin() : 0;
    Value s = column(only);
    Value yes = n.compare(gr::Comparison::greater, s,
                          n.scalar(positive && labels == 2 ? 0.5 : 0, real));
    yes = n.cast(n.reshape(yes, Dims{dimsOf(x)[0]}), index);
    n.set(0, labels == 2 ? labelsAt(n, yes, integers, strings) : yes);
    Value z = scores;
    if (labels == 1) {
      if (post == PostTransform::probit)
        z = applyPostTransform(n, post, s);
    } else if (only == 1) {
      z = applyPostTransform(n, post, scores);
    } else if (post == PostTransform::logistic) {
      z = applyPostTransform(n, post,
                             n.concatenate({n.unary<gr::NegateOp>(s), s}, 1));
    } else {
      Value other = positive ? n.affine(s, -1, 1) : n.unary<gr::NegateOp>(s);
      z = n.concatenate({other, s}, 1);
      if (post == PostTransform::probit)
        z = applyPostTransform(n, post, z);
    }
    return n.set(1, n.cast(z, n.b.getF32Type()));
  }
  n.set(0, labelsAt(n, largest(n, scores), integers, strings));
  n.set(1, n.cast(applyPostTransform(n, post, scores), n.b.getF32Type()));
}

/// Version 5 indexes nodes and leaves directly.
static void ensemble(Node &n) {
  Value x = n.operand(0);
  Forest f;
  Ints features = n.integers("nodes_featureids"),
       yes = n.integers("nodes_truenodeids"),
       no = n.integers("nodes_falsenodeids"),
       yesLeaf = n.integers("nodes_trueleafs"),
       noLeaf = n.integers("nodes_falseleafs"),
       missing = n.integers("nodes_missing_value_tracks_true"),
       targets = n.integers("leaf_targetids"), roots = n.integers("tree_roots");
  SmallVector<double> modes = tensorReals(n, "nodes_modes"),
                      splits = tensorReals(n, "nodes_splits"),
                      weights = tensorReals(n, "leaf_weights"),
                      members = tensorReals(n, "membership_values");
  int64_t how = n.integer("aggregate_function", 1);
  int64_t post = n.integer("post_transform", 0);
  f.targets = n.integer("n_targets", 1);
  size_t count = features.size();
  if (!n.requireFloat(x) ||
      !n.require(rankOf(x) == 2, "the operand has " + Twine(rankOf(x)) +
                                     " dimensions, expected 2") ||
      !n.require(yes.size() == count && no.size() == count &&
                     yesLeaf.size() == count && noLeaf.size() == count &&
                     modes.size() == count && splits.size() == count &&
                     (missing.empty() || missing.size() == count),
                 "the lists nodes_* differ in their lengths") ||
      !n.require(targets.size() == weights.size(),
                 "the lists leaf_* differ in their lengths") ||
      !n.require(how >= 0 && how <= 3,
                 "aggregate_function is " + Twine(how) + ", expected 0 to 3") ||
      !n.require(post >= 0 && post <= 4,
                 "post_transform is " + Twine(post) + ", expected 0 to 4") ||
      !n.require(f.targets > 0 && f.targets < (1 << 24),
                 "n_targets is " + Twine(f.targets) + ", expected at least 1"))
    return;
  f.type = elementOf(x).isF64() ? elementOf(x) : Type(n.b.getF32Type());
  for (auto [target, weight] : llvm::zip(targets, weights))
    f.votes.push_back({Vote{target, weight}});
  // A test of membership is a chain of comparisons, which starts at the node.
  size_t nextMember = 0, extra = count;
  struct Link {
    int64_t feature, whenTrue, whenFalse;
    double value;
  };
  SmallVector<Link> chain;
  for (size_t i = 0; i < count; ++i) {
    int64_t children[2];
    for (auto [k, child, leaf] :
         llvm::enumerate(Ints{yes[i], no[i]}, Ints{yesLeaf[i], noLeaf[i]})) {
      int64_t limit = leaf ? f.votes.size() : count;
      if (!n.require(child >= 0 && child < limit,
                     "node " + Twine(i) + " has the child " + Twine(child) +
                         ", expected less than " + Twine(limit)))
        return;
      children[k] = leaf ? ~child : child;
    }
    bool nan = !missing.empty() && missing[i];
    if (modes[i] != double(member)) {
      if (!n.require(modes[i] >= double(leq) && modes[i] < double(member),
                     "a node's mode is out of range"))
        return;
      f.add(features[i], static_cast<int64_t>(modes[i]), splits[i], nan,
            children[0], children[1]);
      continue;
    }
    SmallVector<double> set;
    while (nextMember < members.size() && !std::isnan(members[nextMember]))
      set.push_back(members[nextMember++]);
    if (!n.require(nextMember < members.size() || !set.empty(),
                   "membership_values has too few sets"))
      return;
    ++nextMember;
    // Nothing is a member of the empty set but, perhaps, NaN.
    if (set.empty())
      set.push_back(std::numeric_limits<double>::quiet_NaN());
    f.add(features[i], equal, set[0], nan, children[0],
          set.size() > 1 ? int64_t(extra) : children[1]);
    for (size_t k = 1; k < set.size(); ++k, ++extra)
      chain.push_back({features[i], children[0],
                       k + 1 < set.size() ? int64_t(extra + 1) : children[1],
                       set[k]});
  }
  for (const Link &link : chain)
    f.add(link.feature, equal, link.value, false, link.whenTrue,
          link.whenFalse);
  for (int64_t root : roots) {
    if (!n.require(root >= 0 && root < int64_t(count),
                   "tree_roots has " + Twine(root) + ", expected less than " +
                       Twine(count)))
      return;
    f.roots.push_back(root);
  }
  Value y = evaluate(n, f, x, static_cast<Aggregate>(how));
  y = applyPostTransform(n, static_cast<PostTransform>(post), y);
  n.set(0, n.cast(y, elementOf(x)));
}

llvm::ArrayRef<Operator> aicc::onnx::treeOperators() {
  static constexpr Operator table[] = {
      {"ai.onnx.ml", "TreeEnsembleRegressor", 1, regressor},
      {"ai.onnx.ml", "TreeEnsembleClassifier", 1, classifier},
      {"ai.onnx.ml", "TreeEnsemble", 5, ensemble},
  };
  return table;
}
