//===- OperatorsProduct.cpp - matrix products and convolutions ----------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/Node.h"
#include "frontends/onnx/Windows.h"

#include "llvm/ADT/StringExtras.h"

#include <cmath>
#include <limits>

using namespace mlir;
using namespace aicc::onnx;
using llvm::StringRef;
using llvm::Twine;
namespace gr = aicc::graph;

static void matMul(Node &n) { n.set(0, n.matmul(n.operand(0), n.operand(1))); }

Value aicc::onnx::gemmOf(Node &n) {
  Value a = n.operand(0), bb = n.operand(1);
  if (!a || !bb)
    return {};
  if (!n.require(rankOf(a) == 2 && rankOf(bb) == 2,
                 "the factors have " + Twine(rankOf(a)) + " and " +
                     Twine(rankOf(bb)) + " dimensions, expected 2"))
    return {};
  bool ta = n.integer("transA", 0), tb = n.integer("transB", 0);
  Value y = n.dot(a, bb, {}, {}, {ta ? 0 : 1}, {tb ? 1 : 0});
  y = n.affine(y, n.real("alpha", 1), 0);
  double beta = n.real("beta", 1);
  if (n.has(2) && beta != 0 && y) {
    Value c = n.affine(n.operand(2), beta, 0);
    if (c && !n.require(rankOf(c) <= 2, "the addend has " + Twine(rankOf(c)) +
                                            " dimensions, expected at most 2"))
      return {};
    c = n.broadcastTo(c, y ? dimsOf(y) : Dims());
    y = n.add(y, c);
  }
  return y;
}

static void gemm(Node &n) { n.set(0, gemmOf(n)); }

/// The part of a convolution that all its forms share.
Value aicc::onnx::convolve(Node &n, Value x, Value filter) {
  if (!x || !filter || !n.sameElement(x, filter))
    return {};
  Dims in = dimsOf(x), by = dimsOf(filter);
  if (!n.require(in.size() >= 3 && in.size() == by.size(),
                 "operand and filter have " + Twine(in.size()) + " and " +
                     Twine(by.size()) +
                     " dimensions, expected the same, 3 at least"))
    return {};
  int64_t groups = n.integer("group", 1);
  Ints kernel;
  for (AffineExpr dim : ArrayRef(by).drop_front(2)) {
    auto size = gr::constantOf(dim);
    if (!size) {
      n.unsupported("a filter of dynamic size");
      return {};
    }
    kernel.push_back(*size);
  }
  if (!n.require(groups > 0 && groups < (int64_t(1) << 31),
                 "group is " + Twine(groups) + ", expected at least 1"))
    return {};
  if (n.hasAttribute("kernel_shape") &&
      !n.require(n.integers("kernel_shape") == kernel,
                 "kernel_shape differs from the filter's dimensions"))
    return {};
  auto filters = gr::constantOf(by[0]), depth = gr::constantOf(by[1]);
  if (!filters || !depth) {
    n.unsupported("a filter of dynamic size");
    return {};
  }
  if (!n.require(*filters % groups == 0, "group is " + Twine(groups) +
                                             ", expected a divisor of " +
                                             Twine(*filters) + " filters"))
    return {};
  if (!n.requireEqual(in[1], n.number(*depth) * groups, "the channels"))
    return {};
  auto w = readWindows(n, kernel);
  if (!w || !placeWindows(n, *w, ArrayRef(in).drop_front(2), false))
    return {};
  Dims dims = {in[0], by[0]};
  dims.append(w->sizes);
  RankedTensorType type = n.type(dims, elementOf(x));
  if (!type)
    return {};
  auto array = [&](const Ints &v) { return n.b.getDenseI64ArrayAttr(v); };
  return gr::ConvolutionOp::create(
      n.b, n.loc, type, x, filter, array(w->strides), array(w->low),
      array(w->high), array(w->dilations), n.b.getI64IntegerAttr(groups),
      UnitAttr(), n.b.getI64IntegerAttr(0), n.b.getI64IntegerAttr(0), TypeAttr());
}

