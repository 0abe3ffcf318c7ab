//===- Importer.cpp - from a parsed model to a module ---------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/Importer.h"
#include "dialects/graph/Graph.h"
#include "dialects/graph/Names.h"
#include "frontends/onnx/Strings.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Verifier.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace aicc::onnx;
using llvm::StringRef;
using llvm::Twine;

StringRef aicc::onnx::normalDomain(StringRef domain) {
  return domain == "ai.onnx" ? StringRef() : domain;
}

Importer::Importer(MLIRContext *context, std::shared_ptr<Model> model,
                   const ImportOptions &options)
    : context(context), options(options), model(std::move(model)),
      symbols(context), builder(context), here_(UnknownLoc::get(context)) {
  context->loadDialect<graph::GraphDialect, func::FuncDialect>();
}

LogicalResult Importer::fail(const Twine &message) {
  if (error_.empty())
    error_ = message.str();
  // Names in messages come from the model: keep them to one line.
  for (char &c : error_)
    if (static_cast<unsigned char>(c) < ' ')
      c = ' ';
  return failure();
}

Tensor *Importer::newTensor(StringRef name, Location loc) {
  Tensor &tensor = tensors_.emplace_back(Tensor{name.str(), loc, {}, {}});
  tensor.home = builder.getInsertionBlock();
  return &tensor;
}

void Importer::unsupported(StringRef domain, StringRef op, int64_t version,
                           StringRef node, StringRef reason) {
  std::string key = ((domain.empty() ? StringRef("ai.onnx") : domain) + "." +
                     op + " (opset " + Twine(version) + ")" +
                     (reason.empty() ? Twine() : Twine(" with ") + reason))
                        .str();
  unsupported_[key].push_back(node.str());
}

void Importer::noteNeeded(const Tensor &tensor) {
  if (!tensor.value)
    return;
  SmallVector<Value> todo{tensor.value};
  llvm::DenseSet<Value> seen{tensor.value};
  auto visit = [&](ValueRange values) {
    for (Value value : values)
      if (seen.insert(value).second)
        todo.push_back(value);
  };
  while (!todo.empty()) {
    Value value = todo.pop_back_val();
    if (Operation *op = value.getDefiningOp()) {
      visit(op->getOperands());
      continue;
    }
    auto argument = cast<BlockArgument>(value);
    if (argument.getOwner() != entry_) {
      // What a region's argument holds comes from the operation's operands.
      if (Operation *parent = argument.getOwner()->getParentOp())
        visit(parent->getOperands());
      continue;
    }
    // Large inputs are data, whose values don't decide about shapes.
    if (inputs_[argument.getArgNumber()].dims.size() <= 1)
      needed_.insert(argument.getArgNumber());
  }
}

static std::map<std::string, int64_t> opsetMap(
    const google::protobuf::RepeatedPtrField<proto::OperatorSetIdProto> &list) {
  std::map<std::string, int64_t> opsets;
  for (const auto &opset : list) {
    int64_t &version = opsets[normalDomain(opset.domain()).str()];
    version = std::max(version, opset.version());
  }
  return opsets;
}

std::string aicc::onnx::functionKey(StringRef domain, StringRef name,
                                    StringRef overload) {
  return (normalDomain(domain) + Twine('\1') + name + Twine('\1') + overload)
      .str();
}

bool Importer::readOpsets(std::map<std::string, int64_t> &opsets) {
  auto it = opsets.find("");
  if (it == opsets.end())
    return true;
  if (it->second < 1 || it->second > newestOpset)
    return llvm::succeeded(fail("the model needs opset " + Twine(it->second) +
                                " of ai.onnx, expected 1 to " +
                                Twine(newestOpset)));
  return true;
}

