//===- OperatorsLearning.cpp - preparation of features, linear models ---===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/Learning.h"
#include "frontends/onnx/Strings.h"

#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/StringExtras.h"

#include <cmath>
#include <cstring>
#include <limits>

using namespace mlir;
using namespace aicc::onnx;
using llvm::StringRef;
using llvm::Twine;
namespace gr = aicc::graph;

//===----------------------------------------------------------------------===//
// What classifiers share
//===----------------------------------------------------------------------===//

PostTransform aicc::onnx::readPostTransform(Node &n) {
  std::string name = n.string("post_transform", "NONE");
  static constexpr const char *names[] = {"NONE", "SOFTMAX", "LOGISTIC",
                                          "SOFTMAX_ZERO", "PROBIT"};
  for (auto [i, known] : llvm::enumerate(names))
    if (name == known)
      return static_cast<PostTransform>(i);
  n.fail("post_transform is \"" + name +
         "\", expected NONE, SOFTMAX, LOGISTIC, SOFTMAX_ZERO or PROBIT");
  return PostTransform::none;
}

/// exp(x) where x is not zero, zero elsewhere, over the sum.
static Value softmaxZero(Node &n, Value x) {
  if (!x)
    return {};
  Type real = elementOf(x);
  Value best = n.reduce(x, gr::ReduceKind::maximum, {1}, true);
  // What is smaller than this counts as zero.
  constexpr double small = 1e-7;
  Value present = n.compare(gr::Comparison::greater, n.unary<gr::AbsOp>(x),
                            n.scalar(small, real));
  Value e =
      n.select(present, n.unary<gr::ExpOp>(n.subtract(x, best)),
               n.multiply(x, n.unary<gr::ExpOp>(n.unary<gr::NegateOp>(best))));
  Value sum = n.reduce(e, gr::ReduceKind::sum, {1}, true);
  Value none = n.compare(gr::Comparison::equal, sum, n.scalar(0, real));
  Value y = n.divide(e, n.select(none, n.scalar(1, real), sum));
  return n.select(none, n.scalar(0.5, real), y);
}

/// sqrt(2) times the inverse of erf at 2 x - 1, by Winitzki's formula, which
/// is what the operators are defined with.
static Value probit(Node &n, Value x) {
  if (!x)
    return {};
  Type real = elementOf(x);
  Value z = n.affine(x, 2, -1);
  Value sign =
      n.select(n.compare(gr::Comparison::less, z, n.scalar(0, real)),
               n.scalar(-std::sqrt(2.0), real), n.scalar(std::sqrt(2.0), real));
  Value rest = n.multiply(n.affine(z, -1, 1), n.affine(z, 1, 1));
  constexpr double a = 0.147;
  Value log = n.unary<gr::LogOp>(rest);
  Value v = n.affine(log, 0.5, 2 / (M_PI * a));
  Value root =
      n.unary<gr::SqrtOp>(n.subtract(n.multiply(v, v), n.multiply(log, 1 / a)));
  return n.multiply(sign, n.unary<gr::SqrtOp>(n.subtract(root, v)));
}

Value aicc::onnx::applyPostTransform(Node &n, PostTransform transform,
                                     Value scores) {
  if (!scores)
    return {};
  switch (transform) {
  case PostTransform::none:
    return scores;
  case PostTransform::softmax:
    return n.softmax(scores, 1);
  case PostTransform::logistic:
    return n.unary<gr::SigmoidOp>(scores);
  case PostTransform::softmaxZero:
    return softmaxZero(n, scores);
  case PostTransform::probit:
    return probit(n, scores);
  }
  return {};
}