static void conv(Node &n) {
  Value y = convolve(n, n.operand(0), n.operand(1));
  if (n.has(2) && y)
    y = n.add(y, n.broadcastAlong(n.operand(2), y, 1));
  n.set(0, y);
}

static void convTranspose(Node &n) {
  Value x = n.operand(0), filter = n.operand(1);
  if (!x || !filter || !n.sameElement(x, filter))
    return;
  Dims in = dimsOf(x), by = dimsOf(filter);
  if (!n.require(in.size() >= 3 && in.size() == by.size(),
                 "operand and filter have " + Twine(in.size()) + " and " +
                     Twine(by.size()) +
                     " dimensions, expected the same, 3 at least"))
    return;
  int64_t groups = n.integer("group", 1);
  size_t rank = in.size() - 2;
  Ints kernel;
  for (AffineExpr dim : ArrayRef(by).drop_front(2)) {
    auto size = gr::constantOf(dim);
    if (!size)
      return n.unsupported("a filter of dynamic size");
    kernel.push_back(*size);
  }
  auto perGroup = gr::constantOf(by[1]);
  auto channels = gr::constantOf(by[0]);
  if (!perGroup || !channels)
    return n.unsupported("a filter of dynamic size");
  if (!n.require(groups > 0 && groups < (int64_t(1) << 31) &&
                     *channels % groups == 0,
                 "group is " + Twine(groups) + ", expected a divisor of " +
                     Twine(*channels) + " channels") ||
      !n.requireEqual(in[1], by[0], "the channels"))
    return;
  auto w = readWindows(n, kernel);
  Ints extra = n.integers("output_padding", Ints(rank, 0));
  if (!w || !n.require(extra.size() == rank,
                       "output_padding has " + Twine(extra.size()) +
                           " values, expected " + Twine(rank)))
    return;
  for (int64_t value : extra)
    if (!n.require(value >= 0 && value < (1 << 24),
                   "output_padding is out of range"))
      return;
  std::string automatic = n.string("auto_pad", "NOTSET");
  bool upper = automatic == "SAME_UPPER";
  bool same = upper || automatic == "SAME_LOWER";
  if (!n.require(same || automatic == "NOTSET" || automatic == "VALID",
                 "auto_pad is \"" + automatic +
                     "\", expected NOTSET, VALID, SAME_UPPER or SAME_LOWER"))
    return;
  Ints asked = n.integers("output_shape");
  if (asked.size() == rank + 2)
    asked.erase(asked.begin(), asked.begin() + 2);
  if (!n.require(asked.empty() || asked.size() == rank,
                 "output_shape has " + Twine(asked.size()) +
                     " values, expected " + Twine(rank)))
    return;
  constexpr int64_t longest = int64_t(1) << 38; // times a stride it fits
  for (int64_t value : asked)
    if (!n.require(value >= 0 && value < longest,
                   "output_shape has " + Twine(value) +
                       ", expected at least 0 and less than 2^38"))
      return;
  Dims dims = {in[0], n.number(*perGroup * groups)};
  for (size_t i = 0; i < rank; ++i) {
    auto size = gr::constantOf(in[i + 2]);
    if (automatic == "VALID")
      w->low[i] = w->high[i] = 0;
    if (same || !asked.empty()) {
      // total = stride * (in - 1) + extra + span - out
      int64_t total = w->span(i) - w->strides[i] + extra[i];
      if (!asked.empty()) {
        if (!size)
          return n.unsupported("output_shape with a dynamic dimension");
        if (!n.require(*size < longest, "a dimension of " + Twine(*size) +
                                            " is too large for output_shape"))
          return;
        total += *size * w->strides[i] - asked[i];
      }
      // A negative total asks for elements that no input reaches.
      if (total < 0) {
        extra[i] -= total;
        total = 0;
      }
      w->low[i] = upper ? total / 2 : total - total / 2;
      w->high[i] = total - w->low[i];
      if (asked.size() && !same) {
        w->low[i] = total - total / 2;
        w->high[i] = total / 2;
      }
    }
    dims.push_back((in[i + 2] - 1) * w->strides[i] + w->span(i) - w->low[i] -
                   w->high[i] + extra[i]);
  }
  RankedTensorType type = n.type(dims, elementOf(x));
  if (!type)
    return;
  auto array = [&](const Ints &v) { return n.b.getDenseI64ArrayAttr(v); };
  Value y = gr::ConvolutionTransposeOp::create(
      n.b, n.loc, type, x, filter, array(w->strides), array(w->low),
      array(w->high), array(w->dilations), array(extra),
      n.b.getI64IntegerAttr(groups));
  if (n.has(2))
    y = n.add(y, n.broadcastAlong(n.operand(2), y, 1));
  n.set(0, y);
}