bool Importer::indexFunctions() {
  opsets_ = opsetMap(model->proto.opset_import());
  // Before IR version 3 there were no opset imports: everything is version 1.
  if (opsets_.empty() && model->proto.ir_version() < 3)
    opsets_[""] = 1;
  if (opsets_.empty()) {
    (void)fail("the model imports no operator set");
    return false;
  }
  if (!readOpsets(opsets_))
    return false;
  for (const auto &function : model->proto.functions()) {
    auto [it, fresh] = functions_.try_emplace(
        functionKey(function.domain(), function.name(), function.overload()),
        Function{&function, opsetMap(function.opset_import())});
    if (!fresh) {
      (void)fail("function \"" + Twine(function.name()) + "\" of domain \"" +
                 function.domain() + "\" is defined twice");
      return false;
    }
    if (!readOpsets(it->second.opsets))
      return false;
  }
  return true;
}

AffineExpr Importer::parseDimension(StringRef text) const {
  struct Parser {
    const Importer &self;
    StringRef rest;
    int depth = 0;
    void skip() { rest = rest.ltrim(); }
    AffineExpr primary() {
      skip();
      if (++depth > 32)
        return {};
      AffineExpr result;
      if (rest.consume_front("(")) {
        result = sum();
        skip();
        if (!rest.consume_front(")"))
          result = {};
      } else if (!rest.empty() && llvm::isDigit(rest[0])) {
        int64_t value;
        if (!rest.consumeInteger(10, value) && value <= INT32_MAX)
          result = getAffineConstantExpr(value, self.context);
      } else {
        StringRef name = rest.take_while(
            [](char c) { return llvm::isAlnum(c) || c == '_' || c == '.'; });
        rest = rest.drop_front(name.size());
        if (auto symbol = self.symbols.find(name))
          result = getAffineSymbolExpr(*symbol, self.context);
      }
      --depth;
      return result;
    }
    AffineExpr product() {
      AffineExpr result = primary();
      for (skip(); result; skip()) {
        bool floor = rest.consume_front("//");
        if (!floor && !rest.consume_front("*"))
          break;
        AffineExpr factor = primary();
        if (!factor || (floor && graph::constantOf(factor).value_or(0) <= 0))
          return {};
        result = floor ? result.floorDiv(factor) : result * factor;
      }
      return result;
    }
    AffineExpr sum() {
      AffineExpr result = product();
      for (skip(); result; skip()) {
        bool minus = rest.consume_front("-");
        if (!minus && !rest.consume_front("+"))
          break;
        AffineExpr term = product();
        if (!term)
          return {};
        result = minus ? result - term : result + term;
      }
      return result;
    }
  };
  constexpr size_t longest = 256;
  if (text.size() > longest)
    return {};
  Parser parser{*this, text};
  AffineExpr expr = parser.sum();
  parser.skip();
  return parser.rest.empty() ? expr : AffineExpr();
}

LogicalResult Importer::addInitializers(const proto::GraphProto &graph,
                                        Scope &scope) {
  std::string error;
  auto define = [&](const proto::TensorProto &tensor) -> LogicalResult {
    if (tensor.name().empty())
      return fail("an initializer has no name");
    if (!checkTensor(tensor, options.maxElements, error))
      return fail(error);
    Type element = elementType(context, tensor.data_type());
    if (!element)
      return fail("initializer \"" + Twine(tensor.name()) +
                  "\" has element type " + dataTypeName(tensor.data_type()) +
                  ", which is not supported");
    Location loc =
        NameLoc::get(builder.getStringAttr(scope.prefix + tensor.name()));
    Tensor *value = newTensor(scope.prefix + tensor.name(), loc);
    value->element = element;
    for (int64_t dim : tensor.dims())
      value->dims.push_back(getAffineConstantExpr(dim, context));
    value->payload = &tensor;
    if (!scope.values.try_emplace(tensor.name(), value).second)
      return fail("initializer \"" + Twine(tensor.name()) +
                  "\" is defined twice");
    return success();
  };
  for (const auto &tensor : graph.initializer())
    if (llvm::failed(define(tensor)))
      return failure();
  if (!scope.parent)
    for (const proto::TensorProto *tensor : given_)
      if (llvm::failed(define(*tensor)))
        return failure();
  for (const auto &sparse : graph.sparse_initializer()) {
    const proto::TensorProto *dense = densify_[&sparse];
    if (!dense)
      dense = densify(*model, sparse, options.maxElements, error);
    if (!dense)
      return fail(error);
    densify_[&sparse] = dense;
    if (llvm::failed(define(*dense)))
      return failure();
  }
  return success();
}

