//===- Importer.h - the state of one import ---------------------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Private to the front end. An import walks the graph once; when it learns
// that two dimensions must be equal it records that and starts over, so that
// every type is built with the final symbols. One thread.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_FRONTENDS_ONNX_IMPORTER_H
#define AICC_FRONTENDS_ONNX_IMPORTER_H

#include "dialects/graph/Dims.h"
#include "frontends/onnx/Import.h"
#include "frontends/onnx/Model.h"
#include "frontends/onnx/Tensors.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/JSON.h"

#include <deque>
#include <map>
#include <set>

namespace aicc::onnx {

using Dims = llvm::SmallVector<mlir::AffineExpr>;

/// One element of a tensor whose contents are known while importing: an
/// integer expression over the symbols, or (floats only) a number.
struct Scalar {
  mlir::AffineExpr expr;
  double number = 0;

  std::optional<int64_t> constant() const { return graph::constantOf(expr); }
};

/// A small tensor whose contents are known while importing.
struct Known {
  mlir::Type element;
  llvm::SmallVector<int64_t> shape;
  llvm::SmallVector<Scalar> values;
};

struct Tensor;

/// What a value is made of that is no tensor. It exists while importing only:
/// how many tensors there are is known then, `main` sees nothing but tensors.
struct Composite {
  enum Kind {
    /// Any number of tensors.
    sequence,
    /// A tensor or a sequence, or no element.
    optional,
    /// Two elements: a vector of keys, a vector of values.
    map,
    /// A sequence of maps with the same keys: a vector of keys, a matrix with
    /// the values of one map in a row.
    maps
  };
  Kind kind;
  llvm::SmallVector<Tensor *> elements;
};

/// "a sequence"
llvm::StringRef describe(Composite::Kind kind);

/// A value of the model.
struct Tensor {
  std::string name;
  mlir::Location loc;
  /// Of the elements, where the value is composite; null if nobody said.
  mlir::Type element;
  Dims dims;
  /// Null until somebody needs the value as an operand.
  mlir::Value value = {};
  /// Where it comes from if it is a constant of the model.
  const proto::TensorProto *payload = nullptr;
  std::optional<Known> known = {};
  bool triedKnown = false;
  /// Depends on an unsupported operator, so nothing is known about it.
  bool poisoned = false;
  /// So many of its first dimensions (all 1) the running model may not have:
  /// the branches of an If differ in them. Only what aligns dimensions at the
  /// end may read such a tensor.
  int64_t optionalOnes = 0;
  /// Null for a tensor.
  const Composite *composite = nullptr;
  /// Where it was made; what it depends on is visible there.
  mlir::Block *home = nullptr;

  int64_t rank() const { return dims.size(); }
};

/// Values and meaning of names in a graph, a subgraph or a function's body.
struct Scope {
  /// The scope whose values are visible here too; null for a function.
  Scope *parent = nullptr;
  llvm::StringMap<Tensor *> values;
  /// Version of each imported domain.
  const std::map<std::string, int64_t> *opsets = nullptr;
  /// A function's attributes, as given by the call.
  const std::map<std::string, const proto::AttributeProto *> *attributes =
      nullptr;
  /// Put before the names of nodes and values inside functions.
  std::string prefix;
};

/// Dimensions of the inputs that are not numbers.
class Symbols {
public:
  explicit Symbols(mlir::MLIRContext *context) : context_(context) {}

  /// The number of a name as written in the model, before substitution.
  unsigned declare(llvm::StringRef name);
  std::optional<unsigned> find(llvm::StringRef name) const;
  /// Fixes a symbol; `value` counts symbols before substitution.
  void substitute(unsigned symbol, mlir::AffineExpr value);
  /// Numbers the symbols that are left. Call after declaring, before `resolve`.
  void finish();
  /// The expression over the final symbols.
  mlir::AffineExpr resolve(mlir::AffineExpr declared) const;
  /// Tries to make two final expressions equal by fixing a symbol.
  bool unify(mlir::AffineExpr a, mlir::AffineExpr b);

  /// A symbol of no input, numbered behind the final ones: it gets its value
  /// while the model runs. `finish` forgets all of them.
  unsigned add(llvm::StringRef name);
  /// Whether the (final) expression depends on such symbols.
  bool runs(mlir::AffineExpr expr) const;
  /// How many there are, the final ones included.
  unsigned count() const { return finalNames_.size() + addedNames_.size(); }