//===----------------------------------------------------------------------===//
// Einsum
//===----------------------------------------------------------------------===//

namespace {
/// An operand of a sum of products: a letter for each dimension. Dimensions
/// under an ellipsis get capital letters from the end of the alphabet of
/// unused codes.
struct Term {
  Value value;
  std::string labels;
};
} // namespace

/// Sums over labels for which `keep` is false.
static void dropLabels(Node &n, Term &term,
                       llvm::function_ref<bool(char)> keep) {
  Ints axes;
  std::string left;
  for (auto [i, c] : llvm::enumerate(term.labels))
    if (keep(c))
      left.push_back(c);
    else
      axes.push_back(i);
  if (axes.empty())
    return;
  term.value = n.reduce(term.value, gr::ReduceKind::sum, axes, false);
  term.labels = left;
}

/// A label that occurs twice stands for the diagonal: mask and sum.
static void takeDiagonals(Node &n, Term &term) {
  for (size_t i = 0; i < term.labels.size() && term.value; ++i) {
    size_t k = term.labels.find(term.labels[i], i + 1);
    if (k == std::string::npos)
      continue;
    Dims dims = dimsOf(term.value);
    if (!n.requireEqual(dims[i], dims[k], "a repeated label"))
      return;
    Type index = n.b.getI32Type();
    Value same = n.compare(gr::Comparison::equal, n.iota(dims, index, i),
                           n.iota(dims, index, k));
    term.value = n.select(same, term.value, n.full(0, term.value));
    term.value = n.reduce(term.value, gr::ReduceKind::sum, {int64_t(k)}, false);
    term.labels.erase(k, 1);
    --i;
  }
}

static Term contract(Node &n, Term a, Term b,
                     llvm::function_ref<bool(char)> needed) {
  Ints aBatch, bBatch, aOver, bOver;
  std::string labels, aFree, bFree;
  for (auto [i, c] : llvm::enumerate(a.labels)) {
    size_t k = b.labels.find(c);
    if (k == std::string::npos) {
      aFree.push_back(c);
      continue;
    }
    (needed(c) ? aBatch : aOver).push_back(i);
    (needed(c) ? bBatch : bOver).push_back(k);
    if (needed(c))
      labels.push_back(c);
  }
  for (char c : b.labels)
    if (a.labels.find(c) == std::string::npos)
      bFree.push_back(c);
  Value value = n.dot(a.value, b.value, aBatch, bBatch, aOver, bOver);
  return {value, labels + aFree + bFree};
}

