//===- Tensors.cpp - element types and payloads of tensors ----------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/Tensors.h"
#include "dialects/graph/Graph.h"

#include "mlir/IR/DialectResourceBlobManager.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/MathExtras.h"

#include <complex>
#include <cstring>

using namespace mlir;
using namespace aicc::onnx;
using llvm::StringRef;

namespace {

/// Where the typed (not raw) values of a type are kept, and how wide it is.
enum class Field { none, float32, int32, int64, float64, uint64 };
struct TypeInfo {
  int32_t type;
  const char *name;
  unsigned bits;
  Field field;
};

constexpr TypeInfo typeInfos[] = {
    {FLOAT, "float", 32, Field::float32},
    {UINT8, "uint8", 8, Field::int32},
    {INT8, "int8", 8, Field::int32},
    {UINT16, "uint16", 16, Field::int32},
    {INT16, "int16", 16, Field::int32},
    {INT32, "int32", 32, Field::int32},
    {INT64, "int64", 64, Field::int64},
    {STRING, "string", 0, Field::none},
    {BOOL, "bool", 8, Field::int32},
    {FLOAT16, "float16", 16, Field::int32},
    {DOUBLE, "double", 64, Field::float64},
    {UINT32, "uint32", 32, Field::uint64},
    {UINT64, "uint64", 64, Field::uint64},
    {COMPLEX64, "complex64", 64, Field::float32},
    {COMPLEX128, "complex128", 128, Field::float64},
    {BFLOAT16, "bfloat16", 16, Field::int32},
    {FLOAT8E4M3FN, "float8e4m3fn", 8, Field::int32},
    {FLOAT8E4M3FNUZ, "float8e4m3fnuz", 8, Field::int32},
    {FLOAT8E5M2, "float8e5m2", 8, Field::int32},
    {FLOAT8E5M2FNUZ, "float8e5m2fnuz", 8, Field::int32},
    {UINT4, "uint4", 4, Field::int32},
    {INT4, "int4", 4, Field::int32},
    {FLOAT4E2M1, "float4e2m1", 4, Field::int32},
    {FLOAT8E8M0, "float8e8m0", 8, Field::int32},
    {UINT2, "uint2", 2, Field::int32},
    {INT2, "int2", 2, Field::int32},
    {FLOAT6E2M3, "float6e2m3", 6, Field::int32},
    {FLOAT6E3M2, "float6e3m2", 6, Field::int32},
};

const TypeInfo *infoOf(int32_t type) {
  for (const TypeInfo &info : typeInfos)
    if (info.type == type)
      return &info;
  return nullptr;
}

int64_t countOf(const proto::TensorProto &tensor) {
  int64_t count = 1;
  for (int64_t dim : tensor.dims())
    count *= dim;
  return count;
}

std::string quoted(StringRef name) { return ("\"" + name + "\"").str(); }

} // namespace

std::string aicc::onnx::dataTypeName(int32_t type) {
  if (const TypeInfo *info = infoOf(type))
    return info->name;
  return "type " + std::to_string(type);
}

Type aicc::onnx::elementType(MLIRContext *context, int32_t type) {
  auto integer = [&](unsigned bits) -> Type {
    return IntegerType::get(context, bits);
  };
  auto natural = [&](unsigned bits) -> Type {
    return IntegerType::get(context, bits, IntegerType::Unsigned);
  };
  switch (type) {
  case FLOAT:
    return Float32Type::get(context);
  case UINT8:
    return natural(8);
  case INT8:
    return integer(8);
  case UINT16:
    return natural(16);
  case INT16:
    return integer(16);
  case INT32:
    return integer(32);
  case INT64:
    return integer(64);
  case BOOL:
    return integer(1);
  case FLOAT16:
    return Float16Type::get(context);
  case DOUBLE:
    return Float64Type::get(context);
  case UINT32:
    return natural(32);
  case UINT64:
    return natural(64);
  case BFLOAT16:
    return BFloat16Type::get(context);
  case FLOAT8E4M3FN:
    return Float8E4M3FNType::get(context);
  case FLOAT8E4M3FNUZ:
    return Float8E4M3FNUZType::get(context);
  case FLOAT8E5M2:
    return Float8E5M2Type::get(context);
  case FLOAT8E5M2FNUZ:
    return Float8E5M2FNUZType::get(context);
  case UINT4:
    return natural(4);
  case INT4:
    return integer(4);
  case FLOAT4E2M1:
    return Float4E2M1FNType::get(context);
  case FLOAT8E8M0:
    return Float8E8M0FNUType::get(context);
  case UINT2:
    return natural(2);
  case INT2:
    return integer(2);
  case FLOAT6E2M3:
    return Float6E2M3FNType::get(context);
  case FLOAT6E3M2:
    return Float6E3M2FNType::get(context);
  case STRING:
    return graph::StringType::get(context);
  case COMPLEX64:
    return ComplexType::get(Float32Type::get(context));
  case COMPLEX128:
    return ComplexType::get(Float64Type::get(context));
  default:
    return {};
  }
}

