//===- Node.h - what an operator's function sees ----------------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An operator is a function that reads the inputs and attributes of a node and
// sets its results. Errors are sticky: after the first one everything returns
// null or a default and builds nothing, so that functions need not check each
// step. Building methods accept null values and then return null.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_FRONTENDS_ONNX_NODE_H
#define AICC_FRONTENDS_ONNX_NODE_H

#include "dialects/graph/Graph.h"
#include "frontends/onnx/Importer.h"

namespace aicc::onnx {

using mlir::AffineExpr;
using mlir::Type;
using mlir::Value;
using Ints = llvm::SmallVector<int64_t>;

/// Dimensions of a value.
inline Dims dimsOf(Value value) { return graph::dimsOf(value); }
inline Type elementOf(Value value) {
  return mlir::cast<mlir::RankedTensorType>(value.getType()).getElementType();
}
inline mlir::RankedTensorType tensorType(Value value) {
  return mlir::cast<mlir::RankedTensorType>(value.getType());
}
inline int64_t rankOf(Value value) { return tensorType(value).getRank(); }

class Node {
public:
  Node(Importer &importer, const proto::NodeProto &proto, Scope &scope,
       std::string name, int64_t version);

  Importer &importer;
  const proto::NodeProto &proto;
  Scope &scope;
  /// Its name, or its operator and index where it has none.
  std::string name;
  /// The version of its domain.
  int64_t version;

  // Errors.
  bool failed() const { return importer.failed() || unsupported_; }
  void fail(const llvm::Twine &message);
  /// The node is right, but refused: for what reason, all such nodes together.
  void unsupported(const llvm::Twine &reason);
  /// Fails unless `condition`.
  bool require(bool condition, const llvm::Twine &message);

  // Inputs.
  unsigned numInputs() const { return inputs_.size(); }
  bool has(unsigned i) const { return i < inputs_.size() && inputs_[i]; }
  /// For operators that run others on inputs of their own.
  llvm::SmallVectorImpl<Tensor *> &inputs() { return inputs_; }
  Tensor *input(unsigned i) const { return has(i) ? inputs_[i] : nullptr; }
  /// As an operand; an absent one is an error.
  Value operand(unsigned i);
  Value optionalOperand(unsigned i) { return has(i) ? operand(i) : Value(); }
  const Known *known(unsigned i);
  /// An input that must be known: its integers, or expressions.
  std::optional<Ints> integersOf(unsigned i, llvm::StringRef what);
  std::optional<Dims> expressionsOf(unsigned i, llvm::StringRef what);
  std::optional<double> numberOf(unsigned i);

  // Inputs that only the running model knows (DynamicShapes.cpp).
  /// One integer of a tensor: an expression, or where it is found.
  struct Element {
    AffineExpr expr;
    Value tensor = {};
    int64_t index = 0;
  };
  /// The integers of an input of known size, each known as well as it can be.
  std::optional<llvm::SmallVector<Element>> elementsOf(unsigned i,
                                                       llvm::StringRef what);
  /// As a scalar of i64.
  Value scalarOf(const Element &element);
  Value scalarOf(AffineExpr size);
  /// As sizes: what is not known is read. `expressionsOf` gives that, too.
  std::optional<Dims> readSizes(unsigned i, llvm::StringRef what);
  /// Ends the run unless the condition (a bool scalar) holds.
  void check(Value condition);
  /// The size that broadcasting a dimension to `element` gives.
  AffineExpr broadcastSize(AffineExpr dim, const Element &element);
  /// Where a dimension may turn out to be 1, repeats it to the one given.
  Value stretch(Value value, llvm::ArrayRef<AffineExpr> dims);
  Value stretchAtRun(Value value, llvm::ArrayRef<AffineExpr> dims);
  /// An input that must be a sequence (or whatever `kind` says).
  const Composite *composite(unsigned i, Composite::Kind kind);

  // Outputs.
  unsigned numOutputs() const { return proto.output_size(); }
  bool wants(unsigned i) const {
    return i < numOutputs() && !proto.output(i).empty();
  }
  void set(unsigned i, Value value);
  void set(unsigned i, Known known);
  /// The result is an input or another tensor as it is.
  void set(unsigned i, Tensor *tensor);
  /// The result comes from the model's file.
  void set(unsigned i, const proto::TensorProto *payload);
  /// `element` is what it has elements of, where it may be empty.
  void set(unsigned i, Composite composite, Type element = {});
  Tensor *result(unsigned i) const { return results_[i]; }
  /// A scalar of the importer's own making; i64 unless given.
  Tensor *knownScalar(AffineExpr value, Type element = {});
  /// A tensor for a value inside a composite or a subgraph; null for null.
  Tensor *wrap(Value value);
  void poisonResults();