static void einsum(Node &n) {
  std::string equation = n.string("equation", "");
  equation.erase(std::remove(equation.begin(), equation.end(), ' '),
                 equation.end());
  size_t arrow = equation.find("->");
  SmallVector<StringRef> parts;
  StringRef(equation).take_front(arrow).split(parts, ',');
  if (!n.require(n.numInputs() == parts.size() && !parts.empty(),
                 "equation \"" + equation + "\" has " + Twine(parts.size()) +
                     " terms, expected " + Twine(n.numInputs())))
    return;
  // Dimensions under an ellipsis are labelled from its end: digits 0, 1, ...
  constexpr size_t maxEllipsis = 10;
  size_t ellipsis = 0;
  SmallVector<Term> terms;
  std::map<char, AffineExpr> sizes;
  for (auto [i, part] : llvm::enumerate(parts)) {
    Term term{n.operand(i), {}};
    if (!term.value)
      return;
    size_t rank = rankOf(term.value), dots = part.find("...");
    std::string text = part.str();
    if (dots != StringRef::npos) {
      if (!n.require(rank + 3 >= text.size() &&
                         rank + 3 - text.size() <= maxEllipsis,
                     "term \"" + part + "\" does not fit " + Twine(rank) +
                         " dimensions"))
        return;
      size_t hidden = rank + 3 - text.size();
      ellipsis = std::max(ellipsis, hidden);
      std::string digits;
      for (size_t d = hidden; d-- > 0;)
        digits.push_back('0' + d);
      text.replace(dots, 3, digits);
    }
    if (!n.require(text.size() == rank, "term \"" + part + "\" does not fit " +
                                            Twine(rank) + " dimensions"))
      return;
    for (char c : text)
      if (!n.require(llvm::isAlnum(c), "equation \"" + equation +
                                           "\" has a label that is no letter"))
        return;
    term.labels = text;
    takeDiagonals(n, term);
    if (n.failed())
      return;
    for (auto [d, c] : llvm::enumerate(term.labels)) {
      AffineExpr size = dimsOf(term.value)[d];
      auto [it, fresh] = sizes.try_emplace(c, size);
      if (!fresh && gr::isConstant(it->second, 1))
        it->second = size;
    }
    terms.push_back(term);
  }
  std::string result;
  if (arrow != std::string::npos) {
    result = equation.substr(arrow + 2);
    size_t dots = result.find("...");
    std::string digits;
    for (size_t d = ellipsis; d-- > 0;)
      digits.push_back('0' + d);
    if (dots != std::string::npos)
      result.replace(dots, 3, digits);
  } else {
    // Labels that occur once, in alphabetical order, after the ellipsis.
    for (size_t d = ellipsis; d-- > 0;)
      result.push_back('0' + d);
    for (const auto &[c, size] : sizes)
      if (llvm::isAlpha(c) &&
          llvm::count(StringRef(equation).take_front(arrow), c) == 1)
        result.push_back(c);
  }
  for (char c : result)
    if (!n.require(sizes.count(c) && llvm::count(result, c) == 1,
                   "equation \"" + equation +
                       "\" has a result that does not follow from its terms"))
      return;
  // A dimension of one stands for any size of its label.
  for (Term &term : terms) {
    Dims dims;
    for (char c : term.labels)
      dims.push_back(sizes[c]);
    term.value = n.broadcastTo(term.value, dims);
    if (!term.value)
      return;
  }
  auto laterNeeds = [&](size_t after) {
    return [&, after](char c) {
      if (StringRef(result).contains(c))
        return true;
      for (size_t i = after; i < terms.size(); ++i)
        if (StringRef(terms[i].labels).contains(c))
          return true;
      return false;
    };
  };
  Term sum = terms[0];
  for (size_t i = 1; i < terms.size() && !n.failed(); ++i) {
    // What only one of the two has and nobody asks for is summed first.
    auto later = laterNeeds(i + 1);
    Term next = terms[i];
    std::string left = sum.labels, right = next.labels;
    dropLabels(n, sum, [&](char c) {
      return later(c) || StringRef(right).contains(c);
    });
    dropLabels(n, next,
               [&](char c) { return later(c) || StringRef(left).contains(c); });
    if (!n.failed())
      sum = contract(n, sum, next, later);
  }
  dropLabels(n, sum, laterNeeds(terms.size()));
  if (n.failed() || !sum.value)
    return;
  Ints permutation;
  for (char c : result)
    permutation.push_back(sum.labels.find(c));
  n.set(0, n.transpose(sum.value, permutation));
}

