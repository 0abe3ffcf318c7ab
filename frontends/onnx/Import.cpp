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

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//
//
// An empty message takes two bytes of a file and hundreds of memory, a packed
// number one byte and eight. The file is scanned first, so that what parsing
// allocates is bounded by more than the size of the file.
//

namespace {

enum class Message {
  none,
  model,
  graph,
  node,
  attribute,
  tensor,
  sparse,
  function
};

/// What a length-delimited field of a message holds.
Message fieldMessage(Message message, uint32_t field) {
  using M = Message;
  switch (message) {
  case M::model:
    return field == 7 ? M::graph : field == 25 ? M::function : M::none;
  case M::graph:
    return field == 1    ? M::node
           : field == 5  ? M::tensor
           : field == 15 ? M::sparse
                         : M::none;
  case M::node:
    return field == 5 ? M::attribute : M::none;
  case M::attribute:
    return field == 5 || field == 10   ? M::tensor
           : field == 6 || field == 11 ? M::graph
           : field == 22               ? M::sparse
                                       : M::none;
  case M::sparse:
    return field <= 2 ? M::tensor : M::none;
  case M::function:
    return field == 7 ? M::node : field == 11 ? M::attribute : M::none;
  default:
    return M::none;
  }
}

struct Census {
  uint64_t messages = 0;
  /// Bytes of packed numbers of variable length.
  uint64_t packed = 0;

  /// False where the bytes are no messages; the parser says so better.
  bool count(google::protobuf::io::CodedInputStream &in, Message message,
             int depth) {
    constexpr int maxDepth = 100;
    if (depth > maxDepth)
      return false;
    while (uint32_t tag = in.ReadTag()) {
      uint64_t number;
      uint32_t length, field = tag >> 3;
      switch (tag & 7) {
      case 0:
        if (!in.ReadVarint64(&number))
          return false;
        break;
      case 1:
      case 5:
        if (!in.Skip((tag & 7) == 1 ? 8 : 4))
          return false;
        break;
      case 2: {
        if (!in.ReadVarint32(&length) || length > uint32_t(INT32_MAX))
          return false;
        ++messages;
        if (message == Message::tensor &&
            (field == 1 || field == 5 || field == 7 || field == 11))
          packed += length;
        Message inner = fieldMessage(message, field);
        if (inner == Message::none) {
          if (!in.Skip(length))
            return false;
          break;
        }
        auto limit = in.PushLimit(length);
        if (!count(in, inner, depth + 1) || in.BytesUntilLimit() != 0)
          return false;
        in.PopLimit(limit);
        break;
      }
      default:
        return false;
      }
    }
    return true;
  }
};

} // namespace

static bool plausibleSize(StringRef data) {
  google::protobuf::io::CodedInputStream in(
      reinterpret_cast<const uint8_t *>(data.data()),
      static_cast<int>(data.size()));
  Census census;
  // What was counted up to a defect counts, too: the parser allocates for it.
  census.count(in, Message::model, 0);
  constexpr uint64_t mostMessages = uint64_t(6) << 20;
  constexpr uint64_t mostPacked = uint64_t(256) << 20;
  return census.messages <= mostMessages && census.packed <= mostPacked;
}

OwningOpRef<ModuleOp> aicc::onnx::importModelFromMemory(
    MLIRContext &context, StringRef data, StringRef directory,
    const ImportOptions &options, std::string &error,
    std::vector<std::string> *neededInputs) {
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
    error = "the model has too many nodes, tensors or unpacked numbers, "
            "expected weights as raw or external data";
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
  return importer.run(error, neededInputs);
}

OwningOpRef<ModuleOp>
aicc::onnx::importModel(MLIRContext &context, StringRef path,
                        const ImportOptions &options, std::string &error,
                        std::vector<std::string> *neededInputs) {
  error.clear();
  auto file = mapModelFile(path.str(), error);
  if (!file)
    return {};
  size_t slash = path.rfind('/');
  StringRef directory = slash == StringRef::npos ? StringRef(".")
                        : slash == 0             ? StringRef("/")
                                                 : path.take_front(slash);
  auto module = importModelFromMemory(context, file->bytes(), directory,
                                      options, error, neededInputs);
  if (!module && !error.empty())
    error = path.str() + ": " + error;
  return module;
}
