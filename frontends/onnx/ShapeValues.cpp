//===- ShapeValues.cpp - small integer tensors as expressions -------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Exporters compute shapes with nodes: Shape, Gather, Add, Concat, Reshape.
// Those chains are evaluated here over the symbols, so that the operator that
// needs a shape finds expressions. What cannot be followed is left to the
// operator's function, which computes it when the model runs.
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/ShapeArithmetic.h"

#include "llvm/Support/MathExtras.h"

#include <cmath>

using namespace mlir;
using namespace aicc::onnx;
using namespace aicc::onnx::scalars;
using llvm::StringRef;
namespace gr = aicc::graph;

//===----------------------------------------------------------------------===//
// Nodes
//===----------------------------------------------------------------------===//

static int64_t countOf(ArrayRef<int64_t> shape) {
  int64_t count = 1;
  for (int64_t dim : shape)
    if (llvm::MulOverflow(count, dim, count) || count > maxKnown)
      return -1;
  return count;
}

/// The flat index into `shape` that broadcasting reads for `index` of `to`.
static int64_t broadcastIndex(int64_t index, ArrayRef<int64_t> to,
                              ArrayRef<int64_t> shape) {
  int64_t result = 0, stride = 1;
  for (size_t i = 0; i < to.size(); ++i) {
    size_t d = to.size() - 1 - i;
    int64_t at = index % to[d];
    index /= to[d];
    if (i >= shape.size())
      continue;
    int64_t size = shape[shape.size() - 1 - i];
    result += (size == 1 ? 0 : at) * stride;
    stride *= size;
  }
  return result;
}

static std::optional<Ints> broadcastShape(ArrayRef<const Known *> inputs) {
  Ints shape;
  for (const Known *known : inputs) {
    if (known->shape.size() > shape.size())
      shape.insert(shape.begin(), known->shape.size() - shape.size(), 1);
    size_t offset = shape.size() - known->shape.size();
    for (size_t i = 0; i < known->shape.size(); ++i) {
      int64_t &have = shape[offset + i];
      if (have == 1)
        have = known->shape[i];
      else if (known->shape[i] != 1 && known->shape[i] != have)
        return std::nullopt;
    }
  }
  if (countOf(shape) < 0)
    return std::nullopt;
  return shape;
}

namespace {

/// Evaluates one node; every method returns nothing where it cannot follow.
class Evaluator {
public:
  explicit Evaluator(Node &node) : node(node), context(node.importer.context) {}
  std::optional<Known> run();
  /// Split, the only one with several results.
  std::optional<SmallVector<Known>> split();

private:
  /// What is asked again has the same answer, though the node has failed since
  /// (by an attribute of another type, say).
  const Known *in(unsigned i) {
    if (i >= inputs.size())
      inputs.resize(i + 1);
    if (!inputs[i])
      inputs[i] = node.has(i) ? node.known(i) : nullptr;
    return inputs[i];
  }
  /// Constant integers of an input or, in older versions, an attribute.
  std::optional<Ints> list(unsigned i, StringRef attribute);
  std::optional<Known> binary(Action op, Type element);
  template <typename F> std::optional<Known> map(F f) {
    const Known *x = in(0);
    if (!x)
      return std::nullopt;
    Known result{x->element, x->shape, {}};
    for (const Scalar &scalar : x->values) {
      Maybe value = f(scalar);
      if (!value)
        return std::nullopt;
      result.values.push_back(*value);
    }
    return result;
  }
  std::optional<Known> reshaped(Ints shape);
  std::optional<Known> picked(Ints shape, ArrayRef<int64_t> from);
  std::optional<Known> shape();
  std::optional<Known> cast(Type element);
  std::optional<Known> gather();
  std::optional<Known> slice();
  std::optional<Known> concat();
  std::optional<Known> reduce(Action op);
  std::optional<Known> where();
  std::optional<Known> range();
  std::optional<Known> filled();
  std::optional<Known> expand();
  std::optional<Known> squeeze(bool remove);
  std::optional<Known> transpose();
  std::optional<Known> tile();
  std::optional<Known> flatten();
  std::optional<Known> power();

  Node &node;
  MLIRContext *context;
  SmallVector<const Known *> inputs; // null: not asked yet, or not known
};

} // namespace

