//===- Strings.cpp - operators of all types over strings ------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/Strings.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace aicc::onnx;
using llvm::StringRef;
using llvm::Twine;
namespace gr = aicc::graph;

bool aicc::onnx::isString(Type element) {
  return element && isa<gr::StringType>(element);
}

bool aicc::onnx::hasStrings(const Tensor *tensor) {
  return tensor && isString(tensor->element);
}

bool aicc::onnx::stringsOf(const proto::TensorProto &tensor,
                           std::vector<StringRef> &strings,
                           std::string &error) {
  int64_t count = 1;
  for (int64_t dim : tensor.dims())
    count *= dim;
  if (tensor.has_raw_data() || tensor.external_data_size() ||
      tensor.string_data_size() != count) {
    error = "tensor \"" + tensor.name() + "\" has " +
            std::to_string(tensor.string_data_size()) + " strings, expected " +
            std::to_string(count);
    return false;
  }
  strings.assign(tensor.string_data().begin(), tensor.string_data().end());
  return true;
}

std::string aicc::onnx::optionText(StringRef bytes) {
  std::string text;
  for (unsigned char c : bytes) {
    if (c >= 0x80)
      text += char(0xc0 | c >> 6);
    text += char(c < 0x80 ? c : 0x80 | (c & 0x3f));
  }
  return text;
}

static SmallVector<Value> call(OpBuilder &builder, Location loc,
                               StringRef function, ValueRange operands,
                               ArrayRef<Type> results,
                               llvm::json::Object options) {
  std::string text;
  llvm::raw_string_ostream(text) << llvm::json::Value(std::move(options));
  auto op = gr::CallOp::create(builder, loc, results, function, operands, text);
  return SmallVector<Value>(op.getResults());
}

SmallVector<Value> aicc::onnx::callHost(Node &n, StringRef function,
                                        ValueRange operands,
                                        ArrayRef<Type> results,
                                        llvm::json::Object options) {
  SmallVector<Value> none(results.size());
  if (n.failed() || llvm::is_contained(operands, Value()) ||
      llvm::is_contained(results, Type()))
    return none;
  return call(n.b, n.loc, function, operands, results, std::move(options));
}

Value aicc::onnx::stringConstant(OpBuilder &builder, Location loc,
                                 ArrayRef<StringRef> strings,
                                 ArrayRef<int64_t> shape) {
  SmallVector<uint8_t> bytes;
  SmallVector<int64_t> offsets = {0};
  for (StringRef text : strings) {
    bytes.append(text.bytes_begin(), text.bytes_end());
    offsets.push_back(bytes.size());
  }
  MLIRContext *context = builder.getContext();
  auto byte = IntegerType::get(context, 8, IntegerType::Unsigned);
  auto data = DenseElementsAttr::get(
      RankedTensorType::get({int64_t(bytes.size())}, byte),
      ArrayRef<uint8_t>(bytes));
  auto ends = DenseElementsAttr::get(
      RankedTensorType::get({int64_t(offsets.size())}, builder.getI64Type()),
      ArrayRef<int64_t>(offsets));
  Value operands[] = {gr::ConstantOp::create(builder, loc, data),
                      gr::ConstantOp::create(builder, loc, ends)};
  return call(builder, loc, "string_constant", operands,
              {RankedTensorType::get(shape, gr::StringType::get(context))},
              {})[0];
}

Value aicc::onnx::pickStrings(Node &n, ValueRange sources, Value indices) {
  if (!indices || llvm::is_contained(sources, Value()))
    return {};
  SmallVector<Value> operands(sources);
  operands.push_back(n.cast(indices, n.b.getI64Type()));
  return callHost(
      n, "string_pick", operands,
      {n.type(dimsOf(indices), gr::StringType::get(n.importer.context))})[0];
}

//===----------------------------------------------------------------------===//
// Movement
//===----------------------------------------------------------------------===//

namespace {
/// Sources of strings, and tensors of indices in their place.
class Movement {
public:
  explicit Movement(Node &n) : n(n), total(n.number(0)) {}

