//===- Tensor.cpp - memory with a type and a shape ------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Tensor.h"

#include "runtime/device/Device.h"

#include "aicc/dlpack.h"

#include <cstdlib>
#include <cstring>
#include <new>

using namespace aicc;

std::string aicc::printDims(std::span<const int64_t> dims) {
  std::string text;
  for (int64_t dim : dims)
    text += (text.empty() ? "" : "x") + std::to_string(dim);
  return text;
}

Status aicc::denseBytes(aicc_type type, std::span<const int64_t> dims,
                        size_t &out) {
  uint64_t bytes = aicc_type_size(type);
  if (bytes == 0)
    return invalidArgument("element type " + std::to_string(int(type)) +
                           " doesn't exist");
  for (int64_t dim : dims) {
    if (dim < 0)
      return invalidArgument("shape " + printDims(dims) +
                             " has a negative dimension");
    if (__builtin_mul_overflow(bytes, uint64_t(dim), &bytes) ||
        bytes > uint64_t(INT64_MAX))
      return invalidArgument("shape " + printDims(dims) +
                             " has too many elements");
  }
  out = size_t(bytes);
  return {};
}

static Status makeTensor(aicc_type type, std::span<const int64_t> dims,
                         void *data, std::unique_ptr<aicc_tensor> &out) {
  size_t bytes;
  AICC_RETURN_IF_ERROR(denseBytes(type, dims, bytes));
  // Nothing needs more than the alignment of 8 bytes.
  const size_t alignment = std::min<size_t>(aicc_type_size(type), 8);
  if (data && reinterpret_cast<uintptr_t>(data) % alignment != 0)
    return invalidArgument("data of a tensor of " +
                           std::string(aicc_type_name(type)) +
                           " is not aligned to its elements");
  out = std::make_unique<aicc_tensor>();
  out->type = type;
  out->dims.assign(dims.begin(), dims.end());
  out->bytes = bytes;
  out->data = data;
  return {};
}

Status aicc::createTensor(aicc_type type, std::span<const int64_t> dims,
                          aicc_tensor *&out) {
  std::unique_ptr<aicc_tensor> tensor;
  AICC_RETURN_IF_ERROR(makeTensor(type, dims, nullptr, tensor));
  if (tensor->bytes <= size_t(1) << 47)
    tensor->data = std::aligned_alloc(64, (tensor->bytes + 64) / 64 * 64);
  if (!tensor->data)
    return Status(Code::outOfMemory,
                  "no memory for a tensor of shape " + printDims(dims) + ", " +
                      std::to_string(tensor->bytes) + " bytes");
  tensor->release = std::free;
  tensor->context = tensor->data;
  // Addresses, to which not every byte is a right one.
  if (type == AICC_STRING)
    std::memset(tensor->data, 0, tensor->bytes);
  out = tensor.release();
  return {};
}

Status aicc::keepStrings(aicc_tensor &tensor) {
  const std::span<aicc_string> strings(static_cast<aicc_string *>(tensor.data),
                                       tensor.bytes / sizeof(aicc_string));
  uint64_t total = 0;
  for (const aicc_string &string : strings)
    if (__builtin_add_overflow(total, string.size, &total) ||
        total > uint64_t(1) << 47 || (string.size && !string.data))
      return invalidArgument("strings of " + std::to_string(total) +
                             " bytes are absurd");
  std::unique_ptr<char[]> characters(new (std::nothrow) char[total + 1]);
  if (!characters)
    return Status(Code::outOfMemory, "no memory for strings of " +
                                         std::to_string(total) + " bytes");
  char *at = characters.get();
  for (aicc_string &string : strings) {
    std::memcpy(at, string.data ? string.data : "", string.size);
    string.data = at;
    at += string.size;
  }
  // Only now: strings may have been in what the tensor had.
  tensor.characters = std::move(characters);
  return {};
}

static std::span<const int64_t> makeSpan(const int64_t *dims, size_t rank) {
  return dims ? std::span(dims, rank) : std::span<const int64_t>();
}

aicc_status aicc_tensor_create(aicc_type type, size_t rank, const int64_t *dims,
                               aicc_tensor **out) {
  aicc_tensor *tensor;
  if (Status status = createTensor(type, makeSpan(dims, rank), tensor);
      !status.ok())
    return report(status);
  *out = tensor;
  return AICC_OK;
}

