//===- Observe.cpp - the model's values while a program runs --------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A buffer that an instruction writes whole holds the value of its name from
// then on. All others are views of one, or accumulate parts: such a value is
// there when somebody reads it first.
//
//===----------------------------------------------------------------------===//

#include "Run.h"

using namespace aicc;
using namespace aicc::executor;
using package::Storage;

static uint32_t outputsOf(const Step &step) {
  switch (step.kind) {
  case Step::launch:
    return step.kernel->outputs;
  case Step::call:
    return step.instruction->outputs;
  case Step::copy: // to a place in its destination: not the whole
    return step.instruction->scalars.empty() ? 1 : 0;
  default:
    return 0;
  }
}

// How many of a step's buffers it reads, the first ones.
static uint32_t inputsOf(const Step &step) {
  const auto count = uint32_t(step.instruction->buffers.size());
  switch (step.kind) {
  case Step::launch:
  case Step::call:
    return count - outputsOf(step);
  case Step::copy:
  case Step::read:
  case Step::branch:
    return 1;
  default:
    return 0;
  }
}

void RunState::planObservation() {
  const std::vector<program::Buffer> &buffers = loaded.variant->buffers;
  std::vector<bool> known(buffers.size());
  // Constants are no results; an input's views are the input.
  for (size_t i = 0; i < buffers.size(); ++i) {
    const Storage storage = buffers[buffers[i].root].storage;
    known[i] = buffers[i].name.empty() ||
               (storage != Storage::temporary && storage != Storage::output);
  }
  std::vector<bool> written(buffers.size());
  for (const Step &step : program.steps)
    for (uint32_t i = 0; i < outputsOf(step); ++i)
      written[step.instruction->buffers.end()[-1 - int64_t(i)]] = true;

  observed.resize(program.steps.size());
  std::vector<uint32_t> loops;
  for (size_t at = 0; at < program.steps.size(); ++at) {
    const Step &step = program.steps[at];
    Observed &entry = observed[at];
    if (step.kind == Step::loopEnd)
      loops.pop_back();
    entry.loops = loops;
    if (step.kind == Step::loopBegin)
      loops.push_back(step.record);
    const std::vector<uint32_t> &operands = step.instruction->buffers;
    for (uint32_t i = 0; i < inputsOf(step); ++i) {
      const uint32_t buffer = operands[i];
      if (known[buffer] || written[buffer])
        continue;
      known[buffer] = true;
      entry.before.push_back(i);
    }
    for (uint32_t i = outputsOf(step); i > 0; --i)
      if (const auto operand = uint32_t(operands.size()) - i;
          !known[operands[operand]])
        entry.after.push_back(operand);
  }
}

Status RunState::observe(const std::vector<uint32_t> &operands, size_t at,
                         const Observer &observer) {
  if (operands.empty())
    return {};
  const Step &step = program.steps[at];
  std::vector<int64_t> iterations;
  for (uint32_t loop : observed[at].loops)
    iterations.push_back(
        symbols[program.binds[program.loops[loop].bind].symbol]);
  const std::string nodes = nodesOf(step);

  for (uint32_t operand : operands) {
    const uint32_t index = step.instruction->buffers[operand];
    const program::Buffer &buffer = loaded.variant->buffers[index];
    std::vector<int64_t> dims;
    for (uint32_t dim : buffer.dims)
      dims.push_back(values()[dim]);
    size_t bytes;
    AICC_RETURN_IF_ERROR(denseBytes(publicType(buffer.type), dims, bytes)
                             .in(bufferName(*loaded.variant, index)));
    const void *data =
        reinterpret_cast<void *>(words[step.firstWord + operand]);
    std::vector<uint64_t> copy;
    AICC_RETURN_IF_ERROR(work(buffer.device));
    if (lanes[lane].isHost()) {
      if (bytes > bufferBytes[index])
        return Status(Code::badPackage, "package is damaged: " +
                                            bufferName(*loaded.variant, index) +
                                            " is smaller than its dimensions");
    } else {
      copy.resize(bytes / sizeof(uint64_t) + 1);
      if (bytes)
        AICC_RETURN_IF_ERROR(
            fetch(step.firstWord + operand, index, 0, bytes, copy.data()));
      data = copy.data();
    }
    aicc_value value{};
    value.struct_size = sizeof value;
    value.name = buffer.name.c_str();
    value.nodes = nodes.c_str();
    value.index = step.position;
    value.loop_count = iterations.size();
    value.iterations = iterations.data();
    value.type = publicType(buffer.type);
    value.rank = dims.size();
    value.dims = dims.data();
    value.data = data;
    observer.callback(&value, observer.context);
  }
  return {};
}