std::optional<Ints> Evaluator::list(unsigned i, StringRef attribute) {
  if (node.hasAttribute(attribute))
    return node.integers(attribute);
  const Known *known = in(i);
  if (!known)
    return std::nullopt;
  Ints result;
  for (const Scalar &scalar : known->values) {
    if (!scalar.expr || !scalar.constant())
      return std::nullopt;
    result.push_back(*scalar.constant());
  }
  return result;
}

std::optional<Known> Evaluator::reshaped(Ints shape) {
  const Known *x = in(0);
  if (!x || countOf(shape) != int64_t(x->values.size()))
    return std::nullopt;
  return Known{x->element, shape, x->values};
}

std::optional<Known> Evaluator::picked(Ints shape, ArrayRef<int64_t> from) {
  Known result{in(0)->element, shape, {}};
  for (int64_t i : from)
    result.values.push_back(in(0)->values[i]);
  return result;
}

std::optional<Known> Evaluator::binary(Action op, Type element) {
  const Known *x = in(0), *y = x ? in(1) : nullptr;
  if (!y || x->element != y->element)
    return std::nullopt;
  auto shape = broadcastShape({x, y});
  // Old versions broadcast by attributes.
  if (!shape || node.hasAttribute("broadcast") || node.integer("fmod", 0))
    return std::nullopt;
  Known result{element ? element : x->element, *shape, {}};
  for (int64_t i = 0, n = countOf(*shape); i < n; ++i) {
    Maybe value =
        arithmetic(context, op, x->values[broadcastIndex(i, *shape, x->shape)],
                   y->values[broadcastIndex(i, *shape, y->shape)], x->element);
    if (!value)
      return std::nullopt;
    result.values.push_back(*value);
  }
  return result;
}

std::optional<Known> Evaluator::shape() {
  Tensor *x = node.input(0);
  if (!x)
    return std::nullopt;
  int64_t rank = x->rank();
  auto clamp = [&](int64_t value) {
    return std::clamp<int64_t>(value < 0 ? value + rank : value, 0, rank);
  };
  int64_t start = clamp(node.integer("start", 0));
  int64_t end = clamp(node.integer("end", rank));
  Known result{
      IntegerType::get(context, 64), {std::max<int64_t>(0, end - start)}, {}};
  for (int64_t i = start; i < end; ++i)
    result.values.push_back({x->dims[i]});
  return result;
}

std::optional<Known> Evaluator::cast(Type element) {
  if (!element || !element.isIntOrFloat())
    return std::nullopt;
  const Known *x = in(0);
  if (!x)
    return std::nullopt;
  bool real = isa<FloatType>(element);
  if (real && !element.isF32() && !element.isF64())
    return std::nullopt;
  auto result = map([&](const Scalar &scalar) -> Maybe {
    if (element == x->element)
      return scalar;
    if (real)
      return scalar.expr ? Maybe(scalar)
                         : number(context, element, scalar.number);
    if (element.isInteger(1)) {
      auto value = numeric(scalar);
      return value ? integer(context, *value != 0) : std::nullopt;
    }
    if (!scalar.expr) {
      if (!(std::fabs(scalar.number) < 9e15))
        return std::nullopt;
      return wrap(context, element, static_cast<int64_t>(scalar.number));
    }
    if (auto value = scalar.constant())
      return wrap(context, element, *value);
    return element.getIntOrFloatBitWidth() >= 32 ? Maybe(scalar) : std::nullopt;
  });
  if (result)
    result->element = element;
  return result;
}