Value Importer::materialize(Tensor &tensor) {
  if (tensor.value || failed() || tensor.poisoned)
    return tensor.value;
  if (tensor.composite) {
    (void)fail("value \"" + Twine(tensor.name) + "\" is " +
               describe(tensor.composite->kind) + ", expected a tensor");
    return {};
  }
  OpBuilder::InsertionGuard guard(builder);
  bool runs = false;
  if (tensor.known && !tensor.payload)
    for (const Scalar &scalar : tensor.known->values)
      runs |= scalar.expr && symbols.runs(scalar.expr);
  if (runs) {
    // What a symbol of the running model is part of belongs to the block that
    // the symbol is bound in.
    Block *block = builder.getInsertionBlock();
    if (tensor.home && block != tensor.home)
      if (Operation *around =
              tensor.home->findAncestorOpInBlock(*block->getParentOp()))
        builder.setInsertionPoint(around);
  } else if (lastConstant_) {
    builder.setInsertionPointAfter(lastConstant_);
  } else {
    builder.setInsertionPointToStart(entry_);
  }
  if (tensor.payload && isString(tensor.element)) {
    std::vector<StringRef> strings;
    std::string error;
    if (!stringsOf(*tensor.payload, strings, error)) {
      (void)fail(error);
      return {};
    }
    SmallVector<int64_t> shape(tensor.payload->dims().begin(),
                               tensor.payload->dims().end());
    tensor.value = stringConstant(builder, tensor.loc, strings, shape);
    lastConstant_ = tensor.value.getDefiningOp();
    return tensor.value;
  }
  if (tensor.payload) {
    ElementsAttr &attribute = attributes_[tensor.payload];
    std::string error;
    if (!attribute)
      attribute =
          toAttribute(context, model, *tensor.payload, tensor.name, error);
    if (!attribute) {
      (void)fail(error);
      return {};
    }
    tensor.value = graph::ConstantOp::create(builder, tensor.loc, attribute);
    lastConstant_ = tensor.value.getDefiningOp();
    return tensor.value;
  }
  const Known &known = *tensor.known;
  auto type = RankedTensorType::get(known.shape, known.element);
  bool constant = true, whole = true;
  for (const Scalar &scalar : known.values) {
    constant &= !scalar.expr || scalar.constant();
    whole &= bool(scalar.expr);
  }
  if (constant && whole) {
    SmallVector<int64_t> values;
    for (const Scalar &scalar : known.values)
      values.push_back(*scalar.constant());
    tensor.value = graph::ConstantOp::create(builder, tensor.loc,
                                             smallConstant(type, values));
  } else if (constant) {
    SmallVector<double> values;
    for (const Scalar &scalar : known.values)
      values.push_back(scalar.expr ? double(*scalar.constant())
                                   : scalar.number);
    tensor.value = graph::ConstantOp::create(builder, tensor.loc,
                                             smallConstant(type, values));
  } else {
    if (!whole || known.element.isInteger(1)) {
      (void)fail("value \"" + Twine(tensor.name) +
                 "\" mixes sizes and fractions, which is not supported");
      return {};
    }
    SmallVector<AffineExpr> exprs;
    for (const Scalar &scalar : known.values)
      exprs.push_back(scalar.expr);
    Type integer =
        isa<FloatType>(known.element) ? builder.getI64Type() : known.element;
    auto flat = RankedTensorType::get(int64_t(exprs.size()), integer);
    Value value = graph::DimensionsOp::create(
        builder, tensor.loc, flat,
        AffineMapAttr::get(graph::makeMap(exprs, context)));
    if (integer != known.element)
      value = graph::CastOp::create(
          builder, tensor.loc, graph::withElement(flat, known.element), value);
    if (known.shape.size() != 1)
      value = graph::ReshapeOp::create(builder, tensor.loc, type, value);
    tensor.value = value;
  }
  if (!runs)
    lastConstant_ = tensor.value.getDefiningOp();
  return tensor.value;
}