  size_t size() const { return declared_.size(); }
  /// Names of the final symbols.
  const std::vector<std::string> &names() const { return finalNames_; }
  std::string print(mlir::AffineExpr final) const;

private:
  mlir::AffineExpr toDeclared(mlir::AffineExpr final) const;

  mlir::MLIRContext *context_;
  std::vector<std::string> declared_;
  std::map<unsigned, mlir::AffineExpr> substitutions_;
  Dims finals_;
  std::vector<std::string> finalNames_;
  std::vector<std::string> addedNames_;
  llvm::SmallVector<unsigned> declaredOf_;
};

class Node;
using OperatorFunction = void (*)(Node &);

struct Operator {
  const char *domain;
  const char *name;
  int minVersion;
  OperatorFunction function;
  /// Takes sequences, optionals or maps.
  bool composites = false;
};

/// The newest version of each domain whose operators are all known here.
inline constexpr int64_t newestOpset = 28;

std::string functionKey(llvm::StringRef domain, llvm::StringRef name,
                        llvm::StringRef overload);

/// The implementation of an operator in a version of its domain, or null.
const Operator *findOperator(llvm::StringRef domain, llvm::StringRef name,
                             int64_t version);

class Importer {
public:
  Importer(mlir::MLIRContext *context, std::shared_ptr<Model> model,
           const ImportOptions &options);

  mlir::OwningOpRef<mlir::ModuleOp>
  run(std::string &error, std::vector<std::string> *neededInputs = nullptr);

  mlir::MLIRContext *context;
  const ImportOptions &options;
  std::shared_ptr<Model> model;
  Symbols symbols;
  mlir::OpBuilder builder;

  /// The iterations of the loops around what is being built, outermost first.
  /// The next loop counts in the symbol behind them and the named ones.
  llvm::SmallVector<mlir::AffineExpr> iterations;
  /// How many random operators had no seed so far.
  int64_t unseeded = 0;

  /// Records the first error; always returns failure.
  mlir::LogicalResult fail(const llvm::Twine &message);
  bool failed() const { return !error_.empty() || restart_; }

  Tensor *newTensor(llvm::StringRef name, mlir::Location loc);
  Tensor *newComposite(llvm::StringRef name, mlir::Location loc,
                       Composite composite);
  /// The tensor as an operand; null after an error.
  mlir::Value materialize(Tensor &tensor);
  /// Its contents, if it is small and they can be told; else null.
  const Known *known(Tensor &tensor);

  /// A size that data decides: a new symbol, bound to an element of an integer
  /// tensor when the model runs. It must not be negative; a value less than
  /// `minimum` ends the run with an error that names the value's node.
  mlir::AffineExpr readSymbol(mlir::Value value, llvm::StringRef name,
                              int64_t element = 0, int64_t minimum = 0);
  /// After operations were erased: what was read there is read anew.
  void forgetReads() {
    reads_.clear();
    checked_.clear();
    larger_.clear();
  }
  /// The larger of two sizes; what is not known of them is read.
  mlir::AffineExpr larger(mlir::AffineExpr a, mlir::AffineExpr b);
  /// The symbol that counts the trips of a loop which is built now. Loops that
  /// do not nest share theirs, so that equal bodies have equal kernels.
  unsigned loopSymbol();

  /// Takes for granted that two dimensions are equal; false if they cannot be.
  /// When it had to fix a symbol the import is abandoned and starts over. What
  /// only the running model knows is checked when it runs.
  bool requireEqual(mlir::AffineExpr a, mlir::AffineExpr b);
  /// Takes for granted that a <= b.
  void assumeAtMost(mlir::AffineExpr a, mlir::AffineExpr b);

  /// Imports a graph into a scope (its inputs are bound already) and gives the
  /// tensors of its outputs.
  mlir::LogicalResult importGraph(const proto::GraphProto &graph, Scope &scope,
                                  llvm::SmallVectorImpl<Tensor *> &outputs);
  void unsupported(llvm::StringRef domain, llvm::StringRef op, int64_t version,
                   llvm::StringRef node, llvm::StringRef reason);
  /// Remembers which of the graph's small inputs a tensor is computed from: its
  /// contents would have been needed.
  void noteNeeded(const Tensor &tensor);

private:
  friend class Node;

