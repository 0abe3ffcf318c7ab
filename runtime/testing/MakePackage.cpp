//===- MakePackage.cpp - writes a small package, for tests of tools -------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// aicc_make_test_package KERNELS.so OUT.aicc [FAMILY [MODEL [HEADER]]]
//
// A FAMILY that ends with ":virtual" gets objects of that format. MODEL is
// `affine`, `compress`, `several`, which is affine in three variants, one of
// them wrong, or `everything`, which has each operation of a program but isn't
// meant to run. HEADER gets the header alone, as a seed of the fuzzer.
// KERNELS.so may be absent where nothing runs.
//
//===----------------------------------------------------------------------===//

#include "PackageBuilder.h"

static bool write(const char *path, const uint8_t *data, size_t size) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char *>(data), std::streamsize(size));
  return file.good();
}

using namespace aicc::testing;

// compress, followed by what it doesn't use.
static PackageBuilder everything(const std::string &family,
                                 const std::vector<uint8_t> &kernels) {
  PackageBuilder b = compressModel(family, "elf-so", kernels);
  b.package.symbol_count = 4;
  VariantBuilder v(*b.package.variants[0]);
  const uint32_t one = v.exprs.constant(1), eight = v.exprs.constant(8);
  const uint32_t flag = v.buffer("flag", pkg::Storage::temporary, 0,
                                 pkg::ElementType::bool_, {}, one, 4, 9);
  uint32_t pair[2];
  for (uint32_t &buffer : pair)
    buffer = v.buffer("pair", pkg::Storage::temporary, 0, pkg::ElementType::i64,
                      {}, eight, 4, 9);
  v.variant.program.push_back(v.transfer(pkg::Operation::fill_zero, {flag}));
  auto branch = v.transfer(pkg::Operation::branch, {flag});
  branch->body.push_back(v.read(pair[0], 2, "node"));
  branch->otherwise.push_back(v.read(pair[1], 2));
  v.variant.program.push_back(std::move(branch));
  std::vector<std::unique_ptr<pkg::InstructionT>> body;
  body.push_back(v.transfer(pkg::Operation::swap, {pair[0], pair[1]}));
  auto loop = v.loop(3, v.exprs.symbol(2), std::move(body));
  loop->condition = flag + 1;
  loop->trips = 2;
  v.variant.program.push_back(std::move(loop));
  auto call = v.transfer(pkg::Operation::call, {pair[0], pair[1]});
  call->function = "function";
  call->attributes = "{}";
  call->outputs = 1;
  v.variant.program.push_back(std::move(call));
  // The same on two devices: what isn't a float is on the second, as is y.
  auto two = std::make_unique<pkg::VariantT>(*b.package.variants[0]);
  two->family = family + "+" + family;
  for (uint32_t i : {0, 1}) {
    two->devices.push_back(std::make_unique<pkg::DeviceT>());
    two->devices[i]->target = family + (i ? ":second" : ":first");
    two->devices[i]->family = family;
    two->devices[i]->requires_ = {"feature"};
  }
  two->objects.push_back(std::make_unique<pkg::ObjectT>(*two->objects.front()));
  two->objects.back()->device = 1;
  for (uint32_t buffer : {1u, flag, pair[0], pair[1]})
    two->buffers[buffer]->device = 1;
  b.package.variants.push_back(std::move(two));
  return b;
}

// In `wrong` a node adds where it should multiply, in `fused` its result has no
// name.
static PackageBuilder several(const std::string &family,
                              const std::vector<uint8_t> &kernels) {
  PackageBuilder b = affineModel(family, "elf-so", kernels);
  for (const char *name : {"wrong", "fused"}) {
    auto variant = std::make_unique<pkg::VariantT>(*b.package.variants.front());
    variant->target = family + ":" + name;
    if (variant->target.ends_with("wrong"))
      variant->kernels[1]->entry = "test_add";
    else
      variant->buffers[5]->name = "";
    b.package.variants.push_back(std::move(variant));
  }
  return b;
}

int main(int argc, char **argv) {
  if (argc < 3 || argc > 6)
    return 2;
  const std::string family = argc > 3 ? argv[3] : "cpu",
                    model = argc > 4 ? argv[4] : "affine",
                    format =
                        family.ends_with(":virtual") ? "elf-virtual" : "elf-so";
  const std::vector<uint8_t> kernels = readFile(argv[1]);
  const PackageBuilder builder =
      model == "affine"     ? affineModel(family, format, kernels)
      : model == "compress" ? compressModel(family, format, kernels)
      : model == "several"  ? several(family, kernels)
                            : everything(family, kernels);
  const std::vector<uint8_t> file = builder.finish();
  pkg::Preamble preamble;
  std::memcpy(&preamble, file.data(), sizeof preamble);
  if (argc == 6 &&
      !write(argv[5], file.data() + preamble.headerOffset, preamble.headerSize))
    return 1;
  return write(argv[2], file.data(), file.size()) ? 0 : 1;
}
