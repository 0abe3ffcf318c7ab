//===- Evaluate.cpp - graph operators on constants ------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/transforms/Evaluate.h"
#include "compiler/transforms/CopyBox.h"
#include "dialects/graph/Dims.h"
#include "dialects/graph/Graph.h"

#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/TypeSwitch.h"

#include <cmath>
#include <cstring>

using namespace mlir;
using namespace aicc::graph;

namespace aicc::transforms {

//===----------------------------------------------------------------------===//
// Elements in memory
//===----------------------------------------------------------------------===//

unsigned bytesOf(Type element) {
  return isa<StringType>(element) ? 0 : elementBytes(element);
}

std::optional<ConstantData> dataOf(ElementsAttr attribute) {
  ConstantData data;
  data.type = dyn_cast<RankedTensorType>(attribute.getType());
  if (!data.type || !data.type.hasStaticShape())
    return std::nullopt;
  unsigned bytes = bytesOf(data.type.getElementType());
  if (!bytes)
    return std::nullopt;
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(attribute)) {
    AsmResourceBlob *blob = resource.getRawHandle().getBlob();
    if (!blob ||
        blob->getData().size() != size_t(data.type.getNumElements()) * bytes)
      return std::nullopt;
    data.bytes = blob->getData();
    return data;
  }
  auto dense = dyn_cast<DenseIntOrFPElementsAttr>(attribute);
  if (!dense)
    return std::nullopt;
  data.splat = dense.isSplat();
  if (data.type.getElementType().isInteger(1)) {
    if (data.splat)
      data.owned.push_back(dense.getSplatValue<bool>());
    else
      for (bool value : dense.getValues<bool>())
        data.owned.push_back(value);
    data.bytes = data.owned;
    return data;
  }
  data.bytes = dense.getRawData();
  // The attribute keeps no more than the bits that the type has.
  auto integer = dyn_cast<IntegerType>(data.type.getElementType());
  if (integer && integer.getWidth() < 8 && !integer.isUnsigned()) {
    unsigned spare = 8 - integer.getWidth();
    for (char c : data.bytes)
      data.owned.push_back(int8_t(uint8_t(c) << spare) >> spare);
    data.bytes = data.owned;
  }
  return data;
}

static constexpr size_t smallElements = 16;

static ElementsAttr smallConstant(RankedTensorType type, ArrayRef<char> bytes) {
  auto integer = dyn_cast<IntegerType>(type.getElementType());
  if (integer && integer.getWidth() > 1 && integer.getWidth() < 8) {
    SmallVector<APInt> values;
    for (char c : bytes)
      values.push_back(APInt(8, uint8_t(c)).trunc(integer.getWidth()));
    return DenseElementsAttr::get(type, values);
  }
  if (!type.getElementType().isInteger(1))
    return DenseElementsAttr::getFromRawBuffer(type, bytes);
  SmallVector<bool> values(bytes.begin(), bytes.end());
  return DenseElementsAttr::get(type, values);
}

ElementsAttr makeConstant(RankedTensorType type, AsmResourceBlob blob) {
  if (size_t(type.getNumElements()) <= smallElements)
    return smallConstant(type, blob.getData());
  return DenseResourceElementsAttr::get(type, "constant", std::move(blob));
}

ElementsAttr makeSplat(RankedTensorType type, ArrayRef<char> element) {
  return smallConstant(type, element);
}

