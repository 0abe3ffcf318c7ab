//===- FlatProgram.cpp - a program as the executor runs it ----------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "FlatProgram.h"

#include <algorithm>

using namespace aicc;
using namespace aicc::executor;
using package::Operation;
using package::Storage;

std::string aicc::executor::nodesOf(const Step &step) {
  const bool only =
      step.kind == Step::launch && step.instruction->sources.empty();
  std::string text;
  for (const std::string &source :
       only ? step.kernel->sources : step.instruction->sources)
    text += (text.empty() ? "" : " + ") + source;
  return text;
}

namespace {

class Flattener {
public:
  Flattener(const program::Package &package, const program::Variant &variant,
            bool prepare)
      : package(package), variant(variant), prepare(prepare),
        known(variant.exprs, package.symbolCount),
        knownPorts(package.exprs, package.symbolCount),
        buffersOf(variant.exprs.size()), limitsOf(package.exprs.size()),
        outputsOf(package.exprs.size()) {
    for (uint32_t symbol = 0; symbol < package.symbols.size() && !prepare;
         ++symbol) {
      known.bind(symbol);
      knownPorts.bind(symbol);
    }
    code.used.resize(variant.buffers.size());
    code.wordsOf.resize(variant.buffers.size());
    for (uint32_t i = 0; i < variant.exprs.size(); ++i)
      code.fixed.push_back(known.computable(i));
    for (uint32_t i = 0; i < variant.buffers.size(); ++i) {
      const program::Buffer &buffer = variant.buffers[i];
      const program::Buffer &root = variant.buffers[buffer.root];
      code.sized.push_back(code.fixed[buffer.bytes] && code.fixed[root.bytes]);
      if (code.sized[i])
        continue;
      buffersOf[buffer.bytes].push_back(i);
      if (root.bytes != buffer.bytes)
        buffersOf[root.bytes].push_back(i);
    }
    for (uint32_t i = 0; i < package.limits.size(); ++i)
      for (uint32_t side : {package.limits[i].lhs, package.limits[i].rhs})
        limitsOf[side].push_back(i);
    code.lateOutputs.resize(package.outputs.size());
    for (uint32_t i = 0; i < package.outputs.size(); ++i)
      for (uint32_t dim : package.outputs[i].dims) {
        outputsOf[dim].push_back(i);
        if (!knownPorts.computable(dim))
          code.lateOutputs[i] = true;
      }
  }

  FlatProgram run(const std::vector<program::Instruction> &instructions) {
    add(instructions);
    // Memory is needed as long as any view of it.
    const size_t count = variant.buffers.size();
    std::vector<std::pair<uint32_t, uint32_t>> lives(count, {UINT32_MAX, 0});
    for (uint32_t i = 0; i < count && !code.binds.empty(); ++i) {
      const program::Buffer &buffer = variant.buffers[i];
      if (!code.used[i] || buffer.storage != Storage::temporary)
        continue;
      auto &[first, last] = lives[buffer.root];
      first = std::min(first, buffer.first);
      last = std::max(last, buffer.last);
    }
    for (Bind &bind : code.binds)
      finish(bind, lives);
    return std::move(code);
  }

private:
  void add(const std::vector<program::Instruction> &instructions) {
    for (const program::Instruction &instruction : instructions) {
      if (instruction.op == Operation::loop)
        addLoop(instruction);
      else if (instruction.op == Operation::branch)
        addBranch(instruction);
      else
        addStep(instruction);
    }
  }

  void use(uint32_t buffer) {
    const uint32_t root = variant.buffers[buffer].root;
    code.used[buffer] = true;
    code.used[root] = true;
    code.wordsOf[root].push_back(code.words);
    code.slots.push_back({code.words++, buffer});
  }

  void patch(Patch::Where where, uint32_t index, uint32_t expr) {
    if (!code.fixed[expr])
      code.patches.push_back({where, index, expr});
  }

  Step begin(Step::Kind kind, const program::Instruction &instruction) {
    Step step;
    step.kind = kind;
    step.position = position++;
    step.instruction = &instruction;
    step.firstWord = code.words;
    step.firstPatch = uint32_t(code.patches.size());
    return step;
  }

  // The reader has made sure that there are few.
  uint8_t deviceOf(uint32_t buffer) const {
    return uint8_t(variant.buffers[buffer].device);
  }

  static Step::Kind kindOf(Operation op) {
    switch (op) {
    case Operation::launch:
      return Step::launch;
    case Operation::copy:
      return Step::copy;
    case Operation::read:
      return Step::read;
    case Operation::call:
      return Step::call;
    case Operation::swap:
      return Step::swap;
    default:
      return Step::fill;
    }
  }

  void addStep(const program::Instruction &instruction) {
    Step step = begin(kindOf(instruction.op), instruction);
    for (uint32_t buffer : instruction.buffers) {
      use(buffer);
      step.late |= !code.sized[buffer];
    }
    if (!instruction.buffers.empty()) {
      step.source = deviceOf(instruction.buffers.front());
      step.device = deviceOf(instruction.buffers.back());
    }
    if (step.kind == Step::launch) {
      step.kernel = &variant.kernels[instruction.kernel];
      step.source = step.device = uint8_t(variant.deviceOf(*step.kernel));
      step.record = code.launches++;
      for (uint32_t expr : instruction.scalars)
        patch(Patch::word, code.words++ - step.firstWord, expr);
      patch(Patch::gridX, 0, instruction.grid[0]);
      patch(Patch::gridY, 0, instruction.grid[1]);
      patch(Patch::gridZ, 0, instruction.grid[2]);
      patch(Patch::scratch, 0, instruction.scratch);
    } else if (step.kind == Step::copy || step.kind == Step::fill) {
      step.record = code.transfers++;
      step.late |= !instruction.scalars.empty();
    } else if (step.kind == Step::read) {
      step.record = addBind(instruction.symbol);
    } else if (step.kind == Step::call) {
      step.record = uint32_t(code.calls.size());
      code.calls.push_back(&instruction);
    }
    step.patchCount = uint32_t(code.patches.size()) - step.firstPatch;
    code.steps.push_back(step);
  }