int32_t aicc::onnx::dataTypeOf(Type element) {
  for (const TypeInfo &info : typeInfos)
    if (elementType(element.getContext(), info.type) == element)
      return info.type;
  return UNDEFINED;
}

unsigned aicc::onnx::elementBytes(Type element) {
  return graph::elementBytes(element);
}

bool aicc::onnx::checkTensor(const proto::TensorProto &tensor,
                             int64_t maxElements, std::string &error) {
  std::string name = "tensor " + quoted(tensor.name());
  const TypeInfo *info = infoOf(tensor.data_type());
  if (!info) {
    error = name + " has element " + dataTypeName(tensor.data_type()) +
            ", which is unknown";
    return false;
  }
  if (tensor.dims_size() > 64) {
    error = name + " has " + std::to_string(tensor.dims_size()) +
            " dimensions, expected at most 64";
    return false;
  }
  bool empty = false;
  for (int64_t dim : tensor.dims()) {
    if (dim < 0) {
      error = name + " has dimension " + std::to_string(dim) +
              ", expected at least 0";
      return false;
    }
    empty |= dim == 0;
  }
  int64_t count = 1;
  for (int64_t dim : tensor.dims())
    if (llvm::MulOverflow(count, empty ? std::max<int64_t>(dim, 1) : dim,
                          count) ||
        count > maxElements) {
      error = name + " has too many elements, expected at most " +
              std::to_string(maxElements);
      return false;
    }
  if (tensor.has_segment()) {
    error = name + " is a segment of a tensor, which is not supported";
    return false;
  }
  return true;
}

/// Spreads values of `bits` < 8 bits to one byte each.
static void unpack(StringRef packed, unsigned bits, bool isSigned,
                   int64_t count, std::vector<char> &out) {
  unsigned mask = (1u << bits) - 1;
  out.resize(count);
  for (int64_t i = 0; i < count; ++i) {
    // Six bits may lie across two bytes.
    uint64_t first = uint64_t(i) * bits, byte = first / 8;
    unsigned value = uint8_t(packed[byte]);
    if (first % 8 + bits > 8)
      value |= unsigned(uint8_t(packed[byte + 1])) << 8;
    value = value >> (first % 8) & mask;
    if (isSigned && (value >> (bits - 1)))
      value |= ~mask;
    out[i] = char(value);
  }
}