std::optional<Known> Evaluator::gather() {
  const Known *x = in(0), *at = x ? in(1) : nullptr;
  if (!at || x->shape.empty())
    return std::nullopt;
  int64_t rank = x->shape.size();
  int64_t axis = node.integer("axis", 0);
  axis = axis < 0 ? axis + rank : axis;
  if (axis < 0 || axis >= rank)
    return std::nullopt;
  int64_t outer = 1, inner = 1, size = x->shape[axis];
  Ints shape;
  for (int64_t i = 0; i < axis; ++i) {
    outer *= x->shape[i];
    shape.push_back(x->shape[i]);
  }
  shape.append(at->shape.begin(), at->shape.end());
  for (int64_t i = axis + 1; i < rank; ++i) {
    inner *= x->shape[i];
    shape.push_back(x->shape[i]);
  }
  if (countOf(shape) < 0)
    return std::nullopt;
  Ints from;
  for (int64_t o = 0; o < outer; ++o)
    for (const Scalar &scalar : at->values) {
      auto index = scalar.expr ? scalar.constant() : std::nullopt;
      if (!index)
        return std::nullopt;
      int64_t i = *index < 0 ? *index + size : *index;
      if (i < 0 || i >= size)
        return std::nullopt;
      for (int64_t k = 0; k < inner; ++k)
        from.push_back((o * size + i) * inner + k);
    }
  return picked(shape, from);
}

std::optional<Known> Evaluator::slice() {
  const Known *x = in(0);
  if (!x)
    return std::nullopt;
  int64_t rank = x->shape.size();
  auto starts = list(1, "starts"), ends = list(2, "ends");
  if (!starts || !ends || starts->size() != ends->size())
    return std::nullopt;
  std::optional<Ints> axes, steps;
  if (node.has(3) || node.hasAttribute("axes"))
    axes = list(3, "axes");
  else {
    axes = Ints();
    for (size_t i = 0; i < starts->size(); ++i)
      axes->push_back(i);
  }
  steps = node.has(4) ? list(4, "steps") : Ints(starts->size(), 1);
  if (!axes || !steps || axes->size() != starts->size() ||
      steps->size() != starts->size())
    return std::nullopt;
  Ints from(rank, 0), by(rank, 1), shape = x->shape;
  for (size_t i = 0; i < starts->size(); ++i) {
    int64_t axis = (*axes)[i] < 0 ? (*axes)[i] + rank : (*axes)[i];
    int64_t step = (*steps)[i];
    if (axis < 0 || axis >= rank || step == 0 || step == INT64_MIN)
      return std::nullopt;
    int64_t size = x->shape[axis], start = (*starts)[i], end = (*ends)[i];
    start = start < 0 ? std::max<int64_t>(start, -size - 1) + size : start;
    end = end < 0 ? std::max<int64_t>(end, -size - 1) + size : end;
    if (step > 0) {
      start = std::clamp<int64_t>(start, 0, size);
      end = std::clamp<int64_t>(end, 0, size);
      shape[axis] = end > start ? (end - start - 1) / step + 1 : 0;
    } else {
      start = std::clamp<int64_t>(start, -1, size - 1);
      end = std::clamp<int64_t>(end, -1, size - 1);
      shape[axis] = start > end ? (start - end - 1) / -step + 1 : 0;
    }
    from[axis] = start;
    by[axis] = step;
  }
  int64_t count = countOf(shape);
  if (count < 0)
    return std::nullopt;
  Ints indices;
  for (int64_t flat = 0; flat < count; ++flat) {
    int64_t rest = flat, index = 0, stride = 1;
    for (int64_t d = rank; d-- > 0;) {
      index += (from[d] + rest % shape[d] * by[d]) * stride;
      rest /= shape[d];
      stride *= x->shape[d];
    }
    indices.push_back(index);
  }
  return picked(shape, indices);
}

std::optional<Known> Evaluator::concat() {
  if (!node.numInputs() || !in(0))
    return std::nullopt;
  int64_t rank = in(0)->shape.size();
  int64_t axis = node.integer("axis", 1);
  axis = axis < 0 ? axis + rank : axis;
  if (axis < 0 || axis >= rank)
    return std::nullopt;
  Known result{in(0)->element, in(0)->shape, {}};
  result.shape[axis] = 0;
  int64_t outer = 1;
  for (int64_t i = 0; i < axis; ++i)
    outer *= result.shape[i];
  for (unsigned i = 0; i < node.numInputs(); ++i) {
    const Known *x = in(i);
    if (!x || int64_t(x->shape.size()) != rank || x->element != result.element)
      return std::nullopt;
    for (int64_t d = 0; d < rank; ++d)
      if (d != axis && x->shape[d] != in(0)->shape[d])
        return std::nullopt;
    result.shape[axis] += x->shape[axis];
  }
  if (countOf(result.shape) < 0 || outer == 0)
    return std::nullopt;
  for (int64_t o = 0; o < outer; ++o)
    for (unsigned i = 0; i < node.numInputs(); ++i) {
      const Known *x = in(i);
      size_t part = x->values.size() / outer;
      result.values.append(x->values.begin() + o * part,
                           x->values.begin() + (o + 1) * part);
    }
  return result;
}