SmallVector<double> aicc::onnx::tensorReals(Node &n, StringRef name) {
  const proto::TensorProto *tensor = n.tensor(name);
  if (!tensor)
    return {};
  std::string error;
  Payload payload;
  if (!checkTensor(*tensor, n.importer.options.maxElements, error) ||
      !decode(*n.importer.model, *tensor, payload, error)) {
    n.fail("attribute \"" + name + "\": " + error);
    return {};
  }
  SmallVector<double> values;
  const char *data = payload.bytes.data();
  auto each = [&](auto zero, auto convert) {
    using T = decltype(zero);
    for (size_t i = 0; i < payload.bytes.size() / sizeof(T); ++i) {
      T value;
      std::memcpy(&value, data + i * sizeof(T), sizeof(T));
      values.push_back(convert(value));
    }
  };
  auto plain = [](auto value) { return double(value); };
  auto narrow = [](const llvm::fltSemantics &semantics) {
    return [&semantics](uint16_t bits) {
      llvm::APFloat value(semantics, llvm::APInt(16, bits));
      bool lost;
      value.convert(llvm::APFloat::IEEEdouble(),
                    llvm::APFloat::rmNearestTiesToEven, &lost);
      return value.convertToDouble();
    };
  };
  switch (tensor->data_type()) {
  case FLOAT:
    each(float(), plain);
    break;
  case DOUBLE:
    each(double(), plain);
    break;
  case FLOAT16:
    each(uint16_t(), narrow(llvm::APFloat::IEEEhalf()));
    break;
  case BFLOAT16:
    each(uint16_t(), narrow(llvm::APFloat::BFloat()));
    break;
  case UINT8:
    each(uint8_t(), plain);
    break;
  case INT32:
    each(int32_t(), plain);
    break;
  case INT64:
    each(int64_t(), plain);
    break;
  default:
    n.fail("attribute \"" + name + "\" has element type " +
           dataTypeName(tensor->data_type()) + ", expected a number");
  }
  return values;
}

SmallVector<double> aicc::onnx::realsOf(Node &n, StringRef name, Type *type) {
  std::string other = (name + "_as_tensor").str();
  if (!n.hasAttribute(other))
    return n.reals(name);
  const proto::TensorProto *tensor = n.tensor(other);
  if (tensor && tensor->data_type() == DOUBLE && type)
    *type = n.b.getF64Type();
  return tensorReals(n, other);
}

size_t aicc::onnx::countLabels(Node &n, StringRef integers, StringRef strings) {
  if (n.hasAttribute(integers))
    return n.integers(integers).size();
  auto *list = n.attribute(strings, 8);
  return list ? list->strings_size() : 0;
}

Value aicc::onnx::labelsAt(Node &n, Value indices, StringRef integers,
                           StringRef strings) {
  if (!indices)
    return {};
  if (!n.hasAttribute(integers)) {
    auto *list = n.attribute(strings, 8);
    if (!list || n.failed())
      return {};
    std::vector<StringRef> texts(list->strings().begin(),
                                 list->strings().end());
    return pickStrings(
        n, {stringConstant(n.b, n.loc, texts, {int64_t(texts.size())})},
        indices);
  }
  Value table = n.constant(n.integers(integers), n.b.getI64Type());
  RankedTensorType type = n.type(dimsOf(indices), n.b.getI64Type());
  if (!table || !type)
    return {};
  return gr::GatherOp::create(n.b, n.loc, type, table, indices,
                              n.b.getI64IntegerAttr(0));
}

Value aicc::onnx::largest(Node &n, Value scores) {
  if (!scores)
    return {};
  RankedTensorType type = n.type({dimsOf(scores)[0]}, n.b.getI64Type());
  if (!type)
    return {};
  return gr::ArgReduceOp::create(
      n.b, n.loc, type, scores,
      gr::ReduceKindAttr::get(n.b.getContext(), gr::ReduceKind::maximum),
      n.b.getI64IntegerAttr(1), UnitAttr());
}

/// Samples [N, F] as floats; a vector is one sample.
static Value samplesOf(Node &n) {
  Value x = n.operand(0);
  if (x && rankOf(x) == 1)
    x = n.reshape(x, Dims{n.number(1), dimsOf(x)[0]});
  if (!x || !n.require(rankOf(x) == 2, "the operand has " + Twine(rankOf(x)) +
                                           " dimensions, expected 1 or 2"))
    return {};
  return isa<FloatType>(elementOf(x)) ? x : n.cast(x, n.b.getF32Type());
}

/// A matrix of constants with `rows` rows.
static Value matrixOf(Node &n, ArrayRef<double> values, int64_t rows,
                      StringRef what, Type element) {
  if (!n.require(rows > 0 && !values.empty() && values.size() % rows == 0,
                 what + " has " + Twine(values.size()) +
                     " values, expected a multiple of " + Twine(rows)))
    return {};
  return n.constantOfShape({rows, int64_t(values.size()) / rows}, values,
                           element);
}

//===----------------------------------------------------------------------===//
// Linear models
//===----------------------------------------------------------------------===//

