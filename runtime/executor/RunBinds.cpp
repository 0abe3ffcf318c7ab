//===- RunBinds.cpp - sizes that a run finds out --------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// When a symbol gets its value, everything that follows from it is made anew:
// expressions, outputs, sizes and places of buffers. The reader has checked
// that nothing is used before.
//
//===----------------------------------------------------------------------===//

#include "Run.h"

#include <algorithm>
#include <cstring>

using namespace aicc;
using namespace aicc::executor;
using package::ElementType;
using package::ExprOp;
using package::Storage;

// Before the host touches memory that work under way may use.
Status RunState::quiesce() {
  if (lanes.size() > 1)
    AICC_RETURN_IF_ERROR(arriveEverywhere());
  for (Lane &each : lanes)
    if (!each.device->flag(AICC_DEVICE_SYNCHRONOUS))
      AICC_RETURN_IF_ERROR(each.device->check(
          each.device->driver->stream_synchronize(each.streams.front()),
          "run"));
  return {};
}

Status RunState::fetch(uint32_t word, uint32_t buffer, uint64_t offset,
                       uint64_t bytes, void *out) {
  if (bufferBytes[buffer] < bytes || offset > bufferBytes[buffer] - bytes)
    return Status(Code::badPackage,
                  "package is damaged: reads byte " + std::to_string(offset) +
                      " of " + bufferName(*loaded.variant, buffer) +
                      ", which has " + std::to_string(bufferBytes[buffer]));
  const auto *from = reinterpret_cast<const char *>(words[word]) + offset;
  AICC_RETURN_IF_ERROR(work(loaded.variant->buffers[buffer].device));
  if (lanes[lane].isHost()) {
    std::memcpy(out, from, bytes);
    return {};
  }
  AICC_RETURN_IF_ERROR(
      device->check(driver->copy(stream, out, from, bytes), "reading a value"));
  return device->check(driver->stream_synchronize(stream), "run");
}

Status RunState::holds(uint32_t word, uint32_t buffer, bool &out) {
  uint8_t value = 0;
  AICC_RETURN_IF_ERROR(fetch(word, buffer, 0, 1, &value));
  out = value != 0;
  return {};
}

template <typename T> static int64_t as(const uint64_t &bits) {
  T value;
  std::memcpy(&value, &bits, sizeof value);
  if constexpr (std::is_same_v<T, uint64_t>)
    return int64_t(std::min<uint64_t>(value, INT64_MAX));
  return int64_t(value);
}

static int64_t integer(ElementType type, const uint64_t &bits) {
  switch (type) {
  case ElementType::bool_:
  case ElementType::u8:
    return as<uint8_t>(bits);
  case ElementType::i8:
    return as<int8_t>(bits);
  case ElementType::i16:
    return as<int16_t>(bits);
  case ElementType::u16:
    return as<uint16_t>(bits);
  case ElementType::i32:
    return as<int32_t>(bits);
  case ElementType::u32:
    return as<uint32_t>(bits);
  case ElementType::u64:
    return as<uint64_t>(bits);
  default:
    return as<int64_t>(bits);
  }
}

Status RunState::read(const Step &step) {
  const program::Instruction &instruction = *step.instruction;
  const uint32_t index = instruction.buffers[0];
  const program::Buffer &buffer = loaded.variant->buffers[index];
  const uint64_t size = program::elementSize(buffer.type);
  uint64_t bits = 0, offset;
  if (__builtin_mul_overflow(instruction.element, size, &offset))
    offset = UINT64_MAX;
  AICC_RETURN_IF_ERROR(fetch(step.firstWord, index, offset, size, &bits));
  const int64_t value = integer(buffer.type, bits);
  if (value < instruction.minimum) {
    const std::string name = nodesOf(step);
    return invalidArgument(
        (name.empty() ? "" : name + ": ") +
        // What the compiler takes where shapes contradict each other.
        (value == -1 ? "sizes that the model computes don't fit together: "
                     : "") +
        (buffer.name.empty() ? bufferName(*loaded.variant, index)
                             : "'" + buffer.name + "'") +
        " has " + std::to_string(value) + " at position " +
        std::to_string(instruction.element) + ", expected at least " +
        std::to_string(instruction.minimum));
  }
  return bind(step.record, value);
}

// Whether iteration `iteration` is run; if not, the loop has ended.
Status RunState::enterLoop(const Step &step, int64_t iteration, bool &out) {
  const Loop &loop = program.loops[step.record];
  out = iteration < loopCounts[step.record];
  if (out && step.instruction->condition)
    AICC_RETURN_IF_ERROR(
        holds(step.firstWord, *step.instruction->condition, out));
  if (out)
    return bind(loop.bind, iteration);
  return loop.trips ? bind(*loop.trips, iteration) : Status();
}

Status RunState::evaluate(const Bind &bind) {
  for (uint32_t expr : bind.exprs)
    if (!loaded.variant->exprs.evaluateNode(expr, symbols, exprs.data()))
      return evaluationError(loaded.variant->exprs, expr,
                             loaded.package().symbols);
  const Expressions &ports = loaded.package().exprs;
  for (uint32_t expr : bind.portExprs) {
    const Expressions::Node &node = ports.nodes[expr];
    const bool leaf = node.op() == ExprOp::symbol;
    if ((!leaf &&
         (bound->portFailed[node.lhs()] || bound->portFailed[node.rhs()])) ||
        !ports.evaluateNode(expr, symbols, portExprs.data()))
      return evaluationError(ports, expr, loaded.package().symbols);
  }
  for (uint32_t index : bind.limits) {
    const program::Limit &limit = loaded.package().limits[index];
    for (uint32_t side : {limit.lhs, limit.rhs})
      if (bound->portFailed[side])
        return evaluationError(ports, side, loaded.package().symbols);
    AICC_RETURN_IF_ERROR(checkLimit(loaded.package(), limit, portExprs));
  }
  return {};
}