std::optional<Known> Evaluator::reduce(Action op) {
  const Known *x = in(0);
  if (!x || x->values.empty())
    return std::nullopt;
  std::optional<Ints> axes;
  if (node.has(1) || node.hasAttribute("axes"))
    axes = list(1, "axes");
  else
    axes = Ints();
  int64_t rank = x->shape.size();
  // Everything at once, or along the only axis.
  if (!axes || rank > 1 || (!axes->empty() && rank == 0) ||
      (axes->empty() && node.integer("noop_with_empty_axes", 0)))
    return std::nullopt;
  Scalar total = x->values[0];
  for (const Scalar &scalar : ArrayRef(x->values).drop_front()) {
    Maybe next = arithmetic(context, op, total, scalar, x->element);
    if (!next)
      return std::nullopt;
    total = *next;
  }
  bool keep = node.integer("keepdims", 1);
  return Known{x->element, Ints(keep ? rank : 0, 1), {total}};
}

std::optional<Known> Evaluator::where() {
  const Known *c = in(0), *x = c ? in(1) : nullptr, *y = x ? in(2) : nullptr;
  if (!y || x->element != y->element)
    return std::nullopt;
  auto shape = broadcastShape({c, x, y});
  if (!shape)
    return std::nullopt;
  Known result{x->element, *shape, {}};
  for (int64_t i = 0, n = countOf(*shape); i < n; ++i) {
    const Scalar &condition = c->values[broadcastIndex(i, *shape, c->shape)];
    if (!condition.expr || !condition.constant())
      return std::nullopt;
    const Known *from = *condition.constant() ? x : y;
    result.values.push_back(
        from->values[broadcastIndex(i, *shape, from->shape)]);
  }
  return result;
}

std::optional<Known> Evaluator::range() {
  auto value = [&](unsigned i) -> std::optional<int64_t> {
    const Known *x = in(i);
    if (!x || x->values.size() != 1 || !x->values[0].expr ||
        isa<FloatType>(x->element))
      return std::nullopt;
    return x->values[0].constant();
  };
  auto start = value(0), limit = value(1), step = value(2);
  // A range that is short is likely part of a shape; a long one is data.
  constexpr int64_t shortRange = 16;
  if (!start || !limit || !step || *step == 0)
    return std::nullopt;
  double steps = std::ceil((double(*limit) - double(*start)) / double(*step));
  if (steps > shortRange)
    return std::nullopt;
  int64_t count = steps < 0 ? 0 : static_cast<int64_t>(steps);
  Known result{in(0)->element, {count}, {}};
  for (int64_t i = 0; i < count; ++i)
    result.values.push_back(*integer(
        context, int64_t(uint64_t(*start) + uint64_t(i) * uint64_t(*step))));
  return result;
}

std::optional<Known> Evaluator::filled() {
  auto shape = list(0, "");
  if (!shape || countOf(*shape) < 0 ||
      llvm::any_of(*shape, [](int64_t d) { return d < 0; }))
    return std::nullopt;
  Known result{Float32Type::get(context), *shape, {}};
  Scalar value{getAffineConstantExpr(0, context)};
  if (const proto::TensorProto *tensor = node.tensor("value")) {
    std::string error;
    if (!checkTensor(*tensor, 1, error) || tensor->dims_size() > 1)
      return std::nullopt;
    Tensor constant{"",
                    node.loc,
                    elementType(context, tensor->data_type()),
                    node.numbers(ArrayRef<int64_t>(tensor->dims().data(),
                                                   tensor->dims_size())),
                    {},
                    tensor};
    const Known *known =
        constant.element ? node.importer.known(constant) : nullptr;
    if (!known || known->values.size() != 1)
      return std::nullopt;
    result.element = known->element;
    value = known->values[0];
  }
  result.values.assign(countOf(*shape), value);
  return result;
}