  // Attributes. A wrong type is an error, an absent one gives the default.
  const proto::AttributeProto *attribute(llvm::StringRef name, int32_t type);
  bool hasAttribute(llvm::StringRef name);
  int64_t integer(llvm::StringRef name, int64_t fallback);
  double real(llvm::StringRef name, double fallback);
  std::string string(llvm::StringRef name, llvm::StringRef fallback);
  Ints integers(llvm::StringRef name, Ints fallback = {});
  llvm::SmallVector<double> reals(llvm::StringRef name);
  const proto::TensorProto *tensor(llvm::StringRef name);
  const proto::GraphProto *graph(llvm::StringRef name);
  /// An integer that must be there.
  int64_t requiredInteger(llvm::StringRef name);
  /// A negative axis counts from the end; out of [-rank, rank) is an error.
  int64_t axis(int64_t value, int64_t rank);
  /// All axes in order; a repeated one is an error.
  Ints axes(llvm::ArrayRef<int64_t> values, int64_t rank);

  // Building. `b` and `loc` for operations without a method.
  mlir::OpBuilder &b;
  mlir::Location loc;
  /// Checks that the dimensions are sensible; null after an error.
  mlir::RankedTensorType type(llvm::ArrayRef<AffineExpr> dims, Type element);
  AffineExpr number(int64_t value) const;
  Dims numbers(llvm::ArrayRef<int64_t> values) const;

  Value scalar(double value, Type element);
  Value integerScalar(int64_t value, Type element);
  /// A constant with the dimensions (and, unless given, the type) of `like`.
  Value full(double value, Value like, Type element = {});
  Value constantOfShape(llvm::ArrayRef<int64_t> shape,
                        llvm::ArrayRef<double> values, Type element);
  Value constant(llvm::ArrayRef<int64_t> values, Type element);
  Value constant(llvm::ArrayRef<double> values, Type element);
  /// `overflow` and `rounding` are those of graph.cast.
  Value cast(Value value, Type element, bool overflow = false,
             graph::Rounding rounding = graph::Rounding::up);
  Value reshape(Value value, llvm::ArrayRef<AffineExpr> dims);
  Value transpose(Value value, llvm::ArrayRef<int64_t> permutation);
  /// numpy's rule: dimensions are aligned at the end.
  Value broadcastTo(Value value, llvm::ArrayRef<AffineExpr> dims);
  /// Dimension i of the value becomes dimension positions[i] of the result.
  Value broadcastIn(Value value, llvm::ArrayRef<AffineExpr> dims,
                    llvm::ArrayRef<int64_t> positions);
  /// A vector along dimension `axis` of `like`.
  Value broadcastAlong(Value vector, Value like, int64_t axis);
  /// Brings values to one shape by numpy's rule; false after an error.
  bool broadcastTogether(llvm::MutableArrayRef<Value> values);
  Value slice(Value value, llvm::ArrayRef<AffineExpr> offsets,
              llvm::ArrayRef<AffineExpr> sizes, llvm::ArrayRef<int64_t> steps);
  /// Elements [from, from + size) along one dimension.
  Value sliceAxis(Value value, int64_t axis, AffineExpr from, AffineExpr size);
  Value concatenate(llvm::ArrayRef<Value> values, int64_t axis);
  Value reduce(Value value, graph::ReduceKind kind,
               llvm::ArrayRef<int64_t> axes, bool keep);
  Value dot(Value lhs, Value rhs, llvm::ArrayRef<int64_t> lhsBatch,
            llvm::ArrayRef<int64_t> rhsBatch, llvm::ArrayRef<int64_t> lhsOver,
            llvm::ArrayRef<int64_t> rhsOver);
  /// numpy's matmul.
  Value matmul(Value lhs, Value rhs);
  Value compare(graph::Comparison predicate, Value lhs, Value rhs);
  Value select(Value condition, Value onTrue, Value onFalse);
  Value iota(llvm::ArrayRef<AffineExpr> dims, Type element, int64_t dimension);
  Value softmax(Value value, int64_t axis, bool log = false);
  /// `value` with the box at `offsets` replaced by `piece`.
  Value update(Value value, Value piece, llvm::ArrayRef<AffineExpr> offsets);
  /// Repeats a step `count` times. The step gets the iteration, an expression
  /// that offsets may use, and the carried values, and gives the next ones,
  /// which have the same types. Empty after an error.
  using Step = llvm::function_ref<llvm::SmallVector<Value>(
      AffineExpr iteration, llvm::ArrayRef<Value> carried)>;
  llvm::SmallVector<Value> repeat(AffineExpr count, llvm::ArrayRef<Value> inits,
                                  Step step);
  Value normalize(Value value, int64_t axis, double epsilon, bool rms = false);
  /// The values 0 .. size - 1 shifted and scaled are common: x * a + c.
  Value affine(Value value, double factor, double offset);

