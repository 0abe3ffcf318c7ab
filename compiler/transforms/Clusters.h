//===- Clusters.h - which operators share a kernel --------------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// Operators of one block are grouped into clusters; each becomes a kernel. A
// cluster has at most one heavy operator (product, convolution, window) or one
// operator on rows (softmax, normalisation, reduction), and all its results
// have one shape. What joins:
//   - an elementwise operator joins the kernel of an operand of its shape if
//     its other operands are there before that kernel starts;
//   - elementwise producers with one user join elementwise users, operators on
//     rows, and data movement that reads each element at most once;
//   - where the target has attention as one kernel: the chain from the product
//     of queries and keys to the product with the values (AttentionChain.h),
//     what only moves or scales its operands, and a transpose of its result.
// Operators for different targets of a set share no kernel.
// Broadcasts, iotas and constants that are one number are copied into every
// kernel that reads them. Reshapes are views and stand between kernels, and so
// do updates of consecutive elements, which are copies. What uses a symbol that
// a read or a loop binds waits for it; the block must be in such an order
// (graph::orderBySymbols).
//
//===----------------------------------------------------------------------===//

#ifndef AICC_COMPILER_TRANSFORMS_CLUSTERS_H
#define AICC_COMPILER_TRANSFORMS_CLUSTERS_H

#include "compiler/transforms/AttentionChain.h"
#include "compiler/transforms/Places.h"

#include "llvm/ADT/DenseMap.h"

#include <optional>
#include <vector>

namespace aicc::transforms {

enum class ClusterKind {
  elementwise, // each result element needs one element of each operand
  movement,    // … or one at another index
  gather,      // indices that are data, resampling: nothing joins as producer
  rows,
  heavy,
  attention, // two products around a softmax
  alone      // nothing joins it
};

struct Cluster {
  ClusterKind kind;
  llvm::SmallVector<mlir::Operation *> ops; // in the block's order
  mlir::RankedTensorType shape;             // of all results
  unsigned first, last;                     // positions in the block
  unsigned device;                          // which target of the set
};

class Clusters {
public:
  Clusters(mlir::Block &block, const Places &places);

  /// The target of an operator of the block.
  unsigned placeOf(mlir::Operation *op) const { return device.lookup(op); }

  /// Whether users take a copy instead of a buffer.
  static bool isInlined(mlir::Value value, mlir::Operation *user);

  /// The clusters and single operators (views, loops, constants) of the block,
  /// each after everything it needs.
  struct Item {
    const Cluster *cluster; // or
    mlir::Operation *op;
  };
  std::vector<Item> ordered() const;

  /// Values that operators outside of the cluster use.
  llvm::SmallVector<mlir::Value> resultsOf(const Cluster &cluster) const;

private:
  void place(mlir::Operation *op);
  bool join(mlir::Operation *op, unsigned cluster);
  void absorbProducers(unsigned into, mlir::Operation *op);
  bool dependsOn(mlir::Value value, unsigned cluster) const;
  bool dependsOn(mlir::Operation *from, unsigned cluster) const;
  bool symbolsDependOn(mlir::Operation *op, unsigned cluster) const;
  /// The operator of the block that is or encloses `op`, if there is one.
  mlir::Operation *inBlock(mlir::Operation *op) const;
  /// Operators of the block that this one needs, for operands or symbols.
  void forNeeded(mlir::Operation *op,
                 llvm::function_ref<void(mlir::Operation *)> f) const;
  /// After a change of the operator's cluster.
  void updateReach(mlir::Operation *changed);
  void findBinders();
  void findAttention(const std::vector<bool> &allowed);
  void placeAttention(AttentionChain &chain);
  bool absorbPrologue(unsigned into, mlir::Value value);
  bool cycles(unsigned from, unsigned into) const;
  llvm::ArrayRef<mlir::Operation *> bindersOf(mlir::Operation *op) const;
  void merge(unsigned from, unsigned into);
  int clusterOf(mlir::Value value) const;
  bool usedOutside(mlir::Value value, unsigned cluster,
                   mlir::Operation *except) const;
  unsigned create(mlir::Operation *op, ClusterKind kind);

  mlir::Block &block;
  llvm::DenseMap<mlir::Operation *, unsigned> position;
  /// Those that are not for target 0.
  llvm::DenseMap<mlir::Operation *, unsigned> device;
  llvm::DenseMap<mlir::Operation *, unsigned> owner;
  /// What binds symbols of the block that an operator uses, and the reverse.
  llvm::DenseMap<mlir::Operation *, llvm::SmallVector<mlir::Operation *, 2>>
      binders, dependents;
  /// The last position that an operator, with its cluster, needs, its own
  /// included: what needs a cluster reaches that far. Nothing for those that
  /// haven't been placed.
  llvm::DenseMap<mlir::Operation *, unsigned> reach;
  std::vector<AttentionChain> chains;
  llvm::DenseMap<mlir::Operation *, unsigned> chainOf;
  std::vector<Cluster> clusters; // those without operators were merged away
};

/// Values from outside of `op`'s kernel that it reads: its operands, and
/// through inlined broadcasts theirs. `direct` tells which are read at the
/// index that is computed.
struct Base {
  mlir::Value value;
  bool direct;
};
llvm::SmallVector<Base> basesOf(mlir::Operation *op);

/// Where the box of an update lies, as the place of its first element, if its
/// elements follow one another in memory: then it is a copy, not a kernel.
std::optional<mlir::AffineExpr> consecutivePlace(graph::UpdateOp op);

} // namespace aicc::transforms

#endif // AICC_COMPILER_TRANSFORMS_CLUSTERS_H