std::optional<Known> Evaluator::expand() {
  const Known *x = in(0);
  auto wanted = x ? list(1, "") : std::nullopt;
  if (!wanted || llvm::any_of(*wanted, [](int64_t d) { return d < 0; }))
    return std::nullopt;
  Known target{x->element, *wanted, {}};
  auto shape = broadcastShape({x, &target});
  if (!shape)
    return std::nullopt;
  Ints from;
  for (int64_t i = 0, n = countOf(*shape); i < n; ++i)
    from.push_back(broadcastIndex(i, *shape, x->shape));
  return picked(*shape, from);
}

std::optional<Known> Evaluator::squeeze(bool remove) {
  const Known *x = in(0);
  bool given = node.has(1) || node.hasAttribute("axes");
  auto axes = given ? list(1, "axes") : Ints();
  if (!x || !axes || (!given && !remove))
    return std::nullopt;
  int64_t rank = x->shape.size() + (remove ? 0 : axes->size());
  for (int64_t &axis : *axes) {
    axis = axis < 0 ? axis + rank : axis;
    if (axis < 0 || axis >= rank || llvm::count(*axes, axis) != 1)
      return std::nullopt;
  }
  Ints shape;
  if (remove) {
    for (int64_t i = 0; i < rank; ++i)
      if (given ? !llvm::is_contained(*axes, i) : x->shape[i] != 1)
        shape.push_back(x->shape[i]);
  } else {
    for (int64_t i = 0, from = 0; i < rank; ++i)
      shape.push_back(llvm::is_contained(*axes, i) ? 1 : x->shape[from++]);
  }
  return reshaped(shape);
}

std::optional<Known> Evaluator::transpose() {
  const Known *x = in(0);
  int64_t rank = x->shape.size();
  Ints perm = node.integers("perm");
  if (perm.empty())
    for (int64_t i = rank; i-- > 0;)
      perm.push_back(i);
  Ints sorted = perm, shape, strides(rank, 1);
  llvm::sort(sorted);
  for (int64_t i = 0, n = sorted.size(); i < n; ++i)
    if (sorted[i] != i)
      return std::nullopt;
  if (int64_t(perm.size()) != rank)
    return std::nullopt;
  for (int64_t i = rank - 1; i-- > 0;)
    strides[i] = strides[i + 1] * x->shape[i + 1];
  for (int64_t i : perm)
    shape.push_back(x->shape[i]);
  Ints from;
  for (int64_t flat = 0, n = x->values.size(); flat < n; ++flat) {
    int64_t rest = flat, index = 0;
    for (int64_t d = rank; d-- > 0; rest /= shape[d])
      index += rest % shape[d] * strides[perm[d]];
    from.push_back(index);
  }
  return picked(shape, from);
}

std::optional<Known> Evaluator::tile() {
  const Known *x = in(0);
  auto repeats = list(1, "");
  if (!repeats || repeats->size() != x->shape.size() ||
      llvm::any_of(*repeats, [](int64_t n) { return n < 0; }))
    return std::nullopt;
  Ints shape;
  for (auto [size, times] : llvm::zip(x->shape, *repeats)) {
    int64_t dim;
    if (llvm::MulOverflow(size, times, dim))
      return std::nullopt;
    shape.push_back(dim);
  }
  int64_t count = countOf(shape);
  if (count < 0)
    return std::nullopt;
  Ints from;
  for (int64_t flat = 0; flat < count; ++flat) {
    int64_t rest = flat, index = 0, stride = 1;
    for (int64_t d = shape.size(); d-- > 0; rest /= shape[d]) {
      index += rest % shape[d] % x->shape[d] * stride;
      stride *= x->shape[d];
    }
    from.push_back(index);
  }
  return picked(shape, from);
}

std::optional<Known> Evaluator::flatten() {
  const Known *x = in(0);
  int64_t rank = x->shape.size(), axis = node.integer("axis", 1);
  axis = axis < 0 ? axis + rank : axis;
  if (axis < 0 || axis > rank)
    return std::nullopt;
  int64_t outer = countOf(ArrayRef(x->shape).take_front(axis));
  int64_t inner = countOf(ArrayRef(x->shape).drop_front(axis));
  return outer < 0 || inner < 0 ? std::nullopt : reshaped({outer, inner});
}

