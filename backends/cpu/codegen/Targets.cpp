//===- Targets.cpp - the CPUs that code is generated for ------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Tiles follow the rule measured for two FMA ports with latency 4: at least 12
// accumulators, at most as many as leave room for a row of operands, and at
// least two vectors per row so that loads don't limit.
//
//===----------------------------------------------------------------------===//

#include "backends/cpu/codegen/Targets.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/TargetParser/Host.h"

namespace aicc::backends::cpu {

using target::TargetRecord;

static TargetRecord base(llvm::StringRef chip) {
  TargetRecord record;
  record.family = "cpu";
  record.chip = chip.str();
  record.hostFunctions = true;
  record.wideOperands = true;
  return record;
}

static TargetRecord x86v4() {
  TargetRecord r = base("x86-64-v4");
  r.required = {"avx2",     "fma",      "f16c",     "bmi2",    "avx512f",
                "avx512bw", "avx512cd", "avx512dq", "avx512vl"};
  r.triple = "x86_64-unknown-linux-gnu";
  r.cpu = "x86-64-v4";
  r.vectorBits = 512;
  r.vectorRegisters = 32;
  r.tileRows = 12;
  r.tileVectors = 2;
  r.weightPanel = 32;
  r.l1Bytes = 32 << 10;
  r.l2Bytes = 1 << 20;
  return r;
}

static TargetRecord x86v3() {
  TargetRecord r = base("x86-64-v3");
  r.required = {"avx2", "fma", "f16c", "bmi2"};
  r.triple = "x86_64-unknown-linux-gnu";
  r.cpu = "x86-64-v3";
  r.vectorBits = 256;
  r.vectorRegisters = 16;
  r.tileRows = 6;
  r.tileVectors = 2;
  r.weightPanel = 16;
  r.l1Bytes = 32 << 10;
  r.l2Bytes = 256 << 10;
  return r;
}

static TargetRecord aarch64() {
  TargetRecord r = base("aarch64");
  r.required = {"asimd"};
  r.triple = "aarch64-unknown-linux-gnu";
  r.cpu = "generic";
  r.features = "+neon";
  r.vectorBits = 128;
  r.vectorRegisters = 32;
  r.tileRows = 8;
  r.tileVectors = 2;
  r.weightPanel = 8;
  r.l1Bytes = 64 << 10;
  r.l2Bytes = 512 << 10;
  return r;
}

static TargetRecord riscv64() {
  TargetRecord r = base("riscv64");
  r.required = {"v"};
  r.triple = "riscv64-unknown-linux-gnu";
  r.cpu = "generic-rv64";
  r.features = "+m,+a,+f,+d,+c,+v,+zvl128b";
  r.vectorBits = 128;
  r.vectorRegisters = 32;
  r.tileRows = 8;
  r.tileVectors = 2;
  r.weightPanel = 8;
  r.l1Bytes = 32 << 10;
  r.l2Bytes = 512 << 10;
  return r;
}

/// The level of the machine that compiles, tuned for its CPU.
static TargetRecord native() {
  llvm::StringMap<bool> features = llvm::sys::getHostCPUFeatures();
  auto has = [&](const TargetRecord &record) {
    return llvm::all_of(record.required, [&](const std::string &feature) {
      return features.lookup(feature);
    });
  };
  TargetRecord r = x86v4();
  if (!has(r))
    r = x86v3();
#if defined(__aarch64__)
  r = aarch64();
#elif defined(__riscv)
  r = riscv64();
#endif
  r.chip = "native";
  r.cpu = llvm::sys::getHostCPUName().str();
  llvm::SmallVector<std::string> list;
  for (auto &feature : features)
    list.push_back((feature.getValue() ? "+" : "-") + feature.getKey().str());
  llvm::sort(list);
  r.features = llvm::join(list, ",");
  return r;
}

llvm::LogicalResult resolveTargets(llvm::StringRef chip,
                                   std::vector<TargetRecord> &records,
                                   std::string &error) {
  if (chip.empty()) {
    records = {x86v4(), x86v3()};
    return mlir::success();
  }
  for (TargetRecord record : {x86v4(), x86v3(), aarch64(), riscv64(), native()})
    if (record.chip == chip) {
      records = {record};
      return mlir::success();
    }
  error = "cpu has no chip '" + chip.str() +
          "', expected x86-64-v4, x86-64-v3, aarch64, riscv64 or native";
  return mlir::failure();
}

} // namespace aicc::backends::cpu
