//===- Binding.cpp - a program with its symbols bound ---------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Binding.h"

#include "runtime/core/Tensor.h"
#include "runtime/package/ArenaPlan.h"

#include <algorithm>

using namespace aicc;
using namespace aicc::executor;
using package::ExprOp;
using package::Storage;

static std::string dimensionName(const program::Port &port, size_t index,
                                 size_t dim) {
  const std::string name = port.name.empty() ? "input " + std::to_string(index)
                                             : "input '" + port.name + "'";
  return name + ": dimension " + std::to_string(dim);
}

// Values of the package's expressions 0 … last; `failed` where there is none.
static void evaluatePackage(const Expressions &exprs,
                            std::span<const int64_t> symbols, uint32_t last,
                            std::vector<int64_t> &values,
                            std::vector<bool> &failed) {
  values.assign(exprs.size(), 0);
  failed.assign(exprs.size(), false);
  for (uint32_t i = 0; i <= last && i < exprs.size(); ++i) {
    const Expressions::Node &node = exprs.nodes[i];
    const bool leaf =
        node.op() == ExprOp::constant || node.op() == ExprOp::symbol;
    failed[i] = (!leaf && (failed[node.lhs()] || failed[node.rhs()])) ||
                !exprs.evaluateNode(i, symbols, values.data());
  }
}

Status aicc::executor::checkLimit(const program::Package &package,
                                  const program::Limit &limit,
                                  std::span<const int64_t> values) {
  if (values[limit.lhs] <= values[limit.rhs])
    return {};
  const Expressions &exprs = package.exprs;
  return invalidArgument(
      exprs.print(limit.lhs, package.symbols) + " is " +
      std::to_string(values[limit.lhs]) + ", expected at most " +
      (exprs.nodes[limit.rhs].op() == ExprOp::constant
           ? std::to_string(values[limit.rhs])
           : exprs.print(limit.rhs, package.symbols) + ", which is " +
                 std::to_string(values[limit.rhs])));
}

// The conditions that the compiler could not prove, as far as they follow from
// the inputs' shapes.
static Status checkLimits(const program::Package &package,
                          std::span<const int64_t> symbols) {
  if (package.limits.empty())
    return {};
  const Expressions &exprs = package.exprs;
  std::vector<int64_t> values;
  std::vector<bool> failed;
  evaluatePackage(exprs, symbols, UINT32_MAX, values, failed);
  const std::vector<bool> late =
      exprs.dependsOnSymbolsFrom(uint32_t(package.symbols.size()));
  for (const program::Limit &limit : package.limits) {
    if (late[limit.lhs] || late[limit.rhs])
      continue;
    for (uint32_t side : {limit.lhs, limit.rhs})
      if (failed[side])
        return evaluationError(exprs, side, package.symbols);
    AICC_RETURN_IF_ERROR(checkLimit(package, limit, values));
  }
  return {};
}

Status
aicc::executor::bindSymbols(const program::Package &package,
                            std::span<const std::span<const int64_t>> inputDims,
                            std::vector<int64_t> &outSymbols) {
  const Expressions &exprs = package.exprs;
  std::vector<std::optional<int64_t>> known(package.symbolCount);
  // Plain symbols first, then whatever they let us solve.
  for (size_t i = 0; i < inputDims.size(); ++i) {
    const program::Port &port = package.inputs[i];
    if (inputDims[i].size() != port.dims.size())
      return invalidArgument("input '" + port.name + "' has rank " +
                             std::to_string(inputDims[i].size()) +
                             ", expected " + std::to_string(port.dims.size()));
    for (size_t d = 0; d < port.dims.size(); ++d) {
      const Expressions::Node &node = exprs.nodes[port.dims[d]];
      if (node.op() == ExprOp::symbol && !known[node.value()])
        known[node.value()] = inputDims[i][d];
    }
  }
  for (bool progress = true; progress;) {
    progress = false;
    for (size_t i = 0; i < inputDims.size(); ++i)
      for (size_t d = 0; d < inputDims[i].size(); ++d)
        if (auto solved = exprs.solve(package.inputs[i].dims[d],
                                      inputDims[i][d], known)) {
          known[solved->first] = solved->second;
          progress = true;
        }
  }
  outSymbols.assign(package.symbolCount, 0);
  for (size_t s = 0; s < package.symbols.size(); ++s) {
    if (!known[s] || *known[s] < 0)
      return invalidArgument("inputs' dimensions give no value of symbol '" +
                             package.symbols[s] + "'");
    outSymbols[s] = *known[s];
  }
  for (size_t i = 0; i < inputDims.size(); ++i) {
    std::vector<int64_t> expected;
    AICC_RETURN_IF_ERROR(
        portDims(package, package.inputs[i], outSymbols, expected));
    for (size_t d = 0; d < expected.size(); ++d) {
      if (inputDims[i][d] == expected[d])
        continue;
      const uint32_t expr = package.inputs[i].dims[d];
      std::string reason;
      if (exprs.nodes[expr].op() != ExprOp::constant)
        reason = " (" + exprs.print(expr, package.symbols) + ")";
      return invalidArgument(dimensionName(package.inputs[i], i, d) + " is " +
                             std::to_string(inputDims[i][d]) + ", expected " +
                             std::to_string(expected[d]) + reason);
    }
  }
  return checkLimits(package, outSymbols);
}

