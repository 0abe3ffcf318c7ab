//===- FlatProgram.cpp - a program as the executor runs it ----------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "FlatProgram.h"

using namespace aicc;
using namespace aicc::executor;
using package::Operation;

namespace {

class Flattener {
public:
  Flattener(const program::Package &package, const program::Variant &variant,
            bool prepare)
      : variant(variant), open(package.symbolCount) {
    if (!prepare)
      std::fill_n(open.begin(), package.symbols.size(), true);
    code.used.resize(variant.buffers.size());
    code.fixed = variant.exprs.computable(open);
  }

  FlatProgram run(const std::vector<program::Instruction> &instructions) {
    add(instructions);
    return std::move(code);
  }

private:
  void add(const std::vector<program::Instruction> &instructions) {
    for (const program::Instruction &instruction : instructions) {
      if (instruction.op == Operation::loop)
        addLoop(instruction);
      else
        addStep(instruction);
    }
  }

  void use(uint32_t buffer) {
    code.used[buffer] = true;
    code.used[variant.buffers[buffer].root] = true;
    code.slots.push_back({code.words++, buffer});
  }

  void patch(Patch::Where where, uint32_t index, uint32_t expr) {
    if (!code.fixed[expr])
      code.patches.push_back({where, index, expr});
  }

  void addStep(const program::Instruction &instruction) {
    Step step;
    step.kind = instruction.op == Operation::launch ? Step::launch
                : instruction.op == Operation::copy ? Step::copy
                                                    : Step::fill;
    step.position = position++;
    step.instruction = &instruction;
    step.firstWord = code.words;
    step.firstPatch = uint32_t(code.patches.size());
    for (uint32_t buffer : instruction.buffers)
      use(buffer);
    if (step.kind == Step::launch) {
      step.kernel = &variant.kernels[instruction.kernel];
      step.record = code.launches++;
      for (uint32_t expr : instruction.scalars)
        patch(Patch::word, code.words++ - step.firstWord, expr);
      patch(Patch::gridX, 0, instruction.grid[0]);
      patch(Patch::gridY, 0, instruction.grid[1]);
      patch(Patch::gridZ, 0, instruction.grid[2]);
      patch(Patch::scratch, 0, instruction.scratch);
    } else {
      step.record = code.transfers++;
    }
    step.patchCount = uint32_t(code.patches.size()) - step.firstPatch;
    code.steps.push_back(step);
  }

  void addLoop(const program::Instruction &instruction) {
    open[instruction.symbol] = true;
    Loop loop{instruction.symbol, instruction.count, {}};
    // Computable here, and not without this symbol.
    std::vector<bool> with = variant.exprs.computable(open);
    open[instruction.symbol] = false;
    std::vector<bool> without = variant.exprs.computable(open);
    open[instruction.symbol] = true;
    for (uint32_t i = 0; i < with.size(); ++i)
      if (with[i] && !without[i])
        loop.exprs.push_back(i);
    const uint32_t index = uint32_t(code.loops.size());
    code.loops.push_back(std::move(loop));

    Step begin;
    begin.kind = Step::loopBegin;
    begin.position = position++;
    begin.instruction = &instruction;
    begin.record = index;
    const uint32_t at = uint32_t(code.steps.size());
    code.steps.push_back(begin);
    add(instruction.body);
    Step end = begin;
    end.kind = Step::loopEnd;
    end.partner = at;
    code.steps[at].partner = uint32_t(code.steps.size());
    code.steps.push_back(end);
    open[instruction.symbol] = false;
  }

  const program::Variant &variant;
  std::vector<bool> open;
  FlatProgram code;
  uint32_t position = 0;
};

} // namespace

FlatProgram aicc::executor::flatten(const program::Package &package,
                                    const program::Variant &variant,
                                    bool prepare) {
  return Flattener(package, variant, prepare)
      .run(prepare ? variant.prepare : variant.program);
}
