//===- Resources.cpp - what a kernel takes, by its object's metadata ------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "backends/rocm/codegen/Resources.h"

#include "llvm/BinaryFormat/ELF.h"
#include "llvm/BinaryFormat/MsgPackDocument.h"
#include "llvm/Object/ELF.h"
#include "llvm/Object/ELFTypes.h"

using namespace llvm;

namespace aicc::backends::rocm {

/// The metadata of all kernels in an object: MessagePack in a note.
static std::string metadataOf(StringRef object) {
  using File = object::ELFFile<object::ELF64LE>;
  Expected<File> file = File::create(object);
  if (!file) {
    consumeError(file.takeError());
    return {};
  }
  auto sections = file->sections();
  if (!sections) {
    consumeError(sections.takeError());
    return {};
  }
  std::string found;
  for (const auto &section : *sections) {
    if (section.sh_type != ELF::SHT_NOTE)
      continue;
    Error error = Error::success();
    for (const auto &note : file->notes(section, error))
      if (note.getName() == "AMDGPU" &&
          note.getType() == ELF::NT_AMDGPU_METADATA)
        found = note.getDescAsStringRef(section.sh_addralign).str();
    consumeError(std::move(error));
  }
  return found;
}

std::vector<std::pair<std::string, int64_t>> resourcesOf(StringRef object,
                                                         StringRef kernel) {
  static constexpr std::pair<StringLiteral, StringLiteral> keys[] = {
      {".vgpr_count", "vgprs"},
      {".agpr_count", "agprs"},
      {".sgpr_count", "sgprs"},
      {".vgpr_spill_count", "spilled vgprs"},
      {".sgpr_spill_count", "spilled sgprs"},
      {".private_segment_fixed_size", "private bytes"},
      {".group_segment_fixed_size", "shared bytes"}};
  std::string blob = metadataOf(object);
  msgpack::Document document;
  if (blob.empty() || !document.readFromBlob(blob, /*Multi=*/false) ||
      !document.getRoot().isMap())
    return {};
  msgpack::DocNode &kernels = document.getRoot().getMap()["amdhsa.kernels"];
  if (!kernels.isArray())
    return {};
  std::vector<std::pair<std::string, int64_t>> resources;
  for (msgpack::DocNode &node : kernels.getArray()) {
    if (!node.isMap() || node.getMap()[".name"].toString() != kernel)
      continue;
    for (auto [key, name] : keys) {
      msgpack::DocNode &value = node.getMap()[key];
      if (value.getKind() == msgpack::Type::UInt)
        resources.emplace_back(name.str(), int64_t(value.getUInt()));
      else if (value.getKind() == msgpack::Type::Int)
        resources.emplace_back(name.str(), value.getInt());
    }
  }
  return resources;
}

} // namespace aicc::backends::rocm