bool Importer::requireEqual(AffineExpr a, AffineExpr b) {
  if (!a || !b)
    return false;
  if (graph::equal(a, b))
    return true;
  if (symbols.runs(a) || symbols.runs(b))
    return checkEqual(a, b);
  if (!symbols.unify(a, b))
    return false;
  restart_ = true;
  return true;
}

void Importer::assumeAtMost(AffineExpr a, AffineExpr b) {
  // What a run finds out is checked where it does.
  if (symbols.runs(a) || symbols.runs(b))
    return checkAtMost(a, b);
  auto limit = std::make_pair(graph::simplify(a), graph::simplify(b));
  if (!llvm::is_contained(limits_, limit))
    limits_.push_back(limit);
}

OwningOpRef<ModuleOp> Importer::attempt() {
  tensors_.clear();
  composites_.clear();
  limits_.clear();
  unsupported_.clear();
  needed_.clear();
  device_.clear();
  devices_.clear();
  if (options.nodes)
    options.nodes->clear();
  callStack_.clear();
  nodeCount_ = 0;
  unseeded = 0;
  iterations.clear();
  depth_ = 0;
  loopSymbols_.clear();
  forgetReads();
  restart_ = false;
  lastConstant_ = nullptr;
  symbols.finish();

  OwningOpRef<ModuleOp> module = ModuleOp::create(builder.getUnknownLoc());
  Scope scope;
  scope.opsets = &opsets_;
  SmallVector<Type> argumentTypes;
  SmallVector<Location> argumentLocs;
  SmallVector<Tensor *> arguments;
  if (llvm::failed(bindInputs(scope, arguments)))
    return {};
  for (const Tensor *tensor : arguments) {
    argumentTypes.push_back(graph::makeType(tensor->dims, tensor->element));
    argumentLocs.push_back(tensor->loc);
  }
  builder.setInsertionPointToEnd(module->getBody());
  auto function =
      func::FuncOp::create(builder, builder.getUnknownLoc(), "main",
                           builder.getFunctionType(argumentTypes, {}));
  entry_ =
      builder.createBlock(&function.getBody(), {}, argumentTypes, argumentLocs);
  for (auto [i, tensor] : llvm::enumerate(arguments)) {
    tensor->value = entry_->getArgument(i);
    function.setArgAttr(i, "graph.name", builder.getStringAttr(tensor->name));
  }
  SmallVector<Tensor *> outputs;
  if (llvm::failed(importGraph(model->proto.graph(), scope, outputs)))
    return {};
  for (Tensor *output : outputs)
    if (output->optionalOnes)
      unsupported("", "If", opsets_[""], graph::nodeName(output->loc),
                  "a rank that is only known when the model runs");
  if (!unsupported_.empty()) {
    std::string text = "unsupported operator" +
                       std::string(unsupported_.size() > 1 ? "s: " : ": ");
    bool first = true;
    for (const auto &[what, nodes] : unsupported_) {
      text += (first ? "" : "; ") + what + " at ";
      first = false;
      constexpr size_t shown = 8;
      for (size_t i = 0; i < std::min(nodes.size(), shown); ++i)
        text += (i ? ", \"" : "\"") + nodes[i] + "\"";
      if (nodes.size() > shown)
        text += " and " + std::to_string(nodes.size() - shown) + " more";
    }
    (void)fail(text);
    return {};
  }
  SmallVector<Value> results;
  SmallVector<Type> resultTypes;
  SmallVector<Attribute> resultAttrs;
  SmallVector<std::pair<std::string, Tensor *>> tensors;
  llvm::json::Array inputSignature, outputSignature;
  for (const InputValue &value : inputValues_)
    inputSignature.push_back(describeInput(value));
  bool composites =
      llvm::any_of(inputValues_, [](auto &value) { return bool(value.kind); });
  for (auto [output, tensor] :
       llvm::zip(model->proto.graph().output(), outputs)) {
    llvm::json::Value signature(nullptr);
    composites |= bool(tensor->composite);
    if (llvm::failed(flatten(*tensor, output.name(), tensors, signature)))
      return {};
    outputSignature.push_back(std::move(signature));
  }
  for (auto &[name, tensor] : tensors) {
    resultAttrs.push_back(builder.getDictionaryAttr(
        builder.getNamedAttr("graph.name", builder.getStringAttr(name))));
    Value value = materialize(*tensor);
    if (!value)
      return {};
    results.push_back(value);
    resultTypes.push_back(value.getType());
  }
  func::ReturnOp::create(builder, builder.getUnknownLoc(), results);
  function.setFunctionType(builder.getFunctionType(argumentTypes, resultTypes));
  function.setAllResultAttrs(resultAttrs);

  SmallVector<Attribute> names;
  for (const std::string &name : symbols.names())
    names.push_back(builder.getStringAttr(name));
  (*module)->setAttr(graph::symbolsAttrName, builder.getArrayAttr(names));
  SmallVector<Attribute> limits;
  for (auto [a, b] : limits_)
    limits.push_back(AffineMapAttr::get(graph::makeMap(Dims{a, b}, context)));
  if (!limits.empty())
    (*module)->setAttr("graph.limits", builder.getArrayAttr(limits));
  NamedAttrList devices;
  for (const auto &[node, device] : devices_)
    devices.append(node, builder.getStringAttr(device));
  if (!devices.empty())
    (*module)->setAttr("graph.devices", devices.getDictionary(context));
  if (composites) {
    llvm::json::Value signature =
        llvm::json::Object{{"inputs", std::move(inputSignature)},
                           {"outputs", std::move(outputSignature)}};
    std::string text;
    llvm::raw_string_ostream(text) << signature;
    (*module)->setAttr("graph.signature", builder.getStringAttr(text));
  }
  return module;
}