  void addLoop(const program::Instruction &instruction) {
    Step start = begin(Step::loopBegin, instruction);
    start.record = uint32_t(code.loops.size());
    code.loops.emplace_back();
    if (instruction.condition)
      use(*instruction.condition);
    const size_t mark = known.mark();
    const uint32_t bind = addBind(instruction.symbol);
    const uint32_t at = uint32_t(code.steps.size());
    code.steps.push_back(start);
    add(instruction.body);
    Step end = start;
    end.kind = Step::loopEnd;
    end.partner = at;
    code.steps[at].partner = uint32_t(code.steps.size());
    code.steps.push_back(end);
    rewind(mark);
    Loop &loop = code.loops[start.record];
    loop.bind = bind;
    loop.count = instruction.count;
    if (instruction.trips)
      loop.trips = addBind(*instruction.trips);
  }

  void addBranch(const program::Instruction &instruction) {
    Step start = begin(Step::branch, instruction);
    use(instruction.buffers[0]);
    const size_t mark = known.mark();
    const uint32_t at = uint32_t(code.steps.size());
    code.steps.push_back(start);
    add(instruction.body);
    std::vector<uint32_t> both = known.since(mark);
    rewind(mark);
    const uint32_t jump = uint32_t(code.steps.size());
    Step over = start;
    over.kind = Step::jump;
    code.steps.push_back(over);
    add(instruction.otherwise);
    code.steps[at].partner = jump;
    code.steps[jump].partner = uint32_t(code.steps.size()) - 1;
    std::erase_if(both, [&](uint32_t symbol) { return !known.knows(symbol); });
    rewind(mark);
    for (uint32_t symbol : both) {
      known.bind(symbol);
      knownPorts.bind(symbol);
    }
  }

  void rewind(size_t mark) {
    known.rewind(mark);
    knownPorts.rewind(mark);
  }

  // What follows from the symbol at this place.
  uint32_t addBind(uint32_t symbol) {
    known.bind(symbol);
    knownPorts.bind(symbol);
    Bind bind;
    bind.symbol = symbol;
    bind.exprs = known.dependents(symbol);
    // Outputs are nothing to the prepare program.
    if (!prepare)
      bind.portExprs = knownPorts.dependents(symbol);
    for (uint32_t expr : bind.exprs)
      for (uint32_t index : buffersOf[expr]) {
        const program::Buffer &buffer = variant.buffers[index];
        if (known.computable(buffer.bytes) &&
            known.computable(variant.buffers[buffer.root].bytes))
          bind.buffers.push_back(index);
      }
    for (uint32_t expr : bind.portExprs) {
      for (uint32_t index : limitsOf[expr])
        if (knownPorts.computable(package.limits[index].lhs) &&
            knownPorts.computable(package.limits[index].rhs))
          bind.limits.push_back(index);
      for (uint32_t index : outputsOf[expr])
        if (std::all_of(package.outputs[index].dims.begin(),
                        package.outputs[index].dims.end(), [&](uint32_t dim) {
                          return knownPorts.computable(dim);
                        }))
          bind.outputs.push_back(index);
    }
    for (auto *list : {&bind.limits, &bind.outputs}) {
      std::sort(list->begin(), list->end());
      list->erase(std::unique(list->begin(), list->end()), list->end());
    }
    code.binds.push_back(std::move(bind));
    return uint32_t(code.binds.size() - 1);
  }

  // Leaves what is used, roots first.
  void finish(Bind &bind,
              std::span<const std::pair<uint32_t, uint32_t>> lives) const {
    std::vector<uint32_t> &list = bind.buffers;
    std::erase_if(list, [&](uint32_t index) { return !code.used[index]; });
    auto rank = [&](uint32_t index) {
      return std::pair(variant.buffers[index].root != index, index);
    };
    std::sort(list.begin(), list.end(),
              [&](uint32_t a, uint32_t b) { return rank(a) < rank(b); });
    list.erase(std::unique(list.begin(), list.end()), list.end());
    for (uint32_t index : list)
      if (variant.buffers[index].root == index &&
          variant.buffers[index].storage == Storage::temporary)
        bind.blocks.push_back({index, lives[index].first, lives[index].second,
                               variant.buffers[index].device});
    std::stable_sort(bind.blocks.begin(), bind.blocks.end(),
                     [](const Bind::Block &a, const Bind::Block &b) {
                       return a.device < b.device;
                     });
  }

  const program::Package &package;
  const program::Variant &variant;
  const bool prepare;
  Availability known, knownPorts;
  // Buffers by the expressions of their and their memory's size; limits and
  // outputs by theirs.
  std::vector<std::vector<uint32_t>> buffersOf, limitsOf, outputsOf;
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