Status aicc::executor::portDims(const program::Package &package,
                                const program::Port &port,
                                std::span<const int64_t> symbols,
                                std::vector<int64_t> &outDims) {
  const Expressions &exprs = package.exprs;
  outDims.clear();
  if (port.dims.empty())
    return {};
  // Up to the last one needed; nobody's mistake in another port matters here.
  std::vector<int64_t> values;
  std::vector<bool> failed;
  evaluatePackage(exprs, symbols,
                  *std::max_element(port.dims.begin(), port.dims.end()), values,
                  failed);
  for (uint32_t expr : port.dims) {
    if (failed[expr])
      return evaluationError(exprs, expr, package.symbols);
    if (values[expr] < 0)
      return invalidArgument("'" + port.name + "' would have a dimension of " +
                             std::to_string(values[expr]) + " (" +
                             exprs.print(expr, package.symbols) + ")");
    outDims.push_back(values[expr]);
  }
  return {};
}

std::string aicc::executor::bufferName(const program::Variant &variant,
                                       size_t index) {
  const std::string &name = variant.buffers[index].name;
  return "buffer " + std::to_string(index) +
         (name.empty() ? "" : " ('" + name + "')");
}

uint64_t aicc::executor::memoryLimit(const program::Package &package,
                                     const program::Variant &variant,
                                     const Binding &binding,
                                     std::span<const uint64_t> outputBytes,
                                     uint32_t index) {
  const program::Buffer &root = variant.buffers[index];
  switch (root.storage) {
  case Storage::input:
    return binding.inputBytes[root.index];
  case Storage::output:
    return outputBytes[root.index];
  case Storage::weight:
    return package.weights[root.index].data.size;
  case Storage::prepared:
    return uint64_t(std::max<int64_t>(0, binding.exprs[root.bytes]));
  case Storage::temporary:
    break;
  }
  return UINT64_MAX;
}

// Values of all expressions that are known before the program runs.
static Status evaluateFixed(const program::Package &package,
                            const program::Variant &variant,
                            const FlatProgram &code, Binding &out) {
  out.exprs.assign(variant.exprs.size(), 0);
  for (size_t i = 0; i < variant.exprs.size(); ++i)
    if (code.fixed[i] &&
        !variant.exprs.evaluateNode(i, out.symbols, out.exprs.data()))
      return evaluationError(variant.exprs, i, package.symbols);
  return {};
}

// Sizes of the buffers in use, and that they fit the memory they get.
static Status sizeBuffers(const program::Package &package,
                          const program::Variant &variant,
                          const FlatProgram &code, Binding &out) {
  out.bufferBytes.assign(variant.buffers.size(), 0);
  for (size_t i = 0; i < variant.buffers.size(); ++i) {
    const program::Buffer &buffer = variant.buffers[i];
    if (!code.used[i] || !code.sized[i])
      continue;
    const int64_t bytes = out.exprs[buffer.bytes];
    if (bytes < 0)
      return Status(Code::badPackage, bufferName(variant, i) + " would have " +
                                          std::to_string(bytes) + " bytes");
    out.bufferBytes[i] = uint64_t(bytes);
    const uint64_t limit =
        memoryLimit(package, variant, out, out.outputBytes, buffer.root);
    if (out.bufferBytes[i] > limit)
      return Status(Code::badPackage,
                    "package is damaged: " + bufferName(variant, i) +
                        " needs " + std::to_string(bytes) +
                        " bytes, but its memory has " + std::to_string(limit));
  }
  // A root holds its largest view.
  for (size_t i = 0; i < variant.buffers.size(); ++i) {
    if (!code.sized[i])
      continue;
    uint64_t &root = out.bufferBytes[variant.buffers[i].root];
    root = std::max(root, out.bufferBytes[i]);
  }
  for (const Step &step : code.steps) {
    if (step.kind != Step::copy || step.late)
      continue;
    const auto &buffers = step.instruction->buffers;
    if (out.bufferBytes[buffers[0]] < out.bufferBytes[buffers[1]])
      return Status(Code::badPackage,
                    "package is damaged: copies " +
                        std::to_string(out.bufferBytes[buffers[1]]) +
                        " bytes from " + bufferName(variant, buffers[0]) +
                        ", which has " +
                        std::to_string(out.bufferBytes[buffers[0]]));
  }
  return {};
}