aicc_status aicc_tensor_from_device(aicc_device *device, void *data,
                                    aicc_type type, size_t rank,
                                    const int64_t *dims,
                                    void (*release)(void *context),
                                    void *context, aicc_tensor **out) {
  std::unique_ptr<aicc_tensor> tensor;
  if (Status status = makeTensor(type, makeSpan(dims, rank), data, tensor);
      !status.ok())
    return report(status);
  if (!data && tensor->bytes)
    return report(invalidArgument("tensor of shape " + printDims(tensor->dims) +
                                  " has no data"));
  tensor->device = device;
  tensor->release = release;
  tensor->context = context;
  *out = tensor.release();
  return AICC_OK;
}

aicc_status aicc_tensor_from_host(void *data, aicc_type type, size_t rank,
                                  const int64_t *dims,
                                  void (*release)(void *context), void *context,
                                  aicc_tensor **out) {
  return aicc_tensor_from_device(nullptr, data, type, rank, dims, release,
                                 context, out);
}

void aicc_tensor_retain(aicc_tensor *tensor) {
  tensor->references.fetch_add(1, std::memory_order_relaxed);
}

void aicc_tensor_release(aicc_tensor *tensor) {
  if (tensor && tensor->references.fetch_sub(1, std::memory_order_acq_rel) == 1)
    delete tensor;
}

aicc_type aicc_tensor_type(const aicc_tensor *tensor) { return tensor->type; }
size_t aicc_tensor_rank(const aicc_tensor *tensor) {
  return tensor->dims.size();
}
const int64_t *aicc_tensor_dims(const aicc_tensor *tensor) {
  return tensor->dims.data();
}
size_t aicc_tensor_bytes(const aicc_tensor *tensor) { return tensor->bytes; }
void *aicc_tensor_data(const aicc_tensor *tensor) { return tensor->data; }
aicc_device *aicc_tensor_device(const aicc_tensor *tensor) {
  return tensor->device;
}

//===----------------------------------------------------------------------===//
// DLPack
//===----------------------------------------------------------------------===//

static constexpr std::pair<uint8_t, aicc_type> dlpackFloat8[] = {
    {kDLFloat8_e4m3fn, AICC_F8E4M3FN},
    {kDLFloat8_e4m3fnuz, AICC_F8E4M3FNUZ},
    {kDLFloat8_e5m2, AICC_F8E5M2},
    {kDLFloat8_e5m2fnuz, AICC_F8E5M2FNUZ},
    {kDLFloat8_e8m0fnu, AICC_F8E8M0FNU}};

static aicc_type fromDLPack(DLDataType type) {
  if (type.lanes != 1)
    return aicc_type(0);
  switch (type.code) {
  case kDLBool:
    return type.bits == 8 ? AICC_BOOL : aicc_type(0);
  case kDLInt:
    return type.bits == 8    ? AICC_I8
           : type.bits == 16 ? AICC_I16
           : type.bits == 32 ? AICC_I32
           : type.bits == 64 ? AICC_I64
                             : aicc_type(0);
  case kDLUInt:
    return type.bits == 8    ? AICC_U8
           : type.bits == 16 ? AICC_U16
           : type.bits == 32 ? AICC_U32
           : type.bits == 64 ? AICC_U64
                             : aicc_type(0);
  case kDLFloat:
    return type.bits == 16   ? AICC_F16
           : type.bits == 32 ? AICC_F32
           : type.bits == 64 ? AICC_F64
                             : aicc_type(0);
  case kDLBfloat:
    return type.bits == 16 ? AICC_BF16 : aicc_type(0);
  case kDLComplex:
    return type.bits == 64    ? AICC_C64
           : type.bits == 128 ? AICC_C128
                              : aicc_type(0);
  }
  for (auto [code, known] : dlpackFloat8)
    if (type.code == code && type.bits == 8)
      return known;
  return aicc_type(0);
}

// Its `bits` are 0 for what DLPack has no type for.
static DLDataType toDLPack(aicc_type type) {
  const uint8_t bits = uint8_t(aicc_type_size(type) * 8);
  switch (type) {
  case AICC_BOOL:
    return {kDLBool, bits, 1};
  case AICC_I8:
  case AICC_I4: // a byte each, as which DLPack knows them
  case AICC_I2:
  case AICC_I16:
  case AICC_I32:
  case AICC_I64:
    return {kDLInt, bits, 1};
  case AICC_U8:
  case AICC_U4:
  case AICC_U2:
  case AICC_U16:
  case AICC_U32:
  case AICC_U64:
    return {kDLUInt, bits, 1};
  case AICC_BF16:
    return {kDLBfloat, bits, 1};
  case AICC_F16:
  case AICC_F32:
  case AICC_F64:
    break;
  case AICC_C64:
  case AICC_C128:
    return {kDLComplex, bits, 1};
  case AICC_F8E4M3FN:
  case AICC_F8E4M3FNUZ:
  case AICC_F8E5M2:
  case AICC_F8E5M2FNUZ:
  case AICC_F8E8M0FNU:
    for (auto [code, known] : dlpackFloat8)
      if (type == known)
        return {code, bits, 1};
    break;
  case AICC_F4E2M1FN:
  case AICC_F6E2M3FN:
  case AICC_F6E3M2FN:
  case AICC_STRING:
  case AICC_TYPE_LIMIT:
    return {kDLOpaqueHandle, 0, 1};
  }
  return {kDLFloat, bits, 1};
}