/// x times the coefficients of each target, plus intercepts.
static Value linearScores(Node &n, Value x, int64_t targets) {
  if (!x)
    return {};
  Type element = elementOf(x);
  Value weights =
      matrixOf(n, n.reals("coefficients"), targets, "coefficients", element);
  Value y = n.dot(x, weights, {}, {}, {1}, {1});
  SmallVector<double> offsets = n.reals("intercepts");
  if (offsets.empty() || !y)
    return y;
  if (!n.require(int64_t(offsets.size()) == targets,
                 "intercepts has " + Twine(offsets.size()) +
                     " values, expected " + Twine(targets)))
    return {};
  return n.add(y, n.constant(offsets, element));
}

static void linearRegressor(Node &n) {
  Value y = linearScores(n, samplesOf(n), n.integer("targets", 1));
  y = applyPostTransform(n, readPostTransform(n), y);
  n.set(0, n.cast(y, n.b.getF32Type()));
}

static void linearClassifier(Node &n) {
  StringRef integers = "classlabels_ints", strings = "classlabels_strings";
  Value x = samplesOf(n);
  PostTransform post = readPostTransform(n);
  if (!x)
    return;
  auto features = gr::constantOf(dimsOf(x)[1]);
  size_t labels = countLabels(n, integers, strings);
  size_t count = n.reals("coefficients").size();
  size_t offsets = n.reals("intercepts").size();
  // The number of targets is not stated.
  size_t targets = offsets                     ? offsets
                   : features && *features > 0 ? count / *features
                   : labels > 2                ? labels
                                               : 1;
  Value scores = linearScores(n, x, targets);
  if (!scores)
    return;
  Type real = elementOf(scores), index = n.b.getI64Type();
  Value z = scores;
  if (targets == 1) {
    Value yes = n.compare(gr::Comparison::greater, scores, n.scalar(0, real));
    yes = n.cast(n.reshape(yes, Dims{dimsOf(x)[0]}), index);
    n.set(0, labels == 2 ? labelsAt(n, yes, integers, strings) : yes);
    if (labels == 2) {
      // One score is the second class's; the first gets the rest.
      bool odds = post == PostTransform::logistic;
      Value rest =
          odds ? n.unary<gr::NegateOp>(scores) : n.affine(scores, -1, 1);
      z = n.concatenate({rest, scores}, 1);
      if (odds || post == PostTransform::probit)
        z = applyPostTransform(n, post, z);
      return n.set(1, n.cast(z, n.b.getF32Type()));
    }
  } else {
    if (!n.require(labels == targets, "it has " + Twine(labels) +
                                          " labels, expected " +
                                          Twine(targets)))
      return;
    n.set(0, labelsAt(n, largest(n, scores), integers, strings));
  }
  n.set(1, n.cast(applyPostTransform(n, post, z), n.b.getF32Type()));
}

//===----------------------------------------------------------------------===//
// Preparation of features
//===----------------------------------------------------------------------===//

static void scaler(Node &n) {
  Value x = n.operand(0);
  if (!x || !n.require(rankOf(x) >= 1, "the operand is a scalar"))
    return;
  if (!isa<FloatType>(elementOf(x)))
    x = n.cast(x, n.b.getF32Type());
  auto factors = [&](StringRef name) -> Value {
    SmallVector<double> values = n.reals(name);
    Value v = n.constant(values, elementOf(x));
    return values.size() == 1 ? n.reshape(v, {}) : v;
  };
  for (const char *name : {"offset", "scale"}) {
    if (!n.hasAttribute(name))
      continue;
    Value v = factors(name);
    x = StringRef(name) == "offset" ? n.subtract(x, v) : n.multiply(x, v);
  }
  n.set(0, n.cast(x, n.b.getF32Type()));
}

