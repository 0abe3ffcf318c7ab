//===- Import.cpp - ONNX models to the graph dialect ----------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/Import.h"
#include "frontends/onnx/Importer.h"

#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"

using namespace mlir;
using namespace aicc::onnx;
using llvm::StringRef;

/// Counts the messages of a graph before they are parsed: an empty node takes
/// two bytes of a file and a hundred of memory.
static bool plausibleSize(StringRef data) {
  // One message object per eight bytes of file is far above any real model's
  // density only for small files, so only large ones are worth the scan.
  constexpr size_t small = size_t(64) << 20;
  if (data.size() <= small)
    return true;
  google::protobuf::io::CodedInputStream in(
      reinterpret_cast<const uint8_t *>(data.data()),
      static_cast<int>(data.size()));
  uint64_t messages = 0;
  // ModelProto.graph is field 7; its repeated messages are counted.
  while (uint32_t tag = in.ReadTag()) {
    uint32_t length;
    if ((tag & 7) != 2) {
      uint64_t number;
      if ((tag & 7) == 0 ? !in.ReadVarint64(&number)
                         : !in.Skip((tag & 7) == 5 ? 4 : 8))
        return true;
      continue;
    }
    if (!in.ReadVarint32(&length))
      return true;
    if ((tag >> 3) == 7) {
      auto limit = in.PushLimit(length);
      while (uint32_t inner = in.ReadTag()) {
        uint64_t number;
        uint32_t size;
        if ((inner & 7) == 2) {
          if (!in.ReadVarint32(&size) || !in.Skip(size))
            return true;
          ++messages;
        } else if ((inner & 7) == 0 ? !in.ReadVarint64(&number)
                                    : !in.Skip((inner & 7) == 5 ? 4 : 8)) {
          return true;
        }
      }
      in.PopLimit(limit);
    } else if (!in.Skip(length)) {
      return true;
    }
  }
  constexpr uint64_t most = uint64_t(8) << 20;
  return messages <= most;
}

OwningOpRef<ModuleOp> aicc::onnx::importModelFromMemory(
    MLIRContext &context, StringRef data, StringRef directory,
    const ImportOptions &options, std::string &error) {
  error.clear();
  auto model = std::make_shared<Model>();
  model->directory = directory.str();
  model->allowSymlinks = options.allowSymlinks;
  if (data.size() > size_t(INT32_MAX)) {
    error = "the model has " + std::to_string(data.size()) +
            " bytes, expected less than 2 GiB with larger weights as external "
            "data";
    return {};
  }
  if (!plausibleSize(data)) {
    error = "the model has too many nodes and tensors for its size";
    return {};
  }
  google::protobuf::io::CodedInputStream in(
      reinterpret_cast<const uint8_t *>(data.data()),
      static_cast<int>(data.size()));
  in.SetRecursionLimit(100);
  if (!model->proto.ParseFromCodedStream(&in) || !in.ConsumedEntireMessage()) {
    error = "the model is damaged: it is not a complete ONNX protobuf message";
    return {};
  }
  if (!model->proto.has_graph()) {
    error = "the model has no graph";
    return {};
  }
  Importer importer(&context, model, options);
  return importer.run(error);
}

OwningOpRef<ModuleOp> aicc::onnx::importModel(MLIRContext &context,
                                              StringRef path,
                                              const ImportOptions &options,
                                              std::string &error) {
  error.clear();
  auto file = mapModelFile(path.str(), error);
  if (!file)
    return {};
  size_t slash = path.rfind('/');
  StringRef directory = slash == StringRef::npos ? StringRef(".")
                        : slash == 0             ? StringRef("/")
                                                 : path.take_front(slash);
  auto module =
      importModelFromMemory(context, file->bytes(), directory, options, error);
  if (!module && !error.empty())
    error = path.str() + ": " + error;
  return module;
}