static constexpr std::pair<int, const char *> dlpackFamilies[] = {
    {kDLCUDA, "cuda"}, {kDLROCM, "rocm"}, {kDLOneAPI, "intel"}};

static void releaseDLPack(void *context) {
  auto *managed = static_cast<DLManagedTensor *>(context);
  if (managed->deleter)
    managed->deleter(managed);
}

aicc_status aicc_tensor_from_dlpack(DLManagedTensor *managed,
                                    aicc_tensor **out) {
  const DLTensor &from = managed->dl_tensor;
  const aicc_type type = fromDLPack(from.dtype);
  if (type == 0)
    return report(Status(
        Code::unsupported,
        "DLPack type with code " + std::to_string(from.dtype.code) + ", " +
            std::to_string(from.dtype.bits) + " bits and " +
            std::to_string(from.dtype.lanes) + " lanes is not supported"));
  if (from.ndim < 0)
    return report(
        invalidArgument("DLPack tensor has rank " + std::to_string(from.ndim)));
  aicc_device *device = nullptr;
  if (from.device.device_type != kDLCPU &&
      from.device.device_type != kDLCUDAHost) {
    const char *family = nullptr;
    for (auto [code, name] : dlpackFamilies)
      if (code == from.device.device_type)
        family = name;
    if (!family)
      return report(Status(Code::unsupported,
                           "DLPack device type " +
                               std::to_string(from.device.device_type) +
                               " is not supported"));
    if (Status status = device::find(
            family + (":" + std::to_string(from.device.device_id)), device);
        !status.ok())
      return report(status);
  }
  if (from.strides) {
    int64_t expected = 1;
    for (int32_t d = from.ndim; d-- > 0;) {
      // The stride of a dimension of one element says nothing.
      if (from.shape[d] != 1 && from.strides[d] != expected)
        return report(invalidArgument(
            "DLPack tensor is not contiguous: dimension " + std::to_string(d) +
            " has stride " + std::to_string(from.strides[d]) + ", expected " +
            std::to_string(expected)));
      expected = int64_t(uint64_t(expected) * uint64_t(from.shape[d]));
    }
  }
  return aicc_tensor_from_device(
      device, static_cast<char *>(from.data) + from.byte_offset, type,
      size_t(from.ndim), from.shape, releaseDLPack, managed, out);
}

aicc_status aicc_tensor_to_dlpack(aicc_tensor *tensor, DLManagedTensor **out) {
  int32_t type = kDLCPU, index = 0;
  if (tensor->device) {
    const std::string &name = tensor->device->name;
    const size_t colon = name.find(':');
    type = 0;
    for (auto [code, family] : dlpackFamilies)
      if (name.compare(0, colon, family) == 0)
        type = code;
    if (name.compare(0, colon, "cpu") == 0)
      type = kDLCPU;
    if (type == 0)
      return report(
          Status(Code::unsupported, "DLPack has no device type for " + name));
    index = int32_t(std::atoi(name.c_str() + colon + 1));
  }
  const DLDataType element = toDLPack(tensor->type);
  if (element.bits == 0)
    return report(
        Status(Code::unsupported, std::string("DLPack has no type for ") +
                                      aicc_type_name(tensor->type)));
  auto *managed = new DLManagedTensor{};
  managed->dl_tensor.data = tensor->data;
  managed->dl_tensor.device = {type, index};
  managed->dl_tensor.ndim = int32_t(tensor->dims.size());
  managed->dl_tensor.dtype = element;
  managed->dl_tensor.shape = tensor->dims.data();
  managed->manager_ctx = tensor;
  managed->deleter = [](DLManagedTensor *self) {
    aicc_tensor_release(static_cast<aicc_tensor *>(self->manager_ctx));
    delete self;
  };
  aicc_tensor_retain(tensor);
  *out = managed;
  return AICC_OK;
}