static void normalizer(Node &n) {
  Value x = n.operand(0);
  std::string norm = n.string("norm", "MAX");
  if (!x ||
      !n.require(rankOf(x) == 1 || rankOf(x) == 2,
                 "the operand has " + Twine(rankOf(x)) +
                     " dimensions, expected 1 or 2") ||
      !n.require(norm == "MAX" || norm == "L1" || norm == "L2",
                 "norm is \"" + norm + "\", expected MAX, L1 or L2"))
    return;
  if (!isa<FloatType>(elementOf(x)))
    x = n.cast(x, n.b.getF32Type());
  Ints axis = {rankOf(x) - 1};
  Value size;
  if (norm == "MAX")
    size = n.reduce(x, gr::ReduceKind::maximum, axis, true);
  else if (norm == "L1")
    size = n.reduce(n.unary<gr::AbsOp>(x), gr::ReduceKind::sum, axis, true);
  else
    size = n.unary<gr::SqrtOp>(
        n.reduce(n.multiply(x, x), gr::ReduceKind::sum, axis, true));
  if (!size)
    return;
  Value zero =
      n.compare(gr::Comparison::equal, size, n.scalar(0, elementOf(size)));
  size = n.select(zero, n.scalar(1, elementOf(size)), size);
  n.set(0, n.cast(n.divide(x, size), n.b.getF32Type()));
}

static void binarizer(Node &n) {
  Value x = n.operand(0);
  if (!x)
    return;
  Type element = elementOf(x);
  // An integer is compared as it is with a threshold that may be none.
  Type compared = isa<FloatType>(element) ? element : Type(n.b.getF64Type());
  Value above = n.compare(gr::Comparison::greater, n.cast(x, compared),
                          n.scalar(n.real("threshold", 0), compared));
  n.set(0, n.cast(above, element));
}

static void imputer(Node &n) {
  Value x = n.operand(0);
  if (!x || !n.require(rankOf(x) >= 1, "the operand is a scalar"))
    return;
  Type element = elementOf(x);
  Value filler, missing;
  size_t count;
  if (isa<FloatType>(element)) {
    SmallVector<double> values = n.reals("imputed_value_floats");
    count = values.size();
    filler = n.constant(values, element);
    double replaced = n.real("replaced_value_float", 0);
    if (std::isnan(replaced))
      missing = gr::IsNanOp::create(
          n.b, n.loc, gr::withElement(tensorType(x), n.b.getI1Type()), x);
    else
      missing =
          n.compare(gr::Comparison::equal, x, n.scalar(replaced, element));
  } else {
    Ints values = n.integers("imputed_value_int64s");
    count = values.size();
    filler = n.constant(values, element);
    missing = n.compare(
        gr::Comparison::equal, x,
        n.integerScalar(n.integer("replaced_value_int64", 0), element));
  }
  if (!n.require(count > 0,
                 "it has no value to impute for " + n.print(element)))
    return;
  if (count == 1)
    filler = n.reshape(filler, {});
  else if (!n.requireEqual(dimsOf(x).back(), n.number(count),
                           "the number of features"))
    return;
  n.set(0, n.select(missing, filler, x));
}

static void arrayFeatureExtractor(Node &n) {
  Value x = n.operand(0), at = n.operand(1);
  if (!x || !at || !n.require(rankOf(x) >= 1, "the operand is a scalar") ||
      !n.require(isa<IntegerType>(elementOf(at)),
                 "the indices have element type " + n.print(elementOf(at)) +
                     ", expected int64"))
    return;
  AffineExpr count = gr::numElements(tensorType(at));
  Value flat = n.reshape(at, Dims{count});
  Dims dims = dimsOf(x);
  dims.back() = count;
  RankedTensorType type = n.type(dims, elementOf(x));
  if (!type || !flat)
    return;
  Value y = gr::GatherOp::create(n.b, n.loc, type, x, flat,
                                 n.b.getI64IntegerAttr(rankOf(x) - 1));
  // A vector is one sample.
  n.set(0, rankOf(x) == 1 ? n.reshape(y, Dims{n.number(1), count}) : y);
}

static void featureVectorizer(Node &n) {
  Ints sizes = n.integers("inputdimensions");
  if (!n.require(n.numInputs() > 0, "it has no inputs, expected at least 1") ||
      !n.require(sizes.empty() || sizes.size() == n.numInputs(),
                 "inputdimensions has " + Twine(sizes.size()) +
                     " values, expected " + Twine(n.numInputs())))
    return;
  SmallVector<Value> parts;
  for (unsigned i = 0; i < n.numInputs(); ++i) {
    Value x = n.operand(i);
    if (x && rankOf(x) == 1)
      x = n.reshape(x, Dims{n.number(1), dimsOf(x)[0]});
    if (!x || !n.require(rankOf(x) == 2, "input " + Twine(i) + " has " +
                                             Twine(rankOf(x)) +
                                             " dimensions, expected 1 or 2"))
      return;
    // Cut, or filled with zeros, to the size that is stated.
    Dims d = dimsOf(x);
    if (!sizes.empty() && !gr::isConstant(d[1], sizes[i])) {
      auto have = gr::constantOf(d[1]);
      if (!n.require(sizes[i] >= 0, "inputdimensions has a negative value"))
        return;
      if (!have)
        return n.unsupported("inputdimensions beside a dynamic dimension");
      if (*have > sizes[i])
        x = n.sliceAxis(x, 1, n.number(0), n.number(sizes[i]));
      else
        x = n.concatenate(
            {x,
             n.full(0, n.broadcastTo(n.scalar(0, elementOf(x)),
                                     Dims{d[0], n.number(sizes[i] - *have)}))},
            1);
    }
    parts.push_back(n.cast(x, n.b.getF32Type()));
  }
  n.set(0, n.concatenate(parts, 1));
}