bool aicc::onnx::decode(Model &model, const proto::TensorProto &tensor,
                        Payload &payload, std::string &error) {
  const TypeInfo &info = *infoOf(tensor.data_type());
  std::string name = "tensor " + quoted(tensor.name());
  int64_t count = countOf(tensor);
  uint64_t size = (uint64_t(count) * info.bits + 7) / 8;
  bool small = info.bits < 8;
  bool isSigned = info.type == INT4 || info.type == INT2;
  auto adopt = [&](StringRef bytes) {
    if (small) {
      payload.copy = std::make_shared<std::vector<char>>();
      unpack(bytes, info.bits, isSigned, count, *payload.copy);
    } else if (info.type == BOOL &&
               llvm::any_of(bytes, [](char c) { return uint8_t(c) > 1; })) {
      payload.copy = std::make_shared<std::vector<char>>(bytes.size());
      for (size_t i = 0; i < bytes.size(); ++i)
        (*payload.copy)[i] = bytes[i] != 0;
    } else {
      payload.bytes = bytes;
      return true;
    }
    payload.bytes = {payload.copy->data(), payload.copy->size()};
    return true;
  };
  auto wrong = [&](StringRef field, uint64_t found, uint64_t expected) {
    error = name + " of type " + info.name + " has " + std::to_string(found) +
            " " + field.str() + ", expected " + std::to_string(expected);
    return false;
  };
  if (info.field == Field::none) {
    error =
        name + " has element type " + info.name + ", which is not supported";
    return false;
  }
  if (tensor.data_location() == 1) {
    StringRef bytes = model.external(tensor, size, error);
    if (!error.empty()) {
      error = name + ": " + error;
      return false;
    }
    return adopt(bytes);
  }
  int typed = tensor.float_data_size() + tensor.int32_data_size() +
              tensor.int64_data_size() + tensor.double_data_size() +
              tensor.uint64_data_size();
  if (tensor.has_raw_data() && !(tensor.raw_data().empty() && typed)) {
    if (typed) {
      error = name + " has both raw and typed data, expected one of them";
      return false;
    }
    if (tensor.raw_data().size() != size)
      return wrong("bytes", tensor.raw_data().size(), size);
    return adopt(tensor.raw_data());
  }
  auto array = [&](const auto &field, const char *what) {
    // A complex number is two values, one after the other.
    uint64_t expected = size / sizeof(*field.data());
    if (uint64_t(field.size()) != expected || typed != field.size())
      return wrong(what, typed, expected);
    payload.bytes = {reinterpret_cast<const char *>(field.data()),
                     field.size() * sizeof(*field.data())};
    return true;
  };
  switch (info.field) {
  case Field::float32:
    return array(tensor.float_data(), "values");
  case Field::float64:
    return array(tensor.double_data(), "values");
  case Field::int64:
    return array(tensor.int64_data(), "values");
  case Field::uint64:
    if (info.bits == 64)
      return array(tensor.uint64_data(), "values");
    break;
  case Field::int32:
    if (info.bits == 32)
      return array(tensor.int32_data(), "values");
    break;
  case Field::none:
    break;
  }
  // Narrow types sit one (4- and 2-bit types: several) to a wider number.
  // Six-bit floats have a number each.
  bool shared = small && info.bits != 6;
  uint64_t expected = shared ? size : count;
  uint64_t found = info.field == Field::uint64 ? tensor.uint64_data_size()
                                               : tensor.int32_data_size();
  if (found != expected || uint64_t(typed) != found)
    return wrong("values", typed, expected);
  unsigned width = small ? 1 : info.bits / 8;
  auto bytes = std::make_shared<std::vector<char>>(found * width);
  for (uint64_t i = 0; i < found; ++i) {
    uint64_t value = info.field == Field::uint64
                         ? tensor.uint64_data(i)
                         : uint64_t(uint32_t(tensor.int32_data(i)));
    if (info.type == BOOL)
      value = value != 0;
    if (info.bits == 6)
      value &= 0x3f;
    std::memcpy(bytes->data() + i * width, &value, width);
  }
  if (shared)
    return adopt({bytes->data(), bytes->size()});
  payload.bytes = {bytes->data(), bytes->size()};
  payload.copy = std::move(bytes);
  return true;
}

ElementsAttr aicc::onnx::toAttribute(MLIRContext *context,
                                     const std::shared_ptr<Model> &model,
                                     const proto::TensorProto &tensor,
                                     StringRef name, std::string &error) {
  Payload payload;
  if (!decode(*model, tensor, payload, error))
    return {};
  Type element = elementType(context, tensor.data_type());
  SmallVector<int64_t> dims(tensor.dims().begin(), tensor.dims().end());
  auto type = RankedTensorType::get(dims, element);
  unsigned width = elementBytes(element);
  // Few bytes are worth reading in the printed form and folding.
  constexpr size_t smallBytes = 1024;
  if (payload.bytes.size() <= smallBytes || type.getNumElements() == 0) {
    if (element.isInteger(1)) {
      SmallVector<bool> values;
      for (char c : payload.bytes)
        values.push_back(c != 0);
      return DenseElementsAttr::get(type, values);
    }
    unsigned bits =
        isa<ComplexType>(element) ? 64 : element.getIntOrFloatBitWidth();
    if (bits < 8) {
      SmallVector<APInt> values;
      for (char c : payload.bytes)
        values.push_back(APInt(8, uint8_t(c)).trunc(bits));
      if (auto real = dyn_cast<FloatType>(element)) {
        SmallVector<APFloat> floats;
        for (const APInt &value : values)
          floats.push_back(APFloat(real.getFloatSemantics(), value));
        return DenseElementsAttr::get(type, floats);
      }
      return DenseElementsAttr::get(type, values);
    }
    if (type.getNumElements() == 0)
      return DenseElementsAttr::getFromRawBuffer(type, {});
    return DenseElementsAttr::getFromRawBuffer(
        type, ArrayRef<char>(payload.bytes.data(), payload.bytes.size()));
  }
  // Kernels read whole elements: an external tensor at an odd offset is moved.
  if (!payload.copy && uintptr_t(payload.bytes.data()) % width != 0) {
    payload.copy = std::make_shared<std::vector<char>>(payload.bytes.begin(),
                                                       payload.bytes.end());
    payload.bytes = {payload.copy->data(), payload.copy->size()};
  }
  std::shared_ptr<void> owner = model;
  if (payload.copy)
    owner = payload.copy;
  AsmResourceBlob blob(
      ArrayRef<char>(payload.bytes.data(), payload.bytes.size()), width,
      [owner](void *, size_t, size_t) mutable { owner.reset(); },
      /*dataIsMutable=*/false);
  return DenseResourceElementsAttr::get(type, name, std::move(blob));
}