  mlir::OwningOpRef<mlir::ModuleOp> attempt();
  bool readOpsets(std::map<std::string, int64_t> &opsets);
  bool indexFunctions();
  struct Input;
  struct InputValue;
  mlir::LogicalResult declareInputs();
  mlir::LogicalResult declareInput(const proto::ValueInfoProto &info);
  /// One tensor of an input; `own` gives it dimensions of its own even where
  /// the type names them.
  mlir::LogicalResult declarePort(const std::string &name,
                                  const proto::TypeProto::Tensor &type,
                                  const std::vector<std::string> *shape,
                                  bool own);
  /// The values of the inputs, over arguments of `main` that follow.
  mlir::LogicalResult bindInputs(Scope &scope,
                                 llvm::SmallVectorImpl<Tensor *> &arguments);
  Tensor *bindInput(const InputValue &value,
                    llvm::ArrayRef<Tensor *> arguments);
  llvm::json::Value describeInput(const InputValue &value) const;
  /// Appends the tensors of an output.
  mlir::LogicalResult
  flatten(Tensor &tensor, const std::string &name,
          llvm::SmallVectorImpl<std::pair<std::string, Tensor *>> &results,
          llvm::json::Value &signature);
  mlir::LogicalResult addInitializers(const proto::GraphProto &graph,
                                      Scope &scope);
  mlir::LogicalResult
  importNodes(const google::protobuf::RepeatedPtrField<proto::NodeProto> &nodes,
              Scope &scope);
  mlir::LogicalResult importNode(const proto::NodeProto &node, size_t index,
                                 Scope &scope);
  mlir::LogicalResult callFunction(const proto::FunctionProto &function,
                                   Node &node);
  mlir::AffineExpr parseDimension(llvm::StringRef text) const;
  /// Null for an input that a function's caller did not give; `defined` says
  /// whether the name is known at all.
  Tensor *lookup(Scope &scope, llvm::StringRef name,
                 bool *defined = nullptr) const;

  /// A tensor that `main` gets.
  struct Input {
    std::string name;
    mlir::Type element;
    /// Over declared symbols.
    Dims dims;
  };
  /// An input of the graph: a tensor, or what is made of several.
  struct InputValue {
    std::string name;
    std::optional<Composite::Kind> kind = {};
    /// Where its tensor is in `inputs_`.
    size_t port = 0;
    std::vector<InputValue> elements = {};
    mlir::Type element = {};
  };
  struct Function {
    const proto::FunctionProto *proto;
    std::map<std::string, int64_t> opsets;
  };
  std::vector<Input> inputs_;
  std::vector<InputValue> inputValues_;
  /// Dimensions that may be expressions over others: input and dimension.
  std::vector<std::tuple<size_t, size_t, std::string>> composedDims_;
  std::set<std::string> portNames_;
  std::deque<Composite> composites_;
  std::map<std::string, Function> functions_;
  std::map<std::string, int64_t> opsets_;
  std::set<std::string> initialized_;
  /// Values given from outside for inputs.
  std::vector<const proto::TensorProto *> given_;
  std::deque<Tensor> tensors_;
  /// Kept from attempt to attempt.
  std::map<const proto::TensorProto *, mlir::ElementsAttr> attributes_;
  std::map<const proto::SparseTensorProto *, const proto::TensorProto *>
      densify_;
  mlir::Block *entry_ = nullptr;
  /// The node at hand.
  mlir::Location here_;
  /// Checks the sizes when the model runs; false if they differ for sure.
  bool checkEqual(mlir::AffineExpr a, mlir::AffineExpr b);
  void checkAtMost(mlir::AffineExpr a, mlir::AffineExpr b);
  std::vector<unsigned> loopSymbols_;
  std::map<std::tuple<void *, int64_t, int64_t, mlir::Block *>,
           mlir::AffineExpr>
      reads_;
  std::set<std::tuple<void *, void *, mlir::Block *>> checked_;
  /// Of two expressions, in a block.
  std::map<std::tuple<void *, void *, mlir::Block *>, mlir::AffineExpr> larger_;
  mlir::Operation *lastConstant_ = nullptr;
  std::vector<std::string> callStack_;
  std::vector<std::pair<mlir::AffineExpr, mlir::AffineExpr>> limits_;
  /// Key: domain, operator, version, reason; value: node names.
  std::map<std::string, std::vector<std::string>> unsupported_;
  /// What `deviceKey` says at the node at hand or around it; of all nodes where
  /// it says something.
  std::string device_;
  std::map<std::string, std::string> devices_;
  /// Positions in `inputs_`.
  std::set<unsigned> needed_;
  int64_t nodeCount_ = 0;
  int depth_ = 0;
  std::string error_;
  bool restart_ = false;
};

/// Splits "ai.onnx" and "" into one spelling, "".
llvm::StringRef normalDomain(llvm::StringRef domain);

} // namespace aicc::onnx

#endif // AICC_FRONTENDS_ONNX_IMPORTER_H
