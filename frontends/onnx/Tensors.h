//===- Tensors.h - element types and payloads of tensors --------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// TensorProto in all its forms. Nothing here keeps state; attributes belong to
// the context and hold the model alive through their blobs.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_FRONTENDS_ONNX_TENSORS_H
#define AICC_FRONTENDS_ONNX_TENSORS_H

#include "frontends/onnx/Model.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"

namespace aicc::onnx {

/// TensorProto.DataType. Numbers, because the schema keeps them as numbers.
enum DataType : int32_t {
  UNDEFINED = 0,
  FLOAT = 1,
  UINT8 = 2,
  INT8 = 3,
  UINT16 = 4,
  INT16 = 5,
  INT32 = 6,
  INT64 = 7,
  STRING = 8,
  BOOL = 9,
  FLOAT16 = 10,
  DOUBLE = 11,
  UINT32 = 12,
  UINT64 = 13,
  COMPLEX64 = 14,
  COMPLEX128 = 15,
  BFLOAT16 = 16,
  FLOAT8E4M3FN = 17,
  FLOAT8E4M3FNUZ = 18,
  FLOAT8E5M2 = 19,
  FLOAT8E5M2FNUZ = 20,
  UINT4 = 21,
  INT4 = 22,
  FLOAT4E2M1 = 23,
  FLOAT8E8M0 = 24,
  UINT2 = 25,
  INT2 = 26,
  FLOAT6E2M3 = 27,
  FLOAT6E3M2 = 28
};

/// The name as ONNX writes it, "float16"; "type 99" for an unknown number.
std::string dataTypeName(int32_t type);

/// The element type; null for strings and unknown types.
/// Signed integers are signless, unsigned ones `uiN`, booleans `i1`.
mlir::Type elementType(mlir::MLIRContext *context, int32_t type);
/// The inverse, UNDEFINED if there is none.
int32_t dataTypeOf(mlir::Type element);

/// Bytes of an element in memory: narrower types take one byte each.
unsigned elementBytes(mlir::Type element);

/// Checks type and dimensions without touching the data.
bool checkTensor(const proto::TensorProto &tensor, int64_t maxElements,
                 std::string &error);

/// The elements one after the other in `elementBytes` each. Points into the
/// model where the layout allows, else into `copy`.
struct Payload {
  llvm::StringRef bytes;
  std::shared_ptr<std::vector<char>> copy;
};
bool decode(Model &model, const proto::TensorProto &tensor, Payload &payload,
            std::string &error);

/// The tensor as an attribute: `dense` for a few bytes, else `dense_resource`.
/// Null with a reason on failure.
mlir::ElementsAttr toAttribute(mlir::MLIRContext *context,
                               const std::shared_ptr<Model> &model,
                               const proto::TensorProto &tensor,
                               llvm::StringRef name, std::string &error);

/// An attribute of a few elements, given as doubles or integers.
mlir::ElementsAttr smallConstant(mlir::RankedTensorType type,
                                 llvm::ArrayRef<int64_t> values);
mlir::ElementsAttr smallConstant(mlir::RankedTensorType type,
                                 llvm::ArrayRef<double> values);

/// Makes a dense tensor of a sparse one; null with a reason on failure.
const proto::TensorProto *densify(Model &model,
                                  const proto::SparseTensorProto &sparse,
                                  int64_t maxElements, std::string &error);

} // namespace aicc::onnx

#endif // AICC_FRONTENDS_ONNX_TENSORS_H
