//===- Model.h - a parsed model and the files it refers to ------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Owns all memory that weights point into; shared by the importer and by every
// blob handed to the context. Used by one thread while importing.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_FRONTENDS_ONNX_MODEL_H
#define AICC_FRONTENDS_ONNX_MODEL_H

#include "frontends/onnx/Import.h"
#include "frontends/onnx/Schema.pb.h"

#include "llvm/ADT/StringMap.h"

#include <deque>
#include <memory>

namespace aicc::onnx {

/// A read-only mapping of a whole file.
class MappedFile {
public:
  MappedFile(const char *data, size_t size) : data_(data), size_(size) {}
  MappedFile(const MappedFile &) = delete;
  MappedFile &operator=(const MappedFile &) = delete;
  ~MappedFile();
  llvm::StringRef bytes() const { return {data_, size_}; }

  /// Maps an open file of any size; null and a reason on failure. Closes `fd`.
  static std::unique_ptr<MappedFile> map(int fd, std::string &error);

private:
  const char *data_;
  size_t size_;
};

/// Opens and maps the model file itself, following links as the user may.
std::unique_ptr<MappedFile> mapModelFile(const std::string &path,
                                         std::string &error);

class Model {
public:
  proto::ModelProto proto;
  /// Where external data lives; empty refuses it.
  std::string directory;
  bool allowSymlinks = false;

  /// The bytes that the external_data entries of a tensor name, or empty with
  /// a reason in `error`. `length` is what its type and dimensions ask for.
  llvm::StringRef external(const proto::TensorProto &tensor, uint64_t length,
                           std::string &error);

  /// A tensor made by the importer (a densified one, say) that lives as long
  /// as the model.
  proto::TensorProto *newTensor() { return &made_.emplace_back(); }
  /// Zeros of sparse tensors cost nothing in a file: bytes that they may still
  /// take in memory.
  uint64_t denseBudget = uint64_t(1) << 30;

private:
  MappedFile *open(const std::string &location, std::string &error);

  llvm::StringMap<std::unique_ptr<MappedFile>> files_;
  std::deque<proto::TensorProto> made_;
};

} // namespace aicc::onnx

#endif // AICC_FRONTENDS_ONNX_MODEL_H