  /// The indices of one more source's elements.
  Tensor *indices(Tensor *tensor) {
    if (!hasStrings(tensor))
      return tensor;
    if (tensor->composite) {
      Composite composite{tensor->composite->kind, {}};
      for (Tensor *element : tensor->composite->elements)
        composite.elements.push_back(indices(element));
      return n.importer.newComposite(tensor->name, tensor->loc,
                                     std::move(composite));
    }
    Value value = n.importer.materialize(*tensor);
    return value ? n.wrap(indices(value)) : tensor;
  }
  Value indices(Value source) {
    Dims dims = dimsOf(source);
    AffineExpr count = n.number(1);
    for (AffineExpr dim : dims)
      count = count * dim;
    count = gr::simplify(count);
    Value index = n.iota({count}, n.b.getI64Type(), 0);
    if (!gr::isConstant(total, 0) && index)
      index = n.add(index, sizeOf(total));
    total = gr::simplify(total + count);
    sources.push_back(source);
    return n.reshape(index, dims);
  }
  /// Strings for a result that has indices.
  Tensor *strings(Tensor *result) {
    if (!result || result->poisoned)
      return result;
    if (result->composite) {
      Composite composite{result->composite->kind, {}};
      for (Tensor *element : result->composite->elements)
        composite.elements.push_back(strings(element));
      return n.importer.newComposite(result->name, result->loc,
                                     std::move(composite));
    }
    Value picked = pickStrings(n, sources, n.importer.materialize(*result));
    if (!picked)
      return nullptr;
    picked.getDefiningOp()->setLoc(result->loc);
    Tensor *tensor = n.importer.newTensor(result->name, result->loc);
    tensor->value = picked;
    tensor->element = elementOf(picked);
    tensor->dims = dimsOf(picked);
    return tensor;
  }

private:
  Value sizeOf(AffineExpr expr) {
    if (auto constant = gr::constantOf(expr))
      return n.integerScalar(*constant, n.b.getI64Type());
    auto type = RankedTensorType::get({1}, n.b.getI64Type());
    Value value = gr::DimensionsOp::create(
        n.b, n.loc, type,
        AffineMapAttr::get(gr::makeMap(Dims{expr}, n.importer.context)));
    return n.reshape(value, {});
  }

  Node &n;
  AffineExpr total;
  SmallVector<Value> sources;
};
} // namespace

/// What fills a place that no element comes to, as an input of the node.
static void fillInput(Node &n, unsigned i) {
  if (n.has(i))
    return;
  n.inputs().resize(std::max<size_t>(n.numInputs(), i + 1));
  n.inputs()[i] = n.wrap(stringConstant(n.b, n.loc, {StringRef()}, {}));
}

static void move(Node &n, OperatorFunction function) {
  if (n.proto.op_type() == "Pad" && n.version >= 11)
    fillInput(n, 2);
  Movement movement(n);
  for (Tensor *&tensor : n.inputs())
    tensor = movement.indices(tensor);
  if (n.failed())
    return;
  function(n);
  for (unsigned i = 0; i < n.numOutputs() && !n.failed(); ++i)
    n.set(i, movement.strings(n.result(i)));
}

//===----------------------------------------------------------------------===//
// Comparison
//===----------------------------------------------------------------------===//

/// Numbers that are equal and ordered as the strings of both are.
static SmallVector<Value> ranks(Node &n, ValueRange strings) {
  SmallVector<Type> types;
  for (Value value : strings)
    types.push_back(value ? Type(n.type(dimsOf(value), n.b.getI64Type()))
                          : Type());
  return callHost(n, "string_rank", strings, types);
}

static void equal(Node &n, OperatorFunction function) {
  Value x = n.operand(0), y = n.operand(1);
  if (!x || !y ||
      !n.require(isString(elementOf(x)) && isString(elementOf(y)),
                 "one input has strings, expected both to have them"))
    return;
  SmallVector<Value> numbers = ranks(n, {x, y});
  if (!numbers[0])
    return;
  n.inputs()[0] = n.wrap(numbers[0]);
  n.inputs()[1] = n.wrap(numbers[1]);
  function(n);
}

/// Over ranks, which are in the order of the strings; the values are the
/// strings of the ranks that are left.
static void unique(Node &n, OperatorFunction function) {
  Value x = n.operand(0);
  Value rank = x ? ranks(n, {x})[0] : Value();
  if (!rank)
    return;
  n.inputs()[0] = n.wrap(rank);
  function(n);
  if (n.failed() || !n.result(0) || n.result(0)->poisoned)
    return;
  Value left = n.importer.materialize(*n.result(0));
  if (left)
    n.set(0, callHost(n, "string_unrank", {x, left},
                      {n.type(dimsOf(left), elementOf(x))})[0]);
}