/// Without `zeros` an unknown category is an error, which a result cannot be:
/// it gives zeros too.
static void oneHotEncoder(Node &n) {
  Value x = n.operand(0);
  Ints categories = n.integers("cats_int64s");
  if (!x)
    return;
  Type index = n.b.getI64Type();
  if (auto *list = n.attribute("cats_strings", 8)) {
    if (!n.require(isString(elementOf(x)) && categories.empty(),
                   "cats_strings do not fit the input's element type " +
                       n.print(elementOf(x)) + " or other categories"))
      return;
    llvm::json::Array keys;
    for (const std::string &text : list->strings()) {
      categories.push_back(int64_t(categories.size()));
      keys.push_back(optionText(text));
    }
    x = callHost(n, "string_lookup", {x}, {n.type(dimsOf(x), index)},
                 llvm::json::Object{{"keys", std::move(keys)}})[0];
  }
  if (!x || !n.require(!categories.empty(), "it has no categories"))
    return;
  Dims dims = dimsOf(x);
  dims.push_back(n.number(1));
  Value hit =
      n.compare(gr::Comparison::equal, n.reshape(n.cast(x, index), dims),
                n.constant(categories, index));
  n.set(0, n.cast(hit, n.b.getF32Type()));
}

//===----------------------------------------------------------------------===//
// Support vectors
//===----------------------------------------------------------------------===//

/// The kernel of each sample [N, F] and vector [V, F].
static Value kernelOf(Node &n, Value x, Value vectors, StringRef kind) {
  if (!x || !vectors ||
      !n.requireEqual(dimsOf(x)[1], dimsOf(vectors)[1],
                      "the number of features"))
    return {};
  SmallVector<double> params = n.reals("kernel_params");
  if (!n.require(params.empty() || params.size() == 3,
                 "kernel_params has " + Twine(params.size()) +
                     " values, expected 3"))
    return {};
  params.resize(3);
  if (kind == "RBF") {
    Dims a = {dimsOf(x)[0], n.number(1), dimsOf(x)[1]};
    Value d = n.subtract(n.reshape(x, a), vectors);
    Value sum = n.reduce(n.multiply(d, d), gr::ReduceKind::sum, {2}, false);
    return n.unary<gr::ExpOp>(n.multiply(sum, -params[0]));
  }
  Value y = n.dot(x, vectors, {}, {}, {1}, {1});
  if (kind == "LINEAR")
    return y;
  y = n.affine(y, params[0], params[1]);
  if (kind == "SIGMOID")
    return n.unary<gr::TanhOp>(y);
  if (!n.require(kind == "POLY", "kernel_type is \"" + kind +
                                     "\", expected LINEAR, POLY, RBF or "
                                     "SIGMOID"))
    return {};
  constexpr double mostFactors = 16;
  double degree = params[2];
  if (degree != std::trunc(degree) || degree < 1 || degree > mostFactors)
    return y ? n.binary<gr::PowerOp>(y, n.scalar(degree, elementOf(y)))
             : Value();
  Value power = y;
  for (int i = 1; i < degree; ++i)
    power = n.multiply(power, y);
  return power;
}