//===----------------------------------------------------------------------===//
// Determinants
//===----------------------------------------------------------------------===//

/// Gauss' elimination with the largest pivot of each column. A row that has
/// been a pivot is not touched any more.
static void determinant(Node &n) {
  Value x = n.operand(0);
  if (!n.requireFloat(x) ||
      !n.require(rankOf(x) >= 2, "the operand has " + Twine(rankOf(x)) +
                                     " dimensions, expected at least 2"))
    return;
  Dims d = dimsOf(x), batch(d.begin(), d.end() - 2);
  AffineExpr size = d.back(), one = n.number(1);
  if (!n.requireEqual(d[d.size() - 2], size, "the size of a square matrix"))
    return;
  AffineExpr count = n.number(1);
  for (AffineExpr dim : batch)
    count = gr::simplify(count * dim);
  Type element = elementOf(x), index = n.b.getI64Type();
  Type real = element.isF64() ? element : Type(n.b.getF32Type());
  Value matrix = n.reshape(n.cast(x, real), Dims{count, size, size});
  Value result = n.broadcastTo(n.scalar(1, real), Dims{count});
  SmallVector<Value> done = n.repeat(
      size, {matrix, result}, [&](AffineExpr step, ArrayRef<Value> carried) {
        Value m = carried[0], product = carried[1];
        auto dims = RankedTensorType::get({1}, index);
        Value now =
            n.reshape(gr::DimensionsOp::create(
                          n.b, n.loc, dims,
                          AffineMapAttr::get(gr::makeMap(
                              ArrayRef<AffineExpr>{step}, n.importer.context))),
                      {});
        Value row = n.iota({count, size}, index, 1);
        Value column =
            n.reshape(n.sliceAxis(m, 2, step, one), Dims{count, size});
        Value below = n.compare(gr::Comparison::greater_equal, row, now);
        Value sizes =
            n.select(below, n.unary<gr::AbsOp>(column), n.scalar(-1, real));
        if (!sizes)
          return SmallVector<Value>(1);
        Value best = gr::ArgReduceOp::create(
            n.b, n.loc, n.type({count}, index), sizes,
            gr::ReduceKindAttr::get(n.b.getContext(), gr::ReduceKind::maximum),
            n.b.getI64IntegerAttr(1), UnitAttr());
        // Exchange it with the row of this step.
        Value isBest = n.compare(gr::Comparison::equal, row,
                                 n.reshape(best, Dims{count, one}));
        isBest = n.reshape(isBest, Dims{count, size, one});
        Value pivot = n.reduce(n.select(isBest, m, n.scalar(0, real)),
                               gr::ReduceKind::sum, {1}, true);
        Value first = n.sliceAxis(m, 1, step, one);
        m = n.select(isBest, first, m);
        Value head = n.sliceAxis(pivot, 2, step, one);
        Value flat = n.reshape(head, Dims{count});
        Value same = n.compare(gr::Comparison::equal, best, now);
        Value sign = n.select(same, n.scalar(1, real), n.scalar(-1, real));
        product = n.multiply(product, n.multiply(flat, sign));
        // A column of zeros leaves nothing to eliminate.
        Value none = n.compare(gr::Comparison::equal, head, n.scalar(0, real));
        Value factor = n.divide(n.sliceAxis(m, 2, step, one),
                                n.select(none, n.scalar(1, real), head));
        m = n.subtract(m, n.multiply(factor, pivot));
        return SmallVector<Value>{m, product};
      });
  if (!done.empty())
    n.set(0, n.cast(n.reshape(done[1], batch), element));
}

llvm::ArrayRef<Operator> aicc::onnx::productOperators() {
  static constexpr Operator table[] = {
      {"", "MatMul", 1, matMul},
      {"", "Gemm", 1, gemm},
      {"", "Conv", 1, conv},
      {"", "ConvTranspose", 1, convTranspose},
      {"", "Einsum", 12, einsum},
      {"", "Det", 11, determinant},
  };
  return table;
}