/// Of constants whose powers an exponent that is whole gives exactly.
std::optional<Known> Evaluator::power() {
  const Known *x = in(0), *y = in(1);
  if (!y || isa<FloatType>(x->element) || node.hasAttribute("broadcast"))
    return std::nullopt;
  auto shape = broadcastShape({x, y});
  if (!shape)
    return std::nullopt;
  Known result{x->element, *shape, {}};
  for (int64_t i = 0, n = countOf(*shape); i < n; ++i) {
    const Scalar &base = x->values[broadcastIndex(i, *shape, x->shape)];
    auto exponent = numeric(y->values[broadcastIndex(i, *shape, y->shape)]);
    constexpr double highest = 64;
    if (!exponent || *exponent < 0 || *exponent > highest ||
        *exponent != std::floor(*exponent))
      return std::nullopt;
    Maybe value = integer(context, 1);
    for (int64_t k = 0; k < int64_t(*exponent) && value; ++k)
      value = arithmetic(context, Action::mul, *value, base, x->element);
    if (!value)
      return std::nullopt;
    result.values.push_back(*value);
  }
  return result;
}

std::optional<SmallVector<Known>> Evaluator::split() {
  const Known *x = in(0);
  int64_t parts = node.numOutputs();
  if (!x || x->shape.empty() || !parts)
    return std::nullopt;
  int64_t rank = x->shape.size(), axis = node.integer("axis", 0);
  axis = axis < 0 ? axis + rank : axis;
  if (axis < 0 || axis >= rank)
    return std::nullopt;
  int64_t size = x->shape[axis], most = llvm::divideCeil(size, parts);
  Ints sizes;
  if (node.has(1) || node.hasAttribute("split")) {
    auto given = list(1, "split");
    if (!given)
      return std::nullopt;
    sizes = *given;
  } else {
    for (int64_t i = 0; i < parts; ++i)
      sizes.push_back(std::clamp<int64_t>(size - i * most, 0, most));
  }
  int64_t total = 0;
  for (int64_t part : sizes)
    if (part < 0 || llvm::AddOverflow(total, part, total))
      return std::nullopt;
  if (total != size || int64_t(sizes.size()) != parts)
    return std::nullopt;
  int64_t inner = countOf(ArrayRef(x->shape).drop_front(axis + 1));
  int64_t outer = countOf(ArrayRef(x->shape).take_front(axis));
  SmallVector<Known> results;
  int64_t first = 0;
  for (int64_t part : sizes) {
    Ints shape = x->shape, from;
    shape[axis] = part;
    for (int64_t o = 0; o < outer; ++o)
      for (int64_t k = 0; k < part * inner; ++k)
        from.push_back((o * size + first) * inner + k);
    results.push_back(*picked(shape, from));
    first += part;
  }
  return results;
}