ElementsAttr aicc::onnx::smallConstant(RankedTensorType type,
                                       ArrayRef<int64_t> values) {
  Type element = type.getElementType();
  if (isa<FloatType, ComplexType>(element)) {
    SmallVector<double> numbers(values.begin(), values.end());
    return smallConstant(type, numbers);
  }
  SmallVector<APInt> numbers;
  for (int64_t value : values)
    numbers.push_back(
        APInt(64, value, true).trunc(element.getIntOrFloatBitWidth()));
  return DenseElementsAttr::get(type, numbers);
}

ElementsAttr aicc::onnx::smallConstant(RankedTensorType type,
                                       ArrayRef<double> values) {
  Type element = type.getElementType();
  if (auto complex = dyn_cast<ComplexType>(element)) {
    auto part = cast<FloatType>(complex.getElementType());
    auto convert = [&](double value) {
      APFloat number(value);
      bool lost;
      number.convert(part.getFloatSemantics(), APFloat::rmNearestTiesToEven,
                     &lost);
      return number;
    };
    SmallVector<std::complex<APFloat>> numbers;
    for (double value : values)
      numbers.push_back({convert(value), convert(0)});
    return DenseElementsAttr::get(type, numbers);
  }
  auto real = dyn_cast<FloatType>(element);
  if (!real) {
    SmallVector<int64_t> numbers;
    for (double value : values)
      numbers.push_back(std::isnan(value) ? 0
                                          : static_cast<int64_t>(std::clamp(
                                                value, -9.2e18, 9.2e18)));
    return smallConstant(type, numbers);
  }
  SmallVector<APFloat> numbers;
  for (double value : values) {
    APFloat number(value);
    bool lost;
    number.convert(real.getFloatSemantics(), APFloat::rmNearestTiesToEven,
                   &lost);
    numbers.push_back(number);
  }
  return DenseElementsAttr::get(type, numbers);
}

const proto::TensorProto *
aicc::onnx::densify(Model &model, const proto::SparseTensorProto &sparse,
                    int64_t maxElements, std::string &error) {
  const proto::TensorProto &values = sparse.values();
  const proto::TensorProto &indices = sparse.indices();
  std::string name = "sparse tensor " + quoted(values.name());
  if (!checkTensor(values, maxElements, error) ||
      !checkTensor(indices, maxElements, error))
    return nullptr;
  proto::TensorProto *dense = model.newTensor();
  dense->set_name(values.name());
  dense->set_data_type(values.data_type());
  *dense->mutable_dims() = sparse.dims();
  if (!checkTensor(*dense, maxElements, error))
    return nullptr;
  const TypeInfo &info = *infoOf(values.data_type());
  int64_t count = countOf(*dense);
  if (info.bits < 8 || uint64_t(count) > model.denseBudget / (info.bits / 8)) {
    error = name + " of type " + info.name + " with " + std::to_string(count) +
            " elements is not supported";
    return nullptr;
  }
  int64_t given = countOf(values);
  int rank = sparse.dims_size();
  bool linear = indices.dims_size() == 1;
  if (indices.data_type() != INT64 || values.dims_size() != 1 ||
      (linear ? indices.dims(0) != given
              : indices.dims_size() != 2 || indices.dims(0) != given ||
                    indices.dims(1) != rank)) {
    error = name + " has indices that do not fit its values";
    return nullptr;
  }
  Payload from, where;
  if (!decode(model, values, from, error) ||
      !decode(model, indices, where, error))
    return nullptr;
  unsigned width = info.bits / 8;
  model.denseBudget -= uint64_t(count) * width;
  std::string &data = *dense->mutable_raw_data();
  data.assign(count * width, '\0');
  auto index = [&](int64_t i) {
    int64_t value;
    std::memcpy(&value, where.bytes.data() + i * 8, 8);
    return value;
  };
  for (int64_t i = 0; i < given; ++i) {
    int64_t at = linear ? index(i) : 0;
    bool inside = true;
    for (int d = 0; !linear && d < rank; ++d) {
      int64_t part = index(i * rank + d);
      inside &= part >= 0 && part < sparse.dims(d);
      at = inside ? at * sparse.dims(d) + part : 0;
    }
    if (!inside || at < 0 || at >= count) {
      error = name + " has an index outside its dimensions";
      return nullptr;
    }
    std::memcpy(&data[at * width], from.bytes.data() + i * width, width);
  }
  return dense;
}