  template <typename Op> Value unary(Value value) {
    if (!value || failed())
      return {};
    return Op::create(b, loc, value.getType(), value);
  }
  /// Broadcasts where needed.
  template <typename Op> Value binary(Value lhs, Value rhs) {
    Value both[] = {lhs, rhs};
    if (!broadcastTogether(both))
      return {};
    if (!sameElement(both[0], both[1]))
      return {};
    return Op::create(b, loc, both[0].getType(), both[0], both[1]);
  }
  Value add(Value x, Value y) { return binary<graph::AddOp>(x, y); }
  Value subtract(Value x, Value y) { return binary<graph::SubtractOp>(x, y); }
  Value multiply(Value x, Value y) { return binary<graph::MultiplyOp>(x, y); }
  Value divide(Value x, Value y) { return binary<graph::DivideOp>(x, y); }
  Value maximum(Value x, Value y) { return binary<graph::MaximumOp>(x, y); }
  Value minimum(Value x, Value y) { return binary<graph::MinimumOp>(x, y); }
  Value multiply(Value x, double y) {
    return x ? multiply(x, scalar(y, elementOf(x))) : Value();
  }
  Value add(Value x, double y) {
    return x ? add(x, scalar(y, elementOf(x))) : Value();
  }
  Value maximum(Value x, double y) {
    return x ? maximum(x, scalar(y, elementOf(x))) : Value();
  }
  Value minimum(Value x, double y) {
    return x ? minimum(x, scalar(y, elementOf(x))) : Value();
  }
  bool sameElement(Value x, Value y);
  /// Whether the element type is a float; else an error or unsupported.
  bool requireFloat(Value value);
  /// Whether constants of the type can be made.
  bool requireNumbers(Type element);

  /// The result of broadcasting dimensions by numpy's rule.
  bool broadcastDims(llvm::ArrayRef<AffineExpr> a, Dims &into);
  /// Dimensions that must agree.
  bool requireEqual(AffineExpr a, AffineExpr b, llvm::StringRef what);
  std::string print(llvm::ArrayRef<AffineExpr> dims) const;
  std::string print(Type type) const;

private:
  friend class Importer;
  std::string describe() const;