std::optional<Known> Evaluator::run() {
  StringRef op = node.proto.op_type();
  if (op == "Shape")
    return shape();
  if (op == "Size") {
    Tensor *x = node.input(0);
    Maybe count = integer(context, 1);
    for (AffineExpr dim : x ? x->dims : Dims())
      if (!count || !(count = arithmetic(context, Action::mul, *count, {dim},
                                         IntegerType::get(context, 64))))
        return std::nullopt;
    return Known{IntegerType::get(context, 64), {}, {*count}};
  }
  if (op == "ConstantOfShape")
    return filled();
  // Everything else needs its first input; this is the common way out.
  const Known *x = in(0);
  if (!x)
    return std::nullopt;
  Type boolean = IntegerType::get(context, 1);
  auto zero = getAffineConstantExpr(0, context);
  if (op == "Identity")
    return *x;
  if (op == "Cast")
    return cast(elementType(context, node.integer("to", 0)));
  if (op == "CastLike" && node.has(1))
    return cast(node.input(1)->element);
  if (op == "Gather")
    return gather();
  if (op == "Slice")
    return slice();
  if (op == "Concat")
    return concat();
  if (op == "Squeeze" || op == "Unsqueeze")
    return squeeze(op == "Squeeze");
  if (op == "Range")
    return range();
  if (op == "Where")
    return where();
  if (op == "Expand")
    return expand();
  if (op == "Transpose")
    return transpose();
  if (op == "Tile")
    return tile();
  if (op == "Flatten")
    return flatten();
  if (op == "Pow" && node.numInputs() == 2)
    return power();
  if (op == "Add" || op == "Sub" || op == "Mul" || op == "Div" || op == "Mod") {
    if (node.numInputs() != 2 || x->element.isInteger(1))
      return std::nullopt;
    return binary(op == "Add"   ? Action::add
                  : op == "Sub" ? Action::sub
                  : op == "Mul" ? Action::mul
                  : op == "Div" ? Action::div
                                : Action::mod,
                  {});
  }
  if ((op == "Max" || op == "Min") && node.numInputs() == 2)
    return binary(op == "Max" ? Action::max : Action::min, {});
  if (op == "Equal")
    return binary(Action::equal, boolean);
  if (op == "Less" || op == "LessOrEqual")
    return binary(op == "Less" ? Action::less : Action::lessEqual, boolean);
  if (op == "Greater" || op == "GreaterOrEqual")
    return binary(op == "Greater" ? Action::greater : Action::greaterEqual,
                  boolean);
  if (op == "And" || op == "Or")
    return binary(op == "And" ? Action::logicalAnd : Action::logicalOr,
                  boolean);
  if (op == "Not")
    return map([&](const Scalar &s) {
      return s.constant() ? integer(context, !*s.constant()) : std::nullopt;
    });
  if (op == "Neg")
    return map([&](const Scalar &s) {
      return arithmetic(context, Action::sub, {zero}, s, x->element);
    });
  if (op == "Abs")
    return map([&](const Scalar &s) -> Maybe {
      auto value = s.expr ? s.constant() : std::nullopt;
      // The least one has no opposite: wrap() leaves it to the compiled node.
      return value && *value != INT64_MIN
                 ? wrap(context, x->element, std::abs(*value))
                 : std::nullopt;
    });
  if (op == "Floor" || op == "Ceil" || op == "Round")
    return map([&](const Scalar &s) -> Maybe {
      if (s.expr)
        return s;
      double v = op == "Floor"  ? std::floor(s.number)
                 : op == "Ceil" ? std::ceil(s.number)
                                : std::nearbyint(s.number);
      return number(context, x->element, v);
    });
  if (op == "Sqrt" && x->element.isF32())
    return map([&](const Scalar &s) -> Maybe {
      auto v = numeric(s);
      return v && *v >= 0 ? number(context, x->element, std::sqrt(*v))
                          : std::nullopt;
    });
  if (op == "ReduceProd")
    return reduce(Action::mul);
  if (op == "ReduceSum")
    return reduce(Action::add);
  if (op == "ReduceMax" && !x->element.isInteger(1))
    return reduce(Action::max);
  if (op == "ReduceMin" && !x->element.isInteger(1))
    return reduce(Action::min);
  if (op == "Reshape") {
    auto wanted = node.has(1) || node.hasAttribute("shape") ? list(1, "shape")
                                                            : std::nullopt;
    if (!wanted)
      return std::nullopt;
    auto dims = reshapeDims(node, node.numbers(x->shape), node.numbers(*wanted),
                            node.integer("allowzero", 0));
    Ints shape;
    for (AffineExpr dim : dims.value_or(Dims())) {
      if (!gr::constantOf(dim))
        return std::nullopt;
      shape.push_back(*gr::constantOf(dim));
    }
    return dims ? reshaped(shape) : std::nullopt;
  }
  return std::nullopt;
}

bool aicc::onnx::evaluateKnown(Node &node) {
  if (!normalDomain(node.proto.domain()).empty())
    return false;
  if (node.proto.op_type() == "Split") {
    std::optional<SmallVector<Known>> parts = Evaluator(node).split();
    if (!parts || node.failed())
      return false;
    for (auto [i, part] : llvm::enumerate(*parts))
      node.set(i, std::move(part));
    return true;
  }
  if (node.numOutputs() != 1)
    return false;
  std::optional<Known> result = Evaluator(node).run();
  if (!result || node.failed())
    return false;
  node.set(0, std::move(*result));
  return true;
}