// Places for the temporaries of one device.
static Status planTemporaries(const program::Variant &variant, uint32_t device,
                              const FlatProgram &code, bool useStored,
                              Binding &out) {
  std::vector<uint32_t> roots;
  std::vector<package::ArenaBlock> blocks;
  std::vector<uint32_t> blockOf(variant.buffers.size(), UINT32_MAX);
  const int64_t arenaBytes = variant.devices[device].arenaBytes;
  bool stored = useStored && arenaBytes >= 0;
  for (uint32_t i = 0; i < variant.buffers.size(); ++i) {
    const program::Buffer &buffer = variant.buffers[i];
    const program::Buffer &root = variant.buffers[buffer.root];
    if (!code.used[i] || root.storage != Storage::temporary ||
        root.device != device || !code.sized[buffer.root])
      continue;
    uint32_t &block = blockOf[buffer.root];
    if (block == UINT32_MAX) {
      block = uint32_t(blocks.size());
      blocks.push_back({out.bufferBytes[buffer.root], root.first, root.last});
      roots.push_back(buffer.root);
      stored &= root.offset >= 0;
    }
    // The memory is needed as long as any view of it.
    if (buffer.storage == Storage::temporary) {
      blocks[block].first = std::min(blocks[block].first, buffer.first);
      blocks[block].last = std::max(blocks[block].last, buffer.last);
    }
  }
  if (stored) {
    for (uint32_t root : roots) {
      const uint64_t offset = uint64_t(variant.buffers[root].offset);
      if (offset > uint64_t(arenaBytes) ||
          out.bufferBytes[root] > uint64_t(arenaBytes) - offset)
        return Status(Code::badPackage,
                      "package is damaged: " + bufferName(variant, root) +
                          " exceeds the arena of " +
                          std::to_string(arenaBytes) + " bytes");
      out.arenaOffsets[root] = offset;
    }
    out.arenaBytes.push_back(uint64_t(arenaBytes));
    return {};
  }
  package::ArenaPlan plan = package::planArena(blocks);
  if (plan.overflow)
    return Status(Code::outOfMemory,
                  "temporaries of this size don't fit any memory");
  for (size_t b = 0; b < roots.size(); ++b)
    out.arenaOffsets[roots[b]] = plan.offsets[b];
  out.arenaBytes.push_back(plan.bytes);
  return {};
}

static Status planTemporaries(const program::Variant &variant,
                              const FlatProgram &code, bool useStored,
                              Binding &out) {
  out.arenaOffsets.assign(variant.buffers.size(), 0);
  for (uint32_t device = 0; device < variant.devices.size(); ++device)
    AICC_RETURN_IF_ERROR(
        planTemporaries(variant, device, code, useStored, out));
  return {};
}

Status aicc::executor::bindProgram(
    const program::Package &package, const program::Variant &variant,
    const FlatProgram &code,
    std::span<const std::span<const int64_t>> inputDims, Binding &out) {
  for (std::span<const int64_t> dims : inputDims)
    out.key.insert(out.key.end(), dims.begin(), dims.end());
  AICC_RETURN_IF_ERROR(bindSymbols(package, inputDims, out.symbols));
  for (size_t i = 0; i < package.inputs.size(); ++i) {
    size_t bytes;
    AICC_RETURN_IF_ERROR(
        denseBytes(publicType(package.inputs[i].type), inputDims[i], bytes));
    out.inputBytes.push_back(bytes);
  }
  for (size_t i = 0; i < package.outputs.size(); ++i) {
    const program::Port &port = package.outputs[i];
    size_t bytes;
    out.outputDims.emplace_back();
    if (code.lateOutputs[i]) {
      out.outputBytes.push_back(0);
      continue;
    }
    AICC_RETURN_IF_ERROR(
        portDims(package, port, out.symbols, out.outputDims.back())
            .in("output"));
    AICC_RETURN_IF_ERROR(
        denseBytes(publicType(port.type), out.outputDims.back(), bytes)
            .in("output '" + port.name + "'"));
    out.outputBytes.push_back(bytes);
  }
  if (!code.binds.empty())
    evaluatePackage(package.exprs, out.symbols, UINT32_MAX, out.portExprs,
                    out.portFailed);
  AICC_RETURN_IF_ERROR(evaluateFixed(package, variant, code, out));
  AICC_RETURN_IF_ERROR(sizeBuffers(package, variant, code, out));
  return planTemporaries(variant, code, /*useStored=*/true, out);
}

Status aicc::executor::bindPrepare(const program::Package &package,
                                   const program::Variant &variant,
                                   const FlatProgram &code, Binding &out) {
  out.symbols.assign(package.symbolCount, 0);
  AICC_RETURN_IF_ERROR(evaluateFixed(package, variant, code, out));
  AICC_RETURN_IF_ERROR(sizeBuffers(package, variant, code, out));
  return planTemporaries(variant, code, /*useStored=*/false, out);
}