  llvm::SmallVector<Tensor *> inputs_;
  llvm::SmallVector<Tensor *> results_;
  /// Inputs that were asked for their contents, which aren't known.
  llvm::SmallVector<unsigned> unknown_;
  bool unsupported_ = false;
};

/// Computes the results of nodes over known tensors; false leaves the node to
/// its operator's function.
bool evaluateKnown(Node &node);

/// Runs a subgraph in place: its inputs are `inputs`. False after an error.
bool inlineGraph(Node &node, const proto::GraphProto &graph,
                 llvm::ArrayRef<Tensor *> inputs,
                 llvm::SmallVectorImpl<Tensor *> &outputs);

// Functions shared between operator files.
/// Resolves the bounds of one axis of Slice; the size is set too. What it takes
/// for granted of dynamic sizes is recorded, or where `unsure` is given told
/// there instead.
bool sliceBounds(Node &node, AffineExpr dim, AffineExpr start, AffineExpr end,
                 int64_t step, AffineExpr &offset, AffineExpr &size,
                 bool *unsure = nullptr);
/// A tensor without a place in the model, for values that a node made.
Tensor *wrapValue(Node &node, Value value);
/// Whether the expression cannot be negative if no symbol is.
bool nonNegative(AffineExpr expr);
/// An If, a Loop whose course only the running model knows.
void branchWhenRun(Node &node);
void loopWhenRun(Node &node);
/// A loop in parts. The body takes the iteration, the number of trips and the
/// state, and gives a condition, the next state and what is stacked.
struct LoopParts {
  AffineExpr count;
  /// A bool scalar that is asked before each iteration; null for none.
  Value condition = {};
  llvm::SmallVector<Value> inits = {};
  size_t scans = 0;
  /// Which of the stacked values are stacked from the end; empty for none.
  llvm::SmallVector<bool> backward = {};
  std::function<bool(AffineExpr, AffineExpr, llvm::ArrayRef<Tensor *>,
                     llvm::SmallVectorImpl<Tensor *> &)>
      body = {};
  /// The last state, then what was stacked along a new first dimension.
  llvm::SmallVector<Value> results = {};
};
bool repeatWhenRun(Node &node, LoopParts &parts);
/// Positions of the true elements of a vector of bool, ascending (i64): the
/// first `count`, which there must be, or all of them, whose number is read when
/// the model runs.
Value positionsOf(Node &node, Value flags, AffineExpr count = {});
/// Reshape to a shape that is not known while importing.
Value reshapeWhenRun(Node &node, Value value,
                     llvm::ArrayRef<Node::Element> wanted, bool allowZero);
/// Slicing one axis by bounds that are not known while importing.
Value sliceWhenRun(Node &node, Value value, int64_t axis, Node::Element start,
                   Node::Element end, Node::Element step);
/// Padding one axis by widths that are not known while importing.
Value padWhenRun(Node &node, Value value, Value fill, int64_t axis,
                 Node::Element before, Node::Element after,
                 graph::PadMode mode);
/// Range with bounds that are not known while importing.
Value rangeWhenRun(Node &node, Value start, Value limit, Value delta);
/// The dimensions asked for by Reshape; `wanted` may contain 0 and -1.
std::optional<Dims> reshapeDims(Node &node, llvm::ArrayRef<AffineExpr> from,
                                llvm::ArrayRef<AffineExpr> wanted,
                                bool allowZero);

/// Gemm and the convolution of Conv without its bias, by the node's attributes.
Value gemmOf(Node &node);
Value convolve(Node &node, Value operand, Value filter);
/// Pooling by the node's attributes.
Value pool(Node &node, Value operand, graph::ReduceKind kind,
           bool countPadding);

/// [B, S, heads * H] to [B, heads, S, H], and back.
Value splitHeads(Node &node, Value x, int64_t heads);
Value joinHeads(Node &node, Value x);
/// Repeats each head of keys or values for the queries that share it.
Value repeatHeads(Node &node, Value x, AffineExpr heads);
/// Turns the first `rotated` elements of the heads of [B, S, heads, H] by
/// cosines and sines that broadcast to [B, S, heads, rotated / 2].
Value rotate(Node &node, Value x, Value cosines, Value sines, int64_t rotated,
             bool interleaved);
/// Fails unless the elements are integers, i1 left out.
bool requireIndices(Node &node, Value indices);
AffineExpr productOf(Node &node, llvm::ArrayRef<AffineExpr> dims);
/// A size that is only known when the model runs: the value of a scalar.
AffineExpr readSize(Node &node, Value size, llvm::StringRef what);
/// graph.scatter.
Value scatter(Node &node, Value x, Value indices, Value updates, int64_t axis,
              std::optional<graph::ReduceKind> kind);
/// The indices (i64) along the last dimension in the order of the keys, the
/// first `wanted` of them. Equal keys keep their order; NaN is the largest.
Value sortedOrder(Node &node, Value keys, AffineExpr wanted, bool descending);

// The tables of the operator files.
llvm::ArrayRef<Operator> elementwiseOperators();
llvm::ArrayRef<Operator> activationOperators();
llvm::ArrayRef<Operator> movementOperators();
llvm::ArrayRef<Operator> indexingOperators();
llvm::ArrayRef<Operator> productOperators();
llvm::ArrayRef<Operator> poolingOperators();
llvm::ArrayRef<Operator> reductionOperators();
llvm::ArrayRef<Operator> normalizationOperators();
llvm::ArrayRef<Operator> attentionOperators();
llvm::ArrayRef<Operator> recurrentOperators();
llvm::ArrayRef<Operator> quantizationOperators();
llvm::ArrayRef<Operator> structureOperators();
llvm::ArrayRef<Operator> sequenceOperators();
llvm::ArrayRef<Operator> microsoftOperators();
llvm::ArrayRef<Operator> microsoftAttentionOperators();
llvm::ArrayRef<Operator> microsoftQuantizationOperators();
llvm::ArrayRef<Operator> microsoftBlockOperators();
llvm::ArrayRef<Operator> sequenceModelOperators();
llvm::ArrayRef<Operator> signalOperators();
llvm::ArrayRef<Operator> randomOperators();
llvm::ArrayRef<Operator> trainingOperators();
llvm::ArrayRef<Operator> scatterOperators();
llvm::ArrayRef<Operator> orderOperators();
llvm::ArrayRef<Operator> samplingOperators();
llvm::ArrayRef<Operator> resizeOperators();
llvm::ArrayRef<Operator> selectionOperators();
llvm::ArrayRef<Operator> stringOperators();
llvm::ArrayRef<Operator> mapOperators();
llvm::ArrayRef<Operator> learningOperators();
llvm::ArrayRef<Operator> treeOperators();
llvm::ArrayRef<Operator> gradientOperators();
llvm::ArrayRef<Operator> experimentalOperators();

} // namespace aicc::onnx

#endif // AICC_FRONTENDS_ONNX_NODE_H