static void supportRegressor(Node &n) {
  Value x = samplesOf(n);
  SmallVector<double> coefficients = n.reals("coefficients"),
                      rho = n.reals("rho"),
                      vectors = n.reals("support_vectors");
  PostTransform post = readPostTransform(n);
  int64_t count = n.integer("n_supports", 0);
  if (!x || !n.require(!rho.empty(), "rho is empty") ||
      !n.require(!coefficients.empty(), "coefficients is empty") ||
      !n.require(count >= 0, "n_supports is negative"))
    return;
  Type real = elementOf(x);
  Value y;
  if (count > 0) {
    if (!n.require(int64_t(coefficients.size()) == count,
                   "coefficients has " + Twine(coefficients.size()) +
                       " values, expected " + Twine(count)))
      return;
    y = kernelOf(n, x, matrixOf(n, vectors, count, "support_vectors", real),
                 n.string("kernel_type", "LINEAR"));
  } else {
    y = x;
  }
  y = n.dot(y, matrixOf(n, coefficients, 1, "coefficients", real), {}, {}, {1},
            {1});
  y = n.add(y, rho[0]);
  if (n.integer("one_class", 0) && y) {
    Value inside = n.compare(gr::Comparison::greater, y, n.scalar(0, real));
    y = n.select(inside, n.full(1, y), n.full(-1, y));
  }
  y = applyPostTransform(n, post, y);
  n.set(0, n.cast(y, n.b.getF32Type()));
}

/// Probabilities [N, k] of pairwise ones r [N, k, k], by Wu, Lin and Weng's
/// second method as LIBSVM iterates it: at most max(100, k) rounds, in each of
/// which every class is improved once, until the error is small.
static Value coupled(Node &n, Value r, int64_t k) {
  if (!r)
    return {};
  Type real = elementOf(r), index = n.b.getI64Type();
  AffineExpr rows = dimsOf(r)[0], one = n.number(1), size = n.number(k);
  // Q[t, t] = sum of r[j, t]^2, Q[t, j] = -r[j, t] r[t, j].
  Value other = n.transpose(r, {0, 2, 1});
  Dims grid = {size, size};
  Value diagonal = n.compare(gr::Comparison::equal, n.iota(grid, index, 0),
                             n.iota(grid, index, 1));
  Value none = n.scalar(0, real);
  Value squares = n.select(diagonal, none, n.multiply(other, other));
  Value sums = n.reduce(squares, gr::ReduceKind::sum, {2}, true);
  Value q =
      n.select(diagonal, sums, n.unary<gr::NegateOp>(n.multiply(other, r)));
  Value p = n.broadcastTo(n.scalar(1 / double(k), real), Dims{rows, size});
  Value zeros = n.broadcastTo(none, Dims{rows, size});
  Value active = n.broadcastTo(n.scalar(1, real), Dims{rows, one});
  Value energy = n.broadcastTo(none, Dims{rows, one});
  double enough = 0.005 / double(k);
  int64_t rounds = std::max<int64_t>(100, k);
  SmallVector<Value> last = n.repeat(
      n.number(rounds * k), {p, zeros, energy, active},
      [&](AffineExpr step, ArrayRef<Value> carried) {
        Value p = carried[0], active = carried[3];
        AffineExpr t = step % k;
        Value now = gr::DimensionsOp::create(
            n.b, n.loc, RankedTensorType::get({1}, index),
            AffineMapAttr::get(
                gr::makeMap(ArrayRef<AffineExpr>{t}, n.importer.context)));
        Value at = n.reshape(now, {});
        Value fresh =
            n.compare(gr::Comparison::equal, at, n.integerScalar(0, index));
        // A round begins with exact sums, and ends a row that is good enough.
        Value qp = n.dot(q, p, {0}, {0}, {2}, {1});
        Value pqp = n.reduce(n.multiply(p, qp), gr::ReduceKind::sum, {1}, true);
        Value error = n.reduce(n.unary<gr::AbsOp>(n.subtract(qp, pqp)),
                               gr::ReduceKind::maximum, {1}, true);
        Value going = n.cast(n.compare(gr::Comparison::greater_equal, error,
                                       n.scalar(enough, real)),
                             real);
        active = n.select(fresh, n.multiply(active, going), active);
        qp = n.select(fresh, qp, carried[1]);
        pqp = n.select(fresh, pqp, carried[2]);
        Value row = n.reshape(n.sliceAxis(q, 1, t, one), Dims{rows, size});
        Value own = n.sliceAxis(row, 1, t, one);
        Value qpt = n.sliceAxis(qp, 1, t, one);
        Value diff = n.divide(n.subtract(pqp, qpt), own);
        Value scale = n.affine(diff, 1, 1);
        Value gain = n.add(n.multiply(diff, own), n.multiply(qpt, 2.0));
        Value nextPqp = n.divide(n.add(pqp, n.multiply(diff, gain)),
                                 n.multiply(scale, scale));
        Value here =
            n.compare(gr::Comparison::equal, n.iota({size}, index, 0), at);
        Value nextP = n.divide(n.add(p, n.select(here, diff, none)), scale);
        Value nextQp = n.divide(n.add(qp, n.multiply(diff, row)), scale);
        Value run =
            n.compare(gr::Comparison::greater, active, n.scalar(0, real));
        return SmallVector<Value>{n.select(run, nextP, p),
                                  n.select(run, nextQp, qp),
                                  n.select(run, nextPqp, pqp), active};
      });
  return last.empty() ? Value() : last[0];
}