namespace {
/// What arithmetic on an element type is done in.
template <typename C> C loadElement(const char *p, Type type) {
  auto read = [&](auto value) {
    std::memcpy(&value, p, sizeof value);
    return C(value);
  };
  if (type.isF32())
    return read(float());
  if (type.isF64())
    return read(double());
  if (auto floating = dyn_cast<FloatType>(type)) {
    uint16_t bits = 0;
    std::memcpy(&bits, p, bytesOf(type));
    llvm::APInt stored(floating.getWidth(), bits);
    return C(
        llvm::APFloat(floating.getFloatSemantics(), stored).convertToDouble());
  }
  bool isUnsigned = type.isUnsignedInteger() || type.isInteger(1);
  switch (bytesOf(type)) {
  case 1: {
    // Bits beyond those of the type don't count.
    unsigned spare = type.isInteger(1) ? 0 : 8 - type.getIntOrFloatBitWidth();
    uint8_t high = uint8_t(uint8_t(*p) << spare);
    return isUnsigned ? C(uint8_t(high >> spare)) : C(int8_t(high) >> spare);
  }
  case 2:
    return isUnsigned ? read(uint16_t()) : read(int16_t());
  case 4:
    return isUnsigned ? read(uint32_t()) : read(int32_t());
  default:
    return isUnsigned ? read(uint64_t()) : read(int64_t());
  }
}

template <typename C> void storeElement(char *p, Type type, C value) {
  auto write = [&](auto stored) { std::memcpy(p, &stored, sizeof stored); };
  if (type.isF32())
    return write(float(value));
  if (type.isF64())
    return write(double(value));
  if (auto floating = dyn_cast<FloatType>(type)) {
    llvm::APFloat result = convertFloat(llvm::APFloat((double)value), floating);
    uint64_t bits = result.bitcastToAPInt().getZExtValue();
    return bytesOf(type) == 1 ? write(uint8_t(bits)) : write(uint16_t(bits));
  }
  switch (bytesOf(type)) {
  case 1: {
    if (type.isInteger(1))
      return write(uint8_t(value != 0));
    unsigned spare = 8 - type.getIntOrFloatBitWidth();
    uint8_t high = uint8_t(uint8_t(value) << spare);
    return write(type.isUnsignedInteger() ? uint8_t(high >> spare)
                                          : uint8_t(int8_t(high) >> spare));
  }
  case 2:
    return write(uint16_t(value));
  case 4:
    return write(uint32_t(value));
  default:
    return write(uint64_t(value));
  }
}

/// Operands as vectors of the type that is computed in.
template <typename C> struct Operand {
  std::vector<C> values;
  bool splat;
  C operator[](size_t i) const { return values[splat ? 0 : i]; }
};

template <typename C> Operand<C> load(const ConstantData &data) {
  Operand<C> operand;
  operand.splat = data.splat;
  Type type = data.type.getElementType();
  unsigned bytes = bytesOf(type);
  size_t count = data.bytes.size() / bytes;
  operand.values.resize(count);
  if constexpr (std::is_same_v<C, float>)
    if (type.isF32()) {
      std::memcpy(operand.values.data(), data.bytes.data(), count * 4);
      return operand;
    }
  for (size_t i = 0; i < count; ++i)
    operand.values[i] = loadElement<C>(data.bytes.data() + i * bytes, type);
  return operand;
}

/// Builds a result element by element.
template <typename C, typename F>
ElementsAttr fill(RankedTensorType type, bool splat, F &&at) {
  Type element = type.getElementType();
  unsigned bytes = bytesOf(element);
  size_t count = splat ? 1 : type.getNumElements();
  AsmResourceBlob blob =
      HeapAsmResourceBlob::allocate(std::max<size_t>(count * bytes, 1), 64);
  char *out = blob.getMutableData().data();
  for (size_t i = 0; i < count; ++i)
    storeElement<C>(out + i * bytes, element, at(i));
  if (splat)
    return makeSplat(type, ArrayRef<char>(out, bytes));
  return makeConstant(type, std::move(blob));
}

template <typename C> using Unary = C (*)(C);
template <typename C> using Binary = C (*)(C, C);

template <typename C> Unary<C> unaryFunction(Operation *op) {
  return llvm::TypeSwitch<Operation *, Unary<C>>(op)
      .Case([](AbsOp) { return +[](C x) { return x < 0 ? C(-x) : x; }; })
      .Case([](NegateOp) { return +[](C x) { return C(-x); }; })
      .Case([](SignOp) {
        return +[](C x) { return x > 0 ? C(1) : x < 0 ? C(-1) : x; };
      })
      .Default(Unary<C>(nullptr));
}

template <typename C> Unary<C> floatFunction(Operation *op) {
  return llvm::TypeSwitch<Operation *, Unary<C>>(op)
      .Case([](ExpOp) { return +[](C x) { return std::exp(x); }; })
      .Case([](LogOp) { return +[](C x) { return std::log(x); }; })
      .Case([](Log1pOp) { return +[](C x) { return std::log1p(x); }; })
      .Case([](SqrtOp) { return +[](C x) { return std::sqrt(x); }; })
      .Case([](RsqrtOp) { return +[](C x) { return C(1) / std::sqrt(x); }; })
      .Case([](ReciprocalOp) { return +[](C x) { return C(1) / x; }; })
      .Case([](SinOp) { return +[](C x) { return std::sin(x); }; })
      .Case([](CosOp) { return +[](C x) { return std::cos(x); }; })
      .Case([](TanhOp) { return +[](C x) { return std::tanh(x); }; })
      .Case([](ErfOp) { return +[](C x) { return std::erf(x); }; })
      .Case([](SigmoidOp) {
        return +[](C x) { return C(1) / (C(1) + std::exp(-x)); };
      })
      .Case([](FloorOp) { return +[](C x) { return std::floor(x); }; })
      .Case([](CeilOp) { return +[](C x) { return std::ceil(x); }; })
      .Case([](RoundEvenOp) { return +[](C x) { return std::nearbyint(x); }; })
      .Default(Unary<C>(nullptr));
}

template <typename C> C larger(C x, C y) {
  return x != x ? x : y != y ? y : std::max(x, y);
}
template <typename C> C smaller(C x, C y) {
  return x != x ? x : y != y ? y : std::min(x, y);
}

template <typename C> Binary<C> floatBinary(Operation *op) {
  return llvm::TypeSwitch<Operation *, Binary<C>>(op)
      .Case([](AddOp) { return +[](C x, C y) { return x + y; }; })
      .Case([](SubtractOp) { return +[](C x, C y) { return x - y; }; })
      .Case([](MultiplyOp) { return +[](C x, C y) { return x * y; }; })
      .Case([](DivideOp) { return +[](C x, C y) { return x / y; }; })
      .Case(
          [](RemainderOp) { return +[](C x, C y) { return std::fmod(x, y); }; })
      .Case([](PowerOp) { return +[](C x, C y) { return std::pow(x, y); }; })
      .Case([](MaximumOp) { return +larger<C>; })
      .Case([](MinimumOp) { return +smaller<C>; })
      .Default(Binary<C>(nullptr));
}

/// By which the least number overflows.
template <typename C> bool isMinusOne(C y) {
  return std::is_signed_v<C> && y == C(-1);
}

/// Integers wrap: unsigned arithmetic on the bits.
template <typename C> Binary<C> integerBinary(Operation *op) {
  using U = uint64_t;
  return llvm::TypeSwitch<Operation *, Binary<C>>(op)
      .Case([](AddOp) { return +[](C x, C y) { return C(U(x) + U(y)); }; })
      .Case([](SubtractOp) { return +[](C x, C y) { return C(U(x) - U(y)); }; })
      .Case([](MultiplyOp) { return +[](C x, C y) { return C(U(x) * U(y)); }; })
      .Case([](DivideOp) {
        return +[](C x, C y) {
          return y == 0 ? C(0) : isMinusOne<C>(y) ? C(U(0) - U(x)) : C(x / y);
        };
      })
      .Case([](RemainderOp) {
        return +[](C x, C y) {
          return y == 0 || isMinusOne<C>(y) ? C(0) : C(x % y);
        };
      })
      .Case([](MaximumOp) { return +[](C x, C y) { return std::max(x, y); }; })
      .Case([](MinimumOp) { return +[](C x, C y) { return std::min(x, y); }; })
      .Case([](AndOp) { return +[](C x, C y) { return C(x & y); }; })
      .Case([](OrOp) { return +[](C x, C y) { return C(x | y); }; })
      .Case([](XorOp) { return +[](C x, C y) { return C(x ^ y); }; })
      .Default(Binary<C>(nullptr));
}

template <typename C> bool compare(Comparison predicate, C x, C y) {
  switch (predicate) {
  case Comparison::equal:
    return x == y;
  case Comparison::not_equal:
    return x != y;
  case Comparison::less:
    return x < y;
  case Comparison::less_equal:
    return x <= y;
  case Comparison::greater:
    return x > y;
  case Comparison::greater_equal:
    return x >= y;
  }
  return false;
}

template <typename C>
ElementsAttr elementwise(Operation *op, ArrayRef<ConstantData> operands) {
  auto type = cast<RankedTensorType>(op->getResult(0).getType());
  bool splat = llvm::all_of(operands, [](auto &o) { return o.splat; });
  if (auto compareOp = dyn_cast<CompareOp>(op)) {
    auto x = load<C>(operands[0]), y = load<C>(operands[1]);
    return fill<int64_t>(type, splat, [&](size_t i) {
      return int64_t(compare<C>(compareOp.getPredicate(), x[i], y[i]));
    });
  }
  if (isa<SelectOp>(op)) {
    auto c = load<int64_t>(operands[0]);
    auto x = load<C>(operands[1]), y = load<C>(operands[2]);
    return fill<C>(type, splat, [&](size_t i) { return c[i] ? x[i] : y[i]; });
  }
  if (op->getNumOperands() == 2) {
    Binary<C> f;
    if constexpr (std::is_floating_point_v<C>)
      f = floatBinary<C>(op);
    else
      f = integerBinary<C>(op);
    if (!f)
      return {};
    auto x = load<C>(operands[0]), y = load<C>(operands[1]);
    return fill<C>(type, splat, [&](size_t i) { return f(x[i], y[i]); });
  }
  Unary<C> f = unaryFunction<C>(op);
  if constexpr (std::is_floating_point_v<C>)
    if (!f)
      f = floatFunction<C>(op);
  if (isa<NotOp>(op) && !std::is_floating_point_v<C>)
    f = type.getElementType().isInteger(1)
            ? +[](C x) { return C(x == 0); }
            : +[](C x) { return C(~int64_t(x)); };
  if (!f)
    return {};
  auto x = load<C>(operands[0]);
  return fill<C>(type, splat, [&](size_t i) { return f(x[i]); });
}

/// Float to integer truncates and saturates; integers wrap.
ElementsAttr castConstant(CastOp op, const ConstantData &data) {
  auto type = cast<RankedTensorType>(op.getType());
  Type to = type.getElementType(), from = data.type.getElementType();
  // The operator's own folding knows everything about the small formats.
  if (op.getOverflow() || op.getRounding())
    return {};
  if (!isa<FloatType>(from)) {
    auto x = load<int64_t>(data);
    if (!isa<FloatType>(to))
      return fill<int64_t>(type, data.splat, [&](size_t i) { return x[i]; });
    // Straight from the integer: one rounding.
    if (from.isUnsignedInteger(64))
      return fill<uint64_t>(type, data.splat,
                            [&](size_t i) { return uint64_t(x[i]); });
    return fill<int64_t>(type, data.splat, [&](size_t i) { return x[i]; });
  }
  auto x = load<double>(data);
  if (isa<FloatType>(to))
    return fill<double>(type, data.splat, [&](size_t i) { return x[i]; });
  if (to.isInteger(1))
    return fill<int64_t>(type, data.splat,
                         [&](size_t i) { return int64_t(x[i] != 0); });
  unsigned width = to.getIntOrFloatBitWidth();
  if (width < 8)
    return fill<int64_t>(type, data.splat, [&](size_t i) {
      return std::fabs(x[i]) < 0x1p31 ? int64_t(x[i]) : 0;
    });
  bool isUnsigned = to.isUnsignedInteger();
  double low = isUnsigned ? 0 : -std::ldexp(1.0, width - 1);
  double high = std::ldexp(1.0, isUnsigned ? width : width - 1);
  return fill<int64_t>(type, data.splat, [&](size_t i) -> int64_t {
    double value = std::trunc(x[i]);
    if (value != value)
      return 0;
    if (value <= low)
      return int64_t(low);
    if (value >= high)
      return isUnsigned ? int64_t(~uint64_t(0) >> (64 - width))
                        : int64_t(~uint64_t(0) >> (65 - width));
    return isUnsigned ? int64_t(uint64_t(value)) : int64_t(value);
  });
}

//===----------------------------------------------------------------------===//
// Data movement
//===----------------------------------------------------------------------===//

AsmResourceBlob allocate(RankedTensorType type) {
  size_t bytes = size_t(type.getNumElements()) * bytesOf(type.getElementType());
  return HeapAsmResourceBlob::allocate(std::max<size_t>(bytes, 1), 64);
}

/// The result whose element i is the operand's at offset + sum i * strides.
ElementsAttr strided(RankedTensorType type, const ConstantData &data,
                     int64_t offset, ArrayRef<int64_t> strides) {
  if (data.splat)
    return makeSplat(type, data.bytes);
  unsigned bytes = bytesOf(type.getElementType());
  AsmResourceBlob blob = allocate(type);
  copyBox(type.getContext(), blob.getMutableData().data(),
          stridesOf(type.getShape()), data.bytes.data() + offset * bytes,
          strides, type.getShape(), bytes);
  return makeConstant(type, std::move(blob));
}

ElementsAttr reshapeConstant(RankedTensorType type, ElementsAttr attribute,
                             const ConstantData &data) {
  if (data.splat)
    return makeSplat(type, data.bytes);
  if (!isa<DenseResourceElementsAttr>(attribute))
    return smallConstant(type, data.bytes);
  // The same memory: blobs live as long as the context.
  return makeConstant(type, UnmanagedAsmResourceBlob::allocateInferAlign(
                                ArrayRef<char>(data.bytes)));
}

ElementsAttr movement(Operation *op, ArrayRef<ElementsAttr> attributes,
                      ArrayRef<ConstantData> operands) {
  auto type = cast<RankedTensorType>(op->getResult(0).getType());
  const ConstantData &data = operands[0];
  SmallVector<int64_t> from = stridesOf(data.type.getShape());
  if (isa<ReshapeOp>(op))
    return reshapeConstant(type, attributes[0], data);
  if (auto transpose = dyn_cast<TransposeOp>(op)) {
    SmallVector<int64_t> strides;
    for (int64_t dim : transpose.getPermutation())
      strides.push_back(from[dim]);
    return strided(type, data, 0, strides);
  }
  if (auto broadcast = dyn_cast<BroadcastOp>(op)) {
    SmallVector<int64_t> strides(type.getRank(), 0);
    for (auto [i, dim] : llvm::enumerate(broadcast.getDimensions()))
      if (data.type.getDimSize(i) != 1)
        strides[dim] = from[i];
    return strided(type, data, 0, strides);
  }
  if (auto slice = dyn_cast<SliceOp>(op)) {
    int64_t offset = 0;
    SmallVector<int64_t> strides;
    for (auto [i, expr] : llvm::enumerate(slice.getOffsets().getResults())) {
      auto constant = constantOf(expr);
      if (!constant)
        return {};
      offset += *constant * from[i];
      strides.push_back(from[i] * slice.getStrides()[i]);
    }
    return strided(type, data, offset, strides);
  }
  if (auto reverse = dyn_cast<ReverseOp>(op)) {
    int64_t offset = 0;
    SmallVector<int64_t> strides(from);
    for (int64_t dim : reverse.getDimensions()) {
      offset += (type.getDimSize(dim) - 1) * from[dim];
      strides[dim] = -from[dim];
    }
    return strided(type, data, offset, strides);
  }
  unsigned bytes = bytesOf(type.getElementType());
  if (auto concatenate = dyn_cast<ConcatenateOp>(op)) {
    AsmResourceBlob blob = allocate(type);
    SmallVector<int64_t> to = stridesOf(type.getShape());
    int64_t at = 0;
    for (const ConstantData &part : operands) {
      SmallVector<int64_t> strides = stridesOf(part.type.getShape());
      if (part.splat)
        strides.assign(strides.size(), 0);
      copyBox(type.getContext(),
              blob.getMutableData().data() +
                  at * to[concatenate.getDimension()] * bytes,
              to, part.bytes.data(), strides, part.type.getShape(), bytes);
      at += part.type.getDimSize(concatenate.getDimension());
    }
    return makeConstant(type, std::move(blob));
  }
  if (auto pad = dyn_cast<PadOp>(op)) {
    if (pad.getMode() != PadMode::constant)
      return {};
    AsmResourceBlob blob = allocate(type);
    char *out = blob.getMutableData().data();
    for (int64_t i = 0, e = type.getNumElements(); i < e; ++i)
      std::memcpy(out + i * bytes, operands[1].bytes.data(), bytes);
    SmallVector<int64_t> to = stridesOf(type.getShape()), sizes;
    int64_t outOffset = 0, inOffset = 0;
    if (data.splat)
      from.assign(from.size(), 0);
    for (int64_t i = 0; i < type.getRank(); ++i) {
      auto low = constantOf(pad.getLow().getResult(i));
      auto high = constantOf(pad.getHigh().getResult(i));
      if (!low || !high)
        return {};
      outOffset += std::max<int64_t>(*low, 0) * to[i];
      inOffset += std::max<int64_t>(-*low, 0) * from[i];
      sizes.push_back(data.type.getDimSize(i) + std::min<int64_t>(*low, 0) +
                      std::min<int64_t>(*high, 0));
      if (sizes.back() <= 0)
        return makeConstant(type, std::move(blob));
    }
    copyBox(type.getContext(), out + outOffset * bytes, to,
            data.bytes.data() + inOffset * bytes, from, sizes, bytes);
    return makeConstant(type, std::move(blob));
  }
  if (auto gather = dyn_cast<GatherOp>(op)) {
    int64_t axis = gather.getAxis(), size = data.type.getDimSize(axis);
    auto indices = load<int64_t>(operands[1]);
    if (data.splat)
      return makeSplat(type, data.bytes);
    int64_t inner = from[axis] * bytes,
            count = operands[1].type.getNumElements();
    int64_t outer = 1;
    for (int64_t i = 0; i < axis; ++i)
      outer *= data.type.getDimSize(i);
    AsmResourceBlob blob = allocate(type);
    char *out = blob.getMutableData().data();
    for (int64_t o = 0; o < outer; ++o)
      for (int64_t i = 0; i < count; ++i) {
        int64_t index = indices[i] < 0 ? indices[i] + size : indices[i];
        index = std::clamp<int64_t>(index, 0, size - 1);
        std::memcpy(out, data.bytes.data() + (o * size + index) * inner, inner);
        out += inner;
      }
    return makeConstant(type, std::move(blob));
  }
  return {};
}

template <typename C>
ElementsAttr reduceConstant(ReduceOp op, const ConstantData &data) {
  auto type = cast<RankedTensorType>(op.getType());
  ArrayRef<int64_t> shape = data.type.getShape();
  SmallVector<int64_t> strides(shape.size(), 0);
  SmallVector<int64_t> to = stridesOf(type.getShape());
  int64_t combined = 1;
  for (size_t i = 0, next = 0; i < shape.size(); ++i)
    if (llvm::is_contained(op.getAxes(), int64_t(i)))
      combined *= shape[i];
    else
      strides[i] = to[next++];
  auto x = load<C>(data);
  std::vector<C> result(type.getNumElements());
  std::vector<bool> seen(type.getNumElements());
  SmallVector<int64_t> index(shape.size(), 0);
  for (int64_t i = 0, e = data.type.getNumElements(); i < e; ++i) {
    int64_t at = 0;
    for (size_t d = 0; d < shape.size(); ++d)
      at += index[d] * strides[d];
    C value = x[i];
    if (seen[at])
      switch (op.getKind()) {
      case ReduceKind::sum:
      case ReduceKind::mean:
        value = result[at] + value;
        break;
      case ReduceKind::product:
        value = result[at] * value;
        break;
      case ReduceKind::maximum:
        value = larger(result[at], value);
        break;
      case ReduceKind::minimum:
        value = smaller(result[at], value);
        break;
      }
    result[at] = value;
    seen[at] = true;
    for (int d = int(shape.size()) - 1; d >= 0 && ++index[d] == shape[d]; --d)
      index[d] = 0;
  }
  if (combined == 0)
    return {};
  if (op.getKind() == ReduceKind::mean)
    for (C &value : result)
      value = value / C(combined);
  return fill<C>(type, false, [&](size_t i) { return result[i]; });
}
} // namespace