OwningOpRef<ModuleOp> Importer::run(std::string &error,
                                    std::vector<std::string> *neededInputs) {
  OwningOpRef<ModuleOp> module;
  if (indexFunctions() && llvm::succeeded(declareInputs())) {
    // Each new attempt has one symbol less.
    for (size_t tries = symbols.size() + 1; tries > 0; --tries) {
      module = attempt();
      if (!restart_ || !error_.empty())
        break;
      module = {};
    }
  }
  if (!module) {
    error = error_.empty() ? "the model cannot be imported" : error_;
    if (neededInputs)
      for (unsigned i : needed_)
        neededInputs->push_back(inputs_[i].name);
    return {};
  }
  // What the verifier finds is a mistake in a model that no check above knows.
  std::string found;
  ScopedDiagnosticHandler handler(context, [&](Diagnostic &diagnostic) {
    if (found.empty()) {
      StringRef node = graph::nodeName(diagnostic.getLocation());
      if (!node.empty())
        found = "node \"" + node.str() + "\": ";
      found += diagnostic.str();
    }
    return success();
  });
  if (llvm::failed(verify(*module))) {
    error = found;
    for (char &c : error)
      if (static_cast<unsigned char>(c) < ' ')
        c = ' ';
    return {};
  }
  return module;
}