static void supportClassifier(Node &n) {
  StringRef integers = "classlabels_ints", strings = "classlabels_strings";
  Value x = samplesOf(n);
  PostTransform post = readPostTransform(n);
  int64_t classes = std::max<int64_t>(1, countLabels(n, integers, strings));
  Ints perClass = n.integers("vectors_per_class");
  SmallVector<double> coefficients = n.reals("coefficients"),
                      rho = n.reals("rho"), a = n.reals("prob_a"),
                      b = n.reals("prob_b");
  int64_t vectors = 0;
  for (int64_t count : perClass)
    if (!n.require(count >= 0 && count < (1 << 24),
                   "vectors_per_class has " + Twine(count) +
                       ", expected at least 0"))
      return;
    else
      vectors += count;
  if (!x ||
      !n.require(!coefficients.empty() && !rho.empty(),
                 "coefficients or rho is empty") ||
      !n.require(classes < (1 << 12), "it has too many classes"))
    return;
  Type real = elementOf(x);
  std::string kind = n.string("kernel_type", "LINEAR");
  bool positive = llvm::all_of(coefficients, [](double c) { return c >= 0; });
  Value scores, votes;
  if (vectors == 0) {
    // A plane for each class.
    scores = kernelOf(
        n, x, matrixOf(n, coefficients, classes, "coefficients", real), kind);
    scores = n.add(scores, rho[0]);
  } else {
    int64_t pairs = classes * (classes - 1) / 2;
    if (!n.require(int64_t(perClass.size()) == classes && classes >= 2,
                   "vectors_per_class has " + Twine(perClass.size()) +
                       " values, expected " + Twine(classes)) ||
        !n.require(int64_t(coefficients.size()) == vectors * (classes - 1),
                   "coefficients has " + Twine(coefficients.size()) +
                       " values, expected " + Twine(vectors * (classes - 1))) ||
        !n.require(int64_t(rho.size()) == pairs,
                   "rho has " + Twine(rho.size()) + " values, expected " +
                       Twine(pairs)) ||
        !n.require(vectors * pairs < (int64_t(1) << 26),
                   "it has too many support vectors"))
      return;
    Value kernels = kernelOf(n, x,
                             matrixOf(n, n.reals("support_vectors"), vectors,
                                      "support_vectors", real),
                             kind);
    SmallVector<int64_t> starts = {0};
    for (int64_t count : perClass)
      starts.push_back(starts.back() + count);
    // One column of weights for each pair of classes, and who gets its vote.
    SmallVector<double> weights(vectors * pairs), wins(pairs * classes),
        lost(classes);
    int64_t pair = 0;
    for (int64_t i = 0; i < classes; ++i)
      for (int64_t j = i + 1; j < classes; ++j, ++pair) {
        for (int64_t v = starts[i]; v < starts[i + 1]; ++v)
          weights[v * pairs + pair] = coefficients[(j - 1) * vectors + v];
        for (int64_t v = starts[j]; v < starts[j + 1]; ++v)
          weights[v * pairs + pair] = coefficients[i * vectors + v];
        wins[pair * classes + i] = 1;
        wins[pair * classes + j] = -1;
        lost[j] += 1;
      }
    Value matrix = n.constantOfShape({vectors, pairs}, weights, real);
    scores =
        n.add(n.dot(kernels, matrix, {}, {}, {1}, {0}), n.constant(rho, real));
    if (!scores)
      return;
    Value won = n.cast(
        n.compare(gr::Comparison::greater, scores, n.scalar(0, real)), real);
    votes = n.add(n.dot(won, n.constantOfShape({pairs, classes}, wins, real),
                        {}, {}, {1}, {0}),
                  n.constant(lost, real));
  }
  bool probable = !a.empty() && vectors > 0;
  if (probable) {
    size_t pairs = rho.size();
    if (!n.require(a.size() == pairs && b.size() == pairs,
                   "prob_a and prob_b have " + Twine(a.size()) + " and " +
                       Twine(b.size()) + " values, expected " + Twine(pairs)))
      return;
    Value z =
        n.add(n.multiply(scores, n.constant(a, real)), n.constant(b, real));
    Value chance = n.unary<gr::SigmoidOp>(n.unary<gr::NegateOp>(z));
    constexpr double least = 1e-7;
    chance = n.minimum(n.maximum(chance, least), 1 - least);
    // r[i, j] of pair (i, j) is the chance, r[j, i] the rest.
    SmallVector<int64_t> place(classes * classes);
    SmallVector<double> sign(classes * classes), offset(classes * classes);
    int64_t pair = 0;
    for (int64_t i = 0; i < classes; ++i)
      for (int64_t j = i + 1; j < classes; ++j, ++pair) {
        place[i * classes + j] = place[j * classes + i] = pair;
        sign[i * classes + j] = 1;
        sign[j * classes + i] = -1;
        offset[j * classes + i] = 1;
      }
    AffineExpr rows = dimsOf(x)[0];
    RankedTensorType type = n.type({rows, n.number(place.size())}, real);
    if (!type || !chance)
      return;
    Value spread = gr::GatherOp::create(n.b, n.loc, type, chance,
                                        n.constant(place, n.b.getI32Type()),
                                        n.b.getI64IntegerAttr(1));
    spread = n.add(n.multiply(spread, n.constant(sign, real)),
                   n.constant(offset, real));
    scores = coupled(
        n, n.reshape(spread, Dims{rows, n.number(classes), n.number(classes)}),
        classes);
  }
  if (!scores)
    return;
  Value best = largest(n, votes ? votes : scores);
  Type index = n.b.getI64Type();
  size_t labels = countLabels(n, integers, strings);
  if (labels == 0) {
    n.set(0, best);
  } else if (labels == 1) {
    Value most =
        n.reduce(votes ? votes : scores, gr::ReduceKind::maximum, {1}, false);
    n.set(0, n.cast(n.compare(gr::Comparison::greater, most, n.scalar(0, real)),
                    index));
  } else if (labels == 2 && rho.size() == 1 && !probable && positive &&
             vectors > 0) {
    // Positive weights: the second class wins from one half on.
    Value most = n.reduce(votes, gr::ReduceKind::maximum, {1}, false);
    Value yes =
        n.compare(gr::Comparison::greater_equal, most, n.scalar(0.5, real));
    n.set(0, labelsAt(n, n.select(yes, n.integerScalar(1, index), best),
                      integers, strings));
  } else {
    n.set(0, labelsAt(n, best, integers, strings));
  }
  // One score of two classes is written as two.
  if (gr::isConstant(dimsOf(scores)[1], 1) && post != PostTransform::probit &&
      labels == 2)
    scores = n.concatenate({n.unary<gr::NegateOp>(scores), scores}, 1);
  n.set(1, n.cast(applyPostTransform(n, post, scores), n.b.getF32Type()));
}

llvm::ArrayRef<Operator> aicc::onnx::learningOperators() {
  static constexpr Operator table[] = {
      {"ai.onnx.ml", "LinearRegressor", 1, linearRegressor},
      {"ai.onnx.ml", "LinearClassifier", 1, linearClassifier},
      {"ai.onnx.ml", "SVMRegressor", 1, supportRegressor},
      {"ai.onnx.ml", "SVMClassifier", 1, supportClassifier},
      {"ai.onnx.ml", "Scaler", 1, scaler},
      {"ai.onnx.ml", "Normalizer", 1, normalizer},
      {"ai.onnx.ml", "Binarizer", 1, binarizer},
      {"ai.onnx.ml", "Imputer", 1, imputer},
      {"ai.onnx.ml", "ArrayFeatureExtractor", 1, arrayFeatureExtractor},
      {"ai.onnx.ml", "FeatureVectorizer", 1, featureVectorizer},
      {"ai.onnx.ml", "OneHotEncoder", 1, oneHotEncoder},
  };
  return table;
}