//===----------------------------------------------------------------------===//
// Entry points
//===----------------------------------------------------------------------===//

ElementsAttr makeConstant(RankedTensorType type, ArrayRef<double> values) {
  return fill<double>(type, values.size() == 1,
                      [&](size_t i) { return values[i]; });
}

std::optional<double> splatValue(Value value) {
  while (auto broadcast = value.getDefiningOp<BroadcastOp>())
    value = broadcast.getOperand();
  auto constant = value.getDefiningOp<graph::ConstantOp>();
  if (!constant)
    return std::nullopt;
  auto data = dataOf(constant.getValue());
  if (!data || data->bytes.empty() ||
      (!data->splat && data->type.getNumElements() != 1))
    return std::nullopt;
  return loadElement<double>(data->bytes.data(), data->type.getElementType());
}

bool canEvaluate(Operation *op) {
  if (isa<ReshapeOp, TransposeOp, BroadcastOp, SliceOp, ReverseOp,
          ConcatenateOp, PadOp, GatherOp, ReduceOp, IotaOp, DimensionsOp>(op))
    return true;
  return op->hasTrait<Elementwise>();
}

ElementsAttr evaluate(Operation *op, ArrayRef<ElementsAttr> attributes) {
  if (op->getNumResults() != 1 || !canEvaluate(op))
    return {};
  auto type = dyn_cast<RankedTensorType>(op->getResult(0).getType());
  // Without elements there is nothing to evaluate, and no first element.
  if (!type || !type.hasStaticShape() || !bytesOf(type.getElementType()) ||
      type.getNumElements() == 0)
    return {};
  SmallVector<ConstantData> operands;
  for (ElementsAttr attribute : attributes) {
    auto data = dataOf(attribute);
    if (!data || data->bytes.empty())
      return {};
    operands.push_back(std::move(*data));
  }
  if (auto iota = dyn_cast<IotaOp>(op)) {
    SmallVector<int64_t> strides = stridesOf(type.getShape());
    int64_t dim = iota.getDimension();
    return fill<int64_t>(type, false, [&](size_t i) {
      return int64_t(i) / strides[dim] % type.getDimSize(dim);
    });
  }
  if (auto dimensions = dyn_cast<DimensionsOp>(op)) {
    SmallVector<int64_t> values;
    for (AffineExpr expr : dimensions.getExpressions().getResults()) {
      auto constant = constantOf(expr);
      if (!constant)
        return {};
      values.push_back(*constant);
    }
    return fill<int64_t>(type, false, [&](size_t i) { return values[i]; });
  }
  Type element = operands.back().type.getElementType();
  if (isa<ComplexType>(element) && op->hasTrait<Elementwise>())
    return {};
  if (auto cast = dyn_cast<CastOp>(op))
    return castConstant(cast, operands[0]);
  if (auto reduce = dyn_cast<ReduceOp>(op)) {
    if (element.isF64())
      return reduceConstant<double>(reduce, operands[0]);
    return isa<FloatType>(element)
               ? reduceConstant<float>(reduce, operands[0])
               : reduceConstant<int64_t>(reduce, operands[0]);
  }
  if (op->hasTrait<Elementwise>()) {
    if (element.isF64())
      return elementwise<double>(op, operands);
    if (isa<FloatType>(element))
      return elementwise<float>(op, operands);
    // i64 arithmetic would order large u64 values wrongly.
    if (element.isUnsignedInteger(64))
      return elementwise<uint64_t>(op, operands);
    return elementwise<int64_t>(op, operands);
  }
  return movement(op, attributes, operands);
}

} // namespace aicc::transforms