Status RunState::makeOutput(uint32_t index) {
  const program::Port &port = loaded.package().outputs[index];
  const std::string name = "output '" + port.name + "'";
  std::vector<int64_t> dims;
  for (uint32_t expr : port.dims) {
    if (bound->portFailed[expr])
      return evaluationError(loaded.package().exprs, expr,
                             loaded.package().symbols);
    dims.push_back(portExprs[expr]);
  }
  size_t bytes;
  AICC_RETURN_IF_ERROR(denseBytes(publicType(port.type), dims, bytes).in(name));
  Late &output = late[index];
  aicc_tensor *tensor = output.given;
  // A caller's tensor of another shape may still fit: a loop binds the symbol
  // several times. Whether it does is asked after the run.
  if (!tensor || tensor->dims != dims) {
    tensor = output.made.get();
    if (!tensor || tensor->dims != dims) {
      AICC_RETURN_IF_ERROR(quiesce());
      output.made.reset();
      AICC_RETURN_IF_ERROR(
          createTensor(publicType(port.type), dims, tensor).in(name));
      output.made.reset(tensor);
    }
  } else if (output.made) {
    AICC_RETURN_IF_ERROR(quiesce());
    output.made.reset();
  }
  outputBytes[index] = bytes;
  return set(outputs[index], *tensor, bytes);
}

// Sizes of the bind's buffers, and that views fit the memory they have.
Status RunState::sizeLate(const Bind &bind) {
  const program::Variant &variant = *loaded.variant;
  for (uint32_t index : bind.buffers) {
    const program::Buffer &buffer = variant.buffers[index];
    const int64_t bytes = exprs[buffer.bytes];
    if (bytes < 0)
      return invalidArgument(bufferName(variant, index) + " would have " +
                             std::to_string(bytes) + " bytes");
    bufferBytes[index] = uint64_t(bytes);
    if (variant.buffers[buffer.root].storage == Storage::temporary &&
        bind.renews(buffer.root, buffer.device)) {
      // It holds its largest view.
      uint64_t &root = bufferBytes[buffer.root];
      root = std::max(root, bufferBytes[index]);
      continue;
    }
    const uint64_t limit =
        variant.buffers[buffer.root].storage == Storage::temporary
            ? bufferBytes[buffer.root]
            : memoryLimit(loaded.package(), variant, *bound, outputBytes,
                          buffer.root);
    if (uint64_t(bytes) > limit)
      return invalidArgument(bufferName(variant, index) + " would have " +
                             std::to_string(bytes) +
                             " bytes, but the memory of its elements has " +
                             std::to_string(limit));
  }
  return {};
}

Status RunState::placeLate(uint32_t index) {
  std::span<const Bind::Block> blocks = program.binds[index].blocks;
  while (!blocks.empty()) {
    const uint32_t on = blocks.front().device;
    size_t count = 1;
    while (count < blocks.size() && blocks[count].device == on)
      ++count;
    AICC_RETURN_IF_ERROR(placeLate(blocks.first(count),
                                   arenas[size_t(index) * lanes.size() + on]));
    blocks = blocks.subspan(count);
  }
  return {};
}

// Temporaries of one device.
Status RunState::placeLate(std::span<const Bind::Block> blocks, Arena &arena) {
  bool same = arena.blocks.size() == blocks.size();
  arena.blocks.resize(blocks.size());
  for (size_t i = 0; i < blocks.size(); ++i) {
    const Bind::Block &block = blocks[i];
    same &= arena.blocks[i].bytes == bufferBytes[block.root];
    arena.blocks[i] = {bufferBytes[block.root], block.first, block.last};
  }
  if (!same)
    arena.plan = package::planArena(arena.blocks);
  const package::ArenaPlan &plan = arena.plan;
  if (plan.overflow)
    return Status(Code::outOfMemory,
                  "temporaries of this size don't fit any memory");
  if (!arena.memory || plan.bytes > arena.capacity) {
    // Sizes that grow with every iteration must not cost an allocation each.
    const uint64_t bytes = arena.memory
                               ? std::max(plan.bytes, arena.capacity / 2 * 3)
                               : plan.bytes;
    AICC_RETURN_IF_ERROR(quiesce());
    arena.memory.reset();
    lateBytes -= arena.capacity;
    arena.capacity = 0;
    aicc_device *owner = lanes[blocks.front().device].device;
    AICC_RETURN_IF_ERROR(
        owner->allocate(bytes + package::bufferAlignment, arena.memory)
            .in("temporaries"));
    arena.capacity = bytes;
    lateBytes += bytes;
  }
  // Also where nothing changed: another bind may have placed them meanwhile.
  for (size_t i = 0; i < blocks.size(); ++i)
    for (uint32_t word : program.wordsOf[blocks[i].root])
      words[word] =
          reinterpret_cast<uintptr_t>(arena.memory.get()) + plan.offsets[i];
  return {};
}

// A symbol gets its value.
Status RunState::bind(uint32_t index, int64_t value) {
  const Bind &bind = program.binds[index];
  symbols[bind.symbol] = value;
  AICC_RETURN_IF_ERROR(evaluate(bind));
  for (uint32_t output : bind.outputs)
    AICC_RETURN_IF_ERROR(makeOutput(output));
  AICC_RETURN_IF_ERROR(sizeLate(bind));
  return placeLate(index);
}