//===----------------------------------------------------------------------===//
// Cast
//===----------------------------------------------------------------------===//

Value aicc::onnx::castStrings(Node &n, Value x, Type element) {
  if (!x || !element)
    return {};
  if (elementOf(x) == element)
    return x;
  if (!isString(elementOf(x)) && !isString(element))
    return n.cast(x, element);
  auto as = [&](Type type) { return n.type(dimsOf(x), type); };
  if (isString(element)) {
    Type from = elementOf(x);
    auto integer = dyn_cast<IntegerType>(from);
    if (isa<ComplexType>(from)) {
      n.unsupported("complex numbers as strings");
      return {};
    }
    // Narrow types are written as the numbers they are.
    if (integer && integer.getWidth() < 8 && integer.getWidth() > 1)
      x = n.cast(x, n.b.getI64Type());
    else if (isa<FloatType>(from) && from.getIntOrFloatBitWidth() <= 8)
      x = n.cast(x, n.b.getF32Type());
    return callHost(n, "number_to_string", {x}, {as(element)})[0];
  }
  // Read as a wide type, then like any other cast.
  Type wide;
  if (isa<FloatType>(element))
    wide = element.isF64() ? element : Type(n.b.getF32Type());
  else if (element.isInteger(1))
    wide = n.b.getF64Type();
  else if (isa<IntegerType>(element))
    wide = element.isUnsignedInteger(64) ? element : Type(n.b.getI64Type());
  else {
    n.unsupported("strings as " + n.print(element));
    return {};
  }
  Value number = callHost(n, "string_to_number", {x}, {as(wide)})[0];
  return n.cast(number, element);
}

//===----------------------------------------------------------------------===//
// Nodes
//===----------------------------------------------------------------------===//

bool aicc::onnx::runOverStrings(Node &n, OperatorFunction function) {
  if (!normalDomain(n.proto.domain()).empty())
    return false;
  StringRef op = n.proto.op_type();
  bool any = llvm::any_of(n.inputs(), hasStrings);
  if (op == "Cast" || op == "CastLike") {
    Type to;
    if (op == "CastLike")
      to = n.has(1) ? n.input(1)->element : Type();
    else if (n.version >= 6)
      to = elementType(n.importer.context,
                       static_cast<int32_t>(n.integer("to", 0)));
    if (!to || (!isString(to) && !hasStrings(n.input(0))))
      return false;
    n.set(0, castStrings(n, n.operand(0), to));
    return true;
  }
  if (!any)
    return false;
  static const llvm::StringSet<> moving = {"Compress",
                                           "Concat",
                                           "CenterCropPad",
                                           "DepthToSpace",
                                           "Expand",
                                           "Gather",
                                           "GatherElements",
                                           "GatherND",
                                           "OneHot",
                                           "Pad",
                                           "Resize",
                                           "ReverseSequence",
                                           "Scatter",
                                           "ScatterElements",
                                           "ScatterND",
                                           "Slice",
                                           "SpaceToDepth",
                                           "Split",
                                           "Tile",
                                           "Transpose",
                                           "Upsample",
                                           "Where",
                                           "SplitToSequence",
                                           "ConcatFromSequence"};
  // These see no elements, or take the strings as they are.
  static const llvm::StringSet<> passing = {"Constant",
                                            "Flatten",
                                            "Identity",
                                            "If",
                                            "Loop",
                                            "Optional",
                                            "OptionalGetElement",
                                            "OptionalHasElement",
                                            "RegexFullMatch",
                                            "Reshape",
                                            "Scan",
                                            "SequenceAt",
                                            "SequenceConstruct",
                                            "SequenceErase",
                                            "SequenceInsert",
                                            "SequenceLength",
                                            "SequenceMap",
                                            "Shape",
                                            "Size",
                                            "Squeeze",
                                            "StringConcat",
                                            "StringNormalizer",
                                            "StringSplit",
                                            "TfIdfVectorizer",
                                            "Unsqueeze"};
  if (op == "Equal")
    equal(n, function);
  else if (op == "Unique")
    unique(n, function);
  else if (moving.contains(op) || (op == "SequenceAt" && !n.known(1)))
    move(n, function);
  else if (passing.contains(op))
    return false;
  else
    n.fail("an input has strings, which it doesn't take");
  return true;
}
